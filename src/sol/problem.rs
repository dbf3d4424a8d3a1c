//! `ProblemDetails` (RFC 7807) with what SOL013 makes of it: the body of every error answer, and the `error` of an op-occ.
//!
//! Owns the shape. Never picks a status: `api` derives that from a fault's kind.

use serde::{Deserialize, Serialize};

use super::common::KeyValuePairs;

/// The media type of an error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem (SOL013 6.3): RFC 7807 leaves every member optional, SOL requires `status` and `detail`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProblemDetails {
    /// A URI that names the kind of problem; `about:blank` is meant when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The same for every occurrence of this kind of problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The HTTP status; in an op-occ, the one that the failed step would have answered with.
    pub status: u16,
    /// What went wrong this time, where, and what to do.
    pub detail: String,
    /// A URI of this occurrence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// RFC 7807 extension members, such as the list of reasons behind a refusal.
    #[serde(flatten)]
    pub more: KeyValuePairs,
}
