//! A VNF LCM operation occurrence as vnflcm shows it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{CoordEndpointType, DateTime, Identifier, KeyValuePairs, LcmCoordResult, Link},
    cp::{ResourceHandle, VimConnectionInfo},
    problem::ProblemDetails,
};

use super::{instance::ExtVirtualLinkInfo, request::CancelModeType};

/// States of a VNF operation; unlike an NS operation's they begin with STARTING.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LcmOperationState {
    Starting,
    Processing,
    Completed,
    FailedTemp,
    Failed,
    RollingBack,
    RolledBack,
}

/// What a VNF operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LcmOperationType {
    Instantiate,
    Scale,
    ScaleToLevel,
    ChangeFlavour,
    Terminate,
    Heal,
    Operate,
    ChangeExtConn,
    ModifyInfo,
    CreateSnapshot,
    RevertToSnapshot,
    ChangeVnfpkg,
}

/// An individual VNF LCM operation occurrence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfLcmOpOcc {
    pub id: Identifier,
    pub operation_state: LcmOperationState,
    pub state_entered_time: DateTime,
    pub start_time: DateTime,
    pub vnf_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<Identifier>,
    pub operation: LcmOperationType,
    pub is_automatic_invocation: bool,
    /// The request object; `params` reads it by the operation's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation_params: Option<KeyValuePairs>,
    pub is_cancel_pending: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_mode: Option<CancelModeType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDetails>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_changes: Option<ResourceChanges>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_info: Option<VnfInfoModifications>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_vip_cps: Vec<AffectedVipCp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_ext_connectivity: Vec<ExtVirtualLinkInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modifications_triggered_by_vnf_pkg_change: Option<VnfInfoModifications>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot_info_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lcm_coordinations: Vec<LcmCoordination>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected_lcm_coordinations: Vec<RejectedLcmCoordination>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    pub links: Option<VnfLcmOpOccLinks>,
}

/// Links of an op-occ: a task's link is there while the task is allowed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfLcmOpOccLinks {
    pub self_: Link,
    pub vnf_instance: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot: Option<Link>,
}

/// What the operation did to resources.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceChanges {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_vnfcs: Vec<AffectedVnfc>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_virtual_links: Vec<AffectedVirtualLink>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_ext_link_ports: Vec<AffectedExtLinkPort>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_virtual_storages: Vec<AffectedVirtualStorage>,
}

/// What happened to a VNFC or a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChangeType {
    Added,
    Removed,
    Modified,
    Temporary,
}

/// A VNFC that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVnfc {
    pub id: Identifier,
    pub vdu_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub change_type: ChangeType,
    pub compute_resource: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_definition_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_vnfc_cp_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added_storage_resource_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_storage_resource_ids: Vec<Identifier>,
}

/// What happened to an internal link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LinkChangeType {
    Added,
    Removed,
    Modified,
    Temporary,
    LinkPortAdded,
    LinkPortRemoved,
}

/// An internal link that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVirtualLink {
    pub id: Identifier,
    pub vnf_virtual_link_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub change_type: LinkChangeType,
    pub network_resource: ResourceHandle,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_link_port_ids: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_definition_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// What happened to an external link port or a virtual IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PortChangeType {
    Added,
    Modified,
    Removed,
}

/// An external link port that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedExtLinkPort {
    pub id: Identifier,
    pub change_type: PortChangeType,
    pub ext_cp_instance_id: Identifier,
    pub resource_handle: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_definition_id: Option<Identifier>,
}

/// A disk that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVirtualStorage {
    pub id: Identifier,
    pub virtual_storage_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub change_type: ChangeType,
    pub storage_resource: ResourceHandle,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_definition_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// A virtual IP that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVipCp {
    pub cp_instance_id: Identifier,
    pub cpd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub change_type: PortChangeType,
}

/// What a modification, or a change of package, did to a VNF instance's record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfInfoModifications {
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_product_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_software_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_version: Option<String>,
}

/// A coordination that was asked of the VNF or its EM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LcmCoordination {
    pub id: Identifier,
    pub coordination_action_name: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordination_result: Option<LcmCoordResult>,
    pub start_time: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<DateTime>,
    pub endpoint_type: CoordEndpointType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DateTime>,
}

/// A coordination that was refused for now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedLcmCoordination {
    pub coordination_action_name: Identifier,
    pub rejection_time: DateTime,
    pub endpoint_type: CoordEndpointType,
    pub delay: DateTime,
}
