//! What updates ask of the box (`Slots`) and of the rest of Bothy (`House`).

use camino::Utf8Path;

use crate::model::{
    error::Result,
    update::{Bundle, Running, Slot, Unmet},
};

/// Told how far the writing is: percent, and what is done now.
pub type Progress<'a> = &'a (dyn Fn(u8, &str) + Send + Sync);

/// How a bundle comes into the folder for bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It is ours already, on the same disk.
    Move,
    /// It is somebody's, on a stick that may be pulled, and whoever can write there could exchange it after the check.
    Copy,
}

/// The slots of the box, and the files that updates have.
pub trait Slots: Send + Sync {
    /// `None`: the system of this box is in no slot, and nothing can update it.
    fn running(&self) -> Result<Option<Running>>;
    /// Takes a bundle into the folder for bundles; its name there.
    fn take(&self, from: &Utf8Path, how: Take) -> Result<String>;
    /// What a bundle says of itself. `Invalid`: its signature is wrong, or it is none.
    fn check(&self, bundle: &str) -> Result<Bundle>;
    /// Writes the bundle to this slot, which is not the one that runs. After a failure the slot holds nothing of use.
    fn write(&self, bundle: &str, to: Slot, progress: Progress<'_>) -> Result<()>;
    /// Every bundle goes but this one.
    fn sweep(&self, keep: Option<&str>) -> Result<()>;
    /// The box goes down and starts again. Comes back before it does.
    fn restart(&self) -> Result<()>;
    /// What is remembered cannot be read: it is kept under another name, and nothing is remembered.
    fn set_aside(&self) -> Result<()>;
    /// What `remember` was given last, whole, after a power cut too.
    fn recall(&self) -> Result<Option<String>>;
    fn remember(&self, text: &str) -> Result<()>;
}

/// The rest of Bothy, as far as an update has to do with it.
pub trait House: Send + Sync {
    /// Operations under way, as people know them.
    fn in_flight(&self) -> Result<Vec<String>>;
    /// What should be up and is not. A cable that is unplugged is not among it.
    fn unmet(&self) -> Vec<Unmet>;
    fn is_going_down(&self) -> bool;
    /// `Capacity`: a trial's copy of the store would have no room.
    fn room_for_copy(&self) -> Result<()>;
    /// The copy of the store that a trial has is the store from now on; nothing where it is already.
    fn keep_store(&self) -> Result<()>;
}
