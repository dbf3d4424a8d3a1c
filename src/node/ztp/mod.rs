//! Zero touch: where a box's identity lies, what a stick holds, and the doing of what is believed; and what the other side does
//! with keys, files and `openssl`.
//!
//! * `rounds`  a box that looks for its owner by itself: sources, pauses, when it stops looking
//! * `network` one round over all sources; `client` HTTPS towards bootstrap servers
//! * `run`     carries out what is believed; `before` what was there before, to be taken back; `script` what was conveyed to be run
//! * `status`  what `bothy ztp status` shows
//! * `desk`    what a hub's bootstrap server answers
//! * `factory` manufacturer and owner: identities, vouchers, signed documents
//!
//! Owns the files and programs of it. What is believed, and in which order things happen, is decided in
//! [`crate::ztp`].

mod before;
mod client;
pub mod desk;
pub mod factory;
mod network;
#[cfg(test)]
mod network_tests;
mod rounds;
mod run;
mod script;
mod status;
#[cfg(test)]
mod tests;

use std::{fs, io::Read as _, os::unix::fs::OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::OFlag;

pub use self::{
    before::{is_unproven, mend, proven, unfit},
    network::{Offered, Sources},
    rounds::{Rounds, Standing, by_itself, enrol, keep_claimed},
    run::{Checked, Run, check},
    script::Sandbox,
    status::{State, Status, read as status},
};
use crate::{
    host::openssl::{OpenSsl, certificates},
    model::{
        error::{Fault, Result},
        time::{Clock as _, Stamp},
    },
    ztp::{
        Device, Now,
        artefact::{self, Artefacts, LIMIT},
        onboard::Running,
        status::Turn,
    },
};

/// Where zero touch finds and leaves its things.
#[derive(Debug, Clone)]
pub struct Place {
    /// `idevid.pem`, `idevid.key`, `voucher-anchors.pem`: what the factory, or the seed, has put there.
    pub identity: Utf8PathBuf,
    /// What became of it, and what there was before.
    pub state: Utf8PathBuf,
    /// The daemon's configuration.
    pub config: Utf8PathBuf,
    /// For files that nobody needs tomorrow.
    pub work: Utf8PathBuf,
}

/// The names of the artefacts on removable storage; RFC 8572 4.1 leaves them to the device.
pub const CONVEYED: &str = "conveyed-information.cms";
pub const OWNER: &str = "owner-certificate.cms";
pub const VOUCHER: &str = "ownership-voucher.cms";

impl Place {
    fn certificate(&self) -> Utf8PathBuf {
        self.identity.join("idevid.pem")
    }
    fn key(&self) -> Utf8PathBuf {
        self.identity.join("idevid.key")
    }

    /// Who this box is. Without an IDevID there is no zero touch, and that is said.
    pub fn device(&self) -> Result<Device> {
        let missing = |path: &Utf8Path, e: std::io::Error| {
            Fault::conflict(format!(
                "this box has no {}: its factory, or a seed, puts it into {}",
                path.file_name().unwrap_or_default(),
                self.identity
            ))
            .with_source(e)
        };
        let read = |path: Utf8PathBuf| {
            let text = fs::read_to_string(&path).map_err(|e| missing(&path, e))?;
            certificates(&text).map_err(|f| f.context(&path))
        };
        let idevid = read(self.certificate())?;
        fs::metadata(self.key()).map_err(|e| missing(&self.key(), e))?;
        let own = idevid.first().ok_or_else(|| Fault::conflict(format!("{} holds no certificate", self.certificate())))?;
        let (serial_number, issuer_key) = artefact::identity(own).ok_or_else(|| {
            Fault::conflict(format!("{}: its subject has no serialNumber (IEEE 802.1AR): it is no IDevID", self.certificate()))
        })?;
        Ok(Device { serial_number, issuer_key, voucher_anchors: read(self.identity.join("voucher-anchors.pem"))? })
    }

    fn openssl(&self) -> OpenSsl {
        OpenSsl::new(self.work.clone(), Some((self.key(), self.certificate())))
    }

    /// A clock before the day of the running program is not believed (see [`Now::of`]).
    fn now(&self) -> Now {
        software_made().map_or(Now::Unknown, |made| Now::of(crate::host::clock::SystemClock::default().now(), made))
    }
}

/// The day that the file of the running program bears.
fn software_made() -> Option<Stamp> {
    let made = std::env::current_exe().and_then(fs::metadata).and_then(|m| m.modified());
    let made = made.ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    u64::try_from(made.as_millis()).ok().map(Stamp)
}

impl Default for Place {
    /// On a box.
    fn default() -> Place {
        Place {
            identity: "/etc/bothy/ztp".into(),
            state: "/var/lib/bothy/ztp".into(),
            config: "/etc/bothy/bothy.toml".into(),
            work: "/var/lib/bothy/ztp/work".into(),
        }
    }
}

/// What lies in a folder of removable storage; `None`: no bootstrapping data.
pub fn stick(folder: &Utf8Path) -> Result<Option<Artefacts>> {
    let read = |name: &str| -> Result<Option<Vec<u8>>> {
        let path = folder.join(name);
        let fail = |e: std::io::Error| Fault::transient(format!("cannot read {path}: {e}"));
        // The stick is anybody's: a link may lead to a file without an end, and a pipe is never ready.
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let file = match fs::OpenOptions::new().read(true).custom_flags(flags).open(&path) {
            Ok(f) => f,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        if !file.metadata().map_err(fail)?.is_file() {
            return Err(Fault::invalid(format!("{path} is no file")));
        }
        let mut bytes = Vec::new();
        file.take(LIMIT as u64 + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() > LIMIT {
            return Err(Fault::invalid(format!("{path}: {LIMIT} bytes are the most")));
        }
        Ok(Some(bytes))
    };
    let Some(conveyed) = read(CONVEYED)? else { return Ok(None) };
    Ok(Some(Artefacts { conveyed, owner_certificate: read(OWNER)?, voucher: read(VOUCHER)? }))
}

/// The software of this box, as `boot-image` names it.
pub fn running() -> Running {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let image = release.lines().find_map(|l| l.strip_prefix("IMAGE_VERSION=")).map(|v| v.trim_matches('"').to_owned());
    Running { name: "bothy".into(), version: image.unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()) }
}

pub fn reset(place: &Place) -> Result<()> {
    let _alone = before::alone(&place.state)?;
    let mut s = status::read(&place.state)?;
    if s.state == State::Running {
        script::stop();
        before::take_back(place, &s)?;
    }
    s.turn(Turn::Reset)?;
    // What came beside the configuration of before stays, as that does.
    status::write(&Status { state: s.state, ..Status::default() }, &place.state)
}
