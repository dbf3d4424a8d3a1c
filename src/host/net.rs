//! `vim::port::HostNet` on the host's own tools.
//!
//! Owns: the order of things on a link, the kernel's forwarding switches. Never: makes an
//! interface (the switch does).
//!
//! It acts in the network namespace of the calling thread: sockets, programs and /proc/sys/net all
//! follow it.

use std::{
    collections::HashMap,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use camino::Utf8Path;

use super::{
    capture,
    dnsmasq::Dnsmasq,
    netlink::{Address, Link, Netlink},
    nft, report,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfKind, IfName, SegmentId},
        net::Cidr,
    },
    vim::port::{DhcpConf, Frames, HostLink, HostNet, NatTable},
};

/// The host's side of the network.
pub struct LinuxNet {
    dhcp: Mutex<Dnsmasq>,
    nat: nft::Translation,
}

impl LinuxNet {
    /// `state`: Bothy's folder; DHCP keeps its files in `dhcp/` there.
    pub fn new(state: &Utf8Path) -> Self {
        LinuxNet { dhcp: Mutex::new(Dnsmasq::new(state)), nat: nft::Translation::default() }
    }

    fn dhcp(&self) -> std::sync::MutexGuard<'_, Dnsmasq> {
        self.dhcp.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostNet for LinuxNet {
    fn ensure_link(&self, want: &HostLink) -> Result<()> {
        let mut net = Netlink::open()?;
        let link = net
            .link(&want.ifname)?
            .ok_or_else(|| Fault::transient(format!("interface {} is not there: the switch has not made it", want.ifname)))?;
        ignore_advertisements(&want.ifname)?;
        let mtu = want.mtu.map(u32::from).filter(|m| *m != link.mtu);
        if !link.up || mtu.is_some() {
            net.set_up(&link, mtu)?;
        }
        for cidr in addresses_of(&mut net, &link)? {
            if !want.addresses.contains(&cidr) && !is_link_local(cidr.addr()) {
                net.remove_address(&link, cidr)?;
            }
        }
        // Looked at again: with the first address of a subnet the kernel removes the others too.
        let have = addresses_of(&mut net, &link)?;
        for cidr in want.addresses.iter().filter(|c| !have.contains(c)) {
            net.add_address(&link, *cidr)?;
        }
        Ok(())
    }

    fn link_addresses(&self) -> Result<Vec<(IfName, Cidr)>> {
        let mut net = Netlink::open()?;
        let ends: HashMap<u32, IfName> = net.links()?.into_iter().filter_map(|l| Some((l.index, host_end(&l)?))).collect();
        let of = |a: Address| ends.get(&a.index).map(|name| (name.clone(), a.cidr));
        Ok(net.addresses()?.into_iter().filter(|a| !is_link_local(a.cidr.addr())).filter_map(of).collect())
    }

    fn ensure_dhcp(&self, conf: &DhcpConf) -> Result<()> {
        self.dhcp().ensure(conf)
    }

    fn remove_dhcp(&self, segment: SegmentId) -> Result<()> {
        self.dhcp().remove(segment)
    }

    fn list_dhcp(&self) -> Result<Vec<SegmentId>> {
        self.dhcp().list()
    }

    fn project_nat(&self, table: &NatTable) -> Result<()> {
        nft::check(table)?;
        let targets = || table.masquerade.iter().map(|c| c.addr()).chain(table.forwards.iter().map(|f| f.to));
        if targets().any(|a| a.is_ipv4()) {
            write_sysctl(Path::new("/proc/sys/net/ipv4/ip_forward"), "1")?;
        }
        if targets().any(|a| a.is_ipv6()) {
            forward_ipv6()?;
        }
        self.nat.project(table)
    }

    fn facts(&self, ovsdb: &Utf8Path) -> Vec<(String, Result<String>)> {
        report::collect(ovsdb)
    }
    fn listen(&self, at: &IfName) -> Result<Box<dyn Frames>> {
        let mut net = Netlink::open()?;
        let link = net.link(at)?.ok_or_else(|| Fault::transient(format!("interface {at} is not there: the switch has not made it")))?;
        if !link.up {
            // It speaks for nobody: the host's own neighbour discovery would be in what is heard.
            let _ = write_sysctl(&Path::new("/proc/sys/net/ipv6/conf").join(at.as_str()).join("disable_ipv6"), "1");
            net.set_up(&link, None)?;
        }
        Ok(Box::new(capture::Socket::open(at)?))
    }
    fn tcp_answers(&self, to: IpAddr, port: u16, wait: Duration) -> Result<bool> {
        match TcpStream::connect_timeout(&SocketAddr::new(to, port), wait) {
            Ok(_) => Ok(true),
            Err(e) => match e.kind() {
                ErrorKind::TimedOut
                | ErrorKind::WouldBlock
                | ErrorKind::ConnectionRefused
                | ErrorKind::ConnectionReset
                | ErrorKind::HostUnreachable => Ok(false),
                ErrorKind::NetworkUnreachable => {
                    Err(Fault::transient(format!("the host has no route to {to}: is it on a link where the host has an address?")))
                }
                _ => Err(Fault::transient(format!("connect to {to} port {port}: {e}"))),
            },
        }
    }
}

fn host_end(link: &Link) -> Option<IfName> {
    link.name.parse().ok().filter(|name| IfKind::of(name) == Some(IfKind::Host))
}

fn addresses_of(net: &mut Netlink, link: &Link) -> Result<Vec<Cidr>> {
    Ok(net.addresses()?.into_iter().filter(|a| a.index == link.index).map(|a| a.cidr).collect())
}

fn is_link_local(a: IpAddr) -> bool {
    match a {
        IpAddr::V4(_) => false,
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

/// A guest on a segment must not be able to give the host an address or a default route.
fn ignore_advertisements(ifname: &IfName) -> Result<()> {
    let dir = Path::new("/proc/sys/net/ipv6/conf").join(ifname.as_str());
    if !dir.exists() {
        return Ok(()); // The kernel has no IPv6.
    }
    ["accept_ra", "autoconf", "accept_redirects"].iter().try_for_each(|key| write_sysctl(&dir.join(key), "0"))
}

/// A forwarding host stops taking router advertisements, unless told to go on (`accept_ra = 2`):
/// without that the box would lose its own default route.
fn forward_ipv6() -> Result<()> {
    let conf = Path::new("/proc/sys/net/ipv6/conf");
    let all = conf.join("all/forwarding");
    if read_sysctl(&all).is_some_and(|v| v == "1") {
        return Ok(());
    }
    let entries = std::fs::read_dir(conf).map_err(|e| Fault::transient("this kernel has no IPv6").with_source(e))?;
    for file in entries.flatten().map(|e| e.path().join("accept_ra")) {
        if read_sysctl(&file).is_some_and(|v| v == "1") {
            write_sysctl(&file, "2")?;
        }
    }
    write_sysctl(&all, "1")
}

fn read_sysctl(file: &Path) -> Option<String> {
    std::fs::read_to_string(file).ok().map(|v| v.trim().to_owned())
}

/// Writes only what differs: where /proc/sys is read-only, a value that is right already is enough.
fn write_sysctl(file: &Path, value: &str) -> Result<()> {
    if read_sysctl(file).is_some_and(|v| v == value) {
        return Ok(());
    }
    std::fs::write(file, value).map_err(|e| Fault::transient(format!("set {} to {value}: {e}", file.display())))
}
