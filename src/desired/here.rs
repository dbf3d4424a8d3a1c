//! What is here of what documents speak of, from the records of the default project. Never: judges it.

use smol_str::SmolStr;

use super::plan::{Archived, Held, Here, There};
use crate::{
    lcm::timeline::find_operation,
    model::{
        desired::DesiredRecord,
        error::{Fault, Result},
        id::{OpId, ProjectId},
        ns::NsInstance,
        op::{NsOpState, OpKind, OpState, Operation, Phase},
        own::{Asked, Ended, Errand},
        package::{NsDescriptor, Operational, VnfPackage},
    },
    store::Store,
};

pub(super) fn look(store: &Store, r: &DesiredRecord) -> Result<Here> {
    let packages = store.list::<VnfPackage>()?.into_iter().filter(|p| p.project == ProjectId::DEFAULT).map(|p| Archived {
        id: p.id.0,
        name: p.vnfd.as_ref().map(|v| v.id.clone()),
        sha256: p.archive.as_ref().map(|a| a.sha256),
        onboarding: p.onboarding,
        enabled: p.operational == Operational::Enabled,
        users: p.users,
        failure: p.failure.map(|f| Fault::from(f).detail()),
        needs: Vec::new(),
    });
    let packages = packages.collect();
    let nsds = store.list::<NsDescriptor>()?.into_iter().filter(|p| p.project == ProjectId::DEFAULT).map(|p| Archived {
        id: p.id.0,
        name: p.nsd.as_ref().map(|v| v.id.clone()),
        sha256: p.archive.as_ref().map(|a| a.sha256),
        onboarding: p.onboarding,
        enabled: p.operational == Operational::Enabled,
        users: p.users,
        failure: p.failure.map(|f| Fault::from(f).detail()),
        needs: p.nsd.map(|n| n.vnfd_ids()).unwrap_or_default(),
    });
    let nsds = nsds.collect();
    let mut services = Vec::new();
    for ns in store.list::<NsInstance>()?.into_iter().filter(|n| n.project == ProjectId::DEFAULT) {
        let held = match ns.op {
            Some(op) => store.get::<Operation>(&op)?.map(|o| held(store, &o)).transpose()?,
            None => None,
        };
        let begun = r.made.iter().find(|m| m.id == ns.id.0).and_then(|m| m.op);
        let ended = match begun {
            Some(op) if held.is_none() => ended(store, op, ns.instantiated)?,
            _ => None,
        };
        services.push(There { id: ns.id, name: ns.name, nsd: ns.nsd_id, instantiated: ns.instantiated, held, ended });
    }
    Ok(Here { packages, nsds, services, vain: Vec::new(), host: None })
}

fn why(o: &Operation) -> Option<String> {
    o.error.clone().map(|e| Fault::from(e).detail())
}

fn held(store: &Store, o: &Operation) -> Result<Held> {
    let phase = o.state.phase();
    let asked = phase == Phase::Stuck && asked(store, o.id)?;
    Ok(Held { op: o.id, kind: o.kind, phase, error: why(o), asked })
}

/// Whether an operation, or one below it, stopped at what it had asked of a VNF.
fn asked(store: &Store, op: OpId) -> Result<bool> {
    for e in store.list::<Errand>()? {
        let stopped = matches!(e.state, Asked::Over(Ended::Stopped(_)));
        if stopped && (e.op == op || store.get::<Operation>(&e.op)?.is_some_and(|o| o.parent == Some(op))) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How it ended, if not well; an operation that is forgotten by now says nothing. Of what is there only that counts that it was not
/// made whole.
fn ended(store: &Store, op: OpId, is_there: bool) -> Result<Option<(OpId, String)>> {
    let Ok(o) = find_operation(store, op) else { return Ok(None) };
    let half = matches!(o.state, OpState::Ns(NsOpState::Failed | NsOpState::PartiallyCompleted));
    if is_there && !(half && o.kind == OpKind::Instantiate) {
        return Ok(None);
    }
    let name = SmolStr::new(o.state.name());
    Ok(match o.state {
        OpState::Ns(NsOpState::Completed) => None,
        OpState::Ns(_) | OpState::Vnf(_) => {
            let why = why(&o).map(|w| format!(": {w}")).unwrap_or_default();
            Some((op, format!("its last operation ended {name}{why}")))
        }
    })
}
