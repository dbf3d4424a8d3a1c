//! Events, subscriptions, and how far each has got.

use super::*;
use crate::model::{
    alarm::*,
    capacity::{CapacityCrossing, CapacityNews, CapacityThreshold, Figures, Limit, Measure, Side},
    event::*,
    grant::ResourceKind,
    indicator::*,
    pm::*,
    subscription::*,
};

pub(super) fn check(g: &Golden) {
    let op = |target, kind, state| {
        News::Op(OpNews { op: OpId(id(22)), target, kind, state, sequence: 3, automatic: true, error: Some(fault(Kind::Conflict)) })
    };
    let news = [
        ("vnf-op", op(Target::Vnf(VnfId(id(20))), OpKind::Instantiate, OpState::Vnf(VnfOpState::Completed))),
        ("ns-op", op(Target::Ns(NsId(id(21))), OpKind::Terminate, OpState::Ns(NsOpState::Processing))),
        ("vnf-made", News::VnfMade(VnfId(id(20)))),
        ("vnf-gone", News::VnfGone(VnfId(id(20)))),
        ("ns-made", News::NsMade(NsId(id(21)))),
        ("ns-gone", News::NsGone(NsId(id(21)))),
        ("onboarded", News::Package(VnfPkgId(id(1)), CatalogueNews::Onboarded)),
        ("failed", News::Nsd(NsdInfoId(id(2)), CatalogueNews::Failed(fault(Kind::Invalid)))),
        ("operational", News::Nsd(NsdInfoId(id(2)), CatalogueNews::Operational(Operational::Disabled))),
        ("gone", News::Package(VnfPkgId(id(1)), CatalogueNews::Gone)),
        ("pnfd", News::Pnfd(PnfdInfoId(id(5)), CatalogueNews::Gone)),
    ];
    let alarm = |object, part, cause| Alarm {
        id: AlarmId(id(40)),
        project: ProjectId::DEFAULT,
        object,
        part,
        cause,
        severity: Severity::Major,
        observed: Stamp(1),
        raised: Stamp(2),
        changed: Some(Stamp(3)),
        cleared: Some(Stamp(4)),
        acknowledged: Some(Stamp(5)),
        details: vec!["off".into()],
        causes: vec![AlarmId(id(41))],
        caused_by: Some(AlarmId(id(42))),
        revision: 300,
    };
    let objects = [Object::Host, Object::Vnf(VnfId(id(20))), Object::Ns(NsId(id(21)))];
    let parts = [Part::Whole, Part::Guest(VnfcId(id(5))), Part::Member(VnfId(id(20))), Part::Named("eth0".into())];
    for (n, cause) in Cause::ALL.into_iter().enumerate() {
        g.check(format!("alarm-{}", cause.word()), &alarm(objects[n % 3], parts[n % 4].clone(), cause));
    }
    for severity in [Severity::Warning, Severity::Minor, Severity::Critical] {
        let a = Alarm { severity, ..alarm(Object::Host, Part::Whole, Cause::MemoryLow) };
        g.check(format!("alarm-{}", severity.word()), &a);
    }
    g.check("alarm-list", &AlarmList { generation: 2, rebuilt: Some(Stamp(9)) });
    let told = Box::new(alarm(Object::Vnf(VnfId(id(20))), Part::Whole, Cause::LinkDown));
    let news = news.into_iter().chain([
        ("alarm-raised", News::AlarmRaised(told.clone())),
        ("alarm-cleared", News::AlarmCleared(told)),
        ("alarms-rebuilt", News::AlarmsRebuilt),
    ]);
    let crossing = Crossing { at: Stamp(7), part: Some("a".into()), direction: Direction::Up, value: Milli(1500), number: 2 };
    let (job, object) = (id(50), id(20));
    let news = news.chain([
        ("pm-ready", News::Performance(PmNews::Ready { job, report: id(51), object_type: ObjectType::Vnf, object })),
        (
            "pm-crossed",
            News::Performance(PmNews::Crossed {
                threshold: id(52),
                object_type: ObjectType::Sap,
                object,
                metric: "m".into(),
                crossing: crossing.clone(),
            }),
        ),
    ]);
    let asked = |metric: Metric| Asked { name: metric.name().into(), metric };
    let metrics: Vec<Asked> = Metric::all().into_iter().map(asked).collect();
    for of in ObjectType::ALL {
        let job = PmJob {
            id: job,
            project: ProjectId::DEFAULT,
            object_type: of,
            objects: vec![object],
            parts: vec!["a".into()],
            metrics: metrics.clone(),
            names: vec!["m".into()],
            groups: vec!["g".into()],
            collection_s: 300,
            reporting_s: 600,
            boundary: Some(Stamp(9)),
            reports: vec![ReportInfo { id: id(51), ready: Stamp(8) }],
            revision: 3,
        };
        g.check(format!("pm-job-{}", of.word()), &job);
    }
    let entry = ReportEntry { object, part: Some("a".into()), metric: "m".into(), values: vec![(Stamp(8), Milli(-5))] };
    g.check("pm-report", &PmReport { job, id: id(51), ready: Stamp(8), object_type: ObjectType::Vnf, entries: vec![entry] });
    g.check(
        "pm-threshold",
        &Threshold {
            id: id(52),
            project: ProjectId::DEFAULT,
            object_type: ObjectType::Vnfc,
            object,
            parts: vec!["a".into()],
            metric: asked(Metric::Usage(What::Vcpu, How::Peak)),
            value: Milli(50_000),
            hysteresis: Milli(5_000),
            went: vec![(None, Direction::Down), (Some("a".into()), Direction::Up)],
            crossed: Some(crossing),
            revision: 3,
        },
    );
    let values = vec![("web-0".into(), "3".to_owned())];
    let news = news.chain([
        (
            "indicator",
            News::Indicator(IndicatorNews::Value { vnf: VnfId(id(20)), id: "load".into(), values: values.clone(), revision: 300 }),
        ),
        ("indicators", News::Indicator(IndicatorNews::Supported { vnf: VnfId(id(20)), ids: vec!["load".into()], revision: 300 })),
    ]);
    g.check(
        "indicator",
        &VnfIndicators {
            vnf: VnfId(id(20)),
            project: ProjectId::DEFAULT,
            all: vec![Reading { id: "load".into(), values, why: vec!["off".into()] }],
            changed: Stamp(9),
            revision: 300,
            listened: true,
        },
    );
    let kinds = [ResourceKind::Compute, ResourceKind::Storage, ResourceKind::Link, ResourceKind::LinkPort];
    let news = news.chain([("room", News::Room { grant: id(60), kinds: kinds.to_vec() })]);
    let figures = |measure, reserved| Figures { measure, total: 300, allocated: 200, reserved, available: 100 };
    let crossing = |direction| CapacityCrossing {
        at: Stamp(9),
        zone: "numa0".into(),
        direction,
        figures: figures(Measure::Cpu, Some(2)),
        number: 300,
    };
    let capacity = CapacityNews { threshold: id(54), crossing: crossing(Direction::Up) };
    let news = news.chain([("capacity", News::Capacity(capacity))]);
    let sides = [Side::Total, Side::Allocated, Side::Reserved, Side::Available];
    for (n, measure) in Measure::ALL.into_iter().enumerate() {
        let t = CapacityThreshold {
            id: id(54),
            project: ProjectId::DEFAULT,
            zones: vec!["host".into()],
            measure,
            side: sides[n % sides.len()],
            limits: vec![Limit { value: Milli(50_000), hysteresis: Milli(5_000) }],
            went: vec![("host".into(), 0, Direction::Down)],
            crossed: (n > 0).then(|| CapacityCrossing { figures: figures(measure, None), ..crossing(Direction::Down) }),
            revision: 3,
        };
        g.check(format!("capacity-threshold-{}", measure.name()), &t);
    }
    let about = About {
        id: id(20),
        name: "n".into(),
        descriptor: "d".into(),
        provider: "p".into(),
        product: "q".into(),
        software_version: "1".into(),
        descriptor_version: "2".into(),
        vnfds: vec!["v".into()],
        invariant: "i".into(),
        managers: vec!["m".into()],
        operational: Some(Operational::Enabled),
        in_use: true,
    };
    for (name, news) in news {
        g.check(
            format!("event-{name}"),
            &Event { sequence: 300, project: ProjectId::DEFAULT, at: Some(Stamp(9)), news, about: about.clone() },
        );
    }
    let part = |state| {
        let error = Some(fault(Kind::Conflict));
        News::Part(PartNews { ns: NsId(id(21)), vnf: VnfId(id(20)), op: OpId(id(22)), kind: OpKind::Stop, state, sequence: 300, error })
    };
    for state in VnfOpState::ALL {
        let e = Event { sequence: 300, project: ProjectId::DEFAULT, at: None, news: part(state), about: About::default() };
        g.check(format!("event-part-{}", state.name()), &e);
    }
    g.check("event-count", &EventCount { last: 300 });
    let product = Product { provider: "p".into(), name: Some("q".into()), software_version: None, vnfd_versions: vec!["2".into()] };
    let filter = Filter {
        sorts: vec![Sort::Operation, Sort::Made, Sort::Gone, Sort::Onboarded, Sort::Failed, Sort::Changed, Sort::Part],
        operations: vec!["HEAL".into()],
        states: vec!["FAILED".into()],
        ids: vec![id(20)],
        names: vec!["n".into()],
        descriptors: vec!["d".into()],
        vnfds: vec!["v".into()],
        products: vec![product],
        versions: vec!["2".into()],
        designers: vec!["p".into()],
        invariants: vec!["i".into()],
        vnfm_info: vec!["m".into()],
        operational: vec![Operational::Enabled],
        in_use: vec![true],
        never: true,
        alarms: AlarmFilter::default(),
        parts: PartFilter::default(),
    };
    let auths = [
        Auth::Basic { user: "u".into(), sealed: vec![1] },
        Auth::ClientCredentials { client: "c".into(), sealed: vec![2], endpoint: "https://t".into() },
        Auth::Certificate,
    ];
    let sources = [Source::Nsd, Source::VnfPkgm, Source::NsLcm, Source::VnfLcm, Source::Sol003VnfPkgm];
    for (n, source) in sources.into_iter().enumerate() {
        let s = Subscription {
            id: id(30),
            project: ProjectId::DEFAULT,
            every_project: n == 0,
            source,
            callback: "http://a/".into(),
            base: "https://b".into(),
            filter: filter.clone(),
            filter_text: Some("{}".into()),
            short: true,
            auth: auths.get(n).cloned(),
            created: Stamp(9),
        };
        g.check(format!("subscription-{source:?}"), &s);
    }
    let pm = Subscription {
        id: id(30),
        project: ProjectId::DEFAULT,
        every_project: false,
        source: Source::VnfPmJob,
        callback: "http://a/".into(),
        base: "https://b".into(),
        filter: Filter { sorts: vec![Sort::Performance], ..Filter::default() },
        filter_text: None,
        short: false,
        auth: None,
        created: Stamp(9),
    };
    g.check("subscription-pm", &pm);
    let sorts = vec![Sort::PnfdOnboarded, Sort::PnfdFailed, Sort::PnfdGone];
    g.check("subscription-pnfd", &Subscription { source: Source::Nsd, filter: Filter { sorts, ..Filter::default() }, ..pm.clone() });
    let sorts = vec![Sort::CapacityShortage];
    let capacity = Subscription { source: Source::NfviThreshold, filter: Filter { sorts, ..Filter::default() }, ..pm.clone() };
    g.check("subscription-NfviThreshold", &capacity);
    let sorts = vec![Sort::IndicatorValue, Sort::IndicatorsSupported];
    g.check("subscription-VnfInd", &Subscription { source: Source::VnfInd, filter: Filter { sorts, ..Filter::default() }, ..pm.clone() });
    for source in [
        Source::NsdFirst,
        Source::VnfPkgmFirst,
        Source::Sol003VnfPkgmFirst,
        Source::NsLcmFirst,
        Source::VnfPmFirst,
        Source::NsPmFirst,
        Source::VrQuota,
    ] {
        let filter = Filter { sorts: vec![Sort::ThresholdCrossed, Sort::Room], ..Filter::default() };
        g.check(format!("subscription-{source:?}"), &Subscription { source, filter, ..pm.clone() });
    }
    for source in
        [Source::VnfLcmFirst, Source::VnfFm, Source::NsFm, Source::VnfPmJob, Source::VnfThreshold, Source::NsPmJob, Source::NsThreshold]
    {
        let alarms = AlarmFilter {
            resources: vec!["COMPUTE".into()],
            severities: vec!["MAJOR".into()],
            events: vec!["QOS_ALARM".into()],
            causes: vec!["C".into()],
        };
        let s = Subscription {
            id: id(30),
            project: ProjectId::DEFAULT,
            every_project: false,
            source,
            callback: "http://a/".into(),
            base: "https://b".into(),
            filter: Filter { sorts: vec![Sort::Alarm, Sort::AlarmCleared, Sort::AlarmsRebuilt], alarms, ..Filter::default() },
            filter_text: None,
            short: false,
            auth: None,
            created: Stamp(9),
        };
        g.check(format!("subscription-{source:?}"), &s);
    }
    let parts = PartFilter { kinds: vec!["VNF".into()], operations: vec!["VNF_HEAL".into()], states: vec!["START".into()] };
    g.check("subscription-part", &Subscription { source: Source::NsLcm, filter: Filter { parts, ..Filter::default() }, ..pm.clone() });
    g.check("nfvo-made", &NfvoMade { id: id(30), account: "orch".into() });
    g.check("element-listener", &ElementListener { subscription: id(30), account: "em".into() });
    g.check("progress", &Progress { subscription: id(30), done: 300, attempts: 2, why: "no".into(), lost: 4 });
    let event = Event { sequence: 300, project: ProjectId::DEFAULT, at: None, news: News::VnfMade(VnfId(id(20))), about: About::default() };
    g.check("dead-letter", &DeadLetter { subscription: id(30), event, attempts: 40, why: "no".into(), given_up: Stamp(9) });
}
