//! Backups: one stream that holds what a box needs to be itself again, and the way of one into another box.
//!
//! ```text
//! create  records -> an export; disks -> copies of guests that stand still; files -> entries -> sealed -> out
//! verify  in -> opened -> each entry against its digest; nothing is written
//! stage   in -> files beside those of the box, a store beside its store                        (the box goes on)
//! fit     what the other box had, against what is here                                         (pure)
//! order   a note on the disk; the next start moves what was staged into its place              (node)
//! ```
//! Until the note is there the box is the old one; from then on it becomes the restored one, whatever happens. Owns the
//! archive's form. Never: begins anything with guests, or what a record means beyond that.

mod archive;
mod create;
mod fit;
mod manifest;
mod seal;
mod stage;

#[cfg(test)]
pub use archive::only_manifest;
pub use archive::{Found, verify};
pub use create::{Backups, Outline, Parts, Prepared};
pub use fit::{Bound, Fit, fit, rebind};
pub use manifest::{parse, render, unreadable};
pub use seal::{check_passphrase, is_clear};
pub use stage::{GIVEN_UP, House, MOVED, Names, Restores, Staged, Wish, names};
