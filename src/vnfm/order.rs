//! In which order guests start after a reboot of the box, so many at once.
//!
//! Services go by their priority, which is the lowest `bothy.priority` of their members. A service whose turn it is
//! starts its members one rank after the other, each when those before it have been started; services of one
//! priority do not wait for each other. A VNF that is in no service is one of its own. Never: how a guest starts.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use crate::model::{
    id::{VnfId, VnfcId},
    vnf::VnfInstance,
};

pub(super) type Guest = (VnfId, VnfcId);

/// The guests of one service, by rank.
pub(super) type Service = VecDeque<VecDeque<Guest>>;

fn service_of(v: &VnfInstance) -> Uuid {
    v.ns.map_or(v.id.0, |ns| ns.0)
}

/// Services by priority; `vnfs` are all of the box.
pub(super) fn in_order(vnfs: &[VnfInstance], due: &[Guest]) -> Vec<Vec<Service>> {
    let by_id: HashMap<VnfId, &VnfInstance> = vnfs.iter().map(|v| (v.id, v)).collect();
    let mut priority: HashMap<Uuid, u32> = HashMap::new();
    for v in vnfs {
        let lowest = priority.entry(service_of(v)).or_insert(u32::MAX);
        *lowest = v.turn().priority.min(*lowest);
    }
    let mut all: BTreeMap<u32, BTreeMap<Uuid, BTreeMap<u32, VecDeque<Guest>>>> = BTreeMap::new();
    for guest in due {
        let Some(v) = by_id.get(&guest.0) else { continue };
        let service = service_of(v);
        let class = priority.get(&service).copied().unwrap_or_default();
        all.entry(class).or_default().entry(service).or_default().entry(v.turn().rank).or_default().push_back(*guest);
    }
    all.into_values().map(|services| services.into_values().map(|ranks| ranks.into_values().collect()).collect()).collect()
}

struct Line {
    ranks: Service,
    /// Of the first rank, under way.
    going: usize,
}

impl Line {
    fn next(&mut self) -> Option<Guest> {
        loop {
            let rank = self.ranks.front_mut()?;
            if let Some(guest) = rank.pop_front() {
                self.going += 1;
                return Some(guest);
            }
            if self.going > 0 {
                return None;
            }
            self.ranks.pop_front();
        }
    }
}

struct Lines {
    all: Mutex<Vec<Line>>,
    changed: Condvar,
}

impl Lines {
    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while all that is left has to wait for others.
    fn next(&self) -> Option<Started<'_>> {
        let mut all = self.lock();
        loop {
            let found = all.iter_mut().enumerate().find_map(|(line, l)| l.next().map(|guest| (line, guest)));
            if let Some((line, guest)) = found {
                return Some(Started { lines: self, line, guest });
            }
            if all.iter().all(|l| l.ranks.is_empty()) {
                return None;
            }
            all = self.changed.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One that is under way, until it is dropped.
struct Started<'a> {
    lines: &'a Lines,
    line: usize,
    guest: Guest,
}

impl Drop for Started<'_> {
    fn drop(&mut self) {
        if let Some(l) = self.lines.lock().get_mut(self.line) {
            l.going -= 1;
        }
        self.lines.changed.notify_all();
    }
}

/// Starts the guests of services of one priority, at most `at_once` at the same time.
pub(super) fn start(services: Vec<Service>, at_once: usize, start: impl Fn(Guest) + Sync) {
    let guests: usize = services.iter().flatten().map(VecDeque::len).sum();
    let all = services.into_iter().map(|ranks| Line { ranks, going: 0 }).collect();
    let lines = Lines { all: Mutex::new(all), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1).min(guests) {
            scope.spawn(|| {
                while let Some(turn) = lines.next() {
                    start(turn.guest);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, time::Duration};

    use super::*;

    fn guest(n: u128) -> Guest {
        (VnfId(Uuid::from_u128(n)), VnfcId(Uuid::from_u128(n)))
    }

    #[test]
    fn a_rank_waits_for_the_one_before_it_and_no_service_for_another() {
        let service = |ranks: &[&[u128]]| -> Service { ranks.iter().map(|r| r.iter().map(|n| guest(*n)).collect()).collect() };
        let log = Mutex::new(Vec::new());
        // 11 ends only when 22 of the other service has begun, which comes after 20 and 21.
        let (begun, other) = channel();
        let other = Mutex::new(other);
        start(vec![service(&[&[11], &[12]]), service(&[&[20, 21], &[22]])], 2, |g| {
            if g == guest(22) {
                begun.send(()).expect("11 waits");
            }
            if g == guest(11) {
                other.lock().expect("one waits").recv_timeout(Duration::from_secs(60)).expect("the other service goes on");
            }
            log.lock().expect("the log").push(g);
        });
        let log = log.into_inner().expect("the log");
        let at = |n: u128| log.iter().position(|g| *g == guest(n)).expect("started");
        assert_eq!(log.len(), 5);
        assert!(at(20).max(at(21)) < at(22) && at(11) < at(12), "{log:?}");
    }
}
