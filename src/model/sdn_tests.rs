//! Unit tests of `sdn`.

use super::*;

fn ovsdb() -> ControllerDraft {
    ControllerDraft {
        name: "tor".into(),
        kind: "ovsdb".into(),
        url: "unix:/run/tor/db.sock".into(),
        networks: vec!["wan".into()],
        datapaths: vec!["br-tor".into()],
        ..ControllerDraft::default()
    }
}

fn faucet() -> ControllerDraft {
    ControllerDraft {
        kind: "faucet".into(),
        url: "http://127.0.0.1:9302".into(),
        file: "/etc/faucet/faucet.yaml".into(),
        user: "look".into(),
        secret: "faucet".into(),
        ..ovsdb()
    }
}

fn odl() -> ControllerDraft {
    ControllerDraft {
        kind: "opendaylight".into(),
        url: "https://odl.example:8443/rests".into(),
        user: "bothy".into(),
        secret: "odl".into(),
        ca: "/etc/bothy/odl.pem".into(),
        datapaths: vec!["openflow:1".into()],
        ..ovsdb()
    }
}

#[test]
fn an_api_over_http_is_told_where_and_how_and_a_password_stays_hidden() {
    let of = |d: ControllerDraft| d.check().err().unwrap_or_default().into_iter().map(|(m, _)| m).collect::<Vec<_>>();
    let none: [&str; 0] = [];
    let open = |url: &str| ControllerDraft { url: url.into(), user: "".into(), secret: "".into(), ca: "".into(), ..odl() };
    for (draft, wrong) in [
        (odl(), &none[..]),
        (open("http://192.0.2.1:8181"), &none),
        (ControllerDraft { url: "http://[::1]:8181".into(), ca: "".into(), ..odl() }, &none),
        (ControllerDraft { url: "http://127.0.0.1/rests".into(), ca: "".into(), ..odl() }, &none),
        (ControllerDraft { url: "http://192.0.2.1:8181".into(), ca: "".into(), ..odl() }, &["url"]),
        (ControllerDraft { url: "http://127.0.0.1.example:8181".into(), ca: "".into(), ..odl() }, &["url"]),
        (ControllerDraft { ca: "/etc/x.pem".into(), ..open("http://192.0.2.1:8181") }, &["ca"]),
        (ControllerDraft { ca: "x.pem".into(), ..odl() }, &["ca"]),
        (open("https://me:secret@odl"), &["url"]),
        (open("https://odl/rests?x"), &["url"]),
        (open("https:///rests"), &["url"]),
        (open("tcp:192.0.2.1:6640"), &["url"]),
        (ControllerDraft { user: "a:b".into(), file: "/f".into(), ..odl() }, &["file", "user"]),
        (ControllerDraft { secret: "".into(), ..odl() }, &["user"]),
        (ControllerDraft { datapaths: vec!["br-tor".into()], ..odl() }, &["datapaths"]),
        (ControllerDraft { datapaths: vec!["openflow:0x1".into()], ..odl() }, &["datapaths"]),
        (ControllerDraft { kind: "onos".into(), datapaths: vec!["s1".into()], ..odl() }, &["datapaths"]),
        (ControllerDraft { ca: "/x".into(), ..ovsdb() }, &["ca"]),
        (ControllerDraft { ca: "/x".into(), ..faucet() }, &["ca"]),
    ] {
        assert_eq!(of(draft.clone()), wrong, "{draft:?}");
    }
}

#[test]
fn a_controller_reads_back_as_it_was_written() {
    let tcp = ControllerDraft { url: "tcp:[::1]:6640".into(), ..ovsdb() };
    for draft in [ovsdb(), tcp, faucet(), ControllerDraft { pid_file: "/run/faucet.pid".into(), ..faucet() }, odl()] {
        assert_eq!(draft.clone().check().expect("sound").draft(), draft);
    }
    for kind in ["l2vpn", "onos"] {
        let draft = ControllerDraft { kind: kind.into(), datapaths: vec!["of:1".into()], ..odl() };
        assert_eq!(draft.clone().check().expect("sound").draft(), draft);
    }
}

#[test]
fn makes_are_known_by_osms_words_too() {
    for (theirs, ours) in [("odl", "opendaylight"), ("odlof", "opendaylight"), ("onosof", "onos"), ("ietfl2vpn", "l2vpn")] {
        let datapath = if ours == "opendaylight" { "openflow:1" } else { "of:1" };
        let draft = ControllerDraft { kind: theirs.into(), datapaths: vec![datapath.into()], ..odl() };
        assert_eq!(draft.check().expect("sound").speaks.word(), ours, "{theirs}");
        // And held to the names that switches of that make have.
        let other = ControllerDraft { kind: theirs.into(), datapaths: vec!["br".into()], ..odl() }.check();
        assert_eq!(other.is_ok(), ours == "l2vpn", "{theirs}");
    }
}

#[test]
fn every_fault_of_a_controller_is_told_at_once() {
    let bad = ControllerDraft {
        name: "a/b".into(),
        url: "tcp:switch:6640".into(),
        user: "me".into(),
        networks: vec!["wan".into(), "wan".into()],
        datapaths: Vec::new(),
        external: vec![OutsidePort { switch: "x".into(), port: "1".into() }],
        ..ovsdb()
    };
    let of = |d: ControllerDraft| d.check().expect_err("refused").into_iter().map(|(m, _)| m).collect::<Vec<_>>();
    assert_eq!(of(bad), ["name", "user", "url", "networks", "datapaths", "external"]);
    assert_eq!(of(ControllerDraft { kind: "floodlight".into(), ..ovsdb() }), ["type"]);
    assert_eq!(of(ControllerDraft { url: "http://192.0.2.1:9302".into(), ..faucet() }), ["url"], "not in the clear over a network");
    assert_eq!(of(ControllerDraft { secret: "".into(), file: "f".into(), ..faucet() }), ["file", "user"]);
}

#[test]
fn a_function_is_found_by_itself_then_by_its_card_and_the_closest_line_counts() {
    let line = |pci: &str, port: &str| {
        let draft = MappedDraft { pci: pci.into(), switch_id: "s".into(), switch_port: port.into(), switch_mac: "".into() };
        draft.check().expect("a line")
    };
    let map = |node: &str, ports| PortMap { node: Pattern::of_node(node).expect("a node"), ports };
    let maps = [
        map("edge-*", vec![line("0000:3b:00.0", "card"), line("*", "any"), line("3b:10.*", "vfs"), line("0000:3B:10.2", "two")]),
        map("other", vec![line("0000:3b:10.3", "elsewhere")]),
    ];
    let card: PciAddr = "3b:00.0".parse().expect("address");
    let at = |node: &str, function: &str| {
        mapped(&maps, node, function.parse().expect("address"), card).map(|p| p.at.port.to_string()).unwrap_or_default()
    };
    for (node, function, want) in
        [("edge-1", "3b:10.2", "two"), ("edge-1", "3b:10.3", "vfs"), ("edge-1", "1:3b:10.2", "any"), ("centre", "3b:10.2", "")]
    {
        assert_eq!(at(node, function), want, "{node} {function}");
    }
    let by_card = [map("*", vec![line("0000:3b:00.0", "card")])];
    let found = mapped(&by_card, "x", "3b:10.2".parse().expect("address"), card);
    assert_eq!(found.map(|p| p.at.port.as_str()), Some("card"), "a VF's frames leave by its card's port");
}

#[test]
fn a_line_of_a_map_that_is_no_line_says_why() {
    let bad = MappedDraft { pci: "eth0".into(), switch_id: "".into(), switch_port: "a b".into(), switch_mac: "x".into() };
    let members: Vec<_> = bad.check().expect_err("refused").into_iter().map(|(m, _)| m).collect();
    assert_eq!(members, ["pci", "switch_id", "switch_port", "switch_mac"]);
    let line = MappedDraft { pci: "3b:10.*".into(), switch_id: "s".into(), switch_port: "1".into(), switch_mac: "".into() };
    let twice = PortMap { node: Pattern::of_node("*").expect("any"), ports: vec![line.check().expect("one"), line.check().expect("two")] };
    assert_eq!(twice.check(), Err("'0000:3b:10.*' is named twice".into()));
}
