//! What an operation makes, changes and takes away, by the names that it has in descriptors.
//!
//! Op-occs tell of it when the records that had these names are gone. Owns the record, which is written with the plan.
//! Never: what happened to a part, which steps and their journal say.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    chain::Chain,
    error::Result,
    id::{NfpId, OpId, PortId, SegmentId, VnfId, VnfcId},
    ns::NsInstance,
    step::{NsStep, PlanStep, Step},
    vnf::{Body, VnfInstance},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpParts {
    pub op: OpId,
    /// VNFs of a service.
    pub members: Vec<MemberPart>,
    /// Of a service, or inside a VNF.
    pub links: Vec<LinkPart>,
    /// Service access points, with their links.
    pub saps: Vec<(SmolStr, SegmentId)>,
    /// Paths, with their forwarding graphs.
    pub graphs: Vec<(NfpId, SmolStr)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberPart {
    pub vnf: VnfId,
    pub vnfd_id: SmolStr,
    pub profile: SmolStr,
    pub name: SmolStr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkPart {
    pub segment: SegmentId,
    pub name: SmolStr,
    /// Inside a VNF: its guests' ports there.
    pub ports: Vec<(VnfcId, PortId)>,
}

impl OpParts {
    pub fn none(op: OpId) -> OpParts {
        OpParts { op, members: Vec::new(), links: Vec::new(), saps: Vec::new(), graphs: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.links.is_empty() && self.saps.is_empty() && self.graphs.is_empty()
    }

    /// Of a VNF with the guests that come and those that go.
    pub fn of_vnf(op: OpId, body: &Body) -> OpParts {
        let on = |segment: SegmentId| {
            let all = body.vnfcs.iter().flat_map(|c| c.ports.iter().map(move |p| (c.id, p)));
            all.filter(|(_, p)| p.segment == segment).map(|(c, p)| (c, p.id)).collect()
        };
        let links = body.links.iter().map(|(name, segment)| LinkPart { segment: *segment, name: name.clone(), ports: on(*segment) });
        OpParts { links: links.collect(), ..OpParts::none(op) }
    }

    /// Of a service, what its steps name.
    pub fn of_ns(
        op: OpId,
        ns: &NsInstance,
        steps: &[PlanStep],
        vnf: impl Fn(VnfId) -> Result<Option<VnfInstance>>,
        chain: impl Fn(NfpId) -> Result<Option<Chain>>,
    ) -> Result<OpParts> {
        let mut parts = OpParts::none(op);
        for s in steps {
            let Step::Ns(step) = &s.step else { continue };
            match step {
                NsStep::Instantiate { vnf: id, .. }
                | NsStep::Terminate { vnf: id, .. }
                | NsStep::Alter { vnf: id, .. }
                | NsStep::Change { vnf: id, .. } => parts.add_member(ns, *id, &vnf)?,
                NsStep::Segment(id) | NsStep::RemoveSegment(id) => {
                    let named = ns.links.iter().filter(|(_, s)| s == id);
                    parts.links.extend(named.map(|(name, s)| LinkPart { segment: *s, name: name.clone(), ports: Vec::new() }));
                    parts.saps.extend(ns.saps.iter().filter(|(_, s)| s == id).cloned());
                }
                NsStep::Chain(id) | NsStep::RemoveChain(id) | NsStep::Reroute { chain: id, .. } | NsStep::HandOver { chain: id, .. } => {
                    parts.graphs.extend(chain(*id)?.map(|c| (c.id, c.vnffg)));
                }
                // It names itself.
                NsStep::Pnf(_) => {}
            }
        }
        Ok(parts)
    }

    /// Of a service, members that it changes without a step.
    pub fn of_members(op: OpId, ns: &NsInstance, all: &[VnfId], vnf: impl Fn(VnfId) -> Result<Option<VnfInstance>>) -> Result<OpParts> {
        let mut parts = OpParts::none(op);
        all.iter().try_for_each(|id| parts.add_member(ns, *id, &vnf))?;
        Ok(parts)
    }

    fn add_member(&mut self, ns: &NsInstance, id: VnfId, vnf: &impl Fn(VnfId) -> Result<Option<VnfInstance>>) -> Result<()> {
        let member = ns.members.iter().find(|m| m.vnf == id);
        let (Some(member), Some(v)) = (member, vnf(id)?) else { return Ok(()) };
        self.members.push(MemberPart { vnf: v.id, vnfd_id: v.vnfd_id, profile: member.profile.clone(), name: v.name });
        Ok(())
    }
}
