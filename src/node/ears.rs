//! Keeps this box's ears at foreign VNFMs open: subscribes, looks when it is called, and has alarms of theirs raised here.
//!
//! Never: what is asked of a VNFM (`vnfm::abroad`), what an alarm brings with it (`ops`).

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Notify, task::JoinHandle};
use tracing::warn;

use crate::{
    access::Access,
    model::{
        alarm::{Cause, Key, Object, Part, Severity, Symptom},
        error::Result,
    },
    ops::alarms::Alarms,
    vnfm::{
        Vnfm,
        abroad::ears::{Tidings, label},
    },
};

/// Between two looks at what is to be subscribed to.
const OFTEN: Duration = Duration::from_secs(2);
/// However little they tell, VNFMs are looked at.
const SELDOM: Duration = Duration::from_secs(60);

pub struct Ears {
    keeper: JoinHandle<()>,
}

impl Ears {
    /// Has to be called inside the runtime.
    pub fn start(vnfm: Arc<Vnfm>, access: Arc<Access>, alarms: Arc<Alarms>) -> Ears {
        let poke = Arc::new(Notify::new());
        let told = poke.clone();
        vnfm.on_told(move || told.notify_one());
        let keep = async move {
            let mut last: Option<Instant> = None;
            loop {
                let whole = last.is_none_or(|l| l.elapsed() >= SELDOM);
                let (v, a, al) = (vnfm.clone(), access.clone(), alarms.clone());
                let done = tokio::task::spawn_blocking(move || round(&v, &al, whole, &|of| a.replace_token(of, label(of)))).await;
                match done {
                    Ok(Ok(())) if whole => last = Some(Instant::now()),
                    Ok(Ok(())) => {}
                    Ok(Err(fault)) => warn!("foreign VNFMs cannot be listened to: {fault:?}"),
                    Err(_) => warn!("listening to foreign VNFMs failed by a fault in Bothy itself"),
                }
                tokio::select! {
                    () = poke.notified() => {}
                    () = tokio::time::sleep(OFTEN) => {}
                }
            }
        };
        Ears { keeper: tokio::spawn(keep) }
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// One that does not answer holds up no other for longer than its answer is waited for. `secret`: a new one for this VNFM.
pub fn round(vnfm: &Vnfm, alarms: &Alarms, whole: bool, secret: &dyn Fn(&str) -> Result<String>) -> Result<()> {
    let told = vnfm.take_told();
    for (at, ear) in vnfm.ears()? {
        let fresh = vnfm.keep_ear(&at, &ear, whole, &|| secret(&at.account));
        if let Err(fault) = &fresh {
            warn!(vnfm = %at.account, "its notifications cannot be subscribed to: {fault:?}");
        }
        if !(whole || told.contains(&at.account) || fresh.unwrap_or_default()) {
            continue;
        }
        match vnfm.look_abroad(&at) {
            Ok(all) => all.iter().try_for_each(|t| tell(alarms, &at.account, t))?,
            Err(fault) => warn!(vnfm = %at.account, "its VNFs cannot be looked at: {fault:?}"),
        }
    }
    let there = vnfm.all_abroad()?;
    let left = |k: &Key| k.cause == Cause::Abroad && matches!(k.object, Object::Vnf(v) if !there.contains(&v));
    if alarms.standing(left).is_empty() { Ok(()) } else { alarms.clear(left) }
}

/// What stands there stands here, and nothing else of it does.
fn tell(alarms: &Alarms, vnfm: &str, t: &Tidings) -> Result<()> {
    let object = Object::Vnf(t.vnf);
    let gone = t.gone.iter().map(|why| (Part::Whole, Severity::Critical, vec![why.clone()]));
    let reported = t.alarms.iter().map(|a| {
        let first = format!("VNFM {vnfm} reports {} (its alarm {})", a.cause, a.id);
        (Part::Named(a.id.clone()), a.severity, std::iter::once(first).chain(a.details.iter().cloned()).collect::<Vec<String>>())
    });
    let mut stands = BTreeSet::new();
    for (part, severity, details) in gone.chain(reported) {
        let key = Key { object, part, cause: Cause::Abroad };
        stands.insert(key.clone());
        alarms.raise(Symptom { key, project: t.project, severity, details, caused_by: None })?;
    }
    let over = |k: &Key| k.object == object && k.cause == Cause::Abroad && !stands.contains(k);
    if alarms.standing(over).is_empty() { Ok(()) } else { alarms.clear(over) }
}
