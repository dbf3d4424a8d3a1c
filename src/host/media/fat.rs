//! A small FAT16 writer with long names: no clock, equal files give equal bytes.
//!
//! Owns the layout of one volume: boot sector, two tables, root, then folders and files, each in
//! one piece. Never: checks of names (`media` did them).
//!
//! Written here because the library at hand (fatfs 0.3) puts long names before `.` and `..`, which
//! fsck.fat takes for damage. Offsets are those of Microsoft's FAT specification 1.03.

use super::tree::{Short, Tree};
use crate::vim::port::MediumFile;

const SECTOR: usize = 512;
/// A volume with fewer clusters is FAT12, one with more FAT32: readers go by nothing else.
const MIN_CLUSTERS: usize = 4096;
const MAX_CLUSTERS: usize = 65_524;
const ENTRY: usize = 32;
const LABEL: u8 = 0x08;
const FOLDER: u8 = 0x10;
const READ_ONLY: u8 = 0x01;
const LONG_NAME: u8 = 0x0f;
/// 1980-01-01.
const DATE: [u8; 2] = [0x21, 0];
/// Serial number of every volume; time-based ones would differ.
const SERIAL: &[u8; 4] = b"BOTH";

/// The volume `label` (at most 11 bytes) with these files.
pub(super) fn write(label: &str, files: &[MediumFile]) -> Vec<u8> {
    let tree = Tree::new(files);
    let mut name = [b' '; 11];
    name.iter_mut().zip(label.bytes()).for_each(|(to, from)| *to = from);

    // First clusters are not known yet, but lengths do not depend on them.
    let nowhere = Clusters { dirs: vec![0; tree.dirs.len()], files: vec![0; files.len()] };
    let root_len = folder(&tree, 0, &name, &nowhere).len().next_multiple_of(SECTOR).max(512 * ENTRY);
    let dir_lens: Vec<usize> = (1..tree.dirs.len()).map(|d| folder(&tree, d, &name, &nowhere).len()).collect();
    let lens: Vec<usize> = dir_lens.iter().copied().chain(tree.files.iter().map(|f| f.content.len())).collect();
    let (cluster, wanted) = cluster_size(&lens);

    let mut at = nowhere;
    let mut fat: Vec<u16> = vec![0xfff8, 0xffff];
    for (number, len) in lens.iter().enumerate() {
        let first = fat.len() as u16;
        let count = len.div_ceil(cluster) as u16;
        fat.extend((1..count).map(|n| first + n));
        if count > 0 {
            fat.push(0xffff);
        }
        let first = if count > 0 { first } else { 0 };
        if number < dir_lens.len() {
            at.dirs[number + 1] = first;
        } else {
            at.files[number - dir_lens.len()] = first;
        }
    }

    let clusters = wanted.max(MIN_CLUSTERS);
    let fat_len = ((clusters + 2) * 2).next_multiple_of(SECTOR);
    let data = SECTOR + 2 * fat_len + root_len;
    let mut image = vec![0; data + clusters * cluster];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let sectors = ((data + clusters * cluster) / SECTOR) as u32;
    put(0, &boot_sector(&name, (cluster / SECTOR) as u8, (root_len / ENTRY) as u16, (fat_len / SECTOR) as u16, sectors));
    let table: Vec<u8> = fat.iter().flat_map(|e| e.to_le_bytes()).collect();
    put(SECTOR, &table);
    put(SECTOR + fat_len, &table);
    put(SECTOR + 2 * fat_len, &folder(&tree, 0, &name, &at));
    let place = |first: u16| data + (usize::from(first) - 2) * cluster;
    for dir in 1..tree.dirs.len() {
        put(place(at.dirs[dir]), &folder(&tree, dir, &name, &at));
    }
    for (number, file) in tree.files.iter().enumerate().filter(|(_, f)| !f.content.is_empty()) {
        put(place(at.files[number]), &file.content);
    }
    image
}

/// First clusters.
struct Clusters {
    dirs: Vec<u16>,
    files: Vec<u16>,
}

/// Bytes of a cluster, and how many things of these lengths take, with some to spare for a guest
/// that writes.
fn cluster_size(lens: &[usize]) -> (usize, usize) {
    let mut size = SECTOR;
    loop {
        let needed: usize = lens.iter().map(|l| l.div_ceil(size)).sum();
        let wanted = needed + needed / 16;
        if wanted <= MAX_CLUSTERS || size == 64 * SECTOR {
            return (size, wanted);
        }
        size *= 2;
    }
}

fn boot_sector(label: &[u8; 11], per_cluster: u8, root_entries: u16, fat_sectors: u16, sectors: u32) -> Vec<u8> {
    let small = u16::try_from(sectors).unwrap_or(0);
    let mut b = b"\xeb\x3c\x90BOTHY   ".to_vec();
    b.extend((SECTOR as u16).to_le_bytes());
    // One reserved sector, two tables.
    b.extend([per_cluster, 1, 0, 2]);
    b.extend(root_entries.to_le_bytes());
    b.extend(small.to_le_bytes());
    b.push(0xf8);
    b.extend(fat_sectors.to_le_bytes());
    // 32 sectors a track, 64 heads, nothing hidden.
    b.extend([32, 0, 64, 0, 0, 0, 0, 0]);
    b.extend(if small == 0 { sectors } else { 0 }.to_le_bytes());
    b.extend([0x80, 0, 0x29]);
    b.extend(SERIAL);
    b.extend(label);
    b.extend(b"FAT16   ");
    b.resize(510, 0);
    b.extend([0x55, 0xaa]);
    b
}

/// The entries of one folder.
fn folder(tree: &Tree, dir: usize, label: &[u8; 11], at: &Clusters) -> Vec<u8> {
    let here = &tree.dirs[dir];
    let mut out = Vec::new();
    if dir == 0 {
        out.extend(entry(label, LABEL, 0, 0));
    } else {
        out.extend(entry(b".          ", FOLDER, at.dirs[dir], 0));
        // The root's number is 0 here.
        out.extend(entry(b"..         ", FOLDER, at.dirs[here.parent], 0));
    }
    for (name, &d) in &here.dirs {
        let short = dos_name(&tree.dirs[d].short);
        out.extend(long_name(name, &short));
        out.extend(entry(&short, FOLDER, at.dirs[d], 0));
    }
    for (name, &f) in &here.files {
        let short = dos_name(&tree.shorts[f]);
        out.extend(long_name(name, &short));
        out.extend(entry(&short, READ_ONLY, at.files[f], tree.files[f].content.len() as u32));
    }
    out
}

fn dos_name(short: &Short) -> [u8; 11] {
    let mut name = [b' '; 11];
    name[..8].iter_mut().zip(short.stem.bytes()).for_each(|(to, from)| *to = from);
    name[8..].iter_mut().zip(short.extension.bytes()).for_each(|(to, from)| *to = from);
    name
}

fn entry(name: &[u8; 11], kind: u8, first: u16, len: u32) -> Vec<u8> {
    let mut e = name.to_vec();
    e.extend([kind, 0, 0]);
    // Made, read and written.
    e.extend([0, 0, DATE[0], DATE[1], DATE[0], DATE[1], 0, 0, 0, 0, DATE[0], DATE[1]]);
    e.extend(first.to_le_bytes());
    e.extend(len.to_le_bytes());
    e
}

/// The entries before a file's own that spell its real name, last part first.
fn long_name(name: &str, short: &[u8; 11]) -> Vec<u8> {
    let sum = short.iter().fold(0u8, |sum, b| sum.rotate_right(1).wrapping_add(*b));
    let units: Vec<u16> = name.encode_utf16().collect();
    let parts = units.chunks(13).count();
    let mut out = Vec::new();
    for (number, part) in units.chunks(13).enumerate().rev() {
        let mut padded = [0xffff; 13];
        padded[..part.len()].copy_from_slice(part);
        if part.len() < 13 {
            padded[part.len()] = 0;
        }
        let text: Vec<u8> = padded.iter().flat_map(|u: &u16| u.to_le_bytes()).collect();
        let last = if number + 1 == parts { 0x40 } else { 0 };
        out.push((number + 1) as u8 | last);
        out.extend(&text[..10]);
        out.extend([LONG_NAME, 0, sum]);
        out.extend(&text[10..22]);
        out.extend([0, 0]);
        out.extend(&text[22..]);
    }
    out
}
