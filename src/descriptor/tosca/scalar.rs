//! Single values of TOSCA: numbers, booleans, sizes, times.
//!
//! Owns their forms in the field (`1`, `"1"`, `true`, `yes`, `60 s`). Never reports: the caller
//! knows where the text stands.

use crate::model::size::Bytes;

pub fn integer(text: &str) -> Result<u64, String> {
    let t = text.trim();
    t.parse::<u64>().map_err(|_| match t.parse::<f64>() {
        Ok(f) if f < 0.0 => format!("'{t}' is negative; it must be 0 or more"),
        Ok(_) => format!("'{t}' is not a whole number"),
        Err(_) => format!("'{t}' is not a number"),
    })
}

pub fn boolean(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        other => Err(format!("'{other}' is neither true nor false")),
    }
}

pub fn size(text: &str) -> Result<Bytes, String> {
    text.parse::<Bytes>().map_err(|f| f.text().to_owned())
}

/// `scalar-unit.time` (TOSCA 1.3, 3.3.6.5) in whole seconds, rounded up.
pub fn seconds(text: &str) -> Result<u32, String> {
    let t = text.trim();
    let split = t.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(t.len());
    let (num, unit) = t.split_at(split);
    let bad = || format!("'{t}' is not a time such as '60 s' (units d, h, m, s, ms, us, ns)");
    let factor = match unit.trim() {
        "d" => 86_400.0,
        "h" => 3600.0,
        "m" => 60.0,
        "s" | "" => 1.0,
        "ms" => 1e-3,
        "us" => 1e-6,
        "ns" => 1e-9,
        _ => return Err(bad()),
    };
    let n: f64 = num.trim().parse().map_err(|_| bad())?;
    let v = (n * factor).ceil();
    if (0.0..=f64::from(u32::MAX)).contains(&v) { Ok(v as u32) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_the_field_writes_them() {
        assert_eq!(integer(" 12 "), Ok(12));
        for bad in ["-1", "1.5", "x", ""] {
            assert!(integer(bad).is_err(), "{bad}");
        }
        for (t, want) in [("60 s", 60), ("2m", 120), ("1 h", 3600), ("1500 ms", 2), ("7", 7)] {
            assert_eq!(seconds(t), Ok(want), "{t}");
        }
        for bad in ["1 fortnight", "-1 s", "s", "1e99 d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!((boolean("Yes"), boolean("false")), (Ok(true), Ok(false)));
        assert!(boolean("maybe").is_err());
    }
}
