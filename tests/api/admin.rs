//! /bothy/v1 over an in-memory box with a running service, each answer held against the description.

use bothy::{
    model::{
        domain::{DomainSpec, Owner},
        epa::{Epa, PagePolicy, PinPolicy, ThreadPolicy},
        error::Kind,
        host::NodeId,
        hw::PageSize,
        id::{NsId, OpId, ProjectId, VnfId, VnfcId},
        package::VnfPackage,
        setup::PagePool,
        size::MiB,
        vnfd::Firmware,
    },
    sim::faults::{Method, Rule, Then},
    store::Durability,
    vim::{
        port::{GuestState, Hypervisor as _},
        setup::{Desired, Profile},
    },
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    rig::{Reply, Rig, rig},
    shape::{described, schema_of},
};

/// The sample web server's VNFD.
const WEB: &str = "b0714103-0000-4000-8000-000000000001";

/// Holds an answer against config/openapi.yaml.
pub fn fits(path: &str, method: &str, r: &Reply) -> Value {
    assert_eq!(r.status, 200, "{path}: {}", r.body);
    let schema = schema_of(&described(), path, method, "200");
    let v = r.json();
    let faults: Vec<String> = jsonschema::validator_for(&schema).expect("schema").iter_errors(&v).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{path}: {faults:?}\n{v:#}");
    v
}

/// Holds a resource against what config/openapi.yaml says of a GET there.
pub fn described_as(path: &str, v: &Value) {
    let schema = schema_of(&described(), path, "get", "200");
    let faults: Vec<String> = jsonschema::validator_for(&schema).expect("schema").iter_errors(v).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{path}: {faults:?}\n{v:#}");
}

/// The vcpe service, running; its path and resource.
async fn site(rig: &Rig) -> (String, Value) {
    let nsd = rig.onboard_vcpe().await;
    instance(rig, &nsd).await
}

async fn instance(rig: &Rig, nsd: &Value) -> (String, Value) {
    let made = rig.post("/nslcm/v2/ns_instances", json!({"nsdId": nsd["nsdId"], "nsName": "site", "nsDescription": ""})).await;
    let ns = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{ns}/instantiate"), json!({"nsFlavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");
    let up = rig.show(&ns).await;
    (ns, up)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_everything_and_makes_nothing() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    let ask = |request: Value| json!({"ns": {"nsdId": nsd["nsdId"], "name": "site", "request": request}});
    let r = rig.post("/bothy/v1/plan", ask(json!({"nsFlavourId": "default"}))).await;
    let plan = fits("/bothy/v1/plan", "post", &r);
    assert_eq!(plan["vnfs"].as_array().map(Vec::len), Some(3), "{plan:#}");
    let guest = &plan["vnfs"][0]["guests"][0];
    assert!(guest["ports"].as_array().is_some_and(|p| p.iter().all(|p| p["vlan"].as_u64() > Some(0))), "{guest:#}");
    assert!(plan["steps"].as_array().is_some_and(|s| s.iter().any(|s| s["label"].as_str().is_some_and(|l| l.starts_with("define ")))));
    assert_eq!(rig.sim.leftovers(), []);
    assert_eq!(rig.show("/nslcm/v2/ns_instances").await, json!([]));

    let web = json!({"vnf": {"vnfdId": "b0714103-0000-4000-8000-000000000001", "request": {"flavourId": "default"}}});
    let r = rig.post("/bothy/v1/plan", web).await;
    assert_eq!(fits("/bothy/v1/plan", "post", &r)["vnfs"].as_array().map(Vec::len), Some(1));

    for (body, status, says) in [
        (ask(json!({"nsFlavourId": "huge"})), 422, "it has"),
        (ask(json!({"nsFlavourId": "default", "additionalParamsForVnf": [{"vnfProfileId": "x"}]})), 422, "no VNF profile 'x'"),
        (json!({"ns": {"nsdId": "none", "request": {"nsFlavourId": "default"}}}), 422, "none"),
        (json!({}), 422, "either ns or vnf"),
        (json!({"ns": {"request": {"nsFlavourId": "default"}}}), 422, "ns.nsdId or"),
    ] {
        let r = rig.post("/bothy/v1/plan", body).await;
        assert_eq!(r.status, status, "{}", r.body);
        assert!(r.problem().contains(says), "{}", r.body);
    }
}

/// The web server's guest pins its vCPUs and has 2 MiB pages from now on.
fn wish(rig: &Rig) {
    let store = rig.core.vnfm().store();
    let all = store.list::<VnfPackage>().expect("packages");
    let mut web = all.into_iter().find(|p| p.vnfd.as_ref().is_some_and(|v| v.id == WEB)).expect("the web server");
    for vdu in web.vnfd.iter_mut().flat_map(|v| &mut v.flavours).flat_map(|f| &mut f.vdus) {
        vdu.epa = Epa { pinning: PinPolicy::Dedicated, threads: ThreadPolicy::Isolate, pages: PagePolicy::Size2M, ..Epa::default() };
    }
    store.write(Durability::Barrier, |tx| tx.put(&web)).expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_guest_is_shown_by_plan_usage_and_explain() {
    let rig = rig(64, "").await;
    let nsd = rig.onboard_vcpe().await;
    wish(&rig);
    let r = rig.post("/bothy/v1/plan", json!({"ns": {"nsdId": nsd["nsdId"], "name": "s", "request": {"nsFlavourId": "default"}}})).await;
    let plan = fits("/bothy/v1/plan", "post", &r);
    let places: Vec<&str> = plan["vnfs"].as_array().expect("VNFs").iter().filter_map(|v| v["guests"][0]["placement"].as_str()).collect();
    assert_eq!(places, ["node 0: vCPUs 0 on CPUs 0 (32 idle), 128 MiB in 2 MiB pages"]);
    assert!(plan["warnings"].to_string().contains("no CPU of the host is isolated"), "{plan:#}");

    let zero = fits("/bothy/v1/host/ztp", "get", &rig.get("/bothy/v1/host/ztp").await);
    assert_eq!(zero, json!({"state": "FACTORY", "reports": [], "passed": []}));
    let free = fits("/bothy/v1/host/usage", "get", &rig.get("/bothy/v1/host/usage").await);
    assert_eq!((&free["nodes"][0]["wholeCoresFree"], &free["nodes"][0]["cpus"], &free["drift"]), (&json!(16), &json!([]), &json!([])));
    let (_, up) = instance(&rig, &nsd).await;
    let usage = fits("/bothy/v1/host/usage", "get", &rig.get("/bothy/v1/host/usage").await);
    let node = &usage["nodes"][0];
    let vnf = up["vnfInstance"].as_array().expect("VNFs").iter().find(|v| v["vnfdId"] == WEB).expect("the web server");
    let guest = &vnf["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"];
    assert_eq!(node["wholeCoresFree"], 15);
    assert_eq!(
        (&node["cpus"][0]["use"], &node["cpus"][0]["holder"]["id"], &node["cpus"][1]["use"]),
        (&json!("VCPU"), guest, &json!("IDLE"))
    );
    let large = node["pages"].as_array().expect("pages").iter().find(|p| p["sizeKib"] == 2048).expect("2 MiB pages");
    assert_eq!((&large["held"], &large["holders"][0]["pages"]), (&json!(64), &json!(64)));
    let e = rig.get(&format!("/bothy/v1/explain/{}", guest.as_str().expect("an id"))).await;
    let e = fits("/bothy/v1/explain/{id}", "get", &e);
    assert!(e["because"].to_string().contains("its wishes for hardware gave it this place: node 0: vCPUs 0 on CPUs 0"), "{e:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_can_be_looked_into() {
    let rig = rig(64, "").await;
    let secret = rig.ask("PUT /bothy/v1/secrets/wifi", &["content-type: application/json"], r#"{"value": "hunter2"}"#).await;
    assert_eq!(secret.status, 204, "{}", secret.body);
    let names = fits("/bothy/v1/secrets", "get", &rig.get("/bothy/v1/secrets").await);
    assert_eq!(names, json!([{"name": "wifi"}]));
    let body = &described()["paths"]["/bothy/v1/secrets/{name}"]["put"]["requestBody"]["content"]["application/json"]["schema"];
    let body = jsonschema::validator_for(body).expect("schema");
    for (given, status) in
        [(json!({"value": "x"}), 204), (json!({}), 422), (json!({"value": 1}), 422), (json!({"value": "x", "y": 1}), 422)]
    {
        let r = rig.ask("PUT /bothy/v1/secrets/other", &["content-type: application/json"], &given.to_string()).await;
        assert_eq!((r.status, body.is_valid(&given)), (status, status == 204), "{given}: {}", r.body);
        assert!(!r.body.contains("hunter2"));
    }
    assert_eq!(rig.delete("/bothy/v1/secrets/other").await.status, 204);
    let (_, up) = site(&rig).await;

    let host = fits("/bothy/v1/host", "get", &rig.get("/bothy/v1/host").await);
    assert!(host["cpu"]["promised"].as_u64() >= Some(3), "{host:#}");
    let chains = fits("/bothy/v1/chains", "get", &rig.get("/bothy/v1/chains").await);
    let graph = &up["vnffgInfo"][0];
    assert_eq!((&graph["vnffgdId"], graph["vnfInstanceId"].as_array().map(Vec::len)), (&json!("site"), Some(3)), "{graph:#}");
    assert_eq!(graph["nsVirtualLinkInfoId"].as_array().map(Vec::len), Some(2), "{graph:#}");
    let chain = &chains[0];
    assert_eq!((&chain["nfp"], &chain["vnffg"], &chain["state"]), (&json!("to_web"), &json!("site"), &json!("ACTIVE")), "{chains:#}");
    assert_eq!((&chain["hops"][0]["name"], &chain["hops"][0]["live"]), (&json!("firewall"), &json!(1)), "{chains:#}");
    let nets = fits("/bothy/v1/networks", "get", &rig.get("/bothy/v1/networks").await);
    assert!(nets.as_array().is_some_and(|n| n.iter().any(|s| s["link"] == "lan" || !s["stations"].as_array().expect("list").is_empty())));
    let ops = rig.show("/nslcm/v2/ns_lcm_op_occs").await;
    let op = ops[0]["id"].as_str().expect("id");
    let path = format!("/bothy/v1/operations/{op}/timeline");
    let steps = fits("/bothy/v1/operations/{id}/timeline", "get", &rig.get(&path).await);
    assert!(steps["steps"].as_array().is_some_and(|s| !s.is_empty() && s.iter().all(|s| s["state"] == "DONE")), "{steps:#}");

    let vnf = &up["vnfInstance"][0];
    let id = vnf["id"].as_str().expect("id");
    let of = |leaf: &str| format!("/bothy/v1/vnf/{id}/{leaf}");
    let log = rig.get(&of("serial")).await;
    assert!(log.status == 200 && log.body.contains("bothy-tiny ready"), "{}", log.body);
    assert_eq!(rig.get(&of("serial?bytes=3")).await.bytes.len(), 3);
    assert_eq!(rig.get(&of("serial?bytes=x")).await.status, 400);
    assert_eq!(rig.get(&of("serial?vdu=nobody")).await.status, 404);
    assert_eq!(rig.get(&of("domain")).await.status, 200);
    let media = fits("/bothy/v1/vnf/{id}/day0", "get", &rig.get(&of("day0")).await);
    assert!(media[0]["files"].as_array().is_some_and(|f| f.iter().any(|f| f["path"] == "user-data")), "{media:#}");
    let reboot = rig.ask(&format!("POST {}", of("reboot")), &[], "").await;
    assert_eq!(reboot.status, 204, "{}", reboot.body);

    let info = &vnf["instantiatedVnfInfo"];
    let link = up["virtualLinkInfo"][0]["id"].as_str();
    let guest = info["vnfcResourceInfo"][0]["id"].as_str();
    let port = info["vnfcResourceInfo"][0]["vnfcCpInfo"][0]["id"].as_str();
    let disk = info["virtualStorageResourceInfo"][0]["id"].as_str();
    for id in [up["id"].as_str(), Some(id), link, guest, port, disk, Some(op)] {
        let e = rig.get(&format!("/bothy/v1/explain/{}", id.expect("an id"))).await;
        let e = fits("/bothy/v1/explain/{id}", "get", &e);
        assert!(e["because"].as_array().is_some_and(|b| !b.is_empty()), "{e:#}");
    }
    assert_eq!(rig.get("/bothy/v1/explain/00000000-0000-4000-8000-000000000000").await.status, 404);

    let before = fits("/bothy/v1/store", "get", &rig.get("/bothy/v1/store").await);
    let made = rig.ask("POST /bothy/v1/projects", &["content-type: application/json"], r#"{"name": "one-more"}"#).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let after = fits("/bothy/v1/store", "get", &rig.get("/bothy/v1/store").await);
    let of = |v: &Value, what: &str| v["databases"][0][what].as_u64().expect("a count");
    for what in ["transactions", "barriers"] {
        assert!(of(&after, what) > of(&before, what), "{what}: {before:#} {after:#}");
    }
    assert!(of(&after, "liveBytes") > 0, "{after:#}");

    let sound = rig.ask("POST /bothy/v1/store/verify", &[], "").await;
    assert_eq!(fits("/bothy/v1/store/verify", "post", &sound)["sound"], true);
    let export = rig.ask("POST /bothy/v1/store/export", &[], "").await;
    assert!(export.status == 200 && export.bytes.starts_with(b"bothy export"), "{}", export.head);

    let support = rig.get("/bothy/v1/support").await;
    assert_eq!(support.status, 200);
    assert!(support.bytes.len() % 512 == 0 && support.bytes.ends_with(&[0; 1024]), "{} bytes", support.bytes.len());
    for part in [
        "version.json",
        "host/facts.json",
        "host/usage.json",
        "records/chains.json",
        "records/alarms.json",
        "records/accounts.json",
        "records/vnf_instances.json",
        "timelines/",
        "domains/",
        "switch/ports.json",
        "serial/",
        "host/nft.txt",
        "bothy.log",
    ] {
        assert!(support.body.contains(&format!("bothy-support/{part}")), "{part}");
    }
    assert!(!support.body.contains("hunter2"));
    let shutdown = |within: &str| format!("POST /bothy/v1/host/shutdown?within_s={within}");
    for wrong in ["-1", "3601", "soon"] {
        assert_eq!(rig.ask(&shutdown(wrong), &[], "").await.status, 400, "{wrong}");
    }
    let down = fits("/bothy/v1/host/shutdown", "post", &rig.ask(&shutdown("5"), &[], "").await);
    assert_eq!((&down["stopped"], &down["destroyed"]), (&json!(3), &json!(0)), "{down:#}");
    let down = fits("/bothy/v1/host/shutdown", "post", &rig.ask("POST /bothy/v1/host/shutdown", &[], "").await);
    assert_eq!((&down["stopped"], &down["destroyed"]), (&json!(0), &json!(0)), "nothing runs any more: {down:#}");
    for again in [false, true] {
        assert_eq!(rig.delete("/bothy/v1/host/shutdown").await.status, 204, "{again}: called off, and nothing to call off");
    }
    let running = |rig: &Rig| rig.sim.list().expect("guests").iter().filter(|g| g.state == GuestState::Running).count();
    for _ in 0..600 {
        if running(&rig) == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(running(&rig), 3, "they run again");
    assert_eq!(rig.delete("/bothy/v1/secrets/wifi").await.status, 204);
    assert_eq!(rig.delete("/bothy/v1/secrets/wifi").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_operation_that_is_stuck_keeps_its_journal_in_the_support_archive() {
    let rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let create = || async {
        let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"], "vnfInstanceName": "web"})).await;
        made.header("location").expect("location").to_owned()
    };
    let (stuck, other) = (create().await, create().await);
    rig.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let op = rig.task(&format!("{stuck}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "FAILED_TEMP", "{op:#}");
    let other: VnfId = other.rsplit('/').next().expect("an id").parse().expect("an id");
    for _ in 0..120 {
        rig.core.vnfm().modify(other, "{}", |_| Ok(())).expect("one more that is over");
    }
    let user = json!({"name": "eve", "password": "a long password of eve", "roles": ["viewer"]});
    assert_eq!(rig.post("/bothy/v1/users", user).await.status, 201);
    let support = rig.get("/bothy/v1/support").await;
    let timelines = support.body.matches("bothy-support/timelines/").count();
    assert!(support.body.contains(&format!("bothy-support/timelines/{}.json", op["id"].as_str().expect("id"))), "{timelines} others");
    assert_eq!(timelines, 101, "that one, and the last hundred that are over");
    assert!(support.body.contains("\"eve\"") && !support.body.contains("argon2") && !support.body.contains("a long password"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_is_the_connection_after_an_upgrade() {
    let rig = rig(64, "").await;
    let (_, up) = site(&rig).await;
    let id = up["vnfInstance"][0]["id"].as_str().expect("id");
    let path = format!("/bothy/v1/vnf/{id}/console");
    let plain = rig.get(&path).await;
    assert_eq!((plain.status, plain.header("upgrade")), (426, Some("bothy-console")), "{}", plain.body);
    assert_eq!(rig.get(&format!("{path}?device=tape")).await.status, 400);
    echoes(&rig, &path).await;
}

/// The in-memory guest's console echoes what is typed.
async fn echoes(rig: &Rig, path: &str) {
    let mut tls = rig.connect().await;
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\nconnection: upgrade\r\nupgrade: bothy-console\r\n\r\n",
        rig.token
    );
    tls.write_all(head.as_bytes()).await.expect("write");
    let mut got = Vec::new();
    let mut byte = [0];
    while !got.ends_with(b"\r\n\r\n") {
        assert_eq!(tls.read(&mut byte).await.expect("read"), 1, "{}", String::from_utf8_lossy(&got));
        got.push(byte[0]);
    }
    assert!(got.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&got));
    tls.write_all(b"hello\n").await.expect("write");
    let mut echoed = Vec::new();
    while !echoed.ends_with(b"hello\n") {
        let mut some = [0; 64];
        let n = tokio::time::timeout(std::time::Duration::from_secs(180), tls.read(&mut some)).await.expect("in time").expect("read");
        assert!(n > 0, "{}", String::from_utf8_lossy(&echoed));
        echoed.extend_from_slice(&some[..n]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_shown_planned_applied_and_undone() {
    let rig = rig(64, "").await;
    let facts = fits("/bothy/v1/host/facts", "get", &rig.get("/bothy/v1/host/facts").await);
    assert_eq!((facts["nodes"].as_array().map(Vec::len), facts["smt"].as_bool()), (Some(2), Some(true)));
    let pf = facts["devices"].as_array().and_then(|d| d.iter().find(|d| d["sriov"]["physicalNetwork"] == "wan")).expect("a PF on wan");
    assert_eq!(pf["sriov"]["vfs"].as_array().map(Vec::len), Some(8));

    let plan = || async { fits("/bothy/v1/host/plan", "get", &rig.get("/bothy/v1/host/plan").await) };
    let task = |verb: &'static str| {
        let (rig, path) = (&rig, format!("/bothy/v1/host/{verb}"));
        async move { fits(&path, "post", &rig.ask(&format!("POST {path}"), &[], "").await) }
    };
    assert_eq!(plan().await["items"], json!([]), "nothing is wanted");
    let pages = |node, pages| PagePool { node: NodeId(node), size: PageSize::Huge2M, pages };
    rig.want_host(Desired {
        profile: Profile::Throughput,
        hugepages: vec![pages(1, 100), pages(7, 1)],
        host_cpus: "0,32".parse().expect("CPUs"),
        ..Desired::default()
    });
    let p = plan().await;
    assert_eq!(p["items"].as_array().map(Vec::len), Some(3), "{p:#}");
    assert!(p["blocked"][0]["why"].as_str().is_some_and(|w| w.contains("no NUMA node 7")), "{p:#}");
    assert_eq!(p["canUndo"], false);
    let done = task("apply").await;
    assert_eq!((done["done"].as_array().map(Vec::len), &done["failed"]), (Some(3), &json!([])), "{done:#}");
    let p = plan().await;
    assert_eq!((&p["items"], &p["canUndo"]), (&json!([]), &json!(true)), "{p:#}");
    task("undo").await;
    assert_eq!(fits("/bothy/v1/host/facts", "get", &rig.get("/bothy/v1/host/facts").await), facts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pf_is_reloaded_by_an_operation_of_the_host() {
    let rig = rig(64, "").await;
    for (name, status) in [("eth7", 404), ("7f:00.0", 404), ("ens1f0?within_s=soon", 400), ("ens1f0?within_s=3601", 400)] {
        let (name, query) = name.split_once('?').map_or((name, String::new()), |(n, q)| (n, format!("?{q}")));
        let r = rig.ask(&format!("POST /bothy/v1/host/pfs/{name}/reload{query}"), &[], "").await;
        assert_eq!(r.status, status, "{name}: {}", r.body);
    }
    for name in ["ens1f0", "0000:20:00.0"] {
        let begun = rig.ask(&format!("POST /bothy/v1/host/pfs/{name}/reload?within_s=5"), &[], "").await;
        assert_eq!(begun.status, 202, "{}", begun.body);
        let path = begun.header("location").expect("location").to_owned();
        let op = rig.settled(&path, "operationState", &["PROCESSING"]).await;
        assert_eq!(
            (&op["operation"], &op["operationState"], &op["isAutomaticInvocation"]),
            (&json!("RELOAD_PF"), &json!("COMPLETED"), &json!(false))
        );
        assert_eq!(fits("/bothy/v1/host/operations/{id}", "get", &rig.get(&path).await), op);
        let id = op["id"].as_str().expect("an id");
        let steps = fits("/bothy/v1/operations/{id}/timeline", "get", &rig.get(&format!("/bothy/v1/operations/{id}/timeline")).await);
        assert_eq!(steps["steps"].as_array().map(Vec::len), Some(1), "no guest has a function of it: {steps:#}");
        for task in ["retry", "rollback", "fail"] {
            assert_eq!(rig.ask(&format!("POST {path}/{task}"), &[], "").await.status, 409, "{task}");
        }
        assert_eq!(rig.post(&format!("{path}/cancel"), json!({"cancelMode": "GRACEFUL"})).await.status, 409);
        // Neither of ETSI's APIs knows of it.
        for etsi in ["/nslcm/v2/ns_lcm_op_occs", "/vnflcm/v2/vnf_lcm_op_occs"] {
            assert_eq!(rig.get(&format!("{etsi}/{id}")).await.status, 404);
            assert_eq!(rig.get(etsi).await.json(), json!([]));
        }
        assert_eq!(rig.get(&format!("/bothy/v1/explain/{id}")).await.status, 200);
    }
    let all = fits("/bothy/v1/host/operations", "get", &rig.get("/bothy/v1/host/operations").await);
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all:#}");
}

/// A guest that another store made.
fn stranger() -> DomainSpec {
    let id = uuid::Uuid::from_u128;
    DomainSpec {
        id: VnfcId(id(77)),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: Some(NsId(id(3))),
            vnf: VnfId(id(5)),
            op: OpId(id(9)),
            generation: 7,
            vnf_name: "old-fw".into(),
            vdu: "fw".into(),
            index: 0,
        },
        vcpus: 1,
        memory: MiB(64),
        firmware: Firmware::Bios,
        disks: Vec::new(),
        medium: None,
        nics: Vec::new(),
        epa: Epa::default(),
        placed: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_that_no_record_names_are_shown_and_removed_on_request() {
    let rig = rig(64, "").await;
    let (_, up) = site(&rig).await;
    let shown = || async { fits("/bothy/v1/host/guests", "get", &rig.get("/bothy/v1/host/guests").await) };
    assert_eq!(shown().await, json!([]), "those of the service are known");
    rig.sim.define(&stranger()).expect("another store's");
    let all = shown().await;
    let g = &all[0];
    assert_eq!(
        (all.as_array().map(Vec::len), &g["vnfName"], &g["vdu"], &g["generation"], &g["state"]),
        (Some(1), &json!("old-fw"), &json!("fw"), &json!(7), &json!("OFF")),
        "{all:#}"
    );
    let path = "/bothy/v1/store/acknowledge";
    for method in ["get", "post"] {
        let r = rig.ask(&format!("{} {path}", method.to_uppercase()), &[], "").await;
        let v = fits(path, method, &r);
        assert_eq!((&v["restored"], &v["left"][0]["id"], &v["removed"]["guests"]), (&json!(false), &g["id"], &json!([])), "{v:#}");
    }
    let id = g["id"].as_str().expect("an id");
    rig.sim.start(stranger().id).expect("started");
    let log = rig.get(&format!("/bothy/v1/host/guests/{id}/serial")).await;
    assert_eq!((log.status, log.body.as_str()), (200, "bothy-tiny ready\nrouter ready\n"));
    assert_eq!(rig.get(&format!("/bothy/v1/host/guests/{id}/serial?bytes=6")).await.body, "ready\n");
    echoes(&rig, &format!("/bothy/v1/host/guests/{id}/console")).await;
    let known = up["vnfInstance"][0]["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["id"].as_str().expect("a guest");
    let nobody = "00000000-0000-4000-8000-000000000000";
    // Those that a record names are reached by their VNF.
    for (id, status) in [(known, 409), (nobody, 404)] {
        let r = rig.get(&format!("/bothy/v1/host/guests/{id}/serial")).await;
        assert_eq!(r.status, status, "{id}: {}", r.body);
        let upgrade = ["connection: upgrade", "upgrade: bothy-console"];
        let r = rig.ask(&format!("GET /bothy/v1/host/guests/{id}/console"), &upgrade, "").await;
        assert_eq!(r.status, status, "{id}: {}", r.body);
    }
    assert_eq!(rig.get(&format!("/bothy/v1/host/guests/{id}/console")).await.status, 426);
    for (id, status) in [(known, 409), (nobody, 404), ("x", 404), (g["id"].as_str().expect("an id"), 204)] {
        let r = rig.delete(&format!("/bothy/v1/host/guests/{id}")).await;
        assert_eq!(r.status, status, "{id}: {}", r.body);
    }
    assert_eq!(shown().await, json!([]));
}
