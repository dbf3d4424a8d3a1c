//! Which of the codes that ETSI declares the tests of the API have seen: recorded beside every server a
//! test starts, held against the digest of ETSI's files, and written as the README's table.
//!
//! `tests/run --coverage` runs the API's tests and then puts the table into README.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bothy::{api::together, config::ReferencePoint};
use serde_json::{Value, json};

use crate::{
    declared::{
        FILES,
        Face::{self, Element, Main, Vnfm},
        PRODUCED, SLIPS, matches,
    },
    held::Held,
    identity::{bare, bearer},
    notify::Subscriber,
    rig::{Rig, rig},
    schema,
};

pub const FACES: [Face; 3] = [Main, Element, Vnfm];

/// How a path is written where both faces have it.
fn told(face: Face, path: &str) -> String {
    match face {
        Main => path.to_owned(),
        Element => format!("sol002:{path}"),
        Vnfm => format!("sol003-nfvo:{path}"),
    }
}
pub const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// Declared and not served yet: what comes to be served has to leave this list.
pub const NOT_YET: &[&str] = &[];

type Codes = BTreeSet<u16>;
/// Path to method to codes.
type Table = BTreeMap<String, BTreeMap<String, Codes>>;

/// What ETSI declares of the APIs that Bothy produces; `None` without ETSI's files.
fn declared() -> Option<Table> {
    let all = FACES.iter().map(|f| Some(declared_at(*f)?.into_iter().map(move |(path, of)| (told(*f, &path), of))));
    Some(all.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

fn declared_at(face: Face) -> Option<Table> {
    let digest = schema::root()?.with_file_name("digest");
    let mut table = Table::new();
    for (_, api, file) in PRODUCED.iter().filter(|p| p.0 == face) {
        let text = fs::read_to_string(digest.join(format!("{file}-v3.7.1.json"))).expect("the digest");
        let all: Value = serde_json::from_str(&text).expect("JSON");
        for r in all["resources"][api].as_array().expect("an API of the digest") {
            let path = SLIPS.iter().fold(r["path"].as_str().expect("path").to_owned(), |p, (slip, meant)| p.replace(slip, meant));
            let codes: Codes = r["responses"].as_object().expect("codes").keys().filter_map(|c| c.parse().ok()).collect();
            // A method that is declared only to be refused is none.
            if codes.iter().ne([405].iter()) {
                table.entry(path).or_default().entry(r["method"].as_str().expect("method").to_owned()).or_default().extend(codes);
            }
        }
    }
    Some(table)
}

pub fn served(face: Face) -> BTreeMap<&'static str, BTreeSet<String>> {
    let points: &[ReferencePoint] = match face {
        Main => &[ReferencePoint::Sol005, ReferencePoint::Sol003Vnfm, ReferencePoint::Sol003Nfvo],
        Element => &[ReferencePoint::Sol002],
        Vnfm => &[ReferencePoint::Sol003Nfvo],
    };
    let all = together(points);
    let of_etsi = all.table().iter().filter(|(path, _)| **path != "/oauth2/token");
    of_etsi.map(|(path, methods)| (*path, methods.iter().map(ToString::to_string).collect())).collect()
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("api-coverage.txt")
}

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes each first sight of method, path and status, and holds the reply against what is declared of it.
pub async fn record(State(held): State<Held>, req: Request, next: Next) -> Response {
    let (method, path) = (req.method().clone(), req.uri().path().to_owned());
    let response = held.pass(&method, &path, next.run(req).await).await;
    let line = format!("{method} {} {}\n", told(held.face, &path), response.status().as_u16());
    let new = SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone());
    if new && let Ok(mut f) = fs::OpenOptions::new().create(true).append(true).open(file()) {
        // One write a line: other processes append as well.
        let _ = f.write_all(line.as_bytes());
    }
    response
}

/// Some resource that is not there.
pub fn nobody(template: &str) -> String {
    let parts = template.split('/').map(|p| match p {
        "{artifactPath}" | "{*artifactPath}" => "Files/none",
        p if p.starts_with('{') => "00000000-0000-4000-8000-000000000000",
        p => p,
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn unknown(rig: &Rig, line: &str) -> u16 {
    let r = rig.raw(&format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await;
    assert!(r.header("www-authenticate").is_some(), "{line}: {}", r.head);
    r.problem();
    r.status
}

#[test]
fn what_etsi_declares_is_served_or_listed_as_not_there_yet() {
    let mut missing: BTreeSet<String> = BTreeSet::new();
    for face in FACES {
        let Some(declared) = declared_at(face) else { return };
        let served = served(face);
        for (path, methods) in &declared {
            let here: BTreeSet<&String> = served.iter().filter(|(t, _)| matches(t, path)).flat_map(|(_, m)| m.iter()).collect();
            missing.extend(methods.keys().filter(|m| !here.contains(m)).map(|m| format!("{m} {}", told(face, path))));
        }
    }
    let listed: BTreeSet<String> = NOT_YET.iter().map(ToString::to_string).collect();
    assert_eq!(missing, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_refuses_strangers_wrong_methods_wrong_forms_and_unknown_names() {
    if schema::root().is_none() {
        return;
    }
    let mut rig = rig(16, "").await;
    let powerless = rig.post("/bothy/v1/users", json!({"name": "eve", "password": "correct horse battery", "roles": []})).await;
    assert_eq!(powerless.status, 201, "{}", powerless.body);
    let token = rig.post("/bothy/v1/tokens", json!({"account": "eve", "label": "test", "expiresIn": 600})).await.json();
    let eve = bearer(token["token"].as_str().expect("token"));
    for face in FACES {
        rig.show_face(face);
        refuse_all(&rig, &eve, face).await;
    }
}

async fn refuse_all(rig: &Rig, eve: &str, face: Face) {
    let Some(declared) = declared_at(face) else { return };
    for (template, here) in served(face) {
        if template.ends_with("/api_versions") && !declared.contains_key(template) {
            continue;
        }
        let path = nobody(template);
        for method in METHODS {
            let line = format!("{method} {path}");
            assert_eq!(unknown(rig, &line).await, 401, "{line}");
            if !here.contains(method) {
                let r = rig.ask(&line, &["content-type: application/json"], "").await;
                assert_eq!(r.status, 405, "{line}: {}", r.body);
                r.problem();
                let allow: BTreeSet<&str> = r.header("allow").expect("allow").split(',').map(str::trim).filter(|m| *m != "HEAD").collect();
                assert!(allow.iter().copied().eq(here.iter().map(String::as_str)), "{line}: {allow:?}");
                continue;
            }
            let r =
                rig.ask(&line, &["accept: image/png", "content-type: application/json"], if method == "POST" { "{}" } else { "" }).await;
            let expected: &[u16] = match method {
                // Of a file that is not there, neither is the form.
                "GET" if FILES.iter().any(|f| template.ends_with(f)) => &[404, 406],
                "GET" | "POST" | "PATCH" => &[406],
                // A body of no form that is taken, or no such resource.
                "PUT" => &[404, 415],
                _ => &[404],
            };
            assert!(expected.contains(&r.status), "{line}: {} {}", r.status, r.body);
            let r = bare(rig, &line, &[eve], "").await;
            assert_eq!(r.status, 403, "{line}: {}", r.body);
            if matches!(method, "POST" | "PATCH") {
                let form = if method == "POST" { "application/json" } else { "application/merge-patch+json" };
                let r = rig.ask(&line, &[&format!("content-type: {form}")], "{\"half\":").await;
                let expected: &[u16] = if template.contains('{') { &[400, 404] } else { &[400] };
                assert!(expected.contains(&r.status), "{line}: {} {}", r.status, r.body);
            }
            if method == "GET" && !template.contains('{') && !template.ends_with("api_versions") {
                let r = rig.get(&format!("{path}?filter=(half")).await;
                assert_eq!(r.status, 400, "{line}: {}", r.body);
                r.problem();
            }
            if template.contains('{') && matches!(method, "GET" | "DELETE") {
                let r = rig.ask(&line, &[], "").await;
                assert_eq!(r.status, 404, "{line}: {}", r.body);
                r.problem();
            }
        }
    }
}

fn readme() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}
const BEGIN: &str = "<!-- coverage: written by tests/run --coverage -->\n";
const END: &str = "<!-- end of coverage -->\n";

/// The README's rows: each declared code, bold where a test has seen it.
fn rows(declared: &Table, seen: &Table) -> String {
    let mut out = String::from("| resource | method and declared codes |\n|---|---|\n");
    for (path, methods) in declared {
        let cell = METHODS.iter().filter_map(|m| methods.get(*m).map(|codes| (*m, codes))).map(|(m, codes)| {
            let hit = seen.get(path).and_then(|s| s.get(m));
            let codes = codes.iter().map(|c| if hit.is_some_and(|h| h.contains(c)) { format!("**{c}**") } else { c.to_string() });
            format!("{m} {}", codes.collect::<Vec<_>>().join(" "))
        });
        out += &format!("| `{path}` | {} |\n", cell.collect::<Vec<_>>().join("; "));
    }
    out
}

/// What the tests of this run have noted so far, by what it is declared as.
fn noted(declared: &Table) -> Table {
    let mut seen = Table::new();
    for line in fs::read_to_string(file()).expect("a run before this").lines() {
        let mut words = line.split(' ');
        let (Some(method), Some(path), Some(Ok(code))) = (words.next(), words.next(), words.next().map(str::parse)) else { continue };
        // The most literal template is meant: `{id}` also fits a name.
        let template = declared.keys().filter(|t| matches(t, path)).min_by_key(|t| t.matches('{').count());
        if let Some(t) = template {
            let of = seen.entry(t.clone()).or_default();
            // Declared of each method, it can only be the answer to another.
            let methods = if code == 405 { &METHODS[..] } else { &[method] };
            methods.iter().for_each(|m| _ = of.entry((*m).to_owned()).or_default().insert(code));
        }
    }
    seen
}

/// Served and not seen to succeed by any test, with the reason: what comes to be seen has to leave this list.
const NO_SUCCESS: &[(&str, &str)] = &[(
    "GET /vnflcm/v2/vnf_snapshots/{vnfSnapshotInfoId}/vnf_state_snapshot",
    "no VNF is asked for a state beside its disks: 404 with the reason",
)];

/// Whether one of the codes that were seen is a success.
fn succeeds(seen: &Table, path: &str, method: &str) -> bool {
    seen.get(path).and_then(|s| s.get(method)).is_some_and(|codes| codes.range(200..300).next().is_some())
}

/// Of what is declared, those which no test has seen to succeed. SOL002's are SOL003's own handlers: what one of them
/// answers, the other does.
fn without_success(declared: &Table, seen: &Table) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (path, methods) in declared {
        let alike = path.strip_prefix("sol002:");
        for method in methods.keys() {
            if !succeeds(seen, path, method) && !alike.is_some_and(|same| succeeds(seen, same, method)) {
                out.insert(format!("{method} {path}"));
            }
        }
    }
    out
}

/// Run by `tests/run` after all others.
#[test]
#[ignore = "reads what the other tests of a whole run have noted"]
fn each_operation_has_succeeded_in_some_test() {
    let Some(declared) = declared() else { return };
    let missing = without_success(&declared, &noted(&declared));
    let listed: BTreeSet<String> = NOT_YET.iter().copied().chain(NO_SUCCESS.iter().map(|(o, _)| *o)).map(ToOwned::to_owned).collect();
    let list = |from: &BTreeSet<String>, but: &BTreeSet<String>| from.difference(but).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(missing.is_subset(&listed), "no test has seen these succeed:\n  {}", list(&missing, &listed));
    assert!(listed.is_subset(&missing), "seen to succeed, and listed as not: take them out\n  {}", list(&listed, &missing));
}

#[test]
fn an_operation_that_only_failed_is_found() {
    let table = |of: &[(&str, &str, &[u16])]| {
        let mut t = Table::new();
        for (path, method, codes) in of {
            t.entry((*path).to_owned()).or_default().insert((*method).to_owned(), codes.iter().copied().collect());
        }
        t
    };
    let declared = table(&[("/a", "GET", &[200, 404]), ("/b", "PUT", &[202]), ("sol002:/a", "GET", &[200]), ("sol002:/c", "GET", &[200])]);
    let seen = table(&[("/a", "GET", &[206]), ("/b", "PUT", &[404, 409])]);
    let missing: Vec<String> = without_success(&declared, &seen).into_iter().collect();
    assert_eq!(missing, ["GET sol002:/c", "PUT /b"]);
}

/// What every API has alike: its versions, and subscriptions that are made, read, listed and ended.
#[tokio::test(flavor = "multi_thread")]
async fn versions_are_told_and_subscriptions_come_and_go_at_each_api() {
    let mut rig = rig(64, "").await;
    let to = Subscriber::start(None).await;
    for face in FACES {
        rig.show_face(face);
        for path in served(face).into_keys() {
            if path.ends_with("/api_versions") {
                assert_eq!(rig.get(path).await.status, 200, "{face:?} {path}");
            }
            // An admin is no element manager, and has no VNF in its charge.
            if path.ends_with("/subscriptions") {
                let made = rig.post(path, json!({"callbackUri": to.uri()})).await;
                assert_eq!(made.status, 201, "{face:?} {path}: {}", made.body);
                let one = made.header("location").expect("location").to_owned();
                assert!(one.starts_with(path), "{one}");
                assert_eq!((rig.show(&one).await, rig.show(path).await), (made.json(), json!([made.json()])), "{face:?} {path}");
                assert_eq!((rig.delete(&one).await.status, rig.get(&one).await.status), (204, 404), "{face:?} {path}");
            }
        }
    }
}

/// Run by `tests/run --coverage` after all others.
#[test]
#[ignore = "reads what the other tests of a whole run have noted, and writes README.md"]
fn the_table_is_written() {
    let declared = declared().expect("ETSI's files");
    let seen = noted(&declared);
    let total: usize = declared.values().flat_map(|m| m.values()).map(BTreeSet::len).sum();
    let hits = |p: &String, m: &String, codes: &Codes| seen.get(p).and_then(|s| s.get(m)).map_or(0, |h| h.intersection(codes).count());
    let hit: usize = declared.iter().flat_map(|(p, methods)| methods.iter().map(move |(m, c)| hits(p, m, c))).sum();
    let text = fs::read_to_string(readme()).expect("README.md");
    let (before, rest) = text.split_once(BEGIN).expect("the place of the table");
    let (_, after) = rest.split_once(END).expect("its end");
    let summary = format!("<summary>{hit} of {total} declared codes seen</summary>");
    let table = format!("<details>{summary}\n\n{}\n</details>\n", rows(&declared, &seen));
    fs::write(readme(), format!("{before}{BEGIN}{table}{END}{after}")).expect("written");
    println!("{hit} of {total} declared codes were seen by a test");
}

#[test]
fn the_readmes_table_has_every_resource_method_and_declared_code() {
    let Some(declared) = declared() else { return };
    let text = fs::read_to_string(readme()).expect("README.md");
    let shown = text.split_once(BEGIN).and_then(|(_, r)| r.split_once(END)).expect("the table").0.replace("**", "");
    for row in rows(&declared, &Table::new()).lines() {
        assert!(shown.contains(row), "README.md has no longer all that is declared: tests/run --coverage writes it anew\n{row}");
    }
}
