//! Performance management: jobs, their reports, thresholds (SOL003 6.5, SOL005 7.5), and what is measured (ETSI GS NFV-IFA 027 7.2, 7.3).
//!
//! Owns the metrics that this box measures, by IFA 027's names, and how a threshold is crossed. Values are thousandths,
//! so that records compare. Never: where counters come from, when they are read.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    error::{Fault, Result},
    id::ProjectId,
    time::Stamp,
};

/// Thousandths of a percent, byte or packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Milli(pub i64);

impl Milli {
    pub fn of(v: f64) -> Milli {
        Milli((v * 1000.0).round() as i64)
    }
    pub fn value(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

/// `objectType`. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectType {
    Vnf,
    Vnfc,
    VnfIntCp,
    VnfExtCp,
    Ns,
    Sap,
}

impl ObjectType {
    pub const ALL: [ObjectType; 6] =
        [ObjectType::Vnf, ObjectType::Vnfc, ObjectType::VnfIntCp, ObjectType::VnfExtCp, ObjectType::Ns, ObjectType::Sap];

    pub fn word(self) -> &'static str {
        match self {
            ObjectType::Vnf => "Vnf",
            ObjectType::Vnfc => "Vnfc",
            ObjectType::VnfIntCp => "VnfIntCp",
            ObjectType::VnfExtCp => "VnfExtCp",
            ObjectType::Ns => "Ns",
            ObjectType::Sap => "Sap",
        }
    }
    pub fn of_service(self) -> bool {
        match self {
            ObjectType::Ns | ObjectType::Sap => true,
            ObjectType::Vnf | ObjectType::Vnfc | ObjectType::VnfIntCp | ObjectType::VnfExtCp => false,
        }
    }
    /// It is measured by its parts.
    pub fn has_parts(self) -> bool {
        match self {
            ObjectType::Vnf | ObjectType::Ns => false,
            ObjectType::Vnfc | ObjectType::VnfIntCp | ObjectType::VnfExtCp | ObjectType::Sap => true,
        }
    }
    fn measures(self, m: Metric) -> bool {
        match (self, m) {
            (ObjectType::Vnf | ObjectType::Vnfc, Metric::Usage(..)) => true,
            (ObjectType::Vnf, Metric::Traffic(Point::VnfIntCp | Point::VnfExtCp, _)) => true,
            (ObjectType::VnfIntCp, Metric::Traffic(p, _)) => p == Point::VnfIntCp,
            (ObjectType::VnfExtCp, Metric::Traffic(p, _)) => p == Point::VnfExtCp,
            (ObjectType::Ns | ObjectType::Sap, Metric::Traffic(p, _)) => p == Point::Sap,
            (ObjectType::VnfIntCp | ObjectType::VnfExtCp | ObjectType::Ns | ObjectType::Sap, Metric::Usage(..))
            | (ObjectType::Vnf | ObjectType::Vnfc, Metric::Traffic(..)) => false,
        }
    }
    /// Every metric of this kind of object.
    pub fn metrics(self) -> Vec<Metric> {
        Metric::all().into_iter().filter(|m| self.measures(*m)).collect()
    }
}

/// Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Vcpu,
    Memory,
    Disk,
}
/// Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    Mean,
    Peak,
}
/// Where traffic is counted. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    VnfIntCp,
    VnfExtCp,
    Sap,
}
/// As the VNF sees it. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Count {
    ByteIncoming,
    ByteOutgoing,
    PacketIncoming,
    PacketOutgoing,
}

/// What can be measured here. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Metric {
    /// Percent of what the object has.
    Usage(What, How),
    /// How many in the collection period.
    Traffic(Point, Count),
}

impl Metric {
    pub fn all() -> Vec<Metric> {
        let usages = [What::Vcpu, What::Memory, What::Disk].into_iter().flat_map(|w| [How::Mean, How::Peak].map(|h| Metric::Usage(w, h)));
        let counts = [Count::ByteIncoming, Count::ByteOutgoing, Count::PacketIncoming, Count::PacketOutgoing];
        let points = [Point::VnfIntCp, Point::VnfExtCp, Point::Sap];
        usages.chain(points.into_iter().flat_map(|p| counts.map(|c| Metric::Traffic(p, c)))).collect()
    }

    /// "Measurement Name" of IFA 027.
    pub fn name(self) -> String {
        match self {
            Metric::Usage(w, h) => {
                let what = match w {
                    What::Vcpu => "Vcpu",
                    What::Memory => "Vmemory",
                    What::Disk => "Vdisk",
                };
                let how = match h {
                    How::Mean => "Mean",
                    How::Peak => "Peak",
                };
                format!("{what}Usage{how}Vnf")
            }
            Metric::Traffic(p, c) => {
                let count = match c {
                    Count::ByteIncoming => "ByteIncoming",
                    Count::ByteOutgoing => "ByteOutgoing",
                    Count::PacketIncoming => "PacketIncoming",
                    Count::PacketOutgoing => "PacketOutgoing",
                };
                let point = match p {
                    Point::VnfIntCp => "VnfIntCp",
                    Point::VnfExtCp => "VnfExtCp",
                    Point::Sap => "Sap",
                };
                format!("{count}{point}")
            }
        }
    }

    /// "Measurement Group": what has one sort of source.
    fn group(self) -> &'static str {
        match self {
            Metric::Usage(What::Vcpu, _) => "VirtualisedComputeResource",
            Metric::Usage(What::Memory, _) => "VirtualisedMemoryResource",
            Metric::Usage(What::Disk, _) => "VirtualisedStorageResource",
            Metric::Traffic(..) => "VirtualisedNetworkResource",
        }
    }
}

/// A metric as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub name: SmolStr,
    pub metric: Metric,
}

/// Metrics by name, in any case of letters; a suffix `.ID` that names a measured object is understood, as Tacker writes
/// it. What nobody measures is a fault by its name.
pub fn ask(of: ObjectType, names: &[String], groups: &[String], objects: &[Uuid], faults: &mut Vec<String>) -> Vec<Asked> {
    let known = of.metrics();
    let words = || known.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
    let mut out: Vec<Asked> = Vec::new();
    for name in names {
        let (bare, suffix) = name.split_once('.').unwrap_or((name, ""));
        let is_ours = suffix.is_empty() || Uuid::parse_str(suffix).is_ok_and(|id| objects.contains(&id));
        match known.iter().find(|m| is_ours && m.name().eq_ignore_ascii_case(bare)) {
            Some(m) => out.push(Asked { name: name.into(), metric: *m }),
            None => {
                faults.push(format!("criteria.performanceMetric: nobody measures '{name}' of a {} here; measured: {}", of.word(), words()))
            }
        }
    }
    for group in groups {
        let of_it: Vec<Asked> =
            known.iter().filter(|m| m.group().eq_ignore_ascii_case(group)).map(|m| Asked { name: m.name().into(), metric: *m }).collect();
        if of_it.is_empty() {
            faults.push(format!("criteria.performanceMetricGroup: nobody measures '{group}' of a {} here", of.word()));
        }
        out.extend(of_it);
    }
    if names.is_empty() && groups.is_empty() {
        faults.push("criteria: one of performanceMetric and performanceMetricGroup is needed".into());
    }
    // What is named twice, or by its group too, is measured once.
    let mut seen: Vec<Metric> = Vec::new();
    out.retain(|a| {
        !seen.contains(&a.metric) && {
            seen.push(a.metric);
            true
        }
    });
    out
}

/// `objectType`, of VNFs or of services.
pub fn object_type(word: &str, of_service: bool) -> Result<ObjectType, String> {
    let known: Vec<ObjectType> = ObjectType::ALL.into_iter().filter(|t| t.of_service() == of_service).collect();
    let found = known.iter().find(|t| t.word().eq_ignore_ascii_case(word)).copied();
    found.ok_or_else(|| {
        format!("objectType: '{word}' is not measured here; measured: {}", known.iter().map(|t| t.word()).collect::<Vec<_>>().join(", "))
    })
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PmJob {
    pub id: Uuid,
    pub project: ProjectId,
    pub object_type: ObjectType,
    pub objects: Vec<Uuid>,
    /// Parts that are measured; none: all.
    pub parts: Vec<SmolStr>,
    pub metrics: Vec<Asked>,
    /// As they were asked for.
    pub names: Vec<SmolStr>,
    pub groups: Vec<SmolStr>,
    pub collection_s: u32,
    pub reporting_s: u32,
    pub boundary: Option<Stamp>,
    pub reports: Vec<ReportInfo>,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportInfo {
    pub id: Uuid,
    pub ready: Stamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PmReport {
    pub job: Uuid,
    pub id: Uuid,
    pub ready: Stamp,
    pub object_type: ObjectType,
    pub entries: Vec<ReportEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportEntry {
    pub object: Uuid,
    pub part: Option<SmolStr>,
    pub metric: SmolStr,
    pub values: Vec<(Stamp, Milli)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    pub id: Uuid,
    pub project: ProjectId,
    pub object_type: ObjectType,
    pub object: Uuid,
    pub parts: Vec<SmolStr>,
    pub metric: Asked,
    pub value: Milli,
    pub hysteresis: Milli,
    /// Which way each part went last.
    pub went: Vec<(Option<SmolStr>, Direction)>,
    /// The last crossing.
    pub crossed: Option<Crossing>,
    pub revision: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossing {
    pub at: Stamp,
    pub part: Option<SmolStr>,
    pub direction: Direction,
    pub value: Milli,
    /// Counts the crossings of its threshold.
    pub number: u32,
}

/// `crossingDirection`. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    Up,
    Down,
}

/// Which way a value goes past a limit that it passed the other way last, if it ever did: UP from limit + hysteresis on,
/// DOWN from limit - hysteresis on. Without a hysteresis the limit itself is on both sides: there it stays as it was.
pub fn crosses(value: Milli, limit: Milli, hysteresis: Milli, went: Option<Direction>) -> Option<Direction> {
    let up = value.0 >= limit.0.saturating_add(hysteresis.0);
    let down = value.0 <= limit.0.saturating_sub(hysteresis.0);
    match went {
        None if up => Some(Direction::Up),
        None => down.then_some(Direction::Down),
        Some(Direction::Up) => (down && !up).then_some(Direction::Down),
        Some(Direction::Down) => (up && !down).then_some(Direction::Up),
    }
}

impl Threshold {
    /// SOL003 6.5.3.4: UP from value + hysteresis on, DOWN from value - hysteresis on; each only after the other. One
    /// that was never above does not go down.
    pub fn look(&mut self, part: Option<SmolStr>, value: Milli, at: Stamp) -> bool {
        let went = self.went.iter().position(|(p, _)| *p == part);
        let now = went.map(|i| self.went[i].1);
        let Some(direction) = crosses(value, self.value, self.hysteresis, now) else { return false };
        if (now, direction) == (None, Direction::Down) {
            return false;
        }
        match went {
            Some(i) => self.went[i].1 = direction,
            None => self.went.push((part.clone(), direction)),
        }
        let number = self.crossed.as_ref().map_or(0, |c| c.number) + 1;
        self.crossed = Some(Crossing { at, part, direction, value, number });
        true
    }
}

/// What is told of performance; append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PmNews {
    Ready { job: Uuid, report: Uuid, object_type: ObjectType, object: Uuid },
    Crossed { threshold: Uuid, object_type: ObjectType, object: Uuid, metric: SmolStr, crossing: Crossing },
}

/// Shortest collection period: each is a question to the hypervisor.
pub const LEAST_PERIOD_S: u32 = 1;

/// Periods that can be kept.
pub fn periods(collection: u64, reporting: u64) -> Result<(u32, u32)> {
    let bad = |why: String| Err(Fault::invalid(why));
    match (u32::try_from(collection), u32::try_from(reporting)) {
        (Ok(c), Ok(r)) if c >= LEAST_PERIOD_S && r >= c && r.is_multiple_of(c) && r / c <= 1000 => Ok((c, r)),
        (Ok(c), Ok(r)) if c >= LEAST_PERIOD_S && r >= c => {
            bad(format!("criteria.reportingPeriod: {r} s must be a multiple of collectionPeriod ({c} s), up to 1000 of them"))
        }
        _ => bad(format!(
            "criteria: collectionPeriod is {collection} s and reportingPeriod {reporting} s: a second at least, and reporting no shorter"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_crossed_once_each_way_past_its_hysteresis() {
        let mut t = Threshold {
            id: Uuid::nil(),
            project: ProjectId::DEFAULT,
            object_type: ObjectType::Vnf,
            object: Uuid::nil(),
            parts: Vec::new(),
            metric: Asked { name: "m".into(), metric: Metric::Usage(What::Vcpu, How::Mean) },
            value: Milli::of(50.0),
            hysteresis: Milli::of(5.0),
            went: Vec::new(),
            crossed: None,
            revision: 1,
        };
        let mut went = Vec::new();
        for v in [10.0, 54.9, 55.0, 90.0, 50.0, 45.1, 45.0, 0.0, 54.0, 60.0] {
            if t.look(None, Milli::of(v), Stamp(1)) {
                let c = t.crossed.clone().expect("a crossing");
                went.push((v, c.direction, c.number));
            }
        }
        assert_eq!(went, [(55.0, Direction::Up, 1), (45.0, Direction::Down, 2), (60.0, Direction::Up, 3)]);
        assert!(t.look(Some("b".into()), Milli::of(60.0), Stamp(1)), "each part by itself");
        t.hysteresis = Milli(0);
        assert!(!t.look(None, Milli::of(50.0), Stamp(1)), "the limit itself is no way down");
    }

    #[test]
    fn what_is_named_twice_or_by_its_group_too_is_measured_once() {
        let names = ["VcpuUsageMeanVnf", "VdiskUsagePeakVnf", "vcpuusagemeanvnf"].map(String::from);
        let groups = ["VirtualisedComputeResource", "VirtualisedStorageResource"].map(String::from);
        let mut faults = Vec::new();
        let got = ask(ObjectType::Vnf, &names, &groups, &[], &mut faults);
        let got: Vec<&str> = got.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(got, ["VcpuUsageMeanVnf", "VdiskUsagePeakVnf", "VcpuUsagePeakVnf", "VdiskUsageMeanVnf"]);
        assert_eq!(faults, Vec::<String>::new());
    }

    #[test]
    fn what_nobody_measures_is_refused_by_name() {
        let id = Uuid::from_u128(7);
        for (of, name, ok) in [
            (ObjectType::Vnf, "VcpuUsageMeanVnf".to_owned(), true),
            (ObjectType::Vnf, "VCpuUsageMeanVnf".into(), true),
            (ObjectType::Vnf, format!("VCpuUsageMeanVnf.{id}"), true),
            (ObjectType::Vnf, format!("VcpuUsageMeanVnf.{}", Uuid::from_u128(8)), false),
            (ObjectType::Vnf, "ByteIncomingVnfExtCp".into(), true),
            (ObjectType::VnfIntCp, "ByteIncomingVnfExtCp".into(), false),
            (ObjectType::Sap, "PacketOutgoingSap".into(), true),
            (ObjectType::Ns, "VcpuUsageMeanVnf".into(), false),
            (ObjectType::Vnf, "FanSpeed".into(), false),
        ] {
            let mut faults = Vec::new();
            let asked = ask(of, std::slice::from_ref(&name), &[], &[id], &mut faults);
            assert_eq!((asked.len(), faults.len()), if ok { (1, 0) } else { (0, 1) }, "{name}");
            assert!(faults.iter().all(|f| f.contains(&name)), "{faults:?}");
        }
        let mut faults = Vec::new();
        assert_eq!(ask(ObjectType::Vnf, &[], &["VirtualisedComputeResource".into()], &[], &mut faults).len(), 2);
        ask(ObjectType::Vnf, &[], &[], &[], &mut faults);
        ask(ObjectType::Sap, &[], &["Weather".into()], &[], &mut faults);
        assert_eq!(faults.len(), 2);
    }

    #[test]
    fn periods_are_multiples() {
        for (c, r, ok) in
            [(5, 10, true), (1, 1, true), (0, 5, false), (5, 4, false), (5, 12, false), (1, 1001, false), (1 << 40, 1 << 41, false)]
        {
            assert_eq!(periods(c, r).is_ok(), ok, "{c} {r}");
        }
    }
}
