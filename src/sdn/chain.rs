//! A service function chain as the switch shall carry it: which frames go where next. Pure.
//!
//! ```text
//!   from ──> hop 0 ──> hop 1 ──> ... ──> to        and back the same way where it is symmetric
//! ```
//! Owns: the walk of a chain to rules, one for each port that frames come in by, and what contradicts
//! what. Never: how a switch does it, or who the ports belong to.
//!
//! A chain takes unicast frames only, from its ends and for its ends: what else goes over a link (ARP,
//! neighbour discovery, DHCP) goes on as before. A transparent hop has ends of a wire, which are on no
//! link (`link::PortAt::Wire`). A routed hop keeps its ports on their links; it is led to by its MAC,
//! and what it sends goes on by the link unless the chain has more to say.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use smol_str::SmolStr;

use super::handover::TwoWays;
use crate::model::{
    chain::{Classifier, HopKind, OnLoss},
    error::{Fault, Result},
    id::{IfName, NfpId},
    net::MacAddr,
};
use crate::model::{
    order::Order as _,
    tree::{set, tree},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchChain {
    pub id: NfpId,
    /// For people.
    pub name: SmolStr,
    /// Each alone is enough.
    pub classifiers: Vec<Classifier>,
    pub from: Vec<End>,
    pub hops: Vec<Hop>,
    pub to: Vec<End>,
    /// What comes back takes the same way.
    pub symmetric: bool,
    pub on_loss: OnLoss,
    /// It has another way besides, for connections that were there.
    pub handover: Option<TwoWays>,
}

/// A port where frames enter and leave the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub port: IfName,
    /// `None`: it stands for more than one station, as a physical network does.
    pub mac: Option<MacAddr>,
    /// Stations of its link that it does not stand for, where it has no MAC: those that are in the box.
    pub beside: Vec<MacAddr>,
    /// Others come in by its port too, as by a physical network's: what is its own is told by the sender.
    pub shared: bool,
}

impl End {
    /// Who sends what comes from it, where its port does not say so.
    fn sender(&self) -> Option<MacAddr> {
        self.mac.filter(|_| self.shared)
    }
}

/// Where frames of a leg come in.
#[derive(Clone, Copy)]
struct Source<'a> {
    port: &'a IfName,
    sender: Option<MacAddr>,
}

impl<'a> From<&'a End> for Source<'a> {
    fn from(e: &'a End) -> Self {
        Source { port: &e.port, sender: e.sender() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// For people.
    pub name: SmolStr,
    pub kind: HopKind,
    /// Equal ones, of which each connection takes one.
    pub instances: Vec<Instance>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub entry: Arm,
    /// The same as `entry` for a one-arm function.
    pub exit: Arm,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arm {
    pub port: IfName,
    /// Needed where it is routed.
    pub mac: Option<MacAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    Out,
    Back,
}

/// Where a rule's frames are going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    Mac(MacAddr),
    /// Any single station.
    Unicast,
}

/// One rule of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The port that the frames come in by.
    pub at: IfName,
    /// Only what this station sends.
    pub sender: Option<MacAddr>,
    pub way: Way,
    pub bound: For,
    pub traffic: Classifier,
    /// The hop that it leads into, as the chain counts them outwards; `None`: out of the chain.
    pub into: Option<usize>,
    pub then: Then,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// To one of these, the same for all frames of a connection in both directions.
    To {
        port: Vec<IfName>,
        set: Option<MacAddr>,
    },
    /// On by its link.
    Link,
    /// The same for a frame that is not the chain's, though it looks so: it is for a station beside the chain's end.
    Beside,
    Drop,
}

/// What has gone through a chain since its rules were last changed, and what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainState {
    pub hops: Vec<HopState>,
    /// What left the chain at its ends.
    pub out: Count,
    pub back: Count,
    /// What left it, either way, by connections that keep the way before.
    pub kept: Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HopState {
    /// Instances whose ports are on the switch with their links up.
    pub live: usize,
    /// What was led to it.
    pub out: Count,
    pub back: Count,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    pub packets: u64,
    pub bytes: u64,
}

impl Rule {
    /// The order of rules on a switch. `depth`: of `Nested`.
    pub fn level(&self, depth: u16) -> u16 {
        let (bits, outwards) = (self.rank() / 2, self.rank() % 2);
        2 * (DEEPEST * bits + depth.min(DEEPEST - 1)) + outwards
    }

    /// Frames that the rule takes, as bits that it fixes: the narrower of two that meet goes first.
    /// Between the two ways outwards goes first.
    pub fn rank(&self) -> u16 {
        let bound = match (self.bound, self.is_beside()) {
            (For::Mac(_), false) => 48,
            // Whoever leads there goes first.
            (For::Mac(_), true) => 47,
            (For::Unicast, _) => 1,
        };
        let sender = self.sender.map_or(0, |_| 48);
        2 * (bound + sender + self.traffic.bits()) + u16::from(self.way == Way::Out)
    }
    pub fn is_beside(&self) -> bool {
        self.then == Then::Beside
    }
    pub(super) fn meets(&self, other: &Rule) -> bool {
        let bound = match (self.bound, other.bound) {
            (For::Mac(a), For::Mac(b)) => a == b,
            (For::Unicast, _) | (_, For::Unicast) => true,
        };
        let sender = self.sender.zip(other.sender).is_none_or(|(a, b)| a == b);
        self.at == other.at && sender && bound && self.traffic.meets(&other.traffic)
    }
    pub(super) fn covers(&self, other: &Rule) -> bool {
        let bound = match (self.bound, other.bound) {
            (For::Mac(a), For::Mac(b)) => a == b,
            (For::Unicast, _) => true,
            (For::Mac(_), For::Unicast) => false,
        };
        let sender = self.sender.is_none_or(|a| other.sender == Some(a));
        sender && bound && self.traffic.covers(&other.traffic)
    }
    /// Nothing says which of the two a frame of both shall take.
    fn contradicts(&self, other: &Rule) -> bool {
        let ordered = self.covers(other) != other.covers(self);
        self.meets(other) && !ordered && (self.way == other.way || self.covers(other) && other.covers(self))
    }
}

/// So many ranges of ports that fix as many bits may be one within another.
pub const DEEPEST: u16 = 8;

/// Rules with ranges of ports, with how many others that fix as many bits each is within: `1000-1400` is narrower than
/// `1000-1500`, and both have seven bits.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Nested(BTreeMap<IfName, Vec<(Rule, u16)>>);

impl Nested {
    pub fn of<'c>(chains: impl IntoIterator<Item = &'c SwitchChain>) -> Nested {
        let mut at: BTreeMap<IfName, Vec<Rule>> = BTreeMap::new();
        for c in chains.into_iter().filter(|c| c.is_ranged()) {
            for rule in c.led(&|_| true).into_iter().map(|l| l.rule).filter(|r| r.traffic.spread() > 0 && !r.is_beside()) {
                at.entry(rule.at.clone()).or_default().push(rule);
            }
        }
        let nest = |mut rules: Vec<Rule>| {
            // What is around another is wider.
            rules.order_by_key(|r| u64::MAX - r.traffic.spread());
            let mut out: Vec<(Rule, u16)> = Vec::new();
            for r in rules {
                let around = |o: &Rule| o.rank() / 2 == r.rank() / 2 && o.covers(&r) && !r.covers(o);
                let depth = out.iter().filter(|(o, _)| around(o)).map(|(_, d)| d + 1).max().unwrap_or(0);
                out.push((r, depth));
            }
            out
        };
        Nested(tree(at.into_iter().map(|(port, rules)| (port, nest(rules)))))
    }

    pub fn depth(&self, rule: &Rule) -> u16 {
        let is = |r: &Rule| (&r.sender, &r.bound, &r.traffic) == (&rule.sender, &rule.bound, &rule.traffic);
        self.0.get(&rule.at).and_then(|all| all.iter().find(|(r, _)| is(r))).map_or(0, |(_, d)| *d)
    }

    fn too_deep(&self) -> impl Iterator<Item = &Rule> {
        self.0.values().flatten().filter(|(_, depth)| *depth >= DEEPEST).map(|(r, _)| r)
    }
}

/// A hop as one way meets it.
struct Stop<'a> {
    index: usize,
    kind: HopKind,
    /// Entry and exit of each instance that lives.
    arms: Vec<(&'a Arm, &'a Arm)>,
}

impl SwitchChain {
    /// It has a classifier with a range of ports.
    pub fn is_ranged(&self) -> bool {
        self.classifiers.iter().chain(self.handover.iter().flat_map(|h| &h.classifiers)).any(|c| c.spread() > 0)
    }

    /// Leads by none of the instances that have these ports.
    pub fn pass_by(&mut self, ports: &HashSet<&IfName>) {
        let before = self.handover.iter_mut().flat_map(|h| &mut h.hops);
        for h in self.hops.iter_mut().chain(before) {
            h.instances.retain(|i| !ports.contains(&i.entry.port) && !ports.contains(&i.exit.port));
        }
    }

    /// Every port that the chain names.
    pub fn ports(&self) -> BTreeSet<&IfName> {
        let ends = self.from.iter().chain(&self.to).map(|e| &e.port);
        let before = self.handover.iter().flat_map(|h| &h.hops);
        ends.chain(self.hops.iter().chain(before).flat_map(Hop::ports)).collect()
    }

    /// Everything that is wrong with the chain by itself.
    pub fn check(&self) -> Result<()> {
        let mut why: Vec<String> = Vec::new();
        for c in &self.classifiers {
            why.extend(c.faults().into_iter().map(|f| format!("classifier '{}' {f}", c.id)));
        }
        if self.classifiers.is_empty() {
            why.push("it has no classifier: no traffic would enter it".into());
        }
        for (what, ends) in [("begins", &self.from), ("ends", &self.to)] {
            if ends.is_empty() {
                why.push(format!("it {what} nowhere"));
            }
            if ends.iter().filter(|e| e.mac.is_none()).count() > 1 {
                why.push(format!("it {what} at more than one port that stands for many stations"));
            }
        }
        let mut seen: BTreeMap<&IfName, &str> = BTreeMap::new();
        let ends = self.from.iter().map(|e| (&e.port, "its beginning")).chain(self.to.iter().map(|e| (&e.port, "its end")));
        let hops = self.hops.iter().flat_map(|h| h.ports().into_iter().map(move |p| (p, h.name.as_str())));
        for (port, place) in ends.chain(hops) {
            if let Some(other) = seen.insert(port, place) {
                why.push(format!("port {port} is in it twice, at {other} and at {place}"));
            }
        }
        for h in &self.hops {
            if h.instances.is_empty() {
                why.push(format!("hop {} has no port", h.name));
            }
            let maceless = h.instances.iter().any(|i| i.entry.mac.is_none() || i.exit.mac.is_none());
            match h.kind {
                HopKind::Routed if maceless => why.push(format!("hop {} is routed, and its MAC is not known", h.name)),
                HopKind::Routed | HopKind::Transparent | HopKind::Stateful => {}
            }
            why.extend(h.torn());
        }
        if why.is_empty() {
            why = contradictions(&[self]);
        }
        if why.is_empty() { Ok(()) } else { Err(Fault::invalid(format!("chain {} cannot be", self.name)).with_reasons(why)) }
    }

    /// The rules of its own way, given which ports are there.
    pub fn rules(&self, is_there: &dyn Fn(&IfName) -> bool) -> Vec<Rule> {
        let mut out = self.walk(Way::Out, is_there);
        if self.symmetric {
            out.extend(self.walk(Way::Back, is_there));
        }
        out
    }

    fn walk(&self, way: Way, is_there: &dyn Fn(&IfName) -> bool) -> Vec<Rule> {
        let (from, to) = match way {
            Way::Out => (&self.from, &self.to),
            Way::Back => (&self.to, &self.from),
        };
        let traffic: Vec<Classifier> = match way {
            Way::Out => self.classifiers.clone(),
            Way::Back => self.classifiers.iter().map(Classifier::mirrored).collect(),
        };
        let mut stops: Vec<Stop<'_>> = self.hops.iter().enumerate().map(|(index, h)| h.stop(index, way, is_there)).collect();
        if way == Way::Back {
            stops.reverse();
        }
        let mut rules = Vec::new();
        let mut put = |at: Source<'_>, bound: For, into: Option<usize>, then: Then| {
            if is_there(at.port) {
                let rule = |t: &Classifier| {
                    let (at, sender, then) = (at.port.clone(), at.sender, then.clone());
                    Rule { at, sender, way, bound, traffic: t.clone(), into, then }
                };
                rules.extend(traffic.iter().map(rule));
            }
        };
        let lost = stops.iter().find(|s| s.arms.is_empty()).map(|s| s.index);
        match (self.on_loss, lost) {
            (OnLoss::Block, Some(hop)) => {
                // What the chain takes while it is whole.
                let routed = stops.iter().any(|s| !s.kind.is_wire());
                for e in from {
                    let bounds = if routed { aimed(e, None, to) } else { self.bounds(to) };
                    bounds.into_iter().for_each(|bound| put(e.into(), bound, Some(hop), Then::Drop));
                    if !routed {
                        beside(to).into_iter().for_each(|m| put(e.into(), For::Mac(m), None, Then::Beside));
                    }
                }
                return rules;
            }
            (OnLoss::Bypass, _) | (OnLoss::Block, None) => stops.retain(|s| !s.arms.is_empty()),
        }

        // The chain in legs: each from where a MAC is chosen to where it is reached.
        let mut sources: Vec<Source<'_>> = from.iter().map(Source::from).collect();
        let mut rest = stops.as_slice();
        let mut is_first = true;
        loop {
            let router = rest.iter().position(|s| !s.kind.is_wire());
            let (leg, after) = match router {
                Some(at) => rest.split_at(at + 1),
                None => (rest, &[][..]),
            };
            let mac = router.and_then(|at| rest.get(at)).and_then(|s| s.arms.first()).and_then(|(entry, _)| entry.mac);
            let first = match mac {
                Some(_) => vec![For::Unicast],
                None => self.bounds(to),
            };
            for (n, stop) in leg.iter().enumerate() {
                let entries: Vec<IfName> = stop.arms.iter().map(|(entry, _)| entry.port.clone()).collect();
                let (bounds, set) = match mac {
                    Some(m) if n > 0 => (vec![For::Mac(m)], None),
                    Some(_) | None => (first.clone(), mac),
                };
                if let Some(m) = mac.filter(|_| is_first && n == 0) {
                    for (e, bound) in from.iter().flat_map(|e| aimed(e, Some(m), to).into_iter().map(move |b| (e, b))) {
                        put(e.into(), bound, Some(stop.index), Then::To { port: entries.clone(), set });
                    }
                } else {
                    for (at, bound) in sources.iter().flat_map(|s| bounds.iter().map(move |b| (s, b))) {
                        put(*at, *bound, Some(stop.index), Then::To { port: entries.clone(), set });
                    }
                }
                if n == 0 && mac.is_none() {
                    for (at, m) in sources.iter().flat_map(|s| beside(to).into_iter().map(move |m| (s, m))) {
                        put(*at, For::Mac(m), None, Then::Beside);
                    }
                }
                sources = stop.arms.iter().map(|(_, exit)| Source { port: &exit.port, sender: None }).collect();
            }
            is_first = false;
            if router.is_some() {
                rest = after;
                continue;
            }
            // Off a wire there is no link to go on by.
            let by_wire = !leg.is_empty();
            // A guest that is made again has two ports for a while, and one MAC.
            let here: Vec<MacAddr> = to.iter().filter(|e| is_there(&e.port)).filter_map(|e| e.mac).collect();
            for e in to.iter().filter(|e| is_there(&e.port) || e.mac.is_none_or(|m| !here.contains(&m))) {
                let bound = e.mac.map_or(For::Unicast, For::Mac);
                let then = match by_wire {
                    true if is_there(&e.port) => Then::To { port: vec![e.port.clone()], set: None },
                    true => Then::Drop,
                    false => Then::Link,
                };
                sources.iter().for_each(|at| put(*at, bound, None, then.clone()));
            }
            return rules;
        }
    }

    fn bounds(&self, ends: &[End]) -> Vec<For> {
        let mut out: Vec<For> = Vec::new();
        for bound in ends.iter().map(|e| e.mac.map_or(For::Unicast, For::Mac)) {
            if !out.contains(&bound) {
                out.push(bound);
            }
        }
        out
    }
}

/// What a routed function is given at an end: whatever a guest sends, but of what comes in at an end that stands for many
/// only what is for the router itself or for the other end.
fn aimed(at: &End, router: Option<MacAddr>, to: &[End]) -> Vec<For> {
    if at.mac.is_some() {
        return vec![For::Unicast];
    }
    let all: BTreeSet<MacAddr> = set(router.into_iter().chain(to.iter().filter_map(|t| t.mac)));
    all.into_iter().map(For::Mac).collect()
}

/// Stations that ends without a MAC do not stand for, and that are no ends themselves.
fn beside(ends: &[End]) -> BTreeSet<MacAddr> {
    let of = ends.iter().filter(|e| e.mac.is_none()).flat_map(|e| e.beside.iter().copied());
    of.filter(|m| ends.iter().all(|e| e.mac != Some(*m))).collect()
}

impl Hop {
    /// Why connections of this function cannot be spread, where it has several instances.
    pub fn torn(&self) -> Option<String> {
        let (name, count) = (&self.name, self.instances.len());
        match self.kind {
            HopKind::Routed if count > 1 => Some(format!("hop {name} is routed and has {count} instances: one of them cannot be chosen")),
            // Which instance a connection takes follows from how many there are.
            HopKind::Stateful if count > 1 => Some(format!(
                "hop {name} is stateful and has {count} instances: connections would come to another one in their midst when there are \
                 more or fewer"
            )),
            HopKind::Routed | HopKind::Transparent | HopKind::Stateful => None,
        }
    }

    pub(super) fn ports(&self) -> Vec<&IfName> {
        let of = |i: &'_ Instance| i.entry.port != i.exit.port;
        self.instances.iter().flat_map(|i| std::iter::once(&i.entry.port).chain(of(i).then_some(&i.exit.port))).collect()
    }

    /// How many instances live.
    pub fn live(&self, is_there: &dyn Fn(&IfName) -> bool) -> usize {
        self.instances.iter().filter(|i| is_there(&i.entry.port) && is_there(&i.exit.port)).count()
    }

    fn stop(&self, index: usize, way: Way, is_there: &dyn Fn(&IfName) -> bool) -> Stop<'_> {
        let live = self.instances.iter().filter(|i| is_there(&i.entry.port) && is_there(&i.exit.port));
        let arms = live.map(|i| match way {
            Way::Out => (&i.entry, &i.exit),
            Way::Back => (&i.exit, &i.entry),
        });
        Stop { index, kind: self.kind, arms: arms.collect() }
    }
}

/// Where a frame could be of two chains, or go two ways, and nothing says which. A chain between two ways
/// tells them apart by itself.
pub fn contradictions(chains: &[&SwitchChain]) -> Vec<String> {
    let before: Vec<(usize, SwitchChain)> = chains.iter().enumerate().filter_map(|(n, c)| Some((n, c.before()?))).collect();
    let all = chains.iter().enumerate().map(|(n, c)| (n, true, *c)).chain(before.iter().map(|(n, c)| (*n, false, c)));
    let rules: Vec<(usize, bool, Vec<Rule>)> = all.map(|(n, new, c)| (n, new, c.rules(&|_| true))).collect();
    let mut at: BTreeMap<&IfName, Vec<(usize, bool, &Rule)>> = BTreeMap::new();
    for (n, new, rule) in rules.iter().flat_map(|(n, new, rules)| rules.iter().map(move |r| (*n, *new, r))) {
        at.entry(&rule.at).or_default().push((n, new, rule));
    }
    let mut out = BTreeSet::new();
    for here in at.values() {
        // What one chain lets by to a station and another takes: the other one's rule has to be the narrower, or not
        // mean that station either.
        let let_by: BTreeSet<(usize, MacAddr)> = here
            .iter()
            .filter_map(|(n, _, r)| match (r.is_beside(), r.bound) {
                (true, For::Mac(m)) => Some((*n, m)),
                (true, For::Unicast) | (false, _) => None,
            })
            .collect();
        let passes_by = |by: &Rule, n: usize, r: &Rule| {
            let its_own = matches!(by.bound, For::Mac(m) if let_by.contains(&(n, m)));
            (by.way == r.way || by.rank() > r.rank()) && by.meets(r) && !by.covers(r) && !its_own
        };
        for (i, (n, new, a)) in here.iter().enumerate() {
            for (m, other_new, b) in here.iter().skip(i + 1) {
                let same = n == m && (a.way == b.way || new != other_new);
                let contradicts = match (a.is_beside(), b.is_beside()) {
                    (true, true) => false,
                    (true, false) => passes_by(a, *m, b),
                    (false, true) => passes_by(b, *n, a),
                    (false, false) => a.contradicts(b),
                };
                if same || !contradicts {
                    continue;
                }
                let (Some(one), Some(other)) = (chains.get(*n), chains.get(*m)) else { continue };
                out.insert(match n == m {
                    true => format!("at port {} its two ways cannot be told apart ('{}' both)", a.at, a.traffic),
                    false => format!(
                        "chains {} and {} both take '{}' and '{}' at port {}: make one narrower than the other, or let them not meet",
                        one.name, other.name, a.traffic, b.traffic, a.at
                    ),
                });
            }
        }
    }
    for r in Nested::of(chains.iter().copied()).too_deep() {
        out.insert(format!(
            "at port {} '{}' is within more than {DEEPEST} other ranges of ports of about its size: join some",
            r.at, r.traffic
        ));
    }
    out.into_iter().collect()
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
