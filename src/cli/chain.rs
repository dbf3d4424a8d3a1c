//! `bothy chain`: service function chains with their counters, and their change while they run.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    names::{list, short},
    net::owners,
    ns::NSS,
    output::{Out, align, plain},
};

#[derive(Subcommand)]
pub enum Chain {
    /// Every chain: its service, its traffic, its functions
    List,
    /// One chain, with what went by each of its functions
    Show {
        /// By its id or the beginning of it, or by its path's name if only one has it
        chain: String,
    },
    /// Lead a running chain by other functions, or in another order
    Change {
        /// By its id or the beginning of it, or by its path's name if only one has it
        chain: String,
        /// All its functions in their order, by VNF profile, with commas between; one that was never in the chain and
        /// has no position in the NSD, or several, with its connection points: NAME:IN/OUT, or NAME:BOTH. An empty one: none
        #[arg(long, value_name = "NAME[:IN[/OUT]],...")]
        functions: String,
        /// Say what would change for which traffic, and change nothing
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// End a handover: connections that are still on the way before take the new one now, and may break
    Settle {
        /// By its id or the beginning of it, or by its path's name if only one has it
        chain: String,
    },
}

impl Chain {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let Value::Array(all) = client.get("/bothy/v1/chains")? else {
            return Err(Failure::Here("the daemon gave no list of chains".into()));
        };
        match self {
            Chain::List => {
                let owners = owners(client)?;
                let row = |c: &Value| {
                    let owner = owners.get(&plain(&c["ns"])).cloned().unwrap_or_else(|| "-".into());
                    let hops: Vec<String> = list(c, "hops").iter().map(|h| plain(&h["name"])).collect();
                    let missing = list(c, "hops").iter().any(|h| h["live"] == 0);
                    let state = match (missing, c["handover"].is_object()) {
                        (true, _) => format!("{} ({})", plain(&c["state"]), plain(&c["onLoss"])),
                        (false, true) => format!("{} ({})", plain(&c["state"]), plain(&c["handover"]["stage"])),
                        (false, false) => plain(&c["state"]),
                    };
                    vec![short(&plain(&c["id"])).to_owned(), plain(&c["nfp"]), owner, state, plain(&c["classifiers"]), hops.join(" > ")]
                };
                let rows = all.iter().map(row).collect();
                out.table(&Value::Array(all), &["ID", "PATH", "OF", "STATE", "TRAFFIC", "FUNCTIONS"], rows);
                Ok(())
            }
            Chain::Show { chain } => {
                show(find(&all, &chain)?, out);
                Ok(())
            }
            Chain::Settle { chain } => {
                let c = find(&all, &chain)?;
                client.post(&format!("/bothy/v1/chains/{}/settle", plain(&c["id"])), &Value::Null)?;
                out.done(c, &format!("chain {} has one way", plain(&c["nfp"])));
                Ok(())
            }
            Chain::Change { chain, functions, plan, wait } => {
                let c = find(&all, &chain)?;
                let at = format!("{}/{}", NSS.path, plain(&c["ns"]));
                let request = request(c, &client.get(&at)?, &functions)?;
                if !plan {
                    return accepted(client, out, &client.post(&format!("{at}/update"), &request)?, wait);
                }
                let body = json!({ "update": { "nsInstanceId": c["ns"], "request": request } });
                let plan = client.post("/bothy/v1/plan", &body)?.body;
                out.done(&plan, &changes(&plan));
                Ok(())
            }
        }
    }
}

fn find<'v>(all: &'v [Value], chain: &str) -> Result<&'v Value, Failure> {
    let is = |c: &&Value| c["nfp"] == chain || (chain.len() >= 4 && plain(&c["id"]).starts_with(chain));
    let found: Vec<&Value> = all.iter().filter(is).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Failure::Refused { status: 404, detail: format!("there is no chain '{chain}'"), reasons: Vec::new() }),
        _ => Err(Failure::Usage(format!("'{chain}' could be {} chains: name one by its id (bothy chain list)", found.len()))),
    }
}

/// The chain by these functions, as UpdateNsRequest (SOL005 6.5.2.12) has it: by ids of connection points.
fn request(c: &Value, ns: &Value, functions: &str) -> Result<Value, Failure> {
    let ends = |of: &str| -> Result<Value, Failure> {
        let one = |e: &Value| -> Result<Value, Failure> {
            Ok(match (e["sap"].is_string(), e["pnf"].is_string()) {
                (true, _) => json!({ "sapIds": [e["sap"]] }),
                (false, true) => json!({ "pnfExtCpIds": [format!("{}.{}", plain(&e["pnf"]), plain(&e["cp"]))] }),
                (false, false) => json!({ "vnfExtCpIds": [cp(ns, &plain(&e["vnf"]), &plain(&e["cp"]))?] }),
            })
        };
        let each = list(c, of).iter().map(one);
        Ok(json!({ "cpPairInfo": each.collect::<Result<Vec<_>, Failure>>()? }))
    };
    let mut groups = vec![ends("from")?];
    for f in functions.split(',').map(str::trim).filter(|f| !f.is_empty()) {
        groups.push(function(c, ns, f)?);
    }
    groups.push(ends("to")?);
    let nfp = json!({ "nfpInfoId": c["id"], "cpGroup": groups });
    Ok(json!({ "updateType": "UPDATE_VNFFG", "updateVnffg": [{ "vnffgInfoId": c["vnffg"], "nfp": [nfp] }] }))
}

fn function(c: &Value, ns: &Value, text: &str) -> Result<Value, Failure> {
    let (name, cps) = text.split_once(':').map_or((text, None), |(n, cps)| (n, Some(cps)));
    let known = list(c, "hops").iter().chain(list(c, "idle")).find(|h| h["name"] == name);
    let members = || list(ns, "vnfInstance").iter().filter(|v| is_of(v, ns, name)).map(|v| plain(&v["id"]));
    let (entry, exit, vnfs): (String, String, Vec<String>) = match (cps, known) {
        (Some(cps), _) => {
            let (entry, exit) = cps.split_once('/').unwrap_or((cps, cps));
            (entry.into(), exit.into(), members().collect())
        }
        (None, Some(h)) => {
            let here = |v: &&Value| list(ns, "vnfInstance").iter().any(|i| i["id"] == **v);
            (plain(&h["entry"]), plain(&h["exit"]), list(h, "vnfs").iter().filter(here).map(plain).collect())
        }
        (None, None) if members().next().is_none() => (String::new(), String::new(), Vec::new()),
        (None, None) => {
            return Err(Failure::Usage(format!(
                "'{name}' was never in this chain: write {name}:IN/OUT, the connection points that traffic goes in and comes out by"
            )));
        }
    };
    if vnfs.is_empty() {
        let all: Vec<String> = list(ns, "vnfInstance").iter().map(|v| plain(&v["vnfInstanceName"])).collect();
        return Err(Failure::Usage(format!("the service has no VNF '{name}'; it has {}", all.join(", "))));
    }
    let pair = |vnf: &String| -> Result<Value, Failure> {
        let mut ids = vec![cp(ns, vnf, &entry)?];
        if exit != entry {
            ids.push(cp(ns, vnf, &exit)?);
        }
        Ok(json!({ "vnfExtCpIds": ids }))
    };
    Ok(json!({ "cpPairInfo": vnfs.iter().map(pair).collect::<Result<Vec<_>, _>>()? }))
}

/// A VNF by its name, or by its profile, of which a service makes names: SERVICE-PROFILE, or
/// SERVICE-PROFILE-NUMBER where there are several.
fn is_of(vnf: &Value, ns: &Value, name: &str) -> bool {
    let whole = plain(&vnf["vnfInstanceName"]);
    let of_ns = whole.strip_prefix(&format!("{}-", plain(&ns["nsInstanceName"]))).unwrap_or(&whole);
    let number = of_ns.strip_prefix(name).and_then(|n| n.strip_prefix('-'));
    whole == name || of_ns == name || number.is_some_and(|n| n.parse::<u32>().is_ok())
}

/// The id of a VNF's connection point.
fn cp(ns: &Value, vnf: &str, cpd: &str) -> Result<String, Failure> {
    let of = list(ns, "vnfInstance").iter().find(|v| v["id"] == vnf).map_or(&Value::Null, |v| &v["instantiatedVnfInfo"]);
    let all = list(of, "extCpInfo");
    match all.iter().find(|i| i["cpdId"] == cpd) {
        Some(found) => Ok(plain(&found["id"])),
        None => {
            let known: Vec<String> = all.iter().map(|i| plain(&i["cpdId"])).collect();
            Err(Failure::Usage(format!("VNF {} has no connection point '{cpd}'; it has {}", short(vnf), known.join(", "))))
        }
    }
}

fn changes(plan: &Value) -> String {
    let mut lines = Vec::new();
    for c in list(plan, "changes") {
        let path = |m: &str| Some(plain(&c[m])).filter(|_| !list(c, m).is_empty()).unwrap_or_else(|| "no function".into());
        lines.push(format!("chain {}\n  now:  {}\n  then: {}", plain(&c["nfp"]), path("before"), path("after")));
        lines.extend(list(c, "cutover").iter().map(|l| format!("  {}", plain(l))));
        if list(c, "cutover").is_empty() {
            lines.push("  nothing would change".into());
        }
    }
    lines.extend(list(plan, "warnings").iter().map(|w| format!("warning: {}", plain(w))));
    lines.push("Nothing was changed.".into());
    lines.join("\n")
}

fn show(c: &Value, out: &Out) {
    let members = ["id", "vnffg", "state", "classifiers", "symmetric", "onLoss"];
    let head = members.iter().map(|m| format!("{m}: {}", plain(&c[*m])));
    let mut head: Vec<String> = std::iter::once(format!("chain {}", plain(&c["nfp"]))).chain(head).collect();
    let h = &c["handover"];
    if h.is_object() {
        let before: Vec<String> = list(h, "before").iter().map(plain).collect();
        let by = if before.is_empty() { "its link".to_owned() } else { before.join(", ") };
        let (stage, until, kept) = (plain(&h["stage"]), plain(&h["until"]), plain(&h["kept"]["packets"]));
        head.push(format!("{stage} until {until}: connections by {by} stay there ({kept} packets since)"));
    }
    let counts = |v: &Value| ["out", "back"].map(|w| plain(&v[w]["packets"]));
    let row = |h: &Value| {
        let [out, back] = counts(h);
        vec![plain(&h["name"]), plain(&h["kind"]), plain(&h["live"]), out, back]
    };
    let [left, returned] = counts(c);
    let mut rows: Vec<Vec<String>> = list(c, "hops").iter().map(row).collect();
    rows.push(vec!["(end)".into(), "-".into(), "-".into(), left, returned]);
    let table = align(&["FUNCTION", "KIND", "LIVE", "PACKETS OUT", "BACK"], &rows);
    out.done(c, &format!("{}\n\n{table}", head.join("\n  ")));
}
