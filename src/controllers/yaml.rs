//! YAML as others wrote it, to be changed in places and written again: scalars stay the text they were, with
//! or without quotes, so that nothing changes its type on the way.
//!
//! Owns the tree, its reading and its writing in block style. Comments do not survive. Never: reads anchors,
//! tags or keys that are no scalars; such a file is refused and left alone.

use granit_parser::{Event, Options, Parser, ScalarStyle};

/// A scalar as written; `plain`: without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    pub plain: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Scalar(Scalar),
    Seq(Vec<Node>),
    Map(Vec<(Scalar, Node)>),
}

/// Deeper than any configuration.
const DEEPEST: usize = 32;

impl Scalar {
    pub fn plain(text: impl ToString) -> Scalar {
        Scalar { text: text.to_string(), plain: true }
    }
    pub fn quoted(text: impl Into<String>) -> Scalar {
        Scalar { text: text.into(), plain: false }
    }
    fn write(&self, out: &mut String) {
        if self.plain && !self.text.contains('\n') {
            out.push_str(&self.text);
            return;
        }
        out.push('"');
        for c in self.text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

impl Node {
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::Scalar(s) => Some(&s.text),
            Node::Seq(_) | Node::Map(_) => None,
        }
    }
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(k, _)| k.text == key).map(|(_, v)| v)
    }
    pub fn entries(&self) -> &[(Scalar, Node)] {
        match self {
            Node::Map(m) => m,
            Node::Scalar(_) | Node::Seq(_) => &[],
        }
    }
    pub fn items(&self) -> &[Node] {
        match self {
            Node::Seq(s) => s,
            Node::Scalar(_) | Node::Map(_) => &[],
        }
    }
    fn is_empty(&self) -> bool {
        match self {
            Node::Scalar(s) => s.plain && matches!(s.text.as_str(), "" | "~" | "null"),
            Node::Seq(s) => s.is_empty(),
            Node::Map(m) => m.is_empty(),
        }
    }
    /// As a map to change; nothing at all becomes an empty one.
    pub fn as_map(&mut self) -> Option<&mut Vec<(Scalar, Node)>> {
        if self.is_empty() {
            *self = Node::Map(Vec::new());
        }
        match self {
            Node::Map(m) => Some(m),
            Node::Scalar(_) | Node::Seq(_) => None,
        }
    }
    pub fn as_seq(&mut self) -> Option<&mut Vec<Node>> {
        if self.is_empty() {
            *self = Node::Seq(Vec::new());
        }
        match self {
            Node::Seq(s) => Some(s),
            Node::Scalar(_) | Node::Map(_) => None,
        }
    }

    pub fn parse(text: &str) -> Result<Node, String> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parser = Parser::new_from_str_with_options(text, options);
        let mut b = Builder::default();
        loop {
            match parser.next_event() {
                None | Some(Ok((Event::StreamEnd, _))) => break,
                Some(Ok((event, span))) => b.event(event).map_err(|why| format!("line {}: {why}", span.start.line()))?,
                Some(Err(e)) => return Err(format!("line {}: {}", e.marker().line(), e.info())),
            }
        }
        Ok(b.root.unwrap_or(Node::Map(Vec::new())))
    }

    pub fn write(&self) -> String {
        let mut out = String::new();
        self.block(0, &mut out);
        out
    }

    fn block(&self, indent: usize, out: &mut String) {
        let pad = "  ".repeat(indent);
        match self {
            Node::Map(m) => {
                for (k, v) in m {
                    out.push_str(&pad);
                    k.write(out);
                    out.push(':');
                    v.value(indent, out);
                }
            }
            Node::Seq(s) => {
                for v in s {
                    out.push_str(&pad);
                    out.push('-');
                    match v {
                        // On the dash's own line, as people write it.
                        Node::Map(_) | Node::Seq(_) if !v.is_empty() => {
                            let mut inner = String::new();
                            v.block(indent + 1, &mut inner);
                            out.push(' ');
                            out.push_str(inner.trim_start());
                        }
                        Node::Map(_) | Node::Seq(_) | Node::Scalar(_) => v.value(indent, out),
                    }
                }
            }
            Node::Scalar(_) => {
                out.push_str(&pad);
                self.value(indent, out);
            }
        }
    }

    /// Behind a key or a dash.
    fn value(&self, indent: usize, out: &mut String) {
        match self {
            Node::Scalar(s) => {
                out.push(' ');
                s.write(out);
                out.push('\n');
            }
            Node::Map(m) if m.is_empty() => out.push_str(" {}\n"),
            Node::Seq(s) if s.is_empty() => out.push_str(" []\n"),
            Node::Map(_) | Node::Seq(_) => {
                out.push('\n');
                self.block(indent + 1, out);
            }
        }
    }
}

enum Frame {
    Seq(Vec<Node>),
    Map(Vec<(Scalar, Node)>, Option<Scalar>),
}

#[derive(Default)]
struct Builder {
    stack: Vec<Frame>,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, 0, None) => {
                let plain = style == ScalarStyle::Plain;
                self.place(Node::Scalar(Scalar { text: text.into_owned(), plain }))
            }
            Event::SequenceStart(_, 0, None) => self.open(Frame::Seq(Vec::new())),
            Event::MappingStart(_, 0, None) => self.open(Frame::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(Frame::Seq(s)) => self.place(Node::Seq(s)),
                Some(Frame::Map(m, _)) => self.place(Node::Map(m)),
                None => Ok(()),
            },
            Event::DocumentStart(..) if self.root.is_some() => Err("there is more than one document".into()),
            Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..) | Event::Alias(_) => {
                Err("anchors, aliases and tags are not rewritten".into())
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, frame: Frame) -> Result<(), String> {
        if self.stack.len() >= DEEPEST {
            return Err("it is nested too deeply".into());
        }
        self.stack.push(frame);
        Ok(())
    }

    fn place(&mut self, node: Node) -> Result<(), String> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::Seq(s)) => s.push(node),
            Some(Frame::Map(m, key)) => match (key.take(), node) {
                (Some(k), node) => m.push((k, node)),
                (None, Node::Scalar(k)) if k.text == "<<" => return Err("merge keys are not rewritten".into()),
                (None, Node::Scalar(k)) if m.iter().any(|(o, _)| o.text == k.text) => return Err(format!("'{}' is given twice", k.text)),
                (None, Node::Scalar(k)) => *key = Some(k),
                (None, Node::Seq(_) | Node::Map(_)) => return Err("the key of a map is no single value".into()),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_as_the_same_and_scalars_keep_their_quotes() {
        let text = "\
# somebody's
version: 2
vlans:
  office: {vid: 100, description: 'it''s \"ours\"'}
  empty: {}
acls:
  - rule: {dl_type: 0x800, actions: {allow: yes}}
  - - a
    - \"on\"
    - []
text: |
  two
  lines
none:
";
        let tree = Node::parse(text).expect("YAML");
        let written = tree.write();
        assert_eq!(Node::parse(&written).expect("again"), tree, "{written}");
        assert_eq!(Node::parse(&written).expect("again").write(), written);
        for line in [
            "  office:\n    vid: 100\n    description: \"it's \\\"ours\\\"\"\n",
            "dl_type: 0x800",
            "allow: yes",
            "- \"on\"",
            "text: \"two\\nlines\\n\"",
        ] {
            assert!(written.contains(line), "{line} in\n{written}");
        }
    }

    #[test]
    fn what_would_be_lost_is_refused_with_its_line() {
        for (text, why) in [
            ("a: &x 1\nb: *x\n", "line 1: anchors"),
            ("a: 1\nb: !!str 7\n", "line 2: anchors, aliases and tags"),
            ("a: 1\n---\nb: 1\n", "more than one document"),
            ("a: 1\na: 2\n", "line 2: 'a' is given twice"),
            ("? [a]\n: 1\n", "no single value"),
            ("a: [1\n", "line"),
        ] {
            let e = Node::parse(text).expect_err(text);
            assert!(e.contains(why), "{text}: {e}");
        }
        assert_eq!(Node::parse(""), Ok(Node::Map(Vec::new())));
    }
}
