//! `hostnet::port::{NetDaemon, WaysOut}` in memory: ports, files that count or are kept, and default routes by two of the ports.

use std::{collections::BTreeSet, time::Duration};

use smol_str::{SmolStr, format_smolstr};

use super::{
    Sim,
    faults::{Method, Target},
};
use crate::{
    hostnet::{
        NetFile,
        port::{Answer, Ask, NetDaemon, Port, WaysOut},
    },
    model::{
        error::Result,
        id::IfName,
        net::Cidr,
        uplink::{DefaultRoute, Family},
    },
};

#[derive(Debug, Clone, Default)]
pub(super) struct OwnNet {
    refuses: Option<String>,
    shown: Vec<NetFile>,
    kept: Vec<NetFile>,
    boots: u32,
    uptime_s: u64,
    /// Ports by which nothing answers.
    lost: BTreeSet<SmolStr>,
    /// Default routes that Bothy has made.
    routes: Vec<DefaultRoute>,
}

impl Sim {
    /// Why its network is nobody's to set, if so.
    pub fn refuse_network(&self, why: Option<&str>) {
        self.lock().own.refuses = why.map(str::to_owned);
    }
    /// Nothing answers by this port any more, or all does again; its link stays.
    pub fn lose_uplink(&self, port: &str, lost: bool) {
        let all = &mut self.lock().own.lost;
        if lost {
            all.insert(port.into());
        } else {
            all.remove(port);
        }
    }
    /// The port that leads out, and whether Bothy has seen to that.
    pub fn way_out(&self, family: Family) -> Option<(SmolStr, bool)> {
        let all = WaysOut::routes(self).unwrap_or_default();
        let best = all.iter().filter(|r| r.family == family).min_by_key(|r| r.metric)?;
        Some((format_smolstr!("lan{}", best.index - FIRST), best.ours))
    }
    /// Files that count now, and those of the next start.
    pub fn own_network(&self) -> (Vec<NetFile>, Vec<NetFile>) {
        let own = &self.lock().own;
        (own.shown.clone(), own.kept.clone())
    }
    pub fn pass(&self, seconds: u64) {
        self.lock().own.uptime_s += seconds;
    }
    /// The box restarts: what was kept counts.
    pub fn restart_network(&self) {
        let own = &mut self.lock().own;
        own.shown = own.kept.clone();
        own.boots += 1;
        own.uptime_s = 0;
    }
    fn look_at_network<T>(&self, look: impl FnOnce(&OwnNet) -> T) -> Result<T> {
        self.call(Method::LookAtNetwork, Target::Host, |world, _| Ok(look(&world.own)))
    }
}

impl NetDaemon for Sim {
    fn is_ours(&self) -> bool {
        true
    }
    fn refuses(&self) -> Result<Option<String>> {
        self.look_at_network(|own| own.refuses.clone())
    }
    fn ports(&self) -> Result<Vec<Port>> {
        let port = |n: u8| {
            Some(Port { name: format!("lan{n}").parse().ok()?, mac: format!("52:54:00:00:00:0{n}").parse().ok(), has_link: n == 0 })
        };
        self.look_at_network(|_| (0..3).filter_map(port).collect())
    }
    fn addresses(&self) -> Result<Vec<(IfName, Cidr)>> {
        self.look_at_network(|_| Vec::from_iter("lan0".parse().ok().zip("192.0.2.10/24".parse().ok())))
    }
    fn show(&self, files: &[NetFile]) -> Result<()> {
        self.call(Method::ShowNetwork, Target::Host, |world, _| {
            world.own.shown = files.to_vec();
            Ok(())
        })
    }
    fn keep(&self, files: &[NetFile]) -> Result<()> {
        self.call(Method::KeepNetwork, Target::Host, |world, _| {
            world.own.kept = files.to_vec();
            Ok(())
        })
    }
    fn boot(&self) -> Result<(SmolStr, u64)> {
        self.look_at_network(|own| (format_smolstr!("boot-{}", own.boots), own.uptime_s))
    }
}

/// The number of the first port.
const FIRST: u32 = 2;

impl WaysOut for Sim {
    fn ask(&self, asked: &[Ask], _wait: Duration) -> Vec<Answer> {
        let answer = |lost: &BTreeSet<SmolStr>, a: &Ask| {
            if lost.contains(a.device.as_str()) { Err("no answer".to_owned()) } else { Ok(()) }
        };
        let all = self.call(Method::Probe, Target::Host, |world, _| Ok(asked.iter().map(|a| answer(&world.own.lost, a)).collect()));
        all.unwrap_or_else(|fault| asked.iter().map(|_| Err(fault.text().to_owned())).collect())
    }
    fn interfaces(&self) -> Result<Vec<(u32, IfName)>> {
        let port = |n: u32| Some((FIRST + n, format!("lan{n}").parse().ok()?));
        self.look_at_network(|_| (0..3).filter_map(port).collect())
    }
    fn routes(&self) -> Result<Vec<DefaultRoute>> {
        let by = |n: u32, family| DefaultRoute {
            family,
            index: FIRST + n,
            via: None,
            source: None,
            metric: 100 * (n + 1),
            onlink: false,
            ours: false,
        };
        self.call(Method::DefaultRoutes, Target::Host, |world, _| {
            let own = Family::BOTH.into_iter().flat_map(|f| (0..2).map(move |n| by(n, f)));
            Ok(own.chain(world.own.routes.iter().cloned()).collect())
        })
    }
    fn add_route(&self, r: &DefaultRoute) -> Result<()> {
        self.call(Method::SetDefaultRoute, Target::Host, |world, _| {
            world.own.routes.retain(|o| (o.family, o.metric) != (r.family, r.metric));
            world.own.routes.push(r.clone());
            Ok(())
        })
    }
    fn remove_route(&self, r: &DefaultRoute) -> Result<()> {
        self.call(Method::SetDefaultRoute, Target::Host, |world, _| {
            world.own.routes.retain(|o| o != r);
            Ok(())
        })
    }
}
