//! The table against its documentation, and descriptors with keys against what becomes of them.

use std::collections::HashSet;

use super::{
    markdown,
    table::{On, TABLE, find, suggest},
};
use crate::{
    descriptor::{
        Content,
        tests::{read, said, variant},
    },
    model::{epa::*, hw::CpuSet, size::MiB, vnfd::Vdu},
};

const SMALL: &str = "Definitions/router_df_small.yaml";
const CPU: &str = "virtual_cpu: { num_virtual_cpu: 2 }";
const MEM: &str = "virtual_memory: { virtual_mem_size: 256 MiB }";
const CP: &str = "order: 1";

fn keys(list: &str) -> String {
    format!("virtual_cpu: {{ num_virtual_cpu: 2, vdu_cpu_requirements: {{ {list} }} }}")
}
fn nic_keys(list: &str) -> String {
    format!(
        "order: 1, virtual_network_interface_requirements: [ {{ support_mandatory: true, network_interface_requirements: {{ {list} }} }} ]"
    )
}
/// The small router's guest after an edit, and what was warned of (but for its missing manifest).
fn guest(edits: &[(&str, &str)]) -> (Vdu, String) {
    let edits: Vec<_> = edits.iter().map(|(a, b)| (SMALL, *a, *b)).collect();
    let dir = variant("router", &edits);
    match read(dir.path()) {
        Ok(Content::Vnf(c)) => {
            let warnings: Vec<String> = c.warnings.iter().filter(|w| !w.file.is_empty()).map(ToString::to_string).collect();
            (c.vnfd.flavour("small").expect("flavour").vdu("gw").expect("VDU").clone(), warnings.join("\n"))
        }
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{edits:?}: {}", d.render()),
    }
}
fn epa(list: &str) -> Epa {
    let (vdu, warnings) = guest(&[(CPU, &keys(list))]);
    assert_eq!(warnings, "", "{list}");
    vdu.epa
}
fn cpus(s: &str) -> CpuSet {
    s.parse().expect("cpus")
}

#[test]
fn the_documentation_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/descriptors/EPA.md");
    let text = std::fs::read_to_string(path).expect("descriptors/EPA.md");
    for table in [markdown(false), markdown(true)] {
        if std::env::var("BOTHY_EPA").is_ok_and(|v| v == "print") {
            println!("{table}");
        } else {
            assert!(text.contains(&table), "descriptors/EPA.md has another table; BOTHY_EPA=print prints this one:\n{table}");
        }
    }
    // Below the typed fields every row is one of the table's.
    let keys = text.split_once("## Keys of a guest").expect("the part about keys").1;
    let rows = keys.lines().filter(|l| l.starts_with("| `")).count();
    assert_eq!(rows, TABLE.len(), "descriptors/EPA.md has rows that the table has not");
}

#[test]
fn no_name_stands_for_two_keys() {
    for on in [On::Guest, On::Nic] {
        let mut seen = HashSet::new();
        for row in TABLE.iter().filter(|r| r.on == on) {
            for name in std::iter::once(&row.key).chain(row.synonyms) {
                let one = name.replace(".N", ".7").replace('*', "AVX2");
                let found = find(on, &one).unwrap_or_else(|| panic!("{name} does not find itself"));
                assert_eq!(found.row.key, row.key, "{name}");
                assert!(seen.insert(one), "{name} is given twice");
            }
        }
    }
}

#[test]
fn keys_are_found_however_their_parts_are_spelt() {
    for same in ["mempage-size", "mempage_size", "MEMPAGE-SIZE", "guest-epa:mempage-size", "hw:mem_page_size", "hw.mem-page-size"] {
        assert_eq!(find(On::Guest, same).map(|f| f.row.key), Some("mempage-size"), "{same}");
    }
    let node = find(On::Guest, "numa-node-policy/node/3/memory-mb").expect("found");
    assert_eq!((node.row.key, node.number), ("numa-node-policy.node.N.memory-mb", Some(3)));
    assert_eq!(find(On::Guest, "hw:numa_cpus.1").and_then(|f| f.number), Some(1));
    assert_eq!(find(On::Guest, "trait:HW_CPU_X86_AVX512F").map(|f| f.rest), Some("avx512f".into()));
    for none in ["hw:numa_cpus", "hw:numa_cpus.x", "trait:HW_CPU_X86_", "pages", "node"] {
        assert!(find(On::Guest, none).is_none(), "{none}");
    }
    assert_eq!(suggest(On::Guest, "hw:mem_pages_size").as_deref(), Some("did you mean 'hw:mem_page_size'?"));
    assert_eq!(suggest(On::Nic, "band-width").as_deref(), Some("did you mean 'bandwidth'?"));
}

#[test]
fn osms_names_and_openstacks_mean_the_same() {
    let pairs = [
        ("mempage-size: LARGE", "hw:mem_page_size: large"),
        ("mempage-size: SIZE_1GB, x: y", "hw:mem_page_size: 1048576, x: y"),
        ("cpu-pinning-policy: DEDICATED, cpu-thread-pinning-policy: ISOLATE", "hw:cpu_policy: dedicated, hw:cpu_thread_policy: isolate"),
        ("emulator-threads-policy: ISOLATE", "hw:emulator_threads_policy: isolate"),
        (
            "numa-node-policy.node-cnt: 2, numa-node-policy.node.1.vcpu: 0, numa-node-policy.node.1.memory-mb: 200, \
             numa-node-policy.node.2.vcpu: 1, numa-node-policy.node.2.memory-mb: 56",
            "hw:numa_nodes: 2, hw:numa_cpus.0: 0, hw:numa_mem.0: 200, hw:numa_cpus.1: 1, hw:numa_mem.1: 56",
        ),
        ("cpu-quota.shares: 512", "quota:cpu_shares: 512"),
        ("cpu-feature: REQUIRE_AVX2", "trait:HW_CPU_X86_AVX2: required"),
        ("cpu-realtime: yes, cpu-pinning-policy: DEDICATED", "hw:cpu_realtime: true, hw:cpu_policy: dedicated, hw:cpu_realtime_mask: ^0"),
    ];
    for (osm, openstack) in pairs {
        let of = |list: &str| {
            // 256 MiB are no whole 1 GiB page.
            let memory = ("256 MiB", "1 GiB");
            let list = list.replace(", x: y", "");
            let edits: &[(&str, &str)] = if list.contains("1GB") || list.contains("1048576") { &[memory] } else { &[] };
            let mut all = vec![(CPU, keys(&list))];
            all.extend(edits.iter().map(|(a, b)| (*a, (*b).to_owned())));
            let all: Vec<(&str, &str)> = all.iter().map(|(a, b)| (*a, b.as_str())).collect();
            guest(&all).0.epa
        };
        assert_eq!(of(osm), of(openstack), "{osm}");
        assert!(!of(osm).is_plain(), "{osm}");
    }
}

#[test]
fn every_key_that_is_acted_on_sets_its_wish() {
    let numa = |e: &Epa| e.numa.clone().expect("numa");
    assert_eq!(epa("mempage-size: PREFER_LARGE").pages, PagePolicy::PreferLarge);
    assert_eq!(epa("iothreads: 2").io_threads, 2);
    let even = numa(&epa("numa-node-policy.node-cnt: 2, numa-node-policy.mem-policy: PREFERRED"));
    assert_eq!((even.policy, even.cells.len(), even.cells[1].memory), (MemPolicy::Preferred, 2, MiB(128)));
    assert_eq!(even.cells[1].vcpus, cpus("1"));
    let dedicated = "cpu-pinning-policy: DEDICATED, ";
    let cores = numa(&epa(&format!("{dedicated}numa-node-policy.node.1.num-cores: 2")));
    assert_eq!(cores.cells[0].cores, Some(CoreWish::Cores(2)));
    let pairs = numa(&epa(&format!("{dedicated}numa-node-policy.node.0.paired-threads.paired-thread-ids: 0-1")));
    assert_eq!(pairs.cells[0].cores, Some(CoreWish::PairedThreads { pairs: 1, of: vec![(0, 1)] }));
    assert_eq!(numa(&epa("numa-node-policy.node.0.num-threads: 2")).cells[0].cores, Some(CoreWish::Threads(2)));
    let quotas = epa(
        "cpu-quota.limit: 1000, cpu-quota.reserve: 500, mem-quota.limit: 256, mem-quota.reserve: 256, disk-io-quota.limit: 300, vif-quota.limit: 100",
    )
    .quotas;
    assert_eq!((quotas.cpu.limit, quotas.cpu.reserve, quotas.disk_io.limit), (Some(1000), Some(500), Some(300)));
    assert_eq!((quotas.memory.limit, quotas.memory.reserve, quotas.vif.limit), (Some(256), Some(256), Some(100)));
    let devices = epa("pcie-device.1.device-id: '8086:0d5d', pcie-device.1.count: 2, pcie-device.7.device-id: '10DE:20B5'").devices;
    let wish = |vendor, device, count| DeviceWish { what: DeviceMatch::Id { vendor, device }, count };
    assert_eq!(devices, [wish(0x8086, 0x0d5d, 2), wish(0x10de, 0x20b5, 1)]);
    assert_eq!(epa("hw:cpu_threads: 2").cpu.topology, Some(Topology { sockets: 1, cores: 1, threads: 2 }));
    assert_eq!(epa("hw:cpu_cores: 1").cpu.topology, Some(Topology { sockets: 2, cores: 1, threads: 1 }));
    let cpu = epa("cpu-model: Skylake-Server, cpu-feature: 'REQUIRE_AES, -pdpe1gb'").cpu;
    assert_eq!(cpu.model.as_deref(), Some("Skylake-Server"));
    assert_eq!(cpu.features, [("aes".into(), FeatureWish::Require), ("pdpe1gb".into(), FeatureWish::Disable)]);
    let rt = epa(&format!("{dedicated}cpu-realtime: yes, cpu-realtime-mask: '0-1'"));
    assert!(rt.real_time == cpus("0-1") && rt.locked);
    assert!(epa("locked-memory: true").locked);
    assert_eq!(epa("pci-numa-affinity-policy: required").locality, Locality::Required);
    let (vdu, _) = guest(&[(CPU, &keys("vif-multiqueue: true"))]);
    let queues: Vec<_> = vdu.nics.iter().map(|n| n.wish.queues).collect();
    assert_eq!(queues, [None, Some(2)], "of the VirtIO NIC, not of the e1000");
}

#[test]
fn nodes_of_a_guest_need_not_be_alike() {
    // (keys of nodes, without their prefix; each node's vCPUs, memory and kind), for 6 vCPUs and 256 MiB.
    let (cores, threads) = (|n| Some(CoreWish::Cores(n)), |n| Some(CoreWish::Threads(n)));
    let pairs = |pairs, of: &[(u16, u16)]| Some(CoreWish::PairedThreads { pairs, of: of.to_vec() });
    type Nodes = Vec<(&'static str, u64, Option<CoreWish>)>;
    let cases: [(&str, Nodes); 6] = [
        (
            "1.num-cores: 2, 1.memory-mb: 56, 2.paired-threads.num-paired-threads: 2, 2.memory-mb: 200",
            vec![("0-1", 56, cores(2)), ("2-5", 200, pairs(2, &[]))],
        ),
        (
            "0.vcpu: '0,5', 0.paired-threads.paired-thread-ids: 0-5, 1.num-threads: 3, 2.memory-mb: 96",
            vec![("0,5", 80, pairs(1, &[(0, 5)])), ("1-3", 80, threads(3)), ("4", 96, None)],
        ),
        ("0.vcpu: '0', 1.vcpu: '1-5'", vec![("0", 128, None), ("1-5", 128, None)]),
        ("0.memory-mb: 6, 1.memory-mb: 250", vec![("0-2", 6, None), ("3-5", 250, None)]),
        ("0.num-cores: 4, 1.memory-mb: 6, 2.memory-mb: 6", vec![("0-3", 244, cores(4)), ("4", 6, None), ("5", 6, None)]),
        ("0.vcpu: '2-4', 1.vcpu: '0-1,5', 1.num-cores: 3, 1.memory-mb: 16", vec![("2-4", 240, None), ("0-1,5", 16, cores(3))]),
    ];
    let of = |list: &str| {
        let list: Vec<String> = list.split(", ").map(|k| format!("numa-node-policy.node.{k}")).collect();
        keys(&format!("cpu-pinning-policy: DEDICATED, {}", list.join(", "))).replace("num_virtual_cpu: 2", "num_virtual_cpu: 6")
    };
    for (list, want) in cases {
        let (vdu, warnings) = guest(&[(CPU, &of(list))]);
        assert_eq!(warnings, "", "{list}");
        let want: Vec<Cell> = want.into_iter().map(|(v, m, cores)| Cell { vcpus: cpus(v), memory: MiB(m), cores }).collect();
        assert_eq!(vdu.epa.numa.expect("nodes").cells, want, "{list}");
    }
    for (list, want) in [
        ("0.num-cores: 1, 1.num-threads: 4", "the nodes' cores and threads are 5 vCPUs, and the guest has 6"),
        ("0.vcpu: '0-3', 1.num-cores: 1", "the nodes' cores and threads are 1 vCPUs, and vCPUs 4-5 are left to them"),
        ("0.vcpu: '0-3', 1.num-cores: 3", "the nodes' cores and threads are 3 vCPUs, and vCPUs 4-5 are left to them"),
        ("0.vcpu: '0', 1.memory-mb: 1, 2.memory-mb: 1", "5 vCPUs cannot be shared out evenly over 2 nodes"),
        ("0.vcpu: '0-5', 1.memory-mb: 1", "a NUMA node needs at least one vCPU"),
        ("0.memory-mb: 255, 1.num-threads: 1, 2.num-threads: 3", "1 MiB cannot be shared out evenly over 2 nodes"),
        ("0.memory-mb: 256, 1.num-threads: 3", "a NUMA node needs memory"),
    ] {
        let text = said("router", &[(SMALL, CPU, &of(list))]);
        assert!(text.starts_with("refused") && text.contains(want), "{list}: {want}: {text}");
    }
}

#[test]
fn sol001s_own_fields_are_read() {
    let (vdu, warnings) = guest(&[
        (CPU, "virtual_cpu: { num_virtual_cpu: 2, virtual_cpu_pinning: { virtual_cpu_pinning_policy: static } }"),
        (
            MEM,
            "virtual_memory: { virtual_mem_size: 256 MiB, numa_enabled: true, huge_pages_requirements: [ { hugepage_size: 2 MB, requested_size: 256 MiB } ] }",
        ),
        (CP, "order: 1, vnic_type: direct, bitrate_requirement: 1500000000"),
    ]);
    assert_eq!(warnings, "");
    assert_eq!((vdu.epa.pinning, vdu.epa.pages), (PinPolicy::Dedicated, PagePolicy::Size2M));
    let cells = vec![Cell { vcpus: cpus("0-1"), memory: MiB(256), cores: None }];
    assert_eq!(vdu.epa.numa, Some(NumaWish { policy: MemPolicy::Strict, cells }));
    assert_eq!((vdu.nics[1].wish.attach, vdu.nics[1].wish.bandwidth), (NicAttach::Vf, Some(1500)));
    for (word, attach) in [("direct-physical", NicAttach::Pf), ("virtio-forwarder", NicAttach::VhostUser), ("normal", NicAttach::Switch)] {
        assert_eq!(guest(&[(CP, &format!("order: 1, vnic_type: {word}"))]).0.nics[1].wish.attach, attach, "{word}");
    }
    let capability = "requested_additional_capabilities: { fast: { requested_additional_capability_name: hugepages, support_mandatory: false, \
                      target_performance_parameters: { mempage-size: LARGE, 'resources:VGPU': '1' } } }";
    let (vdu, warnings) = guest(&[(CPU, &format!("{CPU}\n            {capability}"))]);
    assert_eq!(vdu.epa.pages, PagePolicy::Large);
    assert!(warnings.contains("left out since it is not mandatory"), "{warnings}");
}

#[test]
fn nic_keys_are_read() {
    let (vdu, warnings) = guest(&[(
        CP,
        &nic_keys(
            "type: SR-IOV, bandwidth: 10 Gbps, trusted: 'true', spoof-check: 'false', mac-address: '02:00:00:00:00:09', mtu: 9000, vpci: '0000:00:05.0'",
        ),
    )]);
    assert_eq!(warnings, "");
    let nic = &vdu.nics[1];
    let want = NicWish {
        attach: NicAttach::Vf,
        bandwidth: Some(10_000),
        trust: Some(true),
        spoof_check: Some(false),
        queues: None,
        vpci: Some("0000:00:05.0".parse().expect("pci")),
    };
    assert_eq!(nic.wish, want);
    assert_eq!((nic.mac.map(|m| m.to_string()).as_deref(), nic.mtu), (Some("02:00:00:00:00:09"), Some(9000)));
    for (word, attach) in [("PARAVIRT", NicAttach::Switch), ("PCI-PASSTHROUGH", NicAttach::Pf), ("vhost-user", NicAttach::VhostUser)] {
        assert_eq!(guest(&[(CP, &nic_keys(&format!("type: {word}")))]).0.nics[1].wish.attach, attach, "{word}");
    }
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    let guest_cases = [
        ("hw:cpu_policy: mixed", "'mixed' is refused"),
        ("hw:cpu_thread_policy: require", "'require' is refused"),
        ("mempage-size: HUGE", "'HUGE' is none of LARGE"),
        ("mempage-size: SIZE_1GB", "256 MiB is no whole number of pages of 1 GiB"),
        ("mempage-size: LARGE, hw:mem_page_size: small", "says what 'mempage-size' says already"),
        ("cpu-thread-pinning-policy: ISOLATE", "the CPUs are not dedicated"),
        ("cpu-realtime: yes", "real time needs CPUs of its own"),
        ("cpu-realtime: yes, cpu-pinning-policy: DEDICATED, cpu-realtime-mask: '5'", "there are no vCPUs 5"),
        ("numa-node-policy.node-cnt: 9", "9 is not in 1 to 8"),
        ("numa-node-policy.node-cnt: 2, numa-node-policy.node.0.vcpu: 0", "node-cnt is 2, and 1 nodes are described"),
        ("numa-node-policy.node.0.vcpu: '0'", "vCPUs 1 are in no node"),
        ("numa-node-policy.node.0.vcpu: '0-2'", "there are no vCPUs 2"),
        ("hw:numa_cpus.0: '0-1', hw:numa_cpus.1: '1'", "vCPUs 1 are in two nodes"),
        ("hw:numa_mem.0: 100", "the nodes' memory is 100 MiB, and the guest has 256 MiB"),
        ("numa-node-policy.node.0.num-cores: 2", "cores and pairs of threads are dedicated CPUs"),
        ("cpu-pinning-policy: DEDICATED, numa-node-policy.node.0.num-cores: 3", "are 3 vCPUs, and the guest has 2"),
        ("mem-quota.limit: 100", "is below the guest's memory"),
        ("cpu-quota.limit: 100, cpu-pinning-policy: DEDICATED", "takes from nobody"),
        ("cpu-quota.limit: 100, cpu-quota.reserve: 200", "more than the limit of 100"),
        ("hw:cpu_cores: 3", "does not divide the 2 vCPUs"),
        ("pcie-device.0.count: 1", "has a count and no device-id"),
        ("pcie-device.0.device-id: '8086:0d5d', pcie-device.0.count: 9", "9 is not in 1 to 8"),
        (
            "pcie-device.0.device-id: '8086:0d5d', pcie-device.0.count: 8, pcie-device.3.device-id: '10de:20b5'",
            "9 PCI devices, and a guest can have 8",
        ),
        ("pci_passthrough:alias: 'fec:1'", "is refused: the box gives devices no names: write 'pcie-device.0.device-id'"),
        ("pcie-device.0.device-id: fec", "'fec' is refused: this box gives devices no names"),
        ("pcie-device.0.device-id: '8086:d5d'", "write vendor and device id, as `lspci -nn` shows them"),
        ("trusted-execution: 'true'", "no trusted execution"),
        ("hw:mem_encryption: 'true'", "is refused: no memory encryption here"),
        ("disk-io-quota.reserve: 1", "is refused"),
    ];
    for (list, want) in guest_cases {
        let list: String = list.split(", ").map(|kv| kv.split_once(": ").expect("key")).map(|(k, v)| format!("'{k}': {v}, ")).collect();
        let text = said("router", &[(SMALL, CPU, &keys(list.trim_end_matches(", ")))]);
        assert!(text.starts_with("refused") && text.contains(want), "{list}: {want}: {text}");
    }
    let nic_cases = [
        (nic_keys("type: FAST"), "'FAST' is none of PARAVIRT"),
        (nic_keys("bandwidth: fast"), "is no bit rate"),
        (nic_keys("vpci: '0000:00:1f.0'"), "is not where a guest's NICs are"),
        (nic_keys("vpci: '0000:00:02.0'"), "which is not behind the NICs before it"),
        (nic_keys("type: SR-IOV, queues: 2"), "queues are for VirtIO NICs"),
        (format!("{}, vnic_type: normal", nic_keys("type: SR-IOV")), "differs from what vnic_type says"),
        (format!("{}, bitrate_requirement: 5000000", nic_keys("bandwidth: 1 Gbps")), "differs from what the key 'bandwidth' says"),
    ];
    for (edit, want) in nic_cases {
        let text = said("router", &[(SMALL, CP, &edit)]);
        assert!(text.starts_with("refused") && text.contains(want), "{edit}: {want}: {text}");
    }
    let pages =
        "virtual_memory: { virtual_mem_size: 256 MiB, huge_pages_requirements: [ { hugepage_size: 4 MiB, requested_size: 128 MiB } ] }";
    let text = said("router", &[(SMALL, MEM, pages)]);
    assert!(text.contains("is no size of huge pages") && text.contains("less than the guest's memory"), "{text}");
}

#[test]
fn an_unknown_key_is_a_warning_that_names_the_nearest() {
    let text = said("router", &[(SMALL, CPU, &keys("cpu-pining-policy: DEDICATED, colour: red, cpu-vendor: any"))]);
    assert!(text.starts_with("taken"), "{text}");
    assert!(text.contains("'cpu-pining-policy' is not known here") && text.contains("did you mean 'cpu-pinning-policy'?"), "{text}");
    assert!(text.contains("descriptors/EPA.md has all keys"), "{text}");
    assert!(text.contains("is read and nothing follows from it: the box has the CPU it has"), "{text}");
}
