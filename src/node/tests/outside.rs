//! Links of functions on switches outside: set from the accept on, kept, taken away, and refused where
//! nobody knows the port.

use std::time::{Duration, Instant};

use crate::{
    model::{
        error::Kind,
        sdn::{Controller, ControllerDraft, MappedDraft, OutsidePort, Pattern, PortMap},
    },
    node::kit::{Shape, TestBox, ask_vnf, vnf_box},
    sdn::underlay::ServiceState,
    sim::faults::{Method, Rule, Then},
    vim::outside::Settings,
};

fn controller(name: &str, network: &str) -> Controller {
    let draft = ControllerDraft {
        name: name.into(),
        kind: "ovsdb".into(),
        url: "unix:/db.sock".into(),
        networks: vec![network.into()],
        datapaths: vec!["tor".into()],
        ..ControllerDraft::default()
    };
    draft.check().expect("a controller")
}

fn map(node: &str, pci: &str) -> PortMap {
    let line = MappedDraft { pci: pci.into(), switch_id: "tor".into(), switch_port: "p7".into(), switch_mac: "".into() };
    PortMap { node: Pattern::of_node(node).expect("a node"), ports: vec![line.check().expect("a line")] }
}

/// The configuration says nothing, and the keeper runs.
fn kept(b: &TestBox) {
    b.core().outside.configure(Settings { node: "box".into(), ..Settings::default() });
    b.core().outside.start().expect("started");
}

#[track_caller]
fn until(what: &str, mut f: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !f() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ports(b: &TestBox) -> Vec<String> {
    b.sim.outside().iter().map(|(at, p)| format!("{at}: {p}")).collect()
}

#[test]
fn a_link_is_set_kept_and_taken_away() {
    let (b, id) = vnf_box(&Shape::with_vf());
    kept(&b);
    let outside = &b.core().outside;
    outside.set_controller(controller("c", "wan"), None).expect("set");
    outside.set_map(map("bo*", "0000:10:00.0")).expect("set");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    until("set", || ports(&b) == ["p7 of tor: VLAN 42 tagged"]);
    until("active", || outside.services().expect("services").iter().all(|s| s.state == ServiceState::Active));
    let all = outside.services().expect("services");
    assert_eq!((all.len(), all[0].service.ends[0].name.as_str()), (1, "v/vdu0/0: fast"));
    assert_eq!(outside.health().expect("health"), Some((1, vec![])));

    b.sim.wipe_outside();
    outside.configure(Settings { node: "box".into(), ..Settings::default() });
    until("back again", || ports(&b) == ["p7 of tor: VLAN 42 tagged"]);

    let why = outside.delete_map("bo*").expect_err("a guest needs it");
    assert!(why.kind() == Kind::Conflict && why.reasons().len() == 1, "{why}");
    assert_eq!(outside.delete_controller("c").expect_err("a guest needs it").kind(), Kind::Conflict);

    let op = b.core().vnfm().terminate(id, crate::model::vnf::Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    until("taken away", || ports(&b).is_empty());
    outside.delete_map("bo*").expect("nobody needs it");
    outside.delete_controller("c").expect("nobody needs it");
    assert_eq!(outside.health().expect("health"), None);
}

#[test]
fn a_controller_that_fails_is_an_error_of_its_services_until_it_works_again() {
    let (b, id) = vnf_box(&Shape::with_vf());
    kept(&b);
    let outside = &b.core().outside;
    b.sim.faults().add(Rule::next(Method::OutsideApply, Then::Fail(Kind::Transient)).times(u64::MAX));
    outside.set_map(map("*", "0000:10:02.*")).expect("set");
    outside.set_controller(controller("c", "wan"), None).expect("set");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    until("error", || outside.services().expect("services").iter().any(|s| s.state == ServiceState::Error));
    assert!(!outside.health().expect("health").expect("controllers").1.is_empty());
    let plan = outside.plan().expect("plan");
    let look = plan[0].1.as_ref().expect("it can be looked at");
    assert_eq!(look.differs.iter().map(|d| (d.is.as_str(), d.wanted.as_str())).collect::<Vec<_>>(), [("nothing", "VLAN 42 tagged")]);
    assert!(ports(&b).is_empty(), "a dry run changes nothing");
    b.sim.faults().clear();
    until("active", || outside.services().expect("services").iter().all(|s| s.state == ServiceState::Active));
}

#[test]
fn a_function_in_no_map_is_refused_when_planned_and_only_under_a_controller() {
    let (b, id) = vnf_box(&Shape::with_vf());
    kept(&b);
    let outside = &b.core().outside;
    outside.set_controller(controller("c", "wan"), None).expect("set");
    outside.set_map(map("elsewhere", "*")).expect("set");
    let refused = b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect_err("on which port?");
    assert_eq!(refused.reasons().len(), 1, "{refused}");
    assert!(
        refused.reasons()[0].contains("v/vdu0/0: fast: controller c") && refused.reasons()[0].contains("bothy sdn portmap set"),
        "{refused}"
    );
    b.assert_nothing_left();
    outside.delete_controller("c").expect("nobody needs it");
    outside.set_controller(controller("c", "lan"), None).expect("of another network");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    assert!(outside.services().expect("services").is_empty());
}

#[test]
fn what_the_configuration_says_is_not_changed_elsewhere_and_what_it_drops_is_swept() {
    let (b, id) = vnf_box(&Shape::with_vf());
    let outside = &b.core().outside;
    let config = || Settings { node: "box".into(), controllers: vec![controller("c", "wan")], maps: vec![map("*", "*")] };
    outside.configure(config());
    outside.start().expect("started");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    until("set", || !ports(&b).is_empty());
    for refused in [
        outside.set_controller(controller("c", "lan"), None),
        outside.set_controller(controller("d", "wan"), None),
        outside.delete_controller("c"),
        outside.set_map(map("*", "0000:10:00.0")),
        outside.delete_map("*"),
    ] {
        assert_eq!(refused.expect_err("refused").kind(), Kind::Conflict);
    }
    for missing in [outside.delete_controller("d"), outside.delete_map("d")] {
        assert_eq!(missing.expect_err("not there").kind(), Kind::NotFound);
    }
    outside.configure(Settings { node: "box".into(), ..Settings::default() });
    until("swept", || ports(&b).is_empty());
}

#[test]
fn a_switch_that_a_controller_is_set_again_without_is_cleared_and_the_others_are_left_alone() {
    let (b, id) = vnf_box(&Shape::with_vf());
    kept(&b);
    let outside = &b.core().outside;
    let with = |datapaths: &[&str]| {
        let draft = ControllerDraft {
            name: "c".into(),
            kind: "onos".into(),
            url: "http://127.0.0.1:1".into(),
            networks: vec!["wan".into()],
            datapaths: datapaths.iter().map(|d| (*d).into()).collect(),
            ..ControllerDraft::default()
        };
        draft.check().expect("a controller")
    };
    let far = |b: &TestBox| ports(b).iter().any(|p| p.contains("of of:2"));
    outside.set_controller(Controller { external: vec![at("of:2", "up")], ..with(&["of:1", "of:2"]) }, None).expect("set");
    let line = MappedDraft { pci: "0000:10:00.0".into(), switch_id: "of:1".into(), switch_port: "p7".into(), switch_mac: "".into() };
    let ports_of = PortMap { node: Pattern::of_node("bo*").expect("a node"), ports: vec![line.check().expect("a line")] };
    outside.set_map(ports_of).expect("set");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    until("set at both", || ports(&b).iter().any(|p| p == "p7 of of:1: VLAN 42 tagged") && far(&b));
    let before = b.sim.faults().count(Method::OutsideApply);
    outside.set_controller(with(&["of:1"]), None).expect("set again");
    until("cleared", || !far(&b));
    assert_eq!(ports(&b), ["p7 of of:1: VLAN 42 tagged"]);
    // What goes on was never taken away.
    until("active", || outside.services().expect("services").iter().all(|s| s.state == ServiceState::Active));
    assert_eq!(b.sim.faults().count(Method::OutsideApply) - before, 1, "at the other one only");
}

fn at(switch: &str, port: &str) -> OutsidePort {
    OutsidePort { switch: switch.into(), port: port.into() }
}
