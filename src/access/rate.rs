//! Lock-out after failures, and a limit of requests: per source and user. Pure, time is handed in.
//!
//! A user is never locked out as such, or whoever knows a name could lock its owner out: what is locked is
//! the pair of source and name, and past more failures the source, for wrong passwords only. A caller with
//! a good token comes in from a locked source all the same.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use smol_str::SmolStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Wrong passwords of one source for one name, before the two are locked.
    pub failures: u32,
    /// The first lock; each further failure doubles it, up to `LONGEST`.
    pub lock: Duration,
    /// Requests per second of one caller from one source; 0 is no limit.
    pub requests_per_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { failures: 5, lock: Duration::from_secs(10), requests_per_s: 0 }
    }
}

pub const LONGEST: Duration = Duration::from_secs(900);
/// A source may fail this many times what a pair may.
const SOURCE_FACTOR: u32 = 4;
/// Failures are forgotten after this long without one.
const MEMORY: Duration = Duration::from_secs(900);
/// Pairs and sources that are remembered; the longest silent one makes room.
const MOST: usize = 4096;

#[derive(Default)]
pub struct Watch {
    failures: HashMap<(IpAddr, Option<SmolStr>), Failures>,
    buckets: HashMap<(IpAddr, SmolStr), Bucket>,
}

struct Failures {
    count: u32,
    last: Duration,
    locked_until: Duration,
}

struct Bucket {
    left: f64,
    last: Duration,
}

/// One customer's network is one source, and in IPv6 that is a /64.
pub fn source(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let s = v6.segments();
                IpAddr::V6(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0))
            }
        },
    }
}

impl Watch {
    /// Whether a password may be tried now; otherwise how long not.
    pub fn may_try(&self, now: Duration, from: IpAddr, name: &str) -> Result<(), Duration> {
        let from = source(from);
        let left = |key: (IpAddr, Option<SmolStr>)| self.failures.get(&key).map_or(Duration::ZERO, |f| f.locked_until.saturating_sub(now));
        let wait = left((from, Some(name.into()))).max(left((from, None)));
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    pub fn failed(&mut self, now: Duration, from: IpAddr, name: &str, limits: &Limits) {
        let from = source(from);
        self.note(now, (from, Some(name.into())), limits.failures, limits.lock);
        self.note(now, (from, None), limits.failures.saturating_mul(SOURCE_FACTOR), limits.lock);
    }

    fn note(&mut self, now: Duration, key: (IpAddr, Option<SmolStr>), most: u32, lock: Duration) {
        if self.failures.len() >= MOST && !self.failures.contains_key(&key) {
            make_room(&mut self.failures, now, |f| f.last.max(f.locked_until));
        }
        let f = self.failures.entry(key).or_insert(Failures { count: 0, last: now, locked_until: Duration::ZERO });
        if now.saturating_sub(f.last) > MEMORY {
            f.count = 0;
        }
        f.count = f.count.saturating_add(1);
        f.last = now;
        if f.count >= most {
            let doubled = lock.saturating_mul(1u32.checked_shl((f.count - most).min(20)).unwrap_or(u32::MAX));
            f.locked_until = now + doubled.min(LONGEST);
        }
    }

    /// The right password: the pair's failures are forgotten, the source's are not.
    pub fn succeeded(&mut self, from: IpAddr, name: &str) {
        self.failures.remove(&(source(from), Some(name.into())));
    }

    /// Takes one request of a caller from a source; or how long to wait.
    pub fn take(&mut self, now: Duration, from: IpAddr, name: &SmolStr, limits: &Limits) -> Result<(), Duration> {
        if limits.requests_per_s == 0 {
            return Ok(());
        }
        let rate = f64::from(limits.requests_per_s);
        let key = (source(from), name.clone());
        if self.buckets.len() >= MOST && !self.buckets.contains_key(&key) {
            make_room(&mut self.buckets, now, |b| b.last);
        }
        // A second's worth may come at once.
        let b = self.buckets.entry(key).or_insert(Bucket { left: rate, last: now });
        b.left = (b.left + now.saturating_sub(b.last).as_secs_f64() * rate).min(rate);
        b.last = now;
        if b.left >= 1.0 {
            b.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - b.left) / rate))
    }
}

/// Forgets what is over, and if that is nothing, what ends first.
fn make_room<K: Clone + Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, now: Duration, until: impl Fn(&V) -> Duration) {
    let before = map.len();
    map.retain(|_, v| until(v) + MEMORY > now);
    if map.len() == before
        && let Some(first) = map.iter().min_by_key(|(_, v)| until(v)).map(|(k, _)| k.clone())
    {
        map.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT: fn(u64) -> Duration = Duration::from_secs;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[test]
    fn failures_lock_the_pair_longer_each_time_and_never_the_user() {
        let (mut w, l) = (Watch::default(), Limits::default());
        for n in 0..4 {
            w.failed(AT(n), ip(1), "eve", &l);
        }
        assert_eq!(w.may_try(AT(4), ip(1), "eve"), Ok(()));
        w.failed(AT(4), ip(1), "eve", &l);
        assert_eq!(w.may_try(AT(4), ip(1), "eve"), Err(AT(10)));
        assert_eq!(w.may_try(AT(4), ip(2), "eve"), Ok(()), "her own machine is another source");
        assert_eq!(w.may_try(AT(4), ip(1), "bob"), Ok(()));
        assert_eq!(w.may_try(AT(14), ip(1), "eve"), Ok(()));
        w.failed(AT(14), ip(1), "eve", &l);
        assert_eq!(w.may_try(AT(14), ip(1), "eve"), Err(AT(20)));
        w.succeeded(ip(1), "eve");
        assert_eq!(w.may_try(AT(15), ip(1), "eve"), Ok(()));
    }

    #[test]
    fn a_source_that_tries_many_names_is_locked_for_all() {
        let (mut w, l) = (Watch::default(), Limits::default());
        for n in 0..20 {
            assert_eq!(w.may_try(AT(1), ip(1), "next"), Ok(()), "{n}");
            w.failed(AT(1), ip(1), &format!("name{n}"), &l);
        }
        assert_eq!(w.may_try(AT(1), ip(1), "next"), Err(AT(10)));
        assert_eq!(w.may_try(AT(1), ip(2), "next"), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let (mut w, l) = (Watch::default(), Limits::default());
        for n in 0..5 {
            w.failed(AT(1), format!("2001:db8::{n:x}").parse().expect("ip"), "eve", &l);
        }
        assert!(w.may_try(AT(1), "2001:db8::ffff".parse().expect("ip"), "eve").is_err());
        assert!(w.may_try(AT(1), "2001:db8:0:1::1".parse().expect("ip"), "eve").is_ok());
        assert_eq!(source("::ffff:192.0.2.1".parse().expect("ip")), ip(1));
    }

    #[test]
    fn a_caller_gets_his_rate_and_no_more() {
        let (mut w, l) = (Watch::default(), Limits { requests_per_s: 10, ..Limits::default() });
        let eve = SmolStr::new("eve");
        let passed = (0..100).filter(|n| w.take(Duration::from_millis(n * 10), ip(1), &eve, &l).is_ok()).count();
        // One second: what was in the bucket, and what came in.
        assert!((19..=20).contains(&passed), "{passed}");
        assert!(w.take(AT(1), ip(2), &eve, &l).is_ok() && w.take(AT(1), ip(1), &"bob".into(), &l).is_ok());
        assert!(w.take(AT(1), ip(1), &eve, &Limits::default()).is_ok(), "0 is no limit");
    }

    proptest! {
        /// Whatever comes from elsewhere, one source with the right password is let try; memory is bounded.
        #[test]
        fn others_cannot_lock_a_source_out(tries in prop::collection::vec((0u64..100_000, 2u8..=255, "[a-z]{1,2}"), 0..400)) {
            let (mut w, l) = (Watch::default(), Limits::default());
            for (at, from, name) in tries {
                w.failed(AT(at), ip(from), &name, &l);
                prop_assert_eq!(w.may_try(AT(at), ip(1), &name), Ok(()));
            }
            prop_assert!(w.failures.len() <= MOST);
            prop_assert!(w.failures.values().all(|f| f.locked_until <= f.last + LONGEST));
        }
    }

    #[test]
    fn many_sources_do_not_fill_the_memory() {
        let (mut w, l) = (Watch::default(), Limits::default());
        for n in 0..10_000u32 {
            w.failed(AT(1), IpAddr::from(n.to_be_bytes()), "eve", &l);
        }
        assert!(w.failures.len() <= MOST);
    }
}
