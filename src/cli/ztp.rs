//! `bothy ztp`: zero touch on this box (RFC 8572), and a factory for those who have none.
//!
//! Works without the daemon: a box that is nobody's yet may have none that anybody can ask.

use std::{fs, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{failure::Failure, output::Out};
use crate::{
    config::{Config, LiveConfig},
    host::openssl::certificates,
    node::ztp::{
        Place, Rounds, Run, Sandbox, check,
        factory::{Factory, Wish, request},
        reset, running, status as status_of, stick,
    },
    ztp::{
        conveyed::{Conveyed, Handling, Onboarding},
        report::Report,
        source::authority,
    },
};

#[derive(Args)]
pub struct Where {
    /// The box's identity: idevid.pem, idevid.key, voucher-anchors.pem
    #[arg(long, value_name = "DIR", default_value = "/etc/bothy/ztp")]
    identity: Utf8PathBuf,
    /// What became of zero touch on this box
    #[arg(long, value_name = "DIR", default_value = "/var/lib/bothy/ztp")]
    state: Utf8PathBuf,
    /// The daemon's configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/bothy/bothy.toml")]
    config: Utf8PathBuf,
}

impl Where {
    fn usual() -> Self {
        Where { identity: "/etc/bothy/ztp".into(), state: "/var/lib/bothy/ztp".into(), config: "/etc/bothy/bothy.toml".into() }
    }

    fn place(self) -> Place {
        let work = self.state.join("work");
        Place { identity: self.identity, state: self.state, config: self.config, work }
    }
}

#[derive(Subcommand)]
pub enum Ztp {
    /// How far this box is, and what happened on the way
    Status(Where),
    /// Verify a stick as this box would, and say what it asks for; nothing is changed
    Check {
        /// A folder with conveyed-information.cms, owner-certificate.cms and ownership-voucher.cms
        folder: Utf8PathBuf,
        #[command(flatten)]
        at: Where,
    },
    /// Become what the box's owner says: scripts and configuration, all of it or nothing. Goes over the sources of the
    /// configuration ([ztp]: removable storage, DHCP, bootstrap servers) until one has something for this box
    Run {
        /// This stick alone, a folder; no server is asked
        #[arg(long, value_name = "DIR")]
        from: Option<Utf8PathBuf>,
        /// One round over the sources
        #[arg(long, conflicts_with = "from")]
        once: bool,
        /// Run scripts though this host has no systemd to hold them
        #[arg(long)]
        unconfined: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Forget what became of zero touch, so that the box can be bootstrapped anew; its identity and configuration stay
    Reset(Where),
    /// Make this box's key, which stays here, and print the request for its certificate (PKCS#10)
    Request {
        #[arg(long)]
        serial: String,
        #[command(flatten)]
        at: Where,
    },
    /// Be manufacturer and owner
    #[command(subcommand)]
    Factory(FactoryCommand),
}

#[derive(Subcommand)]
pub enum FactoryCommand {
    /// Make keys and certificates of a manufacturer and an owner; those that are there stay
    Init { folder: Utf8PathBuf },
    /// Give a box its identity: a folder to be put at /etc/bothy/ztp
    Device {
        folder: Utf8PathBuf,
        #[arg(long)]
        serial: String,
        /// The box's own request; without it the key is made here
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
        #[arg(long, value_name = "DIR")]
        out: Utf8PathBuf,
    },
    /// Sign what a box shall be: the files of a stick
    Stick(Box<StickArgs>),
}

#[derive(Args)]
pub struct StickArgs {
    folder: Utf8PathBuf,
    #[arg(long)]
    serial: String,
    /// Keys to be laid over the box's bothy.toml
    #[arg(long, value_name = "FILE", conflicts_with = "replace")]
    merge: Option<Utf8PathBuf>,
    /// A whole bothy.toml
    #[arg(long, value_name = "FILE")]
    replace: Option<Utf8PathBuf>,
    /// A script to run before the configuration
    #[arg(long, value_name = "FILE")]
    before: Option<Utf8PathBuf>,
    /// A script to run after it
    #[arg(long, value_name = "FILE")]
    after: Option<Utf8PathBuf>,
    /// The version of bothy that has to run
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// Bootstrap servers to ask instead; repeat for more
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with_all = ["merge", "replace", "before", "after", "os_version"])]
    redirect: Vec<String>,
    /// Whom the certificates of these servers must lead to (PEM); without, they are strangers to the box
    #[arg(long, value_name = "FILE", requires = "redirect")]
    redirect_ca: Option<Utf8PathBuf>,
    /// When the voucher ends (2027-01-31T00:00:00Z); without, it does not
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// Encrypt it for the box with this certificate
    #[arg(long, value_name = "FILE")]
    sealed_for: Option<Utf8PathBuf>,
    #[arg(long, value_name = "DIR")]
    out: Utf8PathBuf,
}

fn read(path: &Utf8Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|e| Failure::here(format!("cannot read {path}"), e))
}

impl Ztp {
    pub fn run(self, out: &Out) -> Result<(), Failure> {
        match self {
            Ztp::Status(at) => status(&at.place(), out),
            Ztp::Check { folder, at } => {
                let data = stick(&folder)?.ok_or_else(|| Failure::Here(format!("{folder}: there is no {}", crate::node::ztp::CONVEYED)))?;
                let checked = check(&at.place(), &data)?;
                let clock = if checked.clock { "held against the clock" } else { "not held: the clock is before the day of this software" };
                out.record(&json!({
                    "serialNumber": checked.serial_number,
                    "signed": checked.believed.owner.is_some(),
                    "validityTimes": clock,
                    "asksFor": asks_for(&checked.believed.info),
                }));
                Ok(())
            }
            Ztp::Run { from, once, unconfined, at } => {
                let place = at.place();
                let sandbox = if unconfined { Sandbox::None } else { Sandbox::of_this_host()? };
                let mut told = |r: &Report| out.say(&line(r));
                if let Some(from) = from {
                    Run { place: &place, running: running(), sandbox, told: &mut told, go_on: &|| true }.from_stick(&from)?;
                } else {
                    let c = if place.config.exists() {
                        LiveConfig::read(&place.config).map_err(|r| Failure::Here(r.to_string()))?.ztp
                    } else {
                        Config::default().ztp
                    };
                    let rounds = Rounds { place: &place, sources: &c, sandbox, first: Duration::from_secs(c.retry_s), at_once: true };
                    if once {
                        rounds.once(&mut told, &|| true)?;
                    } else {
                        rounds.go(&mut told, &|| true)?;
                    }
                }
                out.done(
                    &serde_json::to_value(status_of(&place.state)?).unwrap_or_default(),
                    "bootstrapped; `systemctl restart bothy` makes the configuration count",
                );
                Ok(())
            }
            Ztp::Reset(at) => {
                reset(&at.place())?;
                out.done(&Value::Null, "zero touch begins anew at the next `bothy ztp run`");
                Ok(())
            }
            Ztp::Request { serial, at } => {
                let text = request(&serial, &at.place().identity)?;
                out.done(&json!({"request": text}), text.trim_end());
                Ok(())
            }
            Ztp::Factory(f) => f.run(out),
        }
    }
}

impl FactoryCommand {
    fn run(self, out: &Out) -> Result<(), Failure> {
        match self {
            FactoryCommand::Init { folder } => {
                Factory::open(&folder).init()?;
                out.done(&Value::Null, &format!("{folder}: keep it where nobody else can read it"));
            }
            FactoryCommand::Device { folder, serial, request, out: to } => {
                Factory::open(&folder).device(&serial, request.as_deref(), &to)?;
                out.done(&Value::Null, &format!("{to}: for /etc/bothy/ztp of the box {serial}"));
            }
            FactoryCommand::Stick(s) => s.run(out)?,
        }
        Ok(())
    }
}

impl StickArgs {
    fn run(self, out: &Out) -> Result<(), Failure> {
        let file = |path: &Option<Utf8PathBuf>| path.as_deref().map(read).transpose();
        let configuration = match (&self.merge, &self.replace) {
            (Some(f), _) => Some((Handling::Merge, read(f)?)),
            (None, Some(f)) => Some((Handling::Replace, read(f)?)),
            (None, None) => None,
        };
        let expires =
            self.expires.as_deref().map(|t| t.parse().map_err(|_| Failure::Usage(format!("--expires {t}: write 2027-01-31T00:00:00Z"))));
        let redirect = self.redirect.iter().map(|r| server(r)).collect::<Result<_, _>>()?;
        let anchors = file(&self.redirect_ca)?.map(|b| certificates(&String::from_utf8_lossy(&b))).transpose()?.unwrap_or_default();
        let wish = Wish {
            serial_number: self.serial,
            configuration,
            before: file(&self.before)?,
            after: file(&self.after)?,
            os_version: self.os_version,
            redirect,
            anchors,
            expires: expires.transpose()?,
            voucher: None,
            nonce: None,
            sealed_for: self.sealed_for,
        };
        Factory::open(&self.folder).stick(&wish, &self.out)?;
        out.done(&Value::Null, &format!("{}: for the box {}; copy the files to the top of a stick", self.out, wish.serial_number));
        Ok(())
    }
}

/// HOST, HOST:PORT, [IPv6]:PORT
fn server(text: &str) -> Result<(String, u16), Failure> {
    let bad = || Failure::Usage(format!("--redirect {text}: write HOST or HOST:PORT, an IPv6 address in brackets"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(h, p)| (h, p.strip_prefix(':'))).ok_or_else(bad)?,
        None => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
    };
    Ok((host.to_owned(), port.map_or(Ok(443), str::parse).map_err(|_| bad())?))
}

fn line(r: &Report) -> String {
    let word = serde_json::to_value(r.progress).unwrap_or_default();
    let word = word.as_str().unwrap_or_default();
    if r.message.is_empty() { word.to_owned() } else { format!("{word}: {}", r.message) }
}

/// This box's, at its console.
pub(super) fn status_here(out: &Out) -> Result<(), Failure> {
    status(&Where::usual().place(), out)
}

fn status(place: &Place, out: &Out) -> Result<(), Failure> {
    let s = status_of(&place.state)?;
    // Who the box is is worth saying whether or not it can be said.
    let identity = match place.device() {
        Ok(d) => format!("{}", d.serial_number),
        Err(f) => format!("none: {}", f.text()),
    };
    let mut v = serde_json::to_value(&s).unwrap_or_default();
    v["serialNumber"] = identity.into();
    if !out.json {
        v["reports"] = s.reports.iter().map(line).collect::<Vec<_>>().into();
    }
    out.record(&v);
    Ok(())
}

fn asks_for(info: &Conveyed) -> Vec<String> {
    match info {
        Conveyed::Redirect(servers) => servers.iter().map(|s| format!("bootstrap server {}", authority(&s.address, s.port))).collect(),
        Conveyed::Onboarding(o) => {
            let Onboarding { boot_image, pre_script, configuration, post_script } = &**o;
            let version = |i: &crate::ztp::conveyed::BootImage| i.os_version.clone().unwrap_or_else(|| "of any version".into());
            [
                boot_image.as_ref().map(|i| format!("boot image {}", version(i))),
                pre_script.as_ref().map(|s| format!("pre-configuration script, {} bytes", s.len())),
                configuration.as_ref().map(|c| {
                    let how = match c.handling {
                        Handling::Merge => "merged into the one that is there",
                        Handling::Replace => "in place of the one that is there",
                    };
                    format!("configuration, {} bytes, {how}", c.text.len())
                }),
                post_script.as_ref().map(|s| format!("post-configuration script, {} bytes", s.len())),
            ]
            .into_iter()
            .flatten()
            .collect()
        }
    }
}
