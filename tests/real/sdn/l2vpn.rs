//! The connector of WAN managers, against a server written from RFC 8466 and RFC 8040: names, types, what is
//! mandatory and what refers to what are held against the model's tree.

use std::sync::Arc;

use bothy::{
    controllers::Controllers,
    model::{
        net::VlanId,
        sdn::{Controller, ControllerDraft, OutsidePort},
    },
    sdn::connector::{Connector, Connectors, Desired, Look, Opening, PortState, PortVlans},
};
use serde_json::{Value, json};

use super::{
    restconf::{Keys, Store, error},
    stand::{Api, Asked, PASSWORD, Reply, Stand, Trouble, USER, certificate},
};
use crate::kit;

const KEYS: Keys = &[
    ("vpn-service", "vpn-id"),
    ("site", "site-id"),
    ("location", "location-id"),
    ("device", "device-id"),
    ("site-network-access", "network-access-id"),
];

/// Of RFC 8466's tree (4), what may be sent here: its path, its type, `!` where it is mandatory. An identity has
/// its base's members behind it, a reference what it refers to.
const MODEL: &[(&str, &str)] = &[
    ("vpn-service/vpn-id", "string!"),
    ("vpn-service/vpn-svc-type", "identity vpws pwe3 ldp-l2tp-vpls bgp-vpls vpws-evpn pbb-evpn"),
    ("vpn-service/customer-name", "string"),
    ("vpn-service/svc-topo", "identity any-to-any hub-spoke hub-spoke-disjoint"),
    ("vpn-service/frame-delivery/multicast-gp-port-mapping", "identity static-mapping dynamic-mapping"),
    ("vpn-service/ce-vlan-preservation", "boolean!"),
    ("vpn-service/ce-vlan-cos-preservation", "boolean!"),
    ("site/site-id", "string!"),
    ("site/locations/location/location-id", "string!"),
    ("site/management/type", "identity! co-managed customer-managed provider-managed"),
    ("site/default-ce-vlan-id", "uint32!"),
    ("site-network-access/network-access-id", "string!"),
    ("site-network-access/location-reference", "string"),
    ("site-network-access/device-reference", "string"),
    ("site-network-access/bearer/bearer-reference", "string"),
    ("site-network-access/connection/encapsulation-type", "identity ethernet vlan"),
    ("site-network-access/connection/eth-inf-type", "identity tagged untagged lag"),
    ("site-network-access/connection/tagged-interface/type", "identity priority-tagged qinq dot1q qinany vxlan"),
    ("site-network-access/connection/tagged-interface/dot1q-vlan-tagged/tg-type", "identity c-vlan s-vlan c-s-vlan"),
    ("site-network-access/connection/tagged-interface/dot1q-vlan-tagged/cvlan-id", "uint16"),
    ("site-network-access/connection/oam/md-name", "string"),
    ("site-network-access/connection/oam/md-level", "uint16"),
    ("site-network-access/vpn-attachment/vpn-id", "string"),
    ("site-network-access/vpn-attachment/site-role", "identity any-to-any-role spoke-role hub-role"),
    ("site-network-access/service/svc-mtu", "uint16!"),
];

/// What is wrong with a value that is sent, by the model.
fn wrong(path: &str, v: &Value) -> Option<String> {
    match v {
        Value::Object(o) => o.iter().find_map(|(k, v)| wrong(&format!("{path}/{k}"), v)),
        Value::Array(a) => a.iter().find_map(|v| wrong(path, v)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let Some((_, kind)) = MODEL.iter().find(|(p, _)| *p == path) else { return Some(format!("unknown-element {path}")) };
            let mut words = kind.split(' ');
            let fits = match words.next().map(|k| k.trim_end_matches('!')) {
                Some("string") => v.is_string(),
                Some("boolean") => v.is_boolean(),
                Some("uint16") => v.as_u64().is_some_and(|n| n <= 65535),
                Some("uint32") => v.as_u64().is_some_and(|n| n <= 4_294_967_295),
                Some("identity") => {
                    let text = v.as_str().unwrap_or_default();
                    let name = text.strip_prefix("ietf-l2vpn-svc:").unwrap_or(text);
                    words.any(|w| w == name)
                }
                other => panic!("{other:?}"),
            };
            (!fits).then(|| format!("invalid-value {path}: {v}"))
        }
    }
}

fn missing(what: &str, v: &Value) -> Option<&'static str> {
    let needed =
        MODEL.iter().filter(|(p, kind)| kind.split(' ').next().is_some_and(|k| k.ends_with('!')) && p.starts_with(&format!("{what}/")));
    needed.map(|(p, _)| *p).find(|p| {
        let mut at = v;
        for name in p.split('/').skip(1) {
            at = if name == "location" { &Value::Bool(true) } else { &at[name] };
            if at.is_boolean() {
                return false;
            }
        }
        at.is_null()
    })
}

struct Manager {
    store: Store,
    features: Option<&'static [&'static str]>,
    /// Where RESTCONF is.
    root: &'static str,
    bearers: &'static [&'static str],
}

impl Manager {
    fn new() -> Manager {
        let tree = json!({ "l2vpn-svc": {} });
        let store = Store { keys: KEYS, tree, kind: "application/yang-data+json" };
        Manager { store, features: None, root: "restconf", bearers: &["ge1", "ge2", "ge3", "ge4", "up"] }
    }

    /// What refers to nothing, and who is without something that the model wants.
    fn broken(&self, tree: &Value) -> Option<(&'static str, String)> {
        let t = &tree["l2vpn-svc"];
        let all = |v: &Value| v.as_array().cloned().unwrap_or_default();
        let vpns: Vec<Value> = all(&t["vpn-services"]["vpn-service"]).iter().map(|v| v["vpn-id"].clone()).collect();
        let oam = self.features.is_some_and(|f| f.contains(&"ethernet-oam"));
        for s in all(&t["sites"]["site"]) {
            let places: Vec<Value> = all(&s["locations"]["location"]).iter().map(|l| l["location-id"].clone()).collect();
            let devices: Vec<Value> = all(&s["devices"]["device"]).iter().map(|l| l["device-id"].clone()).collect();
            for a in all(&s["site-network-accesses"]["site-network-access"]) {
                let id = &a["network-access-id"];
                if !vpns.contains(&a["vpn-attachment"]["vpn-id"]) {
                    return Some(("data-missing", format!("{id}: no vpn-service {}", a["vpn-attachment"]["vpn-id"])));
                }
                if !places.contains(&a["location-reference"]) && !devices.contains(&a["device-reference"]) {
                    return Some(("data-missing", format!("{id}: no location or device in site {}", s["site-id"])));
                }
                let port = a["bearer"]["bearer-reference"].as_str().unwrap_or_default();
                if !self.bearers.contains(&port) {
                    return Some(("invalid-value", format!("{id}: there is no bearer {port}")));
                }
                let c = &a["connection"];
                if (c["eth-inf-type"] == "ietf-l2vpn-svc:tagged") != c["tagged-interface"]["dot1q-vlan-tagged"]["cvlan-id"].is_u64() {
                    return Some(("missing-element", format!("{id}: a tag where there is none, or none")));
                }
                if oam != c["oam"]["md-name"].is_string() {
                    return Some(("missing-element", format!("{id}: oam, by the feature ethernet-oam")));
                }
            }
        }
        let bum = self.features.is_some_and(|f| f.contains(&"bum"));
        let lacks = |s: &Value| bum == s["frame-delivery"]["multicast-gp-port-mapping"].is_null();
        let service = all(&t["vpn-services"]["vpn-service"]).into_iter().find(|s| lacks(s))?;
        Some(("missing-element", format!("{}: frame-delivery, by the feature bum", service["vpn-id"])))
    }
}

impl Api for Manager {
    fn answer(&mut self, r: &Asked) -> Reply {
        let none = || Reply { status: 404, kind: "text/html", body: "<html>not found</html>".into() };
        if r.path == [".well-known", "host-meta"] {
            assert_eq!(r.accept, "application/xrd+xml");
            let body =
                format!("<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  <Link rel='restconf' href='/{}'/>\n</XRD>", self.root);
            return Reply { status: 200, kind: "application/xrd+xml", body };
        }
        let under: Vec<String> = self.root.split('/').chain(["data"]).map(Into::into).collect();
        let Some(rest) = r.path.strip_prefix(under.as_slice()) else { return none() };
        if rest.first().is_some_and(|p| p.starts_with("ietf-yang-library:")) {
            let Some(features) = self.features else { return error(404, "invalid-value", "unknown") };
            assert_eq!(rest[1], "module=ietf-l2vpn-svc,2018-10-09");
            let body = json!({ "ietf-yang-library:module": [{ "name": "ietf-l2vpn-svc", "revision": "2018-10-09", "feature": features }] });
            return Reply { status: 200, kind: "application/yang-data+json", body: body.to_string() };
        }
        if rest.first().map(String::as_str) != Some("ietf-l2vpn-svc:l2vpn-svc") {
            return error(400, "unknown-element", "no such module");
        }
        let hops = self.store.hops(rest, true);
        if r.method == "GET" {
            return self.store.show("ietf-l2vpn-svc", &hops, false);
        }
        match self.store.change(r, &hops, false) {
            Err(refusal) => refusal,
            Ok((status, tree)) => {
                if r.method != "DELETE" {
                    let body: Value = serde_json::from_str(&r.body).expect("it was read");
                    let (name, value) = body.as_object().and_then(|o| o.iter().next()).expect("one member");
                    let what = name.strip_prefix("ietf-l2vpn-svc:").expect("the module's name");
                    let (bad, lacks) = (wrong(what, &value[0]), missing(what, &value[0]).filter(|_| r.method != "PATCH"));
                    if let Some(why) = bad.or(lacks.map(|p| format!("missing-element {p}"))) {
                        return error(400, why.split(' ').next().expect("a tag"), &why);
                    }
                }
                if let Some((tag, why)) = self.broken(&tree) {
                    return error(409, tag, &why);
                }
                self.store.tree = tree;
                Reply { status, kind: "application/yang-data+json", body: String::new() }
            }
        }
    }
}

fn controller(url: &str, ca: &str) -> Controller {
    let draft = ControllerDraft {
        name: "wim".into(),
        kind: "l2vpn".into(),
        url: url.into(),
        user: USER.into(),
        secret: "wim".into(),
        ca: ca.into(),
        networks: vec!["wan".into()],
        datapaths: vec!["east".into(), "west".into()],
        ..ControllerDraft::default()
    };
    draft.check().expect("a controller")
}

fn open_as(owner: &str, c: &Controller, password: &str) -> Arc<dyn Connector> {
    let with = Opening { owner: owner.into(), secret: Some(password.into()), news: Box::new(|| {}) };
    Controllers.open(c, with).expect("opened")
}

fn open(s: &Stand<Manager>) -> Arc<dyn Connector> {
    open_as("edge", &controller(&s.url(), ""), PASSWORD)
}

pub fn port(switch: &str, port: &str) -> OutsidePort {
    OutsidePort { switch: switch.into(), port: port.into() }
}

pub fn carries(native: Option<u16>, tagged: &[u16]) -> PortVlans {
    let vlan = |v: u16| VlanId::try_from(v).expect("vlan");
    PortVlans { native: native.map(vlan), tagged: tagged.iter().map(|v| vlan(*v)).collect() }
}

/// As the keeper does it: whether nothing is left to do.
#[track_caller]
pub fn settle(c: &dyn Connector, d: &Desired) -> Look {
    c.apply(d).expect("applied");
    let look = c.look(d).expect("looked at");
    assert!(look.differs.is_empty() && look.sends.is_empty(), "{look:#?}");
    look
}

fn tree(s: &Stand<Manager>) -> Value {
    s.with(|m| m.store.tree["l2vpn-svc"].clone())
}

fn ids(v: &Value, key: &str) -> Vec<String> {
    v.as_array().into_iter().flatten().map(|e| e[key].as_str().expect("a key").to_owned()).collect()
}

fn services(s: &Stand<Manager>) -> Vec<(String, String)> {
    let all = tree(s)["vpn-services"]["vpn-service"].clone();
    let mut all: Vec<_> = all
        .as_array()
        .into_iter()
        .flatten()
        .map(|v| [&v["vpn-id"], &v["vpn-svc-type"]].map(|t| t.as_str().expect("text").replace("ietf-l2vpn-svc:", "")).into())
        .collect();
    all.sort();
    all
}

#[test]
fn a_service_is_made_repeated_changed_and_taken_away() {
    let s = Stand::start(Manager::new());
    let c = open(&s);
    // West is known to the provider, with something of somebody's; east is not.
    let theirs = json!({ "site-id": "west", "locations": { "location": [{ "location-id": "cellar" }] }, "management": { "type": "co-managed" },
        "default-ce-vlan-id": 1, "site-network-accesses": { "site-network-access": [{ "network-access-id": "office",
        "location-reference": "cellar", "bearer": { "bearer-reference": "ge4" }, "service": { "svc-mtu": 9000 },
        "vpn-attachment": { "vpn-id": "office" } }] } });
    let office = json!({ "vpn-id": "office", "vpn-svc-type": "vpws", "ce-vlan-preservation": true, "ce-vlan-cos-preservation": true });
    let before = json!({ "l2vpn-svc": { "vpn-services": { "vpn-service": [office] }, "sites": { "site": [theirs] } } });
    s.with(|m| m.store.tree = before.clone());

    let two: Desired = [(port("west", "ge1"), carries(None, &[100])), (port("east", "ge2"), carries(Some(100), &[]))].into();
    let dry = c.look(&two).expect("looked at");
    assert_eq!(
        dry.differs.iter().map(|d| (d.is.as_str(), d.wanted.as_str())).collect::<Vec<_>>(),
        [
            ("nothing, without its VPN service bothy-vlan-100", "VLAN 100 untagged"),
            ("nothing, without its VPN service bothy-vlan-100", "VLAN 100 tagged"),
        ]
    );
    let sends: Vec<String> =
        dry.sends.iter().map(|x| format!("{} {}", x.method, x.url.rsplit("l2vpn-svc").next().expect("a path"))).collect();
    assert_eq!(
        sends,
        ["POST /vpn-services", "POST /sites", "POST /sites/site=east/site-network-accesses", "POST /sites/site=west/site-network-accesses"]
    );
    assert!(dry.sends[3].url.starts_with(&s.url()) && dry.sends[3].body.contains(r#""cvlan-id":100"#), "{:?}", dry.sends[3]);
    assert!(!format!("{dry:?}").contains(PASSWORD) && s.log().is_empty(), "a dry run sends nothing, and no password is in it");

    let look = settle(&*c, &two);
    assert!(look.ports.values().all(|p| *p == PortState::Up), "{look:?}");
    assert_eq!(s.log(), ["POST vpn-services 201", "POST sites 201", "POST site-network-accesses 201", "POST site-network-accesses 201"]);
    assert_eq!(services(&s), [("bothy-vlan-100".into(), "vpws".into()), ("office".into(), "vpws".into())]);
    settle(&*c, &two);
    assert!(s.log().is_empty(), "once more changes nothing");

    // A third end makes it multipoint; a port changes its VLAN; one goes.
    let three: Desired = [
        (port("west", "ge1"), carries(None, &[100, 200])),
        (port("east", "ge2"), carries(None, &[100])),
        (port("west", "up"), carries(None, &[100])),
    ]
    .into();
    settle(&*c, &three);
    assert_eq!(services(&s)[0], ("bothy-vlan-100".into(), "bgp-vpls".into()));
    assert_eq!(services(&s).len(), 3);
    let west = tree(&s)["sites"]["site"][0]["site-network-accesses"]["site-network-access"].clone();
    assert_eq!(ids(&west, "network-access-id"), ["office", "bothy:edge:100:ge1", "bothy:edge:100:up", "bothy:edge:200:ge1"]);
    settle(&*c, &two);
    assert_eq!(services(&s)[0].1, "bgp-vpls", "two ends are no reason to interrupt it");

    settle(&*c, &Desired::new());
    s.with(|m| assert_eq!(m.store.tree, before, "what was somebody's is as it was, and nothing of ours is left"));
}

#[test]
fn what_is_lost_or_spoilt_at_the_manager_is_put_right() {
    let s = Stand::start(Manager::new());
    let c = open(&s);
    let d: Desired = [(port("west", "ge1"), carries(None, &[7])), (port("east", "ge2"), carries(None, &[7]))].into();
    settle(&*c, &d);
    s.log();
    type Spoil<'a> = (&'a str, &'a dyn Fn(&mut Value), usize);
    let spoil: [Spoil<'_>; 4] = [
        ("all of it", &|t| *t = json!({}), 5),
        ("an access", &|t| t["sites"]["site"][0]["site-network-accesses"] = json!({}), 1),
        (
            "a VLAN",
            &|t| {
                let a = &mut t["sites"]["site"][1]["site-network-accesses"]["site-network-access"][0];
                a["connection"]["tagged-interface"]["dot1q-vlan-tagged"]["cvlan-id"] = json!(8);
            },
            1,
        ),
        (
            "a bearer",
            &|t| t["sites"]["site"][1]["site-network-accesses"]["site-network-access"][0]["bearer"] = json!({ "bearer-reference": "ge3" }),
            1,
        ),
    ];
    for (what, f, changes) in spoil {
        s.with(|m| f(&mut m.store.tree["l2vpn-svc"]));
        assert!(!c.look(&d).expect("looked at").differs.is_empty(), "{what}");
        settle(&*c, &d);
        assert_eq!(s.log().len(), changes, "{what}");
    }
    // What an operator added beside it, or chose, is no difference.
    s.with(|m| {
        let t = &mut m.store.tree["l2vpn-svc"];
        t["vpn-services"]["vpn-service"][0]["vpn-svc-type"] = json!("vpws-evpn");
        t["sites"]["site"][0]["site-network-accesses"]["site-network-access"][0]["availability"] = json!({ "access-priority": 5 });
        t["sites"]["site"][0]["site-network-accesses"]["site-network-access"][0]["connection"]["tagged-interface"]["type"] = json!("dot1q");
    });
    settle(&*c, &d);
    assert!(s.log().is_empty());
    s.with(|m| m.store.tree["l2vpn-svc"]["sites"]["site"][0]["actual-site-stop"] = json!("2026-01-01T00:00:00Z"));
    let look = c.look(&d).expect("looked at");
    let down: Vec<_> = look.ports.values().filter(|p| matches!(p, PortState::Down(why) if why.contains("2026-01-01"))).collect();
    assert_eq!(down.len(), 1, "{look:?}");
}

#[test]
fn a_change_that_broke_off_is_finished_from_where_it_was() {
    let d: Desired = [(port("west", "ge1"), carries(None, &[7, 8])), (port("east", "ge2"), carries(Some(7), &[]))].into();
    // Two services, two sites, three accesses.
    for n in 0..7 {
        let s = Stand::start(Manager::new());
        let c = open(&s);
        s.trouble(Trouble::FailsAfter(n));
        let why = c.apply(&d).expect_err("it breaks off").detail();
        assert!(why.contains("POST http://") && why.contains("500 (<h1>out of order</h1>)") && why.contains("tried again"), "{why}");
        s.trouble(Trouble::None);
        settle(&*c, &d);
        assert_eq!(services(&s).len(), 2, "{n}");
        s.trouble(Trouble::FailsAfter(n));
        c.apply(&Desired::new()).expect_err("it breaks off");
        s.trouble(Trouble::None);
        settle(&*c, &Desired::new());
        assert_eq!((services(&s).len(), ids(&tree(&s)["sites"]["site"], "site-id").len()), (0, 0), "{n}");
    }
}

#[test]
fn one_port_that_is_refused_holds_up_no_other_and_says_why() {
    let s = Stand::start(Manager::new());
    let c = open(&s);
    let d: Desired = [
        (port("east", "nowhere"), carries(None, &[7])),
        (port("elsewhere", "ge1"), carries(None, &[7])),
        (port("west", "ge1"), carries(None, &[7])),
    ]
    .into();
    c.apply(&d).expect("the others are set");
    let look = c.look(&d).expect("looked at");
    assert_eq!(look.ports[&port("west", "ge1")], PortState::Up);
    let why = |at: &OutsidePort| match &look.ports[at] {
        PortState::Fault(why) => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(
        why(&port("east", "nowhere")).contains("409 (invalid-value: \"bothy:edge:7:nowhere\": there is no bearer nowhere)"),
        "{look:?}"
    );
    assert_eq!(why(&port("elsewhere", "ge1")), "site elsewhere is none of the controller's datapaths");
    // What belongs to no port, here the site that was made for nothing, is a fault of them all.
    s.trouble(Trouble::Refuses(409, r#"{"ietf-restconf:errors":{"error":[{"error-type":"protocol","error-tag":"lock-denied"}]}}"#));
    let said = c.apply(&Desired::new()).expect_err("refused").detail();
    assert!(said.contains("DELETE") && said.contains("site=east: refused: 409 (lock-denied)"), "{said}");
    assert!(!c.look(&Desired::new()).expect("looked at").differs.is_empty());
    s.trouble(Trouble::None);
    settle(&*c, &Desired::new());
}

#[test]
fn boxes_meet_in_the_service_of_their_vlan_and_the_last_one_takes_it_away() {
    let s = Stand::start(Manager::new());
    let (one, two) = (open(&s), open_as("edge-1", &controller(&s.url(), ""), PASSWORD));
    let first: Desired = [(port("west", "ge1"), carries(None, &[7])), (port("west", "up"), carries(None, &[7]))].into();
    let second: Desired = [(port("east", "ge2"), carries(None, &[7]))].into();
    settle(&*one, &first);
    settle(&*two, &second);
    assert_eq!(services(&s), [("bothy-vlan-7".into(), "bgp-vpls".into())]);
    settle(&*one, &first);
    settle(&*one, &Desired::new());
    assert_eq!(services(&s).len(), 1);
    settle(&*two, &second);
    settle(&*two, &Desired::new());
    assert_eq!(services(&s).len(), 0);
}

#[test]
fn what_the_manager_says_of_itself_is_heeded() {
    let s =
        Stand::start(Manager { root: "top/rc", features: Some(&["bum", "ethernet-oam", "dot1q", "bearer-reference"]), ..Manager::new() });
    let d: Desired = [(port("west", "ge1"), carries(None, &[7])), (port("east", "ge2"), carries(Some(7), &[]))].into();
    settle(&*open(&s), &d);
    // Told by its URL, nothing is looked for.
    settle(&*open_as("edge", &controller(&format!("{}/top/rc/", s.url()), ""), PASSWORD), &d);
    s.with(|m| m.features = Some(&["bum"]));
    let look = open(&s).look(&d).expect("looked at");
    assert!(look.ports.values().all(|p| matches!(p, PortState::Fault(why) if why.contains("feature bearer-reference"))), "{look:?}");
}

#[test]
fn a_manager_that_cannot_be_asked_says_where_and_what_to_do() {
    let s = Stand::start(Manager::new());
    let d: Desired = [(port("west", "ge1"), carries(None, &[7]))].into();
    let why = |c: &dyn Connector| c.look(&d).expect_err("not to be asked").detail();
    let wrong = open_as("edge", &controller(&s.url(), ""), "guessed");
    let said = why(&*wrong);
    assert!(
        said.contains("user 'bothy' or the password is refused") && said.contains("bothy secret set wim") && !said.contains("guessed"),
        "{said}"
    );
    let elsewhere = open_as("edge", &controller(&format!("{}/api", s.url()), ""), PASSWORD);
    let said = why(&*elsewhere);
    assert!(
        said.contains(&format!("{}/api/data/ietf-l2vpn-svc:l2vpn-svc", s.url())) && said.contains("is url the address of this API?"),
        "{said}"
    );
    let c = open(&s);
    s.trouble(Trouble::Closed);
    assert!(why(&*c).contains("/.well-known/host-meta: the connection broke"), "{}", why(&*c));
    s.trouble(Trouble::Silent);
    let said = why(&*c);
    assert!(said.contains("no answer within 3 s"), "{said}");
    s.trouble(Trouble::None);
    settle(&*c, &d);
    let addr = s.addr;
    drop(s);
    let said = why(&*c);
    assert!(said.contains(&addr.to_string()) && (said.contains("cannot connect") || said.contains("connection broke")), "{said}");
}

#[test]
fn only_the_pinned_authority_and_the_name_of_the_url_are_believed() {
    let dir = kit::scratch();
    let file = |name: &str, pem: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).expect("written");
        path.to_string_lossy().into_owned()
    };
    let (pem, tls) = certificate("localhost");
    let (other, _) = certificate("localhost");
    let (right, wrong) = (file("right.pem", &pem), file("wrong.pem", &other));
    let s = Stand::start_with(Manager::new(), Some(tls));
    let d: Desired = [(port("west", "ge1"), carries(None, &[7]))].into();
    let at = |host: &str| format!("https://{host}:{}", s.addr.port());
    settle(&*open_as("edge", &controller(&at("localhost"), &right), PASSWORD), &d);
    for (url, ca, says) in [(at("localhost"), &wrong, "no TLS with localhost"), (at("127.0.0.1"), &right, "no TLS with 127.0.0.1")] {
        let said = open_as("edge", &controller(&url, ca), PASSWORD).look(&d).expect_err("not believed").detail();
        assert!(said.contains(says) && said.contains("certificate"), "{said}");
    }
    let with = Opening { owner: "edge".into(), secret: Some(PASSWORD.into()), news: Box::new(|| {}) };
    let none = Controllers.open(&controller(&at("localhost"), &format!("{right}.none")), with).err().expect("no file").detail();
    assert!(none.contains("right.pem.none holds no usable certificates (ca)"), "{none}");
}
