//! The bundle of an update of the box, fetched from a URL: to its end, whoever goes away, and anew after a start of Bothy.
//!
//! Never: whether a bundle is good (`update`), how a server is reached and believed (`notify`).

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use hyper::{body::Frame, header::CONTENT_LENGTH};
use tracing::{info, warn};

use crate::{
    api::{
        Services,
        content::Pieces,
        convert::request::Faults,
        fetch,
        problem::Answer,
        upload::{self, Upload},
    },
    model::{
        error::{Fault, Result},
        update::Asked,
    },
    notify::resume::{self, Whole},
    update::Updater,
};

/// A server that cannot be reached is asked again after these: the box may have come up a moment ago.
const PAUSES: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(20)];
/// How soon it is seen that an update was called off.
const LOOK: Duration = Duration::from_millis(500);

/// Takes an update by a URL, and begins to fetch.
pub async fn begin(s: &Arc<Services>, url: String, asked: Asked) -> Answer<()> {
    let mut faults = Faults::default();
    fetch::check(s, "url", &url, &mut faults);
    faults.end("the update", ())?;
    let update = s.update.clone();
    s.pool.run(move || update.fetch(&url, asked)).await?;
    go_on(s);
    Ok(())
}

/// Fetches the bundle that is wanted, if there is one.
pub fn go_on(s: &Arc<Services>) {
    let Some(url) = s.update.wanted() else { return };
    info!(url = fetch::plain(&url), "the bundle of an update is fetched");
    tokio::spawn(to_end(s.clone(), url));
}

async fn to_end(s: Arc<Services>, url: String) {
    let got = tokio::select! {
        got = bring(&s, &url) => got,
        () = called_off(&s.update, &url) => return,
    };
    let update = s.update.clone();
    let done = tokio::task::spawn_blocking(move || match got {
        Ok(got) => update.fetched(&url, Ok(got.path())),
        Err(why) => update.fetched(&url, Err(why)),
    });
    if done.await.is_err() {
        warn!("the update's bundle was lost by a fault in Bothy itself");
    }
}

async fn called_off(update: &Updater, url: &str) {
    while update.wanted().as_deref() == Some(url) {
        tokio::time::sleep(LOOK).await;
    }
}

async fn bring(s: &Services, url: &str) -> Result<Upload> {
    let _turn = fetch::turn().await?;
    let whole = open(s, url).await?;
    let of = whole.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let body = Counted { pieces: Pieces(whole.pieces), got: 0, of, url: url.to_owned(), update: s.update.clone() };
    let got = upload::fetched(s, &whole.headers, Body::new(body), Some(whole.longest)).await;
    got.map_err(|p| match whole.broken.get() {
        Some(why) => away(url, why),
        None => fetch::fault(&p).context(format!("url: {}", fetch::plain(url))),
    })
}

fn away(url: &str, why: &str) -> Fault {
    Fault::transient(format!("url: {} cannot be fetched: {why}", fetch::plain(url)))
}

/// What the server sends for it, once it does.
async fn open(s: &Services, url: &str) -> Result<Whole> {
    let silent = Duration::from_secs(s.config.now().limits.idle_timeout_s) / 3;
    let mut pauses = PAUSES.iter();
    loop {
        fetch::may(s, "url", url)?;
        let why = match resume::open(s.notify.caller_with("url", url, None)?, silent).await {
            Ok(whole) => match fetch::refused("url", url, whole.status)? {
                None => return Ok(whole),
                Some(why) => why,
            },
            Err(why) => away(url, &why),
        };
        let Some(pause) = pauses.next() else { return Err(why) };
        info!("{why}; it is tried again");
        tokio::time::sleep(*pause).await;
    }
}

/// A body that tells how much of it has passed.
struct Counted {
    pieces: Pieces,
    got: u64,
    of: Option<u64>,
    url: String,
    update: Arc<Updater>,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let me = &mut *self;
        let next = Pin::new(&mut me.pieces).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &next {
            me.got += frame.data_ref().map_or(0, |d| d.len() as u64);
            me.update.coming(&me.url, me.got, me.of);
        }
        next
    }
}
