//! `bothy op`: operation occurrences of network services, VNFs and the host alike.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::{Failure, visible},
    follow::{HOST_OPS, NS_OPS, VNF_OPS, follow, kind, names_of, next_of_failed, parts_of, timeline, told},
    names::{list, short},
    net::owners,
    output::{Out, plain},
    resource::Kind,
    timeline::{Drawn, draw, millis},
};
use crate::model::order::Order as _;

const OF_NS: Kind = Kind { what: "operation", path: NS_OPS, columns: &[], names: &[] };
const OF_VNF: Kind = Kind { what: "operation", path: VNF_OPS, columns: &[], names: &[] };
const OF_HOST: Kind = Kind { what: "operation", path: HOST_OPS, columns: &[], names: &[] };

#[derive(Clone, Copy, ValueEnum)]
pub enum Mode {
    /// Let steps that run finish
    Graceful,
    /// Cut short what waits
    Forceful,
}

#[derive(Subcommand)]
pub enum Op {
    /// All operations, oldest first
    List,
    /// One operation as a timeline: each step, when, how long, what it waited for, what failed
    Show { op: String },
    /// Try the failed steps again
    Retry { op: String },
    /// Undo what was done
    Rollback { op: String },
    /// Give it up as it is
    Fail { op: String },
    /// Stop an operation that is under way
    Cancel {
        op: String,
        #[arg(long, value_enum, default_value = "graceful")]
        mode: Mode,
    },
    /// Watch it to its end
    Wait {
        op: String,
        #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
        timeout: u64,
    },
}

impl Op {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Op::List => all(client, out),
            Op::Show { op } => show(client, out, &find(client, &op)?),
            Op::Retry { op } => task(client, out, &op, "retry"),
            Op::Rollback { op } => task(client, out, &op, "rollback"),
            Op::Fail { op } => task(client, out, &op, "fail"),
            Op::Cancel { op, mode } => {
                let mode = match mode {
                    Mode::Graceful => "GRACEFUL",
                    Mode::Forceful => "FORCEFUL",
                };
                let path = find(client, &op)?;
                client.post(&format!("{path}/cancel"), &json!({ "cancelMode": mode }))?;
                out.done(&Value::Null, &format!("cancelling operation {op}"));
                Ok(())
            }
            Op::Wait { op, timeout } => told(client, out, &follow(client, &find(client, &op)?, Duration::from_secs(timeout))?),
        }
    }
}

/// An operation is one of an NS, of a VNF or of the host; its id tells not which.
pub fn find(client: &Client, named: &str) -> Result<String, Failure> {
    let absent = |f: &Failure| matches!(f, Failure::Refused { status: 404, .. });
    let there = |kind: &Kind| kind.find(client, named).and_then(|path| client.get(&path).map(|_| path));
    let mut found = there(&OF_NS);
    for kind in [&OF_VNF, &OF_HOST] {
        match found {
            Err(f) if absent(&f) => found = there(kind),
            other => return other,
        }
    }
    found
}

fn task(client: &Client, out: &Out, op: &str, task: &str) -> Result<(), Failure> {
    let path = find(client, op)?;
    client.task(&format!("{path}/{task}"))?;
    out.done(&Value::Null, &format!("{task} of operation {op} accepted"));
    Ok(())
}

fn all(client: &Client, out: &Out) -> Result<(), Failure> {
    let mut all = OF_NS.list(client)?;
    all.extend(OF_VNF.list(client)?);
    match OF_HOST.list(client) {
        Ok(host) => all.extend(host),
        // Not everybody who may see services may see the host.
        Err(Failure::Refused { status: 403, .. }) => {}
        Err(f) => return Err(f),
    }
    all.order_by_key(|o| millis(&o["startTime"]));
    let names = owners(client)?;
    let row = |o: &Value| {
        let of = [("ns", "nsInstanceId"), ("vnf", "vnfInstanceId"), ("pf", "pf")].into_iter().find(|(_, m)| o[*m].is_string());
        let (what, target) = of.map_or(("", String::new()), |(what, m)| (what, plain(&o[m])));
        let of = format!("{what} {}", names.get(&target).map_or_else(|| short(&target), String::as_str));
        vec![short(&plain(&o["id"])).to_owned(), kind(o).to_owned(), of, plain(&o["operationState"]), plain(&o["startTime"])]
    };
    let rows = all.iter().map(row).collect();
    out.table(&Value::Array(all), &["ID", "OPERATION", "OF", "STATE", "STARTED"], rows);
    Ok(())
}

fn show(client: &Client, out: &Out, path: &str) -> Result<(), Failure> {
    let op = client.get(path)?;
    let id = plain(&op["id"]);
    let steps = client.get(&timeline(&id))?;
    let names = names_of(client, &op)?;
    let mut parts = Vec::new();
    for part in parts_of(client, &op)? {
        let name = names.dress(&plain(&part["vnfInstanceId"])).into_owned();
        let steps = client.get(&timeline(&plain(&part["id"])))?;
        parts.push((name, part, steps));
    }
    if out.json {
        let parts: Vec<Value> = parts.iter().map(|(_, op, steps)| json!({ "operation": op, "timeline": steps })).collect();
        out.value(&json!({ "operation": op, "timeline": steps, "parts": parts }));
        return Ok(());
    }
    let begun = plain(&op["startTime"]);
    let mut text = format!(
        "operation {id}\n{} is {}, begun {begun}, in this state since {}",
        kind(&op),
        plain(&op["operationState"]),
        plain(&op["stateEnteredTime"])
    );
    if let Some(detail) = op["error"]["detail"].as_str() {
        text += &format!("\nerror: {}", names.dress(detail));
    }
    text += &list(&op, "warnings").iter().map(|w| format!("\nwarning: {}", plain(w))).collect::<String>();
    text += &format!("\n\n{}", draw(&Drawn { steps: &steps, parts: &parts }, &names));
    if op["operationState"] == "FAILED_TEMP" {
        text += &format!("\n\n{}", next_of_failed(&id));
    }
    out.done(&Value::Null, &visible(&text));
    Ok(())
}
