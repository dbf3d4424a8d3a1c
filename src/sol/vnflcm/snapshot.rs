//! VNF snapshots as vnflcm shows them, and the requests about them (SOL003 5.5.2.20 to 5.5.2.27, 5.5.3.18).

use serde::{Deserialize, Serialize};

use crate::sol::{
    common::{DateTime, Identifier, KeyValuePairs, Link},
    cp::ResourceHandle,
};

use super::instance::VnfInstance;

/// "Individual VNF snapshot" resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfSnapshotInfo {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot_pkg_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot: Option<VnfSnapshot>,
    #[serde(rename = "_links")]
    pub links: VnfSnapshotInfoLinks,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfSnapshotInfoLinks {
    pub self_: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_from: Option<Link>,
}

/// The content of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfSnapshot {
    pub id: Identifier,
    pub vnf_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_started_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_finished_at: Option<DateTime>,
    pub vnfd_id: Identifier,
    pub vnf_instance: VnfInstance,
    pub vnfc_snapshots: Vec<VnfcSnapshotInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_state_snapshot_info: Option<VnfStateSnapshotInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    pub links: Option<VnfSnapshotLinks>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfSnapshotLinks {
    pub self_: Link,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_state_snapshot: Option<Link>,
}

/// State of the VNF beside its resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfStateSnapshotInfo {
    pub checksum: serde_json::Value,
    pub is_encrypted: serde_json::Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}

/// What was taken of one guest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfcSnapshotInfo {
    pub id: Identifier,
    pub vnfc_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_started_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_finished_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnfc_resource_info_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_snapshot_resource: Option<ResourceHandle>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_snapshot_resources: Vec<StorageSnapshot>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// A disk and its copy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageSnapshot {
    pub storage_resource_id: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub storage_snapshot_resource: KeyValuePairs,
}

/// POST of a new, empty one; its members are for what is taken out of a package.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVnfSnapshotInfoRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot_pkg_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot: Option<VnfSnapshot>,
}

/// PATCH, as above.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfSnapshotInfoModificationRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot_pkg_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot: Option<VnfSnapshot>,
}

/// What a PATCH changed.
pub type VnfSnapshotInfoModifications = VnfSnapshotInfoModificationRequest;

/// Take a snapshot into the resource that is named.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateVnfSnapshotRequest {
    /// SOL002's: of one guest alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_instance_id: Option<Identifier>,
    pub vnf_snapshot_info_id: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// Back to a snapshot.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevertToVnfSnapshotRequest {
    /// SOL002's: of one guest alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_instance_id: Option<Identifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnfc_snapshot_info_id: Option<Identifier>,
    pub vnf_snapshot_info_id: Identifier,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub additional_params: KeyValuePairs,
}
