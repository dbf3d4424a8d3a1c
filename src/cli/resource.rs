//! What the resources of ETSI's APIs have in common: list, show, find by id or name, delete.

use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::short,
    output::{Out, plain},
};
use crate::descriptor::document;

/// A kind of resource: where it lives and what of it people want to see.
pub struct Kind {
    pub what: &'static str,
    pub path: &'static str,
    /// Heading and member of each column.
    pub columns: &'static [(&'static str, &'static str)],
    /// Members by which a resource may be named, besides its id.
    pub names: &'static [&'static str],
}

impl Kind {
    pub fn list(&self, client: &Client) -> Result<Vec<Value>, Failure> {
        match client.get(self.path)? {
            Value::Array(all) => Ok(all),
            other => Err(Failure::Here(format!("{} gave no list but {}", self.path, plain(&other)))),
        }
    }

    pub fn show_list(&self, client: &Client, out: &Out) -> Result<(), Failure> {
        let all = self.list(client)?;
        let head: Vec<&str> = self.columns.iter().map(|c| c.0).collect();
        let rows = all.iter().map(|v| self.columns.iter().map(|c| short(&plain(&v[c.1])).to_owned()).collect()).collect();
        out.table(&Value::Array(all), &head, rows);
        Ok(())
    }

    /// The path of one resource, named by id, by the first characters of its id, or by name.
    pub fn find(&self, client: &Client, named: &str) -> Result<String, Failure> {
        if uuid::Uuid::parse_str(named).is_ok() {
            return Ok(format!("{}/{named}", self.path));
        }
        let id = pick(self, &self.list(client)?, named)?;
        Ok(format!("{}/{id}", self.path))
    }

    /// Which of these is meant: its id.
    pub fn pick(&self, all: &[Value], named: &str) -> Result<String, Failure> {
        pick(self, all, named)
    }

    /// The same, where it is no fault that there is none.
    pub fn maybe(&self, client: &Client, named: &str) -> Result<Option<String>, Failure> {
        match self.find(client, named).and_then(|path| client.get(&path).map(|_| path)) {
            Ok(path) => Ok(Some(path)),
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            Err(f) => Err(f),
        }
    }

    pub fn show(&self, client: &Client, out: &Out, named: &str) -> Result<(), Failure> {
        out.record(&client.get(&self.find(client, named)?)?);
        Ok(())
    }

    pub fn delete(&self, client: &Client, out: &Out, named: &str) -> Result<(), Failure> {
        client.delete(&self.find(client, named)?)?;
        out.done(&Value::Null, &format!("deleted {} {named}", self.what));
        Ok(())
    }
}

fn pick(kind: &Kind, all: &[Value], named: &str) -> Result<String, Failure> {
    let id = |v: &Value| v["id"].as_str().unwrap_or_default().to_owned();
    let by_name: Vec<String> = all.iter().filter(|v| kind.names.iter().any(|n| v[*n] == named)).map(id).collect();
    let by_id = || all.iter().map(id).filter(|i| named.len() >= 4 && i.starts_with(named)).collect();
    let found: Vec<String> = if by_name.is_empty() { by_id() } else { by_name };
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(Failure::Refused { status: 404, detail: format!("there is no {} '{named}'", kind.what), reasons: Vec::new() }),
        many => Err(Failure::Usage(format!("'{named}' could be {} {}s: name one by its id: {}", many.len(), kind.what, many.join(", ")))),
    }
}

/// `key=value` as given on the command line; a value that is JSON stays what it is.
pub fn key_values(all: &[String]) -> Result<Value, Failure> {
    let mut map = serde_json::Map::new();
    for kv in all {
        let (k, v) = kv.split_once('=').ok_or_else(|| Failure::Usage(format!("'{kv}' must be KEY=VALUE")))?;
        map.insert(k.to_owned(), serde_json::from_str(v).unwrap_or_else(|_| Value::String(v.to_owned())));
    }
    Ok(Value::Object(map))
}

/// A request from a JSON or YAML file, to be completed by arguments.
pub fn request(file: Option<&camino::Utf8Path>) -> Result<serde_json::Map<String, Value>, Failure> {
    let Some(file) = file else { return Ok(serde_json::Map::new()) };
    let text = std::fs::read_to_string(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
    match document::read(&text) {
        Ok(Value::Object(request)) => Ok(request),
        Ok(_) => Err(Failure::here(format!("{file} is no request"), "it must be a map of members")),
        Err(e) => Err(Failure::here(format!("{file} is no request"), e)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KIND: Kind = Kind { what: "thing", path: "/t", columns: &[("ID", "id")], names: &["name", "alias"] };

    #[test]
    fn a_resource_is_found_by_name_or_by_the_start_of_its_id_and_never_guessed() {
        let all = [json!({"id": "aaaa1", "name": "x"}), json!({"id": "aaaa2", "alias": "y"}), json!({"id": "bbbb1", "name": "x"})];
        let find = |n: &str| pick(&KIND, &all, n).map_err(|f| f.exit() as u8);
        for (named, want) in
            [("y", Ok("aaaa2".to_owned())), ("bbbb", Ok("bbbb1".into())), ("bbb", Err(3)), ("x", Err(2)), ("aaaa", Err(2)), ("z", Err(3))]
        {
            assert_eq!(find(named), want, "{named}");
        }
    }

    #[test]
    fn parameters_keep_their_types() {
        let all = ["n=3", "s=three", "l=[1,2]", "e="].map(String::from);
        assert_eq!(key_values(&all).expect("pairs"), json!({"n": 3, "s": "three", "l": [1, 2], "e": ""}));
        assert!(key_values(&["bare".into()]).is_err());
    }
}
