//! `bothy vnf`: VNF instances, SOL003 5, and what lies behind them in the guests.

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    change_package::ChangePackage,
    client::Client,
    connect::{Connect, Disconnect},
    console,
    endpoint::Endpoint,
    failure::{Failure, visible},
    flavour::ChangeFlavour,
    follow::{Wait, accepted},
    logs,
    modify::Modify,
    names::list,
    output::{Out, plain},
    resource::{Kind, key_values, request},
    scale::ScaleHow,
    snapshot::Snapshot,
    vnf_config::VnfConfig,
    vnfpkg::VNFPKGS,
};

pub const VNFS: Kind = Kind {
    what: "VNF instance",
    path: "/vnflcm/v2/vnf_instances",
    columns: &[
        ("ID", "id"),
        ("NAME", "vnfInstanceName"),
        ("STATE", "instantiationState"),
        ("PRODUCT", "vnfProductName"),
        ("VERSION", "vnfSoftwareVersion"),
    ],
    names: &["vnfInstanceName"],
};

#[derive(Clone, Copy, ValueEnum)]
pub enum How {
    /// Ask the guest, wait, then destroy
    Graceful,
    /// Destroy at once
    Forceful,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            How::Graceful => "GRACEFUL",
            How::Forceful => "FORCEFUL",
        }
    }
}

#[derive(Args)]
pub struct Stopping {
    #[arg(long, value_enum, default_value = "graceful")]
    how: How,
    /// Seconds a guest may take to stop by itself
    #[arg(long, value_name = "SECONDS")]
    grace: Option<u64>,
}

#[derive(Subcommand)]
pub enum Vnf {
    List,
    Show {
        vnf: String,
    },
    /// Make a record of a new VNF instance; nothing runs yet
    Create {
        /// A VNF package by id, product name or VNFD id
        #[arg(long)]
        package: String,
        name: String,
    },
    /// Bring it up
    Instantiate {
        vnf: String,
        #[arg(long, default_value = "default")]
        flavour: String,
        /// Parameter, KEY=VALUE; repeat for more
        #[arg(long = "param", value_name = "KEY=VALUE")]
        params: Vec<String>,
        /// The rest of an InstantiateVnfRequest, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take it down
    Terminate {
        vnf: String,
        #[command(flatten)]
        stopping: Stopping,
        #[command(flatten)]
        wait: Wait,
    },
    /// Start its guests
    Start {
        vnf: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop its guests; they stay stopped over a reboot of the host
    Stop {
        vnf: String,
        #[command(flatten)]
        stopping: Stopping,
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop its guests and start them again, as one operation
    Reboot {
        /// VNF, VNF/VDU or VNF/VDU/NUMBER
        vnf: String,
        /// Reset them at once, as the button does
        #[arg(long, conflicts_with_all = ["how", "grace"])]
        hard: bool,
        #[command(flatten)]
        stopping: Stopping,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give it more guests or fewer: by steps of an aspect, or to a level
    Scale {
        vnf: String,
        #[command(flatten)]
        how: ScaleHow,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make its guests again, with their names, addresses and volumes
    Heal {
        /// VNF, VNF/VDU or VNF/VDU/NUMBER
        vnf: String,
        /// Make their volumes again too: what is on them is lost
        #[arg(long)]
        all: bool,
        #[arg(long)]
        cause: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Change its name, description, properties or metadata
    Modify(Modify),
    /// Bring it to another deployment flavour: guests change in place, come and go
    ChangeFlavour(ChangeFlavour),
    /// Bring it to another package: disks on another image are made anew, volumes stay
    ChangePackage(ChangePackage),
    /// Bring an external connection point to another link, while its guest runs
    Connect(Connect),
    /// Take an external connection point off its link
    Disconnect(Disconnect),
    /// Its snapshots
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Where its own interfaces are, or its element manager's (SOL002)
    #[command(subcommand)]
    Endpoint(Endpoint),
    /// Its configuration, as the VNF itself has it
    #[command(subcommand)]
    Config(VnfConfig),
    /// What it tells of itself, by its guests; one that is named and cannot be read is refused with the reason
    Indicators {
        vnf: String,
        /// One of them
        indicator: Option<String>,
    },
    /// Remove the record of a VNF that is down
    Delete {
        vnf: String,
    },
    /// What a guest wrote to its serial console
    Logs {
        /// VNF, VNF/VDU or VNF/VDU/NUMBER
        vnf: String,
        /// Go on with what comes
        #[arg(long, short)]
        follow: bool,
    },
    /// A guest's serial console in this terminal; Ctrl-] leaves it
    Console {
        /// VNF, VNF/VDU or VNF/VDU/NUMBER
        vnf: String,
        /// Its VNC instead, on a local port
        #[arg(long)]
        vnc: bool,
        /// Where a VNC viewer connects to
        #[arg(long, default_value = "127.0.0.1:5900", value_name = "ADDRESS:PORT", requires = "vnc")]
        listen: std::net::SocketAddr,
    },
    /// The files of the day-0 media its guests get, secrets left out
    Day0 {
        /// VNF, VNF/VDU or VNF/VDU/NUMBER
        vnf: String,
        /// As they are or would be rendered; there is no other way yet
        #[arg(long)]
        preview: bool,
    },
    /// The libvirt domain of a guest
    Xml {
        /// VNF, VNF/VDU or VNF/VDU/NUMBER
        vnf: String,
    },
}

impl Vnf {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Vnf::List => VNFS.show_list(client, out),
            Vnf::Show { vnf } => VNFS.show(client, out, &vnf),
            Vnf::Delete { vnf } => VNFS.delete(client, out, &vnf),
            Vnf::Create { package, name } => {
                let info = client.get(&VNFPKGS.find(client, &package)?)?;
                let made = client.post(VNFS.path, &json!({ "vnfdId": info["vnfdId"], "vnfInstanceName": name }))?.body;
                out.done(&made, &format!("created VNF instance {} ({name})", made["id"].as_str().unwrap_or("?")));
                Ok(())
            }
            Vnf::Instantiate { vnf, flavour, params, request: file, wait } => {
                let mut body = request(file.as_deref())?;
                body.entry("flavourId").or_insert(Value::String(flavour));
                if !params.is_empty() {
                    body.insert("additionalParams".into(), key_values(&params)?);
                }
                task(client, out, &vnf, "instantiate", &Value::Object(body), wait)
            }
            Vnf::Terminate { vnf, stopping, wait } => {
                let mut body = json!({ "terminationType": stopping.how.word() });
                if let Some(s) = stopping.grace {
                    body["gracefulTerminationTimeout"] = s.into();
                }
                task(client, out, &vnf, "terminate", &body, wait)
            }
            Vnf::Start { vnf, wait } => task(client, out, &vnf, "operate", &json!({ "changeStateTo": "STARTED" }), wait),
            Vnf::Stop { vnf, stopping, wait } => task(client, out, &vnf, "operate", &stop(&stopping), wait),
            Vnf::Reboot { vnf, hard: true, .. } => {
                client.task(&ours(client, &vnf, "reboot")?)?;
                out.done(&Value::Null, &format!("reset {vnf}"));
                Ok(())
            }
            Vnf::Reboot { vnf, hard: false, stopping, wait } => {
                let mut path = ours(client, &vnf, "restart")?;
                let within = match (stopping.how, stopping.grace) {
                    (How::Graceful, grace) => grace,
                    (How::Forceful, None) => Some(0),
                    (How::Forceful, Some(_)) => return Err(Failure::Usage("--grace goes with --how graceful".into())),
                };
                if let Some(s) = within {
                    let sign = if path.contains('?') { '&' } else { '?' };
                    path = format!("{path}{sign}within_s={s}");
                }
                let answer = client.task(&path)?;
                accepted(client, out, &answer, wait)
            }
            Vnf::Scale { vnf, how, wait } => {
                let (to, body) = how.of_vnf()?;
                task(client, out, &vnf, to, &body, wait)
            }
            Vnf::Heal { vnf, all, cause, wait } => {
                let (name, which) = guests(client, &vnf)?;
                let mut body = json!({ "additionalParams": { "all": all } });
                if !which.is_empty() {
                    body["vnfcInstanceId"] = json!(which);
                }
                if let Some(cause) = cause {
                    body["cause"] = cause.into();
                }
                task(client, out, name, "heal", &body, wait)
            }
            Vnf::Modify(m) => m.run(client, out),
            Vnf::ChangeFlavour(c) => c.run(client, out),
            Vnf::ChangePackage(c) => c.run(client, out),
            Vnf::Connect(c) => c.run(client, out),
            Vnf::Disconnect(d) => d.run(client, out),
            Vnf::Snapshot(s) => s.run(client, out),
            Vnf::Endpoint(e) => e.run(client, out),
            Vnf::Config(c) => c.run(client, out),
            Vnf::Logs { vnf, follow } => logs::run(client, &ours(client, &vnf, "serial")?, follow),
            Vnf::Console { vnf, vnc, listen } => {
                let path = ours(client, &vnf, "console")?;
                if vnc {
                    let device = if path.contains('?') { "&device=vnc" } else { "?device=vnc" };
                    return console::vnc(client, &format!("{path}{device}"), &vnf, listen);
                }
                console::serial(client, &path, &vnf)
            }
            Vnf::Day0 { vnf, preview: _ } => {
                let media = client.get(&ours(client, &vnf, "day0")?)?;
                out.done(&media, &day0(&media));
                Ok(())
            }
            Vnf::Indicators { vnf, indicator } => {
                let vnf = VNFS.find(client, &vnf)?;
                let at = format!("/vnfind/v1/indicators/{}", vnf.rsplit('/').next().unwrap_or_default());
                let all = match indicator {
                    Some(id) => vec![client.get(&format!("{at}/{id}"))?],
                    None => client.get(&at)?.as_array().cloned().unwrap_or_default(),
                };
                let rows = all.iter().map(|i| vec![plain(&i["id"]), i["value"].to_string()]).collect();
                out.table(&Value::Array(all), &["INDICATOR", "VALUE"], rows);
                Ok(())
            }
            Vnf::Xml { vnf } => {
                client.download(&ours(client, &vnf, "domain")?, &mut std::io::stdout().lock())?;
                Ok(())
            }
        }
    }
}

/// The VNF of `VNF`, `VNF/VDU` or `VNF/VDU/NUMBER`, and the guests that are meant; none: all.
fn guests<'a>(client: &Client, named: &'a str) -> Result<(&'a str, Vec<String>), Failure> {
    let Some((vnf, rest)) = named.split_once('/') else { return Ok((named, Vec::new())) };
    let (vdu, number) = rest.split_once('/').map_or((rest, None), |(v, n)| (v, Some(n)));
    let shown = client.get(&VNFS.find(client, vnf)?)?;
    let of_vdu: Vec<&Value> = list(&shown["instantiatedVnfInfo"], "vnfcResourceInfo").iter().filter(|c| c["vduId"] == vdu).collect();
    let chosen: Vec<String> =
        of_vdu.iter().enumerate().filter(|(i, _)| number.is_none_or(|n| n.parse() == Ok(*i))).map(|(_, c)| plain(&c["id"])).collect();
    if chosen.is_empty() {
        return Err(Failure::Here(format!("{named}: VNF {vnf} has {} guests of VDU '{vdu}'", of_vdu.len())));
    }
    Ok((vnf, chosen))
}

/// OPERATE to STOPPED, so.
pub fn stop(s: &Stopping) -> Value {
    let mut body = json!({ "changeStateTo": "STOPPED", "stopType": s.how.word() });
    if let Some(grace) = s.grace {
        body["gracefulStopTimeout"] = grace.into();
    }
    body
}

fn task(client: &Client, out: &Out, vnf: &str, task: &str, body: &Value, wait: Wait) -> Result<(), Failure> {
    let path = VNFS.find(client, vnf)?;
    let answer = client.post(&format!("{path}/{task}"), body)?;
    accepted(client, out, &answer, wait)
}

/// Each file of each medium, with its text.
fn day0(media: &Value) -> String {
    let mut all = Vec::new();
    for m in media.as_array().into_iter().flatten() {
        all.push(format!("=== {}: medium '{}'", plain(&m["vdu"]), plain(&m["label"])));
        for f in list(m, "files") {
            let secret = if f["secret"] == true { ", secrets masked" } else { "" };
            all.push(format!("--- {} ({} bytes{secret})", plain(&f["path"]), plain(&f["bytes"])));
            all.push(f["text"].as_str().map_or_else(|| "(no text)".to_owned(), |t| visible(t.trim_end())));
        }
    }
    if all.is_empty() { "its guests get no day-0 media".into() } else { all.join("\n") }
}

/// `VNF/VDU` to a path under `/bothy/v1`.
pub fn ours(client: &Client, named: &str, leaf: &str) -> Result<String, Failure> {
    let (vnf, vdu) = named.split_once('/').map_or((named, None), |(v, d)| (v, Some(d)));
    let found = VNFS.find(client, vnf)?;
    let id = found.rsplit('/').next().unwrap_or(vnf);
    let query = vdu.map(|d| format!("?vdu={d}")).unwrap_or_default();
    Ok(format!("/bothy/v1/vnf/{id}/{leaf}{query}"))
}
