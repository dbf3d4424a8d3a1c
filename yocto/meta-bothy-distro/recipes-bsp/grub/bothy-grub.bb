SUMMARY = "The box's boot loader: GRUB with image/grub.cfg inside, so that it can be signed as one"
SECTION = "bootloaders"
# The menu is bothy's, what is around it GRUB's.
LICENSE = "Apache-2.0 & GPL-3.0-only"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
                    file://${COREBASE}/meta/files/common-licenses/GPL-3.0-only;md5=c79ff39f19dfec6d293b95dea7b07891"

FILESEXTRAPATHS:prepend := "${BOTHY_IMAGE_DIR}:${BOTHY_TREE}:"
SRC_URI = "file://grub.cfg file://LICENSE"
S = "${UNPACKDIR}"
B = "${WORKDIR}/build"

# The target's modules, and the build host's tools.
DEPENDS = "grub-efi grub-native"
INHIBIT_DEFAULT_DEPS = "1"
COMPATIBLE_HOST = "x86_64.*-linux"

inherit deploy nopackages

do_configure[noexec] = "1"
do_install[noexec] = "1"

# As image/steps/esp.
BOTHY_GRUB_MODULES = "part_gpt fat squash4 normal configfile test true echo regexp probe search search_fs_uuid loadenv linux sleep reboot all_video gfxterm"
do_compile[cleandirs] = "${B}"
do_compile() {
    grub-mkstandalone --directory=${STAGING_LIBDIR}/grub/x86_64-efi --format=x86_64-efi --output=${B}/bothy-grub.efi \
        --install-modules="${BOTHY_GRUB_MODULES}" --modules="${BOTHY_GRUB_MODULES}" --locales= --fonts= --themes= \
        "boot/grub/grub.cfg=${S}/grub.cfg"
}

do_deploy() {
    install -m 0644 ${B}/bothy-grub.efi ${DEPLOYDIR}/
}
addtask deploy after do_compile before do_build
