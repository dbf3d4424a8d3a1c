//! Lists of resources: filter, selectors and pages, the same for every collection (SOL013 5.2 to 5.4).
//!
//! Owns: the query parameters of a list, the marker between two pages, and the walk over a table. Pages
//! go by key: an entry that is there during the whole walk is shown exactly once, whatever is made or
//! deleted meanwhile. Never: which table.

use axum::{
    http::{
        HeaderValue, Uri,
        header::{HeaderName, LINK},
    },
    response::{IntoResponse as _, Response},
};
use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Services,
    convert::Base,
    problem::{Answer, Problem},
    respond::Json,
};
use crate::{
    model::{
        access::Owned,
        error::{Fault, Result},
    },
    nfvo::Nfvo,
    sol::{
        filter::Filter,
        shape::{Selector, Shape},
    },
};

const MARKER: &str = "nextpage_opaque_marker";
/// Entries read at one time, at least.
const CHUNK: usize = 64;

/// What a client asks of a list.
#[derive(Debug, Clone)]
pub struct Query {
    filter: Filter,
    selector: Selector,
    shape: &'static Shape,
    after: Option<Uuid>,
    /// The query without the marker, as it came: it belongs to the next page too.
    rest: String,
    path: String,
}

impl Query {
    /// 400 for what the standard does not know, an attribute the resource does not have, or a marker
    /// that is not one of ours for this very query.
    pub fn parse(uri: &Uri, shape: &'static Shape) -> Answer<Query> {
        Query::parse_also(uri, shape, &[])
    }

    /// The same where a filter may name these besides.
    pub fn parse_also(uri: &Uri, shape: &'static Shape, also: &[&str]) -> Answer<Query> {
        let bad = |why: String| Box::new(Problem::malformed(why));
        let axum::extract::Query(pairs) =
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| bad("the query cannot be read".into()))?;
        let mut filter = Filter::default();
        let (mut all, mut default, mut fields, mut without, mut marker) = (false, false, None, None, None);
        for (name, value) in &pairs {
            let given_twice = match name.as_str() {
                "filter" => {
                    filter.add(value).map_err(&bad)?;
                    false
                }
                "all_fields" => std::mem::replace(&mut all, true),
                "exclude_default" => std::mem::replace(&mut default, true),
                "fields" => fields.replace(value.as_str()).is_some(),
                "exclude_fields" => without.replace(value.as_str()).is_some(),
                MARKER => marker.replace(value.as_str()).is_some(),
                old => {
                    let first = old.split('.').next().unwrap_or(old);
                    if !shape.members.contains(&first) && !also.contains(&first) {
                        return Err(bad(format!(
                            "unknown query parameter '{old}'; known here: filter, all_fields, fields, exclude_fields, exclude_default, {MARKER}, and the attributes of the resource"
                        )));
                    }
                    filter.add_old(old, value).map_err(&bad)?;
                    false
                }
            };
            if given_twice {
                return Err(bad(format!("the query parameter '{name}' is given twice")));
            }
        }
        if let Some(m) = filter.members().find(|m| !shape.members.contains(m) && !also.contains(m)) {
            return Err(bad(format!("the filter names '{m}', which the resource does not have; it has {}", shape.members.join(", "))));
        }
        let selector = Selector::parse(all, fields, without, default, shape).map_err(&bad)?;
        let rest: Vec<&str> = uri.query().unwrap_or("").split('&').filter(|p| !p.is_empty() && !p.starts_with(MARKER)).collect();
        let (rest, path) = (rest.join("&"), uri.path().to_owned());
        let mut query = Query { filter, selector, shape, after: None, rest, path };
        if let Some(m) = marker {
            query.after = Some(query.unmark(m).ok_or_else(|| bad(format!("{MARKER} is none that was given out for this query")))?);
        }
        Ok(query)
    }

    /// Whether an entry is wanted that is no page's.
    pub fn wants(&self, v: &Value) -> bool {
        self.filter.wants(v)
    }
    pub fn has_filter(&self) -> bool {
        self.filter.members().next().is_some()
    }
    /// Takes out of it what is not asked for.
    pub fn select(&self, v: &mut Value) {
        self.selector.apply(v, self.shape);
    }

    /// Whether a member has to be known: it is shown, or the filter looks at it.
    pub fn needs(&self, member: &str) -> bool {
        self.selector.may_show(member, self.shape) || self.filter.members().any(|m| m == member)
    }

    /// A marker is the last key shown and a digest of the query, so that it serves that query only. It
    /// lets nobody see what he may not: it only says where to go on.
    fn mark(&self, last: Uuid) -> String {
        BASE64URL_NOPAD.encode(&[last.as_bytes().as_slice(), &self.digest()].concat())
    }
    fn unmark(&self, marker: &str) -> Option<Uuid> {
        let raw = BASE64URL_NOPAD.decode(marker.as_bytes()).ok()?;
        let (id, digest) = raw.split_first_chunk::<16>()?;
        (digest == self.digest()).then(|| Uuid::from_bytes(*id))
    }
    fn digest(&self) -> [u8; 8] {
        let whole: [u8; 32] = Sha256::digest(format!("{}?{}", self.path, self.rest)).into();
        let mut short = [0; 8];
        short.copy_from_slice(&whole[..8]);
        short
    }

    /// Up to `size` entries that are wanted, as they are shown, and the key to go on after.
    ///
    /// `page` gives entries in the order of their keys, after a key, and whether there are more.
    fn walk<T, S: Serialize>(
        &self,
        size: usize,
        mut page: impl FnMut(Option<Uuid>, usize) -> Result<Page<T>>,
        mut show: impl FnMut(T) -> Result<S>,
    ) -> Result<(Vec<Value>, Option<Uuid>)> {
        let (mut out, mut last) = (Vec::new(), self.after);
        let mut at = self.after;
        loop {
            let Page { entries, read_to, more } = page(at, CHUNK.max(size.saturating_add(1).min(4 * CHUNK)))?;
            // A page of which nothing is for this caller is passed over, not read for ever.
            at = read_to.or(at);
            for (key, entry) in entries {
                let mut v =
                    serde_json::to_value(show(entry)?).map_err(|e| Fault::bug("a resource cannot be written as JSON").with_source(e))?;
                if !self.filter.wants(&v) {
                    continue;
                }
                if out.len() == size {
                    return Ok((out, last));
                }
                self.selector.apply(&mut v, self.shape);
                out.push(v);
                last = Some(key);
            }
            if !more {
                return Ok((out, None));
            }
        }
    }
}

/// A part of a table.
pub struct Page<T> {
    pub entries: Vec<(Uuid, T)>,
    /// The last key that was read, also of an entry that was left out.
    pub read_to: Option<Uuid>,
    pub more: bool,
}

impl<T> Page<T> {
    /// What was read with a limit: as many as were asked for means that there may be more.
    pub fn of(entries: Vec<T>, limit: usize, key: impl Fn(&T) -> Uuid) -> Self {
        let read_to = entries.last().map(&key);
        Page { more: entries.len() >= limit, read_to, entries: entries.into_iter().map(|e| (key(&e), e)).collect() }
    }
}

/// Answers a list of what the caller sees: 200 with the entries, and `Link` to the next page where there is
/// one. What other projects own is passed over here, for every collection.
pub async fn list<T: Owned, S: Serialize>(
    s: &Services,
    base: &Base,
    query: Query,
    page: impl Fn(&Nfvo, Option<Uuid>, usize) -> Result<Page<T>> + Send + 'static,
    show: impl Fn(&Nfvo, T) -> Result<S> + Send + 'static,
) -> Answer<Response> {
    let size = s.config.now().limits.page as usize;
    let link_to = base.0.clone();
    let (entries, link) = s
        .domain(move |n| {
            let seen = |mut p: Page<T>| {
                p.entries.retain(|(_, e)| n.caller().sees_all_of(e));
                if n.caller().element {
                    let mut of_his = Vec::new();
                    for (key, e) in p.entries {
                        if n.caller().has_in_charge(n.vnfm().store(), &e)? {
                            of_his.push((key, e));
                        }
                    }
                    p.entries = of_his;
                }
                Ok(p)
            };
            let (entries, next) = query.walk(size, |after, limit| page(n, after, limit).and_then(seen), |e| show(n, e))?;
            let link = next.map(|last| {
                let and = if query.rest.is_empty() { "" } else { "&" };
                format!("<{link_to}{}?{}{and}{MARKER}={}>; rel=\"next\"", query.path, query.rest, query.mark(last))
            });
            Ok((entries, link))
        })
        .await?;
    let mut response = Json(entries).into_response();
    if let Some(link) = link {
        let name: HeaderName = LINK;
        let value = HeaderValue::try_from(link).map_err(|e| Fault::bug("a link cannot be a header").with_source(e))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    static SHAPE: Shape = Shape { members: &["id", "n", "c"], required: &["id"], left_out: &["c"] };

    fn parse(query: &str) -> Answer<Query> {
        Query::parse(&format!("/list?{query}").parse().expect("uri"), &SHAPE)
    }

    #[test]
    fn what_cannot_be_asked_is_400_and_says_why() {
        for (query, says) in [
            ("colour=red", "unknown query parameter 'colour'"),
            ("filter=(eq,colour,red)", "the filter names 'colour'"),
            ("filter=eq", "cannot be read at character 1"),
            ("fields=colour", "no attribute 'colour'"),
            ("all_fields&exclude_default", "one is given"),
            ("fields=c&fields=c", "given twice"),
            ("nextpage_opaque_marker=abc", "none that was given out"),
        ] {
            let p = parse(query).expect_err(query);
            assert_eq!(p.status.as_u16(), 400, "{query}");
            assert!(p.detail.contains(says), "{query}: {}", p.detail);
        }
        let q = parse("n.eq=1&filter=(gt,c,2)").expect("query");
        assert!(q.needs("c") && q.needs("n"));
        assert!(!parse("n=1").expect("query").needs("c") && parse("fields=c").expect("query").needs("c"));
    }

    #[test]
    fn a_marker_serves_the_query_it_was_made_for() {
        let marker = parse("n=1").expect("query").mark(Uuid::from_u128(7));
        assert_eq!(parse(&format!("n=1&{MARKER}={marker}")).expect("query").after, Some(Uuid::from_u128(7)));
        assert!(parse(&format!("n=2&{MARKER}={marker}")).is_err());
    }

    #[derive(Debug, Clone)]
    enum Change {
        Insert(u8, u8),
        Delete(u8),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![(any::<u8>(), 0u8..3).prop_map(|(k, n)| Change::Insert(k, n)), any::<u8>().prop_map(Change::Delete)]
    }

    proptest! {
        /// Pages against a plain map that is changed between them: what was there all the time and is
        /// wanted comes exactly once, in order; nothing comes twice, nothing unwanted comes.
        #[test]
        fn pages_survive_changes(
            start in prop::collection::btree_map(any::<u8>(), 0u8..3, 0..60),
            changes in prop::collection::vec(prop::collection::vec(change(), 0..6), 0..30),
            size in 1usize..9,
            chunk in 1usize..12,
        ) {
            let table = RefCell::new(start.clone());
            let mut always: BTreeMap<u8, u8> = start;
            let (mut seen, mut marker) = (Vec::new(), None::<String>);
            let mut changes = changes.into_iter();
            loop {
                let query = marker.as_ref().map_or("n=1".to_owned(), |m| format!("n=1&{MARKER}={m}"));
                let query = parse(&query).expect("query");
                let read = |after: Option<Uuid>, limit: usize| {
                    let limit = limit.min(chunk);
                    let from = after.map_or(0, |a| a.as_u128() as u32 + 1);
                    let part: Vec<(u8, u8)> = table.borrow().iter().filter(|(k, _)| u32::from(**k) >= from).take(limit).map(|(k, n)| (*k, *n)).collect();
                    Ok(Page::of(part, limit, |(k, _)| Uuid::from_u128(u128::from(*k))))
                };
                let (entries, next) = query.walk(size, read, |(k, n)| Ok(json!({"id": k, "n": n}))).expect("walk");
                prop_assert!(entries.len() <= size);
                for e in &entries {
                    prop_assert_eq!(&e["n"], 1);
                    seen.push(e["id"].as_u64().expect("id") as u8);
                }
                let Some(next) = next else { break };
                prop_assert_eq!(entries.len(), size, "a page that is not the last is full");
                marker = Some(query.mark(next));
                for c in changes.next().unwrap_or_default() {
                    match c {
                        Change::Insert(k, n) => {
                            if table.borrow_mut().insert(k, n).is_some_and(|old| old != n) { always.remove(&k); }
                        }
                        Change::Delete(k) => { table.borrow_mut().remove(&k); always.remove(&k); }
                    }
                }
            }
            prop_assert!(seen.windows(2).all(|w| w[0] < w[1]), "in order, none twice: {:?}", seen);
            for (k, n) in always {
                prop_assert_eq!(n == 1, seen.contains(&k), "{}", k);
            }
        }
    }
}
