//! Media read back: by a reader of our own, and by the tools that guests and people use.

use std::{collections::BTreeMap, fs, process::Command};

use super::*;
use crate::host::needs;

fn file(path: &str, content: impl Into<Vec<u8>>) -> MediumFile {
    MediumFile { path: path.into(), content: content.into(), secret: false }
}

/// A seed with everything that has ever confused a reader: equal 8.3 names, folders, more entries
/// than fit one sector, an empty file, one that fills its sector, and letters beyond ASCII.
fn seed() -> Vec<MediumFile> {
    let mut files = vec![
        file("user-data", "#cloud-config\n"),
        file("meta-data", "instance-id: x\n"),
        file("network-config", vec![b'n'; 5000]),
        file("openstack/latest/user_data", "u"),
        file("openstack/latest/meta_data.json", "{}"),
        file("openstack/content/0000", vec![7; 2048]),
        file("a/b/c/d/e/f/deep.conf", "deep"),
        file("empty", ""),
        file("grüße.txt", "Hallo"),
        file(&"n".repeat(64), "long"),
        MediumFile { secret: true, ..file("license.key", "secret") },
    ];
    files.extend((0..60).map(|n| file(&format!("init-configuration-{n}.txt"), n.to_string())));
    files
}

fn content(files: &[MediumFile]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|f| (f.path.clone(), f.content.clone())).collect()
}

fn le32(b: &[u8], at: usize) -> usize {
    let le = u32::from_le_bytes(b[at..at + 4].try_into().expect("4"));
    let be = u32::from_be_bytes(b[at + 4..at + 8].try_into().expect("4"));
    assert_eq!(le, be, "both byte orders agree");
    le as usize
}

/// All files of a volume, by the names of Rock Ridge (`descriptor` 16) or Joliet (17).
fn read_iso(image: &[u8], descriptor: usize) -> BTreeMap<String, Vec<u8>> {
    let root = &image[descriptor * 2048 + 156..];
    assert_eq!(le32(&image[descriptor * 2048..], 80) * 2048, image.len(), "the descriptor knows the size");
    let mut found = BTreeMap::new();
    let mut todo = vec![(String::new(), le32(root, 2), le32(root, 10))];
    while let Some((prefix, sector, len)) = todo.pop() {
        let dir = &image[sector * 2048..sector * 2048 + len];
        let mut at = 0;
        let mut last = Vec::new();
        while at < len {
            let size = usize::from(dir[at]);
            if size == 0 {
                at = (at / 2048 + 1) * 2048;
                continue;
            }
            let r = &dir[at..at + size];
            at += size;
            let id = &r[33..33 + usize::from(r[32])];
            if matches!(id, [0] | [1]) {
                continue;
            }
            assert!(last.as_slice() < id, "records are in order and differ");
            last = id.to_vec();
            let name = if descriptor == 17 {
                let units: Vec<u16> = id.chunks(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
                String::from_utf16(&units).expect("utf16").trim_end_matches(";1").to_owned()
            } else {
                let mut su = &r[33 + id.len() + (id.len() + 1) % 2..];
                while &su[..2] != b"NM" {
                    su = &su[usize::from(su[2])..];
                }
                String::from_utf8(su[5..usize::from(su[2])].to_vec()).expect("utf8")
            };
            let path = format!("{prefix}{name}");
            let (sector, len) = (le32(r, 2), le32(r, 10));
            if r[25] & 2 != 0 {
                todo.push((format!("{path}/"), sector, len));
            } else {
                found.insert(path, image[sector * 2048..sector * 2048 + len].to_vec());
            }
        }
    }
    found
}

#[test]
fn every_file_is_found_under_its_exact_name_in_both_listings() {
    let files = seed();
    let image = make(Medium::NoCloud, None, &files).expect("made");
    for descriptor in [16, 17] {
        assert_eq!(read_iso(&image, descriptor), content(&files), "descriptor {descriptor}");
    }
}

#[test]
fn equal_files_make_equal_media_in_any_order() {
    for medium in [Medium::NoCloud, Medium::Fat] {
        let mut files = seed();
        let one = make(medium, None, &files).expect("made");
        files.reverse();
        assert!(one == make(medium, None, &files).expect("made"), "{medium:?}");
        files[3].content.push(b'x');
        assert!(one != make(medium, None, &files).expect("made"), "{medium:?}");
    }
}

#[test]
fn what_no_reader_would_find_is_refused_all_at_once() {
    use Medium::{Fat, Iso};
    let deep = "a/".repeat(8) + "x";
    let long = "n".repeat(65);
    for (medium, label, paths, says) in [
        (Iso, "x", vec!["/etc/passwd"], "relative"),
        (Iso, "x", vec!["a/../b"], "relative"),
        (Iso, "x", vec!["a//b"], "relative"),
        (Iso, "x", vec!["a\u{7}b"], "not allowed"),
        (Iso, "x", vec!["a:b"], "not allowed"),
        (Iso, "x", vec!["a", "a"], "twice"),
        (Fat, "x", vec!["A", "a"], "twice"),
        (Iso, "x", vec!["a", "a/b"], "as a folder"),
        (Iso, "x", vec![&*deep], "nested deeper"),
        (Iso, "x", vec![&*long], "at most 64 characters"),
        (Fat, "x", vec!["a<b"], "not allowed"),
        (Fat, "twelve chars", vec!["a"], "label"),
        (Iso, "", vec!["a"], "label"),
        (Iso, "größe", vec!["a"], "label"),
    ] {
        let files: Vec<_> = paths.iter().map(|p| file(p, "")).collect();
        let e = make(medium, Some(label), &files).expect_err(says);
        assert!(e.reasons().iter().any(|r| r.contains(says)), "{paths:?}: {e}");
    }
    let e = make(Iso, Some(""), &[file("/a", ""), file("../b", "")]).expect_err("three faults");
    assert!(e.reasons().len() > 2, "{e}");
    assert!(make(Iso, None, &[file("A", "1"), file("a", "2")]).is_ok(), "Linux tells A from a");
}

fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {args:?}: {out:?}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn labels_are_what_cloud_init_looks_for() {
    if !needs(&["blkid"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("tempdir");
    for (medium, label, want) in [
        (Medium::NoCloud, None, ["LABEL=\"cidata\"", "TYPE=\"iso9660\""]),
        (Medium::ConfigDrive, None, ["LABEL=\"config-2\"", "TYPE=\"iso9660\""]),
        (Medium::Iso, Some("a label of more than 16 signs"), ["LABEL=\"a label of more than 16 signs\"", "TYPE=\"iso9660\""]),
        (Medium::Fat, Some("cidata"), ["LABEL=\"cidata\"", "TYPE=\"vfat\""]),
    ] {
        let path = dir.path().join("medium");
        fs::write(&path, make(medium, label, &seed()).expect("made")).expect("written");
        let says = run("blkid", &["-p", path.to_str().expect("path")]);
        assert!(want.iter().all(|w| says.contains(w)), "{medium:?}: {says}");
    }
}

#[test]
fn other_readers_agree_on_an_iso() {
    if !needs(&["isoinfo", "xorriso"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let files = seed();
    let path = dir.path().join("seed.iso");
    let path = path.to_str().expect("path");
    fs::write(path, make(Medium::NoCloud, None, &files).expect("made")).expect("written");
    for listing in ["-R", "-J"] {
        let names = run("isoinfo", &["-f", listing, "-i", path]);
        // isoinfo prints Joliet names in the terminal's own character set.
        for f in files.iter().filter(|f| f.path.is_ascii()) {
            assert!(names.lines().any(|n| n.trim_end_matches(";1") == format!("/{}", f.path)), "{listing} {}:\n{names}", f.path);
        }
    }
    let long = run("isoinfo", &["-l", "-R", "-i", path]);
    let mode =
        |name: &str| long.lines().find(|l| l.trim_end().ends_with(name)).unwrap_or_else(|| panic!("{name} in {long}"))[..10].to_owned();
    assert_eq!((mode("license.key").as_str(), mode("user-data").as_str()), ("-r--------", "-r--r--r--"));
    let to = dir.path().join("out");
    let to = to.to_str().expect("path");
    run("xorriso", &["-osirrox", "on", "-indev", path, "-extract", "/", to]);
    for f in &files {
        assert_eq!(fs::read(format!("{to}/{}", f.path)).expect(&f.path), f.content, "{}", f.path);
    }
    run("chmod", &["-R", "u+w", to]);
}

#[test]
fn mtools_reads_a_fat_medium_and_fsck_finds_it_sound() {
    if !needs(&["mcopy", "fsck.fat"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("tempdir");
    let mut files = seed();
    files.push(file("big.bin", vec![5; 3 << 20]));
    let path = dir.path().join("seed.img");
    fs::write(&path, make(Medium::Fat, Some("config-2"), &files).expect("made")).expect("written");
    let (image, to) = (path.to_str().expect("path"), dir.path().join("out"));
    fs::create_dir(&to).expect("out");
    run("fsck.fat", &["-n", image]);
    run("mcopy", &["-s", "-n", "-i", image, "::/", to.to_str().expect("path")]);
    for f in files.iter().filter(|f| f.path.is_ascii()) {
        assert_eq!(fs::read(to.join(&f.path)).expect(&f.path), f.content, "{}", f.path);
    }
}
