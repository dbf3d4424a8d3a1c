//! The files that cloud-init needs and the descriptor does not bring.
//!
//! Owns NoCloud's `meta-data`, `network-config` (version 2) and `user-data`, and config-drive's
//! `meta_data.json`, `network_data.json` and `user_data`. NICs are named `eth0`, `eth1`... in the
//! descriptor's order, matched by their MAC; networks of a trunk by their NIC and tag, `eth0.5`. Never: templates.

use std::{collections::BTreeMap, net::IpAddr};

use serde::Serialize;
use smol_str::SmolStr;

use super::{Guest, Nic, NicNetwork, names, netmask};
use crate::{
    model::{
        error::{Fault, Result},
        tree::tree,
        vnfd::Medium,
    },
    vim::port::MediumFile,
};

/// Routes of later NICs give way to those of earlier ones.
const METRIC_STEP: u32 = 100;

/// What `files` lacks of the medium's own files.
pub(super) fn missing(medium: Medium, guest: &Guest, files: &[MediumFile]) -> Result<Vec<MediumFile>> {
    type Make = fn(&Guest) -> Result<String>;
    let own: &[(&str, Make)] = match medium {
        Medium::NoCloud => &[("meta-data", meta_data), ("network-config", network_config), ("user-data", user_data)],
        Medium::ConfigDrive => &[
            ("openstack/latest/meta_data.json", meta_data_json),
            ("openstack/latest/network_data.json", network_data_json),
            ("openstack/latest/user_data", user_data),
        ],
        Medium::Iso | Medium::Fat => &[],
    };
    let lacking = own.iter().filter(|(path, _)| !files.iter().any(|f| f.path == *path));
    lacking.map(|(path, make)| Ok(MediumFile { path: (*path).into(), content: make(guest)?.into_bytes(), secret: false })).collect()
}

fn yaml(what: &impl Serialize) -> Result<String> {
    serde_saphyr::to_string(what).map_err(|e| Fault::bug("a day-0 file has no YAML form").with_source(e.to_string()))
}
fn json(what: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(what).map_err(|e| Fault::bug("a day-0 file has no JSON form").with_source(e))
}

fn meta_data(guest: &Guest) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct MetaData<'a> {
        instance_id: String,
        local_hostname: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        public_keys: &'a [String],
    }
    yaml(&MetaData { instance_id: guest.vnfc.to_string(), local_hostname: guest.hostname, public_keys: guest.ssh_keys })
}

fn user_data(guest: &Guest) -> Result<String> {
    #[derive(Serialize)]
    struct CloudConfig<'a> {
        hostname: &'a str,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        ssh_authorized_keys: &'a [String],
    }
    Ok(format!("#cloud-config\n{}", yaml(&CloudConfig { hostname: guest.hostname, ssh_authorized_keys: guest.ssh_keys })?))
}

#[derive(Serialize)]
struct NetworkConfig {
    version: u8,
    ethernets: BTreeMap<SmolStr, Ethernet>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    vlans: BTreeMap<SmolStr, Ethernet>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Ethernet {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#match: Option<Match>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_name: Option<SmolStr>,
    /// The tag and the NIC of what comes under one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u16>,
    dhcp4: bool,
    dhcp6: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp4_overrides: Option<Overrides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp6_overrides: Option<Overrides>,
    /// The boot does not wait for a NIC that gets no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    optional: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<Route>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nameservers: Option<Nameservers>,
}

#[derive(Serialize)]
struct Match {
    macaddress: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Overrides {
    route_metric: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Route {
    to: &'static str,
    via: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_link: Option<bool>,
}

#[derive(Serialize)]
struct Nameservers {
    addresses: Vec<IpAddr>,
}

fn network_config(guest: &Guest) -> Result<String> {
    let all = names(&guest.ports);
    let each = |under: bool| {
        let named = all.iter().zip(&guest.ports).enumerate().filter(move |(_, (_, nic))| nic.within.is_some() == under);
        tree(named.map(|(place, (name, nic))| (name.clone(), ethernet(place, name, nic))))
    };
    yaml(&NetworkConfig { version: 2, ethernets: each(false), vlans: each(true) })
}

/// The name of the NIC in that of what comes under a tag of it.
fn nic_of(name: &SmolStr) -> SmolStr {
    name.split('.').next().unwrap_or_default().into()
}

fn ethernet(place: usize, name: &SmolStr, nic: &Nic) -> Ethernet {
    let dhcp = |v4: bool| nic.networks.iter().any(|n| n.dhcp && n.address.is_ipv4() == v4);
    let metric = (place > 0).then_some(place as u32 * METRIC_STEP);
    let overrides = |on: bool| metric.filter(|_| on).map(|route_metric| Overrides { route_metric });
    let fixed: Vec<&NicNetwork> = nic.networks.iter().filter(|n| !dhcp(n.address.is_ipv4())).collect();
    let dns: Vec<IpAddr> = fixed.iter().flat_map(|n| n.dns.iter().copied()).collect();
    Ethernet {
        r#match: nic.within.is_none().then(|| Match { macaddress: nic.mac.to_string() }),
        set_name: nic.within.is_none().then(|| name.clone()),
        id: nic.within.as_ref().map(|(_, tag)| tag.get()),
        link: nic.within.as_ref().map(|_| nic_of(name)),
        mtu: nic.mtu,
        dhcp4: dhcp(true),
        dhcp6: dhcp(false),
        dhcp4_overrides: overrides(dhcp(true)),
        dhcp6_overrides: overrides(dhcp(false)),
        optional: nic.networks.is_empty().then_some(true),
        addresses: fixed.iter().map(|n| n.address.to_string()).collect(),
        routes: fixed
            .iter()
            .filter_map(|n| {
                let via = n.gateway?;
                let to = if via.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
                // A /32 has its gateway outside of itself (link-local ones need nothing).
                let outside = !n.address.contains(via) && !matches!(via, IpAddr::V6(a) if a.is_unicast_link_local());
                Some(Route { to, via, metric, on_link: outside.then_some(true) })
            })
            .collect(),
        nameservers: (!dns.is_empty()).then_some(Nameservers { addresses: dns }),
    }
}

fn meta_data_json(guest: &Guest) -> Result<String> {
    #[derive(Serialize)]
    struct MetaData<'a> {
        uuid: String,
        name: &'a str,
        hostname: &'a str,
        launch_index: u32,
        public_keys: BTreeMap<String, &'a str>,
    }
    let public_keys = tree(guest.ssh_keys.iter().enumerate().map(|(n, key)| (format!("key-{n}"), key.as_str())));
    let uuid = guest.vnfc.to_string();
    json(&MetaData { uuid, name: guest.hostname, hostname: guest.hostname, launch_index: guest.index, public_keys })
}

#[derive(Serialize)]
struct NetworkData<'a> {
    links: Vec<Link<'a>>,
    networks: Vec<Network>,
    services: Vec<Service>,
}

#[derive(Serialize)]
struct Link<'a> {
    id: SmolStr,
    name: SmolStr,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ethernet_mac_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan_mac_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan_id: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan_link: Option<SmolStr>,
    mtu: Option<u16>,
    vif_id: &'a str,
}

#[derive(Serialize)]
struct Network {
    id: String,
    link: SmolStr,
    r#type: &'static str,
    network_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    netmask: Option<String>,
    routes: Vec<OsRoute>,
}

#[derive(Serialize)]
struct OsRoute {
    network: &'static str,
    netmask: &'static str,
    gateway: IpAddr,
}

#[derive(Serialize, PartialEq)]
struct Service {
    r#type: &'static str,
    address: IpAddr,
}

fn network_data_json(guest: &Guest) -> Result<String> {
    let mut data = NetworkData { links: Vec::new(), networks: Vec::new(), services: Vec::new() };
    for (name, nic) in names(&guest.ports).into_iter().zip(&guest.ports) {
        let tag = nic.within.as_ref().map(|(_, tag)| tag.get());
        let mac = Some(nic.mac.to_string());
        let (ethernet_mac_address, vlan_mac_address) = if tag.is_none() { (mac, None) } else { (None, mac) };
        data.links.push(Link {
            id: name.clone(),
            name: name.clone(),
            r#type: if tag.is_none() { "phy" } else { "vlan" },
            ethernet_mac_address,
            vlan_mac_address,
            vlan_id: tag,
            vlan_link: tag.map(|_| nic_of(&name)),
            mtu: nic.mtu,
            vif_id: &nic.cp,
        });
        for (n, net) in nic.networks.iter().enumerate() {
            data.networks.push(network(format!("{name}-{n}"), &name, nic, net));
            // Servers that hand addresses out tell of name servers too.
            let dns = net.dns.iter().filter(|_| !net.dhcp).map(|&address| Service { r#type: "dns", address });
            for service in dns {
                if !data.services.contains(&service) {
                    data.services.push(service);
                }
            }
        }
    }
    json(&data)
}

fn network(id: String, link: &SmolStr, nic: &Nic, net: &NicNetwork) -> Network {
    let v4 = net.address.is_ipv4();
    let fixed = !net.dhcp;
    let r#type = match (v4, net.dhcp) {
        (true, false) => "ipv4",
        (true, true) => "ipv4_dhcp",
        (false, false) => "ipv6",
        (false, true) => "ipv6_dhcp",
    };
    let gateway = net.gateway.filter(|_| fixed);
    Network {
        id,
        link: link.clone(),
        r#type,
        network_id: nic.link.to_string(),
        // IPv6 has its prefix with the address, as cloud-init wants it.
        ip_address: fixed.then(|| if v4 { net.address.addr().to_string() } else { net.address.to_string() }),
        netmask: (fixed && v4).then(|| netmask(net.address.prefix()).to_string()),
        routes: gateway
            .map(|gateway| {
                let (network, netmask) = if v4 { ("0.0.0.0", "0.0.0.0") } else { ("::", "::") };
                OsRoute { network, netmask, gateway }
            })
            .into_iter()
            .collect(),
    }
}
