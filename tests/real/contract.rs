//! What every adapter of a port owes its callers: the same cases over `Sim` and over the real ones,
//! so that the twin cannot drift.
//!
//! Each `contract_*` takes a port and things it may make, leaves nothing behind, and says in its
//! assertions which promise was broken. Over `Sim` (and images over real files) they run always;
//! tests of libvirt and Open vSwitch call them with the adapters of a box of their own.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    time::{Duration, Instant},
};

use bothy::{
    host::{LinuxHardware, LinuxNet, hardware, images::ImageFiles},
    model::{
        domain::{BaseImage, DiskSpec, DomainDisk, DomainMedium, DomainNic, DomainSpec, Layout, Owner},
        epa::{Epa, NicWish},
        error::Kind,
        host::{DriverName, Function, HostSetting, NodeId, VfConf, VfSetting},
        hw::{CpuSet, PageSize, PciAddr},
        id::{DiskId, IfKind, OpId, PortId, ProjectId, SegmentId, VnfId, VnfcId, if_name},
        net::{MacAddr, VlanId},
        place::Pins,
        size::{Bytes, MiB},
        vnfd::{DiskBus, Firmware, ImageFormat, MediaBus, Medium, NicModel},
    },
    ovs::{OvsFabric, Settings},
    sdn::port::{Fabric, PortKind, SwitchPort},
    sim::{Behaviour, Sim},
    vim::port::{
        DhcpConf, DhcpNetwork, GuestEvent, GuestState, Hardware, HostLink, HostNet, Hypervisor, IMAGE_HEAD, Images, MediumFile, NatTable,
        Still, StopHow,
    },
};
use camino::{Utf8Path, Utf8PathBuf};
use uuid::Uuid;

use super::kit::{self, Need, ovs::Ovs};

/// The longest that an event of a real hypervisor may take.
const SOON: Duration = Duration::from_secs(30);

/// A domain that needs nothing but a disk `root` (and, with `seed`, a medium); it may run for ever.
pub fn guest_spec(n: u128, seed: bool) -> DomainSpec {
    let id = Uuid::from_u128(0xb07b_0000_0000_4000_8000_0000_0000_0000 | n);
    DomainSpec {
        id: VnfcId(id),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: None,
            vnf: VnfId(id),
            op: OpId(id),
            generation: 7,
            vnf_name: "contract <&>".into(),
            vdu: "vdu".into(),
            index: 3,
        },
        vcpus: 1,
        memory: MiB(64),
        firmware: Firmware::Bios,
        disks: vec![DomainDisk { id: DiskId(id), bus: DiskBus::Virtio, serial: "root".into() }],
        medium: seed.then_some(DomainMedium { bus: MediaBus::Cdrom }),
        nics: Vec::new(),
        epa: Epa::default(),
        placed: None,
    }
}

fn cpus(s: &str) -> CpuSet {
    s.parse().expect("CPUs")
}

/// A NIC for `guest_spec`, where the hypervisor has a switch to plug it into.
pub fn guest_nic(n: u128) -> DomainNic {
    let port = PortId(Uuid::from_u128(n << 64 | n));
    let (ifname, mac) = (if_name(IfKind::Guest, &port.0), MacAddr::planned(n as u32));
    let vlan = VlanId::try_from(100).expect("vlan");
    DomainNic { port, ifname, mac, vlan, model: NicModel::Virtio, mtu: None, wish: NicWish::default() }
}

/// A 1 MiB qcow2 image of four clusters, as `qemu-img create` lays it out.
fn empty_qcow2() -> Vec<u8> {
    const CLUSTER: usize = 1 << 16;
    let mut image = vec![0; 4 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb\0\0\0\x03");
    put(20, &16u32.to_be_bytes());
    put(24, &(1u64 << 20).to_be_bytes());
    put(36, &1u32.to_be_bytes());
    put(40, &(3 * CLUSTER as u64).to_be_bytes());
    put(48, &(CLUSTER as u64).to_be_bytes());
    put(56, &1u32.to_be_bytes());
    put(96, &4u32.to_be_bytes());
    put(100, &104u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for n in 0..4 {
        put(2 * CLUSTER + 2 * n, &1u16.to_be_bytes());
    }
    image
}

/// Looks only: what the parts of a box tell of each other agrees, and what is not there is refused
/// before anything is touched.
pub fn contract_hardware(h: &dyn Hardware) {
    let f = h.facts().expect("facts");
    let cpus = f.cpus();
    assert!(!cpus.is_empty() && !f.kernel.release.is_empty());
    let mut seen = bothy::model::hw::CpuSet::new();
    for c in &f.cores {
        assert!(!c.threads.is_empty() && c.threads.common(&seen).is_empty(), "a CPU is on one core: {c:?}");
        seen.extend(c.threads.iter());
        let node = f.node(c.node).unwrap_or_else(|| panic!("the node of {c:?}"));
        assert!(c.threads.minus(&node.cpus).is_empty(), "{c:?} in {:?}", node.cpus);
    }
    for n in &f.nodes {
        assert!(n.memory_free <= n.memory && n.hugepages.iter().all(|p| p.free <= p.total), "{n:?}");
    }
    assert!(f.governors.iter().all(|g| g.cpus.minus(&cpus).is_empty()));
    assert!(f.devices.windows(2).all(|d| d[0].addr < d[1].addr), "by address, each once");
    for d in &f.devices {
        assert!(d.iommu_group.is_none() || f.iommu, "{d:?}");
        match &d.function {
            Function::Plain => {}
            Function::Pf(pf) => {
                assert!(pf.vfs.len() <= usize::from(pf.total_vfs), "{d:?}");
                for v in &pf.vfs {
                    let vf = f.device(v.addr).expect("a VF is a device");
                    assert_eq!(vf.function, Function::Vf { pf: d.addr, index: v.index });
                }
            }
            Function::Vf { pf, .. } => assert!(matches!(f.device(*pf).map(|p| &p.function), Some(Function::Pf(_))), "{d:?}"),
        }
    }

    let nowhere = PciAddr::new(0xfffe, 0, 0, 0).expect("address");
    let vf = VfSetting { vf: nowhere, pf: nowhere, index: 0, conf: VfConf::default(), driver: Some(DriverName::VFIO) };
    assert_eq!(h.ensure_vf(&vf).expect_err("no such VF").kind(), Kind::Transient);
    h.release_vf(&vf).expect("a VF that is gone is released");
    assert_eq!(h.ensure_driver(nowhere, None).expect_err("no such device").kind(), Kind::NotFound);
    h.release_driver(nowhere, None).expect("a device that is gone is released");
    for (want, kind) in [
        (HostSetting::Vfs { pf: nowhere, count: 1 }, Kind::NotFound),
        (HostSetting::HugePages { node: NodeId(999), size: PageSize::Huge2M, pages: 1 }, Kind::NotFound),
    ] {
        assert_eq!(h.set(&want).expect_err("not there").kind(), kind, "{want:?}");
    }
    // What is so already is success, and touches nothing.
    for n in &f.nodes {
        for p in &n.hugepages {
            h.set(&HostSetting::HugePages { node: n.id, size: p.size, pages: p.total }).expect("it is so");
        }
    }
    for g in &f.governors {
        h.set(&HostSetting::Governor { name: g.name.clone(), cpus: g.cpus.clone() }).expect("it is so");
    }
}

/// `work`: a folder on the file system of disks, where uploads may lie.
pub fn contract_images(i: &dyn Images, work: &Utf8Path) {
    let upload = |name: &str, content: &[u8]| {
        let path = work.join(name);
        fs::write(&path, content).expect("upload");
        path
    };
    let (sha, other) = ([1; 32], [2; 32]);
    let qcow2 = empty_qcow2();
    let mut overlay = qcow2.clone();
    overlay[15] = 200;

    // What is not what it is said to be stays out, and stays where it was.
    for (name, content, format) in [
        ("raw as qcow2", &[0; 4096][..], ImageFormat::Qcow2),
        ("qcow2 as raw", &qcow2, ImageFormat::Raw),
        ("an overlay", &overlay, ImageFormat::Qcow2),
    ] {
        let path = upload(name, content);
        let head = &content[..content.len().min(IMAGE_HEAD as usize)];
        assert_eq!(i.examine(head, Bytes(content.len() as u64), format).expect_err(name).kind(), Kind::Invalid, "{name}");
        assert_eq!(i.import(&path, &sha, format).expect_err(name).kind(), Kind::Invalid, "{name}");
        assert!(path.exists() && !i.has_base(&sha).expect("has"), "{name}");
        fs::remove_file(path).expect("cleaned");
    }
    assert_eq!(i.import(&work.join("nothing"), &sha, ImageFormat::Raw).expect_err("no file").kind(), Kind::NotFound);

    let file = upload("image", &qcow2);
    let head = &qcow2[..qcow2.len().min(IMAGE_HEAD as usize)];
    let looked = i.examine(head, Bytes(qcow2.len() as u64), ImageFormat::Qcow2).expect("looked at");
    let info = i.import(&file, &sha, ImageFormat::Qcow2).expect("import");
    assert_eq!(looked, info, "a look says what the import will");
    assert_eq!((info.virtual_size, info.size.0), (MiB(1), qcow2.len() as u64));
    assert!(!file.exists(), "the file was taken");
    assert_eq!(i.import(&file, &sha, ImageFormat::Qcow2).expect("repeated without the file"), info);
    assert_eq!(i.import(&upload("image", &qcow2), &sha, ImageFormat::Qcow2).expect("repeated with the file"), info);
    assert!(!file.exists(), "the second file was taken too");
    assert!(i.has_base(&sha).expect("has") && i.bases().expect("bases").contains(&sha));

    let disk = |n: u128, size, sha256| DiskSpec {
        id: DiskId(Uuid::from_u128(n)),
        size: MiB(size),
        base: Some(BaseImage { sha256, format: ImageFormat::Qcow2 }),
    };
    assert_eq!(i.ensure_disk(&disk(1, 4, other)).expect_err("no base").kind(), Kind::NotFound);
    assert_eq!(i.ensure_disk(&disk(1, 0, sha)).expect_err("too small").kind(), Kind::Invalid);
    assert!(!i.disks().expect("disks").contains(&disk(1, 4, sha).id), "a refused disk is not there");
    let empty = DiskSpec { base: None, ..disk(2, 8, sha) };
    for spec in [&disk(1, 4, sha), &disk(1, 4, sha), &empty, &empty] {
        i.ensure_disk(spec).expect("disk, and again");
        assert!(i.disks().expect("disks").contains(&spec.id));
    }
    for size in [6, 6, 2] {
        i.grow_disk(disk(1, 4, sha).id, MiB(size)).expect("larger; again; and as it is");
    }
    assert_eq!(i.grow_disk(disk(9, 4, sha).id, MiB(6)).expect_err("no disk").kind(), Kind::NotFound);
    let room = i.room().expect("room");
    assert!(room.disks.0 > 0 && room.free <= room.total, "{room:?}");
    assert_eq!(i.remove_base(&sha).expect_err("a disk stands on it").kind(), Kind::Conflict);

    // Copies: what stands on a base counts as a disk does.
    let (one, copy, kept) = (disk(1, 4, sha).id, DiskId(Uuid::from_u128(11)), DiskId(Uuid::from_u128(12)));
    for _ in 0..2 {
        let taken = i.copy_disk(one, copy).expect("copy, and again");
        assert!(taken.0 > 0 && i.copies().expect("copies").contains(&copy));
    }
    assert!(!i.disks().expect("disks").contains(&copy), "a copy is no disk");
    assert_eq!(i.copy_disk(DiskId(Uuid::from_u128(13)), kept).expect_err("no disk").kind(), Kind::NotFound);
    assert_eq!(i.revert_disk(one, DiskId(Uuid::from_u128(13)), kept).expect_err("no copy").kind(), Kind::NotFound);
    i.take_back_disk(one, kept).expect("nothing was reverted");
    for _ in 0..2 {
        i.revert_disk(one, copy, kept).expect("reverted, and again");
        assert!(i.copies().expect("copies").contains(&kept) && i.disks().expect("disks").contains(&one));
    }
    for _ in 0..2 {
        i.take_back_disk(one, kept).expect("taken back, and again");
        assert!(!i.copies().expect("copies").contains(&kept) && i.disks().expect("disks").contains(&one));
    }
    i.remove_disk(one).expect("removed");
    assert_eq!(i.remove_base(&sha).expect_err("a copy stands on it").kind(), Kind::Conflict);

    let guest = VnfcId(Uuid::from_u128(3));
    let seed = |text: &str| [MediumFile { path: "user-data".into(), content: text.into(), secret: false }];
    for text in ["one", "one", "two"] {
        i.ensure_medium(guest, Medium::NoCloud, MediaBus::Cdrom, None, &seed(text)).expect("medium");
        assert!(i.media().expect("media").contains(&guest));
    }
    assert_eq!(i.serial_log(guest, 10).expect("no log yet"), b"");

    for _ in 0..2 {
        i.remove_disk(disk(1, 4, sha).id).expect("disk, and again");
        i.remove_disk(empty.id).expect("volume, and again");
        i.remove_copy(copy).expect("copy, and again");
        i.remove_medium(guest).expect("medium, and again");
        i.remove_serial_log(guest).expect("log, though none is there");
        i.remove_base(&sha).expect("base, and again");
    }
    assert!(!i.has_base(&sha).expect("has"));
    assert!(!i.disks().expect("disks").iter().any(|d| [disk(1, 4, sha).id, empty.id].contains(d)));
    assert!(!i.media().expect("media").contains(&guest) && !i.copies().expect("copies").contains(&copy));
}

/// `spec`: its disks and medium are there, and its guest goes on running when left alone.
pub fn contract_hypervisor(h: &dyn Hypervisor, spec: &DomainSpec) {
    let id = spec.id;
    let (tx, events) = mpsc::channel();
    h.subscribe(Box::new(move |e| {
        // The test may have ended before the adapter.
        let _ = tx.send(e);
    }));
    let state = || h.state(id).expect("state");
    let says = |state: GuestState| {
        let end = Instant::now() + SOON;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let event = events.recv_timeout(left).unwrap_or_else(|_| panic!("no event says {state:?}"));
            if event == (GuestEvent::Changed { id, state }) {
                return;
            }
        }
    };
    assert!(!h.health().expect("health").is_empty());
    let capacity = h.capacity().expect("capacity");
    assert!(capacity.cpus > 0 && capacity.memory > MiB(0));

    // What is not there.
    assert_eq!(state(), None);
    h.destroy(id).expect("absent is off");
    h.remove(id).expect("absent is removed");
    assert_eq!(h.pause(id).expect("absent stands still"), Still::Off);
    h.resume(id).expect("absent has nothing to go on with");
    for (call, result) in
        [("start", h.start(id)), ("stop", h.ask_stop(id, StopHow::Acpi)), ("reboot", h.reboot(id)), ("xml", h.xml(id).map(drop))]
    {
        assert_eq!(result.expect_err(call).kind(), Kind::NotFound, "{call} of an absent guest");
    }

    assert!(h.console(id).is_err(), "an absent guest has no console");

    // Defined: again, and in another form while it is off.
    let larger = DomainSpec { memory: spec.memory.plus(MiB(16)), ..spec.clone() };
    for form in [spec, spec, &larger, spec] {
        h.define(form).expect("define");
        assert_eq!(state(), Some(GuestState::Off));
    }
    let found = h.list().expect("list").into_iter().find(|g| g.id == id).expect("listed");
    assert_eq!((found.owner, found.state), (spec.owner.clone(), GuestState::Off));
    assert!(h.xml(id).expect("xml").contains(&id.to_string()));
    h.ask_stop(id, StopHow::Acpi).expect("a guest that is off needs no asking");
    h.destroy(id).expect("off already");
    assert_eq!(h.pause(id).expect("off stands still"), Still::Off);
    h.resume(id).expect("off stays off");
    assert_eq!(state(), Some(GuestState::Off));

    // Where its threads may run: as it is defined, before it runs and while it does.
    let pins = |vcpu: &str, emulator: &str| Pins { vcpus: vec![cpus(vcpu); spec.vcpus as usize], emulator: cpus(emulator) };
    let astray = |want: &Pins| -> Vec<String> {
        let all = h.astray(id, want).expect("astray");
        assert!(all.iter().all(|a| want.of(a.thread) == Some(&a.wanted)));
        all.iter().map(|a| format!("{} on {}", a.thread, a.on)).collect()
    };
    let nowhere = VnfcId(Uuid::from_u128(0xb07b_dead));
    assert_eq!(h.pin(nowhere, &pins("0", "0")).expect_err("absent").kind(), Kind::NotFound);
    assert!(h.astray(nowhere, &pins("0", "0")).expect("absent is nowhere").is_empty());
    h.set_float(Some(cpus("0")));
    h.define(&larger).expect("defined anew");
    h.define(spec).expect("and as it was");
    assert_eq!(astray(&pins("0", "0")), [] as [String; 0], "defined over what guests float over");
    assert_eq!(astray(&pins("1", "0")), ["vCPU 0 on 0"]);
    for _ in 0..2 {
        h.pin(id, &pins("0", "0-1")).expect("pinned, and again");
        assert_eq!(astray(&pins("0", "0-1")), [] as [String; 0]);
        assert_eq!(astray(&pins("0", "0")), ["the emulator on 0-1"]);
    }

    // Running.
    h.start(id).expect("start");
    assert_eq!(state(), Some(GuestState::Running));
    assert_eq!(astray(&pins("0", "0-1")), [] as [String; 0], "it runs where it was pinned before");
    for _ in 0..2 {
        h.pin(id, &pins("0-1", "0")).expect("pinned while it runs, and again");
        assert_eq!(astray(&pins("0-1", "0")), [] as [String; 0]);
        assert_eq!(astray(&pins("0", "0-1")), ["vCPU 0 on 0-1", "the emulator on 0"]);
    }
    says(GuestState::Running);
    h.start(id).expect("it runs already");
    h.define(spec).expect("a running guest of the same form");
    assert_eq!(h.define(&larger).expect_err("a running guest of another form").kind(), Kind::Conflict);
    // Still, and on again.
    for _ in 0..2 {
        assert_ne!(h.pause(id).expect("pause, and again"), Still::Off);
        assert_eq!(state(), Some(GuestState::Paused));
    }
    says(GuestState::Paused);
    for _ in 0..2 {
        h.resume(id).expect("resume, and again");
        assert_eq!(state(), Some(GuestState::Running));
    }

    h.ask_stop(id, StopHow::Acpi).expect("asked; who listens is another matter");
    h.console(id).map(drop).or_else(|e| if state() == Some(GuestState::Running) { Err(e) } else { Ok(()) }).expect("console");

    // Off by force, and on again.
    h.destroy(id).expect("destroy");
    assert_eq!(state(), Some(GuestState::Off));
    says(GuestState::Off);
    h.destroy(id).expect("destroy again");
    h.start(id).expect("start again");
    says(GuestState::Running);
    assert_eq!(astray(&pins("0-1", "0")), [] as [String; 0], "the next start has it too");

    // Gone while it runs: nothing lives on without a definition.
    h.remove(id).expect("remove");
    assert_eq!(state(), None);
    says(GuestState::Off);
    h.remove(id).expect("remove again");
    assert!(!h.list().expect("list").iter().any(|g| g.id == id));
}

/// `port`: a host port of the switch that is there. `open` answers TCP, `closed` does not.
pub fn contract_hostnet(n: &dyn HostNet, port: &SwitchPort, open: SocketAddr, closed: SocketAddr) {
    let cidr = |s: &str| s.parse().expect("cidr");
    let ip = |s: &str| s.parse().expect("ip");
    let mut link =
        HostLink { ifname: port.name.clone(), addresses: vec![cidr("198.51.100.1/24"), cidr("2001:db8:c0::1/64")], mtu: Some(1400) };
    for addresses in [link.addresses.clone(), link.addresses.clone(), vec![cidr("198.51.100.1/24")], vec![cidr("203.0.113.1/31")]] {
        link.addresses = addresses;
        n.ensure_link(&link).expect("link");
    }
    link.addresses = vec![cidr("198.51.100.1/24")];
    n.ensure_link(&link).expect("link");
    let all = n.link_addresses().expect("addresses");
    assert_eq!(all.iter().filter(|(name, _)| *name == port.name).collect::<Vec<_>>(), [&(port.name.clone(), cidr("198.51.100.1/24"))]);
    let network = DhcpNetwork { cidr: cidr("198.51.100.0/24"), gateway: Some(ip("198.51.100.1")), dns: vec![], mtu: Some(1400) };
    let mut conf = DhcpConf { segment: port.segment, ifname: port.name.clone(), networks: vec![network], leases: vec![] };
    for gateway in [Some(ip("198.51.100.1")), Some(ip("198.51.100.1")), None] {
        conf.networks[0].gateway = gateway;
        n.ensure_dhcp(&conf).expect("dhcp");
        assert_eq!(n.list_dhcp().expect("list").iter().filter(|s| **s == port.segment).count(), 1);
    }
    for _ in 0..2 {
        n.remove_dhcp(port.segment).expect("dhcp, and again");
        assert!(!n.list_dhcp().expect("list").contains(&port.segment));
    }
    let table = NatTable { masquerade: vec![cidr("198.51.100.0/24")], forwards: vec![], inside: vec![port.name.clone()], links: true };
    for table in [&table, &table, &NatTable::default(), &NatTable::default()] {
        n.project_nat(table).expect("nat");
    }
    let wait = Duration::from_millis(500);
    assert!(n.tcp_answers(open.ip(), open.port(), wait).expect("open"));
    assert!(!n.tcp_answers(closed.ip(), closed.port(), wait).expect("closed"));
}

pub fn contract_fabric(f: &dyn Fabric) {
    let datapath = f.ensure_ready().expect("ready");
    assert_eq!(f.ensure_ready().expect("ready again"), datapath);
    assert!(!f.health().expect("health").is_empty());
    let segment = SegmentId(Uuid::from_u128(0xfab0_0000_0000_4000_8000_0000_0000_0001));
    let port = host_port(segment, 200);
    let moved = host_port(segment, 201);
    let find = || f.ports().expect("ports").into_iter().filter(|p| p.name == port.name).collect::<Vec<_>>();
    f.remove_port(&port.name).expect("absent is removed");
    for want in [&port, &port, &moved, &moved] {
        f.ensure_port(want).expect("port");
        let found = find();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].vlan, found[0].segment, &found[0].error), (Some(want.vlan), Some(segment), &None));
    }
    for _ in 0..2 {
        f.remove_port(&port.name).expect("port, and again");
        assert!(find().is_empty());
    }
    let nowhere = SwitchPort { kind: PortKind::Physical { network: "no-such-network".into(), tag: None, transparent: false }, ..port };
    assert_eq!(f.ensure_port(&nowhere).expect_err("an unknown physical network").kind(), Kind::Invalid);
}

/// The host's port on a segment.
pub fn host_port(segment: SegmentId, vlan: u16) -> SwitchPort {
    let name = if_name(IfKind::Host, &segment.0);
    SwitchPort { name, segment, vlan: VlanId::try_from(vlan).expect("vlan"), kind: PortKind::Host { mtu: None } }
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("utf8");
    (dir, path)
}

#[test]
fn hardware_of_the_twin_and_of_this_machine() {
    contract_hardware(&Sim::default());
    contract_hardware(&LinuxHardware::new(hardware::Settings { root: "/".into(), physical: Vec::new(), environment: None }));
}

#[test]
fn images_over_sim() {
    let (_dir, work) = folder();
    contract_images(&Sim::default(), &work);
}

#[test]
fn images_over_files() {
    let (_dir, work) = folder();
    let files = ImageFiles::open(Layout::new(work.join("data"))).expect("open");
    contract_images(&files, &work);
    for (name, kept) in [("images", 0), ("disks", 0), ("media", 0)] {
        assert_eq!(fs::read_dir(work.join("data").join(name)).expect("folder").count(), kept, "{name}");
    }
}

#[test]
fn hypervisor_over_sim() {
    for deaf in [false, true] {
        let sim = Sim::default();
        sim.set_guests(move |_| if deaf { Behaviour::deaf() } else { Behaviour::default() });
        let mut spec = guest_spec(1, true);
        spec.nics.push(guest_nic(1));
        sim.ensure_disk(&DiskSpec { id: spec.disks[0].id, size: MiB(1), base: None }).expect("disk");
        sim.ensure_medium(spec.id, Medium::NoCloud, MediaBus::Cdrom, None, &[]).expect("medium");
        contract_hypervisor(&sim, &spec);
        sim.remove_disk(spec.disks[0].id).expect("disk");
        sim.remove_medium(spec.id).expect("medium");
        assert_eq!(sim.leftovers(), []);
    }
}

#[test]
fn hostnet_over_sim() {
    let sim = Sim::default();
    let port = host_port(SegmentId(Uuid::from_u128(5)), 300);
    sim.ensure_port(&port).expect("port");
    sim.set_tcp(|_, port| port == 80);
    let at = |port| SocketAddr::from(([198, 51, 100, 1], port));
    contract_hostnet(&sim, &port, at(80), at(81));
    sim.remove_port(&port.name).expect("port");
    assert_eq!(sim.leftovers(), []);
}

#[test]
fn fabric_over_sim() {
    let sim = Sim::default();
    contract_fabric(&sim);
    assert_eq!(sim.leftovers(), []);
}

#[test]
fn fabric_and_hostnet_over_the_real_ones() {
    if kit::lacks(&kit::ovs::NEEDS) || kit::lacks(&[Need::Program("dnsmasq"), Need::Program("nft")]) {
        return;
    }
    kit::netns::enter_new();
    let ovs = Ovs::start();
    let fabric = OvsFabric::new(Settings { socket: ovs.socket(), physical: BTreeMap::new() }).expect("fabric");
    contract_fabric(&fabric);

    let (_dir, state) = folder();
    let port = host_port(SegmentId(Uuid::from_u128(5)), 300);
    fabric.ensure_port(&port).expect("port");
    let open = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr().map(|a| (l, a))).expect("listener");
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    contract_hostnet(&LinuxNet::new(&state), &port, open.1, closed);
    fabric.remove_port(&port.name).expect("port");
    assert_eq!(fabric.ports().expect("ports"), []);
}
