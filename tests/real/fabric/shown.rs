//! What the support archive shows of the switch.

use bothy::{
    host::net::LinuxNet,
    ovs::BRIDGE,
    sdn::{link::SwitchLink, port::Fabric},
    vim::port::HostNet,
};

use super::lab::*;
use crate::kit::{eventually, utf8};

#[test]
fn flows_groups_and_meters_of_the_switch_are_in_the_support_archive() {
    let Some(lab) = Lab::start() else { return };
    let _two = (lab.guest(1, 7), lab.guest(2, 7));
    lab.fabric.ensure_segment(&SwitchLink { limit: Some(8_000_000), ..link(1, 7, &[1, 2]) }).expect("link");
    let state = tempfile::tempdir().expect("dir");
    let net = LinuxNet::new(utf8(state.path()));
    // Groups are whoever else's is on the switch: there are none here.
    for (what, says) in [("flows", "cookie=0xb0"), ("groups", "GROUP_DESC reply"), ("meters", "meter=")] {
        let name = format!("switch/{what}-{BRIDGE}.txt");
        eventually(&name, || {
            let all = net.facts(utf8(&lab.ovs.socket()));
            let (_, text) = all.iter().find(|(n, _)| *n == name).expect("asked for");
            text.as_ref().is_ok_and(|t| t.contains(says))
        });
    }
}
