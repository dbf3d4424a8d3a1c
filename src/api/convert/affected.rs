//! What of a VNF an operation changed, as its op-occ and its notifications tell (SOL003 5.5.2.13, 5.5.3.13 to 5.5.3.17).
//!
//! Never: what of a service did (`ns_affected`).

use super::{connect, flavour, opocc::Around, package, vnf::Dialect};
use crate::{
    model::{
        id::{DiskId, PortId, VnfcId},
        op::{OpKind, OpState, Operation, VnfOpState},
        parts::LinkPart,
        step::{Step, VnfStep},
    },
    sol::{
        common::KeyValuePairs,
        vnflcm::{AffectedVirtualLink, AffectedVirtualStorage, AffectedVnfc, ChangeType, LinkChangeType, ResourceChanges},
    },
};

/// Guests, disks and links that the plan makes, changes or takes away, and ports that it moves.
pub fn changes(op: &Operation, around: &Around) -> Option<ResourceChanges> {
    match op.state {
        OpState::Vnf(VnfOpState::Starting | VnfOpState::RolledBack) => return None,
        OpState::Vnf(
            VnfOpState::Processing | VnfOpState::Completed | VnfOpState::FailedTemp | VnfOpState::Failed | VnfOpState::RollingBack,
        )
        | OpState::Ns(_) => {}
    }
    let mut changes = ResourceChanges::default();
    let added = around.steps.iter().filter_map(|s| match &s.step {
        Step::Vnf(VnfStep::Define(spec)) => Some((&**spec, ChangeType::Added)),
        Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
    });
    for (spec, change_type) in added.chain(around.removed.iter().map(|spec| (spec, ChangeType::Removed))) {
        let storages: Vec<String> = spec.disks.iter().map(|d| d.id.to_string()).collect();
        let (added, removed) = if change_type == ChangeType::Added { (storages, Vec::new()) } else { (Vec::new(), storages) };
        changes.affected_vnfcs.push(AffectedVnfc {
            id: spec.id.to_string(),
            vdu_id: spec.owner.vdu.to_string(),
            vnfd_id: None,
            change_type,
            compute_resource: Dialect::Sol003.handle(spec.id.to_string(), "domain"),
            resource_definition_id: None,
            zone_id: None,
            metadata: KeyValuePairs::new(),
            affected_vnfc_cp_ids: spec.nics.iter().map(|n| n.port.to_string()).collect(),
            added_storage_resource_ids: added,
            removed_storage_resource_ids: removed,
        });
        changes.affected_virtual_storages.extend(spec.disks.iter().map(|d| AffectedVirtualStorage {
            id: d.id.to_string(),
            virtual_storage_desc_id: d.serial.to_string(),
            vnfd_id: None,
            change_type,
            storage_resource: Dialect::Sol003.handle(d.id.to_string(), "disk"),
            resource_definition_id: None,
            zone_id: None,
            metadata: KeyValuePairs::new(),
        }));
    }
    reverted(around, &mut changes);
    if matches!(op.kind, OpKind::ChangeFlavour | OpKind::ChangePackage) {
        flavour::affected(&around.steps, &mut changes);
    }
    links(around, &mut changes);
    package::tell_apart(&around.steps, &mut changes);
    changes.affected_ext_link_ports = connect::affected(&around.steps);
    (changes != ResourceChanges::default()).then_some(changes)
}

/// Links inside the VNF that come or go, and on each the ports that do: an entry for each kind of change, as SOL003 5.5.2.17 has it.
fn links(around: &Around, changes: &mut ResourceChanges) {
    let (mut made, mut taken, mut come, mut gone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for s in &around.steps {
        match &s.step {
            Step::Vnf(VnfStep::Segment(id)) => made.push(*id),
            Step::Vnf(VnfStep::RemoveSegment(id)) => taken.push(*id),
            Step::Vnf(VnfStep::Define(spec)) => come.push(spec.id),
            Step::Vnf(VnfStep::RemoveGuest(id)) => gone.push(*id),
            Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => {}
        }
    }
    for l in &around.parts.links {
        let of = |guests: &[VnfcId]| -> Vec<PortId> { l.ports.iter().filter(|(c, _)| guests.contains(c)).map(|(_, p)| *p).collect() };
        // A guest that is made anew keeps its ports.
        let (mut more, mut less) = (of(&come), of(&gone));
        let kept: Vec<PortId> = more.iter().filter(|p| less.contains(p)).copied().collect();
        more.retain(|p| !kept.contains(p));
        less.retain(|p| !kept.contains(p));
        for (is, change, ports) in [
            (made.contains(&l.segment), LinkChangeType::Added, &[][..]),
            (!more.is_empty(), LinkChangeType::LinkPortAdded, &more),
            (!less.is_empty(), LinkChangeType::LinkPortRemoved, &less),
            (taken.contains(&l.segment), LinkChangeType::Removed, &[]),
        ] {
            if is {
                changes.affected_virtual_links.push(link(l, change, ports));
            }
        }
    }
}

fn link(l: &LinkPart, change_type: LinkChangeType, ports: &[PortId]) -> AffectedVirtualLink {
    AffectedVirtualLink {
        vnf_link_port_ids: ports.iter().map(ToString::to_string).collect(),
        ..flavour::link(l.segment, &l.name, change_type)
    }
}

/// Guests whose disks go back to what a snapshot holds.
fn reverted(around: &Around, changes: &mut ResourceChanges) {
    let disks: Vec<(VnfcId, DiskId)> = around
        .steps
        .iter()
        .filter_map(|s| match &s.step {
            Step::Vnf(VnfStep::RevertDisk { vnfc, disk, .. }) => Some((*vnfc, *disk)),
            Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
        })
        .collect();
    let guests = around.vnf.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs);
    for c in guests.filter(|c| disks.iter().any(|(guest, _)| *guest == c.id)) {
        changes.affected_vnfcs.push(AffectedVnfc {
            id: c.id.to_string(),
            vdu_id: c.vdu.to_string(),
            vnfd_id: None,
            change_type: ChangeType::Modified,
            compute_resource: Dialect::Sol003.handle(c.id.to_string(), "domain"),
            resource_definition_id: None,
            zone_id: None,
            metadata: KeyValuePairs::new(),
            affected_vnfc_cp_ids: Vec::new(),
            added_storage_resource_ids: Vec::new(),
            removed_storage_resource_ids: Vec::new(),
        });
        let back = c.disks.iter().filter(|d| disks.iter().any(|(_, disk)| *disk == d.id));
        changes.affected_virtual_storages.extend(back.map(|d| AffectedVirtualStorage {
            id: d.id.to_string(),
            virtual_storage_desc_id: d.storage.to_string(),
            vnfd_id: None,
            change_type: ChangeType::Modified,
            storage_resource: Dialect::Sol003.handle(d.id.to_string(), "disk"),
            resource_definition_id: None,
            zone_id: None,
            metadata: KeyValuePairs::new(),
        }));
    }
}
