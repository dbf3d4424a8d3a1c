//! Element managers: accounts that hold the role `vnf`, and the VNFs in their charge.
//!
//! A VNF instance names those who manage it in its metadata (`bothy.em`: an account, or a list of them). For an element
//! manager these VNFs are there, with their operations, alarms, measurements, snapshots and subscriptions, and nothing
//! else, whatever other roles it has. One that no VNF names sees none. Never: what it may do with them, which its roles say.

use super::{Caller, central::either, manage::Thing};
use crate::{
    model::{
        access::{Owned, Resource},
        alarm::Alarm,
        central::SnapshotOwner,
        error::{Fault, Result},
        id::VnfId,
        op::Operation,
        pm::{PmJob, Threshold},
        snapshot::VnfSnapshot,
        subscription::{ElementListener, Subscription},
        vnf::VnfInstance,
    },
    store::Store,
};

/// The built-in role of such an account.
pub const ROLE: &str = "vnf";

/// What there is for such an account at all: the rest of the box speaks of more than its VNFs.
pub fn meets(of: Resource) -> bool {
    use Resource::{About, Alarm, Indicator, Own, Performance, Subscription, Vnf};
    matches!(of, About | Own | Vnf | Alarm | Performance | Indicator | Subscription)
}

impl Caller {
    /// What is of these VNFs is there for him: all of them are in his charge, or he is no element manager.
    pub fn in_charge(&self, store: &Store, of: &[VnfId]) -> Result<bool> {
        if !self.element {
            return Ok(true);
        }
        for id in of {
            if !store.get::<VnfInstance>(id)?.is_some_and(|v| v.is_managed_by(&self.name)) {
                return Ok(false);
            }
        }
        Ok(!of.is_empty())
    }

    /// The same of any record; a subscription is there for the element manager that made it, whatever has become of its VNFs.
    pub fn has_in_charge<R: Owned>(&self, store: &Store, r: &R) -> Result<bool> {
        if !self.element {
            return Ok(true);
        }
        match r.told().map(|id| store.get::<ElementListener>(&id)).transpose()?.flatten() {
            Some(by) => Ok(by.account == self.name),
            None => self.in_charge(store, &r.of_vnfs()),
        }
    }

    /// The VNFs of his project that name him.
    pub fn charges(&self, store: &Store) -> Result<Vec<VnfId>> {
        let mut all = store.list::<VnfInstance>()?;
        all.retain(|v| self.sees_all_of(v) && v.is_managed_by(&self.name));
        Ok(all.into_iter().map(|v| v.id).collect())
    }

    pub(super) fn check_charge(&self, store: &Store, thing: Thing) -> Result<()> {
        let of = match thing {
            Thing::Vnf(id) => vec![id],
            Thing::Operation(id) => vnfs(either::<Operation>(store, &id)?),
            Thing::Alarm(id) => vnfs(store.get::<Alarm>(&id)?),
            Thing::PmJob(id) => vnfs(store.get::<PmJob>(&id)?),
            Thing::Threshold(id) => vnfs(store.get::<Threshold>(&id)?),
            Thing::Subscription(id) => match store.get::<Subscription>(&id)? {
                Some(s) if self.has_in_charge(store, &s)? => return Ok(()),
                Some(_) | None => Vec::new(),
            },
            Thing::Snapshot(id) => match vnfs(store.get::<VnfSnapshot>(&id)?) {
                // No VNF says whose it is before it is filled.
                of if of.is_empty() && store.get::<SnapshotOwner>(&id)?.is_some_and(|o| o.account == self.name) => return Ok(()),
                of => of,
            },
            Thing::NsDescriptor(_)
            | Thing::PnfDescriptor(_)
            | Thing::VnfPackage(_)
            | Thing::Ns(_)
            | Thing::Grant(_)
            | Thing::CapacityThreshold(_)
            | Thing::Link(_)
            | Thing::Chain(_) => Vec::new(),
        };
        if self.in_charge(store, &of)? { Ok(()) } else { Err(Fault::not_found(thing.missing())) }
    }
}

fn vnfs<R: Owned>(found: Option<R>) -> Vec<VnfId> {
    found.map(|r| r.of_vnfs()).unwrap_or_default()
}
