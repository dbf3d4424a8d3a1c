//! What a client may ask of an operation occurrence (SOL003 5.4.14 to 5.4.17, SOL005 6.4.11 to 6.4.15),
//! how a refusal for lack of room looks, and preconditions: the same for VNFs and for services.

use bothy::{
    model::{error::Kind, size::Bytes},
    sim::{
        Behaviour,
        faults::{Method, Rule, Then},
    },
    vim::port::DiskRoom,
};
use serde_json::{Value, json};

use crate::{
    kit::fits,
    rig::{Rig, rig},
    schema,
};

/// A VNF of one guest, or a service of three.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Vnf,
    Ns,
}

impl Of {
    /// Onboards what it is made of; once for each box.
    async fn onboard(self, rig: &Rig) -> Value {
        match self {
            Of::Vnf => rig.onboard_vnf("descriptors/vcpe/vcpe-web").await,
            Of::Ns => rig.onboard_vcpe().await,
        }
    }
    async fn create(self, rig: &Rig, from: &Value) -> String {
        let (path, body) = match self {
            Of::Vnf => ("/vnflcm/v2/vnf_instances", json!({"vnfdId": from["vnfdId"]})),
            Of::Ns => ("/nslcm/v2/ns_instances", json!({"nsdId": from["nsdId"], "nsName": "site", "nsDescription": ""})),
        };
        let made = rig.post(path, body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.header("location").expect("location").to_owned()
    }
    fn instantiate(self) -> Value {
        match self {
            Of::Vnf => json!({"flavourId": "default"}),
            Of::Ns => json!({"nsFlavourId": "default"}),
        }
    }
    fn terminate(self) -> Value {
        match self {
            Of::Vnf => json!({"terminationType": "FORCEFUL"}),
            Of::Ns => json!({}),
        }
    }
    fn op_path(self, op: &Value) -> String {
        let at = match self {
            Of::Vnf => "/vnflcm/v2/vnf_lcm_op_occs",
            Of::Ns => "/nslcm/v2/ns_lcm_op_occs",
        };
        format!("{at}/{}", op["id"].as_str().expect("id"))
    }
    fn fits(self, op: &Value) {
        match self {
            Of::Vnf => fits(schema::VNFLCM, "VnfLcmOpOcc", op),
            Of::Ns => fits(schema::NSLCM, "NsLcmOpOcc", op),
        }
    }
    /// Follows an operation to rest after an act on it was accepted.
    async fn act(self, rig: &Rig, op: &str, act: &str) -> Value {
        let r = rig.ask(&format!("POST {op}/{act}"), &[], "").await;
        assert_eq!((r.status, r.body.as_str()), (202, ""), "{act}: {}", r.body);
        let op = rig.settled(op, "operationState", &["STARTING", "PROCESSING", "ROLLING_BACK"]).await;
        self.fits(&op);
        op
    }
    async fn end(self, rig: &Rig, at: &str) {
        let op = rig.task(&format!("{at}/terminate"), self.terminate()).await;
        assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
        assert_eq!(rig.sim.leftovers(), []);
        assert_eq!(rig.delete(at).await.status, 204);
    }
}

/// Each act is refused, and says in which state the operation is.
async fn refused(rig: &Rig, op: &str, acts: &[&str], says: &str) {
    for act in acts {
        let r = if *act == "cancel" {
            rig.post(&format!("{op}/cancel"), json!({"cancelMode": "GRACEFUL"})).await
        } else {
            rig.ask(&format!("POST {op}/{act}"), &[], "").await
        };
        assert_eq!(r.status, 409, "{act}: {}", r.body);
        assert!(r.problem().contains(says), "{act}: {}", r.body);
        fits(schema::SOL005, "ProblemDetails", &r.json());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_operation_is_retried_rolled_back_or_given_up() {
    for of in [Of::Vnf, Of::Ns] {
        let rig = rig(64, "").await;
        let from = of.onboard(&rig).await;
        // A service goes on as well (SOL005 6.4.13).
        let ways: &[&str] = if of == Of::Ns { &["retry", "continue", "rollback", "fail"] } else { &["retry", "rollback", "fail"] };
        for way in ways.iter().copied() {
            let at = of.create(&rig, &from).await;
            rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
            let stuck = rig.task(&format!("{at}/instantiate"), of.instantiate()).await;
            assert_eq!(stuck["operationState"], "FAILED_TEMP", "{stuck:#}");
            assert_eq!(stuck["error"]["status"], 409, "{stuck:#}");
            assert!(stuck["error"]["detail"].as_str().is_some_and(|d| d.contains("Start")), "{stuck:#}");
            let op = of.op_path(&stuck);
            for link in ways {
                let href = stuck["_links"][link]["href"].as_str().expect("a link");
                assert!(href.ends_with(&format!("{op}/{link}")), "{href}");
            }
            assert!(stuck["_links"]["cancel"].is_null(), "nothing runs: {stuck:#}");
            refused(&rig, &op, &["cancel"], "FAILED_TEMP").await;
            match way {
                "retry" | "continue" => {
                    let starts = rig.sim.faults().count(Method::Start);
                    let done = of.act(&rig, &op, way).await;
                    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
                    assert!(done["error"].is_null() && done["_links"][way].is_null(), "{done:#}");
                    assert!(rig.sim.faults().count(Method::Start) > starts, "what failed is tried again");
                    refused(&rig, &op, ways, "COMPLETED").await;
                    refused(&rig, &op, &["cancel"], "COMPLETED").await;
                    of.end(&rig, &at).await;
                }
                "rollback" => {
                    let back = of.act(&rig, &op, "rollback").await;
                    assert_eq!(back["operationState"], "ROLLED_BACK", "{back:#}");
                    assert_eq!(rig.sim.leftovers(), []);
                    refused(&rig, &op, &["retry", "rollback", "fail", "cancel"], "ROLLED_BACK").await;
                    assert_eq!(rig.delete(&at).await.status, 204);
                }
                _ => {
                    let r = rig.ask(&format!("POST {op}/fail"), &[], "").await;
                    assert_eq!(r.status, 200, "{}", r.body);
                    of.fits(&r.json());
                    assert_eq!(r.json()["operationState"], "FAILED");
                    refused(&rig, &op, &["retry", "rollback", "fail", "cancel"], "FAILED").await;
                    of.end(&rig, &at).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_under_way_is_cancelled_in_either_mode() {
    for of in [Of::Vnf, Of::Ns] {
        let rig = rig(64, "").await;
        let from = of.onboard(&rig).await;
        // They never say that they are ready.
        rig.sim.set_guests(|_| Behaviour::default());
        for mode in ["GRACEFUL", "FORCEFUL"] {
            let at = of.create(&rig, &from).await;
            let before = rig.sim.faults().count(Method::Start);
            let r = rig.post(&format!("{at}/instantiate"), of.instantiate()).await;
            let op = r.header("location").expect("location").to_owned();
            let begun = std::time::Instant::now();
            while rig.sim.faults().count(Method::Start) == before {
                assert!(begun.elapsed().as_secs() < 20, "no guest is started");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let moving = rig.show(&op).await;
            of.fits(&moving);
            assert_eq!(moving["operationState"], "PROCESSING", "{moving:#}");
            assert!(moving["_links"]["cancel"].is_object() && moving["_links"]["retry"].is_null(), "{moving:#}");
            refused(&rig, &op, &["retry", "rollback", "fail"], "PROCESSING").await;
            assert_eq!(rig.delete(&at).await.status, 409);
            assert_eq!(rig.post(&format!("{op}/cancel"), json!({"cancelMode": "SOON"})).await.status, 422);
            if of == Of::Ns {
                let parts = rig.show("/vnflcm/v2/vnf_lcm_op_occs").await;
                let part = parts.as_array().expect("list").iter().find(|o| o["operationState"] == "PROCESSING").expect("a part");
                refused(&rig, &Of::Vnf.op_path(part), &["cancel"], "").await;
            }
            let r = rig.post(&format!("{op}/cancel"), json!({"cancelMode": mode})).await;
            assert_eq!((r.status, r.body.as_str()), (202, ""), "{}", r.body);
            let stuck = rig.settled(&op, "operationState", &["PROCESSING"]).await;
            of.fits(&stuck);
            assert_eq!(stuck["operationState"], "FAILED_TEMP", "{stuck:#}");
            assert!(stuck["error"]["detail"].as_str().is_some_and(|d| d.contains("cancelled")), "{stuck:#}");
            let back = of.act(&rig, &op, "rollback").await;
            assert_eq!(back["operationState"], "ROLLED_BACK", "{back:#}");
            assert_eq!(rig.sim.leftovers(), []);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_without_room_says_what_is_short_and_for_which_vnf() {
    let none = DiskRoom { total: Bytes(1 << 30), free: Bytes(1 << 20), disks: Bytes(0) };
    let enough = DiskRoom { total: Bytes(1 << 50), free: Bytes(1 << 50), disks: Bytes(0) };
    for of in [Of::Vnf, Of::Ns] {
        let rig = rig(64, "").await;
        let from = of.onboard(&rig).await;
        let at = of.create(&rig, &from).await;
        rig.sim.set_room(none);
        let op = rig.task(&format!("{at}/instantiate"), of.instantiate()).await;
        let error = &op["error"];
        fits(schema::SOL003, "ProblemDetails", error);
        assert_eq!(error["status"], 409, "{op:#}");
        assert!(error["detail"].as_str().is_some_and(|d| d.contains("not enough room")), "{op:#}");
        let reasons: Vec<&str> = error["reasons"].as_array().expect("reasons").iter().filter_map(Value::as_str).collect();
        assert!(reasons.iter().all(|r| r.contains("disk: ") && r.contains(" MiB wanted, ")), "{reasons:?}");
        assert_eq!(rig.sim.leftovers(), []);
        let path = of.op_path(&op);
        match of {
            // SOL003 5.6.2.2: the grant was refused in STARTING, and that is its end.
            Of::Vnf => {
                assert_eq!((op["operationState"].as_str(), reasons.len()), (Some("ROLLED_BACK"), 1), "{op:#}");
                refused(&rig, &path, &["retry", "cancel"], "ROLLED_BACK").await;
                rig.sim.set_room(enough);
                let op = rig.task(&format!("{at}/instantiate"), of.instantiate()).await;
                assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
            }
            // SOL005 6.6.2.2: it waits for its client, who may try again.
            Of::Ns => {
                assert_eq!((op["operationState"].as_str(), reasons.len()), (Some("FAILED_TEMP"), 3), "{op:#}");
                for vnf in ["client", "firewall", "web"] {
                    assert!(reasons.iter().any(|r| r.contains(vnf)), "{vnf}: {reasons:?}");
                }
                // There is no more room than before.
                refused(&rig, &path, &["retry"], "not enough room").await;
                assert_eq!(rig.show(&path).await["operationState"], "FAILED_TEMP");
                rig.sim.set_room(enough);
                let done = of.act(&rig, &path, "retry").await;
                assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
            }
        }
        of.end(&rig, &at).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reboot_is_an_operate_that_can_be_retried_and_rolled_back() {
    let rig = rig(64, "").await;
    let from = Of::Vnf.onboard(&rig).await;
    let at = Of::Vnf.create(&rig, &from).await;
    let id = at.rsplit('/').next().expect("id").to_owned();
    let path = |query: &str| format!("POST /bothy/v1/vnf/{id}/restart{query}");
    assert_eq!(rig.ask(&path(""), &[], "").await.status, 409, "it is not instantiated");
    rig.task(&format!("{at}/instantiate"), Of::Vnf.instantiate()).await;
    for (query, status) in [("?within_s=x", 400), ("?within_s=86401", 400), ("?how=hard", 400), ("?vdu=nobody", 404)] {
        let r = rig.ask(&path(query), &[], "").await;
        assert_eq!(r.status, status, "{query}: {}", r.body);
        r.problem();
    }
    for (query, shown) in [("", json!({"reboot": true})), ("?vdu=web&within_s=0", json!({"reboot": true, "rebootWithin": 0, "vdu": "web"}))]
    {
        for way in ["done", "retry", "rollback"] {
            if way != "done" {
                rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
            }
            let r = rig.ask(&path(query), &[], "").await;
            assert_eq!((r.status, r.body.as_str()), (202, ""), "{}", r.body);
            let op = r.header("location").expect("location").to_owned();
            let end = rig.settled(&op, "operationState", &["STARTING", "PROCESSING"]).await;
            Of::Vnf.fits(&end);
            assert_eq!(end["operation"], "OPERATE", "{end:#}");
            assert!(
                end["warnings"].as_array().is_some_and(|w| w.iter().any(|w| w.to_string().contains("without KVM"))),
                "it starts a guest without KVM: {end:#}"
            );
            assert_eq!(end["operationParams"], json!({"changeStateTo": "STARTED", "additionalParams": shown}), "{end:#}");
            let (state, last) = match way {
                "retry" => ("FAILED_TEMP", "COMPLETED"),
                "rollback" => ("FAILED_TEMP", "ROLLED_BACK"),
                _ => ("COMPLETED", "COMPLETED"),
            };
            assert_eq!(end["operationState"], state, "{end:#}");
            if way != "done" {
                assert_eq!(Of::Vnf.act(&rig, &op, way).await["operationState"], last);
            }
            assert_eq!(rig.show(&at).await["instantiatedVnfInfo"]["vnfState"], "STARTED");
        }
    }
    let stop = rig.task(&format!("{at}/operate"), json!({"changeStateTo": "STOPPED"})).await;
    assert_eq!(stop["operationState"], "COMPLETED");
    let r = rig.ask(&path(""), &[], "").await;
    assert!(r.status == 409 && r.problem().contains("start it instead"), "{}", r.body);
    Of::Vnf.end(&rig, &at).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_of_another_version_than_the_clients_is_refused() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let package = rig.onboard_vnf("tests/fixtures/packages/router").await;
    let vnf = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await;
    let vnf = vnf.header("location").expect("location").to_owned();
    let ns = Of::Ns.create(&rig, &nsd).await;
    let id = |v: &Value| v["id"].as_str().expect("id").to_owned();
    let (nsd, package) = (format!("/nsd/v2/ns_descriptors/{}", id(&nsd)), format!("/vnfpkgm/v2/vnf_packages/{}", id(&package)));
    let changes = [
        (&vnf, Some(json!({"vnfInstanceName": "other"})), 202),
        (&ns, None, 0),
        (&package, Some(json!({"operationalState": "DISABLED"})), 200),
        (&nsd, Some(json!({"nsdOperationalState": "DISABLED"})), 200),
    ];
    for (at, change, status) in changes {
        let old = rig.get(at).await.header("etag").expect("etag").to_owned();
        let known = match change {
            Some(change) => {
                assert_eq!(rig.patch(at, &[], change.clone()).await.status, status, "{at}");
                // The version of before is refused for a change as for a deletion.
                let stale = rig.patch(at, &[&format!("if-match: {old}")], change).await;
                assert_eq!(stale.status, 412, "{at}: {}", stale.body);
                let stale = rig.ask(&format!("DELETE {at}"), &[&format!("if-match: {old}")], "").await;
                assert_eq!(stale.status, 412, "{at}: {}", stale.body);
                stale.problem();
                rig.get(at).await.header("etag").expect("etag").to_owned()
            }
            None => {
                let other = rig.ask(&format!("DELETE {at}"), &["if-match: \"7\""], "").await;
                assert_eq!(other.status, 412, "{at}: {}", other.body);
                old
            }
        };
        let gone = rig.ask(&format!("DELETE {at}"), &[&format!("if-match: {known}")], "").await;
        assert_eq!(gone.status, 204, "{at}: {}", gone.body);
        assert_eq!(rig.ask(&format!("DELETE {at}"), &[&format!("if-match: {known}")], "").await.status, 404);
    }
}
