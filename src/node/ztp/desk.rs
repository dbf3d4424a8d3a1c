//! What a hub answers to boxes that bootstrap: signed by their owner, from a folder of documents.
//!
//! ```text
//! DOCUMENTS/BX-1/conveyed-information.cms, owner-certificate.cms, ownership-voucher.cms   as `bothy ztp factory stick` makes them
//! DOCUMENTS/BX-1/merge.toml | replace.toml, before, after, os-version                     signed here, by the owner's keys
//! ```
//! To the latter the hub adds itself: a box that has become somebody's calls it, by a certificate that the hub has signed. A box
//! that does not trust the hub is led to it again first, by a redirect that the owner has signed (RFC 8572, appendix B): then it
//! hears of the hub's anchor, and the hub hears how far the box is. Never: sockets (`hub::bootstrap`).

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXUPPER;
use toml::{Table, Value};

use super::{
    VOUCHER,
    factory::{Factory, Wish},
    stick,
};
use crate::{
    access::certificate::Certificate,
    host::openssl::pem,
    model::error::{Fault, Result},
    ztp::{
        Der,
        artefact::LIMIT,
        conveyed::Handling,
        enrol::{OWN_CERTIFICATE, OWN_KEY},
        rpc::{Answer, Ask, Csr},
        source::authority,
    },
};

pub struct Desk {
    /// The host by which boxes reach the hub.
    pub name: String,
    /// Where boxes bootstrap, and where they call.
    pub bootstrap: u16,
    pub home: u16,
    /// What the hub shows: as it was read at its start, beside the listener, and not as it may lie there since.
    pub shown: Vec<Der>,
    /// Whether a box is enrolled by one certificate, which is its own and not of the hub's making.
    pub pinned: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// The owner's keys; empty: documents are all signed already.
    pub owner: Utf8PathBuf,
    pub documents: Utf8PathBuf,
}

/// The name of the hub on its boxes: as a client, and as a centre.
const HUB: &str = "hub";

impl Desk {
    pub fn answer(&self, serial: &str, ask: &Ask) -> Result<Answer> {
        let folder = self.documents.join(serial);
        if !folder.is_dir() {
            return Err(Fault::not_found(format!("there is no folder {folder}")));
        }
        if let Some(data) = stick(&folder)? {
            return Ok(Answer::Data { data, verbose: true });
        }
        if self.owner.as_str().is_empty() {
            return Err(Fault::conflict(format!("{folder} holds nothing that is signed, and hub.owner names no keys to sign with")));
        }
        let owner = Factory::open(&self.owner);
        let wish =
            Wish { serial_number: serial.to_owned(), nonce: ask.nonce.clone(), voucher: read(&folder.join(VOUCHER))?, ..Wish::default() };
        let shown = &self.shown;
        if ask.signed_preferred {
            let anchors = shown.last().cloned().into_iter().collect();
            let wish = Wish { redirect: vec![(self.name.clone(), self.bootstrap)], anchors, ..wish };
            return Ok(Answer::Data { data: owner.artefacts(&wish)?, verbose: true });
        }
        let pinned = (self.pinned)(serial);
        let certifies = !pinned && owner.certifies();
        let own = match &ask.csr {
            Csr::Able if certifies => return Ok(Answer::WantsCsr),
            Csr::Made(der) if certifies => Some(owner.operational(serial, der)?),
            Csr::None | Csr::Able | Csr::Made(_) => None,
        };
        let (handling, text) = match (text(&folder, "replace.toml")?, text(&folder, "merge.toml")?) {
            (Some(_), Some(_)) => return Err(Fault::conflict(format!("{folder}: either merge.toml or replace.toml"))),
            (Some(t), None) => (Handling::Replace, t),
            (None, t) => (Handling::Merge, t.unwrap_or_default()),
        };
        let configuration = self.with_hub(&text, shown, own.as_deref(), pinned).map_err(|f| f.context(&folder))?;
        let wish = Wish {
            configuration: Some((handling, configuration.into_bytes())),
            before: read(&folder.join("before"))?,
            after: read(&folder.join("after"))?,
            os_version: text_line(&folder)?,
            ..wish
        };
        Ok(Answer::Data { data: owner.artefacts(&wish)?, verbose: true })
    }

    /// The document, and what makes the box call this hub. A document that names centres of its own has that alone, and the files.
    fn with_hub(&self, text: &str, shown: &[Der], own: Option<&str>, pinned: bool) -> Result<String> {
        let mut all: Table =
            text.parse().map_err(|e: toml::de::Error| Fault::conflict(format!("the document is no TOML: {}", e.message())))?;
        let table = |pairs: &[(&str, &str)]| Value::Table(pairs.iter().map(|(k, v)| ((*k).to_owned(), Value::from(*v))).collect());
        let leaf = shown.first().map(|c| Certificate::read(&c.0).fingerprint).unwrap_or_default();
        let anchor = pem(shown.last().map(std::slice::from_ref).unwrap_or_default());
        let mut files = vec![table(&[("name", "hub.pem"), ("text", &anchor)])];
        files.extend(own.map(|text| table(&[("name", OWN_CERTIFICATE), ("text", text)])));
        let client = table(&[("name", HUB), ("role", "admin"), ("fingerprint", &HEXUPPER.encode(&leaf))]);
        let bootstrap = all.entry("bootstrap").or_insert_with(|| Value::Table(Table::new()));
        let bootstrap = bootstrap.as_table_mut().ok_or_else(|| Fault::conflict("the document's bootstrap is no table"))?;
        for (key, more) in [("file", files), ("client", vec![client])] {
            let list = bootstrap.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().ok_or_else(|| Fault::conflict(format!("the document's bootstrap.{key} is no list")))?.extend(more);
        }
        if !all.contains_key("call_home") {
            if own.is_none() && !pinned {
                return Err(Fault::conflict(
                    "the hub would not let this box in: its certificate is pinned by no fingerprint, and it gets none of the hub's \
                     (hub.owner has no operations.key, or the box asks for none): pin it, or name a centre in the document",
                ));
            }
            let (address, key, certificate) =
                (authority(&self.name, self.home), format!("{{files}}/{OWN_KEY}"), format!("{{files}}/{OWN_CERTIFICATE}"));
            let mut centre = vec![("name", HUB), ("address", &*address), ("ca", "{files}/hub.pem"), ("client", HUB)];
            if own.is_some() {
                centre.extend([("certificate", &*certificate), ("key", &*key)]);
            }
            let Value::Table(mut centre) = table(&centre) else { return Err(Fault::bug("a centre is a table")) };
            centre.insert("reference_points".into(), ["sol005", "sol003-vnfm", "admin"].map(Value::from).to_vec().into());
            all.insert("call_home".into(), vec![Value::Table(centre)].into());
        }
        toml::to_string(&all).map_err(|e| Fault::bug("a document cannot be written").with_source(e))
    }
}

fn read(path: &Utf8Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(b) if b.len() > LIMIT => Err(Fault::conflict(format!("{path}: {LIMIT} bytes are the most"))),
        Ok(b) => Ok(Some(b)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Fault::transient(format!("cannot read {path}: {e}"))),
    }
}

fn text(folder: &Utf8Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    let bytes = read(&path)?;
    bytes.map(|b| String::from_utf8(b).map_err(|_| Fault::conflict(format!("{path} is no UTF-8")))).transpose()
}

fn text_line(folder: &Utf8Path) -> Result<Option<String>> {
    Ok(text(folder, "os-version")?.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, ztp::enrol::split};

    #[test]
    fn a_box_is_told_to_call_the_hub_unless_its_document_names_a_centre() {
        let desk = Desk {
            name: "hub.example".into(),
            bootstrap: 8443,
            home: 4336,
            shown: Vec::new(),
            pinned: Box::new(|_| false),
            owner: "/o".into(),
            documents: "/d".into(),
        };
        let shown = [Der(b"leaf".to_vec()), Der(b"root".to_vec())];
        for (document, own, address) in [
            ("[limits]\ncalls = 7\n", Some("PEM"), "hub.example:4336"),
            ("", None, "hub.example:4336"),
            (
                "[[call_home]]\nname = \"noc\"\naddress = \"noc:1\"\nca = \"{files}/hub.pem\"\nclient = \"hub\"\nreference_points = [\"admin\"]\n",
                Some("PEM"),
                "noc:1",
            ),
        ] {
            let text = desk.with_hub(document, &shown, own, own.is_none()).expect("document");
            let (rest, e) = split(&text, Utf8Path::new("/f")).expect("parted");
            let config = Config::check(&rest).unwrap_or_else(|f| panic!("{f:?}\n{rest}"));
            let [c] = &config.call_home[..] else { panic!("{rest}") };
            assert_eq!((c.address.as_str(), c.ca.as_str(), c.client.as_str()), (address, "/f/hub.pem", "hub"));
            if own.is_some() && address == "hub.example:4336" {
                assert_eq!((c.certificate.as_str(), c.key.as_str()), ("/f/operational.pem", "/f/operational.key"));
            }
            let names: Vec<&str> = e.files.iter().map(|(n, _)| n.as_str()).collect();
            assert_eq!(names.contains(&"operational.pem"), own.is_some());
            assert!(e.files[0].1.contains("BEGIN CERTIFICATE") && e.files[0].1.contains("cm9vdA=="), "{}", e.files[0].1);
            assert_eq!((e.clients.len(), e.clients[0].fingerprint), (1, Certificate::read(b"leaf").fingerprint));
        }
        for (document, why) in [
            ("a =", "no TOML"),
            ("bootstrap = 1", "is no table"),
            ("[bootstrap]\nfile = 1", "bootstrap.file is no list"),
            ("", "would not let this box in"),
        ] {
            let f = desk.with_hub(document, &shown, None, false).expect_err(why);
            assert!(f.text().contains(why), "{}", f.text());
        }
    }
}
