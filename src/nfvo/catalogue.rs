//! The catalogue of NSDs: from an uploaded archive to a service that can be made (SOL005 5.4).
//!
//! States as for VNF packages (`vnfm::package`). The VNFDs a service names must be onboarded when
//! its descriptor is: what is missing is said at once. Never: HTTP, how a descriptor is read.

use std::sync::Arc;

use smol_str::SmolStr;
use tracing::{info, warn};

use super::Nfvo;
use crate::{
    descriptor::{Archive, Limits, attach_by_id, check_against, read_nsd_archive},
    model::{
        error::{Fault, Kind, Result},
        id::{NsdInfoId, ProjectId},
        nsd::Nsd,
        package::{NsDescriptor, Onboarding, Operational, VnfPackage},
    },
    store::Durability,
    vnfm::{
        package::{Upload, extract, guarded},
        plan::fresh_uuid,
        sample::Sample,
    },
};

impl Nfvo {
    /// SOL005 5.4.2: a descriptor resource without content.
    pub fn create_nsd(&self, project: ProjectId, user_data: Vec<(SmolStr, String)>) -> Result<NsDescriptor> {
        let d = NsDescriptor {
            id: NsdInfoId(fresh_uuid(&**self.vnfm.dice())),
            project,
            onboarding: Onboarding::Created,
            operational: Operational::Disabled,
            users: 0,
            nsd: None,
            nsd_path: SmolStr::default(),
            manifest_path: None,
            archive: None,
            files: Vec::new(),
            packages: Vec::new(),
            failure: None,
            user_data,
            created: self.vnfm.clock().now(),
            revision: 1,
        };
        self.vnfm.store().write(Durability::Barrier, |tx| tx.put_new(&d))?;
        Ok(d)
    }

    pub fn begin_nsd_upload(&self, id: NsdInfoId) -> Result<()> {
        self.set_nsd(id, Durability::Lazy, |d| d.entry().begin_upload()).map(|_| ())
    }

    pub fn abort_nsd_upload(&self, id: NsdInfoId) -> Result<()> {
        self.set_nsd(id, Durability::Lazy, |d| {
            d.entry().abort_upload();
            Ok(())
        })
        .map(|_| ())
    }

    pub fn nsd_uploaded(self: &Arc<Self>, id: NsdInfoId, upload: Upload) -> Result<()> {
        self.vnfm.with_archive(&upload, |kept| {
            let archive = match kept {
                Ok(archive) => archive,
                Err(fault) => return self.abort_nsd_upload(id).and(Err(fault)),
            };
            self.set_nsd(id, Durability::Barrier, |d| {
                d.entry().uploaded(&archive);
                Ok(())
            })
        })?;
        self.process_in_background(id)
    }

    fn process_in_background(self: &Arc<Self>, id: NsdInfoId) -> Result<()> {
        let me = self.clone();
        std::thread::Builder::new()
            .name("onboard".into())
            .spawn(move || me.process(id))
            .map(|_| ())
            .map_err(|e| Fault::transient("cannot start the onboarding").with_source(e))
    }

    pub fn resume_nsds(self: &Arc<Self>) -> Result<()> {
        for d in self.vnfm.store().list::<NsDescriptor>()? {
            match d.onboarding {
                Onboarding::Processing => self.process_in_background(d.id)?,
                Onboarding::Uploading => self.abort_nsd_upload(d.id)?,
                Onboarding::Created | Onboarding::Onboarded | Onboarding::Error => {}
            }
        }
        Ok(())
    }

    fn process(&self, id: NsdInfoId) {
        let result = match guarded(|| self.onboard(id)) {
            Ok(done) => self.set_nsd(id, Durability::Barrier, |d| {
                d.entry().onboarded();
                d.nsd.clone_from(&done.nsd);
                d.nsd_path.clone_from(&done.nsd_path);
                d.manifest_path.clone_from(&done.manifest_path);
                d.files.clone_from(&done.files);
                d.packages.clone_from(&done.packages);
                Ok(())
            }),
            Err(fault) => {
                warn!(nsd = %id, "onboarding failed: {fault:?}");
                self.set_nsd(id, Durability::Barrier, |d| {
                    d.entry().failed(fault.record());
                    Ok(())
                })
            }
        };
        match result {
            Ok(d) => info!(nsd = %id, state = ?d.onboarding, "onboarding over"),
            Err(fault) => warn!(nsd = %id, "the end of an onboarding cannot be stored: {fault:?}"),
        }
    }

    fn onboard(&self, id: NsdInfoId) -> Result<NsDescriptor> {
        let store = self.vnfm.store();
        let mut d: NsDescriptor = store.require(&id)?;
        let file = d.archive.clone().ok_or_else(|| Fault::bug("a descriptor without archive is processed"))?;
        let limits = Limits::default();
        let path = self.vnfm.layout().artifact(&file.sha256);
        let mut archive = Archive::open(path.as_std_path(), &limits).map_err(Fault::from)?;
        let mut content = read_nsd_archive(&mut archive, &limits).map_err(Fault::from)?;
        let packages = self.fit(id, d.project, &mut content.nsd, &[])?;
        extract(self.vnfm.layout(), &mut archive, &content.files, |_| true)?;
        d.packages = packages.iter().map(|p| p.id).collect();
        d.nsd = Some(content.nsd);
        d.nsd_path = content.nsd_path;
        d.manifest_path = content.manifest_path;
        d.files = content.files;
        Ok(d)
    }

    /// The packages that a descriptor needs, onboarded or among `samples`; from here on its members' connection
    /// points are named as theirs. Refused when another descriptor has its id, or when it and they do not fit.
    pub(super) fn fit(&self, id: NsdInfoId, project: ProjectId, nsd: &mut Nsd, samples: &[Sample]) -> Result<Vec<VnfPackage>> {
        for other in self.vnfm.store().list::<NsDescriptor>()? {
            let rival = other.id != id && other.project == project && other.onboarding == Onboarding::Onboarded;
            if rival && other.nsd.as_ref().is_some_and(|n| n.id == nsd.id) {
                return Err(Fault::conflict(format!(
                    "NSD {} is onboarded already, as {}: delete that one, or give this one an id of its own",
                    nsd.id, other.id
                )));
            }
        }
        let mut packages: Vec<VnfPackage> = Vec::new();
        let mut missing = Vec::new();
        for vnfd in nsd.vnfd_ids() {
            let sample = samples.iter().find(|s| s.package.vnfd.as_ref().is_some_and(|v| v.id == vnfd));
            match sample.map_or_else(|| self.vnfm.package_of(project, &vnfd), |s| Ok(s.package.clone())) {
                Ok(p) => packages.push(p),
                Err(f) if f.kind() == Kind::NotFound => missing.push(format!("{f}: onboard it first")),
                Err(f) => missing.push(f.to_string()),
            }
        }
        if !missing.is_empty() {
            return Err(Fault::conflict("VNFDs of the service are missing").with_reasons(missing));
        }
        let vnfds: Vec<_> = packages.iter().filter_map(|p| p.vnfd.as_ref()).collect();
        let wrong = check_against(nsd, &vnfds);
        if wrong.has_errors() {
            return Err(Fault::from(wrong));
        }
        attach_by_id(nsd, &vnfds);
        Ok(packages)
    }

    pub fn modify_nsd(
        &self,
        id: NsdInfoId,
        operational: Option<Operational>,
        user_data: impl Fn(&[(SmolStr, String)]) -> Option<Vec<(SmolStr, String)>>,
        allowed: impl Fn(&NsDescriptor) -> Result<()>,
    ) -> Result<NsDescriptor> {
        self.set_nsd(id, Durability::Barrier, |d| {
            allowed(d)?;
            let data = user_data(&d.user_data);
            d.entry().modify(operational, data)
        })
    }

    /// Only when disabled and not in use (SOL005 5.4.3.3.5).
    pub fn delete_nsd(&self, id: NsdInfoId, allowed: impl Fn(&NsDescriptor) -> Result<()>) -> Result<()> {
        self.vnfm.store().write(Durability::Barrier, |tx| {
            let mut d: NsDescriptor = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no NSD {id}")))?;
            allowed(&d)?;
            d.entry().check_removable()?;
            tx.delete::<NsDescriptor>(&id).map(drop)
        })?;
        self.vnfm.sweep_artifacts().map(drop)
    }

    fn set_nsd(&self, id: NsdInfoId, durability: Durability, change: impl Fn(&mut NsDescriptor) -> Result<()>) -> Result<NsDescriptor> {
        self.vnfm.store().write(durability, |tx| {
            let mut d: NsDescriptor = tx.get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no NSD {id}")))?;
            change(&mut d)?;
            d.revision += 1;
            tx.put(&d)?;
            Ok(d)
        })
    }
}
