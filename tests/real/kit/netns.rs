//! Network namespaces by thread.
//!
//! A test's thread moves into a namespace of its own; threads and programs it starts afterwards
//! are there as well, so the product needs no parameter for it. The namespace goes when the last
//! of them and every `Peer` is gone.

use std::{fs::File, os::fd::AsRawFd};

use nix::sched::{CloneFlags, setns, unshare};

use super::sh;

/// Moves the calling thread into a new, empty namespace (with its loopback up).
pub fn enter_new() {
    unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace (root?)");
    sh(&["ip", "link", "set", "lo", "up"]);
}

/// Another namespace, as a neighbour of the test's.
pub struct Peer {
    ns: File,
}

impl Peer {
    pub fn new() -> Peer {
        let make = || {
            enter_new();
            File::open("/proc/thread-self/ns/net").expect("the namespace's file")
        };
        let ns = std::thread::scope(|s| s.spawn(make).join().expect("a thread"));
        Peer { ns }
    }

    /// Runs `f` on a thread inside.
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(&self.ns, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
            f()
        };
        std::thread::scope(|s| s.spawn(inside).join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
    }

    /// A veth pair: `here` in the caller's namespace (up), `there` inside (up, with addresses).
    pub fn connect(&self, here: &str, there: &str, mac: Option<&str>, addresses: &[&str]) {
        let ns = format!("/proc/{}/fd/{}", std::process::id(), self.ns.as_raw_fd());
        sh(&["ip", "link", "add", here, "type", "veth", "peer", "name", there]);
        sh(&["ip", "link", "set", there, "netns", &ns]);
        sh(&["ip", "link", "set", here, "up"]);
        self.run(|| {
            if let Some(mac) = mac {
                sh(&["ip", "link", "set", there, "address", mac]);
            }
            for a in addresses {
                let mut add = vec!["ip", "address", "add", a, "dev", there];
                add.extend(a.contains(':').then_some("nodad"));
                sh(&add);
            }
            sh(&["ip", "link", "set", there, "up"]);
        });
    }

    pub fn pings(&self, to: &str) -> bool {
        self.run(|| pings(to))
    }
}

/// Whether `to` answers one of a few pings from the caller's namespace.
pub fn pings(to: &str) -> bool {
    let program = if to.contains(':') { "ping6" } else { "ping" };
    (0..3).any(|_| super::try_sh(&["busybox", program, "-c", "1", "-W", "1", to]).0)
}
