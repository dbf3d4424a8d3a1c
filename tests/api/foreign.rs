//! What foreign VNFMs read of VNF packages over SOL003 (10.4), where a listener has SOL003's NFVO alone.

use serde_json::{Value, json};

use crate::{
    declared::Face,
    identity::{bare, bearer, made, user},
    kit::fits,
    notify::Subscriber,
    rig::rig,
    schema::VNFPKGM_OF_SOL003,
};

const PACKAGES: &str = "/vnfpkgm/v2/vnf_packages";
const ONBOARDED: &str = "/vnfpkgm/v2/onboarded_vnf_packages";

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_vnfm_reads_packages_by_their_ids_and_by_their_vnfds_and_changes_none() {
    let mut rig = rig(64, "").await;
    let package = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await;
    let (id, vnfd) = (package["id"].as_str().expect("id").to_owned(), package["vnfdId"].as_str().expect("vnfdId").to_owned());
    let empty = rig.post(PACKAGES, json!({})).await.json()["id"].as_str().expect("id").to_owned();
    made(&rig, "/bothy/v1/projects", json!({"name": "elsewhere"})).await;
    let vnfm = bearer(&user(&rig, "vnfm-a", "vnfm", "default").await);
    let stranger = bearer(&user(&rig, "vnfm-b", "vnfm", "elsewhere").await);
    rig.show_face(Face::Vnfm);
    let get = async |who: &str, path: &str| bare(&rig, &format!("GET {path}"), &[who], "").await;

    let ids = |list: &Value| list.as_array().expect("a list").iter().map(|p| p["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&get(&vnfm, PACKAGES).await.json()).len(), 2);
    assert_eq!(ids(&get(&vnfm, ONBOARDED).await.json()), [json!(id)], "what is onboarded alone");
    assert_eq!(get(&stranger, ONBOARDED).await.json(), json!([]));
    for at in [format!("{PACKAGES}/{id}"), format!("{ONBOARDED}/{vnfd}")] {
        let shown = get(&vnfm, &at).await;
        assert_eq!(shown.status, 200, "{at}: {}", shown.body);
        fits(VNFPKGM_OF_SOL003, "VnfPkgInfo", &shown.json());
        assert_eq!(shown.json()["id"], json!(id));
        assert_eq!(get(&stranger, &at).await.status, 404, "{at}");
        for (part, form) in [("vnfd", "text/plain"), ("manifest", "text/plain"), ("artifacts/TOSCA-Metadata/TOSCA.meta", "text/plain")] {
            let r = get(&vnfm, &format!("{at}/{part}")).await;
            assert_eq!(r.status, 200, "{at}/{part}: {}", r.body);
            assert!(
                r.header("content-type").is_some_and(|t| t == form || t == "application/octet-stream" || t == "application/zip"),
                "{}",
                r.head
            );
            assert_eq!(get(&stranger, &format!("{at}/{part}")).await.status, 404, "{at}/{part}");
        }
        let content = format!("{at}/package_content");
        let whole = bare(&rig, &format!("GET {content}"), &[&vnfm], "").await;
        assert_eq!((whole.status, &whole.bytes[..2]), (200, &b"PK"[..]));
        let part = bare(&rig, &format!("GET {content}"), &[&vnfm, "range: bytes=2-5"], "").await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, &whole.bytes[2..6]));
        // It looks, and nothing more: SOL005's methods are not there.
        for method in ["DELETE", "PATCH", "PUT", "POST"] {
            for path in [&at, &content] {
                let r = bare(&rig, &format!("{method} {path}"), &[&vnfm, "content-type: application/json"], "").await;
                assert_eq!((r.status, r.header("allow")), (405, Some("GET,HEAD")), "{method} {path}");
            }
        }
    }
    for path in [format!("{ONBOARDED}/{empty}"), format!("{ONBOARDED}/nothing/vnfd")] {
        assert_eq!(get(&vnfm, &path).await.status, 404, "{path}");
    }
    assert_eq!(bare(&rig, &format!("POST {PACKAGES}"), &[&vnfm, "content-type: application/json"], "{}").await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_vnfm_hears_of_packages_that_come_and_go() {
    let mut rig = rig(64, "").await;
    let vnfm = bearer(&user(&rig, "vnfm-a", "vnfm", "default").await);
    let to = Subscriber::start(None).await;
    rig.show_face(Face::Vnfm);
    let ask = json!({"callbackUri": to.uri(), "filter": {"notificationTypes": ["VnfPackageOnboardingNotification"]}}).to_string();
    let made = bare(&rig, "POST /vnfpkgm/v2/subscriptions", &[&vnfm, "content-type: application/json"], &ask).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let at = made.header("location").expect("location").to_owned();
    assert_eq!(bare(&rig, &format!("GET {at}"), &[&vnfm], "").await.status, 200);
    assert_eq!(bare(&rig, "GET /vnfpkgm/v2/subscriptions", &[&vnfm], "").await.json().as_array().map(Vec::len), Some(1));
    rig.show_face(Face::Main);
    assert_eq!(rig.show("/vnfpkgm/v2/subscriptions").await, json!([]), "SOL005 has its own");
    let vnfd = rig.onboard_vnf("descriptors/vcpe/vcpe-web").await["vnfdId"].clone();
    let told = &to.until(1).await[0];
    let by_vnfd = told["_links"]["vnfPackageByVnfdId"]["href"].as_str().expect("a link").to_owned();
    assert!(by_vnfd.ends_with(&format!("/vnfpkgm/v2/onboarded_vnf_packages/{}", vnfd.as_str().expect("vnfdId"))), "{by_vnfd}");
    rig.show_face(Face::Vnfm);
    assert_eq!(bare(&rig, &format!("DELETE {at}"), &[&vnfm], "").await.status, 204);
}
