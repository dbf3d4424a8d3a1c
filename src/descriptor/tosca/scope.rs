//! One topology template and the values its intrinsic functions stand for.
//!
//! Owns `get_input`, `get_property`, `concat`, `token`, `join`, and finds their cycles. Never
//! evaluates more than is asked for: a value is resolved when it is read.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use smol_str::SmolStr;

use super::{
    types::Types,
    yaml::{Node, Value},
};
use crate::descriptor::diagnose::{Severity, Sink, did_you_mean};

/// The topology template of one file, with its inputs.
pub struct Scope<'a> {
    pub sink: &'a Sink,
    pub types: &'a Types,
    pub topology: Rc<Node>,
    /// Path of the file in the package.
    pub file: SmolStr,
    given: Vec<(SmolStr, Rc<Node>)>,
    /// What is being resolved right now, outermost first.
    active: RefCell<Vec<String>>,
    steps: Cell<u32>,
}

/// A value and the node template that `SELF` means in it.
pub type Resolved = (Rc<Node>, Option<SmolStr>);

/// More function calls than this in one descriptor are an attack.
const MOST_STEPS: u32 = 20_000;

impl<'a> Scope<'a> {
    pub fn new(sink: &'a Sink, types: &'a Types, file: SmolStr, topology: Rc<Node>, given: Vec<(SmolStr, Rc<Node>)>) -> Self {
        Scope { sink, types, topology, file, given, active: RefCell::default(), steps: Cell::new(0) }
    }

    pub fn templates(&self) -> &[(super::yaml::Key, Rc<Node>)] {
        self.topology.get("node_templates").map(|n| n.entries()).unwrap_or_default()
    }
    pub fn template(&self, name: &str) -> Option<&Rc<Node>> {
        self.topology.get("node_templates")?.get(name)
    }
    pub fn type_of<'n>(&self, template: &'n Node) -> &'n str {
        template.get("type").and_then(|t| t.text()).unwrap_or_default()
    }

    /// A property of a node template: its own value, or the default of its type.
    pub fn property(&self, template: &str, name: &str) -> Option<Rc<Node>> {
        let node = self.template(template)?;
        if let Some(own) = node.get("properties").and_then(|p| p.get(name)) {
            return Some(own.clone());
        }
        let defs = self.types.properties(self.type_of(node));
        defs.iter().find(|(k, _)| k == name).and_then(|(_, d)| d.get("default")).cloned()
    }

    /// Replaces a function by its value. `None`: it has none, and why was reported.
    pub fn resolve(&self, node: &Rc<Node>, me: Option<&SmolStr>, path: &str) -> Option<Resolved> {
        let [(key, arg)] = node.entries() else { return Some((node.clone(), me.cloned())) };
        let keep = || Some((node.clone(), me.cloned()));
        match key.text.as_str() {
            "get_input" | "get_property" | "concat" | "token" | "join" => {}
            "get_attribute" | "get_operation_output" | "get_nodes_of_type" | "get_artifact" => {
                let text = format!("{} has a value only once the VNF runs; a descriptor cannot be read with it here", key.text);
                self.sink.error(key.pos, path, text);
                return None;
            }
            _ => return keep(),
        }
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > MOST_STEPS {
            self.sink.error(key.pos, path, "more function calls than a descriptor may have");
            return None;
        }
        match key.text.as_str() {
            "get_input" => self.get_input(arg, me, path),
            "get_property" => self.get_property(arg, me, path),
            "concat" => {
                let parts = self.texts(arg.items(), me, path)?;
                Some((Node::scalar(node.pos, self.bounded(&parts.concat(), arg, path)?), me.cloned()))
            }
            "join" => {
                let [list, sep @ ..] = arg.items() else { return self.malformed(arg, path, "join: [ [a, b], ',' ]") };
                let (list, me2) = self.resolve(list, me, path)?;
                let parts = self.texts(list.items(), me2.as_ref(), path)?;
                let sep = self.texts(sep, me, path)?.concat();
                Some((Node::scalar(node.pos, self.bounded(&parts.join(&sep), arg, path)?), me.cloned()))
            }
            _ => {
                let parts = self.texts(arg.items(), me, path)?;
                let [text, sep, index] = parts.as_slice() else { return self.malformed(arg, path, "token: [ text, ':', 0 ]") };
                let piece = index.parse::<usize>().ok().and_then(|i| text.split(|c| sep.contains(c)).nth(i));
                match piece {
                    Some(p) => Some((Node::scalar(node.pos, p), me.cloned())),
                    None => self.malformed(arg, path, "an index that the text has"),
                }
            }
        }
    }

    fn bounded(&self, text: &str, at: &Node, path: &str) -> Option<String> {
        if text.len() > 64 << 10 {
            self.sink.error(at.pos, path, "grows beyond 64 KiB of text");
            return None;
        }
        Some(text.to_owned())
    }

    fn malformed(&self, arg: &Node, path: &str, like: &str) -> Option<Resolved> {
        self.sink.error_hint(arg.pos, path, "this function is not called the way TOSCA says", format!("write {like}"));
        None
    }

    fn texts(&self, items: &[Rc<Node>], me: Option<&SmolStr>, path: &str) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for i in items {
            let (v, _) = self.resolve(i, me, path)?;
            match v.text() {
                Some(t) => out.push(t.to_owned()),
                None => {
                    self.sink.error(i.pos, path, format!("is {}, and text is needed here", v.what()));
                    return None;
                }
            }
        }
        Some(out)
    }

    /// Runs `f` unless `what` is being resolved already.
    fn guarded<T>(&self, what: String, at: &Node, path: &str, f: impl FnOnce() -> Option<T>) -> Option<T> {
        if self.active.borrow().contains(&what) {
            let round: Vec<String> = self.active.borrow().iter().chain([&what]).cloned().collect();
            self.sink.error(at.pos, path, format!("its value depends on itself: {}", round.join(" -> ")));
            return None;
        }
        if self.active.borrow().len() > 64 {
            self.sink.error(at.pos, path, "values refer to values more than 64 times over");
            return None;
        }
        self.active.borrow_mut().push(what);
        let out = f();
        self.active.borrow_mut().pop();
        out
    }

    fn get_input(&self, arg: &Rc<Node>, me: Option<&SmolStr>, path: &str) -> Option<Resolved> {
        let (name, rest): (&str, &[Rc<Node>]) = match (&arg.value, arg.items()) {
            (Value::Scalar(text), _) => (text, &[]),
            (Value::Seq(_), [first, rest @ ..]) => (first.text().unwrap_or_default(), rest),
            _ => return self.malformed(arg, path, "get_input: name"),
        };
        let inputs = self.topology.get("inputs");
        let declared = inputs.and_then(|i| i.get(name));
        let given = self.given.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone());
        let value = match (given, declared) {
            (Some(v), _) => Some((v, None)),
            (None, Some(d)) => match d.get("default").or_else(|| d.get("value")) {
                Some(v) => self.guarded(format!("input {name}"), arg, path, || self.resolve(v, me, path)),
                None => {
                    let hint = format!("give 'inputs.{name}' a default");
                    self.sink.error_hint(arg.pos, path, format!("the input '{name}' has no value"), hint);
                    None
                }
            },
            (None, None) => {
                let known = inputs.map(|i| i.entries()).unwrap_or_default().iter().map(|(k, _)| k.text.as_str());
                self.sink.report(Severity::Error, arg.pos, path, format!("there is no input '{name}'"), did_you_mean(name, known));
                None
            }
        }?;
        self.descend(value, rest, arg, path)
    }

    fn get_property(&self, arg: &Rc<Node>, me: Option<&SmolStr>, path: &str) -> Option<Resolved> {
        let [entity, name, rest @ ..] = arg.items() else { return self.malformed(arg, path, "get_property: [ SELF, name ]") };
        let (Some(entity), Some(name)) = (entity.text(), name.text()) else {
            return self.malformed(arg, path, "get_property: [ SELF, name ]");
        };
        let target = match (entity, me) {
            ("SELF", Some(me)) => me.clone(),
            ("SELF", None) => {
                self.sink.error(arg.pos, path, "SELF means nothing outside a node template");
                return None;
            }
            (other, _) => SmolStr::new(other),
        };
        let Some(template) = self.template(&target) else {
            let known = self.templates().iter().map(|(k, _)| k.text.as_str());
            self.sink.report(Severity::Error, arg.pos, path, format!("there is no node template '{target}'"), did_you_mean(&target, known));
            return None;
        };
        if let Some(found) = self.property(&target, name) {
            let what = format!("{target}.{name}");
            let value = self.guarded(what, arg, path, || self.resolve(&found, Some(&target), path))?;
            return self.descend(value, rest, arg, path);
        }
        // TOSCA lets the second name be a capability or a requirement of the template.
        if let Some(props) = template.get("capabilities").and_then(|c| c.get(name)).and_then(|c| c.get("properties")) {
            return self.descend((props.clone(), Some(target)), rest, arg, path);
        }
        if let (Some(node), [prop, rest @ ..]) = (self.requirement(template, name), rest)
            && let Some(prop) = prop.text()
            && let Some(found) = self.property(&node, prop)
        {
            let what = format!("{node}.{prop}");
            let value = self.guarded(what, arg, path, || self.resolve(&found, Some(&node), path))?;
            return self.descend(value, rest, arg, path);
        }
        let own = template.get("properties").map(|p| p.entries()).unwrap_or_default();
        let hint = did_you_mean(name, own.iter().map(|(k, _)| k.text.as_str()));
        self.sink.report(Severity::Error, arg.pos, path, format!("'{target}' has no property '{name}'"), hint);
        None
    }

    /// The node template that a requirement names first.
    pub fn requirement(&self, template: &Node, name: &str) -> Option<SmolStr> {
        template.get("requirements")?.items().iter().find_map(|r| r.get(name)).and_then(|v| target_of(v)).map(SmolStr::new)
    }

    fn descend(&self, from: Resolved, keys: &[Rc<Node>], arg: &Node, path: &str) -> Option<Resolved> {
        let (mut node, mut me) = from;
        for key in keys {
            (node, me) = self.resolve(&node, me.as_ref(), path)?;
            let key = key.text().unwrap_or_default();
            let below = node.get(key).or_else(|| key.parse::<usize>().ok().and_then(|i| node.items().get(i)));
            match below {
                Some(n) => node = n.clone(),
                None => {
                    self.sink.error(arg.pos, path, format!("there is no '{key}' in the value it names"));
                    return None;
                }
            }
        }
        self.resolve(&node, me.as_ref(), path)
    }
}

/// `name: target` or `name: { node: target }`.
pub fn target_of(v: &Node) -> Option<&str> {
    v.text().or_else(|| v.get("node").and_then(|n| n.text()))
}
