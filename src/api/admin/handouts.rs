//! The documents of desired state that lie at this hub, for a box or a group of boxes.
//!
//! Owns who may put one there: for a box, whoever reaches it; for a group, who sees every project, as boxes of any may be in it.

use std::str::FromStr;

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, ETAG},
    },
    response::{IntoResponse as _, Response},
};
use data_encoding::HEXLOWER;
use serde::Serialize;
use smol_str::SmolStr;

use super::desired::is_signed;
use crate::{
    access::Caller,
    api::{
        Ctx, Services,
        convert::time,
        extract::{IdPath, Reading, linger, read_body, require_type},
        problem::Answer,
        respond::{Json, NoQuery},
        who,
    },
    desired::LIMIT,
    hub::{Head, registry::View},
    model::{error::Fault, handout::Whom},
};

/// What the paths' first part names.
pub enum Kind {
    Boxes,
    Groups,
}

impl FromStr for Kind {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, ()> {
        match s {
            "boxes" => Ok(Kind::Boxes),
            "groups" => Ok(Kind::Groups),
            _ => Err(()),
        }
    }
}

impl Kind {
    fn of(&self, name: String) -> Whom {
        match self {
            Kind::Boxes => Whom::Box(name.into()),
            Kind::Groups => Whom::Group(name.into()),
        }
    }
}

pub fn kind(whom: &Whom) -> &'static str {
    match whom {
        Whom::Box(_) => "BOX",
        Whom::Group(_) => "GROUP",
    }
}

#[derive(Serialize)]
pub struct Lies {
    kind: &'static str,
    name: SmolStr,
    digest: String,
    size: usize,
    put: String,
    by: SmolStr,
    /// Boxes that it is for, and on how many of them it counts.
    boxes: usize,
    current: usize,
}

impl Lies {
    fn of(h: Head, boxes: &[View]) -> Lies {
        Lies {
            kind: kind(&h.whom),
            name: h.whom.name().clone(),
            digest: HEXLOWER.encode(&h.digest),
            size: h.size,
            put: time(h.put).to_string(),
            by: h.by,
            boxes: boxes.len(),
            current: boxes.iter().filter(|v| has(v, &h.digest)).count(),
        }
    }
}

/// The document counts on the box.
pub fn has(v: &View, digest: &[u8; 32]) -> bool {
    v.said.applied.as_ref().is_some_and(|a| a.digest.as_ref() == Some(digest))
}

fn may(s: &Services, caller: &Caller, whom: &Whom) -> bool {
    let reached = |serial: &str| s.hub.as_ref().and_then(|h| h.view(serial)).is_some_and(|v| s.reaches(caller, &v));
    caller.every_project || matches!(whom, Whom::Box(serial) if reached(serial))
}

fn asked(s: &Services, kind: &Kind, name: String) -> Answer<(Whom, Caller)> {
    let (whom, caller) = (kind.of(name), who::caller()?);
    if !may(s, &caller, &whom) {
        return Err(Fault::not_found(format!("there is no {whom} here")).into());
    }
    Ok((whom, caller))
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Lies>>> {
    let caller = who::caller()?;
    let all = s.hub()?.documents().into_iter().filter(|(h, _)| may(&s, &caller, &h.whom));
    Ok(Json(all.map(|(h, boxes)| Lies::of(h, &boxes)).collect()))
}

pub async fn show(State(s): Ctx, IdPath(kind, name): IdPath<Kind>, _: NoQuery) -> Answer<Response> {
    let hub = s.hub()?.clone();
    let (whom, _) = asked(&s, &kind, name)?;
    let h = s.pool.run(move || hub.document(&whom)).await?;
    let head = [(CONTENT_TYPE, "application/cms".to_owned()), (ETAG, format!("\"{}\"", HEXLOWER.encode(&h.digest)))];
    Ok((head, h.content).into_response())
}

/// The document in its signature is the body.
pub async fn put(State(s): Ctx, IdPath(kind, name): IdPath<Kind>, _: NoQuery, headers: HeaderMap, mut body: Body) -> Answer<Json<Lies>> {
    let hub = s.hub()?.clone();
    let allowed = asked(&s, &kind, name).and_then(|a| require_type(&headers, is_signed, "application/cms").map(|()| a));
    let (whom, caller) = match allowed {
        Ok(a) => a,
        Err(p) => {
            linger(&mut body).await;
            return Err(p);
        }
    };
    let reading = Reading { limit: LIMIT as u64, ..Reading::of(&s) };
    let content = read_body(&headers, body, &reading).await?;
    let lies = s.pool.see_through(move || {
        let head = hub.put_document(whom, content, caller.name)?;
        let boxes: Vec<View> = hub.boxes().into_iter().filter(|v| hub.meant_for(v).is_some_and(|m| m.whom == head.whom)).collect();
        Ok(Lies::of(head, &boxes))
    });
    Ok(Json(lies.await?))
}

/// It is handed out no more; where it counts it stays.
pub async fn remove(State(s): Ctx, IdPath(kind, name): IdPath<Kind>, _: NoQuery) -> Answer<StatusCode> {
    let hub = s.hub()?.clone();
    let (whom, _) = asked(&s, &kind, name)?;
    s.pool.see_through(move || hub.remove_document(&whom)).await?;
    Ok(StatusCode::NO_CONTENT)
}
