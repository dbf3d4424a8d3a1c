//! From rules of a chain to flows. Pure.
//!
//! Owns: tables 2 and 3, the frames that a classifier means in OpenFlow's words, and which flow is which counter
//! of a chain. Ports of links come here when a chain names them (`flows`), after their guards and rates.
//! Never: where a chain leads.
//!
//! ```text
//! table 2   2000 +  rules of chains, the narrower first (three times `Rule::level`)
//!              1    ports of links: on to the learning switch; ends of wires have no such flow
//! table 3            a chain between two ways (`sdn::handover`), by what is known of the frame's connection:
//!          35002 +  begins: the new way            2002 +  TCP that did not begin here: the way before
//!          28002 +  begins, off the new way        1002 +  the same where only the new way goes: its link
//!          21002 +  marked: the way of the mark       2 +  anything else: the new way
//!              1    as in table 2
//! ```
//! Nothing is asked or marked while a chain has one way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    openflow::{Action, Flow, FlowSeen, Match, port_number},
    places::Numbered,
};
use crate::{
    model::{
        chain::{Classifier, Family, IpProto, Ports},
        id::{IfName, NfpId},
    },
    sdn::{
        chain::{ChainState, Count, For, HopState, Nested, Rule, SwitchChain, Then, Way},
        handover::{Led, Side, Who, unseen, zone},
    },
};

pub const CHAIN: u8 = 2;
const FIRST: u16 = 2000;

/// Where a frame is looked at again whose connection was asked for.
const AGAIN: u8 = 3;

/// Which counter of the chain a flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    by: Side,
    way: Way,
    into: Option<usize>,
}

/// Flows of a chain, as long as its ports stay.
struct Cached {
    chain: Arc<SwitchChain>,
    numbers: Vec<Option<u16>>,
    /// One that leads nowhere yet counts nothing.
    flows: Vec<(u64, Option<Counts>, Flow)>,
}

/// The flows of all chains.
#[derive(Default)]
pub struct Chains {
    all: HashMap<NfpId, Cached>,
    nested: Nested,
}

impl Chains {
    /// Brings them up to date, where a chain or one of its ports changed.
    pub fn update(&mut self, chains: &BTreeMap<NfpId, Arc<SwitchChain>>, places: &HashMap<String, Numbered>) {
        let is =
            |id: &NfpId, chain: &Arc<SwitchChain>, had: &HashMap<NfpId, Cached>| had.get(id).is_some_and(|c| Arc::ptr_eq(&c.chain, chain));
        let nested = match chains.len() == self.all.len() && chains.iter().all(|(id, c)| is(id, c, &self.all)) {
            true => None,
            false => Some(Nested::of(chains.values().map(|c| &**c))).filter(|now| *now != self.nested),
        };
        let renested = nested.is_some();
        self.nested = nested.unwrap_or_else(|| std::mem::take(&mut self.nested));
        self.all.retain(|id, c| chains.contains_key(id) && !(renested && c.chain.is_ranged()));
        for (id, chain) in chains {
            let number = |name: &IfName| places.get(name.as_str()).filter(|p| p.up).map(|p| p.number);
            let numbers: Vec<Option<u16>> = chain.ports().into_iter().map(number).collect();
            if self.all.get(id).is_some_and(|c| Arc::ptr_eq(&c.chain, chain) && c.numbers == numbers) {
                continue;
            }
            let flows = of_chain(chain, &self.nested, &number).into_iter().map(|(at, counts, f)| (f.cookie(at), counts, f)).collect();
            self.all.insert(*id, Cached { chain: chain.clone(), numbers, flows });
        }
    }

    pub fn flows(&self) -> impl Iterator<Item = (u64, &Flow)> {
        self.all.values().flat_map(|c| &c.flows).map(|(cookie, _, f)| (*cookie, f))
    }

    /// Which chain each flow is of.
    pub fn owners(&self) -> impl Iterator<Item = (u64, NfpId)> {
        self.all.iter().flat_map(|(id, c)| c.flows.iter().map(|(cookie, _, _)| (*cookie, *id)))
    }

    /// What the switch has counted of a chain.
    pub fn state(&self, chain: &SwitchChain, places: &HashMap<String, Numbered>, seen: &[FlowSeen]) -> ChainState {
        let is_live = |name: &IfName| places.get(name.as_str()).is_some_and(|p| p.up);
        let hops = chain.hops.iter().map(|h| HopState { live: h.live(&is_live), ..HopState::default() });
        let mut state = ChainState { hops: hops.collect(), out: Count::default(), back: Count::default(), kept: Count::default() };
        let flows = self.all.get(&chain.id).map(|c| c.flows.as_slice()).unwrap_or_default();
        let of: HashMap<u64, Counts> = flows.iter().filter_map(|(cookie, counts, _)| Some((*cookie, (*counts)?))).collect();
        // While all go the way before, it is the chain's own.
        let kept = chain.handover.as_ref().is_some_and(|h| !h.noting);
        for flow in seen {
            let Some(Counts { by, way, into }) = of.get(&flow.cookie) else { continue };
            if kept && *by == Side::Before {
                if into.is_none() {
                    state.kept.packets += flow.packets;
                    state.kept.bytes += flow.bytes;
                }
                continue;
            }
            let (out, back) = match into.map(|hop| state.hops.get_mut(hop)) {
                Some(Some(h)) => (&mut h.out, &mut h.back),
                Some(None) => continue,
                None => (&mut state.out, &mut state.back),
            };
            let count = match way {
                Way::Out => out,
                Way::Back => back,
            };
            count.packets += flow.packets;
            count.bytes += flow.bytes;
        }
        state
    }
}

/// A port of a link that chains take frames from: the rest goes on as it would have.
pub fn rest(from: Match) -> Flow {
    Flow { table: CHAIN, priority: 1, on: vec![from], meter: None, actions: vec![Action::Normal], goto: None }
}

/// The flows of a chain, with the port that each begins at. `number` knows the ports that are there.
fn of_chain(chain: &SwitchChain, nested: &Nested, number: &dyn Fn(&IfName) -> Option<u16>) -> Vec<(u16, Option<Counts>, Flow)> {
    let mut out = Vec::new();
    for led in chain.led(&|name| number(name).is_some()) {
        let Some(at) = number(&led.rule.at) else { continue };
        out.extend(of_rule(&led, nested.depth(&led.rule), chain, at, number).into_iter().map(|(counts, flow)| (at, counts, flow)));
    }
    out
}

/// Which frames of a rule a flow is for. Of two that meet, the later is the narrower.
#[derive(Clone, Copy)]
enum Sort {
    /// All.
    Any,
    /// Those of connections that can be tracked.
    Ip,
    Tcp,
    /// Those that no connection is of.
    Other,
}

fn of_rule(led: &Led, depth: u16, chain: &SwitchChain, at: u16, number: &dyn Fn(&IfName) -> Option<u16>) -> Vec<(Option<Counts>, Flow)> {
    let (rule, from) = (&led.rule, Match::InPort(port_number(at)));
    let counts = (!rule.is_beside()).then_some(Counts { by: led.by, way: rule.way, into: rule.into });
    let then = |then: &Then| actions(then, number);
    let mut out = Vec::new();
    let mut put = |table: u8, priority: u16, sort: Sort, with: &[Match], counts: Option<Counts>, actions: Vec<Action>| {
        for more in sorted(&rule.traffic, sort) {
            let sender = rule.sender.map(|m| Match::EthSrc(m.octets()));
            let on = [&[from.clone(), bound(rule)], sender.as_slice(), with, &more].concat();
            out.push((counts, Flow { table, priority, on, meter: None, actions: actions.clone(), goto: None }));
        }
    };
    let level = rule.level(depth);
    let first = FIRST + 3 * level;
    let (zone, ways) = (zone(chain.id), chain.handover.as_ref());
    let (old, new) = ways.map_or((0, 0), |h| (h.mark, h.new_mark()));
    let mark = match led.by {
        Side::Before => old,
        Side::New => new,
    };
    let known = |mark: u32, then: Vec<Action>| [vec![Action::Know { zone, mark }], then].concat();
    match led.who {
        Who::All => put(CHAIN, first, Sort::Any, &[], counts, then(&rule.then)),
        Who::Noted => {
            put(CHAIN, first, Sort::Other, &[], counts, then(&rule.then));
            put(CHAIN, first + 1, Sort::Ip, &[], counts, known(mark, then(&rule.then)));
            put(CHAIN, first + 2, Sort::Tcp, &[], counts, then(&rule.then));
        }
        Who::Own => {
            put(CHAIN, first, Sort::Other, &[], counts, then(&rule.then));
            put(CHAIN, first + 1, Sort::Ip, &[], counts, known(mark, then(&rule.then)));
        }
        Who::Apart { wire } => {
            let ask = vec![Action::Ask { zone, table: AGAIN }];
            put(CHAIN, first + 1, Sort::Ip, &[], None, ask);
            // The kinds of connections come before what the rules say of each other.
            let after = |kind: u16| 2 + 7000 * kind + level;
            let here = Match::CtZone(zone);
            let of = |mark: u32| [here.clone(), Match::CtMark(mark)];
            let begins = [here.clone(), Match::TcpBegins];
            match led.by {
                Side::New => {
                    put(CHAIN, first, Sort::Other, &[], counts, then(&rule.then));
                    put(AGAIN, after(5), Sort::Tcp, &begins, counts, known(new, then(&rule.then)));
                    put(AGAIN, after(3), Sort::Ip, &of(new), counts, then(&rule.then));
                    put(AGAIN, after(1), Sort::Tcp, std::slice::from_ref(&here), counts, then(&unseen(rule, wire)));
                    put(AGAIN, after(0), Sort::Ip, &[here], counts, known(new, then(&rule.then)));
                }
                Side::Before => {
                    let rest = if wire { Vec::new() } else { vec![Action::Normal] };
                    put(AGAIN, after(4), Sort::Tcp, &begins, None, known(new, rest));
                    put(AGAIN, after(3), Sort::Ip, &of(old), counts, then(&rule.then));
                    put(AGAIN, after(2), Sort::Tcp, &[here], counts, then(&rule.then));
                }
            }
            if !wire {
                out.push((None, Flow { table: AGAIN, ..rest(from) }));
            }
        }
    }
    out
}

/// The frames of a classifier that are of one sort.
fn sorted(c: &Classifier, sort: Sort) -> Vec<Vec<Match>> {
    match sort {
        Sort::Any => frames(c),
        Sort::Other if c.families().is_some() => Vec::new(),
        Sort::Other => frames(c),
        Sort::Ip if c.families().is_some() => frames(c),
        Sort::Ip => [Family::Ipv4, Family::Ipv6].iter().flat_map(|f| frames(&Classifier { family: Some(*f), ..c.clone() })).collect(),
        Sort::Tcp => match c.proto {
            None | Some(IpProto::TCP) => frames(&Classifier { proto: Some(IpProto::TCP), ..c.clone() }),
            Some(_) => Vec::new(),
        },
    }
}

fn bound(rule: &Rule) -> Match {
    match rule.bound {
        For::Mac(m) => Match::EthDst(m.octets()),
        For::Unicast => Match::Unicast,
    }
}

fn actions(then: &Then, number: &dyn Fn(&IfName) -> Option<u16>) -> Vec<Action> {
    match then {
        Then::Drop => Vec::new(),
        Then::Link | Then::Beside => vec![Action::Normal],
        Then::To { port, set } => {
            let ports: Vec<u16> = port.iter().filter_map(number).collect();
            let to = match ports.as_slice() {
                [] => return Vec::new(),
                [one] => Action::Output(port_number(*one)),
                _ => Action::Spread(ports),
            };
            set.map(|m| Action::SetEthDst(m.octets())).into_iter().chain([to]).collect()
        }
    }
}

/// The frames of a classifier: each list of conditions is one sort of them, and they do not meet.
fn frames(c: &Classifier) -> Vec<Vec<Match>> {
    let mut common: Vec<Match> = c.vlan.iter().map(|v| Match::Vlan(v.get())).collect();
    common.extend(c.dscp.map(Match::IpDscp));
    common.extend(c.proto.map(|p| Match::IpProto(p.0)));
    common.extend(c.src.filter(|n| n.prefix() > 0).map(|n| Match::IpSrc(n.addr(), n.prefix())));
    common.extend(c.dst.filter(|n| n.prefix() > 0).map(|n| Match::IpDst(n.addr(), n.prefix())));
    let types: Vec<Vec<Match>> = match c.families() {
        None => vec![Vec::new()],
        Some(all) => all.iter().map(|f| vec![Match::EthType(ether_type(*f))]).collect(),
    };
    let ports = |p: Option<Ports>, make: &dyn Fn(u8, u16, u16) -> Match| -> Vec<Vec<Match>> {
        match (p, c.proto) {
            (Some(p), Some(proto)) => p.masks().into_iter().map(|(port, mask)| vec![make(proto.0, port, mask)]).collect(),
            (None, _) | (_, None) => vec![Vec::new()],
        }
    };
    let sources = ports(c.src_ports, &|proto, port, mask| Match::L4Src { proto, port, mask });
    let targets = ports(c.dst_ports, &|proto, port, mask| Match::L4Dst { proto, port, mask });
    let mut out = Vec::new();
    for t in &types {
        for s in &sources {
            out.extend(targets.iter().map(|d| [common.as_slice(), t, s, d].concat()));
        }
    }
    out
}

fn ether_type(f: Family) -> u16 {
    match f {
        Family::Ipv4 => 0x0800,
        Family::Ipv6 => 0x86dd,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{chain::OnLoss, net::MacAddr},
        sdn::chain::End,
    };

    #[test]
    fn the_frames_of_a_classifier_are_its_families_and_masks_and_no_more() {
        let range = |a, b| Ports::new(a, b);
        let tcp = Classifier { proto: Some(IpProto::TCP), ..Classifier::default() };
        let net = Some("10.0.0.0/8".parse().expect("cidr"));
        for (what, c, sorts, conditions) in [
            ("all", Classifier::default(), 1, 0),
            ("both families", tcp.clone(), 2, 2),
            ("one family", Classifier { src: net, ..tcp.clone() }, 1, 3),
            ("a range", Classifier { dst_ports: range(1, 6), ..tcp.clone() }, 2 * 4, 3),
            ("two ranges", Classifier { dst_ports: range(1, 6), src_ports: range(0, 65535), dst: net, ..tcp }, 4, 5),
            ("any address", Classifier { src: Some("0.0.0.0/0".parse().expect("cidr")), ..Classifier::default() }, 1, 1),
        ] {
            let all = frames(&c);
            assert_eq!((all.len(), all[0].len()), (sorts, conditions), "{what}: {all:?}");
        }
    }

    #[test]
    fn of_two_ranges_one_within_the_other_the_narrower_goes_first_however_they_came() {
        let end =
            |p: &str, n: u32| End { port: p.parse().expect("name"), mac: Some(MacAddr::planned(n)), beside: Vec::new(), shared: false };
        let chain = |n: u128, ports: (u16, u16)| {
            let c = Classifier { proto: Some(IpProto::TCP), dst_ports: Ports::new(ports.0, ports.1), ..Classifier::default() };
            let id = NfpId(Uuid::from_u128(n));
            let all = SwitchChain {
                id,
                name: "c".into(),
                classifiers: vec![c],
                from: vec![end("client", 1)],
                hops: Vec::new(),
                to: vec![end("web", 2)],
                symmetric: true,
                on_loss: OnLoss::Block,
                handover: None,
            };
            (id, Arc::new(all))
        };
        let places: HashMap<String, Numbered> =
            [("client", 1), ("web", 2)].map(|(p, number)| (p.to_owned(), Numbered { number, up: true })).into();
        let ranges = [(1000, 1500), (1000, 1400), (1001, 1399), (1001, 1398)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let (mut chains, mut told) = (Chains::default(), BTreeMap::new());
            for n in order {
                told.extend([chain(n as u128, ranges[n])]);
                chains.update(&told, &places);
            }
            let lowest = |n: usize| chains.all[&NfpId(Uuid::from_u128(n as u128))].flows.iter().map(|(_, _, f)| f.priority).min();
            let highest = |n: usize| chains.all[&NfpId(Uuid::from_u128(n as u128))].flows.iter().map(|(_, _, f)| f.priority).max();
            assert!((0..3).all(|n| highest(n) < lowest(n + 1)), "{order:?}");
            // Its flows are as if the others had never been.
            told.retain(|id, _| id.0.as_u128() == 3);
            chains.update(&told, &places);
            let (mut alone, only) = (Chains::default(), told.clone());
            alone.update(&only, &places);
            assert_eq!(chains.flows().collect::<HashMap<_, _>>(), alone.flows().collect::<HashMap<_, _>>());
        }
    }
}
