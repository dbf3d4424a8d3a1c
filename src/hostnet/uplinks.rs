//! The one who asks through each way out of the box, and has the default routes follow the first that is well.
//!
//! Owns the rounds and when they are due, and (`now`) how each way out is told. Never: what the answers mean (`judge`), or how
//! anything is asked (`port::WaysOut`).
//! A stop of Bothy leaves the routes as they are: the next start goes on from there.

mod now;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub use now::{State, UplinkNow, WayNow};

use super::{
    files,
    judge::{self, Candidate, Judge, Verdict},
    port::{Ask, NetDaemon, WaysOut},
};
use crate::model::{
    error::Result,
    hostnet::{Device, HostInterface, HostNetwork},
    id::IfName,
    time::{Clock, Stamp},
    uplink::{DefaultRoute, Family, Probe},
};

/// For the answers of a round, at most.
const WAIT: Duration = Duration::from_secs(2);
/// Between two looks at the routes, whatever is asked: a lease may come or go. In seconds.
const LOOK_S: u32 = 5;

/// One interface, and what is known of it.
#[derive(Clone)]
struct Link {
    want: HostInterface,
    judges: [Judge; 2],
    since: [Option<Stamp>; 2],
    due: Instant,
}

impl Link {
    fn new(want: &HostInterface) -> Link {
        Link { want: want.clone(), judges: Default::default(), since: [None; 2], due: Instant::now() }
    }
    /// Who judges this family: its own targets, or the other's.
    fn judge(&self, family: Family) -> Option<(&Judge, Option<Stamp>)> {
        let p = self.want.probe.as_ref()?;
        let n = if p.asks(family) { family } else { family.other() } as usize;
        Some((self.judges.get(n)?, *self.since.get(n)?))
    }
    fn verdict(&self, family: Family) -> Verdict {
        self.judge(family).map_or(Verdict::Well, |(j, _)| j.verdict)
    }
    fn is_same(&self, i: &HostInterface) -> bool {
        (&self.want.device, self.want.vlan, &self.want.probe) == (&i.device, i.vlan, &i.probe)
    }
}

#[derive(Default)]
struct Rounds {
    links: Vec<Link>,
    /// Counts the documents, so that an answer of one before is none.
    edition: u64,
    runs: bool,
    stop: bool,
    worker: Option<JoinHandle<()>>,
    /// What the routes were last made to say, by interfaces' numbers.
    by: [Option<u32>; 2],
    fault: Option<String>,
}

pub struct Uplinks {
    ways: Arc<dyn WaysOut>,
    daemon: Arc<dyn NetDaemon>,
    clock: Arc<dyn Clock>,
    /// How long a second of the document is.
    second: Duration,
    began: Instant,
    rounds: Mutex<Rounds>,
    /// One hand on the routes at a time, and the last one by what counts then.
    one: Mutex<()>,
    poked: Condvar,
    heard: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

/// The thread ends, by a panic too: the next document starts another one.
struct Gone<'a>(&'a Uplinks);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.rounds().runs = false;
        }
    }
}

impl Uplinks {
    /// `second`: how long one is, which tests have shorter.
    pub fn new(ways: Arc<dyn WaysOut>, daemon: Arc<dyn NetDaemon>, clock: Arc<dyn Clock>, second: Duration) -> Arc<Self> {
        let (rounds, one, poked, heard) = (Mutex::default(), Mutex::default(), Condvar::new(), Mutex::default());
        Arc::new(Uplinks { ways, daemon, clock, second, began: Instant::now(), rounds, one, poked, heard })
    }

    /// Is called when one is lost or back, or the default routes lead elsewhere.
    pub fn on_change(&self, f: impl Fn() + Send + Sync + 'static) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(f));
    }

    /// From now on by this document. What is known of an interface that is asked as before stays.
    pub fn follow(self: &Arc<Self>, network: Option<&HostNetwork>) {
        let leads = |i: &&HostInterface| Family::BOTH.iter().any(|f| i.way(*f).leads_out());
        let wanted: Vec<&HostInterface> = network.iter().flat_map(|n| &n.interfaces).filter(leads).collect();
        let mut r = self.rounds();
        let link = |i: &&HostInterface| match r.links.iter().find(|l| l.is_same(i)) {
            Some(l) => Link { want: (*i).clone(), ..l.clone() },
            None => Link::new(i),
        };
        let links: Vec<Link> = wanted.iter().map(link).collect();
        let is_probed = links.iter().any(|l| l.want.probe.is_some());
        r.links = links;
        r.edition += 1;
        if is_probed && !r.runs && !r.stop {
            let me = self.clone();
            match std::thread::Builder::new().name("uplinks".into()).stack_size(256 << 10).spawn(move || me.run()) {
                Ok(w) => (r.runs, r.worker) = (true, Some(w)),
                Err(e) => tracing::error!("there is no thread to ask through the uplinks: {e}"),
            }
        }
        drop(r);
        self.poked.notify_all();
        // What a run before has left to routes.
        if !is_probed {
            self.settle();
        }
    }

    pub fn stop(&self) {
        let worker = {
            let mut r = self.rounds();
            r.stop = true;
            r.worker.take()
        };
        self.poked.notify_all();
        if worker.is_some_and(|w| w.join().is_err()) {
            tracing::warn!("the uplinks' thread ended by a panic");
        }
    }

    fn run(self: &Arc<Self>) {
        let _gone = Gone(self);
        loop {
            let (edition, due) = {
                let mut r = self.rounds();
                if r.stop || r.links.iter().all(|l| l.want.probe.is_none()) {
                    r.runs = false;
                    return;
                }
                let now = Instant::now();
                let due = |(n, l): (usize, &Link)| l.want.probe.as_ref().filter(|_| l.due <= now).map(|p| (n, l.clone(), p.clone()));
                (r.edition, r.links.iter().enumerate().filter_map(due).collect::<Vec<_>>())
            };
            let turned = !due.is_empty() && self.ask(edition, &due);
            let moved = self.settle();
            if (turned || moved)
                && let Some(f) = &*self.heard.lock().unwrap_or_else(PoisonError::into_inner)
            {
                f();
            }
            let r = self.rounds();
            if r.stop || r.edition != edition {
                continue;
            }
            let now = Instant::now();
            let next = r.links.iter().filter(|l| l.want.probe.is_some()).map(|l| l.due.saturating_duration_since(now)).min();
            let wait = next.unwrap_or_default().min(self.second * LOOK_S);
            drop(self.poked.wait_timeout(r, wait).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A round of each that is due. True: one is lost, or back.
    fn ask(&self, edition: u64, due: &[(usize, Link, Probe)]) -> bool {
        let began = Instant::now();
        let mut asked = Vec::new();
        let mut places = Vec::new();
        let mut wait = WAIT;
        for (_, l, p) in due {
            wait = wait.min(self.second * u32::from(p.interval_s));
            let device = self.named(&l.want);
            places.push(device.as_ref().map(|_| asked.len()));
            asked.extend(device.into_iter().flat_map(|d| p.targets.iter().map(move |t| Ask { device: d.clone(), target: t.clone() })));
        }
        let answers = self.ways.ask(&asked, wait);
        let now_s = self.began.elapsed().as_secs();
        let mut r = self.rounds();
        if r.edition != edition {
            return false;
        }
        let mut turned = false;
        for ((n, _, p), place) in due.iter().zip(places) {
            let Some(l) = r.links.get_mut(*n) else { continue };
            l.due = began + self.second * u32::from(p.interval_s);
            let of = match place {
                Some(at) => answers.get(at..at + p.targets.len()).unwrap_or_default().to_vec(),
                None => vec![Err("the interface is not there".to_owned()); p.targets.len()],
            };
            for family in Family::BOTH {
                let (Some(said), Some(judge)) = (judge::round(p, &of, family), l.judges.get_mut(family as usize)) else { continue };
                let next = judge.next(said, p, now_s);
                if next.verdict != judge.verdict {
                    turned = true;
                    let (name, word) = (&l.want.device, family.word());
                    match next.verdict {
                        Verdict::Down => tracing::warn!(uplink = %name, family = word, why = next.why, "an uplink is down"),
                        Verdict::Well | Verdict::Untried => tracing::info!(uplink = %name, family = word, "an uplink is well"),
                    }
                    if let Some(since) = l.since.get_mut(family as usize) {
                        *since = Some(self.clock.now());
                    }
                }
                *judge = next;
            }
        }
        turned
    }

    /// The default routes follow. True: they lead elsewhere than before.
    fn settle(&self) -> bool {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let links = self.rounds().links.clone();
        let done = self.routes_follow(&links);
        let mut r = self.rounds();
        match done {
            Ok(by) => {
                r.fault = None;
                std::mem::replace(&mut r.by, by) != by
            }
            Err(fault) => {
                if r.fault.replace(fault.detail()).is_none() {
                    tracing::error!("the default routes do not follow the uplinks: {fault:?}");
                }
                false
            }
        }
    }

    fn routes_follow(&self, links: &[Link]) -> Result<[Option<u32>; 2]> {
        let (interfaces, routes) = (self.ways.interfaces()?, self.ways.routes()?);
        let (order, _) = self.order(links, &interfaces);
        let mut by = [None; 2];
        let mut failed = Ok(());
        // What hinders one family does not keep the other where it is.
        for (family, by) in Family::BOTH.into_iter().zip(&mut by) {
            let c = change(links, &order, family, &routes);
            let removed = c.remove.iter().try_for_each(|r| self.ways.remove_route(r));
            match removed.and_then(|()| c.add.iter().try_for_each(|r| self.ways.add_route(r))) {
                Ok(()) => {
                    self.tell(&c.remove, c.add.as_ref(), &interfaces);
                    *by = c.by;
                }
                Err(fault) => failed = failed.and(Err(fault)),
            }
        }
        failed.map(|()| by)
    }

    fn tell(&self, removed: &[DefaultRoute], added: Option<&DefaultRoute>, interfaces: &[(u32, IfName)]) {
        let name = |index: u32| interfaces.iter().find(|(i, _)| *i == index).map_or("-", |(_, n)| n.as_str());
        match (removed, added) {
            (_, Some(r)) => tracing::warn!(family = r.family.word(), by = name(r.index), "the default route leads elsewhere"),
            ([r, ..], None) => tracing::info!(family = r.family.word(), "the default route is the interfaces' own again"),
            ([], None) => {}
        }
    }

    /// Each interface's number and name.
    fn order(&self, links: &[Link], interfaces: &[(u32, IfName)]) -> (Vec<Option<u32>>, Vec<Option<IfName>>) {
        let names: Vec<Option<IfName>> = links.iter().map(|l| self.named(&l.want)).collect();
        let index = |n: &Option<IfName>| interfaces.iter().find(|(_, i)| Some(i) == n.as_ref()).map(|(i, _)| *i);
        (names.iter().map(index).collect(), names)
    }

    /// Which port has a MAC address may be another one tomorrow.
    fn named(&self, i: &HostInterface) -> Option<IfName> {
        match (&i.vlan, &i.device) {
            (Some(_), _) => files::vlan_name(i).parse().ok(),
            (None, Device::Name(n)) => Some(n.clone()),
            (None, d @ Device::Mac(_)) => self.daemon.ports().ok()?.into_iter().find(|p| p.is(d)).map(|p| p.name),
        }
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By those that may lead out in this family, in their order; without probes the files' own order is all there is.
fn change(links: &[Link], order: &[Option<u32>], family: Family, routes: &[DefaultRoute]) -> judge::Change {
    let is_probed = links.iter().any(|l| l.want.probe.is_some());
    let of = links.iter().zip(order).filter(|(l, _)| is_probed && l.want.way(family).leads_out());
    let of: Vec<Candidate> = of.map(|(l, index)| Candidate { index: *index, verdict: l.verdict(family) }).collect();
    judge::change(family, &of, routes)
}
