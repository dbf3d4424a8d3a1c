//! A trunk and a tunnel from the descriptor to what clients are shown: `trunk_mode` and `VduSubCp` in a package, and a
//! link that is at another site.

use bothy::{model::tunnel::TunnelDraft, sim::SimConfig};
use serde_json::json;

use crate::{
    admin::fits as described,
    kit::{copy_dir, fits},
    rig::rig_on,
    schema,
};

const WAN: &str = "        description: The WAN it serves on
        order: 1
        vnic_type: normal
      requirements:
        - virtual_binding: web
";

/// After the connection point that becomes the trunk.
const MORE: &str = "
    voice_cp:
      type: tosca.nodes.nfv.VduSubCp
      properties: { layer_protocols: [ ipv4 ], segmentation_type: vlan, segmentation_id: 10 }
      requirements: [ trunk_binding: wan, virtual_link: voice ]

    voice:
      type: tosca.nodes.nfv.VnfVirtualLink
      properties:
        connectivity_type: { layer_protocols: [ ipv4 ], flow_pattern: mesh }
        vl_profile:
          max_bitrate_requirements: { root: 0 }
          min_bitrate_requirements: { root: 0 }
          virtual_link_protocol_data:
            - associated_layer_protocol: ethernet
              l2_protocol_data: { network_type: vxlan, name: hq, segmentation_id: 60000 }
            - associated_layer_protocol: ipv4
              l3_protocol_data: { ip_version: ipv4, cidr: 10.0.10.0/24 }
";

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_a_trunk_at_another_site_is_planned_shown_and_told_to_its_guest() {
    let dir = tempfile::tempdir().expect("dir");
    copy_dir(std::path::Path::new("descriptors/vcpe/vcpe-web"), dir.path());
    let at = dir.path().join("Definitions/vcpe-web.yaml");
    let text = std::fs::read_to_string(&at).expect("the descriptor");
    assert!(text.contains(WAN));
    let trunk = WAN.replace("order: 1", "order: 1\n        trunk_mode: true") + MORE;
    std::fs::write(&at, text.replace(WAN, &trunk)).expect("written");

    let draft = TunnelDraft { name: "hq".into(), kind: "vxlan".into(), remotes: vec!["192.0.2.7".into()], ..TunnelDraft::default() };
    let rig = rig_on(64, "", SimConfig { tunnels: vec![draft.check().expect("a tunnel")], ..SimConfig::default() }).await;
    let package = rig.onboard_vnf(&dir.path().to_string_lossy()).await;
    assert_eq!(package["onboardingState"], "ONBOARDED", "{package:#}");
    let made = rig.post("/vnflcm/v2/vnf_instances", json!({"vnfdId": package["vnfdId"]})).await;
    let vnf = made.header("location").expect("location").to_owned();
    let op = rig.task(&format!("{vnf}/instantiate"), json!({"flavourId": "default"})).await;
    assert_eq!(op["operationState"], "COMPLETED", "{op:#}");

    let v = rig.show(&vnf).await;
    fits(schema::VNFLCM, "VnfInstance", &v);
    let cps = v["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"].as_array().expect("connection points").clone();
    let cp = |id: &str| cps.iter().find(|c| c["cpdId"] == id).expect("a connection point");
    let mac = |id: &str| cp(id)["cpProtocolInfo"][0]["ipOverEthernet"]["macAddress"].clone();
    assert_eq!((&cp("voice_cp")["parentCpId"], mac("voice_cp")), (&cp("wan")["id"], mac("wan")));
    assert!(cp("wan")["parentCpId"].is_null());

    let host = described("/bothy/v1/host", "get", &rig.get("/bothy/v1/host").await);
    assert_eq!(host["tunnels"], json!(["hq (vxlan to 192.0.2.7)"]));
    let nets = described("/bothy/v1/networks", "get", &rig.get("/bothy/v1/networks").await);
    let voice = nets.as_array().expect("links").iter().find(|n| n["link"] == "voice").expect("voice").clone();
    assert_eq!(voice["tunnel"], json!({"type": "vxlan", "remotes": ["192.0.2.7"], "vni": 60000}));
    assert_eq!((&voice["mtu"], &voice["stations"][0]["tag"]), (&json!(1450), &json!(10)));

    let id = v["id"].as_str().expect("id");
    let media = rig.show(&format!("/bothy/v1/vnf/{id}/day0")).await;
    let files = media[0]["files"].as_array().expect("files");
    let told = files.iter().find(|f| f["path"] == "network-config").expect("network-config").to_string();
    assert!(told.contains("eth1.10") && told.contains("10.0.10.1/24"), "{told}");
    let why = rig.show(&format!("/bothy/v1/explain/{}", voice["id"].as_str().expect("id"))).await;
    assert!(why.to_string().contains("through the tunnel hq (vxlan to 192.0.2.7) as VNI 60000"), "{why:#}");
}
