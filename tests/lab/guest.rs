//! A guest that asks for hardware, `descriptors/epa-small`: refused with reasons, placed, proved from both
//! sides, carried over a kill of the daemon, and given back whole.

use std::{sync::Mutex, time::Duration};

use serde_json::Value;

use crate::{
    kit::{Lab, harness::Test},
    pages::pages,
    sriov::{pf, vf},
};

pub const TESTS: &[Test] = tests![
    pages_on_the_other_node_are_a_refusal_with_reasons,
    a_kill_between_vf_and_start_is_made_good,
    the_host_runs_the_guest_where_it_was_placed,
    the_guest_sees_what_it_asked_for,
    a_reload_of_the_pf_takes_the_function_out_and_brings_the_same_one_back,
    a_pf_that_loses_its_driver_behind_bothys_back_is_brought_back,
];

/// After a reboot of the box, with the guest on it.
pub const AFTER_A_REBOOT: &[Test] = tests![the_box_brings_the_guest_back_with_all_it_was_given, its_end_gives_everything_back];

pub const SERVICE: &str = "/usr/share/bothy-lab/epa-small";
pub const IMAGES: &str = "/usr/share/bothy-lab/images";
/// The PF's node, where the host keeps no CPU of its own.
const NODE: u32 = 1;
pub const SMALL: u32 = 2048;
/// A file for each guest that runs.
pub const RUNNING: &str = "/run/libvirt/qemu/b-*.pid";
/// Emulation inside emulation.
pub const GUEST: Duration = Duration::from_secs(900);

/// The VFs as the host has them, noted before the guest comes.
static BEFORE: Mutex<Option<[[Value; 3]; 2]>> = Mutex::new(None);

/// Rates, trust and spoof check of a VF. Not its MAC: what its driver in the host chose is another one each time
/// the PF makes it.
#[track_caller]
fn of_host(lab: &mut Lab, n: usize) -> [Value; 3] {
    let (name, _) = pf(lab, NODE as usize);
    let seen = vf(lab, &name, n);
    ["rate", "trust", "spoofchk"].map(|member| seen[member].clone())
}

/// CPUs of node 0 are the host's, the PF of node 1 is on the network `fast`; pages are on one node.
#[track_caller]
fn set_up(lab: &mut Lab, node: u32) {
    let lines = set_up_lines(lab, node, "", "0-2");
    lab.configure(&lines);
    lab.apply(&[]);
    assert_eq!(pages(lab, node, SMALL), (160, 160));
}

/// The same as lines of the configuration, with more pages and these CPUs for the host.
#[track_caller]
pub fn set_up_lines(lab: &mut Lab, node: u32, more: &str, host: &str) -> String {
    lab.sh("ovs-vsctl --may-exist add-br br-fast");
    let (name, _) = pf(lab, NODE as usize);
    format!(
        "hugepages = [{{ node = {node}, size = \"2 MiB\", pages = 160 }}, {{ node = {}, size = \"2 MiB\", pages = 0 }}{more}]\n\
         pf = [{{ name = \"{name}\", vfs = 2, network = \"fast\" }}]\n\
         [reserve]\ncpus = \"{host}\"\n\
         [[physical_network]]\nname = \"fast\"\nbridge = \"br-fast\"\n",
        1 - node
    )
}

fn pages_on_the_other_node_are_a_refusal_with_reasons(lab: &mut Lab) {
    set_up(lab, 0);
    let before = [0, 1].map(|n| of_host(lab, n));
    assert!(before.iter().flatten().all(|v| !v.is_null()), "told by their PF: {before:?}");
    *BEFORE.lock().expect("not poisoned") = Some(before);
    let e = lab.run(&["/usr/bin/bothy", "up", SERVICE, "--images", IMAGES], b"", Duration::from_secs(300));
    assert_ne!(e.code, Some(0), "{}", e.out);
    for reason in ["node 0: 0 CPUs free to pin to, 2 wanted", "node 1: 2 MiB pages: 0 of 0 free, 128 wanted (128 more would do)"] {
        assert!(e.err.contains(reason), "{reason} in {}", e.err);
    }
}

/// The refused operation again, now that the pages are where the CPUs and the PF are.
fn a_kill_between_vf_and_start_is_made_good(lab: &mut Lab) {
    set_up(lab, NODE);
    let (name, _) = pf(lab, NODE as usize);
    let op = operations(lab)[0]["id"].as_str().expect("an id").to_owned();
    // The daemon dies in the moment in which its VF has the VLAN; systemd starts it again.
    let script = format!(
        "bothy op retry {op}\n\
         n=0; until ip link show dev {name} | grep -q 'vlan 42'; do n=$((n + 1)); test $n -lt 1000; sleep 0.02; done\n\
         kill -9 $(systemctl show --value -p MainPID bothy); ls {RUNNING} 2>/dev/null | wc -l"
    );
    let said = lab.sh_within(Duration::from_secs(300), &script);
    assert_eq!(said.lines().last(), Some("0"), "the guest had started before the kill: {said}");
    let state = format!("bothy --json op show {op} | grep -m 1 operationState");
    lab.eventually("completed", GUEST, &state, |said| said.contains("COMPLETED") || said.contains("FAILED"));
    let states: Vec<Value> = operations(lab).iter().map(|o| o["operationState"].clone()).collect();
    assert_eq!(states, ["COMPLETED", "COMPLETED"], "the service's and the VNF's");
}

#[track_caller]
fn operations(lab: &mut Lab) -> Vec<Value> {
    lab.bothy(&["op", "list"]).as_array().expect("a list").clone()
}

fn the_host_runs_the_guest_where_it_was_placed(lab: &mut Lab) {
    let (name, pci) = pf(lab, NODE as usize);
    let pid = lab.sh(&format!("cat {RUNNING}"));
    // Its memory: 256 MiB in pages of 2 MiB, all of them on the node.
    let maps = lab.sh(&format!("grep huge /proc/{pid}/numa_maps"));
    let on = |node: u32| -> u64 {
        let word = format!("N{node}=");
        maps.split_whitespace().filter_map(|w| w.strip_prefix(&word)?.parse::<u64>().ok()).sum()
    };
    assert_eq!((on(NODE), on(1 - NODE)), (128, 0), "{maps}");
    assert!(maps.contains("kernelpagesize_kB=2048") && maps.contains(&format!("bind:{NODE}")), "{maps}");
    assert_eq!(pages(lab, NODE, SMALL), (160, 32));
    // Its threads: a CPU of the node for each vCPU.
    assert_eq!(vcpus(lab, &pid), ["3", "4"]);
    let threads = threads(lab, &pid);
    // QEMU's own are on what is left to guests there: none is on the host's, or in a vCPU's way.
    assert!(qemus_own(&threads).all(|l| l.ends_with(": 5")), "{threads}");
    // Its VF: on the VLAN, with a MAC of Bothy's, and with the guest's driver.
    let index = given(lab, &name);
    assert_eq!(driver(lab, &pci, index), "vfio-pci");
    // With its rate, trust and spoof check, as the descriptor has them.
    let said = lab.sh(&format!("ip link show dev {name} | grep -A 1 'vf {index} '"));
    assert!(["100Mbps", "trust on", "spoof checking on"].iter().all(|w| said.contains(w)), "{said}");
    let usage = lab.bothy(&["host", "usage"]);
    assert_eq!(usage["drift"], serde_json::json!([]), "{usage}");
    assert_eq!(usage["nodes"][NODE as usize]["freeCpus"], "5", "{usage}");
    let shown = lab.sh("bothy host usage");
    assert!(shown.contains(&format!("VF {index}: epa-small-fast_vm/data_vm/0")), "{shown}");
}

/// The CPUs that each of a QEMU's threads may run on. Workers come and go meanwhile.
#[track_caller]
pub fn threads(lab: &mut Lab, pid: &str) -> String {
    lab.sh(&format!(
        "for t in /proc/{pid}/task/*; do \
         name=$(cat $t/comm 2>/dev/null) && cpus=$(grep Cpus_allowed_list $t/status 2>/dev/null) || continue; \
         echo \"$name: ${{cpus##*[!0-9,-]}}\"; done"
    ))
}

/// Those that are no vCPU's. KVM's own, which stays where the first vCPU was when it made it, is the kernel's.
pub fn qemus_own(threads: &str) -> impl Iterator<Item = &str> {
    threads.lines().filter(|l| !l.starts_with("CPU ") && !l.starts_with("kvm-nx-lpage"))
}

/// Those of its vCPUs, in their order.
#[track_caller]
pub fn vcpus(lab: &mut Lab, pid: &str) -> Vec<String> {
    let threads = threads(lab, pid);
    let mut all: Vec<&str> = threads.lines().filter(|l| l.starts_with("CPU ")).collect();
    all.sort_unstable();
    all.iter().filter_map(|l| l.rsplit(": ").next()).map(Into::into).collect()
}

fn the_guest_sees_what_it_asked_for(lab: &mut Lab) {
    let look = "cat /sys/devices/system/cpu/online; ls -d /sys/devices/system/node/node[0-9]* | wc -l";
    // Two CPUs on one node.
    assert_eq!(in_guest(lab, look).lines().collect::<Vec<_>>(), ["0-1", "1"]);
    driven_in_guest(lab);
}

/// The guest has its NICs in the descriptor's order, each with a driver and the MAC that was planned for it:
/// the switch's, then the function. 8086:10ca is the VF of an 82576, which asks its PF for the MAC.
#[track_caller]
fn driven_in_guest(lab: &mut Lab) {
    let look = "for d in /sys/bus/pci/devices/*; do case $(cat $d/class) in 0x0200*) \
                echo $(basename \"$(readlink $d/driver)\") $(cat $d/vendor $d/device $d/net/*/address $d/virtio*/net/*/address 2>/dev/null);; \
                esac; done";
    let of_bridge = lab.sh("virsh -q domiflist $(virsh -q list --name) | awk '$2 == \"bridge\" { print $5 }'");
    let (_, of_function) = function(lab);
    let wanted = [format!("virtio-pci 0x1af4 0x1000 {of_bridge}"), format!("igbvf 0x8086 0x10ca {of_function}")].join("\n");
    let mut said = String::new();
    // A driver may still be at it.
    for _ in 0..60 {
        said = in_guest(lab, look);
        if said == wanted {
            return;
        }
    }
    assert_eq!(said, wanted, "the guest's NICs");
}

/// What a reload must bring back: the VF's number, its MAC, by the host's and by libvirt's word.
#[track_caller]
fn function(lab: &mut Lab) -> (usize, String) {
    let (name, pci) = pf(lab, NODE as usize);
    let index = given(lab, &name);
    assert_eq!(driver(lab, &pci, index), "vfio-pci");
    let mac = lab.sh("virsh -q domiflist $(virsh -q list --name) | awk '$2 == \"hostdev\" { print $5 }'");
    assert_eq!(vf(lab, &name, index)["address"], *mac);
    (index, mac)
}

/// An interface that is made anew has another number.
#[track_caller]
fn ifindex(lab: &mut Lab) -> String {
    let (name, _) = pf(lab, NODE as usize);
    lab.sh(&format!("cat /sys/class/net/{name}/ifindex"))
}

fn a_reload_of_the_pf_takes_the_function_out_and_brings_the_same_one_back(lab: &mut Lab) {
    let (name, _) = pf(lab, NODE as usize);
    let (before, qemu, index) = (function(lab), lab.sh(&format!("cat {RUNNING}")), ifindex(lab));
    driven_in_guest(lab);
    let said = lab.sh_within(GUEST, &format!("bothy host reload {name} --within 120"));
    assert!(said.contains("RELOAD_PF") && said.contains("COMPLETED"), "{said}");
    assert_ne!(ifindex(lab), index, "its driver made its interface anew");
    assert_eq!(function(lab), before);
    assert_eq!(lab.sh(&format!("cat {RUNNING}")), qemu, "the guest ran all the time");
    driven_in_guest(lab);
    assert_eq!(lab.bothy(&["host", "usage"])["drift"], serde_json::json!([]));
}

fn a_pf_that_loses_its_driver_behind_bothys_back_is_brought_back(lab: &mut Lab) {
    let (_, pci) = pf(lab, NODE as usize);
    let (before, index) = (function(lab), ifindex(lab));
    // The kernel waits for the guest before it lets go.
    lab.sh_within(Duration::from_secs(300), &format!("echo {pci} > /sys/bus/pci/drivers/igb/unbind"));
    let restored = "bothy op list | grep RESTORE_PF || true";
    lab.eventually("restored", GUEST, restored, |said| said.contains("COMPLETED"));
    assert_ne!(ifindex(lab), index);
    assert_eq!(function(lab), before);
    driven_in_guest(lab);
    assert!(lab.sh("journalctl -u bothy -o cat").contains("of guest epa-small-fast_vm/data_vm/0 is gone"), "reported");
    lab.eventually("health", Duration::from_secs(120), "bothy health | grep functions", |said| {
        said.contains("guests have the PCI functions")
    });
}

/// The VF that is on the VLAN of the guest's link.
#[track_caller]
fn given(lab: &mut Lab, pf: &str) -> usize {
    let all: Vec<usize> = (0..2).filter(|n| vf(lab, pf, *n)["vlan_list"][0]["vlan"] == 42).collect();
    let [index] = all[..] else { panic!("VFs on VLAN 42: {all:?}") };
    index
}

#[track_caller]
fn driver(lab: &mut Lab, pf: &str, index: usize) -> String {
    lab.sh(&format!("basename $(readlink /sys/bus/pci/devices/{pf}/virtfn{index}/driver || echo none)"))
}

/// What a line of shell says in the guest, by its agent.
#[track_caller]
pub fn in_guest(lab: &mut Lab, script: &str) -> String {
    let ask = |lab: &mut Lab, call: Value| -> Value {
        let e = lab.run(
            &["/bin/sh", "-euc", "virsh -q qemu-agent-command --timeout 60 $(virsh -q list --name) \"$(cat)\""],
            call.to_string().as_bytes(),
            Duration::from_secs(120),
        );
        assert_eq!(e.code, Some(0), "{call}: {}", e.err);
        serde_json::from_str::<Value>(&e.out).expect("JSON")["return"].take()
    };
    let arguments = serde_json::json!({ "path": "/bin/sh", "arg": ["-c", script], "capture-output": true });
    let pid = ask(lab, serde_json::json!({ "execute": "guest-exec", "arguments": arguments }))["pid"].take();
    for _ in 0..60 {
        let status = ask(lab, serde_json::json!({ "execute": "guest-exec-status", "arguments": { "pid": pid } }));
        if status["exited"] == true {
            let out = data_encoding::BASE64.decode(status["out-data"].as_str().unwrap_or_default().as_bytes()).expect("base64");
            return String::from_utf8_lossy(&out).trim_end().to_owned();
        }
    }
    panic!("the guest never ended {script}")
}

/// Pages and functions are made anew by the daemon, and the function is set anew, before the guest starts.
fn the_box_brings_the_guest_back_with_all_it_was_given(lab: &mut Lab) {
    let (name, pci) = pf(lab, NODE as usize);
    let stopped = lab.sh("journalctl -b -1 -u bothy-guests -o cat");
    assert!(stopped.contains("1 guests stopped, 0 destroyed"), "asked to stop, before systemd killed it: {stopped}");
    let running = format!("bothy vnf list; ls {RUNNING}");
    lab.eventually("running again", GUEST, &running, |said| said.contains("b-"));
    assert_eq!(pages(lab, NODE, SMALL), (160, 32));
    let index = given(lab, &name);
    assert_eq!(driver(lab, &pci, index), "vfio-pci");
    let hostdev = lab.sh("virsh -q domiflist $(virsh -q list --name) | awk '$2 == \"hostdev\" { print $5 }'");
    assert_eq!(vf(lab, &name, index)["address"], *hostdev);
    assert_eq!(lab.bothy(&["host", "usage"])["drift"], serde_json::json!([]));
}

fn its_end_gives_everything_back(lab: &mut Lab) {
    let (name, pci) = pf(lab, NODE as usize);
    let (_, mac) = function(lab);
    lab.sh_within(GUEST, "bothy down epa-small --purge");
    assert_eq!(lab.sh(&format!("ls {RUNNING} 2>/dev/null | wc -l")), "0");
    assert_eq!(pages(lab, NODE, SMALL), (160, 160));
    for n in 0..2 {
        let seen = vf(lab, &name, n);
        assert!(seen["vlan_list"][0]["vlan"].is_null(), "{seen}");
        assert_ne!(seen["address"], *mac, "the guest's MAC went with it");
        assert_eq!(driver(lab, &pci, n), "igbvf");
        let before = BEFORE.lock().expect("not poisoned").as_ref().map(|all| all[n].clone());
        assert_eq!(Some(of_host(lab, n)), before, "VF {n} as before the guest");
    }
    let usage = lab.bothy(&["host", "usage"]);
    assert_eq!(usage["drift"], serde_json::json!([]), "{usage}");
    assert!(usage["cards"].as_array().expect("cards").iter().all(|c| c["given"] == serde_json::json!([])), "{usage}");
    assert_eq!(usage["nodes"][NODE as usize]["freeCpus"], "3-5", "{usage}");
}
