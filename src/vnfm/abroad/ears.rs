//! What foreign VNFMs tell of their VNFs without being asked: this box subscribes there while services have VNFs there.
//!
//! ```text
//! VNFs there, nothing subscribed --> a new secret, subscribed to each API        none left --> given up
//! called back --> whoever waits for an operation there looks at once; each VNF and its alarms are looked at
//! ```
//! A notification says no more than that something is new: what is so is read at the VNFM, so one that is lost, late or made up
//! does no harm. Beside that it is looked now and then. Never: HTTP, alarms of this box (`node` raises them).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use smol_str::{SmolStr, format_smolstr};
use tracing::info;

use super::{
    super::Vnfm,
    port::{CallBack, Managers, Seen, SeenAlarm, Tells},
};
use crate::{
    lcm::port::WakeKey,
    model::{
        abroad::{ForeignEar, ForeignVnf, ForeignVnfm},
        error::{Fault, Result},
        id::{ProjectId, VnfId},
        tree::set,
        vnf::VnfInstance,
    },
    store::Durability,
};

/// Who has called and was not looked at yet.
#[derive(Default)]
pub struct Ears {
    told: Mutex<BTreeSet<SmolStr>>,
    poke: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What a look at a VNF there has found.
pub struct Tidings {
    pub vnf: VnfId,
    pub project: ProjectId,
    /// It is not as this box has left it: why.
    pub gone: Option<String>,
    /// What stands there.
    pub alarms: Vec<SeenAlarm>,
}

impl Vnfm {
    /// Has `f` told of each call. Returns at once; the first caller stays.
    pub fn on_told(&self, f: impl Fn() + Send + Sync + 'static) {
        let _ = self.ears.poke.set(Box::new(f));
    }

    /// This VNFM has called.
    pub fn told_by(&self, vnfm: &SmolStr) -> Result<()> {
        let engine = self.engine()?;
        for f in self.vnfs_of(vnfm)? {
            if let Some(op) = self.store.get::<VnfInstance>(&f.vnf)?.and_then(|v| v.op) {
                engine.wake(WakeKey::Op(op));
            }
        }
        self.ears.told.lock().unwrap_or_else(PoisonError::into_inner).insert(vnfm.clone());
        if let Some(poke) = self.ears.poke.get() {
            poke();
        }
        Ok(())
    }

    /// Those that have called since this was asked last.
    pub fn take_told(&self) -> BTreeSet<SmolStr> {
        std::mem::take(&mut *self.ears.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// VNFMs that this box listens to, or did.
    pub fn ears(&self) -> Result<Vec<(ForeignVnfm, ForeignEar)>> {
        let mut all = Vec::new();
        for ear in self.store.list::<ForeignEar>()? {
            all.extend(self.store.get::<ForeignVnfm>(&ear.vnfm)?.map(|m| (m, ear)));
        }
        Ok(all)
    }

    fn vnfs_of(&self, vnfm: &str) -> Result<Vec<ForeignVnf>> {
        let mut all = self.store.list::<ForeignVnf>()?;
        all.retain(|f| f.vnfm == vnfm);
        Ok(all)
    }

    fn port(&self) -> Result<Arc<dyn Managers>> {
        self.managers.get().cloned().ok_or_else(|| Fault::transient("bothy is starting, and asks no VNFM yet"))
    }

    /// Subscribes where VNFs are and nothing is subscribed, and the other way round. `anew` also looks whether what is
    /// subscribed is still there. `secret` makes a new one, and makes the one before void. Says whether it listens from now on.
    pub fn keep_ear(&self, at: &ForeignVnfm, ear: &ForeignEar, anew: bool, secret: &dyn Fn() -> Result<String>) -> Result<bool> {
        let port = self.port()?;
        let uri = format!("{}/bothy/v1/vnfms/{}/notifications", ear.root, at.account);
        if self.vnfs_of(&at.account)?.is_empty() {
            for (api, id) in &ear.subscribed {
                if let Some(tells) = Tells::ALL.into_iter().find(|t| t.api() == api) {
                    port.unsubscribe(at, tells, id)?;
                }
            }
            if !ear.subscribed.is_empty() {
                info!(vnfm = %at.account, "no VNF is there any more: its notifications are subscribed to no more");
                self.note_ear(ear, Vec::new())?;
            }
            return Ok(false);
        }
        if ear.subscribed.len() == Tells::ALL.len() {
            if !anew {
                return Ok(false);
            }
            let mut all_there = true;
            for (api, id) in &ear.subscribed {
                let tells = Tells::ALL.into_iter().find(|t| t.api() == api);
                all_there &= match tells {
                    Some(t) => port.subscriptions(at, t, &uri)?.contains(id),
                    None => false,
                };
            }
            if all_there {
                return Ok(false);
            }
        }
        // What an answer that was lost has made has another secret.
        for tells in Tells::ALL {
            for id in port.subscriptions(at, tells, &uri)? {
                port.unsubscribe(at, tells, &id)?;
            }
        }
        let back = CallBack { uri, account: at.account.clone(), secret: secret()? };
        let mut subscribed = Vec::new();
        for tells in Tells::ALL {
            subscribed.push((SmolStr::new_static(tells.api()), port.subscribe(at, tells, &back)?));
        }
        info!(vnfm = %at.account, "its notifications are subscribed to");
        self.note_ear(ear, subscribed)?;
        Ok(true)
    }

    fn note_ear(&self, of: &ForeignEar, subscribed: Vec<(SmolStr, SmolStr)>) -> Result<()> {
        self.store.write(Durability::Barrier, |tx| {
            // It may have been told another way in meanwhile: what is subscribed is seen to at the next look.
            let Some(now) = tx.get::<ForeignEar>(&of.vnfm)? else { return Ok(()) };
            tx.put(&ForeignEar { subscribed: if now.root == of.root { subscribed.clone() } else { Vec::new() }, ..now })
        })
    }

    /// Looks at each VNF there: levels and run state that are others than the record has come to the record, where nothing
    /// of this box is under way on it.
    pub fn look_abroad(&self, at: &ForeignVnfm) -> Result<Vec<Tidings>> {
        let port = self.port()?;
        let mut all = Vec::new();
        for f in self.vnfs_of(&at.account)? {
            let (Some(id), Some(inst)) = (&f.remote, self.store.get::<VnfInstance>(&f.vnf)?) else { continue };
            let seen = port.look(at, id)?;
            let alarms = if seen.is_some() { port.alarms(at, id)? } else { Vec::new() };
            let mut gone = None;
            if inst.op.is_none() && inst.instantiated {
                gone = match &seen {
                    None => Some(format!("VNFM {} has it no more", at.account)),
                    Some(s) if !s.instantiated => Some(format!("VNFM {} has it, and it is not instantiated there", at.account)),
                    Some(s) => {
                        self.note_seen(&inst, s)?;
                        None
                    }
                };
            }
            all.push(Tidings { vnf: f.vnf, project: inst.project, gone, alarms });
        }
        Ok(all)
    }

    fn note_seen(&self, was: &VnfInstance, seen: &Seen) -> Result<()> {
        let Some(body) = &was.body else { return Ok(()) };
        let vnfd = self.vnfd(was.package)?;
        let known = vnfd.iter().flat_map(|v| v.flavour(&body.flavour)).flat_map(|f| &f.aspects);
        let mut scale = body.scale.clone();
        // Of what is said there, what its VNFD has counts. An aspect that was never scaled has no level in the record.
        for aspect in known {
            let Some((_, now)) = seen.scale.iter().find(|(a, _)| *a == aspect.id) else { continue };
            match scale.iter_mut().find(|(a, _)| *a == aspect.id) {
                Some((_, level)) => *level = *now,
                None if *now > 0 => scale.push((aspect.id.clone(), *now)),
                None => {}
            }
        }
        let run = seen.run.unwrap_or(body.run);
        if (&scale, run) == (&body.scale, body.run) {
            return Ok(());
        }
        info!(vnf = %was.id, "changed at its VNFM by others");
        self.store.write(Durability::Soon, |tx| {
            let Some(mut now) = tx.get::<VnfInstance>(&was.id)?.filter(|n| n.revision == was.revision) else { return Ok(()) };
            if let Some(body) = &mut now.body {
                (body.scale, body.run) = (scale.clone(), run);
            }
            now.revision += 1;
            tx.put(&now)
        })
    }

    /// VNFs that foreign VNFMs have.
    pub fn all_abroad(&self) -> Result<BTreeSet<VnfId>> {
        Ok(set(self.store.list::<ForeignVnf>()?.into_iter().map(|f| f.vnf)))
    }
}

/// The label of the token that a VNFM calls back with.
pub fn label(vnfm: &str) -> SmolStr {
    format_smolstr!("notifications of VNFM {vnfm}").chars().take(64).collect()
}
