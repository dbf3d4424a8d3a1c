//! Virtual links of a VNFD or an NSD.
//!
//! Owns `vl_profile`, `connectivity_type` and the hints on links. Never decides addresses.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::{
    at::At,
    hints::{ON_LINK, hints},
};
use crate::descriptor::epa::bits;
use crate::model::{
    net::{Cidr, VlanId},
    vnfd::{Layer3, LinkKind, LinkProfile, LinkRates},
};

/// What a network outside the box is reached by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outside {
    Plug,
    Tunnel,
    No,
}

/// Description and profile of a `VnfVirtualLink` or an `NsVirtualLink`.
pub fn link(template: &At<'_>) -> (SmolStr, LinkProfile) {
    if let Some(p) = template.get("properties") {
        p.known(&[
            "connectivity_type",
            "description",
            "test_access",
            "vl_profile",
            "monitoring_parameters",
            "nfvi_maintenance_info",
            "externally_managed",
        ]);
        p.not_acted_on(&["test_access", "monitoring_parameters", "nfvi_maintenance_info", "externally_managed"]);
    }
    let mut profile = LinkProfile::default();
    match template.property("connectivity_type") {
        Some(c) => {
            c.known(&["layer_protocols", "flow_pattern"]);
            let kinds = [("mesh", LinkKind::Elan), ("line", LinkKind::Eline), ("tree", LinkKind::Etree)];
            profile.kind = c.get("flow_pattern").and_then(|f| f.choice(&kinds)).unwrap_or_default();
        }
        None => template.missing("properties.connectivity_type"),
    }
    if let Some(p) = template.property("vl_profile") {
        p.known(&[
            "max_bitrate_requirements",
            "min_bitrate_requirements",
            "qos",
            "service_availability_level",
            "virtual_link_protocol_data",
            "data_flow_mirroring",
        ]);
        p.not_acted_on(&["qos", "service_availability_level", "data_flow_mirroring"]);
        profile.max_rate = rates(&p, profile.kind);
        for data in p.get("virtual_link_protocol_data").map(|d| d.items()).unwrap_or_default() {
            protocol_data(&data, &mut profile);
        }
    }
    let h = hints(template, ON_LINK);
    profile.management = h.flag("management").unwrap_or(false);
    profile.nat = h.flag("nat").unwrap_or(false);
    profile.forwards = h.forwards();
    if let (false, Some(at)) = (profile.forwards.is_empty() || profile.nat, h.get("forwards")) {
        at.error_hint("ports are forwarded to a link without NAT", "add 'bothy.nat: \"true\"'");
    }
    if let Some(at) = h.get("physical") {
        profile.physical = at.text();
    }
    if let Some(at) = h.get("dns") {
        let servers = addresses(at);
        if profile.layer3.is_empty() {
            at.error("gives name servers to a link that has no IP network");
        }
        for l3 in &mut profile.layer3 {
            l3.dns = servers.iter().copied().filter(|a| a.is_ipv4() == l3.cidr.is_ipv4()).collect();
        }
    }
    if profile.nat && profile.layer3.is_empty() {
        template.error_hint(
            "NAT needs an IP network on the link",
            "give vl_profile.virtual_link_protocol_data an l3_protocol_data with a cidr",
        );
    }
    overlaps(template, &profile.layer3);
    (template.property("description").and_then(|d| d.text()).unwrap_or_default(), profile)
}

/// `max_bitrate_requirements`, which is a limit. The minimum is a wish that a learning switch cannot
/// keep; it must only not contradict the maximum.
fn rates(p: &At<'_>, kind: LinkKind) -> LinkRates {
    let read = |name: &str| {
        let at = p.get(name);
        if let Some(at) = &at {
            at.known(&["root", "leaf"]);
        }
        let of = |part: &str| at.as_ref().and_then(|a| a.get(part));
        (of("root"), of("leaf"))
    };
    let ((root, leaf), (least_root, least_leaf)) = (read("max_bitrate_requirements"), read("min_bitrate_requirements"));
    let value = |at: &Option<At<'_>>| at.as_ref().and_then(bits);
    for (most, least) in [(&root, &least_root), (&leaf, &least_leaf)] {
        if let (Some(m), Some(l), Some(at)) = (value(most), value(least), least)
            && l > m
        {
            at.error(format!("at least {l} bit/s is more than the {m} bit/s of max_bitrate_requirements"));
        }
    }
    if let (LinkKind::Eline, Some(at)) = (kind, &leaf) {
        at.warn("a line has no leaves: 'root' is the rate of each direction");
    }
    LinkRates { root: value(&root), leaf: value(&leaf) }
}

/// Addresses in one text, separated by commas or spaces.
pub fn addresses(at: &At<'_>) -> Vec<IpAddr> {
    let text = at.text().unwrap_or_default();
    let mut out = Vec::new();
    for one in text.split([',', ' ']).map(str::trim).filter(|t| !t.is_empty()) {
        match one.parse() {
            Ok(a) => out.push(a),
            Err(_) => at.error(format!("'{one}' is not an IP address")),
        }
    }
    out
}

fn protocol_data(data: &At<'_>, profile: &mut LinkProfile) {
    data.known(&["associated_layer_protocol", "l2_protocol_data", "l3_protocol_data"]);
    if let Some(l2) = data.get("l2_protocol_data") {
        l2.known(&["name", "network_type", "vlan_transparent", "mtu", "segmentation_id"]);
        if let Some(mtu) = l2.get("mtu")
            && let Some(v) = mtu.int()
        {
            match u16::try_from(v).ok().filter(|v| (68..=9216).contains(v)) {
                Some(v) => profile.mtu = Some(v),
                None => mtu.error(format!("an MTU of {v} is not in 68 to 9216")),
            }
        }
        profile.transparent |= l2.get("vlan_transparent").and_then(|v| v.bool()) == Some(true);
        let kinds = [("flat", Outside::Plug), ("vlan", Outside::Plug), ("vxlan", Outside::Tunnel), ("gre", Outside::No)];
        let kind = l2.get("network_type").and_then(|t| t.choice(&kinds));
        // A flat or VLAN network with a name is one of the box's physical networks, VXLAN a tunnel of it.
        if matches!(kind, Some(Outside::Plug | Outside::Tunnel)) {
            profile.physical = l2.get("name").and_then(|n| n.text());
        }
        if let Some(id) = l2.get("segmentation_id")
            && let Some(v) = id.int()
        {
            let number = u16::try_from(v).ok().filter(|v| *v > 0);
            match (kind, number.filter(|v| kind == Some(Outside::Tunnel) || VlanId::try_from(*v).is_ok())) {
                (_, Some(v)) => profile.segmentation = Some(v),
                (Some(Outside::Tunnel), None) => {
                    id.error_hint(format!("VNI {v} is not in 1 to 65535"), "a larger one is given with the tunnel, as its vni");
                }
                (Some(Outside::Plug | Outside::No) | None, None) => id.error(format!("VLAN {v} is not in 1 to 4094")),
            }
        }
    }
    if let Some(l3) = data.get("l3_protocol_data") {
        layer3(&l3, profile);
    }
}

fn layer3(l3: &At<'_>, profile: &mut LinkProfile) {
    l3.known(&["name", "ip_version", "cidr", "ip_allocation_pools", "gateway_ip", "dhcp_enabled", "ipv6_address_mode"]);
    l3.not_acted_on(&["ipv6_address_mode"]);
    let Some(at) = l3.need("cidr") else { return };
    let Some(cidr) = at.parse::<Cidr>("a network such as 192.0.2.0/24 or 2001:db8::/64") else { return };
    if cidr.network() != cidr {
        at.warn(format!("is an address in a network; {} is meant", cidr.network()));
    }
    let cidr = cidr.network();
    if let Some(v) = l3.need("ip_version")
        && let Some(four) = v.choice(&[("ipv4", true), ("ipv6", false)])
        && four != cidr.is_ipv4()
    {
        v.error(format!("does not fit the network {cidr}"));
    }
    let inside = |at: &At<'_>| {
        let a: IpAddr = at.parse("an IP address")?;
        if !cidr.contains(a) {
            at.error(format!("{a} is not in the network {cidr}"));
        }
        Some(a)
    };
    let mut pools = Vec::new();
    for p in l3.get("ip_allocation_pools").map(|p| p.items()).unwrap_or_default() {
        p.known(&["start_ip_address", "end_ip_address"]);
        let (Some(a), Some(b)) = (p.need("start_ip_address"), p.need("end_ip_address")) else { continue };
        if let (Some(first), Some(last)) = (inside(&a), inside(&b)) {
            if first > last {
                p.error(format!("starts at {first}, after its end {last}"));
            }
            pools.push((first, last));
        }
    }
    profile.layer3.push(Layer3 {
        cidr,
        gateway: l3.get("gateway_ip").and_then(|g| inside(&g)),
        dhcp: l3.get("dhcp_enabled").and_then(|d| d.bool()).unwrap_or(false),
        pools,
        dns: Vec::new(),
    });
}

fn overlaps(template: &At<'_>, nets: &[Layer3]) {
    for (i, a) in nets.iter().enumerate() {
        for b in nets.iter().skip(i + 1).filter(|b| a.cidr.overlaps(b.cidr)) {
            template.error(format!("its networks {} and {} overlap", a.cidr, b.cidr));
        }
    }
}
