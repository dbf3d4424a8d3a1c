//! Fault management: alarms of VNFs (SOL003 7.5, `vnffm`) and of network services (SOL005 8.5, `nsfm`).
//!
//! One set of types for both: what only services have is `rootCauseFaultyComponent`.

use serde::{Deserialize, Serialize};

use super::{
    common::{DateTime, Identifier, Link},
    cp::ResourceHandle,
    subscription::{NsInstanceSubscriptionFilter, VnfInstanceSubscriptionFilter},
};

/// SOL003 7.5.2.4, SOL005 8.5.2.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alarm {
    pub id: Identifier,
    pub managed_object_id: Identifier,
    /// SOL002's alone (7.5.2.4).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfc_instance_ids: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_cause_faulty_component: Option<FaultyComponentInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_cause_faulty_resource: Option<FaultyResourceInfo>,
    pub alarm_raised_time: DateTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_changed_time: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_cleared_time: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_acknowledged_time: Option<DateTime>,
    pub ack_state: AckState,
    pub perceived_severity: PerceivedSeverity,
    pub event_time: DateTime,
    pub event_type: EventType,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_type: Option<String>,
    pub probable_cause: String,
    pub is_root_cause: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub correlated_alarm_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault_details: Vec<String>,
    #[serde(rename = "_links")]
    pub links: AlarmLinks,
}

/// SOL002 7.5.2.9.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PerceivedSeverityRequest {
    pub proposed_perceived_severity: PerceivedSeverity,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmLinks {
    #[serde(rename = "self")]
    pub self_: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_instance: Option<Link>,
}

/// SOL005 8.5.3.4; ETSI's file has two of the names on the wrong descriptions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultyComponentInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faulty_nested_ns_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faulty_ns_virtual_link_instance_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub faulty_vnf_instance_id: Option<Identifier>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FaultyResourceInfo {
    pub faulty_resource: ResourceHandle,
    pub faulty_resource_type: FaultyResourceType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FaultyResourceType {
    Compute,
    Storage,
    Network,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AckState {
    Unacknowledged,
    Acknowledged,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PerceivedSeverity {
    Critical,
    Major,
    Minor,
    Warning,
    Indeterminate,
    Cleared,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventType {
    CommunicationsAlarm,
    ProcessingErrorAlarm,
    EnvironmentalAlarm,
    QosAlarm,
    EquipmentAlarm,
}

/// SOL003 7.5.2.8, SOL005 8.5.2.8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlarmModifications {
    pub ack_state: AckState,
}

/// SOL003 7.5.3.2, SOL005 8.5.3.2: each interface has its own instance filter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FmFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_subscription_filter: Option<VnfInstanceSubscriptionFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_instance_subscription_filter: Option<NsInstanceSubscriptionFilter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notification_types: Vec<FmNotificationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faulty_resource_types: Vec<FaultyResourceType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub perceived_severities: Vec<PerceivedSeverity>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<EventType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probable_causes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FmNotificationType {
    AlarmNotification,
    AlarmClearedNotification,
    AlarmListRebuiltNotification,
}
