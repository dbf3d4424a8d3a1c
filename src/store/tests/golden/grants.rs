//! Grants given to foreign VNFMs, and asked of central NFVOs.

use super::{Golden, fault, id};
use crate::model::{
    abroad::{AbroadErrand, ErrandState, ForeignEar, ForeignVnf, ForeignVnfm, OccAct},
    central::{Asking, Brought, CentralNfvo, GrantAsk, Resources, SnapshotOwner},
    error::Kind,
    grant::{AskedIds, Decision, GivenGrant, Promised, Resource, ResourceKind, Wanting},
    id::{NfpId, OpId, PortId, ProjectId, SegmentId, SnapshotId, VnfId, VnfPkgId, VnfcId},
    parts::{LinkPart, MemberPart, OpParts},
    size::MiB,
    subscription::Auth,
    time::Stamp,
};

pub(super) fn check(g: &Golden) {
    let brought = Brought {
        package: VnfPkgId(id(1)),
        nfvo: "orch".into(),
        vnfd_id: "d".into(),
        theirs: "p".into(),
        algorithm: "SHA-256".into(),
        hash: "ab".into(),
    };
    g.check("brought", &brought);
    let promised = Promised { vcpus: 300, memory: MiB(400), disk: MiB(500) };
    for (name, decision) in [
        ("open", Decision::Open),
        ("granted", Decision::Granted(promised)),
        ("refused", Decision::Refused(fault(Kind::Capacity))),
        ("weighed", Decision::Weighed { takes: promised, more: promised, less: Promised::default() }),
    ] {
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
    let wanting = Wanting {
        grant: id(60),
        project: ProjectId::DEFAULT,
        vnfm: "east".into(),
        vnf: "v".into(),
        need: promised,
        refused: Stamp(6),
        free: Some(Stamp(7)),
    };
    g.check("wanting", &wanting);
    let nfvo = CentralNfvo {
        account: "orch".into(),
        id: id(61),
        api_root: "https://orch/x".into(),
        auth: Some(Auth::Basic { user: "u".into(), sealed: vec![1, 2] }),
        created: Stamp(8),
        revision: 3,
    };
    g.check("nfvo", &nfvo);
    g.check("nfvo-open", &CentralNfvo { auth: None, ..nfvo });
    let vnfm = ForeignVnfm {
        account: "east".into(),
        id: id(62),
        project: ProjectId::DEFAULT,
        api_root: "https://east/x".into(),
        auth: Some(Auth::Certificate),
        vnfm_info: vec!["i".into()],
        vnfds: vec!["d".into()],
        vim: Some("v".into()),
        networks: vec![("wan".into(), "net-1".into())],
        created: Stamp(8),
        revision: 3,
    };
    g.check("vnfm", &vnfm);
    let abroad = ForeignVnf { vnf: VnfId(id(20)), vnfm: "east".into(), name: "s-v".into(), remote: Some("7".into()) };
    g.check("vnf-abroad", &abroad);
    let ear = ForeignEar { vnfm: "east".into(), root: "https://box".into(), subscribed: vec![("vnflcm".into(), "7".into())] };
    g.check("vnfm-ear", &ear);
    let occ = || "o".into();
    let undoing = |act| ErrandState::Undoing { occ: occ(), act };
    for (name, state) in [
        ("asking", ErrandState::Asking { before: vec!["a".into()] }),
        ("asked", ErrandState::Asked { occ: occ() }),
        ("retry", undoing(OccAct::Retry)),
        ("rollback", undoing(OccAct::Rollback)),
        ("fail", undoing(OccAct::Fail)),
        ("cancel", undoing(OccAct::Cancel(true))),
        ("taken", ErrandState::Taken { occ: occ(), act: OccAct::Retry, at: Stamp(9) }),
        ("ending", ErrandState::Ending { occ: occ() }),
        ("closing", ErrandState::Closing { before: vec!["a".into()] }),
    ] {
        g.check(format!("errand-{name}"), &AbroadErrand { op: OpId(id(22)), index: 300, attempt: 2, state });
    }
    let member = MemberPart { vnf: VnfId(id(20)), vnfd_id: "d".into(), profile: "p".into(), name: "n".into() };
    let ports = vec![(VnfcId(id(5)), PortId(id(6)))];
    let parts = OpParts {
        op: OpId(id(22)),
        members: vec![member],
        links: vec![LinkPart { segment: SegmentId(id(7)), name: "lan".into(), ports }],
        saps: vec![("sap".into(), SegmentId(id(7)))],
        graphs: vec![(NfpId(id(8)), "g".into())],
    };
    g.check("op-parts", &parts);
    g.check("snapshot-owner", &SnapshotOwner { snapshot: SnapshotId(id(41)), account: "orch".into() });
    let resource = |kind| Resource { id: "r".into(), kind, vdu: Some("v".into()), template: "t".into() };
    for (name, state) in [
        ("due", Asking::Due),
        ("accepted", Asking::Accepted("/grant/v1/grants/1".into())),
        ("given", Asking::Given("g".into())),
        ("here", Asking::GivenHere),
    ] {
        let ask = GrantAsk {
            op: OpId(id(22)),
            vnf: VnfId(id(20)),
            owner: "orch".into(),
            base: "https://box:9443".into(),
            vnfd_id: "d".into(),
            dst_vnfd_id: Some("e".into()),
            flavour: Some("f".into()),
            resources: Resources {
                add: vec![resource(ResourceKind::Compute), resource(ResourceKind::Storage)],
                remove: vec![resource(ResourceKind::Link)],
                update: vec![resource(ResourceKind::LinkPort)],
            },
            within: true,
            state,
            attempts: 300,
            why: "w".into(),
        };
        g.check(format!("ask-{name}"), &ask);
    }
}
