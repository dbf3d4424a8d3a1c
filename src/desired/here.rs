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
        op::{NsOpState, OpState, Operation},
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
    });
    let nsds = nsds.collect();
    let mut services = Vec::new();
    for ns in store.list::<NsInstance>()?.into_iter().filter(|n| n.project == ProjectId::DEFAULT) {
        let held = match ns.op {
            Some(op) => store.get::<Operation>(&op)?.map(|o| held(&o)),
            None => None,
        };
        let begun = r.made.iter().find(|m| m.id == ns.id.0).and_then(|m| m.op);
        let ended = match begun {
            Some(op) if held.is_none() && !ns.instantiated => ended(store, op)?,
            _ => None,
        };
        services.push(There { id: ns.id, name: ns.name, nsd: ns.nsd_id, instantiated: ns.instantiated, held, ended });
    }
    Ok(Here { packages, nsds, services })
}

fn why(o: &Operation) -> Option<String> {
    o.error.clone().map(|e| Fault::from(e).detail())
}

fn held(o: &Operation) -> Held {
    Held { op: o.id, kind: o.kind, phase: o.state.phase(), error: why(o) }
}

/// How it ended, if not well; an operation that is forgotten by now says nothing.
fn ended(store: &Store, op: OpId) -> Result<Option<(OpId, String)>> {
    let Ok(o) = find_operation(store, op) else { return Ok(None) };
    let name = SmolStr::new(o.state.name());
    Ok(match o.state {
        OpState::Ns(NsOpState::Completed) => None,
        OpState::Ns(_) | OpState::Vnf(_) => {
            let why = why(&o).map(|w| format!(": {w}")).unwrap_or_default();
            Some((op, format!("its last operation ended {name}{why}")))
        }
    })
}
