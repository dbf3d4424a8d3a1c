//! Zero touch over the network with processes: a fresh box is told of a bootstrap server and of nothing else, becomes its owner's,
//! calls the hub by a certificate of the hub's, and is driven through it. Nobody has touched it. Boxes that the hub does not know
//! get nothing.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    daemon::{BOTHY, Daemon, free_port},
    pair::{cli, https, token},
};

/// `bothy ztp ARGS`, without a daemon; what it said.
fn ztp(args: &[&str]) -> (bool, String) {
    let path = std::env::var("PATH").unwrap_or_default();
    let o = Command::new(BOTHY).args(["--json", "ztp"]).args(args).env_clear().env("PATH", path).output().expect("run");
    (o.status.success(), format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr)))
}

fn done(args: &[&str]) {
    let (fine, said) = ztp(args);
    assert!(fine, "{args:?}: {said}");
}

fn has_openssl() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    if !here {
        println!("SKIP: needs openssl");
        assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "BOTHY_REQUIRE=all: no openssl");
    }
    here
}

fn config(dir: &Path, port: u16, more: &str) {
    fs::create_dir_all(dir).expect("folder");
    let text = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"admin\", \"hub\"]\n[sim]\nenabled = true\n{more}",
        dir.display()
    );
    fs::write(dir.join("bothy.toml"), text).expect("config");
}

fn until(what: &str, mut seen: impl FnMut() -> (bool, String)) {
    let begun = Instant::now();
    loop {
        let (so, shown) = seen();
        if so {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "{what}: {shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_fresh_box_that_knows_a_bootstrap_server_alone_is_driven_through_the_hub_and_nobody_touched_it() {
    if !has_openssl() {
        return;
    }
    let temp = tempfile::tempdir().expect("dir");
    let at = |name: &str| temp.path().join(name).display().to_string();
    done(&["factory", "init", &at("factory")]);
    done(&["factory", "init", &at("other")]);
    for (factory, serial) in [("factory", "BX-1"), ("factory", "BX-2"), ("other", "BX-3")] {
        done(&["factory", "device", &at(factory), "--serial", serial, "--out", &at(serial)]);
    }
    let (hub, edge) = (temp.path().join("hub"), temp.path().join("box"));
    let (hub_port, home, boots) = (free_port(), free_port(), free_port());
    config(
        &hub,
        hub_port,
        &format!(
            "[hub]\nlisten = \"127.0.0.1:{home}\"\nca = \"{0}/operations.pem\"\nbootstrap = \"127.0.0.1:{boots}\"\nname = \"localhost\"\ndevices = \"{0}/manufacturer.pem\"\nowner = \"{0}\"\ndocuments = \"{1}\"\n[[hub.box]]\nserial = \"BX-1\"\n[[hub.box]]\nserial = \"BX-3\"\n",
            at("factory"),
            at("documents")
        ),
    );
    fs::create_dir_all(temp.path().join("documents/BX-1")).expect("folder");
    let document = format!(
        "[limits]\ncalls = 7\n[[call_home]]\nname = \"noc\"\naddress = \"localhost:{home}\"\nca = \"{{files}}/hub.pem\"\nclient = \"hub\"\ncertificate = \"{{files}}/operational.pem\"\nkey = \"{{files}}/operational.key\"\nreference_points = [\"sol003-vnfm\", \"admin\"]\nretry_s = 1\n"
    );
    fs::write(temp.path().join("documents/BX-1/merge.toml"), document).expect("document");
    let h = Daemon::start(&hub);

    // The boxes know where to ask, and nothing else.
    let told = format!("[ztp]\nenabled = true\ndhcp = false\nretry_s = 1\n[[ztp.server]]\naddress = \"localhost:{boots}\"\n");
    // One that is not enrolled, and one of another maker.
    for (serial, why) in [("BX-2", "answered 403: this box is not enrolled here"), ("BX-3", "(untrusted): ")] {
        let dir = temp.path().join(format!("{serial}-box"));
        config(&dir, free_port(), &told);
        let place = |what: &str| dir.join(what).display().to_string();
        let (fine, said) = ztp(&[
            "run",
            "--once",
            "--unconfined",
            "--identity",
            &at(serial),
            "--state",
            &place("state"),
            "--config",
            &place("bothy.toml"),
        ]);
        assert!(!fine && said.contains(why), "{serial}: {said}");
        assert_eq!(said.contains("answered"), serial == "BX-2", "whom the hub's TLS lets in is answered, nobody else: {said}");
        let (_, said) = ztp(&["status", "--identity", &at(serial), "--state", &place("state")]);
        let v: Value = serde_json::from_str(&said).expect("status");
        assert_eq!((&v["state"], v["passed"].as_array().map(Vec::len)), (&json!("failed"), Some(1)), "{v:#}");
    }

    config(&edge, free_port(), &told);
    let e = Daemon::start_with(&edge, &["--ztp-identity", &at("BX-1")]);
    let boxes = || cli(&hub, &["hub", "boxes"]);
    until("the box is connected", || {
        let v = boxes();
        (v[0]["connected"] == true && v[0]["health"].is_string(), format!("{v:#}"))
    });
    let v = boxes();
    assert_eq!(
        (&v[0]["serial"], &v[0]["pinned"], &v[0]["bootstrap"]["progress"]),
        (&json!("BX-1"), &json!(false), &json!("bootstrap-complete")),
        "{v:#}"
    );
    let token = token(&hub);
    let show = |path: &str| {
        let r = https(hub_port, &token, &format!("GET /boxes/BX-1{path}"), "");
        assert_eq!(r.status, 200, "{path}: {}", r.body);
        r.json()
    };
    assert_eq!(show("/vnflcm/v2/vnf_instances"), json!([]));
    let zero = show("/bothy/v1/host/ztp");
    assert_eq!((&zero["state"], &zero["source"]), (&json!("BOOTSTRAPPED"), &json!(format!("https://localhost:{boots}"))), "{zero:#}");
    let config = show("/bothy/v1/config");
    let calls = config["keys"].as_array().into_iter().flatten().find(|k| k["key"] == "limits.calls").expect("key").clone();
    assert_eq!(calls["value"], "7", "{calls}");
    // On the box it is the hub's client that has called, and the token that a fresh box shows at its screen is of no use any more.
    assert_eq!(show("/bothy/v1/whoami")["name"], "hub");
    assert_eq!(cli(&edge, &["token", "list"]), json!([]));
    assert!(!edge.join("run/first-start").exists());
    e.stop();

    // What it has become outlasts it, and it asks nobody any more.
    let e = Daemon::start_with(&edge, &["--ztp-identity", &at("BX-1")]);
    until("the box is there again", || {
        let v = boxes();
        (v[0]["connected"] == true, format!("{v:#}"))
    });
    e.stop();
    let log = h.stop();
    assert!(log.contains("a box would bootstrap that is not enrolled here") && log.contains("no box of a known manufacturer"), "{log}");
}

#[test]
fn a_daemon_that_cannot_start_by_what_was_conveyed_comes_up_by_the_configuration_of_before() {
    let temp = tempfile::tempdir().expect("dir");
    let dir = temp.path();
    config(dir, free_port(), "");
    let (file, state) = (dir.join("bothy.toml"), dir.join("data/ztp"));
    let was = fs::read_to_string(&file).expect("config");
    fs::create_dir_all(&state).expect("state");
    fs::write(state.join("before.toml"), &was).expect("kept");
    fs::write(state.join("status.json"), r#"{"state": "bootstrapped", "unproven": true}"#).expect("status");
    // Nothing is wrong with it but that this host has no such address.
    fs::write(&file, was.replace("127.0.0.1", "192.0.2.1")).expect("conveyed");
    let d = Daemon::start(dir);
    assert_eq!(fs::read_to_string(&file).expect("config"), was);
    let (_, said) = ztp(&["status", "--state", &state.display().to_string()]);
    let v: Value = serde_json::from_str(&said).expect("status");
    assert!(v["state"] == "failed" && said.contains("cannot listen on 192.0.2.1"), "{said}");
    d.stop();
}
