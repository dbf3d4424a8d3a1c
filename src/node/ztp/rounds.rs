//! Rounds over the sources until one of them makes the box somebody's: with jitter, since a thousand boxes wake after one power
//! cut. By the daemon itself, or by hand.

use std::{
    fs,
    sync::{Arc, mpsc},
    time::Duration,
};

use camino::Utf8PathBuf;

use super::{
    Place, Run, Sandbox, Sources, before,
    network::Offered,
    run::CLIENTS,
    running,
    status::{self, State},
};
use crate::{
    access::{Access, Caller, manage::AccountChange},
    call_home::schedule::Schedule,
    config,
    host::{
        clock::{OsDice, SystemClock},
        dhcp, durable,
        openssl::certificates,
    },
    model::{
        access::{CertificateRule, Credentials},
        error::{Fault, Kind, Result},
        id::ProjectId,
        time::{Clock as _, Dice as _, Stamp},
    },
    node::account,
    ztp::{
        enrol::Client,
        report::Report,
        source::{self, place as host_and_port},
        walk::At,
    },
};

/// How long a pause is slept at once: then it is asked whether to go on.
const SLICE: Duration = Duration::from_millis(250);

impl Sources {
    /// As a configuration names them, by what its files hold now. A server whose anchors cannot be read is no source, and no stranger.
    pub fn of(c: &config::Ztp) -> Sources {
        let wanted = dhcp::Wanted { v4: source::V4, v6: source::V6 };
        let asks = move || dhcp::ask(wanted).into_iter().map(|(from, option)| Offered { from, option }).collect();
        let mut s = Sources { media: c.media.clone(), dhcp: if c.dhcp { Some(Box::new(asks)) } else { None }, ..Sources::default() };
        for named in &c.server {
            match server(named) {
                Ok(at) => s.servers.push(at),
                Err(f) => s.passed.push(format!("{}: {}", named.address, f.detail())),
            }
        }
        s
    }
}

fn server(s: &config::BootstrapServer) -> Result<At> {
    let (address, port) =
        host_and_port(&s.address).ok_or_else(|| Fault::invalid(format!("ztp.server: '{}' is no host and port", s.address)))?;
    let anchors = if s.ca.as_str().is_empty() { Vec::new() } else { anchors(s)? };
    Ok(At { address, port: port.unwrap_or(443), anchors })
}

fn anchors(s: &config::BootstrapServer) -> Result<Vec<crate::ztp::Der>> {
    let text = fs::read_to_string(&s.ca).map_err(|e| Fault::conflict(format!("ztp.server: cannot read {}: {e}", s.ca)))?;
    let all = certificates(&text)?;
    // One without any would make a stranger of a server that was meant to be trusted.
    if all.is_empty() { Err(Fault::conflict(format!("ztp.server: {} holds no certificate", s.ca))) } else { Ok(all) }
}

/// How rounds are gone.
pub struct Rounds<'a> {
    pub place: &'a Place,
    pub sources: &'a config::Ztp,
    pub sandbox: Sandbox,
    /// The window before the second round, and where there is nobody who waits for it, before the first.
    pub first: Duration,
    pub at_once: bool,
}

impl Rounds<'_> {
    /// True once the box is somebody's; false where it was not to go on. A round that cannot even begin is an error.
    pub fn go(&self, told: &mut dyn FnMut(&Report), go_on: &dyn Fn() -> bool) -> Result<bool> {
        let mut schedule = Schedule::new(self.first);
        let mut wait = !self.at_once;
        loop {
            if wait && !self.pause(schedule, go_on)? {
                return Ok(false);
            }
            wait = true;
            match self.once(told, go_on) {
                Ok(()) => return Ok(true),
                Err(f) if f.kind() == Kind::Transient => tracing::info!(why = f.detail(), "zero touch: a round in vain"),
                Err(f) => return Err(f),
            }
            if !go_on() {
                return Ok(false);
            }
            schedule.ended(Duration::ZERO);
        }
    }

    pub fn once(&self, told: &mut dyn FnMut(&Report), go_on: &dyn Fn() -> bool) -> Result<()> {
        let run = Run { place: self.place, running: running(), sandbox: self.sandbox, told, go_on };
        run.from_sources(&Sources::of(self.sources))
    }

    fn pause(&self, schedule: Schedule, go_on: &dyn Fn() -> bool) -> Result<bool> {
        let [a, b, c, d, e, f, g, h, ..] = OsDice.bytes16();
        let mut left = schedule.pause(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        self.says_next(left)?;
        while !left.is_zero() {
            if !go_on() {
                return Ok(false);
            }
            let one = left.min(SLICE);
            std::thread::sleep(one);
            left -= one;
        }
        Ok(go_on())
    }

    fn says_next(&self, after: Duration) -> Result<()> {
        let _alone = before::alone(&self.place.state)?;
        let mut s = status::read(&self.place.state)?;
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        s.next = Some(Stamp(SystemClock::default().now().0.saturating_add(ms)));
        status::write(&s, &self.place.state)
    }
}

/// The daemon's own: until the box is somebody's, by this way or another. Tells `anew` when what was conveyed is to count.
pub fn by_itself(place: Place, c: &config::Ztp, access: Arc<Access>, anew: impl FnOnce() + Send + 'static) -> Result<Option<Standing>> {
    if !c.enabled || access.is_claimed() || claimed(&place).exists() || status::read(&place.state)?.state == State::Bootstrapped {
        return Ok(None);
    }
    let (first, sources) = (Duration::from_secs(c.retry_s), c.clone());
    let (standing, stopped) = mpsc::channel::<()>();
    let run = move || {
        let sandbox = Sandbox::of_this_host().unwrap_or(Sandbox::Absent);
        let rounds = Rounds { place: &place, sources: &sources, sandbox, first, at_once: false };
        let go_on = || !access.is_claimed() && stopped.try_recv() != Err(mpsc::TryRecvError::Disconnected);
        let mut told = |r: &Report| tracing::info!(progress = ?r.progress, message = r.message, "zero touch");
        let mut before = String::new();
        loop {
            match rounds.go(&mut told, &go_on) {
                Ok(true) => return anew(),
                Ok(false) => return tracing::info!("zero touch ends: this box has an account, or bothy stops"),
                // By hand, meanwhile: whoever did that was told what to do next.
                Err(_) if status::read(&rounds.place.state).is_ok_and(|s| s.state == State::Bootstrapped) => return,
                Err(f) if f.detail() != before => {
                    before = f.detail();
                    tracing::warn!(why = before, "zero touch cannot begin");
                }
                Err(_) => {}
            }
            // A box without an identity may be given one.
            let until = std::time::Instant::now() + first.max(Duration::from_secs(60));
            while std::time::Instant::now() < until {
                if !go_on() {
                    return;
                }
                std::thread::sleep(SLICE);
            }
        }
    };
    let started = std::thread::Builder::new().name("ztp".into()).spawn(run);
    started.map_err(|e| Fault::transient("cannot start a thread for zero touch").with_source(e))?;
    Ok(Some(Standing { _ends: standing }))
}

/// There once it has an administrator: who uses the first token leaves no other trace that outlasts a restart.
fn claimed(place: &Place) -> Utf8PathBuf {
    place.state.join("claimed")
}

/// This box has been claimed at its own screen, and zero touch is not to begin any more; a factory reset ends that.
pub fn keep_claimed(place: &Place) -> Result<()> {
    durable::ensure_folder(&place.state, 0o700)?;
    durable::ensure_file(&claimed(place), b"", 0o600)
}

/// As long as this lives, rounds go on. One that is under way is not waited for: the next start takes it back.
pub struct Standing {
    _ends: mpsc::Sender<()>,
}

/// The accounts of programs that came with a conveyed configuration are made, once it counts. True: one was made. What cannot be
/// made is tried again at the next start; the daemon runs without it, for its owner can mend a box that he reaches.
pub fn enrol(place: &Place, access: &Access) -> bool {
    enrolled(place, access).unwrap_or_else(|fault| {
        tracing::error!("the clients that zero touch has brought are not made: {fault:?}");
        false
    })
}

fn enrolled(place: &Place, access: &Access) -> Result<bool> {
    let s = status::read(&place.state)?;
    let Some(file) = before::files(place, &s).map(|f| f.join(CLIENTS)).filter(|f| s.state == State::Bootstrapped && f.exists()) else {
        return Ok(false);
    };
    let bytes = fs::read(&file).map_err(|e| Fault::transient(format!("cannot read {file}: {e}")))?;
    let all: Vec<Client> = serde_json::from_slice(&bytes).map_err(|e| Fault::conflict(format!("{file} cannot be read: {e}")))?;
    let (count, mut left) = (all.len(), Vec::new());
    for c in all {
        let made = client(access, &c);
        account::client(access, &c.name, &c.role, made.as_ref().err().map(|f| f as &dyn std::fmt::Display));
        match made {
            Ok(()) => tracing::info!(client = %c.name, role = %c.role, "zero touch has brought a client"),
            Err(fault) => {
                tracing::error!(client = %c.name, role = %c.role, "a client that zero touch has brought is not made: {fault:?}");
                left.push(c);
            }
        }
    }
    let made = left.len() < count;
    if made {
        // Whoever stood at the screen of the fresh box is not its owner.
        access.revoke_first()?;
    }
    if left.is_empty() {
        durable::remove(&file)?;
    } else {
        let bytes = serde_json::to_vec(&left).map_err(|e| Fault::bug("clients cannot be written").with_source(e))?;
        durable::ensure_file(&file, &bytes, 0o600)?;
    }
    Ok(made)
}

fn client(access: &Access, c: &Client) -> Result<()> {
    let (by, certificates) = (Caller::root(), vec![CertificateRule::Fingerprint(c.fingerprint)]);
    if access.account(&by, &c.name).is_ok() {
        let change = AccountChange { certificates: Some(certificates), roles: Some(vec![c.role.clone()]), ..AccountChange::default() };
        return access.change_account(&by, &c.name, change).map(|_| ());
    }
    let credentials = Credentials::Client { secret: None, certificates };
    access.create_account(&by, c.name.clone(), credentials, vec![c.role.clone()], ProjectId::DEFAULT).map(|_| ())
}
