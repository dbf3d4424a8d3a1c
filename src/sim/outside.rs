//! `Connectors` in memory: every controller is there, and each port of its switches.

use std::sync::Arc;

use super::{
    Sim,
    faults::{Method, Target},
};
use crate::{
    model::{
        error::Result,
        sdn::{Controller, OutsidePort},
    },
    sdn::connector::{Connector, Connectors, Desired, Difference, Look, Opening, PortState, PortVlans},
};

struct Outside {
    sim: Sim,
    datapaths: Vec<smol_str::SmolStr>,
}

impl Outside {
    fn has(&self, at: &OutsidePort) -> bool {
        self.datapaths.contains(&at.switch)
    }
}

impl Connectors for Sim {
    fn open(&self, c: &Controller, _: Opening) -> Result<Arc<dyn Connector>> {
        Ok(Arc::new(Outside { sim: self.clone(), datapaths: c.datapaths.clone() }))
    }
}

impl Connector for Outside {
    fn look(&self, desired: &Desired) -> Result<Look> {
        self.sim.call(Method::OutsideLook, Target::Host, |world, _| {
            let mut look = Look::default();
            let nothing = PortVlans::default();
            let mut all: Vec<&OutsidePort> = desired.keys().chain(world.outside.keys().filter(|at| self.has(at))).collect();
            all.sort_unstable();
            all.dedup();
            for at in all {
                let (is, wanted) = (world.outside.get(at).unwrap_or(&nothing), desired.get(at).unwrap_or(&nothing));
                if is != wanted {
                    look.differs.push(Difference { at: at.clone(), is: is.to_string(), wanted: wanted.to_string() });
                }
            }
            look.ports = desired.keys().map(|at| (at.clone(), PortState::Up)).collect();
            Ok(look)
        })
    }
    fn apply(&self, desired: &Desired) -> Result<()> {
        self.sim.call(Method::OutsideApply, Target::Host, |world, _| {
            world.outside.retain(|at, _| !self.has(at));
            world.outside.extend(desired.iter().map(|(at, p)| (at.clone(), p.clone())));
            Ok(())
        })
    }
}

impl Sim {
    /// What the switches outside carry.
    pub fn outside(&self) -> Desired {
        self.lock().outside.clone()
    }
    /// Somebody takes all of it off the switches outside.
    pub fn wipe_outside(&self) {
        self.lock().outside.clear();
    }
}
