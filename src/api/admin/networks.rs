//! The segments of the switch: which link is which VLAN, who is on it.

use axum::{Json, extract::State};
use serde::Serialize;

use crate::{
    api::{Ctx, problem::Answer, respond::NoQuery},
    model::segment::{Segment, SegmentOwner, SegmentState},
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
                .map(|st| Station {
                    port: st.port.to_string(),
                    vnf: st.vnf.to_string(),
                    hostname: st.hostname.to_string(),
                    mac: st.mac.to_string(),
                    addresses: st.addresses.iter().map(ToString::to_string).collect(),
                })
                .collect(),
        }
    }
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Wire>>> {
    let all = s.domain(|n| n.vnfm().store().list::<Segment>()).await?;
    Ok(Json(all.iter().map(Wire::from).collect()))
}
