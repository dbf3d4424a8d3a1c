//! What the records say that guests hold, and what the host has: each kind of difference is told.

use super::guests;
use crate::{
    model::{
        host::{DriverName, HostFacts, HostSetting, NodeId, PfName},
        hw::{CpuSet, PageSize, PciAddr},
        id::VnfId,
        place::Given,
        setup::{HostRecord, PagePool},
        vnf::{Reservation, RunState, Stopping},
    },
    node::kit::{Shape, TestBox, ask_vnf, vnf_box},
    store::Durability,
    vim::{port::Hardware, setup::Desired},
};

/// A VNF whose guest has CPUs, pages and a VF of its own.
fn one_up() -> (TestBox, VnfId) {
    let (b, id) = vnf_box(&Shape::with_vf());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    assert_eq!(drift(&b), [] as [String; 0]);
    (b, id)
}

fn drift(b: &TestBox) -> Vec<String> {
    let said = b.core().vnfm().usage().expect("usage").1;
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").drift, said, "a look at the host says the same");
    said
}

fn held(b: &TestBox, id: VnfId) -> crate::model::place::Held {
    b.store().require::<Reservation>(&id).expect("reserved").placed.remove(0)
}

fn changed(b: &TestBox, change: impl FnOnce(&mut HostFacts)) {
    let mut facts = b.sim.facts().expect("facts");
    change(&mut facts);
    b.sim.set_hardware(facts);
}

#[test]
fn cpus_that_went_off_line_under_a_guest_are_drift() {
    let (b, id) = one_up();
    let cpu = held(&b, id).at.held_cpus().first().expect("pinned");
    changed(&b, |f| {
        let one: CpuSet = [cpu].into_iter().collect();
        f.cores.iter_mut().for_each(|c| c.threads = c.threads.minus(&one));
        f.nodes.iter_mut().for_each(|n| n.cpus = n.cpus.minus(&one));
    });
    assert_eq!(drift(&b), [format!("guest v/vdu0/0 holds CPUs {cpu}, which are not online")]);
}

#[test]
fn what_a_guest_holds_of_the_hosts_reserve_is_drift() {
    let (b, id) = one_up();
    let at = held(&b, id).at;
    let (cpus, cell) = (at.held_cpus(), &at.cells[0]);
    let own = PageSize::Huge2M.pages(cell.memory);
    let total = b.sim.facts().expect("facts").nodes[usize::from(cell.memory_node)].pages(PageSize::Huge2M).expect("offered").total;
    let mut rules = b.core().vnfm().rules();
    rules.reserve.cpus = cpus.clone();
    rules.reserve.pages = [((cell.memory_node, PageSize::Huge2M), total - own)].into();
    b.core().vnfm().set_rules(rules.clone());
    let of_cpus =
        format!("guest v/vdu0/0 holds CPUs {cpus}, which reserve.cpus keeps for the host: it gets another place when it is healed");
    assert_eq!(drift(&b), std::slice::from_ref(&of_cpus), "the pages are enough, just");
    rules.reserve.pages = [((cell.memory_node, PageSize::Huge2M), total - own + 1)].into();
    b.core().vnfm().set_rules(rules);
    let node = cell.memory_node;
    let of_pages = format!("node {node}: guests hold {own} pages of 2 MiB, and of {total} {} are to be kept for the host", total - own + 1);
    assert_eq!(drift(&b), [of_cpus, of_pages]);
}

#[test]
fn pages_that_a_stranger_took_are_drift_and_a_guests_own_are_not() {
    let (b, id) = one_up();
    let cell = held(&b, id).at.cells.remove(0);
    let own = PageSize::Huge2M.pages(cell.memory);
    let free = |node: u16, size: PageSize, used: u64| {
        changed(&b, |f| {
            let n = f.nodes.iter_mut().find(|n| n.id == NodeId(node)).expect("the node");
            let p = n.hugepages.iter_mut().find(|p| p.size == size).expect("offered");
            p.free = p.total - used;
        });
    };
    let node = cell.memory_node;
    // The guest that runs uses what it holds; before it touched them, fewer.
    for used in [own, own - 1] {
        free(node, PageSize::Huge2M, used);
        assert_eq!(drift(&b), [] as [String; 0], "{used} used");
    }
    free(node, PageSize::Huge2M, own + 5);
    let first = format!("node {node}: 5 pages of 2 MiB are in use that no guest of Bothy's holds");
    assert_eq!(drift(&b), std::slice::from_ref(&first));
    free(1 - node, PageSize::Huge1G, 2);
    let mut both = [first, format!("node {}: 2 pages of 1 GiB are in use that no guest of Bothy's holds", 1 - node)];
    both.sort();
    assert_eq!(drift(&b), both);
    // What the host keeps for itself it may use.
    let mut rules = b.core().vnfm().rules();
    rules.reserve.pages = [((node, PageSize::Huge2M), 5), ((1 - node, PageSize::Huge1G), 1)].into();
    b.core().vnfm().set_rules(rules);
    assert_eq!(drift(&b), [format!("node {}: 1 pages of 1 GiB are in use that no guest of Bothy's holds", 1 - node)]);
}

#[test]
fn pages_that_a_stranger_has_are_no_guests_to_have_and_said_where_they_are_missed() {
    let (b, first) = one_up();
    let at = held(&b, first).at;
    let (node, own) = (at.cells[0].memory_node, PageSize::Huge2M.pages(at.cells[0].memory));
    let total = b.sim.facts().expect("facts").nodes[0].pages(PageSize::Huge2M).expect("offered").total;
    let left = |left: u64| {
        changed(&b, |f| {
            for n in &mut f.nodes {
                n.hugepages.iter_mut().filter(|p| p.size == PageSize::Huge2M).for_each(|p| p.free = left);
            }
        });
    };
    let second = b.create_vnf("vnf");
    // Beside the guest that runs.
    left(own);
    b.core().vnfm().dry_instantiate(second, &ask_vnf()).expect("just enough");
    left(own - 1);
    let reasons = b.core().vnfm().dry_instantiate(second, &ask_vnf()).expect_err("one too few").reasons().to_vec();
    for n in [0, 1] {
        let taken = total - (own - 1) - if n == node { own } else { 0 };
        let theirs = format!(
            "node {n}: {taken} pages of 2 MiB are in use that no guest of Bothy's holds (their end would do; what the host has for itself is to be in reserve.hugepages)"
        );
        assert!(reasons.contains(&theirs), "{theirs}: {reasons:?}");
        let short = format!("2 MiB pages: {} of {} free, {own} wanted (1 more would do)", own - 1, total - taken);
        assert!(reasons.iter().any(|r| r.contains(&format!("node {n}: ")) && r.contains(&short)), "{short}: {reasons:?}");
    }
}

#[test]
fn a_whole_device_that_left_its_guest_is_drift() {
    let (b, id) = one_up();
    assert_eq!(guests(&b.vnf(id)).len(), 1);
    let device = b.sim.facts().expect("facts").pfs().last().expect("a PF").0.addr;
    let before = b.sim.facts().expect("facts").device(device).expect("there").driver.clone();
    let mut r = b.store().require::<Reservation>(&id).expect("reserved");
    r.placed[0].given.push(Given::Whole { device, before: before.clone() });
    b.store().write(Durability::Barrier, |tx| tx.put(&r)).expect("written");
    let away = [format!("guest v/vdu0/0: PCI device {device} is not with vfio-pci any more")];
    let says = || b.core().vnfm().usage().expect("usage").1;
    assert_eq!(says(), away, "its own driver has it");
    b.sim.ensure_driver(device, Some(&DriverName::VFIO)).expect("given");
    assert_eq!(says(), [] as [String; 0]);
    b.sim.ensure_driver(device, None).expect("taken");
    assert_eq!(says(), away, "none has it");
    changed(&b, |f| f.devices.retain(|d| d.addr != device));
    assert_eq!(says(), [format!("guest v/vdu0/0: PCI device {device} is gone")]);
}

#[test]
fn pages_that_a_stopped_guest_holds_are_not_given_back_to_the_kernel() {
    let (b, id) = one_up();
    let at = held(&b, id).at;
    let (node, pages) = (NodeId(at.cells[0].memory_node), PageSize::Huge2M.pages(at.cells[0].memory));
    let wanted = |pages: u64| {
        let pool = PagePool { node, size: PageSize::Huge2M, pages };
        b.core().host.set_desired(Desired { hugepages: vec![pool], ..Desired::default() });
        b.core().host.plan().expect("a plan").blocked.into_iter().map(|x| x.why).collect::<Vec<_>>()
    };
    changed(&b, |f| f.nodes.iter_mut().flat_map(|n| &mut n.hugepages).for_each(|p| p.free = p.total));
    assert_eq!(wanted(pages), [] as [String; 0]);
    assert_eq!(wanted(pages - 1), [format!("{pages} are held by v/vdu0/0, running or not: they go first")]);
}

/// A box whose pages and VFs are all of the set-up, and a VNF that needs some, up or stopped since.
fn set_up(stopped: bool) -> (TestBox, VnfId, PciAddr) {
    let (b, id) = vnf_box(&Shape::with_vf());
    let name: PfName = "ens1f0".parse().expect("name");
    let pf = b.sim.facts().expect("facts").pfs().find(|(d, _)| name.means(d.addr, &d.ports)).expect("the PF").0.addr;
    let nodes = [0, 1].map(NodeId);
    for node in nodes {
        b.sim.set(&HostSetting::HugePages { node, size: PageSize::Huge2M, pages: 0 }).expect("none");
    }
    b.sim.set(&HostSetting::Vfs { pf, count: 0 }).expect("none");
    let hugepages = nodes.map(|node| PagePool { node, size: PageSize::Huge2M, pages: 64 }).into();
    b.core().host.set_desired(Desired { hugepages, pfs: vec![(name, 4)], ..Desired::default() });
    assert_eq!(b.core().host.apply().expect("applied").failed, []);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    if stopped {
        let stop = b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id;
        b.assert_state(stop, "COMPLETED");
    }
    (b, id, pf)
}

#[test]
fn an_undo_leaves_what_guests_hold_as_it_was_made_and_says_who_has_it() {
    for stopped in [false, true] {
        let (b, id, pf) = set_up(stopped);
        let at = held(&b, id).at;
        let (node, pages) = (NodeId(at.cells[0].memory_node), PageSize::Huge2M.pages(at.cells[0].memory));
        let is = |b: &TestBox| {
            let f = b.sim.facts().expect("facts");
            let pages = [node, NodeId(1 - node.0)].map(|n| f.node(n).and_then(|n| n.pages(PageSize::Huge2M)).expect("offered").total);
            (pages, f.pfs().find(|(d, _)| d.addr == pf).expect("the PF").1.vfs.len())
        };
        assert_eq!(is(&b), ([64, 64], 4));
        let made: Vec<HostSetting> = b.core().host.record().expect("read").made;
        let done = b.core().host.undo().expect("undone");
        let why = [
            (
                format!("PF {pf}: 0 VFs"),
                "it is held by v/vdu0/0, running or not: the number of its VFs (4) changes only while it is not".into(),
            ),
            (format!("node {node}: 0 pages of 2 MiB"), format!("{pages} are held by v/vdu0/0, running or not: they go first")),
        ];
        assert_eq!((done.failed.as_slice(), done.done.len()), (&why[..], 1), "stopped {stopped}: {done:?}");
        assert_eq!(is(&b), ([64, 0], 4), "the other node's are given back");
        let record = b.core().host.record().expect("read");
        let other = |s: &HostSetting| matches!(s, HostSetting::HugePages { node: n, .. } if *n != node);
        assert_eq!((record.before.len(), record.made), (2, made.into_iter().filter(|s| !other(s)).collect::<Vec<_>>()), "kept over boots");
        b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        assert_eq!(b.core().host.undo().expect("undone").failed, []);
        assert_eq!((is(&b), b.core().host.record().expect("read")), (([0, 0], 0), HostRecord::default()));
    }
}

#[test]
fn the_number_of_vfs_stays_while_a_guest_holds_one_that_is_not_bound() {
    let (b, id, pf) = set_up(true);
    let Given::Vf { before, .. } = held(&b, id).given[0].clone() else { panic!("a VF") };
    b.sim.release_vf(&before).expect("as after a boot");
    let wanted = |count: u16| {
        b.core().host.set_desired(Desired { pfs: vec![(PfName::Address(pf), count)], ..Desired::default() });
        let p = b.core().host.plan().expect("a plan");
        (p.items.len(), p.blocked.into_iter().map(|x| x.why).collect::<Vec<_>>())
    };
    assert_eq!(wanted(4), (0, vec![]));
    let why = "it is held by v/vdu0/0, running or not: the number of its VFs (4) changes only while it is not";
    assert_eq!((wanted(6), wanted(0)), ((0, vec![why.into()]), (0, vec![why.into()])));
    // Those that are lost come again.
    b.sim.set(&HostSetting::Vfs { pf, count: 0 }).expect("lost");
    assert_eq!(wanted(4), (1, vec![]));
}
