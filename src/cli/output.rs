//! Tables for people, JSON for programs.

use std::io::Write as _;

use serde_json::Value;

use super::failure::visible;

/// As `println!`, and a closed pipe (`| head`) is no failure.
macro_rules! say {
    ($($what:tt)*) => { $crate::cli::output::put(format_args!($($what)*)) };
}
pub(super) use say;

pub struct Out {
    pub json: bool,
}

impl Out {
    /// One value as the API gave it.
    pub fn value(&self, v: &Value) {
        say!("{}", serde_json::to_string_pretty(v).unwrap_or_default());
    }
    /// The list as JSON, or the rows as a table.
    pub fn table(&self, raw: &Value, head: &[&str], rows: Vec<Vec<String>>) {
        if self.json {
            return self.value(raw);
        }
        if rows.is_empty() {
            eprintln!("none");
            return;
        }
        say!("{}", align(head, &rows));
    }
    /// The value as JSON, or as `key: value` lines for people.
    pub fn record(&self, raw: &Value) {
        if self.json { self.value(raw) } else { say!("{}", outline(raw, 0).trim_end()) }
    }
    /// What goes on, for people. Programs read the one value that comes at the end.
    pub fn say(&self, text: &str) {
        if self.json { eprintln!("{}", visible(text)) } else { say!("{}", visible(text)) }
    }
    /// A sentence for people; programs get the value.
    pub fn done(&self, raw: &Value, text: &str) {
        if self.json { self.value(raw) } else { say!("{text}") }
    }
}

/// Behind `say`.
pub fn put(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn width(s: &str) -> usize {
    s.chars().count()
}

/// Columns of equal width, two blanks apart; the last one is not padded.
pub fn align(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
    let all: Vec<Vec<String>> =
        std::iter::once(&head).chain(rows).map(|r| r.iter().map(|c| visible(c).replace(['\n', '\t'], " ")).collect()).collect();
    let widths: Vec<usize> = (0..head.len()).map(|i| all.iter().filter_map(|r| r.get(i)).map(|c| width(c)).max().unwrap_or(0)).collect();
    let line = |r: &Vec<String>| {
        let mut s = String::new();
        for (i, c) in r.iter().enumerate() {
            s += c;
            if i + 1 < r.len() {
                s.extend(std::iter::repeat_n(' ', widths[i].saturating_sub(width(c)) + 2));
            }
        }
        s.trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// JSON as indented text, without the punctuation; `_links` is for programs.
fn outline(v: &Value, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    match v {
        Value::Object(map) => map
            .iter()
            .filter(|(k, v)| *k != "_links" && !v.is_null())
            .map(|(k, v)| match v {
                Value::Object(m) if !m.is_empty() => format!("{pad}{k}:\n{}", outline(v, depth + 1)),
                Value::Array(a) if a.iter().any(|x| x.is_object() || x.is_array()) => format!("{pad}{k}:\n{}", outline(v, depth + 1)),
                _ => format!("{pad}{k}: {}\n", plain(v)),
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .map(|i| {
                let text = outline(i, depth + 1);
                let mut lines = text.lines();
                let first = lines.next().unwrap_or("").trim_start();
                let rest: String = lines.map(|l| format!("{l}\n")).collect();
                format!("{pad}- {first}\n{rest}")
            })
            .collect(),
        _ => format!("{pad}{}\n", plain(v)),
    }
}

/// A value in one cell.
pub fn plain(v: &Value) -> String {
    match v {
        Value::Null => "-".into(),
        Value::String(s) => visible(s),
        Value::Array(a) if a.is_empty() => "-".into(),
        Value::Array(a) => a.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(m) if m.is_empty() => "-".into(),
        Value::Object(_) | Value::Bool(_) | Value::Number(_) => v.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_foreign_text_cannot_break_them() {
        let rows = vec![vec!["1".into(), "läng\nst".into(), "x".into()], vec!["22222".into(), "b".into(), "".into()]];
        assert_eq!(align(&["ID", "NAME", "STATE"], &rows), "ID     NAME     STATE\n1      läng st  x\n22222  b");
    }

    #[test]
    fn records_read_as_an_outline() {
        let v = serde_json::json!({"id": "a", "empty": null, "list": [{"k": 1, "m": {"n": true}}, {"k": 2}], "tags": ["x", "y"], "_links": {"self": {}}});
        assert_eq!(outline(&v, 0), "id: a\nlist:\n  - k: 1\n    m:\n      n: true\n  - k: 2\ntags: x, y\n");
    }
}
