//! `update::port::Slots` in memory: two slots, and bundles of a few lines of text.
//!
//! A bundle is lines of `name=value`: `compatible`, `version`, `security`, `min-from`; one with `signature=wrong` has none.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{
    Sim,
    faults::{Method, Target},
};
use crate::{
    model::{
        error::{Fault, Result},
        update::{BootKind, Bundle, Running, Slot, Verified},
    },
    update::port::{Progress, Slots, Take},
};

pub(super) struct System {
    /// What each slot holds; `None`: half of something.
    slots: BTreeMap<Slot, Option<Bundle>>,
    runs: Slot,
    kind: BootKind,
    bundles: BTreeMap<String, String>,
    taken: u32,
    record: Option<String>,
    /// Somebody asked for a restart, and it has not come yet.
    restarting: bool,
    boots: u32,
    /// What each boot has run for, in seconds.
    uptime_s: u64,
}

impl System {
    pub fn boot(&mut self, slot: Slot, trial: bool) {
        self.runs = slot;
        self.kind = if trial { BootKind::Trial } else { BootKind::Committed };
        self.restarting = false;
        self.boots += 1;
    }
}

const COMPATIBLE: &str = "bothy-sim";

/// What a simulated bundle is made of.
pub fn bundle(version: &str, security: u64) -> String {
    format!("compatible={COMPATIBLE}\nversion={version}\nsecurity={security}\n")
}

fn parse(text: &str) -> Result<Bundle> {
    let get = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
    if get("signature").is_some() {
        return Err(Fault::invalid("signature verification failed: simulated"));
    }
    let need = |name: &str| get(name).ok_or_else(|| Fault::invalid(format!("not a bundle: it has no {name}")));
    Ok(Bundle {
        compatible: need("compatible")?.into(),
        version: need("version")?.parse()?,
        security: need("security")?.parse().map_err(|_| Fault::invalid("its security counter is no number"))?,
        min_from: get("min-from").map(str::parse).transpose()?,
    })
}

fn no_slots() -> Fault {
    Fault::conflict("this simulated box has no slots")
}

impl Sim {
    /// The box has slots from now on; this runs in the first, and the other is empty.
    pub fn set_slots(&self, version: &str, security: u64) {
        let first = parse(&bundle(version, security)).ok();
        self.lock().system = Some(System {
            slots: BTreeMap::from([(Slot::A, first), (Slot::B, None)]),
            runs: Slot::A,
            kind: BootKind::Committed,
            bundles: BTreeMap::new(),
            taken: 0,
            record: None,
            restarting: false,
            boots: 1,
            uptime_s: 20,
        });
    }
    /// Somebody asked for a restart of the box.
    pub fn is_restarting(&self) -> bool {
        self.lock().system.as_ref().is_some_and(|s| s.restarting)
    }
    /// Bundles that take room.
    pub fn bundles(&self) -> usize {
        self.lock().system.as_ref().map_or(0, |s| s.bundles.len())
    }
    /// So long has this boot run.
    pub fn set_uptime(&self, seconds: u64) {
        if let Some(s) = &mut self.lock().system {
            s.uptime_s = seconds;
        }
    }
    /// The version in a slot; none of one that is half written.
    pub fn in_slot(&self, slot: Slot) -> Option<String> {
        self.lock().system.as_ref()?.slots.get(&slot)?.as_ref().map(|b| b.version.to_string())
    }

    /// A change of the store, which is none of the box's, among its calls: for sweeps of faults.
    #[cfg(test)]
    pub fn keep_store(&self, act: impl FnOnce()) -> Result<()> {
        self.call(Method::KeepStore, Target::Host, |_, _| {
            act();
            Ok(())
        })
    }

    fn system<T>(&self, method: Method, act: impl FnOnce(&mut System) -> Result<T>) -> Result<T> {
        self.call(method, Target::Host, |world, _| act(world.system.as_mut().ok_or_else(no_slots)?))
    }
}

impl Slots for Sim {
    fn running(&self) -> Result<Option<Running>> {
        self.call(Method::RunningSystem, Target::Host, |world, _| {
            let Some(s) = &world.system else { return Ok(None) };
            let of = s.slots.get(&s.runs).and_then(Option::as_ref).ok_or_else(|| Fault::bug("the slot that runs is empty"))?;
            Ok(Some(Running {
                slot: s.runs,
                kind: s.kind,
                version: of.version.clone(),
                security: of.security,
                compatible: COMPATIBLE.into(),
                verified: Verified::No { why: "a simulated box has no firmware".into() },
                refused_args: false,
                boot_id: smol_str::format_smolstr!("boot-{}", s.boots),
                uptime_s: s.uptime_s,
            }))
        })
    }
    fn take(&self, from: &Utf8Path, how: Take) -> Result<String> {
        let text = std::fs::read(from).map_err(|e| Fault::not_found(format!("{from}: {e}")))?;
        let name = self.system(Method::TakeBundle, |s| {
            s.taken += 1;
            let name = format!("{}.raucb", s.taken);
            s.bundles.insert(name.clone(), String::from_utf8_lossy(&text).into_owned());
            Ok(name)
        })?;
        if how == Take::Move {
            let _ = std::fs::remove_file(from);
        }
        Ok(name)
    }
    fn check(&self, bundle: &str) -> Result<Bundle> {
        self.system(Method::CheckBundle, |s| parse(s.bundles.get(bundle).ok_or_else(|| Fault::not_found("there is no such bundle"))?))
    }
    fn write(&self, bundle: &str, to: Slot, progress: Progress<'_>) -> Result<()> {
        // In two halves, so that one can be cut off between them.
        self.system(Method::WriteSlot, |s| {
            if to == s.runs {
                return Err(Fault::bug("the slot that runs must not be written"));
            }
            s.slots.insert(to, None);
            Ok(())
        })?;
        progress(50, "writing");
        self.system(Method::WriteSlot, |s| {
            let new = parse(s.bundles.get(bundle).ok_or_else(|| Fault::not_found("there is no such bundle"))?)?;
            s.slots.insert(to, Some(new));
            Ok(())
        })
    }
    fn sweep(&self, keep: Option<&str>) -> Result<()> {
        self.system(Method::SweepBundles, |s| {
            s.bundles.retain(|name, _| Some(name.as_str()) == keep);
            Ok(())
        })
    }
    fn restart(&self) -> Result<()> {
        self.system(Method::Restart, |s| {
            s.restarting = true;
            Ok(())
        })
    }
    fn set_aside(&self) -> Result<()> {
        self.system(Method::RememberUpdate, |s| {
            s.record = None;
            Ok(())
        })
    }
    fn recall(&self) -> Result<Option<String>> {
        self.system(Method::RecallUpdate, |s| Ok(s.record.clone()))
    }
    fn remember(&self, text: &str) -> Result<()> {
        self.system(Method::RememberUpdate, |s| {
            s.record = Some(text.to_owned());
            Ok(())
        })
    }
}
