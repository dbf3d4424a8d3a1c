//! A package as files: a ZIP archive or a plain folder, read within `Limits`.
//!
//! Owns opening, listing, and reading or streaming one file with its digests. Never unpacks to
//! disk, follows a link, or trusts a size or a name that the archive states about itself.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use smol_str::SmolStr;
use zip::{CompressionMethod, ZipArchive};

use super::{
    diagnose::{Diagnostics, Sink},
    digest::{Algorithm, Digests},
    limits::Limits,
};
use crate::model::error::{Fault, Result};

/// An opened package. Every path in it is relative, `/`-separated and free of `..`.
pub struct Archive {
    entries: BTreeMap<SmolStr, Entry>,
    zip: Option<ZipArchive<File>>,
    limits: Limits,
}

#[derive(Debug, Clone)]
struct Entry {
    size: u64,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Zip(usize),
    File(PathBuf),
    /// Made by `package build`: a manifest that no folder holds.
    Bytes(Arc<[u8]>),
}

impl Archive {
    /// Opens a folder or a ZIP file and checks every entry; all that is wrong is told at once.
    pub fn open(path: &Path, limits: &Limits) -> std::result::Result<Archive, Diagnostics> {
        let sink = Sink::default();
        let root = sink.file("");
        let opened = match fs::metadata(path) {
            Ok(m) if m.is_dir() => Self::open_dir(path, limits, &sink),
            Ok(m) if m.is_file() => Self::open_zip(path, limits, &sink),
            Ok(_) => Err(format!("{} is neither a file nor a folder", path.display())),
            Err(e) => Err(format!("{}: {e}", path.display())),
        };
        match opened {
            Ok(mut a) => {
                a.limits = limits.clone();
                a.check_totals(&sink);
                if sink.has_errors() { Err(sink.finish()) } else { Ok(a) }
            }
            Err(why) => {
                sink.error(root, "", why);
                Err(sink.finish())
            }
        }
    }

    /// One without files.
    pub fn empty() -> Archive {
        Archive { entries: BTreeMap::new(), zip: None, limits: Limits::default() }
    }

    fn check_totals(&self, sink: &Sink) {
        let root = sink.file("");
        if self.entries.len() as u64 > self.limits.entries {
            sink.error(root, "", format!("{} files, more than the {} allowed", self.entries.len(), self.limits.entries));
        }
        let mut total: u64 = 0;
        for (path, e) in &self.entries {
            total = total.saturating_add(e.size);
            if e.size > self.limits.entry_bytes {
                let text = format!("{} bytes unpacked, more than the {} allowed for one file", e.size, self.limits.entry_bytes);
                sink.error(sink.file(path), "", text);
            }
        }
        if total > self.limits.total_bytes {
            sink.error(root, "", format!("{total} bytes unpacked, more than the {} allowed in all", self.limits.total_bytes));
        }
    }

    fn open_dir(dir: &Path, limits: &Limits, sink: &Sink) -> std::result::Result<Archive, String> {
        let mut entries = BTreeMap::new();
        let mut todo = vec![(dir.to_path_buf(), String::new())];
        while let Some((folder, prefix)) = todo.pop() {
            let listing = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            for item in listing {
                let item = item.map_err(|e| format!("{}: {e}", folder.display()))?;
                let name = item.file_name();
                let Some(name) = name.to_str() else {
                    sink.error(sink.file(&prefix), "", format!("the name {name:?} is not UTF-8"));
                    continue;
                };
                // What editors and version control leave behind is no part of a package.
                if name.starts_with('.') {
                    continue;
                }
                let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
                let kind = item.metadata().map_err(|e| format!("{path}: {e}"))?;
                if let Err(why) = check_path(&path) {
                    sink.error(sink.file(&path), "", why);
                } else if kind.is_dir() {
                    todo.push((item.path(), path));
                } else if kind.is_file() {
                    entries.insert(SmolStr::new(&path), Entry { size: kind.len(), place: Place::File(item.path()) });
                } else {
                    let what = if kind.is_symlink() { "a symbolic link" } else { "not a regular file" };
                    sink.error_hint(sink.file(&path), "", format!("{what}; packages hold plain files only"), "put the file itself here");
                }
                if entries.len() as u64 > limits.entries {
                    return Err(format!("more than the {} files allowed", limits.entries));
                }
            }
        }
        Ok(Archive { entries, zip: None, limits: limits.clone() })
    }

    fn open_zip(path: &Path, limits: &Limits, sink: &Sink) -> std::result::Result<Archive, String> {
        let mut file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let claimed = claimed_entries(&mut file).map_err(|e| format!("{e}"))?;
        if claimed > limits.entries {
            return Err(format!("{claimed} entries, more than the {} allowed", limits.entries));
        }
        let mut zip = ZipArchive::new(file).map_err(|e| format!("the ZIP archive cannot be read, it may be cut short: {e}"))?;
        let start = zip.central_directory_start();
        let mut file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        for name in duplicate_names(&mut file, start, limits.entries).map_err(|e| format!("the ZIP directory cannot be read: {e}"))? {
            sink.error(sink.file(&name), "", "is in the archive more than once");
        }
        let mut entries = BTreeMap::new();
        for i in 0..zip.len() {
            let e = match zip.by_index_raw(i) {
                Ok(e) => e,
                Err(e) => {
                    sink.error(sink.file(""), "", format!("entry {i} of the archive cannot be read: {e}"));
                    continue;
                }
            };
            let name = e.name().to_owned();
            let pos = sink.file(&name.escape_debug().to_string());
            if let Err(why) = check_path(name.strip_suffix('/').unwrap_or(&name)) {
                sink.error(pos, "", why);
                continue;
            }
            if e.is_symlink() {
                sink.error_hint(pos, "", "a symbolic link; packages hold plain files only", "put the file itself here");
                continue;
            }
            if e.is_dir() {
                continue;
            }
            if e.encrypted() {
                sink.error_hint(pos, "", "is encrypted", "pack it without a password");
                continue;
            }
            if !matches!(e.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
                sink.error_hint(pos, "", format!("is compressed with {}", e.compression()), "use 'stored' or 'deflate'");
                continue;
            }
            let (packed, size) = (e.compressed_size(), e.size());
            if size > limits.ratio_from_bytes && size / packed.max(1) > limits.ratio {
                let text = format!("unpacks from {packed} to {size} bytes, more than {} times: it looks like a ZIP bomb", limits.ratio);
                sink.error(pos, "", text);
                continue;
            }
            entries.insert(SmolStr::new(&name), Entry { size, place: Place::Zip(i) });
        }
        Ok(Archive { entries, zip: Some(zip), limits: limits.clone() })
    }

    /// Puts a file of the disk into the package under `path`, in place of one that is there.
    pub fn add_file(&mut self, path: &str, disk: &Path) -> Result<()> {
        check_path(path).map_err(|why| Fault::invalid(format!("'{path}' {why}")))?;
        let meta = fs::metadata(disk).map_err(|e| Fault::invalid(format!("{}: {e}", disk.display())))?;
        if !meta.is_file() {
            return Err(Fault::invalid(format!("{} is not a file", disk.display())));
        }
        self.entries.insert(SmolStr::new(path), Entry { size: meta.len(), place: Place::File(disk.to_path_buf()) });
        Ok(())
    }

    /// Puts a made file into the package under `path`, in place of one that is there.
    pub fn add_bytes(&mut self, path: &str, bytes: Vec<u8>) -> Result<()> {
        check_path(path).map_err(|why| Fault::invalid(format!("'{path}' {why}")))?;
        self.entries.insert(SmolStr::new(path), Entry { size: bytes.len() as u64, place: Place::Bytes(bytes.into()) });
        Ok(())
    }

    /// Paths and stated sizes, by path.
    pub fn entries(&self) -> impl Iterator<Item = (&SmolStr, u64)> {
        self.entries.iter().map(|(p, e)| (p, e.size))
    }
    pub fn contains(&self, path: &str) -> bool {
        self.entries.contains_key(path)
    }
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
    /// From here on read within these; what was checked at opening stays checked.
    pub fn limit(&mut self, limits: &Limits) {
        self.limits = limits.clone();
    }

    /// A file that is read whole: a descriptor, a manifest, a template.
    pub fn read_text(&mut self, path: &str) -> Result<String> {
        let max = self.limits.text_bytes;
        let mut out = Vec::new();
        self.with_reader(path, |r, size| {
            if size > max {
                return Err(Fault::invalid(format!("{path}: {size} bytes, more than the {max} allowed for a text file")));
            }
            r.take(max + 1).read_to_end(&mut out).map_err(|e| unreadable(path, &e))?;
            Ok(())
        })?;
        if out.len() as u64 > max {
            return Err(Fault::invalid(format!("{path}: more than the {max} bytes allowed for a text file")));
        }
        String::from_utf8(out).map_err(|_| Fault::invalid(format!("{path}: is not UTF-8 text")))
    }

    /// The first bytes of a file, at most `n`.
    pub fn head(&mut self, path: &str, n: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.with_reader(path, |r, _| {
            // The last bytes' checksum is not wanted here: only reading to the end verifies it.
            r.take(n).read_to_end(&mut out).map_err(|e| unreadable(path, &e))?;
            Ok(())
        })?;
        Ok(out)
    }

    /// Copies a file to `out`, counting and hashing on the way. The writer has the whole file only
    /// when this returns `Ok`.
    pub fn stream(&mut self, path: &str, out: &mut dyn Write, also: &[Algorithm]) -> Result<Digests> {
        let max = self.limits.entry_bytes;
        self.with_reader(path, |r, size| {
            let mut digests = Digests::new(also);
            let mut buf = vec![0u8; 128 << 10];
            loop {
                let n = match r.read(&mut buf) {
                    Ok(0) => break,
                    Ok(n) => n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(unreadable(path, &e)),
                };
                let chunk = buf.get(..n).unwrap_or_default();
                digests.update(chunk);
                if digests.size() > size.min(max) {
                    return Err(Fault::invalid(format!("{path}: unpacks to more than the {size} bytes the archive states")));
                }
                out.write_all(chunk).map_err(|e| Fault::transient(format!("{path}: cannot be written: {e}")).with_source(e))?;
            }
            if digests.size() != size {
                return Err(Fault::invalid(format!("{path}: {} bytes, but {size} are stated", digests.size())));
            }
            Ok(digests)
        })
    }

    fn with_reader<T>(&mut self, path: &str, f: impl FnOnce(&mut dyn Read, u64) -> Result<T>) -> Result<T> {
        let entry = self.entries.get(path).cloned().ok_or_else(|| Fault::invalid(format!("{path}: is not in the package")))?;
        match (&entry.place, &mut self.zip) {
            (Place::File(disk), _) => {
                let mut file =
                    fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(disk).map_err(|e| unreadable(path, &e))?;
                f(&mut file, entry.size)
            }
            (Place::Bytes(bytes), _) => f(&mut bytes.as_ref(), entry.size),
            (Place::Zip(i), Some(zip)) => {
                let mut r = zip.by_index(*i).map_err(|e| Fault::invalid(format!("{path}: cannot be unpacked: {e}")))?;
                f(&mut r, entry.size)
            }
            (Place::Zip(_), None) => Err(Fault::bug(format!("{path}: its archive is not open"))),
        }
    }
}

fn unreadable(path: &str, e: &io::Error) -> Fault {
    Fault::invalid(format!("{path}: cannot be read, the archive may be damaged: {e}"))
}

/// Whether a name in an archive is one that stays inside it, and why not.
pub fn check_path(path: &str) -> std::result::Result<(), &'static str> {
    if path.is_empty() {
        return Err("has no name");
    }
    if path.len() > 1024 {
        return Err("has a name longer than 1024 bytes");
    }
    if path.starts_with('/') {
        return Err("is an absolute path; names in a package are relative");
    }
    if path.contains('\\') {
        return Err("has a backslash in its name; folders are separated by '/'");
    }
    if path.chars().any(char::is_control) {
        return Err("has a control character in its name");
    }
    if path.as_bytes().get(1) == Some(&b':') {
        return Err("starts with a drive letter");
    }
    for part in path.split('/') {
        match part {
            ".." => return Err("leads out of the package ('..')"),
            "" | "." => return Err("has an empty or '.' part in its path"),
            p if p.len() > 255 => return Err("has a part longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

fn le(b: &[u8], at: usize, n: usize) -> u64 {
    (0..n).rev().fold(0, |v, i| (v << 8) | u64::from(b.get(at + i).copied().unwrap_or(0)))
}

/// How many entries the archive's end record claims, before anything is allocated for them.
fn claimed_entries(file: &mut File) -> io::Result<u64> {
    let len = file.seek(SeekFrom::End(0))?;
    let tail = len.min(65_557);
    file.seek(SeekFrom::Start(len - tail))?;
    let mut buf = Vec::new();
    file.take(tail).read_to_end(&mut buf)?;
    let at = buf.windows(4).rposition(|w| w == b"PK\x05\x06");
    let Some(at) = at.filter(|at| buf.len() >= at + 22) else {
        return Err(io::Error::other("not a ZIP archive, or one that is cut short: its end record is missing"));
    };
    let n = le(&buf, at + 10, 2);
    if n != 0xffff {
        return Ok(n);
    }
    // ZIP64: a locator right before the end record says where the large end record is.
    let Some(loc) = at.checked_sub(20).filter(|l| buf.get(*l..l + 4) == Some(b"PK\x06\x07")) else { return Ok(n) };
    file.seek(SeekFrom::Start(le(&buf, loc + 8, 8)))?;
    let mut rec = [0u8; 56];
    file.read_exact(&mut rec)?;
    Ok(le(&rec, 32, 8))
}

/// Names that the central directory lists twice; the ZIP reader would keep the last in silence.
fn duplicate_names(file: &mut File, start: u64, most: u64) -> io::Result<Vec<String>> {
    file.seek(SeekFrom::Start(start))?;
    let mut r = io::BufReader::new(file);
    let mut seen = std::collections::BTreeSet::new();
    let mut twice = Vec::new();
    for _ in 0..most {
        let mut head = [0u8; 46];
        if r.read_exact(&mut head).is_err() || !head.starts_with(b"PK\x01\x02") {
            break;
        }
        let mut name = vec![0u8; le(&head, 28, 2) as usize];
        r.read_exact(&mut name)?;
        io::copy(&mut (&mut r).take(le(&head, 30, 2) + le(&head, 32, 2)), &mut io::sink())?;
        if !seen.insert(name.clone()) {
            twice.push(String::from_utf8_lossy(&name).escape_debug().to_string());
        }
    }
    Ok(twice)
}
