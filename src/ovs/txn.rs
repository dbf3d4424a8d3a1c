//! A database transaction as data (RFC 7047, 5.2) and what came of it.
//!
//! Owns: the operations Bothy uses and the reading of their errors. Never: a socket.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    rows::Table,
    value::{Atom, Datum},
};
use crate::model::error::{Fault, Result};

/// Columns and values of one row.
pub type Columns = Vec<(&'static str, Datum)>;

/// Operations that take effect together or not at all.
#[derive(Debug, Clone)]
pub struct Txn {
    what: String,
    ops: Vec<Value>,
}

impl Txn {
    /// `what` is put in the database's log as a comment, and in front of each error.
    pub fn new(what: impl Into<String>) -> Self {
        let what = what.into();
        let comment = json!({"op": "comment", "comment": format!("bothy: {what}")});
        Txn { what, ops: vec![comment] }
    }
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Says nothing but its comment.
    pub fn is_empty(&self) -> bool {
        self.ops.len() == 1
    }

    #[must_use]
    pub fn insert(mut self, table: Table, named: &str, row: Columns) -> Self {
        self.ops.push(json!({"op": "insert", "table": table.name(), "uuid-name": named, "row": columns(row)}));
        self
    }
    #[must_use]
    pub fn update(mut self, table: Table, row: Uuid, to: Columns) -> Self {
        self.ops.push(json!({"op": "update", "table": table.name(), "where": by_uuid(row), "row": columns(to)}));
        self
    }
    /// Adds members to a set or keys to a map.
    #[must_use]
    pub fn add(mut self, table: Table, row: Uuid, column: &'static str, what: Datum) -> Self {
        self.ops
            .push(json!({"op": "mutate", "table": table.name(), "where": by_uuid(row), "mutations": [[column, "insert", what.write()]]}));
        self
    }
    /// Removes members from a set.
    #[must_use]
    pub fn take(mut self, table: Table, row: Uuid, column: &'static str, what: Datum) -> Self {
        self.ops
            .push(json!({"op": "mutate", "table": table.name(), "where": by_uuid(row), "mutations": [[column, "delete", what.write()]]}));
        self
    }
    /// Fails the transaction when a row of this name exists: somebody was faster.
    #[must_use]
    pub fn unless_named(mut self, table: Table, name: &str) -> Self {
        self.ops.push(json!({"op": "wait", "timeout": 0, "table": table.name(), "where": [["name", "==", name]],
                             "columns": ["name"], "until": "==", "rows": []}));
        self
    }
    /// Fails the transaction when this row is gone or has another name.
    #[must_use]
    pub fn while_named(mut self, table: Table, row: Uuid, name: &str) -> Self {
        self.ops.push(json!({"op": "wait", "timeout": 0, "table": table.name(), "where": by_uuid(row),
                             "columns": ["name"], "until": "==", "rows": [{"name": name}]}));
        self
    }
    /// Fails the transaction when these columns of the row are others by then.
    #[must_use]
    pub fn while_is(mut self, table: Table, row: Uuid, is: Columns) -> Self {
        let names: Vec<&str> = is.iter().map(|(name, _)| *name).collect();
        self.ops.push(json!({"op": "wait", "timeout": 0, "table": table.name(), "where": by_uuid(row),
                             "columns": names, "until": "==", "rows": [columns(is)]}));
        self
    }
    /// Raises `next_cfg` and reads it back as the last result: ovs-vswitchd copies it to
    /// `cur_cfg` when it has applied everything up to here.
    #[must_use]
    pub(super) fn with_next_cfg(mut self, root: Uuid) -> Self {
        let table = Table::OpenVSwitch.name();
        self.ops.push(json!({"op": "mutate", "table": table, "where": by_uuid(root), "mutations": [["next_cfg", "+=", 1]]}));
        self.ops.push(json!({"op": "select", "table": table, "where": by_uuid(root), "columns": ["next_cfg"]}));
        self
    }

    /// The `params` of the `transact` request.
    pub(super) fn params(&self) -> Value {
        let mut p = vec![json!("Open_vSwitch")];
        p.extend(self.ops.iter().cloned());
        Value::Array(p)
    }

    /// Looks for errors in the results. `Conflict` when a wait failed or a name was taken: read
    /// again and decide again.
    pub(super) fn check(&self, result: &Value) -> Result<Outcome> {
        let results = result.as_array().ok_or_else(|| Fault::bug(format!("{}: OVSDB answered without results", self.what)))?;
        for r in results {
            let Some(error) = r.get("error").and_then(Value::as_str) else { continue };
            let details = r.get("details").and_then(Value::as_str).unwrap_or("no details");
            let text = format!("{}: the Open vSwitch database refused: {error} ({details})", self.what);
            return Err(match error {
                "timed out" => Fault::conflict(format!("{}: the switch was changed by somebody else meanwhile", self.what)),
                "constraint violation" | "referential integrity violation" => Fault::conflict(text),
                "resources exhausted" | "I/O error" | "canceled" | "not leader" => Fault::transient(text),
                _ => Fault::bug(text),
            });
        }
        let next_cfg =
            results.last().and_then(|r| r.get("rows")?.as_array()?.first()?.get("next_cfg")?.as_i64()).filter(|_| results.len() > 1);
        Ok(Outcome { next_cfg })
    }
}

/// What a transaction that succeeded left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub next_cfg: Option<i64>,
}

fn by_uuid(row: Uuid) -> Value {
    json!([["_uuid", "==", Atom::Uuid(row).write()]])
}

fn columns(row: Columns) -> Value {
    Value::Object(row.into_iter().map(|(c, d)| (c.to_owned(), d.write())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Kind;

    #[test]
    fn each_refusal_of_the_database_gets_the_kind_that_tells_what_to_do() {
        let t = Txn::new("add port p");
        for (result, want) in [
            (json!([{}, {"error": "timed out", "details": "wait"}]), Kind::Conflict),
            (json!([{}, {"error": "constraint violation", "details": "twice"}, null]), Kind::Conflict),
            (json!([{"error": "resources exhausted"}]), Kind::Transient),
            (json!([{"error": "syntax error"}]), Kind::Bug),
            (json!({}), Kind::Bug),
        ] {
            let e = t.check(&result).expect_err("refused");
            assert_eq!(e.kind(), want, "{result}");
            assert!(e.text().starts_with("add port p: "), "{e}");
        }
        assert_eq!(t.check(&json!([{}, {"rows": [{"next_cfg": 9}]}])).map(|o| o.next_cfg).ok(), Some(Some(9)));
        assert_eq!(t.check(&json!([{}, {}])).map(|o| o.next_cfg).ok(), Some(None));
    }
}
