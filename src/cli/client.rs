//! The HTTP client: over the daemon's UNIX socket, or HTTPS to another box. Blocking outside.

use std::{
    fs::File,
    io::{Read as _, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Body, Frame, Incoming},
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, LINK, LOCATION, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    net::{TcpStream, UnixStream},
    runtime::Runtime,
    sync::mpsc,
    time::timeout,
};

use super::{EndpointArgs, failure::Failure, login, trust};

const CONNECT: Duration = Duration::from_secs(10);

/// Where the daemon is.
pub enum Endpoint {
    Local(Utf8PathBuf),
    Remote {
        host: String,
        port: u16,
        /// What stands before each path: `/boxes/SERIAL` of a hub.
        prefix: String,
        token: Option<String>,
        tls: Arc<ClientConfig>,
    },
}

impl Endpoint {
    pub fn choose(args: EndpointArgs) -> Result<Self, Failure> {
        let Some(url) = args.endpoint else { return Ok(Endpoint::Local(args.socket)) };
        let bad = || Failure::Usage(format!("--endpoint: '{url}' must be https://HOST[:PORT], or https://HUB[:PORT]/boxes/SERIAL"));
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| bad())?;
        let prefix = uri.path().trim_end_matches('/').to_owned();
        let behind = prefix.strip_prefix("/boxes/").is_some_and(|serial| !serial.is_empty() && !serial.contains('/'));
        if uri.scheme_str() != Some("https") || !(prefix.is_empty() || behind) || uri.query().is_some() {
            return Err(bad());
        }
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let own = args.cert.as_deref().zip(args.key.as_deref());
        let tls = trust::client(args.cacert.as_deref(), args.fingerprint.as_deref(), own)?;
        let port = uri.port_u16().unwrap_or(9443);
        // A certificate speaks for itself.
        let token = args.token.or_else(|| login::kept(&format!("https://{host}:{port}")).filter(|_| own.is_none()));
        Ok(Endpoint::Remote { host, port, prefix, token, tls })
    }

    fn name(&self) -> String {
        match self {
            Endpoint::Local(p) => p.to_string(),
            Endpoint::Remote { host, port, prefix, .. } => format!("https://{host}:{port}{prefix}"),
        }
    }

    /// A path that was answered, as the box itself has it.
    fn own(&self, path: String) -> String {
        match self {
            Endpoint::Remote { prefix, .. } => path.strip_prefix(prefix.as_str()).map_or(path.clone(), ToOwned::to_owned),
            Endpoint::Local(_) => path,
        }
    }
}

pub struct Client {
    endpoint: Endpoint,
    project: Option<String>,
    runtime: Runtime,
}

/// What the daemon answered to a request it did not refuse.
pub struct Answer {
    pub location: Option<String>,
    /// Where a list goes on.
    pub next: Option<String>,
    pub body: Value,
}

type Sent = Either<Full<Bytes>, Pieces>;

impl Client {
    pub fn new(endpoint: Endpoint, project: Option<String>) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| Failure::here("cannot start", e))?;
        Ok(Client { endpoint, project, runtime })
    }

    /// Where the daemon is, as text.
    pub fn endpoint(&self) -> String {
        self.endpoint.name()
    }

    /// A resource, or a list with all its pages.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        let Answer { mut body, mut next, .. } = self.json(Method::GET, path, None)?;
        while let Some(at) = next {
            let more = self.json(Method::GET, &at, None)?;
            if let (Value::Array(all), Value::Array(more)) = (&mut body, more.body) {
                all.extend(more);
            }
            next = more.next;
        }
        Ok(body)
    }
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.json(Method::POST, path, Some(("application/json", body.to_string())))
    }
    /// A POST that has no body.
    pub fn task(&self, path: &str) -> Result<Answer, Failure> {
        self.json(Method::POST, path, None)
    }
    pub fn post_text(&self, path: &str, media_type: &'static str, text: String) -> Result<Answer, Failure> {
        self.json(Method::POST, path, Some((media_type, text)))
    }
    pub fn patch(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.json(Method::PATCH, path, Some(("application/merge-patch+json", body.to_string())))
    }
    pub fn put(&self, path: &str, body: &Value) -> Result<(), Failure> {
        self.json(Method::PUT, path, Some(("application/json", body.to_string()))).map(|_| ())
    }
    pub fn delete(&self, path: &str) -> Result<(), Failure> {
        self.json(Method::DELETE, path, None).map(|_| ())
    }

    fn json(&self, method: Method, path: &str, body: Option<(&'static str, String)>) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(ACCEPT, "application/json");
        let mut bytes = Bytes::new();
        if let Some((media_type, text)) = body {
            request = request.header(CONTENT_TYPE, media_type);
            bytes = text.into();
        }
        let request = request.body(Either::Left(Full::new(bytes))).map_err(|e| Failure::here("cannot ask", e))?;
        self.runtime.block_on(async {
            let response = self.send(request).await?;
            let own = |path: String| self.endpoint.own(path);
            let (location, next) = (location(&response).map(own), next_page(&response).map(own));
            let body = collect(response).await?;
            let body = if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body).map_err(|e| Failure::here("the answer is not JSON", e))?
            };
            Ok(Answer { location, next, body })
        })
    }

    /// Sends a file; `sent` is told how much has gone. The answer's body is as it came.
    pub fn upload(
        &self,
        method: Method,
        path: &str,
        file: &Utf8Path,
        media_type: &str,
        sent: impl Fn(u64) + Send + 'static,
    ) -> Result<Bytes, Failure> {
        let mut from = File::open(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
        let length = from.metadata().map_err(|e| Failure::here(format!("cannot read {file}"), e))?.len();
        let (to_net, pieces) = mpsc::channel::<std::io::Result<Bytes>>(4);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, media_type)
            .header(CONTENT_LENGTH, length)
            .header(ACCEPT, "application/json")
            .body(Either::Right(Pieces(pieces)))
            .map_err(|e| Failure::here("cannot ask", e))?;
        let reader = std::thread::spawn(move || {
            let (mut buffer, mut total) = (vec![0u8; 256 * 1024], 0u64);
            loop {
                let piece = match from.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(n) => {
                        total += n as u64;
                        sent(total);
                        Ok(Bytes::copy_from_slice(&buffer[..n]))
                    }
                    Err(e) => Err(e),
                };
                // The other side is gone when the daemon refused the upload half-way.
                if to_net.blocking_send(piece).is_err() {
                    return;
                }
            }
        });
        let answer = self.runtime.block_on(async {
            let response = self.send(request).await?;
            collect(response).await
        });
        let _ = reader.join();
        answer
    }

    /// Copies a body that is not JSON, to its end.
    pub fn download(&self, path: &str, to: &mut dyn Write) -> Result<u64, Failure> {
        self.fetch(Method::GET, path, None, to)
    }

    /// The same by a POST that has no body.
    pub fn download_made(&self, path: &str, to: &mut dyn Write) -> Result<u64, Failure> {
        self.fetch(Method::POST, path, None, to)
    }

    /// The same by a POST that says what is wanted.
    pub fn download_of(&self, path: &str, body: &Value, to: &mut dyn Write) -> Result<u64, Failure> {
        self.fetch(Method::POST, path, Some(body.to_string()), to)
    }

    fn fetch(&self, method: Method, path: &str, body: Option<String>, to: &mut dyn Write) -> Result<u64, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(ACCEPT, "*/*");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = Either::Left(Full::new(body.map(Bytes::from).unwrap_or_default()));
        let request = request.body(body).map_err(|e| Failure::here("cannot ask", e))?;
        self.runtime.block_on(async {
            let mut body = self.send(request).await?.into_body();
            let mut total = 0;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| Failure::Unreachable(format!("the answer broke off after {total} bytes: {e}")))?;
                if let Some(data) = frame.data_ref() {
                    // Whoever reads it along has it now: an answer may take as long as somebody listens.
                    to.write_all(data).and_then(|()| to.flush()).map_err(|e| Failure::here("cannot write", e))?;
                    total += data.len() as u64;
                }
            }
            Ok(total)
        })
    }

    /// Takes the connection over for another protocol.
    pub async fn upgrade(&self, path: &str, protocol: &'static str) -> Result<TokioIo<Upgraded>, Failure> {
        let request = Request::get(path)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, protocol)
            .body(Either::Left(Full::new(Bytes::new())))
            .map_err(|e| Failure::here("cannot ask", e))?;
        let response = self.send(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Failure::Here(format!("the daemon did not switch to {protocol}: it answered {}", response.status())));
        }
        let taken = hyper::upgrade::on(response).await.map_err(|e| Failure::here("the connection cannot be taken over", e))?;
        Ok(TokioIo::new(taken))
    }

    pub fn block_on<F: Future>(&self, f: F) -> F::Output {
        self.runtime.block_on(f)
    }

    async fn send(&self, mut request: Request<Sent>) -> Result<Response<Incoming>, Failure> {
        let unreachable =
            |e: &dyn std::fmt::Display| Failure::Unreachable(format!("cannot reach the daemon at {}: {e}", self.endpoint.name()));
        let slow = "no connection within 10 s";
        if let Some(p) = &self.project {
            let name = p.parse().map_err(|_| Failure::Usage(format!("'{p}' is no name of a project")))?;
            request.headers_mut().insert("bothy-project", name);
        }
        let mut sender = match &self.endpoint {
            Endpoint::Local(path) => {
                let stream = UnixStream::connect(path).await.map_err(|e| Failure::Unreachable(local_trouble(path, &e)))?;
                request.headers_mut().insert(HOST, hyper::header::HeaderValue::from_static("localhost"));
                self.handshake(stream).await?
            }
            Endpoint::Remote { host, port, prefix, token, tls } => {
                if !prefix.is_empty() {
                    let behind = format!("{prefix}{}", request.uri());
                    *request.uri_mut() = behind.parse().map_err(|_| Failure::Usage(format!("'{behind}' is no path")))?;
                }
                let tcp = timeout(CONNECT, TcpStream::connect((host.as_str(), *port)))
                    .await
                    .map_err(|_| unreachable(&slow))?
                    .map_err(|e| unreachable(&e))?;
                let name = ServerName::try_from(host.clone()).map_err(|e| unreachable(&e))?;
                let connector = tokio_rustls::TlsConnector::from(tls.clone());
                let stream =
                    timeout(CONNECT, connector.connect(name, tcp)).await.map_err(|_| unreachable(&slow))?.map_err(|e| unreachable(&e))?;
                let bad = |_| Failure::Usage("the token or the host has characters that no header can carry".into());
                let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
                request.headers_mut().insert(HOST, authority.parse().map_err(bad)?);
                if let Some(t) = token {
                    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {t}").parse().map_err(bad)?);
                }
                self.handshake(stream).await?
            }
        };
        let response = sender.send_request(request).await.map_err(|e| unreachable(&e))?;
        if response.status().as_u16() >= 400 {
            let status = response.status().as_u16();
            let body = collect(response).await?;
            return Err(Failure::refused(status, &body));
        }
        Ok(response)
    }

    async fn handshake<T>(&self, stream: T) -> Result<http1::SendRequest<Sent>, Failure>
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| Failure::Unreachable(format!("cannot speak with the daemon at {}: {e}", self.endpoint.name())))?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

/// Why the socket on this host does not answer, in words that help.
fn local_trouble(path: &Utf8Path, e: &std::io::Error) -> String {
    let hint = match e.kind() {
        std::io::ErrorKind::NotFound => "; is the daemon running (`bothy serve`)?",
        std::io::ErrorKind::PermissionDenied => "; it serves root only: use sudo, or --endpoint with a token",
        std::io::ErrorKind::ConnectionRefused => "; the daemon has died: start it again",
        _ => "",
    };
    format!("cannot reach the daemon at {path}: {e}{hint}")
}

fn location(response: &Response<Incoming>) -> Option<String> {
    let text = response.headers().get(LOCATION)?.to_str().ok()?;
    // Absolute or not, only the path counts here: the endpoint is known.
    Some(text.parse::<Uri>().map_or_else(|_| text.to_owned(), |u| u.path().to_owned()))
}

/// Path and query of the `Link` with rel=next.
fn next_page(response: &Response<Incoming>) -> Option<String> {
    let links = response.headers().get_all(LINK).iter().filter_map(|v| v.to_str().ok());
    let next = links.filter_map(|l| l.strip_prefix('<')?.split_once('>')).find(|(_, of)| of.contains("rel=\"next\""))?.0;
    Some(next.parse::<Uri>().ok()?.path_and_query()?.to_string())
}

async fn collect(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = response.into_body().collect().await.map_err(|e| Failure::Unreachable(format!("the answer broke off: {e}")))?;
    Ok(body.to_bytes())
}

/// A body fed by a reading thread.
struct Pieces(mpsc::Receiver<std::io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|p| p.map(Frame::data)))
    }
}
