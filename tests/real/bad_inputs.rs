//! What the whole daemon makes of bad input and of a full disk: a verdict that names the fault,
//! nothing left of the attempt, and everybody else served on.

use std::{
    io::{Cursor, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use serde_json::json;
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

use crate::{
    e2e::{Pair, station},
    kit::{
        self, Need,
        bothy::{NEEDS, build_edited, edited, shipped, text, within},
        host::{Host, With, sector, tiny_image},
    },
};

const STATION: &str = "tests/fixtures/packages/station";
/// What a small file system is made of.
const SMALL_DISK: [Need; 3] = [Need::File("/dev/loop-control"), Need::Program("mkfs.ext4"), Need::Program("fallocate")];
/// A reserve for a small file system.
const SMALL: &str = "[reserve]\ndisk_mib = 16\nmemory_mib = 64\n";
const VNFD: &str = "Definitions/station.yaml";

fn zip_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut z = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        z.start_file(name, SimpleFileOptions::default()).expect("start");
        z.write_all(bytes).expect("write");
    }
    z.finish().expect("finish").into_inner()
}

/// A good archive in which one file has another content than its manifest says.
fn tampered(archive: &[u8], victim: &str) -> Vec<u8> {
    let mut from = ZipArchive::new(Cursor::new(archive)).expect("a ZIP");
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for i in 0..from.len() {
        let mut f = from.by_index(i).expect("a file");
        let mut bytes = Vec::new();
        f.read_to_end(&mut bytes).expect("read");
        if f.name() == victim {
            bytes.extend(b"# more\n");
        }
        files.push((f.name().to_owned(), bytes));
    }
    zip_of(files.iter().map(|(n, b)| (n.as_str(), b.as_slice())))
}

/// The package with a fault in its descriptor, as no tool of ours would build it: without manifest.
fn faulty(from: &str, to: &str) -> Vec<u8> {
    let dir = edited(&shipped(STATION), &[(VNFD, from, to), ("TOSCA-Metadata/TOSCA.meta", "ETSI-Entry-Manifest: station.mf\n", "")]);
    let read = |name: &str| std::fs::read(dir.path().join(name)).expect(name);
    let names = ["TOSCA-Metadata/TOSCA.meta", VNFD, "Files/day0/user-data", "ChangeLog.txt"];
    let mut files: Vec<(&str, Vec<u8>)> = names.iter().map(|n| (*n, read(n))).collect();
    files.push(("Files/images/sector.img", sector()));
    zip_of(files.iter().map(|(n, b)| (*n, b.as_slice())))
}

#[test]
fn each_bad_package_ends_in_error_with_its_fault_by_name_and_leaves_no_upload() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::NoSwitch);
    host.serve();
    let good = station();
    let bomb = vec![0; 64 << 20];
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut short", good[..good.len() / 2].to_vec(), "cut short"),
        ("no ZIP", b"hello".to_vec(), "not a ZIP archive"),
        ("bomb", zip_of([("Definitions/x.yaml", bomb.as_slice())]), "ZIP bomb"),
        ("path escape", zip_of([("../../etc/passwd", &b"x"[..])]), "../../etc/passwd"),
        ("wrong digest", tampered(&good, "Files/day0/user-data"), "Files/day0/user-data"),
        ("unknown field", faulty("bothy.day0.bus: disk", "bothy.day0.buss: disk"), "did you mean 'bothy.day0.bus'"),
        (
            "cyclic substitution",
            faulty(
                "description: A station\n        vdu_profile",
                "description: { get_property: [ station, description ] }\n        vdu_profile",
            ),
            "depends on itself",
        ),
    ];
    for (name, archive, says) in cases {
        let (one, seen) = host.onboard(false, &archive);
        assert_eq!(text(&seen, "onboardingState"), "ERROR", "{name}: {seen}");
        let why = seen["onboardingFailureDetails"].to_string();
        assert!(why.contains(says), "{name}: {says:?} is not in {why}");
        assert!(host.leftovers_of_uploads().is_empty(), "{name}");
        host.delete(&one);
    }
    let (one, _) = host.onboard(false, b"hello");
    // The resource may be used for a better archive.
    let sent = host.try_http("PUT", &format!("{one}/package_content"), Some(("application/zip", &good))).expect("sent");
    assert_eq!(sent.status, 202);
    within("it is onboarded", Duration::from_secs(30), || Some(()).filter(|()| text(&host.get(&one), "onboardingState") == "ONBOARDED"));
    assert!(host.leftovers_of_uploads().is_empty());
}

#[test]
fn a_client_that_stalls_or_speaks_nonsense_or_sends_too_much_costs_nobody_else_anything() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let mut host = Host::start(With::NoSwitch);
    host.serve_with("[limits]\nidle_timeout_s = 5\nheader_timeout_s = 5\nupload_mib = 1\n");
    let made = host.post("/vnfpkgm/v2/vnf_packages", &json!({})).expect(201).json();
    let one = format!("/vnfpkgm/v2/vnf_packages/{}", text(&made, "id"));
    let content = format!("{one}/package_content");

    // Too much, by its own word: refused, and the resource is as before.
    let sent = host.try_http("PUT", &content, Some(("application/zip", &vec![0; 2 << 20]))).expect("answered");
    assert_eq!(sent.status, 413, "{}", String::from_utf8_lossy(&sent.body));
    assert_eq!(text(&host.get(&one), "onboardingState"), "CREATED");

    // One that stops sending in the middle of its upload.
    let mut slow = UnixStream::connect(host.socket()).expect("connected");
    let head = format!("PUT {content} HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\nContent-Length: 1000\r\n\r\nPK");
    slow.write_all(head.as_bytes()).expect("sent");
    let is = |state: &str| Some(()).filter(|()| text(&host.get(&one), "onboardingState") == state);
    within("the upload has begun", Duration::from_secs(20), || is("UPLOADING"));
    within("the upload is given up", Duration::from_secs(20), || is("CREATED"));
    assert_eq!(host.leftovers_of_uploads(), Vec::<String>::new());

    // No TLS at all, and a hello that is none: hung up on in time.
    for say in ["GET / HTTP/1.0\r\n\r\n", "\u{16}\u{3}\u{1}nonsense", ""] {
        assert!(host.exchange("127.0.0.1:9443", say, usize::MAX).is_none_or(|a| !a.contains("HTTP/1.")), "{say:?}");
    }
    host.get("/bothy/v1/health");
    host.stop_bothy();
}

#[test]
fn an_upload_that_has_no_room_is_refused_and_everything_else_goes_on() {
    if kit::lacks(&NEEDS) || kit::lacks(&SMALL_DISK) {
        return;
    }
    let mut host = Host::start(With::Switch);
    host.tell("data 96m");
    host.serve_with(SMALL);
    host.reconciled();
    Pair::onboard(&host);
    let pair = Pair::create(&host, "site");
    host.completed(&pair.instantiate(&host));

    let made = host.post("/vnfpkgm/v2/vnf_packages", &json!({})).expect(201).json();
    let one = format!("/vnfpkgm/v2/vnf_packages/{}", text(&made, "id"));
    let sent = host.try_http("PUT", &format!("{one}/package_content"), Some(("application/zip", &vec![7; 80 << 20]))).expect("answered");
    let said = String::from_utf8_lossy(&sent.body).into_owned();
    assert_eq!(sent.status, 503, "{said}");
    assert!(said.contains("no room for the upload"), "{said}");
    assert_eq!(text(&host.get(&one), "onboardingState"), "CREATED");
    assert_eq!(host.tell("run ls data/uploads"), "exit 0\n");
    host.delete(&one);

    // Somebody else takes the last byte, in the store's own file system: requests are answered or
    // refused with the reason, and the guests run. A store that has failed to write is not trusted
    // any more: the daemon ends, for the service manager to start it again. How much still goes in before
    // that depends on the room within the store's own files, so the end is waited for, not counted out.
    host.tell("run dd if=/dev/zero of=data/filler bs=64k");
    let mut kept = Vec::new();
    let mut ended = false;
    let until = Instant::now() + Duration::from_secs(240);
    while Instant::now() < until {
        let data = json!({ "userDefinedData": { "filler": "x".repeat(4096) } });
        let body = data.to_string();
        let Ok(a) = host.try_http("POST", "/vnfpkgm/v2/vnf_packages", Some(("application/json", body.as_bytes()))) else {
            ended = true;
            break;
        };
        match a.status {
            201 => kept.push(text(&a.json(), "id").to_owned()),
            // The store has no room, or has ended the daemon, which says so to whom it does not serve any more.
            503 => assert!(["store", "bothy is going down"].iter().any(|w| String::from_utf8_lossy(&a.body).contains(w)), "{a:?}"),
            other => panic!("{other}: {}\n{}", String::from_utf8_lossy(&a.body), host.log_tail()),
        }
    }
    assert!(host.domains().iter().all(|d| d.1 == "running"));
    eprintln!("{} more records went in", kept.len());
    assert!(ended, "still up, with {} more records, in a file system without a byte left", kept.len());
    host.tell("run rm data/filler");
    host.kill_bothy();
    host.serve_with(SMALL);
    host.reconciled();
    // What was acknowledged is there.
    kept.iter().for_each(|id| drop(host.get(&format!("/vnfpkgm/v2/vnf_packages/{id}"))));
    assert_eq!(text(&host.get(&pair.path), "nsState"), "INSTANTIATED");
    host.completed(&pair.terminate(&host));
    host.delete(&pair.path);
    assert_eq!(host.get("/nslcm/v2/ns_instances"), json!([]));
    host.stop_bothy();
}

#[test]
fn guests_that_a_full_disk_paused_are_reported_and_go_on_when_there_is_room() {
    if kit::lacks(&NEEDS) || kit::lacks(&SMALL_DISK) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    // Of which somebody else has the larger part, for a while.
    host.tell("data 600m");
    host.tell("run fallocate -l 440m data/filler");
    host.serve_with("[reserve]\ndisk_mib = 16\nmemory_mib = 64\n[overcommit]\ndisk = 8.0\n");
    host.reconciled();
    let writes = "#!/bin/sh\ndd if=/dev/zero of=/dev/vdb bs=64k; sync; echo all written >/dev/ttyS0\n# ";
    let greedy = build_edited(
        &shipped(STATION),
        &[("Files/images/tiny.qcow2", image.as_std_path())],
        &[
            (VNFD, "sector.img", "tiny.qcow2"),
            (VNFD, "disk_format: raw", "disk_format: qcow2"),
            (VNFD, "size_of_storage: 8 MiB", "size_of_storage: 32 MiB"),
            (VNFD, "size_of_storage: 16 MiB", "size_of_storage: 96 MiB"),
            (VNFD, "virtual_mem_size: 64 MiB", "virtual_mem_size: 128 MiB"),
            ("Files/day0/user-data", "#!/bin/sh\necho", writes),
        ],
    );
    let (_, vnf) = host.onboard(false, &greedy);
    assert_eq!(text(&vnf, "onboardingState"), "ONBOARDED", "{vnf}");
    let (_, ns) = host.onboard(true, &kit::bothy::build(&shipped("tests/fixtures/packages/pair"), &[]));
    assert_eq!(text(&ns, "nsdOnboardingState"), "ONBOARDED", "{ns}");
    let pair = Pair::create(&host, "site");
    host.completed(&pair.instantiate(&host));

    within("health tells of the paused guests", Duration::from_secs(400), || {
        let (state, said) = host.condition("reconciled");
        (state == "FAILED" && said.contains("paused by a full disk")).then_some(said)
    });
    let log = |host: &mut Host| {
        let ids: Vec<String> = host.domains().into_iter().map(|d| d.0).collect();
        ids.iter().filter(|id| host.tell(&format!("run cat data/serial/{id}.log")).contains("all written")).count()
    };
    assert!(log(&mut host) < 2);
    // The disk is full for guests; the store has what its reserve gave up, and goes on writing.
    let ballast = |host: &mut Host| {
        let said = host.tell("run stat -c %b data/ballast");
        said.lines().next().and_then(|l| l.parse::<u64>().ok()).map_or(0, |blocks| blocks / 2048)
    };
    within("the reserve gives up a piece", Duration::from_secs(60), || Some(()).filter(|()| ballast(&mut host) < 16));
    let kept: Vec<String> = (0..100)
        .map(|n| {
            text(&host.post("/vnfpkgm/v2/vnf_packages", &json!({ "userDefinedData": { "n": n } })).expect(201).json(), "id").to_owned()
        })
        .collect();
    host.tell("run rm data/filler");
    within("both guests have gone on", Duration::from_secs(120), || Some(()).filter(|()| log(&mut host) == 2));
    within("the reserve is whole again", Duration::from_secs(60), || Some(()).filter(|()| ballast(&mut host) == 16));
    host.reconciled();
    kept.iter().for_each(|id| host.delete(&format!("/vnfpkgm/v2/vnf_packages/{id}")));
    host.completed(&pair.terminate(&host));
    host.delete(&pair.path);
    host.stop_bothy();
}

impl Host {
    /// Names of files in the uploads folder.
    fn leftovers_of_uploads(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir().join("data/uploads")).expect("folder").flatten();
        entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
    }
}
