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
        ns::{NsInstance, NsPnf, NsPnfCp},
        segment::{Segment, SegmentOwner, SegmentState},
        tunnel::{RemoteEnd, Tunnel},
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
    /// Physical boxes behind its physical network.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pnfs: Vec<Plug>,
}

/// Where a physical box of a service is plugged in.
#[derive(Serialize)]
struct Plug {
    ns: String,
    id: String,
    name: String,
    cp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    addresses: Vec<String>,
}

fn plug(ns: &NsInstance, p: &NsPnf, cp: &NsPnfCp) -> Plug {
    Plug {
        ns: ns.id.to_string(),
        id: p.id.to_string(),
        name: p.name.to_string(),
        cp: cp.cp.to_string(),
        mac: cp.mac.map(|m| m.to_string()),
        addresses: cp.addresses.iter().map(ToString::to_string).collect(),
    }
}

/// The way of a link to its remote ends.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Through {
    r#type: &'static str,
    remotes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vni: Option<u32>,
    /// Remote ends that do not answer, where they are watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<Vec<String>>,
}

impl Through {
    /// `None`: it leads through no tunnel.
    pub fn of(s: &Segment, tunnels: &[Tunnel]) -> Option<Through> {
        let t = tunnels.iter().find(|t| s.profile.physical.as_ref() == Some(&t.name))?;
        let remotes = t.remotes.iter().map(ToString::to_string).collect();
        Some(Through { r#type: t.kind.word(), remotes, vni: t.key(s.profile.segmentation), silent: None })
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
            pnfs: Vec::new(),
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
        let store = n.vnfm().store();
        let (services, ends) = (store.list::<NsInstance>()?, links.fabric().remotes().unwrap_or_default());
        let all = n.caller().seen(store.list::<Segment>()?);
        let shown = all.iter().map(|s| {
            let mut wire = of(s, &wires, &tunnels);
            let boxes = services.iter().flat_map(|ns| ns.pnfs.iter().map(move |p| (ns, p)));
            let plugs = boxes.flat_map(|(ns, p)| p.cps.iter().filter(|cp| cp.segment == Some(s.id)).map(move |cp| plug(ns, p, cp)));
            wire.pnfs = plugs.collect();
            let watched: Vec<&RemoteEnd> = ends.iter().filter(|e| e.known && e.segment == s.id).collect();
            if let Some(t) = wire.tunnel.as_mut().filter(|_| !watched.is_empty()) {
                t.silent = Some(watched.iter().filter(|e| e.silent.is_some()).map(|e| e.remote.to_string()).collect());
            }
            wire
        });
        Ok(shown.collect())
    });
    Ok(Json(all.await?))
}
