//! A controller's HTTP server, written from its public documents: it holds requests against them, keeps state, and
//! can be made to refuse, to say nothing, or to fail at a step.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use data_encoding::BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::{Response, body::Bytes, body::Incoming, header, service::service_fn};
use hyper_util::rt::TokioIo;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{net::TcpListener, runtime::Runtime};

pub const USER: &str = "bothy";
pub const PASSWORD: &str = "b:o thy";

/// A request as it came.
pub struct Asked {
    pub method: String,
    /// Parts of the path, unescaped.
    pub path: Vec<String>,
    pub query: String,
    pub content: String,
    pub accept: String,
    pub body: String,
}

pub struct Reply {
    pub status: u16,
    pub kind: &'static str,
    pub body: String,
}

/// What an API does with a request that may be made.
pub trait Api: Send + 'static {
    fn answer(&mut self, r: &Asked) -> Reply;
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// Connections are closed at once.
    Closed,
    /// Requests are read, and nothing is said.
    Silent,
    /// So many more changes are made, and every other one fails.
    FailsAfter(usize),
    /// Whatever is changed is refused in the words of the API.
    Refuses(u16, &'static str),
}

struct Inner<A> {
    api: A,
    trouble: Trouble,
    /// Changes: method and path.
    log: Vec<String>,
}

pub struct Stand<A> {
    pub addr: SocketAddr,
    inner: Arc<Mutex<Inner<A>>>,
    _runtime: Runtime,
}

/// A certificate for this name that signs itself, as PEM, and what a server needs of it.
pub fn certificate(name: &str) -> (String, Arc<ServerConfig>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a server's certificate");
    (made.cert.pem(), Arc::new(config))
}

impl<A: Api> Stand<A> {
    pub fn start(api: A) -> Stand<A> {
        Stand::start_with(api, None)
    }

    pub fn start_with(api: A, tls: Option<Arc<ServerConfig>>) -> Stand<A> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("bound");
        let addr = listener.local_addr().expect("an address");
        let inner = Arc::new(Mutex::new(Inner { api, trouble: Trouble::None, log: Vec::new() }));
        runtime.spawn(accept(listener, tls.map(Into::into), inner.clone()));
        Stand { addr, inner, _runtime: runtime }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<A>> {
        self.inner.lock().expect("lock")
    }
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
    pub fn trouble(&self, t: Trouble) {
        self.lock().trouble = t;
    }
    /// Changes since the last time.
    pub fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }
    pub fn with<T>(&self, f: impl FnOnce(&mut A) -> T) -> T {
        f(&mut self.lock().api)
    }
}

async fn accept<A: Api>(listener: TcpListener, tls: Option<tokio_rustls::TlsAcceptor>, inner: Arc<Mutex<Inner<A>>>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, inner) = (tls.clone(), inner.clone());
        if inner.lock().expect("lock").trouble == Trouble::Closed {
            continue;
        }
        tokio::spawn(async move {
            let service = service_fn(move |r| serve(inner.clone(), r));
            let http = hyper::server::conn::http1::Builder::new();
            // A client that leaves is none of the server's affairs.
            let _ = match tls {
                None => http.serve_connection(TokioIo::new(tcp), service).await,
                Some(tls) => match tls.accept(tcp).await {
                    Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
                    Err(_) => Ok(()),
                },
            };
        });
    }
}

async fn serve<A: Api>(inner: Arc<Mutex<Inner<A>>>, r: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = r.into_parts();
    let text = |name: header::HeaderName| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let login = format!("Basic {}", BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes()));
    let known = text(header::AUTHORIZATION) == login;
    let asked = Asked {
        method: head.method.to_string(),
        path: head.uri.path().split('/').skip(1).map(unescape).collect(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content: text(header::CONTENT_TYPE),
        accept: text(header::ACCEPT),
        body: String::from_utf8_lossy(&body.collect().await.expect("a body").to_bytes()).into_owned(),
    };
    if inner.lock().expect("lock").trouble == Trouble::Silent {
        std::future::pending::<()>().await;
    }
    let reply = if known {
        inner.lock().expect("lock").answer(&asked)
    } else {
        Reply { status: 401, kind: "text/html", body: "<html>who are you?</html>".into() }
    };
    let made = Response::builder().status(reply.status).header(header::CONTENT_TYPE, reply.kind);
    Ok(made.body(Full::new(reply.body.into())).expect("a reply"))
}

impl<A: Api> Inner<A> {
    fn answer(&mut self, r: &Asked) -> Reply {
        if r.method == "GET" {
            return self.api.answer(r);
        }
        match &mut self.trouble {
            Trouble::FailsAfter(0) => return Reply { status: 500, kind: "text/html", body: "<h1>out of order</h1>".into() },
            Trouble::FailsAfter(n) => *n -= 1,
            Trouble::Refuses(status, body) => return Reply { status: *status, kind: "application/json", body: (*body).into() },
            Trouble::None | Trouble::Closed | Trouble::Silent => {}
        }
        let reply = self.api.answer(r);
        self.log.push(format!("{} {} {}", r.method, r.path.last().map_or("", String::as_str), reply.status));
        reply
    }
}

fn unescape(part: &str) -> String {
    let (mut out, b) = (Vec::new(), part.as_bytes());
    let mut i = 0;
    while i < b.len() {
        let hex = (b[i] == b'%').then(|| part.get(i + 1..i + 3)).flatten().and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(hex.unwrap_or(b[i]));
        i += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).expect("UTF-8")
}
