//! `bothy up --plan`: what would be made, or why not. Touches nothing.

use serde_json::{Value, json};

use super::{
    bundle::Bundle,
    client::Client,
    failure::Failure,
    names::{Names, list},
    ns::NSS,
    output::{Out, align, plain},
    up::{Known, nsd_name, vnf_name},
};
use crate::model::vnfd::{CpLink, Vdu, Vnfd};

pub fn show(client: &Client, out: &Out, bundle: &Bundle, known: &Known, name: &str, ask: &Value) -> Result<(), Failure> {
    if let Some(path) = NSS.maybe(client, name)? {
        let ns = client.get(&path)?;
        if ns["nsState"] == "INSTANTIATED" {
            out.say(&format!(
                "a network service {name} is up already: `bothy up` would leave it as it is; this is the plan for another one"
            ));
        }
    }
    let missing: Vec<String> = onboarding(bundle, known, out);
    if !known.is_complete() {
        if out.json {
            out.value(&json!({ "onboard": missing, "steps": [], "warnings": [] }));
            return Ok(());
        }
        let rows: Vec<Vec<String>> = bundle.vnfs.iter().flat_map(|v| guests(&v.descriptor)).collect();
        let head = &["VNF", "VDU", "GUESTS", "CPUS", "MEMORY", "DISKS", "NICS"];
        out.done(
            &Value::Null,
            &format!(
                "\nAs the descriptors say:\n\n{}\n\n{}\n\nLinks, names, addresses and the order of steps are planned once the packages are onboarded; `bothy up` does both.",
                links(bundle),
                align(head, &rows)
            ),
        );
        return Ok(());
    }
    let body = json!({ "ns": { "nsdId": bundle.nsd.descriptor.id.as_str(), "name": name, "request": ask } });
    let plan = client.post("/bothy/v1/plan", &body)?.body;
    out.done(&plan, &text(&plan));
    Ok(())
}

/// Says what is onboarded; gives what would be.
fn onboarding(bundle: &Bundle, known: &Known, out: &Out) -> Vec<String> {
    let vnfs = bundle.vnfs.iter().zip(&known.vnfs).map(|(v, h)| (format!("VNF package {}", vnf_name(v)), &v.digest, h));
    let nsd = std::iter::once((format!("NSD {}", nsd_name(&bundle.nsd)), &bundle.nsd.digest, &known.nsd));
    let mut missing = Vec::new();
    for (what, digest, held) in vnfs.chain(nsd) {
        match held {
            Some(h) => out.say(&h.text(&what)),
            None => {
                out.say(&format!("{what}: would be onboarded (SHA-256 {}...)", &digest[..12]));
                missing.push(what);
            }
        }
    }
    missing
}

fn links(bundle: &Bundle) -> String {
    let nsd = &bundle.nsd.descriptor;
    let all = nsd.flavour(&nsd.default_flavour).map(|f| f.links.as_slice()).unwrap_or_default();
    let row = |l: &crate::model::nsd::NsLink| {
        let networks: Vec<String> = l.profile.layer3.iter().map(|n| n.cidr.to_string()).collect();
        let mut is: Vec<String> = Vec::new();
        if l.profile.management {
            is.push("management".into());
        }
        if l.profile.nat {
            is.push("NAT".into());
        }
        is.extend(l.profile.physical.iter().map(|p| format!("physical network {p}")));
        is.extend(l.profile.forwards.iter().map(|f| format!("host port {} to {}:{}", f.host_port, f.to, f.to_port)));
        vec![l.id.to_string(), networks.join(", "), is.join(", ")]
    };
    align(&["LINK", "NETWORKS", ""], &all.iter().map(row).collect::<Vec<_>>())
}

/// A row for each VDU of the default flavour.
fn guests(vnfd: &Vnfd) -> Vec<Vec<String>> {
    let Some(flavour) = vnfd.flavours.first() else { return Vec::new() };
    let level = flavour.level(&flavour.default_level);
    let count = |vdu: &Vdu| {
        let found = level.and_then(|l| l.counts.iter().find(|(id, _)| *id == vdu.id));
        found.map_or(vdu.min_instances, |(_, n)| *n).to_string()
    };
    let row = |vdu: &Vdu| {
        let disks: Vec<String> = vdu.disks.iter().map(|d| d.size.to_string()).collect();
        let nics: Vec<String> = vdu
            .nics
            .iter()
            .map(|n| match &n.link {
                CpLink::Internal(link) => format!("{} ({link})", n.id),
                CpLink::External(_) => n.id.to_string(),
            })
            .collect();
        let (cpus, memory) = (vdu.vcpus.to_string(), vdu.memory.to_string());
        vec![vnfd.product_name.to_string(), vdu.id.to_string(), count(vdu), cpus, memory, disks.join(", "), nics.join(", ")]
    };
    flavour.vdus.iter().map(row).collect()
}

/// A plan as the daemon made it.
pub fn text(plan: &Value) -> String {
    let names = names(plan);
    let mut parts = Vec::new();
    let link =
        |l: &Value| vec![plain(&l["link"]), plain(&l["vlan"]), plain(&l["networks"]), plain(&l["addresses"]), plain(&l["physicalNetwork"])];
    let mut links: Vec<&Value> = list(plan, "links").iter().collect();
    links.sort_by_key(|l| l["vlan"].as_u64());
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
    parts.push("Nothing was made.".into());
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
        vec![first, plain(&p["cp"]), plain(&p["link"]), plain(&p["mac"]), plain(&p["addresses"])]
    };
    list(g, "ports").iter().map(row).collect()
}
