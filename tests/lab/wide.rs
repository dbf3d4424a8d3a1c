//! A guest over both NUMA nodes, of which one is larger: on each a CPU that is isolated and memory in pages of 1 GiB, a CPU
//! for QEMU's own threads, a vCPU by SCHED_FIFO, with a whole PF and a PCI device by its ids besides. Between the boot that
//! has kept such pages and the undo: it needs no boot of its own.

use std::time::Duration;

use serde_json::json;

use crate::{
    guest::{GUEST, IMAGES, RUNNING, SERVICE, in_guest, qemus_own, threads, vcpus},
    kit::{Lab, harness::Test, machine::PF_MACS},
    pages::pages,
    sriov::{pf, vf},
    trial::GIB,
};

pub const TESTS: &[Test] = tests![a_guest_over_two_uneven_nodes_is_real_time_has_a_whole_pf_and_a_device_and_gives_all_back];

const HERE: &str = "/run/epa-wide";

/// `descriptors/epa-small` with two nodes and more memory, the PF instead of a function of it, and an NVMe controller.
/// The larger node, which is on the host's second for its pages, has vCPU 1.
const CHANGE: &str = "\
    vnfd=epa-small-vnf/Definitions/epa-small-vnf.yaml; \
    sed -i -e 's/virtual_mem_size: 256 MiB/virtual_mem_size: 3 GiB/' -e 's/hugepage_size: 2 MiB/hugepage_size: 1 GiB/' \
    -e 's/requested_size: 256 MiB/requested_size: 3 GiB/' -e 's/vnic_type: direct$/vnic_type: direct-physical/' \
    -e '/bitrate_requirement:/d' -e '/virtual_network_interface_requirements:/,/trusted: \"true\"/d' \
    -e \"s/^\\( *\\)cpu-thread-pinning-policy: PREFER/&\\n\\1numa-node-policy.node-cnt: 2\
    \\n\\1numa-node-policy.node.0.vcpu: '1'\\n\\1numa-node-policy.node.0.memory-mb: 2048\
    \\n\\1numa-node-policy.node.1.vcpu: '0'\\n\\1numa-node-policy.node.1.memory-mb: 1024\
    \\n\\1emulator-threads-policy: ISOLATE\\n\\1cpu-realtime: 'yes'\
    \\n\\1iothreads: 1\\n\\1cpu-quota.shares: '512'\\n\\1pcie-device.0.device-id: '1b36:0010'/\" $vnfd; \
    grep -c -e ': [13] GiB' -e direct-physical -e node-cnt -e node\\.[01] -e ISOLATE -e realtime -e iothreads -e shares -e 1b36 $vnfd";

/// Memory of the guest's nodes, in pages of 1 GiB, by the host's.
const GIANT: [u32; 2] = [1, 2];

fn a_guest_over_two_uneven_nodes_is_real_time_has_a_whole_pf_and_a_device_and_gives_all_back(lab: &mut Lab) {
    let (name, whole) = pf(lab, 1);
    let nvme = lab.sh("basename $(dirname $(grep -lx 0x010802 /sys/bus/pci/devices/*/class))");
    let drivers = format!("cd /sys/bus/pci/devices; for d in {whole} {nvme}; do basename $(readlink $d/driver || echo none); done");
    assert_eq!(lab.sh(&drivers), "igb\nnvme");
    // Like every wired port of the image it has asked for an address, and a port with one is the host's own.
    let file = format!("/run/systemd/network/10-{name}.network");
    let quiet = "[Match]\\nName=%s\\n[Network]\\nDHCP=no\\nLinkLocalAddressing=no\\nIPv6AcceptRA=no\\n[Link]\\nRequiredForOnline=no\\n";
    lab.sh(&format!("mkdir -p /run/systemd/network; printf '{quiet}' {name} > {file}; networkctl reload; ip addr flush dev {name}"));
    lab.eventually("no address", Duration::from_secs(60), &format!("ip -o addr show dev {name}"), str::is_empty);
    assert_eq!(lab.sh(&format!("rm -rf {HERE}; cp -r {SERVICE} {HERE}; cd {HERE}; {CHANGE}")), "14");
    lab.sh_within(GUEST, &format!("bothy up {HERE} --name epa-wide --images {IMAGES}"));

    // The host's word: pages of each node, for the guest's node there.
    let pid = lab.sh(&format!("cat {RUNNING}"));
    let maps = lab.sh(&format!("grep huge /proc/{pid}/numa_maps"));
    for (node, count) in GIANT.iter().enumerate() {
        let (bound, here) = (format!("bind:{node}"), format!("N{node}={count}"));
        let words = [bound.as_str(), here.as_str(), "kernelpagesize_kB=1048576"];
        assert!(maps.lines().any(|l| words.iter().all(|w| l.split_whitespace().any(|have| have == *w))), "{words:?} in {maps}");
        assert_eq!(pages(lab, node as u32, GIB), (*count, 0));
    }
    // The vCPUs are on CPUs that are isolated, and on one of their own QEMU's other threads, those of its disk among them.
    assert_eq!(vcpus(lab, &pid), ["2", "4"]);
    let threads = threads(lab, &pid);
    assert!(threads.lines().any(|l| l == "IO iothread1: 5"), "{threads}");
    assert!(qemus_own(&threads).all(|l| l.ends_with(": 5")), "{threads}");
    // vCPU 0 is left out of real time, as OpenStack's keys have it where no mask is said; KVM's own thread is as the vCPU
    // that came first.
    let own = |name: &str| name.starts_with("kvm-nx-lpage");
    let real_time: Vec<_> = schedules(lab, &pid).into_iter().filter(|(name, policy)| policy != "0 0" && !own(name)).collect();
    assert_eq!(real_time, [("CPU 1/KVM".to_owned(), format!("{SCHED_FIFO} 1"))]);
    // Half of what is usual: the box has cgroups of the second version, where that is 100.
    let weight = format!("group=$(cut -d: -f3 /proc/{pid}/cgroup); cat /sys/fs/cgroup${{group%%.scope*}}.scope/cpu.weight");
    assert_eq!(lab.sh(&weight), "50");
    let locked: u64 = lab.sh(&format!("awk '/VmLck/ {{ print $2 }}' /proc/{pid}/status")).parse().expect("a number");
    assert!(locked > 100 << 10, "{locked} KiB are locked");
    assert_eq!(lab.sh(&drivers), "vfio-pci\nvfio-pci");
    assert_eq!(lab.sh(&format!("ls -d /sys/class/net/{name} 2>/dev/null || echo gone")), "gone");
    let sources = "virsh -q dumpxml $(virsh -q list --name) | grep -A 3 '<hostdev ' | grep -c \"bus='0x8[12]' slot='0x00' function='0x0'\"";
    assert_eq!(lab.sh(sources), "2");
    let usage = lab.bothy(&["host", "usage"]);
    for (node, count) in usage["nodes"].as_array().expect("nodes").iter().zip(GIANT) {
        let giant = node["pages"].as_array().into_iter().flatten().find(|p| p["sizeKib"] == GIB).expect("pages of 1 GiB");
        assert_eq!((&giant["total"], &giant["held"]), (&json!(count), &json!(count)), "{usage}");
    }
    assert_eq!((&usage["drift"], &usage["nodes"][1]["floatingCpus"]), (&json!([]), &json!("3")), "{usage}");
    let shown = lab.sh("bothy host usage");
    assert_eq!(shown.matches("whole: epa-wide-fast_vm/data_vm/0").count(), 2, "{shown}");
    // By name it is nothing while it has no interface: it is known what network it is on.
    let card = usage["cards"].as_array().into_iter().flatten().find(|c| c["address"] == whole).expect("the PF");
    assert_eq!((&card["physicalNetwork"], &card["vfs"]), (&json!("fast"), &json!(0)), "{usage}");

    // The guest's.
    let nodes = "cd /sys/devices/system/node; cat node0/cpulist node1/cpulist; \
                 for n in node0 node1; do awk '/MemTotal/ { print int($4 / 800000) }' $n/meminfo; done";
    // Linux numbers nodes as it meets them, that of CPU 0 first.
    assert_eq!(in_guest(lab, nodes).lines().collect::<Vec<_>>(), ["0", "1", "1", "2"]);
    let has = "cd /sys/bus/pci/devices; for d in *; do case $(cat $d/vendor):$(cat $d/device) in 0x8086:0x10c9 | 0x1b36:0x0010) \
               echo $(cat $d/device) $(cat $d/net/*/address 2>/dev/null);; esac; done";
    let mut said = in_guest(lab, has);
    // Its driver may still be at it.
    for _ in 0..60 {
        if said.contains(PF_MACS[1]) {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
        said = in_guest(lab, has);
    }
    let mut said: Vec<&str> = said.lines().collect();
    said.sort_unstable();
    assert_eq!(said, ["0x0010", &format!("0x10c9 {}", PF_MACS[1])]);

    lab.sh_within(GUEST, "bothy down epa-wide --purge");
    assert_eq!(lab.sh(&drivers), "igb\nnvme");
    assert_eq!([0, 1].map(|node| pages(lab, node, GIB)), GIANT.map(|all| (all, all)));
    // With its driver the PF has its interface again, and a link; the VFs of the host's set-up come by an operation.
    let up = format!("cat /sys/class/net/{name}/carrier");
    lab.eventually("a link", Duration::from_secs(180), &up, |said| said == "1");
    let vfs = format!("ls -d /sys/bus/pci/devices/{whole}/virtfn* 2>/dev/null | wc -l; bothy op list | grep PF");
    // The newest stands last: one of the tests before may have failed at first, as a PF that is lost is tried again.
    let back = |said: &str| said.starts_with("2\n") && said.lines().last().is_some_and(|op| op.contains("COMPLETED"));
    lab.eventually("functions", GUEST, &vfs, back);
    assert!(vf(lab, &name, 1).is_object());
    lab.sh(&format!("rm {file}; networkctl reload"));
    let usage = lab.bothy(&["host", "usage"]);
    assert_eq!(usage["drift"], json!([]), "{usage}");
    assert!(usage["cards"].as_array().expect("cards").iter().all(|c| c["given"] == json!([])), "{usage}");
}

/// `sched(7)`, as `/proc/PID/stat` has it.
const SCHED_FIFO: u32 = 1;

/// Policy and priority of each of a QEMU's threads. Workers come and go meanwhile.
#[track_caller]
fn schedules(lab: &mut Lab, pid: &str) -> Vec<(String, String)> {
    // What is after the name, which may have spaces, begins with the third of `proc_pid_stat(5)`.
    let said = lab.sh(&format!(
        "for t in /proc/{pid}/task/*; do name=$(cat $t/comm 2>/dev/null) && stat=$(cat $t/stat 2>/dev/null) || continue; \
         set -- ${{stat##*) }}; echo \"$name: ${{39}} ${{38}}\"; done"
    ));
    said.lines().filter_map(|l| l.rsplit_once(": ")).map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}
