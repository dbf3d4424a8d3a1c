//! What VNFs tell of themselves at an interface of their own (SOL002 8.4.2), asked for again and again.
//!
//! Keeps what each said last, for whoever asks; one that does not answer is left alone for a while. Never: what becomes of a
//! value (`ops::indicate`).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::{Method, body::Bytes};
use serde::Deserialize;
use serde_json::{Map, Value};
use smol_str::SmolStr;
use tokio::{
    runtime::Handle,
    task::{JoinHandle, JoinSet},
};
use tracing::warn;

use super::{configuration::reachable, connect, coordination::words, lock};
use crate::{
    model::{
        error::{Fault, Result},
        id::VnfId,
        own::{EndpointKind, OwnApi},
    },
    notify::{Notifier, client::Caller},
    vnfm::{Vnfm, reach::Call},
};

const PATH: &str = "/vnfind/v1/indicators";
/// The version of the API that is asked for.
const VERSION: &str = "1.4.0";
/// VNFs that are asked at one time.
const AT_ONCE: usize = 8;
/// One that does not answer time after time is left alone for 1, 3, 7 and more rounds, so many at most.
const LONGEST_SILENCE: u32 = 30;
/// Indicators of a VNF, members of a value, and bytes of one, beyond which nothing is kept.
const MOST: usize = 64;
const LONGEST: usize = 1024;

/// By indicator the members of its value; or why there is none.
pub type Told = std::result::Result<Vec<(SmolStr, Vec<(SmolStr, String)>)>, String>;

#[derive(Default)]
struct Known {
    told: HashMap<VnfId, Told>,
    /// How often in a row it did not answer, and how many rounds it is still left alone.
    silent: HashMap<VnfId, (u32, u32)>,
}

pub struct Indicators {
    known: Arc<Mutex<Known>>,
    keeper: JoinHandle<()>,
}

impl Indicators {
    /// Has to be called inside the runtime.
    pub fn start(vnfm: Arc<Vnfm>, notify: Arc<Notifier>, every: Duration) -> Arc<Indicators> {
        let known = Arc::<Mutex<Known>>::default();
        let keeper = Handle::current().spawn(keep(vnfm, notify, every, known.clone()));
        Arc::new(Indicators { known, keeper })
    }

    /// What a VNF said last; `None`: it was not asked yet, or has no such interface.
    pub fn told(&self, vnf: VnfId) -> Option<Told> {
        lock(&self.known).told.get(&vnf).cloned()
    }

    pub fn stop(&self) {
        self.keeper.abort();
    }
}

impl Drop for Indicators {
    fn drop(&mut self) {
        self.stop();
    }
}

type Lines = HashMap<VnfId, (Call, Caller)>;

async fn keep(vnfm: Arc<Vnfm>, notify: Arc<Notifier>, every: Duration, known: Arc<Mutex<Known>>) {
    let mut lines = Lines::new();
    loop {
        if let Err(fault) = round(&vnfm, &notify, &known, &mut lines).await {
            warn!("VNFs are not asked for their indicators: {fault:?}");
        }
        tokio::time::sleep(every).await;
    }
}

async fn round(vnfm: &Arc<Vnfm>, notify: &Arc<Notifier>, known: &Mutex<Known>, lines: &mut Lines) -> Result<()> {
    let of = vnfm.clone();
    let all = tokio::task::spawn_blocking(move || of.who_tell()).await;
    let all = all.unwrap_or_else(|_| Err(Fault::bug("the asking for indicators failed by a fault in Bothy itself")))?;
    let asked: Vec<VnfId> = {
        let mut k = lock(known);
        k.told.retain(|id, _| all.contains(id));
        k.silent.retain(|id, _| all.contains(id));
        all.iter().copied().filter(|id| spared(&mut k, *id)).collect()
    };
    lines.retain(|id, _| all.contains(id));
    for some in asked.chunks(AT_ONCE) {
        let mut tasks = JoinSet::new();
        for vnf in some {
            let (vnfm, notify, vnf, line) = (vnfm.clone(), notify.clone(), *vnf, lines.remove(vnf));
            tasks.spawn(async move {
                let (told, line) = ask(vnfm, &notify, vnf, line).await;
                (vnf, told, line)
            });
        }
        while let Some(Ok((vnf, told, line))) = tasks.join_next().await {
            lines.extend(line.map(|l| (vnf, l)));
            let mut k = lock(known);
            if told.is_err() {
                let times = k.silent.get(&vnf).map_or(0, |(times, _)| *times).saturating_add(1);
                k.silent.insert(vnf, (times, ((1u32 << times.min(16).saturating_sub(1)) - 1).min(LONGEST_SILENCE)));
            } else {
                k.silent.remove(&vnf);
            }
            k.told.insert(vnf, told);
        }
    }
    Ok(())
}

/// It is asked in this round.
fn spared(k: &mut Known, vnf: VnfId) -> bool {
    match k.silent.get_mut(&vnf) {
        Some((_, rounds)) if *rounds > 0 => {
            *rounds -= 1;
            false
        }
        Some(_) | None => true,
    }
}

async fn ask(vnfm: Arc<Vnfm>, notify: &Notifier, vnf: VnfId, line: Option<(Call, Caller)>) -> (Told, Option<(Call, Caller)>) {
    let whom = tokio::task::spawn_blocking(move || vnfm.whom(vnf, OwnApi::Indicator, Some(EndpointKind::Vnf)).and_then(reachable)).await;
    let call = match whom.unwrap_or_else(|_| Err(Fault::bug("a fault in Bothy itself"))) {
        Ok(call) => call,
        Err(fault) => return (Err(fault.detail()), None),
    };
    let (call, mut caller) = match line.filter(|(with, _)| *with == call) {
        Some(line) => line,
        None => match connect(notify, &call, PATH) {
            Ok(caller) => (call, caller),
            Err(fault) => return (Err(fault.detail()), None),
        },
    };
    let told = match caller.ask(Method::GET, None, VERSION, Bytes::new()).await {
        Err(why) => Err(why),
        Ok(heard) if heard.status == 200 => read(&heard.body),
        Ok(heard) => Err(format!("{}: {}", heard.status, words(&heard))),
    };
    (told, Some((call, caller)))
}

/// As far as it is read: whose an indicator is, the interface is the VNF's own, so that is known.
#[derive(Deserialize)]
struct Indicator {
    id: String,
    value: Value,
}

fn read(body: &[u8]) -> Told {
    let all: Vec<Indicator> = serde_json::from_slice(body).map_err(|e| format!("its indicators cannot be read: {e}"))?;
    Ok(all.into_iter().take(MOST).map(|i| (i.id.into(), members(i.value))).collect())
}

/// A value is an object; a VNF that says something else is understood all the same.
fn members(value: Value) -> Vec<(SmolStr, String)> {
    let object = match value {
        Value::Object(all) => all,
        other => Map::from_iter([("value".to_owned(), other)]),
    };
    let all = object.into_iter().map(|(name, v)| (SmolStr::new(name), v.to_string()));
    all.filter(|(name, text)| name.len() + text.len() <= LONGEST).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_vnf_says_is_its_members_or_one_value() {
        let told = read(br#"[{"id": "load", "value": {"cpu": 5, "text": "x"}, "vnfInstanceId": "v"}, {"id": "mood", "value": "good"}]"#);
        let member = |name: &str, text: &str| (SmolStr::new(name), text.to_owned());
        let want =
            vec![("load".into(), vec![member("cpu", "5"), member("text", "\"x\"")]), ("mood".into(), vec![member("value", "\"good\"")])];
        assert_eq!(told, Ok(want));
        assert!(read(b"{}").is_err());
        let long = format!(r#"[{{"id": "a", "value": {{"b": "{}"}}}}]"#, "x".repeat(LONGEST));
        assert_eq!(read(long.as_bytes()), Ok(vec![("a".into(), Vec::new())]));
    }

    #[test]
    fn one_that_does_not_answer_is_left_alone_for_a_while() {
        let (mut k, vnf) = (Known::default(), VnfId(uuid::Uuid::nil()));
        k.silent.insert(vnf, (3, 2));
        let rounds: Vec<bool> = (0..4).map(|_| spared(&mut k, vnf)).collect();
        assert_eq!(rounds, [false, false, true, true]);
    }
}
