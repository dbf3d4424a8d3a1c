//! Ports to the remote ends of a tunnel. Pure.
//!
//! Owns: one port for each end, what they are called and what is left of those that were. Never: rows of other ports.

use std::net::IpAddr;

use uuid::Uuid;

use super::{
    plan::{Vlans, Wanted, WantedKind, segment_of},
    rows::{Ids, Interface, Mirror, Port, Table},
    txn::Txn,
    value::{Atom, Datum},
};
use crate::{
    model::{
        error::Result,
        id::IfName,
        tunnel::{RemoteEnd, Tunnel},
    },
    sdn::port::SwitchPort,
};

/// One port for each remote end. Of several none hands frames on to another: all of them reach each other by
/// themselves, and a frame would go round.
pub fn wanted(port: &SwitchPort, t: &Tunnel, key: u32, transparent: bool) -> Result<Vec<Wanted>> {
    let tag = port.vlan.get();
    let vlans = if transparent { Vlans::Tunnel(tag) } else { Vlans::Access(tag) };
    let one = |(n, remote): (usize, &IpAddr)| {
        let mut options = Ids::from([
            ("remote_ip".to_owned(), remote.to_string()),
            ("key".to_owned(), key.to_string()),
            ("dst_port".to_owned(), t.dst_port.to_string()),
        ]);
        options.extend(t.local.map(|l| ("local_ip".to_owned(), l.to_string())));
        let kind = WantedKind::Tunnel { kind: t.kind, options, bfd: t.bfd };
        Ok(Wanted { name: name(&port.name, n)?, segment: port.segment, vlans, kind, isolated: t.remotes.len() > 1, mtu: None })
    };
    t.remotes.iter().enumerate().map(one).collect()
}

/// The first is `bp` and 12 characters, the others have one more.
fn name(first: &IfName, n: usize) -> Result<IfName> {
    match n.checked_sub(1) {
        None => Ok(first.clone()),
        Some(n) => format!("{first}{n:x}").parse(),
    }
}

/// How the ends of a link are that are asked for, as the switch knows it.
pub fn remotes(m: &Mirror, port: &SwitchPort, t: &Tunnel, ends: &[Wanted]) -> Vec<RemoteEnd> {
    let one = |(remote, end): (&IpAddr, &Wanted)| {
        let told = m.port(end.name.as_str()).and_then(|(_, row)| m.interface_of(row)).and_then(|(_, i)| silence(i));
        RemoteEnd { tunnel: t.name.clone(), remote: *remote, segment: port.segment, known: told.is_some(), silent: told.flatten() }
    };
    if t.bfd { t.remotes.iter().zip(ends).map(one).collect() } else { Vec::new() }
}

/// `None`: BFD has not begun. Else why the other end is taken for silent, if it is.
fn silence(i: &Interface) -> Option<Option<String>> {
    let told = |key: &str| i.bfd_status.get(key).map(String::as_str);
    let state = told("state")?;
    if state == "up" {
        return Some(None);
    }
    let why = told("diagnostic").filter(|d| !d.is_empty() && *d != "No Diagnostic");
    Some(Some(format!("BFD is {state}{}", why.map(|d| format!(": {d}")).unwrap_or_default())))
}

/// The bridge and its ports to all ends but the first. `None`: there are none.
pub fn ends(m: &Mirror, bridge: &str, first: &IfName) -> Option<(Uuid, Datum)> {
    but(m, bridge, first, &[])
}

/// Takes ports of ends away that are not wanted any more. `None`: there are none.
pub fn take_others(m: &Mirror, bridge: &str, what: &str, first: &IfName, wanted: &[Wanted]) -> Option<Txn> {
    let (id, left) = but(m, bridge, first, wanted)?;
    Some(Txn::new(what).take(Table::Bridge, id, "ports", left))
}

fn but(m: &Mirror, bridge: &str, first: &IfName, wanted: &[Wanted]) -> Option<(Uuid, Datum)> {
    let (id, row) = m.bridge(bridge)?;
    let is_one = |p: &Port| p.name.len() == first.as_str().len() + 1 && p.name.starts_with(first.as_str()) && segment_of(p).is_some();
    let is_left = |p: &Port| is_one(p) && wanted.iter().all(|w| w.name.as_str() != p.name);
    let left: Vec<Atom> = row.ports.iter().filter(|p| m.ports.get(p).is_some_and(is_left)).map(|p| Atom::Uuid(*p)).collect();
    (!left.is_empty()).then_some((id, Datum::Set(left)))
}
