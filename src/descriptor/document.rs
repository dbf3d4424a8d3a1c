//! A YAML or JSON text as a JSON value: a request in a file, a document that is no descriptor.
//!
//! Owns the types of scalars, as YAML 1.2's core schema has them (10.3): `1` is a number, `"1"` and `yes` are text.
//! Never: what the document means.

use serde_json::{Map, Number, Value};

use super::{
    diagnose::{Diagnostic, Severity, Sink},
    limits::Limits,
    tosca::yaml::{self, Node},
};

/// Every fault of the text, a line each.
pub fn read(text: &str) -> Result<Value, String> {
    let sink = Sink::default();
    let root = yaml::parse(text, "", &Limits::default(), &sink);
    let found = sink.finish();
    let faults: Vec<String> = found.iter().filter(|d| d.severity == Severity::Error).map(fault).collect();
    match root {
        Some(root) if faults.is_empty() => Ok(value(&root)),
        Some(_) | None => Err(faults.join("\n")),
    }
}

fn fault(d: &Diagnostic) -> String {
    let hint = d.hint.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
    if d.line == 0 { format!("{}{hint}", d.message) } else { format!("line {}, column {}: {}{hint}", d.line, d.column, d.message) }
}

fn value(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::Null,
        yaml::Value::Scalar(text) if node.plain => plain(text),
        yaml::Value::Scalar(text) => Value::String(text.clone()),
        yaml::Value::Seq(all) => Value::Array(all.iter().map(|n| value(n)).collect()),
        yaml::Value::Map(all) => Value::Object(all.iter().map(|(k, n)| (k.text.to_string(), value(n))).collect::<Map<_, _>>()),
    }
}

fn plain(text: &str) -> Value {
    match text {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let number = integer(text).or_else(|| float(text));
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn integer(text: &str) -> Option<Number> {
    let based = |digits: &str, base| digits.bytes().all(|b| b.is_ascii_alphanumeric()).then(|| u64::from_str_radix(digits, base).ok())?;
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16).map(Number::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8).map(Number::from);
    }
    // What is too large for an integer goes on as a float.
    text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`: Rust's own form but for the words it knows. JSON
/// has no infinity.
fn float(text: &str) -> Option<Number> {
    let digits = text.trim_start_matches(['-', '+']);
    let first = digits.strip_prefix('.').unwrap_or(digits).bytes().next()?;
    first.is_ascii_digit().then(|| text.parse().ok().and_then(Number::from_f64))?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_have_the_types_of_the_core_schema() {
        for (text, want) in [
            ("1", json!(1)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("017", json!(17)),
            ("1.5", json!(1.5)),
            (".5e1", json!(5.0)),
            ("1e3", json!(1000.0)),
            ("99999999999999999999", json!(1e20)),
            ("true", json!(true)),
            ("False", json!(false)),
            ("yes", json!("yes")),
            ("'1'", json!("1")),
            ("\"true\"", json!("true")),
            ("!!str 1", json!("1")),
            ("~", json!(null)),
            ("1.2.3.4", json!("1.2.3.4")),
            ("10.0.0.0/8", json!("10.0.0.0/8")),
            ("0x+1", json!("0x+1")),
            (".inf", json!(".inf")),
            ("infinity", json!("infinity")),
            ("-x", json!("-x")),
            ("1_000", json!("1_000")),
            ("52:54:00:00:00:01", json!("52:54:00:00:00:01")),
        ] {
            let read = read(&format!("a: {text}\n")).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(read, json!({ "a": want }), "{text}");
        }
    }

    #[test]
    fn json_is_read_as_what_it_is_and_aliases_and_merges_are_filled_in() {
        let both = json!({"a": [1, "1", 2.5, null, {"b": "ü\n"}], "c": {}});
        assert_eq!(read(&both.to_string()).expect("read"), both);
        let text = "base: &b {x: 1}\nmore:\n  <<: *b\n  y: [*b]\n";
        assert_eq!(read(text).expect("read"), json!({"base": {"x": 1}, "more": {"y": [{"x": 1}], "x": 1}}));
    }

    #[test]
    fn faults_say_where_they_are() {
        let e = read("a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!(e, "line 3, column 1: 'a' is given twice (it is first given in line 1)");
        assert!(read("a: [1\n").expect_err("open").starts_with("line "));
        assert_eq!(read("").expect_err("empty"), "the file is empty");
    }
}
