//! The port to foreign VNFMs: what this box asks of them (SOL003 5.4), one request each.
//!
//! A fault is `Transient` where asking again may help: no answer, or one that says so. Any other is the VNFM's word.

use smol_str::SmolStr;

use crate::model::{
    abroad::{AbroadTask, ForeignVnfm, OccAct},
    error::{Fault, FaultRecord, Kind, Result},
    op::VnfOpState,
};

/// An instance as its VNFM shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: SmolStr,
    pub instantiated: bool,
    /// Level of each aspect, where it is told.
    pub scale: Vec<(SmolStr, u32)>,
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
