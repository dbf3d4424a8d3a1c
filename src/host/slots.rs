//! `update::port::Slots` on the box: what it was booted from, RAUC, and files beside the store.
//!
//! ```text
//! DATA/update/journal    what is remembered of updates
//! DATA/bundles/*.raucb   bundles while they are needed
//! ```
//! A box has slots if its system says that it is Bothy's image (`IMAGE_ID=bothy`) and the kernel's command line names one.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    durable::{ensure_file, ensure_folder, io_fault, publish, remove, sync_folder, temp},
    efi::{self, SecureBoot},
    exec::Exec,
    facts::Tree,
    rauc,
};
use crate::{
    model::{
        domain::Layout,
        error::{Fault, Result},
        host::KernelArgs,
        update::{BootKind, Bundle, Running, Slot, Verified},
    },
    update::port::{Progress, Slots, Take},
};

/// How long another run of RAUC is waited for.
const PATIENCE: Duration = Duration::from_secs(1800);

pub struct LinuxSlots {
    /// `/`, or the folder of a test.
    tree: Tree,
    journal: Utf8PathBuf,
    bundles: Utf8PathBuf,
}

impl LinuxSlots {
    pub fn new(root: impl Into<Utf8PathBuf>, layout: &Layout) -> Self {
        LinuxSlots { tree: Tree::new(root), journal: layout.update_journal(), bundles: layout.bundles() }
    }

    fn path(&self, bundle: &str) -> Result<Utf8PathBuf> {
        // Names are ours, and come back from a file that an operator may have edited.
        if bundle.contains('/') || bundle.starts_with('.') {
            return Err(Fault::bug(format!("'{bundle}' is no name of a bundle")));
        }
        Ok(self.bundles.join(bundle))
    }

    fn os(&self, key: &str) -> Option<String> {
        let text = self.tree.read("etc/os-release")?;
        let value = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    }

    fn compatible(&self) -> Option<String> {
        let text = self.tree.read("etc/rauc/system.conf")?;
        let (name, value) = text.lines().filter_map(|l| l.split_once('=')).find(|(n, _)| n.trim() == "compatible")?;
        Some(value.trim().to_owned()).filter(|_| !name.is_empty())
    }

    fn uptime_s(&self) -> u64 {
        let text = self.tree.read("proc/uptime").unwrap_or_default();
        text.split(['.', ' ']).next().and_then(|s| s.parse().ok()).unwrap_or_default()
    }
}

/// What the boot loader itself has said: what follows `bothy.boot=` is the host's.
fn said_by_the_loader(args: &KernelArgs) -> KernelArgs {
    args.iter().take_while(|a| a.key != "bothy.boot").cloned().collect()
}

/// The firmware vouches for the boot loader, and this one for the rest.
fn verified(tree: &Tree, loader: &KernelArgs) -> Verified {
    let no = |why: &str| Verified::No { why: why.into() };
    match efi::secure_boot(tree) {
        SecureBoot::On if loader.has("bothy.verified", "1") => Verified::SecureBoot,
        SecureBoot::On => no("Secure Boot is on, and the boot loader does not check what it loads"),
        SecureBoot::Off => no("Secure Boot is off in the firmware"),
        SecureBoot::Setup => no("Secure Boot waits for its keys: the firmware is in setup mode"),
        SecureBoot::Absent => no("the firmware has no Secure Boot"),
        SecureBoot::Unknown => no("whether Secure Boot is on cannot be read"),
    }
}

impl Slots for LinuxSlots {
    fn running(&self) -> Result<Option<Running>> {
        if self.os("IMAGE_ID").as_deref() != Some("bothy") {
            return Ok(None);
        }
        let args = KernelArgs::parse(&self.tree.read("proc/cmdline").unwrap_or_default());
        let Some(Some(slot)) = args.get("bothy.slot") else { return Ok(None) };
        let loader = said_by_the_loader(&args);
        let missing = |what: &str| Fault::bug(format!("the image has no {what}: it is not whole"));
        let kind = match args.get("bothy.boot") {
            Some(Some("trial")) => BootKind::Trial,
            Some(Some("plain")) => BootKind::Plain,
            Some(_) | None => BootKind::Committed,
        };
        Ok(Some(Running {
            slot: slot.parse()?,
            kind,
            version: self.os("IMAGE_VERSION").ok_or_else(|| missing("IMAGE_VERSION in /etc/os-release"))?.parse()?,
            security: self.tree.parse("usr/lib/bothy/security").ok_or_else(|| missing("security counter in /usr/lib/bothy/security"))?,
            compatible: self.compatible().ok_or_else(|| missing("compatible in /etc/rauc/system.conf"))?.into(),
            verified: verified(&self.tree, &loader),
            refused_args: loader.has("bothy.refused", "1"),
            boot_id: self.tree.read("proc/sys/kernel/random/boot_id").unwrap_or_default().into(),
            uptime_s: self.uptime_s(),
        }))
    }

    fn take(&self, from: &Utf8Path, how: Take) -> Result<String> {
        let found = std::fs::metadata(from).map_err(|e| io_fault("reading the bundle", from, e))?;
        if !found.is_file() {
            return Err(Fault::invalid(format!("{from} is no file")));
        }
        ensure_folder(&self.bundles, 0o700)?;
        let name = format!("{}.raucb", uuid::Uuid::new_v4().simple());
        let to = self.bundles.join(&name);
        match how {
            Take::Move if std::fs::rename(from, &to).is_ok() => sync_folder(&self.bundles)?,
            // The folders may be on two disks.
            Take::Move | Take::Copy => {
                let made = temp(&to);
                let copied = std::fs::copy(from, &made).map_err(|e| io_fault("copying the bundle", from, e)).and_then(|_| publish(&to));
                if let Err(fault) = copied {
                    remove(&made)?;
                    return Err(fault);
                }
                if how == Take::Move {
                    remove(from)?;
                }
            }
        }
        Ok(name)
    }

    fn check(&self, bundle: &str) -> Result<Bundle> {
        rauc::info(&self.path(bundle)?)
    }

    fn write(&self, bundle: &str, to: Slot, progress: Progress<'_>) -> Result<()> {
        let path = self.path(bundle)?;
        let runs = rauc::booted()?;
        if runs == to {
            return Err(Fault::conflict(format!("RAUC takes slot {to} for the one that runs, and would write the other")));
        }
        let until = Instant::now() + PATIENCE;
        loop {
            match rauc::install(&path, &mut |percent, what| progress(percent, what)) {
                Err(f) if f.text() == "RAUC is at work already" && Instant::now() < until => {
                    progress(0, "waiting for another run of RAUC");
                    std::thread::sleep(Duration::from_secs(2));
                }
                done => return done,
            }
        }
    }

    fn sweep(&self, keep: Option<&str>) -> Result<()> {
        let entries = match self.bundles.read_dir_utf8() {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_fault("reading", &self.bundles, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| io_fault("reading", &self.bundles, e))?;
            if Some(entry.file_name()) != keep {
                remove(entry.path())?;
            }
        }
        Ok(())
    }

    fn restart(&self) -> Result<()> {
        // Comes back at once; units that stop guests have their time after it.
        Exec::new("systemctl").args(["--no-block", "reboot"]).limit(Duration::from_secs(30)).run().map(drop)
    }

    fn set_aside(&self) -> Result<()> {
        let to = self.journal.with_extension("old");
        std::fs::rename(&self.journal, &to).map_err(|e| io_fault("naming", &to, e))?;
        self.journal.parent().map_or(Ok(()), sync_folder)
    }

    fn recall(&self) -> Result<Option<String>> {
        // What is no text is no record of ours, and is told apart by its first line.
        match std::fs::read(&self.journal) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_fault("reading", &self.journal, e)),
        }
    }

    fn remember(&self, text: &str) -> Result<()> {
        if let Some(folder) = self.journal.parent() {
            ensure_folder(folder, 0o700)?;
        }
        ensure_file(&self.journal, text.as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        dir: tempfile::TempDir,
    }

    impl Fake {
        fn new() -> Self {
            let f = Fake { dir: tempfile::tempdir().expect("folder") };
            f.put("etc/os-release", "NAME=Debian\nIMAGE_ID=bothy\nIMAGE_VERSION=\"1.4\"\n");
            f.put("proc/cmdline", "root=/dev/dm-0 ro bothy.boot=committed bothy.slot=B bothy.roothash=ab quiet\n");
            f.put("usr/lib/bothy/security", "3\n");
            f.put("proc/uptime", "123.45 400.00\n");
            f.put("proc/sys/kernel/random/boot_id", "ab-cd\n");
            f.put("etc/rauc/system.conf", "[system]\ncompatible=bothy-x86_64\nbundle-formats=verity\n");
            f
        }
        fn root(&self) -> Utf8PathBuf {
            Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).expect("UTF-8")
        }
        fn put(&self, path: &str, content: impl AsRef<[u8]>) {
            let at = self.root().join(path);
            std::fs::create_dir_all(at.parent().expect("parent")).expect("folder");
            std::fs::write(at, content).expect("written");
        }
        fn slots(&self) -> LinuxSlots {
            LinuxSlots::new(self.root(), &Layout::new(self.root().join("data")))
        }
        fn running(&self) -> Option<Running> {
            self.slots().running().expect("read")
        }
    }

    #[test]
    fn what_runs_is_read_from_the_system_and_the_command_line() {
        let f = Fake::new();
        let r = f.running().expect("slots");
        assert_eq!(
            (r.slot, r.kind, r.version.as_str(), r.security, r.compatible.as_str()),
            (Slot::B, BootKind::Committed, "1.4", 3, "bothy-x86_64")
        );
        assert_eq!((r.boot_id.as_str(), r.uptime_s), ("ab-cd", 123));
        let why = |r: Running| match r.verified {
            Verified::SecureBoot => "verified".to_owned(),
            Verified::No { why } => why.to_string(),
        };
        assert!(why(r).contains("has no Secure Boot"));
        // The last is the host's own word, which is nobody's for this.
        for (line, on, words, refused) in [
            ("bothy.slot=B bothy.boot=committed", 0, "is off", false),
            ("bothy.slot=B bothy.verified=1 bothy.boot=committed", 0, "is off", false),
            ("bothy.slot=B bothy.boot=committed", 1, "does not check", false),
            ("bothy.slot=B bothy.verified=1 bothy.boot=committed", 1, "verified", false),
            ("bothy.slot=B bothy.verified=1 bothy.refused=1 bothy.boot=plain", 1, "verified", true),
            ("bothy.slot=B bothy.boot=committed bothy.verified=1 bothy.refused=1", 1, "does not check", false),
        ] {
            f.put("proc/cmdline", line);
            f.put(efi::path("SecureBoot").as_str(), [6, 0, 0, 0, on]);
            let r = f.running().expect("slots");
            assert_eq!((r.refused_args, why(r).contains(words)), (refused, true), "{line} {on}");
        }
        for (word, kind) in [("trial", BootKind::Trial), ("plain", BootKind::Plain)] {
            f.put("proc/cmdline", format!("bothy.boot={word} bothy.slot=A"));
            assert_eq!(f.running().expect("slots").kind, kind);
        }
        f.put("proc/cmdline", "ro bothy.boot=committed");
        assert_eq!(f.running(), None, "an image without slots");
        f.put("proc/cmdline", "bothy.slot=A");
        f.put("etc/os-release", "ID=debian\n");
        assert_eq!(f.running(), None, "another system");
    }

    #[test]
    fn the_record_is_there_whole_and_bundles_go_when_they_are_not_needed() {
        let f = Fake::new();
        let s = f.slots();
        assert_eq!(s.recall().expect("none"), None);
        s.sweep(None).expect("nothing there");
        for text in ["one\n", "two\n"] {
            s.remember(text).expect("written");
            assert_eq!(s.recall().expect("read").as_deref(), Some(text));
        }
        f.put("data/update/journal", [0xff, 0xfe]);
        assert!(s.recall().expect("read").is_some(), "no text, and no reason not to start");
        s.set_aside().expect("set aside");
        assert_eq!(s.recall().expect("none"), None);
        assert!(f.root().join("data/update/journal.old").exists());
        f.put("stick/x", "bundle");
        let stick = f.root().join("stick/x");
        let copied = s.take(&stick, Take::Copy).expect("copied");
        assert!(stick.exists());
        let moved = s.take(&stick, Take::Move).expect("moved");
        assert!(!stick.exists() && s.take(&stick, Take::Copy).is_err());
        let read = |name: &str| std::fs::read_to_string(s.path(name).expect("a name")).ok();
        assert_eq!((read(&copied), read(&moved)), (Some("bundle".into()), Some("bundle".into())));
        s.sweep(Some(&moved)).expect("swept");
        assert_eq!((read(&copied), read(&moved)), (None, Some("bundle".into())));
        assert!(s.path("../journal").is_err() && s.path(".x").is_err());
    }

    /// A bundle made and signed here, read by RAUC with another keyring, and with its own where RAUC shows the counter.
    #[test]
    fn rauc_refuses_what_is_no_bundle_of_ours() {
        if !crate::host::needs(&["rauc"]) {
            return;
        }
        let f = Fake::new();
        let s = f.slots();
        f.put("stick/x", [7u8; 4096]);
        let name = s.take(&f.root().join("stick/x"), Take::Copy).expect("copied");
        let e = s.check(&name).expect_err("no bundle");
        assert!(e.text().starts_with("RAUC refuses the bundle"), "{e}");
    }
}
