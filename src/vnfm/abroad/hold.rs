//! What was granted for operations on VNFs of foreign VNFMs, once this box knows how they ended.
//!
//! Each VNF has one promise that stands as long as it is there. Never: whether there is room (`nfvo::grants`).

use super::{
    super::{Vnfm, accept::retrying, grant::claim_facts},
    run::At,
};
use crate::{
    model::{
        error::Result,
        grant::{Decision, GivenGrant, Promised},
        time::Stamp,
        vnf::Facts,
    },
    store::Durability,
};

/// What an operation that is over means for what was granted to it.
#[derive(Clone, Copy)]
pub(super) enum Over {
    /// It made nothing.
    Void,
    /// The VNF has more and less by it, and nothing that was there for a while only.
    Done,
    /// Nobody knows what it made: all that it took may be there.
    Failed,
}

impl Vnfm {
    /// This box is told how the operation ended; also long after its grant was to be held.
    pub(super) fn settle_grant(&self, at: &At, occ: &str, over: Over) -> Result<()> {
        self.change_grants(at, |his, now| {
            let Some(own) = his.iter().find(|g| g.op == occ && !g.stands()) else { return Vec::new() };
            let Some(takes) = own.decision.takes() else { return Vec::new() };
            let (more, less) = match (over, &own.decision) {
                (Over::Void, _) => return vec![ended(own, now)],
                (Over::Done, Decision::Weighed { more, less, .. }) => (*more, *less),
                (Over::Done | Over::Failed, _) => (takes, Promised::default()),
            };
            let stood: Vec<&GivenGrant> = his.iter().filter(|g| g.vnf == own.vnf && g.stands()).collect();
            let all = stood.iter().filter_map(|g| g.decision.takes()).fold(more, Promised::plus).minus(less);
            let one = GivenGrant { decision: Decision::Granted(all), until: GivenGrant::STANDING, ..own.clone() };
            stood.into_iter().map(|g| ended(g, now)).chain([one]).collect()
        })
    }

    /// The VNF is gone: so is all that was granted for it.
    pub(super) fn end_grants(&self, at: &At, remote: &str) -> Result<()> {
        self.change_grants(at, |his, now| his.iter().filter(|g| g.vnf == remote).map(|g| ended(g, now)).collect())
    }

    /// `change`: what becomes of those of the VNFM.
    fn change_grants(&self, at: &At, change: impl Fn(&[GivenGrant], Stamp) -> Vec<GivenGrant>) -> Result<()> {
        retrying(|| {
            // The revision first: what is read after it can only be newer.
            let facts = self.store.get::<Facts>(&())?.unwrap_or_default();
            let mut his = self.store.list::<GivenGrant>()?;
            his.retain(|g| g.project == at.vnfm.project && g.vnfm == at.vnfm.account);
            let mut changed = change(&his, self.clock.now());
            changed.retain(|g| !his.contains(g));
            if changed.is_empty() {
                return Ok(());
            }
            self.store.write(Durability::Soon, |tx| {
                claim_facts(tx, facts)?;
                changed.iter().try_for_each(|g| tx.put(g))
            })
        })
    }
}

fn ended(g: &GivenGrant, now: Stamp) -> GivenGrant {
    GivenGrant { until: g.until.min(now), ..g.clone() }
}
