//! `Fault`: the one error of the crate.
//!
//! Owns the kinds of failure and what of a failure the caller may know. Never knows HTTP, the
//! clock or a log: `api` derives the status from `kind`, whoever handles a fault logs it once.

use std::{error::Error as StdError, fmt};

use serde::{Deserialize, Serialize};

/// What sort of failure this is. HTTP status and retry policy derive from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The request or the descriptor is wrong; repeating it will not help.
    Invalid,
    /// The thing named is not here.
    NotFound,
    /// The thing is in a state that does not allow this.
    Conflict,
    /// The box has not enough of something; `reasons` names each candidate and why.
    Capacity,
    /// The caller may not do this.
    Forbidden,
    /// Something outside did not answer or failed; trying again may help.
    Transient,
    /// Bothy itself is wrong.
    Bug,
    /// The thing is not any more what the caller has seen of it.
    Stale,
}

/// A failure: its kind, one sentence for the caller, more reasons if there are any, and a source
/// that only the log sees.
pub struct Fault {
    kind: Kind,
    text: String,
    reasons: Vec<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl Fault {
    pub fn new(kind: Kind, text: impl Into<String>) -> Self {
        Fault { kind, text: text.into(), reasons: Vec::new(), source: None }
    }
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, text)
    }
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, text)
    }
    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, text)
    }
    pub fn stale(text: impl Into<String>) -> Self {
        Self::new(Kind::Stale, text)
    }
    pub fn capacity(text: impl Into<String>) -> Self {
        Self::new(Kind::Capacity, text)
    }
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, text)
    }
    pub fn transient(text: impl Into<String>) -> Self {
        Self::new(Kind::Transient, text)
    }
    pub fn bug(text: impl Into<String>) -> Self {
        Self::new(Kind::Bug, text)
    }

    /// Adds what only the log may see.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// Adds reasons the caller may see, one sentence each.
    #[must_use]
    pub fn with_reasons(mut self, reasons: impl IntoIterator<Item = String>) -> Self {
        self.reasons.extend(reasons);
        self
    }
    /// Puts what was being done in front of the text: `"VDU web: no such image"`.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.text = format!("{what}: {}", self.text);
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }
    pub fn text(&self) -> &str {
        &self.text
    }
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }
    /// Worth trying again without a change by the caller.
    pub fn is_transient(&self) -> bool {
        self.kind == Kind::Transient
    }
    /// Text and reasons in one string, for a problem's `detail` and for tables.
    pub fn detail(&self) -> String {
        if self.reasons.is_empty() {
            return self.text.clone();
        }
        format!("{}: {}", self.text, self.reasons.join("; "))
    }
    /// The part that may be stored in a record and shown later.
    pub fn record(&self) -> FaultRecord {
        FaultRecord { kind: self.kind, text: self.text.clone(), reasons: self.reasons.clone() }
    }
}

/// A fault as stored with an operation: without its source, which is for the log only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    pub kind: Kind,
    pub text: String,
    pub reasons: Vec<String>,
}

impl From<FaultRecord> for Fault {
    fn from(r: FaultRecord) -> Self {
        Fault { kind: r.kind, text: r.text, reasons: r.reasons, source: None }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail())?;
        let mut next: Option<&dyn StdError> = self.source();
        while let Some(e) = next {
            write!(f, " <- {e}")?;
            next = e.source();
        }
        Ok(())
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|b| &**b as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_sees_text_and_reasons_and_the_log_sees_the_source() {
        let f = Fault::capacity("no room for VDU fw")
            .with_reasons(["memory: 512 MiB wanted, 100 MiB free".into()])
            .with_source(std::io::Error::other("secret path"));
        assert_eq!(f.to_string(), "no room for VDU fw: memory: 512 MiB wanted, 100 MiB free");
        assert!(format!("{f:?}").ends_with("<- secret path"));
        assert_eq!(Fault::from(f.record()).kind(), Kind::Capacity);
    }
}
