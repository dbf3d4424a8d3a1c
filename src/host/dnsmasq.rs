//! DHCP for a segment: one dnsmasq each, outliving bothy.
//!
//! Owns: `<state>/dhcp/<segment>/`, the configuration file there and the process that reads it.
//! Never: hands out an address that was not planned, answers on another interface, resolves names
//! for guests.
//!
//! ```text
//!   <state>/dhcp/<segment>/<digest>.conf   what it gives out; the digest is of the content
//!                          leases, log, pid
//! ```
//!
//! A running server is known by its command line, which names the file and so the digest: the same
//! digest is adopted, another one is replaced. Neither the pid file nor our memory is believed.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sha2::{Digest, Sha256};

use super::exec::Exec;
use crate::model::order::Order as _;
use crate::{
    model::{
        error::{Fault, Result},
        id::SegmentId,
    },
    vim::port::{DhcpConf, DhcpNetwork},
};

const CONF_ARG: &str = "--conf-file=";
/// Addresses are planned and never change hands, so leases only bound how soon a guest notices a
/// new router or name server.
const LEASE: &str = "1h";
/// Seconds between router advertisements.
const RA_INTERVAL: u16 = 60;
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// The DHCP servers of the box.
pub struct Dnsmasq {
    root: Utf8PathBuf,
}

/// A server found running.
#[derive(Debug)]
struct Running {
    pid: Pid,
    conf: PathBuf,
}

impl Dnsmasq {
    pub fn new(state: &Utf8Path) -> Self {
        Dnsmasq { root: state.join("dhcp") }
    }

    fn dir(&self, segment: SegmentId) -> Utf8PathBuf {
        self.root.join(segment.to_string())
    }

    /// One server runs with exactly this configuration.
    pub fn ensure(&self, conf: &DhcpConf) -> Result<()> {
        let dir = self.dir(conf.segment);
        let text = render(conf, &dir)?;
        let file = dir.join(format!("{}.conf", digest(&text)));
        let mut running = self.running(conf.segment)?;
        if let Some(at) = running.iter().position(|r| r.conf == file.as_std_path()) {
            running.swap_remove(at);
            return stop(&running);
        }
        stop(&running)?;
        write_only(&dir, &file, &text).map_err(|e| disk(&dir, e))?;
        start(conf.segment, &dir, &file).map_err(|e| e.context(format!("DHCP on {}", conf.ifname)))
    }

    /// No server runs for the segment, and no file of it is left.
    pub fn remove(&self, segment: SegmentId) -> Result<()> {
        stop(&self.running(segment)?)?;
        let dir = self.dir(segment);
        match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(disk(&dir, e)),
            _ => Ok(()),
        }
    }

    /// Segments that have a server or files of one.
    pub fn list(&self) -> Result<Vec<SegmentId>> {
        let mut found: Vec<SegmentId> =
            processes(&self.root)?.iter().filter_map(|r| r.conf.parent()?.file_name()?.to_str()?.parse().ok()).collect();
        match std::fs::read_dir(&self.root) {
            Ok(entries) => found.extend(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<SegmentId>().ok())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(disk(&self.root, e)),
        }
        found.order();
        found.dedup();
        Ok(found)
    }

    fn running(&self, segment: SegmentId) -> Result<Vec<Running>> {
        processes(&self.dir(segment))
    }
}

fn disk(at: &Utf8Path, e: std::io::Error) -> Fault {
    Fault::transient(format!("DHCP state in {at}: {e}"))
}

fn digest(text: &str) -> String {
    let d = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
    d.get(..16).unwrap_or(&d).to_owned()
}

/// The folder holds this configuration and no older one; the file appears complete.
fn write_only(dir: &Utf8Path, file: &Utf8Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "conf") && path != file.as_std_path() {
            std::fs::remove_file(path)?;
        }
    }
    let temp = dir.join("new");
    std::fs::write(&temp, text)?;
    std::fs::rename(&temp, file)
}

/// Starts it so that it is nobody's child: with systemd in a unit of its own (the service's
/// control group dies with the service), elsewhere by dnsmasq's own double fork. Both return once
/// dnsmasq has bound its sockets or said why not.
fn start(segment: SegmentId, dir: &Utf8Path, file: &Utf8Path) -> Result<()> {
    let conf = format!("{CONF_ARG}{file}");
    if !Path::new("/run/systemd/system").exists() {
        return Exec::new("dnsmasq").arg(&conf).run().map(|_| ());
    }
    // Its journal is not ours to read, so mistakes are looked for first.
    Exec::new("dnsmasq").args(["--test", &conf]).run()?;
    let unit = format!("bothy-dhcp-{segment}-{}", file.file_stem().unwrap_or("x"));
    Exec::new("systemd-run")
        .args(["--quiet", "--collect", "--service-type=forking", "--property=Restart=on-failure"])
        .arg(format!("--unit={unit}"))
        .arg(format!("--description=Bothy DHCP server of segment {segment}"))
        .arg(format!("--property=PIDFile={}", dir.join("pid")))
        .args(["--", "dnsmasq", &conf])
        .run()
        .map(|_| ())
        .map_err(|e| e.context(format!("see 'journalctl -u {unit}'")))
}

/// dnsmasq processes whose configuration lies below `dir`.
fn processes(dir: &Utf8Path) -> Result<Vec<Running>> {
    let entries = std::fs::read_dir("/proc").map_err(|e| Fault::transient("the process list cannot be read").with_source(e))?;
    Ok(entries
        .flatten()
        .filter_map(|e| {
            let pid = e.file_name().to_str()?.parse().ok().map(Pid::from_raw)?;
            // Gone meanwhile, or a zombie (no command line): not running.
            let line = std::fs::read(e.path().join("cmdline")).ok()?;
            let mut argv = line.split(|b| *b == 0);
            let program = Path::new(std::str::from_utf8(argv.next()?).ok()?).file_name()?;
            let conf = argv.find_map(|a| std::str::from_utf8(a).ok()?.strip_prefix(CONF_ARG))?;
            (program == "dnsmasq" && Path::new(conf).starts_with(dir)).then(|| Running { pid, conf: conf.into() })
        })
        .collect())
}

fn alive(r: &Running) -> bool {
    std::fs::read(format!("/proc/{}/cmdline", r.pid)).is_ok_and(|line| !line.is_empty())
}

/// Ends them: asked first, then killed.
fn stop(all: &[Running]) -> Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for r in all.iter().filter(|r| alive(r)) {
            match kill(r.pid, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(e) => return Err(Fault::transient(format!("the DHCP server {} cannot be stopped: {}", r.pid, e.desc()))),
            }
        }
        let until = Instant::now() + STOP_LIMIT;
        while all.iter().any(alive) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    match all.iter().find(|r| alive(r)) {
        Some(r) => Err(Fault::transient(format!("the DHCP server {} does not end", r.pid))),
        None => Ok(()),
    }
}

/// A DNS label, which is also what keeps separators out of the file.
fn is_label(s: &str) -> bool {
    (1..=63).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !s.starts_with('-') && !s.ends_with('-')
}

/// The configuration file; all that is wrong with the data at once.
fn render(conf: &DhcpConf, dir: &Utf8Path) -> Result<String> {
    let mut wrong = Vec::new();
    if dir.as_str().contains(['\n', ',', '"']) {
        wrong.push(format!("the state folder's name must not contain a comma, a quote or a line break: {dir}"));
    }
    let mut lines = vec![
        format!("interface={}", conf.ifname),
        "bind-dynamic".into(),
        "except-interface=lo".into(),
        // No name server: guests are told the one of their network, if any.
        "port=0".into(),
        "no-resolv".into(),
        "no-hosts".into(),
        "no-ping".into(),
        "dhcp-authoritative".into(),
        // Stations that were not planned get no answer.
        "dhcp-ignore=tag:!known".into(),
        format!("dhcp-leasefile={dir}/leases"),
        format!("pid-file={dir}/pid"),
        format!("log-facility={dir}/log"),
        "quiet-dhcp".into(),
        "quiet-dhcp6".into(),
        "quiet-ra".into(),
    ];
    for (n, network) in conf.networks.iter().enumerate() {
        lines.extend(if network.cidr.is_ipv4() { network_v4(n, network) } else { network_v6(n, network, conf) });
    }
    for lease in &conf.leases {
        if !is_label(&lease.hostname) {
            wrong.push(format!("'{}' is not a host name (letters, digits and '-', at most 63)", lease.hostname));
        }
        let mut fields = vec![lease.mac.to_string()];
        for a in &lease.addresses {
            if !conf.networks.iter().any(|n| n.cidr.contains(*a)) {
                continue; // Of a network of this link that has no DHCP.
            }
            fields.push(if a.is_ipv4() { a.to_string() } else { format!("[{a}]") });
        }
        fields.push(lease.hostname.clone());
        lines.push(format!("dhcp-host={}", fields.join(",")));
    }
    if !wrong.is_empty() {
        return Err(Fault::invalid(format!("DHCP on {}", conf.ifname)).with_reasons(wrong));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

fn network_v4(n: usize, net: &DhcpNetwork) -> Vec<String> {
    let mask = std::net::Ipv4Addr::from(u32::MAX.checked_shl(32 - u32::from(net.cidr.prefix())).unwrap_or(0));
    let join = |a: Vec<&IpAddr>| a.iter().map(|a| format!(",{a}")).collect::<String>();
    let mut lines = vec![
        format!("dhcp-range=set:n{n},{},static,{mask},{LEASE}", net.cidr.network().addr()),
        // An option without a value is not sent; left out, dnsmasq would name itself.
        format!("dhcp-option=tag:n{n},option:router{}", join(net.gateway.iter().collect())),
        format!("dhcp-option=tag:n{n},option:dns-server{}", join(net.dns.iter().filter(|a| a.is_ipv4()).collect())),
    ];
    lines.extend(net.mtu.map(|m| format!("dhcp-option=tag:n{n},option:mtu,{m}")));
    lines
}

fn network_v6(n: usize, net: &DhcpNetwork, conf: &DhcpConf) -> Vec<String> {
    let mtu = net.mtu.map(|m| format!("mtu:{m},")).unwrap_or_default();
    // A router lifetime of 0 says: not a default router (RFC 4861, 4.2).
    let lifetime = if net.gateway.is_some() { 1800 } else { 0 };
    let mut lines = vec![
        format!("dhcp-range=set:n{n},{},static,{},{LEASE}", net.cidr.network().addr(), net.cidr.prefix()),
        "enable-ra".into(),
        format!("ra-param={},{mtu}{RA_INTERVAL},{lifetime}", conf.ifname),
    ];
    let dns: String = net.dns.iter().filter(|a| !a.is_ipv4()).map(|a| format!(",[{a}]")).collect();
    if !dns.is_empty() {
        lines.push(format!("dhcp-option=tag:n{n},option6:dns-server{dns}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vim::port::DhcpLease;
    use uuid::Uuid;

    fn conf() -> DhcpConf {
        let ip = |s: &str| s.parse::<IpAddr>().expect("ip");
        DhcpConf {
            segment: SegmentId(Uuid::from_u128(9)),
            ifname: "bhx".parse().expect("name"),
            networks: vec![
                DhcpNetwork {
                    cidr: "10.0.0.0/24".parse().expect("net"),
                    gateway: Some(ip("10.0.0.1")),
                    dns: vec![ip("9.9.9.9"), ip("fd00::9")],
                    mtu: Some(1400),
                },
                DhcpNetwork { cidr: "10.9.0.0/31".parse().expect("net"), gateway: None, dns: vec![], mtu: None },
                DhcpNetwork { cidr: "fd00::/64".parse().expect("net"), gateway: None, dns: vec![ip("fd00::9")], mtu: None },
            ],
            leases: vec![DhcpLease {
                mac: "52:54:00:00:00:01".parse().expect("mac"),
                addresses: vec![ip("10.0.0.5"), ip("fd00::5"), ip("192.0.2.1")],
                hostname: "web-1".into(),
            }],
        }
    }

    #[test]
    fn each_network_gets_its_options_and_only_planned_stations_an_answer() {
        let text = render(&conf(), Utf8Path::new("/s/dhcp/x")).expect("valid");
        for line in [
            "interface=bhx",
            "port=0",
            "dhcp-ignore=tag:!known",
            "dhcp-range=set:n0,10.0.0.0,static,255.255.255.0,1h",
            "dhcp-option=tag:n0,option:router,10.0.0.1",
            "dhcp-option=tag:n0,option:dns-server,9.9.9.9",
            "dhcp-option=tag:n0,option:mtu,1400",
            "dhcp-range=set:n1,10.9.0.0,static,255.255.255.254,1h",
            "dhcp-option=tag:n1,option:router",
            "dhcp-range=set:n2,fd00::,static,64,1h",
            "ra-param=bhx,60,0",
            "dhcp-option=tag:n2,option6:dns-server,[fd00::9]",
            "dhcp-host=52:54:00:00:00:01,10.0.0.5,[fd00::5],web-1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn a_host_name_cannot_smuggle_in_a_line_or_a_field() {
        for bad in ["", "a,b", "a\ninterface=eth0", "-a", "a.b", &"x".repeat(64)] {
            let mut c = conf();
            c.leases.iter_mut().for_each(|l| l.hostname = bad.into());
            assert!(render(&c, Utf8Path::new("/s")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_lease_is_another_digest() {
        let text = |c: &DhcpConf| digest(&render(c, Utf8Path::new("/s")).expect("valid"));
        let (a, mut b) = (conf(), conf());
        assert_eq!(text(&a), text(&b));
        b.leases.clear();
        assert_ne!(text(&a), text(&b));
    }
}
