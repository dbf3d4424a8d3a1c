//! Whether guests really run under KVM.
//!
//! `/dev/kvm` may be there and answer, and libvirt may list `kvm`, while no guest gets far: software
//! nesting, a hypervisor that hides half of VT-x. So a throw-away guest is run once per boot of the
//! host, and what came of it is kept in a file. Owns that guest, the file and the policy. Never:
//! real guests.

use std::{
    fs,
    io::Write as _,
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use virt::{connect::Connect, domain::Domain, error::ErrorNumber, sys};

use super::{map, xml};
use crate::{
    model::error::{Fault, Result},
    vim::port::{Accel, GuestState},
};

/// Boot sector of the throw-away guest; its source is `accel/probe.s`.
const SECTOR: &[u8; 512] = include_bytes!("accel/probe.bin");
/// What the guest writes when it got through every stage.
const RAN: &str = "36 bothy ran";
/// The firmware reads only from disks of some size.
const DISK_BYTES: u64 = 1 << 20;
/// Under KVM the guest takes a tenth of a second; a host busy with its own boot may need more.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries, while libvirt does not answer.
pub const AGAIN: Duration = Duration::from_secs(5);
/// For creating and destroying it, besides.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// `accel` in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccelPolicy {
    /// KVM where guests really run under it, else emulation.
    #[default]
    Auto,
    /// KVM or nothing: guests are refused where it does not work.
    Kvm,
    /// Always emulation.
    Tcg,
}

impl FromStr for AccelPolicy {
    type Err = Fault;
    fn from_str(s: &str) -> Result<Self> {
        match s {
            "auto" => Ok(AccelPolicy::Auto),
            "kvm" => Ok(AccelPolicy::Kvm),
            "tcg" => Ok(AccelPolicy::Tcg),
            _ => Err(Fault::invalid(format!("'{s}' is not an accelerator policy: auto, kvm or tcg"))),
        }
    }
}

/// What is known about this boot of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub accel: Accel,
    /// For people: why it is this one, in one line.
    pub why: String,
}

/// QEMU's last words can be many; what does not fit is not said.
const WHY_CHARS: usize = 400;

impl Finding {
    /// `why` is put on one line and cut to a length that people read.
    fn new(accel: Accel, why: &str) -> Self {
        let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut cut: String = line.chars().take(WHY_CHARS).collect();
        if cut.len() < line.len() {
            cut.push('…');
        }
        Finding { accel, why: cut }
    }
}

/// The policy and what has been found out so far.
pub struct Chooser {
    policy: AccelPolicy,
    /// Where the finding is kept.
    file: Utf8PathBuf,
    run_dir: Utf8PathBuf,
    known: Mutex<Option<Finding>>,
    /// One probe at a time.
    probing: Mutex<()>,
}

impl Chooser {
    pub fn new(policy: AccelPolicy, data_dir: &Utf8Path, run_dir: &Utf8Path) -> Self {
        Chooser { policy, file: data_dir.join("accel"), run_dir: run_dir.into(), known: Mutex::default(), probing: Mutex::default() }
    }

    pub fn policy(&self) -> AccelPolicy {
        self.policy
    }

    /// The finding if there is one by now; asks nobody.
    pub fn known(&self) -> Option<Finding> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The finding; runs the probe when this boot has none. `run` gets a job to do on libvirt.
    pub fn find(&self, run: impl FnOnce(Probe) -> Result<Finding>) -> Result<Finding> {
        if let Some(f) = self.known() {
            return Ok(f);
        }
        let _one = self.probing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(f) = self.known() {
            return Ok(f);
        }
        let found = self.look(run)?;
        match found.accel {
            Accel::Kvm => tracing::info!(why = %found.why, "guests run under KVM"),
            Accel::Tcg => tracing::warn!(why = %found.why, "guests are emulated, which is slow"),
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    fn look(&self, run: impl FnOnce(Probe) -> Result<Finding>) -> Result<Finding> {
        if self.policy == AccelPolicy::Tcg {
            return Ok(Finding::new(Accel::Tcg, "the configuration says accel = tcg"));
        }
        if !Utf8Path::new("/dev/kvm").exists() {
            // Not kept: it may appear when the module is loaded.
            let why = "there is no /dev/kvm: switch on VT-x or AMD-V (SVM) in the firmware's set-up, and load kvm_intel or kvm_amd";
            return Ok(Finding::new(Accel::Tcg, why));
        }
        let boot = boot_id()?;
        if let Some(kept) = fs::read_to_string(&self.file).ok().and_then(|text| recall(&text, &boot)) {
            return Ok(kept);
        }
        let found = run(Probe { run_dir: self.run_dir.clone() })?;
        if let Err(e) = self.keep(&boot, &found) {
            tracing::warn!(file = %self.file, error = %e, "the accelerator probe cannot be remembered and will run again");
        }
        Ok(found)
    }

    fn keep(&self, boot: &str, found: &Finding) -> std::io::Result<()> {
        let temp = self.file.with_extension("new");
        let mut f = fs::File::create(&temp)?;
        f.write_all(record(boot, found).as_bytes())?;
        f.sync_all()?;
        fs::rename(&temp, &self.file)
    }

    /// The accelerator for a guest that is to be defined, or why there can be none.
    pub fn allow(&self, found: &Finding) -> Result<Accel> {
        if self.policy == AccelPolicy::Kvm && found.accel == Accel::Tcg {
            return Err(Fault::conflict(format!(
                "the configuration says accel = kvm, and guests do not run under KVM here: {}; turn on VT-x or AMD-V in the firmware (in a guest: nested virtualisation), or set hypervisor.accel to auto",
                found.why
            )));
        }
        Ok(found.accel)
    }
}

fn boot_id() -> Result<String> {
    let file = "/proc/sys/kernel/random/boot_id";
    let id = fs::read_to_string(file).map_err(|e| Fault::transient(format!("{file} cannot be read")).with_source(e))?;
    Ok(id.trim().into())
}

fn record(boot: &str, found: &Finding) -> String {
    let accel = match found.accel {
        Accel::Kvm => "kvm",
        Accel::Tcg => "tcg",
    };
    format!("boot {boot}\naccel {accel}\nwhy {}\n", found.why)
}

fn recall(text: &str, boot: &str) -> Option<Finding> {
    let mut lines = text.lines();
    if lines.next()?.strip_prefix("boot ")? != boot {
        return None;
    }
    let accel = match lines.next()?.strip_prefix("accel ")? {
        "kvm" => Accel::Kvm,
        "tcg" => Accel::Tcg,
        _ => return None,
    };
    Some(Finding::new(accel, lines.next()?.strip_prefix("why ")?))
}

/// One run of the throw-away guest.
pub struct Probe {
    run_dir: Utf8PathBuf,
}

impl Probe {
    /// Runs it to its end or until patience ends, and leaves nothing behind.
    pub fn run(&self, conn: &Connect, until: Instant) -> Result<Finding> {
        self.run_as(conn, until, Accel::Kvm)
    }

    fn run_as(&self, conn: &Connect, until: Instant, accel: Accel) -> Result<Finding> {
        let name = name();
        let (disk, out) = (self.run_dir.join(format!("{name}.img")), self.run_dir.join(format!("{name}.out")));
        let result = prepare(&disk).and_then(|()| attempt(conn, &name, &disk, &out, until, accel));
        for f in [&disk, &out] {
            let _ = fs::remove_file(f);
        }
        result
    }
}

/// A name of its own for each try: libvirt may still be busy with one that nobody waits for any more, and that its name is
/// taken would say nothing about KVM.
fn name() -> String {
    static TRIES: AtomicU32 = AtomicU32::new(0);
    format!("bothy-probe-{}-{}", std::process::id(), TRIES.fetch_add(1, Ordering::Relaxed))
}

fn prepare(disk: &Utf8Path) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut f = fs::File::create(disk)?;
        f.write_all(SECTOR)?;
        f.set_len(DISK_BYTES)
    };
    write().map_err(|e| Fault::transient(format!("{disk} cannot be written; see whether its folder is there and has space")).with_source(e))
}

fn attempt(conn: &Connect, name: &str, disk: &Utf8Path, out: &Utf8Path, until: Instant, accel: Accel) -> Result<Finding> {
    let tcg = |why: String| Ok(Finding::new(Accel::Tcg, &why));
    let guest = match conn.create_domain_xml(&xml::probe(name, disk, out, accel)?, sys::VIR_DOMAIN_START_AUTODESTROY) {
        Ok(d) => d,
        Err(e) if matches!(conn.is_alive(), Ok(false)) || e.code().is(ErrorNumber::OperationTimeout) => return Err(map::fault(e)),
        Err(e) => return tcg(format!("a guest under KVM does not even start: {}", e.message().trim())),
    };
    // From here on it runs: what libvirt took to start it says nothing about KVM.
    let begun = Instant::now();
    let ended = watch(&guest, until.min(begun + PATIENCE));
    if !matches!(ended, Ok(End::Gone)) {
        let _ = guest.destroy();
    }
    match ended? {
        End::Gone if written(out) => {
            let why = format!("a throw-away guest ran under KVM in {} ms", begun.elapsed().as_millis());
            Ok(Finding::new(Accel::Kvm, &why))
        }
        End::Gone => tcg("a throw-away guest under KVM ended before it was done".into()),
        End::Stuck => tcg("/dev/kvm is there, but KVM gave up on a throw-away guest (half-working nested virtualisation?)".into()),
        End::Late => tcg(format!("/dev/kvm is there, but a throw-away guest under KVM was not done after {} s", PATIENCE.as_secs())),
    }
}

enum End {
    Gone,
    /// Stopped by QEMU for an internal error.
    Stuck,
    Late,
}

fn watch(guest: &Domain, until: Instant) -> Result<End> {
    loop {
        match map::now(guest) {
            Err(e) if map::is_absent(&e) => return Ok(End::Gone),
            Err(e) => return Err(map::fault(e)),
            Ok(now) => match now.guest() {
                GuestState::Running | GuestState::Stopping => {}
                GuestState::Off => return Ok(End::Gone),
                GuestState::Paused | GuestState::PausedIo | GuestState::Crashed => return Ok(End::Stuck),
            },
        }
        if Instant::now() >= until {
            return Ok(End::Late);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The guest's word arrives through virtlogd, a moment after the guest is gone: on a busy host, seconds.
fn written(out: &Utf8Path) -> bool {
    (0..400).any(|i| {
        if i > 0 {
            thread::sleep(Duration::from_millis(25));
        }
        fs::read_to_string(out).is_ok_and(|s| s.contains(RAN))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_finding_is_remembered_for_one_boot() {
        let found = Finding { accel: Accel::Tcg, why: "it hung".into() };
        let text = record("abc", &found);
        assert_eq!(recall(&text, "abc"), Some(found));
        assert_eq!(recall(&text, "abd"), None);
        for torn in ["", "boot abc\n", "boot abc\naccel kvm\n", "boot abc\naccel hvf\nwhy x\n"] {
            assert_eq!(recall(torn, "abc"), None, "{torn:?}");
        }
    }

    #[test]
    fn a_try_is_not_in_the_way_of_the_next() {
        assert_ne!(name(), name());
    }

    #[test]
    fn what_qemu_said_is_one_line_and_not_too_long_and_the_file_keeps_all_of_it() {
        let said = format!("a guest does not start:  QEMU closed:\n2026 qemu: x\n\t`a == b' failed.\n{}", "é ".repeat(400));
        let found = Finding::new(Accel::Tcg, &said);
        assert!(found.why.starts_with("a guest does not start: QEMU closed: 2026 qemu: x `a == b' failed. é"), "{}", found.why);
        assert!(!found.why.contains(['\n', '\t']) && found.why.ends_with('…'));
        assert_eq!(found.why.chars().count(), WHY_CHARS + 1);
        let kept = recall(&record("abc", &found), "abc").expect("kept");
        assert_eq!(kept, found);
        assert_eq!(Finding::new(Accel::Tcg, "short").why, "short");
    }

    #[test]
    fn the_policy_decides_what_is_allowed() {
        let dir = Utf8Path::new("/nonexistent");
        let (kvm, tcg) = (Finding { accel: Accel::Kvm, why: "ran".into() }, Finding { accel: Accel::Tcg, why: "it hung".into() });
        let auto = Chooser::new(AccelPolicy::Auto, dir, dir);
        assert_eq!(auto.allow(&tcg).expect("allowed"), Accel::Tcg);
        assert_eq!(auto.allow(&kvm).expect("allowed"), Accel::Kvm);
        let strict = Chooser::new(AccelPolicy::Kvm, dir, dir);
        assert_eq!(strict.allow(&kvm).expect("allowed"), Accel::Kvm);
        assert!(strict.allow(&tcg).expect_err("refused").text().contains("it hung"));
        let never = Chooser::new(AccelPolicy::Tcg, dir, dir);
        let found = never.find(|_| panic!("tcg needs no probe")).expect("found");
        assert_eq!(found.accel, Accel::Tcg);
    }

    #[test]
    fn a_probe_runs_once_and_an_unreachable_libvirt_is_no_finding() {
        if !Utf8Path::new("/dev/kvm").exists() {
            eprintln!("SKIP: needs /dev/kvm");
            return;
        }
        let dir = tempfile::tempdir().expect("dir");
        let dir = Utf8Path::from_path(dir.path()).expect("utf-8");
        let chooser = Chooser::new(AccelPolicy::Auto, dir, dir);
        assert!(chooser.find(|_| Err(Fault::transient("no libvirt"))).expect_err("unknown").is_transient());
        assert_eq!(chooser.known(), None);
        let found = Finding { accel: Accel::Kvm, why: "ran".into() };
        assert_eq!(chooser.find(|_| Ok(found.clone())).expect("found"), found);
        assert_eq!(chooser.find(|_| panic!("known by now")).expect("found"), found);
        // Another process of the same boot reads it from the file.
        let next = Chooser::new(AccelPolicy::Auto, dir, dir);
        assert_eq!(next.find(|_| panic!("remembered")).expect("found"), found);
    }

    #[test]
    fn the_boot_sector_is_what_its_source_says() {
        assert_eq!(SECTOR[510..], [0x55, 0xaa]);
        let dir = tempfile::tempdir().expect("dir");
        let (obj, bin) = (dir.path().join("p.o"), dir.path().join("p.bin"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/libvirt/accel/probe.s");
        let assembled = Command::new("as").args(["--64", source, "-o"]).arg(&obj).status();
        let linked =
            Command::new("ld").args(["-m", "elf_x86_64", "-Ttext", "0x7c00", "--oformat", "binary"]).arg(&obj).arg("-o").arg(&bin).status();
        if !(assembled.is_ok_and(|s| s.success()) && linked.is_ok_and(|s| s.success())) {
            eprintln!("SKIP: needs as and ld for x86-64");
            return;
        }
        assert_eq!(fs::read(bin).expect("built"), SECTOR);
    }
}
