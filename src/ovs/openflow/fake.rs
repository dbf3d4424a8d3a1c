//! A switch of a test's own: it takes bundles, but for the flows that it is told to refuse. Never: frames.

use std::{
    collections::{BTreeMap, HashSet},
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use super::{
    read::{Frame, Framer},
    wire::{bundle, kind, message, multipart, u16s},
};

#[derive(Default)]
pub struct Has {
    /// By cookie: an entry of the list.
    pub flows: BTreeMap<u64, Vec<u8>>,
    pub refuses: HashSet<u64>,
    pub metered: bool,
    pub connections: usize,
    /// The cookies of each bundle that was committed.
    pub bundles: Vec<Vec<u64>>,
}

pub struct FakeSwitch {
    pub socket: PathBuf,
    pub has: Arc<Mutex<Has>>,
    _dir: tempfile::TempDir,
}

impl FakeSwitch {
    pub fn start(metered: bool) -> FakeSwitch {
        let dir = tempfile::tempdir().expect("dir");
        let socket = dir.path().join("mgmt");
        let listener = UnixListener::bind(&socket).expect("listen");
        let has = Arc::new(Mutex::new(Has { metered, ..Has::default() }));
        let to = has.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                to.lock().expect("lock").connections += 1;
                let has = to.clone();
                std::thread::spawn(move || serve(stream, &has));
            }
        });
        FakeSwitch { socket, has, _dir: dir }
    }
}

fn serve(mut stream: UnixStream, has: &Mutex<Has>) {
    let (mut framer, mut buf, mut open) = (Framer::default(), vec![0; 1 << 16], Vec::new());
    while let Ok(n @ 1..) = stream.read(&mut buf) {
        framer.feed(&buf[..n]);
        while let Some(f) = framer.next().expect("a message") {
            for answer in answers(&f, &mut open, &mut has.lock().expect("lock")) {
                if stream.write_all(&answer).is_err() {
                    return;
                }
            }
        }
    }
}

fn answers(f: &Frame, open: &mut Vec<Frame>, has: &mut Has) -> Vec<Vec<u8>> {
    let error = |xid: u32, words: [u16; 2]| message(kind::ERROR, xid, &u16s(&words));
    let word = |at: usize| u16::from_be_bytes([f.body[at], f.body[at + 1]]);
    match f.kind {
        kind::HELLO => vec![message(kind::HELLO, f.xid, &[])],
        kind::BARRIER_REQUEST => vec![message(kind::BARRIER_REPLY, f.xid, &[])],
        kind::METER_MOD if !has.metered => vec![error(f.xid, [12, 10])],
        kind::MULTIPART_REQUEST if word(0) == multipart::FLOW => {
            let list = [u16s(&[multipart::FLOW, 0, 0, 0]), has.flows.values().flatten().copied().collect()].concat();
            vec![message(kind::MULTIPART_REPLY, f.xid, &list)]
        }
        kind::MULTIPART_REQUEST => vec![message(kind::MULTIPART_REPLY, f.xid, &u16s(&[word(0), 0, 0, 0]))],
        kind::BUNDLE_ADD => {
            open.push(f.clone());
            Vec::new()
        }
        kind::BUNDLE_CONTROL if word(4) == bundle::COMMIT => {
            let all = std::mem::take(open);
            // What is in it: a header of its own, then the flow.
            let cookie = |f: &Frame| u64::from_be_bytes(f.body[16..24].try_into().expect("a cookie"));
            let is_removal = |f: &Frame| f.body[33] == 3;
            if let Some(bad) = all.iter().find(|f| !is_removal(f) && has.refuses.contains(&cookie(f))) {
                return vec![error(bad.xid, [5, 1]), error(f.xid, [17, 13])];
            }
            for one in &all {
                if is_removal(one) {
                    has.flows.remove(&cookie(one));
                } else {
                    has.flows.insert(cookie(one), entry(&one.body[16..]));
                }
            }
            has.bundles.push(all.iter().map(cookie).collect());
            vec![message(kind::BUNDLE_CONTROL, f.xid, &[&f.body[..4], &u16s(&[bundle::COMMITTED, 0])].concat())]
        }
        _ => Vec::new(),
    }
}

/// The flow of a change as it is listed (`ofp_flow_stats`).
fn entry(change: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 48];
    out[2] = change[16];
    out[12..14].copy_from_slice(&change[22..24]);
    out[24..32].copy_from_slice(&change[..8]);
    out.extend(&change[40..]);
    let length = out.len() as u16;
    out[..2].copy_from_slice(&length.to_be_bytes());
    out
}
