//! Updates of a service's members (SOL005 6.5.3.13, 6.5.3.43, 6.5.3.21, 6.5.3.44, 6.5.3.22) as the domain takes them: each says of
//! a member what a request of SOL003 says of a VNF. And what of them an op-occ shows.

use std::collections::BTreeMap;

use super::{
    connect, flavour, package,
    request::{self, Faults},
};
use crate::{
    model::{
        error::{Fault, Result},
        id::VnfId,
        op::{OpKind, Operation},
    },
    sol::{
        common::{KeyValuePairs, Patch},
        nslcm::{
            ExtManagedVirtualLinkData, ExtVirtualLinkData, ModifyVnfInfoData, OperateVnfData, UpdateNsRequest, UpdateType, VnfChangeType,
            VnfChangedInfo,
        },
        vnflcm::{
            self, ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, ChangeVnfFlavourRequest, OperateVnfRequest,
            VnfInfoModificationRequest,
        },
    },
    vnfm::{
        connect::ChangeExtConn,
        operate::Operate,
        remake::{Change, ChangeFlavour, ChangePackage},
    },
};

/// What is asked of members.
pub enum Members {
    Operate(Vec<(VnfId, Operate)>),
    Modify(Vec<(VnfId, VnfInfoModificationRequest)>),
    Remake(VnfId, Box<(Remade, Given)>),
    Connect(VnfId, ChangeExtConn),
}

pub enum Remade {
    Flavour(ChangeFlavour),
    Package(ChangePackage),
}

impl Remade {
    pub fn change(&self) -> Change<'_> {
        match self {
            Remade::Flavour(c) => Change::Flavour(c),
            Remade::Package(c) => Change::Package(c),
        }
    }
}

/// Properties that a change brings along.
pub struct Given {
    pub extensions: KeyValuePairs,
    pub configurable: KeyValuePairs,
}

/// `usual`: seconds that a guest has to stop where nothing says. `None`: it is no update of members.
pub fn read(r: &UpdateNsRequest, usual: u32) -> Result<Option<Members>> {
    let found = match r.update_type {
        UpdateType::OperateVnf => {
            let all = each(r, &r.operate_vnf_data, "operateVnfData", |d| &d.vnf_instance_id)?;
            Members::Operate(
                all.into_iter().map(|(at, vnf, d)| Ok((vnf, operate(d, usual).map_err(|f| f.context(at))?))).collect::<Result<_>>()?,
            )
        }
        UpdateType::ModifyVnfInformation => {
            let all = each(r, &r.modify_vnf_info_data, "modifyVnfInfoData", |d| &d.vnf_instance_id)?;
            Members::Modify(all.into_iter().map(|(at, vnf, d)| Ok((vnf, modify(d, &at)?))).collect::<Result<_>>()?)
        }
        UpdateType::ChangeVnfDf => {
            let (at, vnf, d) = one(each(r, &r.change_vnf_flavour_data, "changeVnfFlavourData", |d| &d.vnf_instance_id)?)?;
            let ask = ChangeVnfFlavourRequest {
                new_flavour_id: d.new_flavour_id.clone(),
                instantiation_level_id: d.instantiation_level_id.clone(),
                ext_virtual_links: links(&d.ext_virtual_links),
                ext_managed_virtual_links: managed(&d.ext_managed_virtual_links),
                vim_connection_info: BTreeMap::new(),
                additional_params: d.additional_params.clone(),
                extensions: d.extensions.clone(),
                vnf_configurable_properties: d.vnf_configurable_properties.clone(),
            };
            let given = Given { extensions: d.extensions.clone(), configurable: d.vnf_configurable_properties.clone() };
            Members::Remake(vnf, Box::new((Remade::Flavour(flavour::request(ask).map_err(|f| f.context(at))?), given)))
        }
        UpdateType::ChangeVnfpkg => {
            let (at, vnf, d) = one(each(r, &r.change_vnf_package_data, "changeVnfPackageData", |d| &d.vnf_instance_id)?)?;
            let ask = ChangeCurrentVnfPkgRequest {
                vnfd_id: d.vnfd_id.clone(),
                ext_virtual_links: links(&d.ext_virtual_links),
                ext_managed_virtual_links: managed(&d.ext_managed_virtual_links),
                vim_connection_info: BTreeMap::new(),
                additional_params: d.additional_params.clone(),
                extensions: d.extensions.clone(),
                vnf_configurable_properties: d.vnf_configurable_properties.clone(),
            };
            let given = Given { extensions: d.extensions.clone(), configurable: d.vnf_configurable_properties.clone() };
            Members::Remake(vnf, Box::new((Remade::Package(package::request(ask).map_err(|f| f.context(at))?), given)))
        }
        UpdateType::ChangeExternalVnfConnectivity => {
            let member = "changeExtVnfConnectivityData";
            let (at, vnf, d) = one(each(r, &r.change_ext_vnf_connectivity_data, member, |d| &d.vnf_instance_id)?)?;
            let ask = ChangeExtVnfConnectivityRequest {
                ext_virtual_links: links(&d.ext_virtual_links),
                vim_connection_info: BTreeMap::new(),
                additional_params: d.additional_params.clone(),
            };
            Members::Connect(vnf, connect::request(ask).map_err(|f| f.context(at))?)
        }
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
        | UpdateType::UpdateVnffg
        | UpdateType::ChangeNsDf
        | UpdateType::AddPnf
        | UpdateType::ModifyPnf
        | UpdateType::RemovePnf
        | UpdateType::ModifyWanConnectionInfo
        | UpdateType::CreateNsVirtualLink
        | UpdateType::DeleteNsVirtualLink
        | UpdateType::CreateVnfSnapshot
        | UpdateType::RevertVnfToSnapshot
        | UpdateType::DeleteVnfSnapshotInfo => return Ok(None),
    };
    Ok(Some(found))
}

type Item<'r, T> = (String, VnfId, &'r T);

/// The items of the member that counts, each with where it stands and the VNF that it names.
fn each<'r, T>(r: &UpdateNsRequest, items: &'r [T], member: &str, id: impl Fn(&T) -> &String) -> Result<Vec<Item<'r, T>>> {
    let mut faults = Faults::default();
    faults.refuse(r.update_time.is_some(), "updateTime", "not offered: an update begins at once");
    faults.refuse(items.is_empty(), member, "needed with this updateType");
    let mut all = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let at = format!("{member}[{i}]");
        match id(item).parse() {
            Ok(vnf) => all.push((at, vnf, item)),
            Err(_) => faults.add(format!("{at}.vnfInstanceId"), format!("'{}' is not the id of a VNF instance", id(item))),
        }
    }
    faults.end("UpdateNsRequest", all)
}

fn one<T>(mut all: Vec<Item<'_, T>>) -> Result<Item<'_, T>> {
    match (all.pop(), all.pop()) {
        (Some(item), None) => Ok(item),
        (Some((at, ..)), Some(_)) => Err(Fault::invalid(format!("{at}: one VNF at a time is offered with this updateType"))),
        (None, _) => Err(Fault::bug("a fault that was not told")),
    }
}

fn operate(d: &OperateVnfData, usual: u32) -> Result<Operate> {
    let ask = OperateVnfRequest {
        vnfc_instance_id: Vec::new(),
        change_state_to: d.change_state_to,
        stop_type: d.stop_type,
        graceful_stop_timeout: d.graceful_stop_timeout,
        additional_params: d.additional_param.clone(),
    };
    request::operate(&ask, usual).map(|(to, stopping)| Operate { to, stopping })
}

/// As the PATCH of SOL003 would have it.
fn modify(d: &ModifyVnfInfoData, at: &str) -> Result<VnfInfoModificationRequest> {
    if d.vnfd_id.is_some() {
        return Err(Fault::invalid(format!(
            "{at}.vnfdId: a modification does not change it; CHANGE_VNFPKG brings the VNF to another package"
        )));
    }
    let text = |t: &Option<String>| t.clone().map_or(Patch::Keep, Patch::Set);
    let pairs = |p: &KeyValuePairs| if p.is_empty() { Patch::Keep } else { Patch::Set(p.clone()) };
    Ok(VnfInfoModificationRequest {
        vnf_instance_name: text(&d.vnf_instance_name),
        vnf_instance_description: text(&d.vnf_instance_description),
        vnf_configurable_properties: pairs(&d.vnf_configurable_properties),
        metadata: pairs(&d.metadata),
        extensions: pairs(&d.extensions),
        ..VnfInfoModificationRequest::default()
    })
}

fn links(all: &[ExtVirtualLinkData]) -> Vec<vnflcm::ExtVirtualLinkData> {
    let link = |l: &ExtVirtualLinkData| vnflcm::ExtVirtualLinkData {
        id: l.ext_virtual_link_id.clone().unwrap_or_else(|| l.resource_id.clone()),
        vim_connection_id: None,
        resource_provider_id: l.resource_provider_id.clone(),
        resource_id: l.resource_id.clone(),
        ext_cps: l.ext_cps.clone(),
        ext_link_ports: l.ext_link_ports.clone(),
    };
    all.iter().map(link).collect()
}

/// They are refused by SOL003's reader, which is told that there are any.
fn managed(all: &[ExtManagedVirtualLinkData]) -> Vec<vnflcm::ExtManagedVirtualLinkData> {
    let link = |l: &ExtManagedVirtualLinkData| vnflcm::ExtManagedVirtualLinkData {
        id: l.ext_managed_virtual_link_id.clone().unwrap_or_default(),
        vnf_virtual_link_desc_id: l.vnf_virtual_link_desc_id.clone(),
        resource_id: l.resource_id.clone(),
        ..vnflcm::ExtManagedVirtualLinkData::default()
    };
    all.iter().map(link).collect()
}

/// What an update of a service does to the VNFs that its plan names. `None`: SOL005 has no change for that, as for a VNF that a
/// snapshot was taken of.
pub fn change_type(op: &Operation) -> Option<VnfChangeType> {
    match asked(op)?.update_type {
        UpdateType::OperateVnf => Some(VnfChangeType::Operate),
        UpdateType::ChangeVnfDf => Some(VnfChangeType::ChangeFlavour),
        UpdateType::ChangeVnfpkg => Some(VnfChangeType::ChangeVnfpkg),
        UpdateType::ChangeExternalVnfConnectivity => Some(VnfChangeType::ChangeExternalVnfConnectivity),
        _ => None,
    }
}

/// VNFs whose records an update of a service modified, and how.
pub fn modified(op: &Operation) -> Vec<(VnfId, VnfChangedInfo)> {
    let Some(asked) = asked(op).filter(|r| r.update_type == UpdateType::ModifyVnfInformation) else { return Vec::new() };
    let one = |d: ModifyVnfInfoData| {
        let vnf = d.vnf_instance_id.parse().ok()?;
        Some((vnf, VnfChangedInfo { changed_vnf_info: Some(d), ..VnfChangedInfo::default() }))
    };
    asked.modify_vnf_info_data.into_iter().filter_map(one).collect()
}

fn asked(op: &Operation) -> Option<UpdateNsRequest> {
    (op.kind == OpKind::Update).then(|| serde_json::from_str(&op.request).ok())?
}
