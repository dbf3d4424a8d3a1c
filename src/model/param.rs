//! Parameters of an instantiation (`additionalParams`), as values without a wire shape.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A parameter's value; numbers keep the digits they came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Param {
    Null,
    Bool(bool),
    Number(SmolStr),
    Text(String),
    List(Vec<Param>),
    Map(Vec<(SmolStr, Param)>),
}

impl Param {
    /// As others read it: a number is one.
    pub fn plain(&self) -> Plain<'_> {
        Plain(self)
    }
}

/// Writes a parameter by serde as what it means.
pub struct Plain<'p>(&'p Param);

impl Serialize for Plain<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Param::Null => to.serialize_unit(),
            Param::Bool(b) => to.serialize_bool(*b),
            Param::Text(t) => to.serialize_str(t),
            Param::List(all) => to.collect_seq(all.iter().map(Plain)),
            Param::Map(all) => to.collect_map(all.iter().map(|(k, v)| (k, Plain(v)))),
            Param::Number(n) => match (n.parse::<i64>(), n.parse::<u64>(), n.parse::<f64>()) {
                (Ok(whole), _, _) => to.serialize_i64(whole),
                (_, Ok(whole), _) => to.serialize_u64(whole),
                (_, _, Ok(real)) => to.serialize_f64(real),
                // One that nobody can hold is the text it is.
                _ => to.serialize_str(n),
            },
        }
    }
}

/// Named parameters, in the order given.
pub type Params = Vec<(SmolStr, Param)>;

/// Lays `over` on `base`, name by name (the whole value replaces the older one).
#[must_use]
pub fn overlay(base: &Params, over: &Params) -> Params {
    let mut out = base.clone();
    for (name, value) in over {
        match out.iter_mut().find(|(n, _)| n == name) {
            Some(slot) => slot.1 = value.clone(),
            None => out.push((name.clone(), value.clone())),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_layer_wins_by_name() {
        let base = vec![("a".into(), Param::Bool(true)), ("b".into(), Param::Null)];
        let over = vec![("b".into(), Param::Text("x".into())), ("c".into(), Param::Null)];
        let got = overlay(&base, &over);
        assert_eq!(got.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(got[1].1, Param::Text("x".into()));
    }
}
