//! Services of VNFs and of physical boxes: where these are plugged in, and chains that end there.

use std::collections::BTreeSet;

use crate::{
    model::{
        chain::{Chain, ChainEnd, OutsideOf},
        error::Kind,
        id::{IfKind, NsId, PnfdInfoId, PortId, ProjectId, if_name},
        net::MacAddr,
        ns::{NsInstance, NsPnf, NsPnfCp},
        nsd::{Attach, MemberCp, Nsd, Pnf, Sap},
        op::Target,
        package::{Onboarding, PnfDescriptor},
        pnfd::{PnfExtCp, Pnfd},
        segment::{Segment, Station},
        time::Stamp,
        vnf::Stopping,
    },
    nfvo::{
        accept::InstantiateNs,
        plug::{PnfAsk, PnfEdit},
    },
    node::{
        kit::{Shape, THREE, TestBox, ask_ns, nsd, vnfd},
        tests::chains::chained,
    },
    sim::faults::{Method, Rule, Then},
    store::Durability,
};

fn pnfd(b: &TestBox) -> PnfdInfoId {
    let text = |s: &str| s.into();
    let pnfd = Pnfd {
        id: text("press-1"),
        invariant_id: text("press"),
        name: text("Press"),
        provider: text("P"),
        version: text("1"),
        function: text("presses"),
        location: None,
        ext_cps: vec![PnfExtCp {
            id: text("plug"),
            description: text(""),
            protocols: Vec::new(),
            role: None,
            requirement: Some(text("line")),
        }],
    };
    let d = PnfDescriptor {
        id: PnfdInfoId(uuid::Uuid::from_u128(77)),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        pnfd: Some(pnfd),
        pnfd_path: "p.yaml".into(),
        manifest_path: None,
        archive: None,
        files: Vec::new(),
        failure: None,
        user_data: Vec::new(),
        created: Stamp(1),
        revision: 1,
        users: 0,
    };
    b.store().write(Durability::Lazy, |tx| tx.put(&d)).expect("stored");
    d.id
}

/// The link `lan` reaches the physical network `wan`, on which a press is; the path ends at `to`.
fn hybrid(to: &str, cp: &str) -> Nsd {
    let mut n = chained(nsd("ns", &THREE));
    let f = &mut n.flavours[0];
    f.links[1].profile.physical = Some("wan".into());
    f.saps = vec![Sap { id: "plant".into(), link: "lan".into() }];
    f.pnfs = vec![Pnf {
        id: "press".into(),
        pnfd_id: "press-1".into(),
        attach: vec![Attach { ext_cp: "plug".into(), link: "lan".into(), addresses: Vec::new() }],
    }];
    f.paths[0].to = MemberCp { member: to.into(), cp: cp.into() };
    n
}

fn given(profile: &str, pnfd: &str, cp: &str) -> NsPnf {
    let cp =
        NsPnfCp { cp: cp.into(), segment: None, mac: Some(MacAddr::planned(50)), addresses: vec!["192.168.0.50".parse().expect("IP")] };
    NsPnf {
        id: "serial-4711".into(),
        name: "big press".into(),
        profile: profile.into(),
        pnfd_id: pnfd.into(),
        pnfd_info: None,
        cps: vec![cp],
    }
}

fn standing(n: Nsd) -> (TestBox, NsId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::small()));
    b.onboard_nsd(n);
    let id = b.create_ns("ns");
    (b, id)
}

#[test]
fn a_path_ends_at_the_plug_of_a_physical_box_or_at_a_sap() {
    for (to, cp, told) in [("press", "plug", true), ("press", "plug", false), ("plant", "", false)] {
        let (b, id) = standing(hybrid(to, cp));
        let info = pnfd(&b);
        let pnfs = if told { vec![given("press", "press-1", "plug")] } else { Vec::new() };
        let op = b.core().nfvo.instantiate(id, &InstantiateNs { pnfs, ..ask_ns() }).expect("accepted").id;
        b.assert_state(op, "COMPLETED");
        let ns = b.ns(id);
        let lan = ns.links.iter().find(|(l, _)| l == "lan").expect("the link").1;
        let mac = told.then(|| MacAddr::planned(50));
        let chains = b.sim.chains();
        let [end] = &chains[0].to[..] else { panic!("{chains:?}") };
        assert_eq!((&end.port, end.mac), (&if_name(IfKind::Patch, &lan.0), mac), "{to}");
        let of = if to == "plant" { OutsideOf::Sap("plant".into()) } else { OutsideOf::Pnf { pnf: "press".into(), cp: "plug".into() } };
        assert_eq!(b.store().list::<Chain>().expect("read")[0].to, [ChainEnd::Outside { of, segment: lan, mac }]);
        let [p] = &ns.pnfs[..] else { panic!("{:?}", ns.pnfs) };
        assert_eq!((p.pnfd_info, p.cps[0].segment, p.cps[0].mac), (Some(info), Some(lan), mac));
        assert_eq!((p.id.as_str(), p.name.as_str()), if told { ("serial-4711", "big press") } else { ("press", "press") });
        b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
        assert_eq!(b.ns(id).pnfs, []);
        b.assert_nothing_left();
    }
}

#[test]
fn what_is_said_of_boxes_that_are_not_there_is_refused_with_every_reason() {
    let (b, id) = standing(hybrid("press", "plug"));
    let refusal =
        |pnfs: Vec<NsPnf>| b.core().nfvo.instantiate(id, &InstantiateNs { pnfs, ..ask_ns() }).map(drop).expect_err("refused").detail();
    assert!(refusal(Vec::new()).contains("PNFD 'press-1' is not onboarded"));
    pnfd(&b);
    let all = refusal(vec![given("press", "press-2", "socket"), given("press", "press-1", "plug"), given("mill", "press-1", "plug")]);
    for part in [
        "no PNF profile 'mill'; the service has press",
        "told of more than once",
        "of PNFD 'press-1', not of 'press-2'",
        "no connection point 'socket'",
    ] {
        assert!(all.contains(part), "no {part:?} in {all}");
    }
    assert!(b.ns(id).op.is_none() && b.ns(id).pnfs.is_empty());
    // Nor are two of them one.
    let mut two = hybrid("press", "plug");
    let mill = Pnf { id: "mill".into(), ..two.flavours[0].pnfs[0].clone() };
    two.flavours[0].pnfs.push(mill);
    let (b, id) = standing(two);
    pnfd(&b);
    let pnfs = vec![given("press", "press-1", "plug"), given("mill", "press-1", "plug")];
    let f = b.core().nfvo.instantiate(id, &InstantiateNs { pnfs, ..ask_ns() }).map(drop).expect_err("refused").detail();
    assert!(f.contains("PNF mill: its id 'serial-4711' is that of PNF press too"), "{f}");
    // A SAP is outside only where its link is.
    let mut inside = hybrid("plant", "");
    inside.flavours[0].links[1].profile.physical = None;
    let (b, id) = standing(inside);
    pnfd(&b);
    let f = b.core().nfvo.instantiate(id, &ask_ns()).map(drop).expect_err("refused").detail();
    assert!(f.contains("it ends at 'plant', whose link reaches no physical network"), "{f}");
}

#[test]
fn stations_of_the_link_are_not_taken_for_somebody_outside() {
    let (b, id) = standing(hybrid("plant", ""));
    pnfd(&b);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let lan = b.ns(id).links.iter().find(|(l, _)| l == "lan").expect("the link").1;
    let beside = || b.sim.chains()[0].to[0].beside.iter().copied().collect::<BTreeSet<_>>();
    let stations = || b.store().require::<Segment>(&lan).expect("read").stations.iter().map(|s| s.mac).collect::<BTreeSet<_>>();
    assert!(stations().len() > 1);
    assert_eq!(beside(), stations());
    // Nor those that come later.
    let mut more = b.store().require::<Segment>(&lan).expect("read");
    more.stations.push(Station { mac: MacAddr::planned(77), port: PortId(uuid::Uuid::from_u128(77)), ..more.stations[0].clone() });
    b.put(&more);
    b.core().vnfm().links().ensure(lan).expect("brought");
    assert!(beside().contains(&MacAddr::planned(77)));
    assert_eq!(beside(), stations());
    // The host has no MAC that is planned: it is said, and not guessed.
    let mut n = hybrid("plant", "");
    n.flavours[0].links[1].profile.management = true;
    let (b, id) = standing(n);
    pnfd(&b);
    let f = b.core().nfvo.instantiate(id, &ask_ns()).map(drop).expect_err("refused").detail();
    assert!(f.contains("whose link the host is on too"), "{f}");
}

#[test]
fn a_service_and_its_pnfd_mean_the_same_connection_points() {
    // The PNFD's own name, and that of its requirement; in the NSD as in the request.
    for (in_nsd, in_request) in [("plug", "plug"), ("line", "line"), ("line", "plug"), ("plug", "line")] {
        let mut n = hybrid("press", in_nsd);
        n.flavours[0].pnfs[0].attach[0].ext_cp = in_nsd.into();
        let (b, id) = standing(n);
        pnfd(&b);
        let pnfs = vec![given("press", "press-1", in_request)];
        b.assert_state(b.core().nfvo.instantiate(id, &InstantiateNs { pnfs, ..ask_ns() }).expect("accepted").id, "COMPLETED");
        assert_eq!(b.sim.chains()[0].to[0].mac, Some(MacAddr::planned(50)), "{in_nsd}, {in_request}");
    }
    let mut n = hybrid("press", "socket");
    n.flavours[0].pnfs[0].attach[0].ext_cp = "socket".into();
    let (b, id) = standing(n);
    pnfd(&b);
    let f = b.core().nfvo.instantiate(id, &ask_ns()).map(drop).expect_err("refused").detail();
    assert!(f.contains("its PNFD has no connection point 'socket', which is to be on link 'lan'; it has plug"), "{f}");
}

#[test]
fn a_pnfd_that_names_no_requirements_is_used_as_an_earlier_release_did() {
    let mut n = hybrid("press", "virtual_link");
    n.flavours[0].pnfs[0].attach[0].ext_cp = "virtual_link".into();
    let (b, id) = standing(n);
    let info = pnfd(&b);
    let mut d = b.store().require::<PnfDescriptor>(&info).expect("read");
    d.pnfd.as_mut().expect("described").ext_cps[0].requirement = None;
    b.put(&d);
    let pnfs = vec![given("press", "press-1", "virtual_link")];
    b.assert_state(b.core().nfvo.instantiate(id, &InstantiateNs { pnfs, ..ask_ns() }).expect("accepted").id, "COMPLETED");
    assert_eq!(b.sim.chains()[0].to[0].mac, Some(MacAddr::planned(50)));
}

#[test]
fn a_pnfd_stays_while_a_service_uses_it() {
    let (b, id) = standing(hybrid("press", "plug"));
    let info = pnfd(&b);
    let users = || b.store().require::<PnfDescriptor>(&info).expect("read").users;
    let delete = || b.core().nfvo.delete::<PnfDescriptor>(info, |_| Ok(()));
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    assert_eq!((users(), delete().map_err(|f| f.kind())), (1, Err(Kind::Conflict)));
    // Counted from the services, whatever a store from before says.
    b.put(&PnfDescriptor { users: 7, ..b.store().require(&info).expect("read") });
    b.core().nfvo.count_pnfs().expect("counted");
    assert_eq!(users(), 1);
    b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    assert_eq!(users(), 0);
    // Archives are swept afterwards, where there are any.
    let archives = b.core().vnfm().layout().artifact(&[0; 32]);
    std::fs::create_dir_all(archives.parent().expect("a folder")).expect("made");
    delete().expect("nobody uses it");
    b.assert_nothing_left();
}

#[test]
fn a_service_that_failed_with_its_boxes_lets_their_pnfd_go_when_it_is_deleted() {
    let (b, id) = standing(hybrid("press", "plug"));
    let info = pnfd(&b);
    let users = || b.store().require::<PnfDescriptor>(&info).expect("read").users;
    b.put(&NsInstance { pnfs: vec![NsPnf { pnfd_info: Some(info), ..given("press", "press-1", "plug") }], ..b.ns(id) });
    b.core().nfvo.count_pnfs().expect("counted");
    assert_eq!(users(), 1);
    b.core().nfvo.delete_ns(id, |_| Ok(())).expect("deleted");
    assert_eq!(users(), 0);
}

fn edit(id: &str, name: Option<&str>, cps: &[(&str, u32)]) -> PnfAsk {
    let cp =
        |(cp, mac): &(&str, u32)| NsPnfCp { cp: (*cp).into(), segment: None, mac: Some(MacAddr::planned(*mac)), addresses: Vec::new() };
    PnfAsk::Modify(vec![PnfEdit { id: id.into(), name: name.map(Into::into), cps: cps.iter().map(cp).collect() }])
}

#[test]
fn another_box_in_the_same_place_is_told_of_and_its_chain_leads_there() {
    let (b, id) = standing(hybrid("press", "plug"));
    pnfd(&b);
    let pnfs = vec![given("press", "press-1", "plug")];
    b.assert_state(b.core().nfvo.instantiate(id, &InstantiateNs { pnfs, ..ask_ns() }).expect("accepted").id, "COMPLETED");
    let nfvo = &b.core().nfvo;
    let mac = || b.sim.chains()[0].to[0].mac;
    let update = |ask: &PnfAsk| nfvo.update_pnfs(id, ask, "{}").expect("accepted").id;
    // By the id of its connection point in the service, too.
    b.assert_state(update(&edit("serial-4711", Some("new press"), &[("press.plug", 51)])), "COMPLETED");
    let told = b.ns(id).pnfs.remove(0);
    assert_eq!((told.name.as_str(), told.cps[0].mac, mac()), ("new press", Some(MacAddr::planned(51)), Some(MacAddr::planned(51))));
    assert_eq!(told.cps[0].addresses.len(), 1, "what is not given stays");
    // The same once more is nothing to do.
    b.assert_state(update(&edit("serial-4711", None, &[("plug", 51)])), "COMPLETED");

    // The switch does not take it: what was known before is known again.
    b.sim.faults().add(Rule::next(Method::EnsureChain, Then::Fail(Kind::Conflict)));
    let op = update(&edit("serial-4711", None, &[("plug", 52)]));
    b.assert_state(op, "FAILED_TEMP");
    nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    assert_eq!((b.ns(id).pnfs[0].cps[0].mac, mac()), (Some(MacAddr::planned(51)), Some(MacAddr::planned(51))));

    let refusal = |ask: PnfAsk| nfvo.update_pnfs(id, &ask, "{}").map(drop).expect_err("refused").detail();
    for (ask, says) in [
        (edit("press", None, &[("plug", 52)]), "has no PNF 'press'; it has serial-4711"),
        (edit("serial-4711", None, &[("socket", 52)]), "has no connection point 'socket'"),
        (PnfAsk::Remove(vec!["serial-4711".into()]), "ends at PNF 'serial-4711', and a running chain keeps its ends"),
        (PnfAsk::Add(vec![given("press", "press-1", "plug")]), "has the PNF 'serial-4711' already"),
        (PnfAsk::Add(vec![given("mill", "press-1", "plug")]), "no PNF profile 'mill'"),
    ] {
        let said = refusal(ask);
        assert!(said.contains(says), "no {says:?} in {said}");
    }
}

#[test]
fn a_box_that_no_chain_ends_at_comes_and_goes() {
    let (b, id) = standing(hybrid("plant", ""));
    let info = pnfd(&b);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let nfvo = &b.core().nfvo;
    let users = || b.store().require::<PnfDescriptor>(&info).expect("read").users;
    let update = |ask: &PnfAsk| nfvo.update_pnfs(id, ask, "{}").expect("accepted").id;
    b.assert_state(update(&PnfAsk::Remove(vec!["press".into()])), "COMPLETED");
    assert_eq!((b.ns(id).pnfs, users()), (Vec::new(), 0));
    b.assert_state(update(&PnfAsk::Add(vec![given("press", "press-1", "plug")])), "COMPLETED");
    let [p] = &b.ns(id).pnfs[..] else { panic!("{:?}", b.ns(id).pnfs) };
    assert_eq!((p.id.as_str(), p.pnfd_info, p.cps[0].mac, users()), ("serial-4711", Some(info), Some(MacAddr::planned(50)), 1));
    let lan = b.ns(id).links.iter().find(|(l, _)| l == "lan").expect("the link").1;
    assert_eq!(p.cps[0].segment, Some(lan));

    // Its going is undone also where its PNFD has gone after it.
    let had = p.clone();
    b.assert_state(update(&PnfAsk::Remove(vec!["serial-4711".into()])), "COMPLETED");
    b.store().write(Durability::Lazy, |tx| tx.delete::<PnfDescriptor>(&info).map(drop)).expect("deleted");
    nfvo.put_pnf_back(Target::Ns(id), &had.profile, Some(&had)).expect("put back");
    assert_eq!(b.ns(id).pnfs, [NsPnf { pnfd_info: None, ..had }]);
}
