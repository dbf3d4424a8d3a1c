//! How a command fails: what is said, and with which exit code.

use std::{fmt::Display, process::ExitCode};

use serde_json::Value;

use super::names::Names;
use crate::model::error::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Refused = 3,
    Unreachable = 4,
    OperationFailed = 5,
}

pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed here: a file cannot be read, an answer cannot be understood
  2  wrong usage
  3  the daemon refused the request, and said why
  4  the daemon cannot be reached
  5  the operation was accepted, and failed";

impl From<Exit> for ExitCode {
    fn from(e: Exit) -> Self {
        ExitCode::from(e as u8)
    }
}

#[derive(Debug)]
pub enum Failure {
    Here(String),
    /// Several things wrong here, one reason each.
    Many {
        detail: String,
        reasons: Vec<String>,
    },
    Usage(String),
    /// A ProblemDetails, or what came in its place.
    Refused {
        status: u16,
        detail: String,
        reasons: Vec<String>,
    },
    Unreachable(String),
    OperationFailed {
        detail: String,
        reasons: Vec<String>,
    },
}

impl Failure {
    pub fn here(what: impl Display, e: impl Display) -> Self {
        Failure::Here(format!("{what}: {e}"))
    }

    /// From the body of a refusal.
    pub fn refused(status: u16, body: &[u8]) -> Self {
        let v: Value = serde_json::from_slice(body).unwrap_or_default();
        let (detail, reasons) = told(&v);
        Failure::Refused { status, detail: detail.unwrap_or_else(|| format!("the daemon answered {status} without saying why")), reasons }
    }

    /// From the `error` of an op-occ.
    pub fn operation(what: &str, error: &Value) -> Self {
        let (detail, reasons) = told(error);
        Failure::OperationFailed { detail: detail.map_or_else(|| what.to_owned(), |d| format!("{what}: {d}")), reasons }
    }

    /// The same, about this.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        match &mut self {
            Failure::Here(t) | Failure::Usage(t) | Failure::Unreachable(t) => t.insert_str(0, &format!("{what}: ")),
            Failure::Many { detail, .. } | Failure::Refused { detail, .. } | Failure::OperationFailed { detail, .. } => {
                detail.insert_str(0, &format!("{what}: "));
            }
        }
        self
    }

    /// The same with ids replaced by names.
    #[must_use]
    pub fn dressed(mut self, names: &Names) -> Self {
        let dress = |t: &mut String| *t = names.dress(t).into_owned();
        match &mut self {
            Failure::Here(t) | Failure::Usage(t) | Failure::Unreachable(t) => dress(t),
            Failure::Many { detail, reasons } | Failure::Refused { detail, reasons, .. } | Failure::OperationFailed { detail, reasons } => {
                dress(detail);
                reasons.iter_mut().for_each(dress);
            }
        }
        self
    }

    pub fn exit(&self) -> Exit {
        match self {
            Failure::Here(_) | Failure::Many { .. } => Exit::Failed,
            Failure::Usage(_) => Exit::Usage,
            Failure::Refused { .. } => Exit::Refused,
            Failure::Unreachable(_) => Exit::Unreachable,
            Failure::OperationFailed { .. } => Exit::OperationFailed,
        }
    }

    pub fn text(&self) -> String {
        let (detail, reasons): (&str, &[String]) = match self {
            Failure::Here(t) | Failure::Usage(t) | Failure::Unreachable(t) => (t, &[]),
            Failure::Refused { detail, reasons, .. } | Failure::OperationFailed { detail, reasons } | Failure::Many { detail, reasons } => {
                (detail, reasons)
            }
        };
        let mut all = format!("error: {}", visible(detail));
        for r in reasons {
            all += &format!("\n  - {}", visible(r));
        }
        all
    }

    pub fn tell(&self) {
        eprintln!("{}", self.text());
    }
}

/// Text from elsewhere must not drive the terminal.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Detail and reasons. The detail joins the reasons for clients that know no reasons: cut them off.
fn told(v: &Value) -> (Option<String>, Vec<String>) {
    let reasons: Vec<String> = v["reasons"].as_array().into_iter().flatten().filter_map(|r| r.as_str().map(str::to_owned)).collect();
    let detail = v["detail"].as_str().or_else(|| v["title"].as_str()).map(|d| {
        let joined = format!(": {}", reasons.join("; "));
        if reasons.is_empty() { d.to_owned() } else { d.strip_suffix(joined.as_str()).unwrap_or(d).to_owned() }
    });
    (detail, reasons)
}

impl From<Fault> for Failure {
    fn from(f: Fault) -> Self {
        if f.reasons().is_empty() {
            Failure::Here(f.detail())
        } else {
            Failure::Many { detail: f.text().to_owned(), reasons: f.reasons().to_vec() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_each_reason_once() {
        let body = br#"{"status":409,"detail":"no room: node 0: full; node 1: full","reasons":["node 0: full","node 1: full"]}"#;
        let f = Failure::refused(409, body);
        assert_eq!(f.text(), "error: no room\n  - node 0: full\n  - node 1: full");
        assert_eq!(f.exit(), Exit::Refused);
        assert_eq!(Failure::refused(502, b"<html>").text(), "error: the daemon answered 502 without saying why");
        assert_eq!(
            Failure::operation("INSTANTIATE failed", &serde_json::json!({"detail": "x\u{1b}[2J"})).text(),
            "error: INSTANTIATE failed: x\u{fffd}[2J"
        );
    }
}
