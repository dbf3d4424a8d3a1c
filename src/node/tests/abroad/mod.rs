//! Services of which a foreign VNFM has a member: it is made, changed and ended there, through faults and deaths.

mod ears;
mod fake;
mod odd;

use uuid::Uuid;

use self::fake::{Fake, Then};
use crate::{
    model::{
        abroad::{AbroadErrand, ForeignVnf, ForeignVnfm},
        error::Kind,
        id::{NsId, OpId, ProjectId},
        nsd::Attach,
        op::{CancelMode, OpKind, VnfOpState},
        param::Param,
        time::Stamp,
        vnf::{RunState, Stopping},
    },
    node::kit::{Shape, TestBox, ask_ns, nsd, vnfd},
    vnfm::{alter::Alter, change::ScaleTo},
};

/// A service of a local VNF and, after it, one of VNFM east's.
struct Case {
    b: TestBox,
    fake: Fake,
    ns: NsId,
}

fn east(networks: &[(&str, &str)]) -> ForeignVnfm {
    ForeignVnfm {
        account: "east".into(),
        id: Uuid::from_u128(7),
        project: ProjectId::DEFAULT,
        api_root: "https://east".into(),
        auth: None,
        vnfm_info: Vec::new(),
        vnfds: vec!["far".into()],
        vim: None,
        networks: networks.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(),
        created: Stamp(1),
        revision: 1,
    }
}

impl Case {
    fn new() -> Case {
        Case::with(&[], &[])
    }
    /// `attach`: links that a connection point of the far member comes to.
    fn with(attach: &[(&str, &str)], networks: &[(&str, &str)]) -> Case {
        let b = TestBox::new();
        b.onboard(vnfd("vnf", &Shape::small()));
        b.onboard(vnfd("far", &Shape { most: 3, ..Shape::small() }));
        let mut d = nsd("ns", &[("web", "vnf", &[]), ("far", "far", &["web"])]);
        let f = &mut d.flavours[0];
        f.links[1].profile.physical = Some("wan".into());
        let one = |(cp, link): &(&str, &str)| Attach { ext_cp: (*cp).into(), link: (*link).into(), addresses: Vec::new() };
        f.members[1].attach = attach.iter().map(one).collect();
        b.onboard_nsd(d);
        b.put(&east(networks));
        let ns = b.create_ns("ns");
        let c = Case { b, fake: Fake::default(), ns };
        c.connect();
        c
    }
    fn connect(&self) {
        self.b.core().vnfm().connect_managers(std::sync::Arc::new(self.fake.clone()));
    }
    fn up() -> Case {
        let c = Case::new();
        c.b.assert_state(c.b.instantiate_ns(c.ns), "COMPLETED");
        c.fake.asked();
        c
    }
    fn terminate(&self) -> OpId {
        self.b.core().nfvo.terminate(self.ns, Stopping::AtOnce, "{}".into()).expect("accepted").id
    }
    fn alter(&self, kind: OpKind, what: Alter) -> OpId {
        let far = self.b.member(self.ns, "far").id;
        self.b.core().nfvo.alter(self.ns, kind, &[(far, what)], "{}").expect("accepted").id
    }
    fn scale(&self) -> OpId {
        self.alter(OpKind::Scale, Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 1 }))
    }
    fn restart(&mut self) {
        self.b.kill_and_start();
        self.fake.revive();
        self.connect();
    }
    /// It is up on both sides, once.
    fn assert_up(&self, at: &str) {
        self.b.assert_ns_up(self.ns);
        let far = self.b.member(self.ns, "far");
        let f: ForeignVnf = self.b.store().require(&far.id).expect("a record");
        assert_eq!(self.fake.there(), [(f.name, true)], "{at}");
        let says = |name: &str| far.metadata.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        assert_eq!(says("bothy.vnfm"), Some(Param::Text("east".into())), "{at}");
        assert_eq!(says("bothy.vnfm.vnfInstanceId"), f.remote.map(|r| Param::Text(r.to_string())), "{at}");
    }
    fn assert_gone(&self, at: &str) {
        assert_eq!(self.fake.there(), [], "{at}\n{}", self.b.picture());
        assert_eq!(self.b.store().list::<ForeignVnf>().expect("read"), [], "{at}");
        self.b.assert_nothing_left();
    }
    fn down(&self, at: &str) {
        self.b.assert_state(self.terminate(), "COMPLETED");
        self.assert_gone(at);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Instantiate,
    Terminate,
    Scale,
    Heal,
}
const ALL: [What; 4] = [What::Instantiate, What::Terminate, What::Scale, What::Heal];

impl What {
    fn case(self) -> Case {
        if self == What::Instantiate { Case::new() } else { Case::up() }
    }
    fn go(self, c: &Case) -> OpId {
        match self {
            What::Instantiate => c.b.instantiate_ns(c.ns),
            What::Terminate => c.terminate(),
            What::Scale => c.scale(),
            What::Heal => c.alter(OpKind::Heal, Alter::Heal { which: Vec::new(), anew: false }),
        }
    }
    /// Done, and done once.
    fn assert_right(self, c: &Case, at: &str) {
        let begun = c.fake.asked().iter().filter(|a| **a == self.name()).count();
        assert_eq!(begun, 1, "{at}: {}", c.b.picture());
        match self {
            What::Terminate => return c.assert_gone(at),
            What::Scale => {
                let body = c.b.member(c.ns, "far").body.expect("a body");
                assert_eq!(body.scale, [("more".into(), 1)], "{at}");
            }
            What::Instantiate | What::Heal => {}
        }
        c.assert_up(at);
        c.down(at);
    }
    fn name(self) -> &'static str {
        match self {
            What::Instantiate => "INSTANTIATE",
            What::Terminate => "TERMINATE",
            What::Scale => "SCALE",
            What::Heal => "HEAL",
        }
    }
    /// How many requests it takes.
    fn calls(self) -> usize {
        let c = self.case();
        let before = c.fake.calls();
        c.b.assert_state(self.go(&c), "COMPLETED");
        let n = c.fake.calls() - before;
        self.assert_right(&c, "undisturbed");
        n
    }
}

#[test]
fn no_answer_to_any_request_doubles_nothing_and_leaves_nothing_behind() {
    for what in ALL {
        for n in 0..what.calls() {
            for then in [Then::Fail(Kind::Transient), Then::EffectThenFail(Kind::Transient)] {
                let at = format!("{what:?}, request {n}, {then:?}");
                let c = what.case();
                c.fake.rule(n, then);
                c.b.assert_state(what.go(&c), "COMPLETED");
                what.assert_right(&c, &at);
            }
        }
    }
}

#[test]
fn a_death_at_any_request_is_gone_on_from() {
    for what in ALL {
        for n in 0..what.calls() {
            for then in [Then::Dead, Then::EffectThenDead] {
                let at = format!("{what:?}, request {n}, {then:?}");
                let mut c = what.case();
                c.fake.rule(n, then);
                let op = what.go(&c);
                c.b.until(&at, || c.fake.is_dead());
                c.restart();
                c.b.assert_state(op, "COMPLETED");
                what.assert_right(&c, &at);
            }
        }
    }
}

#[test]
fn a_refusal_of_any_request_is_told_and_can_be_retried() {
    for what in ALL {
        for n in 0..what.calls() {
            let at = format!("{what:?}, request {n}");
            let c = what.case();
            c.fake.rule(n, Then::Fail(Kind::Conflict));
            let op = c.b.assert_state(what.go(&c), "FAILED_TEMP");
            let error = op.error.expect("an error").text;
            assert!(error.contains("it fails as the test says"), "{at}: {error}");
            c.b.core().nfvo.retry(op.id).expect("retried");
            c.b.assert_state(op.id, "COMPLETED");
            what.assert_right(&c, &at);
        }
    }
}

#[test]
fn an_instantiation_that_is_refused_anywhere_is_rolled_back_and_nothing_is_left() {
    for n in 0..What::Instantiate.calls() {
        for then in [Then::Fail(Kind::Conflict), Then::EffectThenFail(Kind::Conflict)] {
            let at = format!("request {n}, {then:?}");
            let c = Case::new();
            c.fake.rule(n, then);
            let op = c.b.wait(c.b.instantiate_ns(c.ns));
            // What it began is found, whatever it said.
            if op.state.name() == "COMPLETED" {
                c.down(&at);
                continue;
            }
            assert_eq!(op.state.name(), "FAILED_TEMP", "{at}");
            c.b.core().nfvo.rollback(op.id).expect("rolled back");
            c.b.assert_state(op.id, "ROLLED_BACK");
            c.assert_gone(&at);
        }
    }
}

#[test]
fn a_rollback_goes_on_from_a_death_at_any_request() {
    for n in 0.. {
        let at = format!("request {n} of the rollback");
        let mut c = Case::new();
        c.fake.stuck(1);
        let op = c.b.assert_state(c.b.instantiate_ns(c.ns), "FAILED_TEMP").id;
        c.fake.rule(n, Then::EffectThenDead);
        c.b.core().nfvo.rollback(op).expect("rolled back");
        c.b.until(&at, || c.fake.is_dead() || c.b.op(op).state.is_final());
        let killed = c.fake.is_dead();
        c.restart();
        c.b.assert_state(op, "ROLLED_BACK");
        c.assert_gone(&at);
        if !killed {
            break;
        }
    }
}

#[test]
fn each_step_done_twice_is_done_once() {
    for what in ALL {
        let c = what.case();
        c.b.repeat();
        c.b.assert_state(what.go(&c), "COMPLETED");
        assert!(c.b.repeated() > 0);
        what.assert_right(&c, &format!("{what:?}"));
    }
}

#[test]
fn an_operation_that_is_stuck_there_is_stuck_here_with_its_words_and_both_go_on_together() {
    for what in ALL {
        let c = what.case();
        c.fake.stuck(1);
        let op = c.b.assert_state(what.go(&c), "FAILED_TEMP");
        let error = op.error.expect("an error");
        assert!(error.text.contains("is FAILED_TEMP") && error.text.contains("no power in the east"), "{error:?}");
        assert_eq!(error.reasons, ["rack 7"]);
        c.b.core().nfvo.retry(op.id).expect("retried");
        c.b.assert_state(op.id, "COMPLETED");
        what.assert_right(&c, &format!("{what:?}"));
    }
}

#[test]
fn a_vnfm_that_can_neither_cancel_nor_roll_back_is_had_to_fail_and_forget() {
    let c = Case::new();
    c.fake.plain();
    c.fake.stuck(1);
    let op = c.b.assert_state(c.b.instantiate_ns(c.ns), "FAILED_TEMP").id;
    c.b.core().nfvo.rollback(op).expect("rolled back");
    c.b.assert_state(op, "ROLLED_BACK");
    assert_eq!(c.fake.asked(), ["create", "INSTANTIATE", "Rollback", "Fail", "delete"]);
    c.assert_gone("failed there");
}

#[test]
fn a_cancellation_reaches_the_vnfm_and_waits_for_it() {
    for graceful in [true, false] {
        let c = Case::new();
        c.fake.slow(true);
        let op = c.b.instantiate_ns(c.ns);
        c.b.until("it is asked", || !c.fake.ops().is_empty());
        let mode = if graceful { CancelMode::Graceful } else { CancelMode::Forceful };
        c.b.core().nfvo.cancel(op, mode).expect("cancelled");
        c.b.until("it is told", || c.fake.asked().contains(&format!("Cancel({})", !graceful)));
        assert!(!c.b.op(op).state.is_final() && c.b.op(op).state.name() == "PROCESSING");
        c.fake.slow(false);
        c.b.assert_state(op, "FAILED_TEMP");
        c.b.core().nfvo.rollback(op).expect("rolled back");
        c.b.assert_state(op, "ROLLED_BACK");
        c.assert_gone("cancelled");
    }
}

#[test]
fn what_was_given_up_is_given_up_there_before_it_is_terminated() {
    let c = Case::up();
    c.fake.stuck(1);
    let op = c.b.assert_state(c.scale(), "FAILED_TEMP").id;
    c.b.core().nfvo.fail(op).expect("given up");
    c.fake.asked();
    c.down("after a scaling that was given up");
    assert_eq!(c.fake.asked(), ["Fail", "TERMINATE", "delete"]);
}

#[test]
fn what_the_vnfm_does_by_itself_is_waited_for_and_its_failure_left_to_its_own_operators() {
    let c = Case::up();
    c.fake.by_itself(VnfOpState::Processing);
    c.b.assert_state(c.scale(), "COMPLETED");
    assert_eq!(c.fake.asked(), ["SCALE"]);
    c.fake.by_itself(VnfOpState::FailedTemp);
    let op = c.b.assert_state(c.scale(), "FAILED_TEMP");
    assert!(op.error.expect("an error").text.contains("it cannot heal itself"));
    assert_eq!(c.fake.asked(), Vec::<String>::new());
}

#[test]
fn a_member_is_stopped_and_started_there_and_what_is_not_asked_for_there_is_refused() {
    let c = Case::up();
    let (vnfm, far) = (c.b.core().vnfm().clone(), c.b.member(c.ns, "far").id);
    for (run, name) in [(RunState::Stopped, "OPERATE"), (RunState::Started, "OPERATE")] {
        let op = vnfm.operate(far, run, Stopping::AtOnce, "{}".into()).expect("accepted");
        c.b.assert_state(op.id, "COMPLETED");
        assert_eq!((c.fake.asked(), c.b.vnf(far).body.expect("a body").run), (vec![name.to_owned()], run));
    }
    let snapshot = vnfm.create_snapshot(ProjectId::DEFAULT).expect("made").id;
    for refused in [
        vnfm.reboot(far, &[], Stopping::AtOnce, "{}".into()).expect_err("a reboot"),
        vnfm.take_snapshot(far, snapshot, &Vec::new(), "{}").expect_err("a snapshot"),
    ] {
        assert!(refused.detail().contains("managed by VNFM east"), "{refused}");
    }
    assert_eq!(c.fake.asked(), Vec::<String>::new());
}

#[test]
fn connection_points_come_to_links_that_lead_to_the_vnfm_and_to_no_other() {
    let dry = |c: &Case| c.b.core().nfvo.dry_instantiate(c.ns, &ask_ns());
    for (attach, networks, says) in [
        ([("ext1", "lan")], &[][..], "VNFM east is not told what physical network wan is there"),
        ([("ext0", "mgmt")], &[("wan", "net-1")][..], "link mgmt is on this box's switch alone"),
        ([("none", "lan")], &[("wan", "net-1")][..], "'none': flavour df has no such connection point"),
    ] {
        let fault = dry(&Case::with(&attach, networks)).err().expect("refused");
        assert!(fault.detail().contains(says), "{says}: {fault}");
    }
    let c = Case::with(&[("ext1", "lan")], &[("wan", "net-1")]);
    let plan = dry(&c).expect("a plan");
    let far = &plan.plan.members[1];
    let lan = plan.segments.iter().find(|s| s.link == "lan").expect("lan");
    let kept = lan.stations.iter().find(|s| s.vnf == far.instance.id).expect("its place on the link");
    let told = format!("{:?}", far.plan.steps[1]);
    assert!(told.contains("net-1") && told.contains(&format!("{:?}", kept.mac)), "{told}");
    assert_eq!(kept.addresses.len(), 1);
    c.b.assert_state(c.b.instantiate_ns(c.ns), "COMPLETED");
    c.down("with a link");
}

#[test]
fn a_chain_that_would_lead_by_it_is_refused_with_its_vnfm() {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::small()));
    b.onboard(vnfd("far", &Shape::small()));
    let mut d = super::chains::chained(nsd("ns", &[("web", "vnf", &[]), ("fw", "far", &["web"]), ("client", "vnf", &["fw"])]));
    d.flavours[0].members[1].attach.clear();
    b.onboard_nsd(d);
    b.put(&east(&[]));
    let fault = b.core().nfvo.dry_instantiate(b.create_ns("ns"), &ask_ns()).err().expect("refused");
    assert!(fault.detail().contains("VNF fw is managed by VNFM east: its ports are not on this box's switch"), "{fault}");
}

#[test]
fn a_descriptor_in_two_charges_is_refused_and_one_by_its_own_words_is_not() {
    let c = Case::new();
    c.b.put(&ForeignVnfm { account: "west".into(), ..east(&[]) });
    let fault = c.b.core().nfvo.dry_instantiate(c.ns, &ask_ns()).err().expect("refused");
    assert!(fault.detail().contains("in the charge of VNFM east and of VNFM west"), "{fault}");
    let mut d = vnfd("d", &Shape::small());
    d.vnfm_info = vec!["east".into()];
    let by =
        |info: &[&str]| ForeignVnfm { vnfds: Vec::new(), vnfm_info: info.iter().map(|i| (*i).into()).collect(), ..east(&[]) }.manages(&d);
    assert_eq!((by(&[]), by(&["west"]), by(&["west", "east"])), (true, false, true));
}

#[test]
fn errands_go_to_the_history_with_their_operations() {
    let c = Case::up();
    assert!(!c.b.store().list::<AbroadErrand>().expect("read").is_empty());
    crate::lcm::archive::archive(c.b.store()).expect("moved");
    assert_eq!(c.b.store().list::<AbroadErrand>().expect("read"), []);
}
