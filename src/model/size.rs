//! Sizes with their unit in the type.
//!
//! Owns: `MiB` and `Bytes` and how SOL001's `scalar-unit.size` is read into them. Never: rounding
//! down what a guest asked for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::error::{Fault, Result};

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Bytes(pub u64);

/// Mebibytes, 2^20 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct MiB(pub u64);

impl MiB {
    pub fn bytes(self) -> Bytes {
        Bytes(self.0.saturating_mul(1 << 20))
    }
    #[must_use]
    pub fn plus(self, other: MiB) -> MiB {
        MiB(self.0.saturating_add(other.0))
    }
}

impl Bytes {
    /// In MiB, rounded up: nobody gets less than asked for.
    pub fn mib(self) -> MiB {
        MiB(self.0.div_ceil(1 << 20))
    }
}

/// Reads TOSCA's `scalar-unit.size` (TOSCA 1.3, 3.3.6.4): `1 GiB`, `512MB`, `10 kB`; units are
/// case-insensitive; a number without a unit is bytes.
impl FromStr for Bytes {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        let t = s.trim();
        let split = t.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(t.len());
        let (num, unit) = (t[..split].trim(), t[split..].trim().to_ascii_lowercase());
        let factor: u64 = match unit.as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "kib" => 1 << 10,
            "mb" => 1000 * 1000,
            "mib" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" => 1 << 30,
            "tb" => 1_000_000_000_000,
            "tib" => 1 << 40,
            _ => {
                return Err(Fault::invalid(format!("'{s}' is not a size: unit '{unit}' is none of B, kB, KiB, MB, MiB, GB, GiB, TB, TiB")));
            }
        };
        let bad = || Fault::invalid(format!("'{s}' is not a size such as '512 MiB'"));
        if let Ok(n) = num.parse::<u64>() {
            return n.checked_mul(factor).map(Bytes).ok_or_else(bad);
        }
        let f: f64 = num.parse().map_err(|_| bad())?;
        let v = (f * factor as f64).ceil();
        if !(0.0..=9.0e18).contains(&v) {
            return Err(bad());
        }
        Ok(Bytes(v as u64))
    }
}

impl fmt::Display for MiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        for (name, size) in UNITS {
            if self.0 >= size {
                return if self.0.is_multiple_of(size) {
                    write!(f, "{} {name}", self.0 / size)
                } else {
                    write!(f, "{:.1} {name}", self.0 as f64 / size as f64)
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_tosca_says() {
        for (text, want) in
            [("1 GiB", 1 << 30), ("512MB", 512_000_000), ("0.5 GiB", 1 << 29), ("10", 10), ("1 kb", 1000), (" 2 TIB ", 2 << 40)]
        {
            assert_eq!(text.parse::<Bytes>().expect(text), Bytes(want), "{text}");
        }
        for bad in ["", "GiB", "1 Gib/s", "-1 MB", "1e30 TB", "99999999999 TiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
        assert_eq!(Bytes((1 << 20) + 1).mib(), MiB(2));
    }
}
