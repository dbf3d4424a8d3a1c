//! ETags, preconditions and byte ranges (RFC 9110 13 and 14; SOL013 table 6.4-1: 412, 416).

use std::ops::RangeInclusive;

use axum::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_RANGE, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE},
};

use data_encoding::HEXLOWER;

use super::problem::{Answer, Problem};
use crate::model::error::{Fault, Result};

/// The strong ETag of a file: its content's digest.
pub fn file_tag(sha256: &[u8; 32]) -> HeaderValue {
    HeaderValue::try_from(format!("\"{}\"", HEXLOWER.encode(sha256))).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The strong ETag of a record's revision.
pub fn etag(revision: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

fn matches(headers: &HeaderMap, name: &HeaderName, tag: &HeaderValue) -> Option<bool> {
    let mut given = headers.get_all(name).iter().peekable();
    given.peek()?;
    Some(given.any(|v| v.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii).any(|t| t == b"*" || t == tag.as_bytes())))
}

/// A PATCH or DELETE goes on only if its `If-Match` names the resource as it is: to be asked in the
/// transaction that changes it, of the record as it is there.
pub fn if_match(headers: &HeaderMap, revision: u64) -> Result<()> {
    if matches(headers, &IF_MATCH, &etag(revision)) == Some(false) {
        return Err(Fault::stale("the resource has changed since it was read: its ETag is another; read it again"));
    }
    Ok(())
}

/// A GET whose client has this version already is answered 304. Weak tags count here (RFC 9110 13.1.2).
pub fn not_modified(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().flat_map(|v| v.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    given.map(|t| t.strip_prefix(b"W/").unwrap_or(t)).any(|t| t == b"*" || t == tag.as_bytes())
}

/// The one byte range asked for, within `size` bytes. `None`: send it whole. Several ranges are
/// answered whole too, as RFC 9110 14.2 allows; and where `If-Range` names another version than `tag`, or a date (13.1.5).
pub fn range(headers: &HeaderMap, size: u64, tag: &HeaderValue) -> Answer<Option<RangeInclusive<u64>>> {
    if headers.get(IF_RANGE).is_some_and(|v| v != tag) {
        return Ok(None);
    }
    let Some(spec) = headers.get(RANGE).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let Some((from, to)) = spec.split_once('-').filter(|_| !spec.contains(',')) else { return Ok(None) };
    let (from, to) = (from.trim(), to.trim());
    let last = size.saturating_sub(1);
    let wanted = match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(a), Ok(b)) if a <= b => a..=b.min(last),
        (Ok(a), Err(_)) if to.is_empty() => a..=last,
        (Err(_), Ok(n)) if from.is_empty() && n > 0 => size.saturating_sub(n)..=last,
        (Err(_), Ok(_)) if from.is_empty() => size..=last,
        _ => return Ok(None),
    };
    if *wanted.start() >= size {
        let all = HeaderValue::try_from(format!("bytes */{size}")).unwrap_or(HeaderValue::from_static("bytes */0"));
        let p = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("there are only {size} bytes"));
        return Err(Box::new(p.header(CONTENT_RANGE, all)));
    }
    Ok(Some(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().expect("header"))])
    }

    #[test]
    fn if_match_lets_through_only_the_version_it_names() {
        let tag = etag(7);
        for (value, ok) in [("\"7\"", true), ("\"6\", \"7\"", true), ("*", true), ("\"6\"", false), ("W/\"7\"", false), ("7", false)] {
            assert_eq!(if_match(&with(IF_MATCH, value), 7).is_ok(), ok, "{value}");
        }
        assert!(if_match(&HeaderMap::new(), 7).is_ok());
        assert!(not_modified(&with(IF_NONE_MATCH, "\"7\""), &tag));
        assert!(not_modified(&with(IF_NONE_MATCH, "\"6\", W/\"7\""), &tag));
        assert!(!not_modified(&with(IF_NONE_MATCH, "\"8\""), &tag) && !not_modified(&HeaderMap::new(), &tag));
    }

    #[test]
    fn ranges_are_cut_to_what_is_there() {
        for (spec, want) in [
            ("bytes=0-0", Some(Some(0..=0))),
            ("bytes=2-99", Some(Some(2..=9))),
            ("bytes=4-", Some(Some(4..=9))),
            ("bytes=-3", Some(Some(7..=9))),
            ("bytes=-30", Some(Some(0..=9))),
            ("bytes=10-", None),
            ("bytes=-0", None),
            ("bytes=5-4", Some(None)),
            ("bytes=0-1,3-4", Some(None)),
            ("lines=1-2", Some(None)),
            ("bytes=x-y", Some(None)),
        ] {
            assert_eq!(range(&with(RANGE, spec), 10, &etag(7)).ok(), want, "{spec}");
        }
        assert!(range(&with(RANGE, "bytes=0-"), 0, &etag(7)).is_err());
    }

    #[test]
    fn a_range_is_cut_of_the_version_that_if_range_names() {
        let tag = file_tag(&[0xab; 32]);
        let ours = format!("\"{}\"", "ab".repeat(32));
        for (validator, want) in
            [(ours.as_str(), Some(4..=9)), ("\"7\"", None), (&*format!("W/{ours}"), None), ("Mon, 30 Nov 2026 20:00:00 GMT", None)]
        {
            let mut headers = with(RANGE, "bytes=4-");
            headers.insert(IF_RANGE, validator.parse().expect("header"));
            assert_eq!(range(&headers, 10, &tag).ok(), Some(want), "{validator}");
        }
    }
}
