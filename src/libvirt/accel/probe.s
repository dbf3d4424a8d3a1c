# Boot sector of the throw-away guest that shows whether KVM really runs guests.
#
# What boot loaders and kernels need and half-working virtualisation has been seen to lack: interrupt
# gates and IRET in 32-bit protected mode, then long mode with paging, gates and IRETQ there. Each
# stage says so on the serial line; the last one switches the guest off by ACPI (Q35's PM1a).
#
#   as --64 probe.s -o probe.o && ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary probe.o -o probe.bin
.code16
.globl _start
_start:
    ljmp $0, $here
here:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7c00, %sp
    lgdt gdtr
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmp $0x10, $protected
.code32
protected:
    movw $0x18, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x7c00, %esp
    # Clear 0x1000..0x5fff: page tables, and at 0x5000 the interrupt table.
    movl $0x1000, %edi
    xorl %eax, %eax
    movl $0x1400, %ecx
    rep stosl
    # Gate 0x30, 32-bit.
    movl $0x00100000 + handler32, 0x5180
    movl $0x00008e00, 0x5184
    lidt idtr
    int $0x30
    # Page tables: the first 2 MiB, mapped onto themselves.
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x0083, 0x3000
    movl $0x1000, %eax
    movl %eax, %cr3
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    # Gate 0x30 again, now 64-bit: 16 bytes each.
    movl $0x00080000 + handler64, 0x5300
    movl $0x00008e00, 0x5304
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmp $8, $long
handler32:
    movb $'3', %al
    movw $0x3f8, %dx
    outb %al, %dx
    iret
.code64
long:
    int $0x30
    leaq text(%rip), %rsi
    movw $0x3f8, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  movw $0x604, %dx
    movw $0x2000, %ax
    outw %ax, %dx
3:  hlt
    jmp 3b
handler64:
    movb $'6', %al
    movw $0x3f8, %dx
    outb %al, %dx
    iretq
text: .asciz " bothy ran\n"
.balign 8, 0
gdt: .quad 0
    .quad 0x00209a0000000000
    .quad 0x00cf9a000000ffff
    .quad 0x00cf92000000ffff
gdtr: .word 31
    .long gdt
idtr: .word 0x7ff
    .long 0x5000
.org 510
.word 0xaa55
