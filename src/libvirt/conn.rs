//! The connections to libvirt: opened, watched, lost and opened again by one keeper thread.
//!
//! ```text
//!            open, subscribe                     closed, keepalive, a failed call
//!   Down ----------------------> Up(epoch n) --------------------------------------> Down
//!    ^  \ fails: wait 0.1 .. 2 s                (both connections are dropped)
//!    `--'  (a caller who asks shortens the wait)
//! ```
//!
//! Two connections, because libvirtd serves five requests of one at a time: `act` changes guests,
//! `look` asks and carries the events. Owns the epoch, which tells one pair from the next. Never:
//! waits for libvirt on a caller's thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use virt::{connect::Connect, error::Error, sys};

use super::{
    event::{self, Seen, Subscription},
    map,
};
use crate::model::{
    error::{Fault, Kind, Result},
    id::VnfcId,
};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Callers may not make us hammer a dead libvirtd more often than this.
const LEAST_PAUSE: Duration = Duration::from_millis(250);
/// What a caller waits for a connection that is about to be there (libvirtd restarting).
const PATIENCE: Duration = Duration::from_secs(2);
/// A libvirtd that answers nothing for 5 s, 3 times, is given up.
const KEEPALIVE: (i32, u32) = (5, 3);

/// A connection whose end cannot panic: the binding's `drop` does when libvirt refuses to let go.
pub struct Conn(Option<Connect>);

impl Conn {
    fn open(uri: &str) -> std::result::Result<Self, Error> {
        Ok(Conn(Some(Connect::open(Some(uri))?)))
    }
    pub fn get(&self) -> &Connect {
        match &self.0 {
            Some(c) => c,
            // Only `drop` takes it out.
            None => unreachable!("a connection in use was dropped"),
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let inner = self.0.take();
        if catch_unwind(AssertUnwindSafe(move || drop(inner))).is_err() {
            tracing::warn!("libvirt did not close a connection cleanly");
        }
    }
}

/// Which of the two connections a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Act,
    Look,
}

/// News for whoever dispatches events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    Guest(Seen),
    /// A guest that ran was ended by us.
    Ended(VnfcId),
    Up,
    Down,
}

struct Pair {
    act: Arc<Conn>,
    look: Arc<Conn>,
}

#[derive(Default)]
struct State {
    up: Option<Pair>,
    /// Counts pairs; a report about an older one is stale.
    epoch: u64,
    /// The pair of this epoch is known to be dead.
    lost: bool,
    /// Why there is no connection.
    why: Option<(Kind, String)>,
    /// Somebody wants a connection now.
    asked: bool,
    stop: bool,
    ended: bool,
}

struct Shared {
    uri: String,
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn wait<'a>(&self, s: MutexGuard<'a, State>, for_: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(s, for_).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Handle to the keeper. Dropping it closes the connections.
pub struct Link {
    shared: Arc<Shared>,
}

impl Link {
    /// Starts the keeper, which connects in the background. `news` ends when the link is dropped.
    pub fn start(uri: String, news: mpsc::Sender<News>) -> Result<Self> {
        let shared = Arc::new(Shared { uri, state: Mutex::default(), changed: Condvar::new() });
        let keeper = Arc::clone(&shared);
        thread::Builder::new()
            .name("libvirt-keeper".into())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(|| keep(&keeper, &news))).is_err() {
                    tracing::error!("the keeper of libvirt's connections panicked");
                }
                keeper.lock().ended = true;
                keeper.changed.notify_all();
            })
            .map_err(|e| Fault::transient("no thread for libvirt: the host is out of threads or memory").with_source(e))?;
        Ok(Link { shared })
    }

    /// The shared half that calls on other threads use.
    pub fn user(&self) -> User {
        User { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut s = self.shared.lock();
        s.stop = true;
        self.shared.changed.notify_all();
        // Long enough for a clean end; a keeper stuck in libvirt is left to itself.
        let until = Instant::now() + PATIENCE;
        while !s.ended && Instant::now() < until {
            s = self.shared.wait(s, Duration::from_millis(100));
        }
    }
}

#[derive(Clone)]
pub struct User {
    shared: Arc<Shared>,
}

impl User {
    /// Calls `f` with a connection. When the call fails because the connection died, the keeper
    /// hears of it and the caller gets `Transient`.
    pub fn with<T>(&self, side: Side, until: Instant, f: impl FnOnce(&Connect) -> Result<T>) -> Result<T> {
        let (conn, epoch) = self.get(side, until)?;
        let result = f(conn.get());
        if result.is_err() && matches!(conn.get().is_alive(), Ok(false)) {
            let mut s = self.shared.lock();
            if s.epoch == epoch {
                s.lost = true;
                self.shared.changed.notify_all();
            }
        }
        result
    }

    fn get(&self, side: Side, until: Instant) -> Result<(Arc<Conn>, u64)> {
        let until = until.min(Instant::now() + PATIENCE);
        let mut s = self.shared.lock();
        loop {
            if let Some(pair) = s.up.as_ref().filter(|_| !s.lost) {
                let conn = match side {
                    Side::Act => &pair.act,
                    Side::Look => &pair.look,
                };
                return Ok((Arc::clone(conn), s.epoch));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || s.stop {
                return Err(match &s.why {
                    Some((kind, why)) => Fault::new(*kind, why.clone()),
                    None => Fault::transient(format!("libvirt does not answer at {}; see whether libvirtd runs", self.shared.uri)),
                });
            }
            s.asked = true;
            self.shared.changed.notify_all();
            s = self.shared.wait(s, left);
        }
    }
}

fn keep(shared: &Arc<Shared>, news: &mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        if shared.lock().stop {
            return;
        }
        let epoch = shared.lock().epoch + 1;
        match connect(shared, epoch, news) {
            Ok((pair, subscription)) => {
                pause = FIRST_PAUSE;
                let mut s = shared.lock();
                // `lost` may be set already: the close callback of this very pair can be that fast.
                s.up = Some(pair);
                s.why = None;
                shared.changed.notify_all();
                drop(s);
                let _ = news.send(News::Up);
                let mut s = shared.lock();
                while !s.lost && !s.stop {
                    s = shared.changed.wait(s).unwrap_or_else(PoisonError::into_inner);
                }
                let pair = s.up.take();
                s.why = Some((
                    Kind::Transient,
                    "the connection to libvirt was lost and is not back yet; see whether libvirtd runs (systemctl status libvirtd)".into(),
                ));
                drop(s);
                let _ = news.send(News::Down);
                drop(subscription);
                drop(pair);
            }
            Err(why) => {
                tracing::warn!(uri = %shared.uri, error = ?why, "libvirt cannot be reached");
                let mut s = shared.lock();
                s.why = Some((why.kind(), why.text().to_string()));
                s.asked = false;
                let since = Instant::now();
                shared.changed.notify_all();
                while !s.stop {
                    let enough = if s.asked { LEAST_PAUSE.min(pause) } else { pause };
                    let left = enough.saturating_sub(since.elapsed());
                    if left.is_zero() {
                        break;
                    }
                    s = shared.wait(s, left);
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Opens both connections and subscribes on `look`, so that a listing made after `Up` and the events
/// together miss nothing.
fn connect(shared: &Arc<Shared>, epoch: u64, news: &mpsc::Sender<News>) -> Result<(Pair, Subscription)> {
    let refused = |e: Error| {
        Fault::transient(format!("libvirt cannot be reached at {} ({}); see whether libvirtd runs", shared.uri, e.message().trim()))
    };
    event::start_loop().map_err(map::fault)?;
    {
        let mut s = shared.lock();
        s.epoch = epoch;
        s.lost = false;
    }
    let look = Arc::new(Conn::open(&shared.uri).map_err(refused)?);
    let act = Arc::new(Conn::open(&shared.uri).map_err(refused)?);
    for conn in [&look, &act] {
        // Not to be had, nor needed, when QEMU's driver runs in this process.
        let _ = conn.get().set_keep_alive(KEEPALIVE.0, KEEPALIVE.1);
    }
    let (shared, news) = (Arc::clone(shared), news.clone());
    let subscription = Subscription::new(
        Arc::clone(&look),
        Box::new(move |seen| {
            let Seen::Closed { reason } = seen else {
                let _ = news.send(News::Guest(seen));
                return;
            };
            // Our own closing is no loss.
            if reason != sys::VIR_CONNECT_CLOSE_REASON_CLIENT {
                let mut s = shared.lock();
                if s.epoch == epoch {
                    s.lost = true;
                    shared.changed.notify_all();
                }
            }
        }),
    )
    .map_err(map::fault)?;
    Ok((Pair { act, look }, subscription))
}
