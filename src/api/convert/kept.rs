//! Requests as their operations keep them: op-occs show them later to whoever may read.
//!
//! Owns what is never kept (access to VIMs, secrets in the clear), and which known members nobody here acts on: they are
//! named in the log as unknown ones are, and by dry runs. Never: what the other members mean.

use serde::Serialize;
use serde_json::Value;

use super::param;
use crate::{
    model::{
        error::{Fault, Result},
        param::Param,
        secret::refuse_clear,
    },
    sol::{
        nslcm::{HealNsRequest, InstantiateNsRequest, ScaleNsRequest, TerminateNsRequest, UpdateNsRequest, UpdateType},
        vnflcm::{
            ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, ChangeVnfFlavourRequest, CreateVnfSnapshotRequest, HealVnfRequest,
            InstantiateVnfRequest, OperateVnfRequest, RevertToVnfSnapshotRequest, ScaleVnfRequest, ScaleVnfToLevelRequest,
            TerminateVnfRequest, VnfInfoModificationRequest,
        },
    },
};

/// A request that is kept with its operation.
pub trait Kept: Serialize {
    /// Members that nobody here acts on, by their paths; `[]` is each item of a list.
    fn idle(&self) -> Vec<&'static str>;
}

macro_rules! kept {
    ($($t:ty: $($path:literal)*;)*) => {$(
        impl Kept for $t {
            fn idle(&self) -> Vec<&'static str> {
                vec![$($path),*]
            }
        }
    )*};
}

// There is one VIM, this box, whose links are told by their own ids.
kept! {
    InstantiateVnfRequest: "vimConnectionInfo" "extVirtualLinks[].vimConnectionId" "extVirtualLinks[].resourceProviderId"
        "localizationLanguage";
    ChangeVnfFlavourRequest: "vimConnectionInfo" "extVirtualLinks[].vimConnectionId" "extVirtualLinks[].resourceProviderId";
    ChangeCurrentVnfPkgRequest: "vimConnectionInfo" "extVirtualLinks[].vimConnectionId" "extVirtualLinks[].resourceProviderId";
    ChangeExtVnfConnectivityRequest: "vimConnectionInfo" "extVirtualLinks[].vimConnectionId" "extVirtualLinks[].resourceProviderId";
    VnfInfoModificationRequest: "vimConnectionInfo";
    ScaleVnfRequest: "additionalParams";
    ScaleVnfToLevelRequest: "additionalParams";
    OperateVnfRequest: "additionalParams";
    TerminateVnfRequest: "additionalParams";
    HealVnfRequest: ;
    CreateVnfSnapshotRequest: ;
    RevertToVnfSnapshotRequest: ;
    InstantiateNsRequest: "sapData" "locationConstraints" "nestedNsLocationConstraints" "wanConnectionData"
        "addpnfData[].cpData[].cpInstanceId";
    ScaleNsRequest: "scaleVnfData[].scaleByStepData.additionalParams" "scaleVnfData[].scaleToLevelData.additionalParams";
    HealNsRequest: ;
    TerminateNsRequest: "terminateNsData" "terminateVnfData[].additionalParams";
}

/// What an update may have beside its type (SOL005 6.5.2.12), and which type that is about.
const OF_UPDATES: [(UpdateType, &str); 28] = [
    (UpdateType::AddVnf, "addVnfInstance"),
    (UpdateType::RemoveVnf, "removeVnfInstanceId"),
    (UpdateType::InstantiateVnf, "instantiateVnfData"),
    (UpdateType::RemoveVnf, "terminateVnfData"),
    (UpdateType::ChangeVnfDf, "changeVnfFlavourData"),
    (UpdateType::OperateVnf, "operateVnfData"),
    (UpdateType::ModifyVnfInformation, "modifyVnfInfoData"),
    (UpdateType::ChangeExternalVnfConnectivity, "changeExtVnfConnectivityData"),
    (UpdateType::ChangeVnfpkg, "changeVnfPackageData"),
    (UpdateType::AddSap, "addSap"),
    (UpdateType::RemoveSap, "removeSapId"),
    (UpdateType::AddNestedNs, "addNestedNsData"),
    (UpdateType::RemoveNestedNs, "removeNestedNsId"),
    (UpdateType::AssocNewNsdVersion, "assocNewNsdVersionData"),
    (UpdateType::MoveVnf, "moveVnfInstanceData"),
    (UpdateType::AddVnffg, "addVnffg"),
    (UpdateType::RemoveVnffg, "removeVnffgId"),
    (UpdateType::UpdateVnffg, "updateVnffg"),
    (UpdateType::ChangeNsDf, "changeNsFlavourData"),
    (UpdateType::AddPnf, "addPnfData"),
    (UpdateType::ModifyPnf, "modifyPnfData"),
    (UpdateType::RemovePnf, "removePnfId"),
    (UpdateType::ModifyWanConnectionInfo, "modifyWanConnectionInfoData"),
    (UpdateType::CreateVnfSnapshot, "createSnapshotData"),
    (UpdateType::RevertVnfToSnapshot, "revertVnfToSnapshotData"),
    (UpdateType::DeleteVnfSnapshotInfo, "deleteVnfSnapshotData"),
    (UpdateType::CreateNsVirtualLink, "addNsVirtualLinkData"),
    (UpdateType::DeleteNsVirtualLink, "deleteNsVirtualLinkId"),
];

impl Kept for UpdateNsRequest {
    /// All but what its type is about.
    fn idle(&self) -> Vec<&'static str> {
        let others = OF_UPDATES.into_iter().filter(|(of, _)| *of != self.update_type).map(|(_, member)| member);
        others.chain(["operateVnfData[].additionalParam"]).collect()
    }
}

/// The request as an op-occ shows it later. One that would keep a secret in the clear is refused.
pub fn text(request: &impl Kept) -> Result<String> {
    kept(json(request)?, &request.idle())
}

/// Members of it that nobody acts on, for a dry run.
pub fn idle(request: &impl Kept) -> Result<Vec<String>> {
    Ok(given(&json(request)?, &request.idle()))
}

fn json(request: &impl Serialize) -> Result<Value> {
    serde_json::to_value(request).map_err(|e| Fault::bug("a request cannot be written down").with_source(e))
}

/// Access to a VIM is nobody's to read back; an older release may have kept it.
pub fn forget_access(request: &mut Value) {
    if let Some(Value::Object(all)) = request.get_mut("vimConnectionInfo") {
        for one in all.values_mut().filter_map(Value::as_object_mut) {
            one.shift_remove("accessInfo");
        }
    }
}

fn kept(mut v: Value, idle: &[&str]) -> Result<String> {
    forget_access(&mut v);
    if let Param::Map(all) = param(&v) {
        refuse_clear(&all)?;
    }
    let idle = given(&v, idle);
    if !idle.is_empty() {
        tracing::info!(members = idle.join(", "), "members of the request are not acted on here, and are ignored");
    }
    Ok(v.to_string())
}

fn given(v: &Value, paths: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    paths.iter().for_each(|path| find(v, path, "", &mut out));
    out
}

fn find(v: &Value, path: &str, at: &str, out: &mut Vec<String>) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let bare = name.strip_suffix("[]").unwrap_or(name);
    let Some(there) = v.get(bare) else { return };
    let at = if at.is_empty() { bare.to_owned() } else { format!("{at}.{bare}") };
    match (rest, there) {
        (None, _) => out.push(at),
        (Some(rest), Value::Array(all)) => all.iter().enumerate().for_each(|(i, v)| find(v, rest, &format!("{at}[{i}]"), out)),
        (Some(rest), _) => find(there, rest, &at, out),
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    /// What is kept, and what nobody acts on.
    fn of<R: Kept + DeserializeOwned>(request: Value) -> (Result<String>, Vec<String>) {
        let r: R = serde_json::from_value(request).expect("a request");
        (text(&r), idle(&r).expect("named"))
    }

    #[test]
    fn access_to_a_vim_is_kept_with_no_request() {
        let vim = json!({"vimConnectionInfo": {"x": {"vimType": "T", "accessInfo": {"username": "u", "password": "hush"}}}});
        for (of, mut more) in [
            (of::<VnfInfoModificationRequest> as fn(Value) -> _, json!({})),
            (of::<InstantiateVnfRequest>, json!({"flavourId": "f"})),
            (of::<ChangeVnfFlavourRequest>, json!({"newFlavourId": "f"})),
            (of::<ChangeCurrentVnfPkgRequest>, json!({"vnfdId": "d"})),
            (of::<ChangeExtVnfConnectivityRequest>, json!({"extVirtualLinks": []})),
        ] {
            more["vimConnectionInfo"] = vim["vimConnectionInfo"].clone();
            let (kept, idle) = of(more);
            let kept = kept.expect("kept");
            assert!(!kept.contains("hush") && !kept.contains("accessInfo") && kept.contains("\"vimType\":\"T\""), "{kept}");
            assert_eq!(idle, ["vimConnectionInfo"]);
        }
    }

    #[test]
    fn no_request_is_kept_with_a_secret_in_the_clear() {
        let secret = json!({"site": "7", "users": [{"password": "hush"}]});
        for (of, request) in [
            (of::<ScaleVnfRequest> as fn(Value) -> _, json!({"type": "SCALE_OUT", "aspectId": "a", "additionalParams": secret})),
            (of::<ScaleVnfToLevelRequest>, json!({"instantiationLevelId": "l", "additionalParams": secret})),
            (of::<OperateVnfRequest>, json!({"changeStateTo": "STOPPED", "additionalParams": secret})),
            (of::<TerminateVnfRequest>, json!({"terminationType": "FORCEFUL", "additionalParams": secret})),
            (of::<TerminateNsRequest>, json!({"terminateNsData": {"additionalParamsForNs": secret}})),
            (
                of::<ScaleNsRequest>,
                json!({"scaleType": "SCALE_VNF", "scaleVnfData": [{"vnfInstanceId": "v", "scaleVnfType": "SCALE_OUT",
                    "scaleByStepData": {"aspectId": "a", "additionalParams": secret}}]}),
            ),
        ] {
            let fault = of(request.clone()).0.expect_err("refused");
            assert!(fault.detail().contains("users[0].password' looks like a secret"), "{request}: {}", fault.detail());
            assert!(!fault.detail().contains("hush"), "{}", fault.detail());
        }
        let by_name = json!({"terminationType": "FORCEFUL", "additionalParams": {"password": {"secret": "wan"}}});
        assert_eq!(of::<TerminateVnfRequest>(by_name.clone()).0.expect("kept"), by_name.to_string());
    }

    #[test]
    fn what_nobody_acts_on_is_named_where_it_stands() {
        let scale = json!({"scaleType": "SCALE_VNF", "scaleVnfData": [
            {"vnfInstanceId": "v", "scaleVnfType": "SCALE_OUT", "scaleByStepData": {"aspectId": "a"}},
            {"vnfInstanceId": "w", "scaleVnfType": "SCALE_OUT", "scaleByStepData": {"aspectId": "a", "additionalParams": {"site": "7"}}}]});
        assert_eq!(of::<ScaleNsRequest>(scale).1, ["scaleVnfData[1].scaleByStepData.additionalParams"]);
        let update = json!({"updateType": "REMOVE_PNF", "removePnfId": ["p"], "removeSapId": ["s"], "deleteNsVirtualLinkId": ["l"]});
        assert_eq!(of::<UpdateNsRequest>(update).1, ["removeSapId", "deleteNsVirtualLinkId"]);
        let operate = json!({"updateType": "OPERATE_VNF", "addSap": [], "operateVnfData": [
            {"vnfInstanceId": "v", "changeStateTo": "STOPPED"},
            {"vnfInstanceId": "w", "changeStateTo": "STOPPED", "additionalParam": {"why": "7"}}]});
        assert_eq!(of::<UpdateNsRequest>(operate).1, ["operateVnfData[1].additionalParam"]);
        let sap = json!({"nsFlavourId": "f", "sapData": [{"sapdId": "s", "sapName": "n", "description": ""}]});
        assert_eq!(of::<InstantiateNsRequest>(sap).1, ["sapData"]);
        let link = json!({"flavourId": "f", "extVirtualLinks": [{"id": "l", "vimConnectionId": "x", "resourceId": "r", "extCps": []}]});
        assert_eq!(of::<InstantiateVnfRequest>(link).1, ["extVirtualLinks[0].vimConnectionId"]);
        assert_eq!(of::<HealVnfRequest>(json!({"cause": "it hangs"})).1, Vec::<String>::new());
    }
}
