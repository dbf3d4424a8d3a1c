//! The daemon on a host of the test's own: started, killed, asked over its UNIX socket and by its
//! command line; and what it may have left on the host.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bothy::descriptor::{Build, Limits};
use serde_json::{Value, json};

use super::{host::Host, sh};
use crate::declared::unlike_anywhere;

/// What an end-to-end test cannot do without.
pub const NEEDS: [super::Need; 9] = [
    super::Need::Root,
    super::Need::Program("libvirtd"),
    super::Need::Program("virtlogd"),
    super::Need::Program("qemu-system-x86_64"),
    super::Need::Program("ovs-vswitchd"),
    super::Need::Program("dnsmasq"),
    super::Need::Program("nft"),
    super::Need::Program("virsh"),
    super::Need::File("/dev/net/tun"),
];

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    /// Status line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}\n{}", self.head, String::from_utf8_lossy(&self.body));
        self
    }
}

pub fn text<'v>(v: &'v Value, member: &str) -> &'v str {
    v[member].as_str().unwrap_or_else(|| panic!("no {member} in {v}"))
}

/// Waits until `f` gives something, this long.
#[track_caller]
pub fn within<T>(what: &str, limit: Duration, mut f: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + limit;
    loop {
        if let Some(t) = f() {
            return t;
        }
        assert!(Instant::now() < until, "never within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The daemon under test: the one built with the tests, unless `BOTHY_BIN` names another.
pub fn program() -> std::ffi::OsString {
    std::env::var_os("BOTHY_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_bothy").into())
}

/// A folder of this repository.
pub fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Longer than any operation of these tests takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// How the daemon is configured; `more` is appended.
fn configuration(dir: &str, more: &str) -> String {
    format!(
        "data_dir = \"{dir}/data\"\nrun_dir = \"{dir}/bothy\"\n\
         [[listen]]\naddress = \"127.0.0.1:9443\"\nreference_points = [\"sol005\", \"sol003-vnfm\", \"admin\"]\n\
         [hypervisor]\nuri = \"qemu+unix:///system?socket={dir}/libvirt-sock\"\naccel = \"tcg\"\n\
         [network]\novsdb = \"{dir}/ovs/db.sock\"\n{more}"
    )
}

impl Host {
    /// Starts the daemon and waits until it answers.
    pub fn serve(&mut self) {
        self.serve_with("[reserve]\ndisk_mib = 64\nmemory_mib = 64\n");
    }
    pub fn serve_with(&mut self, more: &str) {
        let file = self.dir().join("bothy.toml");
        std::fs::write(file, configuration(self.dir().as_str(), more)).expect("configuration");
        self.tell("serve");
        let until = Instant::now() + Duration::from_secs(60);
        while self.try_http("GET", "/bothy/v1/health", None).is_err() {
            assert!(Instant::now() < until, "the daemon does not answer\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    /// SIGKILL; it is gone when this returns.
    pub fn kill_bothy(&mut self) {
        self.tell("kill-bothy");
    }
    /// SIGTERM, and it ends well.
    #[track_caller]
    pub fn stop_bothy(&mut self) {
        assert_eq!(self.tell("stop-bothy"), "exit 0\n", "{}", self.log_tail());
    }
    pub fn socket(&self) -> String {
        self.dir().join("bothy/bothy.sock").to_string()
    }
    /// The end of the daemon's log, for a test that failed.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.dir().join("log/bothy")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Runs `bothy` as an operator would; it must succeed. What it printed.
    #[track_caller]
    pub fn cli(&self, args: &[&str]) -> String {
        let (ok, said) = self.try_cli(args);
        assert!(ok, "bothy {args:?}: {said}\n{}", self.log_tail());
        said
    }
    pub fn try_cli(&self, args: &[&str]) -> (bool, String) {
        let out = Command::new(program()).args(["--socket", &self.socket()]).args(args).output().expect("bothy runs");
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &err)
    }

    /// Runs `bothy` with something typed into it; what it printed.
    #[track_caller]
    pub fn cli_typing(&self, args: &[&str], typed: &str) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bothy"))
            .args(["--socket", &self.socket()])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bothy runs");
        child.stdin.take().expect("stdin").write_all(typed.as_bytes()).expect("typed");
        let out = child.wait_with_output().expect("bothy ends");
        assert!(out.status.success(), "bothy {args:?}\n{}", self.log_tail());
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    pub fn try_http(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> std::io::Result<Answer> {
        http(&self.socket(), method, path, body)
    }
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let a = self.try_http("GET", path, None).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.log_tail()));
        a.expect(200).json()
    }
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let bytes = body.to_string();
        self.try_http("POST", path, Some(("application/json", bytes.as_bytes())))
            .unwrap_or_else(|e| panic!("POST {path}: {e}\n{}", self.log_tail()))
    }
    #[track_caller]
    pub fn delete(&self, path: &str) {
        self.try_http("DELETE", path, None).unwrap_or_else(|e| panic!("DELETE {path}: {e}")).expect(204);
    }

    /// Creates a package or descriptor resource and sends it an archive; as it is when it was read.
    #[track_caller]
    pub fn onboard(&self, nsd: bool, archive: &[u8]) -> (String, Value) {
        let (path, content, state) = if nsd {
            ("/nsd/v2/ns_descriptors", "nsd_content", "nsdOnboardingState")
        } else {
            ("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState")
        };
        let made = self.post(path, &json!({})).expect(201).json();
        let one = format!("{path}/{}", text(&made, "id"));
        let sent = self.try_http("PUT", &format!("{one}/{content}"), Some(("application/zip", archive))).expect("sent");
        assert!(matches!(sent.status, 202 | 204), "{sent:?}");
        let done = within("it was read", PATIENCE, || Some(self.get(&one)).filter(|r| matches!(text(r, state), "ONBOARDED" | "ERROR")));
        (one, done)
    }

    /// Waits until an operation moves no more; as it is then.
    #[track_caller]
    pub fn rest(&self, op: &str) -> Value {
        within(&format!("{op} ends\n{}", self.log_tail()), PATIENCE, || {
            Some(self.get(op)).filter(|o| !matches!(text(o, "operationState"), "STARTING" | "PROCESSING" | "ROLLING_BACK"))
        })
    }
    #[track_caller]
    pub fn completed(&self, op: &str) -> Value {
        let end = self.rest(op);
        assert_eq!(text(&end, "operationState"), "COMPLETED", "{end}\n{}", self.log_tail());
        end
    }

    /// A condition of the health page.
    #[track_caller]
    pub fn condition(&self, name: &str) -> (String, String) {
        let health = self.get("/bothy/v1/health");
        let all = health["conditions"].as_array().expect("conditions");
        let c = all.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{health}"));
        (text(c, "state").into(), text(c, "text").into())
    }
    /// Waits until the daemon has looked at the host once.
    #[track_caller]
    pub fn reconciled(&self) {
        within(&format!("reconciled\n{}", self.log_tail()), Duration::from_secs(120), || {
            Some(()).filter(|()| self.condition("reconciled").0 == "OK")
        });
    }

    /// The host's domains: UUID and state.
    pub fn domains(&self) -> Vec<(String, String)> {
        let uri = format!("qemu+unix:///system?socket={}/libvirt-sock", self.dir());
        let list = sh(&["virsh", "-q", "-c", &uri, "list", "--all", "--uuid"]);
        let state = |id: &str| sh(&["virsh", "-q", "-c", &uri, "domstate", id]).trim().to_owned();
        list.split_whitespace().map(|id| (id.to_owned(), state(id))).collect()
    }

    /// Everything of guests and links that is on the host: domains, files, DHCP servers, switch ports,
    /// interfaces, address translation.
    pub fn leftovers(&mut self) -> Vec<String> {
        let mut found: Vec<String> = self.domains().into_iter().map(|(id, state)| format!("domain {id} {state}")).collect();
        for folder in ["disks", "media", "nvram", "serial", "uploads", "net/dhcp"] {
            let entries = std::fs::read_dir(self.dir().join("data").join(folder)).into_iter().flatten().flatten();
            found.extend(entries.map(|e| format!("file {}", e.path().display())));
        }
        let ours =
            |cmdline: &str| cmdline.contains(self.dir().as_str()) && (cmdline.contains("dnsmasq") || cmdline.contains("qemu-system"));
        let processes = std::fs::read_dir("/proc").expect("proc").flatten().filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
        found.extend(processes.map(|c| String::from_utf8_lossy(&c).replace('\0', " ")).filter(|c| ours(c)).map(|c| format!("process {c}")));
        let ports = self.tell("run ovs-vsctl list-ports bothy0");
        found.extend(ports.lines().filter(|l| !l.starts_with("exit ")).map(|p| format!("port {p}")));
        let links = self.tell("run ip -o link");
        let names = links.lines().filter_map(|l| l.split(": ").nth(1));
        found.extend(names.filter(|n| !matches!(*n, "lo" | "ovs-netdev" | "bothy0")).map(|n| format!("interface {n}")));
        let rules = self.tell("run nft list ruleset");
        found.extend(rules.lines().filter(|l| l.contains("10.") || l.contains("elements")).map(|l| format!("rule {}", l.trim())));
        found
    }
    /// No record knows a guest or a link, and none is on the host: at once, or after the second look
    /// for what a killed daemon's calls made late.
    #[track_caller]
    pub fn nothing_left(&mut self) {
        for path in ["/nslcm/v2/ns_instances", "/vnflcm/v2/vnf_instances"] {
            assert_eq!(self.get(path), json!([]), "{path}");
        }
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let left = self.leftovers();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "left behind: {left:#?}\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    /// The daemon being stopped: the store is sound, and how many records a table of `live` holds.
    #[track_caller]
    pub fn records(&self, table: &str) -> u64 {
        let data = self.dir().join("data");
        let (ok, said) = self.try_cli(&["--json", "store", "verify", "--data-dir", data.as_str()]);
        assert!(ok, "{said}");
        let report: Value = serde_json::from_str(&said).expect("JSON");
        let all = report["tables"].as_array().expect("tables");
        let of = |t: &&Value| t["database"] == "live" && t["table"] == table;
        all.iter().find(of).and_then(|t| t["records"].as_u64()).unwrap_or(0)
    }

    /// The page at this address, fetched from this host.
    pub fn fetch(&self, address: &str, path: &str) -> Option<String> {
        let all = self.exchange(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"), usize::MAX)?;
        all.split_once("\r\n\r\n").or_else(|| all.split_once("\n\n")).map(|(_, body)| body.to_owned())
    }
    /// What a server says first.
    pub fn reads(&self, address: &str) -> Option<String> {
        self.exchange(address, "", 1)
    }
    /// Says something to a TCP port from this host, and reads so much, or to the end.
    pub fn exchange(&self, address: &str, say: &str, least: usize) -> Option<String> {
        let to = address.parse().expect("address and port");
        self.inside(move || {
            let mut s = std::net::TcpStream::connect_timeout(&to, Duration::from_secs(10)).ok()?;
            s.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
            s.write_all(say.as_bytes()).ok()?;
            let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
            while all.len() < least {
                match s.read(&mut buffer).ok()? {
                    0 => break,
                    n => all.extend_from_slice(&buffer[..n]),
                }
            }
            Some(String::from_utf8_lossy(&all).into_owned())
        })
    }
}

/// One request over the UNIX socket, whose answer is held against what is declared of it; an error when the daemon is not there or dies over it.
pub fn http(socket: &str, method: &str, path: &str, body: Option<(&str, &[u8])>) -> std::io::Result<Answer> {
    let mut s = UnixStream::connect(socket)?;
    s.set_read_timeout(Some(PATIENCE))?;
    let (kind, bytes) = body.unwrap_or(("", &[]));
    // HTTP/1.0: the answer ends with the connection.
    let mut head = format!("{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n", bytes.len());
    if body.is_some() {
        head += &format!("Content-Type: {kind}\r\n");
    }
    s.write_all(format!("{head}\r\n").as_bytes())?;
    // An upload may be refused half-way; the answer tells why.
    let sent = s.write_all(bytes);
    let mut all = Vec::new();
    let read = s.read_to_end(&mut all);
    let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") else {
        sent?;
        read?;
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    };
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    let location = head.lines().find_map(|l| {
        let (name, value) = l.split_once(':')?;
        name.eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    });
    // What is before the path differs by listener.
    let location = location.map(|l| l.find("/v2/").map_or(l.clone(), |at| l[l[..at].rfind('/').unwrap_or(0)..].to_owned()));
    let body = all.split_off(end + 4);
    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse::<usize>()));
    if method != "HEAD" && length.is_some_and(|n| n.is_ok_and(|n| body.len() < n)) {
        // The daemon died over it.
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let faults = unlike_anywhere(method, path, status, &head, &body);
    assert!(faults.is_empty(), "a reply that is not as declared: {faults:#?}");
    Ok(Answer { status, location, head, body })
}

/// Builds a package from a folder, with images laid into it; its bytes.
#[track_caller]
pub fn build(dir: &Path, artifacts: &[(&str, &Path)]) -> Vec<u8> {
    let out = super::scratch();
    let file = out.path().join("package.csar");
    let artifacts: Vec<(String, PathBuf)> = artifacts.iter().map(|(name, p)| ((*name).into(), p.to_path_buf())).collect();
    let built = Build { dir, artifacts: &artifacts, out: &file, released: "2026-11-20T12:00:00Z" }.run(&Limits::default());
    built.unwrap_or_else(|d| panic!("{}: {}", dir.display(), d.render()));
    std::fs::read(file).expect("built")
}

/// As [`build`], from a folder of which some texts are replaced: (file, text, other text).
#[track_caller]
pub fn build_edited(dir: &Path, artifacts: &[(&str, &Path)], edits: &[(&str, &str, &str)]) -> Vec<u8> {
    let copy = edited(dir, edits);
    build(copy.path(), artifacts)
}

/// A copy of a folder with some texts replaced.
#[track_caller]
pub fn edited(dir: &Path, edits: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let copy = super::scratch();
    sh(&["cp", "-r", &format!("{}/.", dir.display()), &copy.path().to_string_lossy()]);
    for (file, from, to) in edits {
        let path = copy.path().join(file);
        let text = std::fs::read_to_string(&path).expect(file);
        assert!(text.contains(from), "{from} is not in {file}");
        std::fs::write(&path, text.replace(from, to)).expect(file);
    }
    copy
}
