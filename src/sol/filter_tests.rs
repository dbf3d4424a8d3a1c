//! Filters against examples, and against a model that knows no better than to try everything.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn filter(text: &str) -> Filter {
    let mut f = Filter::default();
    f.add(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    f
}

#[test]
fn expressions_pick_as_sol013_says() {
    let all = [
        json!({"id": 123, "weight": 100, "on": true, "at": "2026-05-01T12:00:00Z", "parts": [{"id": 1, "color": "red"}, {"id": 2, "color": "green"}]}),
        json!({"id": 456, "weight": 500, "on": false, "parts": [{"id": 3, "color": "green"}, {"id": 4, "color": "blue"}], "map": {"k~/,@": "v"}}),
    ];
    for (text, want) in [
        ("(eq,weight,100)", &[123][..]),
        ("(eq,weight,100.0)", &[123]),
        ("(neq,weight,100)", &[456]),
        ("(eq,parts/color,green)", &[123, 456]),
        ("(eq,parts/color,green);(eq,parts/id,3)", &[456]),
        ("(neq,parts/color,green)", &[123, 456]),
        ("(in,parts/color,blue,red)", &[123, 456]),
        ("(nin,parts/color,blue,green)", &[123]),
        // One element must satisfy both: 1 and 2 are not between them.
        ("(gt,parts/id,1);(lt,parts/id,2)", &[]),
        ("(gte,parts/id,2);(lte,parts/id,2)", &[123]),
        ("(cont,parts/color,lu,xx)", &[456]),
        ("(ncont,parts/color,e)", &[]),
        ("(eq,on,true)", &[123]),
        // Not there: false, by whatever operator.
        ("(neq,at,x)", &[123]),
        ("(gt,at,2026-05-01T13:59:59+02:00)", &[123]),
        ("(eq,at,2026-05-01T14:00:00+02:00)", &[123]),
        ("(eq,map/k~0~1~a~b,v)", &[456]),
        ("(eq,map/@key,'k~/,@')", &[456]),
        ("(gt,weight,abc)", &[]),
        ("(eq,parts,green)", &[]),
    ] {
        let got: Vec<i64> = all.iter().filter(|v| filter(text).wants(v)).filter_map(|v| v["id"].as_i64()).collect();
        assert_eq!(got, want, "{text}");
    }
    for (name, value, want) in [
        ("weight", "100", &[123][..]),
        ("weight.eq", "100,500", &[123, 456]),
        ("weight.neq", "100,500", &[]),
        ("parts.color.eq", "blue", &[456]),
        ("parts.id.gte", "4", &[456]),
        ("parts.color.cont", "re", &[123, 456]),
    ] {
        let mut f = Filter::default();
        f.add_old(name, value).expect("filter");
        let got: Vec<i64> = all.iter().filter(|v| f.wants(v)).filter_map(|v| v["id"].as_i64()).collect();
        assert_eq!(got, want, "{name}={value}");
    }
}

#[test]
fn what_is_no_filter_says_where() {
    for (text, says) in [
        ("", "'(' is expected"),
        ("eq,a,b", "'(' is expected, not 'e'"),
        ("(eq,a)", "(operator,attribute,value)"),
        ("(like,a,b)", "'like' is none of the operators eq, neq"),
        ("(eq,a,b,c)", "eq takes one value"),
        ("(eq,a,b", "nothing more"),
        ("(eq,a,b)(eq,c,d)", "';' is expected"),
        ("(eq,a,b);", "nothing more"),
        ("(eq,,b)", "is empty"),
        ("(eq,a//b,c)", "is empty"),
        ("(eq,a~x,c)", "none of ~0"),
        ("(eq,@key/a,c)", "nothing can follow @key"),
        ("(eq,a,it's)", "doubled"),
        ("(eq,a,'b)", "no end"),
        ("(eq,a,'b'c)", "',' or ')'"),
    ] {
        let fault = Filter::default().add(text).expect_err(text);
        assert!(fault.contains(says), "{text}: {fault}");
    }
    assert!(Filter::default().add_old("a..eq", "x").is_err());
    assert!(Filter::default().add_old("a.gt", "1,2").is_err());
}

/// An expression as the model keeps it.
type Expression = (Op, Vec<&'static str>, Vec<String>);

/// All scalars at a path, lists looked through.
fn leaves<'v>(at: &'v Value, path: &[&str]) -> Vec<&'v Value> {
    match at {
        Value::Array(all) => all.iter().flat_map(|v| leaves(v, path)).collect(),
        Value::Object(o) => match path {
            [] => vec![],
            [name, rest @ ..] => o.get(*name).map(|v| leaves(v, rest)).unwrap_or_default(),
        },
        scalar if path.is_empty() => vec![scalar],
        _ => vec![],
    }
}

/// The text of a scalar and a number: the model's values are strings of letters and small integers only.
fn model_holds(op: Op, values: &[String], leaf: &Value) -> bool {
    let text = match leaf {
        Value::String(s) => s.clone(),
        other => other.to_string(),
    };
    let number = leaf.as_i64().zip(values[0].parse::<i64>().ok());
    let less = || match (leaf.as_i64(), number) {
        (Some(_), Some((a, b))) => Some(a < b),
        (Some(_), None) => None,
        (None, _) => leaf.is_string().then(|| text < values[0]),
    };
    let same = || match (leaf.as_i64(), number) {
        (Some(_), n) => n.is_some_and(|(a, b)| a == b),
        (None, _) => text == values[0],
    };
    let is = values.contains(&text);
    let within = leaf.is_string() && values.iter().any(|v| text.contains(v.as_str()));
    match op {
        Op::Eq | Op::In => is,
        Op::Neq | Op::Nin => !is,
        Op::Lt => less() == Some(true),
        Op::Lte => less() == Some(true) || (less().is_some() && same()),
        Op::Gt => less() == Some(false) && !same(),
        Op::Gte => less() == Some(false),
        Op::Cont => within,
        Op::Ncont => leaf.is_string() && !within,
    }
}

fn model_wants(all: &[Expression], entry: &Value) -> bool {
    all.iter().all(|(_, path, _)| {
        let of_path: Vec<&Expression> = all.iter().filter(|(_, p, _)| p == path).collect();
        leaves(entry, path).iter().any(|leaf| of_path.iter().all(|(op, _, values)| model_holds(*op, values, leaf)))
    })
}

fn quoted(v: &str) -> String {
    format!("'{}'", v.replace('\'', "''"))
}

prop_compose! {
    fn expression()(
        op in prop::sample::select(Op::ALL.to_vec()),
        path in prop::sample::select(vec![vec!["a"], vec!["b"], vec!["l", "a"], vec!["l", "m", "a"]]),
        values in prop::collection::vec(prop_oneof!["[a-c]{0,2}", "[0-3]", "[,')(;]{1,3}"], 1..3),
    ) -> Expression {
        let values = if op.takes_many() { values } else { values[..1].to_vec() };
        (op, path, values)
    }
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![(0i64..4).prop_map(Value::from), "[a-c]{0,3}".prop_map(Value::from), "[,')(;]{1,3}".prop_map(Value::from)]
}

fn entry() -> impl Strategy<Value = Value> {
    let inner = (prop::option::of(scalar()), prop::collection::vec(scalar(), 0..3)).prop_map(|(a, m)| {
        let m: Vec<Value> = m.into_iter().map(|a| json!({"a": a})).collect();
        a.map_or_else(|| json!({"m": m}), |a| json!({"a": a, "m": m}))
    });
    (prop::option::of(scalar()), prop::option::of(scalar()), prop::collection::vec(inner, 0..4)).prop_map(|(a, b, l)| {
        let mut v = json!({"l": l});
        for (name, s) in [("a", a), ("b", b)] {
            if let Some(s) = s {
                v[name] = s;
            }
        }
        v
    })
}

proptest! {
    #[test]
    fn a_filter_wants_what_the_naive_model_wants(all in prop::collection::vec(expression(), 1..4), entries in prop::collection::vec(entry(), 1..8)) {
        let text: Vec<String> = all
            .iter()
            .map(|(op, path, values)| {
                let values: Vec<String> = values.iter().map(|v| quoted(v)).collect();
                format!("({},{},{})", op.name(), path.join("/"), values.join(","))
            })
            .collect();
        let f = filter(&text.join(";"));
        for e in &entries {
            prop_assert_eq!(f.wants(e), model_wants(&all, e), "{} on {}", text.join(";"), e);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,40}") {
        let _ = Filter::default().add(&text);
        let _ = Filter::default().add_old(&text, &text);
    }
}
