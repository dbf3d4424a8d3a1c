//! Resets over `Sim`, with the real store: each depth takes what it says and keeps the rest, and a power cut at any step is
//! made up for by the next start.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::{
    model::{
        access::Project,
        domain::{DiskSpec, DomainDisk, DomainMedium},
        error::Kind,
        host::HostSetting,
        hostnet::HostNetRecord,
        hw::PageSize,
        id::{DiskId, ProjectId},
        ns::NsInstance,
        op::Operation,
        package::{NsDescriptor, VnfPackage},
        reset::{Depth, Ordered},
        secret::Secret,
        segment::Segment,
        setup::{HostRecord, PagePool},
        size::MiB,
        time::Stamp,
        vnf::VnfInstance,
        vnfd::{DiskBus, MediaBus, Medium},
    },
    node::{
        kit::{Shape, THREE, TestBox, nsd, vnfd},
        reset::{End, Ground, files, finish, forget_wipe, notes},
    },
    reset::{Hands, render},
    sim::{
        Leftover,
        faults::{Method, Rule, Then},
    },
    store::{Store, Table},
    vim::{
        port::{GuestState, Hardware as _, Hypervisor as _, Images as _},
        setup::Desired,
    },
};

/// A box with a service that has all there is to take back: guests, links, a chain, a virtual function; and with things
/// that it was told.
fn lived_in() -> TestBox {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::default()));
    b.onboard(vnfd("fast", &Shape::with_vf()));
    b.onboard_nsd(super::chains::chained(nsd("ns", &THREE)));
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let vnf = b.create_vnf("fast");
    b.assert_state(b.instantiate_vnf(vnf), "COMPLETED");
    let pool = PagePool { node: crate::model::host::NodeId(1), size: PageSize::Huge2M, pages: 512 };
    b.core().host.set_desired(Desired { hugepages: vec![pool], ..Desired::default() });
    assert_eq!(b.core().host.apply().expect("applied").failed, []);
    let sealed = b.store().sealer().seal(b"psk", b"hunter2").expect("sealed");
    b.put(&Secret { name: "psk".into(), project: ProjectId::DEFAULT, sealed, created: Stamp(1) });
    b
}

fn root(b: &TestBox) -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(b.store_dir().parent().expect("a parent").to_owned()).expect("UTF-8")
}

fn hands(b: &TestBox) -> Hands {
    let ports = b.core().ports.clone();
    Hands {
        hypervisor: ports.hypervisor,
        images: ports.images,
        fabric: ports.fabric,
        host: ports.host,
        hardware: ports.hardware,
        own_net: ports.own_net,
        controllers: ports.controllers,
        outside: Default::default(),
    }
}

/// The start after an order, once.
fn start(b: &TestBox, h: &Hands) -> crate::model::error::Result<Option<End>> {
    let data = root(b);
    let etc = data.join("etc");
    finish(h, &b.sim, &Ground { data: &data, store: b.store_dir(), configuration: &etc, patience: Duration::ZERO })
}

fn ordered(b: &mut TestBox, depth: Depth) -> Hands {
    let h = hands(b);
    b.stop();
    let o = Ordered { depth, by: "ada".into(), at: Stamp(1), tries: 0 };
    notes(&root(b)).write("order", &render(&o)).expect("ordered");
    h
}

fn pages(b: &TestBox) -> u64 {
    let facts = b.sim.facts().expect("facts");
    facts.node(crate::model::host::NodeId(1)).and_then(|n| n.pages(PageSize::Huge2M)).expect("pages").total
}

/// Pages before anything was applied.
fn before(b: &TestBox) -> u64 {
    let record: HostRecord = b.store().get(&()).expect("read").expect("applied");
    let of = record.before.iter().find_map(|s| match s {
        HostSetting::HugePages { pages, .. } => Some(*pages),
        HostSetting::Vfs { .. } | HostSetting::Governor { .. } | HostSetting::Irq { .. } => None,
    });
    of.expect("pages")
}

/// What is left on the host, but for what the twin cannot know of a bothy that is gone.
fn left(b: &TestBox) -> Vec<Leftover> {
    b.sim.leftovers()
}

/// The store as the depth leaves it.
fn assert_reset(b: &mut TestBox, depth: Depth, before: u64, at: &str) {
    assert_eq!(left(b), [], "{at}");
    assert_eq!(pages(b) == before, depth >= Depth::Configuration, "{at}: the host's set-up");
    b.start();
    let s = b.store();
    for t in [Table::VnfInstance, Table::NsInstance, Table::Operation, Table::Segment, Table::Reservation, Table::Chain, Table::PlanStep] {
        assert_eq!(s.count(t).expect("count"), 0, "{at}: {t:?}");
    }
    assert_eq!(s.list_history::<Operation>().expect("read"), [], "{at}");
    let packages: Vec<VnfPackage> = s.list().expect("read");
    assert_eq!(packages.len(), if depth == Depth::Everything { 0 } else { 2 }, "{at}");
    assert!(packages.iter().all(|p| p.users == 0) && s.list::<NsDescriptor>().expect("read").iter().all(|n| n.users == 0), "{at}");
    assert_eq!(s.list::<Secret>().expect("read").len(), usize::from(depth == Depth::Services), "{at}");
    assert!(s.verify().expect("verified").is_sound(), "{at}");
    assert!(!s.is_restored(), "{at}");
}

#[test]
fn each_depth_takes_what_it_says_and_the_box_goes_on_from_there() {
    for depth in Depth::ALL {
        let mut b = lived_in();
        let before = before(&b);
        let h = ordered(&mut b, depth);
        assert_eq!(start(&b, &h).expect("reset"), Some(End::Anew), "{depth}");
        assert_eq!(start(&b, &h).expect("looked"), None, "{depth}: once");
        assert_reset(&mut b, depth, before, depth.name());
        let last = (files(&root(&b)).last)().expect("read");
        assert_eq!(last.is_some(), depth != Depth::Everything, "of a box as it was flashed nobody remembers anything");
        if depth != Depth::Everything {
            let again = b.create_ns("ns");
            b.assert_state(b.instantiate_ns(again), "COMPLETED");
            b.assert_ns_up(again);
        }
    }
}

/// Dead before the first change of the box, and after each of them; the next start ends it.
#[test]
fn a_power_cut_at_any_step_is_made_up_for_by_the_next_start() {
    let changes = {
        let mut b = lived_in();
        let h = ordered(&mut b, Depth::Services);
        b.sim.faults().reset_counts();
        start(&b, &h).expect("reset");
        b.sim.faults().changes()
    };
    assert!(changes > 20, "{changes}");
    for (n, then) in [(0, Then::Dead)].into_iter().chain((0..changes).map(|n| (n, Then::EffectThenDead))) {
        let at = format!("change {n}, {then:?}");
        let mut b = lived_in();
        let before = before(&b);
        let h = ordered(&mut b, Depth::Services);
        b.sim.faults().add(Rule::nth_change(n, then));
        start(&b, &h).expect_err(&at);
        let records: Vec<VnfInstance> = Store::open(b.store_dir(), Default::default()).expect("opens").list().expect("read");
        assert_eq!(records.len(), 4, "{at}: records go when nothing is left");
        b.sim.faults().clear();
        assert_eq!(start(&b, &h).expect(&at), Some(End::Anew), "{at}");
        assert_reset(&mut b, Depth::Services, before, &at);
    }
}

#[test]
fn the_rest_of_a_deep_reset_is_as_patient() {
    for depth in [Depth::Configuration, Depth::Everything] {
        for (method, skip) in [(Method::SetHost, 1), (Method::KeepNetwork, 1), (Method::ShowNetwork, 1), (Method::ReleaseVf, 1)] {
            let at = format!("{depth} {method:?} {skip}");
            let mut b = lived_in();
            let before = before(&b);
            let h = ordered(&mut b, depth);
            b.sim.faults().add(Rule::next(method, Then::EffectThenDead).nth(skip));
            start(&b, &h).expect_err(&at);
            b.sim.faults().clear();
            assert_eq!(start(&b, &h).expect(&at), Some(End::Anew), "{at}");
            assert_reset(&mut b, depth, before, &at);
            assert_eq!(b.store().get::<HostNetRecord>(&()).expect("read"), None, "{at}");
        }
    }
}

#[test]
fn what_never_comes_back_is_left_and_told_after_so_many_starts() {
    let mut b = lived_in();
    let guest = super::guests(&b.store().list::<VnfInstance>().expect("read")[0])[0];
    let h = ordered(&mut b, Depth::Services);
    b.sim.faults().add(Rule::next(Method::Remove, Then::Fail(Kind::Conflict)).of(guest).times(u64::MAX));
    for n in 1..5 {
        let fault = start(&b, &h).expect_err("it waits");
        assert!(fault.text().contains(&format!("try {n} of 5")) && fault.detail().contains(&guest.to_string()), "{fault}");
        let s = Store::open(b.store_dir(), Default::default()).expect("opens");
        assert!(!s.list::<NsInstance>().expect("read").is_empty(), "records are there as long as something of theirs is");
    }
    assert_eq!(start(&b, &h).expect("given up"), Some(End::Anew));
    let last = crate::reset::parse_done(&(files(&root(&b)).last)().expect("read").expect("told")).expect("parsed");
    assert!(last.left.iter().any(|l| l.contains(&guest.to_string())), "{last:?}");
    // It still runs, on disks that nobody took away, and is an operator's to remove.
    b.sim.faults().clear();
    assert_eq!(b.sim.state(guest).expect("state"), Some(GuestState::Running));
    b.start();
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").quarantined, [guest]);
    assert_eq!(b.store().list::<Segment>().expect("read"), []);
    b.core().vnfm().remove_stray(guest).expect("removed");
    b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!(left(&b), []);
}

#[test]
fn a_box_of_its_own_restarts_and_its_partitions_are_emptied_by_the_next_boot() {
    for depth in [Depth::Configuration, Depth::Everything] {
        let mut b = lived_in();
        b.sim.set_slots("1.0", 3);
        let etc = root(&b).join("etc");
        std::fs::create_dir_all(etc.join("ztp")).expect("folder");
        for name in ["bothy.toml", "ca.pem", "ztp/idevid.pem"] {
            std::fs::write(etc.join(name), name).expect("file");
        }
        let h = ordered(&mut b, depth);
        assert_eq!(start(&b, &h).expect("reset"), Some(End::Restarts));
        assert!(b.sim.is_restarting());
        let of = notes(&root(&b));
        assert_eq!(of.read("wipe").expect("read").is_some(), depth == Depth::Everything);
        assert_eq!(of.read("order").expect("read").is_some(), depth == Depth::Everything, "it goes with the partition");
        assert!(etc.join("ztp/idevid.pem").exists());
        assert_eq!(etc.join("bothy.toml").exists(), depth == Depth::Everything);
        let boot = b.sim.boot_args().expect("asked").expect("a block");
        assert_eq!((boot.slot_try, boot.armed && depth == Depth::Everything), (None, false));
    }
}

#[test]
fn a_reset_of_everything_that_is_cut_in_its_last_step_goes_on_from_there() {
    let mut b = lived_in();
    let h = ordered(&mut b, Depth::Everything);
    // As a cut leaves it: the old store is put aside and half gone, and the next start has made one anew.
    let aside = root(&b).join("reset/store");
    std::fs::create_dir_all(aside.join("live.1")).expect("folder");
    std::fs::write(aside.join("live.1/part"), "half").expect("file");
    assert_eq!(start(&b, &h).expect("through"), Some(End::Anew));
    assert!(!root(&b).join("reset").exists() && !b.store_dir().exists());
    assert_eq!(start(&b, &h).expect("nothing more"), None);
}

#[test]
fn a_mark_without_an_order_is_taken_away_and_one_with_an_order_stays() {
    let mut b = lived_in();
    let of = notes(&root(&b));
    of.write("wipe", "everything\n").expect("written");
    forget_wipe(&root(&b)).expect("looked at");
    assert_eq!(of.read("wipe").expect("read"), None);
    drop(ordered(&mut b, Depth::Everything));
    of.write("wipe", "everything\n").expect("written");
    forget_wipe(&root(&b)).expect("looked at");
    assert!(of.read("wipe").expect("read").is_some());
}

#[test]
fn a_newer_order_is_not_guessed_at() {
    let mut b = lived_in();
    let h = ordered(&mut b, Depth::Services);
    notes(&root(&b)).write("order", "bothy reset 2\ndepth most\n").expect("written");
    assert_eq!(start(&b, &h).expect_err("refused").kind(), Kind::Conflict);
    b.start();
    assert!(b.store().list::<Project>().is_ok() && b.store().count(Table::VnfInstance).expect("count") == 4);
}

/// Whatever has become of the records: a second try, a second reset, a store that was lost.
#[test]
fn a_guest_that_no_record_knows_keeps_its_disks_also_when_the_records_have_gone() {
    let mut b = lived_in();
    let alone = b.store().list::<VnfInstance>().expect("read").into_iter().find(|v| v.name == "v").expect("one").id;
    let snapshot = b.core().vnfm().create_snapshot(ProjectId::DEFAULT).expect("made").id;
    let op = b.core().vnfm().take_snapshot(alone, snapshot, &Vec::new(), "{}").expect("accepted");
    b.assert_state(op.id, "COMPLETED");
    let mut spec = super::crash::stray(crate::model::id::OpId(uuid::Uuid::from_u128(9)), 99);
    let [disk, copy] = [901, 902].map(|n| DiskId(uuid::Uuid::from_u128(n)));
    spec.disks.push(DomainDisk { id: disk, bus: DiskBus::Virtio, serial: "d".into() });
    spec.medium = Some(DomainMedium { bus: MediaBus::Cdrom });
    b.sim.ensure_disk(&DiskSpec { id: disk, size: MiB(1), base: None }).expect("a disk");
    b.sim.ensure_medium(spec.id, Medium::ConfigDrive, MediaBus::Cdrom, None, &[]).expect("a medium");
    b.sim.define(&spec).expect("defined");
    b.sim.copy_disk(disk, copy).expect("copied");
    b.sim.start(spec.id).expect("started");
    let h = ordered(&mut b, Depth::Services);
    let store = Store::open(b.store_dir(), Default::default()).expect("opens");
    let theirs = [Leftover::Domain(spec.id), Leftover::Disk(disk), Leftover::Copy(copy), Leftover::Medium(spec.id)];
    let of_guests = || {
        let is = |l: &Leftover| matches!(l, Leftover::Domain(_) | Leftover::Disk(_) | Leftover::Copy(_) | Leftover::Medium(_));
        b.sim.leftovers().into_iter().filter(is).collect::<Vec<_>>()
    };
    for at in ["first", "after the records have gone"] {
        assert_eq!(crate::reset::guests(&h, &store).expect(at), [] as [String; 0], "{at}");
        assert_eq!((of_guests(), b.sim.state(spec.id).expect("state")), (theirs.to_vec(), Some(GuestState::Running)), "{at}");
        store.purge(|t| crate::reset::purged(Depth::Services, t)).expect("purged");
    }
    // Nobody says whose they are.
    b.sim.faults().add(Rule::next(Method::List, Then::Fail(Kind::Transient)));
    assert_eq!(crate::reset::guests(&h, &store).expect("looked").len(), 1);
    assert_eq!(of_guests(), theirs);
    b.sim.remove(spec.id).expect("removed");
    assert_eq!((crate::reset::guests(&h, &store).expect("taken"), of_guests()), (vec![], vec![]));
}
