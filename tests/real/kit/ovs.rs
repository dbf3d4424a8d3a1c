//! An Open vSwitch of the test's own: database and switch daemon with sockets in a scratch folder,
//! in the network namespace of the calling thread.

use std::{path::PathBuf, process::Command};

use super::{Daemon, eventually, scratch, sh};

pub const NEEDS: [super::Need; 5] = [
    super::Need::Root,
    super::Need::Program("ovsdb-server"),
    super::Need::Program("ovs-vswitchd"),
    super::Need::File("/dev/net/tun"),
    super::Need::Program("busybox"),
];

pub struct Ovs {
    // Daemons first: they end before their folder does.
    switch: Option<Daemon>,
    database: Option<Daemon>,
    dir: tempfile::TempDir,
}

impl Ovs {
    pub fn start() -> Ovs {
        let dir = scratch();
        let at = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        sh(&["ovsdb-tool", "create", &at("conf.db"), "/usr/share/openvswitch/vswitch.ovsschema"]);
        let mut ovs = Ovs { switch: None, database: None, dir };
        ovs.start_database();
        sh(&["ovs-vsctl", &ovs.db_arg(), "--no-wait", "init"]);
        ovs.start_switch();
        ovs
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("db.sock")
    }
    /// Where ovs-appctl speaks with the switch daemon.
    pub fn control(&self) -> PathBuf {
        self.dir.path().join("switch.ctl")
    }
    pub fn db_arg(&self) -> String {
        format!("--db=unix:{}", self.socket().display())
    }
    /// Runs ovs-vsctl, as libvirt does for guests' ports.
    #[track_caller]
    pub fn vsctl(&self, args: &[&str]) -> String {
        let db = self.db_arg();
        sh(&[&["ovs-vsctl", &db, "--timeout=60"], args].concat())
    }

    pub fn start_database(&mut self) {
        let _ = std::fs::remove_file(self.socket());
        self.database = Some(self.daemon("ovsdb-server", &["conf.db", "--remote=punix:db.sock", "--unixctl=db.ctl"]));
        let socket = self.socket();
        eventually("ovsdb-server listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    }
    pub fn start_switch(&mut self) {
        self.switch = Some(self.daemon("ovs-vswitchd", &["unix:db.sock", "--unixctl=switch.ctl"]));
    }
    /// Kills it with SIGKILL and waits for its end.
    pub fn kill_database(&mut self) {
        self.database = None;
    }
    pub fn kill_switch(&mut self) {
        self.switch = None;
    }

    fn daemon(&self, program: &str, args: &[&str]) -> Daemon {
        let log = format!("--log-file={}", self.dir.path().join(format!("{program}.log")).display());
        // The run folder is where it puts a socket per bridge: never the system's.
        let env = [("OVS_RUNDIR", self.dir.path()), ("OVS_DBDIR", self.dir.path()), ("OVS_LOGDIR", self.dir.path())];
        Daemon::start(Command::new(program).current_dir(self.dir.path()).envs(env).args(args).arg(log).arg("-vconsole:off"))
    }
}
