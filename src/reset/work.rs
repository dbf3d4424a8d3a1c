//! A reset over the API: planned, ordered, and what became of the last one.
//!
//! Owns how the box is seen when one is asked for. Never: takes anything away; that is the next start's.

use std::sync::Arc;

use super::{Plan, Seen, order, plan};
use crate::{
    hostnet::port::NetDaemon,
    model::{
        error::{Fault, Kind, Result},
        hostnet::HostNetRecord,
        op::{Operation, Phase},
        reset::{Depth, Ordered, ResetDone},
        time::Clock,
    },
    store::{Store, Table},
    update::{Updater, port::Slots},
};

type SetOrder = Box<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// The two texts that outlive a start: the order, and the last one that is over.
pub struct Files {
    pub order: Box<dyn Fn() -> Result<Option<String>> + Send + Sync>,
    pub set_order: SetOrder,
    pub last: Box<dyn Fn() -> Result<Option<String>> + Send + Sync>,
}

pub struct Resets {
    store: Store,
    update: Arc<Updater>,
    slots: Arc<dyn Slots>,
    own_net: Arc<dyn NetDaemon>,
    clock: Arc<dyn Clock>,
    files: Files,
    /// Has bothy end and start anew.
    again: Box<dyn Fn() + Send + Sync>,
}

#[derive(Debug, Clone, Default)]
pub struct Status {
    pub ordered: Option<Ordered>,
    pub last: Option<ResetDone>,
}

impl Resets {
    pub fn new(
        store: Store,
        update: Arc<Updater>,
        (slots, own_net): (Arc<dyn Slots>, Arc<dyn NetDaemon>),
        clock: Arc<dyn Clock>,
        files: Files,
        again: Box<dyn Fn() + Send + Sync>,
    ) -> Resets {
        Resets { store, update, slots, own_net, clock, files, again }
    }

    pub fn status(&self) -> Result<Status> {
        let ordered = (self.files.order)()?.as_deref().map(order::parse).transpose()?;
        // One that cannot be read is nobody's loss.
        let last = (self.files.last)()?.and_then(|t| order::parse_done(&t).ok());
        Ok(Status { ordered, last })
    }

    pub fn plan(&self, depth: Depth) -> Result<Plan> {
        Ok(plan(depth, &self.seen()?))
    }

    /// Ordered durably; bothy ends a moment later, and its next start sees it through. `token`: of the plan that somebody
    /// has seen; `insist`: whatever is under way is cut off.
    pub fn order(&self, depth: Depth, token: &str, insist: bool, by: &str) -> Result<Plan> {
        if let Some(o) = self.status()?.ordered {
            return Err(Fault::conflict(format!("a reset ({}) was ordered by {} already, and is about to be done", o.depth, o.by)));
        }
        let p = self.plan(depth)?;
        if !p.refused.is_empty() {
            return Err(Fault::conflict("the box cannot be reset now").with_reasons(p.refused));
        }
        if !p.waits.is_empty() && !insist {
            return Err(Fault::conflict("the box is not reset while something is under way: wait, or insist").with_reasons(p.waits));
        }
        if token != p.token {
            return Err(Fault::new(
                Kind::Conflict,
                format!("'{token}' is not of the plan as it is now: look at it again, and confirm that one ({})", p.token),
            ));
        }
        let o = Ordered { depth, by: by.into(), at: self.clock.now(), tries: 0 };
        (self.files.set_order)(&order::render(&o))?;
        tracing::warn!(%depth, by, "a reset is ordered: bothy starts anew to see it through");
        (self.again)();
        Ok(p)
    }

    fn seen(&self) -> Result<Seen> {
        let s = &self.store;
        let count = |all: &[Table]| all.iter().try_fold(0, |n, t| Ok::<u64, Fault>(n + s.count(*t)?));
        let busy = |o: &&Operation| match o.state.phase() {
            Phase::Held | Phase::Forward | Phase::Backward => true,
            Phase::Stuck | Phase::Over => false,
        };
        let update = self.update.status()?.journal.update.filter(|u| !u.state.is_over());
        Ok(Seen {
            is_box: self.slots.running()?.is_some(),
            services: count(&[Table::NsInstance])?,
            vnfs: count(&[Table::VnfInstance])?,
            packages: count(&[Table::VnfPackage, Table::NsDescriptor, Table::PnfDescriptor])?,
            snapshots: count(&[Table::Snapshot])?,
            accounts: count(&[Table::Account])?,
            secrets: count(&[Table::Secret])?,
            in_flight: s.list::<Operation>()?.iter().filter(busy).map(|o| format!("operation {} ({})", o.id, o.kind.name())).collect(),
            update: update.map(|u| format!("an update of the system is {}: see it through, or `bothy update rollback`", u.state.name())),
            network_on_trial: s.get::<HostNetRecord>(&())?.is_some_and(|r| r.trial.is_some()),
            network_is_ours: self.own_net.is_ours(),
        })
    }
}
