//! The box's own network: management and uplinks, as they should be, and a change of it that has to be confirmed.
//!
//! ```text
//! nothing said --try--> ON_TRIAL --confirmed--> KEPT          KEPT --try--> ON_TRIAL ...
//!                          +--- not confirmed in time, called off, or the box restarted: as it was before
//! ```
//! Owns the one transition function. Never: files, and what a network daemon makes of them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::IfName,
    net::{Cidr, MacAddr, VlanId},
    time::Stamp,
    uplink::{Family, Probe},
};

/// What the box's own interfaces should be. Networks of guests are not among it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostNetwork {
    /// In the order in which they are taken as the way out. Wired ports that are not named get no address.
    pub interfaces: Vec<HostInterface>,
    pub dns: Vec<IpAddr>,
    /// In which short names are looked up.
    pub domains: Vec<SmolStr>,
    pub ntp: Vec<SmolStr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInterface {
    pub device: Device,
    pub vlan: Option<VlanId>,
    pub mtu: Option<u16>,
    pub v4: Way,
    pub v6: Way,
    /// How its way out is proved; without one it is well as long as it has a default route.
    pub probe: Option<Probe>,
}

impl HostInterface {
    pub fn way(&self, family: Family) -> &Way {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

/// Which port of the box.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Device {
    Name(IfName),
    Mac(MacAddr),
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Device::Name(n) => n.fmt(f),
            Device::Mac(m) => m.fmt(f),
        }
    }
}

/// How an interface comes to its addresses of one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    Off,
    /// IPv4: DHCP. IPv6: router advertisements, and DHCPv6 where these say so.
    Auto,
    Static {
        addresses: Vec<Cidr>,
        gateway: Option<IpAddr>,
    },
}

impl Way {
    /// It may lead out of the box.
    pub fn leads_out(&self) -> bool {
        match self {
            Way::Off => false,
            Way::Auto => true,
            Way::Static { gateway, .. } => gateway.is_some(),
        }
    }
}

/// What is remembered of it. There is one or none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostNetRecord {
    /// `None`: nobody has said anything, and the system's own files count.
    pub kept: Option<HostNetwork>,
    pub trial: Option<NetTrial>,
    /// The last change that did not stay.
    pub undone: Option<NetUndone>,
}

/// A change that counts now, and is undone unless somebody confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetTrial {
    /// `None`: back to the system's own files.
    pub wanted: Option<HostNetwork>,
    /// The boot it was made in, and when in it, in seconds.
    pub boot: SmolStr,
    pub began_s: u64,
    pub limit_s: u32,
    pub by: SmolStr,
}

impl NetTrial {
    /// Seconds left; `None`: this is another boot.
    pub fn left_s(&self, boot: &str, uptime_s: u64) -> Option<u64> {
        (self.boot == boot).then(|| u64::from(self.limit_s).saturating_sub(uptime_s.saturating_sub(self.began_s)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetUndone {
    pub at: Stamp,
    pub why: String,
}

/// What befalls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetEvent {
    Tried(NetTrial),
    Confirmed,
    Undone(NetUndone),
}

impl HostNetRecord {
    /// What counts now.
    pub fn current(&self) -> Option<&HostNetwork> {
        self.trial.as_ref().map_or(self.kept.as_ref(), |t| t.wanted.as_ref())
    }

    /// The one transition function.
    pub fn next(&self, event: NetEvent) -> Result<HostNetRecord> {
        match (&self.trial, event) {
            (None, NetEvent::Tried(t)) => Ok(HostNetRecord { trial: Some(t), ..self.clone() }),
            (Some(t), NetEvent::Tried(_)) => Err(Fault::conflict(format!(
                "a change of the network by {} waits to be confirmed: confirm it or undo it first (bothy host network)",
                t.by
            ))),
            (Some(t), NetEvent::Confirmed) => Ok(HostNetRecord { kept: t.wanted.clone(), trial: None, undone: None }),
            (Some(_), NetEvent::Undone(why)) => Ok(HostNetRecord { kept: self.kept.clone(), trial: None, undone: Some(why) }),
            (None, NetEvent::Confirmed | NetEvent::Undone(_)) => {
                let last = self.undone.as_ref().map(|u| format!("; the last one was undone: {}", u.why));
                Err(Fault::conflict(format!("no change of the network waits to be confirmed{}", last.unwrap_or_default())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(wanted: Option<HostNetwork>) -> NetTrial {
        NetTrial { wanted, boot: "b".into(), began_s: 100, limit_s: 60, by: "ada".into() }
    }

    #[test]
    fn each_event_in_each_state_is_taken_or_refused_with_the_reason() {
        let net = |d: &str| Some(HostNetwork { domains: vec![d.into()], ..HostNetwork::default() });
        let undone = NetUndone { at: Stamp(1), why: "not confirmed within 60 s".into() };
        let kept = HostNetRecord { kept: net("old"), ..HostNetRecord::default() };
        let tried = kept.next(NetEvent::Tried(trial(net("new")))).expect("tried");
        assert_eq!((tried.current(), &tried.kept), (net("new").as_ref(), &net("old")));
        let e = tried.next(NetEvent::Tried(trial(None))).expect_err("two");
        assert!(e.text().contains("ada"), "{e}");
        let stays = tried.next(NetEvent::Confirmed).expect("confirmed");
        assert_eq!((stays.current(), &stays.trial), (net("new").as_ref(), &None));
        let back = tried.next(NetEvent::Undone(undone.clone())).expect("undone");
        assert_eq!((back.current(), &back.undone), (net("old").as_ref(), &Some(undone.clone())));
        for event in [NetEvent::Confirmed, NetEvent::Undone(undone)] {
            let e = back.next(event).expect_err("nothing waits");
            assert!(e.text().contains("not confirmed within 60 s"), "{e}");
        }
        let none = kept.next(NetEvent::Tried(trial(None))).expect("back to the system's");
        assert_eq!(none.current(), None);
        assert_eq!(none.next(NetEvent::Confirmed).expect("kept"), HostNetRecord::default());
    }

    #[test]
    fn time_is_counted_in_the_boot_it_was_made_in() {
        let t = trial(None);
        assert_eq!((t.left_s("b", 100), t.left_s("b", 130), t.left_s("b", 900)), (Some(60), Some(30), Some(0)));
        assert_eq!(t.left_s("another", 130), None);
    }
}
