//! Where guests with wishes go on the host: NUMA nodes, cores, pages, VFs. Pure.
//!
//! * `board`   the host as placement sees it, and what guests that run hold of it
//! * `ask`     what the guests of one request wish for
//! * `cores`   whether a node's cores hold what is laid on it, and which core goes to whom
//! * `cards`   which card each NIC is on
//! * `search`  the best of all places, within a budget
//! * `facts`   the board of a host's facts and its reserve
//! * `float`   the CPUs that guests float over
//! * `time`    CPU time that is promised to guests that float
//! * `usage`   who holds what of the host, and what of it is not there any more
//! * `refuse`  why there is none: each candidate, its reason, and what would make it fit
//!
//! The best is, in this order:
//!
//! 1. all guests of the request have a place, or none has;
//! 2. the fewest guest cells are away from a NIC of theirs or from their memory (a cell that prefers
//!    large pages and has small ones is away from its memory, too). A NIC is near a guest that has a
//!    cell on its node; from one that is near none, all cells of the guest are away;
//! 3. the most whole cores are left on the node that has most of them;
//! 4. the lowest ids: of nodes (cell by cell, CPUs then memory), then of cards, in the order of the
//!    request. Of cores and VFs, the lowest that these leave.
//!
//! Guests that run are not moved, but for those that float: they keep off CPUs that another gets for itself, and
//! the last one that they need is nobody's. Never: guests without wishes (`capacity` counts them), how a place is
//! written as XML, what the host really has.

pub mod ask;
pub mod board;
mod cards;
mod cores;
pub mod facts;
pub mod float;
mod refuse;
mod search;
mod time;
pub mod usage;

#[cfg(test)]
mod brute;
#[cfg(test)]
mod facts_tests;
#[cfg(test)]
mod float_tests;
#[cfg(test)]
mod tests;

use crate::model::{
    error::{Fault, Result},
    place::{Held, Placement},
};
use ask::GuestAsk;
use board::Board;

/// What a place costs; less is better, `away` first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Guest cells away from a NIC of theirs or from their memory.
    pub away: u32,
    /// Whole cores left on the node that has most of them.
    pub block: u32,
}

impl Cost {
    fn rank(self) -> (u32, std::cmp::Reverse<u32>) {
        (self.away, std::cmp::Reverse(self.block))
    }
}

/// A request with a place for each of its guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// In the order of the request.
    pub guests: Vec<Placement>,
    pub cost: Cost,
    /// Branches looked at.
    pub looked_at: u32,
    /// Nothing better exists. Else the budget ended at the best found.
    pub proven: bool,
}

impl Placed {
    /// What to tell of a search that ended early.
    pub fn warning(&self) -> Option<String> {
        (!self.proven).then(|| {
            format!("placement: the search stopped after {} branches at the best place found; a better one may exist", self.looked_at)
        })
    }
}

/// Branches looked at before the search takes the best found: some milliseconds, with what is looked at beside it.
pub const BUDGET: u32 = 6_000;
/// One in so many of them is for whether one of several guests has a place at all.
const ALONE_PART: u32 = 8;

/// Places all guests of a request, or tells of each candidate why not.
pub fn place(board: &Board, held: &[Held], asks: &[GuestAsk]) -> Result<Placed> {
    place_within(board, held, asks, BUDGET)
}

/// As `place`, with a budget of its own.
pub fn place_within(board: &Board, held: &[Held], asks: &[GuestAsk], budget: u32) -> Result<Placed> {
    let unkept: Vec<String> = asks.iter().filter_map(|a| time::promised(a, board.mhz).err()).collect();
    if !unkept.is_empty() && !board.nodes.is_empty() {
        return Err(Fault::capacity("this host cannot promise the CPU time that is asked for").with_reasons(unkept));
    }
    let free = board::Free::of(board, held);
    // One that has no place alone would be found out at each leaf of the tree.
    let never = |a: &&GuestAsk| match search::best(&free, std::slice::from_ref(*a), (budget / ALONE_PART).max(1)) {
        search::Found::None { proven } => proven,
        search::Found::Best(_) => false,
    };
    let lost: Vec<&GuestAsk> = if asks.len() > 1 { asks.iter().filter(never).collect() } else { Vec::new() };
    if !lost.is_empty() {
        return Err(refuse::why(board, held, asks, &lost, true));
    }
    match search::best(&free, asks, budget) {
        search::Found::Best(placed) => Ok(*placed),
        search::Found::None { proven } => {
            let lost: Vec<&GuestAsk> = if proven && asks.len() == 1 { asks.iter().collect() } else { Vec::new() };
            Err(refuse::why(board, held, asks, &lost, proven))
        }
    }
}
