//! `bothy vnf snapshot`: take snapshots of VNFs, and go back to them (SOL003 5.4.21 to 5.4.24).

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    names::{list, short},
    output::{Out, plain},
    resource::{Kind, key_values},
    vnf::VNFS,
};
use crate::model::size::Bytes;

const SNAPSHOTS: Kind = Kind { what: "VNF snapshot", path: "/vnflcm/v2/vnf_snapshots", columns: &[], names: &["name"] };

#[derive(Subcommand)]
pub enum Snapshot {
    /// Copy the disks of its guests, all of one moment; the guests stand still meanwhile. Their memory is not kept
    Create {
        vnf: String,
        /// What to call it
        name: Option<String>,
        /// More to remember, KEY=VALUE; repeat for more
        #[arg(long = "data", value_name = "KEY=VALUE")]
        data: Vec<String>,
        #[command(flatten)]
        wait: Wait,
    },
    List,
    Show {
        snapshot: String,
    },
    /// Stop its guests, bring their disks back to the snapshot, and start those that ran: what came since is lost
    Revert {
        vnf: String,
        snapshot: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove a snapshot and its copies
    Delete {
        snapshot: String,
    },
}

impl Snapshot {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Snapshot::Create { vnf, name, data, wait } => {
                let path = VNFS.find(client, &vnf)?;
                let mut data = match key_values(&data)? {
                    Value::Object(all) => all,
                    _ => Map::new(),
                };
                if let Some(name) = name {
                    data.insert("name".into(), name.into());
                }
                let made = client.post(SNAPSHOTS.path, &json!({}))?.body;
                let id = plain(&made["id"]);
                let ask = json!({ "vnfSnapshotInfoId": id, "userDefinedData": data });
                let answer = client.post(&format!("{path}/create_snapshot"), &ask).inspect_err(|_| {
                    // It would stay empty; the refusal is what matters.
                    let _ = client.delete(&format!("{}/{id}", SNAPSHOTS.path));
                })?;
                accepted(client, out, &answer, wait)
            }
            Snapshot::List => {
                let all = every(client)?;
                let head = ["ID", "NAME", "VNF", "TAKEN", "GUESTS", "SIZE"];
                out.table(&Value::Array(all.clone()), &head, all.iter().map(row).collect());
                Ok(())
            }
            Snapshot::Show { snapshot } => {
                out.record(&client.get(&find(client, &snapshot)?)?);
                Ok(())
            }
            Snapshot::Revert { vnf, snapshot, wait } => {
                let found = find(client, &snapshot)?;
                let ask = json!({ "vnfSnapshotInfoId": found.rsplit('/').next() });
                let answer = client.post(&format!("{}/revert_to_snapshot", VNFS.find(client, &vnf)?), &ask)?;
                accepted(client, out, &answer, wait)
            }
            Snapshot::Delete { snapshot } => {
                client.delete(&find(client, &snapshot)?)?;
                out.done(&Value::Null, &format!("deleted VNF snapshot {snapshot}"));
                Ok(())
            }
        }
    }
}

/// All of them, whole.
fn every(client: &Client) -> Result<Vec<Value>, Failure> {
    match client.get(&format!("{}?all_fields", SNAPSHOTS.path))? {
        Value::Array(all) => Ok(all),
        other => Err(Failure::Here(format!("{} gave no list but {}", SNAPSHOTS.path, plain(&other)))),
    }
}

/// By its id, the beginning of it, or the name it was given when it was taken.
fn find(client: &Client, named: &str) -> Result<String, Failure> {
    if uuid::Uuid::parse_str(named).is_ok() {
        return Ok(format!("{}/{named}", SNAPSHOTS.path));
    }
    let named_so = |v: &Value| json!({ "id": v["id"], "name": v["vnfSnapshot"]["userDefinedData"]["name"] });
    let all: Vec<Value> = every(client)?.iter().map(named_so).collect();
    Ok(format!("{}/{}", SNAPSHOTS.path, SNAPSHOTS.pick(&all, named)?))
}

fn row(v: &Value) -> Vec<String> {
    let s = &v["vnfSnapshot"];
    let guests = list(s, "vnfcSnapshots");
    let sizes = guests.iter().flat_map(|g| list(g, "storageSnapshotResources"));
    let size: u64 = sizes.filter_map(|d| d["storageSnapshotResource"]["sizeInBytes"].as_u64()).sum();
    let taken = match (s.is_object(), s["creationFinishedAt"].as_str()) {
        (_, Some(at)) => at.to_owned(),
        (true, None) => "under way".into(),
        (false, None) => "nothing yet".into(),
    };
    vec![
        short(&plain(&v["id"])).to_owned(),
        plain(&s["userDefinedData"]["name"]),
        plain(&s["vnfInstance"]["vnfInstanceName"]),
        taken,
        guests.len().to_string(),
        Bytes(size).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_of_which_vnf_it_is_when_it_was_taken_and_what_it_takes() {
        let id = "11111111-2222-4333-8444-555555555555";
        assert_eq!(row(&json!({ "id": id }))[3..], ["nothing yet", "0", "0 B"]);
        let disk = |n: u64| json!({ "storageResourceId": "d", "storageSnapshotResource": { "sizeInBytes": n } });
        let mut v = json!({ "id": id, "vnfSnapshot": {
            "vnfInstance": { "vnfInstanceName": "web" },
            "vnfcSnapshots": [{ "storageSnapshotResources": [disk(1 << 20), disk(2 << 20)] }, {}],
            "userDefinedData": { "name": "before" },
        }});
        assert_eq!(row(&v)[1..], ["before", "web", "under way", "2", "3 MiB"]);
        v["vnfSnapshot"]["creationFinishedAt"] = json!("2026-11-29T04:00:00Z");
        assert_eq!(row(&v)[3], "2026-11-29T04:00:00Z");
    }
}
