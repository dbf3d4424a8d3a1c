//! The documents of desired state that lie here for boxes.
//!
//! Owns them, in the store, and which of them is a box's: its own, else its group's, else that of the default group. Never: opens
//! one. What it says is between the box's owner, who has signed it, and the box.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use crate::{
    model::{
        error::{Fault, Result},
        handout::{DEFAULT, Handout, Whom},
        time::Stamp,
    },
    store::{Durability, Record as _, Store},
};

/// A document without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub whom: Whom,
    pub digest: [u8; 32],
    pub size: usize,
    pub put: Stamp,
    pub by: SmolStr,
}

pub struct Shelf {
    store: Store,
    /// Of all that are in the store.
    heads: Mutex<BTreeMap<Whom, Head>>,
    /// Held while the store is written: whoever looks up does not wait for a disk.
    one: Mutex<()>,
}

fn head(h: &Handout) -> Head {
    Head { whom: h.whom.clone(), digest: h.digest, size: h.content.len(), put: h.put, by: h.by.clone() }
}

impl Shelf {
    pub fn open(store: Store) -> Result<Shelf> {
        let mut heads = BTreeMap::new();
        let mut after = None;
        // One at a time: all of them may be large.
        while let Some(h) = store.page::<Handout>(after.as_ref(), 1)?.pop() {
            after = Some(h.key());
            heads.insert(h.whom.clone(), head(&h));
        }
        Ok(Shelf { store, heads: Mutex::new(heads), one: Mutex::default() })
    }

    fn heads(&self) -> MutexGuard<'_, BTreeMap<Whom, Head>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn writes(&self) -> MutexGuard<'_, ()> {
        self.one.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the place of what was there.
    pub fn put(&self, whom: Whom, content: Vec<u8>, put: Stamp, by: SmolStr) -> Result<Head> {
        // The one thing that can be seen from outside.
        if !(content.starts_with(&[0x30]) || content.starts_with(b"-----BEGIN ")) {
            return Err(Fault::invalid(
                "this is no document in its signature: CMS is expected, DER or PEM, as openssl cms -sign writes it",
            ));
        }
        let h = Handout { whom, digest: Sha256::digest(&content).into(), put, by, content };
        let _one = self.writes();
        self.store.write(Durability::Barrier, |tx| tx.put(&h))?;
        let head = head(&h);
        self.heads().insert(h.whom, head.clone());
        Ok(head)
    }

    /// False: there was none.
    pub fn remove(&self, whom: &Whom) -> Result<bool> {
        let _one = self.writes();
        let was = self.store.write(Durability::Barrier, |tx| tx.delete::<Handout>(&whom.key()))?;
        self.heads().remove(whom);
        Ok(was)
    }

    pub fn content(&self, whom: &Whom) -> Result<Handout> {
        self.store.get::<Handout>(&whom.key())?.ok_or_else(|| Fault::not_found(format!("no document lies here for {whom}")))
    }

    pub fn all(&self) -> Vec<Head> {
        self.heads().values().cloned().collect()
    }

    /// What a box is handed.
    pub fn meant_for(&self, serial: &SmolStr, group: &SmolStr) -> Option<Head> {
        let heads = self.heads();
        let near = [Whom::Box(serial.clone()), Whom::Group(group.clone()), Whom::Group(DEFAULT.into())];
        near.iter().find_map(|w| heads.get(w)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    #[test]
    fn the_nearest_document_is_a_boxs_and_all_are_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let open = || Shelf::open(Store::open(dir.path(), Options::default()).expect("store")).expect("shelf");
        let meant = |s: &Shelf, serial: &str, group: &str| s.meant_for(&serial.into(), &group.into()).map(|h| h.whom);
        let (one, west, all) = (Whom::Box("A".into()), Whom::Group("west".into()), Whom::Group(DEFAULT.into()));
        let shelf = open();
        let put = |whom: &Whom, content: &[u8]| shelf.put(whom.clone(), content.to_vec(), Stamp(1), "ada".into());
        for content in [&b""[..], b"{\"bothy-desired\": 1}"] {
            let refused = put(&all, content).expect_err("not signed");
            assert!(refused.text().contains("no document in its signature"), "{refused:?}");
        }
        assert_eq!(meant(&shelf, "A", "west"), None);
        put(&all, b"0all").expect("put");
        assert_eq!(meant(&shelf, "A", "west"), Some(all.clone()));
        let old = put(&west, b"0old").expect("put");
        let new = put(&west, b"0west").expect("put");
        assert!(old.digest != new.digest && new.size == 5);
        let large = [&b"0"[..], &[7; 300 * 1024]].concat();
        put(&one, &large).expect("put");
        drop(shelf);

        let shelf = open();
        for (serial, group, want) in [("A", "west", &one), ("B", "west", &west), ("B", "east", &all), ("B", DEFAULT, &all)] {
            assert_eq!(meant(&shelf, serial, group).as_ref(), Some(want), "{serial} {group}");
        }
        assert_eq!((shelf.all().len(), shelf.content(&one).expect("there").content), (3, large));
        assert_eq!((shelf.remove(&one).expect("gone"), shelf.remove(&one).expect("gone")), (true, false));
        assert_eq!(meant(&shelf, "A", "west"), Some(west));
        assert!(shelf.content(&one).expect_err("gone").text().contains("no document lies here for box 'A'"));
    }
}
