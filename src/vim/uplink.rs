//! Where a link leads out of the box: to a physical network or through a tunnel. Pure.
//!
//! Owns every reason why it cannot, and what comes through there whole. Never: which port of the switch does it.

use smol_str::SmolStr;

use super::network::{LinkRules, Taken};
use crate::model::{
    error::{Fault, Result},
    net::VlanId,
    tunnel::Tunnel,
    vnfd::{LinkKind, LinkProfile},
};

/// A link that is planned may lead where its profile says; where that gives it an MTU, it has that from now on.
pub fn check(link: &SmolStr, profile: &mut LinkProfile, rules: &LinkRules, taken: &Taken) -> Result<()> {
    let Some(name) = profile.physical.clone() else { return Ok(()) };
    match rules.tunnels.iter().find(|t| t.name == name) {
        Some(tunnel) => through(link, tunnel, profile, taken),
        None => on_physical(link, &name, profile, rules),
    }
}

fn on_physical(link: &SmolStr, name: &SmolStr, profile: &LinkProfile, rules: &LinkRules) -> Result<()> {
    if !rules.physical.contains(name) {
        let mut there = Vec::new();
        if rules.physical.is_empty() {
            there.push("none is configured ([[physical_network]])".to_string());
        } else {
            there.push(format!("there are: {}", rules.physical.join(", ")));
        }
        if !rules.tunnels.is_empty() {
            there.push(format!("tunnels: {}", rules.tunnels.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join(", ")));
        }
        return Err(Fault::invalid(format!("link {link}: this box has no physical network '{name}'")).with_reasons(there));
    }
    match profile.segmentation {
        Some(id) if VlanId::try_from(id).is_err() => {
            Err(Fault::invalid(format!("link {link}: segmentation_id {id} is no VLAN (1 to 4094), and '{name}' is a physical network")))
        }
        Some(_) | None => Ok(()),
    }
}

/// A link that leads through a tunnel is what comes through there whole, and nobody else's out there.
fn through(link: &SmolStr, tunnel: &Tunnel, profile: &mut LinkProfile, taken: &Taken) -> Result<()> {
    let name = &tunnel.name;
    let mut no = Vec::new();
    match tunnel.key(profile.segmentation) {
        None => no.push("it has no segmentation_id, and the tunnel no vni: nothing tells its frames from others'".to_owned()),
        Some(key) if taken.outside.iter().any(|(n, said)| n == name && tunnel.key(*said) == Some(key)) => {
            no.push(format!("VNI {key} is another link's there: give it a segmentation_id of its own"));
        }
        Some(_) => {}
    }
    let several = tunnel.remotes.len() > 1;
    match profile.kind {
        LinkKind::Eline if several => no.push(format!("a line has two ends, and the tunnel {} remote ones", tunnel.remotes.len())),
        // A leaf and a remote end would both be ports that are kept from such as them.
        LinkKind::Etree if several => no.push("a tree leads to one remote end at most: leaves would not reach several".into()),
        LinkKind::Elan | LinkKind::Eline | LinkKind::Etree => {}
    }
    let room = tunnel.room(profile.transparent);
    match profile.mtu {
        Some(mtu) if mtu > room => no.push(format!(
            "its MTU of {mtu} is more than the {room} that come through whole ({} between here and there, less {} of {})",
            tunnel.mtu,
            tunnel.overhead(profile.transparent),
            tunnel.kind.word()
        )),
        Some(_) => {}
        None => profile.mtu = Some(room),
    }
    match no.is_empty() {
        true => Ok(()),
        false => Err(Fault::invalid(format!("link {link} cannot lead through tunnel '{name}'")).with_reasons(no)),
    }
}
