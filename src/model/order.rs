//! Lists in order. Never: what is in them.

use std::cmp::Ordering;

/// As the sorts of slices, and stable. Those are code made anew for each type and each comparison, 2 to 4 KB a place that
/// sorts some entries; this is theirs once, for the places of entries, and a few instructions for each list.
/// What is hot (`vim::place`) keeps the other.
pub trait Order<T> {
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);
    fn order_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.order_by(|a, b| key(a).cmp(&key(b)));
    }
    fn order(&mut self)
    where
        T: Ord,
    {
        self.order_by(T::cmp);
    }
}

impl<T> Order<T> for [T] {
    fn order_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let mut from = places(self.len(), &mut |a, b| compare(&self[a], &self[b]));
        for first in 0..from.len() {
            // Round its circle: each gets what belongs there.
            let mut at = first;
            loop {
                let next = std::mem::replace(&mut from[at], at);
                if next == first {
                    break;
                }
                self.swap(at, next);
                at = next;
            }
        }
    }
}

/// For each place the one whose entry comes there.
fn places(len: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut all: Vec<usize> = (0..len).collect();
    all.sort_by(|a, b| compare(*a, *b));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_order_of_a_stable_sort(list in prop::collection::vec((0u8..6, any::<u16>()), 0..40)) {
            let (mut ours, mut theirs) = (list.clone(), list.clone());
            ours.order_by_key(|e| e.0);
            theirs.sort_by_key(|e| e.0);
            prop_assert_eq!(&ours, &theirs);
            ours.order();
            theirs.sort();
            prop_assert_eq!(ours, theirs);
        }
    }
}
