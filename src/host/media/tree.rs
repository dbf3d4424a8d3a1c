//! A medium's files as folders, with a name for each reader: the real one and one of 8.3 form.
//!
//! Owns the order in which everything is laid out: by name, whatever order the files come in.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::order::Order as _;
use crate::vim::port::MediumFile;

/// A folder; number 0 is the root.
#[derive(Default)]
pub(super) struct Dir<'a> {
    pub parent: usize,
    /// Names to numbers of `Tree::dirs` and `Tree::files`.
    pub dirs: BTreeMap<&'a str, usize>,
    pub files: BTreeMap<&'a str, usize>,
    pub name: &'a str,
    pub short: Short,
}

pub(super) struct Tree<'a> {
    pub dirs: Vec<Dir<'a>>,
    pub files: Vec<&'a MediumFile>,
    /// The files' names in 8.3 form.
    pub shorts: Vec<Short>,
}

/// A name of capital letters, digits and `_`: at most 8, and at most 3 behind the dot.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Short {
    pub stem: String,
    pub extension: String,
}

impl<'a> Tree<'a> {
    pub fn new(files: &'a [MediumFile]) -> Self {
        let mut sorted: Vec<&MediumFile> = files.iter().collect();
        sorted.order_by(|a, b| a.path.cmp(&b.path));
        let mut tree = Tree { dirs: vec![Dir::default()], shorts: vec![Short::default(); sorted.len()], files: sorted };
        for number in 0..tree.files.len() {
            let path: &'a str = &tree.files[number].path;
            let (folders, name) = path.rsplit_once('/').map_or((None, path), |(f, n)| (Some(f), n));
            let mut at = 0;
            for part in folders.into_iter().flat_map(|f| f.split('/')) {
                let fresh = tree.dirs.len();
                let found = *tree.dirs[at].dirs.entry(part).or_insert(fresh);
                if found == fresh {
                    tree.dirs.push(Dir { parent: at, name: part, ..Dir::default() });
                }
                at = found;
            }
            tree.dirs[at].files.insert(name, number);
        }
        for at in 0..tree.dirs.len() {
            let mut taken = BTreeSet::new();
            for (name, sub) in tree.dirs[at].dirs.clone() {
                tree.dirs[sub].short = Short::of(name, "", &mut taken);
            }
            for (name, file) in tree.dirs[at].files.clone() {
                let (stem, extension) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
                tree.shorts[file] = Short::of(stem, extension, &mut taken);
            }
        }
        tree
    }
}

impl Short {
    /// A name that is free in its folder.
    fn of(stem: &str, extension: &str, taken: &mut BTreeSet<Short>) -> Short {
        let plain = |s: &str, n: usize| -> String {
            s.chars().take(n).map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
        };
        let extension = plain(extension, 3);
        let numbered = (1..10_000_000).map(|n: u32| {
            let n = n.to_string();
            plain(stem, 8 - n.len()) + &n
        });
        let mut stems = std::iter::once(plain(stem, 8)).chain(numbered);
        let free = stems.find_map(|stem| {
            let short = Short { stem, extension: extension.clone() };
            taken.insert(short.clone()).then_some(short)
        });
        free.unwrap_or_default()
    }
}
