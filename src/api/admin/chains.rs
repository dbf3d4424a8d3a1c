//! Service function chains: what takes them, by which functions, and what went by each.

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::chain::{Chain, ChainHop, ChainState, CpOf, HopKind, OnLoss},
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
}

#[derive(Serialize)]
struct End {
    vnf: String,
    cp: String,
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
        },
        vnfs: h.vnfs.iter().map(ToString::to_string).collect(),
        entry: h.entry.to_string(),
        exit: h.exit.to_string(),
        live: seen.map(|s| s.live),
        out: seen.and_then(|s| count(s.out.packets, s.out.bytes)),
        back: seen.and_then(|s| count(s.back.packets, s.back.bytes)),
    };
    let hops = c.hops.iter().enumerate().map(|(i, h)| hop(h, state.and_then(|s| s.hops.get(i))));
    let ends = |all: &[CpOf]| all.iter().map(|e| End { vnf: e.vnf.to_string(), cp: e.cp.to_string() }).collect();
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
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Wire>>> {
    let shown = s.domain(|n| Ok(n.caller().seen(n.vnfm().store().list::<Chain>()?).iter().map(|c| one(n, c)).collect()));
    Ok(Json(shown.await?))
}
