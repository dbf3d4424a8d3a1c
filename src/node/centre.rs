//! What of a configuration speaks of centres: those that the box calls, and where it is one itself, the boxes that call it and are
//! bootstrapped by it.
//!
//! Owns how these rooms are built. Never: what they do.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;

use super::ztp::desk::Desk;
use crate::{
    call_home::{self, CallHome},
    config::{self, Config, LiveConfig},
    host::{clock::OsDice, openssl::certificates},
    hub::{self, Hub},
    model::{
        error::{Fault, Result},
        time::{Clock, Dice},
    },
    store::Store,
};

/// The centres that a configuration has the box call.
pub fn centres(config: &Config, clock: &Arc<dyn Clock>) -> CallHome {
    let one = |c: &config::Centre| call_home::Settings {
        name: c.name.clone(),
        address: c.address.clone(),
        client: c.client.clone(),
        first: Duration::from_secs(c.retry_s),
    };
    CallHome::new(config.call_home.iter().map(one).collect(), clock, &(Arc::new(OsDice) as Arc<dyn Dice>))
}

/// The boxes that a configuration lets call.
fn enrolled(config: &Config) -> Vec<hub::registry::Enrolled> {
    let one = |b: &config::EnrolledBox| hub::registry::Enrolled {
        serial: b.serial.clone(),
        fingerprint: b.fingerprint,
        project: b.project.clone(),
        group: b.group.clone(),
    };
    config.hub.boxes.iter().map(one).collect()
}

/// Takes boxes in, where this is a centre.
pub async fn hub(config: &Config, live: &LiveConfig, store: Store, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Hub>>> {
    let Some(at) = config.hub.listen else { return Ok(None) };
    let h = &config.hub;
    let (certificate, key) = if h.certificate.as_str().is_empty() { config.tls_paths() } else { (h.certificate.clone(), h.key.clone()) };
    let listener = TcpListener::bind(at)
        .await
        .map_err(|e| Fault::transient(format!("the hub cannot listen on {at}: {e}; see hub.listen")).with_source(e))?;
    let settings = hub::Settings { certificate, key, ca: h.ca.clone(), boxes: enrolled(config) };
    let hub = Hub::start(listener, settings, hub::Around { clock: clock.clone(), dice: Arc::new(OsDice), store })?;
    tracing::info!(address = %at, boxes = h.boxes.len(), "boxes may call home");
    let known = hub.clone();
    live.on_change(move |c| known.enrol(enrolled(c)));
    Ok(Some(hub))
}

/// Bootstraps boxes, where this is a centre that does.
pub async fn bootstrap(config: &Config, hub: Arc<Hub>) -> Result<Option<hub::bootstrap::Bootstrap>> {
    let h = &config.hub;
    let (Some(at), Some(home)) = (h.bootstrap, h.listen) else { return Ok(None) };
    let (certificate, key) = if h.certificate.as_str().is_empty() { config.tls_paths() } else { (h.certificate.clone(), h.key.clone()) };
    let listener = TcpListener::bind(at)
        .await
        .map_err(|e| Fault::transient(format!("the bootstrap server cannot listen on {at}: {e}; see hub.bootstrap")).with_source(e))?;
    let text = std::fs::read_to_string(&certificate).map_err(|e| Fault::transient(format!("cannot read {certificate}: {e}")))?;
    let shown = certificates(&text).map_err(|f| f.context(&certificate))?;
    let known = hub.clone();
    let desk = Desk {
        name: h.name.to_string(),
        bootstrap: at.port(),
        home: home.port(),
        shown,
        pinned: Box::new(move |serial| known.view(serial).is_some_and(|v| v.enrolled.fingerprint.is_some())),
        owner: h.owner.clone(),
        documents: h.documents.clone(),
    };
    let settings = hub::bootstrap::Settings { certificate, key, devices: h.devices.clone() };
    let answers = Box::new(move |serial: &str, ask: &_| desk.answer(serial, ask));
    let server = hub::bootstrap::Bootstrap::start(listener, &settings, hub, answers)?;
    tracing::info!(address = %at, "boxes may bootstrap");
    Ok(Some(server))
}
