//! Chains through real guests: a client talks to a server while functions come into its path and leave it, are scaled out,
//! die and are healed. What is established lives on; what was lost is counted and printed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::Pair;
use crate::kit::{
    self,
    bothy::{NEEDS, text, within},
    host::{Host, With, kill_qemu, tiny_image},
    sh,
    shell::{Shell, addresses, guests, onboard, vnf},
};

const NSD: &str = "e2e00031-0000-4000-8000-000000000001";
const WAIT: Duration = Duration::from_secs(60);
const WEB: &str = "10.41.1.11";
const CLIENT: &str = "10.41.1.10";
const NAT: &str = "10.41.1.13";
/// Connections that are open while a chain changes.
const OPEN: usize = 4;

struct Site<'h> {
    host: &'h Host,
    client: Shell<'h>,
    web: Shell<'h>,
}

#[test]
fn connections_between_guests_live_on_while_functions_come_to_their_chain_and_leave_it() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    onboard(&host, image.as_std_path(), &["post", "wire", "nat"], "graph");
    let began = Instant::now();
    let ns = Pair::of(&host, NSD, "graph");
    host.completed(&ns.instantiate(&host));
    println!("four guests are up after {:.0?}", began.elapsed());
    let [client, web] = ["10.41.0.10", "10.41.0.11"].map(|at| Shell::at(&host, at));
    let s = Site { host: &host, client, web };
    for (what, part) in [
        ("a function in reserve", &in_reserve as &dyn Fn(&Site<'_>)),
        ("a wire in and out again", &a_wire_comes_and_goes),
        ("a NAT in and out again", &a_nat_comes_and_goes),
        ("two wires share", &two_share_and_die),
    ] {
        let began = Instant::now();
        part(&s);
        println!("{what}: {:.1?}", began.elapsed());
    }
    host.completed(&ns.terminate(&host));
    host.delete(&ns.path);
    host.nothing_left();
}

/// A guest that bridges two NICs of one link makes no loop of it while no chain leads by it.
fn in_reserve(s: &Site<'_>) {
    let wire = s.wires().remove(0);
    s.client.reaches(&[WEB, "fd10:41:1::11"], &[WEB, "fd10:41:1::11"]);
    wire.says("arping -D -c 3 -I eth1 10.41.9.9 >/dev/null; true");
    for nic in ["eth1", "eth2", "eth3"] {
        let heard = wire.number(&format!("cat /sys/class/net/{nic}/statistics/rx_packets"));
        assert_eq!(heard, 0, "{nic} hears a link");
    }
    assert!(s.asks("web").contains(CLIENT));
}

/// Transparent functions, with two NICs and with one, are at once in the way of what is established.
fn a_wire_comes_and_goes(s: &Site<'_>) {
    let wire = s.wires().remove(0);
    let load = Load::start(s);
    load.all_through(s, |passed| passed.is_empty());
    for (name, functions, nics, others) in
        [("in the wire", "wire:in/out", &["eth1", "eth2"][..], &["eth3"][..]), ("with one arm", "wire:arm", &["eth3"], &["eth1", "eth2"])]
    {
        let plan = s.host.cli(&["chain", "change", "talk", "--functions", functions, "--plan"]);
        assert!(plan.contains("at once"), "{plan}");
        let lost = s.changed_under(&load, functions);
        println!("  {name}: {lost}");
        let heard = |all: &[&str]| -> u64 {
            let of = |nic: &&str| wire.number(&format!("cat /sys/class/net/{nic}/statistics/rx_packets"));
            all.iter().map(of).sum()
        };
        load.all_through(s, |passed| *passed == load.ports);
        within(&format!("{name}: by its own NICs alone"), WAIT, || {
            let before = heard(others);
            load.goes_on(s);
            (heard(others) == before).then_some(())
        });
        assert!(nics.iter().all(|nic| heard(&[nic]) > 0));
        // New ones pass it too, of both families, and it is the function that lets them.
        for (what, web) in [("IPv4", WEB), ("IPv6", "[fd10:41:1::11]")] {
            s.pages(&format!("{name}, {what}"), web);
            wire.says("nft add rule netdev seen stop tcp dport 80 drop");
            assert!(!s.page(web), "{name}, {what}: past the function that stops it");
            wire.says("nft flush chain netdev seen stop");
            s.pages(&format!("{name}, {what}: again"), web);
        }
        wire.says("nft add rule netdev seen stop icmp type echo-reply drop");
        assert!(s.client.hears(&[WEB], None).is_empty(), "{name}: what comes back passes it too");
        wire.says("nft flush chain netdev seen stop");
    }
    // The chain's own counters say so as well.
    within("the chain has counted them", WAIT, || {
        let c = s.chain("talk");
        let counted = |of: &Value| ["out", "back"].iter().all(|w| of[w]["packets"].as_u64() > Some(10));
        (counted(&c["hops"][0]) && counted(&c) && c["hops"][0]["live"] == 1).then_some(())
    });
    println!("  taken out: {}", s.changed_under(&load, ""));
    load.all_through(s, |passed| passed.is_empty());
    load.end(s);
}

/// Connections that were there keep their way past a NAT, or by it, until they end or their time is up.
fn a_nat_comes_and_goes(s: &Site<'_>) {
    let change = |functions: &str| {
        let dry = s.host.cli(&["chain", "change", "talk", "--functions", functions, "--plan"]);
        assert!(dry.contains("new connections only") && dry.contains("nat is routed"), "{dry}");
        s.host.cli(&["chain", "change", "talk", "--functions", functions]);
        s.settle();
    };
    let peers = || -> BTreeSet<String> {
        let said = s.web.says("netstat -tn | grep ':7 .*ESTABLISHED'; true");
        said.split_whitespace().filter(|w| w.contains(CLIENT) || w.contains(NAT)).map(str::to_owned).collect()
    };
    let from_nat = |all: &BTreeSet<String>| all.iter().filter(|p| p.contains(NAT)).count();
    let old = Load::start(s);
    change("nat:lan");
    assert!(s.asks("web").contains(NAT), "new connections come by the NAT");
    old.goes_on(s);
    assert_eq!((peers().len(), from_nat(&peers())), (OPEN, 0), "old ones are where they were");
    let new = Load::start(s);
    old.goes_on(s);
    assert_eq!((peers().len(), from_nat(&peers())), (2 * OPEN, OPEN), "{:?}", peers());
    let shown = s.host.cli(&["chain", "show", "talk"]);
    assert!(shown.contains("DRAINING"), "{shown}");
    // They end before their time is up, and then the chain has one way.
    old.end(s);
    s.host.cli(&["chain", "settle", "talk"]);
    new.goes_on(s);

    change("");
    assert!(s.asks("web").contains(CLIENT), "new connections go past it again");
    new.goes_on(s);
    assert_eq!((peers().len(), from_nat(&peers())), (OPEN, OPEN), "those by the NAT are there still");
    new.end(s);
    s.host.cli(&["chain", "settle", "talk"]);
}

/// Two guests of one function share the connections, each both ways of its own; one goes on for both, and without any the
/// chains do as they are told.
fn two_share_and_die(s: &Site<'_>) {
    s.change("wire:in/out");
    s.host.cli(&["ns", "scale", "graph", "graph-wire", "--aspect", "wires"]);
    let wires = s.wires();
    assert_eq!(wires.len(), 2);
    within("both are led to", WAIT, || (s.chain("talk")["hops"][0]["live"] == 2).then_some(()));
    s.forget();
    // One after the other: the server's queue is two long, and a script of a guest has its time.
    for _ in 0..4 {
        let many = s.client.says(&format!("for n in 1 2 3 4; do echo hello | timeout 20 nc {WEB} 7; done"));
        assert_eq!(many.lines().filter(|l| *l == "hello").count(), 4, "{many}");
    }
    let [[one, one_back], [two, two_back]] = [0, 1].map(|n| ["there", "back"].map(|set| seen(&wires[n], set)));
    println!("  16 connections over two guests: {} and {}", one.len(), two.len());
    assert_eq!((&one, &two), (&one_back, &two_back), "what comes back passes the same guest");
    assert!(!one.is_empty() && !two.is_empty() && one.is_disjoint(&two) && one.len() + two.len() == 16, "{one:?} {two:?}");

    let ids: Vec<String> = {
        let v = vnf(s.host, "graph-wire");
        guests(&v, "wire").iter().map(|g| text(&g["computeResource"], "resourceId").to_owned()).collect()
    };
    let load = Load::start(s);
    let dies = |id: &String, left: u32| {
        kill_qemu(id.parse().expect("a guest's id"));
        within("the chain knows", WAIT, || (s.chain("talk")["hops"][0]["live"] == left).then_some(()));
    };
    dies(&ids[1], 1);
    // Those that passed the other are led by this one now.
    load.goes_on(s);
    s.pages("by the one that is left", WEB);
    load.end(s);
    dies(&ids[0], 0);
    assert!(!s.page(WEB), "without its function the chain blocks");
    s.client.reaches(&[WEB], &[WEB]);
    s.host.cli(&["ns", "heal", "graph", "graph-wire"]);
    within("both are led to again", WAIT, || (s.chain("talk")["hops"][0]["live"] == 2).then_some(()));
    s.pages("again", WEB);
}

/// Connections to port 7 of one of the functions' guests, by the client's port.
fn seen(wire: &Shell<'_>, set: &str) -> BTreeSet<u16> {
    let text = wire.says(&format!("nft -n list set netdev seen {set}"));
    let inside = text.split_once("elements = {").map_or("", |(_, rest)| rest.split('}').next().unwrap_or_default());
    inside.split(',').filter_map(|p| p.trim().parse().ok()).collect()
}

impl Site<'_> {
    /// The guests of the function `wire`.
    fn wires(&self) -> Vec<Shell<'_>> {
        let v = vnf(self.host, "graph-wire");
        guests(&v, "wire").iter().map(|g| Shell::at(self.host, &addresses(g, "mgmt")[0])).collect()
    }
    fn chain(&self, name: &str) -> Value {
        let all: Value = serde_json::from_str(&self.host.cli(&["chain", "list", "--json"])).expect("JSON");
        all.as_array().expect("chains").iter().find(|c| c["nfp"] == name).expect("the chain").clone()
    }
    /// Both chains lead by these functions from now on.
    fn change(&self, functions: &str) {
        for chain in ["talk", "pings"] {
            self.host.cli(&["chain", "change", chain, "--functions", functions]);
        }
        self.settle();
    }
    /// What the switch has cached of the time before is gone: on a busy host that takes it a second.
    fn settle(&self) {
        sh(&["ovs-appctl", "-t", self.host.dir().join("ovs/switch.ctl").as_str(), "revalidator/wait"]);
    }
    /// The same, and what the load lost by it, in words.
    fn changed_under(&self, load: &Load, functions: &str) -> String {
        const AGAIN: &str = "awk '/^Tcp: [0-9]/ { print $13 }' /proc/net/snmp";
        let again = || self.client.number(AGAIN) + self.web.number(AGAIN);
        load.goes_on(self);
        let before = again();
        let began = self.client.says(&format!("ping -q -i 0.05 {WEB} </dev/null >/tmp/pings 2>&1 & echo $!"));
        std::thread::sleep(Duration::from_millis(500));
        self.change(functions);
        load.goes_on(self);
        let pings = self.client.says(&format!("kill -INT {}; until grep transmitted /tmp/pings; do sleep 0.1; done", began.trim()));
        let lost = again() - before;
        let open = self.client.says(&open_ports());
        assert!(load.ports.is_subset(&ports_of(&open)), "{functions}: of {:?} there are {open}", load.ports);
        format!("all {OPEN} connections live, {lost} segments were sent again; pings: {}", pings.trim())
    }
    /// What the functions' guests have seen does not count.
    fn forget(&self) {
        for w in self.wires() {
            w.says("for s in there back; do nft flush set netdev seen $s; done");
        }
    }
    /// Whom the server takes the client for.
    fn asks(&self, who: &str) -> String {
        within(&format!("an answer of {who}"), WAIT, || {
            let (ok, said) = self.client.tries(&format!("timeout 5 wget -q -O - http://{WEB}/cgi-bin/who"));
            ok.then_some(said)
        })
    }
    /// A new connection comes to a page, in the end.
    fn pages(&self, what: &str, at: &str) {
        within(&format!("{what}: a page of {at}"), WAIT, || self.page(at).then_some(()));
    }
    /// Whether one does at once.
    fn page(&self, at: &str) -> bool {
        (0..2).any(|_| self.client.tries(&format!("timeout 3 wget -q -O - http://{at}/cgi-bin/who")).0)
    }
}

/// Connections of the client that talk for as long as they live: each line is answered by the same line.
struct Load {
    ports: BTreeSet<u16>,
    first: usize,
    pids: String,
}

fn open_ports() -> String {
    format!("netstat -tn | grep '{WEB}:7 .*ESTABLISHED'; true")
}

fn ports_of(netstat: &str) -> BTreeSet<u16> {
    let port = |line: &str| line.split_whitespace().nth(3)?.rsplit(':').next()?.parse().ok();
    netstat.lines().filter_map(port).collect()
}

impl Load {
    fn start(s: &Site<'_>) -> Load {
        let open = || ports_of(&s.client.says(&open_ports()));
        let had = open();
        let first = had.len() + 1;
        let mut pids = String::new();
        // One after the other: the server's queue is two long.
        for n in 0..OPEN {
            let speak = format!("ping -i 0.2 127.0.0.1 2>/dev/null | nc {WEB} 7 >/tmp/echo.{} 2>/dev/null & echo $!", first + n);
            pids += &s.client.says(&speak);
            within("the connection is there", WAIT, || (open().len() == had.len() + n + 1).then_some(()));
        }
        let ports = open().difference(&had).copied().collect();
        let load = Load { ports, first, pids };
        load.goes_on(s);
        load
    }
    fn lines(&self, s: &Site<'_>) -> Vec<u64> {
        let said = s.client.says(&format!("for n in $(seq {} {}); do wc -l </tmp/echo.$n; done", self.first, self.first + OPEN - 1));
        said.lines().filter_map(|l| l.trim().parse().ok()).collect()
    }
    /// All of them have heard something since.
    fn goes_on(&self, s: &Site<'_>) {
        let before = self.lines(s);
        let more = |now: &[u64]| now.iter().zip(&before).all(|(now, then)| *now > then + 1);
        within("each connection goes on", WAIT, || more(&self.lines(s)).then_some(()));
    }
    /// What the function sees of them, there and back, comes to be so.
    fn all_through(&self, s: &Site<'_>, is: impl Fn(&BTreeSet<u16>) -> bool) {
        let wires = s.wires();
        within("the function sees what it should", WAIT, || {
            s.forget();
            self.goes_on(s);
            wires.iter().all(|w| ["there", "back"].iter().all(|set| is(&seen(w, set)))).then_some(())
        });
    }
    fn end(self, s: &Site<'_>) {
        s.client.says(&format!("kill {}", self.pids.split_whitespace().collect::<Vec<_>>().join(" ")));
        within("they have ended", WAIT, || ports_of(&s.client.says(&open_ports())).is_disjoint(&self.ports).then_some(()));
    }
}
