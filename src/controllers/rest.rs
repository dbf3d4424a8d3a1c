//! Controllers that are asked by single requests of JSON: the way there, and steps one after the other.
//!
//! Owns: what an answer's status means to everybody, error texts that say where and what to do, and which ports
//! a controller has refused. A step that is refused holds up its ports only; one that gets no answer ends the run,
//! and the next look goes on from what is there. Never: what is asked, or in which order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    model::{
        error::{Fault, Kind, Result},
        sdn::{Login, OutsidePort, WebAddr},
    },
    notify::web::{Ask, Web},
    sdn::connector::{Look, PortState, Sending},
};

/// Longest wait for one answer, and for all of a look or of an apply.
const ONE: Duration = Duration::from_secs(3);
const ALL: Duration = Duration::from_secs(9);
/// Longest text of a controller's that is shown, in characters.
const LONGEST: usize = 300;

/// The types of what is asked for and of what is sent.
#[derive(Clone, Copy)]
pub struct Form {
    pub accept: &'static str,
    pub content: &'static str,
}

/// RFC 8040.
pub const YANG: Form = Form { accept: "application/yang-data+json", content: "application/yang-data+json" };
pub const JSON: Form = Form { accept: "application/json", content: "application/json" };

pub struct Rest {
    web: Mutex<Web>,
    /// Scheme, host and port.
    at: String,
    /// The path that was told with it; empty: none.
    pub root: String,
    login: Option<Login>,
    refused: Mutex<BTreeMap<OutsidePort, String>>,
}

pub struct Answer {
    pub status: u16,
    /// `Null`: it is no JSON.
    pub json: Value,
    pub text: String,
}

/// One request that changes something.
pub struct Step {
    pub method: &'static str,
    pub path: String,
    pub body: Option<Value>,
    /// The ports that it is for.
    pub ports: Vec<OutsidePort>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A look or an apply may take so long.
pub fn until() -> Instant {
    Instant::now() + ALL
}

/// A value as a part of a path (RFC 3986 2.3).
pub fn part(s: &str) -> String {
    let mut out = String::new();
    for b in s.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
    }
    out
}

/// Text of theirs, for people: one line, and not too long.
fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

/// A member of an object, with its module's name before it or without.
pub fn member<'v>(v: &'v Value, name: &str) -> &'v Value {
    let Some(o) = v.as_object() else { return &Value::Null };
    let found = o.get(name).or_else(|| o.iter().find(|(k, _)| k.split_once(':').is_some_and(|(_, k)| k == name)).map(|(_, v)| v));
    found.unwrap_or(&Value::Null)
}

pub fn list<'v>(v: &'v Value, name: &str) -> &'v [Value] {
    member(v, name).as_array().map_or(&[], Vec::as_slice)
}

/// A number, or a string that is one (RFC 7951 6.1 has both).
pub fn number(v: &Value) -> Option<i64> {
    v.as_i64().or_else(|| v.as_str()?.parse().ok())
}

/// A string, or a number as one.
pub fn word(v: &Value) -> Option<String> {
    v.as_str().map(Into::into).or_else(|| v.as_i64().map(|n| n.to_string()))
}

impl Answer {
    pub fn is_fine(&self) -> bool {
        (200..300).contains(&self.status)
    }
    /// RESTCONF's own error: its tag and its message (RFC 8040 3.9).
    pub fn error(&self) -> Option<(String, String)> {
        let e = list(member(&self.json, "errors"), "error").first()?;
        let text = |m: &str| member(e, m).as_str().unwrap_or_default().to_owned();
        Some((text("error-tag"), text("error-message")))
    }
    /// What is asked for is not there, as far as the API itself says so.
    pub fn is_absent(&self) -> bool {
        let tag = self.error().map(|(tag, _)| tag).unwrap_or_default();
        matches!(self.status, 404 | 409 | 410) && (tag == "data-missing" || self.status != 409 && !self.json.is_null())
    }
    /// For people.
    pub fn said(&self) -> String {
        let of_rest = member(&self.json, "message").as_str().map(Into::into);
        let words = self.error().map(|(tag, message)| if message.is_empty() { tag } else { format!("{tag}: {message}") });
        let words = words.or(of_rest).unwrap_or_else(|| self.text.clone());
        let words = short(&words);
        if words.is_empty() { self.status.to_string() } else { format!("{} ({words})", self.status) }
    }
}

impl Rest {
    pub fn open(at: &WebAddr, secret: Option<&str>) -> Result<Rest> {
        let login = at.login.as_ref().map(|l| l.user.as_str()).zip(secret);
        let web = Web::open(&at.url, login, at.ca.as_deref().unwrap_or_default(), ONE)?;
        let root = web.root().trim_end_matches('/').to_owned();
        let place = at.url.strip_suffix(&root).unwrap_or(&at.url).to_owned();
        Ok(Rest { web: Mutex::new(web), at: place, root, login: at.login.clone(), refused: Mutex::default() })
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    /// An answer that the API itself gave; what keeps it from giving one is a fault.
    fn ask(&self, method: &'static str, path: &str, form: Form, body: Option<&Value>, until: Instant) -> Result<Answer> {
        let body = body.map(Value::to_string);
        let content = body.as_deref().map(|b| (form.content, b));
        let heard = lock(&self.web).ask(&Ask { method, path, accept: form.accept, content }, until);
        let fault = |kind: Kind, why: String| Fault::new(kind, format!("{method} {}: {why}", self.url(path)));
        let heard = heard.map_err(|why| fault(Kind::Transient, why))?;
        let text = String::from_utf8_lossy(&heard.body).into_owned();
        let a = Answer { status: heard.status, json: serde_json::from_str(&text).unwrap_or_default(), text };
        match (a.status, &self.login) {
            (401, Some(l)) => Err(fault(
                Kind::Forbidden,
                format!(
                    "user '{}' or the password is refused: see `user`, and store the password with 'bothy secret set {}'",
                    l.user, l.secret
                ),
            )),
            (401, None) => Err(fault(Kind::Forbidden, "it wants a user and a password: give `user` and `secret`".into())),
            (403, _) => Err(fault(Kind::Forbidden, format!("its user may not do this there: {}", a.said()))),
            (300..=399, _) => Err(fault(Kind::Conflict, "it says that it is elsewhere: give that address as url".into())),
            (408 | 429 | 500..=599, _) => Err(fault(Kind::Transient, format!("the answer is {}; it is tried again", a.said()))),
            _ => Ok(a),
        }
    }

    pub fn get(&self, path: &str, form: Form, until: Instant) -> Result<Answer> {
        self.ask("GET", path, form, None, until)
    }

    /// As `get`, of what has to be there or may be absent: then `Null`.
    pub fn read(&self, path: &str, form: Form, until: Instant) -> Result<Value> {
        let a = self.get(path, form, until)?;
        if a.is_absent() || a.status == 204 {
            return Ok(Value::Null);
        }
        if a.is_fine() && !a.json.is_null() {
            return Ok(a.json);
        }
        Err(self.odd(path, &a))
    }

    /// An answer that nothing can be made of.
    pub fn odd(&self, path: &str, a: &Answer) -> Fault {
        let why = if a.is_fine() { "the answer is no JSON".to_owned() } else { format!("the answer is {}", a.said()) };
        Fault::conflict(format!("GET {}: {why}: is url the address of this API?", self.url(path)))
    }

    /// Each step in its order. What is refused is remembered for its ports.
    pub fn run(&self, steps: &[Step], form: Form, until: Instant) -> Result<()> {
        lock(&self.refused).clear();
        for s in steps {
            let a = self.ask(s.method, &s.path, form, s.body.as_ref(), until)?;
            if a.is_fine() || s.method == "DELETE" && a.is_absent() {
                continue;
            }
            let why = format!("{} {}: refused: {}", s.method, self.url(&s.path), a.said());
            let mut refused = lock(&self.refused);
            for p in &s.ports {
                refused.entry(p.clone()).or_insert_with(|| why.clone());
            }
            if s.ports.is_empty() {
                return Err(Fault::conflict(why));
            }
        }
        Ok(())
    }

    /// A look with what would be sent, and with what was refused the last time.
    pub fn told(&self, mut look: Look, steps: &[Step]) -> Look {
        let send = |s: &Step| Sending {
            method: s.method,
            url: self.url(&s.path),
            body: s.body.as_ref().map(Value::to_string).unwrap_or_default(),
        };
        look.sends = steps.iter().map(send).collect();
        for (at, why) in lock(&self.refused).iter() {
            if look.differs.iter().any(|d| d.at == *at) && look.ports.contains_key(at) {
                look.ports.insert(at.clone(), PortState::Fault(why.clone()));
            }
        }
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, text: &str) -> Answer {
        Answer { status, json: serde_json::from_str(text).unwrap_or_default(), text: text.into() }
    }

    #[test]
    fn absent_is_what_the_api_says_and_no_page_of_a_web_server() {
        let error = |tag: &str| format!(r#"{{"ietf-restconf:errors":{{"error":[{{"error-type":"protocol","error-tag":"{tag}"}}]}}}}"#);
        for (status, text, absent) in [
            (404, error("invalid-value"), true),
            (409, error("data-missing"), true),
            (409, error("data-exists"), false),
            (404, r#"{"code":404,"message":"Device is not found"}"#.into(), true),
            (404, "<html>no such page</html>".into(), false),
            (404, String::new(), false),
            (200, "{}".into(), false),
        ] {
            assert_eq!(answer(status, &text).is_absent(), absent, "{status} {text}");
        }
    }

    #[test]
    fn what_a_controller_says_is_shown_short_and_in_one_line() {
        let old = r#"{"errors":{"error":[{"error-tag":"in-use","error-message":"leafref\n needs  it"}]}}"#;
        assert_eq!(answer(409, old).said(), "409 (in-use: leafref needs it)");
        assert_eq!(answer(400, r#"{"code":400,"message":"no such port"}"#).said(), "400 (no such port)");
        assert_eq!(answer(400, "").said(), "400");
        assert!(answer(400, &"x".repeat(5000)).said().len() < 320);
    }

    #[test]
    fn keys_in_a_path_are_escaped() {
        assert_eq!(part("openflow:1"), "openflow%3A1");
        assert_eq!(part("bothy:edge-1:100:ge 0/0"), "bothy%3Aedge-1%3A100%3Age%200%2F0");
    }
}
