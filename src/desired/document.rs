//! A document from JSON, with every fault and where it stands.
//!
//! Owns its members, version 1. Never: signatures, the store, what is here of it.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{Ask, host::HostWish};
use crate::model::{
    error::{Fault, Result},
    time::Stamp,
    url,
};

/// Largest document, in bytes, with its signature around it.
pub const LIMIT: usize = 512 * 1024;
/// Largest version: whatever writes JSON can hold it.
const LAST: u64 = 1 << 53;
/// Most entries of a list.
const MOST: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub version: u64,
    /// The boxes it is for; none named: all of them.
    pub serials: Vec<SmolStr>,
    pub not_after: Option<Stamp>,
    /// What earlier documents have made and this one does not name goes.
    pub prune: bool,
    pub packages: Vec<Archive>,
    pub nsds: Vec<Archive>,
    pub services: Vec<Service>,
    pub host: Option<HostWish>,
}

/// A package or an NSD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Of the descriptor in it: `vnfdId`, `nsdId`.
    pub id: SmolStr,
    pub sha256: [u8; 32],
    /// `None`: somebody else brings it.
    pub url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: SmolStr,
    pub wish: Wish,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    Running(Running),
    Absent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub nsd: SmolStr,
    /// InstantiateNsRequest, JSON.
    pub request: String,
    /// Of both.
    pub digest: [u8; 32],
}

pub fn read(text: &str, ask: Ask) -> Result<Document> {
    let v: Value = serde_json::from_str(text).map_err(|e| Fault::invalid(format!("the document is no JSON: {e}")))?;
    let mut r = Reader { ask, faults: Vec::new() };
    let document = r.document(&v);
    match (document, r.faults) {
        (Some(d), faults) if faults.is_empty() => Ok(d),
        (_, faults) => Err(Fault::invalid("the document cannot be taken").with_reasons(faults)),
    }
}

pub(super) struct Reader {
    ask: Ask,
    faults: Vec<String>,
}

const TOP: &[&str] = &["bothy-desired", "version", "serials", "not-after", "prune", "packages", "nsds", "services", "host"];

impl Reader {
    pub(super) fn fault(&mut self, at: &str, why: impl std::fmt::Display) {
        self.faults.push(if at.is_empty() { why.to_string() } else { format!("{at}: {why}") });
    }

    fn document(&mut self, v: &Value) -> Option<Document> {
        let o = v.as_object().or_else(|| {
            self.fault("", "it must be an object");
            None
        })?;
        // Of another version nothing else is understood.
        if o.get("bothy-desired").and_then(Value::as_u64) != Some(1) {
            self.fault("bothy-desired", "must be 1, the version that is known here");
            return None;
        }
        self.known("", o, TOP);
        let version = o.get("version").and_then(Value::as_u64).filter(|v| (1..=LAST).contains(v));
        if version.is_none() {
            self.fault("version", format!("must be a number above 0 and up to {LAST}, larger than in each document before"));
        }
        let not_after = o.get("not-after").and_then(|v| {
            let stamp = v.as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok()).and_then(|t| u64::try_from(t.as_millisecond()).ok());
            if stamp.is_none() {
                self.fault("not-after", "must be a time, such as \"2027-01-31T00:00:00Z\"");
            }
            stamp.map(Stamp)
        });
        let prune = self.flag("prune", o.get("prune"));
        let serials =
            self.list("serials", o).iter().enumerate().filter_map(|(i, v)| self.text(&format!("serials[{i}]"), Some(v))).collect();
        if o.get("serials").is_some_and(|v| v.as_array().is_some_and(Vec::is_empty)) {
            self.fault("serials", "names no box; left out it is for all of them");
        }
        let (packages, nsds) = (self.archives("packages", o), self.archives("nsds", o));
        let services: Vec<Service> = self.list("services", o).iter().enumerate().filter_map(|(i, v)| self.service(i, v)).collect();
        self.unique("services", services.iter().map(|s| &s.name));
        let host = o.get("host").map(|v| self.host(v));
        Some(Document { version: version?, serials, not_after, prune, packages, nsds, services, host: host.flatten() })
    }

    pub(super) fn flag(&mut self, at: &str, v: Option<&Value>) -> bool {
        v.is_some_and(|v| {
            v.as_bool().unwrap_or_else(|| {
                self.fault(at, "must be true or false");
                false
            })
        })
    }

    fn known(&mut self, at: &str, o: &Map<String, Value>, known: &[&str]) {
        for name in o.keys().filter(|k| !known.contains(&k.as_str())) {
            let near = known.iter().map(|k| (strsim::jaro_winkler(name, k), *k)).max_by(|a, b| a.0.total_cmp(&b.0));
            let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            match near.filter(|(score, _)| *score > 0.8) {
                Some((_, near)) => self.fault(&path, format!("there is no such member; did you mean '{near}'?")),
                None => self.fault(&path, format!("there is no such member; known: {}", known.join(", "))),
            }
        }
    }

    /// By its whole path, whose last part is the member of `o`.
    pub(super) fn list<'v>(&mut self, name: &str, o: &'v Map<String, Value>) -> &'v [Value] {
        let member = name.rsplit('.').next().unwrap_or(name);
        match o.get(member).map(|v| v.as_array().map(Vec::as_slice)) {
            None => &[],
            Some(Some(all)) if all.len() <= MOST => all,
            Some(Some(all)) => {
                self.fault(name, format!("{} entries, and {MOST} are the most", all.len()));
                &[]
            }
            Some(None) => {
                self.fault(name, "must be a list");
                &[]
            }
        }
    }

    pub(super) fn text(&mut self, at: &str, v: Option<&Value>) -> Option<SmolStr> {
        let text = v.and_then(Value::as_str).filter(|t| !t.trim().is_empty());
        if text.is_none() {
            self.fault(at, "must be a text that is not empty");
        }
        text.map(SmolStr::new)
    }

    pub(super) fn object<'v>(&mut self, at: &str, v: &'v Value, known: &[&str]) -> Option<&'v Map<String, Value>> {
        match v.as_object() {
            Some(o) => {
                self.known(at, o, known);
                Some(o)
            }
            None => {
                self.fault(at, "must be an object");
                None
            }
        }
    }

    pub(super) fn unique<'n>(&mut self, at: &str, names: impl Iterator<Item = &'n SmolStr>) {
        let mut seen: Vec<&SmolStr> = Vec::new();
        for n in names {
            if seen.contains(&n) {
                self.fault(at, format!("'{n}' is named twice"));
            }
            seen.push(n);
        }
    }

    fn archives(&mut self, name: &str, o: &Map<String, Value>) -> Vec<Archive> {
        let all: Vec<Archive> =
            self.list(name, o).iter().enumerate().filter_map(|(i, v)| self.archive(&format!("{name}[{i}]"), v)).collect();
        self.unique(name, all.iter().map(|a| &a.id));
        all
    }

    fn archive(&mut self, at: &str, v: &Value) -> Option<Archive> {
        let o = self.object(at, v, &["id", "sha256", "url"])?;
        let id = self.text(&format!("{at}.id"), o.get("id"));
        let digest = o.get("sha256").and_then(Value::as_str).and_then(|t| {
            let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(t.as_bytes()).ok()?;
            <[u8; 32]>::try_from(bytes).ok()
        });
        if digest.is_none() {
            self.fault(&format!("{at}.sha256"), "must be the SHA-256 of the archive, 64 hexadecimal digits");
        }
        let url = o.get("url").map(|v| {
            let url = v.as_str().unwrap_or_default();
            if let Err(why) = url::check(url) {
                self.fault(&format!("{at}.url"), format!("must be an https URL (http where limits.fetch_http allows it): it {why}"));
            }
            url.to_owned()
        });
        Some(Archive { id: id?, sha256: digest?, url })
    }

    fn service(&mut self, i: usize, v: &Value) -> Option<Service> {
        let at = format!("services[{i}]");
        let o = self.object(&at, v, &["name", "state", "nsdId", "instantiate"])?;
        let name = self.text(&format!("{at}.name"), o.get("name"));
        let wish = match o.get("state").map_or(Some("RUNNING"), Value::as_str) {
            Some("ABSENT") => Some(Wish::Absent),
            Some("RUNNING") => self.running(&at, o).map(Wish::Running),
            _ => {
                self.fault(&format!("{at}.state"), "must be RUNNING or ABSENT");
                None
            }
        };
        Some(Service { name: name?, wish: wish? })
    }

    fn running(&mut self, at: &str, o: &Map<String, Value>) -> Option<Running> {
        let nsd = self.text(&format!("{at}.nsdId"), o.get("nsdId"));
        let place = format!("{at}.instantiate");
        let request = match o.get("instantiate") {
            Some(v) if v.is_object() => v.to_string(),
            _ => {
                self.fault(&place, "must be an object, as in SOL005: {\"nsFlavourId\": ...}");
                return None;
            }
        };
        if let Err(fault) = (self.ask)(&request) {
            let told = if fault.reasons().is_empty() { vec![fault.text().to_owned()] } else { fault.reasons().to_vec() };
            told.iter().for_each(|why| self.fault(&place, why));
            return None;
        }
        let nsd = nsd?;
        let digest = Sha256::new().chain_update(nsd.as_bytes()).chain_update([0u8]).chain_update(&request).finalize().into();
        Some(Running { nsd, request, digest })
    }
}
