//! What a consumer asks of nslcm to change an instantiated network service.
//!
//! `UpdateNsRequest` is many requests in one: `update_type` says which member counts, and the handler refuses the rest.

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{DateTime, Identifier, KeyValuePairs},
    vnflcm::{TerminationType, VnfOperationalState},
};

use super::{
    opocc::ModifyVnfInfoData,
    request::{
        AddPnfData, ExtManagedVirtualLinkData, ExtVirtualLinkData, NestedNsInstanceData, PnfExtCpData, SapData, TerminateVnfData,
        VnfInstanceData, VnfLocationConstraint,
    },
};

/// Update.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateNsRequest {
    pub update_type: UpdateType,
    /// ETSI's file has the typo that the alias takes.
    #[serde(alias = "addVnfIstance", default, skip_serializing_if = "Vec::is_empty")]
    pub add_vnf_instance: Vec<VnfInstanceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_vnf_instance_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instantiate_vnf_data: Vec<InstantiateVnfData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terminate_vnf_data: Vec<TerminateVnfData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_vnf_flavour_data: Vec<ChangeVnfFlavourData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operate_vnf_data: Vec<OperateVnfData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modify_vnf_info_data: Vec<ModifyVnfInfoData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_ext_vnf_connectivity_data: Vec<ChangeExtVnfConnectivityData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change_vnf_package_data: Vec<ChangeVnfPackageData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_sap: Vec<SapData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_sap_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_nested_ns_data: Vec<NestedNsInstanceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_nested_ns_id: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assoc_new_nsd_version_data: Option<AssocNewNsdVersionData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub move_vnf_instance_data: Vec<MoveVnfInstanceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_vnffg: Vec<AddVnffgData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_vnffg_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_vnffg: Vec<UpdateVnffgData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_ns_flavour_data: Option<ChangeNsFlavourData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_pnf_data: Vec<AddPnfData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modify_pnf_data: Vec<ModifyPnfData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_pnf_id: Vec<Identifier>,
    /// Kept as given: one box has no WAN connection of its own to configure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modify_wan_connection_info_data: Vec<KeyValuePairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_time: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_snapshot_data: Option<CreateVnfSnapshotData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revert_vnf_to_snapshot_data: Option<RevertVnfToSnapshotData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_vnf_snapshot_data: Option<DeleteVnfSnapshotData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_ns_virtual_link_data: Vec<AddNsVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete_ns_virtual_link_id: Vec<Identifier>,
}

/// Which change is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpdateType {
    AddVnf,
    RemoveVnf,
    InstantiateVnf,
    ChangeVnfDf,
    OperateVnf,
    ModifyVnfInformation,
    ChangeExternalVnfConnectivity,
    ChangeVnfpkg,
    #[serde(alias = "ADD SAP")]
    AddSap,
    RemoveSap,
    AddNestedNs,
    RemoveNestedNs,
    AssocNewNsdVersion,
    MoveVnf,
    AddVnffg,
    RemoveVnffg,
    UpdateVnffg,
    ChangeNsDf,
    AddPnf,
    ModifyPnf,
    RemovePnf,
    CreateVnfSnapshot,
    RevertVnfToSnapshot,
    DeleteVnfSnapshotInfo,
    ModifyWanConnectionInfo,
    CreateNsVirtualLink,
    DeleteNsVirtualLink,
}

/// A VNF to instantiate (SOL005 6.5.3.24).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstantiateVnfData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_flavour_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instantiation_level_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_profile_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_language: Option<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location_constraints: Option<VnfLocationConstraint>,
}

/// A VNF to change to another flavour.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeVnfFlavourData {
    pub vnf_instance_id: Identifier,
    pub new_flavour_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation_level_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
}

/// A VNF to start or stop.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperateVnfData {
    pub vnf_instance_id: Identifier,
    pub change_state_to: VnfOperationalState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_type: Option<TerminationType>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful_stop_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_param: KeyValuePairs,
}

/// A VNF to re-plug.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeExtVnfConnectivityData {
    pub vnf_instance_id: Identifier,
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// A VNF to move to another package.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeVnfPackageData {
    pub vnf_instance_id: Identifier,
    pub vnfd_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
}

/// Another version of the NSD (SOL005 6.5.3.34).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssocNewNsdVersionData {
    pub new_nsd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<bool>,
}

/// VNFs to move to another NS (SOL005 6.5.3.35).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveVnfInstanceData {
    pub target_ns_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_id: Vec<Identifier>,
}

/// A forwarding graph to add (SOL005 6.5.3.36).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddVnffgData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ns_instance_id: Option<Identifier>,
    pub vnffg_name: String,
    pub description: String,
}

/// A forwarding graph to change (SOL005 6.5.3.37).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateVnffgData {
    pub vnffg_info_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nfp: Vec<NfpData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nfp_info_id: Vec<Identifier>,
}

/// A forwarding path (SOL005 6.5.3.38).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfpData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfp_info_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfp_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_group: Vec<CpGroupInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfp_rule: Option<NfpRule>,
}

/// CPs at one position of a path (SOL005 6.5.3.71).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpGroupInfo {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_pair_info: Vec<CpPairInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding_behaviour: Option<ForwardingBehaviour>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarding_behaviour_input_parameters: Option<ForwardingBehaviourInputParameters>,
}

/// To all of the group, or spread over it (SOL005 6.5.3.71).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ForwardingBehaviour {
    All,
    Lb,
}

/// Ingress and egress CP; one when both are the same (SOL005 6.5.3.72).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CpPairInfo {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_ext_cp_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnf_ext_cp_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sap_ids: Vec<Identifier>,
}

/// How traffic is spread (SOL005 6.5.3.73).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForwardingBehaviourInputParameters {
    /// Spelt so by ETSI; the right spelling is taken too.
    #[serde(alias = "algorithmName", skip_serializing_if = "Option::is_none")]
    pub algortihm_name: Option<BalanceAlgorithm>,
    /// Per cent, in the order in which the CPs were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithm_weights: Vec<u32>,
}

/// What decides where a flow goes (SOL005 6.5.3.73).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BalanceAlgorithm {
    RoundRobin,
    LeastConnection,
    LeastTraffic,
    LeastResponseTime,
    ChainedFailover,
    SourceIpHash,
    SourceMacHash,
}

/// Which traffic takes the path: at least one member (SOL005 6.5.3.40).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfpRule {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ether_destination_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ether_source_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ether_type: Option<EtherType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vlan_tag: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<NfpProtocol>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dscp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port_range: Option<PortRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port_range: Option<PortRange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip_address_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_ip_address_prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_criteria: Vec<Mask>,
}

/// Network protocol (SOL005 6.5.3.40).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EtherType {
    Ipv4,
    Ipv6,
}

/// Transport protocol (SOL005 6.5.3.40).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NfpProtocol {
    Tcp,
    Udp,
    Icmp,
}

/// First and last port, both inclusive (SOL005 6.5.3.42).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortRange {
    pub lower_port: u16,
    pub upper_port: u16,
}

/// Bits of a frame that must have a value (SOL005 6.5.3.41).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mask {
    /// Bits from the beginning of the packet.
    pub starting_point: u32,
    /// Bits.
    pub length: u32,
    pub value: String,
}

/// Another flavour of the NS (SOL005 6.5.3.39).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeNsFlavourData {
    pub new_ns_flavour_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation_level_id: Option<Identifier>,
}

/// A PNF to change (SOL005 6.5.3.15).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyPnfData {
    pub pnf_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnf_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cp_data: Vec<PnfExtCpData>,
}

/// A VNF to take a snapshot of (SOL005 6.5.3.76).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVnfSnapshotData {
    pub vnf_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// A VNF to take back to a snapshot (SOL005 6.5.3.75).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevertVnfToSnapshotData {
    pub vnf_instance_id: Identifier,
    pub vnf_snapshot_info_id: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// A snapshot to delete (SOL005 6.5.3.74).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteVnfSnapshotData {
    pub vnf_instance_id: Identifier,
    pub vnf_snapshot_info_id: Identifier,
}

/// A virtual link to add (SOL005 6.5.3.95).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddNsVirtualLinkData {
    pub ns_virtual_link_profile_id: Identifier,
}
