//! One id, one onboarded descriptor of its kind in a project.
//!
//! Owns the check and the transaction that ends an onboarding, which are one: of two archives that are read at one
//! time and bring one id, the second to end is refused. Never: how an archive is read, what its record says besides.

use std::{fmt, sync::PoisonError};

use super::Vnfm;
use crate::{
    model::{
        error::{Fault, Result},
        id::ProjectId,
        package::{NsDescriptor, Onboarding, PnfDescriptor, VnfPackage},
    },
    store::{Durability, Record},
};

/// A record that brings a descriptor.
pub trait Described: Record<Key: Copy + PartialEq + fmt::Display> {
    /// The descriptor's kind, and how one names the record that has it.
    const WHAT: &'static str;
    const BY: &'static str;

    fn project(&self) -> ProjectId;
    fn onboarding(&self) -> Onboarding;
    /// Its descriptor's id, once it is read.
    fn descriptor(&self) -> Option<&str>;

    /// The fault of another one with this id, if this record, stored, is that one.
    fn check_rival(&self, key: &Self::Key, project: ProjectId, id: &str) -> Result<()> {
        let other = self.key();
        let rival = other != *key && self.project() == project && self.onboarding() == Onboarding::Onboarded;
        if rival && self.descriptor() == Some(id) {
            return Err(Fault::conflict(format!(
                "{} {id} is onboarded already, {} {other}: delete that one, or give this one an id of its own",
                Self::WHAT,
                Self::BY
            )));
        }
        Ok(())
    }
}

macro_rules! described {
    ($($record:ty, $what:literal, $by:literal, $of:ident;)*) => {$(
        impl Described for $record {
            const WHAT: &'static str = $what;
            const BY: &'static str = $by;
            fn project(&self) -> ProjectId {
                self.project
            }
            fn onboarding(&self) -> Onboarding {
                self.onboarding
            }
            fn descriptor(&self) -> Option<&str> {
                self.$of.as_ref().map(|d| d.id.as_str())
            }
        }
    )*};
}
described! {
    VnfPackage, "VNFD", "by package", vnfd;
    NsDescriptor, "NSD", "as", nsd;
    PnfDescriptor, "PNFD", "as", pnfd;
}

impl Vnfm {
    /// No other record of the project has this descriptor now: said before its files are unpacked.
    pub fn check_new<R: Described>(&self, key: &R::Key, project: ProjectId, id: &str) -> Result<()> {
        self.store.list::<R>()?.iter().try_for_each(|other| other.check_rival(key, project, id))
    }

    /// ONBOARDED, durably; refused when another record has come to be so with the descriptor that `change` brings.
    pub fn end_onboarding<R: Described>(&self, key: R::Key, change: impl Fn(&mut R)) -> Result<R> {
        // No record becomes onboarded between the list and the transaction, which looks again at each.
        let _one = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<R::Key> =
            self.store.list::<R>()?.iter().filter(|o| o.onboarding() == Onboarding::Onboarded).map(Record::key).collect();
        self.store.write(Durability::Barrier, |tx| {
            let mut r: R = tx.require(&key)?;
            change(&mut r);
            if let Some(id) = r.descriptor() {
                for other in &others {
                    if let Some(other) = tx.get::<R>(other)? {
                        other.check_rival(&key, r.project(), id)?;
                    }
                }
            }
            tx.put(&r)?;
            Ok(r)
        })
    }
}
