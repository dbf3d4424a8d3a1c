//! Interfaces that a VNF serves itself, and the actions that its operations coordinate with (SOL001's SupportedVnfInterface,
//! LcmCoordinationAction, LcmCoordinationsForLcmOperation, and the actions of VnfPackageChange).
//!
//! Owns where such an interface is reached, as far as a VNFD says it, and which action belongs to which operation and stage. What
//! is no address in SOL001 is in `interface_specific_data`: `bothy.user` and `bothy.secret`, Basic credentials by the name of a
//! secret. Never: what an action means.

use std::rc::Rc;

use serde_json::Value as Json;
use smol_str::SmolStr;

use super::{
    at::At,
    level::{named_policies, policies},
    scope::Scope,
    versions,
    yaml::{Node, Value},
};
use crate::model::{
    own::{CoordAsk, Coordinated, Coordination, Door, EndpointKind, OwnApi, OwnApis, Stage},
    vnfd::{Vdu, VduCp},
};

/// Coordinations of one flavour, and characters of what one is given.
const MOST: usize = 64;
const LONGEST_INPUT: usize = 2048;
const APIS: &[(&str, OwnApi)] =
    &[("vnf_indicator", OwnApi::Indicator), ("vnf_configuration", OwnApi::Configuration), ("vnf_lcm_coordination", OwnApi::Coordination)];
/// `None`: over when it is taken.
const OPERATIONS: &[(&str, Option<Coordinated>)] = &[
    ("instantiate", Some(Coordinated::Instantiate)),
    ("scale", Some(Coordinated::Scale)),
    ("scale_to_level", Some(Coordinated::ScaleToLevel)),
    ("change_flavour", Some(Coordinated::ChangeFlavour)),
    ("terminate", Some(Coordinated::Terminate)),
    ("heal", Some(Coordinated::Heal)),
    ("operate", Some(Coordinated::Operate)),
    ("change_ext_conn", Some(Coordinated::ChangeExtConn)),
    ("modify_info", None),
    ("create_snapshot", Some(Coordinated::CreateSnapshot)),
    ("revert_to_snapshot", Some(Coordinated::RevertToSnapshot)),
];

/// An action as it is declared.
struct Action {
    stage: Option<Stage>,
    ask: CoordAsk,
}

/// What these topologies, which all are for this flavour, say; `None` where that is nothing.
pub fn own(scopes: &[&Scope<'_>], flavour: &SmolStr, vdus: &[Vdu], ext_cps: &[SmolStr]) -> Option<OwnApis> {
    let mut out = OwnApis { flavour: flavour.clone(), doors: Vec::new(), coordinations: Vec::new() };
    let mut actions: Vec<Action> = Vec::new();
    for scope in scopes {
        for (_, kind, policy) in named_policies(scope) {
            let Some(props) = policy.get("properties") else { continue };
            let is = |name: &str| scope.types.is_a(&kind, &format!("tosca.policies.nfv.{name}"));
            if is("SupportedVnfInterface") {
                out.doors.extend(door(&policy, &props, vdus, ext_cps));
            } else if is("LcmCoordinationAction") {
                actions.extend(action(&props, &actions));
            }
        }
    }
    for scope in scopes {
        for (kind, policy) in policies(scope) {
            let Some(props) = policy.get("properties") else { continue };
            let is = |name: &str| scope.types.is_a(&kind, &format!("tosca.policies.nfv.{name}"));
            let operation = if is("LcmCoordinationsForLcmOperation") {
                props.known(&["vnf_lcm_operation", "actions", "referenced_coordination_actions"]);
                match props.need("vnf_lcm_operation").and_then(|o| Some((o.choice(OPERATIONS)?, o))) {
                    Some((Some(operation), _)) => operation,
                    Some((None, at)) => {
                        at.warn("is not coordinated: such an operation is over when it is taken");
                        continue;
                    }
                    None => continue,
                }
            } else if is(versions::POLICY) {
                Coordinated::ChangePackage
            } else {
                continue;
            };
            coordinate(&props, operation, &actions, &mut out);
        }
    }
    (!out.doors.is_empty() || !out.coordinations.is_empty()).then_some(out)
}

/// A policy of this topology says that the VNF serves this interface.
pub fn serves(scope: &Scope<'_>, interface: &str) -> bool {
    policies(scope).iter().any(|(kind, p)| {
        let name = p.get("properties").and_then(|p| p.get("interface_name")).and_then(|n| n.text());
        scope.types.is_a(kind, "tosca.policies.nfv.SupportedVnfInterface") && name.is_some_and(|n| n == interface)
    })
}

fn coordinate(props: &At<'_>, operation: Coordinated, actions: &[Action], out: &mut OwnApis) {
    let items = |key: &str| props.get(key).map(|a| a.items()).unwrap_or_default();
    let own = items("actions").into_iter().map(|at| (at, true));
    for (at, own) in own.chain(items("referenced_coordination_actions").into_iter().map(|at| (at, false))) {
        let Some(name) = at.text() else { continue };
        let known = actions.iter().find(|a| a.ask.action == name);
        let elsewhere = Action { stage: None, ask: CoordAsk { action: name.clone(), endpoint: None, input: String::new() } };
        let action = match known {
            Some(a) => a,
            // Somebody else declares it.
            None if !own => &elsewhere,
            None => {
                at.no_such("LcmCoordinationAction", &name, actions.iter().map(|a| a.ask.action.as_str()));
                continue;
            }
        };
        let usual = if operation == Coordinated::Instantiate { Stage::End } else { Stage::Start };
        if action.stage.is_none() {
            let when = if usual == Stage::End { "the end" } else { "the start" };
            at.warn(format!("'{name}' has no coordination_stage: it is asked for at {when} of the operation"));
        }
        let stage = action.stage.unwrap_or(usual);
        let nobody =
            [(Coordinated::Instantiate, Stage::Start, "before it is there"), (Coordinated::Terminate, Stage::End, "when it is gone")];
        let nobody = nobody.into_iter().find(|(o, s, _)| (*o, *s) == (operation, stage)).map(|(_, _, when)| when);
        if let Some(when) = nobody.filter(|_| action.ask.endpoint != Some(EndpointKind::Mgmt)) {
            at.warn(format!("no VNF can be asked for '{name}' {when}: only its element manager is"));
        }
        let by_door = out.doors.iter().any(|d| d.api == OwnApi::Coordination);
        if !by_door && action.ask.endpoint != Some(EndpointKind::Mgmt) {
            let hint = "a SupportedVnfInterface policy for vnf_lcm_coordination says it, or `bothy vnf endpoint set` for each instance";
            at.warn_hint(format!("nobody knows where '{name}' is asked for"), hint);
        }
        let one = Coordination { operation, stage, ask: action.ask.clone() };
        if out.coordinations.contains(&one) {
            continue;
        }
        if out.coordinations.len() == MOST {
            at.error(format!("a flavour has {MOST} coordinations at most"));
            return;
        }
        out.coordinations.push(one);
    }
}

fn action(props: &At<'_>, before: &[Action]) -> Option<Action> {
    props.known(&["action_name", "action"]);
    let name = props.need("action_name")?;
    let action = name.text()?;
    if action.is_empty() || action.len() > 255 {
        name.error("is no name of an action: 1 to 255 characters");
    }
    if before.iter().any(|a| a.ask.action == action) {
        name.error(format!("'{action}' is declared twice"));
    }
    let at = props.need("action")?;
    let stage = at.get("coordination_stage").and_then(|s| s.choice(&[("start", Stage::Start), ("end", Stage::End)]));
    let endpoint = at.get("endpoint_type").and_then(|e| e.choice(&[("vnf", EndpointKind::Vnf), ("mgmt", EndpointKind::Mgmt)]));
    let given = at.get("input_parameters").map(|i| (json(i.node()), i));
    let input = given.map(|(value, at)| {
        let text = value.to_string();
        if !value.is_object() || text.len() > LONGEST_INPUT {
            at.error(format!("is no map of {LONGEST_INPUT} characters at most"));
        }
        text
    });
    Some(Action { stage, ask: CoordAsk { action, endpoint, input: input.unwrap_or_default() } })
}

/// As YAML means it: what is written without quotes may be a number or a truth.
fn json(node: &Rc<Node>) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(text) if node.plain => match text.as_str() {
            "true" | "false" => Json::Bool(text == "true"),
            _ => text.parse::<i64>().map_or_else(|_| Json::String(text.clone()), Json::from),
        },
        Value::Scalar(text) => Json::String(text.clone()),
        Value::Seq(all) => all.iter().map(json).collect(),
        Value::Map(all) => Json::Object(all.iter().map(|(k, v)| (k.text.to_string(), json(v))).collect()),
    }
}

fn door(policy: &At<'_>, props: &At<'_>, vdus: &[Vdu], ext_cps: &[SmolStr]) -> Option<Door> {
    props.known(&["interface_name", "details"]);
    let api = props.need("interface_name")?.choice(APIS)?;
    let mut cps = Vec::new();
    let known: Vec<&SmolStr> = vdus.iter().flat_map(|v| &v.nics).flat_map(cp_names).chain(ext_cps).collect();
    for t in policy.get("targets").map(|t| t.items()).unwrap_or_default() {
        match t.text() {
            Some(name) if known.contains(&&name) => cps.push(name),
            Some(name) => t.warn(format!("'{name}' is no connection point of a guest: nobody is called there")),
            None => {}
        }
    }
    let details = props.get("details");
    let uri = details.as_ref().and_then(|d| d.get("uri_components"));
    let (mut tls, mut host, mut port, mut path) = (true, None, None, SmolStr::default());
    if let Some(uri) = &uri {
        uri.known(&["scheme", "authority", "path", "query", "fragment"]);
        uri.not_acted_on(&["query", "fragment"]);
        tls = uri.need("scheme").and_then(|s| s.choice(&[("https", true), ("http", false)])).unwrap_or(true);
        if let Some(authority) = uri.get("authority") {
            authority.known(&["user_info", "host", "port"]);
            if let Some(at) = authority.get("user_info") {
                at.error_hint(
                    "credentials do not belong into a VNFD",
                    "interface_specific_data: { bothy.user: NAME, bothy.secret: SECRET }",
                );
            }
            host = authority.get("host").and_then(|h| h.text());
            port = authority.get("port").and_then(|p| p.parse::<u16>("port"));
        }
        path = uri.get("path").and_then(|p| p.text()).unwrap_or_default();
    }
    if cps.is_empty() && host.is_none() {
        policy.warn("names no connection point as its target, and no host: nobody knows where it is");
        return None;
    }
    Some(Door {
        api,
        tls,
        host,
        port: port.unwrap_or(if tls { 443 } else { 80 }),
        path: prefix(&path, api),
        cps,
        login: login(details.as_ref()),
    })
}

fn cp_names(nic: &VduCp) -> impl Iterator<Item = &SmolStr> {
    std::iter::once(&nic.id).chain(nic.subports.iter().map(|s| &s.id))
}

/// What comes before the API's own name: a path may be told with it or without.
fn prefix(path: &str, api: OwnApi) -> SmolStr {
    let bare = path.trim_matches('/');
    let without = bare.strip_suffix("/v1").unwrap_or(bare);
    let without = without.strip_suffix(api.name()).filter(|rest| rest.is_empty() || rest.ends_with('/')).unwrap_or(bare);
    let without = without.trim_end_matches('/');
    if without.is_empty() { SmolStr::default() } else { smol_str::format_smolstr!("/{without}") }
}

fn login(details: Option<&At<'_>>) -> Option<(SmolStr, SmolStr)> {
    let data = details?.get("interface_specific_data")?;
    let of = |key: &str| data.get(key).and_then(|v| v.text());
    match (of("bothy.user"), of("bothy.secret")) {
        (Some(user), Some(secret)) => Some((user, secret)),
        (None, None) => None,
        (Some(_), None) => {
            data.error("names a user by bothy.user and no secret: bothy.secret is missing");
            None
        }
        (None, Some(_)) => {
            data.error("names a secret by bothy.secret and nobody: bothy.user is missing");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_what_stands_before_the_api() {
        for (path, want) in [
            ("", ""),
            ("/", ""),
            ("/lcmcoord/v1", ""),
            ("lcmcoord", ""),
            ("/a/b/", "/a/b"),
            ("/a/lcmcoord/v1/", "/a"),
            ("/a/v1", "/a/v1"),
            ("/a/vnfconfig", "/a/vnfconfig"),
            ("/xlcmcoord", "/xlcmcoord"),
        ] {
            assert_eq!(prefix(path, OwnApi::Coordination), want, "{path}");
        }
    }
}
