//! What a foreign VNFM is asked, as SOL003 has it, and what of its answers is read. Pure.
//!
//! Of an answer only that is looked at which a step goes by: a VNFM may be of another release, and leave out the rest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use crate::{
    model::{
        abroad::{AbroadLink, AbroadTask, OccAct, Start},
        alarm::Severity,
        error::{Fault, FaultRecord, Kind, Result},
        op::VnfOpState,
        param::{Param, Params},
        vnf::RunState,
    },
    sol::{
        common::KeyValuePairs,
        cp::{CpProtocolData, IpAddressType, IpAddressesData, IpOverEthernetAddressData, LayerProtocol, VnfExtCpConfig, VnfExtCpData},
        problem::ProblemDetails,
        vnflcm::{
            CancelMode, CancelModeType, CreateVnfRequest, ExtVirtualLinkData, HealVnfRequest, InstantiateVnfRequest, InstantiationState,
            LcmOperationState, OperateVnfRequest, ScaleInfo, ScaleType, ScaleVnfRequest, ScaleVnfToLevelRequest, TerminateVnfRequest,
            TerminationType, VnfOperationalState,
        },
    },
    vnfm::abroad::port::{CallBack, NewVnf, Occ, Seen, SeenAlarm},
};

/// Most reasons of others' that are kept.
const MOST: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadVnf {
    pub id: SmolStr,
    pub vnf_instance_name: Option<String>,
    instantiation_state: InstantiationState,
    instantiated_vnf_info: Option<ReadInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadInfo {
    vnf_state: Option<VnfOperationalState>,
    #[serde(default)]
    scale_status: Vec<ReadScale>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadScale {
    aspect_id: SmolStr,
    scale_level: u32,
}

impl From<ReadVnf> for Seen {
    fn from(v: ReadVnf) -> Seen {
        let run = v.instantiated_vnf_info.as_ref().and_then(|i| i.vnf_state).map(|s| match s {
            VnfOperationalState::Started => RunState::Started,
            VnfOperationalState::Stopped => RunState::Stopped,
        });
        let scale = v.instantiated_vnf_info.into_iter().flat_map(|i| i.scale_status).map(|s| (s.aspect_id, s.scale_level));
        Seen { id: v.id, instantiated: v.instantiation_state == InstantiationState::Instantiated, scale: scale.collect(), run }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSubscription {
    pub id: SmolStr,
    pub callback_uri: String,
}

/// As much of an alarm as is told on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadAlarm {
    id: SmolStr,
    pub managed_object_id: SmolStr,
    perceived_severity: String,
    probable_cause: String,
    #[serde(default)]
    fault_details: Vec<String>,
    alarm_cleared_time: Option<String>,
}

impl ReadAlarm {
    /// `None`: it is over.
    pub fn standing(self) -> Option<SeenAlarm> {
        let severity = match self.perceived_severity.as_str() {
            "CLEARED" => return None,
            "CRITICAL" => Severity::Critical,
            "MAJOR" => Severity::Major,
            "MINOR" => Severity::Minor,
            // INDETERMINATE too.
            _ => Severity::Warning,
        };
        let short = |s: &str| s.chars().take(super::LONGEST).collect::<String>();
        let details = self.fault_details.iter().take(MOST).map(|d| short(d)).collect();
        self.alarm_cleared_time.is_none().then(|| SeenAlarm { id: self.id, severity, cause: short(&self.probable_cause), details })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadOcc {
    id: SmolStr,
    pub vnf_instance_id: SmolStr,
    operation: SmolStr,
    operation_state: LcmOperationState,
    #[serde(default)]
    is_automatic_invocation: bool,
    #[serde(default)]
    is_cancel_pending: bool,
    error: Option<ProblemDetails>,
}

impl From<ReadOcc> for Occ {
    fn from(o: ReadOcc) -> Occ {
        let state = match o.operation_state {
            LcmOperationState::Starting => VnfOpState::Starting,
            LcmOperationState::Processing => VnfOpState::Processing,
            LcmOperationState::Completed => VnfOpState::Completed,
            LcmOperationState::FailedTemp => VnfOpState::FailedTemp,
            LcmOperationState::Failed => VnfOpState::Failed,
            LcmOperationState::RollingBack => VnfOpState::RollingBack,
            LcmOperationState::RolledBack => VnfOpState::RolledBack,
        };
        Occ {
            id: o.id,
            operation: o.operation,
            state,
            automatic: o.is_automatic_invocation,
            cancelling: o.is_cancel_pending,
            error: o.error.map(|p| FaultRecord {
                kind: Kind::Conflict,
                text: p.detail.chars().take(super::LONGEST).collect(),
                reasons: reasons(&p),
            }),
        }
    }
}

/// As this box's own problems have them.
pub fn reasons(p: &ProblemDetails) -> Vec<String> {
    let all = p.more.get("reasons").and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).take(MOST).map(|r| r.chars().take(super::LONGEST).collect()).collect()
}

/// The path below which all is.
pub fn root(api_root: &str) -> String {
    format!("{}/vnflcm/v2/", before(api_root))
}

/// The same of the API that tells of faults.
pub fn faults(api_root: &str) -> String {
    format!("{}/vnffm/v1/", before(api_root))
}

/// A subscription to all that it tells of what this box has there.
pub fn subscription(back: &CallBack) -> Result<Vec<u8>> {
    let body = json!({
        "callbackUri": back.uri,
        "authentication": {"authType": ["BASIC"], "paramsBasic": {"userName": back.account, "password": back.secret}},
    });
    serde_json::to_vec(&body).map_err(|e| Fault::bug("a subscription cannot be written as JSON").with_source(e))
}

fn before(api_root: &str) -> String {
    let after = api_root.split_once("://").map_or(api_root, |(_, rest)| rest);
    let path = after.find('/').map_or("", |at| &after[at..]);
    path.trim_end_matches('/').to_owned()
}

/// An id of the VNFM's as a part of a path.
pub fn segment(id: &str) -> Result<&str> {
    let plain = !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~:".contains(c)) && !id.trim_matches('.').is_empty();
    if plain { Ok(id) } else { Err(Fault::conflict(format!("'{id}' is no id of a VNFM's that can be asked for"))) }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(body).map_err(|e| Fault::bug("a request to a VNFM cannot be written as JSON").with_source(e))
}

pub fn create(v: &NewVnf) -> Result<Vec<u8>> {
    json(&CreateVnfRequest {
        vnfd_id: v.vnfd_id.to_string(),
        vnf_instance_name: Some(v.name.to_string()),
        vnf_instance_description: Some(v.description.clone()).filter(|d| !d.is_empty()),
        metadata: KeyValuePairs::new(),
    })
}

/// The task's name, and its body.
pub fn task(task: &AbroadTask) -> Result<(&'static str, Vec<u8>)> {
    let how = |graceful: bool| if graceful { TerminationType::Graceful } else { TerminationType::Forceful };
    Ok(match task {
        AbroadTask::Make | AbroadTask::Drop => return Err(Fault::bug("this is no operation of a VNFM's")),
        AbroadTask::Instantiate(s) => ("instantiate", json(&instantiate(s))?),
        AbroadTask::Terminate { graceful_s } => {
            let additional_params = KeyValuePairs::new();
            let termination_type = how(graceful_s.is_some());
            ("terminate", json(&TerminateVnfRequest { termination_type, graceful_termination_timeout: *graceful_s, additional_params })?)
        }
        AbroadTask::Scale { aspect, out, steps } => {
            let kind = if *out { ScaleType::ScaleOut } else { ScaleType::ScaleIn };
            let (aspect_id, number_of_steps) = (aspect.to_string(), Some(*steps));
            ("scale", json(&ScaleVnfRequest { kind, aspect_id, number_of_steps, additional_params: KeyValuePairs::new() })?)
        }
        AbroadTask::ScaleToLevel { level, aspects } => {
            let info = |(id, to): &(SmolStr, u32)| ScaleInfo { aspect_id: id.to_string(), vnfd_id: None, scale_level: *to };
            let body = ScaleVnfToLevelRequest {
                instantiation_level_id: level.as_ref().map(ToString::to_string),
                scale_info: aspects.iter().map(info).collect(),
                additional_params: KeyValuePairs::new(),
            };
            ("scale_to_level", json(&body)?)
        }
        AbroadTask::Heal { anew } => {
            // SOL003 has no word for it; this is the one that Bothy's own VNFM takes.
            let all = || ("all".to_owned(), Value::Bool(true));
            let body = HealVnfRequest {
                vnfc_instance_id: Vec::new(),
                cause: None,
                heal_script: None,
                additional_params: anew.then(all).into_iter().collect(),
            };
            ("heal", json(&body)?)
        }
        AbroadTask::Operate { run, graceful_s } => {
            let stops = *run == RunState::Stopped;
            let body = OperateVnfRequest {
                change_state_to: if stops { VnfOperationalState::Stopped } else { VnfOperationalState::Started },
                stop_type: stops.then(|| how(graceful_s.is_some())),
                graceful_stop_timeout: *graceful_s,
                ..OperateVnfRequest::default()
            };
            ("operate", json(&body)?)
        }
    })
}

pub fn act(act: OccAct) -> Result<(&'static str, Vec<u8>)> {
    Ok(match act {
        OccAct::Retry => ("retry", Vec::new()),
        OccAct::Rollback => ("rollback", Vec::new()),
        OccAct::Fail => ("fail", Vec::new()),
        OccAct::Cancel(forceful) => {
            let cancel_mode = if forceful { CancelModeType::Forceful } else { CancelModeType::Graceful };
            ("cancel", json(&CancelMode { cancel_mode })?)
        }
    })
}

fn instantiate(s: &Start) -> InstantiateVnfRequest {
    // Connection points by the link that they come to.
    let mut links: BTreeMap<String, ExtVirtualLinkData> = BTreeMap::new();
    for l in &s.links {
        let link = links.entry(l.segment.to_string()).or_insert_with(|| ExtVirtualLinkData {
            id: l.segment.to_string(),
            vim_connection_id: s.vim.as_ref().map(ToString::to_string),
            resource_id: l.resource.to_string(),
            ..ExtVirtualLinkData::default()
        });
        link.ext_cps.push(ext_cp(l));
    }
    InstantiateVnfRequest {
        flavour_id: s.flavour.to_string(),
        instantiation_level_id: Some(s.level.to_string()),
        ext_virtual_links: links.into_values().collect(),
        additional_params: pairs(&s.params),
        ..InstantiateVnfRequest::default()
    }
}

fn ext_cp(l: &AbroadLink) -> VnfExtCpData {
    let group = |kind: IpAddressType, four: bool| {
        let of: Vec<String> = l.addresses.iter().filter(|a| a.is_ipv4() == four).map(ToString::to_string).collect();
        let (num_dynamic_addresses, address_range, subnet_id) = (None, None, None);
        (!of.is_empty()).then_some(IpAddressesData { kind, fixed_addresses: of, num_dynamic_addresses, address_range, subnet_id })
    };
    let data = l.mac.map(|mac| IpOverEthernetAddressData {
        mac_address: Some(mac.to_string()),
        ip_addresses: [group(IpAddressType::Ipv4, true), group(IpAddressType::Ipv6, false)].into_iter().flatten().collect(),
        ..IpOverEthernetAddressData::default()
    });
    let config = data.map(|data| VnfExtCpConfig {
        cp_protocol_data: vec![CpProtocolData { layer_protocol: LayerProtocol::IpOverEthernet, ip_over_ethernet: Some(data) }],
        ..VnfExtCpConfig::default()
    });
    VnfExtCpData { cpd_id: l.cp.to_string(), cp_config: config.into_iter().map(|c| (l.cp.to_string(), Some(c))).collect() }
}

/// Parameters as JSON.
pub fn pairs(all: &Params) -> KeyValuePairs {
    all.iter().map(|(k, v)| (k.to_string(), value(v))).collect()
}

fn value(p: &Param) -> Value {
    match p {
        Param::Null => Value::Null,
        Param::Bool(b) => Value::Bool(*b),
        Param::Number(n) => serde_json::from_str(n).unwrap_or_else(|_| Value::String(n.to_string())),
        Param::Text(s) => Value::String(s.clone()),
        Param::List(all) => all.iter().map(value).collect(),
        Param::Map(all) => Value::Object(pairs(all).into_iter().collect::<Map<_, _>>()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::id::SegmentId;

    #[test]
    fn paths_begin_where_the_api_root_ends() {
        for (root_of, path) in [
            ("https://east:8443", "/vnflcm/v2/"),
            ("https://east:8443/", "/vnflcm/v2/"),
            ("https://east/mano/vnfm", "/mano/vnfm/vnflcm/v2/"),
        ] {
            assert_eq!(root(root_of), path);
        }
    }

    #[test]
    fn an_id_that_would_lead_elsewhere_is_not_asked_for() {
        for (id, fine) in
            [("a-1_b.c~d:e", true), ("", false), ("..", false), (".", false), ("a/b", false), ("a?b", false), ("a%2fb", false)]
        {
            assert_eq!(segment(id).is_ok(), fine, "{id}");
        }
    }

    #[test]
    fn an_instance_shows_its_levels_where_it_is_instantiated() {
        for (text, scale) in [
            (r#"{"id": "1", "instantiationState": "NOT_INSTANTIATED"}"#, &[][..]),
            (r#"{"id": "1", "instantiationState": "INSTANTIATED", "instantiatedVnfInfo": {"flavourId": "f"}}"#, &[]),
            (
                r#"{"id": "1", "instantiationState": "INSTANTIATED", "instantiatedVnfInfo": {"scaleStatus": [{"aspectId": "a", "vnfdId": "d", "scaleLevel": 2}]}}"#,
                &[("a", 2)],
            ),
        ] {
            let seen: Seen = serde_json::from_str::<ReadVnf>(text).expect("an instance").into();
            assert_eq!(
                (seen.instantiated, seen.scale),
                (text.contains("\"INSTANTIATED"), scale.iter().map(|(a, l)| ((*a).into(), *l)).collect())
            );
        }
    }

    #[test]
    fn connection_points_of_one_link_are_told_together_with_what_is_kept_for_them() {
        let at = |cp: &str, segment: u128, mac: Option<&str>| AbroadLink {
            cp: cp.into(),
            segment: SegmentId(Uuid::from_u128(segment)),
            resource: "net-1".into(),
            mac: mac.map(|m| m.parse().expect("a MAC")),
            addresses: mac.iter().flat_map(|_| ["192.0.2.7", "2001:db8::7"]).map(|a| a.parse().expect("an address")).collect(),
        };
        let links = vec![at("a", 1, Some("52:54:00:00:00:01")), at("b", 2, None), at("c", 1, None)];
        let params = vec![("n".into(), Param::Number("7".into())), ("m".into(), Param::Map(vec![("k".into(), Param::Null)]))];
        let start = Start { flavour: "df".into(), level: "l".into(), vim: Some("v".into()), links, params };
        let (name, body) = task(&AbroadTask::Instantiate(Box::new(start))).expect("a request");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(name, "instantiate");
        assert_eq!(body["additionalParams"], serde_json::json!({"n": 7, "m": {"k": null}}));
        let links = body["extVirtualLinks"].as_array().expect("links");
        let cps =
            |n: usize| -> Vec<&str> { links[n]["extCps"].as_array().into_iter().flatten().filter_map(|c| c["cpdId"].as_str()).collect() };
        assert_eq!((links.len(), cps(0), cps(1)), (2, vec!["a", "c"], vec!["b"]));
        assert_eq!((&links[0]["resourceId"], &links[0]["vimConnectionId"]), (&"net-1".into(), &"v".into()));
        let kept = &links[0]["extCps"][0]["cpConfig"]["a"]["cpProtocolData"][0]["ipOverEthernet"];
        assert_eq!(kept["macAddress"], "52:54:00:00:00:01");
        let addresses: Vec<&Value> = kept["ipAddresses"].as_array().into_iter().flatten().map(|g| &g["fixedAddresses"][0]).collect();
        assert_eq!(addresses, ["192.0.2.7", "2001:db8::7"]);
        assert!(links[1]["extCps"][0]["cpConfig"].is_null(), "it finds its own");
    }
}
