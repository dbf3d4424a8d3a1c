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
        who,
    },
    model::{
        error::{Fault, Result},
        update::Asked,
    },
    notify::resume,
    update::{Updater, Wanted},
};

/// What passes is tried again after these: the box may have come up a moment ago, or its cable be out for one.
const PAUSES: [Duration; 5] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(20)];
/// How soon it is seen that an update was called off.
const LOOK: Duration = Duration::from_millis(500);

/// Takes an update by a URL, and begins to fetch.
pub async fn begin(s: &Arc<Services>, url: String, asked: Asked) -> Answer<()> {
    let mut faults = Faults::default();
    fetch::check(s, "url", &url, &mut faults);
    faults.end("the update", ())?;
    let s = s.clone();
    who::through(async move {
        let update = s.update.clone();
        s.pool.run(move || update.fetch(&url, asked)).await?;
        go_on(&s);
        Ok(())
    })
    .await
}

/// Fetches the bundle that is wanted, if there is one.
pub fn go_on(s: &Arc<Services>) {
    let Some(what) = s.update.wanted() else { return };
    info!(url = fetch::plain(&what.url), "the bundle of an update is fetched");
    tokio::spawn(to_end(s.clone(), what));
}

async fn to_end(s: Arc<Services>, what: Wanted) {
    let got = tokio::select! {
        got = bring(&s, &what) => got,
        () = called_off(&s.update, &what) => return,
    };
    let update = s.update.clone();
    let done = tokio::task::spawn_blocking(move || match got {
        Ok(got) => update.fetched(&what, Ok(got.path())),
        Err(why) => update.fetched(&what, Err(why)),
    });
    if done.await.is_err() {
        warn!("the update's bundle was lost by a fault in Bothy itself");
    }
}

async fn called_off(update: &Updater, what: &Wanted) {
    while update.wanted().as_ref() == Some(what) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Until it is here, or what stands against it does not pass.
async fn bring(s: &Services, what: &Wanted) -> Result<Upload> {
    let mut pauses = PAUSES.iter();
    loop {
        let why = match once(s, what).await {
            Err(why) if why.is_transient() => why,
            end => return end,
        };
        let Some(pause) = pauses.next() else { return Err(why) };
        info!("{why}; it is tried again");
        tokio::time::sleep(*pause).await;
    }
}

async fn once(s: &Services, what: &Wanted) -> Result<Upload> {
    let url = &*what.url;
    let away = |why: &str| Fault::transient(format!("url: {} cannot be fetched: {why}", fetch::plain(url)));
    let _turn = fetch::turn().await?;
    fetch::may(s, "url", url)?;
    let silent = Duration::from_secs(s.config.now().limits.idle_timeout_s) / 3;
    let whole = resume::open(s.notify.caller_with("url", url, None)?, silent).await.map_err(|why| away(&why))?;
    if let Some(why) = fetch::refused("url", url, whole.status)? {
        return Err(why);
    }
    let of = whole.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let body = Counted { pieces: Pieces(whole.pieces), got: 0, of, what: what.clone(), update: s.update.clone() };
    let got = upload::fetched(s, &whole.headers, Body::new(body), Some(whole.longest)).await;
    got.map_err(|p| match whole.broken.get() {
        Some(why) => away(why),
        None => fetch::fault(&p).context(format!("url: {}", fetch::plain(url))),
    })
}

/// A body that tells how much of it has passed.
struct Counted {
    pieces: Pieces,
    got: u64,
    of: Option<u64>,
    what: Wanted,
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
            me.update.coming(&me.what, me.got, me.of);
        }
        next
    }
}
