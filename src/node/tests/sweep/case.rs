//! One operation of each kind: how the box is before it, and what is right once it is done, undone or given up.

use std::collections::BTreeMap;

use super::super::{connect, flavour, guests, handover, package, reroute, snapshots};
use crate::{
    model::{
        id::{NsId, OpId, SnapshotId, VnfId},
        op::OpKind,
        param::{Param, Params},
        segment::Segment,
        vnf::{RunState, Stopping, VnfInstance},
    },
    nfvo::{goal::NsScaleTo, scale::ScaleNs},
    node::kit::{Shape, TestBox, ask_vnf, elastic_box, ns_box, vnf_box},
    sim::Leftover,
    vim::port::{GuestState, Hardware, Hypervisor},
    vnfm::{alter::Alter, change::ScaleTo},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    InstantiateVnf,
    TerminateVnf,
    Stop,
    Start,
    Reboot,
    InstantiateNs,
    TerminateNs,
    /// A VNF whose guest has a VF.
    InstantiateVf,
    TerminateVf,
    ScaleOut,
    ScaleIn,
    Heal,
    HealVf,
    /// The PF of that VF is reloaded.
    ReloadPf,
    /// That PF lost its functions, the guest's among them.
    RestorePf,
    /// Another guest with a VF of its own comes.
    ScaleOutVf,
    /// One member grows, another is healed.
    ScaleNs,
    HealNs,
    /// A function is put into a running chain, before the one that is there.
    Reroute,
    /// The same with one that is routed.
    HandOver,
    /// Two more of a member come, or go.
    GrowNs,
    ShrinkNs,
    /// Of a VNF with two guests and three disks.
    Snapshot,
    Revert,
    /// One NIC comes to another link, one off its own.
    Connect,
    /// To another flavour: guests change, come and go, and so do disks, NICs and links.
    Flavour,
    /// To another package: the same, and a disk is made anew from another image.
    Package,
}

#[derive(Clone, Copy)]
pub(super) enum Of {
    Vnf(VnfId),
    Ns(NsId),
}

pub(super) struct Case {
    pub b: TestBox,
    what: What,
    of: Of,
    snapshot: Option<SnapshotId>,
    /// The service whose links a VNF is on.
    around: Option<NsId>,
}

pub(super) fn shape() -> Shape {
    Shape { vdus: 1, ..Shape::default() }
}

impl Case {
    /// Everything is as it is before the operation.
    pub fn new(what: What) -> Case {
        let mut around = None;
        let (b, of) = match what {
            What::Connect => {
                let (b, id, ns) = connect::standing(&shape());
                around = Some(ns);
                (b, Of::Vnf(id))
            }
            What::Flavour => {
                let (b, id) = flavour::standing();
                (b, Of::Vnf(id))
            }
            What::Package => {
                let (b, id) = package::standing();
                (b, Of::Vnf(id))
            }
            What::ScaleNs => {
                let (b, id) = ns_box(&Shape { most: 4, ..shape() });
                (b, Of::Ns(id))
            }
            What::Reroute => {
                let (b, id) = reroute::four(&shape());
                (b, Of::Ns(id))
            }
            What::HandOver => {
                let (b, id) = handover::four(&shape(), crate::model::chain::HopKind::Stateful, |_| {});
                (b, Of::Ns(id))
            }
            What::GrowNs | What::ShrinkNs => {
                let (b, id) = elastic_box(&shape());
                (b, Of::Ns(id))
            }
            What::InstantiateNs | What::TerminateNs | What::HealNs => {
                let (b, id) = ns_box(&shape());
                (b, Of::Ns(id))
            }
            What::InstantiateVf | What::TerminateVf => {
                let (b, id) = vnf_box(&Shape::with_vf());
                (b, Of::Vnf(id))
            }
            What::HealVf | What::ReloadPf | What::RestorePf => {
                let (b, id) = vnf_box(&Shape::with_vf());
                (b, Of::Vnf(id))
            }
            What::ScaleOutVf => {
                let (b, id) = vnf_box(&Shape { most: 4, ..Shape::with_vf() });
                (b, Of::Vnf(id))
            }
            What::ScaleOut | What::ScaleIn | What::Heal | What::Snapshot | What::Revert => {
                let (b, id) = vnf_box(&Shape { most: 4, volume: true, ..Shape::default() });
                (b, Of::Vnf(id))
            }
            What::InstantiateVnf | What::TerminateVnf | What::Stop | What::Start | What::Reboot => {
                let (b, id) = vnf_box(&Shape::default());
                (b, Of::Vnf(id))
            }
        };
        let snapshot = matches!(what, What::Snapshot | What::Revert).then(|| snapshots::empty(&b));
        let c = Case { b, what, of, snapshot, around };
        match (what, of) {
            (What::InstantiateVnf | What::InstantiateVf | What::InstantiateNs | What::Connect | What::Flavour | What::Package, _) => {}
            (_, Of::Ns(id)) => {
                c.done(c.b.instantiate_ns(id));
                if what == What::ShrinkNs {
                    c.done(c.b.core().nfvo.scale(id, &to_level("big")).expect("accepted").id);
                }
            }
            (_, Of::Vnf(id)) => {
                c.done(c.b.instantiate_vnf(id));
                if what == What::ScaleIn {
                    c.done(c.b.core().vnfm().alter(id, &more(true), "{}").expect("accepted").id);
                }
                if what == What::RestorePf {
                    let pf = c.b.sim.facts().expect("facts").pfs().next().expect("a PF").0.addr;
                    c.b.sim.lose_pf(pf);
                }
                if what == What::Start {
                    c.done(c.b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id);
                }
                if let Some(s) = c.snapshot {
                    snapshots::write(&c.b, id, "one");
                    if what == What::Revert {
                        c.done(c.b.core().vnfm().take_snapshot(id, s, &Params::new(), "{}").expect("accepted").id);
                        snapshots::write(&c.b, id, "two");
                    }
                }
            }
        }
        c.b.sim.faults().reset_counts();
        c
    }

    pub fn done(&self, op: OpId) {
        self.b.assert_state(op, "COMPLETED");
    }

    pub fn go(&self) -> OpId {
        let (vnfm, nfvo) = (self.b.core().vnfm(), &self.b.core().nfvo);
        if self.what == What::RestorePf {
            vnfm.watch_functions().expect("looked");
            let mut ops = crate::lcm::timeline::all_operations(self.b.store()).expect("list").into_iter();
            return ops.find(|o| o.kind == OpKind::RestorePf).expect("begun").id;
        }
        let accepted = match (self.what, self.of) {
            (What::Connect, Of::Vnf(id)) => vnfm.change_ext_conn(id, &connect::change(&self.b, self.around.expect("a service"))),
            (What::Flavour, Of::Vnf(id)) => vnfm.change_flavour(id, &flavour::to("big", Some("pair"))),
            (What::Package, Of::Vnf(id)) => vnfm.change_package(id, &package::to("vnf2")),
            (What::Snapshot, Of::Vnf(id)) => vnfm.take_snapshot(id, self.snapshot.expect("one"), &Params::new(), "{}"),
            (What::Revert, Of::Vnf(id)) => vnfm.revert_to_snapshot(id, self.snapshot.expect("one"), "{}"),
            (What::InstantiateVnf, Of::Vnf(id)) => {
                vnfm.instantiate_with(id, &ask_vnf(), &|p| p.extensions.push(("e".into(), Param::Bool(true))))
            }
            (What::InstantiateVf, Of::Vnf(id)) => return self.b.instantiate_vnf(id),
            (What::InstantiateNs, Of::Ns(id)) => return self.b.instantiate_ns(id),
            (What::ReloadPf, Of::Vnf(_)) => vnfm.reload_pf(&"ens1f0".parse().expect("name"), None, "{}"),
            (What::Stop, Of::Vnf(id)) => vnfm.operate(id, RunState::Stopped, Stopping::Within(60), "{}".into()),
            (What::Start, Of::Vnf(id)) => vnfm.operate(id, RunState::Started, Stopping::AtOnce, "{}".into()),
            (What::Reboot, Of::Vnf(id)) => vnfm.reboot(id, &[], Stopping::Within(60), "{}".into()),
            (What::ScaleOut | What::ScaleOutVf, Of::Vnf(id)) => vnfm.alter(id, &more(true), "{}"),
            (What::ScaleIn, Of::Vnf(id)) => vnfm.alter(id, &more(false), "{}"),
            (What::Heal | What::HealVf, Of::Vnf(id)) => vnfm.alter(id, &Alter::Heal { which: Vec::new(), anew: false }, "{}"),
            (What::ScaleNs, Of::Ns(id)) => {
                let all: Vec<_> = self.b.ns(id).members.iter().map(|m| (m.vnf, more(true))).collect();
                nfvo.alter(id, OpKind::Scale, &all, "{}")
            }
            (What::HealNs, Of::Ns(id)) => {
                let heal = Alter::Heal { which: Vec::new(), anew: false };
                nfvo.alter(id, OpKind::Heal, &[(self.b.ns(id).members[1].vnf, heal)], "{}")
            }
            (What::Reroute | What::HandOver, Of::Ns(id)) => nfvo.reroute(id, &[reroute::by(&self.b, id, &["ids", "fw"])], "{}"),
            (What::GrowNs, Of::Ns(id)) => nfvo.scale(id, &to_level("big")),
            (What::ShrinkNs, Of::Ns(id)) => nfvo.scale(id, &to_level("default")),
            (_, Of::Vnf(id)) => vnfm.terminate(id, Stopping::AtOnce, "{}".into()),
            (_, Of::Ns(id)) => nfvo.terminate(id, Stopping::AtOnce, "{}".into()),
        };
        accepted.expect("accepted").id
    }

    /// The operation has done what it is for.
    pub fn assert_right(&self) {
        self.assert_given(1);
        self.assert_disks("one", 3);
        match (self.what, self.of) {
            (What::TerminateVnf | What::TerminateVf | What::TerminateNs, _) => self.b.assert_nothing_left(),
            (What::InstantiateNs | What::ScaleNs | What::HealNs, Of::Ns(id)) => {
                self.b.assert_ns_up(id);
                let each = if self.what == What::ScaleNs { 2 } else { 1 };
                for m in &self.b.ns(id).members {
                    assert_eq!(guests(&self.b.vnf(m.vnf)).len(), each);
                }
                let there = self.b.sim.leftovers().iter().filter(|l| matches!(l, Leftover::Domain(_))).count();
                assert_eq!(there, 3 * each, "{}", self.b.picture());
            }
            (What::Reroute, Of::Ns(id)) => {
                self.b.assert_ns_up(id);
                reroute::assert_path(&self.b, &["ids", "fw"], 2);
            }
            (What::HandOver, Of::Ns(id)) => {
                self.b.assert_ns_up(id);
                reroute::assert_path(&self.b, &["ids", "fw"], 1);
                assert_eq!(self.b.sim.chains()[0].handover.as_ref().map(|h| h.hops.len()), Some(1));
            }
            (What::GrowNs, Of::Ns(id)) => self.assert_members(id, &["web", "web", "web", "fw", "client"]),
            (What::ShrinkNs, Of::Ns(id)) => self.assert_members(id, &["web", "fw", "client"]),
            (What::Stop, Of::Vnf(id)) => self.assert_run(id, RunState::Stopped),
            (What::Flavour, Of::Vnf(id)) => flavour::assert_is(&self.b, id, "big", true),
            (What::Package, Of::Vnf(id)) => package::assert_is(&self.b, id, true),
            (What::Connect, Of::Vnf(id)) => connect::assert_is(&self.b, id, self.around.expect("a service"), true),
            (_, Of::Vnf(id)) => {
                self.assert_run(id, RunState::Started);
                let guests = match self.what {
                    What::ScaleOut => 3,
                    What::HealVf | What::ReloadPf | What::RestorePf | What::InstantiateVf => 1,
                    _ => 2,
                };
                self.assert_guests(id, guests);
            }
            (_, Of::Ns(_)) => unreachable!("no such case"),
        }
    }
    /// The service has these members, each one up with a guest and its stations, and the box nothing else.
    fn assert_members(&self, id: NsId, members: &[&str]) {
        let b = &self.b;
        b.assert_ns_up(id);
        assert_eq!(b.ns(id).members.iter().map(|m| m.profile.as_str()).collect::<Vec<_>>(), members, "{}", b.picture());
        let vnfs = b.store().list::<VnfInstance>().expect("list");
        assert_eq!(vnfs.len(), members.len());
        let there = b.sim.leftovers().iter().filter(|l| matches!(l, Leftover::Domain(_))).count();
        assert_eq!(there, members.len(), "{}", b.picture());
        let stations: usize = b.store().list::<Segment>().expect("list").iter().map(|s| s.stations.len()).sum();
        let ports: usize = vnfs.iter().flat_map(|v| &v.body).flat_map(|b| &b.vnfcs).map(|c| c.ports.len()).sum();
        assert_eq!(stations, ports, "each port has its station and no other has one");
    }
    /// The records name so many guests, and the box has no other.
    fn assert_guests(&self, id: VnfId, count: usize) {
        assert_eq!(guests(&self.b.vnf(id)).len(), count);
        let there = self.b.sim.leftovers().iter().filter(|l| matches!(l, Leftover::Domain(_))).count();
        assert_eq!(there, count, "{}", self.b.picture());
        let stations: usize = self.b.store().list::<Segment>().expect("list").iter().map(|s| s.stations.len()).sum();
        let ports: usize = self.b.vnf(id).body.iter().flat_map(|b| &b.vnfcs).map(|c| c.ports.len()).sum();
        assert_eq!(stations, ports, "each port has its station and no other has one");
    }
    /// A guest that is there is known to its links, however the operation ended.
    pub fn assert_connected(&self, at: &str) {
        let known: Vec<_> = self.b.store().list::<Segment>().expect("list").into_iter().flat_map(|s| s.stations).map(|s| s.port).collect();
        let vnfs = self.b.store().list::<VnfInstance>().expect("list");
        for guest in vnfs.iter().filter_map(|v| v.body.as_ref()).flat_map(|b| &b.vnfcs) {
            if self.b.sim.state(guest.id).expect("state").is_some() {
                assert!(guest.ports.iter().all(|p| known.contains(&p.id)), "{at}: {} is on no link", guest.hostname);
            }
        }
    }
    fn assert_run(&self, id: VnfId, run: RunState) {
        let v = self.b.vnf(id);
        assert_eq!(v.body.as_ref().map(|b| b.run), Some(run));
        match run {
            RunState::Started => self.b.assert_vnf_up(id),
            RunState::Stopped => {
                for g in guests(&v) {
                    assert_eq!(self.b.sim.state(g).expect("state"), Some(GuestState::Off));
                }
            }
        }
    }

    /// All disks of a VNF with a snapshot hold this, and so many copies are there, which the snapshot names.
    fn assert_disks(&self, text: &str, copies: usize) {
        let (Some(id), Of::Vnf(vnf)) = (self.snapshot, self.of) else { return };
        self.b.core().vnfm().sweep_copies().expect("swept");
        let held = snapshots::read(&self.b, vnf);
        assert!(held.values().all(|t| t == text), "{held:?}\n{}", self.b.picture());
        let s = snapshots::record(&self.b, id);
        let mut named: Vec<_> = s.copies().map(|c| c.copy).collect();
        named.sort();
        assert_eq!((named.len(), snapshots::copies(&self.b)), (copies, named.clone()), "{}", self.b.picture());
        assert!(named.iter().all(|c| self.b.sim.read_disk(*c) == b"one"), "{}", self.b.picture());
        assert!(s.op.is_none() && s.taken.is_none_or(|t| t.finished.is_some()), "{}", self.b.picture());
    }

    /// So many extensions came with an instantiation, and are the record's.
    fn assert_given(&self, count: usize) {
        if let (What::InstantiateVnf, Of::Vnf(id)) = (self.what, self.of) {
            assert_eq!(self.b.vnf(id).extensions.len(), count, "{}", self.b.picture());
        }
    }

    pub fn assert_undone(&self) {
        self.assert_given(0);
        match self.what {
            What::Snapshot => self.assert_disks("one", 0),
            _ => self.assert_disks("two", 3),
        }
        match (self.what, self.of) {
            (What::Stop, Of::Vnf(id)) => self.assert_run(id, RunState::Started),
            (What::Start, Of::Vnf(id)) => self.assert_run(id, RunState::Stopped),
            // Its disk may have been enlarged or not: the record keeps room for it.
            (What::Flavour, Of::Vnf(id)) => flavour::assert_is(&self.b, id, "df", true),
            (What::Package, Of::Vnf(id)) => package::assert_is(&self.b, id, false),
            (What::Connect, Of::Vnf(id)) => connect::assert_is(&self.b, id, self.around.expect("a service"), false),
            (What::ReloadPf | What::RestorePf | What::Reboot | What::Snapshot | What::Revert, Of::Vnf(id)) => {
                self.assert_run(id, RunState::Started);
            }
            (What::ScaleOut | What::ScaleOutVf, Of::Vnf(id)) => {
                self.assert_run(id, RunState::Started);
                self.assert_guests(id, if self.what == What::ScaleOut { 2 } else { 1 });
            }
            (What::Reroute, Of::Ns(id)) => {
                self.b.assert_ns_up(id);
                reroute::assert_path(&self.b, &["fw"], 1);
            }
            (What::HandOver, Of::Ns(id)) => {
                self.b.assert_ns_up(id);
                // The function in reserve is a wire from the beginning.
                reroute::assert_path(&self.b, &["fw"], 1);
                assert!(self.b.sim.chains()[0].handover.is_none());
            }
            (What::GrowNs, Of::Ns(id)) => self.assert_members(id, &["web", "fw", "client"]),
            _ => self.b.assert_nothing_left(),
        }
    }

    /// Takes away what is there, and looks that nothing is left.
    pub fn tear_down(&self) {
        let (vnfm, nfvo) = (self.b.core().vnfm(), &self.b.core().nfvo);
        if let Some(id) = self.snapshot {
            vnfm.delete_snapshot(id, |_| Ok(())).expect("deleted");
            vnfm.sweep_copies().expect("swept");
        }
        match self.of {
            Of::Vnf(id) if self.b.vnf(id).instantiated => {
                self.done(vnfm.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id)
            }
            Of::Ns(id) if self.b.ns(id).instantiated => self.done(nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id),
            Of::Vnf(_) | Of::Ns(_) => {}
        }
        if let Some(ns) = self.around {
            self.done(nfvo.terminate(ns, Stopping::AtOnce, "{}".into()).expect("accepted").id);
        }
        self.b.assert_nothing_left();
        match self.of {
            Of::Vnf(id) => vnfm.delete(id, |_| Ok(())).expect("deleted"),
            Of::Ns(id) => nfvo.delete_ns(id, |_| Ok(())).expect("deleted"),
        }
    }

    pub fn can_roll_back(&self) -> bool {
        match self.what {
            What::TerminateVnf | What::TerminateVf | What::TerminateNs | What::ScaleIn | What::Heal | What::HealVf => false,
            What::ScaleNs | What::HealNs | What::ShrinkNs => false,
            What::InstantiateVnf | What::InstantiateVf | What::InstantiateNs | What::Stop | What::Start | What::ScaleOut => true,
            What::ScaleOutVf | What::RestorePf => true,
            What::HandOver
            | What::ReloadPf
            | What::Reboot
            | What::Reroute
            | What::GrowNs
            | What::Snapshot
            | What::Revert
            | What::Connect => true,
            What::Flavour | What::Package => true,
        }
    }
}

pub(super) fn more(out: bool) -> Alter {
    Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out, steps: 1 })
}

pub(super) fn to_level(level: &str) -> ScaleNs {
    ScaleNs { to: NsScaleTo::Level(level.into()), params: Params::new(), member_params: BTreeMap::new(), request: "{}".into() }
}

pub(super) fn sheds_last(what: What) -> bool {
    matches!(what, What::Flavour | What::Package)
}
