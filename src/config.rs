//! The configuration: what `bothy.toml` says, checked whole before any of it counts.
//!
//! Owns: every key with its type, default and whether a change is taken up live or at the next
//! start. [`Config::check`] is pure; only [`LiveConfig`] reads the file. Never: looks whether the
//! host has what a key names.
//!
//! Each key is named once, in [`Config::visit`]; reading, showing, comparing and the test of
//! `config/bothy.toml` all walk that list.

mod cross;
mod hardware;
mod home;
mod keys;
mod lcm;
mod live;
mod outside;
mod read;

use std::net::SocketAddr;

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;

pub use self::{
    hardware::{HostPf, HostProfile, Inbound, NetManager},
    home::{BootstrapServer, Centre, EnrolledBox},
    keys::{AccelMode, Apply, GrantOffline, Listener, LogFormat, LogLevel, PhysicalNetwork, ReferencePoint},
    lcm::Lcm,
    live::{LiveConfig, Refusal},
    read::ConfigFault,
};
use self::{
    keys::{Keys, Shower, Shown},
    read::Reader,
};
use crate::model::{
    hw::CpuSet,
    net::Cidr,
    opening::Opening,
    sdn::{Controller, PortMap},
    setup::PagePool,
    tunnel::Tunnel,
};

/// The file `config/bothy.toml` as shipped: every key with its default.
pub const DOCUMENTED: &str = include_str!("../config/bothy.toml");

#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub data_dir: Utf8PathBuf,
    pub run_dir: Utf8PathBuf,
    pub listen: Vec<Listener>,
    pub tls: Tls,
    pub access: Access,
    pub socket: Socket,
    pub log: Log,
    pub hypervisor: Hypervisor,
    pub host: Host,
    pub firewall: Firewall,
    pub overcommit: Overcommit,
    pub reserve: Reserve,
    pub network: Network,
    pub physical_network: Vec<PhysicalNetwork>,
    pub tunnel: Vec<Tunnel>,
    pub sdn_controller: Vec<Controller>,
    pub sdn_portmap: Vec<PortMap>,
    pub limits: Limits,
    pub lcm: Lcm,
    pub autoheal: Autoheal,
    pub notify: Notify,
    pub update: Update,
    pub call_home: Vec<Centre>,
    pub hub: Hub,
    pub ztp: Ztp,
    pub desired: Desired,
    pub sim: Sim,
}

/// Empty paths: a key and a certificate are made at the first start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tls {
    pub certificate: Utf8PathBuf,
    pub key: Utf8PathBuf,
    /// Further names and addresses for the certificate that is made.
    pub names: Vec<SmolStr>,
    /// PEM files; empty: no client certificates.
    pub client_ca: Utf8PathBuf,
    pub client_crl: Utf8PathBuf,
}

/// Who gets in, how often, and what is kept of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    pub token_s: u64,
    pub failures: u64,
    pub lock_s: u64,
    pub requests_per_s: u64,
    pub audit_keep: u64,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Socket {
    /// Empty: `bothy.sock` in `run_dir`.
    pub path: Utf8PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    pub format: LogFormat,
    pub level: LogLevel,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Hypervisor {
    pub uri: SmolStr,
    pub accel: AccelMode,
}

/// The host's own set-up. Nothing is changed by starting with it: `bothy host apply` does that.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Host {
    pub profile: HostProfile,
    pub hugepages: Vec<PagePool>,
    pub pf: Vec<HostPf>,
    pub iommu: bool,
    /// Empty: the profile's.
    pub governor: SmolStr,
    /// Empty: the profile's.
    pub isolate: CpuSet,
    /// The boot loader's environment block; empty: none listens to Bothy.
    pub grubenv: Utf8PathBuf,
    /// Who sets the addresses of the box's own ports.
    pub network: NetManager,
}

/// What of outside reaches the box itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Firewall {
    pub inbound: Inbound,
    /// Beside what Bothy itself listens on.
    pub open: Vec<Opening>,
}

/// How many times over each resource may be promised.
#[derive(Debug, Clone, PartialEq)]
pub struct Overcommit {
    pub cpu: f64,
    pub memory: f64,
    pub disk: f64,
}

/// What guests can never take.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    pub disk_mib: u64,
    pub memory_mib: u64,
    pub cpus: CpuSet,
    pub hugepages: Vec<PagePool>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub ovsdb: Utf8PathBuf,
    /// Links that name no addresses get a /24 of this.
    pub pool: Cidr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub upload_mib: u64,
    pub body_kib: u64,
    pub headers_kib: u64,
    pub connections: u64,
    /// 0: a quarter of those.
    pub connections_per_source: u64,
    pub header_timeout_s: u64,
    pub idle_timeout_s: u64,
    pub body_timeout_s: u64,
    pub drain_s: u64,
    pub calls: u64,
    pub page: u64,
    /// What is fetched by a URI may come over http; credentials never go there.
    pub fetch_http: bool,
}

/// Healing of guests that crash.
#[derive(Debug, Clone, PartialEq)]
pub struct Autoheal {
    /// 0 to 100.
    pub tries: u64,
    pub pause_s: u64,
    pub calm_s: u64,
}

/// How subscribers are told of what happens.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    pub ca: Utf8PathBuf,
    pub timeout_s: u64,
    pub attempts: u64,
    pub backlog: u64,
}

/// Updates of the box's own system.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    pub trial_s: u64,
}

/// Where this box is a centre that others call.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Hub {
    pub listen: Option<SocketAddr>,
    /// Shown to boxes; empty: as on the listeners.
    pub certificate: Utf8PathBuf,
    pub key: Utf8PathBuf,
    /// Who vouches for boxes that are not pinned; empty: nobody.
    pub ca: Utf8PathBuf,
    pub boxes: Vec<EnrolledBox>,
    /// Where boxes are bootstrapped; `None`: nowhere.
    pub bootstrap: Option<SocketAddr>,
    /// The host that boxes reach this hub by.
    pub name: SmolStr,
    /// Who signs boxes' IDevIDs.
    pub devices: Utf8PathBuf,
    /// The owner's keys, as `bothy ztp factory init` makes them.
    pub owner: Utf8PathBuf,
    /// A folder for each box: what it shall be.
    pub documents: Utf8PathBuf,
}

/// Zero touch by the daemon itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Ztp {
    pub enabled: bool,
    /// Folders of removable storage that are looked into.
    pub media: Vec<Utf8PathBuf>,
    pub dhcp: bool,
    pub retry_s: u64,
    pub server: Vec<BootstrapServer>,
}

/// What the owner has signed that the box shall be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// PEM; empty: nothing is taken in.
    pub ca: Utf8PathBuf,
    /// Empty: nothing is fetched.
    pub url: SmolStr,
    pub interval_s: u64,
    /// Empty: that of the IDevID.
    pub serial: SmolStr,
}

/// The in-memory twin of libvirt and Open vSwitch, for tests and trying out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sim {
    pub enabled: bool,
    pub start_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: "/var/lib/bothy".into(),
            run_dir: "/run/bothy".into(),
            listen: vec![Listener {
                address: SocketAddr::from(([0, 0, 0, 0], 9443)),
                reference_points: vec![ReferencePoint::Sol005, ReferencePoint::Sol003Vnfm, ReferencePoint::Admin],
            }],
            tls: Tls::default(),
            access: Access { token_s: 3600, failures: 5, lock_s: 10, requests_per_s: 0, audit_keep: 100_000 },
            socket: Socket::default(),
            log: Log { format: LogFormat::Human, level: LogLevel::Info },
            hypervisor: Hypervisor { uri: "qemu:///system".into(), accel: AccelMode::Auto },
            overcommit: Overcommit { cpu: 4.0, memory: 1.0, disk: 1.0 },
            host: Host::default(),
            firewall: Firewall::default(),
            reserve: Reserve { disk_mib: 1024, memory_mib: 512, cpus: CpuSet::new(), hugepages: Vec::new() },
            network: Network { ovsdb: "/run/openvswitch/db.sock".into(), pool: keys::default_pool() },
            physical_network: Vec::new(),
            tunnel: Vec::new(),
            sdn_controller: Vec::new(),
            sdn_portmap: Vec::new(),
            limits: Limits {
                upload_mib: 16384,
                body_kib: 1024,
                headers_kib: 32,
                connections: 256,
                connections_per_source: 0,
                header_timeout_s: 10,
                idle_timeout_s: 30,
                body_timeout_s: 60,
                drain_s: 15,
                calls: 16,
                page: 500,
                fetch_http: false,
            },
            notify: Notify { ca: Utf8PathBuf::new(), timeout_s: 10, attempts: 40, backlog: 10000 },
            update: Update { trial_s: 600 },
            call_home: Vec::new(),
            hub: Hub::default(),
            ztp: Ztp { enabled: false, media: Vec::new(), dhcp: true, retry_s: 30, server: Vec::new() },
            desired: Desired { ca: Utf8PathBuf::new(), url: SmolStr::default(), interval_s: 900, serial: SmolStr::default() },
            lcm: Lcm::default(),
            autoheal: Autoheal { tries: 3, pause_s: 5, calm_s: 600 },
            sim: Sim::default(),
        }
    }
}

/// What differs between two configurations, by key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Taken up at once.
    pub live: Vec<&'static str>,
    /// Taken up at the next start.
    pub restart: Vec<&'static str>,
}

impl Config {
    /// Reads a whole file. Every fault in it is reported, in the order of its lines.
    pub fn check(text: &str) -> Result<Config, Vec<ConfigFault>> {
        let mut config = Config::default();
        let mut reader = Reader::parse(text)?;
        config.visit(&mut reader);
        config.cross_check(&mut reader);
        reader.finish().map(|()| config)
    }

    /// The one list of keys.
    fn visit(&mut self, k: &mut impl Keys) {
        use Apply::{Live, Restart};
        k.key("data_dir", Restart, &mut self.data_dir);
        k.key("run_dir", Restart, &mut self.run_dir);
        k.key("listen", Restart, &mut self.listen);
        k.key("tls.certificate", Restart, &mut self.tls.certificate);
        k.key("tls.key", Restart, &mut self.tls.key);
        k.key("tls.names", Restart, &mut self.tls.names);
        k.key("tls.client_ca", Restart, &mut self.tls.client_ca);
        k.key("tls.client_crl", Restart, &mut self.tls.client_crl);
        k.within("access.token_s", Live, &mut self.access.token_s, 60, 31_536_000);
        k.within("access.failures", Live, &mut self.access.failures, 1, 1000);
        k.within("access.lock_s", Live, &mut self.access.lock_s, 1, 900);
        k.within("access.requests_per_s", Live, &mut self.access.requests_per_s, 0, 1_000_000);
        k.within("access.audit_keep", Live, &mut self.access.audit_keep, 1000, 10_000_000);
        k.key("socket.path", Restart, &mut self.socket.path);
        k.key("log.format", Restart, &mut self.log.format);
        k.key("log.level", Live, &mut self.log.level);
        k.key("hypervisor.uri", Restart, &mut self.hypervisor.uri);
        k.key("hypervisor.accel", Restart, &mut self.hypervisor.accel);
        k.key("host.profile", Live, &mut self.host.profile);
        k.key("host.hugepages", Live, &mut self.host.hugepages);
        k.key("host.pf", Restart, &mut self.host.pf);
        k.key("host.iommu", Live, &mut self.host.iommu);
        k.key("host.governor", Live, &mut self.host.governor);
        k.key("host.isolate", Live, &mut self.host.isolate);
        k.key("host.grubenv", Restart, &mut self.host.grubenv);
        k.key("host.network", Restart, &mut self.host.network);
        k.key("firewall.inbound", Live, &mut self.firewall.inbound);
        k.key("firewall.open", Live, &mut self.firewall.open);
        k.within("overcommit.cpu", Live, &mut self.overcommit.cpu, 0.1, 64.0);
        k.within("overcommit.memory", Live, &mut self.overcommit.memory, 0.1, 8.0);
        k.within("overcommit.disk", Live, &mut self.overcommit.disk, 0.1, 64.0);
        k.within("reserve.disk_mib", Live, &mut self.reserve.disk_mib, 16, 1 << 30);
        k.within("reserve.memory_mib", Live, &mut self.reserve.memory_mib, 0, 1 << 30);
        k.key("reserve.cpus", Live, &mut self.reserve.cpus);
        k.key("reserve.hugepages", Live, &mut self.reserve.hugepages);
        k.key("network.ovsdb", Restart, &mut self.network.ovsdb);
        k.key("network.pool", Live, &mut self.network.pool);
        k.key("physical_network", Restart, &mut self.physical_network);
        k.key("tunnel", Restart, &mut self.tunnel);
        k.key("sdn_controller", Live, &mut self.sdn_controller);
        k.key("sdn_portmap", Live, &mut self.sdn_portmap);
        k.within("limits.upload_mib", Live, &mut self.limits.upload_mib, 1, 1 << 20);
        k.within("limits.body_kib", Live, &mut self.limits.body_kib, 1, 65536);
        k.within("limits.headers_kib", Restart, &mut self.limits.headers_kib, 8, 1024);
        k.within("limits.connections", Restart, &mut self.limits.connections, 1, 65536);
        k.within("limits.connections_per_source", Restart, &mut self.limits.connections_per_source, 0, 65536);
        k.within("limits.header_timeout_s", Restart, &mut self.limits.header_timeout_s, 1, 600);
        k.within("limits.idle_timeout_s", Restart, &mut self.limits.idle_timeout_s, 1, 600);
        k.within("limits.body_timeout_s", Live, &mut self.limits.body_timeout_s, 1, 3600);
        k.within("limits.drain_s", Live, &mut self.limits.drain_s, 0, 600);
        k.within("limits.calls", Restart, &mut self.limits.calls, 1, 256);
        k.within("limits.page", Live, &mut self.limits.page, 1, 10000);
        k.key("limits.fetch_http", Live, &mut self.limits.fetch_http);
        k.within("lcm.workers", Restart, &mut self.lcm.workers, 1, 64);
        k.within("lcm.start_at_once", Live, &mut self.lcm.start_at_once, 1, 256);
        k.within("lcm.patience_s", Restart, &mut self.lcm.patience_s, 0, 86400);
        k.within("lcm.vnf_answer_s", Live, &mut self.lcm.vnf_answer_s, 1, 86_400);
        k.key("lcm.grant_offline", Live, &mut self.lcm.grant_offline);
        k.within("lcm.package_wait_s", Live, &mut self.lcm.package_wait_s, 0, 600);
        k.within("lcm.grant_hold_s", Live, &mut self.lcm.grant_hold_s, 60, 604_800);
        k.within("autoheal.tries", Live, &mut self.autoheal.tries, 0, 100);
        k.within("autoheal.pause_s", Live, &mut self.autoheal.pause_s, 0, 3600);
        k.within("autoheal.calm_s", Live, &mut self.autoheal.calm_s, 1, 86400);
        k.key("notify.ca", Restart, &mut self.notify.ca);
        k.within("notify.timeout_s", Restart, &mut self.notify.timeout_s, 1, 300);
        k.within("notify.attempts", Restart, &mut self.notify.attempts, 1, 100_000);
        k.within("notify.backlog", Restart, &mut self.notify.backlog, 10, 1_000_000);
        k.within("update.trial_s", Restart, &mut self.update.trial_s, 60, 840);
        k.key("call_home", Restart, &mut self.call_home);
        k.key("hub.listen", Restart, &mut self.hub.listen);
        k.key("hub.certificate", Restart, &mut self.hub.certificate);
        k.key("hub.key", Restart, &mut self.hub.key);
        k.key("hub.ca", Restart, &mut self.hub.ca);
        k.key("hub.box", Live, &mut self.hub.boxes);
        k.key("hub.bootstrap", Restart, &mut self.hub.bootstrap);
        k.key("hub.name", Restart, &mut self.hub.name);
        k.key("hub.devices", Restart, &mut self.hub.devices);
        k.key("hub.owner", Restart, &mut self.hub.owner);
        k.key("hub.documents", Restart, &mut self.hub.documents);
        k.key("ztp.enabled", Restart, &mut self.ztp.enabled);
        k.key("ztp.media", Restart, &mut self.ztp.media);
        k.key("ztp.dhcp", Restart, &mut self.ztp.dhcp);
        k.within("ztp.retry_s", Restart, &mut self.ztp.retry_s, 1, 600);
        k.key("ztp.server", Restart, &mut self.ztp.server);
        k.key("desired.ca", Live, &mut self.desired.ca);
        k.key("desired.url", Live, &mut self.desired.url);
        k.within("desired.interval_s", Live, &mut self.desired.interval_s, 10, 86400);
        k.key("desired.serial", Live, &mut self.desired.serial);
        k.key("sim.enabled", Restart, &mut self.sim.enabled);
        k.within("sim.start_ms", Restart, &mut self.sim.start_ms, 0, 60000);
    }

    /// Every key with its value as TOML text.
    pub fn entries(&self) -> Vec<Shown> {
        let mut shower = Shower::default();
        self.clone().visit(&mut shower);
        shower.0
    }

    /// Which keys differ, and when the new values count.
    pub fn changes(old: &Config, new: &Config) -> Changes {
        let mut changes = Changes::default();
        for (a, b) in old.entries().iter().zip(new.entries()) {
            if a.value != b.value {
                match b.apply {
                    Apply::Live => changes.live.push(b.path),
                    Apply::Restart => changes.restart.push(b.path),
                }
            }
        }
        changes
    }

    /// `self` with the live keys of `new`: what runs after an apply, until the next start.
    #[must_use]
    pub fn with_live_of(&self, new: &Config) -> Config {
        let mut c = self.clone();
        c.log.level = new.log.level;
        c.access = new.access.clone();
        c.overcommit = new.overcommit.clone();
        c.reserve = new.reserve.clone();
        c.host = Host { pf: c.host.pf, grubenv: c.host.grubenv, network: c.host.network, ..new.host.clone() };
        c.firewall.clone_from(&new.firewall);
        c.desired = new.desired.clone();
        c.network.pool = new.network.pool;
        c.limits.upload_mib = new.limits.upload_mib;
        c.limits.body_kib = new.limits.body_kib;
        c.limits.body_timeout_s = new.limits.body_timeout_s;
        c.limits.drain_s = new.limits.drain_s;
        c.limits.page = new.limits.page;
        c.limits.fetch_http = new.limits.fetch_http;
        c.lcm.start_at_once = new.lcm.start_at_once;
        c.lcm.grant_hold_s = new.lcm.grant_hold_s;
        c.lcm.vnf_answer_s = new.lcm.vnf_answer_s;
        c.lcm.grant_offline = new.lcm.grant_offline;
        c.lcm.package_wait_s = new.lcm.package_wait_s;
        c.autoheal.clone_from(&new.autoheal);
        c.sdn_controller.clone_from(&new.sdn_controller);
        c.sdn_portmap.clone_from(&new.sdn_portmap);
        c.hub.boxes.clone_from(&new.hub.boxes);
        c
    }

    pub fn socket_path(&self) -> Utf8PathBuf {
        if self.socket.path.as_str().is_empty() { self.run_dir.join("bothy.sock") } else { self.socket.path.clone() }
    }
    pub fn tls_paths(&self) -> (Utf8PathBuf, Utf8PathBuf) {
        if self.tls.certificate.as_str().is_empty() {
            let dir: &Utf8Path = &self.data_dir.join("tls");
            (dir.join("cert.pem"), dir.join("key.pem"))
        } else {
            (self.tls.certificate.clone(), self.tls.key.clone())
        }
    }
}

#[cfg(test)]
mod tests;
