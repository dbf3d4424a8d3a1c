//! The end of the daemon's own log, kept in memory for the support archive.
//!
//! Owns a bounded tail; every line goes to standard error all the same. Never: a file.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// Some thousand lines; the daemon's memory is dear.
const KEPT: usize = 192 * 1024;

/// Clones share it.
#[derive(Clone, Default)]
pub struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    /// Whole lines, oldest first.
    pub fn text(&self) -> Vec<u8> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<u8> = kept.iter().copied().collect();
        drop(kept);
        // The first line may have lost its beginning.
        match (all.len() < KEPT, all.iter().position(|b| *b == b'\n')) {
            (false, Some(end)) => all[end + 1..].to_vec(),
            (true, _) | (false, None) => all,
        }
    }

    pub fn keep(&self, line: &[u8]) {
        let line = &line[line.len().saturating_sub(KEPT)..];
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = (kept.len() + line.len()).saturating_sub(KEPT);
        kept.drain(..over);
        kept.extend(line);
    }

    /// Writes to standard error, and keeps.
    pub fn tee(&self) -> impl Write + use<> {
        Tee(self.clone())
    }
}

struct Tee(Tail);

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = io::stderr().write(bytes)?;
        self.0.keep(&bytes[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_whole_lines_and_never_more_than_it_may_hold() {
        let tail = Tail::default();
        tail.keep(b"first\n");
        assert_eq!(tail.text(), b"first\n");
        for n in 0..20_000 {
            tail.keep(format!("line {n}\n").as_bytes());
        }
        let text = String::from_utf8(tail.text()).expect("text");
        assert!(text.len() <= KEPT && text.len() > KEPT - 64, "{}", text.len());
        assert!(text.starts_with("line ") && text.ends_with("line 19999\n"));
        tail.keep(&[b'x'; KEPT * 2]);
        assert_eq!(tail.text().len(), KEPT);
    }
}
