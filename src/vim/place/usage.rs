//! Who holds what of the host, and what is not as it was given. Pure.
//!
//! Owns the sums behind `bothy host usage`, and the sentences of drift: held things that are gone,
//! settings that somebody changed, functions that a guest's driver has and no record names. Never:
//! puts it right.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{board::Board, facts::HostReserve, float, time};
use crate::model::order::Order as _;
use crate::model::{
    host::{DriverName, Function, HostFacts, VfSetting},
    hw::{CpuSet, PageSize, PciAddr},
    id::VnfcId,
    place::{Given, Held, Loss},
    size::MiB,
    tree::tree,
};

/// By node, with what belongs to no node at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub nodes: Vec<NodeUsage>,
    pub cards: Vec<CardUsage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUsage {
    pub node: u16,
    pub cores: Vec<CoreUsage>,
    /// CPUs of no guest in particular, where guests float.
    pub float: CpuSet,
    pub isolated: CpuSet,
    pub time: TimeUsage,
    pub pages: Vec<PageUsage>,
}

/// Of the CPUs where guests float, in thousandths of a CPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeUsage {
    pub mcpu: u64,
    pub promised: u64,
    /// A CPU's clock, where the host tells it.
    pub mhz: Option<u32>,
    pub holders: Vec<(VnfcId, SmolStr, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreUsage {
    pub cpus: Vec<(u16, CpuUse)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CpuUse {
    Free,
    /// The host's reserve.
    Host,
    Vcpu {
        guest: VnfcId,
        name: SmolStr,
        vcpu: u16,
    },
    /// Kept idle for its sibling's guest.
    Idle {
        guest: VnfcId,
        name: SmolStr,
    },
    Emulator {
        guest: VnfcId,
        name: SmolStr,
    },
}

/// In MiB for small pages, in pages for large ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageUsage {
    pub size: PageSize,
    pub total: u64,
    pub reserved: u64,
    pub held: u64,
    pub holders: Vec<(VnfcId, SmolStr, u64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardUsage {
    pub address: PciAddr,
    pub name: SmolStr,
    pub node: Option<u16>,
    pub physical: Option<SmolStr>,
    pub mbps: Option<u32>,
    pub promised_mbps: u32,
    pub vfs: usize,
    /// Function, VF number (`None`: the whole device) and its guest.
    pub given: Vec<(PciAddr, Option<u16>, VnfcId, SmolStr)>,
}

pub fn usage(facts: &HostFacts, reserve: &HostReserve, held: &[Held]) -> Usage {
    let board = Board::of(facts, reserve);
    let mut cpus: BTreeMap<u16, CpuUse> = tree(board.reserved.iter().map(|c| (c, CpuUse::Host)));
    for h in held {
        let (guest, name) = (h.guest, &h.name);
        for c in &h.at.cells {
            cpus.extend(c.pins.iter().map(|(vcpu, cpu)| (*cpu, CpuUse::Vcpu { guest, name: name.clone(), vcpu: *vcpu })));
            cpus.extend(c.idle.iter().map(|cpu| (cpu, CpuUse::Idle { guest, name: name.clone() })));
        }
        if h.at.emulator_alone {
            cpus.extend(h.at.emulator.iter().map(|cpu| (cpu, CpuUse::Emulator { guest, name: name.clone() })));
        }
    }
    let taken: CpuSet = cpus.keys().copied().collect();
    let nodes = board.nodes.iter().map(|n| {
        let all = n.cpus();
        let of = |cpu: u16| (cpu, cpus.get(&cpu).cloned().unwrap_or(CpuUse::Free));
        let offered = facts.nodes.iter().find(|f| f.id.0 == n.id);
        let sizes = std::iter::once(PageSize::Small).chain(n.huge.keys().copied());
        let pages = sizes.map(|size| {
            let amount = |m: MiB| if size == PageSize::Small { m.0 } else { size.pages(m) };
            let on =
                |h: &Held| h.at.cells.iter().filter(|c| h.at.page == size && c.memory_node == n.id).map(|c| amount(c.memory)).sum::<u64>();
            let holders: Vec<_> = held.iter().map(|h| (h.guest, h.name.clone(), on(h))).filter(|(_, _, n)| *n > 0).collect();
            let total = match size {
                PageSize::Small => offered.map_or(n.small.0, |f| f.memory.0.saturating_sub(super::facts::large(f).0)),
                PageSize::Huge2M | PageSize::Huge1G => offered.and_then(|f| f.pages(size)).map_or(0, |p| p.total),
            };
            let may = if size == PageSize::Small { n.small.0 } else { n.huge.get(&size).copied().unwrap_or(0) };
            PageUsage { size, total, reserved: total.saturating_sub(may), held: holders.iter().map(|h| h.2).sum(), holders }
        });
        let float = float::left(&all, &taken, &board.isolated);
        let holders: Vec<_> =
            held.iter().map(|h| (h.guest, h.name.clone(), time::on_node(&h.at, n.id))).filter(|(_, _, mcpu)| *mcpu > 0).collect();
        let promised = holders.iter().map(|h| h.2).sum();
        NodeUsage {
            node: n.id,
            cores: n.cores.iter().map(|c| CoreUsage { cpus: c.cpus.iter().map(of).collect() }).collect(),
            time: TimeUsage { mcpu: float.len() as u64 * 1000, promised, mhz: facts.mhz, holders },
            float,
            isolated: all.common(&board.isolated),
            pages: pages.collect(),
        }
    });
    let cards = board.cards.iter().filter_map(|c| {
        let mine: Vec<_> =
            held.iter().flat_map(|h| h.at.devices.iter().map(move |d| (h, d))).filter(|(_, d)| d.card == c.address).collect();
        (!mine.is_empty() || !c.vfs.is_empty() || c.physical.is_some()).then(|| CardUsage {
            address: c.address,
            name: c.name.clone(),
            node: c.node,
            physical: c.physical.clone(),
            mbps: c.mbps,
            promised_mbps: mine.iter().map(|(_, d)| d.mbps).sum(),
            vfs: c.vfs.len(),
            given: mine.iter().map(|(h, d)| (d.address, d.vf, h.guest, h.name.clone())).collect(),
        })
    });
    Usage { nodes: nodes.collect(), cards: cards.collect() }
}

/// How a VF differs from what was given.
pub fn vf_drift(facts: &HostFacts, want: &VfSetting) -> Option<String> {
    let Some(is) = facts.vf_setting(want.vf) else { return Some("is gone: its PF has not made it, or is gone itself".into()) };
    let mut wrong = Vec::new();
    let mut differs = |what: &str, is: String, want: String| {
        if is != want {
            wrong.push(format!("{what} is {is}, {want} was set"));
        }
    };
    let text = |o: Option<String>| o.unwrap_or_else(|| "none".into());
    differs("MAC", text(is.conf.mac.map(|m| m.to_string())), text(want.conf.mac.map(|m| m.to_string())));
    differs("VLAN", text(is.conf.vlan.map(|v| v.to_string())), text(want.conf.vlan.map(|v| v.to_string())));
    differs("trust", is.conf.trust.to_string(), want.conf.trust.to_string());
    differs("spoof check", is.conf.spoof_check.to_string(), want.conf.spoof_check.to_string());
    differs("rate", is.conf.max_rate.to_string(), want.conf.max_rate.to_string());
    differs("driver", text(is.driver.map(|d| d.to_string())), text(want.driver.as_ref().map(ToString::to_string)));
    (!wrong.is_empty()).then(|| wrong.join(", "))
}

/// Virtual functions that guests were given and that are not there, or not in the guest though it runs.
/// `has`: a running guest's functions.
pub fn lost<'a>(facts: &HostFacts, held: &[Held], has: &dyn Fn(VnfcId) -> Option<&'a [PciAddr]>) -> Vec<Loss> {
    let mut all: BTreeMap<PciAddr, Loss> = BTreeMap::new();
    for h in held {
        for g in &h.given {
            let Given::Vf { want, .. } = g else { continue };
            let why = if facts.vf_setting(want.vf).is_none() {
                format!("VF {} ({}) of guest {} is gone", want.index, want.vf, h.name)
            } else if has(h.guest).is_some_and(|all| !all.contains(&want.vf)) {
                format!("guest {} runs without its VF {} ({})", h.name, want.index, want.vf)
            } else {
                continue;
            };
            let loss = all.entry(want.pf).or_insert_with(|| Loss { pf: want.pf, guests: Vec::new(), why: Vec::new() });
            loss.why.push(why);
            if !loss.guests.contains(&h.guest) {
                loss.guests.push(h.guest);
            }
        }
    }
    all.values_mut().for_each(|l| l.why.order());
    all.into_values().collect()
}

/// What the records and the host do not agree about. `busy`: guests under an operation, whose
/// functions change just now.
pub fn drift(facts: &HostFacts, reserve: &HostReserve, held: &[Held], busy: &dyn Fn(VnfcId) -> bool) -> Vec<String> {
    let mut out = Vec::new();
    let online = facts.cpus();
    for (n, h) in held.iter().enumerate() {
        let mine = h.at.held_cpus();
        let gone = mine.minus(&online);
        if !gone.is_empty() {
            out.push(format!("guest {} holds CPUs {gone}, which are not online", h.name));
        }
        // The configuration changed, or a store from elsewhere came back.
        let hosts = mine.common(&reserve.cpus);
        if !hosts.is_empty() {
            out.push(format!(
                "guest {} holds CPUs {hosts}, which reserve.cpus keeps for the host: it gets another place when it is healed",
                h.name
            ));
        }
        // What an operation changes may have the places of before and after.
        for other in held[..n].iter().filter(|o| o.guest != h.guest && !busy(o.guest) && !busy(h.guest)) {
            let both = mine.common(&other.at.held_cpus());
            if !both.is_empty() {
                out.push(format!("guests {} and {} both hold CPUs {both}: heal one of them", other.name, h.name));
            }
        }
        for g in h.given.iter().filter(|_| !busy(h.guest)) {
            match g {
                Given::Vf { want, .. } => {
                    let wrong = vf_drift(facts, want);
                    out.extend(wrong.map(|w| format!("guest {}: VF {} of {} ({}) {w}", h.name, want.index, want.pf, want.vf)));
                }
                Given::Whole { device, .. } => match facts.device(*device) {
                    None => out.push(format!("guest {}: PCI device {device} is gone", h.name)),
                    Some(d) if d.driver.as_ref() != Some(&DriverName::VFIO) => {
                        out.push(format!("guest {}: PCI device {device} is not with vfio-pci any more", h.name));
                    }
                    Some(_) => {}
                },
            }
        }
    }
    for n in &facts.nodes {
        for size in PageSize::HUGE {
            let want: u64 = held
                .iter()
                .filter(|h| h.at.page == size)
                .flat_map(|h| h.at.cells.iter().filter(|c| c.memory_node == n.id.0))
                .map(|c| size.pages(c.memory))
                .sum();
            let have = n.pages(size).map_or(0, |p| p.total);
            let kept = reserve.pages.get(&(n.id.0, size)).copied().unwrap_or(0);
            if want > have {
                out.push(format!("node {}: guests hold {want} pages of {size}, the host has {have}", n.id));
            } else if want + kept > have {
                out.push(format!("node {}: guests hold {want} pages of {size}, and of {have} {kept} are to be kept for the host", n.id));
            }
        }
    }
    let named = |a: PciAddr| held.iter().flat_map(|h| &h.given).any(|g| g.address() == a);
    for d in facts.devices.iter().filter(|d| d.driver.as_ref() == Some(&DriverName::VFIO) && !named(d.addr)) {
        if let Function::Vf { pf, index } = d.function {
            out.push(format!("VF {index} of {pf} ({}) is with vfio-pci, and no guest of Bothy's has it", d.addr));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vim::place::{ask::CpuWish, place, tests as t};

    #[test]
    fn two_guests_on_one_cpu_are_drift_unless_an_operation_has_one_in_hand() {
        let ask = t::guest("a", &[(2, 8)], CpuWish::Cores);
        let mut held = t::held_of(&ask, &place(&t::twin_nodes(), &[], std::slice::from_ref(&ask)).expect("a place"));
        held.push(Held { guest: VnfcId(uuid::Uuid::from_u128(99)), name: "b".into(), ..held[0].clone() });
        let reserve = HostReserve::default();
        let said = |busy: Option<usize>| {
            let all = drift(&HostFacts::default(), &reserve, &held, &|g| busy.is_some_and(|n| held[n].guest == g));
            all.into_iter().filter(|l| l.contains("both")).collect::<Vec<_>>()
        };
        assert_eq!(said(None), ["guests a and b both hold CPUs 0-3: heal one of them"]);
        assert_eq!((said(Some(0)), said(Some(1))), (Vec::new(), Vec::new()));
    }
}
