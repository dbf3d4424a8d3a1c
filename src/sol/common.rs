//! What every SOL API shares: identifiers, time stamps, key-value pairs, links, checksums, API versions, merge-patch members.
//!
//! Owns shapes that have no API of their own. Never knows a resource.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;

/// SOL's identifiers, in every scope (Identifier, IdentifierInVnfd, IdentifierInNs, ...), are strings to the wire.
pub type Identifier = String;

/// A JSON object whose members are the application's own; the order in which they came is kept.
pub type KeyValuePairs = serde_json::Map<String, Value>;

/// A request object as the `operationParams` of an op-occ show it.
pub fn to_object<T: Serialize>(body: &T) -> Result<KeyValuePairs, serde_json::Error> {
    match serde_json::to_value(body)? {
        Value::Object(members) => Ok(members),
        other => Err(serde::ser::Error::custom(format!("a request is an object, this is {other}"))),
    }
}

/// The request that the `operationParams` of an op-occ hold.
pub fn from_object<T: DeserializeOwned>(params: &KeyValuePairs) -> Result<T, serde_json::Error> {
    serde_json::from_value(Value::Object(params.clone()))
}

/// A point in time, RFC 3339 on the wire; what is sent is always UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DateTime(pub jiff::Timestamp);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<DateTime> for String {
    fn from(time: DateTime) -> String {
        time.to_string()
    }
}

impl TryFrom<String> for DateTime {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(DateTime).map_err(|_| format!("`{text}` is not an RFC 3339 time such as 2026-05-01T12:00:00Z"))
    }
}

/// A hyperlink of a resource's `_links`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Link {
    /// Absolute URI of the linked resource.
    pub href: String,
}

impl Link {
    pub fn to(href: impl Into<String>) -> Self {
        Link { href: href.into() }
    }
}

/// Digest of a package, image or artefact (SOL005 4.4.1.5).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Checksum {
    /// The algorithm as SOL004 names it: `SHA-256`, `SHA-512`.
    pub algorithm: String,
    /// Hexadecimal digits.
    pub hash: String,
}

/// How a package or archive is signed (SOL004 5.1, SOL007 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SecurityOption {
    /// The manifest holds a digest of each file and is signed itself.
    #[serde(rename = "OPTION_1")]
    SignedManifest,
    /// The archive is signed as a whole.
    #[serde(rename = "OPTION_2")]
    SignedArchive,
}

/// What `GET .../api_versions` answers (SOL013 9.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiVersionInformation {
    /// The URI up to, and without, the major version: `/nslcm`.
    pub uri_prefix: String,
    pub api_versions: Vec<ApiVersion>,
}

/// One version of an API that is served.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiVersion {
    /// `2.13.0`, as the `Version` header has it.
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_deprecated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retirement_date: Option<DateTime>,
}

/// How a coordination of an LCM operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LcmCoordResult {
    Continue,
    Abort,
    /// SOL005's file has the typo that the alias takes.
    #[serde(alias = "CACELLED")]
    Cancelled,
}

/// Who coordinates a VNF's operation: its element manager or the VNF itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CoordEndpointType {
    Mgmt,
    Vnf,
}

/// A member of a JSON merge patch (RFC 7396): absent leaves the value, null removes it. `Option` cannot tell these two apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Patch<T> {
    #[default]
    Keep,
    Remove,
    Set(T),
}

impl<T> Patch<T> {
    pub fn is_keep(&self) -> bool {
        matches!(self, Patch::Keep)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // A field that is kept is not written at all (`skip_serializing_if`); alone, null is the nearest there is.
            Patch::Keep | Patch::Remove => serializer.serialize_none(),
            Patch::Set(value) => serializer.serialize_some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            Some(value) => Patch::Set(value),
            None => Patch::Remove,
        })
    }
}
