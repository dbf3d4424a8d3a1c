//! What passes between a box and a bootstrap server: RESTCONF (RFC 8040) in JSON, the module of RFC 8572 7.3, and what RFC 9646
//! adds for an operational certificate. Both sides of it, for this house has both.
//!
//! Reads what came strictly and writes what goes. Never: believes what was conveyed (`judge`), or a socket.

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    artefact::Artefacts,
    report::{Progress, Report},
};
use crate::model::error::{Fault, Result};

pub const GET_DATA: &str = "/restconf/operations/ietf-sztp-bootstrap-server:get-bootstrapping-data";
pub const REPORT: &str = "/restconf/operations/ietf-sztp-bootstrap-server:report-progress";
pub const JSON: &str = "application/yang-data+json";

const INPUT: &str = "ietf-sztp-bootstrap-server:input";
const OUTPUT: &str = "ietf-sztp-bootstrap-server:output";
const CSR_SUPPORT: &str = "ietf-sztp-csr:csr-support";
const P10: &str = "ietf-sztp-csr:p10-csr";
const CSR_REQUEST: &str = "ietf-sztp-csr:csr-request";
const P10_FORMAT: &str = "ietf-ztp-types:p10-csr";
/// `AlgorithmIdentifier` of a key on P-256 (RFC 5480 2.1.1): the one kind that is made here.
const P256: &[u8] =
    &[0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// How far an asker is with a request for a certificate of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Csr {
    #[default]
    None,
    /// It can make one: PKCS#10, a new key on P-256.
    Able,
    /// This one, DER.
    Made(Vec<u8>),
}

/// The input of `get-bootstrapping-data`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ask {
    /// The asker does not trust the server: what is not signed must not be onboarding information.
    pub signed_preferred: bool,
    pub os_name: Option<String>,
    pub os_version: Option<String>,
    pub nonce: Option<Vec<u8>>,
    pub csr: Csr,
}

/// What a server answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Data {
        data: Artefacts,
        /// All reports are wanted, not only those that must be.
        verbose: bool,
    },
    /// First a request for a certificate, by a new key on P-256 (RFC 9646).
    WantsCsr,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct WireOutput {
    #[serde(default)]
    reporting_level: Level,
    conveyed_information: String,
    owner_certificate: Option<String>,
    ownership_voucher: Option<String>,
}

#[derive(Deserialize, Default, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Level {
    #[default]
    Minimal,
    Verbose,
}

/// Unknown members are the concern of who sent them: a device may be newer than its server.
#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct WireInput {
    signed_data_preferred: Option<Value>,
    os_name: Option<String>,
    os_version: Option<String>,
    nonce: Option<String>,
    #[serde(rename = "ietf-sztp-csr:csr-support")]
    csr_support: Option<Value>,
    #[serde(rename = "ietf-sztp-csr:p10-csr")]
    p10: Option<String>,
}

fn base64(what: &str, text: &str) -> Result<Vec<u8>> {
    BASE64.decode(text.as_bytes()).map_err(|_| Fault::invalid(format!("{what}: this is not base64")))
}

/// The one member of an object.
fn only(what: &str, body: &[u8], name: &str) -> Result<Value> {
    let all: Map<String, Value> = serde_json::from_slice(body).map_err(|e| Fault::invalid(format!("{what} is no JSON object: {e}")))?;
    let mut members = all.into_iter();
    match (members.next(), members.next()) {
        (Some((n, v @ Value::Object(_))), None) if n == name => Ok(v),
        _ => Err(Fault::invalid(format!("{what}: one member, the object '{name}', is what RFC 8572 7.3 has there"))),
    }
}

impl Ask {
    pub fn write(&self) -> Vec<u8> {
        let mut i = Map::new();
        if self.signed_preferred {
            // An empty leaf (RFC 7951 6.9).
            i.insert("signed-data-preferred".into(), json!([null]));
        }
        let texts = [("os-name", &self.os_name), ("os-version", &self.os_version)];
        i.extend(texts.into_iter().filter_map(|(n, v)| Some((n.to_owned(), json!(v.as_ref()?)))));
        if let Some(n) = &self.nonce {
            i.insert("nonce".into(), json!(BASE64.encode(n)));
        }
        match &self.csr {
            Csr::None => {}
            Csr::Able => {
                let able = json!({
                    "key-generation": {"supported-algorithms": {"algorithm-identifier": [BASE64.encode(P256)]}},
                    "csr-generation": {"supported-formats": {"format-identifier": [P10_FORMAT]}},
                });
                i.insert(CSR_SUPPORT.into(), able);
            }
            Csr::Made(der) => {
                i.insert(P10.into(), json!(BASE64.encode(der)));
            }
        }
        json!({INPUT: i}).to_string().into_bytes()
    }

    /// As the server reads it. The input may be left out (RFC 8040 4.4.2).
    pub fn read(body: &[u8]) -> Result<Ask> {
        if body.is_empty() {
            return Ok(Ask::default());
        }
        let wire: WireInput =
            serde_json::from_value(only("the request", body, INPUT)?).map_err(|e| Fault::invalid(format!("{INPUT}: {e}")))?;
        let nonce = wire.nonce.map(|n| base64("nonce", &n)).transpose()?;
        if nonce.as_ref().is_some_and(|n| !(16..=32).contains(&n.len())) {
            return Err(Fault::invalid("nonce: 16 to 32 bytes"));
        }
        let able = |v: &Value| {
            let has = |at: &str, word: &str| v.pointer(at).and_then(Value::as_array).is_some_and(|all| all.iter().any(|w| w == word));
            has("/key-generation/supported-algorithms/algorithm-identifier", &BASE64.encode(P256))
                && has("/csr-generation/supported-formats/format-identifier", P10_FORMAT)
        };
        let csr = match (wire.csr_support, wire.p10) {
            (Some(_), Some(_)) => {
                return Err(Fault::invalid("csr-support and a request for a certificate cannot stand together (RFC 9646)"));
            }
            (None, Some(der)) => Csr::Made(base64("p10-csr", &der)?),
            (Some(v), None) if able(&v) => Csr::Able,
            (Some(_) | None, None) => Csr::None,
        };
        Ok(Ask { signed_preferred: wire.signed_data_preferred.is_some(), os_name: wire.os_name, os_version: wire.os_version, nonce, csr })
    }
}

impl Answer {
    /// Status and body, as the server writes them.
    pub fn write(&self) -> (u16, Vec<u8>) {
        match self {
            Answer::Data { data, verbose } => {
                let mut o = Map::new();
                o.insert("reporting-level".into(), json!(if *verbose { "verbose" } else { "minimal" }));
                o.insert("conveyed-information".into(), json!(BASE64.encode(&data.conveyed)));
                let more = [("owner-certificate", &data.owner_certificate), ("ownership-voucher", &data.voucher)];
                o.extend(more.into_iter().filter_map(|(n, v)| Some((n.to_owned(), json!(BASE64.encode(v.as_ref()?))))));
                (200, json!({OUTPUT: o}).to_string().into_bytes())
            }
            Answer::WantsCsr => {
                let wanted = json!({CSR_REQUEST: {
                    "key-generation": {"selected-algorithm": {"algorithm-identifier": BASE64.encode(P256)}},
                    "csr-generation": {"selected-format": {"format-identifier": P10_FORMAT}},
                }});
                (400, errors("missing-attribute", "a request for a certificate has to come along", Some(wanted)))
            }
        }
    }

    /// As the box reads it.
    pub fn read(status: u16, body: &[u8]) -> Result<Answer> {
        if status != 200 {
            return refused(status, body);
        }
        let o: WireOutput = serde_json::from_value(only("the answer", body, OUTPUT)?)
            .map_err(|e| Fault::invalid(format!("{OUTPUT}: {e} (RFC 8572 7.3)")))?;
        if o.owner_certificate.is_some() != o.ownership_voucher.is_some() {
            return Err(Fault::invalid("owner-certificate and ownership-voucher come together or not at all (RFC 8572 7.3)"));
        }
        let data = Artefacts {
            conveyed: base64("conveyed-information", &o.conveyed_information)?,
            owner_certificate: o.owner_certificate.map(|t| base64("owner-certificate", &t)).transpose()?,
            voucher: o.ownership_voucher.map(|t| base64("ownership-voucher", &t)).transpose()?,
        };
        Ok(Answer::Data { data, verbose: o.reporting_level == Level::Verbose })
    }
}

/// A refusal; one of them asks for more (RFC 9646 2).
fn refused(status: u16, body: &[u8]) -> Result<Answer> {
    let v: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = v.pointer("/ietf-restconf:errors/error/0").cloned().unwrap_or_default();
    let Some(wanted) = error.pointer("/error-info").and_then(|i| i.get(CSR_REQUEST)).filter(|_| status == 400) else {
        let said = error["error-message"].as_str().or_else(|| error["error-tag"].as_str()).unwrap_or("no reason is given");
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(Fault::conflict(format!("the bootstrap server answered {status}: {said}")));
    };
    let mut why = Vec::new();
    if error["error-tag"] != "missing-attribute" {
        why.push("csr-request: the error-tag of the answer is not missing-attribute".to_owned());
    }
    match wanted.pointer("/csr-generation/selected-format/format-identifier").and_then(Value::as_str) {
        Some(P10_FORMAT) => {}
        other => why.push(format!("csr-request: the format {} was not offered; {P10_FORMAT} was", other.unwrap_or("(none)"))),
    }
    match wanted.pointer("/key-generation/selected-algorithm/algorithm-identifier").and_then(Value::as_str) {
        Some(a) if a == BASE64.encode(P256) => {}
        Some(_) => why.push("csr-request: the key's algorithm was not offered; P-256 was".into()),
        None => why.push("csr-request: it wants the key of the IDevID, and bothy makes a new one".into()),
    }
    if wanted.get("cert-req-info").is_some() {
        why.push("csr-request: it brings a CertificationRequestInfo to be signed, which bothy does not do".into());
    }
    if why.is_empty() {
        Ok(Answer::WantsCsr)
    } else {
        Err(Fault::conflict("the bootstrap server asks for what this box cannot make").with_reasons(why))
    }
}

/// `ietf-restconf:errors` (RFC 8040 7.1).
pub fn errors(tag: &str, message: &str, info: Option<Value>) -> Vec<u8> {
    let mut e = json!({"error-type": "application", "error-tag": tag, "error-message": message});
    if let Some(info) = info {
        e["error-info"] = info;
    }
    json!({"ietf-restconf:errors": {"error": [e]}}).to_string().into_bytes()
}

impl Report {
    /// The input of `report-progress`.
    pub fn write(&self) -> Vec<u8> {
        let mut i = json!({"progress-type": self.progress});
        if !self.message.is_empty() {
            i["message"] = json!(self.message);
        }
        json!({INPUT: i}).to_string().into_bytes()
    }

    /// As the server reads it; host keys and anchors that come with the last one are left to others.
    pub fn read(body: &[u8]) -> Result<Report> {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Wire {
            progress_type: Progress,
            #[serde(default)]
            message: String,
        }
        let w: Wire = serde_json::from_value(only("the report", body, INPUT)?).map_err(|e| Fault::invalid(format!("{INPUT}: {e}")))?;
        Ok(Report { progress: w.progress_type, message: w.message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(f: &Fault) -> String {
        format!("{} {}", f.text(), f.reasons().join("; "))
    }

    #[test]
    fn what_one_side_writes_the_other_reads() {
        for ask in [
            Ask::default(),
            Ask { signed_preferred: true, nonce: Some(vec![7; 32]), ..Ask::default() },
            Ask { os_name: Some("bothy".into()), os_version: Some("1".into()), csr: Csr::Able, ..Ask::default() },
            Ask { csr: Csr::Made(vec![1, 2]), ..Ask::default() },
        ] {
            assert_eq!(Ask::read(&ask.write()).expect("read"), ask);
        }
        assert_eq!(Ask::read(b"").expect("no input"), Ask::default());
        let plain = Artefacts { conveyed: vec![1], ..Artefacts::default() };
        let signed = Artefacts { conveyed: vec![1], owner_certificate: Some(vec![2]), voucher: Some(vec![3]) };
        for answer in [Answer::Data { data: plain, verbose: false }, Answer::Data { data: signed, verbose: true }, Answer::WantsCsr] {
            let (status, body) = answer.write();
            assert_eq!(Answer::read(status, &body).expect("read"), answer);
        }
        let report = Report { progress: Progress::PreScriptWarning, message: "hm".into() };
        assert_eq!(Report::read(&report.write()).expect("read"), report);
        assert_eq!(report.write(), br#"{"ietf-sztp-bootstrap-server:input":{"progress-type":"pre-script-warning","message":"hm"}}"#);
    }

    #[test]
    fn an_answer_that_is_not_of_rfc_8572_is_refused_with_the_reason() {
        let output = |o: Value| json!({OUTPUT: o});
        for (status, body, why) in [
            (200, json!({}), "one member, the object 'ietf-sztp-bootstrap-server:output'"),
            (200, json!({"output": {}}), "one member"),
            (200, json!([]), "no JSON object"),
            (200, output(json!({})), "conveyed-information"),
            (200, output(json!({"conveyed-information": "%"})), "conveyed-information: this is not base64"),
            (200, output(json!({"conveyed-information": "AAAA", "owner-certificate": "AAAA"})), "come together"),
            (200, output(json!({"conveyed-information": "AAAA", "ownership-voucher": "AAAA"})), "come together"),
            (200, output(json!({"conveyed-information": "AAAA", "reporting-level": "loud"})), "loud"),
            (200, output(json!({"conveyed-information": "AAAA", "surprise": 1})), "surprise"),
            (204, json!({}), "answered 204"),
            (404, json!({}), "answered 404: no reason"),
            (401, json!({"ietf-restconf:errors": {"error": [{"error-message": "who\u{1b} are you"}]}}), "answered 401: who are you"),
        ] {
            let f = Answer::read(status, body.to_string().as_bytes()).expect_err(why);
            assert!(told(&f).contains(why), "{} does not say {why}", told(&f));
        }
        assert!(told(&Answer::read(200, b"<output/>").expect_err("XML")).contains("no JSON object"));
    }

    #[test]
    fn a_wish_for_a_request_that_was_not_offered_is_refused_with_all_reasons() {
        let (status, good) = Answer::WantsCsr.write();
        let wanted = "/ietf-restconf:errors/error/0/error-info/ietf-sztp-csr:csr-request";
        type Change = fn(&mut Value);
        let cases: [(Change, &str); 4] = [
            (|v| v["csr-generation"]["selected-format"]["format-identifier"] = "ietf-ztp-types:cmc-csr".into(), "cmc-csr was not offered"),
            (|v| v["key-generation"]["selected-algorithm"]["algorithm-identifier"] = "AAAA".into(), "algorithm was not offered"),
            (|v| v["key-generation"] = Value::Null, "wants the key of the IDevID"),
            (|v| v["cert-req-info"] = "AAAA".into(), "CertificationRequestInfo"),
        ];
        for (change, why) in cases {
            let mut v: Value = serde_json::from_slice(&good).expect("JSON");
            change(v.pointer_mut(wanted).expect("request"));
            let f = Answer::read(status, v.to_string().as_bytes()).expect_err(why);
            assert!(told(&f).contains(why), "{} does not say {why}", told(&f));
        }
        // What is no refusal of this kind asks for nothing.
        assert!(told(&Answer::read(500, &good).expect_err("status")).contains("answered 500"));
    }

    #[test]
    fn a_request_that_is_not_of_rfc_8572_is_refused_with_the_reason() {
        let input = |i: Value| json!({INPUT: i});
        for (body, why) in [
            (json!({}), "one member"),
            (input(json!([])), "one member"),
            (input(json!({"nonce": "AAAA"})), "16 to 32 bytes"),
            (input(json!({"nonce": "%"})), "not base64"),
            (input(json!({P10: "%"})), "p10-csr: this is not base64"),
            (input(json!({P10: "AAAA", CSR_SUPPORT: {}})), "cannot stand together"),
        ] {
            let f = Ask::read(body.to_string().as_bytes()).expect_err(why);
            assert!(told(&f).contains(why), "{} does not say {why}", told(&f));
        }
        // Formats and keys that are none of ours: it is not asked for one.
        let other =
            input(json!({CSR_SUPPORT: {"csr-generation": {"supported-formats": {"format-identifier": ["ietf-ztp-types:cmp-csr"]}}}}));
        assert_eq!(Ask::read(other.to_string().as_bytes()).expect("read").csr, Csr::None);
        for (body, why) in [(input(json!({})), "progress-type"), (input(json!({"progress-type": "half-way"})), "half-way")] {
            assert!(told(&Report::read(body.to_string().as_bytes()).expect_err(why)).contains(why));
        }
    }
}
