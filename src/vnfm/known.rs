//! Descriptors of packages as they were read last: whoever reads an instance needs its flavour, and a package is many times
//! as large as an instance.
//!
//! Owns the memory of them, which holds while no package's record is written. Never: a descriptor that is not the store's.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use super::Vnfm;
use crate::{
    model::{error::Result, id::VnfPkgId, package::VnfPackage, vnfd::Vnfd},
    store::Table,
};

/// As many are kept; a box has few.
const MOST: usize = 32;

#[derive(Default)]
pub(super) struct Read {
    /// How often packages had been written when these were read.
    as_of: u64,
    all: HashMap<VnfPkgId, Option<Arc<Vnfd>>>,
}

impl Vnfm {
    /// The descriptor of a package, if that is there and onboarded.
    pub fn vnfd(&self, id: VnfPkgId) -> Result<Option<Arc<Vnfd>>> {
        let as_of = self.store.writes_to(Table::VnfPackage);
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if read.as_of == as_of
                && let Some(found) = read.all.get(&id)
            {
                return Ok(found.clone());
            }
        }
        let found = self.store.get::<VnfPackage>(&id)?.and_then(|p| p.vnfd).map(Arc::new);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.as_of != as_of || read.all.len() >= MOST {
            *read = Read { as_of, all: HashMap::new() };
        }
        read.all.insert(id, found.clone());
        Ok(found)
    }
}
