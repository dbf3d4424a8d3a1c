//! Performance management: PM jobs, reports and thresholds of VNFs (SOL003 6.5, `vnfpm`) and services (SOL005 7.5, `nspm`).
//!
//! One set of types for both: they differ in nothing but what is measured.

use serde::{Deserialize, Serialize};

use super::{
    common::{DateTime, Identifier, KeyValuePairs, Link},
    subscription::SubscriptionAuthentication,
};

/// SOL003 6.5.2.6, SOL005 7.5.2.6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePmJobRequest {
    pub object_type: String,
    pub object_instance_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_object_instance_ids: Vec<Identifier>,
    pub criteria: PmJobCriteria,
    pub callback_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<SubscriptionAuthentication>,
}

/// SOL003 6.5.2.7, SOL005 7.5.2.7: without the credentials, which are never read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PmJob {
    pub id: Identifier,
    pub object_type: String,
    pub object_instance_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_object_instance_ids: Vec<Identifier>,
    pub criteria: PmJobCriteria,
    pub callback_uri: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<ReportLink>,
    #[serde(rename = "_links")]
    pub links: PmJobLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportLink {
    pub href: String,
    pub ready_time: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_time: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PmJobLinks {
    #[serde(rename = "self")]
    pub self_: Link,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Link>,
}

/// SOL003 6.5.3.3, SOL005 7.5.3.3. Seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PmJobCriteria {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performance_metric: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub performance_metric_group: Vec<String>,
    pub collection_period: u64,
    pub reporting_period: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reporting_boundary: Option<DateTime>,
}

/// SOL003 6.5.2.12, SOL005 7.5.2.12, of jobs and thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PmModifications {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<SubscriptionAuthentication>,
}

/// SOL003 6.5.2.8, SOL005 7.5.2.8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateThresholdRequest {
    pub object_type: String,
    pub object_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_object_instance_ids: Vec<Identifier>,
    pub criteria: ThresholdCriteria,
    pub callback_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<SubscriptionAuthentication>,
}

/// SOL003 6.5.2.9, SOL005 7.5.2.9.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    pub id: Identifier,
    pub object_type: String,
    pub object_instance_id: Identifier,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_object_instance_ids: Vec<Identifier>,
    pub criteria: ThresholdCriteria,
    pub callback_uri: String,
    #[serde(rename = "_links")]
    pub links: ThresholdLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdLinks {
    #[serde(rename = "self")]
    pub self_: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<Link>,
}

/// SOL003 6.5.3.4, SOL005 7.5.3.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThresholdCriteria {
    pub performance_metric: String,
    pub threshold_type: ThresholdType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simple_threshold_details: Option<SimpleThreshold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ThresholdType {
    Simple,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimpleThreshold {
    pub threshold_value: f64,
    pub hysteresis: f64,
}

/// SOL003 6.5.2.10, SOL005 7.5.2.10.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PerformanceReport {
    pub entries: Vec<ReportEntry>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportEntry {
    pub object_type: String,
    pub object_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_object_instance_id: Option<Identifier>,
    pub performance_metric: String,
    pub performance_values: Vec<PerformanceValue>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerformanceValue {
    pub time_stamp: DateTime,
    pub value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<KeyValuePairs>,
}
