//! What there is of the box and what is left of it, by zones, as an OSS reads it (SOL005 10.5.2). Pure.
//!
//! Owns the sums: of what all guests share, by the account that grants are judged by; of what guests have for themselves,
//! by the usage of each NUMA node. What the box has none of, or nobody can count, is left out. Never: reads the host.

use smol_str::format_smolstr;

use super::{
    capacity::{Account, Usage as Shared},
    place::usage::{CardUsage, CpuUse, NodeUsage, PageUsage, Usage},
};
use crate::model::{
    capacity::{Figures, HOST, Measure, Zone},
    grant::Promised,
    hw::PageSize,
};

/// `promised` is what of the account is kept for foreign VNFMs; without `usage` the hardware cannot be read.
pub fn zones(account: &Account, promised: Promised, usage: Option<&Usage>) -> Vec<Zone> {
    let mut host = vec![
        shared(Measure::Vcpu, account.vcpus, u64::from(promised.vcpus)),
        shared(Measure::Vmemory, account.memory, promised.memory.0),
        shared(Measure::Vdisk, account.disk, promised.disk.0),
    ];
    host.extend(usage.and_then(|u| functions(&u.cards)));
    let nodes = usage.into_iter().flat_map(|u| &u.nodes).map(node);
    std::iter::once(Zone { id: HOST.into(), figures: host }).chain(nodes).collect()
}

fn shared(measure: Measure, of: Shared, reserved: u64) -> Figures {
    let allocated = of.taken.saturating_sub(reserved);
    Figures { measure, total: of.limit, allocated, reserved: Some(reserved), available: of.free() }
}

fn own(measure: Measure, total: u64, allocated: u64) -> Figures {
    Figures { measure, total, allocated, reserved: None, available: total.saturating_sub(allocated) }
}

fn functions(cards: &[CardUsage]) -> Option<Figures> {
    let total: usize = cards.iter().map(|c| c.vfs).sum();
    let given = cards.iter().flat_map(|c| &c.given).filter(|(_, vf, ..)| vf.is_some()).count();
    (total > 0).then(|| own(Measure::VirtualFunction, total as u64, given as u64))
}

fn node(n: &NodeUsage) -> Zone {
    let cpus = || n.cores.iter().flat_map(|c| &c.cpus).map(|(_, u)| u).filter(|u| **u != CpuUse::Host);
    let taken = cpus().filter(|u| **u != CpuUse::Free).count();
    let mut figures = vec![own(Measure::Cpu, cpus().count() as u64, taken as u64)];
    figures.extend(n.pages.iter().filter_map(pages));
    Zone { id: format_smolstr!("numa{}", n.node), figures }
}

/// Small pages are shared by all.
fn pages(p: &PageUsage) -> Option<Figures> {
    let measure = match p.size {
        PageSize::Small => return None,
        PageSize::Huge2M => Measure::HugePages2M,
        PageSize::Huge1G => Measure::HugePages1G,
    };
    (p.total > 0).then(|| own(measure, p.total.saturating_sub(p.reserved), p.held))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        model::{
            hw::{CpuSet, PciAddr},
            id::VnfcId,
            size::MiB,
        },
        vim::place::usage::{CoreUsage, TimeUsage},
    };

    #[test]
    fn figures_add_up_and_what_the_box_has_none_of_is_left_out() {
        let of = |limit, taken| Shared { limit, taken };
        let account = Account { vcpus: of(16, 6), memory: of(1000, 400), disk: of(5000, 6000) };
        let promised = Promised { vcpus: 2, memory: MiB(100), disk: MiB(0) };
        let guest = VnfcId(Uuid::nil());
        let cpus = vec![
            (0, CpuUse::Host),
            (1, CpuUse::Free),
            (2, CpuUse::Vcpu { guest, name: "g".into(), vcpu: 0 }),
            (3, CpuUse::Idle { guest, name: "g".into() }),
        ];
        let page = |size, total| PageUsage { size, total, reserved: 2, held: 3, holders: Vec::new() };
        let node = NodeUsage {
            node: 1,
            cores: vec![CoreUsage { cpus }],
            float: CpuSet::default(),
            isolated: CpuSet::default(),
            time: TimeUsage { mcpu: 0, promised: 0, mhz: None, holders: Vec::new() },
            pages: vec![page(PageSize::Small, 9), page(PageSize::Huge2M, 10), page(PageSize::Huge1G, 0)],
        };
        let address = PciAddr::new(0, 1, 0, 0).expect("address");
        let card = CardUsage {
            address,
            name: "card".into(),
            node: None,
            physical: None,
            mbps: None,
            promised_mbps: 0,
            vfs: 4,
            given: vec![(address, Some(0), guest, "g".into()), (address, None, guest, "g".into())],
        };
        let usage = Usage { nodes: vec![node], cards: vec![card] };
        let told = |zones: Vec<Zone>| -> Vec<String> {
            let line = |z: &Zone, f: &Figures| {
                let kept = f.reserved.map_or("-".to_owned(), |r| r.to_string());
                format!("{} {} {} {} {kept} {}", z.id, f.measure.name(), f.total, f.allocated, f.available)
            };
            zones.iter().flat_map(|z| z.figures.iter().map(|f| line(z, f)).collect::<Vec<_>>()).collect()
        };
        let all = [
            "host Vcpu 16 4 2 10",
            "host Vmemory 1000 300 100 600",
            "host Vdisk 5000 6000 0 0",
            "host VirtualFunction 4 1 - 3",
            "numa1 Cpu 3 2 - 1",
            "numa1 HugePages2M 8 3 - 5",
        ];
        assert_eq!(told(zones(&account, promised, Some(&usage))), all);
        assert_eq!(told(zones(&account, promised, None)), all[..3]);
    }
}
