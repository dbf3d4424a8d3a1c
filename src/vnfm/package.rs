//! VNF packages: from an uploaded archive to images and artefacts the VNFM can use (SOL005 9.4).
//!
//! ```text
//! CREATED -> UPLOADING -> PROCESSING -> ONBOARDED
//!    ^           |            `-------> ERROR -> UPLOADING (again)
//!    `-----------+ the upload broke off (ERROR, where an archive was being tried again)
//! ```
//! Owns the package records and the content-addressed files behind them. A file is complete and
//! durable before the transaction that names it. Never: HTTP, how a descriptor is read.

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;
use tracing::{info, warn};

use super::{Vnfm, plan::fresh_uuid};
use crate::{
    descriptor::{Archive, Limits, read_vnf_package},
    model::{
        artefact::Artefacts,
        central::Brought,
        error::{Fault, Kind, Result},
        id::{ProjectId, VnfPkgId},
        package::{NsDescriptor, Onboarding, Operational, PackageFile, PnfDescriptor, StoredImage, VnfPackage},
        size::Bytes,
        vnfd::SwImage,
    },
    store::Durability,
    vim::port::{IMAGE_HEAD, ImageInfo},
};

/// An upload that is complete on disk.
#[derive(Debug, Clone)]
pub struct Upload {
    pub path: Utf8PathBuf,
    pub sha256: [u8; 32],
    pub size: Bytes,
}

impl Vnfm {
    /// SOL005 9.4.2: a package resource without content.
    pub fn create_package(&self, project: ProjectId, user_data: Vec<(SmolStr, String)>) -> Result<VnfPackage> {
        let p = self.draft_package(project, user_data);
        self.store.write(Durability::Barrier, |tx| tx.put_new(&p))?;
        Ok(p)
    }

    /// The same under an id that was chosen before; false: it is there.
    pub fn create_package_as(&self, id: VnfPkgId, project: ProjectId) -> Result<bool> {
        let p = VnfPackage { id, ..self.draft_package(project, Vec::new()) };
        self.store.write(Durability::Barrier, |tx| match tx.get::<VnfPackage>(&id)? {
            Some(_) => Ok(false),
            None => tx.put_new(&p).map(|()| true),
        })
    }

    /// An upload begins; refused when there is content already.
    pub fn begin_upload(&self, id: VnfPkgId) -> Result<()> {
        self.set_package(id, Durability::Lazy, |p| p.entry().begin_upload()).map(|_| ())
    }

    /// The upload broke off: the resource is as before.
    pub fn abort_upload(&self, id: VnfPkgId) -> Result<()> {
        self.set_package(id, Durability::Lazy, |p| {
            p.entry().abort_upload();
            Ok(())
        })
        .map(|_| ())
    }

    /// The upload is complete: it is kept durably and read in the background.
    pub fn uploaded(self: &Arc<Self>, id: VnfPkgId, upload: Upload) -> Result<()> {
        self.with_archive(&upload, |kept| {
            let archive = match kept {
                Ok(archive) => archive,
                Err(fault) => return self.abort_upload(id).and(Err(fault)),
            };
            self.set_package(id, Durability::Barrier, |p| {
                p.entry().uploaded(&archive);
                Ok(())
            })
        })?;
        self.process_in_background(id)
    }

    /// Brings an upload to its place and has it named there; no sweep comes in between.
    pub fn with_archive<T>(&self, upload: &Upload, name: impl FnOnce(Result<PackageFile>) -> Result<T>) -> Result<T> {
        let _no_sweep = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        name(keep_archive(self.layout.artifact(&upload.sha256), upload))
    }

    pub(super) fn process_in_background(self: &Arc<Self>, id: VnfPkgId) -> Result<()> {
        let me = self.clone();
        std::thread::Builder::new()
            .name("onboard".into())
            .spawn(move || me.process(id))
            .map(|_| ())
            .map_err(|e| Fault::transient("cannot start the onboarding").with_source(e))
    }

    /// Packages that a restart found half way: processing goes on, an upload that broke off is void.
    pub fn resume_packages(self: &Arc<Self>) -> Result<()> {
        for p in self.store.list::<VnfPackage>()? {
            match p.onboarding {
                Onboarding::Processing => self.process_in_background(p.id)?,
                Onboarding::Uploading => self.abort_upload(p.id)?,
                Onboarding::Created | Onboarding::Onboarded | Onboarding::Error => {}
            }
        }
        Ok(())
    }

    /// Reads the archive; ends ONBOARDED or ERROR with every fault found.
    fn process(&self, id: VnfPkgId) {
        let result = guarded(|| self.onboard(id)).and_then(|done| self.end_package(&done)).or_else(|fault| {
            warn!(package = %id, "onboarding failed: {fault:?}");
            self.set_package(id, Durability::Barrier, |p| {
                p.entry().failed(fault.record());
                Ok(())
            })
        });
        match result {
            Ok(p) => info!(package = %id, state = ?p.onboarding, vnfd = p.vnfd.as_ref().map(|v| v.id.as_str()), "onboarding over"),
            // Deleted meanwhile, or the store is gone: a start takes it up again.
            Err(fault) => warn!(package = %id, "the end of an onboarding cannot be stored: {fault:?}"),
        }
    }

    /// Takes over what was read.
    pub(crate) fn end_package(&self, done: &VnfPackage) -> Result<VnfPackage> {
        self.end_onboarding::<VnfPackage>(done.id, |p| {
            p.entry().onboarded();
            p.vnfd.clone_from(&done.vnfd);
            p.vnfd_path.clone_from(&done.vnfd_path);
            p.manifest_path.clone_from(&done.manifest_path);
            p.files.clone_from(&done.files);
            p.images.clone_from(&done.images);
            p.revision += 1;
        })
    }

    /// The record as its archive has it, not stored; its files are in their places.
    pub(crate) fn onboard(&self, id: VnfPkgId) -> Result<VnfPackage> {
        let mut p: VnfPackage = self.store.require(&id)?;
        let archive_file = p.archive.clone().ok_or_else(|| Fault::bug("a package without archive is processed"))?;
        let limits = Limits::default();
        let path = self.layout.artifact(&archive_file.sha256);
        let mut archive = Archive::open(path.as_std_path(), &limits).map_err(Fault::from)?;
        let content = read_vnf_package(&mut archive, &limits).map_err(Fault::from)?;
        self.check_new::<VnfPackage>(&id, p.project, &content.vnfd.id)?;
        self.check_brought(id, &content.vnfd.id)?;
        let image_paths: HashSet<SmolStr> = content.vnfd.images().iter().map(|i| i.path.clone()).collect();
        let _room = self.room_to_unpack(&content.files, |f| image_paths.contains(&f.path))?;
        extract(&self.layout, &mut archive, &content.files, |f| !image_paths.contains(&f.path))?;
        let mut images = Vec::new();
        let mut faults = Vec::new();
        for image in content.vnfd.images() {
            match self.store_image(&mut archive, image, &content.files) {
                Ok(i) => images.push(i),
                Err(f) => faults.push(f.context(format!("image {}", image.id))),
            }
        }
        images_refused(&faults)?;
        for w in content.warnings.iter() {
            info!(package = %id, "{w}");
        }
        self.note_artefacts(&p, &content.files, &content.sets, &content.outside)?;
        p.vnfd = Some(content.vnfd);
        p.vnfd_path = content.vnfd_path;
        p.manifest_path = content.manifest_path;
        p.files = content.files;
        p.images = images;
        Ok(p)
    }

    /// The record of a package that has no content yet, not stored.
    pub(super) fn draft_package(&self, project: ProjectId, user_data: Vec<(SmolStr, String)>) -> VnfPackage {
        VnfPackage {
            id: VnfPkgId(fresh_uuid(&*self.dice)),
            project,
            onboarding: Onboarding::Created,
            operational: Operational::Disabled,
            users: 0,
            vnfd: None,
            vnfd_path: SmolStr::default(),
            manifest_path: None,
            archive: None,
            files: Vec::new(),
            images: Vec::new(),
            failure: None,
            user_data,
            created: self.clock.now(),
            revision: 1,
        }
    }

    fn store_image(&self, archive: &mut Archive, image: &SwImage, files: &[PackageFile]) -> Result<StoredImage> {
        let file = image_file(image, files)?;
        if self.images.has_base(&file.sha256)? {
            let head = archive.head(&image.path, IMAGE_HEAD)?;
            return Ok(self.stored(image, file, self.images.examine(&head, file.size, image.format)?));
        }
        let temp = self.layout.uploads().join(format!("image-{}", fresh_uuid(&*self.dice)));
        let info = write_entry(archive, &image.path, &temp).and_then(|()| self.images.import(&temp, &file.sha256, image.format));
        let _ = fs::remove_file(&temp);
        let info = info?;
        Ok(self.stored(image, file, info))
    }

    pub(super) fn stored(&self, image: &SwImage, file: &PackageFile, info: ImageInfo) -> StoredImage {
        StoredImage {
            id: image.id.clone(),
            sha256: file.sha256,
            format: info.format,
            size: info.size,
            virtual_size: info.virtual_size,
            stored_at: self.clock.now(),
        }
    }

    /// ENABLED or DISABLED, and user data (SOL005 9.4.3). `user_data` makes new data of the present;
    /// `allowed` sees the record in the transaction, before it is changed.
    pub fn modify_package(
        &self,
        id: VnfPkgId,
        operational: Option<Operational>,
        user_data: impl Fn(&[(SmolStr, String)]) -> Option<Vec<(SmolStr, String)>>,
        allowed: impl Fn(&VnfPackage) -> Result<()>,
    ) -> Result<VnfPackage> {
        self.set_package(id, Durability::Barrier, |p| {
            allowed(p)?;
            let data = user_data(&p.user_data);
            p.entry().modify(operational, data)
        })
    }

    /// Only when disabled and not in use (SOL005 9.4.3.3.5).
    pub fn delete_package(&self, id: VnfPkgId, allowed: impl Fn(&VnfPackage) -> Result<()>) -> Result<()> {
        self.store.write(Durability::Barrier, |tx| {
            let mut p: VnfPackage = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}")))?;
            allowed(&p)?;
            p.entry().check_removable()?;
            tx.delete::<Artefacts>(&id)?;
            tx.delete::<Brought>(&id)?;
            tx.delete::<VnfPackage>(&id).map(drop)
        })?;
        self.sweep_artifacts().map(drop)
    }

    /// Removes images and artefacts that no package names. False while a package is on its way: what
    /// it brings is named at its end.
    pub fn sweep_artifacts(&self) -> Result<bool> {
        let _one = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        // Files first: one that a package written meanwhile names is known by then.
        let present: Vec<Utf8PathBuf> = list_dir(&self.layout.root().join("artifacts"))?;
        let bases = self.images.bases()?;
        let packages = self.store.list::<VnfPackage>()?;
        if packages.iter().any(|p| matches!(p.onboarding, Onboarding::Processing | Onboarding::Uploading)) {
            return Ok(false);
        }
        let nsds = self.store.list::<NsDescriptor>()?;
        if nsds.iter().any(|n| matches!(n.onboarding, Onboarding::Processing | Onboarding::Uploading)) {
            return Ok(false);
        }
        let pnfds = self.store.list::<PnfDescriptor>()?;
        if pnfds.iter().any(|p| matches!(p.onboarding, Onboarding::Processing | Onboarding::Uploading)) {
            return Ok(false);
        }
        let mut named: HashSet<[u8; 32]> = packages.iter().flat_map(|p| p.files.iter().chain(&p.archive)).map(|f| f.sha256).collect();
        named.extend(pnfds.iter().flat_map(|p| p.files.iter().chain(&p.archive)).map(|f| f.sha256));
        named.extend(nsds.iter().flat_map(|n| n.files.iter().chain(&n.archive)).map(|f| f.sha256));
        named.extend(self.store.list::<Artefacts>()?.iter().flat_map(Artefacts::fetched).map(|f| f.sha256));
        let kept: HashSet<Utf8PathBuf> = named.iter().map(|d| self.layout.artifact(d)).collect();
        for path in present.into_iter().filter(|p| !kept.contains(p)) {
            if let Err(error) = fs::remove_file(&path) {
                warn!(%path, %error, "a file that no package names stays");
            }
        }
        let images: HashSet<[u8; 32]> = packages.iter().flat_map(|p| &p.images).map(|i| i.sha256).collect();
        for base in bases.into_iter().filter(|b| !images.contains(b)) {
            if let Err(fault) = self.images.remove_base(&base) {
                warn!("a base image that no package names stays: {fault:?}");
            }
        }
        Ok(true)
    }

    pub(super) fn set_package(
        &self,
        id: VnfPkgId,
        durability: Durability,
        change: impl Fn(&mut VnfPackage) -> Result<()>,
    ) -> Result<VnfPackage> {
        self.store.write(durability, |tx| {
            let mut p: VnfPackage = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}")))?;
            change(&mut p)?;
            p.revision += 1;
            tx.put(&p)?;
            Ok(p)
        })
    }
}

/// Moves a complete upload to its place under its digest.
pub(super) fn keep_archive(to: Utf8PathBuf, upload: &Upload) -> Result<PackageFile> {
    let failed = |e: io::Error| Fault::transient(format!("cannot keep the upload as {to}")).with_source(e);
    File::open(&upload.path).and_then(|f| f.sync_all()).map_err(failed)?;
    fs::rename(&upload.path, &to).map_err(failed)?;
    sync_parent(&to)?;
    Ok(PackageFile { path: SmolStr::default(), sha256: upload.sha256, size: upload.size, media_type: "application/zip".into() })
}

/// Names temporary files of this run; what an earlier run left is cleared at start.
static TEMPORARY: AtomicU64 = AtomicU64::new(0);

/// A package that makes the reading panic is an error of that package, not its end.
pub fn guarded<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|_| Err(Fault::bug("reading the package failed inside Bothy; the log has where")))
}

/// Brings files of an archive to their content-addressed places, durably.
pub fn extract(
    layout: &crate::model::domain::Layout,
    archive: &mut Archive,
    files: &[PackageFile],
    wanted: impl Fn(&PackageFile) -> bool,
) -> Result<()> {
    for f in files.iter().filter(|f| wanted(f)) {
        let to = layout.artifact(&f.sha256);
        if to.exists() {
            continue;
        }
        // Two packages onboarded at one time may bring the same file.
        let temp = layout.uploads().join(format!("file-{}", TEMPORARY.fetch_add(1, Ordering::Relaxed)));
        let placed = write_entry(archive, &f.path, &temp)
            .and_then(|()| fs::rename(&temp, &to).map_err(|e| Fault::transient(format!("cannot write {to}")).with_source(e)));
        if placed.is_err() {
            let _ = fs::remove_file(&temp);
        }
        placed?;
    }
    sync_parent(&layout.artifact(&[0; 32]))
}

/// The file of an image in its package, with the digest that the descriptor says.
pub(super) fn image_file<'a>(image: &SwImage, files: &'a [PackageFile]) -> Result<&'a PackageFile> {
    let file =
        files.iter().find(|f| f.path == image.path).ok_or_else(|| Fault::invalid(format!("file {} is not in the package", image.path)))?;
    match image.sha256 {
        Some(want) if want != file.sha256 => Err(Fault::invalid(format!("{} has another SHA-256 than the descriptor says", image.path))),
        Some(_) | None => Ok(file),
    }
}

/// What is wrong with the images of one package.
pub(super) fn images_refused(faults: &[Fault]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let kind = if faults.iter().all(Fault::is_transient) { Kind::Transient } else { Kind::Invalid };
    Err(Fault::new(kind, "the package's images cannot be used").with_reasons(faults.iter().map(ToString::to_string)))
}

/// One file of an archive as a file of its own.
pub fn write_entry(archive: &mut Archive, path: &str, to: &Utf8Path) -> Result<()> {
    let failed = |e: io::Error| {
        let full = e.kind() == io::ErrorKind::StorageFull;
        let text =
            if full { format!("the file system of {to} is full: free some room, then upload again") } else { format!("cannot write {to}") };
        Fault::transient(text).with_source(e)
    };
    let mut out = OpenOptions::new().write(true).create(true).truncate(true).open(to).map_err(failed)?;
    archive.stream(path, &mut out, &[])?;
    out.sync_all().map_err(failed)
}

fn sync_parent(path: &Utf8Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    File::open(parent).and_then(|d| d.sync_all()).map_err(|e| Fault::transient(format!("cannot sync {parent}")).with_source(e))
}

fn list_dir(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let entries = dir.read_dir_utf8().map_err(|e| Fault::transient(format!("cannot list {dir}")).with_source(e))?;
    entries.map(|e| e.map(|e| e.into_path()).map_err(|e| Fault::transient(format!("cannot list {dir}")).with_source(e))).collect()
}
