//! Prometheus' text format, from an endpoint on this box.
//!
//! Owns: one plain HTTP request, and the reading of samples. Never: what a sample means.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use data_encoding::BASE64;

use crate::model::error::{Fault, Result};

const LIMIT: Duration = Duration::from_secs(2);
/// No controller of an edge box tells more than this.
const LARGEST: u64 = 8 << 20;

/// What is measured, by name and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'t> {
    pub name: &'t str,
    pub labels: BTreeMap<&'t str, String>,
    pub value: f64,
}

/// The page behind `/metrics`.
pub fn fetch(at: SocketAddr, login: Option<&(String, String)>) -> Result<String> {
    let away = |e: std::io::Error| Fault::transient(format!("http://{at}/metrics does not answer: {e}")).with_source(e);
    let mut s = TcpStream::connect_timeout(&at, LIMIT).map_err(away)?;
    s.set_read_timeout(Some(LIMIT)).map_err(away)?;
    s.set_write_timeout(Some(LIMIT)).map_err(away)?;
    let login = login.map(|(user, password)| {
        let both = BASE64.encode(format!("{user}:{password}").as_bytes());
        format!("Authorization: Basic {both}\r\n")
    });
    let head = format!("GET /metrics HTTP/1.0\r\nHost: {at}\r\nAccept: text/plain\r\n{}\r\n", login.unwrap_or_default());
    s.write_all(head.as_bytes()).map_err(away)?;
    let mut answer = Vec::new();
    s.take(LARGEST).read_to_end(&mut answer).map_err(away)?;
    body(&String::from_utf8_lossy(&answer)).map_err(|why| Fault::transient(format!("http://{at}/metrics: {why}")))
}

fn body(answer: &str) -> std::result::Result<String, String> {
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is no HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some("200") => Ok(body.to_owned()),
        _ => Err(format!("the answer is '{status}'")),
    }
}

pub fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter(|l| !l.starts_with('#')).filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, after) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(key, value);
            rest = after;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Up to the quote that ends it, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match (escaped, c) {
            (false, '\\') => escaped = true,
            (false, '"') => return Some((out, text.get(i + 1..)?)),
            (true, 'n') => {
                out.push('\n');
                escaped = false;
            }
            (_, c) => {
                out.push(c);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels_and_what_is_none_is_passed_over() {
        let text = "# HELP dp_status x\ndp_status{dp_id=\"0x1\",dp_name=\"a \\\"b\\\", {c}\"} 1.0\nplain 2e3 1700000000\nbroken{a=\"b} 1\n\nempty{} 0\n";
        let all: Vec<_> = samples(text).map(|s| (s.name, s.labels.get("dp_name").cloned(), s.value)).collect();
        assert_eq!(all, [("dp_status", Some("a \"b\", {c}".into()), 1.0), ("plain", None, 2000.0), ("empty", None, 0.0)]);
    }

    #[test]
    fn only_a_page_that_was_found_counts() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nA: b\r\n\r\nx 1\n"), Ok("x 1\n".into()));
        assert!(body("HTTP/1.1 401 Unauthorized\r\n\r\n").is_err_and(|e| e.contains("401")));
        assert!(body("SSH-2.0").is_err());
    }
}
