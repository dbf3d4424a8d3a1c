//! What guests have of the hardware is known again after a restart: by the records, for the host shows none of it.

use smol_str::SmolStr;

use super::guests;
use crate::{
    model::{
        host::{DriverName, HostFacts},
        hw::PciAddr,
        id::VnfId,
        vnf::Reservation,
    },
    node::kit::{Shape, TestBox, vnf_box},
    vim::port::Hardware,
};

fn up(shape: &Shape) -> (TestBox, VnfId) {
    let (b, id) = vnf_box(shape);
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    (b, id)
}

fn of(b: &TestBox, id: VnfId) -> Vec<(PciAddr, SmolStr)> {
    let reserved = b.store().require::<Reservation>(&id).expect("reserved");
    reserved.placed.iter().flat_map(|h| &h.at.devices).map(|d| (d.address, d.card_name.clone())).collect()
}

#[test]
fn a_restart_tells_the_hardware_which_functions_guests_have_and_what_their_cards_were_called() {
    for (shape, address) in [(Shape::with_vf(), "0000:10:02.0"), (Shape { whole: true, ..Shape::with_vf() }, "0000:10:00.0")] {
        let (mut b, id) = up(&shape);
        let given = of(&b, id);
        let address: PciAddr = address.parse().expect("address");
        assert_eq!(given, [(address, SmolStr::new("ens1f0"))]);
        assert!(b.sim.recalled().is_empty(), "there was none when this one began");
        b.restart();
        assert_eq!(b.sim.recalled(), given);
    }
}

/// The new guest is planned while the old one has the card, which has no interface then.
#[test]
fn a_card_keeps_its_name_when_its_guest_is_made_again() {
    let (mut b, id) = up(&Shape { whole: true, ..Shape::with_vf() });
    let given = of(&b, id);
    let mut facts: HostFacts = b.sim.facts().expect("facts");
    let pf = facts.devices.iter_mut().find(|d| d.addr == given[0].0).expect("the PF");
    assert_eq!(pf.driver, Some(DriverName::VFIO));
    pf.ports.clear();
    b.sim.set_hardware(facts);
    let old = guests(&b.vnf(id))[0];
    let op = b.core().nfvo.heal_by_itself(&b.vnf(id), old, "it crashed").expect("accepted");
    b.assert_state(op.id, "COMPLETED");
    assert_ne!(guests(&b.vnf(id))[0], old);
    assert_eq!(of(&b, id), given);
    b.restart();
    assert_eq!(b.sim.recalled(), given);
}
