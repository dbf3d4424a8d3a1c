//! Controllers of switches outside the box: the adapters behind `sdn::connector`.
//!
//! Owns: one file for each way a controller is spoken to. A new one is a file here, a variant of
//! `model::sdn::Speaks` and an arm below. Never: decides which port carries what; touches what others wrote,
//! as each file says how it tells them apart.

mod cross;
mod faucet;
mod l2vpn;
mod metrics;
mod onos;
mod opendaylight;
mod ovsdb;
mod rest;
mod yaml;

use std::sync::Arc;

use crate::{
    model::{
        error::Result,
        sdn::{Controller, Speaks},
    },
    sdn::connector::{Connector, Connectors, Opening},
};

/// The real ones.
pub struct Controllers;

impl Connectors for Controllers {
    fn open(&self, c: &Controller, with: Opening) -> Result<Arc<dyn Connector>> {
        Ok(match &c.speaks {
            Speaks::Ovsdb { at } => Arc::new(ovsdb::Direct::open(at.clone(), &c.datapaths, with)?),
            Speaks::Faucet { file, pid_file, metrics, login } => {
                let user = login.as_ref().map(|l| l.user.to_string());
                let login = user.zip(with.secret);
                Arc::new(faucet::Faucet::new(file, pid_file.as_deref(), *metrics, login, &c.datapaths, &with.owner))
            }
            Speaks::L2vpn(at) => Arc::new(l2vpn::L2vpn::open(at, &c.datapaths, with)?),
            Speaks::OpenDaylight(at) => Arc::new(opendaylight::OpenDaylight::open(at, &c.datapaths, with)?),
            Speaks::Onos(at) => Arc::new(onos::Onos::open(at, &c.datapaths, with)?),
        })
    }
}
