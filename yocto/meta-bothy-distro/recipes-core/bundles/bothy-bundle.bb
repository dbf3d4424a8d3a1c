SUMMARY = "An update of the box: the two files of a slot, signed"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://${BOTHY_TREE}/LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

inherit bundle features_check

REQUIRED_DISTRO_FEATURES = "systemd usrmerge rauc virtualization kvm"
COMPATIBLE_HOST = "x86_64.*-linux"

# As image/steps/bundle: what image/files/etc/rauc/system.conf takes, and the counter that its handler asks for.
RAUC_BUNDLE_COMPATIBLE = "bothy-x86_64"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_VERSION = "${BOTHY_IMAGE_VERSION}"
RAUC_BUNDLE_SLOTS = "rootfs boot"
RAUC_SLOT_rootfs = "bothy-image"
RAUC_SLOT_rootfs[fstype] = "bothyroot"
RAUC_SLOT_rootfs[rename] = "root.img"
RAUC_SLOT_boot = "bothy-image"
RAUC_SLOT_boot[fstype] = "bothyboot"
RAUC_SLOT_boot[rename] = "boot.img"

def bothy_security(d):
    path = d.expand('${BOTHY_IMAGE_DIR}/security')
    bb.parse.mark_dependency(d, path)
    with open(path) as f:
        return f.read().strip()

BOTHY_SECURITY ?= "${@bothy_security(d)}"
# The oldest version that the update may be installed on; empty: any.
BOTHY_MIN_FROM ?= ""
RAUC_META_SECTIONS = "bothy"
RAUC_META_bothy[security] = "${BOTHY_SECURITY}"
python () {
    if d.getVar('BOTHY_MIN_FROM'):
        d.setVarFlag('RAUC_META_bothy', 'min-from', d.getVar('BOTHY_MIN_FROM'))
}
# Flags are not seen in a variable's hash.
do_configure[vardeps] += "BOTHY_SECURITY BOTHY_MIN_FROM"

# The distribution says them; under another one this still parses.
BOTHY_IMAGE_VERSION ??= "${PV}"
BOTHY_UPDATE_KEY ??= ""
BOTHY_UPDATE_CERT ??= ""
BOTHY_UPDATE_CA ??= ""
RAUC_KEY_FILE = "${BOTHY_UPDATE_KEY}"
RAUC_CERT_FILE = "${BOTHY_UPDATE_CERT}"
RAUC_KEYRING_FILE = "${BOTHY_UPDATE_CA}"
# What is inside is compressed.
BUNDLE_ARGS = "--keyring=${RAUC_KEYRING_FILE} --mksquashfs-args='-noI -noD -noF -noX'"
