//! VNF indicators as packages declare them, and where they say that each is read.

use super::{Content, read, said, variant};
use crate::model::vnfd::{GuestFile, Indicator};

const TOP: &str = "Definitions/router.yaml";
const NODE: &str = "      type: example.nodes.Router\n";

/// The router's node on top with this under it, and an interface type of the package's own.
fn edit(under: &str) -> (String, String) {
    let types = "interface_types:\n  example.interfaces.Indicators:\n    derived_from: tosca.interfaces.nfv.VnfIndicator\n    notifications: { load: {}, mood: {} }\n\ntopology_template:\n";
    (format!("{NODE}{under}"), types.to_owned())
}

fn vnfd(under: &str) -> Vec<Indicator> {
    let (node, types) = edit(under);
    match read(variant("router", &[(TOP, NODE, &node), (TOP, "topology_template:\n", &types)]).path()) {
        Ok(Content::Vnf(c)) => c.vnfd.indicators,
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

fn render(under: &str) -> String {
    let (node, types) = edit(under);
    said("router", &[(TOP, NODE, &node), (TOP, "topology_template:\n", &types)])
}

#[test]
fn interfaces_of_the_kind_declare_indicators_and_hints_say_where_they_are_read() {
    let of = |id: &str, file: Option<(&str, &str)>| Indicator {
        id: id.into(),
        source: file.map(|(vdu, path)| GuestFile { vdu: vdu.into(), path: path.into() }),
    };
    let typed =
        "      interfaces: { Own: { type: example.interfaces.Indicators } }\n      metadata: { bothy.indicator.load: gw:/run/load }\n";
    assert_eq!(vnfd(typed), [of("load", Some(("gw", "/run/load"))), of("mood", None)]);
    let own = "      interfaces: { VnfIndicator: { operations: { sessions: {} } }, Vnflcm: { operations: { instantiate: {} } } }\n";
    assert_eq!(vnfd(own), [of("sessions", None)]);
    assert_eq!(vnfd(""), []);
}

#[test]
fn what_cannot_be_read_is_told_and_what_makes_no_sense_is_refused() {
    let typed = "      interfaces: { Own: { type: example.interfaces.Indicators } }\n      metadata: ";
    for (hints, refused, says) in [
        ("{}", false, "nobody can read the indicator 'mood'"),
        ("{ bothy.indicator.lood: 'gw:/a' }", true, "there is no indicator 'lood'"),
        ("{ bothy.indicator.load: /run/load }", true, "is no source of an indicator"),
        ("{ bothy.indicator.load: 'gw:run' }", true, "is no source of an indicator"),
        ("{ bothy.indicator.load: 'gx:/run' }", true, "there is no VDU 'gx'"),
        ("{ bothy.indicater.load: 'gw:/run' }", true, "is no hint that Bothy knows here"),
    ] {
        let said = render(&format!("{typed}{hints}\n"));
        assert!(said.starts_with(if refused { "refused" } else { "taken" }) && said.contains(says), "{hints}: {said}");
    }
    let many: Vec<String> = (0..65).map(|n| format!("i{n}: {{}}")).collect();
    let said = render(&format!("      interfaces: {{ VnfIndicator: {{ notifications: {{ {} }} }} }}\n", many.join(", ")));
    assert!(said.contains("has 65 indicators; 64 at most"), "{said}");
}
