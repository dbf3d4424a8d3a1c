//! Central NFVOs: which accounts are such, and where their grants are asked for.
//!
//! What such an account makes is its own, and it sees nothing else than that and, to read, what is part of a
//! local service. Each has a project of its own: alarms, measurements and subscriptions are kept apart by it.

use smol_str::SmolStr;

use super::{Access, Caller, manage::Thing};
use crate::model::order::Order as _;
use crate::{
    model::{
        access::{Account, Action, Permission, Resource},
        central::{CentralNfvo, GrantAsk, SnapshotOwner},
        error::{Fault, Result},
        id::SnapshotId,
        op::{Operation, Target},
        snapshot::VnfSnapshot,
        vnf::VnfInstance,
    },
    store::{Durability, Record, Store},
};

/// The built-in role of such an account.
pub const ROLE: &str = "nfvo";

impl Access {
    pub fn nfvos(&self, by: &Caller) -> Vec<CentralNfvo> {
        let d = self.directory();
        let mut all: Vec<CentralNfvo> =
            d.nfvos.values().filter(|n| d.accounts.get(&n.account).is_none_or(|a| by.sees(a.project))).cloned().collect();
        all.order_by(|a, b| a.account.cmp(&b.account));
        all
    }

    pub fn nfvo(&self, by: &Caller, name: &str) -> Result<CentralNfvo> {
        self.nfvos(by).into_iter().find(|n| n.account == name).ok_or_else(|| absent(name))
    }

    /// Makes one or replaces it; `n.revision` and what it was made of before are seen to here.
    pub fn set_nfvo(&self, by: &Caller, n: &CentralNfvo) -> Result<CentralNfvo> {
        self.change(
            Durability::Barrier,
            |d| {
                let a: &Account = d
                    .accounts
                    .get(&n.account)
                    .filter(|a| by.sees(a.project))
                    .ok_or_else(|| Fault::not_found(format!("there is no account '{}'", n.account)))?;
                if !a.roles.iter().any(|r| r == ROLE) {
                    return Err(Fault::conflict(format!("'{}' has not the role '{ROLE}': give it that role first", a.name)));
                }
                let other = d.nfvos.keys().find(|o| **o != a.name && d.accounts.get(*o).is_some_and(|o| o.project == a.project));
                if let Some(other) = other {
                    return Err(Fault::conflict(format!(
                        "NFVO '{other}' is of the same project: give '{}' one of its own, for an NFVO sees no other's VNFs",
                        a.name
                    )));
                }
                let before = d.nfvos.get(&n.account);
                let created = before.map_or(n.created, |b| b.created);
                Ok(CentralNfvo { created, revision: before.map_or(1, |b| b.revision + 1), ..n.clone() })
            },
            |tx, n| tx.put(n),
            |d, n| {
                d.nfvos.insert(n.account.clone(), n.clone());
            },
        )
    }

    /// It is asked no more: from now on its VNFs are granted here.
    pub fn delete_nfvo(&self, by: &Caller, name: &str) -> Result<()> {
        let n = self.nfvo(by, name)?;
        self.change(
            Durability::Barrier,
            |_| Ok(n.account),
            |tx, n| tx.delete::<CentralNfvo>(n).map(|_| ()),
            |d, n: &SmolStr| {
                d.nfvos.remove(n);
            },
        )
        .map(|_| ())
    }
}

fn absent(name: &str) -> Fault {
    Fault::not_found(format!("there is no central NFVO '{name}'"))
}

/// Under way or long over.
pub(super) fn either<R: Record>(store: &Store, key: &R::Key) -> Result<Option<R>> {
    store.get(key)?.map_or_else(|| store.get_history(key), |r| Ok(Some(r)))
}

/// With the snapshot; one that stays behind names nothing.
pub fn forget_snapshot(store: &Store, id: SnapshotId) -> Result<()> {
    store.write(Durability::Lazy, |tx| tx.delete::<SnapshotOwner>(&id).map(|_| ()))
}

impl Caller {
    /// He has made it: no VNF says whose it is before it is filled.
    pub fn own_snapshot(&self, store: &Store, snapshot: SnapshotId) -> Result<()> {
        if !self.nfvo && !self.element {
            return Ok(());
        }
        store.write(Durability::Barrier, |tx| tx.put(&SnapshotOwner { snapshot, account: self.name.clone() }))
    }

    /// What is there for him as a central NFVO, beside the project's border: his own, and members of services, which
    /// only their services change. As an element manager: what is in his charge.
    pub fn check_own(&self, store: &Store, thing: Thing, action: Action) -> Result<()> {
        if self.element {
            return self.check_charge(store, thing);
        }
        if !self.nfvo {
            return Ok(());
        }
        let missing = || Err(Fault::not_found(thing.missing()));
        // The operation's own record says whose its VNF was, when that is gone.
        let vnf = match thing {
            Thing::Vnf(id) => store.get::<VnfInstance>(&id)?,
            Thing::Snapshot(id) => match store.get::<VnfSnapshot>(&id)? {
                Some(VnfSnapshot { taken: Some(t), .. }) => Some(*t.vnf),
                Some(_) if store.get::<SnapshotOwner>(&id)?.is_some_and(|o| o.account == self.name) => return Ok(()),
                Some(_) | None => None,
            },
            Thing::Operation(id) => match either::<Operation>(store, &id)?.map(|o| o.target) {
                Some(Target::Vnf(vnf)) => match store.get::<VnfInstance>(&vnf)? {
                    Some(v) => Some(v),
                    None if either::<GrantAsk>(store, &id)?.is_some_and(|g| g.owner == self.name) => return Ok(()),
                    None => None,
                },
                // By what another of its roles may.
                Some(Target::Ns(_)) if self.permissions.has(Permission { resource: Resource::Ns, action }) => return Ok(()),
                Some(Target::Pf(_)) if self.permissions.has(Permission { resource: Resource::Host, action }) => return Ok(()),
                Some(Target::Ns(_) | Target::Pf(_)) | None => None,
            },
            Thing::NsDescriptor(_)
            | Thing::PnfDescriptor(_)
            | Thing::VnfPackage(_)
            | Thing::Ns(_)
            | Thing::Subscription(_)
            | Thing::Alarm(_)
            | Thing::PmJob(_)
            | Thing::Threshold(_)
            | Thing::CapacityThreshold(_)
            | Thing::Grant(_)
            | Thing::Link(_)
            | Thing::Chain(_) => return Ok(()),
        };
        let Some(v) = vnf else { return missing() };
        match v.ns {
            Some(_) if action == Action::Read => Ok(()),
            Some(ns) => Err(Fault::conflict(format!(
                "VNF instance {} is a part of NS instance {ns} of this box: only that service changes it",
                v.id
            ))),
            None if v.is_of(&self.name) => Ok(()),
            None => missing(),
        }
    }
}
