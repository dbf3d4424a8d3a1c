//! From what is on the switch and what is wanted to one transaction. Pure.
//!
//! Owns: the form of Bothy's bridges and ports in the database. Never: the connection.

use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    rows::{Bridge, Ids, Interface, Mirror, Port, Table},
    txn::{Columns, Txn},
    value::{Atom, Datum},
};
use crate::model::{
    error::{Fault, Result},
    id::{IfName, SegmentId},
    net::VlanId,
};

/// Key in `external_ids` of what Bothy made; the value says what it is.
pub const OWNER: &str = "bothy-owner";
/// Key in `external_ids`: the id of the segment that a port belongs to.
pub const ID: &str = "bothy-id";
/// `OWNER` of the integration bridge and of a bridge made for a physical network.
pub const OWNER_BRIDGE: &str = "bothy";
const OWNER_PORT: &str = "segment";

/// Makes no change but raises `next_cfg`: ovs-vswitchd tries again what failed.
pub fn nudge(what: &str) -> Txn {
    Txn::new(what)
}

/// A bridge as Bothy makes one.
pub struct NewBridge<'a> {
    pub name: &'a str,
    /// `system` or `netdev`.
    pub datapath_type: &'a str,
    /// An interface of the host to be put in, for a physical network.
    pub uplink: Option<&'a IfName>,
}

/// Adds the bridge with its local port (and uplink). `named` is the row's name in the transaction.
pub fn add_bridge(mut txn: Txn, root: Uuid, b: &NewBridge<'_>, named: &str) -> Txn {
    let marks = Datum::map([(OWNER, OWNER_BRIDGE)]);
    let mut ports = vec![Atom::Named(format!("{named}_p"))];
    txn = txn.unless_named(Table::Bridge, b.name);
    txn = add_port_rows(txn, &format!("{named}_p"), b.name, "internal", Datum::empty(), no_options(), marks.clone());
    if let Some(up) = b.uplink {
        let row = format!("{named}_u");
        ports.push(Atom::Named(row.clone()));
        txn = add_port_rows(txn, &row, up.as_str(), "", Datum::empty(), no_options(), marks.clone());
    }
    txn.insert(
        Table::Bridge,
        named,
        vec![
            ("name", Datum::text(b.name)),
            ("datapath_type", Datum::text(b.datapath_type)),
            // Forwards by MAC learning with or without a controller: a lost one stops no service.
            ("fail_mode", Datum::text("standalone")),
            ("ports", Datum::Set(ports)),
            ("external_ids", marks),
        ],
    )
    .add(Table::OpenVSwitch, root, "bridges", Datum::one(Atom::Named(named.to_owned())))
}

/// Takes a whole bridge away; its ports go with it.
pub fn remove_bridge(root: Uuid, bridge: Uuid, name: &str) -> Txn {
    Txn::new(format!("remove bridge {name}")).while_named(Table::Bridge, bridge, name).take(
        Table::OpenVSwitch,
        root,
        "bridges",
        Datum::one(Atom::Uuid(bridge)),
    )
}

/// Gives a bridge another datapath.
pub fn set_datapath(txn: Txn, bridge: Uuid, datapath_type: &str) -> Txn {
    txn.update(Table::Bridge, bridge, vec![("datapath_type", Datum::text(datapath_type))])
}

fn no_options() -> Datum {
    Datum::Map(Vec::new())
}

fn add_port_rows(txn: Txn, row: &str, name: &str, kind: &str, tag: Datum, options: Datum, ids: Datum) -> Txn {
    let interface = format!("{row}_i");
    txn.insert(
        Table::Interface,
        &interface,
        vec![("name", Datum::text(name)), ("type", Datum::text(kind)), ("options", options), ("external_ids", ids.clone())],
    )
    .insert(
        Table::Port,
        row,
        vec![("name", Datum::text(name)), ("interfaces", Datum::one(Atom::Named(interface))), ("tag", tag), ("external_ids", ids)],
    )
}

/// One port as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: IfName,
    pub segment: SegmentId,
    /// Access VLAN; 0 carries untagged frames only.
    pub tag: u16,
    pub kind: WantedKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedKind {
    Internal,
    Patch { peer: IfName },
}

impl Wanted {
    pub fn host(name: &IfName, segment: SegmentId, vlan: VlanId) -> Self {
        Wanted { name: name.clone(), segment, tag: vlan.get(), kind: WantedKind::Internal }
    }
    /// Both ends of a patch. Each is an access port, so the segment's tag here and the tag on the
    /// physical network need not be the same.
    pub fn patch(name: &IfName, segment: SegmentId, here: VlanId, there: Option<VlanId>) -> Result<[Self; 2]> {
        let far = far_name(name)?;
        let end =
            |name: &IfName, tag, peer: &IfName| Wanted { name: name.clone(), segment, tag, kind: WantedKind::Patch { peer: peer.clone() } };
        Ok([end(name, here.get(), &far), end(&far, there.map_or(0, VlanId::get), name)])
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            WantedKind::Internal => "internal",
            WantedKind::Patch { .. } => "patch",
        }
    }
    fn options(&self) -> Ids {
        match &self.kind {
            WantedKind::Internal => Ids::new(),
            WantedKind::Patch { peer } => Ids::from([("peer".to_owned(), peer.to_string())]),
        }
    }
    fn marks(&self) -> Ids {
        Ids::from([(OWNER.to_owned(), OWNER_PORT.to_owned()), (ID.to_owned(), self.segment.to_string())])
    }
}

/// The far end of a patch port: `bp...` and `bq...`.
fn far_name(near: &IfName) -> Result<IfName> {
    match near.as_str().strip_prefix("bp") {
        Some(rest) => IfName::try_from(SmolStr::new(format!("bq{rest}"))),
        None => Err(Fault::bug(format!("{near} is not the name of a patch port"))),
    }
}

/// Adds to `txn` what makes the port as wanted; `None` when it is so already.
pub fn ensure_port(txn: Txn, m: &Mirror, bridge: &str, w: &Wanted) -> Result<Option<Txn>> {
    let name = w.name.as_str();
    let Some((bridge_id, _)) = m.bridge(bridge) else {
        return Err(Fault::transient(format!("bridge {bridge} is not on the switch")));
    };
    let Some((port_id, port)) = m.port(name) else {
        let row = format!("new_{name}");
        let txn = txn.unless_named(Table::Port, name);
        let txn = add_port_rows(
            txn,
            &row,
            name,
            w.type_name(),
            Datum::one(Atom::Int(w.tag.into())),
            Datum::map(w.options()),
            Datum::map(w.marks()),
        );
        return Ok(Some(txn.while_named(Table::Bridge, bridge_id, bridge).add(
            Table::Bridge,
            bridge_id,
            "ports",
            Datum::one(Atom::Named(row)),
        )));
    };
    match m.bridge_of(port_id) {
        Some((there, _)) if there == bridge_id => {}
        Some((_, b)) => {
            return Err(Fault::conflict(format!("port {name} is on the switch already, but in bridge {}: remove it there", b.name)));
        }
        None => return Err(Fault::conflict(format!("port {name} is just being removed"))),
    }
    let Some((interface_id, interface)) = m.interface_of(port) else {
        return Err(Fault::conflict(format!("port {name} has no interface yet")));
    };
    let (port_diff, interface_diff) = (port_diff(port, w), interface_diff(interface, w));
    if port_diff.is_empty() && interface_diff.is_empty() {
        return Ok(None);
    }
    let mut txn = txn.while_named(Table::Port, port_id, name);
    if !port_diff.is_empty() {
        txn = txn.update(Table::Port, port_id, port_diff);
    }
    if !interface_diff.is_empty() {
        txn = txn.update(Table::Interface, interface_id, interface_diff);
    }
    Ok(Some(txn))
}

fn port_diff(port: &Port, w: &Wanted) -> Columns {
    let mut diff = Columns::new();
    if port.tag != Some(w.tag) {
        diff.push(("tag", Datum::one(Atom::Int(w.tag.into()))));
    }
    if !port.trunks.is_empty() {
        diff.push(("trunks", Datum::empty()));
    }
    let mut ids = port.external_ids.clone();
    ids.extend(w.marks());
    if ids != port.external_ids {
        diff.push(("external_ids", Datum::map(ids)));
    }
    diff
}

fn interface_diff(interface: &Interface, w: &Wanted) -> Columns {
    let mut diff = Columns::new();
    if interface.kind != w.type_name() {
        diff.push(("type", Datum::text(w.type_name())));
    }
    if interface.options != w.options() {
        diff.push(("options", Datum::map(w.options())));
    }
    diff
}

/// Takes the port away and, for a patch, its far end; and the far end's bridge when Bothy made
/// it and this was its last patch. `None` when nothing is there.
pub fn remove_port(m: &Mirror, bridge: &str, name: &IfName) -> Result<Option<Txn>> {
    let mut txn = Txn::new(format!("remove port {name}"));
    let mut found = false;
    if let Some((id, _)) = m.port(name.as_str()) {
        match m.bridge_of(id) {
            Some((b, row)) if row.name == bridge => {
                txn = txn.take(Table::Bridge, b, "ports", Datum::one(Atom::Uuid(id)));
                found = true;
            }
            Some((_, row)) => {
                return Err(Fault::conflict(format!("port {name} is in bridge {}, which is not Bothy's to change", row.name)));
            }
            None => {}
        }
    }
    // Looked for by what it points at, and even when the near end is gone already.
    for (id, port) in &m.ports {
        let points_here =
            m.interface_of(port).is_some_and(|(_, i)| i.kind == "patch" && i.options.get("peer").is_some_and(|p| p == name.as_str()));
        let Some((b, row)) = m.bridge_of(*id).filter(|(_, row)| points_here && row.name != bridge && segment_of(port).is_some()) else {
            continue;
        };
        found = true;
        let last = patches(m, row) == 1 && is_ours(row);
        txn = match m.root().filter(|_| last) {
            Some((root, _)) => txn.take(Table::OpenVSwitch, root, "bridges", Datum::one(Atom::Uuid(b))),
            None => txn.take(Table::Bridge, b, "ports", Datum::one(Atom::Uuid(*id))),
        };
    }
    Ok(found.then_some(txn))
}

fn patches(m: &Mirror, bridge: &Bridge) -> usize {
    bridge.ports.iter().filter_map(|p| m.ports.get(p)).filter(|p| segment_of(p).is_some()).count()
}

/// Bothy made this bridge.
pub fn is_ours(bridge: &Bridge) -> bool {
    bridge.external_ids.get(OWNER).is_some_and(|o| o == OWNER_BRIDGE)
}

/// The segment whose port this is, by Bothy's marks.
pub fn segment_of(port: &Port) -> Option<SegmentId> {
    let owner = port.external_ids.get(OWNER)?;
    (owner == OWNER_PORT).then(|| port.external_ids.get(ID)?.parse().ok()).flatten()
}

/// Why ovs-vswitchd did not make an interface, if it did not.
pub fn trouble(i: &Interface) -> Option<String> {
    match (&i.error, i.ofport) {
        (Some(e), _) => Some(e.clone()),
        (None, Some(n)) if n >= 0 => None,
        (None, Some(_) | None) => Some("ovs-vswitchd could not make it (its log says why)".into()),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
