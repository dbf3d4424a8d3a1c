# What a slot is made of, and the disk with two of them, as image types. The same two files go to a disk (files/wic/bothy.wks.in) and
# into an update (bothy-bundle). The forms are those of image/steps/slot and image/steps/esp: what is written here must
# boot by image/grub.cfg and image/initramfs, and be taken by image/files/etc/rauc/system.conf.
#
#   bothyroot   the root as a squashfs and behind it the hash tree of dm-verity; the root hash is in IMAGE.roothash
#   bothyboot   kernel, initramfs, and slot.env with the root hash
#   bothyesp    the boot loader, and the environment block

BOTHY_INITRAMFS ?= "bothy-initramfs"
# Kernel arguments that the first boot has committed.
BOTHY_ARGS ?= ""

IMAGE_TYPES += "bothyroot bothyboot bothyesp"
IMAGE_TYPEDEP:bothyboot = "bothyroot"
IMAGE_TYPEDEP:wic = "bothyroot bothyboot bothyesp"

do_image_bothyroot[depends] += "squashfs-tools-native:do_populate_sysroot cryptsetup-native:do_populate_sysroot"
do_image_bothyboot[depends] += "squashfs-tools-native:do_populate_sysroot virtual/kernel:do_deploy ${BOTHY_INITRAMFS}:do_image_complete"
do_image_bothyesp[depends] += "dosfstools-native:do_populate_sysroot mtools-native:do_populate_sysroot bothy-grub:do_deploy"

# The kernel is told the number of blocks by squashfs's own first block, and that the tree follows them.
IMAGE_CMD:bothyroot () {
    out=${IMGDEPLOYDIR}/${IMAGE_NAME}.bothyroot
    export SOURCE_DATE_EPOCH=$(stat -c %Y ${IMAGE_ROOTFS})
    mksquashfs ${IMAGE_ROOTFS} $out -noappend -no-progress -no-xattrs -comp zstd -Xcompression-level 9 -b 128K
    size=$(od -An -tu8 -j40 -N8 $out | tr -d ' ')
    blocks=$(expr \( $size + 4095 \) / 4096)
    at=$(expr $blocks \* 4096)
    truncate -s $at $out
    veritysetup format --salt=- --uuid=b0714131-0000-4000-8000-000000000003 --data-blocks=$blocks --hash-offset=$at \
        --root-hash-file=${IMGDEPLOYDIR}/${IMAGE_NAME}.roothash $out $out
    chmod 0644 ${IMGDEPLOYDIR}/${IMAGE_NAME}.roothash
    ln -sf ${IMAGE_NAME}.roothash ${IMGDEPLOYDIR}/${IMAGE_LINK_NAME}.roothash
    bothy_fits $out root-a
}

# Not compressed: kernel and initramfs are, and the boot loader is slow at it.
IMAGE_CMD:bothyboot () {
    out=${IMGDEPLOYDIR}/${IMAGE_NAME}.bothyboot
    rm -rf ${WORKDIR}/bothy-boot
    mkdir ${WORKDIR}/bothy-boot
    cp -L ${DEPLOY_DIR_IMAGE}/${KERNEL_IMAGETYPE} ${WORKDIR}/bothy-boot/vmlinuz
    cp -L ${DEPLOY_DIR_IMAGE}/${BOTHY_INITRAMFS}${IMAGE_MACHINE_SUFFIX}.cpio.zst ${WORKDIR}/bothy-boot/initrd.img
    bothy_environment_block bothy_roothash=$(cat ${IMGDEPLOYDIR}/${IMAGE_NAME}.roothash) >${WORKDIR}/bothy-boot/slot.env
    export SOURCE_DATE_EPOCH=$(stat -c %Y ${IMAGE_ROOTFS})
    mksquashfs ${WORKDIR}/bothy-boot $out -noappend -no-progress -no-xattrs -all-root -noI -noD -noF -noX -no-fragments
    bothy_fits $out boot-a
}

IMAGE_CMD:bothyesp () {
    out=${IMGDEPLOYDIR}/${IMAGE_NAME}.bothyesp
    rm -f $out
    truncate -s $(bothy_mib_of esp)M $out
    mformat -i $out -F -v ESP -N b0714131 ::
    mmd -i $out ::/EFI ::/EFI/BOOT ::/EFI/bothy
    mcopy -i $out ${DEPLOY_DIR_IMAGE}/bothy-grub.efi ::/EFI/BOOT/BOOTX64.EFI
    bothy_environment_block bothy_slot=A bothy_slot_try= 'bothy_args=${BOTHY_ARGS}' bothy_args_try= bothy_try=0 bothy_install=0 \
        >${WORKDIR}/bothy-grubenv
    mcopy -i $out ${WORKDIR}/bothy-grubenv ::/EFI/bothy/grubenv
}

# bothy_environment_block NAME=VALUE...: GRUB's form, 1024 bytes, filled up with #.
bothy_environment_block () {
    {
        printf '# GRUB Environment Block\n'
        printf '%s\n' "$@"
        printf '%1024s' '' | tr ' ' '#'
    } | head -c 1024
}

bothy_mib_of () {
    awk -v name="$1" '$1 == name { print $2 + 0 }' ${BOTHY_IMAGE_DIR}/files/usr/lib/bothy/layout
}

# bothy_fits FILE SLOT: a slot never grows, so an image leaves it room for those to come.
bothy_fits () {
    mib=$(expr $(stat -c %s $1) / 1048576 + 1)
    slot=$(bothy_mib_of $2)
    [ $mib -le $slot ] || bbfatal "$1 has $mib MiB, and its slot $slot"
    [ $(expr $mib \* 3 / 2) -le $slot ] || bbwarn "$1 has $mib MiB of the $slot of its slot"
}

BOTHY_LAYOUT_CHECKSUM = "${BOTHY_IMAGE_DIR}/files/usr/lib/bothy/layout:True"
do_image_bothyroot[file-checksums] += "${BOTHY_LAYOUT_CHECKSUM}"
do_image_bothyboot[file-checksums] += "${BOTHY_LAYOUT_CHECKSUM}"
do_image_bothyesp[file-checksums] += "${BOTHY_LAYOUT_CHECKSUM}"
