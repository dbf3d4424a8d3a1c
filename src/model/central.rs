//! Central NFVOs, whose VNF instances this VNFM runs, and the grants that are asked of them (SOL003 9).
//!
//! Owns the records. Never: wire forms, secrets in the clear.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    grant::{Resource, ResourceKind},
    id::{OpId, SnapshotId, VnfId, VnfPkgId},
    subscription::Auth,
    time::Stamp,
    vnf::Body,
};

/// A central NFVO: VNF instances that its account makes are its own, and it is asked for their grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CentralNfvo {
    pub account: SmolStr,
    /// The secret is sealed under this.
    pub id: Uuid,
    /// `{apiRoot}` of its grant API: what stands before `/grant/v1`.
    pub api_root: String,
    pub auth: Option<Auth>,
    pub created: Stamp,
    pub revision: u64,
}

/// Where a package came from: its NFVO's package, which was asked for by its VNFD. Goes with the package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    pub package: VnfPkgId,
    /// The NFVO's account.
    pub nfvo: SmolStr,
    pub vnfd_id: SmolStr,
    /// Its id at the NFVO.
    pub theirs: SmolStr,
    /// The checksum of its archive, as the NFVO has it: the algorithm's name, and hexadecimal digits.
    pub algorithm: SmolStr,
    pub hash: SmolStr,
}

/// Whose a snapshot is that an NFVO has made: while it is empty, no instance in it says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotOwner {
    pub snapshot: SnapshotId,
    pub account: SmolStr,
}

/// What an operation adds to the resources of a VNF, takes from them, and changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    pub add: Vec<Resource>,
    pub remove: Vec<Resource>,
    pub update: Vec<Resource>,
}

/// How far the asking is; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asking {
    /// It has to be asked, or asked again.
    Due,
    /// It takes its time: the answer will be at this path.
    Accepted(String),
    /// Under this id of the NFVO.
    Given(SmolStr),
    /// Without its owner, who does not answer: within what it has granted before.
    GivenHere,
}

/// The grant that an operation needs of its VNF's owner. Kept as long as the operation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantAsk {
    pub op: OpId,
    pub vnf: VnfId,
    pub owner: SmolStr,
    /// As `VnfOwner` has it.
    pub base: String,
    pub vnfd_id: SmolStr,
    /// Where the VNF comes to another package.
    pub dst_vnfd_id: Option<SmolStr>,
    /// Of an instantiation and a change of flavour.
    pub flavour: Option<SmolStr>,
    pub resources: Resources,

    /// It takes nothing that was not granted before.
    pub within: bool,
    pub state: Asking,
    /// Vain tries, and why the last one was.
    pub attempts: u32,
    pub why: String,
}

impl GrantAsk {
    pub fn is_open(&self) -> bool {
        match self.state {
            Asking::Due | Asking::Accepted(_) => true,
            Asking::Given(_) | Asking::GivenHere => false,
        }
    }
    /// `grantId`.
    pub fn grant(&self) -> Option<&SmolStr> {
        match &self.state {
            Asking::Given(id) => Some(id),
            Asking::Due | Asking::Accepted(_) | Asking::GivenHere => None,
        }
    }
    /// For people.
    pub fn says(&self) -> String {
        let owner = &self.owner;
        match &self.state {
            Asking::Due if self.attempts == 0 => format!("the grant of NFVO {owner} is asked for"),
            Asking::Due => format!("waits for the grant of NFVO {owner}, asked for {} times in vain: {}", self.attempts, self.why),
            Asking::Accepted(_) if self.attempts == 0 => format!("waits for NFVO {owner}, which decides on its grant"),
            Asking::Accepted(_) => format!("waits for NFVO {owner}, which decides on its grant and does not answer: {}", self.why),
            Asking::Given(id) => format!("granted by NFVO {owner} as {id}"),
            Asking::GivenHere => format!("granted on this box: it takes nothing new, and NFVO {owner} does not answer: {}", self.why),
        }
    }
}

impl Resources {
    /// What comes, goes and changes from one body to another; `None`: nothing is there.
    pub fn between(before: Option<&Body>, after: Option<&Body>) -> Resources {
        let (was, is) = (all_of(before), all_of(after));
        let mut out = Resources::default();
        for (r, form) in &is {
            match was.iter().find(|(o, _)| o.id == r.id) {
                None => out.add.push(r.clone()),
                Some((_, old)) if old != form => out.update.push(r.clone()),
                Some(_) => {}
            }
        }
        out.remove.extend(was.into_iter().filter(|(o, _)| is.iter().all(|(r, _)| r.id != o.id)).map(|(o, _)| o));
        out
    }
}

/// Each resource with what of it may change.
fn all_of(body: Option<&Body>) -> Vec<(Resource, (u64, Uuid))> {
    let Some(body) = body else { return Vec::new() };
    let mut out = Vec::new();
    let mut put = |id: Uuid, kind, vdu: Option<&SmolStr>, template: &SmolStr, form| {
        let id = SmolStr::new(id.to_string());
        out.push((Resource { id, kind, vdu: vdu.cloned(), template: template.clone() }, form));
    };
    for (link, segment) in &body.links {
        if body.own_segments.contains(segment) {
            put(segment.0, ResourceKind::Link, None, link, (0, Uuid::nil()));
        }
    }
    for c in &body.vnfcs {
        put(c.id.0, ResourceKind::Compute, Some(&c.vdu), &c.vdu, (c.memory.0 << 16 | u64::from(c.vcpus), Uuid::nil()));
        for d in &c.disks {
            put(d.id.0, ResourceKind::Storage, None, &d.storage, (d.size.0, Uuid::nil()));
        }
        for p in &c.ports {
            if let Some(cpd) = &p.ext_cp {
                put(p.id.0, ResourceKind::LinkPort, None, cpd, (0, p.segment.0));
            }
        }
    }
    out
}
