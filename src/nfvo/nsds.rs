//! What is particular to NSDs: the VNFDs that a service names must be onboarded when its descriptor is, and
//! what is missing is said at once. Never: the way into the catalogue.

use smol_str::SmolStr;

use super::{Nfvo, catalogue::Catalogued};
use crate::{
    descriptor::{Archive, Limits, attach_by_id, check_against, read_nsd_archive},
    model::{
        error::{Fault, Kind, Result},
        id::{NsdInfoId, ProjectId},
        nsd::Nsd,
        package::{Entry, NsDescriptor, Onboarding, Operational, PackageFile, VnfPackage},
    },
    store::Durability,
    vnfm::{package::extract, plan::fresh_uuid, sample::Sample},
};

impl Catalogued for NsDescriptor {
    fn entry(&mut self) -> Entry<'_> {
        self.entry()
    }
    fn archive(&self) -> Option<&PackageFile> {
        self.archive.as_ref()
    }
    fn revise(&mut self) {
        self.revision += 1;
    }

    fn read(self, nfvo: &Nfvo, archive: &mut Archive, limits: &Limits) -> Result<Self> {
        let mut content = read_nsd_archive(archive, limits).map_err(Fault::from)?;
        let packages = nfvo.fit(self.id, self.project, &mut content.nsd, &[])?;
        let _room = nfvo.vnfm.room_to_unpack(&content.files, |_| false)?;
        extract(nfvo.vnfm.layout(), archive, &content.files, |_| true)?;
        Ok(NsDescriptor {
            packages: packages.iter().map(|p| p.id).collect(),
            nsd: Some(content.nsd),
            nsd_path: content.nsd_path,
            manifest_path: content.manifest_path,
            files: content.files,
            ..self
        })
    }

    fn take(&mut self, read: &Self) {
        self.nsd.clone_from(&read.nsd);
        self.nsd_path.clone_from(&read.nsd_path);
        self.manifest_path.clone_from(&read.manifest_path);
        self.files.clone_from(&read.files);
        self.packages.clone_from(&read.packages);
    }
}

impl Nfvo {
    /// SOL005 5.4.2: a descriptor resource without content.
    pub fn create_nsd(&self, project: ProjectId, user_data: Vec<(SmolStr, String)>) -> Result<NsDescriptor> {
        let d = self.draft_nsd(NsdInfoId(fresh_uuid(&**self.vnfm.dice())), project, user_data);
        self.vnfm.store().write(Durability::Barrier, |tx| tx.put_new(&d))?;
        Ok(d)
    }

    /// The same under an id that was chosen before; false: it is there.
    pub fn create_nsd_as(&self, id: NsdInfoId, project: ProjectId) -> Result<bool> {
        let d = self.draft_nsd(id, project, Vec::new());
        self.vnfm.store().write(Durability::Barrier, |tx| match tx.get::<NsDescriptor>(&id)? {
            Some(_) => Ok(false),
            None => tx.put_new(&d).map(|()| true),
        })
    }

    fn draft_nsd(&self, id: NsdInfoId, project: ProjectId, user_data: Vec<(SmolStr, String)>) -> NsDescriptor {
        NsDescriptor {
            id,
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
        }
    }

    /// The packages that a descriptor needs, onboarded or among `samples`; from here on its members' connection
    /// points are named as theirs. Refused when another descriptor has its id, or when it and they do not fit.
    pub(super) fn fit(&self, id: NsdInfoId, project: ProjectId, nsd: &mut Nsd, samples: &[Sample]) -> Result<Vec<VnfPackage>> {
        self.vnfm.check_new::<NsDescriptor>(&id, project, &nsd.id)?;
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
}
