//! Real files, held against `qemu-img`.

use std::process::Command;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    host::needs,
    model::{error::Kind, size::MiB},
};

const SHA: [u8; 32] = [0xab; 32];

struct Box {
    files: ImageFiles,
    root: Utf8PathBuf,
    _dir: TempDir,
}

fn data() -> Box {
    let dir = tempfile::tempdir().expect("tempdir");
    let root = Utf8PathBuf::from_path_buf(dir.path().join("data")).expect("utf8");
    Box { files: ImageFiles::open(Layout::new(&root)).expect("open"), root, _dir: dir }
}

impl Box {
    fn upload(&self, content: &[u8]) -> Utf8PathBuf {
        let path = self.root.join("upload");
        fs::write(&path, content).expect("upload");
        path
    }
    fn mode(&self, path: &Utf8Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o7777
    }
    fn disk(&self, n: u128, size: MiB, format: Option<ImageFormat>) -> DiskSpec {
        DiskSpec { id: DiskId(Uuid::from_u128(n)), size, base: format.map(|format| BaseImage { sha256: SHA, format }) }
    }
}

fn qemu_img(args: &[&str]) -> String {
    let out = Command::new("qemu-img").args(args).output().expect("qemu-img");
    assert!(out.status.success(), "qemu-img {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn a_disk_is_a_sound_overlay_of_the_wanted_size() {
    if !needs(&["qemu-img"]) {
        return;
    }
    for format in [ImageFormat::Qcow2, ImageFormat::Raw] {
        let b = data();
        let name = format_name(format);
        let upload = b.root.join("upload");
        qemu_img(&["create", "-q", "-f", name, upload.as_str(), "32M"]);
        let info = b.files.import(&upload, &SHA, format).expect("import");
        assert_eq!((info.format, info.virtual_size), (format, MiB(32)));
        assert!(!upload.exists());
        // 3 TiB needs more than one cluster of L1 table.
        for (n, size) in [(1, MiB(32)), (2, MiB(2048)), (3, MiB(3 << 20))] {
            let spec = b.disk(n, size, Some(format));
            b.files.ensure_disk(&spec).expect("disk");
            let path = b.files.layout.disk(spec.id);
            qemu_img(&["check", "-q", path.as_str()]);
            let info = qemu_img(&["info", "--output=json", path.as_str()]);
            let info: serde_json::Value = serde_json::from_str(&info).expect("json");
            assert_eq!(info["virtual-size"], size.bytes().0);
            assert_eq!(info["backing-filename"], b.files.layout.image(&SHA).as_str());
            assert_eq!(info["backing-filename-format"], name);
            assert_eq!(b.mode(&path), DISK);
        }
    }
}

#[test]
fn an_empty_volume_needs_no_image() {
    if !needs(&["qemu-img"]) {
        return;
    }
    let b = data();
    let spec = b.disk(1, MiB(100), None);
    b.files.ensure_disk(&spec).expect("disk");
    let path = b.files.layout.disk(spec.id);
    qemu_img(&["check", "-q", path.as_str()]);
    assert!(!qemu_img(&["info", path.as_str()]).contains("backing"));
    assert!(fs::metadata(&path).expect("metadata").len() < 1 << 20, "a volume is thin");
}

#[test]
fn a_disk_grows_and_keeps_what_is_on_it() {
    if !needs(&["qemu-img", "qemu-io"]) {
        return;
    }
    let b = data();
    let upload = b.root.join("upload");
    qemu_img(&["create", "-q", "-f", "qcow2", upload.as_str(), "32M"]);
    b.files.import(&upload, &SHA, ImageFormat::Qcow2).expect("import");
    let spec = b.disk(1, MiB(32), Some(ImageFormat::Qcow2));
    b.files.ensure_disk(&spec).expect("disk");
    let path = b.files.layout.disk(spec.id);
    let io = |what: &str| {
        let out = Command::new("qemu-io").args(["-f", "qcow2", "-c", what, path.as_str()]).output().expect("qemu-io");
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success() && !said.contains("failed"), "{what}: {said}");
    };
    io("write -P 0x5a 31M 1M");
    // 3 TiB needs another L1 table; what is smaller than it is leaves it as it is.
    for (to, size) in [(MiB(64), MiB(64)), (MiB(3 << 20), MiB(3 << 20)), (MiB(16), MiB(3 << 20))] {
        for _ in 0..2 {
            b.files.grow_disk(spec.id, to).expect("grown, and again");
        }
        qemu_img(&["check", "-q", path.as_str()]);
        let info = qemu_img(&["info", "--output=json", path.as_str()]);
        let info: serde_json::Value = serde_json::from_str(&info).expect("json");
        assert_eq!(info["virtual-size"], size.bytes().0);
        assert_eq!(info["backing-filename"], b.files.layout.image(&SHA).as_str());
        io("read -P 0x5a 31M 1M");
    }
    io("read -P 0 32M 1M");
    io("write -P 0x77 2T 1M");
    qemu_img(&["check", "-q", path.as_str()]);
    assert_eq!(b.mode(&path), DISK);
}

#[test]
fn what_qemu_img_makes_of_other_files_is_refused() {
    if !needs(&["qemu-img"]) {
        return;
    }
    let b = data();
    let at = |name: &str| b.root.join(name).into_string();
    qemu_img(&["create", "-q", "-f", "qcow2", &at("base"), "8M"]);
    qemu_img(&["create", "-q", "-f", "qcow2", "-b", &at("base"), "-F", "qcow2", &at("overlay")]);
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", &format!("data_file={}", at("data")), &at("external"), "8M"]);
    qemu_img(&["create", "-q", "-f", "vmdk", &at("vmdk"), "8M"]);
    let secret = ["--object", "secret,id=s,data=x", "-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"];
    qemu_img(&[&["create", "-q", "-f", "qcow2"], &secret[..], &[&at("luks"), "8M"]].concat());
    for (name, says) in [("overlay", "overlay on another file"), ("external", "in another file"), ("luks", "encrypted"), ("vmdk", "VMDK")] {
        let e = b.files.import(&b.root.join(name), &SHA, ImageFormat::Qcow2).expect_err(name);
        assert!(e.kind() == Kind::Invalid && e.detail().contains(says), "{name}: {e:?}");
    }
    assert_eq!(b.files.bases().expect("bases"), Vec::<[u8; 32]>::new());
    assert!(b.root.join("overlay").exists(), "what is refused stays where it was");
}

#[test]
fn a_base_is_shared_read_only_and_stays_while_disks_stand_on_it() {
    let b = data();
    let import = || b.files.import(&b.upload(&[0; 4096]), &SHA, ImageFormat::Raw);
    assert_eq!(import().expect("first"), import().expect("again"));
    let base = b.files.layout.image(&SHA);
    assert_eq!(b.mode(&base), 0o444);
    assert_eq!(b.files.bases().expect("bases"), [SHA]);
    let spec = b.disk(1, MiB(1), Some(ImageFormat::Raw));
    b.files.ensure_disk(&spec).expect("disk");
    assert_eq!(b.files.remove_base(&SHA).expect_err("in use").kind(), Kind::Conflict);
    b.files.remove_disk(spec.id).expect("disk");
    b.files.remove_base(&SHA).expect("base");
    b.files.remove_base(&SHA).expect("absent is success");
    assert!(!b.files.has_base(&SHA).expect("has"));
}

#[test]
fn a_disk_without_its_base_or_smaller_than_it_is_not_made() {
    let b = data();
    let spec = |size| b.disk(1, size, Some(ImageFormat::Raw));
    assert_eq!(b.files.ensure_disk(&spec(MiB(8))).expect_err("no base").kind(), Kind::NotFound);
    b.files.import(&b.upload(&vec![0; 3 << 20]), &SHA, ImageFormat::Raw).expect("import");
    let e = b.files.ensure_disk(&spec(MiB(2))).expect_err("too small");
    assert_eq!((e.kind(), e.text().contains("2 MiB is less than the 3 MiB")), (Kind::Invalid, true));
    assert_eq!(fs::read_dir(b.root.join("disks")).expect("disks").count(), 0, "nothing half-made stays");
    b.files.ensure_disk(&spec(MiB(3))).expect("fits");
}

#[test]
fn what_a_crash_left_unfinished_goes_and_strangers_stay() {
    let b = data();
    let unfinished = temp(&b.files.layout.disk(DiskId(Uuid::from_u128(1))));
    let stranger = b.root.join("disks/notes.txt");
    for path in [&unfinished, &stranger] {
        fs::write(path, "x").expect("write");
    }
    ImageFiles::open(b.files.layout.clone()).expect("open");
    assert!(!unfinished.exists() && stranger.exists());
    assert_eq!(b.files.disks().expect("disks"), []);
}

#[test]
fn folders_let_qemu_pass_and_nobody_list() {
    let b = data();
    for folder in ["", "images", "disks", "media", "nvram", "serial"] {
        assert_eq!(b.mode(&b.root.join(folder)), 0o711, "{folder}");
    }
}

#[test]
fn a_medium_is_rewritten_only_when_it_differs() {
    let b = data();
    let id = VnfcId(Uuid::from_u128(1));
    let ensure = |text: &str| {
        let file = MediumFile { path: "user-data".into(), content: text.into(), secret: true };
        b.files.ensure_medium(id, Medium::NoCloud, MediaBus::Cdrom, None, &[file]).expect("medium");
        fs::metadata(b.files.layout.medium(id)).expect("metadata").ino()
    };
    let first = ensure("a");
    assert_eq!(ensure("a"), first);
    assert_ne!(ensure("b"), first);
    assert_eq!(b.mode(&b.files.layout.medium(id)), 0o640);
    assert_eq!(b.files.media().expect("media"), [id]);
    for _ in 0..2 {
        b.files.remove_medium(id).expect("removed");
    }
    assert_eq!(b.files.media().expect("media"), []);
}

#[test]
fn the_serial_log_is_read_across_its_rotation() {
    let b = data();
    let id = VnfcId(Uuid::from_u128(1));
    assert_eq!(b.files.serial_log(id, 10).expect("no log"), b"");
    let log = b.files.layout.serial_log(id);
    fs::write(&log, "world").expect("log");
    fs::write(old_log(&log, 0), "hello ").expect("old");
    for (max, want) in [(3, "rld"), (5, "world"), (8, "lo world"), (99, "hello world")] {
        assert_eq!(b.files.serial_log(id, max).expect("log"), want.as_bytes());
    }
    b.files.remove_serial_log(id).expect("removed");
    assert_eq!(b.files.serial_log(id, 99).expect("log"), b"");
}

#[test]
fn room_is_that_of_the_file_system() {
    let b = data();
    let room = b.files.room().expect("room");
    assert!(room.free.0 > 0 && room.free <= room.total);
    assert_eq!(room.disks, Bytes(0));
    b.files.ensure_disk(&b.disk(1, MiB(1 << 20), None)).expect("disk");
    let held = b.files.room().expect("room").disks.0;
    assert!((1..1 << 23).contains(&held), "a thin disk of 1 TiB holds little: {held}");
}

#[test]
fn a_copy_keeps_what_the_disk_held_and_the_disk_goes_back_to_it_from_any_moment_of_a_crash() {
    let b = data();
    let (disk, copy, kept) = (DiskId(Uuid::from_u128(1)), DiskId(Uuid::from_u128(2)), DiskId(Uuid::from_u128(3)));
    let (at, kept_at) = (b.files.layout.disk(disk), b.files.layout.copy(kept));
    // A MiB of something, a hole of 64, and a piece that ends in the middle of a block.
    let write = |fill: u8| {
        let mut f = File::options().write(true).open(&at).expect("open");
        std::io::Write::write_all(&mut f, &vec![fill; 1 << 20]).expect("written");
        f.seek(SeekFrom::Start(65 << 20)).expect("sought");
        std::io::Write::write_all(&mut f, &[fill; 777]).expect("written");
        f.sync_all().expect("synced");
    };
    let read = |path: &Utf8Path| {
        let all = fs::read(path).expect("read");
        assert_eq!(all.len(), (65 << 20) + 777);
        assert!(all[1 << 20..65 << 20].iter().all(|b| *b == 0), "the hole");
        (all[0], all[(1 << 20) - 1], all[65 << 20], all[all.len() - 1])
    };
    fs::write(&at, "").expect("a disk");
    write(1);
    let taken = b.files.copy_disk(disk, copy).expect("copied");
    assert!((1 << 20..8 << 20).contains(&taken.0), "holes stay holes: {taken}");
    write(2);
    assert_eq!(b.files.copy_disk(disk, copy).expect("again"), taken);
    assert_eq!((read(&b.files.layout.copy(copy)), b.mode(&b.files.layout.copy(copy))), ((1, 1, 1, 1), DISK));

    // Killed after the second name was given, and in the middle of the copying.
    for crash in [false, true] {
        write(2);
        if crash {
            fs::hard_link(&at, &kept_at).expect("linked");
            fs::write(temp(&at), "half").expect("half");
        }
        for _ in 0..2 {
            b.files.revert_disk(disk, copy, kept).expect("reverted, and again");
            assert_eq!((read(&at), read(&kept_at), b.mode(&at)), ((1, 1, 1, 1), (2, 2, 2, 2), DISK));
        }
        write(3);
        b.files.revert_disk(disk, copy, kept).expect("done already");
        assert_eq!(read(&at).0, 3, "what came since stays");
        for _ in 0..2 {
            b.files.take_back_disk(disk, kept).expect("taken back, and again");
            assert_eq!(read(&at), (2, 2, 2, 2));
        }
        assert_eq!(b.files.copies().expect("copies"), [copy]);
        // Taken back before anything was copied.
        fs::hard_link(&at, &kept_at).expect("linked");
        b.files.take_back_disk(disk, kept).expect("taken back");
        assert_eq!((read(&at).0, b.files.copies().expect("copies")), (2, vec![copy]));
    }
    assert_eq!(b.files.disks().expect("disks"), [disk]);
    assert!(!temp(&at).exists(), "nothing half-made stays");
    for _ in 0..2 {
        b.files.remove_copy(copy).expect("removed, and again");
    }
    assert_eq!(b.files.copy_disk(DiskId(Uuid::from_u128(9)), copy).expect_err("no disk").kind(), Kind::NotFound);
    assert_eq!(b.files.revert_disk(disk, copy, kept).expect_err("no copy").kind(), Kind::NotFound);
    b.files.take_back_disk(disk, kept).expect("taken back");
    assert_eq!((read(&at).0, b.files.copies().expect("copies")), (2, vec![]));
}
