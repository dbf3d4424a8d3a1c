//! Onboarded packages and descriptors, as records of the catalogue.
//!
//! Owns their states (SOL005 9.5.4, 5.5.4). The files of a package are content-addressed in the
//! data directory and named from here. Never: parsing.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::FaultRecord,
    id::{NsdInfoId, ProjectId, VnfPkgId},
    nsd::Nsd,
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
