//! The hub: a centre that boxes call home to, and through which their APIs are met.
//!
//! * `registry` which boxes are known, and which are there. Pure
//! * `headers`  which headers pass, and how. Pure
//! * `hand`     when a box is handed its document. Pure
//! * `trust`    who is believed to be a box
//! * `bodies`   what streams through
//! * `talk`     what the hub itself says to a box
//! * `shelf`    the documents of desired state that lie here for boxes
//! * `bootstrap` the server that boxes are bootstrapped by
//!
//! ```text
//! box --TCP--> accept --TLS, the hub is its client--> HTTP/2, the hub asks --health answered--> there, until the line ends
//! client --HTTPS--> `api::hub` --relay--> the box's line --> its API, as the hub's client certificate may
//! operator --> `shelf` --by the box's line--> its API: it says which document counts there, and is handed another if that is not it
//! ```
//! Keeps the documents, and else no state but who is there and how far boxes were that bootstrapped, and orchestrates nothing. Never:
//! who may drive which box (`api::hub`, by `access`), and calls nobody: what is relayed goes over the line that the box opened, and
//! nowhere else.

mod bodies;
pub mod bootstrap;
mod hand;
pub mod headers;
pub mod registry;
mod shelf;
mod talk;
mod trust;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use camino::Utf8PathBuf;
use hyper::{Request, Response, StatusCode, Uri, client::conn::http2, http::uri::PathAndQuery};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{ClientConfig, pki_types::ServerName};
use smol_str::SmolStr;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub use self::{
    bodies::{Answered, Broken, Given},
    shelf::Head,
};
use self::{
    bodies::{Moved, Sent},
    headers::Place,
    registry::{Claim, Enrolled, Registry, Said, View},
    shelf::Shelf,
    talk::ask,
};
use crate::{
    access::certificate::Certificate,
    model::{
        error::{Fault, Result},
        handout::{DEFAULT, Handout, Whom},
        health::{Condition, ConditionState},
        time::{Clock, Dice},
    },
    store::Store,
    ztp::report::Report,
};

/// Boxes that are in the handshake at one time.
const AT_THE_DOOR: usize = 128;
/// And of one address: boxes behind one NAT.
const OF_ONE: usize = 32;
/// Connections that wait for their turn; more wait to be accepted.
const WAITING: usize = 1024;
/// And of one address: the others of it are hung up on, and come again later.
const WAITING_OF_ONE: usize = 512;
/// So long; a box has given up soon after (`limits.header_timeout_s` there).
const TURN: Duration = Duration::from_secs(8);
/// From a connection's begin until the box has answered for the first time.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// A line that is quiet is tried so often, and is over when no answer comes.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(20);
/// Requests under way to one box at one time.
const PLACES: usize = 32;
/// What of an answer is under way to a client that does not read.
const STREAM: u32 = 128 * 1024;
/// A box has begun its answer so long after the last of the request has come.
const ANSWER: Duration = Duration::from_secs(120);
/// Boxes that are handed a document at one time.
const HANDS: usize = 16;
/// Certificates and key are read again for connections so long after.
const FRESH: Duration = Duration::from_secs(10);

pub struct Settings {
    /// What the hub shows to boxes.
    pub certificate: Utf8PathBuf,
    pub key: Utf8PathBuf,
    /// Who vouches for boxes that are not pinned; empty: nobody.
    pub ca: Utf8PathBuf,
    pub boxes: Vec<Enrolled>,
}

/// What of the house a hub has to do with.
pub struct Around {
    pub clock: Arc<dyn Clock>,
    pub dice: Arc<dyn Dice>,
    pub store: Store,
}

/// Why a request did not get its answer from the box.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is not there now.
    Away(String),
    Busy(String),
    Slow(String),
    Broken(String),
}

type Sender = http2::SendRequest<Sent>;
type Connection = http2::Connection<TokioIo<TlsStream<TcpStream>>, Sent, Tasks>;

/// What runs for one line: hyper gives the connection itself to a task of its own, which has to end with the line.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, work: F) {
        let mut all = lock(&self.0);
        while all.try_join_next().is_some() {}
        all.spawn(work);
    }
}

/// The way to a box that is there.
#[derive(Clone)]
struct Line {
    to: Sender,
    places: Arc<Semaphore>,
    cut: Arc<Notify>,
    /// Another document may lie here for it.
    news: Arc<Notify>,
}

pub struct Hub {
    registry: Arc<Mutex<Registry<Line>>>,
    shelf: Arc<Shelf>,
    hands: Semaphore,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    settings: Settings,
    tls: Mutex<(Instant, Arc<ClientConfig>)>,
    at: SocketAddr,
    door: Mutex<Option<JoinHandle<()>>>,
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Takes boxes in. Has to be called inside the runtime.
    pub fn start(listener: TcpListener, mut settings: Settings, around: Around) -> Result<Arc<Hub>> {
        let Around { clock, dice, store } = around;
        let (shelf, hands) = (Arc::new(Shelf::open(store)?), Semaphore::new(HANDS));
        let registry = Arc::new(Mutex::new(Registry::new(std::mem::take(&mut settings.boxes))));
        let at = listener.local_addr().map_err(|e| Fault::transient("the hub's address is not known").with_source(e))?;
        let tls = Mutex::new((Instant::now(), tls(&settings, &registry)?));
        let hub = Arc::new(Hub { registry, shelf, hands, clock, dice, settings, tls, at, door: Mutex::default() });
        *lock(&hub.door) = Some(tokio::spawn(accept(hub.clone(), listener)));
        Ok(hub)
    }

    /// Nobody is taken in any more, and all lines end.
    pub fn stop(&self) {
        if let Some(door) = lock(&self.door).take() {
            door.abort();
        }
        self.enrol(Vec::new());
    }

    /// These boxes are known from now on; whoever is not any more is cut off.
    pub fn enrol(&self, boxes: Vec<Enrolled>) {
        let cut = self.registry().configure(boxes);
        cut.iter().for_each(|l| l.cut.notify_one());
        self.news();
    }

    /// Each box that is there is looked at: it may be handed another document now.
    fn news(&self) {
        self.registry().lines().iter().for_each(|l| l.news.notify_one());
    }

    fn registry(&self) -> MutexGuard<'_, Registry<Line>> {
        lock(&self.registry)
    }

    pub fn boxes(&self) -> Vec<View> {
        self.registry().all()
    }

    pub fn view(&self, serial: &str) -> Option<View> {
        self.registry().view(serial)
    }

    /// The documents that lie here, and which boxes each is for.
    pub fn documents(&self) -> Vec<(Head, Vec<View>)> {
        let mut of: Vec<(Head, Vec<View>)> = self.shelf.all().into_iter().map(|h| (h, Vec::new())).collect();
        for v in self.boxes() {
            let meant = self.meant_for(&v);
            if let Some((_, views)) = of.iter_mut().find(|(h, _)| Some(&h.whom) == meant.as_ref().map(|m| &m.whom)) {
                views.push(v);
            }
        }
        of
    }

    /// The document that a box is handed.
    pub fn meant_for(&self, v: &View) -> Option<Head> {
        self.shelf.meant_for(&v.enrolled.serial, &v.enrolled.group)
    }

    /// Blocks. From now on the boxes that it is for are handed this document.
    pub fn put_document(&self, whom: Whom, content: Vec<u8>, by: SmolStr) -> Result<Head> {
        let is_known = match &whom {
            Whom::Box(serial) => self.view(serial).is_some(),
            Whom::Group(name) => name == DEFAULT || self.boxes().iter().any(|v| v.enrolled.group == *name),
        };
        if !is_known {
            return Err(Fault::not_found(format!("there is no {whom} here (hub.box)")));
        }
        let head = self.shelf.put(whom, content, self.clock.now(), by)?;
        self.news();
        Ok(head)
    }

    /// Blocks. What boxes have of it stays with them.
    pub fn remove_document(&self, whom: &Whom) -> Result<()> {
        if !self.shelf.remove(whom)? {
            return Err(Fault::not_found(format!("no document lies here for {whom}")));
        }
        self.news();
        Ok(())
    }

    /// Blocks.
    pub fn document(&self, whom: &Whom) -> Result<Handout> {
        self.shelf.content(whom)
    }

    /// How far a box is that bootstraps, by its own word.
    pub fn told(&self, serial: &str, report: Report) {
        self.registry().told(serial, self.clock.now(), report);
    }

    /// For the health page. A box that is away is no fault of the hub's.
    pub fn condition(&self) -> Condition {
        let (there, all) = self.registry().count();
        Condition::new("hub", ConditionState::Ok, format!("{there} of {all} enrolled boxes are connected, at {}", self.at))
    }

    /// One request to a box and its answer, piece by piece. `path`: as the box has it.
    pub async fn relay(
        &self,
        serial: &str,
        place: &Place,
        path: PathAndQuery,
        request: Request<Given>,
    ) -> Result<Response<Answered>, Failed> {
        let away = || Failed::Away(format!("box '{serial}' is not connected to this hub"));
        let mut line = self.registry().line(serial).ok_or_else(away)?;
        let busy = || Failed::Busy(format!("{PLACES} requests to box '{serial}' are under way"));
        let held = line.places.clone().try_acquire_owned().map_err(|_| busy())?;
        let (mut head, body) = request.into_parts();
        headers::to_box(&mut head.headers, place).map_err(|f| Failed::Broken(f.detail()))?;
        head.uri = uri(serial, path).map_err(|f| Failed::Broken(f.detail()))?;
        head.version = hyper::Version::HTTP_2;
        let moved = Moved::now();
        let request = Request::from_parts(head, Sent { inner: body, moved: moved.clone() });
        let mut answer = pin!(line.to.send_request(request));
        let response = loop {
            let until = moved.last() + ANSWER;
            tokio::select! {
                r = answer.as_mut() => break r,
                () = tokio::time::sleep_until(until.into()) => {
                    if moved.last() + ANSWER <= until {
                        return Err(Failed::Slow(format!("box '{serial}' has not answered within {} s", ANSWER.as_secs())));
                    }
                }
            }
        };
        let mut response = response.map_err(|e| match e.is_canceled() {
            // What was never sent can be sent again.
            true => away(),
            false => Failed::Broken(format!("the line to box '{serial}' broke: {e}")),
        })?;
        self.registry().heard(serial, self.clock.now(), None);
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(Failed::Broken(stranger(serial)));
        }
        headers::from_box(response.headers_mut(), place);
        Ok(response.map(|inner| Answered { inner, _place: held }))
    }

    /// The hub's side of TLS as its files are now.
    fn tls(&self) -> Arc<ClientConfig> {
        let mut now = lock(&self.tls);
        if now.0.elapsed() > FRESH {
            match tls(&self.settings, &self.registry) {
                Ok(config) => now.1 = config,
                Err(fault) => tracing::warn!(%fault, "the hub's certificates cannot be used; the ones before stay"),
            }
            now.0 = Instant::now();
        }
        now.1.clone()
    }
}

/// What of a box's answer it means that the box does not know the hub.
fn stranger(serial: &str) -> String {
    format!("box '{serial}' does not know this hub: it needs a client with the hub's certificate (bothy client create, on the box)")
}

fn tls(s: &Settings, registry: &Arc<Mutex<Registry<Line>>>) -> Result<Arc<ClientConfig>> {
    let registry = registry.clone();
    trust::client(&s.certificate, &s.key, &s.ca, Box::new(move |c: &Certificate| lock(&registry).claim(c)))
}

fn uri(serial: &str, path: PathAndQuery) -> Result<Uri> {
    let made = Uri::builder().scheme("https").authority(serial).path_and_query(path).build();
    made.map_err(|e| Fault::invalid(format!("box '{serial}' cannot be asked for this")).with_source(e))
}

/// How many of each address are there that are not boxes yet, and whose turn it is: one of them cannot keep all others out.
type Guests = Arc<Mutex<HashMap<IpAddr, (usize, Arc<Semaphore>)>>>;

struct Guest {
    all: Guests,
    from: IpAddr,
    turns: Arc<Semaphore>,
}

impl Guest {
    fn let_in(all: &Guests, from: IpAddr) -> Option<Guest> {
        let mut counts = lock(all);
        let (count, turns) = counts.entry(from).or_insert_with(|| (0, Arc::new(Semaphore::new(OF_ONE))));
        (*count < WAITING_OF_ONE).then(|| {
            *count += 1;
            Guest { all: all.clone(), from, turns: turns.clone() }
        })
    }

    /// Its turn among those of its address, and then among all.
    async fn turn(&self, door: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let both = async { Some((self.turns.clone().acquire_owned().await.ok()?, door.clone().acquire_owned().await.ok()?)) };
        timeout(TURN, both).await.ok().flatten()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = lock(&self.all);
        if let Some((count, _)) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

async fn accept(hub: Arc<Hub>, listener: TcpListener) {
    let (waiting, door) = (Arc::new(Semaphore::new(WAITING)), Arc::new(Semaphore::new(AT_THE_DOOR)));
    let (mut all, guests) = (JoinSet::new(), Guests::default());
    loop {
        let Ok(place) = waiting.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, from)) => match Guest::let_in(&guests, from.ip()) {
                Some(guest) => drop(all.spawn(meet(hub.clone(), tcp, from, (place, guest, door.clone())))),
                None => tracing::debug!(%from, "more than {WAITING_OF_ONE} connections of one address wait"),
            },
            Err(e) => {
                // Out of file descriptors, most likely.
                tracing::warn!(error = %e, "the hub cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while all.try_join_next().is_some() {}
    }
}

/// One box from its call to the end of its line.
async fn meet(hub: Arc<Hub>, tcp: TcpStream, from: SocketAddr, place: (OwnedSemaphorePermit, Guest, Arc<Semaphore>)) {
    let Some(turn) = place.1.turn(&place.2).await else {
        return tracing::debug!(%from, "its turn has not come");
    };
    let met = timeout(HANDSHAKE, shake(&hub, tcp)).await.unwrap_or_else(|_| Err("it took too long".into()));
    let Met { serial, pin, to, connection, tasks, said } = match met {
        Ok(m) => m,
        Err(why) => return tracing::warn!(%from, why, "a box that called is not taken in"),
    };
    drop((turn, place));
    let line = Line { to: to.clone(), places: Arc::new(Semaphore::new(PLACES)), cut: Arc::default(), news: Arc::default() };
    let (cut, news) = (line.cut.clone(), line.news.clone());
    let arrived = hub.registry().arrived(&serial, pin, (from, hub.clock.now()), said, line);
    let Some((generation, before)) = arrived else {
        return tracing::warn!(serial = %serial, %from, "a box that called is not taken in: it is not enrolled so any more");
    };
    tracing::info!(serial = %serial, %from, again = before.is_some(), "a box is connected");
    // It calls anew, so it has lost that one.
    if let Some(l) = before {
        l.cut.notify_one();
    }
    let why = tokio::select! {
        r = connection => r.err().map_or_else(|| "it hung up".to_owned(), |e| e.to_string()),
        () = talk::talk(&hub, &serial, &to, &news) => String::new(),
        () = cut.notified() => "another connection took its place, or it is not enrolled so any more".to_owned(),
    };
    hub.registry().left(&serial, generation);
    lock(&tasks.0).abort_all();
    tracing::info!(serial = %serial, why, "a box is gone");
}

/// A box that has called and answered.
struct Met {
    serial: SmolStr,
    /// SHA-256 of its certificate.
    pin: [u8; 32],
    to: Sender,
    connection: Connection,
    tasks: Tasks,
    said: Said,
}

/// TLS, HTTP/2, and a first answer: only then has the box believed the hub, too.
async fn shake(hub: &Arc<Hub>, tcp: TcpStream) -> Result<Met, String> {
    let _ = tcp.set_nodelay(true);
    let name = ServerName::try_from("box").map_err(|e| e.to_string())?;
    let tls = TlsConnector::from(hub.tls()).connect(name, tcp).await.map_err(|e| e.to_string())?;
    let (_, session) = tls.get_ref();
    if session.alpn_protocol() != Some(b"h2") {
        return Err("it does not speak HTTP/2".into());
    }
    let shown = session.peer_certificates().and_then(<[_]>::first).map(|c| Certificate::read(c));
    let shown = shown.ok_or("it shows no certificate")?;
    let pin = shown.fingerprint;
    let serial = match hub.registry().claim(&shown) {
        Claim::Pinned(serial) | Claim::IfVouched(serial) => serial,
        Claim::Stranger(why) => return Err(why),
    };
    let tasks = Tasks::default();
    let (to, mut connection): (Sender, Connection) = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        // Each of those under way may stand still without the others: of all places, and of the look.
        .initial_stream_window_size(STREAM)
        .initial_connection_window_size(STREAM * (PLACES as u32 + 1))
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_ANSWER)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(tls))
        .await
        .map_err(|e| doubts(&serial, &e))?;
    let said = tokio::select! {
        said = ask(&serial, to.clone()) => said.map_err(|why| doubts(&serial, &why))?,
        r = &mut connection => return Err(r.err().map_or_else(|| doubts(&serial, &"it hung up"), |e| doubts(&serial, &e))),
    };
    Ok(Met { serial, pin, to, connection, tasks, said })
}

/// In TLS 1.3 the hub is done before the box has looked at its certificate: a refusal is the end of the connection.
fn doubts(serial: &str, why: &dyn std::fmt::Display) -> String {
    format!("box '{serial}' does not speak on: {why}; it may not believe the hub's certificate")
}
