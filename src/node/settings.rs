//! What of the configuration each part of the daemon is told, in its own terms.
//!
//! Owns that translation, pure but for the host's name. Never: a default, or what a part does with it.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    access::{Settings as AccessSettings, rate::Limits},
    config::{Config, HostProfile, Inbound, PhysicalNetwork},
    model::{error::Result, id::IfName, net::Cidr, opening::Opening, size::MiB, tree::tree, vnf::Autoheal, vnfd::GRACEFUL_STOP_S},
    vim::{
        capacity::Overcommit,
        network::LinkRules,
        outside,
        place::facts::HostReserve,
        setup::{Desired, Profile},
    },
    vnfm::Rules,
};

/// The rules of a configuration for what runs.
pub(super) fn rules(c: &Config) -> Result<Rules> {
    Ok(Rules {
        links: LinkRules {
            pool: c.network.pool,
            pool_prefix: 24,
            physical: c.physical_network.iter().map(|n| n.name.clone()).collect(),
            tunnels: c.tunnel.clone(),
        },
        overcommit: Overcommit { cpu: c.overcommit.cpu, memory: c.overcommit.memory, disk: c.overcommit.disk },
        reserve: HostReserve {
            cpus: c.reserve.cpus.clone(),
            memory: MiB(c.reserve.memory_mib),
            pages: tree(c.reserve.hugepages.iter().map(|p| ((p.node.0, p.size), p.pages))),
        },
        reserve_disk: MiB(c.reserve.disk_mib),
        graceful_stop_s: GRACEFUL_STOP_S,
        start_at_once: c.lcm.start_at_once as usize,
        autoheal: Autoheal { tries: c.autoheal.tries as u32, pause_ms: c.autoheal.pause_s * 1000, calm_s: c.autoheal.calm_s },
        vnf_answer_s: c.lcm.vnf_answer_s as u32,
    })
}

/// Interfaces that physical networks are on: of a bond each leg.
pub(super) fn uplinks(c: &Config) -> Result<Vec<IfName>> {
    let legs = c.physical_network.iter().filter_map(|n| n.bond.as_ref()).flat_map(|b| b.legs.iter().cloned().map(Ok));
    c.physical_network.iter().filter_map(|n| n.interface.clone()).map(TryInto::try_into).chain(legs).collect()
}

/// Ports that the box's own network must leave alone, and what each is instead.
pub(super) fn taken(c: &Config) -> BTreeMap<IfName, String> {
    let of = |n: &PhysicalNetwork| {
        let alone = n.interface.clone().and_then(|i| IfName::try_from(i).ok());
        let port = alone.map(|p| (p, format!("the port of the physical network '{}' ([[physical_network]])", n.name)));
        let leg = format!("a port of the bond of the physical network '{}' ([[physical_network]])", n.name);
        port.into_iter().chain(n.bond.iter().flat_map(|b| &b.legs).map(|l| (l.clone(), leg.clone()))).collect::<Vec<_>>()
    };
    c.physical_network.iter().flat_map(of).collect()
}

/// What reaches the box from outside; `None`: that is not Bothy's. `is_box`: the system is Bothy's own image.
pub(super) fn openings(c: &Config, is_box: bool) -> Option<Vec<Opening>> {
    let listeners = c.listen.iter().map(|l| l.address).chain(c.hub.listen).chain(c.hub.bootstrap);
    let tunnels = c.tunnel.iter().map(|t| Opening {
        tcp: false,
        port: t.dst_port,
        at: t.local,
        from: t.remotes.iter().filter_map(|r| Cidr::new(*r, if r.is_ipv4() { 32 } else { 128 }).ok()).collect(),
    });
    let all = listeners.filter_map(|a| Opening::of_listener(true, a.ip(), a.port())).chain(tunnels).chain(c.firewall.open.iter().cloned());
    let shut = match c.firewall.inbound {
        Inbound::Deny => true,
        Inbound::Off => false,
        // The image's, and no other's: boxes that were installed before there was the key are shut too.
        Inbound::Auto => is_box,
    };
    shut.then(|| all.collect())
}

/// The host as a configuration wants it.
pub(super) fn desired(c: &Config) -> Desired {
    Desired {
        profile: match c.host.profile {
            HostProfile::None => Profile::None,
            HostProfile::Throughput => Profile::Throughput,
            HostProfile::Realtime => Profile::Realtime,
        },
        hugepages: c.host.hugepages.clone(),
        pfs: c.host.pf.iter().map(|pf| (pf.name.clone(), pf.vfs)).collect(),
        iommu: c.host.iommu,
        governor: Some(c.host.governor.clone()).filter(|g| !g.is_empty()),
        isolate: c.host.isolate.clone(),
        host_cpus: c.reserve.cpus.clone(),
    }
}

/// What a configuration says of switches outside, for the host of this name.
pub(super) fn outside(c: &Config) -> outside::Settings {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    outside::Settings { node: name.trim().into(), controllers: c.sdn_controller.clone(), maps: c.sdn_portmap.clone() }
}

/// Who gets in and how often, of a configuration.
pub(super) fn access_settings(c: &Config) -> AccessSettings {
    AccessSettings {
        token_life: Duration::from_secs(c.access.token_s),
        limits: Limits {
            failures: c.access.failures as u32,
            lock: Duration::from_secs(c.access.lock_s),
            requests_per_s: c.access.requests_per_s as u32,
        },
        audit_keep: c.access.audit_keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::check(text).expect("a configuration")
    }

    /// A host may have a block of GRUB's and be anybody's.
    #[test]
    fn only_the_image_is_shut_by_itself() {
        for (inbound, is_box, shut) in [("auto", true, true), ("auto", false, false), ("deny", false, true), ("off", true, false)] {
            let c = config(&format!("[host]\ngrubenv = \"/boot/grub/grubenv\"\n[firewall]\ninbound = \"{inbound}\"\n"));
            assert_eq!(openings(&c, is_box).is_some(), shut, "{inbound} {is_box}");
        }
    }

    #[test]
    fn the_boxs_own_network_leaves_ports_of_physical_networks_alone_and_legs_of_their_bonds() {
        let c = config(
            "[[physical_network]]\nname = \"lan\"\ninterface = \"eth1\"\n\
             [[physical_network]]\nname = \"wan\"\ninterfaces = [\"eth2\", \"eth3\"]\n",
        );
        let names: Vec<String> = taken(&c).keys().map(ToString::to_string).collect();
        assert_eq!(names, ["eth1", "eth2", "eth3"]);
    }
}
