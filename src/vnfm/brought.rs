//! Packages that come from the central NFVO whose VNFs are to be made of them (SOL003 10).
//!
//! Owns the record of where such a package came from, that it is fetched once at a time, and that what came is what was
//! offered: its digest, and the VNFD that it was asked for by. Never: HTTP.

use std::sync::{Arc, PoisonError};

use super::{Vnfm, artefact::digest, package::Upload};
use crate::{
    descriptor::digest::Algorithm,
    model::{
        central::Brought,
        error::{Fault, Result},
        id::{ProjectId, VnfPkgId},
        package::{Onboarding, VnfPackage},
    },
    store::Durability,
};

/// A package as its NFVO tells of it.
#[derive(Debug, Clone)]
pub struct Offer {
    pub project: ProjectId,
    /// Its package there is nobody's yet.
    pub of: Brought,
}

impl Vnfm {
    /// What of a project has this VNFD, or is on its way to have it from this NFVO; or has failed on the way.
    pub fn package_or_brought(&self, project: ProjectId, nfvo: &str, vnfd_id: &str) -> Result<Option<VnfPackage>> {
        let all = self.store.list::<VnfPackage>()?;
        let mine = || all.iter().filter(|p| p.project == project);
        let with = || mine().filter(|p| p.vnfd.as_ref().is_some_and(|v| v.id == vnfd_id));
        // What was onboarded by hand meanwhile goes before what has failed.
        if let Some(p) = with().find(|p| p.onboarding == Onboarding::Onboarded).or_else(|| with().next()) {
            return Ok(Some(p.clone()));
        }
        let brought = self.store.list::<Brought>()?.into_iter().filter(|b| b.nfvo == nfvo && b.vnfd_id == vnfd_id);
        let ids: Vec<VnfPkgId> = brought.map(|b| b.package).collect();
        let found = mine().find(|p| ids.contains(&p.id)).cloned();
        Ok(found)
    }

    /// The package whose upload begins now, unless it is here or under way; whether it has begun with this.
    pub fn begin_bringing(&self, offer: &Offer) -> Result<(VnfPkgId, bool)> {
        if Algorithm::parse(&offer.of.algorithm).is_none() {
            return Err(Fault::conflict(format!(
                "NFVO {} has a checksum of its package by '{}', which is not known here: {} are",
                offer.of.nfvo,
                offer.of.algorithm,
                Algorithm::NAMES
            )));
        }
        let _one = self.bringing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.package_or_brought(offer.project, &offer.of.nfvo, &offer.of.vnfd_id)?;
        let mut p = match found {
            Some(p) => match p.onboarding {
                Onboarding::Uploading | Onboarding::Processing | Onboarding::Onboarded => return Ok((p.id, false)),
                // It was begun before, and came to nothing.
                Onboarding::Created | Onboarding::Error => p,
            },
            None => self.draft_package(offer.project, Vec::new()),
        };
        p.entry().begin_upload()?;
        p.revision += 1;
        let of = Brought { package: p.id, ..offer.of.clone() };
        self.store.write(Durability::Barrier, |tx| {
            tx.put(&p)?;
            tx.put(&of)
        })?;
        Ok((p.id, true))
    }

    /// All of it came: it is read in the background if it is what was offered.
    pub fn brought(self: &Arc<Self>, id: VnfPkgId, upload: Upload) -> Result<()> {
        let of = self.store.get::<Brought>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF package {id}")))?;
        let found = digest(&upload, &of.algorithm)?;
        if !found.eq_ignore_ascii_case(of.hash.trim()) {
            return Err(Fault::invalid(format!(
                "what NFVO {} sent as its package {} has the {} {found}, and its own words are {}: it is not used",
                of.nfvo, of.theirs, of.algorithm, of.hash
            )));
        }
        self.uploaded(id, upload)
    }

    /// What was read is what was asked for.
    pub(super) fn check_brought(&self, id: VnfPkgId, vnfd_id: &str) -> Result<()> {
        match self.store.get::<Brought>(&id)? {
            Some(of) if of.vnfd_id != vnfd_id => Err(Fault::invalid(format!(
                "NFVO {} says that its package {} has the VNFD '{}', and what it sent has '{vnfd_id}'",
                of.nfvo, of.theirs, of.vnfd_id
            ))),
            Some(_) | None => Ok(()),
        }
    }
}
