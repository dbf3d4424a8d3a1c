//! `/bothy/v1`: everything outside ETSI's APIs, as `config/openapi.yaml` describes it.

mod config;
mod console;
mod explain;
mod facts;
mod guest;
mod health;
mod host;
mod networks;
mod operations;
mod plan;
mod secrets;
mod setup;
mod shutdown;
mod store;
mod support;
mod tar;

use super::routes::Routes;

/// The committed description; a test holds the routes against it.
pub const OPENAPI: &str = include_str!("../../../config/openapi.yaml");

pub fn routes() -> Routes {
    Routes::default()
        .get("/bothy/v1/health", health::health)
        .get("/bothy/v1/version", health::version)
        .get("/bothy/v1/config", config::show)
        .post("/bothy/v1/config/check", config::check)
        .post("/bothy/v1/config/apply", config::apply)
        .get("/bothy/v1/host", host::show)
        .get("/bothy/v1/host/facts", facts::show)
        .get("/bothy/v1/host/plan", setup::plan)
        .post("/bothy/v1/host/apply", setup::apply)
        .post("/bothy/v1/host/undo", setup::undo)
        .post("/bothy/v1/host/shutdown", shutdown::guests)
        .get("/bothy/v1/networks", networks::all)
        .post("/bothy/v1/plan", plan::plan)
        .get("/bothy/v1/operations/{id}/timeline", operations::timeline)
        .get_raw("/bothy/v1/vnf/{id}/serial", guest::serial)
        .get_raw("/bothy/v1/vnf/{id}/console", console::open)
        .get("/bothy/v1/vnf/{id}/day0", guest::day0)
        .get_raw("/bothy/v1/vnf/{id}/domain", guest::domain)
        .post("/bothy/v1/vnf/{id}/reboot", guest::reboot)
        .get("/bothy/v1/explain/{id}", explain::explain)
        .get("/bothy/v1/secrets", secrets::names)
        .put("/bothy/v1/secrets/{name}", secrets::set)
        .delete("/bothy/v1/secrets/{name}", secrets::delete)
        .post("/bothy/v1/store/verify", store::verify)
        .post_raw("/bothy/v1/store/export", store::export)
        .get_raw("/bothy/v1/support", support::archive)
}
