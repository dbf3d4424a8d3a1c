//! Links through tunnels: other boxes are Open vSwitches of their own in other namespaces, set up by hand, and the
//! packets between go by the userspace datapath's own tunnels on either side.

use bothy::{
    model::{
        id::{IfKind, IfName, if_name},
        tunnel::{Tunnel, TunnelDraft},
    },
    ovs::{BRIDGE, Uplink},
    sdn::{
        link::{LinkPort, PortAt, SwitchLink},
        port::{Fabric, PortKind, SwitchPort},
    },
};

use super::lab::*;
use crate::kit::{
    eventually,
    netns::{Peer, pings},
    ovs::Ovs,
    sh, try_sh,
};

/// Another box: its own switch, with a bridge by which it is reached and one of the link.
pub struct Site {
    n: u8,
    ovs: Ovs,
    pub peer: Peer,
}

/// A bridge by which tunnels go: user space finds the way to a remote end by a bridge that has the address. `db`: the
/// switch, as `ovs-vsctl` is told.
pub fn under(db: &str, n: u8) {
    sh(&["ovs-vsctl", db, "add-br", "under", "--", "set", "bridge", "under", "datapath_type=netdev"]);
    sh(&["ip", "address", "add", &outer(n), "dev", "under"]);
    sh(&["ip", "link", "set", "under", "up"]);
}
fn outer(n: u8) -> String {
    format!("192.0.2.{n}/24")
}
fn far(n: u8) -> String {
    format!("192.0.2.{n}")
}

impl Site {
    /// On the bridge that this switch has for it.
    pub fn start(db: &str, n: u8) -> Site {
        let (peer, up) = (Peer::new(), format!("wan{n}"));
        peer.connect(&up, "out0", None, &[]);
        sh(&["ovs-vsctl", db, "add-port", "under", &up]);
        let ovs = peer.run(|| {
            let ovs = Ovs::start();
            under(&ovs.db_arg(), n);
            ovs.vsctl(&["add-port", "under", "out0", "--", "add-br", "site", "--", "set", "bridge", "site", "datapath_type=netdev"]);
            sh(&["ip", "address", "add", &format!("10.0.7.{}/24", 100 + n), "dev", "site"]);
            sh(&["ip", "link", "set", "site", "mtu", "1450", "up"]);
            ovs
        });
        assert!(soon(|| pings(&far(n))), "the way between the boxes");
        Site { n, ovs, peer }
    }
    /// A port to another end, as somebody there would make it.
    pub fn leads_to(&self, other: u8, kind: &str, key: u32) {
        let (name, remote, key) = (format!("to{other}"), format!("options:remote_ip={}", far(other)), format!("options:key={key}"));
        let port = ["add-port", "site", &name, "--", "set", "interface", &name, &format!("type={kind}"), &remote, &key];
        // Ports that are protected exchange nothing: what comes from one end goes to no other.
        self.ovs.vsctl(&[&port[..], &["--", "set", "port", &name, "protected=true"]].concat());
    }
    fn address(&self) -> String {
        format!("10.0.7.{}", 100 + self.n)
    }
    pub fn reaches(&self, to: &str) -> bool {
        self.peer.pings(to)
    }
    /// One broadcast, and how many answers come back.
    fn answers(&self, to: &str) -> usize {
        self.peer.run(|| {
            // Without `-f`, it counts those that come twice.
            let (_, said) = try_sh(&["busybox", "arping", "-I", "site", "-c", "1", "-w", "2", to]);
            said.lines().filter(|l| l.contains("reply from")).count()
        })
    }
}

fn soon(is: impl Fn() -> bool) -> bool {
    (0..10).any(|_| is())
}

fn tunnel(kind: &str, remotes: &[u8]) -> Tunnel {
    let remotes = remotes.iter().map(|n| far(*n).into()).collect();
    let draft = TunnelDraft { name: "hq".into(), kind: kind.into(), remotes, local: Some(far(1).into()), ..TunnelDraft::default() };
    draft.check().expect("a tunnel")
}

fn port(vlan: u16, vni: u16, transparent: bool) -> SwitchPort {
    let kind = PortKind::Tunnel { tunnel: "hq".into(), vni: Some(vni), transparent };
    SwitchPort { name: if_name(IfKind::Patch, &id(1)), segment: segment(1), vlan: vlan.try_into().expect("vlan"), kind }
}

fn with_tunnel(l: SwitchLink, at: &IfName) -> SwitchLink {
    let mut l = l;
    l.ports.push(LinkPort { name: at.clone(), at: PortAt::Own, isolated: false, limit: None, guard: None, only: Vec::new() });
    l
}

/// A box that has this tunnel.
fn lab(t: Tunnel) -> Option<Lab> {
    let lab = Lab::with(&[("hq", Uplink::Tunnel(t))])?;
    under(&lab.ovs.db_arg(), 1);
    Some(lab)
}

#[test]
fn a_link_reaches_another_box_through_either_kind_of_tunnel_and_comes_back_when_it_is_lost() {
    for kind in ["vxlan", "geneve"] {
        let Some(lab) = lab(tunnel(kind, &[2])) else { return };
        let site = Site::start(&lab.ovs.db_arg(), 2);
        site.leads_to(1, kind, 60_000);
        let (guest, beside) = (lab.guest(1, 7), lab.guest(2, 8));
        beside.peer.run(|| sh(&["ip", "address", "add", "10.0.7.9/24", "dev", "eth0"]));
        let p = port(7, 60_000, false);
        lab.fabric.ensure_port(&p).expect("the tunnel's port");
        lab.fabric.ensure_segment(&with_tunnel(link(1, 7, &[1]), &p.name)).expect("link");
        lab.fabric.ensure_segment(&link(2, 8, &[2])).expect("another link");
        assert!(soon(|| guest.peer.pings(&site.address())), "{kind}: out\n{}", lab.picture());
        assert!(site.reaches(&guest.v4), "{kind}: in");
        let before = lab.flows();
        lab.fabric.ensure_port(&p).expect("the same once more");
        assert_eq!(lab.flows(), before, "{kind}");
        assert!(!beside.peer.pings(&site.address()), "{kind}: the other link is none of it");

        // Somebody's hand: another remote end, another key, the port gone.
        for (what, args) in [
            ("remote", vec!["set", "interface", p.name.as_str(), "options:remote_ip=192.0.2.9"]),
            ("key", vec!["set", "interface", p.name.as_str(), "options:key=7"]),
            ("VLAN", vec!["set", "port", p.name.as_str(), "tag=8"]),
            ("port", vec!["del-port", p.name.as_str()]),
        ] {
            lab.ovs.vsctl(&args);
            let whole = || {
                let options = try_sh(&["ovs-vsctl", &lab.ovs.db_arg(), "get", "interface", p.name.as_str(), "options"]).1;
                let tag = try_sh(&["ovs-vsctl", &lab.ovs.db_arg(), "get", "port", p.name.as_str(), "tag"]).1;
                options.contains("key=\"60000\"") && options.contains("192.0.2.2") && tag.trim() == "7"
            };
            eventually(&format!("{kind}: {what} is as it was"), whole);
        }
        assert!(soon(|| guest.peer.pings(&site.address())), "{kind}: repaired");

        // Another VNI is another link out there.
        lab.fabric.ensure_port(&port(7, 7, false)).expect("another VNI");
        guest.settle();
        assert!(!guest.peer.pings(&site.address()), "{kind}: nobody has that VNI there");
        lab.fabric.remove_port(&p.name).expect("gone");
        lab.fabric.remove_segment(segment(1)).expect("gone");
        assert!(!lab.ovs.vsctl(&["list-ports", BRIDGE]).contains(p.name.as_str()), "{kind}");
    }
}

#[test]
fn a_remote_end_that_speaks_bfd_and_falls_silent_is_told() {
    let Some(lab) = lab(Tunnel { bfd: true, ..tunnel("vxlan", &[2, 3]) }) else { return };
    let (second, third) = (Site::start(&lab.ovs.db_arg(), 2), Site::start(&lab.ovs.db_arg(), 3));
    for s in [&second, &third] {
        s.leads_to(1, "vxlan", 70);
    }
    second.ovs.vsctl(&["set", "interface", "to1", "bfd:enable=true"]);
    assert!(lab.fabric.remotes().expect("asked").is_empty(), "no link is there yet");
    let guest = lab.guest(1, 7);
    let p = port(7, 70, false);
    lab.fabric.ensure_port(&p).expect("the tunnel's ports");
    lab.fabric.ensure_segment(&with_tunnel(link(1, 7, &[1]), &p.name)).expect("link");
    let silent = || -> Vec<bool> { lab.fabric.remotes().expect("asked").iter().map(|e| e.silent.is_some()).collect() };
    // Frames pass to both; of the third, whose switch says nothing, nobody can know.
    eventually("the second is heard, the third is not", || silent() == [false, true]);
    for s in [&second, &third] {
        assert!(soon(|| guest.peer.pings(&s.address())), "box {}\n{}", s.n, lab.picture());
    }
    let wire = |state: &str| second.peer.run(|| sh(&["ip", "link", "set", "out0", state]));
    wire("down");
    eventually("it is missed", || silent() == [true, true]);
    let why = lab.fabric.remotes().expect("asked").remove(0).silent.unwrap_or_default();
    assert!(why.contains("BFD is down"), "{why}");
    wire("up");
    eventually("it is back", || silent() == [false, true]);
}

#[test]
fn a_link_of_several_boxes_is_one_lan_without_a_loop() {
    let Some(lab) = lab(tunnel("vxlan", &[2, 3])) else { return };
    let (second, third) = (Site::start(&lab.ovs.db_arg(), 2), Site::start(&lab.ovs.db_arg(), 3));
    second.leads_to(1, "vxlan", 70);
    third.leads_to(1, "vxlan", 70);
    let guest = lab.guest(1, 7);
    let p = port(7, 70, false);
    lab.fabric.ensure_port(&p).expect("the tunnel's ports");
    lab.fabric.ensure_segment(&with_tunnel(link(1, 7, &[1]), &p.name)).expect("link");
    for s in [&second, &third] {
        assert!(soon(|| guest.peer.pings(&s.address())) && s.reaches(&guest.v4), "box {}\n{}", s.n, lab.picture());
    }
    assert!(!second.reaches(&third.address()), "this box hands nothing on between the two");
    // Once they have a tunnel of their own all three are a LAN, in a ring that nothing goes round in.
    second.leads_to(3, "vxlan", 70);
    third.leads_to(2, "vxlan", 70);
    assert!(soon(|| second.reaches(&third.address())), "by themselves");
    assert_eq!((second.answers(&third.address()), third.answers(&guest.v4)), (1, 1), "a broadcast comes once");
    assert!(guest.peer.pings(&second.address()) && guest.peer.pings(&third.address()));

    let ports = || lab.ovs.vsctl(&["list-ports", BRIDGE]).lines().filter(|l| l.starts_with(p.name.as_str())).count();
    assert_eq!(ports(), 2);
    lab.ovs.vsctl(&["del-port", &format!("{}0", p.name)]);
    eventually("the second end comes back too", || ports() == 2);
    assert!(soon(|| guest.peer.pings(&third.address())), "box 3 again");
    lab.fabric.remove_port(&p.name).expect("gone");
    lab.fabric.remove_segment(segment(1)).expect("gone");
    assert_eq!(ports(), 0, "all of them go");
}
