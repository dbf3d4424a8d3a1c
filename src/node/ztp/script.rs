//! A script of onboarding information, run in a sandbox of systemd's: the file system is read-only but for its own
//! folder and what it is given, no new privileges, bounded memory, tasks and time.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, time::Duration};

use camino::Utf8Path;

use crate::{
    host::exec::Exec,
    model::error::{Fault, Result},
    ztp::onboard::{ScriptEnd, script_end},
};

/// A script that hangs would keep the box from ever being somebody's.
const LIMIT: Duration = Duration::from_secs(600);

/// Characters of the last of what it said.
const MOST_SAID: usize = 900;

/// Whether scripts may run where nothing can hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    Systemd,
    /// A host without systemd, and somebody who says that it may be so.
    None,
    /// A host without systemd, and nobody there: no script runs.
    Absent,
}

fn no_systemd() -> Fault {
    Fault::conflict("this host has no systemd, which scripts are held by: `bothy ztp run --unconfined` runs them all the same")
}

impl Sandbox {
    pub fn of_this_host() -> Result<Sandbox> {
        if Utf8Path::new("/run/systemd/system").exists() { Ok(Sandbox::Systemd) } else { Err(no_systemd()) }
    }
}

/// Reports the exit status as the last word of its output. What the sandbox makes of an end by a signal, of a limit or of a unit that
/// never was is a status like any other (systemd-run: 0 for SIGTERM, 1 for a time-out or want of memory): without this word the script
/// has not come to its end. Its arguments are argv; nothing of the script is in it.
const WITNESS: &str = r#"said=$1; shift; status=0; "$@" || status=$?; printf '\n%s %s\n' "$said" "$status""#;

/// Its end, and the last of what it said. `hidden`: what it may not read.
pub fn run(
    work: &Utf8Path,
    name: &str,
    script: &[u8],
    sandbox: Sandbox,
    writable: &[&Utf8Path],
    hidden: &Utf8Path,
) -> Result<(ScriptEnd, String)> {
    if sandbox == Sandbox::Absent {
        return Err(no_systemd());
    }
    let interpreter = interpreter(script)?;
    let work = work.canonicalize_utf8().map_err(|e| Fault::transient(format!("{work}: {e}")))?;
    let path = work.join(format!("ztp-{name}"));
    let _ = fs::remove_file(&path);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = file.and_then(|mut f| f.write_all(script));
    written.map_err(|e| Fault::transient(format!("cannot write {path}: {e}")))?;
    let word = format!("script-has-ended-{}", uuid::Uuid::new_v4().simple());
    let unit = format!("bothy-ztp-{name}.service");
    let how = command(sandbox, &unit, writable, hidden);
    let how = how.args(["/bin/sh", "-c", WITNESS, "sh", &word]).args(&interpreter).arg(&path);
    let out = how.limit(LIMIT + Duration::from_secs(30)).run_any();
    if sandbox == Sandbox::Systemd {
        // Nothing of it runs on into what comes after, a rollback not least.
        let _ = Exec::new("systemctl").args(["stop", &unit]).limit(Duration::from_secs(30)).run_any();
    }
    let _ = fs::remove_file(&path);
    let out = out?;
    let (said, status) = out.stdout.rsplit_once(&word).unwrap_or((&out.stdout, ""));
    let said = [said.trim(), out.stderr.trim()].join("\n");
    let last: Vec<&str> = said.trim().lines().rev().take(5).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    let skipped = last.chars().count().saturating_sub(MOST_SAID);
    Ok((script_end(status.trim().parse().ok()), last.chars().skip(skipped).collect()))
}

/// Scripts that outlive the bothy that began them, which was told to stop.
pub fn stop() {
    if Sandbox::of_this_host().is_ok() {
        let units = ["stop", "bothy-ztp-pre.service", "bothy-ztp-post.service"];
        let _ = Exec::new("systemctl").args(units).limit(Duration::from_secs(30)).run_any();
    }
}

/// Program and argument of its first line. The program reads the script: the box's own folders are mounted so that
/// nothing in them can be started.
fn interpreter(script: &[u8]) -> Result<Vec<String>> {
    let bad = || Fault::invalid("a script begins with a line such as #!/bin/sh, of at most 127 bytes");
    let line = script.split(|b| *b == b'\n').next().and_then(|l| l.strip_prefix(b"#!")).ok_or_else(bad)?;
    let line = std::str::from_utf8(line).ok().map(str::trim).filter(|l| l.starts_with('/') && l.len() <= 125).ok_or_else(bad)?;
    let program = line.split_whitespace().next().unwrap_or_default();
    if !Utf8Path::new(program).is_file() {
        return Err(Fault::invalid(format!("a script wants {program}, which this box has not")));
    }
    // As the kernel does it: everything behind the first blank is one argument.
    Ok(line.splitn(2, char::is_whitespace).map(|w| w.trim().to_owned()).collect())
}

fn command(sandbox: Sandbox, unit: &str, writable: &[&Utf8Path], hidden: &Utf8Path) -> Exec {
    if sandbox == Sandbox::None {
        return Exec::new("/usr/bin/env");
    }
    let mut how = Exec::new("systemd-run").args(["--quiet", "--wait", "--pipe", "--collect", "--service-type=exec", "--unit", unit]);
    let limit = format!("RuntimeMaxSec={}", LIMIT.as_secs());
    let secret = format!("InaccessiblePaths=-{hidden}");
    for property in [
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "PrivateDevices=yes",
        "NoNewPrivileges=yes",
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectControlGroups=yes",
        "RestrictSUIDSGID=yes",
        "RestrictNamespaces=yes",
        "LockPersonality=yes",
        "CapabilityBoundingSet=~CAP_SYS_ADMIN CAP_SYS_PTRACE CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_BOOT",
        "SystemCallFilter=~@mount @module @raw-io @reboot @swap",
        "InaccessiblePaths=-/run/systemd/private",
        "InaccessiblePaths=-/run/dbus",
        "MemoryMax=256M",
        "TasksMax=64",
        "TimeoutStopSec=5",
        &secret,
        &limit,
    ] {
        how = how.args(["-p", property]);
    }
    for folder in writable {
        how = how.args(["-p", &format!("ReadWritePaths={folder}")]);
    }
    how
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_script_is_told_from_its_exit_status_with_its_last_words() {
        let dir = tempfile::tempdir().expect("dir");
        let work = Utf8Path::from_path(dir.path()).expect("utf-8");
        for (script, end, said) in [
            ("#!/bin/sh\necho well\n", ScriptEnd::Done, "well"),
            ("#!/bin/sh\necho hm >&2\nexit 3\n", ScriptEnd::Soft(3), "hm"),
            ("#!/bin/sh\nexit 127\n", ScriptEnd::Soft(127), ""),
            ("#!/bin/sh\nexit 128\n", ScriptEnd::Hard, ""),
            ("#!/bin/sh\nexit 255\n", ScriptEnd::Hard, ""),
            ("#!/bin/sh\nkill -9 $$\n", ScriptEnd::Hard, "Killed"),
            // Ended by what kills the interpreter as a whole: nobody is left to say how.
            ("#!/bin/sh\nkill -9 $PPID; kill -9 $$\n", ScriptEnd::Hard, ""),
            ("#! /bin/sh -e\nfalse\nexit 0\n", ScriptEnd::Soft(1), ""),
        ] {
            assert_eq!(run(work, "t", script.as_bytes(), Sandbox::None, &[], work).expect("run"), (end, said.to_owned()), "{script}");
        }
        for bad in ["echo no first line\n", "#!sh\n", "#!\n", "#!/no/such/program\n", "\u{7f}ELF"] {
            run(work, "t", bad.as_bytes(), Sandbox::None, &[], work).expect_err(bad);
        }
        assert_eq!(work.read_dir_utf8().expect("dir").count(), 0, "nothing is left");
    }
}
