//! Each reply of every server that a test starts, held against what is declared of it (`declared`), and each notification that
//! comes of it. A fault fails the test that has the server.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Method, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{
    declared::{Due, Face, as_second, is_json, typed, unlike_at, validator},
    schema,
};

/// Routes of the rig's own.
const OF_THE_RIG: &[&str] = &["/slow", "/stuck", "/flood"];

/// What was found at one server.
#[derive(Clone, Default)]
pub struct Held {
    faults: Arc<Mutex<Vec<String>>>,
    pub face: Face,
}

impl Held {
    /// The same list, for another of the server's faces.
    pub fn as_seen_by(&self, face: Face) -> Held {
        Held { face, ..self.clone() }
    }
    pub fn add(&self, faults: Vec<String>) {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).extend(faults);
    }
    /// Called when the server's owner goes: a test that has failed already says what it says.
    pub fn fail_if_any(&self) {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(thread::panicking() || faults.is_empty(), "replies that are not as declared:\n{}", faults.join("\n"));
    }
    /// Looks at a reply and gives it on as it was.
    pub async fn pass(&self, method: &Method, path: &str, response: Response) -> Response {
        if OF_THE_RIG.contains(&path) || method == Method::HEAD || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return response;
        }
        let text = media(response.headers());
        let (head, body) = response.into_parts();
        self.add(unnamed(self.face, method, path, head.status, &head.headers));
        // Files are sent as they are stored; their length is known to the tests that ask for them.
        if head.status.is_success() && !is_json(&text) && !text.is_empty() {
            self.add(unlike_at(self.face, method.as_str(), path, head.status.as_u16(), &text, &[]));
            return Response::from_parts(head, body);
        }
        let bytes = to_bytes(body, usize::MAX).await.expect("a body that is not cut off");
        self.add(unlike_at(self.face, method.as_str(), path, head.status.as_u16(), &text, &bytes));
        Response::from_parts(head, Body::from(bytes))
    }
}

/// What SOL013 wants in the head: the version of the API (9.3.2), and where what was made is (6.4.2, for POST).
fn unnamed(face: Face, method: &Method, path: &str, status: StatusCode, headers: &HeaderMap) -> Vec<String> {
    let of_etsi = face.types().iter().any(|(api, ..)| path.split('/').nth(1) == Some(*api));
    let wants = [("version", of_etsi), ("location", of_etsi && status == StatusCode::CREATED)];
    let lacking = wants.iter().filter(|(name, wanted)| *wanted && !headers.contains_key(*name));
    lacking.map(|(name, _)| format!("{method} {path} {}: has no header {name}", status.as_u16())).collect()
}

fn media(headers: &HeaderMap) -> String {
    headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
}

/// By the first part of the path of what it was sent for, where the types of a notification stand.
const NEWS: &[(&str, &str)] = &[
    ("nsd", schema::NSD_NOTIFICATION),
    ("vnfpkgm", schema::VNFPKGM_NOTIFICATION),
    ("nslcm", schema::NSLCM_NOTIFICATION),
    ("nsfm", schema::NSFM_NOTIFICATION),
    ("nspm", schema::NSPM_NOTIFICATION),
    ("nfvici", schema::NFVICI_NOTIFICATION),
    ("vnflcm", schema::VNFLCM_NOTIFICATION),
    ("vnffm", schema::VNFFM_NOTIFICATION),
    ("vnfpm", schema::VNFPM_NOTIFICATION),
    ("vnfind", schema::VNFIND_NOTIFICATION),
];
/// Everything at which a notification that Bothy sent differs from what is declared.
pub fn notification(version: &str, media: &str, body: &[u8]) -> Vec<String> {
    let text = || String::from_utf8_lossy(body).into_owned();
    if version.is_empty() || media != "application/json" {
        return vec![format!("a notification of '{media}' with version '{version}': {}", text())];
    }
    let Ok(v) = serde_json::from_slice::<Value>(body) else { return vec![format!("no JSON: {}", text())] };
    if schema::root().is_none() {
        return Vec::new();
    }
    if v["notificationType"] == "VrQuotaAvailNotification" {
        return quota_notification().iter_errors(&v).map(|e| format!("{}: {e}\n{v:#}", e.instance_path())).collect();
    }
    let links = &v["_links"];
    let cause = ["subscription", "pmJob", "threshold"].iter().find_map(|l| links[*l]["href"].as_str()).unwrap_or_default();
    let Some((_, file)) = NEWS.iter().find(|(api, _)| cause.split('/').any(|p| p == *api)) else {
        return vec![format!("a notification that does not say what it was sent for: {v:#}")];
    };
    // SOL003 and SOL005 tell of packages by one path; only SOL003 has this link.
    let file = if links["vnfPackageByVnfdId"].is_null() { file } else { &schema::VNFPKGM_NOTIFICATION_OF_SOL003 };
    // What only element managers are told.
    let file = if v["alarm"]["vnfcInstanceIds"].is_null() { file } else { &schema::VNFFM_NOTIFICATION_OF_SOL002 };
    let kind = v["notificationType"].as_str().unwrap_or_default();
    let v = &in_second_form(&v, cause);
    // These types are spelt with another capital than the values that name them.
    let name = &kind.replace("dOnboarding", "dOnBoarding");
    match typed(file, name, "") {
        Due::Json(_, validator) => validator.iter_errors(v).map(|e| format!("{kind}{}: {e}\n{v:#}", e.instance_path())).collect(),
        Due::Nothing | Due::File | Due::Undeclared | Due::Older(_) => Vec::new(),
    }
}

/// SOL003 11.5.2.4, of which ETSI's file has no type.
fn quota_notification() -> Arc<Validator> {
    let text = json!({"type": "string", "minLength": 1});
    validator("VrQuotaAvailNotification", || {
        json!({"type": "object", "required": ["id", "notificationType", "subscriptionId", "timeStamp", "resourceGroupId", "_links"],
            "properties": {"id": text, "notificationType": text, "subscriptionId": text, "timeStamp": {"type": "string", "format": "date-time"},
                "resourceGroupId": text, "resourceProviderId": text,
                "_links": {"type": "object", "required": ["subscription"], "properties": {"subscription": {"type": "object", "required": ["href"]}},
                    "additionalProperties": false}},
            "additionalProperties": false})
    })
}

/// A first major's notification, but for what the second has otherwise: performance is told to subscriptions.
fn in_second_form(v: &Value, cause: &str) -> Value {
    let mut v = v.clone();
    if cause.contains("/v1/subscriptions/")
        && ["nsd", "vnfpkgm", "nslcm", "nspm", "vnfpm"].iter().any(|api| cause.contains(&format!("/{api}/")))
    {
        as_second(&mut v);
    }
    // It came later, and SOL003's second major wants it.
    if cause.contains("/vnfpkgm/v1/") && v["notificationType"] == "VnfPackageOnboardingNotification" {
        assert!(v["vnfmInfo"].is_null(), "{v:#}");
        v["vnfmInfo"] = json!([]);
    }
    if cause.contains("pm/v1/") {
        let id = v.as_object_mut().and_then(|m| m.remove("subscriptionId"));
        let link = v["_links"].as_object_mut().and_then(|l| l.remove("subscription"));
        assert!(id.is_some() && link.is_some(), "{v:#}");
    }
    v
}

#[test]
fn a_head_that_lacks_what_sol013_wants_is_found() {
    for (path, status, count) in [
        ("/nslcm/v2/ns_instances", 201, 2),
        ("/nslcm/v2/ns_instances", 200, 1),
        ("/nslcm/v2/ns_instances", 403, 1),
        ("/bothy/v1/tokens", 201, 0),
    ] {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(unnamed(Face::Main, &Method::POST, path, status, &HeaderMap::new()).len(), count, "{path} {status}");
    }
}
