//! The configuration of before, kept for as long as it is not certain that the new one stays; and who may be at it.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::PermissionsExt as _,
};

use camino::{Utf8Path, Utf8PathBuf};
use nix::fcntl::{Flock, FlockArg};

use super::{Place, State, Status, status};
use crate::{
    host::{durable, notes::clear},
    model::error::{Fault, Result},
    ztp::{
        report::{LONGEST_MESSAGE, Progress, Report},
        status::Turn,
    },
};

fn file(place: &Place) -> Utf8PathBuf {
    place.state.join("before.toml")
}
/// There was none.
fn none(place: &Place) -> Utf8PathBuf {
    place.state.join("before.none")
}

/// Nobody else is at it for as long as this lives.
pub fn alone(state: &Utf8Path) -> Result<Flock<File>> {
    durable::ensure_folder(state, 0o700)?;
    let path = state.join("lock");
    let lock = File::options().create(true).truncate(false).write(true).open(&path);
    let lock = lock.map_err(|e| Fault::transient(format!("cannot open {path}: {e}")))?;
    Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|_| Fault::conflict("zero touch is at work already: `bothy ztp status`"))
}

/// Nothing of an earlier run is there any more: nothing of it is taken back, and contents that were encrypted, or a script, which a
/// power cut has left, are gone.
pub fn clean(place: &Place) -> Result<()> {
    forget(place)?;
    match fs::remove_dir_all(&place.work) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Fault::transient(format!("cannot empty {}: {e}", place.work))),
        Ok(()) | Err(_) => {}
    }
    durable::ensure_folder(&place.work, 0o700)
}

/// From here on there is something to take back, and this is what a failure leads to. Not before: an operator may write the
/// configuration while servers are asked.
pub fn keep(place: &Place) -> Result<()> {
    match fs::read(&place.config) {
        Ok(bytes) => {
            let mode = fs::metadata(&place.config).map_or(0o600, |m| m.permissions().mode() & 0o7777);
            durable::ensure_file(&file(place), &bytes, mode)?;
            durable::remove(&none(place))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            durable::ensure_file(&none(place), b"", 0o600)?;
            durable::remove(&file(place))
        }
        Err(e) => Err(Fault::transient(format!("cannot read {}: {e}", place.config))),
    }
}

/// The configuration is again what it was, its mode too, and what came beside the other one is gone. Where nothing was kept, nothing
/// was changed.
pub fn take_back(place: &Place, status: &Status) -> Result<()> {
    drop_files(place, status)?;
    match fs::read(file(place)) {
        Ok(bytes) => {
            let mode = fs::metadata(file(place)).map_or(0o600, |m| m.permissions().mode() & 0o7777);
            durable::ensure_file(&place.config, &bytes, mode)?;
        }
        Err(e) if e.kind() == ErrorKind::NotFound && none(place).exists() => durable::remove(&place.config)?,
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(Fault::transient(format!("cannot read {}: {e}", file(place)))),
    }
    forget(place)
}

/// There is nothing to take back any more.
pub fn forget(place: &Place) -> Result<()> {
    durable::remove(&file(place))?;
    durable::remove(&none(place))?;
    if place.state.exists() { durable::sync_folder(&place.state) } else { Ok(()) }
}

/// The folder of what comes beside the configuration; `None`: this status is of a run that has none.
pub fn files(place: &Place, status: &Status) -> Option<Utf8PathBuf> {
    // The name is our own, and still: what is removed lies below the state.
    let own = status.files.starts_with("files-") && !status.files.contains('/');
    own.then(|| place.state.join(&status.files))
}

pub fn drop_files(place: &Place, status: &Status) -> Result<()> {
    let Some(folder) = files(place, status) else { return Ok(()) };
    clear(&folder)
}

/// A run that a power cut ended is taken back before the daemon reads its configuration. A run that goes on is left alone.
pub fn mend(place: &Place) -> Result<bool> {
    if !place.state.exists() || status::read(&place.state)?.state != State::Running {
        return Ok(false);
    }
    let Ok(_alone) = alone(&place.state) else { return Ok(false) };
    let mut now = status::read(&place.state)?;
    if now.state != State::Running {
        return Ok(false);
    }
    super::script::stop();
    take_back(place, &now)?;
    now.turn(Turn::Failed)?;
    status::write(&now, &place.state)?;
    Ok(true)
}

pub fn is_unproven(place: &Place) -> bool {
    status::read(&place.state).is_ok_and(|s| s.state == State::Bootstrapped && s.unproven)
}

/// The daemon has come up by what was conveyed: that stays, and of folders of earlier runs what it does not name goes.
pub fn proven(place: &Place) -> Result<()> {
    if !is_unproven(place) {
        return Ok(());
    }
    let _alone = alone(&place.state)?;
    let mut now = status::read(&place.state)?;
    now.unproven = false;
    status::write(&now, &place.state)?;
    forget(place)?;
    let config = fs::read_to_string(&place.config).map_err(|e| Fault::transient(format!("cannot read {}: {e}", place.config)))?;
    let all = place.state.read_dir_utf8().map_err(|e| Fault::transient(format!("cannot read {}: {e}", place.state)))?;
    for old in all.flatten().map(|e| e.file_name().to_owned()).filter(|n| *n != now.files && !config.contains(n.as_str())) {
        drop_files(place, &Status { files: old, ..Status::default() })?;
    }
    Ok(())
}

/// The daemon does not come up by what was conveyed: the configuration of before is back, and servers are asked again. False: it has
/// come up by this one, so it is not taken back.
pub fn unfit(place: &Place, why: &Fault) -> Result<bool> {
    if !is_unproven(place) {
        return Ok(false);
    }
    let _alone = alone(&place.state)?;
    let mut now = status::read(&place.state)?;
    take_back(place, &now)?;
    now.turn(Turn::Unfit)?;
    now.unproven = false;
    let message = format!("bothy does not start by the conveyed configuration: {}", why.detail());
    let message = super::run::shortened(&message, LONGEST_MESSAGE);
    now.reports.push(Report { progress: Progress::BootstrapError, message });
    status::write(&now, &place.state)?;
    Ok(true)
}
