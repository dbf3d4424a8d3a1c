//! Operation occurrences as SOL003 5.5.2.13 and SOL005 6.5.2.3 show them.

use serde_json::{Value, json};

use super::{Base, connect, coordination, flavour, members, package, problem, time, unexplained, vnf::Dialect};
use crate::{
    model::{
        central::{Asking, GrantAsk},
        chain::{Chain, pnf_cp_id},
        domain::DomainSpec,
        error::{Fault, Result},
        id::{DiskId, VnfcId},
        ns::NsInstance,
        op::{CancelMode, NsOpState, OpKind, OpState, Operation, Phase, Target, VnfOpState},
        own::Errand,
        step::{Effect, NsStep, PlanStep, PnfChange, Step, VnfStep},
        vnf::VnfInstance,
    },
    sol::{
        common::{KeyValuePairs, Patch},
        nslcm::{
            AffectedNsVirtualLink, AffectedPnf, AffectedVnf, AffectedVnffg, ChangeResult, NsLcmOpOcc, NsLcmOpOccLinks, NsLcmOpType,
            NsLcmOperationState, NsResourceChanges, NsVlChangeType, PartChangeType, VnfChangeType, VnffgChangeType,
        },
        problem::ProblemDetails,
        vnflcm::{
            AffectedVirtualStorage, AffectedVnfc, CancelModeType, ChangeType, LcmOperationState, LcmOperationType, ResourceChanges,
            RevertToVnfSnapshotRequest, VnfInfoModificationRequest, VnfInfoModifications, VnfLcmOpOcc, VnfLcmOpOccLinks,
        },
    },
};

/// What is looked up beside an operation; all of it may be gone already.
#[derive(Default)]
pub struct Around {
    pub steps: Vec<PlanStep>,
    /// It has begun to take away what could have been gone back to.
    pub shedding: bool,
    /// Of a termination: the guests it removes, as they were defined.
    pub removed: Vec<DomainSpec>,
    pub vnf: Option<VnfInstance>,
    /// What its owner was asked for.
    pub grant: Option<GrantAsk>,
    /// What it asked of the VNF itself.
    pub errands: Vec<Errand>,
    pub ns: Option<NsInstance>,
    /// The members of the service.
    pub members: Vec<VnfInstance>,
    /// The chains of the service.
    pub chains: Vec<Chain>,
}

fn cancel_mode(m: CancelMode) -> CancelModeType {
    match m {
        CancelMode::Graceful => CancelModeType::Graceful,
        CancelMode::Forceful => CancelModeType::Forceful,
    }
}

/// Which tasks an operation allows in its state.
struct Tasks {
    cancel: bool,
    retry: bool,
    rollback: bool,
}

impl Tasks {
    fn of(op: &Operation, around: &Around) -> Tasks {
        // A part of a service's operation is moved by that one alone.
        let mine = op.parent.is_none();
        let (under_way, stuck) = match op.state.phase() {
            Phase::Held | Phase::Forward | Phase::Backward => (true, false),
            Phase::Stuck => (false, true),
            Phase::Over => (false, false),
        };
        let removes = around.shedding || around.steps.iter().any(|s| s.step.effect() == Effect::Removes);
        let undoable = match op.kind {
            OpKind::Instantiate
            | OpKind::Start
            | OpKind::Stop
            | OpKind::Scale
            | OpKind::ScaleToLevel
            | OpKind::ReloadPf
            | OpKind::RestorePf
            | OpKind::Update
            | OpKind::CreateSnapshot
            | OpKind::RevertToSnapshot
            | OpKind::ChangeExtConn
            | OpKind::ChangeFlavour
            | OpKind::ChangePackage => !removes,
            OpKind::Terminate | OpKind::ModifyInfo | OpKind::Heal => false,
        };
        Tasks { cancel: mine && under_way, retry: mine && stuck, rollback: mine && stuck && undoable }
    }
}

fn pending_cancel(op: &Operation) -> Option<CancelModeType> {
    match op.state.phase() {
        Phase::Forward | Phase::Backward => op.cancel.map(cancel_mode),
        Phase::Held | Phase::Stuck | Phase::Over => None,
    }
}

fn error(op: &Operation) -> Option<ProblemDetails> {
    match (&op.error, op.state) {
        (Some(f), _) => Some(problem(f)),
        (None, OpState::Vnf(VnfOpState::FailedTemp | VnfOpState::Failed) | OpState::Ns(NsOpState::FailedTemp | NsOpState::Failed)) => {
            Some(unexplained())
        }
        (
            None,
            OpState::Vnf(
                VnfOpState::Starting | VnfOpState::Processing | VnfOpState::Completed | VnfOpState::RollingBack | VnfOpState::RolledBack,
            )
            | OpState::Ns(
                NsOpState::Processing
                | NsOpState::Completed
                | NsOpState::PartiallyCompleted
                | NsOpState::RollingBack
                | NsOpState::RolledBack,
            ),
        ) => None,
    }
}

/// The request as it came; an operation that no request began shows the one that would have.
fn params(op: &Operation, around: &Around) -> Option<KeyValuePairs> {
    if let Ok(Value::Object(given)) = serde_json::from_str(&op.request) {
        return Some(given);
    }
    let flavour = || around.vnf.as_ref().and_then(|v| v.body.as_ref()).map(|b| b.flavour.to_string());
    let made = match (op.target, op.kind) {
        (Target::Vnf(_), OpKind::Instantiate) => json!({ "flavourId": flavour()? }),
        (Target::Ns(_), OpKind::Instantiate) => json!({ "nsFlavourId": around.ns.as_ref()?.flavour.as_ref()?.as_str() }),
        (Target::Vnf(_), OpKind::Terminate) => {
            let graceful = around.steps.iter().find_map(|s| match &s.step {
                Step::Vnf(VnfStep::Stop { graceful_s, .. }) => *graceful_s,
                Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
            });
            match graceful {
                Some(s) => json!({ "terminationType": "GRACEFUL", "gracefulTerminationTimeout": s }),
                None => json!({ "terminationType": "FORCEFUL" }),
            }
        }
        (Target::Vnf(_), OpKind::Start) => json!({ "changeStateTo": "STARTED" }),
        (Target::Vnf(_), OpKind::Stop) => json!({ "changeStateTo": "STOPPED" }),
        (Target::Ns(_), OpKind::Heal) => {
            let healed = around.steps.iter().filter_map(|s| match &s.step {
                Step::Ns(NsStep::Alter { vnf, .. }) => Some(json!({ "vnfInstanceId": vnf.to_string() })),
                Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => None,
            });
            json!({ "healVnfData": healed.collect::<Vec<_>>() })
        }
        (
            _,
            OpKind::ModifyInfo
            | OpKind::Scale
            | OpKind::ScaleToLevel
            | OpKind::Heal
            | OpKind::ReloadPf
            | OpKind::RestorePf
            | OpKind::Update
            | OpKind::CreateSnapshot
            | OpKind::RevertToSnapshot
            | OpKind::ChangeExtConn
            | OpKind::ChangeFlavour
            | OpKind::ChangePackage,
        )
        | (Target::Pf(_), _)
        | (Target::Ns(_), OpKind::Terminate | OpKind::Start | OpKind::Stop) => json!({}),
    };
    match made {
        Value::Object(o) => Some(o),
        _ => None,
    }
}

/// What a PATCH changed: its request, member by member.
fn changed_info(op: &Operation) -> Option<VnfInfoModifications> {
    if op.kind != OpKind::ModifyInfo {
        return None;
    }
    let asked: VnfInfoModificationRequest = serde_json::from_str(&op.request).ok()?;
    let text = |p: Patch<String>| match p {
        Patch::Keep => None,
        Patch::Remove => Some(String::new()),
        Patch::Set(text) => Some(text),
    };
    let pairs = |p: Patch<KeyValuePairs>| match p {
        Patch::Keep | Patch::Remove => KeyValuePairs::new(),
        Patch::Set(pairs) => pairs,
    };
    Some(VnfInfoModifications {
        vnf_instance_name: text(asked.vnf_instance_name),
        vnf_instance_description: text(asked.vnf_instance_description),
        vnf_configurable_properties: pairs(asked.vnf_configurable_properties),
        metadata: pairs(asked.metadata),
        extensions: pairs(asked.extensions),
        ..VnfInfoModifications::default()
    })
}

/// Which snapshot is taken or reverted to, by the request.
fn snapshot(op: &Operation) -> Option<String> {
    if !matches!(op.kind, OpKind::CreateSnapshot | OpKind::RevertToSnapshot) {
        return None;
    }
    let asked: RevertToVnfSnapshotRequest = serde_json::from_str(&op.request).ok()?;
    Some(asked.vnf_snapshot_info_id)
}

fn not_here(op: &Operation) -> Fault {
    Fault::bug(format!("operation {} is of a kind that what it names does not have", op.id))
}

pub fn vnf(op: &Operation, around: &Around, base: &Base) -> Result<VnfLcmOpOcc> {
    let (Target::Vnf(vnf), OpState::Vnf(state)) = (op.target, op.state) else {
        return Err(Fault::not_found(format!("operation {} is not one of a VNF", op.id)));
    };
    let path = format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id);
    let tasks = Tasks::of(op, around);
    let pending = pending_cancel(op);
    let snapshot = snapshot(op);
    let warnings = op.warnings.iter().cloned().chain(awaited(state, around));
    Ok(VnfLcmOpOcc {
        id: op.id.to_string(),
        operation_state: match state {
            VnfOpState::Starting => LcmOperationState::Starting,
            VnfOpState::Processing => LcmOperationState::Processing,
            VnfOpState::Completed => LcmOperationState::Completed,
            VnfOpState::FailedTemp => LcmOperationState::FailedTemp,
            VnfOpState::Failed => LcmOperationState::Failed,
            VnfOpState::RollingBack => LcmOperationState::RollingBack,
            VnfOpState::RolledBack => LcmOperationState::RolledBack,
        },
        state_entered_time: time(op.state_entered),
        start_time: time(op.created),
        vnf_instance_id: vnf.to_string(),
        grant_id: around.grant.as_ref().and_then(GrantAsk::grant).map(ToString::to_string),
        operation: match op.kind {
            OpKind::Instantiate => LcmOperationType::Instantiate,
            OpKind::Terminate => LcmOperationType::Terminate,
            OpKind::Start | OpKind::Stop => LcmOperationType::Operate,
            OpKind::ModifyInfo => LcmOperationType::ModifyInfo,
            OpKind::Scale => LcmOperationType::Scale,
            OpKind::ScaleToLevel => LcmOperationType::ScaleToLevel,
            OpKind::Heal => LcmOperationType::Heal,
            OpKind::CreateSnapshot => LcmOperationType::CreateSnapshot,
            OpKind::RevertToSnapshot => LcmOperationType::RevertToSnapshot,
            OpKind::ChangeExtConn => LcmOperationType::ChangeExtConn,
            OpKind::ChangeFlavour => LcmOperationType::ChangeFlavour,
            OpKind::ChangePackage => LcmOperationType::ChangeVnfpkg,
            OpKind::ReloadPf | OpKind::RestorePf | OpKind::Update => return Err(not_here(op)),
        },
        is_automatic_invocation: op.automatic,
        operation_params: params(op, around),
        is_cancel_pending: pending.is_some(),
        cancel_mode: pending,
        error: error(op),
        resource_changes: vnf_changes(op, around),
        changed_info: changed_info(op),
        affected_vip_cps: Vec::new(),
        changed_ext_connectivity: connect::changed(op, &around.steps),
        modifications_triggered_by_vnf_pkg_change: package::modified(op, &around.steps),
        vnf_snapshot_info_id: snapshot.clone(),
        lcm_coordinations: coordination::taken(&around.errands),
        rejected_lcm_coordinations: coordination::rejected(&around.errands),
        warnings: warnings.chain(around.errands.iter().flat_map(Errand::warns)).collect(),
        links: Some(VnfLcmOpOccLinks {
            self_: base.link(&path),
            vnf_instance: base.link(format!("/vnflcm/v2/vnf_instances/{vnf}")),
            cancel: base.link_if(tasks.cancel, format!("{path}/cancel")),
            retry: base.link_if(tasks.retry, format!("{path}/retry")),
            rollback: base.link_if(tasks.rollback, format!("{path}/rollback")),
            fail: base.link_if(tasks.retry, format!("{path}/fail")),
            vnf_snapshot: snapshot.map(|id| base.link(format!("/vnflcm/v2/vnf_snapshots/{id}"))),
            ..VnfLcmOpOccLinks::default()
        }),
    })
}

/// What it waits for in STARTING, or went on without.
fn awaited(state: VnfOpState, around: &Around) -> Option<String> {
    let ask = around.grant.as_ref()?;
    match (&ask.state, state) {
        (Asking::GivenHere, _) | (Asking::Due | Asking::Accepted(_), VnfOpState::Starting) => Some(ask.says()),
        (
            Asking::Due | Asking::Accepted(_) | Asking::Given(_),
            VnfOpState::Starting
            | VnfOpState::Processing
            | VnfOpState::Completed
            | VnfOpState::FailedTemp
            | VnfOpState::Failed
            | VnfOpState::RollingBack
            | VnfOpState::RolledBack,
        ) => None,
    }
}

/// Guests and disks that the plan makes, or takes back to a snapshot, and ports that it moves. What a termination took away is not told: the record that
/// described it went with it.
fn vnf_changes(op: &Operation, around: &Around) -> Option<ResourceChanges> {
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
        flavour::affected(&around.steps, around.vnf.as_ref(), &mut changes);
    }
    package::tell_apart(&around.steps, &mut changes);
    changes.affected_ext_link_ports = connect::affected(&around.steps);
    (changes != ResourceChanges::default()).then_some(changes)
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

pub fn ns(op: &Operation, around: &Around, base: &Base) -> Result<NsLcmOpOcc> {
    let (Target::Ns(ns), OpState::Ns(state)) = (op.target, op.state) else {
        return Err(Fault::not_found(format!("operation {} is not one of a network service", op.id)));
    };
    let path = format!("/nslcm/v2/ns_lcm_op_occs/{}", op.id);
    let tasks = Tasks::of(op, around);
    let pending = pending_cancel(op);
    Ok(NsLcmOpOcc {
        id: op.id.to_string(),
        operation_state: match state {
            NsOpState::Processing => NsLcmOperationState::Processing,
            NsOpState::Completed => NsLcmOperationState::Completed,
            NsOpState::PartiallyCompleted => NsLcmOperationState::PartiallyCompleted,
            NsOpState::FailedTemp => NsLcmOperationState::FailedTemp,
            NsOpState::Failed => NsLcmOperationState::Failed,
            NsOpState::RollingBack => NsLcmOperationState::RollingBack,
            NsOpState::RolledBack => NsLcmOperationState::RolledBack,
        },
        status_entered_time: time(op.state_entered),
        state_entered_time: Some(time(op.state_entered)),
        ns_instance_id: ns.to_string(),
        lcm_operation_type: match op.kind {
            OpKind::Instantiate => NsLcmOpType::Instantiate,
            OpKind::Terminate => NsLcmOpType::Terminate,
            OpKind::Start | OpKind::Stop | OpKind::ModifyInfo | OpKind::Update => NsLcmOpType::Update,
            OpKind::Scale | OpKind::ScaleToLevel => NsLcmOpType::Scale,
            OpKind::Heal => NsLcmOpType::Heal,
            OpKind::ReloadPf
            | OpKind::RestorePf
            | OpKind::CreateSnapshot
            | OpKind::RevertToSnapshot
            | OpKind::ChangeExtConn
            | OpKind::ChangeFlavour
            | OpKind::ChangePackage => {
                return Err(not_here(op));
            }
        },
        start_time: time(op.created),
        is_automatic_invocation: op.automatic,
        operation_params: params(op, around),
        is_cancel_pending: pending.is_some(),
        cancel_mode: pending,
        error: error(op),
        resource_changes: ns_changes(op, state, around),
        lcm_coordinations: Vec::new(),
        rejected_lcm_coordinations: Vec::new(),
        warnings: op.warnings.clone(),
        links: NsLcmOpOccLinks {
            self_: base.link(&path),
            ns_instance: base.link(format!("/nslcm/v2/ns_instances/{ns}")),
            cancel: base.link_if(tasks.cancel, format!("{path}/cancel")),
            retry: base.link_if(tasks.retry, format!("{path}/retry")),
            rollback: base.link_if(tasks.rollback, format!("{path}/rollback")),
            continue_: None,
            fail: base.link_if(tasks.retry, format!("{path}/fail")),
        },
    })
}

fn affected_pnf(c: &PnfChange, change_result: ChangeResult) -> Option<AffectedPnf> {
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

/// VNFs and links that an instantiation makes, or VNFs that are scaled or healed, once its outcome is known.
fn ns_changes(op: &Operation, state: NsOpState, around: &Around) -> Option<NsResourceChanges> {
    let change_result = match state {
        NsOpState::Completed => ChangeResult::Completed,
        NsOpState::Failed | NsOpState::FailedTemp => ChangeResult::Failed,
        NsOpState::Processing | NsOpState::PartiallyCompleted | NsOpState::RollingBack | NsOpState::RolledBack => return None,
    };
    let altered = match op.kind {
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
    };
    let mut changes = NsResourceChanges { affected_vnfs: members::affected(op, change_result, around), ..NsResourceChanges::default() };
    for s in &around.steps {
        let Step::Ns(step) = &s.step else { continue };
        match step {
            // Told by what the update's request says.
            NsStep::Alter { .. } if op.kind == OpKind::Update => {}
            NsStep::Instantiate { vnf, .. } | NsStep::Alter { vnf, .. } => {
                let member = around.ns.as_ref().and_then(|n| n.members.iter().find(|m| m.vnf == *vnf));
                let record = around.members.iter().find(|v| v.id == *vnf);
                let (Some(member), Some(record)) = (member, record) else { continue };
                changes.affected_vnfs.push(AffectedVnf {
                    vnf_instance_id: vnf.to_string(),
                    vnfd_id: record.vnfd_id.to_string(),
                    vnf_profile_id: member.profile.to_string(),
                    vnf_name: record.name.to_string(),
                    change_type: if matches!(step, NsStep::Alter { .. }) { altered } else { VnfChangeType::Instantiate },
                    change_result,
                    changed_info: None,
                });
            }
            NsStep::Segment(id) => {
                let link = around.ns.as_ref().and_then(|n| n.links.iter().find(|(_, s)| s == id));
                let Some((link, _)) = link else { continue };
                changes.affected_vls.push(AffectedNsVirtualLink {
                    ns_virtual_link_instance_id: id.to_string(),
                    ns_virtual_link_desc_id: link.to_string(),
                    vl_profile_id: link.to_string(),
                    change_type: NsVlChangeType::Add,
                    link_port_ids: Vec::new(),
                    change_result,
                });
            }
            NsStep::Reroute { chain, .. } | NsStep::HandOver { chain, .. } => {
                let Some(graph) = around.chains.iter().find(|c| c.id == *chain).map(|c| c.vnffg.to_string()) else { continue };
                if changes.affected_vnffgs.iter().all(|a| a.vnffg_instance_id != graph) {
                    changes.affected_vnffgs.push(AffectedVnffg {
                        vnffg_instance_id: graph.clone(),
                        vnffgd_id: graph,
                        change_type: Some(VnffgChangeType::Modify),
                        change_result: Some(change_result),
                    });
                }
            }
            NsStep::Pnf(c) => changes.affected_pnfs.extend(affected_pnf(c, change_result)),
            NsStep::Terminate { .. } | NsStep::RemoveSegment(_) | NsStep::Chain(_) | NsStep::RemoveChain(_) | NsStep::Change { .. } => {}
        }
    }
    let any = !changes.affected_vnfs.is_empty() || !changes.affected_vnffgs.is_empty() || !changes.affected_pnfs.is_empty();
    any.then_some(changes)
}
