//! An NSD: members, links, service access points.
//!
//! Owns the reading of an NS topology (SOL001 clause 7). Never needs the VNFDs: whether its
//! members fit them is `check_against`. Nested services are named, not read.

use std::{net::IpAddr, rc::Rc};

use smol_str::SmolStr;

use super::{
    at::At,
    constraint, forward,
    hints::{Hints, ON_MEMBER, ON_PNF, hints},
    link,
    load::{Loaded, Template},
    nsaffinity, nsaspect, nslevel,
    scope::Scope,
    types::{BLOCK, COMPUTE, INT_LINK, NFP, NFP_ELEMENT, NFP_POSITION, NS, NS_LINK, PNF, SAP, Types, VDU_CP, VNF},
    vnfd::node_of,
    yaml::Node,
};
use crate::{
    descriptor::diagnose::{Severity, Sink},
    model::nsd::{Attach, Member, NsFlavour, NsLink, Nsd, Pnf, Sap},
};

const NS_KNOWN: &[&str] = &[
    "descriptor_id",
    "designer",
    "version",
    "name",
    "invariant_id",
    "ext_invariant_id",
    "flavour_id",
    "ns_profile",
    "service_availability_level",
    "priority",
    "strict_nsd_constituent_onboarding",
];
const VNF_KNOWN: &[&str] = &[
    "descriptor_id",
    "ext_invariant_id",
    "descriptor_version",
    "provider",
    "product_name",
    "software_version",
    "product_info_name",
    "product_info_description",
    "vnfm_info",
    "flavour_id",
    "flavour_description",
    "vnf_profile",
    "localization_languages",
    "default_localization_language",
    "configurable_properties",
    "modifiable_attributes",
    "lcm_operations_configuration",
    "monitoring_parameters",
];

pub fn read(loaded: &Loaded, sink: &Sink) -> Option<Nsd> {
    let types = &loaded.types;
    let entry = loaded.files.first()?;
    // A VNFD that the archive brings along for its node type is not a flavour of the service.
    let is_vnfd = |n: &Node| {
        let substitutes = n.get("substitution_mappings").and_then(|s| s.get("node_type")).and_then(|t| t.text());
        node_of(n, types, COMPUTE).is_some() || substitutes.is_some_and(|t| types.is_a(t, VNF))
    };
    let topologies: Vec<(&Template, &Rc<Node>)> =
        loaded.files.iter().filter_map(|f| Some((f, f.topology()?))).filter(|(_, n)| !is_vnfd(n)).collect();
    let has_parts = |n: &Node| node_of(n, types, VNF).is_some() || node_of(n, types, NS_LINK).is_some();
    let mut flavours: Vec<(&Template, &Rc<Node>)> = topologies.iter().copied().filter(|(_, n)| has_parts(n)).collect();
    if flavours.is_empty() {
        flavours = topologies.iter().copied().filter(|(_, n)| node_of(n, types, NS).is_some()).take(1).collect();
    }
    let top = entry.topology().filter(|n| node_of(n, types, NS).is_some());
    let mut nsd: Option<Nsd> = None;
    for (template, topology) in flavours {
        let top_scope = top.map(|n| Scope::new(sink, types, entry.path.clone(), n.clone(), Vec::new()));
        let scope = Scope::new(sink, types, template.path.clone(), topology.clone(), Vec::new());
        let own = service_node(&scope);
        let Some(ns) = top_scope.as_ref().and_then(service_node).or(own.clone()) else {
            let text = "has no node template of type tosca.nodes.nfv.NS";
            sink.error(sink.file(&template.path), "topology_template.node_templates", text);
            continue;
        };
        let id = own.as_ref().unwrap_or(&ns).property("flavour_id").and_then(|f| f.text()).unwrap_or_else(|| {
            ns.missing("properties.flavour_id");
            SmolStr::default()
        });
        let out = nsd.get_or_insert_with(|| identity(&ns, types));
        if out.flavours.iter().any(|f| f.id == id) {
            ns.error(format!("the flavour '{id}' is described twice, also in {}", template.path));
        }
        let level = ns.property("ns_profile").and_then(|p| p.get("ns_instantiation_level")).and_then(|l| l.text());
        out.flavours.push(flavour(&scope, id, own.as_ref().unwrap_or(&ns), level));
    }
    let Some(mut nsd) = nsd else {
        sink.error(sink.file(&entry.path), "topology_template", "describes no network service");
        return None;
    };
    nsd.default_flavour = nsd.flavours.first().map(|f| f.id.clone()).unwrap_or_default();
    Some(nsd)
}

/// The node that is the service itself: of the type that the template substitutes, or the first.
fn service_node<'a>(scope: &'a Scope<'a>) -> Option<At<'a>> {
    let substitutes = scope.topology.get("substitution_mappings").and_then(|s| s.get("node_type")).and_then(|t| t.text());
    let exact = scope.templates().iter().find(|(_, n)| substitutes.is_some_and(|s| scope.type_of(n) == s)).map(|(k, _)| k.text.clone());
    let (first, _) = node_of(&scope.topology, scope.types, NS)?;
    At::template(scope, &exact.unwrap_or(first))
}

fn identity(ns: &At<'_>, types: &Types) -> Nsd {
    let defs = types.properties(ns.scope.type_of(ns.node()));
    let mut known: Vec<&str> = NS_KNOWN.to_vec();
    known.extend(defs.iter().map(|(k, _)| k.as_str()));
    if let Some(p) = ns.get("properties") {
        p.known(&known);
        p.not_acted_on(&["service_availability_level", "priority"]);
    }
    for (name, def) in &defs {
        if let Some(v) = ns.property(name) {
            constraint::check(def, &v);
        }
    }
    let need = |name: &str| ns.need_property(name).and_then(|p| p.text()).unwrap_or_default();
    Nsd {
        id: need("descriptor_id"),
        invariant_id: need("invariant_id"),
        name: need("name"),
        designer: need("designer"),
        version: need("version"),
        default_flavour: SmolStr::default(),
        flavours: Vec::new(),
    }
}

fn flavour(scope: &Scope<'_>, id: SmolStr, ns: &At<'_>, level: Option<SmolStr>) -> NsFlavour {
    let mut members: Vec<(Member, At<'_>)> = Vec::new();
    let mut links: Vec<NsLink> = Vec::new();
    let mut pnfs: Vec<(Pnf, At<'_>)> = Vec::new();
    let mut saps = Vec::new();
    for (key, _) in scope.templates() {
        let Some(at) = At::template(scope, &key.text) else { continue };
        let Some(kind) = at.need("type").and_then(|t| t.text()) else { continue };
        let is = |base: &str| scope.types.is_a(&kind, base);
        if is(VNF) {
            members.push((member(&at), at));
        } else if is(NS_LINK) {
            let (description, profile) = link::link(&at);
            links.push(NsLink { id: key.text.clone(), description, profile });
        } else if is(SAP) {
            saps.push((key.text.clone(), at));
        } else if is(NS) {
            if at.me() != ns.me() {
                at.error_hint("a network service inside a network service is not offered", "list the VNFs of the inner one here");
            }
        } else if [NFP, NFP_POSITION, NFP_ELEMENT].iter().any(|b| is(b)) {
            // `forward` reads them once all members are known.
        } else if is(PNF) {
            pnfs.push((pnf(&at), at));
        } else if [INT_LINK, VDU_CP, BLOCK].iter().any(|b| is(b)) {
            at.error_hint(format!("{kind} belongs in a VNFD"), "an NSD has VNFs, NsVirtualLinks and Saps");
        } else if scope.types.known_node(&kind) {
            at.warn(format!("{kind} is not acted on yet"));
        } else if at.get("properties").is_some_and(|p| p.get("descriptor_id").is_some()) {
            let hint = "import the VNFD's types file, or write tosca.nodes.nfv.VNF";
            at.warn_hint(format!("the type '{kind}' is not defined here; the node is taken as a VNF"), hint);
            members.push((member(&at), at));
        } else {
            let text = format!("the type '{kind}' is neither SOL001's nor defined in this archive");
            scope.sink.report(Severity::Error, at.pos(), &format!("{}.type", at.path), text, scope.types.suggest(&kind));
        }
    }
    for (name, group) in scope.topology.get("groups").map(|g| g.entries()).unwrap_or_default() {
        let kind = group.get("type").and_then(|t| t.text()).unwrap_or_default();
        if scope.types.is_a(kind, forward::VNFFG) || nsaffinity::is_group(scope, kind) {
            continue;
        }
        scope.sink.warn(name.pos, &format!("topology_template.groups.{}", name.text), format!("{kind} is not acted on yet"));
    }
    connect(&mut members, &links);
    plug(&mut pnfs, &mut links);
    let pnfs: Vec<Pnf> = pnfs.into_iter().map(|(p, _)| p).collect();
    let saps: Vec<Sap> = saps.iter().filter_map(|(name, at)| sap(name, at, &links)).collect();
    check_forwards(scope, &links, &members);
    check_cycles(&members);
    let members: Vec<Member> = members.into_iter().map(|(m, _)| m).collect();
    nsaffinity::check(scope, &members, &links);
    let (levels, default_level) = nslevel::levels(scope, &members, level);
    let (paths, spare) = forward::paths(scope, &forward::Around { members: &members, saps: &saps, pnfs: &pnfs });
    let aspects = nsaspect::aspects(scope, &members);
    NsFlavour { id, members, links, saps, default_level, levels, paths, aspects, spare, pnfs }
}

fn member(at: &At<'_>) -> Member {
    let defs = at.scope.types.properties(at.scope.type_of(at.node()));
    let mut known: Vec<&str> = VNF_KNOWN.to_vec();
    known.extend(defs.iter().map(|(k, _)| k.as_str()));
    if let Some(p) = at.get("properties") {
        p.known(&known);
    }
    for (name, def) in &defs {
        if let Some(v) = at.property(name) {
            constraint::check(def, &v);
        }
    }
    let mut out = Member {
        id: at.me(),
        vnfd_id: SmolStr::default(),
        flavour: at.property("flavour_id").and_then(|f| f.text()),
        level: None,
        min_instances: 1,
        max_instances: 1,
        attach: Vec::new(),
        after: Vec::new(),
        priority: hints(at, ON_MEMBER).get("priority").and_then(|p| p.u32()).unwrap_or(0),
    };
    match at.property("descriptor_id") {
        Some(d) => out.vnfd_id = d.text().unwrap_or_default(),
        None => at.error_hint("says not which VNFD it is made from", "give properties.descriptor_id the VNFD's descriptor_id"),
    }
    if let Some(p) = at.property("vnf_profile") {
        p.known(&[
            "instantiation_level",
            "target_vnf_scale_level_info",
            "min_number_of_instances",
            "max_number_of_instances",
            "service_availability_level",
            "version_dependency",
        ]);
        p.not_acted_on(&["target_vnf_scale_level_info", "service_availability_level", "version_dependency"]);
        out.level = p.get("instantiation_level").and_then(|l| l.text());
        out.min_instances = p.get("min_number_of_instances").and_then(|n| n.u32()).unwrap_or(1);
        out.max_instances = p.get("max_number_of_instances").and_then(|n| n.u32()).unwrap_or(out.min_instances.max(1));
        if out.min_instances > out.max_instances {
            p.error(format!("min_number_of_instances {} is above max_number_of_instances {}", out.min_instances, out.max_instances));
        }
    }
    out
}

fn pnf(at: &At<'_>) -> Pnf {
    let pnfd_id = at.property("descriptor_id").and_then(|d| d.text());
    if pnfd_id.is_none() {
        at.error_hint("says not which PNFD it is described by", "give properties.descriptor_id the PNFD's descriptor_id");
    }
    Pnf { id: at.me(), pnfd_id: pnfd_id.unwrap_or_default(), attach: Vec::new() }
}

/// Requirements of the PNFs: to links, which have the physical networks that these are plugged into.
fn plug(pnfs: &mut [(Pnf, At<'_>)], links: &mut [NsLink]) {
    for (p, at) in pnfs {
        let told = hints(at, ON_PNF);
        for (name, target, req) in at.requirements() {
            if p.attach.iter().any(|a| a.ext_cp == name) {
                req.error(format!("'{name}' is attached twice"));
            }
            let known: Vec<SmolStr> = links.iter().map(|l| l.id.clone()).collect();
            let Some(link) = links.iter_mut().find(|l| l.id == target) else {
                req.no_such("virtual link", &target, known.iter().map(SmolStr::as_str));
                continue;
            };
            let network = told.get(&format!("physical.{name}")).and_then(|n| n.text());
            match (link.profile.physical.clone(), network) {
                (None, None) => req.error_hint(
                    format!("a PNF is on '{target}', and the link reaches no physical network"),
                    format!("write bothy.physical.{name} in the PNF's metadata, or bothy.physical in the link's"),
                ),
                (None, network) => link.profile.physical = network,
                (Some(has), Some(other)) if has != other => {
                    req.error(format!("'{target}' has the physical network '{has}', and this is plugged into '{other}'"));
                }
                (Some(_), _) => {}
            }
            p.attach.push(Attach { ext_cp: name, link: target, addresses: Vec::new() });
        }
        let known: Vec<SmolStr> = p.attach.iter().map(|a| a.ext_cp.clone()).collect();
        for (name, hint) in told.starting("physical.") {
            if !known.iter().any(|k| k == name) {
                hint.no_such("virtual link requirement", name, known.iter().map(SmolStr::as_str));
            }
        }
    }
}

/// Requirements of the members: to links, and to members that come first.
fn connect(members: &mut [(Member, At<'_>)], links: &[NsLink]) {
    let names: Vec<SmolStr> = members.iter().map(|(m, _)| m.id.clone()).collect();
    let mut taken: Vec<(SmolStr, IpAddr, SmolStr)> = Vec::new();
    for (m, at) in members {
        for (name, target, req) in at.requirements() {
            if name == "dependency" {
                if target == m.id {
                    req.error("depends on itself");
                } else if !names.contains(&target) {
                    req.no_such("VNF", &target, names.iter().map(SmolStr::as_str));
                } else if !m.after.contains(&target) {
                    m.after.push(target);
                }
                continue;
            }
            if !links.iter().any(|l| l.id == target) {
                req.no_such("virtual link", &target, links.iter().map(|l| l.id.as_str()));
            }
            if m.attach.iter().any(|a| a.ext_cp == name) {
                req.error(format!("'{name}' is attached twice"));
            }
            m.attach.push(Attach { ext_cp: name, link: target, addresses: Vec::new() });
        }
        fixed_addresses(m, &hints(at, ON_MEMBER), links, &mut taken);
    }
}

/// `bothy.address.REQUIREMENT` of one member.
fn fixed_addresses(m: &mut Member, hints: &Hints<'_>, links: &[NsLink], taken: &mut Vec<(SmolStr, IpAddr, SmolStr)>) {
    let known: Vec<SmolStr> = m.attach.iter().map(|a| a.ext_cp.clone()).collect();
    for (cp, at) in hints.starting("address.") {
        let Some(a) = m.attach.iter_mut().find(|a| a.ext_cp == cp) else {
            at.no_such("virtual link requirement", cp, known.iter().map(SmolStr::as_str));
            continue;
        };
        a.addresses = link::addresses(at);
        let Some(link) = links.iter().find(|l| l.id == a.link) else { continue };
        for ip in &a.addresses {
            let net = link.profile.layer3.iter().find(|n| n.cidr.contains(*ip));
            match net {
                None => at.error(format!("{ip} is in no network of the link '{}'", link.id)),
                Some(n) if n.gateway == Some(*ip) && (link.profile.nat || link.profile.management) => {
                    at.error(format!("{ip} is the gateway of '{}', which the host itself has there", link.id));
                }
                Some(_) => {}
            }
            if let Some((_, _, by)) = taken.iter().find(|(l, t, _)| *l == link.id && t == ip) {
                at.error(format!("{ip} on '{}' is given to '{by}' already", link.id));
            }
            taken.push((link.id.clone(), *ip, m.id.clone()));
        }
    }
}

fn sap(name: &SmolStr, at: &At<'_>, links: &[NsLink]) -> Option<Sap> {
    let reqs = at.requirements();
    if let Some((_, _, req)) = reqs.iter().find(|(n, _, _)| n == "external_virtual_link") {
        req.warn("external_virtual_link is not acted on: give the inner link a physical network");
    }
    let inner = reqs.iter().find(|(n, _, _)| n == "internal_virtual_link" || n == "virtual_link");
    let Some((_, target, req)) = inner else {
        at.missing("requirements.internal_virtual_link");
        return None;
    };
    if !links.iter().any(|l| l.id == *target) {
        req.no_such("virtual link", target, links.iter().map(|l| l.id.as_str()));
    }
    Some(Sap { id: name.clone(), link: target.clone() })
}

/// `tcp/8080->web:80` on a link: `web` must be a member, and on that link.
fn check_forwards(scope: &Scope<'_>, links: &[NsLink], members: &[(Member, At<'_>)]) {
    for l in links {
        for f in &l.profile.forwards {
            let Some(at) = At::template(scope, &l.id) else { continue };
            let name = f.to.split('/').next().unwrap_or_default();
            match members.iter().find(|(m, _)| m.id == name) {
                None => at.no_such("VNF", name, members.iter().map(|(m, _)| m.id.as_str())),
                Some((m, _)) if !m.attach.iter().any(|a| a.link == l.id) => {
                    at.error(format!("forwards port {} to '{name}', which is not on this link", f.host_port));
                }
                Some(_) => {}
            }
        }
    }
}

/// Members that wait for each other would never start.
fn check_cycles(members: &[(Member, At<'_>)]) {
    let mut done: Vec<&SmolStr> = Vec::new();
    loop {
        let ready = |m: &Member| m.after.iter().all(|a| done.contains(&a) || !members.iter().any(|(o, _)| o.id == *a));
        let next: Vec<&SmolStr> = members.iter().filter(|(m, _)| !done.contains(&&m.id) && ready(m)).map(|(m, _)| &m.id).collect();
        if next.is_empty() {
            break;
        }
        done.extend(next);
    }
    let stuck: Vec<&str> = members.iter().filter(|(m, _)| !done.contains(&&m.id)).map(|(m, _)| m.id.as_str()).collect();
    if let Some((_, at)) = members.iter().find(|(m, _)| stuck.contains(&m.id.as_str())) {
        at.error(format!("waits for itself: {} depend on each other in a circle", stuck.join(", ")));
    }
}
