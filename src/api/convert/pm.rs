//! PM jobs, reports and thresholds between the wire and the model.

use super::{Base, time};
use crate::{
    model::{
        pm::{ObjectType, PmJob, PmReport, Threshold},
        subscription::{Source, Subscription},
    },
    sol::pm as sol,
};

/// Where the resources of a source are.
pub fn collection(source: Source) -> &'static str {
    super::subscription::collection(source)
}

/// Whose jobs and thresholds: paths of the measured objects follow.
pub fn object_path(of: ObjectType, id: impl std::fmt::Display) -> String {
    if of.of_service() { format!("/nslcm/v2/ns_instances/{id}") } else { format!("/vnflcm/v2/vnf_instances/{id}") }
}

pub fn job_source(of: ObjectType) -> Source {
    if of.of_service() { Source::NsPmJob } else { Source::VnfPmJob }
}

pub fn threshold_source(of: ObjectType) -> Source {
    if of.of_service() { Source::NsThreshold } else { Source::VnfThreshold }
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// Nobody is told of one that a client of the first major made: it has no callback (`callbackUri` is empty).
pub fn job(j: &PmJob, s: Option<&Subscription>, base: &Base) -> sol::PmJob {
    let path = format!("{}/{}", collection(job_source(j.object_type)), j.id);
    sol::PmJob {
        id: j.id.to_string(),
        object_type: j.object_type.word().into(),
        object_instance_ids: texts(&j.objects),
        sub_object_instance_ids: texts(&j.parts),
        criteria: sol::PmJobCriteria {
            performance_metric: texts(&j.names),
            performance_metric_group: texts(&j.groups),
            collection_period: j.collection_s.into(),
            reporting_period: j.reporting_s.into(),
            reporting_boundary: j.boundary.map(time),
        },
        callback_uri: s.map(|s| s.callback.clone()).unwrap_or_default(),
        reports: j
            .reports
            .iter()
            .map(|r| sol::ReportLink {
                href: base.link(format!("{path}/reports/{}", r.id)).href,
                ready_time: time(r.ready),
                expiry_time: None,
                file_size: None,
            })
            .collect(),
        links: sol::PmJobLinks {
            self_: base.link(&path),
            objects: j.objects.iter().map(|id| base.link(object_path(j.object_type, id))).collect(),
        },
    }
}

pub fn threshold(t: &Threshold, s: Option<&Subscription>, base: &Base) -> sol::Threshold {
    sol::Threshold {
        id: t.id.to_string(),
        object_type: t.object_type.word().into(),
        object_instance_id: t.object.to_string(),
        sub_object_instance_ids: texts(&t.parts),
        criteria: sol::ThresholdCriteria {
            performance_metric: t.metric.name.to_string(),
            threshold_type: sol::ThresholdType::Simple,
            simple_threshold_details: Some(sol::SimpleThreshold { threshold_value: t.value.value(), hysteresis: t.hysteresis.value() }),
        },
        callback_uri: s.map(|s| s.callback.clone()).unwrap_or_default(),
        links: sol::ThresholdLinks {
            self_: base.link(format!("{}/{}", collection(threshold_source(t.object_type)), t.id)),
            object: Some(base.link(object_path(t.object_type, t.object))),
        },
    }
}

pub fn report(r: &PmReport) -> sol::PerformanceReport {
    let entry = |e: &crate::model::pm::ReportEntry| sol::ReportEntry {
        object_type: r.object_type.word().into(),
        object_instance_id: e.object.to_string(),
        sub_object_instance_id: e.part.as_ref().map(ToString::to_string),
        performance_metric: e.metric.to_string(),
        performance_values: e
            .values
            .iter()
            .map(|(at, v)| sol::PerformanceValue { time_stamp: time(*at), value: v.value(), context: None })
            .collect(),
    };
    sol::PerformanceReport { entries: r.entries.iter().map(entry).collect() }
}
