//! What a conveyed configuration brings beside the keys of `bothy.toml`: its table `[bootstrap]`, which is taken out of it.
//!
//! ```text
//! [[bootstrap.file]]   name = "hub.pem"  text = "-----BEGIN..."          # kept in a folder of the box's own
//! [[bootstrap.client]] name = "hub"  role = "admin"  fingerprint = "AB:CD:..."
//! [[call_home]]        ca = "{files}/hub.pem" ...                        # {files}: that folder
//! ```
//! A centre that the box shall call needs its certificate's issuer on the box and an account there; neither is a key of the
//! configuration. Pure: the files and accounts are made by `node`.

use camino::Utf8Path;
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use toml::{Table, Value};

use crate::model::error::{Fault, Result};

/// The key of the request for an operational certificate, which never leaves the box, and the certificate.
pub const OWN_KEY: &str = "operational.key";
pub const OWN_CERTIFICATE: &str = "operational.pem";
const FILES: &str = "{files}/";
const MOST_FILES: usize = 32;
const LARGEST: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enrolment {
    /// Name and text.
    pub files: Vec<(SmolStr, String)>,
    pub clients: Vec<Client>,
}

/// An account of a program, known by its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    pub name: SmolStr,
    pub role: SmolStr,
    /// SHA-256 of its certificate.
    pub fingerprint: [u8; 32],
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Wire {
    file: Vec<WireFile>,
    client: Vec<WireClient>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFile {
    name: SmolStr,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClient {
    name: SmolStr,
    role: SmolStr,
    fingerprint: String,
}

/// The configuration without that table, and what is in it. One that has neither it nor `{files}` stays as it is written.
pub fn split(text: &str, files: &Utf8Path) -> Result<(String, Enrolment)> {
    let mut all: Table =
        text.parse().map_err(|e: toml::de::Error| Fault::invalid(format!("the conveyed configuration is no TOML: {}", e.message())))?;
    let own = all.remove("bootstrap");
    if own.is_none() && !text.contains(FILES) {
        return Ok((text.to_owned(), Enrolment::default()));
    }
    let enrolment = own.map_or(Ok(Enrolment::default()), read)?;
    all.iter_mut().for_each(|(_, v)| name_files(v, files));
    let text = toml::to_string(&all).map_err(|e| Fault::bug("a configuration cannot be written").with_source(e))?;
    Ok((text, enrolment))
}

fn name_files(v: &mut Value, at: &Utf8Path) {
    match v {
        Value::String(s) => {
            if let Some(rest) = s.strip_prefix(FILES) {
                *s = at.join(rest).into_string();
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| name_files(v, at)),
        Value::Table(t) => t.iter_mut().for_each(|(_, v)| name_files(v, at)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn read(v: Value) -> Result<Enrolment> {
    let wire: Wire = v.try_into().map_err(|e: toml::de::Error| Fault::invalid(format!("[bootstrap]: {}", e.message())))?;
    let (mut wrong, mut e) = (Vec::new(), Enrolment::default());
    if wire.file.len() > MOST_FILES {
        wrong.push(format!("[[bootstrap.file]]: {MOST_FILES} are the most"));
    }
    for f in wire.file {
        if !is_plain(&f.name) || f.name == OWN_KEY {
            wrong
                .push(format!("[[bootstrap.file]]: '{}' is no name for a file: letters, digits, '-', '_', '.', and not {OWN_KEY}", f.name));
        }
        if f.text.len() > LARGEST {
            wrong.push(format!("[[bootstrap.file]]: '{}' has {} bytes, and {LARGEST} are the most", f.name, f.text.len()));
        }
        if e.files.iter().any(|(n, _)| *n == f.name) {
            wrong.push(format!("[[bootstrap.file]]: '{}' is there twice", f.name));
        }
        e.files.push((f.name, f.text));
    }
    for c in wire.client {
        if !is_plain(&c.name) {
            wrong.push(format!("[[bootstrap.client]]: '{}' is no name of a client", c.name));
        }
        if e.clients.iter().any(|o| o.name == c.name) {
            wrong.push(format!("[[bootstrap.client]]: '{}' is there twice", c.name));
        }
        let hex = c.fingerprint.replace(':', "");
        match HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok().and_then(|b| b.try_into().ok()) {
            Some(fingerprint) => e.clients.push(Client { name: c.name, role: c.role, fingerprint }),
            None => wrong.push(format!("[[bootstrap.client]]: '{}': its fingerprint is no SHA-256 in hexadecimal", c.name)),
        }
    }
    if wrong.is_empty() { Ok(e) } else { Err(Fault::invalid("the conveyed configuration's [bootstrap] is not sound").with_reasons(wrong)) }
}

fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> &'static Utf8Path {
        Utf8Path::new("/state/files-1")
    }

    #[test]
    fn a_configuration_is_parted_from_what_comes_with_it() {
        let plain = "# a comment\na = 1\n";
        assert_eq!(split(plain, at()).expect("plain"), (plain.to_owned(), Enrolment::default()));
        let pin = "ab:".repeat(31) + "AB";
        let text = format!(
            "[[call_home]]\nca = \"{{files}}/hub.pem\"\nnot = \"a {{files}}/x\"\n[[bootstrap.file]]\nname = \"hub.pem\"\ntext = \"PEM\"\n[[bootstrap.client]]\nname = \"hub\"\nrole = \"admin\"\nfingerprint = \"{pin}\"\n"
        );
        let (rest, e) = split(&text, at()).expect("parted");
        let rest: Table = rest.parse().expect("TOML");
        let want: Table = "[[call_home]]\nca = \"/state/files-1/hub.pem\"\nnot = \"a {files}/x\"\n".parse().expect("TOML");
        assert_eq!(rest, want);
        assert_eq!(e.files, [("hub.pem".into(), "PEM".to_owned())]);
        assert_eq!(e.clients, [Client { name: "hub".into(), role: "admin".into(), fingerprint: [0xab; 32] }]);
    }

    #[test]
    fn what_comes_with_a_configuration_is_read_strictly_and_all_faults_are_told() {
        let file = |name: &str| format!("[[bootstrap.file]]\nname = \"{name}\"\ntext = \"\"\n");
        for (text, why) in [
            ("a =".to_owned(), "no TOML"),
            ("bootstrap = 1".to_owned(), "[bootstrap]"),
            ("[bootstrap]\nsurprise = 1".to_owned(), "surprise"),
            ("[[bootstrap.file]]\nname = \"a\"".to_owned(), "text"),
            (file("../x"), "is no name for a file"),
            (file(".x"), "is no name for a file"),
            (file("operational.key"), "is no name for a file"),
            (file("a") + &file("a"), "'a' is there twice"),
            ((0..33).map(|i| file(&i.to_string())).collect(), "32 are the most"),
            (format!("[[bootstrap.file]]\nname = \"a\"\ntext = \"{}\"\n", "x".repeat(LARGEST + 1)), "are the most"),
            ("[[bootstrap.client]]\nname = \"a/b\"\nrole = \"r\"\nfingerprint = \"00\"".to_owned(), "no SHA-256"),
        ] {
            let f = split(&text, at()).expect_err(why);
            let all = format!("{} {}", f.text(), f.reasons().join("; "));
            assert!(all.contains(why), "{all} does not say {why}");
        }
        let two = split(&(file("..") + "[[bootstrap.client]]\nname = \"-\"\nrole = \"r\"\nfingerprint = \"\""), at()).expect_err("faults");
        assert_eq!(two.reasons().len(), 3, "{:?}", two.reasons());
    }
}
