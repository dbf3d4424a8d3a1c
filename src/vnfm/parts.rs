//! What guests are made of, one part at a time: NICs with their stations, disks, and the domain that has them. Pure.
//!
//! Owns the way from a VDU and a record to what the hypervisor and placement take. Never: which guests there are, or
//! the order of steps (`plan`, `remake`).

use std::collections::BTreeMap;

use smol_str::{SmolStr, format_smolstr};

use super::{
    affinity::company,
    place::{NicOf, Wishful, wishful},
    plan::{Fabric, Planner, fresh_uuid},
};
use crate::{
    model::{
        domain::{BaseImage, DiskSpec, DomainDisk, DomainMedium, DomainNic, DomainSpec, Owner},
        epa::NicAttach,
        error::{Fault, Result},
        id::{DiskId, ExtCpId, IfKind, PortId, SegmentId, if_name},
        package::VnfPackage,
        segment::{Access, Segment},
        size::MiB,
        step::VnfStep,
        vnf::{ExtCpInst, Port, Vnfc, VnfcDisk},
        vnfd::{Disk, Flavour, SubCp, Vdu, VduCp},
    },
    vim::network::{Stations, Wish},
};

/// A guest as the hypervisor takes it, and what it wishes of the hardware.
pub(super) struct Guest {
    pub spec: DomainSpec,
    pub wish: Option<Wishful>,
}

impl Planner<'_> {
    /// A NIC in the place of another guest's, which has another port on the switch.
    pub(super) fn same_port(&self, cp: &VduCp, had: &Port, fabric: &mut Fabric<'_>) -> Result<Port> {
        let id = PortId(fresh_uuid(self.dice));
        stations(fabric, had.segment)?.share(had.id, id, None)?;
        let ifname = if_name(IfKind::Guest, &id.0);
        Ok(Port { id, cp: cp.id.clone(), ifname, ..had.clone() })
    }

    /// The networks that come under tags on a NIC, with the NIC's MAC; `had`: the ports of the guest in whose place
    /// this one is.
    pub(super) fn sub_ports(
        &self,
        (vdu, cp, nic): (&Vdu, &VduCp, &Port),
        index: u32,
        hostname: &SmolStr,
        had: &[Port],
        fabric: &mut Fabric<'_>,
    ) -> Result<Vec<Port>> {
        let mut one = |sub: &SubCp| {
            let id = PortId(fresh_uuid(self.dice));
            let ifname = if_name(IfKind::Trunk, &id.0);
            if let Some(had) = had.iter().find(|p| p.cp == sub.id) {
                stations(fabric, had.segment)?.share(had.id, id, Some(nic.id))?;
                return Ok(Port { id, ifname, ..had.clone() });
            }
            let (segment, ext_cp, wish) = self.place(&sub.id, &sub.link, index)?;
            let within = Some((nic.id, sub.tag));
            let access = Access { role: sub.role, guarded: cp.port_security, rate_limit: port_rate(vdu, cp), within };
            let on = stations(fabric, segment)?;
            let vnf = self.ask.instance.id;
            let addresses = if segment == nic.segment {
                on.carry(id, vnf, hostname, nic.mac, access)?;
                Vec::new()
            } else {
                if let Some(m) = wish.mac.filter(|m| *m != nic.mac) {
                    return Err(Fault::invalid(format!("it has the MAC address of its NIC {}, and {m} is wished for", cp.id)));
                }
                on.attach(id, vnf, hostname, &Wish { mac: Some(nic.mac), ..wish }, access, self.dice)?.1
            };
            Ok(Port { id, cp: sub.id.clone(), ext_cp, segment, ifname, mac: nic.mac, addresses })
        };
        let named = |sub: &SubCp, e: Fault| e.context(format!("network {} of trunk {}", sub.id, cp.id));
        cp.subports.iter().map(|sub| one(sub).map_err(|e| named(sub, e))).collect()
    }

    /// A NIC that was not there before, with its station.
    pub(super) fn new_port(&self, vdu: &Vdu, cp: &VduCp, index: u32, hostname: &SmolStr, fabric: &mut Fabric<'_>) -> Result<Port> {
        let (segment, ext_cp, wish) = self.place(&cp.id, &cp.link, index)?;
        let id = PortId(fresh_uuid(self.dice));
        let wish = Wish { mac: wish.mac.or(cp.mac), addresses: wish.addresses };
        let access = Access { role: cp.role, guarded: cp.port_security, rate_limit: port_rate(vdu, cp), within: None };
        let (mac, addresses) = stations(fabric, segment)?
            .attach(id, self.ask.instance.id, hostname, &wish, access, self.dice)
            .map_err(|e| e.context(format!("NIC {}", cp.id)))?;
        Ok(Port { id, cp: cp.id.clone(), ext_cp, segment, ifname: if_name(IfKind::Guest, &id.0), mac, addresses })
    }

    /// A NIC that is an instance of an external connection point.
    pub(super) fn expose(&self, port: &Port, ext: &mut BTreeMap<SmolStr, ExtCpInst>) {
        let Some(e) = &port.ext_cp else { return };
        let inst = ext.entry(e.clone()).or_insert_with(|| self.unexposed(e, port.segment));
        inst.ports.push(port.id);
    }

    fn unexposed(&self, cpd: &SmolStr, segment: SegmentId) -> ExtCpInst {
        ExtCpInst { id: ExtCpId(fresh_uuid(self.dice)), cpd: cpd.clone(), segment, ports: Vec::new() }
    }

    /// One that no guest has yet: a guest that is added by scaling finds its link here.
    pub(super) fn expose_rest(&self, ext: &mut BTreeMap<SmolStr, ExtCpInst>) {
        for (cpd, segment) in &self.attached {
            ext.entry(cpd.clone()).or_insert_with(|| self.unexposed(cpd, *segment));
        }
    }

    /// A disk that was not there before, and the step that makes it.
    pub(super) fn new_disk(&mut self, d: &Disk) -> Result<(VnfcDisk, u32)> {
        let id = DiskId(fresh_uuid(self.dice));
        let (size, base) = stored(self.ask.package, d)?;
        let mut after = Vec::new();
        if let Some(base) = &base {
            after.push(self.image_step(base.clone()));
        }
        let spec = DiskSpec { id, size, base: base.clone() };
        let made = self.steps.vnf(VnfStep::Disk(spec), &after);
        Ok((VnfcDisk { id, storage: d.id.clone(), size, base: base.map(|b| (b.sha256, b.format)) }, made))
    }

    /// What a guest of this flavour is to the hypervisor and to placement.
    pub(super) fn guest(&self, flavour: &Flavour, vdu: &Vdu, c: &Vnfc, fabric: &mut Fabric<'_>) -> Result<Guest> {
        let inst = self.ask.instance;
        let mut nics = Vec::new();
        let mut functions = Vec::new();
        for cp in &vdu.nics {
            let p = c.ports.iter().find(|p| p.cp == cp.id).ok_or_else(|| Fault::conflict(format!("it has no NIC {}", cp.id)))?;
            let segment = stations(fabric, p.segment)?.segment();
            // Through a tunnel it may be no VLAN.
            let of_card = matches!(cp.wish.attach, NicAttach::Vf | NicAttach::Pf);
            functions.push(NicOf {
                cp: cp.id.clone(),
                wish: cp.wish.clone(),
                port_security: cp.port_security,
                mac: p.mac,
                physical: segment.profile.physical.clone(),
                vlan: segment.profile.segmentation.filter(|_| of_card).map(TryInto::try_into).transpose()?,
            });
            let (vlan, mtu) = (segment.vlan, nic_mtu(cp, segment)?);
            nics.push(DomainNic { port: p.id, ifname: p.ifname.clone(), mac: p.mac, vlan, model: cp.model, mtu, wish: cp.wish.clone() });
        }
        let mut disks = Vec::new();
        for d in &vdu.disks {
            let has = c.disks.iter().find(|h| h.storage == d.id).ok_or_else(|| Fault::conflict(format!("it has no disk {}", d.id)))?;
            disks.push(DomainDisk { id: has.id, bus: d.bus, serial: d.id.clone() });
        }
        let name = format_smolstr!("{}/{}/{}", inst.name, vdu.id, c.index);
        let wish = wishful(c.id, name, vdu, functions, company(flavour, inst.id, &vdu.id))?;
        let owner = Owner {
            project: inst.project,
            ns: inst.ns,
            vnf: inst.id,
            op: self.ask.op,
            generation: self.ask.generation,
            vnf_name: inst.name.clone(),
            vdu: vdu.id.clone(),
            index: c.index,
        };
        let spec = DomainSpec {
            id: c.id,
            owner,
            vcpus: vdu.vcpus,
            memory: vdu.memory,
            firmware: vdu.firmware,
            disks,
            medium: vdu.day0.as_ref().map(|d| DomainMedium { bus: d.bus }),
            nics,
            epa: vdu.epa.clone(),
            placed: None,
        };
        Ok(Guest { spec, wish })
    }
}

/// How large a disk of this package is, and the image it stands on.
pub(super) fn stored(package: &VnfPackage, d: &Disk) -> Result<(MiB, Option<BaseImage>)> {
    let Some(image) = &d.image else { return Ok((d.size, None)) };
    let stored = package.images.iter().find(|i| i.id == image.id).ok_or_else(|| {
        Fault::conflict(format!("image {} of package {} is not in the image store: onboard the package again", image.id, package.id))
    })?;
    Ok((MiB(d.size.0.max(stored.virtual_size.0)), Some(BaseImage { sha256: stored.sha256, format: stored.format })))
}

fn stations<'a>(fabric: &'a mut Fabric<'_>, segment: SegmentId) -> Result<&'a mut Stations> {
    fabric.stations.get_mut(&segment).ok_or_else(|| Fault::not_found(format!("there is no virtual link {segment}")))
}

/// What the switch takes from a NIC at most, bits a second. libvirt keeps the quota of ports that it makes; a
/// vhost-user port is QEMU's and the switch's alone.
pub(super) fn port_rate(vdu: &Vdu, cp: &VduCp) -> Option<u64> {
    let quota = vdu.epa.quotas.vif.limit.filter(|_| cp.wish.attach == NicAttach::VhostUser);
    [cp.rate_limit, quota.map(|mbits| u64::from(mbits) * 1_000_000)].into_iter().flatten().min()
}

/// What the guest is told that frames may hold: its own word, else the link's.
fn nic_mtu(cp: &VduCp, segment: &Segment) -> Result<Option<u16>> {
    let of_link = segment.profile.mtu;
    match (cp.mtu, of_link) {
        (Some(nic), Some(link)) if nic > link => {
            Err(Fault::invalid(format!("NIC {}: its MTU of {nic} is more than the {link} of link {}", cp.id, segment.link)))
        }
        (nic, link) => Ok(nic.or(link)),
    }
}
