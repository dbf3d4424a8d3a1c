//! YAML as a tree that knows where each value stands.
//!
//! Owns parsing within limits: size in nodes (aliases expanded), depth, duplicate keys, cyclic
//! aliases. Never converts: a scalar stays text, so `1.0`, `yes` and `0x1F` arrive as written.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use granit_parser::{Event, Options, Parser, ScalarStyle};
use smol_str::SmolStr;

use crate::descriptor::{
    diagnose::{Pos, Sink},
    limits::Limits,
};

/// A value and where it starts.
#[derive(Debug, Clone)]
pub struct Node {
    pub pos: Pos,
    pub value: Value,
    /// Written without quotes: `1` and not `"1"`.
    pub plain: bool,
    /// Nodes below and including this one, with aliases expanded.
    weight: u64,
    /// Levels below and including this one.
    height: u32,
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Scalar(String),
    Seq(Vec<Rc<Node>>),
    Map(Vec<(Key, Rc<Node>)>),
}

#[derive(Debug, Clone)]
pub struct Key {
    pub text: SmolStr,
    pub pos: Pos,
}

impl Node {
    pub fn scalar(pos: Pos, text: impl Into<String>) -> Rc<Node> {
        Rc::new(Node { pos, value: Value::Scalar(text.into()), plain: false, weight: 1, height: 1 })
    }
    pub fn get(&self, key: &str) -> Option<&Rc<Node>> {
        self.entries().iter().find(|(k, _)| k.text == key).map(|(_, v)| v)
    }
    /// Of a map; nothing for anything else.
    pub fn entries(&self) -> &[(Key, Rc<Node>)] {
        match &self.value {
            Value::Map(m) => m,
            Value::Null | Value::Scalar(_) | Value::Seq(_) => &[],
        }
    }
    pub fn items(&self) -> &[Rc<Node>] {
        match &self.value {
            Value::Seq(s) => s,
            Value::Null | Value::Scalar(_) | Value::Map(_) => &[],
        }
    }
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            Value::Null | Value::Seq(_) | Value::Map(_) => None,
        }
    }
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }
    /// What it is, for messages.
    pub fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

enum Frame {
    Seq { pos: Pos, anchor: usize, items: Vec<Rc<Node>> },
    Map { pos: Pos, anchor: usize, entries: Vec<(Key, Rc<Node>)>, key: Option<Key>, seen: HashMap<SmolStr, u32> },
}

struct Builder<'a> {
    sink: &'a Sink,
    file: Pos,
    limits: &'a Limits,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
    total: u64,
}

/// Parses one file. `None` after an error was reported.
pub fn parse(text: &str, file: &str, limits: &Limits, sink: &Sink) -> Option<Rc<Node>> {
    let file = sink.file(file);
    let mut options = Options::default();
    options.set_emit_comments(false);
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut b = Builder { sink, file, limits, stack: Vec::new(), anchors: HashMap::new(), root: None, total: 0 };
    let mut parser = Parser::new_from_str_with_options(text, options);
    loop {
        match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => {
                let pos = b.pos(span.start.line(), span.start.col());
                if matches!(event, Event::DocumentStart(..)) && b.root.is_some() {
                    sink.warn(pos, "", "only the first document of the file is read");
                    break;
                }
                if !b.event(event, pos) {
                    return None;
                }
            }
            Some(Err(e)) => {
                let m = e.marker();
                let pos = b.pos(m.line(), m.col());
                let hint = "text that holds ': ' or ' #', or starts with one of *&!%@`{[, must stand in quotes";
                sink.error_hint(pos, "", format!("this is not YAML: {}", e.info()), hint);
                return None;
            }
        }
    }
    b.root.or_else(|| {
        sink.error(file, "", "the file is empty");
        None
    })
}

impl Builder<'_> {
    fn pos(&self, line: usize, col: usize) -> Pos {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Pos { file: self.file.file, line, column: u32::try_from(col).unwrap_or(0).saturating_add(1) }
    }

    /// False: stop, the fault is reported.
    fn event(&mut self, event: Event<'_>, pos: Pos) -> bool {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && tag.is_none() && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Scalar(text.into_owned()) };
                self.done(Node { pos, value, plain: plain && tag.is_none(), weight: 1, height: 1 }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Frame::Seq { pos, anchor, items: Vec::new() }, pos),
            Event::MappingStart(_, anchor, _) => {
                self.open(Frame::Map { pos, anchor, entries: Vec::new(), key: None, seen: HashMap::new() }, pos)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Frame::Seq { pos, anchor, items }) => {
                    let (weight, height) = sum(items.iter());
                    self.done(Node { pos, value: Value::Seq(items), plain: false, weight, height }, anchor)
                }
                Some(Frame::Map { pos, anchor, entries, .. }) => {
                    let entries = self.merged(entries);
                    let (weight, height) = sum(entries.iter().map(|(_, v)| v));
                    self.done(Node { pos, value: Value::Map(entries), plain: false, weight, height }, anchor)
                }
                None => true,
            },
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(node) => self.place(node, pos),
                None => {
                    self.sink.error(pos, "", "this alias stands inside the very value it names: a cycle");
                    false
                }
            },
            _ => true,
        }
    }

    fn open(&mut self, frame: Frame, pos: Pos) -> bool {
        if self.stack.len() as u32 >= self.limits.yaml_depth {
            self.sink.error(pos, "", format!("nested deeper than the {} levels allowed", self.limits.yaml_depth));
            return false;
        }
        self.stack.push(frame);
        true
    }

    fn done(&mut self, node: Node, anchor: usize) -> bool {
        let pos = node.pos;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, pos)
    }

    fn place(&mut self, node: Rc<Node>, pos: Pos) -> bool {
        // Leaves and aliases count where they are placed; collections were counted by their parts.
        let adds = if Rc::strong_count(&node) > 1 { node.weight } else { 1 };
        self.total = self.total.saturating_add(adds);
        if self.total > self.limits.yaml_nodes {
            self.sink.error(pos, "", format!("more than the {} values allowed, aliases expanded", self.limits.yaml_nodes));
            return false;
        }
        if self.stack.len() as u32 + node.height > self.limits.yaml_depth + 1 {
            self.sink.error(pos, "", format!("nested deeper than the {} levels allowed, aliases expanded", self.limits.yaml_depth));
            return false;
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::Seq { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, seen, .. }) => match key.take() {
                Some(k) => entries.push((k, node)),
                None => {
                    let text = match &node.value {
                        Value::Scalar(text) => SmolStr::new(text),
                        Value::Null => SmolStr::default(),
                        Value::Seq(_) | Value::Map(_) => {
                            self.sink.error(pos, "", format!("the key of a map is {}; it must be a single value", node.what()));
                            return false;
                        }
                    };
                    let first = seen.insert(text.clone(), pos.line);
                    if let Some(line) = first.filter(|_| text != "<<") {
                        let hint = format!("it is first given in line {line}");
                        self.sink.error_hint(pos, "", format!("'{text}' is given twice"), hint);
                    }
                    *key = Some(Key { text, pos });
                }
            },
        }
        true
    }

    /// YAML merge keys: `<<: *base` fills in what the map itself does not say.
    fn merged(&self, entries: Vec<(Key, Rc<Node>)>) -> Vec<(Key, Rc<Node>)> {
        if !entries.iter().any(|(k, _)| k.text == "<<") {
            return entries;
        }
        let (bases, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(k, _)| k.text == "<<");
        let mut known: HashSet<SmolStr> = own.iter().map(|(k, _)| k.text.clone()).collect();
        for (_, base) in bases {
            let maps: Vec<Rc<Node>> = if base.items().is_empty() { vec![base] } else { base.items().to_vec() };
            for (k, v) in maps.iter().flat_map(|m| m.entries()) {
                if known.insert(k.text.clone()) {
                    own.push((k.clone(), v.clone()));
                }
            }
        }
        own
    }
}

fn sum<'a>(parts: impl Iterator<Item = &'a Rc<Node>>) -> (u64, u32) {
    parts.fold((1, 1), |(w, h), n| (n.weight.saturating_add(w), h.max(n.height + 1)))
}
