//! VNF snapshots as nslcm shows them (SOL005 6.5.2.17, 6.5.2.18, 6.5.3.77), and what an update says of one (6.5.3.74 to 6.5.3.76
//! are in `update`). SOL003 has more of the same: links, the state of a VNF beside its disks.

use serde::{Deserialize, Serialize};

use super::instance::NsVnfInstance;
use crate::sol::{
    common::{DateTime, Identifier, KeyValuePairs, Link},
    cp::ResourceHandle,
};

/// "Individual VNF snapshot" resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsVnfSnapshotInfo {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot_pkg_id: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_snapshot: Option<NsVnfSnapshot>,
    #[serde(rename = "_links", skip_serializing_if = "Option::is_none")]
    pub links: Option<NsVnfSnapshotLinks>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsVnfSnapshotLinks {
    pub self_: Link,
}

/// The content of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsVnfSnapshot {
    pub id: Identifier,
    pub vnf_instance_id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_started_at: Option<DateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_finished_at: Option<DateTime>,
    pub vnfd_id: Identifier,
    pub vnf_instance: NsVnfInstance,
    pub vnfc_snapshots: Vec<NsVnfcSnapshotInfo>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// What was taken of one guest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsVnfcSnapshotInfo {
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
    pub storage_snapshot_resources: Vec<NsStorageSnapshot>,
    #[serde(default, skip_serializing_if = "KeyValuePairs::is_empty")]
    pub user_defined_data: KeyValuePairs,
}

/// A disk and its copy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsStorageSnapshot {
    pub storage_resource_id: Identifier,
    /// Spelt so by SOL005, as the list around it; SOL003 has one resource's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_snapshot_resources: Option<ResourceHandle>,
}
