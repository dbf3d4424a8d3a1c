//! Platform awareness on a real libvirt and a real guest under emulation, seen from both sides: what
//! the guest was told it has, and where the host runs it.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use crate::kit::{
    host::{Host, With, nic, qemu_of, tiny_guest, tiny_image},
    try_sh,
};
use bothy::{
    model::{
        domain::DomainSpec,
        epa::{Cell, Epa, MemPolicy, NicAttach, NumaWish, PinPolicy, Placed, PlacedCell, PlacedNic, Quota, Quotas, Topology},
        error::Kind,
        hw::{CpuSet, PageSize},
        id::VnfcId,
        place::Pins,
        size::MiB,
        vnfd::NicModel,
    },
    vim::port::Hypervisor,
};

/// What the guest sees, on its serial line: `node N CPUS MIB`, `cpus CPUS`, `cpu N SOCKET SIBLINGS`, `pci SLOT VENDOR`,
/// `eth SLOT MAC QUEUES`.
/// (`read` goes byte by byte, which lists of CPUs do not take.)
const LOOK: &str = r#"#!/bin/sh
exec >/dev/ttyS0
echo
for n in /sys/devices/system/node/node[0-9]*; do
  set -- $(grep MemTotal $n/meminfo)
  echo "node ${n##*node} $(cat $n/cpulist) $(($4 / 1024))"
done
read -r cpus </sys/devices/system/cpu/online
echo "cpus $cpus"
for c in /sys/devices/system/cpu/cpu[0-9]*; do
  read -r socket <$c/topology/physical_package_id
  echo "cpu ${c##*cpu} $socket $(cat $c/topology/thread_siblings_list)"
done
for d in /sys/bus/pci/devices/*; do
  read -r class <$d/class
  read -r vendor <$d/vendor
  case $class in 0x0200*) echo "pci ${d##*/} $vendor" ;; esac
done
for d in /sys/bus/pci/devices/*/virtio*/net/*; do
  read -r mac <$d/address
  slot=${d#/sys/bus/pci/devices/}
  echo "eth ${slot%%/*} $mac $(ls -d $d/queues/rx-* | wc -l)"
done
echo "looked"
"#;

fn cpus(s: &str) -> CpuSet {
    s.parse().expect("cpus")
}

/// Two guest nodes of different sizes; each vCPU, QEMU itself and the I/O thread on one CPU of the host.
fn placed_guest(mut spec: DomainSpec) -> DomainSpec {
    let cells = [("0-1", 160), ("2-3", 96)];
    spec.vcpus = 4;
    spec.memory = MiB(256);
    // The second at a place of its own; numbers that would sort otherwise.
    spec.nics =
        [(9, NicModel::Virtio), (3, NicModel::E1000), (7, NicModel::Virtio), (1, NicModel::Virtio)].map(|(n, m)| nic(n, m)).to_vec();
    spec.nics[2].wish.vpci = Some("0000:00:0a.0".parse().expect("pci"));
    spec.nics[2].wish.queues = Some(2);
    spec.epa = Epa {
        pinning: PinPolicy::Dedicated,
        io_threads: 1,
        numa: Some(NumaWish {
            policy: MemPolicy::Strict,
            cells: cells.iter().map(|(v, m)| Cell { vcpus: cpus(v), memory: MiB(*m), cores: None }).collect(),
        }),
        ..Epa::default()
    };
    spec.placed = Some(Placed {
        cells: cells.iter().map(|(v, m)| PlacedCell { vcpus: cpus(v), memory: MiB(*m), node: Some(0) }).collect(),
        memory_policy: MemPolicy::Strict,
        page: PageSize::Small,
        vcpus: ["0", "1", "1", "0"].map(cpus).to_vec(),
        emulator: cpus("1"),
        io_threads: vec![cpus("0")],
        idle: CpuSet::new(),
        threads: 2,
        nics: vec![PlacedNic::Switch; 4],
        devices: vec![],
    });
    spec
}

/// (name of the thread, CPUs it may run on), of a process.
fn threads(pid: i32) -> Vec<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("tasks").filter_map(|t| Some(t.ok()?.path()));
    let mut out: Vec<_> = tasks
        .filter_map(|t| {
            let name = fs::read_to_string(t.join("comm")).ok()?.trim().to_owned();
            let status = fs::read_to_string(t.join("status")).ok()?;
            let allowed = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?.trim().to_owned();
            Some((name, allowed))
        })
        .collect();
    out.sort();
    out
}

/// Where each vCPU of a guest is that says nothing.
fn registers(host: &Host, id: VnfcId) -> String {
    let uri = format!("qemu+unix:///system?socket={}/libvirt-sock", host.dir());
    try_sh(&["virsh", "-c", &uri, "qemu-monitor-command", &id.to_string(), "--hmp", "info registers -a"]).1
}

/// What the guest says of itself once it has looked at everything.
///
/// Four emulated vCPUs share two CPUs with whatever else the host does. Where that is much, one of them may not answer
/// its kernel in time and is left out, or the firmware never gets past its start: that is not what is tried here, so
/// such a guest is started again. What it was given does not change by that.
fn looked(host: &Host, hv: &impl Hypervisor, id: VnfcId) -> String {
    const STARTS: u32 = 4;
    let log = host.layout().serial_log(id);
    let read = |from: usize| fs::read(&log).map(|b| String::from_utf8_lossy(&b[from.min(b.len())..]).replace('\r', "")).unwrap_or_default();
    let mut from = 0;
    for start in 1..=STARTS {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(240) && !read(from).contains("looked\n") {
            std::thread::sleep(Duration::from_millis(200));
        }
        let said = read(from);
        if said.contains("looked\n") && (start == STARTS || said.contains("cpus 0-3\n")) {
            println!("looked after {} s, at start {start}", begun.elapsed().as_secs());
            return said;
        }
        println!("start {start}, after {} s: {said}\n{}", begun.elapsed().as_secs(), registers(host, id));
        from = fs::metadata(&log).map_or(0, |m| m.len() as usize);
        hv.destroy(id).expect("destroyed");
        hv.start(id).expect("started again");
    }
    panic!("the guest never looked in {STARTS} starts");
}

#[test]
fn a_guest_is_where_it_was_placed_and_sees_what_it_asked_for() {
    needs!(Root, Program("libvirtd"), Program("virtlogd"), Program("qemu-system-x86_64"), Program("qemu-img"), Program("unshare"));
    needs!(
        Program("ovs-vswitchd"),
        Program("ovsdb-server"),
        Program("xorriso"),
        File("/dev/net/tun"),
        File("/sys/devices/system/node/node0")
    );
    needs!(File("/sys/devices/system/cpu/cpu1"));
    let Some(image) = tiny_image() else { return };
    let host = Host::start(With::Bridge);
    let (hv, _) = host.open();
    let spec = placed_guest(tiny_guest(&host.layout(), &image, LOOK));
    let id = spec.id;
    hv.define(&spec).expect("defined");
    hv.start(id).expect("started");

    // From the host: every thread where it belongs.
    let pid = qemu_of(id);
    let all = threads(pid);
    println!("threads {all:?}");
    let of = |prefix: &str| all.iter().filter(|(n, _)| n.starts_with(prefix)).cloned().collect::<Vec<_>>();
    let vcpus: Vec<(String, String)> = of("CPU ");
    let want = [("CPU 0", "0"), ("CPU 1", "1"), ("CPU 2", "1"), ("CPU 3", "0")];
    assert_eq!(vcpus.len(), 4, "{all:?}");
    for ((name, allowed), (cpu, host_cpu)) in vcpus.iter().zip(want) {
        assert!(name.starts_with(cpu) && allowed == host_cpu, "{cpu}: {all:?}");
    }
    let io: Vec<String> = of("IO iothread1").into_iter().map(|(_, c)| c).collect();
    assert_eq!(io, ["0"], "{all:?}");
    let main = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    assert!(main.lines().any(|l| l.starts_with("Cpus_allowed_list:") && l.ends_with("\t1")), "the emulator: {main}");
    // Pinned anew while it runs, and back: each kind of thread.
    for (on, emulator) in [(["1", "0", "0", "1"], "0"), (["0", "1", "1", "0"], "1")] {
        let want = Pins { vcpus: on.map(cpus).to_vec(), emulator: cpus(emulator) };
        assert!(!hv.astray(id, &want).expect("astray").is_empty());
        hv.pin(id, &want).expect("pinned");
        assert!(hv.astray(id, &want).expect("astray").is_empty());
        let all = threads(pid);
        let of = |prefix: &str| all.iter().filter(|(n, _)| n.starts_with(prefix)).map(|(_, c)| c.as_str()).collect::<Vec<_>>();
        assert_eq!((of("CPU "), of("IO iothread1")), (on.to_vec(), vec![emulator]), "{all:?}");
        let main = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let ends = format!("\t{emulator}");
        assert!(main.lines().any(|l| l.starts_with("Cpus_allowed_list:") && l.ends_with(&ends)), "the emulator: {main}");
    }
    // Its memory is bound to the node, by size.
    let maps = fs::read_to_string(format!("/proc/{pid}/numa_maps")).expect("numa_maps");
    let bound = maps.lines().filter(|l| l.split(' ').nth(1).is_some_and(|p| p.starts_with("bind:0"))).count();
    assert!(bound >= 2, "a mapping for each cell: {maps}");

    // From the guest: nodes, CPUs, NICs in order with their addresses.
    let said = looked(&host, &hv, id);
    let lines = |word: &str| said.lines().filter_map(|l| l.strip_prefix(word)).map(str::to_owned).collect::<Vec<_>>();
    let nodes: BTreeMap<String, (String, u64)> = lines("node ")
        .iter()
        .map(|l| {
            let f: Vec<&str> = l.split(' ').collect();
            (f[0].to_owned(), (f[1].to_owned(), f[2].parse().expect("MiB")))
        })
        .collect();
    println!("guest nodes {nodes:?}");
    assert_eq!(nodes.iter().map(|(n, (c, _))| (n.as_str(), c.as_str())).collect::<Vec<_>>(), [("0", "0-1"), ("1", "2-3")]);
    let memory: Vec<u64> = nodes.values().map(|(_, m)| *m).collect();
    assert!(memory[0] > memory[1] && memory[0] <= 160 && memory[1] <= 96, "{memory:?}");
    assert_eq!(lines("cpus "), ["0-3"]);
    assert_eq!(lines("cpu "), ["0 0 0-1", "1 0 0-1", "2 1 2-3", "3 1 2-3"], "siblings as on the host");
    let want = ["0000:00:02.0 0x1af4", "0000:00:03.0 0x8086", "0000:00:0a.0 0x1af4", "0000:00:0b.0 0x1af4"];
    assert_eq!(lines("pci "), want);
    let want = ["0000:00:02.0 52:54:00:00:00:09 1", "0000:00:0a.0 52:54:00:00:00:07 2", "0000:00:0b.0 52:54:00:00:00:01 1"];
    assert_eq!(lines("eth "), want, "this image has no driver for the e1000");
    hv.remove(id).expect("removed");
}

#[test]
fn weights_and_limits_reach_the_guests_cgroup() {
    needs!(Root, Program("libvirtd"), Program("virtlogd"), Program("qemu-system-x86_64"), Program("qemu-img"), Program("unshare"));
    let Some(image) = tiny_image() else { return };
    let host = Host::start(With::NoSwitch);
    let (hv, _) = host.open();
    let mut spec = tiny_guest(&host.layout(), &image, "#!/bin/sh\n");
    spec.vcpus = 2;
    spec.epa.cpu.topology = Some(Topology { sockets: 1, cores: 1, threads: 2 });
    spec.epa.quotas = Quotas {
        cpu: Quota { shares: Some(512), ..Quota::default() },
        disk_io: Quota { limit: Some(400), ..Quota::default() },
        ..Quotas::default()
    };
    hv.define(&spec).expect("defined");
    match hv.start(spec.id) {
        Ok(()) => {}
        Err(e) if e.detail().contains("cgroup") => {
            assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "needs the CPU controller of cgroups: {e}");
            println!("SKIP: needs the CPU controller of cgroups: {e}");
            return;
        }
        Err(e) => panic!("{e:?}"),
    }
    let pid = qemu_of(spec.id);
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("cgroup");
    let xml = hv.xml(spec.id).expect("xml");
    let weight = if fs::exists("/sys/fs/cgroup/cgroup.controllers").is_ok_and(|there| there) { 50 } else { 512 };
    assert!(xml.contains(&format!("<shares>{weight}</shares>")) && xml.contains("<total_iops_sec>400</total_iops_sec>"), "{xml}");
    // Version 1 as given; version 2 has weights, of which 100 is what 1024 shares are.
    let v1 = groups.lines().find_map(|l| l.split_once(":cpu:").or_else(|| l.split_once(":cpu,cpuacct:"))).map(|(_, p)| p.to_owned());
    if let Some(path) = v1 {
        // The thread's group is below the machine's, which has the shares.
        let machine = path.trim_end_matches("/emulator").to_owned();
        let shares = fs::read_to_string(format!("/sys/fs/cgroup/cpu{machine}/cpu.shares")).expect("cpu.shares");
        assert_eq!(shares.trim(), "512");
    }
    hv.remove(spec.id).expect("removed");
}

#[test]
fn a_guest_without_the_place_it_asked_for_is_not_defined() {
    needs!(Root, Program("libvirtd"), Program("virtlogd"), Program("qemu-system-x86_64"), Program("qemu-img"), Program("unshare"));
    let host = Host::start(With::NoSwitch);
    let (hv, _) = host.open();
    let mut spec = crate::kit::host::guest();
    spec.nics = vec![nic(1, NicModel::Virtio)];
    spec.nics[0].wish.attach = NicAttach::Vf;
    let e = hv.define(&spec).expect_err("no VF was placed");
    assert_eq!(e.kind(), Kind::Invalid);
    assert!(e.detail().contains("asks for a virtual function, and was given a port of the switch"), "{e}");
    assert_eq!(hv.state(spec.id).expect("asked"), None);
}
