//! From bootstrapping data to a box that is somebody's: each step reported, and taken back where one fails.

use std::{fs, os::unix::fs::PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    Place, before,
    network::Remote,
    script,
    script::Sandbox,
    status::{self, State, Status},
};
use crate::{
    access::{ADMIN, roles::BuiltIn},
    config::Config,
    host::durable,
    model::error::{Fault, Result},
    ztp::{
        artefact::Artefacts,
        conveyed::{Configuration, Conveyed, Onboarding},
        enrol,
        judge::{Believed, Judge},
        merge::merged,
        onboard::{Do, Running, ScriptEnd, steps},
        report::{LONGEST_MESSAGE, Progress, Report},
        source::authority,
        status::Turn,
    },
};

/// What a device would do with bootstrapping data, and why it may.
#[derive(Debug)]
pub struct Checked {
    pub serial_number: String,
    pub believed: Believed,
    /// Whether validity times could be held against a clock.
    pub clock: bool,
}

/// Removable storage is never trusted: what it holds has to prove itself (RFC 8572 4.1).
pub fn check(place: &Place, data: &Artefacts) -> Result<Checked> {
    judged(place, data, false, None)
}

/// `trusted`: of a server whose certificate led to an anchor that this box had for it. `nonce`: what it was sent.
pub(super) fn judged(place: &Place, data: &Artefacts, trusted: bool, nonce: Option<&[u8]>) -> Result<Checked> {
    let device = place.device()?;
    let (now, cms) = (place.now(), place.openssl());
    fs::create_dir_all(&place.work).map_err(|e| Fault::transient(format!("cannot make {}: {e}", place.work)))?;
    let judge = Judge { device: &device, now, cms: &cms, nonce };
    let believed = judge.judge(data, trusted)?;
    Ok(Checked { serial_number: device.serial_number.to_string(), believed, clock: now.stamp().is_some() })
}

pub struct Run<'a> {
    pub place: &'a Place,
    pub running: Running,
    pub sandbox: Sandbox,
    /// Told of each report as it is made.
    pub told: &'a mut dyn FnMut(&Report),
    /// False: the box has become somebody's by another way, or bothy stops.
    pub go_on: &'a dyn Fn() -> bool,
}

/// The names that accounts of programs wait under, until the daemon makes them.
pub(super) const CLIENTS: &str = "clients.json";
/// Entries of sources that were passed by, and characters of one.
const MOST_PASSED: usize = 100;
const LONGEST_WHY: usize = 300;

pub(super) fn shortened(text: &str, most: usize) -> String {
    text.char_indices().nth(most).map_or_else(|| text.to_owned(), |(end, _)| format!("{}...", &text[..end]))
}

impl Run<'_> {
    /// All of it. What fails takes back what was changed of the configuration, and it is as it was. Asks no server.
    pub fn from_stick(self, folder: &Utf8Path) -> Result<()> {
        self.begun(folder.as_str(), |w| {
            w.report(Progress::BootstrapInitiated, "");
            let data = super::stick(folder)?.ok_or_else(|| Fault::not_found(format!("{folder}: there is no {}", super::CONVEYED)))?;
            w.report(Progress::ParsingInitiated, "");
            let checked = check(w.run.place, &data).inspect_err(|f| w.report(Progress::ParsingError, f.text()))?;
            w.parsed(checked.clock);
            match checked.believed.info {
                Conveyed::Redirect(servers) => {
                    let names: Vec<String> = servers.iter().map(|s| authority(&s.address, s.port)).collect();
                    Err(Fault::conflict(format!("it leads to bootstrap servers, and --from asks none: {}", names.join(", "))))
                }
                Conveyed::Onboarding(o) => w.onboard(*o),
            }
        })
    }

    /// One run from its begin to its end, alone.
    pub(super) fn begun(mut self, source: &str, work: impl FnOnce(&mut Work<'_, '_>) -> Result<()>) -> Result<()> {
        let place = self.place;
        let _alone = before::alone(&place.state)?;
        let mut status = status::read(&place.state)?;
        // A run that a power cut ended may have left its configuration behind.
        if status.state == State::Running {
            script::stop();
            before::take_back(place, &status)?;
        }
        status.turn(Turn::Begin)?;
        status = Status {
            state: status.state,
            source: source.to_owned(),
            files: format!("files-{}", uuid::Uuid::new_v4().simple()),
            ..Status::default()
        };
        before::clean(place)?;
        status::write(&status, &place.state)?;
        let mut w = Work { run: &mut self, status: &mut status, remote: None, stuck: false };
        let end = work(&mut w);
        if let Err(f) = &end {
            // Where a server was told of the failure, this one is for the record.
            w.remote = None;
            w.report(Progress::BootstrapError, f.text());
            before::take_back(place, &status)?;
            status.unproven = false;
        }
        status.turn(if end.is_ok() { Turn::Done } else { Turn::Failed })?;
        status::write(&status, &place.state)?;
        end
    }
}

/// A run that is under way.
pub(super) struct Work<'w, 'r> {
    pub run: &'w mut Run<'r>,
    pub status: &'w mut Status,
    /// The trusted server that is told of it.
    pub remote: Option<Remote>,
    /// What failed could not be taken back: nothing else is begun over it.
    pub stuck: bool,
}

impl Work<'_, '_> {
    /// Said here and kept; told to the server where it wants it. That it cannot be told changes nothing.
    pub fn report(&mut self, progress: Progress, message: &str) {
        let report = Report { progress, message: shortened(message, LONGEST_MESSAGE) };
        if let Some(r) = &self.remote
            && let Err(why) = r.tell(&report)
        {
            tracing::debug!(why, "a progress report did not arrive");
        }
        self.keep(report);
    }

    /// The two that must arrive (RFC 8572 5.6).
    pub fn confirmed(&mut self, progress: Progress) -> Result<()> {
        let report = Report { progress, message: String::new() };
        let told = self.remote.as_ref().map_or(Ok(()), |r| r.tell(&report));
        self.keep(report);
        told.map_err(|why| Fault::transient(format!("the bootstrap server has not taken the progress report: {why}")))
    }

    pub fn goes_on(&self) -> bool {
        !self.stuck && (self.run.go_on)()
    }

    /// A source that has nothing, and why not: in words that may be a stranger's.
    pub fn pass(&mut self, why: &str) {
        if self.status.passed.len() < MOST_PASSED {
            self.status.passed.push(shortened(why, LONGEST_WHY));
        }
    }

    fn keep(&mut self, report: Report) {
        (self.run.told)(&report);
        self.status.reports.push(report);
    }

    pub fn parsed(&mut self, clock: bool) {
        if !clock {
            self.report(Progress::ParsingWarning, "the clock is before the day of this software: validity times were not held against it");
        }
        self.report(Progress::ParsingComplete, "");
    }

    pub fn onboard(&mut self, o: Onboarding) -> Result<()> {
        // Servers may have been asked for minutes.
        if !(self.run.go_on)() {
            return Err(Fault::transient("this box has an account meanwhile, or bothy stops"));
        }
        before::keep(self.run.place)?;
        for step in steps(o, &self.run.running) {
            self.step(step)?;
        }
        self.confirmed(Progress::BootstrapComplete)
    }

    fn step(&mut self, step: Do) -> Result<()> {
        use Progress as P;
        match step {
            Do::BootImage(image) => {
                let want = [image.os_name, image.os_version].into_iter().flatten().collect::<Vec<_>>().join(" ");
                let running = &self.run.running;
                let text =
                    format!("{want} has to run first, and {} {} does: update the box, then begin anew", running.name, running.version);
                self.report(P::BootImageMismatch, &text);
                Err(Fault::conflict(text))
            }
            Do::PreScript(s) => {
                self.script("pre", &s, [P::PreScriptInitiated, P::PreScriptWarning, P::PreScriptError, P::PreScriptComplete])
            }
            Do::PostScript(s) => {
                self.script("post", &s, [P::PostScriptInitiated, P::PostScriptWarning, P::PostScriptError, P::PostScriptComplete])
            }
            Do::Configure(c) => {
                self.report(P::ConfigInitiated, "");
                self.configure(&c).inspect_err(|f| self.report(P::ConfigError, f.text()))?;
                self.report(P::ConfigComplete, "");
                Ok(())
            }
        }
    }

    fn script(&mut self, name: &str, script: &[u8], [begin, warn, fail, done]: [Progress; 4]) -> Result<()> {
        self.report(begin, "");
        let place = self.run.place;
        let folder = place.config.parent().unwrap_or(Utf8Path::new("/"));
        let ran = script::run(&place.work, name, script, self.run.sandbox, &[folder], &place.identity);
        let (end, said) = ran.inspect_err(|f| self.report(fail, f.text()))?;
        match end {
            ScriptEnd::Done => self.report(done, &said),
            ScriptEnd::Soft(code) => {
                self.report(warn, &format!("exit status {code}: {said}"));
                self.report(done, "");
            }
            ScriptEnd::Hard => {
                let text = format!("the {name}-configuration script failed: {said}");
                self.report(fail, &text);
                return Err(Fault::conflict(text));
            }
        }
        Ok(())
    }

    /// The whole file is checked before it is in its place, and what comes beside it is there first.
    fn configure(&mut self, c: &Configuration) -> Result<()> {
        let path = &self.run.place.config;
        let there = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Fault::transient(format!("cannot read {path}: {e}"))),
        };
        let conveyed = std::str::from_utf8(&c.text).map_err(|_| Fault::invalid("the conveyed configuration is no UTF-8"))?;
        let (conveyed, beside) = enrol::split(conveyed, &self.files()?)?;
        let text = merged(&there, &conveyed, c.handling)?;
        if let Err(faults) = Config::check(&text) {
            let reasons = faults.iter().map(ToString::to_string);
            return Err(Fault::invalid("the conveyed configuration is none that bothy takes").with_reasons(reasons));
        }
        clients_fit(&beside.clients)?;
        if beside != enrol::Enrolment::default() {
            let folder = self.made_files()?;
            for (name, text) in &beside.files {
                durable::ensure_file(&folder.join(name.as_str()), text.as_bytes(), 0o600)?;
            }
            let clients = serde_json::to_vec(&beside.clients).map_err(|e| Fault::bug("clients cannot be written").with_source(e))?;
            durable::ensure_file(&folder.join(CLIENTS), &clients, 0o600)?;
        }
        own_certificate_fits(&text, &self.files()?)?;
        self.status.unproven = true;
        let mode = fs::metadata(path).map_or(0o644, |m| m.permissions().mode() & 0o7777);
        durable::ensure_file(path, text.as_bytes(), mode)
    }

    pub fn files(&self) -> Result<Utf8PathBuf> {
        before::files(self.run.place, self.status).ok_or_else(|| Fault::bug("a run of zero touch has no folder"))
    }

    pub fn made_files(&self) -> Result<Utf8PathBuf> {
        let folder = self.files()?;
        durable::ensure_folder(&folder, 0o700)?;
        Ok(folder)
    }
}

/// What the daemon could not make later would be missed only then.
fn clients_fit(all: &[enrol::Client]) -> Result<()> {
    let mut wrong = Vec::new();
    for c in all {
        if c.name == ADMIN {
            wrong.push(format!("[[bootstrap.client]]: '{ADMIN}' is the box's own user, and no client"));
        }
        if BuiltIn::find(&c.role).is_none() {
            wrong.push(format!("[[bootstrap.client]]: '{}': there is no role '{}' that each box has (bothy role list)", c.name, c.role));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Fault::invalid("the conveyed configuration's [bootstrap] is not sound").with_reasons(wrong)) }
}

/// Where the configuration names the certificate that was asked for, it is there, and is that of the key.
fn own_certificate_fits(text: &str, files: &Utf8Path) -> Result<()> {
    let (certificate, key) = (files.join(enrol::OWN_CERTIFICATE), files.join(enrol::OWN_KEY));
    if !text.contains(certificate.as_str()) && !text.contains(key.as_str()) {
        return Ok(());
    }
    super::client::pair(&certificate, &key).map(|_| ())
}
