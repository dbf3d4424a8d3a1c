//! Documents of desired state that lie at a hub: two processes with real mutual TLS. A box that calls the hub is handed its own, says
//! which one counts there, and refuses what its owner has not signed or it has outgrown; the hub opens none of them.

use std::fs;

use serde_json::{Value, json};

use crate::{
    admin::described_as,
    daemon::{Daemon, free_port},
    desired::Owner,
    hub::{Driver, Site},
    pair::{cli, run, token},
};

const HANDOUTS: &str = "/bothy/v1/hub/desired";

struct Pair {
    hub: Site,
    edge: Site,
    home: u16,
}

impl Pair {
    /// The hub, with what its configuration says of boxes.
    fn hub_knows(&self, boxes: &str) {
        self.hub.configure("\"admin\", \"hub\"", &format!("[hub]\nlisten = \"127.0.0.1:{}\"\n{boxes}", self.home));
    }
    fn told(&self, args: &[&str]) {
        let o = run(self.hub.at(), args);
        assert!(o.status.success(), "{args:?}: {o:?}");
    }
    fn refused(&self, args: &[&str], says: &str) {
        let o = run(self.hub.at(), args);
        let said = format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        assert!(!o.status.success() && said.contains(says), "{args:?}: {said}");
    }
    /// How the box stands, once this document counts there and the hub has heard so.
    fn until_counts(&self, version: u64, from: &str) -> Value {
        let all = self.hub.until(&["hub", "boxes"], |v| {
            let b = &v[0];
            b["desired"]["version"] == version
                && b["desired"]["phase"] == "IN_PLACE"
                && b["handout"]["state"] == "CURRENT"
                && b["handout"]["name"] == from
        });
        described_as("/bothy/v1/boxes", &all);
        all[0].clone()
    }
    fn until_refused(&self, says: &str) -> Value {
        let failed = |v: &Value| v[0]["handout"]["state"] == "FAILED" && v[0]["handout"]["why"].to_string().contains(says);
        self.hub.until(&["hub", "boxes"], failed)[0].clone()
    }
    fn kept(&self, name: &str, document: &[u8]) -> String {
        fs::write(self.hub.file(name), document).expect("written");
        self.hub.file(name)
    }
}

fn document(version: u64) -> Value {
    json!({"bothy-desired": 1, "version": version, "serials": ["BX-1"], "services": [{"name": "old", "state": "ABSENT"}]})
}

#[test]
fn a_box_that_calls_the_hub_is_handed_its_own_document_and_the_hub_tells_what_counts_on_it() {
    let (owner, stranger) = (Owner::new(), Owner::new());
    let p = Pair { hub: Site::new(), edge: Site::new(), home: free_port() };
    p.hub_knows("");
    let h = Daemon::start(p.hub.at());
    let calls = format!(
        "[[call_home]]\nname = \"noc\"\naddress = \"localhost:{}\"\nca = \"{}\"\nclient = \"noc\"\nreference_points = [\"admin\"]\nretry_s = 1\n[desired]\nca = \"{}\"\nserial = \"BX-1\"\n",
        p.home,
        p.hub.file("data/tls/cert.pem"),
        owner.anchor()
    );
    p.edge.configure("\"sol005\"", &calls);
    let e = Daemon::start(p.edge.at());
    cli(p.edge.at(), &["client", "create", "noc", "--role", "admin", "--fingerprint-of", &p.hub.fingerprint()]);

    // What lies here for all boxes comes to one that is enrolled later.
    let one = owner.sign(&document(1), "DER");
    let for_all = p.kept("1.cms", &one);
    let set = cli(p.hub.at(), &["hub", "desired", "set", "--group", "default", &for_all]);
    assert_eq!((&set["kind"], &set["name"], &set["boxes"]), (&json!("GROUP"), &json!("default"), &json!(0)), "{set:#}");
    p.hub_knows(&format!("[[hub.box]]\nserial = \"BX-1\"\ngroup = \"west\"\nfingerprint = \"{}\"\n", p.edge.fingerprint()));
    p.told(&["config", "apply"]);
    let b = p.until_counts(1, "default");
    assert_eq!((&b["group"], &b["desired"]["digest"]), (&json!("west"), &set["digest"]), "{b:#}");
    assert!(b["desired"]["reported"].is_string() && b["lastContact"].is_string() && b["version"].is_string(), "{b:#}");
    let there = cli(p.edge.at(), &["desired", "status"]);
    assert_eq!((&there["document"]["from"], &there["document"]["digest"]), (&json!("noc"), &set["digest"]), "{there:#}");

    // Its group's is nearer, and its own nearest; each at once.
    let two = p.kept("2.cms", &owner.sign(&document(2), "PEM"));
    p.told(&["hub", "desired", "set", "--group", "west", &two]);
    p.until_counts(2, "west");
    for (file, document, says) in [
        ("old.cms", owner.sign(&document(1), "DER"), "version 1 is older than version 2"),
        ("theirs.cms", stranger.sign(&document(3), "DER"), "not one of the owner's"),
        (
            "other.cms",
            owner.sign(&json!({"bothy-desired": 1, "version": 3, "serials": ["BX-2"]}), "DER"),
            "and not for this box, which is BX-1",
        ),
    ] {
        p.told(&["hub", "desired", "set", "--box", "BX-1", &p.kept(file, &document)]);
        let b = p.until_refused(says);
        assert_eq!((&b["desired"]["version"], &b["handout"]["kind"]), (&json!(2), &json!("BOX")), "{b:#}");
    }
    let bare = p.kept("bare.json", document(9).to_string().as_bytes());
    p.refused(&["hub", "desired", "set", "--box", "BX-1", &bare], "no document in its signature");
    p.refused(&["hub", "desired", "set", "--box", "BX-9", &two], "there is no box 'BX-9' here");
    p.refused(&["hub", "desired", "set", "--group", "wets", &two], "there is no group 'wets' here");
    p.told(&["hub", "desired", "unset", "--box", "BX-1"]);
    p.refused(&["hub", "desired", "unset", "--box", "BX-1"], "no document lies here for box 'BX-1'");
    p.until_counts(2, "west");

    // The same, signed anew, is another message, and no other document.
    let again = p.kept("again.cms", &owner.sign(&document(2), "PEM"));
    let set = cli(p.hub.at(), &["hub", "desired", "set", "--box", "BX-1", &again]);
    assert_eq!(p.until_counts(2, "BX-1")["desired"]["digest"], set["digest"]);

    // Who may: by project for a box, and who sees every project for a group.
    assert!(
        run(p.hub.at(), &["role", "set", "shelf", "--may", "config:read", "--may", "config:change", "--may", "config:delete"])
            .status
            .success()
    );
    cli(p.hub.at(), &["project", "create", "east"]);
    for (name, more) in
        [("watcher", &["--role", "viewer"][..]), ("here", &["--role", "shelf"][..]), ("east", &["--role", "shelf", "--in", "east"][..])]
    {
        cli(p.hub.at(), &[&["client", "create", name][..], more].concat());
    }
    let [watcher, here, east] = ["watcher", "here", "east"].map(|name| Driver::of(&p.hub, name));
    let root = Driver { port: p.hub.port, token: token(p.hub.at()) };
    for (who, method, at, want) in [
        (&watcher, "GET", "", 403),
        (&watcher, "DELETE", "/boxes/BX-1", 403),
        (&here, "GET", "", 200),
        (&here, "DELETE", "/groups/west", 404),
        (&here, "GET", "/boxes/BX-1", 200),
        (&east, "GET", "/boxes/BX-1", 404),
        (&east, "DELETE", "/boxes/BX-1", 404),
        (&root, "GET", "/pools/west", 404),
        (&root, "GET", "/groups/east", 404),
        (&root, "PUT", "/groups/west", 415),
    ] {
        let r = who.ask(method, &format!("{HANDOUTS}{at}"), "");
        assert_eq!(r.status, want, "{method} {at}: {}", r.body);
    }
    let all = root.show(HANDOUTS);
    described_as(HANDOUTS, &all);
    let names = |v: &Value| v.as_array().expect("a list").iter().map(|d| d["name"].as_str().expect("name").to_owned()).collect::<Vec<_>>();
    assert_eq!(
        (names(&all), names(&here.show(HANDOUTS)), names(&east.show(HANDOUTS))),
        (vec!["BX-1".into(), "default".into(), "west".into()], vec!["BX-1".into()], vec![])
    );
    let counted: Vec<_> = all.as_array().expect("a list").iter().map(|d| (&d["boxes"], &d["current"])).collect();
    assert_eq!(counted, [(&json!(1), &json!(1)), (&json!(0), &json!(0)), (&json!(0), &json!(0))], "{all:#}");
    let audit = cli(p.hub.at(), &["audit", "list"]).to_string();
    assert!(audit.contains("/bothy/v1/hub/desired/boxes/BX-1"), "{audit}");

    // The hub dies: what lies there outlasts it. What is put there while a box is away comes to it when it is back.
    e.stop();
    h.kill();
    let h = Daemon::start(p.hub.at());
    p.told(&["hub", "desired", "get", "--group", "default", "--out", &p.hub.file("back.cms")]);
    assert_eq!(fs::read(p.hub.file("back.cms")).expect("read"), one);
    let three = p.kept("3.cms", &owner.sign(&document(3), "DER"));
    let set = cli(p.hub.at(), &["hub", "desired", "set", "--box", "BX-1", &three]);
    assert_eq!((&set["boxes"], &set["current"]), (&json!(1), &json!(0)), "{set:#}");
    let e = Daemon::start(p.edge.at());
    p.until_counts(3, "BX-1");
    e.stop();
    let log = h.stop();
    assert!(!log.contains("does not take the document"), "{log}");
}
