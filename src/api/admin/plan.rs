//! Dry runs: what an instantiation or the scaling of a service would make, what an update, or other links, another flavour
//! or another package of a VNF would change, or every reason why not. Nothing is touched.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{chains, networks};
use crate::{
    access::manage::Thing,
    api::{
        Ctx,
        convert::{
            connect, flavour, kept,
            members::Members,
            package,
            request::{self, Scaled},
            update::{self, Update},
        },
        extract,
        problem::{Answer, Problem},
        respond::{Json, NoQuery, unprocessable},
        who::View,
    },
    model::{
        chain::Chain,
        error::{Fault, Result},
        id::{NsId, SegmentId, VnfId},
        param::Params,
        place::Held,
        step::PlanStep,
        vnf::{self, Body, VnfInstance},
    },
    nfvo::{accept::NsDryRun, way::Rerouted},
    sol::{
        nslcm::{InstantiateNsRequest, ScaleNsRequest, UpdateNsRequest},
        vnflcm::{ChangeCurrentVnfPkgRequest, ChangeExtVnfConnectivityRequest, ChangeVnfFlavourRequest, InstantiateVnfRequest},
    },
    vnfm::{
        accept::{CreateVnf, DryRun},
        connect::ConnectDryRun,
        place::texts,
        remake::{Fate, FateOfDisk},
    },
};

/// Exactly one of the members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub(super) ns: Option<AskNs>,
    vnf: Option<AskVnf>,
    update: Option<AskUpdate>,
    scale: Option<AskScale>,
    connect: Option<AskConnect>,
    #[serde(rename = "changeFlavour")]
    flavour: Option<AskFlavour>,
    #[serde(rename = "changeVnfPkg")]
    package: Option<AskPackage>,
}

/// Of a service that runs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskUpdate {
    ns_instance_id: String,
    request: UpdateNsRequest,
}

/// A descriptor, or an instance that is not instantiated yet.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AskNs {
    pub(super) nsd_id: Option<String>,
    ns_instance_id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) request: InstantiateNsRequest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskVnf {
    vnfd_id: Option<String>,
    vnf_instance_id: Option<String>,
    name: Option<String>,
    request: InstantiateVnfRequest,
}

/// SCALE_NS of a service that is up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskScale {
    ns_instance_id: String,
    request: ScaleNsRequest,
}

/// Of a VNF that is up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskConnect {
    vnf_instance_id: String,
    request: ChangeExtVnfConnectivityRequest,
}

/// CHANGE_FLAVOUR of a VNF that is up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskFlavour {
    vnf_instance_id: String,
    request: ChangeVnfFlavourRequest,
}

/// CHANGE_VNFPKG of a VNF that is up.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AskPackage {
    vnf_instance_id: String,
    request: ChangeCurrentVnfPkgRequest,
}

#[derive(Serialize, Default)]
pub struct Plan {
    links: Vec<networks::Wire>,
    vnfs: Vec<Vnf>,
    /// VNFs that go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<Named>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chains: Vec<chains::Wire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    moves: Vec<Move>,
    /// Of a VNF that would come to another package.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<Packages>,
    /// Of a VNF that is there: what would become of its disks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disks: Vec<DiskFate>,
    steps: Vec<Step>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Packages {
    before: Product,
    after: Product,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    vnf_pkg_id: String,
    vnfd_id: String,
    vnf_provider: String,
    vnf_product_name: String,
    vnf_software_version: String,
    vnfd_version: String,
}

impl Ask {
    /// Known members of the request that nobody acts on, by their paths.
    fn idle(&self) -> Result<Vec<String>> {
        let all = [
            self.ns.as_ref().map(|a| kept::idle(&a.request)),
            self.vnf.as_ref().map(|a| kept::idle(&a.request)),
            self.update.as_ref().map(|a| kept::idle(&a.request)),
            self.scale.as_ref().map(|a| kept::idle(&a.request)),
            self.connect.as_ref().map(|a| kept::idle(&a.request)),
            self.flavour.as_ref().map(|a| kept::idle(&a.request)),
            self.package.as_ref().map(|a| kept::idle(&a.request)),
        ];
        Ok(all.into_iter().flatten().collect::<Result<Vec<_>>>()?.concat())
    }
}

impl From<&vnf::Origin> for Product {
    fn from(p: &vnf::Origin) -> Self {
        Product {
            vnf_pkg_id: p.package.to_string(),
            vnfd_id: p.vnfd_id.to_string(),
            vnf_provider: p.provider.to_string(),
            vnf_product_name: p.name.to_string(),
            vnf_software_version: p.software_version.to_string(),
            vnfd_version: p.vnfd_version.to_string(),
        }
    }
}

#[derive(Serialize)]
struct DiskFate {
    /// `vdu/0`.
    guest: String,
    storage: String,
    fate: &'static str,
}

impl From<&FateOfDisk> for DiskFate {
    fn from(f: &FateOfDisk) -> Self {
        let fate = match f.fate {
            Fate::Kept => "KEPT",
            Fate::Grown => "GROWN",
            Fate::Anew => "ANEW",
            Fate::Added => "ADDED",
            Fate::Removed => "REMOVED",
        };
        DiskFate { guest: f.guest.to_string(), storage: f.storage.to_string(), fate }
    }
}

/// Of a chain that would take another way.
#[derive(Serialize)]
struct Change {
    id: String,
    nfp: String,
    /// Its functions.
    before: Vec<String>,
    after: Vec<String>,
    /// For each classifier whose traffic would go another way: which, and how connections take it.
    cutover: Vec<String>,
}

/// A NIC that would come to another link, or to other addresses.
#[derive(Serialize)]
struct Move {
    /// `vdu/0/cp`.
    nic: String,
    cpd: String,
    before: Seat,
    /// Absent: it would be on no link.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Seat>,
}

#[derive(Serialize)]
struct Seat {
    link: String,
    addresses: Vec<String>,
}

#[derive(Serialize)]
struct Named {
    id: String,
    name: String,
}

#[derive(Serialize)]
struct Vnf {
    name: String,
    /// The VNF profile, in a network service.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    flavour: String,
    level: String,
    guests: Vec<Guest>,
}

#[derive(Serialize)]
struct Guest {
    id: String,
    vdu: String,
    hostname: String,
    domain: String,
    vcpus: u32,
    #[serde(rename = "memoryMib")]
    memory_mib: u64,
    disks: Vec<Disk>,
    ports: Vec<Port>,
    /// Where it would be on the host, when it wishes for hardware.
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<String>,
}

#[derive(Serialize)]
struct Disk {
    storage: String,
    #[serde(rename = "sizeMib")]
    size_mib: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
}

#[derive(Serialize)]
struct Port {
    cp: String,
    link: String,
    vlan: u16,
    interface: String,
    mac: String,
    addresses: Vec<String>,
    /// Of a trunk: the tag on its NIC under which the link comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
}

#[derive(Serialize)]
struct Step {
    index: u32,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vnf: Option<String>,
    after: Vec<u32>,
}

fn steps(of: &[PlanStep], vnf: Option<&str>) -> Vec<Step> {
    let wire = |s: &PlanStep| Step { index: s.index, label: s.step.label(), vnf: vnf.map(Into::into), after: s.after.clone() };
    of.iter().map(wire).collect()
}

fn planned(name: &str, profile: Option<&str>, body: &Body, held: &[Held], links: &[networks::Wire]) -> Vnf {
    let places = texts(held);
    let port = |p: &vnf::Port| {
        let segment = p.segment.to_string();
        let on = links.iter().find(|l| l.id == segment);
        Port {
            cp: p.cp.to_string(),
            link: on.map_or(segment, |l| l.link.clone()),
            vlan: on.map_or(0, |l| l.vlan),
            interface: p.ifname.as_str().into(),
            mac: p.mac.to_string(),
            addresses: p.addresses.iter().map(ToString::to_string).collect(),
            tag: on.and_then(|l| l.stations.iter().find(|st| st.port == p.id.to_string())).and_then(|st| st.tag),
        }
    };
    Vnf {
        name: name.into(),
        profile: profile.map(Into::into),
        flavour: body.flavour.to_string(),
        level: body.level.to_string(),
        guests: body
            .vnfcs
            .iter()
            .map(|c| Guest {
                id: c.id.to_string(),
                vdu: format!("{}/{}", c.vdu, c.index),
                hostname: c.hostname.to_string(),
                domain: c.id.domain_name(),
                vcpus: c.vcpus,
                memory_mib: c.memory.0,
                disks: c
                    .disks
                    .iter()
                    .map(|d| Disk {
                        storage: d.storage.to_string(),
                        size_mib: d.size.0,
                        image: d.base.map(|(sha256, _)| data_encoding::HEXLOWER.encode(&sha256)),
                    })
                    .collect(),
                ports: c.ports.iter().map(port).collect(),
                placement: places.get(&c.id).cloned(),
            })
            .collect(),
    }
}

fn of_ns(nfvo: &View, ask: AskNs, id: Option<NsId>) -> Result<Plan> {
    let how = request::instantiate_ns(ask.request)?;
    let name = SmolStr::new(ask.name.as_deref().unwrap_or("plan"));
    let dry = match id {
        Some(id) => nfvo.seen(Thing::Ns(id), |n| n.dry_instantiate(id, &how))?,
        None => nfvo.dry_new(nfvo.project(), &ask.nsd_id.unwrap_or_default(), name, &how)?,
    };
    Ok(shown(&dry))
}

/// A service as it would be.
pub(super) fn shown(dry: &NsDryRun) -> Plan {
    let links: Vec<_> = dry.segments.iter().map(networks::Wire::from).collect();
    let members = &dry.plan.members;
    let mut all = steps(&dry.plan.steps, None);
    all.extend(members.iter().flat_map(|m| steps(&m.plan.steps, Some(&m.instance.name))));
    let vnfs =
        members.iter().map(|m| planned(&m.instance.name, Some(&m.profile), &m.plan.body, &m.plan.reservation.placed, &links)).collect();
    let chains = dry.plan.chains.iter().map(|c| chains::of(c, None)).collect();
    Plan { vnfs, links, chains, steps: all, warnings: dry.plan.warnings.clone(), ..Plan::default() }
}

fn of_update(nfvo: &View, ask: &AskUpdate, id: NsId) -> Result<Plan> {
    let usual = nfvo.vnfm().rules().graceful_stop_s;
    let paths = match update::read(&ask.request, usual)? {
        Some(Update::Paths(paths)) => paths,
        Some(Update::Members(Members::Remake(vnf, what))) => {
            return Ok(one_vnf(nfvo.seen(Thing::Ns(id), |n| n.dry_remake_member(id, vnf, what.0.change()))?));
        }
        Some(Update::Members(Members::Connect(vnf, how))) => {
            return Ok(moved(nfvo.seen(Thing::Ns(id), |n| n.dry_connect_member(id, vnf, &how))?));
        }
        Some(Update::Members(Members::Operate(_) | Members::Modify(_)) | Update::Boxes(_) | Update::Snapshot(..)) | None => {
            let why = "update.request.updateType: UPDATE_VNFFG, CHANGE_VNF_DF, CHANGE_VNFPKG and CHANGE_EXTERNAL_VNF_CONNECTIVITY can be \
                       planned without doing it";
            return Err(Fault::invalid(why));
        }
    };
    let dry = nfvo.seen(Thing::Ns(id), |n| n.dry_reroute(id, &paths))?;
    let names = |c: &Chain| c.hops.iter().map(|h| h.name.to_string()).collect();
    let change = |c: &Rerouted| Change {
        id: c.after.id.to_string(),
        nfp: c.after.nfp.to_string(),
        before: names(&c.before),
        after: names(&c.after),
        cutover: c.cutover.lines.clone(),
    };
    Ok(Plan {
        chains: dry.changes.iter().map(|c| chains::of(&c.after, None)).collect(),
        changes: dry.changes.iter().map(change).collect(),
        steps: steps(&dry.steps, None),
        warnings: dry.changes.into_iter().flat_map(|c| c.warnings).collect(),
        ..Plan::default()
    })
}

fn of_scale(nfvo: &View, ask: &AskScale) -> Result<Plan> {
    let Scaled::Service(how) = request::scale_ns(&ask.request)? else {
        return Err(Fault::invalid("scale.request.scaleType: only SCALE_NS can be planned without doing it"));
    };
    let id: NsId = ask.ns_instance_id.parse()?;
    let (ns, dry) = nfvo.seen(Thing::Ns(id), |n| n.dry_scale(id, &how))?;
    let links: Vec<_> = dry.segments.iter().filter(|s| ns.links.iter().any(|(_, id)| *id == s.id)).map(networks::Wire::from).collect();
    let mut removed = Vec::new();
    for (vnf, _) in &dry.less {
        removed.extend(nfvo.vnfm().store().get::<VnfInstance>(vnf)?.map(|v| Named { id: v.id.to_string(), name: v.name.to_string() }));
    }
    let mut all = steps(&dry.steps, None);
    all.extend(dry.members.iter().flat_map(|m| steps(&m.plan.steps, Some(&m.instance.name))));
    let vnfs =
        dry.members.iter().map(|m| planned(&m.instance.name, Some(&m.profile), &m.plan.body, &m.plan.reservation.placed, &links)).collect();
    Ok(Plan { vnfs, removed, links, steps: all, warnings: dry.warnings, ..Plan::default() })
}

fn of_vnf(nfvo: &View, ask: AskVnf, id: Option<VnfId>) -> Result<Plan> {
    let how = request::instantiate_vnf(ask.request)?;
    let dry = match id {
        Some(id) => nfvo.seen(Thing::Vnf(id), |n| n.vnfm().dry_instantiate(id, &how))?,
        None => {
            let create = CreateVnf {
                project: nfvo.project(),
                vnfd_id: ask.vnfd_id.unwrap_or_default().into(),
                name: ask.name.map(Into::into),
                description: String::new(),
                metadata: Params::new(),
            };
            nfvo.vnfm().dry_new(&create, &how)?
        }
    };
    Ok(one_vnf(dry))
}

/// A VNF as it would be.
fn one_vnf(dry: DryRun) -> Plan {
    let links: Vec<_> = dry.segments.iter().map(networks::Wire::from).collect();
    Plan {
        vnfs: vec![planned(&dry.name, None, &dry.body, &dry.placed, &links)],
        links,
        package: dry.package.as_ref().map(|p| Packages { before: (&p.before).into(), after: (&p.after).into() }),
        disks: dry.fates.iter().map(Into::into).collect(),
        steps: steps(&dry.steps, None),
        warnings: dry.warnings,
        ..Plan::default()
    }
}

fn of_flavour(nfvo: &View, ask: AskFlavour) -> Result<Plan> {
    let id: VnfId = ask.vnf_instance_id.parse()?;
    let how = flavour::request(ask.request)?;
    Ok(one_vnf(nfvo.seen(Thing::Vnf(id), |n| n.vnfm().dry_change_flavour(id, &how))?))
}

fn of_package(nfvo: &View, ask: AskPackage) -> Result<Plan> {
    let id: VnfId = ask.vnf_instance_id.parse()?;
    let how = package::request(ask.request)?;
    Ok(one_vnf(nfvo.seen(Thing::Vnf(id), |n| n.vnfm().dry_change_package(id, &how))?))
}

fn of_connect(nfvo: &View, ask: AskConnect) -> Result<Plan> {
    let id: VnfId = ask.vnf_instance_id.parse()?;
    let how = connect::request(ask.request)?;
    Ok(moved(nfvo.seen(Thing::Vnf(id), |n| n.vnfm().dry_change_ext_conn(id, &how, false))?))
}

/// NICs as they would be connected.
fn moved(dry: ConnectDryRun) -> Plan {
    let name = |id: SegmentId| dry.links.iter().find(|s| s.id == id).map_or_else(|| id.to_string(), |s| s.link.to_string());
    let seat = |s: &vnf::Seat| Seat { link: name(s.segment), addresses: s.addresses.iter().map(ToString::to_string).collect() };
    let moved = |m: &vnf::PortMove| Move {
        nic: m.name.to_string(),
        cpd: m.cpd.to_string(),
        before: seat(&m.before),
        after: (!m.parted).then(|| seat(&m.after)),
    };
    Plan {
        links: dry.links.iter().map(networks::Wire::from).collect(),
        moves: dry.plan.moves.iter().map(moved).collect(),
        steps: steps(&dry.plan.steps, Some(&dry.name)),
        warnings: dry.plan.warnings,
        ..Plan::default()
    }
}

pub async fn plan(State(s): Ctx, _: NoQuery, extract::Noted(ask, ignored): extract::Noted<Ask>) -> Answer<Json<Plan>> {
    let one = |a: &Option<String>, b: &Option<String>, what: &str| match (a, b) {
        (Some(_), None) | (None, Some(_)) => Ok(()),
        (None, None) | (Some(_), Some(_)) => {
            Err(Box::new(Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, format!("give either {what}"))))
        }
    };
    let idle = ask.idle()?;
    let plan = match (ask.ns, ask.vnf, ask.update, ask.scale, ask.connect, ask.flavour, ask.package) {
        (Some(ns), None, None, None, None, None, None) => {
            one(&ns.nsd_id, &ns.ns_instance_id, "ns.nsdId or ns.nsInstanceId")?;
            let id = ns.ns_instance_id.as_deref().map(str::parse).transpose()?;
            s.domain(move |n| of_ns(n, ns, id)).await
        }
        (None, Some(vnf), None, None, None, None, None) => {
            one(&vnf.vnfd_id, &vnf.vnf_instance_id, "vnf.vnfdId or vnf.vnfInstanceId")?;
            let id = vnf.vnf_instance_id.as_deref().map(str::parse).transpose()?;
            s.domain(move |n| of_vnf(n, vnf, id)).await
        }
        (None, None, Some(update), None, None, None, None) => {
            let id = update.ns_instance_id.parse()?;
            s.domain(move |n| of_update(n, &update, id)).await
        }
        (None, None, None, Some(scale), None, None, None) => s.domain(move |n| of_scale(n, &scale)).await,
        (None, None, None, None, Some(connect), None, None) => s.domain(move |n| of_connect(n, connect)).await,
        (None, None, None, None, None, Some(flavour), None) => s.domain(move |n| of_flavour(n, flavour)).await,
        (None, None, None, None, None, None, Some(package)) => s.domain(move |n| of_package(n, package)).await,
        _ => return Err(Fault::invalid("give either ns or vnf, or scale, or update, or connect, or changeFlavour, or changeVnfPkg").into()),
    };
    let plan = plan.map(|mut p| {
        p.warnings.extend(idle.into_iter().map(|path| format!("{path}: not acted on here, ignored")));
        p
    });
    answer(plan, ignored)
}

/// `ignored`: where the request said what nobody here knows.
pub(super) fn answer(plan: Answer<Plan>, ignored: Vec<String>) -> Answer<Json<Plan>> {
    let unknown = |path: String| format!("{path}: not known here, ignored");
    let plan = plan.map(|mut p| {
        p.warnings.extend(ignored.into_iter().map(unknown));
        p
    });
    plan.map(Json).map_err(|p| if p.status == axum::http::StatusCode::NOT_FOUND { unprocessable(p) } else { p })
}
