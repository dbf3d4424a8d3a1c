//! `Hypervisor` in memory.

use std::{
    io::Write,
    os::unix::net::UnixStream,
    sync::{MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;

use super::{
    Sim,
    behaviour::Unplug,
    faults::{Method, Target},
    world::{Guest, World, defined},
};
use crate::sdn::port::Datapath;
use crate::{
    model::{
        domain::DomainSpec,
        epa::NicAttach,
        error::{Fault, Result},
        hw::{CpuSet, PciAddr},
        id::{IfName, VnfcId},
        place::{Astray, Pins},
    },
    vim::port::{Accel, EventSink, FoundGuest, GuestState, GuestStats, HostCapacity, Hypervisor, StatsAsk, Still, StopHow},
};

fn absent(id: VnfcId) -> Fault {
    Fault::not_found(format!("guest {id} is not defined"))
}

impl World {
    fn guest(&mut self, id: VnfcId) -> Result<&mut Guest> {
        self.guests.get_mut(&id).ok_or_else(|| absent(id))
    }

    /// What QEMU would miss when it opens the guest's files and taps.
    fn ready_to_start(&self, id: VnfcId) -> Result<()> {
        let spec = &self.guests.get(&id).ok_or_else(|| absent(id))?.spec;
        if let Some(disk) = spec.disks.iter().find(|d| !self.disks.contains_key(&d.id)) {
            return Err(Fault::not_found(format!("guest {id} cannot start: its disk {} is not there", disk.id)));
        }
        if spec.medium.is_some() && !self.media.contains_key(&id) {
            return Err(Fault::not_found(format!("guest {id} cannot start: its day-0 medium is not there")));
        }
        let gone = spec.placed.iter().flat_map(|p| p.pci()).find(|a| !self.hardware.is_with_vfio(*a));
        if let Some(device) = gone {
            return Err(Fault::transient(format!("guest {id} cannot start: PCI device {device} is not with vfio-pci")));
        }
        let of_the_switch = |n: &&crate::model::domain::DomainNic| n.wish.attach == NicAttach::VhostUser;
        // QEMU waits for the switch before it begins.
        if let Some(n) = spec.nics.iter().filter(of_the_switch).find(|n| !self.ports.contains_key(&n.ifname)) {
            return Err(Fault::transient(format!("guest {id} cannot start: nobody connects to its NIC {}", n.ifname)));
        }
        let nic = spec.nics.iter().filter(|n| !of_the_switch(n)).find(|n| self.ports.contains_key(&n.ifname));
        nic.map_or(Ok(()), |n| Err(Fault::conflict(format!("guest {id} cannot start: the switch has a port {} already", n.ifname))))
    }
}

impl Sim {
    /// The world, at a moment when nobody starts this guest.
    fn settled(&self, id: VnfcId) -> MutexGuard<'_, World> {
        let world = self.lock();
        self.inner.changed.wait_while(world, |w| w.guests.get(&id).is_some_and(|g| g.starting)).unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, id: VnfcId, method: Method, forget: bool) -> Result<()> {
        let after = self.inner.calls.enter(method, Target::Guest(id))?;
        let mut events = Vec::new();
        {
            let mut world = self.settled(id);
            if let Some(guest) = world.guests.get_mut(&id) {
                guest.enter(GuestState::Off, &mut events);
                if forget {
                    world.guests.remove(&id);
                }
            }
        }
        self.post(events);
        after.leave(&self.inner.calls, Ok(()))
    }
}

impl Hypervisor for Sim {
    fn set_datapath(&self, _: Datapath) {}
    fn set_float(&self, cpus: Option<CpuSet>) {
        self.lock().float = cpus;
    }
    fn set_clock(&self, _: Option<u32>) {}
    fn vhost_socket(&self, nic: &IfName) -> Utf8PathBuf {
        Utf8PathBuf::from("/run/sim").join(nic.as_str())
    }
    fn health(&self) -> Result<String> {
        self.call(Method::HypervisorHealth, Target::Host, |_, _| Ok("simulated hypervisor".into()))
    }
    fn capacity(&self) -> Result<HostCapacity> {
        let capacity = self.inner.config.capacity;
        self.call(Method::Capacity, Target::Host, |_, _| Ok(capacity))
    }
    fn accel_why(&self) -> Result<String> {
        self.lock().allowed()?;
        Ok("guests are simulated".into())
    }
    fn accel(&self) -> Accel {
        self.inner.config.accel
    }

    fn define(&self, spec: &DomainSpec) -> Result<()> {
        self.call(Method::Define, spec.id, |world, _| {
            world.allowed()?;
            let reasons = spec.misplaced();
            if !reasons.is_empty() {
                return Err(Fault::invalid(format!("guest {} cannot be defined", spec.id)).with_reasons(reasons));
            }
            let pins = defined(spec, world.float.as_ref());
            match world.guests.get_mut(&spec.id) {
                None => {
                    let guest = Guest::new(spec.clone(), world.float.as_ref());
                    world.guests.insert(spec.id, guest);
                }
                Some(guest) if guest.spec == *spec => {}
                Some(guest) if guest.is_up() || guest.starting => {
                    return Err(Fault::conflict(format!("guest {} is running in another form: stop it before it is changed", spec.id)));
                }
                Some(guest) => (guest.spec, guest.pins) = (spec.clone(), pins),
            }
            Ok(())
        })
    }

    fn start(&self, id: VnfcId) -> Result<()> {
        // The delay of a start is its own: meanwhile the guest counts as paused and others wait.
        {
            let mut world = self.settled(id);
            if let Ok(guest) = world.guest(id)
                && !guest.is_up()
            {
                guest.starting = true;
            }
        }
        let entered = self.inner.calls.enter(Method::Start, Target::Guest(id));
        let mut events = Vec::new();
        let (done, later) = {
            let mut world = self.lock();
            if let Ok(guest) = world.guest(id) {
                guest.starting = false;
            }
            match &entered {
                Err(_) => (Ok(()), Vec::new()),
                Ok(_) => match started(&mut world, id, &mut events) {
                    Ok(later) => (Ok(()), later),
                    Err(e) => (Err(e), Vec::new()),
                },
            }
        };
        self.inner.changed.notify_all();
        self.schedule(later);
        self.post(events);
        entered?.leave(&self.inner.calls, done)
    }

    fn ask_stop(&self, id: VnfcId, how: StopHow) -> Result<()> {
        let mut later = Vec::new();
        let asked = self.call(Method::AskStop, id, |world, events| {
            let guest = world.guest(id)?;
            if !guest.is_up() {
                return Ok(());
            }
            match how {
                StopHow::Agent if !guest.agent_up => {
                    return Err(Fault::conflict(format!("guest {id}: its agent is not connected")));
                }
                StopHow::Agent => later = guest.go_down(guest.does.acpi.unwrap_or_default(), events),
                StopHow::Acpi => later = guest.does.acpi.map(|d| guest.go_down(d, events)).unwrap_or_default(),
            }
            Ok(())
        });
        self.schedule(later);
        asked
    }

    fn reboot(&self, id: VnfcId) -> Result<()> {
        let mut later = Vec::new();
        let asked = self.call(Method::Reboot, id, |world, events| {
            let guest = world.guest(id)?;
            if !guest.is_up() {
                return Err(Fault::conflict(format!("guest {id} is not running: start it instead")));
            }
            later = guest.agent_due(events);
            let text = guest.does.serial.clone();
            world.serial.entry(id).or_default().extend(text);
            Ok(())
        });
        self.schedule(later);
        asked
    }

    fn pause(&self, id: VnfcId) -> Result<Still> {
        self.call(Method::Pause, id, |world, events| {
            let Some(guest) = world.guests.get_mut(&id) else { return Ok(Still::Off) };
            match guest.state {
                GuestState::Off | GuestState::Crashed => Ok(Still::Off),
                GuestState::Paused => Ok(Still::Paused),
                GuestState::PausedIo => Err(Fault::conflict(format!("guest {id} is paused because a write found no room"))),
                GuestState::Stopping => Err(Fault::transient(format!("guest {id} is on its way down"))),
                GuestState::Running => {
                    let still = if guest.agent_up { Still::Frozen } else { Still::Paused };
                    guest.enter(GuestState::Paused, events);
                    Ok(still)
                }
            }
        })
    }
    fn resume(&self, id: VnfcId) -> Result<()> {
        self.call(Method::Resume, id, |world, events| {
            if let Some(guest) = world.guests.get_mut(&id).filter(|g| g.state == GuestState::Paused) {
                guest.enter(GuestState::Running, events);
            }
            Ok(())
        })
    }
    fn destroy(&self, id: VnfcId) -> Result<()> {
        self.end(id, Method::Destroy, false)
    }
    fn remove(&self, id: VnfcId) -> Result<()> {
        self.end(id, Method::Remove, true)
    }

    fn state(&self, id: VnfcId) -> Result<Option<GuestState>> {
        self.call(Method::State, id, |world, _| Ok(world.guests.get(&id).map(shown)))
    }
    fn stats(&self, guests: &[StatsAsk]) -> Result<Vec<(VnfcId, GuestStats)>> {
        self.call(Method::Stats, Target::Host, |world, _| {
            let up = guests.iter().filter(|a| world.guests.get(&a.id).is_some_and(Guest::is_up));
            Ok(up.map(|a| (a.id, world.stats.get(&a.id).cloned().unwrap_or_default())).collect())
        })
    }
    fn list(&self) -> Result<Vec<FoundGuest>> {
        self.call(Method::List, Target::Host, |world, _| {
            Ok(world.guests.iter().map(|(id, g)| FoundGuest { id: *id, owner: g.spec.owner.clone(), state: shown(g) }).collect())
        })
    }

    fn agent_ping(&self, id: VnfcId, wait: Duration) -> Result<bool> {
        self.call(Method::AgentPing, id, |_, _| Ok(()))?;
        let until = Instant::now() + wait;
        let mut world = self.lock();
        loop {
            let guest = world.guest(id)?;
            if guest.agent_up || !guest.is_up() {
                return Ok(guest.agent_up);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            world = self.inner.changed.wait_timeout(world, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn agent_file(&self, id: VnfcId, path: &str, most: u32, wait: Duration) -> Result<Vec<u8>> {
        if !self.agent_ping(id, wait)? {
            return Err(Fault::conflict(format!("guest {id}: its agent does not answer")));
        }
        self.call(Method::AgentFile, id, |world, _| {
            let file = world.guest(id)?.files.get(path).cloned();
            let mut file = file.ok_or_else(|| Fault::invalid(format!("guest {id}: its agent does not read {path}: no such file")))?;
            file.truncate(most as usize);
            Ok(file)
        })
    }

    fn functions(&self, id: VnfcId) -> Result<Option<Vec<PciAddr>>> {
        self.call(Method::Functions, id, |world, _| {
            Ok(world.guests.get(&id).filter(|g| g.is_up()).map(|g| g.functions.iter().copied().collect()))
        })
    }
    fn unplug(&self, id: VnfcId, device: PciAddr) -> Result<()> {
        self.call(Method::Unplug, id, |world, _| {
            let guest = world.guest(id)?;
            match guest.does.unplug {
                _ if !guest.functions.contains(&device) => Ok(()),
                Unplug::Obeys => {
                    guest.functions.remove(&device);
                    Ok(())
                }
                Unplug::Ignores => Ok(()),
                Unplug::Cannot => Err(Fault::conflict(format!("guest {id}: {device} sits where it cannot be unplugged"))),
            }
        })
    }
    fn plug(&self, id: VnfcId, device: PciAddr) -> Result<()> {
        self.call(Method::Plug, id, |world, _| {
            if !world.hardware.is_with_vfio(device) {
                return Err(Fault::transient(format!("PCI device {device} is not with vfio-pci")));
            }
            let guest = world.guest(id)?;
            if !guest.is_up() || !guest.spec.placed.iter().flat_map(|p| p.pci()).any(|a| a == device) {
                return Err(Fault::conflict(format!("guest {id} is off, or is not defined with {device}")));
            }
            guest.functions.insert(device);
            Ok(())
        })
    }

    fn pin(&self, id: VnfcId, want: &Pins) -> Result<()> {
        self.call(Method::Pin, id, |world, _| {
            for (thread, on) in &mut world.guest(id)?.pins {
                if let Some(cpus) = want.of(*thread) {
                    on.clone_from(cpus);
                }
            }
            Ok(())
        })
    }
    fn astray(&self, id: VnfcId, want: &Pins) -> Result<Vec<Astray>> {
        self.call(Method::Astray, id, |world, _| Ok(world.guests.get(&id).map(|g| want.astray(&g.pins)).unwrap_or_default()))
    }

    fn xml(&self, id: VnfcId) -> Result<String> {
        self.call(Method::Xml, id, |world, _| {
            let spec = &world.guest(id)?.spec;
            let mut out = quick_xml::Writer::new_with_indent(Vec::new(), b' ', 2);
            let text = |what: &str| quick_xml::events::BytesText::new(what).into_owned();
            out.create_element("domain")
                .with_attribute(("type", "sim"))
                .write_inner_content(|w| {
                    w.create_element("name").write_text_content(text(&id.domain_name()))?;
                    w.create_element("uuid").write_text_content(text(&id.to_string()))?;
                    w.create_element("vcpu").write_text_content(text(&spec.vcpus.to_string()))?;
                    w.create_element("memory").with_attribute(("unit", "MiB")).write_text_content(text(&spec.memory.0.to_string()))?;
                    Ok(())
                })
                .map_err(|e| Fault::bug(format!("guest {id}: its XML cannot be written")).with_source(e))?;
            String::from_utf8(out.into_inner()).map_err(|e| Fault::bug(format!("guest {id}: its XML is not text")).with_source(e))
        })
    }

    /// A console that shows what the guest wrote and then says everything back.
    fn console(&self, id: VnfcId) -> Result<UnixStream> {
        let shown = self.call(Method::Console, id, |world, _| {
            if !world.guest(id)?.is_up() {
                return Err(Fault::conflict(format!("guest {id} is not running: it has no console")));
            }
            Ok(world.serial.get(&id).cloned().unwrap_or_default())
        })?;
        let (ours, mut guests) = UnixStream::pair().map_err(|e| Fault::transient("no socket for a console").with_source(e))?;
        thread::spawn(move || {
            let mut back = guests.try_clone()?;
            back.write_all(&shown)?;
            std::io::copy(&mut guests, &mut back)
        });
        Ok(ours)
    }
    fn vnc(&self, id: VnfcId) -> Result<Option<Utf8PathBuf>> {
        self.call(Method::Vnc, id, |world, _| world.guest(id).map(|_| None))
    }
    fn subscribe(&self, sink: EventSink) {
        self.inner.events.subscribe(sink);
    }
}

fn shown(guest: &Guest) -> GuestState {
    if guest.starting { GuestState::Paused } else { guest.state }
}

type Later = Vec<(Duration, super::events::Ticker)>;

fn started(world: &mut World, id: VnfcId, events: &mut Vec<crate::vim::port::GuestEvent>) -> Result<Later> {
    let guest = world.guest(id)?;
    match guest.state {
        GuestState::Running => return Ok(Vec::new()),
        GuestState::Paused | GuestState::PausedIo => {
            guest.enter(GuestState::Running, events);
            return Ok(Vec::new());
        }
        // Once it is off, trying again starts it.
        GuestState::Stopping => return Err(Fault::transient(format!("guest {id} is on its way down"))),
        GuestState::Off | GuestState::Crashed => {}
    }
    world.allowed()?;
    world.ready_to_start(id)?;
    let how = world.behaviour.clone();
    let guest = world.guest(id)?;
    let does = how(&guest.spec);
    let text = does.serial.clone();
    let later = guest.boot(does, events);
    if !text.is_empty() {
        world.serial.entry(id).or_default().extend(text);
    }
    Ok(later)
}
