//! The benchmarks. `tests/run --bench` builds and runs them: one table on the screen, the same in
//! `target/bench.json`. Each shows both sides of a comparison, measured in the same run and in turns,
//! since absolute figures drift from run to run. Words on the command line choose benches by name.

mod daemon;
/// Replies are held against what is declared by the tests whose kit this is; here they are timed.
mod declared {
    pub fn unlike_anywhere(_: &str, _: &str, _: u16, _: &str, _: &[u8]) -> Vec<String> {
        Vec::new()
    }
}
mod durable;
mod fabric;
mod get;
mod hub;
#[allow(dead_code, unused_macros)]
#[path = "../real/kit/mod.rs"]
mod kit;
mod load;
mod notify;
mod ns_scale;
mod orchestrator;
mod overhead;
mod place;
mod samples;
mod table;
mod writers;

use std::{path::Path, process::ExitCode};

use table::Row;

/// A bench, by its name on the command line.
type Bench = (&'static str, fn() -> Vec<Row>);

/// In the order they run.
const ALL: [Bench; 8] = [
    ("ns_scale", ns_scale::measure),
    ("store", durable::measure),
    ("place", place::measure),
    ("notify", notify::measure),
    ("fabric", fabric::measure),
    ("daemon", daemon::measure),
    ("overhead", overhead::measure),
    ("hub", hub::measure),
];

/// A folder that goes with its owner, on the disk of the build and never in memory.
pub fn scratch() -> tempfile::TempDir {
    let at = target().join("tmp");
    std::fs::create_dir_all(&at).expect("target/tmp");
    tempfile::Builder::new().prefix("bench-").tempdir_in(at).expect("a folder in target/tmp")
}

pub fn target() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

fn main() -> ExitCode {
    let all: Vec<String> = std::env::args().skip(1).collect();
    if let [word, tls, answer] = &all[..]
        && word == "serve-bare"
    {
        get::serve_bare(Path::new(tls), Path::new(answer));
        return ExitCode::SUCCESS;
    }
    samples::check();
    // Cargo adds `--bench`.
    let chosen: Vec<String> = all.into_iter().filter(|a| !a.starts_with("--")).collect();
    let mut rows = Vec::new();
    for (name, measure) in ALL {
        // A thousand boxes take minutes to come, by design: for those who ask for them.
        let is_usual = name != "hub" || table::long();
        if (chosen.is_empty() && is_usual) || chosen.iter().any(|c| c == name) {
            eprintln!("== {name}");
            rows.extend(measure());
        }
    }
    let text = format!("{}{}", header(), table::text(&rows));
    print!("\n{text}");
    let kept = std::fs::create_dir_all(target())
        .and_then(|()| std::fs::write(target().join("bench.txt"), &text))
        .and_then(|()| std::fs::write(target().join("bench.json"), format!("{:#}\n", table::json(&rows))));
    if let Err(e) = kept {
        eprintln!("cannot write target/bench.json: {e}");
        return ExitCode::FAILURE;
    }
    let missed = rows.iter().filter(|r| r.holds() == Some(false)).count();
    println!("{} figures, {missed} miss their goal", rows.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How the figures came about.
fn header() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu =
        read("/proc/cpuinfo").lines().find_map(|l| Some(l.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned()));
    let load = read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned();
    format!(
        "{} x {}, load {load} at the end. In-process figures: profile `measure` (release, but thin LTO and 16 units);\n\
         the daemon's: target/release/bothy. `|` names the other side; a ratio is ours / other.\n\n",
        std::thread::available_parallelism().map_or(0, usize::from),
        cpu.unwrap_or_else(|| "unknown CPU".into()),
    )
}
