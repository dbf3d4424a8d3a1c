//! The box's own network.

use super::Golden;
use crate::model::{
    hostnet::{Device, HostInterface, HostNetRecord, HostNetwork, NetTrial, NetUndone, Way},
    net::{MacAddr, VlanId},
    time::Stamp,
    uplink::{Probe, ProbeTarget},
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
        probe: None,
    };
    let by_mac =
        HostInterface { device: Device::Mac(MacAddr::planned(7)), vlan: None, mtu: None, v4: Way::Auto, v6: Way::Auto, probe: None };
    let kept = HostNetwork {
        interfaces: vec![named, by_mac.clone()],
        dns: vec!["2001:db8::53".parse().expect("address")],
        domains: vec!["example.net".into()],
        ntp: vec!["time.example.net".into()],
    };
    let trial = NetTrial { wanted: None, boot: "4f".into(), began_s: 300, limit_s: 120, by: "ada".into() };
    let undone = NetUndone { at: Stamp(12), why: "nobody confirmed it within 120 s".into() };
    let to = |a: &str| a.parse().expect("address");
    let targets = vec![
        ProbeTarget::Ping(to("2001:db8::1")),
        ProbeTarget::Tcp { to: to("192.0.2.7"), port: 443 },
        ProbeTarget::Dns { server: to("192.0.2.53"), name: "example.net".into() },
    ];
    let probed = HostInterface { probe: Some(Probe { targets, need: 2, interval_s: 300, misses: 3, hits: 5 }), ..by_mac };
    let of = HostNetwork { interfaces: vec![probed], ..HostNetwork::default() };
    g.check("hostnet-probed", &HostNetRecord { kept: Some(of), ..HostNetRecord::default() });
    g.check("hostnet", &HostNetRecord { kept: Some(kept), trial: Some(trial), undone: Some(undone) });
}
