//! What a change of a chain means, and which rules are for which connections meanwhile.

use uuid::Uuid;

use super::*;
use crate::{
    model::{
        chain::{HopKind, OnLoss, Ports},
        net::MacAddr,
    },
    sdn::chain::{Arm, End, Instance, Way, contradictions},
};

fn name(s: &str) -> IfName {
    s.parse().expect("name")
}
fn tcp(port: u16) -> Classifier {
    Classifier { id: "web".into(), proto: Some(IpProto::TCP), dst_ports: Some(Ports::one(port)), ..Classifier::default() }
}
fn udp() -> Classifier {
    Classifier { id: "voice".into(), proto: Some(IpProto::UDP), ..Classifier::default() }
}
fn hop(n: &str, kind: HopKind) -> Hop {
    let arm = |side: &str| Arm { port: name(&format!("{n}{side}")), mac: Some(MacAddr::planned(7)) };
    Hop { name: n.into(), kind, instances: vec![Instance { entry: arm("i"), exit: arm("o") }] }
}
fn chain(hops: &[(&str, HopKind)], classifiers: &[Classifier]) -> SwitchChain {
    let end = |port: &str, n: u32| End { port: name(port), mac: Some(MacAddr::planned(n)), beside: Vec::new(), shared: false };
    SwitchChain {
        id: NfpId(Uuid::from_u128(1)),
        name: "c".into(),
        classifiers: classifiers.to_vec(),
        from: vec![end("client", 1)],
        hops: hops.iter().map(|(n, k)| hop(n, *k)).collect(),
        to: vec![end("web", 2)],
        symmetric: true,
        on_loss: OnLoss::Block,
        handover: None,
    }
}
fn between(old: &SwitchChain, new: &SwitchChain, noting: bool) -> SwitchChain {
    let handover = TwoWays { classifiers: old.classifiers.clone(), hops: old.hops.clone(), mark: 6, noting };
    SwitchChain { handover: Some(handover), ..new.clone() }
}

use HopKind::{Routed, Stateful, Transparent};

#[test]
fn what_holds_connections_takes_new_ones_only_and_the_rest_changes_at_once() {
    let tls = || tcp(443);
    for (what, now, next, noting, said) in [
        ("transparent", chain(&[("a", Transparent)], &[tcp(80)]), chain(&[("b", Transparent)], &[tcp(80)]), None, "at once: the functions"),
        ("stateful in", chain(&[], &[tcp(80)]), chain(&[("s", Stateful)], &[tcp(80)]), Some(0), "s is stateful"),
        (
            "router out",
            chain(&[("r", Routed)], &[tcp(80)]),
            chain(&[], &[tcp(80)]),
            Some(0),
            "stay by r until they end, 60 s at most: r is routed",
        ),
        (
            "two change places",
            chain(&[("r", Routed), ("s", Stateful)], &[tcp(80)]),
            chain(&[("s", Stateful), ("r", Routed)], &[tcp(80)]),
            Some(0),
            "s, r change places",
        ),
        (
            "one beside it",
            chain(&[("r", Routed)], &[tcp(80)]),
            chain(&[("r", Routed), ("a", Transparent)], &[tcp(80)]),
            None,
            "at once: the functions",
        ),
        ("UDP", chain(&[], &[udp()]), chain(&[("r", Routed)], &[udp()]), Some(NOTING_S), "silent in the 2 s before is taken for new"),
        (
            "new traffic to one",
            chain(&[("r", Routed)], &[tcp(80)]),
            chain(&[("r", Routed)], &[tls()]),
            Some(0),
            "'tcp to any port 80': no longer",
        ),
        ("new traffic to none", chain(&[("a", Transparent)], &[tcp(80)]), chain(&[("a", Transparent)], &[tls()]), None, "new, by a"),
    ] {
        let c = cutover(&now, &next, 60);
        assert_eq!(c.noting_s, noting, "{what}: {:?}", c.lines);
        assert!(c.lines.iter().any(|l| l.contains(said)), "{what}: {:?}", c.lines);
    }
    let (now, next) = (chain(&[], &[tcp(80)]), chain(&[("r", Routed)], &[tcp(80)]));
    let c = cutover(&now, &next, 0);
    assert!(c.noting_s.is_none() && c.lines[0].contains("the drain timeout is 0"), "{c:?}");
    let same = chain(&[("r", Routed)], &[tcp(80)]);
    assert_eq!(cutover(&same, &same, 60), Cutover { lines: vec![], noting_s: None });
}

/// `way side port [who]`
fn said(c: &SwitchChain) -> Vec<String> {
    let line = |l: &Led| {
        let way = if l.rule.way == Way::Out { "->" } else { "<-" };
        let by = if l.by == Side::New { "new" } else { "old" };
        let who = match l.who {
            Who::All => "all",
            Who::Noted => "noted",
            Who::Own => "own",
            Who::Apart { wire: true } => "apart on a wire",
            Who::Apart { wire: false } => "apart",
        };
        format!("{way} {by} {} {who}", l.rule.at)
    };
    c.led(&|_| true).iter().map(line).collect()
}

#[test]
fn connections_are_told_apart_where_both_ways_come_by_and_nowhere_else() {
    let (old, new) = (chain(&[("a", Transparent)], &[tcp(80)]), chain(&[("a", Transparent), ("r", Routed)], &[tcp(80)]));
    assert!(said(&old).iter().all(|l| l.ends_with(" all")), "nothing is tracked while there is one way");
    let noting = said(&between(&old, &old, true));
    assert!(noting.len() == 4 && noting.iter().all(|l| l.contains("old") && l.ends_with("noted")), "{noting:#?}");
    assert_eq!(
        said(&between(&old, &new, false)),
        [
            "-> old client apart",
            "-> old ao apart on a wire",
            "<- old web apart",
            "<- old ai apart on a wire",
            "-> new client apart",
            "-> new ao apart on a wire",
            "-> new ro own",
            "<- new web apart",
            "<- new ri own",
            "<- new ai apart on a wire",
        ]
    );
}

#[test]
fn a_chain_between_two_ways_is_not_in_its_own_way_and_both_are_in_those_of_others() {
    let (old, new) = (chain(&[("a", Transparent)], &[tcp(80)]), chain(&[("b", Stateful)], &[tcp(81)]));
    let c = between(&old, &new, false);
    assert_eq!(contradictions(&[&c]), Vec::<String>::new());
    for port in [80, 81] {
        let other = SwitchChain { id: NfpId(Uuid::from_u128(2)), ..chain(&[("x", Transparent)], &[tcp(port)]) };
        assert!(!contradictions(&[&c, &other]).is_empty(), "{port}");
    }
    assert!(["ai", "ao", "bi", "bo"].iter().all(|p| c.ports().contains(&name(p))));
}

#[test]
fn zones_of_chains_are_apart_and_above_those_of_others() {
    let zones: HashSet<u16> = (0..500u128).map(|n| zone(NfpId(Uuid::from_u128((n << 64) | (n * 77))))).collect();
    assert!(zones.iter().all(|z| *z >= 0x8000) && zones.len() > 490, "{}", zones.len());
}

#[test]
fn a_chain_between_two_ways_is_in_the_way_of_those_that_take_more() {
    let (old, new) = (chain(&[("a", Transparent)], &[tcp(80)]), chain(&[("b", Stateful)], &[tcp(81)]));
    let other = |c: Classifier| SwitchChain { id: NfpId(Uuid::from_u128(2)), name: "other".into(), ..chain(&[("x", Transparent)], &[c]) };
    let wide = Classifier { proto: Some(IpProto::TCP), ..Classifier::default() };
    let narrow = Classifier { src: "10.0.0.0/8".parse().ok(), ..tcp(80) };
    for (c, what, traffic, is) in [
        (between(&old, &new, false), "wider", wide.clone(), true),
        (between(&old, &new, false), "narrower", narrow, false),
        (between(&old, &new, false), "apart", tcp(443), false),
        (between(&old, &old, true), "wider, while all go the way before", wide.clone(), false),
        (old.clone(), "wider than a chain of one way", wide.clone(), false),
        (
            between(&old, &SwitchChain { classifiers: old.classifiers.clone(), ..new.clone() }, false),
            "wider than what both ways take",
            wide,
            false,
        ),
    ] {
        let why = in_the_way(&[&c, &other(traffic)]);
        assert_eq!(!why.is_empty(), is, "{what}: {why:?}");
        assert!(why.iter().all(|w| w.contains("chain c ") && w.contains("chain other")), "{why:?}");
    }
}
