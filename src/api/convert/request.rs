//! What clients ask for, as the domain takes it. A request's faults are found all at once.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;
use serde_json::Value;
use smol_str::SmolStr;

use super::params;
use crate::{
    model::{
        error::{Fault, Result},
        id::{SegmentId, VnfId},
        net::MacAddr,
        op::CancelMode,
        param::Params,
        vnf::RunState,
    },
    nfvo::accept::InstantiateNs,
    sol::{
        common::KeyValuePairs,
        cp::{CpProtocolData, VnfExtCpConfig},
        nslcm::{InstantiateNsRequest, ParamsForVnf, TerminateNsRequest},
        vnflcm::{
            CancelModeType, ExtVirtualLinkData, InstantiateVnfRequest, OperateVnfRequest, TerminateVnfRequest, TerminationType,
            VnfOperationalState,
        },
    },
    vim::network::Wish,
    vnfm::{accept::InstantiateVnf, plan::Attachment},
};

/// Collects what is wrong with a request, each with the member it is about.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, at: impl std::fmt::Display, why: impl std::fmt::Display) {
        self.0.push(format!("{at}: {why}"));
    }
    /// A member that must not be there.
    fn refuse(&mut self, given: bool, at: &str, why: &str) {
        if given {
            self.add(at, why);
        }
    }
    fn end<T>(mut self, what: &str, done: T) -> Result<T> {
        match self.0.len() {
            0 => Ok(done),
            1 => Err(Fault::invalid(self.0.remove(0))),
            n => Err(Fault::invalid(format!("{what} has {n} faults")).with_reasons(self.0)),
        }
    }
}

/// The request as an op-occ shows it later.
pub fn text(request: &impl Serialize) -> Result<String> {
    serde_json::to_string(request).map_err(|e| Fault::bug("a request cannot be written down").with_source(e))
}

/// Takes `ssh_keys` out of parameters: one key or a list of them.
fn ssh_keys(given: &mut KeyValuePairs, at: &str, faults: &mut Faults) -> Vec<String> {
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
    // Access to a VIM is nobody's to read back, and there is one VIM here: this box.
    for v in r.vim_connection_info.values_mut() {
        v.access_info.clear();
    }
    let request = text(&r)?;
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

fn attachments(links: &[ExtVirtualLinkData], faults: &mut Faults) -> BTreeMap<SmolStr, Attachment> {
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

fn protocols(data: &[CpProtocolData], at: &str, faults: &mut Faults) -> Wish {
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

/// InstantiateNsRequest, SOL005 6.5.2.11.
pub fn instantiate_ns(mut r: InstantiateNsRequest) -> Result<InstantiateNs> {
    let mut faults = Faults::default();
    let no = "not offered; leave the member out";
    faults.refuse(!r.addpnf_data.is_empty(), "addpnfData", no);
    faults.refuse(!r.vnf_instance_data.is_empty(), "vnfInstanceData", "not offered: Bothy makes the VNFs of a service itself");
    faults.refuse(!r.nested_ns_instance_data.is_empty(), "nestedNsInstanceData", no);
    faults.refuse(!r.additional_params_for_nested_ns.is_empty(), "additionalParamsForNestedNs", no);
    faults.refuse(r.start_time.is_some(), "startTime", "not offered: an accepted instantiation begins at once");
    faults.refuse(
        !r.additional_affinity_or_anti_affinity_rule.is_empty(),
        "additionalAffinityOrAntiAffinityRule",
        "not offered: this is one box",
    );
    let request = text(&r)?;
    let mut given = std::mem::take(&mut r.additional_params_for_ns);
    let ssh_keys = ssh_keys(&mut given, "additionalParamsForNs", &mut faults);
    let mut member_params: BTreeMap<SmolStr, Params> = BTreeMap::new();
    for (i, p) in r.additional_params_for_vnf.iter().enumerate() {
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
        if member_params.insert(SmolStr::new(vnf_profile_id), params(additional_params)).is_some() {
            faults.add(format!("{at}.vnfProfileId"), format!("'{vnf_profile_id}' is there more than once"));
        }
    }
    let done = InstantiateNs {
        flavour: r.ns_flavour_id.into(),
        level: r.ns_instantiation_level_id.map(Into::into),
        params: params(&given),
        member_params,
        ssh_keys,
        request,
    };
    faults.end("InstantiateNsRequest", done)
}

/// Seconds a guest may take to stop; `None` destroys at once (SOL003 5.5.2.8).
pub fn terminate_vnf(r: &TerminateVnfRequest, usual: u32) -> Result<Option<u32>> {
    stopping(r.termination_type, r.graceful_termination_timeout, usual, "gracefulTerminationTimeout")
}

fn stopping(how: TerminationType, seconds: Option<u32>, usual: u32, member: &str) -> Result<Option<u32>> {
    match (how, seconds) {
        (TerminationType::Graceful, s) => Ok(Some(s.unwrap_or(usual))),
        (TerminationType::Forceful, None) => Ok(None),
        (TerminationType::Forceful, Some(_)) => Err(Fault::invalid(format!("{member}: only with GRACEFUL"))),
    }
}

/// SOL005 6.5.2.15, for a service of these members: graceful, unless all of them shall be FORCEFUL.
pub fn terminate_ns(r: &TerminateNsRequest, usual: u32, members: &[VnfId]) -> Result<Option<u32>> {
    let mut faults = Faults::default();
    faults.refuse(r.termination_time.is_some(), "terminationTime", "not offered: an accepted termination begins at once");
    let mut wanted: BTreeMap<VnfId, Option<u32>> = members.iter().map(|m| (*m, Some(usual))).collect();
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
    let first = wanted.values().next().copied().unwrap_or(Some(usual));
    if wanted.values().any(|w| *w != first) {
        faults.add("terminateVnfData", "all VNFs of a service are stopped in the same way: give each of them the same type and time");
    }
    faults.end("TerminateNsRequest", first)
}

/// SOL003 5.5.2.12: what the VNF shall do, and how long a stop may take.
pub fn operate(r: &OperateVnfRequest, usual: u32) -> Result<(RunState, Option<u32>)> {
    match r.change_state_to {
        VnfOperationalState::Started => {
            let mut faults = Faults::default();
            faults.refuse(r.stop_type.is_some(), "stopType", "only with STOPPED");
            faults.refuse(r.graceful_stop_timeout.is_some(), "gracefulStopTimeout", "only with STOPPED");
            faults.end("OperateVnfRequest", (RunState::Started, None))
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
