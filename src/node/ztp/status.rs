//! What became of zero touch on this box, kept over restarts: `ztp::status` in a file.

use std::fs;

use camino::Utf8Path;

pub use crate::ztp::status::{State, Status};
use crate::{
    host::durable,
    model::error::{Fault, Result},
};

const FILE: &str = "status.json";

pub fn read(folder: &Utf8Path) -> Result<Status> {
    let path = folder.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| Fault::conflict(format!("{path} cannot be read: {e}"))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Status::default()),
        Err(e) => Err(Fault::transient(format!("cannot read {path}: {e}"))),
    }
}

pub fn write(status: &Status, folder: &Utf8Path) -> Result<()> {
    durable::ensure_folder(folder, 0o700)?;
    let text = serde_json::to_vec_pretty(status).map_err(|e| Fault::bug("a status cannot be written").with_source(e))?;
    durable::ensure_file(&folder.join(FILE), &text, 0o600)
}
