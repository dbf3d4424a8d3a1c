//! `bothy health`

use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    output::{Out, plain, say},
};

pub fn run(client: &Client, out: &Out) -> Result<(), Failure> {
    let health = client.get("/bothy/v1/health")?;
    let conditions = health["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    if !out.json {
        say!("bothy {} is {}, up {} s\n", plain(&health["version"]), plain(&health["status"]), plain(&health["uptimeSeconds"]));
    }
    let rows = conditions.iter().map(|c| ["name", "state", "text"].map(|m| plain(&c[m])).to_vec()).collect();
    out.table(&health, &["CONDITION", "STATE", ""], rows);
    let failed = |c: &&Value| c["state"] == "FAILED";
    match conditions.iter().filter(failed).count() {
        0 => Ok(()),
        n => Err(Failure::Here(format!("{n} of {} conditions failed", conditions.len()))),
    }
}
