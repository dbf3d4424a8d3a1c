//! What the hub itself says to a box on its line: it asks how the box is, and hands it the document that lies here for it.
//!
//! ```text
//! ask --which document counts there?--> another than lies here --hand over--> ask again, soon
//! ```
//! The box is handed things and not waited for: behind a NAT it could only ask, here, by another connection and each so often. Never:
//! believes or opens a document. The box does, or says why not.

use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
    http::uri::PathAndQuery,
};
use serde::Deserialize;
use smol_str::SmolStr;
use tokio::{sync::Notify, time::timeout};

use super::{
    HANDSHAKE, Head, Hub, Sender,
    bodies::{Given, Moved, Sent},
    hand::{Hand, Next},
    registry::{Applied, Handed, Said},
    stranger, uri,
};
use crate::model::desired::Stage;

/// How often each box is asked how it is, and while it does what it was handed.
const LOOK: Duration = Duration::from_secs(60);
const BUSY: Duration = Duration::from_secs(10);
/// A document is taken in, or refused, within this: it is read, and its signature looked at.
const TAKES: Duration = Duration::from_secs(60);
/// Of an answer no more is read.
const MOST: usize = 256 * 1024;
/// Of a refusal no more is kept.
const MOST_WHY: usize = 500;

/// For as long as the line lasts.
pub(super) async fn talk(hub: &Hub, serial: &SmolStr, to: &Sender, news: &Notify) {
    let mut hand = Hand::default();
    let mut look = Instant::now() + pause(hub, serial);
    loop {
        let left = look.saturating_duration_since(Instant::now());
        let left = match next(hub, serial, &mut hand) {
            Some((head, Next::Give)) => {
                let failed = give(hub, serial, to.clone(), &head).await.err();
                if let Some(why) = &failed {
                    tracing::warn!(%serial, of = %head.whom, why, "a box does not take the document that lies here for it");
                }
                hub.registry().handed(serial, Handed { digest: head.digest, at: hub.clock.now(), failed });
                look = Instant::now();
                Duration::ZERO
            }
            Some((_, Next::Wait(until))) => left.min(until),
            Some((_, Next::Nothing)) | None => left,
        };
        tokio::select! {
            () = tokio::time::sleep(left) => {}
            () = news.notified() => continue,
        }
        match ask(serial, to.clone()).await {
            Ok(said) => hub.registry().heard(serial, hub.clock.now(), Some(said)),
            Err(why) => hub.registry().silent(serial, why),
        }
        look = Instant::now() + pause(hub, serial);
    }
}

fn pause(hub: &Hub, serial: &str) -> Duration {
    let stage = hub.registry().view(serial).and_then(|v| v.said.applied).and_then(|a| a.stage);
    if stage == Some(Stage::Applying) { BUSY } else { LOOK }
}

/// What is done now about the document that lies here for a box; `None`: none does.
fn next(hub: &Hub, serial: &str, hand: &mut Hand) -> Option<(Head, Next)> {
    let view = hub.registry().view(serial)?;
    // One that does not say how it is does not say either which document counts there.
    let asked = view.said.version.is_some();
    let head = hub.meant_for(&view).filter(|_| asked);
    let has = view.said.applied.and_then(|a| a.digest);
    let next = hand.next(Instant::now(), head.as_ref().map(|h| h.digest), has, hub.dice.bytes16()[0]);
    head.map(|h| (h, next))
}

/// One request of the hub's own, and its answer.
async fn said(serial: &str, mut to: Sender, what: (Method, &'static str), inner: Given) -> Result<(StatusCode, Bytes), String> {
    let mut request = Request::new(Sent { inner, moved: Moved::now() });
    *request.uri_mut() = uri(serial, PathAndQuery::from_static(what.1)).map_err(|f| f.detail())?;
    if what.0 == Method::PUT {
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/cms"));
    }
    *request.method_mut() = what.0;
    let response = to.send_request(request).await.map_err(|e| format!("box '{serial}' does not answer: {e}"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MOST).collect().await.map_err(|e| format!("its answer broke off: {e}"))?;
    Ok((status, body.to_bytes()))
}

/// Why nothing came of a request; `None`: that is not told by its status alone.
fn refusal(serial: &str, status: StatusCode) -> Option<String> {
    match status {
        StatusCode::UNAUTHORIZED => Some(stranger(serial)),
        StatusCode::NOT_FOUND => Some("it does not serve 'admin' to this hub".into()),
        _ => None,
    }
}

/// The document is on the box, and counts there, when this is well.
async fn give(hub: &Hub, serial: &str, to: Sender, head: &Head) -> Result<(), String> {
    let turn =
        timeout(TAKES, hub.hands.acquire()).await.map_err(|_| "the hub hands documents to other boxes, and comes back to this one")?;
    let _turn = turn.map_err(|_| "the hub stops")?;
    let (shelf, whom) = (hub.shelf.clone(), head.whom.clone());
    let read = tokio::task::spawn_blocking(move || shelf.content(&whom)).await;
    let document = read.map_err(|e| e.to_string())?.map_err(|f| f.detail())?;
    if document.digest != head.digest {
        return Err("another one took its place meanwhile".into());
    }
    let inner = Full::new(Bytes::from(document.content)).map_err(|never| match never {}).boxed_unsync();
    let asked = timeout(TAKES, said(serial, to, (Method::PUT, "/bothy/v1/desired"), inner)).await;
    let (status, body) = asked.unwrap_or_else(|_| Err(format!("it has not answered within {} s", TAKES.as_secs())))?;
    if status.is_success() {
        return Ok(());
    }
    Err(refusal(serial, status).unwrap_or_else(|| told(status, &body)))
}

/// The words of a refusal, as they can be shown.
fn told(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        detail: String,
    }
    let words = serde_json::from_slice::<Problem>(body).map(|p| p.detail).unwrap_or_default();
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let words: String = words.chars().map(clean).take(MOST_WHY).collect();
    if words.is_empty() { format!("it answered {status}") } else { format!("it answered {}: {words}", status.as_u16()) }
}

#[derive(Deserialize)]
struct Health {
    version: SmolStr,
    status: SmolStr,
    desired: Option<Desired>,
}

#[derive(Deserialize)]
struct Desired {
    version: u64,
    digest: Option<SmolStr>,
    phase: SmolStr,
}

impl From<Desired> for Applied {
    fn from(d: Desired) -> Applied {
        let digest = d.digest.and_then(|t| HEXLOWER.decode(t.as_bytes()).ok()?.try_into().ok());
        Applied { version: d.version, digest, stage: Stage::of(&d.phase) }
    }
}

/// What is kept of a box, and shown to people: nothing that is long, or moves a terminal's cursor.
fn is_health(h: &Health) -> bool {
    ["OK", "DEGRADED"].contains(&&*h.status) && h.version.len() <= 64 && !h.version.chars().any(char::is_control)
}

/// What a box says of itself.
pub(super) async fn ask(serial: &str, to: Sender) -> Result<Said, String> {
    let inner = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let asked = timeout(HANDSHAKE, said(serial, to, (Method::GET, "/bothy/v1/health"), inner)).await;
    let (status, body) = asked.unwrap_or_else(|_| Err(format!("box '{serial}' does not say how it is")))?;
    let why = match status {
        StatusCode::OK => match serde_json::from_slice::<Health>(&body) {
            Ok(h) if is_health(&h) => {
                let applied = h.desired.map(Applied::from);
                return Ok(Said { version: Some(h.version), health: Some(h.status), applied, why: None });
            }
            Ok(_) | Err(_) => "its health cannot be read".into(),
        },
        status => refusal(serial, status).unwrap_or_else(|| format!("asked for its health it answered {status}")),
    };
    Ok(Said { why: Some(why), ..Said::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_box_says_of_its_document_is_read_and_an_older_one_says_nothing() {
        let applied = |more: &str| {
            let text = format!("{{\"version\": \"1\", \"status\": \"OK\", \"conditions\": []{more}}}");
            serde_json::from_str::<Health>(&text).expect("health").desired.map(Applied::from)
        };
        let digest = HEXLOWER.encode(&[7; 32]);
        for (more, want) in [
            (String::new(), None),
            (
                format!(", \"desired\": {{\"version\": 3, \"digest\": \"{digest}\", \"phase\": \"APPLYING\"}}"),
                Some(Applied { version: 3, digest: Some([7; 32]), stage: Some(Stage::Applying) }),
            ),
            (
                ", \"desired\": {\"version\": 3, \"digest\": \"07\", \"phase\": \"ELSEWHERE\"}".to_owned(),
                Some(Applied { version: 3, digest: None, stage: None }),
            ),
        ] {
            assert_eq!(applied(&more), want, "{more}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_boxs_words_and_in_no_others() {
        let long = format!("{{\"detail\": \"{}\"}}", "x".repeat(MOST_WHY + 9));
        for (body, want) in [
            ("{\"detail\": \"version 4 is older\"}", "it answered 409: version 4 is older".to_owned()),
            ("{\"detail\": \"a\\u001b[2Jb\"}", "it answered 409: a [2Jb".to_owned()),
            ("<html>", "it answered 409 Conflict".to_owned()),
            (&long, format!("it answered 409: {}", "x".repeat(MOST_WHY))),
        ] {
            assert_eq!(told(StatusCode::CONFLICT, body.as_bytes()), want);
        }
    }
}
