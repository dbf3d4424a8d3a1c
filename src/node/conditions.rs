//! The conditions the health page shows: store, libvirt, Open vSwitch, accelerator, reconciled, functions, shutdown, tunnels that are
//! watched, the SDN controllers where there are any, and the system of a box with slots.
//!
//! Asked when the page is; an answer that does not come is a condition, never a failed page.

use std::collections::BTreeSet;

use super::core::Core;
use crate::{
    model::{
        error::Result,
        health::{Condition, ConditionState},
        place::Missed,
        tunnel::RemoteEnd,
    },
    vim::port::Accel,
};

pub fn conditions(core: &Core) -> Vec<Condition> {
    let answer = |name: &str, r: Result<String>| match r {
        Ok(text) => Condition::new(name, ConditionState::Ok, text),
        Err(fault) => Condition::new(name, ConditionState::Failed, fault.detail()),
    };
    let libvirt = answer("libvirt", core.ports.hypervisor.health());
    let accel = match libvirt.state {
        ConditionState::Ok => accel(core),
        ConditionState::Pending | ConditionState::Failed => {
            Condition::new("accel", ConditionState::Pending, "not known until libvirt answers")
        }
    };
    let switch = answer("openvswitch", core.ports.fabric.health());
    let mut all = vec![store(core), libvirt, switch, accel, reconciled(core), functions(core), shutdown(core)];
    all.extend(tunnels(core));
    all.extend(sdn(core));
    all.extend(core.own_net().uplinks().condition());
    all.extend(system(core));
    all
}

fn system(core: &Core) -> Option<Condition> {
    match core.update().status() {
        Ok(status) => super::system::condition(&status),
        Err(fault) => Some(Condition::new("system", ConditionState::Failed, format!("the boot loader's block: {}", fault.detail()))),
    }
}

/// Remote ends of tunnels, where they are watched.
fn tunnels(core: &Core) -> Option<Condition> {
    let (state, text) = match core.ports.fabric.remotes().map(|all| all.into_iter().filter(|e| e.known).collect::<Vec<_>>()) {
        Ok(all) if all.is_empty() => return None,
        Ok(all) => {
            let silent =
                |e: &RemoteEnd| Some(format!("remote end {} of tunnel {} does not answer: {}", e.remote, e.tunnel, e.silent.as_ref()?));
            // One of several links says it.
            let bad: BTreeSet<String> = all.iter().filter_map(silent).collect();
            let ends: BTreeSet<_> = all.iter().map(|e| (&e.tunnel, e.remote)).collect();
            match bad.is_empty() {
                true => (ConditionState::Ok, format!("{} remote ends of tunnels answer", ends.len())),
                false => (ConditionState::Failed, bad.into_iter().collect::<Vec<_>>().join("; ")),
            }
        }
        Err(fault) => (ConditionState::Pending, fault.detail()),
    };
    Some(Condition::new("tunnels", state, text))
}

/// Links on switches outside the box.
fn sdn(core: &Core) -> Option<Condition> {
    let (state, text) = match core.outside.health() {
        Ok(None) => return None,
        Ok(Some((all, bad))) if bad.is_empty() => (ConditionState::Ok, format!("{all} links are on switches outside the box")),
        Ok(Some((_, bad))) => (ConditionState::Failed, bad.join("; ")),
        Err(fault) => (ConditionState::Failed, fault.detail()),
    };
    Some(Condition::new("sdn", state, text))
}

fn accel(core: &Core) -> Condition {
    let why = match core.ports.hypervisor.accel_why() {
        Ok(why) => why,
        Err(fault) if fault.is_transient() => return Condition::new("accel", ConditionState::Pending, fault.detail()),
        Err(fault) => return Condition::new("accel", ConditionState::Failed, fault.detail()),
    };
    let text = match core.ports.hypervisor.accel() {
        Accel::Kvm => format!("guests run under KVM: {why}"),
        Accel::Tcg => format!("guests are emulated, many times slower: {why}"),
    };
    Condition::new("accel", ConditionState::Ok, text)
}

fn store(core: &Core) -> Condition {
    let store = core.vnfm().store();
    match store.stats() {
        Ok(_) if store.is_restored() => Condition::new(
            "store",
            ConditionState::Ok,
            format!(
                "open, restored as generation {}: what it does not know is left alone until an operator has looked (bothy host guests, bothy store acknowledge)",
                store.generation()
            ),
        ),
        Ok(_) => Condition::new("store", ConditionState::Ok, format!("open, generation {}", store.generation())),
        Err(f) => Condition::new("store", ConditionState::Failed, f.detail()),
    }
}

/// Functions of the host that guests were given.
fn functions(core: &Core) -> Condition {
    let lost = core.reconciled().lost;
    if lost.is_empty() {
        return Condition::new("functions", ConditionState::Ok, "guests have the PCI functions that they were given");
    }
    Condition::new("functions", ConditionState::Failed, lost.iter().map(Missed::text).collect::<Vec<_>>().join(", "))
}

/// A host that was told to go down, and is still there.
fn shutdown(core: &Core) -> Condition {
    let Some(d) = core.vnfm().draining() else {
        return Condition::new("shutdown", ConditionState::Ok, "guests are looked after");
    };
    let seconds = core.vnfm().clock().now().0.saturating_sub(d.since.0) / 1000;
    if d.under_way > 0 {
        let text = format!("guests are asked to stop since {seconds} s, because the host goes down");
        return Condition::new("shutdown", ConditionState::Pending, text);
    }
    let text = format!(
        "guests were stopped {seconds} s ago because the host goes down: none is started or healed by itself, and none is an alarm, until it has, a VNF is started by hand, or it is called off (bothy host-shutdown --undo)"
    );
    Condition::new("shutdown", ConditionState::Failed, text)
}

fn reconciled(core: &Core) -> Condition {
    let r = core.reconciled();
    if let Some(why) = r.waiting {
        return Condition::new("reconciled", ConditionState::Failed, why);
    }
    let Some(found) = r.last else {
        return Condition::new("reconciled", ConditionState::Pending, "the host is being looked at");
    };
    let mut text = format!("{} guests run as they should", found.running + found.started);
    let missed = found.missed();
    if !missed.is_empty() {
        text += &format!(
            ", {} do not: {}",
            missed.len(),
            missed.iter().map(|(id, why)| format!("{id} ({why})")).collect::<Vec<_>>().join(", ")
        );
    }
    if !found.off.is_empty() {
        text += &format!(", {} went off by themselves", found.off.len());
    }
    if !found.quarantined.is_empty() {
        text += &format!(", {} are not known to this store and left alone (bothy host guests)", found.quarantined.len());
    }
    if !found.drift.is_empty() {
        text += &format!(", not as it was given: {}", found.drift.join("; "));
    }
    if !r.paused.is_empty() {
        text += &format!(", {} are paused by a full disk", r.paused.len());
    }
    let fine = missed.is_empty() && r.paused.is_empty();
    Condition::new("reconciled", if fine { ConditionState::Ok } else { ConditionState::Failed }, text)
}
