//! RAUC by argv: what a bundle is, and writing it to the slot that does not run.
//!
//! Owns: reading what RAUC says. Never: the boot loader (RAUC is told to leave it alone, `activate-installed=false`), or
//! whether a bundle should be installed.

use std::time::Duration;

use camino::Utf8Path;
use serde_json::Value;

use super::exec::Exec;
use crate::model::{
    error::{Fault, Kind, Result},
    update::{Bundle, Slot},
};

const RAUC: &str = "rauc";
/// For reading a bundle's signature from a slow stick.
const LOOK: Duration = Duration::from_secs(60);
/// A slot of a gigabyte on a slow disk, between two of its percents.
const SILENCE: Duration = Duration::from_secs(600);

/// Signature by RAUC's keyring, then what the manifest says.
pub fn info(bundle: &Utf8Path) -> Result<Bundle> {
    let ask = |format: &str| Exec::new(RAUC).args(["info", &format!("--output-format={format}")]).arg(bundle).limit(LOOK).run_any();
    // The second form has the manifest's [meta] sections; releases before 1.9 have the first only.
    let mut said = ask("json-2")?;
    if said.stderr.contains("Unknown output format") {
        said = ask("json")?;
    }
    if !said.status.success() {
        return Err(refused(&said.stderr));
    }
    read(&said.stdout)
}

/// Its last line says why.
fn refused(stderr: &str) -> Fault {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("rauc-Message")).collect();
    Fault::invalid(format!("RAUC refuses the bundle: {}", lines.last().unwrap_or(&"it says nothing")))
}

fn read(text: &str) -> Result<Bundle> {
    let bad = |e: serde_json::Error| Fault::transient(format!("RAUC's answer is no JSON: {e}")).with_source(e);
    let all: Value = serde_json::from_str(text).map_err(bad)?;
    let update = if all["update"].is_object() { &all["update"] } else { &all };
    let meta = &all["meta"]["bothy"];
    let need =
        |v: &Value, what: &str| v.as_str().map(str::to_owned).ok_or_else(|| Fault::invalid(format!("the bundle's manifest has no {what}")));
    let security = need(
        &meta["security"],
        "[meta.bothy] security, the counter that says what it must not go behind (or this RAUC is too old to show it: 1.9 does)",
    )?;
    Ok(Bundle {
        compatible: need(&update["compatible"], "compatible")?.into(),
        version: need(&update["version"], "version")?.parse()?,
        security: security.parse().map_err(|_| Fault::invalid(format!("the bundle's security counter '{security}' is no number")))?,
        min_from: meta["min-from"].as_str().map(str::parse).transpose()?,
    })
}

/// The slot that RAUC takes for the running one.
pub fn booted() -> Result<Slot> {
    let said = Exec::new(RAUC).args(["status", "--output-format=json"]).limit(LOOK).run()?;
    let all: Value =
        serde_json::from_str(&said.stdout).map_err(|e| Fault::transient(format!("RAUC's status is no JSON: {e}")).with_source(e))?;
    let booted = all["booted"].as_str().unwrap_or_default();
    let of = |s: &Value| s.as_object().and_then(|m| m.values().next().cloned()).unwrap_or_default();
    // By the slot's name for the boot loader, or by the slot's own.
    let slots = all["slots"].as_array().map_or(&[][..], Vec::as_slice);
    let named = slots.iter().find(|s| s.get(booted).is_some()).map(of).and_then(|s| s["bootname"].as_str().map(str::to_owned));
    let name = named.unwrap_or_else(|| booted.to_owned());
    name.parse().map_err(|_| Fault::conflict(format!("RAUC does not know which slot runs: it says '{booted}'")))
}

pub fn install(bundle: &Utf8Path, told: &mut dyn FnMut(u8, &str)) -> Result<()> {
    let done = Exec::new(RAUC).arg("install").arg(bundle).limit(SILENCE).run_told(|line| {
        if let Some((percent, what)) = progress(line) {
            told(percent, what);
        }
    });
    done.map_err(|f| {
        // A kill of bothy leaves RAUC's service at work.
        if f.text().contains("Already processing") { Fault::new(Kind::Transient, "RAUC is at work already") } else { f }
    })
}

/// ` 40% Copying image to rootfs.1`
fn progress(line: &str) -> Option<(u8, &str)> {
    let (percent, what) = line.split_once('%')?;
    let percent: u8 = percent.trim().parse().ok().filter(|p| *p <= 100)?;
    Some((percent, what.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_what_is_missing_is_named() {
        let second = r#"{"manifest-hash":"ab","update":{"compatible":"bothy-x86_64","version":"1.2.3"},"bundle":{"format":"verity"},
            "images":[],"meta":{"bothy":{"security":"4","min-from":"1.0"}}}"#;
        let b = read(second).expect("read");
        assert_eq!((b.compatible.as_str(), b.version.as_str(), b.security), ("bothy-x86_64", "1.2.3", 4));
        assert_eq!(b.min_from.expect("said").as_str(), "1.0");
        let first = r#"{"compatible":"bothy-x86_64","version":"1.2.3","images":[]}"#;
        let e = read(first).expect_err("no counter");
        assert!(e.kind() == Kind::Invalid && e.text().contains("[meta.bothy] security"), "{e}");
        let flat = r#"{"compatible":"x","version":"1","meta":{"bothy":{"security":"0"}}}"#;
        assert_eq!(read(flat).expect("read").security, 0);
        for (text, words) in [
            (second.replace("\"4\"", "\"many\""), "no number"),
            (second.replace("1.2.3", "1 2"), "no version"),
            (second.replace("\"version\"", "\"other\""), "no version"),
            ("not JSON".to_owned(), "no JSON"),
        ] {
            assert!(read(&text).expect_err(words).text().contains(words), "{text}");
        }
    }

    #[test]
    fn progress_is_read_from_lines_and_other_lines_are_passed_over() {
        assert_eq!(progress("  0% Installing"), Some((0, "Installing")));
        assert_eq!(progress(" 40% Copying image to rootfs.1"), Some((40, "Copying image to rootfs.1")));
        assert_eq!(progress("100% Installing done."), Some((100, "Installing done.")));
        for other in ["installing", "Installing `/x` succeeded", "LastError: 50% of nothing", "900% x", ""] {
            assert_eq!(progress(other), None, "{other}");
        }
    }

    #[test]
    fn what_rauc_refuses_is_told_in_its_words() {
        let f = refused(
            "rauc-Message: 22:37:08.709: Reading bundle: /x\nsignature verification failed: Verify error: self-signed certificate\n",
        );
        assert_eq!(f.text(), "RAUC refuses the bundle: signature verification failed: Verify error: self-signed certificate");
    }
}
