SUMMARY = "The box's initramfs"
LICENSE = "MIT"

# Watchdogs are modules, for each is asked for a time when it is loaded (image/initramfs/conf/conf.d/bothy-watchdog); what
# the root lies on is in the kernel.
PACKAGE_INSTALL = " \
    bothy-initramfs-init \
    base-passwd \
    kernel-module-i6300esb \
    kernel-module-wdat-wdt \
    kernel-module-hpwdt \
    kernel-module-itco-wdt \
    kernel-module-sp5100-tco \
    kernel-module-lpc-ich \
    kernel-module-i2c-i801 \
    ${ROOTFS_BOOTSTRAP_INSTALL} \
"
PACKAGE_EXCLUDE = "kernel-image-*"
IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_NAME_SUFFIX = ""
IMAGE_FSTYPES = "cpio.zst"
IMAGE_ROOTFS_SIZE = "8192"
IMAGE_ROOTFS_EXTRA_SPACE = "0"

inherit core-image features_check

# Only the box's kernel has them (recipes-kernel).
REQUIRED_DISTRO_FEATURES = "systemd usrmerge rauc"
COMPATIBLE_HOST = "x86_64.*-linux"
