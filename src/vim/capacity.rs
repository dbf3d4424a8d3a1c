//! Whether the box can hold what is asked, and if not, why. Pure.
//!
//! Owns the sums: virtual CPUs, guests' memory with QEMU's overhead, virtual disk sizes; against
//! what the host has, its reserves and the overcommit ratios. Never: where on the host.

use crate::model::order::Order as _;
use crate::model::{
    error::{Fault, Result},
    id::{ProjectId, VnfId},
    place::Held,
    size::MiB,
    vnf::{Reservation, Vnfc},
};

/// How much more may be promised than there is. 1.0 promises nothing that is not there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overcommit {
    pub cpu: f64,
    pub memory: f64,
    pub disk: f64,
}

impl Default for Overcommit {
    fn default() -> Self {
        Overcommit { cpu: 4.0, memory: 1.0, disk: 1.0 }
    }
}

/// What the host has, reserves taken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supply {
    pub cpus: u32,
    pub memory: MiB,
    /// Room for virtual disks: free now, and held by disks already.
    pub disk: MiB,
}

/// What one VNF of the request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub what: String,
    pub vcpus: u32,
    pub memory: MiB,
    pub disk: MiB,
}

/// What a project is asked for: pinned CPUs, large pages and functions too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Whole {
    pub vnfs: u32,
    pub vcpus: u32,
    pub memory: MiB,
    pub disk: MiB,
    pub vfs: u32,
}

/// QEMU's own memory beside the guest's: device models, translation or page tables (1/64 of the
/// guest's) and buffers. Measured at 60 to 90 MiB for small guests.
pub fn qemu_overhead(guest: MiB) -> MiB {
    MiB(96 + guest.0 / 64)
}

/// What these guests take of what all share; `placed` is what some have for themselves.
pub fn reservation(vnf: VnfId, project: ProjectId, guests: &[&Vnfc], placed: Vec<Held>) -> Reservation {
    let mut vcpus: u32 = guests.iter().map(|c| c.vcpus).sum();
    let mut memory = guests.iter().fold(MiB(0), |m, c| m.plus(c.memory).plus(qemu_overhead(c.memory)));
    // A guest whose change was given up has two places, and is counted once.
    let first = |(n, h): &(usize, &Held)| placed[..*n].iter().all(|o| o.guest != h.guest);
    let of_these = placed.iter().enumerate().filter(first).filter(|(_, h)| guests.iter().any(|c| c.id == h.guest));
    for (_, h) in of_these {
        let (pinned, large) = h.own();
        vcpus = vcpus.saturating_sub(pinned);
        memory = MiB(memory.0.saturating_sub(large.0));
    }
    let mut disks: Vec<_> = guests.iter().flat_map(|c| &c.disks).map(|d| (d.id, d.size)).collect();
    disks.order_by_key(|(id, _)| *id);
    disks.dedup_by_key(|(id, _)| *id);
    let disk = disks.into_iter().fold(MiB(0), |m, (_, size)| m.plus(size));
    Reservation { vnf, project, vcpus, memory, disk, placed }
}

/// What is promised, and of how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub limit: u64,
    pub taken: u64,
}

impl Usage {
    pub fn free(&self) -> u64 {
        self.limit.saturating_sub(self.taken)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub vcpus: Usage,
    pub memory: Usage,
    pub disk: Usage,
}

pub fn account<'a>(supply: Supply, over: Overcommit, taken: impl IntoIterator<Item = &'a Reservation>) -> Account {
    let limit = |n: u64, f: f64| (n as f64 * f).floor() as u64;
    let mut a = Account {
        vcpus: Usage { limit: limit(u64::from(supply.cpus), over.cpu), taken: 0 },
        memory: Usage { limit: limit(supply.memory.0, over.memory), taken: 0 },
        disk: Usage { limit: limit(supply.disk.0, over.disk), taken: 0 },
    };
    for r in taken {
        a.vcpus.taken += u64::from(r.vcpus);
        a.memory.taken += r.memory.0;
        a.disk.taken += r.disk.0;
    }
    a
}

/// All of the request or none of it; a refusal gives a reason for each thing that is short, and
/// which VNF it fell on.
pub fn check(mut account: Account, needs: &[Need]) -> Result<Account> {
    let mut reasons = Vec::new();
    for n in needs {
        let mut short = Vec::new();
        let mut take = |name: &str, unit: &str, u: &mut Usage, want: u64| {
            if want > u.free() {
                short.push(format!("{name}: {want}{unit} wanted, {} of {}{unit} free", u.free(), u.limit));
            }
            u.taken += want;
        };
        take("vCPUs", "", &mut account.vcpus, u64::from(n.vcpus));
        take("memory", " MiB", &mut account.memory, n.memory.0);
        take("disk", " MiB", &mut account.disk, n.disk.0);
        if !short.is_empty() {
            reasons.push(format!("{}: {}", n.what, short.join(", ")));
        }
    }
    if reasons.is_empty() { Ok(account) } else { Err(Fault::capacity("the box has not enough room").with_reasons(reasons)) }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::id::{ProjectId, VnfId};

    const SUPPLY: Supply = Supply { cpus: 2, memory: MiB(1000), disk: MiB(5000) };

    fn need(what: &str, vcpus: u32, memory: u64, disk: u64) -> Need {
        Need { what: what.into(), vcpus, memory: MiB(memory), disk: MiB(disk) }
    }

    #[test]
    fn a_refusal_names_each_vnf_and_each_thing_that_is_short() {
        let held = Reservation {
            vnf: VnfId(Uuid::nil()),
            project: ProjectId::DEFAULT,
            vcpus: 4,
            memory: MiB(600),
            disk: MiB(0),
            placed: Vec::new(),
        };
        let a = account(SUPPLY, Overcommit::default(), [&held]);
        let e = check(a, &[need("fw", 2, 300, 100), need("web", 3, 300, 4950)]).expect_err("too much");
        assert_eq!(
            e.reasons(),
            [
                "web: vCPUs: 3 wanted, 2 of 8 free, memory: 300 MiB wanted, 100 of 1000 MiB free, disk: 4950 MiB wanted, 4900 of 5000 MiB free"
            ]
        );
    }

    #[test]
    fn overcommit_multiplies_what_may_be_promised() {
        let over = Overcommit { cpu: 1.0, memory: 2.0, disk: 1.0 };
        let a = account(SUPPLY, over, []);
        assert!(check(a, &[need("a", 2, 2000, 5000)]).is_ok());
        assert!(check(a, &[need("a", 3, 1, 1)]).is_err());
    }
}
