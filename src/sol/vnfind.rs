//! VNF indicators (SOL003 8.5, SOL002 8.5).

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{
    common::{Identifier, Link},
    subscription::{VnfInstanceSubscriptionFilter, one_or_many},
};

/// SOL003 8.5.2.2. `name` is left out: SOL001 has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfIndicator {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An object.
    pub value: Value,
    pub vnf_instance_id: Identifier,
    #[serde(rename = "_links")]
    pub links: IndicatorLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndicatorLinks {
    #[serde(rename = "self")]
    pub self_: Link,
    pub vnf_instance: Link,
}

/// SOL003 8.5.3.2.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndicatorFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_subscription_filter: Option<VnfInstanceSubscriptionFilter>,
    /// One in the file; a list is understood too.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many", serialize_with = "many_or_one")]
    pub notification_types: Vec<IndicatorNotificationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indicator_ids: Vec<Identifier>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndicatorNotificationType {
    VnfIndicatorValueChangeNotification,
    SupportedIndicatorsChangeNotification,
}

fn many_or_one<S: Serializer>(all: &[IndicatorNotificationType], to: S) -> Result<S::Ok, S::Error> {
    match all {
        [one] => one.serialize(to),
        all => all.serialize(to),
    }
}
