//! Alarms as SOL003 7.5.2.4 and SOL005 8.5.2.4 show them, and those of the box in the same form.

use super::{
    Base, time,
    vnf::{Dialect, VIM},
};
use crate::{
    model::{
        alarm::{Ack, Alarm, Cause, EventType, Object, Part, ResourceType, Severity},
        error::{Fault, Result},
        id::AlarmId,
    },
    sol::fm::{self as sol, AlarmLinks, FaultyComponentInfo, FaultyResourceInfo, FaultyResourceType, PerceivedSeverity},
};

/// Where the alarms of a kind of object are.
pub fn collection(of: Object) -> &'static str {
    match of {
        Object::Host => "/bothy/v1/alarms",
        Object::Vnf(_) => "/vnffm/v1/alarms",
        Object::Ns(_) => "/nsfm/v1/alarms",
    }
}

pub fn alarm(a: &Alarm, base: &Base) -> sol::Alarm {
    let (object, instance) = match a.object {
        Object::Host => (VIM.to_owned(), None),
        Object::Vnf(id) => (id.to_string(), Some(format!("/vnflcm/v2/vnf_instances/{id}"))),
        Object::Ns(id) => (id.to_string(), Some(format!("/nslcm/v2/ns_instances/{id}"))),
    };
    // An alarm of a service names the member; the resource is in the member's own alarm.
    let component = match &a.part {
        Part::Member(vnf) => Some(FaultyComponentInfo { faulty_vnf_instance_id: Some(vnf.to_string()), ..FaultyComponentInfo::default() }),
        Part::Whole | Part::Guest(_) | Part::Named(_) => None,
    };
    let resource = match &a.part {
        Part::Guest(id) => Some((id.to_string(), "domain")),
        // Which of its resources it is, the VNFM knows.
        Part::Named(_) if a.cause == Cause::Abroad => None,
        Part::Named(name) => Some((name.to_string(), "interface")),
        Part::Whole | Part::Member(_) => None,
    };
    sol::Alarm {
        id: a.id.to_string(),
        managed_object_id: object,
        vnfc_instance_ids: Vec::new(),
        root_cause_faulty_component: component,
        root_cause_faulty_resource: resource.map(|(id, kind)| FaultyResourceInfo {
            faulty_resource: Dialect::Sol003.handle(id, kind),
            faulty_resource_type: match a.cause.resource() {
                ResourceType::Compute => FaultyResourceType::Compute,
                ResourceType::Storage => FaultyResourceType::Storage,
                ResourceType::Network => FaultyResourceType::Network,
            },
        }),
        alarm_raised_time: time(a.raised),
        alarm_changed_time: a.changed.map(time),
        alarm_cleared_time: a.cleared.map(time),
        alarm_acknowledged_time: a.acknowledged.map(time),
        ack_state: ack(a.ack()),
        perceived_severity: severity(a),
        event_time: time(a.observed),
        event_type: match a.cause.event_type() {
            EventType::Communications => sol::EventType::CommunicationsAlarm,
            EventType::ProcessingError => sol::EventType::ProcessingErrorAlarm,
            EventType::Equipment => sol::EventType::EquipmentAlarm,
        },
        fault_type: None,
        probable_cause: a.cause.word().into(),
        is_root_cause: a.is_root(),
        correlated_alarm_ids: a.causes.iter().chain(&a.caused_by).map(AlarmId::to_string).collect(),
        fault_details: a.details.clone(),
        links: AlarmLinks {
            self_: base.link(format!("{}/{}", collection(a.object), a.id)),
            object_instance: instance.map(|path| base.link(path)),
        },
    }
}

/// The same for an element manager, who knows guests by their ids (SOL002 7.5.2.4).
pub fn to_element(a: &Alarm, base: &Base) -> sol::Alarm {
    let guest = match &a.part {
        Part::Guest(id) => Some(id.to_string()),
        Part::Whole | Part::Member(_) | Part::Named(_) => None,
    };
    sol::Alarm { vnfc_instance_ids: guest.into_iter().collect(), ..alarm(a, base) }
}

/// A severity that was proposed.
pub fn proposed(s: PerceivedSeverity) -> Result<Severity> {
    match s {
        PerceivedSeverity::Warning => Ok(Severity::Warning),
        PerceivedSeverity::Minor => Ok(Severity::Minor),
        PerceivedSeverity::Major => Ok(Severity::Major),
        PerceivedSeverity::Critical => Ok(Severity::Critical),
        PerceivedSeverity::Indeterminate | PerceivedSeverity::Cleared => Err(Fault::invalid(
            "proposedPerceivedSeverity: one of WARNING, MINOR, MAJOR, CRITICAL; an alarm is cleared when its fault is gone",
        )),
    }
}

/// X.733: what is over is CLEARED.
fn severity(a: &Alarm) -> PerceivedSeverity {
    if a.cleared.is_some() {
        return PerceivedSeverity::Cleared;
    }
    match a.severity {
        Severity::Warning => PerceivedSeverity::Warning,
        Severity::Minor => PerceivedSeverity::Minor,
        Severity::Major => PerceivedSeverity::Major,
        Severity::Critical => PerceivedSeverity::Critical,
    }
}

fn ack(a: Ack) -> sol::AckState {
    match a {
        Ack::Unacknowledged => sol::AckState::Unacknowledged,
        Ack::Acknowledged => sol::AckState::Acknowledged,
    }
}
