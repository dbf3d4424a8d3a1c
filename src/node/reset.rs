//! A reset that was ordered is seen through, before the store is opened for anything else.
//!
//! Owns the order of its steps, how often it is tried, and which folders are bothy's. Never: what a step takes
//! (`crate::reset`).

use std::{
    path::Path,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    host::notes::{Notes, clear, empty},
    model::{
        error::{Fault, Result},
        host::{BootArgs, KernelArgs},
        reset::{Depth, Ordered, ResetDone},
    },
    reset::{self, Files, Hands, Step},
    store::{Options, Store},
    update::port::Slots,
};

const ORDER: &str = "order";
const LAST: &str = "last";
/// Read by `image/files/usr/lib/bothy/wipe`.
const WIPE: &str = "wipe";
/// After so many starts what cannot be taken back is left, and told.
const TRIES: u32 = 5;
/// Between two looks at a host that is still coming up.
const LOOK: Duration = Duration::from_millis(250);
/// Of the data folder; `store` goes before them, and the folder of this file last.
const OURS: [&str; 19] = [
    "images",
    "disks",
    "media",
    "nvram",
    "serial",
    "artifacts",
    "uploads",
    "net",
    "network",
    "bundles",
    "update",
    "tls",
    "ztp",
    "restore",
    "restored",
    "store.restored",
    "store.before",
    "ballast",
    "accel",
];

/// Where things are.
pub struct Ground<'a> {
    /// The data folder.
    pub data: &'a Utf8Path,
    pub store: &'a Path,
    /// The folder of the configuration's file, on a box.
    pub configuration: &'a Utf8Path,
    /// How long libvirt and the switch are waited for.
    pub patience: Duration,
}

/// What comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Bothy starts anew: its configuration and folders may be others.
    Anew,
    /// The box restarts.
    Restarts,
}

pub fn notes(data: &Utf8Path) -> Notes {
    Notes::new(data.join("reset"))
}

/// As the API has them.
pub fn files(data: &Utf8Path) -> Files {
    let of = notes(data);
    let (order, set, last) = (of.clone(), of.clone(), of);
    Files {
        order: Box::new(move || order.read(ORDER)),
        set_order: Box::new(move |text| set.write(ORDER, text)),
        last: Box::new(move || last.read(LAST)),
    }
}

pub fn is_ordered(data: &Utf8Path) -> Result<bool> {
    Ok(notes(data).read(ORDER)?.is_some())
}

/// `None`: none was ordered. A fault: the next start tries again.
pub fn finish(h: &Hands, slots: &dyn Slots, ground: &Ground<'_>) -> Result<Option<End>> {
    let notes = notes(ground.data);
    let Some(text) = notes.read(ORDER)? else { return Ok(None) };
    let mut o = reset::parse(&text)?;
    o.tries += 1;
    notes.write(ORDER, &reset::render(&o))?;
    let is_box = slots.running()?.is_some();
    let wipes = is_box && o.depth == Depth::Everything;
    // What is forgotten with the box's memory and partitions need not be taken back one by one.
    let forgives = o.tries >= TRIES || wipes;
    tracing::warn!(depth = %o.depth, by = %o.by, tries = o.tries, "the box is reset");
    let mut left = Vec::new();
    let store = match Store::open(ground.store, Options::default()) {
        Ok(s) => {
            await_host(h, &s, if forgives { Duration::ZERO } else { ground.patience })?;
            Some(s)
        }
        Err(fault) if forgives => {
            left.push(format!("what the records name: {}", fault.detail()));
            None
        }
        Err(fault) => return Err(fault.context("the reset waits for the store")),
    };
    for step in reset::steps(o.depth, is_box) {
        let done = match (step, &store) {
            (Step::Guests, Some(s)) => reset::guests(h, s),
            (Step::Links, Some(s)) => reset::links(h, s),
            (Step::Devices, Some(s)) => reset::devices(h, s),
            (Step::Outside, Some(s)) => reset::outside(h, s),
            (Step::Host, Some(s)) => reset::host(h, s),
            (Step::Network, _) => reset::network(h),
            (Step::Records, Some(s)) => records(s, o.depth),
            (Step::Guests | Step::Links | Step::Devices | Step::Outside | Step::Host | Step::Records, None) => Ok(Vec::new()),
            (Step::Files, _) => empty(ground.configuration, &["ztp"]).and_then(|()| clear(&ground.data.join("ztp"))).map(|()| Vec::new()),
        };
        let found = match done {
            Ok(found) => found,
            Err(fault) if forgives => vec![fault.detail()],
            Err(fault) => return Err(fault.context("the reset is not through")),
        };
        if !found.is_empty() && !forgives {
            let (n, all) = (o.tries, TRIES);
            let why = format!("the reset is not through (try {n} of {all}): what is not taken back by the last is left");
            return Err(Fault::transient(why).with_reasons(found));
        }
        left.extend(found);
    }
    drop(store);
    left.iter().for_each(|what| tracing::error!("the reset leaves {what}"));
    if wipes && o.tries < TRIES {
        at_boot(h, &notes)?;
        slots.restart()?;
        return Ok(Some(End::Restarts));
    }
    if o.depth == Depth::Everything {
        data(ground)?;
        return Ok(Some(End::Anew));
    }
    told(ground.data, &notes, &o, left)?;
    if is_box && o.depth == Depth::Configuration {
        // What the image has beside it comes back with the next start of the box.
        slots.restart()?;
        return Ok(Some(End::Restarts));
    }
    Ok(Some(End::Anew))
}

/// A mark that is nobody's order: a boot that was kept from ending what it began has left it.
pub fn forget_wipe(data: &Utf8Path) -> Result<()> {
    let of = notes(data);
    if of.read(ORDER)?.is_none() && of.read(WIPE)?.is_some() {
        tracing::warn!("a mark to empty the box's partitions is taken away: nobody has ordered it");
        of.remove(WIPE)?;
    }
    Ok(())
}

fn told(data: &Utf8Path, notes: &Notes, o: &Ordered, left: Vec<String>) -> Result<()> {
    super::restore::forget(data)?;
    notes.write(LAST, &reset::render_done(&ResetDone { depth: o.depth, by: o.by.clone(), at: o.at, left }))?;
    notes.remove(ORDER)
}

fn records(store: &Store, depth: Depth) -> Result<Vec<String>> {
    let gone = store.purge(|t| reset::purged(depth, t))?;
    reset::users(store)?;
    tracing::info!(gone, "records are gone");
    Ok(Vec::new())
}

/// A host that has just started has its libvirt a little later. One that does not come is met by the first step.
fn await_host(h: &Hands, store: &Store, patience: Duration) -> Result<()> {
    let until = Instant::now() + patience;
    let asked = !store.list::<crate::model::vnf::VnfInstance>()?.is_empty();
    while asked && (h.hypervisor.health().is_err() || h.fabric.health().is_err()) && Instant::now() < until {
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Slots and their counter stay; what a boot is told goes.
fn at_boot(h: &Hands, notes: &Notes) -> Result<()> {
    if let Some(is) = h.hardware.boot_args()? {
        let bare = BootArgs { committed: KernelArgs::default(), trial: None, armed: false, slot_try: None, ..is.clone() };
        if bare != is {
            h.hardware.set_boot_args(&bare)?;
        }
    }
    notes.write(WIPE, "everything\n")
}

/// The store first, all at once: half of one says nothing that is true.
fn data(ground: &Ground<'_>) -> Result<()> {
    let aside = ground.data.join("reset").join("store");
    // A try before this one was cut off: what is in its place now is nobody's.
    clear(&aside)?;
    match std::fs::rename(ground.store, &aside) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(Fault::transient(format!("the store cannot be put aside: {e}")).with_source(e));
        }
        Ok(()) | Err(_) => {}
    }
    OURS.iter().try_for_each(|name| clear(&ground.data.join(name)))?;
    clear(&aside)?;
    clear(&ground.data.join("reset"))
}

/// The folder that the configuration's file has for itself; one that is anybody's is left alone.
pub fn beside(config: Option<&Utf8Path>) -> Utf8PathBuf {
    let own = config.and_then(Utf8Path::parent).filter(|p| p.file_name() == Some("bothy"));
    own.unwrap_or(Utf8Path::new("/etc/bothy")).to_owned()
}
