//! The box's own system: which store a start opens, and what updates ask of the rest of Bothy.
//!
//! Owns: what a sound box is. Never: what is done about one that is not (`update`).

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    sync::Weak,
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{conditions::conditions, core::Core};
use crate::{
    model::{
        error::{Fault, Result},
        health::{Condition, ConditionState},
        id::VnfcId,
        op::{Operation, Phase},
        update::{BootKind, Unmet, UpdateState, Verified},
        vnf::{RunState, VnfInstance},
    },
    store::{Options, Store},
    update::{
        Begun, How, Status, leave_word,
        port::{House, Slots},
    },
    vim::port::GuestState,
};

/// Opens the store as this start wants it.
pub fn open_store(dir: impl AsRef<Path>, options: Options, begun: &Begun, slots: &dyn Slots) -> Result<Store> {
    let dir = dir.as_ref();
    match begun.how {
        How::Plain => Store::open(dir, options),
        How::Trial { anew } => {
            let store = Store::open_trial(dir, options, anew)?;
            let busy = under_way(&store)?;
            if busy.is_empty() {
                return Ok(store);
            }
            // They would go on here, on guests and disks that the old store still has as they were.
            slots.restart()?;
            Err(Fault::conflict("operations were under way when the box restarted: they go on in the old system").with_reasons(busy))
        }
        How::Finish => {
            Store::keep_left_trial(dir)?;
            Store::open(dir, options)
        }
        How::GiveUp => {
            slots.restart()?;
            let silent = begun.journal.update.as_ref().is_none_or(|u| u.unmet.is_empty());
            let fault = Fault::conflict("the time of the trial is over: the box restarts into the old slot");
            if silent {
                leave_word(slots, &fault);
            }
            Err(fault)
        }
    }
}

/// The rest of Bothy for an update.
pub struct Rest {
    core: Weak<Core>,
    /// Where the API answers on the box; `None`: nowhere, in tests.
    socket: Option<Utf8PathBuf>,
}

impl Rest {
    pub fn new(core: Weak<Core>, socket: Option<Utf8PathBuf>) -> Self {
        Rest { core, socket }
    }
}

/// Conditions that have to be there. Cables are not among them: a box is right without its cable.
const NEEDED: [&str; 5] = ["store", "libvirt", "openvswitch", "accel", "functions"];

impl House for Rest {
    fn in_flight(&self) -> Result<Vec<String>> {
        let Some(core) = self.core.upgrade() else { return Ok(Vec::new()) };
        under_way(core.vnfm().store())
    }

    fn room_for_copy(&self) -> Result<()> {
        let Some(core) = self.core.upgrade() else { return Ok(()) };
        let store = core.vnfm().store();
        let stats = store.stats()?;
        let wanted = stats.live.file_bytes + stats.history.file_bytes + SLACK;
        let free = store.room()?;
        if wanted <= free {
            return Ok(());
        }
        let mib = |b: u64| b.div_ceil(1 << 20);
        Err(Fault::capacity(format!(
            "a trial runs on a copy of the store: it needs {} MiB beside it, and {} MiB are free there",
            mib(wanted),
            mib(free)
        )))
    }

    fn unmet(&self) -> Vec<Unmet> {
        let Some(core) = self.core.upgrade() else { return Vec::new() };
        let unmet = |key: &str, why: String| Unmet { key: key.into(), why };
        let mut all: Vec<Unmet> = conditions(&core)
            .into_iter()
            .filter(|c| NEEDED.contains(&c.name.as_str()) && c.state != ConditionState::Ok)
            .map(|c| unmet(&c.name, format!("{}: {}", c.name, c.text)))
            .collect();
        let r = core.reconciled();
        match (&r.last, &r.waiting) {
            (_, Some(why)) => all.push(unmet("host", format!("the host cannot be looked at: {why}"))),
            (None, None) => all.push(unmet("host", "the host is being looked at".into())),
            (Some(found), None) => {
                all.extend(
                    found.missed().into_iter().map(|(id, why)| unmet(&format!("guest {id}"), format!("guest {id} does not run: {why}"))),
                );
                all.extend(found.off.iter().map(|id| unmet(&format!("guest {id}"), format!("guest {id} went off by itself"))));
            }
        }
        all.extend(asleep(&core));
        if let Some(Err(fault)) = self.socket.as_deref().map(answers) {
            all.push(unmet("api", format!("the API does not answer: {}", fault.detail())));
        }
        all
    }

    fn is_going_down(&self) -> bool {
        self.core.upgrade().is_some_and(|c| c.vnfm().is_draining())
    }

    fn keep_store(&self) -> Result<()> {
        let core = self.core.upgrade().ok_or_else(|| Fault::transient("bothy is going down"))?;
        core.vnfm().store().keep_trial()
    }
}

/// Beside the copy itself, for what a trial writes.
const SLACK: u64 = 16 << 20;

fn under_way(store: &Store) -> Result<Vec<String>> {
    let busy = |o: &&Operation| match o.state.phase() {
        Phase::Held | Phase::Forward | Phase::Backward => true,
        Phase::Stuck | Phase::Over => false,
    };
    Ok(store.list::<Operation>()?.iter().filter(busy).map(|o| format!("operation {} ({})", o.id, o.kind.name())).collect())
}

/// Guests that should run and do not, as the hypervisor has them now: the last look at the host may be an hour old.
fn asleep(core: &Core) -> Vec<Unmet> {
    let found = core.ports.hypervisor.list().and_then(|all| Ok((all, core.vnfm().store().list::<VnfInstance>()?)));
    let (guests, vnfs) = match found {
        Ok(found) => found,
        Err(fault) => return vec![Unmet { key: "guests".into(), why: format!("guests cannot be looked at: {}", fault.detail()) }],
    };
    let up: BTreeSet<VnfcId> = guests
        .iter()
        .filter(|g| match g.state {
            GuestState::Running | GuestState::Paused | GuestState::Stopping => true,
            GuestState::Off | GuestState::Crashed | GuestState::PausedIo => false,
        })
        .map(|g| g.id)
        .collect();
    let started = vnfs.iter().filter_map(|v| v.body.as_ref()).filter(|b| b.run == RunState::Started);
    let down = started.flat_map(|b| &b.vnfcs).filter(|c| !up.contains(&c.id));
    down.map(|c| Unmet { key: format!("guest {}", c.id).into(), why: format!("guest {} does not run", c.id) }).collect()
}

/// A request by the way that people on the box take.
fn answers(socket: &Utf8Path) -> Result<()> {
    let ask = || -> std::io::Result<String> {
        let mut s = UnixStream::connect(socket)?;
        s.set_read_timeout(Some(Duration::from_secs(5)))?;
        s.set_write_timeout(Some(Duration::from_secs(5)))?;
        s.write_all(b"GET /bothy/v1/version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        s.read_exact(&mut head)?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    };
    match ask() {
        Ok(head) if head == "HTTP/1.1 200" => Ok(()),
        Ok(head) => Err(Fault::transient(format!("it says {head}"))),
        Err(e) => Err(Fault::transient(e.to_string())),
    }
}

/// The system that runs, as the health page shows it; a box without slots has none.
pub fn condition(status: &Status) -> Option<Condition> {
    let r = status.running.as_ref()?;
    let verified = match &r.verified {
        Verified::SecureBoot => "boot verified".to_owned(),
        Verified::No { why } => format!("boot not verified: {why}"),
    };
    let mut text = format!("version {} in slot {}, {verified}", r.version, r.slot);
    if r.kind == BootKind::Plain {
        text += "; started by the boot menu's entry without arguments";
    }
    if r.refused_args {
        text += "; the boot loader has left out the host's kernel arguments: there are some among them that it does not take in a verified boot (bothy host plan)";
    }
    let Some(u) = &status.journal.update else { return Some(Condition::new("system", ConditionState::Ok, text)) };
    let version = u.bundle.as_ref().map_or("?", |b| b.version.as_str());
    let (state, more) = match &u.state {
        UpdateState::OnTrial { .. } | UpdateState::Committing => {
            let waits = if u.unmet.is_empty() { String::new() } else { format!(", waiting for: {}", u.unmet.join("; ")) };
            (ConditionState::Pending, format!("on trial{waits}"))
        }
        UpdateState::Fetching | UpdateState::Received | UpdateState::Writing | UpdateState::Draining => {
            (ConditionState::Ok, "an update is under way".to_owned())
        }
        UpdateState::Armed => (ConditionState::Ok, format!("the next boot tries version {version} in slot {}", u.target)),
        UpdateState::RolledBack { why } => {
            (ConditionState::Ok, format!("version {version} was tried and did not stay: {}", why.join("; ")))
        }
        UpdateState::Committed | UpdateState::Failed { .. } | UpdateState::Cancelled => (ConditionState::Ok, String::new()),
    };
    if !more.is_empty() {
        text += &format!("; {more}");
    }
    Some(Condition::new("system", state, text))
}
