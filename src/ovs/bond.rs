//! The way out of a bridge that was made for a physical network: an interface, or a bond of several. Pure.
//!
//! Owns: the form of its port, and what brings one that is there to what it shall be. Never: ports of links, or
//! bridges that others made.

use uuid::Uuid;

use super::{
    fabric::Bond,
    plan::{NewPort, OWNER, OWNER_BRIDGE, Vlans, add_port_rows, is_ours},
    rows::{Mirror, Port, Table},
    txn::{Columns, Txn},
    value::{Atom, Datum},
};
use crate::model::id::IfName;
use crate::model::order::Order as _;

/// The way out of a bridge that was made for it.
#[derive(Debug, Clone, Copy)]
pub enum Up<'a> {
    Interface(&'a IfName),
    /// The bond's port has a name of its own.
    Bond(&'a str, &'a Bond),
}

/// LACP that nobody answers leaves one leg in use.
const FALL_BACK: (&str, &str) = ("lacp-fallback-ab", "true");

fn bond_columns(b: &Bond) -> Columns {
    vec![("bond_mode", Datum::text(b.mode.word())), ("lacp", Datum::text(b.lacp.word())), ("other_config", Datum::map([FALL_BACK]))]
}

/// The port with an interface to each leg.
fn add_bond_rows(mut txn: Txn, row: &str, name: &str, b: &Bond, marks: &Datum) -> Txn {
    let mut legs = Vec::new();
    for (n, leg) in b.legs.iter().enumerate() {
        let interface = format!("{row}_i{n}");
        txn = txn.insert(Table::Interface, &interface, vec![("name", Datum::text(leg.as_str())), ("external_ids", marks.clone())]);
        legs.push(Atom::Named(interface));
    }
    let mut columns = vec![("name", Datum::text(name)), ("interfaces", Datum::Set(legs)), ("external_ids", marks.clone())];
    columns.extend(bond_columns(b));
    txn.insert(Table::Port, row, columns)
}

/// The rows of a new uplink.
pub fn add_up(txn: Txn, row: &str, up: Up<'_>, marks: &Datum) -> Txn {
    match up {
        Up::Interface(i) => add_port_rows(txn, row, NewPort::plain(i.as_str(), "", marks.clone())),
        Up::Bond(name, b) => add_bond_rows(txn, row, name, b, marks),
    }
}

/// What differs in the VLANs of an uplink. Bothy writes none; those that it carries and its native one are the
/// administrator's. As the port of one VLAN it would lead no other link out.
fn vlans(p: &Port) -> Columns {
    let is_native = matches!(p.vlan_mode.as_deref(), Some("native-untagged" | "native-tagged"));
    let carries = matches!(p.vlan_mode.as_deref(), None | Some("trunk")) && p.tag.is_none();
    if is_native || carries { Columns::new() } else { Vlans::All.diff(p) }
}

/// Brings the uplink of a bridge of ours to what it shall be. `None`: it is so.
pub fn uplink(m: &Mirror, bridge: &str, up: Up<'_>) -> Option<Txn> {
    let (id, row) = m.bridge(bridge).filter(|(_, row)| is_ours(row))?;
    let ours = |p: &Port| p.name != bridge && p.external_ids.get(OWNER).is_some_and(|o| o == OWNER_BRIDGE);
    let there: Vec<(Uuid, &Port)> = row.ports.iter().filter_map(|p| Some((*p, m.ports.get(p)?))).filter(|(_, p)| ours(p)).collect();
    let what = format!("the uplink of {bridge}");
    if let ([(port, p)], Up::Bond(name, b)) = (&there[..], up)
        && p.name == name
    {
        let mut legs: Vec<&str> = m.interfaces_of(p).map(|i| i.name.as_str()).collect();
        let mut wanted: Vec<&str> = b.legs.iter().map(IfName::as_str).collect();
        legs.order();
        wanted.order();
        let falls_back = p.other_config.get(FALL_BACK.0).is_some_and(|v| v == FALL_BACK.1);
        let is_so = p.bond_mode.as_deref() == Some(b.mode.word()) && p.lacp.as_deref() == Some(b.lacp.word()) && falls_back;
        let mut diff = vlans(p);
        diff.extend(if is_so { Columns::new() } else { bond_columns(b) });
        if legs == wanted {
            return (!diff.is_empty()).then(|| Txn::new(what).while_named(Table::Port, *port, name).update(Table::Port, *port, diff));
        }
    } else if let ([(port, p)], Up::Interface(i)) = (&there[..], up)
        && p.name == i.as_str()
    {
        let diff = vlans(p);
        return (!diff.is_empty()).then(|| Txn::new(what).while_named(Table::Port, *port, i.as_str()).update(Table::Port, *port, diff));
    }
    let mut txn = Txn::new(what).while_named(Table::Bridge, id, bridge);
    if !there.is_empty() {
        txn = txn.take(Table::Bridge, id, "ports", Datum::Set(there.iter().map(|(p, _)| Atom::Uuid(*p)).collect()));
    }
    let marks = Datum::map([(OWNER, OWNER_BRIDGE)]);
    txn = add_up(txn, "new_up", up, &marks);
    Some(txn.add(Table::Bridge, id, "ports", Datum::one(Atom::Named("new_up".into()))))
}
