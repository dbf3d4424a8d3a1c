//! The tables of the store and their one-byte tags.
//!
//! Owns: which tables there are and the tag that leads each key on disk. Tags are append-only: a tag that was once
//! given is never given to another table. Never: what is in a record.

/// A table. One tree holds them all, so one transaction spans them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Facts about the store and the box: generation mark, facts revision, certificates' serials.
    Meta,
    /// Onboarded VNF packages (`VnfPkgInfo`) and the VNFD as we run it.
    VnfPackage,
    /// Onboarded NS descriptors (`NsdInfo`) and the NSD as we run it.
    NsDescriptor,
    /// VNF instances.
    VnfInstance,
    /// NS instances.
    NsInstance,
    /// Lifecycle operation occurrences of VNFs and NSs: running ones in `live`, finished ones in `history`.
    Operation,
    /// One step of an operation's plan per key; written once, at PROCESSING.
    PlanStep,
    /// One small key per step that was started or done.
    Journal,
    /// What is promised to an operation: cores, memory, VFs, VLANs, names, quota.
    Reservation,
    /// Virtual links: the segments on the switch.
    Segment,
    /// Software images in the image folder.
    Image,
    /// Events that were committed and not yet handed to every subscriber.
    Outbox,
    /// Sealed secrets (see `seal`); never in the clear.
    Secret,
    /// Who asked for what, and how it ended.
    Audit,
    /// API tokens and who they speak for (digests only).
    Token,
    /// What the adapters last saw of a thing: run state, addresses, epochs.
    Observed,
    /// How the host was set up, and was before.
    Host,
    /// Who wants to hear of which events.
    Subscription,
    /// How far each subscriber has got.
    Delivery,
    /// Notifications that were given up.
    DeadLetter,
    /// Users and clients.
    Account,
    /// Roles beside the built-in ones.
    Role,
    /// Projects with their quotas.
    Project,
    /// What operations under way change of a VNF.
    Change,
    /// Alarms: those that stand, and those that are over and not forgotten yet.
    Alarm,
    /// Service function chains.
    Chain,
    /// PM jobs.
    PmJob,
    /// Their reports, so many of each.
    PmReport,
    /// Thresholds, and which way each was crossed last.
    Threshold,
    /// Snapshots of VNFs.
    Snapshot,
    /// SDN controllers that were told over the API.
    Controller,
    /// Port maps that were.
    PortMap,
    /// VNFs that come to another flavour or package, before and after.
    Remake,
    /// Onboarded PNF descriptors (`PnfdInfo`).
    PnfDescriptor,
    /// Grants given to foreign VNFMs.
    GivenGrant,
    /// Central NFVOs, which are asked for grants.
    CentralNfvo,
    /// Whose snapshots are that an NFVO has made.
    SnapshotOwner,
    /// Grants that operations need of them.
    GrantAsk,
    /// The box's own network, and a change of it that waits to be confirmed.
    HostNet,
    /// What VNFs tell of themselves.
    Indicator,
    /// Which element managers made which subscriptions.
    ElementListener,
    /// What foreign VNFMs were refused for want of room.
    Wanting,
    /// What is known of packages' artefacts beside their files.
    Artefacts,
    /// What of the box's capacity somebody wants to hear of.
    CapacityThreshold,
    /// Which packages came from a central NFVO.
    Brought,
    /// Where VNFs' own interfaces are, as somebody told.
    OwnEndpoints,
    /// Foreign VNFMs, which are driven.
    ForeignVnfm,
    /// Which of them call this box, and what is subscribed to there.
    ForeignEar,
    /// VNFs of services that they manage.
    ForeignVnf,
    /// How far steps are with what they ask of them.
    AbroadErrand,
    /// What operations ask of VNFs themselves.
    Errand,
    /// The document that the owner has signed, and what was made of it.
    DesiredState,
    /// What operations make and take away, by the names it has in descriptors.
    OpParts,
    /// Which central NFVOs made which subscriptions, PM jobs and thresholds.
    NfvoMade,
    /// Signed documents that a hub hands out to boxes.
    Handout,
}

impl Table {
    /// Every table, in the order of their tags.
    pub const ALL: [Table; 55] = [
        Table::Meta,
        Table::VnfPackage,
        Table::NsDescriptor,
        Table::VnfInstance,
        Table::NsInstance,
        Table::Operation,
        Table::PlanStep,
        Table::Journal,
        Table::Reservation,
        Table::Segment,
        Table::Image,
        Table::Outbox,
        Table::Secret,
        Table::Audit,
        Table::Token,
        Table::Observed,
        Table::Host,
        Table::Subscription,
        Table::Delivery,
        Table::DeadLetter,
        Table::Account,
        Table::Role,
        Table::Project,
        Table::Change,
        Table::Alarm,
        Table::Chain,
        Table::PmJob,
        Table::PmReport,
        Table::Threshold,
        Table::Snapshot,
        Table::Controller,
        Table::PortMap,
        Table::Remake,
        Table::PnfDescriptor,
        Table::GivenGrant,
        Table::CentralNfvo,
        Table::GrantAsk,
        Table::SnapshotOwner,
        Table::HostNet,
        Table::Indicator,
        Table::ElementListener,
        Table::Wanting,
        Table::Artefacts,
        Table::CapacityThreshold,
        Table::Brought,
        Table::OwnEndpoints,
        Table::ForeignVnfm,
        Table::ForeignEar,
        Table::ForeignVnf,
        Table::AbroadErrand,
        Table::Errand,
        Table::DesiredState,
        Table::OpParts,
        Table::NfvoMade,
        Table::Handout,
    ];

    /// The byte that leads each key of this table on disk. 0x00 and 0xF0..=0xFF belong to the store itself.
    pub const fn tag(self) -> u8 {
        match self {
            Table::Meta => 0x01,
            Table::VnfPackage => 0x02,
            Table::NsDescriptor => 0x03,
            Table::VnfInstance => 0x04,
            Table::NsInstance => 0x05,
            Table::Operation => 0x06,
            Table::PlanStep => 0x07,
            Table::Journal => 0x08,
            Table::Reservation => 0x09,
            Table::Segment => 0x0a,
            Table::Image => 0x0b,
            Table::Outbox => 0x0c,
            Table::Secret => 0x0d,
            Table::Audit => 0x0e,
            Table::Token => 0x0f,
            Table::Observed => 0x10,
            Table::Host => 0x11,
            Table::Subscription => 0x20,
            Table::Delivery => 0x21,
            Table::DeadLetter => 0x22,
            Table::Account => 0x12,
            Table::Role => 0x13,
            Table::Project => 0x14,
            Table::Change => 0x15,
            Table::Alarm => 0x30,
            Table::Chain => 0x16,
            Table::PmJob => 0x31,
            Table::PmReport => 0x32,
            Table::Threshold => 0x33,
            Table::Snapshot => 0x17,
            Table::Controller => 0x40,
            Table::PortMap => 0x41,
            Table::Remake => 0x18,
            Table::PnfDescriptor => 0x19,
            Table::GivenGrant => 0x50,
            Table::CentralNfvo => 0x51,
            Table::GrantAsk => 0x52,
            Table::SnapshotOwner => 0x53,
            Table::HostNet => 0x1a,
            Table::Indicator => 0x34,
            Table::ElementListener => 0x23,
            Table::Wanting => 0x54,
            Table::Artefacts => 0x1d,
            Table::CapacityThreshold => 0x35,
            Table::Brought => 0x55,
            Table::OwnEndpoints => 0x58,
            Table::Errand => 0x56,
            Table::ForeignVnfm => 0x59,
            Table::ForeignEar => 0x62,
            Table::ForeignVnf => 0x5a,
            Table::AbroadErrand => 0x5b,
            Table::DesiredState => 0x1e,
            Table::OpParts => 0x60,
            Table::NfvoMade => 0x61,
            Table::Handout => 0x1f,
        }
    }

    /// The name shown to people.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::VnfPackage => "VNF package",
            Table::NsDescriptor => "NS descriptor",
            Table::VnfInstance => "VNF instance",
            Table::NsInstance => "NS instance",
            Table::Operation => "operation",
            Table::PlanStep => "plan step",
            Table::Journal => "journal",
            Table::Reservation => "reservation",
            Table::Segment => "segment",
            Table::Image => "image",
            Table::Outbox => "outbox",
            Table::Secret => "secret",
            Table::Audit => "audit",
            Table::Token => "token",
            Table::Observed => "observed",
            Table::Host => "host",
            Table::Subscription => "subscription",
            Table::Delivery => "delivery",
            Table::DeadLetter => "dead letter",
            Table::Account => "account",
            Table::Role => "role",
            Table::Project => "project",
            Table::Change => "change",
            Table::Alarm => "alarm",
            Table::Chain => "chain",
            Table::PmJob => "PM job",
            Table::PmReport => "PM report",
            Table::Threshold => "threshold",
            Table::Snapshot => "VNF snapshot",
            Table::Controller => "SDN controller",
            Table::PortMap => "port map",
            Table::Remake => "remake",
            Table::PnfDescriptor => "PNF descriptor",
            Table::GivenGrant => "given grant",
            Table::CentralNfvo => "central NFVO",
            Table::GrantAsk => "grant request",
            Table::SnapshotOwner => "snapshot owner",
            Table::HostNet => "host network",
            Table::Indicator => "VNF indicator",
            Table::ElementListener => "element listener",
            Table::Wanting => "refused grant",
            Table::Artefacts => "package artefacts",
            Table::CapacityThreshold => "capacity threshold",
            Table::Brought => "fetched package",
            Table::OwnEndpoints => "VNF endpoints",
            Table::ForeignVnfm => "foreign VNFM",
            Table::ForeignEar => "ear at a foreign VNFM",
            Table::ForeignVnf => "foreign VNF",
            Table::AbroadErrand => "errand abroad",
            Table::Errand => "errand",
            Table::DesiredState => "desired state",
            Table::OpParts => "parts of an operation",
            Table::NfvoMade => "made by an NFVO",
            Table::Handout => "handout",
        }
    }

    /// The table behind a tag, `None` for the store's own bytes.
    pub fn from_tag(tag: u8) -> Option<Table> {
        Table::ALL.into_iter().find(|t| t.tag() == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is on disk at customers: lines are only ever added here.
    #[test]
    fn tags_given_once_never_change() {
        let given: Vec<(u8, &str)> = Table::ALL.iter().map(|t| (t.tag(), t.name())).collect();
        let fixed = [
            (1, "meta"),
            (2, "VNF package"),
            (3, "NS descriptor"),
            (4, "VNF instance"),
            (5, "NS instance"),
            (6, "operation"),
            (7, "plan step"),
            (8, "journal"),
            (9, "reservation"),
            (10, "segment"),
            (11, "image"),
            (12, "outbox"),
            (13, "secret"),
            (14, "audit"),
            (15, "token"),
            (16, "observed"),
            (17, "host"),
            (0x20, "subscription"),
            (0x21, "delivery"),
            (0x22, "dead letter"),
            (18, "account"),
            (19, "role"),
            (20, "project"),
            (21, "change"),
            (0x30, "alarm"),
            (22, "chain"),
            (0x31, "PM job"),
            (0x32, "PM report"),
            (0x33, "threshold"),
            (23, "VNF snapshot"),
            (0x40, "SDN controller"),
            (0x41, "port map"),
            (24, "remake"),
            (25, "PNF descriptor"),
            (0x50, "given grant"),
            (0x51, "central NFVO"),
            (0x52, "grant request"),
            (0x53, "snapshot owner"),
            (0x1a, "host network"),
            (0x34, "VNF indicator"),
            (0x23, "element listener"),
            (0x54, "refused grant"),
            (0x1d, "package artefacts"),
            (0x35, "capacity threshold"),
            (0x55, "fetched package"),
            (0x58, "VNF endpoints"),
            (0x59, "foreign VNFM"),
            (0x62, "ear at a foreign VNFM"),
            (0x5a, "foreign VNF"),
            (0x5b, "errand abroad"),
            (0x56, "errand"),
            (0x1e, "desired state"),
            (0x60, "parts of an operation"),
            (0x61, "made by an NFVO"),
            (0x1f, "handout"),
        ];
        assert_eq!(given, fixed);
        for t in Table::ALL {
            assert_eq!(Table::from_tag(t.tag()), Some(t));
        }
        assert_eq!(Table::from_tag(0), None);
        assert_eq!(Table::from_tag(0xf0), None);
    }
}
