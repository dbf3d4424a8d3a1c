//! Facts of boxes that are here, that are not, and that show only half of themselves.

use std::fmt::Write;

use super::{fake::Fake, *};
use crate::{
    model::{
        host::{Function, Mbps, NodeId, VfConf, VfLink},
        hw::{PageSize, PciAddr},
        net::VlanId,
        size::MiB,
    },
    sim::machine::{Machine, Model, Nic, edge_server},
};

const NONE: ToldVfs<'static> = &|_| Vec::new();

fn nic(model: Model, node: u16, name: &'static str, total_vfs: u16, vfs: u16, speed: u32) -> Nic {
    Nic { model, node: NodeId(node), name, physical: None, total_vfs, vfs, speed: Mbps(speed) }
}

/// Two sockets of 32 cores with SMT and three makes of NIC.
fn big() -> HostFacts {
    let nics = vec![
        nic(Model::E810, 0, "ens1f0", 128, 16, 100_000),
        nic(Model::X710, 0, "ens2f0", 32, 4, 10_000),
        nic(Model::ConnectX, 1, "ens3f0np0", 8, 8, 100_000),
    ];
    Machine { cores_per_socket: 32, nics, isolated: "4-31,36-63".parse().expect("CPUs"), ..Machine::default() }.facts()
}

/// What a tree cannot tell: what PFs do for their VFs, and names from the configuration.
fn without_words(mut facts: HostFacts) -> HostFacts {
    for d in &mut facts.devices {
        if let Function::Pf(pf) = &mut d.function {
            pf.physical = None;
            pf.vfs.iter_mut().for_each(|v| (v.conf, v.link) = (None, None));
        }
    }
    facts
}

#[test]
fn a_box_is_read_as_it_was_written() {
    let igb = Machine {
        sockets: 1,
        cores_per_socket: 4,
        threads: 1,
        memory: MiB(2048),
        hugepages: vec![(PageSize::Huge2M, 64)],
        iommu: false,
        nics: vec![nic(Model::Igb, 0, "eth0", 7, 4, 1000)],
        ..Machine::default()
    };
    let watchdog = |n: u32| Watchdog { identity: "iTCO_wdt".into(), seconds: 30 + n, runs: n == 1, has_reset: n == 2 };
    for (n, (name, facts)) in (0..).zip([("server", edge_server()), ("64 cores", big()), ("no IOMMU", igb.facts()), ("none", big())]) {
        let want = HostFacts { watchdog: (n < 3).then(|| watchdog(n)), ..without_words(facts) };
        let got = read(&Fake::of(&want).tree(), NONE).expect(name);
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn two_sockets_of_32_cores_have_their_siblings_and_nics_where_they_are() {
    let f = read(&Fake::of(&big()).tree(), NONE).expect("facts");
    assert_eq!((f.cores.len(), f.cpus().len(), f.nodes.len()), (64, 128, 2));
    assert_eq!(f.cores[33].threads.to_string(), "33,97");
    assert_eq!(f.nodes[1].cpus.to_string(), "32-63,96-127");
    let pfs: Vec<String> =
        f.pfs().map(|(d, pf)| format!("{} {} node {:?} {} of {}", d.addr, d.ports[0].name, d.node, pf.vfs.len(), pf.total_vfs)).collect();
    assert_eq!(
        pfs,
        [
            "0000:10:00.0 ens1f0 node Some(NodeId(0)) 16 of 128",
            "0000:20:00.0 ens2f0 node Some(NodeId(0)) 4 of 32",
            "0000:30:00.0 ens3f0np0 node Some(NodeId(1)) 8 of 8"
        ]
    );
    let vf: PciAddr = "30:02.1".parse().expect("address");
    let s = f.vf_setting(vf).expect("a VF");
    assert_eq!((s.index, s.driver.expect("bound").as_str()), (1, "mlx5_core"));
}

#[test]
fn what_a_pf_does_for_its_vfs_is_taken_from_whoever_asks_it() {
    let conf = |n: u16| VfConf { vlan: VlanId::try_from(40 + n).ok(), spoof_check: true, ..VfConf::default() };
    let told = |name: &IfName| match name.as_str() {
        "ens1f0" => [1, 0].map(|n| VfTold { index: n, conf: conf(n), link: (n == 1).then_some(VfLink::Down) }).to_vec(),
        _ => Vec::new(),
    };
    let f = read(&Fake::of(&edge_server()).tree(), &told).expect("facts");
    let of = |n: usize| &f.pfs().nth(n).expect("a PF").1.vfs;
    assert_eq!((&of(0)[1].conf, &of(0)[2].conf, &of(1)[0].conf), (&Some(conf(1)), &None, &None));
    assert_eq!([&of(0)[1], &of(0)[0], &of(0)[2]].map(|v| v.link), [Some(VfLink::Down), None, None]);
}

/// Taken from the machine's own sysfs, not from our idea of one.
#[test]
fn a_virtual_machine_as_its_kernel_shows_it() {
    let tree = Fake::listed(include_str!("../../../tests/fixtures/hosts/virtual.txt"));
    let f = read(&tree.tree(), NONE).expect("facts");
    let mut said = String::new();
    for n in &f.nodes {
        let pages: Vec<String> = n.hugepages.iter().map(|p| format!("{}/{} of {}", p.free, p.total, p.size)).collect();
        writeln!(said, "node {}: CPUs {}, {}, {}", n.id, n.cpus, n.memory, pages.join(", ")).expect("text");
    }
    for c in &f.caches {
        writeln!(said, "L{} {:?} {} for {}", c.level, c.kind, c.size, c.cpus).expect("text");
    }
    for d in &f.devices {
        let ports: Vec<String> = d.ports.iter().map(|p| format!("{} {:?} mtu {} {:?}", p.name, p.mac, p.mtu, p.speed)).collect();
        let driver = d.driver.as_ref().map_or("-", |d| d.as_str());
        writeln!(said, "{} {:04x}:{:04x} {:06x} {driver} {}", d.addr, d.vendor, d.device, d.class.0, ports.join(" ")).expect("text");
    }
    writeln!(said, "irqs {}, isolated '{}', iommu {}, {}", f.irqs.len(), f.isolated, f.iommu, f.kernel.args).expect("text");
    insta::assert_snapshot!("virtual", said);
}

#[test]
fn what_is_missing_is_left_out_and_the_rest_is_told() {
    let whole = without_words(edge_server());
    type Damage = (&'static str, fn(&Fake), fn(&mut HostFacts));
    let cases: [Damage; 8] = [
        (
            "no cpufreq",
            |f| (0..64).for_each(|c| f.remove(&format!("sys/devices/system/cpu/cpu{c}/cpufreq"))),
            |h| (h.governors, h.mhz) = (Vec::new(), None),
        ),
        ("no isolation files", |f| f.remove("sys/devices/system/cpu/isolated"), |_| {}),
        ("no interrupts", |f| f.remove("proc/irq"), |h| h.irqs.clear()),
        (
            "pages of one size",
            |f| (0..2).for_each(|n| f.remove(&format!("sys/devices/system/node/node{n}/hugepages/hugepages-1048576kB"))),
            |h| h.nodes.iter_mut().for_each(|n| n.hugepages.truncate(1)),
        ),
        ("no PCI", |f| f.remove("sys/bus"), |h| h.devices.clear()),
        ("no command line", |f| f.remove("proc/cmdline"), |h| h.kernel.args = KernelArgs::default()),
        (
            "an interface that is down",
            |f| {
                for file in ["carrier", "speed"] {
                    f.remove(&format!("sys/bus/pci/devices/0000:10:00.0/net/ens1f0/{file}"));
                }
                f.put("sys/bus/pci/devices/0000:10:00.0/net/ens1f0/flags", "0x1002");
            },
            |h| {
                let p = &mut h.devices[0].ports[0];
                (p.up, p.carrier, p.speed) = (false, false, None);
            },
        ),
        ("a device whose domain is past the usual", |f| f.put("sys/bus/pci/devices/10000:01:00.0/vendor", "0x8086"), |_| {}),
    ];
    for (name, damage, change) in cases {
        let fake = Fake::of(&whole);
        damage(&fake);
        let mut want = whole.clone();
        change(&mut want);
        assert_eq!(read(&fake.tree(), NONE).expect(name), want, "{name}");
    }
}

#[test]
fn a_kernel_without_numa_is_one_node() {
    let fake = Fake::of(&Machine { sockets: 1, ..Machine::default() }.facts());
    fake.remove("sys/devices/system/node");
    fake.put("proc/meminfo", "MemTotal:       2097152 kB\nMemFree:        1048576 kB");
    fake.put("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", 5);
    fake.put("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", 4);
    let f = read(&fake.tree(), NONE).expect("facts");
    let [node] = &f.nodes[..] else { panic!("{:?}", f.nodes) };
    assert_eq!((node.id, node.cpus.len(), node.memory, node.memory_free), (NodeId(0), 32, MiB(2048), MiB(1024)));
    assert_eq!(node.pages(PageSize::Huge2M).map(|p| (p.total, p.free)), Some((5, 4)));
}

#[test]
fn no_processors_is_the_one_fault() {
    let fake = Fake::of(&edge_server());
    fake.remove("sys/devices/system/cpu");
    let e = read(&fake.tree(), NONE).expect_err("nothing to tell");
    assert!(e.is_transient() && e.text().ends_with("is sysfs mounted?"), "{e}");
}

#[test]
fn this_machine_tells_its_own() {
    let f = read(&Tree::new("/"), NONE).expect("facts");
    let online = std::thread::available_parallelism().expect("CPUs").get();
    assert!(f.cpus().len() >= online, "{} CPUs shown, {online} usable", f.cpus().len());
    assert!(f.nodes.iter().map(|n| n.memory.0).sum::<u64>() > 0 && !f.kernel.release.is_empty());
}

#[test]
fn the_clock_is_the_nominal_one_of_the_slowest_cpu_and_unknown_where_nobody_tells_it() {
    const CPU: &str = "sys/devices/system/cpu/cpu";
    let bare = Machine { sockets: 1, cores_per_socket: 2, threads: 1, ..Machine::default() };
    type Say = (&'static str, &'static [(&'static str, &'static str)], Option<u32>);
    let cases: [Say; 7] = [
        ("nobody", &[], None),
        ("one CPU does not tell", &[("0/cpufreq/base_frequency", "2400000"), ("0/cpufreq/cpuinfo_max_freq", "3900000")], None),
        ("the slowest", &[("0/cpufreq/base_frequency", "2400000"), ("1/cpufreq/base_frequency", "1800000")], Some(1800)),
        ("by ACPI", &[("0/acpi_cppc/nominal_freq", "3000"), ("1/acpi_cppc/nominal_freq", "3000")], Some(3000)),
        (
            "ACPI knows nothing",
            &[
                ("0/acpi_cppc/nominal_freq", "0"),
                ("1/acpi_cppc/nominal_freq", "0"),
                ("0/cpufreq/cpuinfo_max_freq", "2200000"),
                ("1/cpufreq/cpuinfo_max_freq", "2200000"),
            ],
            Some(2200),
        ),
        ("a guest of a hypervisor", &[("/proc/cpuinfo", "cpu MHz\t\t: 2599.998\ncpu MHz\t\t: 2600.100\n")], Some(2599)),
        ("rubbish", &[("/proc/cpuinfo", "cpu MHz\t\t: many\n")], None),
    ];
    for (what, said, want) in cases {
        let fake = Fake::of(&HostFacts { mhz: None, governors: Vec::new(), ..bare.facts() });
        for (file, text) in said {
            let path = file.strip_prefix('/').map_or_else(|| format!("{CPU}{file}"), str::to_owned);
            fake.put(&path, text);
        }
        assert_eq!(read(&fake.tree(), NONE).expect(what).mhz, want, "{what}");
    }
}
