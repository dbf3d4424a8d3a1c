//! From what guests do, and how the host is, to symptoms and their end.
//!
//! Owns which state of a guest is a fault, the thresholds of the host and their hysteresis. Reads records
//! only; the adapters are asked by whoever calls. Never: what is done about a fault.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use smol_str::{SmolStr, format_smolstr};
use tracing::warn;

use super::alarms::{Alarms, of_guest};
use crate::{
    model::{
        alarm::{Cause, Key, Object, Part, Severity, Symptom},
        error::Result,
        hw::PciAddr,
        id::{AlarmId, IfName, ProjectId, VnfId, VnfcId},
        op::Operation,
        place::{Given, Missed},
        size::{Bytes, MiB},
        tunnel::RemoteEnd,
        vnf::{Reservation, RunState, VnfInstance},
    },
    store::Store,
    vim::port::{DiskRoom, GuestEvent, GuestFault, GuestState, HostPulse},
};

/// Looks at libvirt or the switch that fail before it is an alarm: one that restarts is none.
const PATIENCE: u32 = 2;
/// Available memory in percent: less is an alarm, half as much a critical one.
const MEMORY_LOW: u64 = 5;
/// From here on it is over.
const MEMORY_ENOUGH: u64 = 7;

/// How the host is at one moment; what could not be asked is `None` and changes nothing.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Why libvirt does not answer.
    pub hypervisor: Option<Result<(), String>>,
    pub switch: Option<Result<(), String>>,
    /// Free, and what is to be kept free.
    pub room: Option<(DiskRoom, MiB)>,
    pub pulse: Option<HostPulse>,
    /// Interfaces of the PFs whose functions guests may have.
    pub pfs: Vec<(IfName, PciAddr)>,
    /// Remote ends of tunnels that are watched.
    pub remotes: Option<Vec<RemoteEnd>>,
    /// Uplinks that are probed, and why they are down.
    pub uplinks: Option<Vec<(String, Option<String>)>>,
}

pub struct Monitor {
    store: Store,
    alarms: Arc<Alarms>,
    /// Guests to their VNFs, as far as they were asked for.
    whose: HashMap<VnfcId, VnfId>,
    /// Guests that went off while an operation held their VNF: it may have been the operation's doing.
    doubtful: BTreeMap<VnfcId, Cause>,
    /// Vain looks in a row.
    silent: BTreeMap<Cause, u32>,
    /// What of the host was told last: words with numbers in them are told once.
    told: BTreeMap<(Cause, Part), Severity>,
    /// Vain looks in a row at remote ends of tunnels.
    mute: BTreeMap<Part, u32>,
}

impl Monitor {
    pub fn new(store: Store, alarms: Arc<Alarms>) -> Monitor {
        Monitor {
            store,
            alarms,
            whose: HashMap::new(),
            doubtful: BTreeMap::new(),
            silent: BTreeMap::new(),
            told: BTreeMap::new(),
            mute: BTreeMap::new(),
        }
    }

    /// `full`: whether the file system of disks has no room; asked only where it matters. The host's going
    /// down is no event for us.
    pub fn event(&mut self, event: GuestEvent, full: impl Fn() -> bool) -> Result<()> {
        match event {
            GuestEvent::Changed { id, state } => match state {
                GuestState::Crashed => self.gone(id, Cause::GuestCrashed),
                GuestState::Off => self.gone(id, Cause::GuestEnded),
                GuestState::PausedIo => {
                    let known =
                        |k: &Key| of_guest(k).is_some_and(|(_, g)| g == id) && matches!(k.cause, Cause::DiskFull | Cause::DiskError);
                    if self.alarms.standing(known).is_empty() {
                        return self.fault(id, if full() { Cause::DiskFull } else { Cause::DiskError });
                    }
                    Ok(())
                }
                GuestState::Running => self.runs(id),
                GuestState::Paused | GuestState::Stopping => Ok(()),
            },
            GuestEvent::Failed { id, what } => self.fault(
                id,
                match what {
                    GuestFault::Watchdog => Cause::Watchdog,
                    GuestFault::DiskFull => Cause::DiskFull,
                    GuestFault::DiskError => Cause::DiskError,
                },
            ),
            GuestEvent::AgentUp { .. } | GuestEvent::Connected | GuestEvent::Disconnected => Ok(()),
        }
    }

    /// Whether `review` has anything to look at.
    pub fn is_curious(&self) -> bool {
        !self.doubtful.is_empty() || !self.alarms.standing(|k| k.object != Object::Host).is_empty()
    }

    /// Somebody of the host did not answer and is not given up: to be asked again soon.
    pub fn is_uneasy(&self) -> bool {
        self.silent.values().any(|vain| (1..PATIENCE).contains(vain))
    }

    /// What records say of guests with alarms: one that is gone, or shall be off, has none. `state` is asked
    /// for guests that went off under an operation, and for all of them in a `thorough` review: an event may
    /// have been missed.
    pub fn review(&mut self, thorough: bool, state: impl Fn(VnfcId) -> Option<GuestState>) -> Result<()> {
        let mut over: Vec<Key> = Vec::new();
        for key in self.alarms.standing(|k| matches!(k.object, Object::Vnf(_))) {
            let Object::Vnf(vnf) = key.object else { continue };
            let record = self.store.get::<VnfInstance>(&vnf)?;
            let stays = match (&key.part, &record) {
                (_, None) => false,
                (Part::Guest(g), Some(v)) => {
                    should_run(v, *g) && !(thorough && key.cause.ends_with_a_start() && state(*g) == Some(GuestState::Running))
                }
                (Part::Whole | Part::Member(_) | Part::Named(_), Some(v)) => v.instantiated,
            };
            if !stays {
                over.push(key);
            }
        }
        if !over.is_empty() {
            self.alarms.clear(|k| over.contains(k))?;
        }
        for (id, cause) in std::mem::take(&mut self.doubtful) {
            match self.vnf_of(id)? {
                Some(v) if self.is_changed(&v)? => drop(self.doubtful.insert(id, cause)),
                Some(v) if should_run(&v, id) => match state(id) {
                    Some(GuestState::Off | GuestState::Crashed) => self.gone(id, cause)?,
                    Some(GuestState::Running | GuestState::Paused | GuestState::PausedIo | GuestState::Stopping) | None => {}
                },
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// What a look at the whole host found: guests that are off though they should run, those that cannot be
    /// started and why, and those that nobody here knows.
    pub fn found(&mut self, off: &[VnfcId], failed: &[(VnfcId, String)], unknown: usize) -> Result<()> {
        for id in off {
            let crashed = |k: &Key| of_guest(k).is_some_and(|(_, g)| g == *id);
            if self.alarms.standing(crashed).is_empty() {
                // No operation has it in hand, so it is not that one's doing.
                self.report(*id, Cause::GuestEnded, OFF)?;
            }
        }
        for (id, why) in failed {
            self.report(*id, Cause::GuestNotStarted, why)?;
        }
        let text = match unknown {
            0 => None,
            n => Some((Severity::Warning, format!("{n} guests were made by another store and are left alone (bothy host guests)"))),
        };
        self.host(Cause::UnknownGuests, Part::Whole, text).map(drop)
    }

    fn gone(&mut self, id: VnfcId, cause: Cause) -> Result<()> {
        let Some(v) = self.vnf_of(id)? else { return Ok(()) };
        if self.is_changed(&v)? {
            self.doubtful.insert(id, cause);
            return Ok(());
        }
        if !should_run(&v, id) {
            return Ok(());
        }
        // A crash is told twice: by its own event, and by the guest's being off.
        let crashed = |k: &Key| of_guest(k).is_some_and(|(_, g)| g == id) && k.cause == Cause::GuestCrashed;
        if cause == Cause::GuestEnded && !self.alarms.standing(crashed).is_empty() {
            return Ok(());
        }
        let text = match cause {
            Cause::GuestCrashed => "its QEMU ended by a fault",
            _ => OFF,
        };
        self.raise(&v, id, cause, text)
    }

    fn fault(&mut self, id: VnfcId, cause: Cause) -> Result<()> {
        let text = match cause {
            Cause::Watchdog => "its watchdog fired",
            Cause::DiskFull => "a write found no room: the file system of its disks is full",
            _ => "a disk could not be read or written",
        };
        self.report(id, cause, text)
    }

    fn report(&mut self, id: VnfcId, cause: Cause, text: &str) -> Result<()> {
        match self.vnf_of(id)? {
            Some(v) if should_run(&v, id) => self.raise(&v, id, cause, text),
            Some(_) | None => Ok(()),
        }
    }

    fn raise(&self, v: &VnfInstance, id: VnfcId, cause: Cause, text: &str) -> Result<()> {
        let guests = v.body.as_ref().map_or(&[][..], |b| &b.vnfcs);
        let name = guests.iter().find(|c| c.id == id).map(|c| c.hostname.clone()).unwrap_or_default();
        let alone = guests.len() == 1;
        warn!(guest = %id, vnf = %v.id, cause = cause.word(), "an alarm: {text}");
        let severity = match cause {
            Cause::Watchdog => Severity::Major,
            _ if alone => Severity::Critical,
            _ => Severity::Major,
        };
        self.alarms
            .raise(Symptom {
                key: Key { object: Object::Vnf(v.id), part: Part::Guest(id), cause },
                project: v.project,
                severity,
                details: vec![format!("guest {name} ({id}) of {}: {text}", v.name)],
                caused_by: None,
            })
            .map(drop)
    }

    fn runs(&mut self, id: VnfcId) -> Result<()> {
        self.doubtful.remove(&id);
        self.alarms.clear(|k| k.cause.ends_with_a_start() && of_guest(k).is_some_and(|(_, g)| g == id))
    }

    /// What goes off may be an operation's doing: it has begun, or its service may let it begin at any moment.
    fn is_changed(&self, v: &VnfInstance) -> Result<bool> {
        let op = v.op.map(|op| self.store.get::<Operation>(&op)).transpose()?;
        Ok(op.is_some_and(|op| !op.is_some_and(|op| op.awaits_grant())))
    }

    /// The VNF that a guest is of, while a record names it.
    fn vnf_of(&mut self, id: VnfcId) -> Result<Option<VnfInstance>> {
        let of = |v: &VnfInstance| v.body.as_ref().is_some_and(|b| b.vnfc(id).is_some());
        if let Some(vnf) = self.whose.get(&id) {
            return Ok(self.store.get::<VnfInstance>(vnf)?.filter(of));
        }
        let all = self.store.list::<VnfInstance>()?;
        self.whose = all.iter().flat_map(|v| v.body.iter().flat_map(|b| &b.vnfcs).map(|c| (c.id, v.id))).collect();
        Ok(all.into_iter().find(of))
    }

    /// The map of guests is made anew when it is wanted again.
    pub fn forget(&mut self) {
        self.whose = HashMap::new();
    }

    pub fn look(&mut self, l: &Look) -> Result<()> {
        for (cause, answer) in [(Cause::Hypervisor, &l.hypervisor), (Cause::Switch, &l.switch)] {
            let Some(answer) = answer else { continue };
            let vain = self.silent.entry(cause).or_default();
            *vain = if answer.is_ok() { 0 } else { vain.saturating_add(1) };
            match answer {
                Ok(()) => self.host(cause, Part::Whole, None).map(drop)?,
                Err(why) if *vain >= PATIENCE => self.host(cause, Part::Whole, Some((Severity::Critical, why.clone()))).map(drop)?,
                Err(_) => {}
            }
        }
        if let Some((room, reserve)) = &l.room {
            let stands = self.stands(Cause::DiskReserve);
            let what = room_is_low(room.free, *reserve, stands);
            let text = |s| {
                (
                    s,
                    format!(
                        "{} are free on the file system of disks, {} of them are to stay so (reserve.disk_mib)",
                        room.free,
                        Bytes(reserve.0 << 20)
                    ),
                )
            };
            self.host(Cause::DiskReserve, Part::Whole, what.map(text))?;
        }
        if let Some(p) = &l.pulse {
            let what = memory_is_low(p.available, p.memory, self.stands(Cause::MemoryLow));
            let text = |s| (s, format!("{} MiB of the host's {} MiB of memory are available", p.available.0, p.memory.0));
            self.host(Cause::MemoryLow, Part::Whole, what.map(text))?;
            for (name, up) in &p.links {
                self.link(name, *up, &l.pfs)?;
            }
        }
        if let Some(all) = &l.uplinks {
            self.uplinks(all)?;
        }
        l.remotes.as_deref().map_or(Ok(()), |all| self.remotes(all))
    }

    /// One alarm for each that is down; those that are not probed any more are forgotten. Critical where all are.
    fn uplinks(&mut self, all: &[(String, Option<String>)]) -> Result<()> {
        let part = |name: &str| Part::Named(SmolStr::new(name));
        let gone = self.alarms.standing(|k| k.cause == Cause::UplinkDown && !all.iter().any(|(name, _)| part(name) == k.part));
        for key in gone {
            self.host(Cause::UplinkDown, key.part, None)?;
        }
        let severity = if all.iter().all(|(_, down)| down.is_some()) { Severity::Critical } else { Severity::Major };
        for (name, down) in all {
            let what = down.as_ref().map(|why| (severity, format!("uplink {name} is down: {why}")));
            self.host(Cause::UplinkDown, part(name), what)?;
        }
        Ok(())
    }

    /// Ends of tunnels, one alarm for each that does not answer; those that no link is at any more are forgotten. One
    /// that is asked for the first time may not have been heard yet, and of one that nothing is known of yet, as after the
    /// switch's start, what was told stays.
    fn remotes(&mut self, all: &[RemoteEnd]) -> Result<()> {
        let mut ends: BTreeMap<Part, Vec<&RemoteEnd>> = BTreeMap::new();
        for e in all {
            // No interface has such a name.
            ends.entry(Part::Named(format_smolstr!("{} {}", e.tunnel, e.remote))).or_default().push(e);
        }
        let is_end = |p: &Part| matches!(p, Part::Named(n) if n.contains(' '));
        let gone = self.alarms.standing(|k| k.cause == Cause::LinkDown && is_end(&k.part) && !ends.contains_key(&k.part));
        for key in gone {
            self.host(Cause::LinkDown, key.part, None)?;
        }
        self.mute.retain(|part, _| ends.contains_key(part));
        for (part, mut links) in ends {
            links.retain(|e| e.known);
            if links.is_empty() {
                continue;
            }
            let silent: Vec<&&RemoteEnd> = links.iter().filter(|e| e.silent.is_some()).collect();
            let vain = self.mute.entry(part.clone()).or_default();
            *vain = if silent.is_empty() { 0 } else { vain.saturating_add(1) };
            if (1..PATIENCE).contains(vain) {
                continue;
            }
            let what = silent.first().map(|e| {
                let why = e.silent.as_deref().unwrap_or_default();
                let text = format!(
                    "tunnel {}: its remote end {} does not answer ({why}), on {} of {} links",
                    e.tunnel,
                    e.remote,
                    silent.len(),
                    links.len()
                );
                (Severity::Major, text)
            });
            self.host(Cause::LinkDown, part, what)?;
        }
        Ok(())
    }

    /// Functions that guests were given and miss, PF by PF, as of one look: those of a PF that is not named are
    /// back. An alarm of the box, and of each VNF whose guests miss one.
    pub fn missed(&mut self, missed: &[Missed]) -> Result<()> {
        let named = |pf: PciAddr| Part::Named(format_smolstr!("{pf}"));
        let parts: Vec<Part> = missed.iter().map(|m| named(m.loss.pf)).collect();
        let over = |k: &Key| k.cause == Cause::FunctionLost && !parts.contains(&k.part);
        self.told.retain(|(cause, part), _| *cause != Cause::FunctionLost || parts.contains(part));
        if !self.alarms.standing(over).is_empty() {
            self.alarms.clear(over)?;
        }
        for m in missed {
            let part = named(m.loss.pf);
            let Some(root) = self.host(Cause::FunctionLost, part.clone(), Some((Severity::Major, m.text())))? else { continue };
            let mut vnfs: BTreeMap<VnfId, ProjectId> = BTreeMap::new();
            for guest in &m.loss.guests {
                vnfs.extend(self.vnf_of(*guest)?.filter(|v| should_run(v, *guest)).map(|v| (v.id, v.project)));
            }
            for (vnf, project) in vnfs {
                self.alarms.raise(Symptom {
                    key: Key { object: Object::Vnf(vnf), part: part.clone(), cause: Cause::FunctionLost },
                    project,
                    severity: Severity::Major,
                    details: m.loss.why.clone(),
                    caused_by: Some(root),
                })?;
            }
        }
        Ok(())
    }

    fn stands(&self, cause: Cause) -> bool {
        !self.alarms.standing(|k| k.object == Object::Host && k.cause == cause).is_empty()
    }

    /// `None`: all is well. Gives the alarm, where there is one that was not told before.
    fn host(&mut self, cause: Cause, part: Part, what: Option<(Severity, String)>) -> Result<Option<AlarmId>> {
        let key = Key { object: Object::Host, part: part.clone(), cause };
        let Some((severity, text)) = what else {
            self.told.remove(&(cause, part));
            if !self.alarms.standing(|k| *k == key).is_empty() {
                self.alarms.clear(|k| *k == key)?;
            }
            return Ok(None);
        };
        if self.told.get(&(cause, part.clone())) == Some(&severity) {
            return Ok(None);
        }
        warn!(cause = cause.word(), "an alarm of the host: {text}");
        let id = self.alarms.raise(Symptom { key, project: ProjectId::DEFAULT, severity, details: vec![text], caused_by: None })?;
        self.told.insert((cause, part), severity);
        Ok(Some(id))
    }

    /// The host's link, and the VNFs whose guests have functions of that NIC.
    fn link(&mut self, name: &IfName, up: bool, pfs: &[(IfName, PciAddr)]) -> Result<()> {
        let part = Part::Named(SmolStr::new(name.as_str()));
        let what = (!up).then(|| (Severity::Major, format!("interface {name} has no link")));
        let root = self.host(Cause::LinkDown, part.clone(), what)?;
        if up {
            let of_it = |k: &Key| k.cause == Cause::LinkDown && k.part == part;
            return if self.alarms.standing(of_it).is_empty() { Ok(()) } else { self.alarms.clear(of_it) };
        }
        let (Some(root), Some((_, pf))) = (root, pfs.iter().find(|(n, _)| n == name)) else { return Ok(()) };
        let on_it = |g: &Given| matches!(g, Given::Vf { want, .. } if want.pf == *pf) || g.address() == *pf;
        for r in self.store.list::<Reservation>()? {
            let guests: Vec<String> = r
                .placed
                .iter()
                .filter(|h| h.given.iter().any(on_it))
                .map(|h| format!("guest {} has a function of {name}, which has no link", h.name))
                .collect();
            if guests.is_empty() {
                continue;
            }
            self.alarms.raise(Symptom {
                key: Key { object: Object::Vnf(r.vnf), part: part.clone(), cause: Cause::LinkDown },
                project: r.project,
                severity: Severity::Major,
                details: guests,
                caused_by: Some(root),
            })?;
        }
        Ok(())
    }
}

/// The guest is one of the VNF's, and the VNF is meant to run.
fn should_run(v: &VnfInstance, id: VnfcId) -> bool {
    v.instantiated && v.body.as_ref().is_some_and(|b| b.run == RunState::Started && b.vnfc(id).is_some())
}

const OFF: &str = "it went off by itself";

/// Less than the reserve, and critical with less than half of it; over when a tenth more is free.
fn room_is_low(free: Bytes, reserve: MiB, stands: bool) -> Option<Severity> {
    let (free, reserve) = (free.0, reserve.0 << 20);
    let enough = if stands { reserve + reserve / 10 } else { reserve };
    match free {
        _ if reserve == 0 || free >= enough => None,
        _ if free < reserve / 2 => Some(Severity::Critical),
        _ => Some(Severity::Major),
    }
}

fn memory_is_low(available: MiB, of: MiB, stands: bool) -> Option<Severity> {
    let percent = |p: u64| of.0 * p / 100;
    let enough = percent(if stands { MEMORY_ENOUGH } else { MEMORY_LOW });
    match available.0 {
        _ if of.0 == 0 => None,
        a if a >= enough => None,
        a if a < percent(MEMORY_LOW) / 2 => Some(Severity::Critical),
        _ => Some(Severity::Major),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_a_way_back_of_their_own() {
        use Severity::{Critical, Major};
        let mib = |n: u64| Bytes(n << 20);
        for (free, reserve, stands, want) in [
            (100, 0, false, None),
            (0, 0, true, None),
            (100, 100, false, None),
            (99, 100, false, Some(Major)),
            (105, 100, true, Some(Major)),
            (110, 100, true, None),
            (49, 100, false, Some(Critical)),
            (50, 100, true, Some(Major)),
        ] {
            assert_eq!(room_is_low(mib(free), MiB(reserve), stands), want, "{free} of {reserve}, stands: {stands}");
        }
        for (available, of, stands, want) in [
            (50, 1000, false, None),
            (49, 1000, false, Some(Major)),
            (60, 1000, true, Some(Major)),
            (70, 1000, true, None),
            (24, 1000, false, Some(Critical)),
            (0, 0, false, None),
        ] {
            assert_eq!(memory_is_low(MiB(available), MiB(of), stands), want, "{available} of {of}, stands: {stands}");
        }
    }
}
