//! Collection for PM jobs and thresholds.
//!
//! ```text
//! every step (5 s at most): one reading of the guests that are measured -> sums
//! every collection period: a value of each metric    every reporting period: a report, stored and told
//! ```
//! One thread, begun with the first job, that sleeps until something is due. Owns when what is read, and that reports
//! are bounded. Never: HTTP; what a counter means (`measure`).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use smol_str::SmolStr;
use uuid::Uuid;

use super::measure::{Group, Since, of_ns, of_vnf};
use crate::{
    model::{
        error::{Fault, Result},
        id::{NsId, VnfId, VnfcId},
        ns::NsInstance,
        pm::{Asked, How, Metric, Milli, ObjectType, PmJob, PmReport, ReportEntry, ReportInfo, Threshold, What},
        time::{Clock, Dice},
        vnf::VnfInstance,
    },
    store::{Durability, Store},
    vim::port::{GuestStats, Hypervisor, StatsAsk},
};

/// Between two readings at most: peaks are the highest of them.
const STEP: Duration = Duration::from_secs(5);
/// How often thresholds are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Reports kept of one job; the oldest goes first.
const REPORTS: usize = 16;
/// Jobs and thresholds there may be, each.
const MOST: usize = 100;
/// Values one report may have.
const MOST_VALUES: usize = 20_000;

pub struct Collector {
    store: Store,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    hypervisor: Arc<dyn Hypervisor>,
    state: Mutex<State>,
    wake: Condvar,
    me: Weak<Collector>,
}

#[derive(Default)]
struct State {
    running: bool,
    changed: bool,
    stop: bool,
}

/// A job or a threshold under way.
struct Course {
    of: ObjectType,
    objects: Vec<Uuid>,
    parts: Vec<SmolStr>,
    metrics: Vec<Asked>,
    step: Duration,
    steps: u32,
    taken: u32,
    due: Instant,
    read: Option<Instant>,
    whole: Since,
    fine: Since,
    samples: BTreeMap<(usize, usize), Vec<i64>>,
    groups: Vec<Group>,
    /// Of a job: values of this report, by object, part and metric; and periods in it.
    entries: Vec<ReportEntry>,
    periods: u32,
}

type Readings = HashMap<VnfcId, GuestStats>;

impl Collector {
    /// Takes up the jobs there are.
    pub fn open(store: Store, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>, hypervisor: Arc<dyn Hypervisor>) -> Result<Arc<Collector>> {
        let work = !store.list::<PmJob>()?.is_empty() || !store.list::<Threshold>()?.is_empty();
        let c = Arc::new_cyclic(|me| Collector {
            store,
            clock,
            dice,
            hypervisor,
            state: Mutex::default(),
            wake: Condvar::new(),
            me: me.clone(),
        });
        if work {
            c.changed()?;
        }
        Ok(c)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Jobs or thresholds came or went.
    fn changed(&self) -> Result<()> {
        let mut s = self.lock();
        s.changed = true;
        self.wake.notify_all();
        if s.running || s.stop {
            return Ok(());
        }
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        s.running = true;
        drop(s);
        let begun = std::thread::Builder::new().name("collect".into()).stack_size(512 * 1024).spawn(move || me.run());
        begun.map(drop).map_err(|e| Fault::transient("cannot start the collection of statistics").with_source(e))
    }

    pub fn stop(&self) {
        self.lock().stop = true;
        self.wake.notify_all();
    }

    pub fn add_job(&self, job: &PmJob) -> Result<()> {
        let many = self.store.list::<PmJob>()?.len();
        let values = job.objects.len() * job.metrics.len() * (job.reporting_s / job.collection_s.max(1)) as usize;
        if many >= MOST || values > MOST_VALUES {
            let why = if many >= MOST {
                format!("there are {MOST} PM jobs already")
            } else {
                format!("its reports would have {values} values, {MOST_VALUES} at most")
            };
            return Err(Fault::conflict(format!("the PM job cannot be made: {why}")));
        }
        self.store.write(Durability::Barrier, |tx| tx.put_new(job))?;
        self.changed()
    }

    pub fn add_threshold(&self, t: &Threshold) -> Result<()> {
        if self.store.list::<Threshold>()?.len() >= MOST {
            return Err(Fault::conflict(format!("there are {MOST} thresholds already")));
        }
        self.store.write(Durability::Barrier, |tx| tx.put_new(t))?;
        self.changed()
    }

    /// `check` sees the job as it is.
    pub fn remove_job(&self, id: Uuid, check: impl Fn(u64) -> Result<()>) -> Result<()> {
        let reports: Vec<Uuid> = self.store.list_under::<PmReport>(&id)?.iter().map(|r| r.id).collect();
        self.store.write(Durability::Barrier, |tx| {
            let job = tx.get::<PmJob>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no PM job {id}")))?;
            check(job.revision)?;
            reports.iter().try_for_each(|r| tx.delete::<PmReport>(&(id, *r)).map(|_| ()))?;
            tx.delete::<PmJob>(&id).map(|_| ())
        })?;
        self.changed()
    }

    pub fn remove_threshold(&self, id: Uuid, check: impl Fn(u64) -> Result<()>) -> Result<()> {
        self.store.write(Durability::Barrier, |tx| {
            let t = tx.get::<Threshold>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no threshold {id}")))?;
            check(t.revision)?;
            tx.delete::<Threshold>(&id).map(|_| ())
        })?;
        self.changed()
    }

    /// Another revision, which is given back, for what its callback says; `check` sees the one that there is.
    pub fn touch_job(&self, id: Uuid, check: impl Fn(u64) -> Result<()>) -> Result<u64> {
        self.store.write(Durability::Barrier, |tx| {
            let job = tx.get::<PmJob>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no PM job {id}")))?;
            check(job.revision)?;
            let revision = job.revision + 1;
            tx.put(&PmJob { revision, ..job })?;
            Ok(revision)
        })
    }

    pub fn touch_threshold(&self, id: Uuid, check: impl Fn(u64) -> Result<()>) -> Result<u64> {
        self.store.write(Durability::Barrier, |tx| {
            let t = tx.get::<Threshold>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no threshold {id}")))?;
            check(t.revision)?;
            let revision = t.revision + 1;
            tx.put(&Threshold { revision, ..t })?;
            Ok(revision)
        })
    }

    fn run(&self) {
        let mut courses: BTreeMap<(bool, Uuid), Course> = BTreeMap::new();
        loop {
            let next = courses.values().map(|c| c.due).min();
            {
                let mut s = self.lock();
                while !s.changed && !s.stop && next.is_none_or(|n| n > Instant::now()) {
                    s = match next {
                        Some(n) => {
                            self.wake.wait_timeout(s, n.saturating_duration_since(Instant::now())).unwrap_or_else(PoisonError::into_inner).0
                        }
                        None => self.wake.wait(s).unwrap_or_else(PoisonError::into_inner),
                    };
                }
                if s.stop {
                    s.running = false;
                    return;
                }
                if std::mem::take(&mut s.changed) {
                    drop(s);
                    if let Err(fault) = self.load(&mut courses) {
                        tracing::warn!("PM jobs cannot be read: {fault:?}");
                    }
                }
            }
            if let Err(fault) = self.round(&mut courses) {
                tracing::warn!("statistics are not taken: {fault:?}");
            }
        }
    }

    fn load(&self, courses: &mut BTreeMap<(bool, Uuid), Course>) -> Result<()> {
        let (jobs, thresholds) = (self.store.list::<PmJob>()?, self.store.list::<Threshold>()?);
        let now = self.clock.now();
        let there: HashSet<(bool, Uuid)> = jobs.iter().map(|j| (true, j.id)).chain(thresholds.iter().map(|t| (false, t.id))).collect();
        courses.retain(|k, _| there.contains(k));
        // One that is under way at its boundary still reports what it has.
        for j in jobs.into_iter().filter(|j| j.boundary.is_none_or(|b| b > now)) {
            let period = Duration::from_secs(j.collection_s.into());
            courses.entry((true, j.id)).or_insert_with(|| Course::new(j.object_type, j.objects, j.parts, j.metrics, period));
        }
        for t in thresholds {
            courses.entry((false, t.id)).or_insert_with(|| Course::new(t.object_type, vec![t.object], t.parts, vec![t.metric], LOOK));
        }
        Ok(())
    }

    /// Everything that is due.
    fn round(&self, courses: &mut BTreeMap<(bool, Uuid), Course>) -> Result<()> {
        let now = Instant::now();
        let mut asks: BTreeMap<VnfcId, StatsAsk> = BTreeMap::new();
        let mut due: Vec<(bool, Uuid)> = Vec::new();
        for (key, c) in courses.iter_mut().filter(|(_, c)| c.due <= now) {
            c.due = (c.due + c.step).max(now);
            c.groups = self.groups(c)?;
            for a in self.asks(c)? {
                asks.insert(a.id, a);
            }
            due.push(*key);
        }
        if due.is_empty() {
            return Ok(());
        }
        let asks: Vec<StatsAsk> = asks.into_values().collect();
        let readings: Option<Readings> = match self.hypervisor.stats(&asks) {
            Ok(all) => Some(all.into_iter().collect()),
            // The next reading covers the time of this one.
            Err(fault) => {
                tracing::info!("guests' statistics cannot be read: {fault:?}");
                None
            }
        };
        let mut over = Vec::new();
        for key in due {
            let Some(c) = courses.get_mut(&key) else { continue };
            if !c.take(readings.as_ref()) {
                continue;
            }
            let values = c.values(readings.as_ref());
            let gone = match key {
                (true, id) => self.collected(id, c, values)?,
                (false, id) => self.judged(id, values)?,
            };
            if gone {
                over.push(key);
            }
        }
        over.iter().for_each(|k| drop(courses.remove(k)));
        Ok(())
    }

    fn groups(&self, c: &Course) -> Result<Vec<Group>> {
        let mut all = Vec::new();
        for id in &c.objects {
            if c.of.of_service() {
                let Some(ns) = self.store.get::<NsInstance>(&NsId(*id))? else { continue };
                let members = ns.members.iter().map(|m| self.store.get::<VnfInstance>(&m.vnf)).collect::<Result<Vec<_>>>()?;
                all.extend(of_ns(&ns, &members.into_iter().flatten().collect::<Vec<_>>(), c.of));
            } else if let Some(v) = self.store.get::<VnfInstance>(&VnfId(*id))? {
                all.extend(of_vnf(&v, c.of));
            }
        }
        all.retain(|g| c.parts.is_empty() || g.part.as_ref().is_some_and(|p| c.parts.contains(p)));
        Ok(all)
    }

    fn asks(&self, c: &Course) -> Result<Vec<StatsAsk>> {
        let mut vnfs: HashSet<VnfId> = HashSet::new();
        for id in &c.objects {
            if c.of.of_service() {
                vnfs.extend(self.store.get::<NsInstance>(&NsId(*id))?.iter().flat_map(|n| &n.members).map(|m| m.vnf));
            } else {
                vnfs.insert(VnfId(*id));
            }
        }
        let mut all = Vec::new();
        for id in vnfs {
            let v = self.store.get::<VnfInstance>(&id)?;
            for g in v.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs) {
                all.push(StatsAsk {
                    id: g.id,
                    nics: g.ports.iter().filter(|p| p.is_nic()).map(|p| p.ifname.clone()).collect(),
                    disks: g.disks.iter().map(|d| d.id).collect(),
                });
            }
        }
        Ok(all)
    }

    /// A collection period of a job is over; says whether the job is.
    fn collected(&self, id: Uuid, c: &mut Course, values: Vec<(usize, usize, Milli)>) -> Result<bool> {
        let at = self.clock.now();
        for (g, m, v) in values {
            let (group, metric) = (&c.groups[g], &c.metrics[m].name);
            match c.entries.iter_mut().find(|e| (e.object, &e.part, &e.metric) == (group.object, &group.part, metric)) {
                Some(e) => e.values.push((at, v)),
                None => c.entries.push(ReportEntry {
                    object: group.object,
                    part: group.part.clone(),
                    metric: metric.clone(),
                    values: vec![(at, v)],
                }),
            }
        }
        c.periods += 1;
        let Some(job) = self.store.get::<PmJob>(&id)? else { return Ok(true) };
        let last = job.boundary.is_some_and(|b| b <= at);
        if c.periods < job.reporting_s / job.collection_s.max(1) && !last {
            return Ok(false);
        }
        c.periods = 0;
        let entries = std::mem::take(&mut c.entries);
        if entries.is_empty() {
            return Ok(last);
        }
        let report = PmReport { job: id, id: fresh(&*self.dice), ready: at, object_type: c.of, entries };
        let mut reports = job.reports;
        reports.push(ReportInfo { id: report.id, ready: at });
        let old: Vec<Uuid> = reports.drain(..reports.len().saturating_sub(REPORTS)).map(|r| r.id).collect();
        self.store.write(Durability::Barrier, |tx| {
            let Some(now) = tx.get::<PmJob>(&id)? else { return Ok(()) };
            old.iter().try_for_each(|r| tx.delete::<PmReport>(&(id, *r)).map(|_| ()))?;
            tx.put(&report)?;
            tx.put(&PmJob { reports: reports.clone(), revision: now.revision + 1, ..now })
        })?;
        Ok(last)
    }

    fn judged(&self, id: Uuid, values: Vec<(usize, usize, Milli)>) -> Result<bool> {
        let Some(mut t) = self.store.get::<Threshold>(&id)? else { return Ok(true) };
        let groups = {
            let c = Course::new(t.object_type, vec![t.object], t.parts.clone(), vec![t.metric.clone()], LOOK);
            self.groups(&c)?
        };
        for (g, _, v) in values {
            let Some(group) = groups.get(g) else { continue };
            if t.look(group.part.clone(), v, self.clock.now()) {
                // Each crossing is news of its own.
                self.store.write(Durability::Barrier, |tx| match tx.get::<Threshold>(&id)? {
                    Some(now) => tx.put(&Threshold { revision: now.revision, ..t.clone() }),
                    None => Ok(()),
                })?;
            }
        }
        Ok(false)
    }
}

fn fresh(dice: &dyn Dice) -> Uuid {
    uuid::Builder::from_random_bytes(dice.bytes16()).into_uuid()
}

impl Course {
    fn new(of: ObjectType, objects: Vec<Uuid>, parts: Vec<SmolStr>, metrics: Vec<Asked>, period: Duration) -> Course {
        let steps = (period.as_secs_f64() / STEP.as_secs_f64()).ceil().max(1.0) as u32;
        Course {
            of,
            objects,
            parts,
            metrics,
            step: period / steps,
            steps,
            taken: 0,
            due: Instant::now(),
            read: None,
            whole: Since::default(),
            fine: Since::default(),
            samples: BTreeMap::new(),
            groups: Vec::new(),
            entries: Vec::new(),
            periods: 0,
        }
    }

    /// One reading; says whether a period is over.
    fn take(&mut self, readings: Option<&Readings>) -> bool {
        if let Some(now) = readings {
            let first = !self.whole.has_begun();
            let seconds = self.read.replace(Instant::now()).map_or(0.0, |r| r.elapsed().as_secs_f64());
            self.fine.restart();
            self.fine.take(now, seconds);
            self.whole.take(now, seconds);
            if first {
                return false;
            }
            for (g, group) in self.groups.iter().enumerate() {
                for (m, asked) in self.metrics.iter().enumerate() {
                    if let Some(v) = self.fine.value(group, asked.metric, now) {
                        self.samples.entry((g, m)).or_default().push(v.0);
                    }
                }
            }
        }
        self.taken += 1;
        self.taken >= self.steps && self.whole.has_begun()
    }

    /// The values of the period that is over; the next one begins.
    fn values(&mut self, readings: Option<&Readings>) -> Vec<(usize, usize, Milli)> {
        let none = Readings::new();
        let now = readings.unwrap_or(&none);
        let samples = std::mem::take(&mut self.samples);
        let mut out = Vec::new();
        for (g, group) in self.groups.iter().enumerate() {
            for (m, asked) in self.metrics.iter().enumerate() {
                let taken = samples.get(&(g, m)).map_or(&[][..], Vec::as_slice);
                let v = match asked.metric {
                    Metric::Usage(What::Vcpu, How::Mean) | Metric::Traffic(..) => self.whole.value(group, asked.metric, now),
                    Metric::Usage(What::Vcpu | What::Memory | What::Disk, How::Peak) => taken.iter().max().copied().map(Milli),
                    Metric::Usage(What::Memory | What::Disk, How::Mean) => {
                        let n = i64::try_from(taken.len()).unwrap_or(i64::MAX);
                        (n > 0).then(|| Milli(taken.iter().sum::<i64>() / n))
                    }
                };
                out.extend(v.map(|v| (g, m, v)));
            }
        }
        self.taken = 0;
        self.whole.restart();
        out
    }
}
