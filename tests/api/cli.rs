//! The command line as people and programs use it, against a daemon over the in-memory box.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use regex::Regex;
use serde_json::Value;

use crate::daemon::{BOTHY, Daemon};

struct Site {
    dir: tempfile::TempDir,
    _daemon: Daemon,
}

impl Site {
    fn start() -> Site {
        let dir = tempfile::tempdir().expect("dir");
        let text = format!(
            "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nreference_points = [\"admin\"]\n[sim]\nenabled = true\n",
            dir.path().display()
        );
        fs::write(dir.path().join("bothy.toml"), text).expect("config");
        let daemon = Daemon::start(dir.path());
        Site { dir, _daemon: daemon }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The vcpe packages; a simulated guest says nothing on its console, so its readiness is left out.
    fn vcpe(&self) -> String {
        let to = self.path("vcpe");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/vcpe"), &to);
        let images = self.path("images");
        fs::create_dir_all(&images).expect("images");
        // As much of a qcow2 image as the in-memory box looks at: 24 MiB, no backing file.
        let mut head = b"QFI\xfb\0\0\0\x03".to_vec();
        head.extend([0; 16]);
        head.extend((24u64 << 20).to_be_bytes());
        head.resize(512, 0);
        fs::write(images.join("tiny.qcow2"), head).expect("image");
        to.display().to_string()
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("run")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(BOTHY);
        c.args(args).env_clear().env("BOTHY_SOCKET", self.path("run/bothy.sock")).current_dir(self.dir.path());
        c
    }

    /// What was said, once the exit code is the one expected; ids, MACs, times and paths made the same in every run.
    fn says(&self, code: i32, args: &[&str]) -> String {
        let o = self.run(args);
        let (stdout, stderr) = (String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        assert_eq!(o.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
        redacted(&format!("{stdout}{stderr}").replace(&self.dir.path().display().to_string(), "DIR"))
    }

    fn json(&self, args: &[&str]) -> Value {
        let o = self.run(&[&["--json"], args].concat());
        serde_json::from_slice(&o.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {o:?}"))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("folder");
    for e in fs::read_dir(from).expect("folder").flatten() {
        let at = to.join(e.file_name());
        if e.path().is_dir() {
            copy(&e.path(), &at);
        } else if e.path().extension().is_some_and(|x| x == "yaml") {
            let text = fs::read_to_string(e.path()).expect("text");
            let kept: Vec<&str> = text.lines().filter(|l| !l.trim().starts_with("bothy.readiness")).collect();
            fs::write(at, kept.join("\n")).expect("text");
        } else {
            fs::copy(e.path(), at).expect("copy");
        }
    }
}

fn redacted(text: &str) -> String {
    let mut text = text.to_owned();
    for (what, with) in [
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UUID"),
        (r"b-[a-z2-7]{26}", "b-DOMAIN"),
        (r"52:54:00(:[0-9a-f]{2}){3}", "52:54:00:MM:MM:MM"),
        (r"\b[0-9a-f]{12}\b", "DIGEST"),
        (r"\b[0-9a-f]{8}\b", "IDENTITY"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r" +█+", " BAR"),
        (r"\d+\.\d{3} s\b", "N.NNN s"),
    ] {
        text = Regex::new(what).expect("pattern").replace_all(&text, with).into_owned();
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_service_comes_up_from_a_folder_is_looked_at_and_goes_away_again() {
    let site = Site::start();
    let vcpe = site.vcpe();
    let up: &[&str] = &["up", &vcpe, "--images", "images"];

    insta::assert_snapshot!("plan_before_onboarding", site.says(0, &[up, &["--plan"]].concat()));
    assert_eq!(site.json(&["vnfpkg", "list"]), serde_json::json!([]), "a plan touches nothing");
    let missing = site.says(1, &["up", &vcpe, "--images", "nowhere"]);
    assert!(
        missing.contains("  - Files/images/tiny.qcow2 of vcpe-client, vcpe-firewall, vcpe-web: looked in the package and in nowhere"),
        "{missing}"
    );

    insta::assert_snapshot!("up", site.says(0, up));
    insta::assert_snapshot!("up_again", site.says(0, up));
    insta::assert_snapshot!("ns_show", site.says(0, &["ns", "show", "vcpe"]));
    insta::assert_snapshot!("net_list", site.says(0, &["net", "list"]));
    insta::assert_snapshot!("explain", site.says(0, &["explain", "lan"]));
    let shown = site.json(&["ns", "show", "vcpe"]);
    assert_eq!(shown["nsState"], "INSTANTIATED");

    let ops = site.json(&["op", "list"]);
    let of_ns: Vec<&str> =
        ops.as_array().expect("list").iter().filter(|o| o["nsInstanceId"].is_string()).filter_map(|o| o["id"].as_str()).collect();
    assert_eq!(of_ns.len(), 1, "the second up began nothing");
    let drawn = site.says(0, &["op", "show", &of_ns[0][..8]]);
    for says in ["INSTANTIATE is COMPLETED", "link mgmt", "instantiate VNF firewall", "web: INSTANTIATE", "start web/0", "█"] {
        assert!(drawn.contains(says) || says == "█" && drawn.contains("BAR"), "{says}: {drawn}");
    }
    assert!(drawn.lines().all(|l| l.chars().count() <= 100), "{drawn}");
    site.says(0, &["op", "wait", of_ns[0]]);

    site.says(0, &["vnf", "logs", "vcpe-web"]);
    let day0 = site.says(0, &["vnf", "day0", "--preview", "vcpe-web/web"]);
    assert!(day0.contains("--- user-data") && day0.contains("httpd"), "{day0}");
    assert!(site.says(0, &["vnf", "xml", "vcpe-web/web/0"]).contains("<domain"));
    site.says(0, &["vnf", "stop", "vcpe-web"]);
    assert!(site.says(0, &["ns", "show", "vcpe"]).contains("STOPPED"));
    site.says(0, &["vnf", "start", "vcpe-web"]);
    site.says(0, &["vnf", "reboot", "--hard", "vcpe-web/web"]);

    insta::assert_snapshot!("down", site.says(0, &["down", &vcpe]));
    insta::assert_snapshot!("down_again", site.says(0, &["down", "vcpe"]));
    insta::assert_snapshot!("plan", site.says(0, &[up, &["--plan"]].concat()));
    insta::assert_snapshot!("purge", site.says(0, &["down", "vcpe", "--purge"]));
    assert_eq!(site.json(&["vnfpkg", "list"]), serde_json::json!([]));
    assert_eq!(site.json(&["ns", "list"]), serde_json::json!([]));
}

#[test]
fn a_service_can_have_another_name_and_what_differs_is_said() {
    let site = Site::start();
    let vcpe = site.vcpe();
    let ns = site.json(&["up", &vcpe, "--images", "images", "--name", "site-7", "--param", "x=1"]);
    assert_eq!(ns["nsInstanceName"], "site-7");
    fs::write(Path::new(&vcpe).join("vcpe-web/Files/day0/user-data"), "#!/bin/sh\n").expect("changed");
    let again = site.says(0, &["up", &vcpe, "--images", "images", "--name", "site-7"]);
    assert!(again.contains("VNF package vcpe-web 1.0: IDENTITY has the same descriptor id but other content"), "{again}");
    assert!(again.contains("VNF package vcpe-client 1.0: onboarded already"), "{again}");
    let gone = site.json(&["down", "site-7", "--force", "--purge"]);
    assert_eq!(gone["removed"].as_array().map(Vec::len), Some(4), "{gone}");
}

#[test]
fn exit_codes_tell_who_refused() {
    let site = Site::start();
    for (code, args, says) in [
        (1, &["up", "nowhere"][..], "error: cannot read the folder"),
        (1, &["package", "lint", "nowhere"], "cannot be onboarded"),
        (2, &["up"], "Usage:"),
        (2, &["secret", "set", "a/b"], "is no name of a secret"),
        (3, &["vnf", "show", "nobody"], "error: there is no VNF instance 'nobody'"),
        (3, &["vnf", "console", "nobody/vdu"], "error: there is no VNF instance 'nobody'"),
        (3, &["explain", "nothing"], "error: no network service, VNF, virtual link or operation is called 'nothing'"),
        (3, &["net", "show", "nothing"], "error: there is no virtual link 'nothing'"),
        (4, &["--socket", "/nonexistent", "down", "x"], "error: cannot reach the daemon"),
        (0, &["store", "verify"], "VNF package"),
        (0, &["health"], "store"),
    ] {
        let text = site.says(code, args);
        assert!(text.contains(says), "{args:?}: {text}");
    }
}

#[test]
fn secrets_are_set_listed_and_never_shown() {
    let site = Site::start();
    let mut set = site.command(&["secret", "set", "wan_key"]).stdin(Stdio::piped()).spawn().expect("spawn");
    set.stdin.take().expect("stdin").write_all(b"hush\n").expect("value");
    assert!(set.wait().expect("wait").success());
    assert_eq!(site.says(0, &["secret", "list"]), "NAME\nwan_key");
    site.says(0, &["support", "-o", "support.tar"]);
    site.says(0, &["store", "export", "export.bothy"]);
    for file in ["support.tar", "export.bothy"] {
        let bytes = fs::read(site.path(file)).expect(file);
        assert!(!bytes.is_empty(), "{file}");
        assert!(!bytes.windows(4).any(|w| w == b"hush"), "{file} holds the secret");
    }
    site.says(0, &["secret", "delete", "wan_key"]);
    assert_eq!(site.says(0, &["secret", "list"]), "none");
}

#[test]
fn a_console_carries_bytes_both_ways_and_ends_with_its_input() {
    let site = Site::start();
    let vcpe = site.vcpe();
    site.says(0, &["up", &vcpe, "--images", "images"]);
    let mut console =
        site.command(&["vnf", "console", "vcpe-web/web/0"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("spawn");
    console.stdin.take().expect("stdin").write_all(b"marco").expect("typed");
    let o = console.wait_with_output().expect("wait");
    assert!(o.status.success(), "{o:?}");
    // The simulated console echoes.
    assert_eq!(String::from_utf8_lossy(&o.stdout), "marco");
}
