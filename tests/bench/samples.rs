//! Samples of the slow comparison, gathered over as many runs as it takes.
//!
//! Owns `target/bench-samples.json`, written after every round: a run that is cut short keeps what it
//! has, and the next goes on. Samples belong to one binary: those of another are dropped, for two
//! programs are not one distribution. Each says what the host's load was. Never: what is measured.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// One round: both sides, up and down, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Which run of the benchmarks it is of, from 0.
    pub run: u32,
    /// Guests of the round.
    pub guests: usize,
    /// The host's load over one minute, when the round was over.
    pub load: f64,
    pub ours_up: f64,
    pub other_up: f64,
    pub ours_down: f64,
    pub other_down: f64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// SHA-256 of the binary that was measured.
    binary: String,
    runs: u32,
    samples: Vec<Sample>,
}

pub struct Samples {
    path: PathBuf,
    kept: Kept,
}

impl Samples {
    /// Begins a run: with what earlier ones kept of the same binary, or with nothing.
    pub fn open(path: PathBuf, binary: &Path) -> io::Result<Samples> {
        let binary = data_encoding::HEXLOWER.encode(&Sha256::digest(fs::read(binary)?));
        let kept = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Kept>(&bytes).ok().filter(|k| k.binary == binary),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let mut kept = kept.unwrap_or(Kept { binary, ..Kept::default() });
        kept.runs += 1;
        Ok(Samples { path, kept })
    }

    pub fn of(&self, guests: usize) -> impl Iterator<Item = &Sample> {
        self.kept.samples.iter().filter(move |s| s.guests == guests)
    }

    pub fn count(&self, guests: usize) -> usize {
        self.of(guests).count()
    }

    /// Keeps a sample, on the disk too; `run` is filled in here.
    pub fn add(&mut self, sample: Sample) -> io::Result<()> {
        self.kept.samples.push(Sample { run: self.kept.runs - 1, ..sample });
        let temp = self.path.with_extension("new");
        fs::write(&temp, serde_json::to_vec(&self.kept)?)?;
        fs::rename(&temp, &self.path)
    }

    /// Where the samples of so many guests come from: runs and the range of the host's load.
    pub fn origin(&self, guests: usize) -> String {
        let mut runs: Vec<u32> = self.of(guests).map(|s| s.run).collect();
        runs.dedup();
        let load = |f: fn(f64, f64) -> f64| self.of(guests).map(|s| s.load).reduce(f).unwrap_or(f64::NAN);
        format!("{} rounds of {} runs at a load of {:.1} to {:.1}", self.count(guests), runs.len(), load(f64::min), load(f64::max))
    }
}

/// The host's load over one minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|l| l.parse().ok()).unwrap_or(f64::NAN)
}

/// That a run goes on where another was cut short, and that another binary begins anew.
pub fn check() {
    let dir = crate::scratch();
    let (path, program) = (dir.path().join("samples.json"), dir.path().join("program"));
    let sample = |guests, ours_up| Sample { run: 0, guests, load: 1.0, ours_up, other_up: 2.0, ours_down: 3.0, other_down: 4.0 };
    fs::write(&program, "one").expect("written");
    let open = || Samples::open(path.clone(), &program).expect("opened");
    let mut first = open();
    first.add(sample(1, 1.5)).expect("kept");
    first.add(sample(4, 1.5)).expect("kept");
    drop(first);
    let mut second = open();
    second.add(sample(1, 2.5)).expect("kept");
    let ups: Vec<(u32, f64)> = open().of(1).map(|s| (s.run, s.ours_up)).collect();
    assert_eq!(ups, [(0, 1.5), (1, 2.5)]);
    assert_eq!((open().count(4), open().count(16)), (1, 0));
    fs::write(&program, "another").expect("written");
    assert_eq!(open().count(1), 0);
    fs::write(&path, "{ torn").expect("written");
    assert_eq!(open().count(1), 0);
}
