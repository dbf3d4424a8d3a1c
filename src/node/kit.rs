//! A whole box over `Sim` in a temporary folder, for tests of the core.
//!
//! Owns how such a box is built, killed and started again, and descriptors put straight into the
//! store. A kill is what `kill -9` leaves: the store's files as they are on the disk at that
//! moment, without what sled still had in memory, and a host on which nobody tidied up. Never:
//! HTTP, packages on disk.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use smol_str::{SmolStr, format_smolstr};
use tempfile::TempDir;
use uuid::Uuid;

use super::core::{Build, Core, Ports};
use crate::{
    host::clock::{OsDice, SystemClock},
    lcm::{engine::Settings, timeline::find_operation},
    model::{
        domain::Layout,
        epa::{Epa, NicWish},
        id::{NsId, NsdInfoId, OpId, ProjectId, VnfId, VnfPkgId},
        ns::NsInstance,
        nsd::{Attach, Member, NsFlavour, NsLevel, NsLink, Nsd},
        op::{Operation, Phase},
        package::{NsDescriptor, Onboarding, Operational, StoredImage, VnfPackage},
        param::Params,
        segment::Segment,
        size::{Bytes, MiB},
        step::PlanStep,
        time::{Dice, Stamp},
        vnf::{Reservation, VnfInstance},
        vnfd::{
            CpLink, Day0, Day0File, Day0Source, Disk, DiskBus, ExtCp, ExtCpThrough, Firmware, Flavour, Forward, ImageFormat, IntLink,
            Layer3, Level, LinkProfile, MediaBus, Medium, NicModel, Readiness, SwImage, Transport, Vdu, VduCp, Vnfd,
        },
    },
    nfvo::accept::InstantiateNs,
    sim::{Sim, SimConfig},
    store::{Durability, Options, Record, Store},
    vim::{capacity::Overcommit, network::LinkRules, port::ImageInfo},
    vnfm::{
        Rules,
        accept::{CreateVnf, InstantiateVnf},
    },
};

/// What a test may wait for at most; nothing here takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
const IMAGE: [u8; 32] = [7; 32];

pub struct TestBox {
    dir: TempDir,
    store_dir: PathBuf,
    kills: u32,
    pub sim: Sim,
    pub boot: u64,
    pub engine: Settings,
    core: Option<Arc<Core>>,
}

impl TestBox {
    pub fn new() -> TestBox {
        TestBox::of(SimConfig::default())
    }
    pub fn of(config: SimConfig) -> TestBox {
        // A kill leaves what was written, not what was synced: memory is as good as a disk, and fast.
        let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder");
        let sim = Sim::new(config);
        sim.add_base(IMAGE, ImageInfo { format: ImageFormat::Qcow2, virtual_size: MiB(64), size: Bytes(1 << 20) });
        let store_dir = dir.path().join("store");
        let mut b = TestBox { dir, store_dir, kills: 0, sim, boot: 1, engine: Settings::default(), core: None };
        b.start();
        b
    }

    /// bothy starts on this host; it does not watch it until `core().watch()`.
    pub fn start(&mut self) {
        assert!(self.core.is_none(), "one bothy at a time");
        let store = Store::open(&self.store_dir, Options { flush_every_ms: 0, ..Options::default() }).expect("the store opens");
        let sim = Arc::new(self.sim.clone());
        let ports = Ports { hypervisor: sim.clone(), images: sim.clone(), fabric: sim.clone(), host: sim.clone(), hardware: sim };
        let root = camino::Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).expect("UTF-8");
        let core = Core::start(Build {
            store,
            ports,
            layout: Layout::new(root),
            rules: rules(),
            desired: Default::default(),
            clock: Arc::new(SystemClock::default()),
            dice: Arc::new(OsDice),
            engine: Settings { boot: self.boot, ..self.engine.clone() },
        });
        self.core = Some(core.expect("bothy starts"));
    }

    /// Ends as after SIGTERM.
    pub fn stop(&mut self) {
        if let Some(core) = self.core.take() {
            core.stop();
        }
    }
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }
    /// Ends as after SIGKILL: the next bothy finds what was on the disk.
    pub fn kill(&mut self) {
        self.core().engine.stop();
        self.kills += 1;
        let copy = self.dir.path().join(format!("store-{}", self.kills));
        copy_dir(&self.store_dir, &copy);
        self.store_dir = copy;
        self.stop();
        self.sim.faults().clear();
    }
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.start();
    }
    /// As `kill_and_start`; in between `change` has the store, as a crash at another moment or
    /// another release would have left it.
    pub fn kill_and_start_after(&mut self, change: impl FnOnce(&Store)) {
        self.kill();
        change(&Store::open(&self.store_dir, Options::default()).expect("the store opens"));
        self.start();
    }
    /// The host went down and came up: guests are off, and links have to be made anew.
    pub fn host_reboot(&mut self) {
        self.kill();
        self.boot += 1;
        for g in crate::vim::port::Hypervisor::list(&self.sim).expect("guests") {
            self.sim.put(g.id, crate::vim::port::GuestState::Off).expect("off");
        }
    }

    pub fn core(&self) -> &Arc<Core> {
        self.core.as_ref().expect("bothy runs")
    }
    pub fn store(&self) -> &Store {
        self.core().vnfm().store()
    }
    pub fn store_dir(&self) -> &Path {
        &self.store_dir
    }

    pub fn op(&self, id: OpId) -> Operation {
        find_operation(self.store(), id).expect("the operation")
    }
    /// The operation when it waits for its client or is over.
    pub fn wait(&self, id: OpId) -> Operation {
        let mut last = None;
        self.until("the operation ends", || {
            let op = self.op(id);
            let quiet = matches!(op.state.phase(), Phase::Stuck | Phase::Over);
            last = Some(op);
            quiet
        });
        last.expect("looked at least once")
    }
    pub fn until(&self, what: &str, mut is: impl FnMut() -> bool) {
        let t = Instant::now();
        while !is() {
            if t.elapsed() > PATIENCE {
                panic!("not in {PATIENCE:?}: {what}\n{}", self.picture());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    /// Every operation with its timeline, for a test that failed.
    pub fn picture(&self) -> String {
        let mut out = String::new();
        for op in self.store().list::<Operation>().expect("operations") {
            out += &format!("{} {} {} {:?}\n", op.id, op.label(), op.state.name(), op.error);
            for l in self.core().engine.timeline(op.id).expect("a timeline").1 {
                out += &format!("  {:2} {:?} {} {:?} {:?}\n", l.index, l.progress, l.label, l.why, l.error.map(|e| e.text));
            }
        }
        out
    }

    pub fn put<R: Record>(&self, record: &R) {
        self.store().write(Durability::Barrier, |tx| tx.put(record)).expect("stored");
    }
    pub fn onboard(&self, vnfd: Vnfd) -> VnfPkgId {
        let p = package(vnfd);
        self.put(&p);
        p.id
    }
    pub fn onboard_nsd(&self, nsd: Nsd) -> NsdInfoId {
        let d = ns_descriptor(nsd);
        self.put(&d);
        d.id
    }
    pub fn create_vnf(&self, vnfd: &str) -> VnfId {
        let ask = CreateVnf {
            project: ProjectId::DEFAULT,
            vnfd_id: vnfd.into(),
            name: Some("v".into()),
            description: String::new(),
            metadata: Params::new(),
        };
        self.core().vnfm().create(&ask).expect("created").id
    }
    pub fn create_ns(&self, nsd: &str) -> NsId {
        self.core().nfvo.create_ns(ProjectId::DEFAULT, nsd, "s".into(), String::new()).expect("created").id
    }
    pub fn instantiate_vnf(&self, id: VnfId) -> OpId {
        self.core().vnfm().instantiate(id, &ask_vnf()).expect("accepted").id
    }
    pub fn instantiate_ns(&self, id: NsId) -> OpId {
        self.core().nfvo.instantiate(id, &ask_ns()).expect("accepted").id
    }
    pub fn vnf(&self, id: VnfId) -> VnfInstance {
        self.store().require(&id).expect("the VNF")
    }
    pub fn ns(&self, id: NsId) -> NsInstance {
        self.store().require(&id).expect("the NS")
    }
    pub fn member(&self, ns: NsId, profile: &str) -> VnfInstance {
        let id = self.ns(ns).members.iter().find(|m| m.profile == profile).expect("a member").vnf;
        self.vnf(id)
    }
    pub fn steps(&self, op: OpId) -> Vec<PlanStep> {
        self.store().list_under(&op).expect("steps")
    }

    /// Each guest of a VNF runs, in the form that was planned.
    pub fn assert_vnf_up(&self, id: VnfId) {
        let v = self.vnf(id);
        assert!(v.instantiated && v.op.is_none(), "{v:?}\n{}", self.picture());
        let body = v.body.expect("a body");
        for c in &body.vnfcs {
            let state = crate::vim::port::Hypervisor::state(&self.sim, c.id).expect("state");
            assert_eq!(state, Some(crate::vim::port::GuestState::Running), "{}", self.picture());
            let d = self.sim.domain(c.id).expect("defined");
            let nics: Vec<_> = d.nics.iter().map(|n| n.port).collect();
            assert_eq!(nics, c.ports.iter().map(|p| p.id).collect::<Vec<_>>(), "NICs in the planned order");
            assert_eq!(d.disks.len(), c.disks.len());
            assert_eq!(self.sim.medium(c.id).is_some(), c.medium);
        }
        assert!(self.store().get::<Reservation>(&id).expect("read").is_some());
    }
    pub fn assert_ns_up(&self, id: NsId) {
        let ns = self.ns(id);
        assert!(ns.instantiated && ns.op.is_none(), "{ns:?}\n{}", self.picture());
        for m in &ns.members {
            self.assert_vnf_up(m.vnf);
        }
    }
    /// Neither on the host nor in the records is anything left of any instantiation.
    pub fn assert_nothing_left(&self) {
        assert_eq!(self.sim.leftovers(), [], "on the host\n{}", self.picture());
        assert_eq!(self.store().list::<Segment>().expect("read"), [], "segments\n{}", self.picture());
        assert_eq!(self.store().list::<Reservation>().expect("read"), [], "reservations\n{}", self.picture());
        for v in self.store().list::<VnfInstance>().expect("read") {
            assert!(v.body.is_none() && !v.instantiated && v.op.is_none() && v.ns.is_none(), "{v:?}");
        }
        for n in self.store().list::<NsInstance>().expect("read") {
            assert!(n.members.is_empty() && n.links.is_empty() && !n.instantiated && n.op.is_none(), "{n:?}");
        }
        let held: u32 = self.store().list::<VnfPackage>().expect("read").iter().map(|p| p.users).sum();
        assert_eq!(held as usize, self.store().list::<VnfInstance>().expect("read").len(), "users of packages");
    }
    pub fn assert_state(&self, id: OpId, state: &str) -> Operation {
        let op = self.wait(id);
        assert_eq!(op.state.name(), state, "{}", self.picture());
        op
    }
}

impl Drop for TestBox {
    fn drop(&mut self) {
        self.stop();
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder");
    for e in std::fs::read_dir(from).expect("list") {
        let e = e.expect("entry");
        let target = to.join(e.file_name());
        match e.file_type().expect("type").is_dir() {
            true => copy_dir(&e.path(), &target),
            false => {
                std::fs::copy(e.path(), target).expect("copied");
            }
        }
    }
}

pub fn rules() -> Rules {
    Rules {
        links: LinkRules { pool: "10.177.0.0/16".parse().expect("cidr"), pool_prefix: 24, physical: vec!["wan".into()] },
        overcommit: Overcommit::default(),
        reserve_memory: MiB(0),
        reserve_disk: MiB(0),
        reserve_cpus: 0,
        graceful_stop_s: 60,
        start_at_once: 2,
    }
}

pub fn ask_vnf() -> InstantiateVnf {
    InstantiateVnf { flavour: "df".into(), request: "{}".into(), ..InstantiateVnf::default() }
}
pub fn ask_ns() -> InstantiateNs {
    InstantiateNs { flavour: "df".into(), request: "{}".into(), ..InstantiateNs::default() }
}

fn fresh() -> Uuid {
    Uuid::from_bytes(OsDice.bytes16())
}

/// What a test VNF has.
#[derive(Clone)]
pub struct Shape {
    pub vdus: u32,
    /// External connection points `ext0`.. of the first VDU.
    pub ext: u32,
    /// A link inside the VNF that all VDUs are on.
    pub internal: bool,
    pub day0: bool,
    pub memory: u64,
    pub readiness: Readiness,
    pub grace_s: u32,
}
impl Default for Shape {
    fn default() -> Self {
        Shape { vdus: 2, ext: 2, internal: true, day0: true, memory: 64, readiness: Readiness::Running, grace_s: 20 }
    }
}
impl Shape {
    /// One guest with one disk and two NICs.
    pub fn small() -> Self {
        Shape { vdus: 1, internal: false, day0: false, ..Shape::default() }
    }
}

pub fn vnfd(id: &str, shape: &Shape) -> Vnfd {
    let vdus: Vec<Vdu> = (0..shape.vdus).map(|n| vdu(n, shape)).collect();
    let ext_cps = (0..shape.ext).map(|n| {
        let through = ExtCpThrough::VduCp { vdu: "vdu0".into(), cp: format_smolstr!("nic{n}") };
        ExtCp { id: format_smolstr!("ext{n}"), requirement: format_smolstr!("ext{n}"), description: "".into(), through, management: n == 0 }
    });
    let level =
        Level { id: "default".into(), description: "".into(), counts: vdus.iter().map(|v| (v.id.clone(), 1)).collect(), scale: Vec::new() };
    let link = IntLink { id: "int".into(), description: "".into(), profile: LinkProfile::default() };
    let flavour = Flavour {
        id: "df".into(),
        description: "".into(),
        links: shape.internal.then_some(link).into_iter().collect(),
        ext_cps: ext_cps.collect(),
        vdus,
        default_level: "default".into(),
        levels: vec![level],
        aspects: Vec::new(),
        graceful_stop_s: None,
    };
    Vnfd {
        id: id.into(),
        invariant_id: None,
        provider: "P".into(),
        product_name: "N".into(),
        software_version: "1".into(),
        version: "1".into(),
        info_name: id.into(),
        info_description: "".into(),
        vnfm_info: Vec::new(),
        default_flavour: "df".into(),
        flavours: vec![flavour],
    }
}

fn vdu(n: u32, shape: &Shape) -> Vdu {
    let nic = |id: SmolStr, link| VduCp {
        id,
        link,
        model: NicModel::Virtio,
        mac: None,
        port_security: true,
        mtu: None,
        wish: NicWish::default(),
    };
    let mut nics = Vec::new();
    if n == 0 {
        nics.extend((0..shape.ext).map(|e| nic(format_smolstr!("nic{e}"), CpLink::External(format_smolstr!("ext{e}")))));
    }
    if shape.internal {
        nics.push(nic("inner".into(), CpLink::Internal("int".into())));
    }
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
    let day0 = Day0 {
        medium: Medium::NoCloud,
        bus: MediaBus::Cdrom,
        label: None,
        files: vec![Day0File {
            path: "user-data".into(),
            source: Day0Source::Inline("#cloud-config\nhostname: {{ hostname }}\n".into()),
            template: true,
        }],
        defaults: Vec::new(),
    };
    Vdu {
        id: format_smolstr!("vdu{n}"),
        name: format_smolstr!("vdu{n}"),
        description: "".into(),
        vcpus: 1,
        memory: MiB(shape.memory),
        firmware: Firmware::Bios,
        disks: vec![Disk { id: "root".into(), size: MiB(64), image: Some(image), bus: DiskBus::Virtio }],
        nics,
        readiness: shape.readiness.clone(),
        boot_grace_s: shape.grace_s,
        min_instances: 1,
        max_instances: 1,
        day0: shape.day0.then_some(day0),
        epa: Epa::default(),
    }
}

pub fn package(vnfd: Vnfd) -> VnfPackage {
    let image = StoredImage {
        id: "img".into(),
        sha256: IMAGE,
        format: ImageFormat::Qcow2,
        size: Bytes(1 << 20),
        virtual_size: MiB(64),
        stored_at: Stamp(1),
    };
    VnfPackage {
        id: VnfPkgId(fresh()),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        operational: Operational::Enabled,
        users: 0,
        vnfd: Some(vnfd),
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

/// Members by (id, VNFD, those they start after), on a managed link with DHCP and NAT (`ext0`) and
/// a plain one (`ext1`).
pub fn nsd(id: &str, members: &[(&str, &str, &[&str])]) -> Nsd {
    let attach = |cp: &str, link: &str| Attach { ext_cp: cp.into(), link: link.into(), addresses: Vec::new() };
    let wide = |cidr: &str, dhcp| Layer3 { cidr: cidr.parse().expect("cidr"), gateway: None, dhcp, pools: Vec::new(), dns: Vec::new() };
    let forwards = members.first().map(|(to, _, _)| Forward { proto: Transport::Tcp, host_port: 8080, to: (*to).into(), to_port: 80 });
    let mgmt = LinkProfile {
        management: true,
        nat: true,
        layer3: vec![wide("10.20.0.0/20", true)],
        forwards: forwards.into_iter().collect(),
        ..LinkProfile::default()
    };
    let lan = LinkProfile { layer3: vec![wide("192.168.0.0/20", false)], ..LinkProfile::default() };
    let link = |id: &str, profile| NsLink { id: id.into(), description: "".into(), profile };
    let members: Vec<Member> = members
        .iter()
        .map(|(m, vnfd, after)| Member {
            id: (*m).into(),
            vnfd_id: (*vnfd).into(),
            flavour: None,
            level: None,
            min_instances: 1,
            max_instances: 1,
            attach: vec![attach("ext0", "mgmt"), attach("ext1", "lan")],
            after: after.iter().map(|a| (*a).into()).collect(),
            priority: 0,
        })
        .collect();
    let level = NsLevel { id: "default".into(), description: "".into(), counts: members.iter().map(|m| (m.id.clone(), 1)).collect() };
    let flavour = NsFlavour {
        id: "df".into(),
        members,
        links: vec![link("mgmt", mgmt), link("lan", lan)],
        saps: Vec::new(),
        default_level: "default".into(),
        levels: vec![level],
    };
    Nsd {
        id: id.into(),
        invariant_id: id.into(),
        name: id.into(),
        designer: "D".into(),
        version: "1".into(),
        default_flavour: "df".into(),
        flavours: vec![flavour],
    }
}

pub fn ns_descriptor(nsd: Nsd) -> NsDescriptor {
    NsDescriptor {
        id: NsdInfoId(fresh()),
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

/// A box with one VNFD `vnf` of this shape.
pub fn vnf_box(shape: &Shape) -> (TestBox, VnfId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", shape));
    let id = b.create_vnf("vnf");
    (b, id)
}
/// A box with a service of three members: `web`, then `fw`, then `client`.
pub fn ns_box(shape: &Shape) -> (TestBox, NsId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", shape));
    b.onboard_nsd(nsd("ns", &THREE));
    let id = b.create_ns("ns");
    (b, id)
}
pub const THREE: [(&str, &str, &[&str]); 3] = [("web", "vnf", &[]), ("fw", "vnf", &["web"]), ("client", "vnf", &["fw"])];
