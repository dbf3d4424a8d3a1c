//! Progress reports (RFC 8572 7.3): how far bootstrapping is.

use serde::{Deserialize, Serialize};

/// Characters of a message that a box sends, and that a hub keeps: what a script said may be long.
pub const LONGEST_MESSAGE: usize = 1000;

/// `progress-type`, in its own words. Those of SSH and TLS keys belong to `bootstrap-complete`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    BootstrapInitiated,
    ParsingInitiated,
    ParsingWarning,
    ParsingError,
    ParsingComplete,
    BootImageInitiated,
    BootImageWarning,
    BootImageError,
    BootImageMismatch,
    BootImageInstalledRebooting,
    BootImageComplete,
    PreScriptInitiated,
    PreScriptWarning,
    PreScriptError,
    PreScriptComplete,
    ConfigInitiated,
    ConfigWarning,
    ConfigError,
    ConfigComplete,
    PostScriptInitiated,
    PostScriptWarning,
    PostScriptError,
    PostScriptComplete,
    BootstrapWarning,
    BootstrapError,
    BootstrapComplete,
    Informational,
}

/// One line of what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub progress: Progress,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Progress {
    /// Told to a trusted server whatever reporting level it asked for (RFC 8572 5.6): the begin, and every end.
    pub fn must_be_sent(self) -> bool {
        use Progress as P;
        match self {
            P::BootstrapInitiated
            | P::BootstrapComplete
            | P::BootstrapError
            | P::ParsingError
            | P::BootImageError
            | P::BootImageInstalledRebooting
            | P::PreScriptError
            | P::ConfigError
            | P::PostScriptError => true,
            P::ParsingInitiated
            | P::ParsingWarning
            | P::ParsingComplete
            | P::BootImageInitiated
            | P::BootImageWarning
            | P::BootImageMismatch
            | P::BootImageComplete
            | P::PreScriptInitiated
            | P::PreScriptWarning
            | P::PreScriptComplete
            | P::ConfigInitiated
            | P::ConfigWarning
            | P::ConfigComplete
            | P::PostScriptInitiated
            | P::PostScriptWarning
            | P::PostScriptComplete
            | P::BootstrapWarning
            | P::Informational => false,
        }
    }
}
