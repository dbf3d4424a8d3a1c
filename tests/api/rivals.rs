//! Archives of one descriptor that come at one time: one is onboarded, and each other one says why it is not.

use serde_json::json;

use crate::{kit::build, rig::rig};

#[tokio::test(flavor = "multi_thread")]
async fn of_uploads_at_one_time_that_bring_one_descriptor_one_is_onboarded() {
    let rig = rig(64, "").await;
    for (path, content, state, folder) in [
        ("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", "descriptors/vcpe/vcpe-client"),
        ("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", "descriptors/vcpe/vcpe-firewall"),
        ("/vnfpkgm/v2/vnf_packages", "package_content", "onboardingState", "descriptors/vcpe/vcpe-web"),
        ("/nsd/v2/ns_descriptors", "nsd_content", "nsdOnboardingState", "descriptors/vcpe/vcpe-ns"),
        ("/nsd/v2/pnf_descriptors", "pnfd_content", "pnfdOnboardingState", "tests/fixtures/packages/antenna"),
    ] {
        let archive = build(folder);
        let one = async || {
            let made = rig.post(path, json!({})).await;
            let at = made.header("location").expect("location").to_owned();
            assert_eq!(rig.put(&format!("{at}/{content}"), &archive).await.status, 202);
            rig.settled(&at, state, &["UPLOADING", "PROCESSING"]).await
        };
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        let (won, lost): (Vec<_>, Vec<_>) = [a, b, c, d].into_iter().partition(|v| v[state] == "ONBOARDED");
        assert_eq!((won.len(), lost.len()), (1, 3), "{folder}: {won:#?}");
        let winner = won[0]["id"].as_str().expect("id");
        for v in lost {
            let why = v["onboardingFailureDetails"]["detail"].as_str().unwrap_or_else(|| panic!("no reason: {v:#}"));
            assert_eq!(v[state], "ERROR", "{v:#}");
            assert!(why.contains("is onboarded already") && why.contains(winner), "{why}");
        }
    }
}
