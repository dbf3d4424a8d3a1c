//! Which functions of cards guests have as NICs, by the records.

use crate::{
    model::{
        error::Result,
        vnf::{Reservation, VnfInstance},
    },
    sdn::underlay::Nic,
    store::Store,
};

/// From the accept of an operation to the end of the one that takes them.
pub fn nics(store: &Store) -> Result<Vec<Nic>> {
    let mut all = Vec::new();
    for r in store.list::<Reservation>()?.iter().filter(|r| r.placed.iter().any(|h| !h.at.devices.is_empty())) {
        let Some(body) = store.get::<VnfInstance>(&r.vnf)?.and_then(|v| v.body) else { continue };
        for held in &r.placed {
            let Some(guest) = body.vnfc(held.guest) else { continue };
            for d in &held.at.devices {
                // A device that is no NIC has no port.
                let Some(port) = guest.ports.iter().find(|p| p.cp == d.wish) else { continue };
                all.push(Nic {
                    vnf: r.vnf,
                    name: format!("{}: {}", held.name, d.wish),
                    segment: port.segment,
                    function: d.address,
                    card: d.card,
                    whole: d.vf.is_none(),
                });
            }
        }
    }
    Ok(all)
}
