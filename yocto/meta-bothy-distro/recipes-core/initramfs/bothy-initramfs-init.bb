SUMMARY = "The box's first program: opens the verified root and what can be written"
SECTION = "base"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

FILESEXTRAPATHS:append := ":${BOTHY_IMAGE_DIR}:${BOTHY_TREE}"
SRC_URI = "file://init file://initramfs file://LICENSE"
S = "${UNPACKDIR}"

INHIBIT_DEFAULT_DEPS = "1"
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -m 0755 ${S}/init ${D}/init
    cp -R --no-dereference --preserve=mode ${S}/initramfs/. ${D}/
    # The kernel looks for it before anything is mounted.
    install -d ${D}/dev
    mknod -m 622 ${D}/dev/console c 5 1
}

FILES:${PN} = "/init /conf /scripts /dev"

# coreutils for od, sleep 0.1, and a busybox that is told to have less.
RDEPENDS:${PN} = " \
    ${VIRTUAL-RUNTIME_base-utils} \
    coreutils \
    e2fsprogs-e2fsck \
    grep \
    kmod \
    libdevmapper \
    sed \
    util-linux-blkid \
    util-linux-mount \
    util-linux-switch-root \
    util-linux-umount \
"
