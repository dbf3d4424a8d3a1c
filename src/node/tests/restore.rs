//! A store that was restored, on a host with guests that came after it.

use std::collections::BTreeSet;

use super::{crash::stray, guests};
use crate::{
    model::{
        error::Kind,
        id::{NsId, SegmentId, VnfcId},
        net::{Cidr, VlanId},
        op::Operation,
        segment::Segment,
    },
    node::kit::{Shape, TestBox, ns_box, nsd, vnfd},
    sim::Leftover,
    store::Store,
    vim::port::Hypervisor,
};

#[test]
fn a_restored_store_removes_nothing_it_does_not_know_until_an_operator_has_looked() {
    let (mut b, first) = ns_box(&Shape::default());
    b.assert_state(b.instantiate_ns(first), "COMPLETED");
    let known = b.sim.leftovers();
    let export = b.store_dir().with_file_name("old.bothy");
    b.store().export(&export).expect("exported");
    let later = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(later), "COMPLETED");
    let mut newer = guests(&b.vnf(later));
    newer.sort();
    let there = b.sim.leftovers();
    b.stop();
    Store::import(&export, b.store_dir()).expect("imported");
    b.start();
    let vnfm = || b.core().vnfm();
    let look = || {
        let mut found = vnfm().reconcile().expect("reconciled");
        found.quarantined.sort();
        found
    };
    let found = look();
    assert_eq!((found.quarantined, found.orphans.len(), found.files_removed), (newer.clone(), 0, 0));
    let now = b.sim.leftovers();
    // The NAT table is the store's picture, all else is left as it is.
    let nat = |l: &Leftover| matches!(l, Leftover::Inside(_) | Leftover::Masquerade(_) | Leftover::Forward(_));
    let gone: Vec<_> = there.iter().filter(|l| !now.contains(l) && !nat(l)).collect();
    assert!(gone.is_empty(), "{gone:?}");
    b.assert_ns_up(first);

    // What is made from now on and left behind is left alone as well, as long as nobody has looked.
    let op = b.store().list::<Operation>().expect("operations")[0].id;
    let ours = stray(op, b.store().generation());
    b.sim.define(&ours).expect("a call of a killed predecessor");
    assert_eq!(look().orphans, []);
    let ids = |all: &[crate::vim::port::FoundGuest]| {
        let mut ids: Vec<VnfcId> = all.iter().map(|g| g.id).collect();
        ids.sort();
        ids
    };
    let shown = vnfm().strays().expect("strays").unknown;
    let mut all = [&newer[..], &[ours.id]].concat();
    all.sort();
    assert_eq!(ids(&shown), all);
    assert!(shown.iter().filter(|g| g.id != ours.id).all(|g| g.owner.vnf == later && g.owner.vnf_name == "v"), "{shown:?}");
    let dry = vnfm().strays_once_acknowledged().expect("a dry run");
    assert_eq!((ids(&dry.ours), ids(&dry.unknown), dry.disks), (vec![ours.id], newer.clone(), vec![]));
    assert!(b.store().is_restored(), "a dry run changes nothing");
    let done = vnfm().acknowledge_restore().expect("acknowledged");
    assert_eq!((ids(&done.ours), b.store().is_restored()), (vec![ours.id], false));
    let found = look();
    assert_eq!((found.orphans, found.quarantined, found.files_removed), (vec![ours.id], newer.clone(), 0));

    // Those of another generation go one by one on request, and the rest of them with the last.
    let of_service = guests(&b.member(first, "web"))[0];
    assert_eq!(vnfm().remove_stray(of_service).expect_err("a record names it").kind(), Kind::Conflict);
    let nobody = VnfcId(uuid::Uuid::from_u128(4711));
    assert_eq!(vnfm().remove_stray(nobody).expect_err("there is none").kind(), Kind::NotFound);
    for (i, id) in newer.iter().enumerate() {
        assert_eq!(look().quarantined, newer[i..]);
        vnfm().remove_stray(*id).expect("removed");
    }
    assert!(!vnfm().strays_once_acknowledged().expect("a dry run").disks.is_empty());
    let found = look();
    assert!(found.quarantined.is_empty() && found.files_removed > 0, "{found:?}");
    // What the switch was told of a link goes with the bothy that told it, which the twin does not know.
    let told = |l: &Leftover| matches!(l, Leftover::SwitchLink(_));
    let parts = |all: Vec<Leftover>| all.into_iter().filter(|l| !told(l)).collect::<Vec<_>>();
    assert_eq!(parts(b.sim.leftovers()), parts(known));
    b.assert_ns_up(first);
    b.restart();
    assert!(!b.store().is_restored());
    assert_eq!(b.core().vnfm().reconcile().expect("reconciled").orphans, []);
}

/// A service of one VNF whose managed link gets its network from the pool.
fn pooled(b: &TestBox, name: &str) -> NsId {
    let mut nsd = nsd(name, &[("web", "vnf", &[])]);
    for l in nsd.flavours.iter_mut().flat_map(|f| &mut f.links) {
        l.profile.layer3.clear();
        l.profile.forwards.clear();
    }
    b.onboard_nsd(nsd);
    b.create_ns(name)
}

/// VLANs and networks of a service and of its VNF.
fn links(b: &TestBox, id: NsId) -> (BTreeSet<VlanId>, BTreeSet<Cidr>) {
    let of_vnf = b.member(id, "web").body.expect("a body").own_segments;
    let ids: Vec<SegmentId> = b.ns(id).links.into_iter().map(|(_, s)| s).chain(of_vnf).collect();
    let all: Vec<Segment> = ids.iter().map(|s| b.store().require(s).expect("a link")).collect();
    (all.iter().map(|s| s.vlan).collect(), all.iter().flat_map(|s| &s.host).map(|c| c.network()).collect())
}

#[test]
fn new_links_do_not_meet_guests_that_a_restored_store_does_not_know() {
    let mut b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::default()));
    let [lost, second, third] = ["lost", "second", "third"].map(|name| pooled(&b, name));
    let export = b.store_dir().with_file_name("old.bothy");
    b.store().export(&export).expect("exported");
    b.assert_state(b.instantiate_ns(lost), "COMPLETED");
    let theirs = links(&b, lost);
    assert_eq!((theirs.0.len(), theirs.1.len()), (3, 1));
    let unknown = guests(&b.member(lost, "web"));
    b.stop();
    Store::import(&export, b.store_dir()).expect("imported");
    b.start();
    let apart = |ns: NsId| {
        let ours = links(&b, ns);
        assert!(ours.0.is_disjoint(&theirs.0) && ours.1.is_disjoint(&theirs.1), "{ours:?} meets {theirs:?}");
    };
    // As long as nobody has looked, also before the first look at the host.
    b.assert_state(b.instantiate_ns(second), "COMPLETED");
    apart(second);
    b.core().vnfm().acknowledge_restore().expect("acknowledged");
    // And as long as they are there.
    b.core().vnfm().reconcile().expect("reconciled");
    b.assert_state(b.instantiate_ns(third), "COMPLETED");
    apart(third);
    for id in unknown {
        b.core().vnfm().remove_stray(id).expect("removed");
    }
    b.core().vnfm().reconcile().expect("reconciled");
    b.assert_state(b.instantiate_ns(lost), "COMPLETED");
    assert_eq!(links(&b, lost), theirs, "nobody is on them any more");
}
