//! What a consumer asks of nslcm to make and end a network service.

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{DateTime, Identifier, KeyValuePairs},
    cp::{CpProtocolData, ExtLinkPortData, VnfExtCpData, VnfLinkPortData},
    vnflcm::TerminationType,
};

/// POST ns_instances.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateNsRequest {
    pub nsd_id: Identifier,
    pub ns_name: String,
    pub ns_description: String,
}

/// Instantiate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstantiateNsRequest {
    pub ns_flavour_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sap_data: Vec<SapData>,
    /// Spelt so by ETSI.
    #[serde(alias = "addPnfData", default, skip_serializing_if = "Vec::is_empty")]
    pub addpnf_data: Vec<AddPnfData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_data: Vec<VnfInstanceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_ns_instance_data: Vec<NestedNsInstanceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub location_constraints: Vec<VnfLocationConstraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_ns_location_constraints: Vec<NestedNsLocationConstraint>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params_for_ns: KeyValuePairs,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_params_for_nested_ns: Vec<ParamsForNestedNs>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_params_for_vnf: Vec<ParamsForVnf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_instantiation_level_id: Option<Identifier>,
    /// Kept as given: one box has no WAN connection of its own to configure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wan_connection_data: Vec<KeyValuePairs>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_affinity_or_anti_affinity_rule: Vec<AffinityOrAntiAffinityRule>,
}

/// A service access point asked for (SOL005 6.5.3.10).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SapData {
    pub sapd_id: Identifier,
    pub sap_name: String,
    pub description: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sap_protocol_data: Vec<CpProtocolData>,
}

/// A PNF to add (SOL005 6.5.3.14).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddPnfData {
    pub pnf_id: Identifier,
    pub pnf_name: String,
    pub pnfd_id: Identifier,
    pub pnf_profile_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_data: Vec<PnfExtCpData>,
}

/// A PNF's external CP (SOL005 6.5.3.16).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PnfExtCpData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cp_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpd_id: Option<Identifier>,
    pub cp_protocol_data: Vec<CpProtocolData>,
}

/// An existing VNF instance to use for a profile (SOL005 6.5.3.19).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfInstanceData {
    pub vnf_instance_id: Identifier,
    pub vnf_profile_id: Identifier,
}

/// An existing NS instance to nest (SOL005 6.5.3.19a).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NestedNsInstanceData {
    pub nested_ns_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_profile_id: Option<Identifier>,
}

/// Where the VNFs of a profile may be (SOL005 6.5.3.20).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfLocationConstraint {
    pub vnf_profile_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_constraints: Option<LocationConstraints>,
}

/// Where a nested NS may be (SOL005 6.5.3.96).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NestedNsLocationConstraint {
    pub ns_profile_id: Identifier,
    pub location_constraints: LocationConstraints,
}

/// A place, as RFC 4776 and RFC 7946 write it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocationConstraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub civic_address_element: Vec<CivicAddressElement>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub area: KeyValuePairs,
}

/// One element of a civic address.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CivicAddressElement {
    pub ca_type: u32,
    pub ca_value: String,
}

/// Parameters for the VNFs of one profile (SOL005 6.5.3.22).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParamsForVnf {
    pub vnf_profile_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_description: Option<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Parameters for a nested NS (SOL005 6.5.3.21a).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParamsForNestedNs {
    pub ns_profile_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_param: Vec<KeyValuePairs>,
}

/// A placement rule beside the NSD's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffinityOrAntiAffinityRule {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfd_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_profile_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_id: Vec<Identifier>,
    /// Spelt so by ETSI; the right spelling is taken too.
    #[serde(alias = "affinityOrAntiAffinity")]
    pub affinity_or_anti_affiinty: Affinity,
    pub scope: AffinityScope,
}

/// Together or apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Affinity {
    Affinity,
    AntiAffinity,
}

/// What together and apart refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AffinityScope {
    NfviPop,
    Zone,
    ZoneGroup,
    NfviNode,
}

/// Terminate (SOL005 6.5.2.15).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminateNsRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_time: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terminate_ns_data: Option<TerminateNsData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terminate_vnf_data: Vec<TerminateVnfData>,
}

/// Parameters at the NS level.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminateNsData {
    /// Spelt so by ETSI.
    #[serde(alias = "additionalParamsForNs", default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_paramsfor_ns: KeyValuePairs,
}

/// How one VNF of the NS ends.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminateVnfData {
    pub vnf_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_type: Option<TerminationType>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful_termination_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// An external link; unlike SOL003's it names a VIM, not a VIM connection.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtVirtualLinkData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_virtual_link_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
    pub resource_id: Identifier,
    pub ext_cps: Vec<VnfExtCpData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_link_ports: Vec<ExtLinkPortData>,
}

/// An internal link that somebody else made (SOL005 6.5.3.27).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtManagedVirtualLinkData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_managed_virtual_link_id: Option<Identifier>,
    pub vnf_virtual_link_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
    pub resource_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_link_port: Vec<VnfLinkPortData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_managed_multisite_virtual_link_id: Option<Identifier>,
}
