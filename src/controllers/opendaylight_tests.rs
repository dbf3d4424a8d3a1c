//! Unit tests of `opendaylight`.

use super::*;

fn vlan(v: u16) -> VlanId {
    v.try_into().expect("vlan")
}

fn cross(tagged: bool) -> Cross {
    let to = [("2".into(), true), ("3".into(), false)].into();
    Cross { from: Member { port: "1".into(), vlan: vlan(7), tagged }, to }
}

#[test]
fn a_flow_reads_back_as_it_was_written_in_either_spelling() {
    for tagged in [true, false] {
        let c = cross(tagged);
        let f = flow("openflow:1", "x", "edge", 4, &c);
        assert_eq!(read_flow(&f, &c.from), Some(c.clone()), "{f:#}");
        // Older releases answer with numbers as strings, and sort actions as they like.
        let text = f.to_string().replace(":7,", ":\"7\",").replace("\"order\":0", "\"order\":\"0\"");
        let mut old: Value = serde_json::from_str(&text).expect("JSON");
        let actions = old["instructions"]["instruction"][0]["apply-actions"]["action"].as_array_mut().expect("actions");
        actions.reverse();
        old["match"]["in-port"] = json!("1");
        assert_eq!(read_flow(&old, &c.from), Some(c), "{old:#}");
    }
    let alone = Cross { to: Default::default(), ..cross(true) };
    let f = flow("openflow:1", "x", "edge", 4, &alone);
    assert_eq!(f["instructions"]["instruction"][0]["apply-actions"]["action"][0]["drop-action"], json!({}));
    assert_eq!(read_flow(&f, &alone.from), Some(alone));
}

#[test]
fn a_flow_that_somebody_changed_is_none_of_ours_any_more() {
    let c = cross(true);
    let spoil: [fn(&mut Value); 7] = [
        |f| f["priority"] = json!(5),
        |f| f["hard-timeout"] = json!(30),
        |f| f["match"]["in-port"] = json!("openflow:1:9"),
        |f| f["match"]["ethernet-match"] = json!({ "ethernet-type": { "type": 2048 } }),
        |f| f["match"]["vlan-match"]["vlan-id"]["vlan-id"] = json!(8),
        |f| f["instructions"]["instruction"][0]["apply-actions"]["action"][0]["group-action"] = json!({ "group-id": 1 }),
        |f| f["instructions"] = json!({}),
    ];
    for (i, s) in spoil.iter().enumerate() {
        let mut f = flow("openflow:1", "x", "edge", 4, &c);
        s(&mut f);
        // An action that is two is told by the first that is known.
        let read = read_flow(&f, &c.from);
        assert!(read.is_none() || i == 5, "{f:#}");
    }
}

#[test]
fn an_id_tells_whose_the_flow_is_and_its_member() {
    let m = Member { port: "7".into(), vlan: vlan(100), tagged: false };
    let id = flow_id("edge-1", &m);
    assert_eq!((id.as_str(), read_id(&id)), ("bothy:edge-1:u100:7", Some(("edge-1".into(), Some(m)))));
    assert_eq!(read_id("bothy:edge:x7:1"), Some(("edge".into(), None)));
    assert_eq!(read_id("L2switch-0"), None);
}

#[test]
fn paths_are_those_of_the_tree() {
    let (new, old) = (Tree::Rests, Tree::Restconf);
    assert_eq!(
        new.flow("/rests", "openflow:1", "bothy:e:t7:1"),
        "/rests/data/opendaylight-inventory:nodes/node=openflow%3A1/flow-node-inventory:table=0/flow=bothy%3Ae%3At7%3A1"
    );
    assert_eq!(
        old.flow("/restconf", "openflow:1", "x"),
        "/restconf/config/opendaylight-inventory:nodes/node/openflow%3A1/flow-node-inventory:table/0/flow/x"
    );
    assert_eq!(new.operational("/r", "openflow:1"), "/r/data/opendaylight-inventory:nodes/node=openflow%3A1?content=nonconfig");
    assert_eq!(old.operational("/r", "openflow:1"), "/r/operational/opendaylight-inventory:nodes/node/openflow%3A1");
}
