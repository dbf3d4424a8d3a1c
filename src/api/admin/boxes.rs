//! The centres that this box calls, and as a hub, the boxes that call it.

use axum::extract::State;
use data_encoding::HEXLOWER;
use serde::Serialize;

use super::handouts::{has, kind};
use crate::{
    api::{
        Ctx,
        convert::time,
        problem::Answer,
        respond::{Json, NoQuery},
        who,
    },
    call_home::{self, Standing},
    hub::{Head, registry},
    model::desired::Stage,
    ztp::report::Progress,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Centre {
    name: String,
    address: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_at: Option<String>,
    /// Since it was last connected.
    attempts: u64,
}

impl From<call_home::View> for Centre {
    fn from(v: call_home::View) -> Self {
        let (state, connected_since, next_attempt) = match v.standing {
            Standing::Waiting { until } => ("WAITING", None, Some(until)),
            Standing::Calling => ("CALLING", None, None),
            Standing::Connected { since } => ("CONNECTED", Some(since), None),
            Standing::Stopped => ("STOPPED", None, None),
        };
        let (at, why) = v.last_error.unzip();
        Centre {
            name: v.name.into(),
            address: v.address.into(),
            state,
            connected_since: connected_since.map(|s| time(s).to_string()),
            next_attempt: next_attempt.map(|s| time(s).to_string()),
            last_error: why,
            last_error_at: at.map(|s| time(s).to_string()),
            attempts: v.tries,
        }
    }
}

pub async fn centres(State(s): Ctx, _: NoQuery) -> Json<Vec<Centre>> {
    Json(s.call_home.centres().iter().map(|c| c.view().into()).collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    serial: String,
    /// As its enrolment says; empty: the default one.
    project: String,
    group: String,
    /// By its pinned certificate, not by a CA.
    pinned: bool,
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_contact: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// The document of desired state that counts on it, by its own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    desired: Option<Applied>,
    /// The one that lies here for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    handout: Option<Handout>,
    /// The last that it told of its bootstrapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    bootstrap: Option<Bootstrap>,
}

#[derive(Serialize)]
pub struct Bootstrap {
    progress: Progress,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    at: String,
}

#[derive(Serialize)]
struct Applied {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    /// When it last said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<String>,
}

#[derive(Serialize)]
struct Handout {
    kind: &'static str,
    name: String,
    digest: String,
    state: &'static str,
    /// Of the last try to hand it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Handout {
    fn of(h: Head, v: &registry::View) -> Handout {
        let tried = v.handed.as_ref().filter(|t| t.digest == h.digest);
        let why = tried.and_then(|t| t.failed.clone()).filter(|_| !has(v, &h.digest));
        let state = match (has(v, &h.digest), &why) {
            (true, _) => "CURRENT",
            (false, Some(_)) => "FAILED",
            (false, None) => "PENDING",
        };
        Handout {
            kind: kind(&h.whom),
            name: h.whom.name().to_string(),
            digest: HEXLOWER.encode(&h.digest),
            state,
            tried: tried.map(|t| time(t.at).to_string()),
            why,
        }
    }
}

impl Known {
    fn of(v: registry::View, meant: Option<Head>) -> Self {
        let handout = meant.map(|h| Handout::of(h, &v));
        let reported = v.reported.map(|s| time(s).to_string());
        let desired = v.said.applied.map(|a| Applied {
            version: a.version,
            digest: a.digest.map(|d| HEXLOWER.encode(&d)),
            phase: a.stage.map(Stage::word),
            reported,
        });
        let (since, from) = v.connected.unzip();
        Known {
            serial: v.enrolled.serial.into(),
            project: v.enrolled.project.into(),
            group: v.enrolled.group.into(),
            pinned: v.enrolled.fingerprint.is_some(),
            connected: since.is_some(),
            connected_since: since.map(|s| time(s).to_string()),
            from: from.map(|a| a.to_string()),
            last_contact: v.last.map(|s| time(s).to_string()),
            version: v.said.version.map(Into::into),
            health: v.said.health.map(Into::into),
            why: v.said.why,
            desired,
            handout,
            bootstrap: v.progress.map(|(at, r)| Bootstrap { progress: r.progress, message: r.message, at: time(at).to_string() }),
        }
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Known>>> {
    let (hub, caller) = (s.hub()?, who::caller()?);
    let reached = hub.boxes().into_iter().filter(|b| s.reaches(&caller, b));
    Ok(Json(
        reached
            .map(|b| {
                let meant = hub.meant_for(&b);
                Known::of(b, meant)
            })
            .collect(),
    ))
}
