//! Passwords: argon2id, 46 MiB and one pass each (the first of OWASP's equal choices), two at one time.
//!
//! The memory is taken for one check and freed after it: an allocator that gives it back soon (Cargo.toml) keeps
//! an idle daemon small. Never: decides how often somebody may try (`rate`).

use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::{Algorithm, Argon2, Params, Version};

use super::digest::{random, same};
use crate::model::{
    access::Password,
    error::{Fault, Result},
};

const MEMORY_KIB: u32 = 46 * 1024;
const PASSES: u32 = 1;
const LANES: u32 = 1;

/// Shorter ones are guessed; longer ones are a way to keep the box busy.
pub const LENGTH: std::ops::RangeInclusive<usize> = 10..=256;

/// How many checks run at one time.
pub const AT_ONCE: usize = 2;

pub fn hash(password: &str) -> Result<Password> {
    if !LENGTH.contains(&password.len()) {
        let (least, most) = (LENGTH.start(), LENGTH.end());
        return Err(Fault::invalid(format!("a password has {least} to {most} bytes, this one {}", password.len())));
    }
    let mut p = Password { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt: random()?, hash: [0; 32] };
    p.hash = derive(&p, password)?;
    Ok(p)
}

/// Whether `password` is the one. Takes tens of milliseconds and the stored cost in memory.
pub fn verify(stored: &Password, password: &str) -> Result<bool> {
    Ok(same(&derive(stored, password)?, &stored.hash))
}

/// One that no password opens, at the same cost.
pub fn decoy() -> Result<Password> {
    Ok(Password { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt: random()?, hash: random()? })
}

fn derive(p: &Password, password: &str) -> Result<[u8; 32]> {
    let bad = |e: argon2::Error| Fault::bug(format!("argon2: {e}"));
    let params = Params::new(p.memory_kib, p.passes, p.lanes, Some(32)).map_err(bad)?;
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(password.as_bytes(), &p.salt, &mut out).map_err(bad)?;
    Ok(out)
}

/// The places for checks.
#[derive(Default)]
pub struct Checks(AtomicUsize);

/// A place; dropping it gives it back.
pub struct Place<'a>(&'a AtomicUsize);

impl Checks {
    pub fn enter(&self) -> Option<Place<'_>> {
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < AT_ONCE).then(|| n + 1));
        // Made where there is none, it would be dropped, and give back somebody else's.
        taken.ok().map(|_| Place(&self.0))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_only_its_own_hash_and_no_two_are_alike() {
        let (a, b) = (hash("correct horse").expect("hash"), hash("correct horse").expect("hash"));
        assert_ne!((a.salt, a.hash), (b.salt, b.hash));
        assert!(verify(&a, "correct horse").expect("check") && !verify(&a, "correct horsf").expect("check"));
        for bad in ["short", &"x".repeat(257)] {
            assert!(hash(bad).is_err(), "{bad}");
        }
    }

    /// RFC 9106 has no vector for version 1.3 without secret and data; this one is the reference
    /// implementation's (`echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`).
    #[test]
    fn it_is_argon2id_as_the_reference_has_it() {
        let params = Params::new(65_536, 2, 1, Some(32)).expect("params");
        let mut out = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(b"password", b"somesalt", &mut out).expect("hash");
        assert_eq!(data_encoding::HEXLOWER.encode(&out), "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7");
    }

    #[test]
    fn two_checks_run_at_one_time_and_no_more() {
        let checks = Checks::default();
        let (a, b) = (checks.enter(), checks.enter());
        assert!(a.is_some() && b.is_some());
        for _ in 0..5 {
            assert!(checks.enter().is_none(), "a refusal frees no place");
        }
        drop(a);
        assert!(checks.enter().is_some());
    }
}
