SUMMARY = "The box: bothy with libvirt, QEMU and Open vSwitch on a verified root that cannot be written to"
LICENSE = "MIT"

IMAGE_INSTALL = " \
    base-files \
    base-passwd \
    netbase \
    ${VIRTUAL-RUNTIME_base-utils} \
    ${VIRTUAL-RUNTIME_init_manager} \
    ${VIRTUAL-RUNTIME_login_manager} \
    systemd-serialgetty \
    tzdata \
    ca-certificates \
    kernel-modules \
    bothy \
    bothy-doc \
    bothy-box \
    libvirt \
    libvirt-libvirtd \
    qemu-system-x86-64 \
    openvswitch \
    openvswitch-switch \
    rauc \
    less \
    pciutils \
    procps \
"
# Kernel and initramfs are in the slot's boot partition; who keeps a slot is bothy.
PACKAGE_EXCLUDE = "kernel-image-*"
BAD_RECOMMENDATIONS = "rauc-mark-good rauc-conf"
IMAGE_LINGUAS = ""
IMAGE_FEATURES = "read-only-rootfs"
IMAGE_FSTYPES = "bothyroot bothyboot bothyesp wic.zst wic.bmap"
WKS_FILES = "bothy.wks.in"
WKS_FILE_DEPENDS = "e2fsprogs-native"
# A new box's root, and not the sum of all slots.
IMAGE_ROOTFS_EXTRA_SPACE = "0"

inherit core-image bothy-slot features_check

REQUIRED_DISTRO_FEATURES = "systemd usrmerge rauc virtualization kvm"
COMPATIBLE_HOST = "x86_64.*-linux"

BOTHY_IMAGE_VERSION ??= "${PV}"
BOTHY_UPDATE_CA ??= ""

# What image/steps/tree does: name and version, the keyring, what runs, and a /var that each boot copies to memory.
ROOTFS_POSTPROCESS_COMMAND:append = " bothy_say_what_it_is"
# Last of all, for the package manager keeps its own in /var until it is done.
IMAGE_PREPROCESS_COMMAND += "bothy_part_what_changes"

bothy_say_what_it_is () {
    [ -n "${BOTHY_UPDATE_CA}" ] || bbfatal "BOTHY_UPDATE_CA is not set: the certificate whose updates the box takes (yocto/README.md)"
    install -D -m 0644 ${BOTHY_UPDATE_CA} ${IMAGE_ROOTFS}${sysconfdir}/rauc/keyring.pem
    printf 'IMAGE_ID=bothy\nIMAGE_VERSION=%s\n' '${BOTHY_IMAGE_VERSION}' >>${IMAGE_ROOTFS}${nonarch_libdir}/os-release
    install -m 0644 ${BOTHY_IMAGE_DIR}/files/etc/fstab ${IMAGE_ROOTFS}${sysconfdir}/fstab
    echo bothy >${IMAGE_ROOTFS}${sysconfdir}/hostname
    printf '127.0.0.1 localhost bothy\n::1 localhost bothy\n' >${IMAGE_ROOTFS}${sysconfdir}/hosts
    ln -sf ../run/systemd/resolve/stub-resolv.conf ${IMAGE_ROOTFS}${sysconfdir}/resolv.conf
    : >${IMAGE_ROOTFS}${sysconfdir}/machine-id
    # Packages turn on what they bring; what is on and off is said in one place, image/files' preset.
    systemctl --root=${IMAGE_ROOTFS} preset-all
}

bothy_part_what_changes () {
    mkdir -p ${IMAGE_ROOTFS}/boot/efi ${IMAGE_ROOTFS}/state ${IMAGE_ROOTFS}/data ${IMAGE_ROOTFS}${datadir}/factory
    rm -f ${IMAGE_ROOTFS}${sysconfdir}/openvswitch/conf.db ${IMAGE_ROOTFS}${sysconfdir}/openvswitch/system-id.conf
    while read -r path; do
        case $path in /*) mkdir -p ${IMAGE_ROOTFS}$path ;; esac
    done <${BOTHY_IMAGE_DIR}/files/usr/lib/bothy/persist
    rm -rf ${IMAGE_ROOTFS}${datadir}/factory/var
    mv ${IMAGE_ROOTFS}/var ${IMAGE_ROOTFS}${datadir}/factory/var
    mkdir ${IMAGE_ROOTFS}/var
}

do_rootfs[file-checksums] += "${BOTHY_IMAGE_DIR}/files/etc/fstab:True ${BOTHY_IMAGE_DIR}/files/usr/lib/bothy/persist:True"
do_rootfs[file-checksums] += "${@'${BOTHY_UPDATE_CA}:True' if d.getVar('BOTHY_UPDATE_CA') else ''}"
