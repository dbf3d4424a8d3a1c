//! Operations on VNFs that a central NFVO owns: held in STARTING until it grants them (SOL003 9.1).
//!
//! ```text
//! accept: plan, reserve, STARTING --asked--> given -> PROCESSING; with other links or parameters, planned anew before (`laid`)
//!                                   |------> refused, cancelled -> ROLLED_BACK: what was reserved is given back
//!                                   `------> not answered: waits; or, taking nothing new, is granted here
//! ```
//! What is asked for is planned and held already: a grant that is given is never too late. Owns the records of
//! what is asked, and what each answer means. Never: HTTP, and when to ask again (`central`).

use smol_str::SmolStr;
use tracing::info;

use super::{Vnfm, laid::Anew};
use crate::{
    model::{
        central::{Asking, CentralNfvo, GrantAsk, Resources},
        error::{Fault, FaultRecord, Result},
        id::OpId,
        op::{Operation, Phase, Trigger},
        step::PlanStep,
        vnf::VnfInstance,
    },
    store::{Durability, Tx},
};

/// What of a plan its grant request says.
#[derive(Default)]
pub(super) struct Wanted {
    pub resources: Resources,
    pub flavour: Option<SmolStr>,
    pub dst_vnfd_id: Option<SmolStr>,
    pub within: bool,
}

/// A grant that is awaited, with what its request is made of.
pub struct Awaited {
    pub ask: GrantAsk,
    pub op: Operation,
    /// `None`: it has been taken away since.
    pub nfvo: Option<CentralNfvo>,
}

impl Vnfm {
    /// The operation goes on at once, or is held for the grant that is given back; planned anew, it has it. To be stored with `put_ask`.
    pub(super) fn begin_or(&self, anew: Option<&Anew>, op: &mut Operation, inst: &VnfInstance, wanted: Wanted) -> Result<Option<GrantAsk>> {
        match anew {
            Some(a) => a.granted(wanted).map(Some),
            None => self.begin_op(op, inst, wanted),
        }
    }

    pub(super) fn begin_op(&self, op: &mut Operation, inst: &VnfInstance, wanted: Wanted) -> Result<Option<GrantAsk>> {
        let owner = match (&inst.owner, inst.ns) {
            (Some(owner), None) => owner,
            (None, _) | (Some(_), Some(_)) => {
                op.apply(Trigger::Granted, op.created)?;
                return Ok(None);
            }
        };
        if self.store.get::<CentralNfvo>(&owner.account)?.is_none() {
            op.warnings
                .push(format!("granted on this box: NFVO {}, which the VNF belongs to, has no grant endpoint any more", owner.account));
            op.apply(Trigger::Granted, op.created)?;
            return Ok(None);
        }
        Ok(Some(GrantAsk {
            op: op.id,
            vnf: inst.id,
            owner: owner.account.clone(),
            base: owner.base.clone(),
            vnfd_id: inst.vnfd_id.clone(),
            dst_vnfd_id: wanted.dst_vnfd_id,
            flavour: wanted.flavour,
            resources: wanted.resources,
            within: wanted.within,
            state: Asking::Due,
            attempts: 0,
            why: String::new(),
        }))
    }

    /// What was accepted goes to the engine, or its owner is asked.
    pub(super) fn hand_over(&self, op: &Operation, steps: Vec<PlanStep>) -> Result<()> {
        match op.state.phase() {
            Phase::Held => {
                if let Some(poke) = self.asks.get() {
                    poke();
                }
                Ok(())
            }
            Phase::Forward | Phase::Backward => {
                self.engine()?.submit(op.clone(), steps, &[]);
                Ok(())
            }
            Phase::Stuck | Phase::Over => Ok(()),
        }
    }

    /// Has `f` told of each operation that is held for a grant. Returns at once; the first caller stays.
    pub fn on_ask(&self, f: impl Fn() + Send + Sync + 'static) {
        let _ = self.asks.set(Box::new(f));
    }

    /// Operations that wait for their grants. One whose grant came before a crash goes on.
    pub fn awaited_grants(&self) -> Result<Vec<OpId>> {
        let mut open = Vec::new();
        for ask in self.store.list::<GrantAsk>()? {
            let held = self.store.get::<Operation>(&ask.op)?.is_some_and(|o| o.state.phase() == Phase::Held);
            match (held, ask.is_open()) {
                (true, true) => open.push(ask.op),
                (true, false) => {
                    if let Err(fault) = self.go_on(ask.op) {
                        tracing::error!(op = %ask.op, "granted, and does not go on: {fault:?}");
                    }
                }
                (false, _) => {}
            }
        }
        Ok(open)
    }

    /// `None`: the operation was cancelled, or has its grant.
    pub fn awaited_grant(&self, op: OpId) -> Result<Option<Awaited>> {
        let Some(ask) = self.store.get::<GrantAsk>(&op)?.filter(GrantAsk::is_open) else { return Ok(None) };
        let Some(op) = self.store.get::<Operation>(&op)?.filter(|o| o.state.phase() == Phase::Held) else { return Ok(None) };
        let nfvo = self.store.get::<CentralNfvo>(&ask.owner)?;
        Ok(Some(Awaited { ask, op, nfvo }))
    }

    /// Of an operation, under way or long over.
    pub fn grant_ask(&self, op: OpId) -> Result<Option<GrantAsk>> {
        match self.store.get::<GrantAsk>(&op)? {
            Some(ask) => Ok(Some(ask)),
            None => self.store.get_history(&op),
        }
    }

    /// It was given under this id.
    pub fn grant_given(&self, op: OpId, id: SmolStr) -> Result<()> {
        let ask = self.note_ask(op, Durability::Barrier, |ask| ask.state = Asking::Given(id.clone()))?;
        info!(%op, "{}", ask.says());
        self.go_on(op)
    }

    /// Its owner does not answer, and nothing new is taken.
    pub fn grant_here(&self, op: OpId) -> Result<()> {
        let ask = self.note_ask(op, Durability::Barrier, |ask| ask.state = Asking::GivenHere)?;
        info!(%op, "{}", ask.says());
        self.go_on(op)
    }

    pub fn grant_refused(&self, op: OpId, why: FaultRecord) -> Result<()> {
        info!(%op, why = why.text, "its grant is refused");
        self.engine()?.refuse(op, why).map(|_| ())
    }

    /// The owner decides; the answer will be at this path.
    pub fn grant_accepted(&self, op: OpId, path: String) -> Result<()> {
        self.note_ask(op, Durability::Barrier, |ask| {
            ask.state = Asking::Accepted(path.clone());
            ask.attempts = 0;
            ask.why = String::new();
        })
        .map(|_| ())
    }

    /// The owner has not answered as it should; with `anew` it is asked from the start again.
    pub fn grant_vain(&self, op: OpId, why: &str, anew: bool) -> Result<u32> {
        let ask = self.note_ask(op, Durability::Lazy, |ask| {
            ask.attempts = ask.attempts.saturating_add(1);
            ask.why = why.chars().take(500).collect();
            if anew {
                ask.state = Asking::Due;
            }
        })?;
        Ok(ask.attempts)
    }

    fn note_ask(&self, op: OpId, durability: Durability, change: impl Fn(&mut GrantAsk)) -> Result<GrantAsk> {
        self.store.write(durability, |tx| {
            let mut ask: GrantAsk = tx.get(&op)?.ok_or_else(|| Fault::conflict(format!("operation {op} waits for no grant")))?;
            change(&mut ask);
            tx.put(&ask)?;
            Ok(ask)
        })
    }

    fn go_on(&self, op: OpId) -> Result<()> {
        self.engine()?.release_known(op)
    }
}

/// In the transaction that accepts the operation.
pub(super) fn put_ask(tx: &mut Tx<'_>, ask: Option<&GrantAsk>) -> Result<()> {
    ask.map_or(Ok(()), |ask| tx.put(ask))
}
