//! Reads TOML against the list of keys, and keeps going: all faults at once, each with its line.

use std::{collections::BTreeMap, fmt, fmt::Display, ops::Range};

use serde::Serialize;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::keys::{Apply, Keys, Setting};
use crate::model::order::Order as _;

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigFault {
    /// From 1; 0 when it belongs to no line.
    pub line: usize,
    /// The key as written in documentation: `limits.body_kib`; empty for a syntax error.
    pub key: String,
    pub text: String,
}

impl Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// Where a value stands, and where its faults go.
pub(super) struct At<'a> {
    source: &'a str,
    path: String,
    span: Range<usize>,
    faults: &'a mut Vec<ConfigFault>,
}

fn line_of(source: &str, offset: usize) -> usize {
    1 + source.as_bytes().iter().take(offset).filter(|b| **b == b'\n').count()
}

impl At<'_> {
    pub fn fault(&mut self, text: impl Into<String>) {
        let line = line_of(self.source, self.span.start);
        self.faults.push(ConfigFault { line, key: self.path.clone(), text: text.into() });
    }
    pub fn item(&mut self, index: usize, span: Range<usize>) -> At<'_> {
        let span = if span.is_empty() { self.span.clone() } else { span };
        At { source: self.source, path: format!("{}[{index}]", self.path), span, faults: self.faults }
    }
    pub fn read<T: Setting>(mut self, v: &DeValue<'_>) -> Option<T> {
        T::read(v, &mut self)
    }
    /// The value as a table that knows only `keys`.
    pub fn table<'t>(&'t mut self, v: &'t DeValue<'_>, keys: &'static [&'static str]) -> Option<TableAt<'t>> {
        let Some(table) = v.as_table() else {
            self.fault(format!("must be a table with {}", keys.join(", ")));
            return None;
        };
        let (source, path, span) = (self.source, self.path.clone(), self.span.clone());
        for (k, _) in table {
            if !keys.contains(&k.get_ref().as_ref()) {
                let mut at = At { source, path: format!("{path}.{}", k.get_ref()), span: k.span(), faults: self.faults };
                at.fault(unknown(k.get_ref(), keys.iter().copied()));
            }
        }
        Some(TableAt { table, at: At { source, path, span, faults: self.faults } })
    }
}

/// A table inside a list.
pub(super) struct TableAt<'t> {
    table: &'t DeTable<'t>,
    at: At<'t>,
}

impl TableAt<'_> {
    pub fn may<T: Setting>(&mut self, key: &str) -> Option<T> {
        let v = self.table.get(key)?;
        At { source: self.at.source, path: format!("{}.{key}", self.at.path), span: v.span(), faults: self.at.faults }.read(v.get_ref())
    }
    pub fn need<T: Setting>(&mut self, key: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.at.fault(format!("'{key}' is missing"));
            return None;
        }
        self.may(key)
    }
    pub fn fault(&mut self, key: &str, text: impl Into<String>) {
        let span = self.table.get(key).map_or(self.at.span.clone(), Spanned::span);
        At { source: self.at.source, path: format!("{}.{key}", self.at.path), span, faults: self.at.faults }.fault(text);
    }
}

fn unknown<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> String {
    // A key in the wrong table is as likely as a slip of the pen: compare the last part too.
    let last = |k: &str| k.rsplit('.').next().unwrap_or(k).to_owned();
    let score = |k: &str| strsim::jaro_winkler(key, k).max(strsim::jaro_winkler(&last(key), &last(k)) - 0.01);
    match known.map(|k| (score(k), k)).max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((s, k)) if s > 0.75 => format!("no such key; did you mean '{k}'?"),
        Some((_, k)) => format!("no such key; the nearest is '{k}'"),
        None => "no such key".into(),
    }
}

/// Takes each known key out of a parsed file.
pub(super) struct Reader<'i> {
    source: &'i str,
    root: DeTable<'i>,
    known: Vec<&'static str>,
    spans: BTreeMap<&'static str, Range<usize>>,
    faults: Vec<ConfigFault>,
}

impl<'i> Reader<'i> {
    pub fn parse(source: &'i str) -> Result<Self, Vec<ConfigFault>> {
        let (root, errors) = DeTable::parse_recoverable(source);
        if !errors.is_empty() {
            let fault = |e: &toml::de::Error| ConfigFault {
                line: line_of(source, e.span().map_or(0, |s| s.start)),
                key: String::new(),
                text: e.message().to_owned(),
            };
            return Err(errors.iter().map(fault).collect());
        }
        Ok(Reader { source, root: root.into_inner(), known: Vec::new(), spans: BTreeMap::new(), faults: Vec::new() })
    }

    pub fn has(&self, path: &str) -> bool {
        self.spans.contains_key(path)
    }

    pub fn fault_at(&mut self, path: &str, text: impl Into<String>) {
        let line = self.spans.get(path).map_or(0, |s| line_of(self.source, s.start));
        self.faults.push(ConfigFault { line, key: path.to_owned(), text: text.into() });
    }

    fn take<T: Setting>(&mut self, path: &'static str) -> Option<T> {
        self.known.push(path);
        let v = match path.split_once('.') {
            Some((section, key)) => self.root.get(section)?.get_ref().as_table()?.get(key)?,
            None => self.root.get(path)?,
        };
        // An array of tables has no span of its own: its first table stands for it.
        let first = v.get_ref().as_array().and_then(|a| a.first()).map(Spanned::span);
        let span = if v.span().is_empty() { first.unwrap_or(v.span()) } else { v.span() };
        self.spans.insert(path, span.clone());
        let mut at = At { source: self.source, path: path.to_owned(), span, faults: &mut self.faults };
        T::read(v.get_ref(), &mut at)
    }

    /// Reports what no key asked for, and ends.
    pub fn finish(mut self) -> Result<(), Vec<ConfigFault>> {
        let mut found = Vec::new();
        for (k, v) in &self.root {
            let name = k.get_ref().as_ref();
            let is_section = self.known.iter().any(|p| p.split_once('.').is_some_and(|(s, _)| s == name));
            match v.get_ref().as_table() {
                Some(t) if is_section => found.extend(t.iter().map(|(k2, _)| (format!("{name}.{}", k2.get_ref()), k2.span(), false))),
                _ => found.push((name.to_owned(), k.span(), is_section)),
            }
        }
        for (path, span, misplaced) in found {
            if self.known.contains(&path.as_str()) {
                continue;
            }
            let text = if misplaced { format!("is a table: write [{path}]") } else { unknown(&path, self.known.iter().copied()) };
            self.faults.push(ConfigFault { line: line_of(self.source, span.start), key: path, text });
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.order_by_key(|f| f.line);
        Err(self.faults)
    }
}

impl Keys for Reader<'_> {
    fn key<T: Setting>(&mut self, path: &'static str, _: Apply, slot: &mut T) {
        if let Some(v) = self.take(path) {
            *slot = v;
        }
    }
    fn within<T: Setting + PartialOrd + Display>(&mut self, path: &'static str, _: Apply, slot: &mut T, least: T, most: T) {
        let Some(v) = self.take::<T>(path) else { return };
        if v < least || v > most {
            self.fault_at(path, format!("{v} is not between {least} and {most}"));
        } else {
            *slot = v;
        }
    }
}
