//! `bothy up --plan`: what would be made, or why not. Touches nothing.

use camino::Utf8Path;
use hyper::Method;
use serde_json::{Value, json};

use super::{
    bundle::Bundle,
    client::Client,
    failure::Failure,
    names::{Names, list},
    ns::NSS,
    onboard::sent,
    output::{Out, align, plain},
    up::{Known, nsd_name, vnf_name},
};
use crate::model::order::Order as _;

pub fn show(client: &Client, out: &Out, bundle: &Bundle, known: &Known, name: &str, ask: &Value) -> Result<(), Failure> {
    if let Some(path) = NSS.maybe(client, name)? {
        let ns = client.get(&path)?;
        if ns["nsState"] == "INSTANTIATED" {
            out.say(&format!(
                "a network service {name} is up already: `bothy up` would leave it as it is; this is the plan for another one"
            ));
        }
    }
    let missing = onboarding(bundle, known, out);
    let body = json!({ "ns": { "nsdId": bundle.nsd.descriptor.id.as_str(), "name": name, "request": ask } });
    if missing.is_empty() {
        let plan = client.post("/bothy/v1/plan", &body)?.body;
        out.done(&plan, &text(&plan));
        return Ok(());
    }
    // What the daemon has not got goes along, for it to look at and throw away.
    let archives: Vec<&Utf8Path> = missing.iter().map(|(_, archive)| *archive).collect();
    let file = bundle.pack(&body, &archives)?;
    let size = std::fs::metadata(&file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?.len();
    let answer = sent(client, Method::POST, "/bothy/v1/plan/bundle", &file, size)?;
    let mut plan: Value = serde_json::from_slice(&answer).map_err(|e| Failure::here("the answer is not JSON", e))?;
    let shown = text(&plan);
    plan["onboard"] = missing.into_iter().map(|(what, _)| what).collect();
    out.done(&plan, &shown);
    Ok(())
}

/// Says what is onboarded; gives what would be, with its archive.
fn onboarding<'a>(bundle: &'a Bundle, known: &Known, out: &Out) -> Vec<(String, &'a Utf8Path)> {
    let vnfs = bundle.vnfs.iter().zip(&known.vnfs).map(|(v, h)| (format!("VNF package {}", vnf_name(v)), &v.digest, &v.archive, h));
    let nsd = (format!("NSD {}", nsd_name(&bundle.nsd)), &bundle.nsd.digest, &bundle.nsd.archive, &known.nsd);
    let mut missing = Vec::new();
    for (what, digest, archive, held) in vnfs.chain(std::iter::once(nsd)) {
        match held {
            Some(h) => out.say(&h.text(&what)),
            None => {
                out.say(&format!("{what}: would be onboarded (SHA-256 {}...)", &digest[..12]));
                missing.push((what, archive.as_path()));
            }
        }
    }
    missing
}

/// A plan as the daemon made it.
pub fn text(plan: &Value) -> String {
    let names = names(plan);
    let mut parts = Vec::new();
    let link =
        |l: &Value| vec![plain(&l["link"]), plain(&l["vlan"]), plain(&l["networks"]), plain(&l["addresses"]), plain(&l["physicalNetwork"])];
    let mut links: Vec<&Value> = list(plan, "links").iter().collect();
    links.order_by_key(|l| l["vlan"].as_u64());
    let links: Vec<Vec<String>> = links.into_iter().map(link).collect();
    if !links.is_empty() {
        parts.push(align(&["LINK", "VLAN", "NETWORKS", "HOST", "PHYSICAL"], &links));
    }
    let removed: Vec<String> = list(plan, "removed").iter().map(|v| plain(&v["name"])).collect();
    if !removed.is_empty() {
        parts.push(format!("These would go: {}", removed.join(", ")));
    }
    let guests: Vec<Vec<String>> = each_guest(plan).map(|(v, g)| guest(v, g)).collect();
    parts.push(align(&["GUEST", "DOMAIN", "CPUS", "MIB", "DISKS"], &guests));
    let package = &plan["package"];
    let product =
        |of: &Value| vec![plain(&of["vnfProductName"]), plain(&of["vnfSoftwareVersion"]), plain(&of["vnfdVersion"]), plain(&of["vnfdId"])];
    if package.is_object() {
        let rows = [("before", "before"), ("after", "after")].map(|(when, key)| [vec![when.to_owned()], product(&package[key])].concat());
        parts.push(align(&["", "PRODUCT", "SOFTWARE", "VNFD VERSION", "VNFD"], &rows));
    }
    let fate = |d: &Value| vec![plain(&d["guest"]), plain(&d["storage"]), plain(&d["fate"]).to_lowercase()];
    let fates: Vec<Vec<String>> = list(plan, "disks").iter().map(fate).collect();
    if !fates.is_empty() {
        parts.push(align(&["GUEST", "DISK", "WOULD BE"], &fates));
    }
    let places: Vec<Vec<String>> =
        each_guest(plan).filter(|(_, g)| g["placement"].is_string()).map(|(v, g)| vec![called(v, g), plain(&g["placement"])]).collect();
    if !places.is_empty() {
        parts.push(align(&["GUEST", "PLACE ON THE HOST"], &places));
    }
    let ports: Vec<Vec<String>> = each_guest(plan).flat_map(|(v, g)| ports(v, g)).collect();
    parts.push(align(&["GUEST", "PORT", "LINK", "MAC", "ADDRESSES"], &ports));
    let hops = |c: &Value| list(c, "hops").iter().map(|h| plain(&h["name"])).collect::<Vec<_>>().join(" > ");
    let chain = |c: &Value| vec![plain(&c["nfp"]), plain(&c["classifiers"]), hops(c), plain(&c["onLoss"])];
    let chains: Vec<Vec<String>> = list(plan, "chains").iter().map(chain).collect();
    if !chains.is_empty() {
        parts.push(align(&["CHAIN", "TRAFFIC", "FUNCTIONS", "WITHOUT ONE"], &chains));
    }
    let step = |s: &Value| vec![plain(&s["vnf"]), plain(&s["index"]), names.dress(&plain(&s["label"])).into_owned(), plain(&s["after"])];
    let steps: Vec<Vec<String>> = list(plan, "steps").iter().map(step).collect();
    parts.push(align(&["VNF", "#", "STEP", "AFTER"], &steps));
    parts.extend(list(plan, "warnings").iter().map(|w| format!("warning: {}", plain(w))));
    // Each plan draws its own; only what is there already keeps them.
    parts.push(
        "Nothing was made. What is new gets its id, its domain's name and its MAC addresses when it is accepted: others than these.".into(),
    );
    format!("\n{}", parts.join("\n\n"))
}

fn each_guest(plan: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    list(plan, "vnfs").iter().flat_map(|v| list(v, "guests").iter().map(move |g| (v, g)))
}

/// A guest as commands take it.
fn called(vnf: &Value, guest: &Value) -> String {
    format!("{}/{}", plain(&vnf["name"]), plain(&guest["vdu"]))
}

/// What the steps name: links, and guests without their VNF, which stands beside them.
fn names(plan: &Value) -> Names {
    let mut names = Names::default();
    for l in list(plan, "links") {
        names.put(&l["id"], l["link"].as_str().unwrap_or_default());
    }
    for c in list(plan, "chains") {
        names.put(&c["id"], c["nfp"].as_str().unwrap_or_default());
    }
    // A VNF that was only planned has no name in its service's steps: they are in the order of the VNFs.
    let vnf_of = |s: &Value| Some(Value::from(s["label"].as_str()?.strip_prefix("instantiate VNF ")?));
    let members: Vec<Value> = list(plan, "steps").iter().filter_map(vnf_of).collect();
    let vnfs = list(plan, "vnfs");
    if members.len() == vnfs.len() {
        for (id, v) in members.iter().zip(vnfs) {
            names.put(id, v["name"].as_str().unwrap_or_default());
        }
    }
    for v in list(plan, "removed") {
        names.put(&v["id"], v["name"].as_str().unwrap_or_default());
    }
    for (_, g) in each_guest(plan) {
        names.put(&g["id"], g["vdu"].as_str().unwrap_or_default());
    }
    names
}

fn guest(v: &Value, g: &Value) -> Vec<String> {
    let disks: Vec<String> = list(g, "disks").iter().map(|d| format!("{} ({} MiB)", plain(&d["storage"]), plain(&d["sizeMib"]))).collect();
    vec![called(v, g), plain(&g["domain"]), plain(&g["vcpus"]), plain(&g["memoryMib"]), disks.join(", ")]
}

fn ports(v: &Value, g: &Value) -> Vec<Vec<String>> {
    let mut name = called(v, g);
    let row = |p: &Value| {
        let first = std::mem::take(&mut name);
        let cp = p["tag"].as_u64().map_or_else(|| plain(&p["cp"]), |t| format!("{} (tag {t})", plain(&p["cp"])));
        vec![first, cp, plain(&p["link"]), plain(&p["mac"]), plain(&p["addresses"])]
    };
    list(g, "ports").iter().map(row).collect()
}
