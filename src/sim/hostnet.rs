//! `hostnet::port::NetDaemon` in memory: two ports, and files that count or are kept.

use smol_str::{SmolStr, format_smolstr};

use super::{
    Sim,
    faults::{Method, Target},
};
use crate::{
    hostnet::{
        NetFile,
        port::{NetDaemon, Port},
    },
    model::{error::Result, id::IfName, net::Cidr},
};

#[derive(Debug, Clone, Default)]
pub(super) struct OwnNet {
    refuses: Option<String>,
    shown: Vec<NetFile>,
    kept: Vec<NetFile>,
    boots: u32,
    uptime_s: u64,
}

impl Sim {
    /// Why its network is nobody's to set, if so.
    pub fn refuse_network(&self, why: Option<&str>) {
        self.lock().own.refuses = why.map(str::to_owned);
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
