//! Brings segments onto the host and takes them away again, by the ports.
//!
//! Owns the order: switch port, host addresses, DHCP, then the NAT table of all segments. The table
//! is a projection with one owner, this one: it is rendered from the store each time, so a step
//! that was repeated or undone can leave nothing in it. Never: what a segment shall be.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use smol_str::SmolStr;

use super::{
    network::{dhcp_conf, host_link, nat_table},
    port::HostNet,
};
use crate::{
    model::{
        error::{Fault, Result},
        id::SegmentId,
        segment::{Segment, SegmentState},
        vnfd::LinkProfile,
    },
    sdn::port::{Datapath, Fabric, PortKind, SwitchPort},
    store::{Durability, Store},
};

pub struct Links {
    store: Store,
    fabric: Arc<dyn Fabric>,
    host: Arc<dyn HostNet>,
    /// One projection at a time, so that an older table never follows a newer one.
    projecting: Mutex<()>,
    ready: OnceLock<Datapath>,
    /// One segment is brought or taken at a time: a look at the host must not bring back what a step
    /// takes away.
    changing: Mutex<()>,
    faces: Mutex<HashMap<SegmentId, Arc<Face>>>,
}

/// What never changes of a segment: the link's id in its descriptor, and its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    pub link: SmolStr,
    pub profile: LinkProfile,
}

/// Faces that are kept at most; past that all are read again.
const FACES: usize = 256;

impl Links {
    pub fn new(store: Store, fabric: Arc<dyn Fabric>, host: Arc<dyn HostNet>) -> Links {
        Links { store, fabric, host, projecting: Mutex::new(()), ready: OnceLock::new(), changing: Mutex::new(()), faces: Mutex::default() }
    }

    /// The switch is there, made where it was not; which datapath it has. Asked once.
    pub fn ready(&self) -> Result<Datapath> {
        if let Some(d) = self.ready.get() {
            return Ok(*d);
        }
        let d = self.fabric.ensure_ready()?;
        Ok(*self.ready.get_or_init(|| d))
    }

    /// The segment is on the host as its record says; one that was leaving is wanted again (a retry
    /// after a rollback that broke).
    pub fn ensure(&self, id: SegmentId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let s = self.store.require::<Segment>(&id)?;
        if s.state == SegmentState::Leaving {
            self.mark(id, SegmentState::Wanted)?;
        }
        self.bring(&s)
    }

    /// As `ensure`, for a look at the host: one that an operation is taking away, or has, stays so.
    pub fn keep(&self, id: SegmentId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.store.get::<Segment>(&id)? {
            Some(s) if s.state == SegmentState::Wanted => self.bring(&s),
            Some(_) | None => Ok(()),
        }
    }

    /// The face of a segment. Its record names every station on it, so it is read once and not for
    /// each of them.
    pub fn face(&self, id: SegmentId) -> Result<Arc<Face>> {
        let known = |faces: &HashMap<SegmentId, Arc<Face>>| faces.get(&id).cloned();
        if let Some(face) = known(&self.faces.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(face);
        }
        let s = self.store.get::<Segment>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no virtual link {id}")))?;
        let face = Arc::new(Face { link: s.link, profile: s.profile });
        let mut faces = self.faces.lock().unwrap_or_else(PoisonError::into_inner);
        if faces.len() >= FACES {
            faces.clear();
        }
        faces.insert(id, face.clone());
        Ok(face)
    }

    fn bring(&self, s: &Segment) -> Result<()> {
        self.ready()?;
        if let Some(network) = &s.profile.physical {
            let tag = s.profile.segmentation.map(TryInto::try_into).transpose()?;
            let kind = PortKind::Physical { network: network.clone(), tag };
            self.fabric.ensure_port(&SwitchPort { name: s.patch_port(), segment: s.id, vlan: s.vlan, kind })?;
        }
        if let Some(link) = host_link(s) {
            self.fabric.ensure_port(&SwitchPort { name: s.host_port(), segment: s.id, vlan: s.vlan, kind: PortKind::Host })?;
            self.host.ensure_link(&link)?;
            if let Some(conf) = dhcp_conf(s) {
                self.host.ensure_dhcp(&conf)?;
            }
            self.project()?;
        }
        Ok(())
    }

    /// Nothing of the segment is on the host; its record stays, leaving, for the operation's end.
    pub fn remove(&self, id: SegmentId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.store.get::<Segment>(&id)?;
        if let Some(s) = &found
            && s.state == SegmentState::Wanted
        {
            self.mark(id, SegmentState::Leaving)?;
        }
        if found.as_ref().is_none_or(Segment::wants_host_port) {
            self.project()?;
            self.host.remove_dhcp(id)?;
            self.fabric.remove_port(&crate::model::id::if_name(crate::model::id::IfKind::Host, &id.0))?;
        }
        if found.as_ref().is_none_or(|s| s.profile.physical.is_some()) {
            self.fabric.remove_port(&crate::model::id::if_name(crate::model::id::IfKind::Patch, &id.0))?;
        }
        Ok(())
    }

    fn mark(&self, id: SegmentId, state: SegmentState) -> Result<()> {
        self.store.write(Durability::Lazy, |tx| {
            if let Some(mut now) = tx.get::<Segment>(&id)? {
                now.state = state;
                tx.put(&now)?;
            }
            Ok(())
        })
    }

    /// Renders the NAT table from all segments and swaps it in.
    pub fn project(&self) -> Result<()> {
        let _one = self.projecting.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = self.store.list::<Segment>()?;
        self.host.project_nat(&nat_table(&segments))
    }

    pub fn fabric(&self) -> &Arc<dyn Fabric> {
        &self.fabric
    }
    pub fn host(&self) -> &Arc<dyn HostNet> {
        &self.host
    }
}
