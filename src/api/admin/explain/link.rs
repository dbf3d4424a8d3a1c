//! Why a link has its VLAN and its networks, and a NIC on it its MAC and addresses.
//!
//! Owns the reading back of what the planner was told: by descriptors, by requests, or by nobody. Never: the
//! choice itself (`vim::network`).

use std::net::IpAddr;

use serde_json::Value;

use super::Records;
use crate::{
    lcm::timeline::plan_of,
    model::{
        error::Result,
        id::SegmentId,
        net::MacAddr,
        ns::NsInstance,
        nsd::Nsd,
        op::{OpKind, OpState, Operation, Target, VnfOpState},
        package::{NsDescriptor, VnfPackage},
        segment::{Segment, SegmentOwner},
        step::{Step, VnfStep},
        vnf::{Port, VnfInstance, Vnfc},
        vnfd::{Layer3, LinkProfile, Vnfd},
    },
    vim::network::LinkRules,
};

impl Records<'_> {
    /// The link as a whole.
    pub(super) fn chosen(&self, s: &Segment, rules: &LinkRules) -> Result<Vec<String>> {
        let mut why = vec![format!(
            "VLAN {} is its tag within the switch, where each link of the box has one of its own: the lowest that was free when it was planned",
            s.vlan
        )];
        let described = self.described(s)?;
        for (n, l3) in s.profile.layer3.iter().enumerate() {
            let given = described.as_ref().is_none_or(|d| !d.layer3.is_empty());
            why.push(if given {
                format!("its network {} is what its descriptor says", l3.cidr)
            } else {
                format!(
                    "its descriptor gives no network, and the host has to have an address here: {} was the first of network.pool {} that the host was \
                     not on",
                    l3.cidr, rules.pool
                )
            });
            let wished = described.as_ref().and_then(|d| d.layer3.get(n)).and_then(|d| d.gateway);
            why.extend(s.host.iter().find(|h| l3.cidr.contains(h.addr())).map(|h| host_address(&s.profile, l3, h.addr(), wished)));
        }
        Ok(why)
    }

    /// One NIC.
    pub(super) fn addressed(&self, v: &VnfInstance, c: &Vnfc, p: &Port) -> Result<Vec<String>> {
        let mut why = Vec::new();
        let segment = self.segments.iter().find(|s| s.id == p.segment);
        if let Some(s) = segment {
            why.push(format!("it is on virtual link {} ({}), VLAN {} of the switch", s.link, s.id, s.vlan));
        }
        why.extend(self.attached(v, p)?);
        why.push(format!("its interface on the switch is {}, made from the port's id", p.ifname.as_str()));
        let ops: Vec<&Operation> = self.ops.iter().rev().filter(|o| o.target == Target::Vnf(v.id) && !undone(o)).collect();
        let asked = |names: &dyn Fn(&str) -> bool| ops.iter().find(|o| asks_for(&o.request, names));
        let vnfd = self.vnfd(v)?;
        let insists = vnfd.iter().flat_map(|d| &d.flavours).flat_map(|f| &f.vdus).filter(|u| u.id == c.vdu).flat_map(|u| &u.nics);
        let is_mac = |text: &str| text.parse::<MacAddr>().is_ok_and(|m| m == p.mac);
        why.push(if let Some(op) = asked(&is_mac) {
            format!("its MAC {} was asked for with operation {} ({})", p.mac, op.id, op.kind.name())
        } else if insists.clone().any(|n| n.id == p.cp && n.mac == Some(p.mac)) {
            format!("its MAC {} is what the VNFD says", p.mac)
        } else {
            format!("its MAC {} was drawn by lot, of those that nobody on the link had", p.mac)
        });
        let fixed = self.fixed_by_service(v, p)?;
        for a in &p.addresses {
            let is_this = |text: &str| text.parse::<IpAddr>().is_ok_and(|t| t == *a);
            why.push(if let Some(op) = asked(&is_this) {
                format!("{a} was asked for with operation {} ({})", op.id, op.kind.name())
            } else if let Some((profile, _)) = fixed.as_ref().filter(|(_, all)| all.contains(a)) {
                format!("{a} is what the NSD fixes for the VNF profile {profile}")
            } else {
                lowest(segment, *a)
            });
        }
        Ok(why)
    }

    /// The operation that put it on its link, where it was planned for another.
    fn attached(&self, v: &VnfInstance, p: &Port) -> Result<Option<String>> {
        let here = |s: &VnfStep| matches!(s, VnfStep::Move(m) if m.port == p.id && m.after.segment == p.segment);
        Ok(self.last(v, &[OpKind::ChangeExtConn], here)?.map(|op| format!("{} put it there", said(op))))
    }

    /// The newest operation of this kind with such a step that was not taken back.
    pub(super) fn last(&self, v: &VnfInstance, kinds: &[OpKind], did: impl Fn(&VnfStep) -> bool) -> Result<Option<&Operation>> {
        for op in self.ops.iter().rev().filter(|o| o.target == Target::Vnf(v.id) && kinds.contains(&o.kind) && !undone(o)) {
            if plan_of(self.store, op.id)?.iter().any(|s| matches!(&s.step, Step::Vnf(s) if did(s))) {
                return Ok(Some(op));
            }
        }
        Ok(None)
    }

    fn vnfd(&self, v: &VnfInstance) -> Result<Option<Vnfd>> {
        Ok(self.store.get::<VnfPackage>(&v.package)?.and_then(|p| p.vnfd))
    }

    fn nsd(&self, ns: &NsInstance) -> Result<Option<Nsd>> {
        Ok(self.store.get::<NsDescriptor>(&ns.nsd_info)?.and_then(|d| d.nsd))
    }

    /// The link's profile in its descriptor. `None`: that has no such link, or is gone.
    fn described(&self, s: &Segment) -> Result<Option<LinkProfile>> {
        match s.owner {
            SegmentOwner::Ns(id) => {
                let Some(ns) = self.store.get::<NsInstance>(&id)? else { return Ok(None) };
                let flavours = self.nsd(&ns)?.map(|n| n.flavours).unwrap_or_default();
                Ok(flavours.into_iter().flat_map(|f| f.links).find(|l| l.id == s.link).map(|l| l.profile))
            }
            SegmentOwner::Vnf(id) => {
                let Some(v) = self.vnfs.iter().find(|v| v.id == id) else { return Ok(None) };
                let flavours = self.vnfd(v)?.map(|d| d.flavours).unwrap_or_default();
                let link = flavours.iter().flat_map(|f| &f.links).find(|l| l.id == s.link).map(|l| l.profile.clone());
                // A connection point that was attached to nothing has a link of its own, of which no descriptor says anything.
                let alone = || flavours.iter().flat_map(|f| &f.ext_cps).any(|e| e.id == s.link).then(LinkProfile::default);
                Ok(link.or_else(alone))
            }
        }
    }

    /// Addresses that the service has for this connection point of its member.
    fn fixed_by_service(&self, v: &VnfInstance, p: &Port) -> Result<Option<(String, Vec<IpAddr>)>> {
        let (Some(id), Some(cp)) = (v.ns, &p.ext_cp) else { return Ok(None) };
        let Some(ns) = self.store.get::<NsInstance>(&id)? else { return Ok(None) };
        let Some(profile) = ns.members.iter().find(|m| m.vnf == v.id).map(|m| m.profile.clone()) else { return Ok(None) };
        let nsd = self.nsd(&ns)?;
        let members = nsd.iter().flat_map(|n| &n.flavours).flat_map(|f| &f.members).filter(|m| m.id == profile);
        let on = |link: &str, segment: SegmentId| ns.links.iter().any(|(l, s)| l == link && *s == segment);
        let all = members.flat_map(|m| &m.attach).filter(|a| a.ext_cp == *cp && on(&a.link, p.segment)).flat_map(|a| a.addresses.clone());
        Ok(Some((profile.to_string(), all.collect())))
    }
}

fn undone(op: &Operation) -> bool {
    op.state == OpState::Vnf(VnfOpState::RolledBack)
}

/// An operation by its id, kind and state.
pub(super) fn said(op: &Operation) -> String {
    format!("operation {} ({}, {})", op.id, op.kind.name(), op.state.name())
}

fn host_address(profile: &LinkProfile, l3: &Layer3, addr: IpAddr, wished: Option<IpAddr>) -> String {
    let on_link = match (profile.nat, profile.management) {
        (true, _) => Some("it translates the link's traffic"),
        (false, true) => Some("the link is for management"),
        (false, false) => None,
    };
    match on_link {
        Some(because) if wished == Some(addr) => format!("the host has {addr} here, the descriptor's gateway, since {because}"),
        Some(because) => format!("the host has {addr} here, the first address of {}, since {because}", l3.cidr),
        None => {
            format!("the host has {addr} here to serve DHCP: one from the end of {}, for a guest may be the router of this link", l3.cidr)
        }
    }
}

/// Whether a string anywhere in a request is one that `names` knows.
fn asks_for(request: &str, names: &dyn Fn(&str) -> bool) -> bool {
    fn within(v: &Value, names: &dyn Fn(&str) -> bool) -> bool {
        match v {
            Value::String(text) => names(text),
            Value::Array(all) => all.iter().any(|v| within(v, names)),
            Value::Object(all) => all.values().any(|v| within(v, names)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    serde_json::from_str(request).is_ok_and(|v| within(&v, names))
}

fn lowest(segment: Option<&Segment>, a: IpAddr) -> String {
    let Some(l3) = segment.and_then(|s| s.profile.layer3.iter().find(|l| l.cidr.contains(a))) else {
        return format!("{a} was the lowest free address of its link when it was planned");
    };
    let pools: Vec<String> = l3.pools.iter().map(|(lo, hi)| format!("{lo} to {hi}")).collect();
    let of = if pools.is_empty() { l3.cidr.to_string() } else { format!("{} within the link's pool {}", l3.cidr, pools.join(", ")) };
    format!("nobody asked for an address of {}: {a} was the lowest of {of} that was free when it was planned", l3.cidr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_request_however_it_is_written() {
        let is = |want: &str| {
            let want: IpAddr = want.parse().expect("an address");
            move |text: &str| text.parse::<IpAddr>().is_ok_and(|t| t == want)
        };
        let request = r#"{"extVirtualLinks": [{"extCps": [{"fixedAddresses": ["10.1.1.7", "fd00:0:0::7"], "n": 1}]}]}"#;
        for (address, there) in [("10.1.1.7", true), ("fd00::7", true), ("10.1.1.70", false)] {
            assert_eq!(asks_for(request, &is(address)), there, "{address}");
        }
        assert!(!asks_for("", &is("10.1.1.7")) && !asks_for("10.1.1.7", &is("10.1.1.7")));
    }
}
