//! What is around the desired state of a daemon: whom it is signed by, where content comes from, and the looking for newer documents.
//!
//! Owns the files and sockets of it. Never: what of a document follows (`desired`).

use std::{
    fs,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use camino::Utf8PathBuf;
use smol_str::SmolStr;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::{JoinHandle, JoinSet},
};
use tracing::{info, warn};
use uuid::Uuid;

use crate::{
    access::{audit::Told, certificate::Certificate},
    api::{self, Services, convert},
    desired::{Act, DesiredState, Fetching, Outside, Settings, Signed},
    host::{
        clock::OsDice,
        openssl::{OpenSsl, block, certificates},
    },
    model::{
        desired::ItemKind,
        error::{Fault, Result},
        id::ProjectId,
        time::Dice as _,
        url,
    },
    nfvo::Nfvo,
    vim::setup,
    ztp::{
        artefact,
        port::{Cms as _, Der, SignedBy},
    },
};

/// The name that its acts have in the audit trail.
const WHO: &str = "desired";
/// Where there is no URL, a change of the configuration ends the pause.
const NO_URL: Duration = Duration::from_secs(3600);

/// The desired state with its thread, and the task that pulls.
pub struct Keeper {
    state: Arc<DesiredState>,
    around: Arc<Around>,
    pull: Mutex<Option<JoinHandle<()>>>,
}

/// Handed to the state, whose thread may outlive a request, but not the services.
struct Around {
    services: OnceLock<Weak<Services>>,
    /// The certificate that names this box, where it has one.
    idevid: Utf8PathBuf,
    runtime: Handle,
    /// What comes from elsewhere.
    fetches: Mutex<JoinSet<()>>,
    /// The configuration is another one.
    changed: Notify,
    /// The box was told to restart.
    leaves: AtomicBool,
}

struct Shared(Arc<Around>);

impl Keeper {
    /// Has to be called inside the runtime.
    pub fn new(nfvo: Arc<Nfvo>, host: Arc<setup::Keeper>, idevid: Utf8PathBuf, settings: Settings) -> Keeper {
        let (services, fetches, changed, leaves) = (OnceLock::new(), Mutex::default(), Notify::new(), AtomicBool::new(false));
        let around = Arc::new(Around { services, idevid, runtime: Handle::current(), fetches, changed, leaves });
        let state = DesiredState::new(nfvo, host, Box::new(Shared(around.clone())), convert::desired::ask, settings);
        Keeper { state, around, pull: Mutex::default() }
    }

    pub fn state(&self) -> &Arc<DesiredState> {
        &self.state
    }

    pub fn start(&self, services: &Arc<Services>) -> Result<()> {
        let _ = self.around.services.set(Arc::downgrade(services));
        let (around, state) = (Arc::downgrade(&self.around), Arc::downgrade(&self.state));
        services.config.on_change(move |_| {
            if let (Some(around), Some(state)) = (around.upgrade(), state.upgrade()) {
                around.changed.notify_one();
                state.poke();
            }
        });
        self.state.start()?;
        let task = tokio::spawn(pull(self.around.clone(), self.state.clone()));
        *self.pull.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
        Ok(())
    }

    /// Blocks until the step that is being taken is done; what is being fetched is given up.
    pub fn stop(&self) {
        if let Some(task) = self.pull.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        self.state.stop();
        self.around.fetches.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Around {
    fn services(&self) -> Result<Arc<Services>> {
        self.services.get().and_then(Weak::upgrade).ok_or_else(|| Fault::transient("bothy is about to end"))
    }
}

impl Outside for Shared {
    fn closed(&self) -> Option<String> {
        let Ok(s) = self.0.services() else { return Some("bothy is about to end".to_owned()) };
        if !self.is_owned() {
            return Some("nobody is named whom it has to be signed by (desired.ca)".to_owned());
        }
        let leaves = self.0.leaves.load(Ordering::Relaxed).then(|| "the box restarts".to_owned());
        let down = leaves.or_else(|| s.nfvo.vnfm().draining().map(|_| "the host goes down".to_owned()));
        down.or_else(|| s.update.closed())
    }

    fn is_owned(&self) -> bool {
        self.0.services().is_ok_and(|s| !s.config.now().desired.ca.as_str().is_empty())
    }

    fn serial(&self) -> Option<SmolStr> {
        let told = self.0.services().ok()?.config.now().desired.serial.clone();
        if !told.is_empty() {
            return Some(told);
        }
        let all = certificates(&fs::read_to_string(&self.0.idevid).ok()?).ok()?;
        artefact::identity(all.first()?).map(|(serial, _)| serial)
    }

    fn verified(&self, signed: &[u8]) -> Result<Signed> {
        let s = self.0.services()?;
        let config = s.config.now();
        let ca = &config.desired.ca;
        if ca.as_str().is_empty() {
            return Err(Fault::conflict("no desired state is taken in: nobody is named whom it has to be signed by (desired.ca)"));
        }
        let bad = |why: String| Fault::conflict(format!("{ca} holds no usable certificates (desired.ca): {why}"));
        let anchors: Vec<Der> = certificates(&fs::read_to_string(ca).map_err(|e| bad(e.to_string()))?).map_err(|f| bad(f.detail()))?;
        if anchors.is_empty() {
            return Err(bad("there is none in it".to_owned()));
        }
        let pem = std::str::from_utf8(signed).ok().filter(|t| t.contains("-----BEGIN "));
        let der = pem.and_then(|t| block(t, "CMS").or_else(|| block(t, "PKCS7")));
        let by = SignedBy { anchors: &anchors, signer: None, between: &[], at: Some(s.nfvo.vnfm().clock().now()) };
        let found = OpenSsl::new(config.run_dir.join("desired"), None).verified(der.as_deref().unwrap_or(signed), &by);
        let found = found.map_err(|f| f.context("the document's signature is not one of the owner's"))?;
        let by = Certificate::read(&found.signer.0);
        Ok(Signed { content: found.content, signer: by.common_name.unwrap_or_default(), fingerprint: by.fingerprint })
    }

    fn fetch(&self, kind: ItemKind, id: Uuid, url: &str, sha256: &[u8; 32], done: Fetching) {
        let s = match self.0.services() {
            Ok(s) => s,
            Err(fault) => return done.ended(Err(fault)),
        };
        let (url, sha256) = (url.to_owned(), *sha256);
        let mut all = self.0.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        let fetch = async move {
            let how = api::fetch::wanted(s, kind, id, &url, &sha256).await;
            // It is told in the audit trail.
            let _ = tokio::task::spawn_blocking(move || done.ended(how)).await;
        };
        all.spawn_on(fetch, &self.0.runtime);
    }

    fn restart(&self) -> Result<()> {
        let s = self.0.services()?;
        for (busy, what) in [(s.backup.is_under_way(), "a backup is under way"), (s.restore.is_under_way(), "a backup is being taken in")] {
            if busy {
                return Err(Fault::conflict(format!("the box restarts after it: {what}")));
            }
        }
        s.update.restart_box()?;
        self.0.leaves.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn tell(&self, act: Act) {
        let told = Told {
            who: Some(SmolStr::new_static(WHO)),
            source: SmolStr::new_static("local"),
            project: Some(ProjectId::DEFAULT),
            method: SmolStr::new_static(act.method),
            path: act.path,
            status: 202,
            op: act.op,
            why: String::new(),
        };
        if let Err(fault) = self.0.services().and_then(|s| s.access.tell(told)) {
            warn!("an act of the desired state is not in the audit trail: {fault:?}");
        }
    }
}

/// Somewhere between three and five quarters of it, so that many boxes do not come at once.
fn jittered(interval: Duration) -> Duration {
    let dice = OsDice.bytes16();
    interval * 3 / 4 + interval / 2 * u32::from(dice[0]) / 255
}

/// Up to a quarter of it: boxes that got their power back at one time do not ask at one time.
fn first(interval: Duration) -> Duration {
    interval / 4 * u32::from(OsDice.bytes16()[0]) / 255
}

/// Asks for newer documents, for as long as the daemon runs.
async fn pull(around: Arc<Around>, state: Arc<DesiredState>) {
    // What the last document that was taken, or was here, is marked by; and whose mark it is.
    let mut have: (String, Option<String>) = Default::default();
    let mut pause = match around.services() {
        Ok(s) => first(Duration::from_secs(s.config.now().desired.interval_s)),
        Err(_) => return,
    };
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = around.changed.notified() => {}
        }
        let Ok(s) = around.services() else { return };
        let config = s.config.now();
        let (url, ca) = (config.desired.url.to_string(), &config.desired.ca);
        if url.is_empty() || ca.as_str().is_empty() {
            pause = NO_URL;
            continue;
        }
        pause = jittered(Duration::from_secs(config.desired.interval_s));
        if s.update.closed().is_some() {
            continue;
        }
        if have.0 != url {
            have = (url.clone(), None);
        }
        let failed = match once(s, &url, &mut have.1, state.clone()).await {
            Ok(()) => None,
            Err(fault) => {
                info!(url = url::shown(&url), "no newer desired state: {fault}");
                Some(fault.detail())
            }
        };
        state.pulled(failed);
    }
}

async fn once(s: Arc<Services>, url: &str, mark: &mut Option<String>, state: Arc<DesiredState>) -> Result<()> {
    let Some((signed, now)) = api::fetch::newer(&s, url, mark.as_deref()).await? else { return Ok(()) };
    let from = url::shown(url);
    let taken = tokio::task::spawn_blocking(move || state.take(&signed, &from)).await;
    taken.map_err(|_| Fault::bug("the taking of a desired state failed by a fault in Bothy itself"))??;
    *mark = now;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_around_the_interval() {
        for _ in 0..200 {
            let p = jittered(Duration::from_secs(100));
            assert!((Duration::from_secs(75)..=Duration::from_secs(125)).contains(&p), "{p:?}");
        }
        let begins: std::collections::BTreeSet<_> = (0..200).map(|_| first(Duration::from_secs(100))).collect();
        assert!(begins.len() > 9 && begins.iter().all(|p| *p <= Duration::from_secs(25)), "{begins:?}");
    }
}
