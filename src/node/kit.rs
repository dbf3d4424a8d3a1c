//! A whole box over `Sim` in a temporary folder, for tests of the core.
//!
//! Owns how such a box is built, killed and started again, and descriptors put straight into the
//! store. A kill is what `kill -9` leaves: the store's files as they are on the disk at that
//! moment, without what sled still had in memory, and a host on which nobody tidied up. Never:
//! HTTP, packages on disk.

mod shapes;
mod twice;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uuid::Uuid;

pub use shapes::{Shape, elastic, ns_descriptor, nsd, package, vnfd};
pub use twice::{Repeat, Twice};

use super::core::{Build, Core, Ports};
use crate::{
    host::clock::{OsDice, SystemClock},
    lcm::{engine::Settings, timeline::find_operation},
    model::{
        chain::Chain,
        domain::Layout,
        id::{NsId, NsdInfoId, OpId, ProjectId, VnfId, VnfPkgId},
        ns::NsInstance,
        nsd::Nsd,
        op::{Operation, Phase},
        package::VnfPackage,
        param::Params,
        place::Given,
        segment::Segment,
        size::{Bytes, MiB},
        step::{Effect, PlanStep, StepLog},
        time::Dice,
        tunnel::{Tunnel, TunnelDraft},
        vnf::{Autoheal, Reservation, VnfInstance},
        vnfd::{ImageFormat, Vnfd},
    },
    nfvo::accept::InstantiateNs,
    node::system::open_store,
    sim::{Sim, SimConfig},
    store::{Durability, Options, Record, Store},
    update::{self, Pace},
    vim::{
        capacity::Overcommit,
        network::LinkRules,
        place::facts::HostReserve,
        port::{Hardware as _, ImageInfo},
    },
    vnfm::{
        Rules,
        accept::{CreateVnf, InstantiateVnf},
    },
};

/// What a test may wait for at most; nothing here takes a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(180);
const IMAGE: [u8; 32] = [7; 32];

pub struct TestBox {
    dir: TempDir,
    store_dir: PathBuf,
    kills: u32,
    pub sim: Sim,
    pub boot: u64,
    pub engine: Settings,
    pub pace: Pace,
    repeat: Repeat,
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
        let mut b = TestBox {
            dir,
            store_dir,
            kills: 0,
            sim,
            boot: 1,
            engine: Settings::default(),
            pace: Pace::default(),
            repeat: Repeat::default(),
            core: None,
        };
        b.start();
        b
    }

    /// bothy starts on this host; it does not watch it until `core().watch()`.
    pub fn start(&mut self) {
        assert!(self.core.is_none(), "one bothy at a time");
        let sim = Arc::new(self.sim.clone());
        let begun = update::begin(&*sim, sim.boot_args(), self.pace.limit).expect("begun");
        let options = Options { flush_every_ms: 0, ..Options::default() };
        let store = open_store(&self.store_dir, options, &begun, &*sim).expect("the store opens");
        let ports = Ports {
            hypervisor: sim.clone(),
            images: sim.clone(),
            fabric: sim.clone(),
            host: sim.clone(),
            controllers: sim.clone(),
            slots: sim.clone(),
            own_net: sim.clone(),
            ways_out: sim.clone(),
            hardware: sim,
        };
        let root = camino::Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).expect("UTF-8");
        let build = Build {
            uplinks: Vec::new(),
            taken: std::collections::BTreeMap::new(),
            store,
            ports,
            layout: Layout::new(root),
            rules: rules(),
            desired: Default::default(),
            outside: Default::default(),
            clock: Arc::new(SystemClock::default()),
            dice: Arc::new(OsDice),
            engine: Settings { boot: self.boot, ..self.engine.clone() },
            begun,
            pace: self.pace,
            socket: None,
        };
        let core = Core::start_around(build, |inner| Arc::new(Twice { inner, repeat: self.repeat.clone() }));
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

    /// From now on each step is run, or undone, twice.
    pub fn repeat(&self) {
        self.repeat.on.store(true, SeqCst);
    }
    pub fn repeated(&self) -> u64 {
        self.repeat.count.load(SeqCst)
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

    /// An operation has begun the step after which there is no way back.
    pub fn sheds(&self, op: OpId) -> bool {
        let logs: Vec<StepLog> = self.store().list_under(&op).expect("logs");
        self.steps(op).iter().any(|s| s.step.effect() == Effect::Sheds && logs.iter().any(|l| l.index == s.index))
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
            assert_eq!(nics, c.ports.iter().filter(|p| p.is_nic()).map(|p| p.id).collect::<Vec<_>>(), "NICs in the planned order");
            assert_eq!(d.disks.len(), c.disks.len());
            assert_eq!(self.sim.medium(c.id).is_some(), c.medium);
        }
        let reserved = self.store().get::<Reservation>(&id).expect("read").expect("reserved");
        let facts = crate::vim::port::Hardware::facts(&self.sim).expect("facts");
        for (guest, given) in reserved.placed.iter().flat_map(|h| h.given.iter().map(|g| (h.guest, g))) {
            assert!(self.sim.functions_of(guest).contains(&given.address()), "{given:?}\n{}", self.picture());
            match given {
                Given::Vf { want, .. } => assert_eq!(facts.vf_setting(want.vf).as_ref(), Some(want), "{}", self.picture()),
                Given::Whole { device, .. } => {
                    assert_eq!(facts.device(*device).and_then(|d| d.driver.clone()), Some(crate::model::host::DriverName::VFIO));
                }
            }
        }
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
        assert_eq!(self.store().list::<Chain>().expect("read"), [], "chains\n{}", self.picture());
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

/// One that links may lead through, where the simulated switch has it too.
pub fn tunnel() -> Tunnel {
    let draft = TunnelDraft { name: "hq".into(), kind: "vxlan".into(), remotes: vec!["192.0.2.7".into()], ..TunnelDraft::default() };
    draft.check().expect("a tunnel")
}

pub fn rules() -> Rules {
    Rules {
        links: LinkRules {
            pool: "10.177.0.0/16".parse().expect("cidr"),
            pool_prefix: 24,
            physical: vec!["wan".into()],
            tunnels: vec![tunnel()],
        },
        overcommit: Overcommit::default(),
        reserve: HostReserve::default(),
        reserve_disk: MiB(0),
        graceful_stop_s: 60,
        start_at_once: 2,
        autoheal: Autoheal { pause_ms: 1, ..Autoheal::default() },
        vnf_answer_s: 600,
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
    b.onboard_nsd(super::tests::chains::chained(nsd("ns", &THREE)));
    let id = b.create_ns("ns");
    (b, id)
}
/// A box with a service of these members, of whose `web` there may be three.
pub fn elastic_box(shape: &Shape) -> (TestBox, NsId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", shape));
    b.onboard_nsd(elastic(nsd("ns", &THREE)));
    let id = b.create_ns("ns");
    (b, id)
}
pub const THREE: [(&str, &str, &[&str]); 3] = [("web", "vnf", &[]), ("fw", "vnf", &["web"]), ("client", "vnf", &["fw"])];
