//! The box's address translation: the table `inet bothy`, rendered whole and swapped in one
//! transaction. Beside it, in the same way, the table `inet bothy_door` of what reaches the box (`hostnet::Door`), and
//! `arp bothy`, since tables of other families see no ARP.
//!
//! Owns: those tables, which carry the digest of their rules as their comment, and are looked at whole. Never: touches
//! another table, changes a single rule in place.
//!
//! What the rules of address translation do:
//! - sources in `masquerade` get the host's address when they leave by an interface that is not
//!   Bothy's;
//! - a connection to a forwarded port of any address of the host (loopback apart) goes to the
//!   guest, and gets the host's address on that segment as its source: the guest answers even
//!   when its default route is elsewhere;
//! - between two of Bothy's segments the host forwards nothing, save what a forward names;
//! - what guests send is the switch's alone. One in user space (netdev, DPDK) reads it from the guests' interfaces, and
//!   the kernel would take it as well: it would answer for each address of the host on links that the host is not on,
//!   let guests in by its link-local ones, and speak to them unasked.

use std::{
    fmt::Write,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::exec::Exec;
use crate::{
    hostnet::port::PacketFilter,
    model::{
        error::{Fault, Result},
        id::IfKind,
        net::Cidr,
        order::Order as _,
    },
    vim::port::NatTable,
};

const NAT: Table = Table { family: "inet", name: "bothy" };
const ARP: Table = Table { family: "arp", name: "bothy" };
const DOOR: Table = Table { family: "inet", name: "bothy_door" };

#[derive(Clone, Copy)]
struct Table {
    family: &'static str,
    name: &'static str,
}

/// The tables of address translation.
#[derive(Default)]
pub struct Translation {
    nat: Kept,
    arp: Kept,
}

impl Translation {
    /// Makes them as given; an empty one means no table. One at a time.
    pub fn project(&self, table: &NatTable) -> Result<()> {
        let arp = table.links.then(|| guard("input", "filter"));
        let both = self.nat.swap(NAT, render(table).as_deref()).and_then(|_| self.arp.swap(ARP, arp.as_deref()));
        both.map(drop).map_err(|e| e.context("address translation"))
    }
}

/// The chains that leave guests' interfaces to the switch; `hook`: where what comes in is seen first.
fn guard(hook: &str, priority: &str) -> String {
    let guests = IfKind::Guest.lead();
    let chain = |name: &str, hook: &str, way: &str| {
        format!("\tchain {name} {{\n\t\ttype filter hook {hook} priority {priority}; policy accept;\n\t\t{way} \"{guests}*\" drop\n\t}}\n")
    };
    chain("from_guests", hook, "iifname") + &chain("to_guests", "output", "oifname")
}

/// `hostnet::port::PacketFilter` by nft.
#[derive(Default)]
pub struct Filter(Kept);

impl PacketFilter for Filter {
    fn ensure(&self, rules: Option<&str>) -> Result<bool> {
        self.0.swap(DOOR, rules).map_err(|e| e.context("what reaches the box"))
    }
}

/// A table as the kernel listed it when it was made: whatever somebody does to it since shows in its list. Its comment would
/// outlive its rules (`nft flush table`).
#[derive(Default)]
struct Kept(Mutex<Option<String>>);

impl Kept {
    /// The table has these chains and no others. True: it was otherwise, or nobody here has made it yet.
    fn swap(&self, table: Table, rules: Option<&str>) -> Result<bool> {
        let Table { family, name } = table;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = rules.map(digest);
        let now = list(table)?;
        let is_it = match (&now, &digest) {
            (None, None) => true,
            (Some(now), Some(digest)) => kept.as_ref() == Some(now) && now.contains(digest.as_str()),
            (None, Some(_)) | (Some(_), None) => false,
        };
        if is_it {
            return Ok(false);
        }
        // Adding before deleting makes the deletion succeed whether it was there or not.
        let mut script = format!("add table {family} {name}\ndelete table {family} {name}\n");
        if let (Some(rules), Some(digest)) = (rules, digest) {
            let _ = write!(script, "table {family} {name} {{\n\tcomment \"{digest}\"\n{rules}}}\n");
        }
        *kept = None;
        Exec::new("nft").args(["-f", "-"]).stdin(script).run()?;
        *kept = list(table)?;
        Ok(true)
    }
}

/// What the kernel has now, without counters; what this process did earlier is not evidence (`nft flush ruleset`).
fn list(table: Table) -> Result<Option<String>> {
    let nft = Exec::new("nft").args(["-s", "list", "table", table.family, table.name]);
    let out = nft.run_any()?;
    if out.status.success() {
        return Ok(Some(out.stdout));
    }
    if out.stderr.contains("No such file or directory") { Ok(None) } else { Err(nft.failed(&out)) }
}

fn digest(rules: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(rules.as_bytes()))
}

/// Why a table cannot be rendered into rules that work; all reasons at once.
pub fn check(t: &NatTable) -> Result<()> {
    let mut reasons = Vec::new();
    let mut ports = std::collections::BTreeMap::new();
    for f in &t.forwards {
        if f.host_port == 0 || f.to_port == 0 {
            reasons.push(format!("forward to {}: port 0 is no port", f.to));
        }
        if let Some(other) = ports.insert((f.tcp, f.to.is_ipv4(), f.host_port), f)
            && other != f
        {
            reasons.push(format!("{} port {} is forwarded to both {} and {}", protocol(f.tcp), f.host_port, other.to, f.to));
        }
    }
    if reasons.is_empty() { Ok(()) } else { Err(Fault::conflict("the port forwards contradict each other").with_reasons(reasons)) }
}

fn protocol(tcp: bool) -> &'static str {
    if tcp { "tcp" } else { "udp" }
}

/// The chains of the table; `None` when there is nothing to do.
fn render(t: &NatTable) -> Option<String> {
    if *t == NatTable::default() {
        return None;
    }
    let mut out = if t.links { guard("prerouting", "raw") } else { String::new() };
    let mut inside: Vec<&str> = t.inside.iter().map(|n| n.as_str()).collect();
    inside.order();
    inside.dedup();
    let members: Vec<String> = inside.iter().map(|n| format!("\"{n}\"")).collect();
    let elements = if members.is_empty() { String::new() } else { format!("\t\telements = {{ {} }}\n", members.join(", ")) };
    let _ = write!(out, "\tset inside {{\n\t\ttype ifname\n{elements}\t}}\n");

    let mut forwards = t.forwards.clone();
    forwards.order();
    forwards.dedup();
    let mut dnat = String::new();
    for f in &forwards {
        let p = protocol(f.tcp);
        let (family, to) = match f.to {
            IpAddr::V4(a) => ("ip", format!("{a}:{}", f.to_port)),
            IpAddr::V6(a) => ("ip6", format!("[{a}]:{}", f.to_port)),
        };
        // A connection of the host to its own loopback address cannot be translated: the kernel
        // drops such packets once they leave by a real interface.
        let not_loopback = if f.to.is_ipv4() { "ip daddr != 127.0.0.0/8" } else { "ip6 daddr != ::1" };
        let _ = writeln!(dnat, "\t\tfib daddr type local {not_loopback} {p} dport {} dnat {family} to {to}", f.host_port);
    }
    let _ = write!(out, "\tchain prerouting {{\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n{dnat}\t}}\n");
    let _ = write!(out, "\tchain output {{\n\t\ttype nat hook output priority -100; policy accept;\n{dnat}\t}}\n");

    let mut snat = String::new();
    let mut sources: Vec<Cidr> = t.masquerade.iter().map(|c| c.network()).collect();
    sources.order();
    sources.dedup();
    for c in sources {
        let family = if c.is_ipv4() { "ip" } else { "ip6" };
        let _ = writeln!(snat, "\t\t{family} saddr {c} oifname != @inside masquerade");
    }
    let _ = write!(
        out,
        "\tchain postrouting {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\t\toifname @inside ct status dnat masquerade\n{snat}\t}}\n"
    );
    out.push_str(
        "\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n\t\tct status dnat accept\n\t\tiifname @inside oifname @inside drop\n\t}\n",
    );
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::segment::NatForward;

    fn forward(host_port: u16, to: &str) -> NatForward {
        NatForward { tcp: true, host_port, to: to.parse().expect("ip"), to_port: 80 }
    }

    #[test]
    fn the_same_table_in_another_order_is_the_same_text() {
        let mut t = NatTable {
            masquerade: vec!["10.1.0.9/24".parse().expect("cidr"), "fd00::/64".parse().expect("cidr")],
            forwards: vec![forward(8080, "10.1.0.5"), forward(8081, "fd00::5")],
            inside: vec!["bhb".parse().expect("if"), "bha".parse().expect("if")],
            links: true,
        };
        let text = render(&t).expect("rules");
        for line in [
            "ip saddr 10.1.0.0/24 oifname != @inside masquerade",
            "ip6 saddr fd00::/64 oifname != @inside masquerade",
            "tcp dport 8080 dnat ip to 10.1.0.5:80",
            "tcp dport 8081 dnat ip6 to [fd00::5]:80",
            "elements = { \"bha\", \"bhb\" }",
            "iifname \"bg*\" drop",
            "oifname \"bg*\" drop",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
        t.masquerade.reverse();
        t.forwards.reverse();
        t.inside.reverse();
        assert_eq!(render(&t), Some(text));
        assert_eq!(render(&NatTable::default()), None);
    }

    #[test]
    fn contradictions_are_told_all_at_once() {
        let t = NatTable {
            forwards: vec![forward(80, "10.0.0.1"), forward(80, "10.0.0.2"), forward(0, "10.0.0.3"), forward(80, "fd00::1")],
            ..NatTable::default()
        };
        assert_eq!(check(&t).expect_err("bad").reasons().len(), 2);
        assert!(check(&NatTable { forwards: vec![forward(80, "10.0.0.1"), forward(80, "10.0.0.1")], ..t }).is_ok());
    }
}
