//! `bothy down`: takes a network service away, and with --purge what it was made of.
//!
//! Idempotent: what is gone already is said and is no fault. Never removes a package or NSD that
//! somebody uses.

use std::time::Duration;

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    follow::{NS_OPS, follow, is_at_rest, kind},
    names::{list, short},
    ns::NSS,
    nsd::NSDS,
    output::{Out, plain},
    resource::Kind,
    up::{ended, name_of, unfinished},
    vnfpkg::VNFPKGS,
};

#[derive(Args)]
pub struct Down {
    /// The network service, or the folder it came up from
    #[arg(value_name = "NAME|DIR")]
    ns: String,
    /// Remove its NSD and VNF packages too, where nobody else uses them
    #[arg(long)]
    purge: bool,
    /// Destroy the guests without asking them, and cancel what is under way
    #[arg(long)]
    force: bool,
    /// Seconds to wait for the operation
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    timeout: u64,
}

impl Down {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let found = NSS.maybe(client, &self.ns)?;
        let dir = Utf8PathBuf::from(&self.ns);
        // A service is looked for by what was typed first: a folder may have its name.
        let (name, found) = if found.is_none() && dir.is_dir() {
            let name = name_of(&dir)?;
            let found = NSS.maybe(client, &name)?;
            (name, found)
        } else {
            (self.ns.clone(), found)
        };
        let nsd = match found {
            Some(path) => {
                let ns = client.get(&path)?;
                self.settle(client, out, &ns)?;
                self.terminate(client, out, &path, &name)?;
                client.delete(&path)?;
                out.say(&format!("network service {name} is gone"));
                Some(format!("{}/{}", NSDS.path, plain(&ns["nsdInfoId"])))
            }
            None => {
                out.say(&format!("there is no network service {name}"));
                // A purge that was cut short goes on with the NSD of that name.
                if self.purge { NSDS.maybe(client, &name)? } else { None }
            }
        };
        let mut removed = Vec::new();
        if let Some(nsd) = nsd.filter(|_| self.purge) {
            purge(client, out, &nsd, &mut removed)?;
        }
        if out.json {
            out.value(&json!({ "networkService": name, "removed": removed }));
        }
        Ok(())
    }

    /// Brings an operation that is not over to its end, so that the service can be terminated.
    fn settle(&self, client: &Client, out: &Out, ns: &Value) -> Result<(), Failure> {
        let patience = Duration::from_secs(self.timeout);
        let Some(op) = unfinished(client, &ns["id"])? else { return Ok(()) };
        let (id, what) = (plain(&op["id"]), kind(&op).to_owned());
        let path = format!("{NS_OPS}/{id}");
        let mut now = op;
        if !is_at_rest(&plain(&now["operationState"])) {
            if !self.force && what != "TERMINATE" {
                let text = format!("operation {id} ({what}) is under way: wait for it (bothy op wait {id}), or cancel it with --force");
                return Err(Failure::Here(text));
            }
            if what != "TERMINATE" {
                out.say(&format!("cancelling operation {} ({what})", short(&id)));
                client.post(&format!("{path}/cancel"), &json!({ "cancelMode": "FORCEFUL" }))?;
            }
            now = follow(client, &path, patience)?;
        }
        if now["operationState"] != "FAILED_TEMP" {
            return Ok(());
        }
        // An instantiation is undone; a termination has to be finished.
        let task = if what == "INSTANTIATE" { "rollback" } else { "retry" };
        out.say(&format!("operation {} ({what}) had failed: {task}", short(&id)));
        client.task(&format!("{path}/{task}"))?;
        let end = follow(client, &path, patience)?;
        if end["operationState"] == "ROLLED_BACK" {
            return Ok(());
        }
        ended(client, out, &end)
    }

    fn terminate(&self, client: &Client, out: &Out, path: &str, name: &str) -> Result<(), Failure> {
        let ns = client.get(path)?;
        if ns["nsState"] != "INSTANTIATED" {
            return Ok(());
        }
        let mut body = json!({});
        if self.force {
            let each = |v: &Value| json!({ "vnfInstanceId": v["id"], "terminationType": "FORCEFUL" });
            body["terminateVnfData"] = list(&ns, "vnfInstance").iter().map(each).collect();
        }
        let accepted = client.post(&format!("{path}/terminate"), &body)?;
        let op = accepted.location.ok_or_else(|| Failure::Here("the daemon accepted the request but named no operation".into()))?;
        out.say(&format!("terminating network service {name}, operation {}", short(op.rsplit('/').next().unwrap_or(&op))));
        ended(client, out, &follow(client, &op, Duration::from_secs(self.timeout))?)
    }
}

/// The NSD, then the packages that no other NSD names.
fn purge(client: &Client, out: &Out, nsd: &str, removed: &mut Vec<String>) -> Result<(), Failure> {
    let info = match client.get(nsd) {
        Ok(info) => info,
        Err(Failure::Refused { status: 404, .. }) => return Ok(()),
        Err(f) => return Err(f),
    };
    if !remove(client, out, &NSDS, &info, "nsdOperationalState", "nsdUsageState", &plain(&info["nsdName"]), removed)? {
        return Ok(());
    }
    let Value::Array(others) = client.get(NSDS.path)? else { return Ok(()) };
    for id in list(&info, "vnfPkgIds") {
        let package = match client.get(&format!("{}/{}", VNFPKGS.path, plain(id))) {
            Ok(p) => p,
            Err(Failure::Refused { status: 404, .. }) => continue,
            Err(f) => return Err(f),
        };
        let name = plain(&package["vnfProductName"]);
        if let Some(other) = others.iter().find(|o| list(o, "vnfPkgIds").contains(id)) {
            out.say(&format!("VNF package {name} stays: NSD {} is made of it", plain(&other["nsdName"])));
            continue;
        }
        remove(client, out, &VNFPKGS, &package, "operationalState", "usageState", &name, removed)?;
    }
    Ok(())
}

/// Disables and deletes, unless it is in use; says which. Gives whether it is gone.
#[expect(clippy::too_many_arguments, reason = "the two kinds differ in these words only")]
fn remove(
    client: &Client,
    out: &Out,
    kind: &Kind,
    info: &Value,
    state: &str,
    usage: &str,
    name: &str,
    removed: &mut Vec<String>,
) -> Result<bool, Failure> {
    if info[usage] == "IN_USE" {
        out.say(&format!("{} {name} stays: it is in use", kind.what));
        return Ok(false);
    }
    let path = format!("{}/{}", kind.path, plain(&info["id"]));
    if info[state] == "ENABLED" {
        client.patch(&path, &json!({ state: "DISABLED" }))?;
    }
    client.delete(&path)?;
    out.say(&format!("{} {name} is removed", kind.what));
    removed.push(path);
    Ok(true)
}
