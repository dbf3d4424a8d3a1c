//! Before chains: flavours of a service without forwarding paths, with the descriptor around them, which stayed the
//! same for another version. And chains before they could change.

use serde::Deserialize;
use smol_str::SmolStr;

use super::drains::ends;
use crate::model::{
    chain::{self, ChainHop, ChainState, Classifier, CpOf, DRAIN_S, OnLoss},
    error::FaultRecord,
    id::{NfpId, NsId, NsdInfoId, ProjectId, VnfPkgId},
    nsd::{self, Member, NsLevel, NsLink, Sap},
    package::{self, Onboarding, Operational, PackageFile},
    time::Stamp,
};

#[derive(Deserialize)]
pub struct NsDescriptor<F> {
    id: NsdInfoId,
    project: ProjectId,
    onboarding: Onboarding,
    operational: Operational,
    users: u32,
    nsd: Option<Nsd<F>>,
    nsd_path: SmolStr,
    manifest_path: Option<SmolStr>,
    archive: Option<PackageFile>,
    files: Vec<PackageFile>,
    packages: Vec<VnfPkgId>,
    failure: Option<FaultRecord>,
    user_data: Vec<(SmolStr, String)>,
    created: Stamp,
    revision: u64,
}
#[derive(Deserialize)]
struct Nsd<F> {
    id: SmolStr,
    invariant_id: SmolStr,
    name: SmolStr,
    designer: SmolStr,
    version: SmolStr,
    default_flavour: SmolStr,
    flavours: Vec<F>,
}
#[derive(Deserialize)]
pub struct NsFlavour {
    id: SmolStr,
    members: Vec<Member>,
    links: Vec<NsLink>,
    saps: Vec<Sap>,
    default_level: SmolStr,
    levels: Vec<NsLevel>,
}

#[derive(Deserialize)]
pub struct Chain {
    id: NfpId,
    project: ProjectId,
    ns: NsId,
    vnffg: SmolStr,
    nfp: SmolStr,
    classifiers: Vec<Classifier>,
    from: Vec<CpOf>,
    hops: Vec<ChainHop>,
    to: Vec<CpOf>,
    symmetric: bool,
    on_loss: OnLoss,
    state: ChainState,
}

impl<F: Into<nsd::NsFlavour>> From<NsDescriptor<F>> for package::NsDescriptor {
    fn from(o: NsDescriptor<F>) -> Self {
        package::NsDescriptor {
            id: o.id,
            project: o.project,
            onboarding: o.onboarding,
            operational: o.operational,
            users: o.users,
            nsd: o.nsd.map(Into::into),
            nsd_path: o.nsd_path,
            manifest_path: o.manifest_path,
            archive: o.archive,
            files: o.files,
            packages: o.packages,
            failure: o.failure,
            user_data: o.user_data,
            created: o.created,
            revision: o.revision,
        }
    }
}
impl<F: Into<nsd::NsFlavour>> From<Nsd<F>> for nsd::Nsd {
    fn from(o: Nsd<F>) -> Self {
        nsd::Nsd {
            id: o.id,
            invariant_id: o.invariant_id,
            name: o.name,
            designer: o.designer,
            version: o.version,
            default_flavour: o.default_flavour,
            flavours: o.flavours.into_iter().map(Into::into).collect(),
        }
    }
}
impl From<NsFlavour> for nsd::NsFlavour {
    fn from(o: NsFlavour) -> Self {
        nsd::NsFlavour {
            id: o.id,
            members: o.members,
            links: o.links,
            saps: o.saps,
            default_level: o.default_level,
            levels: o.levels,
            paths: Vec::new(),
            aspects: Vec::new(),
            spare: Vec::new(),
            pnfs: Vec::new(),
        }
    }
}
impl From<Chain> for chain::Chain {
    fn from(o: Chain) -> Self {
        chain::Chain {
            id: o.id,
            project: o.project,
            ns: o.ns,
            vnffg: o.vnffg,
            nfp: o.nfp,
            classifiers: o.classifiers,
            from: ends(o.from),
            hops: o.hops,
            to: ends(o.to),
            symmetric: o.symmetric,
            on_loss: o.on_loss,
            state: o.state,
            idle: Vec::new(),
            drain_s: DRAIN_S,
            handover: None,
        }
    }
}
