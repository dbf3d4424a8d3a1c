//! VNFs' own interfaces: what VNFDs say of them, endpoints that were told, and what operations ask.

use super::{Golden, descriptor::package, fault, id};
use crate::model::{
    error::Kind,
    id::{OpId, VnfId},
    own::*,
    subscription::Auth,
    time::Stamp,
};

fn ask(endpoint: Option<EndpointKind>) -> CoordAsk {
    CoordAsk { action: "drain".into(), endpoint, input: "{\"a\":1}".into() }
}

pub(super) fn coordinate() -> What {
    What::Coordinate(ask(Some(EndpointKind::Mgmt)))
}

const OPERATIONS: [Coordinated; 11] = [
    Coordinated::Instantiate,
    Coordinated::Scale,
    Coordinated::ScaleToLevel,
    Coordinated::ChangeFlavour,
    Coordinated::Terminate,
    Coordinated::Heal,
    Coordinated::Operate,
    Coordinated::ChangeExtConn,
    Coordinated::CreateSnapshot,
    Coordinated::RevertToSnapshot,
    Coordinated::ChangePackage,
];

pub(super) fn check(g: &Golden) {
    let mut p = package();
    let door = |api| Door {
        api,
        tls: true,
        host: Some("h".into()),
        port: 8443,
        path: "/x".into(),
        cps: vec!["cp0".into()],
        login: Some(("u".into(), "s".into())),
    };
    let coordinations = OPERATIONS.into_iter().enumerate().map(|(n, operation)| Coordination {
        operation,
        stage: if n % 2 == 0 { Stage::Start } else { Stage::End },
        ask: ask((n % 2 == 0).then_some(EndpointKind::Vnf)),
    });
    if let Some(v) = &mut p.vnfd {
        v.own = vec![OwnApis {
            flavour: "df".into(),
            doors: [OwnApi::Indicator, OwnApi::Configuration, OwnApi::Coordination].map(door).into(),
            coordinations: coordinations.collect(),
        }];
    }
    g.check("package-own", &p);
    let endpoint = Endpoint { id: id(70), api_root: Some("https://v/x".into()), auth: Some(Auth::Certificate) };
    let told = OwnEndpoints { vnf: VnfId(id(20)), own: Some(endpoint), mgmt: None, base: "https://box:9443".into(), revision: 3 };
    g.check("own-endpoints", &told);
    let round = |verdict| Round {
        id: "c".into(),
        began: Stamp(1),
        ended: Some((Stamp(2), verdict)),
        endpoint: EndpointKind::Mgmt,
        delay: Some(Stamp(3)),
        warnings: "w".into(),
    };
    for (name, state) in [
        ("due", Asked::Due),
        ("accepted", Asked::Accepted("/c".into())),
        ("cancelling", Asked::Cancelling { at: "/c".into(), told: true }),
        ("continue", Asked::Over(Ended::Continue)),
        ("stopped", Asked::Over(Ended::Stopped(fault(Kind::Conflict)))),
        ("skipped", Asked::Over(Ended::Skipped("off".into()))),
    ] {
        let errand = Errand {
            op: OpId(id(22)),
            step: 300,
            vnf: VnfId(id(20)),
            operation: Coordinated::Scale,
            what: What::Coordinate(ask(None)),
            attempt: 2,
            state,
            endpoint: EndpointKind::Vnf,
            tries: 3,
            why: "w".into(),
            delay: Some(Stamp(9)),
            rounds: vec![round(Verdict::Continue), round(Verdict::Abort), round(Verdict::Cancelled)],
            rejected: vec![(Stamp(4), Stamp(5))],
            revision: 6,
        };
        g.check(format!("errand-{name}"), &errand);
        if name == "due" {
            g.check("errand-configure", &Errand { what: What::Configure, ..errand });
        }
    }
}
