//! Tunnels to other boxes and gateways, under the names that links know them by.
//!
//! Owns: what a tunnel must say of itself, how its links are told apart out there, and how much room it leaves a
//! frame. Never: whether anybody answers there.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::id::SegmentId;

/// How frames are put into packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TunnelKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

impl TunnelKind {
    pub const ALL: [TunnelKind; 2] = [TunnelKind::Vxlan, TunnelKind::Geneve];

    /// As configuration and Open vSwitch have it.
    pub fn word(self) -> &'static str {
        match self {
            TunnelKind::Vxlan => "vxlan",
            TunnelKind::Geneve => "geneve",
        }
    }
    /// The UDP port that IANA gave it.
    pub fn usual_port(self) -> u16 {
        match self {
            TunnelKind::Vxlan => 4789,
            TunnelKind::Geneve => 6081,
        }
    }
}

/// Remote ends that a link may be at, by one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tunnel {
    pub name: SmolStr,
    pub kind: TunnelKind,
    /// At least one, all of one family. A frame that comes from one of them goes to none of the others.
    pub remotes: Vec<IpAddr>,
    /// Where packets come from; else the host's routes say.
    pub local: Option<IpAddr>,
    /// Identifies the link out there that has no `segmentation_id` of its own.
    pub vni: Option<u32>,
    pub dst_port: u16,
    /// Bytes of IP that the networks between carry whole.
    pub mtu: u16,
    /// The remote ends speak BFD (RFC 5880) too: one that does not answer is known.
    pub bfd: bool,
}

/// A remote end that is watched, as one link reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEnd {
    pub tunnel: SmolStr,
    pub remote: IpAddr,
    pub segment: SegmentId,
    /// Nothing is heard of one yet, neither well nor ill, that has not been asked for long enough.
    pub known: bool,
    /// Why it is taken for silent, if it is.
    pub silent: Option<String>,
}

/// What somebody wrote of a tunnel.
#[derive(Debug, Clone, Default)]
pub struct TunnelDraft {
    pub name: SmolStr,
    pub kind: SmolStr,
    pub remotes: Vec<SmolStr>,
    pub local: Option<SmolStr>,
    pub vni: Option<u64>,
    pub dst_port: Option<u64>,
    pub mtu: Option<u64>,
    pub bfd: Option<bool>,
}

/// Each remote end is a port of the switch, named by one more letter or digit.
const MOST_REMOTES: usize = 16;
const VNI_BITS: u32 = 24;
const ETHERNET_MTU: u16 = 1500;

impl TunnelDraft {
    /// The tunnel, or all that is wrong with it: member and what.
    pub fn check(self) -> Result<Tunnel, Vec<(&'static str, String)>> {
        let mut wrong = Vec::new();
        let mut no = |member, text: String| wrong.push((member, text));
        let kind = TunnelKind::ALL.into_iter().find(|k| k.word() == self.kind);
        if kind.is_none() {
            no("type", format!("'{}' is none of {}", self.kind, TunnelKind::ALL.map(TunnelKind::word).join(", ")));
        }
        if self.name.is_empty() {
            no("name", "is empty: links know the tunnel by it".into());
        }
        let mut remotes: Vec<IpAddr> = Vec::new();
        for text in &self.remotes {
            match text.parse::<IpAddr>() {
                Ok(a) if remotes.contains(&a) => no("remotes", format!("{a} is named twice")),
                Ok(a) if !is_unicast(a) => no("remotes", format!("{a} is not the address of one station")),
                Ok(a) => remotes.push(a),
                Err(_) => no("remotes", format!("'{text}' is not an IP address")),
            }
        }
        if self.remotes.is_empty() || self.remotes.len() > MOST_REMOTES {
            no("remotes", format!("there are {}, and a tunnel has 1 to {MOST_REMOTES} remote ends", self.remotes.len()));
        }
        let local = self.local.as_ref().and_then(|text| match text.parse::<IpAddr>() {
            Ok(a) if is_unicast(a) => Some(a),
            Ok(_) | Err(_) => {
                no("local", format!("'{text}' is not an address of this box"));
                None
            }
        });
        if let Some(own) = local.filter(|l| remotes.contains(l)) {
            no("remotes", format!("{own} is this box's own (local)"));
        }
        let four = |a: &IpAddr| a.is_ipv4();
        if remotes.iter().chain(&local).any(four) && !remotes.iter().chain(&local).all(four) {
            no("remotes", "IPv4 and IPv6 are mixed: all ends of a tunnel are of one family".into());
        }
        let vni = self.vni.map(|v| u32::try_from(v).ok().filter(|v| (1..1 << VNI_BITS).contains(v)));
        if vni == Some(None) {
            no("vni", format!("is not in 1 to {}", (1 << VNI_BITS) - 1));
        }
        let port = self.dst_port.map(|p| u16::try_from(p).ok().filter(|p| *p > 0));
        if port == Some(None) {
            no("dst_port", "is no UDP port: 1 to 65535".into());
        }
        let mtu = self.mtu.map(|m| u16::try_from(m).ok().filter(|m| (1280..=9216).contains(m)));
        if mtu == Some(None) {
            no("mtu", "is not in 1280 to 9216".into());
        }
        match kind.filter(|_| wrong.is_empty()) {
            Some(kind) => Ok(Tunnel {
                name: self.name,
                kind,
                remotes,
                local,
                vni: vni.flatten(),
                dst_port: port.flatten().unwrap_or(kind.usual_port()),
                mtu: mtu.flatten().unwrap_or(ETHERNET_MTU),
                bfd: self.bfd.unwrap_or(false),
            }),
            None => Err(wrong),
        }
    }
}

fn is_unicast(a: IpAddr) -> bool {
    let broadcast = matches!(a, IpAddr::V4(v4) if v4.is_broadcast());
    !(a.is_multicast() || a.is_unspecified() || broadcast)
}

impl Tunnel {
    /// What identifies a link out there, with the `segmentation_id` of its descriptor.
    pub fn key(&self, said: Option<u16>) -> Option<u32> {
        said.map(u32::from).or(self.vni)
    }

    /// Bytes of each packet that the tunnel takes: Ethernet of the frame (with a tag of its own where those pass),
    /// the tunnel's header (8 in either kind, without Geneve's options), UDP and IP.
    pub fn overhead(&self, tagged: bool) -> u16 {
        let ip = if self.remotes.iter().all(IpAddr::is_ipv4) { 20 } else { 40 };
        14 + 8 + 8 + ip + if tagged { 4 } else { 0 }
    }

    /// The largest MTU of a link that comes through whole.
    pub fn room(&self, tagged: bool) -> u16 {
        self.mtu - self.overhead(tagged)
    }

    /// Frames of both would come to the same place with nothing to tell them apart.
    pub fn meets(&self, other: &Tunnel) -> bool {
        (self.kind, self.dst_port) == (other.kind, other.dst_port)
            && (self.local == other.local || self.local.is_none() || other.local.is_none())
            && self.remotes.iter().any(|r| other.remotes.contains(r))
    }

    /// For people: `vxlan to 192.0.2.7`.
    pub fn text(&self) -> String {
        let all: Vec<String> = self.remotes.iter().map(ToString::to_string).collect();
        format!("{} to {}", self.kind.word(), all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> TunnelDraft {
        TunnelDraft { name: "hq".into(), kind: "vxlan".into(), remotes: vec!["192.0.2.7".into()], ..TunnelDraft::default() }
    }

    #[test]
    fn a_tunnel_says_where_it_goes_and_the_rest_is_usual() {
        let t = draft().check().expect("sound");
        assert_eq!((t.dst_port, t.mtu, t.key(None), t.key(Some(5))), (4789, 1500, None, Some(5)));
        assert_eq!((t.room(false), t.room(true)), (1450, 1446));
        let six = TunnelDraft { remotes: vec!["2001:db8::7".into()], vni: Some(70_000), kind: "geneve".into(), ..draft() };
        let six = six.check().expect("sound");
        assert_eq!((six.dst_port, six.room(false), six.key(None)), (6081, 1430, Some(70_000)));
        assert!(!t.meets(&six) && t.meets(&Tunnel { name: "other".into(), ..t.clone() }));
    }

    #[test]
    fn all_that_is_wrong_with_one_is_told_at_once() {
        let all = TunnelDraft {
            name: "".into(),
            kind: "gre".into(),
            remotes: vec!["hq.example".into(), "224.0.0.1".into(), "192.0.2.7".into(), "192.0.2.7".into(), "2001:db8::1".into()],
            local: Some("0.0.0.0".into()),
            vni: Some(1 << 24),
            dst_port: Some(0),
            mtu: Some(600),
            bfd: None,
        };
        let members: Vec<&str> = all.check().expect_err("nothing is right").iter().map(|(m, _)| *m).collect();
        assert_eq!(members, ["type", "name", "remotes", "remotes", "remotes", "local", "remotes", "vni", "dst_port", "mtu"]);
        assert_eq!(TunnelDraft { remotes: Vec::new(), ..draft() }.check().expect_err("nowhere").len(), 1);
    }
}
