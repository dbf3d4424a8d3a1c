//! The ports for a configuration: the real adapters, or their twins.

use std::sync::Arc;

use super::core::Ports;
use crate::{
    config::{AccelMode, Config, NetManager},
    controllers::Controllers,
    host::{LinuxHardware, LinuxNet, LinuxSlots, LinuxWays, Networkd, hardware, images::ImageFiles},
    libvirt::{self, AccelPolicy, Libvirt},
    model::{domain::Layout, error::Result},
    ovs::{Bond, OvsFabric, Settings, Uplink},
    sim::{Sim, SimConfig},
    update::port::Slots,
    vim::port::Hardware,
};

/// The box itself, apart from what guests need of it.
///
/// The system is asked for first, by itself: what it says decides how the store is opened, and the rest comes after that.
pub enum Own {
    Sim(Arc<Sim>),
    Box { hardware: Arc<LinuxHardware>, slots: Arc<LinuxSlots> },
}

impl Own {
    pub fn new(config: &Config, layout: &Layout) -> Own {
        if config.sim.enabled {
            let sim = Sim::new(SimConfig { tunnels: config.tunnel.clone(), ..SimConfig::default() });
            sim.start_delay(std::time::Duration::from_millis(config.sim.start_ms));
            return Own::Sim(Arc::new(sim));
        }
        Own::Box {
            hardware: Arc::new(LinuxHardware::new(hardware::Settings {
                root: "/".into(),
                physical: config.host.pf.iter().filter_map(|pf| Some((pf.name.clone(), pf.network.clone()?))).collect(),
                environment: Some(config.host.grubenv.clone()).filter(|p| !p.as_str().is_empty()),
            })),
            slots: Arc::new(LinuxSlots::new("/", layout)),
        }
    }
    pub fn hardware(&self) -> Arc<dyn Hardware> {
        match self {
            Own::Sim(sim) => sim.clone(),
            Own::Box { hardware, .. } => hardware.clone(),
        }
    }
    pub fn slots(&self) -> Arc<dyn Slots> {
        match self {
            Own::Sim(sim) => sim.clone(),
            Own::Box { slots, .. } => slots.clone(),
        }
    }
}

/// Connects in the background: a host whose libvirtd or switch is away is a condition, not a
/// failed start.
pub fn ports(own: &Own, config: &Config, layout: &Layout) -> Result<Ports> {
    if let Own::Sim(sim) = own {
        let sim = sim.clone();
        return Ok(Ports {
            hypervisor: sim.clone(),
            images: sim.clone(),
            fabric: sim.clone(),
            host: sim.clone(),
            controllers: sim.clone(),
            slots: sim.clone(),
            own_net: sim.clone(),
            ways_out: sim.clone(),
            hardware: sim,
        });
    }
    let mut virt = libvirt::Config::new(config.hypervisor.uri.as_str(), layout.clone());
    virt.accel = match config.hypervisor.accel {
        AccelMode::Auto => AccelPolicy::Auto,
        AccelMode::Kvm => AccelPolicy::Kvm,
        AccelMode::Tcg => AccelPolicy::Tcg,
    };
    virt.run_dir.clone_from(&config.run_dir);
    virt.bridge = crate::ovs::BRIDGE.into();
    let mut physical = std::collections::BTreeMap::new();
    for n in &config.physical_network {
        let uplink = match (&n.bridge, &n.interface, &n.bond) {
            (Some(b), ..) => Uplink::Bridge(b.clone()),
            (None, Some(i), _) => Uplink::Interface(i.clone().try_into()?),
            (None, None, Some(b)) => Uplink::Bond(Bond { legs: b.legs.clone(), mode: b.mode, lacp: b.lacp }),
            (None, None, None) => continue,
        };
        physical.insert(n.name.clone(), uplink);
    }
    physical.extend(config.tunnel.iter().map(|t| (t.name.clone(), Uplink::Tunnel(t.clone()))));
    Ok(Ports {
        hypervisor: Arc::new(Libvirt::open(virt)?),
        images: Arc::new(ImageFiles::open(layout.clone())?),
        fabric: Arc::new(OvsFabric::new(Settings { socket: config.network.ovsdb.clone().into(), physical })?),
        host: Arc::new(LinuxNet::new(&layout.root().join("net"))),
        controllers: Arc::new(Controllers),
        hardware: own.hardware(),
        slots: own.slots(),
        ways_out: Arc::new(LinuxWays),
        own_net: Arc::new(Networkd::new(config.host.network == NetManager::Networkd, "/", layout.root())),
    })
}
