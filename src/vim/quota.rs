//! What a project may still take of the box. Pure.
//!
//! Owns the sums per project against its quota. Never: what the box itself has (`capacity`), or whose
//! request it was.

use crate::model::{
    access::{Project, Quota},
    error::{Fault, Result},
    id::ProjectId,
    vnf::Reservation,
};

use super::capacity::Whole;

/// What a project holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Use {
    /// Instantiated VNFs.
    pub vnfs: u64,
    pub vcpus: u64,
    /// MiB, QEMU's overhead with it.
    pub memory: u64,
    /// MiB.
    pub disk: u64,
    /// Virtual functions.
    pub vfs: u64,
}

pub fn used<'a>(project: ProjectId, taken: impl IntoIterator<Item = &'a Reservation>) -> Use {
    taken.into_iter().filter(|r| r.project == project).fold(Use::default(), |u, r| Use {
        vnfs: u.vnfs + 1,
        vcpus: u.vcpus + u64::from(r.vcpus) + r.placed.iter().map(|h| u64::from(h.own().0)).sum::<u64>(),
        memory: u.memory + r.memory.0 + r.placed.iter().map(|h| h.own().1.0).sum::<u64>(),
        disk: u.disk + r.disk.0,
        vfs: u.vfs + r.placed.iter().map(|h| u64::from(h.vfs())).sum::<u64>(),
    })
}

/// All of the request or none of it; a refusal gives use and limit of each thing that is short.
pub fn check(project: &Project, now: Use, wants: &[Whole]) -> Result<()> {
    let q: &Quota = &project.quota;
    let sum = |f: fn(&Whole) -> u64| wants.iter().map(f).sum::<u64>();
    let short = |what: &str, unit: &str, want: u64, used: u64, limit: Option<u64>| {
        limit.filter(|l| want > 0 && used + want > *l).map(|l| format!("{what}: {want}{unit} wanted, {used} of {l}{unit} used"))
    };
    let reasons: Vec<String> = [
        short("VNFs", "", sum(|n| u64::from(n.vnfs)), now.vnfs, q.vnfs.map(u64::from)),
        short("vCPUs", "", sum(|n| u64::from(n.vcpus)), now.vcpus, q.vcpus.map(u64::from)),
        short("memory", " MiB", sum(|n| n.memory.0), now.memory, q.memory.map(|m| m.0)),
        short("disk", " MiB", sum(|n| n.disk.0), now.disk, q.disk.map(|m| m.0)),
        short("VFs", "", sum(|n| u64::from(n.vfs)), now.vfs, q.vfs.map(u64::from)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Fault::forbidden(format!("the quota of project {} does not allow it", project.name)).with_reasons(reasons))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::model::{id::VnfId, size::MiB, time::Stamp};

    fn project(quota: Quota) -> Project {
        Project { id: ProjectId::DEFAULT, name: "lab".into(), description: String::new(), quota, created: Stamp(0), revision: 1 }
    }
    fn need(vcpus: u32, memory: u64, disk: u64) -> Whole {
        Whole { vnfs: 1, vcpus, memory: MiB(memory), disk: MiB(disk), vfs: 0 }
    }
    fn held(project: ProjectId, n: u32) -> Reservation {
        Reservation { vnf: VnfId(Uuid::nil()), project, vcpus: n, memory: MiB(u64::from(n)), disk: MiB(u64::from(n)), placed: Vec::new() }
    }

    #[test]
    fn a_refusal_states_use_and_limit_of_each_thing_and_counts_only_its_own_project() {
        let other = ProjectId(Uuid::from_u128(9));
        let now = used(ProjectId::DEFAULT, &[held(ProjectId::DEFAULT, 3), held(other, 100)]);
        assert_eq!(now, Use { vnfs: 1, vcpus: 3, memory: 3, disk: 3, vfs: 0 });
        let q = Quota { vnfs: Some(2), vcpus: Some(4), memory: Some(MiB(10)), disk: None, vfs: Some(0) };
        let e = check(&project(q), now, &[need(1, 1, 999), need(1, 9, 999)]).expect_err("too much");
        assert_eq!(
            e.to_string(),
            "the quota of project lab does not allow it: VNFs: 2 wanted, 1 of 2 used; vCPUs: 2 wanted, 3 of 4 used; memory: 10 MiB wanted, 3 of 10 MiB used"
        );
        assert!(check(&project(q), now, &[need(1, 7, 999)]).is_ok());
        assert!(check(&project(Quota::default()), now, &[need(999, 999, 999)]).is_ok());
        let e = check(&project(q), now, &[Whole { vfs: 1, ..need(0, 0, 0) }]).expect_err("no VFs").to_string();
        assert!(e.contains("VFs: 1 wanted, 0 of 0 used"), "{e}");
    }

    proptest! {
        /// Accepted one after the other, requests never go past a limit.
        #[test]
        fn no_row_of_requests_goes_past_a_limit(limit in 0u32..20, asks in prop::collection::vec(0u32..8, 0..20)) {
            let p = project(Quota { vcpus: Some(limit), ..Quota::default() });
            let mut taken: Vec<Reservation> = Vec::new();
            for n in asks {
                if check(&p, used(p.id, &taken), &[need(n, 1, 1)]).is_ok() {
                    taken.push(held(p.id, n));
                }
                prop_assert!(used(p.id, &taken).vcpus <= u64::from(limit));
            }
        }
    }
}
