//! PCI devices, their interfaces, physical and virtual functions.

use std::collections::{BTreeMap, BTreeSet};

use super::{ToldVfs, Tree};
use crate::model::order::Order as _;
use crate::model::{
    host::{Function, Mbps, NetPort, NodeId, PciClass, PciDevice, Pf, PortUse, Vf},
    hw::PciAddr,
    id::IfName,
};

pub(in super::super) const DEVICES: &str = "sys/bus/pci/devices";

/// By address. One whose address is not of the usual form (a domain past ffff, behind some RAID
/// controllers) is left out: no guest can have it.
pub(super) fn devices(tree: &Tree, vfs: ToldVfs<'_>) -> Vec<PciDevice> {
    let nets = Nets::read(tree);
    let mut all: Vec<PciDevice> =
        tree.list(DEVICES).iter().filter_map(|name| name.parse().ok()).filter_map(|a| device(tree, a, vfs, &nets)).collect();
    all.order_by_key(|d| d.addr);
    all
}

fn device(tree: &Tree, addr: PciAddr, vfs: ToldVfs<'_>, nets: &Nets) -> Option<PciDevice> {
    let dir = format!("{DEVICES}/{addr}");
    let at = |name: &str| format!("{dir}/{name}");
    let ports = ports(tree, &dir, nets);
    Some(PciDevice {
        addr,
        vendor: u16::try_from(tree.hex(at("vendor"))?).ok()?,
        device: u16::try_from(tree.hex(at("device"))?).ok()?,
        class: PciClass(tree.hex(at("class")).unwrap_or(0)),
        // -1: the firmware does not say, or there is only one.
        node: tree.parse::<u16>(at("numa_node")).map(NodeId),
        driver: tree.link(at("driver")).and_then(|d| d.parse().ok()),
        iommu_group: tree.link(at("iommu_group")).and_then(|g| g.parse().ok()),
        function: function(tree, addr, &dir, &ports, vfs),
        user: None,
        ports,
    })
}

/// Programs that have these devices, which are with vfio-pci, open: each by its group's file, or its own (iommufd). The
/// kernel lets one program at a time; it tells by the files of each process only.
pub(in super::super) fn users(tree: &Tree, devices: &mut [&mut PciDevice]) {
    let mut files: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (n, d) in devices.iter().enumerate() {
        let group = d.iommu_group.map(|g| format!("/dev/vfio/{g}"));
        let own = tree.list(format!("{DEVICES}/{}/vfio-dev", d.addr)).into_iter().map(|v| format!("/dev/vfio/devices/{v}"));
        group.into_iter().chain(own).for_each(|f| files.entry(f).or_default().push(n));
    }
    if files.is_empty() {
        return;
    }
    for pid in tree.list("proc").iter().filter(|p| p.bytes().all(|b| b.is_ascii_digit())) {
        let open = |fd: String| tree.target(format!("proc/{pid}/fd/{fd}"));
        for n in tree.list(format!("proc/{pid}/fd")).into_iter().filter_map(open).filter_map(|f| files.get(&f)).flatten() {
            let name = tree.read(format!("proc/{pid}/comm")).unwrap_or_else(|| "process".into());
            devices[*n].user = Some(smol_str::format_smolstr!("{name} ({pid})"));
        }
    }
}

fn function(tree: &Tree, addr: PciAddr, dir: &str, ports: &[NetPort], vfs: ToldVfs<'_>) -> Function {
    if let Some(pf) = tree.link(format!("{dir}/physfn")).and_then(|l| l.parse::<PciAddr>().ok()) {
        let of_pf = made(tree, &format!("{DEVICES}/{pf}"));
        return match of_pf.iter().find(|(_, a)| *a == addr) {
            Some((index, _)) => Function::Vf { pf, index: *index },
            None => Function::Plain,
        };
    }
    let Some(total_vfs) = tree.parse(format!("{dir}/sriov_totalvfs")).filter(|n| *n > 0) else { return Function::Plain };
    let told = ports.first().map(|p| vfs(&p.name)).unwrap_or_default();
    let vf = |(index, addr)| {
        let told = told.iter().find(|t| t.index == index);
        Vf { index, addr, conf: told.map(|t| t.conf.clone()), link: told.and_then(|t| t.link) }
    };
    let made = made(tree, dir).into_iter().map(vf).collect();
    Function::Pf(Pf { total_vfs, physical: None, vfs: made })
}

/// The VFs of the PF in this folder: index and address.
fn made(tree: &Tree, dir: &str) -> Vec<(u16, PciAddr)> {
    let of = |n: u16| Some((n, tree.link(format!("{dir}/virtfn{n}"))?.parse().ok()?));
    tree.numbered(dir, "virtfn").into_iter().filter_map(of).collect()
}

/// Its own, or those of the VirtIO device behind it.
fn ports(tree: &Tree, dir: &str, nets: &Nets) -> Vec<NetPort> {
    let virtio = tree.list(dir).into_iter().filter(|n| n.starts_with("virtio")).map(|n| format!("{dir}/{n}/net"));
    let folders = std::iter::once(format!("{dir}/net")).chain(virtio);
    folders
        .flat_map(|f| tree.list(&f).into_iter().map(move |n| format!("{f}/{n}")).collect::<Vec<_>>())
        .filter_map(|f| port(tree, &f, nets))
        .collect()
}

/// Interfaces that the host's own network is on.
struct Nets {
    default: BTreeSet<String>,
    addressed: BTreeSet<String>,
    /// By router advertisements only, where it is in neither of the others.
    advertised: BTreeSet<String>,
}

/// `RTF_ADDRCONF` of `ipv6_route`.
const ADVERTISED: u32 = 0x0004_0000;
/// `IFA_F_PERMANENT` of `if_inet6`.
const PERMANENT: u32 = 0x80;

/// `IPV6_ADDR_LINKLOCAL` of `if_inet6`, and 169.254.0.0 as `route` has it.
const LINK: [&str; 2] = ["20", "0000FEA9"];

impl Nets {
    /// Of the thread's own network namespace, as are the interfaces. An IPv4 address is where its route is.
    fn read(tree: &Tree) -> Nets {
        let table = |f: &str| tree.read(format!("proc/thread-self/net/{f}")).unwrap_or_default();
        let (mut default, mut addressed, mut advertised) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let has = |flags: &str, bits: u32| u32::from_str_radix(flags, 16).is_ok_and(|f| f & bits == bits);
        for l in table("route").lines().skip(1) {
            let mut words = l.split_whitespace();
            let (Some(name), Some(to), Some(mask)) = (words.next(), words.next(), words.nth(5)) else { continue };
            let set = if (to, mask) == ("00000000", "00000000") { &mut default } else { &mut addressed };
            if to != LINK[1] {
                set.insert(name.to_owned());
            }
        }
        let zero = "0".repeat(32);
        for l in table("ipv6_route").lines() {
            let words: Vec<&str> = l.split_whitespace().collect();
            if let [to, "00", .., flags, name] = words[..]
                && to == zero
            {
                let set = if has(flags, ADVERTISED) { &mut advertised } else { &mut default };
                set.insert(name.to_owned());
            }
        }
        for l in table("if_inet6").lines() {
            if let [_, _, _, scope, flags, name] = l.split_whitespace().collect::<Vec<_>>()[..]
                && scope != LINK[0]
            {
                let set = if has(flags, PERMANENT) { &mut addressed } else { &mut advertised };
                set.insert(name.to_owned());
            }
        }
        Nets { default, addressed, advertised }
    }

    fn of(&self, name: &IfName) -> Option<PortUse> {
        if self.default.contains(name.as_str()) {
            return Some(PortUse::DefaultRoute);
        }
        self.addressed.contains(name.as_str()).then_some(PortUse::Addresses)
    }
}

/// `IFF_UP` in `flags`.
const UP: u32 = 1;

fn port(tree: &Tree, dir: &str, nets: &Nets) -> Option<NetPort> {
    let name: IfName = dir.rsplit('/').next()?.parse().ok()?;
    let at = |f: &str| format!("{dir}/{f}");
    // Neither can be read while the interface is down.
    let carrier = tree.parse::<u8>(at("carrier")) == Some(1);
    let speed = tree.parse::<u32>(at("speed")).filter(|s| *s > 0 && *s != u32::MAX && carrier);
    let leg = || tree.list(dir).iter().find_map(|f| f.strip_prefix("upper_")).map(|on| PortUse::LegOf(on.into()));
    Some(NetPort {
        used: nets.of(&name).or_else(leg).or_else(|| nets.advertised.contains(name.as_str()).then_some(PortUse::Advertised)),
        name,
        mac: tree.parse(at("address")),
        mtu: tree.parse(at("mtu")).unwrap_or(0),
        up: tree.hex(at("flags")).is_some_and(|f| f & UP != 0),
        carrier,
        speed: speed.map(Mbps),
    })
}
