//! How each way out of the box is at the moment, for whoever shows it.
//!
//! Owns the words of that. Never: changes anything.

use super::{Link, Uplinks, change};
use crate::{
    hostnet::judge::Verdict,
    model::{
        error::Result,
        health::{Condition, ConditionState},
        hostnet::Device,
        id::IfName,
        net::VlanId,
        time::Stamp,
        uplink::Family,
    },
};

/// How a way out of one family is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is no default route by it.
    NoRoute,
    /// It has a default route, and nothing is asked by it.
    NotProbed,
    Untried,
    Well,
    Down,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayNow {
    pub family: Family,
    pub state: State,
    /// The default route leads there.
    pub in_use: bool,
    /// Since when it is well or down.
    pub since: Option<Stamp>,
    /// The last round in vain.
    pub why: Option<String>,
    /// Rounds that have to be answered until it is well again.
    pub to_go: Option<u32>,
}

/// An interface that may lead out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UplinkNow {
    pub device: Device,
    pub vlan: Option<VlanId>,
    /// What the kernel calls it; `None`: it is not there.
    pub interface: Option<IfName>,
    pub ways: Vec<WayNow>,
}

impl UplinkNow {
    pub fn name(&self) -> String {
        match (&self.interface, self.vlan) {
            (Some(i), _) => i.to_string(),
            (None, Some(v)) => format!("{} in VLAN {v}", self.device),
            (None, None) => self.device.to_string(),
        }
    }
    /// Why it is down, each family for itself.
    pub fn down(&self) -> Option<String> {
        let of = |w: &WayNow| (w.state == State::Down).then(|| format!("{}: {}", w.family.word(), w.why.as_deref().unwrap_or("no answer")));
        let all: Vec<String> = self.ways.iter().filter_map(of).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

impl Uplinks {
    pub fn status(&self) -> Result<Vec<UplinkNow>> {
        let links = self.rounds().links.clone();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let (interfaces, routes) = (self.ways.interfaces()?, self.ways.routes()?);
        let (order, names) = self.order(&links, &interfaces);
        let by = Family::BOTH.map(|f| change(&links, &order, f, &routes).by);
        let one = |(n, l): (usize, &Link)| {
            let index = order.get(n).copied().flatten();
            let way = |family: Family| {
                let judged = l.judge(family);
                let has_route = routes.iter().any(|r| r.family == family && !r.ours && Some(r.index) == index);
                let state = match judged.map(|(j, _)| j.verdict) {
                    Some(Verdict::Down) => State::Down,
                    _ if !has_route => State::NoRoute,
                    None => State::NotProbed,
                    Some(Verdict::Untried) => State::Untried,
                    Some(Verdict::Well) => State::Well,
                };
                WayNow {
                    family,
                    state,
                    in_use: has_route && index.is_some() && by.get(family as usize).copied().flatten() == index,
                    since: judged.and_then(|(_, since)| since),
                    why: judged.and_then(|(j, _)| j.why.clone()),
                    to_go: judged.zip(l.want.probe.as_ref()).and_then(|((j, _), p)| j.to_go(p)),
                }
            };
            UplinkNow {
                device: l.want.device.clone(),
                vlan: l.want.vlan,
                interface: names.get(n).cloned().flatten().filter(|_| index.is_some()),
                ways: Family::BOTH.into_iter().filter(|f| l.want.way(*f).leads_out()).map(way).collect(),
            }
        };
        Ok(links.iter().enumerate().map(one).collect())
    }

    /// Each that is probed or has a default route, by its name, and why it is down; nothing where none is probed.
    pub fn told(&self) -> Result<Vec<(String, Option<String>)>> {
        let probed: Vec<bool> = self.rounds().links.iter().map(|l| l.want.probe.is_some()).collect();
        if !probed.contains(&true) {
            return Ok(Vec::new());
        }
        let counts = |(u, p): &(&UplinkNow, bool)| *p || u.ways.iter().any(|w| w.state != State::NoRoute);
        Ok(self.status()?.iter().zip(probed).filter(counts).map(|(u, _)| (u.name(), u.down())).collect())
    }

    /// `None`: nothing is probed.
    pub fn condition(&self) -> Option<Condition> {
        let fault = {
            let r = self.rounds();
            r.links.iter().any(|l| l.want.probe.is_some()).then(|| r.fault.clone())?
        };
        let (state, text) = match (fault, self.status()) {
            (Some(why), _) => (ConditionState::Failed, format!("the default routes cannot be set: {why}")),
            (None, Err(fault)) => (ConditionState::Failed, fault.detail()),
            (None, Ok(all)) => {
                let down: Vec<String> = all.iter().filter_map(|u| Some(format!("{} is down ({})", u.name(), u.down()?))).collect();
                let used = Family::BOTH.into_iter().filter_map(|f| {
                    let by = all.iter().find(|u| u.ways.iter().any(|w| w.family == f && w.in_use))?;
                    Some(format!("{} leaves by {}", f.word(), by.name()))
                });
                let used: Vec<String> = used.collect();
                let is_new = all.iter().flat_map(|u| &u.ways).any(|w| w.state == State::Untried);
                let state = match (down.is_empty(), is_new) {
                    (false, _) => ConditionState::Failed,
                    (true, true) => ConditionState::Pending,
                    (true, false) => ConditionState::Ok,
                };
                let used = if used.is_empty() { "there is no way out".to_owned() } else { used.join(", ") };
                (state, [down, vec![used]].concat().join("; "))
            }
        };
        Some(Condition::new("uplinks", state, text))
    }
}
