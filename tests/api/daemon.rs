//! The daemon as a process: first start, the command line against it, signals, second start.

use std::{
    fs::Permissions,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram, process::CommandExt as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

pub const BOTHY: &str = env!("CARGO_BIN_EXE_bothy");

pub struct Daemon {
    child: Child,
    notices: UnixDatagram,
}

impl Daemon {
    pub fn start(dir: &Path) -> Daemon {
        Daemon::start_with(dir, &[])
    }
    pub fn start_with(dir: &Path, args: &[&str]) -> Daemon {
        let notify = dir.join("notify");
        let _ = std::fs::remove_file(&notify);
        let notices = UnixDatagram::bind(&notify).expect("notify socket");
        notices.set_read_timeout(Some(Duration::from_secs(120))).expect("timeout");
        let child = Command::new(BOTHY)
            .args(["serve", "--config"])
            .arg(dir.join("bothy.toml"))
            .args(args)
            .env("NOTIFY_SOCKET", &notify)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("spawn");
        let d = Daemon { child, notices };
        d.expect("READY=1");
        d
    }
    /// Waits for a notice to the service manager.
    fn expect(&self, what: &str) {
        let mut buffer = [0; 256];
        loop {
            let n = self.notices.recv(&mut buffer).unwrap_or_else(|e| panic!("{what}: {e}"));
            if String::from_utf8_lossy(&buffer[..n]).contains(what) {
                return;
            }
        }
    }
    /// kill -9, and the end of the process is waited for.
    pub fn kill(mut self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
        self.child.wait().expect("wait");
    }
    fn signal(&self, s: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.child.id() as i32), s).expect("kill");
    }
    pub fn stop(mut self) -> String {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.expect("STOPPING=1");
        assert!(self.child.wait().expect("wait").success());
        let mut log = String::new();
        self.child.stderr.take().expect("stderr").read_to_string(&mut log).expect("log");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody has, below those that the kernel hands out to others meanwhile: a daemon is started on it again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let of_process = u16::try_from(std::process::id() % 500).expect("small") * 20;
    let ports = std::iter::from_fn(|| Some(20_000 + (of_process + NEXT.fetch_add(1, Ordering::SeqCst)) % 10_000));
    ports.take(10_000).find(|p| TcpListener::bind(("127.0.0.1", *p)).is_ok()).expect("a free port")
}

fn bothy(args: &[&str]) -> Output {
    Command::new(BOTHY).args(args).env_clear().output().expect("run")
}

#[test]
fn a_box_is_started_used_reconfigured_and_started_again() {
    let temp = tempfile::tempdir().expect("dir");
    let dir = temp.path();
    let port = free_port();
    let config = |log: &str| {
        let text = format!(
            "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"sol005\", \"admin\"]\n[log]\nformat = \"json\"\nlevel = \"{log}\"\n",
            dir.display()
        );
        std::fs::write(dir.join("bothy.toml"), text).expect("config");
    };
    config("info");
    let mut d = Daemon::start(dir);

    // The first start shows a token and a fingerprint, once, on the console alone.
    let mut console = BufReader::new(d.child.stdout.take().expect("stdout")).lines().map_while(Result::ok);
    let token = console.find(|l| l.trim().starts_with("bothy_")).expect("token").trim().to_owned();
    let fingerprint = console.find(|l| l.contains(':') && l.trim().len() == 95).expect("fingerprint").trim().to_owned();

    let socket = dir.join("run/bothy.sock").display().to_string();
    let local = bothy(&["--socket", &socket, "--json", "health"]);
    assert!(local.status.success(), "{local:?}");
    let health: serde_json::Value = serde_json::from_slice(&local.stdout).expect("json");
    assert_eq!(health["conditions"][0]["name"], "store");

    let url = format!("https://127.0.0.1:{port}");
    let remote = |more: &[&str]| bothy(&[&["--endpoint", &url], more].concat());
    for (args, code, says) in [
        (&["--fingerprint", &fingerprint, "--token", &token, "health"][..], 0, ""),
        (&["--cacert", &dir.join("data/tls/cert.pem").display().to_string(), "--token", &token, "health"], 0, ""),
        (&["--fingerprint", &fingerprint, "--token", "wrong", "health"], 3, "error: the token is not known here"),
        (&["--fingerprint", &fingerprint, "health"], 3, "error: this needs a token"),
        (&["--fingerprint", &"00".repeat(32), "--token", &token, "health"], 4, "another fingerprint"),
        (&["--fingerprint", "zz", "health"], 2, "--fingerprint must be"),
        (&["--fingerprint", &fingerprint, "--token", &token, "vnf", "list"], 3, "error: there is nothing at this path"),
    ] {
        let o = remote(args);
        let stderr = String::from_utf8_lossy(&o.stderr);
        assert_eq!(o.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?}: {stderr}");
    }
    assert_eq!(bothy(&["--socket", "/nonexistent", "health"]).status.code(), Some(4));
    assert_eq!(bothy(&["helth"]).status.code(), Some(2));

    // A second daemon on the same store is refused, and takes nothing from the first.
    let second = bothy(&["serve", "--config", &dir.join("bothy.toml").display().to_string()]);
    assert_eq!(second.status.code(), Some(1));

    config("debug");
    let applied = bothy(&["--socket", &socket, "config", "apply"]);
    assert_eq!(String::from_utf8_lossy(&applied.stdout), "log.level: counts now\n");
    // A good file is taken up by a signal: what can count at once does, the rest is listed.
    let text = std::fs::read_to_string(dir.join("bothy.toml")).expect("config");
    let good = text.replace("\"debug\"", "\"info\"") + "[limits]\nconnections = 77\n";
    std::fs::write(dir.join("bothy.toml"), good).expect("config");
    d.signal(nix::sys::signal::Signal::SIGHUP);
    d.expect("RELOADING=1");
    d.expect("READY=1");
    let shown = String::from_utf8_lossy(&bothy(&["--socket", &socket, "config", "show"]).stdout).into_owned();
    assert!(shown.lines().any(|l| l.split_whitespace().eq(["log.level", "\"info\"", "LIVE"])), "{shown}");
    assert!(!shown.lines().any(|l| l.contains("limits.connections") && l.contains("77")), "{shown}");
    config("debug");
    assert!(bothy(&["--socket", &socket, "config", "apply"]).status.success());
    config("loud");
    d.signal(nix::sys::signal::Signal::SIGHUP);
    d.expect("RELOADING=1");
    d.expect("READY=1");
    let level = bothy(&["--socket", &socket, "config", "show"]);
    assert!(String::from_utf8_lossy(&level.stdout).lines().any(|l| l.split_whitespace().eq(["log.level", "\"debug\"", "LIVE"])));

    let log = d.stop();
    assert!(!Path::new(&socket).exists());
    let applied = log.lines().find(|l| l.contains("configuration applied")).unwrap_or_else(|| panic!("{log}"));
    let applied: serde_json::Value = serde_json::from_str(applied).expect("json");
    let fields = applied.to_string();
    assert!(fields.contains("log.level") && fields.contains("limits.connections"), "{applied:#}");
    let (live, restart) = (applied["live"].to_string(), applied["restart"].to_string());
    assert!(live.contains("log.level") && !live.contains("limits") && restart.contains("limits.connections"), "{applied:#}");
    assert!(log.contains("configuration not applied") && log.contains("'loud' is none of"), "{log}");
    assert!(log.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()), "{log}");
    assert!(!log.contains(&token), "the token is in the log");

    // The second start takes what is there, makes nothing anew, and shows no token.
    config("info");
    let secrets = || ["data/tls/key.pem", "data/tls/cert.pem", "data/store/seal.key"].map(|f| std::fs::read(dir.join(f)).expect(f));
    let before = secrets();
    let mut d = Daemon::start(dir);
    assert_eq!(before, secrets());
    assert!(remote(&["--fingerprint", &fingerprint, "--token", &token, "health"]).status.success());
    let stdout = d.child.stdout.take();
    d.stop();
    let mut said = String::new();
    stdout.expect("stdout").read_to_string(&mut said).expect("read");
    assert_eq!(said, "");

    let verified = bothy(&["store", "verify", "--data-dir", &dir.join("data").display().to_string()]);
    assert!(verified.status.success(), "{verified:?}");
}

/// Waits for an entry of the audit trail of which this holds.
fn told(socket: &str, is: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let begun = std::time::Instant::now();
    loop {
        let o = bothy(&["--socket", socket, "--json", "audit", "list"]);
        let all: serde_json::Value = serde_json::from_slice(&o.stdout).unwrap_or_else(|e| panic!("{e}: {o:?}"));
        if let Some(e) = all.as_array().and_then(|all| all.iter().find(|e| is(e))) {
            return e.clone();
        }
        assert!(begun.elapsed() < std::time::Duration::from_secs(180), "not in the trail: {all:#}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// As a user who is nobody, with a binary that he may run.
fn as_nobody(dir: &Path, socket: &str) -> Output {
    let own = dir.join("bothy");
    if !own.exists() {
        // Not by this process: what it has open for writing, a child that another test forks has too, and nobody may run it.
        let made = Command::new("install").args(["-m", "755", BOTHY]).arg(&own).status().expect("install");
        assert!(made.success(), "{made}");
    }
    Command::new(own).args(["--socket", socket, "health"]).env_clear().current_dir("/").uid(65534).gid(65534).output().expect("run")
}

#[test]
fn the_unix_socket_serves_root_and_nobody_else() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIP: needs root");
        assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "BOTHY_REQUIRE=all: not root");
        return;
    }
    let temp = tempfile::tempdir().expect("dir");
    let dir = temp.path();
    let text = format!(
        "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nreference_points = [\"admin\"]\n[sim]\nenabled = true\n",
        dir.display()
    );
    std::fs::write(dir.join("bothy.toml"), &text).expect("config");
    let d = Daemon::start(dir);
    let socket = dir.join("run/bothy.sock");
    let path = socket.display().to_string();
    assert!(bothy(&["--socket", &path, "health"]).status.success());
    for folder in [dir, &dir.join("run")] {
        std::fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("mode");
    }
    // Its mode keeps others out,
    assert_eq!(std::fs::metadata(&socket).expect("socket").permissions().mode() & 0o777, 0o600);
    let o = as_nobody(dir, &path);
    let said = String::from_utf8_lossy(&o.stderr).into_owned();
    assert!(o.status.code() == Some(4) && said.contains("it serves root only"), "{o:?}");
    // and where somebody opened it to all, the daemon looks at who is there.
    std::fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("mode");
    let o = as_nobody(dir, &path);
    assert!(o.status.code() == Some(4) && o.stdout.is_empty(), "{o:?}");
    assert!(bothy(&["--socket", &path, "health"]).status.success());
    let trail = told(&path, |e| e["source"] == "uid 65534");
    assert_eq!((&trail["who"], &trail["status"]), (&serde_json::json!("-"), &serde_json::json!(403)), "{trail:#}");
    // What a signal has done is there too.
    for (more, status) in [("", 200), ("[log]\nlevel = \"loud\"\n", 422)] {
        std::fs::write(dir.join("bothy.toml"), format!("{text}{more}")).expect("config");
        d.signal(nix::sys::signal::Signal::SIGHUP);
        d.expect("READY=1");
        let trail = told(&path, |e| e["who"] == "SIGHUP" && e["status"] == status);
        assert_eq!(trail["path"], "/bothy/v1/config/apply", "{trail:#}");
    }
    let log = d.stop();
    assert!(log.contains("refused on the UNIX socket") && log.contains("65534"), "{log}");
}
