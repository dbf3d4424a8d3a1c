//! Service function chains: what takes them, by which functions, and what went by each; and the end of a handover.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    api::{
        Ctx, convert,
        extract::Id,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{
        chain::{Chain, ChainEnd, ChainHop, ChainState, HopKind, OnLoss, OutsideOf, Stage},
        error::Fault,
        id::NfpId,
    },
    nfvo::Nfvo,
    sdn::chain::HopState,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wire {
    id: String,
    ns: String,
    vnffg: String,
    nfp: String,
    state: &'static str,
    classifiers: Vec<String>,
    symmetric: bool,
    on_loss: &'static str,
    from: Vec<End>,
    hops: Vec<Hop>,
    to: Vec<End>,
    /// Functions that were taken out of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    idle: Vec<Hop>,
    /// What left the chain at its ends; absent while the switch does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    back: Option<Count>,
    /// Connections are still on the way that it had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    handover: Option<Handover>,
}

#[derive(Serialize)]
struct Handover {
    stage: &'static str,
    until: String,
    /// The functions of that way.
    before: Vec<String>,
    /// What left the chain by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<Count>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum End {
    Vnf { vnf: String, cp: String },
    Sap { sap: String },
    Pnf { pnf: String, cp: String },
}

impl End {
    fn of(e: &ChainEnd) -> End {
        match e {
            ChainEnd::Cp(e) => End::Vnf { vnf: e.vnf.to_string(), cp: e.cp.to_string() },
            ChainEnd::Outside { of: OutsideOf::Sap(sap), .. } => End::Sap { sap: sap.to_string() },
            ChainEnd::Outside { of: OutsideOf::Pnf { pnf, cp }, .. } => End::Pnf { pnf: pnf.to_string(), cp: cp.to_string() },
        }
    }
}

#[derive(Serialize)]
struct Hop {
    name: String,
    kind: &'static str,
    vnfs: Vec<String>,
    entry: String,
    exit: String,
    /// Guests whose ports are on the switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    back: Option<Count>,
}

#[derive(Serialize)]
struct Count {
    packets: u64,
    bytes: u64,
}

/// As the switch has it; without counters while it does not answer.
fn one(n: &Nfvo, c: &Chain) -> Wire {
    of(c, n.vnfm().links().fabric().chain_state(c.id).ok().as_ref())
}

/// A chain that is only planned has no state.
pub(super) fn of(c: &Chain, state: Option<&crate::sdn::chain::ChainState>) -> Wire {
    let count = |packets, bytes| Some(Count { packets, bytes });
    let hop = |h: &ChainHop, seen: Option<&HopState>| Hop {
        name: h.name.to_string(),
        kind: match h.kind {
            HopKind::Transparent => "TRANSPARENT",
            HopKind::Routed => "ROUTED",
            HopKind::Stateful => "STATEFUL",
        },
        vnfs: h.vnfs.iter().map(ToString::to_string).collect(),
        entry: h.entry.to_string(),
        exit: h.exit.to_string(),
        live: seen.map(|s| s.live),
        out: seen.and_then(|s| count(s.out.packets, s.out.bytes)),
        back: seen.and_then(|s| count(s.back.packets, s.back.bytes)),
    };
    let hops = c.hops.iter().enumerate().map(|(i, h)| hop(h, state.and_then(|s| s.hops.get(i))));
    let ends = |all: &[ChainEnd]| all.iter().map(End::of).collect();
    Wire {
        id: c.id.to_string(),
        ns: c.ns.to_string(),
        vnffg: c.vnffg.to_string(),
        nfp: c.nfp.to_string(),
        state: match c.state {
            ChainState::Wanted => "ACTIVE",
            ChainState::Leaving => "LEAVING",
        },
        classifiers: c.classifiers.iter().map(ToString::to_string).collect(),
        symmetric: c.symmetric,
        on_loss: match c.on_loss {
            OnLoss::Block => "BLOCK",
            OnLoss::Bypass => "BYPASS",
        },
        from: ends(&c.from),
        hops: hops.collect(),
        to: ends(&c.to),
        idle: c.idle.iter().map(|h| hop(h, None)).collect(),
        out: state.and_then(|s| count(s.out.packets, s.out.bytes)),
        back: state.and_then(|s| count(s.back.packets, s.back.bytes)),
        handover: c.handover.as_ref().map(|h| {
            let (stage, until) = match h.stage {
                Stage::Noting { until } => ("NOTING", until),
                Stage::Draining { until } => ("DRAINING", until),
            };
            Handover {
                stage,
                until: convert::time(until).to_string(),
                before: h.old.hops.iter().map(|h| h.name.to_string()).collect(),
                kept: state.and_then(|s| count(s.kept.packets, s.kept.bytes)),
            }
        }),
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Wire>>> {
    let shown = s.domain(|n| Ok(n.caller().seen(n.vnfm().store().list::<Chain>()?).iter().map(|c| one(n, c)).collect()));
    Ok(Json(shown.await?))
}

/// Connections that are still on the way before come to the new one now.
pub async fn settle(State(s): Ctx, Id(id): Id<NfpId>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| {
        let all = n.caller().seen(n.vnfm().store().list::<Chain>()?);
        if !all.iter().any(|c| c.id == id) {
            return Err(Fault::not_found(format!("there is no chain {id}")));
        }
        n.vnfm().links().end_drain(id)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
