//! SOL005 6.4.2 to 6.4.8: NS instances.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use uuid::Uuid;

use crate::{
    access::central::forget_snapshot,
    api::{
        Ctx,
        conditional::if_match,
        convert::{
            Base, kept,
            members::Members,
            ns::{self, Whole},
            request::{self, Scaled},
            update::{self, Update},
        },
        extract::{self, Id},
        list::{Page, Query, list},
        problem::{Answer, Problem},
        respond::{NoQuery, accepted, created, digest, shown, unprocessable},
        routes::Routes,
        sol003::vnflcm,
    },
    model::{
        chain::Chain,
        error::{Fault, Result},
        id::{NsId, VnfId, VnfPkgId},
        ns::NsInstance,
        op::{OpKind, Operation},
        package::{NsDescriptor, VnfPackage},
        segment::Segment,
        vnf::VnfInstance,
    },
    nfvo::{Nfvo, snapshot::SnapshotUpdate},
    sol::{
        nslcm::{CreateNsRequest, HealNsRequest, InstantiateNsRequest, ScaleNsRequest, TerminateNsRequest, UpdateNsRequest},
        shape::NS_INSTANCE,
    },
};

pub fn routes() -> Routes {
    const ONE: &str = "/nslcm/v2/ns_instances/{nsInstanceId}";
    Routes::default()
        .get("/nslcm/v2/ns_instances", all)
        .post("/nslcm/v2/ns_instances", create)
        .get(ONE, one)
        .delete(ONE, delete)
        .post("/nslcm/v2/ns_instances/{nsInstanceId}/instantiate", instantiate)
        .post("/nslcm/v2/ns_instances/{nsInstanceId}/terminate", terminate)
        .post("/nslcm/v2/ns_instances/{nsInstanceId}/scale", scale)
        .post("/nslcm/v2/ns_instances/{nsInstanceId}/update", update)
        .post("/nslcm/v2/ns_instances/{nsInstanceId}/heal", heal)
}

pub fn find(nfvo: &Nfvo, id: NsId) -> Result<NsInstance> {
    nfvo.vnfm().store().get(&id)?.ok_or_else(|| Fault::not_found(format!("there is no NS instance {id}")))
}

/// The service with its members and links.
fn whole(nfvo: &Nfvo, ns: NsInstance) -> Result<Whole> {
    let store = nfvo.vnfm().store();
    let mut packages: BTreeMap<VnfPkgId, Option<VnfPackage>> = BTreeMap::new();
    let mut vnfs = Vec::new();
    for m in &ns.members {
        let Some(v) = store.get::<VnfInstance>(&m.vnf)? else { continue };
        if let std::collections::btree_map::Entry::Vacant(e) = packages.entry(v.package) {
            e.insert(store.get(&v.package)?);
        }
        let vnfd = packages.get(&v.package).and_then(|p| p.as_ref()).and_then(|p| p.vnfd.as_ref());
        let flavour = v.body.as_ref().and_then(|b| vnfd.and_then(|d| d.flavour(&b.flavour))).cloned();
        vnfs.push((v, flavour));
    }
    let mut segments = Vec::new();
    for (_, id) in &ns.links {
        segments.extend(store.get::<Segment>(id)?);
    }
    let chains = store.list::<Chain>()?.into_iter().filter(|c| c.ns == ns.id).collect();
    let nsd = store.get::<NsDescriptor>(&ns.nsd_info)?.and_then(|d| d.nsd);
    let flavour = nsd.and_then(|n| n.flavours.into_iter().find(|f| Some(&f.id) == ns.flavour.as_ref()));
    Ok(Whole { ns, vnfs, segments, chains, aspects: flavour.map(|f| f.aspects).unwrap_or_default() })
}

/// Names a version of it: all that is shown counts, from wherever it is asked.
fn version(w: &Whole) -> Result<u64> {
    digest(&ns::instance(w, &Base(String::new())))
}

async fn all(State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
    let query = Query::parse(&uri, &NS_INSTANCE)?;
    // Members and links are read only where they are looked at.
    let with_parts = ["vnfInstance", "virtualLinkInfo", "vnffgInfo", "sapInfo", "nsScaleStatus"].iter().any(|m| query.needs(m));
    let page = |n: &Nfvo, after: Option<Uuid>, limit| {
        Ok(Page::of(n.vnfm().store().page::<NsInstance>(after.map(NsId).as_ref(), limit)?, limit, |ns| ns.id.0))
    };
    let to = base.clone();
    let show = move |n: &Nfvo, ns| {
        let w = if with_parts { whole(n, ns)? } else { Whole::alone(ns) };
        Ok(ns::instance(&w, &to))
    };
    list(&s, &base, query, page, show).await
}

async fn create(State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<CreateNsRequest>) -> Answer<Response> {
    let made = s.domain(move |n| n.create_ns(n.project(), &r.nsd_id, r.ns_name.into(), r.ns_description)).await;
    let w = Whole::alone(made.map_err(unprocessable)?);
    created(&format!("/nslcm/v2/ns_instances/{}", w.ns.id), version(&w)?, &ns::instance(&w, &base))
}

async fn one(State(s): Ctx, base: Base, Id(id): Id<NsId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let w = s.domain(move |n| whole(n, find(n, id)?)).await?;
    Ok(shown(&headers, version(&w)?, &ns::instance(&w, &base)))
}

async fn delete(State(s): Ctx, Id(id): Id<NsId>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
    s.domain(move |n| {
        if_match(&headers, version(&whole(n, find(n, id)?)?)?)?;
        // One that can be deleted has no members: its own record is all of it.
        let alone = |ns: &NsInstance| version(&Whole::alone(ns.clone()));
        n.delete_ns(id, |ns| if ns.members.is_empty() { if_match(&headers, alone(ns)?) } else { Ok(()) })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn operation(op: &Operation) -> Answer<Response> {
    accepted(&format!("/nslcm/v2/ns_lcm_op_occs/{}", op.id))
}

async fn instantiate(
    State(s): Ctx,
    Id(id): Id<NsId>,
    _: NoQuery,
    extract::Json(r): extract::Json<InstantiateNsRequest>,
) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            n.instantiate(id, &request::instantiate_ns(r)?)
        })
        .await?;
    operation(&op)
}

async fn terminate(State(s): Ctx, Id(id): Id<NsId>, _: NoQuery, extract::Json(r): extract::Json<TerminateNsRequest>) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            let members: Vec<VnfId> = find(n, id)?.members.iter().map(|m| m.vnf).collect();
            let graceful = request::terminate_ns(&r, n.vnfm().rules().graceful_stop_s, &members)?;
            n.terminate(id, graceful, kept::text(&r)?)
        })
        .await?;
    operation(&op)
}

/// SOL005 6.4.5: of the VNFs in it, or of how many there are.
async fn scale(State(s): Ctx, Id(id): Id<NsId>, _: NoQuery, extract::Json(r): extract::Json<ScaleNsRequest>) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            find(n, id)?;
            match request::scale_ns(&r)? {
                Scaled::Members(what) => n.alter(id, OpKind::Scale, &what, &kept::text(&r)?),
                Scaled::Service(ask) => n.scale(id, &ask),
            }
        })
        .await?;
    operation(&op)
}

/// SOL005 6.4.6: of its VNFs as they are, of its forwarding graphs, of its physical boxes, and snapshots of its VNFs.
async fn update(State(s): Ctx, Id(id): Id<NsId>, _: NoQuery, extract::Json(r): extract::Json<UpdateNsRequest>) -> Answer<Response> {
    let Some(ask) = update::read(&r, s.nfvo.vnfm().rules().graceful_stop_s)? else {
        let why = "of the updates of a network service OPERATE_VNF, MODIFY_VNF_INFORMATION, CHANGE_VNF_DF, CHANGE_VNFPKG, \
                   CHANGE_EXTERNAL_VNF_CONNECTIVITY, UPDATE_VNFFG, those of VNF snapshots, ADD_PNF, MODIFY_PNF and REMOVE_PNF are offered yet";
        return Err(Box::new(Problem::new(StatusCode::NOT_FOUND, why)));
    };
    let op = s
        .domain(move |n| {
            find(n, id)?;
            let request = kept::text(&r)?;
            match ask {
                Update::Paths(ask) => n.reroute(id, &ask, &request),
                Update::Boxes(ask) => n.update_pnfs(id, &ask, &request),
                Update::Snapshot(vnf, what) => {
                    let done = n.update_snapshot(id, vnf, &what, &request)?;
                    if let SnapshotUpdate::Delete(gone) = what {
                        forget_snapshot(n.vnfm().store(), gone)?;
                    }
                    Ok(done)
                }
                Update::Members(ask) => of_members(n, id, ask, &request),
            }
        })
        .await?;
    operation(&op)
}

fn of_members(n: &Nfvo, id: NsId, ask: Members, request: &str) -> Result<Operation> {
    match ask {
        Members::Operate(what) => n.operate_members(id, &what, request),
        Members::Modify(what) => {
            let which: Vec<VnfId> = what.iter().map(|(vnf, _)| *vnf).collect();
            n.modify_members(id, &which, request, &|v| {
                let asked = what.iter().find(|(vnf, _)| *vnf == v.id).map(|(_, r)| r);
                let asked = asked.ok_or_else(|| Fault::bug("a member that was not named"))?;
                vnflcm::apply(v, asked)?;
                request::text(asked)
            })
        }
        Members::Remake(vnf, what) => {
            let (to, given) = *what;
            n.remake_member(id, vnf, to.change(), &|p| vnflcm::laid_on(p, &given.extensions, &given.configurable), request)
        }
        Members::Connect(vnf, ask) => n.connect_member(id, vnf, &ask, request),
    }
}

/// SOL005 6.4.7: of some VNFs in it, or of all.
async fn heal(State(s): Ctx, Id(id): Id<NsId>, _: NoQuery, extract::Json(r): extract::Json<HealNsRequest>) -> Answer<Response> {
    let op = s
        .domain(move |n| {
            let members: Vec<VnfId> = find(n, id)?.members.iter().map(|m| m.vnf).collect();
            n.alter(id, OpKind::Heal, &request::heal_ns(&r, &members)?, &kept::text(&r)?)
        })
        .await?;
    operation(&op)
}
