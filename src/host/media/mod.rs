//! Day-0 media, made in process: the same files give the same bytes.
//!
//! Owns which file system a medium has, its label, and the checks of paths. Never: what is in the
//! files, or where the medium is stored.

mod fat;
mod iso;
mod tree;

use std::collections::BTreeSet;

use crate::{
    model::{
        error::{Fault, Result},
        size::Bytes,
        vnfd::Medium,
    },
    vim::port::MediumFile,
};

/// Media are seeds, not software: larger things belong into the image.
const MAX: Bytes = Bytes(64 << 20);

/// The image of a medium.
pub fn make(medium: Medium, label: Option<&str>, files: &[MediumFile]) -> Result<Vec<u8>> {
    let label = label.unwrap_or(match medium {
        Medium::NoCloud => "cidata",
        Medium::ConfigDrive => "config-2",
        Medium::Iso | Medium::Fat => "DAY0",
    });
    check(medium, label, files)?;
    match medium {
        Medium::NoCloud | Medium::ConfigDrive | Medium::Iso => Ok(iso::write(label, files)),
        Medium::Fat => Ok(fat::write(label, files)),
    }
}

/// Whatever the file system cannot hold is refused here, all of it at once.
fn check(medium: Medium, label: &str, files: &[MediumFile]) -> Result<()> {
    let fat = medium == Medium::Fat;
    let mut no = Vec::new();
    let label_max = if fat { 11 } else { 32 };
    let is_sign = |b: u8| if fat { (b' '..=b'~').contains(&b) && !b"\"*+,./:;<=>?[\\]|".contains(&b) } else { (b' '..=b'~').contains(&b) };
    if label.is_empty() || label.len() > label_max || !label.bytes().all(is_sign) {
        no.push(format!("label '{label}': 1 to {label_max} plain characters are allowed"));
    }
    let mut seen = BTreeSet::new();
    let mut folders = BTreeSet::new();
    for MediumFile { path, .. } in files {
        // FAT knows one name where others see two.
        let key = if fat { path.to_lowercase() } else { path.clone() };
        let parts: Vec<&str> = path.split('/').collect();
        no.extend(parts.iter().filter_map(|part| part_fault(part, fat)).map(|why| format!("file '{path}': {why}")));
        if parts.len() > iso::MAX_DEPTH {
            no.push(format!("file '{path}': folders are nested deeper than {}", iso::MAX_DEPTH - 1));
        }
        folders.extend(key.match_indices('/').map(|(at, _)| key[..at].to_owned()));
        if !seen.insert(key) {
            no.push(format!("file '{path}': it is there twice"));
        }
    }
    no.extend(seen.intersection(&folders).map(|both| format!("file '{both}': other files use it as a folder")));
    let sum: u64 = files.iter().map(|f| f.content.len() as u64).sum();
    if sum > MAX.0 {
        no.push(format!("its files have {}; at most {MAX} fit", Bytes(sum)));
    }
    if no.is_empty() { Ok(()) } else { Err(Fault::invalid("the medium cannot be made").with_reasons(no)) }
}

fn part_fault(part: &str, fat: bool) -> Option<String> {
    if part.is_empty() || part == "." || part == ".." {
        return Some("paths are relative, without empty parts, '.' and '..'".into());
    }
    // What Joliet (ECMA-119 readers of other systems) and FAT leave out.
    let bad = |c: char| c.is_control() || "*:;?\\".contains(c) || (fat && "\"<>|".contains(c));
    if let Some(c) = part.chars().find(|&c| bad(c)) {
        return Some(format!("{c:?} is not allowed in names"));
    }
    if part.encode_utf16().count() > iso::MAX_NAME || part.len() > 2 * iso::MAX_NAME {
        return Some(format!("a name has at most {} characters", iso::MAX_NAME));
    }
    (fat && part.ends_with(['.', ' '])).then(|| "FAT names do not end with '.' or a space".into())
}

#[cfg(test)]
mod tests;
