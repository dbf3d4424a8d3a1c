//! What the host's own tools say of network and switch, for the support archive.
//!
//! Owns which tools are asked. Looks only; a tool that is not there, or not in time, is a line in the
//! archive and no more. Never: changes anything.

use std::time::Duration;

use camino::Utf8Path;

use super::exec::Exec;
use crate::model::error::Result;

const LIMIT: Duration = Duration::from_secs(4);
/// Of each answer. Flows of a large box are many, and the first tell what they are like.
const KEPT: usize = 512 * 1024;

/// Text by name.
pub fn collect(ovsdb: &Utf8Path) -> Vec<(String, Result<String>)> {
    let db = format!("--db=unix:{ovsdb}");
    let vsctl = |args: &[&str]| say(Exec::new("ovs-vsctl").args([db.as_str(), "--timeout=3"]).args(args));
    let columns = "--columns=name,ofport,type,admin_state,link_state,error,mac_in_use,mtu,external_ids,statistics";
    let mut out = vec![
        ("switch/show.txt".to_string(), vsctl(&["show"])),
        ("switch/interfaces.txt".into(), vsctl(&[columns, "list", "Interface"])),
        ("host/nft.txt".into(), say(Exec::new("nft").args(["-n", "list", "table", "inet", "bothy"]))),
        ("host/nft-door.txt".into(), say(Exec::new("nft").args(["-n", "list", "table", "inet", "bothy_door"]))),
    ];
    match vsctl(&["list-br"]) {
        // A bridge's socket lies beside the database's.
        Ok(bridges) => out.extend(bridges.lines().flat_map(|name| {
            let socket = format!("unix:{}", ovsdb.with_file_name(format!("{name}.mgmt")));
            let what = [("flows", "dump-flows"), ("groups", "dump-groups"), ("meters", "dump-meters")];
            what.map(|(what, verb)| {
                let versions = "--protocols=OpenFlow10,OpenFlow13,OpenFlow14";
                (format!("switch/{what}-{name}.txt"), say(Exec::new("ovs-ofctl").args([versions, verb, &socket])))
            })
        })),
        Err(fault) => out.push(("switch/flows.txt".into(), Err(fault))),
    }
    out
}

fn say(tool: Exec) -> Result<String> {
    let mut text = tool.limit(LIMIT).run()?.stdout;
    if text.len() > KEPT {
        let end = (0..=KEPT).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n... cut here\n");
    }
    Ok(text)
}
