//! `bothy up DIR`: from packages on disk to a network service that runs, as often as you like.
//!
//! Owns the order: onboard what is new, create, instantiate, wait, show. Each part that is there
//! already is left as it is and said so.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    bundle::{Bundle, Images, Ready},
    client::Client,
    failure::Failure,
    follow::{NS_OPS, follow, is_at_rest, kind, next_of_failed, told},
    names::short,
    ns::NSS,
    nsd::NSDS,
    onboard,
    output::{Out, plain},
    plan,
    resource::{key_values, request},
    service,
    vnfpkg::VNFPKGS,
};
use crate::model::{
    nsd::Nsd,
    vnfd::{Forward, Transport, Vnfd},
};

#[derive(Args)]
pub struct Up {
    /// A folder with VNF packages and one NSD, each a folder or an archive
    dir: Utf8PathBuf,
    /// Name of the network service; else that of the folder
    #[arg(long)]
    name: Option<String>,
    /// Show what would be made, where, under which names and in which order, and touch nothing
    #[arg(long)]
    plan: bool,
    /// Parameter for the service, KEY=VALUE; repeat for more
    #[arg(long = "param", value_name = "KEY=VALUE")]
    params: Vec<String>,
    /// Parameters from a JSON or YAML file
    #[arg(long = "params", value_name = "FILE")]
    params_file: Option<Utf8PathBuf>,
    /// Public keys to be let in by the guests, a file like ~/.ssh/id_ed25519.pub; repeat for more
    #[arg(long = "ssh-key", value_name = "FILE")]
    ssh_keys: Vec<Utf8PathBuf>,
    /// Seconds to wait for the operation
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    timeout: u64,
    /// Where images are that the packages do not hold; else build/images, as the scripts leave them
    #[arg(long, value_name = "DIR")]
    images: Option<Utf8PathBuf>,
}

impl Up {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let name = match &self.name {
            Some(n) => n.clone(),
            None => name_of(&self.dir)?,
        };
        let params = self.parameters()?;
        let bundle = Bundle::read(&self.dir, &Images::around(&self.dir, self.images.clone()))?;
        let flavour = bundle.nsd.descriptor.default_flavour.to_string();
        let ask = json!({ "nsFlavourId": flavour, "additionalParamsForNs": params });
        let known = Known::read(client, &bundle)?;
        if self.plan {
            return plan::show(client, out, &bundle, &known, &name, &ask);
        }
        known.onboard(client, out, &bundle)?;
        let path = self.instantiate(client, out, &name, &bundle.nsd.descriptor, &ask)?;
        let ns = client.get(&path)?;
        if out.json {
            out.value(&ns);
            return Ok(());
        }
        out.done(
            &Value::Null,
            &format!("\n{}{}\n\n{}", service::tables(&ns, &service::segments(client, &ns)?), forwards(&bundle), next(&ns)),
        );
        Ok(())
    }

    fn parameters(&self) -> Result<Value, Failure> {
        let mut all: Map<String, Value> = request(self.params_file.as_deref())?;
        if let Value::Object(given) = key_values(&self.params)? {
            all.extend(given);
        }
        let mut keys = Vec::new();
        for file in &self.ssh_keys {
            let text = std::fs::read_to_string(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
            keys.extend(
                public_keys(&text).ok_or_else(|| Failure::Usage(format!("{file} holds no public key; name the file that ends in .pub")))?,
            );
        }
        if !keys.is_empty() {
            all.insert("ssh_keys".into(), json!(keys));
        }
        Ok(Value::Object(all))
    }

    /// Brings the service up unless it is; gives its path.
    fn instantiate(&self, client: &Client, out: &Out, name: &str, nsd: &Nsd, ask: &Value) -> Result<String, Failure> {
        let patience = Duration::from_secs(self.timeout);
        let (path, fresh) = match NSS.maybe(client, name)? {
            Some(path) => (path, false),
            None => {
                let body = json!({ "nsdId": nsd.id.as_str(), "nsName": name, "nsDescription": "" });
                let made = client.post(NSS.path, &body)?.body;
                let id = made["id"].as_str().ok_or_else(|| Failure::Here("the daemon made a network service without an id".into()))?;
                (format!("{}/{id}", NSS.path), true)
            }
        };
        if !fresh {
            let ns = client.get(&path)?;
            if ns["nsdId"] != nsd.id.as_str() {
                let text =
                    format!("there is a network service '{name}' of another NSD ({}); give this one another --name", plain(&ns["nsdId"]));
                return Err(Failure::Here(text));
            }
            if let Some(op) = unfinished(client, &ns["id"])? {
                let id = plain(&op["id"]);
                if is_at_rest(&plain(&op["operationState"])) {
                    let what = format!("network service '{name}' is stuck in operation {id} ({}); {}", kind(&op), next_of_failed(&id));
                    return Err(Failure::operation(&what, &op["error"]));
                }
                out.say(&format!("operation {} ({}) of network service {name} is under way", short(&id), kind(&op)));
                ended(client, out, &follow(client, &format!("{NS_OPS}/{id}"), patience)?)?;
            }
            if client.get(&path)?["nsState"] == "INSTANTIATED" {
                out.say(&format!("network service {name} is up already"));
                return Ok(path);
            }
        }
        let accepted = client.post(&format!("{path}/instantiate"), ask).inspect_err(|_| {
            if fresh {
                // Refused as a whole: no empty record stays behind.
                let _ = client.delete(&path);
            }
        })?;
        let op = accepted.location.ok_or_else(|| Failure::Here("the daemon accepted the request but named no operation".into()))?;
        out.say(&format!("instantiating network service {name}, operation {}", short(op.rsplit('/').next().unwrap_or(&op))));
        ended(client, out, &follow(client, &op, patience)?)?;
        Ok(path)
    }
}

/// The outcome of an operation; in JSON, only that of the whole command is printed.
pub fn ended(client: &Client, out: &Out, op: &Value) -> Result<(), Failure> {
    if out.json && op["operationState"] == "COMPLETED" {
        return Ok(());
    }
    told(client, out, op)
}

/// The operation on a service that has not come to its end, if any.
pub fn unfinished(client: &Client, ns: &Value) -> Result<Option<Value>, Failure> {
    let Value::Array(all) = client.get(NS_OPS)? else { return Ok(None) };
    let open = |o: &&Value| {
        o["nsInstanceId"] == *ns && matches!(o["operationState"].as_str(), Some("PROCESSING" | "ROLLING_BACK" | "FAILED_TEMP"))
    };
    // In full: lists leave the error out.
    all.iter().find(open).map(|o| client.get(&format!("{NS_OPS}/{}", plain(&o["id"])))).transpose()
}

/// The last part of the folder's path, as it is and not as it was typed (`.`).
pub fn name_of(dir: &Utf8PathBuf) -> Result<String, Failure> {
    let whole = dir.canonicalize_utf8().map_err(|e| Failure::here(format!("cannot read the folder {dir}"), e))?;
    whole.file_name().map(str::to_owned).ok_or_else(|| Failure::Usage(format!("{dir} has no name: give --name")))
}

fn public_keys(text: &str) -> Option<Vec<String>> {
    let keys: Vec<String> = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect();
    let is_key = |k: &String| k.split_whitespace().any(|w| w.starts_with("ssh-") || w.starts_with("ecdsa-") || w.starts_with("sk-"));
    (!keys.is_empty() && keys.iter().all(is_key)).then_some(keys)
}

/// Ports of the host that lead to guests, as the NSD says.
fn forwards(bundle: &Bundle) -> String {
    let nsd = &bundle.nsd.descriptor;
    let links = nsd.flavour(&nsd.default_flavour).map(|f| f.links.as_slice()).unwrap_or_default();
    let line = |f: &Forward| {
        let proto = match f.proto {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        };
        format!("\n  {proto} port {} of this host leads to {}, port {}", f.host_port, f.to, f.to_port)
    };
    let all: String = links.iter().flat_map(|l| &l.profile.forwards).map(line).collect();
    if all.is_empty() { all } else { format!("\n\nForwards:{all}") }
}

fn next(ns: &Value) -> String {
    let name = plain(&ns["nsInstanceName"]);
    let first = ns["vnfInstance"][0]["vnfInstanceName"].as_str().unwrap_or("VNF").to_owned();
    format!(
        "Next:\n  bothy ns show {name}\n  bothy vnf console {first}      (leave it with Ctrl-])\n  bothy vnf logs {first}\n  bothy op list\n  bothy down {name}"
    )
}

/// What of a bundle the daemon has.
pub struct Known {
    /// In the order of the bundle's VNF packages.
    pub vnfs: Vec<Option<Held>>,
    pub nsd: Option<Held>,
}

/// A package or NSD that the daemon has under the same descriptor id.
pub struct Held {
    pub id: String,
    /// Its archive has other bytes than ours.
    pub differs: bool,
}

impl Known {
    fn read(client: &Client, bundle: &Bundle) -> Result<Known, Failure> {
        let (packages, nsds) = (VNFPKGS.list(client)?, NSDS.list(client)?);
        let held = |all: &[Value], member: &str, id: &str| all.iter().find(|p| p[member] == id).map(|p| plain(&p["id"]));
        let mut vnfs = Vec::new();
        for v in &bundle.vnfs {
            vnfs.push(match held(&packages, "vnfdId", &v.descriptor.id) {
                None => None,
                Some(id) => {
                    let info = client.get(&format!("{}/{id}", VNFPKGS.path))?;
                    let theirs = info["checksum"]["hash"].as_str().unwrap_or_default();
                    Some(Held { differs: !theirs.eq_ignore_ascii_case(&v.digest), id })
                }
            });
        }
        let nsd = match held(&nsds, "nsdId", &bundle.nsd.descriptor.id) {
            None => None,
            Some(id) => {
                // NsdInfo has no checksum; the archive itself is small.
                let mut hash = Sha256::new();
                client.download(&format!("{}/{id}/nsd_content", NSDS.path), &mut hash)?;
                Some(Held { differs: data_encoding::HEXLOWER.encode(&hash.finalize()) != bundle.nsd.digest, id })
            }
        };
        Ok(Known { vnfs, nsd })
    }

    fn onboard(&self, client: &Client, out: &Out, bundle: &Bundle) -> Result<(), Failure> {
        for (ours, held) in bundle.vnfs.iter().zip(&self.vnfs) {
            let name = vnf_name(ours);
            match held {
                Some(h) => out.say(&h.text(&format!("VNF package {name}"))),
                None => {
                    let done = onboard::quietly(client, &onboard::VNF_PACKAGE, &ours.archive).map_err(|f| f.about(&name))?;
                    out.say(&format!("VNF package {name}: onboarded as {}", short(&plain(&done["id"]))));
                }
            }
        }
        let name = nsd_name(&bundle.nsd);
        match &self.nsd {
            Some(h) => out.say(&h.text(&format!("NSD {name}"))),
            None => {
                let done = onboard::quietly(client, &onboard::NSD, &bundle.nsd.archive).map_err(|f| f.about(&name))?;
                out.say(&format!("NSD {name}: onboarded as {}", short(&plain(&done["id"]))));
            }
        }
        Ok(())
    }
}

impl Held {
    pub fn text(&self, what: &str) -> String {
        let id = short(&self.id);
        if self.differs {
            format!(
                "{what}: {id} has the same descriptor id but other content; it is used as it is. To use the new one, give it a new id, or take the old one away (bothy down --purge)"
            )
        } else {
            format!("{what}: onboarded already as {id}")
        }
    }
}

pub fn vnf_name(v: &Ready<Vnfd>) -> String {
    format!("{} {}", v.descriptor.product_name, v.descriptor.version)
}

pub fn nsd_name(n: &Ready<Nsd>) -> String {
    format!("{} {}", n.descriptor.name, n.descriptor.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_are_taken() {
        let one = "# mine\nssh-ed25519 AAAA me@host\n\n";
        assert_eq!(public_keys(one), Some(vec!["ssh-ed25519 AAAA me@host".to_owned()]));
        for bad in ["", "\n#\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n"] {
            assert_eq!(public_keys(bad), None, "{bad}");
        }
    }
}
