//! What users change of their own accounts: the password, for the old one.
//!
//! The old one is checked as at a login, so whoever has found a token of somebody's cannot guess at it here either. Never: another
//! account than the caller's.

use std::net::IpAddr;

use super::{Access, Caller, admit::Denied, digest::LEAD, password};
use crate::{
    model::{
        access::{Account, Credentials, Password},
        error::{Fault, Result},
    },
    store::Durability,
};

impl Access {
    /// For a thread that may block. [`Denied::Unknown`]: the old one is wrong.
    pub fn change_own_password(&self, from: IpAddr, by: &Caller, old: &str, new: &str) -> std::result::Result<Account, Denied> {
        let had = self.own_password(by).map_err(Denied::Fault)?;
        // A token is let in by a name and itself, and is not the password.
        if old.starts_with(LEAD) || self.by_password(from, &by.name, old)?.name != by.name {
            return Err(Denied::Unknown);
        }
        if old == new {
            return Err(Denied::Fault(Fault::invalid("new: is the old one")));
        }
        let hashed = {
            // The old one may have been known without argon2.
            let _place = self.place()?;
            password::hash(new).map_err(|f| Denied::Fault(f.context("new")))?
        };
        self.exchange(by, &had, hashed).map_err(Denied::Fault)
    }

    /// `had` is what was there before the old one was checked: what somebody else has set since then stays.
    pub(super) fn exchange(&self, by: &Caller, had: &Password, new: Password) -> Result<Account> {
        self.change(
            Durability::Barrier,
            |d| {
                let mut a = d.accounts.get(&by.name).cloned().ok_or_else(|| no_account(by))?;
                match &mut a.credentials {
                    Credentials::User { password: Some(now) } if *now == *had => *now = new,
                    Credentials::User { .. } | Credentials::Client { .. } => {
                        return Err(Fault::conflict(format!(
                            "the password of {} was changed by somebody else meanwhile: nothing was done",
                            by.name
                        )));
                    }
                }
                a.revision += 1;
                Ok(a)
            },
            |tx, a| tx.put(a),
            |d, a| {
                d.accounts.insert(a.name.clone(), a.clone());
            },
        )
    }

    pub(super) fn own_password(&self, by: &Caller) -> Result<Password> {
        match self.directory().accounts.get(&by.name).map(|a| &a.credentials) {
            Some(Credentials::User { password: Some(had) }) => Ok(had.clone()),
            Some(Credentials::User { password: None }) => {
                Err(Fault::conflict(format!("{} has no password: whoever manages accounts sets the first (bothy user passwd)", by.name)))
            }
            Some(Credentials::Client { .. }) => {
                Err(Fault::conflict(format!("{} is a client and has no password: its secret is renewed by whoever manages it", by.name)))
            }
            None => Err(no_account(by)),
        }
    }
}

fn no_account(by: &Caller) -> Fault {
    Fault::conflict(format!("{} is no account of this box and has no password here", by.name))
}
