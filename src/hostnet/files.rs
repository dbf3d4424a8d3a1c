//! A wanted network as files of systemd-networkd (systemd.network(5), systemd.netdev(5)), pure.
//!
//! They sort before the system's own, `80-uplink.network`, and the last of them takes every port that is not named.

use std::{fmt::Write as _, net::IpAddr};

use crate::model::hostnet::{Device, HostInterface, HostNetwork, Way};

/// A file in a folder of the daemon's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetFile {
    pub name: String,
    pub text: String,
}

/// What each file's name begins with: those are Bothy's, and no others.
pub const LEAD: &str = "20-bothy-";
/// The least metric of a way out; the next interface's is as much more.
const METRIC: usize = 100;
/// Ethernet's (RFC 894).
pub const USUAL_MTU: u16 = 1500;
const HEAD: &str = "# Written by bothy: bothy host network. Changes here are lost.\n";

pub fn render(want: &HostNetwork) -> Vec<NetFile> {
    let mut files = Vec::new();
    let mut done: Vec<&Device> = Vec::new();
    for (n, i) in want.interfaces.iter().enumerate() {
        if !done.contains(&&i.device) {
            done.push(&i.device);
            files.push(port(n, &i.device, want));
        }
        if i.vlan.is_some() {
            files.extend(tagged(n, i, want));
        }
    }
    // Not a virtual function: these are guests'.
    files.push(file(
        "rest.network",
        "[Match]\nKind=!*\nName=en* eth*\nDriver=!igbvf ixgbevf iavf i40evf\n\n[Link]\nRequiredForOnline=no\n\n\
         [Network]\nKeepMaster=yes\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n",
    ));
    files
}

fn file(name: &str, text: &str) -> NetFile {
    NetFile { name: format!("{LEAD}{name}"), text: format!("{HEAD}{text}") }
}

/// The port itself, with what hangs on it.
fn port(n: usize, d: &Device, want: &HostNetwork) -> NetFile {
    let of = |i: &&HostInterface| i.device == *d;
    let matching = match d {
        Device::Name(name) => format!("Name={name}\n"),
        // VLANs and bridges may have the MAC address of a port of theirs.
        Device::Mac(mac) => format!("MACAddress={mac}\nType=ether\nKind=!*\n"),
    };
    let vlans = want.interfaces.iter().enumerate().filter(|(_, i)| of(i) && i.vlan.is_some());
    let tallest = vlans.clone().filter_map(|(_, i)| i.mtu).max().map_or(USUAL_MTU, |m| m.max(USUAL_MTU));
    let vlans: String = vlans.map(|(_, i)| format!("VLAN={}\n", vlan_name(i))).collect();
    let own = want.interfaces.iter().enumerate().find(|(_, i)| of(i) && i.vlan.is_none());
    let text = match own {
        Some((n, i)) => network(&matching, n, i, want, &vlans),
        None => format!(
            "[Match]\n{matching}\n[Link]\nRequiredForOnline=no\nMTUBytes={tallest}\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n{vlans}"
        ),
    };
    file(&format!("{n:02}.network"), &text)
}

fn tagged(n: usize, i: &HostInterface, want: &HostNetwork) -> [NetFile; 2] {
    let name = vlan_name(i);
    let id = i.vlan.map_or(0, |v| v.get());
    [
        file(&format!("{n:02}-vlan.netdev"), &format!("[NetDev]\nName={name}\nKind=vlan\n\n[VLAN]\nId={id}\n")),
        file(&format!("{n:02}-vlan.network"), &network(&format!("Name={name}\n"), n, i, want, "")),
    ]
}

/// At most 15 characters. Of the port and the VLAN alone: an interface that is there is told from another by its name.
pub(super) fn vlan_name(i: &HostInterface) -> String {
    let id = i.vlan.map_or(0, |v| v.get());
    match &i.device {
        Device::Name(d) if d.as_str().len() <= 10 => format!("{d}.{id}"),
        Device::Name(d) => format!("p{:08x}.{id}", short(d.as_str())),
        Device::Mac(m) => {
            let [.., a, b, c] = m.octets();
            format!("m{a:02x}{b:02x}{c:02x}.{id}")
        }
    }
}

/// FNV-1a of 32 bits.
fn short(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |h: u32, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// Its own; else the usual one, and for a VLAN that of the port below.
fn mtu(n: usize, want: &HostNetwork) -> u16 {
    let Some(i) = want.interfaces.get(n) else { return USUAL_MTU };
    let below = || want.interfaces.iter().find(|o| i.vlan.is_some() && o.vlan.is_none() && o.device == i.device).and_then(|o| o.mtu);
    i.mtu.or_else(below).unwrap_or(USUAL_MTU)
}

fn network(matching: &str, n: usize, i: &HostInterface, want: &HostNetwork, vlans: &str) -> String {
    let metric = METRIC * (n + 1);
    // One that is required of none leaves who waits for the network (`--any`) with nothing to wait for but the end of its time.
    let mut t = format!("[Match]\n{matching}\n[Link]\nRequiredForOnline=routable\n");
    // The rest is `write!` into a String, which cannot fail.
    // Said always: the daemon leaves one that a change before has set.
    let _ = writeln!(t, "MTUBytes={}", mtu(n, want));
    let yes = |b: bool| if b { "yes" } else { "no" };
    let _ = write!(
        t,
        "\n[Network]\nDHCP={}\nIPv6AcceptRA={}\nLinkLocalAddressing={}\n",
        if i.v4 == Way::Auto { "ipv4" } else { "no" },
        yes(i.v6 == Way::Auto),
        if i.v6 == Way::Off { "no" } else { "ipv6" },
    );
    if i.probe.is_some() {
        // What answers comes this way whether or not the default route leads back.
        t += "IPv4ReversePathFilter=loose\n";
    }
    for a in &want.dns {
        let _ = writeln!(t, "DNS={a}");
    }
    if !want.domains.is_empty() {
        let _ = writeln!(t, "Domains={}", want.domains.join(" "));
    }
    for s in &want.ntp {
        let _ = writeln!(t, "NTP={s}");
    }
    t += vlans;
    let mut routes = String::new();
    for w in [&i.v4, &i.v6] {
        if let Way::Static { addresses, gateway } = w {
            for a in addresses {
                let _ = writeln!(t, "Address={a}");
            }
            routes += &gateway.map(|g| route(g, metric)).unwrap_or_default();
        }
    }
    t += &routes;
    // Servers that are named here are the only ones.
    let (dns, ntp) = (yes(want.dns.is_empty()), yes(want.ntp.is_empty()));
    if i.v4 == Way::Auto {
        let _ = write!(t, "\n[DHCPv4]\nRouteMetric={metric}\nUseDNS={dns}\nUseNTP={ntp}\n");
    }
    if i.v6 == Way::Auto {
        let _ = write!(t, "\n[IPv6AcceptRA]\nRouteMetric={metric}\nUseDNS={dns}\n\n[DHCPv6]\nUseDNS={dns}\nUseNTP={ntp}\n");
    }
    t
}

fn route(gateway: IpAddr, metric: usize) -> String {
    format!("\n[Route]\nGateway={gateway}\nMetric={metric}\n")
}
