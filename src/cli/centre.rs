//! `bothy call-home`: the centres that the box calls; `bothy hub`: the boxes that call this one.

use std::fs::File;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    onboard::sent_as,
    output::{Out, plain},
};

#[derive(Subcommand)]
pub enum Hub {
    /// The boxes that are enrolled: which are connected, their versions, how they are
    Boxes,
    /// Documents of desired state that lie here for boxes, signed by their owner, and are handed to them
    #[command(subcommand)]
    Desired(Desired),
}

#[derive(Subcommand)]
pub enum Desired {
    /// Put a signed document here (CMS, DER or PEM) in place of the one before; connected boxes are handed it at once
    Set {
        #[command(flatten)]
        whom: Whom,
        file: Utf8PathBuf,
    },
    /// Which documents lie here, for how many boxes, and on how many each counts
    Show,
    /// Get a document as it was put here
    Get {
        #[command(flatten)]
        whom: Whom,
        /// A file that is not there yet
        #[arg(long)]
        out: Utf8PathBuf,
    },
    /// Hand a document out no more; where it counts it stays
    Unset {
        #[command(flatten)]
        whom: Whom,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Whom {
    /// For this box, by its serial number
    #[arg(long = "box")]
    serial: Option<String>,
    /// For each box of this group (group in [[hub.box]]) that has none of its own; "default": for all others, too
    #[arg(long)]
    group: Option<String>,
}

const DESIRED: &str = "/bothy/v1/hub/desired";

impl Whom {
    fn path(&self) -> String {
        match (&self.serial, &self.group) {
            (Some(serial), _) => format!("{DESIRED}/boxes/{serial}"),
            (None, group) => format!("{DESIRED}/groups/{}", group.as_deref().unwrap_or_default()),
        }
    }
}

impl Desired {
    fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Desired::Set { whom, file } => {
                let size = std::fs::metadata(&file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?.len();
                let answer = sent_as(client, Method::PUT, &whom.path(), &file, size, "application/cms")?;
                let now: Value = serde_json::from_slice(&answer).map_err(|e| Failure::here("the answer is not JSON", e))?;
                let (boxes, current) = (plain(&now["boxes"]), plain(&now["current"]));
                out.done(&now, &format!("for {boxes} boxes, and counts on {current}; bothy hub boxes tells how far each is"));
            }
            Desired::Show => {
                let all = client.get(DESIRED)?;
                let keys = ["kind", "name", "size", "put", "by", "boxes", "current", "digest"];
                out.table(&all, &["FOR", "NAME", "BYTES", "PUT", "BY", "BOXES", "CURRENT", "DIGEST"], rows(&all, &keys));
            }
            Desired::Get { whom, out: to } => {
                let mut file = File::create_new(&to).map_err(|e| Failure::here(format!("cannot make {to}"), e))?;
                let got = client.download(&whom.path(), &mut file);
                if got.is_err() {
                    let _ = std::fs::remove_file(&to);
                }
                out.done(&Value::Null, &format!("{} bytes are in {to}", got?));
            }
            Desired::Unset { whom } => {
                client.delete(&whom.path())?;
                out.done(&Value::Null, "it is handed out no more; where it counts it stays");
            }
        }
        Ok(())
    }
}

fn rows(all: &Value, keys: &[&str]) -> Vec<Vec<String>> {
    all.as_array().into_iter().flatten().map(|v| keys.iter().map(|k| plain(&v[*k])).collect()).collect()
}

pub fn call_home(client: &Client, out: &Out) -> Result<(), Failure> {
    let all = client.get("/bothy/v1/call_home")?;
    let keys = ["name", "address", "state", "connectedSince", "nextAttempt", "attempts", "lastError"];
    out.table(&all, &["CENTRE", "ADDRESS", "STATE", "SINCE", "NEXT", "TRIES", "LAST ERROR"], rows(&all, &keys));
    Ok(())
}

impl Hub {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Hub::Desired(d) => d.run(client, out),
            Hub::Boxes => boxes(client, out),
        }
    }
}

fn boxes(client: &Client, out: &Out) -> Result<(), Failure> {
    let all = client.get("/bothy/v1/boxes")?;
    let mut shown = all.clone();
    for b in shown.as_array_mut().into_iter().flatten().filter(|b| b["bootstrap"].is_object()) {
        let told = ["progress", "message"].map(|k| plain(&b["bootstrap"][k]));
        b["bootstrap"] = told.join(" ").trim().into();
    }
    for b in shown.as_array_mut().into_iter().flatten() {
        let told = desired(b);
        b["desired"] = told.into();
    }
    let keys = ["serial", "project", "connected", "connectedSince", "lastContact", "version", "health", "desired", "bootstrap", "why"];
    out.table(
        &all,
        &["BOX", "PROJECT", "CONNECTED", "SINCE", "LAST CONTACT", "VERSION", "HEALTH", "DESIRED", "BOOTSTRAP", ""],
        rows(&shown, &keys),
    );
    Ok(())
}

/// What counts on a box, and what is to be handed to it.
fn desired(b: &Value) -> String {
    let (d, h) = (&b["desired"], &b["handout"]);
    let mut told = Vec::new();
    if d.is_object() {
        told.push(format!("{} {}", plain(&d["version"]), d["phase"].as_str().unwrap_or_default()).trim().to_owned());
    }
    match h["state"].as_str() {
        Some("PENDING") => told.push("another one is handed over".to_owned()),
        Some("FAILED") => told.push(format!("it does not take another one: {}", plain(&h["why"]))),
        Some(_) | None => {}
    }
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_box_shows_what_counts_on_it_and_what_it_does_not_take() {
        for (b, want) in [
            (json!({}), ""),
            (json!({"desired": {"version": 7, "phase": "IN_PLACE"}, "handout": {"state": "CURRENT"}}), "7 IN_PLACE"),
            (json!({"desired": {"version": 7}}), "7"),
            (json!({"handout": {"state": "PENDING"}}), "another one is handed over"),
            (
                json!({"desired": {"version": 7, "phase": "HELD"}, "handout": {"state": "FAILED", "why": "too old"}}),
                "7 HELD; it does not take another one: too old",
            ),
        ] {
            assert_eq!(desired(&b), want, "{b}");
        }
    }
}
