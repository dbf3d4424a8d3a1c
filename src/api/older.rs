//! First majors of ETSI's APIs (SOL003 and SOL005 V2.x, `/{api}/v1`) as views of the second: the same handlers over the same records.
//!
//! Owns which of their paths there are, and how requests and replies of the one major become those of the other: maps that were
//! lists, members that came later, links. What had one major only (nsfm, vnffm, vnfind, grant, vrqan) needs none. Never: handlers
//! of its own, notifications but for their form.

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
    pm,
    problem::Problem,
    routes::Routes,
    sol003::{vnflcm, vnflcm_ops},
    sol005::{nsd, nslcm, nslcm_ops, pnfd, vnfpkgm},
    subscriptions,
    version::{Api, NSD_FIRST, NSLCM_FIRST, NSPM_FIRST, VNFLCM_FIRST, VNFPKGM_FIRST, VNFPM_FIRST},
};
use crate::{
    model::{error::Fault, subscription::Source},
    sol::subscription::{NsLcmFilter, NsdFilter, PkgmFilter, PmFilter, VnfLcmFilter},
};

/// The first major of an API that has a second, and how its resources differ.
pub struct First {
    root: &'static str,
    second: &'static str,
    /// Members that came later.
    later: &'static [&'static str],
    /// Members that had another name.
    renamed: &'static [(&'static str, &'static str)],
    /// Where a resource of the VIM is named: the first major has the VIM named beside it (SOL003 V2.4.1, 4.4.1.7).
    handles: &'static [&'static str],
    /// What a job or a threshold measures where it says nothing of its kind; neither has a callback.
    measured: Option<&'static str>,
}

macro_rules! first {
    ($name:literal, later: $later:expr $(, $field:ident: $v:expr)* $(,)?) => {
        First {
            $($field: $v,)*
            ..First {
                root: concat!("/", $name, "/v1/"),
                second: concat!("/", $name, "/v2/"),
                later: $later,
                renamed: &[],
                handles: &[],
                measured: None,
            }
        }
    };
}

static FIRSTS: [First; 6] = [
    first!("vnflcm",
        later: &["lcmCoordinations", "modificationsTriggeredByVnfPkgChange", "rejectedLcmCoordinations", "verbosity", "vnfSnapshotInfoId", "warnings"],
        renamed: &[("vnfVirtualLinkResourceInfo", "virtualLinkResourceInfo")],
        handles: &["computeResource", "storageResource", "networkResource", "resourceHandle"],
    ),
    first!("nsd", later: &["archiveSecurityOption", "signingCertificate", "artifacts"]),
    first!("vnfpkgm",
        later: &["artifactURI", "compatibleSpecificationVersions", "nonManoArtifactSetId", "packageSecurityOption", "signingCertificate", "vnfmInfo", "vnfPackageByVnfdId"]),
    first!("nslcm",
        later: &["lcmCoordinations", "rejectedLcmCoordinations", "stateEnteredTime", "verbosity", "vnfSnapshotInfoIds", "vnfSnapshotInfos", "warnings"]),
    first!("vnfpm", later: &["callbackUri"], measured: Some("Vnf")),
    first!("nspm", later: &["callbackUri"], measured: Some("Ns")),
];

/// Maps that were lists, and which member of an entry its key is.
const LISTS: &[(&str, &str)] = &[("vimConnectionInfo", "id"), ("cpConfig", "cpInstanceId")];

/// What is in these is nobody's but the client's.
const CLIENTS: &[&str] = &[
    "additionalParam",
    "additionalParams",
    "additionalParamsForNs",
    "additionalParamsforNs",
    "additionalParamsForVnf",
    "additionalParamForNestedNs",
    "extensions",
    "metadata",
    "userDefinedData",
    "userMetadata",
    "vnfConfigurableProperties",
];

/// Paths of the first major and those of the second that they are views of.
type Paths = &'static [(&'static str, &'static str)];

macro_rules! paths {
    ($api:literal: $($rest:literal),* $(,)?) => { &[$((concat!("/", $api, "/v1/", $rest), concat!("/", $api, "/v2/", $rest))),*] };
}

/// Snapshots and changes of packages came with the second.
const OF_VNFLCM: Paths = paths!["vnflcm":
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

/// The parts of a descriptor's archive came with the second.
const OF_NSD: Paths = paths!["nsd":
    "ns_descriptors",
    "ns_descriptors/{nsdInfoId}",
    "ns_descriptors/{nsdInfoId}/nsd_content",
    "pnf_descriptors",
    "pnf_descriptors/{pnfdInfoId}",
    "pnf_descriptors/{pnfdInfoId}/pnfd_content",
    "subscriptions",
    "subscriptions/{subscriptionId}",
];

const OF_VNFPKGM: Paths = paths!["vnfpkgm":
    "vnf_packages",
    "vnf_packages/{vnfPkgId}",
    "vnf_packages/{vnfPkgId}/vnfd",
    "vnf_packages/{vnfPkgId}/artifacts/{*artifactPath}",
    "vnf_packages/{vnfPkgId}/package_content",
    "vnf_packages/{vnfPkgId}/package_content/upload_from_uri",
    "subscriptions",
    "subscriptions/{subscriptionId}",
];

/// SOL003's NFVO alone: by their VNFDs, with the parts that the first major has.
const OF_ONBOARDED: Paths = paths!["vnfpkgm":
    "onboarded_vnf_packages",
    "onboarded_vnf_packages/{vnfdId}",
    "onboarded_vnf_packages/{vnfdId}/vnfd",
    "onboarded_vnf_packages/{vnfdId}/artifacts/{*artifactPath}",
    "onboarded_vnf_packages/{vnfdId}/package_content",
];

const OF_NSLCM: Paths = paths!["nslcm":
    "ns_instances",
    "ns_instances/{nsInstanceId}",
    "ns_instances/{nsInstanceId}/instantiate",
    "ns_instances/{nsInstanceId}/terminate",
    "ns_instances/{nsInstanceId}/scale",
    "ns_instances/{nsInstanceId}/update",
    "ns_instances/{nsInstanceId}/heal",
    "ns_lcm_op_occs",
    "ns_lcm_op_occs/{nsLcmOpOccId}",
    "ns_lcm_op_occs/{nsLcmOpOccId}/retry",
    "ns_lcm_op_occs/{nsLcmOpOccId}/rollback",
    "ns_lcm_op_occs/{nsLcmOpOccId}/continue",
    "ns_lcm_op_occs/{nsLcmOpOccId}/fail",
    "ns_lcm_op_occs/{nsLcmOpOccId}/cancel",
    "subscriptions",
    "subscriptions/{subscriptionId}",
];

const OF_VNFPM: Paths = paths!["vnfpm":
    "pm_jobs",
    "pm_jobs/{pmJobId}",
    "pm_jobs/{pmJobId}/reports/{reportId}",
    "thresholds",
    "thresholds/{thresholdId}",
    "subscriptions",
    "subscriptions/{subscriptionId}",
];

const OF_NSPM: Paths = paths!["nspm":
    "pm_jobs",
    "pm_jobs/{pmJobId}",
    "pm_jobs/{pmJobId}/reports/{reportId}",
    "thresholds",
    "thresholds/{thresholdId}",
    "subscriptions",
    "subscriptions/{subscriptionId}",
];

/// Of SOL003 as the VNFM serves it.
pub fn vnfm() -> Routes {
    let lcm = vnflcm::routes(Dialect::First).and(vnflcm_ops::routes()).and(subscriptions::routes::<VnfLcmFilter>(
        Source::VnfLcmFirst,
        "/vnflcm/v2/subscriptions",
        "/vnflcm/v2/subscriptions/{subscriptionId}",
    ));
    let pm = pm::first(pm::Of::Vnf, pm::OF_VNFS).and(subscriptions::routes::<PmFilter>(
        Source::VnfPmFirst,
        "/vnfpm/v2/subscriptions",
        "/vnfpm/v2/subscriptions/{subscriptionId}",
    ));
    viewed(&VNFLCM_FIRST, OF_VNFLCM, lcm).and(viewed(&VNFPM_FIRST, OF_VNFPM, pm))
}

pub fn sol005() -> Routes {
    let nsd = nsd::routes().and(pnfd::routes()).and(subscriptions::routes::<NsdFilter>(
        Source::NsdFirst,
        "/nsd/v2/subscriptions",
        "/nsd/v2/subscriptions/{subscriptionId}",
    ));
    let lcm = nslcm::routes().and(nslcm_ops::routes()).and(subscriptions::routes::<NsLcmFilter>(
        Source::NsLcmFirst,
        "/nslcm/v2/subscriptions",
        "/nslcm/v2/subscriptions/{subscriptionId}",
    ));
    let pm = pm::first(pm::Of::Ns, pm::OF_SERVICES).and(subscriptions::routes::<PmFilter>(
        Source::NsPmFirst,
        "/nspm/v2/subscriptions",
        "/nspm/v2/subscriptions/{subscriptionId}",
    ));
    viewed(&NSD_FIRST, OF_NSD, nsd)
        .and(packages(vnfpkgm::routes(), Source::VnfPkgmFirst))
        .and(viewed(&NSLCM_FIRST, OF_NSLCM, lcm))
        .and(viewed(&NSPM_FIRST, OF_NSPM, pm))
}

/// What SOL005 and SOL003's NFVO have of packages, each by its own handlers.
pub fn packages(handlers: Routes, source: Source) -> Routes {
    let subscriptions =
        subscriptions::routes::<PkgmFilter>(source, "/vnfpkgm/v2/subscriptions", "/vnfpkgm/v2/subscriptions/{subscriptionId}");
    viewed(&VNFPKGM_FIRST, OF_VNFPKGM, handlers.and(subscriptions))
}

/// Those that are onboarded, as SOL003's NFVO has them.
pub fn onboarded(handlers: Routes) -> Routes {
    view(OF_ONBOARDED, handlers)
}

fn viewed(api: &'static Api, paths: Paths, second: Routes) -> Routes {
    api.one().and(view(paths, second))
}

fn view(paths: Paths, second: Routes) -> Routes {
    second.again_at(paths, |h| h.layer(from_fn(pass)))
}

/// The first major that a path is of, where the API has a second.
pub fn of(path: &str) -> Option<&'static First> {
    FIRSTS.iter().find(|f| path.starts_with(f.root))
}

/// The path of the second major that is behind one of the first.
pub fn second(path: &str) -> Option<String> {
    let first = of(path)?;
    Some(format!("{}{}", first.second, &path[first.root.len()..]))
}

/// A link into the second major of any API, as clients of the first follow it.
fn back(link: &str) -> String {
    FIRSTS.iter().fold(link.to_owned(), |to, f| to.replacen(f.second, f.root, 1))
}

async fn pass(req: Request, next: Next) -> Response {
    let path = req.uri().path();
    // An artefact may be JSON of its own.
    let first = of(path).filter(|_| !path.contains("/artifacts/"));
    let mut response = next.run(req).await;
    let at = response.headers().get(LOCATION).and_then(|l| l.to_str().ok()).map(back);
    if let Some(at) = at.and_then(|at| HeaderValue::try_from(at).ok()) {
        response.headers_mut().insert(LOCATION, at);
    }
    let Some(first) = first.filter(|_| response.headers().get(CONTENT_TYPE).is_some_and(|t| t == "application/json")) else {
        return response;
    };
    let (mut head, body) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    match first.shown(body).await {
        Some(bytes) => Response::from_parts(head, Body::from(bytes)),
        None => Problem::from(Fault::bug("a reply cannot be shown as the first major has it")).into_response(),
    }
}

impl First {
    async fn shown(&self, body: Body) -> Option<Vec<u8>> {
        // One of Bothy's own replies, whole in memory already.
        let mut v: Value = serde_json::from_slice(&to_bytes(body, usize::MAX).await.ok()?).ok()?;
        self.reply(&mut v);
        serde_json::to_vec(&v).ok()
    }

    /// A resource or a notification of the second major, as the first has it.
    pub fn reply(&self, v: &mut Value) {
        match v {
            Value::Array(all) => all.iter_mut().for_each(|v| self.reply(v)),
            Value::Object(members) => {
                // A subscription has its callback in both.
                let is_job = members.contains_key("criteria");
                members.retain(|name, _| !self.later.contains(&name.as_str()) || (self.measured.is_some() && !is_job));
                for (is, was) in self.renamed {
                    if let Some(v) = members.remove(*is) {
                        members.insert((*was).to_owned(), v);
                    }
                }
                for (name, v) in members {
                    if let Some((_, key)) = LISTS.iter().find(|(l, _)| l == name) {
                        list(v, key);
                    }
                    if self.handles.contains(&name.as_str())
                        && let Some(handle) = v.as_object_mut()
                    {
                        handle.entry("vimConnectionId").or_insert(Value::from(VIM));
                    }
                    match v {
                        Value::String(to) if name == "href" => *to = back(to),
                        v if !CLIENTS.contains(&name.as_str()) => self.reply(v),
                        _ => {}
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// A request to a path of the first major, as the second has it. What is no JSON stays for those who say so.
    pub fn request(&self, path: &str, bytes: Vec<u8>) -> Vec<u8> {
        let Ok(mut v) = serde_json::from_slice::<Value>(&bytes) else { return bytes };
        asked(&mut v);
        if let (Some(kind), Value::Object(members)) = (self.measured, &mut v)
            && (path.ends_with("/pm_jobs") || path.ends_with("/thresholds"))
        {
            members.entry("objectType").or_insert(kind.into());
            members.insert("callbackUri".into(), "".into());
        }
        serde_json::to_vec(&v).unwrap_or(bytes)
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
        let of_vnflcm = of("/vnflcm/v1/vnf_instances").expect("a first major");
        let first = json!({"vimConnectionInfo": [{"id": "v", "vimType": "x"}], "extVirtualLinks": [{"extCps": [{"cpConfig": [{"a": 1}]}]}],
            "additionalParams": {"cpConfig": [1]}});
        let second = json!({"vimConnectionInfo": {"v": {"vimType": "x"}}, "extVirtualLinks": [{"extCps": [{"cpConfig": {"0": {"a": 1}}}]}],
            "additionalParams": {"cpConfig": [1]}});
        let asked = |bytes: Vec<u8>| of_vnflcm.request("/vnflcm/v1/vnf_instances", bytes);
        let read: Value = serde_json::from_slice(&asked(first.to_string().into_bytes())).expect("JSON");
        assert_eq!(read, second);
        assert_eq!(asked(b"{half".to_vec()), b"{half");
        let mut shown = json!({"warnings": ["w"], "vnfVirtualLinkResourceInfo": [{"networkResource": {"resourceId": "s"}}], "metadata": {"warnings": "mine"}, "vimConnectionInfo": {"v": {"vimType": "x"}},
            "_links": {"self": {"href": "https://b/vnflcm/v2/vnf_instances/1"}}});
        of_vnflcm.reply(&mut shown);
        assert_eq!(
            shown,
            json!({"virtualLinkResourceInfo": [{"networkResource": {"resourceId": "s", "vimConnectionId": "bothy"}}],
                "metadata": {"warnings": "mine"}, "vimConnectionInfo": [{"id": "v", "vimType": "x"}],
                "_links": {"self": {"href": "https://b/vnflcm/v1/vnf_instances/1"}}})
        );
    }

    #[test]
    fn jobs_of_the_first_major_have_no_callback_and_need_not_say_what_they_measure() {
        let pm = of("/nspm/v1/pm_jobs").expect("a first major");
        let asked =
            |path: &str, body: Value| -> Value { serde_json::from_slice(&pm.request(path, body.to_string().into_bytes())).expect("JSON") };
        assert_eq!(
            asked("/nspm/v1/pm_jobs", json!({"objectInstanceIds": ["n"]})),
            json!({"objectInstanceIds": ["n"], "objectType": "Ns", "callbackUri": ""})
        );
        assert_eq!(asked("/nspm/v1/thresholds", json!({"objectType": "Sap"})), json!({"objectType": "Sap", "callbackUri": ""}));
        assert_eq!(asked("/nspm/v1/subscriptions", json!({"callbackUri": "http://s"})), json!({"callbackUri": "http://s"}));
        let mut both = json!([{"criteria": {}, "callbackUri": ""}, {"callbackUri": "http://s", "_links": {"object": {"href": "https://b/nslcm/v2/ns_instances/n"}}}]);
        pm.reply(&mut both);
        assert_eq!(
            both,
            json!([{"criteria": {}}, {"callbackUri": "http://s", "_links": {"object": {"href": "https://b/nslcm/v1/ns_instances/n"}}}])
        );
    }

    #[test]
    fn what_has_one_major_only_is_no_view() {
        for path in ["/nsfm/v1/alarms", "/vnfind/v1/indicators", "/grant/v1/grants", "/nsd/v2/ns_descriptors", "/bothy/v1/health"] {
            assert!(of(path).is_none() && second(path).is_none(), "{path}");
        }
        assert_eq!(second("/nslcm/v1/ns_instances/1/heal").as_deref(), Some("/nslcm/v2/ns_instances/1/heal"));
    }
}
