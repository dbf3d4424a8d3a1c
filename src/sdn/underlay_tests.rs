//! Services, what they come to at the ports, and their states, on boxes written by hand.

use uuid::Uuid;

use super::*;
use crate::{
    model::{
        sdn::{ControllerDraft, MappedDraft, Pattern},
        segment::SegmentOwner,
        vnfd::LinkProfile,
    },
    sdn::connector::Difference,
};

fn segment(n: u128, vlan: Option<u16>) -> Segment {
    Segment {
        id: SegmentId(Uuid::from_u128(n)),
        project: ProjectId::DEFAULT,
        owner: SegmentOwner::Vnf(VnfId(Uuid::from_u128(1))),
        link: format!("link{n}").into(),
        vlan: VlanId::MIN,
        profile: LinkProfile { physical: Some("wan".into()), segmentation: vlan, ..LinkProfile::default() },
        host: Vec::new(),
        stations: Vec::new(),
        state: SegmentState::Wanted,
    }
}

fn nic(segment: u128, function: &str, whole: bool) -> Nic {
    Nic {
        vnf: VnfId(Uuid::from_u128(1)),
        name: format!("v/{function}"),
        segment: SegmentId(Uuid::from_u128(segment)),
        function: function.parse().expect("address"),
        card: "3b:00.0".parse().expect("address"),
        whole,
    }
}

fn port(name: &str) -> OutsidePort {
    OutsidePort { switch: "tor".into(), port: name.into() }
}

fn underlay(external: Vec<OutsidePort>) -> Underlay {
    let draft = ControllerDraft {
        name: "c".into(),
        kind: "ovsdb".into(),
        url: "unix:/db".into(),
        networks: vec!["wan".into()],
        datapaths: vec!["tor".into()],
        external,
        ..ControllerDraft::default()
    };
    let line = |pci: &str, switch: &str, port: &str| {
        let draft = MappedDraft { pci: pci.into(), switch_id: switch.into(), switch_port: port.into(), switch_mac: "".into() };
        draft.check().expect("a line")
    };
    let ports = vec![line("3b:00.0", "tor", "p0"), line("3c:00.*", "tor", "p1"), line("3d:00.0", "other", "p2")];
    let maps = vec![PortMap { node: Pattern::of_node("*").expect("any"), ports }];
    Underlay { node: "box".into(), controllers: vec![draft.check().expect("a controller")], maps }
}

fn text(d: &Desired) -> Vec<String> {
    d.iter().map(|(at, p)| format!("{at}: {p}")).collect()
}

#[test]
fn functions_of_one_card_share_its_port_and_a_whole_one_has_no_tag() {
    let segments = [segment(1, Some(7)), segment(2, Some(8)), segment(3, Some(9))];
    let nics = [nic(1, "3b:10.0", false), nic(1, "3b:10.1", false), nic(2, "3b:10.2", false), nic(3, "3c:00.0", true)];
    let all = underlay(vec![]).services(&segments, &nics);
    assert_eq!(text(&desired("c", &all)), ["p0 of tor: VLAN 7,8 tagged", "p1 of tor: VLAN 9 untagged"]);
    let all = underlay(vec![port("up")]).services(&segments, &nics);
    assert_eq!(text(&desired("c", &all))[2], "up of tor: VLAN 7,8,9 tagged");
    assert_eq!(desired("another", &all), Desired::new());
}

#[test]
fn what_wants_nothing_of_a_controller_gets_nothing() {
    let (mut leaving, mut elsewhere) = (segment(2, Some(8)), segment(3, Some(9)));
    leaving.state = SegmentState::Leaving;
    elsewhere.profile.physical = Some("lan".into());
    let segments = [segment(1, None), leaving, elsewhere, segment(4, Some(10))];
    let nics = [nic(1, "3b:10.0", false), nic(2, "3b:10.1", false), nic(3, "3b:10.2", false)];
    let all = underlay(vec![port("up")]).services(&segments, &nics);
    assert_eq!(all.iter().map(|s| s.link.as_str()).collect::<Vec<_>>(), ["link1", "link2"], "the others have no such NIC or no controller");
    assert_eq!(desired("c", &all), Desired::new());
    let states: Vec<_> = all.iter().map(|s| state(s, None)).collect();
    assert!(states[0].0 == ServiceState::Inactive && states[0].1.contains("no VLAN"), "{states:?}");
    assert!(states[1].0 == ServiceState::Inactive && states[1].1.contains("taken away"), "{states:?}");
}

#[test]
fn a_function_in_no_map_is_an_error_only_where_a_controller_has_the_network() {
    let u = underlay(vec![]);
    let (function, card) = ("3e:10.0".parse().expect("address"), "3e:00.0".parse().expect("address"));
    assert_eq!(u.port_of("lan", function, card).expect("nobody has its switches"), None);
    let why = u.port_of("wan", function, card).expect_err("refused");
    for part in ["controller c", "'wan'", "0000:3e:10.0", "'box'", "bothy sdn portmap set"] {
        assert!(why.text().contains(part), "{part}: {why}");
    }
    let why = u.port_of("wan", "3d:00.0".parse().expect("address"), card).expect_err("not its switch");
    assert!(why.text().contains("switch other"), "{why}");
    let mut stray = nic(1, "3e:10.0", false);
    stray.card = card;
    let all = u.services(&[segment(1, Some(7))], &[stray, nic(1, "3b:10.0", false)]);
    assert_eq!(text(&desired("c", &all)), ["p0 of tor: VLAN 7 tagged"], "the rest of it is set");
    assert_eq!(state(&all[0], None).0, ServiceState::Error);
}

#[test]
fn of_two_untagged_vlans_of_one_port_the_second_is_refused() {
    let segments = [segment(1, Some(7)), segment(2, Some(8))];
    let all = underlay(vec![]).services(&segments, &[nic(1, "3c:00.0", true), nic(2, "3c:00.1", true)]);
    assert_eq!(text(&desired("c", &all)), ["p1 of tor: VLAN 7 untagged"]);
    assert!(all[0].faults.is_empty() && all[1].faults[0].contains("VLAN 7 of link link1"), "{all:?}");
}

#[test]
fn the_worst_port_makes_the_state_of_a_service() {
    let all = underlay(vec![port("up")]).services(&[segment(1, Some(7))], &[nic(1, "3b:10.0", false)]);
    let look = |p0: Option<PortState>, up: PortState, differs: &[&str]| {
        let differs = differs.iter().map(|n| Difference { at: port(n), is: "nothing".into(), wanted: "VLAN 7 tagged".into() }).collect();
        let ports = p0.map(|s| (port("p0"), s)).into_iter().chain([(port("up"), up)]).collect();
        Ok(Look { differs, ports, sends: Vec::new() })
    };
    let (down, fault) = (|| PortState::Down("no link".into()), || PortState::Fault("no such port".into()));
    use PortState::Up;
    for (seen, want, why) in [
        (None, ServiceState::Inactive, "not asked yet"),
        (Some(Err("it is away".into())), ServiceState::Error, "it is away"),
        (Some(look(Some(Up), Up, &[])), ServiceState::Active, ""),
        (Some(look(Some(Up), Up, &["other"])), ServiceState::Active, ""),
        (Some(look(None, Up, &[])), ServiceState::Inactive, "not looked at"),
        (Some(look(Some(Up), Up, &["p0"])), ServiceState::Inactive, "has nothing, and shall have VLAN 7 tagged"),
        (Some(look(Some(Up), down(), &[])), ServiceState::Down, "port up of tor: no link"),
        (Some(look(Some(fault()), down(), &["up"])), ServiceState::Error, "no such port"),
    ] {
        let (is, text) = state(&all[0], seen.as_ref());
        assert!(is == want && text.contains(why), "{seen:?}: {is:?} {text}");
    }
}
