//! What clients ask for, as the domain takes it. A request's faults are found all at once.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;
use serde_json::Value;
use smol_str::SmolStr;

use super::{kept, params};
use crate::{
    model::{
        error::{Fault, Result},
        id::{SegmentId, VnfId, VnfcId},
        net::MacAddr,
        ns::{NsPnf, NsPnfCp},
        op::CancelMode,
        param::Params,
        tree::tree,
        vnf::{RunState, Stopping},
    },
    nfvo::{accept::InstantiateNs, goal::NsScaleTo, scale::ScaleNs},
    sol::{
        common::KeyValuePairs,
        cp::{CpProtocolData, VnfExtCpConfig},
        nslcm::{
            AddPnfData, HealNsRequest, InstantiateNsRequest, NsScaleType, ParamsForVnf, ScaleNsData, ScaleNsRequest, ScaleVnfType,
            ScalingDirection, TerminateNsRequest,
        },
        vnflcm::{
            CancelModeType, ExtVirtualLinkData, HealVnfRequest, InstantiateVnfRequest, OperateVnfRequest, ScaleType, ScaleVnfRequest,
            ScaleVnfToLevelRequest, TerminateVnfRequest, TerminationType, VnfOperationalState,
        },
    },
    vim::network::Wish,
    vnfm::{accept::InstantiateVnf, alter::Alter, change::ScaleTo, plan::Attachment},
};

/// Collects what is wrong with a request, each with the member it is about.
#[derive(Default)]
pub(in crate::api) struct Faults(Vec<String>);

impl Faults {
    pub(in crate::api) fn add(&mut self, at: impl std::fmt::Display, why: impl std::fmt::Display) {
        self.0.push(format!("{at}: {why}"));
    }
    /// A member that must not be there.
    pub(in crate::api) fn refuse(&mut self, given: bool, at: &str, why: &str) {
        if given {
            self.add(at, why);
        }
    }
    /// All of them, for who goes on looking.
    pub(super) fn into_all(self) -> Vec<String> {
        self.0
    }
    pub(in crate::api) fn end<T>(mut self, what: &str, done: T) -> Result<T> {
        match self.0.len() {
            0 => Ok(done),
            1 => Err(Fault::invalid(self.0.remove(0))),
            n => Err(Fault::invalid(format!("{what} has {n} faults")).with_reasons(self.0)),
        }
    }
}

/// A request that is kept for Bothy itself; what op-occs show is `kept`.
pub fn text(request: &impl Serialize) -> Result<String> {
    serde_json::to_string(request).map_err(|e| Fault::bug("a request cannot be written down").with_source(e))
}

/// Takes `ssh_keys` out of parameters: one key or a list of them.
pub(super) fn ssh_keys(given: &mut KeyValuePairs, at: &str, faults: &mut Faults) -> Vec<String> {
    let wrong = "must be a public key or a list of them, as in authorized_keys";
    let mut keys = Vec::new();
    match given.shift_remove("ssh_keys") {
        None | Some(Value::Null) => {}
        Some(Value::String(key)) => keys.push(key),
        Some(Value::Array(all)) => {
            for key in all {
                match key {
                    Value::String(key) => keys.push(key),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        faults.add(format!("{at}.ssh_keys"), wrong);
                    }
                }
            }
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => faults.add(format!("{at}.ssh_keys"), wrong),
    }
    if keys.iter().any(|k| k.contains(['\n', '\r'])) {
        faults.add(format!("{at}.ssh_keys"), "a key must be one line");
    }
    keys
}

/// InstantiateVnfRequest, SOL003 5.5.2.4.
pub fn instantiate_vnf(mut r: InstantiateVnfRequest) -> Result<InstantiateVnf> {
    let mut faults = Faults::default();
    faults.refuse(
        !r.ext_managed_virtual_links.is_empty(),
        "extManagedVirtualLinks",
        "not offered: Bothy makes the links inside a VNF itself; leave the member out",
    );
    let attach = attachments(&r.ext_virtual_links, &mut faults);
    let request = kept::text(&r)?;
    let mut given = std::mem::take(&mut r.additional_params);
    let ssh_keys = ssh_keys(&mut given, "additionalParams", &mut faults);
    let done = InstantiateVnf {
        flavour: r.flavour_id.into(),
        level: r.instantiation_level_id.map(Into::into),
        attach,
        params: params(&given),
        ssh_keys,
        request,
    };
    faults.end("InstantiateVnfRequest", done)
}

/// ScaleVnfRequest, SOL003 5.5.2.5.
pub fn scale(r: &ScaleVnfRequest) -> Result<Alter> {
    let steps = r.number_of_steps.unwrap_or(1);
    if steps == 0 {
        return Err(Fault::invalid("numberOfSteps: must be 1 or more"));
    }
    let out = match r.kind {
        ScaleType::ScaleOut => true,
        ScaleType::ScaleIn => false,
    };
    Ok(Alter::Scale(ScaleTo::Steps { aspect: r.aspect_id.as_str().into(), out, steps }))
}

/// ScaleVnfToLevelRequest, SOL003 5.5.2.6.
pub fn scale_to_level(r: &ScaleVnfToLevelRequest) -> Result<Alter> {
    match (&r.instantiation_level_id, r.scale_info.as_slice()) {
        (Some(level), []) => Ok(Alter::Scale(ScaleTo::Level(level.as_str().into()))),
        (None, [_, ..]) => {
            let all: Vec<(SmolStr, u32)> = r.scale_info.iter().map(|s| (s.aspect_id.as_str().into(), s.scale_level)).collect();
            if let Some((twice, _)) = all.iter().enumerate().find(|(i, (a, _))| all[..*i].iter().any(|(b, _)| a == b)).map(|(_, t)| t) {
                return Err(Fault::invalid(format!("scaleInfo: aspect {twice} is given twice")));
            }
            Ok(Alter::Scale(ScaleTo::Aspects(all)))
        }
        (Some(_), [_, ..]) | (None, []) => Err(Fault::invalid("give either instantiationLevelId or scaleInfo")),
    }
}

/// HealVnfRequest, SOL003 5.5.2.9, with two parameters of Bothy's own: `vnfcInstanceId`, a list of guests,
/// and `all`, true to make their volumes again too.
pub fn heal(r: &HealVnfRequest) -> Result<Alter> {
    let mut faults = Faults::default();
    if r.heal_script.is_some() {
        faults.add("healScript", "no script of a request is run in a VNF; leave it out");
    }
    let mut which = Vec::new();
    let mut anew = false;
    let mut named: Vec<Value> = r.vnfc_instance_id.iter().map(|i| Value::String(i.to_string())).collect();
    for (key, value) in &r.additional_params {
        match (key.as_str(), value) {
            ("vnfcInstanceId", Value::Array(all)) => named.extend(all.iter().cloned()),
            ("vnfcInstanceId", one @ Value::String(_)) => named.push(one.clone()),
            ("vnfcInstanceId", _) => faults.add("additionalParams.vnfcInstanceId", "must be a list of ids"),
            ("all", Value::Bool(all)) => anew = *all,
            ("all", _) => faults.add("additionalParams.all", "must be true or false"),
            (other, _) => faults.add(format!("additionalParams.{other}"), "is not known; known: all, vnfcInstanceId"),
        }
    }
    for id in named {
        match id.as_str().and_then(|s| s.parse::<VnfcId>().ok()) {
            Some(id) if !which.contains(&id) => which.push(id),
            Some(_) => {}
            None => faults.add("vnfcInstanceId", format!("{id} is not the id of a VNFC")),
        }
    }
    faults.end("HealVnfRequest", Alter::Heal { which, anew })
}

/// What is scaled.
pub enum Scaled {
    /// VNFs in the service.
    Members(Vec<(VnfId, Alter)>),
    /// The service itself.
    Service(ScaleNs),
}

/// ScaleNsRequest, SOL005 6.5.2.14. What is wrong is said all at once.
pub fn scale_ns(r: &ScaleNsRequest) -> Result<Scaled> {
    let mut faults = Faults::default();
    faults.refuse(r.scale_time.is_some(), "scaleTime", "not offered: scaling begins at once");
    match r.scale_type {
        NsScaleType::ScaleNs => {
            faults.refuse(!r.scale_vnf_data.is_empty(), "scaleVnfData", "must not be there with SCALE_NS");
            match &r.scale_ns_data {
                Some(d) => whole_service(d, kept::text(r)?, faults).map(Scaled::Service),
                None => {
                    faults.add("scaleNsData", "needed with SCALE_NS");
                    faults.end("ScaleNsRequest", Scaled::Members(Vec::new()))
                }
            }
        }
        NsScaleType::ScaleVnf => {
            faults.refuse(r.scale_vnf_data.is_empty(), "scaleVnfData", "needed with SCALE_VNF");
            faults.refuse(r.scale_ns_data.is_some(), "scaleNsData", "must not be there with SCALE_VNF");
            scale_members(r, faults).map(Scaled::Members)
        }
    }
}

/// ScaleNsData, SOL005 6.5.3.38.
fn whole_service(d: &ScaleNsData, request: String, mut faults: Faults) -> Result<ScaleNs> {
    let no = "not offered; leave the member out";
    faults.refuse(!d.vnf_instance_to_be_added.is_empty(), "vnfInstanceToBeAdded", "not offered: Bothy makes the VNFs of a service itself");
    faults.refuse(!d.location_constraints.is_empty(), "locationConstraints", "not offered: this is one box");
    faults.refuse(!d.nested_ns_location_constraints.is_empty(), "nestedNsLocationConstraints", no);
    let mut all = Vec::new();
    if let Some(s) = &d.scale_ns_by_steps_data {
        let steps = s.number_of_steps.unwrap_or(1);
        faults.refuse(steps == 0, "scaleNsByStepsData.numberOfSteps", "must be 1 or more");
        let out = s.scaling_direction == ScalingDirection::ScaleOut;
        all.push(NsScaleTo::Steps { aspect: s.aspect_id.as_str().into(), out, steps });
    }
    if let Some(l) = &d.scale_ns_to_level_data {
        let aspects: Vec<(SmolStr, u32)> = l
            .ns_scale_info
            .iter()
            .map(|i| (SmolStr::new(&i.ns_scaling_aspect_id), i.ns_scale_level_id.parse().unwrap_or(u32::MAX)))
            .collect();
        for (i, (a, level)) in aspects.iter().enumerate() {
            let at = format!("scaleNsToLevelData.nsScaleInfo[{i}]");
            faults.refuse(*level == u32::MAX, &at, "nsScaleLevelId must be a number, as in the NSD");
            faults.refuse(aspects[..i].iter().any(|(b, _)| a == b), &at, "this aspect is given twice");
        }
        match (&l.ns_instantiation_level, aspects.is_empty()) {
            (Some(level), true) => all.push(NsScaleTo::Level(level.as_str().into())),
            (None, false) => all.push(NsScaleTo::Aspects(aspects)),
            (Some(_), false) | (None, true) => faults.add("scaleNsToLevelData", "give either nsInstantiationLevel or nsScaleInfo"),
        }
    }
    if !d.vnf_instance_to_be_removed.is_empty() {
        let mut go = Vec::new();
        for (i, id) in d.vnf_instance_to_be_removed.iter().enumerate() {
            match id.parse::<VnfId>() {
                Ok(vnf) => go.push(vnf),
                Err(_) => faults.add(format!("vnfInstanceToBeRemoved[{i}]"), format!("'{id}' is not the id of a VNF instance")),
            }
        }
        all.push(NsScaleTo::Without(go));
    }
    if all.len() != 1 && faults.0.is_empty() {
        faults.add("scaleNsData", "give one of scaleNsByStepsData, scaleNsToLevelData and vnfInstanceToBeRemoved");
    }
    let member_params = member_params(&d.additional_params_for_vnf, &mut faults);
    let to = all.into_iter().next().unwrap_or(NsScaleTo::Without(Vec::new()));
    faults.end("ScaleNsRequest", ScaleNs { to, params: params(&d.additional_params_for_ns), member_params, request })
}

fn scale_members(r: &ScaleNsRequest, mut faults: Faults) -> Result<Vec<(VnfId, Alter)>> {
    let mut out = Vec::new();
    for (i, d) in r.scale_vnf_data.iter().enumerate() {
        let at = format!("scaleVnfData[{i}]");
        let by = |kind| match &d.scale_by_step_data {
            Some(s) => scale(&ScaleVnfRequest {
                kind,
                aspect_id: s.aspect_id.clone(),
                number_of_steps: s.number_of_steps,
                additional_params: KeyValuePairs::new(),
            }),
            None => Err(Fault::invalid("scaleByStepData is needed")),
        };
        let to = || match &d.scale_to_level_data {
            Some(l) => scale_to_level(&ScaleVnfToLevelRequest {
                instantiation_level_id: l.vnf_instantiation_level_id.clone(),
                scale_info: l.vnf_scale_info.clone(),
                additional_params: KeyValuePairs::new(),
            }),
            None => Err(Fault::invalid("scaleToLevelData is needed")),
        };
        let alter = match d.scale_vnf_type {
            ScaleVnfType::ScaleOut => by(ScaleType::ScaleOut),
            ScaleVnfType::ScaleIn => by(ScaleType::ScaleIn),
            ScaleVnfType::ScaleToInstantiationLevel | ScaleVnfType::ScaleToScaleLevels => to(),
        };
        match (d.vnf_instance_id.parse::<VnfId>(), alter) {
            (Ok(vnf), Ok(alter)) => out.push((vnf, alter)),
            (vnf, alter) => {
                if vnf.is_err() {
                    faults.add(format!("{at}.vnfInstanceId"), format!("'{}' is not the id of a VNF instance", d.vnf_instance_id));
                }
                if let Err(f) = alter {
                    faults.add(&at, f);
                }
            }
        }
    }
    faults.end("ScaleNsRequest", out)
}

/// HealNsRequest, SOL005 6.5.2.13: some VNFs, or with `healNsData` all `members` of the service.
pub fn heal_ns(r: &HealNsRequest, members: &[VnfId]) -> Result<Vec<(VnfId, Alter)>> {
    let mut faults = Faults::default();
    let mut out = Vec::new();
    match &r.heal_ns_data {
        Some(d) => {
            faults.refuse(!r.heal_vnf_data.is_empty(), "healVnfData", "must not be there beside healNsData");
            faults.refuse(d.heal_script.is_some(), "healNsData.healScript", "not offered: services have no scripts here");
            faults.refuse(!d.actions_healing.is_empty(), "healNsData.actionsHealing", "not offered: guests are made again, nothing else");
            let params = HealVnfRequest { additional_params: d.additional_paramsfor_ns.clone(), ..HealVnfRequest::default() };
            match heal(&params) {
                Ok(alter) => out.extend(members.iter().map(|m| (*m, alter.clone()))),
                Err(f) => faults.add("healNsData", f),
            }
        }
        None => faults.refuse(r.heal_vnf_data.is_empty(), "healVnfData", "either this or healNsData is needed"),
    }
    for (i, d) in r.heal_vnf_data.iter().enumerate() {
        let at = format!("healVnfData[{i}]");
        let params = HealVnfRequest { additional_params: d.additional_params.clone(), ..HealVnfRequest::default() };
        match (d.vnf_instance_id.parse::<VnfId>(), heal(&params)) {
            (Ok(vnf), Ok(alter)) => out.push((vnf, alter)),
            (Err(_), _) => faults.add(format!("{at}.vnfInstanceId"), format!("'{}' is not the id of a VNF instance", d.vnf_instance_id)),
            (Ok(_), Err(f)) => faults.add(&at, f),
        }
    }
    faults.end("HealNsRequest", out)
}

pub(super) fn attachments(links: &[ExtVirtualLinkData], faults: &mut Faults) -> BTreeMap<SmolStr, Attachment> {
    let mut out: BTreeMap<SmolStr, Attachment> = BTreeMap::new();
    for (i, link) in links.iter().enumerate() {
        let at = format!("extVirtualLinks[{i}]");
        let segment: Option<SegmentId> = match link.resource_id.parse() {
            Ok(id) => Some(id),
            Err(_) => {
                let why = format!("'{}' is not the id of a virtual link; GET /bothy/v1/networks lists them", link.resource_id);
                faults.add(format!("{at}.resourceId"), why);
                None
            }
        };
        for p in &link.ext_link_ports {
            faults.add(format!("{at}.extLinkPorts"), format!("port {} is not offered: Bothy makes the ports of its links itself", p.id));
        }
        for (j, cp) in link.ext_cps.iter().enumerate() {
            let at = format!("{at}.extCps[{j}]");
            let wish = wish(&cp.cp_config, &at, faults);
            if out.insert(SmolStr::new(&cp.cpd_id), Attachment { segment, wish }).is_some() {
                faults.add(format!("{at}.cpdId"), format!("'{}' is attached more than once", cp.cpd_id));
            }
        }
    }
    out
}

/// The one configuration of a connection point.
fn wish(configs: &BTreeMap<String, Option<VnfExtCpConfig>>, at: &str, faults: &mut Faults) -> Wish {
    let at = format!("{at}.cpConfig");
    if configs.len() > 1 {
        faults.add(&at, "more than one configuration of a connection point is not offered");
    }
    match configs.values().next() {
        None => Wish::default(),
        Some(None) => {
            faults.add(&at, "null removes a configuration; there is none to remove yet");
            Wish::default()
        }
        Some(Some(c)) => {
            faults.refuse(
                c.link_port_id.is_some() || c.parent_cp_config_id.is_some(),
                &at,
                "linkPortId and parentCpConfigId are not offered: leave them out",
            );
            protocols(&c.cp_protocol_data, &at, faults)
        }
    }
}

pub(super) fn protocols(data: &[CpProtocolData], at: &str, faults: &mut Faults) -> Wish {
    let mut wish = Wish::default();
    for d in data {
        let Some(eth) = &d.ip_over_ethernet else { continue };
        let at = format!("{at}.cpProtocolData.ipOverEthernet");
        if let Some(mac) = &eth.mac_address {
            match mac.parse::<MacAddr>() {
                Ok(m) => wish.mac = Some(m),
                Err(f) => faults.add(format!("{at}.macAddress"), f.text()),
            }
        }
        faults.refuse(eth.segmentation_id.is_some(), &format!("{at}.segmentationId"), "not offered: the link has its VLAN already");
        for ip in &eth.ip_addresses {
            faults.refuse(ip.address_range.is_some(), &format!("{at}.ipAddresses"), "addressRange is not offered: name the addresses");
            for a in &ip.fixed_addresses {
                match a.parse::<IpAddr>() {
                    Ok(a) => wish.addresses.push(a),
                    Err(_) => faults.add(format!("{at}.ipAddresses"), format!("'{a}' is not an IP address")),
                }
            }
        }
    }
    wish
}

/// Parameters by VNF profile.
fn member_params(all: &[ParamsForVnf], faults: &mut Faults) -> BTreeMap<SmolStr, Params> {
    let mut out: BTreeMap<SmolStr, Params> = BTreeMap::new();
    for (i, p) in all.iter().enumerate() {
        let at = format!("additionalParamsForVnf[{i}]");
        let ParamsForVnf {
            vnf_profile_id,
            vnf_instance_name,
            vnf_instance_description,
            vnf_configurable_properties,
            metadata,
            extensions,
            additional_params,
        } = p;
        faults.refuse(
            vnf_instance_name.is_some() || vnf_instance_description.is_some(),
            &at,
            "vnfInstanceName and vnfInstanceDescription are not offered: the members of a service are named after it",
        );
        faults.refuse(
            !(vnf_configurable_properties.is_empty() && metadata.is_empty() && extensions.is_empty()),
            &at,
            "only additionalParams is offered for a member",
        );
        if out.insert(SmolStr::new(vnf_profile_id), params(additional_params)).is_some() {
            faults.add(format!("{at}.vnfProfileId"), format!("'{vnf_profile_id}' is there more than once"));
        }
    }
    out
}

/// InstantiateNsRequest, SOL005 6.5.2.11.
pub fn instantiate_ns(mut r: InstantiateNsRequest) -> Result<InstantiateNs> {
    let mut faults = Faults::default();
    let no = "not offered; leave the member out";
    faults.refuse(!r.vnf_instance_data.is_empty(), "vnfInstanceData", "not offered: Bothy makes the VNFs of a service itself");
    faults.refuse(!r.nested_ns_instance_data.is_empty(), "nestedNsInstanceData", no);
    faults.refuse(!r.additional_params_for_nested_ns.is_empty(), "additionalParamsForNestedNs", no);
    faults.refuse(r.start_time.is_some(), "startTime", "not offered: an accepted instantiation begins at once");
    faults.refuse(
        !r.additional_affinity_or_anti_affinity_rule.is_empty(),
        "additionalAffinityOrAntiAffinityRule",
        "not offered: this is one box",
    );
    let request = kept::text(&r)?;
    let mut given = std::mem::take(&mut r.additional_params_for_ns);
    let ssh_keys = ssh_keys(&mut given, "additionalParamsForNs", &mut faults);
    let member_params = member_params(&r.additional_params_for_vnf, &mut faults);
    let pnfs = pnfs(&r.addpnf_data, "addpnfData", &mut faults);
    let done = InstantiateNs {
        flavour: r.ns_flavour_id.into(),
        level: r.ns_instantiation_level_id.map(Into::into),
        params: params(&given),
        member_params,
        ssh_keys,
        pnfs,
        request,
    };
    faults.end("InstantiateNsRequest", done)
}

/// AddPnfData (SOL005 6.5.3.14).
pub(super) fn pnfs(all: &[AddPnfData], member: &str, faults: &mut Faults) -> Vec<NsPnf> {
    let one = |(i, p): (usize, &AddPnfData)| {
        let cps = p.cp_data.iter().enumerate().filter_map(|(j, c)| {
            let at = format!("{member}[{i}].cpData[{j}]");
            let Some(cp) = &c.cpd_id else {
                faults.add(format!("{at}.cpdId"), "needed: which connection point of the PNF this is");
                return None;
            };
            let wish = protocols(&c.cp_protocol_data, &at, faults);
            Some(NsPnfCp { cp: cp.as_str().into(), segment: None, mac: wish.mac, addresses: wish.addresses })
        });
        NsPnf {
            cps: cps.collect(),
            id: p.pnf_id.as_str().into(),
            name: p.pnf_name.as_str().into(),
            profile: p.pnf_profile_id.as_str().into(),
            pnfd_id: p.pnfd_id.as_str().into(),
            pnfd_info: None,
        }
    };
    all.iter().enumerate().map(one).collect()
}

/// SOL003 5.5.2.8. `usual`: seconds where neither the request nor the descriptor says how many.
pub fn terminate_vnf(r: &TerminateVnfRequest, usual: u32) -> Result<Stopping> {
    stopping(r.termination_type, r.graceful_termination_timeout, usual, "gracefulTerminationTimeout")
}

fn stopping(how: TerminationType, seconds: Option<u32>, usual: u32, member: &str) -> Result<Stopping> {
    match (how, seconds) {
        (TerminationType::Graceful, s) => Ok(s.map_or(Stopping::Usual(usual), Stopping::Within)),
        (TerminationType::Forceful, None) => Ok(Stopping::AtOnce),
        (TerminationType::Forceful, Some(_)) => Err(Fault::invalid(format!("{member}: only with GRACEFUL"))),
    }
}

/// SOL005 6.5.2.15, for a service of these members: graceful, unless all of them shall be FORCEFUL.
pub fn terminate_ns(r: &TerminateNsRequest, usual: u32, members: &[VnfId]) -> Result<Stopping> {
    let mut faults = Faults::default();
    faults.refuse(r.termination_time.is_some(), "terminationTime", "not offered: an accepted termination begins at once");
    let mut wanted: BTreeMap<VnfId, Stopping> = tree(members.iter().map(|m| (*m, Stopping::Usual(usual))));
    for (i, v) in r.terminate_vnf_data.iter().enumerate() {
        let at = format!("terminateVnfData[{i}]");
        let how = v.termination_type.unwrap_or(TerminationType::Graceful);
        let slot = v.vnf_instance_id.parse().ok().and_then(|id: VnfId| wanted.get_mut(&id));
        match (slot, stopping(how, v.graceful_termination_timeout, usual, "gracefulTerminationTimeout")) {
            (Some(slot), Ok(w)) => *slot = w,
            (None, _) => faults.add(at, format!("'{}' is no VNF of this service", v.vnf_instance_id)),
            (Some(_), Err(f)) => faults.add(at, f.text()),
        }
    }
    let first = wanted.values().next().copied().unwrap_or(Stopping::Usual(usual));
    if wanted.values().any(|w| *w != first) {
        faults.add("terminateVnfData", "all VNFs of a service are stopped in the same way: give each of them the same type and time");
    }
    faults.end("TerminateNsRequest", first)
}

/// SOL003 5.5.2.12: what the VNF shall do, and how long a stop may take.
pub fn operate(r: &OperateVnfRequest, usual: u32) -> Result<(RunState, Stopping)> {
    if !r.vnfc_instance_id.is_empty() {
        return Err(Fault::invalid("vnfcInstanceId: not offered: the guests of a VNF are started and stopped together"));
    }
    match r.change_state_to {
        VnfOperationalState::Started => {
            let mut faults = Faults::default();
            faults.refuse(r.stop_type.is_some(), "stopType", "only with STOPPED");
            faults.refuse(r.graceful_stop_timeout.is_some(), "gracefulStopTimeout", "only with STOPPED");
            faults.end("OperateVnfRequest", (RunState::Started, Stopping::AtOnce))
        }
        VnfOperationalState::Stopped => {
            // Absent means FORCEFUL, says SOL003.
            let how = r.stop_type.unwrap_or(TerminationType::Forceful);
            Ok((RunState::Stopped, stopping(how, r.graceful_stop_timeout, usual, "gracefulStopTimeout")?))
        }
    }
}

pub fn cancel_mode(m: CancelModeType) -> CancelMode {
    match m {
        CancelModeType::Graceful => CancelMode::Graceful,
        CancelModeType::Forceful => CancelMode::Forceful,
    }
}
