//! Listening to a link: who listens to which mirror, and that none outlives its listener.
//!
//! Owns: the mirrors of this daemon that somebody listens to. Any other is one of a daemon that was killed, and goes
//! at the next look. Never: what is done with the frames.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use uuid::Uuid;

use super::{
    links::Links,
    port::{Captured, Frames},
};
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfKind, IfName, ProjectId, if_name},
        segment::Segment,
    },
    sdn::link::{LinkPort, PortAt, SwitchLink},
};

/// At a time: each copies what it hears once more.
const MOST: usize = 8;
/// Of one project, so that none keeps the others from theirs.
const MOST_OF_ONE: usize = 2;

/// Those that run, and for which project.
#[derive(Default)]
pub struct Captures {
    running: Mutex<HashMap<IfName, ProjectId>>,
    /// Bothy stops: nobody listens any longer.
    over: AtomicBool,
}

/// A mirror and who listens to it; it goes with this.
pub struct Capture<'a> {
    links: &'a Links,
    at: IfName,
    frames: Option<Box<dyn Frames>>,
}

impl Links {
    /// What passes these ports of a link from now on; where none is named, all that are on it. Ends of wires are not:
    /// they are in no VLAN, and the switch copies nothing of them. One that is named is listened to at its interface.
    pub fn capture(&self, of: &Segment, only: Option<&IfName>, id: Uuid) -> Result<Capture<'_>> {
        let (all, wires) = (ports(of), self.wires()?);
        let names = |of: &[IfName]| of.iter().map(IfName::as_str).collect::<Vec<_>>().join(", ");
        let ports: Vec<IfName> = match only {
            None => all.iter().filter(|p| !wires.contains(*p)).cloned().collect(),
            Some(p) if all.contains(p) => vec![p.clone()],
            Some(p) => return Err(Fault::not_found(format!("link {} has no port {p}; it has {}", of.link, names(&all)))),
        };
        if ports.is_empty() && !all.is_empty() {
            let text = format!("all ports of link {} are functions' of chains, and off it: name one of {}", of.link, names(&all));
            return Err(Fault::conflict(text));
        }
        if self.captures().over.load(Ordering::Relaxed) {
            return Err(Fault::transient("bothy is being stopped: no capture begins any more"));
        }
        let at = if_name(IfKind::Capture, &id);
        {
            let mut all = self.captures().running.lock().unwrap_or_else(PoisonError::into_inner);
            if all.values().filter(|p| **p == of.project).count() >= MOST_OF_ONE {
                return Err(Fault::conflict(format!("{MOST_OF_ONE} captures of the project's links run already: end one of them first")));
            }
            if all.len() >= MOST {
                return Err(Fault::conflict(format!("{MOST} captures run on this box already: wait until one of them ends")));
            }
            all.insert(at.clone(), of.project);
        }
        // From here on it goes by itself, however far it came.
        let mut capture = Capture { links: self, at, frames: None };
        let listen_at = match only.filter(|p| wires.contains(*p)) {
            Some(wire) => wire,
            None => {
                self.fabric().ensure_mirror(&capture.at, &ports, of.vlan)?;
                &capture.at
            }
        };
        capture.frames = Some(self.host().listen(listen_at)?);
        Ok(capture)
    }

    /// Those that run are over, and no other begins: Bothy stops.
    pub fn stop_captures(&self) {
        self.captures().over.store(true, Ordering::Relaxed);
    }

    /// Takes mirrors away that nobody listens to. How many there were.
    pub fn end_captures(&self) -> Result<usize> {
        let there = self.fabric().mirrors()?;
        let listened = self.captures().running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let left: Vec<IfName> = there.into_iter().filter(|m| !listened.contains_key(m)).collect();
        left.iter().try_for_each(|m| self.fabric().remove_mirror(m))?;
        Ok(left.len())
    }
}

/// The link's ports on the switch, whatever they are. A network of a trunk has one of its own: by the NIC come
/// other links' frames too.
fn ports(of: &Segment) -> Vec<IfName> {
    let name = |p: LinkPort| match p.at {
        PortAt::Trunk { station, .. } => if_name(IfKind::Trunk, &station.0),
        PortAt::Guest | PortAt::Wire | PortAt::Own => p.name,
    };
    SwitchLink::of(of).ports.into_iter().map(name).collect()
}

impl Capture<'_> {
    /// No more is to be heard.
    pub fn is_over(&self) -> bool {
        self.links.captures().over.load(Ordering::Relaxed)
    }

    pub fn next(&mut self, wait: Duration) -> Result<Option<Captured>> {
        match &mut self.frames {
            Some(frames) => frames.next(wait),
            None => Ok(None),
        }
    }
}

impl Drop for Capture<'_> {
    fn drop(&mut self) {
        self.frames = None;
        if let Err(fault) = self.links.fabric().remove_mirror(&self.at) {
            tracing::warn!(mirror = %self.at, "stays until the next look at the host: {fault:?}");
        }
        self.links.captures().running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.at);
    }
}
