//! The wire types against ETSI's files: no member and no value of ETSI's is lost, none of ours is unknown to ETSI.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{capacity, common::*, examples, fm, nsd::*, nslcm::*, pkgm::*, pm, problem::*, schema, vnflcm, vnflcm::*};

/// Reads and writes again.
fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|fault| format!("not read: {fault}"))?;
    serde_json::to_value(read).map_err(|fault| format!("not written: {fault}"))
}

/// A row of the table of types: ETSI's file and name, and the way through ours.
type Row = (&'static str, &'static str, fn(&Value) -> Result<Value, String>);

const ROWS: &[Row] = &[
    (schema::SOL005, "ApiVersionInformation", through::<ApiVersionInformation>),
    (schema::SOL005, "ProblemDetails", through::<ProblemDetails>),
    (schema::SOL003, "ApiVersionInformation", through::<ApiVersionInformation>),
    (schema::SOL003, "ProblemDetails", through::<ProblemDetails>),
    (schema::NSD, "CreateNsdInfoRequest", through::<CreateNsdInfoRequest>),
    (schema::NSD, "NsdInfoModifications", through::<NsdInfoModifications>),
    (schema::NSD, "NsdInfo", through::<NsdInfo>),
    (schema::VNFPKGM, "CreateVnfPkgInfoRequest", through::<CreateVnfPkgInfoRequest>),
    (schema::VNFPKGM, "VnfPkgInfoModifications", through::<VnfPkgInfoModifications>),
    (schema::VNFPKGM, "UploadVnfPackageFromUriRequest", through::<UploadVnfPkgFromUriRequest>),
    (schema::VNFPKGM, "VnfPkgInfo", through::<VnfPkgInfo>),
    (schema::NSLCM, "CreateNsRequest", through::<CreateNsRequest>),
    (schema::NSLCM, "InstantiateNsRequest", through::<InstantiateNsRequest>),
    (schema::NSLCM, "ScaleNsRequest", through::<ScaleNsRequest>),
    (schema::NSLCM, "UpdateNsRequest", through::<UpdateNsRequest>),
    (schema::NSLCM, "HealNsRequest", through::<HealNsRequest>),
    (schema::NSLCM, "TerminateNsRequest", through::<TerminateNsRequest>),
    (schema::NSLCM, "NsInstance", through::<NsInstance>),
    (schema::NSLCM, "NsLcmOpOcc", through::<NsLcmOpOcc>),
    (schema::NSLCM, "CancelMode", through::<CancelMode>),
    (schema::NSLCM, "VnfSnapshotInfo", through::<NsVnfSnapshotInfo>),
    (schema::VNFLCM, "CreateVnfRequest", through::<CreateVnfRequest>),
    (schema::VNFLCM, "InstantiateVnfRequest", through::<InstantiateVnfRequest>),
    (schema::VNFLCM, "ScaleVnfRequest", through::<ScaleVnfRequest>),
    (schema::VNFLCM, "ScaleVnfToLevelRequest", through::<ScaleVnfToLevelRequest>),
    (schema::VNFLCM, "ChangeVnfFlavourRequest", through::<ChangeVnfFlavourRequest>),
    (schema::VNFLCM, "TerminateVnfRequest", through::<TerminateVnfRequest>),
    (schema::VNFLCM, "HealVnfRequest", through::<HealVnfRequest>),
    (schema::VNFLCM, "OperateVnfRequest", through::<OperateVnfRequest>),
    (schema::VNFLCM, "ChangeExtVnfConnectivityRequest", through::<ChangeExtVnfConnectivityRequest>),
    (schema::VNFLCM, "ChangeCurrentVnfPkgRequest", through::<ChangeCurrentVnfPkgRequest>),
    (schema::VNFLCM, "VnfInfoModificationRequest", through::<VnfInfoModificationRequest>),
    (schema::VNFLCM, "VnfInstance", through::<VnfInstance>),
    (schema::VNFLCM, "CreateVnfSnapshotInfoRequest", through::<CreateVnfSnapshotInfoRequest>),
    (schema::VNFLCM, "VnfSnapshotInfoModificationRequest", through::<VnfSnapshotInfoModificationRequest>),
    (schema::VNFLCM, "VnfSnapshotInfoModifications", through::<VnfSnapshotInfoModifications>),
    (schema::VNFLCM, "CreateVnfSnapshotRequest", through::<CreateVnfSnapshotRequest>),
    (schema::VNFLCM, "RevertToVnfSnapshotRequest", through::<RevertToVnfSnapshotRequest>),
    (schema::VNFLCM, "VnfSnapshotInfo", through::<VnfSnapshotInfo>),
    (schema::VNFLCM, "VnfLcmOpOcc", through::<VnfLcmOpOcc>),
    (schema::VNFLCM, "CancelMode", through::<vnflcm::CancelMode>),
    (schema::VNFPM, "CreatePmJobRequest", through::<pm::CreatePmJobRequest>),
    (schema::VNFPM, "PmJob", through::<pm::PmJob>),
    (schema::VNFPM, "PerformanceReport", through::<pm::PerformanceReport>),
    (schema::VNFPM, "CreateThresholdRequest", through::<pm::CreateThresholdRequest>),
    (schema::VNFPM, "Threshold", through::<pm::Threshold>),
    (schema::NSPM, "CreatePmJobRequest", through::<pm::CreatePmJobRequest>),
    (schema::NSPM, "PmJob", through::<pm::PmJob>),
    (schema::NSPM, "PerformanceReport", through::<pm::PerformanceReport>),
    (schema::NSPM, "Threshold", through::<pm::Threshold>),
    (schema::NFVICI, "NfviCapacityInfo", through::<capacity::NfviCapacityInfo>),
    (schema::NFVICI, "CreateCapacityThresholdRequest", through::<capacity::CreateCapacityThresholdRequest>),
    (schema::NFVICI, "CapacityThreshold", through::<capacity::CapacityThreshold>),
    (schema::NFVICI, "CapacityThresholdModifications", through::<pm::PmModifications>),
    (schema::VNFFM, "Alarm", through::<fm::Alarm>),
    (schema::VNFFM, "AlarmModifications", through::<fm::AlarmModifications>),
    (schema::VNFFM, "FmNotificationsFilter", through::<fm::FmFilter>),
    (schema::NSFM, "Alarm", through::<fm::Alarm>),
    (schema::NSFM, "AlarmModifications", through::<fm::AlarmModifications>),
    (schema::NSFM, "FmNotificationsFilter", through::<fm::FmFilter>),
];

/// The longest enumeration is UpdateNsRequest's; each of its values, and so each of every other, comes up.
const ENUM_VALUES: usize = 27;

#[test]
fn every_member_and_value_that_etsi_knows_comes_through_unchanged() {
    for (file, name, through) in ROWS {
        for full in schema::full(file, name, ENUM_VALUES) {
            assert_eq!(through(&full).as_ref(), Ok(&full), "{name}");
        }
    }
}

#[test]
fn without_its_optional_members_a_type_writes_none_of_them() {
    for (file, name, through) in ROWS {
        let Some(least) = schema::least(file, name) else { return };
        assert_eq!(through(&least).as_ref(), Ok(&least), "{name}");
    }
}

#[test]
fn a_missing_required_member_is_refused() {
    for (file, name, through) in ROWS {
        let Some(least) = schema::least(file, name) else { return };
        let members: Vec<String> = least.as_object().into_iter().flatten().map(|(member, _)| member.clone()).collect();
        for member in members {
            let mut lame = least.clone();
            lame.as_object_mut().and_then(|object| object.remove(&member));
            assert!(through(&lame).is_err(), "{name} was read without {member}");
        }
    }
}

#[test]
fn the_examples_conform_and_come_through_unchanged() {
    for (file, name, example) in examples::all() {
        let row = ROWS.iter().find(|row| row.0 == file && row.1 == name);
        let (_, _, through) = row.unwrap_or_else(|| panic!("{name} is not in the table"));
        assert_eq!(through(&example).as_ref(), Ok(&example), "{name}");
        assert_eq!(schema::check(file, name, &example), Vec::<String>::new(), "{example:#}");
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    if schema::root().is_none() {
        return;
    }
    let example = |name| examples::all().into_iter().find(|example| example.1 == name).map(|example| example.2).unwrap();
    let cases: &[(&str, &str, &str, Value, &str)] = &[
        (schema::NSLCM, "NsInstance", "/nsState", json!("BOOTING"), "BOOTING"),
        (schema::NSLCM, "NsInstance", "/sapInfo/0/sapProtocolInfo/0/ipOverEthernet/speed", json!(9), "speed"),
        (schema::NSLCM, "NsInstance", "/vnfInstance/0/instantiatedVnfInfo/vnfcResourceInfo/0/zoneId", json!("z"), "zoneId"),
        (schema::NSLCM, "NsLcmOpOcc", "/startTime", json!("yesterday"), "yesterday"),
        (schema::VNFLCM, "VnfInstance", "/instantiatedVnfInfo/extCpInfo", json!(null), "null"),
        (schema::VNFLCM, "VnfLcmOpOcc", "/isCancelPending", json!("no"), "no"),
    ];
    for (file, name, place, wrong, says) in cases {
        let mut value = example(*name);
        let (parent, member) = place.rsplit_once('/').unwrap();
        value.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().insert(member.to_owned(), wrong.clone());
        let faults = schema::check(file, name, &value);
        assert!(faults.iter().any(|fault| fault.contains(says)), "{name}{place}: {faults:?}");
    }
}

#[test]
fn misspelt_members_and_values_are_understood_and_sent_right() {
    let cases: Vec<(Result<Value, String>, Value)> = vec![
        (
            through::<UpdateNsRequest>(&json!({"updateType": "ADD SAP", "addVnfIstance": [{"vnfInstanceId": "v", "vnfProfileId": "p"}]})),
            json!({"updateType": "ADD_SAP", "addVnfInstance": [{"vnfInstanceId": "v", "vnfProfileId": "p"}]}),
        ),
        (
            through::<NsdInfoModifications>(&json!({"userDefinedData": [{"site": "hut"}, {"rack": 2}]})),
            json!({"userDefinedData": {"site": "hut", "rack": 2}}),
        ),
        (
            through::<AffinityOrAntiAffinityRule>(&json!({"affinityOrAntiAffinity": "AFFINITY", "scope": "NFVI_NODE"})),
            json!({"affinityOrAntiAffiinty": "AFFINITY", "scope": "NFVI_NODE"}),
        ),
        (through::<ScaleInfo>(&json!({"aspectId": "workers", "scaleToLevel": "2"})), json!({"aspectId": "workers", "scaleLevel": 2})),
    ];
    for (got, wanted) in cases {
        assert_eq!(got, Ok(wanted));
    }
}

#[test]
fn unknown_members_of_a_request_are_ignored() {
    let request = json!({"nsdId": "n", "nsName": "hut", "nsDescription": "", "vimAccountId": "of another orchestrator"});
    assert_eq!(through::<CreateNsRequest>(&request), Ok(json!({"nsdId": "n", "nsName": "hut", "nsDescription": ""})));
}

#[test]
fn a_merge_patch_tells_null_from_absent() {
    let patch = json!({"vnfInstanceName": null, "metadata": {"owner": null}, "vimConnectionInfo": {"vim1": null}});
    let read: VnfInfoModificationRequest = serde_json::from_value(patch.clone()).unwrap();
    assert_eq!(read.vnf_instance_name, Patch::Remove);
    assert_eq!(read.vnf_instance_description, Patch::Keep);
    assert_eq!(read.vim_connection_info.get("vim1"), Some(&None));
    assert_eq!(serde_json::to_value(read).unwrap(), patch);
}

#[test]
fn operation_params_are_read_by_the_operation() {
    let example = |name| examples::all().into_iter().find(|example| example.1 == name).map(|example| example.2).unwrap();
    let ns: NsLcmOpOcc = serde_json::from_value(example("NsLcmOpOcc")).unwrap();
    let Ok(Some(NsOperationParams::Instantiate(request))) = ns.params() else { panic!("{:?}", ns.params()) };
    assert_eq!(to_object(&request).ok(), ns.operation_params);

    let mut vnf: VnfLcmOpOcc = serde_json::from_value(example("VnfLcmOpOcc")).unwrap();
    assert!(matches!(vnf.params(), Ok(Some(VnfOperationParams::Instantiate(_)))));
    vnf.operation = LcmOperationType::Terminate;
    assert!(vnf.params().is_err(), "an instantiate request is no terminate request");
    vnf.operation_params = None;
    assert!(matches!(vnf.params(), Ok(None)));
}

#[test]
fn times_are_rfc_3339_and_written_in_utc() {
    let read = |text: &str| serde_json::from_value::<DateTime>(json!(text)).map(String::from);
    assert_eq!(read("2026-05-01T14:00:00+02:00").ok().as_deref(), Some("2026-05-01T12:00:00Z"));
    for wrong in ["", "tomorrow", "2026-05-01", "2026-13-01T00:00:00Z"] {
        assert!(read(wrong).is_err(), "{wrong} was taken");
    }
}

#[test]
fn a_problem_carries_extension_members() {
    let problem = json!({"status": 409, "detail": "no room", "reasons": ["NUMA node 1: 3 of 4 dedicated cores free"]});
    assert_eq!(through::<ProblemDetails>(&problem).as_ref(), Ok(&problem));
    assert_eq!(schema::check(schema::SOL005, "ProblemDetails", &problem), Vec::<String>::new());
}
