//! `bothy call-home`: the centres that the box calls; `bothy hub`: the boxes that call this one.

use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    output::{Out, plain},
};

#[derive(Subcommand)]
pub enum Hub {
    /// The boxes that are enrolled: which are connected, their versions, how they are
    Boxes,
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
        let Hub::Boxes = self;
        let all = client.get("/bothy/v1/boxes")?;
        let mut shown = all.clone();
        for b in shown.as_array_mut().into_iter().flatten().filter(|b| b["bootstrap"].is_object()) {
            let told = ["progress", "message"].map(|k| plain(&b["bootstrap"][k]));
            b["bootstrap"] = told.join(" ").trim().into();
        }
        let keys = ["serial", "project", "connected", "connectedSince", "lastContact", "version", "health", "bootstrap", "why"];
        out.table(
            &all,
            &["BOX", "PROJECT", "CONNECTED", "SINCE", "LAST CONTACT", "VERSION", "HEALTH", "BOOTSTRAP", ""],
            rows(&shown, &keys),
        );
        Ok(())
    }
}
