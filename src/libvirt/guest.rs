//! What is done to one guest over a connection: each call *ensures*, and may be repeated.
//!
//! Owns the order of libvirt calls and what each answer means. Never: threads, deadlines of its own
//! (it gets one), XML.

use std::{
    thread,
    time::{Duration, Instant},
};

use virt::{connect::Connect, domain::Domain, sys};

use super::{
    event,
    map::{self, Now, absent_is_none, fault},
    meta::{self, Meta},
    xml::{self, Written},
};
use crate::{
    model::{
        error::{Fault, Kind, Result},
        hw::{CpuSet, PciAddr},
        id::VnfcId,
        place::{Astray, Pins, Thread},
    },
    vim::port::{Accel, FoundGuest, GuestState, Still, StopHow},
};

const BEAT: Duration = Duration::from_millis(20);

pub fn lookup(conn: &Connect, id: VnfcId) -> Result<Option<Domain>> {
    absent_is_none(conn.lookup_domain_by_uuid(id.0))
}

pub fn need(conn: &Connect, id: VnfcId) -> Result<Domain> {
    lookup(conn, id)?.ok_or_else(|| Fault::not_found(format!("libvirt knows no guest {id} ({})", id.domain_name())))
}

/// Waits a beat, or says that time is up.
fn beat(until: Instant, what: &str) -> Result<()> {
    if Instant::now() + BEAT >= until {
        return Err(Fault::transient(format!("{what}; trying again may help")));
    }
    thread::sleep(BEAT);
    Ok(())
}

/// The metadata of a domain, if it has any of ours.
fn meta_of(dom: &Domain) -> Result<Option<Meta>> {
    match dom.metadata(sys::VIR_DOMAIN_METADATA_ELEMENT as i32, Some(meta::NS), sys::VIR_DOMAIN_AFFECT_CURRENT) {
        Ok(xml) => Meta::parse(&xml).map(Some),
        Err(e) if e.code().is(virt::error::ErrorNumber::NoDomainMetadata) => Ok(None),
        Err(e) => absent_is_none::<Meta>(Err(e)),
    }
}

/// Defined in this form. A running guest keeps the form it was started in as long as it is the same
/// guest; its owner is brought up to date while it runs.
pub fn define(conn: &Connect, id: VnfcId, written: &Written) -> Result<()> {
    let want = &written.meta;
    let Some(dom) = lookup(conn, id)? else {
        return conn.define_domain_xml(&written.xml).map(drop).map_err(fault);
    };
    let active = dom.is_active().map_err(fault)?;
    let persistent = dom.is_persistent().map_err(fault)?;
    // Unreadable metadata on a guest that is off is as good as none: it is defined anew.
    let have = match meta_of(&dom) {
        Err(_) if !active => None,
        other => other?,
    };
    let same = have.as_ref().is_some_and(|h| h.spec == want.spec);
    if active && !same {
        return Err(Fault::conflict("a guest of another form runs under this id; stop it first"));
    }
    match have {
        Some(have) if persistent && (active || have.form == want.form) => {
            if have.owner == want.owner {
                return Ok(());
            }
            let now = Meta { owner: want.owner.clone(), ..have };
            let flags = sys::VIR_DOMAIN_AFFECT_CONFIG | if active { sys::VIR_DOMAIN_AFFECT_LIVE } else { 0 };
            dom.set_metadata(sys::VIR_DOMAIN_METADATA_ELEMENT as i32, Some(&now.element()?), Some(meta::PREFIX), Some(meta::NS), flags)
                .map_err(fault)
        }
        _ => conn.define_domain_xml(&written.xml).map(drop).map_err(fault),
    }
}

/// Running. A guest that is off is started under `accel` (which may say that there is none for it),
/// defined anew when it was made for another one; a guest that runs keeps what it was started with.
pub fn start(conn: &Connect, id: VnfcId, accel: impl Fn() -> Result<Accel>, until: Instant) -> Result<()> {
    let mut dom = need(conn, id)?;
    let mut stood = false;
    loop {
        let tried = match map::now(&dom).map_err(fault)? {
            Now::Is(GuestState::Running) => {
                // Whoever had it stand may have frozen its file systems, and be no more.
                if stood {
                    thaw(&dom, id);
                }
                return Ok(());
            }
            Now::Starting => Ok(()),
            Now::Asleep => dom.pm_wakeup(0),
            Now::Is(GuestState::Paused) => {
                stood = true;
                dom.resume()
            }
            Now::Is(GuestState::PausedIo) => dom.resume(),
            Now::Is(GuestState::Stopping) => Ok(()),
            Now::Is(GuestState::Crashed) if dom.is_active().map_err(fault)? => dom.destroy(),
            Now::Is(GuestState::Off | GuestState::Crashed) => {
                let accel = accel()?;
                let had = dom.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE).map_err(fault)?;
                if let Some(now) = xml::under(&had, accel)? {
                    tracing::info!(guest = %id, ?accel, "a guest is defined anew: it was made for another accelerator");
                    dom = conn.define_domain_xml(&now).map_err(fault)?;
                }
                match dom.create() {
                    Ok(()) => return Ok(()),
                    other => other,
                }
            }
        };
        match tried {
            Ok(()) => {}
            // Its state changed under us, say because the start of a killed predecessor went through.
            Err(e) if map::is_wrong_state(&e) => {}
            Err(e) => return Err(fault(e)),
        }
        beat(until, "the guest does not come to run")?;
    }
}

pub fn ask_stop(conn: &Connect, id: VnfcId, how: StopHow) -> Result<()> {
    let dom = need(conn, id)?;
    if !dom.is_active().map_err(fault)? {
        return Ok(());
    }
    let flag = match how {
        StopHow::Agent => sys::VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
        StopHow::Acpi => sys::VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
    };
    match dom.shutdown_flags(flag) {
        Ok(()) => Ok(()),
        Err(e) if map::is_absent(&e) => Ok(()),
        // Gone down by itself meanwhile, or on its way: a domain that ends is active and "not running".
        Err(e) if map::is_wrong_state(&e) && !matches!(map::now(&dom), Ok(map::Now::Is(GuestState::Running))) => Ok(()),
        Err(e) => Err(fault(e)),
    }
}

/// By the agent if it answers, else by ACPI; libvirt starts the guest again once it is down.
pub fn reboot(conn: &Connect, id: VnfcId) -> Result<()> {
    let dom = need(conn, id)?;
    if !dom.is_active().map_err(fault)? {
        return Err(Fault::conflict("the guest is off; start it instead"));
    }
    dom.reboot(sys::VIR_DOMAIN_REBOOT_DEFAULT).map_err(fault)
}

/// Seconds that the agent may take to say that it is there, and to freeze or thaw file systems.
const AGENT: (i32, i32) = (5, 20);

/// Stands still, its blocks written out: QEMU does that when it stops the vCPUs.
pub fn pause(conn: &Connect, id: VnfcId, until: Instant) -> Result<Still> {
    let Some(dom) = lookup(conn, id)? else { return Ok(Still::Off) };
    let mut frozen = false;
    loop {
        let tried = match map::now(&dom).map_err(fault)? {
            Now::Is(GuestState::Off | GuestState::Crashed) => return Ok(Still::Off),
            Now::Is(GuestState::Paused) if frozen => return Ok(Still::Frozen),
            Now::Is(GuestState::Paused) => return Ok(Still::Paused),
            Now::Is(GuestState::PausedIo) => {
                return Err(Fault::conflict(format!("guest {id} is paused because a write found no room: free some first")));
            }
            Now::Asleep => return Err(Fault::conflict(format!("guest {id} sleeps by its own wish: wake it first"))),
            Now::Starting | Now::Is(GuestState::Stopping) => Ok(()),
            Now::Is(GuestState::Running) => {
                frozen = frozen || agent_says(&dom, "guest-ping", AGENT.0) && agent_says(&dom, "guest-fsfreeze-freeze", AGENT.1);
                dom.suspend()
            }
        };
        match tried {
            Ok(()) => {}
            Err(e) if map::is_wrong_state(&e) => {}
            Err(e) => return Err(fault(e)),
        }
        beat(until, "the guest does not stand still")?;
    }
}

/// Goes on. Thawing what is not frozen changes nothing, and is asked for always: a freeze whose answer came too
/// late may have been done.
pub fn resume(conn: &Connect, id: VnfcId, until: Instant) -> Result<()> {
    let Some(dom) = lookup(conn, id)? else { return Ok(()) };
    loop {
        let tried = match map::now(&dom).map_err(fault)? {
            Now::Is(GuestState::Paused) => dom.resume(),
            Now::Is(GuestState::Running) => {
                thaw(&dom, id);
                return Ok(());
            }
            Now::Is(GuestState::Off | GuestState::Crashed | GuestState::Stopping | GuestState::PausedIo) | Now::Asleep => return Ok(()),
            Now::Starting => Ok(()),
        };
        match tried {
            Ok(()) => {}
            Err(e) if map::is_absent(&e) => return Ok(()),
            Err(e) if map::is_wrong_state(&e) => {}
            Err(e) => return Err(fault(e)),
        }
        beat(until, "the guest does not go on")?;
    }
}

fn thaw(dom: &Domain, id: VnfcId) {
    if agent_says(dom, "guest-ping", AGENT.0) && !agent_says(dom, "guest-fsfreeze-thaw", AGENT.1) {
        tracing::warn!(guest = %id, "the guest's agent did not say that its file systems are thawed");
    }
}

/// The agent did it; one that is silent, or cannot, did not.
fn agent_says(dom: &Domain, command: &str, seconds: i32) -> bool {
    dom.qemu_agent_command(&format!(r#"{{"execute":"{command}"}}"#), seconds, 0).is_ok()
}

/// What an end was asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// A guest that ran.
    Now,
    /// One that was off, or not there.
    Before,
}

pub fn destroy(conn: &Connect, id: VnfcId, until: Instant) -> Result<Ended> {
    let mut ended = Ended::Before;
    loop {
        let Some(dom) = lookup(conn, id)? else { return Ok(ended) };
        if destroyed(&dom, &mut ended)? {
            return Ok(ended);
        }
        beat(until, "the guest does not end")?;
    }
}

/// One try; true when the domain is off by now.
fn destroyed(dom: &Domain, ended: &mut Ended) -> Result<bool> {
    match dom.is_active() {
        Ok(false) => return Ok(true),
        Err(e) if map::is_absent(&e) => return Ok(true),
        Err(e) => return Err(fault(e)),
        Ok(true) => *ended = Ended::Now,
    }
    match dom.destroy() {
        Ok(()) => Ok(true),
        Err(e) if map::is_absent(&e) => Ok(true),
        // Not running any more, or not yet: look again.
        Err(e) if map::is_wrong_state(&e) => Ok(false),
        Err(e) => Err(fault(e)),
    }
}

/// Neither running nor defined. Looks again after it has removed: a start that a killed predecessor
/// asked for may still go through in between, and a running domain outlives its definition.
pub fn remove(conn: &Connect, id: VnfcId, until: Instant) -> Result<Ended> {
    let mut ended = Ended::Before;
    let flags = sys::VIR_DOMAIN_UNDEFINE_NVRAM
        | sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | sys::VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | sys::VIR_DOMAIN_UNDEFINE_TPM;
    while let Some(dom) = lookup(conn, id)? {
        let undefined = if destroyed(&dom, &mut ended)? { dom.undefine_flags(flags) } else { Ok(()) };
        match undefined {
            Ok(()) => {}
            // A domain without a definition went away when it was destroyed.
            Err(e) if map::is_absent(&e) || map::is_wrong_state(&e) => {}
            Err(e) => return Err(fault(e)),
        }
        if lookup(conn, id)?.is_none() {
            break;
        }
        beat(until, "the guest comes back while it is removed")?;
    }
    Ok(ended)
}

pub fn state(conn: &Connect, id: VnfcId) -> Result<Option<GuestState>> {
    let Some(dom) = lookup(conn, id)? else { return Ok(None) };
    Ok(absent_is_none(map::now(&dom))?.map(Now::guest))
}

/// All domains of ours. Told by name first, which costs no call over the wire, then by metadata.
pub fn list(conn: &Connect) -> Result<Vec<FoundGuest>> {
    let mut out = Vec::new();
    for dom in conn.list_all_domains(0).map_err(fault)? {
        let id = VnfcId(dom.uuid().map_err(fault)?);
        if dom.name().map_err(fault)? != id.domain_name() {
            continue;
        }
        let meta = match meta_of(&dom) {
            Ok(Some(m)) => m,
            Ok(None) => continue,
            Err(e) if e.is_transient() => return Err(e),
            Err(e) => {
                tracing::warn!(guest = %id, error = %e, "a guest named like ours cannot be read and is left alone");
                continue;
            }
        };
        // Gone since it was listed: not there.
        if let Some(now) = absent_is_none(map::now(&dom))? {
            out.push(FoundGuest { id, owner: meta.owner, state: now.guest() });
        }
    }
    Ok(out)
}

/// Functions of the host that a running guest has.
pub fn functions(conn: &Connect, id: VnfcId) -> Result<Option<Vec<PciAddr>>> {
    let Some(dom) = lookup(conn, id)? else { return Ok(None) };
    if !absent_is_none(dom.is_active())?.unwrap_or(false) {
        return Ok(None);
    }
    let xml = dom.xml_desc(0).map_err(fault)?;
    Ok(Some(xml::functions(&xml)?.into_iter().map(|f| f.device).collect()))
}

/// Waits as long as libvirt does by itself, some seconds.
pub fn unplug(conn: &Connect, id: VnfcId, device: PciAddr) -> Result<()> {
    let dom = need(conn, id)?;
    let xml = dom.xml_desc(0).map_err(fault)?;
    let Some(found) = xml::functions(&xml)?.into_iter().find(|f| f.device == device) else { return Ok(()) };
    match dom.detach_device_flags(&found.xml, sys::VIR_DOMAIN_AFFECT_LIVE) {
        Ok(()) => Ok(()),
        // Gone since, or the guest ended meanwhile.
        Err(e) if map::is_absent(&e) || e.code().is(virt::error::ErrorNumber::DeviceMissing) => Ok(()),
        // QEMU's own words for the root bus; libvirt passes them on.
        Err(e) if e.message().contains("does not support hot") => {
            Err(Fault::conflict(format!("guest {id}: {device} sits where it cannot be unplugged while the guest runs")).with_source(e))
        }
        Err(e) => Err(fault(e)),
    }
}

/// As its definition has it.
pub fn plug(conn: &Connect, id: VnfcId, device: PciAddr) -> Result<()> {
    let dom = need(conn, id)?;
    if xml::functions(&dom.xml_desc(0).map_err(fault)?)?.iter().any(|f| f.device == device) {
        return Ok(());
    }
    let defined = dom.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE).map_err(fault)?;
    let found = xml::functions(&defined)?.into_iter().find(|f| f.device == device);
    let found = found.ok_or_else(|| Fault::new(Kind::Conflict, format!("guest {id} is not defined with {device}")))?;
    dom.attach_device_flags(&found.xml, sys::VIR_DOMAIN_AFFECT_LIVE).map(drop).map_err(fault)
}

/// Threads that may run elsewhere than wanted.
pub fn astray(conn: &Connect, id: VnfcId, want: &Pins) -> Result<Vec<Astray>> {
    let Some(dom) = lookup(conn, id)? else { return Ok(Vec::new()) };
    absent_is_none(dom.xml_desc(0))?.map_or(Ok(Vec::new()), |xml| Ok(want.astray(&xml::pins(&xml)?)))
}

/// Pinned as wanted, now and from its next start on. A start takes the definition as it was before a change of it or
/// after, never in between: so one that was off is looked at again.
pub fn pin(conn: &Connect, id: VnfcId, want: &Pins, until: Instant) -> Result<()> {
    loop {
        let dom = need(conn, id)?;
        let active = dom.is_active().map_err(fault)?;
        let mut flags = if active { sys::VIR_DOMAIN_AFFECT_LIVE } else { 0 };
        if dom.is_persistent().map_err(fault)? {
            flags |= sys::VIR_DOMAIN_AFFECT_CONFIG;
        }
        let astray = want.astray(&xml::pins(&dom.xml_desc(0).map_err(fault)?)?);
        let pinned = astray.iter().try_for_each(|a| {
            let map = cpumap(&a.wanted);
            match a.thread {
                Thread::Vcpu(n) => dom.pin_vcpu_flags(n.into(), &map, flags),
                Thread::Emulator => dom.pin_emulator(&map, flags),
                Thread::Io(n) => event::pin_io_thread(&dom, n.into(), &map, flags),
            }
        });
        let same = absent_is_none(dom.is_active())? == Some(active);
        match pinned {
            Ok(()) if same => return Ok(()),
            // It came to run, or ended, meanwhile.
            Ok(()) => {}
            Err(e) if !same && (map::is_wrong_state(&e) || map::is_absent(&e)) => {}
            Err(e) => return Err(fault(e)),
        }
        beat(until, "the guest starts and ends while it is pinned")?;
    }
}

/// libvirt's words for a set: a bit for each CPU, the lowest first.
fn cpumap(cpus: &CpuSet) -> Vec<u8> {
    let mut map = vec![0; cpus.iter().max().map_or(0, |most| usize::from(most) / 8 + 1)];
    for cpu in cpus.iter() {
        map[usize::from(cpu) / 8] |= 1 << (cpu % 8);
    }
    map
}

/// `wait` is whole seconds to libvirt; less than one is one.
pub fn agent_ping(conn: &Connect, id: VnfcId, wait: Duration) -> Result<bool> {
    let dom = need(conn, id)?;
    let seconds = i32::try_from(wait.as_secs_f32().ceil() as i64).unwrap_or(i32::MAX).max(1);
    match dom.qemu_agent_command(r#"{"execute":"guest-ping"}"#, seconds, 0) {
        Ok(_) => Ok(true),
        Err(e) if map::is_silent_agent(&e) => Ok(false),
        Err(e) => Err(fault(e)),
    }
}
