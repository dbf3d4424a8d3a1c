//! Brings segments onto the host and takes them away again, by the ports.
//!
//! Owns the order: switch port, host addresses, DHCP, then the NAT table of all segments. The table
//! is a projection with one owner, this one: it is rendered from the store each time, so a step
//! that was repeated or undone can leave nothing in it. Never: what a segment shall be.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use smol_str::SmolStr;

use super::{
    captures::Captures,
    chains,
    network::{dhcp_conf, host_link, nat_table},
    port::HostNet,
};
use crate::{
    model::{
        chain::{Chain, ChainEnd, ChainState, ChainWay, Handover, Stage},
        error::{Fault, Result},
        id::{IfName, NfpId, SegmentId, VnfId, VnfcId},
        net::VlanId,
        segment::{Segment, SegmentOwner, SegmentState},
        time::Stamp,
        vnf::{Body, VnfInstance},
        vnfd::LinkProfile,
    },
    sdn::{
        chain::SwitchChain,
        link::{PortAt, SwitchLink},
        port::{Datapath, Fabric, PortKind, SwitchPort},
    },
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
    captures: Captures,
    /// Guests that were started and are not ready yet: no chain leads by them.
    awaited: Mutex<HashSet<VnfcId>>,
}

/// A chain comes to another way, connection by connection.
pub struct HandOver<'a> {
    pub chain: NfpId,
    pub before: &'a ChainWay,
    pub after: &'a ChainWay,
    pub mark: u32,
    pub noting_s: u32,
    pub drain_s: u32,
}

/// What never changes of a segment: the link's id in its descriptor, and its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    pub link: SmolStr,
    pub profile: LinkProfile,
}

impl Face {
    pub fn of(s: &Segment) -> Face {
        Face { link: s.link.clone(), profile: s.profile.clone() }
    }
}

/// Faces that are kept at most; past that all are read again.
const FACES: usize = 256;

impl Links {
    pub fn new(store: Store, fabric: Arc<dyn Fabric>, host: Arc<dyn HostNet>) -> Links {
        Links {
            store,
            fabric,
            host,
            projecting: Mutex::new(()),
            ready: OnceLock::new(),
            changing: Mutex::new(()),
            faces: Mutex::default(),
            captures: Captures::default(),
            awaited: Mutex::default(),
        }
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

    /// A NIC leaves one link and comes to another, which may be the same: `record` says so to the records, and no look
    /// at the host is between. A port is on one link at a time, so the one that it leaves is told first.
    pub fn transfer(&self, from: SegmentId, to: SegmentId, record: impl FnOnce() -> Result<()>) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        record()?;
        for id in if from == to { vec![to] } else { vec![from, to] } {
            if let Some(s) = self.store.get::<Segment>(&id)?.filter(|s| s.state == SegmentState::Wanted) {
                self.bring(&s)?;
            }
        }
        Ok(())
    }

    /// The face of a segment. Its record names every station on it, so it is read once and not for
    /// each of them.
    pub fn face(&self, id: SegmentId) -> Result<Arc<Face>> {
        let known = |faces: &HashMap<SegmentId, Arc<Face>>| faces.get(&id).cloned();
        if let Some(face) = known(&self.faces.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(face);
        }
        let s = self.store.get::<Segment>(&id)?.ok_or_else(|| Fault::not_found(format!("there is no virtual link {id}")))?;
        let face = Arc::new(Face::of(&s));
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
            let (network, transparent) = (network.clone(), s.profile.transparent);
            if self.fabric.tunnels().iter().any(|t| t.name == network && t.remotes.len() > 1) {
                let here = |e: &ChainEnd| matches!(e, ChainEnd::Outside { segment, .. } if *segment == s.id);
                let all = self.store.list::<Chain>()?;
                if let Some(c) = all.iter().find(|c| c.state == ChainState::Wanted && c.from.iter().chain(&c.to).any(here)) {
                    return Err(Fault::conflict(format!(
                        "link {}: chain {} ends at tunnel '{network}', which has several remote ends by now: what comes from the \
                         others would pass it by. Give the link a tunnel with one",
                        s.link, c.nfp
                    )));
                }
            }
            let kind = match self.fabric.tunnels().iter().any(|t| t.name == network) {
                true => PortKind::Tunnel { tunnel: network, vni: s.profile.segmentation, transparent },
                false if !self.fabric.physical().contains(&network) => {
                    return Err(Fault::invalid(format!(
                        "link {}: '{network}' is neither a physical network nor a tunnel of the configuration any more",
                        s.link
                    )));
                }
                false => {
                    let tag = s.profile.segmentation.map(TryInto::try_into).transpose()?;
                    PortKind::Physical { network, tag, transparent }
                }
            };
            self.fabric.ensure_port(&SwitchPort { name: s.patch_port(), segment: s.id, vlan: s.vlan, kind })?;
        }
        if let Some(link) = host_link(s) {
            let kind = PortKind::Host { mtu: s.profile.mtu };
            self.fabric.ensure_port(&SwitchPort { name: s.host_port(), segment: s.id, vlan: s.vlan, kind })?;
            self.host.ensure_link(&link)?;
            if let Some(conf) = dhcp_conf(s) {
                self.host.ensure_dhcp(&conf)?;
            }
        }
        self.project()?;
        let of_service = match s.owner {
            SegmentOwner::Ns(ns) => self.store.list::<Chain>()?.into_iter().filter(|c| c.ns == ns).collect(),
            SegmentOwner::Vnf(_) => Vec::new(),
        };
        let (bodies, inside) = (self.bodies(&of_service)?, self.inside(&of_service)?);
        self.tell(s, &chains::wires(&of_service, &bodies))?;
        // Its ports may be others than before: members are made again, and scaled.
        let wanted = of_service.iter().filter(|c| c.state == ChainState::Wanted);
        wanted.map(|c| self.led(c, &bodies, &inside)).try_for_each(|c| self.fabric.ensure_chain(&c))
    }

    /// The switch is told of a link some of whose ports are ends of wires.
    fn tell(&self, s: &Segment, wires: &HashSet<IfName>) -> Result<()> {
        let mut link = SwitchLink::of(s);
        for p in link.ports.iter_mut().filter(|p| p.at == PortAt::Guest && wires.contains(&p.name)) {
            p.at = PortAt::Wire;
        }
        if link.transparent {
            self.part_tags(&mut link)?;
        }
        self.fabric.ensure_segment(&link)
    }

    /// A tag under which a NIC is on another link is no VLAN of this one: frames of this would come to the guest as
    /// that one's, and its own to this.
    fn part_tags(&self, link: &mut SwitchLink) -> Result<()> {
        let mut led: HashMap<IfName, Vec<VlanId>> = HashMap::new();
        for s in self.store.list::<Segment>()?.iter().filter(|s| s.id != link.segment) {
            for st in &s.stations {
                if let Some((_, tag)) = st.access.within {
                    led.entry(st.nic()).or_default().push(tag);
                }
            }
        }
        for p in link.ports.iter_mut().filter(|p| p.at == PortAt::Guest && p.only.is_empty()) {
            if let Some(tags) = led.get(&p.name) {
                let all = (VlanId::MIN.get()..=VlanId::MAX.get()).filter_map(|v| VlanId::try_from(v).ok());
                p.only = all.filter(|v| !tags.contains(v)).collect();
            }
        }
        Ok(())
    }

    /// A running chain takes another way: ports that become ends of wires leave their links before it leads
    /// there, and ports that are none any more come back to theirs when it does not. Told by both ways alone,
    /// so that it may be done again from wherever it was broken off.
    pub fn reroute(&self, id: NfpId, before: &ChainWay, after: &ChainWay) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (had, has) = self.store.write(Durability::Lazy, |tx| {
            let now = tx.require::<Chain>(&id)?;
            let has = now.on(after);
            tx.put(&has)?;
            Ok((now.on(before), has))
        })?;
        self.lead(had, has)
    }

    /// As `reroute`, for connections that begin from now on: the others keep the way before until their time
    /// is up (`end_drains`). `Some`: it has to be called again, after so long.
    pub fn hand_over(&self, ask: &HandOver<'_>, now: Stamp) -> Result<Option<Duration>> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let later = |s: u32| Stamp(now.0 + 1000 * u64::from(s));
        let (was, is) = self.store.write(Durability::Lazy, |tx| {
            let was = tx.require::<Chain>(&ask.chain)?;
            // Where it was broken off it goes on: its mark says whose it is.
            let at = was.handover.as_ref().filter(|h| h.mark == ask.mark).map(|h| h.stage);
            let stage = match at {
                // Told once more after its time was up: those that were there have come over, and stay so.
                None if was.handover.is_none() && was.way() == *ask.after => return Ok((was.on(ask.before), was)),
                None if ask.noting_s > 0 => Stage::Noting { until: later(ask.noting_s) },
                Some(Stage::Noting { until }) if now < until => Stage::Noting { until },
                None | Some(Stage::Noting { .. }) => Stage::Draining { until: later(ask.drain_s) },
                Some(Stage::Draining { until }) => Stage::Draining { until },
            };
            let way = match stage {
                Stage::Noting { .. } => ask.before,
                Stage::Draining { .. } => ask.after,
            };
            let handover = Some(Handover { old: ask.before.clone(), mark: ask.mark, stage });
            let is = Chain { handover, ..was.on(way) };
            tx.put(&is)?;
            Ok((was.on(ask.before), is))
        })?;
        let again = is.handover.as_ref().and_then(|h| match h.stage {
            Stage::Noting { until } => Some(Duration::from_millis(until.0.saturating_sub(now.0))),
            Stage::Draining { .. } => None,
        });
        self.lead(was, is)?;
        Ok(again)
    }

    /// Chains whose connections had their time to drain have one way from now on. How many there were.
    pub fn end_drains(&self, now: Stamp) -> Result<usize> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |c: &Chain| c.handover.as_ref().is_some_and(|h| h.stage.is_over(now));
        let due: Vec<Chain> = self.store.list::<Chain>()?.into_iter().filter(is_due).collect();
        for c in &due {
            self.end_drain_of(c.id, is_due)?;
        }
        Ok(due.len())
    }

    /// The same for one chain, whose time is up because somebody says so.
    pub fn end_drain(&self, id: NfpId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.store.get::<Chain>(&id)?.and_then(|c| c.handover).is_some_and(|h| matches!(h.stage, Stage::Noting { .. })) {
            return Err(Fault::conflict("the chain is about to take another way: wait for the operation, then its connections drain"));
        }
        self.end_drain_of(id, |c| c.handover.as_ref().is_some_and(|h| matches!(h.stage, Stage::Draining { .. })))
    }

    fn end_drain_of(&self, id: NfpId, is_due: impl Fn(&Chain) -> bool) -> Result<()> {
        // The switch is told next: a crash then does not bring the way before back, on which nobody knows them any more.
        let ended = self.store.write(Durability::Barrier, |tx| {
            let Some(now) = tx.get::<Chain>(&id)?.filter(&is_due) else { return Ok(None) };
            let ended = Chain { handover: None, ..now };
            tx.put(&ended)?;
            Ok(Some(ended))
        })?;
        match ended {
            Some(c) if c.state == ChainState::Wanted => self.fabric.ensure_chain(&self.switched(c)?),
            Some(_) | None => Ok(()),
        }
    }

    /// The switch leads a chain by another way than before.
    fn lead(&self, had: Chain, has: Chain) -> Result<()> {
        let id = has.id;
        self.ready()?;
        let mut others: Vec<Chain> = self.store.list::<Chain>()?.into_iter().filter(|c| c.ns == has.ns && c.id != id).collect();
        let bodies = self.bodies(&[others.as_slice(), &[had.clone(), has.clone()]].concat())?;
        others.push(had);
        let old = chains::wires(&others, &bodies);
        others.pop();
        others.push(has.clone());
        let new = chains::wires(&others, &bodies);
        let both: HashSet<IfName> = old.union(&new).cloned().collect();
        self.tell_of(&has, &new.difference(&old).collect(), &both)?;
        self.fabric.ensure_chain(&self.led(&has, &bodies, &self.inside(std::slice::from_ref(&has))?))?;
        self.tell_of(&has, &old.difference(&new).collect(), &new)
    }

    /// The links of the chain's service that these ports are on.
    fn tell_of(&self, c: &Chain, moved: &HashSet<&IfName>, wires: &HashSet<IfName>) -> Result<()> {
        if moved.is_empty() {
            return Ok(());
        }
        let has = |s: &Segment| s.owner == SegmentOwner::Ns(c.ns) && s.stations.iter().any(|st| moved.contains(&st.nic()));
        self.store.list::<Segment>()?.iter().filter(|s| has(s)).try_for_each(|s| self.tell(s, wires))
    }

    /// Ports that are ends of wires, of all chains.
    pub fn wires(&self) -> Result<HashSet<IfName>> {
        let all = self.store.list::<Chain>()?;
        Ok(chains::wires(&all, &self.bodies(&all)?))
    }

    fn bodies(&self, chains: &[Chain]) -> Result<HashMap<VnfId, Body>> {
        let mut out = HashMap::new();
        for id in chains.iter().flat_map(chains::vnfs) {
            if let Some(body) = self.store.get::<VnfInstance>(&id)?.and_then(|v| v.body) {
                out.insert(id, body);
            }
        }
        Ok(out)
    }

    fn switched(&self, c: Chain) -> Result<SwitchChain> {
        let one = std::slice::from_ref(&c);
        Ok(self.led(&c, &self.bodies(one)?, &self.inside(one)?))
    }

    /// A chain by those guests of its functions that are ready.
    fn led(&self, c: &Chain, bodies: &HashMap<VnfId, Body>, inside: &chains::Inside) -> SwitchChain {
        let mut led = chains::of(c, bodies, inside);
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        let guests = bodies.values().flat_map(|b| &b.vnfcs).filter(|g| awaited.contains(&g.id));
        let ports: HashSet<&IfName> = guests.flat_map(|g| &g.ports).map(|p| &p.ifname).collect();
        if !ports.is_empty() {
            led.pass_by(&ports);
        }
        led
    }

    /// A guest of the VNF is started, and it will be told when it is ready (`arrived`). Also where it is told once more.
    pub fn awaits(&self, vnf: VnfId, guest: VnfcId) -> Result<()> {
        let is_news = self.awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(guest);
        match is_news {
            // One that the switch refuses stays wanted.
            true => self.lead_by(vnf).inspect_err(|why| {
                if why.is_transient() {
                    self.forget(guest);
                }
            }),
            false => Ok(()),
        }
    }
    /// It is ready, or nobody waits for that any more. What the switch refuses stays wanted, and is no fault of the guest.
    pub fn arrived(&self, vnf: VnfId, guest: VnfcId) -> Result<()> {
        match self.forget(guest) {
            // Told of only where it was: done again, it is ready already.
            true => match self.lead_by(vnf) {
                Err(why) if why.is_transient() => {
                    self.awaited.lock().unwrap_or_else(PoisonError::into_inner).insert(guest);
                    Err(why)
                }
                Err(why) => {
                    tracing::warn!(%guest, "a chain does not lead by a guest: {why:?}");
                    Ok(())
                }
                Ok(()) => Ok(()),
            },
            false => Ok(()),
        }
    }
    /// The guest is no more. Whether it was awaited.
    pub fn forget(&self, guest: VnfcId) -> bool {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&guest)
    }

    /// Chains that lead by a VNF, with those of its guests that are ready.
    fn lead_by(&self, vnf: VnfId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_by = |c: &Chain| c.state == ChainState::Wanted && c.functions().any(|h| h.vnfs.contains(&vnf));
        let all = self.store.list::<Chain>()?.into_iter().filter(is_by);
        // One that cannot be keeps no other from it.
        let mut so_far: Result<()> = Ok(());
        for c in all {
            let one = self.switched(c).and_then(|c| self.fabric.ensure_chain(&c));
            so_far = match (so_far, one) {
                (Err(first), Err(now)) if now.is_transient() && !first.is_transient() => Err(now),
                (so_far, one) => so_far.and(one),
            };
        }
        so_far
    }

    /// What is in the box, of links at which these chains end outside it.
    fn inside(&self, of: &[Chain]) -> Result<chains::Inside> {
        let mut segments = Vec::new();
        for id in of.iter().flat_map(chains::outside) {
            segments.extend(self.store.get::<Segment>(&id)?);
        }
        Ok(chains::inside(&segments))
    }

    /// As `ensure`, for a chain. Its members' ports need not be there.
    pub fn ensure_chain(&self, id: NfpId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let c = self.store.require::<Chain>(&id)?;
        if c.state == ChainState::Leaving {
            self.mark_chain(id, ChainState::Wanted)?;
        }
        self.ready()?;
        self.fabric.ensure_chain(&self.switched(c)?)
    }

    /// The switch is told of chains before links when Bothy starts: what runs by them goes on. One that cannot be
    /// keeps no other from it.
    pub fn keep_chains(&self) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = Ok(());
        for c in self.store.list::<Chain>()?.into_iter().filter(|c| c.state == ChainState::Wanted) {
            let (nfp, told) = (c.nfp.clone(), self.switched(c).and_then(|c| self.fabric.ensure_chain(&c)));
            first = first.and(told.map_err(|f| f.context(format!("chain {nfp}"))));
        }
        first
    }

    /// As `remove`, for a chain.
    pub fn remove_chain(&self, id: NfpId) -> Result<()> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.mark_chain(id, ChainState::Leaving)?;
        self.fabric.remove_chain(id)
    }

    fn mark_chain(&self, id: NfpId, state: ChainState) -> Result<()> {
        self.store.write(Durability::Lazy, |tx| {
            if let Some(mut now) = tx.get::<Chain>(&id)? {
                now.state = state;
                tx.put(&now)?;
            }
            Ok(())
        })
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
        self.fabric.remove_segment(id)?;
        self.project()?;
        if found.as_ref().is_none_or(Segment::wants_host_port) {
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
    pub(super) fn captures(&self) -> &Captures {
        &self.captures
    }
    pub fn host(&self) -> &Arc<dyn HostNet> {
        &self.host
    }
}
