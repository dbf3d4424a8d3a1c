//! Flows of the bridge as they shall be.
//!
//! Owns: which port is on what, and what is done where the switch refuses. Never: the form of flows.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{Asked, Cached, Event, Keeper, Look, Work, is, is_inner};
use crate::{
    model::{
        error::Result,
        id::{IfKind, IfName, NfpId, SegmentId, if_name},
        sdn::SwitchAddr,
    },
    ovs::{
        chains::rest,
        fabric::BRIDGE,
        flows::{self, Place},
        flowset::{Wanted, begins_at},
        openflow::{Flow, Match, port_number},
        places::{Numbered, numbers},
        plan,
    },
    sdn::{
        chain::SwitchChain,
        link::{LinkPort, PortAt, SwitchLink},
        port::SwitchPort,
    },
};

/// What flows follow from.
type Told<'a> = (&'a BTreeMap<IfName, SwitchPort>, &'a BTreeMap<SegmentId, Arc<SwitchLink>>, &'a BTreeMap<NfpId, Arc<SwitchChain>>);

impl Keeper {
    pub(super) fn connect(&self, work: &mut Work, until: Instant) -> Result<()> {
        let inbox = self.inbox.clone();
        let tell = move |generation, news| {
            // Fails only when the keeper is gone, at the end.
            let _ = inbox.send(Event::OpenFlow(generation, news));
        };
        work.flows.connect(&self.openflow_socket(), until, tell)
    }

    pub(super) fn flows(&self, work: &mut Work, told: Told<'_>, look: &mut Look, until: Instant) -> Result<()> {
        let knew = work.flows.is_connected();
        match self.settle_flows(work, told, &HashSet::new(), look, until) {
            // What was known of the switch is not so any more.
            Err(why) if knew && !work.flows.is_connected() => {
                tracing::info!(%why, "the switch is asked what it has, and brought to what it shall have once more");
                self.settle_flows(work, told, &HashSet::new(), look, until)
            }
            done => done,
        }
    }

    /// `unled`: ports that the switch lets no chain take frames from.
    fn settle_flows(&self, work: &mut Work, told: Told<'_>, unled: &HashSet<u16>, look: &mut Look, until: Instant) -> Result<()> {
        let (ports, links, chains) = told;
        self.connect(work, until)?;
        let places = self.switch.db.view(numbers)?;
        let mut on: HashMap<String, (&Arc<SwitchLink>, LinkPort)> = HashMap::new();
        let mut trunks = Vec::new();
        for l in links.values() {
            for p in &l.ports {
                match p.at {
                    PortAt::Guest | PortAt::Wire | PortAt::Own => drop(on.insert(p.name.to_string(), (l, p.clone()))),
                    PortAt::Trunk { station, tag } => {
                        let near = if_name(IfKind::Trunk, &station.0);
                        let far = plan::far_name(&near)?;
                        on.insert(near.to_string(), (l, LinkPort { guard: None, ..p.clone() }));
                        trunks.push((p.name.to_string(), far.to_string(), tag, p.guard.as_ref()));
                    }
                }
            }
        }
        // The other ends of a tunnel are on the link as the first is.
        for p in ports.values() {
            for end in self.switch.tunnel_ends(p)?.into_iter().skip(1) {
                if let Some(first) = on.get(p.name.as_str()).cloned() {
                    on.insert(end.name.to_string(), first);
                }
            }
        }
        let led: HashSet<&str> = trunks.iter().map(|(_, far, _, _)| far.as_str()).collect();
        let chained: HashSet<&str> = chains.values().flat_map(|c| c.ports()).map(IfName::as_str).collect();
        let metered = work.flows.is_metered();
        let (mut meters, mut unknown) = (BTreeMap::new(), HashSet::new());
        work.cache.retain(|name, _| places.contains_key(name));
        for (name, Numbered { number, .. }) in places.iter().filter(|(n, _)| !led.contains(n.as_str())) {
            let is_on = on.get(name).map(|(l, p)| (l.as_ref(), p));
            // A plug may be an end of a chain: what leads from there stays until its link is told of.
            let untold = is(name, IfKind::Guest)
                || is_inner(name)
                || (is(name, IfKind::Patch) && !work.cache.contains_key(name) && work.flows.has_of(*number));
            if is_on.is_none() && untold {
                unknown.insert(*number);
                continue;
            }
            let chained = chained.contains(name.as_str()) && !unled.contains(number);
            let place = Place { number: port_number(*number), on: is_on, chained };
            if metered {
                meters.extend(flows::meters(&place));
            }
            let link = on.get(name).map(|(l, _)| (*l).clone());
            let same = |c: &Cached| {
                c.number == *number
                    && c.chained == chained
                    && c.metered == metered
                    && match (&c.link, &link) {
                        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                        (None, None) => true,
                        (Some(_), None) | (None, Some(_)) => false,
                    }
            };
            if !work.cache.get(name).is_some_and(same) {
                let flows = flows::of_port(&place).into_iter().map(|f| if metered { f } else { Flow { meter: None, ..f } });
                let flows = flows.map(|f| (f.cookie(*number), f)).collect();
                work.cache.insert(name.clone(), Cached { number: *number, link, chained, metered, flows });
            }
        }
        let mut of_trunks = Vec::new();
        for (nic, far, tag, guard) in &trunks {
            if let (Some(nic), Some(inner)) = (places.get(nic), places.get(far)) {
                let (nic, inner) = (nic.number, inner.number);
                let [inwards, back] = flows::of_trunk(port_number(nic), *tag, port_number(inner), *guard);
                // All of it is the inner port's: while its link is not told of, both ways stay.
                of_trunks.extend(inwards.into_iter().map(|f| (f.cookie(inner), f)));
                of_trunks.extend(back.into_iter().map(|f| (f.cookie(inner), f)));
            }
        }
        work.chains.update(chains, &places);
        let closed = flows::closed();
        let shut = closed.cookie(0);
        let mut wanted = Wanted { meters, unknown, chains: work.chains.owners().collect(), unled: unled.clone(), ..Wanted::default() };
        // After a start of Bothy guests run whose links it is not told of yet: they go on.
        if wanted.unknown.is_empty() || work.flows.has(shut) {
            wanted.flows.insert(shut, &closed);
        }
        wanted.flows.extend(work.cache.values().flat_map(|c| &c.flows).map(|(c, f)| (*c, f)));
        wanted.flows.extend(of_trunks.iter().map(|(c, f)| (*c, f)));
        wanted.flows.extend(work.chains.flows());
        let count = wanted.flows.len();
        let numbers_of =
            |c: &SwitchChain| c.ports().into_iter().filter_map(|p| places.get(p.as_str())).map(|p| p.number).collect::<Vec<u16>>();
        let chains_at = |n: u16| chains.values().filter(move |c| numbers_of(c).contains(&n)).map(|c| Asked::Chain(c.id));
        let brought = work.flows.apply(&wanted, until);
        let of_chain = wanted.chains;
        if !work.flows.is_metered() && metered {
            // The same once more without rates.
            return self.settle_flows(work, told, unled, look, until);
        }
        let brought = brought?;
        let mut more = unled.clone();
        for (cookie, why) in brought.refused {
            let port = begins_at(cookie);
            let of: Vec<Asked> = if let Some(id) = of_chain.get(&cookie) {
                vec![Asked::Chain(*id)]
            } else if rest(Match::InPort(port_number(port))).cookie(port) == cookie && more.insert(port) {
                // Its link does without the chain.
                chains_at(port).collect()
            } else {
                let here = |name: &str| places.get(name).is_some_and(|p| p.number == port);
                let of_links = on.iter().filter(|(name, _)| here(name)).map(|(_, (l, _))| Asked::Link(l.segment));
                of_links.chain(chains_at(port)).collect()
            };
            look.faults.push((of, why));
        }
        if brought.changed > 0 {
            tracing::debug!(changed = brought.changed, flows = count, "flows of the switch");
        }
        if more.len() > unled.len() {
            return self.settle_flows(work, told, &more, look, until);
        }
        Ok(())
    }

    /// Where ovs-vswitchd listens for the bridge: beside the database's socket.
    fn openflow_socket(&self) -> PathBuf {
        match self.switch.db.at() {
            SwitchAddr::Unix(path) => Path::new(path).with_file_name(format!("{BRIDGE}.mgmt")),
            // A box's own switch is on the box.
            SwitchAddr::Tcp(_) => PathBuf::from(format!("/run/openvswitch/{BRIDGE}.mgmt")),
        }
    }
}
