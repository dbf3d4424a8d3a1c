//! The flows and meters of the bridge: those there shall be, those the switch has, the difference.
//!
//! Owns: the connection, and what is known of the other side. A flow is known by its cookie, which
//! follows from what it does; so the difference needs no reading of flows. One that somebody changed is
//! found by that: when the connection begins, and then by what the switch tells. Never: which there shall be.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::Path,
    sync::Arc,
    time::Instant,
};

use super::{
    chains::CHAIN,
    openflow::{Change, Connection, Flow, FlowSeen, Meter, News, OURS, Refusal},
};
use crate::model::{
    error::{Fault, Kind, Result},
    id::NfpId,
    tree::tree,
};

/// What shall be on the switch.
#[derive(Default)]
pub struct Wanted<'a> {
    pub flows: HashMap<u64, &'a Flow>,
    pub meters: BTreeMap<u32, Meter>,
    /// Ports of which nothing is known yet: what they have they keep.
    pub unknown: HashSet<u16>,
    /// Of flows that are of a chain: of which.
    pub chains: HashMap<u64, NfpId>,
    /// Ports from which no chain takes frames though it should: the switch has refused that.
    pub unled: HashSet<u16>,
}

/// What is held as one: where the switch refuses a flow of it, all of it stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Part {
    /// All that a port has by itself.
    Port(u16),
    Chain(NfpId),
}

/// What came of it.
#[derive(Default)]
pub struct Brought {
    /// Flows that changed.
    pub changed: usize,
    /// Flows that the switch does not take. Their chain, or else the port they begin at, is as it was; all else is as wanted.
    pub refused: Vec<(u64, Fault)>,
}

#[derive(Default)]
pub struct FlowSet {
    conn: Option<Arc<Connection>>,
    /// The switch was asked what it has, and nothing was changed since.
    fresh: bool,
    /// Counts connections, so that the end of an old one is not taken for the end of this.
    generation: u64,
    flows: HashSet<u64>,
    /// Those of them that do not do what their cookie says.
    odd: HashSet<u64>,
    meters: BTreeMap<u32, Option<Meter>>,
    /// The switch has refused meters: rates are not limited.
    unmetered: bool,
    /// Flows of chains that are there. `None`: of which is not known.
    of: HashMap<u64, Option<NfpId>>,
    /// Flows that the switch did not take. They are tried after all others.
    refused: HashSet<u64>,
    /// The connection was given up because of such a flow: the switch is the one that it was.
    again: bool,
}

/// The port that a flow begins at; 0: none.
pub fn begins_at(cookie: u64) -> u16 {
    (cookie >> 40) as u16
}

/// Changes that bring the switch to what is wanted, those that take away first.
fn difference(flows: &HashSet<u64>, odd: &HashSet<u64>, wanted: &Wanted<'_>) -> Vec<Change> {
    let gone = flows.iter().filter(|c| !wanted.flows.contains_key(c) && !wanted.unknown.contains(&begins_at(**c)));
    let mut changes: Vec<Change> = gone.map(|c| Change::Remove { cookie: *c }).collect();
    let new = wanted.flows.iter().filter(|(c, _)| !flows.contains(c) || odd.contains(c));
    changes.extend(new.map(|(cookie, flow)| Change::Add { flow: (*flow).clone(), cookie: *cookie }));
    changes
}

fn cookie(of: &Change) -> u64 {
    let (Change::Add { cookie, .. } | Change::Remove { cookie }) = of;
    *cookie
}

/// In parts that the switch may refuse each: what ports have by themselves, then chain by chain.
fn apart(changes: Vec<(Part, Change)>) -> VecDeque<Vec<(Part, Change)>> {
    let mut all: BTreeMap<Option<NfpId>, Vec<(Part, Change)>> = BTreeMap::new();
    for (part, change) in changes {
        let key = match part {
            Part::Port(_) => None,
            Part::Chain(id) => Some(id),
        };
        all.entry(key).or_default().push((part, change));
    }
    all.into_values().collect()
}

impl FlowSet {
    pub fn has(&self, cookie: u64) -> bool {
        self.flows.contains(&cookie)
    }
    /// There is one that begins at this port.
    pub fn has_of(&self, port: u16) -> bool {
        self.flows.iter().any(|c| begins_at(*c) == port)
    }
    pub fn is_metered(&self) -> bool {
        !self.unmetered
    }

    /// The switch said that a flow is no more. Whether that was news.
    pub fn gone(&mut self, cookie: u64) -> bool {
        self.odd.remove(&cookie);
        self.of.remove(&cookie);
        self.flows.remove(&cookie)
    }

    /// The connection of that generation said that somebody else changed a flow; `None`: that one came that is not
    /// Bothy's. Whether that is news.
    pub fn changed(&mut self, generation: u64, cookie: Option<u64>) -> bool {
        if generation != self.generation || self.conn.is_none() {
            return false;
        }
        match cookie.filter(|c| self.flows.contains(c)) {
            Some(c) => {
                self.odd.insert(c);
            }
            // It may have had another cookie before, or be where one of Bothy's was.
            None => self.forget(),
        }
        true
    }

    /// The connection of that generation ended. Whether it was the present one.
    pub fn lost(&mut self, generation: u64) -> bool {
        let present = generation == self.generation && self.conn.is_some();
        if present {
            self.forget();
        }
        present
    }

    pub fn is_connected(&self) -> bool {
        self.conn.is_some()
    }

    pub fn forget(&mut self) {
        self.conn = None;
        self.flows.clear();
        self.odd.clear();
        self.meters.clear();
    }

    /// Connects where there is no connection, and finds out what is there already.
    pub fn connect(&mut self, socket: &Path, until: Instant, tell: impl Fn(u64, News) + Send + 'static) -> Result<()> {
        if self.conn.is_some() {
            return Ok(());
        }
        self.generation += 1;
        let generation = self.generation;
        let conn = Connection::open(socket, until, move |news| tell(generation, news))?;
        let found: Vec<FlowSeen> = conn.list_flows(until)?.into_iter().filter(|f| f.cookie & OURS.1 == OURS.0).collect();
        self.odd = found.iter().filter(|f| !f.sound).map(|f| f.cookie).collect();
        let had = std::mem::take(&mut self.of);
        let of_chains = found.iter().filter(|f| f.table >= CHAIN);
        self.of = of_chains.map(|f| (f.cookie, had.get(&f.cookie).copied().flatten())).collect();
        self.flows = found.into_iter().map(|f| f.cookie).collect();
        // Another switch, or one that may have room by now.
        if !std::mem::take(&mut self.again) {
            self.unmetered = false;
        }
        match conn.list_meters(until) {
            Ok(found) => self.meters = tree(found),
            Err(why) if why.is_transient() => return Err(why),
            Err(_) => self.unmetered = true,
        }
        (self.conn, self.fresh) = (Some(Arc::new(conn)), true);
        Ok(())
    }

    /// The flows as the switch counts them now.
    pub fn list(&mut self, until: Instant) -> Result<Vec<FlowSeen>> {
        let conn = self.conn.as_ref().ok_or_else(|| Fault::transient("the switch's OpenFlow connection is gone"))?;
        let seen = conn.list_flows(until);
        if seen.is_err() {
            self.forget();
        }
        seen
    }

    /// Brings the switch to what is wanted: new meters, all flows at once, meters that nobody uses any more. Where
    /// it refuses a flow, what ports have by themselves at once, then each chain.
    pub fn apply(&mut self, wanted: &Wanted<'_>, until: Instant) -> Result<Brought> {
        let done = self.bring(wanted, until);
        let is_answer = done.as_ref().is_err_and(|why| why.kind() == Kind::Conflict);
        self.fresh &= is_answer;
        // That there are no more meters is an answer. Anything else leaves open what the switch has: somebody may have taken
        // away what a change stands on. A new connection finds out.
        if done.is_err() && !is_answer {
            self.forget();
        }
        done
    }

    /// What a change is a part of.
    fn part(&self, change: &Change, wanted: &Wanted<'_>, led: &HashMap<u16, NfpId>) -> Part {
        let cookie = cookie(change);
        let port = begins_at(cookie);
        let chain = match change {
            Change::Add { .. } => wanted.chains.get(&cookie).copied(),
            // Of which chain it was is not known: it goes with one that is there now.
            Change::Remove { .. } => self.of.get(&cookie).and_then(|of| of.or_else(|| led.get(&port).copied())),
        };
        chain.map_or(Part::Port(port), Part::Chain)
    }

    fn made(&mut self, change: &Change, wanted: &Wanted<'_>) {
        let cookie = cookie(change);
        self.odd.remove(&cookie);
        self.of.remove(&cookie);
        match change {
            Change::Add { .. } => {
                self.flows.insert(cookie);
                self.refused.remove(&cookie);
                self.of.extend(wanted.chains.get(&cookie).map(|id| (cookie, Some(*id))));
            }
            Change::Remove { .. } => drop(self.flows.remove(&cookie)),
        }
    }

    fn bring(&mut self, wanted: &Wanted<'_>, until: Instant) -> Result<Brought> {
        let Some(conn) = self.conn.clone() else { return Ok(Brought::default()) };
        let made: Vec<(u32, bool, Option<Meter>)> = wanted
            .meters
            .iter()
            .filter(|(id, m)| self.meters.get(id) != Some(&Some(**m)))
            .map(|(id, m)| (*id, self.meters.contains_key(id), Some(*m)))
            .collect();
        match conn.meters(&made, until) {
            Ok(()) => {}
            Err(why) if why.kind() == Kind::Conflict => {
                tracing::warn!(%why, "rates of ports and links are not limited");
                self.unmetered = true;
                // Some of them were made.
                self.meters = tree(conn.list_meters(until)?);
                return Err(why);
            }
            Err(why) => return Err(why),
        }
        self.meters.extend(made.into_iter().map(|(id, _, m)| (id, m)));
        self.refused.retain(|c| wanted.flows.contains_key(c) || wanted.unled.contains(&begins_at(*c)));
        let mut led: HashMap<u16, NfpId> = HashMap::new();
        for (c, id) in &wanted.chains {
            led.entry(begins_at(*c)).and_modify(|had| *had = *id.min(had)).or_insert(*id);
        }
        let all = difference(&self.flows, &self.odd, wanted);
        let all: Vec<(Part, Change)> = all.into_iter().map(|c| (self.part(&c, wanted, &led), c)).collect();
        let doubtful: HashSet<Part> = all.iter().filter(|(_, c)| self.refused.contains(&cookie(c))).map(|(part, _)| *part).collect();
        let (late, first): (Vec<_>, Vec<_>) = all.into_iter().partition(|(part, _)| doubtful.contains(part));
        let mut rounds: VecDeque<Vec<(Part, Change)>> = [first].into();
        rounds.extend(apart(late));
        let (mut held, mut refused, mut changed) = (HashSet::new(), Vec::new(), 0);
        while let Some(mut round) = rounds.pop_front() {
            if round.is_empty() {
                continue;
            }
            let changes: Vec<&Change> = round.iter().map(|(_, c)| c).collect();
            match conn.change(&changes, until) {
                Ok(()) => {
                    changed += round.len();
                    round.iter().for_each(|(_, c)| self.made(c, wanted));
                }
                Err(Refusal { why, at: Some(at) }) => {
                    let (part, cookie) = (round[at].0, cookie(&round[at].1));
                    // One that is refused keeps no other from it. Where there is doubt about what is there, that comes first.
                    let is_news = self.refused.insert(cookie);
                    if is_news && !self.fresh {
                        self.again = true;
                        return Err(why);
                    }
                    held.insert(part);
                    refused.push((cookie, why));
                    round.retain(|(p, _)| *p != part);
                    apart(round).into_iter().rev().for_each(|r| rounds.push_front(r));
                }
                Err(refusal) => return Err(refusal.why),
            }
        }
        if wanted.unknown.is_empty() && held.is_empty() {
            let idle: Vec<_> = self.meters.keys().filter(|id| !wanted.meters.contains_key(id)).map(|id| (*id, true, None)).collect();
            conn.meters(&idle, until)?;
            self.meters.retain(|id, _| wanted.meters.contains_key(id));
        }
        Ok(Brought { changed, refused })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovs::{flows::closed, openflow::fake::FakeSwitch};

    #[test]
    fn only_what_differs_is_changed_and_ports_that_are_not_known_yet_keep_theirs() {
        let of_port = |port: u64, n: u64| OURS.0 | port << 40 | n;
        let flow = closed();
        let (old, same, new, unknown) = (of_port(3, 1), of_port(3, 2), of_port(3, 3), of_port(9, 1));
        let wanted = Wanted { flows: [(same, &flow), (new, &flow)].into(), unknown: [9].into(), ..Wanted::default() };
        let changes = difference(&[old, same, unknown].into(), &HashSet::new(), &wanted);
        assert_eq!(changes, [Change::Remove { cookie: old }, Change::Add { flow: flow.clone(), cookie: new }]);
        assert_eq!(difference(&[same, new].into(), &HashSet::new(), &wanted), []);
        let changes = difference(&[same, new].into(), &[same].into(), &wanted);
        assert_eq!(changes, [Change::Add { flow: flow.clone(), cookie: same }], "one that does something else is written again");
    }

    /// A flow that does not do the same as any other.
    fn flow(table: u8, priority: u16) -> Flow {
        Flow { table, priority, ..closed() }
    }

    #[test]
    fn a_flow_that_is_refused_keeps_nothing_waiting_but_its_part_and_is_tried_last() {
        for metered in [true, false] {
            let switch = FakeSwitch::start(metered);
            let chain = |n: u128| NfpId(uuid::Uuid::from_u128(n));
            let [a, b, c, d, e] = [flow(0, 3), flow(0, 4), flow(CHAIN, 3), flow(CHAIN, 4), flow(CHAIN, 5)];
            let [ka, kb, kc, kd, ke] = [(&a, 3), (&b, 4), (&c, 3), (&d, 3), (&e, 4)].map(|(f, port)| f.cookie(port));
            let mut set = FlowSet::default();
            let until = || Instant::now() + std::time::Duration::from_secs(20);
            let look = |set: &mut FlowSet, all: &[(u64, &Flow)]| {
                set.connect(&switch.socket, until(), |_, _| {}).expect("connected");
                let mut wanted = Wanted { flows: all.iter().map(|(k, f)| (*k, *f)).collect(), ..Wanted::default() };
                wanted.chains = [(kc, chain(1)), (kd, chain(2)), (ke, chain(1))].into();
                if set.is_metered() {
                    wanted.meters = [(7, Meter { rate: 1, burst: 1 })].into();
                }
                set.apply(&wanted, until())
            };
            let refused = |done: Result<Brought>| done.expect("brought").refused.iter().map(|(k, _)| *k).collect::<Vec<_>>();
            let there = || switch.has.lock().expect("lock").flows.keys().copied().collect::<HashSet<u64>>();
            let refuse = |all: &[u64]| switch.has.lock().expect("lock").refuses = all.iter().copied().collect();
            refuse(&[kc]);
            let mut all = vec![(ka, &a), (kb, &b), (kc, &c), (ke, &e)];
            if !metered {
                assert_eq!(look(&mut set, &all).err().expect("no meters").kind(), Kind::Conflict);
            }
            for _ in 0..3 {
                assert_eq!(refused(look(&mut set, &all)), [kc], "metered: {metered}");
                assert_eq!(there(), [ka, kb].into(), "a chain is whole, or not there");
            }
            all.push((kd, &d));
            assert_eq!(refused(look(&mut set, &all)), [kc], "another chain from the same port");
            assert_eq!(there(), [ka, kb, kd].into());
            assert_eq!(switch.has.lock().expect("lock").connections, 1, "it is known that it is refused");

            // One that was taken is refused: there is doubt about what is there, and not about meters.
            let other = flow(0, 9);
            let ko = other.cookie(9);
            all.push((ko, &other));
            refuse(&[kc, ko]);
            assert!(look(&mut set, &all).is_err() && !set.is_connected());
            let mut both = refused(look(&mut set, &all));
            both.sort_unstable();
            let mut want = [kc, ko];
            want.sort_unstable();
            assert_eq!((both, set.is_metered()), (want.to_vec(), metered));
            refuse(&[]);
            assert!(refused(look(&mut set, &all)).is_empty());
            assert_eq!(there(), [ka, kb, kc, kd, ke, ko].into());
            let count = || switch.has.lock().expect("lock").bundles.len();
            let before = count();
            set.forget();
            if !metered {
                // Another switch may be there now, one that has meters.
                assert_eq!(look(&mut set, &all).err().expect("none").kind(), Kind::Conflict);
            }
            assert_eq!(look(&mut set, &all).expect("as it is").changed, 0);
            assert_eq!(count(), before, "all of it is found as it shall be");
        }
    }

    #[test]
    fn parts_that_may_be_refused_come_port_by_port_first_and_then_chain_by_chain() {
        let chain = |n: u128| Part::Chain(NfpId(uuid::Uuid::from_u128(n)));
        let change = |cookie: u64| Change::Remove { cookie };
        let all = vec![
            (chain(2), change(1)),
            (Part::Port(1), change(2)),
            (chain(1), change(3)),
            (Part::Port(2), change(4)),
            (chain(2), change(5)),
        ];
        let rounds: Vec<Vec<u64>> = apart(all).iter().map(|r| r.iter().map(|(_, c)| cookie(c)).collect()).collect();
        assert_eq!(rounds, [vec![2, 4], vec![3], vec![1, 5]]);
    }
}
