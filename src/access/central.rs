//! Central NFVOs: which accounts are such, and where their grants are asked for.
//!
//! What such an account makes is its own, and it sees nothing else than that and, to read, what is part of a
//! local service: so too of alarms, measurements and subscriptions. Each has a project of its own besides.

use smol_str::SmolStr;
use uuid::Uuid;

use super::{Access, Caller, manage::Thing};
use crate::model::order::Order as _;
use crate::{
    model::{
        access::{Account, Action, Owned, Permission, Resource},
        alarm::{Alarm, Object},
        central::{CentralNfvo, GrantAsk, SnapshotOwner},
        error::{Fault, Result},
        id::SnapshotId,
        op::{Operation, Target},
        pm::{PmJob, Threshold},
        snapshot::VnfSnapshot,
        subscription::{Eyes, NfvoMade},
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

/// With a PM job or a threshold; one that stays behind names nothing. A subscription takes its own with it.
pub fn forget_made(store: &Store, id: Uuid) -> Result<()> {
    store.write(Durability::Lazy, |tx| tx.delete::<NfvoMade>(&id).map(|_| ()))
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

    /// He has made it: its VNFs may go before it does.
    pub fn own_made(&self, store: &Store, id: Uuid) -> Result<()> {
        match self.eyes() {
            Eyes::Nfvo(account) => store.write(Durability::Barrier, |tx| tx.put(&NfvoMade { id, account: account.clone() })),
            Eyes::Project | Eyes::Element(_) => Ok(()),
        }
    }

    /// Of a list: whether he, as a central NFVO, may read it.
    pub fn has_as_own(&self, store: &Store, thing: Thing) -> bool {
        !self.nfvo || self.every_project || self.check_own(store, thing, Action::Read).is_ok()
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
        let made = |id: Uuid| store.get::<NfvoMade>(&id).map(|m| m.is_some_and(|m| m.account == self.name));
        // By what another of its roles may.
        let of_services = |resource| if self.permissions.has(Permission { resource, action }) { Ok(()) } else { missing(thing) };
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
                Some(Target::Ns(_)) => return of_services(Resource::Ns),
                Some(Target::Pf(_)) => return of_services(Resource::Host),
                None => None,
            },
            Thing::Alarm(id) => match store.get::<Alarm>(&id)?.map(|a| a.object) {
                Some(Object::Vnf(vnf)) => store.get::<VnfInstance>(&vnf)?,
                Some(Object::Ns(_)) => return of_services(Resource::Ns),
                Some(Object::Host) => return of_services(Resource::Host),
                None => None,
            },
            Thing::Subscription(id) => return if made(id)? { Ok(()) } else { missing(thing) },
            Thing::PmJob(id) | Thing::Threshold(id) if made(id)? => return Ok(()),
            Thing::PmJob(id) => return self.check_measured(store, thing, action, store.get::<PmJob>(&id)?),
            Thing::Threshold(id) => return self.check_measured(store, thing, action, store.get::<Threshold>(&id)?),
            Thing::NsDescriptor(_)
            | Thing::PnfDescriptor(_)
            | Thing::VnfPackage(_)
            | Thing::Ns(_)
            | Thing::CapacityThreshold(_)
            | Thing::Grant(_)
            | Thing::Link(_)
            | Thing::Chain(_) => return Ok(()),
        };
        self.check_vnf(vnf, thing, action)
    }

    /// Of a job or a threshold that somebody else has made: all that it measures.
    fn check_measured<R: Owned>(&self, store: &Store, thing: Thing, action: Action, found: Option<R>) -> Result<()> {
        let Some(found) = found else { return missing(thing) };
        let vnfs = found.of_vnfs();
        if vnfs.is_empty() {
            let of_services = Permission { resource: Resource::Ns, action };
            return if self.permissions.has(of_services) { Ok(()) } else { missing(thing) };
        }
        vnfs.iter().try_for_each(|id| self.check_vnf(store.get::<VnfInstance>(id)?, thing, action))
    }

    fn check_vnf(&self, vnf: Option<VnfInstance>, thing: Thing, action: Action) -> Result<()> {
        let Some(v) = vnf else { return missing(thing) };
        match v.ns {
            Some(_) if action == Action::Read => Ok(()),
            Some(ns) => Err(Fault::conflict(format!(
                "VNF instance {} is a part of NS instance {ns} of this box: only that service changes it",
                v.id
            ))),
            None if v.is_of(&self.name) => Ok(()),
            None => missing(thing),
        }
    }
}

fn missing(thing: Thing) -> Result<()> {
    Err(Fault::not_found(thing.missing()))
}
