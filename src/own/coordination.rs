//! A coordination's request (SOL002 10.5.2.2), and what an answer to it says. Pure.

use hyper::{Method, body::Bytes, http::uri::PathAndQuery};

use super::later;
use crate::{
    model::{
        error::{Fault, Result},
        own::{Asked, CoordAsk, Verdict},
        time::Stamp,
    },
    notify::client::{Caller, Heard},
    sol::{
        common::{LcmCoordResult, Link},
        lcmcoord::{LcmCoord, LcmCoordRequest, LcmCoordRequestLinks},
        problem::ProblemDetails,
    },
    vnfm::own::{Answered, Awaited},
};

pub const PATH: &str = "/lcmcoord/v1/coordinations";
/// The version of the API that is asked for.
const VERSION: &str = "1.1.0";

/// A longer path is not kept.
const LONGEST_PATH: usize = 2048;

/// How a try ended.
pub enum Outcome {
    Over(Answered),
    /// It has what it was to have.
    Taken,
    /// With the other side's words.
    Refused(Fault),
    /// It will be at this path, not before then.
    Later(String, Option<Stamp>),
    /// Not over yet.
    GoesOn(Option<Stamp>),
    /// It cannot now, and says until when.
    PutOff(String, Stamp),
    /// It was told that it is not wanted any more.
    CalledOff,
    /// Why; it cannot be reached, or does not answer as it should.
    Away(String),
}

/// One try.
pub async fn ask(caller: &mut Caller, a: &Awaited, ask: &CoordAsk) -> Result<Heard, String> {
    let (method, path, body) = match &a.errand.state {
        Asked::Due | Asked::Over(_) => (Method::POST, None, body(a, ask).map_err(|f| f.detail())?),
        Asked::Accepted(at) | Asked::Cancelling { at, told: true } => (Method::GET, Some(at.clone()), Vec::new()),
        Asked::Cancelling { at, told: false } => (Method::POST, Some(format!("{at}/cancel")), Vec::new()),
    };
    caller.ask(method, path.as_deref(), VERSION, Bytes::from(body)).await
}

fn body(a: &Awaited, ask: &CoordAsk) -> Result<Vec<u8>> {
    let e = &a.errand;
    let request = LcmCoordRequest {
        vnf_instance_id: e.vnf.to_string(),
        vnf_lcm_op_occ_id: e.op.to_string(),
        lcm_operation_type: e.operation.word().to_owned(),
        coordination_action_name: ask.action.to_string(),
        input_params: serde_json::from_str(&ask.input).unwrap_or_default(),
        links: LcmCoordRequestLinks {
            vnf_lcm_op_occ: Link::to(format!("{}/vnflcm/v2/vnf_lcm_op_occs/{}", a.base, e.op)),
            vnf_instance: Link::to(format!("{}/vnflcm/v2/vnf_instances/{}", a.base, e.vnf)),
        },
    };
    serde_json::to_vec(&request).map_err(|e| Fault::bug("a coordination request cannot be written as JSON").with_source(e))
}

/// The reason that an answer gives.
pub(super) fn words(heard: &Heard) -> String {
    let p: Option<ProblemDetails> = serde_json::from_slice(&heard.body).ok();
    p.map(|p| p.detail).filter(|d| !d.is_empty()).unwrap_or_else(|| format!("it answers {}", heard.status))
}

/// `asked`: when the request went out.
pub fn read(a: &Awaited, ask: &CoordAsk, heard: Result<Heard, String>, asked: Stamp) -> Outcome {
    let heard = match heard {
        Ok(heard) => heard,
        Err(why) => return Outcome::Away(why),
    };
    let status = heard.status;
    let said = || words(&heard);
    let refused = || Outcome::Refused(Fault::conflict(format!("{status}: {}", said())));
    let away = || Outcome::Away(format!("{status}: {}", said()));
    let until = later(asked, heard.retry_after);
    match &a.errand.state {
        Asked::Due | Asked::Over(_) => match (status, until) {
            (200 | 201, _) => result(a, ask, &heard.body, asked),
            (202, _) => match heard.location.as_ref().filter(|path| path.len() <= LONGEST_PATH && path.parse::<PathAndQuery>().is_ok()) {
                Some(path) => Outcome::Later(path.clone(), until),
                None => stopped("it answers 202 without a Location of its own".into()),
            },
            (503, Some(until)) => Outcome::PutOff(said(), until),
            (408 | 429 | 500..=599, _) => away(),
            _ => refused(),
        },
        Asked::Accepted(_) | Asked::Cancelling { told: true, .. } => match status {
            200 => result(a, ask, &heard.body, asked),
            202 => Outcome::GoesOn(until),
            408 | 429 | 500..=599 => away(),
            // Whatever it is that is there, it is not the result: nobody knows how far it came.
            _ => refused(),
        },
        // 409: it is over by itself; how is read.
        Asked::Cancelling { told: false, .. } => match status {
            200 | 202 | 204 | 409 => Outcome::CalledOff,
            408 | 429 | 500..=599 => away(),
            _ => refused(),
        },
    }
}

/// It has begun, and nobody knows how far it came: asked again, it might be done twice.
fn stopped(why: String) -> Outcome {
    Outcome::Refused(Fault::conflict(why))
}

fn result(a: &Awaited, ask: &CoordAsk, body: &[u8], asked: Stamp) -> Outcome {
    let c: LcmCoord = match serde_json::from_slice(body) {
        Ok(c) => c,
        Err(e) => return stopped(format!("its result cannot be read: {e}")),
    };
    if c.vnf_lcm_op_occ_id != a.errand.op.to_string() || c.coordination_action_name != ask.action {
        return stopped(format!("its result is of '{}' in operation {}", c.coordination_action_name, c.vnf_lcm_op_occ_id));
    }
    Outcome::Over(Answered {
        id: c.id.into(),
        asked,
        verdict: match c.coordination_result {
            LcmCoordResult::Continue => Verdict::Continue,
            LcmCoordResult::Abort => Verdict::Abort,
            LcmCoordResult::Cancelled => Verdict::Cancelled,
        },
        why: c.error.map(|e| e.detail).unwrap_or_default(),
        warnings: c.warnings.unwrap_or_default(),
    })
}
