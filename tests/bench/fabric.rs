//! Links and chains on a real Open vSwitch of the bench's own, on its userspace datapath: how long a chain takes to be
//! on the switch beside the same flows given to `ovs-ofctl` by hand, what the datapath then does with its frames
//! beside what it does by those, and what links and chains cost as there are more of them. What a change of a running
//! chain costs under load is `load`.
//!
//! Guests are internal ports: no packets are sent, the switch says itself what it would do (`ofproto/trace`).

use std::time::{Duration, Instant};

use bothy::{
    model::{
        chain::{Classifier, HopKind, IpProto, OnLoss, Ports},
        id::{IfKind, IfName, NfpId, SegmentId, if_name},
        net::MacAddr,
    },
    ovs::{BRIDGE, OvsFabric, Settings},
    sdn::{
        chain::{Arm, End, Hop, Instance, SwitchChain},
        link::{Guard, LinkPort, PortAt, SwitchLink},
        port::{Datapath, Fabric as _},
    },
};
use uuid::Uuid;

use crate::{
    kit::{
        self, netns,
        ovs::{NEEDS, Ovs},
        sh,
    },
    scratch,
    table::{Goal, Row, long, median, ms},
};

/// Ports of one link with its chain: two ends, the two of a wire between them, and one that is beside.
const GROUP: u128 = 5;
/// The bridge whose flows are written by hand.
const BY_HAND: &str = "byhand";
const PORT: u16 = 80;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 96 | n)
}
fn nic(n: u128) -> IfName {
    if_name(IfKind::Guest, &id(n))
}
fn mac(n: u128) -> MacAddr {
    MacAddr::planned(n as u32)
}

/// A switch with this many ports of guests, all up.
struct Rig {
    fabric: OvsFabric,
    ovs: Ovs,
    dir: tempfile::TempDir,
}

impl Rig {
    fn start(ports: u128) -> Rig {
        let ovs = Ovs::start();
        let settings = Settings { socket: ovs.socket(), physical: Default::default() };
        let fabric = OvsFabric::new(settings).expect("fabric");
        let datapath = fabric.ensure_ready().expect("a bridge");
        assert_eq!(datapath, Datapath::Netdev, "the figures are of the userspace datapath");
        let rig = Rig { fabric, ovs, dir: scratch() };
        rig.ports(BRIDGE, &(1..=ports).map(|n| (nic(n).to_string(), vlan(n))).collect::<Vec<_>>());
        rig
    }

    /// Internal ports with their VLANs, all up.
    fn ports(&self, bridge: &str, all: &[(String, u16)]) {
        for some in all.chunks(50) {
            let each = |(name, vlan): &(String, u16)| {
                let tag = format!("tag={vlan}");
                ["--", "add-port", bridge, name.as_str(), tag.as_str(), "--", "set", "interface", name.as_str(), "type=internal"]
                    .map(str::to_owned)
            };
            let args: Vec<String> = some.iter().flat_map(each).collect();
            self.ovs.vsctl(&args.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let up: String = all.iter().map(|(name, _)| format!("link set {name} up\n")).collect();
        sh(&["ip", "-batch", &self.write("up", &up)]);
        let last = all.last().map(|(name, _)| name.as_str()).unwrap_or_default();
        kit::eventually("the switch has seen the last of them", || {
            self.ovs.vsctl(&["get", "interface", last, "link_state"]).trim() == "up"
        });
    }

    fn write(&self, name: &str, text: &str) -> String {
        let at = self.dir.path().join(name);
        std::fs::write(&at, text).expect("written");
        at.to_string_lossy().into_owned()
    }

    fn ofctl(&self, bridge: &str, verb: &[&str], rest: &[&str]) -> String {
        let socket = self.ovs.socket().with_file_name(format!("{bridge}.mgmt"));
        let mut argv = vec!["ovs-ofctl", "-O", "OpenFlow14"];
        argv.extend(verb);
        let socket = socket.to_string_lossy();
        argv.push(&socket);
        argv.extend(rest);
        sh(&argv)
    }

    fn number(&self, port: &str) -> String {
        self.ovs.vsctl(&["get", "interface", port, "ofport"]).trim().to_owned()
    }

    /// The bridge's flows of each link and of its chain, as they can be given to `ovs-ofctl`. Ports have their numbers in the order that they
    /// were made in.
    fn of_groups(&self, groups: u128) -> Vec<[String; 2]> {
        let mut all = vec![<[String; 2]>::default(); groups as usize];
        for line in self.ofctl(BRIDGE, &["dump-flows", "--no-stats", "--no-names"], &[]).lines().filter(|l| l.contains("priority=")) {
            // What begins at no port of a guest goes with the first link.
            let at = line.split(['=', ',', ' ']).skip_while(|w| *w != "in_port").nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
            let in_chain = usize::from(line.contains("table=2,"));
            all[group(at) as usize][in_chain] += &format!("{}\n", line.trim());
        }
        assert!(all.iter().flatten().all(|flows| !flows.is_empty()), "each link and chain has flows");
        all
    }

    /// What the datapath would do with such a frame: its actions, and how many times it looks again.
    fn actions(&self, bridge: &str, frame: &str) -> (usize, usize) {
        let text = sh(&["ovs-appctl", "-t", &self.ovs.control().to_string_lossy(), "ofproto/trace", bridge, frame]);
        let all: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("Datapath actions: ")).collect();
        assert!(!all.is_empty() && all[0] != "drop", "{bridge} {frame}: {text}");
        (all.iter().map(|a| outermost(a)).sum(), all.iter().map(|a| a.matches("recirc(").count()).sum())
    }
}

/// Items of a list whose items may be lists themselves.
fn outermost(actions: &str) -> usize {
    let mut depth = 0;
    let comma = |c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    };
    1 + actions.chars().map(comma).filter(|c| *c).count()
}

fn group(n: u128) -> u128 {
    (n - 1) / GROUP
}
fn vlan(n: u128) -> u16 {
    2 + group(n) as u16
}

/// The link of a group, with port security.
fn link(g: u128) -> SwitchLink {
    let first = g * GROUP + 1;
    let port = |n: u128| {
        let wire = (2..4).contains(&(n - first));
        let guard = Guard { mac: mac(n), addresses: vec![format!("10.{}.{}.{}", g / 200, g % 200, n - first + 1).parse().expect("IPv4")] };
        LinkPort {
            name: nic(n),
            at: if wire { PortAt::Wire } else { PortAt::Guest },
            isolated: false,
            limit: None,
            guard: (!wire).then_some(guard),
            only: Vec::new(),
        }
    };
    SwitchLink {
        segment: SegmentId(id(g + 1)),
        vlan: vlan(first).try_into().expect("a VLAN"),
        transparent: false,
        limit: None,
        ports: (first..first + GROUP).map(port).collect(),
    }
}

/// From the first port of a group by its wire to the second, for one TCP port, and back.
fn chain(g: u128) -> SwitchChain {
    let first = g * GROUP + 1;
    let end = |n: u128| End { port: nic(n), mac: Some(mac(n)), beside: Vec::new(), shared: false };
    let arm = |n: u128| Arm { port: nic(n), mac: Some(mac(n)) };
    let wire = Instance { entry: arm(first + 2), exit: arm(first + 3) };
    SwitchChain {
        id: NfpId(id(g + 1)),
        name: "bench".into(),
        classifiers: vec![Classifier {
            id: "tcp".into(),
            proto: Some(IpProto::TCP),
            dst_ports: Some(Ports::one(PORT)),
            ..Classifier::default()
        }],
        from: vec![end(first)],
        hops: vec![Hop { name: "wire".into(), kind: HopKind::Transparent, instances: vec![wire] }],
        to: vec![end(first + 1)],
        symmetric: true,
        on_loss: OnLoss::Block,
        handover: None,
    }
}

/// A frame of the chain at each of its four ports: from whom, to whom, by which port it comes in.
const STEPS: [(u128, u128, u128); 4] = [(1, 2, 1), (1, 2, 4), (2, 1, 2), (2, 1, 3)];

fn frame(number: &str, (from, to, _): (u128, u128, u128)) -> String {
    let (source, target) = if from == 1 { (40_000, PORT) } else { (PORT, 40_000) };
    format!(
        "in_port={number},tcp,dl_src={},dl_dst={},nw_src=10.0.0.{from},nw_dst=10.0.0.{to},nw_ttl=64,tp_src={source},tp_dst={target}",
        mac(from),
        mac(to)
    )
}

/// The same chain as somebody writes it who has nothing else on the bridge: one flow for each port.
fn by_hand(number: impl Fn(u128) -> String) -> String {
    let flow = |(from, to, at): (u128, u128, u128), out: u128| {
        let port = if from == 1 { format!("tp_dst={PORT}") } else { format!("tp_src={PORT}") };
        format!("cookie=0x77,table=0,priority=100,in_port={},dl_dst={},tcp,{port},actions=output:{}\n", number(at), mac(to), number(out))
    };
    STEPS.into_iter().zip([3, 2, 4, 1]).map(|(step, out)| flow(step, out)).collect()
}

/// One chain: how long until it is there, and what it then costs each frame.
fn one() -> Vec<Row> {
    let rig = Rig::start(GROUP);
    rig.fabric.ensure_segment(&link(0)).expect("link");
    let hand = |n: u128| format!("hand{n}");
    rig.ovs.vsctl(&["add-br", BY_HAND, "--", "set", "bridge", BY_HAND, "datapath_type=netdev"]);
    rig.ports(BY_HAND, &(1..=GROUP).map(|n| (hand(n), vlan(1))).collect::<Vec<_>>());
    let file = rig.write("flows", &by_hand(|n| rig.number(&hand(n))));

    // Its process is a part of what by hand costs: how much of it, a run without a flow says.
    let nothing = rig.write("nothing", "");
    let (mut ours, mut theirs, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..if long() { 100 } else { 20 } {
        let begun = Instant::now();
        rig.fabric.ensure_chain(&chain(0)).expect("chain");
        ours.push(ms(begun.elapsed()));
        let begun = Instant::now();
        rig.ofctl(BY_HAND, &["--bundle", "add-flows"], &[&file]);
        theirs.push(ms(begun.elapsed()));
        let begun = Instant::now();
        rig.ofctl(BY_HAND, &["--bundle", "add-flows"], &[&nothing]);
        idle.push(ms(begun.elapsed()));
        rig.fabric.remove_chain(chain(0).id).expect("gone");
        rig.ofctl(BY_HAND, &["del-flows"], &["cookie=0x77/-1"]);
    }
    let mut rows = vec![
        Row::new("chain: set up | ovs-ofctl, the same by hand", "ms", median(&ours), Some(median(&theirs)), Goal::RatioAtMost(1.1)),
        Row::new("chain: ovs-ofctl by hand with no flow to add", "ms", median(&idle), None, Goal::Shown),
        Row::new(
            "chain: set up | ovs-ofctl less its run with no flow",
            "ms",
            median(&ours),
            Some(median(&theirs) - median(&idle)),
            Goal::Shown,
        ),
    ];

    rig.fabric.ensure_chain(&chain(0)).expect("chain");
    rig.ofctl(BY_HAND, &["--bundle", "add-flows"], &[&file]);
    let sum = |bridge: &str, name: &dyn Fn(u128) -> String| {
        let each = STEPS.map(|s| rig.actions(bridge, &frame(&rig.number(&name(s.2)), s)));
        each.iter().fold((0, 0), |(a, r), (actions, again)| (a + actions, r + again))
    };
    let (a, r) = sum(BRIDGE, &|n| nic(n).to_string());
    let (b, s) = sum(BY_HAND, &hand);
    for (what, mine, other) in [("actions", a, b), ("recirculations", r, s)] {
        let name = format!("chain: datapath {what}, there and back | by hand");
        rows.push(Row::new(name, "", mine as f64, Some(other as f64), Goal::AtMost(other as f64)));
    }
    rows
}

/// What one chain costs beside many.
struct Anew {
    ours: f64,
    by_hand: f64,
    /// The run of `ovs-ofctl` with nothing to do.
    idle: f64,
}

/// Links and chains, one after another, until the last is there, and the same rows and flows by hand on a switch with as many
/// ports; then one chain more beside them all, and the same by hand on a bridge that has the flows of as many chains.
fn many(ports: u128) -> ([Duration; 2], Anew) {
    let rig = Rig::start(ports);
    let groups = ports / GROUP;
    let begun = Instant::now();
    for g in 0..groups {
        rig.fabric.ensure_segment(&link(g)).expect("link");
        rig.fabric.ensure_chain(&chain(g)).expect("chain");
    }
    let all = begun.elapsed();
    let flows = rig.of_groups(groups);
    rig.ovs.vsctl(&["add-br", BY_HAND, "--", "set", "bridge", BY_HAND, "datapath_type=netdev"]);
    // Flows may name ports that are still to come.
    let of = |g: u128| by_hand(|n| (g * GROUP + n).to_string());
    let others = rig.write("others", &(0..groups - 1).map(of).collect::<String>());
    rig.ofctl(BY_HAND, &["--bundle", "add-flows"], &[&others]);
    let (file, nothing) = (rig.write("flows", &of(groups - 1).replace("cookie=0x77", "cookie=0x78")), rig.write("nothing", ""));
    let (mut ours, mut theirs, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        rig.fabric.remove_chain(chain(groups - 1).id).expect("gone");
        let begun = Instant::now();
        rig.fabric.ensure_chain(&chain(groups - 1)).expect("chain");
        ours.push(ms(begun.elapsed()));
        rig.ofctl(BY_HAND, &["del-flows"], &["cookie=0x78/-1"]);
        for (flows, took) in [(&file, &mut theirs), (&nothing, &mut idle)] {
            let begun = Instant::now();
            rig.ofctl(BY_HAND, &["--bundle", "add-flows"], &[flows]);
            took.push(ms(begun.elapsed()));
        }
    }
    drop(rig);
    ([all, all_by_hand(ports, &flows)], Anew { ours: median(&ours), by_hand: median(&theirs), idle: median(&idle) })
}

/// What links and chains came to, once more by `ovs-vsctl` and `ovs-ofctl`: for each link its ports' rows at once, its flows at
/// once, then its chain's. The programs' own starts are a part of it.
fn all_by_hand(ports: u128, flows: &[[String; 2]]) -> Duration {
    let rig = Rig::start(ports);
    let files: Vec<[String; 2]> =
        flows.iter().enumerate().map(|(g, both)| [0, 1].map(|n| rig.write(&format!("group-{g}-{n}"), &both[n]))).collect();
    let begun = Instant::now();
    for (g, both) in (0..).zip(&files) {
        let link = link(g);
        let id = format!("external_ids:bothy-id={}", link.segment);
        let set = link.ports.iter().flat_map(|p| ["--", "set", "port", p.name.as_str(), "external_ids:bothy-owner=segment", &id]);
        rig.ovs.vsctl(&set.collect::<Vec<_>>());
        both.iter().for_each(|file| drop(rig.ofctl(BRIDGE, &["--bundle", "add-flows"], &[file])));
    }
    begun.elapsed()
}

fn scale() -> Vec<Row> {
    let sizes: &[u128] = if long() { &[100, 300, 1000] } else { &[50, 100, 200] };
    let mut rows = Vec::new();
    let mut before: Option<(u128, [Duration; 2])> = None;
    for ports in sizes {
        let (all, Anew { ours, by_hand, idle }) = many(*ports);
        eprintln!("{ports} ports, {} chains: {all:.1?}, one more {ours:.2} ms", ports / GROUP);
        let what = format!("{ports} ports, {} chains", ports / GROUP);
        rows.push(Row::new(
            format!("fabric: {what}: all of them | ovs-vsctl and ovs-ofctl, by hand"),
            "ms",
            ms(all[0]),
            Some(ms(all[1])),
            Goal::RatioAtMost(1.1),
        ));
        rows.push(Row::new(
            format!("fabric: {what}: one chain anew | ovs-ofctl, by hand"),
            "ms",
            ours,
            Some(by_hand),
            Goal::RatioAtMost(1.1),
        ));
        let less = format!("fabric: {what}: one chain anew | less its run with no flow");
        rows.push(Row::new(less, "ms", ours, Some(by_hand - idle), Goal::Shown));
        if let Some((fewer, took)) = before.replace((*ports, all)) {
            // Of both sides: a change of its rows costs ovs-vswitchd the more the more ports it has.
            let [ours, by_hand] = [0, 1].map(|n| (all[n].as_secs_f64() / took[n].as_secs_f64()).ln() / (*ports as f64 / fewer as f64).ln());
            let name = format!("fabric: growth from {fewer} to {ports} ports, n^x | by hand");
            rows.push(Row::new(name, "x", ours, Some(by_hand), Goal::Shown));
        }
    }
    rows
}

pub fn measure() -> Vec<Row> {
    if kit::lacks(&NEEDS) || kit::lacks(&[kit::Need::Program("ovs-ofctl"), kit::Need::Program("ovs-appctl")]) {
        return Vec::new();
    }
    // Its thread is in a network namespace of its own, and so is all that it starts.
    let inside = || {
        netns::enter_new();
        let mut rows = one();
        rows.extend(scale());
        rows
    };
    let mut rows: Vec<Row> = std::thread::scope(|s| s.spawn(inside).join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
    rows.extend(crate::load::measure());
    rows
}
