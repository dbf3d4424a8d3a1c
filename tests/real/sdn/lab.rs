//! The switch `tor`, hosts on its ports, a card with two functions, and the keeper over a store of its own.

use std::sync::Arc;

use bothy::{
    controllers::Controllers,
    model::{
        hw::{CpuSet, PageSize, PciAddr},
        id::{IfKind, PortId, ProjectId, SegmentId, VnfId, VnfPkgId, VnfcId, if_name},
        net::MacAddr,
        place::{Held, PlacedDevice, Placement},
        sdn::{Controller, MappedDraft, Pattern, PortMap},
        segment::{Segment, SegmentOwner, SegmentState},
        size::MiB,
        time::Stamp,
        vnf::{Body, Facts, Port, Reservation, RunState, VnfInstance, Vnfc},
        vnfd::LinkProfile,
    },
    store::{Durability, Options, Store},
    vim::outside::{Outside, Settings, Standing},
};
use uuid::Uuid;

use crate::kit::{
    self,
    netns::{self, Peer},
    ovs::{self, Ovs},
    utf8,
};

pub const SWITCH: &str = "tor";

pub struct Lab {
    // Before the switch: it is set once more when this ends.
    pub outside: Arc<Outside>,
    pub store: Store,
    pub ovs: Ovs,
    _dir: tempfile::TempDir,
}

/// One function: by its number, the port of the switch that it hangs on, its link, and whether it is a VF.
pub struct Function {
    pub n: u128,
    pub port: &'static str,
    pub link: u128,
    pub vf: bool,
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 100 | n)
}

fn address(f: &Function) -> PciAddr {
    let device = if f.vf { "10" } else { "00" };
    format!("{:02x}:{device}.0", f.n).parse().expect("an address")
}

impl Lab {
    /// `None`: the host lacks something.
    pub fn start() -> Option<Lab> {
        if kit::lacks(&ovs::NEEDS) {
            return None;
        }
        netns::enter_new();
        let ovs = Ovs::start();
        ovs.vsctl(&["add-br", SWITCH, "--", "set", "bridge", SWITCH, "datapath_type=netdev", "fail_mode=standalone"]);
        let dir = kit::scratch();
        let store = Store::open(utf8(dir.path()).join("store"), Options::default()).expect("the store");
        let outside = Outside::new(store.clone(), Arc::new(Controllers), Settings::default());
        outside.start().expect("started");
        Some(Lab { outside, store, ovs, _dir: dir })
    }

    /// A host on a port of the switch, as number `n` of `10.0.0.0/24`; OpenFlow's number of the port is the
    /// host's.
    pub fn host(&self, n: u128, port: &str) -> Peer {
        let peer = Peer::new();
        peer.connect(port, "eth0", None, &[&ip(n, 24)]);
        self.ovs.vsctl(&["add-port", SWITCH, port, "--", "set", "interface", port, &format!("ofport_request={n}")]);
        peer
    }

    /// A host behind a VF of this VLAN: the card puts its tag on, and hangs on the port.
    pub fn vf_host(&self, n: u128, port: &str, vlan: u16) -> Peer {
        let (card, nic, inner) = (format!("card{n}"), format!("vf{n}"), format!("{port}c"));
        self.ovs.vsctl(&["add-br", &card, "--", "set", "bridge", &card, "datapath_type=netdev"]);
        let peer = Peer::new();
        peer.connect(&nic, "eth0", None, &[&ip(n, 24)]);
        self.ovs.vsctl(&["add-port", &card, &nic, &format!("tag={vlan}")]);
        let end = |peer: &str| ["type=patch".to_owned(), format!("options:peer={peer}")];
        let (up, down) = (end(port), end(&inner));
        self.ovs.vsctl(&["add-port", &card, &inner, "--", "set", "interface", &inner, &up[0], &up[1]]);
        let number = format!("ofport_request={n}");
        self.ovs.vsctl(&["add-port", SWITCH, port, "--", "set", "interface", port, &down[0], &down[1], &number]);
        peer
    }

    /// Columns of a port that say what passes.
    pub fn vlans(&self, port: &str) -> String {
        self.ovs.vsctl(&["get", "port", port, "tag", "trunks", "vlan_mode"]).replace('\n', " ").trim().to_owned()
    }

    pub fn settings(&self, controller: Controller, functions: &[Function]) -> Settings {
        self.settings_at(SWITCH, controller, functions)
    }

    /// Where the controller has another name for the switch.
    pub fn settings_at(&self, switch: &str, controller: Controller, functions: &[Function]) -> Settings {
        let line = |f: &Function| {
            let draft = MappedDraft {
                pci: address(f).to_string().into(),
                switch_id: switch.into(),
                switch_port: f.port.into(),
                switch_mac: "".into(),
            };
            draft.check().expect("a line")
        };
        let map = PortMap { node: Pattern::of_node("b*").expect("a node"), ports: functions.iter().map(line).collect() };
        Settings { node: "box".into(), controllers: vec![controller], maps: vec![map] }
    }

    /// Links of these VLANs with a guest to each function, as after an accept.
    pub fn accept(&self, links: &[(u128, u16)], functions: &[Function]) {
        let vnf = VnfId(id(1));
        let (guests, held): (Vec<Vnfc>, Vec<Held>) = functions.iter().map(guest).unzip();
        let reservation = Reservation { vnf, project: ProjectId::DEFAULT, vcpus: 1, memory: MiB(64), disk: MiB(64), placed: held };
        let segments: Vec<Segment> = links.iter().map(|(n, vlan)| segment(*n, *vlan)).collect();
        self.store
            .write(Durability::Barrier, |tx| {
                tx.put(&instance(vnf, guests.clone()))?;
                tx.put(&reservation)?;
                segments.iter().try_for_each(|s| tx.put(s))?;
                tx.put(&Facts { revision: 1 })
            })
            .expect("written");
    }

    /// As after the end of it all.
    pub fn settle(&self) {
        self.store
            .write(Durability::Barrier, |tx| {
                tx.delete::<Reservation>(&VnfId(id(1)))?;
                tx.delete::<VnfInstance>(&VnfId(id(1)))?;
                tx.put(&Facts { revision: 2 })
            })
            .expect("written");
    }

    /// States of all links: `link1 ACTIVE`.
    pub fn states(&self) -> Vec<String> {
        let text = |s: &Standing| format!("{} {}", s.service.link, s.state.word());
        self.outside.services().expect("services").iter().map(text).collect()
    }
    pub fn why(&self) -> String {
        self.outside.services().expect("services").iter().map(|s| s.why.clone()).collect::<Vec<_>>().join("; ")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.outside.stop();
    }
}

pub fn ip(n: u128, prefix: u8) -> String {
    if prefix == 0 { format!("10.0.0.{n}") } else { format!("10.0.0.{n}/{prefix}") }
}

pub fn reaches(from: &Peer, to: u128) -> bool {
    from.pings(&ip(to, 0))
}

fn segment(n: u128, vlan: u16) -> Segment {
    Segment {
        id: SegmentId(id(n)),
        project: ProjectId::DEFAULT,
        owner: SegmentOwner::Vnf(VnfId(id(1))),
        link: format!("link{n}").into(),
        vlan: (n as u16).try_into().expect("vlan"),
        profile: LinkProfile { physical: Some("wan".into()), segmentation: Some(vlan), ..LinkProfile::default() },
        host: Vec::new(),
        stations: Vec::new(),
        state: SegmentState::Wanted,
    }
}

fn guest(f: &Function) -> (Vnfc, Held) {
    let guest = VnfcId(id(f.n));
    let port = Port {
        id: PortId(id(f.n)),
        cp: "fast".into(),
        ext_cp: None,
        segment: SegmentId(id(f.link)),
        ifname: if_name(IfKind::Guest, &id(f.n)),
        mac: MacAddr::planned(f.n as u32),
        addresses: Vec::new(),
    };
    let vnfc = Vnfc {
        id: guest,
        vdu: "vdu0".into(),
        index: f.n as u32,
        hostname: format!("g{}", f.n).into(),
        vcpus: 1,
        memory: MiB(64),
        disks: Vec::new(),
        ports: vec![port],
        medium: false,
        graceful_stop_s: None,
    };
    let device = PlacedDevice {
        wish: "fast".into(),
        address: address(f),
        card: address(f),
        card_name: "ens1".into(),
        vf: f.vf.then_some(0),
        mbps: 0,
        alone: false,
        apart: None,
    };
    let at = Placement {
        page: PageSize::Small,
        cells: Vec::new(),
        emulator: CpuSet::new(),
        emulator_alone: false,
        devices: vec![device],
        reserve_mcpu: 0,
        together: Vec::new(),
        apart: Vec::new(),
    };
    (vnfc, Held { guest, name: format!("v/vdu0/{}", f.n).into(), at, given: Vec::new() })
}

fn instance(vnf: VnfId, vnfcs: Vec<Vnfc>) -> VnfInstance {
    VnfInstance {
        id: vnf,
        project: ProjectId::DEFAULT,
        ns: None,
        name: "v".into(),
        description: String::new(),
        package: VnfPkgId(id(2)),
        vnfd_id: "v".into(),
        provider: "p".into(),
        product_name: "p".into(),
        software_version: "1".into(),
        vnfd_version: "1".into(),
        instantiated: true,
        body: Some(Body {
            flavour: "df".into(),
            level: "il".into(),
            scale: Vec::new(),
            run: RunState::Started,
            vnfcs,
            links: Vec::new(),
            own_segments: Vec::new(),
            ext_cps: Vec::new(),
            params: Vec::new(),
            ssh_keys: Vec::new(),
        }),
        op: None,
        priority: 0,
        metadata: Vec::new(),
        extensions: Vec::new(),
        configurable: Vec::new(),
        created: Stamp(0),
        owner: None,
        revision: 0,
    }
}
