//! PNFDs before anybody counted who uses them, and before their requirements were known.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    error::FaultRecord,
    id::{PnfdInfoId, ProjectId},
    package::{self, Onboarding, PackageFile},
    pnfd::{self, Location},
    time::Stamp,
};

#[derive(Deserialize)]
pub struct PnfDescriptor {
    id: PnfdInfoId,
    project: ProjectId,
    onboarding: Onboarding,
    pnfd: Option<Pnfd>,
    pnfd_path: SmolStr,
    manifest_path: Option<SmolStr>,
    archive: Option<PackageFile>,
    files: Vec<PackageFile>,
    failure: Option<FaultRecord>,
    user_data: Vec<(SmolStr, String)>,
    created: Stamp,
    revision: u64,
}

#[derive(Deserialize)]
struct Pnfd {
    id: SmolStr,
    invariant_id: SmolStr,
    name: SmolStr,
    provider: SmolStr,
    version: SmolStr,
    function: SmolStr,
    location: Option<Location>,
    ext_cps: Vec<PnfExtCp>,
}

#[derive(Deserialize)]
struct PnfExtCp {
    id: SmolStr,
    description: SmolStr,
    protocols: Vec<SmolStr>,
    role: Option<SmolStr>,
}

/// Users are counted anew when the daemon starts.
impl From<PnfDescriptor> for package::PnfDescriptor {
    fn from(o: PnfDescriptor) -> Self {
        package::PnfDescriptor {
            id: o.id,
            project: o.project,
            onboarding: o.onboarding,
            pnfd: o.pnfd.map(pnfd::Pnfd::from),
            pnfd_path: o.pnfd_path,
            manifest_path: o.manifest_path,
            archive: o.archive,
            files: o.files,
            failure: o.failure,
            user_data: o.user_data,
            created: o.created,
            revision: o.revision,
            users: 0,
        }
    }
}

impl From<Pnfd> for pnfd::Pnfd {
    fn from(o: Pnfd) -> Self {
        let cp =
            |c: PnfExtCp| pnfd::PnfExtCp { id: c.id, description: c.description, protocols: c.protocols, role: c.role, requirement: None };
        pnfd::Pnfd {
            id: o.id,
            invariant_id: o.invariant_id,
            name: o.name,
            provider: o.provider,
            version: o.version,
            function: o.function,
            location: o.location,
            ext_cps: o.ext_cps.into_iter().map(cp).collect(),
        }
    }
}
