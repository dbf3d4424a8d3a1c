//! From counters to values: pure.
//!
//! Owns what a counter that begins anew means (its guest was started again: it counts from nothing), and the sums over the
//! guests and interfaces of an object. Never: reads a counter.

use std::collections::HashMap;

use smol_str::SmolStr;
use uuid::Uuid;

use crate::{
    model::{
        id::{IfName, NsId, VnfId, VnfcId},
        ns::NsInstance,
        pm::{Count, How, Metric, Milli, ObjectType, Point, What},
        vnf::{Body, VnfInstance},
    },
    vim::port::{GuestStats, NicCounters},
};

/// What is measured as one: an object, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub object: Uuid,
    pub part: Option<SmolStr>,
    /// With their vCPUs.
    pub guests: Vec<(VnfcId, u32)>,
    pub nics: Vec<(VnfcId, IfName, Point)>,
}

/// The groups of a VNF.
pub fn of_vnf(v: &VnfInstance, of: ObjectType) -> Vec<Group> {
    let Some(body) = &v.body else { return Vec::new() };
    let VnfId(object) = v.id;
    let nics = |point: Point| nics(body, move |p| (p.ext_cp.is_some() == (point == Point::VnfExtCp)).then_some(point));
    match of {
        ObjectType::Vnf => {
            let mut all = nics(Point::VnfIntCp);
            all.extend(nics(Point::VnfExtCp));
            vec![Group { object, part: None, guests: body.vnfcs.iter().map(|c| (c.id, c.vcpus)).collect(), nics: all }]
        }
        ObjectType::Vnfc => {
            let one = |c: &crate::model::vnf::Vnfc| Group {
                object,
                part: Some(SmolStr::new(c.id.to_string())),
                guests: vec![(c.id, c.vcpus)],
                nics: Vec::new(),
            };
            body.vnfcs.iter().map(one).collect()
        }
        ObjectType::VnfExtCp => {
            let one = |cp: &crate::model::vnf::ExtCpInst| Group {
                object,
                part: Some(SmolStr::new(cp.id.to_string())),
                guests: Vec::new(),
                nics: self::nics(body, |p| cp.ports.contains(&p.id).then_some(Point::VnfExtCp)),
            };
            body.ext_cps.iter().map(one).collect()
        }
        ObjectType::VnfIntCp => {
            let ports =
                body.vnfcs.iter().flat_map(|c| c.ports.iter().map(move |p| (c.id, p))).filter(|(_, p)| p.ext_cp.is_none() && p.is_nic());
            let one = |(guest, p): (VnfcId, &crate::model::vnf::Port)| Group {
                object,
                part: Some(SmolStr::new(p.id.to_string())),
                guests: Vec::new(),
                nics: vec![(guest, p.ifname.clone(), Point::VnfIntCp)],
            };
            ports.map(one).collect()
        }
        ObjectType::Ns | ObjectType::Sap => Vec::new(),
    }
}

/// The groups of a service: its SAPs, by the interfaces of its members on them.
pub fn of_ns(ns: &NsInstance, members: &[VnfInstance], of: ObjectType) -> Vec<Group> {
    let NsId(object) = ns.id;
    let on = |segment| {
        let of_member =
            |v: &VnfInstance| v.body.as_ref().map(|b| nics(b, |p| (p.segment == segment).then_some(Point::Sap))).unwrap_or_default();
        members.iter().flat_map(of_member).collect::<Vec<_>>()
    };
    let saps = ns.saps.iter().map(|(sap, segment)| Group { object, part: Some(sap.clone()), guests: Vec::new(), nics: on(*segment) });
    match of {
        ObjectType::Sap => saps.collect(),
        ObjectType::Ns => vec![Group { object, part: None, guests: Vec::new(), nics: saps.flat_map(|g| g.nics).collect() }],
        ObjectType::Vnf | ObjectType::Vnfc | ObjectType::VnfIntCp | ObjectType::VnfExtCp => Vec::new(),
    }
}

fn nics(body: &Body, of: impl Fn(&crate::model::vnf::Port) -> Option<Point> + Copy) -> Vec<(VnfcId, IfName, Point)> {
    let one = |c: &crate::model::vnf::Vnfc| {
        let id = c.id;
        c.ports.iter().filter(|p| p.is_nic()).filter_map(move |p| Some((id, p.ifname.clone(), of(p)?))).collect::<Vec<_>>()
    };
    body.vnfcs.iter().flat_map(one).collect()
}

/// Counters of guests since a moment.
#[derive(Debug, Clone, Default)]
pub struct Since {
    last: HashMap<VnfcId, GuestStats>,
    /// Whether there was a reading before: who is new after the first began from nothing.
    begun: bool,
    sums: HashMap<VnfcId, Sums>,
    /// Since the sums began.
    pub seconds: f64,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    cpu_ns: u64,
    nics: HashMap<IfName, NicCounters>,
}

/// How much more it is; less than before: it began anew.
fn more(before: Option<u64>, now: u64, begun: bool) -> u64 {
    match before {
        Some(b) if now >= b => now - b,
        Some(_) => now,
        None if begun => now,
        None => 0,
    }
}

impl Since {
    /// Takes a reading, `seconds` after the one before it; a guest that is not in it is off.
    pub fn take(&mut self, now: &HashMap<VnfcId, GuestStats>, seconds: f64) {
        let begun = self.begun;
        if begun {
            self.seconds += seconds;
        }
        for (id, s) in now {
            let before = self.last.get(id);
            let sums = self.sums.entry(*id).or_default();
            sums.cpu_ns += more(before.map(|b| b.cpu_ns), s.cpu_ns, begun);
            for (name, c) in &s.nics {
                let was = before.and_then(|b| b.nics.iter().find(|(n, _)| n == name)).map(|(_, c)| *c);
                let sum = sums.nics.entry(name.clone()).or_default();
                sum.rx_bytes += more(was.map(|w| w.rx_bytes), c.rx_bytes, begun);
                sum.tx_bytes += more(was.map(|w| w.tx_bytes), c.tx_bytes, begun);
                sum.rx_packets += more(was.map(|w| w.rx_packets), c.rx_packets, begun);
                sum.tx_packets += more(was.map(|w| w.tx_packets), c.tx_packets, begun);
            }
            // Kept while it is off, for its next reading.
            self.last.insert(*id, s.clone());
        }
        self.begun = true;
    }

    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// The sums begin anew, the counters do not.
    pub fn restart(&mut self) {
        self.sums.clear();
        self.seconds = 0.0;
    }

    /// The value of a metric since the sums began; `now` are the guests that run. `None`: there is none.
    pub fn value(&self, g: &Group, metric: Metric, now: &HashMap<VnfcId, GuestStats>) -> Option<Milli> {
        let share = |part: f64, of: f64| (of > 0.0).then(|| Milli::of((part / of * 100.0).clamp(0.0, 100.0)));
        let there = || g.guests.iter().filter_map(|(id, _)| now.get(id));
        match metric {
            Metric::Usage(What::Vcpu, How::Mean | How::Peak) => {
                let vcpus: u32 = g.guests.iter().map(|(_, n)| n).sum();
                let used: u64 = g.guests.iter().filter_map(|(id, _)| self.sums.get(id)).map(|s| s.cpu_ns).sum();
                share(used as f64, self.seconds * f64::from(vcpus) * 1e9)
            }
            Metric::Usage(What::Memory, How::Mean | How::Peak) => {
                share(there().map(|s| s.memory_used_kib as f64).sum(), there().map(|s| s.memory_kib as f64).sum())
            }
            Metric::Usage(What::Disk, How::Mean | How::Peak) => {
                share(there().map(|s| s.disk_used as f64).sum(), there().map(|s| s.disk as f64).sum())
            }
            Metric::Traffic(point, count) => {
                let of_point = g.nics.iter().filter(|(_, _, p)| *p == point);
                let sums = of_point.filter_map(|(id, name, _)| self.sums.get(id)?.nics.get(name));
                let sum: u64 = sums
                    .map(|c| match count {
                        Count::ByteIncoming => c.rx_bytes,
                        Count::ByteOutgoing => c.tx_bytes,
                        Count::PacketIncoming => c.rx_packets,
                        Count::PacketOutgoing => c.tx_packets,
                    })
                    .sum();
                Some(Milli(i64::try_from(sum).unwrap_or(i64::MAX / 1000).saturating_mul(1000)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(cpu_s: u64, rx: u64) -> GuestStats {
        let nic = NicCounters { rx_bytes: rx, tx_bytes: 2 * rx, rx_packets: 1, tx_packets: 1 };
        GuestStats {
            cpu_ns: cpu_s * 1_000_000_000,
            memory_kib: 1000,
            memory_used_kib: 250,
            disk: 100,
            disk_used: 10,
            nics: vec![("eth0".parse().expect("a name"), nic)],
        }
    }

    #[test]
    fn a_counter_that_begins_anew_gives_no_negative_value() {
        let id = VnfcId(Uuid::from_u128(1));
        let g = Group {
            object: Uuid::nil(),
            part: None,
            guests: vec![(id, 2)],
            nics: vec![(id, "eth0".parse().expect("a name"), Point::VnfExtCp)],
        };
        let cpu = Metric::Usage(What::Vcpu, How::Mean);
        let bytes = Metric::Traffic(Point::VnfExtCp, Count::ByteIncoming);
        let mut since = Since::default();
        // (CPU seconds and bytes as the guest counts them; None: it is off), CPU in percent, bytes.
        for (n, (reading, want_cpu, want_bytes)) in [
            (Some((100, 5000)), None, 0.0),
            (Some((110, 5400)), Some(50.0), 400.0),
            // Started again: it counts from nothing.
            (Some((4, 100)), Some(20.0), 100.0),
            (None, Some(0.0), 0.0),
            (Some((10, 300)), Some(30.0), 200.0),
            (Some((40, 300)), Some(100.0), 0.0),
        ]
        .into_iter()
        .enumerate()
        {
            let now: HashMap<VnfcId, GuestStats> = reading.map(|(c, b)| (id, stats(c, b))).into_iter().collect();
            since.restart();
            since.take(&now, 10.0);
            assert_eq!(since.value(&g, cpu, &now).map(Milli::value), want_cpu, "reading {n}");
            assert_eq!(since.value(&g, bytes, &now).map(Milli::value), Some(want_bytes), "reading {n}");
            let memory = since.value(&g, Metric::Usage(What::Memory, How::Mean), &now).map(Milli::value);
            assert_eq!(memory, reading.map(|_| 25.0), "what is off uses nothing that can be told");
        }
        // A guest that came later has counted from its start.
        let other = VnfcId(Uuid::from_u128(2));
        let both = HashMap::from([(id, stats(40, 300)), (other, stats(1, 77))]);
        since.restart();
        since.take(&both, 10.0);
        let late = Group { guests: vec![(other, 1)], nics: vec![(other, "eth0".parse().expect("a name"), Point::VnfExtCp)], ..g };
        assert_eq!(since.value(&late, bytes, &both), Some(Milli(77_000)));
    }
}
