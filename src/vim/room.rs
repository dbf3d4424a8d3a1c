//! Whether something may be written beside the guests' disks, and if not, why. Pure.
//!
//! Disks are thin: most of what was promised to them is free to the file system still. Owns the sum of what
//! is free, what the reserve keeps, and what disks may yet grow to. Never: room for new disks (`capacity`,
//! by the same sum), or the file system.

use super::port::DiskRoom;
use crate::model::{
    error::{Fault, Result},
    size::{Bytes, MiB},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    pub free: Bytes,
    pub reserve: Bytes,
    /// What disks were promised and have not taken.
    pub promised: Bytes,
}

impl Room {
    /// `promised` are the whole sizes of all disks and copies. Where more is promised than there is, by
    /// `overcommit`, so much less of it is kept: as much as a new guest would find taken.
    pub fn new(now: DiskRoom, reserve: MiB, promised: MiB, overcommit: f64) -> Room {
        let kept = (promised.bytes().0 as f64 / overcommit).ceil() as u64;
        Room { free: now.free, reserve: reserve.bytes(), promised: Bytes(kept.saturating_sub(now.disks.0)) }
    }

    /// `wanted` more bytes leave the reserve whole, and each disk what it was promised.
    pub fn check(&self, what: &str, wanted: Bytes) -> Result<()> {
        if wanted.0.saturating_add(self.reserve.0).saturating_add(self.promised.0) <= self.free.0 {
            return Ok(());
        }
        Err(Fault::capacity(format!(
            "no room {what}: {wanted} needed, {} free, of which {} stay reserved (reserve.disk_mib) and {} are promised to guests' disks: delete \
             packages and snapshots that nobody needs, or terminate a VNF",
            self.free, self.reserve, self.promised
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(free: u64, disks: u64, reserve: u64, promised: u64, overcommit: f64) -> Room {
        let now = DiskRoom { total: MiB(1000).bytes(), free: MiB(free).bytes(), disks: MiB(disks).bytes() };
        Room::new(now, MiB(reserve), MiB(promised), overcommit)
    }

    #[test]
    fn what_thin_disks_were_promised_is_not_free_to_others() {
        for (what, room, fits) in [
            ("nothing is promised", room(100, 0, 0, 0, 1.0), 100),
            ("the reserve", room(100, 0, 30, 0, 1.0), 70),
            ("a disk that is empty yet", room(100, 0, 30, 50, 1.0), 20),
            ("a disk that has half of it", room(100, 25, 30, 50, 1.0), 45),
            ("a disk that has all of it, and its tables", room(100, 51, 30, 50, 1.0), 70),
            ("twice as much may be promised", room(100, 0, 30, 100, 2.0), 20),
            ("more is promised than there is", room(100, 0, 30, 500, 1.0), 0),
        ] {
            let most = MiB(fits).bytes();
            if fits > 0 {
                room.check("", most).expect(what);
            }
            assert!(room.check("", Bytes(most.0 + 1)).is_err(), "{what}");
        }
        let said = room(100, 0, 30, 50, 1.0).check("to unpack the package", MiB(21).bytes()).expect_err("too much").to_string();
        assert!(
            said.starts_with(
                "no room to unpack the package: 21 MiB needed, 100 MiB free, of which 30 MiB stay reserved (reserve.disk_mib) and 50 MiB \
                 are promised to guests' disks: delete"
            ),
            "{said}"
        );
    }
}
