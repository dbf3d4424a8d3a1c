//! What a PF does for its VFs, by netlink (`IFLA_VFINFO_LIST`, rtnetlink(7)).
//!
//! Owns the reading and setting of one VF's MAC, VLAN, rates, trust and spoof check, and the reading of its
//! link state. Never: drivers, or how many VFs there are.

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST};
use nix::{errno::Errno, libc};

use super::{
    Netlink, refused,
    wire::{Attribute, LINK_HEAD, Message},
};
use crate::model::order::Order as _;
use crate::model::{
    error::{Fault, Result},
    host::{Mbps, VfConf, VfLink, VfTold},
    id::IfName,
    net::{MacAddr, VlanId},
};

/// In `IFLA_VFINFO_LIST`, one per VF (linux/if_link.h).
const VF_INFO: u16 = 1;
/// In `VF_INFO`: each a struct that begins with the VF's number. A MAC has 32 bytes of room.
const VF_MAC: u16 = 1;
const VF_VLAN: u16 = 2;
const VF_SPOOF_CHECK: u16 = 4;
const VF_LINK_STATE: u16 = 5;
const VF_RATE: u16 = 6;
const VF_TRUST: u16 = 9;
const MAC_ROOM: usize = 32;
/// `RTEXT_FILTER_VF` and `RTEXT_FILTER_SKIP_STATS`.
const WITH_VFS: u32 = 1 | 8;

impl Netlink {
    /// The VFs of the PF with this interface, by index.
    pub fn vfs(&mut self, pf: &IfName) -> Result<Vec<VfTold>> {
        let m = Message::link(libc::RTM_GETLINK, 0, 0, 0)
            .with(Attribute::of_text(libc::IFLA_IFNAME, pf.as_str()))
            .with(Attribute::of_word(libc::IFLA_EXT_MASK, WITH_VFS));
        let what = || format!("look up the VFs of {pf}");
        let answers = self.ask(&m, NLM_F_REQUEST).map_err(|e| match e {
            Errno::ENODEV => Fault::transient(format!("{}: there is no such interface", what())),
            e => refused(&what(), e),
        })?;
        let lists = answers.iter().filter(|m| m.kind == libc::RTM_NEWLINK).flat_map(|m| m.attributes(LINK_HEAD));
        let vfs = lists.filter(|a| a.kind == libc::IFLA_VFINFO_LIST).flat_map(|a| a.inner());
        let mut all: Vec<VfTold> = vfs.filter_map(|vf| read(&vf)).collect();
        all.order_by_key(|vf| vf.index);
        Ok(all)
    }

    /// Sets what differs between `now` and `want`, each by itself: drivers know different ones, and a
    /// refusal names the one that was refused.
    pub fn set_vf(&mut self, pf: &IfName, index: u16, now: &VfConf, want: &VfConf) -> Result<()> {
        for (what, change) in changes(u32::from(index), now, want) {
            let link = self.link(pf)?.ok_or_else(|| Fault::transient(format!("interface {pf} is not there")))?;
            let m = Message::link(libc::RTM_SETLINK, link.index, 0, 0).with(list(vec![change]));
            let what = || format!("VF {index} of {pf}: set {what}");
            match self.ask(&m, NLM_F_REQUEST | NLM_F_ACK) {
                Ok(_) => {}
                Err(Errno::EOPNOTSUPP) => return Err(Fault::invalid(format!("{}: its driver cannot", what()))),
                Err(e) => return Err(refused(&what(), e)),
            }
        }
        Ok(())
    }
}

fn list(changes: Vec<Attribute>) -> Attribute {
    Attribute::nest(libc::IFLA_VFINFO_LIST, &[Attribute::nest(VF_INFO, &changes)])
}

/// Trust first: some drivers take a MAC of the PF's choice only then. No MAC is the zero address.
fn changes(id: u32, now: &VfConf, want: &VfConf) -> Vec<(String, Attribute)> {
    let mut all = Vec::new();
    if now.trust != want.trust {
        all.push((format!("trust {}", on(want.trust)), Attribute::of_words(VF_TRUST, &[id, u32::from(want.trust)])));
    }
    if now.mac != want.mac {
        let octets = want.mac.map_or([0; 6], MacAddr::octets);
        let text = want.mac.map_or("no MAC".into(), |m| format!("MAC {m}"));
        let mut mac = [id.to_ne_bytes().as_slice(), &octets].concat();
        mac.resize(size_of::<u32>() + MAC_ROOM, 0);
        all.push((text, Attribute::new(VF_MAC, mac)));
    }
    if now.vlan != want.vlan {
        let text = want.vlan.map_or("no VLAN".into(), |v| format!("VLAN {v}"));
        all.push((text, Attribute::of_words(VF_VLAN, &[id, want.vlan.map_or(0, |v| u32::from(v.get())), 0])));
    }
    if now.spoof_check != want.spoof_check {
        all.push((
            format!("spoof check {}", on(want.spoof_check)),
            Attribute::of_words(VF_SPOOF_CHECK, &[id, u32::from(want.spoof_check)]),
        ));
    }
    if (now.min_rate, now.max_rate) != (want.min_rate, want.max_rate) {
        let text = format!("rates of {} to {}", want.min_rate, want.max_rate);
        all.push((text, Attribute::of_words(VF_RATE, &[id, want.min_rate.0, want.max_rate.0])));
    }
    all
}

fn on(yes: bool) -> &'static str {
    if yes { "on" } else { "off" }
}

fn read(vf: &Attribute) -> Option<VfTold> {
    let (mut index, mut link) = (None, None);
    let mut conf = VfConf::default();
    for a in vf.inner() {
        match a.kind {
            VF_MAC => {
                index = u16::try_from(a.word(0)?).ok();
                let octets: Option<[u8; 6]> = a.value.get(4..10).and_then(|o| o.try_into().ok());
                conf.mac = octets.and_then(|o| MacAddr::new(o).ok());
            }
            VF_VLAN => conf.vlan = u16::try_from(a.word(1)?).ok().and_then(|v| VlanId::try_from(v).ok()),
            VF_RATE => (conf.min_rate, conf.max_rate) = (Mbps(a.word(1)?), Mbps(a.word(2)?)),
            // `IFLA_VF_LINK_STATE_AUTO`, `_ENABLE`, `_DISABLE`.
            VF_LINK_STATE => {
                link = match a.word(1)? {
                    0 => Some(VfLink::Auto),
                    1 => Some(VfLink::Up),
                    2 => Some(VfLink::Down),
                    _ => None,
                }
            }
            // A driver that has no such setting says all ones.
            VF_SPOOF_CHECK => conf.spoof_check = a.word(1)? == 1,
            VF_TRUST => conf.trust = a.word(1)? == 1,
            _ => {}
        }
    }
    Some(VfTold { index: index?, conf, link })
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::NetlinkSerializable as _;

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
        let info = |all: Vec<(String, Attribute)>| Attribute::nest(VF_INFO, &all.into_iter().map(|(_, a)| a).collect::<Vec<_>>());
        assert_eq!(read(&info(all)), Some(VfTold { index: 3, conf: conf(), link: None }));
        assert!(changes(3, &conf(), &conf()).is_empty(), "what is so is not set");
        let back = changes(3, &conf(), &VfConf { spoof_check: true, ..VfConf::default() });
        assert_eq!(read(&info(back)).expect("read").conf.mac, None);
    }

    #[test]
    fn a_link_state_is_read_where_it_is_one_that_is_known() {
        let mac = || Attribute::new(VF_MAC, [3u32.to_ne_bytes().as_slice(), &[0; MAC_ROOM]].concat());
        let told = |state| read(&Attribute::nest(VF_INFO, &[mac(), Attribute::of_words(VF_LINK_STATE, &[3, state])])).expect("read").link;
        assert_eq!([0, 1, 2, 3].map(told), [Some(VfLink::Auto), Some(VfLink::Up), Some(VfLink::Down), None]);
        assert_eq!(read(&Attribute::nest(VF_INFO, &[mac()])).expect("read").link, None);
    }

    /// `struct ifla_vf_vlan` in an `IFLA_VF_VLAN` in an `IFLA_VF_INFO`, as linux/if_link.h has them.
    #[test]
    fn the_bytes_are_the_kernels() {
        let set = changes(1, &VfConf::default(), &VfConf { vlan: VlanId::try_from(42).ok(), ..VfConf::default() });
        let m = Message::link(libc::RTM_SETLINK, 0, 0, 0).with(list(set.into_iter().map(|(_, a)| a).collect()));
        let mut bytes = vec![0; m.buffer_len()];
        m.serialize(&mut bytes);
        let bytes = bytes.split_off(LINK_HEAD);
        let mut want = vec![24, 0, 22, 0x80, 20, 0, 1, 0x80, 16, 0, 2, 0];
        want.extend([1, 0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes, want);
    }

    #[test]
    fn an_interface_without_vfs_has_none_and_one_that_is_not_there_is_named() {
        let mut n = Netlink::open().expect("socket");
        assert_eq!(n.vfs(&"lo".parse().expect("name")).expect("asked"), []);
        let e = n.vfs(&"no-such-link".parse().expect("name")).expect_err("none");
        assert_eq!(e.text(), "look up the VFs of no-such-link: there is no such interface");
    }
}
