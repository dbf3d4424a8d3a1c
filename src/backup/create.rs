//! Making a backup: what it would hold and need, the copies that it is made of, and putting them out.
//!
//! Owns that guests stand still while their disks are copied, and go on however that ends; and that all of it is of one
//! moment but for what never changes. Never: the archive's form (`archive`, `seal`).

use std::{
    fs::{self, File},
    io::{Cursor, Read, Write},
    os::unix::fs::MetadataExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use smol_str::SmolStr;
use tracing::{info, warn};

use super::{
    archive::{CONFIG, Entries, MANIFEST, SEAL_KEY, STORE, TLS},
    manifest,
    seal::Writer,
};
use crate::{
    model::{
        backup::{BoxFacts, Level, Manifest},
        domain::Layout,
        error::{Fault, Result},
        id::{DiskId, VnfId, VnfcId},
        op::{Operation, Phase},
        size::Bytes,
        time::Clock,
        vnf::{VnfInstance, Vnfc},
    },
    store::{Options, Part, Store, Table, formats},
    vim::port::{GuestState, Hypervisor, Images, Still, Stillness},
};

/// What backups are made of and restored by.
pub struct Parts {
    pub store: Store,
    pub hypervisor: Arc<dyn Hypervisor>,
    pub images: Arc<dyn Images>,
    /// Snapshots have guests stand still, too.
    pub still: Stillness,
    pub layout: Layout,
    pub clock: Arc<dyn Clock>,
    /// The daemon's configuration; `None`: it has no file.
    pub config: Option<Utf8PathBuf>,
    pub tls: (Utf8PathBuf, Utf8PathBuf),
    pub facts: Box<dyn Fn() -> Result<BoxFacts> + Send + Sync>,
    pub fingerprint: Box<dyn Fn() -> String + Send + Sync>,
    /// Whether so many bytes have room on the disk.
    pub room: Room,
}

impl Parts {
    /// Whether a store of so many bytes has room beside this one, and leaves it its own: they are not where disks are.
    pub(super) fn store_has_room(&self, bytes: u64) -> Result<()> {
        let (wanted, free) = (bytes + STORE_SLACK, self.store.room()?);
        if wanted <= free {
            return Ok(());
        }
        Err(Fault::capacity(format!(
            "a copy of the records needs {} beside the store, which has {} free there",
            Bytes(wanted),
            Bytes(free)
        )))
    }
}

/// The store's own, while a copy of it is made.
const STORE_SLACK: u64 = 16 << 20;

/// Says why there is none, for what is named.
pub type Room = Box<dyn Fn(&str, Bytes) -> Result<()> + Send + Sync>;

/// What a backup would hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    pub level: Level,
    /// Of each kind how many, and their bytes as far as they are known before.
    pub holds: Vec<(&'static str, u64, u64)>,
    /// Bytes that the box needs beside it while it is made.
    pub needs: u64,
    /// Why not now.
    pub busy: Vec<String>,
    /// Why there is no room for it.
    pub no_room: Option<String>,
}

pub struct Backups {
    pub(super) p: Arc<Parts>,
    /// One is being made, or put out.
    turn: Arc<AtomicBool>,
}

/// Of one backup, from its begin until its copies have gone: two at once would copy into each other's files, and one would
/// let guests go on of which the other still copies.
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn of(b: &Backups) -> Result<Turn> {
        match b.turn.swap(true, Ordering::AcqRel) {
            false => Ok(Turn(b.turn.clone())),
            true => Err(Fault::conflict("another backup is being made, or is on its way out: wait for its end")),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Guests that this backup has stand still, and nobody else; they go on, whatever becomes of who had them stand.
struct Standing<'b> {
    of: &'b Backups,
    guests: Vec<VnfcId>,
}

impl Standing<'_> {
    /// Each of them, also when one cannot.
    fn go_on(&mut self) -> Result<()> {
        let mut first = Ok(());
        for g in self.guests.drain(..) {
            if let Err(fault) = self.of.p.hypervisor.resume(g) {
                warn!(guest = %g, "the guest does not go on after its disks were copied: {fault:?}");
                first = first.and(Err(fault));
            }
        }
        first
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let _ = self.go_on();
    }
}

/// An entry before it is put out.
enum Content {
    Text(Vec<u8>),
    Open(File, u64),
    At(Utf8PathBuf, u64),
}

/// A backup that can be put out: its copies go with it.
pub struct Prepared {
    manifest: Manifest,
    entries: Vec<(String, Content)>,
    _turn: Turn,
}

/// Operations under way, as people know them.
pub(super) fn busy(store: &Store) -> Result<Vec<String>> {
    let is = |o: &&Operation| match o.state.phase() {
        Phase::Held | Phase::Forward | Phase::Backward => true,
        Phase::Stuck | Phase::Over => false,
    };
    Ok(store.list::<Operation>()?.iter().filter(is).map(|o| format!("operation {} ({}) is under way", o.id, o.kind.name())).collect())
}

/// A file that goes with this.
struct Named(Utf8PathBuf);

impl Drop for Named {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn io_fault(what: &str, path: &Utf8Path, e: std::io::Error) -> Fault {
    Fault::transient(format!("{what} {path}: {e}")).with_source(e)
}

fn length(path: &Utf8Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

/// Without its holes.
fn takes(path: &Utf8Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.blocks() * 512)
}

impl Backups {
    pub fn new(p: Arc<Parts>) -> Backups {
        Backups { p, turn: Arc::default() }
    }

    /// One is being made, or is on its way out.
    pub fn is_under_way(&self) -> bool {
        self.turn.load(Ordering::Acquire)
    }

    pub fn plan(&self, level: Level) -> Result<Outline> {
        let p = &self.p;
        let stats = p.store.stats()?;
        let records = stats.live.live_bytes + stats.history.live_bytes;
        let mut holds = vec![("records", 1, records)];
        let mut needs = records;
        if level >= Level::Records {
            for (what, files) in [("package files", self.artifacts()?), ("images", self.bases()?)] {
                holds.push((what, files.len() as u64, files.iter().map(|f| length(f)).sum()));
            }
        }
        if level == Level::Disks {
            let disks: Vec<DiskId> = self.guests()?.iter().flat_map(|(_, all)| all).flat_map(|c| &c.disks).map(|d| d.id).collect();
            let bytes = disks.iter().map(|d| takes(&p.layout.disk(*d))).sum();
            needs += bytes;
            holds.push(("disks", disks.len() as u64, bytes));
        }
        let busy = if level == Level::Configuration { Vec::new() } else { busy(&p.store)? };
        let no_room = (p.room)("for the copies that a backup is made of", Bytes(needs)).err().map(|f| f.detail());
        Ok(Outline { level, holds, needs, busy, no_room })
    }

    /// All copies are made when this returns, and guests go on.
    pub fn prepare(&self, level: Level, by: &str) -> Result<Prepared> {
        let p = &self.p;
        let turn = Turn::of(self)?;
        // Each operation of a VNF is written down there when it begins and when it ends, also one that does both meanwhile.
        let touched = || p.store.writes_to(Table::VnfInstance);
        let before = touched();
        let outline = self.plan(level)?;
        if !outline.busy.is_empty() {
            return Err(Fault::conflict("a backup is not made while operations are under way").with_reasons(outline.busy));
        }
        if let Some(why) = outline.no_room {
            return Err(Fault::capacity(why));
        }
        let mut not_frozen = Vec::new();
        // Disks first: what the records then say of guests was so a moment before, too.
        let disks = if level == Level::Disks { self.disks(&mut not_frozen)? } else { Vec::new() };
        let export = self.export(level)?;
        if level >= Level::Records {
            self.check_quiet(touched() != before)?;
        }
        let manifest = Manifest {
            release: env!("CARGO_PKG_VERSION").into(),
            records: formats().into(),
            level,
            made: p.clock.now(),
            by: by.into(),
            generation: p.store.generation(),
            fingerprint: (p.fingerprint)().into(),
            data_dir: p.layout.root().as_str().into(),
            of: (p.facts)()?,
            not_frozen,
        };
        let mut entries = vec![(STORE.to_owned(), export)];
        let key = p.layout.store().join(SEAL_KEY);
        let read = |path: &Utf8Path| fs::read(path).map_err(|e| io_fault("cannot read", path, e));
        // A test's store is elsewhere than its layout says.
        let key = if key.exists() { key } else { Utf8PathBuf::from_path_buf(p.store.dir().join(SEAL_KEY)).unwrap_or(key) };
        entries.push((SEAL_KEY.to_owned(), Content::Text(read(&key)?)));
        if let Some(config) = p.config.as_deref().filter(|c| c.exists()) {
            entries.push((CONFIG.to_owned(), Content::Text(read(config)?)));
        }
        for (name, path) in TLS.into_iter().zip([&p.tls.0, &p.tls.1]).filter(|(_, path)| path.exists()) {
            entries.push((name.to_owned(), Content::Text(read(path)?)));
        }
        if level >= Level::Records {
            for (folder, files) in [("artifacts", self.artifacts()?), ("images", self.bases()?)] {
                for path in files {
                    let name = format!("{folder}/{}", path.file_name().unwrap_or_default());
                    entries.push((name, Content::At(path.clone(), length(&path))));
                }
            }
        }
        entries.extend(disks);
        info!(%level, by, entries = entries.len(), "a backup is made");
        Ok(Prepared { manifest, entries, _turn: turn })
    }

    fn check_quiet(&self, was_not: bool) -> Result<()> {
        let now = busy(&self.p.store)?;
        if now.is_empty() && !was_not {
            return Ok(());
        }
        Err(Fault::conflict("an operation began while the backup was made: make it again").with_reasons(now))
    }

    /// The records of the level, as a file without a name.
    fn export(&self, level: Level) -> Result<Content> {
        let p = &self.p;
        let named = Named(p.layout.uploads().join(format!("upload-backup-{}", uuid::Uuid::new_v4().simple())));
        p.store.export(&named.0)?;
        if level == Level::Configuration {
            let stats = p.store.stats()?;
            p.store_has_room(stats.live.file_bytes + stats.history.file_bytes)?;
            let part = p.store.dir().join("part");
            let fail = |e: std::io::Error| Fault::transient(format!("a part of the records cannot be made: {e}")).with_source(e);
            let clear = || if part.exists() { fs::remove_dir_all(&part).map_err(fail) } else { Ok(()) };
            clear()?;
            let made = Store::import(&named.0, &part).and_then(|_| {
                let of = Store::open(&part, Options::default())?;
                of.purge(|t| matches!(t.part(), Part::Services | Part::Catalogue))?;
                of.export(&named.0)
            });
            clear()?;
            made?;
        }
        let open = File::open(&named.0).and_then(|f| f.metadata().map(|m| (f, m.len())));
        let (file, length) = open.map_err(|e| io_fault("cannot read", &named.0, e))?;
        Ok(Content::Open(file, length))
    }

    fn artifacts(&self) -> Result<Vec<Utf8PathBuf>> {
        let dir = self.p.layout.root().join("artifacts");
        let mut all = Vec::new();
        for e in dir.read_dir_utf8().map_err(|e| io_fault("cannot read", &dir, e))? {
            let e = e.map_err(|e| io_fault("cannot read", &dir, e))?;
            all.extend(
                Some(e.path().to_owned())
                    .filter(|p| HEXLOWER.decode(p.file_name().unwrap_or_default().as_bytes()).is_ok_and(|d| d.len() == 32)),
            );
        }
        all.sort();
        Ok(all)
    }

    fn bases(&self) -> Result<Vec<Utf8PathBuf>> {
        let all = self.p.images.bases()?;
        Ok(all.iter().map(|b| self.p.layout.image(b)).filter(|p| p.exists()).collect())
    }

    /// Guests with disks, by VNF.
    fn guests(&self) -> Result<Vec<(VnfId, Vec<Vnfc>)>> {
        let all = self.p.store.list::<VnfInstance>()?;
        Ok(all.into_iter().filter(|v| v.instantiated).filter_map(|v| Some((v.id, v.body?.vnfcs))).collect())
    }

    /// Those of one VNF are of one moment.
    fn disks(&self, not_frozen: &mut Vec<SmolStr>) -> Result<Vec<(String, Content)>> {
        let mut all = Vec::new();
        for (vnf, guests) in self.guests()? {
            let stands = self.p.still.take(guests.iter().map(|g| g.id));
            let _stands =
                stands.ok_or_else(|| Fault::conflict(format!("a snapshot of VNF instance {vnf} is being taken: wait for its end")))?;
            // Whatever has begun since the last look has its own ways with its guests.
            self.check_quiet(false)?;
            let mut standing = Standing { of: self, guests: Vec::new() };
            let copied = self.copies(&guests, &mut standing, not_frozen);
            let went_on = standing.go_on();
            all.extend(copied?);
            went_on?;
        }
        Ok(all)
    }

    fn copies(&self, guests: &[Vnfc], standing: &mut Standing<'_>, not_frozen: &mut Vec<SmolStr>) -> Result<Vec<(String, Content)>> {
        for g in guests {
            if self.p.hypervisor.state(g.id)? == Some(GuestState::Paused) {
                let why = format!("guest {} stands still, and not for this backup: have it go on, or stop it", g.hostname);
                return Err(Fault::conflict(why));
            }
            standing.guests.push(g.id);
            let still = self.p.hypervisor.pause(g.id).map_err(|f| f.context(format!("guest {}", g.hostname)))?;
            match still {
                Still::Frozen | Still::Off => {}
                Still::Paused => not_frozen.push(g.hostname.clone()),
            }
        }
        let one = |d: DiskId| {
            let file = self.p.images.lend_disk(d)?;
            let length = file.metadata().map_err(|e| Fault::transient(format!("disk {d}: {e}")).with_source(e))?.len();
            Ok((format!("disks/{d}.qcow2"), Content::Open(file, length)))
        };
        let copies = guests.iter().flat_map(|g| &g.disks).map(|d| one(d.id)).collect::<Result<Vec<_>>>()?;
        // Somebody else may have let it go on, or started it: a snapshot's end, a look at the host.
        for g in guests {
            if self.p.hypervisor.state(g.id)? == Some(GuestState::Running) {
                return Err(Fault::transient(format!("guest {} went on while its disks were copied: make the backup again", g.hostname)));
            }
        }
        Ok(copies)
    }
}

impl Prepared {
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `passphrase`: `None` puts all of it out in the clear.
    pub fn write(self, to: impl Write, passphrase: Option<&str>) -> Result<()> {
        let out = |e: std::io::Error| Fault::transient(format!("the backup broke off: {e}")).with_source(e);
        let mut entries = Entries::new(Writer::new(to, passphrase)?);
        let text = manifest::render(&self.manifest);
        entries.put(MANIFEST, text.len() as u64, &mut Cursor::new(text)).map_err(out)?;
        let Prepared { entries: contents, _turn, .. } = self;
        for (name, content) in contents {
            let (length, mut from): (u64, Box<dyn Read>) = match content {
                Content::Text(t) => (t.len() as u64, Box::new(Cursor::new(t))),
                Content::Open(file, length) => (length, Box::new(file)),
                Content::At(path, length) => (length, Box::new(File::open(&path).map_err(|e| io_fault("cannot read", &path, e))?)),
            };
            entries.put(&name, length, &mut *from).map_err(out)?;
        }
        entries.finish().map_err(out)?.finish().map_err(out)?;
        Ok(())
    }
}
