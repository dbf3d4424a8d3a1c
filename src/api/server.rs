//! Sockets: accept loops over TLS and the UNIX socket, limits per connection, drain.
//!
//! Owns: how many clients there may be and how long each may dawdle. One client, however broken
//! or slow, costs one place and is hung up on in time; the UNIX socket has places of its own, so
//! that root on the box gets in when the network's are all taken, and one source of the network has
//! a part of them. Whoever is refused before there was a request is told of in the audit trail.

use std::{
    convert::Infallible,
    fmt,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Body, extract::Request};
use camino::Utf8Path;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::{
    home::{self, ByCentre, Serving},
    places::Sources,
    refusal::Refusals,
    rest::{Work, until_given},
    stall::Stall,
    tls::{ForCentre, Rotating},
};
use crate::{
    access::{Access, audit::Told, certificate::Certificate},
    call_home::Centre,
    config,
    model::error::{Fault, Result},
};

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Remote(SocketAddr),
    /// Root, or the daemon's own user, over the UNIX socket: the kernel says so.
    Local {
        uid: u32,
    },
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Remote(a) => a.fmt(f),
            Peer::Local { uid } => write!(f, "uid {uid}"),
        }
    }
}

/// Whose certificate the client showed, verified against the pinned CAs.
#[derive(Debug, Clone)]
pub struct Holder(pub Arc<Certificate>);

/// Who a connection is with.
#[derive(Clone)]
pub(super) struct Who {
    pub peer: Peer,
    pub holder: Option<Holder>,
    /// It was opened by this box, to this centre.
    pub centre: Option<ByCentre>,
}

/// How long and how much a connection may.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub headers: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
}

impl From<&config::Limits> for Patience {
    fn from(l: &config::Limits) -> Self {
        Patience {
            headers: l.headers_kib as usize * 1024,
            header_timeout: Duration::from_secs(l.header_timeout_s),
            idle_timeout: Duration::from_secs(l.idle_timeout_s),
        }
    }
}

const LOCAL_PLACES: usize = 32;

/// The accept loops. Dropping it ends them all at once; [`Server::drain`] lets requests finish.
pub struct Server {
    patience: Patience,
    sources: Sources,
    /// Told whom nobody let in.
    access: Option<Arc<Access>>,
    remote_places: Arc<Semaphore>,
    local_places: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    loops: Vec<JoinHandle<()>>,
}

impl Server {
    /// `sources`: whose these connections may be.
    pub fn new(patience: Patience, connections: usize, sources: Sources) -> Self {
        Server {
            patience,
            sources,
            access: None,
            remote_places: Arc::new(Semaphore::new(connections)),
            local_places: Arc::new(Semaphore::new(LOCAL_PLACES)),
            stop: watch::Sender::new(false),
            loops: Vec::new(),
        }
    }

    /// Refusals before a request are told there.
    pub fn tell(&mut self, access: Arc<Access>) {
        self.access = Some(access);
    }

    /// `tls` is asked for each connection, so that a new certificate counts for the next one.
    pub fn listen_tls(&mut self, listener: TcpListener, tls: Arc<Rotating>, router: Router) {
        let (places, stop, patience) = (self.remote_places.clone(), self.stop.subscribe(), self.patience);
        let (sources, access) = (self.sources.clone(), self.access.clone());
        self.loops.push(tokio::spawn(accept(places, stop.clone(), async move || {
            let (tcp, from) = listener.accept().await?;
            let Some(seat) = sources.admit(from.ip()) else {
                tracing::debug!(peer = %from, "hung up on: its source has as many connections as it may (limits.connections_per_source)");
                return Ok(None);
            };
            let access = access.clone();
            let _ = tcp.set_nodelay(true);
            let (acceptor, router, stop) = (TlsAcceptor::from(tls.now()), router.clone(), stop.clone());
            Ok(Some(async move {
                let _seat = seat;
                match timeout(patience.header_timeout, acceptor.accept(tcp)).await {
                    Ok(Ok(tls)) => {
                        let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
                        let holder = shown.map(|c| Holder(Arc::new(Certificate::read(c))));
                        talk(tls, Who { peer: Peer::Remote(from), holder, centre: None }, router, patience, stop).await;
                    }
                    Ok(Err(e)) => {
                        tracing::debug!(peer = %from, error = %e, "no TLS");
                        if let Some(why) = not_believed(&e) {
                            stranger(access.as_ref(), "TLS", from.ip().to_string(), 401, why);
                        }
                    }
                    Err(_) => tracing::debug!(peer = %from, "no TLS in time"),
                }
            }))
        })));
    }

    pub fn listen_local(&mut self, listener: UnixListener, router: Router) {
        let (places, stop, patience) = (self.local_places.clone(), self.stop.subscribe(), self.patience);
        let own = nix::unistd::geteuid().as_raw();
        let access = self.access.clone();
        self.loops.push(tokio::spawn(accept(places, stop.clone(), async move || {
            let (stream, _) = listener.accept().await?;
            let uid = stream.peer_cred()?.uid();
            if uid != 0 && uid != own {
                tracing::warn!(uid, "refused on the UNIX socket: neither root nor the daemon's user");
                stranger(access.as_ref(), "CONNECT", format!("uid {uid}"), 403, "neither root nor the daemon's user".into());
                return Ok(None);
            }
            let (router, stop) = (router.clone(), stop.clone());
            let who = Who { peer: Peer::Local { uid }, holder: None, centre: None };
            Ok(Some(async move {
                talk(stream, who, router, patience, stop).await;
            }))
        })));
    }

    /// Calls a centre, and serves on that connection; it is tried by a ping each `keep_alive` in which it is quiet.
    pub fn call_home(&mut self, centre: Arc<Centre>, tls: ForCentre, keep_alive: Duration, router: Router) {
        let patience = Patience { idle_timeout: keep_alive, ..self.patience };
        self.loops.push(tokio::spawn(home::keep(centre, Serving { router, tls, patience }, self.stop.subscribe())));
    }

    /// No new connections; requests under way may finish until `deadline` has passed.
    pub async fn drain(mut self, deadline: Duration) {
        self.stop.send_replace(true);
        let mut loops = std::mem::take(&mut self.loops);
        let all = async {
            for l in &mut loops {
                let _ = l.await;
            }
        };
        if timeout(deadline, all).await.is_err() {
            tracing::warn!(seconds = deadline.as_secs(), "requests were still under way at the end of the drain; they are cut off");
        }
        // An aborted loop drops its set of connections, which ends them.
        loops.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.loops.iter().for_each(JoinHandle::abort);
    }
}

/// Accepts while there are places, until told to stop; then waits for what is left.
async fn accept<F>(places: Arc<Semaphore>, mut stop: watch::Receiver<bool>, next: impl AsyncFn() -> std::io::Result<Option<F>>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut open = JoinSet::new();
    let mut stopped = pin!(stopped(&mut stop));
    loop {
        let place: OwnedSemaphorePermit = tokio::select! {
            () = &mut stopped => break,
            place = places.clone().acquire_owned() => match place {
                Ok(p) => p,
                Err(_) => break,
            },
        };
        let connection = tokio::select! {
            () = &mut stopped => break,
            c = next() => c,
        };
        match connection {
            Ok(Some(c)) => {
                open.spawn(async move {
                    let _place = place;
                    c.await;
                });
            }
            Ok(None) => {}
            Err(e) => {
                // Out of file descriptors, most likely: some connection must end first.
                tracing::warn!(error = %e, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
    drop(next);
    while open.join_next().await.is_some() {}
}

pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|s| *s).await;
}

/// One connection to its end: HTTP/1.1 or HTTP/2, whichever the client speaks. Why it ended, where that was no wish.
pub(super) async fn talk<T>(stream: T, who: Who, router: Router, patience: Patience, mut stop: watch::Receiver<bool>) -> Option<String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = who.peer;
    let work = Work::default();
    // A centre's connection is kept, and tried by pings.
    let rest = (work.clone(), patience.idle_timeout, who.centre.is_none());
    let service = service_fn(move |req: Request<Incoming>| {
        let (router, Who { peer, holder, centre }) = (router.clone(), who.clone());
        let busy = work.begin();
        async move {
            let mut req = req.map(Body::new);
            req.extensions_mut().insert(peer);
            if let Some(h) = holder {
                req.extensions_mut().insert(h);
            }
            if let Some(c) = centre {
                req.extensions_mut().insert(c);
            }
            Ok::<_, Infallible>(match router.oneshot(req).await {
                Ok(response) => until_given(response, busy),
                Err(never) => match never {},
            })
        }
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience.header_timeout).max_buf_size(patience.headers.max(8192));
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(64)
        .max_header_list_size(patience.headers as u32)
        // A package upload needs no more than this in flight on a LAN; idle boxes keep their memory.
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .keep_alive_interval(patience.idle_timeout)
        .keep_alive_timeout(patience.header_timeout);
    let io = TokioIo::new(Refusals::new(Stall::new(stream, patience.header_timeout, patience.idle_timeout)));
    let mut connection = pin!(http.serve_connection_with_upgrades(io, service));
    let (work, idle, may_rest) = rest;
    let ended = tokio::select! {
        r = connection.as_mut() => r,
        () = work.rests(idle), if may_rest => {
            connection.as_mut().graceful_shutdown();
            match timeout(patience.header_timeout, connection).await {
                Ok(r) => r,
                Err(_) => return Some("nothing was asked for, and the peer does not hang up".into()),
            }
        }
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let why = ended.err()?;
    tracing::debug!(%peer, error = %why, "connection ended");
    Some(why.to_string())
}

/// Why a client's certificate is not believed; `None`: it is about something else.
fn not_believed(e: &std::io::Error) -> Option<String> {
    match e.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => Some(format!("its client certificate is not believed: {why}")),
        _ => None,
    }
}

/// Tells of somebody who was refused before there was a request; as strangers, up to a rate.
fn stranger(access: Option<&Arc<Access>>, method: &'static str, source: String, status: u16, why: String) {
    let Some(access) = access.cloned() else { return };
    let told = Told { source: source.into(), method: method.into(), path: "-".into(), status, why, ..Told::default() };
    tokio::task::spawn_blocking(move || {
        if let Err(fault) = access.tell(told) {
            tracing::error!(?fault, "the audit trail could not be written");
        }
    });
}

/// Binds the UNIX socket. One that a dead daemon left behind is replaced; a live one is not.
pub async fn bind_local(path: &Utf8Path) -> Result<UnixListener> {
    if let Ok(meta) = std::fs::symlink_metadata(path) {
        if !meta.file_type().is_socket() {
            return Err(Fault::conflict(format!("{path} exists and is not a socket: remove it, or set socket.path")));
        }
        if UnixStream::connect(path).await.is_ok() {
            return Err(Fault::conflict(format!("another daemon answers on {path}: stop it first, or set run_dir")));
        }
        std::fs::remove_file(path).map_err(|e| Fault::transient(format!("cannot remove the old socket {path}: {e}")).with_source(e))?;
    }
    let bad = |e: std::io::Error| Fault::transient(format!("cannot listen on {path}: {e}")).with_source(e);
    let listener = UnixListener::bind(path).map_err(bad)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(bad)?;
    Ok(listener)
}
