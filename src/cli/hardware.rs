//! `bothy host facts|plan|apply|reload|guests`: the box's hardware, and how it is set up for guests.

use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    follow::{Wait, accepted},
    guests, host,
    names::list,
    output::{Out, align, plain, say},
    usage,
};

#[derive(Subcommand)]
pub enum Host {
    /// The hardware: NUMA nodes, cores, hugepages, PCI devices, physical and virtual functions
    Facts,
    /// Cores, pages and VFs of each NUMA node, who holds them, and what is not as it was given
    Usage,
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
        Some(Host::Facts) => facts(client, out),
        Some(Host::Usage) => usage::run(client, out),
        Some(Host::Reload { pf, within, wait }) => {
            let answer = client.task(&format!("/bothy/v1/host/pfs/{pf}/reload?within_s={within}"))?;
            accepted(client, out, &answer, wait)
        }
        Some(Host::Guests { what }) => guests::run(what, client, out),
        Some(Host::Plan) => plan(client, out),
        Some(Host::Apply { undo }) => apply(client, out, undo),
    }
}

fn facts(client: &Client, out: &Out) -> Result<(), Failure> {
    let f = client.get("/bothy/v1/host/facts")?;
    if out.json {
        out.value(&f);
        return Ok(());
    }
    let yes = |v: &Value| if v == true { "yes" } else { "no" };
    say!("kernel {}: {}", plain(&f["kernel"]), plain(&f["kernelArguments"]));
    say!(
        "{} sockets, {} cores, CPUs {}, SMT {}, IOMMU {}",
        plain(&f["sockets"]),
        list(&f, "cores").len(),
        plain(&f["cpus"]),
        yes(&f["smt"]),
        yes(&f["iommu"])
    );
    for (member, what) in [("isolated", "isolated CPUs"), ("nohzFull", "CPUs without a tick")] {
        if f[member].as_str().is_some_and(|s| !s.is_empty()) {
            say!("{what}: {}", plain(&f[member]));
        }
    }
    if f["mhz"].is_number() {
        say!("clock: {} MHz", plain(&f["mhz"]));
    }
    for g in list(&f, "governors") {
        say!("governor {}: CPUs {}", plain(&g["name"]), plain(&g["cpus"]));
    }
    let pages = |n: &Value| {
        let one = |p: &Value| format!("{}/{} x {} KiB", plain(&p["free"]), plain(&p["total"]), plain(&p["sizeKib"]));
        list(n, "hugepages").iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let node = |n: &Value| vec![plain(&n["id"]), plain(&n["cpus"]), plain(&n["memoryMib"]), plain(&n["memoryFreeMib"]), pages(n)];
    let rows: Vec<_> = list(&f, "nodes").iter().map(node).collect();
    say!("\n{}", align(&["NODE", "CPUS", "MIB", "FREE", "HUGEPAGES FREE/TOTAL"], &rows));
    let rows: Vec<_> = list(&f, "devices").iter().map(device).collect();
    say!("\n{}", align(&["PCI", "ID", "NODE", "DRIVER", "GROUP", "INTERFACE", "SR-IOV"], &rows));
    let rows: Vec<_> = list(&f, "devices").iter().flat_map(vfs).collect();
    if !rows.is_empty() {
        say!("\n{}", align(&["VF", "OF", "INDEX", "MAC", "VLAN", "TRUST", "SPOOF CHECK", "MBIT/S"], &rows));
    }
    Ok(())
}

fn device(d: &Value) -> Vec<String> {
    let interface = |i: &Value| match i["speedMbps"].as_u64() {
        Some(speed) => format!("{} {speed} Mbit/s", plain(&i["name"])),
        None if i["carrier"] == true => plain(&i["name"]),
        None => format!("{} no link", plain(&i["name"])),
    };
    let sriov = match (&d["sriov"], &d["physicalFunction"]) {
        (Value::Null, Value::Null) => String::new(),
        (Value::Null, pf) => format!("VF of {}", plain(pf)),
        (pf, _) => {
            let net = pf["physicalNetwork"].as_str().map(|n| format!(" on {n}")).unwrap_or_default();
            format!("PF{net}: {} of {}", list(pf, "vfs").len(), plain(&pf["total"]))
        }
    };
    let interfaces: Vec<String> = list(d, "interfaces").iter().map(interface).collect();
    let id = format!("{}:{}", plain(&d["vendor"]), plain(&d["device"]));
    vec![plain(&d["address"]), id, plain(&d["node"]), plain(&d["driver"]), plain(&d["iommuGroup"]), interfaces.join(", "), sriov]
}

fn vfs(pf: &Value) -> Vec<Vec<String>> {
    let row = |v: &Value| {
        let s = &v["settings"];
        let of = plain(&pf["interfaces"][0]["name"]);
        let rate = format!("{}-{}", plain(&s["minRateMbps"]), plain(&s["maxRateMbps"]));
        let all = [&v["address"], &v["index"], &s["mac"], &s["vlan"], &s["trust"], &s["spoofCheck"]].map(plain);
        let [address, index, mac, vlan, trust, spoof] = all;
        vec![address, of, index, mac, vlan, trust, spoof, rate]
    };
    list(&pf["sriov"], "vfs").iter().map(row).collect()
}

fn plan(client: &Client, out: &Out) -> Result<(), Failure> {
    let p = client.get("/bothy/v1/host/plan")?;
    if out.json {
        out.value(&p);
        return Ok(());
    }
    let items = list(&p, "items");
    if items.is_empty() {
        say!("the host is as the configuration wants it");
    }
    let needs = |v: &Value| match v.as_str().unwrap_or_default() {
        "NOTHING" => "at once",
        "REBOOT" => "apply, then reboot",
        "REBOOT_PENDING" => "reboot",
        "BY_HAND" => "by hand in the boot loader, then reboot",
        _ => "-",
    };
    if !items.is_empty() {
        let rows: Vec<_> = items.iter().map(|i| vec![plain(&i["what"]), needs(&i["needs"]).to_owned(), plain(&i["why"])]).collect();
        say!("{}", align(&["DIFFERENCE", "TAKEN UP", "WHY"], &rows));
    }
    tell_blocked("cannot be", list(&p, "blocked"));
    if let Some(boot) = p["bootLoader"].as_object() {
        let tried = if boot["armed"] == true { "on trial at the next boot" } else { "tried and not kept" };
        let trial = boot.get("onTrial").map(|t| format!("; {tried}: {}", plain(t)));
        say!("\nboot loader: '{}'{}", plain(&boot["committed"]), trial.unwrap_or_default());
    }
    Ok(())
}

fn tell_blocked(lead: &str, all: &[Value]) {
    for b in all {
        say!("{lead}: {}: {}", plain(&b["what"]), plain(&b["why"]));
    }
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
        tell_blocked("failed", failed);
    }
    Err(Failure::Here(format!("{} of the changes failed", failed.len())))
}
