//! Runs the tests on one box, one after the other, in the order in which they are listed; speaks as
//! cargo's own harness does, since `tests/run` reads that. Never: what a test does.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::ExitCode,
    time::Instant,
};

use crate::kit::{Lab, bundles, disk, machine};

/// One test: its name says what the box does.
pub struct Test {
    pub name: &'static str,
    pub run: fn(&mut Lab),
}

/// Tests of one thing, in their order.
pub type Group = (&'static str, &'static [Test]);

/// Names its tests by their functions: `tests![this_holds, that_too]`.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        &[$($crate::kit::harness::Test { name: stringify!($name), run: $name }),+]
    };
}

/// The first boot is that of a trial: `on_trial`.
pub fn run(on_trial: &str, groups: &[Group]) -> ExitCode {
    let wanted = Wanted::from_arguments();
    let all = groups.iter().flat_map(|(group, tests)| tests.iter().map(move |t| (format!("{group}::{}", t.name), t)));
    let chosen: Vec<_> = all.filter(|(name, _)| wanted.has(name)).collect();
    if wanted.list {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let begun = Instant::now();
    let mut failed: Vec<&str> = Vec::new();
    if !chosen.is_empty() {
        // All else can be installed, and `tests/setup` does.
        if let Some((missing, may_skip)) = machine::lacks() {
            let strict = !may_skip || std::env::var("BOTHY_REQUIRE").as_deref() == Ok("all");
            println!("{}the lab needs {missing}", if strict { "" } else { "SKIP: " });
            return summary(0, if strict { chosen.len() } else { 0 }, begun);
        }
        failed = match attempt(on_trial, &chosen) {
            Ok(failed) => failed,
            Err(why) => {
                println!("the emulator has failed, not the box: {why}\nall begins again, once");
                attempt(on_trial, &chosen).unwrap_or_else(|why| {
                    println!("the emulator has failed again: {why}");
                    chosen.iter().map(|(name, _)| name.as_str()).collect()
                })
            }
        };
    }
    if !failed.is_empty() {
        println!("\nfailures:\n    {}\nlogs: build/lab", failed.join("\n    "));
    }
    summary(chosen.len() - failed.len(), failed.len(), begun)
}

/// All tests on a new box: those that failed, or why QEMU did.
fn attempt<'a>(on_trial: &str, chosen: &'a [(String, &Test)]) -> Result<Vec<&'a str>, String> {
    let disk = disk::build();
    let medium = bundles::medium();
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/lab");
    fs::create_dir_all(&logs).expect("a folder for logs");
    let begun = Instant::now();
    let mut lab = Lab::power_on(&disk, &medium, &logs, on_trial);
    let mut failed = Vec::new();
    let mut gone = false;
    if catch_unwind(AssertUnwindSafe(|| lab.await_up())).is_err() {
        lab.emulator_failed().map_or(Ok(()), Err)?;
        println!("the box did not come up; its console is in build/lab/console.log");
        gone = true;
    } else {
        println!("the box is up after {:.0} s", begun.elapsed().as_secs_f32());
    }
    for (name, test) in chosen {
        let begun = Instant::now();
        let ok = !gone && catch_unwind(AssertUnwindSafe(|| (test.run)(&mut lab))).is_ok();
        let note = if gone { ", the box is gone".into() } else { format!(", {:.0} s", begun.elapsed().as_secs_f32()) };
        println!("test {name} ... {}{note}", if ok { "ok" } else { "FAILED" });
        if !ok {
            failed.push(name.as_str());
            if !gone && !lab.answers() {
                lab.emulator_failed().map_or(Ok(()), Err)?;
                gone = true;
            }
        }
    }
    lab.keep_journal();
    Ok(failed)
}

fn summary(passed: usize, failed: usize, begun: Instant) -> ExitCode {
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let took = begun.elapsed().as_secs_f32();
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {took:.2}s\n");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Which tests the command line asks for; options of cargo's harness that mean nothing here are let pass.
struct Wanted {
    filters: Vec<String>,
    skipped: Vec<String>,
    exact: bool,
    list: bool,
}

impl Wanted {
    fn from_arguments() -> Wanted {
        let mut wanted = Wanted { filters: vec![], skipped: vec![], exact: false, list: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(a) = arguments.next() {
            match a.as_str() {
                "--exact" => wanted.exact = true,
                "--list" => wanted.list = true,
                "--skip" => wanted.skipped.extend(arguments.next()),
                "--test-threads" | "--color" | "--format" => drop(arguments.next()),
                a if a.starts_with('-') => {}
                filter => wanted.filters.push(filter.into()),
            }
        }
        wanted
    }
    fn has(&self, name: &str) -> bool {
        let is = |f: &String| if self.exact { name == f } else { name.contains(f.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(is)) && !self.skipped.iter().any(is)
    }
}
