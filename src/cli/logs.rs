//! `bothy vnf logs`: what a guest wrote to its serial console, once or as it comes.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    time::Duration,
};

use super::{client::Client, failure::Failure};

const PAUSE: Duration = Duration::from_millis(500);
/// Of what was shown, as much as finds its place again in the next piece.
const ANCHOR: usize = 512;

pub fn run(client: &Client, path: &str, follow: bool) -> Result<(), Failure> {
    let mut shown = Vec::new();
    loop {
        let mut now = Vec::new();
        client.download(path, &mut now)?;
        let fresh = fresh(&shown, &now);
        if put(fresh).is_err() || !follow {
            return Ok(());
        }
        shown = now;
        std::thread::sleep(PAUSE);
    }
}

/// The part of a log's end that was not in the one before.
fn fresh<'n>(before: &[u8], now: &'n [u8]) -> &'n [u8] {
    if let Some(rest) = now.strip_prefix(before) {
        return rest;
    }
    // The beginning was cut off meanwhile: the last of what was shown is looked for.
    let anchor = &before[before.len().saturating_sub(ANCHOR)..];
    match now.windows(anchor.len().max(1)).rposition(|w| w == anchor) {
        Some(at) => &now[at + anchor.len()..],
        None => now,
    }
}

/// To a terminal without what would drive it; to a file as it came.
fn put(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    if out.is_terminal() {
        let tame: Vec<u8> = bytes.iter().copied().filter(|b| matches!(b, b'\n' | b'\t' | 0x20..=0x7e | 0x80..)).collect();
        out.write_all(&tame)?;
    } else {
        out.write_all(bytes)?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followed_log_shows_each_byte_once() {
        let long: Vec<u8> = (0..4000u32).flat_map(|n| n.to_be_bytes()).collect();
        for (before, now, want) in [
            (&b""[..], &b"boot"[..], &b"boot"[..]),
            (b"boot", b"boot login", b" login"),
            (b"boot", b"boot", b""),
            (b"old guest", b"new", b"new"),
            (&long[..8000], &long[4000..12000], &long[8000..12000]),
        ] {
            assert_eq!(fresh(before, now), want);
        }
    }
}
