//! A network service instance as nslcm shows it.

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{Identifier, KeyValuePairs, Link},
    cp::{CpProtocolData, CpProtocolInfo, ResourceHandle},
    vnflcm::{InstantiatedVnfInfo, InstantiationState},
};

use super::request::AffinityOrAntiAffinityRule;

/// An individual NS instance resource (SOL005 6.5.2.10).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsInstance {
    pub id: Identifier,
    pub ns_instance_name: String,
    pub ns_instance_description: String,
    pub nsd_id: Identifier,
    pub nsd_info_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavour_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance: Vec<NsVnfInstance>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnf_info: Vec<PnfInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_link_info: Vec<NsVirtualLinkInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnffg_info: Vec<VnffgInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sap_info: Vec<SapInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_ns_instance_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_snapshot_info_ids: Vec<Identifier>,
    pub ns_state: InstantiationState,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitoring_parameter: Vec<NsMonitoringParameter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_scale_status: Vec<NsScaleInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_affinity_or_anti_affinity_rule: Vec<AffinityOrAntiAffinityRule>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wan_connection_info: Vec<KeyValuePairs>,
    #[serde(rename = "_links")]
    pub links: NsInstanceLinks,
}

/// Links of an NS instance: an operation's link is there when its state allows it (SOL005 6.5.2.10).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsInstanceLinks {
    pub self_: Link,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_ns_instances: Vec<Link>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_snapshot_infos: Vec<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiate: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal: Option<Link>,
}

/// A VNF of the NS: what SOL003 shows, with the package and the VIM in place of VIM connections and links (SOL005 6.5.3.57).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsVnfInstance {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_description: Option<String>,
    pub vnfd_id: Identifier,
    pub vnf_provider: String,
    pub vnf_product_name: String,
    pub vnf_software_version: String,
    pub vnfd_version: String,
    pub vnf_pkg_id: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_id: Option<Identifier>,
    pub instantiation_state: InstantiationState,
    /// SOL005 knows no `zoneId` in it and says `vimId` in resource handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiated_vnf_info: Option<InstantiatedVnfInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
}

/// A virtual link of the NS (SOL005 6.5.3.53).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsVirtualLinkInfo {
    pub id: Identifier,
    pub ns_virtual_link_desc_id: Identifier,
    pub ns_virtual_link_profile_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_handle: Vec<ResourceHandle>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_port: Vec<NsLinkPortInfo>,
}

/// A port of an NS virtual link (SOL005 6.5.3.55).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsLinkPortInfo {
    pub id: Identifier,
    pub resource_handle: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_cp_handle: Option<NsCpHandle>,
}

/// A CP seen from the NS: exactly one pair, of a VNF, a PNF or a nested NS (SOL005 6.5.3.56).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsCpHandle {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_ext_cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnf_info_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnf_ext_cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_sap_instance_id: Option<Identifier>,
}

/// A service access point (SOL005 6.5.3.67).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SapInfo {
    pub id: Identifier,
    pub sapd_id: Identifier,
    pub sap_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub sap_protocol_info: Vec<CpProtocolInfo>,
}

/// A PNF of the NS (SOL005 6.5.3.13).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PnfInfo {
    pub pnf_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnf_name: Option<String>,
    pub pnfd_id: Identifier,
    pub pnfd_info_id: Identifier,
    pub pnf_profile_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_info: Vec<PnfExtCpInfo>,
}

/// A PNF's external CP (SOL005 6.5.3.17).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PnfExtCpInfo {
    pub cp_instance_id: Identifier,
    pub cpd_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_protocol_data: Vec<CpProtocolData>,
}

/// A forwarding graph of the NS.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnffgInfo {
    pub id: Identifier,
    pub vnffgd_id: Identifier,
    pub vnf_instance_id: Vec<Identifier>,
    #[serde(alias = "pnfInfoId", default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_info_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_virtual_link_info_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_cp_handle: Vec<NsCpHandle>,
}

/// A metric the NSD asks to be watched (SOL005 6.5.3.68).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsMonitoringParameter {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub performance_metric: String,
}

/// One aspect's level.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsScaleInfo {
    pub ns_scaling_aspect_id: Identifier,
    pub ns_scale_level_id: Identifier,
}
