//! Coordination of a VNF's lifecycle operations with the VNF or its element manager (SOL002 10.5).

use serde::{Deserialize, Serialize};

use super::{
    common::{Identifier, KeyValuePairs, LcmCoordResult, Link},
    problem::ProblemDetails,
};

/// SOL002 10.5.2.2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LcmCoordRequest {
    pub vnf_instance_id: Identifier,
    pub vnf_lcm_op_occ_id: Identifier,
    /// `LcmOperationForCoordType`.
    pub lcm_operation_type: String,
    pub coordination_action_name: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub input_params: KeyValuePairs,
    #[serde(rename = "_links")]
    pub links: LcmCoordRequestLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LcmCoordRequestLinks {
    pub vnf_lcm_op_occ: Link,
    pub vnf_instance: Link,
}

/// SOL002 10.5.2.3, as far as it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LcmCoord {
    pub id: Identifier,
    pub coordination_result: LcmCoordResult,
    pub vnf_lcm_op_occ_id: Identifier,
    pub coordination_action_name: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ProblemDetails>,
}
