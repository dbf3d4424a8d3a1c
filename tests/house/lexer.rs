//! Rust source to tokens, as far as paths need it: names and punctuation with their lines. Comments,
//! strings and characters are passed over, so that no rule trips on prose.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Name(String),
    /// `::`
    Sep,
    Mark(char),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
}

impl Token {
    pub fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Name(n) => Some(n),
            Kind::Sep | Kind::Mark(_) => None,
        }
    }

    pub fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }
}

pub fn tokens(text: &str) -> Vec<Token> {
    let c: Vec<char> = text.chars().collect();
    let at = |i: usize| c.get(i).copied().unwrap_or('\0');
    let (mut i, mut line, mut out) = (0, 1, Vec::new());
    while i < c.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => i = until(&c, i, |j| at(j) == '\n'),
            '/' if at(i + 1) == '*' => i = block_comment(&c, i),
            '"' => i = string(&c, i + 1),
            '\'' => i = char_or_lifetime(&c, i),
            ':' if at(i + 1) == ':' => {
                out.push(Token { kind: Kind::Sep, line });
                i += 2;
            }
            x if x.is_alphabetic() || x == '_' => {
                i = until(&c, i, |j| !(at(j).is_alphanumeric() || at(j) == '_'));
                let name: String = c[start..i].iter().collect();
                // r"..", br#".."#, c"..", b"..", b'x', and r#name.
                let prefix = matches!(name.as_str(), "r" | "b" | "c" | "br" | "cr");
                if prefix && name.ends_with('r') && raw_string(&c, i).is_some() {
                    i = raw_string(&c, i).unwrap_or(i);
                } else if prefix && at(i) == '"' {
                    i = string(&c, i + 1);
                } else if name == "b" && at(i) == '\'' {
                    i = char_or_lifetime(&c, i);
                } else if name == "r" && at(i) == '#' {
                    i += 1;
                } else {
                    out.push(Token { kind: Kind::Name(name), line });
                }
            }
            x if x.is_ascii_digit() => i = until(&c, i, |j| !(at(j).is_alphanumeric() || at(j) == '_')),
            x => {
                if !x.is_whitespace() {
                    out.push(Token { kind: Kind::Mark(x), line });
                }
                i += 1;
            }
        }
        line += c[start..i.min(c.len())].iter().filter(|x| **x == '\n').count();
    }
    out
}

fn until(c: &[char], from: usize, stop: impl Fn(usize) -> bool) -> usize {
    (from..c.len()).find(|j| stop(*j)).unwrap_or(c.len())
}

fn block_comment(c: &[char], from: usize) -> usize {
    let (mut i, mut depth) = (from, 0);
    while i < c.len() {
        match (c[i], c.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

/// From behind the opening quote to behind the closing one.
fn string(c: &[char], from: usize) -> usize {
    let mut i = from;
    while i < c.len() && c[i] != '"' {
        i += if c[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

/// The end of a raw string whose hashes or quote start at `from`.
fn raw_string(c: &[char], from: usize) -> Option<usize> {
    let open = until(c, from, |j| c[j] != '#');
    let hashes = open - from;
    if c.get(open) != Some(&'"') {
        return None;
    }
    let close = |j: &usize| c[*j] == '"' && c[j + 1..].iter().take_while(|x| **x == '#').count() >= hashes;
    (open + 1..c.len()).find(close).map(|j| j + 1 + hashes)
}

fn char_or_lifetime(c: &[char], from: usize) -> usize {
    if c.get(from + 1) == Some(&'\\') {
        // '\'' and '\\' close at their second character at the earliest.
        return until(c, from + 3, |j| c[j] == '\'') + 1;
    }
    if c.get(from + 2) == Some(&'\'') { from + 3 } else { from + 1 }
}

#[test]
fn prose_is_no_code() {
    let text = r####"
        // crate::a
        /* crate::b /* crate::c */ crate::d */
        let s = "crate::e \" crate::f"; let r = r#"crate::g " "#; let b = b"crate::h";
        let q = '"'; let x = '\''; let l: &'static str = crate::seen;
    "####;
    let names: Vec<_> = tokens(text).iter().filter_map(|t| t.name().map(|n| (n.to_owned(), t.line))).collect();
    assert!(names.contains(&("seen".to_owned(), 5)), "{names:?}");
    assert_eq!(names.iter().filter(|(n, _)| n == "crate").count(), 1, "{names:?}");
}
