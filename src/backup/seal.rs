//! The outer form of a backup: a head in the clear, and a stream that is sealed or not.
//!
//! ```text
//! "bothy backup 1\n" "none\n"                                       what follows is in the clear
//! "bothy backup 1\n" "argon2id KIB PASSES LANES SALT CHECK\n"       ([length u32][ChaCha20-Poly1305])*
//! ```
//! Each piece is sealed under a number of its own, the last one under another mark, all with the head: so pieces cannot
//! be lost, moved or cut off. CHECK tells a wrong passphrase from a damaged file.

use std::io::{self, Read, Write};

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::HEXLOWER;
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::model::error::{Fault, Result};

const MAGIC: &str = "bothy backup 1\n";
const PIECE: usize = 256 << 10;
const TAG: usize = 16;
/// A guess costs memory, as for passwords (`access::password`), and more time: whoever has the file guesses at his leisure, and the
/// box computes it once a backup.
const COST: (u32, u32, u32) = (46 * 1024, 4, 1);
/// More than this of a stranger's head is not believed, in KiB.
const MOST_KIB: u32 = 256 << 10;
const CHECKED: &[u8] = b"bothy";
/// Shorter ones are guessed.
const PASSPHRASE: std::ops::RangeInclusive<usize> = 10..=256;

/// Whether anybody should trust in it.
pub fn check_passphrase(p: &str) -> Result<()> {
    if PASSPHRASE.contains(&p.len()) {
        return Ok(());
    }
    let (least, most) = (PASSPHRASE.start(), PASSPHRASE.end());
    Err(Fault::invalid(format!("a passphrase has {least} to {most} bytes, this one {}", p.len())))
}

/// By its first bytes: it has no passphrase.
pub fn is_clear(head: &[u8]) -> bool {
    head.strip_prefix(MAGIC.as_bytes()).is_some_and(|h| h.starts_with(b"none\n"))
}

/// What a piece is, in its nonce.
#[derive(Clone, Copy)]
enum Mark {
    More = 0,
    Last = 1,
    Check = 2,
}

fn nonce(n: u64, mark: Mark) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[0] = mark as u8;
    bytes[4..].copy_from_slice(&n.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn key(passphrase: &str, salt: &[u8], (kib, passes, lanes): (u32, u32, u32)) -> Result<LessSafeKey> {
    let bad = |e: argon2::Error| Fault::invalid(format!("the backup's key cannot be derived: {e}"));
    let params = Params::new(kib, passes, lanes, Some(32)).map_err(bad)?;
    let mut out = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(passphrase.as_bytes(), salt, &mut out).map_err(bad)?;
    Ok(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &out).map_err(|_| Fault::bug("a key of 32 bytes is refused"))?))
}

fn io_bug() -> io::Error {
    io::Error::other("a piece of the backup cannot be sealed")
}

/// Takes the content, and puts the backup out.
pub struct Writer<W> {
    to: W,
    key: Option<LessSafeKey>,
    head: Vec<u8>,
    buffer: Vec<u8>,
    n: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(mut to: W, passphrase: Option<&str>) -> Result<Self> {
        let (head, key) = match passphrase {
            None => (format!("{MAGIC}none\n"), None),
            Some(p) => {
                check_passphrase(p)?;
                let mut salt = [0; 16];
                SystemRandom::new().fill(&mut salt).map_err(|_| Fault::transient("the kernel gives no random bytes"))?;
                let key = key(p, &salt, COST)?;
                let mut check = CHECKED.to_vec();
                let sealed = key.seal_in_place_append_tag(nonce(0, Mark::Check), Aad::empty(), &mut check);
                sealed.map_err(|_| Fault::bug("the check of a passphrase cannot be sealed"))?;
                let (kib, passes, lanes) = COST;
                let (salt, check) = (HEXLOWER.encode(&salt), HEXLOWER.encode(&check));
                (format!("{MAGIC}argon2id {kib} {passes} {lanes} {salt} {check}\n"), Some(key))
            }
        };
        to.write_all(head.as_bytes()).map_err(|e| Fault::transient(format!("the backup cannot be written: {e}")))?;
        Ok(Writer { to, key, head: head.into_bytes(), buffer: Vec::with_capacity(PIECE + TAG), n: 0 })
    }

    fn piece(&mut self, mark: Mark) -> io::Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        key.seal_in_place_append_tag(nonce(self.n, mark), Aad::from(&self.head), &mut self.buffer).map_err(|_| io_bug())?;
        self.n += 1;
        self.to.write_all(&(self.buffer.len() as u32).to_be_bytes())?;
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Without it the backup has no end.
    pub fn finish(mut self) -> io::Result<W> {
        self.piece(Mark::Last)?;
        self.to.flush()?;
        Ok(self.to)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.key.is_none() {
            return self.to.write(buf);
        }
        if self.buffer.len() == PIECE {
            self.piece(Mark::More)?;
        }
        let n = buf.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&buf[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the content of a backup.
pub struct Reader<R> {
    from: R,
    key: Option<LessSafeKey>,
    head: Vec<u8>,
    piece: Vec<u8>,
    at: usize,
    n: u64,
    over: bool,
}

pub fn damaged(why: &str) -> Fault {
    Fault::invalid(format!("the backup is damaged: {why}"))
}

impl<R: Read> Reader<R> {
    pub fn new(mut from: R, passphrase: Option<&str>) -> Result<Self> {
        let torn = |e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => Fault::invalid("this is no backup of bothy's: it ends before it has begun"),
            _ => Fault::transient(format!("the backup cannot be read: {e}")),
        };
        let mut head = vec![0; MAGIC.len()];
        from.read_exact(&mut head).map_err(torn)?;
        if head != MAGIC.as_bytes() {
            return Err(match head.starts_with(b"bothy backup ") {
                true => Fault::invalid("this backup was made by a newer bothy: restore it with that release or a later one"),
                false => Fault::invalid("this is no backup of bothy's"),
            });
        }
        let begin = head.len();
        while head.last() != Some(&b'\n') || head.len() == begin {
            let mut one = [0];
            from.read_exact(&mut one).map_err(torn)?;
            head.push(one[0]);
            if head.len() > 512 {
                return Err(damaged("its head has no end"));
            }
        }
        let line = String::from_utf8_lossy(&head[begin..head.len() - 1]).into_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let key = match (&words[..], passphrase) {
            (["none"], None) => None,
            (["none"], Some(_)) => return Err(Fault::invalid("this backup is in the clear: it has no passphrase")),
            (["argon2id", ..], None) => return Err(Fault::invalid("this backup is sealed: its passphrase is needed")),
            (["argon2id", kib, passes, lanes, salt, check], Some(p)) => Some(opened(p, (kib, passes, lanes), salt, check)?),
            _ => return Err(Fault::invalid("this backup is sealed in a way that this bothy does not know")),
        };
        Ok(Reader { from, key, head, piece: Vec::new(), at: 0, n: 0, over: false })
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let Some(key) = &self.key else { return Ok(()) };
        let mut len = [0; 4];
        self.from.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len) as usize;
        if !(TAG..=PIECE + TAG).contains(&len) {
            return Err(bad("a piece has no length that any has"));
        }
        let mut sealed = vec![0; len];
        self.from.read_exact(&mut sealed)?;
        let open = |mark| {
            let mut piece = sealed.clone();
            let n = key.open_in_place(nonce(self.n, mark), Aad::from(&self.head), &mut piece).ok()?.len();
            piece.truncate(n);
            Some(piece)
        };
        self.piece = match open(Mark::More) {
            Some(p) => p,
            None => {
                self.over = true;
                open(Mark::Last).ok_or_else(|| bad("a piece was changed, or is not in its place"))?
            }
        };
        self.n += 1;
        self.at = 0;
        Ok(())
    }
}

fn opened(p: &str, (kib, passes, lanes): (&str, &str, &str), salt: &str, check: &str) -> Result<LessSafeKey> {
    let number = |w: &str| w.parse::<u32>().map_err(|_| damaged("its head cannot be read"));
    let bytes = |w: &str| HEXLOWER.decode(w.as_bytes()).map_err(|_| damaged("its head cannot be read"));
    let cost = (number(kib)?, number(passes)?, number(lanes)?);
    if cost.0 > MOST_KIB || cost.1 > 16 || cost.2 > 16 {
        return Err(damaged("its head asks for more memory or time than any passphrase is worth"));
    }
    let key = key(p, &bytes(salt)?, cost)?;
    let mut check = bytes(check)?;
    match key.open_in_place(nonce(0, Mark::Check), Aad::empty(), &mut check) {
        Ok(_) => Ok(key),
        Err(_) => Err(Fault::forbidden("this is not the passphrase of this backup")),
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.key.is_none() {
            return self.from.read(buf);
        }
        while self.at == self.piece.len() {
            if self.over {
                return Ok(0);
            }
            self.next_piece()?;
        }
        let n = buf.len().min(self.piece.len() - self.at);
        buf[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Kind;

    fn sealed(content: &[u8], passphrase: Option<&str>) -> Vec<u8> {
        let mut w = Writer::new(Vec::new(), passphrase).expect("begun");
        w.write_all(content).expect("written");
        w.finish().expect("ended")
    }

    fn open(bytes: &[u8], passphrase: Option<&str>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Reader::new(bytes, passphrase)?.read_to_end(&mut out).map_err(|e| damaged(&e.to_string()))?;
        Ok(out)
    }

    const P: Option<&str> = Some("correct horse");

    #[test]
    fn what_is_sealed_opens_with_its_passphrase_alone_and_whole() {
        for content in [Vec::new(), b"short".to_vec(), vec![7; PIECE], vec![9; 2 * PIECE + 1]] {
            for p in [None, P] {
                assert!(open(&sealed(&content, p), p).expect("opened") == content);
            }
        }
        let all = sealed(&vec![9; 2 * PIECE + 1], P);
        for (p, kind) in [(None, Kind::Invalid), (Some("correct horses"), Kind::Forbidden)] {
            assert_eq!(open(&all, p).expect_err("refused").kind(), kind);
        }
        assert_eq!(open(&sealed(b"x", None), P).expect_err("in the clear").kind(), Kind::Invalid);
        assert_eq!(Writer::new(Vec::new(), Some("short")).err().map(|f| f.kind()), Some(Kind::Invalid));
        assert!(!all.windows(8).any(|w| w == [9; 8]));
    }

    #[test]
    fn a_piece_that_was_changed_moved_or_cut_off_is_seen() {
        let all = sealed(&vec![9; 2 * PIECE + 1], P);
        let head = all.iter().enumerate().filter(|(_, b)| **b == b'\n').nth(1).expect("a head").0 + 1;
        let piece = PIECE + TAG + 4;
        let mut swapped = all[..head].to_vec();
        swapped.extend(&all[head + piece..head + 2 * piece]);
        swapped.extend(&all[head..head + piece]);
        swapped.extend(&all[head + 2 * piece..]);
        for (what, bent) in [
            ("a byte", {
                let mut b = all.clone();
                b[head + 100] ^= 1;
                b
            }),
            ("a length", {
                let mut b = all.clone();
                b[head] ^= 0x40;
                b
            }),
            ("the order", swapped),
            ("the last piece", all[..head + 2 * piece].to_vec()),
            ("the end", all[..all.len() - 1].to_vec()),
            ("all but the head", all[..head].to_vec()),
        ] {
            assert!(open(&bent, P).is_err(), "{what}");
        }
        for bad in [&b""[..], b"PK\x03\x04", b"bothy backup 2\nnone\n", b"bothy backup 1\nrot13\n", &all[..20]] {
            assert_eq!(open(bad, P).expect_err("refused").kind(), Kind::Invalid, "{bad:?}");
        }
    }
}
