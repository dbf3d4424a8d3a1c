//! OpenDaylight's and ONOS' connectors, by the same tests: rules are made, kept and taken away at servers written
//! from their public documents, and an Open vSwitch that has those rules carries packets.

use std::{path::PathBuf, sync::Arc};

use bothy::{
    controllers::Controllers,
    model::{
        id::ProjectId,
        sdn::{Controller, ControllerDraft},
        secret::Secret,
        time::Stamp,
    },
    sdn::connector::{Connector, Connectors, Desired, Opening, PortState},
    store::Durability,
};

use super::{
    l2vpn::{carries, port, settle},
    lab::*,
    odl::Odl,
    onos::Onos,
    stand::{Api, PASSWORD, Stand, Trouble, USER},
};
use crate::kit::{eventually, sh};

/// What goes wrong with the rules that a controller has.
#[derive(Debug, Clone, Copy)]
pub enum Spoil {
    All,
    One,
    /// A rule does something else.
    Action,
}

/// One switch with ports 1 to 6, `eth1` to `eth6`, and one rule of somebody's.
pub trait Twin: Api {
    const KIND: &'static str;
    const SWITCH: &'static str;
    /// The rules of everybody, as `ovs-ofctl` reads them; those of boxes only.
    fn rules(&self) -> Vec<String>;
    fn spoil(&mut self, how: Spoil);
    /// The switch is connected; it takes rules; a port has a link.
    fn connected(&mut self, is: bool);
    fn takes(&mut self, is: bool);
    fn link(&mut self, number: u32, up: bool);
    /// Rules go to this Open vSwitch from now on.
    fn drive(&mut self, switch: Switch);
    fn theirs(&self) -> usize;
}

/// An Open vSwitch, by its management socket.
pub struct Switch {
    pub socket: PathBuf,
}

impl Switch {
    /// These rules, and no others.
    pub fn has(&self, rules: &[String]) {
        let file = self.socket.with_file_name("rules");
        std::fs::write(&file, rules.join("\n") + "\n").expect("written");
        let target = format!("unix:{}", self.socket.display());
        sh(&["ovs-ofctl", "-O", "OpenFlow13", "replace-flows", &target, &file.to_string_lossy()]);
    }
}

fn controller<T: Twin>(s: &Stand<T>, path: &str) -> Controller {
    let draft = ControllerDraft {
        name: "c".into(),
        kind: T::KIND.into(),
        url: format!("{}{path}", s.url()).into(),
        user: USER.into(),
        secret: "sdn".into(),
        networks: vec!["wan".into()],
        datapaths: vec![T::SWITCH.into()],
        ..ControllerDraft::default()
    };
    draft.check().expect("a controller")
}

fn open_as<T: Twin>(owner: &str, s: &Stand<T>) -> Arc<dyn Connector> {
    let with = Opening { owner: owner.into(), secret: Some(PASSWORD.into()), news: Box::new(|| {}) };
    Controllers.open(&controller(s, ""), with).expect("opened")
}

fn open<T: Twin>(s: &Stand<T>) -> Arc<dyn Connector> {
    open_as("edge", s)
}

fn three<T: Twin>() -> Desired {
    [
        (port(T::SWITCH, "1"), carries(Some(7), &[])),
        (port(T::SWITCH, "eth2"), carries(None, &[7, 8])),
        (port(T::SWITCH, "3"), carries(None, &[7])),
    ]
    .into()
}

fn made_and_taken_away<T: Twin>(twin: T) {
    let s = Stand::start(twin);
    let c = open(&s);
    let d = three::<T>();
    let dry = c.look(&d).expect("looked at");
    assert_eq!((dry.differs.len(), dry.sends.len()), (3, 4), "{dry:#?}");
    assert!(dry.sends.iter().all(|x| x.url.starts_with(&s.url()) && !x.body.is_empty()) && !format!("{dry:?}").contains(PASSWORD));
    assert!(s.log().is_empty() && s.with(|t| t.rules().is_empty()), "a dry run changes nothing");

    let look = settle(&*c, &d);
    assert!(look.ports.values().all(|p| *p == PortState::Up), "{look:#?}");
    let mut rules = s.with(|t| t.rules());
    rules.iter_mut().for_each(|r| *r = r.split_once(',').expect("a priority").1.to_owned());
    rules.sort();
    assert_eq!(
        rules,
        [
            "in_port=1,vlan_tci=0x0000/0x1fff,actions=push_vlan:0x8100,set_field:4103->vlan_vid,output:2,output:3",
            "in_port=2,dl_vlan=7,actions=output:3,pop_vlan,output:1",
            "in_port=2,dl_vlan=8,actions=drop",
            "in_port=3,dl_vlan=7,actions=output:2,pop_vlan,output:1",
        ]
    );
    s.log();
    settle(&*c, &d);
    assert!(s.log().is_empty(), "once more changes nothing");

    let mut other = d.clone();
    other.remove(&port(T::SWITCH, "3"));
    other.insert(port(T::SWITCH, "eth4"), carries(None, &[8]));
    settle(&*c, &other);
    // Three that are there get other ports, one is new; one goes, and goes last.
    let log = s.log();
    assert_eq!(log.len(), 5, "{log:?}");
    assert!(log[4].starts_with("DELETE") && log[4].ends_with(" 204") || log[4].ends_with(" 200"), "{log:?}");
    assert_eq!(s.with(|t| t.rules().len()), 4);
    settle(&*c, &Desired::new());
    assert_eq!(s.with(|t| (t.rules().len(), t.theirs())), (0, 1), "what was somebody's is as it was");
}

fn put_right<T: Twin>(twin: T) {
    let s = Stand::start(twin);
    let c = open(&s);
    let d = three::<T>();
    settle(&*c, &d);
    let whole = s.with(|t| t.rules());
    s.log();
    for (how, changes) in [(Spoil::All, 4), (Spoil::One, 1), (Spoil::Action, 1)] {
        s.with(|t| t.spoil(how));
        let look = c.look(&d).expect("looked at");
        assert_eq!(look.sends.len(), changes, "{how:?}");
        settle(&*c, &d);
        assert_eq!(s.log().len(), changes, "{how:?}");
        let (mut is, mut was) = (s.with(|t| t.rules()), whole.clone());
        is.sort();
        was.sort();
        assert_eq!(is, was, "{how:?}");
    }
    for n in 0..4 {
        s.with(|t| t.spoil(Spoil::All));
        s.trouble(Trouble::FailsAfter(n));
        let why = c.apply(&d).expect_err("it breaks off").detail();
        assert!(why.contains("500 (<h1>out of order</h1>)"), "{why}");
        assert_eq!(s.with(|t| t.rules().len()), n);
        s.trouble(Trouble::None);
        settle(&*c, &d);
    }
}

fn told_how_it_does<T: Twin>(twin: T, refusal: &'static str) {
    let s = Stand::start(twin);
    let c = open(&s);
    let mut d = three::<T>();
    d.insert(port(T::SWITCH, "eth9"), carries(None, &[7]));
    d.insert(port("elsewhere", "1"), carries(None, &[7]));
    s.trouble(Trouble::Refuses(400, refusal));
    c.apply(&d).expect("each was refused");
    let look = c.look(&d).expect("looked at");
    let at = |p: &str| port(T::SWITCH, p);
    assert!(
        matches!(&look.ports[&at("1")], PortState::Fault(why) if why.contains("refused: 400 (") && why.contains("no such rule")),
        "{look:#?}"
    );
    assert!(matches!(&look.ports[&at("eth9")], PortState::Fault(why) if why.contains("has no port eth9")), "{look:#?}");
    assert!(matches!(&look.ports[&port("elsewhere", "1")], PortState::Fault(why) if why.contains("none of the controller's datapaths")));
    s.trouble(Trouble::None);
    settle(&*c, &d);

    s.with(|t| t.takes(false));
    let look = settle(&*c, &d);
    assert!(matches!(&look.ports[&at("1")], PortState::Down(why) if why.contains(" yet")), "{look:#?}");
    s.with(|t| {
        t.takes(true);
        t.link(2, false);
    });
    let look = settle(&*c, &d);
    assert_eq!((&look.ports[&at("1")], &look.ports[&at("eth2")]), (&PortState::Up, &PortState::Down("no link".into())));
    s.with(|t| t.connected(false));
    let look = c.look(&d).expect("looked at");
    assert!(matches!(&look.ports[&at("1")], PortState::Down(why) if why.contains("is not connected to")), "{look:#?}");
    assert!(look.differs.is_empty(), "nothing is taken away for that: {look:#?}");

    s.trouble(Trouble::Closed);
    // The connection that is kept is still good: another one is not.
    let said = open(&s).look(&d).expect_err("not to be asked").detail();
    assert!(said.contains(&s.url()) && said.contains("the connection broke"), "{said}");
    s.trouble(Trouble::None);
    let with = Opening { owner: "edge".into(), secret: Some("guessed".into()), news: Box::new(|| {}) };
    let said = Controllers.open(&controller(&s, ""), with).expect("opened").look(&d).expect_err("refused").detail();
    assert!(said.contains("bothy secret set sdn") && !said.contains("guessed"), "{said}");
}

fn shared<T: Twin>(twin: T) {
    let s = Stand::start(twin);
    let (one, two) = (open_as("one", &s), open_as("two", &s));
    let at = |p: &str| port(T::SWITCH, p);
    let a: Desired = [(at("1"), carries(Some(7), &[])), (at("6"), carries(None, &[7]))].into();
    let b: Desired = [(at("2"), carries(Some(7), &[])), (at("6"), carries(None, &[7]))].into();
    for _ in 0..2 {
        one.apply(&a).expect("applied");
        two.apply(&b).expect("applied");
    }
    settle(&*one, &a);
    settle(&*two, &b);
    let of = |port: &str| {
        let mut all: Vec<String> = s.with(|t| t.rules()).into_iter().filter(|r| r.contains(&format!("in_port={port},"))).collect();
        all.iter_mut().for_each(|r| *r = r.split_once("actions=").expect("actions").1.to_owned());
        all
    };
    assert_eq!(of("6"), ["pop_vlan,output:1,output:2", "pop_vlan,output:1,output:2"], "the uplink knows both boxes, from each");
    assert_eq!(of("1"), ["output:2,push_vlan:0x8100,set_field:4103->vlan_vid,output:6"]);
    settle(&*one, &Desired::new());
    settle(&*two, &b);
    assert_eq!(of("6"), ["pop_vlan,output:2"]);
    settle(&*two, &Desired::new());
    assert_eq!(s.with(|t| (t.rules().len(), t.theirs())), (0, 1));
}

const ODL_REFUSAL: &str =
    r#"{"errors":{"error":[{"error-type":"application","error-tag":"invalid-value","error-message":"no such rule"}]}}"#;
const ONOS_REFUSAL: &str = r#"{"code":400,"message":"no such rule"}"#;

#[test]
fn rules_are_made_repeated_changed_and_taken_away() {
    made_and_taken_away(Odl::new(&["rests"]));
    made_and_taken_away(Odl::new(&["restconf"]));
    made_and_taken_away(Onos::new());
}

#[test]
fn rules_that_are_lost_spoilt_or_half_written_are_put_right() {
    put_right(Odl::new(&["rests"]));
    put_right(Odl::new(&["restconf"]));
    put_right(Onos::new());
}

#[test]
fn what_a_controller_refuses_or_a_switch_lacks_is_told_by_port() {
    told_how_it_does(Odl::new(&["rests"]), ODL_REFUSAL);
    told_how_it_does(Odl::new(&["restconf"]), ODL_REFUSAL);
    told_how_it_does(Onos::new(), ONOS_REFUSAL);
}

#[test]
fn boxes_share_a_switch_at_its_controller() {
    shared(Odl::new(&["rests"]));
    shared(Onos::new());
}

#[test]
fn the_tree_of_opendaylight_is_asked_for_or_told() {
    let d = three::<Odl>();
    let both = Stand::start(Odl::new(&["rests", "restconf"]));
    assert!(open(&both).look(&d).expect("looked at").sends[0].url.contains("/rests/data/"), "the newer one of two");
    let with = || Opening { owner: "edge".into(), secret: Some(PASSWORD.into()), news: Box::new(|| {}) };
    let told = Controllers.open(&controller(&both, "/restconf"), with()).expect("opened");
    assert!(told.look(&d).expect("looked at").sends[0].url.contains("/restconf/config/"));
    let none = Stand::start(Odl::new(&[]));
    let said = open(&none).look(&d).expect_err("it is none").detail();
    assert!(said.contains(&none.url()) && said.contains("odl-openflowplugin-flow-services-rest"), "{said}");
    let onos = Stand::start(Onos::new());
    let elsewhere =
        Controllers.open(&controller(&onos, "/api"), with()).expect("opened").look(&three::<Onos>()).expect_err("not there").detail();
    assert!(elsewhere.contains("/api/devices/") && elsewhere.contains("is url the address of this API?"), "{elsewhere}");
}

const FUNCTIONS: [Function; 4] = [
    Function { n: 1, port: "1", link: 1, vf: false },
    Function { n: 2, port: "eth2", link: 1, vf: false },
    Function { n: 3, port: "3", link: 2, vf: false },
    Function { n: 4, port: "4", link: 1, vf: true },
];

/// With packets, and with the keeper of services as in the daemon.
fn carried<T: Twin>(twin: T) {
    let Some(lab) = Lab::start() else { return };
    lab.ovs.vsctl(&["set", "bridge", SWITCH, "fail_mode=secure", "protocols=OpenFlow10,OpenFlow13"]);
    let hosts = [lab.host(1, "p1"), lab.host(2, "p2"), lab.host(3, "p3")];
    let vf = lab.vf_host(4, "p4", 100);
    let s = Stand::start(twin);
    s.with(|t| t.drive(Switch { socket: lab.ovs.socket().with_file_name(format!("{SWITCH}.mgmt")) }));
    lab.outside.configure(lab.settings_at(T::SWITCH, controller(&s, ""), &FUNCTIONS));
    lab.accept(&[(1, 100), (2, 200)], &FUNCTIONS);
    eventually("its password is missed", || lab.states() == ["link1 ERROR", "link2 ERROR"] && lab.why().contains("bothy secret set sdn"));
    let key = Secret::key_of(ProjectId::DEFAULT, "sdn");
    let sealed = lab.store.sealer().seal(key.as_bytes(), PASSWORD.as_bytes()).expect("sealed");
    let secret = Secret { project: ProjectId::DEFAULT, name: "sdn".into(), sealed, created: Stamp(0) };
    lab.store.write(Durability::Barrier, |tx| tx.put(&secret)).expect("written");
    eventually("active", || lab.states() == ["link1 ACTIVE", "link2 ACTIVE"]);
    eventually("one link", || reaches(&hosts[0], 2) && reaches(&hosts[0], 4) && reaches(&vf, 2));
    assert!(!reaches(&hosts[0], 3) && !reaches(&vf, 3), "two links");

    // It looks every ten seconds, or when it is told something.
    let poke = || lab.outside.configure(lab.settings_at(T::SWITCH, controller(&s, ""), &FUNCTIONS));
    s.with(|t| t.spoil(Spoil::All));
    poke();
    eventually("put right", || s.with(|t| t.rules().len()) == 4 && reaches(&hosts[0], 2) && reaches(&vf, 1));
    s.with(|t| t.link(2, false));
    poke();
    eventually("down", || lab.states() == ["link1 DOWN", "link2 ACTIVE"] && lab.why().contains("no link"));
    lab.settle();
    eventually("taken away", || s.with(|t| t.rules().is_empty()) && lab.states().is_empty());
    assert!(!reaches(&hosts[0], 4));
}

#[test]
fn opendaylights_rules_carry_the_links_of_functions() {
    carried(Odl::new(&["rests"]));
}

#[test]
fn onos_rules_carry_the_links_of_functions() {
    carried(Onos::new());
}
