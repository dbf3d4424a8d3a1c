//! The words for hardware: CPU sets, page sizes, PCI addresses.
//!
//! Owns their forms as text (Linux's and libvirt's) and as records. Never: what a host has of them.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    error::{Fault, Result},
    size::MiB,
};

/// A set of the host's logical CPUs, or of a guest's vCPUs: `0-3,8`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct CpuSet(BTreeSet<u16>);

impl CpuSet {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn contains(&self, cpu: u16) -> bool {
        self.0.contains(&cpu)
    }
    /// `false` when it was in already.
    pub fn insert(&mut self, cpu: u16) -> bool {
        self.0.insert(cpu)
    }
    pub fn remove(&mut self, cpu: u16) -> bool {
        self.0.remove(&cpu)
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter().copied()
    }
    pub fn first(&self) -> Option<u16> {
        self.0.first().copied()
    }
    #[must_use]
    pub fn minus(&self, other: &CpuSet) -> CpuSet {
        CpuSet(self.0.difference(&other.0).copied().collect())
    }
    #[must_use]
    pub fn union(&self, other: &CpuSet) -> CpuSet {
        CpuSet(self.0.union(&other.0).copied().collect())
    }
    #[must_use]
    pub fn common(&self, other: &CpuSet) -> CpuSet {
        CpuSet(self.0.intersection(&other.0).copied().collect())
    }
}

impl FromIterator<u16> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u16>>(cpus: I) -> Self {
        CpuSet(cpus.into_iter().collect())
    }
}
impl Extend<u16> for CpuSet {
    fn extend<I: IntoIterator<Item = u16>>(&mut self, cpus: I) {
        self.0.extend(cpus);
    }
}

/// The kernel's list format: `0-3,8`, ascending.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().copied().peekable();
        let mut lead = "";
        while let Some(first) = rest.next() {
            let mut last = first;
            while let Some(next) = rest.next_if(|n| Some(*n) == last.checked_add(1)) {
                last = next;
            }
            if first == last {
                write!(f, "{lead}{first}")?;
            } else {
                write!(f, "{lead}{first}-{last}")?;
            }
            lead = ",";
        }
        Ok(())
    }
}

/// Reads the kernel's list format, as sysfs and kernel arguments have it; empty is the empty set.
impl FromStr for CpuSet {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let bad = || Fault::invalid(format!("'{s}' is not a list of CPUs such as '0-3,8'"));
        let mut set = CpuSet::new();
        for part in s.trim().split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last): (u16, u16) = (first.trim().parse().map_err(|_| bad())?, last.trim().parse().map_err(|_| bad())?);
            if first > last {
                return Err(bad());
            }
            set.extend(first..=last);
        }
        Ok(set)
    }
}

/// Size of a memory page on x86-64; ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PageSize {
    Small,
    Huge2M,
    Huge1G,
}

impl PageSize {
    pub const HUGE: [PageSize; 2] = [PageSize::Huge2M, PageSize::Huge1G];

    pub fn kib(self) -> u64 {
        match self {
            PageSize::Small => 4,
            PageSize::Huge2M => 2 << 10,
            PageSize::Huge1G => 1 << 20,
        }
    }
    pub fn from_kib(kib: u64) -> Option<PageSize> {
        [PageSize::Small, PageSize::Huge2M, PageSize::Huge1G].into_iter().find(|p| p.kib() == kib)
    }
    pub fn is_huge(self) -> bool {
        self != PageSize::Small
    }
    /// Pages that hold so much memory, rounded up.
    pub fn pages(self, memory: MiB) -> u64 {
        memory.0.saturating_mul(1024).div_ceil(self.kib())
    }
    /// The memory is a whole number of these pages: QEMU refuses any other.
    pub fn divides(self, memory: MiB) -> bool {
        memory.0.saturating_mul(1024).is_multiple_of(self.kib())
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PageSize::Small => "4 KiB",
            PageSize::Huge2M => "2 MiB",
            PageSize::Huge1G => "1 GiB",
        })
    }
}

/// Address of a PCI function: `0000:01:10.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PciAddr {
    domain: u16,
    bus: u8,
    device: u8,
    function: u8,
}

impl PciAddr {
    /// `device` is at most 31, `function` at most 7.
    pub fn new(domain: u16, bus: u8, device: u8, function: u8) -> Result<Self> {
        if device > 31 || function > 7 {
            return Err(Fault::invalid(format!("{device:x}.{function} is no PCI device and function")));
        }
        Ok(PciAddr { domain, bus, device, function })
    }
    pub fn domain(self) -> u16 {
        self.domain
    }
    pub fn bus(self) -> u8 {
        self.bus
    }
    pub fn device(self) -> u8 {
        self.device
    }
    pub fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for PciAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

/// Reads `[domain:]bus:device.function`, hexadecimal.
impl FromStr for PciAddr {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let read = || {
            let (rest, function) = s.trim().rsplit_once('.')?;
            let (rest, device) = rest.rsplit_once(':')?;
            let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));
            let byte = |t: &str| u8::from_str_radix(t, 16).ok();
            PciAddr::new(u16::from_str_radix(domain, 16).ok()?, byte(bus)?, byte(device)?, byte(function)?).ok()
        };
        read().ok_or_else(|| Fault::invalid(format!("'{s}' is not a PCI address such as 0000:01:10.2")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_sets_read_and_write_the_kernels_list_format() {
        for (text, back) in [("0-3,8", "0-3,8"), ("", ""), ("3,1,2", "1-3"), (" 5 , 7-7\n", "5,7"), ("65535", "65535")] {
            assert_eq!(text.parse::<CpuSet>().expect(text).to_string(), back);
        }
        for bad in ["a", "3-1", "-1", "70000", "1-"] {
            assert!(bad.parse::<CpuSet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pci_addresses_read_with_and_without_domain() {
        for (text, back) in
            [("0000:01:10.2", "0000:01:10.2"), ("3b:00.0", "0000:3b:00.0"), ("10000:01:00.0", ""), ("01:20.0", ""), ("1", "")]
        {
            let read = text.parse::<PciAddr>().map(|a| a.to_string()).unwrap_or_default();
            assert_eq!(read, back, "{text}");
        }
    }

    #[test]
    fn memory_is_counted_in_whole_pages() {
        assert_eq!(PageSize::Huge2M.pages(MiB(257)), 129);
        assert!(PageSize::Huge1G.divides(MiB(2048)) && !PageSize::Huge1G.divides(MiB(1536)));
        assert_eq!(PageSize::from_kib(2048), Some(PageSize::Huge2M));
        assert_eq!(PageSize::from_kib(16), None);
    }
}
