//! What a durable write costs beside the disk's own sync, how many requests share a barrier, and what
//! an hour of the daemon's writes leaves on the disk.

use std::{fs::File, io::Write as _, sync::OnceLock, thread, time::Instant};

use bothy::{
    lcm::archive::archive,
    store::{Durability, Options, Record, Store, Table},
};
use serde::{Deserialize, Serialize};

use crate::{
    orchestrator::{Addresses, Orchestrator},
    scratch,
    table::{Goal, Row, long, median, ms},
};

/// A record of one KiB.
#[derive(Serialize, Deserialize)]
struct Entry {
    id: u64,
    text: String,
}
impl Record for Entry {
    type Key = u64;
    const TABLE: Table = Table::Audit;
    const VERSION: u8 = 1;
    fn key(&self) -> u64 {
        self.id
    }
}

fn write(store: &Store, id: u64) {
    let entry = Entry { id, text: "x".repeat(1000) };
    store.write(Durability::Barrier, |tx| tx.put(&entry)).expect("durable");
}

/// One client, in turns with the bare sync of a file on the same disk, and with sled alone.
fn one_client() -> Vec<Row> {
    let turns = if long() { 3000 } else { 400 };
    let dir = scratch();
    let store = Store::open(dir.path().join("store"), Options::default()).expect("opens");
    let mut file = File::create(dir.path().join("file")).expect("made");
    let sled = sled::Config::new().path(dir.path().join("sled")).flush_every_ms(Some(500)).open().expect("sled opens");
    let sled_db = File::open(dir.path().join("sled/db")).expect("its file");
    let (mut ours, mut other, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for id in 0..turns {
        let begun = Instant::now();
        write(&store, id);
        ours.push(ms(begun.elapsed()));
        let begun = Instant::now();
        file.write_all(&[0x5a; 1024]).expect("written");
        file.sync_data().expect("synced");
        other.push(ms(begun.elapsed()));
        let begun = Instant::now();
        sled.insert(id.to_be_bytes(), &[0x5a; 1024][..]).expect("written");
        sled.flush().expect("flushed");
        sled_db.sync_data().expect("synced");
        bare.push(ms(begun.elapsed()));
    }
    let row = |name: &str, other: &[f64], goal| Row::new(name, "ms p50", median(&ours), Some(median(other)), goal);
    vec![
        row("durable write, 1 client | fdatasync of 1 KiB", &other, Goal::RatioAtMost(1.15)),
        row("durable write, 1 client | bare sled, both syncs", &bare, Goal::Shown),
    ]
}

fn many_clients() -> Row {
    const CLIENTS: u64 = 64;
    const EACH: u64 = 40;
    let dir = scratch();
    let store = Store::open(dir.path().join("store"), Options::default()).expect("opens");
    let before = store.stats().expect("stats").live;
    thread::scope(|s| {
        for c in 0..CLIENTS {
            let store = &store;
            s.spawn(move || (0..EACH).for_each(|n| write(store, c * 1000 + n)));
        }
    });
    let after = store.stats().expect("stats").live;
    let per = (after.transactions - before.transactions) as f64 / (after.barriers - before.barriers) as f64;
    Row::new("requests per barrier, 64 clients", "requests", per, None, Goal::AtLeast(10.0))
}

/// A service of three VNFs comes and goes every 15 s.
const AN_HOUR: usize = 240;
/// The daemon moves what is over to the history every 20 s.
const TIDY_EVERY: usize = 2;
/// Services that stay, so that what lasts lies between what is rewritten.
const LASTING: usize = 20;

/// A box that has worked for an hour and has nothing running: its data folder, and what the store was
/// like while services were up. Made once a run.
pub fn after_an_hour() -> &'static (tempfile::TempDir, Vec<Row>) {
    static MADE: OnceLock<(tempfile::TempDir, Vec<Row>)> = OnceLock::new();
    MADE.get_or_init(hour)
}

fn hour() -> (tempfile::TempDir, Vec<Row>) {
    let dir = scratch();
    let o = Orchestrator::start(dir.path());
    o.onboard("ns", 3, Addresses::Pool);
    let up = || {
        let ns = o.create("ns");
        o.instantiate(ns);
        ns
    };
    let down = |ns| {
        o.terminate(ns);
        o.core.nfvo.delete_ns(ns, |_| Ok(())).expect("deleted");
    };
    let lasting: Vec<_> = (0..LASTING).map(|_| up()).collect();
    for n in 0..AN_HOUR {
        down(up());
        if n % TIDY_EVERY == 0 {
            archive(o.store()).expect("archived");
        }
    }
    o.store().settle().expect("settled");
    let stats = o.store().stats().expect("stats");
    println!("an hour of writes: live {:?}, history {:?}", stats.live, stats.history);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let row = |name: &str, s: bothy::store::DbStats| {
        let limit = 4.0 * mib(s.live_bytes) + 32.0;
        Row::new(format!("{name} file after an hour | 4x live + 32"), "MiB", mib(s.file_bytes), Some(limit), Goal::RatioAtMost(1.0))
    };
    let rows = vec![row("store: live", stats.live), row("store: history", stats.history)];
    lasting.into_iter().for_each(down);
    archive(o.store()).expect("archived");
    o.stop();
    (dir, rows)
}

fn lived() -> Vec<Row> {
    let (dir, rows) = after_an_hour();
    let mut rows = rows.clone();
    let store = dir.path().join("store");
    let opened = |_| {
        let begun = Instant::now();
        let s = Store::open(&store, Options::default()).expect("opens");
        let took = ms(begun.elapsed());
        drop(s);
        took
    };
    let all: Vec<f64> = (0..9).map(opened).collect();
    rows.push(Row::new("store: reopen after an hour", "ms", median(&all), None, Goal::AtMost(100.0)));
    rows
}

pub fn measure() -> Vec<Row> {
    let mut rows = one_client();
    rows.push(many_clients());
    rows.extend(lived());
    rows
}
