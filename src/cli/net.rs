//! `bothy net`: the segments of the switch, and a picture of all of them.

use std::{collections::BTreeMap, fs::File, io::IsTerminal};

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    draw,
    failure::Failure,
    names::{list, short},
    ns::NSS,
    output::{Out, align, plain},
    topology::{Facts, Topology},
    vnf::VNFS,
};
use crate::model::order::Order as _;

#[derive(Subcommand)]
pub enum Net {
    /// Every virtual link: its VLAN on the switch, its networks, the host's own addresses
    List,
    /// A picture of all links, ports, functions of cards and chains with what went by them; or one link with
    /// every port on it
    Show {
        /// By its id or the beginning of it, or by its name if only one has it
        #[arg(conflicts_with_all = ["dot", "svg"])]
        link: Option<String>,
        /// For Graphviz
        #[arg(long, conflicts_with = "svg")]
        dot: bool,
        /// As an image
        #[arg(long)]
        svg: bool,
    },
    /// What passes a link, as a file that tcpdump and Wireshark read: bothy net capture lan | tcpdump -r -
    Capture {
        /// By its id or the beginning of it, or by its name if only one has it
        link: String,
        /// One of its ports by its name on the switch; absent: all of them but transparent functions'
        #[arg(long)]
        port: Option<String>,
        /// For how long at most
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// How many packets at most
        #[arg(long, default_value_t = 10_000)]
        packets: u64,
        /// To this file, and not to the standard output
        #[arg(short, long)]
        write: Option<Utf8PathBuf>,
    },
}

impl Net {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let Value::Array(mut all) = client.get("/bothy/v1/networks")? else {
            return Err(Failure::Here("the daemon gave no list of networks".into()));
        };
        all.order_by_key(|s| s["vlan"].as_u64());
        match self {
            Net::List => {
                let owners = owners(client)?;
                let row = |s: &Value| {
                    let owner =
                        owners.get(&plain(&s["ns"])).or_else(|| owners.get(&plain(&s["vnf"]))).cloned().unwrap_or_else(|| "-".into());
                    let ports = list(s, "stations").len().to_string();
                    let id = short(&plain(&s["id"])).to_owned();
                    vec![id, plain(&s["link"]), owner, plain(&s["vlan"]), ports, plain(&s["networks"]), plain(&s["addresses"])]
                };
                let rows = all.iter().map(row).collect();
                out.table(&Value::Array(all), &["ID", "LINK", "OF", "VLAN", "PORTS", "NETWORKS", "HOST"], rows);
                Ok(())
            }
            Net::Show { link: None, dot, svg } => picture(client, out, &all, dot, svg),
            Net::Show { link: Some(link), .. } => {
                show(find(&all, &link)?, out);
                Ok(())
            }
            Net::Capture { link, port, seconds, packets, write } => {
                let id = plain(&find(&all, &link)?["id"]);
                let port = port.map(|p| format!("&port={p}")).unwrap_or_default();
                let path = format!("/bothy/v1/networks/{id}/capture?seconds={seconds}&packets={packets}{port}");
                match write {
                    Some(file) => {
                        let mut to = File::create(&file).map_err(|e| Failure::here(format!("cannot write {file}"), e))?;
                        client.download(&path, &mut to)?;
                    }
                    None if std::io::stdout().is_terminal() => {
                        return Err(Failure::Usage("packets are not for a terminal: write -w FILE, or pipe them to tcpdump -r -".into()));
                    }
                    None => {
                        client.download(&path, &mut std::io::stdout())?;
                    }
                }
                Ok(())
            }
        }
    }
}

fn find<'v>(all: &'v [Value], link: &str) -> Result<&'v Value, Failure> {
    let is = |s: &&Value| s["link"] == link || (link.len() >= 4 && plain(&s["id"]).starts_with(link));
    let found: Vec<&Value> = all.iter().filter(is).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Failure::Refused { status: 404, detail: format!("there is no virtual link '{link}'"), reasons: Vec::new() }),
        _ => Err(Failure::Usage(format!("'{link}' could be {} virtual links: name one by its id (bothy net list)", found.len()))),
    }
}

fn picture(client: &Client, out: &Out, networks: &[Value], dot: bool, svg: bool) -> Result<(), Failure> {
    let chains = client.get("/bothy/v1/chains")?;
    // The host's hardware is not everybody's to see.
    let usage = match client.get("/bothy/v1/host/usage") {
        Err(Failure::Refused { status: 403, .. }) => Value::Null,
        other => other?,
    };
    let owners = owners(client)?;
    let (chains, cards) = (chains.as_array().map_or(&[][..], Vec::as_slice), list(&usage, "cards"));
    let drawn = Topology::of(&Facts { networks, chains, cards, owners: &owners });
    let text = match (dot, svg) {
        (true, _) => draw::dot(&drawn),
        (false, true) => draw::svg(&drawn),
        (false, false) => draw::text(&drawn),
    };
    out.done(&json!({ "networks": networks, "chains": chains, "cards": cards }), text.trim_end());
    Ok(())
}

fn show(s: &Value, out: &Out) {
    let members = ["id", "vlan", "state", "networks", "addresses", "interface", "physicalNetwork", "mtu", "dhcp", "nat"];
    let through = tunnel(&s["tunnel"]).map(|t| format!("tunnel: {t}"));
    let head = members.iter().filter(|m| !s[**m].is_null()).map(|m| format!("{m}: {}", plain(&s[*m])));
    let head: Vec<String> = std::iter::once(format!("link {}", plain(&s["link"]))).chain(head).chain(through).collect();
    let row = |t: &Value| {
        let tag = t["tag"].as_u64().map(|n| format!(" (tag {n})")).unwrap_or_default();
        vec![plain(&t["hostname"]) + &tag, plain(&t["mac"]), plain(&t["addresses"])]
    };
    let plug =
        |p: &Value| vec![format!("{} (physical box, {})", plain(&p["name"]), plain(&p["cp"])), plain(&p["mac"]), plain(&p["addresses"])];
    let rows: Vec<Vec<String>> = list(s, "stations").iter().map(row).chain(list(s, "pnfs").iter().map(plug)).collect();
    let ports = if rows.is_empty() { String::new() } else { format!("\n\n{}", align(&["GUEST", "MAC", "ADDRESSES"], &rows)) };
    out.done(s, &format!("{}{ports}", head.join("\n  ")));
}

/// How a link leads to its remote ends.
pub fn tunnel(t: &Value) -> Option<String> {
    let vni = t["vni"].as_u64().map(|v| format!(", VNI {v}")).unwrap_or_default();
    let heard = t["silent"].as_array().map(|all| match all.is_empty() {
        true => ", answering".to_owned(),
        false => format!(" (no answer from {})", plain(&t["silent"])),
    });
    t.is_object().then(|| format!("{} to {}{vni}{}", plain(&t["type"]), plain(&t["remotes"]), heard.unwrap_or_default()))
}

/// Names of network services and VNFs by id.
pub fn owners(client: &Client) -> Result<BTreeMap<String, String>, Failure> {
    let mut all = BTreeMap::new();
    for (kind, name) in [(&NSS, "nsInstanceName"), (&VNFS, "vnfInstanceName")] {
        all.extend(kind.list(client)?.iter().map(|v| (plain(&v["id"]), plain(&v[name]))));
    }
    Ok(all)
}
