//! A chain between two ways: connections that were there keep the one before, new ones take the new one. Pure.
//!
//! ```text
//!             noting                    draining
//!   all by the way before   ──>   a beginning (TCP's SYN):       the new way, and marked so
//!   what is not TCP is            marked:                        the way of its mark
//!   marked as of that way         TCP without a mark:            the way before: it began by it
//!                                 anything else without a mark:  the new way, and marked so
//! ```
//! Owns: whether a change needs that, what it means for each classifier, and which rules are for which
//! connections. Never: how a switch tells connections apart, or when it is over.
//!
//! Nothing is tracked while a chain has one way. That is why a beginning has to show: TCP has one in its
//! packets; of the rest, what passes while it is noted was there.

use std::collections::{BTreeSet, HashSet};

use super::chain::{Hop, Rule, SwitchChain, Then};
use crate::model::tree::set;
use crate::model::{
    chain::{Classifier, IpProto},
    id::{IfName, NfpId},
};

/// Seconds for which what is not TCP is noted before a change.
pub const NOTING_S: u32 = 2;

/// The way before, of a chain that has a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwoWays {
    pub classifiers: Vec<Classifier>,
    pub hops: Vec<Hop>,
    /// Of connections on the way before; those on the new one have the next number.
    pub mark: u32,
    /// All still go the way before.
    pub noting: bool,
}

impl TwoWays {
    /// The mark of connections on the new way.
    pub fn new_mark(&self) -> u32 {
        self.mark.wrapping_add(1)
    }
}

/// Where connections of a chain are known apart from those of other chains: addresses may be the same there.
pub fn zone(chain: NfpId) -> u16 {
    let mixed = chain.0.as_bytes().chunks(2).fold(0u16, |z, b| z.rotate_left(5) ^ u16::from_be_bytes([b[0], b[1]]));
    // The lower half is left to others: the kernel's is shared with the host's own tracking.
    0x8000 | mixed
}

/// A rule, and which connections it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Led {
    pub rule: Rule,
    pub by: Side,
    pub who: Who,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Of the way before.
    Before,
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// All that come by; nothing is tracked.
    All,
    /// All that come by are of this way, and what is not TCP is marked so.
    Noted,
    /// All that come by are of this way, and are marked so: only this way comes by here.
    Own,
    /// They are told apart here, as above.
    Apart {
        /// The port is an end of a wire: there is no link to go on by.
        wire: bool,
    },
}

impl SwitchChain {
    /// The chain on the way before alone.
    pub fn before(&self) -> Option<SwitchChain> {
        let h = self.handover.as_ref()?;
        Some(SwitchChain { classifiers: h.classifiers.clone(), hops: h.hops.clone(), handover: None, ..self.clone() })
    }

    /// All rules, of both ways where there are two.
    pub fn led(&self, is_there: &dyn Fn(&IfName) -> bool) -> Vec<Led> {
        let of = |by: Side, rules: Vec<Rule>, who: &dyn Fn(&Rule) -> Who| -> Vec<Led> {
            rules.into_iter().map(|rule| Led { who: who(&rule), by, rule }).collect()
        };
        let (Some(before), Some(ways)) = (self.before(), self.handover.as_ref()) else {
            return of(Side::New, self.rules(is_there), &|_| Who::All);
        };
        let old = before.rules(is_there);
        if ways.noting {
            return of(Side::Before, old, &|r| if r.is_beside() { Who::All } else { Who::Noted });
        }
        let new = self.rules(is_there);
        // By their shape, whoever is there now: else a port that goes would hand what is on the new way to the old one.
        let ports = |c: &SwitchChain| -> HashSet<IfName> { c.rules(&|_| true).into_iter().map(|r| r.at).collect() };
        let both: HashSet<IfName> = ports(&before).intersection(&ports(self)).cloned().collect();
        let wires: BTreeSet<&IfName> = set(self.hops.iter().chain(&ways.hops).filter(|h| h.kind.is_wire()).flat_map(|h| h.ports()));
        let who = |r: &Rule| match both.contains(&r.at) {
            // No connection of the chain's.
            _ if r.is_beside() => Who::All,
            true => Who::Apart { wire: wires.contains(&r.at) },
            false => Who::Own,
        };
        [of(Side::Before, old, &who), of(Side::New, new, &who)].concat()
    }
}

/// Chains of which one, while it has two ways, would keep from another what is the other's: it looks at all frames of
/// both of its ways, and those that turn out to be of neither go on by their link.
pub fn in_the_way(chains: &[&SwitchChain]) -> Vec<String> {
    let mut out = BTreeSet::new();
    for c in chains {
        let apart: Vec<Led> = c.led(&|_| true).into_iter().filter(|l| matches!(l.who, Who::Apart { .. })).collect();
        // What both of its ways take stays its own.
        let of_both = |l: &Led| apart.iter().any(|o| o.by != l.by && o.rule.at == l.rule.at && o.rule.covers(&l.rule));
        let let_go: Vec<&Rule> = apart.iter().filter(|l| !of_both(l)).map(|l| &l.rule).collect();
        for other in chains.iter().filter(|o| o.id != c.id) {
            for theirs in other.led(&|_| true).into_iter().map(|l| l.rule).filter(|r| !r.is_beside()) {
                let wider = |r: &&&Rule| {
                    let around = theirs.covers(r) && !r.covers(&theirs);
                    r.at == theirs.at && r.meets(&theirs) && (theirs.rank() / 2 < r.rank() / 2 || around)
                };
                if let Some(ours) = let_go.iter().find(wider) {
                    out.insert(format!(
                        "while connections of chain {} keep the way before, what of '{}' is not on its way any more, or not yet, would pass by \
                         the functions of chain {}, which takes the wider '{}': let their traffic not meet, or give {} a drain timeout of 0",
                        c.name, ours.traffic, other.name, theirs.traffic, c.name
                    ));
                }
            }
        }
    }
    out.into_iter().collect()
}

/// What is done with connections whose beginning was not seen, where only the new way has a rule for them.
pub fn unseen(rule: &Rule, wire: bool) -> Then {
    if wire { rule.then.clone() } else { Then::Link }
}

/// How a running chain becomes another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cutover {
    /// For each classifier that is concerned.
    pub lines: Vec<String>,
    /// Connections keep their way for `drain_s` at most, and what is not TCP is noted for so many seconds before.
    /// `None`: all of it at once.
    pub noting_s: Option<u32>,
}

/// How the chain becomes `next`, and why so. A transparent function keeps nothing of a connection, so what is
/// established goes the new way with everything else. One that is routed (it may translate addresses) or
/// stateful knows a connection from its beginning, and it has to know it to its end.
pub fn cutover(now: &SwitchChain, next: &SwitchChain, drain_s: u32) -> Cutover {
    let holders = |c: &SwitchChain| -> Vec<Hop> { c.hops.iter().filter(|h| h.kind.holds_connections()).cloned().collect() };
    let (had, has) = (holders(now), holders(next));
    let other_traffic = now.classifiers != next.classifiers;
    let why = match (had == has, other_traffic) {
        (false, _) => {
            let come_or_go = had.iter().filter(|h| !has.contains(h)).chain(has.iter().filter(|h| !had.contains(h)));
            let names: Vec<String> = come_or_go.map(described).collect();
            Some(if names.is_empty() { format!("{} change places", listed(&has)) } else { names.join(", ") })
        }
        (true, true) if !has.is_empty() => Some(has.iter().map(described).collect::<Vec<_>>().join(", ")),
        (true, true | false) => None,
    };
    let text = |c: &SwitchChain| if c.hops.is_empty() { "no function".to_owned() } else { listed(&c.hops) };
    let tcp = |c: &&Classifier| c.proto == Some(IpProto::TCP);
    let keeps = why.filter(|_| drain_s > 0);
    let noted = |c: &Classifier| match tcp(&c) {
        true => String::new(),
        false => format!("; what is not TCP and is silent in the {NOTING_S} s before is taken for new"),
    };
    let kept = |c: &Classifier, by: &str| match &keeps {
        Some(why) => format!("connections that are there stay {by} until they end, {drain_s} s at most: {why}{}", noted(c)),
        None => String::new(),
    };
    let mut lines = Vec::new();
    for c in next.classifiers.iter().filter(|c| now.classifiers.contains(c) && now.hops != next.hops) {
        let (from, to) = (text(now), text(next));
        lines.push(match &keeps {
            Some(_) => format!("'{c}': from {from} to {to}, new connections only; {}", kept(c, &format!("by {from}"))),
            None if had != has => {
                format!("'{c}': from {from} to {to}, at once: the drain timeout is 0, and connections that are there may break")
            }
            None => format!("'{c}': from {from} to {to}, at once: the functions that come and go are transparent"),
        });
    }
    for c in next.classifiers.iter().filter(|c| !now.classifiers.contains(c)) {
        let tail = if keeps.is_some() { format!(", new connections only; {}", kept(c, "where they are")) } else { String::new() };
        lines.push(format!("'{c}': new, by {}{tail}", text(next)));
    }
    for c in now.classifiers.iter().filter(|c| !next.classifiers.contains(c)) {
        let tail =
            if keeps.is_some() { format!(", new connections only; {}", kept(c, &format!("by {}", text(now)))) } else { String::new() };
        lines.push(format!("'{c}': no longer, by its link{tail}"));
    }
    let all_tcp = now.classifiers.iter().chain(&next.classifiers).all(|c| tcp(&c));
    Cutover { noting_s: keeps.filter(|_| !lines.is_empty()).map(|_| if all_tcp { 0 } else { NOTING_S }), lines }
}

fn described(h: &Hop) -> String {
    format!("{} is {}", h.name, if h.kind.is_wire() { "stateful" } else { "routed" })
}

fn listed(hops: &[Hop]) -> String {
    hops.iter().map(|h| h.name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
