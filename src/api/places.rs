//! Who has how many of the places for connections: one source has a part of them at most, or whoever came first would keep all
//! others out. Never: what is said on a connection.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// How many connections each source has.
#[derive(Clone)]
pub struct Sources {
    open: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
    most: usize,
    /// Whoever is on this box is not counted: what forwards for others is one source.
    but_loopback: bool,
}

/// A place, until it is dropped.
pub struct Seat {
    of: Option<(Sources, IpAddr)>,
}

impl Sources {
    pub fn new(most: usize, but_loopback: bool) -> Self {
        Sources { open: Arc::default(), most: most.max(1), but_loopback }
    }

    /// `None`: it has as many as it may.
    pub fn admit(&self, from: IpAddr) -> Option<Seat> {
        let from = source(from);
        if self.but_loopback && from.is_loopback() {
            return Some(Seat { of: None });
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let has = open.entry(from).or_default();
        if *has >= self.most {
            return None;
        }
        *has += 1;
        Some(Seat { of: Some((self.clone(), from)) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((sources, from)) = &self.of else { return };
        let mut open = sources.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = open.get_mut(from) {
            *has -= 1;
            if *has == 0 {
                open.remove(from);
            }
        }
    }
}

/// Whoever has one address of an IPv6 network has all of its 64 bits.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(a) if !a.is_loopback() => IpAddr::V6((a.to_bits() & !u128::from(u64::MAX)).into()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_part_and_the_others_theirs() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let all = Sources::new(2, true);
        let seats = [all.admit(ip("192.0.2.1")), all.admit(ip("192.0.2.1"))];
        assert!(seats.iter().all(Option::is_some) && all.admit(ip("192.0.2.1")).is_none());
        assert!(all.admit(ip("::ffff:192.0.2.1")).is_none(), "the same one");
        assert!(all.admit(ip("192.0.2.2")).is_some());
        let net = [all.admit(ip("2001:db8::1")), all.admit(ip("2001:db8::2"))];
        assert!(net.iter().all(Option::is_some) && all.admit(ip("2001:db8::3")).is_none() && all.admit(ip("2001:db8:0:1::1")).is_some());
        let here: Vec<_> = (0..9).map(|_| all.admit(ip("127.0.0.1"))).collect();
        assert!(here.iter().all(Option::is_some));
        drop(seats);
        assert!(all.admit(ip("192.0.2.1")).is_some(), "a place that came free");
        drop(net);
        assert!(all.open.lock().expect("lock").is_empty(), "nobody is remembered who has none");
    }
}
