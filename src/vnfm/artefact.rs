//! Artefacts of packages beside their files: sets for others than MANO, and what lies outside (SOL005 9.4.4a, SOL004 4.3).
//!
//! ```text
//! access told (CREATED, ERROR) --> content comes --> each artefact that can be reached is fetched --> PROCESSING
//!        ^                                                    |
//!        `---- ERROR, archive kept <--- one cannot be fetched-'   told anew, only what is missing is fetched again
//! ```
//! What nobody has told access to is not fetched: a package alone makes this box call nobody. Owns the record and what is
//! accepted. Never: HTTP.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{
    Vnfm,
    package::{Upload, keep_archive},
};
use crate::{
    descriptor::{
        Archive, Limits,
        digest::{Algorithm, Digests},
        outside_of,
    },
    model::{
        artefact::{ArtefactAccess, Artefacts, OutsideArtefact, path_of},
        error::{Fault, Result},
        id::VnfPkgId,
        package::{Onboarding, PackageFile, VnfPackage},
    },
    store::Durability,
};

impl Vnfm {
    pub fn artefacts(&self, id: VnfPkgId) -> Result<Option<Artefacts>> {
        self.store.get(&id)
    }

    /// How outside artefacts are reached from now on, all of them; `allowed` sees the record in the transaction. True: the package
    /// has its archive, and what is missing is to be fetched now (SOL005 9.4.4a.3.4).
    pub fn set_access(
        &self,
        id: VnfPkgId,
        access: &[ArtefactAccess],
        allowed: impl Fn(&Artefacts) -> Result<()>,
    ) -> Result<(Artefacts, bool)> {
        self.store.write(Durability::Barrier, |tx| {
            let mut p: VnfPackage = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}")))?;
            let mut a = tx.get(&id)?.unwrap_or_else(|| Artefacts::none(id, p.project));
            allowed(&a)?;
            let goes_on = match p.onboarding {
                Onboarding::Created => false,
                Onboarding::Error => p.archive.is_some(),
                Onboarding::Uploading | Onboarding::Processing | Onboarding::Onboarded => {
                    return Err(Fault::conflict(format!(
                        "VNF package {id} has its content, or it is on its way: access comes before that"
                    )));
                }
            };
            if goes_on {
                p.entry().begin_again()?;
                p.revision += 1;
                tx.put(&p)?;
                a.fetched_elsewhere(access);
            }
            a.access = access.to_vec();
            a.revision += 1;
            tx.put(&a)?;
            Ok((a, goes_on))
        })
    }

    /// What is to be fetched for the archive at `path`, or the one that the package has.
    pub fn wanted_outside(&self, id: VnfPkgId, upload: Option<&Upload>) -> Result<Vec<(OutsideArtefact, ArtefactAccess)>> {
        let Some(a) = self.artefacts(id)?.filter(|a| !a.access.is_empty()) else { return Ok(Vec::new()) };
        let path = match upload {
            Some(u) => u.path.clone(),
            None => {
                let p: VnfPackage = self.store.require(&id)?;
                self.layout.artifact(&p.archive.ok_or_else(|| Fault::bug("a package without its archive"))?.sha256)
            }
        };
        let limits = Limits::default();
        // What is wrong with the archive is told when it is read whole.
        let Ok(mut archive) = Archive::open(path.as_std_path(), &limits) else { return Ok(Vec::new()) };
        let outside = outside_of(&mut archive, &limits);
        let now = self.change_artefacts(&a, |a| {
            let sets = a.sets.clone();
            a.told(&sets, &outside);
        })?;
        Ok(now.wanted().map(|(o, to)| (o.clone(), to.clone())).collect())
    }

    /// One of them has come: it is what the manifest says, or it is refused.
    pub fn keep_outside(&self, id: VnfPkgId, what: &OutsideArtefact, upload: &Upload) -> Result<()> {
        let found = digest(upload, &what.algorithm)?;
        if found != what.hash {
            return Err(Fault::invalid(format!(
                "{}: what came has the {} {found}, the manifest says {}",
                what.uri, what.algorithm, what.hash
            )));
        }
        let file = keep_archive(self.layout.artifact(&upload.sha256), upload)?;
        let a = self.artefacts(id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}")))?;
        self.change_artefacts(&a, |a| {
            for (nth, o) in a.outside.iter_mut().enumerate().filter(|(_, o)| o.uri == what.uri && o.hash == what.hash) {
                o.file = Some(PackageFile { path: path_of(nth, &o.uri, &[]), media_type: SmolStr::default(), ..file.clone() });
            }
        })
        .map(drop)
    }

    /// All that can be reached is here: the archive that the package has is read (again).
    pub fn outside_is_here(self: &Arc<Self>, id: VnfPkgId) -> Result<()> {
        self.set_package(id, Durability::Barrier, |p| {
            p.onboarding = Onboarding::Processing;
            Ok(())
        })?;
        self.process_in_background(id)
    }

    /// What was under way has failed: ERROR. An archive that came is kept, so that what is missing can be fetched later.
    pub fn upload_failed(&self, id: VnfPkgId, upload: Option<&Upload>, why: &Fault) -> Result<()> {
        let end = |archive: Option<PackageFile>| {
            self.set_package(id, Durability::Barrier, |p| {
                if let Some(archive) = &archive {
                    p.entry().uploaded(archive);
                }
                p.entry().failed(why.record());
                Ok(())
            })
            .map(drop)
        };
        match upload {
            Some(u) => self.with_archive(u, |kept| end(kept.ok())),
            None => end(None),
        }
    }

    /// What a package that was read whole says of them. Paths of what was fetched give way to its files.
    pub(super) fn note_artefacts(
        &self,
        p: &VnfPackage,
        files: &[PackageFile],
        sets: &[(SmolStr, SmolStr)],
        outside: &[OutsideArtefact],
    ) -> Result<()> {
        let before = self.artefacts(p.id)?;
        if before.is_none() && sets.is_empty() && outside.is_empty() {
            return Ok(());
        }
        let before = before.unwrap_or_else(|| Artefacts::none(p.id, p.project));
        self.change_artefacts(&before, |a| {
            a.told(sets, outside);
            for (nth, o) in a.outside.iter_mut().enumerate() {
                let path = path_of(nth, &o.uri, files);
                o.file.iter_mut().for_each(|f| f.path.clone_from(&path));
            }
        })
        .map(drop)
    }

    fn change_artefacts(&self, or: &Artefacts, change: impl Fn(&mut Artefacts)) -> Result<Artefacts> {
        self.store.write(Durability::Barrier, |tx| {
            let mut a = tx.get(&or.package)?.unwrap_or_else(|| or.clone());
            // Its package may be gone meanwhile, and then nobody would take this away.
            if tx.get::<VnfPackage>(&or.package)?.is_none() {
                return Err(Fault::not_found(format!("there is no VNF package {}", or.package)));
            }
            change(&mut a);
            tx.put(&a)?;
            Ok(a)
        })
    }
}

/// In hexadecimal.
pub(super) fn digest(upload: &Upload, algorithm: &str) -> Result<String> {
    let algorithm = Algorithm::parse(algorithm).ok_or_else(|| Fault::bug("an algorithm that no manifest may name"))?;
    if algorithm == Algorithm::Sha256 {
        return Ok(data_encoding::HEXLOWER.encode(&upload.sha256));
    }
    let bad = |e: std::io::Error| Fault::transient(format!("cannot read {}", upload.path)).with_source(e);
    let mut file = std::fs::File::open(&upload.path).map_err(bad)?;
    let (mut all, mut piece) = (Digests::new(&[algorithm]), vec![0; 64 << 10]);
    loop {
        match std::io::Read::read(&mut file, &mut piece).map_err(bad)? {
            0 => return all.hex(algorithm).ok_or_else(|| Fault::bug("a digest that was not made")),
            n => all.update(&piece[..n]),
        }
    }
}
