//! What Bothy costs over libvirt itself: from the request to libvirt's event that the last of 1, 4 or
//! 16 guests has started, beside the same XML, overlays, seeds and switch ports made straight through
//! libvirt's API with the same concurrency; then down again, FORCEFUL, to the last guest's end.
//!
//! Both sides work on one private libvirtd and switch, in turns, and are timed by one observer of
//! libvirt's events. The link is there before, on both sides. The guest halts its processor at once.
//!
//! A short run adds a few rounds to those that earlier runs kept; a long one goes on until there are as
//! many as were asked for, and can be cut short and started again (see `samples`).

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use bothy::{
    host::images::ImageFiles,
    model::{
        domain::{BaseImage, DiskSpec, Layout},
        id::{DiskId, IfKind, VnfcId, if_name},
        net::MacAddr,
        size::MiB,
        vnfd::{ImageFormat, MediaBus, Medium},
    },
    vim::port::{GuestEvent, GuestState, Images as _, MediumFile},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use virt::connect::Connect;

use crate::{
    kit::{
        self,
        bothy::{NEEDS, build, program, shipped, text},
        host::{Events, Host, With, layout_in},
    },
    samples::{Sample, Samples, load},
    table::{Goal, Row, interval, long, median, ms, quantile},
    target,
};

/// Levels of the package, their guests, rounds in a row, and how many are asked for in all.
const LEVELS: [(&str, usize, usize, usize); 3] = [("one", 1, 12, 200), ("four", 4, 6, 200), ("sixteen", 16, 3, 320)];
/// libvirt's own limit of requests under way on a connection, which is also Bothy's.
const AT_ONCE: usize = 5;
const VNFD: &str = "e2e00002-0000-4000-8000-000000000001";

/// `cli; hlt`, again and again: a guest that runs and needs nothing.
fn still() -> Vec<u8> {
    let mut sector = vec![0xfa, 0xf4, 0xeb, 0xfc];
    sector.resize(510, 0);
    sector.extend([0x55, 0xaa]);
    sector.resize(1 << 20, 0);
    sector
}

/// Waits until so many guests have come to a state since `begun`; which, and when the last did.
fn last(events: &Events, want: GuestState, n: usize, begun: Instant) -> (HashSet<VnfcId>, Duration) {
    let mut seen = HashSet::new();
    while seen.len() < n {
        events.wait(&format!("{n} guests {want:?}"), |e| match e {
            GuestEvent::Changed { id, state } if state == want => seen.insert(id),
            _ => false,
        });
    }
    (seen, begun.elapsed())
}

/// The two times of one round.
struct Round {
    up: f64,
    down: f64,
}

/// Bothy's side.
struct Ours {
    host: Host,
    /// The link all guests are on.
    link: String,
}

impl Ours {
    fn start(host: Host) -> Ours {
        let mut host = host;
        host.serve_with("[reserve]\ndisk_mib = 64\nmemory_mib = 64\n[overcommit]\ncpu = 32.0\nmemory = 8.0\n");
        host.reconciled();
        let image = host.dir().join("still.img");
        std::fs::write(&image, still()).expect("written");
        let package = build(&shipped("tests/fixtures/packages/still"), &[("Files/images/sector.img", image.as_std_path())]);
        let (_, vnf) = host.onboard(false, &package);
        assert_eq!(text(&vnf, "onboardingState"), "ONBOARDED", "{vnf}");
        // The first guest brings its link, which stays.
        let mut ours = Ours { host, link: String::new() };
        let vnf = ours.create();
        ours.completed(&vnf, "instantiate", &json!({ "flavourId": "default", "instantiationLevelId": "one" }));
        let networks = ours.host.get("/bothy/v1/networks");
        let all = networks.as_array().or_else(|| networks["networks"].as_array()).expect("networks");
        ours.link = text(all.first().expect("a link"), "id").to_owned();
        ours
    }
    fn create(&self) -> String {
        let made = self.host.post("/vnflcm/v2/vnf_instances", &json!({ "vnfdId": VNFD })).expect(201).json();
        format!("/vnflcm/v2/vnf_instances/{}", text(&made, "id"))
    }
    fn ask(&self, vnf: &str, what: &str, body: &Value) -> String {
        self.host.post(&format!("{vnf}/{what}"), body).expect(202).location.expect("an operation")
    }
    fn completed(&self, vnf: &str, what: &str, body: &Value) {
        self.host.completed(&self.ask(vnf, what, body));
    }
    /// A guest's definition, for the other side to be like it.
    fn definition(&self, uri: &str) -> String {
        let (id, _) = self.host.domains().into_iter().next().expect("a guest");
        kit::sh(&["virsh", "-q", "-c", uri, "dumpxml", "--inactive", &id])
    }
    fn round(&self, events: &Events, level: &str, n: usize) -> Round {
        let vnf = self.create();
        let link = json!({ "id": "lan", "resourceId": self.link, "extCps": [{ "cpdId": "lan" }] });
        let body = json!({ "flavourId": "default", "instantiationLevelId": level, "extVirtualLinks": [link] });
        let begun = Instant::now();
        let op = self.ask(&vnf, "instantiate", &body);
        let (_, up) = last(events, GuestState::Running, n, begun);
        self.host.completed(&op);
        let begun = Instant::now();
        let op = self.ask(&vnf, "terminate", &json!({ "terminationType": "FORCEFUL" }));
        let (_, down) = last(events, GuestState::Off, n, begun);
        self.host.completed(&op);
        self.host.delete(&vnf);
        Round { up: ms(up), down: ms(down) }
    }
}

/// The other side: libvirt's API and nothing else.
struct Straight {
    conn: Connect,
    images: ImageFiles,
    layout: Layout,
    base: [u8; 32],
    /// A definition of Bothy's, and what is a guest's own in it.
    like: String,
    own: [String; 7],
}

/// A guest of this side.
struct Guest {
    id: VnfcId,
    disk: DiskId,
    port: Uuid,
    mac: MacAddr,
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let rest = &text[text.find(from).unwrap_or_else(|| panic!("no {from} in {text}")) + from.len()..];
    &rest[..rest.find(to).unwrap_or_else(|| panic!("no {to} after {from}"))]
}

impl Straight {
    fn start(ours: &Ours, uri: &str) -> Straight {
        let dir = ours.host.dir();
        // Files of its own: the daemon removes what none of its records names.
        let other = dir.join("other");
        std::fs::create_dir(&other).expect("folder");
        let layout = layout_in(other.as_std_path());
        kit::sh(&["chmod", "-R", "a+x", other.as_str()]);
        let images = ImageFiles::open(layout.clone()).expect("opened");
        let base: [u8; 32] = Sha256::digest(still()).into();
        let upload = layout.uploads().join("still");
        std::fs::write(&upload, still()).expect("written");
        images.import(&upload, &base, ImageFormat::Raw).expect("imported");
        let like = ours.definition(uri).replace(&format!("{dir}/data/"), &format!("{dir}/other/data/"));
        let disk = between(&like, "/disks/", ".qcow2");
        let own = [
            between(&like, "<uuid>", "</uuid>"),
            between(&like, "<name>", "</name>"),
            disk,
            between(&like, "interfaceid='", "'"),
            between(&like, "<mac address='", "'"),
            between(&like, "<target dev='bg", "'"),
            between(&like, " op=\"", "\""),
        ]
        .map(String::from);
        Straight { conn: Connect::open(Some(uri)).expect("connected"), images, layout, base, like, own }
    }
    fn definition(&self, g: &Guest) -> String {
        let ifname = if_name(IfKind::Guest, &g.port).to_string();
        let mine = [
            g.id.to_string(),
            g.id.domain_name(),
            g.disk.to_string(),
            g.port.to_string(),
            g.mac.to_string(),
            ifname.strip_prefix("bg").expect("a guest's port").to_owned(),
            Uuid::new_v4().to_string(),
        ];
        self.own.iter().zip(&mine).fold(self.like.clone(), |xml, (theirs, mine)| xml.replace(theirs.as_str(), mine))
    }
    fn make(&self, g: &Guest) {
        let base = BaseImage { sha256: self.base, format: ImageFormat::Raw };
        self.images.ensure_disk(&DiskSpec { id: g.disk, size: MiB(8), base: Some(base) }).expect("an overlay");
        let file = |path: &str, content: String| MediumFile { path: path.into(), content: content.into_bytes(), secret: false };
        let files = [
            file("user-data", "#!/bin/sh\necho hello\n".into()),
            file("meta-data", format!("instance-id: {}\nlocal-hostname: still\n", g.id)),
        ];
        self.images.ensure_medium(g.id, Medium::NoCloud, MediaBus::Disk, None, &files).expect("a seed");
        let dom = self.conn.define_domain_xml(&self.definition(g)).expect("defined");
        dom.create().expect("started");
    }
    fn unmake(&self, g: &Guest) {
        let dom = self.conn.lookup_domain_by_uuid_string(&g.id.to_string()).expect("known");
        dom.destroy().expect("destroyed");
        dom.undefine().expect("undefined");
        self.images.remove_disk(g.disk).expect("removed");
        self.images.remove_medium(g.id).expect("removed");
        let _ = std::fs::remove_file(self.layout.root().join("serial").join(format!("{}.log", g.id)));
    }
    fn all(guests: &[Guest], f: impl Fn(&Guest) + Sync) {
        let next = AtomicUsize::new(0);
        thread::scope(|s| {
            for _ in 0..AT_ONCE.min(guests.len()) {
                s.spawn(|| {
                    while let Some(g) = guests.get(next.fetch_add(1, Ordering::Relaxed)) {
                        f(g);
                    }
                });
            }
        });
    }
    fn round(&self, events: &Events, n: usize) -> Round {
        let guest = |i: usize| Guest {
            id: VnfcId(Uuid::new_v4()),
            disk: DiskId(Uuid::new_v4()),
            port: Uuid::new_v4(),
            mac: MacAddr::planned(0x00f0_0000 + i as u32),
        };
        let guests: Vec<Guest> = (0..n).map(guest).collect();
        let begun = Instant::now();
        let up = thread::scope(|s| {
            s.spawn(|| Straight::all(&guests, |g| self.make(g)));
            last(events, GuestState::Running, n, begun).1
        });
        let begun = Instant::now();
        let down = thread::scope(|s| {
            s.spawn(|| Straight::all(&guests, |g| self.unmake(g)));
            last(events, GuestState::Off, n, begun).1
        });
        Round { up: ms(up), down: ms(down) }
    }
}

fn rows(what: &str, n: usize, full: usize, ours: &[f64], other: &[f64]) -> Vec<Row> {
    let few = if ours.len() < full { format!(" of {full}") } else { String::new() };
    let name = |p: &str| format!("{what} {n}, {p}, n={}{few} | libvirt itself", ours.len());
    let row = |name: String, q: f64, goal| Row::new(name, "ms", quantile(ours, q), Some(quantile(other, q)), goal);
    let ((a, b), (c, d)) = (interval(ours, 0.99), interval(other, 0.99));
    vec![
        Row::new(name("p50"), "ms", median(ours), Some(median(other)), Goal::RatioAtMost(1.05)),
        row(name("p95"), 0.95, Goal::RatioAtMost(1.10)),
        row(name(&format!("p99 (95 %: {a:.0}..{b:.0} | {c:.0}..{d:.0})")), 0.99, Goal::Shown),
    ]
}

/// Rounds in turns: who goes first changes, and the first round of a run only warms up.
struct Turns<'t> {
    ours: &'t Ours,
    straight: &'t Straight,
    events: &'t Events,
    /// Rounds that were run, by level.
    done: [usize; LEVELS.len()],
}

impl Turns<'_> {
    fn round(&mut self, at: usize) -> Option<Sample> {
        let (level, n, ..) = LEVELS[at];
        let turn = self.done[at];
        self.done[at] += 1;
        let (a, b) = if turn.is_multiple_of(2) {
            let a = self.ours.round(self.events, level, n);
            (a, self.straight.round(self.events, n))
        } else {
            let b = self.straight.round(self.events, n);
            (self.ours.round(self.events, level, n), b)
        };
        let sample = Sample { run: 0, guests: n, load: load(), ours_up: a.up, other_up: b.up, ours_down: a.down, other_down: b.down };
        (turn > 0).then_some(sample)
    }
}

pub fn measure() -> Vec<Row> {
    if kit::lacks(&NEEDS) {
        return Vec::new();
    }
    let ours = Ours::start(Host::start(With::Switch));
    let uri = format!("qemu+unix:///system?socket={}/libvirt-sock", ours.host.dir());
    let straight = Straight::start(&ours, &uri);
    let (_observer, events) = ours.host.open();
    let mut samples = Samples::open(target().join("bench-samples.json"), program().as_ref()).expect("target/bench-samples.json");
    let mut turns = Turns { ours: &ours, straight: &straight, events: &events, done: [0; LEVELS.len()] };
    let missing = |samples: &Samples, at: usize| LEVELS[at].3.saturating_sub(samples.count(LEVELS[at].1));
    loop {
        // Level by level in small portions, so that a run that is cut short has some of each.
        for (at, level) in LEVELS.iter().enumerate() {
            let mut wanted = level.2.min(missing(&samples, at));
            while wanted > 0 {
                if let Some(sample) = turns.round(at) {
                    samples.add(sample).expect("kept");
                    wanted -= 1;
                }
            }
        }
        if !long() || (0..LEVELS.len()).all(|at| missing(&samples, at) == 0) {
            break;
        }
    }
    let mut all = Vec::new();
    for (_, n, _, full) in LEVELS {
        println!("overhead, {n} guests: {}", samples.origin(n));
        let of = |f: fn(&Sample) -> f64| samples.of(n).map(f).collect::<Vec<_>>();
        all.extend(rows("instantiate", n, full, &of(|s| s.ours_up), &of(|s| s.other_up)));
        all.extend(rows("terminate", n, full, &of(|s| s.ours_down), &of(|s| s.other_down)));
    }
    all
}
