//! From what is on the switch and what is wanted to one transaction. Pure.
//!
//! Owns: the form of Bothy's bridges and ports in the database. Never: the connection.

use std::collections::{BTreeSet, HashMap};

use camino::{Utf8Path, Utf8PathBuf};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    bond::{self, Up},
    rows::{Bridge, Ids, Interface, Mirror, Port, Table},
    tunnel,
    txn::{Columns, Txn},
    value::{Atom, Datum},
};
use crate::model::{
    error::{Fault, Result},
    id::{IfName, SegmentId},
    net::VlanId,
    tunnel::TunnelKind,
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
    /// What of the host is to be put in, for a physical network.
    pub uplink: Option<Up<'a>>,
}

/// Adds the bridge with its local port (and uplink). `named` is the row's name in the transaction.
pub fn add_bridge(mut txn: Txn, root: Uuid, b: &NewBridge<'_>, named: &str) -> Txn {
    let marks = Datum::map([(OWNER, OWNER_BRIDGE)]);
    let mut ports = vec![Atom::Named(format!("{named}_p"))];
    txn = txn.unless_named(Table::Bridge, b.name);
    let own = NewPort { mtu: Some(ETHERNET_MTU), ..NewPort::plain(b.name, "internal", marks.clone()) };
    txn = add_port_rows(txn, &format!("{named}_p"), own);
    if let Some(up) = b.uplink {
        let row = format!("{named}_u");
        ports.push(Atom::Named(row.clone()));
        txn = bond::add_up(txn, &row, up, &marks);
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

/// A port and its interface as they are first written.
pub(super) struct NewPort<'a> {
    name: &'a str,
    kind: &'a str,
    vlans: Option<Vlans>,
    isolated: bool,
    only: BTreeSet<u16>,
    mtu: Option<u16>,
    options: Datum,
    bfd: bool,
    ids: Datum,
}

impl<'a> NewPort<'a> {
    pub(super) fn plain(name: &'a str, kind: &'a str, ids: Datum) -> Self {
        NewPort {
            name,
            kind,
            vlans: None,
            isolated: false,
            only: BTreeSet::new(),
            mtu: None,
            options: Datum::Map(Vec::new()),
            bfd: false,
            ids,
        }
    }
}

/// RFC 5880, as often as Open vSwitch does by itself: a few packets a second. Only what is for the MAC that Open vSwitch sends
/// to: without this the switch takes BFD between guests, which comes by the same port, for the remote end's.
const BFD: [(&str, &str); 2] = [("enable", "true"), ("bfd_remote_dst_mac", "00:23:20:00:00:01")];

fn bfd(enable: bool) -> Datum {
    Datum::map(BFD.into_iter().filter(|_| enable))
}

fn asks_bfd(had: &Ids) -> bool {
    BFD.iter().all(|(k, v)| had.get(*k).is_some_and(|h| h == v))
}

pub(super) fn mtu_request(mtu: Option<u16>) -> Datum {
    Datum::Set(mtu.map(|m| Atom::Int(m.into())).into_iter().collect())
}

fn numbers(all: BTreeSet<u16>) -> Datum {
    Datum::Set(all.into_iter().map(|n| Atom::Int(n.into())).collect())
}

pub(super) fn add_port_rows(txn: Txn, row: &str, p: NewPort<'_>) -> Txn {
    let interface = format!("{row}_i");
    let vlans = p.vlans.unwrap_or(Vlans::All);
    let mut columns = vec![
        ("name", Datum::text(p.name)),
        ("type", Datum::text(p.kind)),
        ("options", p.options),
        ("mtu_request", mtu_request(p.mtu)),
        ("external_ids", p.ids.clone()),
    ];
    columns.extend(p.bfd.then(|| ("bfd", bfd(true))));
    txn.insert(Table::Interface, &interface, columns).insert(
        Table::Port,
        row,
        vec![
            ("name", Datum::text(p.name)),
            ("interfaces", Datum::one(Atom::Named(interface))),
            ("tag", vlans.tag()),
            ("trunks", numbers(vlans.trunks())),
            ("vlan_mode", vlans.mode().map_or_else(Datum::empty, Datum::text)),
            ("cvlans", numbers(p.only)),
            ("protected", Datum::one(Atom::Bool(p.isolated))),
            ("external_ids", p.ids),
        ],
    )
}

/// One port as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: IfName,
    pub segment: SegmentId,
    pub vlans: Vlans,
    pub kind: WantedKind,
    /// Exchanges nothing with other isolated ports.
    pub isolated: bool,
    /// Bytes; `None`: the switch's own choice.
    pub mtu: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vlans {
    /// Untagged frames, in this VLAN; 0 is that of untagged frames.
    Access(u16),
    /// Whatever comes in is in this VLAN, with its own tags.
    Tunnel(u16),
    /// Tagged and untagged, as they come.
    All,
    /// On no link, even where the switch has no flows: what leads in and out is told by flows alone.
    /// Two protected ports would not do: the switch obeys no flow between them either.
    Nowhere,
}

impl Vlans {
    fn tag(self) -> Datum {
        match self {
            Vlans::Access(t) | Vlans::Tunnel(t) => Datum::one(Atom::Int(t.into())),
            Vlans::All | Vlans::Nowhere => Datum::empty(),
        }
    }
    fn mode(self) -> Option<&'static str> {
        match self {
            Vlans::Tunnel(_) => Some("dot1q-tunnel"),
            Vlans::Nowhere => Some("trunk"),
            Vlans::Access(_) | Vlans::All => None,
        }
    }
    fn trunks(self) -> BTreeSet<u16> {
        match self {
            Vlans::Nowhere => BTreeSet::from([NOBODY]),
            Vlans::Access(_) | Vlans::Tunnel(_) | Vlans::All => BTreeSet::new(),
        }
    }
    /// What differs from it in a port's row.
    pub(super) fn diff(self, port: &Port) -> Columns {
        let mut diff = Columns::new();
        if Datum::Set(port.tag.map(|t| Atom::Int(t.into())).into_iter().collect()) != self.tag() {
            diff.push(("tag", self.tag()));
        }
        if port.vlan_mode.as_deref() != self.mode() {
            diff.push(("vlan_mode", self.mode().map_or_else(Datum::empty, Datum::text)));
        }
        if port.trunks != self.trunks() {
            diff.push(("trunks", numbers(self.trunks())));
        }
        diff
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedKind {
    Internal,
    Patch {
        peer: IfName,
    },
    /// Packets to one remote end.
    Tunnel {
        kind: TunnelKind,
        options: Ids,
        /// Whether the end is asked for, again and again.
        bfd: bool,
    },
    /// QEMU listens, the data plane connects: it may restart while guests run.
    VhostUser {
        socket: Utf8PathBuf,
    },
}

/// VLAN 4095 is reserved (IEEE 802.1Q, table 9-2): no frame is in it.
const NOBODY: u16 = 4095;
pub(super) const ETHERNET_MTU: u16 = 1500;

impl Wanted {
    /// The MTU is stated, as the switch would lower that of every port to the least of them.
    pub fn host(name: &IfName, segment: SegmentId, vlan: VlanId, mtu: Option<u16>) -> Self {
        let (kind, vlans) = (WantedKind::Internal, Vlans::Access(vlan.get()));
        Wanted { name: name.clone(), segment, vlans, kind, isolated: false, mtu: mtu.or(Some(ETHERNET_MTU)) }
    }
    /// A guest's, of whose row the link says the rest.
    pub fn vhost_user(name: &IfName, segment: SegmentId, vlan: VlanId, socket: &Utf8Path) -> Self {
        let kind = WantedKind::VhostUser { socket: socket.to_owned() };
        Wanted { name: name.clone(), segment, vlans: Vlans::Access(vlan.get()), kind, isolated: false, mtu: None }
    }
    fn end(name: &IfName, segment: SegmentId, vlans: Vlans, peer: &IfName) -> Self {
        Wanted { name: name.clone(), segment, vlans, kind: WantedKind::Patch { peer: peer.clone() }, isolated: false, mtu: None }
    }
    /// Both ends of a patch. Each is an access port, so the segment's tag here and the tag on the
    /// physical network need not be the same.
    pub fn patch(name: &IfName, segment: SegmentId, here: VlanId, there: Option<VlanId>, transparent: bool) -> Result<[Self; 2]> {
        let far = far_name(name)?;
        let (near_vlans, far_vlans) = match (transparent, there.map(VlanId::get)) {
            (false, tag) => (Vlans::Access(here.get()), Vlans::Access(tag.unwrap_or(0))),
            (true, Some(tag)) => (Vlans::Tunnel(here.get()), Vlans::Tunnel(tag)),
            (true, None) => (Vlans::Tunnel(here.get()), Vlans::All),
        };
        Ok([Self::end(name, segment, near_vlans, &far), Self::end(&far, segment, far_vlans, name)])
    }
    /// Both ends of the patch by which one tagged network of a guest's NIC comes to its link, both
    /// on the same bridge: the first is on the link, the second is led to by flows.
    pub fn inner(name: &IfName, segment: SegmentId, vlan: VlanId, transparent: bool, isolated: bool) -> Result<[Self; 2]> {
        let far = far_name(name)?;
        let vlans = if transparent { Vlans::Tunnel(vlan.get()) } else { Vlans::Access(vlan.get()) };
        let near = Wanted { isolated, ..Self::end(name, segment, vlans, &far) };
        Ok([near, Self::end(&far, segment, Vlans::Nowhere, name)])
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            WantedKind::Internal => "internal",
            WantedKind::Patch { .. } => "patch",
            WantedKind::Tunnel { kind, .. } => kind.word(),
            WantedKind::VhostUser { .. } => "dpdkvhostuserclient",
        }
    }
    fn options(&self) -> Ids {
        match &self.kind {
            WantedKind::Internal => Ids::new(),
            WantedKind::Patch { peer } => Ids::from([("peer".to_owned(), peer.to_string())]),
            WantedKind::Tunnel { options, .. } => options.clone(),
            WantedKind::VhostUser { socket } => Ids::from([("vhost-server-path".to_owned(), socket.to_string())]),
        }
    }
    fn bfd(&self) -> bool {
        matches!(self.kind, WantedKind::Tunnel { bfd: true, .. })
    }
    fn marks(&self) -> Ids {
        Ids::from([(OWNER.to_owned(), OWNER_PORT.to_owned()), (ID.to_owned(), self.segment.to_string())])
    }
}

/// The far end of a patch port: `bp...` and `bq...`, `bt...` and `bu...`.
pub fn far_name(near: &IfName) -> Result<IfName> {
    let far = [("bp", "bq"), ("bt", "bu")].into_iter().find_map(|(n, f)| Some(format!("{f}{}", near.as_str().strip_prefix(n)?)));
    match far {
        Some(far) => IfName::try_from(SmolStr::new(far)),
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
            NewPort {
                name,
                kind: w.type_name(),
                vlans: Some(w.vlans),
                isolated: w.isolated,
                only: BTreeSet::new(),
                mtu: w.mtu,
                options: Datum::map(w.options()),
                bfd: w.bfd(),
                ids: Datum::map(w.marks()),
            },
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

/// The port is there, and all of it as wanted.
pub fn is_whole(m: &Mirror, port: &Port, w: &Wanted) -> bool {
    is_as(port, w) && m.interface_of(port).is_some_and(|(_, i)| interface_diff(i, w).is_empty())
}

/// The port's row is as wanted; its interface is another matter.
pub fn is_as(port: &Port, w: &Wanted) -> bool {
    port_diff(port, w).is_empty()
}

fn port_diff(port: &Port, w: &Wanted) -> Columns {
    let of_its_link = matches!(w.kind, WantedKind::VhostUser { .. });
    let mut diff = if of_its_link { Columns::new() } else { w.vlans.diff(port) };
    if port.protected != w.isolated && !of_its_link {
        diff.push(("protected", Datum::one(Atom::Bool(w.isolated))));
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
    let asked = interface.bfd.get("enable").is_some_and(|e| e == "true");
    if asked != w.bfd() || asked && !asks_bfd(&interface.bfd) {
        diff.push(("bfd", bfd(w.bfd())));
    }
    if interface.mtu_request != w.mtu.map(i64::from) {
        diff.push(("mtu_request", mtu_request(w.mtu)));
    }
    diff
}

/// A guest's port as its link wants it. libvirt made it, or Bothy once more after it was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestPort {
    pub name: IfName,
    pub vlans: Vlans,
    pub isolated: bool,
    /// Of the tags within its VLAN, those that pass; none: all of them.
    pub only: BTreeSet<u16>,
}

const OWNER_GUEST: &str = "guest";

/// What brings guests' ports that are there to what they shall be, and the switch to frames with
/// two tags where a link needs that. `None`: all is so.
pub fn guests(m: &Mirror, bridge: Uuid, row: &Bridge, wanted: &HashMap<&str, GuestPort>) -> Option<Txn> {
    let mut txn = Txn::new("guests' ports as their links want them");
    for (id, port) in row.ports.iter().filter_map(|id| Some((id, m.ports.get(id)?))) {
        let Some(w) = wanted.get(port.name.as_str()) else { continue };
        let mut diff = w.vlans.diff(port);
        if port.protected != w.isolated {
            diff.push(("protected", Datum::one(Atom::Bool(w.isolated))));
        }
        if port.cvlans != w.only {
            diff.push(("cvlans", numbers(w.only.clone())));
        }
        if !diff.is_empty() {
            txn = txn.while_named(Table::Port, *id, &port.name).update(Table::Port, *id, diff);
        }
    }
    let tunnels = wanted.values().any(|w| w.vlans.mode().is_some());
    if let Some((root, r)) = m.root().filter(|(_, r)| tunnels && !r.other_config.get("vlan-limit").is_some_and(|l| l == "0" || l == "2")) {
        let mut config = r.other_config.clone();
        config.insert("vlan-limit".into(), "2".into());
        txn = txn.update(Table::OpenVSwitch, root, vec![("other_config", Datum::map(config))]);
    }
    (!txn.is_empty()).then(|| txn.while_named(Table::Bridge, bridge, &row.name))
}

/// Puts ports of running guests back that were lost with their bridge or one by one.
pub fn put_back(bridge: Uuid, name: &str, lost: &[&GuestPort]) -> Txn {
    let mut txn = Txn::new("guests' ports put back").while_named(Table::Bridge, bridge, name);
    for g in lost {
        let row = format!("back_{}", g.name);
        let ids = Datum::map([(OWNER, OWNER_GUEST)]);
        let new = NewPort { vlans: Some(g.vlans), isolated: g.isolated, only: g.only.clone(), ..NewPort::plain(g.name.as_str(), "", ids) };
        txn = txn.unless_named(Table::Port, g.name.as_str());
        txn = add_port_rows(txn, &row, new).add(Table::Bridge, bridge, "ports", Datum::one(Atom::Named(row)));
    }
    txn
}

/// Takes ports away that were put back for guests that then went.
pub fn take_back(bridge: Uuid, gone: &[Uuid]) -> Txn {
    let ports = Datum::Set(gone.iter().map(|id| Atom::Uuid(*id)).collect());
    Txn::new("ports of guests that went").take(Table::Bridge, bridge, "ports", ports)
}

/// Bothy put it back for a guest.
pub fn was_put_back(port: &Port) -> bool {
    port.external_ids.get(OWNER).is_some_and(|o| o == OWNER_GUEST)
}

const OWNER_CAPTURE: &str = "capture";

/// What NICs call jumbo frames.
const LARGEST: u16 = 9216;

/// An internal port at which copies of what passes these ports come out. `None`: it is there.
pub fn mirror(m: &Mirror, bridge: &str, to: &IfName, of: &[IfName], vlan: VlanId) -> Result<Option<Txn>> {
    let (id, _) = m.bridge(bridge).ok_or_else(|| Fault::transient(format!("bridge {bridge} is not on the switch")))?;
    if m.copiers.values().any(|c| c.name == to.as_str()) {
        return Ok(None);
    }
    let ports: Vec<Atom> = of.iter().filter_map(|p| m.port(p.as_str())).map(|(id, _)| Atom::Uuid(id)).collect();
    if ports.is_empty() {
        return Err(Fault::conflict("none of the ports is on the switch: nothing would be heard"));
    }
    let ids = Datum::map([(OWNER, OWNER_CAPTURE)]);
    // An access port would take guests' own tags off too.
    // Else it is as small as the smallest port of the bridge, and larger copies are lost.
    let out =
        NewPort { vlans: Some(Vlans::Tunnel(vlan.get())), mtu: Some(LARGEST), ..NewPort::plain(to.as_str(), "internal", ids.clone()) };
    let txn = Txn::new(format!("mirror {to}")).while_named(Table::Bridge, id, bridge).unless_named(Table::Port, to.as_str());
    let mirror = vec![
        ("name", Datum::text(to.as_str())),
        ("select_src_port", Datum::Set(ports.clone())),
        ("select_dst_port", Datum::Set(ports)),
        ("output_port", Datum::one(Atom::Named("out".into()))),
        ("external_ids", ids),
    ];
    let txn = add_port_rows(txn, "out", out).insert(Table::Mirror, "copier", mirror);
    let txn = txn.add(Table::Bridge, id, "ports", Datum::one(Atom::Named("out".into())));
    Ok(Some(txn.add(Table::Bridge, id, "mirrors", Datum::one(Atom::Named("copier".into())))))
}

/// Takes a mirror away, with its port. `None`: there is none.
pub fn unmirror(m: &Mirror, bridge: &str, to: &IfName) -> Option<Txn> {
    let (id, _) = m.bridge(bridge)?;
    let mut txn = Txn::new(format!("remove mirror {to}"));
    if let Some((copier, _)) = m.copiers.iter().find(|(_, c)| c.name == to.as_str()) {
        txn = txn.take(Table::Bridge, id, "mirrors", Datum::one(Atom::Uuid(*copier)));
    }
    if let Some((port, _)) = m.port(to.as_str()) {
        txn = txn.take(Table::Bridge, id, "ports", Datum::one(Atom::Uuid(port)));
    }
    (!txn.is_empty()).then_some(txn)
}

/// The interfaces of Bothy's mirrors, also of one of which only half is left.
pub fn mirrors(m: &Mirror) -> BTreeSet<IfName> {
    let is = |ids: &Ids| ids.get(OWNER).is_some_and(|o| o == OWNER_CAPTURE);
    let copiers = m.copiers.values().filter(|c| is(&c.external_ids)).map(|c| &c.name);
    copiers.chain(m.ports.values().filter(|p| is(&p.external_ids)).map(|p| &p.name)).filter_map(|n| n.parse().ok()).collect()
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
    if let Some((b, ends)) = tunnel::ends(m, bridge, name) {
        txn = txn.take(Table::Bridge, b, "ports", ends);
        found = true;
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
