//! One template: rendering, and faults that a person can act on.
//!
//! Owns how templates are read (minijinja; a missing variable is a fault, nothing is escaped, the
//! last newline stays) and how a fault names file, line, variable and the nearest known one. Never:
//! what the variables are.

use std::collections::HashSet;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, value::ValueKind};

use crate::model::order::Order as _;

/// Steps of a template's program; what a day-0 file needs is hundreds of times less. A template
/// that loops without end ends here.
const FUEL: u64 = 2_000_000;

fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_keep_trailing_newline(true);
    env.set_fuel(Some(FUEL));
    env.set_debug(true);
    // Both write a value so that JSON and YAML read it back as it was, quotes, newlines and all.
    env.add_filter("json", quoted);
    env.add_filter("tojson", quoted);
    env.add_filter("b64encode", |text: String| data_encoding::BASE64.encode(text.as_bytes()));
    env
}

fn quoted(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::new(ErrorKind::BadSerialization, "the value has no JSON form").with_source(e))
}

/// What a template became.
#[derive(Debug)]
pub(super) struct Rendered {
    pub text: String,
    /// It speaks of a name by which it gets at a secret.
    pub secret: bool,
}

/// Renders `text`; the fault is one sentence that starts with `file`, line.
pub(super) fn render(file: &str, text: &str, context: &Value, hot: &HashSet<&str>) -> Result<Rendered, String> {
    let env = environment();
    let template = env.template_from_named_str(file, text).map_err(|e| wrong(file, text, &e, context))?;
    let secret = template.undeclared_variables(false).iter().any(|v| hot.contains(v.as_str()));
    let text = template.render(context).map_err(|e| wrong(file, text, &e, context))?;
    Ok(Rendered { text, secret })
}

/// Only whether it can be read at all, for the time of onboarding.
pub(super) fn check(file: &str, text: &str) -> Result<(), String> {
    let env = environment();
    let read = env.template_from_named_str(file, text).map(drop);
    read.map_err(|e| wrong(file, text, &e, &Value::UNDEFINED))
}

fn wrong(file: &str, text: &str, e: &Error, context: &Value) -> String {
    let place = e.line().map_or_else(|| file.to_owned(), |line| format!("{file}, line {line}"));
    let says = match e.kind() {
        ErrorKind::UndefinedError => undefined(text, e, context),
        ErrorKind::OutOfFuel => Some("it does not come to an end".into()),
        _ => None,
    };
    let says = says.unwrap_or_else(|| e.detail().map_or_else(|| e.kind().to_string(), |d| format!("{}: {d}", e.kind())));
    format!("{place}: {says}")
}

/// Looks where minijinja points, which with filters is not always at the variable; then at the
/// whole line.
fn undefined(text: &str, e: &Error, context: &Value) -> Option<String> {
    let env = environment();
    let free = env.template_from_str(text).ok()?.undeclared_variables(false);
    let pointed = e.range().and_then(|r| text.get(r)).and_then(|expression| missing(expression, &free, context));
    pointed.or_else(|| {
        let line = text.lines().nth(e.line()?.checked_sub(1)?)?;
        let blocks = line.split("{{").flat_map(|b| b.split("{%")).skip(1).filter_map(|b| b.split(['}', '%']).next());
        blocks.into_iter().find_map(|block| missing(block, &free, context))
    })
}

/// The first of the template's `free` variables in `expression` that is not there, and the nearest
/// that is.
fn missing(expression: &str, free: &HashSet<String>, context: &Value) -> Option<String> {
    paths(expression).into_iter().filter(|path| path.first().is_some_and(|head| free.contains(*head))).find_map(|path| {
        let mut at = context.clone();
        let mut so_far = String::new();
        for part in path {
            let next = at.get_attr(part).ok().filter(|v| !v.is_undefined());
            let Some(next) = next else {
                let name = join(&so_far, part);
                return Some(match nearest(part, &at) {
                    Near::One(known) => format!("'{name}' is not given; did you mean '{}'?", join(&so_far, &known)),
                    Near::Known(known) => format!("'{name}' is not given; known here: {}", known.join(", ")),
                    Near::None => format!("'{name}' is not given"),
                });
            };
            so_far = join(&so_far, part);
            at = next;
        }
        None
    })
}

fn join(front: &str, part: &str) -> String {
    if front.is_empty() { part.to_owned() } else { format!("{front}.{part}") }
}

/// Dotted names (`params.x`, `ports['wan'].mac`) in an expression, each as its parts.
fn paths(expression: &str) -> Vec<Vec<&str>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(is_name) {
        // A string on its own is no variable.
        if let Some(quote) = rest[..start].chars().next_back().filter(|c| "'\"".contains(*c)) {
            rest = rest[start..].split_once(quote).map_or("", |(_, after)| after);
            continue;
        }
        let mut path = Vec::new();
        rest = &rest[start..];
        loop {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            path.push(&rest[..end]);
            rest = &rest[end..];
            let quoted = rest.strip_prefix("['").or_else(|| rest.strip_prefix("[\"")).and_then(|r| r.split_once(['\'', '"']));
            if let Some((key, after)) = quoted {
                path.push(key);
                rest = after.strip_prefix(']').unwrap_or(after);
            }
            match rest.strip_prefix('.').filter(|r| r.starts_with(is_name)) {
                Some(next) => rest = next,
                None => break,
            }
        }
        found.push(path);
    }
    found
}

enum Near {
    One(String),
    Known(Vec<String>),
    None,
}

fn nearest(name: &str, among: &Value) -> Near {
    if among.kind() != ValueKind::Map {
        return Near::None;
    }
    let mut known: Vec<String> = among.try_iter().into_iter().flatten().filter_map(|k| k.as_str().map(str::to_owned)).collect();
    known.order();
    let best = known.iter().map(|k| (strsim::normalized_damerau_levenshtein(name, k), k)).max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((score, k)) if score > 0.6 => Near::One(k.clone()),
        Some(_) if known.len() <= 12 => Near::Known(known),
        Some(_) | None => Near::None,
    }
}
