//! The OVSDB client (RFC 7047 over a UNIX socket or TCP).
//!
//! Owns: one connection, the one thread that reads it, the mirror of the watched tables, the
//! requests under way and the waiting for ovs-vswitchd. Never: knows what Bothy wants on the
//! switch, never polls.
//!
//! ```text
//!         connect + monitor answered
//!   Down ----------------------------> Up(epoch) --- update ---> mirror changed, listeners told
//!     ^                                  |
//!     +---- EOF, bad message, error -----+   requests under way fail as Transient;
//!           back-off 50 ms .. 2 s            each new Up has a new epoch and a new mirror
//! ```

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    frame::Framer,
    rows::{Mirror, RowChange, monitor_requests},
    txn::{Outcome, Txn},
};
use crate::model::{
    error::{Fault, Result},
    sdn::SwitchAddr,
};

const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(2);
/// A server that does not take our bytes for this long is given up and connected to again.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
const MONITOR_ID: &str = "mirror";
/// A host that does not take up a connection for this long is given up for the moment.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// A server over TCP that is silent for this long is asked whether it is there, and once more as long, given up.
const SILENCE: Duration = Duration::from_secs(15);
const ALIVE_ID: &str = "alive";

/// What listeners are told. After `Up` they read the mirror anew: nothing that happened while the
/// connection was down is told one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Up { epoch: u64 },
    Down { why: String },
    Rows(Vec<RowChange>),
}

/// Hears of changes until it answers no.
type Listener = Box<dyn Fn(&Change) -> bool + Send>;

#[derive(Debug, Clone)]
enum Link {
    Down { why: String },
    Up,
}

struct State {
    link: Link,
    epoch: u64,
    mirror: Mirror,
    next_id: u64,
    /// Requests under way; `None` until answered.
    pending: HashMap<u64, Option<Result<Value>>>,
    listeners: Vec<Listener>,
    stop: bool,
}

struct Shared {
    at: SwitchAddr,
    state: Mutex<State>,
    woken: Condvar,
    /// Apart from the state, so that a slow write never holds up the reader.
    writer: Mutex<Option<Stream>>,
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn open(at: &SwitchAddr) -> std::io::Result<Stream> {
        let s = match at {
            SwitchAddr::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            SwitchAddr::Tcp(at) => Stream::Tcp(TcpStream::connect_timeout(at, CONNECT_LIMIT)?),
        };
        match &s {
            Stream::Unix(s) => s.set_write_timeout(Some(WRITE_LIMIT))?,
            Stream::Tcp(s) => {
                s.set_write_timeout(Some(WRITE_LIMIT))?;
                s.set_read_timeout(Some(SILENCE))?;
                s.set_nodelay(true)?;
            }
        }
        Ok(s)
    }
    fn try_clone(&self) -> std::io::Result<Stream> {
        Ok(match self {
            Stream::Unix(s) => Stream::Unix(s.try_clone()?),
            Stream::Tcp(s) => Stream::Tcp(s.try_clone()?),
        })
    }
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Stream::Unix(s) => s.write_all(bytes),
            Stream::Tcp(s) => s.write_all(bytes),
        }
    }
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Unix(s) => s.read(buf),
            Stream::Tcp(s) => s.read(buf),
        }
    }
    fn hang_up(&self) {
        let _ = match self {
            Stream::Unix(s) => s.shutdown(std::net::Shutdown::Both),
            Stream::Tcp(s) => s.shutdown(std::net::Shutdown::Both),
        };
    }
}

/// A client. Dropping it closes the connection and ends the thread.
pub struct Ovsdb {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

impl Ovsdb {
    /// Starts connecting to the database at `socket` and returns at once.
    pub fn open(socket: impl Into<PathBuf>) -> Result<Self> {
        let socket: PathBuf = socket.into();
        Self::connect(SwitchAddr::Unix(socket.to_string_lossy().into_owned()))
    }

    /// The same for a database that may be elsewhere.
    pub fn connect(at: SwitchAddr) -> Result<Self> {
        let shared = Arc::new(Shared {
            at,
            state: Mutex::new(State {
                link: Link::Down { why: "not connected yet".into() },
                epoch: 0,
                mirror: Mirror::default(),
                next_id: 0,
                pending: HashMap::new(),
                listeners: Vec::new(),
                stop: false,
            }),
            woken: Condvar::new(),
            writer: Mutex::new(None),
        });
        let reader = {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name("ovsdb".into())
                .spawn(move || shared.run())
                .map_err(|e| Fault::transient("no thread for the Open vSwitch connection").with_source(e))?
        };
        Ok(Ovsdb { shared, reader: Some(reader) })
    }

    pub fn at(&self) -> &SwitchAddr {
        &self.shared.at
    }

    /// Changes from now on; the first message is `Up` when the link is up already.
    pub fn subscribe(&self) -> mpsc::Receiver<Change> {
        let (tx, rx) = mpsc::channel();
        self.listen(move |c| tx.send(c.clone()).is_ok());
        rx
    }

    /// As `subscribe`; `hear` is called by the reader and must only post what it hears.
    pub fn listen(&self, hear: impl Fn(&Change) -> bool + Send + 'static) {
        let mut s = self.shared.lock();
        let more = if let Link::Up = s.link { hear(&Change::Up { epoch: s.epoch }) } else { true };
        if more {
            s.listeners.push(Box::new(hear));
        }
    }

    /// Reads the mirror; `Transient` while there is no connection. `f` must be short: the reader
    /// waits for it.
    pub fn view<T>(&self, f: impl FnOnce(&Mirror) -> T) -> Result<T> {
        let s = self.shared.lock();
        match &s.link {
            Link::Up => Ok(f(&s.mirror)),
            Link::Down { why } => Err(self.shared.down(why)),
        }
    }

    /// Waits until `f` finds what it looks for in the mirror, over reconnects if need be.
    pub fn wait_for<T>(&self, until: Instant, what: &str, mut f: impl FnMut(&Mirror) -> Option<T>) -> Result<T> {
        let mut s = self.shared.lock();
        loop {
            if let Link::Up = s.link
                && let Some(found) = f(&s.mirror)
            {
                return Ok(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(match &s.link {
                    Link::Up => Fault::transient(what),
                    Link::Down { why } => self.shared.down(why),
                });
            }
            s = self.shared.woken.wait_timeout(s, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the database has answered the monitor request.
    pub fn wait_up(&self, until: Instant) -> Result<()> {
        self.wait_for(until, "the Open vSwitch database is empty: was it initialised ('ovs-vsctl init')?", |m| m.root().map(|_| ()))
    }

    /// Runs a transaction. A lost connection or a passed deadline is `Transient`, and whether it
    /// took effect is then unknown: look again, then decide.
    pub fn transact(&self, txn: &Txn, until: Instant) -> Result<Outcome> {
        self.wait_up(until)?;
        let answer = self.shared.call("transact", txn.params(), until).map_err(|e| e.context(txn.what()))?;
        txn.check(&answer)
    }

    /// Runs a transaction and waits until ovs-vswitchd has applied it.
    pub fn apply(&self, txn: Txn, until: Instant) -> Result<()> {
        self.wait_up(until)?;
        let root = self.view(|m| m.root().map(|(id, _)| id))?.ok_or_else(|| Fault::transient("the Open vSwitch database is empty"))?;
        let txn = txn.with_next_cfg(root);
        let outcome = self.transact(&txn, until)?;
        let wanted = outcome.next_cfg.ok_or_else(|| Fault::bug(format!("{}: no next_cfg in the answer", txn.what())))?;
        let late = format!("{}: ovs-vswitchd has not applied the change in time: is it running?", txn.what());
        self.wait_for(until, &late, |m| m.root().filter(|(_, r)| r.cur_cfg >= wanted).map(|_| ()))
    }
}

impl Drop for Ovsdb {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.hang_up();
        self.shared.woken.notify_all();
        if let Some(t) = self.reader.take() {
            let _ = t.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn down(&self, why: &str) -> Fault {
        Fault::transient(format!("Open vSwitch's database at {} does not answer ({why}): check that ovsdb-server runs", self.at))
    }

    fn write(&self, message: &Value) -> std::io::Result<()> {
        let mut w = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let stream = w.as_mut().ok_or(std::io::ErrorKind::NotConnected)?;
        let sent = stream.write_all(message.to_string().as_bytes());
        if sent.is_err() {
            // Half a message may be out: this connection is of no use any more.
            stream.hang_up();
        }
        sent
    }

    fn hang_up(&self) {
        if let Some(s) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            s.hang_up();
        }
    }

    fn call(&self, method: &str, params: Value, until: Instant) -> Result<Value> {
        let id = {
            let mut s = self.lock();
            s.next_id += 1;
            let id = s.next_id;
            s.pending.insert(id, None);
            id
        };
        if let Err(e) = self.write(&json!({"method": method, "params": params, "id": id})) {
            self.lock().pending.remove(&id);
            return Err(self.down("the request could not be sent").with_source(e));
        }
        let mut s = self.lock();
        loop {
            match s.pending.remove(&id) {
                Some(Some(answer)) => return answer,
                Some(None) => {}
                // Cleared with the connection it was sent on.
                None => return Err(self.down("the connection was lost before the answer")),
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Fault::transient("the Open vSwitch database did not answer in time"));
            }
            s.pending.insert(id, None);
            s = self.woken.wait_timeout(s, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The reader thread: one session after the other until stopped.
    fn run(&self) {
        let mut backoff = FIRST_BACKOFF;
        loop {
            let epoch_before = self.lock().epoch;
            let fault = match self.session() {
                Ok(()) => Fault::transient("the server closed the connection"),
                Err(f) => f,
            };
            self.hang_up();
            let mut s = self.lock();
            if s.stop {
                return;
            }
            let was_up = s.epoch != epoch_before;
            s.link = Link::Down { why: fault.text().to_owned() };
            s.pending.clear();
            if was_up {
                backoff = FIRST_BACKOFF;
                tracing::warn!(at = %self.at, why = fault.text(), "Open vSwitch database lost");
                tell(&mut s, &Change::Down { why: fault.text().to_owned() });
            }
            self.woken.notify_all();
            let deadline = Instant::now() + backoff;
            while !s.stop && Instant::now() < deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                s = self.woken.wait_timeout(s, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            if s.stop {
                return;
            }
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
    }

    fn session(&self) -> Result<()> {
        let io = |what: &'static str| move |e: std::io::Error| Fault::transient(format!("{what}: {e}"));
        let mut stream = Stream::open(&self.at).map_err(io("connect"))?;
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.try_clone().map_err(io("clone the socket"))?);
        if self.lock().stop {
            return Ok(());
        }
        let monitor = json!({"method": "monitor", "params": ["Open_vSwitch", MONITOR_ID, monitor_requests()], "id": MONITOR_ID});
        self.write(&monitor).map_err(io("send"))?;
        let mut framer = Framer::default();
        let mut buf = vec![0u8; 64 << 10];
        let mut asked = false;
        loop {
            let n = match stream.read(&mut buf) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock && !asked => {
                    asked = true;
                    self.write(&json!({"method": "echo", "params": [], "id": ALIVE_ID})).map_err(io("send"))?;
                    continue;
                }
                Err(e) => return Err(io("read")(e)),
            };
            asked = false;
            framer.feed(buf.get(..n).unwrap_or_default());
            while let Some(bytes) = framer.next_message()? {
                let message = serde_json::from_slice(&bytes).map_err(|e| Fault::transient(format!("not JSON: {e}")))?;
                self.take_in(message)?;
            }
        }
    }

    fn take_in(&self, mut message: Value) -> Result<()> {
        let id = message.get("id").cloned().unwrap_or(Value::Null);
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            let params = message.get("params");
            return match method {
                "echo" => self
                    .write(&json!({"id": id, "result": params, "error": null}))
                    .map_err(|e| Fault::transient(format!("answer an echo: {e}"))),
                "update" => match params.and_then(|p| p.get(1)) {
                    Some(updates) => self.update(updates),
                    None => Err(Fault::transient("an update without its tables")),
                },
                _ => Ok(()),
            };
        }
        let error = message.get("error").filter(|e| !e.is_null()).cloned();
        let result = message.get_mut("result").map(Value::take).unwrap_or(Value::Null);
        if id == MONITOR_ID {
            return match error {
                Some(e) => Err(Fault::transient(format!("the database cannot be watched: {e}"))),
                None => self.up(&result),
            };
        }
        let mut s = self.lock();
        // An answer nobody waits for any more (its deadline passed) is dropped.
        if let Some(slot) = id.as_u64().and_then(|n| s.pending.get_mut(&n)) {
            *slot = Some(match error {
                Some(e) => Err(Fault::bug(format!("the Open vSwitch database refused the request: {e}"))),
                None => Ok(result),
            });
        }
        self.woken.notify_all();
        Ok(())
    }

    fn up(&self, initial: &Value) -> Result<()> {
        let mut mirror = Mirror::default();
        mirror.apply(initial).map_err(unreadable)?;
        let mut s = self.lock();
        s.mirror = mirror;
        s.link = Link::Up;
        s.epoch += 1;
        let epoch = s.epoch;
        tell(&mut s, &Change::Up { epoch });
        self.woken.notify_all();
        tracing::info!(at = %self.at, epoch, "Open vSwitch database connected");
        Ok(())
    }

    fn update(&self, updates: &Value) -> Result<()> {
        let mut s = self.lock();
        let changes = s.mirror.apply(updates).map_err(unreadable)?;
        tell(&mut s, &Change::Rows(changes));
        self.woken.notify_all();
        Ok(())
    }
}

fn tell(s: &mut State, change: &Change) {
    s.listeners.retain(|hear| hear(change));
}

fn unreadable(u: super::rows::Unreadable) -> Fault {
    Fault::transient(format!("column {} of table {} is not as in Open vSwitch 2.10 or later", u.column, u.table.name()))
}

#[cfg(test)]
#[path = "ovsdb_tests.rs"]
mod tests;
