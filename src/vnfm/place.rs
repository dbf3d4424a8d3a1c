//! What a VDU's wishes are to placement, and what a place is to the guest and its steps.
//!
//! Owns the way between the words of descriptors (`model::epa`), of placement (`vim::place`) and of
//! domains. Never: which place is best, or how a function is given.

use std::collections::BTreeMap;

use smol_str::{SmolStr, format_smolstr};

use super::{
    affinity::Company,
    plan::{VnfPlan, renumbered},
};
use crate::model::order::Order as _;
use crate::{
    model::{
        epa::{
            self, CoreWish, DeviceMatch, EmulatorPolicy, Epa, Locality, MemPolicy, NicAttach, NicWish, PagePolicy, PinPolicy, ThreadPolicy,
        },
        error::{Fault, Result},
        host::{DriverName, HostFacts, Mbps, VfConf, VfSetting},
        hw::{CpuSet, PageSize},
        id::VnfcId,
        net::{MacAddr, VlanId},
        place::{Given, Held, PlacedDevice, Placement},
        size::MiB,
        step::{Step, VnfStep},
        tree::tree,
        vnfd::Vdu,
    },
    sdn::underlay::Underlay,
    vim::place::{
        Placed,
        ask::{CellAsk, CpuWish, DeviceAsk, DeviceKind, GuestAsk, PageWish},
        board::Board,
        float::must_leave,
        place,
    },
};

/// A NIC of a guest, as far as placement and VFs are concerned.
#[derive(Debug, Clone)]
pub struct NicOf {
    pub cp: SmolStr,
    pub wish: NicWish,
    pub port_security: bool,
    pub mac: MacAddr,
    /// The physical network its link is on.
    pub physical: Option<SmolStr>,
    /// The tag on that network's wire.
    pub vlan: Option<VlanId>,
}

/// A guest of a plan that needs a place.
#[derive(Debug, Clone)]
pub struct Wishful {
    pub guest: VnfcId,
    pub ask: GuestAsk,
    epa: Epa,
    nics: Vec<NicOf>,
}

impl Wishful {
    /// Functions that would hang on a switch outside which a controller has, nobody knows where.
    fn unmapped(&self, at: &Placement, underlay: &Underlay) -> Vec<String> {
        let nic = |d: &PlacedDevice| self.nics.iter().find(|n| n.cp == d.wish)?.physical.clone();
        let check = |d: &PlacedDevice| underlay.port_of(&nic(d)?, d.address, d.card).err();
        at.devices.iter().filter_map(|d| Some(format!("{}: {}: {}", self.ask.name, d.wish, check(d)?.text()))).collect()
    }
    /// QEMU's own threads would be where its real-time vCPUs run, which let nothing else run while they have work.
    fn crowded(&self, at: &Placement, facts: &HostFacts) -> Option<String> {
        let placed = as_domain(self, at, facts);
        let busy = |v: u16| placed.vcpus.get(usize::from(v)).filter(|cpus| !cpus.common(&placed.emulator).is_empty());
        let with: CpuSet = self.epa.real_time.iter().filter(|v| busy(*v).is_some()).collect();
        (!with.is_empty()).then(|| {
            format!(
                "{}: QEMU's own threads have no CPU but those of its vCPUs, and its real-time vCPUs {with} go before them: they may wait \
                 long (emulator-threads-policy: ISOLATE, or a CPU of its node to float over, would do)",
                self.ask.name
            )
        })
    }
    /// It is to have functions of the host's devices.
    pub fn has_devices(&self) -> bool {
        !self.ask.devices.is_empty()
    }
    /// A guest as it was defined where it was placed.
    pub fn placed(&self, at: &Placement, facts: &HostFacts) -> epa::Placed {
        as_domain(self, at, facts)
    }
    /// Virtual functions it asks for.
    pub fn vfs(&self) -> u32 {
        self.nics.iter().filter(|n| n.wish.attach == NicAttach::Vf).count() as u32
    }
}

/// A guest's wishes as placement takes them; `None`: it needs no place.
pub fn wishful(guest: VnfcId, name: SmolStr, vdu: &Vdu, nics: Vec<NicOf>, company: Company) -> Result<Option<Wishful>> {
    let e = &vdu.epa;
    let cells = e.cells(vdu.vcpus, vdu.memory);
    let cores = cells.iter().any(|c| c.cores.is_some());
    let large = !matches!(e.pages, PagePolicy::Any | PagePolicy::Small);
    let dedicated = e.pinning == PinPolicy::Dedicated || cores;
    let alone = e.emulator == EmulatorPolicy::Isolate;
    let devices = !e.devices.is_empty() || nics.iter().any(|n| n.wish.attach != NicAttach::Switch);
    let grouped = !company.is_none();
    let reserve_mhz = e.quotas.cpu.reserve.unwrap_or(0);
    if !(large || dedicated || alone || devices || grouped || reserve_mhz > 0 || e.numa.is_some()) {
        return Ok(None);
    }
    let ask = GuestAsk {
        name,
        cells: cell_asks(e, &cells, dedicated)?,
        pages: match e.pages {
            PagePolicy::Any | PagePolicy::Small => PageWish::Small,
            PagePolicy::Large => PageWish::Large,
            PagePolicy::Size2M => PageWish::Exactly(PageSize::Huge2M),
            PagePolicy::Size1G => PageWish::Exactly(PageSize::Huge1G),
            PagePolicy::PreferLarge => PageWish::PreferLarge,
        },
        strict: e.numa.as_ref().map_or(large || dedicated || grouped, |n| n.policy == MemPolicy::Strict),
        emulator_alone: alone,
        reserve_mhz,
        devices: device_asks(e, &nics)?,
        together: company.together,
        apart: company.apart,
    };
    Ok(Some(Wishful { guest, ask, epa: e.clone(), nics }))
}

fn cell_asks(e: &Epa, cells: &[epa::Cell], dedicated: bool) -> Result<Vec<CellAsk>> {
    let by_policy = match (dedicated, e.threads) {
        (false, _) => CpuWish::Floating,
        (true, ThreadPolicy::Prefer) => CpuWish::Threads,
        (true, ThreadPolicy::Avoid) => CpuWish::NoSiblings,
        (true, ThreadPolicy::Separate) => CpuWish::Separate,
        (true, ThreadPolicy::Isolate) => CpuWish::Cores,
    };
    let ask = |(n, c): (usize, &epa::Cell)| {
        if let Some(w) = c.cores.as_ref().filter(|w| w.vcpus() != c.vcpus.len() as u32) {
            return Err(Fault::invalid(format!("NUMA node {n} asks for CPUs of {} vCPUs, and has {}", w.vcpus(), c.vcpus.len())));
        }
        let cpus = match &c.cores {
            Some(CoreWish::Cores(_)) => CpuWish::Cores,
            Some(CoreWish::PairedThreads { .. }) => CpuWish::Pairs,
            // Any threads: the policy may still say of which cores.
            Some(CoreWish::Threads(_)) | None => by_policy,
        };
        Ok(CellAsk { vcpus: c.vcpus.clone(), memory: c.memory, cpus })
    };
    cells.iter().enumerate().map(ask).collect()
}

fn device_asks(e: &Epa, nics: &[NicOf]) -> Result<Vec<DeviceAsk>> {
    let near = e.locality == Locality::Required;
    let mut out = Vec::new();
    for n in nics.iter().filter(|n| n.wish.attach.is_pci()) {
        let physical = n.physical.clone().ok_or_else(|| {
            Fault::invalid(format!("NIC {}: it wants a function of an SR-IOV NIC, but its virtual link is on no physical network", n.cp))
        })?;
        let kind = if n.wish.attach == NicAttach::Vf { DeviceKind::Vf { physical } } else { DeviceKind::Pf { physical } };
        let mbps = n.wish.bandwidth.or(e.quotas.vif.reserve).unwrap_or(0);
        out.push(DeviceAsk { wish: n.cp.clone(), kind, mbps, near });
    }
    for d in &e.devices {
        let DeviceMatch::Id { vendor, device } = d.what else {
            return Err(Fault::invalid(
                "a PCI device is wished for by a name, and this box gives devices no names: give vendor and device id",
            ));
        };
        let wish = format_smolstr!("{vendor:04x}:{device:04x}");
        let ask = DeviceAsk { wish, kind: DeviceKind::Pci { vendor, device }, mbps: 0, near };
        out.extend(std::iter::repeat_n(ask, d.count.into()));
    }
    Ok(out)
}

/// Finds a place for all guests of all plans, or for none, and writes it into them: the domain, the
/// steps that give functions, and what is reserved. `roamers`: guests without a place are there. Returns what is to
/// be told.
pub fn place_all(
    plans: &mut [&mut VnfPlan],
    mut board: Board,
    facts: &HostFacts,
    held: &[Held],
    underlay: &Underlay,
    roamers: bool,
) -> Result<Vec<String>> {
    let asks: Vec<GuestAsk> = plans.iter().flat_map(|p| p.wishful.iter().map(|w| w.ask.clone())).collect();
    if asks.is_empty() {
        return Ok(Vec::new());
    }
    board.roamers = must_leave(&board, roamers, plans.iter().any(|p| p.roams()));
    let placed: Placed = place(&board, held, &asks)?;
    let mut warnings: Vec<String> = placed.warning().into_iter().collect();
    let pinned = placed.guests.iter().any(Placement::is_pinned);
    if pinned && facts.isolated.is_empty() {
        warnings.push("no CPU of the host is isolated: the host's own work may run on pinned CPUs too".into());
    }
    let mut all = placed.guests.into_iter();
    let mut unmapped = Vec::new();
    for p in plans {
        for w in std::mem::take(&mut p.wishful) {
            let Some(at) = all.next() else { return Err(Fault::bug("placement forgot a guest")) };
            unmapped.extend(w.unmapped(&at, underlay));
            warnings.extend(w.crowded(&at, facts));
            settle(p, &w, at, facts)?;
        }
    }
    if !unmapped.is_empty() {
        return Err(Fault::capacity("this box cannot give the guests the hardware they ask for").with_reasons(unmapped));
    }
    Ok(warnings)
}

fn settle(p: &mut VnfPlan, w: &Wishful, mut at: Placement, facts: &HostFacts) -> Result<()> {
    pair_up(&w.epa, &mut at);
    let mut given = Vec::new();
    for d in &at.devices {
        given.push(give(w, d, facts)?);
    }
    // What the guest has for itself is not taken from what all share.
    let (domain, held) = (as_domain(w, &at, facts), Held { guest: w.guest, name: w.ask.name.clone(), at, given });
    let (vcpus, memory) = held.own();
    for (cpus, sum) in [(&mut p.reservation.vcpus, &mut p.reservation.memory), (&mut p.need.vcpus, &mut p.need.memory)] {
        *cpus = cpus.saturating_sub(vcpus);
        *sum = MiB(sum.0.saturating_sub(memory.0));
    }
    p.steps = renumbered(std::mem::take(&mut p.steps), |step, out: &mut Vec<VnfStep>| {
        let Step::Vnf(VnfStep::Define(spec) | VnfStep::Redefine { after: spec, .. }) = step else { return };
        if spec.id == w.guest {
            spec.placed = Some(domain.clone());
            out.extend(held.given.iter().map(|g| VnfStep::Give { vnfc: w.guest, given: g.clone() }));
        }
    });
    p.reservation.placed.push(held);
    Ok(())
}

/// Where the descriptor says which vCPUs are pairs, those are on the threads of one core.
fn pair_up(e: &Epa, at: &mut Placement) {
    let Some(numa) = &e.numa else { return };
    for (cell, placed) in numa.cells.iter().zip(&mut at.cells) {
        let Some(CoreWish::PairedThreads { of, .. }) = &cell.cores else { continue };
        let named: Vec<u16> = of.iter().flat_map(|(a, b)| [*a, *b]).collect();
        let rest = cell.vcpus.iter().filter(|v| !named.contains(v));
        let order: Vec<u16> = named.iter().copied().filter(|v| cell.vcpus.contains(*v)).chain(rest).collect();
        if order.len() == placed.pins.len() {
            let cpus: Vec<u16> = placed.pins.iter().map(|(_, cpu)| *cpu).collect();
            placed.pins = order.into_iter().zip(cpus).collect();
            placed.pins.order();
        }
    }
}

fn give(w: &Wishful, d: &PlacedDevice, facts: &HostFacts) -> Result<Given> {
    let gone = || Fault::transient(format!("PCI device {} went away while the guest was planned", d.address));
    if d.vf.is_none() {
        return Ok(Given::Whole { device: d.address, before: facts.device(d.address).ok_or_else(gone)?.driver.clone() });
    }
    let before = facts.vf_setting(d.address).ok_or_else(gone)?;
    let nic = w.nics.iter().find(|n| n.cp == d.wish).ok_or_else(|| Fault::bug("a VF for no NIC"))?;
    let rate = [nic.wish.bandwidth, w.epa.quotas.vif.limit].into_iter().flatten().min();
    let conf = VfConf {
        mac: Some(nic.mac),
        vlan: nic.vlan,
        trust: nic.wish.trusted(nic.port_security),
        spoof_check: nic.wish.spoof_checked(nic.port_security),
        min_rate: Mbps(0),
        max_rate: Mbps(rate.unwrap_or(0)),
    };
    Ok(Given::Vf { want: VfSetting { conf, driver: Some(DriverName::VFIO), ..before.clone() }, before })
}

fn as_domain(w: &Wishful, at: &Placement, facts: &HostFacts) -> epa::Placed {
    let vcpus = at.cells.iter().flat_map(|c| c.vcpus.iter()).max().map_or(0, |v| usize::from(v) + 1);
    let mut on: Vec<CpuSet> = vec![CpuSet::new(); vcpus];
    for c in &at.cells {
        for v in c.vcpus.iter() {
            on[usize::from(v)].clone_from(&c.float);
        }
        for (v, cpu) in &c.pins {
            on[usize::from(*v)] = CpuSet::from_iter([*cpu]);
        }
    }
    let core_of = |cpus: &CpuSet| facts.cores.iter().position(|c| cpus.len() == 1 && cpus.iter().all(|cpu| c.threads.contains(cpu)));
    let siblings = on.len().is_multiple_of(2) && on.chunks(2).all(|p| core_of(&p[0]).is_some() && core_of(&p[0]) == core_of(&p[1]));
    let nic = |n: &NicOf| {
        let device = at.devices.iter().find(|d| d.wish == n.cp);
        match (n.wish.attach, device) {
            (NicAttach::Vf, Some(PlacedDevice { address, card, vf: Some(index), .. })) => {
                epa::PlacedNic::Vf { addr: *address, pf: *card, index: *index, vlan: n.vlan }
            }
            (NicAttach::Pf, Some(d)) => epa::PlacedNic::Pf { addr: d.address },
            (NicAttach::VhostUser, _) => epa::PlacedNic::VhostUser,
            (NicAttach::Switch | NicAttach::Vf | NicAttach::Pf, _) => epa::PlacedNic::Switch,
        }
    };
    let named = |d: &&PlacedDevice| !w.nics.iter().any(|n| n.cp == d.wish);
    // QEMU's own threads, too, stay off the CPUs of other guests and of the host.
    let emulator = if at.emulator.is_empty() { on.iter().fold(CpuSet::new(), |all, c| all.union(c)) } else { at.emulator.clone() };
    epa::Placed {
        cells: at.cells.iter().map(|c| epa::PlacedCell { vcpus: c.vcpus.clone(), memory: c.memory, node: Some(c.memory_node) }).collect(),
        memory_policy: if w.ask.strict { MemPolicy::Strict } else { MemPolicy::Preferred },
        page: at.page,
        vcpus: on,
        io_threads: vec![emulator.clone(); w.epa.io_threads.into()],
        emulator,
        idle: at.cells.iter().fold(CpuSet::new(), |all, c| all.union(&c.idle)),
        threads: if siblings { 2 } else { 1 },
        nics: w.nics.iter().map(nic).collect(),
        devices: at.devices.iter().filter(named).map(|d| d.address).collect(),
    }
}

/// What a guest gets that another had is given back, at its end, as the host had it before that one.
pub fn inherit(p: &mut VnfPlan, old: &[Held]) {
    let fix = |g: &mut Given| match (old.iter().flat_map(|h| &h.given).find(|o| o.address() == g.address()), g) {
        (Some(Given::Vf { before: first, .. }), Given::Vf { before, .. }) => before.clone_from(first),
        (Some(Given::Whole { before: first, .. }), Given::Whole { before, .. }) => before.clone_from(first),
        (Some(Given::Vf { .. } | Given::Whole { .. }) | None, Given::Vf { .. } | Given::Whole { .. }) => {}
    };
    // A whole card has no interface while a guest has it; what it was called tells its network after a restart.
    let called = |d: &mut PlacedDevice| {
        let whole = |o: &&PlacedDevice| o.vf.is_none() && o.address == d.address;
        if let Some(o) = old.iter().flat_map(|h| &h.at.devices).find(whole) {
            d.card_name.clone_from(&o.card_name);
        }
    };
    let new = |h: &&mut Held| old.iter().all(|o| o.guest != h.guest);
    for h in p.reservation.placed.iter_mut().filter(new) {
        h.given.iter_mut().for_each(fix);
        h.at.devices.iter_mut().filter(|d| d.vf.is_none()).for_each(called);
    }
    for s in &mut p.steps {
        if let Step::Vnf(VnfStep::Give { given, .. }) = &mut s.step {
            fix(given);
        }
    }
}

/// Steps that take back what was given, after a guest is gone.
pub fn taken_back(held: &[Held], guest: VnfcId) -> impl Iterator<Item = VnfStep> + '_ {
    held.iter().filter(move |h| h.guest == guest).flat_map(|h| &h.given).map(|g| VnfStep::TakeBack(g.clone()))
}

/// By guest, for those who show plans.
pub fn texts(held: &[Held]) -> BTreeMap<VnfcId, String> {
    tree(held.iter().map(|h| (h.guest, h.at.text())))
}
