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
    dhcp: bool,
    nat: bool,
    stations: Vec<Station>,
}

#[derive(Serialize)]
struct Station {
    port: String,
    vnf: String,
    hostname: String,
    mac: String,
    addresses: Vec<String>,
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
                    wire: false,
                })
                .collect(),
        }
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Wire>>> {
    let of = |s: &Segment, wires: &HashSet<IfName>| {
        let mut wire = Wire::from(s);
        for (shown, st) in wire.stations.iter_mut().zip(s.stations.iter().filter(|st| !st.is_kept())) {
            shown.wire = wires.contains(&st.nic());
        }
        wire
    };
    let all = s.domain(move |n| {
        let wires = n.vnfm().links().wires()?;
        Ok(n.caller().seen(n.vnfm().store().list::<Segment>()?).iter().map(|s| of(s, &wires)).collect())
    });
    Ok(Json(all.await?))
}
