//! The entries of a backup: which there may be, and each with its digest.
//!
//! ```text
//! ([name length u16][name][length u64][content][SHA-256 of the content])*   [0 u16][SHA-256 of all names, lengths, digests]
//! ```
//! Numbers are big-endian; the first entry is the manifest. Never: what is in an entry.

use std::{
    collections::HashSet,
    io::{self, Read, Write},
};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{
    manifest,
    seal::{Reader, damaged},
};
use crate::model::{
    backup::Manifest,
    error::{Fault, Result},
    id::DiskId,
};

pub const MANIFEST: &str = "manifest";
/// The export of the store.
pub const STORE: &str = "store";
pub const SEAL_KEY: &str = "seal.key";
pub const CONFIG: &str = "bothy.toml";
pub const TLS: [&str; 2] = ["tls/cert.pem", "tls/key.pem"];
/// Folders of files by digest, and of disks.
pub const FOLDERS: [&str; 3] = ["artifacts", "images", "disks"];
/// A manifest is a page.
const MOST_MANIFEST: u64 = 1 << 20;
/// Each is a file of its own in the box that takes it.
const MOST_ENTRIES: usize = 100_000;

/// What an entry's content has to be, by its name.
enum Kind {
    Small,
    ByDigest([u8; 32]),
    Disk,
}

fn kind(name: &str) -> Option<Kind> {
    if [MANIFEST, STORE, SEAL_KEY, CONFIG].contains(&name) || TLS.contains(&name) {
        return Some(Kind::Small);
    }
    let (folder, file) = name.split_once('/')?;
    match folder {
        "artifacts" | "images" => Some(Kind::ByDigest(HEXLOWER.decode(file.as_bytes()).ok()?.try_into().ok()?)),
        "disks" => file.strip_suffix(".qcow2")?.parse::<DiskId>().ok().map(|_| Kind::Disk),
        _ => None,
    }
}

/// Puts entries out.
pub struct Entries<W> {
    to: W,
    all: Sha256,
}

impl<W: Write> Entries<W> {
    pub fn new(to: W) -> Self {
        Entries { to, all: Sha256::new() }
    }

    /// `length` bytes of it, no less.
    pub fn put(&mut self, name: &str, length: u64, from: &mut dyn Read) -> io::Result<()> {
        self.said(&(name.len() as u16).to_be_bytes())?;
        self.said(name.as_bytes())?;
        self.said(&length.to_be_bytes())?;
        let (mut sha, mut left, mut buffer) = (Sha256::new(), length, vec![0; 128 << 10]);
        while left > 0 {
            let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = from.read(&mut buffer[..n])?;
            if n == 0 {
                return Err(io::Error::other(format!("{name} is shorter than it was")));
            }
            sha.update(&buffer[..n]);
            self.to.write_all(&buffer[..n])?;
            left -= n as u64;
        }
        self.said(&sha.finalize())
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.said(&0u16.to_be_bytes())?;
        let all = self.all.finalize();
        self.to.write_all(&all)?;
        Ok(self.to)
    }

    fn said(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.all.update(bytes);
        self.to.write_all(bytes)
    }
}

/// What a backup was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub manifest: Manifest,
    /// Name and length of each entry, the manifest too.
    pub entries: Vec<(String, u64)>,
}

impl Found {
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|(_, n)| n).sum()
    }
}

/// Reads all of it and keeps nothing.
pub fn verify(from: impl Read, passphrase: Option<&str>) -> Result<Found> {
    read(from, passphrase, &mut |_| Ok(()), &mut |_, _| Ok(Box::new(io::sink())))
}

/// What takes an entry of this name and size.
pub type Sink<'s> = &'s mut dyn FnMut(&str, u64) -> Result<Box<dyn Write>>;

/// Hands each entry to what `sink` gives for it, once the manifest is `taken`. Every entry that is not what its digest says
/// is told, and nothing of a backup with a fault is to be used.
pub fn read(from: impl Read, passphrase: Option<&str>, taken: &mut dyn FnMut(&Manifest) -> Result<()>, sink: Sink<'_>) -> Result<Found> {
    let mut from = Reader::new(from, passphrase)?;
    let torn = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
        io::ErrorKind::InvalidData => damaged(&e.to_string()),
        _ => Fault::transient(format!("the backup cannot be read: {e}")).with_source(e),
    };
    let mut all = Sha256::new();
    let mut found: Option<Found> = None;
    let mut wrong = Vec::new();
    let mut names = HashSet::new();
    loop {
        let length = take::<2>(&mut from, &mut all).map_err(torn)?;
        let length = u16::from_be_bytes(length);
        if length == 0 {
            break;
        }
        let mut name = vec![0; usize::from(length)];
        from.read_exact(&mut name).map_err(torn)?;
        all.update(&name);
        let name = String::from_utf8(name).map_err(|_| damaged("an entry has no name"))?;
        let size = u64::from_be_bytes(take::<8>(&mut from, &mut all).map_err(torn)?);
        let Some(kind) = kind(&name) else {
            return Err(damaged(&format!("it holds '{}', which is nothing of a box", name.escape_debug())));
        };
        let is_new = names.insert(name.clone());
        match &found {
            None if name != MANIFEST || size > MOST_MANIFEST => return Err(damaged("it does not begin with its manifest")),
            Some(_) if !is_new => return Err(damaged(&format!("it holds {name} twice"))),
            Some(_) if names.len() > MOST_ENTRIES => return Err(damaged(&format!("it holds more than {MOST_ENTRIES} entries"))),
            None | Some(_) => {}
        }
        let mut text = Vec::new();
        let mut to: Box<dyn Write> = if found.is_none() { Box::new(&mut text) } else { sink(&name, size)? };
        let digest = copy(&mut from, &mut *to, size).map_err(|e| match e {
            Copied::In(e) => torn(e),
            Copied::Out(e) => Fault::capacity(format!("{name} cannot be written: {e}")).with_source(e),
        })?;
        to.flush().map_err(|e| Fault::capacity(format!("{name} cannot be written: {e}")).with_source(e))?;
        drop(to);
        let said = take::<32>(&mut from, &mut all).map_err(torn)?;
        if said != digest {
            wrong.push(format!("{name} is not what its digest says"));
        } else if matches!(kind, Kind::ByDigest(d) if d != digest) {
            wrong.push(format!("{name} has another content than its name says"));
        }
        match &mut found {
            Some(f) => f.entries.push((name, size)),
            None if wrong.is_empty() => {
                let manifest = manifest::parse(&String::from_utf8_lossy(&text))?;
                taken(&manifest)?;
                found = Some(Found { manifest, entries: vec![(name, size)] });
            }
            // Nothing that follows can be made sense of.
            None => return Err(damaged("its manifest is not what its digest says")),
        }
    }
    let mut end = [0; 32];
    from.read_exact(&mut end).map_err(torn)?;
    let Some(found) = found else { return Err(damaged("it holds nothing")) };
    if end != all.finalize()[..] {
        wrong.push("its entries are not those that it was made of".to_owned());
    }
    if from.read(&mut [0]).map_err(torn)? != 0 {
        wrong.push("something follows its end".to_owned());
    }
    for name in [STORE, SEAL_KEY] {
        if found.entries.iter().all(|(n, _)| n != name) {
            wrong.push(format!("it holds no {name}"));
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(Fault::invalid("the backup is damaged").with_reasons(wrong)) }
}

enum Copied {
    In(io::Error),
    Out(io::Error),
}

fn copy(from: &mut dyn Read, to: &mut dyn Write, size: u64) -> std::result::Result<[u8; 32], Copied> {
    let (mut sha, mut left, mut buffer) = (Sha256::new(), size, vec![0; 128 << 10]);
    while left > 0 {
        let n = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        from.read_exact(&mut buffer[..n]).map_err(Copied::In)?;
        sha.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(Copied::Out)?;
        left -= n as u64;
    }
    Ok(sha.finalize().into())
}

fn take<const N: usize>(from: &mut dyn Read, all: &mut Sha256) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    from.read_exact(&mut out)?;
    all.update(out);
    Ok(out)
}

/// A backup in the clear that ends after its manifest.
#[cfg(test)]
pub fn only_manifest(text: &str, to: &mut Vec<u8>) {
    let out = super::seal::Writer::new(to, None).expect("begun");
    let mut entries = Entries::new(out);
    entries.put(MANIFEST, text.len() as u64, &mut text.as_bytes()).expect("written");
    entries.finish().expect("ended").finish().expect("ended");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_in_a_backup_twice() {
        for twice in [MANIFEST, SEAL_KEY] {
            let mut entries = Entries::new(super::super::seal::Writer::new(Vec::new(), None).expect("begun"));
            let text = manifest::render(&manifest::tests::sample());
            for (name, content) in [(MANIFEST, text.as_str()), (SEAL_KEY, "k"), (twice, text.as_str()), (STORE, "s")] {
                entries.put(name, content.len() as u64, &mut content.as_bytes()).expect("written");
            }
            let bytes = entries.finish().expect("ended").finish().expect("ended");
            let fault = verify(&bytes[..], None).expect_err("refused");
            assert!(fault.detail().contains(&format!("it holds {twice} twice")), "{fault:?}");
        }
    }
}
