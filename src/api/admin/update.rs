//! Updates of the box's own system: how far one is, begun by a bundle, called off.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use crate::{
    api::{
        Ctx, Services,
        extract::{self, linger, query, require_type},
        fetch,
        problem::{Answer, Problem},
        respond::{Json, NoQuery},
        system_bundle, upload, who,
    },
    model::{
        error::{Fault, Result},
        size,
        update::{Asked, BootKind, Running, Update, Verified},
    },
    update::{Status, port::Take},
};

/// Longest time for operations to end, in seconds.
const LONGEST_DRAIN: u32 = 86400;

/// The system that runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct System {
    slot: String,
    version: String,
    security_counter: u64,
    compatible: String,
    boot: &'static str,
    boot_verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_not_verified_because: Option<String>,
    /// The boot loader has left out the host's kernel arguments.
    arguments_refused: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The box has a second slot to write an update to.
    updatable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    system: Option<System>,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_slot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_on_trial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update: Option<Shape>,
    failed_versions: Vec<Failed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    state: &'static str,
    slot: String,
    from_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_counter: Option<u64>,
    restarts_by_itself: bool,
    /// Where the bundle comes from, as far as that is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// Why it did not come to its end.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reasons: Vec<String>,
    /// What a trial waits for.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    waits_for: Vec<String>,
}

#[derive(Serialize)]
struct Progress {
    percent: u8,
    text: String,
}

#[derive(Serialize)]
struct Failed {
    version: String,
    reasons: Vec<String>,
}

/// An update by a bundle that lies on the box, or that it fetches.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ByPath {
    path: Option<Utf8PathBuf>,
    url: Option<String>,
    #[serde(default)]
    again: bool,
    drain_s: Option<u32>,
    restart: Option<bool>,
}

impl From<&Running> for System {
    fn from(r: &Running) -> Self {
        let because = match &r.verified {
            Verified::SecureBoot => None,
            Verified::No { why } => Some(why.to_string()),
        };
        System {
            slot: r.slot.to_string(),
            version: r.version.to_string(),
            security_counter: r.security,
            compatible: r.compatible.to_string(),
            boot: match r.kind {
                BootKind::Trial => "TRIAL",
                BootKind::Committed => "COMMITTED",
                BootKind::Plain => "PLAIN",
            },
            boot_verified: because.is_none(),
            boot_not_verified_because: because,
            arguments_refused: r.refused_args,
        }
    }
}

impl Shown {
    fn of(s: Status) -> Shown {
        let progress = s.progress.map(|(percent, text)| Progress { percent, text });
        Shown {
            updatable: s.running.is_some(),
            system: s.running.as_ref().map(System::from),
            committed_slot: s.boot.as_ref().map(|b| b.slot.to_string()),
            slot_on_trial: s.boot.as_ref().and_then(|b| b.slot_try).map(|s| s.to_string()),
            update: s.journal.update.map(|u| shape(u, progress)),
            failed_versions: s.journal.failed.into_iter().map(|f| Failed { version: f.version.to_string(), reasons: f.why }).collect(),
        }
    }
}

fn shape(u: Update, progress: Option<Progress>) -> Shape {
    Shape {
        state: u.state.name(),
        slot: u.target.to_string(),
        from_version: u.from.to_string(),
        version: u.bundle.as_ref().map(|b| b.version.to_string()),
        security_counter: u.bundle.as_ref().map(|b| b.security),
        restarts_by_itself: u.asked.reboot,
        url: u.url.as_deref().map(|url| fetch::plain(url).to_owned()),
        progress,
        reasons: u.state.why().to_vec(),
        waits_for: if u.state.is_over() { Vec::new() } else { u.unmet },
    }
}

/// The system of the box, for the page that shows the box; a box without slots has none.
pub(super) fn system(s: &Services) -> Result<Option<System>> {
    Ok(s.update.status()?.running.as_ref().map(System::from))
}

async fn shown(s: &Services) -> Answer<Json<Shown>> {
    let update = s.update.clone();
    Ok(Json(s.pool.run(move || update.status().map(Shown::of)).await?))
}

pub async fn show(State(s): Ctx, _: NoQuery) -> Answer<Json<Shown>> {
    shown(&s).await
}

/// The bundle is the body.
pub async fn upload(State(s): Ctx, uri: Uri, headers: HeaderMap, mut body: Body) -> Answer<(StatusCode, Json<Shown>)> {
    let begun = match (asked(&uri), require_type(&headers, upload::is_archive, "application/octet-stream")) {
        (Ok(asked), Ok(())) => {
            let update = s.update.clone();
            s.pool.run(move || update.may(&asked).map(|()| asked)).await
        }
        (Err(p), _) | (_, Err(p)) => Err(p),
    };
    let asked = match begun {
        Ok(asked) => asked,
        Err(p) => {
            linger(&mut body).await;
            return Err(p);
        }
    };
    let got = upload::receive(&s, &headers, body).await?;
    let update = s.update.clone();
    s.pool.see_through(move || update.install(got.path(), Take::Move, asked)).await?;
    Ok((StatusCode::ACCEPTED, shown(&s).await?))
}

/// The bundle lies on the box, on a stick for example, or at a URL.
pub async fn by_path(State(s): Ctx, _: NoQuery, extract::Json(by): extract::Json<ByPath>) -> Answer<(StatusCode, Json<Shown>)> {
    let drain_s = by.drain_s.map(drain).transpose()?;
    let asked = Asked { again: by.again, drain_s, reboot: by.restart.unwrap_or(true) };
    let path = match (by.path, by.url) {
        (Some(path), None) if path.is_absolute() => path,
        (Some(path), None) => return Err(Fault::invalid(format!("path: '{path}' must be an absolute path on the box")).into()),
        (None, Some(url)) => {
            system_bundle::begin(&s, url, asked).await?;
            return Ok((StatusCode::ACCEPTED, shown(&s).await?));
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Fault::invalid("one of path (on the box) and url has to say where the bundle is").into());
        }
    };
    let (update, nfvo) = (s.update.clone(), s.nfvo.clone());
    let most = s.config.now().limits.upload_mib << 20;
    let install = move || {
        update.may(&asked)?;
        let length = std::fs::metadata(&path).map_err(|e| Fault::invalid(format!("path: {}: {e}", path)))?.len();
        if length > most {
            return Err(Fault::invalid(format!("path: {} has {length} bytes, and a bundle may have {most} (limits.upload_mib)", path)));
        }
        nfvo.vnfm().room_for("for the bundle", size::Bytes(length))?;
        update.install(&path, Take::Copy, asked)
    };
    s.pool.see_through(install).await?;
    Ok((StatusCode::ACCEPTED, shown(&s).await?))
}

/// Before the trial: none is made. On trial: the box goes back.
pub async fn call_off(State(s): Ctx, _: NoQuery) -> Answer<StatusCode> {
    let (update, caller) = (s.update.clone(), who::caller()?);
    s.pool.run(move || update.call_off(&caller.name)).await?;
    Ok(StatusCode::ACCEPTED)
}

fn drain(s: u32) -> Answer<u32> {
    if s <= LONGEST_DRAIN {
        Ok(s)
    } else {
        Err(Box::new(Problem::malformed(format!("the time for operations to end: {s} is more than {LONGEST_DRAIN} seconds"))))
    }
}

fn asked(uri: &Uri) -> Answer<Asked> {
    let mut asked = Asked::default();
    for (name, v) in query(uri, &["again", "drain_s", "restart"])? {
        let bad = |what: &str| Box::new(Problem::malformed(format!("{name}: '{v}' is no {what}")));
        match name.as_ref() {
            "drain_s" => asked.drain_s = Some(drain(v.parse().map_err(|_| bad("number of seconds"))?)?),
            "again" => asked.again = v.parse().map_err(|_| bad("true or false"))?,
            _ => asked.reboot = v.parse().map_err(|_| bad("true or false"))?,
        }
    }
    Ok(asked)
}
