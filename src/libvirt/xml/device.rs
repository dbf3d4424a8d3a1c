//! The devices of a guest: disks, day-0 medium, NICs, console, agent channel, VNC and the small rest.
//!
//! Owns PCI addresses and target names. Never: a device whose place is left to chance.

use super::{Host, Out, Wrote, leaf, nic, node, platform, text};
use crate::model::{
    domain::{DomainDisk, DomainSpec},
    epa::{MOST_DEVICES, PlacedNic, nic_slots},
    error::{Fault, Result},
    hw::PciAddr,
    vnfd::{DiskBus, MediaBus},
};

const VIDEO: u32 = 0x01;
const NICS: Slots = Slots { first: 0x02, count: 16 };
const BLOCK: Slots = Slots { first: 0x12, count: 8 };
const SCSI: u32 = 0x1a;
const SERIAL: u32 = 0x1b;
const RNG: u32 = 0x1c;
const BALLOON: u32 = 0x1d;
/// Devices of the host, a function each.
const HOSTDEV: Slots = Slots { first: 0x1e, count: 1 };
const _: () = assert!(HOSTDEV.capacity() == MOST_DEVICES as usize, "as many as descriptors may ask for");
/// Ports of the SATA controller in the chip set.
const SATA_PORTS: usize = 6;
/// Units on the one SCSI controller; a target each.
const SCSI_UNITS: usize = 64;

/// A run of slots on `pcie.0` for devices of one sort.
struct Slots {
    first: u32,
    count: u32,
}

impl Slots {
    const FUNCTIONS: u32 = 8;
    const fn capacity(&self) -> usize {
        (self.count * Self::FUNCTIONS) as usize
    }
    /// Where device `i` of `total` sits. Order by address is order by `i`.
    fn place(&self, i: usize, total: usize) -> Pci {
        let per_slot = (total as u32).div_ceil(self.count).max(1);
        let i = i as u32;
        Pci { bus: 0, slot: self.first + i / per_slot, function: i % per_slot, shared: per_slot > 1 }
    }
}

/// A place on the guest's root bus, or behind a root port of it.
#[derive(Clone, Copy)]
pub struct Pci {
    bus: usize,
    slot: u32,
    function: u32,
    /// Other functions of the slot are in use.
    shared: bool,
}

impl Pci {
    fn at(slot: u32) -> Self {
        Pci { bus: 0, slot, function: 0, shared: false }
    }
    /// The one place behind a root port.
    fn behind(port: usize) -> Self {
        Pci { bus: port, slot: 0, function: 0, shared: false }
    }
    pub fn write(self, w: &mut Out) -> Wrote {
        let (bus, slot, function) = (format!("{:#04x}", self.bus), format!("{:#04x}", self.slot), format!("{:#x}", self.function));
        let mut attrs =
            vec![("type", "pci"), ("domain", "0x0000"), ("bus", bus.as_str()), ("slot", slot.as_str()), ("function", function.as_str())];
        if self.shared && self.function == 0 {
            attrs.push(("multifunction", "on"));
        }
        leaf(w, "address", &attrs)
    }
}

/// Everything about a spec that no domain can be made of, all at once.
pub fn check(spec: &DomainSpec, host: &Host<'_>) -> Result<()> {
    let on = |bus| spec.disks.iter().filter(|d| d.bus == bus).count();
    let medium = |bus| usize::from(spec.medium.as_ref().is_some_and(|m| m.bus == bus));
    let mut reasons = Vec::new();
    let mut limit = |what: &str, have: usize, max: usize| {
        if have > max {
            reasons.push(format!("{have} {what}, and a guest can have {max}"));
        }
    };
    limit("NICs", spec.nics.len(), NICS.capacity());
    limit("VirtIO disks (day-0 medium among them)", on(DiskBus::Virtio) + medium(MediaBus::Disk), BLOCK.capacity());
    limit("SATA disks (day-0 CD-ROM among them)", on(DiskBus::Sata) + medium(MediaBus::Cdrom), SATA_PORTS);
    limit("SCSI disks", on(DiskBus::Scsi), SCSI_UNITS);
    if spec.vcpus == 0 {
        reasons.push("it has no vCPU".into());
    }
    if spec.memory.0 == 0 {
        reasons.push("it has no memory".into());
    }
    if let Err(why) = nic_places(spec) {
        reasons.push(why);
    }
    platform::check(spec, host, &mut reasons);
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Fault::invalid(format!("VDU {} of {} cannot be a guest", spec.owner.vdu, spec.owner.vnf_name)).with_reasons(reasons))
}

pub fn devices(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    leaf(w, "controller", &[("type", "pci"), ("index", "0"), ("model", "pcie-root")])?;
    leaf(w, "controller", &[("type", "usb"), ("model", "none")])?;
    storage(w, spec, host)?;
    // What was wrong with the places is in `check`'s reasons.
    let movable = movable_from(spec);
    for (i, at) in nic_places(spec).unwrap_or_default().into_iter().enumerate() {
        let Some(port) = (i + 1).checked_sub(movable).filter(|port| *port > 0) else {
            nic::nic(w, spec, i, at, host)?;
            continue;
        };
        node(w, "controller", &[("type", "pci"), ("index", &port.to_string()), ("model", "pcie-root-port")], |w| at.write(w))?;
        nic::nic(w, spec, i, Pci::behind(port), host)?;
    }
    for (i, addr) in host_devices(spec).iter().enumerate() {
        host_device(w, *addr, HOSTDEV.place(i, host_devices(spec).len()))?;
    }
    node(w, "controller", &[("type", "virtio-serial"), ("index", "0")], |w| Pci::at(SERIAL).write(w))?;
    serial(w, spec, host)?;
    node(w, "channel", &[("type", "unix")], |w| {
        leaf(w, "target", &[("type", "virtio"), ("name", "org.qemu.guest_agent.0")])?;
        leaf(w, "address", &[("type", "virtio-serial"), ("controller", "0"), ("bus", "0"), ("port", "1")])
    })?;
    // libvirt makes the socket in the guest's own folder, and takes it away with the guest.
    node(w, "graphics", &[("type", "vnc")], |w| leaf(w, "listen", &[("type", "socket")]))?;
    leaf(w, "audio", &[("id", "1"), ("type", "none")])?;
    node(w, "video", &[], |w| {
        leaf(w, "model", &[("type", "vga"), ("vram", "16384"), ("heads", "1"), ("primary", "yes")])?;
        Pci::at(VIDEO).write(w)
    })?;
    node(w, "rng", &[("model", "virtio")], |w| {
        text(w, "backend", &[("model", "random")], "/dev/urandom")?;
        Pci::at(RNG).write(w)
    })?;
    node(w, "memballoon", &[("model", "virtio")], |w| Pci::at(BALLOON).write(w))
}

/// Where each NIC is, whatever its kind: guests number them by address, so this is their order.
fn nic_places(spec: &DomainSpec) -> std::result::Result<Vec<Pci>, String> {
    let wishes: Vec<_> = spec.nics.iter().map(|n| n.wish.vpci).collect();
    if wishes.iter().all(Option::is_none) {
        return Ok((0..wishes.len()).map(|i| NICS.place(i, wishes.len())).collect());
    }
    Ok(nic_slots(&wishes)?.into_iter().map(|slot| Pci::at(u32::from(slot))).collect())
}

/// From this NIC on each is behind a root port: the first virtual function, where no NIC wishes for a slot.
fn movable_from(spec: &DomainSpec) -> usize {
    let all = spec.nics.len();
    if spec.nics.iter().any(|n| n.wish.vpci.is_some()) {
        return all;
    }
    let is_vf = |p: &PlacedNic| matches!(p, PlacedNic::Vf { .. });
    spec.placed.as_ref().and_then(|p| p.nics.iter().position(is_vf)).unwrap_or(all)
}

fn host_devices(spec: &DomainSpec) -> &[PciAddr] {
    spec.placed.as_ref().map_or(&[], |p| p.devices.as_slice())
}

/// A function of the host, handed over whole; its driver is vfio already, and stays so.
pub fn host_device(w: &mut Out, addr: PciAddr, at: Pci) -> Wrote {
    node(w, "hostdev", &[("mode", "subsystem"), ("type", "pci"), ("managed", "no")], |w| {
        leaf(w, "driver", &[("name", "vfio")])?;
        node(w, "source", &[], |w| host_address(w, addr, &[]))?;
        leaf(w, "rom", &[("bar", "off")])?;
        at.write(w)
    })
}

/// The address of a function on the host.
pub fn host_address(w: &mut Out, addr: PciAddr, kind: &[(&str, &str)]) -> Wrote {
    let (domain, bus) = (format!("{:#06x}", addr.domain()), format!("{:#04x}", addr.bus()));
    let (slot, function) = (format!("{:#04x}", addr.device()), format!("{:#x}", addr.function()));
    let mut attrs = kind.to_vec();
    attrs.extend([("domain", domain.as_str()), ("bus", bus.as_str()), ("slot", slot.as_str()), ("function", function.as_str())]);
    leaf(w, "address", &attrs)
}

/// `sda`, `vdb`, ... `sdaa`.
fn target(prefix: &str, i: usize) -> String {
    let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
    if i < 26 { format!("{prefix}{}", letter(i)) } else { format!("{prefix}{}{}", letter(i / 26 - 1), letter(i)) }
}

fn storage(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    let medium_is_disk = spec.medium.as_ref().is_some_and(|m| m.bus == MediaBus::Disk);
    let blocks = spec.disks.iter().filter(|d| d.bus == DiskBus::Virtio).count() + usize::from(medium_is_disk);
    if spec.disks.iter().any(|d| d.bus == DiskBus::Scsi) {
        node(w, "controller", &[("type", "scsi"), ("index", "0"), ("model", "virtio-scsi")], |w| Pci::at(SCSI).write(w))?;
    }
    // SCSI and SATA disks share the names sda, sdb, ... but have units of their own.
    let (mut block, mut sd, mut scsi, mut sata) = (0, 0, 0, 0);
    let mut next = |bus: Bus| {
        let take = |n: &mut usize| std::mem::replace(n, *n + 1);
        match bus {
            Bus::Virtio => {
                let i = take(&mut block);
                Place { dev: target("vd", i), bus: "virtio", at: At::Pci(BLOCK.place(i, blocks)) }
            }
            Bus::Scsi => Place { dev: target("sd", take(&mut sd)), bus: "scsi", at: At::Unit { target: take(&mut scsi), unit: 0 } },
            Bus::Sata => Place { dev: target("sd", take(&mut sd)), bus: "sata", at: At::Unit { target: 0, unit: take(&mut sata) } },
        }
    };
    for (i, d) in spec.disks.iter().enumerate() {
        let place = next(match d.bus {
            DiskBus::Virtio => Bus::Virtio,
            DiskBus::Scsi => Bus::Scsi,
            DiskBus::Sata => Bus::Sata,
        });
        let thread = io_thread(spec, d.bus, i);
        disk(w, d, &place, i == 0, thread.as_deref(), spec, host)?;
    }
    let Some(m) = &spec.medium else { return Ok(()) };
    let (device, bus) = match m.bus {
        MediaBus::Cdrom => ("cdrom", Bus::Sata),
        MediaBus::Disk => ("disk", Bus::Virtio),
    };
    let place = next(bus);
    node(w, "disk", &[("type", "file"), ("device", device)], |w| {
        leaf(w, "driver", &[("name", "qemu"), ("type", "raw"), ("cache", "writeback")])?;
        leaf(w, "source", &[("file", host.layout.medium(spec.id).as_str())])?;
        leaf(w, "target", &[("dev", &place.dev), ("bus", place.bus)])?;
        leaf(w, "readonly", &[])?;
        if spec.disks.is_empty() {
            leaf(w, "boot", &[("order", "1")])?;
        }
        place.at.write(w)
    })
}

#[derive(Clone, Copy)]
enum Bus {
    Virtio,
    Scsi,
    Sata,
}

struct Place {
    dev: String,
    bus: &'static str,
    at: At,
}

enum At {
    Pci(Pci),
    Unit { target: usize, unit: usize },
}

impl At {
    fn write(&self, w: &mut Out) -> Wrote {
        match self {
            At::Pci(p) => p.write(w),
            At::Unit { target, unit } => {
                let (t, u) = (target.to_string(), unit.to_string());
                leaf(w, "address", &[("type", "drive"), ("controller", "0"), ("bus", "0"), ("target", &t), ("unit", &u)])
            }
        }
    }
}

/// VirtIO disks take the guest's I/O threads in turn; the others have no use for one.
fn io_thread(spec: &DomainSpec, bus: DiskBus, i: usize) -> Option<String> {
    match bus {
        DiskBus::Virtio if spec.epa.io_threads > 0 => Some((i % usize::from(spec.epa.io_threads) + 1).to_string()),
        DiskBus::Virtio | DiskBus::Scsi | DiskBus::Sata => None,
    }
}

/// `cache='writeback'`: guests of one image share its pages in the host's cache (a boot takes 8 to
/// 10 s instead of 12 to 13 with `none` [measured]), and the guest's own flushes are honoured all the
/// same. `error_policy='stop'`: a full disk pauses the guest, which
/// goes on when there is space again; a failed read is the guest's to know.
fn disk(w: &mut Out, d: &DomainDisk, place: &Place, boot: bool, thread: Option<&str>, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    node(w, "disk", &[("type", "file"), ("device", "disk")], |w| {
        let mut driver = vec![
            ("name", "qemu"),
            ("type", "qcow2"),
            ("cache", "writeback"),
            ("error_policy", "stop"),
            ("rerror_policy", "report"),
            ("discard", "unmap"),
        ];
        driver.extend(thread.map(|t| ("iothread", t)));
        leaf(w, "driver", &driver)?;
        leaf(w, "source", &[("file", host.layout.disk(d.id).as_str())])?;
        leaf(w, "target", &[("dev", &place.dev), ("bus", place.bus)])?;
        if let Some(limit) = spec.epa.quotas.disk_io.limit {
            node(w, "iotune", &[], |w| text(w, "total_iops_sec", &[], &limit.to_string()))?;
        }
        let serial = serial_number(&d.serial);
        if !serial.is_empty() {
            text(w, "serial", &[], &serial)?;
        }
        if boot {
            leaf(w, "boot", &[("order", "1")])?;
        }
        place.at.write(w)
    })
}

/// VirtIO carries 20 bytes, and libvirt takes only these characters.
fn serial_number(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.+ ".contains(c) { c } else { '_' }).take(20).collect()
}

/// The serial console is a socket of QEMU's own: it can be used while libvirtd is down, and what the
/// guest writes is logged whether anybody listens or not (virtlogd keeps that log bounded).
fn serial(w: &mut Out, spec: &DomainSpec, host: &Host<'_>) -> Wrote {
    let one = |w: &mut Out, name: &str, kind: &str| {
        node(w, name, &[("type", "unix")], |w| {
            leaf(w, "source", &[("mode", "bind"), ("path", host.console.as_str())])?;
            leaf(w, "log", &[("file", host.layout.serial_log(spec.id).as_str()), ("append", "on")])?;
            leaf(w, "target", &[("type", kind), ("port", "0")])
        })
    };
    one(w, "serial", "isa-serial")?;
    one(w, "console", "serial")
}
