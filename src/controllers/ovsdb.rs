//! Straight to a switch: VLANs of the ports of an Open vSwitch, by its database.
//!
//! What several boxes want of one port stands in its `external_ids`, under a key of each box, beside what the
//! port was before the first of them; the VLAN columns follow from all of it. So each box changes its own
//! part only, in a transaction that fails when somebody else was faster, and the last one to go leaves the
//! port as it was.
//!
//! | column | from what it was before and what boxes want |
//! |---|---|
//! | `tag` | the untagged VLAN that a box wants, else as it was |
//! | `trunks` | the VLANs that boxes want tagged, and those it had; a port that had all keeps untagged frames |
//! | `vlan_mode` | what the two come to |
//!
//! Never: makes or removes a bridge or a port, touches flows or a port that no box wants anything of.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use smol_str::SmolStr;
use uuid::Uuid;

use crate::model::tree::set;
use crate::{
    model::{
        error::{Fault, Kind, Result},
        net::VlanId,
        sdn::{OutsidePort, SwitchAddr},
    },
    ovs::{Atom, Columns, Datum, Mirror, Port, Table, Txn, ovsdb::Change, ovsdb::Ovsdb, trouble},
    sdn::connector::{Connector, Desired, Difference, Look, Opening, PortState, PortVlans},
};

/// Leads the key of what a box wants; its name follows.
const MARK: &str = "bothy-sdn:";
/// Key of what the port was.
const BEFORE: &str = "bothy-sdn-before";
const LOOK_LIMIT: Duration = Duration::from_secs(2);
const APPLY_LIMIT: Duration = Duration::from_secs(4);
const TRIES: usize = 5;

pub struct Direct {
    db: Ovsdb,
    /// Bridges that may be changed.
    datapaths: Vec<SmolStr>,
    mark: String,
}

impl Direct {
    pub fn open(at: SwitchAddr, datapaths: &[SmolStr], with: Opening) -> Result<Direct> {
        let db = Ovsdb::connect(at)?;
        let news = with.news;
        db.listen(move |c| {
            let counts = match c {
                Change::Up { .. } | Change::Down { .. } => true,
                // The root row changes with every transaction.
                Change::Rows(rows) => rows.iter().any(|r| r.table != Table::OpenVSwitch),
            };
            if counts {
                news();
            }
            true
        });
        Ok(Direct { db, datapaths: datapaths.to_vec(), mark: format!("{MARK}{}", with.owner) })
    }

    /// The port, or why there is none.
    fn find<'m>(&self, m: &'m Mirror, at: &OutsidePort) -> std::result::Result<(Uuid, &'m Port), String> {
        if !self.datapaths.contains(&at.switch) {
            return Err(format!("bridge {} is none of the controller's datapaths", at.switch));
        }
        let (_, bridge) = m.bridge(&at.switch).ok_or_else(|| format!("there is no bridge {} at {}", at.switch, self.db.at()))?;
        let found = m.port(&at.port).filter(|(id, _)| bridge.ports.contains(id));
        found.ok_or_else(|| format!("bridge {} has no port {}", at.switch, at.port))
    }

    /// Each port that is not as it shall be: by name, its row, and what it should be.
    fn changes<'m>(&self, m: &'m Mirror, desired: &Desired) -> Changes<'m> {
        let mut out = Changes::default();
        for (at, want) in desired {
            match self.find(m, at).and_then(|(id, port)| Ok((id, port, settle(port, &self.mark, Some(want))?))) {
                Ok((id, port, to)) => out.all.push((at.clone(), id, port, to)),
                Err(why) => drop(out.faults.insert(at.clone(), why)),
            }
        }
        // What this box wanted once.
        for (id, port) in m.ports.iter().filter(|(_, p)| p.external_ids.contains_key(&self.mark)) {
            let Some((_, bridge)) = m.bridge_of(*id) else { continue };
            let at = OutsidePort { switch: SmolStr::new(&bridge.name), port: SmolStr::new(&port.name) };
            if !desired.contains_key(&at)
                && let Ok(to) = settle(port, &self.mark, None)
            {
                out.all.push((at, *id, port, to));
            }
        }
        out.all.retain(|(_, _, port, to)| *to != Setting::of(port));
        out
    }
}

#[derive(Default)]
struct Changes<'m> {
    all: Vec<(OutsidePort, Uuid, &'m Port, Setting)>,
    faults: BTreeMap<OutsidePort, String>,
}

impl Connector for Direct {
    fn look(&self, desired: &Desired) -> Result<Look> {
        self.db.wait_up(Instant::now() + LOOK_LIMIT)?;
        self.db.view(|m| {
            let changes = self.changes(m, desired);
            let state = |at: &OutsidePort| match (changes.faults.get(at), self.find(m, at)) {
                (Some(why), _) => PortState::Fault(why.clone()),
                (None, Err(why)) => PortState::Fault(why),
                (None, Ok((_, port))) => match m.interface_of(port) {
                    None => PortState::Fault("it has no interface".into()),
                    Some((_, i)) => match (trouble(i), i.link_up) {
                        (Some(why), _) => PortState::Fault(why),
                        (None, Some(false)) => PortState::Down("no link".into()),
                        (None, Some(true) | None) => PortState::Up,
                    },
                },
            };
            let ports = desired.keys().map(|at| (at.clone(), state(at))).collect();
            let differs = changes.all.iter().map(|(at, _, port, to)| Difference {
                at: at.clone(),
                is: Setting::of(port).vlans.to_string(),
                wanted: to.vlans.to_string(),
            });
            Look { differs: differs.collect(), ports, sends: Vec::new() }
        })
    }

    fn apply(&self, desired: &Desired) -> Result<()> {
        let until = Instant::now() + APPLY_LIMIT;
        let mut last = None;
        for _ in 0..TRIES {
            self.db.wait_up(until)?;
            let txn = self.db.view(|m| {
                let write = |txn: Txn, (_, id, port, to): &(OutsidePort, Uuid, &Port, Setting)| {
                    txn.while_is(Table::Port, *id, Setting::of(port).columns()).update(Table::Port, *id, to.columns())
                };
                self.changes(m, desired).all.iter().fold(Txn::new("set VLANs of links of guests"), write)
            })?;
            if txn.is_empty() {
                return Ok(());
            }
            match self.db.apply(txn, until) {
                Err(e) if e.kind() == Kind::Conflict => last = Some(e),
                done => return done,
            }
        }
        Err(last.unwrap_or_else(|| Fault::bug("the switch was not written to")))
    }
}

/// The columns of a port that say what passes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Vlans {
    tag: Option<u16>,
    trunks: BTreeSet<u16>,
    mode: Option<String>,
}

/// Those, and what is written of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    vlans: Vlans,
    ids: BTreeMap<String, String>,
}

impl Setting {
    fn of(port: &Port) -> Setting {
        let vlans = Vlans { tag: port.tag, trunks: port.trunks.clone(), mode: port.vlan_mode.clone() };
        Setting { vlans, ids: port.external_ids.clone() }
    }
    fn columns(&self) -> Columns {
        let numbers = |all: &mut dyn Iterator<Item = u16>| Datum::Set(all.map(|n| Atom::Int(n.into())).collect());
        vec![
            ("tag", numbers(&mut self.vlans.tag.into_iter())),
            ("trunks", numbers(&mut self.vlans.trunks.iter().copied())),
            ("vlan_mode", Datum::Set(self.vlans.mode.iter().map(Atom::str).collect())),
            ("external_ids", Datum::map(&self.ids)),
        ]
    }
}

/// `tag=3 trunks=1,2 mode=access`, as it stands in the row of the port and for people.
impl std::fmt::Display for Vlans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        if let Some(t) = self.tag {
            let _ = write!(out, "tag={t} ");
        }
        if !self.trunks.is_empty() {
            let _ = write!(out, "trunks={} ", list(self.trunks.iter()));
        }
        if let Some(m) = &self.mode {
            let _ = write!(out, "mode={m} ");
        }
        f.write_str(if out.is_empty() { "no VLANs set" } else { out.trim_end() })
    }
}

fn list<T: ToString>(all: impl Iterator<Item = T>) -> String {
    all.map(|n| n.to_string()).collect::<Vec<_>>().join(",")
}

/// The value of `key=value` among words.
fn word<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.split(' ').find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
}

fn vlans_of(text: Option<&str>) -> impl Iterator<Item = VlanId> + '_ {
    text.into_iter().flat_map(|t| t.split(',')).filter_map(|n| n.parse::<u16>().ok()?.try_into().ok())
}

impl Vlans {
    fn read(text: &str) -> Vlans {
        Vlans {
            tag: word(text, "tag").and_then(|t| t.parse().ok()),
            trunks: word(text, "trunks").into_iter().flat_map(|t| t.split(',')).filter_map(|n| n.parse().ok()).collect(),
            mode: word(text, "mode").map(Into::into),
        }
    }

    /// With what boxes want on top.
    fn with(self, wanted: &PortVlans) -> std::result::Result<Vlans, String> {
        if self.mode.as_deref() == Some("dot1q-tunnel") {
            return Err("it is a dot1q-tunnel, which is left as it is".into());
        }
        let native = wanted.native.map(VlanId::get);
        let tag = native.or(self.tag);
        let open = self.tag.is_none() && self.trunks.is_empty();
        let mut trunks: BTreeSet<u16> = set(wanted.tagged.iter().map(|v| v.get()).chain(self.trunks));
        if open && native.is_none() {
            trunks.insert(0);
        }
        trunks.retain(|t| Some(*t) != tag);
        let mode = match (tag, trunks.is_empty()) {
            (None, _) => "trunk",
            (Some(_), true) => "access",
            (Some(_), false) if native.is_none() && self.mode.as_deref() == Some("native-tagged") => "native-tagged",
            (Some(_), false) => "native-untagged",
        };
        Ok(Vlans { tag, trunks, mode: Some(mode.into()) })
    }
}

fn said(p: &PortVlans) -> String {
    let native = p.native.map(|v| format!("native={v}"));
    let tagged = (!p.tagged.is_empty()).then(|| format!("tagged={}", list(p.tagged.iter())));
    native.into_iter().chain(tagged).collect::<Vec<_>>().join(" ")
}

fn heard(text: &str) -> PortVlans {
    PortVlans { native: vlans_of(word(text, "native")).next(), tagged: vlans_of(word(text, "tagged")).collect() }
}

/// What a port shall be when the box of this mark wants this of it; or why it cannot be.
fn settle(port: &Port, mark: &str, want: Option<&PortVlans>) -> std::result::Result<Setting, String> {
    let now = Setting::of(port);
    let mut ids = now.ids;
    ids.remove(mark);
    ids.extend(want.filter(|w| !w.is_empty()).map(|w| (mark.to_owned(), said(w))));
    let mut sum = PortVlans::default();
    for (key, text) in ids.iter().filter(|(k, _)| k.starts_with(MARK)) {
        let theirs = heard(text);
        if let (Some(a), Some(b)) = (sum.native, theirs.native)
            && a != b
        {
            let who = key.strip_prefix(MARK).unwrap_or_default();
            return Err(format!("its untagged VLAN is wanted to be {a} and, by {who}, {b}"));
        }
        sum.native = sum.native.or(theirs.native);
        sum.tagged.extend(theirs.tagged);
    }
    let before = ids.remove(BEFORE).map(|text| Vlans::read(&text));
    if sum.is_empty() {
        return Ok(Setting { vlans: before.unwrap_or(now.vlans), ids });
    }
    let before = before.unwrap_or(now.vlans);
    ids.insert(BEFORE.to_owned(), before.to_string());
    Ok(Setting { vlans: before.with(&sum)?, ids })
}

#[cfg(test)]
#[path = "ovsdb_tests.rs"]
mod tests;
