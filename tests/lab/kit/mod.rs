//! The box in the lab, as the tests see it: run a command inside, reboot, read what it is. One box for all
//! tests; whatever a test changes it puts back, or says so where it stands in the order.

pub mod agent;
pub mod bootenv;
pub mod bundles;
pub mod disk;
#[macro_use]
pub mod harness;
pub mod machine;
pub mod own;
pub mod settings;
pub mod small;

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use agent::{Agent, Ended};
use machine::Machine;
use serde_json::Value;

/// A command inside, unless the test says otherwise. The host may be busy, and the box is emulated.
const COMMAND: Duration = Duration::from_secs(120);
/// Power to a system that has started its services.
const BOOT: Duration = Duration::from_secs(900);

/// A box that has begun to answer, and says nothing for so long on its way up, hangs.
const SILENT: Duration = Duration::from_secs(180);

pub struct Lab {
    machine: Machine,
    agent: Option<Agent>,
    /// Every command and what came of it.
    transcript: File,
    logs: PathBuf,
}

impl Lab {
    /// Powers the box on, with these kernel arguments on trial and this medium plugged in.
    pub fn power_on(disk: &Path, medium: &Path, logs: &Path, on_trial: &str) -> Lab {
        let transcript = File::create(logs.join("transcript.txt")).expect("a log");
        Lab { machine: Machine::start(disk, medium, logs, on_trial), agent: None, transcript, logs: logs.into() }
    }
    /// Waits until it is up.
    #[track_caller]
    pub fn await_up(&mut self) {
        self.await_boot(None);
    }

    fn agent(&mut self) -> &mut Agent {
        self.agent.as_mut().expect("the box is up")
    }

    /// Runs a program inside; how it ended.
    #[track_caller]
    pub fn run(&mut self, argv: &[&str], stdin: &[u8], patience: Duration) -> Ended {
        let begun = Instant::now();
        let ended = self.agent().run(argv, stdin, patience);
        let (code, out, err) = match &ended {
            Ok(e) => (e.code.map_or("signal".into(), |c| c.to_string()), e.out.as_str(), e.err.as_str()),
            Err(why) => ("?".into(), "", why.as_str()),
        };
        let _ = writeln!(self.transcript, "$ {}\n{out}{err}[{code}, {:.1} s]\n", argv.join(" "), begun.elapsed().as_secs_f32());
        ended.unwrap_or_else(|why| panic!("{argv:?}: {why}"))
    }

    /// Runs a line of shell inside, which must succeed; its output.
    #[track_caller]
    pub fn sh(&mut self, script: &str) -> String {
        self.sh_within(COMMAND, script)
    }
    /// The same, with its own patience.
    #[track_caller]
    pub fn sh_within(&mut self, patience: Duration, script: &str) -> String {
        let e = self.run(&["/bin/sh", "-euc", script], b"", patience);
        assert_eq!(e.code, Some(0), "{script}\n{}{}", e.out, e.err);
        e.out.trim_end().into()
    }
    /// Asks a line of shell inside until its output is what is wanted.
    #[track_caller]
    pub fn eventually(&mut self, what: &str, patience: Duration, script: &str, is: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + patience;
        loop {
            let e = self.run(&["/bin/sh", "-euc", script], b"", COMMAND);
            let said = e.out + &e.err;
            if e.code == Some(0) && is(said.trim_end()) {
                return said.trim_end().into();
            }
            assert!(Instant::now() < until, "never: {what}; at last {script} said [{:?}]\n{said}", e.code);
            thread::sleep(Duration::from_secs(2));
        }
    }

    /// Writes a file anew.
    #[track_caller]
    pub fn replace(&mut self, path: &str, bytes: &[u8]) {
        let e = self.run(&["/bin/sh", "-euc", &format!("cat >{path}; sync {path}")], bytes, COMMAND);
        assert_eq!(e.code, Some(0), "writing {path}: {}", e.err);
    }

    /// Runs `bothy --json ...` inside; its answer.
    #[track_caller]
    pub fn bothy(&mut self, arguments: &[&str]) -> Value {
        let argv: Vec<&str> = ["/usr/bin/bothy", "--json"].iter().chain(arguments).copied().collect();
        let e = self.run(&argv, b"", COMMAND);
        assert_eq!(e.code, Some(0), "{argv:?}: {}{}", e.out, e.err);
        serde_json::from_str(&e.out).unwrap_or_else(|why| panic!("{argv:?}: {why}: {}", e.out))
    }

    /// Restarts the box in order, and waits until it is up again.
    #[track_caller]
    pub fn reboot(&mut self) {
        self.end_by(&["/usr/bin/systemctl", "reboot"]);
    }
    /// Runs a program that ends this boot, and waits until the box is up again.
    #[track_caller]
    pub fn end_by(&mut self, argv: &[&str]) {
        let before = self.boot_id();
        self.agent().start(argv).expect("told to end");
        self.await_boot(Some(before));
    }

    /// The boot that this one is about to end with by itself.
    #[track_caller]
    pub fn await_next_boot(&mut self) {
        let before = self.boot_id();
        self.await_boot(Some(before));
    }

    pub fn boot_id(&mut self) -> String {
        self.sh("cat /proc/sys/kernel/random/boot_id")
    }

    /// What firmware, boot loader and kernels have written so far.
    pub fn console(&self) -> String {
        self.machine.console()
    }

    /// Why a box that answers nobody is not to blame for that, if it is not. QEMU 10's TCG has races: it stops at
    /// an assertion of its own, or loses an interrupt, and then all stands still though no kernel has given up.
    pub fn emulator_failed(&mut self) -> Option<String> {
        if let Some((in_order, why)) = self.machine.ended() {
            return (!in_order).then_some(why);
        }
        let console = self.console();
        let boot = console.rsplit("Booting `").next().unwrap_or_default();
        println!("the console ends:\n{}", tail(boot, 30));
        let mut seen = String::new();
        for _ in 0..2 {
            seen += &self.machine.processors();
            thread::sleep(Duration::from_secs(5));
        }
        let _ = fs::write(self.logs.join("processors.txt"), seen);
        let own = ["Kernel panic", "Oops:", "kernel BUG at", "Out of memory"].iter().any(|word| boot.contains(word));
        (!own).then(|| "it stands still, and its kernel has not given up; its processors are in build/lab/processors.txt".into())
    }

    /// Waits for a boot other than `before`, and for its services.
    #[track_caller]
    fn await_boot(&mut self, before: Option<String>) {
        let until = Instant::now() + BOOT;
        self.agent = None;
        // When it last said something of this boot.
        let mut heard: Option<Instant> = None;
        loop {
            if let Some((_, why)) = self.machine.ended() {
                panic!("{why}");
            }
            assert!(Instant::now() < until, "the box is not up after {} s", BOOT.as_secs());
            assert!(heard.is_none_or(|at| at.elapsed() < SILENT), "the box was coming up, and says nothing since {} s", SILENT.as_secs());
            // The old boot may still answer, or fall silent between two words.
            match self.look(&["/bin/cat", "/proc/sys/kernel/random/boot_id"]) {
                Some(id) if Some(id.trim()) != before.as_deref() => heard = Some(Instant::now()),
                _ => {
                    thread::sleep(Duration::from_millis(500));
                    continue;
                }
            }
            // "degraded" is for the tests to judge.
            match self.look(&["/usr/bin/systemctl", "is-system-running"]).as_deref().map(str::trim) {
                Some("initializing" | "starting") | None => thread::sleep(Duration::from_secs(1)),
                Some(_) => return,
            }
        }
    }

    /// What a command says if the box answers in good time; the next one is asked in a new conversation if not.
    fn look(&mut self, argv: &[&str]) -> Option<String> {
        if self.agent.is_none() {
            self.agent = Agent::meet(&self.machine.agent_socket(), Duration::from_secs(5)).ok();
        }
        let said = self.agent.as_mut()?.run(argv, b"", Duration::from_secs(20));
        if said.is_err() {
            self.agent = None;
        }
        said.ok().map(|e| e.out)
    }

    /// Is somebody there? For between the tests.
    pub fn answers(&mut self) -> bool {
        let socket = self.machine.agent_socket();
        // A command that was given up on may still answer in the old conversation.
        self.agent = None;
        self.agent = (0..6).find_map(|_| Agent::meet(&socket, Duration::from_secs(20)).ok());
        self.agent.is_some()
    }

    /// The journals of all boots, into the logs.
    pub fn keep_journal(&mut self) {
        if !self.answers() {
            return;
        }
        let journal =
            "journalctl --no-pager -b all -o short-monotonic | grep -v ' qemu-ga\\['; cat /var/log/libvirt/qemu/*.log 2>/dev/null || true";
        if let Ok(e) = self.agent().run(&["/bin/sh", "-c", journal], b"", COMMAND) {
            let _ = fs::write(self.logs.join("journal.txt"), e.out);
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// Programs of the system are not on everybody's PATH.
pub fn program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|d: PathBuf| d.join(name).exists())
}
