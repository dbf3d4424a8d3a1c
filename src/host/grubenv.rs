//! GRUB's environment block: the kernel arguments of the next boots.
//!
//! Owns the block's form (a line that names it, `NAME=VALUE` lines, `#` to its full 1024 bytes) and
//! Bothy's variables in it. Never: another variable, or which arguments and slot they should be.
//!
//! ```text
//! bothy_args       what every boot has
//! bothy_slot       the slot that every boot takes; none: A
//! bothy_args_try   what the next boot has in their place, if
//! bothy_slot_try   and the slot that it takes
//! bothy_try        is 1: the boot menu clears it before it boots, so a boot that hangs was the only one
//! ```
//! A slot is tried with `bothy_args` where `bothy_args_try` is empty. The variables of slots are written only where there
//! is something to say: the block of a box without slots stays as it was.
//!
//! The block is written over in place: GRUB finds it by its sectors, and no folder or size changes, so
//! a power cut leaves the old block or the new one.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
};

use camino::Utf8Path;

use super::durable::io_fault;
use crate::model::{
    error::{Fault, Result},
    host::{BootArgs, KernelArgs},
    update::Slot,
};

const SIZE: usize = 1024;
const HEAD: &str = "# GRUB Environment Block\n";
const ARGS: &str = "bothy_args";
const TRY_ARGS: &str = "bothy_args_try";
const TRY: &str = "bothy_try";
const SLOT: &str = "bothy_slot";
const TRY_SLOT: &str = "bothy_slot_try";

/// `None`: there is no block, so no boot loader reads one.
pub fn read(path: &Utf8Path) -> Result<Option<BootArgs>> {
    let Some(all) = load(path)? else { return Ok(None) };
    let get = |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default();
    let trial = Some(get(TRY_ARGS)).filter(|t| !t.is_empty()).map(KernelArgs::parse);
    // What is no slot is none, as for the menu.
    let slot_try = get(TRY_SLOT).parse().ok();
    let armed = get(TRY) == "1" && (trial.is_some() || slot_try.is_some());
    let slot = get(SLOT).parse().unwrap_or_default();
    Ok(Some(BootArgs { committed: KernelArgs::parse(get(ARGS)), armed, trial, slot, slot_try }))
}

/// Nothing is written where all is so already.
pub fn write(path: &Utf8Path, want: &BootArgs) -> Result<()> {
    let found = load(path)?;
    let old = found.ok_or_else(|| Fault::conflict(format!("{path} is not there: this box's boot loader keeps no environment block")))?;
    let mut all = old.clone();
    // An empty argument list on trial is a list all the same; GRUB's menu reads it as one blank.
    let trial = want.trial.as_ref().map(|t| if t.is_empty() { " ".to_owned() } else { t.to_string() });
    let slot_try = want.slot_try.map(|s| s.to_string()).unwrap_or_default();
    for (name, value, unsaid) in [
        (ARGS, want.committed.to_string(), None),
        (TRY_ARGS, trial.unwrap_or_default(), None),
        (TRY, if want.armed { "1" } else { "0" }.to_owned(), None),
        (SLOT, want.slot.to_string(), Some(Slot::default().to_string())),
        (TRY_SLOT, slot_try, Some(String::new())),
    ] {
        match all.iter_mut().find(|(n, _)| n == name) {
            Some((_, v)) if v.is_empty() && unsaid.as_ref() == Some(&value) => {}
            Some(v) => v.1 = value,
            None if unsaid.as_ref() == Some(&value) => {}
            None => all.push((name.to_owned(), value)),
        }
    }
    if all == old {
        return Ok(());
    }
    let block = form(&all).ok_or_else(|| Fault::invalid(format!("{path}: the kernel arguments do not fit its {SIZE} bytes")))?;
    let put = || {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.write_all(&block)?;
        file.sync_all()
    };
    put().map_err(|e| io_fault("writing", path, e))?;
    if load(path)?.as_ref() == Some(&all) { Ok(()) } else { Err(Fault::transient(format!("{path} does not keep what is written to it"))) }
}

fn load(path: &Utf8Path) -> Result<Option<Vec<(String, String)>>> {
    let bytes = match std::fs::read(path) {
        Ok(b) => b,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_fault("reading", path, e)),
    };
    parse(&bytes).map(Some).ok_or_else(|| Fault::conflict(format!("{path} is not a GRUB environment block of {SIZE} bytes")))
}

/// A value's new line and back slash have a back slash before them.
fn parse(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let text = std::str::from_utf8(bytes).ok().filter(|t| t.len() == SIZE)?;
    let mut rest = text.strip_prefix(HEAD)?.chars();
    let mut all = Vec::new();
    let mut line = String::new();
    let mut comment = false;
    while let Some(c) = rest.next() {
        match c {
            '#' if line.is_empty() => comment = true,
            '\\' if !comment => line.extend(rest.next()),
            '\n' => {
                if let Some((name, value)) = line.split_once('=').filter(|_| !comment) {
                    all.push((name.to_owned(), value.to_owned()));
                }
                line.clear();
                comment = false;
            }
            c if !comment => line.push(c),
            _ => {}
        }
    }
    Some(all)
}

fn form(all: &[(String, String)]) -> Option<Vec<u8>> {
    let mut text = String::from(HEAD);
    for (name, value) in all {
        text += &format!("{name}={}\n", value.replace('\\', "\\\\").replace('\n', "\\\n"));
    }
    let mut block = text.into_bytes();
    if block.len() > SIZE {
        return None;
    }
    block.resize(SIZE, b'#');
    Some(block)
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;
    use crate::host::exec::Exec;

    fn file(content: &[u8]) -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().expect("folder");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("grubenv")).expect("UTF-8");
        std::fs::write(&path, content).expect("written");
        (dir, path)
    }
    fn args(s: &str) -> KernelArgs {
        KernelArgs::parse(s)
    }

    #[test]
    fn what_is_written_is_read_and_other_variables_stay() {
        let other = vec![("saved_entry".to_owned(), "0\\1\nx".to_owned())];
        let (_dir, path) = file(&form(&other).expect("fits"));
        let want = BootArgs { committed: args("iommu=pt"), trial: Some(args("iommu=pt isolcpus=2-3")), armed: true, ..BootArgs::default() };
        for _ in 0..2 {
            write(&path, &want).expect("written");
        }
        assert_eq!(read(&path).expect("read"), Some(want.clone()));
        let raw = std::fs::read(&path).expect("file");
        assert_eq!((raw.len(), raw.last()), (SIZE, Some(&b'#')));
        assert_eq!(load(&path).expect("read").expect("there")[0], other[0]);
        // A trial of no arguments is a trial, and none is none.
        let empty = BootArgs { trial: Some(args("")), ..want.clone() };
        write(&path, &empty).expect("written");
        assert_eq!(read(&path).expect("read"), Some(empty));
        let none = BootArgs { trial: None, armed: false, ..want };
        write(&path, &none).expect("written");
        assert_eq!(read(&path).expect("read"), Some(none));
    }

    #[test]
    fn slots_are_written_where_there_are_any_to_the_byte() {
        let text = |path: &Utf8PathBuf| {
            let raw = std::fs::read(path).expect("file");
            assert_eq!(raw.len(), SIZE);
            String::from_utf8(raw).expect("UTF-8").trim_end_matches('#').to_owned()
        };
        let other = vec![("saved_entry".to_owned(), "x".to_owned())];
        let (_dir, path) = file(&form(&other).expect("fits"));
        let plain = BootArgs { committed: args("iommu=pt"), ..BootArgs::default() };
        write(&path, &plain).expect("written");
        let none = "# GRUB Environment Block\nsaved_entry=x\nbothy_args=iommu=pt\nbothy_args_try=\nbothy_try=0\n";
        assert_eq!(text(&path), none, "a box without slots");
        let tried = plain.trying(Slot::B);
        write(&path, &tried).expect("written");
        assert_eq!(text(&path), none.replace("bothy_try=0", "bothy_try=1") + "bothy_slot_try=B\n");
        assert_eq!(read(&path).expect("read"), Some(tried.clone()));
        let kept = tried.keeping(Slot::B);
        write(&path, &kept).expect("written");
        assert_eq!(text(&path), none.to_owned() + "bothy_slot_try=\nbothy_slot=B\n");
        assert_eq!(read(&path).expect("read"), Some(kept.clone()));
        // And back to the first.
        write(&path, &kept.trying(Slot::A).keeping(Slot::A)).expect("written");
        assert_eq!(text(&path), none.to_owned() + "bothy_slot_try=\nbothy_slot=A\n");
    }

    #[test]
    fn the_block_as_an_image_has_it_says_the_first_slot() {
        for (said, slot, slot_try, armed) in [
            ("bothy_slot=\nbothy_slot_try=\nbothy_try=1\n", Slot::A, None, false),
            ("bothy_slot=B\nbothy_slot_try=\nbothy_try=0\n", Slot::B, None, false),
            ("bothy_slot=A\nbothy_slot_try=B\nbothy_try=0\n", Slot::A, Some(Slot::B), false),
            ("bothy_slot=A\nbothy_slot_try=B\nbothy_try=1\n", Slot::A, Some(Slot::B), true),
            ("bothy_slot=C\nbothy_slot_try=D\nbothy_try=1\n", Slot::A, None, false),
        ] {
            let mut block = format!("{HEAD}{said}").into_bytes();
            block.resize(SIZE, b'#');
            let (_dir, path) = file(&block);
            let is = read(&path).expect("read").expect("there");
            assert_eq!((is.slot, is.slot_try, is.armed), (slot, slot_try, armed), "{said}");
            if !said.contains('C') {
                write(&path, &is).expect("nothing to write");
                let names =
                    |b: &[u8]| parse(b).expect("a block").into_iter().map(|(n, _)| n).filter(|n| n.contains("slot")).collect::<Vec<_>>();
                assert_eq!(names(&std::fs::read(&path).expect("file")), ["bothy_slot", "bothy_slot_try"]);
            }
        }
    }

    #[test]
    fn a_block_that_is_none_or_too_small_is_refused_and_left_alone() {
        for bad in [&b""[..], b"# GRUB Environment Block\n", &[b'#'; 1024], &[0xff; 1024]] {
            let (_dir, path) = file(bad);
            assert!(read(&path).is_err() && write(&path, &BootArgs::default()).is_err());
            assert_eq!(std::fs::read(&path).expect("file"), bad);
        }
        let (_dir, path) = file(&form(&[]).expect("fits"));
        let e = write(&path, &BootArgs { committed: args(&"a=bc ".repeat(300)), ..BootArgs::default() }).expect_err("too long");
        assert!(e.text().contains("do not fit"), "{e}");
        let gone = path.with_file_name("gone");
        assert_eq!(read(&gone).expect("read"), None);
        assert!(write(&gone, &BootArgs::default()).is_err() && !gone.exists());
    }

    #[test]
    fn grubs_own_tool_reads_ours_and_we_read_its() {
        if !crate::host::needs(&["grub-editenv"]) {
            return;
        }
        let (_dir, path) = file(b"");
        let edit = |a: &[&str]| Exec::new("grub-editenv").arg(&path).args(a).run().expect("grub-editenv").stdout;
        edit(&["create"]);
        edit(&["set", "saved_entry=a\\b", "bothy_args=ro quiet"]);
        let was = read(&path).expect("read").expect("there");
        assert_eq!(was, BootArgs { committed: args("ro quiet"), ..BootArgs::default() });
        write(&path, &BootArgs { trial: Some(args("ro hugepages=0:2,1:0")), armed: true, ..was }).expect("written");
        let said = edit(&["list"]);
        for line in ["saved_entry=a\\b", "bothy_args=ro quiet", "bothy_args_try=ro hugepages=0:2,1:0", "bothy_try=1"] {
            assert!(said.lines().any(|l| l == line), "{line} in {said}");
        }
    }
}
