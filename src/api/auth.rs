//! Who is calling: tokens, and the peer of the UNIX socket.
//!
//! Owns: the token file, the headers a token may come in (SOL013 8: `Authorization: Bearer`, Basic
//! with the user `admin`; `X-Auth-Token` as OpenStack's clients send it). Deny by default; there is
//! no default password. Never: keeps a token in the clear.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    sync::{PoisonError, RwLock},
};

use axum::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use camino::Utf8PathBuf;
use data_encoding::{BASE32_NOPAD, BASE64, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::{problem::Problem, server::Peer};
use crate::model::error::{Fault, Result};

/// A caller that was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub name: SmolStr,
}

/// The tokens that open the door, as SHA-256 hashes in a 0600 file: one `name hash` per line.
pub struct Tokens {
    path: Utf8PathBuf,
    known: RwLock<Vec<(SmolStr, [u8; 32])>>,
}

/// A token in the clear, to be shown once. It has no `Debug`, so that no log can hold it.
pub struct FreshToken(String);

impl FreshToken {
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

pub const ADMIN: &str = "admin";

impl Tokens {
    /// Reads the file. `None`: it is not there yet, so the box is not provisioned.
    pub fn open(path: Utf8PathBuf) -> Result<(Self, bool)> {
        let text = match std::fs::read_to_string(&path) {
            Ok(t) => t,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Fault::transient(format!("cannot read the tokens in {path}: {e}")).with_source(e)),
        };
        let mut known = Vec::new();
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let parsed = line.split_once(' ').and_then(|(n, h)| {
                let hash: [u8; 32] = HEXLOWER_PERMISSIVE.decode(h.trim().as_bytes()).ok()?.try_into().ok()?;
                Some((SmolStr::new(n), hash))
            });
            // A damaged line must not open the door, nor make the box look fresh.
            known.push(parsed.ok_or_else(|| Fault::conflict(format!("{path}, line {}: not a name and a SHA-256 hash", i + 1)))?);
        }
        let provisioned = !known.is_empty();
        Ok((Tokens { path, known: RwLock::new(known) }, provisioned))
    }

    /// Makes a token, stores its hash, and hands it out this one time.
    pub fn issue(&self, name: &str) -> Result<FreshToken> {
        let mut raw = [0u8; 20];
        getrandom::fill(&mut raw).map_err(|e| Fault::transient(format!("the system gave no random bytes: {e}")))?;
        let token = format!("bothy_{}", BASE32_NOPAD.encode(&raw).to_ascii_lowercase());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = known.clone();
        next.push((SmolStr::new(name), Sha256::digest(token.as_bytes()).into()));
        self.write(&next)?;
        *known = next;
        Ok(FreshToken(token))
    }

    fn write(&self, all: &[(SmolStr, [u8; 32])]) -> Result<()> {
        let save = || -> std::io::Result<()> {
            let temp = self.path.with_extension("new");
            let mut f = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
            for (name, hash) in all {
                writeln!(f, "{name} {}", HEXLOWER_PERMISSIVE.encode(hash))?;
            }
            f.sync_all()?;
            std::fs::rename(&temp, &self.path)?;
            self.path.parent().map_or(Ok(()), |d| std::fs::File::open(d)?.sync_all())
        };
        save().map_err(|e| Fault::transient(format!("cannot write the tokens to {}: {e}", self.path)).with_source(e))
    }

    fn find(&self, token: &[u8]) -> Option<Principal> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        // Every entry is compared, whole: the time taken tells nothing.
        let mut found = None;
        for (name, h) in known.iter() {
            if h.iter().zip(&hash).fold(0, |d, (a, b)| d | (a ^ b)) == 0 {
                found = Some(Principal { name: name.clone() });
            }
        }
        found
    }

    /// Lets a caller in, or says how to come again.
    pub fn admit(&self, peer: &Peer, headers: &HeaderMap) -> Result<Principal, Box<Problem>> {
        match peer {
            Peer::Local { .. } => return Ok(Principal { name: SmolStr::new_static("root@localhost") }),
            Peer::Remote(_) => {}
        }
        let given = credentials(headers);
        if let Some(p) = given.as_deref().and_then(|t| self.find(t)) {
            return Ok(p);
        }
        let detail = match given {
            Some(_) => "the token is not known here",
            None => "this needs a token: Authorization: Bearer, Basic with user admin, or X-Auth-Token",
        };
        Err(Box::new(
            Problem::new(StatusCode::UNAUTHORIZED, detail)
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bothy\""))
                .header(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"bothy\"")),
        ))
    }
}

/// The token a request carries, in any of its forms.
fn credentials(headers: &HeaderMap) -> Option<Vec<u8>> {
    if let Some(v) = headers.get("x-auth-token") {
        return Some(v.as_bytes().to_vec());
    }
    let (scheme, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let plain = BASE64.decode(rest.as_bytes()).ok()?;
        return Some(plain.strip_prefix(b"admin:")?.to_vec());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn headers(name: &'static str, value: String) -> HeaderMap {
        let mut h = HeaderMap::new();
        h.insert(name, value.parse().expect("header"));
        h
    }

    #[test]
    fn a_token_opens_in_each_form_outlives_a_restart_and_is_never_on_disk() {
        let dir = tempfile::tempdir().expect("dir");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("tokens")).expect("utf-8");
        let (tokens, provisioned) = Tokens::open(path.clone()).expect("open");
        assert!(!provisioned);
        let token = tokens.issue(ADMIN).expect("token").reveal().to_owned();
        let (again, provisioned) = Tokens::open(path.clone()).expect("reopen");
        assert!(provisioned);
        let text = std::fs::read_to_string(&path).expect("file");
        assert!(!text.contains(&token));
        assert_eq!(std::fs::metadata(&path).expect("meta").permissions().mode() & 0o777, 0o600);

        let far = Peer::Remote("192.0.2.1:1".parse().expect("addr"));
        let basic = |user: &str, t: &str| format!("Basic {}", BASE64.encode(format!("{user}:{t}").as_bytes()));
        for (h, let_in) in [
            (headers("authorization", format!("Bearer {token}")), true),
            (headers("authorization", format!("bearer  {token}")), true),
            (headers("x-auth-token", token.clone()), true),
            (headers("authorization", basic("admin", &token)), true),
            (headers("authorization", basic("root", &token)), false),
            (headers("authorization", basic("admin", "")), false),
            (headers("authorization", format!("Bearer {token}x")), false),
            (headers("authorization", "Bearer".into()), false),
            (headers("authorization", "Digest abc".into()), false),
            (HeaderMap::new(), false),
        ] {
            let got = again.admit(&far, &h);
            assert_eq!(got.is_ok(), let_in, "{h:?}");
            if let Err(p) = got {
                assert_eq!(p.status, StatusCode::UNAUTHORIZED);
                assert_eq!(p.headers.iter().filter(|(n, _)| n == WWW_AUTHENTICATE).count(), 2);
            }
        }
        assert!(again.admit(&Peer::Local { uid: 0 }, &HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_damaged_token_file_is_a_fault_and_not_a_fresh_box() {
        let dir = tempfile::tempdir().expect("dir");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("tokens")).expect("utf-8");
        std::fs::write(&path, "admin 00ff\n").expect("write");
        assert!(Tokens::open(path).is_err());
    }
}
