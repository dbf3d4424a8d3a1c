//! What a consumer asks of nslcm to scale and heal a network service.

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{DateTime, Identifier, KeyValuePairs},
    vnflcm::ScaleInfo,
};

use super::{
    instance::NsScaleInfo,
    request::{NestedNsLocationConstraint, ParamsForVnf, VnfInstanceData, VnfLocationConstraint},
};

/// Scale: the data member that `scale_type` names, and no other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleNsRequest {
    pub scale_type: NsScaleType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_ns_data: Option<ScaleNsData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scale_vnf_data: Vec<ScaleVnfData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_time: Option<DateTime>,
}

/// Whether the NS or VNFs in it are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsScaleType {
    ScaleNs,
    ScaleVnf,
}

/// Scale the NS.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleNsData {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_to_be_added: Vec<VnfInstanceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_to_be_removed: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_ns_by_steps_data: Option<ScaleNsByStepsData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_ns_to_level_data: Option<ScaleNsToLevelData>,
    /// ETSI's file types it as ParamsForVnf; its description, and instantiation's member, are key-value pairs.
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params_for_ns: KeyValuePairs,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional_params_for_vnf: Vec<ParamsForVnf>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub location_constraints: Vec<VnfLocationConstraint>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_ns_location_constraints: Vec<NestedNsLocationConstraint>,
}

/// Scale the NS along an aspect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleNsByStepsData {
    pub scaling_direction: ScalingDirection,
    pub aspect_id: Identifier,
    /// One when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_steps: Option<u32>,
}

/// Direction of scaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScalingDirection {
    ScaleIn,
    ScaleOut,
}

/// Scale the NS to a level: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleNsToLevelData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_instantiation_level: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_scale_info: Vec<NsScaleInfo>,
}

/// Scale one VNF of the NS: the data that the type names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleVnfData {
    pub vnf_instance_id: Identifier,
    pub scale_vnf_type: ScaleVnfType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_to_level_data: Option<ScaleToLevelData>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_by_step_data: Option<ScaleByStepData>,
}

/// How one VNF is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScaleVnfType {
    ScaleOut,
    ScaleIn,
    ScaleToInstantiationLevel,
    #[serde(rename = "SCALE_TO_SCALE_LEVEL(S)")]
    ScaleToScaleLevels,
}

/// Levels of a VNF.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleToLevelData {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instantiation_level_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_scale_info: Vec<ScaleInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Steps of a VNF.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleByStepData {
    pub aspect_id: Identifier,
    /// One when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_steps: Option<u32>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}

/// Heal: exactly one of the two members (SOL005 6.5.2.13).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealNsRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal_ns_data: Option<HealNsData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heal_vnf_data: Vec<HealVnfData>,
}

/// Heal the NS (SOL005 6.5.3.43).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealNsData {
    pub degree_healing: DegreeHealing,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions_healing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heal_script: Option<Identifier>,
    /// Spelt so by ETSI.
    #[serde(alias = "additionalParamsForNs", default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_paramsfor_ns: KeyValuePairs,
}

/// How far healing goes (SOL005 6.5.3.43).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DegreeHealing {
    HealRestore,
    HealQos,
    HealReset,
    PartialHealing,
}

/// Heal one VNF of the NS (SOL005 6.5.3.44).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealVnfData {
    pub vnf_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}
