//! Backup and restore over the API and the command line: out of one daemon, through a file, into another.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    admin::described_as,
    cli::Site,
    rig::rig,
    shape::{described, schema_of},
};

const BACKUP: &str = "/bothy/v1/backup";
const RESTORE: &str = "/bothy/v1/restore";
const BYTES: &str = "Content-Type: application/octet-stream";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_before_anything_is_made() {
    let rig = rig(64, "").await;
    for level in ["configuration", "records", "disks"] {
        let v = rig.get(&format!("{BACKUP}?level={level}")).await.json();
        described_as(BACKUP, &v);
        assert_eq!((&v["level"], &v["waitsFor"]), (&json!(level), &json!([])));
    }
    for (body, status, words) in [
        (json!({}), 422, "level"),
        (json!({"level": "tapes", "clear": true}), 422, "configuration, records, disks"),
        (json!({"level": "records"}), 422, "give a passphrase"),
        (json!({"level": "records", "passphrase": "short"}), 422, "10 to 256"),
        (json!({"level": "records", "passphrase": "long enough", "clear": true}), 422, "one of them"),
    ] {
        let r = rig.post(BACKUP, body.clone()).await;
        assert_eq!((r.status, r.body.contains(words)), (status, true), "{body} {}", r.body);
    }
    let v = rig.get(RESTORE).await.json();
    described_as(RESTORE, &v);
    assert_eq!(v, json!({}));
    for (path, body, status, words) in [
        ("/plan", json!({}), 404, "send one first"),
        ("", json!({"token": "x"}), 404, "send one first"),
        ("/open", json!({}), 409, "no backup was sent"),
        ("/open", json!({"path": "relative"}), 422, "absolute path"),
        ("/open", json!({"path": "/nonexistent/x"}), 422, "/nonexistent/x"),
    ] {
        let r = rig.post(&format!("{RESTORE}{path}"), body.clone()).await;
        assert_eq!((r.status, r.body.contains(words)), (status, true), "{path} {body} {}", r.body);
    }
    let r = rig.ask(&format!("PUT {RESTORE}"), &["Content-Type: text/plain"], "x").await;
    assert_eq!(r.status, 415, "{}", r.body);
    assert_eq!(rig.ask(&format!("PUT {RESTORE}"), &[BYTES], "bothy backup 9\n").await.status, 204);
    let r = rig.post(&format!("{RESTORE}/open"), json!({})).await;
    assert_eq!((r.status, r.problem().contains("newer bothy")), (422, true), "{}", r.body);
    assert_eq!(rig.ask(&format!("DELETE {RESTORE}"), &[], "").await.status, 204);
}

/// Out of one daemon and into another.
#[test]
fn a_box_goes_through_a_file_into_another_one() {
    let (a, b) = (Site::start(), Site::start());
    a.says(0, &["project", "create", "lab"]);
    let file = a.path("box.backup").display().to_string();
    let pass = a.path("pass");
    std::fs::write(&pass, "correct horse\n").expect("written");
    let pass = pass.display().to_string();
    let by = ["--passphrase-file", &pass];
    let outline = a.says(0, &["backup", "create", &file, "--plan"]);
    assert!(outline.contains("records: 1"), "{outline}");
    let made = a.says(0, &[&["backup", "create", &file][..], &by].concat());
    assert!(made.contains("verified"), "{made}");
    let shown = a.json(&[&["backup", "show", &file][..], &by].concat());
    assert_eq!((&shown["level"], shown["entries"].as_array().expect("entries").len() >= 4), (&json!("configuration"), true));
    a.says(1, &[&["backup", "create", &file][..], &by].concat());
    a.says(0, &[&["backup", "verify", &file][..], &by].concat());
    let wrong = a.path("wrong");
    std::fs::write(&wrong, "another horse").expect("written");
    let said = a.says(1, &["backup", "verify", &file, "--passphrase-file", &wrong.display().to_string()]);
    assert!(said.contains("not the passphrase"), "{said}");

    let take = |more: &[&'static str]| [&["restore", file.as_str(), "--keep-configuration"][..], &by, more].concat();
    let plan = b.says(0, &take(&["--plan"]));
    assert!(plan.contains("a backup of") && plan.contains("this box keeps its own") && !plan.contains("does not fit"), "{plan}");
    let p = b.json(&take(&["--plan"]));
    let schema = schema_of(&described(), "/bothy/v1/restore/plan", "post", "200");
    let faults: Vec<String> = jsonschema::validator_for(&schema).expect("schema").iter_errors(&p).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}\n{p:#}");
    b.says(2, &take(&[]));
    let fingerprint = b.json(&["tls", "show"])["fingerprint"].clone();
    assert!(b.says(0, &["restore", "--status"]).contains("to be restored"));
    b.says(0, &take(&["--yes"]));
    let until = Instant::now() + Duration::from_secs(60);
    let now = loop {
        let o = b.run(&["--json", "restore", "--status"]);
        let now: Value = serde_json::from_slice(&o.stdout).unwrap_or_default();
        if o.status.success() && now["restoredFrom"].is_object() {
            break now;
        }
        assert!(Instant::now() < until, "{o:?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(now["staged"].is_null() && now["orderedBy"].is_null(), "{now}");
    assert!(b.json(&["project", "list"]).to_string().contains("lab"));
    assert_eq!(b.json(&["tls", "show"])["fingerprint"], fingerprint, "its identity is its own");
    assert!(b.json(&["health"])["conditions"].to_string().contains("restored from a backup of"), "a centre reads it there");
    assert_eq!(now["restoredFrom"]["fingerprint"], a.json(&["tls", "show"])["fingerprint"]);
}
