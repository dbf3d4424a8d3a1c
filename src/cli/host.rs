//! `bothy host`: the box, and what of it is promised to whom.

use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    output::{Out, align, plain, say},
};

pub fn run(client: &Client, out: &Out) -> Result<(), Failure> {
    let host = client.get("/bothy/v1/host")?;
    if out.json {
        out.value(&host);
        return Ok(());
    }
    say!("{}  {}  {} CPUs", plain(&host["hostname"]), plain(&host["kernel"]), plain(&host["cpus"]));
    say!("guests run under {}: {}", plain(&host["accel"]["mode"]), plain(&host["accel"]["text"]));
    let shown = [("hypervisor", "hypervisor"), ("switch", "switch"), ("physicalNetworks", "physical networks"), ("tunnels", "tunnels")];
    for (member, what) in shown {
        let none = host[member].is_null() || (member == "tunnels" && host[member] == json!([]));
        if !none {
            say!("{what}: {}", plain(&host[member]));
        }
    }
    if host["system"].is_object() {
        say!("{}", system(&host["system"]));
    }
    let usage = |what: &str, unit: &str, v: &Value| {
        let free = v["limit"].as_u64().unwrap_or(0).saturating_sub(v["promised"].as_u64().unwrap_or(0));
        vec![what.to_owned(), plain(&v["capacity"]), plain(&v["limit"]), plain(&v["promised"]), free.to_string(), unit.to_owned()]
    };
    let rows = [usage("cpu", "vCPU", &host["cpu"]), usage("memory", "MiB", &host["memory"]), usage("disk", "MiB", &host["disk"])];
    say!("\n{}", align(&["", "CAPACITY", "LIMIT", "PROMISED", "FREE", "UNIT"], &rows));
    Ok(())
}

/// Version, slot, and whether the firmware has looked at them.
pub fn system(s: &Value) -> String {
    let verified = match s["bootVerified"].as_bool() {
        Some(true) => "boot verified".to_owned(),
        Some(false) | None => format!("boot not verified: {}", plain(&s["bootNotVerifiedBecause"])),
    };
    let trial = if s["boot"] == "TRIAL" { ", started as a trial" } else { "" };
    let refused = if s["argumentsRefused"] == true { ", without the host's kernel arguments, which the boot loader refused" } else { "" };
    format!("system: version {} in slot {}{trial}, {verified}{refused}", plain(&s["version"]), plain(&s["slot"]))
}

/// Asked by the service unit when the host goes down; takes as long as guests need, at most `within`.
#[derive(clap::Args)]
pub struct Shutdown {
    /// Seconds guests have to stop before they are destroyed
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    within: u64,
    /// The host stays up: guests that were running start again
    #[arg(long, conflicts_with = "within")]
    undo: bool,
}

impl Shutdown {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        if self.undo {
            client.delete("/bothy/v1/host/shutdown")?;
            out.done(&json!({ "undone": true }), "guests are looked after again: those that should run are started");
            return Ok(());
        }
        let answer = client.task(&format!("/bothy/v1/host/shutdown?within_s={}", self.within))?.body;
        if out.json {
            out.value(&answer);
        } else {
            say!("{} guests stopped, {} destroyed", plain(&answer["stopped"]), plain(&answer["destroyed"]));
        }
        Ok(())
    }
}
