SUMMARY = "What makes a machine with bothy the box: slots, writable folders, console, trial of a slot"
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# image/files as it is: the Debian box and this one have the same slots, handlers and scripts.
FILESEXTRAPATHS:prepend := "${BOTHY_IMAGE_DIR}:${BOTHY_TREE}:"
SRC_URI = "file://files file://security file://LICENSE"
S = "${UNPACKDIR}"

# Paths of image/files are Debian's with a merged /usr.
inherit features_check
REQUIRED_DISTRO_FEATURES = "systemd usrmerge"

INHIBIT_DEFAULT_DEPS = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    cp -R --no-dereference --preserve=mode,links ${S}/files/. ${D}/
    # base-files has one too; the image puts this in its place.
    rm ${D}${sysconfdir}/fstab
    # Units of Open vSwitch have another name here.
    sed -i 's/openvswitch-switch\.service/openvswitch.service/' ${D}${nonarch_libdir}/systemd/system-preset/10-bothy.preset
    install -m 0644 ${S}/security ${D}${nonarch_libdir}/bothy/security
    install -d ${D}/state ${D}/data ${D}/boot/efi
}

FILES:${PN} = "${sysconfdir} ${nonarch_libdir} /state /data /boot"
CONFFILES:${PN} = "${sysconfdir}/bothy/bothy.toml"

# RAUC's configuration is /etc/rauc/system.conf.
RPROVIDES:${PN} = "virtual-rauc-conf"
RCONFLICTS:${PN} = "rauc-conf"

# What the scripts call.
RDEPENDS:${PN} = " \
    bothy \
    coreutils \
    diffutils \
    gawk \
    grep \
    sed \
    dosfstools \
    e2fsprogs-e2fsck \
    e2fsprogs-mke2fs \
    grub-editenv \
    kmod \
    rauc \
    rauc-service \
    util-linux-blkid \
    util-linux-findmnt \
    util-linux-mount \
    util-linux-partx \
    util-linux-sfdisk \
    util-linux-umount \
    util-linux-wipefs \
"
