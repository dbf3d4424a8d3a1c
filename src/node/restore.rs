//! A restore that was ordered is seen through, before the store is opened: each thing moves into its place by a rename, so it
//! can be done again from the first after a power cut, and half of it is never looked at. Then guests are brought back.
//!
//! Owns that order. Never: looks into a backup.

use std::{fs, io::ErrorKind, path::Path, sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;

use super::{core::Core, settings};
use crate::{
    backup::{GIVEN_UP, House, MOVED, Names, Parts, names},
    config::Config,
    host::{copies, durable, notes::Notes},
    model::{
        backup::{BoxFacts, Level, Nic},
        error::{Fault, Result},
        size::Bytes,
    },
    store::{Options, Store},
    vim::outside::Outside,
    vnfm,
};

/// Guests are to be brought back, and with what.
const BRING: &str = "bring";
/// The daemon has not come up by the restored configuration's file yet: `kept`, there was one before, or `none`; and how often
/// it was kept from that by what may pass.
const TRIED: &str = "tried";
/// An address that DHCP gives a little later is one at the next start.
const TRIES: u8 = 5;
/// How often what was staged could not be put in its place.
const VAIN: &str = "vain";
/// Modes of the box's certificate and its key.
const CERTIFICATE: u32 = 0o644;
const KEY: u32 = 0o600;
/// Between two questions to a libvirt that is not there yet.
const AGAIN: Duration = Duration::from_secs(2);

pub fn is_ordered(data: &Utf8Path) -> bool {
    names(data).order().exists()
}

/// Where the file of before lies.
fn before(config: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{config}.before-restore"))
}

/// The daemon has come up: the configuration's file stays.
pub fn proven(data: &Utf8Path) -> Result<()> {
    Notes::new(names(data).notes).remove(TRIED)
}

/// The daemon does not come up by the restored configuration's file (an address that is not this box's, a file that no backup
/// holds): the one of before is back. False: it has come up by this one, or none was restored.
pub fn unfit(data: &Utf8Path, config: Option<&Utf8Path>, why: &Fault) -> Result<bool> {
    let notes = Notes::new(names(data).notes);
    let (Some(config), Some(tried)) = (config, notes.read(TRIED)?) else { return Ok(false) };
    // What is ordered is seen through first, and by the configuration of before.
    if is_ordered(data) {
        return Ok(false);
    }
    let (had, tries) = tried.trim().split_once(' ').unwrap_or((tried.trim(), "0"));
    let tries = tries.parse().unwrap_or(0) + 1;
    if why.is_transient() && tries < TRIES {
        notes.write(TRIED, &format!("{had} {tries}\n"))?;
        return Ok(false);
    }
    let is_back = put_back(config, had)?;
    // Last: after a full disk, or a cut, the next start does it again.
    notes.remove(TRIED)?;
    if !is_back {
        return Ok(false);
    }
    tracing::error!("bothy does not start by the restored configuration, and the one of before is back: {}", why.detail());
    Ok(true)
}

/// The configuration's file of before is in its place. False: it cannot be read, and the restored one stays.
fn put_back(config: &Utf8Path, had: &str) -> Result<bool> {
    if had != "kept" {
        durable::remove(config)?;
        return config.parent().map_or(Ok(()), durable::sync_folder).map(|()| true);
    }
    match fs::read(before(config)) {
        Ok(old) => durable::ensure_file(config, &old, 0o600).map(|()| true),
        Err(e) => {
            tracing::error!("the configuration of before the restore cannot be read, and the restored one stays: {}: {e}", before(config));
            Ok(false)
        }
    }
}

/// The certificate and key that count once the order is done.
pub fn identity(data: &Utf8Path, now: &Config) -> Result<(Utf8PathBuf, Utf8PathBuf)> {
    let bound = names(data).config();
    let text = optional(&bound)?.map(|b| String::from_utf8_lossy(&b).into_owned());
    Ok(text.and_then(|t| Config::check(&t).ok()).as_ref().unwrap_or(now).tls_paths())
}

/// `false`: none was ordered. `config`: the file of this daemon. A fault: the next start tries again; where that is so again and
/// again before the store is another one, the order is given up, and this box stays what it was.
pub fn finish(data: &Utf8Path, store: &Path, config: Option<&Utf8Path>, tls: (&Utf8Path, &Utf8Path)) -> Result<bool> {
    let n = names(data);
    let notes = Notes::new(&n.notes);
    let Some(order) = notes.read("order")? else { return Ok(false) };
    if !order.starts_with("bothy restore 1\n") {
        return Err(Fault::conflict(format!("{} was written by a newer bothy: start that release, or remove the file", n.order())));
    }
    // The first word of what was staged goes last, when all is in its place; without it nothing there is whole.
    if n.manifest()?.is_none() {
        n.clear()?;
        remove_dir(&data.join("store.before"))?;
        return over(&notes, tls).map(|()| true);
    }
    tracing::warn!("what was restored is put in its place");
    let aside = data.join("store.before");
    if let Err(fault) = around(&n, data, &order, config, tls) {
        let tries = notes.read(VAIN)?.and_then(|t| t.trim().parse().ok()).unwrap_or(0) + 1;
        // Where not even that can be written down, nothing is to be waited for.
        if !n.store.exists() || tries < TRIES && notes.write(VAIN, &format!("{tries}\n")).is_ok() {
            return Err(fault.context(format!("what was restored is not in its place (try {tries} of {TRIES})")));
        }
        come_back(store, &aside)?;
        give_up(&n, &notes, config, tls, &fault)?;
        return Ok(true);
    }
    if n.store.exists() {
        if store.exists() {
            remove_dir(&aside)?;
            fs::rename(store, &aside).map_err(|e| fault("put aside the store of", data, e))?;
        }
        fs::rename(&n.store, store).map_err(|e| fault("put in its place", &n.store, e))?;
        durable::sync_folder(data)?;
    }
    if let Some(manifest) = n.manifest()? {
        notes.write("from", &manifest)?;
        let level = manifest.lines().find_map(|l| l.strip_prefix("level ")).unwrap_or_default().to_owned();
        notes.write(BRING, &level)?;
    }
    n.clear()?;
    remove_dir(&aside)?;
    over(&notes, tls).map(|()| true)
}

/// All but the store: files, the configuration's, the box's certificate.
fn around(n: &Names, data: &Utf8Path, order: &str, config: Option<&Utf8Path>, tls: (&Utf8Path, &Utf8Path)) -> Result<()> {
    let notes = Notes::new(&n.notes);
    for folder in MOVED {
        let (from, to) = (n.files.join(folder), data.join(folder));
        for e in from.read_dir_utf8().into_iter().flatten() {
            let e = e.map_err(|e| fault("read", &from, e))?;
            // What is here already by its digest is the same.
            copies::bring(e.path(), &to.join(e.file_name()))?;
        }
        if from.exists() {
            readable(&to, folder)?;
            durable::sync_folder(&to)?;
        }
    }
    if let (Some(config), Some(text)) = (config, optional(&n.config())?) {
        if notes.read(TRIED)?.is_none() {
            let old = optional(config)?;
            if let Some(old) = &old {
                durable::ensure_file(&before(config), old, 0o600)?;
            }
            notes.write(TRIED, if old.is_some() { "kept\n" } else { "none\n" })?;
        }
        durable::ensure_file(config, &text, 0o600)?;
    }
    if order.lines().any(|l| l == "identity 1") {
        for (name, to, mode) in [("tls/cert.pem", tls.0, CERTIFICATE), ("tls/key.pem", tls.1, KEY)] {
            if let Some(bytes) = optional(&n.files.join(name))? {
                if let Some(old) = optional(to)?.filter(|_| !before(to).exists()) {
                    durable::ensure_file(&before(to), &old, KEY)?;
                }
                durable::ensure_file(to, &bytes, mode)?;
            }
        }
    }
    Ok(())
}

/// The order is no more, whatever became of it.
fn over(notes: &Notes, tls: (&Utf8Path, &Utf8Path)) -> Result<()> {
    [tls.0, tls.1].iter().try_for_each(|at| durable::remove(&before(at)))?;
    notes.remove(VAIN)?;
    notes.remove("order")
}

/// The store of before may have been put aside when the power went; whoever looked for one since may have made its folder.
fn come_back(store: &Path, aside: &Utf8Path) -> Result<()> {
    if !aside.exists() || store.join("manifest").exists() {
        return Ok(());
    }
    if let Err(e) = fs::remove_dir_all(store)
        && e.kind() != ErrorKind::NotFound
    {
        return Err(Fault::transient(format!("a restore cannot make room for the store of before: {e}")).with_source(e));
    }
    fs::rename(aside, store).map_err(|e| fault("put back the store of", aside, e))?;
    aside.parent().map_or(Ok(()), durable::sync_folder)
}

/// What took another's place goes back, and what was staged goes. Files that nothing names are swept.
fn give_up(n: &Names, notes: &Notes, config: Option<&Utf8Path>, tls: (&Utf8Path, &Utf8Path), why: &Fault) -> Result<()> {
    for (at, mode) in [(tls.0, CERTIFICATE), (tls.1, KEY)] {
        if let Some(old) = optional(&before(at))? {
            durable::ensure_file(at, &old, mode)?;
        }
    }
    if let (Some(config), Some(tried)) = (config, notes.read(TRIED)?) {
        put_back(config, tried.split_whitespace().next().unwrap_or_default())?;
        notes.remove(TRIED)?;
    }
    tracing::error!("the restore is given up, and this box stays what it was: {}", why.detail());
    // The order goes before what it is of: without that it would count as done.
    over(notes, tls)?;
    n.clear()?;
    notes.write(GIVEN_UP, &why.detail())
}

/// As the adapters leave them: bases for all, disks for nobody yet.
fn readable(folder: &Utf8Path, name: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if name != "images" {
        return Ok(());
    }
    for e in folder.read_dir_utf8().map_err(|e| fault("read", folder, e))? {
        let e = e.map_err(|e| fault("read", folder, e))?;
        fs::set_permissions(e.path(), fs::Permissions::from_mode(0o444)).map_err(|x| fault("make readable", e.path(), x))?;
    }
    Ok(())
}

fn fault(what: &str, path: &Utf8Path, e: std::io::Error) -> Fault {
    Fault::transient(format!("a restore cannot {what} {path}: {e}")).with_source(e)
}

fn optional(path: &Utf8Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(b) => Ok(Some(b)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault("read", path, e)),
    }
}

fn remove_dir(path: &Utf8Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(fault("remove", path, e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Begins to bring back the guests of a box that was restored, once: what cannot be begun is told, and is an operator's to heal.
pub fn bring_back(core: &Core) -> Result<()> {
    let data = core.vnfm().layout().root().to_owned();
    let notes = Notes::new(names(&data).notes);
    let Some(level) = notes.read(BRING)? else { return Ok(()) };
    let level: Level = level.trim().parse()?;
    let left = core.nfvo.bring_back(level == Level::Disks, "begun by itself: the box was restored from a backup")?;
    left.iter()
        .for_each(|why| tracing::error!(why, "guests of the backup are not brought back: heal the VNF (bothy vnf heal) once it can be"));
    notes.remove(BRING)
}

/// The same, when libvirt is there to be asked; on a thread of its own.
pub fn return_soon(core: &Arc<Core>) {
    let core = core.clone();
    let patient = move || {
        while let Err(fault) = bring_back(&core) {
            if !fault.is_transient() {
                tracing::error!("guests of the backup are not brought back: {fault:?}");
                return;
            }
            std::thread::sleep(AGAIN);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("return".into()).spawn(patient) {
        tracing::error!(%error, "guests of the backup are brought back by the next start");
    }
}

/// Nobody is waited for any more: a reset has taken what was to come back.
pub fn forget(data: &Utf8Path) -> Result<()> {
    Notes::new(names(data).notes).remove(BRING)
}

pub fn is_returning(data: &Utf8Path) -> bool {
    names(data).notes.join(BRING).exists()
}

/// What a backup says of this box.
fn facts(core: &Core) -> Result<BoxFacts> {
    let f = core.host.facts()?;
    let mut nics: Vec<Nic> = Vec::new();
    let text = |m: Option<crate::model::net::MacAddr>| m.map(|m| smol_str::format_smolstr!("{m}")).unwrap_or_default();
    let model = |d: &crate::model::host::PciDevice| smol_str::format_smolstr!("{:04x}:{:04x}", d.vendor, d.device);
    for d in &f.devices {
        let total = match &d.function {
            crate::model::host::Function::Pf(pf) => pf.total_vfs,
            crate::model::host::Function::Plain => 0,
            crate::model::host::Function::Vf { .. } => continue,
        };
        nics.extend(d.ports.iter().map(|p| Nic { name: p.name.as_str().into(), mac: text(p.mac), model: model(d), total_vfs: total }));
    }
    // Those that the hardware does not tell of are ports all the same.
    for p in core.ports.own_net.ports().unwrap_or_default() {
        match nics.iter_mut().find(|n| n.name == p.name.as_str()) {
            Some(n) => n.mac = text(p.mac),
            None => nics.push(Nic { name: p.name.as_str().into(), mac: text(p.mac), model: SmolStr::default(), total_vfs: 0 }),
        }
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(BoxFacts {
        host: host.trim().into(),
        cpus: f.nodes.iter().map(|n| n.cpus.len() as u32).sum(),
        nodes: f.nodes.len() as u32,
        memory_mib: f.nodes.iter().map(|n| n.memory.0).sum(),
        nics,
    })
}

/// What backups are made of.
pub fn parts(core: &Arc<Core>, config: Option<Utf8PathBuf>, of: &Config, fingerprint: Box<dyn Fn() -> String + Send + Sync>) -> Arc<Parts> {
    let (seen, asked) = (core.clone(), core.clone());
    Arc::new(Parts {
        store: core.vnfm().store().clone(),
        hypervisor: core.ports.hypervisor.clone(),
        images: core.ports.images.clone(),
        still: core.vnfm().still().clone(),
        layout: core.vnfm().layout().clone(),
        clock: core.vnfm().clock().clone(),
        config,
        tls: of.tls_paths(),
        facts: Box::new(move || facts(&seen)),
        fingerprint,
        room: Box::new(move |what: &str, bytes: Bytes| asked.vnfm().room_for(what, bytes)),
    })
}

/// What the rest of Bothy says to a restore.
pub fn house(core: &Arc<Core>, again: Box<dyn Fn() + Send + Sync>) -> House {
    let (seen, update, data) = (core.clone(), core.update().clone(), core.vnfm().layout().root().to_owned());
    House {
        ports: Box::new(move |text| ports(text, &data)),
        dry: Box::new(move |store, config, disks| dry(&seen, store, config, disks)),
        closed: Box::new(move || {
            let under_way = update.status()?.journal.update.filter(|u| !u.state.is_over());
            Ok(under_way.map(|u| format!("an update of the system is {}: see it through, or `bothy update rollback`", u.state.name())))
        }),
        again,
    }
}

/// Names of ports that stand in a configuration.
fn ports(text: &str, data: &Utf8Path) -> Result<Vec<SmolStr>> {
    let told =
        |faults: Vec<crate::config::ConfigFault>| Fault::invalid("it is refused").with_reasons(faults.iter().map(ToString::to_string));
    let c = Config::check(text).map_err(told)?;
    if c.data_dir != data {
        return Err(Fault::conflict(format!("its data_dir is {}, and this box's is {data}", c.data_dir)));
    }
    let mut all: Vec<SmolStr> = c.physical_network.iter().filter_map(|n| n.interface.clone()).collect();
    all.extend(c.physical_network.iter().filter_map(|n| n.bond.as_ref()).flat_map(|b| b.legs.iter().map(|l| l.as_str().into())));
    all.extend(c.host.pf.iter().map(|pf| smol_str::format_smolstr!("{}", pf.name)));
    all.sort();
    all.dedup();
    Ok(all)
}

/// The planner is asked, over the other box's records and this one's hardware.
fn dry(core: &Core, store: &Path, config: Option<&str>, disks: bool) -> Result<Vec<String>> {
    let rules = match config.map(Config::check) {
        Some(Ok(c)) => settings::rules(&c)?,
        // What is wrong with it is told elsewhere.
        Some(Err(_)) | None => core.vnfm().rules(),
    };
    let store = Store::open(store, Options::default())?;
    let (vnfm, ports) = (core.vnfm(), &core.ports);
    let links = crate::vim::links::Links::new(store.clone(), ports.fabric.clone(), ports.host.clone());
    let of = vnfm::Vnfm::new(vnfm::Parts {
        store: store.clone(),
        hypervisor: ports.hypervisor.clone(),
        images: ports.images.clone(),
        hardware: ports.hardware.clone(),
        links,
        clock: vnfm.clock().clone(),
        dice: vnfm.dice().clone(),
        layout: vnfm.layout().clone(),
        rules,
    });
    of.connect_outside(Outside::new(store, ports.controllers.clone(), Default::default()));
    of.would_not_fit(disks)
}
