//! The hypervisor: guests as libvirt domains under QEMU.
//!
//! | file | one idea |
//! |---|---|
//! | `conn` | the two connections and who keeps them alive |
//! | `lane` | a call has a deadline, whatever libvirt does |
//! | `guest` | what is done to one guest, as often as you like |
//! | `xml` | `DomainSpec` to domain XML |
//! | `meta` | whose guest it is, written into the guest |
//! | `stats` | what a guest has used |
//! | `event` | libvirt's events; the crate's only `unsafe` |
//! | `map` | libvirt's errors and states in our words |
//! | `accel` | whether guests really run under KVM |
//! | `console` | who is on a serial console |
//!
//! A guest belongs to libvirt: it lives on when Bothy ends or is restarted, and nothing here starts
//! a guest by itself (no autostart). A call that is given up at its deadline may still take effect in
//! libvirt later; all of them can be repeated, and `remove` looks again. Never: decides where a guest
//! goes, makes disks or switch ports (libvirt plugs the NIC in, by its Open vSwitch support).

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;
use virt::connect::Connect;

use crate::{
    model::{
        domain::{DomainSpec, Layout},
        epa::NicAttach,
        error::{Fault, Result},
        hw::{CpuSet, PciAddr},
        id::{IfName, VnfcId},
        place::{Astray, Pins},
        size::{Bytes, MiB},
        vnfd::Firmware,
    },
    sdn::port::Datapath,
    vim::port::{
        Accel, EventSink, FoundGuest, GuestEvent, GuestFault, GuestState, GuestStats, HostCapacity, Hypervisor, StatsAsk, Still, StopHow,
    },
};

mod accel;
mod agent;
mod conn;
mod console;
mod event;
mod guest;
mod lane;
mod map;
mod meta;
mod stats;
mod xml;

pub use accel::{AccelPolicy, Finding};
use conn::{Link, News, Side, User};
use event::Seen;
use lane::Lane;

/// How long libvirt may take for each sort of call.
mod deadline {
    use std::time::Duration;
    pub const LOOK: Duration = Duration::from_secs(10);
    /// The first time, libvirt runs every QEMU there is to learn what it can.
    pub const DEFINE: Duration = Duration::from_secs(60);
    pub const START: Duration = Duration::from_secs(60);
    pub const ASK: Duration = Duration::from_secs(20);
    /// The guest's agent freezes its file systems, or thaws them.
    pub const STILL: Duration = Duration::from_secs(60);
    /// libvirt itself gives QEMU 15 s and 15 s more before it gives up on killing it.
    pub const DESTROY: Duration = Duration::from_secs(45);
}

/// Where QEMU's UEFI is.
#[derive(Debug, Clone)]
pub struct Uefi {
    /// Code, mapped read-only.
    pub code: Utf8PathBuf,
    /// What a new guest's variables start from.
    pub vars: Utf8PathBuf,
}

impl Default for Uefi {
    /// Debian's `ovmf`, the 4 MiB build.
    fn default() -> Self {
        Uefi { code: "/usr/share/OVMF/OVMF_CODE_4M.fd".into(), vars: "/usr/share/OVMF/OVMF_VARS_4M.fd".into() }
    }
}

pub struct Config {
    /// `qemu:///system`, or `qemu:///embed?root=/short/path` to run QEMU's driver in this process.
    pub uri: String,
    pub accel: AccelPolicy,
    pub layout: Layout,
    /// Console sockets and the accelerator probe; short, and not kept over a reboot.
    pub run_dir: Utf8PathBuf,
    /// The Open vSwitch bridge of all segments.
    pub bridge: SmolStr,
    /// The switch's datapath is `netdev`: see [`Libvirt::set_offloads_off`].
    pub offloads_off: bool,
    pub uefi: Uefi,
}

impl Config {
    pub fn new(uri: impl Into<String>, layout: Layout) -> Self {
        Config {
            uri: uri.into(),
            accel: AccelPolicy::Auto,
            layout,
            run_dir: "/run/bothy".into(),
            bridge: "bothy0".into(),
            offloads_off: false,
            uefi: Uefi::default(),
        }
    }
}

/// The real [`Hypervisor`].
pub struct Libvirt {
    layout: Layout,
    run_dir: Utf8PathBuf,
    bridge: SmolStr,
    offloads_off: AtomicBool,
    float: Mutex<Option<CpuSet>>,
    /// The clock that was told.
    mhz: Mutex<Option<u32>>,
    uefi: Uefi,
    accel: Arc<accel::Chooser>,
    sessions: console::Sessions,
    sinks: Arc<Mutex<Sinks>>,
    news: mpsc::Sender<News>,
    act: Arc<Lane>,
    look: Lane,
    user: User,
    // Last: the connections outlive whoever may use them.
    _link: Link,
}

#[derive(Default)]
struct Sinks {
    up: bool,
    all: Vec<EventSink>,
}

impl Sinks {
    fn tell(sink: &EventSink, event: GuestEvent) {
        if catch_unwind(AssertUnwindSafe(|| sink(event))).is_err() {
            tracing::error!(?event, "a listener for guest events panicked");
        }
    }
}

impl Libvirt {
    /// Clock of the host's CPUs in MHz, where libvirt knows it: that of the moment.
    fn clock(&self) -> Result<Option<u32>> {
        self.look("asking libvirt for the host's clock".into(), deadline::LOOK, |c, _| {
            Ok(Some(c.node_info().map_err(map::fault)?.mhz).filter(|mhz| *mhz > 0))
        })
    }

    /// Connects in the background; fails only when the host has no threads left. The accelerator
    /// probe follows as soon as there is a connection.
    pub fn open(config: Config) -> Result<Self> {
        let Config { uri, accel, layout, run_dir, bridge, offloads_off, uefi } = config;
        let (news, heard) = mpsc::channel();
        let sinks = Arc::new(Mutex::new(Sinks::default()));
        let listeners = Arc::clone(&sinks);
        let no_thread = |e| Fault::transient("no thread for libvirt: the host is out of threads or memory").with_source(e);
        thread::Builder::new().name("libvirt-news".into()).spawn(move || dispatch(&heard, &listeners)).map_err(no_thread)?;
        let link = Link::start(uri, news.clone())?;
        let chooser = Arc::new(accel::Chooser::new(accel, layout.root(), &run_dir));
        let this = Libvirt {
            layout,
            run_dir,
            bridge,
            offloads_off: AtomicBool::new(offloads_off),
            float: Mutex::default(),
            mhz: Mutex::default(),
            uefi,
            accel: chooser,
            sessions: console::Sessions::default(),
            sinks,
            news,
            act: Arc::new(Lane::new("libvirt-act")),
            look: Lane::new("libvirt-look"),
            user: link.user(),
            _link: link,
        };
        let (chooser, lane) = (Arc::downgrade(&this.accel), Arc::downgrade(&this.act));
        let (run_dir, user) = (this.run_dir.clone(), this.user.clone());
        thread::Builder::new()
            .name("libvirt-accel".into())
            .spawn(move || {
                // At the host's boot libvirt may answer long after we do: ask until it has, or we are dropped.
                let mut told = false;
                while let (Some(chooser), Some(lane)) = (chooser.upgrade(), lane.upgrade()) {
                    match find_accel(&chooser, &run_dir, &lane, &user) {
                        Err(e) if e.is_transient() && !told => {
                            told = true;
                            tracing::warn!(error = ?e, "it is not known yet whether guests run under KVM");
                        }
                        Err(e) if e.is_transient() => {}
                        Err(e) => return tracing::warn!(error = ?e, "it cannot be found out whether guests run under KVM"),
                        Ok(_) => return,
                    }
                    drop((chooser, lane));
                    thread::sleep(accel::AGAIN);
                }
            })
            .map_err(no_thread)?;
        Ok(this)
    }

    /// The switch forwards in user space (`datapath_type=netdev`): guests must not leave checksums
    /// and segmentation to an offload, for nobody does it. Holds for guests defined from now on.
    pub fn set_offloads_off(&self, off: bool) {
        self.offloads_off.store(off, Ordering::Relaxed);
    }

    fn vhost_dir(&self) -> Utf8PathBuf {
        self.run_dir.join("vhost")
    }

    /// The configured policy and what is known about KVM so far, without asking.
    pub fn accel_report(&self) -> (AccelPolicy, Option<Finding>) {
        (self.accel.policy(), self.accel.known())
    }

    fn find_accel(&self) -> Result<Finding> {
        find_accel(&self.accel, &self.run_dir, &self.act, &self.user)
    }

    fn act<T: Send + 'static>(
        &self,
        what: String,
        wait: Duration,
        f: impl FnOnce(&Connect, Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        call(&self.act, &self.user, Side::Act, &what, wait, f)
    }

    fn look<T: Send + 'static>(
        &self,
        what: String,
        wait: Duration,
        f: impl FnOnce(&Connect, Instant) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        call(&self.look, &self.user, Side::Look, &what, wait, f)
    }

    /// libvirt tells of a guest's end too, but not when it ended while a libvirtd that was restarted
    /// had not taken it up again yet [seen]. Told twice is better than never.
    fn tell_end(&self, id: VnfcId, ended: guest::Ended) {
        self.sessions.end(id);
        match ended {
            // Nobody hears it when we are being dropped.
            guest::Ended::Now => drop(self.news.send(News::Ended(id))),
            guest::Ended::Before => {}
        }
    }

    fn check_uefi(&self) -> Result<()> {
        for f in [&self.uefi.code, &self.uefi.vars] {
            if !f.exists() {
                return Err(Fault::invalid(format!(
                    "this guest wants UEFI, and {f} is not there: install QEMU's UEFI (Debian: apt install ovmf)"
                )));
            }
        }
        Ok(())
    }
}

fn call<T: Send + 'static>(
    lane: &Lane,
    user: &User,
    side: Side,
    what: &str,
    wait: Duration,
    f: impl FnOnce(&Connect, Instant) -> Result<T> + Send + 'static,
) -> Result<T> {
    let user = user.clone();
    lane.call(what, wait, move |until| user.with(side, until, |conn| f(conn, until)))
}

fn find_accel(chooser: &accel::Chooser, run_dir: &Utf8Path, lane: &Lane, user: &User) -> Result<Finding> {
    chooser.find(|probe| {
        make_run_dir(run_dir)?;
        call(lane, user, Side::Act, "trying whether guests run under KVM", accel::DEADLINE, move |conn, until| probe.run(conn, until))
    })
}

/// QEMU's user must be able to pass through, and nobody else has business in it.
fn make_run_dir(dir: &Utf8Path) -> Result<()> {
    fs::create_dir_all(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o711)))
        .map_err(|e| Fault::transient(format!("the run directory {dir} cannot be made")).with_source(e))
}

/// Carries news to the listeners, apart from libvirt's own thread: a slow listener delays others,
/// never libvirt.
fn dispatch(heard: &mpsc::Receiver<News>, sinks: &Mutex<Sinks>) {
    for news in heard {
        let mut sinks = sinks.lock().unwrap_or_else(PoisonError::into_inner);
        match news {
            News::Up => sinks.up = true,
            News::Down => sinks.up = false,
            News::Guest(_) | News::Ended(_) => {}
        }
        let Some(event) = said(news) else { continue };
        for sink in &sinks.all {
            Sinks::tell(sink, event);
        }
    }
}

fn said(news: News) -> Option<GuestEvent> {
    let seen = match news {
        News::Up => return Some(GuestEvent::Connected),
        News::Down => return Some(GuestEvent::Disconnected),
        News::Ended(id) => return Some(GuestEvent::Changed { id, state: GuestState::Off }),
        News::Guest(seen) => seen,
    };
    match seen {
        Seen::Lifecycle { id, event, detail } => map::lifecycle(event, detail).map(|state| GuestEvent::Changed { id, state }),
        Seen::Reboot { id } => Some(GuestEvent::Changed { id, state: GuestState::Running }),
        Seen::AgentUp { id } => Some(GuestEvent::AgentUp { id }),
        Seen::IoError { id, path, reason } => {
            // The pause that follows is an event of its own.
            tracing::warn!(guest = %id, %path, reason = if reason.is_empty() { "unknown" } else { &reason }, "a guest's disk failed");
            let what = if reason == "enospc" { GuestFault::DiskFull } else { GuestFault::DiskError };
            Some(GuestEvent::Failed { id, what })
        }
        Seen::Watchdog { id } => {
            tracing::warn!(guest = %id, "a guest's watchdog fired");
            Some(GuestEvent::Failed { id, what: GuestFault::Watchdog })
        }
        Seen::Closed { .. } => None,
    }
}

impl Hypervisor for Libvirt {
    fn vhost_socket(&self, nic: &IfName) -> Utf8PathBuf {
        self.vhost_dir().join(nic.as_str())
    }
    fn set_datapath(&self, datapath: Datapath) {
        self.set_offloads_off(datapath == Datapath::Netdev);
    }
    fn set_float(&self, cpus: Option<CpuSet>) {
        *self.float.lock().unwrap_or_else(PoisonError::into_inner) = cpus;
    }
    fn set_clock(&self, mhz: Option<u32>) {
        *self.mhz.lock().unwrap_or_else(PoisonError::into_inner) = mhz;
    }
    fn health(&self) -> Result<String> {
        self.look("asking libvirt for its version".into(), deadline::LOOK, |c, _| {
            let dotted = |v: u32| format!("{}.{}.{}", v / 1_000_000, v / 1000 % 1000, v % 1000);
            let lib = c.lib_version().map_err(map::fault)?;
            let qemu = c.hyp_version().map_err(map::fault)?;
            Ok(format!("libvirt {}, QEMU {}", dotted(lib), dotted(qemu)))
        })
    }

    fn capacity(&self) -> Result<HostCapacity> {
        self.look("asking libvirt for the host's size".into(), deadline::LOOK, |c, _| {
            let node = c.node_info().map_err(map::fault)?;
            // Rounded down: what is there, not what was asked for.
            Ok(HostCapacity { cpus: node.cpus, memory: MiB(Bytes(node.memory * 1024).0 >> 20) })
        })
    }

    fn accel_why(&self) -> Result<String> {
        match (self.accel.policy(), self.accel.known()) {
            (AccelPolicy::Tcg, _) => Ok("the configuration says so (hypervisor.accel)".into()),
            (AccelPolicy::Auto | AccelPolicy::Kvm, None) => Err(Fault::transient("KVM is being tried with a throw-away guest")),
            (AccelPolicy::Auto | AccelPolicy::Kvm, Some(found)) => self.accel.allow(&found).map(|_| found.why),
        }
    }
    /// Under the `kvm` policy always `Kvm`: there is no second choice. While libvirt cannot be asked,
    /// `auto` answers `Tcg`; guests are not defined on that answer.
    fn accel(&self) -> Accel {
        match self.accel.policy() {
            AccelPolicy::Kvm => Accel::Kvm,
            AccelPolicy::Tcg => Accel::Tcg,
            AccelPolicy::Auto => self.find_accel().map_or(Accel::Tcg, |f| f.accel),
        }
    }

    fn define(&self, spec: &DomainSpec) -> Result<()> {
        let accel = self.accel.allow(&self.find_accel()?)?;
        match spec.firmware {
            Firmware::Bios => {}
            Firmware::Uefi => self.check_uefi()?,
        }
        make_run_dir(&self.run_dir)?;
        let console = console::socket(&self.run_dir, spec.id)?;
        let vhost = self.vhost_dir();
        if spec.nics.iter().any(|n| n.wish.attach == NicAttach::VhostUser) {
            make_run_dir(&vhost)?;
        }
        // Asked for only where a limit needs it: defining a guest is one call otherwise.
        let told = *self.mhz.lock().unwrap_or_else(PoisonError::into_inner);
        let clock = || told.map_or_else(|| self.clock(), |mhz| Ok(Some(mhz)));
        let mhz = spec.epa.quotas.cpu.limit.map(|_| clock()).transpose()?.flatten();
        let float = self.float.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let host = xml::Host {
            accel,
            bridge: &self.bridge,
            offloads_off: self.offloads_off.load(Ordering::Relaxed),
            layout: &self.layout,
            console: &console,
            mhz,
            weights: std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            float: float.as_ref(),
            vhost: &vhost,
            uefi: (&self.uefi.code, &self.uefi.vars),
        };
        let written = xml::domain(spec, &host)?;
        let id = spec.id;
        self.act(format!("defining guest {id}"), deadline::DEFINE, move |c, _| guest::define(c, id, &written))
    }

    fn start(&self, id: VnfcId) -> Result<()> {
        // After a reboot of the host the directory is gone, and the definition is not.
        make_run_dir(&self.run_dir)?;
        let (chooser, found) = (Arc::clone(&self.accel), self.find_accel()?);
        let accel = move || chooser.allow(&found);
        self.act(format!("starting guest {id}"), deadline::START, move |c, until| guest::start(c, id, accel, until))
    }

    fn ask_stop(&self, id: VnfcId, how: StopHow) -> Result<()> {
        self.act(format!("asking guest {id} to stop"), deadline::ASK, move |c, _| guest::ask_stop(c, id, how))
    }

    fn reboot(&self, id: VnfcId) -> Result<()> {
        self.act(format!("rebooting guest {id}"), deadline::ASK, move |c, _| guest::reboot(c, id))
    }

    fn pause(&self, id: VnfcId) -> Result<Still> {
        self.act(format!("pausing guest {id}"), deadline::STILL, move |c, until| guest::pause(c, id, until))
    }

    fn resume(&self, id: VnfcId) -> Result<()> {
        self.act(format!("letting guest {id} go on"), deadline::STILL, move |c, until| guest::resume(c, id, until))
    }

    fn destroy(&self, id: VnfcId) -> Result<()> {
        let ended = self.act(format!("destroying guest {id}"), deadline::DESTROY, move |c, until| guest::destroy(c, id, until))?;
        self.tell_end(id, ended);
        Ok(())
    }

    fn remove(&self, id: VnfcId) -> Result<()> {
        let ended = self.act(format!("removing guest {id}"), deadline::DESTROY, move |c, until| guest::remove(c, id, until))?;
        self.tell_end(id, ended);
        // Left where a definition was lost, or where QEMU was killed.
        for file in [self.layout.nvram(id), console::socket(&self.run_dir, id)?] {
            match fs::remove_file(&file) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Fault::transient(format!("{file} of removed guest {id} cannot be deleted")).with_source(e)),
            }
        }
        Ok(())
    }

    fn state(&self, id: VnfcId) -> Result<Option<GuestState>> {
        self.look(format!("looking at guest {id}"), deadline::LOOK, move |c, _| guest::state(c, id))
    }

    fn stats(&self, guests: &[StatsAsk]) -> Result<Vec<(VnfcId, GuestStats)>> {
        let (guests, layout) = (guests.to_vec(), self.layout.clone());
        self.look("reading guests' statistics".into(), deadline::LOOK * 3, move |c, _| {
            guests.iter().filter_map(|g| stats::of(c, g, &layout).transpose().map(|s| Ok((g.id, s?)))).collect()
        })
    }

    fn list(&self) -> Result<Vec<FoundGuest>> {
        self.look("listing guests".into(), deadline::LOOK * 3, |c, _| guest::list(c))
    }

    fn agent_ping(&self, id: VnfcId, wait: Duration) -> Result<bool> {
        self.look(format!("asking the agent of guest {id}"), wait + deadline::LOOK, move |c, _| guest::agent_ping(c, id, wait))
    }

    fn agent_file(&self, id: VnfcId, path: &str, most: u32, wait: Duration) -> Result<Vec<u8>> {
        let path = path.to_owned();
        // Three commands, each of which may take so long.
        self.look(format!("reading {path} of guest {id}"), wait * 3 + deadline::LOOK, move |c, _| agent::file(c, id, &path, most, wait))
    }

    fn functions(&self, id: VnfcId) -> Result<Option<Vec<PciAddr>>> {
        self.look(format!("looking at the functions of guest {id}"), deadline::LOOK, move |c, _| guest::functions(c, id))
    }

    fn unplug(&self, id: VnfcId, device: PciAddr) -> Result<()> {
        self.act(format!("unplugging {device} from guest {id}"), deadline::ASK, move |c, _| guest::unplug(c, id, device))
    }

    fn plug(&self, id: VnfcId, device: PciAddr) -> Result<()> {
        self.act(format!("plugging {device} into guest {id}"), deadline::ASK, move |c, _| guest::plug(c, id, device))
    }

    fn pin(&self, id: VnfcId, want: &Pins) -> Result<()> {
        let want = want.clone();
        self.act(format!("pinning guest {id}"), deadline::ASK, move |c, until| guest::pin(c, id, &want, until))
    }

    fn astray(&self, id: VnfcId, want: &Pins) -> Result<Vec<Astray>> {
        let want = want.clone();
        self.look(format!("looking where guest {id} may run"), deadline::LOOK, move |c, _| guest::astray(c, id, &want))
    }

    fn xml(&self, id: VnfcId) -> Result<String> {
        self.look(format!("reading guest {id}"), deadline::LOOK, move |c, _| guest::need(c, id)?.xml_desc(0).map_err(map::fault))
    }

    /// One session at a time: whoever asks takes over. Works while libvirtd is down.
    fn console(&self, id: VnfcId) -> Result<UnixStream> {
        self.sessions.take(id, &console::socket(&self.run_dir, id)?)
    }

    fn vnc(&self, id: VnfcId) -> Result<Option<Utf8PathBuf>> {
        let xml = self.xml(id)?;
        Ok(xml::vnc_socket(&xml))
    }

    fn subscribe(&self, sink: EventSink) {
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        if sinks.up {
            Sinks::tell(&sink, GuestEvent::Connected);
        }
        sinks.all.push(sink);
    }
}
