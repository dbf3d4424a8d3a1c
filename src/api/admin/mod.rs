//! `/bothy/v1`: everything outside ETSI's APIs, as `config/openapi.yaml` describes it.

mod audit;
mod boxes;
mod bundle;
mod capture;
mod chains;
mod config;
mod console;
mod explain;
pub(crate) mod facts;
mod guest;
mod health;
mod host;
mod hostnet;
mod identity;
mod networks;
mod nfvos;
mod notifications;
mod operations;
mod pfs;
mod plan;
mod projects;
mod sdn;
mod secrets;
mod setup;
mod shutdown;
mod store;
mod strays;
mod support;
mod tar;
mod tls;
mod tokens;
mod update;
mod usage;
mod zero_touch;

use super::{
    alarms::{self, Of},
    ops,
    routes::Routes,
};

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
        .get("/bothy/v1/host/guests", strays::guests)
        .delete("/bothy/v1/host/guests/{id}", strays::remove)
        .get_raw("/bothy/v1/host/guests/{id}/serial", guest::serial_of_stray)
        .get_raw("/bothy/v1/host/guests/{id}/console", console::of_stray)
        .get("/bothy/v1/host/plan", setup::plan)
        .post("/bothy/v1/host/apply", setup::apply)
        .post("/bothy/v1/host/undo", setup::undo)
        .get("/bothy/v1/host/usage", usage::show)
        .get("/bothy/v1/host/ztp", zero_touch::show)
        .post("/bothy/v1/host/pfs/{name}/reload", pfs::reload)
        .get("/bothy/v1/host/operations", pfs::all)
        .get("/bothy/v1/host/operations/{id}", pfs::one)
        .post("/bothy/v1/host/operations/{id}/retry", ops::retry)
        .post("/bothy/v1/host/operations/{id}/rollback", ops::rollback)
        .post("/bothy/v1/host/operations/{id}/fail", pfs::fail)
        .post("/bothy/v1/host/operations/{id}/cancel", ops::cancel)
        .get("/bothy/v1/host/update", update::show)
        .put("/bothy/v1/host/update", update::upload)
        .post("/bothy/v1/host/update", update::by_path)
        .delete("/bothy/v1/host/update", update::call_off)
        .get("/bothy/v1/host/network", hostnet::show)
        .put("/bothy/v1/host/network", hostnet::attempt)
        .delete("/bothy/v1/host/network", hostnet::forget)
        .post("/bothy/v1/host/network/confirm", hostnet::confirm)
        .post("/bothy/v1/host/network/undo", hostnet::undo)
        .post("/bothy/v1/host/network/plan", hostnet::plan)
        .post("/bothy/v1/host/shutdown", shutdown::guests)
        .delete("/bothy/v1/host/shutdown", shutdown::call_off)
        .get("/bothy/v1/chains", chains::all)
        .post("/bothy/v1/chains/{id}/settle", chains::settle)
        .get("/bothy/v1/networks", networks::all)
        .get_raw("/bothy/v1/networks/{id}/capture", capture::capture)
        .get("/bothy/v1/notifications", notifications::all)
        .post("/bothy/v1/notifications/{id}/redeliver", notifications::redeliver)
        .post("/bothy/v1/notifications/{id}/test", notifications::test)
        .post("/bothy/v1/plan", plan::plan)
        .post("/bothy/v1/plan/bundle", bundle::plan)
        .get("/bothy/v1/operations/{id}/timeline", operations::timeline)
        .get_raw("/bothy/v1/vnf/{id}/serial", guest::serial)
        .get_raw("/bothy/v1/vnf/{id}/console", console::open)
        .get("/bothy/v1/vnf/{id}/day0", guest::day0)
        .get_raw("/bothy/v1/vnf/{id}/domain", guest::domain)
        .post("/bothy/v1/vnf/{id}/reboot", guest::reboot)
        .post("/bothy/v1/vnf/{id}/restart", guest::restart)
        .get("/bothy/v1/explain/{id}", explain::explain)
        .get("/bothy/v1/sdn/controllers", sdn::controllers)
        .get("/bothy/v1/sdn/controllers/{name}", sdn::controller)
        .put("/bothy/v1/sdn/controllers/{name}", sdn::set_controller)
        .delete("/bothy/v1/sdn/controllers/{name}", sdn::delete_controller)
        .get("/bothy/v1/sdn/portmaps", sdn::maps)
        .put("/bothy/v1/sdn/portmaps/{node}", sdn::set_map)
        .delete("/bothy/v1/sdn/portmaps/{node}", sdn::delete_map)
        .get("/bothy/v1/sdn/services", sdn::services)
        .get("/bothy/v1/sdn/services/{id}", sdn::service)
        .get("/bothy/v1/sdn/plan", sdn::plan)
        .get("/bothy/v1/secrets", secrets::names)
        .put("/bothy/v1/secrets/{name}", secrets::set)
        .delete("/bothy/v1/secrets/{name}", secrets::delete)
        .get("/bothy/v1/store", store::show)
        .post("/bothy/v1/store/verify", store::verify)
        .post_raw("/bothy/v1/store/export", store::export)
        .get("/bothy/v1/store/acknowledge", strays::preview)
        .post("/bothy/v1/store/acknowledge", strays::acknowledge)
        .get_raw("/bothy/v1/support", support::archive)
        .get("/bothy/v1/whoami", tokens::whoami)
        .post("/bothy/v1/whoami/password", tokens::own_password)
        .get("/bothy/v1/tokens", tokens::all)
        .post("/bothy/v1/tokens", tokens::create)
        .delete("/bothy/v1/tokens/{id}", tokens::revoke)
        .get("/bothy/v1/users", identity::users)
        .post("/bothy/v1/users", identity::create_user)
        .get("/bothy/v1/users/{name}", identity::user)
        .patch("/bothy/v1/users/{name}", identity::change_user)
        .delete("/bothy/v1/users/{name}", identity::delete_user)
        .get("/bothy/v1/clients", identity::clients)
        .post("/bothy/v1/clients", identity::create_client)
        .get("/bothy/v1/clients/{name}", identity::client)
        .patch("/bothy/v1/clients/{name}", identity::change_client)
        .delete("/bothy/v1/clients/{name}", identity::delete_client)
        .post("/bothy/v1/clients/{name}/secret", identity::renew_secret)
        .get("/bothy/v1/roles", identity::roles)
        .put("/bothy/v1/roles/{name}", identity::put_role)
        .delete("/bothy/v1/roles/{name}", identity::delete_role)
        .get("/bothy/v1/nfvos", nfvos::all)
        .get("/bothy/v1/nfvos/{name}", nfvos::one)
        .put("/bothy/v1/nfvos/{name}", nfvos::set)
        .delete("/bothy/v1/nfvos/{name}", nfvos::delete)
        .get("/bothy/v1/projects", projects::all)
        .post("/bothy/v1/projects", projects::create)
        .get("/bothy/v1/projects/{id}", projects::one)
        .patch("/bothy/v1/projects/{id}", projects::change)
        .delete("/bothy/v1/projects/{id}", projects::delete)
        .get("/bothy/v1/audit", audit::page)
        .post("/bothy/v1/audit/verify", audit::verify)
        .get("/bothy/v1/tls", tls::show)
        .put("/bothy/v1/tls", tls::replace)
        .post("/bothy/v1/tls/reload", tls::reload)
        .get("/bothy/v1/call_home", boxes::centres)
        .get("/bothy/v1/boxes", boxes::all)
        .and(alarms::routes(Of::Host, "/bothy/v1/alarms", "/bothy/v1/alarms/{id}"))
}
