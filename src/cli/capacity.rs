//! `bothy host capacity`: what there is and what is left, by zones, as an OSS reads it (SOL005 10).

use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::list,
    output::{Out, plain},
};

pub fn run(client: &Client, out: &Out) -> Result<(), Failure> {
    let all = client.get("/nfvici/v1/nfvi_capacity_infos")?;
    let mut rows = Vec::new();
    for zone in all.as_array().into_iter().flatten().flat_map(|vim| list(vim, "capacityInfoPerZone")) {
        for m in list(zone, "capacityMeasurements") {
            let amount = |member: &str| plain(&m[member]["value"]);
            let figures = ["totalCapacity", "allocatedCapacity", "reservedCapacity", "availableCapacity"].map(amount);
            let mut row: Vec<String> = [&zone["resourceZoneId"], &m["resourceType"], &m["capacityMeasurementName"]].map(plain).into();
            row.extend(figures);
            row.push(plain(&m["totalCapacity"]["unit"]));
            rows.push(row);
        }
    }
    out.table(&all, &["ZONE", "TYPE", "NAME", "TOTAL", "ALLOCATED", "RESERVED", "AVAILABLE", "UNIT"], rows);
    Ok(())
}

/// A threshold on it, as a line of `bothy pm thresholds`.
pub fn threshold(t: &Value) -> [String; 3] {
    let c = &t["criteria"];
    let zones: Vec<String> = list(t, "subObjectInstanceIds").iter().map(plain).collect();
    let of = &c["capacityMetric"];
    let at = list(c, "simpleThresholdDetails").iter().map(|d| format!("{} ± {}", plain(&d["thresholdValue"]), plain(&d["hysteresis"])));
    [
        if zones.is_empty() { plain(&t["objectInstanceId"]) } else { zones.join(" ") },
        format!("{} {}", plain(&of["capacityMeasurementName"]), plain(&of["capacityType"]).to_lowercase()),
        at.collect::<Vec<_>>().join(", "),
    ]
}
