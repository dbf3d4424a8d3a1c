//! Unit tests of `l2vpn`.

use super::*;

#[test]
fn the_root_of_restconf_is_found_in_host_meta() {
    for (xrd, root) in [
        ("<XRD xmlns='x'><Link rel='lrdd' href='/l'/><Link rel='restconf' href='/restconf'/></XRD>", Some("/restconf")),
        ("<hm:XRD>\n<hm:Link href=\"/top/rc/\" rel=\"restconf\"></hm:Link></hm:XRD>", Some("/top/rc")),
        ("<XRD><Link rel='restconf' href='https://elsewhere/restconf'/></XRD>", None),
        ("<XRD><Link rel='restconf' href='//elsewhere/restconf'/></XRD>", None),
        ("<XRD><Link rel='restconf'/></XRD>", None),
        ("{}", None),
        ("", None),
    ] {
        assert_eq!(restconf_of(xrd).as_deref(), root, "{xrd}");
    }
}

#[test]
fn an_access_is_ours_by_the_whole_name_of_the_box() {
    let mine = |owner: &str| Mine { owner: owner.into(), sites: Vec::new() };
    let vlan = |v: u16| VlanId::try_from(v).expect("vlan");
    let id = mine("edge").id(vlan(7), "1/1:2");
    assert_eq!(mine("edge").read_id(&id), Some((vlan(7), "1/1:2")));
    for other in ["edge-1", "edg", ""] {
        assert_eq!(mine(other).read_id(&id), None, "{other}");
    }
    for odd in ["bothy:edge:7", "bothy:edge:0:p", "bothy:edge:x:p", "office", "bothy:"] {
        assert_eq!(mine("edge").read_id(odd), None, "{odd}");
    }
}

#[test]
fn what_is_wanted_is_held_against_what_is_there_whatever_else_there_is() {
    let want = json!({ "connection": { "type": "ietf-l2vpn-svc:vlan", "id": 7 }, "bearer": "ge1" });
    for (is, fits) in [
        (json!({ "ietf-l2vpn-svc:connection": { "type": "vlan", "id": 7, "more": 1 }, "bearer": "ge1" }), true),
        (json!({ "connection": { "type": "ietf-l2vpn-svc:vlan", "id": "7" }, "bearer": "ge1" }), true),
        (json!({ "connection": { "type": "ethernet", "id": 7 }, "bearer": "ge1" }), false),
        (json!({ "connection": { "type": "vlan", "id": 8 }, "bearer": "ge1" }), false),
        (json!({ "connection": { "type": "vlan", "id": 7 }, "bearer": "x:ge1" }), false),
        (json!({ "bearer": "ge1" }), false),
    ] {
        assert_eq!(holds(&is, &want), fits, "{is}");
    }
}
