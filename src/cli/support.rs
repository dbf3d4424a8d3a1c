//! `bothy support` and `bothy explain`

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _};

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::{Failure, visible},
    names::{guests, list},
    ns::NSS,
    op,
    output::{Out, plain},
    vnf::VNFS,
};

#[derive(Args)]
pub struct Explain {
    /// A network service, VNF, VNF/VDU[/NUMBER], virtual link, port, disk or operation, by name or id
    #[arg(value_name = "NAME|ID")]
    what: String,
}

impl Explain {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let id = resolve(client, &self.what)?;
        let v = client.get(&format!("/bothy/v1/explain/{id}"))?;
        let because = list(&v, "because").iter().map(|b| format!("\n  - {}", plain(b)));
        out.done(&v, &format!("{} {}: {}{}", plain(&v["kind"]), plain(&v["id"]), visible(&plain(&v["text"])), because.collect::<String>()));
        Ok(())
    }
}

/// The id of whatever is called so: services first, then VNFs, guests, links, operations.
fn resolve(client: &Client, named: &str) -> Result<String, Failure> {
    if uuid::Uuid::parse_str(named).is_ok() {
        return Ok(named.to_owned());
    }
    let last = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    if let Some((vnf, vdu)) = named.split_once('/') {
        let info = client.get(&VNFS.find(client, vnf)?)?;
        let is = |(c, i): &(&Value, usize)| c["vduId"] == vdu || format!("{}/{i}", plain(&c["vduId"])) == vdu;
        let found: Vec<_> = guests(&info["instantiatedVnfInfo"]).into_iter().filter(is).collect();
        return match found[..] {
            [(one, _)] => Ok(plain(&one["id"])),
            [] => Err(absent(&format!("VNF {vnf} has no guest '{vdu}'"))),
            _ => Err(Failure::Usage(format!("VNF {vnf} has {} guests of VDU {vdu}: name one as {vnf}/{vdu}/NUMBER", found.len()))),
        };
    }
    if let Some(path) = NSS.maybe(client, named)? {
        return Ok(last(path));
    }
    if let Some(path) = VNFS.maybe(client, named)? {
        return Ok(last(path));
    }
    let networks = client.get("/bothy/v1/networks")?;
    let is = |s: &&Value| s["link"] == named || (named.len() >= 4 && plain(&s["id"]).starts_with(named));
    let links: Vec<&Value> = networks.as_array().into_iter().flatten().filter(is).collect();
    match links[..] {
        [one] => return Ok(plain(&one["id"])),
        [] => {}
        _ => return Err(Failure::Usage(format!("'{named}' could be {} virtual links: name one by its id (bothy net list)", links.len()))),
    }
    match op::find(client, named) {
        Ok(path) => Ok(last(path)),
        Err(Failure::Refused { status: 404, .. }) => Err(absent(&format!(
            "no network service, VNF, virtual link or operation is called '{named}'; ports and disks go by their whole id"
        ))),
        Err(f) => Err(f),
    }
}

fn absent(detail: &str) -> Failure {
    Failure::Refused { status: 404, detail: detail.to_owned(), reasons: Vec::new() }
}

#[derive(Args)]
pub struct Support {
    /// The archive to write
    #[arg(long, short, default_value = "bothy-support.tar", value_name = "FILE")]
    output: Utf8PathBuf,
}

impl Support {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let bad = |e: std::io::Error| Failure::here(format!("cannot write {}", self.output), e);
        // It holds no secrets, but much that is nobody else's business.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.output).map_err(bad)?;
        match client.download("/bothy/v1/support", &mut file) {
            Ok(bytes) => {
                let size = crate::model::size::Bytes(bytes);
                out.done(&json!({ "file": self.output, "bytes": bytes }), &format!("{} ({size})", self.output));
                Ok(())
            }
            Err(f) => {
                let _ = std::fs::remove_file(&self.output);
                Err(f)
            }
        }
    }
}
