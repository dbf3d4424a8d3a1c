//! Steps of a plan as data, and what the journal says of them.
//!
//! Both enums are append only: a stored plan must mean the same to the next release. Never: how a
//! step is done.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{
    domain::{BaseImage, DiskSpec, DomainSpec, MediaSpec},
    error::FaultRecord,
    id::{DiskId, OpId, SegmentId, VnfId, VnfcId},
    time::Stamp,
    vnfd::Readiness,
};

/// One step of a plan. `run` ensures it, `undo` ensures it as before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Vnf(VnfStep),
    Ns(NsStep),
}

/// Steps on a VNF's resources; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VnfStep {
    /// Creates the host's side of a segment (port, addresses, DHCP, NAT).
    Segment(SegmentId),
    /// Uses a base image: it must be there.
    Image(BaseImage),
    /// Creates a disk.
    Disk(DiskSpec),
    /// Creates the day-0 medium.
    Medium(MediaSpec),
    /// Creates the domain, defined. Boxed, since it is ten times the size of any other step.
    Define(Box<DomainSpec>),
    /// Changes the guest to running; before, it was off.
    Start(VnfcId),
    /// Waits until the guest is ready.
    Ready {
        vnfc: VnfcId,
        rule: Readiness,
        grace_s: u32,
        addresses: Vec<IpAddr>,
    },
    /// Changes the guest to off: gracefully within so many seconds, or at once. Undone by a start.
    Stop {
        vnfc: VnfcId,
        graceful_s: Option<u32>,
    },
    /// Removes; what is gone stays gone.
    RemoveGuest(VnfcId),
    RemoveDisk(DiskId),
    RemoveMedium(VnfcId),
    RemoveSegment(SegmentId),
    /// Uses a segment that another made: the guest's addresses are offered on it.
    Attach(SegmentId),
}

/// Steps of a network service; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NsStep {
    Segment(SegmentId),
    /// Releases a member's instantiation and waits for its end. Undone by rolling it back, or by
    /// terminating it under `undo_op` when it had completed.
    Instantiate {
        vnf: VnfId,
        op: OpId,
        undo_op: OpId,
    },
    /// Releases a member's termination and waits for its end; never undone.
    Terminate {
        vnf: VnfId,
        op: OpId,
    },
    RemoveSegment(SegmentId),
}

/// What undo may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Undo removes it.
    Creates,
    /// Undo does nothing.
    Uses,
    /// Undo restores what was.
    Changes,
    /// Cannot be undone.
    Removes,
}

impl Step {
    pub fn effect(&self) -> Effect {
        match self {
            Step::Vnf(s) => match s {
                VnfStep::Segment(_) | VnfStep::Disk(_) | VnfStep::Medium(_) | VnfStep::Define(_) => Effect::Creates,
                VnfStep::Image(_) | VnfStep::Ready { .. } | VnfStep::Attach(_) => Effect::Uses,
                VnfStep::Start(_) | VnfStep::Stop { .. } => Effect::Changes,
                VnfStep::RemoveGuest(_) | VnfStep::RemoveDisk(_) | VnfStep::RemoveMedium(_) | VnfStep::RemoveSegment(_) => Effect::Removes,
            },
            Step::Ns(s) => match s {
                NsStep::Segment(_) | NsStep::Instantiate { .. } => Effect::Creates,
                NsStep::Terminate { .. } | NsStep::RemoveSegment(_) => Effect::Removes,
            },
        }
    }

    /// For timelines: what the step does, to what.
    pub fn label(&self) -> String {
        match self {
            Step::Vnf(s) => match s {
                VnfStep::Segment(id) => format!("link {id}"),
                VnfStep::Image(b) => format!("image {}", data_encoding::HEXLOWER.encode(&b.sha256[..6])),
                VnfStep::Disk(d) => format!("disk {} ({})", d.id, d.size),
                VnfStep::Medium(m) => format!("day-0 medium of {}", m.vnfc),
                VnfStep::Define(d) => format!("define {}/{} {}", d.owner.vdu, d.owner.index, d.id),
                VnfStep::Start(id) => format!("start {id}"),
                VnfStep::Ready { vnfc, rule, .. } => match rule {
                    Readiness::Running => format!("running {vnfc}"),
                    Readiness::Agent => format!("agent of {vnfc}"),
                    Readiness::Serial(re) => format!("serial console of {vnfc} says /{re}/"),
                    Readiness::Tcp(port) => format!("TCP port {port} of {vnfc}"),
                },
                VnfStep::Stop { vnfc, graceful_s: Some(s) } => format!("stop {vnfc} within {s} s"),
                VnfStep::Stop { vnfc, graceful_s: None } => format!("stop {vnfc} at once"),
                VnfStep::RemoveGuest(id) => format!("remove guest {id}"),
                VnfStep::RemoveDisk(id) => format!("remove disk {id}"),
                VnfStep::RemoveMedium(id) => format!("remove day-0 medium of {id}"),
                VnfStep::RemoveSegment(id) => format!("remove link {id}"),
                VnfStep::Attach(id) => format!("attach to link {id}"),
            },
            Step::Ns(s) => match s {
                NsStep::Segment(id) => format!("link {id}"),
                NsStep::Instantiate { vnf, .. } => format!("instantiate VNF {vnf}"),
                NsStep::Terminate { vnf, .. } => format!("terminate VNF {vnf}"),
                NsStep::RemoveSegment(id) => format!("remove link {id}"),
            },
        }
    }
}

/// A step in its plan, stored under (operation, index).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    pub op: OpId,
    pub index: u32,
    /// Indices that must be done before; all lower than `index`.
    pub after: Vec<u32>,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// Ran, and has to wait or to be tried again.
    Waiting,
    Done,
    Failed,
    Undone,
}

/// What the journal says of a step, stored under (operation, index); absent: not run yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLog {
    pub op: OpId,
    pub index: u32,
    pub state: StepState,
    pub started: Stamp,
    pub ended: Stamp,
    /// Time spent in this attempt, so that a deadline survives a restart.
    pub spent_ms: u64,
    pub tries: u32,
    /// Why it waits or waited.
    pub why: Option<String>,
    pub error: Option<FaultRecord>,
    /// The boot of the host this was written in: a done step of an older boot is run again.
    pub boot: u64,
}
