//! `Vdu.Compute` with its disks and NICs.
//!
//! Owns the boot disk's choice, the NIC order and what of a VDU is not acted on yet. Never knows
//! levels or external connection points.

use smol_str::SmolStr;

use super::{
    at::At,
    day0, epa,
    hints::{self, hints},
    image::{self, ReadImage},
    load::Files,
    trunk,
    types::{BLOCK, CONTAINER, CONTAINER_UNIT, FILE, MCIOP, OBJECT},
};
use crate::{
    descriptor::epa::Queues,
    model::{
        net::MacAddr,
        size::{Bytes, MiB},
        vnfd::{CpLink, CpRole, Disk, DiskBus, Vdu, VduCp},
    },
};

/// Grace for a guest's boot where the descriptor says nothing: a cloud image under emulation.
const BOOT_GRACE_S: u32 = 300;

const KNOWN: &[&str] = &[
    "name",
    "description",
    "boot_order",
    "nfvi_constraints",
    "monitoring_parameters",
    "configurable_properties",
    "vdu_profile",
    "sw_image_data",
    "boot_data",
];

/// Reads one VDU; its NICs come later, and with them the queues it asks for.
pub fn vdu<'a>(at: &At<'a>, files: &Files<'_>) -> (Vdu, Queues) {
    if let Some(p) = at.get("properties") {
        p.known(KNOWN);
        p.not_acted_on(&["monitoring_parameters", "configurable_properties"]);
    }
    let h = hints(at, hints::ON_COMPUTE);
    let (min, max) = profile(at);
    let compute = at.get("capabilities").and_then(|c| c.get("virtual_compute")).and_then(|c| c.get("properties"));
    if compute.is_none() {
        at.missing("capabilities.virtual_compute.properties");
    }
    let memory = compute.as_ref().map_or(MiB(0), memory);
    let vcpus = compute.as_ref().map_or(0, vcpus);
    let (epa, queues) = epa::guest(at, compute.as_ref(), vcpus, memory);
    let vdu = Vdu {
        id: at.me(),
        name: at.need_property("name").and_then(|n| n.text()).unwrap_or_else(|| at.me()),
        description: at.property("description").and_then(|d| d.text()).unwrap_or_default(),
        vcpus,
        memory,
        firmware: h.firmware(),
        disks: disks(at, compute.as_ref(), memory, files),
        nics: Vec::new(),
        readiness: h.readiness(),
        boot_grace_s: h.get("readiness_timeout").and_then(|t| t.seconds()).unwrap_or(BOOT_GRACE_S),
        min_instances: min,
        max_instances: max,
        day0: day0::day0(at, &h, files),
        epa,
    };
    (vdu, queues)
}

fn profile(at: &At<'_>) -> (u32, u32) {
    let Some(p) = at.need_property("vdu_profile") else { return (1, 1) };
    p.known(&["min_number_of_instances", "max_number_of_instances", "nfvi_maintenance_info"]);
    p.not_acted_on(&["nfvi_maintenance_info"]);
    let min = p.need("min_number_of_instances").and_then(|n| n.u32()).unwrap_or(1);
    let max = p.need("max_number_of_instances").and_then(|n| n.u32()).unwrap_or(min);
    if min > max {
        p.error(format!("min_number_of_instances {min} is above max_number_of_instances {max}"));
    }
    (min, max)
}

fn vcpus(compute: &At<'_>) -> u32 {
    compute.known(&[
        "logical_node",
        "requested_additional_capabilities",
        "compute_requirements",
        "virtual_memory",
        "virtual_cpu",
        "virtual_local_storage",
    ]);
    let Some(cpu) = compute.need("virtual_cpu") else { return 0 };
    cpu.known(&[
        "cpu_architecture",
        "num_virtual_cpu",
        "virtual_cpu_clock",
        "virtual_cpu_oversubscription_policy",
        "vdu_cpu_requirements",
        "virtual_cpu_pinning",
    ]);
    cpu.not_acted_on(&["virtual_cpu_clock", "virtual_cpu_oversubscription_policy"]);
    let Some(n) = cpu.need("num_virtual_cpu") else { return 0 };
    match n.u32() {
        Some(0) => n.error("a VDU needs at least one virtual CPU"),
        Some(v) if v > 512 => n.error(format!("{v} virtual CPUs are more than a guest can have (512)")),
        v => return v.unwrap_or(0),
    }
    0
}

fn memory(compute: &At<'_>) -> MiB {
    let Some(m) = compute.need("virtual_memory") else { return MiB(0) };
    m.known(&[
        "virtual_mem_size",
        "virtual_mem_oversubscription_policy",
        "vdu_mem_requirements",
        "numa_enabled",
        "huge_pages_requirements",
    ]);
    m.not_acted_on(&["virtual_mem_oversubscription_policy"]);
    let Some(at) = m.need("virtual_mem_size") else { return MiB(0) };
    let Some(size) = at.size().map(|s| s.mib()) else { return MiB(0) };
    if size.0 < 16 {
        at.error_hint(format!("{size} of memory are too little for a guest"), "write it with its unit: '512 MiB'");
    }
    size
}

/// The boot disk first, then as the descriptor lists them.
fn disks(at: &At<'_>, compute: Option<&At<'_>>, memory: MiB, files: &Files<'_>) -> Vec<Disk> {
    let mut out: Vec<Disk> = Vec::new();
    let own = image::image(at, files);
    let local = compute.and_then(|c| c.get("virtual_local_storage")).map(|l| l.items()).unwrap_or_default();
    let mut local_sizes: Vec<MiB> = Vec::new();
    for l in &local {
        l.known(&["size_of_storage", "vdu_storage_requirements", "rdma_enabled", "type_of_storage", "nfvi_maintenance_info"]);
        local_sizes.push(l.need("size_of_storage").and_then(|s| s.size()).unwrap_or_default().mib());
    }
    let mut local_sizes = local_sizes.into_iter();
    if let Some(read) = own {
        let size = local_sizes.next().unwrap_or(read.image.min_disk.max(read.virtual_size.unwrap_or_default().mib()));
        out.push(carrying(at, at.me(), size, Some(read), DiskBus::default()));
    }
    for (name, target, req) in at.requirements() {
        match name.as_str() {
            "virtual_storage" => {
                if let Some(d) = storage(&target, &req, files) {
                    if out.iter().any(|o| o.id == d.id) {
                        req.error(format!("'{target}' is attached twice"));
                    }
                    out.push(d);
                }
            }
            "dependency" => req.warn("a dependency between VDUs is not acted on"),
            other => req.warn(format!("the requirement '{other}' is not known here and is left out")),
        }
    }
    for (i, size) in local_sizes.enumerate() {
        out.push(Disk { id: SmolStr::new(format!("{}-local-{}", at.me(), i + 1)), size, image: None, bus: DiskBus::default() });
    }
    boot_first(at, &mut out);
    for d in &out {
        if let Some(image) = &d.image {
            if d.size < image.min_disk {
                at.error(format!("disk '{}' has {}, and its image asks for {} (min_disk)", d.id, d.size, image.min_disk));
            }
            if memory < image.min_ram && memory.0 > 0 {
                at.error(format!("the VDU has {memory} of memory, and the image of '{}' asks for {} (min_ram)", d.id, image.min_ram));
            }
        }
    }
    out
}

fn storage(target: &SmolStr, req: &At<'_>, files: &Files<'_>) -> Option<Disk> {
    let scope = req.scope;
    let Some(at) = At::template(scope, target) else {
        req.no_such("storage", target, scope.templates().iter().map(|(k, _)| k.text.as_str()));
        return None;
    };
    let kind = scope.type_of(at.node());
    if scope.types.is_a(kind, OBJECT) || scope.types.is_a(kind, FILE) {
        req.error_hint(format!("'{target}' is {kind}, which Bothy does not offer"), "give the VDU a VirtualBlockStorage");
        return None;
    }
    if !scope.types.is_a(kind, BLOCK) {
        req.error(format!("'{target}' is a {kind}, and a storage is needed here"));
        return None;
    }
    if let Some(p) = at.get("properties") {
        p.known(&["virtual_block_storage_data", "per_vnfc_instance", "sw_image_data", "nfvi_maintenance_info"]);
        p.not_acted_on(&["nfvi_maintenance_info"]);
    }
    if let Some(p) = at.property("per_vnfc_instance")
        && p.bool() == Some(false)
    {
        p.error("a storage shared by several VNFCs is not offered; each has its own");
    }
    let mut size = MiB(0);
    if let Some(data) = at.need_property("virtual_block_storage_data") {
        data.known(&["size_of_storage", "vdu_storage_requirements", "rdma_enabled", "type_of_storage"]);
        data.not_acted_on(&["vdu_storage_requirements"]);
        if let Some(s) = data.need("size_of_storage") {
            let said = s.size();
            size = said.unwrap_or_default().mib();
            if said == Some(Bytes(0)) {
                s.error_hint("a storage needs a size", "write it with its unit: '4 GiB'");
            }
        }
    }
    let bus = hints(&at, hints::ON_STORAGE).disk_bus();
    Some(carrying(&at, target.clone(), size, image::image(&at, files), bus))
}

/// A disk; one that is smaller than what its image holds is reported.
fn carrying(at: &At<'_>, id: SmolStr, size: MiB, read: Option<ReadImage>, bus: DiskBus) -> Disk {
    if let Some(held) = read.as_ref().and_then(|r| r.virtual_size).filter(|held| held.mib() > size && size.0 > 0) {
        at.error(format!("disk '{id}' has {size}, and its image holds a disk of {}", held.mib()));
    }
    Disk { id, size, image: read.map(|r| r.image), bus }
}

/// Moves the disk that the guest boots from to the front.
fn boot_first(at: &At<'_>, disks: &mut [Disk]) {
    let mut named: Option<SmolStr> = None;
    let mut by_order = false;
    if let Some(b) = at.property("boot_order") {
        if b.is_list() {
            // Up to 2.6.1: the names of the storages in boot order.
            for item in b.items() {
                let Some(name) = item.text() else { continue };
                if !disks.iter().any(|d| d.id == name) {
                    item.no_such("storage of this VDU", &name, disks.iter().map(|d| d.id.as_str()));
                }
                named.get_or_insert(name);
            }
        } else {
            by_order = b.bool().unwrap_or(false);
        }
    }
    let boot = match named {
        Some(n) => disks.iter().position(|d| d.id == n),
        // Since 2.7.1 `true` means: boot in the order of the virtual_storage requirements.
        None if by_order => Some(0),
        None => disks.iter().position(|d| d.image.is_some()),
    };
    if let Some(head) = boot.and_then(|i| disks.get_mut(..=i)) {
        head.rotate_right(1);
    }
    match disks.first() {
        Some(Disk { image: Some(_), .. }) => {}
        Some(d) => at.error_hint(
            format!("boots from '{}', which has no software image", d.id),
            "give the first virtual_storage (or the VDU itself) a 'sw_image' artifact",
        ),
        None => at.error_hint("has no disk to boot from", "give the VDU or a VirtualBlockStorage of it a 'sw_image' artifact"),
    }
}

/// Reports node types of containers and others that no VM can be made from.
pub fn refused(at: &At<'_>, kind: &str) -> bool {
    let types = at.scope.types;
    if [CONTAINER, CONTAINER_UNIT, MCIOP].iter().any(|c| types.is_a(kind, c)) {
        at.error(format!("{kind}: containers are not run here; Bothy runs virtual machines"));
        return true;
    }
    if types.is_a(kind, OBJECT) || types.is_a(kind, FILE) {
        at.error_hint(format!("{kind} is not offered"), "use a VirtualBlockStorage");
        return true;
    }
    false
}

/// A connection point as read: which VDU it is on, in which place.
pub struct ReadCp<'a> {
    pub vdu: SmolStr,
    /// Where the VDU is named.
    pub binding: Option<At<'a>>,
    /// Where the internal link is named.
    pub linked: Option<At<'a>>,
    pub order: Option<u64>,
    pub nic: VduCp,
    pub management: bool,
    /// `trunk_mode`: tagged frames are its too.
    pub trunk: bool,
    /// A `VduSubCp` has no NIC of its own.
    pub sub: Option<trunk::Sub<'a>>,
}

/// `role` (SOL001 9.8.1): its part on a link whose flow pattern is a tree.
pub fn role(at: &At<'_>) -> CpRole {
    let words = [("root", CpRole::Root), ("leaf", CpRole::Leaf)];
    at.property("role").and_then(|r| r.choice(&words)).unwrap_or_default()
}

/// Reads a `VduCp`. What it is attached to is settled by the caller.
pub fn cp<'a>(at: &At<'a>) -> ReadCp<'a> {
    if let Some(p) = at.get("properties") {
        p.known(&[
            "layer_protocols",
            "ip_stack_mode",
            "role",
            "description",
            "protocol",
            "trunk_mode",
            "bitrate_requirement",
            "virtual_network_interface_requirements",
            "order",
            "vnic_type",
        ]);
        p.not_acted_on(&["protocol"]);
    }
    let h = hints(at, hints::ON_VDU_CP);
    let (mut vdu, mut binding) = (SmolStr::default(), None);
    let (mut link, mut linked) = (SmolStr::default(), None);
    for (name, target, req) in at.requirements() {
        match name.as_str() {
            "virtual_binding" => (vdu, binding) = (target, Some(req)),
            "virtual_link" => (link, linked) = (target, Some(req)),
            other => req.warn(format!("the requirement '{other}' is not known here and is left out")),
        }
    }
    if vdu.is_empty() {
        at.missing("requirements.virtual_binding");
    }
    let epa::Nic { keys, wish, model } = epa::nic(at, &h);
    let nic = VduCp {
        id: at.me(),
        link: CpLink::Internal(link),
        model,
        mac: h.get("mac").and_then(|m| m.parse::<MacAddr>("a MAC address such as 52:54:00:12:34:56")).or(keys.mac),
        port_security: h.flag("port_security").or(keys.port_security).unwrap_or(true),
        mtu: h.get("mtu").and_then(|m| m.parse::<u16>("an MTU in bytes")).or(keys.mtu),
        wish,
        role: role(at),
        rate_limit: h.get("rate_limit").and_then(crate::descriptor::epa::bits),
        subports: Vec::new(),
    };
    ReadCp {
        vdu,
        binding,
        linked,
        order: at.property("order").and_then(|o| o.int()).or(keys.position),
        nic,
        management: h.flag("management").unwrap_or(false),
        trunk: at.property("trunk_mode").and_then(|t| t.bool()).unwrap_or(false),
        sub: None,
    }
}
