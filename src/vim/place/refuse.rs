//! Why there is no place: each candidate, its reason, and what would make it fit.
//!
//! Owns the sentences. Never: whether something fits (`search` has said so).

use super::{
    ask::{CpuWish, DeviceAsk, DeviceKind, GuestAsk, PageWish},
    board::{Board, Free, FreeCard, FreeNode},
    cards::Room,
    cores::{Load, Stock, whole_cores},
    search::{Found, best, emulator_wish},
    time,
};
use crate::model::{error::Fault, hw::PageSize, id::VnfcId, place::Held, size::MiB};

/// What is looked at to explain: a guest alone, or with those before it.
const BUDGET: u32 = 750;

/// `lost`: those that have been shown to have no place alone. `proven`: nothing was left out for want of time.
pub(super) fn why(board: &Board, held: &[Held], asks: &[GuestAsk], lost: &[&GuestAsk], proven: bool) -> Fault {
    let free = Free::of(board, held);
    if board.nodes.is_empty() {
        return Fault::transient("the host's CPUs and memory are not known yet, so nothing can be placed: `bothy host facts` says why");
    }
    let found = |asks: &[GuestAsk]| best(&free, asks, BUDGET);
    // What was only not found in time may fit.
    let may = |asks: &[GuestAsk]| !matches!(found(asks), Found::None { proven: true });
    if !lost.is_empty() {
        let names: Vec<&str> = lost.iter().map(|a| a.name.as_str()).collect();
        return Fault::capacity(format!("this host has no place for {}", names.join(", ")))
            .with_reasons(lost.iter().flat_map(|a| reasons(&free, a)));
    }
    if !proven {
        let names: Vec<&str> = asks.iter().map(|a| a.name.as_str()).collect();
        let mut all = had(&free, asks);
        all.push("fewer guests in one request would do: the search looks further at each".into());
        return Fault::capacity(format!("no place for {} was found before the search's budget ended", names.join(", "))).with_reasons(all);
    }
    // Each fits alone: the first that does not fit beside those before it. With one more it fits no
    // better, so that halving finds it.
    let (mut most, mut k) = (1, asks.len().saturating_sub(1));
    while most < k {
        let middle = most + (k - most) / 2;
        if may(&asks[..=middle]) { most = middle + 1 } else { k = middle }
    }
    if k > 0 {
        let names: Vec<&str> = asks[..k].iter().map(|a| a.name.as_str()).collect();
        let text = format!("this host has a place for {} alone, but not beside {}", asks[k].name, names.join(", "));
        let mut with: Vec<Held> = held.to_vec();
        let Found::Best(placed) = found(&asks[..k]) else {
            return Fault::capacity(text).with_reasons(had(&free, asks));
        };
        for (a, at) in asks.iter().zip(placed.guests) {
            with.push(Held { guest: VnfcId(uuid::Uuid::nil()), name: a.name.clone(), at, given: Vec::new() });
        }
        return Fault::capacity(text).with_reasons(reasons(&Free::of(board, &with), &asks[k]));
    }
    Fault::capacity(format!("this host has no place for {}", asks.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", ")))
        .with_reasons(had(&free, asks))
}

/// One sentence for each node that a cell could be on and each card a device could be of.
fn reasons(free: &Free<'_>, a: &GuestAsk) -> Vec<String> {
    let mut out = Vec::new();
    let pages = a.pages.options(&a.cells);
    if pages.is_empty() {
        let sizes: Vec<String> = a.cells.iter().map(|c| c.memory.to_string()).collect();
        let size = match a.pages {
            PageWish::Exactly(p) => p,
            PageWish::Small | PageWish::Large | PageWish::PreferLarge => PageSize::Huge2M,
        };
        out.push(format!("{}: memory of {} is not a whole number of {size} pages: a multiple would fit", a.name, sizes.join(" and ")));
        return out;
    }
    if a.strict && a.cells.len() > free.nodes.len() {
        out.push(format!(
            "{}: {} NUMA nodes are wanted on nodes of their own (STRICT), the host has {}: PREFERRED or fewer nodes would fit",
            a.name,
            a.cells.len(),
            free.nodes.len()
        ));
        return out;
    }
    for (index, cell) in a.cells.iter().enumerate() {
        let who = if a.cells.len() == 1 { a.name.to_string() } else { format!("{} (guest node {index})", a.name) };
        for n in &free.nodes {
            let mut short = cores(free, n, a, index);
            short.extend(memory(n, &pages, cell.memory));
            short.extend(short_of_time(free, n, a, index));
            short.extend(company(free, n, a));
            // Another cell's node may be the near one where there are several.
            for d in a.devices.iter().filter(|d| d.near && a.cells.len() == 1 && !has_near(free, d, n.id)) {
                short.push(format!("{}: no card near it can give {}", d.wish, what(&d.kind)));
            }
            if !short.is_empty() {
                out.push(format!("{who}: node {}: {}", n.id, short.join("; ")));
            }
        }
    }
    out.extend(a.devices.iter().filter(|d| d.near && a.cells.len() > 1).filter_map(|d| tied(free, a, d)));
    out.extend(devices(free, a));
    if out.is_empty() {
        let what = "each of its parts fits on some node, but not all of them at once";
        let less = if a.strict && a.cells.len() > 1 { "fewer or smaller guest nodes, or PREFERRED," } else { "a smaller guest" };
        out.push(format!("{}: {what} ({less} would do)", a.name));
        if free.roamers {
            out.push("one CPU of the host has to be left to guests that float over all of it".into());
        }
        out.extend(had(free, std::slice::from_ref(a)));
    }
    out
}

/// What each node has, and each card that could give one of the devices.
fn had(free: &Free<'_>, asks: &[GuestAsk]) -> Vec<String> {
    let node = |n: &FreeNode| {
        let s = Stock::of(n);
        let mut all = vec![
            format!("{} of {} cores whole and free", s.whole(), n.cores_total),
            format!("{} CPUs free to pin to", s.threads()),
            format!("memory: {} free", n.small),
        ];
        all.extend(n.total.iter().map(|(p, total)| format!("{p} pages: {} of {total} free", n.huge.get(p).copied().unwrap_or(0))));
        format!("node {} has: {}", n.id, all.join("; "))
    };
    let wished = |c: &&FreeCard<'_>| asks.iter().flat_map(|a| &a.devices).any(|d| Room::of(c).is_kind(&d.kind));
    let card = |c: &FreeCard<'_>| {
        if c.closed {
            let who: Vec<&str> = c.holders.iter().map(smol_str::SmolStr::as_str).collect();
            return format!("{} is whole with {}", titled(c), who.join(", "));
        }
        let vfs = format!("{} of {} VFs free", c.vfs.len(), c.card.vfs.len());
        let speed = c.card.mbps.zip(c.mbps).map(|(all, left)| format!("; {left} of {all} Mbit/s left")).unwrap_or_default();
        format!("{} has: {vfs}{speed}", titled(c))
    };
    free.nodes.iter().map(node).chain(free.cards.iter().filter(wished).map(card)).collect()
}

fn titled(c: &FreeCard<'_>) -> String {
    let node = c.card.node.map_or(String::new(), |n| format!(", node {n}"));
    format!("{} ({}{node})", c.card.name, c.card.address)
}

/// A card near the node can give the device.
fn has_near(free: &Free<'_>, d: &DeviceAsk, node: u16) -> bool {
    free.cards.iter().map(Room::of).any(|r| r.is_kind(&d.kind) && r.is_near(node) && r.refuses(d).is_none())
}

/// Where one of a guest's nodes has to be for a device that must be near.
fn tied(free: &Free<'_>, a: &GuestAsk, d: &DeviceAsk) -> Option<String> {
    let (near, far): (Vec<u16>, Vec<u16>) = free.nodes.iter().map(|n| n.id).partition(|n| has_near(free, d, *n));
    let all: Vec<String> = near.iter().map(ToString::to_string).collect();
    (!near.is_empty() && !far.is_empty()).then(|| {
        format!(
            "{}: {}: one of its guest nodes has to be on node {}, where a card can give {}",
            a.name,
            d.wish,
            all.join(" or "),
            what(&d.kind)
        )
    })
}

fn cores(free: &Free<'_>, n: &FreeNode, a: &GuestAsk, index: usize) -> Vec<String> {
    let (s, wish, vcpus) = (Stock::of(n), a.cells[index].cpus, a.cells[index].vcpus.len());
    let alone = a.emulator_alone && index == 0;
    let mut load = Load::default();
    load.add(0, wish, vcpus);
    if alone {
        load.add(0, emulator_wish(wish), 1);
    }
    let Some(left) = load.left(s) else {
        let extra = usize::from(alone && emulator_wish(wish) != CpuWish::Threads);
        let emulator = if alone { ", one for the emulator with them" } else { "" };
        let more = |want: usize, have: usize| format!("({} more would do)", want.saturating_sub(have).max(1));
        let text = match wish {
            CpuWish::Cores | CpuWish::Pairs if wish == CpuWish::Pairs && s.duo < whole_cores(wish, vcpus) && s.solo > 0 && s.duo == 0 => {
                format!("its cores have no second thread, {} pairs of threads wanted", whole_cores(wish, vcpus))
            }
            CpuWish::Cores | CpuWish::Pairs => {
                let want = whole_cores(wish, vcpus) + extra;
                format!("{} of {} cores whole and free, {want} wanted{emulator} {}", s.whole(), n.cores_total, more(want, s.whole()))
            }
            CpuWish::NoSiblings => {
                let want = vcpus + extra;
                format!("{} cores without a sibling thread free, {want} wanted: SMT off, or another thread policy, would do", s.solo)
            }
            CpuWish::Separate => {
                format!("{} cores with a free thread, {vcpus} wanted{emulator} {}", s.whole() + s.half, more(vcpus, s.whole() + s.half))
            }
            CpuWish::Threads | CpuWish::Floating => {
                let want = if wish == CpuWish::Threads { vcpus } else { 0 } + usize::from(alone);
                format!("{} CPUs free to pin to, {want} wanted{emulator} {}", s.threads(), more(want, s.threads()))
            }
        };
        return vec![text];
    };
    let floats = n.floats || wish == CpuWish::Floating;
    if floats && if n.common { left.threads == 0 } else { n.float.is_empty() } {
        return vec!["no CPU would be left to guests that float on it (1 more would do)".into()];
    }
    let elsewhere: usize = free.nodes.iter().filter(|o| o.id != n.id).map(|o| o.float.len()).sum();
    let here = if n.common { left.threads } else { n.float.len() };
    if free.roamers && here + elsewhere == 0 {
        let more = if n.common { "1 more" } else { "fewer in [reserve] cpus, or in [host] isolate," };
        return vec![format!("no CPU of the host would be left to guests that float over all of it ({more} would do)")];
    }
    Vec::new()
}

fn memory(n: &FreeNode, pages: &[PageSize], memory: MiB) -> Vec<String> {
    let short = |p: &PageSize| match p {
        PageSize::Small => {
            (n.small < memory).then(|| format!("memory: {} free, {memory} wanted ({} more would do)", n.small, MiB(memory.0 - n.small.0)))
        }
        PageSize::Huge2M | PageSize::Huge1G => {
            let (free, total) = (n.huge.get(p).copied().unwrap_or(0), n.total.get(p).copied().unwrap_or(0));
            let want = p.pages(memory);
            (free < want).then(|| format!("{p} pages: {free} of {total} free, {want} wanted ({} more would do)", want - free))
        }
    };
    let all: Vec<String> = pages.iter().filter_map(short).collect();
    // One page size that fits is enough.
    if all.len() == pages.len() { all } else { Vec::new() }
}

/// Time of a node's CPUs that guests float over.
fn short_of_time(free: &Free<'_>, n: &FreeNode, a: &GuestAsk, index: usize) -> Option<String> {
    let (clock, mcpu) = (free.mhz?, time::promised(a, free.mhz).ok()?);
    let (vcpus, of) = (a.cells[index].vcpus.len(), a.vcpus());
    let want = time::share(mcpu, vcpus, of);
    let emulator = usize::from(a.emulator_alone && index == 0);
    let float = if n.common { Stock::of(n).threads().saturating_sub(emulator) } else { n.float.len() };
    let have = float as u64 * 1000;
    (want > 0 && n.mcpu + want > have).then(|| {
        let mhz = |mcpu: u64| time::in_mhz(mcpu, clock);
        let wanted = (u64::from(a.reserve_mhz) * vcpus as u64).div_ceil(of.max(1) as u64);
        let left = mhz(have.saturating_sub(n.mcpu));
        let more = wanted.saturating_sub(left).max(1);
        format!("CPU time: {left} of {} MHz left to guests that float, {wanted} wanted ({more} more would do)", mhz(have))
    })
}

fn company(free: &Free<'_>, n: &FreeNode, a: &GuestAsk) -> Vec<String> {
    let mut out = Vec::new();
    for g in &a.together {
        if let Some(other) = free.together.get(g).filter(|o| **o != n.id) {
            out.push(format!("the group {g} is on node {other}"));
        }
    }
    for g in &a.apart {
        if free.apart.get(g).is_some_and(|nodes| nodes.contains(&n.id)) {
            out.push(format!("a guest of the group {g}, whose guests are apart, is on it"));
        }
    }
    out
}

fn what(kind: &DeviceKind) -> String {
    match kind {
        DeviceKind::Vf { physical } => format!("a VF on {physical}"),
        DeviceKind::Pf { physical } => format!("a whole PF on {physical}"),
        DeviceKind::Pci { vendor, device } => format!("the PCI device {vendor:04x}:{device:04x}"),
    }
}

/// Nothing on the host is of the kind.
fn unknown(free: &Free<'_>, kind: &DeviceKind) -> String {
    let physical = match kind {
        DeviceKind::Vf { physical } | DeviceKind::Pf { physical } => physical,
        DeviceKind::Pci { .. } => return format!("the host has nothing that is {}", what(kind)),
    };
    let known: Vec<String> =
        free.cards.iter().filter_map(|c| c.card.physical.as_ref().map(|p| format!("{} on {p}", c.card.name))).collect();
    let known = if known.is_empty() { "no card is on a physical network".into() } else { format!("there are {}", known.join(", ")) };
    format!("no card can give {}; {known} (a PF with the network {physical} in [host] pf would do)", what(kind))
}

/// A device for which each card refuses.
fn devices(free: &Free<'_>, a: &GuestAsk) -> Vec<String> {
    let mut rooms: Vec<Room<'_>> = free.cards.iter().map(Room::of).collect();
    let mut out = Vec::new();
    for d in &a.devices {
        let kind: Vec<usize> = (0..rooms.len()).filter(|r| rooms[*r].is_kind(&d.kind)).collect();
        if kind.is_empty() {
            out.push(format!("{}: {}: {}", a.name, d.wish, unknown(free, &d.kind)));
            continue;
        }
        match kind.iter().copied().find(|r| rooms[*r].refuses(d).is_none()) {
            Some(r) => rooms[r].take(d),
            None => {
                for r in kind {
                    let why = rooms[r].refuses(d).unwrap_or_default();
                    out.push(format!("{}: {}: {}: {why}", a.name, d.wish, titled(rooms[r].free)));
                }
            }
        }
    }
    out
}
