//! Walks of chains, written as `port>next` lines, and frames that follow them.

use uuid::Uuid;

use super::*;
use crate::model::chain::{HopKind, IpProto, Ports};

fn name(s: &str) -> IfName {
    s.parse().expect("name")
}
fn mac(n: u32) -> MacAddr {
    MacAddr::planned(n)
}
fn end(port: &str, n: u32) -> End {
    End { port: name(port), mac: Some(mac(n)), beside: Vec::new(), shared: false }
}
fn tcp(port: u16) -> Classifier {
    Classifier { id: "web".into(), proto: Some(IpProto::TCP), dst_ports: Some(Ports::one(port)), ..Classifier::default() }
}
fn hop(n: &str, kind: HopKind, arms: &[(&str, &str)]) -> Hop {
    let arm = |p: &str| Arm { port: name(p), mac: (kind == HopKind::Routed).then(|| mac(100 + u32::from(p.as_bytes()[1]))) };
    let instances = arms.iter().map(|(a, b)| Instance { entry: arm(a), exit: arm(b) }).collect();
    Hop { name: n.into(), kind, instances }
}
fn bump(n: &str) -> Hop {
    hop(n, HopKind::Transparent, &[(&format!("{n}i"), &format!("{n}o"))])
}
fn chain(n: u128, hops: Vec<Hop>) -> SwitchChain {
    SwitchChain {
        id: NfpId(Uuid::from_u128(n)),
        name: format!("c{n}").into(),
        classifiers: vec![tcp(80)],
        from: vec![end("client", 1)],
        hops,
        to: vec![end("web", 2)],
        symmetric: true,
        on_loss: OnLoss::Block,
        handover: None,
    }
}
/// `port[ bound]>next[:hop]`, outwards and `back`.
fn said(c: &SwitchChain, lost: &[&str]) -> Vec<String> {
    let rules = c.rules(&|p| !lost.contains(&p.as_str()));
    let line = |r: &Rule| {
        let bound = match r.bound {
            For::Mac(m) => format!("{:x}", m.octets()[5]),
            For::Unicast => "*".into(),
        };
        let then = match &r.then {
            Then::To { port, set } => {
                let ports: Vec<&str> = port.iter().map(IfName::as_str).collect();
                ports.join("|") + &set.map_or_else(String::new, |m| format!(" as {:x}", m.octets()[5]))
            }
            Then::Link => "link".into(),
            Then::Beside => "beside".into(),
            Then::Drop => "drop".into(),
        };
        let into = r.into.map_or_else(|| "out".into(), |h| h.to_string());
        format!("{} {}[{bound}] > {then} ({into})", if r.way == Way::Out { "->" } else { "<-" }, r.at)
    };
    rules.iter().map(line).collect()
}

#[test]
fn a_wire_is_walked_there_and_back_by_the_ends_macs() {
    let c = chain(1, vec![bump("a"), bump("b")]);
    c.check().expect("fine");
    assert_eq!(
        said(&c, &[]),
        [
            "-> client[2] > ai (0)",
            "-> ao[2] > bi (1)",
            "-> bo[2] > web (out)",
            "<- web[1] > bo (1)",
            "<- bi[1] > ao (0)",
            "<- ai[1] > client (out)",
        ]
    );
    let back = c.rules(&|_| true).into_iter().find(|r| r.way == Way::Back).expect("a return");
    assert_eq!(back.traffic.to_string(), "tcp from any port 80");
    let one_way = SwitchChain { symmetric: false, ..c };
    assert_eq!(said(&one_way, &[]).len(), 3);
}

#[test]
fn a_lost_hop_blocks_or_is_passed_by() {
    let c = chain(1, vec![bump("a"), bump("b")]);
    for lost in ["ai", "ao"] {
        assert_eq!(said(&c, &[lost]), ["-> client[2] > drop (0)", "<- web[1] > drop (0)"], "{lost}");
    }
    let bypass = SwitchChain { on_loss: OnLoss::Bypass, ..c };
    assert_eq!(said(&bypass, &["ao"]), ["-> client[2] > bi (1)", "-> bo[2] > web (out)", "<- web[1] > bo (1)", "<- bi[1] > client (out)"]);
    assert_eq!(said(&bypass, &["ao", "bi"]), ["-> client[2] > link (out)", "<- web[1] > link (out)"], "on by the link");
    assert_eq!(
        said(&bypass, &["web"]),
        ["-> client[2] > ai (0)", "-> ao[2] > bi (1)", "-> bo[2] > drop (out)", "<- bi[1] > ao (0)", "<- ai[1] > client (out)"]
    );
}

#[test]
fn a_routed_hop_is_aimed_at_and_sends_on_by_itself() {
    let router = hop("r", HopKind::Routed, &[("ri", "ro")]);
    let (entry, exit) = ("cd", "d3");
    let with = |hops| {
        let c = chain(1, hops);
        c.check().expect("fine");
        said(&c, &[])
    };
    assert_eq!(
        with(vec![router.clone()]),
        [
            format!("-> client[*] > ri as {entry} (0)"),
            "-> ro[2] > link (out)".into(),
            format!("<- web[*] > ro as {exit} (0)"),
            "<- ri[1] > link (out)".into(),
        ]
    );
    assert_eq!(
        with(vec![bump("a"), router.clone(), bump("b")]),
        [
            format!("-> client[*] > ai as {entry} (0)"),
            format!("-> ao[{entry}] > ri (1)"),
            "-> ro[2] > bi (2)".into(),
            "-> bo[2] > web (out)".into(),
            format!("<- web[*] > bo as {exit} (2)"),
            format!("<- bi[{exit}] > ro (1)"),
            "<- ri[1] > ao (0)".into(),
            "<- ai[1] > client (out)".into(),
        ]
    );
}

#[test]
fn one_arm_instances_and_many_ends_are_told_apart_by_macs() {
    let mut c =
        chain(1, vec![hop("x", HopKind::Transparent, &[("x", "x")]), hop("y", HopKind::Transparent, &[("yi", "yo"), ("zi", "zo")])]);
    c.from.push(end("other", 3));
    c.check().expect("fine");
    let all = said(&c, &[]);
    for want in [
        "-> client[2] > x (0)",
        "-> other[2] > x (0)",
        "-> x[2] > yi|zi (1)",
        "-> zo[2] > web (out)",
        "<- web[3] > yo|zo (1)",
        "<- x[3] > other (out)",
    ] {
        assert!(all.iter().any(|l| l == want), "{want} in {all:#?}");
    }
    assert!(said(&c, &["yi"]).contains(&"-> x[2] > zi (1)".to_owned()), "the instance that is left");
}

#[test]
fn chains_that_cannot_be_are_refused_with_all_reasons() {
    let bad = SwitchChain {
        classifiers: vec![Classifier { dst_ports: Some(Ports::one(1)), ..Classifier::default() }],
        from: vec![],
        hops: vec![hop("r", HopKind::Routed, &[("ri", "ro"), ("si", "so")]), Hop { instances: vec![], ..bump("a") }],
        to: vec![
            End { port: name("ri"), mac: None, beside: Vec::new(), shared: false },
            End { port: name("wan"), mac: None, beside: Vec::new(), shared: false },
        ],
        ..chain(1, vec![])
    };
    let e = bad.check().expect_err("bad");
    for part in ["has ports", "begins nowhere", "ends at more than one", "ri is in it twice", "2 instances", "hop a has no port"] {
        assert!(e.reasons().iter().any(|r| r.contains(part)), "{part}: {:?}", e.reasons());
    }
    // One arm, and ends that no MAC tells apart: the ways are one.
    let mut c = chain(1, vec![hop("x", HopKind::Transparent, &[("x", "x")])]);
    (c.from[0].mac, c.to[0].mac) = (None, None);
    c.check().expect("TCP's ports tell them apart");
    c.classifiers = vec![Classifier::default()];
    assert!(c.check().expect_err("no").reasons()[0].contains("two ways"));
}

#[test]
fn two_chains_are_refused_where_a_frame_could_be_of_both() {
    let one = chain(1, vec![bump("a")]);
    let with = |classifier: Classifier, to: End, hop: &str| SwitchChain {
        classifiers: vec![classifier],
        to: vec![to],
        ..chain(2, vec![bump(hop)])
    };
    let cidr = |s: &str| Some(s.parse().expect("cidr"));
    let wide = Classifier { proto: Some(IpProto::TCP), ..Classifier::default() };
    for (other, fine) in [
        (with(tcp(80), end("web", 2), "b"), false),
        (with(tcp(443), end("web", 2), "b"), true),
        (with(tcp(443), end("web", 2), "a"), true),
        (with(tcp(80), end("other", 3), "b"), true),
        (with(tcp(80), end("other", 3), "a"), false),
        (with(wide.clone(), end("web", 2), "a"), true),
        (with(Classifier { src: cidr("10.0.0.0/8"), ..wide.clone() }, end("web", 2), "b"), false),
        (with(Classifier { src: cidr("10.0.0.0/8"), ..tcp(80) }, end("web", 2), "b"), true),
    ] {
        let why = contradictions(&[&one, &other]);
        assert_eq!(why.is_empty(), fine, "{} to {:?} by {}: {why:?}", other.classifiers[0], other.to, other.hops[0].name);
        assert!(why.iter().all(|w| w.contains("c1") && w.contains("c2") && w.contains("tcp")), "{why:?}");
    }
    // The same the other way round: what goes out here comes back there.
    let turned = SwitchChain { from: one.to.clone(), to: one.from.clone(), classifiers: vec![wide.clone()], ..chain(2, vec![bump("b")]) };
    assert!(!contradictions(&[&SwitchChain { classifiers: vec![wide], ..one }, &turned]).is_empty());
}

/// To a physical network on whose link two stations of the box are.
fn outwards(n: u128, hops: Vec<Hop>, classifier: Classifier) -> SwitchChain {
    let plant = End { port: name("plant"), mac: None, beside: vec![mac(1), mac(3)], shared: false };
    SwitchChain { to: vec![plant], classifiers: vec![classifier], ..chain(n, hops) }
}

#[test]
fn an_end_outside_the_box_does_not_stand_for_stations_in_it() {
    let only = |c: &SwitchChain, lost: &[&str]| said(c, lost).into_iter().filter(|l| l.starts_with("->")).collect::<Vec<_>>();
    let c = outwards(1, vec![bump("a")], tcp(80));
    c.check().expect("fine");
    assert_eq!(
        only(&c, &[]),
        ["-> client[*] > ai (0)", "-> client[1] > beside (out)", "-> client[3] > beside (out)", "-> ao[*] > plant (out)"]
    );
    assert_eq!(
        only(&c, &["ai"]),
        ["-> client[*] > drop (0)", "-> client[1] > beside (out)", "-> client[3] > beside (out)"],
        "nor where it is blocked"
    );
    let back: Vec<String> = said(&c, &[]).into_iter().filter(|l| l.starts_with("<-")).collect();
    assert_eq!(back, ["<- plant[1] > ao (0)", "<- ai[1] > client (out)"], "from there it is who the chain began at");
    // A router is aimed at, wherever it sends then; what it sends into a wire is looked at again.
    let routed = outwards(1, vec![hop("r", HopKind::Routed, &[("ri", "ro")]), bump("a")], tcp(80));
    assert_eq!(
        only(&routed, &[])[1..],
        ["-> ro[*] > ai (1)", "-> ro[1] > beside (out)", "-> ro[3] > beside (out)", "-> ao[*] > plant (out)"]
    );
    // Whoever leads to one of them goes first, and whoever takes more than that is not passed by unseen.
    let rank =
        |c: &SwitchChain, bound: For| c.rules(&|_| true).iter().find(|r| r.way == Way::Out && r.bound == bound).expect("a rule").rank();
    let there = SwitchChain { to: vec![end("three", 3)], ..chain(2, vec![bump("b")]) };
    assert!(rank(&c, For::Unicast) < rank(&c, For::Mac(mac(3))) && rank(&c, For::Mac(mac(3))) < rank(&there, For::Mac(mac(3))));
    let wide = Classifier { proto: Some(IpProto::TCP), ..Classifier::default() };
    let router = hop("r", HopKind::Routed, &[("ri", "ro")]);
    for (what, other, fine) in [
        ("to one of them", there.clone(), true),
        ("more of it to one of them", SwitchChain { classifiers: vec![wide.clone()], ..there }, false),
        ("more of it to a router", SwitchChain { classifiers: vec![wide.clone()], ..chain(2, vec![router]) }, false),
        ("more of it, and outside too", outwards(2, vec![bump("b")], wide), true),
    ] {
        let why = contradictions(&[&c, &other]);
        assert_eq!(why.is_empty(), fine, "{what}: {why:?}");
    }
}

#[test]
fn stations_behind_one_port_are_told_apart_by_the_sender() {
    let plant = |n: u32, shared: bool| End { shared, port: name("plant"), ..end("plant", n) };
    let from = |c: SwitchChain, n: u32, shared: bool| SwitchChain { from: vec![plant(n, shared)], ..c };
    let one = from(chain(1, vec![bump("a")]), 7, true);
    let senders = |c: &SwitchChain, lost: &[&str]| {
        let rules = c.rules(&|p| !lost.contains(&p.as_str()));
        rules.into_iter().map(|r| (r.at.to_string(), r.sender.map(|m| m.octets()[5]))).collect::<Vec<_>>()
    };
    let at = |port: &str, sender: Option<u8>| (port.to_owned(), sender);
    assert_eq!(
        senders(&one, &[]),
        [at("plant", Some(7)), at("ao", None), at("web", None), at("ai", None)],
        "where it comes in, and nowhere else"
    );
    assert_eq!(senders(&one, &["ai"])[0], at("plant", Some(7)), "nor is anybody else blocked");
    // Its own traffic, and another's by the same plug.
    for (what, other, fine) in [
        ("another station's", from(chain(2, vec![bump("b")]), 8, true), true),
        ("its own once more", from(chain(2, vec![bump("b")]), 7, true), false),
        ("whoever is there", SwitchChain { from: vec![End { mac: None, ..plant(8, true) }], ..chain(2, vec![bump("b")]) }, true),
        ("by one function", from(chain(2, vec![bump("a")]), 8, true), false),
    ] {
        // There are no two ways back from the web server.
        let (one, other) = (SwitchChain { symmetric: false, ..one.clone() }, SwitchChain { symmetric: false, ..other });
        let why = contradictions(&[&one, &other]);
        assert_eq!(why.is_empty(), fine, "{what}: {why:?}");
    }
    let wide = SwitchChain { from: vec![End { mac: None, ..plant(8, true) }], ..chain(2, vec![bump("b")]) };
    assert!(one.rules(&|_| true)[0].rank() > wide.rules(&|_| true)[0].rank(), "who is told goes first");
}

#[test]
fn a_range_of_ports_within_another_is_narrower_whatever_their_sizes() {
    let of = |n: u128, a: u16, b: u16| SwitchChain {
        classifiers: vec![Classifier { dst_ports: Ports::new(a, b), ..tcp(80) }],
        ..chain(n, vec![bump(&format!("{}", char::from(b'a' + n as u8)))])
    };
    for (one, other, clash) in [
        ((1000, 1500), (1000, 1400), false),
        ((1000, 1500), (1000, 1499), false),
        ((1000, 1500), (1400, 1600), true),
        ((1000, 1500), (1000, 1500), true),
        ((0, 65535), (1, 65535), false),
    ] {
        let (a, b) = (of(1, one.0, one.1), of(2, other.0, other.1));
        assert_eq!(!contradictions(&[&a, &b]).is_empty(), clash, "{one:?} {other:?}: {:?}", contradictions(&[&a, &b]));
    }
    // All ports are no condition, and all addresses are none.
    let all = of(1, 0, 65535);
    let none = SwitchChain { classifiers: vec![Classifier { dst_ports: None, ..tcp(80) }], ..chain(2, vec![bump("b")]) };
    assert_eq!(contradictions(&[&all, &none]).len(), contradictions(&[&none, &all]).len());
    assert!(!contradictions(&[&all, &none]).is_empty());
    let most = of(1, 1, 65535);
    assert_eq!(contradictions(&[&most, &none]), Vec::<String>::new());
    let rank = |c: &SwitchChain| c.rules(&|_| true)[0].rank();
    assert!(rank(&most) > rank(&none), "all ports but one");
    let many: Vec<SwitchChain> = (0..9).map(|n| of(n, 1000, 1500 - n as u16)).collect();
    let few: Vec<&SwitchChain> = many.iter().take(8).collect();
    assert_eq!(contradictions(&few), Vec::<String>::new());
    let why = contradictions(&many.iter().collect::<Vec<_>>());
    assert!(why.iter().all(|w| w.contains("within more than 8 other ranges")) && !why.is_empty(), "{why:?}");
}

#[test]
fn a_function_that_holds_connections_has_one_instance() {
    for (kind, why) in [(HopKind::Transparent, None), (HopKind::Stateful, Some("is stateful")), (HopKind::Routed, Some("is routed"))] {
        let told = chain(1, vec![hop("a", kind, &[("ai", "ao"), ("bi", "bo")])]).check().map_err(|f| f.detail());
        match why {
            None => assert_eq!(told, Ok(())),
            Some(why) => assert!(told.as_ref().is_err_and(|t| t.contains(why) && t.contains("2 instances")), "{told:?}"),
        }
    }
}
