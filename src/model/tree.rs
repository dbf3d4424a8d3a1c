//! Maps from pairs, and sets. Never: what is in them.

use std::collections::{BTreeMap, BTreeSet};

/// As `collect`, pair by pair. `collect` sorts the pairs first, by code that is made anew for each place that
/// calls it: 10 KB and more each, for maps of a few entries.
pub fn tree<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut all = BTreeMap::new();
    for (k, v) in pairs {
        all.insert(k, v);
    }
    all
}

/// The same for sets.
pub fn set<T: Ord>(entries: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut all = BTreeSet::new();
    for entry in entries {
        all.insert(entry);
    }
    all
}
