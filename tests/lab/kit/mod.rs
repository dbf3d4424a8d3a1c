//! The box in the lab, as the tests see it: run a command inside, reboot, read what it is. One box for all
//! tests; whatever a test changes it puts back, or says so where it stands in the order.

pub mod agent;
pub mod bootenv;
pub mod disk;
#[macro_use]
pub mod harness;
pub mod machine;
pub mod settings;

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

pub struct Lab {
    machine: Machine,
    agent: Option<Agent>,
    /// Every command and what came of it.
    transcript: File,
    logs: PathBuf,
    /// How often the box hung on its way up, for a timer that the emulator lost, and was reset.
    resets: u32,
}

/// What Linux says when a processor has got no tick for 21 s: now and then QEMU's TCG loses the timer of one.
const STALLED: &str = "detected stalls on CPUs";

impl Lab {
    /// Powers the box on, with these kernel arguments on trial, and waits until it is up.
    pub fn start(disk: &Path, logs: &Path, on_trial: &str) -> Lab {
        let transcript = File::create(logs.join("transcript.txt")).expect("a log");
        let mut lab = Lab { machine: Machine::start(disk, logs, on_trial), agent: None, transcript, logs: logs.into(), resets: 0 };
        lab.await_boot(None);
        lab
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
        let before = self.boot_id();
        self.agent().start(&["/usr/bin/systemctl", "reboot"]).expect("told to reboot");
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

    fn stalls(&self) -> usize {
        self.console().matches(STALLED).count()
    }
    pub fn resets(&self) -> u32 {
        self.resets
    }

    /// Waits for a boot other than `before`, and for its services.
    #[track_caller]
    fn await_boot(&mut self, before: Option<String>) {
        let until = Instant::now() + BOOT;
        let (stalls, resets) = (self.stalls(), self.resets);
        self.agent = None;
        loop {
            if self.resets == resets && self.stalls() > stalls {
                self.resets += 1;
                println!("the box has hung on its way up, without a tick on one of its emulated processors: it is reset, once");
                self.machine.reset();
            }
            if let Some(why) = self.machine.ended() {
                panic!("{why}");
            }
            let now = Instant::now();
            assert!(now < until, "the box is not up after {} s; the console ends:\n{}", BOOT.as_secs(), tail(&self.console(), 30));
            match Agent::meet(&self.machine.agent_socket(), Duration::from_secs(5)) {
                Ok(agent) => self.agent = Some(agent),
                Err(_) => {
                    thread::sleep(Duration::from_millis(500));
                    continue;
                }
            }
            // The old boot may still answer, or fall silent between two words.
            let id = self.agent().run(&["/bin/cat", "/proc/sys/kernel/random/boot_id"], b"", Duration::from_secs(20));
            if id.is_ok_and(|e| e.code == Some(0) && Some(e.out.trim()) != before.as_deref()) {
                break;
            }
            self.agent = None;
            thread::sleep(Duration::from_secs(1));
        }
        // "degraded" is for the tests to judge.
        let wait = ["/usr/bin/systemctl", "is-system-running", "--wait"];
        self.run(&wait, b"", until.saturating_duration_since(Instant::now()) + COMMAND);
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
