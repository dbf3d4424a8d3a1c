//! Chains of a service: from a path of its descriptor to the switch, and away again.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    model::{
        chain::{Chain, Classifier, HopKind, IpProto, OnLoss, Ports},
        error::{Fault, Kind},
        id::IfName,
        nsd::{ForwardingPath, MemberCp, Nsd, PathHop},
        op::OpKind,
        vnf::Stopping,
        vnfd::{CpRole, LinkKind, Readiness, Vnfd},
    },
    node::kit::{Shape, THREE, TestBox, ask_ns, ns_box, nsd, vnfd},
    sdn::link::PortAt,
    sim::faults::{Method, Rule, Then},
    store::Durability,
    vnfm::{alter::Alter, change::ScaleTo},
};

/// With a path from `client` to `web` by `fw`, which has one arm on the plain link.
pub fn chained(mut nsd: Nsd) -> Nsd {
    let cp = |member: &str| MemberCp { member: member.into(), cp: "ext1".into() };
    let http = Classifier { id: "http".into(), proto: Some(IpProto::TCP), dst_ports: Some(Ports::one(80)), ..Classifier::default() };
    let path = ForwardingPath {
        id: "path".into(),
        vnffg: "graph".into(),
        classifiers: vec![http],
        from: cp("client"),
        hops: vec![PathHop { kind: HopKind::Transparent, entry: cp("fw"), exit: cp("fw") }],
        to: cp("web"),
        symmetric: true,
        on_loss: OnLoss::Block,
        drain_s: None,
    };
    nsd.flavours.iter_mut().for_each(|f| f.paths.push(path.clone()));
    nsd
}

fn path(n: &mut Nsd) -> &mut ForwardingPath {
    &mut n.flavours[0].paths[0]
}

#[test]
fn a_path_of_the_descriptor_is_on_the_switch_before_any_guest_and_goes_with_the_service() {
    let (b, id) = ns_box(&Shape::small());
    b.sim.faults().record();
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let calls: Vec<Method> = b.sim.faults().taken().into_iter().map(|(m, _)| m).collect();
    let first = |m: Method| calls.iter().position(|c| *c == m).expect("called");
    assert!(first(Method::EnsureChain) < first(Method::Start), "no guest speaks before");

    let chains = b.sim.chains();
    let [c] = chains.as_slice() else { panic!("{chains:?}") };
    assert_eq!((c.name.as_str(), c.from.len(), c.hops.len(), c.to.len()), ("path", 1, 1, 1));
    let hop = &c.hops[0];
    assert_eq!((hop.name.as_str(), hop.instances.len(), &hop.instances[0].entry), ("fw", 1, &hop.instances[0].exit));
    let state = b.core().vnfm().links().fabric().chain_state(c.id).expect("state");
    assert_eq!(state.hops[0].live, 1);
    // Its one arm is on no link; the ends stay on theirs.
    let ports: Vec<_> = b.sim.switch_links().into_iter().flat_map(|l| l.ports).collect();
    let at = |port: &_| ports.iter().find(|p| p.name == *port).map(|p| p.at);
    assert_eq!(at(&hop.instances[0].entry.port), Some(PortAt::Wire));
    assert_eq!([at(&c.from[0].port), at(&c.to[0].port)], [Some(PortAt::Guest); 2]);
    assert_eq!(ports.iter().filter(|p| p.at == PortAt::Wire).count(), 1);

    let op = b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_path_that_cannot_be_is_refused_with_every_reason() {
    let refusal = |vnf: &dyn Fn(&mut Vnfd), ns: &dyn Fn(&mut Nsd)| -> Option<Fault> {
        let b = TestBox::new();
        let (mut v, mut n) = (vnfd("vnf", &Shape::small()), chained(nsd("ns", &THREE)));
        vnf(&mut v);
        ns(&mut n);
        b.onboard(v);
        b.onboard_nsd(n);
        let id = b.create_ns("ns");
        let refused = b.core().nfvo.dry_instantiate(id, &ask_ns()).map(drop).err();
        b.assert_nothing_left();
        refused
    };
    let open = |v: &mut Vnfd| v.flavours[0].vdus[0].nics[1].port_security = false;
    let routed = |n: &mut Nsd| path(n).hops[0].kind = HopKind::Routed;
    assert!(refusal(&|_| (), &|_| ()).is_none());
    assert!(refusal(&open, &routed).is_none(), "a router that may forward");
    let tree = |n: &mut Nsd| n.flavours[0].links[1].profile.kind = LinkKind::Etree;
    let root = |v: &mut Vnfd| v.flavours[0].vdus[0].nics[1].role = CpRole::Root;
    let bypass = |n: &mut Nsd| {
        tree(n);
        path(n).on_loss = OnLoss::Bypass;
    };
    let routed_tree = |n: &mut Nsd| {
        tree(n);
        routed(n);
    };
    let open_root = |v: &mut Vnfd| {
        open(v);
        root(v);
    };
    assert!(refusal(&|_| (), &tree).is_none(), "a wire is on no link, so it joins leaves");
    assert!(refusal(&open_root, &routed_tree).is_none(), "roots");
    for (ns, parts) in [
        (&routed_tree as &dyn Fn(&mut Nsd), &["from its end at 'ext1' to 'ext1' of 'fw', and both are leaves", "'role: root'"][..]),
        (&bypass, &["from its end at 'ext1' to its end at 'ext1' where the functions between them are passed by"]),
    ] {
        let f = refusal(&open, ns).expect("from leaf to leaf");
        let all = format!("{f} {:?}", f.reasons());
        assert!(parts.iter().all(|p| all.contains(p)), "{all}");
    }
    let twice = |n: &mut Nsd| {
        let mut second = path(n).clone();
        second.id = "second".into();
        n.flavours[0].paths.push(second);
    };
    for (ns, parts) in [
        (&routed as &dyn Fn(&mut Nsd), &["fw", "routed", "bothy.port_security"][..]),
        (&|n: &mut Nsd| path(n).to.cp = "ext0".into(), &["different links"]),
        (&|n: &mut Nsd| path(n).hops[0].exit.cp = "nowhere".into(), &["no guest of 'fw' has 'nowhere'"]),
        (
            &|n: &mut Nsd| {
                let again = path(n).hops[0].clone();
                path(n).hops.push(again);
            },
            &["in it twice"],
        ),
        (&twice, &["chains path and second", "tcp to any port 80"]),
    ] {
        let f = refusal(&|_| (), ns).expect("refused");
        let all = format!("{f} {:?}", f.reasons());
        assert_eq!(f.kind(), Kind::Invalid, "{all}");
        for part in parts {
            assert!(all.contains(part), "no '{part}' in {all}");
        }
    }
}

#[test]
fn a_member_that_is_made_again_is_a_hop_again_and_a_restart_tells_chains_before_links() {
    let (b, id) = ns_box(&Shape::small());
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let port = |b: &TestBox| b.sim.chains()[0].hops[0].instances.last().expect("a hop").entry.port.clone();
    let before = port(&b);
    let fw = b.ns(id).members.into_iter().find(|m| m.profile == "fw").expect("fw").vnf;
    let heal = Alter::Heal { which: Vec::new(), anew: false };
    let op = b.core().nfvo.alter(id, OpKind::Heal, &[(fw, heal)], "{}").expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    assert_ne!(port(&b), before, "another guest, another port");
    let live = |b: &TestBox| b.core().vnfm().links().fabric().chain_state(b.sim.chains()[0].id).expect("state").hops[0].live;
    assert_eq!(live(&b), 1);

    b.sim.faults().record();
    b.core().vnfm().reconcile().expect("looked");
    let calls: Vec<Method> = b.sim.faults().taken().into_iter().map(|(m, _)| m).collect();
    let first = |m: Method| calls.iter().position(|c| *c == m).expect("called");
    assert!(first(Method::EnsureChain) < first(Method::EnsureSegment), "{calls:?}");
    assert_eq!(b.store().list::<Chain>().expect("read").len(), 1);
}

#[test]
fn a_function_that_holds_connections_is_not_scaled_out_within_its_chain() {
    for (kind, refused) in [
        (HopKind::Transparent, None),
        (HopKind::Stateful, Some("hop fw is stateful and has 2 instances")),
        (HopKind::Routed, Some("hop fw is routed and has 2 instances")),
    ] {
        let b = TestBox::new();
        let mut v = vnfd("vnf", &Shape { most: 3, ..Shape::small() });
        v.flavours[0].vdus[0].nics[1].port_security = false;
        b.onboard(v);
        let mut n = chained(nsd("ns", &THREE));
        path(&mut n).hops[0].kind = kind;
        b.onboard_nsd(n);
        let id = b.create_ns("ns");
        b.assert_state(b.instantiate_ns(id), "COMPLETED");
        let out = || Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 1 });
        let of = |profile: &str| b.ns(id).members.into_iter().find(|m| m.profile == profile).expect("a member").vnf;
        let scaled = b.core().nfvo.alter(id, OpKind::Scale, &[(of("fw"), out())], "{}");
        match refused {
            None => {
                b.assert_state(scaled.expect("accepted").id, "COMPLETED");
                assert_eq!(b.sim.chains()[0].hops[0].instances.len(), 2);
                // A chain of before, with more than could be made now: it may have fewer, and no more.
                let mut old = b.store().list::<Chain>().expect("chains").remove(0);
                old.hops[0].kind = HopKind::Stateful;
                b.store().write(Durability::Barrier, |tx| tx.put(&old)).expect("stored");
                assert!(b.core().nfvo.alter(id, OpKind::Scale, &[(of("fw"), out())], "{}").is_err());
                let into = Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: false, steps: 1 });
                b.assert_state(b.core().nfvo.alter(id, OpKind::Scale, &[(of("fw"), into)], "{}").expect("accepted").id, "COMPLETED");
            }
            Some(why) => {
                let f = scaled.expect_err("refused");
                assert!(f.kind() == Kind::Conflict && f.detail().contains(why), "{f:?}");
                let op = b.core().nfvo.alter(id, OpKind::Scale, &[(of("client"), out())], "{}").expect("an end may be several").id;
                b.assert_state(op, "COMPLETED");
            }
        }
    }
}

#[test]
fn a_guest_is_led_to_when_its_rule_says_it_is_ready_and_not_before() {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape { most: 3, readiness: Readiness::Tcp(80), grace_s: 600, ..Shape::small() }));
    b.onboard_nsd(chained(nsd("ns", &THREE)));
    // How often it was asked in vain; `None`: it answers.
    let asked: Arc<Mutex<Option<u32>>> = Arc::default();
    let state = asked.clone();
    b.sim.set_tcp(move |_, _| {
        let mut vain = state.lock().expect("asked");
        *vain = vain.map(|n| n + 1);
        vain.is_none()
    });
    let is_up = |up: bool| *asked.lock().expect("asked") = (!up).then_some(0);
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let led_by = || -> Vec<IfName> { b.sim.chains()[0].hops[0].instances.iter().map(|i| i.entry.port.clone()).collect() };
    let first = led_by();
    assert_eq!(first.len(), 1);
    let fw = b.ns(id).members.into_iter().find(|m| m.profile == "fw").expect("fw").vnf;
    let waits = || b.until("the guest is asked", || asked.lock().expect("asked").is_some_and(|n| n > 0));

    is_up(false);
    let more = Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 1 });
    let op = b.core().nfvo.alter(id, OpKind::Scale, &[(fw, more)], "{}").expect("accepted").id;
    waits();
    assert_eq!(led_by(), first, "the one that is ready goes on alone");
    is_up(true);
    b.assert_state(op, "COMPLETED");
    let both = led_by();
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");

    is_up(false);
    let heal = Alter::Heal { which: Vec::new(), anew: false };
    let op = b.core().nfvo.alter(id, OpKind::Heal, &[(fw, heal)], "{}").expect("accepted").id;
    waits();
    is_up(true);
    b.assert_state(op, "COMPLETED");
    // Ports that are gone may be named until it is told anew; nothing is led there.
    let healed = led_by();
    assert_eq!(healed.iter().filter(|p| !both.contains(p)).count(), 2, "{healed:?}");
    b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_guest_that_was_never_ready_is_led_to_again_when_its_operation_is_over() {
    for back in [true, false] {
        let b = TestBox::new();
        b.onboard(vnfd("vnf", &Shape { readiness: Readiness::Tcp(80), grace_s: 1, ..Shape::small() }));
        b.onboard_nsd(chained(nsd("ns", &THREE)));
        let is_up = Arc::new(AtomicBool::new(true));
        let says = is_up.clone();
        b.sim.set_tcp(move |_, _| says.load(Ordering::SeqCst));
        let id = b.create_ns("ns");
        b.assert_state(b.instantiate_ns(id), "COMPLETED");
        let led_by = || b.sim.chains()[0].hops[0].instances.len();
        assert_eq!(led_by(), 1);
        let fw = b.ns(id).members.into_iter().find(|m| m.profile == "fw").expect("fw").vnf;
        is_up.store(false, Ordering::SeqCst);
        let op = b.core().vnfm().reboot(fw, &[], Stopping::AtOnce, "{}".into()).expect("accepted").id;
        b.assert_state(op, "FAILED_TEMP");
        assert_eq!(led_by(), 0);
        if back {
            b.core().nfvo.rollback(op).expect("accepted");
            b.assert_state(op, "ROLLED_BACK");
        } else {
            b.core().nfvo.fail(op).expect("accepted");
            b.assert_state(op, "FAILED");
        }
        b.until("it is led to again", || led_by() == 1);
    }
}

#[test]
fn a_chain_that_the_switch_refuses_keeps_no_guest_from_its_start() {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape { readiness: Readiness::Tcp(80), grace_s: 60, ..Shape::small() }));
    b.onboard_nsd(chained(nsd("ns", &THREE)));
    b.sim.set_tcp(|_, _| true);
    let id = b.create_ns("ns");
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let fw = b.ns(id).members.into_iter().find(|m| m.profile == "fw").expect("fw").vnf;
    b.sim.faults().add(Rule::next(Method::EnsureChain, Then::Fail(Kind::Bug)).times(u64::MAX));
    let op = b.core().vnfm().reboot(fw, &[], Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
}
