//! The catalogue of NSDs and PNFDs: from an uploaded archive to a descriptor that can be used (SOL005 5.4).
//!
//! Owns the way that both go: states as for VNF packages (`vnfm::package`), reading in the background, taking
//! up after a restart. Never: HTTP, what is in a descriptor (`nsds`, `pnfds`).

use std::sync::Arc;

use smol_str::SmolStr;
use tracing::{info, warn};

use super::Nfvo;
use crate::{
    descriptor::{Archive, Limits},
    model::{
        error::{Fault, Result},
        package::{Entry, Onboarding, Operational, PackageFile},
    },
    store::Durability,
    vnfm::{
        package::{Upload, guarded},
        rival::Described,
    },
};

/// A record with an archive behind it.
pub trait Catalogued: Described<Key: Send + 'static> {
    fn entry(&mut self) -> Entry<'_>;
    fn archive(&self) -> Option<&PackageFile>;
    fn revise(&mut self);
    /// This record with all that its archive says, its files in their places.
    fn read(self, nfvo: &Nfvo, archive: &mut Archive, limits: &Limits) -> Result<Self>;
    /// Takes over what was read.
    fn take(&mut self, read: &Self);

    fn missing(id: &Self::Key) -> Fault {
        Fault::not_found(format!("there is no {} {id}", Self::WHAT))
    }
}

impl Nfvo {
    pub fn begin_upload<R: Catalogued>(&self, id: R::Key) -> Result<()> {
        self.set::<R>(id, Durability::Lazy, |r| r.entry().begin_upload()).map(drop)
    }

    pub fn abort_upload<R: Catalogued>(&self, id: R::Key) -> Result<()> {
        self.set::<R>(id, Durability::Lazy, |r| {
            r.entry().abort_upload();
            Ok(())
        })
        .map(drop)
    }

    pub fn uploaded<R: Catalogued>(self: &Arc<Self>, id: R::Key, upload: Upload) -> Result<()> {
        self.vnfm.with_archive(&upload, |kept| {
            let archive = match kept {
                Ok(archive) => archive,
                Err(fault) => return self.abort_upload::<R>(id).and(Err(fault)),
            };
            self.set::<R>(id, Durability::Barrier, |r| {
                r.entry().uploaded(&archive);
                Ok(())
            })
            .map(drop)
        })?;
        self.process_in_background::<R>(id)
    }

    fn process_in_background<R: Catalogued>(self: &Arc<Self>, id: R::Key) -> Result<()> {
        let me = self.clone();
        std::thread::Builder::new()
            .name("onboard".into())
            .spawn(move || me.process::<R>(id))
            .map(drop)
            .map_err(|e| Fault::transient("cannot start the onboarding").with_source(e))
    }

    /// What a restart found half way: reading goes on, an upload that broke off is void.
    pub fn resume<R: Catalogued>(self: &Arc<Self>) -> Result<()> {
        for r in self.vnfm.store().list::<R>()? {
            match r.onboarding() {
                Onboarding::Processing => self.process_in_background::<R>(r.key())?,
                Onboarding::Uploading => self.abort_upload::<R>(r.key())?,
                Onboarding::Created | Onboarding::Onboarded | Onboarding::Error => {}
            }
        }
        Ok(())
    }

    fn process<R: Catalogued>(&self, id: R::Key) {
        let result = guarded(|| self.read_archive::<R>(id)).and_then(|read| self.end::<R>(&read)).or_else(|fault| {
            warn!(what = R::WHAT, %id, "onboarding failed: {fault:?}");
            self.set::<R>(id, Durability::Barrier, |r| {
                r.entry().failed(fault.record());
                Ok(())
            })
        });
        match result {
            Ok(r) => info!(what = R::WHAT, %id, state = ?r.onboarding(), "onboarding over"),
            // Deleted meanwhile, or the store is gone: a start takes it up again.
            Err(fault) => warn!(what = R::WHAT, %id, "the end of an onboarding cannot be stored: {fault:?}"),
        }
    }

    /// ONBOARDED, with what was read.
    pub(crate) fn end<R: Catalogued>(&self, read: &R) -> Result<R> {
        self.vnfm.end_onboarding::<R>(read.key(), |r| {
            r.entry().onboarded();
            r.take(read);
            r.revise();
        })
    }

    /// The record as its archive has it, not stored.
    pub(crate) fn read_archive<R: Catalogued>(&self, id: R::Key) -> Result<R> {
        let r: R = self.vnfm.store().require(&id)?;
        let file = r.archive().ok_or_else(|| Fault::bug("a descriptor without archive is processed"))?;
        let limits = Limits::default();
        let path = self.vnfm.layout().artifact(&file.sha256);
        let mut archive = Archive::open(path.as_std_path(), &limits).map_err(Fault::from)?;
        r.read(self, &mut archive, &limits)
    }

    /// State and user data. `allowed` sees the record in the transaction, before it is changed.
    pub fn modify<R: Catalogued>(
        &self,
        id: R::Key,
        operational: Option<Operational>,
        user_data: impl Fn(&[(SmolStr, String)]) -> Option<Vec<(SmolStr, String)>>,
        allowed: impl Fn(&R) -> Result<()>,
    ) -> Result<R> {
        self.set::<R>(id, Durability::Barrier, |r| {
            allowed(r)?;
            let entry = r.entry();
            let data = user_data(entry.user_data);
            entry.modify(operational, data)
        })
    }

    /// Only when it is not in use, and disabled if it has such a state (SOL005 5.4.3.3.5, 5.4.6.3.5).
    pub fn delete<R: Catalogued>(&self, id: R::Key, allowed: impl Fn(&R) -> Result<()>) -> Result<()> {
        self.vnfm.store().write(Durability::Barrier, |tx| {
            let mut r: R = tx.get(&id)?.ok_or_else(|| R::missing(&id))?;
            allowed(&r)?;
            r.entry().check_removable()?;
            tx.delete::<R>(&id).map(drop)
        })?;
        self.vnfm.sweep_artifacts().map(drop)
    }

    fn set<R: Catalogued>(&self, id: R::Key, durability: Durability, change: impl Fn(&mut R) -> Result<()>) -> Result<R> {
        self.vnfm.store().write(durability, |tx| {
            let mut r: R = tx.get(&id)?.ok_or_else(|| R::missing(&id))?;
            change(&mut r)?;
            r.revise();
            tx.put(&r)?;
            Ok(r)
        })
    }
}
