//! Hostile and broken archives.

use std::{
    fs,
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use zip::{ZipWriter, write::SimpleFileOptions};

use super::{copy, fixture, read};
use crate::descriptor::{Archive, Build, Limits};

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut z = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        z.start_file(*name, SimpleFileOptions::default()).expect("start");
        z.write_all(bytes).expect("write");
    }
    z.finish().expect("finish").into_inner()
}

fn on_disk(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("p.zip");
    fs::write(&path, bytes).expect("write");
    (dir, path)
}

fn refusal(bytes: &[u8], limits: &Limits) -> String {
    let (_dir, path) = on_disk(bytes);
    match Archive::open(&path, limits) {
        Ok(_) => "opened".to_owned(),
        Err(d) => d.render(),
    }
}

fn built_router(dir: &Path) -> PathBuf {
    let out = dir.join("router.csar");
    let build = Build { dir: &fixture("router"), artifacts: &[], out: &out, released: "2026-11-20T00:00:00Z" };
    if let Err(d) = build.run(&Limits::default()) {
        panic!("{}", d.render());
    }
    out
}

#[test]
fn names_that_leave_the_package_are_refused_all_at_once() {
    let bad = zip_of(&[
        ("/etc/passwd", b"x"),
        ("../up", b"x"),
        ("a/../../up", b"x"),
        ("a\\b", b"x"),
        ("nul\0l", b"x"),
        ("C:/x", b"x"),
        ("a//b", b"x"),
        ("fine", b"x"),
    ]);
    insta::assert_snapshot!("escapes", refusal(&bad, &Limits::default()));
}

#[test]
fn a_symbolic_link_is_refused_in_zip_and_folder() {
    let mut z = ZipWriter::new(Cursor::new(Vec::new()));
    z.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).expect("link");
    let bytes = z.finish().expect("finish").into_inner();
    assert!(refusal(&bytes, &Limits::default()).contains("link: error: a symbolic link"));

    let dir = tempfile::tempdir().expect("tempdir");
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).expect("link");
    let said = Archive::open(dir.path(), &Limits::default()).err().map(|d| d.render()).unwrap_or_default();
    assert!(said.contains("link: error: a symbolic link"), "{said}");
}

#[test]
fn an_entry_listed_twice_is_refused() {
    // The writer will not make one, so two names of one length are made equal afterwards.
    let mut bytes = zip_of(&[("one.yaml", b"a"), ("two.yaml", b"b")]);
    let at: Vec<usize> = bytes.windows(8).enumerate().filter(|(_, w)| *w == b"two.yaml").map(|(i, _)| i).collect();
    for i in at {
        bytes[i..i + 8].copy_from_slice(b"one.yaml");
    }
    assert!(refusal(&bytes, &Limits::default()).contains("one.yaml: error: is in the archive more than once"));
}

#[test]
fn each_limit_refuses_and_names_itself() {
    let zeros = vec![0u8; 4 << 20];
    let bytes = zip_of(&[("a", &zeros), ("b", b"x"), ("c", b"x")]);
    let base = Limits { ratio_from_bytes: 1 << 20, ..Limits::default() };
    let table = [
        (Limits { entries: 2, ..base.clone() }, "3 entries, more than the 2 allowed"),
        (
            Limits { ratio: 1_000_000, entry_bytes: 1 << 20, ..base.clone() },
            "4194304 bytes unpacked, more than the 1048576 allowed for one file",
        ),
        (Limits { ratio: 1_000_000, total_bytes: 1 << 20, ..base.clone() }, "4194306 bytes unpacked, more than the 1048576 allowed in all"),
        (base.clone(), "it looks like a ZIP bomb"),
    ];
    for (limits, want) in table {
        let said = refusal(&bytes, &limits);
        assert!(said.contains(want), "wanted {want:?} in {said}");
    }
    assert_eq!(refusal(&bytes, &Limits { ratio: 1_000_000, ..base }), "opened");
}

#[test]
fn an_archive_that_lies_about_a_size_is_caught_while_it_streams() {
    let zeros = vec![0u8; 1 << 20];
    let mut bytes = zip_of(&[("a", &zeros)]);
    // The size in the central directory: 24 bytes into its record.
    let at = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").expect("directory") + 24;
    bytes[at..at + 4].copy_from_slice(&1000u32.to_le_bytes());
    let (_dir, path) = on_disk(&bytes);
    let mut archive = Archive::open(&path, &Limits::default()).expect("opens");
    let mut out = Vec::new();
    let fault = archive.stream("a", &mut out, &[]).err().expect("refused");
    assert!(fault.text().contains("unpacks to more than the 1000 bytes") || fault.text().contains("damaged"), "{fault}");
    assert!(out.len() <= 256 << 10, "{} bytes came out", out.len());
}

#[test]
fn a_zip_cut_anywhere_is_refused_and_never_panics() {
    let dir = tempfile::tempdir().expect("tempdir");
    let whole = fs::read(built_router(dir.path())).expect("zip");
    for cut in (0..whole.len()).step_by(97) {
        let (_d, path) = on_disk(&whole[..cut]);
        assert!(read(&path).is_err(), "cut at {cut}");
    }
    let said = refusal(&whole[..whole.len() / 2], &Limits::default());
    assert!(said.contains("cut short"), "{said}");
}

#[test]
fn a_flipped_bit_is_never_taken_for_the_package() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = built_router(dir.path());
    let whole = fs::read(&path).expect("zip");
    let fine = match read(&path) {
        Ok(super::Content::Vnf(c)) => c,
        _ => panic!("the package itself is good"),
    };
    for i in (0..whole.len()).step_by(53) {
        let mut bytes = whole.clone();
        bytes[i] ^= 1 << (i % 8);
        let (_d, path) = on_disk(&bytes);
        // A bit in a date or a mode changes nothing; anything else is noticed.
        if let Ok(super::Content::Vnf(c)) = read(&path) {
            assert_eq!((&c.vnfd, &c.files), (&fine.vnfd, &fine.files), "bit of byte {i}");
        }
    }
}

#[test]
fn not_a_zip_at_all_says_so() {
    for bytes in [&b""[..], b"PK", b"tosca_definitions_version: x\n", &[0u8; 4096]] {
        assert!(refusal(bytes, &Limits::default()).contains("not a ZIP archive"), "{bytes:?}");
    }
    assert!(Archive::open(Path::new("/nowhere/at/all"), &Limits::default()).is_err());
}

#[test]
fn a_wrong_digest_names_the_file_and_both_digests() {
    let dir = tempfile::tempdir().expect("tempdir");
    copy(&fixture("router"), dir.path());
    fs::write(dir.path().join("Files/images/router.img"), "another image\n").expect("write");
    let said = read(dir.path()).err().map(|d| d.render()).unwrap_or_default();
    insta::assert_snapshot!("wrong_digest", said);
}

#[test]
fn manifests_of_the_field_are_read_and_bad_ones_explained() {
    let dir = tempfile::tempdir().expect("tempdir");
    copy(&fixture("router"), dir.path());
    let mf = dir.path().join("router.mf");
    let text = fs::read_to_string(&mf).expect("manifest");
    let odd = text
        .replace("vnf_provider_id: Example", "vnf_provider_id: Somebody")
        .replacen("Algorithm: SHA-256", "Algorithm: MD5", 1)
        .replace("Source: Files/day0/user-data", "Source: Files/day0/user-date\nContent-Type: text/plain");
    let odd = format!(
        "{odd}\nnon_mano_artifact_sets:\n onap_ansible:\n  Source: Files/images/router.img\n\n-----BEGIN CMS-----\nMIIabc\n-----END CMS-----\n"
    );
    fs::write(&mf, odd).expect("write");
    let said = read(dir.path()).err().map(|d| d.render()).unwrap_or_default();
    insta::assert_snapshot!("odd_manifest", said);
}
