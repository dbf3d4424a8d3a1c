//! The token endpoint of OAuth 2.0 (RFC 6749): client credentials (4.4) and password (4.3) grants.
//!
//! Its errors have the form of section 5.2, not that of the rest of the API. A client shows itself by
//! Basic, by `client_id` and `client_secret` in the body (2.3.1), or by its certificate (RFC 8705 2).
//! Never: keeps a credential.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use axum::{
    body::Body,
    extract::{Extension, Query, State},
    http::{
        HeaderMap, HeaderValue, StatusCode, Uri,
        header::{CACHE_CONTROL, WWW_AUTHENTICATE},
    },
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use smol_str::SmolStr;

use super::{
    Ctx, Services,
    auth::{self, Offer},
    extract::{Reading, media_type, read_body},
    gate::Granted,
    respond::Json,
    routes::Routes,
    server::{Holder, Peer},
};
use crate::{
    access::{Caller, admit::Denied, manage::OAUTH2},
    model::error::Fault,
};

pub const TOKEN: &str = "/oauth2/token";

/// The largest request.
const BODY: u64 = 8 * 1024;

pub fn routes() -> Routes {
    Routes::default().post_raw(TOKEN, token)
}

/// Marks an answer that has its error form already.
#[derive(Clone)]
pub struct OwnForm;

/// RFC 6749 5.1.
#[derive(Serialize)]
struct Given<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
}

/// RFC 6749 5.2.
#[derive(Serialize)]
struct Refusal {
    error: &'static str,
    error_description: &'static str,
}

enum Refused {
    Request(&'static str),
    /// The client is not who it says.
    Client,
    /// The user is not who he says.
    Grant,
    Unsupported,
    Later(Denied),
}

async fn token(
    State(s): Ctx,
    Extension(peer): Extension<Peer>,
    holder: Option<Extension<Holder>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let from = match peer {
        Peer::Remote(a) => a.ip(),
        Peer::Local { .. } => IpAddr::from([127, 0, 0, 1]),
    };
    let form = match form(&s, &headers, body).await {
        Ok(f) => f,
        Err(r) => return refuse(r),
    };
    match who(&s, from, holder.as_ref().map(|h| &h.0), &headers, &form).await {
        Ok(caller) => give(&s, &caller).await,
        Err(r) => refuse(r),
    }
}

/// The parameters: each once (RFC 6749 3.2).
async fn form(s: &Arc<Services>, headers: &HeaderMap, body: Body) -> Result<BTreeMap<String, String>, Refused> {
    if media_type(headers).as_deref() != Some("application/x-www-form-urlencoded") {
        return Err(Refused::Request("the body must be application/x-www-form-urlencoded"));
    }
    let reading = Reading { limit: BODY, ..Reading::of(s) };
    let bytes =
        read_body(headers, body, &reading).await.map_err(|_| Refused::Request("the body cannot be read, or is larger than 8 KiB"))?;
    let unreadable = Refused::Request("the parameters cannot be read");
    let text = String::from_utf8(bytes).unwrap_or_default();
    let Ok(uri) = format!("/?{}", text.trim()).parse::<Uri>() else { return Err(unreadable) };
    let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) else { return Err(unreadable) };
    let mut all = BTreeMap::new();
    for (k, v) in pairs {
        if all.insert(k, v).is_some() {
            return Err(Refused::Request("a parameter is given twice"));
        }
    }
    Ok(all)
}

async fn who(
    s: &Arc<Services>,
    from: IpAddr,
    holder: Option<&Holder>,
    headers: &HeaderMap,
    form: &BTreeMap<String, String>,
) -> Result<Caller, Refused> {
    let get = |k: &str| form.get(k).filter(|v| !v.is_empty()).cloned();
    let basic = match auth::offered(headers) {
        // A token is no way for a client to show itself here.
        None | Some(Offer::Token(_)) => None,
        Some(Offer::Basic { name, password }) => Some((decoded(&name), decoded(&password))),
        Some(Offer::Garbled) => return Err(Refused::Client),
    };
    let in_body = match (get("client_id"), get("client_secret")) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (None, Some(_)) => return Err(Refused::Request("client_secret without client_id")),
        (Some(_) | None, None) => None,
    };
    if basic.is_some() && in_body.is_some() {
        return Err(Refused::Request("the client shows itself in two ways"));
    }
    let client = match basic.or(in_body) {
        Some((id, secret)) => Some(auth::by_password(&s.access, from, id, secret).await.map_err(|d| denied(d, Refused::Client))?),
        None => match holder.and_then(|h| s.access.by_certificate(&h.0)) {
            Some(c) if get("client_id").is_none_or(|id| id == c.name) => Some(c),
            Some(_) => return Err(Refused::Client),
            None => None,
        },
    };
    match form.get("grant_type").map(String::as_str) {
        Some("client_credentials") => client.ok_or(Refused::Client),
        Some("password") => {
            let (Some(name), Some(password)) = (get("username"), get("password")) else {
                return Err(Refused::Request("the password grant needs username and password"));
            };
            auth::by_password(&s.access, from, name, password).await.map_err(|d| denied(d, Refused::Grant))
        }
        Some(_) => Err(Refused::Unsupported),
        None => Err(Refused::Request("grant_type is missing")),
    }
}

fn denied(d: Denied, wrong: Refused) -> Refused {
    match d {
        Denied::Unknown => wrong,
        Denied::Wait { .. } | Denied::Fault(_) => Refused::Later(d),
    }
}

/// RFC 6749 2.3.1: name and secret are form-encoded before they go into Basic. Ours need no encoding, so
/// what does not decode is taken as it is.
fn decoded(text: &str) -> String {
    let read = format!("/?v={text}").parse::<Uri>().ok().and_then(|u| Query::<Vec<(String, String)>>::try_from_uri(&u).ok());
    match read {
        Some(Query(pairs)) if pairs.len() == 1 && text.contains('%') => pairs.into_iter().next().map(|(_, v)| v).unwrap_or_default(),
        _ => text.to_owned(),
    }
}

async fn give(s: &Arc<Services>, caller: &Caller) -> Response {
    let (access, name) = (s.access.clone(), caller.name.clone());
    let life = access.settings().token_life;
    let issued = s.pool.run(move || access.issue_for_a_while(&name, OAUTH2)).await;
    let fresh = match issued {
        Ok(f) => f,
        Err(p) => return p.into_response(),
    };
    let mut r = Json(Given { access_token: fresh.reveal(), token_type: "Bearer", expires_in: life.as_secs() }).into_response();
    r.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    r.extensions_mut().insert(Granted(SmolStr::clone(&caller.name)));
    r
}

fn refuse(r: Refused) -> Response {
    let (status, error, error_description) = match r {
        Refused::Request(why) => (StatusCode::BAD_REQUEST, "invalid_request", why),
        Refused::Client => (StatusCode::UNAUTHORIZED, "invalid_client", "the client is not known, or its secret is wrong"),
        Refused::Grant => (StatusCode::BAD_REQUEST, "invalid_grant", "username or password is wrong"),
        Refused::Unsupported => (StatusCode::BAD_REQUEST, "unsupported_grant_type", "served here: client_credentials and password"),
        Refused::Later(d) => return auth::problem(d).into_response(),
    };
    let mut r = (status, Json(Refusal { error, error_description })).into_response();
    r.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        r.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"bothy\""));
    }
    r.extensions_mut().insert(OwnForm);
    let why = Fault::invalid(format!("{error}: {error_description}"));
    tracing::debug!(%why, "no token was given");
    r
}
