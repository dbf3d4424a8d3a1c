//! The steps, each by the calls that the API makes, and told as an act.
//!
//! What is made has its id in the record first, so a crash anywhere leaves one of each. Never: whether a step is due (`work`).

use uuid::Uuid;

use super::{
    Act, DesiredState,
    document::Running,
    host::digest,
    memory::{Fetching, Key},
    plan::{Item, Step},
};
use crate::{
    model::{
        desired::{DesiredRecord, HostMade, ItemKind, Made},
        error::{Fault, Result},
        id::{NsId, NsdInfoId, OpId, ProjectId, VnfPkgId},
        package::{NsDescriptor, Operational, VnfPackage},
        setup::HostRecord,
        vnf::Stopping,
    },
    store::Durability,
    vim::setup::Done,
    vnfm::plan::fresh_uuid,
};

impl DesiredState {
    /// `version`: of the document that asks for it; under another one nothing is written.
    pub(super) fn step(&self, i: &Item, step: &Step, key: &Key, version: u64) -> Result<()> {
        match step {
            Step::Fetch { id, url, sha256 } => self.fetch(i, *id, (url, sha256), key, version),
            Step::Instantiate { id, wish } => self.instantiate(i, *id, wish, version),
            Step::Retry(op) => {
                self.nfvo.retry(*op)?;
                self.tell("POST", format!("/nslcm/v2/ns_lcm_op_occs/{op}/retry"), Some(*op));
                Ok(())
            }
            Step::Rollback(op) => {
                self.nfvo.rollback(*op)?;
                self.tell("POST", format!("/nslcm/v2/ns_lcm_op_occs/{op}/rollback"), Some(*op));
                Ok(())
            }
            Step::Terminate(ns) => {
                let stopping = Stopping::Usual(self.nfvo.vnfm().rules().graceful_stop_s);
                let op = self.nfvo.terminate(*ns, stopping, "{}".to_owned())?.id;
                self.tell("POST", format!("/nslcm/v2/ns_instances/{ns}/terminate"), Some(op));
                self.change(version, |r| {
                    if let Some(m) = r.made.iter_mut().find(|m| m.kind == i.kind && m.name == i.name) {
                        m.op = Some(op);
                    }
                })
            }
            Step::DeleteService(ns) => {
                self.nfvo.delete_ns(*ns, |_| Ok(()))?;
                self.tell("DELETE", format!("/nslcm/v2/ns_instances/{ns}"), None);
                self.forget_item(i, version)
            }
            Step::Remove(id) => {
                self.remove(i.kind, *id)?;
                self.tell("DELETE", format!("{}/{id}", place(i.kind)), None);
                self.forget_item(i, version)
            }
            Step::Forget => self.forget_item(i, version),
            Step::SetUp { trial } => self.set_up(*trial, version),
            Step::Restart { args } => self.restart(*args, version),
            Step::UndoSetUp => self.undo_set_up(version),
        }
    }

    fn set_up(&self, trial: Option<[u8; 32]>, version: u64) -> Result<()> {
        let told = self.host.record()? != HostRecord::default();
        self.change(version, |r| {
            r.host.get_or_insert(HostMade { told, tried: None, restarted: false });
        })?;
        let done = self.host.apply()?;
        // Not before they are: what was never on trial may be tried.
        let armed = self.host.boot()?.filter(|b| b.armed).and_then(|b| b.trial.as_ref().map(digest));
        if trial.is_some() && armed == trial {
            self.change(version, |r| mark(r, trial, false))?;
        }
        self.tell("POST", "/bothy/v1/host/apply".to_owned(), None);
        whole(done)
    }

    fn restart(&self, args: [u8; 32], version: u64) -> Result<()> {
        // Once, whatever comes of it.
        self.change(version, |r| mark(r, Some(args), true))?;
        if let Err(fault) = self.outside.restart() {
            self.change(version, |r| mark(r, Some(args), false))?;
            return Err(fault);
        }
        self.tell("POST", "/bothy/v1/host/restart".to_owned(), None);
        Ok(())
    }

    fn undo_set_up(&self, version: u64) -> Result<()> {
        let made = self.nfvo.vnfm().store().get::<DesiredRecord>(&())?.and_then(|r| r.host);
        let told = made.is_some_and(|m| m.told);
        whole(if told { self.host.back_to_configuration()? } else { self.host.undo()? })?;
        self.tell("POST", "/bothy/v1/host/undo".to_owned(), None);
        if told {
            self.tell("POST", "/bothy/v1/host/apply".to_owned(), None);
        }
        self.change(version, |r| r.host = None)
    }

    fn fetch(&self, i: &Item, id: Option<Uuid>, (url, sha256): (&str, &[u8; 32]), key: &Key, version: u64) -> Result<()> {
        let (shared, outside) = (self.shared.clone(), self.outside.clone());
        let mut done = Fetching { shared, outside, key: key.clone(), path: String::new(), is_over: false };
        let id = self.note(i, id, *sha256, version)?;
        done.path = format!("{}/{id}/content", place(i.kind));
        let is_new = match i.kind {
            ItemKind::Package => self.nfvo.vnfm().create_package_as(VnfPkgId(id), ProjectId::DEFAULT)?,
            ItemKind::Nsd | ItemKind::Service | ItemKind::Host => self.nfvo.create_nsd_as(NsdInfoId(id), ProjectId::DEFAULT)?,
        };
        if is_new {
            self.tell("POST", place(i.kind).to_owned(), None);
        }
        self.outside.fetch(i.kind, id, url, sha256, done);
        Ok(())
    }

    fn instantiate(&self, i: &Item, id: Option<Uuid>, wish: &Running, version: u64) -> Result<()> {
        let ask = (self.ask)(&wish.request)?;
        let id = NsId(self.note(i, id, wish.digest, version)?);
        if self.nfvo.create_ns_as(id, ProjectId::DEFAULT, &wish.nsd, i.name.clone())? {
            self.tell("POST", "/nslcm/v2/ns_instances".to_owned(), None);
        }
        let op = self.nfvo.instantiate(id, &ask)?.id;
        self.tell("POST", format!("/nslcm/v2/ns_instances/{id}/instantiate"), Some(op));
        let made = Made { kind: i.kind, name: i.name.clone(), id: id.0, digest: wish.digest, op: Some(op) };
        self.change(version, |r| r.note(made.clone()))
    }

    /// Writes down what is about to be made, and gives its id.
    fn note(&self, i: &Item, id: Option<Uuid>, digest: [u8; 32], version: u64) -> Result<Uuid> {
        let id = id.unwrap_or_else(|| fresh_uuid(&**self.nfvo.vnfm().dice()));
        self.change(version, |r| {
            let op = r.made(i.kind, &i.name).and_then(|m| m.op);
            r.note(Made { kind: i.kind, name: i.name.clone(), id, digest, op });
        })?;
        Ok(id)
    }

    fn forget_item(&self, i: &Item, version: u64) -> Result<()> {
        self.change(version, |r| r.forget(i.kind, &i.name))
    }

    fn change(&self, version: u64, change: impl Fn(&mut DesiredRecord)) -> Result<()> {
        self.nfvo.vnfm().store().write(Durability::Barrier, |tx| {
            // A reset may have taken it in between.
            let Some(mut r) = tx.get::<DesiredRecord>(&())? else {
                return Err(Fault::conflict("there is no desired state any more"));
            };
            if r.version != version {
                return Err(Fault::conflict(format!("version {version} of the desired state does not count any more")));
            }
            change(&mut r);
            tx.put(&r)
        })
    }

    fn remove(&self, kind: ItemKind, id: Uuid) -> Result<()> {
        let (nfvo, store) = (&self.nfvo, self.nfvo.vnfm().store());
        let off = Some(Operational::Disabled);
        match kind {
            ItemKind::Package => {
                let id = VnfPkgId(id);
                if store.require::<VnfPackage>(&id)?.operational == Operational::Enabled {
                    nfvo.vnfm().modify_package(id, off, |_| None, |_| Ok(()))?;
                }
                nfvo.vnfm().delete_package(id, |_| Ok(()))
            }
            ItemKind::Nsd | ItemKind::Service | ItemKind::Host => {
                let id = NsdInfoId(id);
                if store.require::<NsDescriptor>(&id)?.operational == Operational::Enabled {
                    nfvo.modify::<NsDescriptor>(id, off, |_| None, |_| Ok(()))?;
                }
                nfvo.delete::<NsDescriptor>(id, |_| Ok(()))
            }
        }
    }

    fn tell(&self, method: &'static str, path: String, op: Option<OpId>) {
        self.outside.tell(Act { method, path, op });
    }
}

/// These arguments are on trial, and whether the box was restarted for them.
fn mark(r: &mut DesiredRecord, args: Option<[u8; 32]>, restarted: bool) {
    if let Some(made) = &mut r.host {
        (made.tried, made.restarted) = (args, restarted);
    }
}

/// Everything of it was done, or why not.
fn whole(done: Done) -> Result<()> {
    match done.failed.len() {
        0 => Ok(()),
        n => {
            let why = done.failed.into_iter().map(|(what, why)| format!("{what}: {why}"));
            Err(Fault::transient(format!("{n} of the host's set-up did not come")).with_reasons(why))
        }
    }
}

fn place(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Package => "/vnfpkgm/v2/vnf_packages",
        ItemKind::Nsd => "/nsd/v2/ns_descriptors",
        ItemKind::Service => "/nslcm/v2/ns_instances",
        ItemKind::Host => "/bothy/v1/host",
    }
}
