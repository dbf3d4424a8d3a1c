//! Which card each wished device is on, when the cells' nodes are known.
//!
//! Owns the search of the fewest cells away from a device of theirs, then the lowest cards. Never:
//! cores and memory.

use std::ops::Range;

use super::{
    ask::{DeviceAsk, DeviceKind},
    board::FreeCard,
};

/// A wished device of the request, and the cells it should be near one of.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub guest: usize,
    pub ask: &'a DeviceAsk,
    /// The guest's, by their numbers in the whole request.
    pub cells: Range<usize>,
}

/// What a card has left, as the search goes.
#[derive(Debug, Clone)]
pub(super) struct Room<'a> {
    pub free: &'a FreeCard<'a>,
    vfs: usize,
    used: usize,
    mbps: Option<u32>,
    closed: bool,
}

impl<'a> Room<'a> {
    pub fn of(free: &'a FreeCard<'a>) -> Room<'a> {
        Room { free, vfs: free.vfs.len(), used: free.used, mbps: free.mbps, closed: free.closed }
    }

    /// It is of the kind that is wished for.
    pub fn is_kind(&self, kind: &DeviceKind) -> bool {
        let card = self.free.card;
        match kind {
            DeviceKind::Vf { physical } | DeviceKind::Pf { physical } => card.physical.as_ref() == Some(physical),
            DeviceKind::Pci { vendor, device } => (card.vendor, card.device) == (*vendor, *device),
        }
    }

    /// Why a card of the kind cannot give the device, and what would make it.
    pub fn refuses(&self, ask: &DeviceAsk) -> Option<String> {
        if self.closed {
            return Some(format!("{} has it for itself ({}{} would do)", self.holders(), self.their_end(), another(&ask.kind)));
        }
        if ask.mbps > 0 {
            match self.mbps {
                None => {
                    return Some(
                        "the speed of its link is not known, so no bandwidth can be promised (its link up, or no `bandwidth`, would do)"
                            .into(),
                    );
                }
                Some(left) if left < ask.mbps => {
                    let speed = self.free.card.mbps.unwrap_or(0);
                    return Some(format!("{left} of {speed} Mbit/s left, {} wanted ({} more would do)", ask.mbps, ask.mbps - left));
                }
                Some(_) => {}
            }
        }
        let card = self.free.card;
        match ask.kind {
            DeviceKind::Vf { .. } if card.vfs.is_empty() => Some(match &card.shared {
                Ok(()) => "it has no VFs (1 would do: `vfs` in [host] pf, then `bothy host apply`)".into(),
                Err(why) => why.to_string(),
            }),
            DeviceKind::Vf { .. } if self.vfs == 0 => Some(format!(
                "no VF left of {} (1 more would do: {}`vfs` in [host] pf, then `bothy host apply` while none is in use)",
                card.vfs.len(),
                self.their_end()
            )),
            DeviceKind::Pf { .. } | DeviceKind::Pci { .. } if self.used > 0 => {
                let (used, end, other) = (self.used, self.their_end(), another(&ask.kind));
                Some(format!("{used} of its VFs are in use by {} ({end}{other} would do)", self.holders()))
            }
            DeviceKind::Pf { .. } | DeviceKind::Pci { .. } => card.whole.as_ref().err().map(ToString::to_string),
            DeviceKind::Vf { .. } => None,
        }
    }

    /// Guests that have it or some of it.
    fn holders(&self) -> String {
        if self.free.holders.is_empty() {
            return "another NIC of the request".into();
        }
        self.free.holders.iter().map(smol_str::SmolStr::as_str).collect::<Vec<_>>().join(", ")
    }

    fn their_end(&self) -> &'static str {
        match self.free.holders.len() {
            0 => "",
            1 => "its end, or ",
            _ => "their end, or ",
        }
    }

    pub fn is_near(&self, node: u16) -> bool {
        self.free.card.node.is_none_or(|n| n == node)
    }

    fn is_near_one(&self, nodes: &[u16]) -> bool {
        nodes.iter().any(|n| self.is_near(*n))
    }

    pub fn take(&mut self, ask: &DeviceAsk) {
        self.used += 1;
        self.mbps = self.mbps.map(|m| m.saturating_sub(ask.mbps));
        match ask.kind {
            DeviceKind::Vf { .. } => self.vfs -= 1,
            DeviceKind::Pf { .. } | DeviceKind::Pci { .. } => self.closed = true,
        }
    }

    /// Another card that cannot be told from this one, but by its address.
    fn same(&self, other: &Room<'_>) -> bool {
        let (a, b) = (self.free.card, other.free.card);
        (self.vfs, self.used, self.mbps, self.closed) == (other.vfs, other.used, other.mbps, other.closed)
            && (a.node, &a.physical, a.vendor, a.device, a.vfs.is_empty(), a.whole.is_ok())
                == (b.node, &b.physical, b.vendor, b.device, b.vfs.is_empty(), b.whole.is_ok())
    }
}

/// What else could give a device.
fn another(kind: &DeviceKind) -> String {
    match kind {
        DeviceKind::Vf { physical } | DeviceKind::Pf { physical } => format!("another card on {physical}"),
        DeviceKind::Pci { .. } => "another device of its kind".into(),
    }
}

/// The cards, one for each wanted device, that leave the fewest cells away; `nodes` says where each cell
/// is, `away` holds those that are away already, and at most `most` may be in the end. `left` is the budget.
pub(super) fn assign<'a>(
    rooms: &[Room<'a>],
    wanted: &[Wanted<'a>],
    nodes: &[u16],
    away: &[bool],
    most: usize,
    left: &mut u32,
) -> Option<(Vec<usize>, usize)> {
    let already = away.iter().filter(|a| **a).count();
    // With ever more cells allowed away, the first answer is the best one, and lowest first.
    for limit in already.max(floor(rooms, wanted, nodes, away))..=most {
        let mut s = Search { wanted, nodes, away: away.to_vec(), count: already, limit, chosen: Vec::new(), left: &mut *left };
        if s.go(&mut rooms.to_vec()) {
            let count = s.count;
            return Some((s.chosen, count));
        }
        if *left == 0 {
            return None;
        }
    }
    None
}

/// Cells that are away whatever is chosen: no card near them can give what they wish for.
fn floor(rooms: &[Room<'_>], wanted: &[Wanted<'_>], nodes: &[u16], away: &[bool]) -> usize {
    let mut away = away.to_vec();
    for w in wanted {
        let near = |r: &Room<'_>| r.is_kind(&w.ask.kind) && r.is_near_one(&nodes[w.cells.clone()]) && r.refuses(w.ask).is_none();
        if !rooms.iter().any(near) {
            away[w.cells.clone()].fill(true);
        }
    }
    away.iter().filter(|a| **a).count()
}

struct Search<'s, 'a> {
    wanted: &'s [Wanted<'a>],
    nodes: &'s [u16],
    away: Vec<bool>,
    count: usize,
    limit: usize,
    chosen: Vec<usize>,
    left: &'s mut u32,
}

impl<'a> Search<'_, 'a> {
    fn go(&mut self, rooms: &mut [Room<'a>]) -> bool {
        let wanted = self.wanted;
        let Some(w) = wanted.get(self.chosen.len()) else { return true };
        // Cells that a card near none of them sends away.
        let homes: Vec<usize> = w.cells.clone().filter(|c| !self.away[*c]).collect();
        for i in 0..rooms.len() {
            if !rooms[i].is_kind(&w.ask.kind) || rooms[i].refuses(w.ask).is_some() {
                continue;
            }
            let far = !rooms[i].is_near_one(&self.nodes[w.cells.clone()]);
            if far && (w.ask.near || self.count + homes.len() > self.limit) {
                continue;
            }
            // What a twin of lower address could not bring, this one cannot either.
            if rooms[..i].iter().any(|r| r.same(&rooms[i])) {
                continue;
            }
            if *self.left == 0 {
                return false;
            }
            *self.left -= 1;
            let before = rooms[i].clone();
            let newly: &[usize] = if far { &homes } else { &[] };
            newly.iter().for_each(|c| self.away[*c] = true);
            self.count += newly.len();
            rooms[i].take(w.ask);
            self.chosen.push(i);
            if self.go(rooms) {
                return true;
            }
            self.chosen.pop();
            rooms[i] = before;
            self.count -= newly.len();
            newly.iter().for_each(|c| self.away[*c] = false);
        }
        false
    }
}
