//! What an owner has signed, and what was made of it.

use uuid::Uuid;

use super::Golden;
use crate::model::{
    desired::{DesiredRecord, ItemKind, Made},
    id::OpId,
    time::Stamp,
};

pub(super) fn check(g: &Golden) {
    let made = |kind, name: &str, op| Made { kind, name: name.into(), id: Uuid::from_u128(7), digest: [9; 32], op };
    let record = DesiredRecord {
        version: 300,
        text: "{}".into(),
        signer: "owner".into(),
        fingerprint: [5; 32],
        taken: Stamp(300),
        from: "ada".into(),
        made: vec![
            made(ItemKind::Package, "p", None),
            made(ItemKind::Nsd, "n", None),
            made(ItemKind::Service, "s", Some(OpId(Uuid::from_u128(8)))),
        ],
    };
    g.check("desired", &record);
}
