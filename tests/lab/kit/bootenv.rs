//! The boot loader's environment block, from inside the box: what `image/grub.cfg` reads and writes.

use crate::kit::Lab;

pub const FILE: &str = "/boot/efi/EFI/bothy/grubenv";
const HEAD: &str = "# GRUB Environment Block\n";
/// GRUB writes in place, so the block keeps its size.
const BYTES: usize = 1024;

impl Lab {
    /// One variable of the block.
    #[track_caller]
    pub fn boot_variable(&mut self, name: &str) -> Option<String> {
        let block = self.sh(&format!("cat {FILE}"));
        assert!(block.starts_with(HEAD), "{block}");
        let prefix = format!("{name}=");
        block.lines().find_map(|l| l.strip_prefix(&prefix).map(Into::into))
    }

    /// Puts arguments on trial, for one boot, as the daemon does.
    #[track_caller]
    pub fn try_arguments(&mut self, arguments: &str) {
        let committed = self.boot_variable("bothy_args").unwrap_or_default();
        let mut block = format!("{HEAD}bothy_args={committed}\nbothy_args_try={arguments}\nbothy_try=1\n");
        assert!(block.len() <= BYTES, "{arguments}");
        block.extend(std::iter::repeat_n('#', BYTES - block.len()));
        self.write(FILE, block.as_bytes());
    }
}
