//! `bothy host plan|apply|reload`, and where the other words of `bothy host` go: how the box is set up for guests.

use clap::Subcommand;
use serde_json::Value;

use super::{
    capacity,
    client::Client,
    facts,
    failure::Failure,
    follow::{Wait, accepted},
    guests, host, hostnet,
    names::list,
    output::{Out, align, plain, say},
    reset, usage,
};

#[derive(Subcommand)]
pub enum Host {
    /// The hardware: NUMA nodes, cores, hugepages, PCI devices, physical and virtual functions
    Facts,
    /// Cores, pages and VFs of each NUMA node, who holds them, and what is not as it was given
    Usage,
    /// What there is and what is left, by zones, with its units: as an OSS reads it over SOL005
    Capacity,
    /// Take a physical function from its driver and give it back; guests with virtual functions of it lose them meanwhile
    Reload {
        /// Its interface's name, or its PCI address
        pf: String,
        /// Seconds guests have to let go of their functions; one that does not is stopped, and started after
        #[arg(long, default_value_t = 30, value_name = "SECONDS")]
        within: u32,
        #[command(flatten)]
        wait: Wait,
    },
    /// Guests on the host that no record names and that are left alone
    Guests {
        #[command(subcommand)]
        what: Option<guests::Guests>,
    },
    /// The box's own ports: their addresses, and a change that is undone unless it is confirmed
    Network {
        #[command(subcommand)]
        what: Option<hostnet::Network>,
    },
    /// Back to how it was before its services, its configuration, or anything at all
    Reset(reset::Reset),
    /// What differs from the configuration's [host], and what each item needs; changes nothing
    Plan,
    /// Do what the plan says: live settings at once, kernel arguments on trial at the next boot
    Apply {
        /// Put each thing back as it was before the first apply
        #[arg(long)]
        undo: bool,
    },
}

/// Without a word: capacity, and what of it is promised.
pub fn run(what: Option<Host>, client: &Client, out: &Out) -> Result<(), Failure> {
    match what {
        None => host::run(client, out),
        Some(Host::Facts) => facts::run(client, out),
        Some(Host::Usage) => usage::run(client, out),
        Some(Host::Capacity) => capacity::run(client, out),
        Some(Host::Reload { pf, within, wait }) => {
            let answer = client.task(&format!("/bothy/v1/host/pfs/{pf}/reload?within_s={within}"))?;
            accepted(client, out, &answer, wait)
        }
        Some(Host::Guests { what }) => guests::run(what, client, out),
        Some(Host::Network { what }) => hostnet::run(what, client, out),
        Some(Host::Reset(r)) => r.run(client, out),
        Some(Host::Plan) => plan(client, out),
        Some(Host::Apply { undo }) => apply(client, out, undo),
    }
}

fn plan(client: &Client, out: &Out) -> Result<(), Failure> {
    let p = client.get("/bothy/v1/host/plan")?;
    if out.json {
        out.value(&p);
        return Ok(());
    }
    say!("{}", plan_text(&p));
    Ok(())
}

fn plan_text(p: &Value) -> String {
    let items = list(p, "items");
    let needs = |v: &Value| match v.as_str().unwrap_or_default() {
        "NOTHING" => "at once",
        "REBOOT" => "apply, then reboot",
        "REBOOT_PENDING" => "reboot",
        "BY_HAND" => "by hand in the boot loader, then reboot",
        _ => "-",
    };
    let row = |i: &Value| vec![plain(&i["what"]), needs(&i["needs"]).to_owned(), plain(&i["why"])];
    let mut lines = vec![match items {
        [] => "the host is as the configuration wants it".to_owned(),
        all => align(&["DIFFERENCE", "TAKEN UP", "WHY"], &all.iter().map(row).collect::<Vec<_>>()),
    }];
    lines.extend(list(p, "blocked").iter().map(|b| format!("cannot be: {}: {}", plain(&b["what"]), plain(&b["why"]))));
    lines.push(format!("\nkernel arguments wanted: {}", facts::wanted(&p["kernelArguments"])));
    if let Some(boot) = p["bootLoader"].as_object() {
        let tried = if boot["armed"] == true { "on trial at the next boot" } else { "tried and not kept" };
        let trial = boot.get("onTrial").map(|t| format!("; {tried}: {}", plain(t)));
        lines.push(format!("boot loader: '{}'{}", plain(&boot["committed"]), trial.unwrap_or_default()));
    }
    lines.join("\n")
}

fn apply(client: &Client, out: &Out, undo: bool) -> Result<(), Failure> {
    let path = if undo { "/bothy/v1/host/undo" } else { "/bothy/v1/host/apply" };
    let answer = client.task(path)?.body;
    let failed = list(&answer, "failed");
    if out.json {
        out.value(&answer);
    } else {
        for what in list(&answer, "done") {
            say!("done: {}", plain(what));
        }
        if list(&answer, "done").is_empty() && failed.is_empty() {
            say!("{}", if undo { "there is nothing to undo" } else { "nothing to do at once" });
        }
        if answer["reboot"] == true {
            say!("reboot to take up the kernel arguments: they are tried once, and kept when bothy comes up with them");
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    if !out.json {
        for f in failed {
            say!("failed: {}: {}", plain(&f["what"]), plain(&f["why"]));
        }
    }
    Err(Failure::Here(format!("{} of the changes failed", failed.len())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_what_is_wanted_of_the_kernel_though_nothing_differs() {
        let mut p = json!({"items": [], "blocked": [], "kernelArguments": "isolcpus=domain,2-7 nohz_full=2-7", "canUndo": false});
        let first = "the host is as the configuration wants it\n\nkernel arguments wanted: isolcpus=domain,2-7 nohz_full=2-7";
        assert_eq!(plan_text(&p), first);
        p["bootLoader"] = json!({"committed": "iommu=pt", "onTrial": "iommu=on", "armed": true});
        assert_eq!(plan_text(&p), format!("{first}\nboot loader: 'iommu=pt'; on trial at the next boot: iommu=on"));
        p["items"] = json!([{"what": "kernel argument iommu=on", "why": "devices go to guests", "needs": "REBOOT"}]);
        p["blocked"] = json!([{"what": "PF eth0: 9 VFs", "why": "its hardware has 7"}]);
        p["kernelArguments"] = json!("");
        p["bootLoader"] = serde_json::Value::Null;
        let all = [
            "DIFFERENCE                TAKEN UP            WHY",
            "kernel argument iommu=on  apply, then reboot  devices go to guests",
            "cannot be: PF eth0: 9 VFs: its hardware has 7",
            "",
            "kernel arguments wanted: none",
        ];
        assert_eq!(plan_text(&p), all.join("\n"));
    }
}
