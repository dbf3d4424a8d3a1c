//! Updates of the box itself: slots, versions, and how far an update is.
//!
//! ```text
//! FETCHING --fetched--> RECEIVED --verified--> WRITING --written--> DRAINING --quiet--> ARMED --reboot--> ON_TRIAL
//!    |                     |                      |                    |                  |                  | sound
//!    +---- FAILED, nothing of the box has changed +--------------------+                  |                  v
//!                          the next boot is the old slot: ROLLED_BACK --------------------+-----------  COMMITTING --> COMMITTED
//! ```
//! Owns the one transition function, and what is remembered of versions that failed. Never: how a slot is written, or
//! who says that a boot is sound.

use std::{cmp::Ordering, fmt, str::FromStr};

use smol_str::SmolStr;

use super::error::{Fault, Result};

/// One of the two places that the system of an A/B box can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Slot {
    #[default]
    A,
    B,
}

impl Slot {
    pub fn other(self) -> Slot {
        match self {
            Slot::A => Slot::B,
            Slot::B => Slot::A,
        }
    }
}
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Slot::A => "A",
            Slot::B => "B",
        })
    }
}
impl FromStr for Slot {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "A" => Ok(Slot::A),
            "B" => Ok(Slot::B),
            _ => Err(Fault::invalid(format!("'{s}' is no slot: there are A and B"))),
        }
    }
}

/// The version of a system: letters, digits and `.-+~_`, at most 64 of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(SmolStr);

impl Version {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Numbers in it count as numbers: 1.10 is newer than 1.9. What one has more makes it the newer.
    pub fn age(&self, other: &Version) -> Ordering {
        let (mut a, mut b) = (parts(&self.0), parts(&other.0));
        loop {
            match (a.next(), b.next()) {
                (None, None) => return Ordering::Equal,
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(x), Some(y)) => match number(x).zip(number(y)).map_or_else(|| x.cmp(y), |(x, y)| x.cmp(&y)) {
                    Ordering::Equal => {}
                    unequal @ (Ordering::Less | Ordering::Greater) => return unequal,
                },
            }
        }
    }
}

fn number(s: &str) -> Option<u64> {
    s.parse().ok()
}

/// Runs of digits, and of what is none.
fn parts(s: &str) -> impl Iterator<Item = &str> {
    let mut rest = s;
    std::iter::from_fn(move || {
        let digit = rest.starts_with(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(rest.len());
        let (part, left) = rest.split_at(end);
        rest = left;
        Some(part).filter(|p| !p.is_empty())
    })
}

impl FromStr for Version {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let fits = (1..=64).contains(&s.len()) && s.chars().all(|c| c.is_ascii_alphanumeric() || ".-+~_".contains(c));
        if fits { Ok(Version(s.into())) } else { Err(Fault::invalid(format!("'{s}' is no version of a system"))) }
    }
}
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a bundle says of itself, once its signature has been found right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The kind of box it is for.
    pub compatible: SmolStr,
    pub version: Version,
    /// Counts up with each release that closes a hole: a system never goes back behind it.
    pub security: u64,
    /// The oldest version that it can follow.
    pub min_from: Option<Version>,
}

/// How the boot loader came to the system that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootKind {
    Trial,
    Committed,
    /// By hand, without arguments of Bothy's.
    Plain,
}

/// Whether the firmware has looked at what it booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    SecureBoot,
    No { why: SmolStr },
}

/// The system that runs, on a box with slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub slot: Slot,
    pub kind: BootKind,
    pub version: Version,
    pub security: u64,
    pub compatible: SmolStr,
    pub verified: Verified,
    /// The boot loader has left the host's kernel arguments out: one of them is not for a verified boot.
    pub refused_args: bool,
    /// The kernel's name for this boot, and how long it has run, in seconds: a wall clock may jump in a trial.
    pub boot_id: SmolStr,
    pub uptime_s: u64,
}

/// How far an update is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateState {
    /// The bundle is on its way from a URL.
    Fetching,
    /// The bundle is on the box; its signature and what it says are looked at.
    Received,
    /// The other slot is being written: nothing in it can be relied on.
    Writing,
    /// Written; operations under way are let to their end.
    Draining,
    /// The next boot is to try it.
    Armed,
    /// It runs, on a copy of the store; how often bothy has started in it.
    OnTrial {
        starts: u32,
    },
    /// It is sound, and becomes what every boot takes.
    Committing,
    Committed,
    /// It was tried, and the box is back.
    RolledBack {
        why: Vec<String>,
    },
    /// It was given up before anything was tried.
    Failed {
        why: Vec<String>,
    },
    /// Called off before it was tried.
    Cancelled,
}

/// What happens to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateEvent {
    /// The bundle is on the box.
    Fetched,
    /// Signature and facts are right.
    Verified,
    Written,
    /// No operation is under way.
    Quiet,
    /// Bothy started, and this boot tries it.
    Booted,
    /// Everything that should be up is.
    Sound,
    /// Boot loader and store have it.
    Kept,
    Broke {
        why: Vec<String>,
    },
    CalledOff,
    /// Bothy ended in the middle, and started in the same system.
    Interrupted,
    /// This is the old slot again.
    CameBack {
        why: Vec<String>,
    },
}

impl UpdateState {
    /// The only place that says what may follow what.
    #[must_use]
    pub fn next(&self, event: &UpdateEvent) -> Option<UpdateState> {
        use UpdateEvent as E;
        use UpdateState as S;
        let failed = |why: &Vec<String>| Some(S::Failed { why: why.clone() });
        let back = |why: &Vec<String>| Some(S::RolledBack { why: why.clone() });
        match (self, event) {
            (S::Fetching, E::Fetched) => Some(S::Received),
            (S::Received, E::Verified) => Some(S::Writing),
            (S::Writing, E::Written) => Some(S::Draining),
            (S::Draining, E::Quiet) => Some(S::Armed),
            (S::Armed, E::Booted) => Some(S::OnTrial { starts: 1 }),
            (S::OnTrial { starts }, E::Booted) => Some(S::OnTrial { starts: starts.saturating_add(1) }),
            (S::OnTrial { .. }, E::Sound) => Some(S::Committing),
            (S::Committing, E::Kept) => Some(S::Committed),
            (S::Fetching | S::Received | S::Writing | S::Draining | S::Armed, E::Broke { why }) => failed(why),
            (S::Armed | S::OnTrial { .. } | S::Committing, E::CameBack { why }) => back(why),
            // While a slot is being written the writer goes on, whatever is said.
            (S::Fetching | S::Received | S::Draining | S::Armed, E::CalledOff) => Some(S::Cancelled),
            // What came of it is gone.
            (S::Fetching, E::Interrupted) => Some(S::Fetching),
            // Half a slot is none: it is looked at and written once more.
            (S::Received | S::Writing, E::Interrupted) => Some(S::Received),
            (S::Draining, E::Interrupted) => Some(S::Draining),
            (S::Armed, E::Interrupted) => Some(S::Armed),
            (S::Committing, E::Interrupted) => Some(S::Committing),
            (
                S::Fetching
                | S::Received
                | S::Writing
                | S::Draining
                | S::Armed
                | S::OnTrial { .. }
                | S::Committing
                | S::Committed
                | S::RolledBack { .. }
                | S::Failed { .. }
                | S::Cancelled,
                E::Fetched
                | E::Verified
                | E::Written
                | E::Quiet
                | E::Booted
                | E::Sound
                | E::Kept
                | E::Broke { .. }
                | E::CalledOff
                | E::Interrupted
                | E::CameBack { .. },
            ) => None,
        }
    }

    /// Another update may begin.
    pub fn is_over(&self) -> bool {
        match self {
            UpdateState::Committed | UpdateState::RolledBack { .. } | UpdateState::Failed { .. } | UpdateState::Cancelled => true,
            UpdateState::Fetching
            | UpdateState::Received
            | UpdateState::Writing
            | UpdateState::Draining
            | UpdateState::Armed
            | UpdateState::OnTrial { .. }
            | UpdateState::Committing => false,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            UpdateState::Fetching => "FETCHING",
            UpdateState::Received => "RECEIVED",
            UpdateState::Writing => "WRITING",
            UpdateState::Draining => "DRAINING",
            UpdateState::Armed => "ARMED",
            UpdateState::OnTrial { .. } => "ON_TRIAL",
            UpdateState::Committing => "COMMITTING",
            UpdateState::Committed => "COMMITTED",
            UpdateState::RolledBack { .. } => "ROLLED_BACK",
            UpdateState::Failed { .. } => "FAILED",
            UpdateState::Cancelled => "CANCELLED",
        }
    }

    /// Why it did not come to its end.
    pub fn why(&self) -> &[String] {
        match self {
            UpdateState::RolledBack { why } | UpdateState::Failed { why } => why,
            UpdateState::Fetching
            | UpdateState::Received
            | UpdateState::Writing
            | UpdateState::Draining
            | UpdateState::Armed
            | UpdateState::OnTrial { .. }
            | UpdateState::Committing
            | UpdateState::Committed
            | UpdateState::Cancelled => &[],
        }
    }
}

/// Something that should be up, and is not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unmet {
    /// What it is, the same at each look: what was so before the update is no fault of it.
    pub key: SmolStr,
    pub why: String,
}

/// What the caller wants of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// A version that failed before is tried once more.
    pub again: bool,
    /// Seconds that operations under way have to come to an end; `None`: the update is refused while there are any.
    pub drain_s: Option<u32>,
    /// The box restarts as soon as the slot is written; else whenever somebody restarts it.
    pub reboot: bool,
}

impl Default for Asked {
    fn default() -> Self {
        Asked { again: false, drain_s: None, reboot: true }
    }
}

/// An update as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub state: UpdateState,
    /// The slot that it is written to.
    pub target: Slot,
    /// What ran when it was asked for.
    pub from: Version,
    /// Known once its signature is.
    pub bundle: Option<Bundle>,
    pub asked: Asked,
    /// Where the bundle is fetched from, if it is.
    pub url: Option<SmolStr>,
    /// Where the bundle is, while it is needed: a file's name in the folder for bundles.
    pub file: Option<SmolStr>,
    /// What was not up when it was armed.
    pub excused: Vec<SmolStr>,
    /// What is not up yet; what a trial that ends without a word leaves behind.
    pub unmet: Vec<String>,
    /// The boot in which the boot loader was told.
    pub armed_in: Option<SmolStr>,
    /// How long the boot on trial had run when bothy started in it for the first time, in seconds.
    pub tried_at: Option<u64>,
}

/// A version that was tried and did not stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedVersion {
    pub version: Version,
    pub why: Vec<String>,
}

/// All that is remembered of updates; it is not in the store, which a trial has a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Journal {
    pub update: Option<Update>,
    /// Newest last.
    pub failed: Vec<FailedVersion>,
}

/// How many failed versions are remembered.
const FAILED: usize = 16;

impl Journal {
    pub fn remember(&mut self, version: Version, why: Vec<String>) {
        self.failed.retain(|f| f.version != version);
        self.failed.push(FailedVersion { version, why });
        let over = self.failed.len().saturating_sub(FAILED);
        self.failed.drain(..over);
    }
    pub fn forgive(&mut self, version: &Version) {
        self.failed.retain(|f| f.version != *version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why() -> Vec<String> {
        vec!["because".into()]
    }

    #[test]
    fn what_may_follow_what_is_as_written_down() {
        use UpdateEvent as E;
        use UpdateState as S;
        let states = [
            S::Fetching,
            S::Received,
            S::Writing,
            S::Draining,
            S::Armed,
            S::OnTrial { starts: 2 },
            S::Committing,
            S::Committed,
            S::RolledBack { why: why() },
            S::Failed { why: why() },
            S::Cancelled,
        ];
        let events = [
            ("fetched", E::Fetched),
            ("verified", E::Verified),
            ("written", E::Written),
            ("quiet", E::Quiet),
            ("booted", E::Booted),
            ("sound", E::Sound),
            ("kept", E::Kept),
            ("broke", E::Broke { why: why() }),
            ("off", E::CalledOff),
            ("interrupted", E::Interrupted),
            ("back", E::CameBack { why: why() }),
        ];
        let want = [
            "FETCHING fetched RECEIVED",
            "FETCHING broke FAILED",
            "FETCHING off CANCELLED",
            "FETCHING interrupted FETCHING",
            "RECEIVED verified WRITING",
            "RECEIVED broke FAILED",
            "RECEIVED off CANCELLED",
            "RECEIVED interrupted RECEIVED",
            "WRITING written DRAINING",
            "WRITING broke FAILED",
            "WRITING interrupted RECEIVED",
            "DRAINING quiet ARMED",
            "DRAINING broke FAILED",
            "DRAINING off CANCELLED",
            "DRAINING interrupted DRAINING",
            "ARMED booted ON_TRIAL",
            "ARMED broke FAILED",
            "ARMED off CANCELLED",
            "ARMED interrupted ARMED",
            "ARMED back ROLLED_BACK",
            "ON_TRIAL booted ON_TRIAL",
            "ON_TRIAL sound COMMITTING",
            "ON_TRIAL back ROLLED_BACK",
            "COMMITTING kept COMMITTED",
            "COMMITTING interrupted COMMITTING",
            "COMMITTING back ROLLED_BACK",
        ];
        let mut found = Vec::new();
        for s in &states {
            for (name, e) in &events {
                if let Some(next) = s.next(e) {
                    assert!(!s.is_over(), "{s:?} is over");
                    if !next.why().is_empty() {
                        assert_eq!(next.why(), why());
                    }
                    found.push(format!("{} {name} {}", s.name(), next.name()));
                }
            }
        }
        assert_eq!(found, want);
        assert_eq!(S::OnTrial { starts: 2 }.next(&E::Booted), Some(S::OnTrial { starts: 3 }));
    }

    #[test]
    fn numbers_in_versions_count_as_numbers() {
        let v = |s: &str| s.parse::<Version>().expect("a version");
        for (older, newer) in
            [("1.9", "1.10"), ("1.2", "1.2.1"), ("0.9", "1"), ("1.0-a", "1.0-b"), ("2026.09", "2026.11"), ("1.2", "1.2-1")]
        {
            assert_eq!(v(older).age(&v(newer)), Ordering::Less, "{older} {newer}");
            assert_eq!(v(newer).age(&v(older)), Ordering::Greater, "{newer} {older}");
        }
        assert_eq!(v("1.02").age(&v("1.2")), Ordering::Equal);
        for bad in ["", "a b", "1\n2", "1;2", &"1".repeat(65)] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_version_is_remembered_once_and_the_oldest_go() {
        let mut j = Journal::default();
        for n in 0..FAILED + 3 {
            for _ in 0..2 {
                j.remember(format!("1.{n}").parse().expect("a version"), why());
            }
        }
        assert_eq!((j.failed.len(), j.failed[0].version.as_str()), (FAILED, "1.3"));
        j.forgive(&"1.3".parse().expect("a version"));
        assert_eq!(j.failed[0].version.as_str(), "1.4");
    }
}
