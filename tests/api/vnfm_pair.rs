//! Two daemons over TLS: one is the NFVO of a service, the other the foreign VNFM of one of its members, which asks the
//! first for its grants. Made, changed and ended there; refused, killed in the midst of it, rolled back. And what
//! registers such a VNFM.

use std::{fs, path::Path};

use bothy::{model::abroad::ForeignVnf, store::Durability};
use serde_json::{Value, json};

use crate::{
    central_pair::{Site, Vnfm},
    daemon::Daemon,
    identity::{bare, bearer, made, user},
    kit::{build, copy_dir, repo},
    pair::{cli, https, run, token},
    rig::{Reply, Rig, rig},
};

const WEB: &str = "b0714103-0000-4000-8000-000000000001";

async fn set(rig: &Rig, name: &str, body: Value) -> Reply {
    rig.ask(&format!("PUT /bothy/v1/vnfms/{name}"), &["content-type: application/json"], &body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_vnfm_is_told_shown_and_taken_back_and_what_makes_none_is_refused() {
    let rig = rig(64, "").await;
    user(&rig, "eve", "viewer", "default").await;
    let token = user(&rig, "east", "vnfm", "default").await;
    let basic = json!({"authType": ["BASIC"], "paramsBasic": {"userName": "u", "password": "hush"}});
    for (name, body, status, says) in [
        ("nobody", json!({"apiRoot": "https://o"}), 404, "there is no account 'nobody'"),
        ("eve", json!({"apiRoot": "https://o"}), 409, "has not the role 'vnfm'"),
        ("east", json!({"apiRoot": "ftp://o"}), 422, "apiRoot: 'ftp://o' must be an http or https URI"),
        ("east", json!({"apiRoot": "http://o", "authentication": basic}), 422, "credentials go over https only"),
        ("east", json!({"apiRoot": "https://o", "networks": {"moon": "1"}}), 422, "this box has no physical network 'moon'"),
    ] {
        let r = set(&rig, name, body).await;
        assert_eq!(r.status, status, "{name}: {}", r.body);
        let why = r.problem();
        assert!(why.contains(says), "{says}: {why}");
    }
    let good =
        json!({"apiRoot": "https://o/", "authentication": basic, "vnfmInfo": ["i"], "vnfds": ["d"], "vim": "v", "networks": {"wan": "7"}});
    let r = set(&rig, "east", good).await;
    assert_eq!(r.status, 200, "{}", r.body);
    let shown = rig.get("/bothy/v1/vnfms/east").await;
    assert!(!shown.body.contains("hush"), "{}", shown.body);
    assert_eq!((&shown.json()["apiRoot"], &shown.json()["networks"]), (&json!("https://o"), &json!({"wan": "7"})));
    assert_eq!(rig.show("/bothy/v1/vnfms").await, json!([shown.json()]));
    let r = rig.delete("/bothy/v1/users/east").await;
    assert!(r.status == 409 && r.problem().contains("bothy vnfm delete"), "{}", r.body);
    made(&rig, "/bothy/v1/projects", json!({"name": "west"})).await;
    for change in [json!({"project": "west"}), json!({"roles": ["viewer"]})] {
        let r = rig.patch("/bothy/v1/users/east", &[], change.clone()).await;
        assert!(r.status == 409 && r.problem().contains("bothy vnfm delete"), "{change}: {}", r.body);
    }
    // Its VNFs would be looked for, and made, where they are not.
    let vnf = ForeignVnf { vnf: WEB.parse().expect("an id"), vnfm: "east".into(), name: "n".into(), remote: None };
    let store = rig.core.vnfm().store();
    store.write(Durability::Barrier, |tx| tx.put(&vnf)).expect("kept");
    // It alone tells of them, and only where it was asked to.
    let calls = "/bothy/v1/vnfms/east/notifications";
    let it = bearer(&token);
    let news = json!({"notificationType": "AlarmNotification"}).to_string();
    let heads = [it.as_str(), "content-type: application/json"];
    for root in [None, Some("https://box:9443/")] {
        let status = if root.is_some() { 204 } else { 404 };
        assert_eq!(set(&rig, "east", json!({"apiRoot": "https://o", "callbackRoot": root})).await.status, 200);
        for (line, body) in [(format!("GET {calls}"), ""), (format!("POST {calls}"), news.as_str())] {
            let r = bare(&rig, &line, &heads, body).await;
            assert_eq!(r.status, status, "{root:?} {line}: {}", r.body);
            let r = rig.ask(&line, &["content-type: application/json"], body).await;
            assert_eq!(r.status, 404, "the administrator is no VNFM: {}", r.body);
        }
    }
    assert_eq!(rig.show("/bothy/v1/vnfms/east").await["callbackRoot"], "https://box:9443");
    let open = set(&rig, "east", json!({"apiRoot": "https://o", "callbackRoot": "http://box"})).await;
    assert!(open.status == 422 && open.body.contains("must be an https URI"), "{}", open.body);
    let moved = set(&rig, "east", json!({"apiRoot": "https://elsewhere"})).await;
    assert!(moved.status == 409 && moved.body.contains(&format!("VNF instance {WEB}")), "{}", moved.body);
    assert_eq!(set(&rig, "east", json!({"apiRoot": "https://o", "vim": "w"})).await.status, 200);
    store.write(Durability::Barrier, |tx| tx.delete::<ForeignVnf>(&vnf.vnf)).expect("gone");
    assert_eq!(set(&rig, "east", json!({"apiRoot": "https://elsewhere"})).await.status, 200);
    assert_eq!(rig.delete("/bothy/v1/vnfms/east").await.status, 204);
    assert_eq!(rig.get("/bothy/v1/vnfms/east").await.status, 404);
    assert_eq!(rig.delete("/bothy/v1/users/east").await.status, 204);
}

/// The vCPE service without its chain, whose web server is on a link that a physical network leads out of the box.
fn service(at: &Path) -> String {
    let (folder, file) = (at.join("ns"), at.join("ns.csar"));
    copy_dir(&repo().join("descriptors/vcpe/vcpe-ns"), &folder);
    let path = folder.join("Definitions/vcpe-ns.yaml");
    let text = fs::read_to_string(&path).expect("text");
    let text = text.split("    to_web:").next().expect("what is before the chain");
    let mgmt = "      - mgmt_link:\n          capability: tosca.capabilities.nfv.VirtualLinkable\n          relationship: tosca.relationships.nfv.VirtualLinksTo\n          occurrences: [ 1, 1 ]\n";
    let (others, web) = text.split_once("  bothy.nodes.vcpe.Web:").expect("the web server's type");
    let web = web
        .replacen(mgmt, "", 1)
        .replace("        bothy.address.mgmt_link: \"10.10.0.12\"\n", "")
        .replace(
            "        - mgmt_link: mgmt\n        - wan_link: wan\n        - dependency",
            "        - wan_link: wan\n        - dependency",
        )
        .replace(
            "    wan:\n      type: tosca.nodes.nfv.NsVirtualLink\n",
            "    wan:\n      type: tosca.nodes.nfv.NsVirtualLink\n      metadata:\n        bothy.physical: wan\n",
        );
    fs::write(&path, format!("{others}  bothy.nodes.vcpe.Web:{web}")).expect("text");
    fs::write(&file, build(&folder.display().to_string())).expect("archive");
    file.display().to_string()
}

fn login(at: &Path, user: &str, secret: &str) -> String {
    let login = json!({"authentication": {"authType": ["BASIC"], "paramsBasic": {"userName": user, "password": secret}}});
    let file = at.join(format!("{user}.json"));
    fs::write(&file, login.to_string()).expect("file");
    file.display().to_string()
}

fn secret(at: &Path, role: &str, name: &str) -> String {
    cli(at, &["client", "create", name, "--role", role]);
    cli(at, &["client", "secret", name])["secret"].as_str().expect("secret").to_owned()
}

#[test]
fn a_member_of_a_service_lives_at_a_foreign_vnfm_through_refusals_and_deaths() {
    let points = "\"sol003-nfvo\", \"sol005\", \"admin\"";
    let physical = "[[physical_network]]\nname = \"wan\"\ninterface = \"eth9\"\n";
    let nfvo = Site::new(points, physical);
    // Each has to know the other's certificate.
    Daemon::start(nfvo.at()).kill();
    let ca = |of: &Site| format!("[notify]\nca = \"{}/data/tls/cert.pem\"\n", of.at().display());
    let slow = "start_ms = 300\n";
    let edge = Site::new("\"sol003-vnfm\", \"admin\"", &format!("{slow}{}", ca(&nfvo)));
    let e = Daemon::start(edge.at());
    nfvo.configure(points, &format!("{physical}{}", ca(&edge)));
    let n = Daemon::start(nfvo.at());

    for p in ["client", "firewall", "web"] {
        nfvo.onboard_one(&format!("descriptors/vcpe/vcpe-{p}"));
    }
    edge.onboard_one("descriptors/vcpe/vcpe-web");
    let o = run(nfvo.at(), &["nsd", "onboard", &service(nfvo.at())]);
    assert!(o.status.success(), "{o:?}");
    let (of_edge, of_orch) = (secret(nfvo.at(), "vnfm", "edge"), secret(edge.at(), "nfvo", "orch"));
    // A link of the VNFM's, as a VIM has it: that of a VNF which is its own.
    let there = Vnfm { port: edge.port, token: token(edge.at()) };
    let own = there.make(WEB);
    let up = there.over(&there.begin(&format!("{own}/instantiate"), json!({"flavourId": "default"})));
    assert_eq!(up["operationState"], "COMPLETED", "{up:#}");
    let links = there.show("/bothy/v1/networks");
    let link = links.as_array().into_iter().flatten().find(|s| s["link"].as_str().is_some_and(|l| l.contains("wan"))).expect("a link");
    let wan = link["id"].as_str().expect("id").to_owned();

    let file = login(edge.at(), "edge", &of_edge);
    cli(edge.at(), &["nfvo", "set", "orch", "--api-root", &format!("https://localhost:{}", nfvo.port), "--request", &file]);
    let (url, file, network) = (format!("https://localhost:{}", edge.port), login(nfvo.at(), "orch", &of_orch), format!("wan={wan}"));
    let back = format!("https://localhost:{}", nfvo.port);
    let set = ["vnfm", "set", "edge", "--api-root", &url, "--request", &file, "--vnfd", WEB, "--callback-root", &back];
    cli(nfvo.at(), &set);
    assert_eq!(cli(nfvo.at(), &["vnfm", "list"])[0]["authentication"], "BASIC");
    let orch = Vnfm {
        port: edge.port,
        token: cli(edge.at(), &["token", "create", "--account", "orch", "--label", "t"])["token"].as_str().expect("token").to_owned(),
    };
    let theirs = || orch.show("/vnflcm/v2/vnf_instances?exclude_default");
    let main = Vnfm { port: nfvo.port, token: token(nfvo.at()) };
    let nsd = cli(nfvo.at(), &["nsd", "list"])[0]["nsdId"].as_str().expect("nsdId").to_owned();
    let made = https(
        main.port,
        &main.token,
        "POST /nslcm/v2/ns_instances",
        &json!({"nsdId": nsd, "nsName": "s", "nsDescription": "d"}).to_string(),
    );
    assert_eq!(made.status, 201, "{}", made.body);
    let ns = format!("/nslcm/v2/ns_instances/{}", made.json()["id"].as_str().expect("id"));
    let flavour = json!({"nsFlavourId": "default"});

    // No link of this box's alone leads to it, and it is said before anything is made.
    let refused = https(main.port, &main.token, &format!("POST {ns}/instantiate"), &flavour.to_string());
    assert!(refused.status >= 400 && refused.body.contains("is not told what physical network wan is there"), "{}", refused.body);
    cli(nfvo.at(), &[&set[..], &["--network", &network]].concat());

    // The grant that it asks for is refused: its words are the service's, and nothing is left of it.
    cli(nfvo.at(), &["project", "quota", "default", "--vcpus", "2"]);
    let op = main.begin(&format!("{ns}/instantiate"), flavour.clone());
    let stuck = main.over(&op);
    assert_eq!(stuck["operationState"], "FAILED_TEMP", "{stuck:#}");
    let why = stuck["error"].to_string();
    assert!(
        why.contains("VNFM edge: operation") && why.contains("is ROLLED_BACK") && why.contains("vCPUs: 1 wanted, 2 of 2 used"),
        "{why}"
    );
    cli(nfvo.at(), &["project", "quota", "default"]);
    let r = https(main.port, &main.token, &format!("POST {op}/rollback"), "");
    assert_eq!(r.status, 202, "{}", r.body);
    assert_eq!(main.over(&op)["operationState"], "ROLLED_BACK");
    assert_eq!(theirs(), json!([]));

    // The NFVO dies while the VNFM is at it, and goes on.
    let op = main.begin(&format!("{ns}/instantiate"), flavour);
    orch.until("/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,operation,INSTANTIATE);(eq,operationState,PROCESSING)", |v| v[0].is_object());
    n.kill();
    let n = Daemon::start(nfvo.at());
    let done = main.over(&op);
    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
    let there = theirs();
    assert_eq!((there.as_array().expect("list").len(), &there[0]["instantiationState"]), (1, &json!("INSTANTIATED")), "{there:#}");
    let cps = orch.show(&format!("/vnflcm/v2/vnf_instances/{}", there[0]["id"].as_str().expect("id")));
    assert!(cps["instantiatedVnfInfo"]["extCpInfo"].to_string().contains("10.10.2.10"), "{cps:#}");
    let shown = main.show(&ns);
    let far = shown["vnfInstance"].as_array().expect("members").iter().find(|v| v["vnfdId"] == WEB).expect("the far member").clone();
    assert_eq!(far["metadata"]["bothy.vnfm"], "edge", "{far:#}");
    assert_eq!(far["metadata"]["bothy.vnfm.vnfInstanceId"], there[0]["id"], "{far:#}");
    let busy = run(nfvo.at(), &["vnfm", "delete", "edge"]);
    assert!(!busy.status.success() && String::from_utf8_lossy(&busy.stderr).contains("terminate them first"), "{busy:?}");

    // It is listened to, and tells what the service has not asked for.
    let calls = format!("{back}/bothy/v1/vnfms/edge/notifications");
    let ears = ["/vnflcm/v2/subscriptions", "/vnffm/v1/subscriptions"];
    for api in ears {
        orch.until(api, |v| v.as_array().is_some_and(|all| all.len() == 1 && all[0]["callbackUri"] == calls.as_str()));
    }
    let remote = format!("/vnflcm/v2/vnf_instances/{}", there[0]["id"].as_str().expect("id"));
    for to in ["STOPPED", "STARTED"] {
        let done = orch.over(&orch.begin(&format!("{remote}/operate"), json!({"changeStateTo": to})));
        assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
        main.until(&ns, |v| {
            let all = v["vnfInstance"].as_array().into_iter().flatten();
            all.clone().any(|m| m["vnfdId"] == WEB && m["instantiatedVnfInfo"]["vnfState"] == to)
        });
    }
    let sent = cli(edge.at(), &["notification", "dead"]);
    let answered = |s: &Value| s["dead"] == json!([]) && s["lost"] == 0;
    assert!(sent.as_array().expect("subscriptions").iter().all(answered), "each call was answered: {sent:#}");

    // What the service does to it is done there.
    let far = far["id"].as_str().expect("id");
    let heal = json!({"healVnfData": [{"vnfInstanceId": far}]});
    let healed = main.over(&main.begin(&format!("{ns}/heal"), heal));
    assert_eq!(healed["operationState"], "COMPLETED", "{healed:#}");
    let ops = orch.show("/vnflcm/v2/vnf_lcm_op_occs?filter=(eq,operation,HEAL)");
    assert_eq!((ops.as_array().expect("list").len(), &ops[0]["operationState"]), (1, &json!("COMPLETED")), "{ops:#}");

    // It is away: the service waits for it.
    e.kill();
    let op = main.begin(&format!("{ns}/terminate"), json!({}));
    let waits = |v: &Value| v["operationState"] == "PROCESSING";
    main.until(&op, waits);
    let e = Daemon::start(edge.at());
    let done = main.over(&op);
    assert_eq!(done["operationState"], "COMPLETED", "{done:#}");
    assert_eq!(theirs(), json!([]));
    main.until("/bothy/v1/vnfms/edge", |v| v["subscriptions"].is_null());
    for api in ears {
        assert_eq!(orch.show(api), json!([]), "{api}");
    }
    cli(nfvo.at(), &["vnfm", "delete", "edge"]);
    e.stop();
    n.stop();
}
