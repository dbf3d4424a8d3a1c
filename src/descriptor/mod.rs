//! Untrusted packages and their dialects into the model, with diagnostics that point at file,
//! line and path.
//!
//! Owns archives within limits, manifests and digests, SOL001 TOSCA, linting and building. Never
//! runs anything, never touches the store or the network, never stops at the first mistake.
//!
//! ```text
//!  folder or ZIP -> archive -> manifest -> tosca (load, scope, vnfd | nsd | pnfd) -> verify -> model
//!                      \___________ limits ___________/      \__ diagnose __/
//! ```

pub mod archive;
pub mod build;
pub mod check;
pub mod diagnose;
pub mod digest;
pub mod document;
pub mod epa;
pub mod limits;
pub mod manifest;
pub mod package;
#[cfg(test)]
mod tests;
mod tosca;
pub mod verify;

pub use archive::Archive;
pub use build::{Build, Built, bundle};
pub use check::{attach_by_id, check_against};
pub use diagnose::{Diagnostic, Diagnostics, Severity};
pub use limits::Limits;
pub use package::{
    Content, NsdContent, PackageKind, PnfdContent, Report, VnfPackageContent, lint, outside_of, read_nsd_archive, read_package,
    read_pnfd_archive, read_vnf_package,
};
