//! VNFs whose records came from another box: whether this one has what they need, told before anything is done.
//!
//! They are brought back by healing (`alter::Alter::BringBack`): the same instance, MACs, addresses and disks, in new guests
//! that are placed on this box's hardware. Never: begins that; a service's members are brought back together (`nfvo`).

use std::collections::BTreeSet;

use super::{
    Vnfm,
    alter::Alter,
    plan::{Fabric, VnfPlan, fresh_uuid},
};
use crate::{
    model::{
        error::Result,
        id::{OpId, VnfcId},
        segment::Segment,
        vnf::VnfInstance,
    },
    vim::{capacity::Usage, network::Stations},
};

impl Vnfm {
    /// Every reason why VNFs of these records would not all run here.
    pub fn would_not_fit(&self, disks: bool) -> Result<Vec<String>> {
        let mut why = Vec::new();
        let rules = self.rules();
        let known: BTreeSet<_> = rules.links.physical.iter().chain(rules.links.tunnels.iter().map(|t| &t.name)).cloned().collect();
        for s in self.store.list::<Segment>()? {
            if let Some(network) = s.profile.physical.as_ref().filter(|n| !known.contains(*n)) {
                why.push(format!("link {}: this box has no physical network or tunnel '{network}'", s.link));
            }
        }
        let vnfs: Vec<VnfInstance> = self.store.list::<VnfInstance>()?.into_iter().filter(|v| v.instantiated && v.body.is_some()).collect();
        let all: Vec<VnfcId> = vnfs.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs).map(|c| c.id).collect();
        let snap = self.snapshot_without(&all)?;
        for (what, unit, Usage { limit, taken }) in
            [("vCPUs", "", snap.account.vcpus), ("memory", " MiB", snap.account.memory), ("disk", " MiB", snap.account.disk)]
        {
            if taken > limit {
                why.push(format!("{what}: {taken}{unit} are promised to VNFs, and this box has {limit}{unit}"));
            }
        }
        let mut taken = self.taken(&snap.segments)?;
        let mut plans: Vec<VnfPlan> = Vec::new();
        for v in &vnfs {
            let mut stations = Stations::of(v.project, &snap.segments);
            let mut fabric = Fabric { rules: &rules.links, taken: &mut taken, stations: &mut stations };
            match self.plan_alter(v, &Alter::BringBack { disks }, &mut fabric, &[], OpId(fresh_uuid(&*self.dice)), &v.name) {
                Ok(altered) => plans.push(altered.plan),
                Err(fault) => why.push(format!("VNF {}: {}", v.name, fault.detail())),
            }
        }
        if let Err(fault) = self.grant(&mut plans.iter_mut().collect::<Vec<_>>(), &snap) {
            let told = if fault.reasons().is_empty() { vec![fault.text().to_owned()] } else { fault.reasons().to_vec() };
            why.extend(told);
        }
        Ok(why)
    }
}
