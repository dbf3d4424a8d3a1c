//! A backup on its way into this box: unpacked beside what the box has, looked at, ordered.
//!
//! ```text
//! DATA/restore/*         files as they come; `manifest` is the last of them, and says that all are there
//! DATA/store.restored    a store of its own, made of the export
//! DATA/restored/order    from here on the next start puts both in their places
//! DATA/restored/from     where this box has come from, once it has
//! DATA/restored/given-up why the last order came to nothing
//! ```
//! Owns those. Never: touches what the box runs on.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError, TryLockError},
};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{
    archive::{self, CONFIG, FOLDERS, MANIFEST, SEAL_KEY, STORE},
    create::{Parts, busy},
    fit::{Fit, fit, rebind},
    manifest,
};
use crate::{
    model::{
        backup::{Level, Manifest},
        error::{Fault, Result},
        health::{Condition, ConditionState},
        hostnet::HostNetRecord,
        setup::HostRecord,
        size::Bytes,
        vnf::Reservation,
    },
    store::{Durability, Options, Store, Table, formats},
};

/// Note of an order that was given up.
pub const GIVEN_UP: &str = "given-up";

/// Where things are.
#[derive(Debug, Clone)]
pub struct Names {
    pub files: Utf8PathBuf,
    pub store: Utf8PathBuf,
    pub notes: Utf8PathBuf,
}

pub fn names(data: &Utf8Path) -> Names {
    Names { files: data.join("restore"), store: data.join("store.restored"), notes: data.join("restored") }
}

impl Names {
    pub fn config(&self) -> Utf8PathBuf {
        self.files.join("bothy.toml.bound")
    }
    pub fn order(&self) -> Utf8PathBuf {
        self.notes.join("order")
    }
    /// Of what was staged; `None`: nothing is there whole.
    pub fn manifest(&self) -> Result<Option<String>> {
        read(&self.files.join(MANIFEST))
    }
    pub fn from(&self) -> Utf8PathBuf {
        self.notes.join("from")
    }
    fn given_up(&self) -> Utf8PathBuf {
        self.notes.join(GIVEN_UP)
    }
    /// What was staged goes, its first word first.
    pub fn clear(&self) -> Result<()> {
        let gone = |r: io::Result<()>, at: &Utf8Path| match r {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Fault::transient(format!("{at} cannot be removed: {e}")).with_source(e)),
            Ok(()) | Err(_) => Ok(()),
        };
        gone(fs::remove_file(self.files.join(MANIFEST)), &self.files)?;
        gone(fs::remove_dir_all(&self.store), &self.store)?;
        // On a box the folder is a link to a larger partition.
        for e in self.files.read_dir_utf8().into_iter().flatten().flatten() {
            let is_dir = e.file_type().is_ok_and(|t| t.is_dir());
            gone(if is_dir { fs::remove_dir_all(e.path()) } else { fs::remove_file(e.path()) }, e.path())?;
        }
        Ok(())
    }
}

/// How somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Port of the other box, and what stands for it here.
    pub maps: Vec<(SmolStr, SmolStr)>,
    /// Its certificate and key too: this is the same box, or the other one is no more.
    pub identity: bool,
    /// The configuration's file too.
    pub configuration: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Wish { maps: Vec::new(), identity: false, configuration: true }
    }
}

/// What a restore would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    pub manifest: Manifest,
    pub fit: Fit,
    /// What does not fit, of names and of guests, and why.
    pub misfits: Vec<String>,
    pub goes: Vec<String>,
    pub skipped: Vec<String>,
    pub refused: Vec<String>,
    pub token: String,
}

/// Names of ports that a configuration has.
type Ports = Box<dyn Fn(&str) -> Result<Vec<SmolStr>> + Send + Sync>;
/// What a store, under a configuration and with or without disks, would not have run here.
type Dry = Box<dyn Fn(&Path, Option<&str>, bool) -> Result<Vec<String>> + Send + Sync>;

/// What the rest of Bothy says to a restore.
pub struct House {
    /// Names of ports that a configuration has; a fault where this release does not take it.
    pub ports: Ports,
    /// Why guests of that store would not all run here, under that configuration or the present one; `disks`: with what was
    /// on their disks.
    pub dry: Dry,
    /// Why nothing of the box may be changed now.
    pub closed: Box<dyn Fn() -> Result<Option<String>> + Send + Sync>,
    /// Has bothy end and start anew.
    pub again: Box<dyn Fn() + Send + Sync>,
}

pub struct Restores {
    p: Arc<Parts>,
    house: House,
    names: Names,
    /// What was sent, until it is opened.
    held: Mutex<Option<Utf8PathBuf>>,
    one: Mutex<()>,
}

/// A file that is on the disk when it is flushed.
struct Synced(File);

impl Write for Synced {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

fn create(path: &Utf8Path) -> io::Result<Synced> {
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    Ok(Synced(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?))
}

/// Whole and durable, or not at all.
fn write(path: &Utf8Path, text: &[u8]) -> Result<()> {
    let made = path.with_extension("new");
    let done = || -> io::Result<()> {
        let _ = fs::remove_file(&made);
        let mut to = create(&made)?;
        to.write_all(text)?;
        to.flush()?;
        fs::rename(&made, path)?;
        File::open(path.parent().unwrap_or(path))?.sync_all()
    };
    done().map_err(|e| Fault::transient(format!("{path} cannot be written: {e}")).with_source(e))
}

fn read(path: &Utf8Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(t) => Ok(Some(t)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Fault::transient(format!("{path} cannot be read: {e}")).with_source(e)),
    }
}

impl Restores {
    pub fn new(p: Arc<Parts>, house: House) -> Restores {
        let names = names(p.layout.root());
        Restores { p, house, names, held: Mutex::default(), one: Mutex::default() }
    }

    /// A backup is being taken in.
    pub fn is_under_way(&self) -> bool {
        matches!(self.one.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// A file that is ours, to be opened by and by; the one before it goes.
    pub fn hold(&self, file: Utf8PathBuf) {
        let before = self.held.lock().unwrap_or_else(PoisonError::into_inner).replace(file);
        if let Some(before) = before {
            let _ = fs::remove_file(before);
        }
    }

    /// `path`: on the box; `None`: what was sent. A wrong passphrase leaves it to be tried again.
    pub fn stage_at(&self, path: Option<&Utf8Path>, passphrase: Option<&str>) -> Result<()> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let from = path.or(held.as_deref()).ok_or_else(|| Fault::conflict("no backup was sent: send one, or name a path on the box"))?;
        // A pipe would be waited for, and a device does what it does when it is opened.
        if !from.is_file() {
            return Err(Fault::invalid(format!("path: {from} is no file")));
        }
        let file = File::open(from).map_err(|e| Fault::invalid(format!("path: {from}: {e}")))?;
        self.stage(io::BufReader::with_capacity(256 << 10, file), passphrase)?;
        if path.is_none() {
            self.let_go(held.as_deref());
        }
        Ok(())
    }

    /// What was sent goes; `only`: if it is this file still.
    fn let_go(&self, only: Option<&Utf8Path>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if only.is_none_or(|o| held.as_deref() == Some(o))
            && let Some(held) = held.take()
        {
            let _ = fs::remove_file(held);
        }
    }

    /// Takes a backup in, beside what is there. What is wrong with it is told whole, and then nothing of it stays.
    pub fn stage(&self, from: impl Read, passphrase: Option<&str>) -> Result<()> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_ordered()?;
        self.names.clear()?;
        let _ = fs::remove_file(self.names.given_up());
        let staged = self.unpack(from, passphrase).and_then(|m| {
            self.build()?;
            write(&self.names.files.join(MANIFEST), manifest::render(&m).as_bytes())
        });
        if staged.is_err() {
            self.names.clear()?;
        }
        staged
    }

    fn unpack(&self, from: impl Read, passphrase: Option<&str>) -> Result<Manifest> {
        let ours = self.p.layout.root().as_str();
        let mut taken = |m: &Manifest| {
            let newer = manifest::unreadable(&m.records, &formats());
            if !newer.is_empty() {
                let text =
                    format!("this backup was made by bothy {}, whose records this release does not read: update the box first", m.release);
                return Err(Fault::invalid(text).with_reasons(newer));
            }
            if m.level == Level::Disks && m.data_dir != ours {
                return Err(Fault::conflict(format!(
                    "disks of this backup name their images in {}, and this box has its own in {ours}: set data_dir, or take a backup without disks",
                    m.data_dir
                )));
            }
            Ok(())
        };
        let mut sink = |name: &str, size: u64| -> Result<Box<dyn Write>> {
            (self.p.room)(&format!("for {name} of the backup"), Bytes(size))?;
            if name == STORE {
                // As records it is larger than as an export, until it is compacted.
                self.p.store_has_room(size.saturating_mul(2))?;
            }
            let path = self.names.files.join(name);
            let to = create(&path).map_err(|e| Fault::transient(format!("{path} cannot be made: {e}")).with_source(e))?;
            Ok(Box::new(to))
        };
        Ok(archive::read(from, passphrase, &mut taken, &mut sink)?.manifest)
    }

    /// Its store, with what was the other box's hardware taken out.
    fn build(&self) -> Result<()> {
        let n = &self.names;
        Store::import(n.files.join(STORE), &n.store)?;
        let key = fs::read(n.files.join(SEAL_KEY)).map_err(|e| Fault::transient("the key of the backup cannot be read").with_source(e))?;
        write(&n.store.join(SEAL_KEY), &key)?;
        let store = Store::open(&n.store, Options::default())?;
        let busy = busy(&store)?;
        if !busy.is_empty() {
            return Err(Fault::conflict("this backup was made in the middle of operations").with_reasons(busy));
        }
        store.purge(|t| matches!(t, Table::Host | Table::HostNet | Table::Observed | Table::Snapshot | Table::SnapshotOwner))?;
        let placed: Vec<Reservation> = store.list::<Reservation>()?.into_iter().filter(|r| !r.placed.is_empty()).collect();
        store.write(Durability::Barrier, |tx| placed.iter().try_for_each(|r| tx.put(&Reservation { placed: Vec::new(), ..r.clone() })))?;
        // There are no guests of it here that it might not know.
        store.acknowledge_restore()
    }

    pub fn staged(&self) -> Result<Option<Manifest>> {
        self.names.manifest()?.as_deref().map(manifest::parse).transpose()
    }

    /// Who ordered it, if somebody has.
    pub fn ordered(&self) -> Result<Option<String>> {
        Ok(read(&self.names.order())?.map(|t| t.lines().find_map(|l| l.strip_prefix("by ")).unwrap_or_default().to_owned()))
    }

    /// The backup that this box has come from.
    pub fn from(&self) -> Result<Option<Manifest>> {
        Ok(read(&self.names.from())?.and_then(|t| manifest::parse(&t).ok()))
    }

    /// For the health page, which centres read: this box was another one before, or was to become one.
    pub fn condition(&self) -> Option<Condition> {
        if let Some(why) = read(&self.names.given_up()).ok().flatten() {
            let text =
                format!("a restore was given up, and this box is what it was: {why} (send the backup again, or bothy restore --drop)");
            return Some(Condition::new("origin", ConditionState::Failed, text));
        }
        let m = self.from().ok().flatten()?;
        let text = format!("restored from a backup of {} (level {}), whose certificate was {}", m.of.host, m.level, m.fingerprint);
        Some(Condition::new("origin", ConditionState::Ok, text))
    }

    /// Nothing is staged any more.
    pub fn drop_staged(&self) -> Result<()> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_ordered()?;
        self.let_go(None);
        let _ = fs::remove_file(self.names.given_up());
        self.names.clear()
    }

    fn refuse_ordered(&self) -> Result<()> {
        match self.ordered()? {
            Some(by) => Err(Fault::conflict(format!("a restore was ordered by {by} already, and is about to be done"))),
            None => Ok(()),
        }
    }

    pub fn plan(&self, wish: &Wish) -> Result<Staged> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        self.planned(wish).map(|(p, _)| p)
    }

    /// With the configuration as it would be here.
    fn planned(&self, wish: &Wish) -> Result<(Staged, Option<String>)> {
        let missing = || Fault::not_found("no backup is on this box to be restored: send one first");
        let manifest = self.staged()?.ok_or_else(missing)?;
        let config = read(&self.names.files.join(CONFIG))?;
        let (mut misfits, mut skipped, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        // By it bothy would not start, or find nothing of its own.
        let mut not_taken = |f: Fault| {
            refused.push(format!("its configuration is not taken here (bothy restore --keep-configuration does without): {}", f.detail()))
        };
        let needed = match config.as_deref().filter(|_| wish.configuration).map(|c| (self.house.ports)(c)) {
            Some(Ok(names)) => names,
            Some(Err(fault)) => {
                not_taken(fault);
                Vec::new()
            }
            None => Vec::new(),
        };
        let fit = fit(&manifest.of, &(self.p.facts)()?, &needed, &wish.maps);
        misfits.extend(fit.misfits.iter().cloned());
        let bound = config.filter(|_| wish.configuration).map(|c| rebind(&c, &fit.bound));
        if let Some(Err(fault)) = bound.as_deref().filter(|_| !fit.bound.is_empty()).map(|c| (self.house.ports)(c)) {
            not_taken(fault.context("with the names that ports have here"));
        }
        match (&bound, &self.p.config) {
            (None, _) => skipped.push("the configuration's file: this box keeps its own".to_owned()),
            (Some(_), None) => skipped.push("the configuration's file: this bothy was started without one".to_owned()),
            (Some(_), Some(_)) => {}
        }
        if !wish.identity {
            skipped.push("its certificate and key: this box keeps its own, and centres know it by them".to_owned());
        }
        skipped.push(
            "the box's own network and host set-up: they were of other ports and CPUs (bothy host network apply, bothy host apply)"
                .to_owned(),
        );
        if manifest.level >= Level::Records {
            skipped.push("snapshots of VNFs".to_owned());
            let dry = (self.house.dry)(self.names.store.as_std_path(), bound.as_deref(), manifest.level == Level::Disks)?;
            misfits.extend(dry);
        }
        if manifest.level == Level::Records {
            skipped.push("what guests had written on their disks: the backup holds none, and they begin anew".to_owned());
        }
        let count = |t| self.p.store.count(t);
        let goes = vec![
            format!("{} accounts, {} secrets of this box, its subscriptions", count(Table::Account)?, count(Table::Secret)?),
            format!("{} packages and {} service descriptors of this box", count(Table::VnfPackage)?, count(Table::NsDescriptor)?),
        ];
        refused.extend((self.house.closed)()?);
        if count(Table::VnfInstance)? + count(Table::NsInstance)? > 0 {
            refused.push("this box has services or VNFs of its own: take them away first (bothy host reset --depth services)".to_owned());
        }
        refused.extend(busy(&self.p.store)?);
        if self.p.store.get::<HostNetRecord>(&())?.is_some_and(|r| r.trial.is_some()) {
            refused.push("a change of the box's own network waits to be confirmed (bothy host network confirm, or undo)".to_owned());
        }
        let mut sha = Sha256::new();
        for line in [manifest.made.0.to_string(), format!("{wish:?}{:?}", fit.bound)].iter().chain(&misfits).chain(&goes) {
            sha.update(line);
            sha.update([0]);
        }
        let token = data_encoding::HEXLOWER.encode(&sha.finalize()[..4]);
        Ok((Staged { manifest, fit, misfits, goes, skipped, refused, token }, bound))
    }

    /// Ordered durably: the next start, which comes at once, makes this box the other one. `insist`: though not all fits.
    pub fn order(&self, wish: &Wish, token: &str, insist: bool, by: &str) -> Result<Staged> {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_ordered()?;
        let (plan, bound) = self.planned(wish)?;
        if !plan.refused.is_empty() {
            return Err(Fault::conflict("nothing can be restored here now").with_reasons(plan.refused));
        }
        if !plan.misfits.is_empty() && !insist {
            return Err(
                Fault::conflict("not all of the backup fits this box: say what stands for what, or insist").with_reasons(plan.misfits)
            );
        }
        if token != plan.token {
            let text = format!("'{token}' is not of the plan as it is now: look at it again, and confirm that one ({})", plan.token);
            return Err(Fault::conflict(text));
        }
        // One of an order that was not to be is not to count.
        let _ = fs::remove_file(self.names.config());
        if let Some((text, config)) = bound.zip(self.p.config.as_deref()) {
            let beside = Utf8PathBuf::from(format!("{config}.restore"));
            write(&beside, b"")
                .map_err(|f| f.context("the configuration cannot be put in its place (bothy restore --keep-configuration does without)"))?;
            let _ = fs::remove_file(&beside);
            write(&self.names.config(), text.as_bytes())?;
        }
        // How this box's hardware and network are set up stays known, and can be undone.
        let (set_up, network) = (self.p.store.get::<HostRecord>(&())?, self.p.store.get::<HostNetRecord>(&())?);
        Store::open(&self.names.store, Options::default())?.write(Durability::Barrier, |tx| {
            set_up.as_ref().map_or(Ok(()), |r| tx.put(r))?;
            network.as_ref().map_or(Ok(()), |r| tx.put(r))
        })?;
        let identity = u8::from(wish.identity);
        let by: String = by.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write(&self.names.order(), format!("bothy restore 1\nby {by}\nidentity {identity}\n").as_bytes())?;
        tracing::warn!(by, "a restore is ordered: bothy starts anew to see it through");
        (self.house.again)();
        Ok(plan)
    }
}

/// Folders whose files go beside those of the same name.
pub const MOVED: [&str; 3] = FOLDERS;
