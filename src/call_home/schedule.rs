//! When a box that lost its centre tries again: exponential backoff with full jitter. Pure: chance is handed in.
//!
//! Before each try, the first one too, the box waits a time that is drawn evenly from a window; each try in vain doubles the
//! window. So many boxes that lost one centre at one moment, or woke after one power cut, come to it spread out.

use std::time::Duration;

/// No window is longer.
pub const LONGEST: Duration = Duration::from_secs(600);
/// A connection that held so long, or as long as its window was, ended by something new: the window is the first one again.
const HELD: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    first: Duration,
    in_vain: u32,
}

impl Schedule {
    /// `first`: the window before the first try.
    pub fn new(first: Duration) -> Schedule {
        Schedule { first, in_vain: 0 }
    }

    fn window(self) -> Duration {
        self.first.saturating_mul(1 << self.in_vain.min(20)).min(LONGEST.max(self.first))
    }

    /// The pause before the next try; `chance` is any number, each as likely.
    pub fn pause(self, chance: u64) -> Duration {
        let window = u128::from(u64::try_from(self.window().as_micros()).unwrap_or(u64::MAX));
        // The upper half of the product: even over the window, without a division.
        Duration::from_micros(u64::try_from((window * u128::from(chance)) >> 64).unwrap_or(u64::MAX))
    }

    /// A try was in vain (zero), or the connection ended after so long.
    pub fn ended(&mut self, held: Duration) {
        self.in_vain = if held >= HELD.min(self.window()) && !held.is_zero() { 0 } else { self.in_vain.saturating_add(1) };
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use super::*;

    const FIRST: Duration = Duration::from_secs(30);

    #[test]
    fn the_window_doubles_to_its_longest_and_a_connection_that_held_makes_it_the_first_again() {
        let mut s = Schedule::new(FIRST);
        assert_eq!((s.pause(0), s.pause(u64::MAX).as_secs()), (Duration::ZERO, 29));
        let mut longest = Vec::new();
        for _ in 0..7 {
            s.ended(Duration::ZERO);
            longest.push(s.pause(u64::MAX).as_secs() + 1);
        }
        assert_eq!(longest, [60, 120, 240, 480, 600, 600, 600]);
        // One that is hung up on at once is as good as none.
        s.ended(Duration::from_secs(59));
        assert_eq!(s.pause(u64::MAX).as_secs(), 599);
        s.ended(Duration::from_secs(60));
        assert_eq!(s.pause(u64::MAX).as_secs(), 29);
    }

    #[test]
    fn however_often_it_was_in_vain_the_pause_has_a_bound() {
        for first in [Duration::from_secs(1), FIRST, Duration::from_secs(3600)] {
            let mut s = Schedule::new(first);
            for _ in 0..200 {
                s.ended(Duration::ZERO);
            }
            s.in_vain = u32::MAX;
            s.ended(Duration::ZERO);
            assert!(s.pause(u64::MAX) <= LONGEST.max(first));
        }
    }

    /// splitmix64.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    struct Herd {
        /// Tries of each second, while the centre was away, and after.
        away: usize,
        back: usize,
        /// The second after which all were connected.
        all_there: usize,
    }

    /// Boxes that all lose their centre in second 0; it is back after `outage`, and takes `takes` of them each second.
    fn herd(boxes: usize, outage: usize, takes: usize) -> Herd {
        let (mut seed, mut schedules) = (7, vec![Schedule::new(FIRST); boxes]);
        let mut due: BinaryHeap<Reverse<(u128, usize)>> =
            (0..boxes).map(|i| Reverse((schedules[i].pause(next(&mut seed)).as_micros(), i))).collect();
        let mut tries: Vec<(usize, usize)> = Vec::new();
        while let Some(Reverse((at, i))) = due.pop() {
            let second = usize::try_from(at / 1_000_000).expect("seconds");
            tries.resize(tries.len().max(second + 1), (0, 0));
            let (tried, taken) = &mut tries[second];
            *tried += 1;
            if second >= outage && *taken < takes {
                *taken += 1;
                continue;
            }
            schedules[i].ended(Duration::ZERO);
            due.push(Reverse((at + schedules[i].pause(next(&mut seed)).as_micros(), i)));
        }
        let peak = |of: &[(usize, usize)]| of.iter().map(|t| t.0).max().unwrap_or_default();
        let back = outage.min(tries.len());
        Herd { away: peak(&tries[..back]), back: peak(&tries[back..]), all_there: tries.len() }
    }

    #[test]
    fn a_hundred_thousand_boxes_that_lost_their_centre_come_back_spread_out() {
        let n = 100_000;
        for (outage, takes, most_back, all_there) in [(0, n, 3600, 31), (120, n, 1250, 721), (1800, n, 400, 2401), (1800, 200, 400, 2800)] {
            let h = herd(n, outage, takes);
            println!(
                "{n} boxes, centre away for {outage} s, then takes {takes} a second: at most {} tries a second while it is away, {} after, all there {} s after it was back",
                h.away,
                h.back,
                h.all_there - outage
            );
            // 3333 a second are those of the first window; some have the second try before it is over.
            assert!(h.away <= 5500, "{} tries in one second", h.away);
            assert!(h.back <= most_back, "{} tries in one second", h.back);
            assert!(h.all_there <= all_there, "{} s", h.all_there);
        }
    }
}
