//! The table of keys: OSM's names first, with OpenStack's flavor extra specs as synonyms.
//!
//! Each key is acted on, kept (read, and nothing follows from it) or refused (the package cannot be
//! taken as it is). `N` in a key stands for a number.

use crate::descriptor::diagnose::nearest;

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Guest,
    Nic,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Acted(Act),
    Kept,
    Refused,
}

/// Which wish a key sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Pages,
    Pinning,
    Threads,
    Emulator,
    IoThreads,
    NumaCount,
    NumaPolicy,
    NodeVcpus,
    NodeMemory,
    NodeCores,
    NodeThreads,
    NodePairs,
    NodePairIds,
    CpuLimit,
    CpuReserve,
    CpuShares,
    MemLimit,
    MemReserve,
    DiskLimit,
    VifLimit,
    DeviceId,
    DeviceCount,
    Sockets,
    Cores,
    CoreThreads,
    Model,
    Features,
    Trait,
    RealTime,
    RealTimeMask,
    Locked,
    Locality,
    MultiQueue,
    Trusted,
    NicType,
    NicBandwidth,
    NicVpci,
    NicTrust,
    NicSpoofCheck,
    NicPortSecurity,
    NicQueues,
    NicMac,
    NicPosition,
    NicMtu,
}

pub struct Row {
    pub on: On,
    pub key: &'static str,
    pub synonyms: &'static [&'static str],
    /// As the documentation shows them.
    pub values: &'static str,
    pub fate: Fate,
    pub note: &'static str,
}

const fn row(on: On, key: &'static str, synonyms: &'static [&'static str], values: &'static str, fate: Fate, note: &'static str) -> Row {
    Row { on, key, synonyms, values, fate, note }
}

use Fate::{Acted, Kept, Refused};
use On::{Guest, Nic};

#[rustfmt::skip]
pub const TABLE: &[Row] = &[
    row(Guest, "mempage-size", &["hw:mem_page_size"], "`LARGE` `SMALL` `SIZE_2MB` `SIZE_1GB` `PREFER_LARGE` `ANY`; `large` `small` `any` `2MB` `2048` `1GB` `1048576`",
        Acted(Act::Pages), "all of the guest's memory is in pages of one size; `LARGE` takes 1 GiB pages before 2 MiB ones"),
    row(Guest, "cpu-pinning-policy", &["hw:cpu_policy"], "`DEDICATED` `SHARED` `ANY`",
        Acted(Act::Pinning), "`DEDICATED`: a host CPU for each vCPU, nobody else's; `SHARED`: over the CPUs that are nobody's own, of its nodes if it has any; `mixed` is refused"),
    row(Guest, "cpu-thread-pinning-policy", &["hw:cpu_thread_policy"], "`PREFER` `AVOID` `SEPARATE` `ISOLATE`",
        Acted(Act::Threads), "with `DEDICATED` only; `require` is refused: ask for `paired-threads`"),
    row(Guest, "emulator-threads-policy", &["hw:emulator_threads_policy"], "`SHARE` `ISOLATE` `ANY`",
        Acted(Act::Emulator), "`ISOLATE`: one more dedicated CPU on the guest's node"),
    row(Guest, "iothreads", &[], "0 to 16", Acted(Act::IoThreads), "threads for VirtIO disks"),
    row(Guest, "numa-node-policy.node-cnt", &["hw:numa_nodes"], "1 to 8", Acted(Act::NumaCount), "NUMA nodes that the guest sees; nodes that say nothing share evenly what of vCPUs and memory the others leave"),
    row(Guest, "numa-node-policy.mem-policy", &["hw:numa_mempolicy"], "`STRICT` `PREFERRED`", Acted(Act::NumaPolicy), "`STRICT` where nothing is said"),
    row(Guest, "numa-node-policy.node.N.vcpu", &["hw:numa_cpus.N"], "vCPUs: `0-3`", Acted(Act::NodeVcpus), "N: any number; nodes are taken in its order, from guest node 0; nodes need not be alike in anything"),
    row(Guest, "numa-node-policy.node.N.memory-mb", &["hw:numa_mem.N"], "MiB", Acted(Act::NodeMemory), "nodes need not be alike; together the guest's memory"),
    row(Guest, "numa-node-policy.node.N.num-cores", &[], "vCPUs", Acted(Act::NodeCores), "each on a core of its own, whose other thread stays unused"),
    row(Guest, "numa-node-policy.node.N.num-threads", &[], "vCPUs", Acted(Act::NodeThreads), "on any threads"),
    row(Guest, "numa-node-policy.node.N.paired-threads.num-paired-threads", &["numa-node-policy.node.N.paired-threads"], "pairs", Acted(Act::NodePairs), "two vCPUs on the two threads of one core, each pair"),
    row(Guest, "numa-node-policy.node.N.paired-threads.paired-thread-ids", &[], "`0-1,2-3`", Acted(Act::NodePairIds), "which vCPUs pair up"),
    row(Guest, "cpu-quota.limit", &["quota:cpu_limit"], "MHz", Acted(Act::CpuLimit), "of all vCPUs together, by the clock without boost; by the CPU controller of cgroups"),
    row(Guest, "cpu-quota.reserve", &["quota:cpu_reservation"], "MHz", Acted(Act::CpuReserve), "of all vCPUs together: promised once, of the CPUs of its node that guests float over; `DEDICATED` CPUs are whole ones"),
    row(Guest, "cpu-quota.shares", &["quota:cpu_shares", "quota:cpu_shares_share"], "2 to 10000", Acted(Act::CpuShares), "weight; 1024 is usual, whatever the version of cgroups"),
    row(Guest, "mem-quota.limit", &["quota:memory_limit"], "MiB", Acted(Act::MemLimit), "must not be below the guest's memory, which is the limit"),
    row(Guest, "mem-quota.reserve", &["quota:memory_reservation"], "MiB", Acted(Act::MemReserve), "memory is not promised twice, so all of it is reserved"),
    row(Guest, "mem-quota.shares", &["quota:memory_shares_share"], "number", Kept, "there is no weight for memory"),
    row(Guest, "disk-io-quota.limit", &["quota:disk_io_limit", "quota:disk_total_iops_sec"], "operations a second", Acted(Act::DiskLimit), "of each disk"),
    row(Guest, "disk-io-quota.reserve", &["quota:disk_io_reservation"], "operations a second", Refused, "no disk here can promise operations"),
    row(Guest, "disk-io-quota.shares", &["quota:disk_io_shares_share"], "number", Kept, "the kernel weighs guests' disks under one scheduler only (BFQ), which the box does not set"),
    row(Guest, "vif-quota.limit", &["quota:vif_limit"], "Mbit/s", Acted(Act::VifLimit), "of each NIC, both ways; of a VF and of a vhost-user port what it sends, where `bandwidth` or `bothy.rate_limit` is not less; of a whole port nothing"),
    row(Guest, "vif-quota.reserve", &["quota:vif_reservation"], "Mbit/s", Refused, "give the connection point a `bandwidth`"),
    row(Guest, "vif-quota.shares", &["quota:vif_shares_share"], "number", Kept, "NICs have no weight; `vif-quota.limit` is acted on"),
    row(Guest, "pcie-device.N.device-id", &[], "`8086:0d5d`", Acted(Act::DeviceId), "handed to the guest whole; N: any number; a name is refused: write vendor and device id"),
    row(Guest, "pcie-device.N.count", &[], "1 to 8", Acted(Act::DeviceCount), "1 where nothing is said; 8 devices in all"),
    row(Guest, "pci_passthrough:alias", &[], "", Refused, "the box gives devices no names: write `pcie-device.0.device-id` with vendor and device id, and `pcie-device.0.count`"),
    row(Guest, "cpu-socket-count", &["hw:cpu_sockets"], "number", Acted(Act::Sockets), "sockets x cores x threads are the vCPUs; what is not said follows"),
    row(Guest, "cpu-core-count", &["hw:cpu_cores"], "number, per socket", Acted(Act::Cores), ""),
    row(Guest, "cpu-core-thread-count", &["hw:cpu_threads"], "number, per core", Acted(Act::CoreThreads), ""),
    row(Guest, "cpu-model", &["hw:cpu_model"], "`Skylake-Server`", Acted(Act::Model), "libvirt's names; where nothing is said, the host's own under KVM"),
    row(Guest, "cpu-feature", &[], "`REQUIRE_AES, avx2, -pdpe1gb`", Acted(Act::Features), "libvirt's names; with `-` it is hidden; `PREFER_` is kept"),
    row(Guest, "trait:HW_CPU_X86_*", &[], "`required` `forbidden`", Acted(Act::Trait), "as `cpu-feature`"),
    row(Guest, "cpu-realtime", &["hw:cpu_realtime"], "`yes` `no`", Acted(Act::RealTime), "vCPUs by SCHED_FIFO 1, memory locked; needs `DEDICATED`"),
    row(Guest, "cpu-realtime-mask", &["hw:cpu_realtime_mask"], "`^0` or `1-3`", Acted(Act::RealTimeMask), "vCPU 0 is left out where nothing is said"),
    row(Guest, "locked-memory", &["hw:locked_memory"], "`true` `false`", Acted(Act::Locked), "never swapped out"),
    row(Guest, "pci-numa-affinity-policy", &["hw:pci_numa_affinity_policy"], "`required` `preferred` `legacy`", Acted(Act::Locality), "`preferred` where nothing is said; `socket` is refused"),
    row(Guest, "vif-multiqueue", &["hw:vif_multiqueue_enabled"], "`true` `false`", Acted(Act::MultiQueue), "a queue for each vCPU, up to 8, on VirtIO NICs that say nothing"),
    row(Guest, "trusted-execution", &[], "`true` `false`", Acted(Act::Trusted), "`true` is refused"),
    row(Guest, "cpu-vendor", &[], "", Kept, "the box has the CPU it has"),
    row(Guest, "cpu-arch", &[], "", Kept, "x86-64"),
    row(Guest, "ovs-acceleration", &[], "", Kept, "the box's configuration decides"),
    row(Guest, "ovs-offload", &[], "", Kept, "the box's configuration decides"),
    row(Guest, "hypervisor-type", &[], "", Kept, "KVM"),
    row(Guest, "hw:cpu_max_sockets", &["hw:cpu_max_cores", "hw:cpu_max_threads"], "", Kept, "limits of images, which are not read"),
    row(Guest, "hw:cpu_dedicated_mask", &[], "", Refused, "a guest's vCPUs are all dedicated or all shared"),
    row(Guest, "hw:watchdog_action", &[], "", Kept, "a guest's watchdog resets it, and is an alarm"),
    row(Guest, "hw:pmu", &[], "", Kept, "the guest has what its CPU model has"),
    row(Guest, "hw_rng:allowed", &["hw_rng:rate_bytes", "hw_rng:rate_period"], "", Kept, "every guest has a VirtIO random number device"),
    row(Guest, "hw:boot_menu", &[], "", Kept, "nobody is there to choose"),
    row(Guest, "hw:hide_hypervisor_id", &[], "", Kept, "the guest may know what it runs on"),
    row(Guest, "hw:mem_encryption", &[], "", Refused, "no memory encryption here"),
    row(Guest, "hw:tpm_version", &["hw:tpm_model"], "", Refused, "guests have no TPM"),
    row(Guest, "hw:viommu_model", &[], "", Refused, "guests have no IOMMU"),
    row(Guest, "quota:cpu_quota", &["quota:cpu_period"], "", Kept, "write `cpu-quota.limit`"),
    row(Guest, "quota:disk_read_iops_sec", &["quota:disk_write_iops_sec", "quota:disk_read_bytes_sec", "quota:disk_write_bytes_sec", "quota:disk_total_bytes_sec"], "", Kept, "write `disk-io-quota.limit`"),
    row(Guest, "resources:VGPU", &[], "", Refused, "no virtual GPUs here"),

    row(Nic, "type", &["virtual-interface.type", "hw:vif_model"], "`PARAVIRT` `VIRTIO` `OM-MGMT` `E1000` `E1000E` `RTL8139` `PCNET` `SR-IOV` `PCI-PASSTHROUGH` `VHOST-USER`",
        Acted(Act::NicType), "the typed `vnic_type` says the same; both must agree"),
    row(Nic, "bandwidth", &["virtual-interface.bandwidth"], "bit/s, or with a unit: `10 Gbps`", Acted(Act::NicBandwidth), "the typed `bitrate_requirement` says the same"),
    row(Nic, "vpci", &["virtual-interface.vpci"], "`0000:00:02.0` to `0000:00:11.0`", Acted(Act::NicVpci), "where the guest sees the NIC; must ascend in the NICs' order"),
    row(Nic, "trusted", &["trust", "binding:profile.trusted"], "`true` `false`", Acted(Act::NicTrust), "of a VF; where nothing is said, without port security only"),
    row(Nic, "spoof-check", &["spoofchk"], "`true` `false`", Acted(Act::NicSpoofCheck), "of a VF; where nothing is said, as port security"),
    row(Nic, "port-security-enabled", &["port_security"], "`true` `false`", Acted(Act::NicPortSecurity), ""),
    row(Nic, "queues", &["virtual-interface.queues"], "1 to 16", Acted(Act::NicQueues), "pairs of queues of a VirtIO NIC"),
    row(Nic, "mac-address", &["mac"], "`02:00:00:00:00:01`", Acted(Act::NicMac), "insisted on; else Bothy plans one"),
    row(Nic, "position", &[], "number", Acted(Act::NicPosition), "the typed `order` counts before it"),
    row(Nic, "mtu", &[], "bytes", Acted(Act::NicMtu), ""),
    row(Nic, "physical-network", &["segmentation-id"], "", Kept, "belongs to the virtual link"),
];

/// Spellings that mean the same: case, `_` or `-`, and `:` or `/` or `.` between parts; OSM's own roof
/// names in front are left out.
fn normal(key: &str) -> String {
    let lower: String = key
        .trim()
        .chars()
        .map(|c| match c {
            '_' => '-',
            ':' | '/' => '.',
            c => c.to_ascii_lowercase(),
        })
        .collect();
    let roofs = ["guest-epa.", "host-epa.", "vswitch-epa.", "hypervisor-epa."];
    roofs.iter().find_map(|r| lower.strip_prefix(r)).unwrap_or(&lower).to_owned()
}

/// Matches a normalised key against a row's name: the number for `N`, the rest for `*`.
fn matches(name: &str, key: &str) -> Option<(Option<u32>, String)> {
    // `N` is told apart from the letter before case is lost.
    let marked = name.replace(".N", ".\u{1}");
    let (mut number, mut rest) = (None, String::new());
    let wanted = normal(&marked);
    if let Some(stem) = wanted.strip_suffix('*') {
        let tail = key.strip_prefix(stem).filter(|t| !t.is_empty())?;
        return Some((None, tail.to_owned()));
    }
    let (mut w, mut k) = (wanted.split('.'), key.split('.'));
    loop {
        match (w.next(), k.next()) {
            (None, None) => return Some((number, std::mem::take(&mut rest))),
            (Some("\u{1}"), Some(part)) => number = Some(part.parse().ok()?),
            (Some(a), Some(b)) if a == b => {}
            _ => return None,
        }
    }
}

/// A key as found: its row, the number in it and what stood for `*`.
pub struct Found {
    pub row: &'static Row,
    pub number: Option<u32>,
    pub rest: String,
}

pub fn find(on: On, key: &str) -> Option<Found> {
    let key = normal(key);
    TABLE.iter().filter(|r| r.on == on).find_map(|row| {
        let (number, rest) = std::iter::once(&row.key).chain(row.synonyms).find_map(|name| matches(name, &key))?;
        Some(Found { row, number, rest })
    })
}

/// The nearest name in the table to one that is not, as a hint.
pub fn suggest(on: On, key: &str) -> Option<String> {
    let names = || TABLE.iter().filter(|r| r.on == on).flat_map(|r| std::iter::once(r.key).chain(r.synonyms.iter().copied()));
    let spelt: Vec<(String, &str)> = names().map(|n| (normal(n), n)).collect();
    let near = nearest(&normal(key), spelt.iter().map(|(n, _)| n.as_str()))?;
    spelt.iter().find(|(n, _)| n == near).map(|(_, name)| format!("did you mean '{name}'?"))
}

/// The tables of `descriptors/EPA.md`.
pub fn markdown(nic: bool) -> String {
    let on = if nic { On::Nic } else { On::Guest };
    let mut out = String::from("| key | synonyms | values | what becomes of it |\n|---|---|---|---|\n");
    for r in TABLE.iter().filter(|r| r.on == on) {
        let synonyms: Vec<String> = r.synonyms.iter().map(|s| format!("`{s}`")).collect();
        let fate = match r.fate {
            Fate::Acted(_) => "acted on",
            Fate::Kept => "kept",
            Fate::Refused => "refused",
        };
        let note = if r.note.is_empty() { String::new() } else { format!(": {}", r.note) };
        out.push_str(&format!("| `{}` | {} | {} | {fate}{note} |\n", r.key, synonyms.join(" "), r.values));
    }
    out
}
