//! Who may do what, from the command line: on the box as root, and from afar with a password, a token and
//! a client certificate.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    daemon::{BOTHY, Daemon, free_port},
    identity::Ca,
};

struct Site {
    dir: tempfile::TempDir,
    url: String,
    daemon: Option<Daemon>,
}

impl Site {
    fn start(ca: &Ca) -> Site {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("ca.pem"), ca.pem()).expect("ca");
        let port = free_port();
        let text = format!(
            "data_dir = \"{0}/data\"\nrun_dir = \"{0}/run\"\n[[listen]]\naddress = \"127.0.0.1:{port}\"\nreference_points = [\"admin\", \"sol003-vnfm\"]\n[tls]\nclient_ca = \"{0}/ca.pem\"\n[sim]\nenabled = true\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("bothy.toml"), text).expect("config");
        let daemon = Some(Daemon::start(dir.path()));
        Site { dir, url: format!("https://127.0.0.1:{port}"), daemon }
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Exit code and what was said, both streams.
    fn run(&self, args: &[&str], typed: &str) -> (i32, String) {
        let mut child = Command::new(BOTHY)
            .args(args)
            .env_clear()
            .env("HOME", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("spawn");
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().expect("stdin").write_all(typed.as_bytes());
        let o = child.wait_with_output().expect("output");
        (o.status.code().expect("code"), String::from_utf8_lossy(&[o.stdout, o.stderr].concat()).into_owned())
    }

    fn here(&self, args: &[&str], typed: &str) -> (i32, String) {
        self.run(&[&["--socket", &self.at("run/bothy.sock")], args].concat(), typed)
    }

    fn afar(&self, args: &[&str], typed: &str) -> (i32, String) {
        self.run(&[&["--endpoint", &self.url, "--cacert", &self.at("data/tls/cert.pem")], args].concat(), typed)
    }

    fn json(&self, args: &[&str], typed: &str) -> Value {
        let (code, text) = self.here(&[&["--json"], args].concat(), typed);
        assert_eq!(code, 0, "{args:?}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

const WORD: &str = "correct horse battery\n";

#[test]
fn accounts_are_made_on_the_box_and_used_from_afar() {
    let ca = Ca::new("pinned");
    let mut site = Site::start(&ca);
    assert_eq!(site.json(&["project", "create", "lab", "--vcpus", "4"], "")["quota"]["vcpus"], 4);
    assert_eq!(site.json(&["user", "create", "eve", "--role", "viewer", "--in", "lab"], WORD)["hasPassword"], true);

    // By password, once; then by the token that login keeps.
    let (code, said) = site.afar(&["login", "eve"], "wrong password\n");
    assert_eq!(code, 3, "{said}");
    let (code, said) = site.afar(&["login", "eve"], WORD);
    assert!(code == 0 && said.contains("eve is logged in"), "{said}");
    assert!(!said.contains("bothy_"), "{said}");
    let (code, said) = site.afar(&["vnf", "list"], "");
    assert_eq!((code, said.trim()), (0, "none"));
    let (code, said) = site.afar(&["user", "list"], "");
    assert!(code == 3 && said.contains("needs the permission identity:read"), "{said}");
    let (code, said) = site.afar(&["token", "list"], "");
    assert!(code == 0 && said.contains("oauth2"), "{said}");

    // Another password, by himself.
    let (code, said) = site.afar(&["passwd"], "not the old one\nstaple after staple\n");
    assert!(code == 3 && said.contains("this is not the password"), "{said}");
    let (code, said) = site.afar(&["passwd"], "correct horse battery\nstaple after staple\n");
    assert!(code == 0 && said.contains("tokens stay"), "{said}");
    assert_eq!(site.afar(&["login", "eve"], WORD).0, 3);
    assert_eq!(site.afar(&["login", "eve"], "staple after staple\n").0, 0);
    let (code, said) = site.here(&["passwd"], "x\ny\n");
    assert!(code != 0 && said.contains("root@localhost is no account"), "{said}");

    // By a token that is revoked.
    let token = site.json(&["token", "create", "--account", "eve", "--label", "ci"], "");
    let with = ["--token", token["token"].as_str().expect("token"), "health"];
    assert_eq!(site.afar(&with, "").0, 0);
    assert_eq!(site.here(&["token", "revoke", token["id"].as_str().expect("id")], "").0, 0);
    assert_eq!(site.afar(&with, "").0, 3);

    // By certificate.
    let (cert, key) = ca.sign_pem("nfvo-1", 7);
    std::fs::write(site.at("c.pem"), cert).expect("cert");
    std::fs::write(site.at("k.pem"), key).expect("key");
    let shown = site.json(&["client", "create", "central", "--role", "nfvo", "--cn", "nfvo-1"], "");
    assert!(shown["secret"].is_null() && shown["certificates"][0]["commonName"] == "nfvo-1", "{shown:#}");
    let (c, k) = (site.at("c.pem"), site.at("k.pem"));
    let by_certificate = ["--cert", &c, "--key", &k, "vnf", "list"];
    assert_eq!(site.afar(&by_certificate, "").0, 0);
    assert_eq!(site.here(&["client", "set", "central", "--enabled", "false"], "").0, 0);
    assert_eq!(site.afar(&by_certificate, "").0, 3);

    assert_eq!(site.here(&["role", "set", "watch", "--may", "alarm:read"], "").0, 0);
    assert!(site.here(&["role", "set", "watch", "--may", "alarm:reed"], "").1.contains("no action"));
    assert!(site.here(&["role", "list"], "").1.contains("watch"));
    assert!(site.here(&["project", "list"], "").1.contains("0 of 4"));
    assert_eq!(site.here(&["--project", "lab", "vnf", "list"], "").0, 0);
    assert_eq!(site.here(&["--project", "moon", "vnf", "list"], "").0, 3);
    let (code, said) = site.here(&["user", "set", "eve"], "");
    assert!(code == 2 && said.contains("nothing to change"), "{said}");
    assert_eq!(site.here(&["user", "delete", "eve"], "").0, 0);
    assert_eq!(site.afar(&["vnf", "list"], "").0, 3, "its token went with it");

    // The certificate goes by a word, and what was done is written down.
    let before = site.json(&["tls", "show"], "");
    let (cert, key) = ca.sign_pem("localhost", 8);
    std::fs::write(site.at("new.pem"), cert).expect("cert");
    std::fs::write(site.at("new.key"), key).expect("key");
    assert_eq!(site.here(&["tls", "replace", &site.at("new.pem"), &site.at("k.pem")], "").0, 3, "not a pair");
    assert_eq!(site.here(&["tls", "replace", &site.at("new.pem"), &site.at("new.key")], "").0, 0);
    assert_ne!(site.json(&["tls", "show"], ""), before);
    let (code, said) = site.here(&["audit", "verify"], "");
    assert!(code == 0 && said.contains("is whole: entries 1 to"), "{said}");
    let trail = site.here(&["audit", "list", "--limit", "1000"], "").1;
    for part in ["/bothy/v1/users/eve", "/oauth2/token", "/bothy/v1/tls", "root@localhost", "identity:read"] {
        assert!(trail.contains(part), "{part} in\n{trail}");
    }
    let log = site.daemon.take().expect("daemon").stop();
    for hidden in ["correct horse", "staple after", with[1]] {
        assert!(!trail.contains(hidden) && !log.contains(hidden), "{hidden}");
    }
    assert!(Path::new(&site.at(".config/bothy/logins")).exists());
}
