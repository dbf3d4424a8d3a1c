//! Basic credentials that were right a moment ago, so that each request of a poller costs no argon2.
//!
//! Kept for 60 s under HMAC-SHA-256 with a key made at the start, never in the clear; a change of the
//! account makes them void at once. Pure: time is handed in.

use std::{collections::HashMap, time::Duration};

use ring::hmac;
use smol_str::SmolStr;

const LIFE: Duration = Duration::from_secs(60);
const MOST: usize = 256;

pub struct Recent {
    key: hmac::Key,
    known: HashMap<[u8; 32], Right>,
}

struct Right {
    account: SmolStr,
    revision: u64,
    until: Duration,
}

impl Recent {
    pub fn new(key: [u8; 32]) -> Self {
        Recent { key: hmac::Key::new(hmac::HMAC_SHA256, &key), known: HashMap::new() }
    }

    fn mark(&self, account: &str, password: &str) -> [u8; 32] {
        let mut h = hmac::Context::with_key(&self.key);
        // The length keeps `ab`+`c` and `a`+`bc` apart.
        h.update(&(account.len() as u64).to_be_bytes());
        h.update(account.as_bytes());
        h.update(password.as_bytes());
        let mut out = [0; 32];
        out.copy_from_slice(h.sign().as_ref());
        out
    }

    pub fn has(&self, now: Duration, account: &str, revision: u64, password: &str) -> bool {
        let found = self.known.get(&self.mark(account, password));
        found.is_some_and(|r| r.account == account && r.revision == revision && now < r.until)
    }

    pub fn put(&mut self, now: Duration, account: &str, revision: u64, password: &str) {
        if self.known.len() >= MOST {
            self.known.retain(|_, r| now < r.until);
        }
        if self.known.len() < MOST {
            self.known.insert(self.mark(account, password), Right { account: account.into(), revision, until: now + LIFE });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_right_stays_so_for_a_minute_or_until_the_account_changes() {
        let mut r = Recent::new([1; 32]);
        let at = Duration::from_secs;
        r.put(at(10), "eve", 3, "password");
        for (now, account, revision, password, want) in [
            (10, "eve", 3, "password", true),
            (69, "eve", 3, "password", true),
            (70, "eve", 3, "password", false),
            (11, "eve", 4, "password", false),
            (11, "eve", 3, "passwore", false),
            (11, "ev", 3, "epassword", false),
        ] {
            assert_eq!(r.has(at(now), account, revision, password), want, "{now} {account} {revision} {password}");
        }
        for n in 0..1000 {
            r.put(at(20), &format!("user{n}"), 1, "password");
        }
        assert!(r.known.len() <= MOST);
        r.put(at(200), "late", 1, "password");
        assert!(r.has(at(200), "late", 1, "password"), "what is over makes room");
    }
}
