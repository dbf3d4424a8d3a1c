//! `bothy host network`: the box's own ports, and a change of them that heals itself unless it is confirmed.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::list,
    output::{Out, align, plain, say},
};

#[derive(Subcommand)]
pub enum Network {
    /// What the file means: the network daemon's files, or every reason why not; changes nothing
    Plan {
        /// JSON: interfaces, dns, domains, ntp
        file: Utf8PathBuf,
    },
    /// Make it so, on trial: it is undone unless it is confirmed in time
    Apply(Apply),
    /// Leave the box's ports to the system's own files again, on trial as well
    Forget(Trial),
    /// Keep the change that is on trial
    Confirm,
    /// Go back to what was before
    Undo,
}

#[derive(clap::Args)]
pub struct Apply {
    /// JSON: interfaces, dns, domains, ntp
    file: Utf8PathBuf,
    #[command(flatten)]
    trial: Trial,
}

#[derive(clap::Args)]
pub struct Trial {
    /// Seconds until it is undone
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    within: u32,
    /// Confirm it as soon as the box answers afterwards, over the way this command has to it
    #[arg(long)]
    confirm: bool,
}

const PATH: &str = "/bothy/v1/host/network";
const LOOK: Duration = Duration::from_secs(1);
/// A change that cuts this way off may take so long to count.
const SETTLE: Duration = Duration::from_secs(3);

pub fn run(what: Option<Network>, client: &Client, out: &Out) -> Result<(), Failure> {
    match what {
        None => shown(&client.get(PATH)?, out),
        Some(Network::Plan { file }) => {
            let plan = client.post(&format!("{PATH}/plan"), &read(&file)?)?.body;
            if out.json {
                out.value(&plan);
            } else {
                let one = |f: &Value| format!("{}:\n{}", plain(&f["name"]), plain(&f["text"]));
                say!("{}", list(&plan, "files").iter().map(one).collect::<Vec<_>>().join("\n"));
            }
            Ok(())
        }
        Some(Network::Apply(a)) => {
            let wanted = read(&a.file)?;
            a.trial.may(client)?;
            a.trial.tried(client.put(&format!("{PATH}?confirm_s={}", a.trial.within), &wanted), client, out)
        }
        Some(Network::Forget(t)) => {
            t.may(client)?;
            t.tried(client.delete(&format!("{PATH}?confirm_s={}", t.within)), client, out)
        }
        Some(Network::Confirm) => shown(&client.task(&format!("{PATH}/confirm"))?.body, out),
        Some(Network::Undo) => shown(&client.task(&format!("{PATH}/undo"))?.body, out),
    }
}

impl Trial {
    /// What is asked on the box itself proves nothing of the ways to it.
    fn may(&self, client: &Client) -> Result<(), Failure> {
        if self.confirm && !client.endpoint().starts_with("https://") {
            let why =
                "--confirm is for another box (--endpoint): that it answers there proves that it can; here: bothy host network confirm";
            return Err(Failure::Usage(why.into()));
        }
        Ok(())
    }

    fn tried(&self, sent: Result<(), Failure>, client: &Client, out: &Out) -> Result<(), Failure> {
        match sent {
            // The answer may have met the change on its way: if the box has not taken it, there is nothing to confirm.
            Err(Failure::Unreachable(_)) if self.confirm => {}
            other => other?,
        }
        if !self.confirm {
            let now = client.get(PATH)?;
            shown(&now, out)?;
            if !out.json {
                say!("\nkeep it: bothy host network confirm     within {} s, or it is undone", plain(&now["trial"]["secondsLeft"]));
            }
            return Ok(());
        }
        // An answer that was on its way already says nothing of the new network.
        std::thread::sleep(SETTLE);
        let until = Instant::now() + Duration::from_secs(u64::from(self.within));
        loop {
            match client.task(&format!("{PATH}/confirm")) {
                Ok(answer) => return shown(&answer.body, out),
                Err(Failure::Unreachable(_)) if Instant::now() < until => std::thread::sleep(LOOK),
                Err(Failure::Unreachable(why)) => {
                    return Err(Failure::Here(format!("the box is not reached this way any more, and goes back by itself: {why}")));
                }
                Err(f) => return Err(f),
            }
        }
    }
}

fn read(file: &Utf8PathBuf) -> Result<Value, Failure> {
    let text = std::fs::read(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
    serde_json::from_slice(&text).map_err(|e| Failure::here(format!("{file} is not JSON"), e))
}

fn shown(now: &Value, out: &Out) -> Result<(), Failure> {
    if out.json {
        out.value(now);
    } else {
        say!("{}", text(now));
    }
    Ok(())
}

pub(super) fn text(now: &Value) -> String {
    let mut lines = vec![match (now["managed"] == true, now["state"].as_str()) {
        (false, _) => format!("not set by bothy: {}", plain(&now["notManagedBecause"])),
        (true, Some("ON_TRIAL")) => {
            let t = &now["trial"];
            format!("on trial by {}: undone in {} s unless it is confirmed", plain(&t["by"]), plain(&t["secondsLeft"]))
        }
        (true, Some("KEPT")) => "set by bothy".to_owned(),
        (true, _) => "set by the system's own files; nobody has told bothy anything else".to_owned(),
    }];
    if now["problem"].is_string() {
        lines.push(format!("it is not so yet: {}", plain(&now["problem"])));
    }
    if now["lastUndone"].is_object() {
        let u = &now["lastUndone"];
        lines.push(format!("the last change did not stay ({}): {}", plain(&u["at"]), plain(&u["why"])));
    }
    let joined = |v: &Value, of: &str| list(v, of).iter().map(plain).collect::<Vec<_>>().join(", ");
    let network = &now["network"];
    let rows: Vec<Vec<String>> = list(network, "interfaces")
        .iter()
        .map(|i| {
            let vlan = if i["vlan"].is_null() { String::new() } else { format!(", VLAN {}", plain(&i["vlan"])) };
            vec![format!("{}{vlan}", plain(&i["device"])), family(&i["ipv4"]), family(&i["ipv6"])]
        })
        .collect();
    if !rows.is_empty() {
        lines.push(align(&["INTERFACE", "IPV4", "IPV6"], &rows));
    }
    for (of, name) in [("dns", "DNS"), ("domains", "domains"), ("ntp", "NTP")] {
        if !list(network, of).is_empty() {
            lines.push(format!("{name}: {}", joined(network, of)));
        }
    }
    let ups: Vec<Vec<String>> = list(now, "uplinks")
        .iter()
        .flat_map(|u| ["ipv4", "ipv6"].map(|f| (u, f)))
        .filter(|(u, f)| u[*f].is_object())
        .map(|(u, f)| {
            let w = &u[f];
            let used = if w["inUse"] == true { "yes" } else { "" };
            vec![uplink(u), f.replace("ip", "IP"), plain(&w["state"]), used.to_owned(), since(w), trouble(w).unwrap_or_default()]
        })
        .collect();
    if !ups.is_empty() {
        lines.push(align(&["UPLINK", "FAMILY", "STATE", "IN USE", "SINCE", ""], &ups));
    }
    let port = |p: &Value| {
        let link = if p["link"] == true { "up" } else { "down" };
        vec![plain(&p["name"]), plain(&p["mac"]), link.to_owned(), joined(p, "addresses")]
    };
    lines.push(align(&["PORT", "MAC", "LINK", "ADDRESSES NOW"], &list(now, "ports").iter().map(port).collect::<Vec<_>>()));
    lines.join("\n")
}

/// An uplink by its interface, or by what it was named.
pub(super) fn uplink(u: &Value) -> String {
    plain(if u["interface"].is_string() { &u["interface"] } else { &u["device"] })
}

fn since(w: &Value) -> String {
    if w["since"].is_string() { plain(&w["since"]) } else { String::new() }
}

/// Why a way out is down, and what it takes.
pub(super) fn trouble(w: &Value) -> Option<String> {
    let go = w["hitsToGo"].is_number().then(|| format!("; well after {} rounds with answers", plain(&w["hitsToGo"])));
    (w["state"] == "DOWN").then(|| format!("{}{}", plain(&w["lastMiss"]), go.unwrap_or_default()))
}

fn family(f: &Value) -> String {
    match f["method"].as_str() {
        Some("STATIC") => {
            let all: Vec<String> = list(f, "addresses").iter().map(plain).collect();
            let via = if f["gateway"].is_string() { format!(" via {}", plain(&f["gateway"])) } else { String::new() };
            format!("{}{via}", all.join(", "))
        }
        Some("AUTO") => "auto".to_owned(),
        _ => "off".to_owned(),
    }
}
