//! ChangeCurrentVnfPkgRequest (SOL003 5.5.2.11a) as the domain takes it, and what of the change an op-occ shows.

use super::{
    kept, params,
    request::{Faults, attachments, ssh_keys},
};
use crate::{
    model::{
        error::Result,
        op::{OpKind, OpState, Operation, VnfOpState},
        step::{PlanStep, Step, VnfStep},
        vnf::PackageChange,
    },
    sol::vnflcm::{ChangeCurrentVnfPkgRequest, ChangeType, LinkChangeType, ResourceChanges, VnfInfoModifications},
    vnfm::remake::{ChangePackage, With},
};

pub fn request(mut r: ChangeCurrentVnfPkgRequest) -> Result<ChangePackage> {
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
    let with = With { attach, params: params(&given), ssh_keys, request };
    faults.end("ChangeCurrentVnfPkgRequest", ChangePackage { vnfd_id: r.vnfd_id.into(), with })
}

fn change(steps: &[PlanStep]) -> Option<&PackageChange> {
    steps.iter().find_map(|s| match &s.step {
        Step::Vnf(VnfStep::Package(change)) => Some(&**change),
        Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
    })
}

/// `modificationsTriggeredByVnfPkgChange` (SOL003 5.5.2.13): what the instance says since it is of another package.
pub fn modified(op: &Operation, steps: &[PlanStep]) -> Option<VnfInfoModifications> {
    if op.kind != OpKind::ChangePackage || op.state != OpState::Vnf(VnfOpState::Completed) {
        return None;
    }
    let PackageChange { before, after } = change(steps)?;
    let other = |was: &str, is: &str| (was != is).then(|| is.to_owned());
    Some(VnfInfoModifications {
        vnfd_id: other(&before.vnfd_id, &after.vnfd_id),
        vnf_provider: other(&before.provider, &after.provider),
        vnf_product_name: other(&before.name, &after.name),
        vnf_software_version: other(&before.software_version, &after.software_version),
        vnfd_version: other(&before.vnfd_version, &after.vnfd_version),
        ..VnfInfoModifications::default()
    })
}

/// Which of the two VNFDs describes what was affected (SOL003 5.5.3.13 and after): what goes is the old one's.
pub fn tell_apart(steps: &[PlanStep], changes: &mut ResourceChanges) {
    let Some(PackageChange { before, after }) = change(steps) else { return };
    let of = |goes: bool| Some(if goes { before } else { after }.vnfd_id.to_string());
    for c in &mut changes.affected_vnfcs {
        c.vnfd_id = of(c.change_type == ChangeType::Removed);
    }
    for s in &mut changes.affected_virtual_storages {
        s.vnfd_id = of(s.change_type == ChangeType::Removed);
    }
    for l in &mut changes.affected_virtual_links {
        l.vnfd_id = of(l.change_type == LinkChangeType::Removed);
    }
}
