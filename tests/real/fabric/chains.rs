//! Chains with packets: what they take passes their functions, and nothing else does.

use bothy::{
    model::chain::{Classifier, Family, HopKind, OnLoss},
    ovs::BRIDGE,
    sdn::{
        chain::{Count, End, SwitchChain},
        link::SwitchLink,
        port::Fabric,
    },
};

use super::{
    function::*,
    kinds::{inside, tagging},
    lab::*,
};
use crate::kit::eventually;

/// Guests 1 and 2 on one link with a wire of ports 11 and 12, which are on the same link's VLAN at first.
fn pair(lab: &Lab) -> (Guest, Guest, Function) {
    let (client, web) = (talker(lab, 1, 7), talker(lab, 2, 7));
    lab.fabric.ensure_segment(&guarded()).expect("link");
    let bump = Function::wire(lab, 11, 12, 7);
    serve(&web, &[80, 81]);
    eventually("the wire's ends are on no link", || trunks(lab, &[11, 12]) == ["[4095]", "[4095]"]);
    assert!(client.reaches(&web), "the link works, and the wire makes no loop of it");
    lab.fabric.ensure_segment(&guarded()).expect("with the flows of the wire's ends");
    (client, web, bump)
}
fn guarded() -> bothy::sdn::link::SwitchLink {
    let mut l = link_with_wires(1, 7, &[1, 2], &[11, 12, 13, 14]);
    l.ports.iter_mut().zip([1, 2]).for_each(|(p, n)| p.guard = guard(n, 7));
    l
}
fn trunks(lab: &Lab, ports: &[u128]) -> Vec<String> {
    ports.iter().map(|n| lab.ovs.vsctl(&["get", "port", nic(*n).as_str(), "trunks"]).trim().to_owned()).collect()
}
fn one_wire(n: u128, classifier: Classifier) -> SwitchChain {
    chain(n, classifier, vec![hop("bump", HopKind::Transparent, &[(11, 12)])])
}

#[test]
fn frames_of_the_classifier_pass_the_wire_there_and_back_and_others_do_not() {
    let Some(lab) = lab() else { return };
    let (client, web, bump) = pair(&lab);
    let flows = lab.flows();
    bump.watch("ether type != arp");
    assert!(connects(&client, &web, 80) && connects(&client, &web, 81));
    assert_eq!(bump.seen(), 0, "no chain yet");
    // What the switch has not looked at yet counts for the flows that are there when it looks.
    client.settle();

    lab.fabric.ensure_chain(&one_wire(1, tcp(80))).expect("chain");
    assert!(soon(true, || connects(&client, &web, 80) && bump.seen() > 0), "by the wire");
    bump.watch("tcp dport 80");
    assert!(connects(&client, &web, 80));
    let there = bump.seen();
    bump.watch("tcp sport 80");
    assert!(connects(&client, &web, 80));
    let back = bump.seen();
    assert!(there >= 3 && back >= 2, "a connection and a line: {there} there, {back} back");
    bump.watch("ether type != arp tcp dport != 80 tcp sport != 80");
    assert!(connects(&client, &web, 81) && client.reaches(&web));
    assert_eq!(bump.seen(), 0, "another port, and pings");

    bump.stop("tcp dport 80");
    assert!(!connects(&client, &web, 80), "it is the function that lets it through");
    assert!(connects(&client, &web, 81) && client.reaches(&web));
    // The switch adds up what its datapath counted once a second.
    let mut last = String::new();
    eventually("what the function kept is counted into it and not out of it", || {
        let state = lab.fabric.chain_state(one_wire(1, tcp(80)).id).expect("state");
        let hop = state.hops[0];
        let now = format!("{state:?}");
        if now != last {
            eprintln!("counted: {now}");
            last = now;
        }
        let kept = hop.live == 1 && hop.out.packets > state.out.packets && hop.out.bytes > 60 * hop.out.packets;
        kept && hop.back.packets >= 6 && state.back == hop.back
    });

    let lines = lab.flows();
    lab.fabric.ensure_chain(&one_wire(1, tcp(80))).expect("the same once more");
    assert_eq!(lab.flows(), lines);
    lab.fabric.remove_chain(one_wire(1, tcp(80)).id).expect("gone");
    assert!(soon(true, || connects(&client, &web, 80)), "past the function that stops it");
    assert_eq!(lab.flows(), flows, "as before it came");
    assert!(client.reaches(&web) && trunks(&lab, &[11, 12]) == ["[4095]", "[4095]"], "a wire without a chain is still no loop");
}

#[test]
fn the_datapath_does_what_flows_written_by_hand_do_and_no_more() {
    let Some(lab) = lab() else { return };
    let (_client, _web, _bump) = pair(&lab);
    lab.fabric.ensure_chain(&one_wire(1, tcp(80))).expect("chain");
    let frame = |at: u128, from: u128, ports: &str| {
        let (source, target) = (format!("10.0.7.{from}"), format!("10.0.7.{}", 3 - from));
        let macs = format!("dl_src={},dl_dst={}", mac(from), mac(3 - from));
        format!("in_port={},tcp,{macs},nw_src={source},nw_dst={target},{ports}", ofport(&lab, at))
    };
    let steps = [(1, 1, 11), (12, 1, 2), (2, 2, 12), (11, 2, 1)].map(|(at, from, to)| {
        let ports = if from == 1 { "tp_src=4000,tp_dst=80" } else { "tp_src=80,tp_dst=4000" };
        (frame(at, from, ports), to)
    });
    let ours: Vec<String> = steps.iter().map(|(f, _)| datapath_actions(&lab, f)).collect();
    // The same by hand, above all of ours.
    for (f, to) in &steps {
        lab.ofctl(&["add-flow", &format!("cookie=7,priority=60000,{f},actions=output:{}", ofport(&lab, *to))]);
    }
    let hand: Vec<String> = steps.iter().map(|(f, _)| datapath_actions(&lab, f)).collect();
    eprintln!("datapath actions of a chain: {ours:?}, by hand: {hand:?}");
    assert_eq!(ours, hand);
    assert!(ours.iter().all(|a| a.parse::<u32>().is_ok()), "one output each: {ours:?}");
}

#[test]
fn a_function_that_goes_blocks_the_chain_or_is_passed_by_and_comes_back() {
    let Some(lab) = lab() else { return };
    let (client, web, bump) = pair(&lab);
    for (policy, without) in [(OnLoss::Block, false), (OnLoss::Bypass, true)] {
        let c = SwitchChain { on_loss: policy, ..one_wire(1, tcp(80)) };
        lab.fabric.ensure_chain(&c).expect("chain");
        bump.watch("tcp dport 80");
        assert!(soon(true, || connects(&client, &web, 80) && bump.seen() > 0));
        for what in ["its ports", "a link"] {
            let away = |gone: bool| match (what, gone) {
                ("its ports", true) => bump.disconnect(&lab),
                ("its ports", false) => bump.connect(&lab, 7),
                (_, gone) => set_link(&bump, 1, !gone),
            };
            away(true);
            eventually("the chain knows", || lab.fabric.chain_state(c.id).expect("state").hops[0].live == 0);
            assert!(soon(without, || connects(&client, &web, 80)), "{policy:?} without {what}");
            assert!(connects(&client, &web, 81), "other traffic is not concerned");
            away(false);
            eventually("the chain knows", || lab.fabric.chain_state(c.id).expect("state").hops[0].live == 1);
            bump.watch("tcp dport 80");
            let again = soon(true, || connects(&client, &web, 80) && bump.seen() > 0);
            assert!(again, "{policy:?} with {what} again\n{}", lab.picture());
        }
    }
}

#[test]
fn chains_come_back_on_a_bridge_that_was_wiped() {
    let Some(lab) = lab() else { return };
    let (client, web, bump) = pair(&lab);
    lab.fabric.ensure_chain(&one_wire(1, tcp(80))).expect("chain");
    assert!(soon(true, || connects(&client, &web, 80)));
    let before = lab.flows();
    for (what, wipe) in [
        ("the chain's flows", &(|| drop(lab.ofctl(&["del-flows", "table=2"]))) as &dyn Fn()),
        ("all flows", &|| drop(lab.ofctl(&["del-flows"]))),
        ("a wire's VLANs", &|| drop(lab.ovs.vsctl(&["set", "port", nic(11).as_str(), "tag=7", "trunks=[]"]))),
        ("the bridge", &|| drop(lab.ovs.vsctl(&["del-br", BRIDGE]))),
    ] {
        bump.watch("tcp dport 80");
        wipe();
        eventually(what, || {
            lab.ovs.vsctl(&["--columns=trunks", "list", "Port"]).matches("4095").count() == 2 && lab.flows().len() == before.len()
        });
        bump.watch("tcp dport 80");
        assert!(soon(true, || connects(&client, &web, 80) && bump.seen() > 0), "{what}");
        assert!(connects(&client, &web, 81));
    }
}

#[test]
fn chains_side_by_side_take_each_their_own() {
    let Some(lab) = lab() else { return };
    let (client, web, bump) = pair(&lab);
    let other = Function::wire(&lab, 13, 14, 7);
    let second = chain(2, tcp(81), vec![hop("other", HopKind::Transparent, &[(13, 14)])]);
    // Both families of ping by both functions, the second first.
    let both = |n, family| {
        chain(n, ping(family), vec![hop("other", HopKind::Transparent, &[(13, 14)]), hop("bump", HopKind::Transparent, &[(11, 12)])])
    };
    let narrow = Classifier { src: Some("10.0.7.1/32".parse().expect("cidr")), ..ping(Family::Ipv4) };
    for c in [one_wire(1, tcp(80)), second.clone(), both(3, Family::Ipv4), both(4, Family::Ipv6)] {
        lab.fabric.ensure_chain(&c).expect("chain");
    }
    let during = |what: &str, f: &dyn Fn() -> bool| {
        bump.watch(what);
        other.watch(what);
        assert!(soon(true, f), "{what}");
        (bump.seen() > 0, other.seen() > 0)
    };
    assert_eq!(during("tcp dport 80", &|| connects(&client, &web, 80)), (true, false));
    assert_eq!(during("tcp dport 81", &|| connects(&client, &web, 81)), (false, true));
    assert_eq!(during("icmp type echo-reply", &|| client.peer.pings(&web.v4)), (true, true), "there and back by both");
    assert_eq!(during("icmpv6 type echo-reply", &|| client.peer.pings(&web.v6)), (true, true));
    // Narrower than one that is there, and on its way: it goes first.
    lab.fabric.ensure_chain(&chain(5, narrow, vec![hop("bump", HopKind::Transparent, &[(11, 12)])])).expect("chain");
    assert_eq!(during("icmp type echo-request", &|| client.peer.pings(&web.v4)), (true, false));
    for n in [1, 3, 4, 5] {
        lab.fabric.remove_chain(one_wire(n, tcp(80)).id).expect("gone");
    }
    assert_eq!(during("tcp dport 80", &|| connects(&client, &web, 80)), (false, false));
    assert_eq!(during("tcp dport 81", &|| connects(&client, &web, 81)), (false, true), "the one that stays");
}

#[test]
fn one_arm_and_routed_functions_are_hops_too() {
    let Some(lab) = lab() else { return };
    let (client, web, bump) = pair(&lab);
    let mirror = Function::one_arm(&lab, 13, 7);
    let mut l = guarded();
    l.ports.extend(link(1, 7, &[21]).ports);
    lab.fabric.ensure_segment(&l).expect("link");
    let router = Function::router(&lab, 21, 7);
    let hops = vec![
        hop("mirror", HopKind::Transparent, &[(13, 13)]),
        hop("router", HopKind::Routed, &[(21, 21)]),
        hop("bump", HopKind::Transparent, &[(11, 12)]),
    ];
    for (name, hops) in [("mirror", vec![hops[0].clone()]), ("router", vec![hops[1].clone()]), ("all three", hops)] {
        let c = chain(1, tcp(80), hops);
        c.check().expect("a chain");
        lab.fabric.ensure_chain(&c).expect("chain");
        for dir in ["dport", "sport"] {
            [&mirror, &router, &bump].iter().for_each(|f| f.watch(&format!("tcp {dir} 80")));
            let named = |n: &str| c.hops.iter().any(|h| h.name == n);
            let passed = || [&mirror, &router, &bump].map(|f| f.seen() > 0) == ["mirror", "router", "bump"].map(named);
            assert!(soon(true, || connects(&client, &web, 80) && passed()), "{name} {dir}");
        }
        let counted = |n: Count| n.packets > 0;
        eventually("all that passed is counted", || {
            let state = lab.fabric.chain_state(c.id).expect("state");
            state.hops.iter().all(|h| h.live == 1 && counted(h.out) && counted(h.back)) && counted(state.out) && counted(state.back)
        });
        assert!(connects(&client, &web, 81));
    }
}

#[test]
fn a_tag_of_a_transparent_link_is_a_classifier() {
    let Some(lab) = lab() else { return };
    let (one, two) = (tagging(&lab, 1, 7, 5), tagging(&lab, 2, 7, 5));
    let (one6, two6) = (inside(&lab, 1, 6), inside(&lab, 2, 6));
    lab.fabric.ensure_segment(&SwitchLink { transparent: true, ..link_with_wires(1, 7, &[1, 2], &[11, 12]) }).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    let tagged = Classifier { vlan: Some(5.try_into().expect("vlan")), ..ping(Family::Ipv4) };
    let mut c = chain(1, tagged, vec![hop("bump", HopKind::Transparent, &[(11, 12)])]);
    // Behind each NIC are stations of its own.
    (c.from, c.to) = (
        vec![End { port: nic(1), mac: None, beside: Vec::new(), shared: false }],
        vec![End { port: nic(2), mac: None, beside: Vec::new(), shared: false }],
    );
    c.check().expect("a chain");
    lab.fabric.ensure_chain(&c).expect("chain");
    bump.watch("vlan id 5");
    assert!(soon(true, || one.peer.pings(&two.v4) && bump.seen() >= 2), "tag 5 passes the function");
    bump.watch("vlan id 6");
    assert!(one6.reaches(&two6) && bump.seen() == 0, "tag 6 does not");
    bump.watch("vlan id 5");
    bump.stop("vlan id 5");
    assert!(!one.peer.pings(&two.v4) && two6.reaches(&one6));
}

#[test]
fn another_bothy_that_is_told_chains_first_takes_over_without_a_gap() {
    let Some(lab) = lab() else { return };
    let (client, web, bump) = pair(&lab);
    let c = chain(1, ping(Family::Ipv4), vec![hop("bump", HopKind::Transparent, &[(11, 12)])]);
    lab.fabric.ensure_chain(&c).expect("chain");
    assert!(soon(true, || client.peer.pings(&web.v4)));
    let flows = lab.flows();
    bump.watch("icmp type echo-reply");
    let (sent, lost, _) = stream_while(&client, &web, || {
        let next = another(&lab.ovs, &[]);
        next.ensure_ready().expect("ready");
        next.ensure_chain(&c).expect("chain");
        assert_eq!(lab.flows(), flows, "nothing changed");
        next.ensure_segment(&guarded()).expect("link");
        assert_eq!(lab.flows(), flows, "nothing changed");
    });
    assert_eq!(lost, 0, "of {sent}");
    assert!(bump.seen() >= sent, "none went past the function: {} of {sent}", bump.seen());
}
