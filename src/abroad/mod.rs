//! The client of foreign VNFMs (SOL003 5.4, vnflcm v2): one request for each thing that is asked of them.
//!
//! * `wire` requests from a plan's words, and what of an answer is read. Pure
//!
//! Owns the paths, and what each status means for whoever asked. Never: what to ask next (`vnfm::abroad`), or how a
//! VNFM is reached (`notify`).

mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper::{Method, body::Bytes};
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use tokio::{runtime::Handle, sync::watch};

use self::wire::{ReadAlarm, ReadOcc, ReadSubscription, ReadVnf};
use crate::{
    model::{
        abroad::{AbroadTask, ForeignVnfm, OccAct},
        error::{Fault, Kind, Result},
    },
    notify::{
        Notifier,
        client::{Caller, Heard},
    },
    sol::problem::ProblemDetails,
    vnfm::abroad::port::{CallBack, Managers, NewVnf, Occ, Seen, SeenAlarm, Tells},
};

/// The versions of the APIs that are asked for.
const VERSION: &str = "2.0.0";
const FAULTS: &str = "1.0.0";
/// Pages of one list that are read.
const PAGES: usize = 100;
/// No list is read for longer.
const LONGEST_LIST: Duration = Duration::from_secs(30);
/// Longest text of others' that is kept, in characters.
const LONGEST: usize = 500;

/// Asks by the calls of whoever waits: not to be called on the runtime's own threads.
pub struct Abroad {
    notify: Arc<Notifier>,
    runtime: Handle,
    /// Connections, by VNFM, that nobody uses at the moment.
    idle: Mutex<HashMap<SmolStr, (ForeignVnfm, Caller)>>,
    /// Bothy goes down: whoever waits is let go.
    over: watch::Sender<bool>,
}

impl Abroad {
    /// Has to be called inside the runtime.
    pub fn new(notify: Arc<Notifier>) -> Arc<Abroad> {
        Arc::new(Abroad { notify, runtime: Handle::current(), idle: Mutex::default(), over: watch::Sender::new(false) })
    }

    /// To be called before the runtime ends. What was asked and not answered is looked for at the next start.
    pub fn stop(&self) {
        self.over.send_replace(true);
    }

    fn ask(&self, at: &ForeignVnfm, method: Method, path: &str, body: Vec<u8>) -> Result<Heard> {
        let mut over = self.over.subscribe();
        let leaves = || Fault::transient("bothy is going down");
        if *over.borrow() {
            return Err(leaves());
        }
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).remove(&at.account);
        let mut caller = match kept {
            Some((as_it_was, caller)) if as_it_was == *at => caller,
            Some(_) | None => self.notify.caller("apiRoot", &at.api_root, at.id, at.auth.as_ref())?,
        };
        // What a list says of its next page is a path already.
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{}{path}", wire::root(&at.api_root)) };
        let version = if path.contains("/vnffm/") { FAULTS } else { VERSION };
        let heard = self.runtime.block_on(async {
            tokio::select! {
                heard = caller.ask(method, Some(&path), version, Bytes::from(body)) => Some(heard),
                _ = over.changed() => None,
            }
        });
        let heard = heard.ok_or_else(leaves)?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).insert(at.account.clone(), (at.clone(), caller));
        heard.map_err(|why| Fault::transient(why).context(format!("VNFM {}", at.account)))
    }

    /// `None`: what the path names is not there.
    fn read<T: DeserializeOwned>(&self, at: &ForeignVnfm, path: &str) -> Result<Option<T>> {
        let heard = self.ask(at, Method::GET, path, Vec::new())?;
        match heard.status {
            200 => parse(at, &heard).map(Some),
            404 => Ok(None),
            _ => Err(refusal(at, &heard)),
        }
    }

    fn list<T: DeserializeOwned>(&self, at: &ForeignVnfm, path: String) -> Result<Vec<T>> {
        let (mut all, mut next, begun) = (Vec::new(), Some(path), Instant::now());
        for _ in 0..PAGES {
            let Some(path) = next else { return Ok(all) };
            if begun.elapsed() > LONGEST_LIST {
                return Err(Fault::transient(format!("VNFM {}: its list takes longer than {LONGEST_LIST:?}", at.account)));
            }
            let heard = self.ask(at, Method::GET, &path, Vec::new())?;
            if heard.status != 200 {
                return Err(refusal(at, &heard));
            }
            all.extend(parse::<Vec<T>>(at, &heard)?);
            next = heard.next;
        }
        match next {
            None => Ok(all),
            Some(_) => Err(Fault::conflict(format!("VNFM {}: its list has more than {PAGES} pages", at.account))),
        }
    }
}

impl Managers for Abroad {
    fn find(&self, at: &ForeignVnfm, name: &str) -> Result<Vec<Seen>> {
        let all: Vec<ReadVnf> = self.list(at, format!("vnf_instances?filter=(eq,vnfInstanceName,{name})"))?;
        // A VNFM may know no filters.
        Ok(all.into_iter().filter(|v| v.vnf_instance_name.as_deref() == Some(name)).map(Into::into).collect())
    }

    fn look(&self, at: &ForeignVnfm, id: &str) -> Result<Option<Seen>> {
        Ok(self.read::<ReadVnf>(at, &format!("vnf_instances/{}", wire::segment(id)?))?.map(Into::into))
    }

    fn create(&self, at: &ForeignVnfm, vnf: &NewVnf) -> Result<SmolStr> {
        let heard = self.ask(at, Method::POST, "vnf_instances", wire::create(vnf)?)?;
        match heard.status {
            201 => Ok(parse::<ReadVnf>(at, &heard)?.id),
            _ => Err(refusal(at, &heard)),
        }
    }

    fn delete(&self, at: &ForeignVnfm, id: &str) -> Result<()> {
        let heard = self.ask(at, Method::DELETE, &format!("vnf_instances/{}", wire::segment(id)?), Vec::new())?;
        match heard.status {
            204 | 404 => Ok(()),
            _ => Err(refusal(at, &heard)),
        }
    }

    fn begin(&self, at: &ForeignVnfm, id: &str, task: &AbroadTask) -> Result<SmolStr> {
        let (name, body) = wire::task(task)?;
        let heard = self.ask(at, Method::POST, &format!("vnf_instances/{}/{name}", wire::segment(id)?), body)?;
        if heard.status != 202 {
            return Err(refusal(at, &heard));
        }
        let occ = heard.location.as_deref().and_then(|path| path.rsplit('/').next()).filter(|id| wire::segment(id).is_ok());
        // Looked for then, as where the answer was lost.
        occ.map(SmolStr::new)
            .ok_or_else(|| Fault::transient(format!("VNFM {}: it answers 202 to '{name}' without a Location of its own", at.account)))
    }

    fn occs(&self, at: &ForeignVnfm, id: &str) -> Result<Vec<Occ>> {
        let all: Vec<ReadOcc> = self.list(at, format!("vnf_lcm_op_occs?filter=(eq,vnfInstanceId,{})", wire::segment(id)?))?;
        Ok(all.into_iter().filter(|o| o.vnf_instance_id == id).map(Into::into).collect())
    }

    fn occ(&self, at: &ForeignVnfm, id: &str) -> Result<Option<Occ>> {
        Ok(self.read::<ReadOcc>(at, &format!("vnf_lcm_op_occs/{}", wire::segment(id)?))?.map(Into::into))
    }

    fn act(&self, at: &ForeignVnfm, occ: &str, act: OccAct) -> Result<()> {
        let (name, body) = wire::act(act)?;
        let heard = self.ask(at, Method::POST, &format!("vnf_lcm_op_occs/{}/{name}", wire::segment(occ)?), body)?;
        match heard.status {
            200 | 202 => Ok(()),
            _ => Err(refusal(at, &heard)),
        }
    }

    fn subscriptions(&self, at: &ForeignVnfm, tells: Tells, uri: &str) -> Result<Vec<SmolStr>> {
        let all: Vec<ReadSubscription> = self.list(at, of(at, tells, "subscriptions"))?;
        Ok(all.into_iter().filter(|s| s.callback_uri == uri).map(|s| s.id).collect())
    }

    fn subscribe(&self, at: &ForeignVnfm, tells: Tells, back: &CallBack) -> Result<SmolStr> {
        let heard = self.ask(at, Method::POST, &of(at, tells, "subscriptions"), wire::subscription(back)?)?;
        match heard.status {
            201 => Ok(parse::<ReadSubscription>(at, &heard)?.id),
            _ => Err(refusal(at, &heard)),
        }
    }

    fn unsubscribe(&self, at: &ForeignVnfm, tells: Tells, id: &str) -> Result<()> {
        let heard = self.ask(at, Method::DELETE, &of(at, tells, &format!("subscriptions/{}", wire::segment(id)?)), Vec::new())?;
        match heard.status {
            204 | 404 => Ok(()),
            _ => Err(refusal(at, &heard)),
        }
    }

    fn alarms(&self, at: &ForeignVnfm, id: &str) -> Result<Vec<SeenAlarm>> {
        let path = of(at, Tells::Faults, &format!("alarms?filter=(eq,managedObjectId,{})", wire::segment(id)?));
        let all: Vec<ReadAlarm> = self.list(at, path)?;
        // A VNFM may know no filters.
        Ok(all.into_iter().filter(|a| a.managed_object_id == id).filter_map(ReadAlarm::standing).collect())
    }
}

fn of(at: &ForeignVnfm, tells: Tells, path: &str) -> String {
    match tells {
        Tells::Lifecycle => format!("{}{path}", wire::root(&at.api_root)),
        Tells::Faults => format!("{}{path}", wire::faults(&at.api_root)),
    }
}

fn parse<T: DeserializeOwned>(at: &ForeignVnfm, heard: &Heard) -> Result<T> {
    serde_json::from_slice(&heard.body)
        .map_err(|e| Fault::transient(format!("VNFM {}: its answer cannot be read: {e}", at.account)).with_source(e))
}

/// What an answer says that is not the one that was asked for.
fn refusal(at: &ForeignVnfm, heard: &Heard) -> Fault {
    let kind = match heard.status {
        408 | 425 | 429 | 500..=599 => Kind::Transient,
        401 | 403 => Kind::Forbidden,
        404 => Kind::NotFound,
        400 | 422 => Kind::Invalid,
        _ => Kind::Conflict,
    };
    let said: Option<ProblemDetails> = serde_json::from_slice(&heard.body).ok();
    let detail = said.as_ref().map(|p| p.detail.as_str()).filter(|d| !d.is_empty()).unwrap_or("no reason is given");
    let short = |s: &str| s.chars().take(LONGEST).collect::<String>();
    let reasons = said.as_ref().map(wire::reasons).unwrap_or_default();
    Fault::new(kind, format!("VNFM {} answers {}: {}", at.account, heard.status, short(detail)))
        .with_reasons(reasons.iter().map(|r| short(r)))
}
