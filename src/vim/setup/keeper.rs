//! Does the plan, keeps it over reboots, undoes it.
//!
//! Owns the order: what was before is stored before anything changes, and each change is looked at
//! after it. Never: sets what the plan does not name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{BootBlock, Desired, HostPlan, Needs, plan, plan::broken};
use crate::{
    model::{
        error::{Fault, Kind, Result},
        host::{BootArgs, DriverName, HostFacts, HostSetting, KernelArgs},
        place::Held,
        setup::HostRecord,
        vnf::Reservation,
    },
    store::{Durability, Store},
    vim::port::Hardware,
};

/// What came of an apply or an undo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    pub done: Vec<String>,
    /// What was tried and did not come, with why.
    pub failed: Vec<(String, String)>,
    /// Something waits for a reboot.
    pub reboot: bool,
}

/// What a boot that has come up says about kernel arguments on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// None were tried.
    Nothing,
    /// This boot has them, and so has every one from now on.
    Kept,
    /// They were tried, and this is the boot that came after.
    FellBack(KernelArgs),
}

/// What the kernel shows of a boot on trial; the boot menu puts it there.
pub(super) const TRIAL: (&str, &str) = ("bothy.boot", "trial");

pub struct Keeper {
    store: Store,
    hardware: Arc<dyn Hardware>,
    block: Arc<BootBlock>,
    desired: Mutex<Desired>,
    /// What the box's owner has signed, in its place.
    signed: Mutex<Option<Desired>>,
    /// One change of the host at a time.
    one: Mutex<()>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    pub fn new(store: Store, hardware: Arc<dyn Hardware>, desired: Desired) -> Self {
        let block = Arc::new(BootBlock::new(hardware.clone()));
        Keeper { store, hardware, block, desired: Mutex::new(desired), signed: Mutex::default(), one: Mutex::new(()) }
    }
    /// The boot loader's block, which updates of the system write too.
    pub fn block(&self) -> &Arc<BootBlock> {
        &self.block
    }
    /// What the configuration wants from now on; nothing is done about it.
    pub fn set_desired(&self, desired: Desired) {
        *lock(&self.desired) = desired;
    }
    /// What the box's owner has signed counts in place of the configuration, but for the host's own CPUs; nothing is done about it.
    pub fn set_signed(&self, desired: Option<Desired>) {
        *lock(&self.signed) = desired;
    }
    fn desired(&self) -> Desired {
        let told = lock(&self.desired).clone();
        match lock(&self.signed).clone() {
            Some(signed) => Desired { host_cpus: told.host_cpus, ..signed },
            None => told,
        }
    }
    pub fn facts(&self) -> Result<HostFacts> {
        self.hardware.facts()
    }
    pub fn boot(&self) -> Result<Option<BootArgs>> {
        self.block.read()
    }
    pub fn plan(&self) -> Result<HostPlan> {
        self.plan_of(&self.desired())
    }
    /// What would differ if this were signed; nothing comes of it.
    pub fn plan_for(&self, signed: &Desired) -> Result<HostPlan> {
        let host_cpus = lock(&self.desired).host_cpus.clone();
        self.plan_of(&Desired { host_cpus, ..signed.clone() })
    }
    fn plan_of(&self, desired: &Desired) -> Result<HostPlan> {
        let (facts, boot) = (self.hardware.facts()?, self.block.read()?);
        let mut p = plan(desired, &facts, boot.as_ref());
        p.keep_promises(&facts, &self.held()?);
        Ok(p)
    }
    /// What guests have of the host, running or not.
    fn held(&self) -> Result<Vec<Held>> {
        Ok(self.store.list::<Reservation>()?.into_iter().flat_map(|r| r.placed).collect())
    }
    /// The kernel arguments that the configuration means for such a host; none while the CPUs or pages that it names
    /// cannot be.
    pub fn wanted_args(&self, facts: &HostFacts) -> Result<KernelArgs> {
        Ok(plan(&self.desired(), facts, self.block.read()?.as_ref()).args)
    }
    /// What there is to undo.
    pub fn record(&self) -> Result<HostRecord> {
        Ok(self.store.get::<HostRecord>(&())?.unwrap_or_default())
    }

    /// Does all of the plan that can be done; what fails leaves the rest to be done.
    pub fn apply(&self) -> Result<Done> {
        let _one = lock(&self.one);
        self.apply_now()
    }

    fn apply_now(&self) -> Result<Done> {
        let todo = self.plan()?;
        self.remember(&todo)?;
        let mut out = self.live(&todo);
        if let Some(boot) = &todo.boot {
            let text = match &boot.trial {
                Some(_) => format!("kernel arguments on trial at the next boot: {}", todo.args),
                None => "no kernel arguments are on trial any more".to_owned(),
            };
            out.tell(text, self.put(boot));
        }
        out.reboot = self.plan()?.items.iter().any(|i| i.needs == Needs::Booting);
        Ok(out)
    }

    /// Live settings once more, as after a boot: those that were made, whatever the configuration says
    /// by now. Nothing where none was ever applied.
    pub fn keep(&self) -> Result<Done> {
        let _one = lock(&self.one);
        let made = self.record()?.made;
        let mut out = Done::default();
        if made.is_empty() {
            return Ok(out);
        }
        let (facts, held) = (self.hardware.facts()?, self.held()?);
        for want in again(&made, &facts) {
            out.tell(describe(&want), self.set(&want, &facts, &held));
        }
        Ok(out)
    }

    /// Set, unless guests hold what goes with it.
    fn set(&self, want: &HostSetting, facts: &HostFacts, held: &[Held]) -> Result<()> {
        match broken(want, facts, held) {
            Some(why) => Err(Fault::conflict(why)),
            None => self.hardware.set(want),
        }
    }

    /// This boot is sound: if it was a trial, its arguments are what every boot has from now on.
    pub fn settle_boot(&self) -> Result<Settled> {
        let _one = lock(&self.one);
        let on_trial = self.hardware.facts()?.kernel.args.has(TRIAL.0, TRIAL.1);
        match self.block.read()? {
            // Of a slot on trial something else says whether it is kept (`update`).
            Some(BootArgs { slot_try: Some(_), .. }) => Ok(Settled::Nothing),
            // Armed again since: that is another trial.
            Some(BootArgs { trial: Some(trial), armed: false, .. }) if on_trial => {
                self.block.change(|b| Ok(BootArgs { committed: trial.clone(), trial: None, armed: false, ..b.clone() }))?;
                Ok(Settled::Kept)
            }
            Some(BootArgs { trial: Some(trial), armed: false, .. }) => Ok(Settled::FellBack(trial)),
            Some(_) | None => Ok(Settled::Nothing),
        }
    }

    /// Each thing as it was before the first apply. What does not go back stays recorded; what guests hold stays as it
    /// was made.
    pub fn undo(&self) -> Result<Done> {
        self.undo_beside(&self.held()?)
    }

    /// The same where there are no guests any more, whatever records say of them.
    pub fn undo_all(&self) -> Result<Done> {
        self.undo_beside(&[])
    }

    /// What was signed counts no more, and the configuration does: undone, and applied. What the boot loader had before either is
    /// remembered all the time, for an undo later on.
    pub fn back_to_configuration(&self) -> Result<Done> {
        let _one = lock(&self.one);
        let mut out = self.undo_now(&self.held()?, true)?;
        if out.failed.is_empty() {
            let applied = self.apply_now()?;
            out.done.extend(applied.done);
            out.failed = applied.failed;
            out.reboot = applied.reboot;
        }
        Ok(out)
    }

    fn undo_beside(&self, held: &[Held]) -> Result<Done> {
        let _one = lock(&self.one);
        self.undo_now(held, false)
    }

    /// `again`: something is applied after it.
    fn undo_now(&self, held: &[Held], again: bool) -> Result<Done> {
        let mut record = self.record()?;
        let facts = if held.is_empty() || record.before.is_empty() { HostFacts::default() } else { self.hardware.facts()? };
        // First: what is kept while bothy runs must not be made again just as it goes.
        let made = record.made.len();
        let stays: Vec<_> = record.before.iter().filter(|b| broken(b, &facts, held).is_some()).map(HostSetting::target).collect();
        record.made.retain(|m| stays.contains(&m.target()));
        if record.made.len() != made {
            self.store.write(Durability::Barrier, |tx| tx.put(&record))?;
        }
        let mut out = Done::default();
        let mut left = Vec::new();
        for before in record.before.iter().rev() {
            let done = self.set(before, &facts, held);
            // Only where the kernel moves it itself: so it was never moved, or its number is another's by now. All else
            // that kept it from going back may pass.
            if matches!((before, &done), (HostSetting::Irq { .. }, Err(f)) if f.kind() == Kind::Conflict) {
                continue;
            }
            if done.is_err() {
                left.insert(0, before.clone());
            }
            out.tell(describe(before), done);
        }
        record.before = left;
        if let (Some(args), Some(boot)) = (record.args_before.clone().map(|a| KernelArgs::parse(&a)), self.block.read()?) {
            let runs = boot.committed == args;
            let want = BootArgs { trial: (!runs).then(|| args.clone()), armed: !runs, ..boot.clone() };
            let text = if runs {
                "no kernel arguments on trial".to_owned()
            } else {
                format!("kernel arguments on trial at the next boot: {args}")
            };
            let done = self.put(&want);
            if done.is_ok() && !again {
                record.args_before = None;
            }
            out.reboot = !runs;
            out.tell(text, done);
        }
        self.store.write(Durability::Barrier, |tx| {
            if record == HostRecord::default() { tx.delete::<HostRecord>(&()).map(drop) } else { tx.put(&record) }
        })?;
        Ok(out)
    }

    /// The arguments of `want`; the slots stay as they are. Refused while a slot is on trial.
    fn put(&self, want: &BootArgs) -> Result<()> {
        let both = || Fault::conflict("an update of the system is on trial: kernel arguments are tried after it");
        self.block.change(|b| if b.slot_try.is_some() { Err(both()) } else { Ok(BootArgs { slot: b.slot, ..want.clone() }) }).map(drop)
    }

    /// Before anything changes: a crash between here and the change leaves an undo that does nothing.
    fn remember(&self, todo: &HostPlan) -> Result<()> {
        let mut record = self.record()?;
        let old = record.clone();
        for (before, want) in todo.items.iter().flat_map(|i| &i.changes) {
            record.made.retain(|m| m.target() != want.target());
            record.made.push(want.clone());
            if !record.before.iter().any(|b| b.target() == before.target()) {
                record.before.push(before.clone());
            }
        }
        if todo.boot.is_some() && record.args_before.is_none() {
            record.args_before = self.block.read()?.map(|b| b.committed.to_string());
        }
        if record == old { Ok(()) } else { self.store.write(Durability::Barrier, |tx| tx.put(&record)) }
    }

    fn live(&self, todo: &HostPlan) -> Done {
        let mut out = Done::default();
        for item in todo.items.iter().filter(|i| i.needs == Needs::Nothing) {
            let failed: Vec<String> =
                item.changes.iter().filter_map(|(_, want)| self.hardware.set(want).err()).map(|f| f.detail()).collect();
            match failed.first() {
                None => out.done.push(item.what.clone()),
                Some(first) if failed.len() == 1 => out.failed.push((item.what.clone(), first.clone())),
                Some(first) => {
                    let why = format!("{} of {}: {first}", failed.len(), item.changes.len());
                    out.failed.push((item.what.clone(), why));
                }
            }
        }
        out
    }
}

impl Done {
    fn tell(&mut self, what: String, done: Result<()>) {
        match done {
            Ok(()) => self.done.push(what),
            Err(fault) => self.failed.push((what, fault.detail())),
        }
    }
}

/// What of it is not so now. Interrupts have other numbers after each boot: those that are there go
/// where the others were sent.
fn again(made: &[HostSetting], facts: &HostFacts) -> Vec<HostSetting> {
    let mut all = Vec::new();
    let mut routed = None;
    for want in made {
        let differs = match want {
            HostSetting::HugePages { node, size, pages } => {
                facts.node(*node).and_then(|n| n.pages(*size)).is_none_or(|p| p.total != *pages)
            }
            // One that a guest has whole has none until it comes back.
            HostSetting::Vfs { pf, count } => {
                !facts.pfs().any(|(d, p)| d.addr == *pf && (p.vfs.len() == usize::from(*count) || d.driver == Some(DriverName::VFIO)))
            }
            HostSetting::Governor { name, cpus } => facts.governors.iter().any(|g| g.name != *name && !g.cpus.common(cpus).is_empty()),
            HostSetting::Irq { cpus, .. } => {
                routed = Some(cpus);
                false
            }
        };
        if differs {
            all.push(want.clone());
        }
    }
    if let Some(cpus) = routed {
        let away = facts.irqs.iter().filter(|i| !i.cpus.minus(cpus).is_empty());
        all.extend(away.map(|i| HostSetting::Irq { number: i.number, cpus: cpus.clone() }));
    }
    all
}

fn describe(s: &HostSetting) -> String {
    match s {
        HostSetting::HugePages { node, size, pages } => format!("node {node}: {pages} pages of {size}"),
        HostSetting::Vfs { pf, count } => format!("PF {pf}: {count} VFs"),
        HostSetting::Governor { name, cpus } => format!("governor {name} on CPUs {cpus}"),
        HostSetting::Irq { number, cpus } => format!("interrupt {number} to CPUs {cpus}"),
    }
}
