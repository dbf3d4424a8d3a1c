//! The switches outside the box are as the links of guests' functions want them, and become so again by
//! themselves.
//!
//! ```text
//! records + configuration --> services --> desired, whole, of each controller
//!                                              |
//!   inbox (records changed, news of a          v
//!   connector, time) ----------------> look -> apply -> look (verify) -> state of each service
//! ```
//! Owns: the one projection of services to controllers and the thread that keeps it; the records of
//! controllers and port maps. Never: how a controller is spoken to, or which link wants what (that is
//! `sdn::underlay`).

mod gather;
mod manage;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use smol_str::SmolStr;
use tracing::{info, warn};

use crate::{
    model::{
        access::Owned,
        error::{Fault, Result},
        id::ProjectId,
        sdn::{Controller, PortMap},
        secret::Secret,
        segment::Segment,
        vnf::Facts,
    },
    sdn::{
        connector::{Connector, Connectors, Desired, Look, Opening, PortState},
        underlay::{Seen, Service, ServiceState, Underlay, desired, state},
    },
    store::Store,
};
pub use manage::Origin;

/// What the configuration says, and who this box is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    pub node: SmolStr,
    pub controllers: Vec<Controller>,
    pub maps: Vec<PortMap>,
}

/// Between two looks at whether records changed.
const TICK: Duration = Duration::from_secs(1);
/// Between two looks at a controller that tells nothing.
const LOOK: Duration = Duration::from_secs(10);
/// After a failure, or where something is still to come.
const AGAIN: Duration = Duration::from_secs(2);

enum Wake {
    News,
    Stop,
}

struct Open {
    controller: Controller,
    secret: Option<String>,
    connector: Arc<dyn Connector>,
}

#[derive(Default)]
struct Work {
    open: BTreeMap<SmolStr, Open>,
    /// What is no longer to be used, with what Bothy has left there.
    leaving: Vec<Open>,
}

pub struct Outside {
    store: Store,
    connectors: Arc<dyn Connectors>,
    settings: Mutex<Settings>,
    seen: Mutex<BTreeMap<SmolStr, Seen>>,
    /// One at a time at the controllers.
    work: Mutex<Work>,
    post: Sender<Wake>,
    inbox: Mutex<Option<Receiver<Wake>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A service as it is.
#[derive(Debug, Clone)]
pub struct Standing {
    pub service: Service,
    pub state: ServiceState,
    /// Empty when it is active.
    pub why: String,
}

impl Owned for Standing {
    fn project(&self) -> ProjectId {
        self.service.project
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outside {
    pub fn new(store: Store, connectors: Arc<dyn Connectors>, settings: Settings) -> Arc<Outside> {
        let (post, inbox) = channel();
        Arc::new(Outside {
            store,
            connectors,
            settings: Mutex::new(settings),
            seen: Mutex::default(),
            work: Mutex::default(),
            post,
            inbox: Mutex::new(Some(inbox)),
            thread: Mutex::default(),
        })
    }

    /// Starts to keep the controllers.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        let Some(inbox) = lock(&self.inbox).take() else { return Ok(()) };
        let me = self.clone();
        let thread = std::thread::Builder::new()
            .name("outside".into())
            .spawn(move || me.run(&inbox))
            .map_err(|e| Fault::transient("no thread for the SDN controllers").with_source(e))?;
        *lock(&self.thread) = Some(thread);
        Ok(())
    }

    /// What was set stays: guests go on.
    pub fn stop(&self) {
        let _ = self.post.send(Wake::Stop);
        if let Some(t) = lock(&self.thread).take()
            && t.join().is_err()
        {
            warn!("the keeper of the SDN controllers ended by a panic");
        }
        *lock(&self.work) = Work::default();
    }

    pub fn configure(&self, settings: Settings) {
        *lock(&self.settings) = settings;
        self.wake();
    }

    fn wake(&self) {
        let _ = self.post.send(Wake::News);
    }

    /// All that is told: the configuration's controllers and maps, then the records'.
    pub fn underlay(&self) -> Result<Underlay> {
        let s = lock(&self.settings).clone();
        let mut u = Underlay { node: s.node, controllers: s.controllers, maps: s.maps };
        for c in self.store.list::<Controller>()? {
            if !u.controllers.iter().any(|o| o.name == c.name) {
                u.controllers.push(c);
            }
        }
        for m in self.store.list::<PortMap>()? {
            if !u.maps.iter().any(|o| o.node == m.node) {
                u.maps.push(m);
            }
        }
        Ok(u)
    }

    fn planned(&self, u: &Underlay) -> Result<Vec<Service>> {
        if u.controllers.is_empty() {
            return Ok(Vec::new());
        }
        Ok(u.services(&self.store.list::<Segment>()?, &gather::nics(&self.store)?))
    }

    /// Every service, as of the last look at its controller.
    pub fn services(&self) -> Result<Vec<Standing>> {
        let services = self.planned(&self.underlay()?)?;
        let seen = lock(&self.seen);
        let stand = |service: Service| {
            let (state, why) = state(&service, seen.get(&service.controller));
            Standing { service, state, why }
        };
        Ok(services.into_iter().map(stand).collect())
    }

    /// What differs at each controller now; nothing is changed.
    pub fn plan(&self) -> Result<Vec<(SmolStr, Seen)>> {
        let u = self.underlay()?;
        let services = self.planned(&u)?;
        let mut work = lock(&self.work);
        self.take_up(&mut work, &u);
        let look = |c: &Controller| {
            let seen = match work.open.get(&c.name) {
                Some(open) => open.connector.look(&desired(&c.name, &services)).map_err(|f| f.detail()),
                None => Err(lock(&self.seen).get(&c.name).and_then(|s| s.clone().err()).unwrap_or_else(|| "it cannot be opened".into())),
            };
            (c.name.clone(), seen)
        };
        Ok(u.controllers.iter().map(look).collect())
    }

    /// As the health page has it: how many services there are, and those that are not active; `None`: there
    /// is no controller.
    pub fn health(&self) -> Result<Option<(usize, Vec<String>)>> {
        if self.underlay()?.controllers.is_empty() {
            return Ok(None);
        }
        let all = self.services()?;
        let bad = |s: &&Standing| matches!(s.state, ServiceState::Down | ServiceState::Error);
        let mut told: Vec<String> =
            all.iter().filter(bad).map(|s| format!("link {} is {} outside: {}", s.service.link, s.state.word(), s.why)).collect();
        let seen = lock(&self.seen);
        let away = seen.iter().filter_map(|(name, s)| s.as_ref().err().map(|why| format!("controller {name}: {why}")));
        told.extend(away.filter(|_| all.is_empty()));
        Ok(Some((all.len(), told)))
    }

    /// Nothing of this box is left at any controller, which is no longer kept: what could not be taken away, and why.
    pub fn release(&self) -> Result<Vec<String>> {
        let u = self.underlay()?;
        let mut work = lock(&self.work);
        self.take_up(&mut work, &u);
        let bare = |c: &Controller| match work.open.get(&c.name) {
            Some(open) => bring(&*open.connector, &Desired::new()).err().map(|f| f.detail()),
            None => Some("it cannot be opened".to_owned()),
        };
        let left = u.controllers.iter().filter_map(|c| Some(format!("SDN controller {}: {}", c.name, bare(c)?))).collect();
        *work = Work::default();
        Ok(left)
    }

    fn run(&self, inbox: &Receiver<Wake>) {
        let mut looked: Option<Facts> = None;
        let mut next = Instant::now();
        loop {
            let facts = self.store.get::<Facts>(&()).ok().flatten().unwrap_or_default();
            let now = Instant::now();
            let mut idle = false;
            if looked != Some(facts) || now >= next {
                looked = Some(facts);
                let settled = match self.converge() {
                    Ok(Converged { any: false, .. }) => {
                        idle = true;
                        true
                    }
                    Ok(c) => c.settled,
                    Err(fault) => {
                        warn!("the SDN controllers are not looked at: {fault:?}");
                        false
                    }
                };
                next = Instant::now() + if settled { LOOK } else { AGAIN };
            }
            // Without a controller there is nothing to wait for but one.
            let first = if idle { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { inbox.recv_timeout(TICK) };
            match first {
                Ok(Wake::News) => next = Instant::now(),
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            while let Ok(more) = inbox.try_recv() {
                if let Wake::Stop = more {
                    return;
                }
            }
        }
    }

    /// Brings every controller to what is desired of it.
    fn converge(&self) -> Result<Converged> {
        let u = self.underlay()?;
        let services = self.planned(&u)?;
        let mut work = lock(&self.work);
        let mut settled = self.take_up(&mut work, &u);
        settled &= leave(&mut work);
        for (name, open) in &work.open {
            let wanted = desired(name, &services);
            let seen: Seen = bring(&*open.connector, &wanted).map_err(|f| f.detail());
            settled &= seen.as_ref().is_ok_and(|l| l.differs.is_empty() && !l.ports.values().any(|p| *p != PortState::Up));
            self.note(name, seen);
        }
        lock(&self.seen).retain(|name, _| u.controllers.iter().any(|c| c.name == *name));
        Ok(Converged { any: !u.controllers.is_empty() || !work.leaving.is_empty(), settled })
    }

    /// Opens what is new, and puts aside what is no longer told of.
    fn take_up(&self, work: &mut Work, u: &Underlay) -> bool {
        let mut all = true;
        for c in &u.controllers {
            let secret = match self.secret_of(c) {
                Ok(secret) => secret,
                Err(fault) => {
                    all = false;
                    self.note(&c.name, Err(fault.detail()));
                    continue;
                }
            };
            if work.open.get(&c.name).is_some_and(|o| o.controller == *c && o.secret == secret) {
                continue;
            }
            let post = self.post.clone();
            let news = Box::new(move || drop(post.send(Wake::News)));
            let with = Opening { owner: u.node.to_string(), secret: secret.clone(), news };
            match self.connectors.open(c, with) {
                Ok(connector) => {
                    let old = work.open.insert(c.name.clone(), Open { controller: c.clone(), secret, connector });
                    work.leaving.extend(old);
                }
                Err(fault) => {
                    all = false;
                    self.note(&c.name, Err(fault.detail()));
                }
            }
        }
        let gone: Vec<SmolStr> = work.open.keys().filter(|n| !u.controllers.iter().any(|c| c.name == **n)).cloned().collect();
        work.leaving.extend(gone.iter().filter_map(|n| work.open.remove(n)));
        let leaving = std::mem::take(&mut work.leaving);
        work.leaving = leaving.into_iter().filter_map(|o| self.part_left(&work.open, o, &u.node)).collect();
        all
    }

    /// What of a controller that is no longer used those that are open do not have in hand: the same one may be there under
    /// another name or with other members, or without one of its switches.
    fn part_left(&self, open: &BTreeMap<SmolStr, Open>, o: Open, owner: &str) -> Option<Open> {
        let same = || open.values().filter(|n| n.controller.speaks == o.controller.speaks);
        if same().next().is_none() {
            return Some(o);
        }
        let is_kept = |dp: &SmolStr| same().any(|n| n.controller.datapaths.contains(dp));
        let left: Vec<SmolStr> = o.controller.datapaths.iter().filter(|dp| !is_kept(dp)).cloned().collect();
        if left.is_empty() || !o.controller.speaks.looks_where_told() {
            return None;
        }
        if left == o.controller.datapaths {
            return Some(o);
        }
        let controller = Controller { datapaths: left, ..o.controller.clone() };
        let post = self.post.clone();
        let news = Box::new(move || drop(post.send(Wake::News)));
        let with = Opening { owner: owner.to_owned(), secret: o.secret.clone(), news };
        match self.connectors.open(&controller, with) {
            Ok(connector) => Some(Open { controller, secret: o.secret, connector }),
            Err(fault) => {
                warn!(controller = %o.controller.name, "its former switches are not cleared: {fault:?}");
                Some(o)
            }
        }
    }

    fn secret_of(&self, c: &Controller) -> Result<Option<String>> {
        let Some(login) = c.speaks.login() else { return Ok(None) };
        let key = Secret::key_of(ProjectId::DEFAULT, &login.secret);
        let Some(sealed) = self.store.get::<Secret>(&key)? else {
            return Err(Fault::conflict(format!("there is no secret '{0}'; store it with `bothy secret set {0}`", login.secret)));
        };
        let clear = self.store.sealer().open_sealed(key.as_bytes(), &sealed.sealed)?;
        String::from_utf8(clear).map(Some).map_err(|_| Fault::bug(format!("secret {} is not text", login.secret)))
    }

    fn note(&self, name: &SmolStr, now: Seen) {
        let before = lock(&self.seen).insert(name.clone(), now.clone());
        match (before.as_ref(), &now) {
            (Some(Err(was)), Err(is)) if was == is => {}
            (_, Err(why)) => warn!(controller = %name, why, "the SDN controller is not as it shall be"),
            (Some(Err(_)), Ok(_)) => info!(controller = %name, "the SDN controller answers again"),
            (Some(Ok(_)) | None, Ok(_)) => {}
        }
    }
}

struct Converged {
    /// There is something to keep.
    any: bool,
    /// All of it is as it shall be.
    settled: bool,
}

/// Looks, changes what differs, and looks whether it came.
fn bring(connector: &dyn Connector, wanted: &Desired) -> Result<Look> {
    let look = connector.look(wanted)?;
    if look.differs.is_empty() {
        return Ok(look);
    }
    for d in &look.differs {
        info!(port = %d.at, is = d.is, wanted = d.wanted, "a switch outside is set");
    }
    connector.apply(wanted)?;
    connector.look(wanted)
}

/// Takes away what was left at controllers that are no longer used; whether all of it went.
fn leave(work: &mut Work) -> bool {
    let Work { open, leaving } = work;
    // Not those of which an open one has a part.
    let has_part = |n: &Open, o: &Open| {
        n.controller.speaks == o.controller.speaks && o.controller.datapaths.iter().any(|dp| n.controller.datapaths.contains(dp))
    };
    leaving.retain(|o| {
        if open.values().any(|n| has_part(n, o)) {
            return true;
        }
        match o.connector.apply(&Desired::new()) {
            Ok(()) => false,
            Err(fault) => {
                warn!(controller = %o.controller.name, "what bothy set is still at a controller that is no longer used: {fault:?}");
                true
            }
        }
    });
    leaving.is_empty()
}
