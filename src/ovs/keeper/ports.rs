//! Ports of the bridge as they shall be: Bothy's own, and guests'.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{Asked, Keeper, Look, Work, is_inner};
use crate::{
    model::{
        error::{Fault, Result},
        id::{IfKind, IfName, SegmentId, if_name},
    },
    ovs::{
        fabric::BRIDGE,
        places::names,
        plan::{self, GuestPort, Vlans, Wanted},
        rows::Port,
        switch::own_mtu,
    },
    sdn::{
        link::{PortAt, SwitchLink},
        port::{PortKind, SwitchPort},
    },
};

/// libvirt takes a port off the switch a moment before its interface goes; what stays longer was
/// lost.
const LOST_AFTER: Duration = Duration::from_secs(2);

impl Keeper {
    /// The bridge, and ports that Bothy makes itself.
    pub(super) fn own_ports(
        &self,
        work: &mut Work,
        ports: &BTreeMap<IfName, SwitchPort>,
        links: &BTreeMap<SegmentId, Arc<SwitchLink>>,
        look: &mut Look,
    ) -> Result<()> {
        if self.switch.db.view(|m| m.bridge(BRIDGE).is_none())? {
            tracing::warn!(bridge = BRIDGE, "the bridge is gone: it is made again");
            self.switch.ensure_ready()?;
        } else if self.switch.db.view(|m| own_mtu(m, BRIDGE).is_some())? {
            self.switch.ensure_ready()?;
        }
        let mut wanted: HashMap<&IfName, Vec<Wanted>> = HashMap::new();
        for p in ports.values() {
            wanted.insert(&p.name, self.switch.parts(p)?);
        }
        let mut inner = Vec::new();
        for l in links.values() {
            for p in &l.ports {
                if let PortAt::Trunk { station, .. } = p.at {
                    let name = if_name(IfKind::Trunk, &station.0);
                    inner.push((l.segment, Wanted::inner(&name, l.segment, l.vlan, l.transparent, p.isolated)?));
                }
            }
        }
        let (lost, unmade, extra) = self.switch.db.view(|m| {
            let by_name = names(m);
            let whole = |w: &Wanted| by_name.get(w.name.as_str()).is_some_and(|p| plan::is_whole(m, p, w));
            let lost = |p: &&SwitchPort| !wanted.get(&p.name).is_some_and(|all| all.iter().all(whole)) || !self.switch.leads_out(m, p);
            let unmade =
                |w: &&(SegmentId, [Wanted; 2])| w.1.iter().any(|w| by_name.get(w.name.as_str()).is_none_or(|p| !plan::is_as(p, w)));
            let kept: HashSet<&str> = inner.iter().flat_map(|(_, w)| w).map(|w| w.name.as_str()).collect();
            let extra = |p: &&&Port| {
                is_inner(&p.name)
                    && !kept.contains(p.name.as_str())
                    && plan::segment_of(p).is_some_and(|s| links.contains_key(&s) || s.0.is_nil())
            };
            (
                ports.values().filter(lost).cloned().collect::<Vec<_>>(),
                inner.iter().filter(unmade).cloned().collect::<Vec<_>>(),
                by_name.values().filter(extra).filter_map(|p| p.name.parse::<IfName>().ok()).collect::<Vec<_>>(),
            )
        })?;
        for p in lost {
            match self.switch.ensure_port(&p) {
                Ok(()) => {
                    tracing::warn!(port = %p.name, "a port was lost or changed: it is as it was again");
                    work.remade |= matches!(p.kind, PortKind::Host { .. });
                }
                Err(why) => look.faults.push((vec![Asked::Link(p.segment)], why)),
            }
        }
        for (segment, [near, far]) in unmade {
            if let Err(why) = self.switch.ensure_all(&[(BRIDGE, &near), (BRIDGE, &far)]) {
                look.faults.push((vec![Asked::Link(segment)], why));
            }
        }
        for name in extra {
            self.switch.remove_port(&name)?;
        }
        Ok(())
    }

    /// Guests' ports: as their links want them, and put back where they were lost.
    pub(super) fn guests(
        &self,
        work: &mut Work,
        links: &BTreeMap<SegmentId, Arc<SwitchLink>>,
        look: &mut Look,
        until: Instant,
    ) -> Result<()> {
        let wanted: HashMap<&str, GuestPort> = links
            .values()
            .flat_map(|l| l.ports.iter().map(move |p| (l, p)))
            .filter_map(|(l, p)| {
                let (vlans, isolated) = match p.at {
                    PortAt::Guest if l.transparent => (Vlans::Tunnel(l.vlan.get()), p.isolated),
                    PortAt::Guest => (Vlans::Access(l.vlan.get()), p.isolated),
                    PortAt::Wire => (Vlans::Nowhere, false),
                    PortAt::Trunk { .. } | PortAt::Own => return None,
                };
                // Frames without a tag of their own are the link's, whichever tags pass.
                let listed = matches!(vlans, Vlans::Tunnel(_)) && !p.only.is_empty();
                let only = if listed { p.only.iter().map(|v| v.get()).chain([0]).collect() } else { BTreeSet::new() };
                Some((p.name.as_str(), GuestPort { name: p.name.clone(), vlans, isolated, only }))
            })
            .collect();
        let (bridge, absent, gone, change) = self.switch.db.view(|m| {
            let (id, row) = m.bridge(BRIDGE).ok_or_else(|| Fault::transient(format!("bridge {BRIDGE} is gone again")))?;
            let by_name = names(m);
            let absent: Vec<GuestPort> = wanted.iter().filter(|(n, _)| !by_name.contains_key(*n)).map(|(_, g)| g.clone()).collect();
            let failed = |p: &Port| m.interface_of(p).is_none_or(|(_, i)| plan::trouble(i).is_some());
            let gone: Vec<(Uuid, String)> = row
                .ports
                .iter()
                .filter_map(|id| Some((*id, m.ports.get(id)?)))
                .filter(|(_, p)| plan::was_put_back(p) && failed(p))
                .map(|(id, p)| (id, p.name.clone()))
                .collect();
            Ok::<_, Fault>((id, absent, gone, plan::guests(m, id, row, &wanted)))
        })??;
        if let Some(txn) = change {
            self.switch.db.apply(txn, until)?;
        }
        let gone: Vec<Uuid> = gone.into_iter().filter(|(_, name)| !exists(name)).map(|(id, _)| id).collect();
        if !gone.is_empty() {
            self.switch.db.apply(plan::take_back(bridge, &gone), until)?;
        }
        let wiped = work.bridge.replace(bridge).is_some_and(|had| had != bridge);
        let now = Instant::now();
        let absent: Vec<GuestPort> = absent.into_iter().filter(|g| exists(g.name.as_str())).collect();
        work.missing.retain(|name, _| absent.iter().any(|g| g.name == *name));
        let mut back = Vec::new();
        for g in &absent {
            let since = *work.missing.entry(g.name.clone()).or_insert(now);
            if wiped || since + LOST_AFTER <= now {
                back.push(g);
            } else {
                look.next = Some(look.next.map_or(since + LOST_AFTER, |n| n.min(since + LOST_AFTER)));
            }
        }
        if !back.is_empty() {
            tracing::warn!(ports = back.len(), "guests lost their ports: they are put back");
            self.switch.db.apply(plan::put_back(bridge, BRIDGE, &back), until)?;
        }
        Ok(())
    }
}

/// The host has an interface of this name.
fn exists(name: &str) -> bool {
    nix::net::if_::if_nametoindex(name).is_ok()
}
