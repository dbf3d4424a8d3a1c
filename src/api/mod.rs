//! The HTTP shell: TLS, who is calling, routes, conversion, problems.
//!
//! A request passes: `server` (connection, limits) -> `gate` (id, span, caller, permission,
//! version, problem body, audit trail) -> the route of its reference point -> a handler, which converts and calls a domain
//! service through `blocking`. Handlers hold no logic; nothing here names sled, libvirt or nix
//! (but `server` asks the kernel who is at the other end of the UNIX socket).

pub mod admin;
pub mod alarms;
pub mod auth;
pub mod blocking;
pub mod bring;
pub mod callback;
pub mod conditional;
pub mod content;
pub mod convert;
pub mod extract;
pub mod fetch;
pub mod gate;
pub mod home;
pub mod hub;
pub mod indicators;
pub mod json;
pub mod leftover;
pub mod list;
pub mod oauth;
pub mod older;
pub mod ops;
pub mod permit;
pub mod places;
pub mod pm;
pub mod problem;
pub mod refusal;
pub mod respond;
pub mod rest;
mod revoked;
pub mod routes;
pub mod server;
pub mod sol002;
pub mod sol003;
pub mod sol003nfvo;
pub mod sol005;
pub mod stall;
pub mod subscriptions;
pub mod system_bundle;
pub mod tls;
pub mod upload;
pub mod version;
pub mod who;

use std::{sync::Arc, time::Instant};

use axum::Router;

use self::{
    blocking::{Call, Pool},
    routes::Routes,
    tls::Rotating,
    who::View,
};
use crate::{
    access::{Access, Caller},
    backup::{Backups, Restores},
    call_home::CallHome,
    config::{LiveConfig, ReferencePoint},
    desired::DesiredState,
    hostnet::HostNets,
    hub::Hub,
    model::{error::Result, health::Condition},
    nfvo::Nfvo,
    notify::Notifier,
    ops::{alarms::Alarms, collect::Collector},
    reset::Resets,
    update::Updater,
    vim::setup::Keeper,
    vnfm::revive::Missing,
    ztp::status::Status,
};

/// What handlers can reach. Domain services are added here, each as one field.
pub struct Services {
    pub config: LiveConfig,
    /// Who may do what.
    pub access: Arc<Access>,
    /// The certificate that is shown, and whose clients' are believed.
    pub tls: Arc<Rotating>,
    /// Network services and, through it, VNFs, packages and the records.
    pub nfvo: Arc<Nfvo>,
    /// How the host is set up.
    pub host: Arc<Keeper>,
    /// Updates of the box's own system.
    pub update: Arc<Updater>,
    /// What the owner has signed that this box shall be.
    pub desired: Arc<DesiredState>,
    /// Factory resets.
    pub reset: Arc<Resets>,
    pub backup: Arc<Backups>,
    /// A backup of another box on its way into this one.
    pub restore: Arc<Restores>,
    /// The box's own network.
    pub own_net: Arc<HostNets>,
    /// The centres that this box calls.
    pub call_home: Arc<CallHome>,
    /// Where this box is a centre of others.
    pub hub: Option<Arc<Hub>>,
    /// How far zero touch is.
    pub ztp: Box<dyn Fn() -> Result<Status> + Send + Sync>,
    pub notify: Arc<Notifier>,
    pub alarms: Arc<Alarms>,
    pub pm: Arc<Collector>,
    /// Where calls into the synchronous core run.
    pub pool: Pool,
    pub health: Box<dyn Fn() -> Vec<Condition> + Send + Sync>,
    /// Has the host looked at again, soon; guests that should run are started, or only reported.
    pub look: Box<dyn Fn(Missing) + Send + Sync>,
    /// The end of the daemon's own log.
    pub log: Box<dyn Fn() -> Vec<u8> + Send + Sync>,
    pub started: Instant,
}

impl Services {
    /// A call into the domain for the request's caller, on a thread that may block.
    pub fn domain<T: Send + 'static>(&self, f: impl FnOnce(&View) -> Result<T> + Send + 'static) -> Call<T> {
        match View::new(self.nfvo.clone()) {
            Ok(view) => self.pool.run(move || f(&view)),
            Err(no) => Call::over(Err(no)),
        }
    }

    /// The same for identity itself.
    pub fn identity<T: Send + 'static>(&self, f: impl FnOnce(&Access, &Caller) -> Result<T> + Send + 'static) -> Call<T> {
        let access = self.access.clone();
        match who::caller() {
            Ok(caller) => self.pool.run(move || f(&access, &caller)),
            Err(no) => Call::over(Err(no)),
        }
    }

    /// The same for the end of something that is under way: it waits however busy the core is.
    pub fn conclude<T: Send + 'static>(&self, f: impl FnOnce(&Arc<Nfvo>) -> Result<T> + Send + 'static) -> Call<T> {
        let nfvo = self.nfvo.clone();
        self.pool.see_through(move || f(&nfvo))
    }

    /// A read of a few records by their keys: on the socket's own thread, since the way to another and
    /// back costs more than the read. It may wait as long as a transaction takes, but not for a
    /// compaction or an export: then it goes the way of `domain`. Never for writes or lists.
    pub fn look<T: Send + 'static>(&self, f: impl FnOnce(&View) -> Result<T> + Send + 'static) -> Call<T> {
        if self.nfvo.vnfm().store().reads_at_once() {
            return Call::over(View::new(self.nfvo.clone()).and_then(|view| f(&view)));
        }
        self.domain(f)
    }
}

pub type Ctx = axum::extract::State<Arc<Services>>;

/// The routes of one reference point.
pub fn routes(point: ReferencePoint) -> Routes {
    match point {
        ReferencePoint::Sol005 => sol005::routes(),
        ReferencePoint::Sol003Vnfm => sol003::routes(),
        ReferencePoint::Sol003Nfvo => sol003nfvo::routes().and(sol003nfvo::packages()),
        ReferencePoint::Sol002 => sol002::routes(),
        ReferencePoint::Admin => admin::routes(),
        ReferencePoint::Hub => hub::routes(),
    }
}

/// What is met where these are served together: SOL003 has paths of SOL005's, which are SOL005's there.
pub fn together(points: &[ReferencePoint]) -> Routes {
    let mut all = oauth::routes();
    for (_, p) in points.iter().enumerate().filter(|(i, p)| !points[..*i].contains(p)) {
        all = all.and(match p {
            ReferencePoint::Sol003Nfvo if points.contains(&ReferencePoint::Sol005) => sol003nfvo::routes(),
            p => routes(*p),
        });
    }
    all
}

/// Everything one listener serves, behind the gate.
pub fn router(services: &Arc<Services>, points: &[ReferencePoint]) -> Router {
    gate::close(together(points), services.clone())
}
