//! The thread that watches the host: looks at it from time to time and when something is told, and has done
//! what comes of that.
//!
//! Owns when, and the order. Never: what a look finds, or how it is put right (`vnfm`, `ops`).

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{Message, Reconciled, lock, told};
use crate::{
    hostnet::Uplinks,
    lcm::{archive::archive, engine::Engine, port::WakeKey},
    model::{
        error::Result,
        host::{HostFacts, PciDevice},
        hw::PciAddr,
        id::{IfName, OpId, VnfcId},
        vnf::VnfInstance,
    },
    nfvo::Nfvo,
    ops::{
        alarms::Alarms,
        heal::Healer,
        indicate::Indicators,
        watch::{Look, Monitor},
    },
    sdn::port::Fabric,
    update::Updater,
    vim::{
        port::{GuestEvent, GuestState},
        setup::{Keeper, Settled},
    },
    vnfm::{Vnfm, revive::Missing},
};
/// Between two tries of a look at a host that does not answer.
const TRY_AGAIN: Duration = Duration::from_secs(2);
const SECOND_LOOK: Duration = Duration::from_secs(30);
pub(super) const LOOKS_OF_A_START: u8 = 2;
/// Once for all operations that are over within it.
const SPREAD: Duration = Duration::from_millis(100);
const HOURLY: Duration = Duration::from_secs(3600);
const TIDY: Duration = Duration::from_secs(20);
/// Between two looks at how the host is.
const HOST: Duration = Duration::from_secs(10);
/// While there is an alarm of a guest: whether it still should run.
const REVIEW: Duration = Duration::from_secs(1);

/// Interfaces of PFs that carry a physical network.
fn of_networks(facts: &HostFacts) -> Vec<(IfName, PciAddr)> {
    let of = |d: &PciDevice| d.ports.iter().map(|p| (p.name.clone(), d.addr)).collect::<Vec<_>>();
    facts.pfs().filter(|(_, pf)| pf.physical.is_some()).flat_map(|(d, _)| of(d)).collect()
}

pub(super) struct Watcher {
    pub(super) vnfm: Arc<Vnfm>,
    pub(super) host: Arc<Keeper>,
    pub(super) fabric: Arc<dyn Fabric>,
    pub(super) uplinks: Vec<IfName>,
    pub(super) alarms: Arc<Alarms>,
    pub(super) monitor: Monitor,
    pub(super) healer: Healer,
    pub(super) nfvo: Arc<Nfvo>,
    /// When to look at how the host is.
    pub(super) host_look: Instant,
    /// What libvirt's connection said last.
    pub(super) connected: Option<bool>,
    /// Whether this boot is a sound one is not known yet.
    pub(super) unsettled: bool,
    pub(super) engine: Arc<Engine>,
    pub(super) reconciled: Arc<Mutex<Reconciled>>,
    /// When to look at the host.
    pub(super) looks: Vec<Instant>,
    /// Looks that still belong to a start or a new connection: they start guests that are off, and
    /// the next of them follows soon.
    pub(super) starts: u8,
    /// Operations that a look of a start left guests to which are off: it is made up for when one is over.
    pub(super) awaited: BTreeSet<OpId>,
    /// When to look for files that no package names.
    pub(super) sweep: Instant,
    /// When to give guests that float what operations gave back; `None`: none is over since.
    pub(super) spread: Option<Instant>,
    pub(super) update: Arc<Updater>,
    pub(super) indicators: Arc<Indicators>,
    pub(super) own_uplinks: Arc<Uplinks>,
}

impl Watcher {
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        // What a kill kept from being removed.
        self.sweep_files();
        self.guard_reserve();
        let mut tidy = Instant::now() + TIDY;
        let mut review = Instant::now() + REVIEW;
        loop {
            let now = Instant::now();
            let mut next = self.looks.iter().min().copied().unwrap_or(now + HOURLY).min(tidy).min(self.host_look);
            next = self.spread.map_or(next, |at| next.min(at));
            if self.monitor.is_curious() {
                next = next.min(review);
            }
            match inbox.recv_timeout(next.saturating_duration_since(now)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Look(missing)) => self.look_now(missing),
                Ok(Message::Guest(event)) => self.event(event),
                Ok(Message::Stopped(op)) => self.stopped(op),
                Ok(Message::Host) => self.host_look = Instant::now(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = Instant::now();
            if self.spread.is_some_and(|at| at <= now) {
                self.spread = None;
                self.spread_out();
            }
            if self.looks.iter().any(|l| *l <= now) {
                self.look();
            }
            if self.host_look <= now {
                self.look_at_host();
                self.nfvo.tell_room();
                self.nfvo.tell_capacity();
                self.read_indicators();
                self.host_look = Instant::now() + if self.monitor.is_uneasy() { TRY_AGAIN } else { HOST };
            }
            if review <= now {
                review = now + REVIEW;
                self.review(false);
            }
            if tidy <= now {
                tidy = now + TIDY;
                self.tidy();
            }
        }
    }

    fn event(&mut self, event: GuestEvent) {
        // Guests that go off because the host does are no fault.
        if !self.vnfm.is_draining() && !self.is_past(event) {
            let vnfm = self.vnfm.clone();
            told(self.monitor.event(event, || !vnfm.has_room_again()));
        }
        match event {
            GuestEvent::Changed { id, state } => {
                match state {
                    GuestState::PausedIo => {
                        warn!(guest = %id, "the guest is paused: a write failed, the file system of its disks is full");
                        lock(&self.reconciled).paused.insert(id);
                        self.guard_reserve();
                    }
                    GuestState::Crashed => warn!(guest = %id, "the guest crashed"),
                    GuestState::Off | GuestState::Running | GuestState::Paused | GuestState::Stopping => {
                        lock(&self.reconciled).paused.remove(&id);
                    }
                }
                self.engine.wake(WakeKey::Guest(id));
                self.heal();
            }
            GuestEvent::AgentUp { id } => self.engine.wake(WakeKey::Guest(id)),
            GuestEvent::Failed { .. } => {}
            GuestEvent::Disconnected => {
                self.connected = Some(false);
                self.host_look = Instant::now();
                lock(&self.reconciled).waiting = Some("libvirt does not answer".into());
            }
            GuestEvent::Connected => {
                self.connected = Some(true);
                self.host_look = Instant::now();
                self.starts = LOOKS_OF_A_START;
                self.looks.push(Instant::now());
            }
        }
    }

    /// What it had in hand is the next look's, if it was so at a start; CPUs that it gave back are everybody's.
    fn stopped(&mut self, op: OpId) {
        self.spread.get_or_insert_with(|| Instant::now() + SPREAD);
        if self.awaited.remove(&op) {
            self.look_now(Missing::Start);
        }
        self.nfvo.tell_room();
        self.nfvo.tell_capacity();
        // It may have made or ended what tells of itself.
        self.read_indicators();
    }

    fn read_indicators(&self) {
        if self.vnfm.is_draining() {
            return;
        }
        if let Err(fault) = self.indicators.look() {
            warn!("VNF indicators are not read: {fault:?}");
        }
    }

    fn look_now(&mut self, missing: Missing) {
        self.starts = match missing {
            Missing::Start => self.starts.max(1),
            Missing::Leave => self.starts,
        };
        self.looks.push(Instant::now());
    }

    /// Heard late: the guest runs again, so an operation that is over by now had stopped it.
    fn is_past(&self, event: GuestEvent) -> bool {
        let GuestEvent::Changed { id, state: GuestState::Off } = event else { return false };
        matches!(self.vnfm.hypervisor().state(id), Ok(Some(GuestState::Running)))
    }

    fn look(&mut self) {
        self.looks.clear();
        let missing = if self.starts > 0 { Missing::Start } else { Missing::Leave };
        match self.vnfm.look(missing) {
            Ok(found) => {
                if !self.vnfm.is_draining() {
                    told(self.monitor.found(&found.off, &found.missed(), found.quarantined.len()));
                    told(found.lost.iter().try_for_each(|lost| self.monitor.missed(lost)));
                }
                if missing == Missing::Start {
                    self.awaited.extend(&found.awaited);
                }
                let link_is_down = found.link_is_down;
                let mut r = lock(&self.reconciled);
                r.paused.extend(found.paused.iter().copied());
                if let Some(lost) = &found.lost {
                    r.lost.clone_from(lost);
                }
                r.last = Some(found);
                r.waiting = None;
                drop(r);
                self.review(true);
                // Guests without their link have not had their turn.
                if !link_is_down {
                    self.starts = self.starts.saturating_sub(1);
                }
                self.settle_boot();
                let after = if self.starts > 0 { SECOND_LOOK } else { HOURLY };
                self.looks.push(Instant::now() + after);
            }
            Err(fault) => {
                let text = fault.to_string();
                let mut r = lock(&self.reconciled);
                if r.waiting.as_deref() != Some(&text) {
                    warn!("the host cannot be looked at: {fault:?}");
                }
                r.waiting = Some(text);
                self.looks.push(Instant::now() + TRY_AGAIN);
            }
        }
    }

    /// The API answers and the hypervisor has shown its guests: the boot is a sound one.
    fn settle_boot(&mut self) {
        if !self.unsettled {
            return;
        }
        match self.host.settle_boot() {
            Ok(Settled::Kept) => info!("this boot's kernel arguments have proved themselves: every boot has them now"),
            Ok(Settled::FellBack(args)) => warn!(%args, "the kernel arguments on trial did not come up: the box is back on those before"),
            Ok(Settled::Nothing) => {}
            Err(fault) => return warn!("the kernel arguments stay on trial: {fault:?}"),
        }
        self.unsettled = false;
    }

    fn tidy(&mut self) {
        match archive(self.vnfm.store()) {
            Ok(0) => {}
            Ok(n) => info!(operations = n, "moved to the history"),
            Err(fault) => warn!("finished operations stay where they are: {fault:?}"),
        }
        self.guard_reserve();
        self.end_drains();
        self.watch_functions();
        self.keep_pins();
        self.resume_paused();
        self.sweep_files();
        self.sweep_copies();
        self.review(true);
        self.monitor.forget();
        told(self.alarms.prune().map(drop));
    }

    /// By the record, so that it is seen to whatever happened meanwhile.
    fn end_drains(&self) {
        match self.vnfm.links().end_drains(self.vnfm.clock().now()) {
            Ok(0) => {}
            Ok(n) => info!(chains = n, "have one way again"),
            Err(fault) => warn!("a chain keeps its way before for longer: {fault:?}"),
        }
    }

    fn review(&mut self, thorough: bool) {
        if self.monitor.is_curious() && !self.vnfm.is_draining() {
            let hypervisor = self.vnfm.hypervisor().clone();
            told(self.monitor.review(thorough, |id| hypervisor.state(id).ok().flatten()));
            self.heal();
        }
    }

    /// Not before the first look: it starts what went off while bothy was away.
    fn heal(&mut self) {
        if self.vnfm.is_draining() || lock(&self.reconciled).last.is_none() {
            return;
        }
        // What is done on a copy of the store would not be known to the store that the box may go back to; and what is
        // begun before a restart goes on in it.
        if self.update.closed().is_some() {
            return;
        }
        let (hypervisor, nfvo) = (self.vnfm.hypervisor().clone(), self.nfvo.clone());
        let is_off = |id| matches!(hypervisor.state(id), Ok(Some(GuestState::Off | GuestState::Crashed)));
        let heal = |v: &VnfInstance, guest, why: &str| nfvo.heal_by_itself(v, guest, why);
        let start = |vnf, guest| self.vnfm.start_again(vnf, guest);
        told(self.healer.tick(&self.vnfm.rules().autoheal, Instant::now(), is_off, heal, start));
    }

    fn look_at_host(&mut self) {
        let answer = |r: Result<String>| Some(r.map(drop).map_err(|f| f.detail()));
        // While the connection is known to be gone, asking would only wait for it.
        let hypervisor = match self.connected {
            Some(false) => Some(Err("the connection to libvirt is lost; see whether libvirtd runs".into())),
            Some(true) | None => answer(self.vnfm.hypervisor().health()),
        };
        let pfs: Vec<(IfName, PciAddr)> = self.vnfm.facts_seen().map(|f| of_networks(&f)).unwrap_or_default();
        let links: Vec<IfName> = self.uplinks.iter().chain(pfs.iter().map(|(n, _)| n)).cloned().collect();
        let look = Look {
            hypervisor,
            switch: answer(self.fabric.health()),
            room: self.vnfm.images().room().ok().map(|r| (r, self.vnfm.rules().reserve_disk)),
            pulse: self.vnfm.hardware().pulse(&links).ok(),
            pfs,
            remotes: self.fabric.remotes().ok(),
            uplinks: self.own_uplinks.told().ok(),
        };
        told(self.monitor.look(&look));
    }

    /// PFs lose their functions without a word to us, those that guests have and those that nobody has.
    fn watch_functions(&mut self) {
        // It may begin an operation.
        if self.update.closed().is_some() {
            return;
        }
        match self.vnfm.watch_functions() {
            Ok(lost) => {
                told(self.monitor.missed(&lost));
                lock(&self.reconciled).lost = lost;
            }
            Err(fault) => warn!("whether guests have their functions is not known: {fault:?}"),
        }
    }

    fn spread_out(&self) {
        if let Err(fault) = self.vnfm.spread() {
            warn!("guests that float are not all where they may run now: {fault:?}");
        }
    }

    /// Somebody may have pinned a guest elsewhere, which nobody tells us.
    fn keep_pins(&self) {
        if self.connected == Some(false) {
            return;
        }
        if let Err(fault) = self.vnfm.keep_pins() {
            warn!("whether guests are on their CPUs is not known: {fault:?}");
        }
    }

    fn guard_reserve(&self) {
        if let Err(fault) = self.vnfm.guard_reserve() {
            warn!("the reserve of the store's file system is not kept: {fault:?}");
        }
    }

    fn sweep_files(&mut self) {
        // The store that the box may go back to names what this one may not.
        if Instant::now() < self.sweep || self.update.is_on_trial() {
            return;
        }
        match self.vnfm.sweep_artifacts() {
            Ok(true) => self.sweep = Instant::now() + HOURLY,
            Ok(false) => {}
            Err(fault) => warn!("files that no package names are not looked for: {fault:?}"),
        }
    }

    /// What an operation that is over kept of disks.
    fn sweep_copies(&self) {
        if self.update.is_on_trial() {
            return;
        }
        if let Err(fault) = self.vnfm.sweep_copies() {
            warn!("copies of disks that nothing names are not looked for: {fault:?}");
        }
    }

    /// Guests that a full disk paused go on when the reserve is free again.
    fn resume_paused(&self) {
        let paused: Vec<VnfcId> = lock(&self.reconciled).paused.iter().copied().collect();
        if paused.is_empty() {
            return;
        }
        let enough = self.vnfm.has_room_again();
        for id in paused.into_iter().filter(|_| enough) {
            match self.vnfm.hypervisor().state(id) {
                Ok(Some(GuestState::PausedIo)) => {}
                Ok(_) => {
                    lock(&self.reconciled).paused.remove(&id);
                    continue;
                }
                Err(_) => continue,
            }
            match self.vnfm.hypervisor().start(id) {
                Ok(()) => {
                    info!(guest = %id, "there is room again: the guest goes on");
                    lock(&self.reconciled).paused.remove(&id);
                }
                Err(fault) => warn!(guest = %id, "the guest stays paused: {fault:?}"),
            }
        }
    }
}
