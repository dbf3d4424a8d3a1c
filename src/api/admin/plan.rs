//! Dry runs: what an instantiation would make, or every reason why not. Nothing is touched.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::networks;
use crate::{
    api::{
        Ctx,
        convert::request,
        extract,
        problem::{Answer, Problem},
        respond::{NoQuery, unprocessable},
    },
    model::{
        error::Result,
        id::{NsId, ProjectId, VnfId},
        param::Params,
        step::PlanStep,
        vnf::Body,
    },
    nfvo::Nfvo,
    sol::{nslcm::InstantiateNsRequest, vnflcm::InstantiateVnfRequest},
    vnfm::accept::CreateVnf,
};

/// Exactly one of the two members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    ns: Option<AskNs>,
    vnf: Option<AskVnf>,
}

/// A descriptor, or an instance that is not instantiated yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskNs {
    nsd_id: Option<String>,
    ns_instance_id: Option<String>,
    name: Option<String>,
    request: InstantiateNsRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskVnf {
    vnfd_id: Option<String>,
    vnf_instance_id: Option<String>,
    name: Option<String>,
    request: InstantiateVnfRequest,
}

#[derive(Serialize)]
pub struct Plan {
    links: Vec<networks::Wire>,
    vnfs: Vec<Vnf>,
    steps: Vec<Step>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Vnf {
    name: String,
    /// The VNF profile, in a network service.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    flavour: String,
    level: String,
    guests: Vec<Guest>,
}

#[derive(Serialize)]
struct Guest {
    id: String,
    vdu: String,
    hostname: String,
    domain: String,
    vcpus: u32,
    #[serde(rename = "memoryMib")]
    memory_mib: u64,
    disks: Vec<Disk>,
    ports: Vec<Port>,
}

#[derive(Serialize)]
struct Disk {
    storage: String,
    #[serde(rename = "sizeMib")]
    size_mib: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
}

#[derive(Serialize)]
struct Port {
    cp: String,
    link: String,
    vlan: u16,
    interface: String,
    mac: String,
    addresses: Vec<String>,
}

#[derive(Serialize)]
struct Step {
    index: u32,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vnf: Option<String>,
    after: Vec<u32>,
}

fn steps(of: &[PlanStep], vnf: Option<&str>) -> Vec<Step> {
    let wire = |s: &PlanStep| Step { index: s.index, label: s.step.label(), vnf: vnf.map(Into::into), after: s.after.clone() };
    of.iter().map(wire).collect()
}

fn vnf(name: &str, profile: Option<&str>, body: &Body, links: &[networks::Wire]) -> Vnf {
    let port = |p: &crate::model::vnf::Port| {
        let segment = p.segment.to_string();
        let on = links.iter().find(|l| l.id == segment);
        Port {
            cp: p.cp.to_string(),
            link: on.map_or(segment, |l| l.link.clone()),
            vlan: on.map_or(0, |l| l.vlan),
            interface: p.ifname.as_str().into(),
            mac: p.mac.to_string(),
            addresses: p.addresses.iter().map(ToString::to_string).collect(),
        }
    };
    Vnf {
        name: name.into(),
        profile: profile.map(Into::into),
        flavour: body.flavour.to_string(),
        level: body.level.to_string(),
        guests: body
            .vnfcs
            .iter()
            .map(|c| Guest {
                id: c.id.to_string(),
                vdu: format!("{}/{}", c.vdu, c.index),
                hostname: c.hostname.to_string(),
                domain: c.id.domain_name(),
                vcpus: c.vcpus,
                memory_mib: c.memory.0,
                disks: c
                    .disks
                    .iter()
                    .map(|d| Disk {
                        storage: d.storage.to_string(),
                        size_mib: d.size.0,
                        image: d.base.map(|(sha256, _)| data_encoding::HEXLOWER.encode(&sha256)),
                    })
                    .collect(),
                ports: c.ports.iter().map(port).collect(),
            })
            .collect(),
    }
}

fn of_ns(nfvo: &Nfvo, ask: AskNs, id: Option<NsId>) -> Result<Plan> {
    let how = request::instantiate_ns(ask.request)?;
    let name = SmolStr::new(ask.name.as_deref().unwrap_or("plan"));
    let dry = match id {
        Some(id) => nfvo.dry_instantiate(id, &how)?,
        None => nfvo.dry_new(ProjectId::DEFAULT, &ask.nsd_id.unwrap_or_default(), name, &how)?,
    };
    let links: Vec<_> = dry.segments.iter().map(networks::Wire::from).collect();
    let members = &dry.plan.members;
    let mut all = steps(&dry.plan.steps, None);
    all.extend(members.iter().flat_map(|m| steps(&m.plan.steps, Some(&m.instance.name))));
    let vnfs = members.iter().map(|m| vnf(&m.instance.name, Some(&m.profile), &m.plan.body, &links)).collect();
    Ok(Plan { vnfs, links, steps: all, warnings: dry.plan.warnings.clone() })
}

fn of_vnf(nfvo: &Nfvo, ask: AskVnf, id: Option<VnfId>) -> Result<Plan> {
    let how = request::instantiate_vnf(ask.request)?;
    let dry = match id {
        Some(id) => nfvo.vnfm().dry_instantiate(id, &how)?,
        None => {
            let create = CreateVnf {
                project: ProjectId::DEFAULT,
                vnfd_id: ask.vnfd_id.unwrap_or_default().into(),
                name: ask.name.map(Into::into),
                description: String::new(),
                metadata: Params::new(),
            };
            nfvo.vnfm().dry_new(&create, &how)?
        }
    };
    let links: Vec<_> = dry.segments.iter().map(networks::Wire::from).collect();
    Ok(Plan { vnfs: vec![vnf(&dry.name, None, &dry.body, &links)], links, steps: steps(&dry.steps, None), warnings: dry.warnings })
}

pub async fn plan(State(s): Ctx, _: NoQuery, extract::Noted(ask, ignored): extract::Noted<Ask>) -> Answer<Json<Plan>> {
    let one = |a: &Option<String>, b: &Option<String>, what: &str| match (a, b) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) | (Some(_), Some(_)) => {
            Err(Box::new(Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, format!("give either {what}"))))
        }
    };
    let plan = match (ask.ns, ask.vnf) {
        (Some(ns), None) => {
            one(&ns.nsd_id, &ns.ns_instance_id, "ns.nsdId or ns.nsInstanceId")?;
            let id = ns.ns_instance_id.as_deref().map(str::parse).transpose()?;
            s.domain(move |n| of_ns(n, ns, id)).await
        }
        (None, Some(vnf)) => {
            one(&vnf.vnfd_id, &vnf.vnf_instance_id, "vnf.vnfdId or vnf.vnfInstanceId")?;
            let id = vnf.vnf_instance_id.as_deref().map(str::parse).transpose()?;
            s.domain(move |n| of_vnf(n, vnf, id)).await
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(crate::model::error::Fault::invalid("give either ns or vnf").into());
        }
    };
    let unknown = |path: String| format!("{path}: not known here, ignored");
    let plan = plan.map(|mut p| {
        p.warnings.extend(ignored.into_iter().map(unknown));
        p
    });
    plan.map(Json).map_err(|p| if p.status == axum::http::StatusCode::NOT_FOUND { unprocessable(p) } else { p })
}
