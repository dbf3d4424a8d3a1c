//! Who may do what: accounts, roles, projects with their quotas, tokens and the audit trail, as records.
//!
//! Owns the words (`Resource`, `Action`, `Permission`) and the shapes. Never: a password or a token in
//! the clear, and no decision; those are made in `access`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    alarm::{Alarm, Object},
    error::{Fault, Result},
    id::{ProjectId, VnfId},
    op::{Operation, Target},
    pm::{PmJob, Threshold},
    size::MiB,
    snapshot::VnfSnapshot,
    subscription::Source,
    time::Stamp,
};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),* }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }
        impl FromStr for $name {
            type Err = Fault;
            fn from_str(s: &str) -> Result<Self> {
                let known = || $name::ALL.iter().map(|v| v.word()).collect::<Vec<_>>().join(", ");
                match s {
                    $($word => Ok($name::$variant),)*
                    _ => Err(Fault::invalid(format!("'{s}' is no {}; known: {}", $what, known()))),
                }
            }
        }
    )*};
}

words! {
    /// What a permission is on. Stored: new ones go to the end.
    Resource, "resource" {
        /// Health, versions: what everyone who is let in may see.
        About = "about",
        /// The caller's own tokens, and who he is.
        Own = "own",
        NsDescriptor = "nsd",
        VnfPackage = "vnfpkg",
        Ns = "ns",
        Vnf = "vnf",
        /// Timelines and explanations, of operations of either kind.
        Operation = "operation",
        Network = "network",
        /// Consoles, serial logs, first-boot media: what lies inside a VNF.
        Guest = "guest",
        Secret = "secret",
        Plan = "plan",
        Host = "host",
        Config = "config",
        Store = "store",
        Support = "support",
        /// Users, clients, roles, and everybody's tokens.
        Identity = "identity",
        /// Projects and their quotas.
        Project = "project",
        Audit = "audit",
        Tls = "tls",
        Subscription = "subscription",
        Alarm = "alarm",
        Performance = "performance",
        Indicator = "indicator",
        Grant = "grant",
    }
    /// What is done to it. Stored: new ones go to the end.
    Action, "action" {
        Read = "read",
        Create = "create",
        Change = "change",
        Delete = "delete",
        /// A task: instantiate, terminate, retry, console, apply.
        Act = "act",
    }
}

/// Written as `vnf:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permission {
    pub resource: Resource,
    pub action: Action,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource.word(), self.action.word())
    }
}

impl FromStr for Permission {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let (resource, action) =
            s.split_once(':').ok_or_else(|| Fault::invalid(format!("'{s}' is no permission: write RESOURCE:ACTION, such as vnf:read")))?;
        Ok(Permission { resource: resource.parse()?, action: action.parse()? })
    }
}

/// A role beside the built-in ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub name: SmolStr,
    pub description: String,
    pub permissions: Vec<Permission>,
    /// Holders see and change what belongs to every project.
    pub every_project: bool,
    pub created: Stamp,
    pub revision: u64,
}

/// argon2id (RFC 9106) with the costs it was made with, so that they can be raised later.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Password {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    pub salt: [u8; 16],
    pub hash: [u8; 32],
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "argon2id m={} t={} p={}", self.memory_kib, self.passes, self.lanes)
    }
}

/// Which client certificates speak for an account. All were signed by a pinned CA before this counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CertificateRule {
    /// SHA-256 of the whole certificate.
    Fingerprint([u8; 32]),
    CommonName(SmolStr),
    /// A `dNSName` of the subject's alternative names.
    Dns(SmolStr),
    /// A `uniformResourceIdentifier` of them.
    Uri(SmolStr),
}

/// How an account shows who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// A person. Without a password only tokens open the door.
    User { password: Option<Password> },
    /// A program. Its secret is random, so a plain SHA-256 of it is enough.
    Client { secret: Option<[u8; 32]>, certificates: Vec<CertificateRule> },
}

/// A user or a client. The two share one name space, so that a name in the audit trail is one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: SmolStr,
    pub credentials: Credentials,
    pub roles: Vec<SmolStr>,
    pub project: ProjectId,
    pub enabled: bool,
    pub created: Stamp,
    pub revision: u64,
}

/// A token: only its digest is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub sha256: [u8; 32],
    pub account: SmolStr,
    pub label: SmolStr,
    pub created: Stamp,
    pub expires: Option<Stamp>,
}

/// What a project may take of the box at most; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quota {
    /// Instantiated VNFs.
    pub vnfs: Option<u32>,
    pub vcpus: Option<u32>,
    /// Guests' memory and QEMU's overhead.
    pub memory: Option<MiB>,
    /// Virtual sizes of disks.
    pub disk: Option<MiB>,
    /// Virtual functions of SR-IOV NICs.
    pub vfs: Option<u32>,
}

/// Owner of descriptors, instances, secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub id: ProjectId,
    pub name: SmolStr,
    pub description: String,
    pub quota: Quota,
    pub created: Stamp,
    pub revision: u64,
}

/// One change or refusal. `hash` covers all else, `previous` the entry before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub sequence: u64,
    pub at: Stamp,
    /// Account, or `-` where nobody was known.
    pub who: SmolStr,
    /// Address of the caller, or `local`.
    pub source: SmolStr,
    pub project: Option<ProjectId>,
    pub method: SmolStr,
    pub path: String,
    pub status: u16,
    /// The operation that was begun.
    pub op: Option<super::id::OpId>,
    /// Why it was refused.
    pub why: String,
    pub previous: [u8; 32],
    pub hash: [u8; 32],
}

/// The two ends of the audit trail: entries that were taken from either end are missed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEnds {
    /// The oldest entry kept, and the hash of the one before it.
    pub first: u64,
    pub before: [u8; 32],
    /// The newest.
    pub last: u64,
    pub hash: [u8; 32],
}

/// What belongs to a project.
pub trait Owned {
    fn project(&self) -> ProjectId;
    /// It reaches beyond its project: only for those who see every project.
    fn of_every_project(&self) -> bool {
        false
    }
    /// The VNF instances that it is of: it is there for an element manager who has all of them in his charge. None: for no such.
    fn of_vnfs(&self) -> Vec<VnfId> {
        Vec::new()
    }
    /// The subscription that it is.
    fn told(&self) -> Option<uuid::Uuid> {
        None
    }
    /// It is there for the central NFVO of that account, if for anybody of its project.
    fn is_for_nfvo(&self, _account: &str) -> bool {
        true
    }
}

macro_rules! owned {
    ($($t:ty),* $(,)?) => {$(
        impl Owned for $t {
            fn project(&self) -> ProjectId { self.project }
        }
    )*};
}
owned! {
    super::ns::NsInstance, super::package::NsDescriptor, super::package::PnfDescriptor, super::package::VnfPackage,
    super::segment::Segment, super::chain::Chain, super::capacity::CapacityThreshold,
}

macro_rules! owned_of_vnfs {
    ($($t:ty, $of:expr);* $(;)?) => {$(
        impl Owned for $t {
            fn project(&self) -> ProjectId { self.project }
            fn of_vnfs(&self) -> Vec<VnfId> {
                let of: fn(&$t) -> Vec<VnfId> = $of;
                of(self)
            }
        }
    )*};
}
owned_of_vnfs! {
    Operation, |o| match o.target {
        Target::Vnf(id) => vec![id],
        Target::Ns(_) | Target::Pf(_) => Vec::new(),
    };
    Alarm, |a| match a.object {
        Object::Vnf(id) => vec![id],
        Object::Ns(_) | Object::Host => Vec::new(),
    };
    PmJob, |j| if j.object_type.of_service() { Vec::new() } else { j.objects.iter().copied().map(VnfId).collect() };
    Threshold, |t| if t.object_type.of_service() { Vec::new() } else { vec![VnfId(t.object)] };
    VnfSnapshot, |s| s.taken.iter().map(|t| t.vnf.id).collect();
}

impl Owned for super::vnf::VnfInstance {
    fn project(&self) -> ProjectId {
        self.project
    }
    fn of_vnfs(&self) -> Vec<VnfId> {
        vec![self.id]
    }
    fn is_for_nfvo(&self, account: &str) -> bool {
        self.ns.is_some() || self.is_of(account)
    }
}

impl Owned for super::subscription::Subscription {
    fn project(&self) -> ProjectId {
        self.project
    }
    fn told(&self) -> Option<uuid::Uuid> {
        Some(self.id)
    }
    fn of_every_project(&self) -> bool {
        self.every_project
    }
    fn of_vnfs(&self) -> Vec<VnfId> {
        match self.source {
            Source::VnfLcm | Source::VnfLcmFirst | Source::VnfFm | Source::VnfInd | Source::VnfPmFirst => {
                self.filter.ids.iter().copied().map(VnfId).collect()
            }
            Source::Nsd
            | Source::VnfPkgm
            | Source::NsLcm
            | Source::Sol003VnfPkgm
            | Source::NsFm
            | Source::VnfPmJob
            | Source::VnfThreshold
            | Source::NsPmJob
            | Source::NsThreshold
            | Source::NsdFirst
            | Source::VnfPkgmFirst
            | Source::Sol003VnfPkgmFirst
            | Source::NsLcmFirst
            | Source::NsPmFirst
            | Source::VrQuota
            | Source::NfviThreshold => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_reads_back_and_a_wrong_one_says_what_is_known() {
        for r in Resource::ALL {
            for a in Action::ALL {
                let p = Permission { resource: *r, action: *a };
                assert_eq!(p.to_string().parse::<Permission>().expect("reads"), p);
            }
        }
        for (bad, says) in [("vnf", "RESOURCE:ACTION"), ("vnf:reed", "known: read, create"), ("vm:read", "known: about, own")] {
            let e = bad.parse::<Permission>().expect_err(bad).to_string();
            assert!(e.contains(says), "{e}");
        }
    }
}
