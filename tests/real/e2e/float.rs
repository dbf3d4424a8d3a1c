//! A guest that floats and one that has a CPU for itself, on the two CPUs of a real host: who may run where, by the
//! kernel's word.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::kit::{
    self,
    bothy::{NEEDS, build_edited, shipped, text, within},
    host::{Host, With, qemu_of, tiny_image},
    sh,
};

const WAIT: Duration = Duration::from_secs(180);

/// The web server, as another VNF if it has a CPU of its own.
fn package(image: &Path, own: bool) -> Vec<u8> {
    let definition = "Definitions/vcpe-web.yaml";
    let pinned = "num_virtual_cpu: 1\n              virtual_cpu_pinning:\n                virtual_cpu_pinning_policy: static\n";
    let edits = [
        (definition, "b0714103-0000-4000-8000-000000000001", "b0714103-0000-4000-8000-0000000000f1"),
        (definition, "num_virtual_cpu: 1\n", pinned),
    ];
    build_edited(&shipped("descriptors/vcpe/vcpe-web"), &[("Files/images/tiny.qcow2", image)], if own { &edits } else { &[] })
}

/// The threads of a guest: whether it is QEMU's main one, its name, and where the kernel lets it run.
fn tasks(guest: &str) -> Vec<(bool, String, String)> {
    let pid = qemu_of(guest.parse().expect("a guest"));
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("tasks");
    tasks
        .filter_map(|t| {
            let t = t.ok()?.path();
            let name = fs::read_to_string(t.join("comm")).ok()?.trim().to_owned();
            let status = fs::read_to_string(t.join("status")).ok()?;
            let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"))?.trim().to_owned();
            Some((t.file_name()?.to_str()? == pid.to_string(), name, list))
        })
        .collect()
}

/// Where its vCPUs may run, and with `main` QEMU's main thread; each set once.
fn allowed(guest: &str, main: bool) -> Vec<String> {
    let all = tasks(guest).into_iter().filter(|(is_main, name, _)| name.starts_with("CPU ") || main && *is_main);
    all.map(|(_, _, list)| list).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Another guest than this has a process.
fn another_runs(dir: &str, guest: &str) -> bool {
    let all = fs::read_dir("/proc").expect("proc").filter_map(|e| fs::read(e.ok()?.path().join("cmdline")).ok());
    let mut guests = all.map(|c| String::from_utf8_lossy(&c).into_owned()).filter(|c| c.contains(dir) && c.contains("\0-uuid\0"));
    guests.any(|c| !c.contains(&format!("-uuid\0{guest}")))
}

struct Vnf {
    path: String,
}

impl Vnf {
    fn of(host: &Host, package: &Value, name: &str) -> Vnf {
        let ask = json!({ "vnfdId": text(package, "vnfdId"), "vnfInstanceName": name });
        let id = text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id").to_owned();
        Vnf { path: format!("/vnflcm/v2/vnf_instances/{id}") }
    }
    fn ask(&self, host: &Host, task: &str, body: &Value) -> String {
        host.post(&format!("{}/{task}", self.path), body).expect(202).location.expect("an operation")
    }
    fn instantiate(&self, host: &Host) -> String {
        self.ask(host, "instantiate", &json!({ "flavourId": "default" }))
    }
    fn guest(&self, host: &Host) -> String {
        text(&host.get(&self.path)["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["computeResource"], "resourceId").to_owned()
    }
    fn end(&self, host: &Host) {
        host.completed(&self.ask(host, "terminate", &json!({ "terminationType": "FORCEFUL" })));
        host.delete(&self.path);
    }
}

#[test]
fn a_cpu_that_one_guest_has_for_itself_is_no_other_ones() {
    if kit::lacks(&NEEDS) {
        return;
    }
    if fs::read_to_string("/sys/devices/system/cpu/online").expect("CPUs").trim() != "0-1" {
        println!("SKIP: needs a host of two CPUs, 0-1");
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    let onboard = |own| host.onboard(false, &package(image.as_std_path(), own)).1;
    let (shared, own) = (onboard(false), onboard(true));
    let uri = format!("qemu+unix:///system?socket={}/libvirt-sock", host.dir());
    let virsh = |args: &[&str]| sh(&[&["virsh", "-q", "-c", &uri], args].concat());
    let usage = || host.cli(&["--json", "host", "usage"]).parse::<Value>().expect("usage");
    let comes_to = |what: &str, guest: &str, want: &str| within(what, WAIT, || Some(()).filter(|()| allowed(guest, true) == [want]));

    let web = Vnf::of(&host, &shared, "web");
    host.completed(&web.instantiate(&host));
    let floats = web.guest(&host);
    assert_eq!(allowed(&floats, true), ["0-1"]);
    assert!(virsh(&["dumpxml", &floats, "--inactive"]).contains("<vcpu placement='static' cpuset='0-1'>1</vcpu>"));

    // The other has CPU 0: from the first moment of its process nobody else is there.
    let fast = Vnf::of(&host, &own, "fast");
    let over = AtomicBool::new(false);
    let together = thread::scope(|s| {
        let watch = s.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(SeqCst) {
                if another_runs(host.dir().as_str(), &floats) {
                    seen.extend(allowed(&floats, true));
                }
            }
            seen
        });
        // Also where one of these panics: nobody would end the watching.
        let end = catch_unwind(AssertUnwindSafe(|| host.rest(&fast.instantiate(&host))));
        over.store(true, SeqCst);
        let end = end.unwrap_or_else(|why| resume_unwind(why));
        assert_eq!(text(&end, "operationState"), "COMPLETED", "{end}\n{}", host.log_tail());
        watch.join().expect("watched")
    });
    assert_eq!(together, BTreeSet::from(["1".to_owned()]), "where the one that floats was while the other had a process");
    let owns = fast.guest(&host);
    // QEMU's own thread is beside it, where others float.
    assert_eq!((allowed(&owns, false), allowed(&owns, true)), (vec!["0".to_owned()], vec!["0".to_owned(), "1".to_owned()]));
    let is_back = |what: &str| within(what, WAIT, || Some(()).filter(|()| allowed(&owns, false) == ["0"]));
    println!("the one that floats: {:?}", tasks(&floats));
    let now = usage();
    assert_eq!((&now["nodes"][0]["floatingCpus"], &now["drift"]), (&json!("1"), &json!([])), "{now}");
    assert!(host.cli(&["explain", &floats]).contains("it floats over CPUs 1 now"));

    // A second one would leave nothing to float over.
    let more = Vnf::of(&host, &own, "more");
    let end = host.rest(&more.instantiate(&host));
    assert_eq!(text(&end, "operationState"), "ROLLED_BACK", "{end}");
    assert!(end["error"].to_string().contains("would be left to guests that float over all of it (1 more would do)"), "{end}");
    host.delete(&more.path);

    // Behind bothy's back. It may be so fast to put that right that nobody else has seen it.
    let told = (0..20).any(|_| {
        virsh(&["vcpupin", &owns, "0", "0-1"]);
        let drift = usage()["drift"].to_string();
        is_back("the owner is on its CPU");
        drift.contains("vCPU 0 may run on CPUs 0-1, and was pinned to 0")
    });
    assert!(told, "nobody tells of a pin that somebody changed");
    for args in [["vcpupin", &floats, "0", "0"].as_slice(), &["emulatorpin", &floats, "0"]] {
        virsh(args);
        comes_to("the one that floats keeps off", &floats, "1");
    }
    // And while bothy was away.
    host.kill_bothy();
    virsh(&["vcpupin", &floats, "0", "0-1"]);
    virsh(&["vcpupin", &owns, "0", "1"]);
    host.serve();
    comes_to("the one that floats keeps off after a kill", &floats, "1");
    is_back("the owner is on its CPU after a kill");

    fast.end(&host);
    comes_to("the CPU is everybody's again", &floats, "0-1");
    web.end(&host);
    host.nothing_left();
}
