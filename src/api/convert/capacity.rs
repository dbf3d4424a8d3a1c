//! Capacity of the box and thresholds on it between the wire and the model (SOL005 10.5).

use serde_json::{Value, json};

use super::{Base, time, vnf::VIM};
use crate::{
    model::{
        capacity::{CapacityThreshold, Figures, Kind, Side, Zone},
        subscription::{Source, Subscription},
        time::Stamp,
    },
    sol::{
        capacity::{self as sol, CapacityType, ResourceType},
        common::KeyValuePairs,
        pm::{SimpleThreshold, ThresholdType},
    },
};

/// The one VIM's.
pub fn object_path() -> String {
    format!("/nfvici/v1/nfvi_capacity_infos/{VIM}")
}

fn resource_type(k: Kind) -> ResourceType {
    match k {
        Kind::VrCompute => ResourceType::VrCompute,
        Kind::VrNetwork => ResourceType::VrNetwork,
        Kind::VrStorage => ResourceType::VrStorage,
        Kind::HostCompute => ResourceType::HostCompute,
    }
}

pub fn kind(t: ResourceType) -> Kind {
    match t {
        ResourceType::VrCompute => Kind::VrCompute,
        ResourceType::VrNetwork => Kind::VrNetwork,
        ResourceType::VrStorage => Kind::VrStorage,
        ResourceType::HostCompute => Kind::HostCompute,
    }
}

pub fn side(t: CapacityType) -> Side {
    match t {
        CapacityType::Total => Side::Total,
        CapacityType::Allocated => Side::Allocated,
        CapacityType::Reserved => Side::Reserved,
        CapacityType::Available => Side::Available,
    }
}

pub fn measurement(f: &Figures) -> sol::NfviCapacityMeasurement {
    let amount = |n: u64| -> KeyValuePairs {
        [("value".to_owned(), Value::from(n)), ("unit".to_owned(), Value::from(f.measure.unit()))].into_iter().collect()
    };
    sol::NfviCapacityMeasurement {
        resource_type: resource_type(f.measure.kind()),
        capacity_measurement_name: f.measure.name().into(),
        total_capacity: amount(f.total),
        allocated_capacity: amount(f.allocated),
        reserved_capacity: f.reserved.map(amount),
        available_capacity: amount(f.available),
    }
}

/// `totalCapacityInfo` is one measurement to the standard, and a box has several: it is left out.
pub fn info(zones: &[Zone], at: Stamp) -> sol::NfviCapacityInfo {
    let zone = |z: &Zone| sol::NfviCapacityInfoPerZone {
        resource_zone_id: Some(z.id.to_string()),
        capacity_measurements: z.figures.iter().map(measurement).collect(),
    };
    sol::NfviCapacityInfo {
        id: VIM.into(),
        vim_id: VIM.into(),
        capacity_info_per_zone: zones.iter().map(zone).collect(),
        total_capacity_info: None,
        time_interval: Some(sol::TimeInterval { a_time: time(at), b_time: None }),
    }
}

/// What a filter looks at for one measurement: the capacity as it would be with that one alone, and beside it the names
/// that SOL005 10.4.2.3.2 has of what is inside.
pub fn seen_alone(info: &sol::NfviCapacityInfo, zone: &sol::NfviCapacityInfoPerZone, m: &sol::NfviCapacityMeasurement) -> Value {
    let mut v = json!(m);
    v["id"] = json!(info.id);
    v["vimId"] = json!(info.vim_id);
    v["resourceZoneId"] = json!(zone.resource_zone_id);
    v["timeInterval"] = json!(info.time_interval);
    v["capacityInfoPerZone"] = json!([{"resourceZoneId": zone.resource_zone_id, "capacityMeasurements": [m]}]);
    v
}

pub fn threshold(t: &CapacityThreshold, s: Option<&Subscription>, base: &Base) -> sol::CapacityThreshold {
    sol::CapacityThreshold {
        id: t.id.to_string(),
        object_instance_id: VIM.into(),
        sub_object_instance_ids: t.zones.iter().map(ToString::to_string).collect(),
        criteria: sol::CapacityThresholdCriteria {
            capacity_metric: sol::CapacityMetric {
                resource_type: resource_type(t.measure.kind()),
                capacity_measurement_name: t.measure.name().into(),
                capacity_type: match t.side {
                    Side::Total => CapacityType::Total,
                    Side::Allocated => CapacityType::Allocated,
                    Side::Reserved => CapacityType::Reserved,
                    Side::Available => CapacityType::Available,
                },
            },
            threshold_type: ThresholdType::Simple,
            simple_threshold_details: t
                .limits
                .iter()
                .map(|l| SimpleThreshold { threshold_value: l.value.value(), hysteresis: l.hysteresis.value() })
                .collect(),
        },
        callback_uri: s.map(|s| s.callback.clone()).unwrap_or_default(),
        links: sol::CapacityThresholdLinks {
            self_: base.link(format!("{}/{}", super::subscription::collection(Source::NfviThreshold), t.id)),
            object: Some(base.link(object_path())),
        },
    }
}
