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
        "[Match]\nName=en* eth*\nDriver=!igbvf ixgbevf iavf i40evf mlx5_core_vf\n\n[Link]\nRequiredForOnline=no\n\n\
         [Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n",
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
        // A VLAN's interface has the MAC address of the port below it.
        Device::Mac(mac) => format!("MACAddress={mac}\nName=!*.*\n"),
    };
    let vlans = want.interfaces.iter().enumerate().filter(|(_, i)| of(i) && i.vlan.is_some());
    let vlans: String = vlans.map(|(n, i)| format!("VLAN={}\n", vlan_name(n, i))).collect();
    let own = want.interfaces.iter().enumerate().find(|(_, i)| of(i) && i.vlan.is_none());
    let text = match own {
        Some((n, i)) => network(&matching, n, i, want, &vlans),
        None => format!(
            "[Match]\n{matching}\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\nLinkLocalAddressing=no\n{vlans}"
        ),
    };
    file(&format!("{n:02}.network"), &text)
}

fn tagged(n: usize, i: &HostInterface, want: &HostNetwork) -> [NetFile; 2] {
    let name = vlan_name(n, i);
    let id = i.vlan.map_or(0, |v| v.get());
    [
        file(&format!("{n:02}-vlan.netdev"), &format!("[NetDev]\nName={name}\nKind=vlan\n\n[VLAN]\nId={id}\n")),
        file(&format!("{n:02}-vlan.network"), &network(&format!("Name={name}\n"), n, i, want, "")),
    ]
}

/// At most 15 characters; every one has a dot, and a port of the box has none.
fn vlan_name(n: usize, i: &HostInterface) -> String {
    let id = i.vlan.map_or(0, |v| v.get());
    match &i.device {
        Device::Name(d) if d.as_str().len() <= 10 => format!("{d}.{id}"),
        Device::Name(_) | Device::Mac(_) => format!("port{n}.{id}"),
    }
}

fn network(matching: &str, n: usize, i: &HostInterface, want: &HostNetwork, vlans: &str) -> String {
    let metric = METRIC * (n + 1);
    let mut t = format!("[Match]\n{matching}\n[Link]\nRequiredForOnline=no\n");
    // The rest is `write!` into a String, which cannot fail.
    if let Some(mtu) = i.mtu {
        let _ = writeln!(t, "MTUBytes={mtu}");
    }
    let yes = |b: bool| if b { "yes" } else { "no" };
    let _ = write!(
        t,
        "\n[Network]\nDHCP={}\nIPv6AcceptRA={}\nLinkLocalAddressing={}\n",
        if i.v4 == Way::Auto { "ipv4" } else { "no" },
        yes(i.v6 == Way::Auto),
        if i.v6 == Way::Off { "no" } else { "ipv6" },
    );
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
