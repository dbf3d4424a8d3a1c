//! When a box is handed the document that lies here for it. Pure: times and chance are handed in.
//!
//! ```text
//! another document lies here, or the box has another -> at once
//! it was handed over, and the box still has another  -> again after a pause, twice as long each time
//! the box has it                                     -> never
//! ```
//! That the box has it is for the box to say: what is not said is tried again, whatever became of the try. Never: a line.

use std::time::{Duration, Instant};

/// After the first try.
const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(1800);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Nothing,
    Give,
    Wait(Duration),
}

/// What was tried on one line.
#[derive(Debug, Default)]
pub struct Hand(Option<Tried>);

#[derive(Debug)]
struct Tried {
    digest: [u8; 32],
    times: u32,
    until: Instant,
}

impl Hand {
    /// `wanted`: what lies here for the box; `has`: what it has. `chance`: any number, so that many boxes do not come at one moment.
    pub fn next(&mut self, now: Instant, wanted: Option<[u8; 32]>, has: Option<[u8; 32]>, chance: u8) -> Next {
        let Some(digest) = wanted.filter(|w| has != Some(*w)) else {
            self.0 = None;
            return Next::Nothing;
        };
        let times = match &self.0 {
            Some(t) if t.digest == digest && t.until > now => return Next::Wait(t.until - now),
            Some(t) if t.digest == digest => t.times + 1,
            Some(_) | None => 1,
        };
        let pause = FIRST.saturating_mul(1u32.checked_shl(times - 1).unwrap_or(u32::MAX)).min(LONGEST);
        let until = now + pause * 3 / 4 + pause / 2 * u32::from(chance) / 255;
        self.0 = Some(Tried { digest, times, until });
        Next::Give
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_handed_what_it_has_not_at_once_and_again_after_pauses_that_grow() {
        let (begun, mut hand) = (Instant::now(), Hand::default());
        let at = |s: u64| begun + Duration::from_secs(s);
        let (old, new) = ([1; 32], [2; 32]);
        assert_eq!(hand.next(at(0), None, Some(old), 0), Next::Nothing);
        assert_eq!(hand.next(at(0), Some(old), Some(old), 0), Next::Nothing);
        assert_eq!(hand.next(at(0), Some(new), Some(old), 0), Next::Give);
        assert_eq!(hand.next(at(1), Some(new), Some(old), 0), Next::Wait(Duration::from_millis(6500)));
        assert_eq!(hand.next(at(8), Some(new), Some(old), 255), Next::Give);
        // Twice ten seconds, and a quarter of that.
        assert_eq!(hand.next(at(8), Some(new), Some(old), 0), Next::Wait(Duration::from_secs(25)));
        // Another one waits for nothing, and neither does the same after the box has had it.
        assert_eq!(hand.next(at(8), Some([3; 32]), Some(old), 0), Next::Give);
        assert_eq!(hand.next(at(9), Some([3; 32]), Some([3; 32]), 0), Next::Nothing);
        assert_eq!(hand.next(at(9), Some([3; 32]), None, 0), Next::Give);
        let mut now = at(9);
        for _ in 0..100 {
            let Next::Wait(pause) = hand.next(now, Some([3; 32]), None, 255) else { panic!("it has just been tried") };
            assert!(pause <= LONGEST * 5 / 4, "{pause:?}");
            now += pause;
            assert_eq!(hand.next(now, Some([3; 32]), None, 255), Next::Give);
        }
    }
}
