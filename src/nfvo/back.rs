//! Services and VNFs whose records came from another box get guests on this one.
//!
//! Each is healed as a whole, by an operation that people see. Owns which need it: those of whose guests the hypervisor
//! has none. Never: how a guest is made again (`vnfm::change`).

use std::collections::BTreeSet;

use super::Nfvo;
use crate::{
    model::{error::Result, id::VnfcId, ns::NsInstance, op::OpKind, vnf::VnfInstance},
    vnfm::alter::Alter,
};

impl Nfvo {
    /// Begins what is to be done; what could not be begun, and why. `Transient`: something does not answer yet. Repeated, it
    /// goes on with the rest.
    pub fn bring_back(&self, disks: bool, why: &str) -> Result<Vec<String>> {
        let there: BTreeSet<VnfcId> = self.vnfm.hypervisor().list()?.iter().map(|g| g.id).collect();
        let is_gone = |v: &VnfInstance| {
            let guests = v.body.as_ref().map(|b| b.vnfcs.as_slice()).unwrap_or_default();
            v.instantiated && v.op.is_none() && !guests.is_empty() && guests.iter().all(|c| !there.contains(&c.id))
        };
        let gone: Vec<VnfInstance> = self.vnfm.store().list::<VnfInstance>()?.into_iter().filter(is_gone).collect();
        let mut left = Vec::new();
        let what = Alter::BringBack { disks };
        for ns in self.vnfm.store().list::<NsInstance>()?.iter().filter(|n| n.instantiated) {
            let members: Vec<_> = gone.iter().filter(|v| v.ns == Some(ns.id)).map(|v| (v.id, what.clone())).collect();
            if members.is_empty() {
                continue;
            }
            match self.alter_for(ns.id, OpKind::Heal, &members, "", Some(why)) {
                Ok(_) => {}
                Err(fault) if fault.is_transient() => return Err(fault),
                Err(fault) => left.push(format!("service {}: {}", ns.name, fault.detail())),
            }
        }
        for v in gone.iter().filter(|v| v.ns.is_none()) {
            match self.vnfm.alter_for(v.id, &what, "", Some(why)) {
                Ok(_) => {}
                Err(fault) if fault.is_transient() => return Err(fault),
                Err(fault) => left.push(format!("VNF {}: {}", v.name, fault.detail())),
            }
        }
        Ok(left)
    }
}
