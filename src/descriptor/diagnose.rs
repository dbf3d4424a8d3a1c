//! Diagnostics: what is wrong with a package, where, and what to do about it.
//!
//! Owns `Diagnostic`, the collector `Sink` that readers report into, and how a list is shown to
//! people or becomes a `Fault`. Never stops at the first mistake: whoever reads a package reports
//! and goes on.

use std::{cell::RefCell, fmt};

use smol_str::SmolStr;

use crate::model::error::Fault;
use crate::model::order::Order as _;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The package is refused.
    Error,
    /// The package is taken; something in it has no effect or is odd.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Path in the package; empty: the package itself.
    pub file: SmolStr,
    /// From 1; 0: the whole file.
    pub line: u32,
    /// From 1; 0: the whole line.
    pub column: u32,
    /// `topology_template.node_templates.fw.properties.flavour_id`; empty outside a descriptor.
    pub path: String,
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// `file:line:column: error: path: message (hint)`, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.file.is_empty() { "package" } else { &self.file })?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        f.write_str(match self.severity {
            Severity::Error => ": error: ",
            Severity::Warning => ": warning: ",
        })?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(h) => write!(f, " ({h})"),
            None => Ok(()),
        }
    }
}

/// Findings in the order of file and line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Error)
    }
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|d| d.severity == Severity::Warning)
    }
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }
    /// For people: a line per finding that starts with the name it is about; path and hint under it.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for d in &self.0 {
            let last = d.path.rsplit('.').next().unwrap_or_default().to_owned();
            let head = Diagnostic { path: last, hint: None, ..d.clone() };
            out.push_str(&format!("{head}\n"));
            if d.path.contains('.') {
                out.push_str(&format!("    at: {}\n", d.path));
            }
            if let Some(h) = &d.hint {
                out.push_str(&format!("    hint: {h}\n"));
            }
        }
        out
    }
}

impl From<Vec<Diagnostic>> for Diagnostics {
    fn from(mut list: Vec<Diagnostic>) -> Self {
        list.order_by(|a, b| (&a.file, a.line, a.column, a.severity).cmp(&(&b.file, b.line, b.column, b.severity)));
        list.dedup();
        Diagnostics(list)
    }
}

impl From<Diagnostics> for Fault {
    /// One reason for each error; warnings do not make a fault and are left out.
    fn from(d: Diagnostics) -> Fault {
        let n = d.errors().count();
        let text = if n == 1 { "the package has an error".to_owned() } else { format!("the package has {n} errors") };
        Fault::invalid(text).with_reasons(d.errors().map(ToString::to_string))
    }
}

/// Where something stands in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pos {
    /// Index into the sink's files.
    pub(super) file: u16,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Collects findings; shared by everything that reads one package.
#[derive(Debug)]
pub struct Sink {
    files: RefCell<Vec<SmolStr>>,
    list: RefCell<Vec<Diagnostic>>,
}

impl Default for Sink {
    fn default() -> Self {
        Sink { files: RefCell::new(vec![SmolStr::default()]), list: RefCell::default() }
    }
}

/// More findings of one severity than anyone reads; a hostile package must not fill memory with them.
const MOST: usize = 250;

impl Sink {
    /// Position of a file as a whole.
    pub fn file(&self, name: &str) -> Pos {
        let mut files = self.files.borrow_mut();
        let at = files.iter().position(|f| f == name).unwrap_or_else(|| {
            files.push(SmolStr::new(name));
            files.len() - 1
        });
        Pos { file: u16::try_from(at).unwrap_or(0), line: 0, column: 0 }
    }
    pub fn file_name(&self, pos: Pos) -> SmolStr {
        self.files.borrow().get(usize::from(pos.file)).cloned().unwrap_or_default()
    }
    fn push(&self, severity: Severity, pos: Pos, path: &str, message: String, hint: Option<String>) {
        let file = self.file_name(pos);
        let mut list = self.list.borrow_mut();
        let d = Diagnostic { severity, file, line: pos.line, column: pos.column, path: path.to_owned(), message, hint };
        // Counted apart: a flood of warnings must not hide the one error.
        if list.iter().filter(|o| o.severity == severity).count() < MOST && !list.contains(&d) {
            list.push(d);
        }
    }
    pub fn error(&self, pos: Pos, path: &str, message: impl Into<String>) {
        self.push(Severity::Error, pos, path, message.into(), None);
    }
    pub fn error_hint(&self, pos: Pos, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Error, pos, path, message.into(), Some(hint.into()));
    }
    pub fn warn(&self, pos: Pos, path: &str, message: impl Into<String>) {
        self.push(Severity::Warning, pos, path, message.into(), None);
    }
    pub fn warn_hint(&self, pos: Pos, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.push(Severity::Warning, pos, path, message.into(), Some(hint.into()));
    }
    /// Same, with the hint only where there is one.
    pub fn report(&self, severity: Severity, pos: Pos, path: &str, message: impl Into<String>, hint: Option<String>) {
        self.push(severity, pos, path, message.into(), hint);
    }
    pub fn has_errors(&self) -> bool {
        self.list.borrow().iter().any(|d| d.severity == Severity::Error)
    }
    pub fn finish(&self) -> Diagnostics {
        self.list.take().into()
    }
}

/// The known name nearest to a mistyped one, if any is near enough to be meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(&lower, &k.to_ascii_lowercase()), k))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

/// `did you mean 'x'?`
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|k| format!("did you mean '{k}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_warnings_hides_no_error() {
        let sink = Sink::default();
        for i in 0..10_000 {
            sink.warn(sink.file("a"), &format!("{i}"), "odd");
        }
        sink.error(sink.file("a"), "", "wrong");
        let all = sink.finish();
        assert_eq!((all.errors().count(), all.warnings().count()), (1, MOST));
    }

    #[test]
    fn names_far_from_any_known_one_are_not_guessed() {
        assert_eq!(nearest("descripton", ["description", "name"]), Some("description"));
        assert_eq!(nearest("colour", ["description", "name"]), None);
    }
}
