//! The watchdog that the image's initramfs starts, on hardware that is not here, and what the facts say of it then.
//!
//! Owns a `modprobe` that knows one driver. Never: a real module or device.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use super::{fake::Fake, *};
use crate::sim::machine::edge_server;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/image/initramfs/conf/conf.d/bothy-watchdog");

/// Has the hardware `$hardware`, which waits `$longest` seconds at most, and 30 where it is asked for more.
const MODPROBE: &str = r#"#!/bin/sh
own=$bothy_root/sys/class/watchdog/watchdog0
echo "$*" >>"$bothy_root/asked"
case $1 in
    -a) ;;
    -r) rm -rf "$own" "$bothy_root/dev/watchdog0" ;;
    "$hardware")
        mkdir -p "$own" "$bothy_root/dev"
        [ "${2#*=}" -le "$longest" ] && echo "${2#*=}" >"$own/timeout" || echo 30 >"$own/timeout"
        echo "$1 timer" >"$own/identity"
        echo active >"$own/state"
        echo "nobody has opened it" >"$bothy_root/dev/watchdog0"
        ;;
esac"#;

#[test]
fn a_boot_starts_the_watchdog_that_waits_long_enough_for_it() {
    let none = "<4>bothy: no hardware watchdog that waits for a boot: one that hangs waits for a hand";
    for (args, has, most, waits, last) in [
        ("ro quiet", "i6300esb", 2046, Some(300), "i6300esb heartbeat=300"),
        ("ro quiet", "wdat_wdt", 300, Some(300), "wdat_wdt timeout=300"),
        ("ro quiet", "hpwdt", 299, Some(240), "hpwdt soft_margin=240"),
        ("ro quiet", "iTCO_wdt", 239, Some(120), "iTCO_wdt heartbeat=120"),
        ("ro quiet", "sp5100_tco", 120, Some(120), "sp5100_tco heartbeat=120"),
        // Its own 30 seconds would end every boot.
        ("ro quiet", "sp5100_tco", 119, None, "-r sp5100_tco"),
        ("ro quiet", "softdog", 2046, None, "-r sp5100_tco"),
        ("ro bothy.boot=trial bothy.watchdog=20 quiet", "iTCO_wdt", 600, Some(20), "iTCO_wdt heartbeat=20"),
        ("ro bothy.watchdog=150", "iTCO_wdt", 130, Some(120), "iTCO_wdt heartbeat=120"),
        ("ro bothy.watchdog=soon bothy.watchdog=", "i6300esb", 2046, Some(300), "i6300esb heartbeat=300"),
    ] {
        let (f, said, asked) = booted(args, has, most);
        let case = format!("{args}, {has} of {most} s: {said:?}, {asked}");
        assert_eq!(asked.lines().last(), Some(last), "{case}");
        let facts = watchdog(&f.tree());
        assert_eq!(facts.as_ref().map(|w| (w.seconds, w.runs)), waits.map(|s| (s, true)), "{case}");
        match waits {
            Some(seconds) => {
                assert_eq!(said, format!("<5>bothy: the watchdog ({has} timer) resets a boot that hangs for {seconds} s\n"), "{case}");
                assert_eq!(fs::read_to_string(f.root().join("dev/watchdog0")).expect("there"), "", "{case}: opened, and no word said");
            }
            None => assert_eq!(said, format!("{none}\n"), "{case}"),
        }
    }
    for args in ["ro bothy.watchdog=0", "ro bothy.boot=install bothy.watchdog=20"] {
        let (_, said, asked) = booted(args, "i6300esb", 2046);
        assert_eq!((said.as_str(), asked.as_str()), ("", ""), "{args}");
    }
}

/// The tree after such a boot, what the kernel's log has, and what was asked of modprobe.
fn booted(args: &str, has: &str, most: u32) -> (Fake, String, String) {
    let f = Fake::of(&edge_server());
    f.put("proc/cmdline", args);
    for empty in ["dev/kmsg", "asked"] {
        f.put(empty, "");
        fs::write(f.root().join(empty), "").expect("emptied");
    }
    // Not in the tree: what is in memory may not be for programs.
    let bin = tempfile::tempdir().expect("a folder");
    fs::write(bin.path().join("modprobe"), MODPROBE).expect("written");
    fs::set_permissions(bin.path().join("modprobe"), fs::Permissions::from_mode(0o755)).expect("a program");
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap_or_default());
    let mut init = Command::new("sh");
    init.args(["-c", ". \"$1\"", "init", SCRIPT])
        .env("PATH", path)
        .env("bothy_root", f.root())
        .env("hardware", has)
        .env("longest", most.to_string());
    assert!(init.status().expect("sh").success(), "{args}");
    let read = |name: &str| fs::read_to_string(f.root().join(name)).expect("there");
    let (said, asked) = (read("dev/kmsg"), read("asked"));
    (f, said, asked)
}
