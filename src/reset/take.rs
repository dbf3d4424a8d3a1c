//! What is taken back of the host before its records go, by the ports.
//!
//! Owns which things are ours: those that the records name, those that an operation of this store made, and all that lies in
//! our own folders. Each function goes on past what fails and tells it, and may be called again. Never: removes a record.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    hostnet::port::NetDaemon,
    model::{
        chain::Chain,
        error::Result,
        id::{DiskId, IfKind, IfName, SegmentId, VnfcId, if_name},
        op::Operation,
        package::{NsDescriptor, VnfPackage},
        place::Given,
        segment::Segment,
        snapshot::VnfSnapshot,
        vnf::{Reservation, VnfInstance, Vnfc},
    },
    sdn::{connector::Connectors, port::Fabric},
    store::{Durability, Store},
    vim::{
        outside::{Outside, Settings},
        port::{FoundGuest, Hardware, HostNet, Hypervisor, Images, NatTable},
        setup::{Desired as Wanted, Keeper},
    },
};

/// The host's ports.
#[derive(Clone)]
pub struct Hands {
    pub hypervisor: Arc<dyn Hypervisor>,
    pub images: Arc<dyn Images>,
    pub fabric: Arc<dyn Fabric>,
    pub host: Arc<dyn HostNet>,
    pub hardware: Arc<dyn Hardware>,
    pub own_net: Arc<dyn NetDaemon>,
    pub controllers: Arc<dyn Connectors>,
    /// What the configuration says of switches outside.
    pub outside: Settings,
}

/// Does it to each, whatever becomes of the others.
fn each<T>(all: impl IntoIterator<Item = T>, what: impl Fn(&T) -> String, act: impl Fn(&T) -> Result<()>) -> Vec<String> {
    all.into_iter().filter_map(|t| act(&t).err().map(|f| format!("{}: {}", what(&t), f.detail()))).collect()
}

/// Turns a look that failed into the one thing that is left.
fn looked<T: Default>(what: &str, found: Result<T>, left: &mut Vec<String>) -> T {
    found.unwrap_or_else(|f| {
        left.push(format!("{what}: {}", f.detail()));
        T::default()
    })
}

fn bodies(store: &Store) -> Result<Vec<Vnfc>> {
    Ok(store.list::<VnfInstance>()?.into_iter().filter_map(|v| v.body).flat_map(|b| b.vnfcs).collect())
}

pub fn guests(h: &Hands, store: &Store) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let all = bodies(store)?;
    let known: BTreeSet<VnfcId> = all.iter().map(|c| c.id).collect();
    let ops: BTreeSet<_> = store.list::<Operation>()?.iter().chain(&store.list_history::<Operation>()?).map(|o| o.id).collect();
    let media = looked("media", h.images.media(), &mut left);
    let disks = looked("disks", h.images.disks(), &mut left);
    let copies = looked("copies of disks", h.images.copies(), &mut left);
    // Guests that these records do not know, of an older store or another: theirs is not touched.
    let mut strangers = false;
    // A store that never made a guest, on a host without a file of one, does not need a hypervisor to be empty. Records that have
    // gone say nothing of what runs.
    let is_bare = known.is_empty() && ops.is_empty() && media.is_empty() && disks.is_empty() && copies.is_empty();
    if !is_bare {
        let found = looked("guests", h.hypervisor.list(), &mut left);
        let is_ours = |g: &FoundGuest| known.contains(&g.id) || ops.contains(&g.owner.op);
        strangers = found.iter().any(|g| !is_ours(g));
        let ours = found.into_iter().filter(is_ours).map(|g| g.id);
        let ours: BTreeSet<VnfcId> = ours.chain(known.iter().copied()).collect();
        left.extend(each(ours, |id| format!("guest {id}"), |id| h.hypervisor.remove(*id).and_then(|()| h.images.remove_serial_log(*id))));
    }
    // A disk is never taken from under a guest that runs on.
    if !left.is_empty() {
        return Ok(left);
    }
    let named: BTreeSet<DiskId> = all.iter().flat_map(|c| &c.disks).map(|d| d.id).collect();
    let taken: BTreeSet<DiskId> = store.list::<VnfSnapshot>()?.iter().flat_map(VnfSnapshot::copies).map(|c| c.copy).collect();
    let media = media.into_iter().filter(|id| !strangers || known.contains(id));
    left.extend(each(media, |id| format!("medium of guest {id}"), |id| h.images.remove_medium(*id)));
    let disks = disks.into_iter().filter(|id| !strangers || named.contains(id));
    left.extend(each(disks, |id| format!("disk {id}"), |id| h.images.remove_disk(*id)));
    let copies = copies.into_iter().filter(|id| !strangers || taken.contains(id));
    left.extend(each(copies, |id| format!("copy {id}"), |id| h.images.remove_copy(*id)));
    Ok(left)
}

pub fn links(h: &Hands, store: &Store) -> Result<Vec<String>> {
    let mut left = Vec::new();
    let segments = store.list::<Segment>()?;
    let chains = store.list::<Chain>()?;
    let nics: BTreeSet<IfName> = bodies(store)?.iter().flat_map(|c| &c.ports).map(|p| p.ifname.clone()).collect();
    let dhcp = looked("DHCP servers", h.host.list_dhcp(), &mut left);
    if segments.is_empty() && chains.is_empty() && nics.is_empty() && dhcp.is_empty() {
        return Ok(left);
    }
    if let Err(f) = h.fabric.ensure_ready() {
        left.push(format!("the switch: {}", f.detail()));
        return Ok(left);
    }
    left.extend(each(&chains, |c| format!("chain {}", c.nfp), |c| h.fabric.remove_chain(c.id)));
    let mirrors = looked("mirrors", h.fabric.mirrors(), &mut left);
    left.extend(each(mirrors, |m| format!("mirror {m}"), |m| h.fabric.remove_mirror(m)));
    left.extend(each(&segments, |s| format!("link {}", s.link), |s| h.fabric.remove_segment(s.id)));
    let ids: BTreeSet<SegmentId> = segments.iter().map(|s| s.id).collect();
    left.extend(each(dhcp.iter().chain(&ids), |s| format!("DHCP of link {s}"), |s| h.host.remove_dhcp(**s)));
    left.extend(each([()], |()| "address translation".to_owned(), |()| h.host.project_nat(&NatTable::default())));
    let made = [IfKind::Host, IfKind::Patch];
    let own: BTreeSet<IfName> = ids.iter().flat_map(|s| made.map(|k| if_name(k, &s.0))).collect();
    let ports = looked("ports", h.fabric.ports(), &mut left);
    let ours = ports.into_iter().filter(|p| p.segment.is_some_and(|s| ids.contains(&s)) || own.contains(&p.name) || nics.contains(&p.name));
    left.extend(each(ours.map(|p| p.name), |p| format!("port {p}"), |p| h.fabric.remove_port(p)));
    Ok(left)
}

pub fn devices(h: &Hands, store: &Store) -> Result<Vec<String>> {
    let given: Vec<Given> = store.list::<Reservation>()?.into_iter().flat_map(|r| r.placed).flat_map(|p| p.given).collect();
    Ok(each(given, Given::label, |g| match g {
        Given::Vf { before, .. } => h.hardware.release_vf(before),
        Given::Whole { device, before } => h.hardware.release_driver(*device, before.as_ref()),
    }))
}

/// What switches outside the box carry for it.
pub fn outside(h: &Hands, store: &Store) -> Result<Vec<String>> {
    Outside::new(store.clone(), h.controllers.clone(), h.outside.clone()).release()
}

/// The host as it was before the first `bothy host apply`.
pub fn host(h: &Hands, store: &Store) -> Result<Vec<String>> {
    let done = Keeper::new(store.clone(), h.hardware.clone(), Wanted::default()).undo_all()?;
    Ok(done.failed.into_iter().map(|(what, why)| format!("{what}: {why}")).collect())
}

pub fn network(h: &Hands) -> Result<Vec<String>> {
    if !h.own_net.is_ours() {
        return Ok(Vec::new());
    }
    Ok(each([()], |()| "the box's own network".to_owned(), |()| h.own_net.keep(&[]).and_then(|()| h.own_net.show(&[]))))
}

/// Packages whose instances have gone are nobody's.
pub fn users(store: &Store) -> Result<()> {
    let packages = store.list::<VnfPackage>()?;
    let nsds = store.list::<NsDescriptor>()?;
    store.write(Durability::Barrier, |tx| {
        for p in packages.iter().filter(|p| p.users != 0) {
            tx.update::<VnfPackage>(&p.id, |p| {
                p.users = 0;
                Ok(())
            })?;
        }
        for n in nsds.iter().filter(|n| n.users != 0) {
            tx.update::<NsDescriptor>(&n.id, |n| {
                n.users = 0;
                Ok(())
            })?;
        }
        Ok(())
    })
}
