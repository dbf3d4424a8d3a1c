//! Operation occurrences as SOL003 5.5.2.13 and SOL005 6.5.2.3 show them.

use serde_json::{Value, json};

use super::{Base, affected, connect, coordination, kept, ns_affected, package, problem, time, unexplained};
use crate::{
    model::{
        central::{Asking, GrantAsk},
        domain::DomainSpec,
        error::{Fault, Result},
        ns::NsInstance,
        op::{CancelMode, NsOpState, OpKind, OpState, Operation, Phase, Target, VnfOpState},
        own::Errand,
        parts::OpParts,
        step::{Effect, NsStep, PlanStep, Step, VnfStep},
        vnf::VnfInstance,
    },
    sol::{
        common::{KeyValuePairs, Patch},
        nslcm::{NsLcmOpOcc, NsLcmOpOccLinks, NsLcmOpType, NsLcmOperationState},
        problem::ProblemDetails,
        vnflcm::{
            CancelModeType, LcmOperationState, LcmOperationType, RevertToVnfSnapshotRequest, VnfInfoModificationRequest,
            VnfInfoModifications, VnfLcmOpOcc, VnfLcmOpOccLinks,
        },
    },
};

/// What is looked up beside an operation; all of it may be gone already.
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
    /// What it makes, changes and takes away, by name.
    pub parts: OpParts,
    /// Of a service: the steps that are done.
    pub done: Vec<u32>,
}

impl Around {
    /// Nothing was looked up.
    pub fn none(op: &Operation) -> Around {
        Around {
            steps: Vec::new(),
            shedding: false,
            removed: Vec::new(),
            vnf: None,
            grant: None,
            errands: Vec::new(),
            ns: None,
            parts: OpParts::none(op.id),
            done: Vec::new(),
        }
    }
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
    if let Ok(mut given) = serde_json::from_str::<Value>(&op.request) {
        kept::forget_access(&mut given);
        if let Value::Object(given) = given {
            return Some(given);
        }
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
        resource_changes: affected::changes(op, around),
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
        resource_changes: ns_affected::changes(op, state, around),
        lcm_coordinations: Vec::new(),
        rejected_lcm_coordinations: Vec::new(),
        warnings: op.warnings.clone(),
        links: NsLcmOpOccLinks {
            self_: base.link(&path),
            ns_instance: base.link(format!("/nslcm/v2/ns_instances/{ns}")),
            cancel: base.link_if(tasks.cancel, format!("{path}/cancel")),
            retry: base.link_if(tasks.retry, format!("{path}/retry")),
            rollback: base.link_if(tasks.rollback, format!("{path}/rollback")),
            continue_: base.link_if(tasks.retry, format!("{path}/continue")),
            fail: base.link_if(tasks.retry, format!("{path}/fail")),
        },
    })
}
