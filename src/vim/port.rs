//! The ports of the VIM: `Hypervisor`, `Images`, `HostNet`, `Hardware`.
//!
//! Every call is *ensure*: repeating it after a crash is the normal path, and what is already so is
//! success. Each has a real adapter and a twin in `sim`, held together by one contract suite. Never:
//! XML, paths of sysfs, argv.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;

use crate::model::{
    domain::{DiskSpec, DomainSpec, Owner},
    error::{Fault, Result},
    host::{BootArgs, DriverName, HostFacts, HostSetting, PfSetting, VfSetting},
    hw::{CpuSet, PciAddr},
    id::{DiskId, IfName, SegmentId, VnfcId},
    net::{Cidr, MacAddr},
    place::{Astray, Pins},
    segment::NatForward,
    size::{Bytes, MiB},
    vnfd::{ImageFormat, MediaBus, Medium},
};
use crate::sdn::port::Datapath;

/// What a guest is doing, as the hypervisor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestState {
    /// Defined, not running.
    Off,
    Running,
    /// Paused by its start or by an administrator.
    Paused,
    /// Paused because a write failed: the disk is full.
    PausedIo,
    /// Ended by a fault of QEMU or the guest.
    Crashed,
    /// On its way down.
    Stopping,
}

/// A domain that carries Bothy's metadata.
#[derive(Debug, Clone)]
pub struct FoundGuest {
    pub id: VnfcId,
    pub owner: Owner,
    pub state: GuestState,
}

/// What happened to a guest. Posted, never handled, by the adapter's thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestEvent {
    Changed {
        id: VnfcId,
        state: GuestState,
    },
    /// The guest agent's channel was opened by the guest.
    AgentUp {
        id: VnfcId,
    },
    /// Something in it failed; what becomes of the guest is an event of its own.
    Failed {
        id: VnfcId,
        what: GuestFault,
    },
    /// The connection was lost, or is back: whoever keeps a picture lists anew.
    Disconnected,
    Connected,
}

/// What can fail in a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestFault {
    Watchdog,
    /// A write found no room.
    DiskFull,
    /// A disk could not be read or written for another reason.
    DiskError,
}

/// How the guest is asked to go down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopHow {
    /// By its agent.
    Agent,
    /// By the power button.
    Acpi,
}

/// How a guest stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still {
    /// Its file systems are frozen by its agent.
    Frozen,
    /// In the middle of whatever it did.
    Paused,
    /// It does not run.
    Off,
}

/// Guests that stand still while their disks are copied, for a snapshot or a backup: whoever has them so lets them go on, and
/// nobody else takes them for his own meanwhile.
#[derive(Clone, Default)]
pub struct Stillness(Arc<Mutex<HashSet<VnfcId>>>);

/// Some of these guests, until it goes.
pub struct Stands {
    of: Stillness,
    guests: Vec<VnfcId>,
}

impl Stillness {
    /// `None`: somebody else has one of them.
    pub fn take(&self, guests: impl IntoIterator<Item = VnfcId>) -> Option<Stands> {
        let guests: Vec<VnfcId> = guests.into_iter().collect();
        let mut all = self.all();
        if guests.iter().any(|g| all.contains(g)) {
            return None;
        }
        all.extend(&guests);
        Some(Stands { of: self.clone(), guests })
    }

    fn all(&self) -> MutexGuard<'_, HashSet<VnfcId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stands {
    fn drop(&mut self) {
        let mut all = self.of.all();
        for g in &self.guests {
            all.remove(g);
        }
    }
}

/// Where guests run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Accel {
    Kvm,
    Tcg,
}

/// What the hypervisor's host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCapacity {
    pub cpus: u32,
    pub memory: MiB,
}

/// Whose counters are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsAsk {
    pub id: VnfcId,
    pub nics: Vec<IfName>,
    pub disks: Vec<DiskId>,
}

/// What a running guest has used. Counters begin anew with each of its starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuestStats {
    /// Of all its vCPUs, and of QEMU for it.
    pub cpu_ns: u64,
    pub memory_kib: u64,
    /// As its balloon driver says, else what its process holds.
    pub memory_used_kib: u64,
    /// Virtual sizes of its disks, and what of them is allocated, in bytes.
    pub disk: u64,
    pub disk_used: u64,
    pub nics: Vec<(IfName, NicCounters)>,
}

/// As the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NicCounters {
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_packets: u64,
    pub tx_packets: u64,
}

pub type EventSink = Box<dyn Fn(GuestEvent) + Send + Sync>;

pub trait Hypervisor: Send + Sync {
    /// Answers when the hypervisor does; its version for people.
    fn health(&self) -> Result<String>;
    fn capacity(&self) -> Result<HostCapacity>;
    fn accel(&self) -> Accel;
    /// Why guests run as they do; a fault where the configuration forbids how they would have to.
    fn accel_why(&self) -> Result<String>;
    /// The datapath guests' NICs are on: in userspace nobody does a checksum that a guest leaves to
    /// an offload. Told before the first `define`.
    fn set_datapath(&self, datapath: Datapath);
    /// The CPUs over which guests without a place float; `None`: over all. Told before each `define`, which writes
    /// them into the guest.
    fn set_float(&self, cpus: Option<CpuSet>);
    /// The clock, without boost, by which a CPU limit in MHz is counted; `None`: the hypervisor asks itself. Told with
    /// `set_float`.
    fn set_clock(&self, mhz: Option<u32>);
    /// The socket on which a guest's vhost-user NIC listens for the switch.
    fn vhost_socket(&self, nic: &IfName) -> Utf8PathBuf;
    /// Defined exactly so; a running guest of another form is a `Conflict`.
    fn define(&self, spec: &DomainSpec) -> Result<()>;
    /// Running; waits for a start under way. Paused guests are resumed.
    fn start(&self, id: VnfcId) -> Result<()>;
    /// Asks, and does not wait. `NotFound` when there is no such guest; already off is success.
    fn ask_stop(&self, id: VnfcId, how: StopHow) -> Result<()>;
    fn reboot(&self, id: VnfcId) -> Result<()>;
    /// Not running; it stays defined. Absent is success.
    fn destroy(&self, id: VnfcId) -> Result<()>;
    /// It stands still, and all that it wrote is on its disks; where its agent answers, its file systems are
    /// frozen before. Success when it is off, not there, or stands still already. `Conflict`: a full disk or its
    /// own sleep holds it.
    fn pause(&self, id: VnfcId) -> Result<Still>;
    /// It goes on after `pause`, its file systems thawed. Off, and not there, is success.
    fn resume(&self, id: VnfcId) -> Result<()>;
    /// Neither running nor defined, nor its NVRAM.
    fn remove(&self, id: VnfcId) -> Result<()>;
    fn state(&self, id: VnfcId) -> Result<Option<GuestState>>;
    /// Counters of those guests that run; the others are left out.
    fn stats(&self, guests: &[StatsAsk]) -> Result<Vec<(VnfcId, GuestStats)>>;
    /// All domains that carry Bothy's metadata.
    fn list(&self) -> Result<Vec<FoundGuest>>;
    /// The guest agent answered within `wait`.
    fn agent_ping(&self, id: VnfcId, wait: Duration) -> Result<bool>;
    /// The beginning of a file of the guest, read by its agent: `most` bytes at most. `Conflict`: it does not run, or no agent
    /// answers within `wait`; `Invalid`: the agent does not read it, in its own words.
    fn agent_file(&self, id: VnfcId, path: &str, most: u32, wait: Duration) -> Result<Vec<u8>>;
    /// Functions of the host that the guest has now; `None`: it does not run, or is not there.
    fn functions(&self, id: VnfcId) -> Result<Option<Vec<PciAddr>>>;
    /// Asks the guest to let go of a function, and does not wait for it: `functions` shows when it has. One
    /// that it has not is success; `Conflict`: it sits where nothing can be unplugged.
    fn unplug(&self, id: VnfcId, device: PciAddr) -> Result<()>;
    /// The running guest has the function that its definition names, where that puts it.
    fn plug(&self, id: VnfcId, device: PciAddr) -> Result<()>;
    /// The guest's threads may run there and nowhere else: at once where it runs, and whenever it is started.
    fn pin(&self, id: VnfcId, want: &Pins) -> Result<()>;
    /// Threads that may run elsewhere: of a guest that runs, now; else as it is defined. Absent: none.
    fn astray(&self, id: VnfcId, want: &Pins) -> Result<Vec<Astray>>;
    /// The present domain XML, for support and people.
    fn xml(&self, id: VnfcId) -> Result<String>;
    /// The guest's serial console as a byte stream (both ways).
    fn console(&self, id: VnfcId) -> Result<std::os::unix::net::UnixStream>;
    /// Where the guest's VNC listens (a UNIX socket), if it has one.
    fn vnc(&self, id: VnfcId) -> Result<Option<camino::Utf8PathBuf>>;
    /// Events from now on go to `sink`, until the adapter is dropped.
    fn subscribe(&self, sink: EventSink);
}

/// What a base image turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageInfo {
    pub format: ImageFormat,
    pub virtual_size: MiB,
    pub size: Bytes,
}

/// The room on the file system of disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRoom {
    pub total: Bytes,
    pub free: Bytes,
    /// Held by Bothy's disks now, of their virtual sizes.
    pub disks: Bytes,
}

/// One file of a day-0 medium.
pub struct MediumFile {
    pub path: String,
    pub content: Vec<u8>,
    pub secret: bool,
}

/// As much of an image's beginning as says what it is, in bytes.
pub const IMAGE_HEAD: u64 = 64 << 10;

pub trait Images: Send + Sync {
    /// Takes a finished file as base image under its digest (moved, fsynced, read-only); refuses one
    /// that is not what `format` says, or that refers to other files.
    fn import(&self, file: &Utf8Path, sha256: &[u8; 32], format: ImageFormat) -> Result<ImageInfo>;
    /// What `import` would say of a file of this length that begins so (`IMAGE_HEAD`). Takes nothing.
    fn examine(&self, head: &[u8], size: Bytes, format: ImageFormat) -> Result<ImageInfo>;
    fn has_base(&self, sha256: &[u8; 32]) -> Result<bool>;
    fn remove_base(&self, sha256: &[u8; 32]) -> Result<()>;
    fn bases(&self) -> Result<Vec<[u8; 32]>>;
    /// The disk exists, complete and durable.
    fn ensure_disk(&self, spec: &DiskSpec) -> Result<()>;
    /// The disk is at least so large, and what it held is where it was. Its guest is off.
    fn grow_disk(&self, id: DiskId, to: MiB) -> Result<()>;
    fn remove_disk(&self, id: DiskId) -> Result<()>;
    fn disks(&self) -> Result<Vec<DiskId>>;
    /// A copy of a disk as it is now exists, complete and durable; what it takes. The disk's guest stands still.
    /// A copy that is there is left as it is.
    fn copy_disk(&self, disk: DiskId, copy: DiskId) -> Result<Bytes>;
    /// A copy of a disk as it is now, to be read from its beginning; nobody else knows of it, and it goes with the file. The
    /// disk's guest stands still.
    fn lend_disk(&self, disk: DiskId) -> Result<std::fs::File>;
    fn remove_copy(&self, copy: DiskId) -> Result<()>;
    /// Also those that are kept by `revert_disk`.
    fn copies(&self) -> Result<Vec<DiskId>>;
    /// The disk holds what the copy does, complete and durable; what it held before is a copy under `kept`. Once
    /// that is so, repeating it changes nothing. The disk's guest is off.
    fn revert_disk(&self, disk: DiskId, copy: DiskId, kept: DiskId) -> Result<()>;
    /// The disk holds what is kept, and `kept` is gone. Without it nothing was reverted, which is success.
    fn take_back_disk(&self, disk: DiskId, kept: DiskId) -> Result<()>;
    /// The medium exists with this content (mode 0640: it may hold secrets).
    fn ensure_medium(&self, id: VnfcId, medium: Medium, bus: MediaBus, label: Option<&str>, files: &[MediumFile]) -> Result<()>;
    fn remove_medium(&self, id: VnfcId) -> Result<()>;
    fn media(&self) -> Result<Vec<VnfcId>>;
    /// What a reserve holds (`hold_reserve`) counts as free.
    fn room(&self) -> Result<DiskRoom>;
    /// Keeps so much of the file system from everybody: takes it as far as there is room, gives up a
    /// piece of it when the file system is full, and what is above `want`. To be repeated.
    fn hold_reserve(&self, want: MiB) -> Result<()>;
    /// The end of the serial log, at most `max` bytes.
    fn serial_log(&self, id: VnfcId, max: usize) -> Result<Vec<u8>>;
    fn remove_serial_log(&self, id: VnfcId) -> Result<()>;
}

/// The host's own end of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLink {
    pub ifname: IfName,
    pub addresses: Vec<Cidr>,
    pub mtu: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpLease {
    pub mac: MacAddr,
    pub addresses: Vec<IpAddr>,
    pub hostname: String,
}

/// What a segment's DHCP server gives out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpConf {
    pub segment: SegmentId,
    pub ifname: IfName,
    pub networks: Vec<DhcpNetwork>,
    pub leases: Vec<DhcpLease>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DhcpNetwork {
    pub cidr: Cidr,
    /// Given as router; `None`: no default route is offered.
    pub gateway: Option<IpAddr>,
    pub dns: Vec<IpAddr>,
    pub mtu: Option<u16>,
}

/// The whole of the box's address translation, and what the host leaves to the switch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NatTable {
    /// Sources translated when they leave by an interface that is not Bothy's.
    pub masquerade: Vec<Cidr>,
    pub forwards: Vec<NatForward>,
    /// Bothy's segment interfaces: between two of them nothing is forwarded.
    pub inside: Vec<IfName>,
    /// There are links: what comes in by guests' NICs is the switch's, and the host takes nothing of it by itself.
    pub links: bool,
}

pub trait HostNet: Send + Sync {
    fn ensure_link(&self, link: &HostLink) -> Result<()>;
    /// Addresses of the host's own ends of segments, whoever made them, with their prefixes.
    fn link_addresses(&self) -> Result<Vec<(IfName, Cidr)>>;
    fn ensure_dhcp(&self, conf: &DhcpConf) -> Result<()>;
    fn remove_dhcp(&self, segment: SegmentId) -> Result<()>;
    fn list_dhcp(&self) -> Result<Vec<SegmentId>>;
    /// Replaces the whole table in one transaction.
    fn project_nat(&self, table: &NatTable) -> Result<()>;
    /// What a support engineer wants to see of the host's network and switch, as text by name; `ovsdb`
    /// is the socket of the switch's database. What cannot be had says why.
    fn facts(&self, ovsdb: &Utf8Path) -> Vec<(String, Result<String>)>;
    /// A TCP connection from the host to a guest's address is accepted within `wait`.
    fn tcp_answers(&self, to: IpAddr, port: u16, wait: Duration) -> Result<bool>;
    /// What comes in and goes out by an interface from now on; it is up then.
    fn listen(&self, at: &IfName) -> Result<Box<dyn Frames>>;
}

pub trait Frames: Send {
    /// The next one; `None`: none came within `wait`.
    fn next(&mut self, wait: Duration) -> Result<Option<Captured>>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Of the whole frame.
    pub length: usize,
    /// Its beginning at least.
    pub bytes: Vec<u8>,
}

/// The host at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPulse {
    /// Without what is set aside as large pages.
    pub memory: MiB,
    /// What programs can still get of it, caches given up.
    pub available: MiB,
    /// Interfaces that were asked for, and whether each has a link.
    pub links: Vec<(IfName, bool)>,
}

/// What the box is made of, and its devices as guests need them. Each change is read back before it
/// counts as done.
pub trait Hardware: Send + Sync {
    /// As it is now. What cannot be read is left out; it fails only where not even the processors
    /// can be told.
    fn facts(&self) -> Result<HostFacts>;
    /// Set so. A number of VFs changes only while no guest has one of them (`Conflict`: one is bound
    /// to vfio-pci); fewer hugepages than asked for is `Capacity`, and those that came stay.
    fn set(&self, want: &HostSetting) -> Result<()>;
    /// The VF has these settings on its PF, and this driver. `Transient` while the PF has not made
    /// it, `Conflict` where no IOMMU stands before it and the driver is vfio-pci.
    fn ensure_vf(&self, want: &VfSetting) -> Result<()>;
    /// As it was `before`: settings first, then the driver, which looks at them. A VF that is gone
    /// is success.
    fn release_vf(&self, before: &VfSetting) -> Result<()>;
    /// This driver has the device (`None`: none has), for a guest where it is vfio-pci. For whole functions; a gone one is
    /// `NotFound`.
    fn ensure_driver(&self, device: PciAddr, driver: Option<&DriverName>) -> Result<()>;
    /// The driver that the device had `before` a guest had it, vfio-pci too; whose that is is not Bothy's to say any more.
    /// One that is gone is success.
    fn release_driver(&self, device: PciAddr, before: Option<&DriverName>) -> Result<()>;
    /// Guests have these since before this process: of each its address, and what its card was called when it was given.
    fn recall(&self, given: &[(PciAddr, SmolStr)]);
    /// What changes from moment to moment, cheap to ask for; of `links` those that are there.
    fn pulse(&self, links: &[IfName]) -> Result<HostPulse>;
    /// Takes the PF from its driver and gives it back, then as `ensure_pf`. `Conflict` while one of its VFs
    /// is with vfio-pci.
    fn reload_pf(&self, want: &PfSetting) -> Result<()>;
    /// The PF has its driver, is up, and has so many VFs with these settings. `NotFound`: it is gone itself.
    fn ensure_pf(&self, want: &PfSetting) -> Result<()>;
    /// `None`: no boot loader listens to Bothy.
    fn boot_args(&self) -> Result<Option<BootArgs>>;
    fn set_boot_args(&self, want: &BootArgs) -> Result<()>;
}

/// What every adapter says of a device that cannot be handed to a guest.
pub fn no_iommu(device: PciAddr) -> Fault {
    Fault::conflict(format!(
        "PCI device {device} is in no IOMMU group: switch VT-d or AMD-Vi on in the firmware, and the kernel's IOMMU on ([host] iommu)"
    ))
}
