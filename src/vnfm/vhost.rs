//! The switch's side of NICs that are vhost-user ports (`virtio-forwarder`).
//!
//! QEMU listens on a socket and waits for the switch's data plane before the guest begins, so the port is there
//! before each start; it goes with the guest as its other ports do. Never: how the switch does it.

use super::{Vnfm, accept::vnfd_of, plan::VnfPlan};
use crate::{
    model::{
        epa::NicAttach,
        error::{Fault, Result},
        id::{VnfId, VnfcId},
        package::VnfPackage,
        segment::Segment,
        step::{Step, VnfStep},
        vnf::{Port, VnfInstance},
    },
    sdn::port::{Datapath, PortKind, SwitchPort},
};

impl Vnfm {
    /// Every reason why this box cannot give such NICs, at once.
    pub(super) fn check_forwarders(&self, plans: &[&mut VnfPlan]) -> Result<()> {
        let mut wishes = Vec::new();
        for s in plans.iter().flat_map(|p| &p.steps) {
            let Step::Vnf(VnfStep::Define(spec) | VnfStep::Redefine { after: spec, .. }) = &s.step else { continue };
            let of_spec = spec.nics.iter().enumerate().filter(|(_, n)| n.wish.attach == NicAttach::VhostUser);
            wishes.extend(of_spec.map(|(i, _)| format!("{}/{}/{}: NIC {i}", spec.owner.vnf_name, spec.owner.vdu, spec.owner.index)));
        }
        if wishes.is_empty() {
            return Ok(());
        }
        let has = match self.links.ready()? {
            Datapath::Dpdk => return Ok(()),
            Datapath::Netdev => "in user space, without DPDK",
            Datapath::Kernel => "the kernel's",
        };
        let how = "'ovs-vsctl set Open_vSwitch . other_config:dpdk-init=true' and huge pages for it, before bothy makes its bridge";
        let text = format!("this box has no vhost-user ports: its switch's data plane is {has} (for DPDK: {how})");
        Err(Fault::capacity(text).with_reasons(wishes.into_iter().map(|w| format!("{w} asks for one (virtio-forwarder)"))))
    }

    /// Each vhost-user NIC of a guest has its port on the switch.
    pub(super) fn ensure_forwarders(&self, vnf: VnfId, guest: VnfcId) -> Result<()> {
        // Where there are none, no guest with one was let in.
        if self.links.ready()? != Datapath::Dpdk {
            return Ok(());
        }
        for port in self.forwarders(vnf, guest)? {
            let vlan = self.store.require::<Segment>(&port.segment)?.vlan;
            let kind = PortKind::VhostUser { socket: self.hypervisor.vhost_socket(&port.ifname) };
            self.links.fabric().ensure_port(&SwitchPort { name: port.ifname, segment: port.segment, vlan, kind })?;
        }
        Ok(())
    }

    fn forwarders(&self, vnf: VnfId, guest: VnfcId) -> Result<Vec<Port>> {
        let Some(inst) = self.store.get::<VnfInstance>(&vnf)? else { return Ok(Vec::new()) };
        let inst = self.as_now(inst)?;
        let Some(body) = &inst.body else { return Ok(Vec::new()) };
        let Some(c) = body.vnfc(guest) else { return Ok(Vec::new()) };
        let package: VnfPackage = self.store.require(&inst.package)?;
        let Some(vdu) = vnfd_of(&package)?.flavour(&body.flavour).and_then(|f| f.vdu(&c.vdu)) else { return Ok(Vec::new()) };
        let is_one = |p: &&Port| vdu.nics.iter().any(|n| n.id == p.cp && n.wish.attach == NicAttach::VhostUser);
        Ok(c.ports.iter().filter(is_one).cloned().collect())
    }
}
