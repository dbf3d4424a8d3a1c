//! Plans as the release before platform awareness wrote them: records of today put into a store in that form.
//!
//! Owns the old shapes as they are written; `store::old` reads them. The golden bytes hold both to the truth.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::*;
use crate::model::{
    id::{OpId, VnfId},
    step::{PlanStep, Step, VnfStep},
    vnf::Reservation,
};

/// A record in its first version: what it reads as, and written without what came later.
#[derive(Debug, PartialEq)]
pub struct First<R>(pub R);

/// It is read as what it is today.
impl<'de, R> Deserialize<'de> for First<R> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(D::Error::custom("an older release's record is written only"))
    }
}

impl Serialize for First<PlanStep> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let PlanStep { op, index, after, step } = &self.0;
        let Step::Vnf(VnfStep::Define(d)) = step else { return self.0.serialize(to) };
        let nics: Vec<_> = d.nics.iter().map(|n| (n.port, &n.ifname, n.mac, n.vlan, n.model, n.mtu)).collect();
        // The variants' numbers: VNF, and define.
        let define = (0u32, 4u32, d.id, &d.owner, d.vcpus, d.memory, d.firmware, &d.disks, &d.medium, nics);
        (op, index, after, define).serialize(to)
    }
}
impl Record for First<PlanStep> {
    type Key = (OpId, u32);
    const TABLE: Table = Table::PlanStep;
    const VERSION: u8 = 1;
    fn key(&self) -> (OpId, u32) {
        self.0.key()
    }
}

impl Serialize for First<Reservation> {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let r = &self.0;
        (r.vnf, r.project, r.vcpus, r.memory, r.disk).serialize(to)
    }
}
impl Record for First<Reservation> {
    type Key = VnfId;
    const TABLE: Table = Table::Reservation;
    const VERSION: u8 = 1;
    fn key(&self) -> VnfId {
        self.0.vnf
    }
}

/// Writes all plans and reservations anew, as that release did; gives how many steps there were.
pub fn rewrite(store: &Store) -> usize {
    let (steps, held) = (store.list::<PlanStep>().expect("steps"), store.list::<Reservation>().expect("reservations"));
    let count = steps.len();
    store
        .write(Durability::Barrier, |tx| {
            steps.iter().try_for_each(|s| tx.put(&First(s.clone())))?;
            held.iter().try_for_each(|r| tx.put(&First(r.clone())))
        })
        .expect("written");
    assert_eq!(store.list::<PlanStep>().expect("steps"), steps, "and they read as what they were");
    assert_eq!(store.list::<Reservation>().expect("reservations"), held);
    count
}

#[test]
fn what_is_written_so_is_what_that_release_wrote() {
    fn same<R: Record>(name: &str, first: impl Fn(R) -> Result<Vec<u8>>) {
        let line = include_str!("golden.txt").lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')).expect("a golden line");
        let bytes = data_encoding::HEXLOWER.decode(line.as_bytes()).expect("hex");
        assert_eq!(bytes[0], 1, "{name}");
        assert_eq!(first(R::decode(&bytes).expect("it reads")).expect("it is written"), bytes, "{name}");
    }
    for step in ["step-define", "step-start", "step-disk"] {
        same::<PlanStep>(step, |s| First(s).encode());
    }
    same::<Reservation>("reservation", |r| First(r).encode());
}
