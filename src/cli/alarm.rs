//! `bothy alarm`: what is wrong with the box, its VNFs and its services; who has seen it.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    names::short,
    output::{Out, plain},
    resource::Kind,
};

/// Where alarms are: the box's own, those of VNFs, those of services.
const KINDS: [(&str, Kind); 3] = [
    ("box", Kind { what: "alarm", path: "/bothy/v1/alarms", columns: &[], names: &[] }),
    ("vnf", Kind { what: "alarm", path: "/vnffm/v1/alarms", columns: &[], names: &[] }),
    ("ns", Kind { what: "alarm", path: "/nsfm/v1/alarms", columns: &[], names: &[] }),
];

#[derive(Subcommand)]
pub enum Alarm {
    /// Alarms that stand, or that nobody has acknowledged
    List {
        /// Those that are over and acknowledged, too
        #[arg(long)]
        all: bool,
    },
    /// One alarm in full
    Show {
        /// Id, or the start of it
        id: String,
    },
    /// Say that an alarm has been seen
    Ack {
        /// Id, or the start of it
        id: String,
        /// Take it back
        #[arg(long)]
        undo: bool,
    },
}

impl Alarm {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Alarm::List { all } => {
                let mut raw = Vec::new();
                let mut rows = Vec::new();
                for (of, kind) in &KINDS {
                    // Who may not look at the box sees what he may.
                    let found = match kind.list(client) {
                        Err(Failure::Refused { status: 403, .. }) => continue,
                        other => other?,
                    };
                    let over = |a: &Value| a["perceivedSeverity"] == "CLEARED" && a["ackState"] == "ACKNOWLEDGED";
                    for a in found.into_iter().filter(|a| all || !over(a)) {
                        let seen = if a["ackState"] == "ACKNOWLEDGED" { "yes" } else { "no" };
                        let mut row = vec![short(&plain(&a["id"])).to_owned(), (*of).to_owned()];
                        row.extend(["perceivedSeverity", "probableCause", "alarmRaisedTime"].map(|m| plain(&a[m])));
                        row.extend([seen.to_owned(), plain(&a["faultDetails"][0])]);
                        rows.push(row);
                        raw.push(a);
                    }
                }
                out.table(&Value::Array(raw), &["ID", "OF", "SEVERITY", "CAUSE", "RAISED", "SEEN", "WHAT"], rows);
            }
            Alarm::Show { id } => out.record(&client.get(&find(client, &id)?)?),
            Alarm::Ack { id, undo } => {
                let to = if undo { "UNACKNOWLEDGED" } else { "ACKNOWLEDGED" };
                let now = client.patch(&find(client, &id)?, &json!({ "ackState": to }))?;
                out.done(&now.body, &format!("alarm {id} is {}", to.to_lowercase()));
            }
        }
        Ok(())
    }
}

/// Its path, whichever kind it is of.
fn find(client: &Client, id: &str) -> Result<String, Failure> {
    for (_, kind) in &KINDS {
        match kind.maybe(client, id) {
            Ok(Some(path)) => return Ok(path),
            Ok(None) | Err(Failure::Refused { status: 403, .. }) => {}
            Err(f) => return Err(f),
        }
    }
    Err(Failure::Refused { status: 404, detail: format!("there is no alarm '{id}'"), reasons: Vec::new() })
}
