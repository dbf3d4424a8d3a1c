//! NFVI capacity information and its thresholds (SOL005 10.5, `nfvici`).
//!
//! Quantities are objects to the standard, without a word on their members: `value` and `unit` here.

use serde::{Deserialize, Serialize};

use super::{
    common::{DateTime, Identifier, KeyValuePairs, Link},
    pm::{SimpleThreshold, ThresholdType},
    subscription::SubscriptionAuthentication,
};

/// SOL005 10.5.2.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfviCapacityInfo {
    pub id: Identifier,
    pub vim_id: Identifier,
    pub capacity_info_per_zone: Vec<NfviCapacityInfoPerZone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_capacity_info: Option<NfviCapacityMeasurement>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_interval: Option<TimeInterval>,
}

/// SOL005 10.5.2.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfviCapacityInfoPerZone {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_zone_id: Option<Identifier>,
    pub capacity_measurements: Vec<NfviCapacityMeasurement>,
}

/// SOL005 10.5.2.6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NfviCapacityMeasurement {
    pub resource_type: ResourceType,
    pub capacity_measurement_name: String,
    pub total_capacity: KeyValuePairs,
    pub allocated_capacity: KeyValuePairs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_capacity: Option<KeyValuePairs>,
    pub available_capacity: KeyValuePairs,
}

/// SOL005 10.5.2.7.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TimeInterval {
    pub a_time: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b_time: Option<DateTime>,
}

/// SOL005 10.5.4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ResourceType {
    VrCompute,
    VrNetwork,
    VrStorage,
    HostCompute,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CapacityType {
    Total,
    Allocated,
    Reserved,
    Available,
}

/// SOL005 10.5.2.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateCapacityThresholdRequest {
    pub object_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_object_instance_ids: Vec<Identifier>,
    pub criteria: CapacityThresholdCriteria,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<SubscriptionAuthentication>,
}

/// SOL005 10.5.2.8: without the credentials, which are never read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityThreshold {
    pub id: Identifier,
    pub object_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_object_instance_ids: Vec<Identifier>,
    pub criteria: CapacityThresholdCriteria,
    pub callback_uri: String,
    #[serde(rename = "_links")]
    pub links: CapacityThresholdLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityThresholdLinks {
    #[serde(rename = "self")]
    pub self_: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Link>,
}

/// SOL005 10.5.3.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityThresholdCriteria {
    pub capacity_metric: CapacityMetric,
    pub threshold_type: ThresholdType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub simple_threshold_details: Vec<SimpleThreshold>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CapacityMetric {
    pub resource_type: ResourceType,
    pub capacity_measurement_name: String,
    pub capacity_type: CapacityType,
}
