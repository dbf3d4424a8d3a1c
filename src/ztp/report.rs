//! Progress reports (RFC 8572 7.3): how far bootstrapping is.

use serde::{Deserialize, Serialize};

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
