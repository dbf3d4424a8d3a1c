//! The types a key can have: how each is read from TOML and shown as TOML.

use std::{fmt::Display, net::SocketAddr};

use camino::Utf8PathBuf;
use smol_str::SmolStr;
use toml::de::DeValue;

use super::read::{At, TableAt};
use crate::model::{
    id::IfName,
    net::{BondMode, Cidr, Lacp},
};

/// When a changed key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    Live,
    Restart,
}

/// One key as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub path: &'static str,
    pub apply: Apply,
    pub value: String,
}

/// Walks the list of keys.
pub(super) trait Keys {
    fn key<T: Setting>(&mut self, path: &'static str, apply: Apply, slot: &mut T);
    /// A number with its limits, both inclusive.
    fn within<T: Setting + PartialOrd + Display>(&mut self, path: &'static str, apply: Apply, slot: &mut T, least: T, most: T);
}

#[derive(Default)]
pub(super) struct Shower(pub Vec<Shown>);

impl Keys for Shower {
    fn key<T: Setting>(&mut self, path: &'static str, apply: Apply, slot: &mut T) {
        self.0.push(Shown { path, apply, value: slot.show() });
    }
    fn within<T: Setting + PartialOrd + Display>(&mut self, path: &'static str, apply: Apply, slot: &mut T, _: T, _: T) {
        self.key(path, apply, slot);
    }
}

/// A value of the configuration. `read` reports its faults through `At` and gives `None` then.
pub(super) trait Setting: Sized {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self>;
    fn show(&self) -> String;
}

pub(super) fn text<'v>(v: &'v DeValue<'_>, at: &mut At<'_>, what: &str) -> Option<&'v str> {
    let s = v.as_str();
    if s.is_none() {
        at.fault(format!("must be {what}, not {}", article(v.type_str())));
    }
    s
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}

pub(super) fn quoted(s: &str) -> String {
    format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Setting for bool {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let b = v.as_bool();
        if b.is_none() {
            at.fault(format!("must be true or false, not {}", article(v.type_str())));
        }
        b
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u64 {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let n = v.as_integer().and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok());
        if n.is_none() {
            at.fault("must be a whole number, 0 or more");
        }
        n
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for f64 {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let digits = v.as_float().map(|f| f.as_str()).or_else(|| v.as_integer().filter(|i| i.radix() == 10).map(|i| i.as_str()));
        let n = digits.and_then(|d| d.parse::<f64>().ok()).filter(|n| n.is_finite());
        if n.is_none() {
            at.fault("must be a number such as 1.5");
        }
        n
    }
    fn show(&self) -> String {
        format!("{self:?}")
    }
}

impl Setting for SmolStr {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        text(v, at, "text in quotes").map(SmolStr::new)
    }
    fn show(&self) -> String {
        quoted(self)
    }
}

impl Setting for Utf8PathBuf {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        text(v, at, "a path in quotes").map(Utf8PathBuf::from)
    }
    fn show(&self) -> String {
        quoted(self.as_str())
    }
}

impl Setting for Cidr {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        match text(v, at, "a network such as \"10.213.0.0/16\"")?.parse::<Cidr>() {
            Ok(c) => Some(c.network()),
            Err(f) => {
                at.fault(f.text());
                None
            }
        }
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

pub(super) fn default_pool() -> Cidr {
    const POOL: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 213, 0, 0));
    #[allow(clippy::expect_used)]
    Cidr::new(POOL, 16).expect("16 is a prefix length of IPv4")
}

impl<T: Setting> Setting for Vec<T> {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let Some(items) = v.as_array() else {
            at.fault(format!("must be a list, not {}", article(v.type_str())));
            return None;
        };
        // Every item is read, so that every fault is told.
        let read: Vec<Option<T>> = items.iter().enumerate().map(|(i, v)| at.item(i, v.span()).read(v.get_ref())).collect();
        read.into_iter().collect()
    }
    fn show(&self) -> String {
        format!("[{}]", self.iter().map(Setting::show).collect::<Vec<_>>().join(", "))
    }
}

/// Where an API is met. Paths clash between reference points, so a listener names those it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    pub address: SocketAddr,
    pub reference_points: Vec<ReferencePoint>,
}

/// What cannot be met at one place.
pub(super) fn clash(points: &[ReferencePoint], t: &mut TableAt<'_>) {
    if points.is_empty() {
        t.fault("reference_points", format!("must name at least one of {}", ReferencePoint::WORDS.join(", ")));
    }
    if [ReferencePoint::Sol002, ReferencePoint::Sol003Vnfm].iter().all(|p| points.contains(p)) {
        t.fault("reference_points", "sol002 and sol003-vnfm have the same paths: each needs a listener of its own");
    }
}

impl Setting for Listener {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["address", "reference_points"])?;
        let address: Option<SmolStr> = t.need("address");
        let reference_points: Option<Vec<ReferencePoint>> = t.need("reference_points");
        let address = match address?.parse::<SocketAddr>() {
            Ok(a) => a,
            Err(_) => {
                t.fault("address", "must be an address and a port, such as \"0.0.0.0:9443\" or \"[::]:9443\"");
                return None;
            }
        };
        let reference_points = reference_points?;
        clash(&reference_points, &mut t);
        Some(Listener { address, reference_points })
    }
    fn show(&self) -> String {
        format!("{{ address = {}, reference_points = {} }}", quoted(&self.address.to_string()), self.reference_points.show())
    }
}

impl ReferencePoint {
    /// What can be met at one place: `sol002` has paths of `sol003-vnfm`.
    pub const TOGETHER: &'static [ReferencePoint] =
        &[ReferencePoint::Sol005, ReferencePoint::Sol003Vnfm, ReferencePoint::Sol003Nfvo, ReferencePoint::Admin, ReferencePoint::Hub];
}

/// A network outside the box, under the name that descriptors use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalNetwork {
    pub name: SmolStr,
    /// An existing Open vSwitch bridge, or
    pub bridge: Option<SmolStr>,
    /// an interface that Bothy puts on a bridge of its own, or
    pub interface: Option<SmolStr>,
    /// several of them, which are one uplink.
    pub bond: Option<Bond>,
}

/// Interfaces that are one uplink together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    pub legs: Vec<IfName>,
    pub mode: BondMode,
    pub lacp: Lacp,
}

/// A word out of a few that the model has; the first one, where none is given.
fn one_of<T: Copy>(t: &mut TableAt<'_>, key: &str, given: Option<SmolStr>, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
    let Some(text) = given else { return all.first().copied() };
    let found = all.iter().copied().find(|w| word(*w) == text);
    if found.is_none() {
        let words: Vec<&str> = all.iter().map(|w| word(*w)).collect();
        t.fault(key, format!("'{text}' is none of {}", words.join(", ")));
    }
    found
}

impl Setting for PhysicalNetwork {
    fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
        let mut t = at.table(v, &["name", "bridge", "interface", "interfaces", "bond", "lacp"])?;
        let name: Option<SmolStr> = t.need("name");
        let (bridge, interface): (Option<SmolStr>, Option<SmolStr>) = (t.may("bridge"), t.may("interface"));
        let legs: Option<Vec<SmolStr>> = t.may("interfaces");
        let (bond, lacp): (Option<SmolStr>, Option<SmolStr>) = (t.may("bond"), t.may("lacp"));
        let tells = bond.is_some() || lacp.is_some();
        let mode = one_of(&mut t, "bond", bond, &BondMode::ALL, BondMode::word);
        let lacp = one_of(&mut t, "lacp", lacp, &Lacp::ALL, Lacp::word);
        let name = name?;
        if [bridge.is_some(), interface.is_some(), legs.is_some()].iter().filter(|given| **given).count() != 1 {
            t.fault("name", format!("'{name}' needs either a bridge, an interface or interfaces, one of the three"));
            return None;
        }
        let Some(legs) = legs else {
            if tells {
                t.fault("bond", "bond and lacp are for several interfaces: name them as interfaces = [\"eth1\", \"eth2\"]");
                return None;
            }
            return Some(PhysicalNetwork { name, bridge, interface, bond: None });
        };
        let (mode, lacp) = (mode?, lacp?);
        let (mut names, given) = (Vec::new(), legs.len());
        for leg in legs {
            match IfName::try_from(leg.clone()) {
                Ok(n) if names.contains(&n) => t.fault("interfaces", format!("'{leg}' is named twice")),
                Ok(n) => names.push(n),
                Err(fault) => t.fault("interfaces", fault.text().to_owned()),
            }
        }
        if names.len() < given {
            return None;
        }
        if given < 2 {
            t.fault("interfaces", "a bond has two interfaces or more: one alone is given as interface");
            return None;
        }
        if mode == BondMode::BalanceTcp && lacp == Lacp::Off {
            t.fault("bond", "balance-tcp needs LACP at both ends: give lacp = \"active\" or \"passive\"");
            return None;
        }
        Some(PhysicalNetwork { name, bridge, interface, bond: Some(Bond { legs: names, mode, lacp }) })
    }
    fn show(&self) -> String {
        if let Some(b) = &self.bond {
            let legs: Vec<String> = b.legs.iter().map(|l| quoted(l.as_str())).collect();
            return format!(
                "{{ name = {}, interfaces = [{}], bond = {}, lacp = {} }}",
                quoted(&self.name),
                legs.join(", "),
                quoted(b.mode.word()),
                quoted(b.lacp.word())
            );
        }
        let (key, value) = match (&self.bridge, &self.interface) {
            (Some(b), _) => ("bridge", b.as_str()),
            (None, Some(i)) => ("interface", i.as_str()),
            (None, None) => ("bridge", ""),
        };
        format!("{{ name = {}, {key} = {} }}", quoted(&self.name), quoted(value))
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),* }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            pub const WORDS: &'static [&'static str] = &[$($word),*];
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
        }
        impl Setting for $name {
            fn read(v: &DeValue<'_>, at: &mut At<'_>) -> Option<Self> {
                match text(v, at, &format!("one of {}", Self::WORDS.join(", ")))? {
                    $($word => Some($name::$variant),)*
                    other => {
                        at.fault(format!("'{other}' is none of {}", Self::WORDS.join(", ")));
                        None
                    }
                }
            }
            fn show(&self) -> String {
                quoted(self.word())
            }
        }
    )*};
}

pub(super) use words;

words! {
    ReferencePoint { Sol005 = "sol005", Sol003Vnfm = "sol003-vnfm", Sol003Nfvo = "sol003-nfvo", Sol002 = "sol002", Admin = "admin", Hub = "hub" }
    /// What is done while a central NFVO does not answer.
    GrantOffline { Wait = "wait", AllowHeal = "allow-heal" }
    LogFormat { Human = "human", Json = "json" }
    LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
    /// `Auto` believes KVM only after a throw-away guest ran under it.
    AccelMode { Auto = "auto", Kvm = "kvm", Tcg = "tcg" }
}
