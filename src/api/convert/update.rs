//! UpdateNsRequest (SOL005 6.5.2.12), as far as Bothy takes it: UPDATE_VNFFG, snapshots of VNFs, ADD_PNF, MODIFY_PNF and
//! REMOVE_PNF, and what is asked of members (`members`).

use super::{
    members::{self, Members},
    params,
    request::{Faults, pnfs, protocols},
};
use crate::{
    model::{
        chain::{Classifier, Family, IpProto, Ports},
        error::{Fault, Result},
        id::{ExtCpId, NfpId, SnapshotId, VnfId},
        net::{Cidr, VlanId},
        ns::NsPnfCp,
    },
    nfvo::{
        plug::{PnfAsk, PnfEdit},
        snapshot::SnapshotUpdate,
        way::{CpRef, PathChange, Position},
    },
    sol::nslcm::{
        CpGroupInfo, EtherType, ForwardingBehaviour, ModifyPnfData, NfpData, NfpProtocol, NfpRule, PortRange, UpdateNsRequest, UpdateType,
        UpdateVnffgData,
    },
};

/// What is asked of a service, where it is offered.
pub enum Update {
    Paths(Vec<PathChange>),
    Boxes(PnfAsk),
    Snapshot(VnfId, SnapshotUpdate),
    Members(Members),
}

/// `usual`: seconds that a guest has to stop where nothing says. `None`: an update that is not offered.
pub fn read(r: &UpdateNsRequest, usual: u32) -> Result<Option<Update>> {
    let ask = match r.update_type {
        UpdateType::UpdateVnffg => return paths(r).map(|p| Some(Update::Paths(p))),
        UpdateType::CreateVnfSnapshot | UpdateType::RevertVnfToSnapshot | UpdateType::DeleteVnfSnapshotInfo => {
            return snapshot(r).map(|(vnf, what)| Some(Update::Snapshot(vnf, what)));
        }
        UpdateType::AddPnf => boxes(r, r.add_pnf_data.len(), "addPnfData", |f| PnfAsk::Add(pnfs(&r.add_pnf_data, "addPnfData", f)))?,
        UpdateType::ModifyPnf => boxes(r, r.modify_pnf_data.len(), "modifyPnfData", |f| {
            let all = r.modify_pnf_data.iter().enumerate();
            PnfAsk::Modify(all.map(|(i, p)| edit(p, &format!("modifyPnfData[{i}]"), f)).collect())
        })?,
        UpdateType::RemovePnf => boxes(r, r.remove_pnf_id.len(), "removePnfId", |_| {
            PnfAsk::Remove(r.remove_pnf_id.iter().map(|id| id.as_str().into()).collect())
        })?,
        UpdateType::ChangeVnfDf
        | UpdateType::OperateVnf
        | UpdateType::ModifyVnfInformation
        | UpdateType::ChangeExternalVnfConnectivity
        | UpdateType::ChangeVnfpkg => return members::read(r, usual).map(|m| m.map(Update::Members)),
        UpdateType::AddVnf
        | UpdateType::RemoveVnf
        | UpdateType::InstantiateVnf
        | UpdateType::AddSap
        | UpdateType::RemoveSap
        | UpdateType::AddNestedNs
        | UpdateType::RemoveNestedNs
        | UpdateType::AssocNewNsdVersion
        | UpdateType::MoveVnf
        | UpdateType::AddVnffg
        | UpdateType::RemoveVnffg
        | UpdateType::ChangeNsDf
        | UpdateType::ModifyWanConnectionInfo
        | UpdateType::CreateNsVirtualLink
        | UpdateType::DeleteNsVirtualLink => return Ok(None),
    };
    Ok(Some(Update::Boxes(ask)))
}

/// SOL005 6.5.3.14 and 6.5.3.15: the member of the request that counts, which has so many items.
fn boxes(r: &UpdateNsRequest, items: usize, member: &str, ask: impl FnOnce(&mut Faults) -> PnfAsk) -> Result<PnfAsk> {
    let mut faults = Faults::default();
    faults.refuse(r.update_time.is_some(), "updateTime", "not offered: an update begins at once");
    faults.refuse(items == 0, member, "needed with this updateType");
    let ask = ask(&mut faults);
    faults.end("UpdateNsRequest", ask)
}

fn edit(p: &ModifyPnfData, at: &str, faults: &mut Faults) -> PnfEdit {
    faults.refuse(p.pnf_name.is_none() && p.cp_data.is_empty(), at, "either pnfName or cpData is needed");
    let mut cps = Vec::new();
    for (j, c) in p.cp_data.iter().enumerate() {
        let at = format!("{at}.cpData[{j}]");
        match c.cp_instance_id.as_ref().or(c.cpd_id.as_ref()) {
            Some(cp) => {
                let wish = protocols(&c.cp_protocol_data, &at, faults);
                cps.push(NsPnfCp { cp: cp.as_str().into(), segment: None, mac: wish.mac, addresses: wish.addresses });
            }
            None => faults.add(at, "either cpInstanceId or cpdId is needed: which connection point of the PNF this is"),
        }
    }
    PnfEdit { id: p.pnf_id.as_str().into(), name: p.pnf_name.as_deref().map(Into::into), cps }
}

/// The paths that shall change, with every fault of the request's form.
pub fn paths(r: &UpdateNsRequest) -> Result<Vec<PathChange>> {
    let mut faults = Faults::default();
    faults.refuse(r.update_time.is_some(), "updateTime", "not offered: an update begins at once");
    faults.refuse(r.update_vnffg.is_empty(), "updateVnffg", "needed with UPDATE_VNFFG");
    let mut out = Vec::new();
    for (i, graph) in r.update_vnffg.iter().enumerate() {
        let at = format!("updateVnffg[{i}]");
        let no = "not offered: a path comes and goes with its service, and its functions may all be taken out of it";
        faults.refuse(!graph.nfp_info_id.is_empty(), &format!("{at}.nfpInfoId"), no);
        faults.refuse(graph.nfp.is_empty(), &format!("{at}.nfp"), "needed: the paths that change");
        let all = graph.nfp.iter().enumerate();
        out.extend(all.filter_map(|(j, nfp)| path(nfp, graph, &format!("{at}.nfp[{j}]"), &mut faults)));
    }
    faults.end("UpdateNsRequest", out)
}

/// What shall be done with a snapshot of which VNF.
pub fn snapshot(r: &UpdateNsRequest) -> Result<(VnfId, SnapshotUpdate)> {
    let mut faults = Faults::default();
    faults.refuse(r.update_time.is_some(), "updateTime", "not offered: an update begins at once");
    let (at, vnf, given, asked) = match r.update_type {
        UpdateType::CreateVnfSnapshot => {
            let d = r.create_snapshot_data.as_ref();
            let user_data = d.map(|d| params(&d.user_defined_data)).unwrap_or_default();
            let asked = d.map(|_| SnapshotUpdate::Create { user_data });
            ("createSnapshotData", d.map(|d| &d.vnf_instance_id), d.map(|d| &d.additional_params), asked)
        }
        UpdateType::RevertVnfToSnapshot => {
            let d = r.revert_vnf_to_snapshot_data.as_ref();
            let asked = d.and_then(|d| snapshot_id("revertVnfToSnapshotData", &d.vnf_snapshot_info_id, &mut faults));
            let asked = asked.map(SnapshotUpdate::Revert);
            ("revertVnfToSnapshotData", d.map(|d| &d.vnf_instance_id), d.map(|d| &d.additional_params), asked)
        }
        _ => {
            let d = r.delete_vnf_snapshot_data.as_ref();
            let asked = d.and_then(|d| snapshot_id("deleteVnfSnapshotData", &d.vnf_snapshot_info_id, &mut faults));
            ("deleteVnfSnapshotData", d.map(|d| &d.vnf_instance_id), None, asked.map(SnapshotUpdate::Delete))
        }
    };
    let Some(id) = vnf else {
        faults.add(at, "needed with this updateType");
        return faults.end("UpdateNsRequest", ()).and_then(|()| Err(Fault::bug("a fault that was not told")));
    };
    given.into_iter().flat_map(|g| g.keys()).for_each(|name| faults.add(format!("{at}.additionalParams.{name}"), "is not known; none is"));
    let vnf = id.parse::<VnfId>();
    faults.refuse(vnf.is_err(), &format!("{at}.vnfInstanceId"), &format!("'{id}' is not the id of a VNF instance"));
    match (vnf, asked) {
        (Ok(vnf), Some(asked)) => faults.end("UpdateNsRequest", (vnf, asked)),
        _ => faults.end("UpdateNsRequest", ()).and_then(|()| Err(Fault::bug("a fault that was not told"))),
    }
}

fn snapshot_id(at: &str, id: &str, faults: &mut Faults) -> Option<SnapshotId> {
    let found = id.parse::<SnapshotId>().ok();
    faults.refuse(found.is_none(), &format!("{at}.vnfSnapshotInfoId"), &format!("there is no VNF snapshot '{id}'"));
    found
}

fn path(nfp: &NfpData, graph: &UpdateVnffgData, at: &str, faults: &mut Faults) -> Option<PathChange> {
    let no = "not offered: its descriptor has it";
    faults.refuse(nfp.nfp_name.is_some(), &format!("{at}.nfpName"), no);
    faults.refuse(nfp.description.is_some(), &format!("{at}.description"), no);
    faults.refuse(nfp.cp_group.is_empty() && nfp.nfp_rule.is_none(), at, "either cpGroup or nfpRule is needed");
    let positions = nfp.cp_group.iter().enumerate().map(|(k, g)| position(g, &format!("{at}.cpGroup[{k}]"), faults)).collect();
    let traffic = nfp.nfp_rule.as_ref().map(|r| classifier(r, &format!("{at}.nfpRule"), faults));
    let Some(id) = &nfp.nfp_info_id else {
        faults.add(format!("{at}.nfpInfoId"), "needed: a new path is not offered");
        return None;
    };
    match id.parse::<NfpId>() {
        Ok(path) => Some(PathChange { vnffg: graph.vnffg_info_id.as_str().into(), path, positions, traffic }),
        Err(_) => {
            faults.add(format!("{at}.nfpInfoId"), format!("'{id}' is not the id of a path; GET /bothy/v1/chains lists them"));
            None
        }
    }
}

fn position(group: &CpGroupInfo, at: &str, faults: &mut Faults) -> Position {
    let all = group.forwarding_behaviour == Some(ForwardingBehaviour::All);
    faults.refuse(all, &format!("{at}.forwardingBehaviour"), "ALL is not offered: each connection goes to one of a group");
    let how = group.forwarding_behaviour_input_parameters.is_some();
    faults.refuse(how, &format!("{at}.forwardingBehaviourInputParameters"), "not offered: a hash of each connection decides");
    let mut out = Position::new();
    for (i, pair) in group.cp_pair_info.iter().enumerate() {
        let at = format!("{at}.cpPairInfo[{i}]");
        let outside = pair.pnf_ext_cp_ids.iter().chain(&pair.sap_ids);
        let mut ids: Vec<CpRef> = outside.map(|id| CpRef::Outside(id.as_str().into())).collect();
        for id in &pair.vnf_ext_cp_ids {
            // Of a CP with several instances, each names it.
            match id.get(..36).unwrap_or(id).parse::<ExtCpId>() {
                Ok(id) => ids.push(CpRef::Vnf(id)),
                Err(_) => faults.add(format!("{at}.vnfExtCpIds"), format!("'{id}' is not the id of an external connection point")),
            }
        }
        out.push(ids);
    }
    out
}

fn classifier(r: &NfpRule, at: &str, faults: &mut Faults) -> Classifier {
    let mut out = Classifier::default();
    for (given, member, why) in [
        (r.ether_destination_address.is_some(), "etherDestinationAddress", "not offered: a path is taken by the MACs of its own ends"),
        (r.ether_source_address.is_some(), "etherSourceAddress", "not offered: a path is taken by the MACs of its own ends"),
        (!r.extended_criteria.is_empty(), "extendedCriteria", "not offered: bits of a frame cannot be matched"),
        (r.vlan_tag.len() > 1, "vlanTag", "stacked tags cannot be matched: give one"),
    ] {
        faults.refuse(given, &format!("{at}.{member}"), why);
    }
    out.family = r.ether_type.map(|t| match t {
        EtherType::Ipv4 => Family::Ipv4,
        EtherType::Ipv6 => Family::Ipv6,
    });
    out.proto = r.protocol.map(|p| match (p, r.ether_type) {
        (NfpProtocol::Tcp, _) => IpProto::TCP,
        (NfpProtocol::Udp, _) => IpProto::UDP,
        (NfpProtocol::Icmp, Some(EtherType::Ipv6)) => IpProto::ICMP6,
        (NfpProtocol::Icmp, Some(EtherType::Ipv4) | None) => IpProto::ICMP,
    });
    if let Some(tag) = r.vlan_tag.first() {
        out.vlan = tag.parse::<u16>().ok().and_then(|v| VlanId::try_from(v).ok());
        faults.refuse(out.vlan.is_none(), &format!("{at}.vlanTag"), "is no VLAN, 1 to 4094");
    }
    if let Some(bits) = &r.dscp {
        out.dscp = Some(bits).filter(|b| b.len() == 6).and_then(|b| u8::from_str_radix(b, 2).ok());
        faults.refuse(out.dscp.is_none(), &format!("{at}.dscp"), "a DSCP is six digits 0 or 1, such as 101110");
    }
    let mut net = |text: &Option<String>, member: &str| {
        let text = text.as_ref()?;
        let found = text.parse::<Cidr>().ok().map(Cidr::network);
        faults.refuse(found.is_none(), &format!("{at}.{member}"), "is no network such as 192.0.2.0/24 or 2001:db8::/64");
        found
    };
    out.src = net(&r.source_ip_address_prefix, "sourceIpAddressPrefix");
    out.dst = net(&r.destination_ip_address_prefix, "destinationIpAddressPrefix");
    let mut ports = |range: &Option<PortRange>, member: &str| {
        let range = range.as_ref()?;
        let found = Ports::new(range.lower_port, range.upper_port);
        faults.refuse(found.is_none(), &format!("{at}.{member}"), "its lower port is above its upper one");
        found
    };
    out.src_ports = ports(&r.source_port_range, "sourcePortRange");
    out.dst_ports = ports(&r.destination_port_range, "destinationPortRange");
    out
}
