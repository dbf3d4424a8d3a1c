//! What lies behind a VNF in its guests: serial log, day-0 medium, domain, reset, restart.

use axum::{
    extract::State,
    http::{StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        convert::request,
        extract::{Id, query},
        problem::{Answer, Problem},
        respond::{Json, accepted},
    },
    model::{
        error::{Fault, Result},
        id::{VnfId, VnfcId},
        package::VnfPackage,
        vnf::{Stopping, VnfInstance, Vnfc},
        vnfd::{Day0, Medium},
    },
    nfvo::Nfvo,
    sol::vnflcm::{OperateVnfRequest, VnfOperationalState},
};

/// As much of a serial log as is sent where the client names no number.
const LOG_BYTES: usize = 1 << 20;
const LOG_MOST: usize = 16 << 20;
/// Seconds.
const LONGEST_STOP: u32 = 86_400;

pub(super) fn find(nfvo: &Nfvo, id: VnfId) -> Result<VnfInstance> {
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no VNF instance {id}")))
}

fn guests(v: &VnfInstance) -> Result<&[Vnfc]> {
    v.body
        .as_ref()
        .map(|b| &b.vnfcs[..])
        .ok_or_else(|| Fault::conflict(format!("VNF instance {} is not instantiated: it has no guests", v.id)))
}

/// One guest: the only one, or the one that is named by its VDU, as `VDU/NUMBER`, or by its id.
pub(super) fn pick<'v>(v: &'v VnfInstance, named: Option<&str>) -> Result<&'v Vnfc> {
    let all = guests(v)?;
    let is = |c: &&Vnfc| match named {
        None => true,
        Some(n) => c.vdu == n || format!("{}/{}", c.vdu, c.index) == n || c.id.to_string() == n,
    };
    let found: Vec<&Vnfc> = all.iter().filter(is).collect();
    let names = |of: &[&Vnfc]| of.iter().map(|c| format!("{}/{}", c.vdu, c.index)).collect::<Vec<_>>().join(", ");
    match (&found[..], named) {
        ([one], _) => Ok(one),
        ([], Some(n)) => {
            Err(Fault::not_found(format!("VNF instance {} has no guest '{n}'; it has {}", v.id, names(&all.iter().collect::<Vec<_>>()))))
        }
        ([], None) => Err(Fault::not_found(format!("VNF instance {} has no guests", v.id))),
        (many, _) => {
            Err(Fault::invalid(format!("VNF instance {} has {} such guests: name one by ?vdu=: {}", v.id, many.len(), names(many))))
        }
    }
}

/// The query's `vdu`, and the value of another parameter if the resource knows one.
pub(super) fn which(uri: &Uri, other: Option<&str>) -> Answer<(Option<String>, Option<String>)> {
    let known: Vec<&str> = ["vdu"].into_iter().chain(other).collect();
    let mut vdu = None;
    let mut value = None;
    for (k, v) in query(uri, &known)? {
        if k == "vdu" { vdu = Some(v) } else { value = Some(v) }
    }
    Ok((vdu, value))
}

pub async fn serial(State(s): Ctx, Id(id): Id<VnfId>, uri: Uri) -> Answer<Response> {
    let (vdu, bytes) = which(&uri, Some("bytes"))?;
    let most = log_bytes(bytes)?;
    let log = s
        .domain(move |n| {
            let v = find(n, id)?;
            n.vnfm().images().serial_log(pick(&v, vdu.as_deref())?.id, most)
        })
        .await?;
    Ok(raw(log))
}

/// The same of a guest that no record names.
pub async fn serial_of_stray(State(s): Ctx, Id(id): Id<VnfcId>, uri: Uri) -> Answer<Response> {
    let most = log_bytes(query(&uri, &["bytes"])?.pop().map(|(_, v)| v))?;
    Ok(raw(s.domain(move |n| n.vnfm().images().serial_log(n.vnfm().stray(id)?.id, most)).await?))
}

fn raw(log: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/octet-stream")], log).into_response()
}

fn log_bytes(asked: Option<String>) -> Answer<usize> {
    asked.map_or(Ok(LOG_BYTES), |b| {
        b.parse().map(|n: usize| n.min(LOG_MOST)).map_err(|_| Box::new(Problem::malformed(format!("bytes: '{b}' is not a number"))))
    })
}

pub async fn domain(State(s): Ctx, Id(id): Id<VnfId>, uri: Uri) -> Answer<Response> {
    let (vdu, _) = which(&uri, None)?;
    let xml = s
        .domain(move |n| {
            let v = find(n, id)?;
            n.vnfm().hypervisor().xml(pick(&v, vdu.as_deref())?.id)
        })
        .await?;
    Ok(([(CONTENT_TYPE, "application/xml")], xml).into_response())
}

/// Resets every guest of the VNF, or the one that is named. The record stays as it is.
pub async fn reboot(State(s): Ctx, Id(id): Id<VnfId>, uri: Uri) -> Answer<StatusCode> {
    let (vdu, _) = which(&uri, None)?;
    s.domain(move |n| {
        let v = find(n, id)?;
        v.check_free()?;
        let of = match &vdu {
            Some(_) => std::slice::from_ref(pick(&v, vdu.as_deref())?),
            None => guests(&v)?,
        };
        of.iter().try_for_each(|c| n.vnfm().hypervisor().reboot(c.id))
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops and starts the guests of the VNF, or the one that is named, by one operation.
pub async fn restart(State(s): Ctx, Id(id): Id<VnfId>, uri: Uri) -> Answer<Response> {
    let (vdu, within) = which(&uri, Some("within_s"))?;
    let within = within.map(|w| match w.parse::<u32>() {
        Ok(n) if n <= LONGEST_STOP => Ok(n),
        Ok(_) | Err(_) => Err(Box::new(Problem::malformed(format!("within_s: '{w}' is no number of seconds up to {LONGEST_STOP}")))),
    });
    let within = within.transpose()?;
    let op = s
        .domain(move |n| {
            let v = find(n, id)?;
            let of = vdu.as_deref().map(|d| pick(&v, Some(d))).transpose()?;
            let stopping = match within {
                None => Stopping::Usual(n.vnfm().rules().graceful_stop_s),
                Some(0) => Stopping::AtOnce,
                Some(s) => Stopping::Within(s),
            };
            // The op-occ shows the request in ETSI's form: what it leads to, and by which way.
            let mut shown = OperateVnfRequest { change_state_to: VnfOperationalState::Started, ..OperateVnfRequest::default() };
            shown.additional_params.insert("reboot".into(), true.into());
            shown.additional_params.extend(within.map(|s| ("rebootWithin".into(), s.into())));
            shown.additional_params.extend(vdu.map(|d| ("vdu".into(), d.into())));
            let which: Vec<VnfcId> = of.into_iter().map(|c| c.id).collect();
            n.vnfm().reboot(id, &which, stopping, request::text(&shown)?)
        })
        .await?;
    accepted(&format!("/vnflcm/v2/vnf_lcm_op_occs/{}", op.id))
}

#[derive(Serialize)]
pub struct Preview {
    vdu: String,
    label: String,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: String,
    secret: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    bytes: usize,
}

fn label(d: &Day0) -> String {
    match (&d.label, d.medium) {
        (Some(l), _) => l.to_string(),
        (None, Medium::NoCloud) => "cidata".into(),
        (None, Medium::ConfigDrive) => "config-2".into(),
        (None, Medium::Iso | Medium::Fat) => String::new(),
    }
}

pub async fn day0(State(s): Ctx, Id(id): Id<VnfId>, uri: Uri) -> Answer<Json<Vec<Preview>>> {
    let (vdu, _) = which(&uri, None)?;
    let media = s
        .domain(move |n| {
            let v = find(n, id)?;
            let of: Vec<&Vnfc> = match &vdu {
                Some(_) => vec![pick(&v, vdu.as_deref())?],
                None => guests(&v)?.iter().filter(|c| c.medium).collect(),
            };
            let package: VnfPackage = n.vnfm().store().require(&v.package)?;
            let flavour = v.body.as_ref().and_then(|b| package.vnfd.as_ref().and_then(|d| d.flavour(&b.flavour)));
            of.into_iter()
                .map(|c| {
                    let files = n.vnfm().preview_day0(id, c.id)?;
                    let described = flavour.and_then(|f| f.vdu(&c.vdu)).and_then(|d| d.day0.as_ref());
                    Ok(Preview {
                        vdu: format!("{}/{}", c.vdu, c.index),
                        label: described.map(label).unwrap_or_default(),
                        files: files
                            .into_iter()
                            .map(|f| File {
                                bytes: f.content.len(),
                                // Secrets are masked in the text already.
                                text: String::from_utf8(f.content).ok(),
                                path: f.path,
                                secret: f.secret,
                            })
                            .collect(),
                    })
                })
                .collect::<Result<Vec<_>>>()
        })
        .await?;
    Ok(Json(media))
}
