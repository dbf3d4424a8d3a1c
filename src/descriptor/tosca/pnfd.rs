//! A PNFD: who made a physical box, where it stands and what it can be plugged by.
//!
//! Owns the reading of a PNF topology (SOL001 clause 8). Never: whether such a box is there.

use super::{
    at::At,
    constraint,
    load::Loaded,
    scope::Scope,
    types::{PNF, PNF_CP, Types},
    vnfd::node_of,
};
use crate::{
    descriptor::diagnose::{Severity, Sink},
    model::pnfd::{Coordinates, Location, PnfExtCp, Pnfd},
};

const KNOWN: &[&str] = &[
    "descriptor_id",
    "function_description",
    "provider",
    "version",
    "descriptor_invariant_id",
    "ext_invariant_id",
    "name",
    "geographical_location_info",
    "version_dependency",
];
const PROTOCOLS: &[(&str, &str)] =
    &[("ethernet", "ethernet"), ("mpls", "mpls"), ("odu2", "odu2"), ("ipv4", "ipv4"), ("ipv6", "ipv6"), ("pseudo-wire", "pseudo-wire")];
const ROLES: &[(&str, &str)] = &[("root", "root"), ("leaf", "leaf")];

pub fn read(loaded: &Loaded, sink: &Sink) -> Option<Pnfd> {
    let entry = loaded.files.first()?;
    let types = &loaded.types;
    let described = loaded.files.iter().find_map(|f| Some((f, f.topology()?.clone())).filter(|(_, n)| node_of(n, types, PNF).is_some()));
    let Some((template, topology)) = described else {
        let text = "has no node template of type tosca.nodes.nfv.PNF";
        sink.error(sink.file(&entry.path), "topology_template.node_templates", text);
        return None;
    };
    let scope = Scope::new(sink, types, template.path.clone(), topology, Vec::new());
    let mut pnfd: Option<Pnfd> = None;
    let mut ext_cps = Vec::new();
    for (key, _) in scope.templates() {
        let Some(at) = At::template(&scope, &key.text) else { continue };
        let Some(kind) = at.need("type").and_then(|t| t.text()) else { continue };
        if types.is_a(&kind, PNF) {
            match pnfd {
                Some(_) => at.error("is a second PNF: an archive describes one"),
                None => pnfd = Some(identity(&at, types)),
            }
        } else if types.is_a(&kind, PNF_CP) {
            ext_cps.push(ext_cp(&at));
        } else if types.known_node(&kind) {
            at.error(format!("is no part of a PNF: '{kind}' describes something else"));
        } else {
            let text = format!("the type '{kind}' is neither SOL001's nor defined in this archive");
            sink.report(Severity::Error, at.pos(), &format!("{}.type", at.path), text, types.suggest(&kind));
        }
    }
    name_plugs(&scope, &mut ext_cps);
    pnfd.map(|p| Pnfd { ext_cps, ..p })
}

/// `substitution_mappings.requirements`: under which names the outside sees the connection points.
fn name_plugs(scope: &Scope<'_>, ext_cps: &mut [PnfExtCp]) {
    let Some(node) = scope.topology.get("substitution_mappings").and_then(|s| s.get("requirements")).cloned() else { return };
    let at = At::new(scope, node, "topology_template.substitution_mappings.requirements", None);
    let maps = if at.is_list() { at.items() } else { vec![at] };
    for (name, at) in maps.iter().flat_map(At::entries) {
        let inner = at.get("mapping").unwrap_or_else(|| at.clone());
        let Some(cp) = inner.items().first().and_then(|i| i.text()) else { continue };
        let known: Vec<_> = ext_cps.iter().map(|c| c.id.clone()).collect();
        match ext_cps.iter_mut().find(|c| c.id == cp) {
            Some(found) => found.requirement = Some(name.text),
            None => at.no_such("connection point", &cp, known.iter().map(|k| k.as_str())),
        }
    }
}

fn identity(pnf: &At<'_>, types: &Types) -> Pnfd {
    let defs = types.properties(pnf.scope.type_of(pnf.node()));
    let mut known: Vec<&str> = KNOWN.to_vec();
    known.extend(defs.iter().map(|(k, _)| k.as_str()));
    if let Some(p) = pnf.get("properties") {
        p.known(&known);
        p.not_acted_on(&["version_dependency"]);
    }
    for (name, def) in &defs {
        if let Some(v) = pnf.property(name) {
            constraint::check(def, &v);
        }
    }
    let need = |name: &str| pnf.need_property(name).and_then(|p| p.text()).unwrap_or_default();
    Pnfd {
        id: need("descriptor_id"),
        invariant_id: need("descriptor_invariant_id"),
        name: need("name"),
        provider: need("provider"),
        version: need("version"),
        function: need("function_description"),
        location: pnf.property("geographical_location_info").map(|l| location(&l)),
        ext_cps: Vec::new(),
    }
}

fn location(at: &At<'_>) -> Location {
    at.known(&["country_code", "civic_address_element", "geographic_coordinates"]);
    let country = at.need("country_code").and_then(|c| {
        let code = c.text()?;
        if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_alphabetic()) {
            c.error_hint(format!("'{code}' is no country code"), "write the two letters of ISO 3166, such as DE");
        }
        Some(code)
    });
    let mut address = Vec::new();
    for part in at.get("civic_address_element").map(|a| a.items()).unwrap_or_default() {
        part.known(&["ca_type", "ca_value"]);
        if let (Some(kind), Some(value)) = (part.need("ca_type"), part.need("ca_value")) {
            address.extend(kind.text().zip(value.text()));
        }
    }
    Location { country: country.unwrap_or_default(), address, coordinates: at.get("geographic_coordinates").map(|c| coordinates(&c)) }
}

fn coordinates(at: &At<'_>) -> Coordinates {
    at.known(&[
        "latitude_uncertainty",
        "latitude",
        "longitude_uncertainty",
        "longitude",
        "altitude_type",
        "altitude_uncertainty",
        "altitude",
    ]);
    let need = |name: &str| at.need(name).and_then(|v| v.text()).unwrap_or_default();
    need("altitude_type");
    Coordinates { latitude: need("latitude"), longitude: need("longitude"), altitude: need("altitude") }
}

fn ext_cp(at: &At<'_>) -> PnfExtCp {
    if let Some(p) = at.get("properties") {
        p.known(&["layer_protocols", "ip_stack_mode", "role", "description", "protocol", "trunk_mode"]);
    }
    let words = at.need_property("layer_protocols").map(|l| l.items()).unwrap_or_default();
    PnfExtCp {
        id: at.me(),
        description: at.property("description").and_then(|d| d.text()).unwrap_or_default(),
        protocols: words.iter().filter_map(|w| w.choice(PROTOCOLS)).map(Into::into).collect(),
        role: at.property("role").and_then(|r| r.choice(ROLES)).map(Into::into),
        requirement: None,
    }
}
