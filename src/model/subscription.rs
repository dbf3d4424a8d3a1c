//! Who wants to hear of which events.
//!
//! Owns subscriptions, how far each has got, and whether a filter wants an event (pure). An empty
//! criterion of a filter asks for nothing; of those that are given each must hold. Never: wire forms,
//! secrets in the clear.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    alarm::{self, Alarm, Object},
    event::{About, CatalogueNews, Event, News, PartNews},
    id::{ProjectId, VnfId},
    indicator::IndicatorNews,
    op::{OpState, Target},
    package::Operational,
    pm::PmNews,
    time::Stamp,
};

/// The APIs that have subscriptions; append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    Nsd,
    VnfPkgm,
    NsLcm,
    VnfLcm,
    /// The NFVO's packages as SOL003 has them, for foreign VNFMs.
    Sol003VnfPkgm,
    VnfFm,
    NsFm,
    // A PM job and a threshold are subscriptions of their own (SOL003 6.5.2.6, 6.5.2.8).
    VnfPmJob,
    VnfThreshold,
    NsPmJob,
    NsThreshold,
    VnfInd,
    /// The first major of vnflcm: what `VnfLcm` tells, in its form.
    VnfLcmFirst,
    NsdFirst,
    VnfPkgmFirst,
    Sol003VnfPkgmFirst,
    NsLcmFirst,
    /// All jobs and thresholds of VNFs, and of services: those of the first majors have no callbacks of their own.
    VnfPmFirst,
    NsPmFirst,
    /// Room and quota for foreign VNFMs (`vrqan`).
    VrQuota,
    // As a PM threshold is (SOL005 10.5.2.3).
    NfviThreshold,
}

impl Source {
    /// That of the second major whose news a first major's subscribers hear, in their own form.
    pub fn second(self) -> Source {
        match self {
            Source::VnfLcmFirst => Source::VnfLcm,
            Source::NsdFirst => Source::Nsd,
            Source::VnfPkgmFirst => Source::VnfPkgm,
            Source::Sol003VnfPkgmFirst => Source::Sol003VnfPkgm,
            Source::NsLcmFirst => Source::NsLcm,
            Source::Nsd
            | Source::VnfPkgm
            | Source::NsLcm
            | Source::VnfLcm
            | Source::Sol003VnfPkgm
            | Source::VnfFm
            | Source::NsFm
            | Source::VnfPmJob
            | Source::VnfThreshold
            | Source::NsPmJob
            | Source::NsThreshold
            | Source::VnfInd
            | Source::VnfPmFirst
            | Source::NsPmFirst
            | Source::VrQuota
            | Source::NfviThreshold => self,
        }
    }
    pub fn is_first(self) -> bool {
        self.second() != self || matches!(self, Source::VnfPmFirst | Source::NsPmFirst)
    }
}

/// The sorts of notification; append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sort {
    Operation,
    Made,
    Gone,
    Onboarded,
    Failed,
    Changed,
    /// An operation of a part of a service, outside of the service's own (SOL005 6.5.2.9).
    Part,
    Alarm,
    AlarmCleared,
    AlarmsRebuilt,
    Performance,
    PnfdOnboarded,
    PnfdFailed,
    PnfdGone,
    IndicatorValue,
    IndicatorsSupported,
    ThresholdCrossed,
    Room,
    CapacityShortage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub id: Uuid,
    pub project: ProjectId,
    /// It was made by somebody who sees every project.
    pub every_project: bool,
    pub source: Source,
    pub callback: String,
    /// Where the API is, as the subscriber reached it: links in notifications start with it.
    pub base: String,
    pub filter: Filter,
    /// The filter as it is read back (JSON text).
    pub filter_text: Option<String>,
    /// Notifications without what has changed (`verbosity` SHORT).
    pub short: bool,
    pub auth: Option<Auth>,
    pub created: Stamp,
}

/// How Bothy shows who it is to the subscriber; secrets are sealed under the subscription's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auth {
    Basic { user: String, sealed: Vec<u8> },
    ClientCredentials { client: String, sealed: Vec<u8>, endpoint: String },
    Certificate,
}

/// The element manager that made a subscription, a PM job or a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementListener {
    pub subscription: Uuid,
    pub account: SmolStr,
}

/// Whose eyes a subscription sees with: of its project not all is there for an element manager, or for a central NFVO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eyes {
    Project,
    Element(SmolStr),
    Nfvo(SmolStr),
}

impl Eyes {
    /// They are told of what happened to a VNF while that was in their charge, or their own; an NFVO of members of services too.
    pub fn hear(&self, e: &Event, in_service: impl Fn(VnfId) -> bool) -> bool {
        let Some(vnf) = e.vnf() else { return true };
        match self {
            Eyes::Project => true,
            Eyes::Element(account) => e.about.managers.contains(account),
            Eyes::Nfvo(account) => e.about.managers.contains(account) || in_service(vnf),
        }
    }
}

/// Made by a central NFVO: a subscription, a PM job or a threshold. It is there for no other, and hears of that NFVO's own VNFs and
/// of members of services only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NfvoMade {
    pub id: Uuid,
    pub account: SmolStr,
}

/// How far a subscriber has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub subscription: Uuid,
    /// Every event up to this one was delivered, not wanted, or given up.
    pub done: u64,
    /// Vain tries of the one after it.
    pub attempts: u32,
    /// Why the last of them was vain.
    pub why: String,
    /// Events that were dropped because the subscriber was too far behind.
    pub lost: u64,
}

/// A notification that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub subscription: Uuid,
    pub event: Event,
    pub attempts: u32,
    pub why: String,
    pub given_up: Stamp,
}

/// How many events there were.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EventCount {
    pub last: u64,
}

impl EventCount {
    pub const KEY: &'static str = "events";
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Filter {
    pub sorts: Vec<Sort>,
    /// Names of operations, of indicators, or of sorts of resources; and of states of operations or onboarding.
    pub operations: Vec<SmolStr>,
    pub states: Vec<SmolStr>,
    pub ids: Vec<Uuid>,
    pub names: Vec<SmolStr>,
    pub descriptors: Vec<SmolStr>,
    pub vnfds: Vec<SmolStr>,
    pub products: Vec<Product>,
    pub versions: Vec<SmolStr>,
    pub designers: Vec<SmolStr>,
    pub invariants: Vec<SmolStr>,
    pub vnfm_info: Vec<SmolStr>,
    pub operational: Vec<Operational>,
    pub in_use: Vec<bool>,
    /// A criterion that nothing here can satisfy was given (a PNF's, say).
    pub never: bool,
    pub alarms: AlarmFilter,
    pub parts: PartFilter,
}

/// What only news of a service's parts have, in the standard's words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PartFilter {
    pub kinds: Vec<SmolStr>,
    pub operations: Vec<SmolStr>,
    pub states: Vec<SmolStr>,
}

impl PartFilter {
    fn wants(&self, p: &PartNews) -> bool {
        let asks = |all: &[SmolStr], is: &str| all.is_empty() || all.iter().any(|w| w == is);
        asks(&self.kinds, PartNews::KIND) && asks(&self.operations, &p.operation()) && asks(&self.states, p.status())
    }
}

/// What only alarms have, in the standard's words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AlarmFilter {
    pub resources: Vec<SmolStr>,
    pub severities: Vec<SmolStr>,
    pub events: Vec<SmolStr>,
    pub causes: Vec<SmolStr>,
}

impl AlarmFilter {
    fn wants(&self, a: &Alarm) -> bool {
        fn asks(all: &[SmolStr], is: &'static str) -> bool {
            all.is_empty() || all.iter().any(|w| w == is)
        }
        // Who hears of a severity hears of its end too.
        let severity =
            asks(&self.severities, a.severity.word()) || (a.cleared.is_some() && self.severities.iter().any(|w| w == alarm::CLEARED));
        severity
            && asks(&self.resources, a.cause.resource().word())
            && asks(&self.events, a.cause.event_type().word())
            && asks(&self.causes, a.cause.word())
    }
}

/// One line of `vnfProductsFromProviders`, flattened: what is `None` or empty is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub provider: SmolStr,
    pub name: Option<SmolStr>,
    pub software_version: Option<SmolStr>,
    pub vnfd_versions: Vec<SmolStr>,
}

impl Product {
    fn is_of(&self, a: &About) -> bool {
        self.provider == a.provider
            && self.name.as_ref().is_none_or(|n| *n == a.product)
            && self.software_version.as_ref().is_none_or(|v| *v == a.software_version)
            && (self.vnfd_versions.is_empty() || self.vnfd_versions.contains(&a.descriptor_version))
    }
}

/// Which sort of notification tells of it, in which API; `None`: that API has none.
pub fn sort(source: Source, news: &News) -> Option<Sort> {
    match (source.second(), news) {
        (Source::VnfLcm, News::Op(o)) => matches!(o.target, Target::Vnf(_)).then_some(Sort::Operation),
        (Source::NsLcm, News::Op(o)) => matches!(o.target, Target::Ns(_)).then_some(Sort::Operation),
        (Source::NsLcm, News::Part(_)) => Some(Sort::Part),
        (Source::VnfLcm, News::VnfMade(_)) | (Source::NsLcm, News::NsMade(_)) => Some(Sort::Made),
        (Source::VnfLcm, News::VnfGone(_)) | (Source::NsLcm, News::NsGone(_)) => Some(Sort::Gone),
        (Source::Nsd, News::Nsd(_, change)) => Some(match change {
            CatalogueNews::Onboarded => Sort::Onboarded,
            CatalogueNews::Failed(_) => Sort::Failed,
            CatalogueNews::Operational(_) => Sort::Changed,
            CatalogueNews::Gone => Sort::Gone,
        }),
        (Source::Nsd, News::Pnfd(_, change)) => match change {
            CatalogueNews::Onboarded => Some(Sort::PnfdOnboarded),
            CatalogueNews::Failed(_) => Some(Sort::PnfdFailed),
            CatalogueNews::Gone => Some(Sort::PnfdGone),
            CatalogueNews::Operational(_) => None,
        },
        // A package's failure has no notification; its deletion is a change (SOL005 9.5.2.9).
        (Source::VnfPkgm | Source::Sol003VnfPkgm, News::Package(_, change)) => match change {
            CatalogueNews::Onboarded => Some(Sort::Onboarded),
            CatalogueNews::Operational(_) | CatalogueNews::Gone => Some(Sort::Changed),
            CatalogueNews::Failed(_) => None,
        },
        (Source::VnfFm, News::AlarmRaised(a)) => matches!(a.object, Object::Vnf(_)).then_some(Sort::Alarm),
        (Source::NsFm, News::AlarmRaised(a)) => matches!(a.object, Object::Ns(_)).then_some(Sort::Alarm),
        (Source::VnfFm, News::AlarmCleared(a)) => matches!(a.object, Object::Vnf(_)).then_some(Sort::AlarmCleared),
        (Source::NsFm, News::AlarmCleared(a)) => matches!(a.object, Object::Ns(_)).then_some(Sort::AlarmCleared),
        (Source::VnfPmJob | Source::NsPmJob, News::Performance(PmNews::Ready { .. }))
        | (Source::VnfThreshold | Source::NsThreshold, News::Performance(PmNews::Crossed { .. })) => Some(Sort::Performance),
        (Source::VnfPmFirst | Source::NsPmFirst, News::Performance(news)) => {
            let (of, sort) = match news {
                PmNews::Ready { object_type, .. } => (object_type, Sort::Performance),
                PmNews::Crossed { object_type, .. } => (object_type, Sort::ThresholdCrossed),
            };
            (of.of_service() == (source == Source::NsPmFirst)).then_some(sort)
        }
        (Source::VnfFm | Source::NsFm, News::AlarmsRebuilt) => Some(Sort::AlarmsRebuilt),
        (Source::VrQuota, News::Room { .. }) => Some(Sort::Room),
        (Source::NfviThreshold, News::Capacity(_)) => Some(Sort::CapacityShortage),
        (Source::VnfInd, News::Indicator(IndicatorNews::Value { .. })) => Some(Sort::IndicatorValue),
        (Source::VnfInd, News::Indicator(IndicatorNews::Supported { .. })) => Some(Sort::IndicatorsSupported),
        (
            Source::VnfLcm
            | Source::NsLcm
            | Source::Nsd
            | Source::VnfPkgm
            | Source::Sol003VnfPkgm
            | Source::VnfFm
            | Source::NsFm
            | Source::VnfPmJob
            | Source::VnfThreshold
            | Source::NsPmJob
            | Source::NsThreshold
            | Source::VnfInd
            | Source::VnfLcmFirst
            | Source::NsdFirst
            | Source::VnfPkgmFirst
            | Source::Sol003VnfPkgmFirst
            | Source::NsLcmFirst
            | Source::VnfPmFirst
            | Source::NsPmFirst
            | Source::VrQuota
            | Source::NfviThreshold,
            News::Op(_)
            | News::VnfMade(_)
            | News::VnfGone(_)
            | News::NsMade(_)
            | News::NsGone(_)
            | News::Package(..)
            | News::Nsd(..)
            | News::Pnfd(..)
            | News::AlarmRaised(_)
            | News::AlarmCleared(_)
            | News::AlarmsRebuilt
            | News::Performance(_)
            | News::Indicator(_)
            | News::Room { .. }
            | News::Capacity(_)
            | News::Part(_),
        ) => None,
    }
}

impl Subscription {
    pub fn wants(&self, e: &Event) -> bool {
        // The list of alarms is of every project.
        let of_all = matches!(e.news, News::AlarmsRebuilt);
        (of_all || self.every_project || self.project == e.project) && sort(self.source, &e.news).is_some_and(|s| self.filter.wants(s, e))
    }
}

impl Filter {
    fn wants(&self, sort: Sort, e: &Event) -> bool {
        fn asks<T: PartialEq>(all: &[T], is: &T) -> bool {
            all.is_empty() || all.contains(is)
        }
        let a = &e.about;
        // A job hears of itself, a subscription of what is measured.
        let measured = if let News::Performance(PmNews::Ready { job: id, .. } | PmNews::Crossed { threshold: id, .. }) = &e.news {
            Some(*id)
        } else {
            None
        };
        let by_state = match &e.news {
            News::Op(o) => {
                let state = match o.state {
                    OpState::Vnf(s) => s.name(),
                    OpState::Ns(s) => s.name(),
                };
                asks(&self.operations, &SmolStr::new_static(operation(o.target, o.kind))) && asks(&self.states, &SmolStr::new_static(state))
            }
            News::Package(_, change) | News::Nsd(_, change) | News::Pnfd(_, change) => {
                let state = match change {
                    CatalogueNews::Failed(_) => "ERROR",
                    CatalogueNews::Onboarded | CatalogueNews::Operational(_) | CatalogueNews::Gone => "ONBOARDED",
                };
                asks(&self.states, &SmolStr::new_static(state))
            }
            News::VnfMade(_) | News::VnfGone(_) | News::NsMade(_) | News::NsGone(_) | News::Performance(_) | News::Capacity(_) => true,
            News::Part(part) => self.parts.wants(part),
            News::AlarmRaised(alarm) | News::AlarmCleared(alarm) => self.alarms.wants(alarm),
            News::Indicator(IndicatorNews::Value { id, .. }) => asks(&self.operations, id),
            News::Indicator(IndicatorNews::Supported { ids, .. }) => {
                self.operations.is_empty() || ids.iter().any(|id| self.operations.contains(id))
            }
            News::Room { kinds, .. } => {
                self.operations.is_empty() || kinds.iter().any(|k| self.operations.iter().any(|asked| asked == k.sort()))
            }
            // Of no instance and no alarm: only the sort can be asked for.
            News::AlarmsRebuilt => return !self.never && asks(&self.sorts, &sort),
        };
        !self.never
            && asks(&self.sorts, &sort)
            && by_state
            && (asks(&self.ids, &a.id) || measured.is_some_and(|id| self.ids.contains(&id)))
            && asks(&self.names, &a.name)
            && asks(&self.descriptors, &a.descriptor)
            && (self.vnfds.is_empty() || self.vnfds.iter().any(|v| a.vnfds.contains(v)))
            && (self.products.is_empty() || self.products.iter().any(|p| p.is_of(a)))
            && asks(&self.versions, &a.descriptor_version)
            && asks(&self.designers, &a.provider)
            && asks(&self.invariants, &a.invariant)
            && (self.vnfm_info.is_empty() || self.vnfm_info.iter().any(|v| a.managers.contains(v)))
            && (self.operational.is_empty() || a.operational.is_some_and(|o| self.operational.contains(&o)))
            && asks(&self.in_use, &a.in_use)
    }
}

/// The operation's name as filters and notifications have it.
pub fn operation(target: Target, kind: super::op::OpKind) -> &'static str {
    use super::op::OpKind;
    match (target, kind) {
        // A service has no OPERATE of its own (SOL005 6.5.4.3).
        (Target::Ns(_), OpKind::Start | OpKind::Stop) => "UPDATE",
        (Target::Ns(_) | Target::Vnf(_) | Target::Pf(_), kind) => kind.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        event::OpNews,
        id::OpId,
        op::{OpKind, VnfOpState},
    };

    fn subscription(source: Source, filter: Filter) -> Subscription {
        Subscription {
            id: Uuid::nil(),
            project: ProjectId::DEFAULT,
            every_project: false,
            source,
            callback: String::new(),
            base: String::new(),
            filter,
            filter_text: None,
            short: false,
            auth: None,
            created: Stamp(0),
        }
    }

    #[test]
    fn each_criterion_that_is_given_must_hold() {
        let id = Uuid::from_u128(1);
        let news = News::Op(OpNews {
            op: OpId(id),
            target: Target::Vnf(VnfId(id)),
            kind: OpKind::Instantiate,
            state: OpState::Vnf(VnfOpState::Completed),
            sequence: 2,
            automatic: false,
            error: None,
        });
        let about = About {
            id,
            name: "web".into(),
            descriptor: "d".into(),
            provider: "p".into(),
            product: "n".into(),
            software_version: "1".into(),
            descriptor_version: "2".into(),
            ..About::default()
        };
        let e = Event { sequence: 1, project: ProjectId::DEFAULT, at: None, news, about };
        let product = |provider: &str, name: Option<&str>, vnfd: &[&str]| Product {
            provider: provider.into(),
            name: name.map(Into::into),
            software_version: None,
            vnfd_versions: vnfd.iter().map(SmolStr::new).collect(),
        };
        for (filter, wants) in [
            (Filter::default(), true),
            (Filter { sorts: vec![Sort::Operation], ..Filter::default() }, true),
            (Filter { sorts: vec![Sort::Made, Sort::Gone], ..Filter::default() }, false),
            (
                Filter { operations: vec!["SCALE".into(), "INSTANTIATE".into()], states: vec!["COMPLETED".into()], ..Filter::default() },
                true,
            ),
            (Filter { operations: vec!["INSTANTIATE".into()], states: vec!["FAILED".into()], ..Filter::default() }, false),
            (Filter { ids: vec![id], names: vec!["web".into()], ..Filter::default() }, true),
            (Filter { ids: vec![id], names: vec!["other".into()], ..Filter::default() }, false),
            (Filter { products: vec![product("x", None, &[]), product("p", Some("n"), &["1", "2"])], ..Filter::default() }, true),
            (Filter { products: vec![product("p", Some("n"), &["1"])], ..Filter::default() }, false),
            (Filter { products: vec![product("p", Some("m"), &[])], ..Filter::default() }, false),
            (Filter { never: true, ..Filter::default() }, false),
        ] {
            assert_eq!(subscription(Source::VnfLcm, filter.clone()).wants(&e), wants, "{filter:?}");
        }
        for source in [Source::NsLcm, Source::Nsd, Source::VnfPkgm, Source::Sol003VnfPkgm] {
            assert!(!subscription(source, Filter::default()).wants(&e), "{source:?}");
        }
        let others = ProjectId(Uuid::from_u128(7));
        for (project, every_project, wants) in [(ProjectId::DEFAULT, false, true), (others, false, false), (others, true, true)] {
            let s = Subscription { project, every_project, ..subscription(Source::VnfLcm, Filter::default()) };
            assert_eq!(s.wants(&e), wants, "{project} {every_project}");
        }
    }
}
