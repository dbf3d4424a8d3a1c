//! One whole, plausible example of each resource and of the requests that make them; for tests.

use serde_json::{Value, json};

use super::schema::{NSD, NSLCM, SOL005, VNFLCM, VNFPKGM};

const NS: &str = "https://bothy/nslcm/v2/ns_instances/6f1d";
const NS_OP: &str = "https://bothy/nslcm/v2/ns_lcm_op_occs/0c2a";
const VNF: &str = "https://bothy/vnflcm/v2/vnf_instances/b9a4";
const VNF_OP: &str = "https://bothy/vnflcm/v2/vnf_lcm_op_occs/41ee";

/// File, type, example.
pub fn all() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (SOL005, "ApiVersionInformation", json!({"uriPrefix": "/nslcm", "apiVersions": [{"version": "2.13.0", "isDeprecated": false}]})),
        (SOL005, "ProblemDetails", problem()),
        (NSD, "CreateNsdInfoRequest", json!({"userDefinedData": {"site": "hut"}})),
        (NSD, "NsdInfoModifications", json!({"nsdOperationalState": "DISABLED", "userDefinedData": {"site": null}})),
        (NSD, "NsdInfo", nsd_created()),
        (NSD, "NsdInfo", nsd_onboarded()),
        (VNFPKGM, "VnfPkgInfoModifications", json!({"operationalState": "ENABLED"})),
        (VNFPKGM, "VnfPkgInfo", package_with_fault()),
        (VNFPKGM, "VnfPkgInfo", package()),
        (NSLCM, "CreateNsRequest", json!({"nsdId": "vcpe", "nsName": "hut", "nsDescription": ""})),
        (NSLCM, "InstantiateNsRequest", instantiate_ns()),
        (
            NSLCM,
            "TerminateNsRequest",
            json!({"terminateVnfData": [{"vnfInstanceId": "b9a4", "terminationType": "GRACEFUL", "gracefulTerminationTimeout": 30}]}),
        ),
        (NSLCM, "NsInstance", ns_instance()),
        (NSLCM, "NsLcmOpOcc", ns_op_occ()),
        (VNFLCM, "CreateVnfRequest", json!({"vnfdId": "fw", "vnfInstanceName": "firewall", "metadata": {"owner": "hut"}})),
        (VNFLCM, "InstantiateVnfRequest", instantiate_vnf()),
        (VNFLCM, "TerminateVnfRequest", json!({"terminationType": "GRACEFUL", "gracefulTerminationTimeout": 60})),
        (VNFLCM, "OperateVnfRequest", json!({"changeStateTo": "STOPPED", "stopType": "GRACEFUL", "gracefulStopTimeout": 60})),
        (VNFLCM, "VnfInfoModificationRequest", json!({"vnfInstanceName": "fw-2", "metadata": {"owner": null}})),
        (VNFLCM, "VnfInstance", vnf_instance()),
        (VNFLCM, "VnfLcmOpOcc", vnf_op_occ()),
        (VNFLCM, "CancelMode", json!({"cancelMode": "FORCEFUL"})),
    ]
}

fn problem() -> Value {
    json!({
        "type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "Definitions/fw.yaml:12: no image `disk`",
        "instance": "https://bothy/vnfpkgm/v2/vnf_packages/77aa"
    })
}

fn link(href: &str) -> Value {
    json!({"href": href})
}

fn nsd_created() -> Value {
    json!({
        "id": "3c11", "nsdOnboardingState": "CREATED", "nsdOperationalState": "DISABLED", "nsdUsageState": "NOT_IN_USE",
        "_links": {"self": link("https://bothy/nsd/v2/ns_descriptors/3c11"), "nsd_content": link("https://bothy/nsd/v2/ns_descriptors/3c11/nsd_content")}
    })
}

fn nsd_onboarded() -> Value {
    json!({
        "id": "3c11", "nsdId": "vcpe", "nsdName": "vcpe", "nsdVersion": "1.0", "nsdDesigner": "Bothy", "nsdInvariantId": "vcpe-inv",
        "vnfPkgIds": ["77aa"], "archiveSecurityOption": "OPTION_1",
        "artifacts": [{"artifactPath": "Files/readme.md", "checksum": {"algorithm": "SHA-256", "hash": "00ff"}, "metadata": {"lang": "en"}}],
        "nsdOnboardingState": "ONBOARDED", "nsdOperationalState": "ENABLED", "nsdUsageState": "IN_USE", "userDefinedData": {"site": "hut"},
        "_links": {"self": link("https://bothy/nsd/v2/ns_descriptors/3c11"), "nsd_content": link("https://bothy/nsd/v2/ns_descriptors/3c11/nsd_content")}
    })
}

fn package_links() -> Value {
    json!({
        "self": link("https://bothy/vnfpkgm/v2/vnf_packages/77aa"), "vnfd": link("https://bothy/vnfpkgm/v2/vnf_packages/77aa/vnfd"),
        "packageContent": link("https://bothy/vnfpkgm/v2/vnf_packages/77aa/package_content")
    })
}

fn package_with_fault() -> Value {
    json!({
        "id": "77aa", "onboardingState": "ERROR", "operationalState": "DISABLED", "usageState": "NOT_IN_USE",
        "onboardingFailureDetails": problem(), "_links": package_links()
    })
}

fn package() -> Value {
    let checksum = json!({"algorithm": "SHA-256", "hash": "00ff"});
    json!({
        "id": "77aa", "vnfdId": "fw", "vnfProvider": "Bothy", "vnfProductName": "firewall", "vnfSoftwareVersion": "1.0", "vnfdVersion": "1.0",
        "checksum": checksum, "packageSecurityOption": "OPTION_2",
        "softwareImages": [{
            "id": "disk", "name": "tiny", "provider": "Bothy", "version": "1.0", "checksum": checksum, "isEncrypted": false,
            "containerFormat": "BARE", "diskFormat": "QCOW2", "createdAt": "2026-05-01T12:00:00Z", "minDisk": 25165824, "minRam": 67108864,
            "size": 12582912, "imagePath": "Files/images/tiny.qcow2"
        }],
        "additionalArtifacts": [{"artifactPath": "Files/licence.txt", "checksum": checksum, "isEncrypted": false, "artifactClassification": "LICENSE"}],
        "onboardingState": "ONBOARDED", "operationalState": "ENABLED", "usageState": "IN_USE", "vnfmInfo": ["bothy"], "_links": package_links()
    })
}

fn instantiate_ns() -> Value {
    json!({
        "nsFlavourId": "default",
        "sapData": [{"sapdId": "lan", "sapName": "LAN", "description": "to the hut", "sapProtocolData": [{
            "layerProtocol": "IP_OVER_ETHERNET",
            "ipOverEthernet": {"macAddress": "52:54:00:00:00:01", "ipAddresses": [{"type": "IPV4", "fixedAddresses": ["192.0.2.1"]}]}
        }]}],
        "vnfInstanceData": [{"vnfInstanceId": "b9a4", "vnfProfileId": "fw"}],
        "locationConstraints": [{"vnfProfileId": "fw", "locationConstraints": {"countryCode": "CH", "civicAddressElement": [{"caType": 3, "caValue": "Zermatt"}]}}],
        "additionalParamsForNs": {"dns": ["192.0.2.53"]},
        "additionalParamsForVnf": [{"vnfProfileId": "fw", "vnfInstanceName": "firewall", "additionalParams": {"block": 8080}}],
        "startTime": "2026-05-01T12:00:00Z", "nsInstantiationLevelId": "small",
        "additionalAffinityOrAntiAffinityRule": [{"vnfProfileId": ["fw", "web"], "affinityOrAntiAffiinty": "AFFINITY", "scope": "NFVI_NODE"}]
    })
}

fn ns_instance() -> Value {
    json!({
        "id": "6f1d", "nsInstanceName": "hut", "nsInstanceDescription": "", "nsdId": "vcpe", "nsdInfoId": "3c11", "flavourId": "default", "priority": 5,
        "vnfInstance": [{
            "id": "b9a4", "vnfInstanceName": "firewall", "vnfdId": "fw", "vnfProvider": "Bothy", "vnfProductName": "firewall",
            "vnfSoftwareVersion": "1.0", "vnfdVersion": "1.0", "vnfPkgId": "77aa", "vimId": "local", "instantiationState": "INSTANTIATED",
            "instantiatedVnfInfo": instantiated("vimId", None), "metadata": {"owner": "hut"}
        }],
        "virtualLinkInfo": [{
            "id": "vl-1", "nsVirtualLinkDescId": "lan", "nsVirtualLinkProfileId": "lan", "resourceHandle": [{"vimId": "local", "resourceId": "bn-lan"}],
            "linkPort": [{
                "id": "lp-1", "resourceHandle": {"vimId": "local", "resourceId": "vp-1"},
                "nsCpHandle": {"vnfInstanceId": "b9a4", "vnfExtCpInstanceId": "ecp-1"}
            }]
        }],
        "sapInfo": [{"id": "sap-1", "sapdId": "lan", "sapName": "LAN", "sapProtocolInfo": [protocol()]}],
        "nsState": "INSTANTIATED", "nsScaleStatus": [{"nsScalingAspectId": "web", "nsScaleLevelId": "1"}],
        "monitoringParameter": [{"id": "m", "performanceMetric": "VCpuUsageMeanVnf"}],
        "_links": {"self": link(NS), "terminate": link("https://bothy/nslcm/v2/ns_instances/6f1d/terminate"), "nestedNsInstances": [link(NS)]}
    })
}

fn ns_op_occ() -> Value {
    json!({
        "id": "0c2a", "operationState": "FAILED_TEMP", "statusEnteredTime": "2026-05-01T12:00:09Z",
        "stateEnteredTime": "2026-05-01T12:00:09Z", "nsInstanceId": "6f1d",
        "lcmOperationType": "INSTANTIATE", "startTime": "2026-05-01T12:00:00Z", "isAutomaticInvocation": false, "operationParams": instantiate_ns(),
        "isCancelPending": true, "cancelMode": "GRACEFUL", "error": problem(),
        "resourceChanges": {
            "affectedVnfs": [{
                "vnfInstanceId": "b9a4", "vnfdId": "fw", "vnfProfileId": "fw", "vnfName": "firewall", "changeType": "INSTANTIATE",
                "changeResult": "COMPLETED", "changedInfo": {"changedVnfInfo": {"vnfInstanceId": "b9a4", "vnfInstanceName": "firewall"}}
            }],
            "affectedVls": [{
                "nsVirtualLinkInstanceId": "vl-1", "nsVirtualLinkDescId": "lan", "vlProfileId": "lan", "changeType": "ADD_LINK_PORT",
                "linkPortIds": ["lp-1"], "changeResult": "COMPLETED"
            }],
            "affectedSaps": [{"sapInstanceId": "sap-1", "sapdId": "lan", "changeType": "ADD", "changeResult": "COMPLETED"}]
        },
        "warnings": ["the guests run without KVM"],
        "_links": {"self": link(NS_OP), "nsInstance": link(NS), "retry": link("https://bothy/retry"), "continue": link("https://bothy/continue")}
    })
}

fn instantiate_vnf() -> Value {
    json!({
        "flavourId": "default", "instantiationLevelId": "small",
        "extVirtualLinks": [{
            "id": "xl-1", "vimConnectionId": "local", "resourceId": "bn-lan",
            "extCps": [{"cpdId": "lan", "cpConfig": {"lan-1": {
                "createExtLinkPort": true,
                "cpProtocolData": [{
                    "layerProtocol": "IP_OVER_ETHERNET",
                    "ipOverEthernet": {"ipAddresses": [{"type": "IPV6", "numDynamicAddresses": 1}]}
                }]
            }}}],
            "extLinkPorts": [{"id": "xp-1", "resourceHandle": {"resourceId": "vp-1"}}]
        }],
        "extManagedVirtualLinks": [{
            "id": "ml-1", "vnfVirtualLinkDescId": "inner", "resourceId": "bn-inner", "vnfLinkPort": [{"vnfLinkPortId": "p", "resourceHandle": {"resourceId": "vp-2"}}]
        }],
        "vimConnectionInfo": {"local": {"vimId": "local", "vimType": "BOTHY", "interfaceInfo": {"endpoint": "unix"}}},
        "localizationLanguage": "de-CH", "additionalParams": {"block": 8080}, "extensions": {"x": {"y": []}}
    })
}

fn protocol() -> Value {
    json!({
        "layerProtocol": "IP_OVER_ETHERNET",
        "ipOverEthernet": {
            "macAddress": "52:54:00:00:00:01", "segmentationId": "100",
            "ipAddresses": [{"type": "IPV4", "addresses": ["192.0.2.1"], "isDynamic": false, "subnetId": "bn-lan-v4"}]
        }
    })
}

/// `vim` is the standard's name for the VIM in handles; only SOL003 has a zone.
fn instantiated(vim: &str, zone: Option<&str>) -> Value {
    let handle = |id: &str| json!({vim: "local", "resourceId": id});
    let mut info = json!({
        "flavourId": "default", "vnfState": "STARTED",
        "scaleStatus": [{"aspectId": "workers", "scaleLevel": 0}], "maxScaleLevels": [{"aspectId": "workers", "scaleLevel": 3}],
        "extCpInfo": [{
            "id": "ecp-1", "cpdId": "lan", "cpConfigId": "lan-1", "cpProtocolInfo": [protocol()], "extLinkPortId": "xp-1", "associatedVnfcCpId": "cp-1"
        }],
        "vipCpInfo": [{"cpInstanceId": "vip-1", "cpdId": "vip", "cpProtocolInfo": [protocol()], "associatedVnfcCpIds": ["cp-1"]}],
        "extVirtualLinkInfo": [{
            "id": "xl-1", "resourceHandle": handle("bn-lan"),
            "extLinkPorts": [{"id": "xp-1", "resourceHandle": handle("vp-1"), "cpInstanceId": "ecp-1"}],
            "currentVnfExtCpData": [{"cpdId": "lan", "cpConfig": {"lan-1": {"linkPortId": "xp-1"}}}]
        }],
        "extManagedVirtualLinkInfo": [{"id": "ml-1", "vnfVirtualLinkDescId": "inner", "networkResource": handle("bn-inner")}],
        "monitoringParameters": [{"id": "cpu", "performanceMetric": "VCpuUsageMeanVnf"}],
        "localizationLanguage": "de-CH",
        "vnfcResourceInfo": [{
            "id": "vnfc-1", "vduId": "fw", "computeResource": handle("b-mfzg"), "storageResourceIds": ["disk-1"],
            "vnfcCpInfo": [{
                "id": "cp-1", "cpdId": "lan", "vnfExtCpId": "ecp-1", "cpProtocolInfo": [protocol()], "parentCpId": "trunk", "vnfLinkPortId": "lp-1"
            }],
            "metadata": {"accel": "tcg"}
        }],
        "vnfVirtualLinkResourceInfo": [{
            "id": "ivl-1", "vnfVirtualLinkDescId": "inner", "networkResource": handle("bn-inner"),
            "vnfLinkPorts": [{"id": "lp-1", "resourceHandle": handle("vp-2"), "cpInstanceId": "cp-1", "cpInstanceType": "VNFC_CP"}]
        }],
        "virtualStorageResourceInfo": [{"id": "disk-1", "virtualStorageDescId": "disk", "storageResource": handle("b-mfzg-disk.qcow2")}]
    });
    if let Some(zone) = zone {
        info["vnfcResourceInfo"][0]["zoneId"] = json!(zone);
    }
    info
}

fn vnf_instance() -> Value {
    json!({
        "id": "b9a4", "vnfInstanceName": "firewall", "vnfInstanceDescription": "between LAN and WAN", "vnfdId": "fw", "vnfProvider": "Bothy",
        "vnfProductName": "firewall", "vnfSoftwareVersion": "1.0", "vnfdVersion": "1.0", "vnfConfigurableProperties": {"isAutohealEnabled": true},
        "vimConnectionInfo": {"local": {"vimType": "BOTHY"}}, "instantiationState": "INSTANTIATED",
        "instantiatedVnfInfo": instantiated("vimConnectionId", Some("numa0")), "metadata": {"owner": "hut"}, "extensions": {"x": 1},
        "_links": {"self": link(VNF), "terminate": link("https://bothy/terminate"), "operate": link("https://bothy/operate"), "changeExtConn": link("https://bothy/c")}
    })
}

fn vnf_op_occ() -> Value {
    let handle = |id: &str| json!({"vimConnectionId": "local", "resourceId": id});
    json!({
        "id": "41ee", "operationState": "ROLLED_BACK", "stateEnteredTime": "2026-05-01T12:00:09Z", "startTime": "2026-05-01T12:00:00Z",
        "vnfInstanceId": "b9a4", "grantId": "9d", "operation": "INSTANTIATE", "isAutomaticInvocation": true, "operationParams": instantiate_vnf(),
        "isCancelPending": false, "error": problem(),
        "resourceChanges": {
            "affectedVnfcs": [{
                "id": "vnfc-1", "vduId": "fw", "changeType": "TEMPORARY", "computeResource": handle("b-mfzg"), "addedStorageResourceIds": ["disk-1"]
            }],
            "affectedVirtualLinks": [{
                "id": "ivl-1", "vnfVirtualLinkDescId": "inner", "changeType": "LINK_PORT_ADDED", "networkResource": handle("bn-inner"), "vnfLinkPortIds": ["lp-1"]
            }],
            "affectedExtLinkPorts": [{"id": "xp-1", "changeType": "ADDED", "extCpInstanceId": "ecp-1", "resourceHandle": handle("vp-1")}],
            "affectedVirtualStorages": [{"id": "disk-1", "virtualStorageDescId": "disk", "changeType": "REMOVED", "storageResource": handle("disk")}]
        },
        "changedInfo": {"vnfInstanceName": "firewall", "metadata": {"owner": "hut"}},
        "lcmCoordinations": [{
            "id": "c", "coordinationActionName": "drain", "coordinationResult": "CONTINUE", "startTime": "2026-05-01T12:00:01Z", "endpointType": "VNF"
        }],
        "warnings": ["the guest ran without KVM"],
        "_links": {"self": link(VNF_OP), "vnfInstance": link(VNF), "grant": link("https://bothy/grant/v1/grants/9d"), "rollback": link("https://bothy/r")}
    })
}
