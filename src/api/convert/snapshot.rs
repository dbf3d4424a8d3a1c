//! VNF snapshots as SOL003 5.5.2.22 and 5.5.2.23 show them, and SOL005 6.5.2.17 and 6.5.2.18.

use serde_json::json;

use super::{
    Base, pairs, time,
    vnf::{self, Around, Dialect},
};
use crate::{
    model::snapshot::{GuestCopy, Taken, VnfSnapshot},
    sol::{
        common::KeyValuePairs,
        nslcm::{NsStorageSnapshot, NsVnfSnapshot, NsVnfSnapshotInfo, NsVnfSnapshotLinks, NsVnfcSnapshotInfo},
        vnflcm::{self as sol, StorageSnapshot, VnfSnapshotInfo, VnfSnapshotInfoLinks, VnfSnapshotLinks, VnfcSnapshotInfo},
    },
};

pub fn path(s: &VnfSnapshot) -> String {
    format!("/vnflcm/v2/vnf_snapshots/{}", s.id)
}

/// `around` is of the instance that the snapshot was taken of.
pub fn info(s: &VnfSnapshot, around: &Around<'_>, base: &Base) -> VnfSnapshotInfo {
    VnfSnapshotInfo {
        id: s.id.to_string(),
        vnf_snapshot_pkg_id: None,
        vnf_snapshot: s.taken.as_ref().map(|t| content(s, t, around, base)),
        links: VnfSnapshotInfoLinks { self_: base.link(path(s)), taken_from: s.taken.as_ref().map(|t| base.link(vnf::path(&t.vnf))) },
    }
}

fn content(s: &VnfSnapshot, t: &Taken, around: &Around<'_>, base: &Base) -> sol::VnfSnapshot {
    sol::VnfSnapshot {
        id: s.id.to_string(),
        vnf_instance_id: t.vnf.id.to_string(),
        creation_started_at: Some(time(t.begun)),
        creation_finished_at: t.finished.map(time),
        vnfd_id: t.vnf.vnfd_id.to_string(),
        vnf_instance: vnf::instance(&t.vnf, around, base),
        vnfc_snapshots: t.guests.iter().map(|g| guest(g, t, around.dialect)).collect(),
        // There is no state of it beside its disks.
        vnf_state_snapshot_info: None,
        user_defined_data: pairs(&t.user_data),
        // SOL002 has none, and knows a copy by its handle alone.
        links: (around.dialect != Dialect::Sol002).then(|| VnfSnapshotLinks { self_: base.link(path(s)), vnf_state_snapshot: None }),
    }
}

fn guest(g: &GuestCopy, t: &Taken, dialect: Dialect) -> VnfcSnapshotInfo {
    let how = if g.frozen { "FROZEN" } else { "AS_AFTER_LOSS_OF_POWER" };
    let storage = g.disks.iter().map(|d| {
        let mut resource = KeyValuePairs::new();
        resource.insert("resourceId".into(), json!(d.copy.to_string()));
        resource.insert("vimLevelResourceType".into(), json!("copy of a disk"));
        if let Some(bytes) = d.bytes
            && dialect != Dialect::Sol002
        {
            resource.insert("sizeInBytes".into(), json!(bytes.0));
            resource.insert("fileSystems".into(), json!(how));
        }
        StorageSnapshot { storage_resource_id: d.disk.to_string(), storage_snapshot_resource: resource }
    });
    VnfcSnapshotInfo {
        id: g.vnfc.to_string(),
        vnfc_instance_id: g.vnfc.to_string(),
        creation_started_at: Some(time(t.begun)),
        creation_finished_at: t.finished.map(time),
        vnfc_resource_info_id: Some(g.vnfc.to_string()),
        // Disks only: no state of the machine itself is kept.
        compute_snapshot_resource: None,
        storage_snapshot_resources: storage.collect(),
        user_defined_data: KeyValuePairs::new(),
    }
}

/// The same as the OSS has it: less of it, and the instance as a member of a service.
pub fn of_service(s: &VnfSnapshot, around: &Around<'_>, base: &Base) -> NsVnfSnapshotInfo {
    let guest = |g: &GuestCopy, t: &Taken| NsVnfcSnapshotInfo {
        id: g.vnfc.to_string(),
        vnfc_instance_id: g.vnfc.to_string(),
        creation_started_at: Some(time(t.begun)),
        creation_finished_at: t.finished.map(time),
        vnfc_resource_info_id: Some(g.vnfc.to_string()),
        compute_snapshot_resource: None,
        storage_snapshot_resources: g
            .disks
            .iter()
            .map(|d| NsStorageSnapshot {
                storage_resource_id: d.disk.to_string(),
                storage_snapshot_resources: Some(around.dialect.handle(d.copy.to_string(), "copy of a disk")),
            })
            .collect(),
        user_defined_data: KeyValuePairs::new(),
    };
    NsVnfSnapshotInfo {
        id: s.id.to_string(),
        vnf_snapshot_pkg_id: None,
        vnf_snapshot: s.taken.as_ref().map(|t| NsVnfSnapshot {
            id: s.id.to_string(),
            vnf_instance_id: t.vnf.id.to_string(),
            creation_started_at: Some(time(t.begun)),
            creation_finished_at: t.finished.map(time),
            vnfd_id: t.vnf.vnfd_id.to_string(),
            vnf_instance: vnf::member(&t.vnf, around),
            vnfc_snapshots: t.guests.iter().map(|g| guest(g, t)).collect(),
            user_defined_data: pairs(&t.user_data),
        }),
        links: Some(NsVnfSnapshotLinks { self_: base.link(format!("/nslcm/v2/vnf_snapshots/{}", s.id)) }),
    }
}
