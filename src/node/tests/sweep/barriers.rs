//! How often an operation waits for the disk: once when it is accepted, once when it ends.

use super::case::{Case, What};

fn barriers(c: &Case) -> u64 {
    let stats = c.b.store().stats().expect("stats");
    stats.live.barriers + stats.history.barriers
}

/// Of operations of VNFs: all that happens in between is written without one.
const OF_VNFS: [What; 18] = [
    What::InstantiateVnf,
    What::TerminateVnf,
    What::Stop,
    What::Start,
    What::Reboot,
    What::InstantiateVf,
    What::TerminateVf,
    What::ScaleOut,
    What::ScaleIn,
    What::Heal,
    What::HealVf,
    What::ScaleOutVf,
    What::ReloadPf,
    What::Snapshot,
    What::Revert,
    What::Connect,
    What::Flavour,
    What::Package,
];
const OF_SERVICES: [What; 7] =
    [What::InstantiateNs, What::TerminateNs, What::ScaleNs, What::HealNs, What::Reroute, What::GrowNs, What::ShrinkNs];

#[test]
fn an_accept_is_one_barrier() {
    for what in OF_VNFS.into_iter().chain(OF_SERVICES) {
        let c = Case::new(what);
        // No worker runs any more: the accept is all there is.
        c.b.core().engine.stop();
        let before = barriers(&c);
        c.go();
        assert_eq!(barriers(&c) - before, 1, "{what:?}");
    }
}

#[test]
fn an_operation_of_a_vnf_is_one_barrier_to_accept_and_one_to_finish() {
    for what in OF_VNFS {
        let mut c = Case::new(what);
        // What came before has ended for its workers as well.
        c.b.restart();
        let before = barriers(&c);
        c.done(c.go());
        // A worker that ends an operation is waited for.
        c.b.core().engine.stop();
        assert_eq!(barriers(&c) - before, 2, "{what:?}");
    }
}

#[test]
fn an_operation_of_a_service_is_those_and_at_most_two_for_each_member() {
    for what in OF_SERVICES {
        let mut c = Case::new(what);
        // What came before has ended for its workers as well.
        c.b.restart();
        let before = barriers(&c);
        c.done(c.go());
        c.b.core().engine.stop();
        // A member's operation is released durably, and its end asks for a barrier that it does not wait for.
        let (all, members) = (barriers(&c) - before, if what == What::Reroute { 0 } else { 3 });
        assert!((2..=2 + 2 * members).contains(&all), "{what:?}: {all}");
    }
}

#[test]
fn a_resource_made_or_deleted_is_one_barrier() {
    let vnf = Case::new(What::InstantiateVnf);
    let before = barriers(&vnf);
    let id = vnf.b.create_vnf("vnf");
    assert_eq!(barriers(&vnf) - before, 1, "a VNF made");
    vnf.b.core().vnfm().delete(id, |_| Ok(())).expect("deleted");
    assert_eq!(barriers(&vnf) - before, 2, "a VNF deleted");
    let ns = Case::new(What::InstantiateNs);
    let before = barriers(&ns);
    let id = ns.b.create_ns("ns");
    assert_eq!(barriers(&ns) - before, 1, "a service made");
    ns.b.core().nfvo.delete_ns(id, |_| Ok(())).expect("deleted");
    assert_eq!(barriers(&ns) - before, 2, "a service deleted");
}
