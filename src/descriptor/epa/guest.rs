//! The keys of a guest, one by one, into a draft of its wishes.
//!
//! Owns the forms of values. What keys demand of each other is `settle`'s.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{
    numa::{Draft, Node},
    table::{Act, Fate, Found, On, find, suggest},
};
use crate::{
    descriptor::tosca::at::At,
    model::{
        epa::{
            CoreWish, DeviceMatch, EmulatorPolicy, Epa, FeatureWish, Locality, MOST_DEVICES, MemPolicy, PagePolicy, PinPolicy, ThreadPolicy,
        },
        hw::CpuSet,
        size::MiB,
    },
};

/// Collects a guest's keys from all maps of its descriptor.
#[derive(Default)]
pub struct GuestKeys<'a> {
    pub(super) epa: Epa,
    pub(super) numa: Draft,
    pub(super) pairs: BTreeMap<u32, Vec<(u16, u16)>>,
    pub(super) devices: BTreeMap<u32, (Option<DeviceMatch>, u16)>,
    pub(super) topology: [Option<u16>; 3],
    pub(super) real_time: bool,
    pub(super) real_time_mask: Option<Mask>,
    pub(super) multi_queue: bool,
    /// What was set by which key, for messages and against a second word on it.
    pub(super) set: Vec<Set<'a>>,
}

pub(super) struct Set<'a> {
    pub act: Act,
    pub number: Option<u32>,
    key: SmolStr,
    pub at: At<'a>,
}

/// vCPUs: these, or all but these.
pub(super) enum Mask {
    These(CpuSet),
    AllBut(CpuSet),
}

/// One of a few words, in any case.
pub(super) fn word<T: Copy>(at: &At<'_>, words: &[(&str, T)]) -> Option<T> {
    let text = at.text()?;
    let found = words.iter().find(|(w, _)| w.eq_ignore_ascii_case(text.trim()));
    if found.is_none() {
        let all: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        at.error_hint(format!("'{text}' is none of {}", all.join(", ")), "see descriptors/EPA.md");
    }
    found.map(|(_, v)| *v)
}

pub(super) fn flag(at: &At<'_>) -> Option<bool> {
    word(at, &[("true", true), ("false", false), ("yes", true), ("no", false), ("1", true), ("0", false), ("on", true), ("off", false)])
}

pub(super) fn in_range(at: &At<'_>, min: u32, max: u32) -> Option<u32> {
    let n = at.u32()?;
    if (min..=max).contains(&n) {
        return Some(n);
    }
    at.error(format!("{n} is not in {min} to {max}"));
    None
}

fn small(at: &At<'_>, min: u32, max: u16) -> Option<u16> {
    in_range(at, min, u32::from(max)).and_then(|n| u16::try_from(n).ok())
}

fn cpus(at: &At<'_>) -> Option<CpuSet> {
    at.parse::<CpuSet>("a list of vCPUs such as '0-3,8'").filter(|c| {
        if c.is_empty() {
            at.error("names no vCPU");
        }
        !c.is_empty()
    })
}

impl<'a> GuestKeys<'a> {
    /// Reads every entry of a map. With `optional` what cannot be had is left out with a warning.
    pub fn read(&mut self, map: &At<'a>, optional: bool) {
        for (key, at) in map.entries() {
            let Some(found) = find(On::Guest, &key.text) else {
                let hint = suggest(On::Guest, &key.text).unwrap_or_else(|| "descriptors/EPA.md has all keys".into());
                at.warn_hint(format!("'{}' is not known here and is left out", key.text), hint);
                continue;
            };
            match found.row.fate {
                Fate::Acted(act) => {
                    if self.first(act, found.number, &key.text, &at) {
                        self.act(act, &found, &at);
                    }
                }
                Fate::Kept => at.warn(note("is read and nothing follows from it", found.row.note)),
                Fate::Refused if optional => at.warn(note("is refused, and left out since it is not mandatory", found.row.note)),
                Fate::Refused => at.error(note("is refused", found.row.note)),
            }
        }
    }

    /// `false`, and an error, where another key set the same already to something else.
    fn first(&mut self, act: Act, number: Option<u32>, key: &SmolStr, at: &At<'a>) -> bool {
        // Features add up.
        if matches!(act, Act::Features | Act::Trait) {
            return true;
        }
        let new = Set { act, number, key: key.clone(), at: at.clone() };
        let Some(old) = self.set.iter().find(|s| s.act == act && s.number == number) else {
            self.set.push(new);
            return true;
        };
        if old.at.text() != at.text() {
            at.error(format!("says what '{}' says already, and differs from it", old.key));
        }
        false
    }

    /// Where a wish was made, for a message about it.
    pub(super) fn place(&self, act: Act) -> Option<&At<'a>> {
        self.set.iter().find(|s| s.act == act).map(|s| &s.at)
    }
    /// The typed field for page sizes, read after the maps. A key that only says "large" is made exact.
    pub fn typed_pages(&mut self, pages: PagePolicy, at: &At<'a>) {
        let said = self.place(Act::Pages).is_some();
        let fits = self.epa.pages.sizes().iter().any(|s| pages.sizes().contains(s));
        if said && !fits {
            at.error("differs from what the key mempage-size (or a synonym) says");
        }
        self.epa.pages = pages;
        self.typed(Act::Pages, at);
    }
    pub fn typed_pinning(&mut self, pinning: PinPolicy, at: &At<'a>) {
        if self.place(Act::Pinning).is_some() && self.epa.pinning != pinning && self.epa.pinning != PinPolicy::Any {
            at.error("differs from what the key cpu-pinning-policy (or a synonym) says");
        }
        self.epa.pinning = pinning;
        self.typed(Act::Pinning, at);
    }
    fn typed(&mut self, act: Act, at: &At<'a>) {
        self.set.insert(0, Set { act, number: None, key: SmolStr::default(), at: at.clone() });
    }
    /// SOL001's `numa_enabled`: at least one node, whole.
    pub fn numa_enabled(&mut self) {
        self.numa.enabled = true;
    }

    fn node(&mut self, found: &Found) -> &mut Node {
        self.numa.nodes.entry(found.number.unwrap_or(0)).or_default()
    }

    fn cores(&mut self, found: &Found, at: &At<'a>, wish: CoreWish) {
        let node = self.node(found);
        if node.cores.is_some() {
            at.error("a node has one of num-cores, num-threads and paired-threads");
        }
        node.cores = Some(wish);
    }

    fn act(&mut self, act: Act, found: &Found, at: &At<'a>) {
        let e = &mut self.epa;
        match act {
            Act::Pages => {
                let words = [
                    ("LARGE", PagePolicy::Large),
                    ("SMALL", PagePolicy::Small),
                    ("SIZE_2MB", PagePolicy::Size2M),
                    ("SIZE_1GB", PagePolicy::Size1G),
                    ("PREFER_LARGE", PagePolicy::PreferLarge),
                    ("ANY", PagePolicy::Any),
                    ("2MB", PagePolicy::Size2M),
                    ("2048", PagePolicy::Size2M),
                    ("2048KB", PagePolicy::Size2M),
                    ("2MiB", PagePolicy::Size2M),
                    ("1GB", PagePolicy::Size1G),
                    ("1048576", PagePolicy::Size1G),
                    ("1GiB", PagePolicy::Size1G),
                    ("4", PagePolicy::Small),
                    ("4KB", PagePolicy::Small),
                ];
                e.pages = word(at, &words).unwrap_or_default();
            }
            Act::Pinning => {
                if at.text().is_some_and(|t| t.eq_ignore_ascii_case("mixed")) {
                    at.error_hint("'mixed' is refused: a guest's vCPUs are all dedicated or all shared", "write DEDICATED or SHARED");
                    return;
                }
                let words = [("DEDICATED", PinPolicy::Dedicated), ("SHARED", PinPolicy::Shared), ("ANY", PinPolicy::Any)];
                e.pinning = word(at, &words).unwrap_or_default();
            }
            Act::Threads => {
                if at.text().is_some_and(|t| t.eq_ignore_ascii_case("require")) {
                    let hint = "write numa-node-policy.node.0.paired-threads with the number of pairs";
                    at.error_hint("'require' is refused: PREFER would only ask for it", hint);
                    return;
                }
                let words = [
                    ("PREFER", ThreadPolicy::Prefer),
                    ("AVOID", ThreadPolicy::Avoid),
                    ("SEPARATE", ThreadPolicy::Separate),
                    ("ISOLATE", ThreadPolicy::Isolate),
                ];
                e.threads = word(at, &words).unwrap_or_default();
            }
            Act::Emulator => {
                let words = [("SHARE", EmulatorPolicy::Share), ("ISOLATE", EmulatorPolicy::Isolate), ("ANY", EmulatorPolicy::Any)];
                e.emulator = word(at, &words).unwrap_or_default();
            }
            Act::IoThreads => e.io_threads = small(at, 0, 16).unwrap_or(0),
            Act::NumaCount => self.numa.count = in_range(at, 1, super::numa::MOST_NODES),
            Act::NumaPolicy => self.numa.policy = word(at, &[("STRICT", MemPolicy::Strict), ("PREFERRED", MemPolicy::Preferred)]),
            Act::NodeVcpus => {
                let set = cpus(at);
                self.node(found).vcpus = set;
            }
            Act::NodeMemory => {
                let mib = at.u32().map(|m| MiB(u64::from(m)));
                self.node(found).memory = mib;
            }
            Act::NodeCores => {
                if let Some(n) = small(at, 1, 512) {
                    self.cores(found, at, CoreWish::Cores(n));
                }
            }
            Act::NodeThreads => {
                if let Some(n) = small(at, 1, 512) {
                    self.cores(found, at, CoreWish::Threads(n));
                }
            }
            Act::NodePairs => {
                if let Some(pairs) = small(at, 1, 256) {
                    self.cores(found, at, CoreWish::PairedThreads { pairs, of: Vec::new() });
                }
            }
            Act::NodePairIds => {
                let text = at.text().unwrap_or_default();
                let pair = |t: &str| {
                    let (a, b) = t.trim().split_once(['-', ':'])?;
                    Some((a.trim().parse::<u16>().ok()?, b.trim().parse::<u16>().ok()?))
                };
                match text.split(',').map(pair).collect::<Option<Vec<_>>>() {
                    Some(of) => drop(self.pairs.insert(found.number.unwrap_or(0), of)),
                    None => at.error(format!("'{text}' are not pairs of vCPUs such as '0-1,2-3'")),
                }
            }
            Act::CpuLimit => e.quotas.cpu.limit = in_range(at, 1, u32::MAX),
            Act::CpuReserve => e.quotas.cpu.reserve = at.u32(),
            Act::CpuShares => e.quotas.cpu.shares = in_range(at, 2, 10_000),
            Act::MemLimit => e.quotas.memory.limit = in_range(at, 1, u32::MAX),
            Act::MemReserve => e.quotas.memory.reserve = at.u32(),
            Act::DiskLimit => e.quotas.disk_io.limit = in_range(at, 1, u32::MAX),
            Act::VifLimit => e.quotas.vif.limit = in_range(at, 1, 1_000_000),
            Act::DeviceId => {
                if let Some(what) = device(at) {
                    self.devices.entry(found.number.unwrap_or(0)).or_insert((None, 1)).0 = Some(what);
                }
            }
            Act::DeviceCount => {
                if let Some(n) = small(at, 1, MOST_DEVICES) {
                    self.devices.entry(found.number.unwrap_or(0)).or_insert((None, 1)).1 = n;
                }
            }
            Act::Sockets => self.topology[0] = small(at, 1, 512),
            Act::Cores => self.topology[1] = small(at, 1, 512),
            Act::CoreThreads => self.topology[2] = small(at, 1, 8),
            Act::Model => e.cpu.model = at.text().map(|t| SmolStr::new(t.trim())).filter(|t| name_ok(at, t)),
            Act::Features => self.features(at),
            Act::Trait => {
                let wish = word(at, &[("required", FeatureWish::Require), ("forbidden", FeatureWish::Disable)]);
                if let Some(wish) = wish {
                    e.cpu.features.push((feature(&found.rest), wish));
                }
            }
            Act::RealTime => self.real_time = flag(at).unwrap_or(false),
            Act::RealTimeMask => {
                let text = at.text().unwrap_or_default();
                let (these, but): (Vec<&str>, Vec<&str>) = text.split(',').map(str::trim).partition(|t| !t.starts_with('^'));
                let but = but.join(",").replace('^', "").parse::<CpuSet>();
                let these = these.join(",").parse::<CpuSet>();
                self.real_time_mask = match (these, but) {
                    (Ok(t), Ok(b)) if t.is_empty() && !b.is_empty() => Some(Mask::AllBut(b)),
                    (Ok(t), Ok(b)) if !t.is_empty() => Some(Mask::These(t.minus(&b))),
                    _ => {
                        at.error(format!("'{text}' are no vCPUs such as '^0' or '1-3'"));
                        None
                    }
                };
            }
            Act::Locked => e.locked = flag(at).unwrap_or(false),
            Act::Locality => {
                let words = [("required", Locality::Required), ("preferred", Locality::Preferred), ("legacy", Locality::Preferred)];
                e.locality = word(at, &words).unwrap_or_default();
            }
            Act::MultiQueue => self.multi_queue = flag(at).unwrap_or(false),
            Act::Trusted => {
                if flag(at) == Some(true) {
                    at.error("is refused: no trusted execution here");
                }
            }
            Act::NicType
            | Act::NicBandwidth
            | Act::NicVpci
            | Act::NicTrust
            | Act::NicSpoofCheck
            | Act::NicPortSecurity
            | Act::NicQueues
            | Act::NicMac
            | Act::NicPosition
            | Act::NicMtu => {}
        }
    }

    fn features(&mut self, at: &At<'a>) {
        let text = at.text().unwrap_or_default();
        for one in text.split([',', ' ']).map(str::trim).filter(|t| !t.is_empty()) {
            let upper = one.to_ascii_uppercase();
            if let Some(rest) = upper.strip_prefix("PREFER_") {
                at.warn(format!("the preference for {rest} is read and nothing follows from it"));
                continue;
            }
            let (name, wish) = match one.strip_prefix('-') {
                Some(rest) => (rest, FeatureWish::Disable),
                None if upper.starts_with("REQUIRE_") => (one.get(8..).unwrap_or(one), FeatureWish::Require),
                None => (one, FeatureWish::Require),
            };
            let name = feature(name);
            if name_ok(at, &name) {
                self.epa.cpu.features.push((name, wish));
            }
        }
    }
}

pub(super) fn note(what: &str, note: &str) -> String {
    if note.is_empty() { what.to_owned() } else { format!("{what}: {}", note.replace('`', "'")) }
}

/// libvirt's spelling: `AVX512F` is `avx512f`, `SSE4_1` is `sse4.1` there and `SSE41` in OpenStack's traits.
fn feature(name: &str) -> SmolStr {
    let lower = name.trim().to_ascii_lowercase();
    match lower.replace(['_', '-', '.'], "").as_str() {
        "sse41" => SmolStr::new_static("sse4.1"),
        "sse42" => SmolStr::new_static("sse4.2"),
        "aesni" => SmolStr::new_static("aes"),
        _ => SmolStr::new(lower),
    }
}

fn name_ok(at: &At<'_>, name: &str) -> bool {
    let ok = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if !ok {
        at.error(format!("'{name}' is no name of a CPU or a feature"));
    }
    ok
}

/// Vendor and device id. A name has nothing to stand for: the box's configuration gives none.
fn device(at: &At<'_>) -> Option<DeviceMatch> {
    let text = at.text()?;
    let hex = |t: &str| (t.len() == 4).then(|| u16::from_str_radix(t, 16).ok()).flatten();
    let id = text.trim().split_once(':').and_then(|(v, d)| Some(DeviceMatch::Id { vendor: hex(v)?, device: hex(d)? }));
    if id.is_none() {
        at.error_hint(
            format!("'{text}' is refused: this box gives devices no names"),
            "write vendor and device id, as `lspci -nn` shows them: '8086:0d5d'",
        );
    }
    id
}
