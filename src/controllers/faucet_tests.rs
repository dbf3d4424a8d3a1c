//! Faucet's file with ours in it and without, and what its metrics say.

use super::*;

const THEIRS: &str = "\
version: 2
vlans:
  office:
    vid: 100
acls:
  guard:
    - rule:
        actions:
          allow: 1
dps:
  sw1:
    dp_id: 0x1
    hardware: \"Open vSwitch\"
    interfaces:
      1:
        native_vlan: office
        acls_in:
          - guard
      uplink:
        number: 7
        tagged_vlans:
          - office
  sw2:
    dp_id: 2
";

fn want(native: Option<u16>, tagged: &[u16]) -> PortVlans {
    let vlan = |v: u16| VlanId::try_from(v).expect("vlan");
    PortVlans { native: native.map(vlan), tagged: tagged.iter().map(|v| vlan(*v)).collect() }
}
fn port(switch: &str, port: &str) -> OutsidePort {
    OutsidePort { switch: switch.into(), port: port.into() }
}
fn render(text: &str, desired: &[(OutsidePort, PortVlans)]) -> Rendered {
    let allowed = ["sw1".into(), "sw2".into()];
    Rendered::of(&Node::parse(text).expect("YAML"), &allowed, &desired.iter().cloned().collect(), "box")
}

#[test]
fn ours_come_into_the_file_and_go_again_and_theirs_stay() {
    let desired = [
        (port("sw1", "1"), want(None, &[7])),
        (port("sw1", "7"), want(None, &[7, 8])),
        (port("sw1", "3"), want(Some(8), &[])),
        (port("sw2", "4"), want(Some(7), &[])),
    ];
    let new = render(THEIRS, &desired);
    assert_eq!(new.faults, BTreeMap::new());
    let text = new.tree.write();
    for part in [
        "  bothy-7:\n    vid: 7\n    description: \"links of guests of box\"\n",
        "      1:\n        native_vlan: office\n        acls_in:\n          - guard\n        tagged_vlans:\n          - \"bothy-7\"\n",
        "      uplink:\n        number: 7\n        tagged_vlans:\n          - office\n          - \"bothy-7\"\n          - \"bothy-8\"\n",
        "      3:\n        description: \"made by bothy\"\n        native_vlan: \"bothy-8\"\n",
        "  sw2:\n    dp_id: 2\n    interfaces:\n      4:\n",
        "    dp_id: 0x1\n    hardware: \"Open vSwitch\"\n",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert_eq!(render(&text, &desired).tree.write(), text, "once more is the same");
    let fewer = render(&text, &desired[..1]).tree;
    assert_eq!(ours(&fewer).len(), 1);
    assert!(!fewer.write().contains("bothy-8"));
    let none = render(&text, &[]).tree.write();
    assert_eq!(none.replace("    interfaces: {}\n", ""), THEIRS);
}

#[test]
fn what_is_in_the_way_is_said_for_its_port_and_the_rest_is_done() {
    let new = render(
        THEIRS,
        &[
            (port("sw1", "1"), want(Some(7), &[])),
            (port("sw1", "2"), want(None, &[100])),
            (port("sw1", "eth9"), want(None, &[7])),
            (port("sw3", "1"), want(None, &[7])),
            (port("sw1", "uplink"), want(None, &[7])),
        ],
    );
    let why = |p: &str, s: &str| new.faults.get(&port(s, p)).cloned().unwrap_or_default();
    assert!(why("1", "sw1").contains("untagged VLAN 'office'"), "{}", why("1", "sw1"));
    assert!(why("2", "sw1").contains("VLAN 100 is 'office'"), "{}", why("2", "sw1"));
    assert!(why("eth9", "sw1").contains("no interface eth9"), "{}", why("eth9", "sw1"));
    assert!(why("1", "sw3").contains("none of the controller's datapaths"), "{}", why("1", "sw3"));
    assert_eq!(ours(&new.tree), [(port("sw1", "uplink"), want(None, &[7]))].into());
    let gone = Rendered::of(&Node::parse("vlans:\n").expect("YAML"), &["sw1".into()], &[(port("sw1", "1"), want(None, &[7]))].into(), "b");
    assert!(gone.faults[&port("sw1", "1")].contains("no datapath sw1"));
}

#[test]
fn metrics_tell_what_was_taken_up_and_what_passes() {
    let page = |hash: &str, error: &str, dp: u8, port: u8| {
        format!(
            "faucet_config_load_error {}\nfaucet_config_hash_info{{config_files=\"/f\",error=\"{error}\",hashes=\"{hash}\"}} 1.0\n\
             dp_status{{dp_id=\"0x1\",dp_name=\"sw1\"}} {dp}\nport_status{{dp_id=\"0x1\",dp_name=\"sw1\",port=\"7\",port_description=\"uplink\"}} {port}\n",
            u8::from(!error.is_empty())
        )
    };
    let up = Told::read(&page("aa,bb", "", 1, 1), "bb");
    assert!(up.current && up.state("sw1", "7") == PortState::Up && up.state("sw1", "uplink") == PortState::Up);
    assert!(!Told::read(&page("aa", "", 1, 1), "bb").current);
    let says = |s: PortState, part: &str| match s {
        PortState::Down(why) | PortState::Fault(why) => assert!(why.contains(part), "{why}"),
        PortState::Up => panic!("{part}"),
    };
    says(Told::read(&page("a", "", 1, 0), "a").state("sw1", "7"), "no link");
    says(Told::read(&page("a", "", 0, 1), "a").state("sw1", "7"), "not connected");
    says(Told::read(&page("a", "", 1, 1), "a").state("sw2", "7"), "not connected");
    assert_eq!(Told::read(&page("a", "", 1, 1), "a").state("sw1", "9"), PortState::Up, "not told of yet");
    says(Told::read(&page("a", "VLAN is bad", 1, 1), "a").state("sw1", "7"), "VLAN is bad");
}
