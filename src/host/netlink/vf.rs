//! What a PF does for its VFs, by netlink (`IFLA_VFINFO_LIST`, rtnetlink(7)).
//!
//! Owns the reading and setting of one VF's MAC, VLAN, rates, trust and spoof check. Never: drivers,
//! or how many VFs there are.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{
        LinkAttribute, LinkExtentMask, LinkMessage, LinkVfInfo, VfInfo, VfInfoMac, VfInfoRate, VfInfoSpoofCheck, VfInfoTrust, VfInfoVlan,
    },
};
use nix::errno::Errno;

use super::{Netlink, refused};
use crate::model::{
    error::{Fault, Result},
    host::{Mbps, VfConf},
    id::IfName,
    net::{MacAddr, VlanId},
};

impl Netlink {
    /// The VFs of the PF with this interface, by index.
    pub fn vfs(&mut self, pf: &IfName) -> Result<Vec<(u16, VfConf)>> {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::IfName(pf.to_string()));
        m.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::Vf, LinkExtentMask::SkipStats]));
        let what = || format!("look up the VFs of {pf}");
        let answers = self.ask(RouteNetlinkMessage::GetLink(m), NLM_F_REQUEST).map_err(|e| match e {
            Errno::ENODEV => Fault::transient(format!("{}: there is no such interface", what())),
            e => refused(&what(), e),
        })?;
        let lists = answers.iter().filter_map(|a| if let RouteNetlinkMessage::NewLink(l) = a { Some(&l.attributes) } else { None });
        let vfs = lists.flatten().filter_map(|a| if let LinkAttribute::VfInfoList(all) = a { Some(all) } else { None });
        let mut all: Vec<(u16, VfConf)> = vfs.flatten().filter_map(read).collect();
        all.sort_by_key(|(index, _)| *index);
        Ok(all)
    }

    /// Sets what differs between `now` and `want`, each by itself: drivers know different ones, and a
    /// refusal names the one that was refused.
    pub fn set_vf(&mut self, pf: &IfName, index: u16, now: &VfConf, want: &VfConf) -> Result<()> {
        for (what, change) in changes(u32::from(index), now, want) {
            let link = self.link(pf)?.ok_or_else(|| Fault::transient(format!("interface {pf} is not there")))?;
            let mut m = LinkMessage::default();
            m.header.index = link.index;
            m.attributes.push(LinkAttribute::VfInfoList(vec![LinkVfInfo(vec![change])]));
            let what = || format!("VF {index} of {pf}: set {what}");
            match self.ask(RouteNetlinkMessage::SetLink(m), NLM_F_REQUEST | NLM_F_ACK) {
                Ok(_) => {}
                Err(Errno::EOPNOTSUPP) => return Err(Fault::invalid(format!("{}: its driver cannot", what()))),
                Err(e) => return Err(refused(&what(), e)),
            }
        }
        Ok(())
    }
}

/// Trust first: some drivers take a MAC of the PF's choice only then. No MAC is the zero address.
fn changes(id: u32, now: &VfConf, want: &VfConf) -> Vec<(String, VfInfo)> {
    let mut all = Vec::new();
    if now.trust != want.trust {
        all.push((format!("trust {}", on(want.trust)), VfInfo::Trust(VfInfoTrust::new(id, want.trust))));
    }
    if now.mac != want.mac {
        let octets = want.mac.map_or([0; 6], MacAddr::octets);
        let text = want.mac.map_or("no MAC".into(), |m| format!("MAC {m}"));
        all.push((text, VfInfo::Mac(VfInfoMac::new(id, &octets))));
    }
    if now.vlan != want.vlan {
        let text = want.vlan.map_or("no VLAN".into(), |v| format!("VLAN {v}"));
        all.push((text, VfInfo::Vlan(VfInfoVlan::new(id, want.vlan.map_or(0, |v| u32::from(v.get())), 0))));
    }
    if now.spoof_check != want.spoof_check {
        all.push((format!("spoof check {}", on(want.spoof_check)), VfInfo::SpoofCheck(VfInfoSpoofCheck::new(id, want.spoof_check))));
    }
    if (now.min_rate, now.max_rate) != (want.min_rate, want.max_rate) {
        let text = format!("rates of {} to {}", want.min_rate, want.max_rate);
        all.push((text, VfInfo::Rate(VfInfoRate::new(id, want.min_rate.0, want.max_rate.0))));
    }
    all
}

fn on(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}

fn read(vf: &LinkVfInfo) -> Option<(u16, VfConf)> {
    let mut index = None;
    let mut conf = VfConf::default();
    for info in &vf.0 {
        match info {
            VfInfo::Mac(m) => {
                index = u16::try_from(m.vf_id).ok();
                let octets: Option<[u8; 6]> = m.mac.get(..6).and_then(|o| o.try_into().ok());
                conf.mac = octets.and_then(|o| MacAddr::new(o).ok());
            }
            VfInfo::Vlan(v) => conf.vlan = u16::try_from(v.vlan_id).ok().and_then(|v| VlanId::try_from(v).ok()),
            VfInfo::Rate(r) => (conf.min_rate, conf.max_rate) = (Mbps(r.min_tx_rate), Mbps(r.max_tx_rate)),
            VfInfo::SpoofCheck(s) => conf.spoof_check = s.enabled,
            VfInfo::Trust(t) => conf.trust = t.enabled,
            _ => {}
        }
    }
    Some((index?, conf))
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable;

    use super::*;

    fn conf() -> VfConf {
        VfConf {
            mac: Some(MacAddr::planned(7)),
            vlan: VlanId::try_from(42).ok(),
            trust: true,
            spoof_check: false,
            min_rate: Mbps(0),
            max_rate: Mbps(1000),
        }
    }

    #[test]
    fn what_is_set_is_what_would_be_read() {
        let all = changes(3, &VfConf { spoof_check: true, ..VfConf::default() }, &conf());
        assert_eq!(
            all.iter().map(|(t, _)| t.as_str()).collect::<Vec<_>>(),
            ["trust on", "MAC 52:54:00:00:00:07", "VLAN 42", "spoof check off", "rates of 0 Mbit/s to 1000 Mbit/s"]
        );
        let info = LinkVfInfo(all.into_iter().map(|(_, i)| i).collect());
        assert_eq!(read(&info), Some((3, conf())));
        assert!(changes(3, &conf(), &conf()).is_empty(), "what is so is not set");
        let back = changes(3, &conf(), &VfConf { spoof_check: true, ..VfConf::default() });
        assert_eq!(read(&LinkVfInfo(back.into_iter().map(|(_, i)| i).collect())).expect("read").1.mac, None);
    }

    /// `struct ifla_vf_vlan` in an `IFLA_VF_VLAN` in an `IFLA_VF_INFO`, as linux/if_link.h has them.
    #[test]
    fn the_bytes_are_the_kernels() {
        let set = changes(1, &VfConf::default(), &VfConf { vlan: VlanId::try_from(42).ok(), ..VfConf::default() });
        let m = LinkAttribute::VfInfoList(vec![LinkVfInfo(set.into_iter().map(|(_, i)| i).collect())]);
        let mut bytes = vec![0; m.buffer_len()];
        m.emit(&mut bytes);
        let mut want = vec![24, 0, 22, 0x80, 20, 0, 1, 0x80, 16, 0, 2, 0];
        want.extend([1, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0]);
        // The flag of nesting is optional in old kernels' eyes.
        let plain = |b: &[u8]| b.iter().map(|x| if *x == 0x80 { 0 } else { *x }).collect::<Vec<_>>();
        assert_eq!(plain(&bytes), plain(&want));
    }

    #[test]
    fn an_interface_without_vfs_has_none_and_one_that_is_not_there_is_named() {
        let mut n = Netlink::open().expect("socket");
        assert_eq!(n.vfs(&"lo".parse().expect("name")).expect("asked"), []);
        let e = n.vfs(&"no-such-link".parse().expect("name")).expect_err("none");
        assert_eq!(e.text(), "look up the VFs of no-such-link: there is no such interface");
    }
}
