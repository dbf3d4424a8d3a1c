//! The two sides of a VNF that comes to another flavour or package, together and each alone. Pure.
//!
//! Owns what the instance names meanwhile, what it takes of the box, and what becomes of each disk. Never: what is done to it (`plan`).

use smol_str::{SmolStr, format_smolstr};

use crate::{
    model::{
        size::MiB,
        vnf::{Body, Reservation, Side, Vnfc},
    },
    vim::capacity::reservation,
};

/// What is of either: nothing exists that the record does not name. Otherwise it is as before.
pub fn union(before: &Body, after: &Body) -> Body {
    let mut all = before.clone();
    for c in &after.vnfcs {
        let Some(had) = all.vnfcs.iter_mut().find(|h| h.id == c.id) else {
            all.vnfcs.push(c.clone());
            continue;
        };
        had.medium |= c.medium;
        // It may run as either from now on.
        had.vcpus = had.vcpus.max(c.vcpus);
        had.memory = MiB(had.memory.0.max(c.memory.0));
        let ports = c.ports.iter().filter(|p| had.ports.iter().all(|q| q.id != p.id)).cloned().collect::<Vec<_>>();
        had.ports.extend(ports);
        for d in &c.disks {
            match had.disks.iter_mut().find(|h| h.id == d.id) {
                // It may have been enlarged, however the operation ends.
                Some(h) => h.size = MiB(h.size.0.max(d.size.0)),
                None => had.disks.push(d.clone()),
            }
        }
    }
    let links = after.links.iter().filter(|l| !before.links.contains(l)).cloned();
    all.links.extend(links);
    all.own_segments.extend(after.own_segments.iter().filter(|s| !before.own_segments.contains(s)));
    for e in &after.ext_cps {
        match all.ext_cps.iter_mut().find(|h| h.id == e.id) {
            Some(had) => had.ports.extend(e.ports.iter().filter(|p| !before.ext_cps.iter().any(|b| b.ports.contains(p)))),
            None => all.ext_cps.push(e.clone()),
        }
    }
    all
}

/// What it takes while it comes from one side to the other: the larger of what guests share, and either one's places.
pub fn meanwhile(before: &Reservation, after: &Reservation, both: &Body) -> Reservation {
    let disk = reservation(before.vnf, before.project, &both.vnfcs.iter().collect::<Vec<_>>(), Vec::new()).disk;
    let new = after.placed.iter().filter(|h| !before.placed.contains(h)).cloned();
    Reservation {
        vcpus: before.vcpus.max(after.vcpus),
        memory: MiB(before.memory.0.max(after.memory.0)),
        disk,
        placed: before.placed.iter().cloned().chain(new).collect(),
        ..before.clone()
    }
}

/// What one side takes by itself.
pub fn alone(of: &Reservation, side: &Side) -> Reservation {
    reservation(of.vnf, of.project, &side.body.vnfcs.iter().collect::<Vec<_>>(), side.placed.clone())
}

/// What becomes of a disk of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// With all that is on it.
    Kept,
    /// The same, and larger.
    Grown,
    /// Made from another image: what was on it goes.
    Anew,
    Added,
    Removed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FateOfDisk {
    /// For people: `vdu/0`.
    pub guest: SmolStr,
    pub storage: SmolStr,
    pub fate: Fate,
}

/// What becomes of all disks, guest by guest.
pub fn fates(before: &Body, after: &Body) -> Vec<FateOfDisk> {
    let mut all = Vec::new();
    let mut tell = |c: &Vnfc, storage: &SmolStr, fate| {
        all.push(FateOfDisk { guest: format_smolstr!("{}/{}", c.vdu, c.index), storage: storage.clone(), fate });
    };
    let disks = |c: Option<&Vnfc>| c.map(|c| c.disks.clone()).unwrap_or_default();
    for c in &after.vnfcs {
        let was = disks(before.vnfc(c.id));
        for d in &c.disks {
            let fate = match was.iter().find(|w| w.storage == d.storage) {
                None => Fate::Added,
                Some(w) if w.id != d.id => Fate::Anew,
                Some(w) if w.size < d.size => Fate::Grown,
                Some(_) => Fate::Kept,
            };
            tell(c, &d.storage, fate);
        }
    }
    for c in &before.vnfcs {
        let is = disks(after.vnfc(c.id));
        c.disks.iter().filter(|d| is.iter().all(|i| i.storage != d.storage)).for_each(|d| tell(c, &d.storage, Fate::Removed));
    }
    all
}
