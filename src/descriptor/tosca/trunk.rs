//! Trunks: a NIC whose tagged frames are other networks (`VduSubCp`, SOL001 6.8.17), or VLANs of its own link.
//!
//! ```text
//! VduCp trunk_mode: true, on link A <-- trunk_binding -- VduSubCp segmentation_id 10, on link B   tag 10 is link B
//!                                   <-- trunk_binding -- VduSubCp segmentation_id 20, on link A   tag 20 of link A passes
//! ```
//! The latter needs a `vlan_transparent` link. A trunk on one that no VduSubCp says so of carries all tags there.
//! Owns what of this is wrong. Never: which links there are on the box.

use smol_str::SmolStr;

use super::{
    at::At,
    hints::{self, hints},
    vdu::{self, ReadCp},
};
use crate::model::{
    epa::{NicAttach, NicWish},
    net::VlanId,
    vnfd::{CpLink, IntLink, NicModel, SubCp, Vdu, VduCp},
};

/// What makes a connection point a part of a trunk.
pub struct Sub<'a> {
    /// The VduCp that carries it, and where that is named.
    pub trunk: SmolStr,
    named: Option<At<'a>>,
    tag: Option<VlanId>,
}

/// Reads a `VduSubCp`: as a `VduCp` whose VDU is its trunk's.
pub fn sub<'a>(at: &At<'a>) -> ReadCp<'a> {
    const OF_THE_NIC: [&str; 4] = ["bitrate_requirement", "virtual_network_interface_requirements", "order", "vnic_type"];
    if let Some(p) = at.get("properties") {
        let own =
            ["layer_protocols", "ip_stack_mode", "role", "description", "protocol", "trunk_mode", "segmentation_type", "segmentation_id"];
        p.known(&[&own[..], &OF_THE_NIC].concat());
        p.not_acted_on(&[&["protocol"], &OF_THE_NIC[..]].concat());
    }
    if let Some(t) = at.property("trunk_mode").filter(|t| t.bool() == Some(true)) {
        t.error("a network of a trunk is no trunk itself: frames with two tags are on vlan_transparent links");
    }
    let kind = at.property("segmentation_type");
    if let Some(k) = kind.filter(|k| k.choice(&[("vlan", false), ("inherit", true)]) == Some(true)) {
        k.error_hint(
            "inherit is not offered: a link has no tag of its own in the guest",
            "write segmentation_type: vlan and a segmentation_id",
        );
    }
    let id = at.need_property("segmentation_id");
    let tag = id.as_ref().and_then(|i| i.int()).and_then(|n| u16::try_from(n).ok()).and_then(|n| VlanId::try_from(n).ok());
    if let Some(i) = id.filter(|i| tag.is_none() && !i.is_broken()) {
        i.error("is no VLAN tag: 1 to 4094");
    }
    let h = hints(at, hints::ON_VDU_SUB_CP);
    let (mut binding, mut linked, mut named) = (None, None, None);
    let (mut link, mut trunk, mut vdu) = (SmolStr::default(), SmolStr::default(), SmolStr::default());
    for (name, target, req) in at.requirements() {
        match name.as_str() {
            "trunk_binding" => (trunk, named) = (target, Some(req)),
            "virtual_link" => (link, linked) = (target, Some(req)),
            "virtual_binding" => (vdu, binding) = (target, Some(req)),
            other => req.warn(format!("the requirement '{other}' is not known here and is left out")),
        }
    }
    if trunk.is_empty() {
        at.missing("requirements.trunk_binding");
    }
    let nic = VduCp {
        id: at.me(),
        link: CpLink::Internal(link),
        model: NicModel::default(),
        mac: None,
        port_security: true,
        mtu: None,
        wish: NicWish::default(),
        role: vdu::role(at),
        rate_limit: None,
        subports: Vec::new(),
    };
    let management = h.flag("management").unwrap_or(false);
    ReadCp { vdu, binding, linked, order: None, nic, management, trunk: false, sub: Some(Sub { trunk, named, tag }) }
}

/// Each network of a trunk is on the VDU that its NIC is on.
pub fn bind(cps: &mut [(ReadCp<'_>, At<'_>)]) {
    struct Carrier {
        id: SmolStr,
        vdu: SmolStr,
        trunk: bool,
    }
    let nics: Vec<Carrier> = cps
        .iter()
        .filter(|(r, _)| r.sub.is_none())
        .map(|(r, _)| Carrier { id: r.nic.id.clone(), vdu: r.vdu.clone(), trunk: r.trunk })
        .collect();
    let mut seen: Vec<(SmolStr, VlanId, SmolStr)> = Vec::new();
    for (read, at) in cps.iter_mut() {
        let Some(sub) = &read.sub else { continue };
        let named = sub.named.as_ref().unwrap_or(at);
        let Some(nic) = nics.iter().find(|n| n.id == sub.trunk) else {
            if !sub.trunk.is_empty() {
                named.no_such("VduCp", &sub.trunk, nics.iter().map(|n| n.id.as_str()));
            }
            continue;
        };
        if !nic.trunk {
            named
                .error_hint(format!("'{}' is no trunk", sub.trunk), format!("write trunk_mode: true in the properties of '{}'", sub.trunk));
        }
        if !read.vdu.is_empty() && read.vdu != nic.vdu {
            read.binding.as_ref().unwrap_or(at).error(format!("its trunk '{}' is on VDU '{}'", sub.trunk, nic.vdu));
        }
        read.vdu.clone_from(&nic.vdu);
        let Some(tag) = sub.tag else { continue };
        match seen.iter().find(|(trunk, t, _)| *trunk == sub.trunk && *t == tag) {
            Some((_, _, other)) => at.error(format!("has tag {tag} on trunk '{}', and so has '{other}'", sub.trunk)),
            None => seen.push((sub.trunk.clone(), tag, at.me())),
        }
    }
}

/// Puts the networks of trunks on their NICs.
pub fn load(vdus: &mut [Vdu], links: &[IntLink], cps: &[(ReadCp<'_>, At<'_>)]) {
    for (read, at) in cps {
        let nic = vdus.iter_mut().flat_map(|v| &mut v.nics);
        match &read.sub {
            None if read.trunk => {}
            None => continue,
            Some(sub) => {
                let (Some(nic), Some(tag)) = (nic.into_iter().find(|n| n.id == sub.trunk), sub.tag) else { continue };
                shared(nic, &read.nic.link, links, at);
                nic.subports.push(SubCp { id: at.me(), link: read.nic.link.clone(), tag, role: read.nic.role });
                continue;
            }
        }
        let Some(nic) = nic.into_iter().find(|n| n.id == read.nic.id) else { continue };
        if !matches!(nic.wish.attach, NicAttach::Switch | NicAttach::VhostUser) {
            at.error("is a function of a card, which carries one network: a trunk is a port of the switch");
        }
        let carries = cps.iter().any(|(r, _)| r.sub.as_ref().is_some_and(|s| s.trunk == nic.id));
        if !carries && inside(&nic.link, links).is_some_and(|l| !l.profile.transparent) {
            at.error_hint(
                "is a trunk that carries no tag",
                "give it VduSubCp nodes with trunk_binding and segmentation_id, or make its link vlan_transparent",
            );
        }
    }
}

fn inside<'l>(link: &CpLink, links: &'l [IntLink]) -> Option<&'l IntLink> {
    links.iter().find(|l| *link == CpLink::Internal(l.id.clone()))
}

/// A NIC is on a link once, but for VLANs of its own link that are to pass.
fn shared(nic: &VduCp, link: &CpLink, links: &[IntLink], at: &At<'_>) {
    let Some(l) = inside(link, links) else { return };
    if nic.link == *link {
        if !l.profile.transparent {
            at.error_hint(
                format!("its trunk '{}' is on '{}' untagged already", nic.id, l.id),
                format!("make '{}' vlan_transparent where VLANs of it are meant", l.id),
            );
        }
    } else if let Some(other) = nic.subports.iter().find(|s| s.link == *link) {
        at.error(format!("is on '{}', and so is '{}' of the same trunk", l.id, other.id));
    }
}
