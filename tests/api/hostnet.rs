//! The box's own network over the API, on the simulated box: tried, confirmed, undone, and every way to say it wrongly.

use std::{io::Write as _, process::Stdio};

use serde_json::{Value, json};

use crate::{
    admin::described_as,
    alarms::{standing, until},
    cli::Site,
    rig::{Rig, rig},
};

const NETWORK: &str = "/bothy/v1/host/network";
const JSON: &str = "Content-Type: application/json";

async fn now(rig: &Rig) -> Value {
    let v = rig.get(NETWORK).await.json();
    described_as(NETWORK, &v);
    v
}

fn wanted() -> Value {
    json!({
        "interfaces": [
            {"device": "lan0", "ipv4": {"method": "STATIC", "addresses": ["192.0.2.10/24"], "gateway": "192.0.2.1"}, "ipv6": {"method": "AUTO"}},
            {"device": "52:54:00:00:00:01", "vlan": 42, "mtu": 1400, "ipv4": {"method": "AUTO"}, "ipv6": {"method": "OFF"}},
        ],
        "dns": ["192.0.2.53"],
        "domains": ["example.net"],
        "ntp": ["time.example.net"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_waits_to_be_confirmed_and_is_shown_as_it_was_said() {
    let rig = rig(64, "").await;
    let v = now(&rig).await;
    assert_eq!((&v["state"], &v["managed"], &v["network"]), (&json!("SYSTEM"), &json!(true), &Value::Null));
    assert_eq!(v["ports"][0], json!({"name": "lan0", "mac": "52:54:00:00:00:00", "link": true, "addresses": ["192.0.2.10/24"]}));

    let plan = rig.post(&format!("{NETWORK}/plan"), wanted()).await;
    assert_eq!(plan.status, 200, "{}", plan.body);
    let plan = plan.json();
    let names: Vec<&str> = plan["files"].as_array().expect("files").iter().map(|f| f["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert_eq!(now(&rig).await["state"], "SYSTEM", "a plan changes nothing");

    let r = rig.ask(&format!("PUT {NETWORK}?confirm_s=600"), &[JSON], &wanted().to_string()).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = now(&rig).await;
    assert_eq!((&v["state"], &v["network"]), (&json!("ON_TRIAL"), &wanted()));
    assert_eq!((&v["trial"]["secondsLeft"], &v["trial"]["otherwise"]), (&json!(600), &Value::Null));
    let r = rig.ask(&format!("PUT {NETWORK}"), &[JSON], &wanted().to_string()).await;
    assert_eq!((r.status, r.problem().contains("waits to be confirmed")), (409, true), "{}", r.body);

    let r = rig.post(&format!("{NETWORK}/undo"), json!({})).await;
    assert_eq!((r.status, &r.json()["state"]), (200, &json!("SYSTEM")), "{}", r.body);
    assert!(now(&rig).await["lastUndone"]["why"].as_str().expect("why").contains("called it off"));
    for task in ["confirm", "undo"] {
        let r = rig.post(&format!("{NETWORK}/{task}"), json!({})).await;
        assert_eq!((r.status, r.problem().contains("called it off")), (409, true), "{}", r.body);
    }

    assert_eq!(rig.ask(&format!("PUT {NETWORK}"), &[JSON], &wanted().to_string()).await.status, 202);
    let r = rig.post(&format!("{NETWORK}/confirm"), json!({})).await;
    assert_eq!((r.status, &r.json()["state"]), (200, &json!("KEPT")), "{}", r.body);
    let r = rig.ask(&format!("DELETE {NETWORK}"), &[], "").await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = now(&rig).await;
    assert_eq!((&v["state"], &v["network"], &v["trial"]["otherwise"]), (&json!("ON_TRIAL"), &Value::Null, &wanted()));
    assert_eq!(rig.post(&format!("{NETWORK}/confirm"), json!({})).await.json()["state"], "SYSTEM");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_with_every_reason() {
    let rig = rig(64, "").await;
    let of = |ipv4: Value| json!({"interfaces": [{"device": "lan0", "ipv4": ipv4}]});
    for (body, status, words) in [
        (json!({}), 422, &["interfaces"][..]),
        (json!({"interfaces": []}), 422, &["there is none"]),
        (of(json!({"method": "DHCP"})), 422, &["DHCP"]),
        (of(json!({"method": "AUTO", "gateway": "192.0.2.1"})), 422, &["interfaces[0].ipv4: addresses and a gateway are STATIC's"]),
        (of(json!({"method": "STATIC", "addresses": ["192.0.2.10"]})), 422, &["interfaces[0].ipv4.addresses[0]", "with its prefix"]),
        (of(json!({"method": "STATIC", "addresses": ["192.0.2.10/24"], "gateway": "x"})), 422, &["interfaces[0].ipv4.gateway: 'x'"]),
        (
            json!({"interfaces": [{"device": "no/name", "vlan": 5000, "ipv4": {"method": "AUTO"}}], "dns": ["x"]}),
            422,
            &["interfaces[0].device", "interfaces[0].vlan", "dns[0]: 'x'"],
        ),
        (
            json!({"interfaces": [{"device": "lan7", "mtu": 100, "ipv4": {"method": "AUTO"}}], "ntp": ["-"]}),
            422,
            &["lan7 is no port of this box; it has lan0", "mtu: 100", "ntp[0]"],
        ),
    ] {
        for how in [format!("PUT {NETWORK}"), format!("POST {NETWORK}/plan")] {
            let r = rig.ask(&how, &[JSON], &body.to_string()).await;
            assert_eq!(r.status, status, "{how} {body} {}", r.body);
            words.iter().for_each(|w| assert!(r.body.contains(w), "{w}: {}", r.body));
        }
    }
    for query in ["?confirm_s=9", "?confirm_s=3601", "?confirm_s=x", "?other=1"] {
        assert_eq!(rig.ask(&format!("PUT {NETWORK}{query}"), &[JSON], &wanted().to_string()).await.status, 400, "{query}");
    }
    assert_eq!(now(&rig).await["state"], "SYSTEM");
}

#[test]
fn the_command_line_plans_applies_confirms_and_undoes() {
    let site = Site::start();
    let file = site.path("network.json");
    std::fs::write(&file, wanted().to_string()).expect("written");
    let file = file.display().to_string();
    assert!(site.says(0, &["host", "network"]).contains("system's own files"));
    assert!(site.says(0, &["host", "network", "plan", &file]).contains("Address=192.0.2.10/24"));
    let said = site.says(0, &["host", "network", "apply", &file, "--within", "600"]);
    assert!(said.contains("on trial by") && said.contains("bothy host network confirm"), "{said}");
    assert!(site.says(0, &["host", "network", "undo"]).contains("did not stay"));
    for refused in [&["apply", &file, "--confirm"][..], &["forget", "--confirm"]] {
        let said = site.says(2, &[&["host", "network"], refused].concat());
        assert!(said.contains("--endpoint"), "{said}");
    }
    site.says(0, &["host", "network", "apply", &file]);
    let said = site.says(0, &["host", "network", "confirm"]);
    assert!(said.contains("set by bothy") && said.contains("192.0.2.10/24 via 192.0.2.1"), "{said}");
    std::fs::write(site.path("network.json"), with_uplinks().to_string()).expect("written");
    site.says(0, &["host", "network", "apply", &file]);
    let said = site.says(0, &["host", "network", "confirm"]);
    assert!(said.contains("UPLINK") && said.contains("NOT_PROBED"), "{said}");
    site.says(0, &["host", "network", "forget"]);
    let said = site.says(0, &["host", "network", "confirm"]);
    assert!(said.contains("system's own files"), "{said}");
    site.says(3, &["host", "network", "confirm"]);
    site.says(1, &["host", "network", "plan", "/nonexistent/x"]);
}

/// Two ways out, of which the first is asked.
fn with_uplinks() -> Value {
    let auto = json!({"method": "AUTO"});
    json!({"interfaces": [
        {"device": "lan0", "ipv4": auto, "ipv6": auto, "probe": {
            "targets": [{"kind": "PING", "to": "198.51.100.1"}, {"kind": "TCP", "to": "2001:db8::1", "port": 443},
                {"kind": "DNS", "to": "198.51.100.53", "name": "example.net"}],
            "need": 1, "intervalS": 1, "misses": 2, "hits": 3}},
        {"device": "lan1", "ipv4": auto, "ipv6": {"method": "OFF"}},
    ]})
}

async fn eventually(rig: &Rig, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let v = now(rig).await;
        if is_so(&v) {
            return v;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("never {what}: {}", now(rig).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uplink_that_is_lost_is_shown_and_an_alarm_and_the_next_one_is_used() {
    let rig = rig(64, "").await;
    let r = rig.ask(&format!("PUT {NETWORK}"), &[JSON], &with_uplinks().to_string()).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let v = rig.post(&format!("{NETWORK}/confirm"), json!({})).await.json();
    assert_eq!(v["network"], with_uplinks(), "as it was said");
    let v = eventually(&rig, "well", |v| v["uplinks"][0]["ipv4"]["state"] == "WELL").await;
    let (first, second) = (&v["uplinks"][0], &v["uplinks"][1]);
    assert_eq!((&first["interface"], &first["ipv4"]["inUse"], &first["ipv6"]["inUse"]), (&json!("lan0"), &json!(true), &json!(true)));
    assert_eq!((&second["ipv4"], &second["ipv6"]), (&json!({"state": "NOT_PROBED", "inUse": false}), &Value::Null));

    rig.sim.lose_uplink("lan0", true);
    let v = eventually(&rig, "down", |v| v["uplinks"][0]["ipv4"]["state"] == "DOWN" && v["uplinks"][1]["ipv4"]["inUse"] == true).await;
    let lost = &v["uplinks"][0]["ipv4"];
    assert!(lost["lastMiss"].as_str().is_some_and(|w| w.contains("ping 198.51.100.1: no answer")), "{lost}");
    assert_eq!((&lost["inUse"], &lost["hitsToGo"], lost["since"].is_string()), (&json!(false), &json!(3), true));
    let said = rig.core.own_net().uplinks().condition().expect("one");
    assert!(said.text.contains("lan0 is down") && said.text.contains("IPv4 leaves by lan1"), "{said:?}");
    let alarms = standing("/bothy/v1/alarms");
    let is = |a: &Value| {
        a["probableCause"] == "UPLINK_DOWN" && a["perceivedSeverity"] == "MAJOR" && a.to_string().contains("uplink lan0 is down")
    };
    until(&rig, &alarms, |all| all.iter().any(is)).await;

    rig.sim.lose_uplink("lan0", false);
    let v = eventually(&rig, "back", |v| v["uplinks"][0]["ipv4"]["state"] == "WELL").await;
    assert_eq!((&v["uplinks"][0]["ipv4"]["inUse"], &v["uplinks"][0]["ipv4"]["hitsToGo"]), (&json!(true), &Value::Null), "{v}");
    until(&rig, &alarms, |all| !all.iter().any(is)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_cannot_be_is_refused_with_every_reason() {
    let rig = rig(64, "").await;
    let of = |targets: Value| json!({"interfaces": [{"device": "lan0", "ipv4": {"method": "AUTO"}, "probe": {"targets": targets}}]});
    for (body, words) in [
        (of(json!([{"kind": "ARP", "to": "192.0.2.1"}])), &["ARP"][..]),
        (
            of(
                json!([{"kind": "PING", "to": "x", "port": 7}, {"kind": "TCP", "to": "192.0.2.1"}, {"kind": "DNS", "to": "192.0.2.1", "port": 53}]),
            ),
            &[
                "interfaces[0].probe.targets[0].to: 'x' is not an address",
                "interfaces[0].probe.targets[0].port is TCP's",
                "targets[1].port: TCP needs it",
                "targets[2].port is TCP's",
                "targets[2].name: DNS needs it",
            ],
        ),
        (of(json!([{"kind": "PING", "to": "2001:db8::1"}])), &["interfaces[0].probe.targets[0].to: 2001:db8::1 is not reached"]),
    ] {
        let r = rig.ask(&format!("POST {NETWORK}/plan"), &[JSON], &body.to_string()).await;
        assert_eq!(r.status, 422, "{body} {}", r.body);
        words.iter().for_each(|w| assert!(r.body.contains(w), "{w}: {}", r.body));
    }
    let plain = rig.post(&format!("{NETWORK}/plan"), of(json!([{"kind": "PING", "to": "192.0.2.1"}]))).await;
    assert_eq!(plain.status, 200, "the rest has its usual values: {}", plain.body);
}

/// What somebody types at the box's own console, and what it says to that.
fn typed(site: &Site, lines: &str) -> String {
    let mut c = site.command(&["screen", "--first-start", "run/first-start"]);
    let mut screen = c.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    screen.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("typed");
    let o = screen.wait_with_output().expect("ended");
    assert!(o.status.success(), "{o:?}");
    String::from_utf8(o.stdout).expect("text")
}

#[test]
fn the_boxs_console_shows_where_it_is_and_changes_its_network() {
    let site = Site::start();
    let said = typed(&site, "");
    for words in ["Bothy", "Port lan0    192.0.2.10/24", "Fingerprint", "First token", "[n] network"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = typed(&site, "n\n1\ns\n192.0.2.20/24\n192.0.2.1\n\ny\n");
    assert!(said.contains("on trial") && said.contains("192.0.2.20/24 via 192.0.2.1") && said.contains("kept"), "{said}");
    let now = site.json(&["host", "network"]);
    assert_eq!((&now["state"], &now["network"]["interfaces"][1]["ipv4"]["method"]), (&json!("KEPT"), &json!("AUTO")), "{now}");
    for (lines, words) in [
        ("n\n1\ns\n192.0.2.20\n\n\n", "with its prefix"),
        ("n\n9\n", "none of the numbers"),
        ("x\n", "none of the letters"),
        ("c\n", "no change of the network waits"),
        ("n\n2\no\nn\n", "undone"),
        // Gone in the middle of it: nothing is kept.
        ("n\n2\no\n", "undone"),
    ] {
        let said = typed(&site, lines);
        assert!(said.contains(words), "{words}: {said}");
    }
    let again = site.json(&["host", "network"]);
    assert_eq!((&again["state"], &again["network"]), (&now["state"], &now["network"]));
}
