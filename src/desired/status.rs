//! How a desired state is told: whole, and in a few words. Pure. Never: how it comes to be so.

use smol_str::SmolStr;

use super::plan::{Item, State};
use crate::model::{desired::Stage, time::Stamp};

/// The document that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub version: u64,
    pub signer: SmolStr,
    pub fingerprint: [u8; 32],
    pub taken: Stamp,
    pub from: SmolStr,
    pub not_after: Option<Stamp>,
    pub prune: bool,
    /// SHA-256 of the document in its signature, where that is known.
    pub message: Option<[u8; 32]>,
}

/// Which document counts and how far it is, in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub version: u64,
    pub message: Option<[u8; 32]>,
    pub stage: Stage,
}

impl Status {
    pub(super) fn count(&self, states: &[State]) -> usize {
        self.items.iter().filter(|i| states.contains(&i.state)).count()
    }
    /// `None`: no document counts.
    pub fn summary(&self) -> Option<Summary> {
        let kept = self.kept.as_ref()?;
        let stage = if self.held.is_some() {
            Stage::Held
        } else if self.count(&[State::Failed]) > 0 {
            Stage::Failed
        } else if self.count(&[State::Pending, State::Applying]) > 0 {
            Stage::Applying
        } else {
            Stage::InPlace
        };
        Some(Summary { version: kept.version, message: kept.message, stage })
    }
}

#[derive(Debug, Clone, Default)]
pub struct Status {
    pub kept: Option<Kept>,
    /// Why nothing is done now.
    pub held: Option<String>,
    /// Why the last try to fetch a newer document brought nothing.
    pub pull_failed: Option<String>,
    pub items: Vec<Item>,
}
