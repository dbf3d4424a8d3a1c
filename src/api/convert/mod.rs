//! Between the model and SOL's wire types: pure functions, one file per kind of resource.
//!
//! Owns what the files share: time stamps, parameters, problems, links. Never: a decision, the store.

mod affected;
pub mod alarm;
pub mod asked;
pub mod capacity;
pub mod catalogue;
pub mod connect;
mod coordination;
pub mod desired;
pub mod flavour;
pub mod grant;
pub mod indicator;
pub mod kept;
pub mod members;
pub mod notification;
pub mod ns;
mod ns_affected;
pub mod opocc;
pub mod package;
pub mod pm;
pub mod relaid;
pub mod request;
pub mod snapshot;
pub mod subscription;
pub mod update;
pub mod vnf;

use axum::http::StatusCode;
use data_encoding::HEXLOWER;
use serde_json::Value;
use smol_str::SmolStr;

use super::problem::status_of;
use crate::{
    model::{
        error::FaultRecord,
        param::{Param, Params},
        time::Stamp,
    },
    sol::{
        common::{Checksum, DateTime, KeyValuePairs, Link},
        problem::ProblemDetails,
    },
};

/// Where this API is, as the caller reached it: links are absolute (SOL013 5.1).
#[derive(Debug, Clone)]
pub struct Base(pub String);

impl Base {
    pub fn link(&self, path: impl AsRef<str>) -> Link {
        Link::to(format!("{}{}", self.0, path.as_ref()))
    }
    /// The link where `there` holds: links of tasks are shown while the task is allowed.
    pub fn link_if(&self, there: bool, path: impl AsRef<str>) -> Option<Link> {
        there.then(|| self.link(path))
    }
}

pub fn time(s: Stamp) -> DateTime {
    let ms = i64::try_from(s.0).unwrap_or(i64::MAX);
    DateTime(jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX))
}

pub fn sha256(digest: &[u8; 32]) -> Checksum {
    Checksum { algorithm: "SHA-256".into(), hash: HEXLOWER.encode(digest) }
}

/// A stored fault as the problem it would have been answered with.
pub fn problem(f: &FaultRecord) -> ProblemDetails {
    let status = status_of(f.kind);
    let mut more = KeyValuePairs::new();
    if !f.reasons.is_empty() {
        more.insert("reasons".into(), f.reasons.iter().cloned().map(Value::String).collect());
    }
    let detail = crate::model::error::Fault::from(f.clone()).detail();
    ProblemDetails {
        kind: Some("about:blank".into()),
        title: status.canonical_reason().map(Into::into),
        status: status.as_u16(),
        detail,
        instance: None,
        more,
    }
}

/// What ended an operation that stored no fault.
pub fn unexplained() -> ProblemDetails {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    ProblemDetails {
        kind: Some("about:blank".into()),
        title: status.canonical_reason().map(Into::into),
        status: status.as_u16(),
        detail: "the operation stopped without a stored reason; its timeline and the log have more".into(),
        ..ProblemDetails::default()
    }
}

pub fn param(v: &Value) -> Param {
    match v {
        Value::Null => Param::Null,
        Value::Bool(b) => Param::Bool(*b),
        Value::Number(n) => Param::Number(n.to_string().into()),
        Value::String(s) => Param::Text(s.clone()),
        Value::Array(all) => Param::List(all.iter().map(param).collect()),
        Value::Object(all) => Param::Map(params(all)),
    }
}

pub fn params(all: &KeyValuePairs) -> Params {
    all.iter().map(|(k, v)| (SmolStr::new(k), param(v))).collect()
}

pub fn value(p: &Param) -> Value {
    match p {
        Param::Null => Value::Null,
        Param::Bool(b) => Value::Bool(*b),
        // A number that JSON cannot hold any more is shown as the text it is.
        Param::Number(n) => serde_json::from_str(n).unwrap_or_else(|_| Value::String(n.to_string())),
        Param::Text(s) => Value::String(s.clone()),
        Param::List(all) => all.iter().map(value).collect(),
        Param::Map(all) => Value::Object(pairs(all)),
    }
}

pub fn pairs(all: &Params) -> KeyValuePairs {
    all.iter().map(|(k, v)| (k.to_string(), value(v))).collect()
}

/// User data of packages: each value is kept as JSON text.
pub fn user_data(all: &KeyValuePairs) -> Vec<(SmolStr, String)> {
    all.iter().map(|(k, v)| (SmolStr::new(k), v.to_string())).collect()
}

pub fn user_pairs(all: &[(SmolStr, String)]) -> KeyValuePairs {
    let read = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
    all.iter().map(|(k, v)| (k.to_string(), read(v))).collect()
}

/// User data with a patch laid on it, if there is one.
pub fn patched(had: &[(SmolStr, String)], patch: Option<&KeyValuePairs>) -> Option<Vec<(SmolStr, String)>> {
    let mut now = user_pairs(had);
    merge(&mut now, patch?);
    Some(user_data(&now))
}

/// Lays a JSON merge patch (RFC 7396) on an object.
pub fn merge(onto: &mut KeyValuePairs, patch: &KeyValuePairs) {
    for (name, change) in patch {
        match change {
            Value::Null => {
                onto.shift_remove(name);
            }
            Value::Object(inner) => {
                let slot = onto.entry(name.clone()).or_insert_with(|| Value::Object(KeyValuePairs::new()));
                if !slot.is_object() {
                    *slot = Value::Object(KeyValuePairs::new());
                }
                if let Value::Object(there) = slot {
                    merge(there, inner);
                }
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                onto.insert(name.clone(), change.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(v: Value) -> KeyValuePairs {
        match v {
            Value::Object(o) => o,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn parameters_come_back_as_they_were_given() {
        let given = object(json!({
            "n": 1, "big": 18446744073709551615u64, "f": 1.5, "s": "x", "b": true, "z": null, "l": [1, "a", {"k": []}], "m": {"a": {"b": 1}}
        }));
        assert_eq!(pairs(&params(&given)), given);
        assert_eq!(user_pairs(&user_data(&given)), given);
    }

    #[test]
    fn a_merge_patch_works_as_rfc_7396_says() {
        // Cases of RFC 7396 appendix A whose target is an object.
        for (onto, patch, want) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            let mut got = object(onto);
            merge(&mut got, &object(patch.clone()));
            assert_eq!(Value::Object(got), want, "{patch}");
        }
    }

    #[test]
    fn stamps_are_utc() {
        assert_eq!(time(Stamp(1_777_636_800_123)).to_string(), "2026-05-01T12:00:00.123Z");
    }
}
