//! The boot loader's block: one writer at a time for the kernel arguments and the slot that it holds.
//!
//! Never: decides what is tried or kept.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    model::{
        error::{Fault, Result},
        host::BootArgs,
    },
    vim::port::Hardware,
};

pub struct BootBlock {
    hardware: Arc<dyn Hardware>,
    one: Mutex<()>,
}

impl BootBlock {
    pub fn new(hardware: Arc<dyn Hardware>) -> Self {
        BootBlock { hardware, one: Mutex::default() }
    }
    /// `None`: no boot loader listens to Bothy.
    pub fn read(&self) -> Result<Option<BootArgs>> {
        self.hardware.boot_args()
    }
    /// Makes of it what `change` does. Nothing is written where all is so already.
    pub fn change(&self, change: impl FnOnce(&BootArgs) -> Result<BootArgs>) -> Result<BootArgs> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let is = self.read()?.ok_or_else(|| Fault::conflict("no boot loader listens to bothy: see [host] grubenv"))?;
        let want = change(&is)?;
        if want != is {
            self.hardware.set_boot_args(&want)?;
        }
        Ok(want)
    }
}
