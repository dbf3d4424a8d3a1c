//! Factory reset in three depths: said before, ordered, and seen through by the next start.
//!
//! ```text
//! asked --plan--> what goes, what stays, every reason why not                       (plan: pure)
//!       --order-> a file that says so, on the disk; bothy ends and starts anew       (work)
//! start --take--> guests, disks, links, functions are given back, by the records    (take)
//!       ------->  records, files; then the order itself goes                         (node)
//! ```
//! Each step takes away what is there, so one that a power cut ended is done again from the first, before the store is
//! opened for anybody else. Owns that order. Never: a path of the host.

mod order;
mod plan;
mod take;
mod work;

pub use order::{parse, parse_done, render, render_done};
pub use plan::{Plan, Seen, Step, plan, purged, steps};
pub use take::{Hands, devices, guests, host, links, network, outside, users};
pub use work::{Files, Resets, Status};
