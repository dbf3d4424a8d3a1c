//! Lifecycle operation occurrences and their state tables.
//!
//! Owns two public state machines, one transition function each, and the engine's internal phase.
//!
//! ```text
//! VNF (SOL003 5.6.2.2)                         NS (SOL005 6.6.2.2)
//! STARTING -> PROCESSING -> COMPLETED          PROCESSING -> COMPLETED | PARTIALLY_COMPLETED
//!    |            |                                |
//!    |            v                                v
//!    |        FAILED_TEMP -> FAILED            FAILED_TEMP -> FAILED
//!    |         |      ^                         |      ^
//!    v         v      |                         v      |
//! ROLLED_BACK <- ROLLING_BACK                  ROLLING_BACK -> ROLLED_BACK
//! ```
//! retry leads from FAILED_TEMP to PROCESSING. Never: what a step does.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, FaultRecord, Result},
    hw::PciAddr,
    id::{NsId, OpId, ProjectId, VnfId},
    time::Stamp,
};

/// `LcmOperationStateType` of SOL003 5.5.4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VnfOpState {
    Starting,
    Processing,
    Completed,
    FailedTemp,
    Failed,
    RollingBack,
    RolledBack,
}

/// `NsLcmOpOccStateType` of SOL005 6.5.4.x: no STARTING, but PARTIALLY_COMPLETED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NsOpState {
    Processing,
    Completed,
    PartiallyCompleted,
    FailedTemp,
    Failed,
    RollingBack,
    RolledBack,
}

/// What moves an operation on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// The grant was given and the plan fixed.
    Granted,
    /// The grant was refused, timed out or cancelled before anything was touched.
    Refused,
    /// Every step is done.
    Succeeded,
    /// A step failed, or the operation was cancelled while it ran.
    Broke,
    /// Some parts succeeded and the rest was given up (NS only).
    PartlySucceeded,
    /// Every step is undone.
    Undone,
    /// Asked by the client: 5.4.14 (retry), 5.4.15 (rollback), 5.4.16 (fail) of SOL003.
    Retry,
    Rollback,
    Fail,
    /// Asked by the client (SOL005 6.4.x `continue`).
    Continue,
}

impl VnfOpState {
    pub const ALL: [VnfOpState; 7] = [
        VnfOpState::Starting,
        VnfOpState::Processing,
        VnfOpState::Completed,
        VnfOpState::FailedTemp,
        VnfOpState::Failed,
        VnfOpState::RollingBack,
        VnfOpState::RolledBack,
    ];

    /// The one transition function of VNF operations; `None`: not possible from here.
    pub fn next(self, t: Trigger) -> Option<VnfOpState> {
        use Trigger as T;
        use VnfOpState as S;
        match (self, t) {
            (S::Starting, T::Granted) => Some(S::Processing),
            (S::Starting, T::Refused) => Some(S::RolledBack),
            (S::Processing, T::Succeeded) => Some(S::Completed),
            (S::Processing | S::RollingBack, T::Broke) => Some(S::FailedTemp),
            (S::RollingBack, T::Undone) => Some(S::RolledBack),
            (S::FailedTemp, T::Retry) => Some(S::Processing),
            (S::FailedTemp, T::Rollback) => Some(S::RollingBack),
            (S::FailedTemp, T::Fail) => Some(S::Failed),
            (
                S::Starting | S::Processing | S::Completed | S::FailedTemp | S::Failed | S::RollingBack | S::RolledBack,
                T::Granted
                | T::Refused
                | T::Succeeded
                | T::Broke
                | T::PartlySucceeded
                | T::Undone
                | T::Retry
                | T::Rollback
                | T::Fail
                | T::Continue,
            ) => None,
        }
    }

    pub fn is_final(self) -> bool {
        match self {
            VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack => true,
            VnfOpState::Starting | VnfOpState::Processing | VnfOpState::FailedTemp | VnfOpState::RollingBack => false,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            VnfOpState::Starting => "STARTING",
            VnfOpState::Processing => "PROCESSING",
            VnfOpState::Completed => "COMPLETED",
            VnfOpState::FailedTemp => "FAILED_TEMP",
            VnfOpState::Failed => "FAILED",
            VnfOpState::RollingBack => "ROLLING_BACK",
            VnfOpState::RolledBack => "ROLLED_BACK",
        }
    }
}

impl NsOpState {
    pub const ALL: [NsOpState; 7] = [
        NsOpState::Processing,
        NsOpState::Completed,
        NsOpState::PartiallyCompleted,
        NsOpState::FailedTemp,
        NsOpState::Failed,
        NsOpState::RollingBack,
        NsOpState::RolledBack,
    ];

    /// The one transition function of NS operations.
    pub fn next(self, t: Trigger) -> Option<NsOpState> {
        use NsOpState as S;
        use Trigger as T;
        match (self, t) {
            (S::Processing, T::Succeeded) => Some(S::Completed),
            (S::Processing, T::PartlySucceeded) => Some(S::PartiallyCompleted),
            (S::Processing | S::RollingBack, T::Broke) => Some(S::FailedTemp),
            (S::RollingBack, T::Undone) => Some(S::RolledBack),
            (S::FailedTemp, T::Retry | T::Continue) => Some(S::Processing),
            (S::PartiallyCompleted, T::Continue) => Some(S::Processing),
            (S::FailedTemp, T::Rollback) => Some(S::RollingBack),
            (S::FailedTemp, T::Fail) => Some(S::Failed),
            (
                S::Processing | S::Completed | S::PartiallyCompleted | S::FailedTemp | S::Failed | S::RollingBack | S::RolledBack,
                T::Granted
                | T::Refused
                | T::Succeeded
                | T::Broke
                | T::PartlySucceeded
                | T::Undone
                | T::Retry
                | T::Rollback
                | T::Fail
                | T::Continue,
            ) => None,
        }
    }

    pub fn is_final(self) -> bool {
        match self {
            NsOpState::Completed | NsOpState::PartiallyCompleted | NsOpState::Failed | NsOpState::RolledBack => true,
            NsOpState::Processing | NsOpState::FailedTemp | NsOpState::RollingBack => false,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            NsOpState::Processing => "PROCESSING",
            NsOpState::Completed => "COMPLETED",
            NsOpState::PartiallyCompleted => "PARTIALLY_COMPLETED",
            NsOpState::FailedTemp => "FAILED_TEMP",
            NsOpState::Failed => "FAILED",
            NsOpState::RollingBack => "ROLLING_BACK",
            NsOpState::RolledBack => "ROLLED_BACK",
        }
    }
}

/// The state of either kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpState {
    Vnf(VnfOpState),
    Ns(NsOpState),
}

impl OpState {
    pub fn next(self, t: Trigger) -> Option<OpState> {
        match self {
            OpState::Vnf(s) => s.next(t).map(OpState::Vnf),
            OpState::Ns(s) => s.next(t).map(OpState::Ns),
        }
    }
    pub fn is_final(self) -> bool {
        match self {
            OpState::Vnf(s) => s.is_final(),
            OpState::Ns(s) => s.is_final(),
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            OpState::Vnf(s) => s.name(),
            OpState::Ns(s) => s.name(),
        }
    }
    /// What the engine has to do with an operation in this state.
    pub fn phase(self) -> Phase {
        match self {
            OpState::Vnf(VnfOpState::Starting) => Phase::Held,
            OpState::Vnf(VnfOpState::Processing) | OpState::Ns(NsOpState::Processing) => Phase::Forward,
            OpState::Vnf(VnfOpState::RollingBack) | OpState::Ns(NsOpState::RollingBack) => Phase::Backward,
            OpState::Vnf(VnfOpState::FailedTemp) | OpState::Ns(NsOpState::FailedTemp) => Phase::Stuck,
            OpState::Vnf(VnfOpState::Completed | VnfOpState::Failed | VnfOpState::RolledBack)
            | OpState::Ns(NsOpState::Completed | NsOpState::PartiallyCompleted | NsOpState::Failed | NsOpState::RolledBack) => Phase::Over,
        }
    }
}

/// The engine's view of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for its grant or for its parent; nothing was touched.
    Held,
    Forward,
    Backward,
    /// Waits for retry, rollback or fail.
    Stuck,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    Vnf(VnfId),
    Ns(NsId),
    /// A physical function of the host, with the guests that have functions of it. ETSI knows no such
    /// operation: it moves as one of a VNF does.
    Pf(PciAddr),
}

/// What the operation does (`LcmOperationType`); append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OpKind {
    Instantiate,
    Terminate,
    /// `OPERATE` with changeStateTo STARTED; a reboot too, whose plan stops what is started first.
    Start,
    /// `OPERATE` with changeStateTo STOPPED.
    Stop,
    /// `MODIFY_INFO`: done in the transaction that takes it.
    ModifyInfo,
    Scale,
    ScaleToLevel,
    Heal,
    /// A PF is taken from its driver and given back to it, on request.
    ReloadPf,
    /// A PF has lost its virtual functions, or a guest its own: they are made and given again.
    RestorePf,
    /// `UPDATE` of a service: its running chains take other ways.
    Update,
    CreateSnapshot,
    RevertToSnapshot,
    /// External connection points come to other links.
    ChangeExtConn,
    /// The VNF comes to another deployment flavour.
    ChangeFlavour,
    /// The VNF comes to another package.
    ChangePackage,
}

impl OpKind {
    pub fn name(self) -> &'static str {
        match self {
            OpKind::Instantiate => "INSTANTIATE",
            OpKind::Terminate => "TERMINATE",
            OpKind::Start | OpKind::Stop => "OPERATE",
            OpKind::ModifyInfo => "MODIFY_INFO",
            OpKind::Scale => "SCALE",
            OpKind::ScaleToLevel => "SCALE_TO_LEVEL",
            OpKind::Heal => "HEAL",
            OpKind::ReloadPf => "RELOAD_PF",
            OpKind::RestorePf => "RESTORE_PF",
            OpKind::Update => "UPDATE",
            OpKind::CreateSnapshot => "CREATE_SNAPSHOT",
            OpKind::RevertToSnapshot => "REVERT_TO_SNAPSHOT",
            OpKind::ChangeExtConn => "CHANGE_EXT_CONN",
            OpKind::ChangeFlavour => "CHANGE_FLAVOUR",
            OpKind::ChangePackage => "CHANGE_VNFPKG",
        }
    }
}

/// SOL003 5.5.4.6, SOL005 6.5.4.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelMode {
    /// Steps that run are let finish.
    Graceful,
    /// Steps that wait are cut short.
    Forceful,
}

/// An operation occurrence as a record. Its steps and journal are records of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub id: OpId,
    pub project: ProjectId,
    pub target: Target,
    pub kind: OpKind,
    pub state: OpState,
    pub created: Stamp,
    pub state_entered: Stamp,
    /// The request as received (JSON text), to be read back; never interpreted. Secrets belong into
    /// `Secret` records, and requests name them.
    pub request: String,
    pub error: Option<FaultRecord>,
    /// Said with the result: a TCG guest, an ignored member.
    pub warnings: Vec<String>,
    pub cancel: Option<CancelMode>,
    pub parent: Option<OpId>,
    /// Started by Bothy itself, not by a request.
    pub automatic: bool,
    /// Which releases' steps these are (`PLAN_FORMAT` of the writer).
    pub plan_format: u16,
    /// Steps of the plan; 0 until it is fixed.
    pub steps: u32,
    /// Counts retries, so that a step knows it runs anew.
    pub attempt: u32,
    /// Grows with each change of state: with id and state it names a notification.
    pub sequence: u32,
}

/// The format of plans this binary writes; see `lcm::plan` for those it still runs.
pub const PLAN_FORMAT: u16 = 1;

impl Operation {
    /// Moves on, or says why it cannot.
    pub fn apply(&mut self, t: Trigger, now: Stamp) -> Result<()> {
        let Some(next) = self.state.next(t) else {
            return Err(Fault::conflict(format!("operation {} is {}: {}", self.id, self.state.name(), why_not(t))));
        };
        self.state = next;
        self.state_entered = now.max(self.state_entered);
        self.sequence += 1;
        Ok(())
    }
    /// It waits for nobody here: its VNF's owner has to say yes first.
    pub fn awaits_grant(&self) -> bool {
        self.state.phase() == Phase::Held && self.parent.is_none()
    }
    /// It ended while it was held: no step of it ran. What is undone is another attempt.
    pub fn never_began(&self) -> bool {
        self.state == OpState::Vnf(VnfOpState::RolledBack) && self.attempt == 0
    }
    pub fn label(&self) -> SmolStr {
        match self.target {
            Target::Vnf(_) => SmolStr::new(format!("{} VNF", self.kind.name())),
            Target::Ns(_) => SmolStr::new(format!("{} NS", self.kind.name())),
            Target::Pf(pf) => SmolStr::new(format!("{} {pf}", self.kind.name())),
        }
    }
}

fn why_not(t: Trigger) -> &'static str {
    match t {
        Trigger::Retry => "only an operation in FAILED_TEMP can be retried",
        Trigger::Rollback => "only an operation in FAILED_TEMP can be rolled back",
        Trigger::Fail => "only an operation in FAILED_TEMP can be marked as failed",
        Trigger::Continue => "only an operation in FAILED_TEMP or PARTIALLY_COMPLETED can be continued",
        Trigger::Granted | Trigger::Refused | Trigger::Succeeded | Trigger::Broke | Trigger::PartlySucceeded | Trigger::Undone => {
            "that does not follow from this state"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIGGERS: [Trigger; 10] = [
        Trigger::Granted,
        Trigger::Refused,
        Trigger::Succeeded,
        Trigger::Broke,
        Trigger::PartlySucceeded,
        Trigger::Undone,
        Trigger::Retry,
        Trigger::Rollback,
        Trigger::Fail,
        Trigger::Continue,
    ];

    #[test]
    fn vnf_operations_move_exactly_as_sol003_draws_it() {
        let mut arrows = Vec::new();
        for s in VnfOpState::ALL {
            for t in TRIGGERS {
                if let Some(n) = s.next(t) {
                    arrows.push(format!("{} {t:?} {}", s.name(), n.name()));
                }
                assert!(!(s.is_final() && s.next(t).is_some()), "{s:?} is final");
            }
        }
        assert_eq!(
            arrows,
            [
                "STARTING Granted PROCESSING",
                "STARTING Refused ROLLED_BACK",
                "PROCESSING Succeeded COMPLETED",
                "PROCESSING Broke FAILED_TEMP",
                "FAILED_TEMP Retry PROCESSING",
                "FAILED_TEMP Rollback ROLLING_BACK",
                "FAILED_TEMP Fail FAILED",
                "ROLLING_BACK Broke FAILED_TEMP",
                "ROLLING_BACK Undone ROLLED_BACK",
            ]
        );
    }

    #[test]
    fn ns_operations_move_exactly_as_sol005_draws_it() {
        let mut arrows = Vec::new();
        for s in NsOpState::ALL {
            for t in TRIGGERS {
                if let Some(n) = s.next(t) {
                    arrows.push(format!("{} {t:?} {}", s.name(), n.name()));
                }
            }
        }
        assert_eq!(
            arrows,
            [
                "PROCESSING Succeeded COMPLETED",
                "PROCESSING Broke FAILED_TEMP",
                "PROCESSING PartlySucceeded PARTIALLY_COMPLETED",
                "PARTIALLY_COMPLETED Continue PROCESSING",
                "FAILED_TEMP Retry PROCESSING",
                "FAILED_TEMP Rollback ROLLING_BACK",
                "FAILED_TEMP Fail FAILED",
                "FAILED_TEMP Continue PROCESSING",
                "ROLLING_BACK Broke FAILED_TEMP",
                "ROLLING_BACK Undone ROLLED_BACK",
            ]
        );
    }
}
