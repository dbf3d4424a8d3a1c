//! Before an interface of the box knew how its way out is proved.

use std::net::IpAddr;

use serde::Deserialize;
use smol_str::SmolStr;

use crate::model::{
    hostnet::{self, Device, NetUndone, Way},
    net::VlanId,
};

#[derive(Deserialize)]
pub struct HostNetRecord {
    kept: Option<HostNetwork>,
    trial: Option<NetTrial>,
    undone: Option<NetUndone>,
}

#[derive(Deserialize)]
struct HostNetwork {
    interfaces: Vec<HostInterface>,
    dns: Vec<IpAddr>,
    domains: Vec<SmolStr>,
    ntp: Vec<SmolStr>,
}

#[derive(Deserialize)]
struct HostInterface {
    device: Device,
    vlan: Option<VlanId>,
    mtu: Option<u16>,
    v4: Way,
    v6: Way,
}

#[derive(Deserialize)]
struct NetTrial {
    wanted: Option<HostNetwork>,
    boot: SmolStr,
    began_s: u64,
    limit_s: u32,
    by: SmolStr,
}

impl From<HostNetRecord> for hostnet::HostNetRecord {
    fn from(o: HostNetRecord) -> Self {
        hostnet::HostNetRecord { kept: o.kept.map(Into::into), trial: o.trial.map(Into::into), undone: o.undone }
    }
}

impl From<HostNetwork> for hostnet::HostNetwork {
    fn from(o: HostNetwork) -> Self {
        hostnet::HostNetwork { interfaces: o.interfaces.into_iter().map(Into::into).collect(), dns: o.dns, domains: o.domains, ntp: o.ntp }
    }
}

impl From<HostInterface> for hostnet::HostInterface {
    fn from(o: HostInterface) -> Self {
        hostnet::HostInterface { device: o.device, vlan: o.vlan, mtu: o.mtu, v4: o.v4, v6: o.v6, probe: None }
    }
}

impl From<NetTrial> for hostnet::NetTrial {
    fn from(o: NetTrial) -> Self {
        hostnet::NetTrial { wanted: o.wanted.map(Into::into), boot: o.boot, began_s: o.began_s, limit_s: o.limit_s, by: o.by }
    }
}
