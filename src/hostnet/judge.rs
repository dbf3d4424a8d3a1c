//! Which way out of the box counts, pure.
//!
//! ```text
//!             answered                        `misses` rounds in vain
//! UNTRIED ---------------> WELL  ------------------------------------> DOWN
//!    +---- `misses` rounds in vain --------------------------------->   |
//!                           ^-------- `hits` rounds answered -----------+
//! ```
//! One that comes back and is lost again soon needs twice as many answers the next time, and so on: what flaps is left.
//!
//! Owns that state machine, and which default route follows from it. Never: asks, or changes a route.

use std::fmt;

use super::port::Answer;
use crate::model::uplink::{DefaultRoute, Family, Probe};

/// How long it has to stay after it came back, for the doubling to be over.
pub const CALM_S: u64 = 600;
/// So often are the answers that it needs doubled.
const MOST_DOUBLINGS: u8 = 5;
/// Bothy's routes: below those of the files (`files`), and known again by the protocol's number.
pub const METRIC: u32 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing has answered yet, and not so often that it is down.
    Untried,
    Well,
    Down,
}

/// How one way out stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judge {
    pub verdict: Verdict,
    /// Rounds in a row that speak against the verdict.
    run: u32,
    doublings: u8,
    /// When it was well again, in seconds.
    back_s: Option<u64>,
    /// Of the last round in vain.
    pub why: Option<String>,
}

impl Default for Judge {
    fn default() -> Self {
        Judge { verdict: Verdict::Untried, run: 0, doublings: 0, back_s: None, why: None }
    }
}

impl Judge {
    /// After one more round: `Err` says why it was in vain.
    #[must_use]
    pub fn next(&self, round: Result<(), String>, p: &Probe, now_s: u64) -> Judge {
        let answered = round.is_ok();
        let mut next = Judge { why: round.err().or_else(|| self.why.clone()), ..self.clone() };
        let against = match self.verdict {
            Verdict::Untried if answered => return Judge { verdict: Verdict::Well, run: 0, ..next },
            Verdict::Untried | Verdict::Well => !answered,
            Verdict::Down => answered,
        };
        next.run = if against { self.run + 1 } else { 0 };
        let is_calm = self.back_s.is_none_or(|at| now_s.saturating_sub(at) >= CALM_S);
        match self.verdict {
            Verdict::Untried | Verdict::Well if next.run >= u32::from(p.misses) => {
                let doublings = if is_calm { 0 } else { (self.doublings + 1).min(MOST_DOUBLINGS) };
                Judge { verdict: Verdict::Down, run: 0, doublings, ..next }
            }
            Verdict::Down if next.run >= self.wanted(p) => Judge { verdict: Verdict::Well, run: 0, back_s: Some(now_s), ..next },
            Verdict::Untried | Verdict::Well | Verdict::Down => next,
        }
    }

    fn wanted(&self, p: &Probe) -> u32 {
        u32::from(p.hits) << self.doublings
    }

    /// Rounds that have to be answered until it is well again.
    pub fn to_go(&self, p: &Probe) -> Option<u32> {
        (self.verdict == Verdict::Down).then(|| self.wanted(p).saturating_sub(self.run))
    }
}

/// What the answers of a round mean for a family; `None`: nothing of it was asked.
pub fn round(p: &Probe, answers: &[Answer], family: Family) -> Option<Result<(), String>> {
    let of = p.targets.iter().zip(answers).filter(|(t, _)| Family::of(t.to()) == family);
    let (mut asked, mut hits, mut why) = (0, 0, Vec::new());
    for (t, answer) in of {
        asked += 1;
        match answer {
            Ok(()) => hits += 1,
            Err(e) => why.push(format!("{t}: {e}")),
        }
    }
    (asked > 0).then(|| if hits >= usize::from(p.need) { Ok(()) } else { Err(why.join(", ")) })
}

/// One way out in one family, as it is at the moment; they come in the order in which they are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its interface's number; `None`: it is not there.
    pub index: Option<u32>,
    /// One that is not probed is well.
    pub verdict: Verdict,
}

/// What there is to do to the default routes of one family.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    pub remove: Vec<DefaultRoute>,
    pub add: Option<DefaultRoute>,
    /// The interface that the kernel takes afterwards.
    pub by: Option<u32>,
}

/// `routes`: the kernel's. A route of somebody else with a better metric than Bothy's is not argued with.
pub fn change(family: Family, order: &[Candidate], routes: &[DefaultRoute]) -> Change {
    let of = || routes.iter().filter(|r| r.family == family);
    let others = |index: u32| of().filter(move |r| !r.ours && r.index == index).min_by_key(|r| r.metric);
    let best = |with_ours: bool| of().filter(|r| with_ours || !r.ours).min_by_key(|r| r.metric).map(|r| r.index);
    let chosen = choose(order, best(true), |i| others(i).is_some());
    // Where the files' own order says the same, nothing of ours is wanted.
    let want =
        chosen.filter(|c| best(false) != Some(*c)).and_then(others).map(|r| DefaultRoute { metric: METRIC, ours: true, ..r.clone() });
    let after = of().filter(|r| !r.ours).chain(&want).min_by_key(|r| r.metric);
    Change {
        by: after.map(|r| r.index),
        remove: of().filter(|r| r.ours && want.as_ref() != Some(*r)).cloned().collect(),
        add: want.clone().filter(|w| !of().any(|r| r == w)),
    }
}

/// `present`: where the default route leads to now.
fn choose(order: &[Candidate], present: Option<u32>, has_route: impl Fn(u32) -> bool) -> Option<u32> {
    let there = || order.iter().filter_map(|c| Some((c.index?, c.verdict))).filter(|(i, _)| has_route(*i));
    let present = there().find(|(i, _)| Some(*i) == present);
    match (there().find(|(_, v)| *v != Verdict::Down), present) {
        // Nobody moves to one that has not answered yet.
        (Some((_, Verdict::Untried)), Some((now, Verdict::Well | Verdict::Untried))) => Some(now),
        // One that answers before one that has not been heard yet.
        (Some((first, _)), _) => Some(there().find(|(_, v)| *v == Verdict::Well).map_or(first, |(i, _)| i)),
        // That nothing answers anywhere may be the targets' doing: all stays as it is.
        (None, Some((now, _))) => Some(now),
        (None, None) => there().next().map(|(i, _)| i),
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Untried => "not tried yet",
            Verdict::Well => "well",
            Verdict::Down => "down",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::uplink::ProbeTarget;

    fn probe(misses: u8, hits: u8) -> Probe {
        let targets = vec![ProbeTarget::Ping("192.0.2.1".parse().expect("ip"))];
        Probe { targets, need: 1, interval_s: 1, misses, hits }
    }

    fn fed(p: &Probe, rounds: &str) -> Judge {
        rounds.chars().zip(0..).fold(Judge::default(), |j, (c, now)| j.next(if c == '+' { Ok(()) } else { Err("no".into()) }, p, now))
    }

    #[test]
    fn so_many_rounds_in_a_row_turn_it_and_fewer_do_not() {
        use Verdict::{Down, Untried, Well};
        let p = probe(3, 2);
        for (rounds, verdict, to_go) in [
            ("", Untried, None),
            ("--", Untried, None),
            ("---", Down, Some(2)),
            ("--+", Well, None),
            ("+--+--+--", Well, None),
            ("+---", Down, Some(2)),
            ("+---+", Down, Some(1)),
            ("+---+-+", Down, Some(1)),
            ("+---++", Well, None),
            // Back for less than ten minutes: twice as many, and then four times.
            ("+---++---", Down, Some(4)),
            ("+---++---+++", Down, Some(1)),
            ("+---++---++++", Well, None),
            ("+---++---++++---", Down, Some(8)),
        ] {
            let j = fed(&p, rounds);
            assert_eq!((j.verdict, j.to_go(&p)), (verdict, to_go), "{rounds}");
        }
    }

    #[test]
    fn what_stayed_for_long_is_as_good_as_new() {
        let p = probe(1, 3);
        let down = fed(&p, "+-+++-");
        assert_eq!(down.to_go(&p), Some(6));
        let back = (10..16).fold(down, |j, now| j.next(Ok(()), &p, now));
        assert_eq!(back.verdict, Verdict::Well);
        let again = |at| back.next(Err("no".into()), &p, at).to_go(&p);
        assert_eq!((again(15 + CALM_S - 1), again(15 + CALM_S)), (Some(12), Some(3)));
    }

    #[test]
    fn a_family_is_judged_by_its_own_targets() {
        let ping = |a: &str| ProbeTarget::Ping(a.parse().expect("ip"));
        let targets = vec![ping("192.0.2.1"), ping("192.0.2.2"), ping("2001:db8::1")];
        let p = |need| Probe { need, targets: targets.clone(), ..probe(1, 1) };
        let answers = [Ok(()), Err("no answer".into()), Err("no route".into())];
        assert_eq!(round(&p(1), &answers, Family::V4), Some(Ok(())));
        assert_eq!(round(&p(2), &answers, Family::V4), Some(Err("ping 192.0.2.2: no answer".into())));
        assert_eq!(round(&p(1), &answers, Family::V6), Some(Err("ping 2001:db8::1: no route".into())));
        assert_eq!(round(&probe(1, 1), &answers, Family::V6), None);
    }

    fn route(index: u32, metric: u32, ours: bool) -> DefaultRoute {
        DefaultRoute { family: Family::V4, index, via: None, source: None, metric, onlink: false, ours }
    }

    #[test]
    fn the_default_route_follows_the_first_that_is_well() {
        use Verdict::{Down, Untried, Well};
        let files = [route(1, 100, false), route(2, 200, false)];
        let with = |r: DefaultRoute| [&files[..], &[r]].concat();
        let (first, second) = (route(1, METRIC, true), route(2, METRIC, true));
        for (a, b, routes, add, remove, by) in [
            (Well, Well, files.to_vec(), None, vec![], 1),
            (Untried, Untried, files.to_vec(), None, vec![], 1),
            (Down, Well, files.to_vec(), Some(&second), vec![], 2),
            (Down, Untried, files.to_vec(), Some(&second), vec![], 2),
            (Down, Well, with(second.clone()), None, vec![], 2),
            (Well, Well, with(second.clone()), None, vec![&second], 1),
            // Bothy has started anew: nobody moves before the first has answered, or the second is lost.
            (Untried, Untried, with(second.clone()), None, vec![], 2),
            (Untried, Down, with(second.clone()), None, vec![&second], 1),
            // Nothing answers anywhere.
            (Down, Down, with(second.clone()), None, vec![], 2),
            (Down, Down, files.to_vec(), None, vec![], 1),
            // The lease of the second is gone, or of the first.
            (Down, Well, vec![files[0].clone(), second.clone()], None, vec![&second], 1),
            (Down, Well, vec![files[1].clone()], None, vec![], 2),
            // What is left of another order.
            (Well, Well, with(first.clone()), None, vec![&first], 1),
        ] {
            let order = [(1, a), (2, b)].map(|(i, verdict)| Candidate { index: Some(i), verdict });
            let c = change(Family::V4, &order, &routes);
            let want = Change { remove: remove.into_iter().cloned().collect(), add: add.cloned(), by: Some(by) };
            assert_eq!(c, want, "{a} {b} {routes:?}");
        }
        let none = change(Family::V4, &[], &with(second.clone()));
        assert_eq!((none.remove, none.add, none.by), (vec![second], None, Some(1)), "nothing is left of ours where nothing is probed");
        assert_eq!(change(Family::V6, &[], &files), Change::default());
    }

    /// The routes after a change.
    fn done(routes: &[DefaultRoute], c: &Change) -> Vec<DefaultRoute> {
        routes.iter().filter(|r| !c.remove.contains(r)).chain(&c.add).cloned().collect()
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![Just(Verdict::Untried), Just(Verdict::Well), Just(Verdict::Down)]
    }

    proptest! {
        #[test]
        fn a_verdict_turns_only_after_so_many_rounds(misses in 1u8..6, hits in 1u8..6, rounds in proptest::collection::vec(any::<bool>(), 0..300)) {
            let p = probe(misses, hits);
            let (mut j, mut same, mut before) = (Judge::default(), 0u32, None);
            for (now, r) in rounds.iter().enumerate() {
                same = if before == Some(*r) { same + 1 } else { 1 };
                before = Some(*r);
                let next = j.next(if *r { Ok(()) } else { Err("no".into()) }, &p, now as u64);
                match (j.verdict, next.verdict) {
                    (Verdict::Well | Verdict::Untried, Verdict::Down) => prop_assert!(same >= u32::from(misses)),
                    (Verdict::Down, Verdict::Well) => prop_assert!(same >= u32::from(hits)),
                    (Verdict::Down | Verdict::Well, Verdict::Untried) => prop_assert!(false, "nothing is forgotten"),
                    (a, b) => prop_assert!(a == b || a == Verdict::Untried),
                }
                // What it waits for comes to an end.
                prop_assert!(next.to_go(&p).is_none_or(|n| (1..=u32::from(hits) << MOST_DOUBLINGS).contains(&n)));
                j = next;
            }
        }

        /// Done once there is nothing left to do; the best is well if any with a route is; and what is others' stays.
        #[test]
        fn a_change_settles_and_leads_to_one_that_is_well(
            verdicts in proptest::collection::vec((verdict(), any::<bool>()), 0..5),
            routes in proptest::collection::vec((1u32..6, 100u32..800, any::<bool>()), 0..8),
        ) {
            let order: Vec<Candidate> = verdicts.iter().zip(1..).map(|((verdict, there), i)| Candidate { index: there.then_some(i), verdict: *verdict }).collect();
            let routes: Vec<DefaultRoute> = routes.into_iter().map(|(i, m, ours)| route(i, if ours { METRIC } else { m }, ours)).collect();
            let c = change(Family::V4, &order, &routes);
            let after = done(&routes, &c);
            let again = change(Family::V4, &order, &after);
            prop_assert_eq!((&again.remove, &again.add), (&Vec::new(), &None));
            prop_assert!(after.iter().filter(|r| r.ours).count() <= 1 + routes.iter().filter(|r| r.ours).count());
            let others = |all: &[DefaultRoute]| all.iter().filter(|r| !r.ours).cloned().collect::<Vec<_>>();
            prop_assert_eq!(others(&routes), others(&after));
            let best = after.iter().min_by_key(|r| r.metric).map(|r| r.index);
            let well = order.iter().filter(|c| c.verdict == Verdict::Well).filter_map(|c| c.index).find(|i| after.iter().any(|r| !r.ours && r.index == *i));
            if let (Some(_), Some(best)) = (well, best) {
                let found = order.iter().find(|c| c.index == Some(best));
                let was = routes.iter().min_by_key(|r| r.metric).map(|r| r.index);
                prop_assert!(
                    found.is_some_and(|c| c.verdict == Verdict::Well || c.verdict == Verdict::Untried && was == Some(best)),
                    "{best} of {order:?}, and {was:?} before"
                );
            }
        }
    }
}
