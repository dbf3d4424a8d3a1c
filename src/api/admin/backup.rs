//! Backups on their way out, and one on its way in.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, StatusCode, Uri,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use tokio::sync::mpsc;

use crate::{
    api::{
        Ctx, Services,
        content::Pieces,
        convert::time,
        extract::{self, linger, query, require_type},
        problem::Answer,
        respond::{Json, NoQuery},
        upload, who,
    },
    backup::{Outline, Staged, Wish},
    model::{
        backup::{Level, Manifest},
        error::Fault,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outlined {
    level: &'static str,
    holds: Vec<Held>,
    needs_bytes: u64,
    waits_for: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_room_because: Option<String>,
}

#[derive(Serialize)]
struct Held {
    what: &'static str,
    count: u64,
    bytes: u64,
}

/// Where a backup came from.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    level: &'static str,
    made: String,
    by: String,
    release: String,
    host: String,
    fingerprint: String,
    generation: u64,
    not_frozen: Vec<String>,
}

#[derive(Serialize)]
pub struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    staged: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "orderedBy")]
    ordered_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "restoredFrom")]
    restored_from: Option<Origin>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    backup: Origin,
    bound: Vec<Bound>,
    misfits: Vec<String>,
    goes: Vec<String>,
    skipped: Vec<String>,
    refused_because: Vec<String>,
    token: String,
}

#[derive(Serialize)]
struct Bound {
    from: String,
    to: String,
    why: &'static str,
}

#[derive(Deserialize)]
pub struct Make {
    level: String,
    passphrase: Option<String>,
    #[serde(default)]
    clear: bool,
}

#[derive(Deserialize)]
pub struct Open {
    passphrase: Option<String>,
    path: Option<Utf8PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    #[serde(default)]
    maps: Vec<Map>,
    #[serde(default)]
    identity: bool,
    #[serde(default)]
    keep_configuration: bool,
    #[serde(default)]
    token: String,
    #[serde(default)]
    insist: bool,
}

#[derive(Deserialize)]
struct Map {
    from: SmolStr,
    to: SmolStr,
}

impl From<Outline> for Outlined {
    fn from(o: Outline) -> Self {
        Outlined {
            level: o.level.name(),
            holds: o.holds.into_iter().map(|(what, count, bytes)| Held { what, count, bytes }).collect(),
            needs_bytes: o.needs,
            waits_for: o.busy,
            no_room_because: o.no_room,
        }
    }
}

impl From<Manifest> for Origin {
    fn from(m: Manifest) -> Self {
        Origin {
            level: m.level.name(),
            made: time(m.made).to_string(),
            by: m.by.into(),
            release: m.release.into(),
            host: m.of.host.into(),
            fingerprint: m.fingerprint.into(),
            generation: m.generation,
            not_frozen: m.not_frozen.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Staged> for Planned {
    fn from(s: Staged) -> Self {
        let bound = |b: crate::backup::Bound| Bound { from: b.from.into(), to: b.to.into(), why: b.why };
        Planned {
            backup: s.manifest.into(),
            bound: s.fit.bound.into_iter().map(bound).collect(),
            misfits: s.misfits,
            goes: s.goes,
            skipped: s.skipped,
            refused_because: s.refused,
            token: s.token,
        }
    }
}

impl Ask {
    fn wish(self) -> (Wish, String, bool) {
        let maps = self.maps.into_iter().map(|m| (m.from, m.to)).collect();
        (Wish { maps, identity: self.identity, configuration: !self.keep_configuration }, self.token, self.insist)
    }
}

pub async fn plan(State(s): Ctx, uri: Uri) -> Answer<Json<Outlined>> {
    let given = query(&uri, &["level"])?;
    let level: Level = given.first().map_or("configuration", |(_, v)| v.as_ref()).parse()?;
    let backup = s.backup.clone();
    Ok(Json(s.pool.run(move || backup.plan(level).map(Into::into)).await?))
}

/// Copies are made first; from then on it streams, and needs nothing of the box but the reader.
pub async fn make(State(s): Ctx, _: NoQuery, extract::Json(m): extract::Json<Make>) -> Answer<Response> {
    let level: Level = m.level.parse()?;
    match (&m.passphrase, m.clear) {
        (None, false) => {
            let why = "a backup holds keys, password hashes and secrets: give a passphrase, or say that it shall be in the clear";
            return Err(Fault::invalid(why).into());
        }
        (Some(_), true) => return Err(Fault::invalid("passphrase, clear: one of them").into()),
        (Some(p), false) => crate::backup::check_passphrase(p)?,
        (None, true) => {}
    }
    let (backup, caller) = (s.backup.clone(), who::caller()?);
    let prepared = s.pool.see_through(move || backup.prepare(level, &caller.name)).await?;
    let (to_net, pieces) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        let out = std::io::BufWriter::with_capacity(256 << 10, Out(to_net.clone()));
        if let Err(fault) = prepared.write(out, m.passphrase.as_deref()) {
            tracing::warn!("a backup broke off: {fault:?}");
            // Whoever reads it hears that it is not whole.
            let _ = to_net.blocking_send(Err(std::io::Error::other(fault.detail())));
        }
    });
    let head = [(CONTENT_TYPE, "application/octet-stream"), (CONTENT_DISPOSITION, "attachment; filename=\"box.backup\"")];
    Ok((head, Body::new(Pieces(pieces))).into_response())
}

struct Out(mpsc::Sender<std::io::Result<Bytes>>);

impl std::io::Write for Out {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        let gone = |_| std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(buf))).map_err(gone)?;
        Ok(buf.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn shown(s: &Services) -> Answer<Json<Shown>> {
    let restore = s.restore.clone();
    let now = move || {
        Ok(Shown {
            staged: restore.staged()?.map(Into::into),
            ordered_by: restore.ordered()?,
            restored_from: restore.from()?.map(Into::into),
        })
    };
    Ok(Json(s.pool.run(now).await?))
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    shown(&s).await
}

/// The backup is the body. It is opened by the next request.
pub async fn take(State(s): Ctx, _: NoQuery, headers: HeaderMap, mut body: Body) -> Answer<StatusCode> {
    if let Err(p) = require_type(&headers, upload::is_archive, "application/octet-stream") {
        linger(&mut body).await;
        return Err(p);
    }
    let got = upload::receive(&s, &headers, body).await?;
    s.restore.hold(got.keep());
    Ok(StatusCode::NO_CONTENT)
}

/// What was sent, or lies on the box, is verified and unpacked beside what the box has.
pub async fn open(State(s): Ctx, _: NoQuery, extract::Json(o): extract::Json<Open>) -> Answer<Json<Shown>> {
    if let Some(path) = o.path.as_deref().filter(|p| !p.is_absolute()) {
        return Err(Fault::invalid(format!("path: '{path}' must be an absolute path on the box")).into());
    }
    let restore = s.restore.clone();
    s.pool.see_through(move || restore.stage_at(o.path.as_deref(), o.passphrase.as_deref())).await?;
    shown(&s).await
}

pub async fn preview(State(s): Ctx, _: NoQuery, extract::Json(ask): extract::Json<Ask>) -> Answer<Json<Planned>> {
    let restore = s.restore.clone();
    let (wish, ..) = ask.wish();
    Ok(Json(s.pool.run(move || restore.plan(&wish).map(Into::into)).await?))
}

pub async fn order(State(s): Ctx, _: NoQuery, extract::Json(ask): extract::Json<Ask>) -> Answer<(StatusCode, Json<Planned>)> {
    let (restore, caller) = (s.restore.clone(), who::caller()?);
    let (wish, token, insist) = ask.wish();
    let planned = s.pool.see_through(move || restore.order(&wish, &token, insist, &caller.name).map(Into::into)).await?;
    Ok((StatusCode::ACCEPTED, Json(planned)))
}

pub async fn discard(State(s): Ctx, _: NoQuery) -> Answer<StatusCode> {
    let restore = s.restore.clone();
    s.pool.run(move || restore.drop_staged()).await?;
    Ok(StatusCode::NO_CONTENT)
}
