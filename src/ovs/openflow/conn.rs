//! One OpenFlow connection to one bridge.
//!
//! Owns: the greeting, the thread that reads, requests and their answers. What the switch says
//! unasked goes to a listener. A connection that broke is never mended: its owner makes another.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    read::{self, FlowSeen, Frame, Framer, Update},
    wire::{self, Change, Meter, MeterOrder, OURS, VERSION, bundle, kind, multipart},
};
use crate::model::error::{Fault, Result};

const WRITE_LIMIT: Duration = Duration::from_secs(2);

/// What the switch said unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The connection is over: the bridge or the switch daemon went.
    Lost,
    /// This flow is no more, by whomever.
    FlowGone(u64),
    /// Somebody else changed this flow.
    FlowChanged(u64),
    /// Somebody else added a flow that is not Bothy's, maybe in the place of one that is.
    Stranger,
}

/// Why no change of a bundle was made.
pub struct Refusal {
    pub why: Fault,
    /// The one that the switch refuses, where it says which.
    pub at: Option<usize>,
}

impl From<Fault> for Refusal {
    fn from(why: Fault) -> Refusal {
        Refusal { why, at: None }
    }
}

pub struct Connection {
    /// Also the reader's, for its answers to echoes: messages are never mixed.
    writer: Arc<Mutex<UnixStream>>,
    /// Held for as long as one request and its answers take.
    answers: Mutex<Receiver<Frame>>,
    reader: Option<JoinHandle<()>>,
    xid: AtomicU32,
}

impl Connection {
    /// Connects and greets. `tell` is called from the reading thread.
    pub fn open(socket: &Path, until: Instant, tell: impl Fn(News) + Send + 'static) -> Result<Connection> {
        let cannot = |e: std::io::Error| {
            Fault::transient(format!(
                "the bridge's OpenFlow socket {} does not answer ({e}): check that ovs-vswitchd runs",
                socket.display()
            ))
        };
        let stream = UnixStream::connect(socket).map_err(cannot)?;
        stream.set_write_timeout(Some(WRITE_LIMIT)).map_err(cannot)?;
        let from = stream.try_clone().map_err(cannot)?;
        let writer = Arc::new(Mutex::new(stream));
        let back = writer.clone();
        let (to, answers) = channel();
        let reader = std::thread::Builder::new()
            .name("openflow".into())
            .spawn(move || {
                listen(from, &back, &to, &tell);
                tell(News::Lost);
            })
            .map_err(|e| Fault::transient("no thread for the OpenFlow connection").with_source(e))?;
        let c = Connection { writer, answers: Mutex::new(answers), reader: Some(reader), xid: AtomicU32::new(0) };
        c.greet(until)?;
        Ok(c)
    }

    fn greet(&self, until: Instant) -> Result<()> {
        self.send(&wire::hello(self.number()))?;
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let hello = next(&answers, until)?;
        if hello.kind != kind::HELLO || hello.version < VERSION {
            let why = if hello.kind == kind::ERROR { read::refusal(&hello.body) } else { format!("it speaks version {}", hello.version) };
            return Err(Fault::conflict(format!("the switch cannot be spoken to in OpenFlow 1.4: {why}")));
        }
        drop(answers);
        self.send(&wire::ask_for_news(self.number()))?;
        // A switch that cannot tell of changes is believed that there are none.
        self.send(&wire::watch_flows(self.number()))
    }

    /// Makes all changes of one, or none of them.
    pub fn change(&self, changes: &[&Change], until: Instant) -> Result<(), Refusal> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let first = self.number();
        let id = first;
        let mut bytes = wire::bundle_control(first, id, bundle::OPEN);
        let mut last = first;
        for c in changes {
            last = self.number();
            bytes.extend(wire::bundle_add(last, id, c));
            // The switch is read from meanwhile by the other thread, so it can always go on.
            if bytes.len() > 1 << 16 {
                self.send(&bytes)?;
                bytes.clear();
            }
        }
        let commit = self.number();
        bytes.extend(wire::bundle_control(commit, id, bundle::COMMIT));
        self.send(&bytes)?;
        let mut refused = None;
        loop {
            let f = next(&answers, until)?;
            if f.kind == kind::ERROR && (first..=last).contains(&f.xid) {
                refused.get_or_insert_with(|| (f.xid, read::refusal(&f.body)));
            } else if f.kind == kind::ERROR && f.xid == commit {
                let (at, why) = refused.unwrap_or_else(|| (commit, read::refusal(&f.body)));
                let at = Some((at.wrapping_sub(first) as usize).wrapping_sub(1)).filter(|at| *at < changes.len());
                let which = at.and_then(|at| changes.get(at));
                return Err(Refusal { why: Fault::bug(format!("the switch refused a change of flows: {why}: {which:?}")), at });
            } else if f.kind == kind::BUNDLE_CONTROL && f.xid == commit && read::u16_at(&f.body, 4) == Some(bundle::COMMITTED) {
                return Ok(());
            }
        }
    }

    /// Adds, changes or (`None`) removes meters; in force when this returns. Bundles cannot hold them. `Conflict`: the
    /// switch has none, or no more of them.
    pub fn meters(&self, changes: &[(u32, bool, Option<Meter>)], until: Instant) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = Vec::new();
        let first = self.number();
        for (id, there, meter) in changes {
            let order = match (there, meter) {
                (_, None) => MeterOrder::Delete,
                (true, Some(_)) => MeterOrder::Modify,
                (false, Some(_)) => MeterOrder::Add,
            };
            bytes.extend(wire::meter_mod(self.number(), order, *id, *meter));
        }
        let end = self.number();
        bytes.extend(wire::message(kind::BARRIER_REQUEST, end, &[]));
        self.send(&bytes)?;
        let mut refused = None;
        loop {
            let f = next(&answers, until)?;
            if f.kind == kind::ERROR && (first..end).contains(&f.xid) {
                let why = read::refusal(&f.body);
                refused.get_or_insert_with(|| match read::lacks_meters(&f.body) {
                    true => Fault::conflict(format!("the switch cannot limit a rate: {why}")),
                    false => Fault::transient(format!("the switch's limits of rates are not what they were: {why}")),
                });
            }
            if f.kind == kind::BARRIER_REPLY && f.xid == end {
                return refused.map_or(Ok(()), Err);
            }
        }
    }

    /// Bothy's flows on the switch.
    pub fn list_flows(&self, until: Instant) -> Result<Vec<FlowSeen>> {
        let parts = self.list(multipart::FLOW, wire::list_flows, until)?;
        Ok(parts.iter().map(|p| read::flows(p)).collect::<Result<Vec<_>>>()?.concat())
    }

    pub fn list_meters(&self, until: Instant) -> Result<Vec<(u32, Option<Meter>)>> {
        let parts = self.list(multipart::METER_CONFIG, wire::list_meters, until)?;
        Ok(parts.iter().map(|p| read::meters(p)).collect::<Result<Vec<_>>>()?.concat())
    }

    fn list(&self, what: u16, ask: fn(u32) -> Vec<u8>, until: Instant) -> Result<Vec<Vec<u8>>> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let xid = self.number();
        self.send(&ask(xid))?;
        let mut parts = Vec::new();
        loop {
            let f = next(&answers, until)?;
            if f.xid != xid {
                continue;
            }
            if f.kind == kind::ERROR {
                return Err(Fault::bug(format!("the switch does not list its flows: {}", read::refusal(&f.body))));
            }
            if f.kind != kind::MULTIPART_REPLY {
                continue;
            }
            let (which, more, rest) = read::part(&f.body)?;
            if which == what {
                parts.push(rest.to_vec());
            }
            if !more {
                return Ok(parts);
            }
        }
    }

    fn number(&self) -> u32 {
        self.xid.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    fn send(&self, bytes: &[u8]) -> Result<()> {
        write(&self.writer, bytes).map_err(|e| Fault::transient("the OpenFlow connection was lost").with_source(e))
    }
}

fn write(to: &Mutex<UnixStream>, bytes: &[u8]) -> std::io::Result<()> {
    let mut w = to.lock().unwrap_or_else(PoisonError::into_inner);
    w.write_all(bytes).inspect_err(|_| {
        // Half a message may be out.
        let _ = w.shutdown(std::net::Shutdown::Both);
    })
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.writer.lock().unwrap_or_else(PoisonError::into_inner).shutdown(std::net::Shutdown::Both);
        // The listener may be what drops the connection.
        if let Some(t) = self.reader.take()
            && t.thread().id() != std::thread::current().id()
        {
            let _ = t.join();
        }
    }
}

fn next(answers: &Receiver<Frame>, until: Instant) -> Result<Frame> {
    answers.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|e| match e {
        RecvTimeoutError::Timeout => Fault::transient("the switch did not answer by OpenFlow in time"),
        RecvTimeoutError::Disconnected => Fault::transient("the OpenFlow connection was lost before the answer"),
    })
}

fn listen(mut from: UnixStream, back: &Mutex<UnixStream>, to: &Sender<Frame>, tell: &impl Fn(News)) {
    let (mut framer, mut buf) = (Framer::default(), vec![0; 1 << 16]);
    loop {
        let n = match from.read(&mut buf) {
            Ok(0) => return,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        framer.feed(buf.get(..n).unwrap_or_default());
        loop {
            let frame = match framer.next() {
                Ok(Some(f)) => f,
                Ok(None) => break,
                Err(why) => {
                    tracing::warn!(%why, "OpenFlow connection given up");
                    let _ = from.shutdown(std::net::Shutdown::Both);
                    return;
                }
            };
            match frame.kind {
                kind::ECHO_REQUEST => {
                    // An answer that cannot be sent is found out by the next request.
                    let _ = write(back, &wire::message(kind::ECHO_REPLY, frame.xid, &frame.body));
                }
                kind::FLOW_REMOVED => {
                    if let Some(cookie) = read::removed(&frame.body) {
                        tell(News::FlowGone(cookie));
                    }
                }
                // What nobody asked for.
                kind::MULTIPART_REPLY if frame.xid == 0 => {
                    if let Err(why) = changed(&frame.body, tell) {
                        tracing::warn!(%why, "news of flows that cannot be read");
                    }
                }
                kind::HELLO | kind::ERROR | kind::MULTIPART_REPLY | kind::BARRIER_REPLY | kind::BUNDLE_CONTROL => {
                    let _ = to.send(frame);
                }
                // Ports that come and go are told by the database.
                _ => {}
            }
        }
    }
}

/// Tells of flows that others changed.
fn changed(body: &[u8], tell: &impl Fn(News)) -> Result<()> {
    let (which, _, rest) = read::part(body)?;
    if which != multipart::FLOW_MONITOR {
        return Ok(());
    }
    for update in read::updates(rest)? {
        match update {
            Update::Modified(cookie) => tell(News::FlowChanged(cookie)),
            Update::Added(cookie) if cookie & OURS.1 != OURS.0 => tell(News::Stranger),
            // Another Bothy's.
            Update::Added(_) => {}
        }
    }
    Ok(())
}
