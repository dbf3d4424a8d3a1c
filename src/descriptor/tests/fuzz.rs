//! Whatever bytes come, the readers answer; they never panic or hang.

use std::fs;

use proptest::prelude::*;

use super::{fixture, read, variant};
use crate::descriptor::diagnose::Sink;

/// Files of both fixtures, as (fixture, file, text).
fn sources() -> Vec<(&'static str, &'static str, String)> {
    let list = [
        ("router", "Definitions/router.yaml"),
        ("router", "Definitions/router_types.yaml"),
        ("router", "Definitions/router_df_small.yaml"),
        ("router", "Definitions/router_df_pair.yaml"),
        ("router", "TOSCA-Metadata/TOSCA.meta"),
        ("edge", "Definitions/edge.yaml"),
    ];
    list.into_iter().map(|(f, p)| (f, p, fs::read_to_string(fixture(f).join(p)).expect("fixture"))).collect()
}

/// One change to a text: drop, double or swap lines, or put something odd somewhere.
fn mutate(text: &str, kind: u8, at: usize, odd: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let n = lines.len().max(1);
    let i = at % n;
    match kind % 6 {
        0 => drop(lines.remove(i)),
        1 => lines.insert(i, lines[i].clone()),
        2 => lines.swap(i, (at / 7) % n),
        3 => lines[i] = lines[i].trim_start().to_owned(),
        4 => {
            let cut = lines[i].char_indices().map(|(c, _)| c).nth(at % 40).unwrap_or(0);
            lines[i].truncate(cut);
        }
        _ => {
            let value = lines[i].split_once(": ").map(|(k, _)| format!("{k}: {odd}"));
            lines[i] = value.unwrap_or_else(|| format!("{}{odd}", lines[i]));
        }
    }
    lines.join("\n")
}

fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{ get_input: selected_flavour }".to_owned()),
        Just("{ get_property: [ SELF, name ] }".to_owned()),
        Just("{ get_property: [ gw, description, 0, x ] }".to_owned()),
        Just("{ concat: [ a, { token: [ a-b, '-', 7 ] } ] }".to_owned()),
        Just("[ [ [] ], {} ]".to_owned()),
        Just("99999999999999999999999".to_owned()),
        Just("-1".to_owned()),
        Just("1e308 TB".to_owned()),
        Just("~".to_owned()),
        Just("&x { a: *x }".to_owned()),
        "\\PC{0,20}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn mutated_descriptors_never_panic(which in 0..6usize, edits in prop::collection::vec((any::<u8>(), any::<usize>(), odd()), 1..5)) {
        let (name, file, text) = sources().swap_remove(which);
        let mut text = text;
        for (kind, at, odd) in &edits {
            text = mutate(&text, *kind, *at, odd);
        }
        let dir = variant(name, &[]);
        fs::write(dir.path().join(file), text).expect("write");
        if let Err(d) = read(dir.path()) {
            prop_assert!(d.has_errors());
        }
    }

    #[test]
    fn any_text_is_yaml_or_an_error(text in "[ \\n:{}\\[\\]&*a-c,'\"|>#!<?%-]{0,200}") {
        let sink = Sink::default();
        let tree = crate::descriptor::tosca::yaml::parse(&text, "x.yaml", &Default::default(), &sink);
        prop_assert!(tree.is_some() || sink.has_errors());
    }
}
