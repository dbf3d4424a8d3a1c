//! Room for what is no disk of a guest: uploads, and what is unpacked of packages.
//!
//! Owns what of it there is already, and so takes nothing. Never: the sum itself (`vim::room`).

use std::{
    collections::HashMap,
    sync::{MutexGuard, PoisonError},
};

use super::Vnfm;
use crate::{
    model::{
        error::Result,
        package::PackageFile,
        size::{Bytes, MiB},
        snapshot::VnfSnapshot,
        vnf::Reservation,
    },
    vim::room::Room,
};

impl Vnfm {
    /// So many bytes may be written, `what` for; or it is refused with what is free, and for whom the rest is.
    pub fn room_for(&self, what: &str, wanted: Bytes) -> Result<()> {
        let rules = self.rules();
        let promised = self.store.list::<Reservation>()?.iter().fold(MiB(0), |sum, r| sum.plus(r.disk));
        let promised = self.store.list::<VnfSnapshot>()?.iter().fold(promised, |sum, s| sum.plus(s.disk()));
        Room::new(self.images.room()?, rules.reserve_disk, promised, rules.overcommit.disk).check(what, wanted)
    }

    /// The files of a package have room beside its archive, until what is returned is dropped; `is_image` are those
    /// that become base images.
    pub fn room_to_unpack(&self, files: &[PackageFile], is_image: impl Fn(&PackageFile) -> bool) -> Result<MutexGuard<'_, ()>> {
        let turn = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = HashMap::new();
        for f in files {
            let there = if is_image(f) { self.images.has_base(&f.sha256)? } else { self.layout.artifact(&f.sha256).exists() };
            if !there {
                new.insert(f.sha256, f.size.0);
            }
        }
        if !new.is_empty() {
            self.room_for("to unpack the package", Bytes(new.values().sum()))?;
        }
        Ok(turn)
    }
}
