//! The segments of the switch: which link is which VLAN, who is on it.

use std::collections::HashSet;

use axum::extract::State;
use serde::Serialize;

use crate::{
    api::{
        Ctx,
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{
        id::IfName,
        segment::{Segment, SegmentOwner, SegmentState},
        tunnel::Tunnel,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wire {
    pub id: String,
    pub link: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf: Option<String>,
    pub vlan: u16,
    state: &'static str,
    /// The host's own.
    addresses: Vec<String>,
    networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_network: Option<String>,
    /// Where that is a tunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Through>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    dhcp: bool,
    nat: bool,
    pub stations: Vec<Station>,
}

/// The way of a link to its remote ends.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Through {
    r#type: &'static str,
    remotes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vni: Option<u32>,
}

impl Through {
    /// `None`: it leads through no tunnel.
    pub fn of(s: &Segment, tunnels: &[Tunnel]) -> Option<Through> {
        let t = tunnels.iter().find(|t| s.profile.physical.as_ref() == Some(&t.name))?;
        let remotes = t.remotes.iter().map(ToString::to_string).collect();
        Some(Through { r#type: t.kind.word(), remotes, vni: t.key(s.profile.segmentation) })
    }
}

#[derive(Serialize)]
pub struct Station {
    pub port: String,
    vnf: String,
    hostname: String,
    mac: String,
    addresses: Vec<String>,
    /// Of a trunk: the tag on the guest's NIC under which the link comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<u16>,
    /// An end of a wire: on no link, chains alone lead there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    wire: bool,
}

impl From<&Segment> for Wire {
    fn from(s: &Segment) -> Self {
        let (ns, vnf) = match s.owner {
            SegmentOwner::Ns(id) => (Some(id.to_string()), None),
            SegmentOwner::Vnf(id) => (None, Some(id.to_string())),
        };
        Wire {
            id: s.id.to_string(),
            link: s.link.to_string(),
            ns,
            vnf,
            vlan: s.vlan.get(),
            state: match s.state {
                SegmentState::Wanted => "ACTIVE",
                SegmentState::Leaving => "LEAVING",
            },
            addresses: s.host.iter().map(ToString::to_string).collect(),
            networks: s.profile.layer3.iter().map(|l| l.cidr.network().to_string()).collect(),
            interface: s.wants_host_port().then(|| s.host_port().as_str().to_owned()),
            physical_network: s.profile.physical.as_ref().map(ToString::to_string),
            tunnel: None,
            mtu: s.profile.mtu,
            dhcp: s.wants_dhcp(),
            nat: s.profile.nat,
            stations: s
                .stations
                .iter()
                .filter(|st| !st.is_kept())
                .map(|st| Station {
                    port: st.port.to_string(),
                    vnf: st.vnf.to_string(),
                    hostname: st.hostname.to_string(),
                    mac: st.mac.to_string(),
                    addresses: st.addresses.iter().map(ToString::to_string).collect(),
                    tag: st.access.within.map(|(_, tag)| tag.get()),
                    wire: false,
                })
                .collect(),
        }
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Wire>>> {
    let of = |s: &Segment, wires: &HashSet<IfName>, tunnels: &[Tunnel]| {
        let mut wire = Wire { tunnel: Through::of(s, tunnels), ..Wire::from(s) };
        for (shown, st) in wire.stations.iter_mut().zip(s.stations.iter().filter(|st| !st.is_kept())) {
            shown.wire = wires.contains(&st.nic());
        }
        wire
    };
    let all = s.domain(move |n| {
        let links = n.vnfm().links();
        let (wires, tunnels) = (links.wires()?, links.fabric().tunnels());
        Ok(n.caller().seen(n.vnfm().store().list::<Segment>()?).iter().map(|s| of(s, &wires, &tunnels)).collect())
    });
    Ok(Json(all.await?))
}
