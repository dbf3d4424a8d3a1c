//! The box's own network.

use super::Golden;
use crate::model::{
    hostnet::{Device, HostInterface, HostNetRecord, HostNetwork, NetTrial, NetUndone, Way},
    net::{MacAddr, VlanId},
    time::Stamp,
};

pub(super) fn check(g: &Golden) {
    let fixed =
        Way::Static { addresses: vec!["192.0.2.10/24".parse().expect("address")], gateway: Some("192.0.2.1".parse().expect("address")) };
    let named = HostInterface {
        device: Device::Name("enp1s0".parse().expect("name")),
        vlan: Some(VlanId::try_from(42).expect("VLAN")),
        mtu: Some(1400),
        v4: fixed,
        v6: Way::Off,
    };
    let by_mac = HostInterface { device: Device::Mac(MacAddr::planned(7)), vlan: None, mtu: None, v4: Way::Auto, v6: Way::Auto };
    let kept = HostNetwork {
        interfaces: vec![named, by_mac],
        dns: vec!["2001:db8::53".parse().expect("address")],
        domains: vec!["example.net".into()],
        ntp: vec!["time.example.net".into()],
    };
    let trial = NetTrial { wanted: None, boot: "4f".into(), began_s: 300, limit_s: 120, by: "ada".into() };
    let undone = NetUndone { at: Stamp(12), why: "nobody confirmed it within 120 s".into() };
    g.check("hostnet", &HostNetRecord { kept: Some(kept), trial: Some(trial), undone: Some(undone) });
}
