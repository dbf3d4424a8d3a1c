//! `bothy ns`: network services, SOL005 6.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    names::list,
    nsd::NSDS,
    output::Out,
    resource::{Kind, key_values, request},
    scale::ScaleHow,
    service,
    vnf::{self, Stopping, VNFS},
};

pub const NSS: Kind = Kind {
    what: "network service",
    path: "/nslcm/v2/ns_instances",
    columns: &[("ID", "id"), ("NAME", "nsInstanceName"), ("STATE", "nsState"), ("NSD", "nsdId"), ("FLAVOUR", "flavourId")],
    names: &["nsInstanceName"],
};

#[derive(Subcommand)]
pub enum Ns {
    List,
    Show {
        ns: String,
    },
    /// Make a record of a new network service; nothing runs yet
    Create {
        /// An NSD by id or name
        #[arg(long)]
        nsd: String,
        name: String,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Bring it up
    Instantiate {
        ns: String,
        #[arg(long, default_value = "default")]
        flavour: String,
        /// Parameter for the NS, KEY=VALUE; repeat for more
        #[arg(long = "param", value_name = "KEY=VALUE")]
        params: Vec<String>,
        /// The rest of an InstantiateNsRequest, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Take it down
    Terminate {
        ns: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Give it more VNFs or fewer, or a VNF in it more guests or fewer: by steps of an aspect, or to a level
    Scale {
        ns: String,
        /// A VNF of the service; none: the service itself
        vnf: Option<String>,
        #[command(flatten)]
        how: ScaleHow,
        /// Only show which VNFs of the service would come and go
        #[arg(long, conflicts_with = "vnf")]
        plan: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Start the guests of VNFs in it
    Start {
        ns: String,
        /// VNFs of the service; none: all of them
        vnfs: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Stop the guests of VNFs in it; they stay stopped over a reboot of the host
    Stop {
        ns: String,
        /// VNFs of the service; none: all of them
        vnfs: Vec<String>,
        #[command(flatten)]
        stopping: Stopping,
        #[command(flatten)]
        wait: Wait,
    },
    /// Any update of it that SOL005 has: of its VNFs' flavours, packages and links, of its paths and physical boxes
    Update {
        ns: String,
        /// An UpdateNsRequest, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Utf8PathBuf,
        /// Only show what would change
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Make the guests of VNFs in it again, with their names, addresses and volumes
    Heal {
        ns: String,
        /// VNFs of the service; none: all of them
        vnfs: Vec<String>,
        /// Make their volumes again too: what is on them is lost
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove the record of a network service that is down
    Delete {
        ns: String,
    },
}

impl Ns {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Ns::List => NSS.show_list(client, out),
            Ns::Show { ns } => service::show(client, out, &NSS.find(client, &ns)?),
            Ns::Delete { ns } => NSS.delete(client, out, &ns),
            Ns::Create { nsd, name, description } => {
                let made = create(client, &nsd, &name, &description)?;
                out.done(&made, &format!("created network service {} ({name})", made["id"].as_str().unwrap_or("?")));
                Ok(())
            }
            Ns::Instantiate { ns, flavour, params, request: file, wait } => {
                let mut body = request(file.as_deref())?;
                body.entry("nsFlavourId").or_insert(Value::String(flavour));
                if !params.is_empty() {
                    body.insert("additionalParamsForNs".into(), key_values(&params)?);
                }
                let path = NSS.find(client, &ns)?;
                let answer = client.post(&format!("{path}/instantiate"), &Value::Object(body))?;
                accepted(client, out, &answer, wait)
            }
            Ns::Scale { ns, vnf, how, plan, wait } => {
                let path = NSS.find(client, &ns)?;
                let body = match vnf {
                    Some(vnf) => {
                        let mut data = how.of_member()?;
                        data["vnfInstanceId"] = id_of(&VNFS.find(client, &vnf)?).into();
                        json!({ "scaleType": "SCALE_VNF", "scaleVnfData": [data] })
                    }
                    None => json!({ "scaleType": "SCALE_NS", "scaleNsData": how.of_service()? }),
                };
                if plan {
                    let ask = json!({ "scale": { "nsInstanceId": id_of(&path), "request": body } });
                    let plan = client.post("/bothy/v1/plan", &ask)?.body;
                    out.done(&plan, &super::plan::text(&plan));
                    return Ok(());
                }
                let answer = client.post(&format!("{path}/scale"), &body)?;
                accepted(client, out, &answer, wait)
            }
            Ns::Heal { ns, vnfs, all, wait } => {
                let path = NSS.find(client, &ns)?;
                let params = json!({ "all": all });
                let mut each = Vec::new();
                for v in &vnfs {
                    each.push(json!({ "vnfInstanceId": id_of(&VNFS.find(client, v)?), "additionalParams": params }));
                }
                let body = if each.is_empty() {
                    json!({ "healNsData": { "degreeHealing": "HEAL_RESTORE", "additionalParamsforNs": params } })
                } else {
                    json!({ "healVnfData": each })
                };
                let answer = client.post(&format!("{path}/heal"), &body)?;
                accepted(client, out, &answer, wait)
            }
            Ns::Start { ns, vnfs, wait } => operate(client, out, &ns, &vnfs, &json!({ "changeStateTo": "STARTED" }), wait),
            Ns::Stop { ns, vnfs, stopping, wait } => operate(client, out, &ns, &vnfs, &vnf::stop(&stopping), wait),
            Ns::Update { ns, request: file, plan, wait } => {
                let path = NSS.find(client, &ns)?;
                let body = Value::Object(request(Some(&file))?);
                if plan {
                    let ask = json!({ "update": { "nsInstanceId": id_of(&path), "request": body } });
                    let plan = client.post("/bothy/v1/plan", &ask)?.body;
                    out.done(&plan, &super::plan::text(&plan));
                    return Ok(());
                }
                let answer = client.post(&format!("{path}/update"), &body)?;
                accepted(client, out, &answer, wait)
            }
            Ns::Terminate { ns, wait } => {
                let path = NSS.find(client, &ns)?;
                let answer = client.post(&format!("{path}/terminate"), &json!({}))?;
                accepted(client, out, &answer, wait)
            }
        }
    }
}

/// OPERATE_VNF of these members, or of all.
fn operate(client: &Client, out: &Out, ns: &str, vnfs: &[String], how: &Value, wait: Wait) -> Result<(), Failure> {
    let path = NSS.find(client, ns)?;
    let mut ids = Vec::new();
    for v in vnfs {
        ids.push(Value::from(id_of(&VNFS.find(client, v)?)));
    }
    if ids.is_empty() {
        ids.extend(list(&client.get(&path)?, "vnfInstance").iter().map(|v| v["id"].clone()));
    }
    let each = ids.into_iter().map(|id| {
        let mut one = how.clone();
        one["vnfInstanceId"] = id;
        one
    });
    let body = json!({ "updateType": "OPERATE_VNF", "operateVnfData": each.collect::<Vec<_>>() });
    let answer = client.post(&format!("{path}/update"), &body)?;
    accepted(client, out, &answer, wait)
}

/// The id at the end of a path.
fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub fn create(client: &Client, nsd: &str, name: &str, description: &str) -> Result<Value, Failure> {
    // CreateNsRequest wants the NSD's own id, not that of its record (SOL005 6.5.2.7).
    let info = client.get(&NSDS.find(client, nsd)?)?;
    let body = json!({ "nsdId": info["nsdId"], "nsName": name, "nsDescription": description });
    Ok(client.post(NSS.path, &body)?.body)
}
