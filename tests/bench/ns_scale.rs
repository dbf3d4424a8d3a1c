//! A network service of 1 to 1000 VNFs on the simulated box, from the request to COMPLETED: what the
//! orchestrator itself costs, beside the bare store writing as many records.

use std::{
    fs::File,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    orchestrator::{Addresses, Orchestrator},
    scratch,
    table::{Goal, Row, long, median},
};

const SIZES: [usize; 4] = [1, 10, 100, 1000];
const START: Duration = Duration::from_millis(250);
/// As many guests start at a time as libvirt takes on one connection.
const AT_ONCE: usize = 5;

/// What one instantiation took and left in the store.
#[derive(Debug, Clone, Copy)]
struct Run {
    took: Duration,
    transactions: u64,
    barriers: u64,
    records: u64,
    bytes: u64,
}

fn run(members: usize, start: Duration) -> Run {
    let dir = scratch();
    let o = Orchestrator::start(dir.path());
    o.sim.start_delay(start);
    o.onboard("ns", members, Addresses::Named);
    let ns = o.create("ns");
    let records = || o.store().verify().expect("sound").tables.iter().filter(|t| t.database == "live").map(|t| t.records).sum::<u64>();
    let stats = || o.store().stats().expect("stats").live;
    let (had, before) = (records(), stats());
    let begun = Instant::now();
    o.instantiate(ns);
    let took = begun.elapsed();
    let after = stats();
    let run = Run {
        took,
        transactions: after.transactions - before.transactions,
        barriers: after.barriers - before.barriers,
        records: records() - had,
        bytes: after.live_bytes.saturating_sub(before.live_bytes),
    };
    o.stop();
    run
}

/// The same number of records, bytes, transactions and barriers with nothing but sled.
fn bare(like: Run, dir: &Path) -> Duration {
    let sled = sled::Config::new().path(dir.join("sled")).cache_capacity(8 << 20).flush_every_ms(Some(500)).open().expect("sled opens");
    let db = File::open(dir.join("sled/db")).expect("its file");
    let per = like.records.div_ceil(like.transactions);
    let value = vec![0x5a_u8; (like.bytes / like.records).saturating_sub(33) as usize];
    let sync_every = like.transactions.div_ceil(like.barriers.max(1));
    let begun = Instant::now();
    for t in 0..like.transactions {
        let keys: Vec<[u8; 33]> = (t * per..((t + 1) * per).min(like.records)).map(key).collect();
        let write = |tx: &sled::transaction::TransactionalTree| {
            for k in &keys {
                tx.insert(&k[..], &value[..])?;
            }
            Ok::<(), sled::transaction::ConflictableTransactionError<()>>(())
        };
        sled.transaction(write).expect("written");
        if (t + 1) % sync_every == 0 || t + 1 == like.transactions {
            sled.flush().expect("flushed");
            db.sync_data().expect("synced");
        }
    }
    begun.elapsed()
}

/// A key as wide as ours, spread as ids are.
fn key(n: u64) -> [u8; 33] {
    let mut k = [0; 33];
    k[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    k[8..16].copy_from_slice(&n.to_be_bytes());
    k
}

pub fn measure() -> Vec<Row> {
    let rounds = if long() { 11 } else { 5 };
    let mut ours = [const { Vec::new() }; SIZES.len()];
    let mut others = [const { Vec::new() }; SIZES.len()];
    let mut last = None;
    for _ in 0..rounds {
        for (i, size) in SIZES.into_iter().enumerate() {
            let r = run(size, Duration::ZERO);
            ours[i].push(r.took.as_secs_f64());
            others[i].push(bare(r, scratch().path()).as_secs_f64());
            last = Some(r);
        }
    }
    if let Some(r) = last {
        println!(
            "ns_scale: {} VNFs: {} transactions, {} barriers, {} records of {} bytes; {rounds} rounds",
            SIZES[3], r.transactions, r.barriers, r.records, r.bytes
        );
    }
    let mut rows = Vec::new();
    for (i, size) in SIZES.into_iter().enumerate() {
        let goal = if size == 1000 { Goal::AtMost(0.6) } else { Goal::Shown };
        rows.push(Row::new(format!("NS of {size} VNFs on sim | bare sled"), "s", median(&ours[i]), Some(median(&others[i])), goal));
    }
    let slope = (median(&ours[3]) / median(&ours[2])).log10();
    rows.push(Row::new("NS slope, 100 to 1000 VNFs", "exponent", slope, None, Goal::AtMost(1.05)));
    for size in SIZES {
        let ideal = START * size.div_ceil(AT_ONCE) as u32;
        let took = run(size, START).took.as_secs_f64();
        rows.push(Row::new(format!("NS of {size} VNFs, 250 ms per start | ideal"), "s", took, Some(ideal.as_secs_f64()), Goal::Shown));
    }
    rows
}
