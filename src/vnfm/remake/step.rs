//! Does and undoes what a change of the flavour or the package does to a guest that is off, and takes away what is left over.
//!
//! Never: which guests, or what they are to be (`plan`).

use crate::{
    model::{
        domain::DomainSpec,
        error::{Fault, Kind, Result},
        id::{DiskId, IfName, VnfcId},
        package::VnfPackage,
        size::MiB,
        step::{Gone, Shed},
        vnf::Origin,
    },
    vnfm::Vnfm,
};

impl Vnfm {
    /// The guest is `to`, and not what it was `from`. One that runs in the other form, since a crash took what was noted
    /// of its stop, is stopped.
    pub(in crate::vnfm) fn redefine(&self, from: &DomainSpec, to: &DomainSpec) -> Result<()> {
        self.hypervisor.set_datapath(self.links.ready()?);
        self.tell_float()?;
        match self.hypervisor.define(to) {
            Err(f) if f.kind() == Kind::Conflict => {
                self.hypervisor.destroy(to.id)?;
                self.hypervisor.define(to)?;
            }
            other => other?,
        }
        let left = from.nics.iter().filter(|n| to.nics.iter().all(|m| m.ifname != n.ifname));
        self.clear_switch(&left.map(|n| n.ifname.clone()).collect::<Vec<_>>())
    }

    /// The instance has a user's claim on it meanwhile, so only a store from elsewhere lacks it.
    pub(in crate::vnfm) fn check_there(&self, product: &Origin) -> Result<()> {
        let there = self.store.get::<VnfPackage>(&product.package)?.and_then(|p| p.vnfd).is_some_and(|v| v.id == product.vnfd_id);
        if there { Ok(()) } else { Err(Fault::conflict(format!("VNF package {} is gone: roll back", product.package))) }
    }

    /// The guest was stopped by a step before. It runs where a start came after this one before a crash that took what was
    /// noted of both: that is taken back.
    pub(in crate::vnfm) fn grow(&self, vnfc: VnfcId, disk: DiskId, to: MiB) -> Result<()> {
        self.ensure_off(vnfc)?;
        self.images.grow_disk(disk, to)
    }

    pub(in crate::vnfm) fn shed(&self, shed: &Shed) -> Result<()> {
        shed.gone.iter().try_for_each(|g| self.shed_one(g))?;
        shed.links.iter().try_for_each(|(id, _)| self.links.remove(*id))
    }

    fn shed_one(&self, g: &Gone) -> Result<()> {
        if g.whole {
            self.hypervisor.remove(g.vnfc)?;
            self.images.remove_serial_log(g.vnfc)?;
        }
        self.clear_switch(&g.ports.iter().map(|(_, name)| name.clone()).collect::<Vec<IfName>>())?;
        g.given.iter().try_for_each(|f| self.take_back(f))?;
        g.disks.iter().try_for_each(|(id, _)| self.images.remove_disk(*id))?;
        if g.medium { self.images.remove_medium(g.vnfc) } else { Ok(()) }
    }

    /// Nothing of it went yet. That it began may have been noted in vain, in the moment before a crash.
    pub(in crate::vnfm) fn unshed(&self, shed: &Shed) -> Result<()> {
        let (disks, media) = (self.images.disks()?, self.images.media()?);
        for g in &shed.gone {
            let guest = !g.whole || self.hypervisor.state(g.vnfc)?.is_some();
            let medium = !g.medium || media.contains(&g.vnfc);
            if !guest || !medium || g.disks.iter().any(|(id, _)| !disks.contains(id)) {
                return Err(Fault::conflict(format!(
                    "guest {}/{} of before is partly removed: what is removed stays removed; mark the operation as failed",
                    g.vdu, g.index
                )));
            }
        }
        Ok(())
    }
}
