//! Attribute-based filters (SOL013 5.2): which entries of a list a client wants.
//!
//! Owns both styles: `filter=(eq,attr/sub,value);(in,attr,a,b)`, and the older `?attr.sub.eq=a,b` of
//! the v1 majors. An entry is wanted when every expression holds. An attribute that is not there
//! makes its expression false, whatever the operator. Where a path leads through lists, one element
//! has to satisfy all expressions of that same path. Never: which attributes a resource has (that is
//! `shape`), or where entries come from.

use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Eq,
    Neq,
    In,
    Nin,
    Gt,
    Gte,
    Lt,
    Lte,
    Cont,
    Ncont,
}

impl Op {
    pub const ALL: [Op; 10] = [Op::Eq, Op::Neq, Op::In, Op::Nin, Op::Gt, Op::Gte, Op::Lt, Op::Lte, Op::Cont, Op::Ncont];

    pub fn name(self) -> &'static str {
        match self {
            Op::Eq => "eq",
            Op::Neq => "neq",
            Op::In => "in",
            Op::Nin => "nin",
            Op::Gt => "gt",
            Op::Gte => "gte",
            Op::Lt => "lt",
            Op::Lte => "lte",
            Op::Cont => "cont",
            Op::Ncont => "ncont",
        }
    }
    fn parse(name: &str) -> Option<Op> {
        Op::ALL.into_iter().find(|o| o.name() == name)
    }
    fn takes_many(self) -> bool {
        match self {
            Op::In | Op::Nin | Op::Cont | Op::Ncont => true,
            Op::Eq | Op::Neq | Op::Gt | Op::Gte | Op::Lt | Op::Lte => false,
        }
    }
}

/// The name that stands for the keys of a map (SOL013 5.2.2).
const KEYS: &str = "@key";

/// One step on the way to an attribute. `@key` and an attribute of that name differ.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Name(String),
    Keys,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    op: Op,
    values: Vec<String>,
}

/// All expressions of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    path: Vec<Part>,
    tests: Vec<Test>,
}

/// A whole filter; the empty one wants everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    groups: Vec<Group>,
}

impl Filter {
    /// Adds what `filter=` says. The error tells what is wrong and at which character.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let mut reader = Reader { text, at: 0 };
        loop {
            let (path, test) = reader.expression()?;
            self.put(path, test);
            match reader.next() {
                None => return Ok(()),
                Some(';') => {}
                Some(c) => return Err(reader.fault(&format!("';' is expected between expressions, not '{c}'"))),
            }
        }
    }

    /// Adds one parameter of the older style: `attr[.sub][.op]=value[,value]`; without operator it
    /// means `eq`. Several values are alternatives (for the negative operators: none of them).
    pub fn add_old(&mut self, name: &str, value: &str) -> Result<(), String> {
        let mut parts: Vec<&str> = name.split('.').collect();
        let op = match parts.last().and_then(|p| Op::parse(p)) {
            Some(op) if parts.len() > 1 => {
                parts.pop();
                op
            }
            Some(_) | None => Op::Eq,
        };
        if parts.iter().any(|p| p.is_empty()) {
            return Err(format!("'{name}' is no attribute: a part of it is empty"));
        }
        let values: Vec<String> = value.split(',').map(Into::into).collect();
        let op = match op {
            Op::Eq => Op::In,
            Op::Neq => Op::Nin,
            Op::Gt | Op::Gte | Op::Lt | Op::Lte if values.len() > 1 => return Err(format!("'{name}' takes one value")),
            Op::Gt | Op::Gte | Op::Lt | Op::Lte | Op::In | Op::Nin | Op::Cont | Op::Ncont => op,
        };
        self.put(parts.into_iter().map(|p| Part::Name(p.into())).collect(), Test { op, values });
        Ok(())
    }

    fn put(&mut self, path: Vec<Part>, test: Test) {
        match self.groups.iter_mut().find(|g| g.path == path) {
            Some(g) => g.tests.push(test),
            None => self.groups.push(Group { path, tests: vec![test] }),
        }
    }

    /// The resource's own members that the filter looks at.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|g| match g.path.first() {
            Some(Part::Name(n)) => n.as_str(),
            Some(Part::Keys) | None => KEYS,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub fn wants(&self, entry: &Value) -> bool {
        self.groups.iter().all(|g| any_leaf(entry, &g.path, &mut |leaf| g.tests.iter().all(|t| t.holds(leaf))))
    }
}

/// Whether a value at the end of the path satisfies `test`; lists on the way are looked through.
fn any_leaf(at: &Value, path: &[Part], test: &mut dyn FnMut(&Value) -> bool) -> bool {
    match (at, path) {
        (Value::Array(all), _) => all.iter().any(|v| any_leaf(v, path, test)),
        (Value::Object(members), [Part::Name(name), rest @ ..]) => members.get(name).is_some_and(|v| any_leaf(v, rest, test)),
        (Value::Object(members), [Part::Keys]) => members.keys().any(|k| test(&Value::String(k.clone()))),
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), []) => test(at),
        _ => false,
    }
}

impl Test {
    fn holds(&self, leaf: &Value) -> bool {
        let any = |f: fn(&Value, &str) -> bool| self.values.iter().any(|v| f(leaf, v));
        let ordered = |f: fn(std::cmp::Ordering) -> bool| self.values.first().and_then(|v| order(leaf, v)).is_some_and(f);
        match self.op {
            Op::Eq | Op::In => any(equal),
            Op::Neq | Op::Nin => !any(equal),
            Op::Gt => ordered(std::cmp::Ordering::is_gt),
            Op::Gte => ordered(std::cmp::Ordering::is_ge),
            Op::Lt => ordered(std::cmp::Ordering::is_lt),
            Op::Lte => ordered(std::cmp::Ordering::is_le),
            Op::Cont => any(contains),
            Op::Ncont => leaf.is_string() && !any(contains),
        }
    }
}

fn equal(leaf: &Value, text: &str) -> bool {
    match leaf {
        Value::String(s) => s == text || time(s).is_some_and(|t| Some(t) == time(text)),
        Value::Bool(b) => text == if *b { "true" } else { "false" },
        Value::Number(_) => order(leaf, text).is_some_and(std::cmp::Ordering::is_eq),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

fn contains(leaf: &Value, text: &str) -> bool {
    leaf.as_str().is_some_and(|s| s.contains(text))
}

/// Numbers by size, times by the moment, other text by its characters.
fn order(leaf: &Value, text: &str) -> Option<std::cmp::Ordering> {
    match leaf {
        Value::Number(n) => match (n.as_i64(), text.parse::<i64>()) {
            (Some(a), Ok(b)) => Some(a.cmp(&b)),
            _ => n.as_f64()?.partial_cmp(&text.parse::<f64>().ok()?),
        },
        Value::String(s) => match (time(s), time(text)) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => Some(s.as_str().cmp(text)),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn time(text: &str) -> Option<jiff::Timestamp> {
    // Short texts and numbers are not worth the parser.
    (text.len() >= 20 && text.as_bytes()[4] == b'-').then(|| text.parse().ok()).flatten()
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.text[self.at..].chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }
    fn fault(&self, what: &str) -> String {
        format!("the filter cannot be read at character {}: {what}", self.text[..self.at].chars().count())
    }
    fn expect(&mut self, c: char) -> Result<(), String> {
        match self.next() {
            Some(d) if d == c => Ok(()),
            Some(d) => Err(self.fault(&format!("'{c}' is expected, not '{d}'"))),
            None => Err(self.fault(&format!("'{c}' is expected, and there is nothing more"))),
        }
    }
    /// Up to the next comma.
    fn word(&mut self) -> Result<String, String> {
        let mut word = String::new();
        loop {
            match self.peek() {
                Some(',') => return Ok(word),
                Some('(' | ')' | ';') | None => return Err(self.fault("an expression is (operator,attribute,value)")),
                Some(c) => {
                    word.push(c);
                    self.next();
                }
            }
        }
    }

    fn expression(&mut self) -> Result<(Vec<Part>, Test), String> {
        self.expect('(')?;
        let name = self.word()?;
        let op = Op::parse(&name).ok_or_else(|| {
            let all: Vec<&str> = Op::ALL.iter().map(|o| o.name()).collect();
            self.fault(&format!("'{name}' is none of the operators {}", all.join(", ")))
        })?;
        self.expect(',')?;
        let path = self.path()?;
        let mut values = Vec::new();
        loop {
            self.expect(',')?;
            values.push(self.value()?);
            match self.peek() {
                Some(')') => break,
                Some(',') => {}
                Some(c) => return Err(self.fault(&format!("',' or ')' is expected after a value, not '{c}'"))),
                None => return Err(self.fault("')' is expected, and there is nothing more")),
            }
        }
        self.expect(')')?;
        if values.len() > 1 && !op.takes_many() {
            return Err(self.fault(&format!("{} takes one value", op.name())));
        }
        Ok((path, Test { op, values }))
    }

    fn path(&mut self) -> Result<Vec<Part>, String> {
        let text = self.word()?;
        let mut parts = Vec::new();
        for raw in text.split('/') {
            if parts.last() == Some(&Part::Keys) {
                return Err(self.fault("nothing can follow @key: it stands for the keys of a map"));
            }
            parts.push(if raw == KEYS { Part::Keys } else { Part::Name(self.unescape(raw)?) });
        }
        Ok(parts)
    }

    /// `~0` to `~`, `~1` to `/`, `~a` to `,`, `~b` to `@`.
    fn unescape(&self, raw: &str) -> Result<String, String> {
        let mut name = String::new();
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            name.push(match c {
                '~' => match chars.next() {
                    Some('0') => '~',
                    Some('1') => '/',
                    Some('a') => ',',
                    Some('b') => '@',
                    Some(_) | None => return Err(self.fault(&format!("'{raw}' has a '~' that is none of ~0, ~1, ~a, ~b"))),
                },
                c => c,
            });
        }
        if name.is_empty() { Err(self.fault("a part of the attribute's name is empty")) } else { Ok(name) }
    }

    /// A value with ')', ',' or a quote in it stands in single quotes, and a quote is doubled there.
    fn value(&mut self) -> Result<String, String> {
        let mut value = String::new();
        if self.peek() != Some('\'') {
            while let Some(c) = self.peek().filter(|c| !matches!(c, ',' | ')')) {
                if c == '\'' {
                    return Err(self.fault("a value with a quote in it stands in single quotes, with the quote doubled"));
                }
                value.push(c);
                self.next();
            }
            return Ok(value);
        }
        self.next();
        loop {
            match (self.next(), self.peek()) {
                (Some('\''), Some('\'')) => {
                    value.push('\'');
                    self.next();
                }
                (Some('\''), _) => return Ok(value),
                (Some(c), _) => value.push(c),
                (None, _) => return Err(self.fault("the quoted value has no end")),
            }
        }
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
