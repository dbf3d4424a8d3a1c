//! What the adapter makes of trees that are not here: names, networks, settings and refusals.

use super::*;
use crate::{
    host::{durable::io_fault, facts::fake::Fake},
    model::{
        error::Kind,
        host::{PortUse, VfConf},
    },
    sim::machine::edge_server,
};

fn hardware(fake: &Fake) -> LinuxHardware {
    let pf = "0000:20:00.0".parse().expect("address");
    let physical = vec![(PfName::Interface("ens1f0".parse().expect("name")), "wan".into()), (PfName::Address(pf), "lan".into())];
    LinuxHardware::new(Settings { root: fake.root().to_owned(), physical, environment: None })
}

#[test]
fn pfs_have_the_names_the_configuration_gives_them() {
    let fake = Fake::of(&edge_server());
    let f = hardware(&fake).facts().expect("facts");
    let names: Vec<_> = f.pfs().map(|(_, pf)| pf.physical.as_deref()).collect();
    assert_eq!(names, [Some("wan"), Some("lan")]);
}

#[test]
fn a_pf_that_a_guest_has_whole_keeps_the_network_of_the_interface_that_it_had() {
    let fake = Fake::of(&edge_server());
    let h = hardware(&fake);
    let networks = |h: &LinuxHardware| -> Vec<_> {
        let facts = h.facts().expect("facts");
        facts.pfs().map(|(_, pf)| pf.physical.as_ref().map(ToString::to_string)).collect()
    };
    let both = [Some("wan".to_owned()), Some("lan".to_owned())];
    assert_eq!(networks(&h), both);
    let dir = "sys/bus/pci/devices/0000:10:00.0";
    fake.remove(&format!("{dir}/net"));
    assert_eq!(networks(&h), [None, both[1].clone()], "no interface, and no guest");
    let driven_by = |name: &str| fake.link(&format!("{dir}/driver"), &format!("../../../bus/pci/drivers/{name}"));
    let pf: PciAddr = "0000:10:00.0".parse().expect("address");
    fake.put(&format!("{dir}/driver_override"), "(null)");
    driven_by("vfio-pci");
    assert_eq!(networks(&h), [None, both[1].clone()], "bound by hand: another program has it");
    h.ensure_driver(pf, Some(&DriverName::VFIO)).expect("given");
    assert_eq!(networks(&h), both);
    driven_by("ice");
    h.ensure_driver(pf, Some(&"ice".parse().expect("a driver"))).expect("taken back");
    driven_by("vfio-pci");
    assert_eq!(networks(&h), [None, both[1].clone()], "and by hand again");
}

#[test]
fn what_a_guest_has_since_before_a_restart_is_known_by_the_record_alone() {
    let fake = Fake::of(&edge_server());
    let [pf, lan]: [PciAddr; 2] = ["10:00.0", "20:00.0"].map(|a| a.parse().expect("address"));
    for d in [pf, lan] {
        fake.remove(&format!("sys/bus/pci/devices/{d}/net"));
        fake.link(&format!("sys/bus/pci/devices/{d}/driver"), "../../../bus/pci/drivers/vfio-pci");
    }
    let networks = |h: &LinuxHardware| -> Vec<_> {
        let facts = h.facts().expect("facts");
        facts.pfs().map(|(_, pf)| pf.physical.as_ref().map(ToString::to_string)).collect()
    };
    let known = |recalled: &[(PciAddr, SmolStr)]| {
        let h = hardware(&fake);
        h.recall(recalled);
        networks(&h)
    };
    // `lan` is configured by its address.
    let [wan, lan_too] = ["wan", "lan"].map(|n| Some(n.to_owned()));
    assert_eq!(known(&[]), [None, lan_too.clone()]);
    assert_eq!(known(&[(pf, "ens1f0".into()), (lan, "ens2f0".into())]), [wan.clone(), lan_too.clone()]);
    assert_eq!(known(&[(pf, "ens7f0".into())]), [None, lan_too.clone()], "called something that the configuration does not have");
    assert_eq!(known(&[(lan, "ens1f0".into())]), [None, lan_too.clone()], "another one");
    // Given back, it is nobody's again.
    let h = hardware(&fake);
    h.recall(&[(pf, "ens1f0".into())]);
    let dir = "sys/bus/pci/devices/0000:10:00.0";
    fake.put(&format!("{dir}/driver_override"), "(null)");
    fake.link(&format!("{dir}/driver"), "../../../bus/pci/drivers/ice");
    h.ensure_driver(pf, Some(&"ice".parse().expect("a driver"))).expect("taken back");
    fake.link(&format!("{dir}/driver"), "../../../bus/pci/drivers/vfio-pci");
    assert_eq!(networks(&h), [None, lan_too], "bound by hand");
}

#[test]
fn a_device_that_another_program_has_open_is_known_to_be_in_use() {
    let mut facts = edge_server();
    let [pf, vf] = {
        let (d, of) = facts.pfs().next().expect("a PF");
        [d.addr, of.vfs[2].addr]
    };
    facts.devices.iter_mut().filter(|d| d.addr == pf || d.addr == vf).for_each(|d| d.driver = Some(DriverName::VFIO));
    let group = |a: PciAddr| facts.device(a).and_then(|d| d.iommu_group).expect("a group");
    let fake = Fake::of(&facts);
    let users = |h: &LinuxHardware| -> Vec<(PciAddr, String)> {
        h.facts().expect("facts").devices.iter().filter_map(|d| Some((d.addr, d.user.as_ref()?.to_string()))).collect()
    };
    let none: [(PciAddr, String); 0] = [];
    fake.put("proc/77/comm", "systemd");
    fake.link("proc/77/fd/3", &format!("/run/{}", group(pf)));
    assert_eq!(users(&hardware(&fake)), none, "bound, and open nowhere");
    // By its group, and by its own file.
    fake.put("proc/4242/comm", "qemu-system-x86");
    fake.link("proc/4242/fd/17", &format!("/dev/vfio/{}", group(pf)));
    fake.put(&format!("sys/bus/pci/devices/{vf}/vfio-dev/vfio5/dev"), "1:2");
    fake.link("proc/99/fd/4", "/dev/vfio/devices/vfio5");
    let both = [(pf, "qemu-system-x86 (4242)".to_owned()), (vf, "process (99)".to_owned())];
    assert_eq!(users(&hardware(&fake)), both);
    // A guest of ours is no other program.
    let h = hardware(&fake);
    h.recall(&[(vf, "ens1f0".into())]);
    assert_eq!(users(&h), both[..1]);
    fake.put(&format!("sys/bus/pci/devices/{pf}/driver_override"), "(null)");
    h.ensure_driver(pf, Some(&DriverName::VFIO)).expect("given");
    assert_eq!(users(&h), none);
    // It was with vfio-pci before the guest, and is its user's again after it.
    h.release_driver(pf, Some(&DriverName::VFIO)).expect("given back");
    assert_eq!(users(&h), both[..1]);
    // With its own driver nobody has it by vfio-pci.
    let h = hardware(&fake);
    fake.link(&format!("sys/bus/pci/devices/{pf}/driver"), "../../../bus/pci/drivers/ice");
    assert_eq!(users(&h), both[1..]);
    fake.remove(&format!("sys/bus/pci/devices/{pf}"));
    h.release_driver(pf, None).expect("one that is gone is nobody's");
}

#[test]
fn an_interface_that_the_hosts_own_network_is_on_is_known() {
    let fake = Fake::of(&edge_server());
    let used = || -> Vec<Option<PortUse>> {
        let facts = hardware(&fake).facts().expect("facts");
        facts.pfs().flat_map(|(d, _)| &d.ports).map(|p| p.used.clone()).collect()
    };
    let put = |file: &str, text: &str| fake.put(&format!("proc/thread-self/net/{file}"), text);
    let v4 = |lines: &[&str]| {
        let rest = |l: &&str| format!("\n{}", l.replace(' ', "\t"));
        put(
            "route",
            &format!("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask{}", lines.iter().map(rest).collect::<String>()),
        );
    };
    let none: [Option<PortUse>; 2] = [None, None];
    assert_eq!(used(), none);
    let (near, far) = ("ens2f0 000200C0 00000000 0001 0 0 100 00FFFFFF 0 0 0", "ens1f0 00000000 010200C0 0003 0 0 100 00000000 0 0 0");
    v4(&[near, far, "ens1f0 000200C0 00000000 0001 0 0 100 00FFFFFF 0 0 0"]);
    assert_eq!(used(), [Some(PortUse::DefaultRoute), Some(PortUse::Addresses)]);
    v4(&["ens1f0 0000FEA9 00000000 0001 0 0 1000 0000FFFF 0 0 0", "eth9 00000000 010200C0 0003 0 0 100 00000000 0 0 0"]);
    assert_eq!(used(), none, "an address of the link's own scope, and another interface");
    let zero = "0".repeat(32);
    put("if_inet6", "fe800000000000000000000000000001 02 40 20 80 ens1f0\n20010db8000000000000000000000001 03 40 00 80 ens2f0");
    put(
        "ipv6_route",
        &format!(
            "{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\nfe8{} 40 {zero} 00 {zero} 100 1 0 1 ens1f0",
            &zero[3..]
        ),
    );
    assert_eq!(used(), [None, Some(PortUse::Addresses)]);
    put("ipv6_route", &format!("{zero} 00 {zero} 00 fe8{}1 400 1 0 3 ens1f0", &zero[4..]));
    assert_eq!(used(), [Some(PortUse::DefaultRoute), Some(PortUse::Addresses)]);
    put("if_inet6", "20010db8000000000000000000000001 03 40 00 00 ens2f0");
    put("ipv6_route", &format!("{zero} 00 {zero} 00 fe8{}1 400 1 0 450003 ens1f0", &zero[4..]));
    assert_eq!(used(), [Some(PortUse::Advertised), Some(PortUse::Advertised)], "routers of the network said so");
    ["ipv6_route", "if_inet6"].iter().for_each(|f| put(f, ""));
    fake.link("sys/bus/pci/devices/0000:10:00.0/net/ens1f0/upper_br0", "../../../../virtual/net/br0");
    assert_eq!(used(), [Some(PortUse::LegOf("br0".into())), None]);
}

#[test]
fn a_live_setting_is_written_where_the_kernel_reads_it() {
    let fake = Fake::of(&edge_server());
    let h = hardware(&fake);
    let cpus: CpuSet = "2-3".parse().expect("CPUs");
    let node = NodeId(1);
    for want in [
        HostSetting::HugePages { node, size: PageSize::Huge2M, pages: 77 },
        HostSetting::Governor { name: "performance".into(), cpus: cpus.clone() },
        HostSetting::Irq { number: 41, cpus: cpus.clone() },
    ] {
        for _ in 0..2 {
            h.set(&want).unwrap_or_else(|e| panic!("{want:?}: {e}"));
        }
    }
    let f = h.facts().expect("facts");
    assert_eq!(f.node(node).and_then(|n| n.pages(PageSize::Huge2M)).map(|p| p.total), Some(77));
    assert_eq!(f.governors.iter().find(|g| g.name == "performance").map(|g| &g.cpus), Some(&cpus));
    assert_eq!(f.irqs.iter().find(|i| i.number == 41).map(|i| &i.cpus), Some(&cpus));
    h.set(&HostSetting::Irq { number: 4000, cpus }).expect("an interrupt that went is nobody's");
}

#[test]
fn an_interrupt_that_the_kernel_keeps_is_told_once_and_is_nobodys_to_move_from_then_on() {
    let fake = Fake::of(&edge_server());
    let h = hardware(&fake);
    let numbers = |h: &LinuxHardware| h.facts().expect("facts").irqs.iter().map(|i| i.number).collect::<Vec<_>>();
    let path = "proc/irq/41/smp_affinity_list";
    let cpus: CpuSet = "4000".parse().expect("CPUs");
    fake.put(path, "7");
    let said = |errno: i32| {
        let refuse = |path: &str, _: &str| Err(io_fault("writing", path.into(), io::Error::from_raw_os_error(errno)));
        let e = h.route_irq(41, &cpus, &refuse).expect_err("it stays");
        (e.kind(), e.text().strip_prefix("interrupt 41: to CPUs 4000: ").expect("what").to_owned())
    };
    assert_eq!(numbers(&h), [40, 41, 42, 43]);
    for managed in [EIO, EPERM, EIO] {
        assert_eq!(said(managed), (Kind::Conflict, "the kernel keeps it on 7".into()));
        assert_eq!(numbers(&h), [40, 42, 43]);
    }
    // Any other reason may pass: it is told, and the interrupt stays in later plans.
    for (errno, kind, words) in [
        (ENOSPC, Kind::Capacity, "no interrupt vector is left there; it stays on 7"),
        (nix::libc::EBUSY, Kind::Transient, "it stays on 7: writing proc/irq/41/smp_affinity_list: Device or resource busy"),
        (nix::libc::EACCES, Kind::Transient, "it stays on 7: writing proc/irq/41/smp_affinity_list: Bothy has no permission"),
        (nix::libc::EROFS, Kind::Transient, "it stays on 7: writing proc/irq/41/smp_affinity_list: the file system is read-only"),
    ] {
        let (of, text) = said(errno);
        assert!(of == kind && text.starts_with(words), "{of:?}: {text}");
        assert_eq!(numbers(&h), [40, 41, 42, 43], "{text}");
    }
    let e = h.route_irq(41, &cpus, &|_, _| Ok(())).expect_err("it stays");
    assert_eq!((e.kind(), e.text()), (Kind::Transient, "interrupt 41: to CPUs 4000: the kernel took it, and has it on 7"));
    assert_eq!(numbers(&h), [40, 41, 42, 43]);
    // Another device has the number now.
    said(EIO);
    assert_eq!(numbers(&h), [40, 42, 43]);
    fake.put(path, "5000");
    assert_eq!(numbers(&h), [40, 41, 42, 43]);
    h.set(&HostSetting::Irq { number: 41, cpus: cpus.clone() }).expect("moved");
    assert_eq!(numbers(&h), [40, 41, 42, 43]);
}

#[test]
fn an_interrupt_whose_file_cannot_be_written_is_not_the_kernels_own() {
    let fake = Fake::of(&edge_server());
    let h = hardware(&fake);
    let path = "proc/irq/41/smp_affinity_list";
    fake.remove(path);
    // Read by everybody and written by nobody.
    fake.link(path, "/sys/devices/system/cpu/online");
    let e = h.set(&HostSetting::Irq { number: 41, cpus: "4000".parse().expect("CPUs") }).expect_err("it stays");
    assert!(e.kind() == Kind::Transient && e.text().starts_with("interrupt 41: to CPUs 4000: it stays on "), "{e:?}");
    assert!(h.facts().expect("facts").irqs.iter().any(|i| i.number == 41));
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let mut facts = edge_server();
    let vf = facts.pfs().next().expect("a PF").1.vfs[2].addr;
    let pf: PciAddr = "10:00.0".parse().expect("address");
    for d in &mut facts.devices {
        if d.addr == vf {
            d.driver = Some(DriverName::VFIO);
        }
        if d.addr != vf {
            d.iommu_group = None;
        }
    }
    let fake = Fake::of(&facts);
    let h = hardware(&fake);
    let refused = |done: Result<()>, kind: Kind, words: &str| {
        let e = done.expect_err(words);
        assert!(e.kind() == kind && e.text().contains(words), "{e:?}");
    };
    refused(h.set(&HostSetting::Vfs { pf, count: 4 }), Kind::Conflict, "belongs to a guest; their number stays 8");
    refused(h.set(&HostSetting::Vfs { pf, count: 65 }), Kind::Invalid, "its hardware has 64");
    refused(h.set(&HostSetting::Vfs { pf: vf, count: 1 }), Kind::Invalid, "is not a physical function");
    let pages = HostSetting::HugePages { node: NodeId(7), size: PageSize::Huge1G, pages: 1 };
    refused(h.set(&pages), Kind::NotFound, "neither node nor size");
    fake.put("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", 3);
    refused(h.set(&pages), Kind::NotFound, "neither node nor size");
    assert_eq!(h.tree.read("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages").as_deref(), Some("3"), "the host's own stay");
    refused(h.ensure_driver(pf, Some(&DriverName::VFIO)), Kind::Conflict, "no IOMMU group");
    let mut want = VfSetting { vf, pf, index: 3, conf: VfConf::default(), driver: None };
    refused(h.ensure_vf(&want), Kind::Transient, "the PF has not made it");
    want.vf = "7f:00.0".parse().expect("address");
    h.release_vf(&want).expect("a VF that is gone is released");
    refused(h.set_boot_args(&BootArgs::default()), Kind::Conflict, "[host] grubenv");
    assert_eq!(h.boot_args().expect("read"), None);
}
