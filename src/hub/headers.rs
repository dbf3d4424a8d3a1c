//! Which headers pass between a client of the hub and a box, and how. Pure.
//!
//! Request: nothing that belongs to one connection (RFC 9110 7.6.1), no credentials (they are the hub's), and no word of others on
//! where the client came from; then the hub's own word on that. Answer: nothing of one connection or of the hub's own origin, and
//! a place that is the box's own as the client reaches it; one elsewhere is taken out.

use hyper::{
    HeaderMap,
    header::{CONNECTION, HeaderName, HeaderValue, LINK, LOCATION},
};

use crate::model::error::{Fault, Result};

/// Of one connection.
const HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Of a request, besides: credentials, who is asked, and what only the hub says.
const NOT_IN: [&str; 7] = ["authorization", "x-auth-token", "cookie", "host", "expect", "forwarded", "bothy-project"];
const SAID_BY_HUB: &str = "x-forwarded-";
/// Of an answer, besides: what would count for the hub itself, and for all boxes behind it.
const NOT_OUT: [&str; 6] =
    ["set-cookie", "www-authenticate", "alt-svc", "strict-transport-security", "clear-site-data", "access-control-allow-origin"];

/// Where a client finds a box: `https://hub:9443` and `/boxes/BX-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    scheme: String,
    host: String,
    prefix: String,
}

impl Place {
    /// `base`: as the client reached the hub, with the hub's own prefix where it is behind another.
    pub fn new(base: &str, serial: &str) -> Result<Place> {
        let odd = || Fault::invalid(format!("'{base}' is no place of a hub"));
        let (scheme, rest) = base.split_once("://").ok_or_else(odd)?;
        let (host, prefix) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Ok(Place { scheme: scheme.to_owned(), host: host.to_owned(), prefix: format!("{prefix}/boxes/{serial}") })
    }

    /// A place in an answer as it is for the client; `None`: it is not the box's.
    fn seen(&self, at: &str) -> Option<String> {
        // A client takes these out of a path, and is elsewhere then.
        let path = at.split(['?', '#']).next().unwrap_or_default();
        let dots = |p: &str| [".", ".."].contains(&p.to_ascii_lowercase().replace("%2e", ".").as_str());
        if path.contains('\\') || path.split('/').any(dots) {
            return None;
        }
        if let Some(rest) = at.strip_prefix('/') {
            // `//host/path` names another host.
            return (!rest.starts_with('/')).then(|| format!("{}{at}", self.prefix));
        }
        let mine = at.strip_prefix(&self.scheme)?.strip_prefix("://")?.strip_prefix(&self.host)?.strip_prefix(&self.prefix)?;
        (mine.is_empty() || mine.starts_with(['/', '?'])).then(|| at.to_owned())
    }
}

fn of_the_connection(h: &mut HeaderMap) {
    let named = h.get_all(CONNECTION).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    let named: Vec<HeaderName> = named.filter_map(|n| n.trim().parse().ok()).collect();
    for n in named {
        h.remove(n);
    }
    for n in HOP {
        h.remove(n);
    }
}

/// As a request goes on to the box.
pub fn to_box(h: &mut HeaderMap, place: &Place) -> Result<()> {
    of_the_connection(h);
    for n in NOT_IN {
        h.remove(n);
    }
    let said: Vec<HeaderName> = h.keys().filter(|n| n.as_str().starts_with(SAID_BY_HUB)).cloned().collect();
    for n in said {
        h.remove(n);
    }
    for (name, value) in [("proto", &place.scheme), ("host", &place.host), ("prefix", &place.prefix)] {
        let bad = || Fault::invalid(format!("'{value}' cannot be told to the box"));
        let name: HeaderName = format!("{SAID_BY_HUB}{name}").parse().map_err(|_| bad())?;
        h.insert(name, HeaderValue::try_from(value.as_str()).map_err(|_| bad())?);
    }
    Ok(())
}

/// As an answer goes back.
pub fn from_box(h: &mut HeaderMap, place: &Place) {
    of_the_connection(h);
    for n in NOT_OUT {
        h.remove(n);
    }
    let whole = |text: String| HeaderValue::try_from(text).ok();
    if let Some(at) = h.remove(LOCATION)
        && let Some(at) = at.to_str().ok().and_then(|at| place.seen(at)).and_then(whole)
    {
        h.insert(LOCATION, at);
    }
    let links: Vec<HeaderValue> = h.get_all(LINK).iter().filter_map(|v| link(v, place)).collect();
    h.remove(LINK);
    for l in links {
        h.append(LINK, l);
    }
}

/// One link (RFC 8288), as Bothy writes them: one to a header.
fn link(v: &HeaderValue, place: &Place) -> Option<HeaderValue> {
    let (at, of) = v.to_str().ok()?.strip_prefix('<')?.split_once('>')?;
    if of.contains('<') {
        return None;
    }
    HeaderValue::try_from(format!("<{}>{of}", place.seen(at)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new("https://hub:9443", "BX-1").expect("place")
    }

    fn map(all: &[(&str, &str)]) -> HeaderMap {
        let mut h = HeaderMap::new();
        for (n, v) in all {
            h.append(n.parse::<HeaderName>().expect("name"), v.parse().expect("value"));
        }
        h
    }

    fn names(h: &HeaderMap) -> Vec<&str> {
        let mut all: Vec<&str> = h.keys().map(HeaderName::as_str).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_request_brings_its_content_and_no_credentials_no_connection_and_no_lies_about_its_way() {
        let mut h = map(&[
            ("connection", "close, X-Mine"),
            ("connection", "te"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "Basic eDp5"),
            ("authorization", "Bearer bothy_x"),
            ("x-auth-token", "bothy_x"),
            ("cookie", "a=b"),
            ("host", "hub:9443"),
            ("expect", "100-continue"),
            ("forwarded", "host=evil"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-prefix", "/evil"),
            ("x-forwarded-for", "192.0.2.1"),
            ("bothy-project", "other"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("if-match", "\"1\""),
            ("version", "2.0.0"),
        ]);
        to_box(&mut h, &place()).expect("headers");
        assert_eq!(
            names(&h),
            ["content-length", "content-type", "if-match", "version", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto"]
        );
        let said = ["proto", "host", "prefix"].map(|n| h[format!("x-forwarded-{n}")].to_str().expect("text"));
        assert_eq!(said, ["https", "hub:9443", "/boxes/BX-1"]);
    }

    #[test]
    fn a_hub_behind_a_hub_tells_the_whole_way() {
        let p = Place::new("https://top/boxes/HUB", "BX-1").expect("place");
        assert_eq!((p.host.as_str(), p.prefix.as_str()), ("top", "/boxes/HUB/boxes/BX-1"));
    }

    #[test]
    fn a_place_in_an_answer_is_the_boxs_own_as_the_client_reaches_it_or_none() {
        for (at, want) in [
            ("/vnflcm/v2/vnf_instances/1", Some("/boxes/BX-1/vnflcm/v2/vnf_instances/1")),
            ("https://hub:9443/boxes/BX-1/x?y", Some("https://hub:9443/boxes/BX-1/x?y")),
            ("https://hub:9443/boxes/BX-1", Some("https://hub:9443/boxes/BX-1")),
            ("https://hub:9443/boxes/BX-10/x", None),
            ("https://hub:9443/bothy/v1/users", None),
            ("https://hub:94431/boxes/BX-1/x", None),
            ("http://hub:9443/boxes/BX-1/x", None),
            ("https://evil/boxes/BX-1/x", None),
            ("//evil/x", None),
            ("/../../bothy/v1/users", None),
            ("https://hub:9443/boxes/BX-1/../BX-2/x", None),
            ("/%2E%2e/x", None),
            ("/a\\..\\x", None),
            ("/x?a=..", Some("/boxes/BX-1/x?a=..")),
            ("/\\evil/x", None),
            ("x", None),
        ] {
            let mut h = map(&[("location", at)]);
            from_box(&mut h, &place());
            assert_eq!(h.get(LOCATION).map(|v| v.to_str().expect("text")), want, "{at}");
            let mut h = map(&[("link", &format!("<{at}>; rel=\"next\""))]);
            from_box(&mut h, &place());
            let want = want.map(|w| format!("<{w}>; rel=\"next\""));
            assert_eq!(h.get(LINK).map(|v| v.to_str().expect("text")), want.as_deref(), "{at}");
        }
    }

    #[test]
    fn an_answer_says_nothing_for_the_hub_itself() {
        let mut h = map(&[
            ("set-cookie", "a=b"),
            ("www-authenticate", "Bearer"),
            ("alt-svc", "h2=\"evil:443\""),
            ("strict-transport-security", "max-age=0"),
            ("connection", "etag"),
            ("etag", "\"1\""),
            ("retry-after", "5"),
            ("version", "2.0.0"),
            ("link", "<//evil>; rel=\"next\", </x>; rel=\"next\""),
        ]);
        from_box(&mut h, &place());
        assert_eq!(names(&h), ["retry-after", "version"]);
    }
}
