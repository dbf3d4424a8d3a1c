//! Which permission each route needs, and whose the thing in its path is.
//!
//! One table for all of them. A route that stands in none of its rows is refused to everybody, and a test
//! over the route tables of all reference points fails. Never: who has the permission (`access`).

use axum::http::Method;

use super::older;
use crate::{
    access::{Caller, manage::Thing, roles::Permissions},
    model::{
        access::{
            Action::{self, Act, Change, Create, Delete, Read},
            Permission, Resource,
        },
        error::{Fault, Result},
    },
};

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The token endpoint: it looks at credentials itself.
    Public,
    /// What the path behind it needs, on the box that it is relayed to.
    Behind,
    Permission(Permission),
}

/// What the first id of a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Nothing that a project owns, or what the handler looks up within the caller's project.
    Nothing,
    NsDescriptor,
    PnfDescriptor,
    VnfPackage,
    Ns,
    Vnf,
    Operation,
    Subscription,
    Alarm,
    PmJob,
    Threshold,
    CapacityThreshold,
    Snapshot,
    Grant,
    Link,
    Chain,
}

struct Row {
    /// A resource and all below it.
    under: &'static str,
    resource: Resource,
    names: Names,
}

const fn row(under: &'static str, resource: Resource, names: Names) -> Row {
    Row { under, resource, names }
}

/// The first row whose path a route is, or lies below, counts; for a first major's path the second's.
const ROWS: &[Row] = &[
    row("/nsd/v2/ns_descriptors", Resource::NsDescriptor, Names::NsDescriptor),
    // Whoever may write descriptors of services may write those of the boxes in them.
    row("/nsd/v2/pnf_descriptors", Resource::NsDescriptor, Names::PnfDescriptor),
    row("/vnfpkgm/v2/vnf_packages", Resource::VnfPackage, Names::VnfPackage),
    // By the ids of VNFDs, which the handler looks for among what the caller sees.
    row("/vnfpkgm/v2/onboarded_vnf_packages", Resource::VnfPackage, Names::Nothing),
    row("/nslcm/v2/ns_instances", Resource::Ns, Names::Ns),
    row("/nslcm/v2/ns_lcm_op_occs", Resource::Ns, Names::Operation),
    row("/vnflcm/v2/vnf_instances", Resource::Vnf, Names::Vnf),
    row("/vnflcm/v2/vnf_lcm_op_occs", Resource::Vnf, Names::Operation),
    row("/vnflcm/v2/vnf_snapshots", Resource::Vnf, Names::Snapshot),
    // The same ones, as the OSS meets them.
    row("/nslcm/v2/vnf_snapshots", Resource::Vnf, Names::Snapshot),
    row("/grant/v1/grants", Resource::Grant, Names::Grant),
    row("/grant/api_versions", Resource::About, Names::Nothing),
    row("/grant/v1/api_versions", Resource::About, Names::Nothing),
    row("/vrqan/v1/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vrqan/api_versions", Resource::About, Names::Nothing),
    row("/vrqan/v1/api_versions", Resource::About, Names::Nothing),
    row("/nsd/v2/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vnfpkgm/v2/subscriptions", Resource::Subscription, Names::Subscription),
    row("/nslcm/v2/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vnflcm/v2/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vnffm/v1/alarms", Resource::Alarm, Names::Alarm),
    row("/nsfm/v1/alarms", Resource::Alarm, Names::Alarm),
    // The box's own: no project has them.
    row("/bothy/v1/alarms", Resource::Host, Names::Nothing),
    row("/vnffm/v1/subscriptions", Resource::Subscription, Names::Subscription),
    row("/nsfm/v1/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vnfind/v1/indicators", Resource::Indicator, Names::Vnf),
    row("/vnfind/v1/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vnfind/api_versions", Resource::About, Names::Nothing),
    row("/vnfind/v1/api_versions", Resource::About, Names::Nothing),
    row("/vnfpm/v2/pm_jobs", Resource::Performance, Names::PmJob),
    row("/vnfpm/v2/thresholds", Resource::Performance, Names::Threshold),
    row("/nspm/v2/pm_jobs", Resource::Performance, Names::PmJob),
    row("/nspm/v2/thresholds", Resource::Performance, Names::Threshold),
    // Of the box as a whole; who sets a threshold on it has to be allowed to look at it, which the handler sees to.
    row("/nfvici/v1/nfvi_capacity_infos", Resource::Host, Names::Nothing),
    row(CAPACITY, Resource::Performance, Names::CapacityThreshold),
    row("/nfvici/api_versions", Resource::About, Names::Nothing),
    row("/nfvici/v1/api_versions", Resource::About, Names::Nothing),
    // Of the first majors alone.
    row("/vnfpm/v1/subscriptions", Resource::Subscription, Names::Subscription),
    row("/nspm/v1/subscriptions", Resource::Subscription, Names::Subscription),
    row("/vnfpm/api_versions", Resource::About, Names::Nothing),
    row("/vnfpm/v2/api_versions", Resource::About, Names::Nothing),
    row("/nspm/api_versions", Resource::About, Names::Nothing),
    row("/nspm/v2/api_versions", Resource::About, Names::Nothing),
    row("/vnffm/api_versions", Resource::About, Names::Nothing),
    row("/vnffm/v1/api_versions", Resource::About, Names::Nothing),
    row("/nsfm/api_versions", Resource::About, Names::Nothing),
    row("/nsfm/v1/api_versions", Resource::About, Names::Nothing),
    row("/bothy/v1/notifications", Resource::Subscription, Names::Subscription),
    row("/nsd/api_versions", Resource::About, Names::Nothing),
    row("/nsd/v2/api_versions", Resource::About, Names::Nothing),
    row("/vnfpkgm/api_versions", Resource::About, Names::Nothing),
    row("/vnfpkgm/v2/api_versions", Resource::About, Names::Nothing),
    row("/nslcm/api_versions", Resource::About, Names::Nothing),
    row("/nslcm/v2/api_versions", Resource::About, Names::Nothing),
    row("/vnflcm/api_versions", Resource::About, Names::Nothing),
    row("/vnflcm/v2/api_versions", Resource::About, Names::Nothing),
    row("/bothy/v1/health", Resource::About, Names::Nothing),
    row("/bothy/v1/version", Resource::About, Names::Nothing),
    row("/bothy/v1/config", Resource::Config, Names::Nothing),
    // What the box is, as its configuration is.
    row("/bothy/v1/desired", Resource::Config, Names::Nothing),
    row("/bothy/v1/host", Resource::Host, Names::Nothing),
    row("/bothy/v1/networks", Resource::Network, Names::Link),
    row("/bothy/v1/chains", Resource::Network, Names::Chain),
    // What a link has outside is of its project, which the handler looks at; controllers are the box's.
    row("/bothy/v1/sdn/services", Resource::Network, Names::Nothing),
    row("/bothy/v1/sdn", Resource::Host, Names::Nothing),
    row("/bothy/v1/plan", Resource::Plan, Names::Nothing),
    row("/bothy/v1/operations", Resource::Operation, Names::Operation),
    row("/bothy/v1/explain", Resource::Operation, Names::Nothing),
    row("/bothy/v1/vnf", Resource::Guest, Names::Vnf),
    row("/bothy/v1/secrets", Resource::Secret, Names::Nothing),
    row("/bothy/v1/store", Resource::Store, Names::Nothing),
    // All that the store has, and the key to it.
    row("/bothy/v1/backup", Resource::Store, Names::Nothing),
    row("/bothy/v1/restore", Resource::Store, Names::Nothing),
    row("/bothy/v1/support", Resource::Support, Names::Nothing),
    row("/bothy/v1/whoami", Resource::Own, Names::Nothing),
    row("/bothy/v1/tokens", Resource::Own, Names::Nothing),
    row("/bothy/v1/users", Resource::Identity, Names::Nothing),
    row("/bothy/v1/clients", Resource::Identity, Names::Nothing),
    row("/bothy/v1/roles", Resource::Identity, Names::Nothing),
    row("/bothy/v1/nfvos", Resource::Identity, Names::Nothing),
    row("/bothy/v1/vnfms", Resource::Identity, Names::Nothing),
    row("/bothy/v1/projects", Resource::Project, Names::Nothing),
    row("/bothy/v1/audit", Resource::Audit, Names::Nothing),
    row("/bothy/v1/tls", Resource::Tls, Names::Nothing),
    // Of boxes the handler shows those of the caller's project.
    row("/bothy/v1/call_home", Resource::Host, Names::Nothing),
    row("/bothy/v1/boxes", Resource::Host, Names::Nothing),
    row("/bothy/v1/hub/desired", Resource::Config, Names::Nothing),
];

/// Routes whose action is not what their method says.
const EXCEPT: &[(&str, &str, Resource, Action)] = &[
    // A dry run and a check change nothing.
    ("POST", "/bothy/v1/plan", Resource::Plan, Read),
    ("POST", "/bothy/v1/plan/bundle", Resource::Plan, Read),
    ("POST", "/bothy/v1/config/check", Resource::Config, Read),
    ("POST", "/bothy/v1/audit/verify", Resource::Audit, Read),
    // Whoever hears what guests say hears all of it.
    ("GET", "/bothy/v1/networks/{id}/capture", Resource::Guest, Act),
    // Whoever may change a service's chains.
    ("POST", "/bothy/v1/chains/{id}/settle", Resource::Ns, Act),
    ("POST", "/bothy/v1/host/network/plan", Resource::Host, Read),
    ("POST", "/bothy/v1/host/reset/plan", Resource::Host, Read),
    // Whoever may onboard a package; of NFVOs he is shown those of his project.
    ("POST", "/bothy/v1/nfvos/{name}/packages", Resource::VnfPackage, Create),
    // A foreign VNFM tells of its VNFs.
    ("GET", "/bothy/v1/vnfms/{name}/notifications", Resource::Grant, Read),
    ("POST", "/bothy/v1/vnfms/{name}/notifications", Resource::Grant, Create),
    // Whoever types at a guest's console can do anything in it.
    ("GET", "/bothy/v1/vnf/{id}/console", Resource::Guest, Act),
    // Whom the box calls is for those who say that of NFVOs and VNFMs too: what answers is read back.
    ("PUT", "/bothy/v1/vnf/{id}/endpoint", Resource::Identity, Change),
    // No record says whose guest this is.
    ("GET", "/bothy/v1/host/guests/{id}/console", Resource::Host, Act),
    ("GET", "/bothy/v1/host/guests/{id}/serial", Resource::Host, Act),
];

/// What can be done while a system is on trial, or the box is about to restart into one: what ends that, and what changes
/// no record. All other changes are refused, for the store that the box may go back to would not have them.
const IN_A_TRIAL: &[(&str, &str)] = &[
    ("DELETE", "/bothy/v1/host/update"),
    // The service manager asks for it on the way down.
    ("POST", "/bothy/v1/host/shutdown"),
    ("DELETE", "/bothy/v1/host/shutdown"),
    ("POST", "/bothy/v1/store/export"),
    ("POST", "/bothy/v1/store/verify"),
];

pub fn in_a_trial(method: &Method, path: &str) -> bool {
    // A console is watched and typed at, and no record changes.
    *method == Method::GET || *method == Method::HEAD || IN_A_TRIAL.iter().any(|(m, p)| *m == method.as_str() && *p == path)
}

fn find(path: &str) -> Option<&'static Row> {
    let of = |path: &str| ROWS.iter().find(|r| path.strip_prefix(r.under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    of(path).or_else(|| of(&older::second(path)?))
}

/// What a route of the table needs; `None`: nobody thought of it, so nobody may.
pub fn need(method: &Method, path: &str) -> Option<Need> {
    if path == super::oauth::TOKEN {
        return Some(Need::Public);
    }
    if path == super::hub::RELAY {
        return Some(Need::Behind);
    }
    if let Some((_, _, resource, action)) = EXCEPT.iter().find(|(m, p, _, _)| *m == method.as_str() && *p == path) {
        return Some(Need::Permission(Permission { resource: *resource, action: *action }));
    }
    let row = find(path)?;
    let action = match *method {
        Method::GET | Method::HEAD => Read,
        Method::PUT | Method::PATCH => Change,
        Method::DELETE => Delete,
        // POST to a collection makes one more; below it, it is a task.
        Method::POST if path.len() == row.under.len() => Create,
        Method::POST => Act,
        _ => return None,
    };
    Some(Need::Permission(Permission { resource: row.resource, action }))
}

/// What a request needs: that of its route, and where it is relayed, of the path behind.
pub fn need_at(method: &Method, route: &str, path: &str) -> Option<Need> {
    match need(method, route)? {
        Need::Behind => behind(method, super::hub::split(path)?.1).map(Need::Permission),
        n => Some(n),
    }
}

/// The same as on the box itself, though its routes are not at hand here: what this table does not name is for nobody, and so are
/// a box's own tokens.
fn behind(method: &Method, path: &str) -> Option<Permission> {
    let fits = |route: &str| {
        route.split('/').count() == path.split('/').count()
            && route.split('/').zip(path.split('/')).all(|(r, p)| r.starts_with('{') || r == p)
    };
    // A HEAD is answered by what answers GET.
    let asked = if *method == Method::HEAD { &Method::GET } else { method };
    if let Some((_, _, resource, action)) = EXCEPT.iter().find(|(m, route, _, _)| *m == asked.as_str() && fits(route)) {
        return Some(Permission { resource: *resource, action: *action });
    }
    match need(method, path)? {
        // On the box they would be those of the hub's client.
        Need::Permission(p) if p.resource == Resource::Own && path != WHOAMI => None,
        Need::Permission(p) => Some(p),
        Need::Public | Need::Behind => None,
    }
}

/// What the box's own handlers ask of their caller besides, who is the hub's client there: what is changed through the hub with
/// more than the permission of the path needs the whole of the hub's permissions. Why this caller may not; `None`: he may.
pub fn behind_besides(method: &Method, path: &str, by: &Caller) -> Option<String> {
    let row = find(path)?;
    let whole = by.every_project && by.permissions.covers(Permissions::ALL);
    if whole || matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let lacks = |resource| {
        let needs = Permission { resource, action: Read };
        (!by.permissions.has(needs)).then(|| format!("who is told of these reads them too, and {} has no {needs}", by.name))
    };
    match row.resource {
        // Nobody gives more than he has, and the box cannot tell what that is.
        Resource::Identity | Resource::Project => {
            Some(format!("accounts, roles and projects of a box are changed through the hub by its admins only, and {} is none", by.name))
        }
        Resource::Subscription if *method == Method::POST => {
            let told = match path.split('/').nth(1)? {
                "nsd" => Resource::NsDescriptor,
                "vnfpkgm" => Resource::VnfPackage,
                "nslcm" => Resource::Ns,
                "vnflcm" => Resource::Vnf,
                "vnffm" | "nsfm" => Resource::Alarm,
                "vnfind" => Resource::Indicator,
                // Of whatever else there is to hear, the box alone knows what it takes.
                _ => return Some(format!("{path} is subscribed to through the hub by its admins only")),
            };
            lacks(told)
        }
        // What comes of a threshold tells how much of the host is taken.
        Resource::Performance if row.under == CAPACITY && matches!(*method, Method::POST | Method::PATCH) => lacks(Resource::Host),
        // It may name secrets.
        Resource::Guest if *method == Method::PATCH && path.ends_with("/config") => {
            let needs = Permission { resource: Resource::Secret, action: Read };
            (!by.permissions.has(needs)).then(|| format!("secrets may be sent so, and {} has no {needs}", by.name))
        }
        _ => None,
    }
}

const CAPACITY: &str = "/nfvici/v1/capacity_thresholds";

/// Who the caller is, which harms nobody.
const WHOAMI: &str = "/bothy/v1/whoami";

/// The owned thing that a path names, from the route and the path as sent; `None` if it names none. What
/// should be an id and does not read as one is not found: the router decodes `%30` to `0`, and a handler must
/// not see an id that this has not.
pub fn thing(route: &str, path: &str) -> Result<Option<Thing>> {
    let Some(row) = find(route).filter(|r| r.names != Names::Nothing) else { return Ok(None) };
    let Some(at) = route.split('/').position(|p| p.starts_with('{')) else { return Ok(None) };
    let id = path.split('/').nth(at).unwrap_or_default();
    let thing = match row.names {
        Names::Nothing => None,
        Names::NsDescriptor => id.parse().ok().map(Thing::NsDescriptor),
        Names::PnfDescriptor => id.parse().ok().map(Thing::PnfDescriptor),
        Names::VnfPackage => id.parse().ok().map(Thing::VnfPackage),
        Names::Ns => id.parse().ok().map(Thing::Ns),
        Names::Vnf => id.parse().ok().map(Thing::Vnf),
        Names::Operation => id.parse().ok().map(Thing::Operation),
        Names::Subscription => id.parse().ok().map(Thing::Subscription),
        Names::PmJob => id.parse().ok().map(Thing::PmJob),
        Names::Threshold => id.parse().ok().map(Thing::Threshold),
        Names::CapacityThreshold => id.parse().ok().map(Thing::CapacityThreshold),
        Names::Alarm => id.parse().ok().map(Thing::Alarm),
        Names::Snapshot => id.parse().ok().map(Thing::Snapshot),
        Names::Grant => id.parse().ok().map(Thing::Grant),
        Names::Link => id.parse().ok().map(Thing::Link),
        Names::Chain => id.parse().ok().map(Thing::Chain),
    };
    thing.map(Some).ok_or_else(|| Fault::not_found(format!("there is no '{id}' here")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{access::roles::BUILT_IN, api, config::ReferencePoint};

    fn served() -> BTreeSet<(&'static str, String)> {
        let mut all = BTreeSet::new();
        for point in ReferencePoint::ALL {
            for (path, methods) in api::routes(*point).table() {
                all.extend(methods.iter().map(|m| (*path, m.to_string())));
            }
        }
        all
    }

    #[test]
    fn each_route_has_a_permission_and_each_row_a_route() {
        let served = served();
        for (path, method) in &served {
            let method: Method = method.parse().expect("method");
            assert!(need(&method, path).is_some(), "{method} {path}: no row of api::permit names it, so nobody may use it");
        }
        let paths: BTreeSet<&str> = served.iter().map(|(p, _)| *p).collect();
        for r in ROWS {
            assert!(paths.iter().any(|p| find(p).is_some_and(|f| f.under == r.under)), "{} has no route", r.under);
        }
        for (m, p) in IN_A_TRIAL {
            assert!(served.contains(&(*p, (*m).to_owned())), "{m} {p} is not served");
        }
        for (m, p, _, _) in EXCEPT {
            assert!(served.contains(&(*p, (*m).to_owned())), "{m} {p} is not served");
        }
    }

    /// What a project owns is looked after by the gate, so each route with such an id must name its kind.
    #[test]
    fn each_id_of_a_route_is_one_the_gate_knows_or_one_that_no_project_owns() {
        let free = [
            "/vnfpkgm/v2/onboarded_vnf_packages",
            "/bothy/v1/secrets",
            "/bothy/v1/explain",
            "/bothy/v1/tokens",
            "/bothy/v1/users",
            "/bothy/v1/clients",
            "/bothy/v1/roles",
            "/bothy/v1/nfvos",
            "/bothy/v1/vnfms",
            "/bothy/v1/projects",
            "/bothy/v1/alarms",
            "/bothy/v1/host",
            "/bothy/v1/sdn",
            "/bothy/v1/sdn/services",
            // Boxes and groups of a hub: who reaches them is asked there.
            "/bothy/v1/hub/desired",
            // There is one VIM.
            "/nfvici/v1/nfvi_capacity_infos",
        ];
        for (path, _) in served().iter().filter(|(p, _)| p.contains('{') && *p != api::hub::RELAY) {
            let row = find(path).expect("a row");
            let sent = path.split('/').map(|p| if p.starts_with('{') { "00000000-0000-4000-8000-000000000001" } else { p });
            let sent: Vec<&str> = sent.collect();
            let named = thing(path, &sent.join("/")).expect("an id");
            assert_eq!(named.is_none(), free.contains(&row.under), "{path}");
            // The same id, as the router would decode it, is no way past the gate.
            let bent = sent.join("/").replace("00000000-", "%30000000-");
            assert_eq!(thing(path, &bent).is_err(), named.is_some(), "{bent}");
        }
    }

    /// On each path that is served: as if the box itself were asked.
    #[test]
    fn what_is_relayed_needs_what_the_box_would_need() {
        let (mut seen, route) = (0, api::hub::RELAY);
        for (path, method) in served() {
            let method: Method = method.parse().expect("method");
            let sent: Vec<&str> = path.split('/').map(|p| if p.starts_with('{') { "0-0" } else { p }).collect();
            let got = need_at(&method, route, &format!("/boxes/BX-1{}", sent.join("/")));
            match need(&method, path) {
                Some(Need::Permission(p)) if p.resource == Resource::Own && path != WHOAMI => assert_eq!(got, None, "{method} {path}"),
                Some(Need::Permission(p)) => assert_eq!(got, Some(Need::Permission(p)), "{method} {path}"),
                Some(Need::Public | Need::Behind) | None => assert_eq!(got, None, "{method} {path}"),
            }
            seen += 1;
        }
        assert!(seen > 100, "{seen}");
        for (method, path) in [
            (Method::GET, "/boxes/BX-1/"),
            (Method::GET, "/boxes/BX-1"),
            (Method::GET, "/boxes/BX-1/nowhere"),
            (Method::GET, "/boxes/BX-1/bothy/v1/%76nf/1/console"),
            (Method::POST, "/boxes/BX-1/oauth2/token"),
            (Method::GET, "/boxes/BX-1/boxes/BX-2/bothy/v1/health"),
            (Method::OPTIONS, "/boxes/BX-1/bothy/v1/health"),
        ] {
            assert_eq!(need_at(&method, route, path), None, "{method} {path}");
        }
        let console = need_at(&Method::HEAD, route, "/boxes/BX-1/bothy/v1/vnf/1/console");
        assert_eq!(console, Some(Need::Permission(Permission { resource: Resource::Guest, action: Act })));
    }

    /// What the box asks of its caller besides, who is the hub there.
    #[test]
    fn whoever_is_told_through_the_hub_may_read_what_he_is_told_of() {
        let one = |resource, action| Permission { resource, action };
        let may_set = [one(Resource::Performance, Create), one(Resource::Performance, Change), one(Resource::Subscription, Create)];
        for (method, path, told) in [
            (Method::POST, "/nfvici/v1/capacity_thresholds", Some(Resource::Host)),
            (Method::PATCH, "/nfvici/v1/capacity_thresholds/0-0", Some(Resource::Host)),
            (Method::DELETE, "/nfvici/v1/capacity_thresholds/0-0", None),
            (Method::GET, "/nfvici/v1/capacity_thresholds", None),
            (Method::POST, "/nspm/v2/thresholds", None),
            (Method::POST, "/nslcm/v2/subscriptions", Some(Resource::Ns)),
        ] {
            let by = |more: &[Permission]| Caller {
                permissions: may_set.iter().chain(more).copied().collect(),
                every_project: false,
                ..Caller::root()
            };
            let refused = behind_besides(&method, path, &by(&[]));
            assert_eq!(refused.is_some(), told.is_some(), "{method} {path}: {refused:?}");
            if let Some(resource) = told {
                assert_eq!(behind_besides(&method, path, &by(&[one(resource, Read)])), None, "{method} {path}");
            }
        }
    }

    /// The matrix of resource, method and role, whole, as the file beside this one holds it.
    #[test]
    fn who_may_do_what_is_as_written_down() {
        let mut text = String::new();
        for (path, method) in served() {
            let Some(Need::Permission(p)) = need(&method.parse().expect("method"), path) else { continue };
            let may: Vec<&str> = BUILT_IN.iter().filter(|b| b.permissions().has(p)).map(|b| b.name).collect();
            text += &format!("{method:6} {path} ({p}): {}\n", may.join(" "));
        }
        insta::assert_snapshot!("role_matrix", text);
    }
}
