//! `bothy host usage`: cores, pages and VFs of each NUMA node, and who holds them.

use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::list,
    output::{Out, align, plain},
};

pub fn run(client: &Client, out: &Out) -> Result<(), Failure> {
    let usage = client.get("/bothy/v1/host/usage")?;
    out.done(&usage, &text(&usage));
    Ok(())
}

fn text(usage: &Value) -> String {
    let mut parts = Vec::new();
    for n in list(usage, "nodes") {
        let mut lines = vec![format!("NUMA node {}: {} whole cores free", plain(&n["id"]), plain(&n["wholeCoresFree"]))];
        for (member, what) in
            [("freeCpus", "free CPUs"), ("hostCpus", "the host's"), ("isolatedCpus", "isolated"), ("floatingCpus", "guests float over")]
        {
            let cpus = plain(&n[member]);
            if !cpus.is_empty() {
                lines.push(format!("  {what}: {cpus}"));
            }
        }
        lines.extend(time(&n["cpuTime"]));
        let held: Vec<Vec<String>> = list(n, "cpus").iter().filter(|c| c["holder"].is_object()).map(cpu).collect();
        if !held.is_empty() {
            lines.push(align(&["  CPU", "SIBLING", "USE", "GUEST"], &held));
        }
        let pages: Vec<Vec<String>> = list(n, "pages").iter().map(pages).collect();
        lines.push(align(&["  PAGES", "TOTAL", "RESERVED", "HELD", "FREE", "GUESTS"], &pages));
        parts.push(lines.join("\n"));
    }
    let cards: Vec<Vec<String>> = list(usage, "cards").iter().map(card).collect();
    if !cards.is_empty() {
        parts.push(align(&["CARD", "ADDRESS", "NODE", "NETWORK", "MBIT/S", "PROMISED", "VFS", "GIVEN"], &cards));
    }
    parts.extend(list(usage, "drift").iter().map(|d| format!("drift: {}", plain(d))));
    parts.join("\n\n")
}

/// What is promised of the CPUs that guests float over, if anything is.
fn time(t: &Value) -> Option<String> {
    let (clock, unit) = t["mhz"].as_u64().map_or((1000, "thousandths of a CPU"), |mhz| (mhz, "MHz"));
    let amount = |v: &Value| (v.as_u64().unwrap_or(0) * clock / 1000).to_string();
    let who: Vec<String> = list(t, "holders").iter().map(|h| format!("{} ({})", plain(&h["name"]), amount(&h["milliCpus"]))).collect();
    let promised = format!("  CPU time: {} of {} {unit} promised: ", amount(&t["promisedMilliCpus"]), amount(&t["milliCpus"]));
    (!who.is_empty()).then(|| promised + &who.join(", "))
}

fn cpu(c: &Value) -> Vec<String> {
    let what = match c["use"].as_str().unwrap_or_default() {
        "VCPU" => format!("vCPU {}", plain(&c["vcpu"])),
        "IDLE" => "kept idle".into(),
        other => other.to_ascii_lowercase(),
    };
    vec![format!("  {}", plain(&c["cpu"])), plain(&c["siblings"]), what, plain(&c["holder"]["name"])]
}

fn pages(p: &Value) -> Vec<String> {
    let number = |m: &str| p[m].as_u64().unwrap_or(0);
    let size = match number("sizeKib") {
        1_048_576 => "  1 GiB".to_owned(),
        2048 => "  2 MiB".to_owned(),
        kib => format!("  {kib} KiB"),
    };
    let free = number("total").saturating_sub(number("reserved")).saturating_sub(number("held"));
    let who: Vec<String> = list(p, "holders").iter().map(|h| format!("{} ({})", plain(&h["name"]), plain(&h["pages"]))).collect();
    vec![size, plain(&p["total"]), plain(&p["reserved"]), plain(&p["held"]), free.to_string(), who.join(", ")]
}

fn card(c: &Value) -> Vec<String> {
    let function = |f: &Value| match f["vf"].as_u64() {
        Some(n) => format!("VF {n}: {}", plain(&f["holder"]["name"])),
        None => format!("whole: {}", plain(&f["holder"]["name"])),
    };
    let given: Vec<String> = list(c, "given").iter().map(function).collect();
    let of = |m: &str| plain(&c[m]);
    vec![of("name"), of("address"), of("node"), of("physicalNetwork"), of("mbps"), of("promisedMbps"), of("vfs"), given.join(", ")]
}
