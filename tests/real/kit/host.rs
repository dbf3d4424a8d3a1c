//! A host of the test's own: libvirtd, virtlogd, Open vSwitch and the daemon itself in new mount,
//! PID and network namespaces, with sockets in a scratch folder. When it is dropped, all of it ends,
//! guests too.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use bothy::{
    libvirt::{AccelPolicy, Config, Libvirt},
    model::{
        domain::{DomainDisk, DomainMedium, DomainNic, DomainSpec, Layout, Owner},
        epa::{Epa, NicWish},
        id::{DiskId, IfKind, OpId, PortId, ProjectId, VnfId, VnfcId, if_name},
        net::{MacAddr, VlanId},
        size::MiB,
        vnfd::{DiskBus, Firmware, MediaBus, NicModel},
    },
    vim::port::{GuestEvent, GuestState, Hypervisor},
};
use camino::{Utf8Path, Utf8PathBuf};
use nix::sched::{CloneFlags, setns};
use uuid::Uuid;

use crate::kit::{self, scratch, sh, utf8};

/// PID 1 of the namespaces: starts everything, reaps what libvirt leaves, and obeys its stdin. Bash
/// reaps orphans at once, as an init should: QEMU's end then takes libvirt no extra second.
const INIT: &str = r#"
cd "$1"
mkdir -p run lib etc log cache ovs
cp -r /etc/libvirt/. etc/
# The configuration of the machine's libvirt, but none of its guests.
rm -rf etc/qemu
printf 'unix_sock_dir = "%s"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n' "$1" > etc/libvirtd.conf
mkdir -p /run/libvirt /run/openvswitch
mount --bind run /run/libvirt
mount --bind lib /var/lib/libvirt
mount --bind etc /etc/libvirt
mount --bind log /var/log/libvirt
mount --bind ovs /run/openvswitch
ip link set lo up
exec 3>&1 >log/init 2>&1

begin_database() {
  rm -f ovs/db.sock
  (cd ovs; exec ovsdb-server conf.db --remote=punix:db.sock --unixctl=db.ctl -vconsole:off) 3>&- </dev/null &
  database=$!
  until [ -S ovs/db.sock ]; do sleep 0.05; done
}
begin_switch() {
  (cd ovs; OVS_RUNDIR="$dir/ovs" OVS_LOGDIR="$dir/ovs" exec $switchd unix:db.sock --unixctl=switch.ctl --log-file=switch.log -vconsole:off) 3>&- </dev/null &
  switch=$!
}
begin_libvirt() {
  rm -f libvirt-sock
  libvirtd -p run/libvirtd.pid 3>&- </dev/null &
  libvirt=$!
}
begin_all() {
  if [ "$with" != none ]; then
    begin_database
    [ -n "$1" ] || ovs-vsctl --no-wait init
    # Without large pages, NICs and files that another switch on DPDK could have.
    [ "$with" != dpdk ] || ovs-vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:per-port-memory=true \
      other_config:dpdk-extra="--no-huge --legacy-mem -m 1024 --no-pci --no-shconf"
    begin_switch
  fi
  virtlogd -p run/virtlogd.pid 3>&- </dev/null &
  begin_libvirt
}
# "kill -9" that has happened when it returns.
end() { kill -9 $1; wait $1; }

dir=$1 with=$2 switchd=ovs-vswitchd
[ "$with" != dpdk ] || switchd=$DPDK_SWITCH
[ "$with" = none ] || ovsdb-tool create ovs/conf.db /usr/share/openvswitch/vswitch.ovsschema
begin_all
[ "$with" != bridge ] || ovs-vsctl --timeout=60 add-br bothy0 -- set bridge bothy0 datapath_type=netdev
echo ready >&3
mkdir small
mount -t tmpfs -o size=2m,mode=711 none small
while read -r word id; do
  case $word in
    small) qemu-img create -q -f qcow2 "small/$id" 64M && ln -s "$1/small/$id" "data/disks/$id.qcow2" ;;
    grow) mount -o remount,size=64m small ;;
    # The data folder on a small file system of its own, one that a disk would have.
    data) truncate -s "$id" data.img && mkfs.ext4 -q -m 0 data.img && mount -o loop data.img data && chmod 711 data && rmdir data/lost+found ;;
    kill) end $libvirt ;;
    begin) begin_libvirt ;;
    freeze) kill -STOP $libvirt ;;
    thaw) kill -CONT $libvirt ;;
    kill-switch) end $switch ;;
    begin-switch) begin_switch ;;
    kill-database) end $database ;;
    begin-database) begin_database ;;
    serve) "$BOTHY" serve --config bothy.toml 3>&- </dev/null >>log/bothy 2>&1 & bothy=$! ;;
    kill-bothy) end $bothy ;;
    stop-bothy) kill -TERM $bothy; wait $bothy; echo "exit $?" >&3 ;;
    # The power goes: everything but this shell dies at once, and what lives in memory is gone. The
    # next boot has another id.
    reboot)
      kill -9 -1
      wait
      nft flush ruleset
      rm -rf run/* bothy
      cat /proc/sys/kernel/random/uuid >boot_id
      mount --bind boot_id /proc/sys/kernel/random/boot_id
      begin_all again ;;
    ports) ovs-vsctl --format=csv --no-headings --columns=name,tag,external_ids find port >&3; ovs-vsctl --format=csv --no-headings --columns=name,external_ids find interface >&3 ;;
    run) $id >&3 2>&1; echo "exit $?" >&3 ;;
  esac
  echo "done" >&3
done
"#;

pub struct Host {
    init: Child,
    ask: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    // After the child: guests end before their folder goes.
    dir: tempfile::TempDir,
}

/// With a switch where the test has NICs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum With {
    NoSwitch,
    /// And the bridge that the daemon would make.
    Bridge,
    Switch,
    /// One whose data plane is DPDK's.
    Dpdk,
}

/// Where Debian has the other make of the switch's daemon.
pub const DPDK_SWITCH: &str = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";

pub fn open_folder() -> tempfile::TempDir {
    let dir = scratch();
    // QEMU runs as a user of its own.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).expect("open to pass");
    dir
}

/// Runs commands one after the other in a PID namespace of their own, whose init reaps what they
/// leave; guests live from one to the next, and end after the last.
pub fn one_after_the_other(commands: &[String]) -> String {
    let script: String = commands.iter().map(|c| format!("{c} || exit 1\n")).collect();
    let out =
        Command::new("unshare").args(["--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", &script]).output().expect("unshare");
    let said = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    said
}

pub fn layout_in(dir: &Path) -> Layout {
    let layout = Layout::new(utf8(dir).join("data"));
    for f in layout.folders() {
        std::fs::create_dir_all(&f).expect("folder");
    }
    layout
}

impl Host {
    pub fn start(with: With) -> Host {
        let dir = open_folder();
        layout_in(dir.path());
        let word = match with {
            With::NoSwitch => "none",
            With::Bridge => "bridge",
            With::Switch => "switch",
            With::Dpdk => "dpdk",
        };
        let mut init = Command::new("unshare")
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
                "--propagation",
                "private",
                "bash",
                "-c",
                INIT,
                "init",
            ])
            .arg(dir.path())
            .arg(word)
            .env("BOTHY", kit::bothy::program())
            .env("DPDK_SWITCH", DPDK_SWITCH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let ask = init.stdin.take();
        let answers = BufReader::new(init.stdout.take().expect("stdout"));
        let mut host = Host { init, ask, answers, dir };
        assert_eq!(host.line(), "ready");
        host
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let n = self.answers.read_line(&mut line).expect("the init speaks");
        assert!(n > 0, "the init is gone");
        line.trim_end().to_string()
    }
    /// Tells PID 1 to do something; what it said.
    pub fn tell(&mut self, word: &str) -> String {
        writeln!(self.ask.as_mut().expect("stdin"), "{word}").expect("the init listens");
        let mut said = String::new();
        loop {
            match self.line().as_str() {
                "done" => return said,
                line => said.extend([line, "\n"]),
            }
        }
    }

    pub fn dir(&self) -> &Utf8Path {
        utf8(self.dir.path())
    }
    /// Runs `f` on a thread in the network of this host.
    pub fn inside<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        // PID 1 of the namespaces is the one child of `unshare`.
        let unshare = self.init.id();
        let child = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("children");
        let ns = File::open(format!("/proc/{}/ns/net", child.trim())).expect("the namespace's file");
        let thread = || {
            setns(&ns, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
            f()
        };
        std::thread::scope(|s| s.spawn(thread).join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
    }

    pub fn layout(&self) -> Layout {
        Layout::new(utf8(self.dir.path()).join("data"))
    }
    pub fn config(&self) -> Config {
        let dir = utf8(self.dir.path());
        Config {
            accel: AccelPolicy::Tcg,
            run_dir: dir.join("bothy"),
            offloads_off: true,
            ..Config::new(format!("qemu+unix:///system?socket={dir}/libvirt-sock"), self.layout())
        }
    }
    /// A hypervisor that is connected, and its events.
    pub fn open(&self) -> (Libvirt, Events) {
        let hv = Libvirt::open(self.config()).expect("opened");
        let events = Events::of(&hv);
        events.wait("connected", |e| e == GuestEvent::Connected);
        (hv, events)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.ask = None;
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

pub struct Events(mpsc::Receiver<GuestEvent>);

impl Events {
    pub fn of(hv: &Libvirt) -> Events {
        let (tx, rx) = mpsc::channel();
        hv.subscribe(Box::new(move |e| {
            let _ = tx.send(e);
        }));
        Events(rx)
    }
    /// Waits for an event; the time it took.
    #[track_caller]
    pub fn wait(&self, what: &str, mut is: impl FnMut(GuestEvent) -> bool) -> Duration {
        let begun = Instant::now();
        let mut seen = Vec::new();
        loop {
            let left = Duration::from_secs(240).saturating_sub(begun.elapsed());
            match self.0.recv_timeout(left) {
                Ok(e) if is(e) => return begun.elapsed(),
                Ok(e) => seen.push(e),
                Err(_) => panic!("never: {what}; but {seen:?}"),
            }
        }
    }
    #[track_caller]
    pub fn state(&self, id: VnfcId, want: GuestState) -> Duration {
        self.wait(&format!("{want:?}"), |e| e == GuestEvent::Changed { id, state: want })
    }
}

/// A disk that says `sector up` on the serial line, sends back what it is sent, and switches the
/// machine off at `q`.
const ECHO: &[u8] = &[
    0xea, 0x05, 0x7c, 0x00, 0x00, // ljmp 0:here
    0x31, 0xc0, 0x8e, 0xd8, // here: ds = 0
    0xbe, 0x34, 0x7c, 0xba, 0xf8, 0x03, // si = banner, dx = COM1
    0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, // write to the end
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, // wait for a byte
    0xba, 0xf8, 0x03, 0xec, 0x3c, 0x71, 0x74, 0x03, // read it; 'q'?
    0xee, 0xeb, 0xed, // write it, again
    0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd, // off by ACPI
    b's', b'e', b'c', b't', b'o', b'r', b' ', b'u', b'p', b'\n', 0,
];

/// A raw disk image of [`ECHO`].
pub fn sector() -> Vec<u8> {
    image_of(ECHO)
}

fn image_of(code: &[u8]) -> Vec<u8> {
    let mut sector = code.to_vec();
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    sector
}

/// A disk whose machine has its own watchdog run, the TCO timer of its chipset, and is not fed. It writes down that it has, and
/// rests when it comes up once more.
const UNFED: &[u8] = &[
    0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb, // no segments, and a stack
    0xb8, 0x01, 0x02, 0xbb, 0x00, 0x7e, 0xb9, 0x02, 0x00, 0xb6, 0x00, 0xcd, 0x13, 0x72, 0x4c, // read the second sector
    0x80, 0x3e, 0x00, 0x7e, 0x57, 0x74, 0x45, // 'W' there: rest
    0xc6, 0x06, 0x00, 0x7e, 0x57, 0xb8, 0x01, 0x03, 0xb6, 0x00, 0xcd, 0x13, 0xfa, // write it
    0xe4, 0x92, 0x0c, 0x02, 0xe6, 0x92, // A20
    0x66, 0x0f, 0x01, 0x16, 0x7b, 0x7c, 0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, // into protected mode,
    0xbb, 0x08, 0x00, 0x8e, 0xe3, 0x24, 0xfe, 0x0f, 0x22, 0xc0, // fs = all memory, and back
    0x66, 0xbf, 0x10, 0xf4, 0xd1, 0xfe, 0x66, 0x31, 0xc0, 0x64, 0x67, 0x66, 0x89, 0x07, // NO_REBOOT of the chipset off
    0xba, 0x72, 0x06, 0xb0, 0x04, 0xee, // four ticks of 0.6 s, twice
    0xba, 0x60, 0x06, 0xb0, 0x01, 0xee, // begin
    0xf4, 0xeb, 0xfd, // rest
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00, // a table of that one segment
    0x0f, 0x00, 0x6b, 0x7c, 0x00, 0x00, // and where it is
];

/// A raw disk image of [`UNFED`].
pub fn unfed() -> Vec<u8> {
    image_of(UNFED)
}

/// The one process that runs this guest.
pub fn qemu_of(id: VnfcId) -> i32 {
    let is_it = |pid: i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| String::from_utf8_lossy(&c).contains(&format!("-uuid\0{id}")))
    };
    let all = std::fs::read_dir("/proc").expect("proc").filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let qemu: Vec<i32> = all.filter(|pid| is_it(*pid)).collect();
    assert_eq!(qemu.len(), 1, "{qemu:?}");
    qemu[0]
}

pub fn kill_qemu(id: VnfcId) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(qemu_of(id)), nix::sys::signal::Signal::SIGKILL).expect("killed");
}

fn new_uuid() -> Uuid {
    Uuid::new_v4()
}

/// A small guest with one disk and nothing else; its disk is that of [`ECHO`].
pub fn echo_guest(layout: &Layout) -> DomainSpec {
    let spec = guest();
    let raw = layout.uploads().join(format!("{}.raw", spec.id));
    std::fs::write(&raw, sector()).expect("written");
    sh(&["qemu-img", "convert", "-O", "qcow2", raw.as_str(), layout.disk(spec.disks[0].id).as_str()]);
    spec
}

pub fn disk() -> DomainDisk {
    DomainDisk { id: DiskId(new_uuid()), bus: DiskBus::Virtio, serial: "root".into() }
}

pub fn guest() -> DomainSpec {
    DomainSpec {
        id: VnfcId(new_uuid()),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: None,
            vnf: VnfId(new_uuid()),
            op: OpId(new_uuid()),
            generation: 1,
            vnf_name: "echo".into(),
            vdu: "sector".into(),
            index: 0,
        },
        vcpus: 1,
        memory: MiB(64),
        firmware: Firmware::Bios,
        disks: vec![disk()],
        medium: None,
        nics: vec![],
        epa: Epa::default(),
        placed: None,
    }
}

/// The image of the sample VNF, where it has been built: `BOTHY_TINY` or `build/images/tiny.qcow2`.
pub fn tiny_image() -> Option<Utf8PathBuf> {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/build/images/tiny.qcow2");
    let path = Utf8PathBuf::from(std::env::var("BOTHY_TINY").unwrap_or_else(|_| built.into()));
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "needs {path}");
    eprintln!("SKIP: needs the image {path}");
    None
}

/// A guest of the tiny image, with a NoCloud seed of these files.
pub fn tiny_guest(layout: &Layout, image: &Utf8PathBuf, user_data: &str) -> DomainSpec {
    let mut spec = guest();
    spec.memory = MiB(128);
    spec.owner.vnf_name = "tiny".into();
    spec.medium = Some(DomainMedium { bus: MediaBus::Disk });
    let base = layout.root().join("images/tiny");
    // Another guest may run on it already.
    if !base.exists() {
        std::fs::copy(image, &base).expect("copied");
    }
    sh(&["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base.as_str(), layout.disk(spec.disks[0].id).as_str()]);
    let seed = kit::scratch();
    let at = |f: &str| utf8(seed.path()).join(f).to_string();
    std::fs::write(at("user-data"), user_data).expect("written");
    std::fs::write(at("meta-data"), "instance-id: i-1\nlocal-hostname: tiny\n").expect("written");
    let (out, user, meta) = (layout.medium(spec.id), at("user-data"), at("meta-data"));
    sh(&["xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-r", "-J", "-o", out.as_str(), &user, &meta]);
    spec
}

pub fn nic(n: u32, model: NicModel) -> DomainNic {
    let port = PortId(new_uuid());
    let ifname = if_name(IfKind::Guest, &port.0);
    let vlan = VlanId::try_from(100 + n as u16).expect("vlan");
    DomainNic { port, ifname, mac: MacAddr::planned(n), vlan, model, mtu: None, wish: NicWish::default() }
}
