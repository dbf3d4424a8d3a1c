//! Operations that coordinate with their VNF: they wait for its word, and do as it says.

use crate::{
    model::{
        id::{OpId, VnfId},
        op::{CancelMode, Phase},
        own::{
            Asked, CoordAsk, Coordinated, Coordination, Door, Ended, Endpoint, EndpointKind, Errand, OwnApi, OwnApis, OwnEndpoints, Stage,
            Verdict,
        },
        package::VnfPackage,
        param::{Param, Params},
        step::{Step, VnfStep},
        subscription::Auth,
        time::Stamp,
        vnf::{Properties, RunState, Stopping},
    },
    node::kit::{Shape, TestBox, ask_vnf, ns_box, rules, vnf_box},
    vim::port::{GuestState, Hypervisor as _},
    vnfm::{
        Rules,
        alter::Alter,
        own::{Answered, ErrandId},
        reach::{Call, Login, Whom},
    },
};

const ACTION: &str = "drain";

/// Every package's VNFs coordinate these operations, and serve that themselves.
fn declare(b: &TestBox, all: &[(Coordinated, Stage)]) {
    for mut p in b.store().list::<VnfPackage>().expect("packages") {
        let ask = |endpoint| CoordAsk { action: ACTION.into(), endpoint, input: "{\"seconds\":5}".into() };
        let coordinations = all.iter().map(|(operation, stage)| Coordination { operation: *operation, stage: *stage, ask: ask(None) });
        let door =
            Door { api: OwnApi::Coordination, tls: true, host: None, port: 8443, path: "/x".into(), cps: vec!["ext0".into()], login: None };
        let own = OwnApis { flavour: "df".into(), doors: vec![door], coordinations: coordinations.collect() };
        p.vnfd.as_mut().expect("a VNFD").own = vec![own];
        b.put(&p);
    }
}

/// The errand that an operation waits for.
fn asked(b: &TestBox, op: OpId) -> ErrandId {
    let mut found = None;
    b.until("the VNF is asked", || {
        found = b.store().list_under::<Errand>(&op).expect("errands").into_iter().find(|e| e.state == Asked::Due);
        found.is_some()
    });
    let e = found.expect("an errand");
    (e.op, e.step)
}

fn errand(b: &TestBox, key: ErrandId) -> Errand {
    b.store().require(&key).expect("an errand")
}

fn says(b: &TestBox, key: ErrandId, verdict: Verdict) {
    let a = Answered { id: "c1".into(), asked: Stamp(1), verdict, why: "not now".into(), warnings: "slow".into() };
    b.core().vnfm().errand_done(key, EndpointKind::Vnf, &a).expect("noted");
}

fn up(all: &[(Coordinated, Stage)]) -> (TestBox, VnfId) {
    let (b, id) = vnf_box(&Shape { vdus: 1, ..Shape::default() });
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    declare(&b, all);
    (b, id)
}

fn stop(b: &TestBox, id: VnfId, how: Stopping) -> OpId {
    b.core().vnfm().operate(id, RunState::Stopped, how, "{}".into()).expect("accepted").id
}

fn runs(b: &TestBox, id: VnfId) -> bool {
    let guests = b.vnf(id).body.expect("a body").vnfcs;
    guests.iter().all(|g| b.sim.state(g.id).expect("state") == Some(GuestState::Running))
}

#[test]
fn an_operation_waits_for_the_vnf_and_does_as_it_says() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    b.repeat();
    let op = stop(&b, id, Stopping::Within(1));
    let key = asked(&b, op);
    assert!(b.op(op).state.phase() == Phase::Forward && runs(&b, id), "nothing is done before its word\n{}", b.picture());
    says(&b, key, Verdict::Abort);
    let stuck = b.assert_state(op, "FAILED_TEMP");
    let why = stuck.error.expect("an error").text;
    assert_eq!(why, "ask for 'drain': the VNF aborts the operation at its 'drain': not now");
    assert!(runs(&b, id));
    // Each attempt asks anew, and what was said before is kept.
    b.core().engine.retry(op).expect("retried");
    says(&b, asked(&b, op), Verdict::Continue);
    b.assert_state(op, "COMPLETED");
    assert!(!runs(&b, id));
    let rounds: Vec<Verdict> = errand(&b, key).rounds.iter().filter_map(|r| r.ended.map(|(_, v)| v)).collect();
    assert_eq!(rounds, [Verdict::Abort, Verdict::Continue]);
    assert_eq!(errand(&b, key).warns().count(), 2);
}

#[test]
fn what_was_aborted_can_be_rolled_back_and_its_end_waits_for_the_vnf_too() {
    let (b, id) = vnf_box(&Shape::default());
    declare(&b, &[(Coordinated::Instantiate, Stage::End)]);
    let op = b.instantiate_vnf(id);
    let key = asked(&b, op);
    assert!(runs(&b, id), "it is asked at the end");
    b.core().vnfm().errand_stopped(key, crate::model::error::Fault::conflict("403: no").record()).expect("noted");
    let stuck = b.assert_state(op, "FAILED_TEMP");
    assert_eq!(stuck.error.expect("an error").text, "ask for 'drain': the VNF was asked for its 'drain': 403: no");
    b.core().engine.rollback(op).expect("rolled back");
    b.assert_state(op, "ROLLED_BACK");
    b.assert_nothing_left();
}

#[test]
fn what_was_asked_and_answered_outlives_a_crash() {
    let (mut b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    let op = stop(&b, id, Stopping::Within(1));
    let key = asked(&b, op);
    b.kill_and_start();
    assert_eq!(b.core().vnfm().open_errands().expect("open"), [key]);
    b.core().vnfm().errand_taken(key, "/lcmcoord/v1/coordinations/7", EndpointKind::Vnf, Stamp(2), Some(Stamp(9))).expect("noted");
    b.kill_and_start();
    let e = errand(&b, key);
    assert_eq!(e.state, Asked::Accepted("/lcmcoord/v1/coordinations/7".into()));
    assert_eq!((e.rounds[0].id.as_str(), e.rounds[0].began, e.rounds[0].delay), ("7", Stamp(2), Some(Stamp(9))));
    says(&b, key, Verdict::Continue);
    b.assert_state(op, "COMPLETED");
    assert_eq!(errand(&b, key).rounds.len(), 1);
    assert_eq!(b.core().vnfm().open_errands().expect("open"), []);
    // Done once, it is not asked again when the host was down since.
    b.host_reboot();
    b.start();
    assert_eq!(b.core().vnfm().errands_of(op).expect("errands").len(), 1);
}

#[test]
fn a_cancelled_operation_has_what_it_asked_for_called_off() {
    for (mode, taken, verdict, end) in [
        (CancelMode::Graceful, true, Some(Verdict::Cancelled), "FAILED_TEMP"),
        // It was too late: the action is over, and so is what the step waits for.
        (CancelMode::Graceful, true, Some(Verdict::Continue), "FAILED_TEMP"),
        (CancelMode::Graceful, false, None, "FAILED_TEMP"),
        (CancelMode::Forceful, true, None, "FAILED_TEMP"),
        (CancelMode::Forceful, false, None, "FAILED_TEMP"),
    ] {
        let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
        let op = stop(&b, id, Stopping::Within(1));
        let key = asked(&b, op);
        if taken {
            b.core().vnfm().errand_taken(key, "/c/7", EndpointKind::Vnf, Stamp(2), Some(Stamp(u64::MAX))).expect("noted");
        }
        b.core().engine.cancel(op, mode).expect("cancelled");
        let called_off = Asked::Cancelling { at: "/c/7".into(), told: false };
        if taken {
            b.until("it is to be called off", || errand(&b, key).state == called_off);
            assert_eq!(errand(&b, key).delay, None, "at once, whatever it said");
        }
        if let Some(verdict) = verdict {
            assert_eq!(b.op(op).state.phase(), Phase::Forward, "how it ends is waited for");
            b.core().vnfm().errand_called_off(key).expect("noted");
            says(&b, key, verdict);
        }
        b.assert_state(op, end);
        assert!(runs(&b, id), "{mode:?} {taken} {verdict:?}");
        // What was called off is begun anew by a retry, once it is over.
        b.core().engine.retry(op).expect("retried");
        if verdict.is_none() && taken {
            says(&b, key, Verdict::Cancelled);
        }
        if verdict != Some(Verdict::Continue) {
            says(&b, asked(&b, op), Verdict::Continue);
        }
        b.assert_state(op, "COMPLETED");
    }
}

#[test]
fn a_vnf_that_takes_too_long_stops_the_operation() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    b.core().vnfm().set_rules(Rules { vnf_answer_s: 0, ..rules() });
    let op = stop(&b, id, Stopping::Within(1));
    let why = b.assert_state(op, "FAILED_TEMP").error.expect("an error").text;
    assert!(why.ends_with("the VNF has not done its 'drain' within 0 s"), "{why}");
    assert!(runs(&b, id));
    assert_eq!(b.core().vnfm().open_errands().expect("open"), [], "nobody is asked any more");
}

#[test]
fn a_vnf_that_does_not_answer_is_healed_all_the_same() {
    let (b, id) = up(&[(Coordinated::Heal, Stage::Start)]);
    let what = Alter::Heal { which: Vec::new(), anew: false };
    let op = b.core().vnfm().alter(id, &what, "{}").expect("accepted").id;
    let key = asked(&b, op);
    for n in 1..=3 {
        assert_eq!(b.core().vnfm().errand_vain(key, "no answer").expect("noted"), n);
    }
    b.assert_state(op, "COMPLETED");
    let says = errand(&b, key).warns().next();
    assert_eq!(says.as_deref(), Some("went on without the 'drain' of the VNF: asked 3 times in vain: no answer"));
}

#[test]
fn a_service_s_members_are_asked_and_a_forceful_end_asks_nobody() {
    let (b, ns) = ns_box(&Shape { vdus: 1, ..Shape::default() });
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    declare(&b, &[(Coordinated::Terminate, Stage::Start), (Coordinated::Operate, Stage::Start)]);
    let op = b.core().nfvo.terminate(ns, Stopping::Within(1), "{}".into()).expect("accepted").id;
    for member in b.ns(ns).members.clone() {
        let child = b.vnf(member.vnf).op.expect("an operation");
        let coordinates = |s: &Step| matches!(s, Step::Vnf(VnfStep::Ask(_)));
        assert_eq!(b.steps(child).iter().filter(|s| coordinates(&s.step)).count(), 1);
    }
    b.until("all members are done", || {
        let open = b.core().vnfm().open_errands().expect("open");
        open.iter().for_each(|key| says(&b, *key, Verdict::Continue));
        b.op(op).state.phase() == Phase::Over
    });
    b.assert_state(op, "COMPLETED");

    let (b, id) = up(&[(Coordinated::Terminate, Stage::Start), (Coordinated::Operate, Stage::Start)]);
    b.assert_state(stop(&b, id, Stopping::AtOnce), "COMPLETED");
    b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_vnf_is_configured_when_its_guests_are_new_and_has_something_to_be_told() {
    let (mut b, id) = vnf_box(&Shape { vdus: 1, ..Shape::default() });
    for mut p in b.store().list::<VnfPackage>().expect("packages") {
        let door =
            Door { api: OwnApi::Configuration, tls: true, host: None, port: 1, path: "".into(), cps: vec!["ext0".into()], login: None };
        p.vnfd.as_mut().expect("a VNFD").own = vec![OwnApis { flavour: "df".into(), doors: vec![door], coordinations: Vec::new() }];
        b.put(&p);
    }
    let with = |configurable| {
        let lay = move |p: &mut Properties| p.configurable.clone_from(&configurable);
        move |b: &TestBox| b.core().vnfm().instantiate_with(id, &ask_vnf(), &lay).expect("accepted").id
    };
    let end = |b: &TestBox| {
        b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    };
    // What managers read is nothing of its own.
    let op = with(vec![("isAutohealEnabled".into(), Param::Bool(true))])(&b);
    b.assert_state(op, "COMPLETED");
    assert_eq!(b.core().vnfm().errands_of(op).expect("errands"), []);
    end(&b);

    let peer: Params = vec![("peer".into(), Param::Text("10.1.0.1".into()))];
    let op = with(peer.clone())(&b);
    let key = asked(&b, op);
    assert_eq!(b.core().vnfm().own_properties(id).expect("properties"), peer, "what it is told is in the record by then");
    b.kill_and_start();
    b.core().vnfm().errand_configured(key).expect("noted");
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);

    // A guest that is made again has nothing of it; a silent one does not count as configured.
    let what = Alter::Heal { which: Vec::new(), anew: false };
    let op = b.core().vnfm().alter(id, &what, "{}").expect("accepted").id;
    let key = asked(&b, op);
    let tries: Vec<u32> = (0..5).map(|_| b.core().vnfm().errand_vain(key, "no answer").expect("noted")).collect();
    assert_eq!(tries, [1, 2, 3, 4, 5]);
    assert_eq!(errand(&b, key).state, Asked::Due);
    b.core().vnfm().errand_configured(key).expect("noted");
    b.assert_state(op, "COMPLETED");
    // One that was only off has it still.
    b.assert_state(stop(&b, id, Stopping::Within(1)), "COMPLETED");
}

#[test]
fn whom_to_ask_is_what_was_told_then_what_the_vnfd_says() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    let whom = |kind| b.core().vnfm().whom(id, OwnApi::Coordination, kind).expect("known");
    let address = b.vnf(id).body.expect("a body").vnfcs[0].ports[0].addresses[0];
    let call = |w: Whom| match w {
        Whom::Call(call) => call,
        Whom::Off(why) | Whom::Nowhere(why) => panic!("{why}"),
    };
    let by_vnfd = Call { kind: EndpointKind::Vnf, root: format!("https://{address}:8443/x"), login: Login::None, told: false };
    assert_eq!(call(whom(None)), by_vnfd);
    assert!(matches!(whom(Some(EndpointKind::Mgmt)), Whom::Nowhere(why) if why.contains("bothy vnf endpoint set")));
    let other = b.core().vnfm().whom(id, OwnApi::Configuration, None).expect("known");
    assert!(matches!(other, Whom::Nowhere(why) if why.contains("does not say where the VNF serves vnfconfig")));

    let endpoint = |root: &str| Some(Endpoint { id: uuid::Uuid::nil(), api_root: Some(root.into()), auth: None });
    let told = OwnEndpoints { vnf: id, own: endpoint("https://v"), mgmt: None, base: String::new(), revision: 0 };
    b.core().vnfm().set_endpoints(told.clone()).expect("told");
    assert_eq!(call(whom(None)).root, "https://v");
    b.core().vnfm().set_endpoints(OwnEndpoints { mgmt: endpoint("https://em"), ..told }).expect("told");
    assert_eq!((call(whom(None)).root, call(whom(None)).kind), ("https://em".into(), EndpointKind::Mgmt));
    assert_eq!(call(whom(Some(EndpointKind::Vnf))).root, "https://v");

    // Guests that are off are asked nothing; their element manager is.
    let op = stop(&b, id, Stopping::Within(1));
    says(&b, asked(&b, op), Verdict::Continue);
    b.assert_state(op, "COMPLETED");
    assert!(matches!(whom(Some(EndpointKind::Vnf)), Whom::Off(_)));
    assert_eq!(call(whom(None)).root, "https://em");
    b.core().vnfm().forget_endpoints(id).expect("forgotten");
    assert!(matches!(whom(None), Whom::Off(why) if why.contains("no guest with ext0 runs")));
    let op = b.core().vnfm().operate(id, RunState::Started, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    let key = asked(&b, op);
    b.core().vnfm().errand_skipped(key, "off").expect("noted");
    b.assert_state(op, "COMPLETED");
    assert_eq!(errand(&b, key).state, Asked::Over(Ended::Skipped("off".into())));
}

#[test]
fn a_login_of_the_vnfd_is_for_where_the_vnfd_says_alone() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    let logs_in = || {
        for mut p in b.store().list::<VnfPackage>().expect("packages") {
            let door = &mut p.vnfd.as_mut().expect("a VNFD").own[0].doors[0];
            door.login = Some(("u".into(), "door".into()));
            b.put(&p);
        }
        b.core().vnfm().whom(id, OwnApi::Coordination, Some(EndpointKind::Vnf))
    };
    // The secret is looked for, and is not there.
    assert!(logs_in().err().expect("no secret").detail().contains("there is no secret 'door'"));
    let endpoint = Some(Endpoint { id: uuid::Uuid::nil(), api_root: Some("https://v".into()), auth: None });
    let told = OwnEndpoints { vnf: id, own: endpoint, mgmt: None, base: String::new(), revision: 0 };
    b.core().vnfm().set_endpoints(told).expect("told");
    let Ok(Whom::Call(call)) = logs_in() else { panic!("no call") };
    assert_eq!((call.root.as_str(), call.login, call.told), ("https://v", Login::None, true));
}

#[test]
fn an_operation_with_an_open_errand_is_not_yet_history() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    let op = stop(&b, id, Stopping::Within(1));
    let key = asked(&b, op);
    b.core().vnfm().errand_taken(key, "/c/7", EndpointKind::Vnf, Stamp(2), None).expect("noted");
    b.core().engine.cancel(op, CancelMode::Forceful).expect("cancelled");
    b.assert_state(op, "FAILED_TEMP");
    b.core().engine.rollback(op).expect("rolled back");
    b.assert_state(op, "ROLLED_BACK");
    crate::lcm::archive::archive(b.store()).expect("moved");
    assert_eq!(errand(&b, key).state, Asked::Cancelling { at: "/c/7".into(), told: false });
    says(&b, key, Verdict::Cancelled);
    crate::lcm::archive::archive(b.store()).expect("moved");
    assert_eq!(b.store().list::<Errand>().expect("read"), []);
}

/// What it was told in vain before says nothing of its being called off, and it does not say how long that lasts.
#[test]
fn a_call_off_has_tries_of_its_own_and_is_not_put_off_for_ever() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    let op = stop(&b, id, Stopping::Within(1));
    let key = asked(&b, op);
    let vnfm = || b.core().vnfm();
    vnfm().errand_taken(key, "/c/7", EndpointKind::Vnf, Stamp(2), None).expect("noted");
    for n in 1..=4 {
        assert_eq!(vnfm().errand_vain(key, "no answer").expect("noted"), n);
    }
    b.core().engine.cancel(op, CancelMode::Graceful).expect("cancelled");
    b.until("it is to be called off", || matches!(errand(&b, key).state, Asked::Cancelling { .. }));
    assert_eq!(vnfm().errand_vain(key, "no answer").expect("noted"), 1);
    assert!(errand(&b, key).is_open());
    vnfm().errand_called_off(key).expect("noted");
    vnfm().errand_goes_on(key, Some(Stamp(u64::MAX))).expect("noted");
    let soon = Stamp(vnfm().clock().now().0 + 60_000);
    assert!(errand(&b, key).delay.is_some_and(|d| d < soon), "{:?}", errand(&b, key).delay);
    says(&b, key, Verdict::Cancelled);
    b.assert_state(op, "FAILED_TEMP");
}

#[test]
fn a_login_that_was_told_without_its_place_goes_nowhere() {
    let (b, id) = up(&[(Coordinated::Operate, Stage::Start)]);
    let auth = Some(Auth::Basic { user: "u".into(), sealed: vec![1] });
    let tell = |api_root: Option<&str>| {
        let endpoint = Some(Endpoint { id: uuid::Uuid::nil(), api_root: api_root.map(Into::into), auth: auth.clone() });
        let told = OwnEndpoints { vnf: id, own: endpoint, mgmt: None, base: String::new(), revision: 0 };
        b.core().vnfm().set_endpoints(told).expect("told");
        b.core().vnfm().whom(id, OwnApi::Coordination, Some(EndpointKind::Vnf)).expect("known")
    };
    assert!(matches!(tell(None), Whom::Nowhere(why) if why.contains("--api-root")));
    let Whom::Call(call) = tell(Some("https://v")) else { panic!("no call") };
    assert!(call.root == "https://v" && matches!(call.login, Login::Sealed(..)));
}
