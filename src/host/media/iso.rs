//! A small ISO 9660 writer: Rock Ridge for Linux, Joliet for others, no clock.
//!
//! Owns the layout of one volume: system area, descriptors, path tables, folders (once with Rock
//! Ridge, once Joliet), files. Equal files give equal bytes, in whatever order they come. Never:
//! checks of names (`media` did them).
//!
//! Written here because the library at hand stamps folders and descriptors with the present time
//! and offers no other, which would make each medium differ from the last.
//!
//! ECMA-119 (numbers in comments are its clauses), SUSP 1.10, RRIP 1.10 (`RRIP_1991A`), Joliet.

use super::tree::Tree;
use crate::model::order::Order as _;
use crate::vim::port::MediumFile;

const SECTOR: usize = 2048;
/// Folders nest at most eight deep (6.8.2.1), the root being the first.
pub(super) const MAX_DEPTH: usize = 8;
/// Joliet's limit of one name, in UTF-16 units.
pub(super) const MAX_NAME: usize = 64;
/// 1980-01-01T00:00:00Z as years since 1900 and so on (9.1.5).
const DATE: [u8; 7] = [80, 1, 1, 0, 0, 0, 0];
const LONG_DATE: &[u8; 17] = b"1980010100000000\0";
const NO_DATE: &[u8; 17] = b"0000000000000000\0";

const DIRECTORY: u8 = 2;
const RRIP_ID: &str = "RRIP_1991A";
const RRIP_TEXT: &str = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
const RRIP_SOURCE: &str = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION.";

/// The two ways in which the same files are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    RockRidge,
    Joliet,
}

/// Where things are, in sectors, and how long folders are, in bytes.
#[derive(Clone, Default)]
struct Places {
    dirs: Vec<(u32, u32)>,
    files: Vec<u32>,
    rrip: u32,
}

/// The volume `label` with these files.
pub(super) fn write(label: &str, files: &[MediumFile]) -> Vec<u8> {
    let tree = Tree::new(files);
    let views = [View::RockRidge, View::Joliet];
    let orders = views.map(|v| tree.order(v));

    // 16 sectors of system area, two descriptors and their end, then the tables.
    let mut next = 19;
    let mut take = |bytes: usize| {
        let at = next;
        next += bytes.div_ceil(SECTOR) as u32;
        at
    };
    let nowhere = Places { dirs: vec![(0, 0); tree.dirs.len()], files: vec![0; files.len()], rrip: 0 };
    let tables = [0, 1].map(|i| {
        let len = tree.path_table(views[i], &orders[i], &nowhere, u32::to_le_bytes, u16::to_le_bytes).len();
        (len as u32, take(len), take(len))
    });
    let mut places = [nowhere.clone(), nowhere.clone()];
    for i in [0, 1] {
        for &dir in &orders[i] {
            let len = tree.folder(views[i], dir, &nowhere).len();
            places[i].dirs[dir] = (take(len), len as u32);
        }
    }
    places[0].rrip = take(SECTOR);
    for (number, file) in tree.files.iter().enumerate() {
        let at = take(file.content.len());
        places.iter_mut().for_each(|p| p.files[number] = at);
    }

    let mut out = Image(vec![0; next as usize * SECTOR]);
    for i in [0, 1] {
        let (len, little, big) = tables[i];
        out.put(16 + i as u32, &descriptor(views[i], label, next, tables[i], places[i].dirs[0]));
        debug_assert_eq!(len as usize, tree.path_table(views[i], &orders[i], &places[i], u32::to_le_bytes, u16::to_le_bytes).len());
        out.put(little, &tree.path_table(views[i], &orders[i], &places[i], u32::to_le_bytes, u16::to_le_bytes));
        out.put(big, &tree.path_table(views[i], &orders[i], &places[i], u32::to_be_bytes, u16::to_be_bytes));
        for &dir in &orders[i] {
            out.put(places[i].dirs[dir].0, &tree.folder(views[i], dir, &places[i]));
        }
    }
    out.put(18, b"\xffCD001\x01");
    out.put(places[0].rrip, &rrip_reference());
    for (number, file) in tree.files.iter().enumerate() {
        out.put(places[0].files[number], &file.content);
    }
    out.0
}

struct Image(Vec<u8>);

impl Image {
    fn put(&mut self, sector: u32, bytes: &[u8]) {
        let at = sector as usize * SECTOR;
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Tree<'_> {
    fn dir_id(&self, view: View, dir: usize) -> Vec<u8> {
        match view {
            View::RockRidge => self.dirs[dir].short.stem.clone().into_bytes(),
            View::Joliet => ucs2(self.dirs[dir].name),
        }
    }
    fn file_id(&self, view: View, name: &str, file: usize) -> Vec<u8> {
        match view {
            View::RockRidge => format!("{}.{};1", self.shorts[file].stem, self.shorts[file].extension).into_bytes(),
            View::Joliet => ucs2(&format!("{name};1")),
        }
    }

    /// Folders by level, then parent, then identifier: the order of the path table (6.9.1).
    fn order(&self, view: View) -> Vec<usize> {
        let mut order = vec![0];
        let mut at = 0;
        while at < order.len() {
            let mut subs: Vec<usize> = self.dirs[order[at]].dirs.values().copied().collect();
            subs.sort_by_cached_key(|&d| self.dir_id(view, d));
            order.extend(subs);
            at += 1;
        }
        order
    }

    fn path_table(&self, view: View, order: &[usize], at: &Places, long: fn(u32) -> [u8; 4], short: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let mut table = Vec::new();
        for &dir in order {
            let id = if dir == 0 { vec![0] } else { self.dir_id(view, dir) };
            let parent = order.iter().position(|&d| d == self.dirs[dir].parent).unwrap_or(0);
            table.extend([id.len() as u8, 0]);
            table.extend(long(at.dirs[dir].0));
            table.extend(short(parent as u16 + 1));
            table.extend(&id);
            table.resize(table.len().next_multiple_of(2), 0);
        }
        table
    }

    /// The records of one folder, in sectors that no record crosses (6.8.1.1).
    fn folder(&self, view: View, dir: usize, at: &Places) -> Vec<u8> {
        let here = &self.dirs[dir];
        let rock = |mode, links, name: Option<&str>| match view {
            View::RockRidge => rock_ridge(mode, links, name),
            View::Joliet => Vec::new(),
        };
        let folder = |d: usize, name: Option<&str>| rock(0o040_555, 2 + self.dirs[d].dirs.len() as u32, name);
        let mut dot = folder(dir, None);
        if dir == 0 && view == View::RockRidge {
            dot = [&b"SP\x07\x01\xbe\xef\x00"[..], &dot, &continuation(at.rrip)].concat();
        }
        let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (name, &d) in &here.dirs {
            let id = self.dir_id(view, d);
            entries.push((id.clone(), record(&id, at.dirs[d], DIRECTORY, &folder(d, Some(name)))));
        }
        for (name, &f) in &here.files {
            let id = self.file_id(view, name, f);
            let file = self.files[f];
            let mode = if file.secret { 0o100_400 } else { 0o100_444 };
            let extent = (at.files[f], file.content.len() as u32);
            entries.push((id.clone(), record(&id, extent, 0, &rock(mode, 1, Some(name)))));
        }
        entries.order();
        let own = record(&[0], at.dirs[dir], DIRECTORY, &dot);
        let parent = record(&[1], at.dirs[here.parent], DIRECTORY, &folder(here.parent, None));
        let mut out = Vec::new();
        for record in [own, parent].iter().chain(entries.iter().map(|(_, r)| r)) {
            if out.len() % SECTOR + record.len() > SECTOR {
                out.resize(out.len().next_multiple_of(SECTOR), 0);
            }
            out.extend(record);
        }
        out.resize(out.len().next_multiple_of(SECTOR), 0);
        out
    }
}

/// Both byte orders, one after the other (7.3.3).
fn both32(v: u32) -> [u8; 8] {
    let mut b = [0; 8];
    b[..4].copy_from_slice(&v.to_le_bytes());
    b[4..].copy_from_slice(&v.to_be_bytes());
    b
}
fn both16(v: u16) -> [u8; 4] {
    let (l, b) = (v.to_le_bytes(), v.to_be_bytes());
    [l[0], l[1], b[0], b[1]]
}
fn ucs2(s: &str) -> Vec<u8> {
    s.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A directory record (9.1).
fn record(id: &[u8], (sector, len): (u32, u32), flags: u8, system_use: &[u8]) -> Vec<u8> {
    let mut r = vec![0, 0];
    r.extend(both32(sector));
    r.extend(both32(len));
    r.extend(DATE);
    r.extend([flags, 0, 0]);
    r.extend(both16(1));
    r.push(id.len() as u8);
    r.extend(id);
    r.resize(r.len().next_multiple_of(2), 0);
    r.extend(system_use);
    r.resize(r.len().next_multiple_of(2), 0);
    r[0] = r.len() as u8;
    r
}

/// Mode, links, owner 0:0, times and the real name (RRIP 4.1).
fn rock_ridge(mode: u32, links: u32, name: Option<&str>) -> Vec<u8> {
    let mut su = b"PX\x24\x01".to_vec();
    su.extend([mode, links, 0, 0].into_iter().flat_map(both32));
    // Modified, read, changed.
    su.extend(b"TF\x1a\x01\x0e");
    su.extend([DATE; 3].concat());
    if let Some(name) = name {
        su.extend([b'N', b'M', 5 + name.len() as u8, 1, 0]);
        su.extend(name.as_bytes());
    }
    su
}

/// Says that Rock Ridge is in use; too long for the root's own record (SUSP 5.5).
fn rrip_reference() -> Vec<u8> {
    let texts = [RRIP_ID, RRIP_TEXT, RRIP_SOURCE];
    let [id, text, source] = texts.map(|t| t.len() as u8);
    let mut er = vec![b'E', b'R', 8 + id + text + source, 1, id, text, source, 1];
    er.extend(texts.concat().bytes());
    er
}
fn continuation(sector: u32) -> Vec<u8> {
    let mut ce = b"CE\x1c\x01".to_vec();
    ce.extend([sector, 0, rrip_reference().len() as u32].into_iter().flat_map(both32));
    ce
}

/// A volume descriptor (8.4; for Joliet 8.5 with the escape sequence of UCS-2 level 3).
fn descriptor(view: View, label: &str, sectors: u32, (table, little, big): (u32, u32, u32), root: (u32, u32)) -> Vec<u8> {
    let text = |s: &str, len: usize| {
        let mut t = match view {
            View::RockRidge => s.as_bytes().to_vec(),
            View::Joliet => ucs2(&s.chars().take(len / 2).collect::<String>()),
        };
        while t.len() < len {
            t.extend(if view == View::Joliet { &b"\0 "[..] } else { b" " });
        }
        t.truncate(len);
        t
    };
    let mut d = vec![if view == View::Joliet { 2 } else { 1 }];
    d.extend(b"CD001\x01\0");
    d.extend(text("", 32));
    d.extend(text(label, 32));
    d.extend([0; 8]);
    d.extend(both32(sectors));
    let mut escapes = [0; 32];
    if view == View::Joliet {
        escapes[..3].copy_from_slice(b"%/E");
    }
    d.extend(escapes);
    d.extend(both16(1));
    d.extend(both16(1));
    d.extend(both16(SECTOR as u16));
    d.extend(both32(table));
    d.extend(little.to_le_bytes());
    d.extend([0; 4]);
    d.extend(big.to_be_bytes());
    d.extend([0; 4]);
    d.extend(record(&[0], root, DIRECTORY, &[]));
    d.extend(text("", 3 * 128));
    d.extend(text("BOTHY", 128));
    d.extend(text("", 3 * 37));
    d.extend([*LONG_DATE, *LONG_DATE, *NO_DATE, *NO_DATE].concat());
    d.extend([1, 0]);
    d
}
