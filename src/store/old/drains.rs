//! Before connections kept their way: chains and paths without a time to drain, and descriptors without functions in
//! reserve. Chains began and ended at VNFs only.

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    chain::{self, ChainEnd, ChainHop, ChainState, Classifier, CpOf, DRAIN_S, OnLoss},
    id::{NfpId, NsId, ProjectId},
    nsd::{self, Member, MemberCp, NsAspect, NsLevel, NsLink, PathHop, Sap},
};

#[derive(Deserialize)]
pub struct NsFlavour {
    id: SmolStr,
    members: Vec<Member>,
    links: Vec<NsLink>,
    saps: Vec<Sap>,
    default_level: SmolStr,
    levels: Vec<NsLevel>,
    paths: Vec<ForwardingPath>,
    aspects: Vec<NsAspect>,
}

#[derive(Deserialize)]
pub struct ForwardingPath {
    id: SmolStr,
    vnffg: SmolStr,
    classifiers: Vec<Classifier>,
    from: MemberCp,
    hops: Vec<PathHop>,
    to: MemberCp,
    symmetric: bool,
    on_loss: OnLoss,
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
    idle: Vec<ChainHop>,
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
            paths: o.paths.into_iter().map(Into::into).collect(),
            aspects: o.aspects,
            spare: Vec::new(),
            pnfs: Vec::new(),
        }
    }
}
impl From<ForwardingPath> for nsd::ForwardingPath {
    fn from(o: ForwardingPath) -> Self {
        nsd::ForwardingPath {
            id: o.id,
            vnffg: o.vnffg,
            classifiers: o.classifiers,
            from: o.from,
            hops: o.hops,
            to: o.to,
            symmetric: o.symmetric,
            on_loss: o.on_loss,
            drain_s: None,
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
            idle: o.idle,
            drain_s: DRAIN_S,
            handover: None,
        }
    }
}

pub(super) fn ends(of: Vec<CpOf>) -> Vec<ChainEnd> {
    of.into_iter().map(ChainEnd::Cp).collect()
}
