//! An NS LCM operation occurrence as nslcm shows it.

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{DateTime, Identifier, KeyValuePairs, LcmCoordResult, Link},
    problem::ProblemDetails,
    vnflcm::{CancelModeType, ExtVirtualLinkInfo, VnfInfoModifications},
};

/// States of an NS operation; unlike a VNF operation's they have PARTIALLY_COMPLETED and no STARTING.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsLcmOperationState {
    Processing,
    Completed,
    PartiallyCompleted,
    FailedTemp,
    Failed,
    RollingBack,
    RolledBack,
}

/// What an NS operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsLcmOpType {
    Instantiate,
    Scale,
    Update,
    Terminate,
    Heal,
}

/// An individual NS LCM operation occurrence (SOL005 6.5.2.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsLcmOpOcc {
    pub id: Identifier,
    pub operation_state: NsLcmOperationState,
    /// The same time under v1's name, which ETSI's v2 file still requires; both are sent.
    pub status_entered_time: DateTime,
    /// When the state was entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_entered_time: Option<DateTime>,
    pub ns_instance_id: Identifier,
    pub lcm_operation_type: NsLcmOpType,
    pub start_time: DateTime,
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
    pub resource_changes: Option<NsResourceChanges>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lcm_coordinations: Vec<NsLcmCoordination>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected_lcm_coordinations: Vec<NsRejectedLcmCoordination>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    #[serde(rename = "_links")]
    pub links: NsLcmOpOccLinks,
}

/// Links of an op-occ: a task's link is there while the task is allowed (SOL005 6.5.2.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsLcmOpOccLinks {
    pub self_: Link,
    pub ns_instance: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_: Option<Link>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail: Option<Link>,
}

/// What the operation did to the parts of the NS (SOL005 6.5.2.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsResourceChanges {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_vnfs: Vec<AffectedVnf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_pnfs: Vec<AffectedPnf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_vls: Vec<AffectedNsVirtualLink>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_vnffgs: Vec<AffectedVnffg>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_nss: Vec<AffectedNs>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_saps: Vec<AffectedSap>,
}

/// How the change of a part ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChangeResult {
    Completed,
    RolledBack,
    Failed,
}

/// A VNF that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVnf {
    pub vnf_instance_id: Identifier,
    pub vnfd_id: Identifier,
    pub vnf_profile_id: Identifier,
    pub vnf_name: String,
    pub change_type: VnfChangeType,
    pub change_result: ChangeResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_info: Option<VnfChangedInfo>,
}

/// What happened to a VNF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VnfChangeType {
    Add,
    Remove,
    Instantiate,
    Terminate,
    Scale,
    ChangeFlavour,
    Heal,
    Operate,
    ModifyInformation,
    ChangeExternalVnfConnectivity,
    ChangeVnfpkg,
}

/// What of a VNF's record changed: not both of the modifications.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfChangedInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_vnf_info: Option<ModifyVnfInfoData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_ext_connectivity: Vec<ExtVirtualLinkInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modifications_triggered_by_vnf_pkg_change: Option<VnfInfoModifications>,
}

/// Changes to a VNF's record.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModifyVnfInfoData {
    pub vnf_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
}

/// What happened to a PNF or a SAP (SOL005 6.5.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PartChangeType {
    Add,
    Remove,
    Modify,
}

/// A PNF that changed (SOL005 6.5.3.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedPnf {
    pub pnf_id: Identifier,
    pub pnfd_id: Identifier,
    pub pnf_profile_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnf_name: Option<String>,
    pub cp_instance_id: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_type: Option<PartChangeType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_result: Option<ChangeResult>,
}

/// What happened to an NS virtual link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsVlChangeType {
    Add,
    Delete,
    Modify,
    AddLinkPort,
    RemoveLinkPort,
}

/// An NS virtual link that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedNsVirtualLink {
    pub ns_virtual_link_instance_id: Identifier,
    pub ns_virtual_link_desc_id: Identifier,
    pub vl_profile_id: Identifier,
    pub change_type: NsVlChangeType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub link_port_ids: Vec<Identifier>,
    pub change_result: ChangeResult,
}

/// What happened to a forwarding graph (SOL005 6.5.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum VnffgChangeType {
    Add,
    Delete,
    Modify,
}

/// A forwarding graph that changed (SOL005 6.5.3.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedVnffg {
    pub vnffg_instance_id: Identifier,
    pub vnffgd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_type: Option<VnffgChangeType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_result: Option<ChangeResult>,
}

/// What happened to a nested NS (SOL005 6.5.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsChangeType {
    Add,
    Remove,
    Instantiate,
    Scale,
    Update,
    Heal,
    Terminate,
}

/// How the change of a nested NS ended (SOL005 6.5.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsChangeResult {
    Completed,
    RolledBack,
    Failed,
    PartiallyCompleted,
}

/// A nested NS that changed (SOL005 6.5.3.6).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedNs {
    pub ns_instance_id: Identifier,
    pub nsd_id: Identifier,
    pub change_type: NsChangeType,
    pub change_result: NsChangeResult,
    /// Changes to WAN connections, kept as given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_info: Option<KeyValuePairs>,
}

/// A SAP that changed (SOL005 6.5.3.7).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AffectedSap {
    pub sap_instance_id: Identifier,
    pub sapd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sap_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_type: Option<PartChangeType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_result: Option<ChangeResult>,
}

/// Who coordinates an NS operation: only the management system (SOL005 6.5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsCoordEndpointType {
    Mgmt,
}

/// A coordination that was asked of the management system (SOL005 6.5.2.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsLcmCoordination {
    pub id: Identifier,
    pub coordination_action_name: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordination_result: Option<LcmCoordResult>,
    pub start_time: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<DateTime>,
    pub endpoint_type: NsCoordEndpointType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<DateTime>,
}

/// A coordination that was refused for now (SOL005 6.5.2.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsRejectedLcmCoordination {
    pub coordination_action_name: Identifier,
    pub rejection_time: DateTime,
    pub endpoint_type: NsCoordEndpointType,
    pub delay: DateTime,
}
