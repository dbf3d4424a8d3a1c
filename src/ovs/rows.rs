//! The rows of the Open vSwitch database that Bothy looks at, typed, and the mirror of them that
//! the monitor keeps up to date (`ovs-vswitchd.conf.db(5)` describes the columns).
//!
//! Owns: which columns are watched, how they are read. Never: asks the database anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::value::{Atom, Datum};
use crate::model::tree::tree;

/// The tables watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    OpenVSwitch,
    Bridge,
    Port,
    Interface,
    Mirror,
}

impl Table {
    pub const ALL: [Table; 5] = [Table::OpenVSwitch, Table::Bridge, Table::Port, Table::Interface, Table::Mirror];

    pub fn name(self) -> &'static str {
        match self {
            Table::OpenVSwitch => "Open_vSwitch",
            Table::Bridge => "Bridge",
            Table::Port => "Port",
            Table::Interface => "Interface",
            Table::Mirror => "Mirror",
        }
    }
    /// Statistics and status columns are left out: they change every few seconds for nothing.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Table::OpenVSwitch => &["bridges", "next_cfg", "cur_cfg", "datapath_types", "dpdk_initialized", "ovs_version", "other_config"],
            Table::Bridge => &["name", "ports", "datapath_type", "fail_mode", "external_ids"],
            Table::Port => &[
                "name",
                "interfaces",
                "tag",
                "trunks",
                "vlan_mode",
                "cvlans",
                "protected",
                "bond_mode",
                "lacp",
                "other_config",
                "external_ids",
            ],
            Table::Interface => &[
                "name",
                "type",
                "options",
                "mtu_request",
                "error",
                "ofport",
                "link_state",
                "mac_in_use",
                "bfd",
                "bfd_status",
                "external_ids",
            ],
            Table::Mirror => &["name", "external_ids"],
        }
    }
}

/// The `<monitor-requests>` for all of it (RFC 7047, 4.1.5).
pub(super) fn monitor_requests() -> Value {
    Value::Object(Table::ALL.iter().map(|t| (t.name().to_owned(), json!({"columns": t.columns()}))).collect())
}

pub type Ids = BTreeMap<String, String>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root {
    pub bridges: BTreeSet<Uuid>,
    pub next_cfg: i64,
    pub cur_cfg: i64,
    pub datapath_types: BTreeSet<String>,
    pub dpdk_initialized: bool,
    pub ovs_version: Option<String>,
    pub other_config: Ids,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    pub name: String,
    pub ports: BTreeSet<Uuid>,
    pub datapath_type: String,
    pub fail_mode: Option<String>,
    pub external_ids: Ids,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub interfaces: BTreeSet<Uuid>,
    pub tag: Option<u16>,
    pub trunks: BTreeSet<u16>,
    pub vlan_mode: Option<String>,
    /// Inner tags that a port of VLANs within a VLAN carries; none: all.
    pub cvlans: BTreeSet<u16>,
    /// Exchanges nothing with other protected ports of the bridge.
    pub protected: bool,
    /// Of a port with several interfaces.
    pub bond_mode: Option<String>,
    pub lacp: Option<String>,
    pub other_config: Ids,
    pub external_ids: Ids,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    /// `""` (a netdev that exists), `internal`, `patch`, `dpdk`, ...
    pub kind: String,
    pub options: Ids,
    pub mtu_request: Option<i64>,
    /// Why ovs-vswitchd could not make it.
    pub error: Option<String>,
    /// Its OpenFlow port once made; -1 when making it failed.
    pub ofport: Option<i64>,
    pub link_up: Option<bool>,
    pub mac_in_use: Option<String>,
    /// What was asked of BFD (`enable`), and what it says of the other end (`state`).
    pub bfd: Ids,
    pub bfd_status: Ids,
    pub external_ids: Ids,
}

/// Copies what passes some ports to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copier {
    pub name: String,
    pub external_ids: Ids,
}

/// What happened to a row, for those who listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Added,
    Changed,
    Removed,
}

/// One change of a named row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    pub table: Table,
    /// The row's name; empty for the root row, which has none.
    pub name: String,
    pub what: What,
}

/// The watched tables as of the last update.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    root: Option<(Uuid, Root)>,
    pub bridges: HashMap<Uuid, Bridge>,
    pub ports: HashMap<Uuid, Port>,
    pub interfaces: HashMap<Uuid, Interface>,
    pub copiers: HashMap<Uuid, Copier>,
}

impl Mirror {
    pub fn root(&self) -> Option<(Uuid, &Root)> {
        self.root.as_ref().map(|(u, r)| (*u, r))
    }
    pub fn bridge(&self, name: &str) -> Option<(Uuid, &Bridge)> {
        self.bridges.iter().find(|(_, b)| b.name == name).map(|(u, b)| (*u, b))
    }
    pub fn port(&self, name: &str) -> Option<(Uuid, &Port)> {
        self.ports.iter().find(|(_, p)| p.name == name).map(|(u, p)| (*u, p))
    }
    /// The bridge a port is in.
    pub fn bridge_of(&self, port: Uuid) -> Option<(Uuid, &Bridge)> {
        self.bridges.iter().find(|(_, b)| b.ports.contains(&port)).map(|(u, b)| (*u, b))
    }
    /// A port's interface; Bothy never bonds, so the first is the one.
    pub fn interface_of(&self, port: &Port) -> Option<(Uuid, &Interface)> {
        port.interfaces.iter().find_map(|u| self.interfaces.get(u).map(|i| (*u, i)))
    }

    /// Those of a port that are there: of a bond each leg.
    pub fn interfaces_of<'m>(&'m self, port: &'m Port) -> impl Iterator<Item = &'m Interface> {
        port.interfaces.iter().filter_map(|u| self.interfaces.get(u))
    }

    /// Takes in `<table-updates>` (RFC 7047, 4.1.6). A row that cannot be read is an error: the
    /// mirror would lie without it.
    pub(super) fn apply(&mut self, updates: &Value) -> Result<Vec<RowChange>, Unreadable> {
        let mut changes = Vec::new();
        for table in Table::ALL {
            let Some(rows) = updates.get(table.name()).and_then(Value::as_object) else { continue };
            for (id, update) in rows {
                let id = Uuid::parse_str(id).map_err(|_| Unreadable { table, column: "_uuid" })?;
                let new = update.get("new").and_then(Value::as_object).map(|columns| Reader { table, columns });
                changes.extend(self.apply_row(table, id, new)?);
            }
        }
        Ok(changes)
    }

    fn apply_row(&mut self, table: Table, id: Uuid, new: Option<Reader<'_>>) -> Result<Option<RowChange>, Unreadable> {
        let (before, after) = match table {
            Table::OpenVSwitch => {
                let had = self.root.take().map(|_| String::new());
                if let Some(r) = new {
                    self.root = Some((id, r.root()?));
                }
                (had, self.root.as_ref().map(|_| String::new()))
            }
            Table::Bridge => swap(&mut self.bridges, id, new.map(|r| r.bridge()).transpose()?, |b| b.name.clone()),
            Table::Port => swap(&mut self.ports, id, new.map(|r| r.port()).transpose()?, |p| p.name.clone()),
            Table::Interface => swap(&mut self.interfaces, id, new.map(|r| r.interface()).transpose()?, |i| i.name.clone()),
            Table::Mirror => swap(&mut self.copiers, id, new.map(|r| r.copier()).transpose()?, |c| c.name.clone()),
        };
        Ok(match (before, after) {
            (None, Some(name)) => Some(RowChange { table, name, what: What::Added }),
            (Some(_), Some(name)) => Some(RowChange { table, name, what: What::Changed }),
            (Some(name), None) => Some(RowChange { table, name, what: What::Removed }),
            (None, None) => None,
        })
    }
}

fn swap<R>(rows: &mut HashMap<Uuid, R>, id: Uuid, new: Option<R>, name: impl Fn(&R) -> String) -> (Option<String>, Option<String>) {
    let after = new.as_ref().map(&name);
    let before = match new {
        Some(r) => rows.insert(id, r),
        None => rows.remove(&id),
    };
    (before.as_ref().map(name), after)
}

/// A column that is not there or not of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub table: Table,
    pub column: &'static str,
}

struct Reader<'a> {
    table: Table,
    columns: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn datum(&self, column: &'static str) -> Result<Datum, Unreadable> {
        self.columns.get(column).and_then(Datum::read).ok_or(Unreadable { table: self.table, column })
    }
    fn set<T: Ord>(&self, column: &'static str, get: impl Fn(&Atom) -> Option<T>) -> Result<BTreeSet<T>, Unreadable> {
        let bad = Unreadable { table: self.table, column };
        self.datum(column)?.atoms().iter().map(|a| get(a).ok_or(bad)).collect()
    }
    fn first<T: Ord>(&self, column: &'static str, get: impl Fn(&Atom) -> Option<T>) -> Result<Option<T>, Unreadable> {
        Ok(self.set(column, get)?.pop_first())
    }
    fn text(&self, column: &'static str) -> Result<String, Unreadable> {
        self.first(column, text)?.ok_or(Unreadable { table: self.table, column })
    }
    fn ids(&self, column: &'static str) -> Result<Ids, Unreadable> {
        match self.datum(column)? {
            Datum::Map(m) => {
                let all: Option<Vec<_>> = m.iter().map(|(k, v)| Some((text(k)?, text(v)?))).collect();
                all.map(tree).ok_or(Unreadable { table: self.table, column })
            }
            Datum::Set(_) => Ok(Ids::new()),
        }
    }

    fn root(&self) -> Result<Root, Unreadable> {
        Ok(Root {
            bridges: self.set("bridges", uuid)?,
            next_cfg: self.first("next_cfg", int)?.unwrap_or(0),
            cur_cfg: self.first("cur_cfg", int)?.unwrap_or(0),
            datapath_types: self.set("datapath_types", text)?,
            dpdk_initialized: self.first("dpdk_initialized", boolean)?.unwrap_or(false),
            ovs_version: self.first("ovs_version", text)?,
            other_config: self.ids("other_config")?,
        })
    }
    fn bridge(&self) -> Result<Bridge, Unreadable> {
        Ok(Bridge {
            name: self.text("name")?,
            ports: self.set("ports", uuid)?,
            datapath_type: self.text("datapath_type")?,
            fail_mode: self.first("fail_mode", text)?,
            external_ids: self.ids("external_ids")?,
        })
    }
    fn port(&self) -> Result<Port, Unreadable> {
        Ok(Port {
            name: self.text("name")?,
            interfaces: self.set("interfaces", uuid)?,
            tag: self.first("tag", vlan)?,
            trunks: self.set("trunks", vlan)?,
            vlan_mode: self.first("vlan_mode", text)?,
            cvlans: self.set("cvlans", vlan)?,
            protected: self.first("protected", boolean)?.unwrap_or(false),
            bond_mode: self.first("bond_mode", text)?,
            lacp: self.first("lacp", text)?,
            other_config: self.ids("other_config")?,
            external_ids: self.ids("external_ids")?,
        })
    }
    fn interface(&self) -> Result<Interface, Unreadable> {
        Ok(Interface {
            name: self.text("name")?,
            kind: self.text("type")?,
            options: self.ids("options")?,
            mtu_request: self.first("mtu_request", int)?,
            error: self.first("error", text)?,
            ofport: self.first("ofport", int)?,
            link_up: self.first("link_state", text)?.map(|s| s == "up"),
            mac_in_use: self.first("mac_in_use", text)?,
            bfd: self.ids("bfd")?,
            bfd_status: self.ids("bfd_status")?,
            external_ids: self.ids("external_ids")?,
        })
    }
    fn copier(&self) -> Result<Copier, Unreadable> {
        Ok(Copier { name: self.text("name")?, external_ids: self.ids("external_ids")? })
    }
}

fn text(a: &Atom) -> Option<String> {
    if let Atom::Str(s) = a { Some(s.clone()) } else { None }
}
fn int(a: &Atom) -> Option<i64> {
    if let Atom::Int(i) = a { Some(*i) } else { None }
}
fn vlan(a: &Atom) -> Option<u16> {
    int(a).and_then(|i| u16::try_from(i).ok())
}
fn boolean(a: &Atom) -> Option<bool> {
    if let Atom::Bool(b) = a { Some(*b) } else { None }
}
fn uuid(a: &Atom) -> Option<Uuid> {
    if let Atom::Uuid(u) = a { Some(*u) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, tag: Value) -> Value {
        json!({"name": name, "interfaces": ["uuid", Uuid::from_u128(7).to_string()], "tag": tag, "trunks": ["set", []], "vlan_mode": ["set", []],
               "cvlans": ["set", []], "bond_mode": ["set", []], "lacp": ["set", []], "other_config": ["map", []],
               "protected": false,
               "external_ids": ["map", [["bothy-id", "x"]]]})
    }

    #[test]
    fn rows_come_change_and_go_and_each_is_told() {
        let mut m = Mirror::default();
        let id = Uuid::from_u128(1);
        let update = |old: Option<Value>, new: Option<Value>| {
            let mut row = Map::new();
            row.extend(old.map(|o| ("old".into(), o)));
            row.extend(new.map(|n| ("new".into(), n)));
            json!({"Port": {id.to_string(): row}})
        };
        let change = |what| vec![RowChange { table: Table::Port, name: "p".into(), what }];
        assert_eq!(m.apply(&update(None, Some(port("p", json!(7))))), Ok(change(What::Added)));
        assert_eq!(m.port("p").and_then(|(_, p)| p.tag), Some(7));
        assert_eq!(m.apply(&update(Some(json!({"tag": 7})), Some(port("p", json!(["set", []]))))), Ok(change(What::Changed)));
        assert_eq!(m.port("p").map(|(_, p)| p.tag), Some(None));
        assert_eq!(m.apply(&update(Some(port("p", json!(7))), None)), Ok(change(What::Removed)));
        assert!(m.ports.is_empty());
        assert_eq!(m.apply(&update(Some(port("p", json!(7))), None)), Ok(vec![]));
    }

    #[test]
    fn a_row_that_cannot_be_read_is_an_error_not_a_gap() {
        let bad = json!({"Port": {Uuid::from_u128(1).to_string(): {"new": {"name": "p"}}}});
        assert_eq!(Mirror::default().apply(&bad), Err(Unreadable { table: Table::Port, column: "interfaces" }));
    }
}
