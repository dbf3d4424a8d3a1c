//! Links through tunnels over `Sim`: made with their VNF, as long as comes through whole, nobody else's out there.

use std::cell::Cell;

use crate::{
    model::{
        alarm::{Alarm, Cause, Part},
        health::ConditionState,
        id::VnfId,
        segment::Segment,
        tunnel::{RemoteEnd, Tunnel},
        vnf::Stopping,
        vnfd::{LinkProfile, Vnfd},
    },
    node::{
        conditions::conditions,
        kit::{Shape, TestBox, ask_vnf, tunnel, vnfd},
    },
    ops::watch::{Look, Monitor},
    sdn::port::{Fabric as _, PortKind},
    sim::SimConfig,
};

fn led_out(id: &str, vni: u16) -> Vnfd {
    let mut d = vnfd(id, &Shape::default());
    d.flavours[0].links[0].profile = LinkProfile { physical: Some("hq".into()), segmentation: Some(vni), ..LinkProfile::default() };
    d
}

fn unheard(e: RemoteEnd) -> RemoteEnd {
    RemoteEnd { known: false, silent: None, ..e }
}

fn link(b: &TestBox) -> Segment {
    b.store().list::<Segment>().expect("read").into_iter().find(|s| s.link == "int").expect("a link")
}

#[test]
fn a_link_through_a_tunnel_comes_and_goes_with_its_vnf_and_its_vni_is_its_own() {
    let b = TestBox::of(SimConfig { tunnels: vec![tunnel()], ..SimConfig::default() });
    b.onboard(led_out("first", 60_000));
    b.onboard(led_out("second", 60_000));
    b.onboard(led_out("third", 7));
    let up = |name: &str| -> VnfId {
        let id = b.create_vnf(name);
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        b.assert_vnf_up(id);
        id
    };
    let first = up("first");
    let s = link(&b);
    let kind = PortKind::Tunnel { tunnel: "hq".into(), vni: Some(60_000), transparent: false };
    assert_eq!(b.sim.switch_port(&s.patch_port()).map(|p| (p.segment, p.kind)), Some((s.id, kind)));
    let guest = b.vnf(first).body.expect("a body").vnfcs[0].id;
    let nics = b.sim.domain(guest).expect("defined").nics;
    assert_eq!(nics.iter().filter(|n| n.vlan == s.vlan).map(|n| n.mtu).collect::<Vec<_>>(), [Some(1450)], "the guest is told what fits");

    let second = b.create_vnf("second");
    let f = b.core().vnfm().instantiate(second, &ask_vnf()).expect_err("the same VNI");
    assert!(f.detail().contains("link int cannot lead through tunnel 'hq'") && f.detail().contains("VNI 60000"), "{f}");
    let third = up("third");
    for id in [first, third] {
        let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
        b.assert_state(op, "COMPLETED");
    }
    b.assert_nothing_left();
    b.assert_state(b.instantiate_vnf(second), "COMPLETED");
}

#[test]
fn a_remote_end_that_is_watched_and_silent_is_an_alarm_until_it_answers() {
    let hq = Tunnel { bfd: true, ..tunnel() };
    let remote = hq.remotes[0];
    let b = TestBox::of(SimConfig { tunnels: vec![hq], ..SimConfig::default() });
    b.onboard(led_out("vnf", 60_000));
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let mut monitor = Monitor::new(b.store().clone(), b.core().alarms.clone());
    let known = Cell::new(true);
    let mut look = || {
        let remotes = b.sim.remotes().map(|all| all.into_iter().map(|e| if known.get() { e } else { unheard(e) }).collect());
        monitor.look(&Look { remotes: remotes.ok(), ..Look::default() }).expect("looked");
    };
    let standing = || {
        let all = b.store().list::<Alarm>().expect("read");
        all.into_iter().filter(|a| a.cleared.is_none()).map(|a| (a.cause, a.part, a.details)).collect::<Vec<_>>()
    };
    let condition = || conditions(b.core()).into_iter().find(|c| c.name == "tunnels");
    look();
    assert_eq!((standing(), condition().map(|c| c.state)), (Vec::new(), Some(ConditionState::Ok)));

    b.sim.answers(remote, false);
    look();
    assert_eq!(standing(), [], "it may be a moment");
    look();
    let text = "tunnel hq: its remote end 192.0.2.7 does not answer (BFD is down), on 1 of 1 links".to_owned();
    assert_eq!(standing(), [(Cause::LinkDown, Part::Named("hq 192.0.2.7".into()), vec![text])]);
    // The switch begins anew, and has not heard of anybody yet.
    known.set(false);
    look();
    assert_eq!(standing().len(), 1, "nothing says that it answers");
    known.set(true);
    let said = condition().expect("shown");
    assert_eq!(
        (said.state, said.text.as_str()),
        (ConditionState::Failed, "remote end 192.0.2.7 of tunnel hq does not answer: BFD is down")
    );
    b.sim.answers(remote, true);
    look();
    assert_eq!(standing(), []);

    // Nor is it missed once no link is there.
    b.sim.answers(remote, false);
    look();
    look();
    assert_eq!(standing().len(), 1);
    b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    look();
    assert_eq!((standing(), condition().map(|c| c.state)), (Vec::new(), None));
}

#[test]
fn nothing_is_asked_of_remote_ends_that_do_not_speak_bfd() {
    let b = TestBox::of(SimConfig { tunnels: vec![tunnel()], ..SimConfig::default() });
    b.onboard(led_out("vnf", 60_000));
    let id = b.create_vnf("vnf");
    b.sim.answers(tunnel().remotes[0], false);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    assert!(b.sim.remotes().expect("asked").is_empty() && conditions(b.core()).iter().all(|c| c.name != "tunnels"));
}
