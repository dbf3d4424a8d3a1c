//! Ports of one switch connected by VLAN with nothing but rules: for controllers that set flows. Pure.
//!
//! Each port that carries a VLAN, with the tag or without, is a member of it and has one rule: what it sends goes
//! to all other members, in the form that each wants. Nothing is learnt, so a rule never ages and never waits.
//!
//! Boxes share a switch, and each writes the rules of its own members only. A rule tells whose member it is of, so
//! the members of others are read from their rules, and every box sends to all: a box that comes or goes changes
//! the rules of the others by their next look. A port that is a member for two boxes, such as an uplink, has a rule
//! of each, equal in all but the priority. Never: what a rule looks like, or how it is written.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use crate::model::tree::set;
use crate::{
    model::{net::VlanId, sdn::OutsidePort},
    sdn::connector::{Desired, Difference, Look, PortState, PortVlans},
};

/// A port as its switch has it, in a VLAN.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    pub port: SmolStr,
    pub vlan: VlanId,
    pub tagged: bool,
}

/// What a member sends goes there, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cross {
    pub from: Member,
    pub to: BTreeSet<(SmolStr, bool)>,
}

/// What a rule does with a frame, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Output(SmolStr),
    /// The tag comes off.
    Pop,
    /// A tag of this VLAN is put on.
    Push(VlanId),
}

impl Cross {
    /// Those that get the frame as it came are first.
    pub fn acts(&self) -> Vec<Act> {
        let outputs = |tagged: bool| self.to.iter().filter(move |(_, t)| *t == tagged).map(|(p, _)| Act::Output(p.clone()));
        let mut acts: Vec<Act> = outputs(self.from.tagged).collect();
        let others: Vec<Act> = outputs(!self.from.tagged).collect();
        if !others.is_empty() {
            acts.push(if self.from.tagged { Act::Pop } else { Act::Push(self.from.vlan) });
            acts.extend(others);
        }
        acts
    }

    /// From a rule; `None`: it is none of these.
    pub fn read(from: Member, acts: &[Act]) -> Option<Cross> {
        let mut now = from.tagged;
        let mut to = BTreeSet::new();
        for a in acts {
            match a {
                Act::Output(port) => {
                    to.insert((port.clone(), now));
                }
                Act::Pop if now => now = false,
                Act::Push(v) if !now && *v == from.vlan => now = true,
                Act::Pop | Act::Push(_) => return None,
            }
        }
        let cross = Cross { from, to };
        (cross.acts() == acts).then_some(cross)
    }
}

/// Below it are rules of everybody's, such as those that ask the controller.
const LOWEST: u16 = 8192;
/// VLANs of a box; so many boxes are told apart.
const STRIDE: u16 = 4096;
const SLOTS: u8 = 13;

/// Rules of boxes that match the same differ in it, and it tells the VLAN where nothing else does.
pub fn priority(slot: u8, vlan: VlanId) -> u16 {
    LOWEST + u16::from(slot % SLOTS) * STRIDE + vlan.get()
}

fn above(priority: i64) -> Option<u16> {
    u16::try_from(priority).ok()?.checked_sub(LOWEST)
}

/// The VLAN of a priority.
pub fn vlan_of(priority: i64) -> Option<VlanId> {
    (above(priority)? % STRIDE).try_into().ok()
}

/// The slot of a priority.
pub fn slot_of(priority: i64) -> Option<u8> {
    u8::try_from(above(priority)? / STRIDE).ok().filter(|s| *s < SLOTS)
}

/// A rule that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub id: String,
    /// The box that it is of.
    pub owner: String,
    pub member: Option<Member>,
    /// Where its priority is; two boxes in one slot take each other's rules away.
    pub slot: Option<u8>,
    /// `None`: it is not as any box writes it.
    pub cross: Option<Cross>,
    /// The switch itself does not have it yet, or refuses it.
    pub state: Option<PortState>,
}

/// One switch as its controller has it.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    /// Why nothing passes there.
    pub away: Option<String>,
    pub ports: Vec<Port>,
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub struct Port {
    /// As rules name it.
    pub number: SmolStr,
    pub names: Vec<String>,
    pub up: bool,
}

/// What is to be done at a switch, each with the ports that it is for.
#[derive(Debug, Default)]
pub struct Todo {
    /// Where the box's rules are to be.
    pub slot: u8,
    pub put: Vec<(Cross, OutsidePort)>,
    pub delete: Vec<(String, Option<OutsidePort>)>,
}

impl Switch {
    /// A slot that no other box has: the one that it is in already, or one that follows from its name, or the next. Where two
    /// came at once, the one whose name is first stays.
    fn slot(&self, owner: &str) -> Option<u8> {
        let has = |slot: u8| self.rules.iter().any(|r| r.slot == Some(slot) && r.owner == owner);
        let others = |slot: u8| self.rules.iter().filter(move |r| r.slot == Some(slot) && r.owner != owner);
        let is_free = |slot: &u8| others(*slot).all(|r| has(*slot) && r.owner.as_str() > owner);
        let first = Sha256::digest(owner)[0] % SLOTS;
        let named = || (0..SLOTS).map(|n| (first + n) % SLOTS).find(is_free);
        (0..SLOTS).filter(|s| has(*s)).find(is_free).or_else(named)
    }

    /// The port's number; a number is taken as it is while the switch is away.
    fn number(&self, asked: &str) -> Option<SmolStr> {
        let found = self.ports.iter().find(|p| p.number == asked || p.names.iter().any(|n| n == asked));
        let blind = || self.away.is_some() && asked.bytes().all(|b| b.is_ascii_digit());
        found.map(|p| p.number.clone()).or_else(|| blind().then(|| asked.into()))
    }

    /// What differs from what is desired of it, added to `look`, and what would put it right.
    pub fn settle(&self, name: &SmolStr, owner: &str, desired: &Desired, look: &mut Look) -> Todo {
        let mut known: BTreeMap<SmolStr, &OutsidePort> = BTreeMap::new();
        let mut own: BTreeMap<SmolStr, &PortVlans> = BTreeMap::new();
        let mut blind = false;
        let slot = self.slot(owner);
        for (at, vlans) in desired.iter().filter(|(at, _)| at.switch == *name) {
            let state = match (self.number(&at.port), &self.away) {
                (None, Some(why)) => {
                    blind = true;
                    PortState::Down(why.clone())
                }
                (None, None) => PortState::Fault(format!("switch {name} has no port {}", at.port)),
                (Some(_), _) if slot.is_none() => {
                    PortState::Fault(format!("switch {name} has rules of {SLOTS} other boxes already, and no more are told apart there"))
                }
                (Some(n), _) => match self
                    .clash(owner, &n, vlans)
                    .or_else(|| own.contains_key(&n).then(|| format!("port {n} of {name} is named twice")))
                {
                    Some(why) => PortState::Fault(why),
                    None => {
                        let state = self.state(&n);
                        known.insert(n.clone(), at);
                        own.insert(n, vlans);
                        state
                    }
                },
            };
            look.ports.insert(at.clone(), state);
        }
        // Without the numbers of its ports it is not known what is to go.
        if blind {
            return Todo::default();
        }
        let want = self.crosses(owner, &own);
        let ours = || self.rules.iter().filter(move |r| r.owner == owner);
        let at = |n: &SmolStr| known.get(n).map_or_else(|| OutsidePort { switch: name.clone(), port: n.clone() }, |at| (*at).clone());
        let mut todo = Todo { slot: slot.unwrap_or_default(), ..Todo::default() };
        let in_place = |r: &&Rule| r.slot == slot;
        for c in &want {
            match ours().filter(in_place).find(|r| r.cross.as_ref() == Some(c)) {
                None => todo.put.push((c.clone(), at(&c.from.port))),
                Some(r) => {
                    let place = look.ports.get_mut(&at(&c.from.port));
                    if let (Some(state), Some(now)) = (&r.state, place)
                        && *now == PortState::Up
                    {
                        *now = state.clone();
                    }
                }
            }
        }
        // One that is in another slot goes when there is one in its place.
        let is_replaced = |r: &Rule| r.slot != slot && ours().filter(in_place).any(|o| o.member == r.member);
        let is_wanted = |r: &Rule| r.member.as_ref().is_some_and(|m| want.iter().any(|w| w.from == *m));
        for r in ours().filter(|r| !is_wanted(r) || is_replaced(r)) {
            todo.delete.push((r.id.clone(), r.member.as_ref().map(|m| at(&m.port))));
        }
        self.show(owner, &own, &todo, &at, look);
        todo
    }

    fn crosses(&self, owner: &str, own: &BTreeMap<SmolStr, &PortVlans>) -> Vec<Cross> {
        let mine = own.iter().flat_map(|(port, p)| members(port, p));
        let others = self.rules.iter().filter(|r| r.owner != owner).filter_map(|r| r.member.clone());
        let mine: BTreeSet<Member> = set(mine);
        let has = |m: &Member| mine.iter().any(|o| (&o.port, o.vlan) == (&m.port, m.vlan));
        let all: BTreeSet<Member> = set(mine.iter().cloned().chain(others.filter(|m| !has(m))));
        let cross = |from: &Member| {
            let to = all.iter().filter(|m| m.vlan == from.vlan && m.port != from.port).map(|m| (m.port.clone(), m.tagged));
            Cross { from: from.clone(), to: to.collect() }
        };
        mine.iter().map(cross).collect()
    }

    /// A port has one VLAN without a tag, whoever wants it.
    fn clash(&self, owner: &str, port: &SmolStr, p: &PortVlans) -> Option<String> {
        let native = p.native?;
        let theirs = self.rules.iter().filter(|r| r.owner != owner).filter_map(|r| Some((r, r.member.as_ref()?)));
        let mut theirs = theirs.filter(|(_, m)| m.port == *port && !m.tagged && m.vlan != native);
        theirs.next().map(|(r, m)| format!("it has the untagged VLAN {} of box {} already", m.vlan, r.owner))
    }

    fn state(&self, number: &SmolStr) -> PortState {
        match (&self.away, self.ports.iter().find(|p| p.number == *number)) {
            (Some(why), _) => PortState::Down(why.clone()),
            (None, Some(p)) if !p.up => PortState::Down("no link".into()),
            (None, _) => PortState::Up,
        }
    }

    fn show(&self, owner: &str, own: &BTreeMap<SmolStr, &PortVlans>, todo: &Todo, at: &dyn Fn(&SmolStr) -> OutsidePort, look: &mut Look) {
        let mut have: BTreeMap<SmolStr, PortVlans> = BTreeMap::new();
        for m in self.rules.iter().filter(|r| r.owner == owner).filter_map(|r| r.member.as_ref()) {
            let p = have.entry(m.port.clone()).or_default();
            if m.tagged {
                p.tagged.insert(m.vlan);
            } else {
                p.native = Some(m.vlan);
            }
        }
        let nothing = PortVlans::default();
        let all: BTreeSet<&SmolStr> = set(have.keys().chain(own.keys()));
        for n in all {
            let (is, wanted) = (have.get(n).unwrap_or(&nothing), own.get(n).copied().unwrap_or(&nothing));
            let odd = todo.put.iter().any(|(c, _)| c.from.port == *n) || todo.delete.iter().any(|(_, p)| *p == Some(at(n)));
            if is != wanted || odd {
                let is = if is == wanted { format!("{is}, not as it shall be") } else { is.to_string() };
                look.differs.push(Difference { at: at(n), is, wanted: wanted.to_string() });
            }
        }
    }
}

fn members<'p>(port: &'p SmolStr, p: &'p PortVlans) -> impl Iterator<Item = Member> + 'p {
    let one = move |vlan, tagged| Member { port: port.clone(), vlan, tagged };
    p.native.map(|v| one(v, false)).into_iter().chain(p.tagged.iter().map(move |v| one(*v, true)))
}

/// Ports of switches that are not this controller's.
pub fn elsewhere(datapaths: &[SmolStr], desired: &Desired, look: &mut Look) {
    for at in desired.keys().filter(|at| !datapaths.contains(&at.switch)) {
        look.ports.insert(at.clone(), PortState::Fault(format!("{} is none of the controller's datapaths", at.switch)));
    }
}

#[cfg(test)]
#[path = "cross_tests.rs"]
mod tests;
