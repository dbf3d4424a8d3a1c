SUMMARY = "ETSI NFV orchestration (NFVO, VNFM, VIM) for one edge box, in one binary"
SECTION = "net"

# Bothy is Apache-2.0. The rest is what the crates that are linked into it ask for, where they leave no choice; virt and
# virt-sys are libvirt's bindings (deny.toml says how relinking is met).
LICENSE = "Apache-2.0 & BSD-3-Clause & ISC & LGPL-2.1-or-later & MIT & Unicode-3.0 & Zlib"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
                    file://${CARGO_VENDORING_DIRECTORY}/virt-0.5.0/COPYING;md5=4b54a1fd55a448865a0b32d41598759d"

require bothy-crates.inc

# What cargo needs of the tree, and no more: a change elsewhere builds nothing anew. A manifest's targets must be there, built or not.
FILESEXTRAPATHS:prepend := "${BOTHY_TREE}:"
SRC_URI += "file://Cargo.toml;subdir=${BP} \
            file://Cargo.lock;subdir=${BP} \
            file://build.rs;subdir=${BP} \
            file://.cargo/config.toml;subdir=${BP} \
            file://src;subdir=${BP} \
            file://config;subdir=${BP} \
            file://tests/lab/main.rs;subdir=${BP} \
            file://tests/bench/bench.rs;subdir=${BP} \
            file://README.md;subdir=${BP} \
            file://LICENSE;subdir=${BP} \
            file://openvswitch.conf \
"

inherit cargo pkgconfig systemd

DEPENDS = "libvirt"

# The image's build strips, and keeps what it has stripped.
export CARGO_PROFILE_RELEASE_STRIP = "none"

# The allocator's settings are in the tree's .cargo/config.toml, which cargo reads from where it is started.
do_compile:prepend() {
    cd ${S}
}

do_install:append() {
    install -d ${D}${systemd_system_unitdir}
    install -m 0644 ${S}/config/bothy.service ${S}/config/bothy-guests.service ${D}${systemd_system_unitdir}/
    for unit in bothy bothy-guests; do
        install -D -m 0644 ${UNPACKDIR}/openvswitch.conf ${D}${systemd_system_unitdir}/$unit.service.d/openvswitch.conf
    done
    install -D -m 0644 ${S}/config/bothy.toml ${D}${docdir}/${BPN}/bothy.toml
    install -m 0644 ${S}/README.md ${D}${docdir}/${BPN}/
}

# Guests' UEFI is QEMU's own, under the names that bothy looks for.
do_install:append:x86-64() {
    install -d ${D}${datadir}/OVMF
    ln -s ../qemu/edk2-x86_64-code.fd ${D}${datadir}/OVMF/OVMF_CODE_4M.fd
    ln -s ../qemu/edk2-i386-vars.fd ${D}${datadir}/OVMF/OVMF_VARS_4M.fd
}
FILES:${PN} += "${datadir}/OVMF"

SYSTEMD_SERVICE:${PN} = "bothy.service bothy-guests.service"

# Guests, their networks, and the programs that bothy calls.
RDEPENDS:${PN} = " \
    libvirt-libvirtd \
    openvswitch \
    openvswitch-switch \
    dnsmasq \
    nftables \
    iproute2 \
    kmod \
    openssl-bin \
    qemu-common \
"
RDEPENDS:${PN}:append:x86-64 = " qemu-system-x86-64"
RDEPENDS:${PN}:append:aarch64 = " qemu-system-aarch64"
