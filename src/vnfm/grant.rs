//! Local grants (SOL003 9): whether the box has room for plans, and its project leave to ask.
//!
//! Owns the box as plans see it, with the revision that guards it until they are stored. Never: what
//! a plan contains, or how much a guest takes (`vim`).

use smol_str::format_smolstr;

use super::{Vnfm, accept::OUTRUN, laid::Anew, place::place_all, plan::VnfPlan};
use crate::{
    model::{
        access::Project,
        error::{Fault, Kind, Result},
        grant::{GivenGrant, Promised},
        host::HostFacts,
        id::{ProjectId, VnfcId},
        place::{Held, Placement},
        segment::Segment,
        size::MiB,
        snapshot::VnfSnapshot,
        vnf::{Facts, Reservation},
    },
    store::Tx,
    vim::{
        capacity::{Account, Need, Whole, account, check},
        place::{ask::PageWish, board::Board, float, usage::usage},
        quota,
        strangers::{Taken, taken_pages},
    },
};

/// The box as plans see it, with the revision that guards it.
pub struct Snapshot {
    pub facts: Facts,
    pub segments: Vec<Segment>,
    pub account: Account,
    /// Guests that have a place.
    pub held: Vec<Held>,
    /// All that is reserved.
    pub taken: Vec<Reservation>,
    /// What snapshots of VNFs take of the room for disks.
    pub copies: Vec<(ProjectId, MiB)>,
    /// What is kept for VNFs of foreign VNFMs.
    pub promised: Vec<(ProjectId, Promised)>,
}

impl Vnfm {
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.snapshot_without(&[])
    }

    /// The same, as if these guests had no place: what replaces them may have theirs.
    pub fn snapshot_without(&self, gone: &[VnfcId]) -> Result<Snapshot> {
        self.snapshot_anew(gone, None)
    }

    /// The same, and as if a plan that is made anew were not there.
    pub(super) fn snapshot_anew(&self, gone: &[VnfcId], anew: Option<&Anew>) -> Result<Snapshot> {
        // The revision first: what is read after it can only be newer, and then it differs.
        let facts = self.store.get::<Facts>(&())?.unwrap_or_default();
        let mut segments = self.store.list::<Segment>()?;
        let mut taken = self.store.list::<Reservation>()?;
        if let Some(a) = anew {
            a.take_out(&mut segments, &mut taken);
        }
        let held: Vec<Held> = taken.iter().flat_map(|r| &r.placed).filter(|h| !gone.contains(&h.guest)).cloned().collect();
        let rules = self.rules();
        let mut supply = self.supply()?;
        supply.cpus = supply.cpus.saturating_sub(self.pinned(held.iter().map(|h| &h.at)));
        let mut account = account(supply, rules.overcommit, &taken);
        let copies = self.copies_held()?;
        account.disk.taken += copies.iter().map(|(_, disk)| disk.0).sum::<u64>();
        let promised = self.promised()?;
        for (_, p) in &promised {
            account.vcpus.taken += u64::from(p.vcpus);
            account.memory.taken += p.memory.0;
            account.disk.taken += p.disk.0;
        }
        Ok(Snapshot { facts, segments, account, held, taken, copies, promised })
    }

    /// CPUs that are no longer shared because guests have them.
    fn pinned<'a>(&self, all: impl Iterator<Item = &'a Placement>) -> u32 {
        let isolated = self.facts_seen().map(|f| f.isolated.clone()).unwrap_or_default();
        all.map(|p| p.held_cpus().minus(&isolated).len() as u32).sum()
    }

    /// A place for each guest of these plans that needs one, and room for what all of them share; or
    /// every reason why not. Returns what is to be told.
    ///
    /// `OUTRUN`: what it would be refused for is so no more.
    pub fn grant(&self, plans: &mut [&mut VnfPlan], snap: &Snapshot) -> Result<Vec<String>> {
        match self.grant_on(plans, snap) {
            // The host was looked at after the records were read.
            Err(_) if self.store.get::<Facts>(&())?.unwrap_or_default() != snap.facts => Err(Fault::conflict(OUTRUN)),
            other => other,
        }
    }

    fn grant_on(&self, plans: &mut [&mut VnfPlan], snap: &Snapshot) -> Result<Vec<String>> {
        let mut told = Vec::new();
        let mut account = snap.account;
        if plans.iter().any(|p| !p.wishful.is_empty()) {
            let rules = self.rules();
            let facts = self.facts()?;
            // Those of guests that are to be replaced are still theirs.
            let all: Vec<Held> = snap.taken.iter().flat_map(|r| &r.placed).cloned().collect();
            let strangers = taken_pages(&facts, &usage(&facts, &rules.reserve, &all));
            let large = plans.iter().flat_map(|p| &p.wishful).any(|w| w.ask.pages != PageWish::Small);
            let board = self.board(&facts, &strangers)?;
            let underlay = self.outside()?.underlay()?;
            told = place_all(plans, board, &facts, &snap.held, &underlay, snap.taken.iter().any(|r| r.roaming() > 0))
                .map_err(|f| f.with_reasons(strangers.iter().filter(|_| large).map(told_of)))?;
            let pinned = self.pinned(plans.iter().flat_map(|p| &p.reservation.placed).map(|h| &h.at));
            let lost = (f64::from(pinned) * rules.overcommit.cpu).ceil() as u64;
            let left = account.vcpus.limit.saturating_sub(lost);
            if account.vcpus.taken > left {
                return Err(Fault::capacity("the box has not enough CPUs").with_reasons([format!(
                    "{pinned} CPUs would be pinned to; {left} vCPUs could float over the others, and {} are promised already",
                    account.vcpus.taken
                )]));
            }
            account.vcpus.limit = left;
        } else if plans.iter().any(|p| p.roams())
            && let Some(facts) = self.facts_seen()
        {
            float::check(&Board::of(&facts, &self.rules().reserve), &snap.held)?;
        }
        self.check_forwarders(plans)?;
        let mut misplaced: Vec<String> = plans.iter().flat_map(|p| p.misplaced()).collect();
        if self.facts_seen().is_some_and(|f| f.mhz.is_none()) {
            misplaced.extend(plans.iter().flat_map(|p| p.unlimited()));
        }
        if !misplaced.is_empty() {
            return Err(Fault::capacity("this box cannot give the guests the hardware they ask for").with_reasons(misplaced));
        }
        let needs: Vec<Need> = plans.iter().map(|p| p.need.clone()).collect();
        check(account, &needs)?;
        Ok(told)
    }

    /// The host as placement may hand it out: a PF that an operation is at has nothing to give, itself included, and
    /// pages that strangers have are not there.
    fn board(&self, facts: &HostFacts, strangers: &[Taken]) -> Result<Board> {
        let mut board = Board::of(facts, &self.rules().reserve);
        strangers.iter().for_each(|t| board.lose_pages(t.node, t.size, t.pages));
        for (pf, op) in self.at_pfs()? {
            board.close(pf, &format_smolstr!("operation {op} is at it (its end would do)"));
        }
        Ok(board)
    }

    /// What each of these projects holds.
    pub fn used_by(&self, projects: &[ProjectId]) -> Result<Vec<quota::Use>> {
        let taken = self.store.list::<Reservation>()?;
        let (copies, promised) = (self.copies_held()?, self.promised()?);
        Ok(projects.iter().map(|p| with_more(quota::used(*p, &taken), *p, &copies, &promised)).collect())
    }

    fn promised(&self) -> Result<Vec<(ProjectId, Promised)>> {
        let now = self.clock.now();
        Ok(self.store.list::<GivenGrant>()?.iter().map(|g| (g.project, g.holds(now))).collect())
    }

    fn copies_held(&self) -> Result<Vec<(ProjectId, MiB)>> {
        Ok(self.store.list::<VnfSnapshot>()?.iter().map(|s| (s.project, s.disk())).collect())
    }
}

/// A refusal that is the answer to a request. One that was outrun is none: the request is planned once more.
pub fn judged<T>(granted: Result<T>) -> Result<Result<T>> {
    match granted {
        Err(f) if f.kind() == Kind::Conflict && f.text() == OUTRUN => Err(f),
        other => Ok(other),
    }
}

fn told_of(t: &Taken) -> String {
    format!("{} (their end would do; what the host has for itself is to be in reserve.hugepages)", t.text())
}

impl Snapshot {
    pub fn used(&self, project: ProjectId) -> quota::Use {
        with_more(quota::used(project, &self.taken), project, &self.copies, &self.promised)
    }
}

fn with_more(mut used: quota::Use, project: ProjectId, copies: &[(ProjectId, MiB)], promised: &[(ProjectId, Promised)]) -> quota::Use {
    used.disk += copies.iter().filter(|(p, _)| *p == project).map(|(_, disk)| disk.0).sum::<u64>();
    for (_, p) in promised.iter().filter(|(p, _)| *p == project) {
        used.vcpus += u64::from(p.vcpus);
        used.memory += p.memory.0;
        used.disk += p.disk.0;
    }
    used
}

/// The quota of the project, if it has a record, allows this too. In an accept the claimed facts vouch for
/// the sums, and the quota is read in the transaction.
pub fn check_quota(project: Option<Project>, now: quota::Use, wants: &[Whole]) -> Result<()> {
    project.map_or(Ok(()), |p| quota::check(&p, now, wants))
}

/// In a transaction: the plan's facts still hold, and nobody else plans on them.
pub fn claim_facts(tx: &mut Tx<'_>, seen: Facts) -> Result<()> {
    let now = tx.get::<Facts>(&())?.unwrap_or_default();
    if now != seen {
        return Err(Fault::conflict(OUTRUN));
    }
    tx.put(&Facts { revision: seen.revision + 1 })
}
