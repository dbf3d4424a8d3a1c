//! Steps of a plan as data, and what the journal says of them.
//!
//! Both enums are append only: a stored plan must mean the same to the next release. Never: how a
//! step is done.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    abroad::{AbroadStep, AbroadTask},
    chain::ChainWay,
    domain::{BaseImage, DiskSpec, DomainSpec, MediaSpec},
    error::FaultRecord,
    host::PfSetting,
    id::{DiskId, IfName, NfpId, OpId, PortId, SegmentId, SnapshotId, VnfId, VnfcId},
    ns::NsPnf,
    own::What,
    place::Given,
    size::MiB,
    time::Stamp,
    vnf::{PackageChange, PortMove, Properties},
    vnfd::Readiness,
};

/// One step of a plan. `run` ensures it, `undo` ensures it as before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Vnf(VnfStep),
    Ns(NsStep),
    Pf(PfStep),
}

/// Steps on a VNF's resources; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VnfStep {
    /// Creates the host's side of a segment (port, addresses, DHCP, NAT).
    Segment(SegmentId),
    /// Uses a base image: it must be there.
    Image(BaseImage),
    /// Creates a disk.
    Disk(DiskSpec),
    /// Creates the day-0 medium.
    Medium(MediaSpec),
    /// Creates the domain, defined. Boxed, since it is ten times the size of any other step.
    Define(Box<DomainSpec>),
    /// Changes the guest to running; before, it was off.
    Start(VnfcId),
    /// Waits until the guest is ready.
    Ready {
        vnfc: VnfcId,
        rule: Readiness,
        grace_s: u32,
        addresses: Vec<IpAddr>,
    },
    /// Changes the guest to off: gracefully within so many seconds, or at once. Undone by a start.
    Stop {
        vnfc: VnfcId,
        graceful_s: Option<u32>,
    },
    /// Removes; what is gone stays gone.
    RemoveGuest(VnfcId),
    RemoveDisk(DiskId),
    RemoveMedium(VnfcId),
    RemoveSegment(SegmentId),
    /// Uses a segment that another made: the guest's addresses are offered on it.
    Attach(SegmentId),
    /// Creates a PCI function's settings and driver as the guest needs them; before, the host had it.
    Give {
        vnfc: VnfcId,
        given: Given,
    },
    /// Gives a PCI function back to the host as it was; what is gone stays gone.
    TakeBack(Given),
    /// Changes what the record has for its client.
    Properties {
        before: Box<Properties>,
        after: Box<Properties>,
    },
    /// Creates copies of these guests' disks, all of one moment: the guests stand still meanwhile.
    Capture {
        snapshot: SnapshotId,
        guests: Vec<Captured>,
    },
    /// Changes a disk of a guest that is off to what the copy holds; before, it was what is kept under another
    /// name until the operation is over.
    RevertDisk {
        snapshot: SnapshotId,
        vnfc: VnfcId,
        disk: DiskId,
        copy: DiskId,
        kept: DiskId,
    },
    /// Changes the link that a NIC is on, and its addresses there; the guest keeps the NIC. Boxed, as it names both.
    Move(Box<PortMove>),
    /// Changes what a guest that is off is made of. Boxed, as each side is a domain.
    Redefine {
        before: Box<DomainSpec>,
        after: Box<DomainSpec>,
    },
    /// Uses a disk of a guest that is off: it is at least so large. To cut it again could cut what its guest wrote.
    Grow {
        vnfc: VnfcId,
        disk: DiskId,
        to: MiB,
    },
    /// Changes the day-0 medium of a guest that is off.
    Rewrite {
        before: MediaSpec,
        after: MediaSpec,
    },
    /// Sheds what a VNF has no use for any more, when all that it is to have is there.
    Shed(Box<Shed>),
    /// Uses another package: it must be there. The instance is of it when the operation is over.
    Package(Box<PackageChange>),
    /// Uses what the VNF itself, or its element manager, does: it was asked, and has done it. Boxed, since few plans have one.
    Ask(Box<What>),
    /// Has a foreign VNFM do something, and follows that to its end. An instantiation there is undone, all else is not.
    Abroad(Box<AbroadStep>),
}

/// What goes at the end of an operation that could be rolled back until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shed {
    pub gone: Vec<Gone>,
    /// Links of the VNF's own, with their names in the descriptor.
    pub links: Vec<(SegmentId, SmolStr)>,
}

/// A guest that goes, or what goes of one that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    pub vnfc: VnfcId,
    pub vdu: SmolStr,
    pub index: u32,
    pub whole: bool,
    pub ports: Vec<(PortId, IfName)>,
    /// With their storages in the descriptor.
    pub disks: Vec<(DiskId, SmolStr)>,
    pub medium: bool,
    /// Functions that the host gets back.
    pub given: Vec<Given>,
}

/// A guest, and each of its disks with the name of its copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    pub vnfc: VnfcId,
    pub disks: Vec<(DiskId, DiskId)>,
}

/// Steps of a network service; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NsStep {
    Segment(SegmentId),
    /// Releases a member's instantiation and waits for its end. Undone by rolling it back, or by
    /// terminating it under `undo_op` when it had completed.
    Instantiate {
        vnf: VnfId,
        op: OpId,
        undo_op: OpId,
    },
    /// Releases a member's termination and waits for its end; never undone.
    Terminate {
        vnf: VnfId,
        op: OpId,
    },
    RemoveSegment(SegmentId),
    /// Releases a member's scaling or healing and waits for its end; never undone.
    Alter {
        vnf: VnfId,
        op: OpId,
    },
    /// Creates a chain on the switch; its members' ports come to it as they come up.
    Chain(NfpId),
    RemoveChain(NfpId),
    /// Changes a running chain, all of it at once; undone by the way it had before.
    Reroute {
        chain: NfpId,
        before: ChainWay,
        after: ChainWay,
    },
    /// Changes a running chain for connections that begin from now on; undone by the way it had before, at once.
    HandOver {
        chain: NfpId,
        before: ChainWay,
        after: ChainWay,
        /// As in `Handover`.
        mark: u32,
        /// What has no beginning that shows is noted for so long before; 0: there is no such traffic.
        noting_s: u32,
        drain_s: u32,
    },
    /// A physical box comes, goes, or is told of anew, and chains that end at it lead there; undone by what was known
    /// of it before.
    Pnf(Box<PnfChange>),
    /// Releases a member's change that can be rolled back and waits for its end; undone by rolling it back.
    Change {
        vnf: VnfId,
        op: OpId,
    },
}

/// What a service knows of the physical box of one profile: nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PnfChange {
    pub profile: SmolStr,
    pub before: Option<NsPnf>,
    pub after: Option<NsPnf>,
}

/// A guest that has functions of a PF, and what of it that PF gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PfUser {
    pub vnf: VnfId,
    pub guest: VnfcId,
    /// For people: `vnf/vdu/0`.
    pub name: SmolStr,
    pub given: Vec<Given>,
    /// It is to run: one that had to be stopped is started again.
    pub runs: bool,
}

/// Steps on a physical function and the guests behind it; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PfStep {
    /// Changes a running guest to one without these functions, which go back to the host. One that does not
    /// let go of them in time is stopped: it is asked to, and destroyed when it does not.
    Unplug { user: PfUser, within_s: u32, stop_s: u32 },
    /// Changes the PF: away from its driver and back, with as many functions and their settings.
    Reload(PfSetting),
    /// Changes the PF to what it should be, where it is not.
    Restore(PfSetting),
    /// Changes the guest to one that has its functions again, with the same settings.
    Plug(PfUser),
}

/// What undo may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Undo removes it.
    Creates,
    /// Undo does nothing.
    Uses,
    /// Undo restores what was.
    Changes,
    /// Cannot be undone.
    Removes,
    /// Undo does nothing as long as the step was never begun; from then on its plan cannot be undone.
    Sheds,
}

impl Step {
    pub fn effect(&self) -> Effect {
        match self {
            Step::Vnf(s) => match s {
                VnfStep::Segment(_)
                | VnfStep::Disk(_)
                | VnfStep::Medium(_)
                | VnfStep::Define(_)
                | VnfStep::Give { .. }
                | VnfStep::Capture { .. } => Effect::Creates,
                VnfStep::Image(_)
                | VnfStep::Ready { .. }
                | VnfStep::Attach(_)
                | VnfStep::Grow { .. }
                | VnfStep::Package(_)
                | VnfStep::Ask(_) => Effect::Uses,
                VnfStep::Start(_)
                | VnfStep::Stop { .. }
                | VnfStep::Properties { .. }
                | VnfStep::RevertDisk { .. }
                | VnfStep::Move(_)
                | VnfStep::Redefine { .. }
                | VnfStep::Rewrite { .. } => Effect::Changes,
                VnfStep::Shed(_) => Effect::Sheds,
                VnfStep::Abroad(a) => match a.task {
                    AbroadTask::Make | AbroadTask::Instantiate(_) => Effect::Creates,
                    AbroadTask::Terminate { .. }
                    | AbroadTask::Drop
                    | AbroadTask::Scale { .. }
                    | AbroadTask::ScaleToLevel { .. }
                    | AbroadTask::Heal { .. }
                    | AbroadTask::Operate { .. } => Effect::Removes,
                },
                VnfStep::RemoveGuest(_)
                | VnfStep::RemoveDisk(_)
                | VnfStep::RemoveMedium(_)
                | VnfStep::RemoveSegment(_)
                | VnfStep::TakeBack(_) => Effect::Removes,
            },
            Step::Ns(s) => match s {
                NsStep::Segment(_) | NsStep::Instantiate { .. } | NsStep::Chain(_) => Effect::Creates,
                NsStep::Terminate { .. } | NsStep::RemoveSegment(_) | NsStep::Alter { .. } | NsStep::RemoveChain(_) => Effect::Removes,
                NsStep::Reroute { .. } | NsStep::HandOver { .. } | NsStep::Pnf(_) | NsStep::Change { .. } => Effect::Changes,
            },
            // All alike, so that a retry takes the whole way again.
            Step::Pf(s) => match s {
                PfStep::Unplug { .. } | PfStep::Reload(_) | PfStep::Restore(_) | PfStep::Plug(_) => Effect::Changes,
            },
        }
    }

    /// For timelines: what the step does, to what.
    pub fn label(&self) -> String {
        match self {
            Step::Vnf(s) => match s {
                VnfStep::Segment(id) => format!("link {id}"),
                VnfStep::Image(b) => format!("image {}", data_encoding::HEXLOWER.encode(&b.sha256[..6])),
                VnfStep::Disk(d) => format!("disk {} ({})", d.id, d.size),
                VnfStep::Medium(m) => format!("day-0 medium of {}", m.vnfc),
                VnfStep::Define(d) => format!("define {}/{} {}", d.owner.vdu, d.owner.index, d.id),
                VnfStep::Start(id) => format!("start {id}"),
                VnfStep::Ready { vnfc, rule, .. } => match rule {
                    Readiness::Running => format!("running {vnfc}"),
                    Readiness::Agent => format!("agent of {vnfc}"),
                    Readiness::Serial(re) => format!("serial console of {vnfc} says /{re}/"),
                    Readiness::Tcp(port) => format!("TCP port {port} of {vnfc}"),
                },
                VnfStep::Stop { vnfc, graceful_s: Some(s) } => format!("stop {vnfc} within {s} s"),
                VnfStep::Stop { vnfc, graceful_s: None } => format!("stop {vnfc} at once"),
                VnfStep::RemoveGuest(id) => format!("remove guest {id}"),
                VnfStep::RemoveDisk(id) => format!("remove disk {id}"),
                VnfStep::RemoveMedium(id) => format!("remove day-0 medium of {id}"),
                VnfStep::RemoveSegment(id) => format!("remove link {id}"),
                VnfStep::Attach(id) => format!("attach to link {id}"),
                VnfStep::Give { vnfc, given } => format!("give {} to {vnfc}", given.label()),
                VnfStep::TakeBack(given) => format!("take back {}", given.address()),
                VnfStep::Properties { .. } => "extensions and configurable properties".into(),
                VnfStep::Capture { guests, .. } => {
                    let disks: usize = guests.iter().map(|g| g.disks.len()).sum();
                    format!("copies of {disks} disks of {} guests", guests.len())
                }
                VnfStep::RevertDisk { disk, .. } => format!("disk {disk} back to its copy"),
                VnfStep::Move(m) if m.before.segment == m.after.segment => format!("other addresses for {}", m.name),
                VnfStep::Move(m) => format!("{} from link {} to link {}", m.name, m.before.segment, m.after.segment),
                VnfStep::Redefine { after, .. } => format!("define anew {}/{} {}", after.owner.vdu, after.owner.index, after.id),
                VnfStep::Grow { disk, to, .. } => format!("disk {disk} to {to}"),
                VnfStep::Rewrite { after, .. } => format!("day-0 medium of {} anew", after.vnfc),
                VnfStep::Shed(s) => s.label(),
                VnfStep::Ask(what) => format!("ask for {}", what.name()),
                VnfStep::Abroad(a) => a.label(),
                VnfStep::Package(p) => format!("package {}, {} {}", p.after.package, p.after.name, p.after.software_version),
            },
            Step::Ns(s) => match s {
                NsStep::Segment(id) => format!("link {id}"),
                NsStep::Instantiate { vnf, .. } => format!("instantiate VNF {vnf}"),
                NsStep::Terminate { vnf, .. } => format!("terminate VNF {vnf}"),
                NsStep::RemoveSegment(id) => format!("remove link {id}"),
                NsStep::Alter { vnf, .. } | NsStep::Change { vnf, .. } => format!("change VNF {vnf}"),
                NsStep::Chain(id) => format!("chain {id}"),
                NsStep::RemoveChain(id) => format!("remove chain {id}"),
                NsStep::Reroute { chain, before, after } => format!("chain {chain}: from {} to {}", before.path(), after.path()),
                NsStep::HandOver { chain, before, after, .. } => {
                    format!("chain {chain}: new connections from {} to {}", before.path(), after.path())
                }
                NsStep::Pnf(c) => match &c.after {
                    Some(p) => format!("physical box {} ({})", p.name, c.profile),
                    None => format!("no physical box for {}", c.profile),
                },
            },
            Step::Pf(s) => match s {
                PfStep::Unplug { user, within_s, .. } => format!("unplug {} from {} within {within_s} s", user.functions(), user.name),
                PfStep::Reload(pf) => format!("reload PF {} with {} VFs", pf.pf, pf.vfs),
                PfStep::Restore(pf) => format!("PF {} with {} VFs", pf.pf, pf.vfs),
                PfStep::Plug(user) => format!("plug {} into {}", user.functions(), user.name),
            },
        }
    }
}

impl Shed {
    fn label(&self) -> String {
        let guests = self.gone.iter().filter(|g| g.whole).count();
        let disks: usize = self.gone.iter().map(|g| g.disks.len()).sum();
        let ports: usize = self.gone.iter().map(|g| g.ports.len()).sum();
        format!("remove what is left over: {guests} guests, {disks} disks, {ports} NICs, {} links", self.links.len())
    }
}

impl PfUser {
    fn functions(&self) -> String {
        let all: Vec<String> = self.given.iter().map(|g| g.address().to_string()).collect();
        all.join(", ")
    }
}

/// A step in its plan, stored under (operation, index).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    pub op: OpId,
    pub index: u32,
    /// Indices that must be done before; all lower than `index`.
    pub after: Vec<u32>,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepState {
    /// Ran, and has to wait or to be tried again.
    Waiting,
    Done,
    Failed,
    Undone,
}

/// What the journal says of a step, stored under (operation, index); absent: not run yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLog {
    pub op: OpId,
    pub index: u32,
    pub state: StepState,
    pub started: Stamp,
    pub ended: Stamp,
    /// Time spent in this attempt, so that a deadline survives a restart.
    pub spent_ms: u64,
    pub tries: u32,
    /// Why it waits or waited.
    pub why: Option<String>,
    pub error: Option<FaultRecord>,
    /// The boot of the host this was written in: a done step of an older boot is run again.
    pub boot: u64,
}
