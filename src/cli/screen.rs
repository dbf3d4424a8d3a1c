//! `bothy screen`: what the box's own console shows, and a small menu for whoever stands at the box.
//!
//! Line by line, so that it serves a VGA screen and a serial line alike. Owns the page and the menu. Never: a shell.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _, stdin, stdout},
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    client::Client,
    failure::{Failure, visible},
    host, hostnet,
    names::list,
    output::{Out, align, plain},
    reset, ztp,
};

#[derive(clap::Args)]
pub struct Screen {
    /// Seconds between two looks; the page is shown again when it says something else
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    every: u64,
    /// What the daemon says of its first start
    #[arg(long, default_value = "/run/bothy/first-start", value_name = "FILE")]
    first_start: PathBuf,
}

const NETWORK: &str = "/bothy/v1/host/network";
/// A change that is made at the box is confirmed at the box.
const CONFIRM_S: u32 = 120;
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// What a page is made of. What the box does not answer is a fault in its place.
struct Seen {
    health: Result<Value, String>,
    network: Result<Value, String>,
    fingerprint: Option<String>,
    system: Option<Value>,
    listen: Vec<String>,
    zero_touch: Option<Value>,
    /// The token of an administrator, on a box that has none yet.
    first: Option<String>,
}

enum Heard {
    Line(String),
    /// Nobody is there any more.
    End,
    Nothing,
}

impl Screen {
    pub fn run(&self, client: &Client) -> Result<(), Failure> {
        let (says, lines) = channel();
        std::thread::spawn(move || {
            for line in stdin().lock().lines() {
                if line.map_or(true, |l| says.send(l).is_err()) {
                    return;
                }
            }
        });
        let me = Console { client, lines };
        let mut shown = String::new();
        loop {
            let page = page(&self.look(client));
            if page != shown {
                tell(&format!("{}{page}", if stdout().is_terminal() { CLEAR } else { "" }));
                shown = page;
            }
            match me.hear(Duration::from_secs(self.every)) {
                Heard::Nothing => {}
                Heard::End => return Ok(()),
                Heard::Line(line) => {
                    if let Err(f) = me.choose(line.trim()) {
                        tell(&format!("{}\n", f.text()));
                    }
                    tell("\n");
                    shown.clear();
                }
            }
        }
    }

    fn look(&self, client: &Client) -> Seen {
        let get = |path: &str| client.get(path).map_err(|f| f.text());
        Seen {
            health: get("/bothy/v1/health"),
            network: get(NETWORK),
            fingerprint: get("/bothy/v1/tls").ok().map(|t| plain(&t["fingerprint"])),
            system: get("/bothy/v1/host").ok().map(|h| h["system"].clone()).filter(Value::is_object),
            listen: get("/bothy/v1/config").map(|c| listeners(&c)).unwrap_or_default(),
            zero_touch: get("/bothy/v1/host/ztp").ok().filter(|z| z["state"] != "FACTORY" || !z["nextAttempt"].is_null()),
            first: std::fs::read_to_string(&self.first_start).ok().map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()),
        }
    }
}

/// The ports of listeners that answer from elsewhere, as `:PORT`; of those on one address the whole.
fn listeners(config: &Value) -> Vec<String> {
    let text = list(config, "keys").iter().find(|k| k["key"] == "listen").map(|k| plain(&k["value"])).unwrap_or_default();
    let quoted = text.split('"').filter_map(|t| t.parse::<std::net::SocketAddr>().ok());
    quoted.map(|a| if a.ip().is_unspecified() { format!(":{}", a.port()) } else { a.to_string() }).collect()
}

fn page(s: &Seen) -> String {
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |name: &str, text: String| rows.push([name.to_owned(), text]);
    let faults: Vec<&Value> = match &s.health {
        Ok(h) => {
            row("Bothy", format!("{} is {}", plain(&h["version"]), plain(&h["status"])));
            list(h, "conditions").iter().filter(|c| c["state"] != "OK").collect()
        }
        Err(why) => {
            row("Bothy", format!("does not answer: {why}"));
            Vec::new()
        }
    };
    if let Some(system) = &s.system {
        row("System", host::system(system).trim_start_matches("system: ").to_owned());
    }
    match &s.network {
        Ok(n) => {
            for p in list(n, "ports") {
                let addresses: Vec<String> = list(p, "addresses").iter().map(plain).collect();
                let text = match (p["link"] == true, &addresses[..]) {
                    (false, []) => "no link".to_owned(),
                    (true, []) => "no address".to_owned(),
                    (_, all) => all.join(", "),
                };
                row(&format!("Port {}", plain(&p["name"])), text);
            }
            for u in list(n, "uplinks") {
                for (f, w) in [("IPv4", &u["ipv4"]), ("IPv6", &u["ipv6"])] {
                    if let Some(why) = hostnet::trouble(w) {
                        row(&format!("Uplink {}", hostnet::uplink(u)), format!("{f} is down: {why}"));
                    }
                }
            }
            if n["state"] == "ON_TRIAL" {
                row("Network", format!("on trial by {}, undone unless it is confirmed", plain(&n["trial"]["by"])));
            }
            for at in addresses(n, &s.listen) {
                row("Address", at);
            }
        }
        Err(why) if s.health.is_ok() => row("Network", why.clone()),
        Err(_) => {}
    }
    if let Some(f) = &s.fingerprint {
        row("Fingerprint", f.clone());
    }
    if let Some(z) = &s.zero_touch {
        let last = list(z, "reports").iter().rfind(|r| !r["message"].is_null()).map(|r| format!(": {}", plain(&r["message"])));
        let last = last.filter(|_| z["state"] != "BOOTSTRAPPED").unwrap_or_default();
        row("Zero touch", format!("{}{last}", plain(&z["state"])));
    }
    for c in faults {
        row(&plain(&c["state"]), format!("{}: {}", plain(&c["name"]), plain(&c["text"])));
    }
    if let Some(token) = &s.first {
        row("First token", format!("{token}  (an administrator's; shown until the box or bothy starts again)"));
    }
    let width = rows.iter().map(|[name, _]| name.len()).max().unwrap_or(0);
    let lines: Vec<String> = rows.iter().map(|[name, text]| format!("{name:width$}  {}", visible(text))).collect();
    format!(
        "{}\n\n[n] network   [c] confirm the network   [u] undo the network   [z] zero touch   [r] reset   [Enter] look again\n> ",
        lines.join("\n")
    )
}

/// Where the API is reached: each address of the box with each listener's port.
fn addresses(network: &Value, listen: &[String]) -> Vec<String> {
    let global = |a: &&str| !a.starts_with("fe80:");
    let own: Vec<String> = list(network, "ports")
        .iter()
        .flat_map(|p| list(p, "addresses"))
        .map(|a| plain(a).split('/').next().unwrap_or_default().to_owned())
        .collect();
    let mut all = Vec::new();
    for l in listen {
        match l.strip_prefix(':') {
            Some(port) => all.extend(own.iter().map(String::as_str).filter(global).map(|a| {
                let a = if a.contains(':') { format!("[{a}]") } else { a.to_owned() };
                format!("https://{a}:{port}")
            })),
            None => all.push(format!("https://{l}")),
        }
    }
    all
}

struct Console<'a> {
    client: &'a Client,
    lines: Receiver<String>,
}

impl Console<'_> {
    fn hear(&self, wait: Duration) -> Heard {
        match self.lines.recv_timeout(wait) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// `None`: nobody answers.
    fn ask(&self, what: &str, wait: Duration) -> Option<String> {
        tell(&format!("{what} "));
        match self.hear(wait) {
            Heard::Line(line) => Some(line.trim().to_owned()),
            Heard::End | Heard::Nothing => None,
        }
    }

    fn choose(&self, letter: &str) -> Result<(), Failure> {
        match letter {
            "" => Ok(()),
            "n" => self.network(),
            "c" => self.client.task(&format!("{NETWORK}/confirm")).map(|_| tell("kept\n")),
            "u" => self.client.task(&format!("{NETWORK}/undo")).map(|_| tell("undone\n")),
            "z" => {
                ztp::status_here(&Out { json: false })?;
                self.ask("Enter goes on.", Duration::from_secs(60));
                Ok(())
            }
            "r" => self.reset(),
            other => Err(Failure::Usage(format!("'{}' is none of the letters", visible(other)))),
        }
    }

    /// What it takes is shown, and asked for by its word. What is under way is waited for: whoever stands here sees that.
    fn reset(&self) -> Result<(), Failure> {
        let wait = Duration::from_secs(300);
        let Some(how) = self.ask("Reset [s] services, [c] configuration, [e] everything (empty: nothing)?", wait) else { return Ok(()) };
        let depth = match how.as_str() {
            "" => return Ok(()),
            "s" => "services",
            "c" => "configuration",
            "e" => "everything",
            other => return Err(Failure::Usage(format!("'{}' is none of s, c, e", visible(other)))),
        };
        let plan = reset::planned(self.client, depth)?;
        tell(&format!("{}\n", visible(&reset::text(&plan))));
        match self.ask(&format!("Type {depth} to do it; anything else, or nothing, leaves all as it is."), wait) {
            Some(said) if said == depth => {
                let done = reset::order(self.client, &plan, false)?;
                tell(&format!("{}\n", reset::coming(&done)));
            }
            Some(_) | None => tell("nothing was done\n"),
        }
        Ok(())
    }

    /// One port at a time; what the others are stays.
    fn network(&self) -> Result<(), Failure> {
        let wait = Duration::from_secs(300);
        let now = self.client.get(NETWORK)?;
        if now["managed"] != true {
            return Err(Failure::Here(plain(&now["notManagedBecause"])));
        }
        let ports: Vec<&Value> = free(&now).collect();
        let rows: Vec<Vec<String>> =
            ports.iter().enumerate().map(|(n, p)| vec![(n + 1).to_string(), plain(&p["name"]), plain(&p["mac"])]).collect();
        tell(&format!("{}\n", align(&["", "PORT", "MAC"], &rows)));
        let Some(answer) = self.ask("Which port (number, empty: none)?", wait).filter(|a| !a.is_empty()) else { return Ok(()) };
        let port = answer.parse::<usize>().ok().and_then(|n| ports.get(n.checked_sub(1)?)).copied();
        let port = port.ok_or_else(|| Failure::Usage(format!("'{}' is none of the numbers", visible(&answer))))?;
        let Some(how) = self.ask("Addresses: [d] DHCP, [s] static, [o] off?", wait) else { return Ok(()) };
        let mut dns = Vec::new();
        let (ipv4, ipv6) = match how.as_str() {
            "d" => (json!({"method": "AUTO"}), json!({"method": "AUTO"})),
            "o" => (json!({"method": "OFF"}), json!({"method": "OFF"})),
            "s" => {
                let mut said = Vec::new();
                for what in ["IPv4 address with prefix (192.0.2.10/24)?", "Gateway (empty: none)?", "DNS server (empty: none)?"] {
                    let Some(answer) = self.ask(what, wait) else { return Ok(()) };
                    said.push(answer);
                }
                let mut v4 = json!({"method": "STATIC", "addresses": [said[0]]});
                if !said[1].is_empty() {
                    v4["gateway"] = said[1].as_str().into();
                }
                dns.extend(Some(said[2].clone()).filter(|d| !d.is_empty()));
                (v4, json!({"method": "OFF"}))
            }
            other => return Err(Failure::Usage(format!("'{}' is none of d, s, o", visible(other)))),
        };
        let wanted = changed(&now, port, &json!({"device": port["name"], "ipv4": ipv4, "ipv6": ipv6}), dns);
        self.client.put(&format!("{NETWORK}?confirm_s={CONFIRM_S}"), &wanted)?;
        self.keep()
    }

    fn keep(&self) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(CONFIRM_S.into());
        std::thread::sleep(Duration::from_secs(1));
        tell(&format!("{}\n", hostnet::text(&self.client.get(NETWORK)?)));
        let left = until.saturating_duration_since(Instant::now());
        match self.ask("Keep it (y)? Anything else, or nothing, undoes it.", left).as_deref() {
            Some("y" | "Y") => self.client.task(&format!("{NETWORK}/confirm")).map(|_| tell("kept\n")),
            _ => self.client.task(&format!("{NETWORK}/undo")).map(|_| tell("undone\n")),
        }
    }
}

/// Ports that nothing else of the box has.
fn free(now: &Value) -> impl Iterator<Item = &Value> {
    list(now, "ports").iter().filter(|p| p["usedBy"].is_null())
}

/// The network as it is, with this port so. Where nobody has said anything yet, each port asks for an address.
fn changed(now: &Value, port: &Value, new: &Value, dns: Vec<String>) -> Value {
    let mut wanted = now["network"].clone();
    if !wanted.is_object() {
        let auto = json!({"method": "AUTO"});
        let all: Vec<Value> = free(now).map(|p| json!({"device": p["name"], "ipv4": auto, "ipv6": auto})).collect();
        wanted = json!({ "interfaces": all });
    }
    let is_it = |i: &&mut Value| i["device"] == port["name"] || i["device"] == port["mac"];
    if let Some(all) = wanted["interfaces"].as_array_mut() {
        // A port is named one way, with its VLANs.
        let mut new = new.clone();
        if let Some(there) = all.iter_mut().find(is_it) {
            new["device"] = there["device"].clone();
        }
        match all.iter_mut().filter(is_it).find(|i| i["vlan"].is_null()) {
            Some(there) => *there = new,
            None => all.push(new),
        }
    }
    if !dns.is_empty() {
        wanted["dns"] = dns.into();
    }
    wanted
}

/// A console that has gone is no fault.
fn tell(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Value {
        json!({"managed": true, "state": "SYSTEM", "ports": [
            {"name": "enp1s0", "mac": "52:54:00:00:00:01", "link": true, "addresses": ["192.0.2.10/24", "fe80::1/64", "2001:db8::2/64"]},
            {"name": "enp2s0", "mac": "52:54:00:00:00:02", "link": false, "addresses": []},
        ]})
    }

    #[test]
    fn the_page_tells_where_the_box_is_reached_and_what_is_wrong() {
        let config = json!({"keys": [{"key": "log.level", "value": "\"info\""},
            {"key": "listen", "value": "[{ address = \"[::]:9443\", reference_points = [\"sol005\"] }, { address = \"192.0.2.10:9444\" }]"}]});
        let mut seen = Seen {
            health: Ok(json!({"version": "0.1.0", "status": "READY", "conditions": [
                {"name": "store", "state": "OK", "text": "open"}, {"name": "accel", "state": "FAILED", "text": "KVM is off\u{1b}[2J in the firmware"}]})),
            network: Ok(network()),
            fingerprint: Some("ab:cd".into()),
            system: None,
            listen: listeners(&config),
            zero_touch: None,
            first: Some("bt_1".into()),
        };
        insta::assert_snapshot!(page(&seen));
        seen.zero_touch = Some(json!({"state": "FAILED", "reports": [{"progress": "bootstrap-error", "message": "no source\u{7}"}]}));
        assert!(page(&seen).contains("Zero touch   FAILED: no source\u{fffd}\n"), "{}", page(&seen));
        seen.zero_touch = None;
        seen.health = Err("connection refused".into());
        seen.network = Err("connection refused".into());
        (seen.fingerprint, seen.first, seen.listen) = (None, None, Vec::new());
        assert!(page(&seen).starts_with("Bothy  does not answer: connection refused\n"), "{}", page(&seen));
    }

    #[test]
    fn a_port_is_changed_and_the_others_stay_as_they_are() {
        let now = network();
        let new = json!({"device": "enp1s0", "ipv4": {"method": "OFF"}});
        let auto = json!({"method": "AUTO"});
        let wanted = changed(&now, &now["ports"][0], &new, vec!["192.0.2.53".into()]);
        assert_eq!(wanted, json!({"interfaces": [new, {"device": "enp2s0", "ipv4": auto, "ipv6": auto}], "dns": ["192.0.2.53"]}));
        let mut kept = now.clone();
        let vlan = json!({"device": "52:54:00:00:00:01", "vlan": 42, "ipv4": auto});
        let by_mac = json!({"device": "52:54:00:00:00:01", "ipv4": auto});
        kept["network"] = json!({"interfaces": [vlan, by_mac], "dns": ["192.0.2.1"]});
        let wanted = changed(&kept, &now["ports"][0], &new, Vec::new());
        let named = json!({"device": "52:54:00:00:00:01", "ipv4": {"method": "OFF"}});
        assert_eq!(wanted, json!({"interfaces": [vlan, named], "dns": ["192.0.2.1"]}));
        let other = json!({"device": "enp2s0", "ipv4": auto});
        assert_eq!(changed(&kept, &now["ports"][1], &other, Vec::new())["interfaces"].as_array().map(Vec::len), Some(3));
    }
}
