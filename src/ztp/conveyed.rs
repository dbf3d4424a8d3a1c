//! Conveyed information (RFC 8572 3.1, 6.3): where to go next, or what to be.
//!
//! Reads its JSON form (RFC 7951), strictly: what the YANG module does not name is refused, and all faults are told.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::error::{Fault, Result};

/// As many as a walk asks.
const MOST_SERVERS: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conveyed {
    Redirect(Vec<Server>),
    Onboarding(Box<Onboarding>),
}

/// A bootstrap server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub address: SmolStr,
    pub port: u16,
    /// CMS with the certificates that its own certificate must lead to.
    pub trust_anchor: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Onboarding {
    pub boot_image: Option<BootImage>,
    pub pre_script: Option<Vec<u8>>,
    pub configuration: Option<Configuration>,
    pub post_script: Option<Vec<u8>>,
}

/// What has to run, and where it is to be had.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BootImage {
    pub os_name: Option<String>,
    pub os_version: Option<String>,
    pub download: Vec<String>,
    pub sha256: Option<[u8; 32]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    pub handling: Handling,
    pub text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    Merge,
    Replace,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "ietf-sztp-conveyed-info:redirect-information")]
    redirect: Option<WireRedirect>,
    #[serde(rename = "ietf-sztp-conveyed-info:onboarding-information")]
    onboarding: Option<WireOnboarding>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireRedirect {
    bootstrap_server: Vec<WireServer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireServer {
    address: SmolStr,
    port: Option<u16>,
    trust_anchor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireOnboarding {
    boot_image: Option<WireImage>,
    configuration_handling: Option<Handling>,
    pre_configuration_script: Option<String>,
    configuration: Option<String>,
    post_configuration_script: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireImage {
    os_name: Option<String>,
    os_version: Option<String>,
    #[serde(default)]
    download_uri: Vec<String>,
    #[serde(default)]
    image_verification: Vec<WireHash>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireHash {
    hash_algorithm: String,
    hash_value: String,
}

impl Conveyed {
    pub fn read(json: &[u8]) -> Result<Conveyed> {
        let document: Document =
            serde_json::from_slice(json).map_err(|e| Fault::invalid(format!("conveyed information: {e} (RFC 8572 6.3)")))?;
        let mut wrong = Wrong(Vec::new());
        let read = match (document.redirect, document.onboarding) {
            (Some(r), None) => Conveyed::Redirect(wrong.servers(r.bootstrap_server)),
            (None, Some(o)) => Conveyed::Onboarding(Box::new(wrong.onboarding(o))),
            (None, None) | (Some(_), Some(_)) => {
                return Err(Fault::invalid("conveyed information is either redirect-information or onboarding-information (RFC 8572 6.3)"));
            }
        };
        if wrong.0.is_empty() {
            Ok(read)
        } else {
            Err(Fault::invalid("the conveyed information is not as RFC 8572 6.3 wants it").with_reasons(wrong.0))
        }
    }
}

struct Wrong(Vec<String>);

impl Wrong {
    fn bytes(&mut self, name: &str, text: &str) -> Vec<u8> {
        BASE64.decode(text.as_bytes()).unwrap_or_else(|_| {
            self.0.push(format!("{name}: this is not base64"));
            Vec::new()
        })
    }

    fn servers(&mut self, all: Vec<WireServer>) -> Vec<Server> {
        if all.is_empty() {
            self.0.push("bootstrap-server: at least one".into());
        }
        if all.len() > MOST_SERVERS {
            self.0.push(format!("bootstrap-server: {} of them, and {MOST_SERVERS} are the most that are followed", all.len()));
            return Vec::new();
        }
        let mut servers: Vec<Server> = Vec::new();
        for s in all {
            if !is_host(&s.address) {
                let shown: String = s.address.chars().take(80).collect();
                self.0.push(format!("address: '{shown}' is neither a host name nor an IP address"));
            }
            if servers.iter().any(|x| x.address == s.address) {
                self.0.push(format!("address: '{}' is there twice", s.address));
            }
            if s.port == Some(0) {
                self.0.push("port: 1 to 65535".into());
            }
            let trust_anchor = s.trust_anchor.map(|t| self.bytes("trust-anchor", &t));
            servers.push(Server { address: s.address, port: s.port.unwrap_or(443), trust_anchor });
        }
        servers
    }

    fn onboarding(&mut self, o: WireOnboarding) -> Onboarding {
        let mut script = |name, text: Option<String>| text.map(|t| self.bytes(name, &t));
        let pre_script = script("pre-configuration-script", o.pre_configuration_script);
        let post_script = script("post-configuration-script", o.post_configuration_script);
        let text = script("configuration", o.configuration);
        let configuration = match (text, o.configuration_handling) {
            (Some(text), Some(handling)) => Some(Configuration { handling, text }),
            (Some(_), None) => {
                self.0.push("configuration-handling: merge or replace must be said where there is a configuration".into());
                None
            }
            // Without a configuration it says nothing, and does no harm.
            (None, _) => None,
        };
        Onboarding { boot_image: o.boot_image.map(|i| self.image(i)), pre_script, configuration, post_script }
    }

    fn image(&mut self, i: WireImage) -> BootImage {
        let mut sha256 = None;
        for h in &i.image_verification {
            if h.hash_algorithm != "ietf-sztp-conveyed-info:sha-256" && h.hash_algorithm != "sha-256" {
                self.0.push(format!("hash-algorithm: '{}' is not known; sha-256 is", h.hash_algorithm));
                continue;
            }
            // yang:hex-string
            let value = HEXLOWER_PERMISSIVE.decode(h.hash_value.replace(':', "").as_bytes()).ok().and_then(|b| b.try_into().ok());
            if value.is_none() {
                self.0.push("hash-value: 32 bytes in hexadecimal, colons between them".into());
            }
            sha256 = value;
        }
        for uri in &i.download_uri {
            if !uri.starts_with("https://") && !uri.starts_with("http://") && !uri.starts_with("file:") {
                self.0.push(format!("download-uri: '{uri}': https, http or file"));
            }
        }
        // `must '../image-verification'` of the module; without one nothing says that the image is the right one.
        if !i.download_uri.is_empty() && i.image_verification.is_empty() {
            self.0.push("image-verification: needed where there is a download-uri".into());
        }
        BootImage { os_name: i.os_name, os_version: i.os_version, download: i.download_uri, sha256 }
    }
}

/// inet:host, without zones.
pub(super) fn is_host(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len()) && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !l.starts_with('-')
    };
    text.parse::<std::net::IpAddr>().is_ok() || (text.len() <= 253 && text.trim_end_matches('.').split('.').all(label))
}
