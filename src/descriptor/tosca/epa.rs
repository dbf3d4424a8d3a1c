//! Platform awareness in SOL001: the typed fields, and which string maps its keys stand in.
//!
//! Owns where to look. What a key means is `descriptor::epa`'s.

use super::{at::At, hints::Hints};
use crate::{
    descriptor::epa::{GuestKeys, NicKeys, Queues, mbits},
    model::{
        epa::{Epa, NicAttach, NicWish, PagePolicy, PinPolicy},
        size::MiB,
        vnfd::NicModel,
    },
};

/// The wishes of a VDU.
pub fn guest<'a>(at: &At<'a>, compute: Option<&At<'a>>, vcpus: u32, memory: MiB) -> (Epa, Queues) {
    let mut keys = GuestKeys::default();
    if let Some(c) = at.property("nfvi_constraints") {
        // A list of words up to 2.6.1, a map of strings since.
        if c.is_map() { keys.read(&c, false) } else { c.warn("is not acted on") }
    }
    let (mut cpu, mut mem) = (None, None);
    if let Some(compute) = compute {
        if let Some(map) = compute.get("compute_requirements") {
            keys.read(&map, false);
        }
        cpu = compute.get("virtual_cpu");
        mem = compute.get("virtual_memory");
        for (of, name) in [(&cpu, "vdu_cpu_requirements"), (&mem, "vdu_mem_requirements")] {
            if let Some(map) = of.as_ref().and_then(|o| o.get(name)) {
                keys.read(&map, false);
            }
        }
        logical_nodes(compute, &mut keys);
        capabilities(compute, &mut keys);
    }
    if let Some(p) = cpu.as_ref().and_then(|c| c.get("virtual_cpu_pinning")) {
        pinning(&p, &mut keys);
    }
    if let Some(mem) = &mem {
        if mem.get("numa_enabled").and_then(|n| n.bool()) == Some(true) {
            keys.numa_enabled();
        }
        if let Some(pages) = mem.get("huge_pages_requirements") {
            huge_pages(&pages, memory, &mut keys);
        }
    }
    keys.settle(at, vcpus, memory)
}

fn logical_nodes<'a>(compute: &At<'a>, keys: &mut GuestKeys<'a>) {
    for (_, node) in compute.get("logical_node").map(|l| l.entries()).unwrap_or_default() {
        node.known(&["logical_node_requirements"]);
        if let Some(map) = node.get("logical_node_requirements") {
            keys.read(&map, false);
        }
    }
}

fn capabilities<'a>(compute: &At<'a>, keys: &mut GuestKeys<'a>) {
    for (_, cap) in compute.get("requested_additional_capabilities").map(|l| l.entries()).unwrap_or_default() {
        cap.known(&[
            "requested_additional_capability_name",
            "support_mandatory",
            "min_requested_additional_capability_version",
            "preferred_requested_additional_capability_version",
            "target_performance_parameters",
        ]);
        cap.not_acted_on(&["min_requested_additional_capability_version", "preferred_requested_additional_capability_version"]);
        let mandatory = cap.get("support_mandatory").and_then(|m| m.bool()).unwrap_or(true);
        if let Some(map) = cap.get("target_performance_parameters") {
            keys.read(&map, !mandatory);
        }
    }
}

/// `static`: CPUs of its own; `dynamic`: the box decides, which here means shared.
fn pinning<'a>(p: &At<'a>, keys: &mut GuestKeys<'a>) {
    p.known(&["virtual_cpu_pinning_policy", "virtual_cpu_pinning_rule"]);
    if let Some(rule) = p.get("virtual_cpu_pinning_rule") {
        rule.warn_hint(
            "is not acted on: which host CPUs they are is decided where the guest is placed",
            "ask for threads and nodes by the keys of descriptors/EPA.md",
        );
    }
    let Some(at) = p.get("virtual_cpu_pinning_policy") else { return };
    if let Some(policy) = at.choice(&[("static", PinPolicy::Dedicated), ("dynamic", PinPolicy::Shared)]) {
        keys.typed_pinning(policy, &at);
    }
}

/// One size for all of the guest's memory; QEMU knows no mixture.
fn huge_pages<'a>(list: &At<'a>, memory: MiB, keys: &mut GuestKeys<'a>) {
    let items = list.items();
    if items.len() > 1 {
        list.error("asks for huge pages of several sizes; a guest's memory has pages of one size");
    }
    let Some(one) = items.first() else { return };
    one.known(&["hugepage_size", "requested_size"]);
    // Authors write MB and mean MiB.
    let policy = one.need("hugepage_size").and_then(|at| match at.size()?.0 {
        2_000_000 | 0x20_0000 => Some(PagePolicy::Size2M),
        1_000_000_000 | 0x4000_0000 => Some(PagePolicy::Size1G),
        _ => {
            at.error("is no size of huge pages: 2 MiB or 1 GiB");
            None
        }
    });
    if let Some(at) = one.need("requested_size")
        && let Some(size) = at.size()
        && size.mib() < memory
    {
        at.error_hint(format!("is less than the guest's memory, {memory}"), "all of a guest's memory is in huge pages, or none");
    }
    if let Some(policy) = policy {
        keys.typed_pages(policy, list);
    }
}

/// What a connection point's maps and typed fields say of its NIC.
pub struct Nic<'a> {
    pub keys: NicKeys<'a>,
    pub wish: NicWish,
    pub model: NicModel,
}

pub fn nic<'a>(at: &At<'a>, hints: &Hints<'a>) -> Nic<'a> {
    let mut keys = NicKeys::default();
    for req in at.property("virtual_network_interface_requirements").map(|r| r.items()).unwrap_or_default() {
        req.known(&["name", "description", "support_mandatory", "network_interface_requirements", "nic_io_requirements"]);
        let optional = req.get("support_mandatory").and_then(|m| m.bool()) == Some(false);
        let io = req.get("nic_io_requirements").and_then(|n| n.get("logical_node_requirements"));
        for map in [req.get("network_interface_requirements"), io].into_iter().flatten() {
            keys.read(&map, optional);
        }
    }
    let typed = at.property("vnic_type").and_then(|v| vnic(&v));
    let (attach, model) = match (typed, &keys.kind) {
        (None, None) => (NicAttach::Switch, None),
        (Some(attach), None) => (attach, None),
        (None, Some((attach, model, _))) => (*attach, Some(*model)),
        (Some(typed), Some((attach, model, place))) => {
            if typed != *attach {
                place.error("differs from what vnic_type says");
            }
            (typed, Some(*model))
        }
    };
    let mut wish = NicWish { attach, ..keys.wish.clone() };
    if let Some(bits) = at.property("bitrate_requirement")
        && let Some(m) = mbits(&bits)
        && wish.bandwidth.replace(m).is_some_and(|said| said != m)
    {
        bits.error("differs from what the key 'bandwidth' says");
    }
    let hinted = hints.nic_model();
    if attach != NicAttach::Switch
        && let Some(h) = hints.get("model")
    {
        h.error("is for NICs of the switch; this one is the host's own");
    }
    let model = hinted.or(model).unwrap_or_default();
    if wish.queues.is_some() && (attach.is_pci() || model != NicModel::Virtio) {
        at.error("queues are for VirtIO NICs");
    }
    if !attach.is_pci() && (wish.trust.is_some() || wish.spoof_check.is_some()) {
        at.warn_hint("trust and spoof check are for virtual functions, and change nothing here", "vnic_type: direct");
        (wish.trust, wish.spoof_check) = (None, None);
    }
    Nic { keys, wish, model }
}

fn vnic(at: &At<'_>) -> Option<NicAttach> {
    let text = at.text()?;
    match text.as_str() {
        "normal" | "virtio" | "bridge" => Some(NicAttach::Switch),
        "direct" => Some(NicAttach::Vf),
        "direct-physical" => Some(NicAttach::Pf),
        "virtio-forwarder" => Some(NicAttach::VhostUser),
        "macvtap" | "macvlan" | "ipvlan" | "vlan" | "ptp" | "loopback" => {
            at.warn(format!("vnic_type '{text}' is not offered; the guest gets a virtio NIC"));
            Some(NicAttach::Switch)
        }
        "smart-nic" | "host-device" | "baremetal" => {
            at.error_hint(
                format!("vnic_type '{text}' is not offered"),
                "use 'direct' for a virtual function, 'direct-physical' for a whole port",
            );
            None
        }
        other => {
            at.error(format!("'{other}' is no vnic_type"));
            None
        }
    }
}
