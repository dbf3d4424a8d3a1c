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
