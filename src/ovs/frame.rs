//! Where one JSON-RPC message ends and the next begins (RFC 7047, 4: messages follow each other
//! on the stream with nothing between them).
//!
//! Owns: the bytes not yet a whole message. Never: what a message means.

use crate::model::error::{Fault, Result};

/// No message of an Open vSwitch database comes near this; more is a peer that is not one.
const MAX_MESSAGE: usize = 64 << 20;

/// Cuts a byte stream into top-level JSON objects. Each byte is looked at once, whatever the
/// sizes of the reads are.
#[derive(Default)]
pub struct Framer {
    buf: Vec<u8>,
    scanned: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Framer {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole message, or `None` until more bytes are fed.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>> {
        while let Some(&b) = self.buf.get(self.scanned) {
            self.scanned += 1;
            if self.in_string {
                match (self.escaped, b) {
                    (true, _) => self.escaped = false,
                    (false, b'\\') => self.escaped = true,
                    (false, b'"') => self.in_string = false,
                    (false, _) => {}
                }
                continue;
            }
            match b {
                b'"' if self.depth > 0 => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let rest = self.buf.split_off(self.scanned);
                        self.scanned = 0;
                        return Ok(Some(std::mem::replace(&mut self.buf, rest)));
                    }
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if self.depth == 0 => {
                    return Err(Fault::transient("the OVSDB socket sends what is not JSON-RPC: is another program listening there?"));
                }
                _ => {}
            }
        }
        if self.buf.len() > MAX_MESSAGE {
            return Err(Fault::transient(format!("the OVSDB server sent a message of more than {MAX_MESSAGE} bytes")));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "{\"a\":[1,{\"b\":\"}]{\\\"\"}]} \n{\"c\":\"\\\\\"}{\"d\":{}}";
    const PARTS: [&str; 3] = ["{\"a\":[1,{\"b\":\"}]{\\\"\"}]}", "{\"c\":\"\\\\\"}", "{\"d\":{}}"];

    #[test]
    fn messages_come_out_whole_however_the_reads_were_cut() {
        for size in 1..=STREAM.len() {
            let mut framer = Framer::default();
            let mut got = Vec::new();
            for part in STREAM.as_bytes().chunks(size) {
                framer.feed(part);
                while let Some(m) = framer.next_message().expect("valid") {
                    got.push(String::from_utf8(m).expect("utf-8").trim().to_owned());
                }
            }
            assert_eq!(got, PARTS, "reads of {size} bytes");
        }
    }

    #[test]
    fn a_peer_that_speaks_something_else_is_refused_at_once() {
        for bad in ["SSH-2.0-OpenSSH", "]", "\"x\"", "1"] {
            let mut framer = Framer::default();
            framer.feed(bad.as_bytes());
            assert!(framer.next_message().is_err(), "{bad}");
        }
    }
}
