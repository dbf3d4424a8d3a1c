//! What is planned for boxes of many shapes, and what apply, reboot, crash and undo make of it.

use std::{fmt::Write, sync::Arc};

use tempfile::TempDir;

use super::*;
use crate::{
    model::{
        error::Kind,
        host::{BootArgs, DriverName, Function, HostFacts, HostSetting, KernelArgs, Mbps, NodeId},
        hw::PageSize,
        setup::HostRecord,
        size::MiB,
        update::Slot,
    },
    sim::{
        Sim, SimConfig,
        faults::{Method, Rule, Then},
        machine::{Machine, Model, Nic, edge_server},
    },
    store::{Options, Store},
    vim::port::Hardware as _,
};

fn pool(node: u16, size: PageSize, pages: u64) -> PagePool {
    PagePool { node: NodeId(node), size, pages }
}
fn cpus(list: &str) -> CpuSet {
    list.parse().expect(list)
}
fn pf(name: &str, vfs: u16) -> (PfName, u16) {
    (name.parse().expect(name), vfs)
}

/// As it leaves the factory: one socket, nothing reserved, no VFs, IOMMU off.
fn raw() -> HostFacts {
    let nic = Nic { model: Model::X710, node: NodeId(0), name: "eth1", physical: Some("wan"), total_vfs: 32, vfs: 0, speed: Mbps(10_000) };
    Machine {
        sockets: 1,
        cores_per_socket: 8,
        hugepages: vec![(PageSize::Huge2M, 0), (PageSize::Huge1G, 0)],
        memory: MiB(32 << 10),
        iommu: false,
        nics: vec![nic],
        args: "ro quiet".into(),
        ..Machine::default()
    }
    .facts()
}

fn throughput() -> Desired {
    Desired {
        profile: Profile::Throughput,
        hugepages: vec![pool(0, PageSize::Huge2M, 1024), pool(0, PageSize::Huge1G, 8)],
        pfs: vec![pf("eth1", 8)],
        iommu: true,
        host_cpus: cpus("0,8"),
        ..Desired::default()
    }
}
fn realtime() -> Desired {
    Desired { profile: Profile::Realtime, ..throughput() }
}

fn show(p: &HostPlan) -> String {
    let mut out = String::new();
    for i in &p.items {
        writeln!(out, "{:?}: {} -- {}", i.needs, i.what, i.why).expect("text");
    }
    for b in &p.blocked {
        writeln!(out, "CANNOT: {} -- {}", b.what, b.why).expect("text");
    }
    if let Some(b) = &p.boot {
        writeln!(out, "boot loader: '{}', on trial {:?}, armed {}", b.committed, b.trial.as_ref().map(ToString::to_string), b.armed)
            .expect("text");
    }
    out
}

#[test]
fn each_profile_on_a_raw_box() {
    let boot = BootArgs::default();
    insta::assert_snapshot!("throughput", show(&plan(&throughput(), &raw(), Some(&boot))));
    insta::assert_snapshot!("realtime", show(&plan(&realtime(), &raw(), Some(&boot))));
    insta::assert_snapshot!("by_hand", show(&plan(&realtime(), &raw(), None)));
    assert_eq!(plan(&Desired::default(), &raw(), Some(&boot)), HostPlan::default(), "nothing is wanted");
    assert_eq!(show(&plan(&Desired::default(), &edge_server(), None)), "", "what is not named is left alone");
}

/// All that Bothy itself asks for is taken, and what is not goes where it would hold up the rest.
#[test]
fn a_verified_boot_has_no_argument_that_its_loader_refuses() {
    let boot = BootArgs { committed: KernelArgs::parse("console=ttyS1,115200n8 nokaslr"), ..BootArgs::default() };
    let mut facts = raw();
    let kept = |facts: &HostFacts| plan(&realtime(), facts, Some(&boot)).args.to_string();
    assert!(kept(&facts).starts_with("console=ttyS1,115200n8 nokaslr "), "{}", kept(&facts));
    facts.kernel.args = KernelArgs::parse("ro bothy.verified=1 bothy.refused=1 bothy.boot=plain");
    let p = plan(&realtime(), &facts, Some(&boot));
    assert!(p.args.to_string().starts_with("console=ttyS1,115200n8 ") && !p.args.to_string().contains("nokaslr"), "{}", p.args);
    assert!(p.args.iter().count() > 6 && p.args.iter().all(args::is_taken_verified), "{}", p.args);
    assert!(show(&p).contains("kernel argument nokaslr goes -- the boot loader does not take it"), "{}", show(&p));
    // Where nothing else is wanted, too.
    let p = plan(&Desired::default(), &facts, Some(&boot));
    assert_eq!(p.boot.and_then(|b| b.trial).map(|t| t.to_string()).as_deref(), Some("console=ttyS1,115200n8"));
    for bad in [
        "init=/bin/sh",
        "intel_iommu=off",
        "console=\"a b\"",
        "hugepages=1;2",
        "isolcpus",
        "--help",
        "bothy.verified=1",
        "panic=0",
        "quiet=",
    ] {
        assert!(KernelArgs::parse(bad).iter().all(|a| !args::is_taken_verified(a)), "{bad}");
    }
}

#[test]
fn what_cannot_be_is_told_with_its_reason_and_holds_nothing_else_up() {
    let mut taken = edge_server();
    let vf = taken.pfs().next().expect("a PF").1.vfs[0].addr;
    taken.devices.iter_mut().filter(|d| d.addr == vf).for_each(|d| d.driver = Some(DriverName::VFIO));
    let n = &mut taken.nodes[0];
    n.hugepages[0].free = 8000;
    let want = Desired {
        profile: Profile::Throughput,
        hugepages: vec![
            pool(0, PageSize::Huge2M, 10),
            pool(1, PageSize::Huge1G, 65),
            pool(4, PageSize::Huge2M, 1),
            pool(1, PageSize::Huge2M, 1),
        ],
        pfs: vec![pf("ens1f0", 4), pf("ens2f0", 65), pf("eth9", 1), pf("0000:10:02.0", 1)],
        governor: Some("turbo".into()),
        host_cpus: cpus("0,99"),
        ..Desired::default()
    };
    insta::assert_snapshot!("blocked", show(&plan(&want, &taken, None)));
    // A guest has the first PF whole.
    let mut whole = raw();
    let first = whole.devices.iter_mut().find(|d| matches!(d.function, Function::Pf(_))).expect("a PF");
    (first.driver, first.ports) = (Some(DriverName::VFIO), Vec::new());
    let want = Desired { pfs: vec![pf("ens1f0", 4), pf("0000:10:00.0", 4)], ..Desired::default() };
    let said = show(&plan(&want, &whole, None));
    for line in [
        "CANNOT: PF ens1f0: 4 VFs -- there is no such PF (there are: 0000:10:00.0, without an interface: it is with vfio-pci)",
        "CANNOT: PF 0000:10:00.0: 4 VFs -- it is with vfio-pci, as a PF that a guest has whole: VFs come when its own driver has it again",
    ] {
        assert!(said.lines().any(|l| l == line), "{line}\nin {said}");
    }
    let mut bare = raw();
    bare.governors.clear();
    bare.devices.clear();
    let want = Desired { pfs: vec![pf("eth1", 4)], governor: Some("performance".into()), ..Desired::default() };
    insta::assert_snapshot!("bare", show(&plan(&want, &bare, None)));
}

#[test]
fn arguments_that_run_are_not_wanted_again_and_those_of_others_are_left() {
    let with = |args: &str, want: &Desired, committed: &str| {
        let mut f = raw();
        f.iommu = args.contains("intel_iommu");
        f.kernel.args = KernelArgs::parse(args);
        let boot = BootArgs { committed: KernelArgs::parse(committed), ..BootArgs::default() };
        let p = plan(want, &f, Some(&boot));
        (p.items.iter().filter(|i| i.needs != Needs::Nothing).map(|i| i.what.clone()).collect::<Vec<_>>(), p.boot)
    };
    let giant = Desired { hugepages: vec![pool(0, PageSize::Huge1G, 8)], ..Desired::default() };
    let none = (Vec::<String>::new(), None);
    assert_eq!(with("ro hugepagesz=1G hugepages=0:8", &giant, ""), none, "somebody else put them there");
    // The pair counts together: pages of another size come first.
    let (what, _) = with("ro hugepagesz=2M hugepages=0:8 hugepagesz=1G", &giant, "");
    assert_eq!(what, ["kernel argument hugepagesz=1G hugepages=0:8"]);
    assert_eq!(with("ro hugepagesz=1G hugepages=0:8", &giant, "hugepagesz=1G hugepages=0:8"), none);
    // Wanted no more: only what is Bothy's goes.
    let (what, boot) = with("ro hugepagesz=1G hugepages=0:8 isolcpus=3", &Desired::default(), "hugepagesz=1G hugepages=0:8");
    assert_eq!(what, ["kernel argument hugepagesz=1G goes", "kernel argument hugepages=0:8 goes"]);
    assert_eq!(boot.and_then(|b| b.trial), Some(KernelArgs::default()));
    // What an image brought along stays, also when something else is put on trial.
    assert_eq!(with("ro intel_iommu=on x=1", &Desired::default(), "intel_iommu=on x=1"), none);
    let (_, boot) = with("ro intel_iommu=on x=1", &giant, "intel_iommu=on x=1");
    assert_eq!(boot.and_then(|b| b.trial).map(|t| t.to_string()).as_deref(), Some("intel_iommu=on x=1 hugepagesz=1G hugepages=0:8"));
    // A kernel that remaps without a word needs none.
    let mut amd = raw();
    amd.iommu = true;
    let want = Desired { iommu: true, ..Desired::default() };
    assert_eq!(plan(&want, &amd, Some(&BootArgs::default())), HostPlan::default());
    assert_eq!(with("ro intel_iommu=on iommu=pt", &want, "intel_iommu=on iommu=pt"), none);
}

struct Rig {
    sim: Sim,
    keeper: Keeper,
    store: Store,
    _dir: TempDir,
}

fn rig(facts: HostFacts, desired: Desired) -> Rig {
    let dir = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a folder");
    let store = Store::open(dir.path().join("store"), Options { flush_every_ms: 0, ..Options::default() }).expect("a store");
    let sim = Sim::new(SimConfig { hardware: facts, ..SimConfig::default() });
    Rig { keeper: Keeper::new(store.clone(), Arc::new(sim.clone()), desired), sim, store, _dir: dir }
}

impl Rig {
    /// What is left to do, by what it needs.
    fn left(&self) -> Vec<(Needs, String)> {
        self.keeper.plan().expect("a plan").items.into_iter().map(|i| (i.needs, i.what)).collect()
    }
    fn boot(&self) -> BootArgs {
        self.sim.boot_args().expect("asked").expect("there")
    }
}

#[test]
fn apply_does_what_is_live_and_undo_puts_each_thing_back_as_it_was_first() {
    let r = rig(raw(), throughput());
    let was = r.sim.facts().expect("facts");
    for _ in 0..2 {
        let done = r.keeper.apply().expect("applied");
        assert!(done.failed.is_empty() && done.reboot, "{done:?}");
    }
    let f = r.sim.facts().expect("facts");
    assert_eq!(f.pfs().next().map(|(_, pf)| pf.vfs.len()), Some(8));
    assert_eq!(f.nodes[0].pages(PageSize::Huge2M).map(|p| p.total), Some(1024));
    assert!(f.irqs.iter().all(|i| i.cpus == cpus("0,8")) && f.governors[0].name == "performance");
    assert!(r.left().iter().all(|(needs, _)| *needs == Needs::Booting), "{:?}", r.left());

    // Another wish, and the memory of the first state stays.
    r.keeper.set_desired(Desired { pfs: vec![pf("eth1", 2)], ..throughput() });
    r.keeper.apply().expect("applied");
    let done = r.keeper.undo().expect("undone");
    assert!(done.failed.is_empty(), "{done:?}");
    assert_eq!(r.sim.facts().expect("facts"), was);
    assert_eq!(r.boot(), BootArgs::default(), "nothing is on trial");
    assert_eq!(r.keeper.record().expect("read"), HostRecord::default());
    assert_eq!(r.keeper.undo().expect("again"), Done { done: vec![], ..Done::default() });
}

#[test]
fn what_fails_leaves_the_rest_and_is_tried_again() {
    let r = rig(raw(), throughput());
    r.sim.faults().add(Rule::next(Method::SetHost, Then::Fail(Kind::Transient)).nth(2));
    let done = r.keeper.apply().expect("applied");
    let [(what, why)] = &done.failed[..] else { panic!("{done:?}") };
    assert!(what.starts_with("PF eth1") && why.contains("simulated"), "{what}: {why}");
    let again = r.keeper.apply().expect("applied");
    assert!(again.failed.is_empty() && again.done.iter().any(|d| d.starts_with("PF eth1")), "{again:?}");
}

#[test]
fn an_interrupt_that_does_not_go_back_is_told_and_tried_again_but_for_one_that_the_kernel_keeps() {
    for (kind, again) in [(Kind::Conflict, false), (Kind::Capacity, true), (Kind::Transient, true)] {
        let irqs = Desired { profile: Profile::Throughput, host_cpus: cpus("0,8"), ..Desired::default() };
        let r = rig(raw(), irqs);
        let was = r.sim.facts().expect("facts").irqs;
        r.keeper.apply().expect("applied");
        let last = r.keeper.record().expect("read").before.pop().expect("something was set");
        let HostSetting::Irq { number, .. } = last else { panic!("{last:?}") };
        let there = || r.sim.facts().expect("facts").irqs;
        // Undone in the other order: the first to go.
        r.sim.faults().add(Rule::next(Method::SetHost, Then::Fail(kind)));
        let done = r.keeper.undo().expect("undone");
        assert_eq!(there().iter().filter(|i| !was.contains(i)).map(|i| i.number).collect::<Vec<_>>(), [number], "{kind:?}: {done:?}");
        assert!(done.done.iter().all(|d| !d.contains(&format!("interrupt {number} "))), "{kind:?}: {done:?}");
        let told =
            |f: &[(String, String)]| f.iter().filter(|(what, why)| what.contains(&number.to_string()) && why.contains("simulated")).count();
        assert_eq!((told(&done.failed), done.failed.len()), (usize::from(again), usize::from(again)), "{kind:?}: {done:?}");
        assert_eq!(r.keeper.record().expect("read").before, if again { vec![last] } else { Vec::new() }, "{kind:?}");
        r.keeper.undo().expect("again");
        assert_eq!(there() == was, again, "{kind:?}");
    }
}

#[test]
fn a_crash_at_any_change_can_be_undone() {
    for n in 0.. {
        let r = rig(raw(), throughput());
        let was = r.sim.facts().expect("facts");
        r.sim.faults().add(Rule::nth_change(n, Then::EffectThenDead));
        let done = r.keeper.apply();
        let died = r.sim.faults().is_dead();
        r.sim.faults().clear();
        // What a later daemon finds: the store, and the host half way.
        let later = Keeper::new(r.store.clone(), Arc::new(r.sim.clone()), throughput());
        let undone = later.undo().expect("undone");
        assert!(undone.failed.is_empty(), "{n}: {undone:?}");
        assert_eq!(r.sim.facts().expect("facts"), was, "{n}: {done:?}");
        assert!(!r.boot().armed, "{n}");
        if !died {
            assert!(n > 5, "{n} changes only");
            return;
        }
    }
}

#[test]
fn a_trial_that_comes_up_is_committed_and_one_that_does_not_is_offered_again() {
    let r = rig(raw(), realtime());
    r.keeper.apply().expect("applied");
    let trial = r.boot().trial.expect("on trial");
    assert!(r.boot().armed && trial.has("isolcpus", "managed_irq,domain,1-7,9-15"), "{trial}");

    r.sim.boot_box(false);
    assert_eq!(r.keeper.settle_boot().expect("asked"), Settled::FellBack(trial.clone()), "that was the old boot");
    assert_eq!(r.boot(), BootArgs { trial: Some(trial.clone()), ..BootArgs::default() });
    assert!(r.left().iter().any(|(needs, _)| *needs == Needs::Reboot), "it can be tried again");
    let said = |r: &Rig| r.keeper.plan().expect("planned").items.iter().filter(|i| i.why.ends_with("; tried, and did not come up")).count();
    assert!(said(&r) > 1, "and says what came of the last time");

    r.keeper.apply().expect("applied");
    assert_eq!(said(&r), 0, "on trial once more");
    r.sim.boot_box(true);
    assert_eq!(said(&r), 0, "nobody has judged this one");
    assert_eq!(r.keeper.settle_boot().expect("asked"), Settled::Kept);
    let sound = BootArgs { committed: trial.clone(), ..BootArgs::default() };
    assert_eq!(r.boot(), sound);
    assert_eq!(r.keeper.settle_boot().expect("asked"), Settled::Nothing, "once");
    assert!(r.sim.facts().expect("facts").iommu, "its arguments are there");
    let reboots: Vec<_> = r.left().into_iter().filter(|(needs, _)| *needs != Needs::Nothing).collect();
    assert_eq!(reboots, []);
    r.sim.boot_box(true);
    assert_eq!((r.boot(), r.sim.facts().expect("facts").kernel.args.has("bothy.boot", "committed")), (sound, true));

    // Undo takes the way through the trial, too.
    let done = r.keeper.undo().expect("undone");
    assert!(done.reboot && done.failed.is_empty(), "{done:?}");
    assert_eq!((r.boot().trial, r.boot().armed), (Some(KernelArgs::default()), true));
}

#[test]
fn an_iommu_that_is_off_with_its_arguments_is_the_firmwares_to_switch_on() {
    let r = rig(raw(), Desired { iommu: true, ..Desired::default() });
    let seen = |r: &Rig| {
        let p = r.keeper.plan().expect("a plan");
        (r.sim.facts().expect("facts").iommu, p.items.len(), p.blocked.into_iter().map(|b| (b.what, b.why)).collect::<Vec<_>>())
    };
    r.sim.set_vtd(false);
    assert_eq!(seen(&r), (false, 2, vec![]), "the arguments come first");
    r.keeper.apply().expect("applied");
    r.sim.boot_box(true);
    assert_eq!(r.keeper.settle_boot().expect("asked"), Settled::Kept, "the boot is sound");
    let why = "it is off though the kernel has its arguments: VT-d or AMD-Vi is to be switched on in the firmware";
    assert_eq!(seen(&r), (false, 0, vec![("IOMMU".into(), why.into())]));
    r.keeper.set_desired(Desired::default());
    assert_eq!(seen(&r), (false, 0, vec![]), "nobody wants it");
    r.keeper.set_desired(Desired { iommu: true, ..Desired::default() });
    r.sim.set_vtd(true);
    r.sim.boot_box(true);
    assert_eq!(seen(&r), (true, 0, vec![]));
}

#[test]
fn arguments_are_not_tried_together_with_a_slot() {
    let r = rig(raw(), realtime());
    r.keeper.block().change(|b| Ok(b.trying(Slot::B))).expect("a slot on trial");
    let tried = BootArgs { armed: true, slot_try: Some(Slot::B), ..BootArgs::default() };
    for boots in [false, true] {
        let done = r.keeper.apply().expect("applied");
        assert!(r.keeper.plan().expect("a plan").blocked.iter().any(|b| b.why.contains("tried after it")), "{done:?}");
        assert_eq!(r.keeper.settle_boot().expect("asked"), Settled::Nothing, "that is not the host's to keep");
        assert_eq!(r.boot(), BootArgs { armed: !boots, ..tried.clone() });
        r.sim.boot_box(true);
    }
    r.keeper.block().change(|b| Ok(b.keeping(Slot::B))).expect("kept");
    r.keeper.apply().expect("applied");
    let boot = r.boot();
    assert!(boot.armed && boot.slot == Slot::B && boot.slot_try.is_none() && boot.trial.is_some(), "{boot:?}");
    r.sim.boot_box(true);
    assert_eq!(r.keeper.settle_boot().expect("asked"), Settled::Kept);
    assert_eq!(r.boot().slot, Slot::B, "the slot stays");
}

#[test]
fn live_settings_come_again_after_a_boot_but_only_if_they_were_applied() {
    let r = rig(raw(), throughput());
    assert_eq!(r.keeper.keep().expect("asked"), Done::default());
    assert_eq!(r.sim.faults().changes(), 0, "a start alone changes nothing");
    r.keeper.apply().expect("applied");
    let set_up = r.sim.facts().expect("facts");
    let mut booted = raw();
    booted.irqs.iter_mut().for_each(|i| i.number += 100);
    r.sim.set_hardware(booted);
    // A wish that nobody applied yet is not taken up by a boot.
    r.keeper.set_desired(Desired::default());
    let done = r.keeper.keep().expect("kept");
    assert!(done.failed.is_empty(), "{done:?}");
    let f = r.sim.facts().expect("facts");
    assert_eq!((f.nodes, f.devices, f.governors), (set_up.nodes, set_up.devices, set_up.governors));
    assert!(f.irqs.iter().all(|i| i.cpus == cpus("0,8")));
    let before = r.sim.faults().changes();
    assert_eq!((r.keeper.keep().expect("again"), r.sim.faults().changes()), (Done::default(), before));
    // A guest has the PF whole, and it has no VFs meanwhile.
    let mut f = r.sim.facts().expect("facts");
    let pf = f.devices.iter_mut().find(|d| matches!(d.function, Function::Pf(_))).expect("the PF");
    pf.driver = Some(DriverName::VFIO);
    if let Function::Pf(pf) = &mut pf.function {
        pf.vfs.clear();
    }
    r.sim.set_hardware(f);
    assert_eq!((r.keeper.keep().expect("again"), r.sim.faults().changes()), (Done::default(), before));
}
