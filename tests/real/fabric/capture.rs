//! Mirrors: what passes ports comes out at an interface of the host, and nothing is left of it.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bothy::{
    host::LinuxNet,
    model::{
        chain::{Family, HopKind},
        id::{IfKind, IfName, if_name},
    },
    sdn::{link::SwitchLink, port::Fabric},
    vim::port::{Captured, Frames, HostNet},
};

use super::{function::*, kinds::tagging, lab::*};
use crate::kit::{eventually, utf8};

/// Untagged ICMP of IPv4 by its type, as often as it was heard; and how often this station had to do with it.
fn pings(frames: &mut dyn Frames, wait: Duration, other: Ipv4Addr) -> [usize; 3] {
    let (until, mut heard) = (Instant::now() + wait, [0; 3]);
    while Instant::now() < until {
        let Some(f) = frames.next(Duration::from_millis(100)).expect("heard") else { continue };
        assert!(f.length >= f.bytes.len());
        if f.bytes.get(12..14) == Some(&[8, 0]) && f.bytes.get(23) == Some(&1) {
            let is_other = |at| f.bytes.get(at..at + 4) == Some(&other.octets()[..]);
            heard[2] += usize::from(is_other(26) || is_other(30));
            match f.bytes.get(34) {
                Some(8) => heard[0] += 1,
                Some(0) => heard[1] += 1,
                _ => {}
            }
        }
    }
    heard
}

#[test]
fn what_passes_a_port_is_heard_both_ways_and_a_mirror_leaves_nothing() {
    let Some(lab) = lab() else { return };
    let (one, two, three) = (lab.guest(1, 7), lab.guest(2, 7), lab.guest(3, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2, 3], &[11, 12])).expect("link");
    let _bump = Function::wire(&lab, 11, 12, 7);
    assert!(one.reaches(&two) && three.reaches(&two));
    lab.fabric.ensure_chain(&chain(1, ping(Family::Ipv4), vec![hop("bump", HopKind::Transparent, &[(11, 12)])])).expect("chain");
    assert!(soon(true, || one.peer.pings(&two.v4)));
    eventually("the wire is one", || lab.fabric.chain_state(chain(1, ping(Family::Ipv4), vec![]).id).expect("state").hops[0].live == 1);
    let (flows, ports) = (lab.flows(), lab.fabric.ports().expect("ports"));
    let state = tempfile::tempdir().expect("dir");
    let net = LinuxNet::new(utf8(state.path()));
    let to: IfName = if_name(IfKind::Capture, &id(90));
    let hear = |what: &str, frames: &mut dyn Frames| {
        one.settle();
        let heard = std::thread::scope(|s| {
            let listening = s.spawn(|| pings(frames, Duration::from_secs(3), three.v4.parse().expect("an address")));
            assert!(one.peer.pings(&two.v4), "{what}: what is heard goes on");
            assert!(three.peer.pings(&two.v4));
            listening.join().expect("heard")
        });
        assert!(heard[0] >= 1 && heard[1] >= 1, "{what}: {heard:?} there and back");
        assert_eq!(heard[0], heard[1], "{what}: as many there as back");
        assert_eq!(heard[2], 0, "{what}: and of the third guest nothing");
    };
    for again in [false, true] {
        lab.fabric.ensure_mirror(&to, &[nic(1)], 7.try_into().expect("vlan")).expect("mirror");
        assert_eq!(lab.fabric.mirrors().expect("mirrors"), std::slice::from_ref(&to), "again: {again}");
    }
    let mut frames = net.listen(&to).expect("an interface");
    hear("a guest", frames.as_mut());
    drop(frames);
    // Whoever comes after a kill finds it and takes it away.
    let next = another(&lab.ovs, &[]);
    assert_eq!(next.mirrors().expect("mirrors"), std::slice::from_ref(&to));
    next.remove_mirror(&to).expect("removed");
    next.remove_mirror(&to).expect("removed already");
    eventually("it is gone for everybody", || lab.fabric.mirrors().expect("mirrors").is_empty());
    assert_eq!(lab.fabric.ports().expect("ports"), ports);
    eventually("as before", || lab.flows() == flows);
    assert_eq!(lab.ovs.vsctl(&["list", "Mirror"]), "");
    // An end of a wire is in no VLAN, and the switch copies nothing of it: it is heard where it is.
    let mut frames = net.listen(&nic(11)).expect("an interface");
    hear("an end of a wire", frames.as_mut());
    let nobody = lab.fabric.ensure_mirror(&to, &[nic(77)], 7.try_into().expect("vlan")).expect_err("nothing to hear");
    assert!(nobody.text().contains("none of the ports"), "{nobody}");
}

#[test]
fn tags_of_guests_are_in_what_is_heard() {
    let Some(lab) = lab() else { return };
    let (one, two) = (tagging(&lab, 1, 7, 5), tagging(&lab, 2, 7, 5));
    lab.fabric.ensure_segment(&SwitchLink { transparent: true, ..link(1, 7, &[1, 2]) }).expect("link");
    assert!(one.reaches(&two));
    let state = tempfile::tempdir().expect("dir");
    let net = LinuxNet::new(utf8(state.path()));
    let to: IfName = if_name(IfKind::Capture, &id(91));
    lab.fabric.ensure_mirror(&to, &[nic(1)], 7.try_into().expect("vlan")).expect("mirror");
    let mut frames = net.listen(&to).expect("an interface");
    assert!(one.reaches(&two));
    // Priority and flag bits aside.
    let is_tagged =
        |f: &Captured| f.bytes.get(12..14) == Some(&[0x81, 0]) && f.bytes.get(14..16).is_some_and(|t| t[0] & 0xf == 0 && t[1] == 5);
    let (until, mut heard) = (Instant::now() + Duration::from_secs(10), Vec::new());
    while Instant::now() < until && !heard.iter().any(|f: &Captured| is_tagged(f) && f.bytes.get(16..18) == Some(&[8, 0])) {
        heard.extend(frames.next(Duration::from_millis(100)).expect("heard"));
    }
    let of_ip = |f: &&Captured| f.bytes.get(27) == Some(&1);
    let ping = heard.iter().find(|f| is_tagged(f) && f.bytes.get(16..18) == Some(&[8, 0])).unwrap_or_else(|| panic!("{heard:?}"));
    assert!(of_ip(&ping) && ping.length == ping.bytes.len(), "{ping:?}");
    lab.fabric.remove_mirror(&to).expect("removed");
}
