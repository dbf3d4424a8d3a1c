//! What a package's own types demand of a property: its TOSCA constraints.
//!
//! Owns the checks of TOSCA 1.3, 3.6.3. Never: SOL001's own rules, which the readers know.

use super::{at::At, yaml::Node};

/// Checks a value against a property definition of a type.
pub fn check(def: &Node, value: &At<'_>) {
    if value.is_broken() {
        return;
    }
    let constraints = def.get("constraints").map(|c| if c.items().is_empty() { vec![c.clone()] } else { c.items().to_vec() });
    for c in constraints.unwrap_or_default() {
        for (op, arg) in c.entries() {
            let text = value.node().text();
            if let Some(why) = violated(&op.text, arg, text, value.node()) {
                value.error_hint(why, format!("the type of this node says so ({})", op.text));
            }
        }
    }
    // The items of a list have constraints of their own.
    if let Some(entry) = def.get("entry_schema").filter(|e| e.get("constraints").is_some()) {
        for item in value.items() {
            check(entry, &item);
        }
    }
}

fn violated(op: &str, arg: &Node, text: Option<&str>, value: &Node) -> Option<String> {
    let shown = text.unwrap_or("it");
    let number = |n: &Node| n.text().and_then(|t| t.trim().parse::<f64>().ok());
    let v = text.and_then(|t| t.trim().parse::<f64>().ok());
    let compare = |ok: fn(f64, f64) -> bool, words: &str| match (v, number(arg)) {
        (Some(v), Some(a)) if !ok(v, a) => Some(format!("{shown} must be {words} {a}")),
        _ => None,
    };
    let len = text.map_or(value.items().len() + value.entries().len(), |t| t.chars().count()) as f64;
    match op {
        "valid_values" => {
            let t = text?;
            let all: Vec<&str> = arg.items().iter().filter_map(|i| i.text()).collect();
            (!all.contains(&t)).then(|| format!("'{t}' is not one of the valid values: {}", all.join(", ")))
        }
        "equal" => text.filter(|t| arg.text().is_some_and(|a| a != *t)).map(|t| format!("'{t}' must be '{}'", arg.text().unwrap_or(""))),
        "greater_than" => compare(|v, a| v > a, "greater than"),
        "greater_or_equal" => compare(|v, a| v >= a, "at least"),
        "less_than" => compare(|v, a| v < a, "less than"),
        "less_or_equal" => compare(|v, a| v <= a, "at most"),
        "in_range" => match (v, arg.items()) {
            (Some(v), [low, high]) => {
                let low_ok = number(low).is_none_or(|l| v >= l);
                let high_ok = number(high).is_none_or(|h| v <= h);
                (!(low_ok && high_ok)).then(|| format!("{shown} is out of range"))
            }
            _ => None,
        },
        "length" => number(arg).filter(|a| len != *a).map(|a| format!("its length is {len} and must be {a}")),
        "min_length" => number(arg).filter(|a| len < *a).map(|a| format!("its length is {len} and must be at least {a}")),
        "max_length" => number(arg).filter(|a| len > *a).map(|a| format!("its length is {len} and must be at most {a}")),
        "pattern" => {
            let (t, p) = (text?, arg.text()?);
            // A pattern of an untrusted file: bounded in size, and this engine has no backtracking.
            let re = regex::RegexBuilder::new(&format!("^(?:{p})$")).size_limit(1 << 18).build().ok()?;
            (!re.is_match(t)).then(|| format!("'{t}' does not match the pattern {p}"))
        }
        _ => None,
    }
}
