//! NICs: ports of the switch, virtual and physical functions, vhost-user.
//!
//! Owns what each kind is in a domain. Where it sits in the guest is the caller's: kinds may be mixed,
//! and the guest's order is the descriptor's. Never: MAC, VLAN, trust or rate of a VF on the host, but
//! for the MAC and VLAN that libvirt sets when the guest starts.

use super::{
    Host, Out, Wrote,
    device::{Pci, host_address, host_device},
    leaf, node,
};
use crate::model::{
    domain::{DomainNic, DomainSpec},
    epa::PlacedNic,
    net::VlanId,
    vnfd::NicModel,
};

/// What the host gave a NIC: without a placement, a port of the switch.
fn placed(spec: &DomainSpec, i: usize) -> PlacedNic {
    spec.placed.as_ref().and_then(|p| p.nics.get(i)).copied().unwrap_or(PlacedNic::Switch)
}

pub fn nic(w: &mut Out, spec: &DomainSpec, i: usize, at: Pci, host: &Host<'_>) -> Wrote {
    let Some(nic) = spec.nics.get(i) else { return Ok(()) };
    let limit = spec.epa.quotas.vif.limit;
    match placed(spec, i) {
        PlacedNic::Switch => switch_port(w, nic, limit, at, host),
        PlacedNic::Vf { addr, vlan, .. } => node(w, "interface", &[("type", "hostdev"), ("managed", "no")], |w| {
            leaf(w, "mac", &[("address", &nic.mac.to_string())])?;
            leaf(w, "driver", &[("name", "vfio")])?;
            node(w, "source", &[], |w| host_address(w, addr, &[("type", "pci")]))?;
            if let Some(vlan) = vlan {
                tag(w, vlan)?;
            }
            leaf(w, "rom", &[("enabled", "no")])?;
            at.write(w)
        }),
        // libvirt cannot set the address of a whole port: the guest finds the one that it has.
        PlacedNic::Pf { addr } => host_device(w, addr, at),
        PlacedNic::VhostUser => vhost_user(w, nic, at, host),
    }
}

fn tag(w: &mut Out, vlan: VlanId) -> Wrote {
    node(w, "vlan", &[], |w| leaf(w, "tag", &[("id", &vlan.to_string())]))
}

fn switch_port(w: &mut Out, nic: &DomainNic, limit: Option<u32>, at: Pci, host: &Host<'_>) -> Wrote {
    let model = match nic.model {
        NicModel::Virtio => "virtio",
        NicModel::E1000 => "e1000",
        NicModel::E1000e => "e1000e",
        NicModel::Rtl8139 => "rtl8139",
        NicModel::Pcnet => "pcnet",
    };
    node(w, "interface", &[("type", "bridge")], |w| {
        leaf(w, "mac", &[("address", &nic.mac.to_string())])?;
        leaf(w, "source", &[("bridge", host.bridge)])?;
        tag(w, nic.vlan)?;
        node(w, "virtualport", &[("type", "openvswitch")], |w| leaf(w, "parameters", &[("interfaceid", &nic.port.to_string())]))?;
        if let Some(mbits) = limit {
            // libvirt counts in kilobytes a second.
            let rate = (u64::from(mbits) * 125).to_string();
            node(w, "bandwidth", &[], |w| {
                leaf(w, "inbound", &[("average", &rate)])?;
                leaf(w, "outbound", &[("average", &rate)])
            })?;
        }
        leaf(w, "target", &[("dev", nic.ifname.as_str())])?;
        leaf(w, "model", &[("type", model)])?;
        if nic.model == NicModel::Virtio {
            driver(w, nic, host.offloads_off)?;
        }
        tail(w, nic, at)
    })
}

/// The switch's data plane connects to QEMU, not the other way round: it may restart while guests run.
fn vhost_user(w: &mut Out, nic: &DomainNic, at: Pci, host: &Host<'_>) -> Wrote {
    node(w, "interface", &[("type", "vhostuser")], |w| {
        leaf(w, "mac", &[("address", &nic.mac.to_string())])?;
        leaf(w, "source", &[("type", "unix"), ("path", host.vhost.join(nic.ifname.as_str()).as_str()), ("mode", "server")])?;
        leaf(w, "model", &[("type", "virtio")])?;
        driver(w, nic, false)?;
        tail(w, nic, at)
    })
}

fn tail(w: &mut Out, nic: &DomainNic, at: Pci) -> Wrote {
    if let Some(mtu) = nic.mtu {
        leaf(w, "mtu", &[("size", &mtu.to_string())])?;
    }
    // Guests boot from their disks; a boot ROM per NIC is seconds under TCG.
    leaf(w, "rom", &[("enabled", "no")])?;
    at.write(w)
}

fn driver(w: &mut Out, nic: &DomainNic, offloads_off: bool) -> Wrote {
    const OFF: &str = "off";
    let queues = nic.wish.queues.filter(|q| *q > 1).map(|q| q.to_string());
    let attrs: Vec<(&str, &str)> = queues.iter().map(|q| ("queues", q.as_str())).collect();
    if !offloads_off {
        return if attrs.is_empty() { Ok(()) } else { leaf(w, "driver", &attrs) };
    }
    node(w, "driver", &attrs, |w| {
        leaf(w, "host", &[("csum", OFF), ("gso", OFF), ("tso4", OFF), ("tso6", OFF), ("ecn", OFF), ("ufo", OFF)])?;
        leaf(w, "guest", &[("csum", OFF), ("tso4", OFF), ("tso6", OFF), ("ecn", OFF), ("ufo", OFF)])
    })
}
