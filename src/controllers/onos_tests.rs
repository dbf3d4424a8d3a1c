//! Unit tests of `onos`.

use super::*;
use crate::model::net::VlanId;

fn cross(tagged: bool) -> Cross {
    let vlan: VlanId = 7u16.try_into().expect("vlan");
    Cross { from: Member { port: "1".into(), vlan, tagged }, to: [("2".into(), true), ("3".into(), false)].into() }
}

/// As ONOS answers: numbers of ports as strings, and a VLAN that is none as a signed number.
fn told(c: &Cross) -> Value {
    let mut f = flow("of:1", 4, c);
    f["appId"] = json!("org.bothy.edge");
    f["id"] = json!("281477124001452");
    f["state"] = json!("ADDED");
    f["tableId"] = json!("0");
    f["treatment"]["deferred"] = json!([]);
    f["selector"]["criteria"][0]["port"] = json!(1);
    if f["selector"]["criteria"][1]["vlanId"] == UNTAGGED {
        f["selector"]["criteria"][1]["vlanId"] = json!(-1);
    }
    if f["treatment"]["instructions"] == json!([]) {
        f["treatment"]["instructions"] = json!([{ "type": "NOACTION" }]);
    }
    f
}

fn read(f: &Value) -> Vec<Rule> {
    switch("of:1", &Value::Null, &json!({ "flows": [f] }), None).rules
}

#[test]
fn a_flow_reads_back_as_it_was_written() {
    for c in [cross(true), cross(false), Cross { to: Default::default(), ..cross(true) }] {
        let rules = read(&told(&c));
        assert_eq!(rules[0].slot, Some(4));
        assert_eq!((rules[0].owner.as_str(), rules[0].cross.as_ref(), rules[0].state.as_ref()), ("edge", Some(&c), None), "{rules:?}");
    }
}

#[test]
fn a_flow_that_is_another_is_told_from_ours() {
    type Spoil = (fn(&mut Value), bool);
    let spoil: [Spoil; 7] = [
        (|f| f["priority"] = json!(8200), false),
        (|f| f["isPermanent"] = json!(false), true),
        (|f| f["selector"]["criteria"][1]["vlanId"] = json!(9), false),
        (|f| f["selector"]["criteria"][1] = json!({ "type": "ETH_TYPE", "ethType": "0x800" }), false),
        (|f| f["treatment"]["instructions"][0]["port"] = json!("9"), true),
        (|f| f["treatment"]["instructions"][0] = json!({ "type": "TABLE", "tableId": 1 }), true),
        (|f| f["treatment"]["deferred"] = json!([{ "type": "OUTPUT", "port": "4" }]), true),
    ];
    for (s, is_member) in spoil {
        let mut f = told(&cross(true));
        s(&mut f);
        let rules = read(&f);
        assert!(rules[0].cross.as_ref() != Some(&cross(true)), "{f:#}");
        assert_eq!(rules[0].member.is_some(), is_member, "{f:#}");
    }
    for (member, value) in [("appId", "org.onosproject.fwd"), ("state", "REMOVED"), ("state", "PENDING_REMOVE")] {
        let mut f = told(&cross(true));
        f[member] = json!(value);
        assert!(read(&f).is_empty(), "{value}");
    }
}

#[test]
fn a_flow_that_the_device_has_not_taken_says_so() {
    let state = |s: &str| {
        let mut f = told(&cross(true));
        f["state"] = json!(s);
        read(&f)[0].state.clone()
    };
    assert!(matches!(state("PENDING_ADD"), Some(PortState::Down(why)) if why.contains("does not have flow 281477124001452 yet")));
    assert!(matches!(state("FAILED"), Some(PortState::Fault(_))));
    assert_eq!(state("ADDED"), None);
}

#[test]
fn ports_are_known_by_number_and_name() {
    let ports = json!({ "ports": [
        { "element": "of:1", "port": "local", "isEnabled": false, "annotations": { "portName": "s1" } },
        { "element": "of:1", "port": "1", "isEnabled": true, "annotations": { "portName": "eth1" } },
    ] });
    let s = switch("of:1", &ports, &Value::Null, None);
    let all: Vec<_> = s.ports.iter().map(|p| (p.number.as_str(), p.names[0].as_str(), p.up)).collect();
    assert_eq!(all, [("local", "s1", false), ("1", "eth1", true)]);
}
