//! Listening to links: a mirror is there while somebody listens, and at no other time.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    model::{
        error::Kind,
        id::{IfKind, IfName, PortId, ProjectId, if_name},
        net::VlanId,
        segment::Segment,
    },
    node::kit::{Shape, TestBox, ns_box},
    sim::faults::{Method, Rule, Then},
    vim::captures::Capture,
};

fn up() -> TestBox {
    let (b, id) = ns_box(&Shape::small());
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    b
}

/// A link that the host is not on.
fn link(b: &TestBox) -> Segment {
    b.store().list::<Segment>().expect("read").into_iter().find(|s| s.link == "lan").expect("a link")
}

fn mirrors(b: &TestBox) -> Vec<IfName> {
    b.core().vnfm().links().fabric().mirrors().expect("looked")
}

fn at(n: u128) -> IfName {
    if_name(IfKind::Capture, &id(n))
}
fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 100 | n)
}

#[test]
fn a_mirror_goes_with_its_listener_and_one_that_nobody_listens_to_at_the_next_look() {
    let b = up();
    let (lan, links) = (link(&b), b.core().vnfm().links());
    // One of its three ports is a function's.
    let wire = links.wires().expect("read").into_iter().next().expect("a wire");
    let all: Vec<IfName> = lan.stations.iter().map(|s| s.nic()).filter(|p| *p != wire).collect();
    assert_eq!((all.len(), lan.stations.len()), (2, 3));
    let mut heard = links.capture(&lan, None, id(1)).expect("heard");
    assert_eq!((mirrors(&b), b.sim.mirrored(&at(1)).expect("a mirror")), (vec![at(1)], all.clone()));
    assert!(heard.next(Duration::from_secs(1)).expect("a frame").is_some());
    let one = links.capture(&lan, Some(&all[0]), id(2)).expect("one port");
    assert_eq!(b.sim.mirrored(&at(2)).expect("a mirror"), &all[..1]);
    drop(one);
    // Which is listened to itself.
    let mut one = links.capture(&lan, Some(&wire), id(2)).expect("the function's");
    assert_eq!((b.sim.mirrored(&at(2)), mirrors(&b)), (None, vec![at(1)]));
    assert!(one.next(Duration::from_secs(1)).expect("a frame").is_some());
    drop(one);
    let only = Segment { stations: lan.stations.iter().filter(|s| s.nic() == wire).cloned().collect(), ..lan.clone() };
    let f = links.capture(&only, None, id(2)).map(drop).expect_err("nothing on it");
    assert!(f.kind() == Kind::Conflict && f.text().contains(wire.as_str()), "{f}");
    // By a trunk's NIC other links' frames come too: its network has a port of its own.
    let mut trunk = lan.clone();
    trunk.stations[0].access.within = Some((PortId(id(70)), VlanId::try_from(5).expect("a tag")));
    let inner = if_name(IfKind::Trunk, &trunk.stations[0].port.0);
    let one = links.capture(&trunk, Some(&inner), id(2)).expect("its own");
    assert_eq!(b.sim.mirrored(&at(2)).expect("a mirror"), [inner]);
    drop(one);
    // What a daemon left that was killed goes, and what is listened to stays.
    links.fabric().ensure_mirror(&at(3), &all, lan.vlan).expect("left");
    assert_eq!(mirrors(&b).len(), 2);
    b.core().vnfm().reconcile().expect("looked");
    assert_eq!((mirrors(&b), links.end_captures().expect("looked")), (vec![at(1)], 0));
    drop(heard);
    assert_eq!(mirrors(&b), []);
}

#[test]
fn what_cannot_be_listened_to_leaves_no_mirror_and_keeps_no_place() {
    let b = up();
    let (lan, links) = (link(&b), b.core().vnfm().links());
    for _ in 0..20 {
        let f = links.capture(&lan, Some(&at(9)), id(1)).map(drop).expect_err("no such port");
        assert!(f.kind() == Kind::NotFound && f.text().contains(lan.stations[0].nic().as_str()), "{f}");
        for method in [Method::EnsureMirror, Method::Listen] {
            b.sim.faults().add(Rule::next(method, Then::Fail(Kind::Transient)));
            assert_eq!(links.capture(&lan, None, id(1)).map(drop).expect_err("failed").kind(), Kind::Transient, "{method:?}");
            assert_eq!(mirrors(&b), [], "{method:?}");
        }
    }
    // One that cannot be taken away at once is taken at the next look.
    let heard = links.capture(&lan, None, id(1)).expect("heard");
    b.sim.faults().add(Rule::next(Method::RemoveMirror, Then::Fail(Kind::Transient)));
    drop(heard);
    assert_eq!((mirrors(&b), links.end_captures().expect("looked"), mirrors(&b)), (vec![at(1)], 1, vec![]));
}

#[test]
fn no_project_takes_the_places_of_the_others() {
    let b = up();
    let (lan, links) = (link(&b), b.core().vnfm().links());
    let of = |p: u128| Segment { project: if p == 0 { lan.project } else { ProjectId(id(p)) }, ..lan.clone() };
    let mut running: Vec<Capture<'_>> = Vec::new();
    let mut refused = Vec::new();
    for (n, p) in [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4].into_iter().enumerate() {
        match links.capture(&of(p), None, id(n as u128 + 1)) {
            Ok(c) => running.push(c),
            Err(f) => refused.push((n, f)),
        }
    }
    let said: Vec<(usize, bool)> = refused.iter().map(|(n, f)| (*n, f.text().contains("of the project's links"))).collect();
    assert_eq!((running.len(), said), (8, vec![(2, true), (5, true), (10, false)]), "{refused:?}");
    assert!(refused.iter().all(|(_, f)| f.kind() == Kind::Conflict), "{refused:?}");
    running.truncate(1);
    links.capture(&of(4), None, id(30)).expect("there is a place again");
}

#[test]
fn a_stop_of_bothy_ends_those_that_run_and_begins_no_other() {
    let b = up();
    let (lan, links) = (link(&b), b.core().vnfm().links());
    let heard = links.capture(&lan, None, id(1)).expect("heard");
    assert!(!heard.is_over());
    links.stop_captures();
    assert!(heard.is_over());
    assert!(links.capture(&lan, None, id(2)).map(drop).expect_err("refused").is_transient());
    drop(heard);
    assert_eq!(mirrors(&b), [], "and its mirror is gone");
}
