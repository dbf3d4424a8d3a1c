//! Unit tests of `cross`.

use super::*;

fn vlan(v: u16) -> VlanId {
    v.try_into().expect("vlan")
}

fn member(port: &str, v: u16, tagged: bool) -> Member {
    Member { port: port.into(), vlan: vlan(v), tagged }
}

fn want(native: Option<u16>, tagged: &[u16]) -> PortVlans {
    PortVlans { native: native.map(vlan), tagged: tagged.iter().map(|v| vlan(*v)).collect() }
}

fn at(port: &str) -> OutsidePort {
    OutsidePort { switch: "s".into(), port: port.into() }
}

/// A switch with ports 1 to 5, named `eth1` to `eth5`, and what boxes have put there.
fn switch(rules: Vec<Rule>) -> Switch {
    let port = |n: u8| Port { number: n.to_string().into(), names: vec![format!("eth{n}")], up: n != 5 };
    Switch { away: None, ports: (1..=5).map(port).collect(), rules }
}

fn rule(owner: &str, slot: u8, c: &Cross) -> Rule {
    let id = format!("{:?} {slot}", c.from);
    Rule { id, owner: owner.into(), member: Some(c.from.clone()), slot: Some(slot), cross: Some(c.clone()), state: None }
}

fn settle(s: &Switch, owner: &str, d: &Desired) -> (Look, Todo) {
    let mut look = Look::default();
    let todo = s.settle(&"s".into(), owner, d, &mut look);
    (look, todo)
}

/// Puts and deletes, as a controller would: a rule that matches as another does, with its priority, takes its place.
fn done(mut s: Switch, owner: &str, d: &Desired) -> Switch {
    let todo = settle(&s, owner, d).1;
    for (c, _) in &todo.put {
        let new = rule(owner, todo.slot, c);
        s.rules.retain(|r| r.id != new.id);
        s.rules.push(new);
    }
    s.rules.retain(|r| !(r.owner == owner && todo.delete.iter().any(|(id, _)| *id == r.id)));
    s
}

#[test]
fn a_frame_goes_to_each_other_port_in_the_form_that_it_wants() {
    let d: Desired = [(at("eth1"), want(Some(7), &[8])), (at("2"), want(None, &[7])), (at("3"), want(None, &[7, 8]))].into();
    let (look, todo) = settle(&switch(Vec::new()), "a", &d);
    let all: Vec<String> = todo.put.iter().map(|(c, at)| format!("{} {:?} {:?}", at.port, c.from.tagged, c.acts())).collect();
    let v = vlan(7);
    let out = |p: &str| Act::Output(p.into());
    let by = |port: &str, n: u16| todo.put.iter().find(|(c, _)| c.from.port == port && c.from.vlan == vlan(n)).expect("a rule").0.acts();
    assert_eq!(by("1", 7), [Act::Push(v), out("2"), out("3")], "{all:?}");
    assert_eq!(by("2", 7), [out("3"), Act::Pop, out("1")]);
    assert_eq!(by("1", 8), [out("3")]);
    assert_eq!(todo.put.len(), 5);
    assert_eq!(look.differs.len(), 3);
    assert_eq!(look.differs[0].at, at("eth1"), "as it was asked for");
    for (c, _) in &todo.put {
        assert_eq!(Cross::read(c.from.clone(), &c.acts()).as_ref(), Some(c));
    }
    for odd in
        [vec![Act::Pop, Act::Push(v)], vec![Act::Push(v), Act::Push(v)], vec![Act::Push(vlan(9)), out("2")], vec![out("3"), out("2")]]
    {
        assert_eq!(Cross::read(member("1", 7, false), &odd), None, "{odd:?}");
    }
}

#[test]
fn what_is_right_is_left_and_what_differs_is_put_right() {
    let d: Desired = [(at("1"), want(None, &[7])), (at("2"), want(None, &[7]))].into();
    let s = done(switch(Vec::new()), "a", &d);
    let (look, todo) = settle(&s, "a", &d);
    assert!(look.differs.is_empty() && todo.put.is_empty() && todo.delete.is_empty(), "{look:?}");
    let mut spoilt = s.clone();
    spoilt.rules[0].cross = None;
    let (look, todo) = settle(&spoilt, "a", &d);
    assert_eq!((todo.put.len(), look.differs[0].is.as_str()), (1, "VLAN 7 tagged, not as it shall be"));
    let mut lost = s.clone();
    lost.rules.clear();
    assert_eq!(settle(&lost, "a", &d).1.put.len(), 2);
    let mut unread = s.clone();
    unread.rules[0].member = None;
    unread.rules[0].cross = None;
    let todo = settle(&unread, "a", &d).1;
    assert_eq!((todo.put.len(), todo.delete.len()), (1, 1));
    assert!(done(s, "a", &Desired::new()).rules.is_empty());
}

#[test]
fn boxes_share_a_switch_and_an_uplink_and_each_takes_back_its_own() {
    let of = |ports: &[(&str, Option<u16>, &[u16])]| -> Desired { ports.iter().map(|(p, n, t)| (at(p), want(*n, t))).collect() };
    let (a, b) = (of(&[("1", None, &[7]), ("4", None, &[7])]), of(&[("2", Some(7), &[]), ("4", None, &[7])]));
    let mut s = switch(Vec::new());
    for _ in 0..2 {
        s = done(done(s, "a", &a), "b", &b);
    }
    let rules = |port: &str| -> Vec<String> {
        s.rules
            .iter()
            .filter(|r| r.member.as_ref().is_some_and(|m| m.port == port))
            .map(|r| format!("{:?}", r.cross.as_ref().expect("whole").acts()))
            .collect()
    };
    assert_eq!(rules("4").len(), 2, "one of each box");
    assert_eq!(rules("4")[0], rules("4")[1], "and equal");
    assert!(rules("1")[0].contains("Pop, Output(\"2\")"), "{:?}", rules("1"));
    // Two VLANs without a tag on one port cannot be.
    let (look, todo) = settle(&s, "a", &of(&[("2", Some(8), &[])]));
    assert_eq!(look.ports[&at("2")], PortState::Fault("it has the untagged VLAN 7 of box b already".into()));
    assert!(todo.put.is_empty());
    s = done(s, "a", &Desired::new());
    s = done(s, "b", &b);
    assert!(s.rules.iter().all(|r| r.owner == "b" && r.cross.as_ref().is_some_and(|c| c.to.len() == 1)), "{:?}", s.rules);
}

#[test]
fn a_port_says_how_it_does_and_a_switch_that_is_away_loses_nothing() {
    let d: Desired = [(at("1"), want(None, &[7])), (at("eth5"), want(None, &[7])), (at("eth9"), want(None, &[7]))].into();
    let s = done(switch(Vec::new()), "a", &d);
    let look = settle(&s, "a", &d).0;
    assert_eq!(look.ports[&at("1")], PortState::Up);
    assert_eq!(look.ports[&at("eth5")], PortState::Down("no link".into()));
    assert_eq!(look.ports[&at("eth9")], PortState::Fault("switch s has no port eth9".into()));
    let mut late = s.clone();
    late.rules[0].state = Some(PortState::Down("late".into()));
    assert_eq!(settle(&late, "a", &d).0.ports[&at("1")], PortState::Down("late".into()));
    // Names mean nothing while the switch is away: nothing is taken for stale.
    let away = Switch { away: Some("away".into()), ports: Vec::new(), ..s };
    let (look, todo) = settle(&away, "a", &d);
    assert!(todo.put.is_empty() && todo.delete.is_empty() && look.differs.is_empty(), "{todo:?}");
    assert!(look.ports.values().all(|p| *p == PortState::Down("away".into())), "{look:?}");
    assert_eq!(settle(&away, "a", &Desired::new()).1.delete.len(), 2);
}

#[test]
fn a_priority_tells_the_vlan_and_fits() {
    for slot in 0..SLOTS {
        for v in [1, 2, 4094] {
            let p = priority(slot, vlan(v));
            assert!(p >= LOWEST);
            assert_eq!((vlan_of(p.into()), slot_of(p.into())), (Some(vlan(v)), Some(slot)));
        }
    }
    assert_eq!((vlan_of(5), vlan_of(8192), vlan_of(70_000), vlan_of(-1)), (None, None, None, None));
}

#[test]
fn boxes_whose_names_come_to_the_same_slot_do_not_take_each_others_rules_away() {
    let d: Desired = [(at("1"), want(None, &[7])), (at("4"), want(None, &[7]))].into();
    let slots = |s: &Switch, owner: &str| -> BTreeSet<u8> { s.rules.iter().filter(|r| r.owner == owner).filter_map(|r| r.slot).collect() };
    let settled = |s: &Switch, owner: &str| settle(s, owner, &d).0.differs.is_empty();
    assert_eq!(Sha256::digest("edge-1")[0] % SLOTS, Sha256::digest("edge-3")[0] % SLOTS);
    // One after the other.
    let s = done(done(switch(Vec::new()), "edge-3", &d), "edge-1", &d);
    assert!(slots(&s, "edge-1").is_disjoint(&slots(&s, "edge-3")) && s.rules.len() == 4, "{:?}", s.rules);
    assert!(settled(&s, "edge-1") && settled(&s, "edge-3"));
    // Both at once, where the controller keeps both: the first by name stays, and the other leaves nothing behind.
    let alone = done(switch(Vec::new()), "edge-1", &d);
    let mut both = alone.clone();
    both.rules.extend(done(switch(Vec::new()), "edge-3", &d).rules);
    for _ in 0..3 {
        both = done(done(both, "edge-3", &d), "edge-1", &d);
    }
    assert_eq!(slots(&both, "edge-1"), slots(&alone, "edge-1"));
    assert!(slots(&both, "edge-1").is_disjoint(&slots(&both, "edge-3")) && both.rules.len() == 4, "{:?}", both.rules);
    assert!(settled(&both, "edge-1") && settled(&both, "edge-3"));
    // And as many as there are slots, but no more.
    let mut s = switch(Vec::new());
    for n in 0..SLOTS {
        s = done(s, &format!("box-{n}"), &d);
    }
    let all: BTreeSet<u8> = s.rules.iter().filter_map(|r| r.slot).collect();
    assert_eq!((all.len(), s.rules.len()), (13, 26));
    let (look, todo) = settle(&s, "one-more", &d);
    assert!(
        todo.put.is_empty() && look.ports.values().all(|p| matches!(p, PortState::Fault(why) if why.contains("13 other boxes"))),
        "{look:?}"
    );
}

#[test]
fn a_port_that_is_named_twice_is_refused_once() {
    let d: Desired = [(at("1"), want(None, &[7])), (at("eth1"), want(None, &[8]))].into();
    let (look, todo) = settle(&switch(Vec::new()), "a", &d);
    assert_eq!(look.ports[&at("1")], PortState::Up);
    assert_eq!(look.ports[&at("eth1")], PortState::Fault("port 1 of s is named twice".into()));
    assert_eq!(todo.put.len(), 1);
}
