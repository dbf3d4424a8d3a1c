//! The orchestrator in this process, over the simulated box and a store on the disk, with
//! descriptors put straight into the store.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bothy::{
    host::clock::{OsDice, SystemClock},
    lcm::{engine::Settings, timeline::find_operation},
    model::{
        domain::Layout,
        epa::{Epa, NicWish},
        id::{NsId, NsdInfoId, OpId, ProjectId, VnfPkgId},
        net::Cidr,
        nsd::{Attach, Member, NsFlavour, NsLevel, NsLink, Nsd},
        op::Phase,
        package::{NsDescriptor, Onboarding, Operational, StoredImage, VnfPackage},
        size::{Bytes, MiB},
        time::Stamp,
        vnf::Stopping,
        vnfd::{
            CpLink, CpRole, Disk, DiskBus, ExtCp, ExtCpThrough, Firmware, Flavour, ImageFormat, Layer3, Level, LinkProfile, NicModel,
            Readiness, SwImage, Vdu, VduCp, Vnfd,
        },
    },
    nfvo::accept::InstantiateNs,
    node::core::{Build, Core, Ports},
    sim::Sim,
    store::{Durability, Options, Record, Store},
    update::{self, Pace},
    vim::{
        capacity::Overcommit,
        network::LinkRules,
        place::facts::HostReserve,
        port::{Hardware as _, ImageInfo},
    },
    vnfm::Rules,
};
use camino::Utf8Path;
use smol_str::{SmolStr, format_smolstr};
use uuid::Uuid;

pub const VNFD: &str = "vnf";
const IMAGE: [u8; 32] = [7; 32];
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the managed link of a service has its addresses from.
#[derive(Clone, Copy)]
pub enum Addresses {
    /// The descriptor: room for thousands, and for one service at a time.
    Named,
    /// The box's pool, a /24 for each service.
    Pool,
}

pub struct Orchestrator {
    pub sim: Sim,
    pub core: Arc<Core>,
}

impl Orchestrator {
    /// As the daemon opens it: the same store options, workers and rules.
    pub fn start(data: &Path) -> Orchestrator {
        let layout = Layout::new(Utf8Path::from_path(data).expect("UTF-8").to_owned());
        for folder in layout.folders() {
            std::fs::create_dir_all(folder).expect("folder");
        }
        let sim = Sim::default();
        let port = Arc::new(sim.clone());
        let pace = Pace::default();
        let begun = update::begin(&sim, sim.boot_args(), pace.limit).expect("begun");
        let core = Core::start(Build {
            uplinks: Vec::new(),
            taken: std::collections::BTreeMap::new(),
            store: Store::open(data.join("store"), Options::default()).expect("the store opens"),
            ports: Ports {
                hypervisor: port.clone(),
                images: port.clone(),
                fabric: port.clone(),
                host: port.clone(),
                controllers: port.clone(),
                slots: port.clone(),
                own_net: port.clone(),
                ways_out: port.clone(),
                hardware: port,
            },
            layout,
            rules: rules(),
            desired: Default::default(),
            outside: Default::default(),
            clock: Arc::new(SystemClock::default()),
            dice: Arc::new(OsDice),
            engine: Settings::default(),
            begun,
            pace,
            socket: None,
        });
        let core = core.expect("the orchestrator starts");
        core.watch().expect("watched");
        Orchestrator { sim, core }
    }

    pub fn store(&self) -> &Store {
        self.core.vnfm().store()
    }
    fn put<R: Record>(&self, record: &R) {
        self.store().write(Durability::Barrier, |tx| tx.put(record)).expect("stored");
    }
    /// One VNFD, and a service of so many of it.
    pub fn onboard(&self, nsd: &str, members: usize, addresses: Addresses) {
        if self.core.vnfm().package_of(ProjectId::DEFAULT, VNFD).is_err() {
            self.put(&package());
            // Not before: an image that no package names goes when the watcher begins.
            let info = ImageInfo { format: ImageFormat::Qcow2, virtual_size: MiB(64), size: Bytes(1 << 20) };
            self.sim.add_base(IMAGE, info);
        }
        self.put(&ns_descriptor(service(nsd, members, addresses)));
    }
    pub fn create(&self, nsd: &str) -> NsId {
        self.core.nfvo.create_ns(ProjectId::DEFAULT, nsd, "bench".into(), String::new()).expect("created").id
    }
    pub fn instantiate(&self, ns: NsId) {
        let ask = InstantiateNs { flavour: "df".into(), request: "{}".into(), ..InstantiateNs::default() };
        let op = self.core.nfvo.instantiate(ns, &ask).expect("accepted").id;
        self.completed(op);
    }
    pub fn terminate(&self, ns: NsId) {
        let op = self.core.nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id;
        self.completed(op);
    }
    fn completed(&self, op: OpId) {
        let begun = Instant::now();
        loop {
            let now = find_operation(self.store(), op).expect("the operation");
            match now.state.phase() {
                Phase::Over if now.state.name() == "COMPLETED" => return,
                Phase::Over | Phase::Stuck => panic!("{} {}: {:?}", now.label(), now.state.name(), now.error),
                _ => {}
            }
            assert!(begun.elapsed() < PATIENCE, "{} is still {}", now.label(), now.state.name());
            // Half a millisecond late on average; what is measured takes several.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    pub fn stop(self) {
        self.core.stop();
    }
}

fn rules() -> Rules {
    Rules {
        links: LinkRules { pool: "10.213.0.0/16".parse().expect("a network"), pool_prefix: 24, physical: Vec::new(), tunnels: Vec::new() },
        overcommit: Overcommit::default(),
        reserve: HostReserve::default(),
        reserve_disk: MiB(0),
        graceful_stop_s: 60,
        start_at_once: 4,
        autoheal: Default::default(),
        vnf_answer_s: 600,
    }
}

/// One guest with one disk and two NICs.
fn vnfd() -> Vnfd {
    let nic = |n: u32| VduCp {
        id: format_smolstr!("nic{n}"),
        link: CpLink::External(format_smolstr!("ext{n}")),
        model: NicModel::Virtio,
        mac: None,
        port_security: true,
        mtu: None,
        wish: NicWish::default(),
        role: CpRole::default(),
        rate_limit: None,
        subports: Vec::new(),
    };
    let ext = |n: u32| ExtCp {
        id: format_smolstr!("ext{n}"),
        requirement: format_smolstr!("ext{n}"),
        description: "".into(),
        through: ExtCpThrough::VduCp { vdu: "vdu".into(), cp: format_smolstr!("nic{n}") },
        management: n == 0,
    };
    let image = SwImage {
        id: "img".into(),
        name: "img".into(),
        version: "1".into(),
        provider: "P".into(),
        format: ImageFormat::Qcow2,
        path: "img.qcow2".into(),
        sha256: Some(IMAGE),
        min_disk: MiB(64),
        min_ram: MiB(0),
    };
    let vdu = Vdu {
        id: "vdu".into(),
        name: "vdu".into(),
        description: "".into(),
        vcpus: 1,
        memory: MiB(64),
        firmware: Firmware::Bios,
        disks: vec![Disk { id: "root".into(), size: MiB(64), image: Some(image), bus: DiskBus::Virtio }],
        nics: vec![nic(0), nic(1)],
        readiness: Readiness::Running,
        boot_grace_s: 20,
        min_instances: 1,
        max_instances: 1,
        day0: None,
        epa: Epa::default(),
    };
    let level =
        Level { id: "default".into(), description: "".into(), counts: vec![("vdu".into(), 1)].into_iter().collect(), scale: Vec::new() };
    let flavour = Flavour {
        id: "df".into(),
        description: "".into(),
        links: Vec::new(),
        ext_cps: vec![ext(0), ext(1)],
        vdus: vec![vdu],
        default_level: "default".into(),
        levels: vec![level],
        aspects: Vec::new(),
        groups: Vec::new(),
        graceful_stop_s: None,
    };
    Vnfd {
        id: VNFD.into(),
        invariant_id: None,
        provider: "P".into(),
        product_name: "N".into(),
        software_version: "1".into(),
        version: "1".into(),
        info_name: VNFD.into(),
        info_description: "".into(),
        vnfm_info: Vec::new(),
        default_flavour: "df".into(),
        flavours: vec![flavour],
        paths: Vec::new(),
        indicators: Vec::new(),
        own: Vec::new(),
    }
}

fn package() -> VnfPackage {
    let image = StoredImage {
        id: "img".into(),
        sha256: IMAGE,
        format: ImageFormat::Qcow2,
        size: Bytes(1 << 20),
        virtual_size: MiB(64),
        stored_at: Stamp(1),
    };
    VnfPackage {
        id: VnfPkgId(Uuid::new_v4()),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 0,
        vnfd: Some(vnfd()),
        vnfd_path: "vnfd.yaml".into(),
        manifest_path: None,
        archive: None,
        files: Vec::new(),
        images: vec![image],
        failure: None,
        user_data: Vec::new(),
        created: Stamp(1),
        revision: 1,
    }
}

/// So many VNFs on a managed link with DHCP and NAT and on a plain one.
fn service(id: &str, members: usize, addresses: Addresses) -> Nsd {
    let attach = |cp: &str, link: &str| Attach { ext_cp: cp.into(), link: link.into(), addresses: Vec::new() };
    let layer3 = |cidr: Cidr, dhcp| Layer3 { cidr, gateway: None, dhcp, pools: Vec::new(), dns: Vec::new() };
    let cidr = |text: &str| text.parse().expect("a network");
    let networks = match addresses {
        Addresses::Named => vec![layer3(cidr("10.20.0.0/20"), true)],
        Addresses::Pool => Vec::new(),
    };
    let mgmt = LinkProfile { management: true, nat: true, layer3: networks, ..LinkProfile::default() };
    let lan = LinkProfile { layer3: vec![layer3(cidr("192.168.0.0/20"), false)], ..LinkProfile::default() };
    let link = |id: &str, profile| NsLink { id: id.into(), description: "".into(), profile };
    let member = |n: usize| Member {
        id: format_smolstr!("m{n:04}"),
        vnfd_id: VNFD.into(),
        flavour: None,
        level: None,
        min_instances: 1,
        max_instances: 1,
        attach: vec![attach("ext0", "mgmt"), attach("ext1", "lan")],
        after: Vec::new(),
        priority: 0,
    };
    let members: Vec<Member> = (0..members).map(member).collect();
    let counts = members.iter().map(|m| (m.id.clone(), 1)).collect();
    let flavour = NsFlavour {
        id: "df".into(),
        members,
        links: vec![link("mgmt", mgmt), link("lan", lan)],
        saps: Vec::new(),
        default_level: "default".into(),
        levels: vec![NsLevel { id: "default".into(), description: "".into(), counts }],
        paths: Vec::new(),
        aspects: Vec::new(),
        spare: Vec::new(),
        pnfs: Vec::new(),
    };
    let id = SmolStr::new(id);
    Nsd {
        invariant_id: id.clone(),
        name: id.clone(),
        id,
        designer: "D".into(),
        version: "1".into(),
        default_flavour: "df".into(),
        flavours: vec![flavour],
    }
}

fn ns_descriptor(nsd: Nsd) -> NsDescriptor {
    NsDescriptor {
        id: NsdInfoId(Uuid::new_v4()),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 0,
        nsd: Some(nsd),
        nsd_path: "nsd.yaml".into(),
        manifest_path: None,
        archive: None,
        files: Vec::new(),
        packages: Vec::new(),
        failure: None,
        user_data: Vec::new(),
        created: Stamp(1),
        revision: 1,
    }
}
