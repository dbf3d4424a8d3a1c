//! CHANGE_FLAVOUR over `Sim`: guests that stay change in place, others come and go, and until the last of them is there
//! everything can go back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{guests, snapshots};
use crate::{
    access::manage::default_project,
    lcm::port::{Outcome, Runner, StepCx},
    model::{
        access::{Project, Quota},
        epa::{Epa, PinPolicy},
        error::Kind,
        id::{ProjectId, VnfId},
        op::{OpKind, Operation},
        package::VnfPackage,
        place::Held,
        segment::Segment,
        size::MiB,
        step::{Effect, Step, VnfStep},
        time::Stamp,
        vnf::{Body, Remake, Reservation, RunState, Stopping, Vnfc},
        vnfd::{CpLink, Disk, DiskBus, ExtCp, ExtCpThrough, Flavour, IntLink, Level, LinkProfile, Vdu, VduCp, Vnfd},
    },
    nfvo::runner::Steps,
    node::kit::{Shape, TestBox, vnfd},
    sdn::port::Datapath,
    sim::{
        SimConfig,
        faults::{Method, Rule, Target, Then},
    },
    store::Durability,
    vim::{
        capacity::reservation,
        port::{GuestState, HostCapacity, Hypervisor, Images},
    },
    vnfm::{
        alter::Alter,
        change::ScaleTo,
        remake::{ChangeFlavour, With},
    },
};

/// `df` has the guests vdu0 (with the volume `data`, and a NIC on the link `spare`), vdu1 and vdu2. In `big`, vdu0 is larger
/// and has a larger `data`, another disk, a NIC on a link of its own in the place of that on `spare`, and another medium;
/// vdu1 is gone, vdu2 is the same, and vdu9 is new. Level `pair` of it has two of vdu0.
pub fn two_flavours() -> Vnfd {
    let mut d = vnfd("vnf", &Shape { vdus: 3, volume: true, ..Shape::default() });
    let link = |id: &str| IntLink { id: id.into(), description: "".into(), profile: LinkProfile::default() };
    let small = &mut d.flavours[0];
    let on = |v: &Vdu, link: &str| VduCp { id: link.into(), link: CpLink::Internal(link.into()), ..v.nics[0].clone() };
    small.links.push(link("spare"));
    let spare = on(&small.vdus[0], "spare");
    small.vdus[0].nics.push(spare);
    let mut big = Flavour { id: "big".into(), ..small.clone() };
    big.links = vec![link("int"), link("side")];
    let mut first = small.vdus[0].clone();
    (first.vcpus, first.memory, first.max_instances) = (2, MiB(128), 2);
    first.disks[1].size = MiB(48);
    first.disks.push(Disk { id: "log".into(), size: MiB(16), image: None, bus: DiskBus::Virtio });
    first.nics.retain(|n| n.id != "spare" && n.id != "nic1");
    first.nics.push(on(&first, "side"));
    first.nics.push(VduCp { id: "nic2".into(), link: CpLink::External("ext2".into()), ..first.nics[0].clone() });
    if let Some(day0) = &mut first.day0 {
        day0.files[0].path = "meta-data".into();
    }
    let mut new = small.vdus[1].clone();
    new.id = "vdu9".into();
    big.vdus = vec![first, small.vdus[2].clone(), new];
    big.ext_cps.retain(|e| e.id != "ext1");
    let through = ExtCpThrough::VduCp { vdu: "vdu0".into(), cp: "nic2".into() };
    big.ext_cps.push(ExtCp { id: "ext2".into(), requirement: "ext2".into(), through, ..small.ext_cps[0].clone() });
    let level = |id: &str, n| Level {
        id: id.into(),
        description: "".into(),
        counts: vec![("vdu0".into(), n), ("vdu2".into(), 1), ("vdu9".into(), 1)],
        scale: vec![("more".into(), n - 1)],
    };
    big.levels = vec![level("default", 1), level("pair", 2)];
    d.flavours.push(big);
    d
}

pub fn standing() -> (TestBox, VnfId) {
    with(two_flavours(), SimConfig::default())
}

fn with(d: Vnfd, config: SimConfig) -> (TestBox, VnfId) {
    let b = TestBox::of(config);
    b.onboard(d);
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    snapshots::write(&b, id, "kept");
    (b, id)
}

pub fn to(flavour: &str, level: Option<&str>) -> ChangeFlavour {
    let with = With { request: "{}".into(), ..With::default() };
    ChangeFlavour { flavour: flavour.into(), level: level.map(Into::into), with }
}

fn body(b: &TestBox, id: VnfId) -> Body {
    b.vnf(id).body.expect("a body")
}

fn guest(b: &TestBox, id: VnfId, vdu: &str) -> Vnfc {
    body(b, id).vnfcs.into_iter().find(|c| c.vdu == vdu).expect("a guest")
}

fn names(of: &Body) -> Vec<String> {
    of.vnfcs.iter().map(|c| format!("{}/{}", c.vdu, c.index)).collect()
}

fn reserved(b: &TestBox, id: VnfId) -> Reservation {
    b.store().require(&id).expect("reserved")
}

/// The VNF is of this flavour and nothing of the other is left, in the records, on the disks and on the switch. `grown`: its
/// `data` has been enlarged.
pub fn assert_is(b: &TestBox, id: VnfId, flavour: &str, grown: bool) {
    assert_eq!(body(b, id).flavour, flavour, "{}", b.picture());
    assert_shape(b, id, flavour == "big", grown, &["root", "data"]);
}

/// The same, whatever its flavour is called. `kept`: disks of the first guest that hold what was written.
pub fn assert_shape(b: &TestBox, id: VnfId, big: bool, grown: bool, kept: &[&str]) {
    let v = b.vnf(id);
    let body = v.body.clone().expect("a body");
    if body.run == RunState::Started {
        b.assert_vnf_up(id);
    }
    assert_eq!(v.op, None, "{}", b.picture());
    let text = names(&body).join(" ");
    let (all, nics, disks) = match (big, body.level.as_str()) {
        (true, "pair") => ("vdu0/0 vdu0/1 vdu2/0 vdu9/0", 4, "root data log"),
        (true, _) => ("vdu0/0 vdu2/0 vdu9/0", 4, "root data log"),
        (false, _) => ("vdu0/0 vdu1/0 vdu2/0", 4, "root data"),
    };
    assert_eq!(text, all, "{}", b.picture());
    let first = guest(b, id, "vdu0");
    let had: Vec<&str> = first.disks.iter().map(|d| d.storage.as_str()).collect();
    assert_eq!((first.ports.len(), had.join(" ").as_str()), (nics, disks), "{}", b.picture());
    assert_eq!((first.vcpus, first.memory), if big { (2, MiB(128)) } else { (1, MiB(64)) });
    let domain = b.sim.domain(first.id).expect("defined");
    assert_eq!((domain.vcpus, domain.memory), (first.vcpus, first.memory), "{}", b.picture());
    assert_eq!(first.disks[1].size, MiB(if grown { 48 } else { 32 }));
    let file = b.sim.medium(first.id).expect("a medium").remove(0).0;
    assert_eq!(file, if big { "meta-data" } else { "user-data" }, "{}", b.picture());
    let held = snapshots::read(b, id);
    for d in ["root", "data"] {
        assert_eq!(held[&format!("vdu0/0 {d}")] == "kept", kept.contains(&d), "{held:?}\n{}", b.picture());
    }

    let on_host: usize = b.sim.disks().expect("disks").len();
    assert_eq!(on_host, body.vnfcs.iter().map(|c| c.disks.len()).sum::<usize>(), "{}", b.picture());
    assert_eq!(b.sim.list().expect("list").len(), body.vnfcs.len(), "{}", b.picture());
    assert_eq!(b.sim.media().expect("media").len(), body.vnfcs.iter().filter(|c| c.medium).count());
    let links: Vec<&str> = body.links.iter().map(|(l, _)| l.as_str()).collect();
    assert_eq!(links, if big { ["int", "side"] } else { ["int", "spare"] });
    let cps: Vec<&str> = body.ext_cps.iter().map(|e| e.cpd.as_str()).collect();
    assert_eq!(cps, if big { ["ext0", "ext2"] } else { ["ext0", "ext1"] });
    let segments = b.store().list::<Segment>().expect("list");
    assert_eq!(segments.len(), body.own_segments.len(), "{}", b.picture());
    assert!(segments.iter().all(|s| body.own_segments.contains(&s.id) && body.is_on(s.id)), "{}", b.picture());
    let mut stations: Vec<_> = segments.iter().flat_map(|s| s.stations.iter().map(|st| (s.id, st.port))).collect();
    let mut ports: Vec<_> = body.ports().map(|p| (p.segment, p.id)).collect();
    stations.sort();
    ports.sort();
    assert_eq!(stations, ports, "each port has its station and no other has one\n{}", b.picture());
    let sum = reservation(id, ProjectId::DEFAULT, &body.vnfcs.iter().collect::<Vec<_>>(), reserved(b, id).placed);
    assert_eq!(reserved(b, id), sum);
    assert!(b.store().get::<Remake>(&id).expect("read").is_none());
}

fn change(b: &TestBox, id: VnfId, ask: &ChangeFlavour, state: &str) -> Operation {
    b.assert_state(b.core().vnfm().change_flavour(id, ask).expect("accepted").id, state)
}

fn terminate(b: &TestBox, id: VnfId) {
    b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn guests_change_in_place_come_and_go_and_the_way_back_is_another_change() {
    let (b, id) = standing();
    assert_is(&b, id, "df", false);
    let (first, same) = (guest(&b, id, "vdu0"), guest(&b, id, "vdu2"));
    let before = b.vnf(id);
    let dry = b.core().vnfm().dry_change_flavour(id, &to("big", None)).expect("a plan");
    assert_eq!((b.vnf(id), names(&dry.body).join(" ").as_str()), (before, "vdu0/0 vdu2/0 vdu9/0"), "a dry run touches nothing");
    assert_eq!(dry.steps.last().map(|s| s.step.effect()), Some(Effect::Sheds));
    b.sim.faults().record();
    let op = change(&b, id, &to("big", None), "COMPLETED");
    let touched = b.sim.faults().taken();
    assert_eq!(op.kind, OpKind::ChangeFlavour);
    assert_is(&b, id, "big", true);
    let now = guest(&b, id, "vdu0");
    assert_eq!((now.id, &now.hostname, &now.disks[0].id), (first.id, &first.hostname, &first.disks[0].id));
    let port = |c: &Vnfc| c.ports.iter().find(|p| p.cp == "nic0").cloned();
    assert_eq!(port(&now), port(&first), "a NIC that stays is the same, with its addresses");
    let of = |g: &Vnfc| touched.iter().filter(|(m, t)| m.changes() && *t == Target::Guest(g.id)).count();
    assert_eq!(of(&same), 0, "a guest that is the same in both flavours is left alone");
    assert!(of(&now) > 0);

    let back = change(&b, id, &to("df", None), "COMPLETED");
    assert!(back.warnings.iter().any(|w| w.contains("disk data keeps its 48 MiB")), "{:?}", back.warnings);
    assert_is(&b, id, "df", true);
    terminate(&b, id);
}

#[test]
fn a_level_of_the_new_flavour_says_how_many_there_are_and_scaling_goes_on_from_it() {
    let (b, id) = standing();
    change(&b, id, &to("big", Some("pair")), "COMPLETED");
    assert_is(&b, id, "big", true);
    assert_eq!(body(&b, id).scale, [("more".into(), 1)]);
    let to_one = Alter::Scale(ScaleTo::Level("default".into()));
    b.assert_state(b.core().vnfm().alter(id, &to_one, "{}").expect("accepted").id, "COMPLETED");
    assert_is(&b, id, "big", true);
    terminate(&b, id);
}

#[test]
fn a_stopped_vnf_changes_and_stays_stopped() {
    let (b, id) = standing();
    b.assert_state(b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    change(&b, id, &to("big", None), "COMPLETED");
    assert_is(&b, id, "big", true);
    for g in guests(&b.vnf(id)) {
        assert_eq!(b.sim.state(g).expect("state"), Some(GuestState::Off));
    }
    b.sim.faults().add(Rule::next(Method::Remove, Then::Fail(Kind::Conflict)));
    let op = change(&b, id, &to("df", None), "FAILED_TEMP").id;
    let why = b.core().nfvo.rollback(op).expect_err("something of it may be gone");
    assert!(why.to_string().contains("what is removed stays removed"), "{why}");
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    assert_is(&b, id, "df", true);
    terminate(&b, id);
}

#[test]
fn what_cannot_come_along_is_refused_with_every_reason_and_changes_nothing() {
    let mut d = two_flavours();
    let big = &mut d.flavours[1];
    big.links[0].profile.mtu = Some(1400);
    big.vdus[0].disks[0].image = None;
    big.vdus[0].nics[0].port_security = false;
    big.vdus[0].nics[1].link = CpLink::Internal("side".into());
    let (b, id) = with(d, SimConfig::default());
    let vnfm = b.core().vnfm();
    let before = b.vnf(id);
    let told = |ask: &ChangeFlavour| {
        let dry = vnfm.dry_change_flavour(id, ask).expect_err("refused");
        let fault = vnfm.change_flavour(id, ask).expect_err("refused");
        assert_eq!(dry.detail(), fault.detail(), "the dry run says what the request is told");
        fault.detail()
    };
    let all = told(&to("big", None));
    for wanted in
        ["link int is another one", "disk root stands on another image", "nic0 has another port security", "inner has another link"]
    {
        assert!(all.contains(wanted), "{wanted}: {all}");
    }
    assert!(told(&to("huge", None)).contains("has no deployment flavour 'huge'; it has df, big"));
    assert!(told(&to("df", None)).contains("is of flavour df already"));
    assert!(told(&to("big", Some("odd"))).contains("no instantiation level 'odd'; it has default, pair"));
    let mut attach = to("big", None);
    attach.with.attach.insert("ext1".into(), Default::default());
    assert!(told(&attach).contains("no external connection point ext1; it has ext0, ext2"));
    assert_eq!(b.vnf(id), before);
    terminate(&b, id);
}

#[test]
fn a_box_or_a_project_without_room_refuses_and_one_that_is_only_larger_needs_the_difference() {
    let mut d = two_flavours();
    // vdu0 takes 1024 MiB and QEMU's overhead then; what it has now is given up for it.
    d.flavours[1].vdus[0].memory = MiB(1024);
    for (memory, state) in [(1500, "COMPLETED"), (1400, "ROLLED_BACK")] {
        let mut host = SimConfig { capacity: HostCapacity { cpus: 8, memory: MiB(memory) }, ..SimConfig::default() };
        host.hardware.nodes.iter_mut().for_each(|n| n.hugepages.clear());
        let (b, id) = with(d.clone(), host);
        let before = (b.vnf(id).body, reserved(&b, id));
        let op = change(&b, id, &to("big", None), state);
        if state == "COMPLETED" {
            assert_eq!(guest(&b, id, "vdu0").memory, MiB(1024));
        } else {
            assert!(op.error.expect("why").reasons.iter().any(|r| r.contains("memory")));
            assert_eq!((b.vnf(id).body, reserved(&b, id)), before);
            let dry = b.core().vnfm().dry_change_flavour(id, &to("big", None)).expect_err("no room");
            assert!(dry.detail().contains("memory"), "{}", dry.detail());
        }
        terminate(&b, id);
    }
    let (b, id) = standing();
    let quota = Quota { vcpus: Some(3), ..Quota::default() };
    b.put(&Project { quota, ..default_project(Stamp(1)) });
    let why = b.core().vnfm().change_flavour(id, &to("big", None)).expect_err("one more than it may have");
    assert!(why.detail().contains("vCPU"), "{}", why.detail());
    assert_is(&b, id, "df", false);
}

#[test]
fn a_nic_that_is_a_vhost_user_port_has_its_side_on_the_switch_there_and_back() {
    let shape = Shape { vdus: 1, vhost: true, ..Shape::default() };
    let mut d = vnfd("vnf", &shape);
    let mut big = Flavour { id: "big".into(), ..d.flavours[0].clone() };
    big.vdus[0].vcpus = 2;
    let more = big.vdus[0].nics.last().map(|n| VduCp { id: "more".into(), ..n.clone() });
    big.vdus[0].nics.extend(more);
    d.flavours.push(big);
    let (b, id) = with(d, SimConfig { datapath: Datapath::Dpdk, ..SimConfig::default() });
    let ports = |b: &TestBox| body(b, id).ports().filter(|p| b.sim.switch_port(&p.ifname).is_some()).count();
    assert_eq!(ports(&b), 1);
    for (fails, state, count) in [(true, "ROLLED_BACK", 1), (false, "COMPLETED", 2)] {
        if fails {
            b.sim.faults().add(Rule::next(Method::Start, Then::EffectThenFail(Kind::Conflict)));
        }
        let op = change(&b, id, &to("big", None), if fails { "FAILED_TEMP" } else { state }).id;
        if fails {
            b.core().nfvo.rollback(op).expect("accepted");
            b.assert_state(op, state);
        }
        b.assert_vnf_up(id);
        assert_eq!(ports(&b), count, "{}", b.picture());
    }
    terminate(&b, id);
}

/// vdu0 pinned in both flavours, with more CPUs in the second.
fn pinned() -> Vnfd {
    let mut d = two_flavours();
    for f in &mut d.flavours {
        f.vdus[0].epa = Epa { pinning: PinPolicy::Dedicated, ..Epa::default() };
    }
    d
}

#[test]
fn a_pinned_guest_gets_another_place_and_goes_back_to_the_one_it_had() {
    let (b, id) = with(pinned(), SimConfig::default());
    let placed = || -> Vec<Held> { reserved(&b, id).placed };
    let pins = |h: &Held| h.at.held_cpus().len();
    let (had, first) = (placed(), guest(&b, id, "vdu0").id);
    let defined = b.sim.domain(first).expect("defined");
    assert_eq!(had.iter().map(pins).collect::<Vec<_>>(), [1]);
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).of(first));
    let op = change(&b, id, &to("big", None), "FAILED_TEMP").id;
    assert_eq!(placed().iter().map(pins).sum::<usize>(), 3, "meanwhile it holds both places");
    b.core().nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    assert_eq!(placed(), had);
    let again = b.sim.domain(first).expect("defined");
    assert_eq!(again.placed, defined.placed, "as it was");
    change(&b, id, &to("big", None), "COMPLETED");
    assert_eq!(placed().iter().map(pins).collect::<Vec<_>>(), [2]);
    assert_is(&b, id, "big", true);
    terminate(&b, id);
}

#[test]
fn a_guest_with_a_function_stays_if_it_is_the_same_and_is_refused_by_name_if_not() {
    let (mut d, shape) = (vnfd("vnf", &Shape::with_vf()), Shape { vdus: 2, ..Shape::with_vf() });
    let mut more = Flavour { id: "more".into(), ..vnfd("vnf", &shape).flavours.remove(0) };
    more.vdus[0] = d.flavours[0].vdus[0].clone();
    let mut larger = Flavour { id: "larger".into(), ..d.flavours[0].clone() };
    larger.vdus[0].vcpus = 2;
    d.flavours.extend([more, larger]);
    let b = TestBox::new();
    b.onboard(d);
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let placed = reserved(&b, id).placed;
    let why = b.core().vnfm().change_flavour(id, &to("larger", None)).expect_err("not offered");
    assert!(why.detail().contains("guest vdu0/0: it has functions of the host's devices"), "{}", why.detail());
    change(&b, id, &to("more", None), "COMPLETED");
    b.assert_vnf_up(id);
    assert_eq!((guests(&b.vnf(id)).len(), reserved(&b, id).placed), (2, placed));
    change(&b, id, &to("df", None), "COMPLETED");
    assert_eq!(guests(&b.vnf(id)).len(), 1);
    terminate(&b, id);
}

#[test]
fn no_guest_starts_before_all_that_stop_have_stopped_and_nothing_goes_before_all_is_there() {
    let (b, id) = standing();
    let dry = b.core().vnfm().dry_change_flavour(id, &to("big", Some("pair"))).expect("a plan");
    let stops: Vec<u32> = dry.steps.iter().filter(|s| matches!(s.step, Step::Vnf(VnfStep::Stop { .. }))).map(|s| s.index).collect();
    assert_eq!(stops.len(), 2, "vdu0 and vdu1, and not vdu2");
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for s in &dry.steps {
        assert!(s.after.iter().all(|a| *a < s.index));
        match &s.step {
            Step::Vnf(VnfStep::Start(_)) => {
                assert!(stops.iter().all(|stop| s.after.contains(stop)));
                *seen.entry("starts").or_default() += 1;
            }
            Step::Vnf(VnfStep::Shed(_)) => {
                assert_eq!(s.after, (0..s.index).collect::<Vec<_>>());
                *seen.entry("sheds").or_default() += 1;
            }
            _ => {}
        }
    }
    assert_eq!((seen["starts"], seen["sheds"]), (3, 1));
}

#[test]
fn given_up_it_names_what_is_of_either_flavour_and_a_termination_takes_it_all() {
    let (b, id) = standing();
    let first = guest(&b, id, "vdu0").id;
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).of(first));
    let op = change(&b, id, &to("big", None), "FAILED_TEMP").id;
    let disks = b.sim.disks().expect("disks").len();
    b.core().nfvo.fail(op).expect("accepted");
    assert_eq!(names(&body(&b, id)).join(" "), "vdu0/0 vdu1/0 vdu2/0 vdu9/0");
    assert_eq!(body(&b, id).vnfcs.iter().map(|c| c.disks.len()).sum::<usize>(), disks);
    let found = b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!((found.orphans.len(), found.files_removed, found.quarantined.len()), (0, 0, 0), "all of it is named");
    // A guest of either size may run from now on, and the larger is what is promised.
    let all = reservation(id, ProjectId::DEFAULT, &body(&b, id).vnfcs.iter().collect::<Vec<_>>(), reserved(&b, id).placed);
    let sum = |of: &dyn Fn(&Vnfc) -> u64| body(&b, id).vnfcs.iter().map(of).sum::<u64>();
    assert_eq!((sum(&|c| c.vcpus.into()), sum(&|c| c.memory.0)), (5, 128 + 3 * 64));
    assert_eq!(reserved(&b, id), all);

    // One that is made again has the disks of the flavour that the record says, and the other's is no orphan.
    let heal = Alter::Heal { which: vec![first], anew: false };
    b.assert_state(b.core().vnfm().alter(id, &heal, "{}").expect("accepted").id, "COMPLETED");
    let names: Vec<_> = guest(&b, id, "vdu0").disks.iter().map(|d| d.storage.to_string()).collect();
    assert_eq!((names.join(" ").as_str(), b.sim.disks().expect("disks").len()), ("root data", disks - 1));
    let found = b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!((found.orphans.len(), found.files_removed), (0, 0), "all of it is named");
    terminate(&b, id);
}

#[test]
fn a_link_that_another_vnf_is_on_does_not_go() {
    let (b, id) = standing();
    let spare = body(&b, id).links.iter().find(|(l, _)| l == "spare").expect("a link").1;
    let mut s: Segment = b.store().require(&spare).expect("the link");
    let mut other = s.stations[0].clone();
    other.vnf = VnfId(uuid::Uuid::from_u128(7));
    s.stations.push(other);
    b.store().write(Durability::Barrier, |tx| tx.put(&s)).expect("written");
    let refused = b.core().vnfm().change_flavour(id, &to("big", None)).expect_err("refused");
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.to_string().contains("change_ext_conn") && refused.to_string().contains("spare"), "{refused}");
}

#[test]
fn a_crash_in_the_middle_leaves_its_guests_to_it() {
    let (mut b, id) = standing();
    b.sim.faults().add(Rule::next(Method::Start, Then::Dead));
    let op = b.core().vnfm().change_flavour(id, &to("big", None)).expect("accepted").id;
    b.until("the kill", || b.sim.faults().is_dead());
    b.kill_and_start();
    b.assert_state(op, "COMPLETED");
    assert_is(&b, id, "big", true);
    let p: VnfPackage = b.store().require(&b.vnf(id).package).expect("the package");
    assert_eq!(p.users, 1);
    b.host_reboot();
    b.start();
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").failed, []);
    assert_is(&b, id, "big", true);
    terminate(&b, id);
}

/// A crash takes what was noted last: a guest may have been started after a step that nobody knows to be done.
#[test]
fn steps_that_a_crash_forgot_are_done_again_though_their_guest_has_been_started_since() {
    let (b, id) = standing();
    let done = change(&b, id, &to("big", None), "COMPLETED");
    let (first, steps) = (guest(&b, id, "vdu0").id, b.steps(done.id));
    let runner = Steps::new(b.core().nfvo.clone());
    let op = Arc::new(done);
    let mut again = 0;
    for s in &steps {
        let Step::Vnf(VnfStep::Grow { .. } | VnfStep::Rewrite { .. } | VnfStep::Redefine { .. }) = &s.step else { continue };
        if b.sim.state(first).expect("state") != Some(GuestState::Running) {
            b.sim.start(first).expect("started");
        }
        let cx = StepCx { op: op.clone(), index: s.index, elapsed: Duration::ZERO, fresh: true };
        assert_eq!(runner.run(&cx, &s.step).expect("run"), Outcome::Done, "{}", s.step.label());
        again += 1;
    }
    assert!(again >= 3, "{again} steps");
}
