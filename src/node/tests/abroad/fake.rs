//! A foreign VNFM in memory: it keeps what it is told to make, and fails where a test says so.

use std::sync::{Arc, Mutex, MutexGuard};

use smol_str::{SmolStr, format_smolstr};

use crate::{
    model::{
        abroad::{AbroadTask, ForeignVnfm, OccAct},
        error::{Fault, FaultRecord, Kind, Result},
        op::VnfOpState,
        vnf::RunState,
    },
    vnfm::abroad::port::{CallBack, Managers, NewVnf, Occ, Seen, SeenAlarm, Tells},
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Fail(Kind),
    EffectThenFail(Kind),
    /// Nobody answers any more until the next bothy asks.
    Dead,
    EffectThenDead,
}

#[derive(Default)]
struct State {
    vnfs: Vec<(SmolStr, SmolStr, bool)>,
    occs: Vec<(SmolStr, Occ)>,
    /// All that was asked, in order.
    asked: Vec<String>,
    calls: usize,
    rule: Option<(usize, Then)>,
    dead: bool,
    made: usize,
    /// The next operations end so.
    stuck: usize,
    /// It can neither cancel nor roll back.
    plain: bool,
    /// Operations stay under way.
    slow: bool,
    /// What is asked of an operation shows only after so many looks.
    late: usize,
    coming: Vec<(SmolStr, VnfOpState, usize)>,
    /// Terminations end so.
    ends: Option<VnfOpState>,
    scale: u32,
    run: Option<RunState>,
    /// What is subscribed to: of which API, the id, and what is called.
    ears: Vec<(Tells, SmolStr, String)>,
    alarms: Vec<SeenAlarm>,
}

#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<State>>);

impl Fake {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("lock")
    }
    pub fn calls(&self) -> usize {
        self.lock().calls
    }
    /// The request with this number, counted from now, meets this.
    pub fn rule(&self, nth: usize, then: Then) {
        let mut s = self.lock();
        s.rule = Some((s.calls + nth, then));
    }
    pub fn is_dead(&self) -> bool {
        self.lock().dead
    }
    pub fn revive(&self) {
        let mut s = self.lock();
        (s.dead, s.rule) = (false, None);
    }
    pub fn stuck(&self, times: usize) {
        self.lock().stuck = times;
    }
    pub fn plain(&self) {
        self.lock().plain = true;
    }
    pub fn slow(&self, slow: bool) {
        self.lock().slow = slow;
    }
    pub fn late(&self, looks: usize) {
        self.lock().late = looks;
    }
    pub fn ends(&self, state: Option<VnfOpState>) {
        self.lock().ends = state;
    }
    /// What is under way comes to its end, and no operation is known any more.
    pub fn purge(&self) {
        let mut s = self.lock();
        s.slow = false;
        for _ in 0..2 {
            (0..s.occs.len()).for_each(|n| s.move_on(n));
        }
        s.occs.clear();
    }
    pub fn occs(&self) -> Vec<SmolStr> {
        self.lock().occs.iter().map(|(_, o)| o.id.clone()).collect()
    }
    pub fn last(&self) -> SmolStr {
        self.lock().occs.last().expect("an operation").1.id.clone()
    }
    /// It has begun something by itself, of which this is the state.
    pub fn by_itself(&self, state: VnfOpState) {
        self.begun("HEAL", state, true);
    }
    /// Somebody else has begun it there.
    pub fn by_hand(&self, operation: &'static str, state: VnfOpState) {
        self.begun(operation, state, false);
    }
    fn begun(&self, operation: &'static str, state: VnfOpState, automatic: bool) {
        let mut s = self.lock();
        let (id, occ) = (s.vnfs[0].0.clone(), s.fresh("op"));
        let said = FaultRecord { kind: Kind::Conflict, text: "it cannot heal itself".into(), reasons: Vec::new() };
        let own = Occ { id: occ, operation: operation.into(), state, automatic, cancelling: false, error: Some(said) };
        s.occs.push((id, own));
    }
    /// Name of each instance, and whether it is instantiated.
    pub fn there(&self) -> Vec<(SmolStr, bool)> {
        self.lock().vnfs.iter().map(|(_, name, up)| (name.clone(), *up)).collect()
    }
    /// What was begun and asked of operations since, and no looks.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().asked)
    }
    pub fn ops(&self) -> Vec<(SmolStr, VnfOpState)> {
        self.lock().occs.iter().map(|(_, o)| (o.operation.clone(), o.state)).collect()
    }

    fn ask<T>(&self, what: String, f: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut s = self.lock();
        let gone = || Fault::transient("nobody answers");
        if s.dead {
            return Err(gone());
        }
        let met = s.rule.filter(|(at, _)| *at == s.calls).map(|(_, then)| then);
        s.calls += 1;
        let said = |kind| Fault::new(kind, "it fails as the test says");
        match met {
            Some(Then::Fail(kind)) => return Err(said(kind)),
            Some(Then::Dead) => {
                s.dead = true;
                return Err(gone());
            }
            Some(Then::EffectThenFail(_) | Then::EffectThenDead) | None => {}
        }
        if !what.is_empty() {
            s.asked.push(what);
        }
        let out = f(&mut s);
        match met {
            Some(Then::EffectThenFail(kind)) => Err(said(kind)),
            Some(Then::EffectThenDead) => {
                s.dead = true;
                Err(gone())
            }
            Some(Then::Fail(_) | Then::Dead) | None => out,
        }
    }
}

impl State {
    fn fresh(&mut self, what: &str) -> SmolStr {
        self.made += 1;
        format_smolstr!("{what}-{}", self.made)
    }
    fn seen(&self, v: &(SmolStr, SmolStr, bool)) -> Seen {
        Seen { id: v.0.clone(), instantiated: v.2, scale: vec![("more".into(), self.scale)], run: self.run }
    }
    fn set_up(&mut self, id: &str, up: bool) {
        for v in self.vnfs.iter_mut().filter(|v| v.0 == id) {
            v.2 = up;
        }
    }
    /// An operation under way ends when it is looked at.
    fn move_on(&mut self, at: usize) {
        if self.slow {
            return;
        }
        let (id, o) = self.occs[at].clone();
        if let Some(n) = self.coming.iter().position(|c| c.0 == o.id) {
            self.coming[n].2 -= 1;
            if self.coming[n].2 == 0 {
                self.occs[at].1.state = self.coming.remove(n).1;
            }
            return;
        }
        let next = match o.state {
            VnfOpState::Starting => VnfOpState::Processing,
            VnfOpState::Processing if o.cancelling => VnfOpState::FailedTemp,
            VnfOpState::Processing if self.stuck > 0 => {
                self.stuck -= 1;
                VnfOpState::FailedTemp
            }
            VnfOpState::Processing if o.operation == "TERMINATE" && self.ends.is_some() => self.ends.unwrap_or(o.state),
            VnfOpState::Processing => {
                match o.operation.as_str() {
                    "INSTANTIATE" => self.set_up(&id, true),
                    "TERMINATE" => self.set_up(&id, false),
                    "SCALE" => self.scale += 1,
                    _ => {}
                }
                VnfOpState::Completed
            }
            VnfOpState::RollingBack => VnfOpState::RolledBack,
            same => same,
        };
        if next == o.state {
            return;
        }
        let error = (next == VnfOpState::FailedTemp).then(|| FaultRecord {
            kind: Kind::Conflict,
            text: "no power in the east".into(),
            reasons: vec!["rack 7".into()],
        });
        let o = &mut self.occs[at].1;
        (o.state, o.error) = (next, error);
    }
}

fn absent() -> Fault {
    Fault::not_found("it is not there")
}

impl Fake {
    pub fn ears(&self) -> Vec<(Tells, SmolStr)> {
        self.lock().ears.iter().map(|(t, id, _)| (*t, id.clone())).collect()
    }
    pub fn forget_ears(&self) {
        self.lock().ears.clear();
    }
    pub fn set_alarms(&self, all: Vec<SeenAlarm>) {
        self.lock().alarms = all;
    }
    /// What others have made of it there.
    pub fn others(&self, scale: u32, run: RunState) {
        let mut s = self.lock();
        (s.scale, s.run) = (scale, Some(run));
    }
    pub fn lose(&self) {
        self.lock().vnfs.clear();
    }
}

impl Managers for Fake {
    fn subscriptions(&self, _: &ForeignVnfm, of: Tells, uri: &str) -> Result<Vec<SmolStr>> {
        self.ask(String::new(), |s| Ok(s.ears.iter().filter(|e| e.0 == of && e.2 == uri).map(|e| e.1.clone()).collect()))
    }
    fn subscribe(&self, _: &ForeignVnfm, of: Tells, back: &CallBack) -> Result<SmolStr> {
        self.ask(String::new(), |s| {
            let id = s.fresh("ear");
            s.ears.push((of, id.clone(), back.uri.clone()));
            Ok(id)
        })
    }
    fn unsubscribe(&self, _: &ForeignVnfm, of: Tells, id: &str) -> Result<()> {
        self.ask(String::new(), |s| {
            s.ears.retain(|e| e.0 != of || e.1 != id);
            Ok(())
        })
    }
    fn alarms(&self, _: &ForeignVnfm, _: &str) -> Result<Vec<SeenAlarm>> {
        self.ask(String::new(), |s| Ok(s.alarms.clone()))
    }
    fn find(&self, _: &ForeignVnfm, name: &str) -> Result<Vec<Seen>> {
        self.ask(String::new(), |s| Ok(s.vnfs.iter().filter(|v| v.1 == name).map(|v| s.seen(v)).collect()))
    }
    fn look(&self, _: &ForeignVnfm, id: &str) -> Result<Option<Seen>> {
        self.ask(String::new(), |s| {
            let found = s.vnfs.iter().find(|v| v.0 == id);
            Ok(found.map(|v| s.seen(v)))
        })
    }
    fn create(&self, _: &ForeignVnfm, vnf: &NewVnf) -> Result<SmolStr> {
        self.ask("create".into(), |s| {
            let id = s.fresh("vnf");
            s.vnfs.push((id.clone(), vnf.name.clone(), false));
            Ok(id)
        })
    }
    fn delete(&self, _: &ForeignVnfm, id: &str) -> Result<()> {
        self.ask("delete".into(), |s| {
            if s.vnfs.iter().any(|v| v.0 == id && v.2) {
                return Err(Fault::conflict("it is instantiated"));
            }
            s.vnfs.retain(|v| v.0 != id);
            Ok(())
        })
    }
    fn begin(&self, _: &ForeignVnfm, id: &str, task: &AbroadTask) -> Result<SmolStr> {
        let operation = SmolStr::new_static(task.kind().expect("an operation").name());
        self.ask(operation.to_string(), |s| {
            let up = s.vnfs.iter().find(|v| v.0 == id).ok_or_else(absent)?.2;
            if s.occs.iter().any(|(of, o)| of == id && !o.state.is_final()) {
                return Err(Fault::conflict("an operation is under way"));
            }
            if up == (operation == "INSTANTIATE") {
                return Err(Fault::conflict("it is not in the state for that"));
            }
            let occ = s.fresh("op");
            let (automatic, cancelling, error) = (false, false, None);
            s.occs.push((id.into(), Occ { id: occ.clone(), operation, state: VnfOpState::Starting, automatic, cancelling, error }));
            Ok(occ)
        })
    }
    fn occs(&self, _: &ForeignVnfm, id: &str) -> Result<Vec<Occ>> {
        self.ask(String::new(), |s| {
            (0..s.occs.len()).filter(|n| s.occs[*n].0 == id).collect::<Vec<_>>().into_iter().for_each(|n| s.move_on(n));
            Ok(s.occs.iter().filter(|(of, _)| of == id).map(|(_, o)| o.clone()).collect())
        })
    }
    fn occ(&self, _: &ForeignVnfm, id: &str) -> Result<Option<Occ>> {
        self.ask(String::new(), |s| {
            let Some(n) = s.occs.iter().position(|(_, o)| o.id == id) else { return Ok(None) };
            s.move_on(n);
            Ok(Some(s.occs[n].1.clone()))
        })
    }
    fn act(&self, _: &ForeignVnfm, occ: &str, act: OccAct) -> Result<()> {
        self.ask(format!("{act:?}"), |s| {
            let (plain, late) = (s.plain, s.late);
            let o = &mut s.occs.iter_mut().find(|(_, o)| o.id == occ).ok_or_else(absent)?.1;
            match (act, o.state) {
                (OccAct::Cancel(_) | OccAct::Rollback, _) if plain => return Err(Fault::not_found("it has no such task")),
                (OccAct::Cancel(_), VnfOpState::Starting | VnfOpState::Processing) => o.cancelling = true,
                (OccAct::Retry, VnfOpState::FailedTemp) => o.state = VnfOpState::Processing,
                (OccAct::Rollback, VnfOpState::FailedTemp) => o.state = VnfOpState::RollingBack,
                (OccAct::Fail, VnfOpState::FailedTemp) => o.state = VnfOpState::Failed,
                (_, state) => return Err(Fault::conflict(format!("it is {}", state.name()))),
            }
            if late > 0 && !matches!(act, OccAct::Cancel(_)) {
                let then = std::mem::replace(&mut o.state, VnfOpState::FailedTemp);
                s.coming.push((occ.into(), then, late));
            }
            Ok(())
        })
    }
}
