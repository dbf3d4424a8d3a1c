//! Before VNFDs had indicators.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    error::FaultRecord,
    id::{ProjectId, VnfPkgId},
    package::{self, Onboarding, Operational, PackageFile, StoredImage},
    time::Stamp,
    vnfd::{self, Flavour, VersionPath},
};

#[derive(Deserialize)]
pub struct VnfPackage<V> {
    id: VnfPkgId,
    project: ProjectId,
    onboarding: Onboarding,
    operational: Operational,
    users: u32,
    vnfd: Option<V>,
    vnfd_path: SmolStr,
    manifest_path: Option<SmolStr>,
    archive: Option<PackageFile>,
    files: Vec<PackageFile>,
    images: Vec<StoredImage>,
    failure: Option<FaultRecord>,
    user_data: Vec<(SmolStr, String)>,
    created: Stamp,
    revision: u64,
}

#[derive(Deserialize)]
pub struct Vnfd {
    id: SmolStr,
    invariant_id: Option<SmolStr>,
    provider: SmolStr,
    product_name: SmolStr,
    software_version: SmolStr,
    version: SmolStr,
    info_name: SmolStr,
    info_description: SmolStr,
    vnfm_info: Vec<SmolStr>,
    default_flavour: SmolStr,
    flavours: Vec<Flavour>,
    paths: Vec<VersionPath>,
}

impl<V: Into<vnfd::Vnfd>> From<VnfPackage<V>> for package::VnfPackage {
    fn from(o: VnfPackage<V>) -> Self {
        package::VnfPackage {
            id: o.id,
            project: o.project,
            onboarding: o.onboarding,
            operational: o.operational,
            users: o.users,
            vnfd: o.vnfd.map(Into::into),
            vnfd_path: o.vnfd_path,
            manifest_path: o.manifest_path,
            archive: o.archive,
            files: o.files,
            images: o.images,
            failure: o.failure,
            user_data: o.user_data,
            created: o.created,
            revision: o.revision,
        }
    }
}

impl From<Vnfd> for vnfd::Vnfd {
    fn from(o: Vnfd) -> Self {
        vnfd::Vnfd {
            id: o.id,
            invariant_id: o.invariant_id,
            provider: o.provider,
            product_name: o.product_name,
            software_version: o.software_version,
            version: o.version,
            info_name: o.info_name,
            info_description: o.info_description,
            vnfm_info: o.vnfm_info,
            default_flavour: o.default_flavour,
            flavours: o.flavours,
            paths: o.paths,
            indicators: Vec::new(),
            own: Vec::new(),
        }
    }
}
