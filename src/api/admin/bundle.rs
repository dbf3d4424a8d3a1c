//! A dry run of a service whose packages come with the request: one archive with the question, `ask.json`, and
//! the packages' own archives. Nothing of it stays.

use axum::{body::Body, extract::State, http::HeaderMap};
use smol_str::SmolStr;

use super::plan::{Ask, Plan, answer, shown};
use crate::{
    api::{
        Ctx,
        convert::request,
        extract::{linger, require_type},
        json,
        problem::Answer,
        respond::{Json, NoQuery},
        upload::{self, Upload},
    },
    descriptor::{Archive, Limits},
    model::error::{Fault, Result},
};

const ASK: &str = "ask.json";

pub async fn plan(State(s): Ctx, _: NoQuery, headers: HeaderMap, mut body: Body) -> Answer<Json<Plan>> {
    if let Err(p) = require_type(&headers, upload::is_archive, "application/zip") {
        linger(&mut body).await;
        return Err(p);
    }
    let got = upload::receive(&s, &headers, body).await?;
    let (got, mut bundle, text) = s
        .domain(move |_| {
            let (bundle, text) = open(&got)?;
            Ok((got, bundle, text))
        })
        .await?;
    let (ask, ignored) = json::read::<Ask>(text.as_bytes())?;
    let no_service = || Fault::invalid(format!("{ASK}: give ns with nsdId: only a service is planned from packages that come along"));
    let ns = ask.ns.ok_or_else(no_service)?;
    let nsd = ns.nsd_id.ok_or_else(no_service)?;
    let plan = s
        .domain(move |n| {
            let how = request::instantiate_ns(ns.request)?;
            let name = SmolStr::new(ns.name.as_deref().unwrap_or("plan"));
            let entries: Vec<SmolStr> = bundle.entries().map(|(path, _)| path.clone()).filter(|p| p != ASK).collect();
            let dry = n.dry_bundle(n.project(), &mut bundle, &entries, (&nsd, name), &how)?;
            drop(got);
            Ok(shown(&dry))
        })
        .await;
    answer(plan, ignored)
}

fn open(got: &Upload) -> Result<(Archive, String)> {
    let mut bundle = Archive::open(got.path().as_std_path(), &Limits::default()).map_err(Fault::from)?;
    // They are laid out beside it on the disk, which the upload was measured for.
    if bundle.entries().filter(|(path, _)| *path != ASK).map(|(_, size)| size).sum::<u64>() > got.size.0 {
        return Err(Fault::invalid("the archives in a bundle are not to be compressed once more: store them as they are"));
    }
    if !bundle.contains(ASK) {
        return Err(Fault::invalid(format!("the bundle has no {ASK}, which says what to plan")));
    }
    let text = bundle.read_text(ASK)?;
    Ok((bundle, text))
}
