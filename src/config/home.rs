//! The types of keys that speak of centres: those that this box calls or is bootstrapped by, and the boxes that call it where it
//! is one.
//!
//! Owns how each is read and shown. Never: whether anybody is at an address.

use std::net::SocketAddr;

use camino::Utf8PathBuf;
use data_encoding::{HEXLOWER_PERMISSIVE, HEXUPPER};
use smol_str::SmolStr;
use toml::de::DeValue;

use super::{
    keys::{ReferencePoint, Setting, clash, quoted, text},
    read::{At, TableAt},
};
use crate::model::handout::DEFAULT;

/// A centre that the box calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Centre {
    pub name: SmolStr,
    /// Host and port.
    pub address: SmolStr,
    /// Who signs the centre's certificate.
    pub ca: Utf8PathBuf,
    /// Who it must turn out to be; empty: any client that its certificate speaks for.
    pub client: SmolStr,
    /// What the box shows it; empty: as on its listeners.
    pub certificate: Utf8PathBuf,
    pub key: Utf8PathBuf,
    pub reference_points: Vec<ReferencePoint>,
    pub keep_alive_s: u64,
    pub retry_s: u64,
}

fn within(t: &mut TableAt<'_>, key: &str, given: Option<u64>, default: u64, least: u64, most: u64) -> u64 {
    match given {
        Some(n) if n < least || n > most => {
            t.fault(key, format!("{n} is not between {least} and {most}"));
            default
        }
        given => given.unwrap_or(default),
    }
}

/// `host:port`, also `[::1]:4336`.
fn is_address(s: &str) -> bool {
    let Some((host, port)) = s.rsplit_once(':') else { return false };
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_is_fine = match v6 {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    host_is_fine && port.parse::<u16>().is_ok_and(|p| p > 0)
}

impl Setting for Centre {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let keys: &[&str] = &["name", "address", "ca", "client", "certificate", "key", "reference_points", "keep_alive_s", "retry_s"];
        let mut t = at.table(v, keys)?;
        let (name, address): (Option<SmolStr>, Option<SmolStr>) = (t.need("name"), t.need("address"));
        let ca: Option<Utf8PathBuf> = t.need("ca");
        let client: Option<SmolStr> = t.need("client");
        let (certificate, key): (Option<Utf8PathBuf>, Option<Utf8PathBuf>) = (t.may("certificate"), t.may("key"));
        let reference_points: Option<Vec<ReferencePoint>> = t.need("reference_points");
        let (alive, retry): (Option<u64>, Option<u64>) = (t.may("keep_alive_s"), t.may("retry_s"));
        let keep_alive_s = within(&mut t, "keep_alive_s", alive, 30, 5, 600);
        let retry_s = within(&mut t, "retry_s", retry, 30, 1, 600);
        if certificate.is_some() != key.is_some() {
            let given = if key.is_some() { "key" } else { "certificate" };
            t.fault(given, "certificate and key belong together: give both, or neither for those of [tls]");
        }
        if address.as_ref().is_some_and(|a| !is_address(a)) {
            t.fault("address", "must be a host and a port, such as \"noc.example:4336\" or \"[2001:db8::1]:4336\"");
        }
        if let Some(points) = &reference_points {
            clash(points, &mut t);
            if points.contains(&ReferencePoint::Hub) {
                t.fault("reference_points", "no hub is met through another: leave out \"hub\"");
            }
        }
        Some(Centre {
            name: name?,
            address: address?,
            ca: ca?,
            client: client?,
            certificate: certificate.unwrap_or_default(),
            key: key.unwrap_or_default(),
            reference_points: reference_points?,
            keep_alive_s,
            retry_s,
        })
    }
    fn show(&self) -> String {
        let Centre { name, address, ca, client, certificate, key, reference_points, keep_alive_s, retry_s } = self;
        let own = if certificate.as_str().is_empty() {
            String::new()
        } else {
            format!(", certificate = {}, key = {}", certificate.show(), key.show())
        };
        format!(
            "{{ name = {}, address = {}, ca = {}, client = {}{own}, reference_points = {}, keep_alive_s = {keep_alive_s}, retry_s = {retry_s} }}",
            quoted(name),
            quoted(address),
            ca.show(),
            quoted(client),
            reference_points.show()
        )
    }
}

/// A bootstrap server that a box is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapServer {
    /// Host and port.
    pub address: SmolStr,
    /// Whom its certificate must lead to; empty: it is asked as a stranger.
    pub ca: Utf8PathBuf,
}

impl Setting for BootstrapServer {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["address", "ca"])?;
        let (address, ca): (Option<SmolStr>, Option<Utf8PathBuf>) = (t.need("address"), t.may("ca"));
        if address.as_ref().is_some_and(|a| !is_address(a)) {
            t.fault("address", "must be a host and a port, such as \"hub.example:8443\" or \"[2001:db8::1]:8443\"");
        }
        Some(BootstrapServer { address: address?, ca: ca.unwrap_or_default() })
    }
    fn show(&self) -> String {
        let ca = if self.ca.as_str().is_empty() { String::new() } else { format!(", ca = {}", self.ca.show()) };
        format!("{{ address = {}{ca} }}", quoted(&self.address))
    }
}

/// Where a hub takes boxes in; `None`: this is no hub.
impl Setting for Option<SocketAddr> {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        match text(v, at, "an address and a port in quotes")? {
            "" => Some(None),
            s => match s.parse() {
                Ok(a) => Some(Some(a)),
                Err(_) => {
                    at.fault("must be an address and a port, such as \"0.0.0.0:4336\" or \"[::]:4336\", or empty");
                    None
                }
            },
        }
    }
    fn show(&self) -> String {
        quoted(&self.map_or_else(String::new, |a| a.to_string()))
    }
}

/// A box that a hub knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledBox {
    pub serial: SmolStr,
    /// SHA-256 of its one certificate; `None`: `hub.ca` vouches for it.
    pub fingerprint: Option<[u8; 32]>,
    /// Empty: the default project.
    pub project: SmolStr,
    /// Which documents of desired state it is handed, where there is none for it alone.
    pub group: SmolStr,
}

impl Setting for EnrolledBox {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["serial", "fingerprint", "project", "group"])?;
        let serial: Option<SmolStr> = t.need("serial");
        let (pin, project): (Option<SmolStr>, Option<SmolStr>) = (t.may("fingerprint"), t.may("project"));
        let group = t.may("group").unwrap_or(SmolStr::new_static(DEFAULT));
        let fingerprint = match pin {
            None => None,
            Some(text) => {
                let hex: String = text.chars().filter(|c| *c != ':').collect();
                let read = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
                if read.is_none() {
                    t.fault("fingerprint", "must be a SHA-256, 32 bytes in hexadecimal, as `bothy tls show` has it on the box");
                    return None;
                }
                read
            }
        };
        let serial = serial?;
        // It is a part of paths and the name of a host.
        let is_plain = |s: &str| {
            s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && s.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        for (key, name) in [("serial", &serial), ("group", &group)] {
            if name.len() > 64 || !is_plain(name) {
                t.fault(key, format!("'{name}' must be 1 to 64 letters, digits, '-', '.' or '_', and begin with one of the first two"));
                return None;
            }
        }
        Some(EnrolledBox { serial, fingerprint, project: project.unwrap_or_default(), group })
    }
    fn show(&self) -> String {
        let pin = self.fingerprint.map_or_else(String::new, |f| format!(", fingerprint = {}", quoted(&HEXUPPER.encode(&f))));
        let project = if self.project.is_empty() { String::new() } else { format!(", project = {}", quoted(&self.project)) };
        let group = if self.group == DEFAULT { String::new() } else { format!(", group = {}", quoted(&self.group)) };
        format!("{{ serial = {}{pin}{project}{group} }}", quoted(&self.serial))
    }
}
