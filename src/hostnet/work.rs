//! The one who changes the box's network, and who puts it back in time.
//!
//! Owns that each change is written down before it counts, and what a start of Bothy finds. Never: decides whether a
//! network can be (`check`), or what files it is (`files`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use smol_str::SmolStr;

use super::{
    check, files,
    port::{NetDaemon, Port},
    uplinks::{UplinkNow, Uplinks},
};
use crate::{
    model::{
        error::{Fault, Result},
        hostnet::{HostNetRecord, HostNetwork, NetEvent, NetTrial, NetUndone},
        id::IfName,
        net::Cidr,
        time::Clock,
    },
    store::{Durability, Store},
};

/// The time that a change may be given to be confirmed in, in seconds.
pub const LIMITS_S: (u32, u32) = (10, 3600);
/// Between two attempts where the network daemon does not take it.
const AGAIN: Duration = Duration::from_secs(5);
const ANOTHER_BOOT: &str = "the box restarted before it was confirmed";

/// The box's network: as it is wanted, and as it is.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Why Bothy leaves it alone.
    pub refuses: Option<String>,
    pub record: HostNetRecord,
    /// Seconds that a change on trial has left.
    pub left_s: Option<u64>,
    pub ports: Vec<Port>,
    /// As they are now; those of the VLANs that Bothy has made are their ports'.
    pub addresses: Vec<(IfName, Cidr)>,
    /// Interfaces that may lead out, in the order in which they are taken.
    pub uplinks: Vec<UplinkNow>,
    /// Why what is wanted does not count yet.
    pub fault: Option<String>,
    /// Ports that something else of the box has.
    pub taken: BTreeMap<IfName, String>,
}

pub struct HostNets {
    store: Store,
    daemon: Arc<dyn NetDaemon>,
    clock: Arc<dyn Clock>,
    uplinks: Arc<Uplinks>,
    /// Ports that something else of the box has.
    taken: BTreeMap<IfName, String>,
    /// One change at a time.
    one: Mutex<()>,
    state: Mutex<State>,
    poked: Condvar,
}

#[derive(Default)]
struct State {
    worker: Option<JoinHandle<()>>,
    /// The thread has found that there is nothing left to do, or it never began.
    idle: bool,
    /// Something has changed since the thread looked.
    again: bool,
    stop: bool,
    /// What the record says may not be what counts.
    unsettled: bool,
    fault: Option<String>,
}

/// The thread ends, by a panic too: the next change starts another one.
struct Gone<'a>(&'a HostNets);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().idle = true;
        }
    }
}

impl HostNets {
    pub fn new(
        store: Store,
        daemon: Arc<dyn NetDaemon>,
        uplinks: Arc<Uplinks>,
        clock: Arc<dyn Clock>,
        taken: BTreeMap<IfName, String>,
    ) -> Arc<Self> {
        let state = Mutex::new(State { idle: true, ..State::default() });
        Arc::new(HostNets { store, daemon, clock, uplinks, taken, one: Mutex::default(), state, poked: Condvar::new() })
    }

    /// What was left by the last run of Bothy is put right. Nothing where nobody ever said anything.
    pub fn start(self: &Arc<Self>) -> Result<()> {
        if !self.daemon.is_ours() {
            self.uplinks.follow(None);
            // Handed back: the image must not copy to the next boot what counts no more.
            return self.daemon.keep(&[]);
        }
        let record = self.record()?;
        self.uplinks.follow(record.current());
        if record != HostNetRecord::default() {
            self.state().unsettled = true;
            self.work()?;
        }
        Ok(())
    }

    pub fn stop(&self) {
        let worker = {
            let mut s = self.state();
            s.stop = true;
            s.worker.take()
        };
        self.poked.notify_all();
        self.uplinks.stop();
        if let Some(w) = worker
            && w.join().is_err()
        {
            tracing::warn!("the network's thread ended by a panic");
        }
    }

    /// The ways out of the box.
    pub fn uplinks(&self) -> &Arc<Uplinks> {
        &self.uplinks
    }

    pub fn status(&self) -> Result<Status> {
        let record = self.record()?;
        let left_s = match &record.trial {
            Some(t) => {
                let (boot, uptime) = self.daemon.boot()?;
                t.left_s(&boot, uptime)
            }
            None => None,
        };
        let ports = self.daemon.ports()?;
        let mut addresses = self.daemon.addresses()?;
        for i in record.current().iter().flat_map(|n| &n.interfaces).filter(|i| i.vlan.is_some()) {
            let made = files::vlan_name(i);
            if let Some(port) = ports.iter().find(|p| p.is(&i.device)) {
                addresses.iter_mut().filter(|(name, _)| name.as_str() == made).for_each(|(name, _)| *name = port.name.clone());
            }
        }
        Ok(Status {
            refuses: self.daemon.refuses()?,
            left_s,
            ports,
            addresses,
            uplinks: self.uplinks.status()?,
            fault: self.state().fault.clone(),
            taken: self.taken.clone(),
            record,
        })
    }

    /// What would be written, or every reason why not. Touches nothing.
    pub fn plan(&self, wanted: Option<&HostNetwork>) -> Result<Vec<files::NetFile>> {
        if let Some(why) = self.daemon.refuses()? {
            return Err(Fault::conflict(format!("bothy does not set this host's network: {why}")));
        }
        let Some(wanted) = wanted else { return Ok(Vec::new()) };
        let why = check(wanted, &self.daemon.ports()?, &self.taken);
        if why.is_empty() { Ok(files::render(wanted)) } else { Err(Fault::invalid("the network cannot be so").with_reasons(why)) }
    }

    /// From now on, and until the box restarts or the time is over without a confirmation. `None`: the system's own files.
    pub fn attempt(self: &Arc<Self>, wanted: Option<HostNetwork>, limit_s: u32, by: &str) -> Result<()> {
        let (least, most) = LIMITS_S;
        if !(least..=most).contains(&limit_s) {
            return Err(Fault::invalid(format!("the time to confirm it in: {limit_s} is not between {least} and {most} seconds")));
        }
        let _one = self.alone();
        let files = self.plan(wanted.as_ref())?;
        let (boot, began_s) = self.daemon.boot()?;
        let trial = NetTrial { wanted, boot, began_s, limit_s, by: SmolStr::new(by) };
        // Whoever undoes it is there before it counts.
        self.work()?;
        self.event(NetEvent::Tried(trial))?;
        let shown = self.daemon.show(&files);
        let undone = match &shown {
            Ok(()) => Ok(()),
            Err(fault) => self.undo(format!("it could not be set: {}", fault.detail())),
        };
        self.work()?;
        undone.and(shown)
    }

    pub fn confirm(self: &Arc<Self>) -> Result<()> {
        let _one = self.alone();
        if let Some(t) = self.record()?.trial {
            let (boot, uptime) = self.daemon.boot()?;
            if t.left_s(&boot, uptime).is_none() {
                self.undo(ANOTHER_BOOT.into())?;
                self.work()?;
                return Err(Fault::conflict(format!("the change is undone: {ANOTHER_BOOT}")));
            }
        }
        self.event(NetEvent::Confirmed)?;
        // Its files are written by the thread, as often as it takes: they are as good as written.
        self.state().unsettled = true;
        self.work()
    }

    pub fn call_off(self: &Arc<Self>, by: &str) -> Result<()> {
        let _one = self.alone();
        self.undo(format!("{by} called it off"))?;
        self.work()
    }

    fn undo(&self, why: String) -> Result<()> {
        tracing::warn!(why, "the change of the box's network is undone");
        self.event(NetEvent::Undone(NetUndone { at: self.clock.now(), why }))?;
        self.state().unsettled = true;
        Ok(())
    }

    fn record(&self) -> Result<HostNetRecord> {
        Ok(self.store.get::<HostNetRecord>(&())?.unwrap_or_default())
    }

    fn event(&self, event: NetEvent) -> Result<()> {
        let next = self.record()?.next(event)?;
        self.store.write(Durability::Barrier, |tx| tx.put(&next))?;
        self.uplinks.follow(next.current());
        Ok(())
    }

    /// Has the thread look, which is there as long as there is anything to wait for.
    fn work(self: &Arc<Self>) -> Result<()> {
        let mut s = self.state();
        if s.stop {
            return Err(Fault::transient("bothy is going down"));
        }
        s.again = true;
        if s.idle {
            s.idle = false;
            let me = self.clone();
            match std::thread::Builder::new().name("network".into()).stack_size(256 << 10).spawn(move || me.run()) {
                Ok(w) => s.worker = Some(w),
                Err(e) => {
                    s.idle = true;
                    return Err(Fault::transient("there is no thread to watch the network's change").with_source(e));
                }
            }
        }
        self.poked.notify_all();
        Ok(())
    }

    fn run(self: &Arc<Self>) {
        let _gone = Gone(self);
        loop {
            self.state().again = false;
            let wait = self.look().unwrap_or_else(|fault| {
                tracing::error!("the box's network: {fault:?}");
                Some(AGAIN)
            });
            let mut s = self.state();
            if s.stop {
                return;
            }
            if s.again {
                continue;
            }
            match wait {
                None => {
                    s.idle = true;
                    return;
                }
                Some(wait) => drop(self.poked.wait_timeout(s, wait).unwrap_or_else(PoisonError::into_inner)),
            }
        }
    }

    /// Undoes what is over, makes the files what the record says; how long until there is something to do.
    fn look(&self) -> Result<Option<Duration>> {
        let _one = self.alone();
        let (boot, uptime) = self.daemon.boot()?;
        let left = match self.record()?.trial {
            None => None,
            Some(t) => match t.left_s(&boot, uptime) {
                None => {
                    self.undo(ANOTHER_BOOT.into())?;
                    None
                }
                Some(0) => {
                    self.undo(format!("nobody confirmed it within {} s", t.limit_s))?;
                    None
                }
                Some(s) => Some(Duration::from_secs(s)),
            },
        };
        if !self.state().unsettled {
            return Ok(left);
        }
        let settled = self.settle();
        let mut s = self.state();
        match settled {
            Ok(()) => {
                s.unsettled = false;
                s.fault = None;
                Ok(left)
            }
            Err(fault) => {
                if s.fault.replace(fault.detail()).is_none() {
                    tracing::warn!("the box's network is not what it should be, and is tried again: {fault:?}");
                }
                Ok(Some(left.map_or(AGAIN, |l| l.min(AGAIN))))
            }
        }
    }

    fn settle(&self) -> Result<()> {
        let record = self.record()?;
        if let Some(why) = self.daemon.refuses()? {
            return Err(Fault::conflict(why));
        }
        let files = |n: Option<&HostNetwork>| n.map(files::render).unwrap_or_default();
        self.daemon.keep(&files(record.kept.as_ref()))?;
        self.daemon.show(&files(record.current()))
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.one.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
