//! Instantiate, operate, terminate: what is there afterwards, and what is refused.

use std::{collections::HashSet, time::Duration};

use super::guests;
use crate::{
    model::{
        error::Kind,
        id::VnfcId,
        package::{Onboarding, PackageFile, VnfPackage},
        size::{Bytes, MiB},
        vnf::{Reservation, RunState, Stopping},
        vnfd::{ImageFormat, Readiness},
    },
    node::kit::{Shape, TestBox, ask_ns, ask_vnf, ns_box, nsd, vnf_box, vnfd},
    sim::{
        Behaviour, SimConfig,
        faults::{Method, Target},
    },
    store::Table,
    vim::port::{DiskRoom, GuestState, HostCapacity, Hypervisor, ImageInfo, Images},
};

#[test]
fn a_vnf_comes_up_whole_and_goes_away_whole() {
    let (b, id) = vnf_box(&Shape::default());
    let op = b.instantiate_vnf(id);
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
    let v = b.vnf(id);
    let names: Vec<_> = v.body.iter().flat_map(|x| &x.vnfcs).map(|c| c.hostname.to_string()).collect();
    assert_eq!(names, ["v-vdu0", "v-vdu1"]);
    let medium = b.sim.medium(guests(&v)[0]).expect("a medium");
    let user_data = medium.iter().find(|(path, _)| path == "user-data").expect("user-data");
    assert_eq!(user_data.1, b"#cloud-config\nhostname: v-vdu0\n");
    assert_eq!(b.core().vnfm().instantiate(id, &ask_vnf()).expect_err("twice").kind(), Kind::Conflict);
    assert_eq!(b.core().vnfm().delete(id, |_| Ok(())).expect_err("instantiated").kind(), Kind::Conflict);

    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    b.assert_nothing_left();
    assert_eq!(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect_err("gone").kind(), Kind::Conflict);
    b.core().vnfm().delete(id, |_| Ok(())).expect("deleted");
    assert_eq!(b.store().count(Table::VnfInstance).expect("count"), 0);
    b.assert_nothing_left();
}

#[test]
fn a_service_comes_up_in_its_order_and_goes_down_in_the_opposite() {
    let (b, id) = ns_box(&Shape::small());
    b.sim.faults().record();
    let op = b.instantiate_ns(id);
    b.assert_state(op, "COMPLETED");
    b.assert_ns_up(id);
    let order = ["web", "fw", "client"].map(|m| guests(&b.member(id, m))[0]);
    let of = |method, calls: &[(Method, Target)]| -> Vec<VnfcId> {
        let mut seen = Vec::new();
        for (_, t) in calls.iter().filter(|(m, _)| *m == method) {
            if let Target::Guest(g) = t
                && !seen.contains(g)
            {
                seen.push(*g);
            }
        }
        seen
    };
    assert_eq!(of(Method::Start, &b.sim.faults().taken()), order);

    assert_eq!(b.core().nfvo.delete_ns(id, |_| Ok(())).expect_err("instantiated").kind(), Kind::Conflict);
    let second = b.core().nfvo.instantiate(id, &ask_ns()).expect_err("twice");
    assert_eq!(second.kind(), Kind::Conflict);
    let op = b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    let mut back = order;
    back.reverse();
    assert_eq!(of(Method::Remove, &b.sim.faults().taken()), back);
    b.assert_nothing_left();
    assert_eq!(b.store().count(Table::VnfInstance).expect("count"), 0, "members go with the service");
    b.core().nfvo.delete_ns(id, |_| Ok(())).expect("deleted");
}

#[test]
fn the_hosts_side_of_links_says_what_was_planned() {
    let (b, id) = ns_box(&Shape::small());
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    let nat = b.sim.nat();
    assert_eq!(nat.masquerade.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.20.0.0/20"]);
    let web = b.member(id, "web").body.expect("a body").vnfcs[0].ports[0].addresses[0];
    let forwards: Vec<_> = nat.forwards.iter().map(|f| (f.tcp, f.host_port, f.to, f.to_port)).collect();
    assert_eq!(forwards, [(true, 8080, web, 80)]);
    let segments: Vec<crate::model::segment::Segment> = b.store().list().expect("segments");
    let mgmt = segments.iter().find(|s| s.link == "mgmt").expect("mgmt");
    let lan = segments.iter().find(|s| s.link == "lan").expect("lan");
    assert_eq!(nat.inside, [mgmt.host_port()]);
    assert_ne!(mgmt.vlan, lan.vlan);
    assert_eq!(mgmt.stations.len(), 3);
    let dhcp = crate::vim::network::dhcp_conf(mgmt).expect("DHCP");
    let mut hosts: Vec<_> = dhcp.leases.iter().map(|l| l.hostname.as_str()).collect();
    hosts.sort_unstable();
    assert_eq!(hosts, ["client", "fw", "web"]);
    assert_eq!(crate::vim::port::HostNet::list_dhcp(&b.sim).expect("DHCP"), [mgmt.id], "none on the plain link");
    let distinct: HashSet<_> = segments.iter().flat_map(|s| &s.stations).flat_map(|s| &s.addresses).collect();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn a_stop_asks_the_agent_then_the_button_then_destroys() {
    // (behaviour, limit in s, agent asked with success, destroyed)
    let slow = Behaviour { acpi: Some(Duration::from_millis(50)), ..Behaviour::default() };
    let no_agent = Behaviour { agent: None, ..Behaviour::default() };
    for (what, does, asked, destroyed) in [("agent", slow, 1, 0), ("button", no_agent, 2, 0), ("deaf", Behaviour::deaf(), 2, 1)] {
        let (b, id) = vnf_box(&Shape::small());
        b.core().watch().expect("watching");
        b.sim.set_guests(move |_| does.clone());
        b.assert_state(b.instantiate_vnf(id), "COMPLETED");
        b.sim.faults().reset_counts();
        let op = b.core().vnfm().operate(id, RunState::Stopped, Stopping::Within(1), "{}".into()).expect("accepted").id;
        b.assert_state(op, "COMPLETED");
        assert_eq!(b.sim.faults().count(Method::AskStop), asked, "{what}");
        assert_eq!(b.sim.faults().count(Method::Destroy), destroyed, "{what}");
        let v = b.vnf(id);
        assert_eq!(b.sim.state(guests(&v)[0]).expect("state"), Some(GuestState::Off), "{what}");
        assert_eq!(v.body.expect("a body").run, RunState::Stopped);
        let op = b.core().vnfm().operate(id, RunState::Started, Stopping::AtOnce, "{}".into()).expect("accepted").id;
        b.assert_state(op, "COMPLETED");
        b.assert_vnf_up(id);
    }
}

#[test]
fn a_forceful_termination_asks_nobody() {
    let (b, id) = vnf_box(&Shape::small());
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    let op = b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    assert_eq!(b.sim.faults().count(Method::AskStop), 0);
    b.assert_nothing_left();
}

#[test]
fn a_vnf_is_instantiated_when_its_rule_says_it_is_ready() {
    let agent = |d| Behaviour { agent: d, ..Behaviour::default() };
    let serial = |t: &str| Behaviour { serial: t.as_bytes().to_vec(), ..Behaviour::default() };
    for (rule, does, why) in [
        (Readiness::Agent, agent(Some(Duration::from_millis(30))), None),
        (Readiness::Agent, agent(None), Some("the guest agent does not answer yet")),
        (Readiness::Serial("login: $".into()), serial("Debian\nlogin: "), None),
        (Readiness::Serial("login: $".into()), serial("panic\n"), Some("the serial console has not said")),
        (Readiness::Tcp(80), Behaviour::default(), None),
        (Readiness::Tcp(81), Behaviour::default(), Some("TCP port 81 is not open yet")),
        (Readiness::Running, Behaviour::halts(), None),
        (Readiness::Agent, Behaviour::halts(), Some("stopped before it was ready")),
    ] {
        let (b, id) = vnf_box(&Shape { readiness: rule.clone(), grace_s: 1, ..Shape::small() });
        b.core().watch().expect("watching");
        b.sim.set_guests(move |_| does.clone());
        b.sim.set_tcp(|_, port| port == 80);
        let op = b.wait(b.instantiate_vnf(id));
        match why {
            None => assert_eq!(op.state.name(), "COMPLETED", "{rule:?}: {}", b.picture()),
            Some(why) => {
                assert_eq!(op.state.name(), "FAILED_TEMP", "{rule:?}");
                let error = op.error.clone().expect("an error");
                assert!(error.text.contains(why), "{rule:?}: {}", error.text);
                b.core().nfvo.rollback(op.id).expect("rolled back");
                b.assert_state(op.id, "ROLLED_BACK");
                b.assert_nothing_left();
            }
        }
    }
}

/// Too small for large pages beside.
fn small_host() -> SimConfig {
    let mut c = SimConfig { capacity: HostCapacity { cpus: 64, memory: MiB(500) }, ..SimConfig::default() };
    c.hardware.nodes.iter_mut().for_each(|n| n.hugepages.clear());
    c
}

#[test]
fn a_vnf_without_room_is_rolled_back_from_starting_with_the_reasons() {
    let b = TestBox::of(small_host());
    b.onboard(vnfd("vnf", &Shape { memory: 4096, ..Shape::small() }));
    let id = b.create_vnf("vnf");
    let op = b.core().vnfm().instantiate(id, &ask_vnf()).expect("accepted");
    assert_eq!(op.state.name(), "ROLLED_BACK");
    let error = op.error.expect("reasons");
    assert_eq!(error.kind, Kind::Capacity);
    assert_eq!(error.reasons, ["VNF v: memory: 4256 MiB wanted, 500 of 500 MiB free"]);
    assert_eq!(b.sim.faults().changes(), 0);
    b.assert_nothing_left();
}

#[test]
fn a_service_without_room_waits_for_a_retry_after_room_was_made() {
    let b = TestBox::of(small_host());
    b.onboard(vnfd("vnf", &Shape::small()));
    b.onboard_nsd(nsd("ns", &crate::node::kit::THREE));
    let other = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(other), "COMPLETED");
    let id = b.create_ns("ns");
    let op = b.assert_state(b.instantiate_ns(id), "FAILED_TEMP");
    let error = op.error.expect("reasons");
    assert_eq!(error.kind, Kind::Capacity);
    // 161 MiB each, three fit on a host of 500.
    assert_eq!(error.reasons, ["VNF s-client: memory: 161 MiB wanted, 17 of 500 MiB free"]);
    assert_eq!(b.core().nfvo.retry(op.id).expect_err("still no room").kind(), Kind::Capacity);
    assert_eq!(b.op(op.id).state.name(), "FAILED_TEMP");
    b.assert_state(b.core().vnfm().terminate(other, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.core().nfvo.retry(op.id).expect("room now");
    b.assert_state(op.id, "COMPLETED");
    b.assert_ns_up(id);
    b.assert_state(b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_service_without_room_can_be_rolled_back_or_given_up() {
    for way in ["rollback", "fail"] {
        let b = TestBox::of(SimConfig {
            room: DiskRoom { total: Bytes(1 << 30), free: Bytes(100 << 20), disks: Bytes(0) },
            ..SimConfig::default()
        });
        b.onboard(vnfd("vnf", &Shape::small()));
        b.onboard_nsd(nsd("ns", &crate::node::kit::THREE));
        let id = b.create_ns("ns");
        let op = b.assert_state(b.instantiate_ns(id), "FAILED_TEMP");
        assert_eq!(op.error.expect("reasons").reasons.len(), 2, "one fits");
        match way {
            "rollback" => {
                b.core().nfvo.rollback(op.id).expect("accepted");
                b.assert_state(op.id, "ROLLED_BACK");
            }
            _ => {
                b.core().nfvo.fail(op.id).expect("accepted");
                b.assert_state(op.id, "FAILED");
            }
        }
        b.assert_nothing_left();
        assert!(b.ns(id).op.is_none());
        b.core().nfvo.delete_ns(id, |_| Ok(())).expect("deleted");
    }
}

#[test]
fn a_dry_run_touches_nothing_and_says_what_would_be_made() {
    let (b, id) = ns_box(&Shape::default());
    let before = b.store().stats().expect("stats").live.transactions;
    let dry = b.core().nfvo.dry_instantiate(id, &ask_ns()).expect("planned");
    assert_eq!(b.store().stats().expect("stats").live.transactions, before);
    assert_eq!(b.sim.faults().changes(), 0);
    b.assert_state(b.instantiate_ns(id), "COMPLETED");
    for m in &dry.plan.members {
        let made = b.member(id, &m.profile).body.expect("a body");
        let shape = |body: &crate::model::vnf::Body| -> Vec<_> {
            body.vnfcs
                .iter()
                .map(|c| {
                    let addresses: Vec<_> = c.ports.iter().flat_map(|p| p.addresses.clone()).collect();
                    (c.hostname.clone(), c.vdu.clone(), c.memory, c.disks.len(), addresses)
                })
                .collect()
        };
        assert_eq!(shape(&made), shape(&m.plan.body));
    }
    let mut planned: Vec<_> = dry.segments.iter().map(|s| (s.vlan, s.link.clone(), s.host.clone())).collect();
    let segments: Vec<crate::model::segment::Segment> = b.store().list().expect("segments");
    let mut made: Vec<_> = segments.iter().map(|s| (s.vlan, s.link.clone(), s.host.clone())).collect();
    planned.sort_by_key(|s| s.0);
    made.sort_by_key(|s| s.0);
    assert_eq!(made, planned);

    let (b, id) = vnf_box(&Shape::default());
    let dry = b.core().vnfm().dry_instantiate(id, &ask_vnf()).expect("planned");
    assert_eq!((b.sim.faults().changes(), b.store().count(Table::Operation).expect("count")), (0, 0));
    let op = b.instantiate_vnf(id);
    b.assert_state(op, "COMPLETED");
    let kinds = |steps: &[crate::model::step::PlanStep]| -> Vec<_> {
        steps.iter().map(|s| (s.after.clone(), std::mem::discriminant(&s.step))).collect()
    };
    assert_eq!(kinds(&b.steps(op)), kinds(&dry.steps));
}

#[test]
fn a_member_is_changed_by_its_service_only() {
    let (b, id) = ns_box(&Shape::small());
    let op = b.instantiate_ns(id);
    b.assert_state(op, "COMPLETED");
    let vnf = b.member(id, "web").id;
    let vnfm = b.core().vnfm();
    for refused in [
        vnfm.terminate(vnf, Stopping::AtOnce, "{}".into()).map(|_| ()),
        vnfm.instantiate(vnf, &ask_vnf()).map(|_| ()),
        vnfm.delete(vnf, |_| Ok(())),
    ] {
        let fault = refused.expect_err("refused");
        assert_eq!(fault.kind(), Kind::Conflict);
        assert!(fault.text().contains(&id.to_string()), "{fault}");
    }
    // Its guests may be stopped and started all the same.
    b.assert_state(vnfm.operate(vnf, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    let child = b.store().list::<crate::model::op::Operation>().expect("operations").into_iter().find(|o| o.parent == Some(op));
    let fault = b.core().nfvo.cancel(child.expect("a child").id, crate::model::op::CancelMode::Graceful).expect_err("refused");
    assert!(fault.text().contains(&op.to_string()), "{fault}");
}

#[test]
fn requests_at_the_same_time_never_get_the_same_thing() {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::default()));
    let ids: Vec<_> = (0..12).map(|_| b.create_vnf("vnf")).collect();
    let ops: Vec<_> = std::thread::scope(|s| {
        let started: Vec<_> = ids.iter().map(|id| s.spawn(|| b.instantiate_vnf(*id))).collect();
        started.into_iter().map(|t| t.join().expect("thread")).collect()
    });
    for op in ops {
        b.assert_state(op, "COMPLETED");
    }
    let segments: Vec<crate::model::segment::Segment> = b.store().list().expect("segments");
    let vlans: HashSet<_> = segments.iter().map(|s| s.vlan).collect();
    assert_eq!(vlans.len(), segments.len());
    let hosts: HashSet<_> = segments.iter().flat_map(|s| &s.host).map(|c| c.network().to_string()).collect();
    assert_eq!(hosts.len(), segments.iter().map(|s| s.host.len()).sum::<usize>());
    assert_eq!(b.store().list::<Reservation>().expect("read").len(), 12);
}

#[test]
fn a_retry_starts_a_guest_again_that_went_off_before_it_was_ready() {
    let (b, id) = vnf_box(&Shape { readiness: Readiness::Agent, ..Shape::default() });
    b.sim.set_guests(|_| Behaviour::halts());
    let op = b.instantiate_vnf(id);
    let stuck = b.assert_state(op, "FAILED_TEMP");
    assert!(stuck.error.is_some_and(|e| e.text.contains("stopped before it was ready")));
    b.sim.set_guests(|_| Behaviour::default());
    b.core().engine.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    b.assert_vnf_up(id);
}

#[test]
fn files_that_no_package_names_go_at_a_start_and_those_that_are_named_stay() {
    let (mut b, id) = vnf_box(&Shape::small());
    let layout = b.core().vnfm().layout().clone();
    for folder in layout.folders() {
        std::fs::create_dir_all(folder).expect("folder");
    }
    let mut package = b.store().list::<VnfPackage>().expect("read").remove(0);
    let file = |n: u8| PackageFile { path: "f".into(), sha256: [n; 32], size: Bytes(1), media_type: "text/plain".into() };
    package.files = vec![file(1)];
    b.put(&package);
    for n in [1, 2] {
        std::fs::write(layout.artifact(&[n; 32]), "x").expect("written");
    }
    let image = || ImageInfo { format: ImageFormat::Qcow2, virtual_size: MiB(64), size: Bytes(1) };
    b.sim.add_base([9; 32], image());
    let there = |b: &TestBox| {
        let files = [1, 2].map(|n| layout.artifact(&[n; 32]).exists());
        (files, Images::has_base(&b.sim, &[7; 32]).expect("asked"), Images::has_base(&b.sim, &[9; 32]).expect("asked"))
    };
    // One that is on its way may still be named: nothing is taken from under it.
    package.onboarding = Onboarding::Uploading;
    b.put(&package);
    assert!(!b.core().vnfm().sweep_artifacts().expect("looked"));
    assert_eq!(there(&b), ([true, true], true, true));
    package.onboarding = Onboarding::Onboarded;
    b.put(&package);
    b.restart();
    b.core().watch().expect("watches");
    b.until("swept", || there(&b) == ([true, false], true, false));
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
}
