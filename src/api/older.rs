//! SOL003's first major of vnflcm (V2.x, `/vnflcm/v1`) as a view of the second: the same handlers over the same records.
//!
//! Owns which of its paths there are, and how requests and replies of the one major become those of the other: maps that were
//! lists, members that came later, links. Never: handlers of its own, notifications but for their form.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{
        HeaderValue,
        header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value};

use super::{
    convert::vnf::{Dialect, VIM},
    problem::Problem,
    routes::Routes,
    sol003::{vnflcm, vnflcm_ops},
    subscriptions,
    version::VNFLCM_FIRST,
};
use crate::{
    model::{error::Fault, subscription::Source},
    sol::subscription::VnfLcmFilter,
};

const ROOT: &str = "/vnflcm/v1/";
const SECOND: &str = "/vnflcm/v2/";

macro_rules! paths {
    ($($rest:literal),* $(,)?) => { &[$((concat!("/vnflcm/v1/", $rest), concat!("/vnflcm/v2/", $rest))),*] };
}

/// Snapshots and changes of packages came with the second.
const PATHS: &[(&str, &str)] = paths![
    "vnf_instances",
    "vnf_instances/{vnfInstanceId}",
    "vnf_instances/{vnfInstanceId}/instantiate",
    "vnf_instances/{vnfInstanceId}/terminate",
    "vnf_instances/{vnfInstanceId}/operate",
    "vnf_instances/{vnfInstanceId}/scale",
    "vnf_instances/{vnfInstanceId}/scale_to_level",
    "vnf_instances/{vnfInstanceId}/change_flavour",
    "vnf_instances/{vnfInstanceId}/heal",
    "vnf_instances/{vnfInstanceId}/change_ext_conn",
    "vnf_lcm_op_occs",
    "vnf_lcm_op_occs/{vnfLcmOpOccId}",
    "vnf_lcm_op_occs/{vnfLcmOpOccId}/retry",
    "vnf_lcm_op_occs/{vnfLcmOpOccId}/rollback",
    "vnf_lcm_op_occs/{vnfLcmOpOccId}/fail",
    "vnf_lcm_op_occs/{vnfLcmOpOccId}/cancel",
    "subscriptions",
    "subscriptions/{subscriptionId}",
];

/// Members that the first major has not.
const LATER: &[&str] =
    &["lcmCoordinations", "modificationsTriggeredByVnfPkgChange", "rejectedLcmCoordinations", "verbosity", "vnfSnapshotInfoId", "warnings"];

/// Maps that were lists, and which member of an entry its key is.
const LISTS: &[(&str, &str)] = &[("vimConnectionInfo", "id"), ("cpConfig", "cpInstanceId")];

/// Members that had another name.
const RENAMED: &[(&str, &str)] = &[("vnfVirtualLinkResourceInfo", "virtualLinkResourceInfo")];

/// Where a resource of the VIM is named: the first major has the VIM named beside it (V2.4.1, 4.4.1.7).
const HANDLES: &[&str] = &["computeResource", "storageResource", "networkResource", "resourceHandle"];

/// What is in these is nobody's but the client's.
const CLIENTS: &[&str] = &["additionalParams", "metadata", "extensions", "vnfConfigurableProperties"];

pub fn routes() -> Routes {
    let second = vnflcm::routes(Dialect::First).and(vnflcm_ops::routes()).and(subscriptions::routes::<VnfLcmFilter>(
        Source::VnfLcmFirst,
        "/vnflcm/v2/subscriptions",
        "/vnflcm/v2/subscriptions/{subscriptionId}",
    ));
    VNFLCM_FIRST.one().and(second.again_at(PATHS, |h| h.layer(from_fn(pass))))
}

async fn pass(req: Request, next: Next) -> Response {
    let mut response = next.run(req).await;
    let at = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).map(|l| l.replace(SECOND, ROOT));
    if let Some(at) = at.and_then(|at| HeaderValue::try_from(at).ok()) {
        response.headers_mut().insert(LOCATION, at);
    }
    if response.headers().get(CONTENT_TYPE).is_none_or(|t| t != "application/json") {
        return response;
    }
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    match viewed(body).await {
        Some(bytes) => Response::from_parts(head, Body::from(bytes)),
        None => Problem::from(Fault::bug("a reply cannot be shown as the first major has it")).into_response(),
    }
}

async fn viewed(body: Body) -> Option<Vec<u8>> {
    // One of Bothy's own replies, whole in memory already.
    let mut v: Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await.ok()?).ok()?;
    reply(&mut v);
    serde_json::to_vec(&v).ok()
}

/// A resource or a notification of the second major, as the first has it.
pub fn reply(v: &mut Value) {
    match v {
        Value::Array(all) => all.iter_mut().for_each(reply),
        Value::Object(members) => {
            members.retain(|name, _| !LATER.contains(&name.as_str()));
            for (is, was) in RENAMED {
                if let Some(v) = members.remove(*is) {
                    members.insert((*was).to_owned(), v);
                }
            }
            for (name, v) in members {
                if let Some((_, key)) = LISTS.iter().find(|(l, _)| l == name) {
                    list(v, key);
                }
                if HANDLES.contains(&name.as_str())
                    && let Some(handle) = v.as_object_mut()
                {
                    handle.entry("vimConnectionId").or_insert(Value::from(VIM));
                }
                match v {
                    Value::String(to) if name == "href" => *to = to.replace(SECOND, ROOT),
                    v if !CLIENTS.contains(&name.as_str()) => reply(v),
                    _ => {}
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn list(v: &mut Value, key: &str) {
    let Value::Object(map) = v else { return };
    let entries = std::mem::take(map).into_iter().filter_map(|(name, mut entry)| {
        entry.as_object_mut()?.entry(key).or_insert(Value::from(name));
        Some(entry)
    });
    *v = Value::Array(entries.collect());
}

pub fn is(path: &str) -> bool {
    path.starts_with(ROOT)
}

/// A request of the first major, as the second has it. What is no JSON stays for those who say so.
pub fn request(bytes: Vec<u8>) -> Vec<u8> {
    let Ok(mut v) = serde_json::from_slice::<Value>(&bytes) else { return bytes };
    asked(&mut v);
    serde_json::to_vec(&v).unwrap_or(bytes)
}

fn asked(v: &mut Value) {
    match v {
        Value::Array(all) => all.iter_mut().for_each(asked),
        Value::Object(members) => {
            for (name, v) in members {
                if let Some((_, key)) = LISTS.iter().find(|(l, _)| l == name) {
                    map(v, key);
                }
                if !CLIENTS.contains(&name.as_str()) {
                    asked(v);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An entry without a name has its number.
fn map(v: &mut Value, key: &str) {
    let Value::Array(list) = v else { return };
    let named = std::mem::take(list).into_iter().enumerate().map(|(n, mut entry)| {
        let name = entry.as_object_mut().and_then(|e| e.remove(key)).and_then(|k| k.as_str().map(str::to_owned));
        (name.unwrap_or_else(|| n.to_string()), entry)
    });
    *v = Value::Object(named.collect::<Map<_, _>>());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_maps_and_members_that_came_later_are_gone() {
        let first = json!({"vimConnectionInfo": [{"id": "v", "vimType": "x"}], "extVirtualLinks": [{"extCps": [{"cpConfig": [{"a": 1}]}]}],
            "additionalParams": {"cpConfig": [1]}});
        let second = json!({"vimConnectionInfo": {"v": {"vimType": "x"}}, "extVirtualLinks": [{"extCps": [{"cpConfig": {"0": {"a": 1}}}]}],
            "additionalParams": {"cpConfig": [1]}});
        let read: Value = serde_json::from_slice(&request(first.to_string().into_bytes())).expect("JSON");
        assert_eq!(read, second);
        assert_eq!(request(b"{half".to_vec()), b"{half");
        let mut shown = json!({"warnings": ["w"], "vnfVirtualLinkResourceInfo": [{"networkResource": {"resourceId": "s"}}], "metadata": {"warnings": "mine"}, "vimConnectionInfo": {"v": {"vimType": "x"}},
            "_links": {"self": {"href": "https://b/vnflcm/v2/vnf_instances/1"}}});
        reply(&mut shown);
        assert_eq!(
            shown,
            json!({"virtualLinkResourceInfo": [{"networkResource": {"resourceId": "s", "vimConnectionId": "bothy"}}],
                "metadata": {"warnings": "mine"}, "vimConnectionInfo": [{"id": "v", "vimType": "x"}],
                "_links": {"self": {"href": "https://b/vnflcm/v1/vnf_instances/1"}}})
        );
    }
}
