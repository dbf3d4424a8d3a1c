//! What is in a package comes out again over HTTP as it went in: manifest, artefacts and descriptor, of VNF packages and of
//! NSDs alike, with their types and in parts.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use serde_json::json;

use crate::{
    declared::Face,
    fetch::with_manifest,
    identity::{bare, bearer, user},
    kit::build,
    rig::{Reply, Rig, rig},
};

/// Types of what has one; the rest is bytes.
const TYPES: [(&str, &str); 4] = [(".yaml", "application/yaml"), (".meta", "text/plain"), (".mf", "text/plain"), (".txt", "text/plain")];

/// The files of an archive, by their paths.
pub fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(archive)).expect("a ZIP");
    let mut all = Vec::new();
    for i in 0..zip.len() {
        let mut f = zip.by_index(i).expect("a file");
        let mut bytes = Vec::new();
        f.read_to_end(&mut bytes).expect("read");
        all.push((f.name().to_owned(), bytes));
    }
    all
}

/// A transfer that broke off goes on with the same file, and with no other.
async fn goes_on(rig: &Rig, to: &str, whole: &Reply) {
    let tag = whole.header("etag").expect("an ETag");
    for (validator, status) in [(tag, 206), ("\"another\"", 200)] {
        let r = rig.ask(&format!("GET {to}"), &["range: bytes=1-", &format!("if-range: {validator}")], "").await;
        assert_eq!((r.status, r.header("etag")), (status, Some(tag)), "{to} {validator}");
        assert_eq!(r.bytes, whole.bytes[if status == 206 { 1 } else { 0 }..], "{to} {validator}");
    }
    let r = rig.ask(&format!("GET {to}"), &[&format!("if-none-match: {tag}")], "").await;
    assert_eq!((r.status, r.bytes.len(), r.header("etag")), (304, 0, Some(tag)), "{to}");
}

/// Every file of the archive, but for images, is what it was.
async fn comes_back(rig: &Rig, at: &str, archive: &[u8]) {
    let all = entries(archive);
    let (manifest, text) = all.iter().find(|(p, _)| p.ends_with(".mf")).expect("a manifest");
    let r = rig.get(&format!("{at}/manifest")).await;
    assert_eq!((r.status, r.header("content-type"), &r.bytes), (200, Some("text/plain"), text), "{manifest}");
    assert!(r.body.contains("\nSource: ") && r.body.contains("\nHash: "), "with the digests: {}", r.body);
    for (path, bytes) in all.iter().filter(|(p, _)| !p.starts_with("Files/images/")) {
        let to = format!("{at}/artifacts/{path}");
        let r = rig.get(&to).await;
        assert_eq!((r.status, &r.bytes), (200, bytes), "{path}: {}", r.head);
        assert_eq!(r.header("content-length"), Some(bytes.len().to_string().as_str()), "{path}");
        let want = TYPES.iter().find(|(end, _)| path.ends_with(end)).map_or("application/octet-stream", |(_, t)| *t);
        assert_eq!(r.header("content-type"), Some(want), "{path}");
        let last = bytes.len() - 1;
        let part = rig.ask(&format!("GET {to}"), &[&format!("range: bytes={last}-")], "").await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, &bytes[last..]), "{path}");
        assert_eq!(part.header("content-range"), Some(format!("bytes {last}-{last}/{}", bytes.len()).as_str()), "{path}");
        goes_on(rig, &to, &r).await;
    }
    for path in ["Files/none", "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "Files"] {
        let r = rig.get(&format!("{at}/artifacts/{path}")).await;
        assert_eq!(r.status, 404, "{path}: {}", r.body);
        r.problem();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_packages_and_of_nsds_come_back_byte_by_byte() {
    let rig = rig(64, "").await;
    for p in ["client", "firewall", "web"] {
        let folder = format!("descriptors/vcpe/vcpe-{p}");
        let info = rig.onboard_vnf(&folder).await;
        let at = format!("/vnfpkgm/v2/vnf_packages/{}", info["id"].as_str().expect("id"));
        comes_back(&rig, &at, &build(&folder)).await;
    }
    let folder = "descriptors/vcpe/vcpe-ns";
    let info = rig.onboard_nsd(folder).await;
    let at = format!("/nsd/v2/ns_descriptors/{}", info["id"].as_str().expect("id"));
    let archive = build(folder);
    comes_back(&rig, &at, &archive).await;

    // Its one file of TOSCA is text where that is asked for, and the archive is the one that was sent.
    let main = entries(&archive).into_iter().find(|(p, _)| p.starts_with("Definitions/")).expect("a descriptor");
    let nsd = rig.ask(&format!("GET {at}/nsd"), &["accept: text/plain"], "").await;
    assert_eq!((nsd.status, nsd.header("content-type"), &nsd.bytes), (200, Some("text/plain"), &main.1));
    let zipped = rig.ask(&format!("GET {at}/nsd"), &["accept: application/zip"], "").await;
    assert_eq!((zipped.status, zipped.header("content-type")), (200, Some("application/zip")));
    let paths: Vec<String> = entries(&zipped.bytes).into_iter().map(|(p, _)| p).collect();
    assert_eq!(paths, ["TOSCA-Metadata/TOSCA.meta", main.0.as_str()]);
    let whole = rig.get(&format!("{at}/nsd_content")).await;
    assert_eq!((whole.status, whole.header("content-type"), &whole.bytes), (200, Some("application/zip"), &archive));
    goes_on(&rig, &format!("{at}/nsd_content"), &whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_artefacts_of_a_package_come_as_one_archive_by_what_they_are_for() {
    let mut rig = rig(64, "").await;
    let sets = "non_mano_artifact_sets:\n  prv.one:\n    Source: Files/one.txt\n  prv.two:\n    Source: Files/two.txt\n";
    let files: [(&str, &[u8]); 4] =
        [("Files/one.txt", b"one"), ("Files/two.txt", b"two"), ("Files/plain.txt", b"plain"), ("Files/plain.txt.sig", b"signed")];
    let archive = with_manifest(sets, &files);
    let made = rig.post("/vnfpkgm/v2/vnf_packages", json!({})).await;
    let at = made.header("location").expect("location").to_owned();
    let early = rig.get(&format!("{at}/artifacts")).await;
    assert!(early.status == 409 && early.problem().contains("is not onboarded"), "{}", early.body);
    assert_eq!(rig.put(&format!("{at}/package_content"), &archive).await.status, 202);
    let v = rig.settled(&at, "onboardingState", &["UPLOADING", "PROCESSING"]).await;
    assert_eq!(v["onboardingState"], "ONBOARDED", "{v:#}");
    let set_of = |path: &str| {
        let all = v["additionalArtifacts"].as_array().expect("artefacts");
        all.iter().find(|a| a["artifactPath"] == *path).expect("it")["nonManoArtifactSetId"].clone()
    };
    assert_eq!((set_of("Files/one.txt"), set_of("Files/plain.txt")), (json!("prv.one"), json!(null)));
    assert_eq!(rig.show("/vnfpkgm/v2/vnf_packages?all_fields").await[0]["additionalArtifacts"], v["additionalArtifacts"]);

    let vnfm = bearer(&user(&rig, "vnfm-a", "vnfm", "default").await);
    let by_vnfd = format!("/vnfpkgm/v2/onboarded_vnf_packages/{}", v["vnfdId"].as_str().expect("vnfdId"));
    for (face, at) in [(Face::Main, &at), (Face::Vnfm, &at), (Face::Vnfm, &by_vnfd)] {
        rig.show_face(face);
        let get = async |query: &str, more: &[&str]| {
            let head = [&[vnfm.as_str()], more].concat();
            bare(&rig, &format!("GET {at}/artifacts{query}"), &head, "").await
        };
        for (query, plain, signed, one, two) in [
            ("", true, false, true, true),
            ("?include_signatures", true, true, true, true),
            ("?exclude_all_mano_artifacts", false, false, true, true),
            ("?exclude_all_non_mano_artifacts", true, false, false, false),
            ("?select_non_mano_artifact_sets=prv.two,prv.three", true, false, false, true),
            ("?exclude_all_mano_artifacts&select_non_mano_artifact_sets=prv.one&include_external_artifacts", false, false, true, false),
        ] {
            let r = get(query, &[]).await;
            assert_eq!((r.status, r.header("content-type")), (200, Some("application/zip")), "{query}: {}", r.head);
            let all = entries(&r.bytes);
            let has: Vec<bool> = [2, 3, 0, 1].map(|i| all.iter().any(|(p, b)| (p.as_str(), b.as_slice()) == files[i])).into();
            assert_eq!(has, [plain, signed, one, two], "{query}");
            let others = ["Files/images/", "Definitions/", ".mf"];
            assert!(all.iter().all(|(p, _)| others.iter().all(|o| !p.contains(o))), "{query}: descriptor, manifest and images are no part");
        }
        // The same archive each time, so it can be had in parts.
        let whole = get("", &[]).await.bytes;
        let part = get("", &["range: bytes=7-70"]).await;
        assert_eq!((part.status, part.bytes.as_slice()), (206, &whole[7..=70]));
        assert_eq!(part.header("content-range"), Some(format!("bytes 7-70/{}", whole.len()).as_str()));
        let (all, fewer) = (get("", &[]).await, get("?exclude_all_mano_artifacts", &[]).await);
        assert!(all.header("etag").is_some() && part.header("etag") == all.header("etag") && fewer.header("etag") != all.header("etag"));
        for (query, more, status) in
            [("", "range: bytes=9999999-", 416), ("", "accept: text/plain", 406), ("?include_images", "accept: */*", 400)]
        {
            let r = get(query, &[more]).await;
            assert_eq!(r.status, status, "{query} {more}: {}", r.body);
            r.problem();
        }
    }
    assert_eq!(
        std::fs::read_dir(rig.config_path.with_file_name("uploads")).expect("folder").count(),
        0,
        "what was made for an answer is gone"
    );
}
