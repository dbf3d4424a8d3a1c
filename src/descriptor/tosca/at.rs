//! A place in a topology template: the value there, its path, and how to read it.
//!
//! Owns the reading idiom of every reader: ask for a key, get a typed value or have the mistake
//! reported with file, line and path. Functions are resolved on the way.

use std::rc::Rc;

use smol_str::SmolStr;

use super::{
    scalar,
    scope::Scope,
    yaml::{Key, Node, Value},
};
use crate::{
    descriptor::diagnose::{Pos, Severity, did_you_mean},
    model::size::Bytes,
};

#[derive(Clone)]
pub struct At<'a> {
    pub scope: &'a Scope<'a>,
    pub path: String,
    node: Rc<Node>,
    /// The node template that `SELF` means here.
    me: Option<SmolStr>,
    /// It has no value, and that was reported: say no more about it.
    broken: bool,
}

impl<'a> At<'a> {
    pub fn new(scope: &'a Scope<'a>, node: Rc<Node>, path: impl Into<String>, me: Option<SmolStr>) -> Self {
        let path = path.into();
        match scope.resolve(&node, me.as_ref(), &path) {
            Some((node, me)) => At { scope, path, node, me, broken: false },
            None => At { scope, path, node, me, broken: true },
        }
    }
    /// A node template of the scope.
    pub fn template(scope: &'a Scope<'a>, name: &str) -> Option<At<'a>> {
        let node = scope.template(name)?.clone();
        Some(At::new(scope, node, format!("topology_template.node_templates.{name}"), Some(SmolStr::new(name))))
    }

    pub fn pos(&self) -> Pos {
        self.node.pos
    }
    pub fn node(&self) -> &Rc<Node> {
        &self.node
    }
    pub fn me(&self) -> SmolStr {
        self.me.clone().unwrap_or_default()
    }
    pub fn is_broken(&self) -> bool {
        self.broken
    }
    pub fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::Seq(_))
    }

    pub fn error(&self, message: impl Into<String>) {
        if !self.broken {
            self.scope.sink.error(self.pos(), &self.path, message);
        }
    }
    pub fn error_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        if !self.broken {
            self.scope.sink.error_hint(self.pos(), &self.path, message, hint);
        }
    }
    pub fn warn(&self, message: impl Into<String>) {
        if !self.broken {
            self.scope.sink.warn(self.pos(), &self.path, message);
        }
    }
    pub fn warn_hint(&self, message: impl Into<String>, hint: impl Into<String>) {
        if !self.broken {
            self.scope.sink.warn_hint(self.pos(), &self.path, message, hint);
        }
    }
    /// An error about a name that should be one of a few.
    pub fn no_such<'n>(&self, what: &str, name: &str, known: impl IntoIterator<Item = &'n str>) {
        if !self.broken {
            let hint = did_you_mean(name, known);
            self.scope.sink.report(Severity::Error, self.pos(), &self.path, format!("there is no {what} '{name}'"), hint);
        }
    }

    fn child(&self, key: &str, node: &Rc<Node>) -> At<'a> {
        At::new(self.scope, node.clone(), format!("{}.{key}", self.path), self.me.clone())
    }
    /// The value under a key; nothing where it is absent or empty.
    pub fn get(&self, key: &str) -> Option<At<'a>> {
        let node = self.node.get(key).filter(|n| !n.is_null())?;
        Some(self.child(key, node))
    }
    /// The value under a key that must be there.
    pub fn need(&self, key: &str) -> Option<At<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.missing(key);
        }
        found
    }
    pub fn missing(&self, key: &str) {
        if !self.broken {
            self.scope.sink.error(self.pos(), &format!("{}.{key}", self.path), "is missing");
        }
    }
    /// A property of this node template: its own, or the default of its type.
    pub fn property(&self, name: &str) -> Option<At<'a>> {
        let node = self.scope.property(&self.me(), name).filter(|n| !n.is_null())?;
        Some(At::new(self.scope, node, format!("{}.properties.{name}", self.path), self.me.clone()))
    }
    pub fn need_property(&self, name: &str) -> Option<At<'a>> {
        let found = self.property(name);
        if found.is_none() {
            self.missing(&format!("properties.{name}"));
        }
        found
    }

    pub fn entries(&self) -> Vec<(Key, At<'a>)> {
        if !self.is_map() && !self.node.is_null() {
            self.error(format!("is {}, and a map is needed here", self.node.what()));
        }
        self.node.entries().iter().map(|(k, v)| (k.clone(), self.child(&k.text, v))).collect()
    }
    /// The items of a list; a single value counts as a list of one, as the field writes it.
    pub fn items(&self) -> Vec<At<'a>> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::Scalar(_) | Value::Map(_) => vec![self.clone()],
            Value::Seq(items) => {
                let at = |(i, n): (usize, &Rc<Node>)| At::new(self.scope, n.clone(), format!("{}[{i}]", self.path), self.me.clone());
                items.iter().enumerate().map(at).collect()
            }
        }
    }

    pub fn text(&self) -> Option<SmolStr> {
        match self.node.text() {
            Some(t) if !self.broken => Some(SmolStr::new(t)),
            Some(_) => None,
            None => {
                self.error(format!("is {}, and a single value is needed here", self.node.what()));
                None
            }
        }
    }
    fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text()?;
        parse(&text).map_err(|why| self.error(why)).ok()
    }
    pub fn int(&self) -> Option<u64> {
        self.parsed(scalar::integer)
    }
    pub fn u32(&self) -> Option<u32> {
        let v = self.int()?;
        u32::try_from(v).map_err(|_| self.error(format!("{v} is too large"))).ok()
    }
    pub fn bool(&self) -> Option<bool> {
        self.parsed(scalar::boolean)
    }
    pub fn size(&self) -> Option<Bytes> {
        self.parsed(scalar::size)
    }
    pub fn seconds(&self) -> Option<u32> {
        self.parsed(scalar::seconds)
    }
    /// A value of a type that parses itself: an address, a MAC.
    pub fn parse<T: std::str::FromStr>(&self, what: &str) -> Option<T> {
        self.parsed(|t| t.trim().parse().map_err(|_| format!("'{t}' is not {what}")))
    }
    /// One of a few words.
    pub fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, v)) = words.iter().find(|(w, _)| *w == text) {
            return Some(*v);
        }
        let all: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        let hint = did_you_mean(&text, all.iter().copied());
        let text = format!("'{text}' is none of {}", all.join(", "));
        self.scope.sink.report(Severity::Error, self.pos(), &self.path, text, hint);
        None
    }

    /// Warns of keys that are not in `known`, with the nearest that is.
    pub fn known(&self, known: &[&str]) {
        for (k, _) in self.node.entries() {
            if !known.contains(&k.text.as_str()) && !self.broken {
                let hint = did_you_mean(&k.text, known.iter().copied());
                let path = format!("{}.{}", self.path, k.text);
                self.scope.sink.report(Severity::Warning, k.pos, &path, "is not known here and is left out", hint);
            }
        }
    }
    /// Warns of keys that are understood but change nothing.
    pub fn not_acted_on(&self, keys: &[&str]) {
        for (k, v) in self.node.entries() {
            if keys.contains(&k.text.as_str()) && !v.is_null() && !self.broken {
                let path = format!("{}.{}", self.path, k.text);
                self.scope.sink.warn(k.pos, &path, "is not acted on");
            }
        }
    }

    /// Requirements of a node template as (name, target), in order.
    pub fn requirements(&self) -> Vec<(SmolStr, SmolStr, At<'a>)> {
        let mut out = Vec::new();
        let Some(list) = self.get("requirements") else { return out };
        for item in list.items() {
            for (k, v) in item.entries() {
                if v.node().is_null() {
                    continue;
                }
                // A list means several targets of one name; `[ node, capability ]` is for mappings only.
                for one in v.items() {
                    let target = if one.is_map() { one.get("node").and_then(|n| n.text()) } else { one.text() };
                    if let Some(target) = target {
                        out.push((k.text.clone(), target, one));
                    }
                }
            }
        }
        out
    }
}
