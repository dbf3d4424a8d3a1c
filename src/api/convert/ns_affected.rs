//! What of a service an operation changed, as its op-occ and its notifications tell (SOL005 6.5.2.3, 6.5.3.2 to 6.5.3.7).
//!
//! Each part has the result of its own: what is done is COMPLETED, also where the operation as a whole failed.

use super::{members, opocc::Around};
use crate::{
    model::{
        chain::pnf_cp_id,
        id::{NfpId, SegmentId, VnfId},
        op::{NsOpState, OpKind, Operation},
        step::{NsStep, PnfChange, Step},
    },
    sol::nslcm::{
        AffectedNsVirtualLink, AffectedPnf, AffectedSap, AffectedVnf, AffectedVnffg, ChangeResult, NsResourceChanges, NsVlChangeType,
        PartChangeType, VnfChangeType, VnfChangedInfo, VnffgChangeType,
    },
};

/// VNFs, links, access points, forwarding graphs and physical boxes, once their outcome is known.
pub fn changes(op: &Operation, state: NsOpState, around: &Around) -> Option<NsResourceChanges> {
    let result = |index: u32| match state {
        NsOpState::RolledBack => ChangeResult::RolledBack,
        NsOpState::Completed => ChangeResult::Completed,
        NsOpState::Failed | NsOpState::FailedTemp | NsOpState::PartiallyCompleted if around.done.contains(&index) => {
            ChangeResult::Completed
        }
        NsOpState::Failed | NsOpState::FailedTemp | NsOpState::PartiallyCompleted | NsOpState::Processing | NsOpState::RollingBack => {
            ChangeResult::Failed
        }
    };
    if matches!(state, NsOpState::Processing | NsOpState::RollingBack) {
        return None;
    }
    let mut out = Told { around, changes: NsResourceChanges::default() };
    for s in &around.steps {
        let Step::Ns(step) = &s.step else { continue };
        let result = result(s.index);
        match step {
            NsStep::Alter { vnf, .. } | NsStep::Change { vnf, .. } => {
                let what = if op.kind == OpKind::Update { members::change_type(op) } else { Some(altered(op.kind)) };
                out.vnf(*vnf, what, result, None);
            }
            NsStep::Instantiate { vnf, .. } => out.vnf(*vnf, Some(VnfChangeType::Instantiate), result, None),
            NsStep::Terminate { vnf, .. } => out.vnf(*vnf, Some(VnfChangeType::Terminate), result, None),
            NsStep::Segment(id) => out.link(*id, NsVlChangeType::Add, PartChangeType::Add, result),
            NsStep::RemoveSegment(id) => out.link(*id, NsVlChangeType::Delete, PartChangeType::Remove, result),
            NsStep::Chain(id) => out.graph(*id, VnffgChangeType::Add, result),
            NsStep::RemoveChain(id) => out.graph(*id, VnffgChangeType::Delete, result),
            NsStep::Reroute { chain, .. } | NsStep::HandOver { chain, .. } => out.graph(*chain, VnffgChangeType::Modify, result),
            NsStep::Pnf(c) => out.changes.affected_pnfs.extend(pnf(c, result)),
        }
    }
    for (vnf, how) in members::modified(op) {
        out.vnf(vnf, Some(VnfChangeType::ModifyInformation), result(u32::MAX), Some(how));
    }
    (out.changes != NsResourceChanges::default()).then_some(out.changes)
}

fn altered(kind: OpKind) -> VnfChangeType {
    match kind {
        OpKind::Scale | OpKind::ScaleToLevel => VnfChangeType::Scale,
        OpKind::Heal => VnfChangeType::Heal,
        OpKind::Instantiate
        | OpKind::Terminate
        | OpKind::Start
        | OpKind::Stop
        | OpKind::ModifyInfo
        | OpKind::ReloadPf
        | OpKind::RestorePf
        | OpKind::Update
        | OpKind::CreateSnapshot
        | OpKind::RevertToSnapshot
        | OpKind::ChangeExtConn
        | OpKind::ChangeFlavour
        | OpKind::ChangePackage => VnfChangeType::Instantiate,
    }
}

struct Told<'a> {
    around: &'a Around,
    changes: NsResourceChanges,
}

impl Told<'_> {
    fn vnf(&mut self, vnf: VnfId, change_type: Option<VnfChangeType>, change_result: ChangeResult, changed_info: Option<VnfChangedInfo>) {
        let member = self.around.parts.members.iter().find(|m| m.vnf == vnf);
        let (Some(m), Some(change_type)) = (member, change_type) else { return };
        self.changes.affected_vnfs.push(AffectedVnf {
            vnf_instance_id: vnf.to_string(),
            vnfd_id: m.vnfd_id.to_string(),
            vnf_profile_id: m.profile.to_string(),
            vnf_name: m.name.to_string(),
            change_type,
            change_result,
            changed_info,
        });
    }

    /// With the access points on it, which come and go with it.
    fn link(&mut self, id: SegmentId, change_type: NsVlChangeType, of_saps: PartChangeType, change_result: ChangeResult) {
        let parts = &self.around.parts;
        let named = parts.links.iter().filter(|l| l.segment == id);
        self.changes.affected_vls.extend(named.map(|l| AffectedNsVirtualLink {
            ns_virtual_link_instance_id: id.to_string(),
            ns_virtual_link_desc_id: l.name.to_string(),
            vl_profile_id: l.name.to_string(),
            change_type,
            link_port_ids: Vec::new(),
            change_result,
        }));
        let saps = parts.saps.iter().filter(|(_, segment)| *segment == id);
        self.changes.affected_saps.extend(saps.map(|(sap, _)| AffectedSap {
            sap_instance_id: sap.to_string(),
            sapd_id: sap.to_string(),
            sap_name: Some(sap.to_string()),
            change_type: Some(of_saps),
            change_result: Some(change_result),
        }));
    }

    /// Once for all its paths: it fails with one of them.
    fn graph(&mut self, path: NfpId, change_type: VnffgChangeType, change_result: ChangeResult) {
        let Some((_, graph)) = self.around.parts.graphs.iter().find(|(id, _)| *id == path) else { return };
        let all = &mut self.changes.affected_vnffgs;
        match all.iter_mut().find(|a| a.vnffg_instance_id == graph.as_str()) {
            Some(told) if change_result != ChangeResult::Completed => told.change_result = Some(change_result),
            Some(_) => {}
            None => all.push(AffectedVnffg {
                vnffg_instance_id: graph.to_string(),
                vnffgd_id: graph.to_string(),
                change_type: Some(change_type),
                change_result: Some(change_result),
            }),
        }
    }
}

fn pnf(c: &PnfChange, change_result: ChangeResult) -> Option<AffectedPnf> {
    let p = c.after.as_ref().or(c.before.as_ref())?;
    let change_type = match (&c.before, &c.after) {
        (None, _) => PartChangeType::Add,
        (Some(_), None) => PartChangeType::Remove,
        (Some(_), Some(_)) => PartChangeType::Modify,
    };
    Some(AffectedPnf {
        pnf_id: p.id.to_string(),
        pnfd_id: p.pnfd_id.to_string(),
        pnf_profile_id: p.profile.to_string(),
        pnf_name: Some(p.name.to_string()),
        cp_instance_id: p.cps.iter().map(|cp| pnf_cp_id(&p.profile, &cp.cp)).collect(),
        change_type: Some(change_type),
        change_result: Some(change_result),
    })
}
