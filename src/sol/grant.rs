//! VNF lifecycle operation granting (SOL003 9.5), of either side.
//!
//! Owns the shapes; of what Bothy never looks into, only that it is there. Never judges a grant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    common::{Identifier, KeyValuePairs, Link},
    cp::{ResourceHandle, VimConnectionInfo},
    fm::FaultyResourceType,
    vnflcm::{ExtManagedVirtualLinkData, ExtVirtualLinkData},
};

/// `GrantedLcmOperationType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum GrantedOperation {
    Instantiate,
    Scale,
    ScaleToLevel,
    ChangeFlavour,
    Terminate,
    Heal,
    Operate,
    ChangeExtConn,
    CreateSnapshot,
    RevertToSnapshot,
    ChangeVnfpkg,
}

/// SOL003 11.5.3.2: whose room and quota a subscriber wants to hear of.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VrQuotaFilter {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vim_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_provider_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_types: Vec<FaultyResourceType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource_group_ids: Vec<Identifier>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantRequest {
    pub vnf_instance_id: Identifier,
    pub vnf_lcm_op_occ_id: Identifier,
    pub vnfd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst_vnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flavour_id: Option<Identifier>,
    pub operation: GrantedOperation,
    pub is_automatic_invocation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation_level_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_resources: Vec<ResourceDefinition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temp_resources: Vec<ResourceDefinition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_resources: Vec<ResourceDefinition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_resources: Vec<ResourceDefinition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement_constraints: Vec<PlacementConstraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vim_constraints: Vec<VimConstraint>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(rename = "_links")]
    pub links: GrantRequestLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantRequestLinks {
    pub vnf_lcm_op_occ: Link,
    pub vnf_instance: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ResourceType {
    Compute,
    Vl,
    Storage,
    Linkport,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDefinition {
    pub id: Identifier,
    #[serde(rename = "type")]
    pub kind: ResourceType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vdu_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfd_id: Option<Identifier>,
    pub resource_template_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceHandle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Affinity {
    Affinity,
    AntiAffinity,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementConstraint {
    pub affinity_or_anti_affinity: Affinity,
    pub scope: String,
    pub resource: Vec<ConstraintResourceRef>,
    #[serde(default)]
    pub fallback_best_effort: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VimConstraint {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_resource_group: Option<bool>,
    pub resource: Vec<ConstraintResourceRef>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintResourceRef {
    pub id_type: ConstraintIdType,
    pub resource_id: Identifier,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConstraintIdType {
    ResMgmt,
    Grant,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    pub id: Identifier,
    pub vnf_instance_id: Identifier,
    pub vnf_lcm_op_occ_id: Identifier,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_resources: Vec<GrantInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub temp_resources: Vec<GrantInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove_resources: Vec<GrantInfo>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_resources: Vec<GrantInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_assets: Option<VimAssets>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(rename = "_links")]
    pub links: GrantLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantLinks {
    #[serde(rename = "self")]
    pub self_: Link,
    pub vnf_lcm_op_occ: Link,
    pub vnf_instance: Link,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneInfo {
    pub id: Identifier,
    pub zone_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantInfo {
    pub resource_definition_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_group_id: Option<Identifier>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VimAssets {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub compute_resource_flavours: Vec<VimFlavour>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub software_images: Vec<VimImage>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshot_resources: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VimFlavour {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    pub vnfd_virtual_compute_desc_id: Identifier,
    pub vim_flavour_id: Identifier,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VimImage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    pub vnfd_software_image_id: Identifier,
    pub vim_software_image_id: Identifier,
}
