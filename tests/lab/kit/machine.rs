//! The computer that the lab's box is: QEMU, with two NUMA nodes, an IOMMU, on each node a NIC that
//! does SR-IOV, and on the second a controller for guests to have. Owns the process, its folder and its logs. Never: what runs inside.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::kit::{agent, bootenv, program};

/// Where UEFI lies on Debian: code, and variables to copy.
pub const FIRMWARE: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

/// QEMU 10 maps a VF's registers at the low 32 bits of their address, so they have to be below 4 GiB, or no
/// driver of a VF ever reaches its PF. The firmware puts them above as soon as it believes what the processor
/// says of its width; of this maker's it does not, and then its window above 4 GiB can be taken away
/// (`X-PciMmio64Mb`). It has AMD's virtualisation, which KVM in the box needs.
///
/// Interrupts are sent and ended by x2APIC's registers (with the IOMMU's `eim`), not through memory: while a VF
/// appears and the map of memory is made anew, TCG may lose a write to the old APIC, and a processor whose
/// interrupt never ends takes no other.
pub const CPU: &str = "EPYC,vendor=HygonGenuine,x2apic=on";

/// MAC addresses of the two physical functions, on NUMA nodes 0 and 1.
pub const PF_MACS: [&str; 2] = ["52:54:00:00:00:10", "52:54:00:00:00:11"];

/// Larger than the image that it begins with.
const DISK: &str = "9G";

pub struct Machine {
    child: Child,
    logs: PathBuf,
    // After the child: its sockets are here, with a short path.
    sockets: tempfile::TempDir,
}

impl Machine {
    /// Powers on, with these kernel arguments on trial and a medium to read; what is written goes to an overlay beside the logs.
    pub fn start(disk: &Path, medium: &Path, logs: &Path, on_trial: &str) -> Machine {
        let sockets = tempfile::Builder::new().prefix("bothy-lab-").tempdir_in("/tmp").expect("a folder in /tmp");
        let [overlay, vars, console] = ["disk.qcow2", "vars.fd", "console.log"].map(|n| logs.join(n));
        fs::copy(FIRMWARE[1], &vars).expect("OVMF's variables");
        let made =
            Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(disk).arg(&overlay).arg(DISK).status();
        assert!(made.is_ok_and(|s| s.success()), "qemu-img makes {}", overlay.display());
        bootenv::arm(disk, &overlay, on_trial);

        // It ends with us, however we end.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
        qemu.args(["-nodefaults", "-display", "none", "-cpu", CPU, "-smp", "6,sockets=2,cores=3", "-m", "6656M"]);
        qemu.args(["-machine", "q35,kernel-irqchip=split", "-accel", "tcg,thread=multi"]);
        // Of the first node 2 GiB are below what belongs to devices, with the firmware and the kernel in them: the
        // rest holds a GiB in one piece, and the second node two.
        for (node, mib) in [(0, 3584), (1, 3072)] {
            qemu.arg("-object").arg(format!("memory-backend-ram,id=m{node},size={mib}M"));
        }
        qemu.args(["-numa", "node,nodeid=0,cpus=0-2,memdev=m0", "-numa", "node,nodeid=1,cpus=3-5,memdev=m1"]);
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={}", FIRMWARE[0]));
        qemu.arg("-drive").arg(format!("if=pflash,format=raw,file={}", vars.display()));
        qemu.args(["-fw_cfg", "name=opt/ovmf/X-PciMmio64Mb,string=0"]);
        qemu.args(["-device", "intel-iommu,intremap=on,eim=on,caching-mode=on"]);
        // The disk goes with the test, so nobody waits for it to be safe.
        qemu.arg("-drive").arg(format!("if=none,id=disk,format=qcow2,cache=unsafe,file={}", overlay.display()));
        qemu.args(["-device", "virtio-blk-pci,bus=pcie.0,drive=disk,bootindex=0"]);
        qemu.arg("-drive").arg(format!("if=none,id=medium,format=raw,readonly=on,file={}", medium.display()));
        qemu.args(["-device", "virtio-blk-pci,bus=pcie.0,drive=medium,serial=medium"]);
        // A bridge per node, so that each NIC says where it is.
        for (node, mac) in PF_MACS.iter().enumerate() {
            let number = node + 1;
            qemu.arg("-device").arg(format!("pxb-pcie,id=pxb{node},bus=pcie.0,bus_nr={},numa_node={node}", 64 * number));
            qemu.arg("-device").arg(format!("pcie-root-port,id=port{node},bus=pxb{node},chassis={number},slot={number}"));
            qemu.arg("-netdev").arg(format!("user,id=net{node},restrict=on"));
            qemu.arg("-device").arg(format!("igb,netdev=net{node},bus=port{node},mac={mac},romfile="));
        }
        // A watchdog of its own, and not the chipset's: systemd asking that one makes QEMU's q35 stand still.
        qemu.args(["-global", "ICH9-LPC.enable_tco=off", "-device", "i6300esb,bus=pcie.0", "-action", "watchdog=reset"]);
        // A device that is no NIC and has a driver of the host's: NVMe without anything on it.
        qemu.args(["-device", "pcie-root-port,id=port2,bus=pxb1,chassis=3,slot=3", "-device", "nvme,serial=lab,bus=port2"]);
        let socket = |name: &str| format!("{},server=on,wait=off", sockets.path().join(name).display());
        qemu.args(["-device", "virtio-serial-pci,bus=pcie.0", "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]);
        qemu.arg("-chardev").arg(format!("socket,id=agent,path={}", socket("agent")));
        qemu.arg("-qmp").arg(format!("unix:{}", socket("qmp")));
        qemu.arg("-serial").arg(format!("file:{}", console.display()));
        let said = File::create(logs.join("qemu.log")).expect("a log");
        qemu.stdin(Stdio::null()).stdout(said.try_clone().expect("a log")).stderr(said);
        let child = qemu.spawn().expect("setpriv and QEMU");
        Machine { child, logs: logs.into(), sockets }
    }

    pub fn agent_socket(&self) -> PathBuf {
        self.sockets.path().join("agent")
    }

    /// What the processors are doing, as far as QEMU knows: for the logs of a box that answers nobody.
    pub fn processors(&self) -> String {
        let looks = [
            "info status",
            "info registers -a",
            "info lapic 0",
            "info lapic 1",
            "info lapic 2",
            "info lapic 3",
            "info lapic 4",
            "info lapic 5",
            "info irq",
        ];
        let ask = |line: &&str| json!({ "execute": "human-monitor-command", "arguments": { "command-line": line } });
        match self.tell(&looks.iter().map(ask).collect::<Vec<_>>()) {
            Ok(said) => looks.iter().zip(said).map(|(look, said)| format!("== {look}\n{}\n", said.as_str().unwrap_or_default())).collect(),
            Err(why) => format!("QMP: {why}\n"),
        }
    }

    /// Commands of QMP, after its greeting and the word that they may begin; what each returned.
    fn tell(&self, commands: &[Value]) -> io::Result<Vec<Value>> {
        let mut qmp = agent::connect(&self.sockets.path().join("qmp"), Duration::from_secs(20))?;
        qmp.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut lines = BufReader::new(qmp.try_clone()?).lines();
        let mut next = || -> io::Result<Value> { Ok(serde_json::from_str(&lines.next().ok_or(io::ErrorKind::UnexpectedEof)??)?) };
        assert!(next()?.get("QMP").is_some(), "a greeting");
        let mut returned = Vec::new();
        for command in [json!({ "execute": "qmp_capabilities" })].iter().chain(commands) {
            writeln!(qmp, "{command}")?;
            // Events may come first.
            returned.push(loop {
                if let Some(answer) = next()?.get_mut("return") {
                    break answer.take();
                }
            });
        }
        Ok(returned.split_off(1))
    }

    /// What QEMU said when it ended, and whether that was an end in order; None while it runs.
    pub fn ended(&mut self) -> Option<(bool, String)> {
        let status = self.child.try_wait().expect("our child")?;
        let why =
            format!("QEMU has ended ({status}): {}", super::tail(&fs::read_to_string(self.logs.join("qemu.log")).unwrap_or_default(), 3));
        Some((status.success(), why))
    }

    /// What firmware, boot loader and kernels have written so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.logs.join("console.log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for gone in ["disk.qcow2", "vars.fd"] {
            let _ = fs::remove_file(self.logs.join(gone));
        }
    }
}

/// What this host lacks to be the lab's, if anything, and whether that is nothing but what its QEMU cannot.
pub fn lacks() -> Option<(String, bool)> {
    let mut missing: Vec<String> = Vec::new();
    for name in [
        "qemu-system-x86_64",
        "qemu-img",
        "qemu-io",
        "setpriv",
        "mmdebstrap",
        "grub-mkstandalone",
        "mkfs.ext4",
        "mformat",
        "sfdisk",
        "mksquashfs",
        "veritysetup",
        "sbsign",
        "virt-fw-vars",
    ] {
        if !program(name) {
            missing.push(format!("the program {name}"));
        }
    }
    missing.extend(FIRMWARE.iter().filter(|f| !Path::new(f).exists()).map(|f| f.to_string()));
    if !nix::unistd::geteuid().is_root() {
        missing.push("root".into());
    }
    let old = missing.is_empty() && !qemu_has_igb();
    if old {
        missing.push("a QEMU with the igb NIC (8.0 or newer)".into());
    }
    (!missing.is_empty()).then(|| (missing.join(", "), old))
}

fn qemu_has_igb() -> bool {
    let out = Command::new("qemu-system-x86_64").args(["-device", "help"]).output();
    out.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("name \"igb\""))
}
