//! Through Faucet: its file, its reload, and what it measures.

use std::{path::PathBuf, process::Command};

use bothy::model::sdn::{Controller, ControllerDraft};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::lab::*;
use crate::kit::{self, Daemon, Need};

/// Where `tests/setup` puts it.
const FAUCET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build/faucet/bin/faucet");

const THEIRS: &str = "\
version: 2
vlans:
  office:
    vid: 300
dps:
  tor:
    dp_id: 0x1
    hardware: Open vSwitch
    interfaces:
      5:
        native_vlan: office
      6:
        native_vlan: office
";

const FUNCTIONS: [Function; 4] = [
    Function { n: 1, port: "1", link: 1, vf: false },
    Function { n: 2, port: "2", link: 1, vf: false },
    Function { n: 3, port: "3", link: 2, vf: false },
    Function { n: 4, port: "4", link: 1, vf: true },
];

struct Run {
    // Ends before its folder goes.
    faucet: Daemon,
    dir: tempfile::TempDir,
}

impl Run {
    fn start() -> Run {
        let dir = kit::scratch();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("faucet.yaml"), THEIRS).expect("written");
        // It starts osken-manager by its name.
        let bin = PathBuf::from(FAUCET).parent().expect("a folder").to_owned();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut c = Command::new(FAUCET);
        c.env("PATH", path).env("FAUCET_CONFIG", at("faucet.yaml")).env("FAUCET_LOG", at("log"));
        c.env("FAUCET_EXCEPTION_LOG", at("exceptions")).env("FAUCET_EVENT_SOCK", "").env("FAUCET_CONFIG_STAT_RELOAD", "0");
        c.env("FAUCET_PROMETHEUS_ADDR", "127.0.0.1").env("FAUCET_PROMETHEUS_PORT", "9302");
        c.args(["--ryu-ofp-listen-host=127.0.0.1", "--ryu-ofp-tcp-listen-port=6653"]).current_dir(dir.path());
        let faucet = Daemon::start(&mut c);
        // It becomes osken-manager, under the same number.
        std::fs::write(at("pid"), faucet.id().to_string()).expect("written");
        Run { faucet, dir }
    }
    fn reload(&self) {
        kill(Pid::from_raw(self.faucet.id() as i32), Signal::SIGHUP).expect("told");
    }
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }
    fn file(&self) -> String {
        std::fs::read_to_string(self.path("faucet.yaml")).expect("Faucet's file")
    }
    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
    fn controller(&self) -> Controller {
        let draft = ControllerDraft {
            name: "f".into(),
            kind: "faucet".into(),
            url: "http://127.0.0.1:9302".into(),
            file: self.path("faucet.yaml"),
            pid_file: self.path("pid"),
            networks: vec!["wan".into()],
            datapaths: vec![SWITCH.into()],
            ..ControllerDraft::default()
        };
        draft.check().expect("a controller")
    }
}

/// Python takes seconds to start, and a reload its time.
#[track_caller]
fn at_last(run: &Run, lab: &Lab, what: &str, mut f: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while !f() {
        assert!(std::time::Instant::now() < until, "never: {what}: {:?} {}\n{}\n{}", lab.states(), lab.why(), run.file(), run.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn faucet_carries_the_links_of_functions_and_keeps_what_others_wrote() {
    if kit::lacks(&[Need::File(FAUCET)]) {
        return;
    }
    let Some(lab) = Lab::start() else { return };
    let hosts = [lab.host(1, "p1"), lab.host(2, "p2"), lab.host(3, "p3")];
    let vf = lab.vf_host(4, "p4", 100);
    let office = [lab.host(5, "p5"), lab.host(6, "p6")];
    lab.ovs.vsctl(&["set", "bridge", SWITCH, "other-config:datapath-id=0000000000000001", "fail_mode=secure"]);
    lab.ovs.vsctl(&["set-controller", SWITCH, "tcp:127.0.0.1:6653"]);
    let run = Run::start();
    at_last(&run, &lab, "what others wrote works", || reaches(&office[0], 6));

    lab.outside.configure(lab.settings(run.controller(), &FUNCTIONS));
    lab.accept(&[(1, 100), (2, 200)], &FUNCTIONS);
    at_last(&run, &lab, "active", || lab.states() == ["link1 ACTIVE", "link2 ACTIVE"]);
    at_last(&run, &lab, "one link", || reaches(&hosts[0], 2) && reaches(&hosts[0], 4) && reaches(&vf, 2));
    assert!(!reaches(&hosts[0], 3) && !reaches(&vf, 3) && !reaches(&office[0], 1), "two links, and the office");
    assert!(reaches(&office[0], 6));

    // Somebody takes a VLAN off in the file and has Faucet read it.
    let spoilt = run.file().replacen("        native_vlan: \"bothy-100\"\n", "", 1);
    assert_ne!(spoilt, run.file());
    std::fs::write(run.path("faucet.yaml"), spoilt).expect("written");
    run.reload();
    at_last(&run, &lab, "repaired", || run.file().matches("native_vlan: \"bothy-100\"").count() == 2);
    at_last(&run, &lab, "works again", || lab.states() == ["link1 ACTIVE", "link2 ACTIVE"] && reaches(&hosts[0], 2));

    // The other end of a function goes: the link is down. Then all of it goes, and the file is as it was.
    hosts[1].run(|| kit::sh(&["ip", "link", "set", "eth0", "down"]));
    at_last(&run, &lab, "down", || lab.states()[0] == "link1 DOWN");
    lab.settle();
    at_last(&run, &lab, "as it was", || !run.file().contains("bothy"));
    assert_eq!(run.file(), THEIRS);
    assert_eq!(std::fs::read_to_string(run.path("faucet.yaml.before-bothy")).expect("a copy"), THEIRS);
    at_last(&run, &lab, "on no link", || !reaches(&hosts[0], 4));
    assert!(reaches(&office[0], 6));
}
