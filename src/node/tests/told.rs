//! What a request is told before anything begins: that guests crawl here, that a first-boot medium cannot be made, how
//! long its guests get to stop.

use crate::{
    model::{
        error::Kind,
        op::{OpKind, Operation},
        param::Param,
        step::{Step, VnfStep},
        vnf::{RunState, Stopping, VnfInstance},
        vnfd::{Day0Source, Vnfd},
    },
    node::kit::{Shape, THREE, TestBox, ask_ns, ask_vnf, elastic, nsd, vnf_box, vnfd},
    sim::SimConfig,
    store::Table,
    vim::port::Accel,
    vnfm::alter::Alter,
};

/// Everything that a client does with a VNF of its own and with a service, and back.
fn live(b: &TestBox) -> [Vec<String>; 2] {
    b.onboard(vnfd("vnf", &Shape::small()));
    let (vnfm, nfvo) = (b.core().vnfm(), &b.core().nfvo);
    let id = b.create_vnf("vnf");
    let dry = vnfm.dry_instantiate(id, &ask_vnf()).expect("a plan").warnings;
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let rename = |v: &mut VnfInstance| {
        v.description = "other".into();
        Ok(())
    };
    vnfm.modify(id, "{}", rename).expect("modified");
    b.assert_state(vnfm.operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_state(vnfm.operate(id, RunState::Started, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_state(vnfm.reboot(id, &[], Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_state(vnfm.alter(id, &Alter::Heal { which: Vec::new(), anew: true }, "{}").expect("accepted").id, "COMPLETED");
    b.onboard_nsd(elastic(nsd("ns", &THREE)));
    let ns = b.create_ns("ns");
    let dry_ns = nfvo.dry_instantiate(ns, &ask_ns()).expect("a plan").plan.warnings;
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    let member = b.ns(ns).members[0].vnf;
    b.assert_state(
        nfvo.alter(ns, OpKind::Heal, &[(member, Alter::Heal { which: Vec::new(), anew: true })], "{}").expect("accepted").id,
        "COMPLETED",
    );
    b.assert_state(nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_state(vnfm.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    [dry, dry_ns]
}

#[test]
fn every_operation_on_a_box_without_kvm_says_so_and_none_on_another() {
    for (accel, told) in [(Accel::Tcg, true), (Accel::Kvm, false)] {
        let b = TestBox::of(SimConfig { accel, ..SimConfig::default() });
        let dry = live(&b);
        let all: Vec<Operation> = b.store().list().expect("operations");
        // Seven of the VNF's, three of the service's, and those of its members.
        assert!(all.len() >= 7 + 3 + 7, "{}", all.len());
        let ops = all.into_iter().map(|op| (format!("{} of {:?}", op.kind.name(), op.target), op.warnings));
        for (what, warnings) in ops.chain(dry.map(|w| ("a dry run".to_owned(), w))) {
            let says = warnings.iter().filter(|w| w.contains("without KVM")).count();
            assert_eq!(says, usize::from(told), "{what}: {warnings:?}");
        }
    }
}

/// The VNFD whose template names a variable that nobody gives.
fn wanting(id: &str) -> Vnfd {
    let mut v = vnfd(id, &Shape { day0: true, ..Shape::small() });
    for d in v.flavours.iter_mut().flat_map(|f| &mut f.vdus).filter_map(|v| v.day0.as_mut()) {
        d.files[0].source = Day0Source::Inline("#cloud-config\npassword: {{ params.site }} {{ secrets.door }}\n".into());
    }
    v
}

#[test]
fn a_first_boot_medium_that_cannot_be_made_is_refused_before_anything_is_accepted() {
    let b = TestBox::new();
    b.onboard(wanting("vnf"));
    b.onboard_nsd(nsd("ns", &THREE));
    let (id, ns) = (b.create_vnf("vnf"), b.create_ns("ns"));
    let (vnfm, nfvo) = (b.core().vnfm(), &b.core().nfvo);
    let refusals = [
        ("dry VNF", vnfm.dry_instantiate(id, &ask_vnf()).map(drop), 1),
        ("VNF", vnfm.instantiate(id, &ask_vnf()).map(drop), 1),
        ("dry NS", nfvo.dry_instantiate(ns, &ask_ns()).map(drop), 3),
        ("NS", nfvo.instantiate(ns, &ask_ns()).map(drop), 3),
    ];
    for (what, refused, guests) in refusals {
        let f = refused.expect_err(what);
        assert_eq!((f.kind(), f.record().reasons.len()), (Kind::Invalid, guests), "{what}: {f:?}");
        assert!(f.record().reasons.iter().all(|r| r.contains("VNF ") && r.contains("user-data") && r.contains("site")), "{what}: {f:?}");
    }
    assert_eq!(b.store().count(Table::Operation).expect("count"), 0);
    b.assert_nothing_left();
    // With what was missing it goes through.
    vnfm.set_secret(b.vnf(id).project, "door".into(), "sesame").expect("kept");
    let mut ask = ask_vnf();
    ask.params = vec![("site".into(), Param::Text("north".into()))];
    b.assert_state(vnfm.instantiate(id, &ask).expect("accepted").id, "COMPLETED");
    let guest = b.vnf(id).body.expect("a body").vnfcs[0].id;
    let medium = b.sim.medium(guest).expect("a medium");
    assert!(medium.iter().any(|(_, c)| c.ends_with(b"password: north sesame\n")));
}

#[test]
fn a_stop_takes_the_requests_time_else_the_descriptors_else_the_usual() {
    // (the descriptor's, what the request says, what the guests get)
    let table = [
        (Some(120), Stopping::Within(300), Some(300)),
        (Some(120), Stopping::Within(5), Some(5)),
        (Some(120), Stopping::Usual(60), Some(120)),
        (Some(5), Stopping::Usual(60), Some(5)),
        (None, Stopping::Usual(60), Some(60)),
        (None, Stopping::Within(300), Some(300)),
        (Some(120), Stopping::AtOnce, None),
    ];
    for (described, stopping, want) in table {
        let (b, id) = vnf_box(&Shape::small());
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        let mut v = b.vnf(id);
        v.body.iter_mut().flat_map(|b| &mut b.vnfcs).for_each(|c| c.graceful_stop_s = described);
        b.put::<VnfInstance>(&v);
        let vnfm = b.core().vnfm();
        let stop = vnfm.operate(id, RunState::Stopped, stopping, "{}".into()).expect("accepted").id;
        b.assert_state(stop, "COMPLETED");
        let gone = vnfm.terminate(id, stopping, "{}".into()).expect("accepted").id;
        b.assert_state(gone, "COMPLETED");
        for op in [stop, gone] {
            let got: Vec<_> = b
                .steps(op)
                .into_iter()
                .filter_map(|s| match s.step {
                    Step::Vnf(VnfStep::Stop { graceful_s, .. }) => Some(graceful_s),
                    _ => None,
                })
                .collect();
            assert_eq!(got, [want], "{described:?}, {stopping:?}");
        }
    }
}
