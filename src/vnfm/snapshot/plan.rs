//! Plans of CREATE_SNAPSHOT and REVERT_TO_SNAPSHOT. Pure.
//!
//! ```text
//! create:  Capture                  revert, per guest:  Stop -> RevertDisk* -> (all guests') -> Start -> Ready
//! ```
//! A guest is found in the snapshot by its VDU and number, and a disk by its descriptor: one that was healed since
//! has other ids and the same place. Never: the store, the ports.

use std::collections::BTreeSet;

use crate::model::tree::set;
use crate::{
    model::{
        error::{Fault, Result},
        id::{DiskId, OpId, SnapshotId},
        snapshot::{DiskCopy, GuestCopy, Taken},
        step::{Captured, PlanStep, VnfStep},
        time::Dice,
        vnf::{Body, RunState, Vnfc},
        vnfd::Flavour,
    },
    vnfm::{
        operate::start_steps,
        plan::{Steps, fresh_uuid},
    },
};

/// The guests with the names of their copies, and the one step that makes these.
pub fn capture(body: &Body, snapshot: SnapshotId, op: OpId, dice: &dyn Dice) -> Result<(Vec<GuestCopy>, Vec<PlanStep>)> {
    if body.vnfcs.iter().all(|c| c.disks.is_empty()) {
        return Err(Fault::conflict("the VNF has no disks: there is nothing to take a snapshot of"));
    }
    let guests: Vec<GuestCopy> = body.vnfcs.iter().map(|c| guest(c, dice)).collect();
    let named = |g: &GuestCopy| Captured { vnfc: g.vnfc, disks: g.disks.iter().map(|d| (d.disk, d.copy)).collect() };
    let mut steps = Steps::new(op);
    steps.vnf(VnfStep::Capture { snapshot, guests: guests.iter().map(named).collect() }, &[]);
    Ok((guests, steps.into_vec()))
}

fn guest(c: &Vnfc, dice: &dyn Dice) -> GuestCopy {
    let disks = c.disks.iter().map(|d| DiskCopy {
        disk: d.id,
        copy: DiskId(fresh_uuid(dice)),
        storage: d.storage.clone(),
        size: d.size,
        base: d.base,
        bytes: None,
    });
    GuestCopy { vnfc: c.id, vdu: c.vdu.clone(), index: c.index, frozen: false, disks: disks.collect() }
}

/// Guests start once the disks of all are back: they are of one moment.
pub fn revert(
    body: &Body,
    taken: &Taken,
    snapshot: SnapshotId,
    flavour: Option<&Flavour>,
    op: OpId,
    dice: &dyn Dice,
) -> Result<Vec<PlanStep>> {
    let reasons = differences(body, taken);
    if !reasons.is_empty() {
        return Err(Fault::conflict("the VNF has not the guests and disks that it had when the snapshot was taken").with_reasons(reasons));
    }
    let mut steps = Steps::new(op);
    let mut reverted = Vec::new();
    for c in &body.vnfcs {
        let stop = steps.vnf(VnfStep::Stop { vnfc: c.id, graceful_s: None }, &[]);
        let of = taken.guests.iter().filter(|g| is_of(g, c)).flat_map(|g| &g.disks);
        for copy in of {
            for d in c.disks.iter().filter(|d| d.storage == copy.storage) {
                let kept = DiskId(fresh_uuid(dice));
                reverted.push(steps.vnf(VnfStep::RevertDisk { snapshot, vnfc: c.id, disk: d.id, copy: copy.copy, kept }, &[stop]));
            }
        }
    }
    if body.run == RunState::Started {
        for c in &body.vnfcs {
            start_steps(&mut steps, c, flavour, &reverted);
        }
    }
    Ok(steps.into_vec())
}

fn is_of(g: &GuestCopy, c: &Vnfc) -> bool {
    g.vdu == c.vdu && g.index == c.index
}

/// Where the VNF as it is and the snapshot do not fit.
fn differences(body: &Body, taken: &Taken) -> Vec<String> {
    let now: BTreeSet<_> = set(body.vnfcs.iter().map(|c| (c.vdu.as_str(), c.index)));
    let then: BTreeSet<_> = set(taken.guests.iter().map(|g| (g.vdu.as_str(), g.index)));
    let name = |(vdu, index): &(&str, u32)| format!("{vdu}/{index}");
    let mut reasons: Vec<String> = then.difference(&now).map(|g| format!("guest {} is no more: scale the VNF out", name(g))).collect();
    reasons.extend(now.difference(&then).map(|g| format!("guest {} was not there then: scale the VNF in", name(g))));
    if now.len() < body.vnfcs.len() {
        reasons.push("a guest is there twice, since a healing was given up: heal it".into());
    }
    for (c, g) in body.vnfcs.iter().filter_map(|c| Some((c, taken.guests.iter().find(|g| is_of(g, c))?))) {
        for d in &c.disks {
            let at = format!("disk {} of guest {}/{}", d.storage, c.vdu, c.index);
            match g.disks.iter().find(|k| k.storage == d.storage) {
                None => reasons.push(format!("{at} was not there then")),
                Some(k) if k.size != d.size => reasons.push(format!("{at} has {}, and had {}", d.size, k.size)),
                Some(k) if k.base != d.base => reasons.push(format!("{at} stands on another image now")),
                Some(_) => {}
            }
        }
        let gone = g.disks.iter().filter(|k| c.disks.iter().all(|d| d.storage != k.storage));
        reasons.extend(gone.map(|k| format!("disk {} of guest {}/{} is no more", k.storage, c.vdu, c.index)));
    }
    reasons
}
