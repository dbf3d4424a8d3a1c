//! The connector that speaks to the switch's database itself.

use bothy::{
    controllers::Controllers,
    model::{
        net::VlanId,
        sdn::{ControllerDraft, OutsidePort, SwitchAddr},
    },
    sdn::connector::{Connector, Connectors, Desired, Opening, PortState, PortVlans},
};

use super::lab::*;
use crate::kit::eventually;

fn controller(url: String) -> bothy::model::sdn::Controller {
    let draft = ControllerDraft {
        name: "c".into(),
        kind: "ovsdb".into(),
        url: url.into(),
        networks: vec!["wan".into()],
        datapaths: vec![SWITCH.into()],
        ..ControllerDraft::default()
    };
    draft.check().expect("a controller")
}

const FUNCTIONS: [Function; 4] = [
    Function { n: 1, port: "p1", link: 1, vf: false },
    Function { n: 2, port: "p2", link: 1, vf: false },
    Function { n: 3, port: "p3", link: 2, vf: false },
    Function { n: 4, port: "p4", link: 1, vf: true },
];

#[test]
fn functions_of_a_link_reach_each_other_and_no_other_and_drift_is_repaired() {
    let Some(mut lab) = Lab::start() else { return };
    let hosts = [lab.host(1, "p1"), lab.host(2, "p2"), lab.host(3, "p3")];
    let vf = lab.vf_host(4, "p4", 100);
    // Port 3 was in a VLAN of somebody's before.
    lab.ovs.vsctl(&["set", "port", "p3", "tag=7"]);
    let before: Vec<String> = ["p1", "p2", "p3", "p4"].map(|p| lab.vlans(p)).into();
    lab.outside.configure(lab.settings(controller(format!("unix:{}", lab.ovs.socket().display())), &FUNCTIONS));
    assert!(lab.states().is_empty());

    lab.accept(&[(1, 100), (2, 200)], &FUNCTIONS);
    eventually("active", || lab.states() == ["link1 ACTIVE", "link2 ACTIVE"]);
    assert_eq!(lab.vlans("p4"), "[] [0, 100] trunk");
    eventually("one link", || reaches(&hosts[0], 2) && reaches(&hosts[0], 4) && reaches(&vf, 2));
    assert!(!reaches(&hosts[0], 3) && !reaches(&vf, 3) && !reaches(&hosts[2], 1), "two links");

    for (what, spoil) in [
        ("a VLAN", &["set", "port", "p2", "tag=55"] as &[&str]),
        ("all that says what passes", &["clear", "port", "p4", "trunks", "--", "clear", "port", "p2", "tag", "vlan_mode"]),
        ("what is written of it too", &["clear", "port", "p1", "tag", "vlan_mode", "external_ids"]),
    ] {
        lab.ovs.vsctl(spoil);
        eventually(what, || {
            lab.vlans("p1").starts_with("100 ") && lab.vlans("p2").starts_with("100 ") && lab.vlans("p4").contains("[0, 100]")
        });
        eventually(what, || reaches(&hosts[0], 2) && reaches(&vf, 2));
    }

    // A port that is gone is an error, and back again is set again.
    lab.ovs.vsctl(&["del-port", "p2"]);
    eventually("an error", || lab.states()[0] == "link1 ERROR" && lab.why().contains("no port p2"));
    lab.ovs.vsctl(&["add-port", SWITCH, "p2"]);
    eventually("set again", || lab.states()[0] == "link1 ACTIVE" && reaches(&hosts[0], 2));

    // The database dies while a VLAN is wanted to go.
    lab.ovs.kill_database();
    eventually("an error", || lab.states()[0] == "link1 ERROR" && lab.why().contains("does not answer"));
    lab.settle();
    lab.ovs.start_database();
    eventually("as it was", || ["p1", "p2", "p3", "p4"].map(|p| lab.vlans(p)).as_slice() == before);
    assert!(lab.states().is_empty() && !lab.ovs.vsctl(&["list", "port"]).contains("bothy-sdn"));
}

fn want(native: Option<u16>, tagged: &[u16]) -> PortVlans {
    let vlan = |v: u16| VlanId::try_from(v).expect("vlan");
    PortVlans { native: native.map(vlan), tagged: tagged.iter().map(|v| vlan(*v)).collect() }
}

#[test]
fn two_boxes_share_a_port_over_tcp_and_each_takes_back_its_own() {
    let Some(lab) = Lab::start() else { return };
    let _hosts = [lab.host(1, "p1"), lab.host(2, "p2")];
    crate::kit::sh(&[
        "ovs-appctl",
        "-t",
        &lab.ovs.socket().with_file_name("db.ctl").to_string_lossy(),
        "ovsdb-server/add-remote",
        "ptcp:6640:127.0.0.1",
    ]);
    let at = SwitchAddr::Tcp("127.0.0.1:6640".parse().expect("an address"));
    let open = |owner: &str| {
        let with = Opening { owner: owner.into(), secret: None, news: Box::new(|| {}) };
        Controllers.open(&controller(at.to_string()), with).expect("opened")
    };
    let (one, two) = (open("one"), open("two"));
    let port = |name: &str| OutsidePort { switch: SWITCH.into(), port: name.into() };
    let first: Desired = [(port("p1"), want(None, &[7])), (port("p9"), want(None, &[7]))].into();
    let second: Desired = [(port("p1"), want(None, &[8]))].into();
    let look = one.look(&first).expect("looked at");
    assert_eq!(look.differs.len(), 1, "a look changes nothing: {look:?}");
    assert!(matches!(&look.ports[&port("p9")], PortState::Fault(why) if why.contains("no port p9")), "{look:?}");
    std::thread::scope(|s| {
        s.spawn(|| one.apply(&first).expect("applied"));
        s.spawn(|| two.apply(&second).expect("applied"));
    });
    assert_eq!(lab.vlans("p1"), "[] [0, 7, 8] trunk");
    let quiet = |c: &dyn Connector, d: &Desired| c.look(d).expect("looked at").differs.is_empty();
    eventually("both are content", || quiet(&*one, &first) && quiet(&*two, &second));
    one.apply(&Desired::new()).expect("applied");
    assert_eq!(lab.vlans("p1"), "[] [0, 8] trunk");
    two.apply(&Desired::new()).expect("applied");
    assert_eq!(lab.vlans("p1"), "[] [] []");
}
