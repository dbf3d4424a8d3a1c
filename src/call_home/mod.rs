//! Call-home in RFC 8071's manner: the box opens a connection to each of its centres, and serves its own API on it.
//!
//! ```text
//!            pause is over             TLS both ways
//! Waiting ----------------> Calling ------------------> Connected
//!    ^                         | in vain                   | ended
//!    `-------------------------'---------------------------'      (a stop ends each of them: Stopped)
//! ```
//! * `schedule` how long each pause is. Pure
//!
//! Owns how each centre stands. Never: a socket (`api::home` dials and serves), or who a centre is to the box (`access`).

pub mod schedule;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smol_str::SmolStr;

use self::schedule::Schedule;
use crate::model::{
    health::{Condition, ConditionState},
    time::{Clock, Dice, Stamp},
};

/// What is known of a centre before it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub name: SmolStr,
    /// Host and port.
    pub address: SmolStr,
    /// The client that whoever calls by this connection is.
    pub client: SmolStr,
    /// The window before the first try.
    pub first: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Waiting { until: Stamp },
    Calling,
    Connected { since: Stamp },
    Stopped,
}

/// How a centre stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub name: SmolStr,
    pub address: SmolStr,
    pub standing: Standing,
    /// When, and why.
    pub last_error: Option<(Stamp, String)>,
    /// Tries since it was last connected.
    pub tries: u64,
}

struct Now {
    standing: Standing,
    last_error: Option<(Stamp, String)>,
    tries: u64,
    schedule: Schedule,
}

/// One centre.
pub struct Centre {
    settings: Settings,
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Dice>,
    now: Mutex<Now>,
}

impl Centre {
    pub fn new(settings: Settings, clock: Arc<dyn Clock>, dice: Arc<dyn Dice>) -> Centre {
        let schedule = Schedule::new(settings.first);
        let now = Now { standing: Standing::Waiting { until: clock.now() }, last_error: None, tries: 0, schedule };
        Centre { settings, clock, dice, now: Mutex::new(now) }
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }
    pub fn address(&self) -> &str {
        &self.settings.address
    }
    /// This account may call by its connection.
    pub fn is(&self, account: &str) -> bool {
        self.settings.client == account
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pause before the next try begins; how long it is.
    pub fn waits(&self) -> Duration {
        let [a, b, c, d, e, f, g, h, ..] = self.dice.bytes16();
        let mut now = self.now();
        let pause = now.schedule.pause(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        now.standing = Standing::Waiting { until: Stamp(self.clock.now().0.saturating_add(ms)) };
        pause
    }

    pub fn calls(&self) {
        let mut now = self.now();
        now.standing = Standing::Calling;
        now.tries += 1;
    }

    pub fn connected(&self) {
        let since = self.clock.now();
        let mut now = self.now();
        now.standing = Standing::Connected { since };
        now.tries = 0;
    }

    /// A try was in vain (`held` is zero) or the connection is over. True where this is news, for the log.
    pub fn lost(&self, why: &str, held: Duration) -> bool {
        let at = self.clock.now();
        let mut now = self.now();
        now.schedule.ended(held);
        let news = !held.is_zero() || now.last_error.as_ref().is_none_or(|(_, before)| before != why);
        now.last_error = Some((at, why.to_owned()));
        news
    }

    pub fn stopped(&self) {
        self.now().standing = Standing::Stopped;
    }

    pub fn view(&self) -> View {
        let now = self.now();
        View {
            name: self.settings.name.clone(),
            address: self.settings.address.clone(),
            standing: now.standing.clone(),
            last_error: now.last_error.clone(),
            tries: now.tries,
        }
    }
}

/// The centres of a box.
pub struct CallHome(Vec<Arc<Centre>>);

impl CallHome {
    pub fn new(all: Vec<Settings>, clock: &Arc<dyn Clock>, dice: &Arc<dyn Dice>) -> CallHome {
        CallHome(all.into_iter().map(|s| Arc::new(Centre::new(s, clock.clone(), dice.clone()))).collect())
    }

    pub fn centres(&self) -> &[Arc<Centre>] {
        &self.0
    }

    /// For the health page; `None` where the box calls nobody.
    pub fn condition(&self) -> Option<Condition> {
        let all: Vec<View> = self.0.iter().map(|c| c.view()).collect();
        if all.is_empty() {
            return None;
        }
        let failed = all.iter().any(|v| !matches!(v.standing, Standing::Connected { .. }) && v.last_error.is_some());
        let up = all.iter().all(|v| matches!(v.standing, Standing::Connected { .. }));
        let state = match (failed, up) {
            (true, _) => ConditionState::Failed,
            (false, true) => ConditionState::Ok,
            (false, false) => ConditionState::Pending,
        };
        Some(Condition::new("call-home", state, all.iter().map(View::text).collect::<Vec<_>>().join("; ")))
    }
}

impl View {
    fn text(&self) -> String {
        let View { name, address, .. } = self;
        let why = self.last_error.as_ref().map_or_else(String::new, |(_, why)| format!(": {why}"));
        match self.standing {
            Standing::Connected { .. } => format!("connected to {name} at {address}"),
            Standing::Waiting { .. } if self.last_error.is_none() => format!("{name} at {address} is called soon"),
            Standing::Waiting { .. } => format!("{name} at {address} is called again soon{why}"),
            Standing::Calling => format!("{name} at {address} is being called{why}"),
            Standing::Stopped => format!("{name} is not called any more: bothy stops"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct At(AtomicU64);
    impl Clock for At {
        fn now(&self) -> Stamp {
            Stamp(self.0.load(Ordering::Relaxed))
        }
    }
    struct Half;
    impl Dice for Half {
        fn bytes16(&self) -> [u8; 16] {
            let mut b = [0; 16];
            b[0] = 0x80;
            b
        }
    }

    #[test]
    fn a_centre_is_told_as_it_stands_from_the_first_pause_to_the_stop() {
        let clock: Arc<At> = Arc::default();
        let settings = Settings { name: "noc".into(), address: "noc:4336".into(), client: "hub".into(), first: Duration::from_secs(10) };
        let as_clock: Arc<dyn Clock> = clock.clone();
        let homes = CallHome::new(vec![settings], &as_clock, &(Arc::new(Half) as Arc<dyn Dice>));
        let c = &homes.centres()[0];
        let health = || homes.condition().expect("condition").state;
        assert!(c.is("hub") && !c.is("other"));

        clock.0.store(1000, Ordering::Relaxed);
        assert_eq!((c.waits(), c.view().standing), (Duration::from_secs(5), Standing::Waiting { until: Stamp(6000) }));
        assert_eq!(health(), ConditionState::Pending);
        c.calls();
        assert!(c.lost("no route", Duration::ZERO));
        // The window is twice as long now; the same again is no news.
        assert_eq!((c.waits(), health()), (Duration::from_secs(10), ConditionState::Failed));
        c.calls();
        assert!(!c.lost("no route", Duration::ZERO));
        assert_eq!(c.view().tries, 2);
        c.calls();
        c.connected();
        assert_eq!((c.view().tries, health()), (0, ConditionState::Ok));
        clock.0.store(70_000, Ordering::Relaxed);
        assert!(c.lost("it hung up", Duration::from_secs(69)));
        assert_eq!(c.view().last_error, Some((Stamp(70_000), "it hung up".into())));
        assert_eq!(c.waits(), Duration::from_secs(5));
        c.stopped();
        assert_eq!(c.view().standing, Standing::Stopped);
    }

    #[test]
    fn a_box_that_calls_nobody_has_no_condition() {
        assert!(CallHome(Vec::new()).condition().is_none());
    }
}
