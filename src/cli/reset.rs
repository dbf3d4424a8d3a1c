//! `bothy host reset`: what a factory reset takes and keeps, asked for twice, and done by the next start.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    names::list,
    output::{Out, plain, say},
};

#[derive(clap::Args)]
pub struct Reset {
    /// services: guests and all that they have made. configuration: and accounts, secrets, network, set-up. everything: the
    /// box as it was flashed
    #[arg(long, value_parser = ["services", "configuration", "everything"], required_unless_present = "status")]
    depth: Option<String>,
    /// Only show what would go and what would stay
    #[arg(long, conflicts_with_all = ["yes", "insist"])]
    plan: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also while operations are under way: they are cut off
    #[arg(long)]
    insist: bool,
    /// What became of the last one
    #[arg(long, conflicts_with_all = ["depth", "plan", "yes", "insist"])]
    status: bool,
}

const PATH: &str = "/bothy/v1/host/reset";

impl Reset {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let Some(depth) = self.depth else {
            let now = client.get(PATH)?;
            if out.json {
                out.value(&now);
            } else {
                say!("{}", status(&now));
            }
            return Ok(());
        };
        let plan = planned(client, &depth)?;
        if self.plan {
            if out.json {
                out.value(&plan);
            } else {
                say!("{}", text(&plan));
            }
            return Ok(());
        }
        if !self.yes {
            eprintln!("{}\n", text(&plan));
            asked(&depth)?;
        }
        let done = order(client, &plan, self.insist)?;
        out.done(&done, coming(&done));
        Ok(())
    }
}

pub(super) fn planned(client: &Client, depth: &str) -> Result<Value, Failure> {
    Ok(client.post(&format!("{PATH}/plan"), &json!({ "depth": depth }))?.body)
}

pub(super) fn order(client: &Client, plan: &Value, insist: bool) -> Result<Value, Failure> {
    Ok(client.post(PATH, &json!({ "depth": plan["depth"], "token": plan["token"], "insist": insist }))?.body)
}

pub(super) fn coming(plan: &Value) -> &'static str {
    match plan["restarts"].as_str() {
        Some("BOX") => "the box restarts and is reset; bothy host reset --status tells what became of it",
        _ => "bothy starts anew and is reset; bothy host reset --status tells what became of it",
    }
}

/// By the word itself: a `y` is typed too soon.
fn asked(depth: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("nobody is here to confirm it: look at --plan, then say --yes".into()));
    }
    eprint!("Type {depth} to do it: ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|e| Failure::here("cannot read the answer", e))?;
    if line.trim() == depth { Ok(()) } else { Err(Failure::Here("nothing was done".into())) }
}

pub(super) fn text(plan: &Value) -> String {
    let mut lines = vec![format!("a reset of {} on this box", plain(&plan["depth"]))];
    for (member, what) in [
        ("goes", "goes"),
        ("stays", "stays"),
        ("skipped", "is not this host's to reset"),
        ("refusedBecause", "cannot be now"),
        ("waitsFor", "is under way (--insist cuts it off)"),
    ] {
        let all = list(plan, member);
        if !all.is_empty() {
            lines.push(format!("{what}:"));
            lines.extend(all.iter().map(|l| format!("  - {}", plain(l))));
        }
    }
    lines.push(match plan["restarts"].as_str() {
        Some("BOX") => "the box restarts for it".to_owned(),
        _ => "bothy starts anew for it".to_owned(),
    });
    lines.join("\n")
}

fn status(now: &Value) -> String {
    let mut lines = Vec::new();
    let o = &now["ordered"];
    if o.is_object() {
        lines.push(format!("a reset of {} was ordered by {} at {}", plain(&o["depth"]), plain(&o["by"]), plain(&o["at"])));
    }
    let d = &now["last"];
    if d.is_object() {
        lines.push(format!("the last reset was of {}, by {} at {}", plain(&d["depth"]), plain(&d["by"]), plain(&d["at"])));
        lines.extend(list(d, "left").iter().map(|l| format!("  left: {}", plain(l))));
    }
    if lines.is_empty() { "this box has not been reset since it was set up".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_all_of_it_before_anybody_is_asked() {
        let plan = json!({"depth": "configuration", "goes": ["3 VNFs"], "stays": ["the catalogue"], "skipped": ["bothy.toml"],
            "refusedBecause": [], "waitsFor": ["operation 1 (HEAL) is under way"], "restarts": "BOTHY", "token": "aa"});
        assert_eq!(
            text(&plan),
            "a reset of configuration on this box\ngoes:\n  - 3 VNFs\nstays:\n  - the catalogue\nis not this host's to reset:\n  - bothy.toml\n\
             is under way (--insist cuts it off):\n  - operation 1 (HEAL) is under way\nbothy starts anew for it"
        );
        assert!(status(&json!({})).contains("not been reset"));
        let last = json!({"last": {"depth": "services", "by": "ada", "at": "2026-11-30T12:00:00Z", "left": ["guest 1: libvirt is away"]}});
        assert!(status(&last).ends_with("  left: guest 1: libvirt is away"), "{}", status(&last));
    }
}
