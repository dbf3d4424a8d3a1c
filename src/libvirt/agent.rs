//! What a guest's agent is asked to read. It speaks JSON, one command and one answer at a time.
//!
//! Never: commands that change something in a guest.

use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use virt::{connect::Connect, domain::Domain};

use super::{
    guest::need,
    map::{self, fault},
};
use crate::model::{
    error::{Fault, Result},
    id::VnfcId,
};

/// The beginning of a file.
pub fn file(conn: &Connect, id: VnfcId, path: &str, most: u32, wait: Duration) -> Result<Vec<u8>> {
    let dom = need(conn, id)?;
    let opened = ask(&dom, id, wait, "guest-file-open", json!({ "path": path, "mode": "r" }))?;
    let read = ask(&dom, id, wait, "guest-file-read", json!({ "handle": opened, "count": most }));
    // An agent keeps what is not closed, and has room for so many.
    let closed = ask(&dom, id, wait, "guest-file-close", json!({ "handle": opened }));
    let read = read?;
    closed?;
    let text = read["buf-b64"].as_str().unwrap_or_default();
    BASE64.decode(text.as_bytes()).map_err(|e| Fault::invalid(format!("guest {id}: what its agent read is no base64")).with_source(e))
}

fn ask(dom: &Domain, id: VnfcId, wait: Duration, command: &str, arguments: Value) -> Result<Value> {
    let seconds = i32::try_from(wait.as_secs_f32().ceil() as i64).unwrap_or(i32::MAX).max(1);
    let text = json!({ "execute": command, "arguments": arguments }).to_string();
    match dom.qemu_agent_command(&text, seconds, 0) {
        Ok(answer) => {
            let mut v: Value = serde_json::from_str(&answer)
                .map_err(|e| Fault::invalid(format!("guest {id}: its agent answers {command} with what is no JSON")).with_source(e))?;
            Ok(v["return"].take())
        }
        Err(e) if map::is_refused_by_agent(&e) => Err(Fault::invalid(format!("guest {id}: its agent refuses {command}: {}", e.message()))),
        Err(e) if map::is_silent_agent(&e) => Err(Fault::conflict(format!("guest {id}: its agent does not answer")).with_source(e)),
        Err(e) => Err(fault(e)),
    }
}
