//! From bootstrapping data to a box that is somebody's: each step reported, and taken back where one fails.

use std::{fs, os::unix::fs::PermissionsExt as _};

use camino::Utf8Path;

use super::{
    Place, before, script,
    script::Sandbox,
    status::{Status, Turn},
};
use crate::{
    config::Config,
    host::durable,
    model::error::{Fault, Result},
    ztp::{
        artefact::Artefacts,
        conveyed::{Configuration, Conveyed},
        judge::{Believed, Judge},
        merge::merged,
        onboard::{Do, Running, ScriptEnd, steps},
        report::{Progress, Report},
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

pub fn check(place: &Place, data: &Artefacts) -> Result<Checked> {
    let device = place.device()?;
    let (now, cms) = (place.now(), place.openssl());
    fs::create_dir_all(&place.work).map_err(|e| Fault::transient(format!("cannot make {}: {e}", place.work)))?;
    let judge = Judge { device: &device, now, cms: &cms, nonce: None };
    // Removable storage is never trusted: what it holds has to prove itself (RFC 8572 4.1).
    let believed = judge.judge(data, false)?;
    Ok(Checked { serial_number: device.serial_number.to_string(), believed, clock: now.stamp().is_some() })
}

pub struct Run<'a> {
    pub place: &'a Place,
    pub running: Running,
    pub sandbox: Sandbox,
    /// Told of each report as it is made.
    pub told: &'a mut dyn FnMut(&Report),
}

impl Run<'_> {
    /// All of it. What fails takes back what was changed of the configuration, and it is as it was.
    pub fn from_stick(mut self, folder: &Utf8Path) -> Result<()> {
        let _alone = before::alone(&self.place.state)?;
        let mut status = Status::read(&self.place.state)?;
        // A run that a power cut ended may have left its configuration behind.
        if status.state == super::State::Running {
            before::take_back(self.place)?;
        }
        status.turn(Turn::Begin)?;
        status.source = folder.to_string();
        status.reports.clear();
        // First what there was, then that there is something to take back.
        before::keep(self.place)?;
        status.write(&self.place.state)?;
        let end = self.all(folder, &mut status);
        if let Err(f) = &end {
            self.report(&mut status, Progress::BootstrapError, f.text());
            before::take_back(self.place)?;
        }
        status.turn(if end.is_ok() { Turn::Done } else { Turn::Failed })?;
        status.write(&self.place.state)?;
        end
    }

    fn all(&mut self, folder: &Utf8Path, status: &mut Status) -> Result<()> {
        self.report(status, Progress::BootstrapInitiated, "");
        let data = super::stick(folder)?.ok_or_else(|| Fault::not_found(format!("{folder}: there is no {}", super::CONVEYED)))?;
        self.report(status, Progress::ParsingInitiated, "");
        let checked = match check(self.place, &data) {
            Ok(c) => c,
            Err(f) => {
                self.report(status, Progress::ParsingError, f.text());
                return Err(f);
            }
        };
        if !checked.clock {
            self.report(
                status,
                Progress::ParsingWarning,
                "the clock is before the day of this software: validity times were not held against it",
            );
        }
        self.report(status, Progress::ParsingComplete, "");
        match checked.believed.info {
            Conveyed::Redirect(servers) => {
                let names: Vec<String> = servers.iter().map(|s| format!("{}:{}", s.address, s.port)).collect();
                Err(Fault::conflict(format!("it leads to bootstrap servers, which bothy does not ask yet: {}", names.join(", "))))
            }
            Conveyed::Onboarding(o) => {
                for step in steps(*o, &self.running) {
                    self.step(status, step)?;
                }
                self.report(status, Progress::BootstrapComplete, "");
                Ok(())
            }
        }
    }

    fn step(&mut self, status: &mut Status, step: Do) -> Result<()> {
        use Progress as P;
        match step {
            Do::BootImage(image) => {
                let want = [image.os_name, image.os_version].into_iter().flatten().collect::<Vec<_>>().join(" ");
                let text = format!(
                    "{want} has to run first, and {} {} does: update the box, then begin anew",
                    self.running.name, self.running.version
                );
                self.report(status, P::BootImageMismatch, &text);
                Err(Fault::conflict(text))
            }
            Do::PreScript(s) => {
                self.script(status, "pre", &s, [P::PreScriptInitiated, P::PreScriptWarning, P::PreScriptError, P::PreScriptComplete])
            }
            Do::PostScript(s) => {
                self.script(status, "post", &s, [P::PostScriptInitiated, P::PostScriptWarning, P::PostScriptError, P::PostScriptComplete])
            }
            Do::Configure(c) => {
                self.report(status, P::ConfigInitiated, "");
                match self.configure(&c) {
                    Ok(()) => self.report(status, P::ConfigComplete, ""),
                    Err(f) => {
                        self.report(status, P::ConfigError, f.text());
                        return Err(f);
                    }
                }
                Ok(())
            }
        }
    }

    fn script(&mut self, status: &mut Status, name: &str, script: &[u8], [begin, warn, fail, done]: [Progress; 4]) -> Result<()> {
        self.report(status, begin, "");
        let folder = self.place.config.parent().unwrap_or(Utf8Path::new("/"));
        let (end, said) = match script::run(&self.place.work, name, script, self.sandbox, &[folder], &self.place.identity) {
            Ok(x) => x,
            Err(f) => {
                self.report(status, fail, f.text());
                return Err(f);
            }
        };
        match end {
            ScriptEnd::Done => self.report(status, done, &said),
            ScriptEnd::Soft(code) => {
                self.report(status, warn, &format!("exit status {code}: {said}"));
                self.report(status, done, "");
            }
            ScriptEnd::Hard => {
                let text = format!("the {name}-configuration script failed: {said}");
                self.report(status, fail, &text);
                return Err(Fault::conflict(text));
            }
        }
        Ok(())
    }

    /// The whole file is checked before it is in its place.
    fn configure(&self, c: &Configuration) -> Result<()> {
        let path = &self.place.config;
        let there = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Fault::transient(format!("cannot read {path}: {e}"))),
        };
        let conveyed = std::str::from_utf8(&c.text).map_err(|_| Fault::invalid("the conveyed configuration is no UTF-8"))?;
        let text = merged(&there, conveyed, c.handling)?;
        if let Err(faults) = Config::check(&text) {
            let reasons = faults.iter().map(ToString::to_string);
            return Err(Fault::invalid("the conveyed configuration is none that bothy takes").with_reasons(reasons));
        }
        let mode = fs::metadata(path).map_or(0o644, |m| m.permissions().mode() & 0o7777);
        durable::ensure_file(path, text.as_bytes(), mode)
    }

    fn report(&mut self, status: &mut Status, progress: Progress, message: &str) {
        let report = Report { progress, message: message.to_owned() };
        (self.told)(&report);
        status.reports.push(report);
    }
}
