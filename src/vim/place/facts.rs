//! The board that a host's facts and its reserve make.
//!
//! Owns what of the facts guests may have: the reserve is taken off here, once. Never: reads a host.

use std::collections::BTreeMap;

use smol_str::{SmolStr, format_smolstr};

use super::board::{Board, Card, Core, Node};
use crate::model::order::Order as _;
use crate::model::{
    host::{DriverName, Function, HostFacts, NumaNode, PciDevice, PortUse},
    hw::{CpuSet, PageSize, PciAddr},
    size::MiB,
    tree::tree,
};

/// What the host keeps for itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostReserve {
    pub cpus: CpuSet,
    /// Of all nodes together, in equal parts.
    pub memory: MiB,
    /// By node and size.
    pub pages: BTreeMap<(u16, PageSize), u64>,
}

/// Memory that is bound in large pages, of all nodes.
pub fn large_pages(facts: &HostFacts) -> MiB {
    facts.nodes.iter().fold(MiB(0), |m, n| m.plus(large(n)))
}

pub(super) fn large(n: &NumaNode) -> MiB {
    MiB(n.hugepages.iter().filter(|p| p.size.is_huge()).map(|p| p.total.saturating_mul(p.size.kib()) / 1024).sum())
}

impl Board {
    pub fn of(facts: &HostFacts, reserve: &HostReserve) -> Board {
        let share = MiB(reserve.memory.0.div_ceil(facts.nodes.len().max(1) as u64));
        let node = |n: &NumaNode| Node {
            id: n.id.0,
            cores: {
                let mut cores: Vec<Core> =
                    facts.cores.iter().filter(|c| c.node == n.id).map(|c| Core { cpus: c.threads.clone() }).collect();
                cores.order_by_key(|c| c.cpus.first());
                cores
            },
            small: MiB(n.memory.0.saturating_sub(large(n).0).saturating_sub(share.0)),
            huge: tree(
                n.hugepages
                    .iter()
                    .filter(|p| p.size.is_huge())
                    .map(|p| (p.size, p.total.saturating_sub(reserve.pages.get(&(n.id.0, p.size)).copied().unwrap_or(0)))),
            ),
        };
        let mut nodes: Vec<Node> = facts.nodes.iter().map(node).collect();
        nodes.order_by_key(|n| n.id);
        let mut cards: Vec<Card> = facts.devices.iter().filter_map(|d| card(d, facts)).collect();
        cards.order_by_key(|c| c.address);
        Board { nodes, cards, reserved: reserve.cpus.clone(), isolated: facts.isolated.clone(), mhz: facts.mhz, roamers: false }
    }
}

/// Why nothing goes to a guest, and where that is changed.
fn no_iommu(facts: &HostFacts) -> SmolStr {
    let would_do = if facts.kernel.args.ask_for_iommu() {
        "its kernel arguments are there: VT-d or AMD-Vi switched on in the firmware would do"
    } else {
        "`iommu = true` in [host] would do: `bothy host plan` shows how"
    };
    format_smolstr!("the host's IOMMU is off, without which no guest gets a device ({would_do})")
}
const NO_GROUP: &str = "in no IOMMU group (VT-d or AMD-Vi switched on for it in the firmware would do)";

fn card(d: &PciDevice, facts: &HostFacts) -> Option<Card> {
    let (physical, made) = match &d.function {
        Function::Pf(pf) => (pf.physical.clone(), pf.vfs.iter().map(|v| (v.index, v.addr)).collect()),
        Function::Plain => (None, Vec::new()),
        // Given by its PF.
        Function::Vf { .. } => return None,
    };
    let port = d.ports.first();
    let grouped = |vf: PciAddr| facts.device(vf).is_some_and(|d| d.iommu_group.is_some());
    let taken = |vf: PciAddr| facts.device(vf).is_some_and(|d| d.user.is_some());
    let shares = |vf: PciAddr| facts.device(vf).and_then(|d| group_mates(d, facts));
    let may = |vf: PciAddr| facts.iommu && grouped(vf) && !taken(vf) && shares(vf).is_none();
    let vfs: Vec<(u16, PciAddr)> = made.iter().copied().filter(|(_, vf)| may(*vf)).collect();
    let mates = made.iter().filter(|(_, vf)| !taken(*vf)).find_map(|(_, vf)| shares(*vf));
    let shared = if !facts.iommu {
        Err(no_iommu(facts))
    } else if made.is_empty() || !vfs.is_empty() {
        Ok(())
    } else if let Some(mates) = mates {
        Err(format_smolstr!("its VFs share an IOMMU group with {mates} (a slot where each has a group of its own would do)"))
    } else if made.iter().any(|(_, vf)| taken(*vf)) {
        Err("other programs have its VFs (their end would do)".into())
    } else {
        Err(format_smolstr!("its VFs are {NO_GROUP}"))
    };
    Some(Card {
        address: d.addr,
        name: port.map_or_else(|| format_smolstr!("{}", d.addr), |p| p.name.as_str().into()),
        node: d.node.map(|n| n.0),
        physical,
        vendor: d.vendor,
        device: d.device,
        mbps: port.and_then(|p| p.speed).map(|s| s.0),
        vfs,
        shared,
        whole: whole(d, facts),
    })
}

/// Devices that can only go to the guest that this one goes to; bridges stay with the host.
fn group_mates(d: &PciDevice, facts: &HostFacts) -> Option<SmolStr> {
    let group = d.iommu_group?;
    let mut mates = facts.devices.iter().filter(|o| o.iommu_group == Some(group) && o.addr != d.addr && !o.class.is_bridge());
    let first = mates.next()?.addr;
    Some(match mates.count() {
        0 => format_smolstr!("{first}"),
        more => format_smolstr!("{first} and {more} more"),
    })
}

/// Why a device cannot be given away whole, and what would change that.
fn whole(d: &PciDevice, facts: &HostFacts) -> Result<(), SmolStr> {
    if d.class.is_bridge() {
        return Err("it is a bridge, which stays with the host".into());
    }
    if !facts.iommu {
        return Err(no_iommu(facts));
    }
    if d.iommu_group.is_none() {
        return Err(format_smolstr!("it is {NO_GROUP}"));
    }
    let of_it = |o: &&PciDevice| o.addr == d.addr || matches!(o.function, Function::Vf { pf, .. } if pf == d.addr);
    if let Some((other, user)) = facts.devices.iter().filter(of_it).find_map(|o| Some((o.addr, o.user.as_ref()?))) {
        let what = if other == d.addr { "it".into() } else { format_smolstr!("its VF {other}") };
        return Err(format_smolstr!("{user} has {what}, and is no guest of Bothy's (its end would do)"));
    }
    if let Some(mates) = group_mates(d, facts) {
        return Err(format_smolstr!(
            "it shares an IOMMU group with {mates}, which would have to go with it (a slot where it has a group of its own would do)"
        ));
    }
    let is_on_network = matches!(&d.function, Function::Pf(p) if p.physical.is_some());
    // Routers of the network that guests are on tell the host as well.
    let counts = |used: &&PortUse| !(is_on_network && **used == PortUse::Advertised);
    if let Some((p, used)) = d.ports.iter().find_map(|p| Some((&p.name, p.used.as_ref().filter(counts)?))) {
        return Err(match used {
            PortUse::Advertised => format_smolstr!(
                "the host has its address or route by router advertisements on its interface {p} (a `network` for it in [host] pf, or none there, would do)"
            ),
            PortUse::DefaultRoute => format_smolstr!("the host's default route is by its interface {p} (another for that would do)"),
            PortUse::Addresses => format_smolstr!("the host has addresses on its interface {p} (none there would do)"),
            PortUse::LegOf(of) => format_smolstr!("its interface {p} is a leg of {of} (out of that it would do)"),
        });
    }
    if d.ports.iter().any(|p| p.up) && d.driver.as_ref() != Some(&DriverName::VFIO) && !is_on_network {
        return Err("the host uses its interface (the interface down, or a `network` for it in [host] pf, would do)".into());
    }
    Ok(())
}
