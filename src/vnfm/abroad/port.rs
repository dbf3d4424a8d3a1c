//! The port to foreign VNFMs: what this box asks of them (SOL003 5.4), one request each.
//!
//! A fault is `Transient` where asking again may help: no answer, or one that says so. Any other is the VNFM's word.

use smol_str::SmolStr;

use crate::model::{
    abroad::{AbroadTask, ForeignVnfm, OccAct},
    alarm::Severity,
    error::{Fault, FaultRecord, Kind, Result},
    op::VnfOpState,
    vnf::RunState,
};

/// An instance as its VNFM shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: SmolStr,
    pub instantiated: bool,
    /// Level of each aspect, where it is told.
    pub scale: Vec<(SmolStr, u32)>,
    /// Where it is told.
    pub run: Option<RunState>,
}

/// An API by which a VNFM tells of its VNFs (SOL003 5.4.18, 7.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    Lifecycle,
    Faults,
}

impl Tells {
    pub const ALL: [Tells; 2] = [Tells::Lifecycle, Tells::Faults];

    pub fn api(self) -> &'static str {
        match self {
            Tells::Lifecycle => "vnflcm",
            Tells::Faults => "vnffm",
        }
    }
}

/// Where it is to call this box, and as whom.
pub struct CallBack {
    pub uri: String,
    pub account: SmolStr,
    pub secret: String,
}

/// An alarm that stands at a VNFM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAlarm {
    pub id: SmolStr,
    pub severity: Severity,
    pub cause: String,
    pub details: Vec<String>,
}

/// An operation occurrence on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occ {
    pub id: SmolStr,
    /// As the wire has it: there may be kinds that this box does not know.
    pub operation: SmolStr,
    pub state: VnfOpState,
    pub automatic: bool,
    pub cancelling: bool,
    pub error: Option<FaultRecord>,
}

/// An instance that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVnf {
    pub vnfd_id: SmolStr,
    pub name: SmolStr,
    pub description: String,
}

pub trait Managers: Send + Sync {
    /// Instances of exactly this name.
    fn find(&self, at: &ForeignVnfm, name: &str) -> Result<Vec<Seen>>;
    /// `None`: it is not there.
    fn look(&self, at: &ForeignVnfm, id: &str) -> Result<Option<Seen>>;
    fn create(&self, at: &ForeignVnfm, vnf: &NewVnf) -> Result<SmolStr>;
    /// Also when it is not there.
    fn delete(&self, at: &ForeignVnfm, id: &str) -> Result<()>;
    /// The occurrence that it has become.
    fn begin(&self, at: &ForeignVnfm, id: &str, task: &AbroadTask) -> Result<SmolStr>;
    /// Of an instance, in any order.
    fn occs(&self, at: &ForeignVnfm, id: &str) -> Result<Vec<Occ>>;
    fn occ(&self, at: &ForeignVnfm, id: &str) -> Result<Option<Occ>>;
    fn act(&self, at: &ForeignVnfm, occ: &str, act: OccAct) -> Result<()>;
    /// Subscriptions there that call this.
    fn subscriptions(&self, at: &ForeignVnfm, of: Tells, uri: &str) -> Result<Vec<SmolStr>>;
    fn subscribe(&self, at: &ForeignVnfm, of: Tells, back: &CallBack) -> Result<SmolStr>;
    /// Also when it is not there.
    fn unsubscribe(&self, at: &ForeignVnfm, of: Tells, id: &str) -> Result<()>;
    /// Those of an instance that are not over.
    fn alarms(&self, at: &ForeignVnfm, id: &str) -> Result<Vec<SeenAlarm>>;
}

impl Occ {
    /// Why it did not come to its end, in its VNFM's words.
    pub fn fault(&self, at: &ForeignVnfm) -> Fault {
        let said = self.error.clone().unwrap_or_else(|| FaultRecord {
            kind: Kind::Conflict,
            text: "it says no reason".into(),
            reasons: Vec::new(),
        });
        let said = Fault::from(FaultRecord { kind: Kind::Conflict, ..said });
        said.context(format!("VNFM {}: operation {} ({}) is {}", at.account, self.id, self.operation, self.state.name()))
    }
}
