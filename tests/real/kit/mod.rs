//! What the real tests share: needs, scratch folders, programs, namespaces, daemons of their own.

pub mod bothy;
pub mod dhcp6;
pub mod host;
pub mod netns;
pub mod ovs;
pub mod shell;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Something a test cannot do without.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    Root,
    Program(&'static str),
    File(&'static str),
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Need::Root => f.write_str("root"),
            Need::Program(name) => write!(f, "the program {name}"),
            Need::File(path) => f.write_str(path),
        }
    }
}

impl Need {
    fn met(self) -> bool {
        match self {
            Need::Root => nix::unistd::geteuid().is_root(),
            Need::Program(name) => program(name).is_some(),
            Need::File(path) => Path::new(path).exists(),
        }
    }
}

/// Programs of the system are not on everybody's PATH.
fn program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(system).map(|d| d.join(name)).find(|p| p.exists())
}

/// True when the test must be left; says why, or fails where nothing may be skipped.
pub fn lacks(needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter(|n| !n.met()).map(|n| n.to_string()).collect();
    if missing.is_empty() {
        return false;
    }
    let text = format!("needs {}", missing.join(", "));
    assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "{text}");
    eprintln!("SKIP: {text}");
    true
}

/// Leaves the test when something it needs is missing: `needs!(Root, Program("nft"))`.
macro_rules! needs {
    ($($need:ident $(($arg:expr))?),+ $(,)?) => {
        if $crate::kit::lacks(&[$($crate::kit::Need::$need $(($arg))?),+]) { return; }
    };
}

/// A folder that goes with the test; its path is short enough for UNIX sockets.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("bothy-").tempdir_in("/tmp").expect("a folder in /tmp")
}

pub fn utf8(p: &Path) -> &camino::Utf8Path {
    camino::Utf8Path::from_path(p).expect("UTF-8")
}

/// Runs a program that must succeed; its stdout.
#[track_caller]
pub fn sh(argv: &[&str]) -> String {
    let (ok, text) = try_sh(argv);
    assert!(ok, "{argv:?}: {text}");
    text
}

/// Runs a program; whether it succeeded, and what it said.
#[track_caller]
pub fn try_sh(argv: &[&str]) -> (bool, String) {
    let (name, args) = argv.split_first().expect("a program");
    let out = Command::new(name).args(args).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{argv:?}: {e}"));
    let err = if out.status.success() { String::new() } else { String::from_utf8_lossy(&out.stderr).into_owned() };
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &err)
}

/// Waits until `f` is true; fails with `what` after a minute, since hosts of tests stand still now and then.
#[track_caller]
pub fn eventually(what: &str, mut f: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !f() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A child that is killed and reaped with its owner.
pub struct Daemon(Child);

impl Daemon {
    #[track_caller]
    pub fn start(command: &mut Command) -> Daemon {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Daemon(child.unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
