//! The box: facts, how guests run, what there is and what of it is promised.

use axum::extract::State;
use serde::Serialize;

use super::update;
use crate::{
    api::{
        Ctx, Services,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::error::Result,
    vim::{capacity::Usage, port::Accel},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    hostname: String,
    kernel: String,
    cpus: u32,
    accel: HowGuestsRun,
    #[serde(skip_serializing_if = "Option::is_none")]
    hypervisor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    switch: Option<String>,
    cpu: Promised,
    memory: Promised,
    disk: Promised,
    physical_networks: Vec<String>,
    tunnels: Vec<String>,
    /// The box's own system, where it has slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<update::System>,
}

#[derive(Serialize)]
struct HowGuestsRun {
    mode: &'static str,
    text: String,
}

#[derive(Serialize)]
struct Promised {
    capacity: u64,
    limit: u64,
    promised: u64,
}

impl Promised {
    fn of(capacity: u64, u: Usage) -> Self {
        Promised { capacity, limit: u.limit, promised: u.taken }
    }
}

/// A fact the kernel tells in one line.
fn kernel(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).map(|s| s.trim().to_owned()).unwrap_or_default()
}

pub(super) fn look(s: &Services) -> Result<Host> {
    let vnfm = s.nfvo.vnfm();
    let hypervisor = vnfm.hypervisor();
    let account = vnfm.snapshot()?.account;
    // While libvirt is away, the limit before overcommit is the best there is to show.
    let has = hypervisor.capacity().ok();
    let supply = vnfm.supply()?;
    let version = hypervisor.health().ok();
    let mode = match (&version, hypervisor.accel()) {
        (None, _) => "UNKNOWN",
        (Some(_), Accel::Kvm) => "KVM",
        (Some(_), Accel::Tcg) => "TCG",
    };
    let text = (s.health)().into_iter().find(|c| c.name == "accel").map(|c| c.text);
    let fabric = vnfm.links().fabric();
    Ok(Host {
        hostname: kernel("hostname"),
        kernel: kernel("osrelease"),
        cpus: has.map_or(supply.cpus, |c| c.cpus),
        accel: HowGuestsRun { mode, text: text.or_else(|| vnfm.accel_warning()).unwrap_or_default() },
        hypervisor: version,
        switch: fabric.health().ok(),
        cpu: Promised::of(has.map_or(supply.cpus, |c| c.cpus).into(), account.vcpus),
        memory: Promised::of(has.map_or(supply.memory, |c| c.memory).0, account.memory),
        disk: Promised::of(vnfm.images().room()?.total.0 >> 20, account.disk),
        physical_networks: fabric.physical().iter().map(ToString::to_string).collect(),
        tunnels: fabric.tunnels().iter().map(|t| format!("{} ({})", t.name, t.text())).collect(),
        system: update::system(s)?,
    })
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Host>> {
    let services = s.clone();
    Ok(Json(s.domain(move |_| look(&services)).await?))
}
