//! NS instances as SOL005 6.5.2.10 shows them.

use super::{
    Base,
    vnf::{self, Around, Dialect, ext_cp_of, protocol},
};
use crate::{
    model::{
        chain::{Chain, ChainEnd, pnf_cp_id},
        ns::{NsInstance, NsPnf},
        nsd::NsAspect,
        segment::{Segment, Station},
        vnf::VnfInstance,
        vnfd::Flavour,
    },
    sol::{
        cp::{CpProtocolData, IpAddressType, IpAddressesData, IpOverEthernetAddressData, LayerProtocol},
        nslcm::{
            self as sol, NsCpHandle, NsInstanceLinks, NsLinkPortInfo, NsScaleInfo, NsVirtualLinkInfo, PnfExtCpInfo, PnfInfo, SapInfo,
            VnffgInfo,
        },
        vnflcm::InstantiationState,
    },
};

/// A service with the records it names.
pub struct Whole {
    pub ns: NsInstance,
    /// In the order of the members; one that is not stored any more is left out.
    pub vnfs: Vec<(VnfInstance, Option<Flavour>)>,
    pub segments: Vec<Segment>,
    pub chains: Vec<Chain>,
    /// Of its flavour.
    pub aspects: Vec<NsAspect>,
}

impl Whole {
    /// Its own record and no other.
    pub fn alone(ns: NsInstance) -> Whole {
        Whole { ns, vnfs: Vec::new(), segments: Vec::new(), chains: Vec::new(), aspects: Vec::new() }
    }
}

pub fn instance(w: &Whole, base: &Base) -> sol::NsInstance {
    let ns = &w.ns;
    let path = format!("/nslcm/v2/ns_instances/{}", ns.id);
    let free = ns.op.is_none();
    sol::NsInstance {
        id: ns.id.to_string(),
        ns_instance_name: ns.name.to_string(),
        ns_instance_description: ns.description.clone(),
        nsd_id: ns.nsd_id.to_string(),
        nsd_info_id: ns.nsd_info.to_string(),
        flavour_id: ns.flavour.as_ref().filter(|_| ns.instantiated).map(ToString::to_string),
        vnf_instance: w.vnfs.iter().map(|(v, f)| vnf::member(v, &Around { flavour: f.as_ref(), dialect: Dialect::Sol005 })).collect(),
        virtual_link_info: ns
            .links
            .iter()
            .filter_map(|(link, id)| w.segments.iter().find(|s| s.id == *id).map(|s| virtual_link(link, s, w)))
            .collect(),
        sap_info: ns
            .saps
            .iter()
            .map(|(sap, id)| {
                let host = w.segments.iter().find(|s| s.id == *id).map(|s| s.host.iter().map(|c| c.addr()).collect::<Vec<_>>());
                SapInfo {
                    id: sap.to_string(),
                    sapd_id: sap.to_string(),
                    sap_name: sap.to_string(),
                    description: None,
                    // SOL005 6.5.3.67 has no protocol without an address.
                    sap_protocol_info: host.filter(|h| !h.is_empty()).map(|h| protocol(None, &h)).into_iter().collect(),
                }
            })
            .collect(),
        pnf_info: ns.pnfs.iter().filter_map(pnf).collect(),
        vnffg_info: graphs(w),
        ns_scale_status: scale_status(w),
        ns_state: if ns.instantiated { InstantiationState::Instantiated } else { InstantiationState::NotInstantiated },
        links: NsInstanceLinks {
            self_: base.link(&path),
            instantiate: base.link_if(free && !ns.instantiated, format!("{path}/instantiate")),
            terminate: base.link_if(free && ns.instantiated, format!("{path}/terminate")),
            update: base.link_if(free && ns.instantiated, format!("{path}/update")),
            scale: base.link_if(free && ns.instantiated, format!("{path}/scale")),
            heal: base.link_if(free && ns.instantiated, format!("{path}/heal")),
            ..NsInstanceLinks::default()
        },
        ..sol::NsInstance::default()
    }
}

/// The level of each aspect that it is at one of.
fn scale_status(w: &Whole) -> Vec<NsScaleInfo> {
    let count = |profile: &str| w.ns.members.iter().filter(|m| m.profile == profile).count() as u32;
    let status = |a: &NsAspect| {
        let level = a.level(count).filter(|_| w.ns.instantiated)?;
        Some(NsScaleInfo { ns_scaling_aspect_id: a.id.to_string(), ns_scale_level_id: level.to_string() })
    };
    w.aspects.iter().filter_map(status).collect()
}

/// A box whose descriptor was found when the service was planned.
fn pnf(p: &NsPnf) -> Option<PnfInfo> {
    let cps = p.cps.iter().map(|c| {
        let group = |kind: IpAddressType, four: bool| {
            let of: Vec<String> = c.addresses.iter().filter(|a| a.is_ipv4() == four).map(ToString::to_string).collect();
            (!of.is_empty()).then_some(IpAddressesData {
                kind,
                fixed_addresses: of,
                num_dynamic_addresses: None,
                address_range: None,
                subnet_id: None,
            })
        };
        let ip_addresses: Vec<_> = [group(IpAddressType::Ipv4, true), group(IpAddressType::Ipv6, false)].into_iter().flatten().collect();
        let told = c.mac.is_some() || !ip_addresses.is_empty();
        let data =
            IpOverEthernetAddressData { mac_address: c.mac.map(|m| m.to_string()), ip_addresses, ..IpOverEthernetAddressData::default() };
        PnfExtCpInfo {
            cp_instance_id: pnf_cp_id(&p.profile, &c.cp),
            cpd_id: c.cp.to_string(),
            cp_protocol_data: told
                .then_some(CpProtocolData { layer_protocol: LayerProtocol::IpOverEthernet, ip_over_ethernet: Some(data) })
                .into_iter()
                .collect(),
        }
    });
    Some(PnfInfo {
        pnf_id: p.id.to_string(),
        pnf_name: Some(p.name.to_string()),
        pnfd_id: p.pnfd_id.to_string(),
        pnfd_info_id: p.pnfd_info?.to_string(),
        pnf_profile_id: p.profile.to_string(),
        cp_info: cps.collect(),
    })
}

/// SOL005 6.5.3.56: by VNFFGD, the VNFs and links that its paths use. Its connection points are left out:
/// the text has all of them, the published OpenAPI has room for one.
fn graphs(w: &Whole) -> Vec<VnffgInfo> {
    let mut out: Vec<VnffgInfo> = Vec::new();
    for c in &w.chains {
        let at = out.iter().position(|g| g.vnffgd_id == c.vnffg.as_str()).unwrap_or_else(|| {
            out.push(VnffgInfo { id: c.vnffg.to_string(), vnffgd_id: c.vnffg.to_string(), ..VnffgInfo::default() });
            out.len() - 1
        });
        let Some(graph) = out.get_mut(at) else { continue };
        let ends = c.from.iter().chain(&c.to).filter_map(|e| match e {
            ChainEnd::Cp(e) => Some((e.vnf, &e.cp)),
            ChainEnd::Outside { segment, .. } => {
                add(&mut graph.ns_virtual_link_info_id, [segment.to_string()]);
                None
            }
        });
        let ends: Vec<_> = ends.collect();
        let hops = c.hops.iter().flat_map(|h| h.vnfs.iter().flat_map(move |v| [(*v, &h.entry), (*v, &h.exit)]));
        for (vnf, cp) in ends.into_iter().chain(hops) {
            let body = w.vnfs.iter().find(|(v, _)| v.id == vnf).and_then(|(v, _)| v.body.as_ref());
            let segments = body.into_iter().flat_map(|b| b.ext_cps.iter().filter(|e| e.cpd == *cp).map(|e| e.segment.to_string()));
            add(&mut graph.ns_virtual_link_info_id, segments);
            add(&mut graph.vnf_instance_id, [vnf.to_string()]);
        }
    }
    out
}

fn add(to: &mut Vec<String>, more: impl IntoIterator<Item = String>) {
    for one in more {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}

fn virtual_link(link: &str, s: &Segment, w: &Whole) -> NsVirtualLinkInfo {
    NsVirtualLinkInfo {
        id: s.id.to_string(),
        ns_virtual_link_desc_id: link.into(),
        ns_virtual_link_profile_id: link.into(),
        resource_handle: vec![Dialect::Sol005.handle(s.id.to_string(), "segment")],
        link_port: s.stations.iter().filter(|st| !st.is_kept()).map(|st| link_port(st, w)).collect(),
    }
}

fn link_port(st: &Station, w: &Whole) -> NsLinkPortInfo {
    let ext_cp = w.vnfs.iter().filter_map(|(v, _)| v.body.as_ref()).find_map(|b| ext_cp_of(b, st.port));
    NsLinkPortInfo {
        id: st.port.to_string(),
        resource_handle: Dialect::Sol005.handle(st.port.to_string(), "port"),
        ns_cp_handle: ext_cp.map(|cp| NsCpHandle {
            vnf_instance_id: Some(st.vnf.to_string()),
            vnf_ext_cp_instance_id: Some(cp),
            ..NsCpHandle::default()
        }),
    }
}
