//! What is lost comes back by itself, and what was not touched goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bothy::{
    model::{
        chain::HopKind,
        id::{IfKind, if_name},
    },
    ovs::{BRIDGE, Uplink},
    sdn::{
        chain::SwitchChain,
        handover::TwoWays,
        link::{LinkPort, SwitchLink},
        port::{Fabric, PortKind, SwitchPort},
    },
};

use super::{function::*, lab::*};
use crate::kit::{eventually, netns::Peer, sh};

/// Two guests and the host on link 1, guarded and limited: something of everything.
fn whole(lab: &Lab) -> (SwitchLink, SwitchPort) {
    let host = host_port(1, 7, None);
    let mut l = SwitchLink { limit: Some(500_000_000), ..link(1, 7, &[1, 2]) };
    l.ports.iter_mut().zip([1, 2]).for_each(|(p, n)| p.guard = guard(n, 7));
    l.ports.push(own(&host));
    lab.fabric.ensure_port(&host).expect("port");
    lab.fabric.ensure_segment(&l).expect("link");
    (l, host)
}

#[test]
fn a_wiped_bridge_lost_ports_and_lost_flows_come_back() {
    let Some(lab) = Lab::start() else { return };
    let remade = Arc::new(AtomicUsize::new(0));
    let count = remade.clone();
    lab.fabric.on_remade(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (_, host) = whole(&lab);
    assert!(one.reaches(&two));
    let before = lab.flows();
    let rows = || lab.ovs.vsctl(&["--columns=name,tag,vlan_mode,protected", "list", "Port"]).split("\n\n").count();
    let had = rows();

    for (what, wipe) in [
        ("all flows", &(|| drop(lab.ofctl(&["del-flows"]))) as &dyn Fn()),
        // Their flows go with them.
        ("all meters", &|| drop(lab.ofctl(&["del-meters"]))),
        ("one flow of many", &|| drop(lab.ofctl(&["del-flows", "table=1"]))),
        ("the host's port", &|| drop(lab.ovs.vsctl(&["del-port", host.name.as_str()]))),
        ("a guest's port", &|| drop(lab.ovs.vsctl(&["del-port", nic(1).as_str()]))),
        ("a tag", &|| drop(lab.ovs.vsctl(&["set", "port", nic(1).as_str(), "tag=99"]))),
        ("the bridge", &|| drop(lab.ovs.vsctl(&["del-br", BRIDGE]))),
        ("everything", &|| drop(lab.ovs.vsctl(&["--all", "destroy", "bridge", "--", "clear", "open", ".", "bridges"]))),
    ] {
        let (sent, lost, gap) = stream_while(&one, &two, || {
            wipe();
            eventually(what, || rows() == had && one.reaches(&two));
        });
        eprintln!("{what} lost and back: {} of {sent} packets lost, at most {} ms of silence", lost, gap.as_millis());
        eventually("as before", || lab.flows().len() == before.len());
    }
    eventually("the host's port was made again, and that was told", || remade.load(Ordering::SeqCst) >= 3);
    // What was taken away on purpose stays away.
    lab.fabric.remove_port(&host.name).expect("removed");
    lab.ovs.vsctl(&["del-br", BRIDGE]);
    eventually("back without it", || one.reaches(&two));
    assert!(!lab.ovs.vsctl(&["list-ports", BRIDGE]).contains(host.name.as_str()));
}

/// What a change of one row or one flow must come back to: ports, interfaces, and flows with what they do.
fn all_of(lab: &Lab) -> Vec<String> {
    let rows = |table: &str, columns: &str| {
        let text = lab.ovs.vsctl(&["--format=csv", "--no-headings", &format!("--columns={columns}"), "list", table]);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = rows("Port", "name,tag,trunks,vlan_mode,protected,cvlans,bond_mode,external_ids");
    all.extend(rows("Interface", "name,type,options,mtu_request"));
    all.sort();
    all.extend(lab.flows());
    all
}

#[test]
fn what_somebody_changes_in_place_is_put_right() {
    const UPLINK: &str = "plant0";
    let Some(lab) = Lab::with(&[("plant", Uplink::Interface(UPLINK.parse().expect("name")))]) else { return };
    let outside = Peer::new();
    outside.connect(UPLINK, "eth0", None, &["10.0.7.50/24", "fd00:7::50/64"]);
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (mut l, host) = whole(&lab);
    let plug = if_name(IfKind::Patch, &id(1));
    let far = plug.as_str().replacen("bp", "bq", 1);
    let kind = PortKind::Physical { network: "plant".into(), tag: None, transparent: false };
    lab.fabric.ensure_port(&SwitchPort { name: plug.clone(), kind, ..host.clone() }).expect("plugged in");
    l.ports.push(LinkPort { name: plug.clone(), ..own(&host) });
    lab.fabric.ensure_segment(&l).expect("link");
    let works = || one.reaches(&two) && one.peer.pings("10.0.7.50") && one.peer.pings("fd00:7::50");
    eventually("out of the box, too", works);
    let before = all_of(&lab);
    let beyond = lab.ovs.vsctl(&["port-to-br", &far]).trim().to_owned();
    let set = |port: &str, what: &str| drop(lab.ovs.vsctl(&["set", "port", port, what]));
    let from = |n: u128| format!("in_port={}", ofport(&lab, n));
    for (what, change) in [
        ("the tag of the far end", &(|| set(&far, "tag=77")) as &dyn Fn()),
        ("the mode of the far end", &|| set(&far, "vlan_mode=trunk")),
        ("the mode of the near end", &|| set(plug.as_str(), "vlan_mode=trunk")),
        ("what the far end leads to", &|| drop(lab.ovs.vsctl(&["set", "interface", &far, "options:peer=nobody"]))),
        ("the far end", &|| drop(lab.ovs.vsctl(&["del-port", &far]))),
        ("the uplink", &|| drop(lab.ovs.vsctl(&["del-port", &beyond, UPLINK]))),
        ("the tag of the uplink", &|| set(UPLINK, "tag=77")),
        ("the mode of the host's port", &|| set(host.name.as_str(), "vlan_mode=trunk")),
        ("the trunks of the host's port", &|| set(host.name.as_str(), "trunks=9")),
        ("isolation of the host's port", &|| set(host.name.as_str(), "protected=true")),
        ("isolation of a guest", &|| set(nic(2).as_str(), "protected=true")),
        ("what flows do", &|| drop(lab.ofctl(&["mod-flows", &format!("{},actions=drop", from(1))]))),
        ("what all flows do", &|| drop(lab.ofctl(&["mod-flows", "actions=normal"]))),
        ("flows in the place of others", &|| drop(lab.ofctl(&["add-flow", "priority=1,actions=normal"]))),
        ("flows in the place of others, dropping", &|| drop(lab.ofctl(&["add-flow", "table=1,priority=10,in_port=1,actions=drop"]))),
    ] {
        change();
        eventually(what, || all_of(&lab) == before);
        eventually(&format!("{what}, and packets"), works);
    }
    // Which VLANs the uplink carries, and which of them without a tag, is the administrator's.
    for theirs in [&["trunks=7,8,9"][..], &["tag=9", "vlan_mode=native-untagged"]] {
        lab.ovs.vsctl(&[&["set", "port", UPLINK], theirs].concat());
        lab.fabric.ensure_ready().expect("looked");
        lab.fabric.ensure_segment(&l).expect("the same link");
        let now = lab.ovs.vsctl(&["--columns=tag,trunks,vlan_mode", "list", "Port", UPLINK]);
        assert!(theirs.iter().all(|w| now.contains(w.rsplit(['=', ',']).next().expect("a value"))), "{now}");
    }
}

#[test]
fn flows_that_were_changed_while_nobody_looked_are_written_again() {
    let Some(mut lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (l, host) = whole(&lab);
    assert!(one.reaches(&two));
    let before = lab.flows();
    lab.fabric = another(&lab.ovs, &[]);
    lab.ofctl(&["mod-flows", &format!("in_port={},actions=drop", ofport(&lab, 1))]);
    assert!(lab.flows() != before && !one.reaches(&two));
    lab.fabric.ensure_ready().expect("ready");
    lab.fabric.ensure_port(&host).expect("port");
    lab.fabric.ensure_segment(&l).expect("link");
    assert_eq!(lab.flows(), before);
    assert!(one.reaches(&two));
}

#[test]
fn rates_change_and_hold_after_somebody_took_the_meters_away() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (mut l, _) = whole(&lab);
    assert!(one.reaches(&two));
    for round in 1..=4u64 {
        lab.ofctl(&["del-meters"]);
        // As soon as that, and after the keeper saw it.
        if round % 2 == 0 {
            eventually("a meter is back", || lab.ofctl(&["dump-meters"]).contains("meter=7"));
        }
        l.limit = Some(400_000_000 + round * 1_000_000);
        l.ports[0].limit = Some(300_000_000 + round * 1_000_000);
        lab.fabric.ensure_segment(&l).expect("another rate");
        let (whole, port) = (format!("rate={}", 400_000 + round * 1000), format!("rate={}", 300_000 + round * 1000));
        let limited = || {
            let meters = lab.ofctl(&["dump-meters"]);
            meters.contains(&whole) && meters.contains(&port) && lab.flows().iter().any(|f| f.contains("meter:7"))
        };
        eventually("limited as told", limited);
        assert!(one.reaches(&two));
    }
}

#[test]
fn a_flow_that_the_switch_refuses_holds_its_own_ports_up_and_no_others() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (three, four) = (lab.guest(3, 8), lab.guest(4, 8));
    lab.fabric.ensure_segment(&link(1, 7, &[1, 2])).expect("link");
    assert!(one.reaches(&two));
    // The table of chains takes nothing.
    lab.ovs.vsctl(&[
        "--",
        "--id=@full",
        "create",
        "Flow_Table",
        "flow_limit=0",
        "overflow_policy=refuse",
        "--",
        "set",
        "bridge",
        BRIDGE,
        "flow_tables:2=@full",
    ]);
    let c = chain(1, tcp(80), vec![hop("bump", HopKind::Transparent, &[(11, 12)])]);
    let why = lab.fabric.ensure_chain(&c).expect_err("there is no room for a chain");
    assert!(why.text().contains("its table is full"), "{why}");
    for round in 0..3u64 {
        // Links of the chain's ports do without it.
        let mut own = link(1, 7, &[1, 2]);
        own.ports[0].limit = Some(6_000_000 + round);
        lab.fabric.ensure_segment(&own).expect("the chain's link");
        assert!(lab.flows().iter().any(|f| f.contains("meter:")), "and as it is wanted");
        let mut l = link(2, 8, &[3, 4]);
        l.ports[0].guard = guard(3, 8);
        l.ports[0].limit = Some(5_000_000 + round);
        lab.fabric.ensure_segment(&l).expect("another link");
        assert!(three.reaches(&four) && one.reaches(&two), "round {round}");
    }
    assert!(lab.fabric.ensure_chain(&c).is_err(), "it is not forgotten");
    lab.ovs.vsctl(&["clear", "bridge", BRIDGE, "flow_tables"]);
    eventually("there is room, and it is there", || lab.flows().iter().any(|f| f.contains("table=2") && f.contains("tp_dst=80")));
    lab.fabric.ensure_chain(&c).expect("chain");
}

#[test]
fn port_security_outlives_a_restart_of_the_switch_beside_a_guest_that_no_record_knows() {
    let Some(mut lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    whole(&lab);
    assert!(one.reaches(&two));
    let _stranger = lab.guest(3, 7);
    lab.ovs.kill_switch();
    lab.ovs.start_switch();
    eventually("the link works again", || one.peer.pings(&two.v4) && one.peer.pings(&two.v6));
    eventually("guarded", || lab.flows().iter().any(|f| f.contains("fd00:7::1")));
    one.peer.run(|| sh(&["ip", "link", "set", "eth0", "address", "52:54:00:aa:bb:cc"]));
    two.peer.run(|| sh(&["ip", "neighbour", "flush", "all"]));
    assert!(!one.pings_from(&one.v4, &two.v4) && !one.pings_from(&one.v6, &two.v6), "another MAC");
}

#[test]
fn a_link_that_is_not_changed_loses_nothing_while_others_are() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    whole(&lab);
    let others: Vec<Guest> = (3..=5).map(|n| lab.guest(n, 8)).collect();
    assert!(one.reaches(&two));
    let mut changes = 0;
    let (sent, lost, gap) = stream_while(&one, &two, || {
        for round in 0..20u64 {
            let mut l = SwitchLink { transparent: round % 4 == 3, limit: Some(1_000_000 + round), ..link(2, 8, &[3, 4, 5]) };
            l.ports[0].isolated = round % 2 == 0;
            l.ports[1].guard = guard(4, 8).filter(|_| round % 3 == 0);
            l.ports[2].limit = Some(2_000_000 + round);
            lab.fabric.ensure_segment(&l).expect("link");
            let port = host_port(10 + u128::from(round), 20 + round as u16, Some(1300));
            lab.fabric.ensure_port(&port).expect("port");
            lab.fabric.remove_port(&port.name).expect("port");
            lab.fabric.remove_segment(segment(2)).expect("link");
            changes += 4;
        }
    });
    eprintln!("{changes} changes of other links: {} of {sent} packets lost, at most {} ms of silence", lost, gap.as_millis());
    assert_eq!(lost, 0, "of {sent}");
    drop(others);
}

#[test]
fn daemons_killed_in_the_midst_of_changes_come_back_to_what_was_asked_for() {
    let Some(mut lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (_, host) = whole(&lab);
    let (three, four) = (lab.guest(3, 8), lab.guest(4, 8));
    assert!(one.reaches(&two));
    for round in 0..3u64 {
        let mut l = link(2, 8, &[3, 4]);
        l.ports[0].guard = guard(3, 8);
        l.ports[1].limit = Some(5_000_000 + round);
        std::thread::scope(|s| {
            let fabric = &lab.fabric;
            let changing = s.spawn(move || {
                // A step is tried again by its operation; so here.
                let wanted = host_port(20 + u128::from(round), 30 + round as u16, None);
                eventually("the change goes through", || fabric.ensure_port(&wanted).and_then(|()| fabric.ensure_segment(&l)).is_ok());
            });
            match round {
                0 => lab.ovs.kill_switch(),
                1 => lab.ovs.kill_database(),
                _ => {
                    lab.ovs.kill_switch();
                    lab.ovs.kill_database();
                }
            }
            if round > 0 {
                lab.ovs.start_database();
            }
            if round != 1 {
                lab.ovs.start_switch();
            }
            changing.join().expect("changed");
        });
        eventually("both links work", || one.reaches(&two) && three.reaches(&four));
        eventually("guarded again", || {
            lab.flows().iter().any(|f| f.contains("fd00:8::3")) && lab.flows().iter().any(|f| f.contains("fd00:7::1"))
        });
        let found = lab.fabric.ports().expect("ports");
        assert!(found.iter().any(|p| p.name == host.name && p.error.is_none()), "{found:?}");
    }
}

#[test]
fn changes_go_on_while_the_switch_is_killed_and_the_last_of_them_holds() {
    let Some(mut lab) = lab() else { return };
    let (client, server) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    let bump = Function::wire(&lab, 11, 12, 7);
    serve(&server, &[80, 81]);
    let with = |n: u64| {
        let mut l = link_with_wires(1, 7, &[1, 2], &[11, 12]);
        l.ports[0].limit = Some(500_000_000 + n * 1000);
        l.ports[1].guard = guard(2, 7).filter(|_| n.is_multiple_of(2));
        (l, chain(1, tcp(80 + (n % 2) as u16), vec![hop("bump", HopKind::Transparent, &[(11, 12)])]))
    };
    let (l, c) = with(0);
    lab.fabric.ensure_segment(&l).and_then(|()| lab.fabric.ensure_chain(&c)).expect("at first");
    let over = AtomicBool::new(false);
    let Lab { fabric, ovs } = &mut lab;
    let fabric = &*fabric;
    let rounds = std::thread::scope(|s| {
        let changing = s.spawn(|| {
            let mut n = 0;
            while !over.load(Ordering::SeqCst) {
                n += 1;
                let (l, c) = with(n);
                // What fails is told again by the next, as a step is by its operation.
                let _ = fabric.ensure_segment(&l).and_then(|()| fabric.ensure_chain(&c));
            }
            n
        });
        for wait in [50, 300, 1, 700] {
            std::thread::sleep(Duration::from_millis(wait));
            ovs.kill_switch();
            std::thread::sleep(Duration::from_millis(wait));
            ovs.start_switch();
            std::thread::sleep(Duration::from_millis(500));
        }
        over.store(true, Ordering::SeqCst);
        changing.join().expect("changed")
    });
    eprintln!("{rounds} changes of a link and a chain, while the switch was killed four times");
    let (l, c) = with(0);
    eventually("the last change goes through", || lab.fabric.ensure_segment(&l).and_then(|()| lab.fabric.ensure_chain(&c)).is_ok());
    eventually("it works", || client.reaches(&server));
    for (port, by_it) in [(80, true), (81, false)] {
        bump.watch(&format!("tcp dport {port}"));
        assert!(soon(true, || connects(&client, &server, port) && (bump.seen() > 0) == by_it), "port {port}");
    }
    // Nothing of the others is left: as if it were written anew.
    let flows = lab.flows();
    lab.ofctl(&["del-flows"]);
    eventually("the same once more", || lab.flows() == flows);
}

#[test]
fn another_bothy_takes_over_running_guests_without_a_gap() {
    let Some(lab) = Lab::start() else { return };
    let (one, two) = (lab.guest(1, 7), lab.guest(2, 7));
    let (l, host) = whole(&lab);
    assert!(one.reaches(&two));
    let (sent, lost, _) = stream_while(&one, &two, || {
        // Before it is told of any link, and after.
        let next = another(&lab.ovs, &[]);
        next.ensure_ready().expect("ready");
        next.ensure_segment(&link(9, 99, &[])).expect("a link of nobody");
        next.ensure_port(&host).expect("port");
        next.ensure_segment(&l).expect("link");
        next.remove_segment(segment(9)).expect("gone");
    });
    assert_eq!(lost, 0, "of {sent}");
}

#[test]
fn flows_of_every_sort_that_are_as_they_shall_be_are_left_alone_by_a_new_connection() {
    let Some(mut lab) = Lab::start() else { return };
    let _trunked = super::kinds::tagging(&lab, 1, 7, 5);
    let _guests: Vec<Guest> = [(2, 7), (3, 8), (11, 7), (12, 7), (21, 7)].map(|(n, vlan)| lab.guest(n, vlan)).into();
    let mut one = link_with_wires(1, 7, &[1, 2, 21], &[11, 12]);
    one.ports[0].guard = guard(1, 7);
    let mut two = link(2, 8, &[3]);
    two.ports.push(LinkPort { guard: guard(1, 8), ..trunk(12, 1, 5) });
    let by = |hops: Vec<_>| chain(1, tcp(80), hops);
    let (old, new) = (by(vec![hop("w", HopKind::Transparent, &[(11, 12)])]), by(vec![hop("r", HopKind::Routed, &[(21, 21)])]));
    let ways = TwoWays { classifiers: old.classifiers.clone(), hops: old.hops.clone(), mark: 10, noting: false };
    let between = SwitchChain { handover: Some(ways), ..new };
    let tell = |lab: &Lab| {
        lab.fabric.ensure_ready().expect("ready");
        lab.fabric.ensure_chain(&between).expect("chain");
        lab.fabric.ensure_segment(&one).expect("link");
        lab.fabric.ensure_segment(&two).expect("link with a trunk");
    };
    tell(&lab);
    let before = lab.flows();
    for part in ["dl_src=", "ct(", "tcp_flags=", "push_vlan", "dl_vlan=5"] {
        assert!(before.iter().any(|f| f.contains(part)), "no {part} in {before:#?}");
    }
    const REST: Duration = Duration::from_secs(3);
    std::thread::sleep(REST);
    lab.fabric = another(&lab.ovs, &[]);
    tell(&lab);
    assert_eq!(lab.flows(), before);
    // One that is written again begins anew.
    let age = |l: &str| l.split_once("duration=").and_then(|(_, rest)| rest.split_once('s')).and_then(|(n, _)| n.parse::<f64>().ok());
    let dump = lab.ofctl(&["dump-flows"]);
    let young: Vec<&str> = dump.lines().filter(|l| l.contains("cookie=0xb0") && age(l).is_none_or(|s| s < REST.as_secs_f64())).collect();
    assert!(young.is_empty(), "written again: {young:#?}");
}
