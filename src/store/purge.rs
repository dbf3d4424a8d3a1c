//! A part of the records goes: for resets, and for backups that hold less than all.
//!
//! Owns which table belongs to which part. Never: whether a part may go, or what follows from it on the host.

use super::{Durability, Store, database::Handle, manifest::Which, tables::Table};
use crate::model::error::Result;

/// What the records of a table are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The store itself: its generation, counts.
    Store,
    /// What somebody has told the box.
    Configuration,
    /// Packages and descriptors.
    Catalogue,
    /// Services and VNFs, and whatever came of them.
    Services,
    /// Who did what.
    Trail,
}

impl Table {
    pub const fn part(self) -> Part {
        match self {
            Table::Meta => Part::Store,
            Table::VnfPackage | Table::NsDescriptor | Table::PnfDescriptor | Table::Image | Table::Artefacts | Table::Brought => {
                Part::Catalogue
            }
            Table::VnfInstance
            | Table::NsInstance
            | Table::Operation
            | Table::PlanStep
            | Table::Journal
            | Table::Reservation
            | Table::Segment
            | Table::Outbox
            | Table::Observed
            | Table::Change
            | Table::Alarm
            | Table::Chain
            | Table::PmJob
            | Table::PmReport
            | Table::Threshold
            | Table::Snapshot
            | Table::Remake
            | Table::GivenGrant
            | Table::GrantAsk
            | Table::OpParts
            | Table::SnapshotOwner
            | Table::Indicator
            | Table::OwnEndpoints
            | Table::Errand
            | Table::Wanting
            | Table::ForeignVnf
            | Table::AbroadErrand => Part::Services,
            Table::Secret
            | Table::Token
            | Table::Host
            | Table::Subscription
            | Table::Delivery
            | Table::DeadLetter
            | Table::Account
            | Table::Role
            | Table::Project
            | Table::Controller
            | Table::PortMap
            | Table::CentralNfvo
            | Table::HostNet
            | Table::ElementListener
            | Table::NfvoMade
            | Table::CapacityThreshold
            | Table::ForeignVnfm
            | Table::ForeignEar
            | Table::DesiredState
            | Table::Handout => Part::Configuration,
            Table::Audit => Part::Trail,
        }
    }
}

/// Records removed in one transaction.
const BATCH: usize = 256;

impl Store {
    /// Every record of these tables goes, durably; how many there were. Nobody is told of it. One that is cut off is
    /// repeated.
    pub fn purge(&self, goes: impl Fn(Table) -> bool) -> Result<usize> {
        let mut removed = 0;
        for which in Which::ALL {
            let keys = keys_of(&*self.database(which).gate.enter()?, &goes)?;
            for some in keys.chunks(BATCH) {
                let remove = |tx: &mut super::Tx<'_>| some.iter().try_for_each(|k| tx.remove(k).map(drop));
                self.database(which).write(Durability::Lazy, remove)?;
            }
            removed += keys.len();
            self.database(which).write(Durability::Barrier, |_| Ok(()))?;
        }
        Ok(removed)
    }
}

fn keys_of(handle: &Handle, goes: &impl Fn(Table) -> bool) -> Result<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    handle.for_each_raw(|key, _| {
        if key.first().and_then(|tag| Table::from_tag(*tag)).is_some_and(goes) {
            keys.push(key.to_vec());
        }
        Ok(())
    })?;
    Ok(keys)
}
