//! Exports and imports: the whole store in one file.
//!
//! Owns the export's format. Never: the key that seals secrets (`seal.key` is not in an export: back it up apart).
//!
//!     "bothy export 1\n" [generation u64]
//!     ([database u8: 1 live, 2 history][key length u32][value length u32][key][value])*
//!     [0 u8][SHA-256 of all before]
//!
//! Numbers are big-endian. Entries are the store's own keys and values, tallies and parts of large values included, so
//! an import is checked by the same tallies as an open.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    Mark,
    database::{Handle, Setup, io_fault},
    disk::Disk,
    layout::MAX_RECORD,
    manifest::{Failed, ManifestFile, Which},
    verify,
};
use crate::model::error::{Fault, Result};

const MAGIC: &[u8] = b"bothy export 1\n";
const END: u8 = 0;

/// Longest key or value an import believes, in bytes.
const LIMIT: u32 = MAX_RECORD as u32;

fn mark_of(which: Which) -> u8 {
    match which {
        Which::Live => 1,
        Which::History => 2,
    }
}

/// Writes both databases to `path`. The caller holds both gates, so that what is written is one moment.
pub(super) fn write(path: &Path, generation: u64, handles: [(Which, &Handle); 2], disk: &dyn Disk) -> Result<()> {
    let temp = path.with_extension("tmp");
    let result = write_temp(&temp, generation, handles).and_then(|()| {
        disk.sync_file(&temp).map_err(|e| io_fault("sync", &temp, e))?;
        fs::rename(&temp, path).map_err(|e| io_fault("write", path, e))?;
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.sync_dir(parent).map_err(|e| io_fault("sync", parent, e))
    });
    if result.is_err() {
        // What is half written helps nobody; that it cannot be removed changes nothing either.
        let _ = fs::remove_file(&temp);
    }
    result
}

fn write_temp(temp: &Path, generation: u64, handles: [(Which, &Handle); 2]) -> Result<()> {
    let at = |e| io_fault("write", temp, e);
    let file = private_file(temp).map_err(at)?;
    let mut out = Hashed { inner: BufWriter::with_capacity(256 * 1024, file), sha: Sha256::new() };
    out.write_all(MAGIC).map_err(at)?;
    out.write_all(&generation.to_be_bytes()).map_err(at)?;
    for (which, handle) in handles {
        handle.for_each_raw(|key, value| {
            let mut entry = || -> io::Result<()> {
                out.write_all(&[mark_of(which)])?;
                out.write_all(&(key.len() as u32).to_be_bytes())?;
                out.write_all(&(value.len() as u32).to_be_bytes())?;
                out.write_all(key)?;
                out.write_all(value)
            };
            entry().map_err(at)
        })?;
    }
    out.write_all(&[END]).map_err(at)?;
    let Hashed { mut inner, sha } = out;
    inner.write_all(&sha.finalize()).map_err(at)?;
    inner.flush().map_err(at)
}

/// Records and audit are nobody else's business.
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

struct Hashed<T> {
    inner: T,
    sha: Sha256,
}
impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.sha.update(&buf[..n]);
        Ok(n)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.sha.update(&buf[..n]);
        Ok(n)
    }
}

/// Reads an export to its digest, handing each entry to `each`; returns its generation.
fn read(path: &Path, mut each: impl FnMut(Which, &[u8], &[u8]) -> Result<()>) -> Result<u64> {
    let torn = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => damaged(path, "it ends too early"),
        _ => io_fault("read", path, e),
    };
    let file = File::open(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Fault::not_found(format!("there is no export {}", path.display())),
        _ => io_fault("read", path, e),
    })?;
    let mut from = Hashed { inner: BufReader::with_capacity(256 * 1024, file), sha: Sha256::new() };
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).map_err(torn)?;
    if magic != MAGIC {
        return Err(Fault::invalid(format!("{} is not an export this bothy reads", path.display())));
    }
    let generation = u64::from_be_bytes(take(&mut from).map_err(torn)?);
    let (mut key, mut value) = (Vec::new(), Vec::new());
    loop {
        let [mark] = take(&mut from).map_err(torn)?;
        if mark == END {
            break;
        }
        let Some(which) = Which::ALL.into_iter().find(|w| mark_of(*w) == mark) else {
            return Err(damaged(path, "an entry belongs to no database"));
        };
        for part in [&mut key, &mut value] {
            part.clear();
            part.extend_from_slice(&take::<4>(&mut from).map_err(torn)?);
        }
        let lengths = [&key, &value].map(|p| p.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)));
        if lengths.iter().any(|l| *l > LIMIT) {
            return Err(damaged(path, "an entry is larger than any record"));
        }
        for (part, len) in [&mut key, &mut value].into_iter().zip(lengths) {
            part.resize(len as usize, 0);
            from.read_exact(part).map_err(torn)?;
        }
        each(which, &key, &value)?;
    }
    let Hashed { mut inner, sha } = from;
    let mut digest = [0; 32];
    inner.read_exact(&mut digest).map_err(torn)?;
    if digest != sha.finalize()[..] {
        return Err(damaged(path, "its digest does not match"));
    }
    Ok(generation)
}

fn take<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    from.read_exact(&mut out)?;
    Ok(out)
}

fn damaged(path: &Path, why: &str) -> Fault {
    Fault::invalid(format!("the export {} is damaged: {why}", path.display()))
}

/// Makes the export the store, under a generation newer than any seen: of the export, of the manifest.
///
/// The export is read to its digest first; the databases are built beside those there are, and replacing the manifest
/// is what makes them the store. The old folders stay where they are; the caller sets them aside.
pub(super) fn restore(path: &Path, manifest: &ManifestFile, setup: &Setup) -> Result<u64> {
    let generation = read(path, |_, _, _| Ok(()))?.max(manifest.get().generation) + 1;
    let numbers = Which::ALL.map(|w| manifest.next_number(w));
    let folders = [manifest.folder(Which::Live, numbers[0]), manifest.folder(Which::History, numbers[1])];
    let build = || -> Result<()> {
        let [live, history] = [Handle::open(&folders[0], &setup.of(Which::Live))?, Handle::open(&folders[1], &setup.of(Which::History))?];
        read(path, |which, key, value| match which {
            Which::Live => live.fill_raw(key, value),
            Which::History => history.fill_raw(key, value),
        })?;
        for handle in [&live, &history] {
            handle.transact(|tx| tx.put(&Mark { generation }))?;
            let problems = verify::tallies(handle)?.problems();
            if !problems.is_empty() {
                return Err(Fault::invalid(format!("the export {} does not add up", path.display())).with_reasons(problems));
            }
            handle.barrier()?;
        }
        Ok(())
    };
    let done = build().and_then(|()| {
        let swap = manifest.replace(|m| {
            m.generation = generation;
            m.restored = true;
            m.live = numbers[0];
            m.history = numbers[1];
        });
        swap.map_err(Failed::fault)
    });
    if let Err(fault) = done {
        if manifest.get().live != numbers[0] {
            for folder in &folders {
                // An open removes what no manifest names.
                let _ = fs::remove_dir_all(folder);
            }
        }
        return Err(fault);
    }
    Ok(generation)
}
