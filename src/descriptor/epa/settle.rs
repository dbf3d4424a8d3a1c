//! What keys demand of each other, once all are read: the guest's wishes, whole, or every reason why not.

use super::{
    guest::{GuestKeys, Mask},
    table::Act,
};
use crate::{
    descriptor::tosca::at::At,
    model::{
        epa::{CoreWish, DeviceWish, Epa, MOST_DEVICES, NicAttach, PagePolicy, PinPolicy, ThreadPolicy, Topology},
        hw::{CpuSet, PageSize},
        size::MiB,
        vnfd::{NicModel, VduCp},
    },
};

/// Queues that `vif-multiqueue` gives at most: what a switch serves well.
const MOST_QUEUES: u16 = 8;

impl<'a> GuestKeys<'a> {
    /// The wishes of a VDU with so many vCPUs and so much memory. `at`: the VDU.
    pub fn settle(mut self, at: &At<'a>, vcpus: u32, memory: MiB) -> (Epa, Queues) {
        self.settle_numa(at, vcpus, memory);
        self.settle_pages(at, memory);
        self.settle_threads(at);
        self.settle_real_time(at, vcpus);
        self.settle_topology(at, vcpus);
        self.settle_devices(at);
        let m = self.epa.quotas.memory;
        let place = |k: &Self, act| k.place(act).unwrap_or(at).clone();
        if m.limit.is_some_and(|l| u64::from(l) < memory.0) {
            place(&self, Act::MemLimit).error(format!("is below the guest's memory, {memory}; a guest that is given less is killed"));
        }
        if m.reserve.is_some_and(|r| u64::from(r) > memory.0) {
            place(&self, Act::MemReserve).error(format!("is above the guest's memory, {memory}"));
        }
        let c = self.epa.quotas.cpu;
        if let (Some(limit), Some(reserve)) = (c.limit, c.reserve)
            && reserve > limit
        {
            place(&self, Act::CpuReserve).error(format!("reserves {reserve} MHz, more than the limit of {limit}"));
        }
        if self.epa.pinning == PinPolicy::Dedicated && c.limit.is_some() {
            place(&self, Act::CpuLimit).error("a limit on CPUs that are the guest's own takes from nobody; leave it out, or write SHARED");
        }
        let queues = self.multi_queue.then(|| u16::try_from(vcpus).unwrap_or(u16::MAX).min(MOST_QUEUES));
        (self.epa, Queues(queues))
    }

    fn settle_numa(&mut self, at: &At<'a>, vcpus: u32, memory: MiB) {
        for (node, of) in std::mem::take(&mut self.pairs) {
            match self.numa.nodes.entry(node).or_default().cores.as_mut() {
                Some(CoreWish::PairedThreads { pairs, of: ids }) if of.len() == usize::from(*pairs) => *ids = of,
                None => {
                    let pairs = u16::try_from(of.len()).unwrap_or(u16::MAX);
                    self.numa.nodes.entry(node).or_default().cores = Some(CoreWish::PairedThreads { pairs, of });
                }
                Some(_) => at.error(format!("node {node}: the paired threads are not as many as its pairs")),
            }
        }
        let acts = [Act::NodeVcpus, Act::NodeMemory, Act::NodeCores, Act::NodeThreads, Act::NodePairs, Act::NumaCount, Act::NumaPolicy];
        match self.numa.settle(vcpus, memory) {
            Ok(wish) => self.epa.numa = wish,
            Err(why) => acts.iter().find_map(|a| self.place(*a)).unwrap_or(at).error(why),
        }
    }

    /// A page size that cannot hold the guest's cells exactly is a guest that QEMU refuses.
    fn settle_pages(&self, at: &At<'a>, memory: MiB) {
        let page = match self.epa.pages {
            PagePolicy::Size1G => PageSize::Huge1G,
            PagePolicy::Large | PagePolicy::Size2M => PageSize::Huge2M,
            PagePolicy::Any | PagePolicy::Small | PagePolicy::PreferLarge => return,
        };
        let cells = self.epa.numa.as_ref().map(|n| n.cells.iter().map(|c| c.memory).collect()).unwrap_or(vec![memory]);
        for m in cells.into_iter().filter(|m| m.0 > 0 && !page.divides(*m)) {
            self.place(Act::Pages).unwrap_or(at).error(format!("{m} is no whole number of pages of {page}"));
        }
    }

    fn settle_threads(&self, at: &At<'a>) {
        let dedicated = self.epa.pinning == PinPolicy::Dedicated;
        if self.epa.threads != ThreadPolicy::Prefer && !dedicated {
            let place = self.place(Act::Threads).unwrap_or(at);
            place.error_hint("says how dedicated CPUs are chosen, and the CPUs are not dedicated", "write cpu-pinning-policy: DEDICATED");
        }
        let cells = self.epa.numa.iter().flat_map(|n| &n.cells);
        for cores in cells.filter_map(|c| c.cores.as_ref()) {
            let apart = !matches!(self.epa.threads, ThreadPolicy::Prefer);
            match cores {
                CoreWish::Threads(_) => {}
                CoreWish::Cores(_) | CoreWish::PairedThreads { .. } if !dedicated => {
                    let place = self.place(Act::NodeCores).or(self.place(Act::NodePairs)).unwrap_or(at);
                    place.error_hint("cores and pairs of threads are dedicated CPUs", "write cpu-pinning-policy: DEDICATED");
                }
                CoreWish::PairedThreads { .. } if apart => {
                    let place = self.place(Act::Threads).unwrap_or(at);
                    place.error("keeps vCPUs off each other's cores, and a NUMA node asks for paired threads");
                }
                CoreWish::Cores(_) | CoreWish::PairedThreads { .. } => {}
            }
        }
    }

    fn settle_real_time(&mut self, at: &At<'a>, vcpus: u32) {
        let all: CpuSet = (0..u16::try_from(vcpus).unwrap_or(u16::MAX)).collect();
        if !self.real_time {
            if self.real_time_mask.is_some() {
                self.place(Act::RealTimeMask).unwrap_or(at).warn("does nothing without cpu-realtime: yes");
            }
            return;
        }
        let place = self.place(Act::RealTime).unwrap_or(at).clone();
        let chosen = match &self.real_time_mask {
            Some(Mask::These(c)) => c.clone(),
            Some(Mask::AllBut(c)) => all.minus(c),
            // One is left for what is not real time, where there is more than one.
            None if all.len() > 1 => all.minus(&std::iter::once(0).collect()),
            None => all.clone(),
        };
        let beyond = chosen.minus(&all);
        if !beyond.is_empty() {
            place.error(format!("there are no vCPUs {beyond}; the guest has {all}"));
        }
        if chosen.is_empty() {
            place.error("the mask leaves no vCPU for real time");
        }
        if self.epa.pinning != PinPolicy::Dedicated {
            place.error_hint(
                "real time needs CPUs of its own: on a shared one it would starve all others",
                "write cpu-pinning-policy: DEDICATED",
            );
        }
        self.epa.real_time = chosen;
        self.epa.locked = true;
    }

    fn settle_topology(&mut self, at: &At<'a>, vcpus: u32) {
        if self.topology.iter().all(Option::is_none) || vcpus == 0 {
            return;
        }
        let place = [Act::Sockets, Act::Cores, Act::CoreThreads].into_iter().find_map(|a| self.place(a)).unwrap_or(at).clone();
        let [sockets, cores, threads] = self.topology;
        let n = |v: Option<u16>| u32::from(v.unwrap_or(1));
        let known = n(sockets) * n(cores) * n(threads);
        if !vcpus.is_multiple_of(known) {
            place.error(format!("sockets, cores and threads make {known}, which does not divide the {vcpus} vCPUs"));
            return;
        }
        let rest = u16::try_from(vcpus / known).unwrap_or(u16::MAX);
        // What is not said takes up the rest: sockets first, as OpenStack does.
        let mut t = Topology { sockets: sockets.unwrap_or(1), cores: cores.unwrap_or(1), threads: threads.unwrap_or(1) };
        if rest > 1 {
            match (sockets, cores, threads) {
                (None, _, _) => t.sockets = rest,
                (_, None, _) => t.cores = rest,
                (_, _, None) => t.threads = rest,
                _ => place.error(format!("sockets x cores x threads are {known}, and the guest has {vcpus} vCPUs")),
            }
        }
        self.epa.cpu.topology = Some(t);
    }

    fn settle_devices(&mut self, at: &At<'a>) {
        let all: u32 = self.devices.values().map(|(_, count)| u32::from(*count)).sum();
        if all > u32::from(MOST_DEVICES) {
            let last = self.place(Act::DeviceCount).or_else(|| self.place(Act::DeviceId));
            last.unwrap_or(at).error(format!("{all} PCI devices, and a guest can have {MOST_DEVICES}"));
        }
        for (n, (what, count)) in std::mem::take(&mut self.devices) {
            match what {
                Some(what) => self.epa.devices.push(DeviceWish { what, count }),
                // Said where the id stands.
                None if self.set.iter().any(|s| s.act == Act::DeviceId && s.number == Some(n)) => {}
                None => self.place(Act::DeviceCount).unwrap_or(at).error(format!("pcie-device.{n} has a count and no device-id")),
            }
        }
    }
}

/// Queues for VirtIO NICs that say nothing.
#[derive(Clone, Copy)]
pub struct Queues(Option<u16>);

impl Queues {
    pub fn fill(self, nic: &mut VduCp) {
        let paravirtual = match nic.wish.attach {
            NicAttach::Switch => nic.model == NicModel::Virtio,
            NicAttach::VhostUser => true,
            NicAttach::Vf | NicAttach::Pf => false,
        };
        if paravirtual && nic.wish.queues.is_none() {
            nic.wish.queues = self.0.filter(|q| *q > 1);
        }
    }
}
