//! `bothy sdn`: controllers and port maps of the switches outside the box, and links as they are there.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    names::{list, short},
    output::{Out, align, plain, say},
};

const SDN: &str = "/bothy/v1/sdn";

#[derive(Subcommand)]
pub enum Sdn {
    /// Who sets the switches
    #[command(subcommand)]
    Controller(ControllerCommand),
    /// Which port of which switch each function of a card hangs on
    #[command(subcommand)]
    Portmap(PortmapCommand),
    /// Links as they are on the switches
    #[command(subcommand)]
    Service(ServiceCommand),
    /// What differs at each controller from what links want of it; changes nothing
    Plan,
}

#[derive(Subcommand)]
pub enum ControllerCommand {
    List,
    Show {
        name: String,
    },
    /// Tell of one, or replace it whole
    Set(Box<SetController>),
    /// Only one that no link of a guest needs goes; what bothy set there goes with it
    Delete {
        name: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Straight to an Open vSwitch's database
    Ovsdb,
    /// By Faucet's file
    Faucet,
    /// A WAN manager, by IETF's L2VPN service model (RFC 8466) over RESTCONF
    L2vpn,
    /// OpenDaylight's RESTCONF
    Opendaylight,
    /// ONOS' REST API
    Onos,
}

#[derive(Args)]
pub struct SetController {
    name: String,
    #[arg(long = "type", value_enum)]
    kind: Kind,
    /// The database (unix:/PATH, tcp:ADDRESS:PORT), Faucet's Prometheus endpoint (http://127.0.0.1:9302), or the API (https://HOST:PORT)
    #[arg(long)]
    url: String,
    /// A physical network that its switches carry; repeat for more
    #[arg(long = "network", required = true, value_name = "NAME")]
    networks: Vec<String>,
    /// A switch that may be touched; repeat for more
    #[arg(long = "datapath", required = true, value_name = "NAME")]
    datapaths: Vec<String>,
    /// A port by which the networks go on; repeat for more
    #[arg(long, value_name = "SWITCH/PORT")]
    external: Vec<String>,
    /// Faucet's file
    #[arg(long, default_value = "")]
    file: String,
    /// The file that names Faucet's process
    #[arg(long, default_value = "")]
    pid_file: String,
    /// Who may use the API, or read Faucet's metrics
    #[arg(long, default_value = "", requires = "secret")]
    user: String,
    /// The name of the secret that is the password
    #[arg(long, default_value = "", requires = "user")]
    secret: String,
    /// A PEM file on the box: the authorities that are believed over https, instead of the system's
    #[arg(long, default_value = "", value_name = "FILE")]
    ca: String,
}

#[derive(Subcommand)]
pub enum PortmapCommand {
    List,
    /// Tell of the port maps in a file (YAML or JSON): a list of {compute_node, ports: [{pci, switch_id, switch_port}]}
    Set {
        file: Utf8PathBuf,
    },
    /// Only one that no link of a guest needs goes
    Delete {
        compute_node: String,
    },
}

#[derive(Subcommand)]
pub enum ServiceCommand {
    List,
    Show {
        /// The virtual link: its id, the beginning of it, or its name if only one has it
        link: String,
    },
}

impl Sdn {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Sdn::Controller(c) => c.run(client, out),
            Sdn::Portmap(c) => c.run(client, out),
            Sdn::Service(c) => c.run(client, out),
            Sdn::Plan => plan(client, out),
        }
    }
}

/// A name as a part of a path.
fn under(collection: &str, name: &str) -> Result<String, Failure> {
    let fine = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-*?".contains(&b)) && !name.starts_with('.');
    if !fine {
        return Err(Failure::Usage(format!("'{name}' is no name: letters, digits, '.', '_' and '-'")));
    }
    Ok(format!("{SDN}/{collection}/{}", name.replace('?', "%3F").replace('*', "%2A")))
}

impl ControllerCommand {
    fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            ControllerCommand::List => {
                let all = client.get(&format!("{SDN}/controllers"))?;
                let row = |c: &Value| ["name", "type", "url", "networks", "datapaths", "origin"].map(|m| plain(&c[m])).to_vec();
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["NAME", "TYPE", "URL", "NETWORKS", "DATAPATHS", "TOLD BY"], rows);
            }
            ControllerCommand::Show { name } => out.record(&client.get(&under("controllers", &name)?)?),
            ControllerCommand::Set(c) => {
                client.put(&under("controllers", &c.name)?, &c.body()?)?;
                out.done(&Value::Null, &format!("controller {} is taken up", c.name));
            }
            ControllerCommand::Delete { name } => {
                client.delete(&under("controllers", &name)?)?;
                out.done(&Value::Null, &format!("controller {name} is gone"));
            }
        }
        Ok(())
    }
}

impl SetController {
    fn body(&self) -> Result<Value, Failure> {
        let port = |text: &String| {
            let (switch, port) = text.split_once('/').ok_or_else(|| Failure::Usage(format!("'{text}' is not SWITCH/PORT")))?;
            Ok(json!({ "switch_id": switch, "switch_port": port }))
        };
        let external = self.external.iter().map(port).collect::<Result<Vec<_>, Failure>>()?;
        let kind = match self.kind {
            Kind::Ovsdb => "ovsdb",
            Kind::Faucet => "faucet",
            Kind::L2vpn => "l2vpn",
            Kind::Opendaylight => "opendaylight",
            Kind::Onos => "onos",
        };
        Ok(json!({
            "type": kind, "url": self.url, "file": self.file, "pid_file": self.pid_file, "user": self.user, "secret": self.secret,
            "ca": self.ca, "networks": self.networks, "datapaths": self.datapaths, "external": external,
        }))
    }
}

impl PortmapCommand {
    fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            PortmapCommand::List => {
                let all = client.get(&format!("{SDN}/portmaps"))?;
                let line = |m: &Value, p: &Value| {
                    let mut row = vec![plain(&m["compute_node"])];
                    row.extend(["pci", "switch_id", "switch_port", "switch_mac"].map(|k| plain(&p[k])));
                    row.push(plain(&m["origin"]));
                    row
                };
                let of = |m: &Value| list(m, "ports").iter().map(|p| line(m, p)).collect::<Vec<_>>();
                let rows = all.as_array().into_iter().flatten().flat_map(of).collect();
                out.table(&all, &["NODE", "PCI", "SWITCH", "PORT", "MAC", "TOLD BY"], rows);
            }
            PortmapCommand::Set { file } => set_maps(client, out, &file)?,
            PortmapCommand::Delete { compute_node } => {
                client.delete(&under("portmaps", &compute_node)?)?;
                out.done(&Value::Null, &format!("the port map of {compute_node} is gone"));
            }
        }
        Ok(())
    }
}

fn set_maps(client: &Client, out: &Out, file: &Utf8PathBuf) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
    let all: Value = crate::descriptor::document::read(&text).map_err(|e| Failure::Usage(format!("{file} is not YAML: {e}")))?;
    let maps = all.as_array().map_or_else(|| vec![all.clone()], Clone::clone);
    for m in &maps {
        let Some(node) = m["compute_node"].as_str() else {
            return Err(Failure::Usage(format!("{file}: a port map has no compute_node")));
        };
        client.put(&under("portmaps", node)?, &json!({ "ports": m["ports"] }))?;
        out.say(&format!("the port map of {node} is taken up"));
    }
    Ok(())
}

impl ServiceCommand {
    fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let all = client.get(&format!("{SDN}/services"))?;
        let services = all.as_array().map_or(&[][..], Vec::as_slice);
        match self {
            ServiceCommand::List => {
                let row = |s: &Value| {
                    let mut row = vec![short(&plain(&s["id"])).to_owned()];
                    row.extend(["link", "network", "vlan", "controller"].map(|m| plain(&s[m])));
                    row.extend([list(s, "ends").len().to_string(), plain(&s["state"]), plain(&s["why"])]);
                    row
                };
                let rows = services.iter().map(row).collect();
                out.table(&all, &["ID", "LINK", "NETWORK", "VLAN", "CONTROLLER", "PORTS", "STATE", "WHY"], rows);
                Ok(())
            }
            ServiceCommand::Show { link } => {
                let is = |s: &&Value| s["link"] == link.as_str() || (link.len() >= 4 && plain(&s["id"]).starts_with(&link));
                match services.iter().filter(is).collect::<Vec<_>>()[..] {
                    [one] => {
                        show(one, out);
                        Ok(())
                    }
                    [] => Err(Failure::Refused {
                        status: 404,
                        detail: format!("no virtual link '{link}' is on a switch outside"),
                        reasons: Vec::new(),
                    }),
                    _ => Err(Failure::Usage(format!("'{link}' is more than one link: name one by its id (bothy sdn service list)"))),
                }
            }
        }
    }
}

fn show(s: &Value, out: &Out) {
    let members = ["id", "network", "vlan", "controller", "state", "why"];
    let head = members.iter().filter(|m| !s[**m].is_null()).map(|m| format!("{m}: {}", plain(&s[*m])));
    let head: Vec<String> = std::iter::once(format!("link {}", plain(&s["link"]))).chain(head).collect();
    let row = |e: &Value| {
        let tag = if e["tagged"] == true { "tagged" } else { "untagged" };
        vec![plain(&e["name"]), plain(&e["pci"]), plain(&e["switch_id"]), plain(&e["switch_port"]), tag.to_owned()]
    };
    let rows: Vec<_> = list(s, "ends").iter().map(row).collect();
    out.done(s, &format!("{}\n\n{}", head.join("\n  "), align(&["END", "PCI", "SWITCH", "PORT", "FRAMES"], &rows)));
}

fn plan(client: &Client, out: &Out) -> Result<(), Failure> {
    let all = client.get(&format!("{SDN}/plan"))?;
    if out.json {
        out.value(&all);
        return Ok(());
    }
    let mut away = 0;
    for c in all.as_array().into_iter().flatten() {
        let name = plain(&c["controller"]);
        let rows: Vec<_> =
            list(c, "differences").iter().map(|d| ["switch_id", "switch_port", "is", "wanted"].map(|m| plain(&d[m])).to_vec()).collect();
        if let Some(why) = c["error"].as_str() {
            away += 1;
            say!("controller {name} cannot be looked at: {}", plain(&json!(why)));
        } else if rows.is_empty() {
            say!("controller {name}: all is as links want it");
        } else {
            say!("controller {name}:\n{}", align(&["SWITCH", "PORT", "IS", "WANTED"], &rows));
        }
        for r in list(c, "requests") {
            say!("  {} {}", plain(&r["method"]), plain(&r["url"]));
            if let Some(body) = r["body"].as_str() {
                say!("      {}", plain(&json!(body)));
            }
        }
    }
    if away == 0 { Ok(()) } else { Err(Failure::Here(format!("{away} controllers cannot be looked at"))) }
}
