//! What is on the host and in no record: shown, removed guest by guest, and the word that ends a restored store's
//! restraint.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        extract::Id,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::id::VnfcId,
    vim::port::{FoundGuest, GuestState},
    vnfm::{revive::Missing, stray::Strays},
};

/// A guest with what its domain says of its origin.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Guest {
    id: String,
    domain: String,
    state: &'static str,
    vnf_name: String,
    vdu: String,
    index: u32,
    vnf_instance_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ns_instance_id: Option<String>,
    project_id: String,
    operation_id: String,
    generation: u64,
}

impl From<FoundGuest> for Guest {
    fn from(g: FoundGuest) -> Self {
        Guest {
            id: g.id.to_string(),
            domain: g.id.domain_name(),
            state: match g.state {
                GuestState::Off => "OFF",
                GuestState::Running => "RUNNING",
                GuestState::Paused => "PAUSED",
                GuestState::PausedIo => "PAUSED_IO",
                GuestState::Crashed => "CRASHED",
                GuestState::Stopping => "STOPPING",
            },
            vnf_name: g.owner.vnf_name.into(),
            vdu: g.owner.vdu.into(),
            index: g.owner.index,
            vnf_instance_id: g.owner.vnf.to_string(),
            ns_instance_id: g.owner.ns.map(|n| n.to_string()),
            project_id: g.owner.project.to_string(),
            operation_id: g.owner.op.to_string(),
            generation: g.owner.generation,
        }
    }
}

/// What becomes of what no record names when nobody counts the store as restored any more.
#[derive(Serialize)]
pub struct Outcome {
    restored: bool,
    generation: u64,
    /// Left alone until they are removed one by one; while there are any, so are links and files.
    left: Vec<Guest>,
    removed: Removed,
}

#[derive(Serialize)]
struct Removed {
    guests: Vec<Guest>,
    disks: Vec<String>,
    media: Vec<String>,
    ports: Vec<String>,
    dhcp: Vec<String>,
}

fn texts<T: ToString>(all: Vec<T>) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

impl Outcome {
    fn of(restored: bool, generation: u64, s: Strays) -> Self {
        let guests = |all: Vec<FoundGuest>| all.into_iter().map(Into::into).collect();
        let removed =
            Removed { guests: guests(s.ours), disks: texts(s.disks), media: texts(s.media), ports: texts(s.ports), dhcp: texts(s.dhcp) };
        Outcome { restored, generation, left: guests(s.unknown), removed }
    }
}

pub async fn guests(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Guest>>> {
    let unknown = s.domain(|n| Ok(n.vnfm().strays()?.unknown)).await?;
    Ok(Json(unknown.into_iter().map(Into::into).collect()))
}

pub async fn remove(State(s): Ctx, Id(id): Id<VnfcId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().remove_stray(id)).await?;
    (s.look)(Missing::Leave);
    Ok(StatusCode::NO_CONTENT)
}

pub async fn preview(State(s): Ctx, _: NoQuery) -> Answer<Json<Outcome>> {
    let outcome = s.domain(|n| {
        let store = n.vnfm().store();
        Ok(Outcome::of(store.is_restored(), store.generation(), n.vnfm().strays_once_acknowledged()?))
    });
    Ok(Json(outcome.await?))
}

pub async fn acknowledge(State(s): Ctx, _: NoQuery) -> Answer<Json<Outcome>> {
    let outcome = s.domain(|n| {
        let strays = n.vnfm().acknowledge_restore()?;
        Ok(Outcome::of(false, n.vnfm().store().generation(), strays))
    });
    let outcome = outcome.await?;
    (s.look)(Missing::Leave);
    Ok(Json(outcome))
}
