//! schemathesis (PyPI, in `build/clients`) over ETSI's own files of every API that Bothy produces, against a daemon on the
//! loopback with things on its simulated box.
//!
//! What ETSI's files get wrong is mended before they are read: `schema::MISTAKES` for types, [`slips`] for the rest. Whatever
//! else schemathesis finds is Bothy's. `--long` gives it more examples, and lets it follow what one reply gives the next request.

mod slips;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use serde_json::{Value, json};

use self::slips::SLIPS;
use crate::{
    coverage, declared, schema,
    stage::{Point, Stage, clients},
};

/// One file of ETSI's: where it is, what is put before its paths, and the version of the API.
struct Api {
    file: &'static str,
    base: &'static str,
    version: &'static str,
    point: Point,
}

const fn api(file: &'static str, base: &'static str, version: &'static str, point: Point) -> Api {
    Api { file, base, version, point }
}

const APIS: &[Api] = &[
    api("nfv-sol005/SOL005/NSDManagement/NSDManagement.yaml", "nsd/v2", "2.3.0", Point::Sol005),
    api("nfv-sol005/SOL005/VNFPackageManagement/VNFPackageManagement.yaml", "vnfpkgm/v2", "2.4.0", Point::Sol005),
    api("nfv-sol005/SOL005/NSLifecycleManagement/NSLifecycleManagement.yaml", "nslcm/v2", "2.3.0", Point::Sol005),
    api("nfv-sol005/SOL005/NSFaultManagement/NSFaultManagement.yaml", "nsfm/v1", "1.3.0", Point::Sol005),
    api("nfv-sol005/SOL005/NSPerformanceManagement/NSPerformanceManagement.yaml", "nspm/v2", "2.3.0", Point::Sol005),
    api("nfv-sol005/SOL005/NFVICapacityInformation/NFVICapacityInformation.yaml", "nfvici/v1", "1.1.0", Point::Sol005),
    api("nfv-sol002-sol003/SOL003/VNFLifecycleManagement/VNFLifecycleManagement.yaml", "vnflcm/v2", "2.3.0", Point::Sol003Vnfm),
    api("nfv-sol002-sol003/SOL003/VNFFaultManagement/VNFFaultManagement.yaml", "vnffm/v1", "1.5.0", Point::Sol003Vnfm),
    api("nfv-sol002-sol003/SOL003/VNFPerformanceManagement/VNFPerformanceManagement.yaml", "vnfpm/v2", "2.2.0", Point::Sol003Vnfm),
    api("nfv-sol002-sol003/SOL003/VNFPackageManagement/VNFPackageManagement.yaml", "vnfpkgm/v2", "2.4.0", Point::Sol003Nfvo),
    api("nfv-sol002-sol003/SOL003/VNFIndicator/VNFIndicator.yaml", "vnfind/v1", "1.4.0", Point::Sol003Vnfm),
    api("nfv-sol002-sol003/SOL002/VNFIndicator/VNFIndicator.yaml", "vnfind/v1", "1.4.0", Point::Sol002),
    api("nfv-sol002-sol003/SOL002/VNFLifecycleManagement/VNFLifecycleManagement.yaml", "vnflcm/v2", "2.3.0", Point::Sol002),
    api("nfv-sol002-sol003/SOL002/VNFFaultManagement/VNFFaultManagement.yaml", "vnffm/v1", "1.5.0", Point::Sol002),
    api("nfv-sol002-sol003/SOL002/VNFPerformanceManagement/VNFPerformanceManagement.yaml", "vnfpm/v2", "2.2.0", Point::Sol002),
    api(
        "nfv-sol002-sol003/SOL003/VNFLifecycleOperationGranting/VNFLifecycleOperationGranting.yaml",
        "grant/v1",
        "1.7.0",
        Point::Sol003Nfvo,
    ),
    api(
        "nfv-sol002-sol003/SOL003/VirtualisedResourcesQuotaAvailableNotification/VirtualisedResourcesQuotaAvailableNotification.yaml",
        "vrqan/v1",
        "1.3.0",
        Point::Sol003Nfvo,
    ),
];

/// Seconds for each API: by then each of its methods has had its share. `--long` has no bound.
const EACH_S: &str = "20";

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/schemathesis")
}

/// ETSI's files without their mistakes, in a folder.
fn prepare(bin: &Path, root: &Path, out: &Path) {
    let types = schema::mends().map(|(file, pointer, put, _)| json!({"file": file, "pointer": pointer, "put": put}));
    let rest = SLIPS.iter().map(|(file, pointer, put, _)| {
        let put: Option<Value> = put.map(|text| serde_json::from_str(text).unwrap_or_else(|e| panic!("{file}{pointer}: {e}")));
        json!({"file": file, "pointer": pointer, "put": put})
    });
    // Taken out, there is nothing to put.
    let without_null = |mut mend: Value| {
        let of = mend.as_object_mut().expect("an object");
        of.retain(|_, v| !v.is_null());
        mend
    };
    let mends: Vec<Value> = types.chain(rest).map(without_null).collect();
    let apis: Vec<Value> = APIS.iter().map(|a| json!({"file": a.file, "base": a.base})).collect();
    let whole = json!({"root": root, "out": out.join("etsi"), "mends": mends, "apis": apis, "paths": declared::SLIPS});
    let plan = out.join("plan.json");
    fs::write(&plan, whole.to_string()).expect("a plan");
    let done = Command::new(bin.join("python"))
        .arg(here().join("prepare.py"))
        .stdin(fs::File::open(plan).expect("a plan"))
        .output()
        .expect("python");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// What schemathesis says of one API; `None` when it found nothing.
fn run(bin: &Path, out: &Path, stage: &Stage, api: &Api) -> Option<String> {
    let name = api.file.replace('/', "-");
    let box_file = out.join(format!("{name}.json"));
    fs::write(&box_file, json!({"version": api.version, "known": stage.known(api.base)}).to_string()).expect("what is there");
    let mut st = Command::new(bin.join("st"));
    st.arg("--config-file").arg(here().join("schemathesis.toml")).arg("run").arg(out.join("etsi").join(api.file));
    match std::env::var_os("BOTHY_LONG") {
        Some(_) => st.args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "50"]),
        None => st.args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--max-time", EACH_S]),
    };
    // What is not served at all is listed by the coverage's test; here it would be a 404 for a 405.
    let not_yet = coverage::NOT_YET.iter().filter_map(|n| {
        let path = n.split_once(' ')?.1;
        path.split_once(':').map_or(path, |(_, p)| p).strip_prefix(&format!("/{}", api.base))
    });
    for path in not_yet.collect::<BTreeSet<_>>() {
        st.args(["--exclude-path", path]);
    }
    let said = st
        .args(["--url", &format!("https://127.0.0.1:{}/{}", stage.port(api.point), api.base)])
        .args(["--header", &format!("Authorization: Bearer {}", stage.token()), "--tls-verify"])
        .arg(stage.certificate())
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", here())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("BOTHY_BOX", box_file)
        .env("COLUMNS", "160")
        .current_dir(out)
        .stdin(Stdio::null())
        .output()
        .expect("schemathesis");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    println!("{}: {}", api.file, text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default());
    (!said.status.success()).then_some(text)
}

#[test]
fn schemathesis_finds_nothing_that_etsis_files_do_not_allow() {
    let (Some(root), Some(bin)) = (schema::root(), clients()) else { return };
    let dir = tempfile::tempdir().expect("dir");
    prepare(&bin, &root, dir.path());
    let mut stage = Stage::set();
    stage.fill();
    // One API may be named, to look at it alone.
    let only = std::env::var("BOTHY_API").ok();
    let left: Mutex<Vec<&Api>> = Mutex::new(APIS.iter().rev().filter(|a| only.as_deref().is_none_or(|o| a.file.contains(o))).collect());
    let found: Mutex<Vec<String>> = Mutex::default();
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                loop {
                    let next = left.lock().expect("the list").pop();
                    let Some(api) = next else { break };
                    if let Some(text) = run(&bin, dir.path(), &stage, api) {
                        found.lock().expect("what was found").push(format!("==== {}\n{text}", api.file));
                    }
                }
            });
        }
    });
    let found = found.into_inner().expect("what was found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
