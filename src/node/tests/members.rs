//! Members of a service changed by its update over `Sim`: through kills at any moment they come to where they were to come, or
//! back to where they were.

use crate::{
    model::{
        error::Kind,
        id::{NsId, OpId, VnfId},
        op::CancelMode,
        package::VnfPackage,
        size::MiB,
        vnf::{RunState, Stopping},
    },
    node::kit::{Shape, TestBox, elastic_box, ns_box},
    sim::faults::{Method, Rule, Then},
    vnfm::{
        operate::Operate,
        remake::{Change, ChangeFlavour},
    },
};

/// A service of three that is up, whose VNFD has the flavour `big` too; and its member `web`.
fn up() -> (TestBox, NsId, VnfId) {
    let (b, ns) = elastic_box(&Shape::default());
    let mut package: VnfPackage = b.store().list::<VnfPackage>().expect("packages").remove(0);
    let d = package.vnfd.as_mut().expect("a VNFD");
    let mut big = d.flavours[0].clone();
    big.id = "big".into();
    big.vdus.iter_mut().for_each(|v| v.memory = MiB(v.memory.0 + 16));
    d.flavours.push(big);
    b.put(&package);
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    let web = b.member(ns, "web").id;
    (b, ns, web)
}

fn grow(b: &TestBox, ns: NsId, web: VnfId) -> OpId {
    let ask = ChangeFlavour { flavour: "big".into(), ..ChangeFlavour::default() };
    b.core().nfvo.remake_member(ns, web, Change::Flavour(&ask), &|_| {}, "{}").expect("accepted").id
}

fn flavour(b: &TestBox, web: VnfId) -> String {
    b.vnf(web).body.expect("a body").flavour.to_string()
}

#[test]
fn a_member_comes_to_another_flavour_or_back_over_kills_of_bothy() {
    for (back, end, is) in [(true, "ROLLED_BACK", "df"), (false, "COMPLETED", "big")] {
        let (mut b, ns, web) = up();
        b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
        let op = grow(&b, ns, web);
        b.assert_state(op, "FAILED_TEMP");
        b.kill_and_start();
        b.assert_state(op, "FAILED_TEMP");
        let nfvo = b.core().nfvo.clone();
        let asked = if back { nfvo.rollback(op) } else { nfvo.retry(op) };
        asked.expect("asked");
        drop(nfvo);
        b.kill_and_start();
        // What was asked may not have been durable yet; it is asked again then.
        if b.wait(op).state.name() == "FAILED_TEMP" {
            let nfvo = &b.core().nfvo;
            if back { nfvo.rollback(op) } else { nfvo.retry(op) }.expect("asked again");
        }
        b.assert_state(op, end);
        assert_eq!(flavour(&b, web), is);
        assert!(b.ns(ns).op.is_none() && b.vnf(web).op.is_none());
        b.assert_ns_up(ns);
    }
}

#[test]
fn a_change_that_is_given_up_or_cancelled_holds_nobody() {
    let (b, ns, web) = up();
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let op = grow(&b, ns, web);
    b.assert_state(op, "FAILED_TEMP");
    b.core().nfvo.fail(op).expect("given up");
    b.assert_state(op, "FAILED");
    assert!(b.ns(ns).op.is_none() && b.vnf(web).op.is_none());

    let (b, ns, web) = up();
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Transient)));
    let op = grow(&b, ns, web);
    // It may be over already.
    if b.core().nfvo.cancel(op, CancelMode::Forceful).is_ok() && b.wait(op).state.name() == "FAILED_TEMP" {
        b.core().nfvo.rollback(op).expect("asked");
        b.assert_state(op, "ROLLED_BACK");
        assert_eq!(flavour(&b, web), "df");
    }
    b.wait(op);
    b.assert_ns_up(ns);
}

#[test]
fn members_stop_and_start_over_a_kill_of_bothy() {
    let (mut b, ns, _) = up();
    let members: Vec<VnfId> = b.ns(ns).members.iter().map(|m| m.vnf).collect();
    for to in [RunState::Stopped, RunState::Started] {
        let how = Operate { to, stopping: Stopping::AtOnce };
        let what: Vec<_> = members.iter().map(|m| (*m, how)).collect();
        let op = b.core().nfvo.operate_members(ns, &what, "{}").expect("accepted").id;
        b.kill_and_start();
        b.assert_state(op, "COMPLETED");
        assert!(members.iter().all(|m| b.vnf(*m).body.is_some_and(|body| body.run == to)), "{to:?}");
    }
    b.assert_ns_up(ns);
}

#[test]
fn what_a_chain_leads_by_is_changed_in_place_and_keeps_its_guests() {
    let (b, ns) = ns_box(&Shape::default());
    let mut package: VnfPackage = b.store().list::<VnfPackage>().expect("packages").remove(0);
    let d = package.vnfd.as_mut().expect("a VNFD");
    let mut big = d.flavours[0].clone();
    (big.id, big.vdus[0].memory) = ("big".into(), MiB(big.vdus[0].memory.0 + 16));
    let mut more = d.flavours[0].clone();
    (more.id, more.vdus[0].max_instances) = ("more".into(), 2);
    more.levels.iter_mut().flat_map(|l| &mut l.counts).take(1).for_each(|(_, n)| *n = 2);
    d.flavours.extend([big, more]);
    b.put(&package);
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    let fw = b.member(ns, "fw").id;
    let change = |flavour: &str| {
        let ask = ChangeFlavour { flavour: flavour.into(), ..ChangeFlavour::default() };
        b.core().nfvo.remake_member(ns, fw, Change::Flavour(&ask), &|_| {}, "{}")
    };
    let fault = change("more").expect_err("refused");
    assert!(fault.to_string().contains("chains"), "{fault}");
    b.assert_state(change("big").expect("accepted").id, "COMPLETED");
    assert_eq!(flavour(&b, fw), "big");
    b.assert_ns_up(ns);
}
