//! Brings a NIC to the link where it is to be, or back to the one where it was.
//!
//! The records say first where it is, and the links' projections follow: whoever looks at the host in between, or after a
//! crash, finds the NIC on one link. Never: which link that is.

use crate::{
    lcm::port::StepCx,
    model::{
        error::{Fault, Result},
        id::{PortId, SegmentId, VnfId},
        op::Target,
        segment::{Segment, Station},
        vnf::{PortMove, Seat, VnfInstance},
    },
    store::{Durability, Tx},
    vnfm::{Vnfm, settle::touch},
};

impl Vnfm {
    pub(in crate::vnfm) fn move_port(&self, cx: &StepCx, m: &PortMove, forward: bool) -> Result<()> {
        let Target::Vnf(vnf) = cx.op.target else { return Ok(()) };
        let (at, other) = if forward { (&m.after, &m.before) } else { (&m.before, &m.after) };
        self.links.transfer(other.segment, at.segment, || self.store.write(Durability::Lazy, |tx| seat(tx, vnf, m, at, other)))?;
        // Such a port is Bothy's own, and says on which link it is.
        self.ensure_forwarders(vnf, m.vnfc)
    }
}

/// In a transaction: the NIC is `at`, and its `other` seat is kept. Saying it again changes nothing.
fn seat(tx: &mut Tx<'_>, vnf: VnfId, m: &PortMove, at: &Seat, other: &Seat) -> Result<()> {
    let mut inst: VnfInstance = tx.require(&vnf)?;
    let gone = || Fault::conflict(format!("{}: the VNF has this NIC no more", m.name));
    let body = inst.body.as_mut().ok_or_else(gone)?;
    let guest = body.vnfcs.iter_mut().find(|c| c.id == m.vnfc).ok_or_else(gone)?;
    let hostname = guest.hostname.clone();
    let port = guest.ports.iter_mut().find(|p| p.id == m.port).ok_or_else(gone)?;
    if port.segment == at.segment && port.addresses == at.addresses {
        return Ok(());
    }
    port.segment = at.segment;
    port.addresses.clone_from(&at.addresses);
    let of: Vec<(PortId, SegmentId)> = body.vnfcs.iter().flat_map(|c| &c.ports).map(|p| (p.id, p.segment)).collect();
    // Guests that come by scaling go where the first one is.
    for cp in body.ext_cps.iter_mut().filter(|e| e.ports.contains(&m.port)) {
        let first = cp.ports.first().and_then(|p| of.iter().find(|(id, _)| id == p));
        if let Some((_, segment)) = first {
            cp.segment = *segment;
        }
    }
    let mut here: Segment = tx.get(&at.segment)?.ok_or_else(|| Fault::conflict(format!("{}: link {} is no more", m.name, at.segment)))?;
    let mut there = if at.segment == other.segment { None } else { tx.get::<Segment>(&other.segment)? };
    let mut all = here.stations.iter().chain(there.iter().flat_map(|s| &s.stations));
    let like = all.find(|st| is_of(st, m)).cloned();
    let like = like.ok_or_else(|| Fault::bug(format!("{}: no link knows of its NIC", m.name)))?;
    let nic = Station { port: m.port, addresses: at.addresses.clone(), hostname, ..like.clone() };
    let kept = Station { port: m.holder, addresses: other.addresses.clone(), hostname: Default::default(), ..like };
    here.stations.retain(|st| !is_of(st, m));
    here.stations.push(nic);
    match &mut there {
        Some(there) => {
            there.stations.retain(|st| !is_of(st, m));
            there.stations.push(kept);
            tx.put(&*there)?;
        }
        None => here.stations.push(kept),
    }
    tx.put(&here)?;
    inst.revision += 1;
    tx.put(&inst)?;
    touch(tx)
}

fn is_of(st: &Station, m: &PortMove) -> bool {
    st.port == m.port || st.port == m.holder
}
