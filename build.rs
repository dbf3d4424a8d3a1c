//! What the linker does for the size of the release binary, and nothing else.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    // rust-lld is the linker of this target alone; elsewhere, in a Yocto build too, another may not know these.
    if is("PROFILE", "release") && is("TARGET", "x86_64-unknown-linux-gnu") {
        // Functions whose machine code is the same are kept once: generic code for types of one layout.
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
        // Relocations of vtables in a bitmap: glibc reads that from 2.36 on, which is Debian 12's.
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
