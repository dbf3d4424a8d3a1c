//! Plans on mirrors written by hand.

use serde_json::{Value, json};

use super::*;
use crate::{
    model::{
        id::{IfKind, if_name},
        tunnel::TunnelDraft,
    },
    sdn::port::{PortKind, SwitchPort},
};

fn segment() -> SegmentId {
    SegmentId(Uuid::from_u128(0xfeed))
}
fn vlan(n: u16) -> VlanId {
    VlanId::try_from(n).expect("vlan")
}
fn host() -> Wanted {
    Wanted { mtu: None, ..Wanted::host(&if_name(IfKind::Host, &segment().0), segment(), vlan(7), None) }
}

/// Name, type, tag, peer, marked.
type PortOf<'a> = (&'a str, &'a str, u16, &'a str, bool);

/// A mirror with bridges of (name, ours) that hold ports.
fn mirror(bridges: &[(&str, bool, &[PortOf<'_>])]) -> Mirror {
    let mut n = 0u128;
    let mut id = || {
        n += 1;
        Uuid::from_u128(n).to_string()
    };
    let map = |pairs: &[(&str, &str)]| json!(["map", pairs.iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>()]);
    let none = || json!(["set", []]);
    let (mut b_rows, mut p_rows, mut i_rows, mut b_ids) = (serde_json::Map::new(), serde_json::Map::new(), serde_json::Map::new(), vec![]);
    for (name, ours, ports) in bridges {
        let mut port_ids: Vec<Value> = vec![];
        for (port, kind, tag, peer, marked) in *ports {
            let (p, i) = (id(), id());
            let seg = segment().to_string();
            let ids = if *marked { map(&[(OWNER, OWNER_PORT), (ID, &seg)]) } else { map(&[]) };
            let options = if peer.is_empty() { map(&[]) } else { map(&[("peer", peer)]) };
            i_rows.insert(
                i.clone(),
                json!({"new": {"name": port, "type": kind, "options": options, "mtu_request": none(), "error": none(), "ofport": 1,
                               "link_state": none(), "mac_in_use": none(), "bfd": map(&[]), "bfd_status": map(&[]),
                               "external_ids": map(&[])}}),
            );
            p_rows.insert(
                p.clone(),
                json!({"new": {"name": port, "interfaces": ["uuid", i], "tag": tag, "trunks": none(),
                               "vlan_mode": none(), "cvlans": none(), "protected": false, "bond_mode": none(), "lacp": none(),
                               "other_config": map(&[]), "external_ids": ids}}),
            );
            port_ids.push(json!(["uuid", p]));
        }
        let ids = if *ours { map(&[(OWNER, OWNER_BRIDGE)]) } else { map(&[]) };
        let b = id();
        b_rows.insert(
            b.clone(),
            json!({"new": {"name": name, "ports": ["set", port_ids], "datapath_type": "netdev", "fail_mode": none(), "external_ids": ids}}),
        );
        b_ids.push(json!(["uuid", b]));
    }
    let root = json!({"bridges": ["set", b_ids], "next_cfg": 1, "cur_cfg": 1, "datapath_types": none(), "dpdk_initialized": false,
                      "ovs_version": none(), "other_config": map(&[])});
    let mut m = Mirror::default();
    m.apply(&json!({"Open_vSwitch": {id(): {"new": root}}, "Bridge": b_rows, "Port": p_rows, "Interface": i_rows})).expect("readable");
    m
}

/// The operations of a plan as `op table` words, without comments and waits.
fn ops(t: Option<Txn>) -> Vec<String> {
    let Some(t) = t else { return vec!["nothing".into()] };
    let params = t.params();
    let words = |o: &Value| {
        let (op, table) = (o["op"].as_str()?, o["table"].as_str().unwrap_or("-"));
        let what = o["mutations"][0][0].as_str().map(|c| format!("{op} {table}.{c}")).unwrap_or(format!("{op} {table}"));
        (op != "comment" && op != "wait").then_some(what)
    };
    params.as_array().into_iter().flatten().skip(1).filter_map(words).collect()
}

fn ensure(m: &Mirror, w: &Wanted) -> Result<Vec<String>> {
    ensure_port(Txn::new("t"), m, "bothy0", w).map(ops)
}

#[test]
fn a_port_is_made_repaired_or_left_alone() {
    let w = host();
    let name = w.name.as_str();
    let cases: [(&str, &[_], &[&str]); 6] = [
        ("absent", &[], &["insert Interface", "insert Port", "mutate Bridge.ports"]),
        ("as wanted", &[(name, "internal", 7, "", true)], &["nothing"]),
        ("other tag", &[(name, "internal", 8, "", true)], &["update Port"]),
        ("without marks", &[(name, "internal", 7, "", false)], &["update Port"]),
        ("other type", &[(name, "", 7, "", true)], &["update Interface"]),
        ("a patch", &[(name, "patch", 9, "x", true)], &["update Port", "update Interface"]),
    ];
    for (what, ports, want) in cases {
        let m = mirror(&[("bothy0", true, ports)]);
        assert_eq!(ensure(&m, &w).expect(what), want, "{what}");
    }
}

#[test]
fn a_port_elsewhere_is_not_stolen() {
    let w = host();
    let m = mirror(&[("bothy0", true, &[]), ("br-lan", false, &[(w.name.as_str(), "internal", 7, "", true)])]);
    assert!(ensure(&m, &w).expect_err("elsewhere").text().contains("br-lan"));
    assert!(remove_port(&m, "bothy0", &w.name).is_err());
    assert!(ensure(&mirror(&[]), &w).expect_err("no bridge").is_transient());
}

#[test]
fn a_patch_translates_between_the_two_tags() {
    let near = if_name(IfKind::Patch, &segment().0);
    for (tag, transparent, want) in [
        (Some(vlan(100)), false, (Vlans::Access(7), Vlans::Access(100))),
        (None, false, (Vlans::Access(7), Vlans::Access(0))),
        (Some(vlan(100)), true, (Vlans::Tunnel(7), Vlans::Tunnel(100))),
        (None, true, (Vlans::Tunnel(7), Vlans::All)),
    ] {
        let [a, b] = Wanted::patch(&near, segment(), vlan(7), tag, transparent).expect("patch");
        assert_eq!((a.vlans, b.vlans), want);
        assert_eq!((a.kind, b.kind), (WantedKind::Patch { peer: b.name.clone() }, WantedKind::Patch { peer: near.clone() }));
        assert_ne!(a.name, b.name);
    }
    assert!(Wanted::patch(&if_name(IfKind::Host, &segment().0), segment(), vlan(7), None, false).is_err());
}

#[test]
fn a_guests_vhost_user_port_connects_to_its_socket_and_leaves_the_rest_to_its_link() {
    let w = Wanted::vhost_user(&if_name(IfKind::Guest, &segment().0), segment(), vlan(7), "/run/bothy/vhost/bg1".into());
    assert_eq!(
        (w.type_name(), w.options()),
        ("dpdkvhostuserclient", Ids::from([("vhost-server-path".into(), "/run/bothy/vhost/bg1".into())]))
    );
    let made = ensure_port(Txn::new("test"), &mirror(&[("bothy0", true, &[])]), "bothy0", &w).expect("planned").expect("something to do");
    let text = format!("{made:?}");
    assert!(text.contains("dpdkvhostuserclient") && text.contains("vhost-server-path") && text.contains("/run/bothy/vhost/bg1"), "{text}");
    // The link gave it another tag and took it apart from others: that is not undone.
    let m = mirror(&[("bothy0", true, &[(w.name.as_str(), "dpdkvhostuserclient", 9, "", true)])]);
    let (_, row) = m.port(w.name.as_str()).expect("there");
    assert!(is_as(row, &w));
}

#[test]
fn removing_a_patch_takes_the_far_end_and_our_empty_bridge_but_nothing_else() {
    let near = if_name(IfKind::Patch, &segment().0);
    let far = far_name(&near).expect("far");
    let (n, f) = (near.as_str(), far.as_str());
    let here = (n, "patch", 7, f, true);
    let there = (f, "patch", 0, n, true);
    let uplink = ("eth9", "", 0, "", false);
    let cases: [(&str, Mirror, &[&str]); 6] = [
        ("administrator's bridge", mirror(&[("bothy0", true, &[here]), ("br", false, &[uplink, there])]), &["mutate Bridge.ports"; 2]),
        (
            "our bridge, last",
            mirror(&[("bothy0", true, &[here]), ("bx", true, &[uplink, there])]),
            &["mutate Bridge.ports", "mutate Open_vSwitch.bridges"],
        ),
        (
            "our bridge, not last",
            mirror(&[("bothy0", true, &[here]), ("bx", true, &[uplink, there, ("bqother", "patch", 0, "bpother", true)])]),
            &["mutate Bridge.ports"; 2],
        ),
        ("far end left over", mirror(&[("bothy0", true, &[]), ("br", false, &[there])]), &["mutate Bridge.ports"]),
        ("someone's patch", mirror(&[("bothy0", true, &[here]), ("br", false, &[(f, "patch", 0, n, false)])]), &["mutate Bridge.ports"]),
        ("nothing left", mirror(&[("bothy0", true, &[])]), &["nothing"]),
    ];
    for (what, m, want) in cases {
        assert_eq!(ops(remove_port(&m, "bothy0", &near).expect(what)), want, "{what}");
    }
}

#[test]
fn a_remote_end_is_asked_for_where_its_tunnel_says_so() {
    let t = |bfd: bool| {
        let draft = TunnelDraft {
            name: "hq".into(),
            kind: "vxlan".into(),
            remotes: vec!["192.0.2.7".into()],
            bfd: Some(bfd),
            ..Default::default()
        };
        draft.check().expect("a tunnel")
    };
    let kind = PortKind::Tunnel { tunnel: "hq".into(), vni: Some(70), transparent: false };
    let port = SwitchPort { name: if_name(IfKind::Patch, &segment().0), segment: segment(), vlan: vlan(7), kind };
    let wanted = |bfd: bool| tunnel::wanted(&port, &t(bfd), 70, false).expect("ends");
    let name = port.name.as_str();
    let there = |bfd: Value, status: Value| {
        let mut m = mirror(&[("bothy0", true, &[(name, "vxlan", 7, "", true)])]);
        let (id, had) = m.interfaces.iter().map(|(id, i)| (*id, i.clone())).find(|(_, i)| i.name == name).expect("its interface");
        let read =
            |v: &Value| v.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
        let options = wanted(false)[0].options();
        m.interfaces.insert(id, Interface { options, bfd: read(&bfd), bfd_status: read(&status), ..had });
        m
    };
    let (off, on) = (json!({}), json!({"enable": "true", "bfd_remote_dst_mac": "00:23:20:00:00:01"}));
    let same = |m: &Mirror, bfd: bool| ensure(m, &wanted(bfd)[0]).expect("planned") == ["nothing"];
    let none = json!({});
    assert!(same(&there(off.clone(), none.clone()), false) && same(&there(on.clone(), none.clone()), true));
    let earlier = json!({"enable": "true"});
    assert!(!same(&there(earlier, none.clone()), true), "an earlier release took the guests' for the remote end's");
    assert!(!same(&there(off, none.clone()), true) && !same(&there(on.clone(), none.clone()), false));
    let made = ensure_port(Txn::new("t"), &mirror(&[("bothy0", true, &[])]), "bothy0", &wanted(true)[0]).expect("planned").expect("new");
    assert!(
        made.params().to_string().contains(r#""bfd":["map",[["enable","true"],["bfd_remote_dst_mac","00:23:20:00:00:01"]]]"#),
        "{:?}",
        made.params()
    );

    let seen = |bfd: bool, status: Value| tunnel::remotes(&there(on.clone(), status), &port, &t(bfd), &wanted(bfd));
    let silent = |status: Value| seen(true, status).into_iter().filter(|e| e.known).map(|e| e.silent).collect::<Vec<_>>();
    assert_eq!(silent(none.clone()), [], "not begun yet");
    let [end] = &seen(true, none)[..] else { panic!("it is to be heard of") };
    assert!(!end.known && end.silent.is_none());
    assert_eq!(silent(json!({"state": "up", "diagnostic": "No Diagnostic"})), [None]);
    let down = json!({"state": "down", "diagnostic": "Control Detection Time Expired"});
    assert_eq!(silent(down.clone()), [Some("BFD is down: Control Detection Time Expired".to_owned())]);
    assert_eq!(silent(json!({"state": "init", "diagnostic": "No Diagnostic"})), [Some("BFD is init".to_owned())]);
    assert_eq!(seen(false, down), [], "nobody asks");
}
