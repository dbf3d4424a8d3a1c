//! What a port of a switch becomes when boxes want VLANs there, and what it is again after them.

use super::*;

fn port(tag: Option<u16>, trunks: &[u16], mode: Option<&str>) -> Port {
    Port { name: "p".into(), tag, trunks: trunks.iter().copied().collect(), vlan_mode: mode.map(Into::into), ..Port::default() }
}

fn want(native: Option<u16>, tagged: &[u16]) -> PortVlans {
    let vlan = |v: u16| VlanId::try_from(v).expect("vlan");
    PortVlans { native: native.map(vlan), tagged: tagged.iter().map(|v| vlan(*v)).collect() }
}

fn become_(port: &Port, to: &Setting) -> Port {
    Port {
        tag: to.vlans.tag,
        trunks: to.vlans.trunks.clone(),
        vlan_mode: to.vlans.mode.clone(),
        external_ids: to.ids.clone(),
        ..port.clone()
    }
}

#[test]
fn what_is_wanted_comes_on_top_of_what_was_and_goes_again() {
    for (before, wanted, after) in [
        (port(None, &[], None), want(None, &[7, 8]), "trunks=0,7,8 mode=trunk"),
        (port(None, &[], None), want(Some(7), &[]), "tag=7 mode=access"),
        (port(None, &[], None), want(Some(7), &[8]), "tag=7 trunks=8 mode=native-untagged"),
        (port(Some(3), &[], Some("access")), want(None, &[7]), "tag=3 trunks=7 mode=native-untagged"),
        (port(Some(3), &[], None), want(Some(7), &[]), "tag=7 mode=access"),
        (port(None, &[3, 4], Some("trunk")), want(None, &[7]), "trunks=3,4,7 mode=trunk"),
        (port(Some(3), &[4], Some("native-tagged")), want(None, &[7]), "tag=3 trunks=4,7 mode=native-tagged"),
        (port(Some(7), &[4], Some("native-untagged")), want(None, &[7]), "tag=7 trunks=4 mode=native-untagged"),
    ] {
        let set = become_(&before, &settle(&before, "bothy-sdn:one", Some(&wanted)).expect("settled"));
        assert_eq!(Setting::of(&set).vlans.to_string(), after, "{before:?}");
        assert_eq!(settle(&set, "bothy-sdn:one", Some(&wanted)), Ok(Setting::of(&set)), "once more is the same");
        // Somebody takes it all off.
        let bare = Port { tag: None, trunks: BTreeSet::new(), vlan_mode: None, ..set.clone() };
        assert_eq!(settle(&bare, "bothy-sdn:one", Some(&wanted)), Ok(Setting::of(&set)), "drift");
        let gone = become_(&set, &settle(&set, "bothy-sdn:one", None).expect("settled"));
        assert_eq!(gone, before, "as it was");
    }
}

#[test]
fn boxes_that_share_a_port_have_a_part_of_it_each() {
    let first = port(Some(3), &[], None);
    let one = become_(&first, &settle(&first, "bothy-sdn:one", Some(&want(None, &[7]))).expect("settled"));
    let two = become_(&one, &settle(&one, "bothy-sdn:two", Some(&want(None, &[8]))).expect("settled"));
    assert_eq!(Setting::of(&two).vlans.to_string(), "tag=3 trunks=7,8 mode=native-untagged");
    let left = become_(&two, &settle(&two, "bothy-sdn:one", None).expect("settled"));
    assert_eq!(Setting::of(&left).vlans.to_string(), "tag=3 trunks=8 mode=native-untagged");
    let none = become_(&left, &settle(&left, "bothy-sdn:two", None).expect("settled"));
    assert_eq!(none, first);
    let own = become_(&first, &settle(&first, "bothy-sdn:one", Some(&want(Some(7), &[]))).expect("settled"));
    let why = settle(&own, "bothy-sdn:two", Some(&want(Some(8), &[]))).expect_err("one untagged VLAN");
    assert!(why.contains("7") && why.contains("8") && why.contains("two"), "{why}");
}

#[test]
fn what_cannot_be_told_apart_is_left_alone() {
    let tunnel = port(Some(3), &[], Some("dot1q-tunnel"));
    assert!(settle(&tunnel, "bothy-sdn:one", Some(&want(None, &[7]))).expect_err("refused").contains("dot1q-tunnel"));
    let others = Port { external_ids: [("site".to_owned(), "7".to_owned())].into(), ..port(None, &[5], None) };
    assert_eq!(settle(&others, "bothy-sdn:one", None), Ok(Setting::of(&others)), "nothing is wanted of it");
}
