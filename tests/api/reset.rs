//! Factory reset over the API and the command line: shown first, confirmed by what was shown, and seen through by a daemon that
//! starts anew.

use std::{
    io::Write as _,
    process::Stdio,
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use bothy::sim::{SimConfig, slots::bundle};
use serde_json::{Value, json};

use crate::{
    admin::described_as,
    cli::Site,
    rig::{rig, rig_on},
    shape::{described, schema_of},
};

const RESET: &str = "/bothy/v1/host/reset";

fn is_a_plan(v: &Value) {
    let schema = schema_of(&described(), "/bothy/v1/host/reset/plan", "post", "200");
    let faults: Vec<String> = jsonschema::validator_for(&schema).expect("schema").iter_errors(v).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}\n{v:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_ordered_by_the_plan_that_was_shown_and_once() {
    let rig = rig(64, "").await;
    let now = rig.get(RESET).await.json();
    described_as(RESET, &now);
    assert_eq!(now, json!({}));
    let mut tokens = Vec::new();
    for depth in ["services", "configuration", "everything"] {
        let r = rig.post(&format!("{RESET}/plan"), json!({ "depth": depth })).await;
        assert_eq!(r.status, 200, "{}", r.body);
        let plan = r.json();
        is_a_plan(&plan);
        assert_eq!((&plan["depth"], &plan["restarts"]), (&json!(depth), &json!("BOTHY")));
        assert!(!plan["stays"].as_array().expect("stays").is_empty());
        tokens.push(plan["token"].as_str().expect("a token").to_owned());
    }
    for (body, status, words) in [
        (json!({}), 422, "depth"),
        (json!({"depth": "half", "token": tokens[0]}), 422, "services, configuration, everything"),
        (json!({"depth": "services"}), 422, "token"),
        (json!({"depth": "services", "token": tokens[1]}), 409, "look at it again"),
    ] {
        let r = rig.post(RESET, body.clone()).await;
        assert_eq!((r.status, r.body.contains(words)), (status, true), "{body} {}", r.body);
    }
    assert_eq!((rig.get(RESET).await.json(), rig.again.load(SeqCst)), (json!({}), 0), "nothing was ordered");
    let r = rig.post(RESET, json!({"depth": "services", "token": tokens[0]})).await;
    assert_eq!(r.status, 202, "{}", r.body);
    is_a_plan(&r.json());
    let now = rig.get(RESET).await.json();
    described_as(RESET, &now);
    assert_eq!((&now["ordered"]["depth"], &now["ordered"]["tries"], rig.again.load(SeqCst)), (&json!("services"), &json!(0), 1));
    let r = rig.post(RESET, json!({"depth": "everything", "token": tokens[2]})).await;
    assert_eq!((r.status, r.problem().contains("ordered by")), (409, true), "{}", r.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_under_way_refuses_it_and_a_network_on_trial_until_somebody_insists() {
    let rig = rig_on(64, "", SimConfig { system: Some(("1.0", 3)), ..SimConfig::default() }).await;
    let plan = async |depth: &str| {
        let v = rig.post(&format!("{RESET}/plan"), json!({ "depth": depth })).await.json();
        is_a_plan(&v);
        v
    };
    let deep = plan("everything").await;
    assert_eq!((&deep["restarts"], &deep["skipped"]), (&json!("BOX"), &json!([])));
    assert!(deep["stays"].to_string().contains("IDevID") && deep["stays"].to_string().contains("security counter"), "{deep}");

    let wanted = json!({"interfaces": [{"device": "lan0", "ipv4": {"method": "AUTO"}}]});
    let r = rig.ask("PUT /bothy/v1/host/network?confirm_s=600", &["Content-Type: application/json"], &wanted.to_string()).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let waits = plan("services").await;
    assert!(waits["waitsFor"][0].as_str().expect("a reason").contains("waits to be confirmed"), "{waits}");
    let r = rig.post(RESET, json!({"depth": "services", "token": waits["token"]})).await;
    assert_eq!((r.status, r.problem().contains("insist")), (409, true), "{}", r.body);

    let r = rig.ask("PUT /bothy/v1/host/update?restart=false", &["Content-Type: application/octet-stream"], &bundle("1.1", 3)).await;
    assert_eq!(r.status, 202, "{}", r.body);
    let until = Instant::now() + Duration::from_secs(60);
    while rig.get("/bothy/v1/host/update").await.json()["update"]["state"] != "ARMED" {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let r = rig.post(RESET, json!({"depth": "services", "token": waits["token"], "insist": true})).await;
    assert_eq!((r.status, r.problem().contains("update rollback")), (409, true), "{}", r.body);
    assert_eq!(rig.ask("DELETE /bothy/v1/host/update", &[], "").await.status, 202);
    let r = rig.post(RESET, json!({"depth": "services", "token": waits["token"], "insist": true})).await;
    assert_eq!((r.status, rig.again.load(SeqCst)), (202, 1), "{}", r.body);
}

/// Over the daemon itself: it becomes another one in the same process.
#[test]
fn the_daemon_starts_anew_and_is_what_the_depth_left() {
    let site = Site::start();
    site.says(0, &["project", "create", "lab"]);
    let plan = site.says(0, &["host", "reset", "--depth", "configuration", "--plan"]);
    assert!(plan.contains("goes:") && plan.contains("bothy.toml: this host is no box"), "{plan}");
    let projects = || site.json(&["project", "list"]).as_array().map_or(0, Vec::len);
    let before = projects();
    let refused = site.says(2, &["host", "reset", "--depth", "services"]);
    assert!(refused.contains("nobody is here to confirm it"), "{refused}");
    site.says(2, &["host", "reset", "--depth", "half"]);
    assert!(site.says(0, &["host", "reset", "--status"]).contains("not been reset"));

    let last = |depth: &str| {
        let said = site.says(0, &["host", "reset", "--depth", depth, "--yes"]);
        assert!(said.contains("starts anew"), "{said}");
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let o = site.run(&["--json", "host", "reset", "--status"]);
            let now: Value = serde_json::from_slice(&o.stdout).unwrap_or_default();
            if o.status.success() && now["ordered"].is_null() && (depth == "everything" || now["last"]["depth"] == depth) {
                return now;
            }
            assert!(Instant::now() < until, "{o:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let now = last("services");
    assert_eq!((&now["last"]["left"], projects()), (&json!([]), before), "what it was told stays");
    let fingerprint = site.json(&["tls", "show"])["fingerprint"].clone();
    last("configuration");
    assert_eq!(projects(), before - 1);
    assert_eq!(site.json(&["tls", "show"])["fingerprint"], fingerprint);
    let token = std::fs::read_to_string(site.path("run/first-start")).expect("a token for the first administrator");
    last("everything");
    assert_ne!(site.json(&["tls", "show"])["fingerprint"], fingerprint, "its key is another");
    assert_ne!(std::fs::read_to_string(site.path("run/first-start")).expect("a token"), token);
    assert!(!site.json(&["audit", "list"]).to_string().contains("host/reset"), "nobody remembers");
}

#[test]
fn the_menu_of_the_console_asks_for_the_word_itself() {
    let site = Site::start();
    let typed = |lines: &str| {
        let mut c = site.command(&["screen", "--every", "1"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("run");
        c.stdin.take().expect("stdin").write_all(lines.as_bytes()).expect("typed");
        String::from_utf8_lossy(&c.wait_with_output().expect("ended").stdout).into_owned()
    };
    let said = typed("r\ns\ny\n");
    assert!(said.contains("[r] reset") && said.contains("Type services to do it") && said.contains("nothing was done"), "{said}");
    assert!(typed("r\nx\n").contains("none of s, c, e"));
    assert_eq!(site.json(&["host", "reset", "--status"]), json!({}));
    let said = typed("r\ns\nservices\n");
    assert!(said.contains("starts anew and is reset"), "{said}");
}
