//! Grants given to foreign VNFMs.

use super::{Golden, fault, id};
use crate::model::{
    error::Kind,
    grant::{AskedIds, Decision, GivenGrant, Promised},
    id::ProjectId,
    size::MiB,
    time::Stamp,
};

pub(super) fn check(g: &Golden) {
    let promised = Promised { vcpus: 300, memory: MiB(400), disk: MiB(500) };
    for (name, decision) in
        [("open", Decision::Open), ("granted", Decision::Granted(promised)), ("refused", Decision::Refused(fault(Kind::Capacity)))]
    {
        let given = GivenGrant {
            id: id(60),
            project: ProjectId::DEFAULT,
            vnfm: "east".into(),
            vnf: "v".into(),
            op: "o".into(),
            flavour: Some("f".into()),
            links: ("https://e/o".into(), "https://e/v".into()),
            request: "{}".into(),
            asked: AskedIds { add: vec!["a".into()], temp: vec!["t".into()], remove: vec!["r".into()], update: vec!["u".into()] },
            decision,
            created: Stamp(6),
            until: Stamp(7),
        };
        g.check(format!("grant-{name}"), &given);
    }
}
