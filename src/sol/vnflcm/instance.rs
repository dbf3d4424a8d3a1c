//! A VNF instance as vnflcm shows it, with everything instantiation made. nslcm shows the same `InstantiatedVnfInfo`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use crate::sol::{
    common::{Identifier, KeyValuePairs, Link},
    cp::{CpProtocolInfo, ResourceHandle, VimConnectionInfo, VnfExtCpData},
};

/// An individual VNF instance resource (SOL003 5.5.2.2).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfInstance {
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
    /// Of the first major alone (V2.4.1, 5.5.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnf_pkg_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    pub instantiation_state: InstantiationState,
    /// Present exactly when INSTANTIATED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiated_vnf_info: Option<InstantiatedVnfInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(rename = "_links")]
    pub links: VnfInstanceLinks,
}

/// Links of a VNF instance: an operation's link is there when its state allows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfInstanceLinks {
    pub self_: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indicators: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiate: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_to_level: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_flavour: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operate: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_ext_conn: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_snapshot: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revert_to_snapshot: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_current_vnf_pkg: Option<Link>,
}

/// Whether anything was made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum InstantiationState {
    #[default]
    NotInstantiated,
    Instantiated,
}

/// Whether the VNF runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VnfOperationalState {
    Started,
    #[default]
    Stopped,
}

/// What instantiation made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstantiatedVnfInfo {
    pub flavour_id: Identifier,
    pub vnf_state: VnfOperationalState,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_status: Vec<ScaleInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub max_scale_levels: Vec<ScaleInfo>,
    pub ext_cp_info: Vec<VnfExtCpInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vip_cp_info: Vec<VipCpInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_link_info: Vec<ExtVirtualLinkInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_link_info: Vec<ExtManagedVirtualLinkInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub monitoring_parameters: Vec<MonitoringParameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_language: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_resource_info: Vec<VnfcResourceInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_virtual_link_resource_info: Vec<VnfVirtualLinkResourceInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub virtual_storage_resource_info: Vec<VirtualStorageResourceInfo>,
    /// SOL002's name of the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_virtual_storage_resource_info: Vec<VirtualStorageResourceInfo>,
    /// SOL002's alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_info: Vec<VnfcInfo>,
}

/// A guest as its element manager sees it (SOL002 5.5.3.23).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfcInfo {
    pub id: Identifier,
    pub vdu_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfc_resource_info_id: Option<Identifier>,
    pub vnfc_state: VnfOperationalState,
}

/// One aspect's level.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleInfo {
    pub aspect_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    /// SOL003's file calls it `scaleToLevel` and types it as an identifier; its own list of required members, and SOL005, say this.
    #[serde(alias = "scaleToLevel", deserialize_with = "level")]
    pub scale_level: u32,
}

/// A running VDU.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfcResourceInfo {
    pub id: Identifier,
    pub vdu_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub compute_resource: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_resource_ids: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_cp_info: Vec<VnfcCpInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// A VNFC's connection point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfcCpInfo {
    pub id: Identifier,
    pub cpd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_ext_cp_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_protocol_info: Vec<CpProtocolInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_cp_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_link_port_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// A link inside the VNF.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfVirtualLinkResourceInfo {
    pub id: Identifier,
    pub vnf_virtual_link_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub network_resource: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_link_ports: Vec<VnfLinkPortInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualStorageResourceInfo {
    pub id: Identifier,
    pub virtual_storage_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub storage_resource: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// An external CP; exactly one of the three associations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfExtCpInfo {
    pub id: Identifier,
    pub cpd_id: Identifier,
    pub cp_config_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub cp_protocol_info: Vec<CpProtocolInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_link_port_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associated_vnfc_cp_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associated_vip_cp_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub associated_vnf_virtual_link_id: Option<Identifier>,
}

/// A virtual IP's CP.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VipCpInfo {
    pub cp_instance_id: Identifier,
    pub cpd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_ext_cp_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_protocol_info: Vec<CpProtocolInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub associated_vnfc_cp_ids: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_link_port_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// An external link in use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtVirtualLinkInfo {
    pub id: Identifier,
    pub resource_handle: ResourceHandle,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_link_ports: Vec<ExtLinkPortInfo>,
    pub current_vnf_ext_cp_data: Vec<VnfExtCpData>,
}

/// A port of an external link.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtLinkPortInfo {
    pub id: Identifier,
    pub resource_handle: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary_cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk_resource_id: Option<Identifier>,
}

/// An internal link that somebody else made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtManagedVirtualLinkInfo {
    pub id: Identifier,
    pub vnf_virtual_link_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub network_resource: ResourceHandle,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_link_ports: Vec<VnfLinkPortInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_managed_multisite_virtual_link_id: Option<Identifier>,
}

/// A port of an internal link.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfLinkPortInfo {
    pub id: Identifier,
    pub resource_handle: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cp_instance_type: Option<CpInstanceType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vip_cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk_resource_id: Option<Identifier>,
}

/// What kind of CP a port serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CpInstanceType {
    VnfcCp,
    ExtCp,
}

/// A metric the VNFD asks to be watched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringParameter {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub performance_metric: String,
}

/// Reads a scale level, also one written as a string, which is what clients generated from SOL003's file send.
fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Level {
        Number(u32),
        Text(String),
    }
    match Level::deserialize(deserializer)? {
        Level::Number(level) => Ok(level),
        Level::Text(text) => text.parse().map_err(|_| D::Error::custom(format!("scale level `{text}` is not a whole number from 0"))),
    }
}
