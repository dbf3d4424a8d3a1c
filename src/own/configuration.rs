//! A VNF's configuration, at the VNF itself (SOL002 9.4.2): what an operation sets of it, and reading and changing it on demand.
//!
//! Secrets are named, `{"secret": NAME}`, and are looked up for the moment in which they are sent. Never: keeps what a VNF says.

use hyper::{Method, body::Bytes};
use serde_json::Value;
use smol_str::SmolStr;

use super::{
    connect,
    coordination::{Outcome, words},
};
use crate::model::order::Order as _;
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

/// Secrets shorter than this are hidden only where they are all of a value.
const SHORTEST: usize = 4;

/// A configuration as it is sent.
pub struct Filled {
    body: Vec<u8>,
    /// Secrets are in it.
    pub secret: bool,
}

impl Filled {
    /// Refuses to send secrets for everybody on the way to read.
    pub fn body_for(self, call: &Call) -> Result<Vec<u8>> {
        if self.secret && !call.is_sealed() {
            return Err(Fault::conflict(format!("secrets go over https only, and the VNF's configuration is at {}", call.root)));
        }
        Ok(self.body)
    }
}

/// A project's secrets, which what a VNF says is not to show.
pub struct Hidden(Vec<(SmolStr, String)>);

impl Hidden {
    pub fn of(vnfm: &Vnfm, project: ProjectId) -> Result<Hidden> {
        Ok(Hidden::new(vnfm.secret_texts(project)?))
    }
    fn new(mut all: Vec<(SmolStr, String)>) -> Hidden {
        all.retain(|(_, text)| !text.is_empty());
        // One may be a part of another.
        all.order_by_key(|(_, text)| std::cmp::Reverse(text.len()));
        Hidden(all)
    }
    pub(super) fn text(&self, text: &str) -> String {
        let long = self.0.iter().filter(|(_, secret)| secret.len() >= SHORTEST);
        long.fold(text.to_owned(), |text, (name, secret)| text.replace(secret.as_str(), &format!("(secret {name})")))
    }
    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => match self.0.iter().find(|(_, secret)| secret == text) {
                Some((name, _)) => *value = serde_json::json!({ "secret": name.as_str() }),
                None => *text = self.text(text),
            },
            Value::Object(all) => all.values_mut().for_each(|v| self.value(v)),
            Value::Array(all) => all.iter_mut().for_each(|v| self.value(v)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// What the record of a VNF has for it, as it is sent.
pub fn of_record(vnfm: &Vnfm, vnf: VnfId, project: ProjectId) -> Result<Filled> {
    let mut data = VnfConfigurationData::default();
    for (name, value) in vnfm.own_properties(vnf)? {
        let value = serde_json::to_value(value.plain()).map_err(|e| Fault::bug("a property cannot be written as JSON").with_source(e))?;
        data.vnf_specific_data.insert(name.to_string(), value);
    }
    body(vnfm, project, VnfConfigModifications { vnf_configuration_data: Some(data), ..VnfConfigModifications::default() })
}

/// The same of a client's request.
pub fn body(vnfm: &Vnfm, project: ProjectId, of: VnfConfigModifications) -> Result<Filled> {
    filled(of, &|name| vnfm.secret_text(project, name))
}

fn filled(mut of: VnfConfigModifications, open: &dyn Fn(&str) -> Result<String>) -> Result<Filled> {
    let whole = of.vnf_configuration_data.iter_mut().flat_map(|d| d.vnf_specific_data.values_mut());
    let parts = of.vnfc_configuration_data.iter_mut().flat_map(|d| d.vnfc_specific_data.values_mut());
    let mut secret = false;
    for value in whole.chain(parts) {
        secret |= reveal(value, open)?;
    }
    let body = serde_json::to_vec(&of).map_err(|e| Fault::bug("a configuration cannot be written as JSON").with_source(e))?;
    Ok(Filled { body, secret })
}

/// Puts secrets in the places where they are named; whether there were any.
fn reveal(value: &mut Value, open: &dyn Fn(&str) -> Result<String>) -> Result<bool> {
    let mut any = false;
    match value {
        Value::Object(all) => {
            if let Some(name) = all.get("secret").and_then(Value::as_str).filter(|_| all.len() == 1) {
                *value = Value::String(open(name)?);
                return Ok(true);
            }
            for v in all.values_mut() {
                any |= reveal(v, open)?;
            }
        }
        Value::Array(all) => {
            for v in all {
                any |= reveal(v, open)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(any)
}

pub(super) async fn patch(caller: &mut Caller, body: Vec<u8>) -> Result<Heard, String> {
    caller.ask(Method::PATCH, None, VERSION, Bytes::from(body)).await
}

pub(super) fn read(heard: Result<Heard, String>, hidden: &Hidden) -> Outcome {
    let words = |h: &Heard| hidden.text(&words(h));
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
pub async fn now(notify: &Notifier, call: &Call, change: Option<Filled>, hidden: &Hidden) -> Result<Value> {
    let change = change.map(|c| c.body_for(call)).transpose()?;
    let words = |h: &Heard| hidden.text(&words(h));
    let mut caller = connect(notify, call, PATH)?;
    let heard = match change {
        Some(body) => patch(&mut caller, body).await,
        None => caller.ask(Method::GET, None, VERSION, Bytes::new()).await,
    };
    let heard = heard.map_err(|why| Fault::transient(format!("the VNF does not answer: {why}")))?;
    match heard.status {
        204 => Ok(Value::Object(Default::default())),
        200 => {
            let mut said =
                serde_json::from_slice(&heard.body).map_err(|e| Fault::conflict(format!("the VNF's configuration cannot be read: {e}")))?;
            hidden.value(&mut said);
            Ok(said)
        }
        408 | 429 | 500..=599 => Err(Fault::transient(format!("the VNF cannot now: {}: {}", heard.status, words(&heard)))),
        status => Err(Fault::conflict(format!("the VNF refuses: {status}: {}", words(&heard)))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{model::own::EndpointKind, vnfm::reach::Login};

    #[test]
    fn secrets_are_sent_by_name_over_https_only_and_are_shown_to_nobody() {
        let call = |root: &str| Call { kind: EndpointKind::Vnf, root: root.into(), login: Login::None, told: true };
        let open = |name: &str| Ok(format!("{name}-hush"));
        let sent = |data: Value| {
            let whole: VnfConfigModifications =
                serde_json::from_value(json!({"vnfConfigurationData": {"vnfSpecificData": data}})).expect("a request");
            filled(whole, &open).expect("filled")
        };
        let named = json!({"a": {"b": [{"secret": "db"}]}, "c": "plain"});
        assert!(sent(named.clone()).body_for(&call("http://v")).is_err());
        assert!(sent(json!({"c": {"secret": "x", "d": 1}})).body_for(&call("http://v")).is_ok());
        let body = sent(named.clone()).body_for(&call("https://v")).expect("sent");
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        let data = &mut body["vnfConfigurationData"]["vnfSpecificData"];
        assert_eq!(*data, json!({"a": {"b": ["db-hush"]}, "c": "plain"}));

        let hidden = Hidden::new(vec![("short".into(), "b".into()), ("db".into(), "db-hush".into()), ("other".into(), "hush".into())]);
        hidden.value(data);
        assert_eq!(*data, named, "as it was named");
        assert_eq!(hidden.text("a db-hush or hush is bad"), "a (secret db) or (secret other) is bad");
    }
}
