# For the distribution bothy-os alone: under another one this layer changes no kernel.
FILESEXTRAPATHS:prepend:bothy-os := "${THISDIR}/linux-yocto:"
SRC_URI:append:bothy-os = " file://bothy.scc"
