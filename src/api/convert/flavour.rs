//! ChangeVnfFlavourRequest (SOL003 5.5.2.7) as the domain takes it, and what of the change an op-occ shows.

use super::{
    kept, params,
    request::{Faults, attachments, ssh_keys},
    vnf::Dialect,
};
use crate::{
    model::{
        domain::{DomainDisk, DomainSpec},
        error::Result,
        id::SegmentId,
        step::{Gone, PlanStep, Shed, Step, VnfStep},
    },
    sol::{
        common::KeyValuePairs,
        vnflcm::{
            AffectedVirtualLink, AffectedVirtualStorage, AffectedVnfc, ChangeType, ChangeVnfFlavourRequest, LinkChangeType, ResourceChanges,
        },
    },
    vnfm::remake::{ChangeFlavour, With},
};

pub fn request(mut r: ChangeVnfFlavourRequest) -> Result<ChangeFlavour> {
    let mut faults = Faults::default();
    faults.refuse(
        !r.ext_managed_virtual_links.is_empty(),
        "extManagedVirtualLinks",
        "not offered: Bothy makes the links inside a VNF itself; leave the member out",
    );
    let attach = attachments(&r.ext_virtual_links, &mut faults);
    let request = kept::text(&r)?;
    let mut given = std::mem::take(&mut r.additional_params);
    let ssh_keys = ssh_keys(&mut given, "additionalParams", &mut faults);
    let done = ChangeFlavour {
        flavour: r.new_flavour_id.into(),
        level: r.instantiation_level_id.map(Into::into),
        with: With { attach, params: params(&given), ssh_keys, request },
    };
    faults.end("ChangeVnfFlavourRequest", done)
}

/// Guests that are made anew or removed, disks that come, grow or go, and links that go. What comes is told as of every
/// operation.
pub fn affected(steps: &[PlanStep], changes: &mut ResourceChanges) {
    for s in steps {
        match &s.step {
            Step::Vnf(VnfStep::Redefine { before, after }) => redefined(before, after, steps, changes),
            Step::Vnf(VnfStep::Shed(s)) => shed(s, changes),
            Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => {}
        }
    }
}

fn redefined(before: &DomainSpec, after: &DomainSpec, steps: &[PlanStep], changes: &mut ResourceChanges) {
    let not_in = |a: &DomainSpec, b: &DomainSpec| -> Vec<DomainDisk> {
        a.disks.iter().filter(|d| b.disks.iter().all(|e| e.id != d.id)).cloned().collect()
    };
    let ids = |disks: &[DomainDisk]| disks.iter().map(|d| d.id.to_string()).collect();
    let (new, old) = (not_in(after, before), not_in(before, after));
    changes.affected_vnfcs.push(AffectedVnfc {
        id: after.id.to_string(),
        vdu_id: after.owner.vdu.to_string(),
        vnfd_id: None,
        change_type: ChangeType::Modified,
        compute_resource: Dialect::Sol003.handle(after.id.to_string(), "domain"),
        resource_definition_id: None,
        zone_id: None,
        metadata: KeyValuePairs::new(),
        affected_vnfc_cp_ids: after.nics.iter().map(|n| n.port.to_string()).collect(),
        added_storage_resource_ids: ids(&new),
        removed_storage_resource_ids: ids(&old),
    });
    let grown =
        after.disks.iter().filter(|d| steps.iter().any(|s| matches!(&s.step, Step::Vnf(VnfStep::Grow { disk, .. }) if *disk == d.id)));
    let all = new.iter().map(|d| (d, ChangeType::Added)).chain(grown.map(|d| (d, ChangeType::Modified)));
    changes.affected_virtual_storages.extend(all.map(|(d, how)| storage(d.id.to_string(), &d.serial, how)));
}

fn shed(s: &Shed, changes: &mut ResourceChanges) {
    for g in &s.gone {
        if g.whole {
            changes.affected_vnfcs.push(removed(g));
        }
        changes.affected_virtual_storages.extend(g.disks.iter().map(|(id, of)| storage(id.to_string(), of, ChangeType::Removed)));
    }
    let named = s.links.iter().filter(|(_, name)| !name.is_empty());
    changes.affected_virtual_links.extend(named.map(|(id, name)| link(*id, name, LinkChangeType::Removed)));
}

fn removed(g: &Gone) -> AffectedVnfc {
    AffectedVnfc {
        id: g.vnfc.to_string(),
        vdu_id: g.vdu.to_string(),
        vnfd_id: None,
        change_type: ChangeType::Removed,
        compute_resource: Dialect::Sol003.handle(g.vnfc.to_string(), "domain"),
        resource_definition_id: None,
        zone_id: None,
        metadata: KeyValuePairs::new(),
        affected_vnfc_cp_ids: g.ports.iter().map(|(id, _)| id.to_string()).collect(),
        added_storage_resource_ids: Vec::new(),
        removed_storage_resource_ids: g.disks.iter().map(|(id, _)| id.to_string()).collect(),
    }
}

fn storage(id: String, of: &str, change_type: ChangeType) -> AffectedVirtualStorage {
    AffectedVirtualStorage {
        storage_resource: Dialect::Sol003.handle(id.clone(), "disk"),
        id,
        virtual_storage_desc_id: of.to_owned(),
        vnfd_id: None,
        change_type,
        resource_definition_id: None,
        zone_id: None,
        metadata: KeyValuePairs::new(),
    }
}

pub(super) fn link(id: SegmentId, name: &str, change_type: LinkChangeType) -> AffectedVirtualLink {
    AffectedVirtualLink {
        id: id.to_string(),
        vnf_virtual_link_desc_id: name.to_owned(),
        vnfd_id: None,
        change_type,
        network_resource: Dialect::Sol003.handle(id.to_string(), "segment"),
        vnf_link_port_ids: Vec::new(),
        resource_definition_id: None,
        zone_id: None,
        metadata: KeyValuePairs::new(),
    }
}
