//! One line per figure: ours, the other side, their ratio, what was asked for and whether it holds.
//!
//! Owns the table on the screen and its twin in JSON, and the few statistics the benches share.

use std::{fmt::Write as _, time::Duration};

use serde_json::{Value, json};

/// What was asked of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Shown beside the others; nothing is asked of it.
    Shown,
    AtMost(f64),
    AtLeast(f64),
    RatioAtMost(f64),
    RatioAtLeast(f64),
    /// One of the two will do.
    EitherAtMost {
        value: f64,
        ratio: f64,
    },
}

#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub ours: f64,
    pub other: Option<f64>,
    pub unit: &'static str,
    pub goal: Goal,
}

impl Row {
    pub fn new(name: impl Into<String>, unit: &'static str, ours: f64, other: Option<f64>, goal: Goal) -> Row {
        Row { name: name.into(), ours, other, unit, goal }
    }
    fn ratio(&self) -> Option<f64> {
        // Nothing on both sides is equal.
        self.other.map(|o| if self.ours == o { 1.0 } else { self.ours / o })
    }
    /// `None` where nothing was asked. A figure that is missing (NaN) never holds.
    pub fn holds(&self) -> Option<bool> {
        match self.goal {
            Goal::Shown => None,
            Goal::AtMost(x) => Some(self.ours <= x),
            Goal::AtLeast(x) => Some(self.ours >= x),
            Goal::RatioAtMost(x) => Some(self.ratio().is_some_and(|r| r <= x)),
            Goal::RatioAtLeast(x) => Some(self.ratio().is_some_and(|r| r >= x)),
            Goal::EitherAtMost { value, ratio } => Some(self.ours <= value || self.ratio().is_some_and(|r| r <= ratio)),
        }
    }
    fn goal(&self) -> String {
        match self.goal {
            Goal::Shown => String::new(),
            Goal::AtMost(x) => format!("<= {}", number(x)),
            Goal::AtLeast(x) => format!(">= {}", number(x)),
            Goal::RatioAtMost(x) => format!("<= {x:.2}x"),
            Goal::RatioAtLeast(x) => format!(">= {x:.2}x"),
            Goal::EitherAtMost { value, ratio } => format!("<= {} or {ratio:.2}x", number(value)),
        }
    }
    fn json(&self) -> Value {
        json!({
            "name": self.name, "ours": self.ours, "other": self.other, "unit": self.unit,
            "ratio": self.ratio(), "goal": self.goal(), "holds": self.holds(),
        })
    }
}

/// Three digits that count, and never an exponent.
fn number(x: f64) -> String {
    let decimals = match x.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 => 2,
        _ => 3,
    };
    format!("{x:.decimals$}")
}

pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(Row::json).collect()
}

pub fn text(rows: &[Row]) -> String {
    let head = ["", "ours", "other", "unit", "ratio", "goal", "holds"].map(String::from);
    let line = |r: &Row| {
        let holds = match r.holds() {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        let ratio = r.ratio().map_or(String::new(), |x| format!("{x:.2}x"));
        [r.name.clone(), number(r.ours), r.other.map_or(String::new(), number), r.unit.into(), ratio, r.goal(), holds.into()]
    };
    let all: Vec<[String; 7]> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    let width = |c: usize| all.iter().map(|l| l[c].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut out = String::new();
    for l in &all {
        let cell = |c: usize| match c {
            0 | 3 | 6 => format!("{:<1$}", l[c], widths[c]),
            _ => format!("{:>1$}", l[c], widths[c]),
        };
        let cells: Vec<String> = (0..7).map(cell).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

/// A sample's quantile (nearest rank).
pub fn quantile(samples: &[f64], q: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

/// The 95 % interval of a quantile, by the binomial spread of its rank; the largest sample bounds it
/// where there are too few.
pub fn interval(samples: &[f64], q: f64) -> (f64, f64) {
    let n = samples.len() as f64;
    let spread = 1.96 * (q * (1.0 - q) / n).sqrt();
    (quantile(samples, (q - spread).max(0.0)), quantile(samples, (q + spread).min(1.0)))
}

pub fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}

/// Whether the run may take its time.
pub fn long() -> bool {
    std::env::var_os("BOTHY_LONG").is_some() || std::env::args().any(|a| a == "--long")
}
