//! SOL005 nsd/v2: descriptors of network services and of physical boxes on the wire.
//!
//! Owns the shapes of the NSD and PNFD resources. Never decides a state; subscriptions are another room.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    common::{Checksum, Identifier, KeyValuePairs, Link, SecurityOption},
    problem::ProblemDetails,
};

/// POST ns_descriptors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateNsdInfoRequest {
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// PATCH of an NSD: the request, and the answer that says what changed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsdInfoModifications {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsd_operational_state: Option<NsdOperationalState>,
    /// SOL005's file makes it a list of objects, but a merge patch of the one object in NsdInfo: both are taken, one object is sent.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub user_defined_data: Option<KeyValuePairs>,
}

/// An individual NSD resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsdInfo {
    pub id: Identifier,
    /// Everything between here and `nsd_onboarding_state` is known once the content was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsd_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsd_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsd_designer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nsd_invariant_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_pkg_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_info_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_nsd_info_ids: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_security_option: Option<SecurityOption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<NsdArchiveArtifactInfo>,
    pub nsd_onboarding_state: NsdOnboardingState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding_failure_details: Option<ProblemDetails>,
    pub nsd_operational_state: NsdOperationalState,
    pub nsd_usage_state: NsdUsageState,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
    #[serde(rename = "_links")]
    pub links: NsdInfoLinks,
}

/// Links of an NSD; `nsd_content` is spelt with an underscore by ETSI.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsdInfoLinks {
    pub self_: Link,
    #[serde(rename = "nsd_content")]
    pub nsd_content: Link,
}

/// An artifact in the NSD archive (SOL005 5.5.3.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsdArchiveArtifactInfo {
    pub artifact_path: String,
    pub checksum: Checksum,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub metadata: KeyValuePairs,
}

/// Whether the NSD may be instantiated (SOL005 5.5.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsdOperationalState {
    Enabled,
    #[default]
    Disabled,
}

/// Whether an NS instance uses the NSD (SOL005 5.5.4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsdUsageState {
    InUse,
    #[default]
    NotInUse,
}

/// How far onboarding is (SOL005 5.5.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NsdOnboardingState {
    #[default]
    Created,
    Uploading,
    Processing,
    /// SOL005's file misspells that of a PNFD.
    #[serde(alias = "ONBOARDING")]
    Onboarded,
    Error,
}

/// POST pnf_descriptors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreatePnfdInfoRequest {
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// PATCH of a PNFD, and its answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PnfdInfoModifications {
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Option::is_none")]
    pub user_defined_data: Option<KeyValuePairs>,
}

/// An individual PNFD resource (SOL005 5.5.2.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PnfdInfo {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnfd_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnfd_name: Option<String>,
    /// SOL005's file misspells it ("pnfdersion"); its text does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnfd_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnfd_provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pnfd_invariant_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_security_option: Option<SecurityOption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<NsdArchiveArtifactInfo>,
    pub pnfd_onboarding_state: NsdOnboardingState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding_failure_details: Option<ProblemDetails>,
    pub pnfd_usage_state: NsdUsageState,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
    #[serde(rename = "_links")]
    pub links: PnfdInfoLinks,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PnfdInfoLinks {
    pub self_: Link,
    #[serde(rename = "pnfd_content")]
    pub pnfd_content: Link,
}

/// Reads one object or a list of objects as one; null counts as absent.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyValuePairs>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(KeyValuePairs),
        Many(Vec<KeyValuePairs>),
    }
    Ok(Option::deserialize(deserializer)?.map(|given| match given {
        OneOrMany::One(pairs) => pairs,
        OneOrMany::Many(list) => list.into_iter().flatten().collect(),
    }))
}
