//! OVSDB values (RFC 7047, 5.1): atoms, sets, maps, and their JSON shapes.
//!
//! Owns: the only reading and writing of those shapes. Never: which column means what.

use serde_json::{Value, json};
use uuid::Uuid;

/// One atom. Reals do not occur in the columns Bothy reads or writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    Int(i64),
    Bool(bool),
    Str(String),
    Uuid(Uuid),
    /// A row inserted by the same transaction, by its name there.
    Named(String),
}

/// A column's value: a set (a single atom is a set of one) or a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Datum {
    Set(Vec<Atom>),
    Map(Vec<(Atom, Atom)>),
}

impl Atom {
    pub fn str(s: impl ToString) -> Atom {
        Atom::Str(s.to_string())
    }

    pub fn read(v: &Value) -> Option<Atom> {
        match v {
            Value::String(s) => Some(Atom::Str(s.clone())),
            Value::Bool(b) => Some(Atom::Bool(*b)),
            Value::Number(n) => n.as_i64().map(Atom::Int),
            Value::Array(a) => match a.as_slice() {
                [Value::String(tag), Value::String(s)] if tag == "uuid" => Uuid::parse_str(s).ok().map(Atom::Uuid),
                [Value::String(tag), Value::String(s)] if tag == "named-uuid" => Some(Atom::Named(s.clone())),
                _ => None,
            },
            Value::Null | Value::Object(_) => None,
        }
    }

    pub fn write(&self) -> Value {
        match self {
            Atom::Int(i) => json!(i),
            Atom::Bool(b) => json!(b),
            Atom::Str(s) => json!(s),
            Atom::Uuid(u) => json!(["uuid", u.to_string()]),
            Atom::Named(n) => json!(["named-uuid", n]),
        }
    }
}

impl Datum {
    pub fn one(a: Atom) -> Datum {
        Datum::Set(vec![a])
    }
    pub fn empty() -> Datum {
        Datum::Set(Vec::new())
    }
    pub fn text(s: impl ToString) -> Datum {
        Datum::one(Atom::str(s))
    }
    pub fn map<K: ToString, V: ToString>(pairs: impl IntoIterator<Item = (K, V)>) -> Datum {
        Datum::Map(pairs.into_iter().map(|(k, v)| (Atom::str(k), Atom::str(v))).collect())
    }

    pub fn read(v: &Value) -> Option<Datum> {
        if let Value::Array(a) = v
            && let [Value::String(tag), Value::Array(items)] = a.as_slice()
        {
            match tag.as_str() {
                "set" => return items.iter().map(Atom::read).collect::<Option<_>>().map(Datum::Set),
                "map" => {
                    let pair = |p: &Value| match p.as_array().map(Vec::as_slice) {
                        Some([k, v]) => Some((Atom::read(k)?, Atom::read(v)?)),
                        Some(_) | None => None,
                    };
                    return items.iter().map(pair).collect::<Option<_>>().map(Datum::Map);
                }
                _ => {}
            }
        }
        Atom::read(v).map(Datum::one)
    }

    pub fn write(&self) -> Value {
        match self {
            Datum::Set(s) => match s.as_slice() {
                [one] => one.write(),
                many => json!(["set", many.iter().map(Atom::write).collect::<Vec<_>>()]),
            },
            Datum::Map(m) => json!(["map", m.iter().map(|(k, v)| json!([k.write(), v.write()])).collect::<Vec<_>>()]),
        }
    }

    /// The atoms of a set; none of a map.
    pub fn atoms(&self) -> &[Atom] {
        match self {
            Datum::Set(s) => s,
            Datum::Map(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_the_rfc_is_read_and_written_back() {
        let u = "36bef046-7da7-43a5-905a-c17899216fcb";
        for (json, want) in [
            (json!("br0"), Datum::text("br0")),
            (json!(7), Datum::one(Atom::Int(7))),
            (json!(true), Datum::one(Atom::Bool(true))),
            (json!(["set", []]), Datum::empty()),
            (json!(["set", [1, 2]]), Datum::Set(vec![Atom::Int(1), Atom::Int(2)])),
            (json!(["uuid", u]), Datum::one(Atom::Uuid(u.parse().expect("uuid")))),
            (json!(["named-uuid", "p"]), Datum::one(Atom::Named("p".into()))),
            (json!(["map", [["k", "v"]]]), Datum::map([("k", "v")])),
        ] {
            assert_eq!(Datum::read(&json), Some(want.clone()), "{json}");
            assert_eq!(want.write(), json);
        }
        assert_eq!(Datum::read(&json!(["set", [7]])), Some(Datum::one(Atom::Int(7))));
    }

    #[test]
    fn what_is_no_value_is_not_guessed() {
        for bad in [json!(null), json!({}), json!(["set", {}]), json!(["uuid", "x"]), json!(["map", [["k"]]]), json!([]), json!(1.5)] {
            assert_eq!(Datum::read(&bad), None, "{bad}");
        }
    }
}
