//! A VNFD: identity, and a topology for each deployment flavour.
//!
//! Owns how the files of a package make up flavours (SOL001 clause 6.11): one file that holds all,
//! or an abstract VNF node on top and one substituting template per flavour. Never: policies,
//! VDUs and links themselves.

use std::rc::Rc;

use smol_str::SmolStr;

use super::{
    affinity,
    at::At,
    constraint,
    hints::{ON_EXT_CP, hints},
    indicator::{self, Declared},
    level, link,
    load::{Files, Loaded, Template},
    own,
    scope::Scope,
    trunk,
    types::{BLOCK, COMPUTE, EXT_CP, INT_LINK, Types, VDU_CP, VDU_SUB_CP, VIP_CP, VIRTUAL_CP, VNF},
    vdu::{self, ReadCp},
    versions,
    yaml::Node,
};
use crate::model::order::Order as _;
use crate::{
    descriptor::diagnose::{Severity, Sink},
    model::{
        epa::nic_slots,
        vnfd::{CpLink, ExtCp, ExtCpThrough, Flavour, GRACEFUL_STOP_S, IntLink, Readiness, Vdu, VduCp, Vnfd},
    },
};

const IDENTITY: &[&str] = &["descriptor_id", "descriptor_version", "provider", "product_name", "software_version"];
const KNOWN: &[&str] = &[
    "descriptor_id",
    "ext_invariant_id",
    "descriptor_version",
    "provider",
    "product_name",
    "software_version",
    "product_info_name",
    "product_info_description",
    "vnfm_info",
    "localization_languages",
    "default_localization_language",
    "configurable_properties",
    "modifiable_attributes",
    "lcm_operations_configuration",
    "monitoring_parameters",
    "flavour_id",
    "flavour_description",
    "vnf_profile",
];

/// The node template of a topology that is (derived from) `base`.
pub fn node_of<'n>(topology: &'n Node, types: &Types, base: &str) -> Option<(SmolStr, &'n Rc<Node>)> {
    let templates = topology.get("node_templates")?;
    let is = |n: &Node| n.get("type").and_then(|t| t.text()).is_some_and(|t| types.is_a(t, base));
    templates.entries().iter().find(|(_, n)| is(n)).map(|(k, n)| (k.text.clone(), n))
}

pub fn read(loaded: &Loaded, files: &Files<'_>, sink: &Sink) -> Option<Vnfd> {
    let entry = loaded.files.first()?;
    let types = &loaded.types;
    let makes_flavour = |t: &&Template| {
        t.topology().is_some_and(|n| {
            let vdus = [COMPUTE, super::types::CONTAINER_UNIT].iter().any(|k| node_of(n, types, k).is_some());
            vdus || (n.get("substitution_mappings").is_some() && t.path != entry.path)
        })
    };
    let flavours: Vec<&Template> = loaded.files.iter().filter(makes_flavour).collect();
    if flavours.is_empty() {
        let hint = "a VNFD has node templates of type tosca.nodes.nfv.Vdu.Compute, here or in an imported file";
        sink.error_hint(sink.file(&entry.path), "topology_template", "describes no VDU", hint);
        return None;
    }
    // The abstract VNF node on top, when there is one apart from the flavours' own.
    let top = entry.topology().filter(|n| node_of(n, types, VNF).is_some());
    let mut vnfd: Option<Vnfd> = None;
    let mut told: Vec<Declared> = Vec::new();
    for template in &flavours {
        let Some(topology) = template.topology() else { continue };
        let id = flavour_id(topology, types);
        let selected = |f: &SmolStr| vec![(SmolStr::new_static("selected_flavour"), Node::scalar(topology.pos, f.as_str()))];
        let given = id.as_ref().map(selected).unwrap_or_default();
        let top_scope = top.map(|n| Scope::new(sink, types, entry.path.clone(), n.clone(), given.clone()));
        let mut inputs = given;
        if let Some(s) = top_scope.as_ref().filter(|_| template.path != entry.path) {
            inputs.extend(properties_of(s, types));
        }
        let scope = Scope::new(sink, types, template.path.clone(), topology.clone(), inputs);
        let own = vnf_node(&scope);
        no_vnf_inside(&scope, types);
        let above = top_scope.as_ref().and_then(vnf_node);
        let Some(vnf) = above.clone().or(own.clone()) else {
            let text = "has no node template of a type derived from tosca.nodes.nfv.VNF";
            sink.error(sink.file(&template.path), "topology_template.node_templates", text);
            continue;
        };
        for v in [&own, &above].into_iter().flatten() {
            check_vnf(v, types);
        }
        if let (Some(own), Some(above)) = (&own, &above) {
            agree(own, above);
        }
        let flavour_vnf = own.as_ref().unwrap_or(&vnf);
        let id = id.or_else(|| flavour_vnf.property("flavour_id").and_then(|f| f.text())).unwrap_or_else(|| {
            flavour_vnf.missing("properties.flavour_id");
            SmolStr::default()
        });
        let out = vnfd.get_or_insert_with(|| identity(&vnf, types));
        if out.flavours.iter().any(|f| f.id == id) {
            let text = format!("the flavour '{id}' is described in another file already");
            sink.error(sink.file(&template.path), "topology_template.substitution_mappings.properties.flavour_id", text);
        }
        // A top node, which all flavours have, says it once for all of them.
        let apart = above.is_some() && template.path != entry.path;
        for v in if apart { &above } else { &own }.iter().filter(|_| !apart || out.flavours.is_empty()) {
            let new = indicator::declared(v).into_iter().filter(|d| !told.iter().any(|t| t.indicator.id == d.indicator.id));
            told.extend(new.collect::<Vec<_>>());
        }
        // Those of the top node are read once: with the first flavour.
        let above = top_scope.as_ref().filter(|_| template.path != entry.path && out.flavours.is_empty());
        for s in above.into_iter().chain([&scope]) {
            let new: Vec<_> = versions::paths(s, &out.id).into_iter().filter(|p| !out.paths.contains(p)).collect();
            out.paths.extend(new);
        }
        let flavour = flavour(&scope, id, flavour_vnf, files);
        let ext: Vec<SmolStr> = flavour.ext_cps.iter().map(|e| e.id.clone()).collect();
        let above = top_scope.as_ref().filter(|_| template.path != entry.path);
        let said: Vec<&Scope<'_>> = above.into_iter().chain([&scope]).collect();
        out.own.extend(own::own(&said, &flavour.id, &flavour.vdus, &ext));
        out.flavours.push(flavour);
    }
    let mut vnfd = vnfd?;
    let vdus: Vec<&Vdu> = vnfd.flavours.iter().flat_map(|f| &f.vdus).collect();
    told.iter().for_each(|d| d.check(&vdus, sink));
    vnfd.indicators = told.into_iter().map(|d| d.indicator).collect();
    part_images(&mut vnfd);
    settle_default(&mut vnfd, entry, types, sink);
    Some(vnfd)
}

/// The flavour a template substitutes for, as far as it is said without functions.
fn flavour_id(topology: &Rc<Node>, types: &Types) -> Option<SmolStr> {
    let plain = |n: &Rc<Node>| n.text().map(SmolStr::new);
    let sub = topology.get("substitution_mappings");
    if let Some(props) = sub.and_then(|s| s.get("properties"))
        && let Some(id) = props.get("flavour_id").and_then(plain)
    {
        return Some(id);
    }
    // TOSCA 1.3: substitution_filter: { properties: [ flavour_id: { equal: simple } ] }.
    let filters = sub.and_then(|s| s.get("substitution_filter")).and_then(|f| f.get("properties"));
    for f in filters.map(|f| f.items()).unwrap_or_default() {
        let Some(c) = f.get("flavour_id") else { continue };
        let first = c.items().first().unwrap_or(c);
        if let Some(id) = first.get("equal").and_then(plain) {
            return Some(id);
        }
    }
    let (_, vnf) = node_of(topology, types, VNF)?;
    if let Some(own) = vnf.get("properties").and_then(|p| p.get("flavour_id")) {
        return plain(own);
    }
    let defs = types.properties(vnf.get("type")?.text()?);
    defs.iter().find(|(k, _)| k == "flavour_id").and_then(|(_, d)| d.get("default")).and_then(plain)
}

fn vnf_node<'a>(scope: &'a Scope<'a>) -> Option<At<'a>> {
    let (name, _) = node_of(&scope.topology, scope.types, VNF)?;
    At::template(scope, &name)
}

/// What a substituting template gets as inputs: the properties of the node it stands for.
fn properties_of(scope: &Scope<'_>, types: &Types) -> Vec<(SmolStr, Rc<Node>)> {
    let Some((name, node)) = node_of(&scope.topology, types, VNF) else { return Vec::new() };
    let own = node.get("properties").map(|p| p.entries()).unwrap_or_default();
    let mut names: Vec<SmolStr> = own.iter().map(|(k, _)| k.text.clone()).collect();
    names.extend(types.properties(scope.type_of(node)).into_iter().map(|(k, _)| k));
    names.dedup();
    let mut out: Vec<(SmolStr, Rc<Node>)> = Vec::new();
    for n in names {
        if out.iter().any(|(k, _)| *k == n) {
            continue;
        }
        let Some(found) = scope.property(&name, &n) else { continue };
        let path = format!("topology_template.node_templates.{name}.properties.{n}");
        if let Some((v, _)) = scope.resolve(&found, Some(&name), &path) {
            out.push((n, v));
        }
    }
    out
}

/// A second VNF in a template that stands for one would be substituted by that template again.
fn no_vnf_inside(scope: &Scope<'_>, types: &Types) {
    for (name, _) in scope.templates().iter().filter(|(_, n)| types.is_a(scope.type_of(n), VNF)).skip(1) {
        if let Some(at) = At::template(scope, &name.text) {
            at.error("is a VNF in the VNF, substituted without end: a VNF is made of VDUs, and VNFs are put together by an NSD");
        }
    }
}

/// Unknown properties, and the constraints that the package's own type puts on them.
fn check_vnf(vnf: &At<'_>, types: &Types) {
    let defs = types.properties(vnf.scope.type_of(vnf.node()));
    let mut known: Vec<&str> = KNOWN.to_vec();
    known.extend(defs.iter().map(|(k, _)| k.as_str()));
    if let Some(p) = vnf.get("properties") {
        p.known(&known);
    }
    for (name, def) in &defs {
        if let Some(v) = vnf.property(name) {
            constraint::check(def, &v);
        }
    }
}

/// The flavour's own VNF node may repeat the identity, but not change it.
fn agree(own: &At<'_>, above: &At<'_>) {
    let Some(props) = own.get("properties") else { return };
    for name in IDENTITY {
        let (Some(a), Some(b)) = (props.get(name), above.property(name)) else { continue };
        let (Some(x), Some(y)) = (a.text(), b.text()) else { continue };
        if x != y {
            let file = &above.scope.file;
            a.error(format!("'{x}' differs from '{y}' in {file}: all flavours belong to one VNFD"));
        }
    }
}

fn identity(vnf: &At<'_>, _: &Types) -> Vnfd {
    let need = |name: &str| vnf.need_property(name).and_then(|p| p.text()).unwrap_or_default();
    let may = |name: &str| vnf.property(name).and_then(|p| p.text());
    let product_name = need("product_name");
    let vnfm_info: Vec<SmolStr> =
        vnf.property("vnfm_info").map(|p| p.items()).unwrap_or_default().iter().filter_map(|i| i.text()).collect();
    if vnfm_info.is_empty() {
        vnf.warn("says not which VNFM it is for (vnfm_info)");
    }
    Vnfd {
        id: need("descriptor_id"),
        invariant_id: may("ext_invariant_id"),
        provider: need("provider"),
        software_version: need("software_version"),
        version: need("descriptor_version"),
        info_name: may("product_info_name").unwrap_or_else(|| product_name.clone()),
        info_description: may("product_info_description").unwrap_or_default(),
        product_name,
        vnfm_info,
        default_flavour: SmolStr::default(),
        flavours: Vec::new(),
        paths: Vec::new(),
        indicators: Vec::new(),
        own: Vec::new(),
    }
}

/// The flavour that is used when nobody chooses: the top node's own word, the type's default, or
/// the first.
fn settle_default(vnfd: &mut Vnfd, entry: &Template, types: &Types, sink: &Sink) {
    let said = entry.topology().and_then(|t| node_of(t, types, VNF)).and_then(|(_, n)| {
        let own = n.get("properties").and_then(|p| p.get("flavour_id")).filter(|f| f.text().is_some()).cloned();
        own.or_else(|| {
            let defs = types.properties(n.get("type")?.text()?);
            defs.iter().find(|(k, _)| k == "flavour_id").and_then(|(_, d)| d.get("default")).cloned()
        })
    });
    vnfd.default_flavour = vnfd.flavours.first().map(|f| f.id.clone()).unwrap_or_default();
    let Some(node) = said else { return };
    let Some(id) = node.text() else { return };
    if vnfd.flavour(id).is_some() {
        vnfd.default_flavour = SmolStr::new(id);
    } else {
        let known: Vec<&str> = vnfd.flavours.iter().map(|f| f.id.as_str()).collect();
        let text = format!("there is no flavour '{id}'; there are: {}", known.join(", "));
        sink.report(Severity::Warning, node.pos, "flavour_id", text, None);
    }
}

/// Two flavours may give one name to different images; an image's id is unique in the VNFD.
fn part_images(vnfd: &mut Vnfd) {
    let mut seen: Vec<(SmolStr, SmolStr)> = Vec::new();
    for f in &mut vnfd.flavours {
        for image in f.vdus.iter_mut().flat_map(|v| &mut v.disks).filter_map(|d| d.image.as_mut()) {
            if seen.iter().any(|(id, path)| *id == image.id && *path != image.path) {
                image.id = SmolStr::new(format!("{}@{}", image.id, f.id));
            }
            seen.push((image.id.clone(), image.path.clone()));
        }
    }
}

/// What a VDU's own fields cannot tell: forwards that lead nowhere, a port nobody can reach.
fn check_reach(scope: &Scope<'_>, vdus: &[Vdu], links: &[IntLink]) {
    for l in links {
        for f in &l.profile.forwards {
            let on_link = |v: &&Vdu| v.nics.iter().flat_map(VduCp::links).any(|n| *n == CpLink::Internal(l.id.clone()));
            let Some(at) = At::template(scope, &l.id) else { continue };
            match vdus.iter().find(|v| v.id == f.to) {
                None => at.no_such("VDU", &f.to, vdus.iter().map(|v| v.id.as_str())),
                Some(v) if !on_link(&v) => at.error(format!("forwards port {} to '{}', which is not on this link", f.host_port, f.to)),
                Some(_) => {}
            }
        }
    }
    for v in vdus.iter().filter(|v| v.nics.is_empty()) {
        let Some(at) = At::template(scope, &v.id) else { continue };
        match v.readiness {
            Readiness::Tcp(port) => at.error(format!("is ready when TCP port {port} answers, and has no NIC")),
            Readiness::Running | Readiness::Agent | Readiness::Serial(_) => at.warn("has no connection point: a guest without a NIC"),
        }
    }
}

fn flavour(scope: &Scope<'_>, id: SmolStr, vnf: &At<'_>, files: &Files<'_>) -> Flavour {
    let (mut vdus, mut queues) = (Vec::new(), Vec::new());
    let mut links: Vec<IntLink> = Vec::new();
    let mut cps: Vec<(ReadCp<'_>, At<'_>)> = Vec::new();
    let mut ext: Vec<ExtCp> = Vec::new();
    let mut storages: Vec<At<'_>> = Vec::new();
    for (key, _) in scope.templates() {
        let Some(at) = At::template(scope, &key.text) else { continue };
        let Some(kind) = at.need("type").and_then(|t| t.text()) else { continue };
        let is = |base: &str| scope.types.is_a(&kind, base);
        if is(COMPUTE) {
            let (vdu, wanted) = vdu::vdu(&at, files);
            vdus.push(vdu);
            queues.push(wanted);
        } else if is(INT_LINK) {
            let (description, profile) = link::link(&at);
            links.push(IntLink { id: key.text.clone(), description, profile });
        } else if is(VIRTUAL_CP) {
            at.error(format!("{kind} is not offered"));
        } else if is(VDU_SUB_CP) {
            cps.push((trunk::sub(&at), at));
        } else if is(VDU_CP) {
            cps.push((vdu::cp(&at), at));
        } else if is(EXT_CP) {
            ext.extend(reexposed(&at));
        } else if is(BLOCK) {
            storages.push(at);
        } else if is(VIP_CP) {
            at.warn(format!("{kind} is not acted on"));
        } else if is(VNF) || vdu::refused(&at, &kind) {
        } else if scope.types.known_node(&kind) {
            at.warn(format!("{kind} is not acted on"));
        } else {
            let text = format!("the type '{kind}' is neither SOL001's nor defined in this package");
            scope.sink.report(Severity::Error, at.pos(), &format!("{}.type", at.path), text, scope.types.suggest(&kind));
        }
    }
    let read = level::levels(scope, &vdus);
    trunk::bind(&mut cps);
    expose(scope, &mut cps, &mut ext, &read.management);
    for e in &mut ext {
        e.management |= read.management.contains(&e.id);
    }
    let used: Vec<SmolStr> = vdus.iter().flat_map(|v| &v.disks).map(|d| d.id.clone()).collect();
    for s in storages.iter().filter(|s| !used.contains(&s.me())) {
        s.warn_hint("no VDU uses this storage", "attach it by a 'virtual_storage' requirement of a VDU");
    }
    attach(scope, &mut vdus, &links, &cps);
    for (vdu, wanted) in vdus.iter_mut().zip(queues) {
        vdu.nics.iter_mut().for_each(|n| wanted.fill(n));
    }
    check_reach(scope, &vdus, &links);
    if ext.is_empty() {
        vnf.warn_hint(
            "exposes no connection point (IFA 011 wants one at least): its extCpInfo will be an empty list, which strict clients of SOL003 refuse",
            "name one in substitution_mappings.requirements",
        );
    }
    for l in &links {
        let by_cp = vdus.iter().flat_map(|v| &v.nics).flat_map(VduCp::links).any(|n| *n == CpLink::Internal(l.id.clone()));
        if !by_cp && let Some(at) = At::template(scope, &l.id) {
            at.warn("no VDU is attached to this link");
        }
    }
    let groups = affinity::groups(scope, &vdus, &links);
    Flavour {
        description: vnf.property("flavour_description").and_then(|d| d.text()).unwrap_or_default(),
        graceful_stop_s: graceful_stop(vnf),
        id,
        vdus,
        links,
        ext_cps: ext,
        default_level: read.default_level,
        levels: read.levels,
        aspects: read.aspects,
        groups,
    }
}

/// The longest time that the provider recommends for a stop; a least time counts where it is above what is usual.
fn graceful_stop(vnf: &At<'_>) -> Option<u32> {
    let config = vnf.property("lcm_operations_configuration")?;
    let of = |op: &str, key: &str| config.get(op).and_then(|o| o.get(key)).and_then(|t| t.seconds());
    let most = [("terminate", "max_recommended_graceful_termination_timeout"), ("operate", "max_recommended_graceful_stop_timeout")];
    let least = [("terminate", "min_graceful_termination_timeout"), ("operate", "min_graceful_stop_timeout")];
    let longest = |keys: [(&str, &str); 2]| keys.into_iter().filter_map(|(op, key)| of(op, key)).max();
    match (longest(most), longest(least)) {
        (Some(most), least) => Some(most.max(least.unwrap_or(0))),
        (None, least) => least.filter(|s| *s > GRACEFUL_STOP_S),
    }
}

/// A `VnfExtCp`: an internal link shown outside.
fn reexposed(at: &At<'_>) -> Option<ExtCp> {
    let inner = at.requirements().into_iter().find(|(n, _, _)| n == "internal_virtual_link");
    let Some((_, target, req)) = inner else {
        at.missing("requirements.internal_virtual_link");
        return None;
    };
    let is_link = |n: &Rc<Node>| at.scope.types.is_a(at.scope.type_of(n), INT_LINK);
    if !at.scope.template(&target).is_some_and(is_link) {
        req.no_such("virtual link", &target, at.scope.templates().iter().filter(|(_, n)| is_link(n)).map(|(k, _)| k.text.as_str()));
    }
    Some(ExtCp {
        id: at.me(),
        requirement: at.me(),
        description: at.property("description").and_then(|d| d.text()).unwrap_or_default(),
        through: ExtCpThrough::Link(target),
        management: hints(at, ON_EXT_CP).flag("management").unwrap_or(false),
    })
}

/// `substitution_mappings.requirements`: which connection points the outside sees, under which
/// name. Also what is neither mapped nor linked inside.
fn expose(scope: &Scope<'_>, cps: &mut [(ReadCp<'_>, At<'_>)], ext: &mut Vec<ExtCp>, management: &[SmolStr]) {
    let mapped = scope.topology.get("substitution_mappings").and_then(|s| s.get("requirements")).cloned();
    let mut pairs = Vec::new();
    if let Some(node) = mapped {
        let at = At::new(scope, node, "topology_template.substitution_mappings.requirements", None);
        let maps = if at.is_list() { at.items() } else { vec![at] };
        pairs = maps.iter().flat_map(At::entries).collect();
    }
    for (name, at) in pairs {
        let inner = at.get("mapping").unwrap_or_else(|| at.clone());
        // `[]` is how templates say that they do not map it.
        let items = inner.items();
        let Some(cp) = items.first().and_then(|i| i.text()) else { continue };
        if let Some(e) = ext.iter_mut().find(|e| e.id == cp) {
            e.requirement = name.text;
            continue;
        }
        let known: Vec<SmolStr> = cps.iter().map(|(_, a)| a.me()).collect();
        let Some((read, cp_at)) = cps.iter_mut().find(|(_, a)| a.me() == cp) else {
            at.no_such("connection point", &cp, known.iter().map(SmolStr::as_str));
            continue;
        };
        if let CpLink::Internal(l) = &read.nic.link
            && !l.is_empty()
        {
            cp_at.warn(format!("is attached to '{l}' and exposed as '{}' as well; the exposed one counts", name.text));
        }
        read.nic.link = CpLink::External(cp.clone());
        ext.push(ext_cp(read, cp_at, name.text));
    }
    for (read, at) in cps.iter_mut() {
        if read.nic.link == CpLink::Internal(SmolStr::default()) {
            let hint = format!("map it: substitution_mappings.requirements: {{ virtual_link: [ {}, virtual_link ] }}", at.me());
            at.warn_hint("has no virtual link and is not mapped; it is taken as an external connection point", hint);
            read.nic.link = CpLink::External(at.me());
            ext.push(ext_cp(read, at, at.me()));
        } else if read.management && !ext.iter().any(|e| e.id == at.me()) && !management.contains(&at.me()) {
            at.warn("is marked for management, but is not an external connection point");
        }
    }
}

fn ext_cp(read: &ReadCp<'_>, at: &At<'_>, requirement: SmolStr) -> ExtCp {
    ExtCp {
        id: at.me(),
        requirement,
        description: at.property("description").and_then(|d| d.text()).unwrap_or_default(),
        through: ExtCpThrough::VduCp { vdu: read.vdu.clone(), cp: at.me() },
        management: read.management,
    }
}

/// Puts each NIC on its VDU, in the order the descriptor gives.
fn attach(scope: &Scope<'_>, vdus: &mut [Vdu], links: &[IntLink], cps: &[(ReadCp<'_>, At<'_>)]) {
    let names: Vec<SmolStr> = vdus.iter().map(|v| v.id.clone()).collect();
    for (read, at) in cps {
        if !read.vdu.is_empty() && !names.contains(&read.vdu) {
            read.binding.as_ref().unwrap_or(at).no_such("VDU", &read.vdu, names.iter().map(SmolStr::as_str));
        }
        if let CpLink::Internal(l) = &read.nic.link
            && !links.iter().any(|k| k.id == *l)
        {
            read.linked.as_ref().unwrap_or(at).no_such("virtual link", l, links.iter().map(|k| k.id.as_str()));
        }
    }
    for vdu in vdus.iter_mut() {
        let mut mine: Vec<(Option<u64>, VduCp)> =
            cps.iter().filter(|(r, _)| r.vdu == vdu.id && r.sub.is_none()).map(|(r, _)| (r.order, r.nic.clone())).collect();
        // A stable sort: those without a place follow the others as they are written.
        mine.order_by_key(|(order, _)| order.unwrap_or(u64::MAX));
        check_order(scope, &vdu.id, &mine);
        vdu.nics = mine.into_iter().map(|(_, n)| n).collect();
        check_places(scope, vdu);
    }
    trunk::load(vdus, links, cps);
}

/// NICs that have a place of their own in the guest must not come before others that are first.
fn check_places(scope: &Scope<'_>, vdu: &Vdu) {
    let places: Vec<_> = vdu.nics.iter().map(|n| n.wish.vpci).collect();
    if places.iter().any(Option::is_some)
        && let Err(why) = nic_slots(&places)
        && let Some(at) = At::template(scope, &vdu.id)
    {
        at.error_hint(format!("vpci: {why}"), "the addresses must ascend in the NICs' order");
    }
}

fn check_order(scope: &Scope<'_>, vdu: &str, nics: &[(Option<u64>, VduCp)]) {
    let at = |id: &str| At::template(scope, id);
    let with: Vec<(u64, &SmolStr)> = nics.iter().filter_map(|(o, n)| Some(((*o)?, &n.id))).collect();
    for pair in with.windows(2) {
        if let [(a, first), (b, second)] = pair
            && a == b
            && let Some(at) = at(second)
        {
            at.error(format!("has order {b} on VDU '{vdu}', and so has '{first}'"));
        }
    }
    if with.len() < nics.len() && !with.is_empty() {
        for (_, n) in nics.iter().filter(|(o, _)| o.is_none()) {
            if let Some(at) = at(&n.id) {
                at.warn(format!("has no order, while others on VDU '{vdu}' have; it comes after them"));
            }
        }
    }
    if let (Some((last, id)), Some((first, _))) = (with.last(), with.first())
        && (last - first >= with.len() as u64 || *first > 1)
        && let Some(at) = at(id)
    {
        at.warn(format!("the orders on VDU '{vdu}' have gaps; its NICs follow each other without them"));
    }
}
