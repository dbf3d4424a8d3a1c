//! Sources of bootstrapping data in their order (RFC 8572 4, 5.2), until one makes the box somebody's.
//!
//! ```text
//! removable storage ── DHCPv4 ── DHCPv6 ── servers of the configuration ── (later again)
//!        │ redirect       │          │                │
//!        └────────────────┴──────────┴────────────────┴──> walk: ask, judge ──redirect──> walk
//!                                                                    └──onboarding──> run, and its reports back
//! ```
//! Owns what is asked of a server and told to it. Never: whom to believe (`ztp::judge`), or where redirects end (`ztp::walk`).

use std::{
    fs::{self, File},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    client::Client,
    run::{Run, Work, judged},
};
use crate::{
    host::{clock::OsDice, durable::sync_folder, exec::Exec},
    model::{
        error::{Fault, Result},
        time::Dice as _,
    },
    ztp::{
        artefact::{self, Artefacts},
        conveyed::{Conveyed, Server},
        enrol::OWN_KEY,
        report::{Progress, Report},
        rpc::{Answer, Ask, Csr, GET_DATA, REPORT},
        source::{authority, listed},
        walk::{At, Walk},
    },
};

/// How long servers are asked that one source leads to: others shall have their turn, whatever a stranger leads to.
const LONGEST: Duration = Duration::from_secs(300);
/// Servers passed by, of one source, that are told of.
const MOST_OF_ONE: usize = 30;

/// Where a box looks.
#[derive(Default)]
pub struct Sources {
    /// Folders of removable storage.
    pub media: Vec<Utf8PathBuf>,
    /// Asks the networks that the box is on; `None`: it is not asked.
    pub dhcp: Option<Box<dyn Fn() -> Vec<Offered> + Send>>,
    /// Servers that the box was told of; without anchors they are strangers.
    pub servers: Vec<At>,
    /// Those that cannot be asked, and why not.
    pub passed: Vec<String>,
}

/// What a DHCP server has said of bootstrap servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// `DHCPv4 on enp1s0`
    pub from: String,
    pub option: Vec<u8>,
}

/// A trusted server that has conveyed onboarding information, while that is carried out.
pub(super) struct Remote {
    client: Rc<Client>,
    at: At,
    to: SocketAddr,
    verbose: bool,
}

impl Remote {
    /// Tells it what it wants to hear.
    pub fn tell(&self, r: &Report) -> Result<(), String> {
        if !self.verbose && !r.progress.must_be_sent() {
            return Ok(());
        }
        match self.client.post(&self.at, self.to, REPORT, r.write())? {
            (204, _) => Ok(()),
            (status, _) => Err(format!("it answered {status}, and not 204")),
        }
    }
}

/// What a server conveyed.
struct Got {
    data: Artefacts,
    verbose: bool,
    nonce: Vec<u8>,
    to: SocketAddr,
}

impl Run<'_> {
    /// One round over all sources.
    pub fn from_sources(self, s: &Sources) -> Result<()> {
        // Without an IDevID nobody is asked: a server could not know whom it answers, nor the box whom it belongs to.
        self.place.device()?;
        let client = Rc::new(Client::open(self.place)?);
        self.begun("", |w| {
            if round(w, s, &client) {
                return Ok(());
            }
            let passed = w.status.passed.clone();
            Err(Fault::transient("no source has bootstrapping data for this box").with_reasons(passed))
        })
    }
}

/// Whether the box is somebody's now.
fn round(w: &mut Work<'_, '_>, s: &Sources, client: &Rc<Client>) -> bool {
    for folder in &s.media {
        if !w.goes_on() {
            return false;
        }
        match super::stick(folder) {
            Ok(None) => w.pass(&format!("{folder}: there is no {}", super::CONVEYED)),
            Err(f) => w.pass(&f.detail()),
            Ok(Some(data)) => {
                w.status.source = folder.to_string();
                match used(w, &data, None, None) {
                    Ok(None) => return true,
                    Ok(Some(servers)) => {
                        let mut walk = Walk::default();
                        redirected(&mut walk, &servers);
                        if walked(w, walk, client) {
                            return true;
                        }
                    }
                    Err(f) => w.pass(&f.context(folder).detail()),
                }
            }
        }
    }
    for offered in s.dhcp.as_ref().filter(|_| w.goes_on()).map(|ask| ask()).unwrap_or_default() {
        let (servers, passed) = listed(&offered.option);
        passed.iter().take(MOST_OF_ONE).for_each(|p| w.pass(&format!("{}: {p}", offered.from)));
        if walked(w, Walk::new(servers), client) {
            return true;
        }
    }
    s.passed.iter().for_each(|p| w.pass(p));
    walked(w, Walk::new(s.servers.iter().cloned()), client)
}

fn redirected(walk: &mut Walk, servers: &[Server]) {
    walk.redirected(servers, |bytes| artefact::certificates("trust-anchor", bytes).map_err(|f| f.detail()));
}

fn walked(w: &mut Work<'_, '_>, walk: Walk, client: &Rc<Client>) -> bool {
    let (found, passed) = walked_to(w, walk, client);
    // What the others have to say has room, whatever a stranger's servers said.
    passed.iter().take(MOST_OF_ONE).for_each(|p| w.pass(p));
    found
}

fn walked_to(w: &mut Work<'_, '_>, mut walk: Walk, client: &Rc<Client>) -> (bool, Vec<String>) {
    let mut until = Instant::now() + LONGEST;
    while w.goes_on()
        && let Some(at) = walk.next_server()
    {
        let name = authority(&at.address, at.port);
        if Instant::now() >= until {
            walk.passed.push(format!("{name}: its servers have been asked for {} s, and are not asked on", LONGEST.as_secs()));
            break;
        }
        w.status.source = format!("https://{name}");
        let end = ask(w, client, &at, until).and_then(|got| {
            let remote = at.trusted().then(|| Remote { client: client.clone(), at: at.clone(), to: got.to, verbose: got.verbose });
            let begun = Instant::now();
            let end = used(w, &got.data, remote, Some(&got.nonce));
            // Scripts have a limit of their own.
            until += begun.elapsed();
            end
        });
        match end {
            Ok(None) => return (true, walk.passed),
            Ok(Some(servers)) => redirected(&mut walk, &servers),
            Err(f) => {
                let kind = if at.trusted() { "" } else { " (untrusted)" };
                walk.passed.push(format!("{name}{kind}: {}", f.detail()));
            }
        }
    }
    (false, walk.passed)
}

/// Carries out what is believed of it: `None`, the box is somebody's; else the servers that it leads to. `remote`: the server that
/// it is from, which is trusted then.
fn used(w: &mut Work<'_, '_>, data: &Artefacts, remote: Option<Remote>, nonce: Option<&[u8]>) -> Result<Option<Vec<Server>>> {
    let checked = judged(w.run.place, data, remote.is_some(), nonce);
    // Of redirects a server hears nothing (RFC 8572 7.3).
    if let Ok(c) = &checked
        && let Conveyed::Redirect(servers) = &c.believed.info
    {
        let names: Vec<String> = servers.iter().map(|s| authority(&s.address, s.port)).collect();
        let text = format!("{} leads to {}", w.status.source, names.join(", "));
        w.report(Progress::Informational, &text);
        return Ok(Some(servers.clone()));
    }
    w.remote = remote;
    let end = carried_out(w, checked);
    if let Err(f) = &end {
        w.report(Progress::BootstrapError, f.text());
    }
    w.remote = None;
    if end.is_err() {
        super::before::take_back(w.run.place, w.status).inspect_err(|_| w.stuck = true)?;
        w.status.unproven = false;
    }
    end.map(|()| None)
}

fn carried_out(w: &mut Work<'_, '_>, checked: Result<super::Checked>) -> Result<()> {
    let checked = checked.inspect_err(|f| {
        w.report(Progress::BootstrapInitiated, "");
        w.report(Progress::ParsingError, f.text());
    })?;
    w.confirmed(Progress::BootstrapInitiated)?;
    w.report(Progress::ParsingInitiated, "");
    w.parsed(checked.clock);
    match checked.believed.info {
        Conveyed::Onboarding(o) => w.onboard(*o),
        Conveyed::Redirect(_) => Err(Fault::bug("a redirect is not carried out")),
    }
}

/// From whichever of its addresses answers with data (RFC 8572 5.5).
fn ask(w: &Work<'_, '_>, client: &Client, at: &At, until: Instant) -> Result<Got> {
    let all = client.addresses(at).map_err(Fault::transient)?;
    let mut why = Vec::new();
    for (i, to) in all.iter().enumerate() {
        if i > 0 && (Instant::now() >= until || !w.goes_on()) {
            why.push("no more of them are asked".into());
            break;
        }
        match ask_at(w, client, at, *to) {
            Ok(got) => return Ok(got),
            Err(f) if all.len() == 1 => return Err(f),
            Err(f) => why.push(format!("{}: {}", to.ip(), f.detail())),
        }
    }
    Err(Fault::transient("none of its addresses has bootstrapping data").with_reasons(why))
}

fn ask_at(w: &Work<'_, '_>, client: &Client, at: &At, to: SocketAddr) -> Result<Got> {
    let nonce = [OsDice.bytes16(), OsDice.bytes16()].concat();
    let mut ask = Ask { nonce: Some(nonce.clone()), ..Ask::default() };
    if at.trusted() {
        let running = &w.run.running;
        (ask.os_name, ask.os_version, ask.csr) = (Some(running.name.clone()), Some(running.version.clone()), Csr::Able);
    } else {
        // Beside the nonce, which says nothing of the box, a stranger hears nothing else (9.6).
        ask.signed_preferred = true;
    }
    let post = |ask: &Ask| {
        let (status, body) = client.post(at, to, GET_DATA, ask.write()).map_err(Fault::transient)?;
        Answer::read(status, &body)
    };
    let answer = match post(&ask)? {
        // Whoever is not trusted was not offered one.
        Answer::WantsCsr if ask.csr == Csr::Able => {
            ask.csr = Csr::Made(request(&w.made_files()?, w.run.place.device()?.serial_number.as_str())?);
            post(&ask)?
        }
        other => other,
    };
    match answer {
        Answer::Data { data, verbose } => Ok(Got { data, verbose, nonce, to }),
        Answer::WantsCsr if ask.csr == Csr::None => {
            Err(Fault::conflict("the bootstrap server asks for a request for a certificate, and it was offered none"))
        }
        Answer::WantsCsr => {
            // RFC 9646: the key of a request that was not taken is of no use.
            let _ = fs::remove_file(w.files()?.join(OWN_KEY));
            Err(Fault::conflict("the bootstrap server asks for a request for a certificate, and has had its answer"))
        }
    }
}

/// A new key of the box's own, which stays, and a request with the names of its IDevID (RFC 9646, PKCS#10, DER).
pub(super) fn request(files: &Utf8Path, serial_number: &str) -> Result<Vec<u8>> {
    // Of these openssl makes more than letters: another attribute, another value.
    let name = serial_number.replace('\\', "\\\\").replace('/', "\\/").replace('+', "\\+");
    let (key, csr) = (files.join(OWN_KEY), files.join("operational.csr"));
    Exec::new("openssl")
        .limit(Duration::from_secs(30))
        .args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256", "-outform", "DER"])
        .args(["-subj", &format!("/CN=bothy/serialNumber={name}"), "-keyout", key.as_str(), "-out", csr.as_str()])
        .run()?;
    let der = fs::read(&csr).map_err(|e| Fault::transient(format!("cannot read {csr}: {e}")))?;
    let _ = fs::remove_file(&csr);
    // The server certifies it now: a power cut must not leave the certificate alone.
    File::open(&key).and_then(|f| f.sync_all()).map_err(|e| Fault::transient(format!("cannot sync {key}: {e}")))?;
    sync_folder(files)?;
    Ok(der)
}
