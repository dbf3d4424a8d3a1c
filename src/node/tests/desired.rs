//! The desired state over `Sim`, with the real store: what is signed comes and goes, once, whatever crashes in between. The host's
//! part is in `desired_host`.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use smol_str::SmolStr;
use uuid::Uuid;

use crate::{
    api::convert::desired::ask,
    desired::{
        Act, DesiredState, Fetching, Outside, Settings, Signed,
        plan::{Item, State},
    },
    model::{
        desired::{DesiredRecord, ItemKind},
        error::{Fault, Kind, Result},
        health::{Condition, ConditionState},
        id::{NsdInfoId, VnfId, VnfPkgId},
        ns::NsInstance,
        op::Operation,
        own::{Asked, Coordinated, Ended, EndpointKind, Errand, What},
        package::{NsDescriptor, Onboarding, Operational, PackageFile, VnfPackage},
        size::Bytes,
    },
    node::kit::{Shape, TestBox, ns_descriptor, nsd, package, vnfd},
    sim::faults::{Method, Rule, Then},
    store::{Durability, Store},
};

/// What a test knows and changes of what is around.
#[derive(Default)]
pub struct World {
    pub closed: Option<String>,
    /// URLs that end so lead nowhere.
    offline: Option<&'static str>,
    /// Done once, when a round asks whether anything may be begun.
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
    /// How often each act is still to be cut off by a crash, by what its path ends with.
    pub crash: Vec<&'static str>,
    pub acts: Vec<Act>,
    /// Nobody is named whom documents have to be signed by.
    pub disowned: bool,
    /// Of another box.
    pub serial: Option<&'static str>,
    /// An operation is under way, or so it is said when the box shall restart.
    pub busy: bool,
    pub restarts: u32,
    fetched: BTreeMap<String, u32>,
}

#[derive(Clone, Default)]
pub struct Around {
    world: Arc<Mutex<World>>,
    store: Option<Store>,
}

const SHA: [u8; 32] = [0; 32];

fn file() -> Option<PackageFile> {
    Some(PackageFile { path: "".into(), sha256: SHA, size: Bytes(1), media_type: "".into() })
}

impl Around {
    pub fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn may_crash(&self, path: &str) {
        let at = self.world().crash.iter().position(|c| path.ends_with(c));
        if let Some(at) = at {
            self.world().crash.remove(at);
            panic!("the crash of a test, at {path}");
        }
    }
}

impl Outside for Around {
    fn closed(&self) -> Option<String> {
        let closed = self.world().closed.clone();
        let meanwhile = self.world().meanwhile.take();
        if let Some(m) = meanwhile {
            m();
        }
        closed
    }
    fn is_owned(&self) -> bool {
        !self.world().disowned
    }
    fn serial(&self) -> Option<SmolStr> {
        Some(self.world().serial.unwrap_or("BX-1").into())
    }
    /// A signature is a word here; those of OpenSSL have their test over the API.
    fn verified(&self, signed: &[u8]) -> Result<Signed> {
        let content = signed.strip_prefix(b"signed:").ok_or_else(|| Fault::forbidden("signed by nobody"))?;
        Ok(Signed { content: content.to_vec(), signer: "owner".into(), fingerprint: [1; 32] })
    }
    fn fetch(&self, kind: ItemKind, id: Uuid, url: &str, _: &[u8; 32], done: Fetching) {
        self.may_crash(url);
        if self.world().offline.is_some_and(|o| url.ends_with(o)) {
            return done.ended(Err(Fault::transient("no route to host")));
        }
        *self.world().fetched.entry(url.to_owned()).or_default() += 1;
        let store = self.store.as_ref().expect("a store");
        let put = store.write(Durability::Barrier, |tx| match kind {
            ItemKind::Package => {
                let of = package(vnfd("vnf", &Shape::small()));
                let onboarded = (Onboarding::Onboarded, Operational::Enabled);
                assert_eq!((of.onboarding, of.operational), onboarded);
                tx.put(&VnfPackage { id: VnfPkgId(id), archive: file(), ..of })
            }
            ItemKind::Nsd | ItemKind::Service | ItemKind::Host => {
                tx.put(&NsDescriptor { id: NsdInfoId(id), archive: file(), ..ns_descriptor(nsd("ns", &[("one", "vnf", &[])])) })
            }
        });
        done.ended(put);
    }
    fn restart(&self) -> Result<()> {
        if self.world().busy {
            return Err(Fault::conflict("an operation is under way"));
        }
        self.world().restarts += 1;
        Ok(())
    }
    fn tell(&self, act: Act) {
        self.world().acts.push(act.clone());
        self.may_crash(&act.path);
    }
}

pub struct Case {
    pub b: TestBox,
    pub around: Around,
    pub state: Arc<DesiredState>,
}

impl Case {
    pub fn new() -> Case {
        let (b, around) = (TestBox::new(), Around::default());
        // As a daemon's start makes them.
        b.core().vnfm().layout().folders().iter().for_each(|f| std::fs::create_dir_all(f).expect("folder"));
        let state = keeper(&b, &around);
        Case { b, around, state }
    }

    pub fn condition(&self) -> Condition {
        self.state.health().0.expect("one")
    }

    pub fn take(&self, document: &Value) -> Result<bool> {
        self.state.take(format!("signed:{document}").as_bytes(), "ada")
    }

    /// As a daemon that is killed in the middle of what it does, and comes up again.
    pub fn crash(&mut self) {
        self.crash_before(None);
    }

    /// What comes up meets this.
    pub fn crash_before(&mut self, rule: Option<Rule>) {
        self.b.kill();
        if let Some(rule) = rule {
            self.b.sim.faults().add(rule);
        }
        self.b.start();
        self.state = keeper(&self.b, &self.around);
    }

    /// Rounds until each item is so, with a crash wherever one waits.
    pub fn until(&mut self, state: State) -> u32 {
        let mut crashes = 0;
        for _ in 0..20_000 {
            let round = catch_unwind(AssertUnwindSafe(|| self.state.round().expect("a round")));
            if round.is_err() {
                crashes += 1;
                self.crash();
            }
            let now = self.state.status().expect("a status");
            if now.items.iter().all(|i| i.state == state) {
                return crashes;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never {state:?}: {:#?}\n{}", self.state.status(), self.b.picture());
    }

    /// Rounds until something is so.
    pub fn rounds(&self, so: impl Fn(&Case) -> bool) {
        for _ in 0..20_000 {
            self.state.round().expect("a round");
            if so(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never: {:#?}", self.state.status());
    }

    pub fn of(&self, name: &str) -> Item {
        self.state.status().expect("a status").items.into_iter().find(|i| i.name == name).expect("named")
    }

    /// Rounds until a service is told as failed.
    fn failed(&self) -> Item {
        for _ in 0..20_000 {
            self.state.round().expect("a round");
            let now = self.state.status().expect("a status");
            if let Some(i) = now.items.into_iter().find(|i| i.kind == ItemKind::Service && i.state == State::Failed) {
                return i;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("never: {:#?}", self.state.status());
    }

    pub fn services(&self) -> Vec<NsInstance> {
        self.b.store().list().expect("read")
    }
    fn made(&self) -> usize {
        self.b.store().get::<DesiredRecord>(&()).expect("read").map_or(0, |r| r.made.len())
    }
    fn counts(&self) -> (usize, usize, usize) {
        let packages = self.b.store().list::<VnfPackage>().expect("read").len();
        (packages, self.b.store().list::<NsDescriptor>().expect("read").len(), self.services().len())
    }
}

fn keeper(b: &TestBox, around: &Around) -> Arc<DesiredState> {
    let around = Around { store: Some(b.store().clone()), ..around.clone() };
    let quick = Settings { pause: Duration::from_millis(1), longest: Duration::from_millis(4), ..Settings::default() };
    DesiredState::new(b.core().nfvo.clone(), b.core().host.clone(), Box::new(around), ask, quick)
}

pub fn document(version: u64) -> Value {
    let sha = "0".repeat(64);
    json!({
        "bothy-desired": 1, "version": version,
        "packages": [{"id": "vnf", "sha256": sha, "url": "https://fleet/vnf.csar"}],
        "nsds": [{"id": "ns", "sha256": sha, "url": "https://fleet/ns.csar"}],
        "services": [{"name": "uplink", "nsdId": "ns", "instantiate": {"nsFlavourId": "df"}}],
    })
}

/// Everything it made goes.
pub fn nothing(version: u64) -> Value {
    json!({"bothy-desired": 1, "version": version, "prune": true})
}

#[test]
fn what_is_signed_comes_and_goes_and_each_act_is_told() {
    let mut c = Case::new();
    assert!(c.take(&document(1)).expect("taken"));
    assert_eq!(c.condition().state, ConditionState::Pending);
    c.until(State::InPlace);
    let [ns] = &c.services()[..] else { panic!("one service") };
    c.b.assert_ns_up(ns.id);
    assert_eq!((ns.name.as_str(), c.condition().state), ("uplink", ConditionState::Ok));
    let told: Vec<_> = c.around.world().acts.iter().map(|a| (a.method, a.path.clone(), a.op.is_some())).collect();
    assert!(told.contains(&("POST", format!("/nslcm/v2/ns_instances/{}/instantiate", ns.id), true)), "{told:?}");

    // One that names nothing leaves it, unless it says so.
    c.take(&json!({"bothy-desired": 1, "version": 2})).expect("taken");
    c.until(State::Left);
    assert_eq!(c.counts(), (1, 1, 1));
    c.take(&nothing(3)).expect("taken");
    c.until(State::InPlace);
    assert_eq!((c.counts(), c.made()), ((0, 0, 0), 0));
    c.b.assert_nothing_left();
}

#[test]
fn a_crash_at_any_step_doubles_nothing_and_loses_nothing() {
    let up = ["/vnf_packages", "vnf.csar", "/content", "/ns_descriptors", "ns.csar", "/ns_instances", "/instantiate"];
    for at in up {
        let mut c = Case::new();
        c.take(&document(1)).expect("taken");
        c.around.world().crash.push(at);
        assert_eq!(c.until(State::InPlace), 1, "{at}");
        assert_eq!((c.counts(), c.made()), ((1, 1, 1), 3), "{at}");
        c.b.assert_ns_up(c.services()[0].id);
    }
    // All of them in one life, and the way down.
    let mut c = Case::new();
    c.take(&document(1)).expect("taken");
    c.around.world().crash.extend(up);
    assert_eq!(c.until(State::InPlace), 7);
    assert_eq!((c.counts(), c.made()), ((1, 1, 1), 3));
    let ns = c.services()[0].id;
    let (one, two) = (c.b.store().list::<VnfPackage>().expect("read")[0].id, c.b.store().list::<NsDescriptor>().expect("read")[0].id);
    c.take(&nothing(2)).expect("taken");
    let down = [ns.to_string(), one.to_string(), two.to_string()].map(|s| &*s.leak());
    c.around.world().crash.extend(["/terminate"].into_iter().chain(down));
    assert_eq!(c.until(State::InPlace), 4);
    assert_eq!((c.counts(), c.made()), ((0, 0, 0), 0));
    c.b.assert_nothing_left();
}

#[test]
fn an_id_that_was_written_down_before_a_crash_is_the_one_that_is_used() {
    let mut c = Case::new();
    c.take(&document(1)).expect("taken");
    c.until(State::InPlace);
    let was = c.services()[0].id;
    // As if the crash had come before the service was made: somebody takes it away, and the record is all there is.
    let op = c.b.core().nfvo.terminate(was, crate::model::vnf::Stopping::AtOnce, "{}".into()).expect("accepted").id;
    c.b.assert_state(op, "COMPLETED");
    c.b.core().nfvo.delete_ns(was, |_| Ok(())).expect("deleted");
    c.crash();
    c.until(State::InPlace);
    assert_eq!(c.services().iter().map(|n| n.id).collect::<Vec<_>>(), [was]);
    c.b.assert_ns_up(was);
}

#[test]
fn offline_it_keeps_up_what_needs_no_network_and_says_what_does() {
    let mut c = Case::new();
    c.take(&document(1)).expect("taken");
    c.until(State::InPlace);
    c.around.world().offline = Some("");
    let was = c.services()[0].id;
    let op = c.b.core().nfvo.terminate(was, crate::model::vnf::Stopping::AtOnce, "{}".into()).expect("accepted").id;
    c.b.assert_state(op, "COMPLETED");
    c.crash();
    c.until(State::InPlace);
    c.b.assert_ns_up(was);

    let mut more = document(2);
    more["packages"].as_array_mut().expect("a list").push(json!({"id": "new", "sha256": "0".repeat(64), "url": "https://fleet/new.csar"}));
    c.take(&more).expect("taken");
    for _ in 0..3 {
        c.state.round().expect("a round");
    }
    let now = c.state.status().expect("a status");
    let new = now.items.iter().find(|i| i.name == "new").expect("named");
    assert_eq!((new.state, new.reason.as_deref()), (State::Failed, Some("no route to host")));
    assert!(now.items.iter().filter(|i| i.name != "new").all(|i| i.state == State::InPlace), "{now:#?}");
    assert_eq!(c.around.world().fetched.len(), 2);
}

/// One whose pauses do not end.
fn patient(c: &mut Case) {
    let around = Around { store: Some(c.b.store().clone()), ..c.around.clone() };
    let pause = Duration::from_secs(86_400);
    let settings = Settings { pause, longest: pause, ..Settings::default() };
    c.state = DesiredState::new(c.b.core().nfvo.clone(), c.b.core().host.clone(), Box::new(around), ask, settings);
}

#[test]
fn one_dead_url_holds_nothing_else_up_and_is_not_asked_on_and_on() {
    let mut c = Case::new();
    patient(&mut c);
    c.around.world().offline = Some("dead.csar");
    let mut d = document(1);
    d["packages"]
        .as_array_mut()
        .expect("a list")
        .insert(0, json!({"id": "dead", "sha256": "0".repeat(64), "url": "https://fleet/dead.csar?key"}));
    c.take(&d).expect("taken");
    let up =
        |c: &Case| c.state.status().expect("a status").items.into_iter().filter(|i| i.name != "dead").all(|i| i.state == State::InPlace);
    for _ in 0..20_000 {
        c.state.round().expect("a round");
        if up(&c) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(up(&c), "{:#?}", c.state.status());
    assert!(!c.state.round().expect("a round"), "nothing is due");
    // Everybody sees the health: numbers, and nobody's names.
    let told = c.condition().text;
    assert!(told.contains("1 failed, 0 pending") && !told.contains("dead") && !told.contains("route"), "{told}");
}

#[test]
fn a_step_of_a_document_that_does_not_count_any_more_is_not_taken() {
    let mut c = Case::new();
    c.take(&document(1)).expect("taken");
    c.until(State::InPlace);
    let acts = c.around.world().acts.len();
    c.take(&nothing(2)).expect("taken");
    // While the second is being looked at, a third comes that names the service again.
    let state = c.state.clone();
    c.around.world().meanwhile =
        Some(Box::new(move || assert!(state.take(format!("signed:{}", document(3)).as_bytes(), "ada").expect("taken"))));
    for _ in 0..3 {
        c.state.round().expect("a round");
    }
    c.until(State::InPlace);
    assert_eq!((c.around.world().acts.len(), c.counts()), (acts, (1, 1, 1)), "{:#?}", c.around.world().acts);
    c.b.assert_ns_up(c.services()[0].id);
}

#[test]
fn what_breaks_a_look_is_told_and_the_next_one_goes_on() {
    let mut c = Case::new();
    c.take(&document(1)).expect("taken");
    c.around.world().crash.push("/vnf_packages");
    assert!(!c.state.guarded());
    let told = c.condition();
    assert!(told.state == ConditionState::Failed && told.text.contains("fault in Bothy"), "{}", told.text);
    c.until(State::InPlace);
    c.state.guarded();
    assert_eq!(c.condition().state, ConditionState::Ok);
}

#[test]
fn what_a_vnf_was_asked_for_is_not_asked_again_by_itself_and_what_is_given_up_is_not_in_its_place() {
    let mut c = Case::new();
    patient(&mut c);
    c.b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).times(9));
    c.take(&document(1)).expect("taken");
    let op = c.failed().op.expect("its operation");
    let child = c.b.store().list::<Operation>().expect("read").into_iter().find(|o| o.parent == Some(op)).expect("one below it");
    let errand = Errand {
        op: child.id,
        step: 0,
        vnf: VnfId(Uuid::nil()),
        operation: Coordinated::Instantiate,
        what: What::Configure,
        attempt: 0,
        state: Asked::Over(Ended::Stopped(Fault::conflict("nobody knows how far it came").record())),
        endpoint: EndpointKind::Vnf,
        tries: 1,
        why: String::new(),
        delay: None,
        rounds: Vec::new(),
        rejected: Vec::new(),
        revision: 1,
    };
    c.b.store().write(Durability::Barrier, |tx| tx.put(&errand)).expect("stored");
    let told = c.failed();
    assert!(told.step.is_none() && told.reason.as_ref().is_some_and(|r| r.contains("by hand")), "{told:?}");
    // Somebody gives it up.
    c.b.core().nfvo.fail(op).expect("given up");
    let told = c.failed();
    assert!(told.op == Some(op) && told.reason.as_ref().is_some_and(|r| r.contains("ended FAILED")), "{told:?}");
}

#[test]
fn a_service_that_does_not_come_up_is_told_and_comes_when_it_can() {
    let mut c = Case::new();
    c.b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).times(2));
    c.take(&document(1)).expect("taken");
    let failed = c.failed();
    assert!(failed.op.is_some() && failed.reason.is_some(), "{failed:?}");
    c.b.sim.faults().clear();
    c.until(State::InPlace);
    assert_eq!(c.services().len(), 1);
}

#[test]
fn only_newer_documents_for_this_box_count_and_only_while_they_hold() {
    let mut c = Case::new();
    c.take(&document(5)).expect("taken");
    assert!(!c.take(&document(5)).expect("the same"));
    let with = |version: u64, member: &str, v: Value| {
        let mut d = document(version);
        d[member] = v;
        d
    };
    for (d, words) in [
        (document(4), "older than version 5"),
        (with(5, "prune", true.into()), "with other content"),
        (with(6, "serials", json!(["BX-2"])), "for BX-2"),
        (with(6, "not-after", "2020-01-01T00:00:00Z".into()), "expired"),
    ] {
        let f = c.take(&d).expect_err("refused");
        assert!(f.kind() == Kind::Conflict && f.text().contains(words), "{f}");
    }
    let nobody = c.state.take(document(6).to_string().as_bytes(), "eve").expect_err("refused");
    assert_eq!(nobody.kind(), Kind::Forbidden);
    assert_eq!(c.state.status().expect("a status").kept.map(|k| k.version), Some(5));

    // While the box may begin nothing, nothing is begun, and that is told.
    c.around.world().closed = Some("the box restarts".into());
    assert!(!c.state.round().expect("a round"));
    assert_eq!((c.counts(), c.state.status().expect("a status").held.as_deref()), ((0, 0, 0), Some("the box restarts")));
    c.around.world().closed = None;
    c.take(&with(6, "serials", json!(["BX-2", "BX-1"]))).expect("taken");
    c.until(State::InPlace);
}

/// What an earlier document had begun and could not end does not stand in the way of the one that mends it.
#[test]
fn a_corrected_document_takes_where_the_one_before_was_stuck() {
    let other_nsd = |d: &mut Value| {
        d["nsds"].as_array_mut().expect("a list").push(json!({"id": "ns2", "sha256": "0".repeat(64)}));
        d["services"][0]["nsdId"] = "ns2".into();
    };
    let other_words = |d: &mut Value| d["services"][0]["instantiate"]["sapData"] = json!([]);
    for change in [&other_words as &dyn Fn(&mut Value), &other_nsd] {
        let mut c = Case::new();
        c.b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).times(u64::MAX));
        let other = NsDescriptor { archive: file(), ..ns_descriptor(nsd("ns2", &[("one", "vnf", &[])])) };
        c.b.put(&other);
        c.take(&document(1)).expect("taken");
        let stuck = c.failed().op.expect("its operation");
        let mut d = document(2);
        change(&mut d);
        c.take(&d).expect("taken");
        c.b.sim.faults().clear();
        c.until(State::InPlace);
        assert_eq!(c.b.op(stuck).state.name(), "ROLLED_BACK");
        let [ns] = &c.services()[..] else { panic!("one service") };
        assert_eq!(ns.nsd_id, d["services"][0]["nsdId"].as_str().expect("an NSD"));
        c.b.assert_ns_up(ns.id);
    }
}
