//! A JSON body read into the type of a request.
//!
//! Owns: where a body does not fit (the path in the document), and which of its members nobody knew. Never: the
//! body's transfer, or what a member means.
//!
//! In two steps: text into a tree, of which there is one kind, and the tree into a type. The code that serde makes for a
//! type is then made for this reader alone, which is small; on top of serde_json's it was half a megabyte of the binary.

use std::{cell::RefCell, fmt};

use axum::http::StatusCode;
use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{BorrowedStrDeserializer, MapAccessDeserializer},
    },
    forward_to_deserialize_any,
};

use super::problem::{Answer, Problem};

/// Of a body of unknown members no more than these are named.
const MOST_NAMED: usize = 20;

/// What is no JSON is 400 with line and column, JSON of the wrong shape 422 with the path; beside what was read, the paths
/// of the members that its type does not know.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Answer<(T, Vec<String>)> {
    let tree = tree(bytes)?;
    let ignored = RefCell::default();
    match T::deserialize(Reader { at: &tree, path: &Path::Root, ignored: &ignored }) {
        Ok(v) => Ok((v, told(ignored.into_inner()))),
        Err(e) => Err(misfit(&e)),
    }
}

fn tree(bytes: &[u8]) -> Answer<Tree> {
    serde_json::from_slice(bytes).map_err(|e| Box::new(Problem::malformed(format!("the body is not JSON: {e}"))))
}

fn told(ignored: Vec<String>) -> Vec<String> {
    if !ignored.is_empty() {
        tracing::info!(members = ignored.join(", "), "members of the request are not known here, and are ignored");
    }
    ignored
}

fn misfit(e: &Misfit) -> Box<Problem> {
    Box::new(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the body does not fit: {e}")))
}

/// JSON as it was sent: members in their order, one given twice is there twice.
enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl<'de> de::Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Grower)
    }
}

struct Grower;

impl<'de> Visitor<'de> for Grower {
    type Value = Tree;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(v))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Tree, E> {
        Ok(Tree::Unsigned(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Tree, E> {
        Ok(Tree::Signed(v))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Tree, E> {
        Ok(Tree::Float(v))
    }
    fn visit_str<E>(self, v: &str) -> Result<Tree, E> {
        Ok(Tree::Text(v.to_owned()))
    }
    fn visit_string<E>(self, v: String) -> Result<Tree, E> {
        Ok(Tree::Text(v))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(v) = all.next_element()? {
            list.push(v);
        }
        Ok(Tree::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = all.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}

/// Where in the document, from the inside out.
enum Path<'de> {
    Root,
    Member(&'de Path<'de>, &'de str),
    Item(&'de Path<'de>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(Path::Root, name) => f.write_str(name),
            Path::Member(of, name) => write!(f, "{of}.{name}"),
            Path::Item(of, n) => write!(f, "{of}[{n}]"),
        }
    }
}

/// Why a document does not fit, and where.
#[derive(Debug)]
struct Misfit {
    why: String,
    /// The innermost place where it was seen; none before that is known.
    at: Option<String>,
}

impl Misfit {
    fn at(mut self, path: &Path<'_>) -> Self {
        self.at.get_or_insert_with(|| path.to_string());
        self
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_deref() {
            None | Some("") => f.write_str(&self.why),
            Some(at) => write!(f, "{at}: {}", self.why),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Misfit { why: why.to_string(), at: None }
    }
    /// JSON's word for it.
    fn invalid_type(is: Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let is = if is == Unexpected::Unit { Unexpected::Other("null") } else { is };
        Misfit::custom(format_args!("invalid type: {is}, expected {wanted}"))
    }
}

/// A place in the document, as serde reads from it.
#[derive(Clone, Copy)]
struct Reader<'p, 'de> {
    at: &'de Tree,
    path: &'p Path<'p>,
    ignored: &'p RefCell<Vec<String>>,
}

impl<'p, 'de> Reader<'p, 'de> {
    fn items(self, all: &'de [Tree]) -> Items<'p, 'de> {
        Items { of: self, left: all.iter().enumerate() }
    }

    fn members(self, all: &'de [(String, Tree)]) -> Members<'p, 'de> {
        Members { of: self, left: all.iter(), value: None }
    }

    /// What stands here is not of the kind that is wanted.
    fn unlike(self, wanted: &dyn de::Expected) -> Misfit {
        let is = match self.at {
            Tree::Null => Unexpected::Unit,
            Tree::Bool(b) => Unexpected::Bool(*b),
            Tree::Unsigned(n) => Unexpected::Unsigned(*n),
            Tree::Signed(n) => Unexpected::Signed(*n),
            Tree::Float(n) => Unexpected::Float(*n),
            Tree::Text(s) => Unexpected::Str(s),
            Tree::List(_) => Unexpected::Seq,
            Tree::Map(_) => Unexpected::Map,
        };
        Misfit::invalid_type(is, wanted)
    }
}

macro_rules! numbers {
    ($($way:ident)*) => {
        $(fn $way<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
            self.deserialize_f64(v)
        })*
    };
}

/// Each kind that a type asks for has its own way: by `deserialize_any` every type would carry the code for all that it
/// might meet.
impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        match self.at {
            Tree::Null => v.visit_unit(),
            Tree::Bool(b) => v.visit_bool(*b),
            Tree::Unsigned(n) => v.visit_u64(*n),
            Tree::Signed(n) => v.visit_i64(*n),
            Tree::Float(n) => v.visit_f64(*n),
            Tree::Text(s) => v.visit_borrowed_str(s),
            Tree::List(all) => v.visit_seq(self.items(all)),
            Tree::Map(all) => v.visit_map(self.members(all)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        if matches!(self.at, Tree::Null) { v.visit_none() } else { v.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, v: V) -> Result<V::Value, Misfit> {
        v.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], v: V) -> Result<V::Value, Misfit> {
        match self.at {
            Tree::Text(s) => v.visit_enum(s.as_str().into_deserializer()),
            Tree::Map(all) => v.visit_enum(MapAccessDeserializer::new(self.members(all))),
            _ => Err(self.unlike(&v)),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        match self.at {
            Tree::Bool(b) => v.visit_bool(*b),
            _ => Err(self.unlike(&v)),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        match self.at {
            Tree::Unsigned(n) => v.visit_u64(*n),
            Tree::Signed(n) => v.visit_i64(*n),
            Tree::Float(n) => v.visit_f64(*n),
            _ => Err(self.unlike(&v)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        match self.at {
            Tree::Text(s) => v.visit_borrowed_str(s),
            _ => Err(self.unlike(&v)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        match self.at {
            Tree::List(all) => v.visit_seq(self.items(all)),
            _ => Err(self.unlike(&v)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        match self.at {
            // Free maps take it for an empty one.
            Tree::Null => v.visit_unit(),
            Tree::Map(all) => v.visit_map(self.members(all)),
            _ => Err(self.unlike(&v)),
        }
    }

    /// Members by their names only: a list of their values, as other formats have it, is no JSON object.
    fn deserialize_struct<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], v: V) -> Result<V::Value, Misfit> {
        self.deserialize_map(v)
    }

    fn deserialize_string<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(v)
    }

    /// Nobody knows this member.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, v: V) -> Result<V::Value, Misfit> {
        let mut ignored = self.ignored.borrow_mut();
        if ignored.len() < MOST_NAMED {
            ignored.push(self.path.to_string());
        }
        v.visit_unit()
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32
    }

    forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier }
}

struct Items<'p, 'de> {
    of: Reader<'p, 'de>,
    left: std::iter::Enumerate<std::slice::Iter<'de, Tree>>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Misfit;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some((n, at)) = self.left.next() else { return Ok(None) };
        let path = Path::Item(self.of.path, n);
        seed.deserialize(Reader { at, path: &path, ignored: self.of.ignored }).map(Some).map_err(|e| e.at(&path))
    }
    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

struct Members<'p, 'de> {
    of: Reader<'p, 'de>,
    left: std::slice::Iter<'de, (String, Tree)>,
    /// Of the key that was asked for last.
    value: Option<&'de (String, Tree)>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Misfit;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        self.value = self.left.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let path = Path::Member(self.of.path, key);
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some).map_err(|e: Misfit| e.at(&path))
    }
    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Misfit> {
        let Some((key, at)) = self.value else { return Err(Misfit::custom("a value without its name")) };
        let path = Path::Member(self.of.path, key);
        seed.deserialize(Reader { at, path: &path, ignored: self.of.ignored }).map_err(|e| e.at(&path))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "camelCase")]
    struct Request {
        some_name: String,
        count: Option<u32>,
        kind: Option<Kind>,
        #[serde(default)]
        parts: Vec<Part>,
        #[serde(default)]
        any: BTreeMap<String, Value>,
        either: Option<Either>,
        way: Option<Way>,
        #[serde(default)]
        free: serde_json::Map<String, Value>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "UPPERCASE")]
    enum Kind {
        One,
        Two,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Part {
        size: i16,
        ratio: Option<f32>,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Part(Part),
    }
    #[derive(Debug, Deserialize, PartialEq)]
    enum Way {
        There(u8),
        Back { again: bool },
    }

    fn refusal(body: &str) -> (u16, String) {
        let p = read::<Request>(body.as_bytes()).map(|_| ()).expect_err(body);
        (p.status.as_u16(), p.detail.clone())
    }

    #[test]
    fn a_body_is_read_and_what_nobody_knows_is_named() {
        let body = br#"{"someName": "a\u00e9", "count": 3, "kind": "TWO", "x": {"y": 1}, "any": {"k": [1, -2, 2.5, null, {"b": true}]},
            "parts": [{"size": -5, "ratio": 1, "z": 0}, {"size": 7, "ratio": 0.5}], "either": {"size": 1}, "way": {"Back": {"again": true}}}"#;
        let (r, ignored) = read::<Request>(body).expect("read");
        let any: Value = serde_json::from_str(r#"[1, -2, 2.5, null, {"b": true}]"#).expect("json");
        let want = Request {
            some_name: "a\u{e9}".into(),
            count: Some(3),
            kind: Some(Kind::Two),
            parts: vec![Part { size: -5, ratio: Some(1.0) }, Part { size: 7, ratio: Some(0.5) }],
            any: [("k".to_owned(), any)].into(),
            either: Some(Either::Part(Part { size: 1, ratio: None })),
            way: Some(Way::Back { again: true }),
            free: serde_json::Map::new(),
        };
        assert_eq!((r, ignored), (want, vec!["x".to_owned(), "parts[0].z".to_owned()]));
        let (r, ignored) = read::<Request>(br#"{"someName": "a", "count": null, "way": {"There": 3}, "free": null}"#).expect("read");
        assert_eq!((r.count, r.way, ignored.len()), (None, Some(Way::There(3)), 0));
        let many: String = (0..100).map(|n| format!(", \"m{n}\": {n}")).collect();
        assert_eq!(read::<Request>(format!("{{\"someName\": \"a\"{many}}}").as_bytes()).expect("read").1.len(), MOST_NAMED);
    }

    #[test]
    fn a_misfit_says_where_and_what_it_is() {
        for (body, status, want) in [
            ("{", 400, "the body is not JSON: EOF while parsing an object at line 1 column 1"),
            ("{} x", 400, "the body is not JSON: trailing characters at line 1 column 4"),
            ("[]", 422, "the body does not fit: invalid type: sequence, expected struct Request"),
            ("null", 422, "the body does not fit: invalid type: null, expected struct Request"),
            ("{}", 422, "the body does not fit: missing field `someName`"),
            (r#"{"someName": 7}"#, 422, "the body does not fit: someName: invalid type: integer `7`, expected a string"),
            (r#"{"someName": null}"#, 422, "the body does not fit: someName: invalid type: null, expected a string"),
            (r#"{"someName": "a", "someName": "b"}"#, 422, "the body does not fit: duplicate field `someName`"),
            (r#"{"someName": "a", "count": -1}"#, 422, "the body does not fit: count: invalid value: integer `-1`, expected u32"),
            (r#"{"someName": "a", "kind": "THREE"}"#, 422, "the body does not fit: kind: unknown variant `THREE`, expected `ONE` or `TWO`"),
            (r#"{"someName": "a", "kind": []}"#, 422, "the body does not fit: kind: invalid type: sequence, expected enum Kind"),
            (
                r#"{"someName": "a", "parts": [{"size": 1}, {"size": "x"}]}"#,
                422,
                "the body does not fit: parts[1].size: invalid type: string \"x\", expected i16",
            ),
            (r#"{"someName": "a", "parts": [{"ratio": 1}]}"#, 422, "the body does not fit: parts[0]: missing field `size`"),
        ] {
            assert_eq!(refusal(body), (status, want.to_owned()), "{body}");
        }
    }

    #[test]
    fn a_body_that_nests_without_end_is_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let (status, why) = refusal(&format!("{{\"someName\": \"a\", \"x\": {deep}}}"));
        assert_eq!(status, 400);
        assert!(why.contains("recursion limit"), "{why}");
    }
}
