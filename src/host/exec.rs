//! Runs a program: argv, standard input, a deadline, bounded output.
//!
//! Owns: starting, feeding, reading and killing it. Never: a shell, an inherited descriptor, an
//! output that grows without bound.

use std::{
    ffi::{OsStr, OsString},
    io::{BufRead as _, Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use crate::model::error::{Fault, Result};

/// What is kept of each of stdout and stderr; the rest is read and dropped.
const OUTPUT_LIMIT: u64 = 4 << 20;
/// Longest line that is told.
const LINE_LIMIT: u64 = 4096;
/// How much of stderr goes into a fault.
const LAST_LINES: usize = 4;

/// A program to run.
#[derive(Debug, Clone)]
pub struct Exec {
    program: OsString,
    args: Vec<OsString>,
    stdin: Vec<u8>,
    limit: Duration,
}

/// What a program said before it ended.
#[derive(Debug, Clone)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Exec {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Exec { program: program.as_ref().into(), args: Vec::new(), stdin: Vec::new(), limit: Duration::from_secs(5) }
    }
    #[must_use]
    pub fn arg(mut self, a: impl AsRef<OsStr>) -> Self {
        self.args.push(a.as_ref().into());
        self
    }
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(more.into_iter().map(|a| a.as_ref().into()));
        self
    }
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }
    /// How long it may run; five seconds unless said.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it to the end; an exit status other than 0 is a fault with the last lines of stderr.
    pub fn run(&self) -> Result<Output> {
        let out = self.run_any()?;
        if out.status.success() { Ok(out) } else { Err(self.failed(&out)) }
    }

    /// Runs it to the end, whatever the exit status.
    pub fn run_any(&self) -> Result<Output> {
        let name = self.name();
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env("LC_ALL", "C")
            .stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Fault::transient(format!("{name} is not installed or not on PATH")).with_source(e),
                _ => Fault::transient(format!("{name} cannot be started")).with_source(e),
            })?;
        let done = self.attend(&mut child);
        if done.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        done
    }

    /// The pipes are served by threads of their own, so that a full pipe never blocks the
    /// deadline. A child of the program may hold the pipes open after the program has ended (a
    /// daemon that does so is a bug there); the deadline covers that as well.
    fn attend(&self, child: &mut Child) -> Result<Output> {
        let until = Instant::now() + self.limit;
        let late = || Fault::transient(format!("{} did not end within {} s", self.name(), self.limit.as_secs_f32()));
        let (out, err) = (drain(child.stdout.take()), drain(child.stderr.take()));
        if let Some(mut to) = child.stdin.take() {
            let bytes = self.stdin.clone();
            // A program that ends without reading makes this fail; its status says why.
            std::thread::spawn(move || to.write_all(&bytes));
        }
        let wait = |rx: mpsc::Receiver<String>| rx.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|_| late());
        let (stdout, stderr) = (wait(out)?, wait(err)?);
        let mut pause = Duration::from_micros(200);
        let status = loop {
            let seen = child.try_wait().map_err(|e| Fault::transient(format!("{}: lost", self.name())).with_source(e))?;
            if let Some(status) = seen {
                break status;
            }
            if Instant::now() >= until {
                return Err(late());
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        Ok(Output { status, stdout, stderr })
    }

    /// Runs it to the end, and tells each line of stdout as it comes. The limit is for its silence: a program that says
    /// something may run for as long as it does. An exit status other than 0 is a fault with the last lines of both.
    pub fn run_told(&self, mut each: impl FnMut(&str)) -> Result<()> {
        let name = self.name();
        let lost = |e: std::io::Error| Fault::transient(format!("{name} cannot be run: {e}")).with_source(e);
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(lost)?;
        let stderr = drain(child.stderr.take());
        let (tx, lines) = mpsc::channel();
        if let Some(out) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut out = std::io::BufReader::new(out);
                let mut line = Vec::new();
                // A line without end is cut.
                while std::io::Read::by_ref(&mut out).take(LINE_LIMIT).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                    if tx.send(String::from_utf8_lossy(&line).trim().to_owned()).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
        let mut said = Vec::new();
        loop {
            match lines.recv_timeout(self.limit) {
                Ok(line) => {
                    each(&line);
                    said.push(line);
                    if said.len() > LAST_LINES {
                        said.remove(0);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Fault::transient(format!("{name} said nothing for {} s, and was ended", self.limit.as_secs_f32())));
                }
            }
        }
        let status = child.wait().map_err(lost)?;
        if status.success() {
            return Ok(());
        }
        let stderr = stderr.recv_timeout(self.limit).unwrap_or_default();
        said.extend(stderr.lines().map(str::to_owned));
        Err(self.failed(&Output { status, stdout: String::new(), stderr: said.join("\n") }))
    }

    fn name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// The fault of a program that ran and said no.
    pub fn failed(&self, out: &Output) -> Fault {
        let lines: Vec<&str> = out.stderr.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let tail = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default().join(" | ");
        let tail = if tail.is_empty() { "it said nothing".to_owned() } else { tail };
        Fault::transient(format!("{} failed ({}): {tail}", self.name(), out.status))
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut p) = pipe {
            let _ = p.by_ref().take(OUTPUT_LIMIT).read_to_end(&mut kept);
            let _ = std::io::copy(&mut p, &mut std::io::sink());
        }
        let _ = tx.send(String::from_utf8_lossy(&kept).into_owned());
    });
    rx
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_goes_in_and_output_comes_out_even_when_both_are_large() {
        let big = "x".repeat(3 << 20);
        let out = Exec::new("cat").stdin(big.clone()).run().expect("cat");
        assert_eq!(out.stdout.len(), big.len());
    }

    #[test]
    fn a_failure_carries_what_the_program_said_last() {
        let e = Exec::new("ls").arg("/nonexistent/here").run().expect_err("no such file");
        assert!(e.text().starts_with("ls failed") && e.text().contains("No such file"), "{e}");
        let e = Exec::new("no-such-program-anywhere").run().expect_err("not there");
        assert!(e.text().contains("not installed"), "{e}");
    }

    #[test]
    fn a_program_past_its_deadline_is_killed() {
        let start = Instant::now();
        let e = Exec::new("sleep").arg("30").limit(Duration::from_millis(100)).run().expect_err("too long");
        assert!(e.is_transient() && start.elapsed() < Duration::from_secs(5), "{e}");
    }

    #[test]
    fn lines_are_told_as_they_come_and_silence_has_an_end() {
        let mut told = Vec::new();
        Exec::new("printf").arg("one\\n 2\\nthree").run_told(|l| told.push(l.to_owned())).expect("printf");
        assert_eq!(told, ["one", "2", "three"]);
        let e = Exec::new("ls").args(["/", "/nonexistent/here"]).run_told(|_| ()).expect_err("no such file");
        assert!(e.text().contains("No such file"), "{e}");
        let e = Exec::new("sleep").arg("30").limit(Duration::from_millis(100)).run_told(|_| ()).expect_err("silent");
        assert!(e.text().contains("said nothing"), "{e}");
    }

    #[test]
    fn output_without_end_is_bounded() {
        let out = Exec::new("head").args(["-c", "9000000", "/dev/zero"]).run().expect("head");
        assert_eq!(out.stdout.len() as u64, OUTPUT_LIMIT);
    }
}
