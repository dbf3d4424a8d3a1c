//! What an operation coordinated with the VNF, or its element manager, as an op-occ has it (SOL003 5.5.2.13).

use super::time;
use crate::{
    model::own::{EndpointKind, Errand, Verdict, What},
    sol::{
        common::{CoordEndpointType, LcmCoordResult},
        vnflcm::{LcmCoordination, RejectedLcmCoordination},
    },
};

fn endpoint(k: EndpointKind) -> CoordEndpointType {
    match k {
        EndpointKind::Vnf => CoordEndpointType::Vnf,
        EndpointKind::Mgmt => CoordEndpointType::Mgmt,
    }
}

/// Each with its action.
fn coordinations(errands: &[Errand]) -> impl Iterator<Item = (&Errand, &str)> {
    errands.iter().filter_map(|e| match &e.what {
        What::Coordinate(ask) => Some((e, ask.action.as_str())),
        What::Configure => None,
    })
}

/// Those that the other side took.
pub fn taken(errands: &[Errand]) -> Vec<LcmCoordination> {
    let result = |v: Verdict| match v {
        Verdict::Continue => LcmCoordResult::Continue,
        Verdict::Abort => LcmCoordResult::Abort,
        Verdict::Cancelled => LcmCoordResult::Cancelled,
    };
    let all = coordinations(errands).flat_map(|(e, action)| e.rounds.iter().map(move |r| (action, r)));
    all.map(|(action, r)| LcmCoordination {
        id: r.id.to_string(),
        coordination_action_name: action.to_string(),
        coordination_result: r.ended.map(|(_, v)| result(v)),
        start_time: time(r.began),
        end_time: r.ended.map(|(at, _)| time(at)),
        endpoint_type: endpoint(r.endpoint),
        delay: r.delay.map(time),
    })
    .collect()
}

/// How often it was put off.
pub fn rejected(errands: &[Errand]) -> Vec<RejectedLcmCoordination> {
    let all = coordinations(errands).flat_map(|(e, action)| e.rejected.iter().map(move |r| (e, action, r)));
    all.map(|(e, action, (at, until))| RejectedLcmCoordination {
        coordination_action_name: action.to_string(),
        rejection_time: time(*at),
        endpoint_type: endpoint(e.endpoint),
        delay: time(*until),
    })
    .collect()
}
