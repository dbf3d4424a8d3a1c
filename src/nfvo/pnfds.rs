//! What is particular to PNFDs: nothing has to be there before one. Never: the way into the catalogue.

use smol_str::SmolStr;

use super::{Nfvo, catalogue::Catalogued};
use crate::{
    descriptor::{Archive, Limits, read_pnfd_archive},
    model::{
        error::{Fault, Result},
        id::{PnfdInfoId, ProjectId},
        ns::NsInstance,
        package::{Entry, Onboarding, PackageFile, PnfDescriptor},
    },
    store::Durability,
    vnfm::{package::extract, plan::fresh_uuid},
};

impl Catalogued for PnfDescriptor {
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
        let content = read_pnfd_archive(archive, limits).map_err(Fault::from)?;
        nfvo.vnfm.check_new::<PnfDescriptor>(&self.id, self.project, &content.pnfd.id)?;
        let _room = nfvo.vnfm.room_to_unpack(&content.files, |_| false)?;
        extract(nfvo.vnfm.layout(), archive, &content.files, |_| true)?;
        Ok(PnfDescriptor {
            pnfd: Some(content.pnfd),
            pnfd_path: content.pnfd_path,
            manifest_path: content.manifest_path,
            files: content.files,
            ..self
        })
    }

    fn take(&mut self, read: &Self) {
        self.pnfd.clone_from(&read.pnfd);
        self.pnfd_path.clone_from(&read.pnfd_path);
        self.manifest_path.clone_from(&read.manifest_path);
        self.files.clone_from(&read.files);
    }
}

impl Nfvo {
    /// Who uses which PNFD, counted from the services there are: before any of them changes.
    pub fn count_pnfs(&self) -> Result<()> {
        let store = self.vnfm.store();
        let all = store.list::<PnfDescriptor>()?;
        if all.is_empty() {
            return Ok(());
        }
        let services = store.list::<NsInstance>()?;
        for d in all {
            let users = services.iter().flat_map(|n| &n.pnfs).filter(|p| p.pnfd_info == Some(d.id)).count() as u32;
            if users != d.users {
                store.write(Durability::Lazy, |tx| tx.put(&PnfDescriptor { users, ..d.clone() }))?;
            }
        }
        Ok(())
    }

    /// SOL005 5.4.5: a descriptor resource without content.
    pub fn create_pnfd(&self, project: ProjectId, user_data: Vec<(SmolStr, String)>) -> Result<PnfDescriptor> {
        let d = PnfDescriptor {
            id: PnfdInfoId(fresh_uuid(&**self.vnfm.dice())),
            project,
            onboarding: Onboarding::Created,
            pnfd: None,
            pnfd_path: SmolStr::default(),
            manifest_path: None,
            archive: None,
            files: Vec::new(),
            failure: None,
            user_data,
            created: self.vnfm.clock().now(),
            revision: 1,
            users: 0,
        };
        self.vnfm.store().write(Durability::Barrier, |tx| tx.put_new(&d))?;
        Ok(d)
    }
}
