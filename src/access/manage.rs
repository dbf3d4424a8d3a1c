//! Accounts, roles, projects and tokens: made, changed, removed.
//!
//! A change is on the disk before it counts, and counts for the next request. Nobody gives away more than
//! he has, and whoever is bound to a project manages the accounts of that project only. Never: HTTP, and
//! nothing secret is handed out twice.

use std::{collections::HashMap, time::Duration};

use data_encoding::HEXLOWER;
use smol_str::{SmolStr, ToSmolStr as _};
use uuid::Uuid;

pub use super::thing::{Thing, owner};
use super::{
    ADMIN, Access, Caller, Directory, FIRST,
    digest::{Fresh, random},
    lock, password,
    roles::{BUILT_IN, BuiltIn, together},
};
use crate::model::order::Order as _;
use crate::{
    model::{
        access::{Account, CertificateRule, Credentials, Permission, Project, Quota, Role, Token},
        capacity::CapacityThreshold,
        error::{Fault, Result},
        id::ProjectId,
        ns::NsInstance,
        package::{NsDescriptor, PnfDescriptor, VnfPackage},
        pm::{PmJob, Threshold},
        secret::Secret,
        snapshot::VnfSnapshot,
        subscription::Subscription,
        time::Stamp,
        vnf::VnfInstance,
    },
    store::{Durability, Tx},
};

/// Live tokens of one account; the oldest from the token endpoint makes room.
const TOKENS_EACH: usize = 64;
/// Accounts, roles, projects: a box has few, and all are in memory.
const MOST: usize = 1000;

/// Label of tokens from the token endpoint.
pub const OAUTH2: &str = "oauth2";

pub fn default_project(now: Stamp) -> Project {
    Project {
        id: ProjectId::DEFAULT,
        name: "default".into(),
        description: "whatever no other project owns".into(),
        quota: Quota::default(),
        created: now,
        revision: 1,
    }
}

/// What becomes of an account; `None` leaves it as it is.
#[derive(Debug, Default)]
pub struct AccountChange {
    pub password: Option<NewPassword>,
    pub certificates: Option<Vec<CertificateRule>>,
    pub roles: Option<Vec<SmolStr>>,
    pub project: Option<ProjectId>,
    pub enabled: Option<bool>,
}

/// It has no readable `Debug`, so that no log can hold it.
pub struct NewPassword(pub String);

impl std::fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(a password)")
    }
}

#[derive(Debug, Default)]
pub struct ProjectChange {
    pub name: Option<SmolStr>,
    pub description: Option<String>,
    pub quota: Option<Quota>,
}

/// A role as shown: built in or stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRole {
    pub name: SmolStr,
    pub description: String,
    pub permissions: Vec<Permission>,
    pub every_project: bool,
    pub built_in: bool,
}

/// How a token is named where it must not be shown.
pub fn token_id(t: &Token) -> String {
    HEXLOWER.encode(&t.sha256[..8])
}

fn check_name(what: &str, name: &str) -> Result<()> {
    let fine = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
    if fine {
        return Ok(());
    }
    Err(Fault::invalid(format!(
        "'{name}' is no name of a {what}: letters, digits, '.', '_', '@' and '-', led by a letter or digit, 64 at most"
    )))
}

fn room<K, V>(map: &HashMap<K, V>, what: &str) -> Result<()> {
    if map.len() < MOST { Ok(()) } else { Err(Fault::capacity(format!("there are {MOST} {what} already, which is the limit"))) }
}

impl Access {
    /// Changes records and then the directory, one change at a time.
    pub(super) fn change<T>(
        &self,
        durability: Durability,
        plan: impl FnOnce(&Directory) -> Result<T>,
        write: impl Fn(&mut Tx, &T) -> Result<()>,
        apply: impl FnOnce(&mut Directory, &T),
    ) -> Result<T> {
        let _one = lock(&self.writing);
        let t = plan(&self.directory())?;
        self.store.write(durability, |tx| write(tx, &t))?;
        apply(&mut self.directory.write().unwrap_or_else(std::sync::PoisonError::into_inner), &t);
        Ok(t)
    }

    /// Makes the first administrator and his token, which never expires until it is revoked.
    pub fn bootstrap(&self) -> Result<Fresh> {
        let now = self.clock.now();
        self.change(
            Durability::Barrier,
            |d| {
                let mut a = d.accounts.get(ADMIN).cloned().unwrap_or(Account {
                    name: ADMIN.into(),
                    credentials: Credentials::User { password: None },
                    roles: Vec::new(),
                    project: ProjectId::DEFAULT,
                    enabled: true,
                    created: now,
                    revision: 0,
                });
                a.roles = vec![ADMIN.into()];
                a.enabled = true;
                a.revision += 1;
                Ok(a)
            },
            |tx, a| tx.put(a),
            |d, a| {
                d.accounts.insert(a.name.clone(), a.clone());
            },
        )?;
        self.issue(ADMIN, FIRST.into(), None, Durability::Barrier).map(|(fresh, _)| fresh)
    }

    /// Who `by` may manage: accounts of his own project, or all.
    fn managed(d: &Directory, by: &Caller, name: &str) -> Result<Account> {
        let a = d.accounts.get(name).filter(|a| by.sees(a.project));
        a.cloned().ok_or_else(|| Fault::not_found(format!("there is no account '{name}'")))
    }

    fn check_gift(d: &Directory, by: &Caller, names: &[SmolStr], project: ProjectId) -> Result<()> {
        let unknown: Vec<String> = names
            .iter()
            .filter(|n| BuiltIn::find(n).is_none() && !d.roles.contains_key(*n))
            .map(|n| format!("there is no role '{n}'"))
            .collect();
        if !unknown.is_empty() {
            return Err(Fault::invalid("unknown roles").with_reasons(unknown));
        }
        if !d.projects.contains_key(&project) || !by.sees(project) {
            return Err(Fault::invalid(format!("there is no project {project}")));
        }
        let (permissions, every) = together(names, |n| d.roles.get(n));
        if by.permissions.covers(permissions) && (by.every_project || !every) {
            return Ok(());
        }
        Err(Fault::forbidden(format!("{} may not give roles that may more than {} itself", by.name, by.name)))
    }

    pub fn accounts(&self, by: &Caller) -> Vec<Account> {
        let mut all: Vec<Account> = self.directory().accounts.values().filter(|a| by.sees(a.project)).cloned().collect();
        all.order_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub fn account(&self, by: &Caller, name: &str) -> Result<Account> {
        Self::managed(&self.directory(), by, name)
    }

    /// A new user or client. Hashing a password takes tens of milliseconds: for a thread that may block.
    pub fn create_account(
        &self,
        by: &Caller,
        name: SmolStr,
        credentials: Credentials,
        roles: Vec<SmolStr>,
        project: ProjectId,
    ) -> Result<Account> {
        check_name("user or client", &name)?;
        let created = self.clock.now();
        self.change(
            Durability::Barrier,
            |d| {
                room(&d.accounts, "accounts")?;
                if d.accounts.contains_key(&name) {
                    return Err(Fault::conflict(format!("there is an account '{name}' already")));
                }
                Self::check_gift(d, by, &roles, project)?;
                Ok(Account { name, credentials, roles, project, enabled: true, created, revision: 1 })
            },
            |tx, a| tx.put_new(a),
            |d, a| {
                d.accounts.insert(a.name.clone(), a.clone());
            },
        )
    }

    pub fn change_account(&self, by: &Caller, name: &str, change: AccountChange) -> Result<Account> {
        let hashed = change.password.as_ref().map(|p| password::hash(&p.0)).transpose()?;
        self.change(
            Durability::Barrier,
            |d| {
                let mut a = Self::managed(d, by, name)?;
                // Whoever may not give these roles may not take over the account that has them.
                Self::check_gift(d, by, &a.roles, a.project)?;
                match (&mut a.credentials, hashed, change.certificates) {
                    (_, None, None) => {}
                    (Credentials::User { password }, Some(new), None) => *password = Some(new),
                    (Credentials::Client { certificates, .. }, None, Some(new)) => *certificates = new,
                    (Credentials::User { .. }, _, Some(_)) => return Err(Fault::invalid("a user has no certificates: make a client")),
                    (Credentials::Client { .. }, Some(_), _) => return Err(Fault::invalid("a client has no password: renew its secret")),
                }
                let other = change.roles.as_ref().is_some_and(|r| *r != a.roles) || change.project.is_some_and(|p| p != a.project);
                if other && d.nfvos.contains_key(name) {
                    return Err(Fault::conflict(format!(
                        "'{name}' is a central NFVO, and what it owns hangs on its project and roles: take its grant endpoint away first \
                         (bothy nfvo delete)"
                    )));
                }
                if other && d.vnfms.contains_key(name) {
                    return Err(Fault::conflict(format!(
                        "'{name}' is a foreign VNFM of services of its project: say first that it is driven no more (bothy vnfm delete)"
                    )));
                }
                a.roles = change.roles.unwrap_or(a.roles);
                a.project = change.project.unwrap_or(a.project);
                a.enabled = change.enabled.unwrap_or(a.enabled);
                a.revision += 1;
                Self::check_gift(d, by, &a.roles, a.project)?;
                Ok(a)
            },
            |tx, a| tx.put(a),
            |d, a| {
                d.accounts.insert(a.name.clone(), a.clone());
            },
        )
    }

    /// A new secret for a client; the old one is void.
    pub fn renew_secret(&self, by: &Caller, name: &str) -> Result<(Account, Fresh)> {
        let fresh = Fresh::make()?;
        let a = self.change(
            Durability::Barrier,
            |d| {
                let mut a = Self::managed(d, by, name)?;
                Self::check_gift(d, by, &a.roles, a.project)?;
                match &mut a.credentials {
                    Credentials::Client { secret, .. } => *secret = Some(fresh.sha256()),
                    Credentials::User { .. } => return Err(Fault::invalid(format!("'{name}' is a user: it has a password, not a secret"))),
                }
                a.revision += 1;
                Ok(a)
            },
            |tx, a| tx.put(a),
            |d, a| {
                d.accounts.insert(a.name.clone(), a.clone());
            },
        )?;
        Ok((a, fresh))
    }

    /// The account goes with its tokens.
    pub fn delete_account(&self, by: &Caller, name: &str) -> Result<()> {
        self.change(
            Durability::Barrier,
            |d| {
                let a = Self::managed(d, by, name)?;
                Self::check_gift(d, by, &a.roles, a.project)?;
                if d.nfvos.contains_key(name) {
                    return Err(Fault::conflict(format!(
                        "'{name}' is a central NFVO: take its grant endpoint away first (bothy nfvo delete)"
                    )));
                }
                if d.vnfms.contains_key(name) {
                    return Err(Fault::conflict(format!(
                        "'{name}' is a foreign VNFM: say first that it is driven no more (bothy vnfm delete)"
                    )));
                }
                let tokens: Vec<[u8; 32]> = d.tokens.values().filter(|t| t.account == name).map(|t| t.sha256).collect();
                Ok((a, tokens))
            },
            |tx, (a, tokens)| {
                tx.delete::<Account>(&a.name)?;
                tokens.iter().try_for_each(|t| tx.delete::<Token>(t).map(|_| ()))
            },
            |d, (a, tokens)| {
                d.accounts.remove(&a.name);
                tokens.iter().for_each(|t| drop(d.tokens.remove(t)));
            },
        )
        .map(|_| ())
    }

    /// A token for an account. `life` of `None` lasts until it is revoked.
    pub fn issue(&self, account: &str, label: SmolStr, life: Option<Duration>, durability: Durability) -> Result<(Fresh, Token)> {
        let fresh = Fresh::make()?;
        let created = self.clock.now();
        let (t, _) = self.change(
            durability,
            |d| {
                if !d.accounts.get(account).is_some_and(|a| a.enabled) {
                    return Err(Fault::not_found(format!("there is no account '{account}'")));
                }
                let mut gone: Vec<[u8; 32]> =
                    d.tokens.values().filter(|t| t.expires.is_some_and(|e| e <= created)).map(|t| t.sha256).take(256).collect();
                let mut own: Vec<&Token> = d.tokens.values().filter(|t| t.account == account && !gone.contains(&t.sha256)).collect();
                if own.len() >= TOKENS_EACH {
                    own.order_by_key(|t| t.created);
                    match own.iter().find(|t| t.label == OAUTH2) {
                        Some(oldest) => gone.push(oldest.sha256),
                        None => return Err(Fault::capacity(format!("'{account}' has {TOKENS_EACH} tokens, the limit: revoke some"))),
                    }
                }
                let expires = life.map(|l| Stamp(created.0 + l.as_millis() as u64));
                Ok((Token { sha256: fresh.sha256(), account: account.into(), label: label.clone(), created, expires }, gone))
            },
            |tx, (t, gone)| {
                gone.iter().try_for_each(|g| tx.delete::<Token>(g).map(|_| ()))?;
                tx.put_new(t)
            },
            |d, (t, gone)| {
                gone.iter().for_each(|g| drop(d.tokens.remove(g)));
                d.tokens.insert(t.sha256, t.clone());
            },
        )?;
        Ok((fresh, t))
    }

    /// A token of the usual life, by the token endpoint. A crash may take it: its holder asks again.
    pub fn issue_for_a_while(&self, account: &str, label: &str) -> Result<Fresh> {
        let life = self.settings().token_life;
        self.issue(account, label.into(), Some(life), Durability::Lazy).map(|(fresh, _)| fresh)
    }

    /// Tokens that have not expired: one's own, or of all accounts that `by` manages.
    pub fn tokens(&self, by: &Caller, all: bool) -> Vec<Token> {
        let now = self.clock.now();
        let d = self.directory();
        let of = |t: &&Token| t.account == by.name || (all && d.accounts.get(&t.account).is_some_and(|a| by.sees(a.project)));
        let mut found: Vec<Token> = d.tokens.values().filter(of).filter(|t| t.expires.is_none_or(|e| e > now)).cloned().collect();
        found.order_by_key(|t| (t.created, t.sha256));
        found
    }

    pub fn revoke(&self, by: &Caller, all: bool, id: &str) -> Result<()> {
        let found = self.tokens(by, all).into_iter().find(|t| token_id(t) == id);
        let t = found.ok_or_else(|| Fault::not_found(format!("there is no token {id}")))?;
        self.change(
            Durability::Barrier,
            |_| Ok(t.sha256),
            |tx, t| tx.delete::<Token>(t).map(|_| ()),
            |d, t| {
                d.tokens.remove(t);
            },
        )
        .map(|_| ())
    }

    /// The token of the first start lets nobody in any more.
    pub fn revoke_first(&self) -> Result<()> {
        let first = |d: &Directory| d.tokens.values().find(|t| t.account == ADMIN && t.label == FIRST).map(|t| t.sha256);
        self.change(
            Durability::Barrier,
            |d| Ok(first(d)),
            |tx, t| t.as_ref().map_or(Ok(()), |t| tx.delete::<Token>(t).map(|_| ())),
            |d, t| {
                if let Some(t) = t {
                    d.tokens.remove(t);
                }
            },
        )
        .map(|_| ())
    }

    /// A token for `account`, which must be one's own or one that `by` manages.
    pub fn issue_by(&self, by: &Caller, all: bool, account: &str, label: SmolStr, life: Option<Duration>) -> Result<(Fresh, Token)> {
        if account != by.name {
            if !all {
                return Err(Fault::forbidden("a token for another account needs identity:create"));
            }
            let d = self.directory();
            let a = Self::managed(&d, by, account)?;
            Self::check_gift(&d, by, &a.roles, a.project)?;
        }
        if label.len() > 64 || label.chars().any(char::is_control) {
            return Err(Fault::invalid("label: 64 bytes at most, no control characters"));
        }
        self.issue(account, label, life, Durability::Barrier)
    }

    pub fn roles(&self) -> Vec<ShownRole> {
        let built_in = BUILT_IN.iter().map(|b| ShownRole {
            name: b.name.into(),
            description: b.description.into(),
            permissions: b.permissions().list(),
            every_project: b.every_project,
            built_in: true,
        });
        let d = self.directory();
        let stored = d.roles.values().map(|r| ShownRole {
            name: r.name.clone(),
            description: r.description.clone(),
            permissions: r.permissions.clone(),
            every_project: r.every_project,
            built_in: false,
        });
        let mut stored: Vec<_> = stored.collect();
        stored.order_by(|a, b| a.name.cmp(&b.name));
        built_in.chain(stored).collect()
    }

    /// Makes a role or replaces it.
    pub fn put_role(
        &self,
        by: &Caller,
        name: SmolStr,
        description: String,
        permissions: Vec<Permission>,
        every_project: bool,
    ) -> Result<()> {
        check_name("role", &name)?;
        if BuiltIn::find(&name).is_some() {
            return Err(Fault::conflict(format!("role '{name}' is built in and cannot be changed: make one of another name")));
        }
        if description.len() > 1024 {
            return Err(Fault::invalid("description: 1024 bytes at most"));
        }
        if !by.every_project || !by.permissions.covers(permissions.iter().copied().collect()) {
            return Err(Fault::forbidden(format!("{} may not make a role that may more than {} itself", by.name, by.name)));
        }
        let created = self.clock.now();
        self.change(
            Durability::Barrier,
            |d| {
                room(&d.roles, "roles")?;
                let revision = d.roles.get(&name).map_or(1, |r| r.revision + 1);
                Ok(Role { name, description, permissions, every_project, created, revision })
            },
            |tx, r| tx.put(r),
            |d, r| {
                d.roles.insert(r.name.clone(), r.clone());
            },
        )
        .map(|_| ())
    }

    pub fn delete_role(&self, name: &str) -> Result<()> {
        self.change(
            Durability::Barrier,
            |d| {
                if BuiltIn::find(name).is_some() {
                    return Err(Fault::conflict(format!("role '{name}' is built in and stays")));
                }
                let holders: Vec<String> =
                    d.accounts.values().filter(|a| a.roles.iter().any(|r| r == name)).map(|a| a.name.to_string()).collect();
                if !holders.is_empty() {
                    return Err(Fault::conflict(format!("role '{name}' is held by {}: take it from them first", holders.join(", "))));
                }
                d.roles.get(name).cloned().ok_or_else(|| Fault::not_found(format!("there is no role '{name}'")))
            },
            |tx, r| tx.delete::<Role>(&r.name).map(|_| ()),
            |d, r| {
                d.roles.remove(&r.name);
            },
        )
        .map(|_| ())
    }

    pub fn projects(&self, by: &Caller) -> Vec<Project> {
        let mut all: Vec<Project> = self.directory().projects.values().filter(|p| by.sees(p.id)).cloned().collect();
        all.order_by(|a, b| a.name.cmp(&b.name));
        all
    }

    pub fn project(&self, by: &Caller, named: &str) -> Result<Project> {
        let id = self.project_named(named).filter(|id| by.sees(*id));
        let found = id.and_then(|id| self.directory().projects.get(&id).cloned());
        found.ok_or_else(|| Fault::not_found(format!("there is no project '{named}'")))
    }

    pub fn create_project(&self, name: SmolStr, description: String, quota: Quota) -> Result<Project> {
        check_name("project", &name)?;
        let (id, created) = (ProjectId(uuid::Builder::from_random_bytes(random()?).into_uuid()), self.clock.now());
        self.change(
            Durability::Barrier,
            |d| {
                room(&d.projects, "projects")?;
                check_free_name(d, &name, None)?;
                Ok(Project { id, name, description, quota, created, revision: 1 })
            },
            |tx, p| tx.put_new(p),
            |d, p| {
                d.projects.insert(p.id, p.clone());
            },
        )
    }

    /// A lower quota takes nothing away: what is there stays, and more is refused.
    pub fn change_project(&self, by: &Caller, named: &str, change: ProjectChange) -> Result<Project> {
        let now = self.project(by, named)?;
        self.change(
            Durability::Barrier,
            |d| {
                let mut p = d.projects.get(&now.id).cloned().ok_or_else(|| Fault::not_found(format!("there is no project '{named}'")))?;
                if let Some(name) = change.name {
                    check_name("project", &name)?;
                    check_free_name(d, &name, Some(p.id))?;
                    p.name = name;
                }
                p.description = change.description.unwrap_or(p.description);
                p.quota = change.quota.unwrap_or(p.quota);
                p.revision += 1;
                Ok(p)
            },
            |tx, p| tx.put(p),
            |d, p| {
                d.projects.insert(p.id, p.clone());
            },
        )
    }

    /// Only a project that owns nothing goes.
    pub fn delete_project(&self, by: &Caller, named: &str) -> Result<()> {
        let p = self.project(by, named)?;
        if p.id == ProjectId::DEFAULT {
            return Err(Fault::conflict("the default project stays: it owns whatever no other project does"));
        }
        let owned = self.owned_by(p.id)?;
        self.change(
            Durability::Barrier,
            |d| {
                let accounts = d.accounts.values().filter(|a| a.project == p.id).count();
                let mut left: Vec<String> = owned;
                if accounts > 0 {
                    left.push(format!("{accounts} accounts"));
                }
                if left.is_empty() { Ok(()) } else { Err(Fault::conflict(format!("project '{}' still owns {}", p.name, left.join(", ")))) }
            },
            |tx, ()| tx.delete::<Project>(&p.id).map(|_| ()),
            |d, ()| {
                d.projects.remove(&p.id);
            },
        )
    }

    fn owned_by(&self, id: ProjectId) -> Result<Vec<String>> {
        let s = &self.store;
        let counts = [
            ("VNF packages", s.list::<VnfPackage>()?.iter().filter(|r| r.project == id).count()),
            ("NS descriptors", s.list::<NsDescriptor>()?.iter().filter(|r| r.project == id).count()),
            ("PNF descriptors", s.list::<PnfDescriptor>()?.iter().filter(|r| r.project == id).count()),
            ("VNF instances", s.list::<VnfInstance>()?.iter().filter(|r| r.project == id).count()),
            ("VNF snapshots", s.list::<VnfSnapshot>()?.iter().filter(|r| r.project == id).count()),
            ("NS instances", s.list::<NsInstance>()?.iter().filter(|r| r.project == id).count()),
            ("subscriptions", s.list::<Subscription>()?.iter().filter(|r| r.project == id).count()),
            ("PM jobs", s.list::<PmJob>()?.iter().filter(|r| r.project == id).count()),
            ("thresholds", s.list::<Threshold>()?.iter().filter(|r| r.project == id).count()),
            ("capacity thresholds", s.list::<CapacityThreshold>()?.iter().filter(|r| r.project == id).count()),
            ("secrets", s.list::<Secret>()?.iter().filter(|r| r.project == id).count()),
        ];
        Ok(counts.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect())
    }
}

fn check_free_name(d: &Directory, name: &str, but: Option<ProjectId>) -> Result<()> {
    // A name that reads as an id could hide the project that has it.
    if Uuid::parse_str(name).is_ok() {
        return Err(Fault::invalid(format!("'{name}' is an id, not a name of a project")));
    }
    match d.projects.values().find(|p| p.name == name && Some(p.id) != but) {
        None => Ok(()),
        Some(p) => Err(Fault::conflict(format!("there is a project '{}' already", p.name.to_smolstr()))),
    }
}
