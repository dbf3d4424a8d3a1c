//! The keys of a connection point into its NIC's wishes.

use smol_str::SmolStr;

use super::{
    guest::{flag, in_range, note, word},
    table::{Act, Fate, On, find, suggest},
};
use crate::{
    descriptor::tosca::at::At,
    model::{
        epa::{NicAttach, NicWish, nic_place},
        hw::PciAddr,
        net::MacAddr,
        vnfd::NicModel,
    },
};

/// Collects a NIC's keys from all maps of its descriptor.
#[derive(Default)]
pub struct NicKeys<'a> {
    pub wish: NicWish,
    /// What `type` says, and where.
    pub kind: Option<(NicAttach, NicModel, At<'a>)>,
    pub port_security: Option<bool>,
    pub mac: Option<MacAddr>,
    pub position: Option<u64>,
    pub mtu: Option<u16>,
    seen: Vec<(Act, SmolStr)>,
}

/// Bit/s as Mbit/s, rounded up: nobody gets less than asked for.
pub fn mbits(at: &At<'_>) -> Option<u32> {
    let mbits = bits(at)?.div_ceil(1_000_000);
    let fits = u32::try_from(mbits).ok();
    if fits.is_none() {
        at.error_hint(format!("{mbits} Mbit/s is no bit rate"), "write bits per second, or '10 Gbps'");
    }
    fits
}

/// Bits a second, with a unit or without; 0 says nothing.
pub fn bits(at: &At<'_>) -> Option<u64> {
    let text = at.text()?;
    let t = text.trim();
    let split = t.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(t.len());
    let unit = t[split..].trim().to_ascii_lowercase().replace("bit/s", "bps").replace("bits", "bps");
    let factor: u64 = match unit.as_str() {
        "" | "bps" => 1,
        "kbps" => 1000,
        "mbps" => 1_000_000,
        "gbps" => 1_000_000_000,
        _ => {
            at.error_hint(format!("'{text}' is no bit rate"), "write bits per second, or '10 Gbps'");
            return None;
        }
    };
    let bits = t[..split].trim().parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
    if bits.is_none() {
        at.error_hint(format!("'{text}' is no bit rate"), "write bits per second, or '10 Gbps'");
    }
    bits.filter(|b| *b > 0)
}

impl<'a> NicKeys<'a> {
    pub fn read(&mut self, map: &At<'a>, optional: bool) {
        for (key, at) in map.entries() {
            let Some(found) = find(On::Nic, &key.text) else {
                let hint = suggest(On::Nic, &key.text).unwrap_or_else(|| "descriptors/EPA.md has all keys".into());
                at.warn_hint(format!("'{}' is not known here and is left out", key.text), hint);
                continue;
            };
            match found.row.fate {
                Fate::Acted(act) => {
                    if let Some((_, old)) = self.seen.iter().find(|(a, _)| *a == act) {
                        at.error(format!("'{old}' says this already"));
                        continue;
                    }
                    self.seen.push((act, key.text.clone()));
                    self.act(act, &at);
                }
                Fate::Kept => at.warn(note("is read and nothing follows from it", found.row.note)),
                Fate::Refused if optional => at.warn(note("is refused, and left out since it is not mandatory", found.row.note)),
                Fate::Refused => at.error(note("is refused", found.row.note)),
            }
        }
    }

    fn act(&mut self, act: Act, at: &At<'a>) {
        if act == Act::NicType {
            let words = [
                ("PARAVIRT", (NicAttach::Switch, NicModel::Virtio)),
                ("VIRTIO", (NicAttach::Switch, NicModel::Virtio)),
                ("OM-MGMT", (NicAttach::Switch, NicModel::Virtio)),
                ("E1000", (NicAttach::Switch, NicModel::E1000)),
                ("E1000E", (NicAttach::Switch, NicModel::E1000e)),
                ("RTL8139", (NicAttach::Switch, NicModel::Rtl8139)),
                ("PCNET", (NicAttach::Switch, NicModel::Pcnet)),
                ("SR-IOV", (NicAttach::Vf, NicModel::Virtio)),
                ("PCI-PASSTHROUGH", (NicAttach::Pf, NicModel::Virtio)),
                ("VHOST-USER", (NicAttach::VhostUser, NicModel::Virtio)),
            ];
            self.kind = word(at, &words).map(|(attach, model)| (attach, model, at.clone()));
        } else if act == Act::NicBandwidth {
            self.wish.bandwidth = mbits(at);
        } else if act == Act::NicVpci {
            let addr = at.parse::<PciAddr>("a PCI address such as 0000:00:05.0");
            if let Some(a) = addr.filter(|a| !nic_place(*a)) {
                at.error_hint(format!("{a} is not where a guest's NICs are"), "write 0000:00:02.0 to 0000:00:11.0");
            }
            self.wish.vpci = addr.filter(|a| nic_place(*a));
        } else if act == Act::NicTrust {
            self.wish.trust = flag(at);
        } else if act == Act::NicSpoofCheck {
            self.wish.spoof_check = flag(at);
        } else if act == Act::NicPortSecurity {
            self.port_security = flag(at);
        } else if act == Act::NicQueues {
            self.wish.queues = in_range(at, 1, 16).and_then(|n| u16::try_from(n).ok());
        } else if act == Act::NicMac {
            self.mac = at.parse::<MacAddr>("a MAC address such as 52:54:00:12:34:56");
        } else if act == Act::NicPosition {
            self.position = at.int();
        } else if act == Act::NicMtu {
            self.mtu = at.parse::<u16>("an MTU in bytes");
        }
    }
}
