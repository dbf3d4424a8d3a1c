//! A datastore behind RESTCONF (RFC 8040 3.5 and 4), for one module's lists: in its tree, or in the older one with a
//! datastore's name in the path.

use serde_json::{Value, json};

use super::stand::{Asked, Reply};

/// What the lists of a module are keyed by.
pub type Keys = &'static [(&'static str, &'static str)];

pub struct Store {
    pub keys: Keys,
    pub tree: Value,
    pub kind: &'static str,
}

pub fn error(status: u16, tag: &str, message: &str) -> Reply {
    let body =
        json!({ "ietf-restconf:errors": { "error": [{ "error-type": "application", "error-tag": tag, "error-message": message }] } });
    Reply { status, kind: "application/yang-data+json", body: body.to_string() }
}

fn bare(name: &str) -> &str {
    name.rsplit(':').next().expect("a name")
}

/// Names of modules are left out inside.
pub fn plain(v: &Value) -> Value {
    match v {
        Value::Object(o) => o.iter().map(|(k, v)| (bare(k).to_owned(), plain(v))).collect(),
        Value::Array(a) => a.iter().map(plain).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => v.clone(),
    }
}

/// One step into a tree.
pub struct Hop {
    pub name: String,
    pub key: Option<String>,
}

impl Store {
    fn key_of(&self, list: &str) -> Option<&'static str> {
        self.keys.iter().find(|(l, _)| *l == list).map(|(_, k)| *k)
    }

    /// `node=openflow:1`, or `node` and then `openflow:1`.
    pub fn hops(&self, parts: &[String], equals: bool) -> Vec<Hop> {
        let mut parts = parts.iter().filter(|p| !p.is_empty());
        let mut hops = Vec::new();
        while let Some(p) = parts.next() {
            let (name, key) = match p.split_once('=').filter(|_| equals) {
                Some((name, key)) => (name, Some(key.to_owned())),
                None => (p.as_str(), (!equals && self.key_of(bare(p)).is_some()).then(|| parts.next().cloned()).flatten()),
            };
            hops.push(Hop { name: bare(name).to_owned(), key });
        }
        hops
    }

    fn find<'t>(&self, tree: &'t mut Value, hops: &[Hop], make: bool) -> Option<&'t mut Value> {
        let mut at = tree;
        for h in hops {
            if make && at.get(&h.name).is_none() {
                at[&h.name] = if h.key.is_some() { json!([]) } else { json!({}) };
            }
            at = at.get_mut(&h.name)?;
            if let Some(key) = &h.key {
                let by = self.key_of(&h.name)?;
                let is = |e: &Value| e[by].as_str() == Some(key) || e[by].as_i64().map(|n| n.to_string()).as_ref() == Some(key);
                let all = at.as_array_mut()?;
                let i = match all.iter().position(is) {
                    Some(i) => i,
                    None if make => {
                        all.push(json!({ by: key }));
                        all.len() - 1
                    }
                    None => return None,
                };
                at = &mut all[i];
            }
        }
        Some(at)
    }

    pub fn get(&self, hops: &[Hop]) -> Option<Value> {
        self.find(&mut self.tree.clone(), hops, false).cloned()
    }

    /// As an answer: under its own name, an entry of a list in a list.
    pub fn show(&self, module: &str, hops: &[Hop], equals: bool) -> Reply {
        let last = hops.last().expect("something");
        match self.get(hops) {
            None => error(
                if equals { 409 } else { 404 },
                "data-missing",
                "Request could not be completed because the relevant data model content does not exist",
            ),
            Some(v) => {
                let v = if last.key.is_some() { json!([v]) } else { v };
                Reply { status: 200, kind: self.kind, body: json!({ format!("{module}:{}", last.name): v }).to_string() }
            }
        }
    }

    /// The type of what was sent, and the body.
    pub fn body(&self, r: &Asked) -> Result<Value, Reply> {
        if r.content != self.kind {
            return Err(error(415, "invalid-value", &format!("'{}' is no media type for this", r.content)));
        }
        if r.accept != self.kind {
            return Err(error(406, "invalid-value", &format!("'{}' is not spoken here", r.accept)));
        }
        serde_json::from_str(&r.body).map_err(|e| error(400, "malformed-message", &e.to_string()))
    }

    /// The tree after a change, with the status, or the refusal.
    pub fn change(&self, r: &Asked, hops: &[Hop], parents: bool) -> Result<(u16, Value), Reply> {
        let mut tree = self.tree.clone();
        let there = self.find(&mut tree, hops, false).is_some();
        let gone = || error(409, "data-missing", "there is nothing of this name");
        if r.method == "DELETE" {
            let (last, path) = hops.split_last().expect("something");
            let list = self.find(&mut tree, path, false).and_then(|p| p.get_mut(&last.name)).and_then(Value::as_array_mut);
            let (Some(all), Some(by), true) = (list, self.key_of(&last.name), there) else { return Err(gone()) };
            all.retain(|e| e[by].as_str() != last.key.as_deref());
            return Ok((204, tree));
        }
        let body = self.body(r)?;
        let (name, value) =
            body.as_object().and_then(|o| o.iter().next()).ok_or_else(|| error(400, "missing-element", "nothing is sent"))?;
        if !name.contains(':') {
            return Err(error(400, "unknown-namespace", &format!("'{name}' names no module (RFC 7951 4)")));
        }
        let entry = plain(value.get(0).ok_or_else(|| error(400, "invalid-value", &format!("'{name}' is a list")))?);
        let by = self.key_of(bare(name)).ok_or_else(|| error(400, "unknown-element", name))?;
        match r.method.as_str() {
            "POST" => {
                let at = self.find(&mut tree, hops, true).expect("made");
                if at[bare(name)].is_null() {
                    at[bare(name)] = json!([]);
                }
                let all = at[bare(name)].as_array_mut().expect("a list");
                if all.iter().any(|e| e[by] == entry[by]) {
                    return Err(error(409, "data-exists", "it is there already"));
                }
                all.push(entry);
                Ok((201, tree))
            }
            "PUT" | "PATCH" => {
                let key = hops.last().and_then(|h| h.key.clone());
                if entry[by].as_str() != key.as_deref() {
                    return Err(error(400, "invalid-value", "the key in the path and that in the body differ"));
                }
                if r.method == "PATCH" && !there {
                    return Err(gone());
                }
                if !there && !parents && self.find(&mut tree, &hops[..hops.len() - 1], false).is_none() {
                    return Err(gone());
                }
                let at = self.find(&mut tree, hops, true).expect("made");
                if r.method == "PUT" {
                    *at = entry;
                } else if let (Some(at), Some(new)) = (at.as_object_mut(), entry.as_object()) {
                    at.extend(new.clone());
                }
                Ok((if there { 204 } else { 201 }, tree))
            }
            other => Err(error(405, "operation-not-supported", other)),
        }
    }
}
