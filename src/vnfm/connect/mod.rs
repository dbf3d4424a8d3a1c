//! External connection points that come to other links while their guests run (SOL003 5.4.11, CHANGE_EXT_CONN).
//!
//! * `plan` pure: which NICs go where, with which addresses, or every reason why not
//! * `step` brings one NIC to its link and back
//!
//! Owns the taking of such a request and what its end means. A guest keeps its NICs and learns nothing of it but by
//! its DHCP: first-boot media are not written again. Never: how a link is on the switch.

mod plan;
mod step;

use smol_str::SmolStr;
use tracing::info;

pub use plan::Connected;

use super::{
    Vnfm,
    accept::{body_of, join, retrying, vnfd_of},
    grant::{self, claim_facts},
    laid::Anew,
    owned::{Wanted, put_ask},
    part::{Service, check_asker, put_service},
    plan::{Fabric, fresh_uuid},
    settle::touch,
};
use crate::{
    model::{
        central::Resources,
        error::{Fault, Result},
        grant::{Resource, ResourceKind},
        id::{OpId, SegmentId, VnfId},
        op::{OpKind, Operation, Target, Trigger, VnfOpState},
        package::VnfPackage,
        segment::Segment,
        step::{PlanStep, Step, VnfStep},
        vnf::{PortMove, VnfInstance},
    },
    store::{Durability, Tx},
    vim::network::{Stations, Wish},
};

/// What a request says of one external connection point, or of one instance of it.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Where in the request, for faults.
    pub at: String,
    pub cpd: SmolStr,
    /// As `VnfExtCpInfo` names it; `None`: every instance.
    pub instance: Option<SmolStr>,
    /// The link that it is said of; `None`: its id has no form, which `ChangeExtConn::wrong` says.
    pub link: Option<SegmentId>,
    pub to: To,
}

#[derive(Debug, Clone)]
pub enum To {
    /// To that link. A link port can only be named as the one that the instance has.
    Link { wish: Wish, link_port: Option<SmolStr> },
    /// Off that link.
    Nowhere,
}

#[derive(Debug, Clone, Default)]
pub struct ChangeExtConn {
    pub all: Vec<Connect>,
    /// What is wrong with its form: told along with the rest.
    pub wrong: Vec<String>,
    /// The request as received.
    pub request: String,
}

/// A change that was planned and not made.
pub struct ConnectDryRun {
    pub name: SmolStr,
    pub plan: Connected,
    /// Links that it is about.
    pub links: Vec<Segment>,
}

impl Vnfm {
    pub fn change_ext_conn(&self, id: VnfId, ask: &ChangeExtConn) -> Result<Operation> {
        let op_id = OpId(fresh_uuid(&*self.dice));
        let (op, steps) = retrying(|| {
            let inst = self.connectable(id, false)?;
            let op = self.draft_op(op_id, inst.project, Target::Vnf(id), OpKind::ChangeExtConn, ask.request.clone());
            self.commit_connect(&inst, op, ask, None, None)
        })?;
        info!(op = %op.id, vnf = %id, kind = op.kind.name(), state = op.state.name(), "operation accepted");
        self.hand_over(&op, steps)?;
        Ok(op)
    }

    /// The same of a member, as a part of its service's operation.
    pub fn connect_for(&self, id: VnfId, ask: &ChangeExtConn, of: &Service<'_>) -> Result<()> {
        retrying(|| {
            let inst = self.connectable(id, true)?;
            let op = self.draft_op(of.child, inst.project, Target::Vnf(id), OpKind::ChangeExtConn, ask.request.clone());
            self.commit_connect(&inst, op, ask, Some(of), None)
        })
        .map(drop)
    }

    /// What would move; `by_service`: of a member.
    pub fn dry_change_ext_conn(&self, id: VnfId, ask: &ChangeExtConn, by_service: bool) -> Result<ConnectDryRun> {
        let inst = self.connectable(id, by_service)?;
        let snap = self.snapshot()?;
        let (plan, touched) = self.plan_connect(&inst, &snap, OpId(fresh_uuid(&*self.dice)), ask)?;
        let named = |s: &SegmentId| plan.moves.iter().any(|m| m.before.segment == *s || m.after.segment == *s);
        let mut links: Vec<Segment> = snap.segments.into_iter().filter(|s| named(&s.id)).collect();
        for s in touched {
            links.retain(|l| l.id != s.id);
            links.push(s);
        }
        Ok(ConnectDryRun { name: inst.name, plan, links })
    }

    fn connectable(&self, id: VnfId, by_service: bool) -> Result<VnfInstance> {
        let inst: VnfInstance = self.store.require(&id)?;
        check_asker(&inst, by_service)?;
        self.check_here(id, "another connectivity")?;
        inst.check_free()?;
        body_of(&inst)?;
        Ok(inst)
    }

    fn plan_connect(&self, inst: &VnfInstance, snap: &grant::Snapshot, op: OpId, ask: &ChangeExtConn) -> Result<(Connected, Vec<Segment>)> {
        let body = body_of(inst)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let flavour = vnfd_of(&package)?
            .flavour(&body.flavour)
            .ok_or_else(|| Fault::conflict(format!("package {} has no flavour {} any more", package.id, body.flavour)))?;
        let rules = self.rules();
        let mut taken = self.taken(&snap.segments)?;
        let mut stations = Stations::of(inst.project, &snap.segments);
        let fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
        let plan = plan::connect(plan::Of { inst, body, flavour, op }, ask, fabric, &*self.dice)?;
        Ok((plan, stations.into_values().filter_map(Stations::into_changed).collect()))
    }

    pub(super) fn commit_connect(
        &self,
        inst: &VnfInstance,
        mut op: Operation,
        ask: &ChangeExtConn,
        of: Option<&Service<'_>>,
        anew: Option<&Anew>,
    ) -> Result<(Operation, Vec<PlanStep>)> {
        let snap = self.snapshot_anew(&[], anew)?;
        let (mut plan, touched) = self.plan_connect(inst, &snap, op.id, ask)?;
        op.warnings.append(&mut plan.warnings);
        self.coordinate_plan(inst.package, &body_of(inst)?.flavour, op.kind, &mut plan.steps)?;
        op.steps = plan.steps.len() as u32;
        let mut grant = None;
        if let Some(of) = of {
            of.adopt(&mut op);
        }
        if plan.steps.is_empty() {
            op.apply(Trigger::Granted, op.created)?;
            op.apply(Trigger::Succeeded, op.created)?;
            grant = anew.map(|a| a.granted(Wanted::default())).transpose()?;
        } else if of.is_none() {
            let port = |m: &PortMove| Resource {
                id: SmolStr::new(m.port.to_string()),
                kind: ResourceKind::LinkPort,
                vdu: None,
                template: m.cpd.clone(),
            };
            let resources = Resources { update: plan.moves.iter().map(port).collect(), ..Resources::default() };
            grant = self.begin_or(anew, &mut op, inst, Wanted { resources, ..Wanted::default() })?;
        }
        self.store.write(Durability::Barrier, |tx| {
            claim_facts(tx, snap.facts)?;
            anew.map_or(Ok(()), |a| a.take_back(tx))?;
            let mut now: VnfInstance = tx.require(&inst.id)?;
            now.check_free()?;
            if now.revision != inst.revision {
                return Err(Fault::conflict(format!("VNF instance {} was changed by another request: ask again", inst.id)));
            }
            if let Some(body) = &mut now.body {
                body.own_segments.extend(&plan.made);
            }
            if !plan.steps.is_empty() {
                now.op = Some(op.id);
            }
            now.revision += 1;
            tx.put(&now)?;
            tx.put(&op)?;
            put_ask(tx, grant.as_ref())?;
            plan.steps.iter().try_for_each(|s| tx.put(s))?;
            touched.iter().try_for_each(|s| join(tx, s, inst.id))?;
            put_service(tx, of)
        })?;
        Ok((op, plan.steps))
    }
}

/// In the transaction that ends the operation: each NIC is where the record says, and the seat that was kept for it
/// elsewhere is given back. Rolled back, the links that were made for NICs on none are gone.
pub(super) fn settle(tx: &mut Tx<'_>, inst: &mut VnfInstance, op: &Operation, state: VnfOpState) -> Result<()> {
    for index in 0..op.steps {
        let Some(step) = tx.get::<PlanStep>(&(op.id, index))?.map(|s| s.step) else { continue };
        match step {
            Step::Vnf(VnfStep::Move(m)) => {
                for id in [m.before.segment, m.after.segment] {
                    let Some(mut s) = tx.get::<Segment>(&id)? else { continue };
                    s.stations.retain(|st| st.port != m.holder);
                    tx.put(&s)?;
                }
            }
            Step::Vnf(VnfStep::Segment(id)) if state == VnfOpState::RolledBack => {
                tx.delete::<Segment>(&id)?;
                if let Some(body) = &mut inst.body {
                    body.own_segments.retain(|s| *s != id);
                }
            }
            Step::Vnf(_) | Step::Ns(_) | Step::Pf(_) => {}
        }
    }
    touch(tx)
}
