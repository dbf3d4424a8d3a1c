//! Foreign VNFMs, VNFs of this box's services that they manage, and how far what is asked of them is (SOL003 5).
//!
//! Owns the records, and the words of plans for such VNFs. Never: wire forms, secrets in the clear.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    id::{OpId, ProjectId, SegmentId, VnfId},
    net::MacAddr,
    op::OpKind,
    param::Params,
    subscription::Auth,
    time::Stamp,
    vnf::RunState,
    vnfd::Vnfd,
};

/// A foreign VNFM: members of services whose VNFDs are in its charge are driven there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignVnfm {
    /// The account by which it asks this box for grants; its name.
    pub account: SmolStr,
    /// The secret is sealed under this.
    pub id: Uuid,
    /// Of the account: services of no other have VNFs there.
    pub project: ProjectId,
    /// `{apiRoot}` of its API: what stands before `/vnflcm/v2`.
    pub api_root: String,
    pub auth: Option<Auth>,
    /// Which `vnfm_info` of a VNFD means it; none: its name.
    pub vnfm_info: Vec<SmolStr>,
    /// VNFDs that it has besides, by their ids.
    pub vnfds: Vec<SmolStr>,
    /// Its VIM, as it knows it; `None`: it has but one.
    pub vim: Option<SmolStr>,
    /// Physical networks of this box, and what each is in that VIM.
    pub networks: Vec<(SmolStr, SmolStr)>,
    pub created: Stamp,
    pub revision: u64,
}

impl ForeignVnfm {
    /// VNFs of this descriptor are its to manage.
    pub fn manages(&self, vnfd: &Vnfd) -> bool {
        let means = |said: &SmolStr| if self.vnfm_info.is_empty() { *said == self.account } else { self.vnfm_info.contains(said) };
        self.vnfds.contains(&vnfd.id) || vnfd.vnfm_info.iter().any(means)
    }
}

/// That a foreign VNFM is to call this box, and what is subscribed to there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignEar {
    pub vnfm: SmolStr,
    /// What stands before `/bothy/v1` of this box's API, as that VNFM reaches it.
    pub root: String,
    /// Of which API, and the subscription's id there.
    pub subscribed: Vec<(SmolStr, SmolStr)>,
}

/// That a VNF instance of a service is a foreign VNFM's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignVnf {
    pub vnf: VnfId,
    pub vnfm: SmolStr,
    /// What it is called there: no other is called so, and whoever lost the answer to its making finds it by this.
    pub name: SmolStr,
    /// Its id there, while it is there.
    pub remote: Option<SmolStr>,
}

/// How far a step is with what it asks of a foreign VNFM. Kept as long as its operation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbroadErrand {
    pub op: OpId,
    pub index: u32,
    /// The operation's attempt that did so.
    pub attempt: u32,
    pub state: ErrandState,
}

/// Append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrandState {
    /// It is asked, and whether it was heard is not known; these operations on the VNF were there before.
    Asking { before: Vec<SmolStr> },
    /// It became this operation there.
    Asked { occ: SmolStr },
    /// To undo the step, this was asked of an operation there last.
    Undoing { occ: SmolStr, act: OccAct },
    /// This was asked of an operation there and taken, at that time, and it has not moved since.
    Taken { occ: SmolStr, act: OccAct, at: Stamp },
    /// To undo the step, this termination was begun there.
    Ending { occ: SmolStr },
    /// To undo the step, a termination is asked for, and whether it was heard is not known; these operations were there before.
    Closing { before: Vec<SmolStr> },
}

impl ErrandState {
    /// The operation there that it is about, where that is known.
    pub fn occ(&self) -> Option<&SmolStr> {
        match self {
            ErrandState::Asking { .. } | ErrandState::Closing { .. } => None,
            ErrandState::Asked { occ }
            | ErrandState::Undoing { occ, .. }
            | ErrandState::Taken { occ, .. }
            | ErrandState::Ending { occ } => Some(occ),
        }
    }
}

/// What is asked of an operation occurrence (SOL003 5.4.14 to 5.4.17); append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OccAct {
    Retry,
    Rollback,
    Fail,
    /// Forceful, or not.
    Cancel(bool),
}

/// A step on a VNF of a foreign VNFM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbroadStep {
    pub vnf: VnfId,
    pub vnfm: SmolStr,
    pub task: AbroadTask,
}

/// Append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbroadTask {
    /// Creates the instance.
    Make,
    Instantiate(Box<Start>),
    /// Without seconds: forcefully.
    Terminate {
        graceful_s: Option<u32>,
    },
    /// Deletes the instance, and whatever else is there under its name.
    Drop,
    Scale {
        aspect: SmolStr,
        out: bool,
        steps: u32,
    },
    /// To a level, or each of these aspects to a level of its own.
    ScaleToLevel {
        level: Option<SmolStr>,
        aspects: Vec<(SmolStr, u32)>,
    },
    /// `anew`: volumes too.
    Heal {
        anew: bool,
    },
    Operate {
        run: RunState,
        graceful_s: Option<u32>,
    },
}

/// What an instantiation there is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub flavour: SmolStr,
    pub level: SmolStr,
    pub vim: Option<SmolStr>,
    pub links: Vec<AbroadLink>,
    pub params: Params,
}

/// A connection point that comes to a link of the service, over a physical network that both reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbroadLink {
    pub cp: SmolStr,
    pub segment: SegmentId,
    /// What the physical network is there.
    pub resource: SmolStr,
    /// Kept for it on the link; `None`: it has several guests there, which find their own.
    pub mac: Option<MacAddr>,
    pub addresses: Vec<IpAddr>,
}

impl AbroadTask {
    /// The operation that it becomes there; `None`: it is none.
    pub fn kind(&self) -> Option<OpKind> {
        match self {
            AbroadTask::Make | AbroadTask::Drop => None,
            AbroadTask::Instantiate(_) => Some(OpKind::Instantiate),
            AbroadTask::Terminate { .. } => Some(OpKind::Terminate),
            AbroadTask::Scale { .. } => Some(OpKind::Scale),
            AbroadTask::ScaleToLevel { .. } => Some(OpKind::ScaleToLevel),
            AbroadTask::Heal { .. } => Some(OpKind::Heal),
            AbroadTask::Operate { run: RunState::Started, .. } => Some(OpKind::Start),
            AbroadTask::Operate { run: RunState::Stopped, .. } => Some(OpKind::Stop),
        }
    }
}

impl AbroadStep {
    pub fn label(&self) -> String {
        let what = match &self.task {
            AbroadTask::Make => "create",
            AbroadTask::Instantiate(_) => "instantiate",
            AbroadTask::Terminate { .. } => "terminate",
            AbroadTask::Drop => "delete",
            AbroadTask::Scale { out: true, .. } => "scale out",
            AbroadTask::Scale { out: false, .. } => "scale in",
            AbroadTask::ScaleToLevel { .. } => "scale to a level",
            AbroadTask::Heal { .. } => "heal",
            AbroadTask::Operate { run: RunState::Started, .. } => "start",
            AbroadTask::Operate { run: RunState::Stopped, .. } => "stop",
        };
        format!("{what} at VNFM {}", self.vnfm)
    }
}
