//! Kinds of links on segments written by hand.

use uuid::Uuid;

use super::*;
use crate::model::{
    id::{ProjectId, VnfId},
    segment::{Access, SegmentOwner, SegmentState},
    vnfd::{LinkProfile, LinkRates},
};

fn station(n: u128, access: Access) -> Station {
    Station {
        port: PortId(Uuid::from_u128(n << 100)),
        vnf: VnfId(Uuid::from_u128(1)),
        mac: MacAddr::planned(n as u32),
        addresses: vec![format!("10.0.0.{n}").parse().expect("ip")],
        hostname: format!("g{n}").into(),
        access,
    }
}
fn segment(profile: LinkProfile, host: bool, stations: Vec<Station>) -> Segment {
    Segment {
        id: SegmentId(Uuid::from_u128(7)),
        project: ProjectId::DEFAULT,
        owner: SegmentOwner::Vnf(VnfId(Uuid::from_u128(1))),
        link: "lan".into(),
        vlan: VlanId::MIN,
        profile,
        host: if host { vec!["10.0.0.254/24".parse().expect("cidr")] } else { vec![] },
        stations,
        state: SegmentState::Wanted,
    }
}
fn guests(n: u128) -> Vec<Station> {
    (1..=n).map(|n| station(n, Access { role: if n == 1 { CpRole::Root } else { CpRole::Leaf }, ..Access::default() })).collect()
}

#[test]
fn a_line_joins_two_ports_of_any_sort_and_no_other_number() {
    let line = |physical: Option<&str>| LinkProfile { kind: LinkKind::Eline, physical: physical.map(Into::into), ..LinkProfile::default() };
    for (guests_on_it, host, physical, fits) in [
        (2, false, None, true),
        (1, true, None, true),
        (1, false, Some("wan"), true),
        (0, true, Some("wan"), true),
        (0, false, None, false),
        (1, false, None, false),
        (3, false, None, false),
        (2, true, None, false),
        (2, false, Some("wan"), false),
    ] {
        let s = segment(line(physical), host, guests(guests_on_it));
        match check(&s) {
            Ok(()) => assert!(fits, "{guests_on_it} {host} {physical:?}"),
            Err(e) => {
                assert!(!fits, "{e}");
                let n = e.reasons().len();
                assert!(e.text().contains("lan") && e.text().contains("exactly two") && e.text().ends_with(&n.to_string()), "{e}");
            }
        }
        for kind in [LinkKind::Elan, LinkKind::Etree] {
            let other = LinkProfile { kind, ..line(physical) };
            assert!(check(&segment(other, host, guests(guests_on_it))).is_ok(), "{kind:?} takes any number");
        }
    }
}

#[test]
fn only_leaves_of_a_tree_are_isolated_and_a_tree_without_root_is_doubted() {
    for (kind, host, want) in [
        (LinkKind::Etree, true, vec![false, true, true, false]),
        (LinkKind::Elan, true, vec![false; 4]),
        (LinkKind::Eline, true, vec![false; 4]),
        (LinkKind::Etree, false, vec![false, true, true]),
    ] {
        let s = segment(LinkProfile { kind, ..LinkProfile::default() }, host, guests(3));
        let isolated: Vec<bool> = SwitchLink::of(&s).ports.iter().map(|p| p.isolated).collect();
        assert_eq!(isolated, want, "{kind:?}");
        assert_eq!(doubt(&s), None);
        let leaves = Segment { stations: s.stations[1..].to_vec(), ..s };
        assert_eq!(doubt(&leaves).is_some(), kind == LinkKind::Etree && !host);
    }
}

#[test]
fn rates_of_the_descriptor_come_to_the_ports_they_are_meant_for() {
    let (root, leaf) = (Some(8_000), Some(3_000));
    let access = |role, rate_limit| Access { role, rate_limit, ..Access::default() };
    let stations =
        vec![station(1, access(CpRole::Root, None)), station(2, access(CpRole::Leaf, None)), station(3, access(CpRole::Leaf, Some(1_000)))];
    for (kind, max_rate, whole, ports) in [
        (LinkKind::Eline, LinkRates { root, leaf }, None, [root, root, Some(1_000)]),
        (LinkKind::Etree, LinkRates { root, leaf }, None, [root, leaf, Some(1_000)]),
        (LinkKind::Elan, LinkRates { root, leaf }, root, [leaf, leaf, Some(1_000)]),
        (LinkKind::Elan, LinkRates::default(), None, [None, None, Some(1_000)]),
    ] {
        let link = SwitchLink::of(&segment(LinkProfile { kind, max_rate, ..LinkProfile::default() }, false, stations.clone()));
        assert_eq!((link.limit, link.ports.iter().map(|p| p.limit).collect::<Vec<_>>()), (whole, ports.to_vec()), "{kind:?}");
    }
}

#[test]
fn a_guard_holds_the_planned_addresses_and_a_trunk_s_network_is_on_its_nic() {
    let parent = PortId(Uuid::from_u128(9 << 100));
    let within = Some((parent, VlanId::MAX));
    let stations = vec![station(1, Access { guarded: true, ..Access::default() }), station(2, Access { within, ..Access::default() })];
    let link = SwitchLink::of(&segment(LinkProfile::default(), false, stations));
    let guard = Guard { mac: MacAddr::planned(1), addresses: vec!["10.0.0.1".parse().expect("ip")] };
    assert_eq!(link.ports[0].guard, Some(guard));
    assert_eq!(
        (&link.ports[1].guard, &link.ports[1].name),
        (&None, &crate::model::id::if_name(crate::model::id::IfKind::Guest, &parent.0))
    );
    assert_eq!(link.ports[1].at, PortAt::Trunk { station: PortId(Uuid::from_u128(2 << 100)), tag: VlanId::MAX });
}

#[test]
fn a_trunk_s_vlan_of_its_own_link_is_no_port_but_one_that_its_nic_carries() {
    let nic = PortId(Uuid::from_u128(1 << 100));
    let tag = |n: u16| VlanId::try_from(n).expect("tag");
    let vlan = |n: u128, of, t| station(n, Access { within: Some((of, tag(t))), ..Access::default() });
    let elsewhere = PortId(Uuid::from_u128(9 << 100));
    let stations = vec![station(1, Access::default()), vlan(2, nic, 10), vlan(3, nic, 20), vlan(4, elsewhere, 30)];
    let link = SwitchLink::of(&segment(LinkProfile { transparent: true, ..LinkProfile::default() }, false, stations));
    let shown: Vec<_> = link.ports.iter().map(|p| (p.at, p.only.clone())).collect();
    let other = PortAt::Trunk { station: PortId(Uuid::from_u128(4 << 100)), tag: tag(30) };
    assert_eq!(shown, [(PortAt::Guest, vec![tag(10), tag(20)]), (other, vec![])]);
}
