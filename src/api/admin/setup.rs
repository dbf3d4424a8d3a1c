//! The host's set-up: what differs from the configuration, doing it, undoing it.

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{error::Result, host::BootArgs},
    vim::setup::{Done, HostPlan, Keeper, Needs},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    items: Vec<Item>,
    blocked: Vec<Blocked>,
    /// All that the configuration means for the kernel's command line.
    kernel_arguments: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_loader: Option<BootLoader>,
    /// Something was applied that `undo` can put back.
    can_undo: bool,
}

#[derive(Serialize)]
struct Item {
    what: String,
    why: String,
    needs: &'static str,
}

#[derive(Serialize)]
struct Blocked {
    what: String,
    why: String,
}

/// What the next boots have of Bothy's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BootLoader {
    committed: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_trial: Option<String>,
    armed: bool,
}

#[derive(Serialize)]
pub struct Outcome {
    done: Vec<String>,
    failed: Vec<Blocked>,
    reboot: bool,
}

impl Plan {
    fn of(p: &HostPlan, boot: Option<&BootArgs>, can_undo: bool) -> Self {
        let needs = |n| match n {
            Needs::Nothing => "NOTHING",
            Needs::Reboot => "REBOOT",
            Needs::Booting => "REBOOT_PENDING",
            Needs::Hand => "BY_HAND",
        };
        Plan {
            items: p.items.iter().map(|i| Item { what: i.what.clone(), why: i.why.clone(), needs: needs(i.needs) }).collect(),
            blocked: p.blocked.iter().map(|b| Blocked { what: b.what.clone(), why: b.why.clone() }).collect(),
            kernel_arguments: p.args.to_string(),
            boot_loader: boot.map(|b| BootLoader {
                committed: b.committed.to_string(),
                on_trial: b.trial.as_ref().map(ToString::to_string),
                armed: b.armed,
            }),
            can_undo,
        }
    }
}

impl From<Done> for Outcome {
    fn from(d: Done) -> Self {
        Outcome { done: d.done, failed: d.failed.into_iter().map(|(what, why)| Blocked { what, why }).collect(), reboot: d.reboot }
    }
}

fn look(host: &Keeper) -> Result<Plan> {
    let boot = host.boot()?;
    Ok(Plan::of(&host.plan()?, boot.as_ref(), host.record()? != Default::default()))
}

pub async fn plan(State(s): Ctx, _: NoQuery) -> Answer<Json<Plan>> {
    let host = s.host.clone();
    Ok(Json(s.pool.run(move || look(&host)).await?))
}

pub async fn apply(State(s): Ctx, _: NoQuery) -> Answer<Json<Outcome>> {
    let host = s.host.clone();
    Ok(Json(s.pool.run(move || host.apply()).await?.into()))
}

pub async fn undo(State(s): Ctx, _: NoQuery) -> Answer<Json<Outcome>> {
    let host = s.host.clone();
    Ok(Json(s.pool.run(move || host.undo()).await?.into()))
}
