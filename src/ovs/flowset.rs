//! The flows and meters of the bridge: those there shall be, those the switch has, the difference.
//!
//! Owns: the connection, and what is known of the other side. A flow is known by its cookie, which
//! follows from what it does; so the difference needs no reading of flows. One that somebody changed is
//! found by that: when the connection begins, and then by what the switch tells. Never: which there shall be.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
    time::Instant,
};

use super::openflow::{Change, Connection, Flow, FlowSeen, Meter, News, OURS, Refusal};
use crate::model::{
    error::{Fault, Kind, Result},
    tree::tree,
};

/// What shall be on the switch.
#[derive(Default)]
pub struct Wanted<'a> {
    pub flows: HashMap<u64, &'a Flow>,
    pub meters: BTreeMap<u32, Meter>,
    /// Ports of which nothing is known yet: what they have they keep.
    pub unknown: HashSet<u16>,
}

/// What came of it.
#[derive(Default)]
pub struct Brought {
    /// Flows that changed.
    pub changed: usize,
    /// Flows that the switch does not take. What begins at their ports is as it was; all else is as wanted.
    pub refused: Vec<(u64, Fault)>,
}

#[derive(Default)]
pub struct FlowSet {
    conn: Option<Connection>,
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
}

/// The port that a flow begins at; 0: none.
pub fn begins_at(cookie: u64) -> u16 {
    (cookie >> 40) as u16
}

/// Changes that bring the switch to what is wanted, those that take away first. Ports that are held keep what they have.
fn difference(flows: &HashSet<u64>, odd: &HashSet<u64>, wanted: &Wanted<'_>, held: &HashSet<u16>) -> Vec<Change> {
    let gone = flows.iter().filter(|c| !wanted.flows.contains_key(c) && !wanted.unknown.contains(&begins_at(**c)));
    let is_held = |c: &u64| held.contains(&begins_at(*c));
    let mut changes: Vec<Change> = gone.filter(|c| !is_held(c)).map(|c| Change::Remove { cookie: *c }).collect();
    let new = wanted.flows.iter().filter(|(c, _)| (!flows.contains(c) || odd.contains(c)) && !is_held(c));
    changes.extend(new.map(|(cookie, flow)| Change::Add { flow: (*flow).clone(), cookie: *cookie }));
    changes
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
        self.flows = found.into_iter().map(|f| f.cookie).collect();
        // Another switch, or the same once more: it may have room by now.
        self.unmetered = false;
        match conn.list_meters(until) {
            Ok(found) => self.meters = tree(found),
            Err(why) if why.is_transient() => return Err(why),
            Err(_) => self.unmetered = true,
        }
        (self.conn, self.fresh) = (Some(conn), true);
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

    /// Brings the switch to what is wanted: new meters, all flows at once, meters that nobody uses
    /// any more. `together`: the ports that a flow is of, where they are more than it begins at.
    pub fn apply(&mut self, wanted: &Wanted<'_>, together: &dyn Fn(u64) -> Vec<u16>, until: Instant) -> Result<Brought> {
        let done = self.bring(wanted, together, until);
        self.fresh = false;
        // That there are no more meters is an answer. Anything else leaves open what the switch has: somebody may have taken
        // away what a change stands on. A new connection finds out.
        if done.as_ref().is_err_and(|why| why.kind() != Kind::Conflict) {
            self.forget();
        }
        done
    }

    fn bring(&mut self, wanted: &Wanted<'_>, together: &dyn Fn(u64) -> Vec<u16>, until: Instant) -> Result<Brought> {
        let Some(conn) = &self.conn else { return Ok(Brought::default()) };
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
        let (mut held, mut refused) = (HashSet::new(), Vec::new());
        let changed = loop {
            let changes = difference(&self.flows, &self.odd, wanted, &held);
            let outcome = if changes.is_empty() { Ok(()) } else { conn.change(&changes, until) };
            match outcome {
                Ok(()) => break changes.len(),
                // One that is refused keeps no other from it. Where there is doubt about what is there, that comes first.
                Err(Refusal { why, at: Some(at) }) if self.fresh => {
                    let (Change::Add { cookie, .. } | Change::Remove { cookie }) = &changes[at];
                    held.extend(together(*cookie));
                    held.insert(begins_at(*cookie));
                    refused.push((*cookie, why));
                }
                Err(refusal) => return Err(refusal.why),
            }
        };
        let stays = |c: &u64| wanted.unknown.contains(&begins_at(*c)) || held.contains(&begins_at(*c));
        self.flows.retain(|c| wanted.flows.contains_key(c) || stays(c));
        self.flows.extend(wanted.flows.keys().filter(|c| !held.contains(&begins_at(**c))));
        self.odd.retain(stays);
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
    use crate::ovs::flows::closed;

    #[test]
    fn only_what_differs_is_changed_and_ports_that_are_not_known_yet_keep_theirs() {
        let of_port = |port: u64, n: u64| OURS.0 | port << 40 | n;
        let flow = closed();
        let (old, same, new, unknown) = (of_port(3, 1), of_port(3, 2), of_port(3, 3), of_port(9, 1));
        let wanted = Wanted { flows: [(same, &flow), (new, &flow)].into(), meters: BTreeMap::new(), unknown: [9].into() };
        let changes = difference(&[old, same, unknown].into(), &HashSet::new(), &wanted, &HashSet::new());
        assert_eq!(changes, [Change::Remove { cookie: old }, Change::Add { flow: flow.clone(), cookie: new }]);
        assert_eq!(difference(&[same, new].into(), &HashSet::new(), &wanted, &HashSet::new()), []);
        let changes = difference(&[same, new].into(), &[same].into(), &wanted, &HashSet::new());
        assert_eq!(changes, [Change::Add { flow: flow.clone(), cookie: same }], "one that does something else is written again");
        let at_another = of_port(4, 1);
        let wanted = Wanted { flows: [(new, &flow), (at_another, &flow)].into(), ..wanted };
        let changes = difference(&[old, same].into(), &HashSet::new(), &wanted, &[3].into());
        assert_eq!(changes, [Change::Add { flow: flow.clone(), cookie: at_another }], "a port that is held keeps what it has");
    }
}
