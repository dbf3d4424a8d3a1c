//! A VNF's configuration, at the VNF itself (SOL002 9.4.2): what an operation sets of it, and reading and changing it on demand.
//!
//! Secrets are named, `{"secret": NAME}`, and are looked up for the moment in which they are sent. Never: keeps what a VNF says.

use hyper::{Method, body::Bytes};
use serde_json::Value;

use super::{
    connect,
    coordination::{Outcome, words},
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{ProjectId, VnfId},
    },
    notify::{
        Notifier,
        client::{Caller, Heard},
    },
    sol::vnfconfig::{VnfConfigModifications, VnfConfigurationData},
    vnfm::{
        Vnfm,
        reach::{Call, Whom},
    },
};

pub const PATH: &str = "/vnfconfig/v1/configuration";
/// The version of the API that is asked for.
const VERSION: &str = "1.3.0";

/// What the record of a VNF has for it, as it is sent.
pub fn of_record(vnfm: &Vnfm, vnf: VnfId, project: ProjectId) -> Result<Vec<u8>> {
    let mut data = VnfConfigurationData::default();
    for (name, value) in vnfm.own_properties(vnf)? {
        let value = serde_json::to_value(value.plain()).map_err(|e| Fault::bug("a property cannot be written as JSON").with_source(e))?;
        data.vnf_specific_data.insert(name.to_string(), value);
    }
    body(vnfm, project, VnfConfigModifications { vnf_configuration_data: Some(data), ..VnfConfigModifications::default() })
}

/// The same of a client's request.
pub fn body(vnfm: &Vnfm, project: ProjectId, mut of: VnfConfigModifications) -> Result<Vec<u8>> {
    let whole = of.vnf_configuration_data.iter_mut().flat_map(|d| d.vnf_specific_data.values_mut());
    let parts = of.vnfc_configuration_data.iter_mut().flat_map(|d| d.vnfc_specific_data.values_mut());
    for value in whole.chain(parts) {
        reveal(value, &|name| vnfm.secret_text(project, name))?;
    }
    serde_json::to_vec(&of).map_err(|e| Fault::bug("a configuration cannot be written as JSON").with_source(e))
}

/// Puts secrets in the places where they are named.
fn reveal(value: &mut Value, open: &dyn Fn(&str) -> Result<String>) -> Result<()> {
    match value {
        Value::Object(all) => {
            if let Some(name) = all.get("secret").and_then(Value::as_str).filter(|_| all.len() == 1) {
                *value = Value::String(open(name)?);
                return Ok(());
            }
            all.values_mut().try_for_each(|v| reveal(v, open))
        }
        Value::Array(all) => all.iter_mut().try_for_each(|v| reveal(v, open)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

pub(super) async fn patch(caller: &mut Caller, body: Vec<u8>) -> Result<Heard, String> {
    caller.ask(Method::PATCH, None, VERSION, Bytes::from(body)).await
}

pub(super) fn read(heard: Result<Heard, String>) -> Outcome {
    match heard {
        Err(why) => Outcome::Away(why),
        Ok(h) => match h.status {
            200 | 204 => Outcome::Taken,
            408 | 429 | 500..=599 => Outcome::Away(format!("{}: {}", h.status, words(&h))),
            status => Outcome::Refused(Fault::conflict(format!("{status}: {}", words(&h)))),
        },
    }
}

/// Where a VNF's configuration is, or why it cannot be asked for.
pub fn reachable(whom: Whom) -> Result<Call> {
    match whom {
        Whom::Call(call) => Ok(call),
        Whom::Off(why) | Whom::Nowhere(why) => Err(Fault::conflict(why)),
    }
}

/// The VNF's answer to a GET, or to a PATCH with this body.
pub async fn now(notify: &Notifier, call: &Call, change: Option<Vec<u8>>) -> Result<Value> {
    let mut caller = connect(notify, call, PATH)?;
    let heard = match change {
        Some(body) => patch(&mut caller, body).await,
        None => caller.ask(Method::GET, None, VERSION, Bytes::new()).await,
    };
    let heard = heard.map_err(|why| Fault::transient(format!("the VNF does not answer: {why}")))?;
    match heard.status {
        204 => Ok(Value::Object(Default::default())),
        200 => serde_json::from_slice(&heard.body).map_err(|e| Fault::conflict(format!("the VNF's configuration cannot be read: {e}"))),
        408 | 429 | 500..=599 => Err(Fault::transient(format!("the VNF cannot now: {}: {}", heard.status, words(&heard)))),
        status => Err(Fault::conflict(format!("the VNF refuses: {status}: {}", words(&heard)))),
    }
}
