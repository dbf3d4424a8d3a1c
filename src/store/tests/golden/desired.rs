//! What an owner has signed, what was made of it, and what of it lies at a hub.

use uuid::Uuid;

use super::Golden;
use crate::model::{
    desired::{DesiredRecord, HostMade, ItemKind, Made},
    handout::{Handout, Whom},
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
        message: None,
        host: None,
    };
    g.check("desired", &record);
    g.check("desired-message", &DesiredRecord { made: Vec::new(), message: Some([6; 32]), ..record.clone() });
    let host = Some(HostMade { told: true, tried: Some([4; 32]), restarted: true });
    g.check("desired-host", &DesiredRecord { made: vec![made(ItemKind::Host, "h", None)], host, ..record });
    for (name, whom) in [("handout-box", Whom::Box("BX-1".into())), ("handout-group", Whom::Group("west".into()))] {
        g.check(name, &Handout { whom, digest: [5; 32], put: Stamp(300), by: "ada".into(), content: b"0".to_vec() });
    }
}
