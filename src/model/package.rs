//! Onboarded packages and descriptors, as records of the catalogue.
//!
//! Owns their states (SOL005 9.5.4, 5.5.4) and how they move, which is the same for both. The files of a package are content-addressed in the
//! data directory and named from here. Never: parsing.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, FaultRecord, Result},
    id::{NsdInfoId, PnfdInfoId, ProjectId, VnfPkgId},
    nsd::Nsd,
    pnfd::Pnfd,
    size::{Bytes, MiB},
    time::Stamp,
    vnfd::{ImageFormat, Vnfd},
};

/// SOL005 9.5.4.3 and 5.5.4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Onboarding {
    Created,
    Uploading,
    Processing,
    Onboarded,
    Error,
}

/// SOL005 9.5.4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operational {
    Enabled,
    Disabled,
}

/// A file of a package, stored once under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageFile {
    /// Path in the package.
    pub path: SmolStr,
    pub sha256: [u8; 32],
    pub size: Bytes,
    pub media_type: SmolStr,
}

/// A software image after onboarding: checked, its digest and virtual size known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredImage {
    /// `SwImage.id` of the VNFD.
    pub id: SmolStr,
    pub sha256: [u8; 32],
    pub format: ImageFormat,
    pub size: Bytes,
    pub virtual_size: MiB,
    pub stored_at: Stamp,
}

/// `VnfPkgInfo` (SOL005 9.5.2.5) as a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnfPackage {
    pub id: VnfPkgId,
    pub project: ProjectId,
    pub onboarding: Onboarding,
    pub operational: Operational,
    /// How many VNF instances refer to it; in use when above 0.
    pub users: u32,
    pub vnfd: Option<Vnfd>,
    /// Path of the VNFD's main file in the package.
    pub vnfd_path: SmolStr,
    pub manifest_path: Option<SmolStr>,
    /// Digest and size of the archive itself.
    pub archive: Option<PackageFile>,
    pub files: Vec<PackageFile>,
    pub images: Vec<StoredImage>,
    pub failure: Option<FaultRecord>,
    pub user_data: Vec<(SmolStr, String)>,
    pub created: Stamp,
    pub revision: u64,
}

/// `NsdInfo` (SOL005 5.5.2.2) as a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NsDescriptor {
    pub id: NsdInfoId,
    pub project: ProjectId,
    pub onboarding: Onboarding,
    pub operational: Operational,
    pub users: u32,
    pub nsd: Option<Nsd>,
    pub nsd_path: SmolStr,
    pub manifest_path: Option<SmolStr>,
    pub archive: Option<PackageFile>,
    pub files: Vec<PackageFile>,
    /// The packages its VNFDs were found in when it was onboarded.
    pub packages: Vec<VnfPkgId>,
    pub failure: Option<FaultRecord>,
    pub user_data: Vec<(SmolStr, String)>,
    pub created: Stamp,
    pub revision: u64,
}

/// `PnfdInfo` (SOL005 5.5.2.5) as a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnfDescriptor {
    pub id: PnfdInfoId,
    pub project: ProjectId,
    pub onboarding: Onboarding,
    pub pnfd: Option<Pnfd>,
    pub pnfd_path: SmolStr,
    pub manifest_path: Option<SmolStr>,
    pub archive: Option<PackageFile>,
    pub files: Vec<PackageFile>,
    pub failure: Option<FaultRecord>,
    pub user_data: Vec<(SmolStr, String)>,
    pub created: Stamp,
    pub revision: u64,
    /// PNFs of services.
    pub users: u32,
}

/// What a package and a descriptor have in common: the place of its content in the catalogue.
pub struct Entry<'r> {
    /// For people: what it is, and what its users are.
    pub what: String,
    pub users_are: &'static str,
    pub users: u32,
    pub onboarding: &'r mut Onboarding,
    /// PNFDs have none.
    pub operational: Option<&'r mut Operational>,
    pub archive: &'r mut Option<PackageFile>,
    pub failure: &'r mut Option<FaultRecord>,
    pub user_data: &'r mut Vec<(SmolStr, String)>,
}

impl VnfPackage {
    pub fn entry(&mut self) -> Entry<'_> {
        Entry {
            what: format!("VNF package {}", self.id),
            users_are: "VNF instances",
            users: self.users,
            onboarding: &mut self.onboarding,
            operational: Some(&mut self.operational),
            archive: &mut self.archive,
            failure: &mut self.failure,
            user_data: &mut self.user_data,
        }
    }
}

impl NsDescriptor {
    pub fn entry(&mut self) -> Entry<'_> {
        Entry {
            what: format!("NSD {}", self.id),
            users_are: "NS instances",
            users: self.users,
            onboarding: &mut self.onboarding,
            operational: Some(&mut self.operational),
            archive: &mut self.archive,
            failure: &mut self.failure,
            user_data: &mut self.user_data,
        }
    }
}

impl PnfDescriptor {
    pub fn entry(&mut self) -> Entry<'_> {
        Entry {
            what: format!("PNFD {}", self.id),
            users_are: "PNFs of services",
            users: self.users,
            onboarding: &mut self.onboarding,
            operational: None,
            archive: &mut self.archive,
            failure: &mut self.failure,
            user_data: &mut self.user_data,
        }
    }
}

impl Entry<'_> {
    /// An upload begins, and what an earlier one left counts no more; refused when there is content already.
    pub fn begin_upload(mut self) -> Result<()> {
        self.begin()?;
        *self.archive = None;
        Ok(())
    }

    /// The archive that is here is tried again.
    pub fn begin_again(mut self) -> Result<()> {
        self.begin()
    }

    fn begin(&mut self) -> Result<()> {
        match *self.onboarding {
            Onboarding::Created | Onboarding::Error => {
                *self.onboarding = Onboarding::Uploading;
                *self.failure = None;
                Ok(())
            }
            Onboarding::Uploading | Onboarding::Processing | Onboarding::Onboarded => {
                Err(Fault::conflict(format!("{} has content already, or it is on its way", self.what)))
            }
        }
    }

    /// The upload broke off: the resource is as before. With an archive it was tried again, and can be once more.
    pub fn abort_upload(self) {
        if *self.onboarding != Onboarding::Uploading {
            return;
        }
        if self.archive.is_some() {
            return self.failed(Fault::transient("what is outside of the package was being fetched, and that broke off").record());
        }
        *self.onboarding = Onboarding::Created;
    }

    pub fn uploaded(self, archive: &PackageFile) {
        *self.onboarding = Onboarding::Processing;
        *self.archive = Some(archive.clone());
    }

    pub fn onboarded(self) {
        *self.onboarding = Onboarding::Onboarded;
        if let Some(operational) = self.operational {
            *operational = Operational::Enabled;
        }
    }

    pub fn failed(self, why: FaultRecord) {
        *self.onboarding = Onboarding::Error;
        *self.failure = Some(why);
    }

    /// ENABLED or DISABLED, and new user data.
    pub fn modify(self, operational: Option<Operational>, user_data: Option<Vec<(SmolStr, String)>>) -> Result<()> {
        if let Some(to) = operational {
            if *self.onboarding != Onboarding::Onboarded {
                return Err(Fault::conflict(format!("{} is not onboarded: it has no operational state to change", self.what)));
            }
            let Some(operational) = self.operational else {
                return Err(Fault::invalid(format!("{} has no operational state", self.what)));
            };
            if *operational == to {
                let name = match to {
                    Operational::Enabled => "ENABLED",
                    Operational::Disabled => "DISABLED",
                };
                return Err(Fault::conflict(format!("{} is {name} already", self.what)));
            }
            *operational = to;
        }
        if let Some(data) = user_data {
            *self.user_data = data;
        }
        Ok(())
    }

    /// Only when disabled and not in use.
    pub fn check_removable(self) -> Result<()> {
        let what = self.what;
        if self.users > 0 {
            return Err(Fault::conflict(format!("{what} is in use by {} {}: delete them first", self.users, self.users_are)));
        }
        if self.operational.is_some_and(|o| *o == Operational::Enabled) {
            return Err(Fault::conflict(format!("{what} is enabled: disable it first")));
        }
        match *self.onboarding {
            Onboarding::Uploading | Onboarding::Processing => Err(Fault::conflict(format!("{what} is being onboarded: wait for the end"))),
            Onboarding::Created | Onboarding::Onboarded | Onboarding::Error => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Kind;

    #[test]
    fn what_broke_off_is_empty_or_failed_by_whose_archive_it_was_and_new_content_forgets_the_old() {
        let had = PackageFile { path: "".into(), sha256: [1; 32], size: Bytes(1), media_type: "".into() };
        for (again, state, left) in [(false, Onboarding::Created, None), (true, Onboarding::Error, Some(had.clone()))] {
            let (mut onboarding, mut archive, mut failure, mut user_data) = (Onboarding::Error, Some(had.clone()), None, Vec::new());
            let mut with = |what: fn(Entry<'_>) -> Result<()>| {
                what(Entry {
                    what: "it".into(),
                    users_are: "users",
                    users: 0,
                    onboarding: &mut onboarding,
                    operational: None,
                    archive: &mut archive,
                    failure: &mut failure,
                    user_data: &mut user_data,
                })
            };
            with(if again { |e| e.begin_again() } else { |e| e.begin_upload() }).expect("it has failed");
            assert_eq!(with(|e| e.begin_upload()).map_err(|f| f.kind()), Err(Kind::Conflict));
            with(|e| {
                e.abort_upload();
                Ok(())
            })
            .expect("aborted");
            assert_eq!((onboarding, archive, failure.is_some()), (state, left, again));
        }
    }
}
