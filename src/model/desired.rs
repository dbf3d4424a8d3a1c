//! What an owner's signed document asks this box to be, and what was made because of it, as one record.
//!
//! Owns the shapes. Never: what is in a document (`desired::document`), or what follows from it.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{id::OpId, time::Stamp};

/// There is one or none: a document is followed by a newer one only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredRecord {
    pub version: u64,
    /// The signed content as it came, JSON.
    pub text: String,
    /// Common name of who has signed it, and SHA-256 of the certificate.
    pub signer: SmolStr,
    pub fingerprint: [u8; 32],
    pub taken: Stamp,
    /// An account, or the URL it was fetched from.
    pub from: SmolStr,
    pub made: Vec<Made>,
    /// SHA-256 of the document in its signature, as it came; `None`: an older release took it in.
    pub message: Option<[u8; 32]>,
    /// What was made of the host.
    pub host: Option<HostMade>,
}

/// What documents have made of the host's set-up, written down before it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMade {
    /// The configuration's set-up was applied before, and comes back when this one goes.
    pub told: bool,
    /// SHA-256 of the kernel arguments that were put on trial last.
    pub tried: Option<[u8; 32]>,
    /// The box was restarted for them.
    pub restarted: bool,
}

/// How far a box is with the document that counts there, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing is done now.
    Held,
    Failed,
    Applying,
    InPlace,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::Held, Stage::Failed, Stage::Applying, Stage::InPlace];

    pub fn word(self) -> &'static str {
        match self {
            Stage::Held => "HELD",
            Stage::Failed => "FAILED",
            Stage::Applying => "APPLYING",
            Stage::InPlace => "IN_PLACE",
        }
    }
    pub fn of(word: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|s| s.word() == word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ItemKind {
    Package,
    Nsd,
    Service,
    Host,
}

impl ItemKind {
    pub fn word(self) -> &'static str {
        match self {
            ItemKind::Package => "PACKAGE",
            ItemKind::Nsd => "NSD",
            ItemKind::Service => "SERVICE",
            ItemKind::Host => "HOST",
        }
    }
}

/// What a document has made, written down before it is: whatever breaks off in between is found again by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub kind: ItemKind,
    pub name: SmolStr,
    pub id: Uuid,
    /// Of what was asked for: an archive's SHA-256, or that of a service's NSD and request.
    pub digest: [u8; 32],
    /// The last operation on a service.
    pub op: Option<OpId>,
}

impl DesiredRecord {
    pub fn made(&self, kind: ItemKind, name: &str) -> Option<&Made> {
        self.made.iter().find(|m| m.kind == kind && m.name == name)
    }

    /// Takes the place of the one of that kind and name.
    pub fn note(&mut self, made: Made) {
        self.forget(made.kind, &made.name);
        self.made.push(made);
    }

    pub fn forget(&mut self, kind: ItemKind, name: &str) {
        self.made.retain(|m| m.kind != kind || m.name != name);
    }
}
