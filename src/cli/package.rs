//! `bothy package`: work on packages before they are onboarded; needs no daemon.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    failure::{Failure, visible},
    output::Out,
};
use crate::descriptor::{Build, Diagnostic, Diagnostics, Limits, PackageKind, Severity, lint};

#[derive(Subcommand)]
pub enum Package {
    /// Check packages and NSD archives, folders or ZIP files: every fault at once, with file and line
    Lint {
        #[arg(required = true)]
        paths: Vec<Utf8PathBuf>,
        /// A file the packages will contain but the folders do not, PATH-IN-PACKAGE=FILE; repeat for more
        #[arg(long = "artifact", value_name = "PATH=FILE")]
        artifacts: Vec<String>,
    },
    /// Make a package with manifest and digests from a folder; the same input gives the same bytes
    Build {
        dir: Utf8PathBuf,
        /// The package to write, NAME.csar
        #[arg(long, short, value_name = "FILE")]
        output: Utf8PathBuf,
        /// A file from elsewhere, such as a built image, PATH-IN-PACKAGE=FILE; repeat for more
        #[arg(long = "artifact", value_name = "PATH=FILE")]
        artifacts: Vec<String>,
    },
}

/// The release date of a manifest that does not state one: not now, so that a build can be repeated.
pub const RELEASED: &str = "1980-01-01T00:00:00Z";

impl Package {
    pub fn run(self, out: &Out) -> Result<(), Failure> {
        match self {
            Package::Lint { paths, artifacts } => lint_all(out, &paths, &pairs(&artifacts)?),
            Package::Build { dir, output, artifacts } => build(out, &dir, &output, &pairs(&artifacts)?),
        }
    }
}

fn lint_all(out: &Out, paths: &[Utf8PathBuf], artifacts: &[(String, std::path::PathBuf)]) -> Result<(), Failure> {
    let mut unfit = Vec::new();
    let mut raw = Vec::new();
    for path in paths {
        let report = lint(path.as_std_path(), artifacts, &Limits::default());
        if !out.json {
            if !report.diagnostics.is_empty() && paths.len() > 1 {
                eprintln!("{path}:");
            }
            tell(&report.diagnostics);
        }
        if !report.is_fit() {
            unfit.push(path.as_str());
        } else if !out.json {
            out.done(&Value::Null, &format!("{path}: no fault"));
        }
        let kind = report.kind.map(PackageKind::words);
        raw.push(json!({ "path": path, "kind": kind, "fit": report.is_fit(), "diagnostics": as_json(&report.diagnostics) }));
    }
    if out.json {
        out.value(&Value::Array(raw));
    }
    if unfit.is_empty() { Ok(()) } else { Err(Failure::Here(format!("{} cannot be onboarded as it is", unfit.join(", ")))) }
}

fn build(out: &Out, dir: &Utf8PathBuf, output: &Utf8PathBuf, artifacts: &[(String, std::path::PathBuf)]) -> Result<(), Failure> {
    let order = Build { dir: dir.as_std_path(), artifacts, out: output.as_std_path(), released: RELEASED };
    match order.run(&Limits::default()) {
        Ok(built) => {
            if !out.json {
                tell(&built.warnings);
            }
            let raw = json!({
                "kind": built.kind.words(), "id": built.descriptor_id.as_str(), "files": built.files,
                "bytes": built.size.0, "path": output, "diagnostics": as_json(&built.warnings),
            });
            let what = format!("{output}: {} {} of {} files, {}", built.kind.words(), built.descriptor_id, built.files, built.size);
            out.done(&raw, &what);
            Ok(())
        }
        Err(found) => {
            if out.json {
                out.value(&json!({ "diagnostics": as_json(&found) }));
            } else {
                tell(&found);
            }
            Err(Failure::Here(format!("{dir} cannot be built as it is")))
        }
    }
}

/// To stderr, a finding with its file and line each.
pub fn tell(found: &Diagnostics) {
    eprint!("{}", visible(&found.render()));
}

fn as_json(found: &Diagnostics) -> Value {
    let one = |d: &Diagnostic| {
        let severity = match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        json!({
            "severity": severity, "file": d.file.as_str(), "line": d.line, "column": d.column,
            "at": d.path, "message": d.message, "hint": d.hint,
        })
    };
    found.iter().map(one).collect()
}

fn pairs(all: &[String]) -> Result<Vec<(String, std::path::PathBuf)>, Failure> {
    let pair = |a: &String| {
        let (name, file) = a.split_once('=').ok_or_else(|| Failure::Usage(format!("--artifact '{a}' must be PATH-IN-PACKAGE=FILE")))?;
        Ok((name.to_owned(), file.into()))
    };
    all.iter().map(pair).collect()
}
