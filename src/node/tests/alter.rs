//! Scaling and healing: what is there afterwards, what stays as it was, and what is refused.

use std::collections::BTreeSet;

use super::guests;
use crate::{
    model::{
        error::Kind,
        id::VnfcId,
        size::MiB,
        vnf::{Body, Reservation, RunState, Stopping, Vnfc},
        vnfd::{Aspect, Flavour, Level, Vdu},
    },
    node::kit::{Shape, TestBox, vnf_box, vnfd},
    sim::SimConfig,
    vim::port::{GuestState, HostCapacity, Hypervisor},
    vnfm::{
        alter::Alter,
        change::{ScaleTo, goal},
    },
};

fn steps(out: bool, steps: u32) -> Alter {
    Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out, steps })
}

fn shape() -> Shape {
    Shape { most: 4, volume: true, ..Shape::default() }
}

/// (VDU, number, hostname, MACs and addresses) of each guest.
fn identity(b: &Body) -> BTreeSet<String> {
    let of = |c: &Vnfc| {
        let nics: Vec<String> = c.ports.iter().map(|p| format!("{} {} {:?}", p.cp, p.mac, p.addresses)).collect();
        format!("{} {} {} {nics:?}", c.vdu, c.index, c.hostname)
    };
    b.vnfcs.iter().map(of).collect()
}

#[test]
fn a_vnf_grows_by_steps_shrinks_from_the_highest_number_and_gives_all_back() {
    let (b, id) = vnf_box(&shape());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let vnfm = || b.core().vnfm();
    let reserved = || b.store().require::<Reservation>(&id).expect("reserved");
    let (small, start) = (reserved(), b.sim.leftovers());
    b.assert_state(vnfm().alter(id, &steps(true, 2), "{}").expect("accepted").id, "COMPLETED");
    b.assert_vnf_up(id);
    let body = b.vnf(id).body.expect("a body");
    let names: Vec<_> = body.vnfcs.iter().map(|c| format!("{}/{} {}", c.vdu, c.index, c.hostname)).collect();
    assert_eq!(names, ["vdu0/0 v-vdu0", "vdu0/1 v-vdu0-1", "vdu0/2 v-vdu0-2", "vdu1/0 v-vdu1"]);
    let addresses: Vec<_> = body.vnfcs.iter().flat_map(|c| &c.ports).flat_map(|p| &p.addresses).collect();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len(), "no address twice");
    assert_eq!((body.scale.as_slice(), body.level.as_str()), ([("more".into(), 2)].as_slice(), "default"));
    assert_eq!(reserved().vcpus, small.vcpus + 2);

    b.assert_state(vnfm().alter(id, &steps(false, 1), "{}").expect("accepted").id, "COMPLETED");
    let left: Vec<_> = b.vnf(id).body.iter().flat_map(|b| &b.vnfcs).map(|c| (c.vdu.to_string(), c.index)).collect();
    assert_eq!(left, [("vdu0".to_owned(), 0), ("vdu0".to_owned(), 1), ("vdu1".to_owned(), 0)]);
    // To a level: the last of them goes; and to the level it is at already: nothing does.
    for _ in 0..2 {
        let to = Alter::Scale(ScaleTo::Level("default".into()));
        b.assert_state(vnfm().alter(id, &to, "{}").expect("accepted").id, "COMPLETED");
        assert_eq!((b.sim.leftovers(), reserved()), (start.clone(), small.clone()));
    }
    for (what, says) in
        [(steps(true, 9), "at level 0 of at most 4"), (steps(true, 4), "5 guests, and it has 1 to 4"), (steps(false, 1), "not possible")]
    {
        let e = vnfm().alter(id, &what, "{}").expect_err(says);
        assert!(e.kind() == Kind::Conflict && e.to_string().contains(says), "{e}");
    }
    b.assert_state(vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
    assert_eq!(vnfm().alter(id, &steps(true, 1), "{}").expect_err("gone").kind(), Kind::Conflict);
}

#[test]
fn growth_without_room_is_rolled_back_from_starting_and_changes_nothing() {
    let mut host = SimConfig { capacity: HostCapacity { cpus: 64, memory: MiB(500) }, ..SimConfig::default() };
    host.hardware.nodes.iter_mut().for_each(|n| n.hugepages.clear());
    let b = TestBox::of(host);
    b.onboard(vnfd("vnf", &Shape { most: 9, ..Shape::small() }));
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let (before, there) = (b.vnf(id).body, b.sim.leftovers());
    let op = b.core().vnfm().alter(id, &steps(true, 5), "{}").expect("accepted");
    assert_eq!(op.state.name(), "ROLLED_BACK");
    assert_eq!(op.error.expect("reasons").reasons, ["VNF v: memory: 805 MiB wanted, 339 of 500 MiB free"]);
    assert_eq!((b.vnf(id).body, b.vnf(id).op, b.sim.leftovers()), (before, None, there));
}

#[test]
fn a_healed_guest_is_another_with_the_same_name_addresses_and_volumes() {
    for (run, anew) in [(RunState::Started, false), (RunState::Stopped, true)] {
        let (b, id) = vnf_box(&shape());
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let vnfm = || b.core().vnfm();
        if run == RunState::Stopped {
            b.assert_state(vnfm().operate(id, run, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        }
        let reserved = b.store().require::<Reservation>(&id).expect("reserved");
        let before = b.vnf(id).body.expect("a body");
        let (sick, well) = (&before.vnfcs[0], before.vnfcs[1].id);
        let heal = Alter::Heal { which: vec![sick.id], anew };
        b.assert_state(vnfm().alter(id, &heal, "{}").expect("accepted").id, "COMPLETED");
        let after = b.vnf(id).body.expect("a body");
        assert_eq!(identity(&after), identity(&before));
        assert!(after.vnfc(sick.id).is_none() && after.vnfc(well).is_some());
        let new = after.vnfcs.iter().find(|c| c.vdu == sick.vdu).expect("the new one");
        let same: Vec<bool> = new.disks.iter().zip(&sick.disks).map(|(a, b)| a.id == b.id).collect();
        assert_eq!(same, [false, !anew], "the root disk is made again, the volume only on request");
        let state = if run == RunState::Started { GuestState::Running } else { GuestState::Off };
        assert_eq!(guests(&b.vnf(id)).iter().map(|g| b.sim.state(*g).expect("state")).collect::<Vec<_>>(), [Some(state), Some(state)]);
        assert_eq!(b.store().require::<Reservation>(&id).expect("reserved"), reserved);
        let e = vnfm().alter(id, &heal, "{}").expect_err("it is gone");
        assert!(e.kind() == Kind::Invalid && e.to_string().contains(&well.to_string()), "{e}");
        b.assert_state(vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        b.assert_nothing_left();
    }
}

/// VDUs `a` (1 to 9) and `b` (0 to 4); aspect `w` adds 1 a, then 2 a and 1 b each.
fn flavour() -> Flavour {
    let shape = Shape { vdus: 2, ..Shape::default() };
    let mut f = vnfd("v", &shape).flavours.remove(0);
    let names = ["a", "b"];
    for (v, (name, (least, most))) in f.vdus.iter_mut().zip(names.iter().zip([(1, 9), (0, 4)])) {
        *v = Vdu { id: (*name).into(), min_instances: least, max_instances: most, ..v.clone() };
    }
    f.aspects = vec![Aspect {
        id: "w".into(),
        name: "w".into(),
        max_level: 4,
        deltas: vec![vec![("a".into(), 1)], vec![("a".into(), 2), ("b".into(), 1)]],
    }];
    let level = |id: &str, a, b, w| Level {
        id: id.into(),
        description: "".into(),
        counts: vec![("a".into(), a), ("b".into(), b)],
        scale: vec![("w".into(), w)],
    };
    f.levels = vec![level("small", 1, 0, 0), level("big", 4, 1, 2)];
    f
}

fn body(a: u32, b: u32, w: u32) -> Body {
    let c = |vdu: &str, index| Vnfc {
        id: VnfcId(uuid::Uuid::from_u128(u128::from(index))),
        vdu: vdu.into(),
        index,
        hostname: "h".into(),
        vcpus: 1,
        memory: MiB(1),
        disks: Vec::new(),
        ports: Vec::new(),
        medium: false,
        graceful_stop_s: None,
    };
    Body {
        flavour: "df".into(),
        level: "small".into(),
        scale: vec![("w".into(), w)],
        run: RunState::Started,
        vnfcs: (0..a).map(|i| c("a", i)).chain((0..b).map(|i| c("b", i))).collect(),
        links: Vec::new(),
        own_segments: Vec::new(),
        ext_cps: Vec::new(),
        params: Default::default(),
        ssh_keys: Vec::new(),
    }
}

#[test]
fn steps_and_levels_add_up_to_counts_and_what_cannot_be_says_why() {
    let f = flavour();
    let by = |out, steps| ScaleTo::Steps { aspect: "w".into(), out, steps };
    let to = |n| ScaleTo::Aspects(vec![("w".into(), n)]);
    for (now, ask, want) in [
        (body(1, 0, 0), by(true, 1), Ok((2, 0, 1))),
        (body(1, 0, 0), by(true, 3), Ok((6, 2, 3))),
        (body(6, 2, 3), by(false, 2), Ok((2, 0, 1))),
        (body(6, 2, 3), to(0), Ok((1, 0, 0))),
        (body(2, 0, 1), to(2), Ok((4, 1, 2))),
        (body(1, 0, 0), ScaleTo::Level("big".into()), Ok((4, 1, 2))),
        (body(4, 1, 2), ScaleTo::Level("small".into()), Ok((1, 0, 0))),
        (body(1, 0, 0), by(false, 1), Err("aspect w is at level 0: 1 steps in are not possible")),
        (body(4, 1, 2), by(true, 3), Err("aspect w is at level 2 of at most 4: level 5 cannot be reached")),
        (body(7, 4, 3), by(true, 1), Err("VDU b: 5 guests, and it has 0 to 4")),
        (body(1, 0, 0), ScaleTo::Level("huge".into()), Err("no instantiation level 'huge'; it has small, big")),
        (body(1, 0, 0), ScaleTo::Aspects(vec![("x".into(), 1)]), Err("no scaling aspect 'x'; it has w")),
    ] {
        let got = goal(&f, &now, &ask);
        match (got, want) {
            (Ok(g), Ok((a, b, w))) => {
                assert_eq!((g.counts["a"], g.counts["b"], g.scale[0].1), (a, b, w), "{ask:?}");
            }
            (Err(e), Err(says)) => assert!(e.to_string().contains(says), "{ask:?}: {e}"),
            (got, want) => panic!("{ask:?}: {got:?} instead of {want:?}"),
        }
    }
}
