//! What is declared of each reply: ETSI's files for ETSI's paths, `config/openapi.yaml` for `/bothy/v1`, and a problem in full for
//! each refusal. Pure; included by `#[path]` from the tests of the real things too.
//!
//! What Bothy does otherwise than declared stands in [`OTHERWISE`], one by one, with the reason.
#![allow(dead_code, reason = "included in more than one test build, and each uses a part")]

use Face::{Element, Main, Vnfm};
use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bothy::api::{admin, older};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::schema::{
    self, GRANT, NFVICI, NSD, NSFM, NSLCM, NSPM, SOL002, SOL003, SOL005, VNFFM, VNFFM_OF_SOL002, VNFIND, VNFIND_OF_SOL002, VNFLCM,
    VNFLCM_OF_SOL002, VNFPKGM, VNFPKGM_OF_SOL003, VNFPM, VNFPM_OF_SOL002, VRQAN,
};

/// Whose words are used where a reply comes from: SOL002 has paths of SOL003.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Face {
    /// SOL005 and SOL003.
    #[default]
    Main,
    Element,
    /// SOL003's NFVO alone, as foreign VNFMs meet it.
    Vnfm,
}

impl Face {
    pub fn types(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Face::Main => TYPES,
            Face::Element => ELEMENT_TYPES,
            Face::Vnfm => VNFM_TYPES,
        }
    }
}

/// Where the types of an API stand, by the first part of its paths; and the file of the general types.
const TYPES: &[(&str, &str, &str)] = &[
    ("nsd", NSD, SOL005),
    ("vnfpkgm", VNFPKGM, SOL005),
    ("nslcm", NSLCM, SOL005),
    ("nsfm", NSFM, SOL005),
    ("nspm", NSPM, SOL005),
    ("nfvici", NFVICI, SOL005),
    ("vnflcm", VNFLCM, SOL003),
    ("vnffm", VNFFM, SOL003),
    ("vnfpm", VNFPM, SOL003),
    ("vnfind", VNFIND, SOL003),
    ("grant", GRANT, SOL003),
    ("vrqan", VRQAN, SOL003),
];

/// The same of SOL002.
const ELEMENT_TYPES: &[(&str, &str, &str)] = &[
    ("vnflcm", VNFLCM_OF_SOL002, SOL002),
    ("vnffm", VNFFM_OF_SOL002, SOL002),
    ("vnfpm", VNFPM_OF_SOL002, SOL002),
    ("vnfind", VNFIND_OF_SOL002, SOL002),
];

const VNFM_TYPES: &[(&str, &str, &str)] = &[("vnfpkgm", VNFPKGM_OF_SOL003, SOL003), ("grant", GRANT, SOL003), ("vrqan", VRQAN, SOL003)];

/// The APIs that Bothy produces: where they are met, folder of ETSI's files, and the file of the digest.
pub const PRODUCED: &[(Face, &str, &str)] = &[
    (Main, "NSDManagement", "sol005"),
    (Main, "VNFPackageManagement", "sol005"),
    (Main, "NSLifecycleManagement", "sol005"),
    (Main, "NSFaultManagement", "sol005"),
    (Main, "NSPerformanceManagement", "sol005"),
    (Main, "NFVICapacityInformation", "sol005"),
    (Main, "VNFLifecycleManagement", "sol003"),
    (Main, "VNFFaultManagement", "sol003"),
    (Main, "VNFPerformanceManagement", "sol003"),
    (Main, "VNFIndicator", "sol003"),
    (Main, "VNFLifecycleOperationGranting", "sol003"),
    (Main, "VirtualisedResourcesQuotaAvailableNotification", "sol003"),
    (Element, "VNFLifecycleManagement", "sol002"),
    (Element, "VNFFaultManagement", "sol002"),
    (Element, "VNFPerformanceManagement", "sol002"),
    (Element, "VNFIndicator", "sol002"),
    (Vnfm, "VNFPackageManagement", "sol003"),
];

/// ETSI's slips in paths.
pub const SLIPS: &[(&str, &str)] = &[
    ("//", "/"),
    ("/nslcm/v2/nslcm/v1/", "/nslcm/v2/"),
    ("/api-versions", "/api_versions"),
    ("/indicators/subscriptions/", "/subscriptions/"),
];
/// Resources that are files.
pub const FILES: &[&str] = &["{artifactPath}", "{*artifactPath}", "_content", "/nsd", "/pnfd", "/vnfd", "/manifest", "/artifacts"];

pub fn matches(template: &str, path: &str) -> bool {
    let (mut t, mut p) = (template.split('/'), path.split('/'));
    loop {
        match (t.next(), p.next()) {
            (None, None) => return true,
            // A path of an artifact has slashes of its own.
            (Some("{artifactPath}" | "{*artifactPath}"), Some(_)) => return true,
            (Some(a), Some(b)) if a == b || a.starts_with('{') && !b.is_empty() => {}
            _ => return false,
        }
    }
}

/// Method, path and code that are answered with another body than ETSI's files say, what that is, and why.
const OTHERWISE: &[(Face, &str, &str, u16, &str, &str)] = &[
    (Main, "GET", "/vnflcm/v2/vnf_lcm_op_occs", 200, "VnfLcmOpOcc[]", "one in the file; SOL003 5.4.12.3.2 and the path have a list"),
    (Main, "GET", "/vnflcm/v2/subscriptions", 200, "LccnSubscription[]", "one in the file; SOL003 5.4.18.3.2 has a list"),
    (Main, "GET", "/vnffm/v1/alarms", 200, "Alarm[]", "one in the file; SOL003 7.4.2.3.2 has a list"),
    (Main, "GET", "/vnffm/v1/subscriptions", 200, "FmSubscription[]", "one in the file; SOL003 7.4.4.3.2 has a list"),
    (Main, "GET", "/vnflcm/v2/vnf_snapshots/{vnfSnapshotInfoId}", 200, "VnfSnapshotInfo", "a list in the file; the path names one"),
    (Main, "POST", "/vnfind/v1/subscriptions", 201, "VnfIndicatorSubscription", "a list in the file; one is made"),
    (Element, "POST", "/vnfind/v1/subscriptions", 201, "VnfIndicatorSubscription", "a list in the file; one is made"),
    (Vnfm, "POST", "/vnfpkgm/v2/subscriptions", 201, "PkgmSubscription", "a list in the file; one is made"),
    (Main, "PATCH", "/vnflcm/v2/vnf_instances/{vnfInstanceId}", 202, "", "a VNF in the file; SOL003 5.4.3.3.4 has an empty body"),
    (Element, "GET", "/vnflcm/v2/vnf_lcm_op_occs", 200, "VnfLcmOpOcc[]", "one in the file; SOL002 5.4.12.3.2 and the path have a list"),
    (Element, "GET", "/vnflcm/v2/subscriptions", 200, "LccnSubscription[]", "one in the file; SOL002 5.4.18.3.2 has a list"),
    (Element, "GET", "/vnffm/v1/alarms", 200, "Alarm[]", "one in the file; SOL002 7.4.2.3.2 has a list"),
    (Element, "GET", "/vnffm/v1/subscriptions", 200, "FmSubscription[]", "one in the file; SOL002 7.4.5.3.2 has a list"),
    (
        Element,
        "DELETE",
        "/vnflcm/v2/vnf_instances/{vnfInstanceId}",
        204,
        "",
        "a notification in the file; SOL002 5.4.3.3.5 has an empty body",
    ),
];

/// A list whose entries lack members that their type requires: path, type, members, and why.
const LEFT_OUT: &[(&str, &str, &[&str], &str)] = &[
    (
        "/vnflcm/v2/vnf_snapshots",
        "VnfSnapshot",
        &["vnfInstance", "vnfcSnapshots"],
        "SOL003 5.4.23.3.2 has them excluded unless they are asked for",
    ),
    (
        "/nslcm/v2/vnf_snapshots",
        "VnfSnapshot",
        &["vnfInstance", "vnfcSnapshots"],
        "SOL005 6.4.19.3.2 has them excluded unless they are asked for",
    ),
];

pub fn is_json(media: &str) -> bool {
    matches!(media.split(';').next(), Some(JSON | PROBLEM))
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// What a reply should be.
pub enum Due {
    Nothing,
    /// Of the kind that the request asked for.
    File,
    Json(&'static str, Arc<Validator>),
    /// What the second major declares, in the form of the first.
    Older(Arc<Validator>),
    /// Nobody has declared it.
    Undeclared,
}

/// Everything at which this reply differs from what is declared.
pub fn unlike(method: &str, path: &str, status: u16, media: &str, body: &[u8]) -> Vec<String> {
    unlike_at(Main, method, path, status, media, body)
}

pub fn unlike_at(face: Face, method: &str, path: &str, status: u16, media: &str, body: &[u8]) -> Vec<String> {
    let at = |text: String| format!("{method} {path} {status}: {text}");
    let path = path.split('?').next().unwrap_or_default();
    // RFC 9110 15.4.5: what the client has is as it was.
    if status == 304 && method == "GET" && body.is_empty() {
        return Vec::new();
    }
    let due = if path.starts_with("/bothy/") || path.starts_with("/oauth") {
        own(path, method, status)
    } else {
        etsi(face, path, method, status)
    };
    match due {
        Due::Undeclared => vec![at("is declared nowhere".to_owned())],
        Due::File => Vec::new(),
        Due::Nothing if body.is_empty() && media.is_empty() => Vec::new(),
        Due::Nothing => vec![at(format!("should have no body: {media} {}", String::from_utf8_lossy(body)))],
        Due::Older(_) if media != JSON => vec![at(format!("should be {JSON}: '{media}' {}", String::from_utf8_lossy(body)))],
        Due::Older(validator) => match serde_json::from_slice(body) {
            Err(e) => vec![at(format!("{e}: {}", String::from_utf8_lossy(body)))],
            Ok(mut v) => {
                as_second(&mut v);
                validator.iter_errors(&v).map(|e| at(format!("{}: {e}", e.instance_path()))).collect()
            }
        },
        Due::Json(wanted, _) if media != wanted => vec![at(format!("should be {wanted}: '{media}' {}", String::from_utf8_lossy(body)))],
        Due::Json(_, validator) => match serde_json::from_slice(body) {
            Err(e) => vec![at(format!("{e}: {}", String::from_utf8_lossy(body)))],
            Ok(v) => {
                let faults = validator.iter_errors(&v).map(|e| format!("{}: {e}", e.instance_path()));
                faults.filter(|f| !f.ends_with(WITHOUT_CPS)).map(at).collect()
            }
        },
    }
}

/// SOL003 5.5.3.15 has one at least, and SOL001 lets a VNFD have none.
const WITHOUT_CPS: &str = "/instantiatedVnfInfo/extCpInfo: [] has less than 1 item";

type Validators = Mutex<BTreeMap<String, Arc<Validator>>>;

/// One validator per schema: making one takes longer than most tests.
pub fn validator(name: &str, schema: impl FnOnce() -> Value) -> Arc<Validator> {
    static MADE: OnceLock<Validators> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    made.entry(name.to_owned())
        .or_insert_with(|| {
            let built = jsonschema::options().should_validate_formats(true).build(&schema());
            Arc::new(built.unwrap_or_else(|e| panic!("{name} is no valid schema: {e}")))
        })
        .clone()
}

/// Of what fits, the most literal: `{id}` also fits a name.
fn template<'a>(all: impl Iterator<Item = &'a String>, path: &str) -> Option<&'a String> {
    all.filter(|t| matches(t, path)).min_by_key(|t| t.matches('{').count())
}

/// `config/openapi.yaml`.
fn own(path: &str, method: &str, status: u16) -> Due {
    static DOC: OnceLock<Value> = OnceLock::new();
    let doc = DOC.get_or_init(described);
    let Some(at) = template(doc["paths"].as_object().expect("paths").keys(), path) else { return refusal(status) };
    let responses = &doc["paths"][at][method.to_lowercase()]["responses"];
    let exact = &responses[status.to_string()];
    let mut due = if exact.is_null() && status >= 400 { &responses["default"] } else { exact };
    if let Some(r) = due["$ref"].as_str() {
        due = doc.pointer(r.trim_start_matches('#')).expect("what a $ref names");
    }
    if due.is_null() {
        return refusal(status);
    }
    let Some(content) = due["content"].as_object() else { return Due::Nothing };
    let Some((media, of)) = content.iter().find(|(m, _)| is_json(m)) else { return Due::File };
    let schema = || {
        let mut whole = of["schema"].clone();
        whole["components"] = doc["components"].clone();
        whole
    };
    Due::Json(media, validator(&format!("{method} {at} {status}"), schema))
}

/// A refusal is a problem wherever it comes from, and needs no declaration.
fn refusal(status: u16) -> Due {
    if status < 400 {
        return Due::Undeclared;
    }
    let of = validator("ProblemDetails", || {
        let mut problem = schema::whole(SOL005, "ProblemDetails").unwrap_or_else(|| json!({}));
        // SOL013 6.3 wants these two of each; the rest is this API's custom.
        problem["required"] = json!(["status", "detail", "title", "type", "instance"]);
        problem
    });
    Due::Json(PROBLEM, of)
}

/// ETSI's files: path, method and code to the name of the body's type, empty for none.
type Declared = BTreeMap<String, BTreeMap<(String, u16), String>>;

fn read(face: Face) -> Declared {
    let mut all = Declared::new();
    let Some(digest) = schema::root().map(|r| r.with_file_name("digest")) else { return all };
    // Met at both.
    let of_nfvo = ["VNFLifecycleOperationGranting", "VirtualisedResourcesQuotaAvailableNotification"];
    for (_, api, file) in PRODUCED.iter().filter(|p| p.0 == face || face == Vnfm && of_nfvo.contains(&p.1)) {
        let text = fs::read_to_string(digest.join(format!("{file}-v3.7.1.json"))).expect("the digest");
        let v: Value = serde_json::from_str(&text).expect("JSON");
        for r in v["resources"][api].as_array().expect("an API of the digest") {
            let path = SLIPS.iter().fold(r["path"].as_str().expect("path").to_owned(), |p, (slip, meant)| p.replace(slip, meant));
            let of = all.entry(path).or_default();
            for (code, what) in r["responses"].as_object().expect("codes") {
                let body = what["body"].as_str().map_or("", |b| b.strip_prefix("application/json:").unwrap_or("file"));
                let method = r["method"].as_str().expect("method").to_owned();
                of.insert((method, code.parse().expect("a code")), body.to_owned());
            }
        }
    }
    for (_, method, path, code, body, _) in OTHERWISE.iter().filter(|o| o.0 == face) {
        let of = all.get_mut(*path).unwrap_or_else(|| panic!("{path} is not in ETSI's files"));
        let before = of.insert(((*method).to_owned(), *code), (*body).to_owned());
        assert!(before.is_some_and(|b| b != *body), "{method} {path} {code} is as declared: take it out of OTHERWISE");
    }
    all
}

fn etsi(face: Face, path: &str, method: &str, status: u16) -> Due {
    static READ: [OnceLock<Declared>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
    if status >= 400 {
        return refusal(status);
    }
    // Without ETSI's files there is nothing to hold these to.
    if schema::root().is_none() {
        return Due::File;
    }
    let api = path.split('/').nth(1).unwrap_or_default();
    if let Some(second) = older::second(path).filter(|_| !path.ends_with("/api_versions")) {
        return first_major(face, path, &second, method, status);
    }
    let Some((_, file, general)) = face.types().iter().find(|(a, ..)| *a == api) else { return Due::Undeclared };
    // The versions are told below each API's root as well as below its majors.
    if path.ends_with("/api_versions") && method == "GET" && status == 200 {
        return typed(general, "ApiVersionInformation", path);
    }
    let declared = READ[face as usize].get_or_init(|| read(face));
    let Some(at) = template(declared.keys(), path) else { return Due::Undeclared };
    let Some(body) = declared[at].get(&(method.to_owned(), status)) else { return Due::Undeclared };
    match body.as_str() {
        "" if method == "GET" && FILES.iter().any(|f| at.ends_with(f)) => Due::File,
        "file" => Due::File,
        "" => Due::Nothing,
        name => typed(file, name, at),
    }
}

/// The older files of ETSI's, which have a part of the first majors, each type written out where it is used.
const OLDER: [(&str, &str); 2] =
    [("vnflcm", "SOL003-VNFLifecycleManagement-API.json"), ("vnfpkgm", "SOL003-VNFPackageManagement-API.json")];

/// By ETSI's older file where there is one, else by what the second major has.
fn first_major(face: Face, path: &str, second: &str, method: &str, status: u16) -> Due {
    static READ: [OnceLock<Value>; 2] = [OnceLock::new(), OnceLock::new()];
    let api = path.split('/').nth(1).unwrap_or_default();
    let Some(nth) = OLDER.iter().position(|(a, _)| *a == api) else {
        // Of the first majors alone.
        if second.contains("pm/v2/subscriptions") {
            return pm_subscription(second, method, status);
        }
        return match etsi(face, second, method, status) {
            Due::Json(_, validator) => Due::Older(validator),
            due => due,
        };
    };
    let doc = READ[nth].get_or_init(|| {
        let of = format!("openapi-old/sol003-v2.4.1-v2.5.1/{}", OLDER[nth].1);
        let at = schema::root().expect("ETSI's files").with_file_name(of);
        serde_json::from_str(&fs::read_to_string(at).expect("the older file")).expect("JSON")
    });
    let below = &path[api.len() + "//v1".len()..];
    if method == "GET" && status < 300 && (FILES.iter().any(|f| below.ends_with(f)) || below.contains("/artifacts/")) {
        return Due::File;
    }
    let declared = doc["paths"].as_object().expect("paths");
    let of = template(declared.keys(), below).map(|at| &declared[at][method.to_lowercase()]["responses"][status.to_string()]["schema"]);
    // One subscription in a file where SOL003 5.4.18.3.2 has a list, and a list where one is made.
    let is_slip = below == "/subscriptions" && (method == "GET" || api == "vnfpkgm");
    match (of, method, status) {
        (_, "POST" | "PATCH" | "PUT", 202) | (_, _, 204 | 303) => Due::Nothing,
        (Some(s), ..) if s.is_object() && !is_slip => {
            let name = format!("{api} {method} {} of the first major {status}", below.split('/').nth(1).unwrap_or_default());
            let name = if below.matches('/').count() > 1 { format!("one {name}") } else { name };
            Due::Json(JSON, validator(&name, || s.clone()))
        }
        // What the file does not have.
        _ => Due::Json(JSON, validator("anything", || json!({}))),
    }
}

/// No file of ETSI's that is here has them: SOL003 V2.7.1 6.5.2.3.
fn pm_subscription(path: &str, method: &str, status: u16) -> Due {
    let link = json!({"type": "object", "required": ["href"]});
    let one = json!({"type": "object", "required": ["id", "callbackUri", "_links"], "properties": {"id": {"type": "string"},
        "callbackUri": {"type": "string"}, "filter": {"type": "object"}, "_links": {"type": "object", "required": ["self"], "properties": {"self": link}}},
        "additionalProperties": false});
    match (method, status) {
        (_, 204 | 303) => Due::Nothing,
        ("GET", 200) if path.ends_with("/subscriptions") => {
            Due::Json(JSON, validator("PmSubscription[]", || json!({"type": "array", "items": one})))
        }
        ("GET", 200) | ("POST", 201) => Due::Json(JSON, validator("PmSubscription", || one)),
        _ => Due::Undeclared,
    }
}

/// What differs between the majors by its form alone, in that of the second.
pub fn as_second(v: &mut Value) {
    match v {
        Value::Array(all) => all.iter_mut().for_each(as_second),
        Value::Object(members) => {
            if members.contains_key("criteria") {
                let before = members.insert("callbackUri".to_owned(), json!(""));
                assert!(before.is_none(), "a job of the first major has no callback");
            }
            assert!(!members.contains_key("stateEnteredTime") && !members.contains_key("verbosity"), "{members:#?}");
            for (name, v) in members {
                let key = [("cpConfig", "cpInstanceId"), ("vimConnectionInfo", "id")].iter().find(|(n, _)| n == name).map(|(_, key)| *key);
                if let (Some(key), Value::Array(list)) = (key, &mut *v) {
                    let named = list.iter_mut().map(|e| {
                        let of = e.as_object_mut().and_then(|e| e.remove(key)).and_then(|k| k.as_str().map(str::to_owned));
                        (of.unwrap_or_else(|| panic!("an entry of {name} has no {key}")), e.take())
                    });
                    *v = named.collect();
                }
                as_second(v);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// ETSI's type, or a list of it.
pub fn typed(file: &str, name: &str, at: &str) -> Due {
    let lacks = LEFT_OUT.iter().find(|l| l.0 == at);
    let schema = || match name.strip_suffix("[]") {
        None => schema::whole(file, name).expect("ETSI's files"),
        Some(one) => {
            let mut of = schema::whole(file, one).expect("ETSI's files");
            let item = of["$ref"].take();
            of.as_object_mut().expect("a schema").remove("$ref");
            of["type"] = json!("array");
            of["items"] = json!({ "$ref": item });
            let types = of["$defs"].as_object_mut().expect("types");
            if let Some((_, name, members, _)) = lacks {
                let (_, of) = types.iter_mut().find(|(key, _)| key.rsplit(':').next() == Some(*name)).expect("a type");
                of["required"].as_array_mut().expect("required").retain(|m| members.iter().all(|l| m != l));
            }
            of
        }
    };
    Due::Json(JSON, validator(&format!("{file} {name} {}", lacks.map_or("", |l| l.0)), schema))
}

/// `config/openapi.yaml`.
fn described() -> Value {
    serde_saphyr::from_str(admin::OPENAPI).expect("config/openapi.yaml is YAML")
}

/// Everything at which a reply of a whole daemon differs, whichever of its faces it was met at, and over whatever centre.
pub fn unlike_anywhere(method: &str, path: &str, status: u16, head: &str, body: &[u8]) -> Vec<String> {
    let header = |name: &str| {
        let lines = head.lines().filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).next()
    };
    let (path, relayed) = match path.strip_prefix("/boxes/").and_then(|rest| rest.split_once('/')) {
        Some((_, behind)) => (format!("/{behind}"), true),
        None => (path.to_owned(), false),
    };
    let media = header("content-type").unwrap_or_default();
    // The end of a switch of protocols is another one's to tell.
    if status == 101 || status < 400 && !is_json(&media) && !media.is_empty() {
        return Vec::new();
    }
    let mut least: Option<Vec<String>> = None;
    for face in [Main, Element, Vnfm] {
        let faults = unlike_at(face, method, &path, status, &media, body);
        if least.as_ref().is_none_or(|l| faults.len() < l.len()) {
            least = Some(faults);
        }
    }
    let mut faults = least.unwrap_or_default();
    let api = path.split('/').nth(1).unwrap_or_default();
    // What a hub refuses by itself is of no API.
    if TYPES.iter().any(|(a, ..)| *a == api) && header("version").is_none() && !(relayed && status >= 400) {
        faults.push(format!("{method} {path} {status}: has no header version"));
    }
    faults
}

#[test]
fn a_reply_that_is_not_as_declared_is_found() {
    if schema::root().is_none() {
        return;
    }
    let problem = br#"{"type": "about:blank", "title": "t", "status": 404, "detail": "d", "instance": "/x"}"#;
    for (request, status, media, body, says) in [
        ("GET /nslcm/v2/ns_instances", 200, "application/json", &b"[]"[..], ""),
        ("GET /nslcm/v2/ns_instances", 200, "application/json", b"{}", "not of type \"array\""),
        ("GET /nslcm/v2/ns_instances/x", 200, "application/json", b"{}", "required property"),
        ("GET /nslcm/v2/ns_instances/x", 200, "text/plain", b"{}", "should be application/json"),
        ("GET /nslcm/v2/ns_instances/x", 202, "", b"", "declared nowhere"),
        ("GET /nslcm/v2/nothing", 200, "application/json", b"{}", "declared nowhere"),
        ("DELETE /nslcm/v2/ns_instances/x", 204, "", b"", ""),
        ("DELETE /nslcm/v2/ns_instances/x", 204, "text/plain", b"gone", "no body"),
        ("GET /nslcm/v2/ns_instances/x", 404, "application/problem+json", problem, ""),
        ("GET /nslcm/v2/ns_instances/x", 404, "application/json", problem, "should be application/problem+json"),
        ("GET /nowhere", 404, "application/problem+json", b"{}", "required property"),
        ("GET /bothy/v1/version", 200, "application/json", b"{}", "required property"),
        ("GET /bothy/v1/version", 204, "", b"", "declared nowhere"),
        ("GET /bothy/v1/nothing", 200, "application/json", b"{}", "declared nowhere"),
        ("GET /bothy/v1/version", 403, "application/problem+json", b"{}", "required property"),
        ("GET /vnfpkgm/v2/vnf_packages/x/vnfd", 200, "application/zip", b"PK", ""),
    ] {
        let (method, path) = request.split_once(' ').expect("a request");
        let faults = unlike(method, path, status, media, body).join("\n");
        assert!(if says.is_empty() { faults.is_empty() } else { faults.contains(says) }, "{request} {status}: {faults}");
    }
}
