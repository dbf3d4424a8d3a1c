//! Typed ids and the names that are made from them.
//!
//! Owns: one newtype per kind of thing, and the short names under which a thing is found on the
//! host again (domain, interface). Never: random numbers (ids are handed in by `Dice`).

use std::{fmt, str::FromStr};

use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::error::{Fault, Result};

macro_rules! typed_ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub Uuid);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!($what, " {}"), self.0) }
        }
        impl FromStr for $name {
            type Err = Fault;
            fn from_str(s: &str) -> Result<Self> {
                Uuid::parse_str(s).map($name).map_err(|_| Fault::invalid(format!("'{s}' is not the id of a {}", $what)))
            }
        }
        impl $name {
            pub const WHAT: &'static str = $what;
            pub fn bytes(&self) -> &[u8; 16] { self.0.as_bytes() }
            pub fn from_bytes(b: [u8; 16]) -> Self { $name(Uuid::from_bytes(b)) }
        }
    )*};
}

typed_ids! {
    /// Owner of records and quotas.
    ProjectId, "project";
    /// `VnfPkgInfo.id`, SOL005 9.5.2.5: the onboarded package, not the VNFD.
    VnfPkgId, "VNF package";
    /// `NsdInfo.id`, SOL005 5.5.2.2.
    NsdInfoId, "NS descriptor";
    /// `PnfdInfo.id`, SOL005 5.5.2.5.
    PnfdInfoId, "PNF descriptor";
    VnfId, "VNF instance";
    NsId, "NS instance";
    /// One VNFC resource instance: one guest. Also the domain's UUID in libvirt.
    VnfcId, "VNFC";
    /// A virtual link instance of an NS or a VNF: one segment on the switch.
    SegmentId, "virtual link";
    /// One NIC of one guest.
    PortId, "port";
    /// One disk of one guest.
    DiskId, "disk";
    /// A lifecycle operation occurrence.
    OpId, "operation";
    /// An external connection point instance.
    ExtCpId, "external connection point";
    /// A network forwarding path instance (SOL005 6.5.3.33): one chain on the switch.
    NfpId, "network forwarding path";
    AlarmId, "alarm";
    /// `VnfSnapshotInfo.id` (SOL003 5.5.2.22).
    SnapshotId, "VNF snapshot";
}

impl ProjectId {
    /// The project of everything until others are made.
    pub const DEFAULT: ProjectId = ProjectId(Uuid::from_u128(1));
}

fn base32() -> Encoding {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    #[allow(clippy::expect_used)]
    spec.encoding().expect("the alphabet has 32 symbols")
}

impl VnfcId {
    /// The libvirt domain's name: `b-` and 26 base32 characters.
    pub fn domain_name(&self) -> String {
        format!("b-{}", base32().encode(self.bytes()))
    }
}

/// The kinds of interface Bothy makes; two letters lead the interface's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IfKind {
    /// A guest's NIC on the switch.
    Guest,
    /// The host's own port on a segment (gateway, DHCP, management).
    Host,
    /// Patch port towards a physical network's bridge.
    Patch,
    /// Patch port by which a tagged network of a guest's NIC comes to its link.
    Trunk,
    /// Where copies of what passes other ports come out.
    Capture,
}

impl IfKind {
    const ALL: [IfKind; 5] = [IfKind::Guest, IfKind::Host, IfKind::Patch, IfKind::Trunk, IfKind::Capture];

    pub fn lead(self) -> &'static str {
        match self {
            IfKind::Guest => "bg",
            IfKind::Host => "bh",
            IfKind::Patch => "bp",
            IfKind::Trunk => "bt",
            IfKind::Capture => "bc",
        }
    }
    /// The kind of a name made by [`if_name`].
    pub fn of(name: &IfName) -> Option<IfKind> {
        let made = |k: &IfKind| {
            let rest = name.as_str().strip_prefix(k.lead())?;
            (rest.len() == 12 && rest.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))).then_some(*k)
        };
        IfKind::ALL.iter().find_map(made)
    }
}

/// An interface name made by Bothy: 2 letters of kind and 12 base32 characters (60 bits of the
/// id), 14 of the 15 characters Linux allows.
pub fn if_name(kind: IfKind, id: &Uuid) -> IfName {
    let enc = base32().encode(id.as_bytes());
    IfName(SmolStr::new(format!("{}{}", kind.lead(), &enc[..12])))
}

/// A Linux interface name: 1 to 15 bytes, no `/`, no white space, not `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct IfName(SmolStr);

impl IfName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl TryFrom<SmolStr> for IfName {
    type Error = Fault;
    fn try_from(s: SmolStr) -> Result<Self> {
        let ok = (1..=15).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':') && s != "." && s != "..";
        if ok {
            Ok(IfName(s))
        } else {
            Err(Fault::invalid(format!("'{s}' is not an interface name (1 to 15 characters, no '/', ':' or space)")))
        }
    }
}
impl FromStr for IfName {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        SmolStr::new(s).try_into()
    }
}
impl From<IfName> for SmolStr {
    fn from(n: IfName) -> SmolStr {
        n.0
    }
}
impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_their_limits_and_start_with_their_kind() {
        let id = VnfcId(Uuid::from_u128(u128::MAX));
        assert_eq!(id.domain_name().len(), 28);
        let n = if_name(IfKind::Guest, &id.0);
        assert!(n.as_str().len() == 14 && n.as_str().starts_with("bg"));
        assert!(IfName::from_str(n.as_str()).is_ok());
        for kind in IfKind::ALL {
            assert_eq!(IfKind::of(&if_name(kind, &id.0)), Some(kind));
        }
        for other in ["bg0", "bgabcdefghijk1", "bxabcdefghijkl", "bgabcdefghijklm"] {
            assert_eq!(other.parse().ok().and_then(|n| IfKind::of(&n)), None, "{other}");
        }
    }

    #[test]
    fn a_bad_id_says_what_it_should_have_been() {
        let e = "nope".parse::<VnfId>().expect_err("not a uuid");
        assert_eq!(e.text(), "'nope' is not the id of a VNF instance");
    }

    #[test]
    fn interface_names_linux_would_refuse_are_refused() {
        for bad in ["", "a/b", "a b", "sixteencharacter", ".", "..", "x:1"] {
            assert!(bad.parse::<IfName>().is_err(), "{bad:?}");
        }
    }
}
