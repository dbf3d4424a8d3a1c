//! Templates and the files made by default, case by case.

use smol_str::SmolStr;
use uuid::Uuid;

use super::*;
use crate::model::{
    error::Kind,
    vnfd::{Day0File, MediaBus, Medium},
};

fn nic(place: u32, cp: &str, networks: Vec<NicNetwork>) -> Nic {
    Nic { cp: cp.into(), link: format_smolstr!("{cp}-link"), mac: MacAddr::planned(place), mtu: None, networks, within: None }
}
fn net(address: &str, gateway: Option<&str>) -> NicNetwork {
    let gateway = gateway.map(|g| g.parse().expect("gateway"));
    NicNetwork { address: address.parse().expect("cidr"), gateway, dns: vec![], dhcp: false }
}
fn dhcp(address: &str) -> NicNetwork {
    NicNetwork { dhcp: true, ..net(address, Some("10.0.0.1")) }
}
fn guest<'a>(ports: Vec<Nic>, params: &'a Params, ssh_keys: &'a [String], secrets: &'a [(SmolStr, String)]) -> Guest<'a> {
    Guest {
        vnf: VnfId(Uuid::from_u128(1)),
        vnf_name: "edge-fw",
        vdu: "fw",
        vdu_name: "firewall",
        vnfc: VnfcId(Uuid::from_u128(2)),
        index: 0,
        hostname: "edge-fw-0",
        ports,
        params,
        ssh_keys,
        secrets,
    }
}
fn day0(medium: Medium, files: &[(&str, &str)]) -> Day0 {
    let files =
        files.iter().map(|(path, text)| Day0File { path: (*path).into(), source: Day0Source::Inline((*text).into()), template: true });
    let defaults = vec![("mode".into(), "routed".into()), ("hint".into(), "from the descriptor".into())];
    Day0 { medium, bus: MediaBus::Cdrom, label: None, files: files.collect(), defaults }
}
fn no_artefact(path: &str) -> Result<Vec<u8>> {
    Err(Fault::not_found(format!("the package has no file {path}")))
}

fn params() -> Params {
    vec![
        ("hint".into(), Param::Text("from the request".into())),
        ("motd".into(), Param::Text("it's \"fine\": <b> & {{ no }}\nsecond".into())),
        ("ports".into(), Param::Text("hidden by ours".into())),
        ("count".into(), Param::Number("3".into())),
        ("ratio".into(), Param::Number("0.5".into())),
        ("huge".into(), Param::Number("123456789012345678901234567890".into())),
        ("on".into(), Param::Bool(true)),
        ("vlans".into(), Param::List(vec![Param::Number("10".into()), Param::Number("20".into())])),
        ("peer".into(), Param::Map(vec![("asn".into(), Param::Number("65001".into()))])),
    ]
}

fn one(template: &str) -> Result<String> {
    let params = params();
    let secrets = [("psk".into(), "s3cret".to_owned())];
    let ports = vec![
        nic(1, "wan", vec![net("192.0.2.4/31", Some("192.0.2.5")), net("2001:db8::2/64", Some("fe80::1"))]),
        Nic { mtu: Some(9000), ..nic(2, "lan-1", vec![]) },
    ];
    let guest = guest(ports, &params, &[], &secrets);
    let files = render(&day0(Medium::Iso, &[("conf/user-data", template)]), &guest, &no_artefact)?;
    Ok(String::from_utf8(files.into_iter().next().expect("one file").content).expect("text"))
}

#[test]
fn templates_see_the_guest_and_its_parameters() {
    for (template, want) in [
        ("{{ hostname }} {{ vnf.name }} {{ vdu.id }} {{ vdu.name }} {{ vnfc.index }}", "edge-fw-0 edge-fw fw firewall 0"),
        ("{{ vnf.id }}", "00000000-0000-0000-0000-000000000001"),
        ("{{ ports.wan.mac }} {{ ports.wan.name }} {{ ports.wan.link }}", "52:54:00:00:00:01 eth0 wan-link"),
        ("{{ ports.wan.address }} {{ ports.wan.prefix }} {{ ports.wan.netmask }}", "192.0.2.4 31 255.255.255.254"),
        ("{{ ports.wan.cidr }} via {{ ports.wan.gateway }}", "192.0.2.4/31 via 192.0.2.5"),
        ("{{ ports.wan.addresses | join(' ') }}", "192.0.2.4/31 2001:db8::2/64"),
        ("{{ ports['lan-1'].mtu }} {{ nics[1].name }} {{ nics | length }}", "9000 eth1 2"),
        ("{{ ports.wan.mtu | default(1500) }}", "1500"),
        ("{{ mode }} {{ hint }} {{ params.hint }}", "routed from the request from the request"),
        ("{{ params.ports }}", "hidden by ours"),
        ("{{ count + 1 }} {{ ratio * 2 }} {{ huge }}", "4 1.0 123456789012345678901234567890"),
        ("{% if on %}yes{% endif %}", "yes"),
        ("{% for v in vlans %}{{ v }}{{ ',' if not loop.last }}{% endfor %}", "10,20"),
        ("{{ peer.asn }}", "65001"),
        ("{% if missing is defined %}x{% else %}y{% endif %}", "y"),
        ("motd: {{ motd | json }}", "motd: \"it's \\\"fine\\\": <b> & {{ no }}\\nsecond\""),
        ("{{ 'a:b' | b64encode }}", "YTpi"),
        ("no escaping: {{ motd }}", "no escaping: it's \"fine\": <b> & {{ no }}\nsecond"),
        ("last newline stays\n", "last newline stays\n"),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("psk={{ secrets.psk }}", "psk=s3cret"),
    ] {
        assert_eq!(one(template).unwrap_or_else(|e| panic!("{template}: {e}")), want, "{template}");
    }
}

#[test]
fn a_missing_variable_is_named_with_its_place_and_the_nearest_known() {
    for (template, says) in [
        ("a\nb\n{{ hostnam }}", "conf/user-data, line 3: 'hostnam' is not given; did you mean 'hostname'?"),
        ("{{ params.motdd }}", "line 1: 'params.motdd' is not given; did you mean 'params.motd'?"),
        ("{{ params.zzz | upper }}", "'params.zzz' is not given; known here: count, hint, huge, mode, motd, on, peer, ports, ratio, vlans"),
        ("{{ ports.wan.adress }}", "'ports.wan.adress' is not given; did you mean 'ports.wan.address'?"),
        ("{{ ports['lan-2'].mac }}", "'ports.lan-2' is not given; did you mean 'ports.lan-1'?"),
        ("{{ ports['lan-1'].address }}", "'ports.lan-1.address' is not given"),
        ("{{ ports.wan.mtu }}", "'ports.wan.mtu' is not given"),
        ("{{ secrets.pks }}", "'secrets.pks' is not given; did you mean 'secrets.psk'?"),
        ("x {% for v in vlan %}{% endfor %}", "'vlan' is not given; did you mean 'vlans'?"),
        ("{% if onn %}{% endif %}", "'onn' is not given"),
        ("{{ peer.as.number }}", "'peer.as' is not given"),
        ("{{ unclosed", "conf/user-data, line 1: syntax error"),
        ("{{ 'x' | nofilter }}", "line 1: unknown filter: filter nofilter is unknown"),
        ("{% include 'etc/passwd' %}", "line 1"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}.{% endfor %}{% endfor %}", "does not come to an end"),
    ] {
        let e = one(template).expect_err(template);
        assert_eq!((e.kind(), e.text()), (Kind::Invalid, "day-0 data of VDU fw cannot be made"), "{template}");
        assert!(e.reasons()[0].contains(says), "{template}: {}", e.reasons()[0]);
        assert!(!e.detail().contains("s3cret"), "{e}");
    }
}

#[test]
fn every_file_with_a_fault_is_named() {
    let params = params();
    let mut day0 = day0(Medium::Iso, &[("a", "{{ nope }}"), ("b", "fine"), ("c", "{{ never }}")]);
    let lost = Day0File { path: "d".into(), source: Day0Source::Artifact("Files/lost".into()), template: false };
    day0.files.push(lost);
    let e = render(&day0, &guest(vec![], &params, &[], &[]), &no_artefact).err().expect("faults");
    let starts: Vec<_> = e.reasons().iter().map(|r| r.split([',', ':']).next().unwrap_or_default()).collect();
    assert_eq!(starts, ["a", "c", "Files/lost"], "{e}");
}

#[test]
fn a_package_that_cannot_be_read_now_is_tried_again() {
    let params = params();
    let mut day0 = day0(Medium::Iso, &[]);
    day0.files.push(Day0File { path: "d".into(), source: Day0Source::Artifact("Files/x".into()), template: false });
    let away = |_: &str| Err(Fault::transient("the disk does not answer"));
    let e = render(&day0, &guest(vec![], &params, &[], &[]), &away).err().expect("fault");
    assert!(e.is_transient(), "{e:?}");
}

#[test]
fn what_is_not_a_template_is_copied_byte_for_byte() {
    let params = params();
    let content = b"\xff\xfe{{ not rendered }}".to_vec();
    let mut day0 = day0(Medium::Iso, &[]);
    let file = Day0File { path: "license.bin".into(), source: Day0Source::Artifact("Files/license".into()), template: false };
    day0.files.push(file.clone());
    let artefact = |path: &str| if path == "Files/license" { Ok(content.clone()) } else { no_artefact(path) };
    let guest = guest(vec![], &params, &[], &[]);
    let got = render(&day0, &guest, &artefact).expect("rendered");
    assert_eq!((got[0].path.as_str(), &got[0].content), ("license.bin", &content));
    day0.files[0] = Day0File { template: true, ..file };
    let e = render(&day0, &guest, &artefact).err().expect("no text");
    assert!(e.detail().contains("UTF-8"), "{e}");
}

#[test]
fn a_parameter_that_refers_to_a_secret_is_its_value_for_the_guest_alone() {
    let reference = |name: &str| Param::Map(vec![("secret".into(), Param::Text(name.into()))]);
    let user = Param::Map(vec![("name".into(), Param::Text("ada".into())), ("password".into(), reference("psk"))]);
    let params = vec![
        ("wan_psk".into(), reference("psk")),
        ("users".into(), Param::List(vec![user])),
        ("site".into(), Param::Text("7".into())),
        ("gone".into(), reference("nobody")),
    ];
    let secrets = [("psk".into(), "s3cret".to_owned())];
    let guest = guest(vec![], &params, &[], &secrets);
    let all = [
        ("open", "{{ site }}"),
        ("a", "{{ wan_psk }}"),
        ("b", "{{ params.wan_psk }}"),
        ("c", "{% for u in users %}{{ u.name }}:{{ u.password }}{% endfor %}"),
    ];
    let all = day0(Medium::Iso, &all);
    let files = render(&all, &guest, &no_artefact).expect("rendered");
    let shown = |files: &[MediumFile]| files.iter().map(|f| String::from_utf8_lossy(&f.content).into_owned()).collect::<Vec<_>>();
    assert_eq!(shown(&files), ["7", "s3cret", "s3cret", "ada:s3cret"]);
    assert_eq!(files.iter().map(|f| f.secret).collect::<Vec<_>>(), [false, true, true, true]);
    let masked = shown(&preview(&all, &guest, &no_artefact).expect("rendered")).join(" ");
    assert!(!masked.contains("s3cret") && masked.contains("ada:***"), "{masked}");
    let fault = render(&day0(Medium::Iso, &[("a", "{{ gone }}")]), &guest, &no_artefact).map(drop).expect_err("a secret that is not there");
    assert!(fault.detail().contains("gone"), "{}", fault.detail());
}

#[test]
fn secrets_mark_their_file_and_never_show_in_a_preview() {
    let params = params();
    let secrets = [("psk".into(), "s3cret".to_owned())];
    let guest = guest(vec![], &params, &[], &secrets);
    let day0 = day0(Medium::Iso, &[("open", "plain"), ("key", "{% set s = secrets %}{{ s.psk }}")]);
    let files = render(&day0, &guest, &no_artefact).expect("rendered");
    assert_eq!(files.iter().map(|f| f.secret).collect::<Vec<_>>(), [false, true]);
    assert_eq!(files[1].content, b"s3cret");
    let shown = preview(&day0, &guest, &no_artefact).expect("preview");
    assert_eq!(shown[1].content, b"********");
}

#[test]
fn onboarding_finds_templates_that_cannot_be_read() {
    let e = check(&day0(Medium::NoCloud, &[("a", "{% if x %}"), ("b", "{{ unknown }}"), ("c", "{{ }")]), &no_artefact).expect_err("two");
    assert_eq!(e.reasons().len(), 2, "{e}");
}

fn made(medium: Medium, guest: &Guest) -> BTreeMap<String, String> {
    let files = render(&day0(medium, &[]), guest, &no_artefact).expect("rendered");
    files.into_iter().map(|f| (f.path, String::from_utf8(f.content).expect("text"))).collect()
}

#[test]
fn a_network_of_a_trunk_is_under_its_tag_of_its_nic() {
    let trunk = || {
        let voice = Nic {
            within: Some(("lan".into(), 10.try_into().expect("tag"))),
            mtu: Some(1400),
            ..nic(2, "voice", vec![net("10.0.10.2/24", Some("10.0.10.1"))])
        };
        let bare = Nic { within: Some(("lan".into(), 20.try_into().expect("tag"))), ..nic(2, "bare", vec![]) };
        vec![nic(1, "wan", vec![dhcp("10.0.0.9/24")]), nic(2, "lan", vec![]), voice, bare]
    };
    let of = |medium, path: &str| {
        let params = vec![];
        let files = made(medium, &guest(trunk(), &params, &[], &[]));
        files.into_iter().find(|(p, _)| p == path).expect("made").1
    };
    let net: serde_json::Value = serde_saphyr::from_str(&of(Medium::NoCloud, "network-config")).expect("YAML");
    let nics: Vec<&String> = net["ethernets"].as_object().expect("NICs").keys().collect();
    assert_eq!(nics, ["eth0", "eth1"]);
    let voice = &net["vlans"]["eth1.10"];
    assert_eq!(
        (&voice["id"], &voice["link"], &voice["mtu"], &voice["addresses"][0]),
        (&10.into(), &"eth1".into(), &1400.into(), &"10.0.10.2/24".into())
    );
    assert!(voice["match"].is_null() && voice["set-name"].is_null() && net["vlans"]["eth1.20"]["optional"] == true, "{net}");

    let data: serde_json::Value = serde_json::from_str(&of(Medium::ConfigDrive, "openstack/latest/network_data.json")).expect("JSON");
    let vlan = &data["links"][2];
    assert_eq!(
        (&vlan["type"], &vlan["vlan_id"], &vlan["vlan_link"], &vlan["id"]),
        (&"vlan".into(), &10.into(), &"eth1".into(), &"eth1.10".into())
    );
    assert!(vlan["vlan_mac_address"] == data["links"][1]["ethernet_mac_address"] && vlan["ethernet_mac_address"].is_null(), "{data}");
    assert_eq!(data["networks"][1]["link"], "eth1.10");

    let told = |template: &str| {
        let params = vec![];
        let files = render(&day0(Medium::Iso, &[("x", template)]), &guest(trunk(), &params, &[], &[]), &no_artefact).expect("rendered");
        String::from_utf8(files.into_iter().next().expect("one").content).expect("text")
    };
    assert_eq!(
        told("{{ ports.voice.name }} {{ ports.voice.tag }} {{ ports.voice.address }} {{ nics | length }}"),
        "eth1.10 10 10.0.10.2 2"
    );
}

#[test]
fn a_nocloud_seed_is_whole_without_a_word_from_the_descriptor() {
    let keys = ["ssh-ed25519 AAAA admin@box".to_owned()];
    let params = vec![];
    let dns = vec!["9.9.9.9".parse().expect("ip")];
    let ports = vec![
        Nic {
            mtu: Some(1400),
            ..nic(1, "wan", vec![NicNetwork { dns, ..net("192.0.2.4/31", Some("192.0.2.5")) }, net("2001:db8::2/64", Some("2001:db8::1"))])
        },
        nic(2, "mgmt", vec![dhcp("10.0.0.9/24")]),
        nic(3, "loop", vec![net("198.51.100.7/32", Some("203.0.113.1"))]),
        nic(4, "tap", vec![]),
    ];
    let files = made(Medium::NoCloud, &guest(ports, &params, &keys, &[]));
    insta::assert_snapshot!(files.iter().map(|(p, t)| format!("=== {p}\n{t}")).collect::<String>());
}

#[test]
fn a_config_drive_is_whole_without_a_word_from_the_descriptor() {
    let keys = ["ssh-ed25519 AAAA admin@box".to_owned()];
    let params = vec![];
    let dns = vec!["9.9.9.9".parse().expect("ip")];
    let ports = vec![
        nic(1, "wan", vec![NicNetwork { dns, ..net("192.0.2.4/31", Some("192.0.2.5")) }, net("2001:db8::2/64", Some("2001:db8::1"))]),
        nic(2, "mgmt", vec![dhcp("10.0.0.9/24")]),
    ];
    let files = made(Medium::ConfigDrive, &guest(ports, &params, &keys, &[]));
    insta::assert_snapshot!(files.iter().map(|(p, t)| format!("=== {p}\n{t}\n")).collect::<String>());
}

#[test]
fn what_the_descriptor_brings_is_not_made_twice() {
    let params = params();
    let guest = guest(vec![], &params, &[], &[]);
    for (medium, own, count) in [
        (Medium::NoCloud, "user-data", 3),
        (Medium::NoCloud, "extra.conf", 4),
        (Medium::ConfigDrive, "openstack/latest/user_data", 3),
        (Medium::Iso, "user-data", 1),
        (Medium::Fat, "startup.cfg", 1),
    ] {
        let files = render(&day0(medium, &[(own, "mine")]), &guest, &no_artefact).expect("rendered");
        assert_eq!(files.len(), count, "{medium:?} {own}");
        assert_eq!(files.iter().filter(|f| f.path == own).map(|f| &f.content[..]).collect::<Vec<_>>(), [b"mine"]);
    }
}

#[test]
fn values_that_look_like_yaml_stay_text() {
    for name in ["yes", "1234", "0x10", "null", "a: b", "- x", "1e3", "#x"] {
        let params = vec![];
        let plain = guest(vec![], &params, &[], &[]);
        let files = made(Medium::NoCloud, &Guest { hostname: name, ..plain });
        let read: BTreeMap<String, String> = serde_saphyr::from_str(&files["meta-data"]).expect("yaml");
        assert_eq!(read["local-hostname"], name);
        assert!(!files["meta-data"].contains(&format!("local-hostname: {name}\n")), "quoted: {}", files["meta-data"]);
    }
}

#[test]
fn a_nic_knows_its_network_by_its_address() {
    let profile = LinkProfile {
        mtu: Some(1400),
        layer3: vec![
            crate::model::vnfd::Layer3 {
                cidr: "192.0.2.4/31".parse().expect("cidr"),
                gateway: Some("192.0.2.4".parse().expect("ip")),
                dhcp: false,
                pools: vec![],
                dns: vec![],
            },
            crate::model::vnfd::Layer3 {
                cidr: "2001:db8::/64".parse().expect("cidr"),
                gateway: None,
                dhcp: true,
                pools: vec![],
                dns: vec![],
            },
        ],
        ..LinkProfile::default()
    };
    let port = vnf::Port {
        id: crate::model::id::PortId(Uuid::from_u128(5)),
        cp: "wan".into(),
        ext_cp: None,
        segment: crate::model::id::SegmentId(Uuid::from_u128(6)),
        ifname: "bgx".parse().expect("name"),
        mac: MacAddr::planned(1),
        addresses: ["192.0.2.5", "2001:db8::9", "198.51.100.1"].map(|a| a.parse().expect("ip")).to_vec(),
    };
    let got = Nic::new(&port, "wan-link", &profile, None);
    let shown: Vec<_> = got.networks.iter().map(|n| format!("{} {:?} {}", n.address, n.gateway, n.dhcp)).collect();
    assert_eq!(shown, ["192.0.2.5/31 Some(192.0.2.4) false", "2001:db8::9/64 None true", "198.51.100.1/32 None false"]);
    assert_eq!((got.mtu, Nic::new(&port, "l", &profile, Some(9000)).mtu), (Some(1400), Some(9000)));
}
