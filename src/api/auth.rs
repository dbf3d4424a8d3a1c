//! Who is calling: the headers and certificates in which a caller shows himself (SOL013 8).
//!
//! `Authorization: Bearer` or Basic, `X-Auth-Token` as OpenStack's clients send it, a client certificate, or
//! the peer of the UNIX socket. What is given must be right: a wrong token is not passed over for a
//! certificate. Deny by default; there is no default password. Never: which permission is needed.

use std::{net::IpAddr, sync::Arc};

use axum::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use data_encoding::BASE64;

use super::{
    problem::{Answer, Problem},
    server::{Holder, Peer},
};
use crate::{
    access::{Access, Caller, admit::Denied},
    model::error::Fault,
};

/// The project a caller of all projects acts in; what he sees is then that project's only.
pub const PROJECT: &str = "bothy-project";

/// What a request's head offers.
pub enum Offer {
    Token(String),
    Basic {
        name: String,
        password: String,
    },
    /// Something that is none of these forms.
    Garbled,
}

/// The credentials of a request's headers, if there are any.
pub fn offered(headers: &HeaderMap) -> Option<Offer> {
    if let Some(v) = headers.get("x-auth-token") {
        return Some(v.to_str().map_or(Offer::Garbled, |t| Offer::Token(t.to_owned())));
    }
    let value = headers.get(AUTHORIZATION)?;
    Some(read(value).unwrap_or(Offer::Garbled))
}

fn read(value: &HeaderValue) -> Option<Offer> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(Offer::Token(rest.to_owned()));
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let plain = String::from_utf8(BASE64.decode(rest.as_bytes()).ok()?).ok()?;
        let (name, password) = plain.split_once(':')?;
        return Some(Offer::Basic { name: name.to_owned(), password: password.to_owned() });
    }
    None
}

/// Lets a caller in, or says how to come again.
pub async fn admit(access: &Arc<Access>, peer: &Peer, holder: Option<&Holder>, headers: &HeaderMap) -> Answer<Caller> {
    let caller = match peer {
        Peer::Local { .. } => Caller::root(),
        Peer::Remote(from) => {
            let caller = known(access, from.ip(), holder, headers).await?;
            access.take(from.ip(), &caller).map_err(problem)?;
            caller
        }
    };
    match headers.get(PROJECT).map(HeaderValue::to_str) {
        None => Ok(caller),
        Some(named) => Ok(access.acting_in(caller, named.unwrap_or_default())?),
    }
}

async fn known(access: &Arc<Access>, from: IpAddr, holder: Option<&Holder>, headers: &HeaderMap) -> Answer<Caller> {
    match (offered(headers), holder) {
        (Some(Offer::Token(t)), _) => access.by_token(&t).ok_or_else(|| unknown("the token is not known here, or has expired")),
        (Some(Offer::Basic { name, password }), _) => by_password(access, from, name, password).await.map_err(problem),
        (Some(Offer::Garbled), _) => Err(unknown("the credentials cannot be read")),
        (None, Some(h)) => access.by_certificate(&h.0).ok_or_else(|| unknown("no client, or more than one, has this certificate")),
        (None, None) => Err(unknown(
            "this needs a token (Authorization: Bearer, or X-Auth-Token), a name and password (Basic), or a client certificate",
        )),
    }
}

/// Name and password; argon2 runs where it may block.
pub async fn by_password(access: &Arc<Access>, from: IpAddr, name: String, password: String) -> Result<Caller, Denied> {
    if let Some(c) = access.by_password_at_once(from, &name, &password)? {
        return Ok(c);
    }
    let access = access.clone();
    let checked = tokio::task::spawn_blocking(move || access.by_password(from, &name, &password)).await;
    checked.unwrap_or_else(|_| Err(Denied::Fault(Fault::bug("a password could not be checked"))))
}

pub fn problem(d: Denied) -> Box<Problem> {
    match d {
        Denied::Unknown => unknown("name or password is wrong"),
        Denied::Wait { why, after } => {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            let p = Problem::new(StatusCode::TOO_MANY_REQUESTS, why);
            Box::new(p.header(RETRY_AFTER, HeaderValue::from(seconds.max(1))))
        }
        Denied::Fault(f) => f.into(),
    }
}

fn unknown(detail: &str) -> Box<Problem> {
    Box::new(
        Problem::new(StatusCode::UNAUTHORIZED, detail)
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bothy\""))
            .header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"bothy\"")),
    )
}
