//! The configuration as it runs: the file it came from, what of it counts now, what waits.
//!
//! Owns: reading the file again, and telling those who asked when live keys changed. Never:
//! applies half a file.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Changes, Config, ConfigFault};
use crate::model::error::Fault;

type Listener = Box<dyn Fn(&Config) + Send + Sync>;

pub struct LiveConfig {
    /// `None`: the defaults, from no file.
    path: Option<Utf8PathBuf>,
    now: RwLock<Arc<Config>>,
    listeners: Mutex<Vec<Listener>>,
}

/// Why a file was not applied.
#[derive(Debug)]
pub enum Refusal {
    Unreadable(Fault),
    Faults(Vec<ConfigFault>),
}

impl LiveConfig {
    pub fn new(path: Option<Utf8PathBuf>, config: Config) -> Self {
        LiveConfig { path, now: RwLock::new(Arc::new(config)), listeners: Mutex::default() }
    }

    /// Reads a file and checks it whole.
    pub fn read(path: &Utf8Path) -> Result<Config, Refusal> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Refusal::Unreadable(Fault::invalid(format!("cannot read the configuration {path}: {e}")).with_source(e)))?;
        Config::check(&text).map_err(Refusal::Faults)
    }

    pub fn path(&self) -> Option<&Utf8Path> {
        self.path.as_deref()
    }

    pub fn now(&self) -> Arc<Config> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Called with the new configuration after each apply that changed a live key.
    pub fn on_change(&self, f: impl Fn(&Config) + Send + Sync + 'static) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(f));
    }

    /// Reads the file again: all live keys are taken up, or nothing is. Tells what was, and what
    /// waits for the next start.
    pub fn reload(&self) -> Result<Changes, Refusal> {
        let new = match &self.path {
            Some(p) => Self::read(p)?,
            None => return Err(Refusal::Unreadable(Fault::conflict("the daemon was started without a configuration file"))),
        };
        // Held to the end, so that two applies cannot cross.
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.now();
        let changes = Config::changes(&old, &new);
        if !changes.live.is_empty() {
            let next = Arc::new(old.with_live_of(&new));
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = next.clone();
            listeners.iter().for_each(|f| f(&next));
        }
        Ok(changes)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Unreadable(fault) => write!(f, "{fault}"),
            Refusal::Faults(all) => {
                write!(f, "{} {} in the configuration", all.len(), if all.len() == 1 { "fault" } else { "faults" })?;
                all.iter().try_for_each(|x| write!(f, "\n  {x}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_reload_takes_all_live_keys_or_none_and_tells_what_waits() {
        let dir = tempfile::tempdir().expect("dir");
        let path = Utf8PathBuf::from_path_buf(dir.path().join("b.toml")).expect("utf-8");
        std::fs::write(&path, "").expect("write");
        let live = LiveConfig::new(Some(path.clone()), LiveConfig::read(&path).expect("read"));
        let seen = Arc::new(AtomicU64::new(0));
        let s = seen.clone();
        live.on_change(move |c| s.store(c.lcm.start_at_once, Ordering::Relaxed));

        std::fs::write(&path, "data_dir = \"/elsewhere\"\n[lcm]\nstart_at_once = 7\n").expect("write");
        let c = live.reload().expect("reload");
        assert_eq!((c.live, c.restart), (vec!["lcm.start_at_once"], vec!["data_dir"]));
        assert_eq!((live.now().lcm.start_at_once, seen.load(Ordering::Relaxed)), (7, 7));
        assert_eq!(live.now().data_dir, "/var/lib/bothy");

        std::fs::write(&path, "[lcm]\nstart_at_once = 9\nstrt_at_once = 1\n").expect("write");
        let refused = live.reload().expect_err("fault").to_string();
        assert_eq!(refused, "1 fault in the configuration\n  line 3: lcm.strt_at_once: no such key; did you mean 'lcm.start_at_once'?");
        assert_eq!(live.now().lcm.start_at_once, 7);
    }
}
