//! The box's capacity as an OSS reads it (SOL005 10.5.2), and thresholds on it.
//!
//! Owns which measurements there are, each with its unit (SOL005 names none of its own), and how a threshold is
//! crossed. Never: the sums (`vim::zones`), or who is told.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    id::ProjectId,
    pm::{Direction, Milli, crosses},
    time::Stamp,
};

/// The zone of what all guests share; each NUMA node is one of its own, of what guests have for themselves.
pub const HOST: &str = "host";

/// `resourceType` (SOL005 10.5.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    VrCompute,
    VrNetwork,
    VrStorage,
    HostCompute,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::VrCompute => "VR_COMPUTE",
            Kind::VrNetwork => "VR_NETWORK",
            Kind::VrStorage => "VR_STORAGE",
            Kind::HostCompute => "HOST_COMPUTE",
        }
    }
}

/// What can be measured here. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// Virtual CPUs that float over shared CPUs, by the overcommit.
    Vcpu,
    /// Memory in small pages, QEMU's own with it.
    Vmemory,
    Vdisk,
    VirtualFunction,
    /// CPUs of a NUMA node: those that guests have are theirs alone.
    Cpu,
    HugePages2M,
    HugePages1G,
}

impl Measure {
    pub const ALL: [Measure; 7] = [
        Measure::Vcpu,
        Measure::Vmemory,
        Measure::Vdisk,
        Measure::VirtualFunction,
        Measure::Cpu,
        Measure::HugePages2M,
        Measure::HugePages1G,
    ];

    /// `capacityMeasurementName`.
    pub fn name(self) -> &'static str {
        match self {
            Measure::Vcpu => "Vcpu",
            Measure::Vmemory => "Vmemory",
            Measure::Vdisk => "Vdisk",
            Measure::VirtualFunction => "VirtualFunction",
            Measure::Cpu => "Cpu",
            Measure::HugePages2M => "HugePages2M",
            Measure::HugePages1G => "HugePages1G",
        }
    }
    pub fn kind(self) -> Kind {
        match self {
            Measure::Vcpu | Measure::Vmemory => Kind::VrCompute,
            Measure::Vdisk => Kind::VrStorage,
            Measure::VirtualFunction => Kind::VrNetwork,
            Measure::Cpu | Measure::HugePages2M | Measure::HugePages1G => Kind::HostCompute,
        }
    }
    pub fn unit(self) -> &'static str {
        match self {
            Measure::Vcpu => "vCPU",
            Measure::Vmemory | Measure::Vdisk => "MiB",
            Measure::VirtualFunction => "VF",
            Measure::Cpu => "CPU",
            Measure::HugePages2M => "page of 2 MiB",
            Measure::HugePages1G => "page of 1 GiB",
        }
    }
    /// Grants to foreign VNFMs keep some of it until it is taken.
    pub fn is_reservable(self) -> bool {
        match self {
            Measure::Vcpu | Measure::Vmemory | Measure::Vdisk => true,
            Measure::VirtualFunction | Measure::Cpu | Measure::HugePages2M | Measure::HugePages1G => false,
        }
    }

    /// By both its names; what nobody measures is refused by name.
    pub fn find(kind: Kind, name: &str) -> Result<Measure, String> {
        let known = Measure::ALL.into_iter().filter(|m| m.kind() == kind);
        known.clone().find(|m| m.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let all: Vec<&str> = known.map(Measure::name).collect();
            format!(
                "criteria.capacityMetric.capacityMeasurementName: nobody measures '{name}' of {} here; measured: {}",
                kind.word(),
                all.join(", ")
            )
        })
    }
}

/// `capacityType`. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Total,
    Allocated,
    Reserved,
    Available,
}

/// `NfviCapacityMeasurement`, in the measure's unit. What there is for guests: the host's own reserve is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub measure: Measure,
    pub total: u64,
    pub allocated: u64,
    /// Of what can be reserved.
    pub reserved: Option<u64>,
    pub available: u64,
}

impl Figures {
    pub fn of(self, side: Side) -> u64 {
        match side {
            Side::Total => self.total,
            Side::Allocated => self.allocated,
            Side::Reserved => self.reserved.unwrap_or(0),
            Side::Available => self.available,
        }
    }
}

/// `NfviCapacityInfoPerZone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub id: SmolStr,
    pub figures: Vec<Figures>,
}

impl Zone {
    pub fn figures(&self, m: Measure) -> Option<Figures> {
        self.figures.iter().find(|f| f.measure == m).copied()
    }
}

/// One of `simpleThresholdDetails`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub value: Milli,
    pub hysteresis: Milli,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityThreshold {
    pub id: Uuid,
    pub project: ProjectId,
    /// None: all that have the measure.
    pub zones: Vec<SmolStr>,
    pub measure: Measure,
    pub side: Side,
    pub limits: Vec<Limit>,
    /// Which way each zone went last over the limit of that number.
    pub went: Vec<(SmolStr, u32, Direction)>,
    /// The last crossing.
    pub crossed: Option<CapacityCrossing>,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityCrossing {
    pub at: Stamp,
    pub zone: SmolStr,
    pub direction: Direction,
    pub figures: Figures,
    /// Counts the crossings of its threshold.
    pub number: u32,
}

/// What is told of capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapacityNews {
    pub threshold: Uuid,
    pub crossing: CapacityCrossing,
}

/// Limits of one threshold: each look goes through all of them, in each zone.
pub const MOST_LIMITS: usize = 10;
/// Zones that one threshold names; no box has more nodes.
pub const MOST_ZONES: usize = 64;

impl CapacityThreshold {
    /// SOL005 10.5.3.3, as of performance; but the first look tells on which side a zone is, so that a shortage that is
    /// there already is heard of. One crossing at a time: to be repeated until there is none.
    pub fn look(&mut self, zones: &[Zone], at: Stamp) -> bool {
        let mine = zones.iter().filter(|z| self.zones.is_empty() || self.zones.contains(&z.id));
        for (zone, figures) in mine.filter_map(|z| Some((&z.id, z.figures(self.measure)?))) {
            let value = Milli(i64::try_from(figures.of(self.side)).unwrap_or(i64::MAX).saturating_mul(1000));
            for (n, limit) in (0u32..).zip(&self.limits) {
                let went = self.went.iter().position(|(z, of, _)| z == zone && *of == n);
                let Some(direction) = crosses(value, limit.value, limit.hysteresis, went.map(|i| self.went[i].2)) else { continue };
                match went {
                    Some(i) => self.went[i].2 = direction,
                    None => self.went.push((zone.clone(), n, direction)),
                }
                let number = self.crossed.as_ref().map_or(0, |c| c.number) + 1;
                self.crossed = Some(CapacityCrossing { at, zone: zone.clone(), direction, figures, number });
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(id: &str, available: u64) -> Zone {
        let figures = Figures { measure: Measure::Vcpu, total: 16, allocated: 16 - available, reserved: Some(0), available };
        Zone { id: id.into(), figures: vec![figures] }
    }

    fn threshold(zones: &[&str], limits: &[(f64, f64)]) -> CapacityThreshold {
        CapacityThreshold {
            id: Uuid::nil(),
            project: ProjectId::DEFAULT,
            zones: zones.iter().map(SmolStr::new).collect(),
            measure: Measure::Vcpu,
            side: Side::Available,
            limits: limits.iter().map(|(v, h)| Limit { value: Milli::of(*v), hysteresis: Milli::of(*h) }).collect(),
            went: Vec::new(),
            crossed: None,
            revision: 1,
        }
    }

    /// All crossings of one look.
    fn crossings(t: &mut CapacityThreshold, zones: &[Zone]) -> Vec<(String, Direction, u64)> {
        let mut all = Vec::new();
        while t.look(zones, Stamp(1)) {
            let c = t.crossed.clone().expect("a crossing");
            all.push((c.zone.to_string(), c.direction, c.figures.available));
        }
        all
    }

    #[test]
    fn a_shortage_is_told_once_each_way_past_the_hysteresis_and_at_first_where_it_stands() {
        for (limit, readings, want) in [
            ((5.0, 1.0), vec![4, 3, 5, 6, 6, 4], vec![(4, Direction::Down), (6, Direction::Up), (4, Direction::Down)]),
            ((5.0, 1.0), vec![9, 5, 4], vec![(9, Direction::Up), (4, Direction::Down)]),
            ((5.0, 1.0), vec![5, 5], vec![]),
            ((5.0, 0.0), vec![5, 5, 4, 5, 6, 5], vec![(5, Direction::Up), (4, Direction::Down), (6, Direction::Up)]),
        ] {
            let mut t = threshold(&[], &[limit]);
            let told: Vec<(u64, Direction)> =
                readings.iter().flat_map(|n| crossings(&mut t, &[zone(HOST, *n)])).map(|(_, d, n)| (n, d)).collect();
            assert_eq!(told, want, "{limit:?} {readings:?}");
        }
    }

    #[test]
    fn each_zone_that_is_meant_and_each_limit_is_crossed_by_itself() {
        let zones = [zone("a", 2), zone("b", 9)];
        let mut t = threshold(&[], &[(5.0, 1.0), (1.0, 0.5)]);
        let told = crossings(&mut t, &zones);
        let (up, down) = (Direction::Up, Direction::Down);
        assert_eq!(told, [("a".into(), down, 2), ("a".into(), up, 2), ("b".into(), up, 9), ("b".into(), up, 9)]);
        assert_eq!(crossings(&mut t, &zones), []);
        assert_eq!(crossings(&mut threshold(&["b"], &[(5.0, 1.0)]), &zones), [("b".into(), up, 9)]);
        let mut other = threshold(&[], &[(5.0, 1.0)]);
        other.measure = Measure::Vdisk;
        assert_eq!(crossings(&mut other, &zones), [], "no zone has it");
    }

    #[test]
    fn what_nobody_measures_is_refused_by_name() {
        assert_eq!(Measure::find(Kind::VrCompute, "vMemory"), Ok(Measure::Vmemory));
        let why = Measure::find(Kind::VrCompute, "Vdisk").expect_err("of storage");
        assert!(why.contains("'Vdisk' of VR_COMPUTE") && why.contains("Vcpu, Vmemory"), "{why}");
    }
}
