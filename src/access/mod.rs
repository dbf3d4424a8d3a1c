//! Who may do what: accounts, passwords, tokens, roles, projects, the audit trail.
//!
//! * `roles`    what the built-in roles may, and what an account may by all of its roles. Pure
//! * `rate`     lock-out after failures and limits of requests, per source and user. Pure, time is handed in
//! * `password` argon2id, at most two at one time
//! * `recent`   Basic credentials that were right a moment ago
//! * `digest`   tokens and secrets: made, hashed, compared
//! * `admit`    from what a request offers to a `Caller`, or a refusal
//! * `certificate` what of a client certificate names its holder. Pure
//! * `central`  which accounts are central NFVOs, and what of the box is theirs
//! * `element`  element managers, and which VNFs are in their charge
//! * `manage`   accounts, roles, projects and tokens are made, changed, removed
//! * `own`      what users change of their own accounts
//! * `audit`    the hash-chained trail of changes and refusals
//!
//! Owns `Access`, which the API asks. Never: HTTP, and which permission a route needs (`api::permit`).

pub mod admit;
pub mod audit;
pub mod central;
pub mod certificate;
pub mod digest;
pub mod element;
pub mod foreign;
pub mod manage;
mod own;
pub mod password;
pub mod rate;
pub mod recent;
pub mod roles;
#[cfg(test)]
mod tests;
mod thing;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use smol_str::SmolStr;

use self::{audit::Trail, password::Checks, rate::Limits, recent::Recent, roles::Permissions};
use crate::{
    model::{
        abroad::ForeignVnfm,
        access::{Account, Credentials, Owned, Project, Role, Token},
        central::CentralNfvo,
        error::Result,
        id::ProjectId,
        subscription::Eyes,
        time::Clock,
    },
    store::Store,
};

/// The account of the first token.
pub const ADMIN: &str = "admin";
/// The label of the token that a first start makes.
const FIRST: &str = "first";

/// A caller that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub name: SmolStr,
    /// What he makes belongs to this project.
    pub project: ProjectId,
    /// He sees every project, not only that one.
    pub every_project: bool,
    pub permissions: Permissions,
    /// A central NFVO: what it makes is its own.
    pub nfvo: bool,
    /// A VNF or its element manager: only VNFs that name it are there for it.
    pub element: bool,
}

impl Caller {
    /// Root on this host, over the UNIX socket.
    pub fn root() -> Self {
        Caller {
            name: SmolStr::new_static("root@localhost"),
            project: ProjectId::DEFAULT,
            every_project: true,
            permissions: Permissions::ALL,
            nfvo: false,
            element: false,
        }
    }
    /// What he subscribes to is held against what is there for him, when it is told.
    pub fn eyes(&self) -> Eyes {
        match (self.element, self.nfvo && !self.every_project) {
            (true, _) => Eyes::Element(self.name.clone()),
            (false, true) => Eyes::Nfvo(self.name.clone()),
            (false, false) => Eyes::Project,
        }
    }
    /// What belongs to `project` is there for him; the rest is as if it were not.
    pub fn sees(&self, project: ProjectId) -> bool {
        self.every_project || self.project == project
    }
    /// As `sees`, and what reaches beyond its project is for those who see all.
    pub fn sees_all_of<R: Owned>(&self, r: &R) -> bool {
        self.every_project || (!r.of_every_project() && self.project == r.project() && (!self.nfvo || r.is_for_nfvo(&self.name)))
    }
    /// Of these, what is there for him.
    pub fn seen<R: Owned>(&self, mut all: Vec<R>) -> Vec<R> {
        all.retain(|r| self.sees_all_of(r));
        all
    }
}

/// What may be changed while bothy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Life of a token from the token endpoint.
    pub token_life: Duration,
    pub limits: Limits,
    /// Entries of the audit trail that are kept.
    pub audit_keep: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { token_life: Duration::from_secs(3600), limits: Limits::default(), audit_keep: 100_000 }
    }
}

/// Time since some fixed moment; it never jumps.
pub type Monotonic = Box<dyn Fn() -> Duration + Send + Sync>;

/// All records of identity, in memory: each request asks them, and there are few.
#[derive(Default)]
struct Directory {
    accounts: HashMap<SmolStr, Account>,
    roles: HashMap<SmolStr, Role>,
    projects: HashMap<ProjectId, Project>,
    tokens: HashMap<[u8; 32], Token>,
    nfvos: HashMap<SmolStr, CentralNfvo>,
    vnfms: HashMap<SmolStr, ForeignVnfm>,
}

pub struct Access {
    store: Store,
    clock: Arc<dyn Clock>,
    monotonic: Monotonic,
    directory: RwLock<Directory>,
    /// Changes of the records go one after the other.
    writing: Mutex<()>,
    settings: RwLock<Settings>,
    watch: Mutex<rate::Watch>,
    recent: Mutex<Recent>,
    checks: Checks,
    trail: Mutex<Trail>,
    /// Somebody has used the first token.
    first_used: AtomicBool,
    /// Keeps a check of an unknown name as slow as one of a known one.
    decoy: crate::model::access::Password,
}

impl Access {
    /// Reads the records. The flag: somebody is there who may change this box from afar.
    pub fn open(store: Store, clock: Arc<dyn Clock>, monotonic: Monotonic, settings: Settings) -> Result<(Access, bool)> {
        let mut directory = Directory {
            accounts: store.list::<Account>()?.into_iter().map(|a| (a.name.clone(), a)).collect(),
            roles: store.list::<Role>()?.into_iter().map(|r| (r.name.clone(), r)).collect(),
            projects: store.list::<Project>()?.into_iter().map(|p| (p.id, p)).collect(),
            tokens: store.list::<Token>()?.into_iter().map(|t| (t.sha256, t)).collect(),
            nfvos: store.list::<CentralNfvo>()?.into_iter().map(|n| (n.account.clone(), n)).collect(),
            vnfms: store.list::<ForeignVnfm>()?.into_iter().map(|m| (m.account.clone(), m)).collect(),
        };
        if !directory.projects.contains_key(&ProjectId::DEFAULT) {
            let p = manage::default_project(clock.now());
            store.write(crate::store::Durability::Barrier, |tx| tx.put(&p))?;
            directory.projects.insert(p.id, p);
        }
        let now = clock.now();
        let can = |a: &Account| {
            let key = match &a.credentials {
                Credentials::User { password } => password.is_some(),
                Credentials::Client { secret, certificates } => secret.is_some() || !certificates.is_empty(),
            };
            let token = || directory.tokens.values().any(|t| t.account == a.name && t.expires.is_none_or(|e| e > now));
            a.enabled && a.roles.iter().any(|r| r == ADMIN) && (key || token())
        };
        let provisioned = directory.accounts.values().any(can);
        let trail = Trail::open(&store)?;
        let access = Access {
            store,
            clock,
            monotonic,
            directory: RwLock::new(directory),
            writing: Mutex::default(),
            settings: RwLock::new(settings),
            watch: Mutex::default(),
            recent: Mutex::new(Recent::new(digest::random()?)),
            checks: Checks::default(),
            trail: Mutex::new(trail),
            first_used: AtomicBool::new(false),
            decoy: password::decoy()?,
        };
        Ok((access, provisioned))
    }

    /// The box has got an administrator: by the first token, or by another way. It need not be shown any more.
    pub fn is_claimed(&self) -> bool {
        let d = self.directory();
        let others = d.accounts.values().any(|a| {
            let user = matches!(&a.credentials, Credentials::User { password } if password.is_some());
            a.name != ADMIN || user || matches!(&a.credentials, Credentials::Client { .. })
        });
        self.first_used.load(Ordering::Relaxed) || others || !d.tokens.values().any(|t| t.account == ADMIN && t.label == FIRST)
    }

    pub fn settings(&self) -> Settings {
        *self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }
    pub fn set_settings(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
    }
    pub fn store(&self) -> &Store {
        &self.store
    }
    fn now(&self) -> Duration {
        (self.monotonic)()
    }
    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
