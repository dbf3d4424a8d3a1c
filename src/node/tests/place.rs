//! Placement from accept to end: recorded, given, found again, given back, and refused with reasons.

use super::guests;
use crate::{
    model::{
        epa::PlacedNic,
        host::{DriverName, VfSetting},
        id::{VnfId, VnfcId},
        place::{Given, Held},
        vnf::{Reservation, RunState, Stopping},
    },
    node::kit::{Shape, TestBox, ask_ns, ask_vnf, ns_box, vnf_box},
    sim::machine::{Machine, edge_server},
    vim::{
        place::{facts::HostReserve, usage::CpuUse},
        port::{GuestState, Hardware, Hypervisor},
    },
    vnfm::Rules,
};

fn held(b: &TestBox, id: VnfId) -> Held {
    b.store().require::<Reservation>(&id).expect("reserved").placed.remove(0)
}

fn vf(h: &Held) -> (VfSetting, VfSetting) {
    match &h.given[0] {
        Given::Vf { want, before } => (want.clone(), before.clone()),
        Given::Whole { .. } => panic!("a VF was wished for"),
    }
}

fn reserve(b: &TestBox, cpus: &str) {
    let rules = b.core().vnfm().rules();
    let reserve = HostReserve { cpus: cpus.parse().expect("CPUs"), ..HostReserve::default() };
    b.core().vnfm().set_rules(Rules { reserve, ..rules });
}

#[test]
fn a_guest_with_a_vf_has_its_place_from_accept_to_end() {
    let (b, id) = vnf_box(&Shape::with_vf());
    reserve(&b, "0,32");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.assert_vnf_up(id);
    let h = held(&b, id);
    assert_eq!(
        h.at.text(),
        "node 0: vCPUs 0 on CPUs 1 (33 idle), 64 MiB in 2 MiB pages; fast: VF 0 of ens1f0 (0000:10:02.0)",
        "on the NIC's node, beside the host's reserve"
    );
    let (want, before) = vf(&h);
    let port = b.vnf(id).body.expect("a body").vnfcs[0].ports.iter().find(|p| p.cp == "fast").expect("the NIC").clone();
    assert_eq!((want.conf.mac, want.conf.vlan.map(|v| v.get()), want.conf.max_rate.0), (Some(port.mac), Some(42), 1000));
    assert_eq!((want.driver.clone(), want.conf.spoof_check, want.conf.trust), (Some(DriverName::VFIO), true, false));
    let domain = b.sim.domain(h.guest).expect("defined");
    let placed = domain.placed.expect("placed");
    assert_eq!(placed.vcpus[0].to_string(), "1");
    assert!(matches!(placed.nics.last(), Some(PlacedNic::Vf { addr, index: 0, vlan: Some(v), .. }) if *addr == want.vf && v.get() == 42));

    let (usage, drift) = b.core().vnfm().usage().expect("usage");
    assert_eq!(drift, [] as [String; 0]);
    let node = &usage.nodes[0];
    let of = |cpu| node.cores.iter().flat_map(|c| &c.cpus).find(|(c, _)| *c == cpu).map(|(_, u)| u.clone());
    assert_eq!(of(32), Some(CpuUse::Host));
    assert_eq!(of(1), Some(CpuUse::Vcpu { guest: h.guest, name: h.name.clone(), vcpu: 0 }));
    assert_eq!(of(33), Some(CpuUse::Idle { guest: h.guest, name: h.name.clone() }));
    assert_eq!(of(2), Some(CpuUse::Free));
    assert_eq!(node.pages.iter().map(|p| p.held).collect::<Vec<_>>(), [0, 32, 0]);
    assert_eq!(usage.cards[0].given, [(want.vf, Some(0), h.guest, h.name.clone())]);

    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    assert_eq!(b.sim.facts().expect("facts").vf_setting(want.vf), Some(before));
    b.assert_nothing_left();
}

#[test]
fn a_vf_sends_no_more_than_its_bandwidth_and_its_guests_quota() {
    use crate::model::epa::Quota;
    for (bandwidth, limit, rate) in
        [(Some(1000), None, 1000), (None, Some(300), 300), (Some(1000), Some(300), 300), (Some(200), Some(300), 200), (None, None, 0)]
    {
        let b = TestBox::new();
        let mut v = crate::node::kit::vnfd("vnf", &Shape::with_vf());
        let vdu = &mut v.flavours[0].vdus[0];
        vdu.nics.last_mut().expect("the VF").wish.bandwidth = bandwidth;
        vdu.epa.quotas.vif = Quota { limit, ..Quota::default() };
        b.onboard(v);
        let id = b.create_vnf("vnf");
        let dry = b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect("a plan");
        let h = &dry.placed[0];
        assert_eq!(vf(h).0.conf.max_rate.0, rate, "bandwidth {bandwidth:?}, limit {limit:?}");
        assert_eq!(h.at.devices[0].mbps, bandwidth.unwrap_or(0), "a limit is no promise");
    }
}

#[test]
fn where_no_cpu_is_shared_qemus_own_threads_are_on_those_of_the_vcpus() {
    let (b, id) = vnf_box(&Shape::with_vf());
    reserve(&b, "0,2-32,34-63");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let h = held(&b, id);
    assert_eq!(h.at.emulator.to_string(), "", "none is left beside the core that the guest has");
    let placed = b.sim.domain(h.guest).and_then(|d| d.placed).expect("placed");
    assert_eq!((placed.vcpus[0].to_string(), placed.emulator.to_string()), ("1".into(), "1".into()));
}

#[test]
fn io_threads_run_beside_the_emulator_wherever_its_policy_puts_it() {
    use crate::model::epa::EmulatorPolicy;
    // The guest's vCPU is on core 1 with its sibling, 33, idle.
    for (emulator, reserved, threads, want) in [
        (EmulatorPolicy::Any, "0,32", 2, "2-15,34-47"),
        (EmulatorPolicy::Share, "0,6-32,38-63", 3, "2-5,34-37"),
        // A core of its own, as the guest's vCPU has.
        (EmulatorPolicy::Isolate, "0,32", 2, "2"),
        // No CPU is left that others share: on the vCPU's own.
        (EmulatorPolicy::Share, "0,2-32,34-63", 1, "1"),
        (EmulatorPolicy::Any, "0,32", 0, "2-15,34-47"),
    ] {
        let b = TestBox::new();
        let mut v = crate::node::kit::vnfd("vnf", &Shape::with_vf());
        let epa = &mut v.flavours[0].vdus[0].epa;
        (epa.emulator, epa.io_threads) = (emulator, threads);
        b.onboard(v);
        reserve(&b, reserved);
        let id = b.create_vnf("vnf");
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let placed = b.sim.domain(held(&b, id).guest).and_then(|d| d.placed).expect("placed");
        assert_eq!((placed.vcpus[0].to_string(), placed.emulator.to_string()), ("1".into(), want.into()), "{emulator:?}");
        let pins: Vec<String> = placed.io_threads.iter().map(ToString::to_string).collect();
        assert_eq!(pins, vec![want; threads.into()], "{emulator:?}");
    }
}

#[test]
fn what_one_guest_holds_no_other_gets() {
    let (b, first) = vnf_box(&Shape::with_vf());
    let ids = [first, b.create_vnf("vnf"), b.create_vnf("vnf")];
    let mut cpus = std::collections::BTreeSet::new();
    let mut functions = std::collections::BTreeSet::new();
    for id in ids {
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let h = held(&b, id);
        assert!(h.at.held_cpus().iter().all(|c| cpus.insert(c)), "{h:?}");
        assert!(functions.insert(vf(&h).0.vf), "{h:?}");
    }
    // Those that float lose what is pinned to, and the limit says so.
    let account = b.core().vnfm().snapshot().expect("snapshot").account;
    assert_eq!(account.vcpus.limit, ((1u64 << 14) - 6) * 4);
}

#[test]
fn a_refusal_names_each_node_and_card_and_leaves_nothing() {
    let (b, id) = vnf_box(&Shape::with_vf());
    let mut small = Machine { sockets: 1, cores_per_socket: 2, hugepages: Vec::new(), ..Machine::default() }.facts();
    small.iommu = true;
    b.sim.set_hardware(small);
    let why = [
        "v/vdu0/0: node 0: 2 MiB pages: 0 of 0 free, 32 wanted (32 more would do)",
        "v/vdu0/0: fast: no card can give a VF on wan; no card is on a physical network (a PF with the network wan in [host] pf would do)",
    ];
    let dry = b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect_err("no place");
    assert_eq!(dry.reasons(), why);
    let op = b.assert_state(b.instantiate_vnf(id), "ROLLED_BACK");
    assert_eq!(op.error.expect("the refusal").reasons, why);
    b.assert_nothing_left();
    b.sim.set_hardware(edge_server());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
}

#[test]
fn a_service_is_placed_whole_or_not_at_all() {
    let (b, ns) = ns_box(&Shape::with_vf());
    let dry = b.core().nfvo.dry_instantiate(ns, &ask_ns()).expect("a plan");
    let places: Vec<String> = dry.plan.members.iter().flat_map(|m| &m.plan.reservation.placed).map(|h| h.at.text()).collect();
    assert_eq!(places.len(), 3);
    assert!(places.iter().all(|p| p.starts_with("node 0: vCPUs 0 on CPUs ")), "{places:?}");
    // Room for two of three.
    let mut few = edge_server();
    few.nodes
        .iter_mut()
        .flat_map(|n| &mut n.hugepages)
        .for_each(|p| p.total = if p.size == crate::model::hw::PageSize::Huge2M { 40 } else { 0 });
    b.sim.set_hardware(few);
    let op = b.assert_state(b.instantiate_ns(ns), "FAILED_TEMP");
    let error = op.error.expect("the refusal");
    assert!(error.text.contains("alone, but not beside"), "{error:?}");
    assert!(error.reasons.iter().any(|r| r.contains("node 1: 2 MiB pages: 8 of 40 free, 32 wanted (24 more would do)")), "{error:?}");
    assert_eq!(b.store().list::<Reservation>().expect("read"), []);
    b.sim.set_hardware(edge_server());
    b.core().nfvo.retry(op.id).expect("planned anew");
    b.assert_state(op.id, "COMPLETED");
    b.assert_ns_up(ns);
    let op = b.core().nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn after_a_reboot_of_the_host_a_vf_is_set_before_its_guest_starts() {
    let (mut b, id) = vnf_box(&Shape::with_vf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let (want, before) = vf(&held(&b, id));
    let guest: VnfcId = guests(&b.vnf(id))[0];
    let stop = |b: &TestBox, to| {
        let op = b.core().vnfm().operate(id, to, Stopping::AtOnce, "{}".into()).expect("accepted").id;
        b.assert_state(op, "COMPLETED");
    };
    for stopped in [false, true] {
        if stopped {
            stop(&b, RunState::Stopped);
        }
        b.host_reboot();
        // The kernel forgot it.
        b.sim.release_vf(&before).expect("as after a boot");
        b.start();
        let found = b.core().vnfm().reconcile().expect("reconciled");
        assert_eq!(found.failed, []);
        if stopped {
            assert_eq!(b.sim.state(guest).expect("state"), Some(GuestState::Off));
            stop(&b, RunState::Started);
        }
        assert_eq!(b.sim.facts().expect("facts").vf_setting(want.vf), Some(want.clone()));
        b.assert_vnf_up(id);
    }
}

#[test]
fn drift_is_reported_and_a_vf_is_set_again() {
    let (b, id) = vnf_box(&Shape::with_vf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let h = held(&b, id);
    let (want, before) = vf(&h);
    // Somebody took the VLAN off, and gave another VF to a guest of his own.
    let mut changed = want.clone();
    changed.conf.vlan = None;
    b.sim.ensure_vf(&changed).expect("changed");
    let other = b.sim.facts().expect("facts").pfs().flat_map(|(_, pf)| pf.vfs.clone()).last().expect("a VF");
    let theirs = b.sim.facts().expect("facts").vf_setting(other.addr).expect("a VF");
    b.sim.ensure_vf(&VfSetting { driver: Some(DriverName::VFIO), ..theirs.clone() }).expect("given");
    let said = [
        format!("guest v/vdu0/0: VF 0 of {} ({}) VLAN is none, 42 was set", want.pf, want.vf),
        format!("VF {} of {} ({}) is with vfio-pci, and no guest of Bothy's has it", theirs.index, theirs.pf, theirs.vf),
    ];
    assert_eq!(b.core().vnfm().usage().expect("usage").1, said);
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").drift, said);
    assert_eq!(b.sim.facts().expect("facts").vf_setting(want.vf), Some(want.clone()), "set again");
    assert_eq!(b.core().vnfm().usage().expect("usage").1, said[1..], "what is not Bothy's is left alone");
    b.sim.release_vf(&theirs).expect("given back");
    // The PF lost its VFs altogether.
    b.sim.release_vf(&before).expect("off its driver");
    b.sim.set(&crate::model::host::HostSetting::Vfs { pf: want.pf, count: 0 }).expect("gone");
    let drift = b.core().vnfm().usage().expect("usage").1;
    assert_eq!(drift, [format!("guest v/vdu0/0: VF 0 of {} ({}) is gone: its PF has not made it, or is gone itself", want.pf, want.vf)]);
}

#[test]
fn a_vhost_user_nic_has_its_side_on_the_switch_before_the_guest_starts_and_until_its_end() {
    use crate::{
        model::id::IfKind,
        sdn::port::{Datapath, Fabric, PortKind},
        sim::SimConfig,
    };
    let shape = Shape { vdus: 1, vhost: true, ..Shape::default() };
    let mut b = TestBox::of(SimConfig { datapath: Datapath::Dpdk, ..SimConfig::default() });
    let mut v = crate::node::kit::vnfd("vnf", &shape);
    v.flavours[0].vdus[0].epa.quotas.vif.limit = Some(7);
    b.onboard(v);
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    b.assert_vnf_up(id);
    let body = b.vnf(id).body.expect("a body");
    let port = body.vnfcs[0].ports.iter().find(|p| p.cp == "forwarded").expect("the NIC").clone();
    assert_eq!(IfKind::of(&port.ifname), Some(IfKind::Guest));
    let there = |b: &TestBox| b.sim.switch_port(&port.ifname).map(|p| (p.segment, p.kind));
    let socket = b.sim.vhost_socket(&port.ifname);
    let want = Some((port.segment, PortKind::VhostUser { socket }));
    assert_eq!(there(&b), want);
    let limits: Vec<_> = b.sim.switch_links().iter().flat_map(|l| &l.ports).map(|p| (p.name.clone(), p.limit)).collect();
    let limited: Vec<_> = limits.iter().filter(|(_, l)| l.is_some()).collect();
    assert_eq!(limited, [&(port.ifname.clone(), Some(7_000_000))], "libvirt limits the guest's other ports");
    // The box reboots, and its switch forgot.
    b.host_reboot();
    b.sim.remove_port(&port.ifname).expect("forgotten");
    b.start();
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").started, 1);
    assert_eq!(there(&b), want);
    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn where_the_switch_has_no_dpdk_a_vhost_user_nic_is_refused_with_what_to_do() {
    let (b, id) = vnf_box(&Shape { vdus: 1, vhost: true, ..Shape::default() });
    let dry = b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect_err("no DPDK");
    assert!(dry.text().contains("the kernel's (for DPDK: 'ovs-vsctl set Open_vSwitch . other_config:dpdk-init=true'"), "{dry}");
    assert_eq!(dry.reasons(), ["v/vdu0/0: NIC 3 asks for one (virtio-forwarder)"]);
    let op = b.assert_state(b.instantiate_vnf(id), "ROLLED_BACK");
    assert_eq!(op.error.expect("the refusal").reasons, dry.reasons());
    b.assert_nothing_left();
}

#[test]
fn reserved_cpu_time_is_held_until_the_guest_ends_and_refused_where_it_is_spent_or_not_told() {
    use crate::model::epa::{Quota, Quotas};
    let b = TestBox::new();
    let mut v = crate::node::kit::vnfd("vnf", &Shape::small());
    let cpu = Quota { reserve: Some(1500), ..Quota::default() };
    v.flavours[0].vdus[0].epa.quotas = Quotas { cpu, ..Quotas::default() };
    b.onboard(v);
    // One CPU of 2000 MHz is left to guests.
    reserve(&b, "1-63");
    let (first, second) = (b.create_vnf("vnf"), b.create_vnf("vnf"));
    b.assert_state(b.instantiate_vnf(first), "COMPLETED");
    let h = held(&b, first);
    assert_eq!((h.at.reserve_mcpu, h.at.text().as_str()), (750, "node 0: vCPUs 0 float over CPUs 0, 64 MiB in 4 KiB pages"));
    let time = b.core().vnfm().usage().expect("usage").0.nodes.remove(0).time;
    assert_eq!((time.mcpu, time.promised, time.mhz, time.holders), (1000, 750, Some(2000), vec![(h.guest, h.name, 750)]));
    let why = [
        "v/vdu0/0: node 0: CPU time: 500 of 2000 MHz left to guests that float, 1500 wanted (1000 more would do)",
        "v/vdu0/0: node 1: no CPU would be left to guests that float on it (1 more would do); \
         CPU time: 0 of 0 MHz left to guests that float, 1500 wanted (1500 more would do)",
    ];
    assert_eq!(b.core().vnfm().dry_instantiate(second, &ask_vnf()).expect_err("spent").reasons(), why);
    b.assert_state(b.core().vnfm().terminate(first, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.sim.set_hardware(crate::model::host::HostFacts { mhz: None, ..edge_server() });
    let said = "v/vdu0/0: 1500 MHz are to be reserved, and this host does not tell the clock of its CPUs (`bothy host facts`)";
    assert_eq!(b.core().vnfm().dry_instantiate(second, &ask_vnf()).expect_err("not told").reasons(), [said]);
    b.sim.set_hardware(edge_server());
    b.assert_state(b.instantiate_vnf(second), "COMPLETED");
}

#[test]
fn a_limit_of_cpu_time_is_refused_where_no_clock_is_told_before_anything_is_made() {
    use crate::model::epa::{Quota, Quotas};
    let b = TestBox::new();
    let mut v = crate::node::kit::vnfd("vnf", &Shape::small());
    let cpu = Quota { limit: Some(1500), ..Quota::default() };
    v.flavours[0].vdus[0].epa.quotas = Quotas { cpu, ..Quotas::default() };
    b.onboard(v);
    let id = b.create_vnf("vnf");
    b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect("told");
    b.sim.set_hardware(crate::model::host::HostFacts { mhz: None, ..edge_server() });
    b.core().vnfm().facts().expect("facts");
    let said = "v/vdu0/0: 1500 MHz are to be its limit, and this host does not tell the clock of its CPUs (`bothy host facts`)";
    let op = b.assert_state(b.instantiate_vnf(id), "ROLLED_BACK");
    assert_eq!(op.error.expect("the refusal").reasons, [said]);
    b.assert_nothing_left();
}
