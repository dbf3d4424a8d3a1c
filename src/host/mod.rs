//! The host's own hands: files of images, disks and media; programs, netlink, nftables, dnsmasq; sysfs.
//!
//! Owns: the adapters behind `vim::port::{Images, HostNet, Hardware}` `update::port::Slots` and
//! `hostnet::port::{NetDaemon, WaysOut}`. Never: decides an address, a name or a rule; never passes a string through a shell.

pub mod ballast;
pub mod capture;
pub mod clock;
pub mod copies;
pub mod dhcp;
pub mod dnsmasq;
pub(crate) mod durable;
mod efi;
pub mod exec;
pub mod facts;
mod grubenv;
pub mod hardware;
pub mod images;
pub mod media;
pub mod net;
pub mod netlink;
pub mod networkd;
pub mod nft;
pub mod notes;
pub mod openssl;
pub mod probe;
mod qcow2;
mod rauc;
mod report;
pub mod slots;
mod sriov;

pub use hardware::LinuxHardware;
pub use net::LinuxNet;
pub use networkd::Networkd;
pub use probe::LinuxWays;
pub use slots::LinuxSlots;

/// Whether these programs are here; says so where they are not. `BOTHY_REQUIRE=all` makes that a
/// failure, so that CI cannot skip in silence.
#[cfg(test)]
pub(crate) fn needs(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let has = |program: &str| path.split(':').any(|dir| std::path::Path::new(dir).join(program).exists());
    let missing: Vec<_> = programs.iter().filter(|p| !has(p)).collect();
    if !missing.is_empty() {
        assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "needs {missing:?}");
        eprintln!("SKIP: needs {missing:?}");
    }
    missing.is_empty()
}
