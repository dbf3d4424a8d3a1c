//! A second, small computer: two processors, the disks that a test plugs in, UEFI without a memory of its own or with the keys
//! that a test has it know. Owns the
//! process, its console and the way to the guest agent of what it boots. Never: what that is.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::kit::{
    agent::Agent,
    machine::{CPU, FIRMWARE},
};

/// UEFI with Secure Boot; what it remembers is out of the reach of what it boots.
pub const SECURE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";

/// The host may be busy, and everything is emulated.
const PATIENCE: Duration = Duration::from_secs(900);

pub struct Small {
    child: Child,
    console: PathBuf,
    // After the child: its sockets are here.
    sockets: tempfile::TempDir,
}

/// A disk: its file (raw), its serial number, and whether it forgets what is written to it.
pub struct Plugged<'a>(pub &'a Path, pub &'a str, pub bool);

impl Small {
    /// Powers on; the first disk is the one to boot from.
    pub fn power_on(name: &str, logs: &Path, disks: &[Plugged]) -> Small {
        Self::start(name, logs, disks, FIRMWARE, false)
    }

    /// The same, with Secure Boot and these variables of the firmware.
    pub fn power_on_secure(name: &str, logs: &Path, disks: &[Plugged], variables: &Path) -> Small {
        Self::start(name, logs, disks, [SECURE, variables.to_str().expect("UTF-8")], true)
    }

    fn start(name: &str, logs: &Path, disks: &[Plugged], firmware: [&str; 2], secure: bool) -> Small {
        let sockets = tempfile::Builder::new().prefix("bothy-small-").tempdir_in("/tmp").expect("a folder in /tmp");
        let [vars, console] = ["vars.fd", "console.log"].map(|n| logs.join(format!("{name}-{n}")));
        fs::copy(firmware[1], &vars).expect("OVMF's variables");
        let _ = fs::remove_file(&console);
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        qemu.args(["-nodefaults", "-display", "none", "-cpu", CPU, "-smp", "2", "-m", "2G"]);
        let guard = if secure { ",smm=on" } else { "" };
        qemu.args(["-machine", &format!("q35,kernel-irqchip=split{guard}"), "-accel", "tcg,thread=multi"]);
        if secure {
            qemu.args(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
        }
        // Without any watchdog: the lab's own computer has one.
        qemu.args(["-global", "ICH9-LPC.enable_tco=off"]);
        qemu.args(["-device", "intel-iommu,intremap=on,eim=on,caching-mode=on"]);
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={}", firmware[0]));
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", vars.display()));
        for (n, Plugged(file, serial, forgets)) in disks.iter().enumerate() {
            let snapshot = if *forgets { "on" } else { "off" };
            qemu.arg("-drive").arg(format!("if=none,id=d{n},format=raw,cache=unsafe,snapshot={snapshot},file={}", file.display()));
            qemu.arg("-device").arg(format!("virtio-blk-pci,drive=d{n},serial={serial},bootindex={n}"));
        }
        qemu.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]);
        qemu.arg("-chardev").arg(format!("socket,id=agent,path={},server=on,wait=off", sockets.path().join("agent").display()));
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        let said = File::create(logs.join(format!("{name}-qemu.log"))).expect("a log");
        qemu.stdin(Stdio::null()).stdout(said.try_clone().expect("a log")).stderr(said);
        Small { child: qemu.spawn().expect("setpriv and QEMU"), console, sockets }
    }

    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Until the console says so.
    #[track_caller]
    pub fn says(&mut self, word: &str) {
        self.until(word, |s| s.console().contains(word));
    }

    /// Until it has powered itself off.
    #[track_caller]
    pub fn goes_off(&mut self) {
        self.until("off", |s| s.child.try_wait().expect("our child").is_some());
    }

    /// What a line of shell says in it, once it says something that is what is wanted.
    #[track_caller]
    pub fn answers(&mut self, script: &str, is: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        self.until(script, |s| {
            let met = Agent::meet(&s.sockets.path().join("agent"), Duration::from_secs(5));
            let said = met.and_then(|mut a| a.run(&["/bin/sh", "-c", script], b"", Duration::from_secs(60)));
            last = said.map(|e| e.out + &e.err).unwrap_or_default();
            is(last.trim_end())
        });
        last.trim_end().into()
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Small) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < until, "never: {what}; the console:\n{}", super::tail(&self.console(), 20));
            thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
