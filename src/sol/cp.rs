//! Connection points, addresses, external links and resource handles: the nested types that SOL003 and SOL005 share.
//!
//! Owns one type where both standards mean the same thing and differ at most in which optional members they use; each such
//! member says whose it is. Never fills anything in: what a listener may not show, the conversion leaves out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::common::{Identifier, KeyValuePairs};

/// Where a virtual resource lives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceHandle {
    /// SOL003's name for the VIM; absent when the VNFM has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    /// SOL005's name for the VIM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
    /// The identifier in the VIM, which here is the mini-VIM or libvirt's.
    pub resource_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_level_resource_type: Option<String>,
}

/// How to reach a VIM; secrets in `accessInfo` are taken but never given back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VimConnectionInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_id: Option<Identifier>,
    pub vim_type: String,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub interface_info: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub access_info: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extra: KeyValuePairs,
}

/// The only layer protocol SOL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LayerProtocol {
    IpOverEthernet,
}

/// Version of a group of addresses. Some clients send the `PV4` of ETSI's own file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IpAddressType {
    #[serde(alias = "PV4")]
    Ipv4,
    #[serde(alias = "PV6")]
    Ipv6,
}

/// Whether a trunk subport's segment id is its own or the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SegmentationType {
    Vlan,
    Inherit,
}

/// First and last address of a range, both inclusive.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressRange {
    pub min_address: String,
    pub max_address: String,
}

/// Protocol layers of a connection point as they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpProtocolInfo {
    pub layer_protocol: LayerProtocol,
    /// Required by SOL005, conditional in SOL003.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_over_ethernet: Option<IpOverEthernetAddressInfo>,
}

/// Addresses that a connection point has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpOverEthernetAddressInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<IpAddressesInfo>,
}

/// One group of addresses: exactly one of `addresses` and `addressRange`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddressesInfo {
    #[serde(rename = "type")]
    pub kind: IpAddressType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Present exactly when `addresses` is: true when assigned, false when the request gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_dynamic: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_range: Option<AddressRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
}

/// Protocol layers of a connection point as asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpProtocolData {
    pub layer_protocol: LayerProtocol,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_over_ethernet: Option<IpOverEthernetAddressData>,
}

/// Addresses asked for a connection point.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpOverEthernetAddressData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation_type: Option<SegmentationType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segmentation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<IpAddressesData>,
}

/// One group asked for: exactly one of fixed, dynamic and range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IpAddressesData {
    #[serde(rename = "type")]
    pub kind: IpAddressType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_dynamic_addresses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_range: Option<AddressRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet_id: Option<String>,
}

/// How the external CPs of one CPD attach to a link, keyed by `cpConfigId`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfExtCpData {
    pub cpd_id: Identifier,
    /// A null value removes that CP configuration (change of external connectivity).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cp_config: BTreeMap<Identifier, Option<VnfExtCpConfig>>,
}

/// One external CP's configuration: at least one of a link port and protocol data.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfExtCpConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_cp_config_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_port_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_ext_link_port: Option<bool>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_protocol_data: Vec<CpProtocolData>,
}

/// A port that exists outside and is to be used.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtLinkPortData {
    pub id: Identifier,
    pub resource_handle: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunk_resource_id: Option<Identifier>,
}

/// A port of an externally managed link.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfLinkPortData {
    pub vnf_link_port_id: Identifier,
    pub resource_handle: ResourceHandle,
}
