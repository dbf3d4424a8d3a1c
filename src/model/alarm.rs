//! Alarms: what is wrong, where, since when, and who has seen it (SOL003 7.5.2.4, SOL005 8.5.2.4).
//!
//! ```text
//!            seen again, otherwise: changed
//!                    +---+
//!                    v   |
//!   raised --------> standing --------> cleared          acknowledged and not, in each of them
//! ```
//! Owns the record and its transitions. One alarm stands per managed object, part of it and cause; what
//! comes again changes the one that stands. Never: where symptoms come from, the wire.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::{AlarmId, NsId, ProjectId, VnfId, VnfcId},
    time::Stamp,
};

/// The managed object. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Object {
    /// The box itself. ETSI's VNF and NS interfaces have no place for it.
    Host,
    Vnf(VnfId),
    Ns(NsId),
}

/// What of the object is at fault. Append only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Part {
    Whole,
    /// A guest of a VNF.
    Guest(VnfcId),
    /// A VNF of a network service.
    Member(VnfId),
    /// A part of the box, by its name: an interface, say.
    Named(SmolStr),
}

/// `eventType` (ITU-T X.733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    Communications,
    ProcessingError,
    Equipment,
}

impl EventType {
    pub fn word(self) -> &'static str {
        match self {
            EventType::Communications => "COMMUNICATIONS_ALARM",
            EventType::ProcessingError => "PROCESSING_ERROR_ALARM",
            EventType::Equipment => "EQUIPMENT_ALARM",
        }
    }
}

/// `faultyResourceType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceType {
    Compute,
    Storage,
    Network,
}

impl ResourceType {
    pub fn word(self) -> &'static str {
        match self {
            ResourceType::Compute => "COMPUTE",
            ResourceType::Storage => "STORAGE",
            ResourceType::Network => "NETWORK",
        }
    }
}

/// `probableCause`. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// QEMU was killed or failed, or the guest's kernel panicked.
    GuestCrashed,
    /// The guest went off by itself while it should run.
    GuestEnded,
    /// It should run and cannot be started.
    GuestNotStarted,
    /// Paused: the file system of its disks is full.
    DiskFull,
    /// A disk reads or writes with errors.
    DiskError,
    /// Its watchdog fired.
    Watchdog,
    /// A link of the host is down: of a physical network, or of a NIC whose function a guest has.
    LinkDown,
    /// The file system of the store and of disks has less room than its reserve.
    DiskReserve,
    /// The host has little memory left.
    MemoryLow,
    /// libvirt does not answer.
    Hypervisor,
    /// Open vSwitch does not answer.
    Switch,
    /// There are guests that another store made: nothing is done to them.
    UnknownGuests,
    /// A PF lost virtual functions that guests were given, or a guest lost its own.
    FunctionLost,
    /// What is asked through an uplink of the box is not answered.
    UplinkDown,
    /// The foreign VNFM that has the VNF reports it, or has it no more.
    Abroad,
}

impl Cause {
    pub const ALL: [Cause; 15] = [
        Cause::GuestCrashed,
        Cause::GuestEnded,
        Cause::GuestNotStarted,
        Cause::DiskFull,
        Cause::DiskError,
        Cause::Watchdog,
        Cause::LinkDown,
        Cause::DiskReserve,
        Cause::MemoryLow,
        Cause::Hypervisor,
        Cause::Switch,
        Cause::UnknownGuests,
        Cause::FunctionLost,
        Cause::UplinkDown,
        Cause::Abroad,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Cause::GuestCrashed => "GUEST_CRASHED",
            Cause::GuestEnded => "GUEST_ENDED",
            Cause::GuestNotStarted => "GUEST_NOT_STARTED",
            Cause::DiskFull => "DISK_FULL",
            Cause::DiskError => "DISK_ERROR",
            Cause::Watchdog => "WATCHDOG_FIRED",
            Cause::LinkDown => "LINK_DOWN",
            Cause::DiskReserve => "DISK_RESERVE_LOW",
            Cause::MemoryLow => "MEMORY_LOW",
            Cause::Hypervisor => "HYPERVISOR_DOWN",
            Cause::Switch => "SWITCH_DOWN",
            Cause::UnknownGuests => "UNKNOWN_GUESTS",
            Cause::FunctionLost => "FUNCTION_LOST",
            Cause::UplinkDown => "UPLINK_DOWN",
            Cause::Abroad => "REPORTED_BY_VNFM",
        }
    }

    pub fn event_type(self) -> EventType {
        match self {
            Cause::LinkDown | Cause::UplinkDown => EventType::Communications,
            Cause::DiskError | Cause::FunctionLost => EventType::Equipment,
            Cause::GuestCrashed
            | Cause::GuestEnded
            | Cause::GuestNotStarted
            | Cause::DiskFull
            | Cause::Watchdog
            | Cause::DiskReserve
            | Cause::MemoryLow
            | Cause::Hypervisor
            | Cause::Switch
            | Cause::UnknownGuests
            | Cause::Abroad => EventType::ProcessingError,
        }
    }

    pub fn resource(self) -> ResourceType {
        match self {
            Cause::DiskFull | Cause::DiskError | Cause::DiskReserve => ResourceType::Storage,
            Cause::LinkDown | Cause::UplinkDown | Cause::Switch | Cause::FunctionLost => ResourceType::Network,
            Cause::GuestCrashed
            | Cause::GuestEnded
            | Cause::GuestNotStarted
            | Cause::Watchdog
            | Cause::MemoryLow
            | Cause::Hypervisor
            | Cause::UnknownGuests
            | Cause::Abroad => ResourceType::Compute,
        }
    }

    /// A guest that runs again has left it behind.
    pub fn ends_with_a_start(self) -> bool {
        match self {
            Cause::GuestCrashed | Cause::GuestEnded | Cause::GuestNotStarted | Cause::DiskFull | Cause::DiskError | Cause::Watchdog => true,
            Cause::LinkDown
            | Cause::UplinkDown
            | Cause::DiskReserve
            | Cause::MemoryLow
            | Cause::Hypervisor
            | Cause::Switch
            | Cause::UnknownGuests
            | Cause::FunctionLost
            | Cause::Abroad => false,
        }
    }
}

/// `perceivedSeverity`, the worst last: a new one is compared by its place, so there will be none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    Warning,
    Minor,
    Major,
    Critical,
}

impl Severity {
    pub fn word(self) -> &'static str {
        match self {
            Severity::Warning => "WARNING",
            Severity::Minor => "MINOR",
            Severity::Major => "MAJOR",
            Severity::Critical => "CRITICAL",
        }
    }
}

/// The word of what is over (X.733).
pub const CLEARED: &str = "CLEARED";

/// `ackState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    Unacknowledged,
    Acknowledged,
}

/// What tells one standing alarm from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub object: Object,
    pub part: Part,
    pub cause: Cause,
}

/// A fault as it is seen at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symptom {
    pub key: Key,
    /// Whose the object is; the host's are nobody's.
    pub project: ProjectId,
    pub severity: Severity,
    /// `faultDetails`: one sentence each.
    pub details: Vec<String>,
    /// The alarm this one follows from.
    pub caused_by: Option<AlarmId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    pub id: AlarmId,
    pub project: ProjectId,
    pub object: Object,
    pub part: Part,
    pub cause: Cause,
    /// While it stood; what is cleared is shown as CLEARED.
    pub severity: Severity,
    /// `eventTime`: when the fault was first seen.
    pub observed: Stamp,
    pub raised: Stamp,
    pub changed: Option<Stamp>,
    pub cleared: Option<Stamp>,
    pub acknowledged: Option<Stamp>,
    pub details: Vec<String>,
    /// Alarms that follow from this one.
    pub causes: Vec<AlarmId>,
    pub caused_by: Option<AlarmId>,
    pub revision: u64,
}

impl Alarm {
    pub fn raise(id: AlarmId, s: Symptom, at: Stamp) -> Alarm {
        Alarm {
            id,
            project: s.project,
            object: s.key.object,
            part: s.key.part,
            cause: s.key.cause,
            severity: s.severity,
            observed: at,
            raised: at,
            changed: None,
            cleared: None,
            acknowledged: None,
            details: s.details,
            causes: Vec::new(),
            caused_by: s.caused_by,
            revision: 1,
        }
    }

    pub fn key(&self) -> Key {
        Key { object: self.object, part: self.part.clone(), cause: self.cause }
    }

    /// The fault is seen again; says whether the alarm is another one now. What got worse has to be
    /// looked at once more.
    pub fn again(&mut self, s: &Symptom, at: Stamp) -> bool {
        if (self.severity, &self.details) == (s.severity, &s.details) {
            return false;
        }
        if s.severity > self.severity {
            self.acknowledged = None;
        }
        self.severity = s.severity;
        self.details.clone_from(&s.details);
        self.touch(at);
        true
    }

    /// Another alarm follows from this one.
    pub fn explains(&mut self, other: AlarmId) -> bool {
        if self.causes.contains(&other) {
            return false;
        }
        self.causes.push(other);
        self.revision += 1;
        true
    }

    pub fn clear(&mut self, at: Stamp) {
        if self.cleared.is_none() {
            self.cleared = Some(at);
            self.revision += 1;
        }
    }

    /// SOL003 7.4.3.3.4: 409 for the state it is in already.
    pub fn acknowledge(&mut self, to: Ack, at: Stamp) -> Result<()> {
        let now = self.ack();
        if now == to {
            let word = match now {
                Ack::Acknowledged => "acknowledged",
                Ack::Unacknowledged => "not acknowledged",
            };
            return Err(Fault::conflict(format!("alarm {} is {word} already", self.id)));
        }
        self.acknowledged = match to {
            Ack::Acknowledged => Some(at),
            Ack::Unacknowledged => None,
        };
        self.revision += 1;
        Ok(())
    }

    pub fn ack(&self) -> Ack {
        if self.acknowledged.is_some() { Ack::Acknowledged } else { Ack::Unacknowledged }
    }

    /// It is the root of others, and follows from none itself.
    pub fn is_root(&self) -> bool {
        self.caused_by.is_none() && !self.causes.is_empty()
    }

    /// `perceivedSeverity` as it is shown.
    pub fn shown_severity(&self) -> &'static str {
        if self.cleared.is_some() { CLEARED } else { self.severity.word() }
    }

    fn touch(&mut self, at: Stamp) {
        self.changed = Some(at);
        self.revision += 1;
    }
}

/// The list of alarms itself: which generation of the store it belongs to, and when it was last made anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmList {
    pub generation: u64,
    pub rebuilt: Option<Stamp>,
}

impl AlarmList {
    pub const KEY: &'static str = "alarms";
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn symptom(severity: Severity, detail: &str) -> Symptom {
        Symptom {
            key: Key { object: Object::Host, part: Part::Whole, cause: Cause::MemoryLow },
            project: ProjectId::DEFAULT,
            severity,
            details: vec![detail.into()],
            caused_by: None,
        }
    }

    #[test]
    fn what_is_seen_again_changes_the_alarm_only_where_it_is_another() {
        let mut a = Alarm::raise(AlarmId(Uuid::nil()), symptom(Severity::Major, "a"), Stamp(1));
        assert!(!a.again(&symptom(Severity::Major, "a"), Stamp(2)));
        assert_eq!((a.changed, a.revision), (None, 1));
        a.acknowledge(Ack::Acknowledged, Stamp(3)).expect("first");
        assert!(a.again(&symptom(Severity::Major, "b"), Stamp(4)));
        assert_eq!((a.changed, a.acknowledged), (Some(Stamp(4)), Some(Stamp(3))), "still seen by somebody");
        assert!(a.again(&symptom(Severity::Critical, "b"), Stamp(5)));
        assert_eq!((a.changed, a.acknowledged), (Some(Stamp(5)), None), "worse: to be looked at again");
        assert!(a.again(&symptom(Severity::Minor, "b"), Stamp(6)));
        assert_eq!((a.raised, a.observed, a.shown_severity()), (Stamp(1), Stamp(1), "MINOR"));
        a.clear(Stamp(7));
        a.clear(Stamp(8));
        assert_eq!((a.cleared, a.shown_severity(), a.severity), (Some(Stamp(7)), "CLEARED", Severity::Minor));
    }

    #[test]
    fn an_alarm_is_acknowledged_once_and_taken_back_once() {
        let mut a = Alarm::raise(AlarmId(Uuid::nil()), symptom(Severity::Major, "a"), Stamp(1));
        for (to, ok) in [
            (Ack::Unacknowledged, false),
            (Ack::Acknowledged, true),
            (Ack::Acknowledged, false),
            (Ack::Unacknowledged, true),
            (Ack::Unacknowledged, false),
        ] {
            let before = a.revision;
            let done = a.acknowledge(to, Stamp(2));
            assert_eq!(done.is_ok(), ok, "{to:?}");
            assert_eq!(a.revision > before, ok, "the ETag changes with the state");
            assert!(done.err().is_none_or(|f| f.kind() == super::super::error::Kind::Conflict));
        }
    }

    #[test]
    fn words_of_causes_are_told_apart() {
        let words: std::collections::BTreeSet<_> = Cause::ALL.iter().map(|c| c.word()).collect();
        assert_eq!(words.len(), Cause::ALL.len());
        assert!(Severity::Critical > Severity::Major && Severity::Major > Severity::Minor && Severity::Minor > Severity::Warning);
    }
}
