//! A plan that is made anew because its grant says so: the request with the grant laid on it (SOL003 9.5.2.3, notes 5 and 8).
//!
//! ```text
//! accept: plan, reserve --asked--> given as asked ------------------------------> PROCESSING
//!                            `---> given with other links or parameters: planned as if the first plan were not there
//!                                    |--> in one transaction the first plan goes and the new one is there -> PROCESSING
//!                                    `--> cannot be kept: refused, the first plan with it -> ROLLED_BACK
//! ```
//! Owns what is taken back of a plan that has not begun. Never: reads a grant (`central`), or decides what a request means.

use std::collections::HashSet;

use smol_str::SmolStr;
use tracing::info;

use super::{
    Vnfm,
    accept::{InstantiateVnf, retrying},
    connect::ChangeExtConn,
    owned::{Awaited, Wanted},
    remake::{Change, ChangeFlavour, ChangePackage, alone},
    settle::settle,
};
use crate::{
    model::{
        central::{Asking, GrantAsk, Resources},
        error::{Fault, Result},
        grant::Resource,
        id::{OpId, PortId, SegmentId},
        op::{OpState, Operation, PLAN_FORMAT, Phase, VnfOpState},
        parts::OpParts,
        segment::Segment,
        step::{PlanStep, Step, VnfStep},
        tree::set,
        vnf::{Properties, Remake, Reservation, VnfInstance},
    },
    store::Tx,
};

/// What a request gives along for the instance's properties.
pub type Lay = Box<dyn Fn(&mut Properties) + Send + Sync>;

/// A request on which its grant was laid.
pub enum Relaid {
    Instantiate(InstantiateVnf, Lay),
    Flavour(ChangeFlavour, Lay),
    Package(ChangePackage, Lay),
    Connect(ChangeExtConn),
}

/// An operation that is held, and the box as it would be without its plan.
pub(super) struct Anew {
    /// As it was before the operation.
    pub inst: VnfInstance,
    op: Operation,
    ask: GrantAsk,
    /// The grant's.
    id: SmolStr,
    /// What is on links for it, and links that were made for it.
    ports: HashSet<PortId>,
    segments: Vec<SegmentId>,
    pub reserved: Option<Reservation>,
}

impl Vnfm {
    /// It was given under this id, and the plan is made anew by it. `says` is told of the operation.
    pub fn grant_laid(&self, op: OpId, id: &SmolStr, relaid: &Relaid, says: &str) -> Result<()> {
        let planned = retrying(|| {
            let Some(anew) = self.anew(op, id, relaid)? else { return Ok(None) };
            let mut again = anew.op.clone();
            again.plan_format = PLAN_FORMAT;
            again.warnings = self.accel_warning().into_iter().collect();
            again.warnings.push(says.to_owned());
            self.plan_again(&anew, again, relaid).map(Some)
        });
        match planned {
            Ok(Some(now)) if now.state.phase() == Phase::Held => {
                info!(%op, %id, "granted; {says}");
                self.engine()?.release_known(op)
            }
            // It was cancelled meanwhile; or there is nothing to do.
            Ok(_) => Ok(()),
            Err(fault) if fault.is_transient() => Err(fault),
            Err(fault) => {
                let owner = self.grant_ask(op)?.map(|a| a.owner).unwrap_or_default();
                let why = Fault::conflict(format!("the grant {id} of NFVO {owner} cannot be kept by this box"))
                    .with_reasons([format!("{says}: {}", fault.detail())]);
                self.grant_refused(op, why.record())
            }
        }
    }

    fn plan_again(&self, anew: &Anew, op: Operation, relaid: &Relaid) -> Result<Operation> {
        let (op, _) = match relaid {
            Relaid::Instantiate(ask, lay) => self.commit_instantiate(&anew.inst, op, ask, lay, Some(anew)),
            Relaid::Flavour(ask, lay) => self.commit_remake(&anew.inst, op, Change::Flavour(ask), lay, None, Some(anew)),
            Relaid::Package(ask, lay) => self.commit_remake(&anew.inst, op, Change::Package(ask), lay, None, Some(anew)),
            Relaid::Connect(ask) => self.commit_connect(&anew.inst, op, ask, None, Some(anew)),
        }?;
        Ok(op)
    }

    /// `None`: the operation waits for no grant any more.
    fn anew(&self, op: OpId, id: &SmolStr, relaid: &Relaid) -> Result<Option<Anew>> {
        let Some(Awaited { ask, op, .. }) = self.awaited_grant(op)? else { return Ok(None) };
        let inst: VnfInstance = self.store.require(&ask.vnf)?;
        let reserved = self.store.get::<Reservation>(&inst.id)?;
        let mut a = Anew { inst, op, ask, id: id.clone(), ports: HashSet::new(), segments: Vec::new(), reserved };
        // As the transaction that takes the plan back leaves it.
        a.inst.op = None;
        a.inst.revision += 1;
        match relaid {
            Relaid::Instantiate(..) => {
                if let Some(body) = a.inst.body.take() {
                    a.ports = body.ports().map(|p| p.id).collect();
                    a.segments = body.own_segments;
                }
                a.reserved = None;
            }
            Relaid::Flavour(..) | Relaid::Package(..) => {
                let r: Remake = self.store.require(&a.inst.id)?;
                let had: HashSet<PortId> = r.before.body.ports().map(|p| p.id).collect();
                a.ports = r.after.body.ports().map(|p| p.id).filter(|p| !had.contains(p)).collect();
                let own = &r.before.body.own_segments;
                a.segments = r.after.body.own_segments.iter().filter(|s| !own.contains(s)).copied().collect();
                a.reserved = a.reserved.map(|of| alone(&of, &r.before));
                a.inst.body = Some(r.before.body);
            }
            Relaid::Connect(_) => {
                for index in 0..a.op.steps {
                    match self.store.get::<PlanStep>(&(a.op.id, index))?.map(|s| s.step) {
                        Some(Step::Vnf(VnfStep::Move(m))) => {
                            a.ports.insert(m.holder);
                        }
                        Some(Step::Vnf(VnfStep::Segment(made))) => a.segments.push(made),
                        Some(Step::Vnf(_) | Step::Ns(_) | Step::Pf(_)) | None => {}
                    }
                }
                if let Some(body) = &mut a.inst.body {
                    body.own_segments.retain(|s| !a.segments.contains(s));
                }
            }
        }
        Ok(Some(a))
    }
}

impl Anew {
    /// Links and reservations as they are without the plan.
    pub(super) fn take_out(&self, segments: &mut Vec<Segment>, taken: &mut Vec<Reservation>) {
        segments.retain(|s| !self.segments.contains(&s.id));
        segments.iter_mut().for_each(|s| s.stations.retain(|st| !self.ports.contains(&st.port)));
        taken.retain(|r| r.vnf != self.inst.id);
        taken.extend(self.reserved.clone());
    }

    /// In a transaction: the instance, free of the plan.
    pub(super) fn take_back(&self, tx: &mut Tx<'_>) -> Result<()> {
        let op: Operation = tx.require(&self.op.id)?;
        if op.state.phase() != Phase::Held || !tx.require::<GrantAsk>(&op.id)?.is_open() {
            return Err(Fault::conflict(format!("operation {} waits for no grant any more", op.id)));
        }
        let back = Operation { state: OpState::Vnf(VnfOpState::RolledBack), ..op };
        settle(tx, self.inst.id, &back, VnfOpState::RolledBack)?;
        for index in 0..back.steps {
            tx.delete::<PlanStep>(&(back.id, index))?;
        }
        tx.delete::<OpParts>(&back.id).map(drop)
    }

    /// The grant, which is for what was asked and for nothing more.
    pub(super) fn granted(&self, wanted: Wanted) -> Result<GrantAsk> {
        let more = beyond(&self.ask.resources, &wanted.resources);
        if !more.is_empty() {
            return Err(Fault::conflict("it would take what was not asked for").with_reasons(more));
        }
        Ok(GrantAsk { resources: wanted.resources, state: Asking::Given(self.id.clone()), ..self.ask.clone() })
    }
}

/// What of the new plan is not in what was granted. What comes has other ids in each plan, and is told by what it is.
fn beyond(granted: &Resources, now: &Resources) -> Vec<String> {
    let mut left: Vec<&Resource> = granted.add.iter().collect();
    let mut more = Vec::new();
    for r in &now.add {
        match left.iter().position(|l| l.kind == r.kind && l.template == r.template) {
            Some(at) => drop(left.swap_remove(at)),
            None => more.push(format!("one more {} is added", r.template)),
        }
    }
    for (how, granted, now) in [("removed", &granted.remove, &now.remove), ("changed", &granted.update, &now.update)] {
        let known: std::collections::BTreeSet<&SmolStr> = set(granted.iter().map(|r| &r.id));
        more.extend(now.iter().filter(|r| !known.contains(&r.id)).map(|r| format!("{} ({}) is {how}", r.template, r.id)));
    }
    more
}
