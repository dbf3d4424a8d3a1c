//! Backups over `Sim`, with the real store: what comes out of one box is what goes into another, whole or not at all.

use std::{fs, sync::Arc};

use camino::Utf8PathBuf;

use crate::{
    backup::{Backups, House, Parts, Restores, Wish, names, verify},
    config::Config,
    lcm::timeline::all_operations,
    model::{
        access::AuditEntry,
        backup::Level,
        error::{Fault, Kind, Result},
        host::{Mbps, NodeId},
        id::{ProjectId, VnfId},
        net::MacAddr,
        ns::NsInstance,
        op::OpKind,
        package::{NsDescriptor, VnfPackage},
        secret::Secret,
        segment::Segment,
        time::Stamp,
        vnf::{Body, Reservation, VnfInstance},
    },
    node::{
        kit::{Shape, THREE, TestBox, nsd, vnfd},
        restore,
    },
    sim::{
        SimConfig,
        faults::{Method, Rule, Then},
        machine::{Machine, Model, Nic},
    },
    store::{Record, Store, Table},
    vim::port::{GuestState, Hypervisor as _},
};

const P: Option<&str> = Some("correct horse");

fn parts(b: &TestBox) -> Arc<Parts> {
    // As a daemon's start makes them.
    b.core().vnfm().layout().folders().iter().for_each(|f| fs::create_dir_all(f).expect("folder"));
    let config = Utf8PathBuf::from_path_buf(b.store_dir().with_file_name("bothy.toml")).expect("UTF-8");
    let of = Config { data_dir: b.core().vnfm().layout().root().to_owned(), ..Config::default() };
    restore::parts(b.core(), Some(config), &of, Box::new(|| "AB:CD".to_owned()))
}

fn house(b: &TestBox) -> House {
    restore::house(b.core(), Box::new(|| ()))
}

fn backup(b: &TestBox, level: Level, passphrase: Option<&str>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    Backups::new(parts(b)).prepare(level, "ada")?.write(&mut out, passphrase)?;
    Ok(out)
}

/// A box with a service and a VNF with a virtual function, a secret, and a configuration that names its port.
fn lived_in() -> TestBox {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::default()));
    b.onboard(vnfd("fast", &Shape::with_vf()));
    b.onboard_nsd(super::chains::chained(nsd("ns", &THREE)));
    b.assert_state(b.instantiate_ns(b.create_ns("ns")), "COMPLETED");
    b.assert_state(b.instantiate_vnf(b.create_vnf("fast")), "COMPLETED");
    let sealed = b.store().sealer().seal(b"psk", b"hunter2").expect("sealed");
    b.put(&Secret { name: "psk".into(), project: ProjectId::DEFAULT, sealed, created: Stamp(1) });
    let config = format!("data_dir = \"{}\"\n[host]\npf = [{{ name = \"ens1f0\", vfs = 8 }}]\n", b.core().vnfm().layout().root());
    fs::write(b.store_dir().with_file_name("bothy.toml"), config).expect("written");
    b
}

/// Another box, whose cards have other names and addresses, and stand elsewhere.
fn other() -> TestBox {
    let nic = |node, name, physical| Nic {
        model: Model::E810,
        node: NodeId(node),
        name,
        physical: Some(physical),
        total_vfs: 64,
        vfs: 8,
        speed: Mbps(25_000),
    };
    let m = Machine { nics: vec![nic(1, "enp7s0", "lan"), nic(1, "enp9s0", "wan")], ..Machine::default() };
    let mut hardware = m.facts();
    hardware.devices.iter_mut().flat_map(|d| &mut d.ports).for_each(|p| p.mac = None);
    TestBox::of(SimConfig { hardware, ..SimConfig::default() })
}

fn all<R: Record>(s: &Store) -> Vec<R> {
    s.list().expect("read")
}

/// VNF, name, MAC and addresses of each NIC.
fn nics(s: &Store) -> Vec<(VnfId, String, MacAddr, String)> {
    let of = |v: VnfInstance| {
        let body: Option<Body> = v.body;
        body.into_iter().flat_map(|b| b.vnfcs).flat_map(move |c| {
            c.ports.into_iter().map(move |p| (v.id, format!("{}/{}", c.hostname, p.cp), p.mac, format!("{:?}", p.addresses)))
        })
    };
    let mut all: Vec<_> = all::<VnfInstance>(s).into_iter().flat_map(of).collect();
    all.sort_by_key(|n| (n.0.0, n.1.clone()));
    all
}

/// Takes it in and goes through the start that follows.
fn restored(b: &mut TestBox, bytes: &[u8], wish: &Wish) {
    let r = Restores::new(parts(b), house(b));
    r.stage(bytes, P).expect("staged");
    let plan = r.plan(wish).expect("planned");
    assert_eq!((&plan.misfits, &plan.refused), (&vec![], &vec![]), "{plan:?}");
    r.order(wish, &plan.token, false, "eve").expect("ordered");
    drop(r);
    b.stop();
    see_through(b);
    b.start();
}

fn see_through(b: &TestBox) -> bool {
    let root = Utf8PathBuf::from_path_buf(b.store_dir().parent().expect("a folder").to_owned()).expect("UTF-8");
    let config = root.join("bothy.toml");
    restore::finish(&root, b.store_dir(), Some(&config), (&root.join("tls/cert.pem"), &root.join("tls/key.pem"))).expect("seen through")
}

#[test]
fn what_one_box_was_another_is_with_its_own_hardware() {
    let a = lived_in();
    let bytes = backup(&a, Level::Records, P).expect("made");
    assert!(!bytes.windows(7).any(|w| w == b"hunter2"));
    let found = verify(&bytes[..], P).expect("whole");
    assert_eq!((found.manifest.level, found.manifest.of.nics.iter().any(|n| n.name == "ens1f0")), (Level::Records, true));

    let mut b = other();
    let (old, new) = (a.core().vnfm().layout().root().to_owned(), b.core().vnfm().layout().root().to_owned());
    let r = Restores::new(parts(&b), house(&b));
    r.stage(&bytes[..], P).expect("staged");
    let plan = r.plan(&Wish::default()).expect("planned");
    assert!(plan.refused.iter().any(|m| m.contains(old.as_str())), "a data folder that is elsewhere: {plan:?}");
    drop(r);
    let wish = Wish { configuration: false, ..Wish::default() };
    restored(&mut b, &bytes, &wish);
    assert!(!names(&new).files.join("manifest").exists());

    let (s, t) = (a.store(), b.store());
    assert_eq!(all::<VnfInstance>(s), all::<VnfInstance>(t));
    assert_eq!(all::<NsInstance>(s), all::<NsInstance>(t));
    assert_eq!(all::<VnfPackage>(s), all::<VnfPackage>(t));
    assert_eq!(all::<NsDescriptor>(s), all::<NsDescriptor>(t));
    assert_eq!(all::<Segment>(s), all::<Segment>(t));
    assert_eq!(all::<Secret>(s), all::<Secret>(t));
    assert_eq!(s.list_history::<AuditEntry>().expect("read"), t.list_history::<AuditEntry>().expect("read"));
    assert_eq!(all_operations(s).expect("read"), all_operations(t).expect("read"));
    assert!(all::<Reservation>(t).iter().all(|r| r.placed.is_empty()) && all::<Reservation>(s).len() == all::<Reservation>(t).len());
    assert_eq!(t.sealer().open_sealed(b"psk", &all::<Secret>(t)[0].sealed).expect("the key came along"), b"hunter2");
    assert!(t.generation() > s.generation() && !t.is_restored() && t.verify().expect("verified").is_sound());

    let before = nics(t);
    assert!(before.len() >= 4, "{before:?}");
    assert!(restore::is_returning(&new));
    restore::bring_back(b.core()).expect("begun");
    assert!(!restore::is_returning(&new), "once");
    let heals: Vec<_> =
        all_operations(b.store()).expect("read").into_iter().filter(|o| o.kind == OpKind::Heal && o.parent.is_none()).collect();
    assert_eq!(heals.len(), 2);
    for op in heals {
        b.assert_state(op.id, "COMPLETED");
    }
    for v in all::<VnfInstance>(b.store()) {
        b.assert_vnf_up(v.id);
    }
    assert_eq!(nics(b.store()), before, "MACs, addresses and names are those that they were");
    let placed = all::<Reservation>(b.store()).into_iter().flat_map(|r| r.placed).flat_map(|h| h.at.devices).next().expect("a VF");
    assert_eq!(placed.card_name, "enp9s0", "of the card that this box has on the network");
    restore::bring_back(b.core()).expect("nothing more");
}

#[test]
fn a_backup_of_the_configuration_has_no_services_and_leaves_the_hosts_own_things() {
    let a = lived_in();
    let bytes = backup(&a, Level::Configuration, P).expect("made");
    let mut b = other();
    restored(&mut b, &bytes, &Wish { configuration: false, ..Wish::default() });
    for t in [Table::VnfInstance, Table::NsInstance, Table::VnfPackage, Table::Operation, Table::HostNet, Table::Host] {
        assert_eq!(b.store().count(t).expect("count"), 0, "{t:?}");
    }
    assert_eq!(all::<Secret>(b.store()), all::<Secret>(a.store()));
    restore::bring_back(b.core()).expect("nobody to bring back");
    assert_eq!(b.sim.leftovers(), []);
}

/// A backup of `a`, as if it had had its data in the folder that `b` has.
fn configuration_as_of(a: &TestBox, b: &TestBox) -> Vec<u8> {
    let (config, root) = (a.store_dir().with_file_name("bothy.toml"), b.core().vnfm().layout().root());
    let text = fs::read_to_string(&config).expect("read");
    let of = |l: &str| if l.starts_with("data_dir") { format!("data_dir = \"{root}\"") } else { l.to_owned() };
    fs::write(&config, text.lines().map(of).collect::<Vec<_>>().join("\n")).expect("written");
    backup(a, Level::Configuration, P).expect("made")
}

#[test]
fn the_configurations_file_comes_with_the_names_that_ports_have_here() {
    let a = lived_in();
    // The same box after a reset, with its card in another slot.
    let mut b = other();
    let config = b.store_dir().with_file_name("bothy.toml");
    fs::write(&config, "# its own\n").expect("written");
    let bytes = configuration_as_of(&a, &b);
    let r = Restores::new(parts(&b), house(&b));
    r.stage(&bytes[..], P).expect("staged");
    let plan = r.plan(&Wish::default()).expect("planned");
    assert!(plan.misfits.iter().any(|m| m.contains("--map ens1f0=PORT") && m.contains("enp9s0")), "{plan:?}");
    assert_eq!(r.order(&Wish::default(), &plan.token, false, "eve").expect_err("not so").kind(), Kind::Conflict);
    let wish = Wish { maps: vec![("ens1f0".into(), "enp9s0".into())], ..Wish::default() };
    assert!(r.order(&wish, &plan.token, false, "eve").expect_err("of another plan").text().contains("look at it again"));
    drop(r);
    restored(&mut b, &bytes, &wish);
    let text = fs::read_to_string(&config).expect("read");
    assert!(text.contains("name = \"enp9s0\"") && !text.contains("ens1f0"), "{text}");
    assert_eq!(fs::read_to_string(config.with_file_name("bothy.toml.before-restore")).expect("kept"), "# its own\n");
}

/// Cut off between any two of its renames, and begun again.
#[test]
fn a_power_cut_leaves_the_old_box_or_the_restored_one() {
    let a = lived_in();
    let bytes = backup(&a, Level::Records, P).expect("made");
    for cut in ["before the order", "after the order", "store put aside", "store in its place", "files moved", "all but the order"] {
        let mut b = other();
        let root = b.core().vnfm().layout().root().to_owned();
        let wish = Wish { configuration: false, ..Wish::default() };
        let r = Restores::new(parts(&b), house(&b));
        r.stage(&bytes[..], P).expect("staged");
        let token = r.plan(&wish).expect("planned").token;
        if cut != "before the order" {
            r.order(&wish, &token, false, "eve").expect("ordered");
        }
        drop(r);
        b.stop();
        let (n, store) = (names(&root), b.store_dir().to_owned());
        let go = |from: &std::path::Path, to: &std::path::Path| fs::rename(from, to).expect(cut);
        match cut {
            "store put aside" => go(&store, &store.with_file_name("store.before")),
            "store in its place" | "all but the order" => {
                go(&store, &store.with_file_name("store.before"));
                go(n.store.as_std_path(), &store);
                if cut == "all but the order" {
                    n.clear().expect("cleared");
                }
            }
            "files moved" => {
                fs::create_dir_all(n.files.join("images")).expect("folder");
                fs::write(n.files.join("images").join("ab".repeat(32)), "x").expect("file");
            }
            _ => {}
        }
        assert_eq!(see_through(&b), cut != "before the order", "{cut}");
        assert!(!see_through(&b), "{cut}: once");
        b.start();
        let records = b.store().count(Table::VnfInstance).expect("count");
        assert_eq!(records, if cut == "before the order" { 0 } else { 4 }, "{cut}");
        assert!(b.store().verify().expect("verified").is_sound(), "{cut}");
        if cut == "files moved" {
            assert!(root.join("images").join("ab".repeat(32)).exists());
        }
        assert!(!root.join("store.before").exists() || cut == "before the order", "{cut}");
    }
}

#[test]
fn what_is_wrong_with_a_backup_is_told_whole_and_leaves_nothing() {
    let a = lived_in();
    let clear = backup(&a, Level::Records, None).expect("made");
    assert!(clear.windows(10).any(|w| w == b"VnfPackage"), "a manifest that can be read");
    let sealed = backup(&a, Level::Records, P).expect("made");
    let b = other();
    let root = b.core().vnfm().layout().root().to_owned();
    let r = Restores::new(parts(&b), house(&b));
    let at = |what: &[u8]| clear.windows(what.len()).position(|w| w == what).expect("there");
    let changed = |from: &[u8], to: &[u8]| {
        let mut c = clear.clone();
        c[at(from)..at(from) + to.len()].copy_from_slice(to);
        c
    };
    let mut flipped = clear.clone();
    let end = flipped.len() - 60;
    flipped[end] ^= 1;
    let middle = at(b"bothy export 1");
    flipped[middle] ^= 1;
    for (what, bytes, passphrase, kind, words) in [
        ("two bytes", flipped, None, Kind::Invalid, "store is not what its digest says"),
        ("cut short", clear[..clear.len() - 1].to_vec(), None, Kind::Invalid, "ends too early"),
        ("half of it", clear[..clear.len() / 2].to_vec(), None, Kind::Invalid, "ends too early"),
        ("something behind it", [&clear[..], b"x"].concat(), None, Kind::Invalid, "follows its end"),
        ("a newer form", changed(b"bothy backup 1", b"bothy backup 2"), None, Kind::Invalid, "newer bothy"),
        ("another manifest", changed(b"level records", b"level recorde"), None, Kind::Invalid, "its manifest"),
        ("a strange entry", changed(b"seal.key", b"../../xx"), None, Kind::Invalid, "nothing of a box"),
        ("another passphrase", sealed.clone(), Some("wrong horse!"), Kind::Forbidden, "not the passphrase"),
        ("no passphrase", sealed.clone(), None, Kind::Invalid, "passphrase is needed"),
        ("one too many", clear.clone(), P, Kind::Invalid, "in the clear"),
        ("a sealed one cut short", sealed[..sealed.len() - 1].to_vec(), P, Kind::Invalid, "ends too early"),
        ("no backup", b"hello".to_vec(), None, Kind::Invalid, "no backup"),
    ] {
        let e = r.stage(&bytes[..], passphrase).expect_err(what);
        assert!(e.kind() == kind && e.detail().contains(words), "{what}: {e:?}");
        assert_eq!(verify(&bytes[..], passphrase).expect_err(what).detail(), e.detail(), "{what}");
        assert!(r.staged().expect("asked").is_none() && !root.join("store.restored").exists(), "{what}");
        assert_eq!(fs::read_dir(root.join("restore")).map_or(0, Iterator::count), 0, "{what}");
    }
    assert_eq!(r.plan(&Wish::default()).expect_err("nothing is there").kind(), Kind::NotFound);
    // A kind of records that nobody here has heard of, said by a manifest that is whole.
    let mut newer = Vec::new();
    let from = verify(&clear[..], None).expect("whole").manifest;
    let odd = crate::backup::render(&crate::model::backup::Manifest { records: "Operation=99,Cloud=1".into(), ..from });
    crate::backup::only_manifest(&odd, &mut newer);
    let e = r.stage(&newer[..], None).expect_err("newer");
    assert_eq!((e.kind(), e.reasons().len()), (Kind::Invalid, 2), "{e:?}");
}

#[test]
fn a_box_with_services_or_operations_takes_none_and_one_under_way_is_not_saved() {
    let a = lived_in();
    let bytes = backup(&a, Level::Records, P).expect("made");
    let r = Restores::new(parts(&a), house(&a));
    r.stage(&bytes[..], P).expect("staged");
    let wish = Wish { configuration: false, ..Wish::default() };
    let plan = r.plan(&wish).expect("planned");
    assert!(plan.refused.iter().any(|w| w.contains("host reset --depth services")), "{plan:?}");
    assert_eq!(r.order(&wish, &plan.token, true, "eve").expect_err("refused").kind(), Kind::Conflict);
    r.drop_staged().expect("dropped");
    assert!(r.staged().expect("asked").is_none());

    let mut op = all_operations(a.store()).expect("read").remove(0);
    op.state = crate::model::op::OpState::Vnf(crate::model::op::VnfOpState::Processing);
    a.put(&op);
    let e = backup(&a, Level::Records, P).expect_err("under way");
    assert!(e.kind() == Kind::Conflict && e.detail().contains(&op.id.to_string()), "{e}");
    backup(&a, Level::Configuration, P).expect("of that nothing is in it");
}

/// Until the daemon is up by it, a configuration's file can be taken back; and then no more.
#[test]
fn a_configuration_that_the_daemon_does_not_come_up_by_gives_way_to_the_one_of_before() {
    let a = lived_in();
    let why = Fault::transient("cannot listen on 192.0.2.1:9443");
    for (had, proves) in [(true, false), (false, false), (true, true)] {
        let mut b = other();
        let (root, config) = (b.core().vnfm().layout().root().to_owned(), b.store_dir().with_file_name("bothy.toml"));
        let config = Utf8PathBuf::from_path_buf(config).expect("UTF-8");
        if had {
            fs::write(&config, "# its own\n").expect("written");
        }
        let bytes = configuration_as_of(&a, &b);
        let r = Restores::new(parts(&b), house(&b));
        r.stage(&bytes[..], P).expect("staged");
        let wish = Wish { maps: vec![("ens1f0".into(), "enp9s0".into())], ..Wish::default() };
        let token = r.plan(&wish).expect("planned").token;
        r.order(&wish, &token, true, "eve\nidentity 1").expect("ordered");
        drop(r);
        b.stop();
        assert!(!restore::unfit(&root, Some(&config), &why).expect("asked"), "what is ordered is seen through first");
        assert!(restore::finish(&root, b.store_dir(), Some(&config), (&root.join("c"), &root.join("k"))).expect("done"));
        assert!(!root.join("c").exists(), "a name with a line in it orders nothing");
        let restored = fs::read_to_string(&config).expect("there");
        assert!(restored.contains("enp9s0"));
        if proves {
            restore::proven(&root).expect("written");
        }
        // What may pass has some starts to do so.
        let tries: Vec<bool> = (0..5).map(|_| restore::unfit(&root, Some(&config), &why).expect("asked")).collect();
        assert_eq!(tries, [false, false, false, false, !proves]);
        let now = fs::read_to_string(&config).ok();
        assert_eq!(now.as_deref(), if proves { Some(restored.as_str()) } else { had.then_some("# its own\n") });
        assert!(!restore::unfit(&root, Some(&config), &why).expect("asked"), "once");
    }
}

#[test]
fn two_backups_are_not_made_at_once() {
    let a = lived_in();
    let of = Backups::new(parts(&a));
    let first = of.prepare(Level::Records, "ada").expect("made");
    assert_eq!(of.prepare(Level::Records, "eve").map(drop).expect_err("not beside it").kind(), Kind::Conflict);
    drop(first);
    of.prepare(Level::Records, "eve").expect("after it");
}

/// Whatever becomes of the copies, no guest is left standing.
#[test]
fn guests_go_on_however_the_copying_of_their_disks_ends() {
    let a = lived_in();
    for v in all::<VnfInstance>(a.store()) {
        for d in v.body.iter().flat_map(|b| &b.vnfcs).flat_map(|c| &c.disks) {
            a.sim.write_disk(d.id, format!("disk {}", d.id).as_bytes());
        }
    }
    let whole = |b: &TestBox| {
        for v in all::<VnfInstance>(b.store()) {
            for c in v.body.iter().flat_map(|b| &b.vnfcs) {
                assert_eq!(b.sim.state(c.id).expect("state"), Some(GuestState::Running));
            }
        }
    };
    let bytes = backup(&a, Level::Disks, P).expect("made");
    whole(&a);
    let found = verify(&bytes[..], P).expect("whole");
    let disks = found.entries.iter().filter(|(n, size)| n.starts_with("disks/") && *size == 41).count();
    assert_eq!(disks, found.entries.iter().filter(|(n, _)| n.starts_with("disks/")).count());
    assert!(disks >= 4, "{:?}", found.entries);
    for (method, n) in [(Method::Pause, 1), (Method::Pause, 3), (Method::LendDisk, 1), (Method::LendDisk, 3)] {
        a.sim.faults().add(Rule::next(method, Then::Fail(Kind::Transient)).nth(n));
        assert_eq!(backup(&a, Level::Disks, P).expect_err("it fails").kind(), Kind::Transient, "{method:?} {n}");
        a.sim.faults().clear();
        whole(&a);
    }
    // In another data folder disks would look for their images in vain.
    let b = other();
    let e = Restores::new(parts(&b), house(&b)).stage(&bytes[..], P).expect_err("elsewhere");
    assert!(e.kind() == Kind::Conflict && e.text().contains("data_dir"), "{e}");
}

fn disks_of(b: &TestBox) -> Vec<crate::model::id::VnfcId> {
    all::<VnfInstance>(b.store()).iter().flat_map(super::guests).collect()
}

#[test]
fn a_guest_that_stands_still_for_somebody_else_is_in_no_backup_and_stays_so() {
    let a = lived_in();
    let guests = disks_of(&a);
    let states = || guests.iter().map(|g| a.sim.state(*g).expect("state").expect("there")).collect::<Vec<_>>();
    let held = guests[guests.len() - 1];
    a.sim.put(held, GuestState::Paused).expect("paused");
    let e = backup(&a, Level::Disks, P).expect_err("an operator has it");
    assert!(e.kind() == Kind::Conflict && e.detail().contains("stands still"), "{e}");
    assert_eq!(a.sim.state(held).expect("state"), Some(GuestState::Paused));
    assert_eq!(states().iter().filter(|s| **s == GuestState::Running).count(), guests.len() - 1);
    a.sim.put(held, GuestState::Running).expect("runs");
    let stands = a.core().vnfm().still().take([held]).expect("nobody has it");
    a.sim.faults().reset_counts();
    assert_eq!(backup(&a, Level::Disks, P).expect_err("a snapshot has it").kind(), Kind::Conflict);
    assert!(states().iter().all(|s| *s == GuestState::Running));
    drop(stands);
    backup(&a, Level::Disks, P).expect("made");
}

/// Accepted in the middle of a backup, which has guests stand still: each has them for himself.
#[test]
fn a_snapshot_beside_a_backup_is_of_one_moment_and_the_backup_is_made_again() {
    let a = lived_in();
    let guests = disks_of(&a);
    a.sim.set_delay(Method::LendDisk, std::time::Duration::from_millis(100));
    let vnf = all::<VnfInstance>(a.store()).into_iter().find(|v| v.name == "v").expect("one").id;
    std::thread::scope(|s| {
        let made = s.spawn(|| backup(&a, Level::Disks, P));
        a.until("guests stand still", || guests.iter().any(|g| a.sim.state(*g).expect("state") == Some(GuestState::Paused)));
        let snapshot = super::snapshots::empty(&a);
        let op = a.core().vnfm().take_snapshot(vnf, snapshot, &Vec::new(), "{}").expect("accepted");
        assert_eq!(made.join().expect("ended").expect_err("an operation began").kind(), Kind::Conflict);
        a.assert_state(op.id, "COMPLETED");
    });
    assert!(guests.iter().all(|g| a.sim.state(*g).expect("state") == Some(GuestState::Running)));
}

#[test]
fn a_backup_that_cannot_be_made_leaves_no_file() {
    let a = lived_in();
    let p = parts(&a);
    let part = a.store_dir().join("part");
    fs::write(&part, "in the way").expect("written");
    Backups::new(p.clone()).prepare(Level::Configuration, "ada").map(drop).expect_err("no part of it can be made");
    assert_eq!(fs::read_dir(p.layout.uploads()).expect("a folder").count(), 0);
    fs::remove_file(part).expect("removed");
    Backups::new(p.clone()).prepare(Level::Configuration, "ada").map(drop).expect("made");
    assert_eq!(fs::read_dir(p.layout.uploads()).expect("a folder").count(), 0);
}

/// The disk is full when the file of before is to be put back, or the box is cut off.
#[test]
fn a_configuration_that_cannot_be_put_back_now_is_put_back_by_a_later_start() {
    let b = other();
    let root = b.core().vnfm().layout().root().to_owned();
    let (config, notes) = (root.join("bothy.toml"), names(&root).notes);
    let why = Fault::invalid("no such port");
    fs::create_dir_all(config.join("in the way")).expect("folder");
    fs::create_dir_all(&notes).expect("folder");
    fs::write(root.join("bothy.toml.before-restore"), "# its own\n").expect("written");
    fs::write(notes.join("tried"), "kept\n").expect("written");
    restore::unfit(&root, Some(&config), &why).expect_err("it cannot be written");
    fs::remove_dir_all(&config).expect("removed");
    assert!(restore::unfit(&root, Some(&config), &why).expect("put back"));
    assert_eq!(fs::read_to_string(&config).expect("read"), "# its own\n");
    assert!(!restore::unfit(&root, Some(&config), &why).expect("asked"), "once");
}

/// What keeps the daemon down is not waited for without an end, as long as the box can still be what it was.
#[test]
fn a_restore_that_cannot_be_put_in_its_place_is_given_up_and_told() {
    let a = lived_in();
    for lasts in [true, false] {
        let mut b = other();
        let (root, config) = (b.core().vnfm().layout().root().to_owned(), b.store_dir().with_file_name("bothy.toml"));
        let config = Utf8PathBuf::from_path_buf(config).expect("UTF-8");
        fs::write(&config, "# its own\n").expect("written");
        let bytes = configuration_as_of(&a, &b);
        let r = Restores::new(parts(&b), house(&b));
        r.stage(&bytes[..], P).expect("staged");
        let wish = Wish { maps: vec![("ens1f0".into(), "enp9s0".into())], identity: true, ..Wish::default() };
        fs::create_dir_all(names(&root).files.join("tls")).expect("folder");
        for name in ["cert.pem", "key.pem"] {
            fs::write(names(&root).files.join("tls").join(name), "theirs").expect("written");
        }
        let token = r.plan(&wish).expect("planned").token;
        r.order(&wish, &token, true, "eve").expect("ordered");
        let (house, p) = (house(&b), parts(&b));
        drop(r);
        b.stop();
        let (cert, key) = (root.join("c"), root.join("k"));
        fs::write(&cert, "ours").expect("written");
        fs::create_dir_all(key.join("in the way")).expect("folder");
        let start = || restore::finish(&root, b.store_dir(), Some(&config), (&cert, &key));
        for n in 1..5 {
            let e = start().expect_err("it waits");
            assert!(e.detail().contains(&format!("try {n} of 5")), "{e}");
        }
        assert!(fs::read_to_string(&config).expect("read").contains("enp9s0"));
        if !lasts {
            fs::remove_dir_all(&key).expect("removed");
        }
        assert!(start().expect("over"));
        let now = (fs::read_to_string(&config).expect("read"), fs::read_to_string(&cert).expect("read"));
        let n = names(&root);
        assert_eq!((n.order().exists(), n.store.exists(), root.join("c.before-restore").exists()), (false, false, false));
        let told = Restores::new(p, house).condition().expect("a word");
        if lasts {
            assert_eq!(now, ("# its own\n".to_owned(), "ours".to_owned()));
            assert!(told.text.contains("given up") && !restore::is_returning(&root), "{}", told.text);
        } else {
            assert!(now.0.contains("enp9s0") && now.1 == "theirs" && told.text.contains("restored from"), "{}", told.text);
        }
        assert!(!start().expect("nothing more"));
    }
}
