//! The committed description of /bothy/v1 against what is served and answered.

use std::collections::{BTreeMap, BTreeSet};

use bothy::{
    api::{admin, oauth, routes},
    config::ReferencePoint,
};
use serde_json::Value;

use crate::rig::rig;

pub fn described() -> Value {
    serde_saphyr::from_str(admin::OPENAPI).expect("config/openapi.yaml is YAML")
}

/// Puts `$ref`s into components in place, for a validator that sees one schema alone.
pub fn schema_of(doc: &Value, path: &str, method: &str, status: &str) -> Value {
    let s = &doc["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"];
    assert!(!s.is_null(), "{method} {path} {status} has no schema");
    let mut root = s.clone();
    root["components"] = doc["components"].clone();
    root
}

#[test]
fn every_route_outside_etsis_apis_is_described_and_the_reverse() {
    let doc = described();
    assert_eq!(doc["openapi"], "3.1.0");
    let mut want: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, item) in doc["paths"].as_object().expect("paths") {
        let methods = item.as_object().expect("item").keys().filter(|k| *k != "parameters").map(|m| m.to_uppercase());
        want.insert(path.clone(), methods.collect());
    }
    let served = routes(ReferencePoint::Admin).and(oauth::routes());
    for (path, methods) in served.table() {
        let methods: BTreeSet<String> = methods.iter().map(ToString::to_string).collect();
        assert_eq!(want.remove(*path), Some(methods), "{path} in config/openapi.yaml");
    }
    assert_eq!(want, BTreeMap::new(), "described, and not served");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_fit_their_description() {
    let doc = described();
    let rig = rig(16, "").await;
    for (path, method, body) in [
        ("/bothy/v1/health", "get", ""),
        ("/bothy/v1/version", "get", ""),
        ("/bothy/v1/config", "get", ""),
        ("/bothy/v1/config/check", "post", "[lcm]\nstart_at_once = 1"),
        ("/bothy/v1/config/apply", "post", ""),
    ] {
        let headers: &[&str] = if body.is_empty() { &[] } else { &["content-type: application/toml"] };
        let r = rig.ask(&format!("{} {path}", method.to_uppercase()), headers, body).await;
        assert_eq!(r.status, 200, "{path}: {}", r.body);
        let schema = schema_of(&doc, path, method, "200");
        let validator = jsonschema::validator_for(&schema).expect("schema");
        let faults: Vec<String> = validator.iter_errors(&r.json()).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{path}: {faults:?}");
    }
    let refused = rig.get("/nowhere").await.json();
    let mut problem = doc["components"]["schemas"]["ProblemDetails"].clone();
    problem["components"] = doc["components"].clone();
    assert!(jsonschema::is_valid(&problem, &refused), "{refused}");
}
