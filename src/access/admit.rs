//! From what a request offers to a caller, or the way to come again. Deny by default.

use std::{net::IpAddr, sync::atomic::Ordering, time::Duration};

use super::{
    ADMIN, Access, Caller, Directory, FIRST,
    certificate::Certificate,
    digest::{LEAD, same, sha256},
    lock, password, roles,
};
use crate::model::{
    access::{Account, Credentials},
    error::Fault,
    id::ProjectId,
};

/// Why somebody was not let in.
#[derive(Debug)]
pub enum Denied {
    /// Wrong or no credentials: one answer for all, so that no name is betrayed.
    Unknown,
    /// Not now.
    Wait {
        why: &'static str,
        after: Duration,
    },
    Fault(Fault),
}

const LOCKED: &str = "too many wrong passwords came from there: wait";
const BUSY: &str = "other passwords are being checked: try again";
const FAST: &str = "more requests per second than this caller may send";

impl Access {
    pub fn by_token(&self, token: &str) -> Option<Caller> {
        if !token.starts_with(LEAD) {
            return None;
        }
        let d = self.directory();
        let t = d.tokens.get(&sha256(token.as_bytes()))?;
        if t.expires.is_some_and(|e| e <= self.clock.now()) {
            return None;
        }
        if t.label == FIRST && t.account == ADMIN {
            self.first_used.store(true, Ordering::Relaxed);
        }
        d.caller(d.accounts.get(&t.account)?)
    }

    /// The client that a verified certificate speaks for.
    pub fn by_certificate(&self, c: &Certificate) -> Option<Caller> {
        let d = self.directory();
        let fits = |a: &&Account| match &a.credentials {
            Credentials::User { .. } => false,
            Credentials::Client { certificates, .. } => a.enabled && certificates.iter().any(|r| c.fits(r)),
        };
        let mut found = d.accounts.values().filter(fits);
        match (found.next(), found.next()) {
            (Some(a), None) => d.caller(a),
            // Two accounts claim it: neither is it.
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    /// A name with its password, secret or token, as far as no argon2 is needed; `None`: it is.
    pub fn by_password_at_once(&self, from: IpAddr, name: &str, given: &str) -> Result<Option<Caller>, Denied> {
        if given.starts_with(LEAD)
            && let Some(c) = self.by_token(given)
            && c.name == name
        {
            return Ok(Some(c));
        }
        {
            let d = self.directory();
            if let Some(a) = d.accounts.get(name) {
                match &a.credentials {
                    Credentials::User { .. } if lock(&self.recent).has(self.now(), name, a.revision, given) => return Ok(d.caller(a)),
                    Credentials::Client { secret: Some(s), .. } if same(s, &sha256(given.as_bytes())) => return Ok(d.caller(a)),
                    Credentials::User { .. } | Credentials::Client { .. } => {}
                }
            }
        }
        self.may_try(from, name)?;
        Ok(None)
    }

    /// The same with all it takes: for a thread that may block.
    pub fn by_password(&self, from: IpAddr, name: &str, given: &str) -> Result<Caller, Denied> {
        if let Some(c) = self.by_password_at_once(from, name, given)? {
            return Ok(c);
        }
        let _place = self.place()?;
        // Those that came while this one waited for its thread may have locked it.
        self.may_try(from, name)?;
        let account = self.directory().accounts.get(name).cloned();
        let stored = account.as_ref().and_then(|a| match &a.credentials {
            Credentials::User { password } => password.clone(),
            Credentials::Client { .. } => None,
        });
        // An unknown name costs the same.
        let right = password::verify(stored.as_ref().unwrap_or(&self.decoy), given).map_err(Denied::Fault)? && stored.is_some();
        let caller = account.as_ref().filter(|_| right).and_then(|a| self.directory().caller(a));
        match (caller, account) {
            (Some(c), Some(a)) => {
                lock(&self.watch).succeeded(from, name);
                lock(&self.recent).put(self.now(), name, a.revision, given);
                Ok(c)
            }
            _ => {
                lock(&self.watch).failed(self.now(), from, name, &self.settings().limits);
                Err(Denied::Unknown)
            }
        }
    }

    /// For one run of argon2, whose memory is bounded by that.
    pub(super) fn place(&self) -> Result<password::Place<'_>, Denied> {
        self.checks.enter().ok_or(Denied::Wait { why: BUSY, after: Duration::from_secs(1) })
    }

    fn may_try(&self, from: IpAddr, name: &str) -> Result<(), Denied> {
        lock(&self.watch).may_try(self.now(), from, name).map_err(|after| Denied::Wait { why: LOCKED, after })
    }

    /// Takes one request of a caller who was let in.
    pub fn take(&self, from: IpAddr, caller: &Caller) -> Result<(), Denied> {
        let limits = self.settings().limits;
        if limits.requests_per_s == 0 {
            return Ok(());
        }
        lock(&self.watch).take(self.now(), from, &caller.name, &limits).map_err(|after| Denied::Wait { why: FAST, after })
    }

    /// The caller as one of project `named` (by id or name): for those who reach over all projects.
    pub fn acting_in(&self, mut caller: Caller, named: &str) -> Result<Caller, Fault> {
        let id = self.project_named(named).filter(|id| caller.sees(*id));
        caller.project = id.ok_or_else(|| Fault::not_found(format!("there is no project '{named}'")))?;
        caller.every_project = false;
        Ok(caller)
    }

    pub fn project_named(&self, named: &str) -> Option<ProjectId> {
        let d = self.directory();
        let by_id = named.parse::<ProjectId>().ok().filter(|id| d.projects.contains_key(id));
        by_id.or_else(|| d.projects.values().find(|p| p.name == named).map(|p| p.id))
    }
}

impl Directory {
    /// What an account may now: a change of its roles counts with its next request.
    pub fn caller(&self, a: &Account) -> Option<Caller> {
        if !a.enabled {
            return None;
        }
        let (permissions, every_project) = roles::together(&a.roles, |name| self.roles.get(name));
        let nfvo = self.nfvos.contains_key(&a.name) && a.roles.iter().any(|r| r == super::central::ROLE);
        let element = !every_project && a.roles.iter().any(|r| r == super::element::ROLE);
        Some(Caller { name: a.name.clone(), project: a.project, every_project, permissions, nfvo, element })
    }
}
