//! What a consumer asks of vnflcm: the bodies of the POST and PATCH methods.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{Identifier, KeyValuePairs, Patch},
    cp::{ExtLinkPortData, VimConnectionInfo, VnfExtCpData, VnfLinkPortData},
};

use super::instance::{ScaleInfo, VnfOperationalState};

/// POST vnf_instances.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVnfRequest {
    pub vnfd_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_description: Option<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// Instantiate (SOL003 5.5.2.4).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstantiateVnfRequest {
    pub flavour_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation_level_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    /// RFC 5646 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub localization_language: Option<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
}

/// An external link and which CPs attach to it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtVirtualLinkData {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
    pub resource_id: Identifier,
    pub ext_cps: Vec<VnfExtCpData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_link_ports: Vec<ExtLinkPortData>,
}

/// A link inside the VNF that somebody else made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExtManagedVirtualLinkData {
    pub id: Identifier,
    pub vnf_virtual_link_desc_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vim_connection_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_provider_id: Option<Identifier>,
    pub resource_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_link_port: Vec<VnfLinkPortData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ext_managed_multisite_virtual_link_id: Option<Identifier>,
}

/// Terminate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TerminateVnfRequest {
    pub termination_type: TerminationType,
    /// Seconds; only with GRACEFUL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful_termination_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// How a VNF ends; the same words stop one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TerminationType {
    Forceful,
    Graceful,
}

/// Start or stop.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperateVnfRequest {
    /// SOL002's (5.5.2.10): which guests; absent, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_instance_id: Vec<Identifier>,
    pub change_state_to: VnfOperationalState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_type: Option<TerminationType>,
    /// Seconds; only with GRACEFUL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graceful_stop_timeout: Option<u32>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Scale by steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleVnfRequest {
    #[serde(rename = "type")]
    pub kind: ScaleType,
    pub aspect_id: Identifier,
    /// One when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_steps: Option<u32>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Direction of scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScaleType {
    ScaleOut,
    ScaleIn,
}

/// Scale to an instantiation level, or to levels per aspect: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleVnfToLevelRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation_level_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_info: Vec<ScaleInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Change the deployment flavour (SOL003 5.5.2.7).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeVnfFlavourRequest {
    pub new_flavour_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instantiation_level_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
}

/// Heal.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealVnfRequest {
    /// SOL002's (5.5.2.9), taken here as well: which guests; absent, all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_instance_id: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// SOL002's: where a script is that heals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal_script: Option<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Re-plug external links.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeExtVnfConnectivityRequest {
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Move to another package of the same VNF.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeCurrentVnfPkgRequest {
    pub vnfd_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_virtual_links: Vec<ExtVirtualLinkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ext_managed_virtual_links: Vec<ExtManagedVirtualLinkData>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, VimConnectionInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub extensions: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub vnf_configurable_properties: KeyValuePairs,
}

/// PATCH of a VNF instance, a JSON merge patch (RFC 7396): null removes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfInfoModificationRequest {
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub vnf_instance_name: Patch<String>,
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub vnf_instance_description: Patch<String>,
    /// Another package for the instance; null is not permitted by SOL003 and read as absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_pkg_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub vnf_configurable_properties: Patch<KeyValuePairs>,
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub metadata: Patch<KeyValuePairs>,
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub extensions: Patch<KeyValuePairs>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vim_connection_info: BTreeMap<Identifier, Option<VimConnectionInfo>>,
}

/// Whether running steps may finish first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CancelModeType {
    Graceful,
    Forceful,
}

/// POST cancel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelMode {
    pub cancel_mode: CancelModeType,
}
