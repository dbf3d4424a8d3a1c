//! A VNF's own interfaces (SOL002 8 to 10): what its VNFD says of them, where they are reached, and what operations ask there.
//!
//! ```text
//! Due --asked--> Accepted --(told)--> Over
//!  |                |--given up--> Cancelling --(told)--> Over
//!  `--answered at once, refused, given up--> Over
//! ```
//! Owns the records. Never: wire forms, secrets in the clear.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    error::FaultRecord,
    id::{OpId, VnfId},
    op::OpKind,
    subscription::Auth,
    time::Stamp,
};

/// What a flavour of a VNFD says of the VNF's own interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnApis {
    pub flavour: SmolStr,
    pub doors: Vec<Door>,
    pub coordinations: Vec<Coordination>,
}

/// Which of its interfaces (SOL001's `interface_name`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnApi {
    Indicator,
    Configuration,
    Coordination,
}

impl OwnApi {
    /// Its name in paths.
    pub fn name(self) -> &'static str {
        match self {
            OwnApi::Indicator => "vnfind",
            OwnApi::Configuration => "vnfconfig",
            OwnApi::Coordination => "lcmcoord",
        }
    }
}

/// Where an interface is reached (SOL001's SupportedVnfInterface).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Door {
    pub api: OwnApi,
    pub tls: bool,
    /// `None`: at the addresses of these connection points.
    pub host: Option<SmolStr>,
    pub port: u16,
    /// Before `/lcmcoord/v1`, without a slash at its end.
    pub path: SmolStr,
    pub cps: Vec<SmolStr>,
    /// Basic credentials: whose, and the name of the project's secret.
    pub login: Option<(SmolStr, SmolStr)>,
}

/// Which operations coordinate, as the interface tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coordinated {
    Instantiate,
    Scale,
    ScaleToLevel,
    ChangeFlavour,
    Terminate,
    Heal,
    Operate,
    ChangeExtConn,
    CreateSnapshot,
    RevertToSnapshot,
    ChangePackage,
}

impl Coordinated {
    /// `None`: it is over when it is taken, or is none of a VNF.
    pub fn of(kind: OpKind) -> Option<Coordinated> {
        Some(match kind {
            OpKind::Instantiate => Coordinated::Instantiate,
            OpKind::Terminate => Coordinated::Terminate,
            OpKind::Start | OpKind::Stop => Coordinated::Operate,
            OpKind::Scale => Coordinated::Scale,
            OpKind::ScaleToLevel => Coordinated::ScaleToLevel,
            OpKind::Heal => Coordinated::Heal,
            OpKind::CreateSnapshot => Coordinated::CreateSnapshot,
            OpKind::RevertToSnapshot => Coordinated::RevertToSnapshot,
            OpKind::ChangeExtConn => Coordinated::ChangeExtConn,
            OpKind::ChangeFlavour => Coordinated::ChangeFlavour,
            OpKind::ChangePackage => Coordinated::ChangePackage,
            OpKind::ModifyInfo | OpKind::ReloadPf | OpKind::RestorePf | OpKind::Update => return None,
        })
    }
    /// `LcmOperationForCoordType`.
    pub fn word(self) -> &'static str {
        match self {
            Coordinated::Instantiate => "INSTANTIATE",
            Coordinated::Scale => "SCALE",
            Coordinated::ScaleToLevel => "SCALE_TO_LEVEL",
            Coordinated::ChangeFlavour => "CHANGE_FLAVOUR",
            Coordinated::Terminate => "TERMINATE",
            Coordinated::Heal => "HEAL",
            Coordinated::Operate => "OPERATE",
            Coordinated::ChangeExtConn => "CHANGE_EXT_CONN",
            Coordinated::CreateSnapshot => "CREATE_SNAPSHOT",
            Coordinated::RevertToSnapshot => "REVERT_TO_SNAPSHOT",
            Coordinated::ChangePackage => "CHANGE_VNFPKG",
        }
    }
}

/// Before all else that an operation does, or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    Start,
    End,
}

/// Who serves an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndpointKind {
    /// The VNF itself.
    Vnf,
    /// Its element manager.
    Mgmt,
}

/// An action that an operation coordinates with (SOL001's LcmCoordinationAction).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordination {
    pub operation: Coordinated,
    pub stage: Stage,
    pub ask: CoordAsk,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoordAsk {
    pub action: SmolStr,
    /// `None`: the element manager, if the VNF instance has one, else the VNF itself.
    pub endpoint: Option<EndpointKind>,
    /// `inputParams` as a JSON object, or nothing.
    pub input: String,
}

/// What a step asks of a VNF; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Coordinate(CoordAsk),
    /// To take its configuration: what the record has for it when it is asked.
    Configure,
}

impl What {
    pub fn api(&self) -> OwnApi {
        match self {
            What::Coordinate(_) => OwnApi::Coordination,
            What::Configure => OwnApi::Configuration,
        }
    }
    pub fn endpoint(&self) -> Option<EndpointKind> {
        match self {
            What::Coordinate(ask) => ask.endpoint,
            What::Configure => Some(EndpointKind::Vnf),
        }
    }
    /// For people: what it is asked for.
    pub fn name(&self) -> String {
        match self {
            What::Coordinate(ask) => format!("'{}'", ask.action),
            What::Configure => "configuration".into(),
        }
    }
}

/// What was told of a VNF instance's endpoints; it goes before what the VNFD says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnEndpoints {
    pub vnf: VnfId,
    pub own: Option<Endpoint>,
    pub mgmt: Option<Endpoint>,
    /// Where this API is, as whoever told it reached it: links in requests start with it.
    pub base: String,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// The secret is sealed under this.
    pub id: Uuid,
    /// What stands before `/lcmcoord/v1`; `None`: as the VNFD says.
    pub api_root: Option<String>,
    pub auth: Option<Auth>,
}

/// Something that a step asks of a VNF. Kept as long as its operation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    pub op: OpId,
    pub step: u32,
    pub vnf: VnfId,
    pub operation: Coordinated,
    pub what: What,
    /// Of the operation: each asks anew.
    pub attempt: u32,
    pub state: Asked,
    /// Whom it was asked of last.
    pub endpoint: EndpointKind,
    /// Vain tries, and why the last one was.
    pub tries: u32,
    pub why: String,
    /// Until then nobody is asked again: the other side said so.
    pub delay: Option<Stamp>,
    /// Those that were taken, the last one too. At most `MOST_ROUNDS`.
    pub rounds: Vec<Round>,
    /// When it was put off, and until when. At most `MOST_ROUNDS`.
    pub rejected: Vec<(Stamp, Stamp)>,
    pub revision: u64,
}

/// Rounds and rejections that are kept of an errand; the oldest go first.
pub const MOST_ROUNDS: usize = 16;
/// Characters of others' texts that are kept.
pub const LONGEST_TEXT: usize = 500;

/// A coordination that the other side took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub id: SmolStr,
    pub began: Stamp,
    pub ended: Option<(Stamp, Verdict)>,
    pub endpoint: EndpointKind,
    pub delay: Option<Stamp>,
    pub warnings: String,
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// It has to be asked, or asked again.
    Due,
    /// It takes its time: the answer will be at this path.
    Accepted(String),
    /// The same; it is not wanted any more. The other side has been told so, or not yet.
    Cancelling {
        at: String,
        told: bool,
    },
    Over(Ended),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    Continue,
    /// The operation stops here.
    Stopped(FaultRecord),
    /// It was not asked after all; why.
    Skipped(String),
}

/// `LcmCoordResultType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Continue,
    Abort,
    Cancelled,
}

impl Errand {
    pub fn is_open(&self) -> bool {
        match self.state {
            Asked::Due | Asked::Accepted(_) | Asked::Cancelling { .. } => true,
            Asked::Over(_) => false,
        }
    }
    /// For people.
    pub fn says(&self) -> String {
        let (what, who) = (self.what.name(), self.endpoint.says());
        match &self.state {
            Asked::Due if self.tries == 0 => format!("asks {who} for its {what}"),
            Asked::Due => format!("waits for {who}, asked for its {what} {} times in vain: {}", self.tries, self.why),
            Asked::Accepted(_) if self.why.is_empty() => format!("waits for {who}, which is at its {what}"),
            Asked::Accepted(_) => format!("waits for {who}, which is at its {what} and does not answer: {}", self.why),
            Asked::Cancelling { .. } => format!("has {who} call off its {what}"),
            Asked::Over(Ended::Continue) => format!("{who} has done its {what}"),
            Asked::Over(Ended::Stopped(f)) => f.text.clone(),
            Asked::Over(Ended::Skipped(why)) => format!("went on without the {what} of {who}: {why}"),
        }
    }
    /// Its warnings for whoever looks at the operation.
    pub fn warns(&self) -> impl Iterator<Item = String> {
        let skipped = matches!(self.state, Asked::Over(Ended::Skipped(_))).then(|| self.says());
        let said = self.rounds.iter().filter(|r| !r.warnings.is_empty());
        skipped.into_iter().chain(said.map(|r| format!("{} {}: {}", self.endpoint.says(), self.what.name(), r.warnings)))
    }
}

impl EndpointKind {
    pub fn says(self) -> &'static str {
        match self {
            EndpointKind::Vnf => "the VNF",
            EndpointKind::Mgmt => "the VNF's element manager",
        }
    }
}

/// One of these more; the oldest go.
pub fn keep<T>(all: &mut Vec<T>, one: T) {
    all.push(one);
    let over = all.len().saturating_sub(MOST_ROUNDS);
    all.drain(..over);
}
