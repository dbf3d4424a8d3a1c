//! Notifications as SOL003 5.5.2.17 to 5.5.2.19, 7.5.2.5 to 7.5.2.7, 10.5.2.9, 11.5.2.4 and SOL005 5.5.2.9, 6.5.2.5, 8.5.2.5 to 8.5.2.7, 9.5.2.8 have them.
//!
//! The id is made of what happened, so that a repeat, and the same news to another subscriber, has the
//! same. What has changed is looked up when it is sent, as the op-occ shows it then.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Base,
    alarm::{alarm, collection as alarms_of, to_element},
    capacity::{measurement, object_path as capacity_path},
    indicator::value,
    opocc::{self, Around},
    pm::{job_source, object_path, threshold_source},
    problem,
    subscription::collection,
    time,
    vnf::VIM,
};
use crate::{
    api::{
        older, ops,
        version::{self, Api},
    },
    lcm::timeline::find_operation,
    model::{
        capacity::CapacityNews,
        error::{Fault, Result},
        event::{CatalogueNews, Event, News, OpNews, PartNews, Status},
        indicator::IndicatorNews,
        op::{Target, VnfOpState},
        package::Operational,
        pm::{Direction, PmNews},
        subscription::{ElementListener, Source, Subscription, operation},
    },
    nfvo::Nfvo,
    notify::Rendered,
};

fn api(source: Source) -> &'static Api {
    match source {
        Source::Nsd => &version::NSD,
        Source::VnfPkgm | Source::Sol003VnfPkgm => &version::VNFPKGM,
        Source::NsLcm => &version::NSLCM,
        Source::VnfLcm => &version::VNFLCM,
        Source::VnfLcmFirst => &version::VNFLCM_FIRST,
        Source::NsdFirst => &version::NSD_FIRST,
        Source::VnfPkgmFirst | Source::Sol003VnfPkgmFirst => &version::VNFPKGM_FIRST,
        Source::NsLcmFirst => &version::NSLCM_FIRST,
        Source::VnfPmFirst => &version::VNFPM_FIRST,
        Source::NsPmFirst => &version::NSPM_FIRST,
        Source::VrQuota => &version::VRQAN,
        Source::VnfFm => &version::VNFFM,
        Source::NsFm => &version::NSFM,
        Source::VnfPmJob | Source::VnfThreshold => &version::VNFPM,
        Source::NsPmJob | Source::NsThreshold => &version::NSPM,
        Source::VnfInd => &version::VNFIND,
        Source::NfviThreshold => &version::NFVICI,
    }
}

/// Names what happened, and nothing else.
fn id(e: &Event) -> Uuid {
    let digest: [u8; 32] = Sha256::digest(e.identity()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

struct Body {
    members: Map<String, Value>,
    links: Map<String, Value>,
    base: Base,
}

impl Body {
    fn put(&mut self, name: &str, v: impl Into<Value>) {
        self.members.insert(name.into(), v.into());
    }
    fn put_one(&mut self, name: &str, v: &impl serde::Serialize) -> Result<()> {
        let v = serde_json::to_value(v).map_err(|e| Fault::bug("a notification cannot be written as JSON").with_source(e))?;
        self.put(name, v);
        Ok(())
    }
    fn put_all<T: serde::Serialize>(&mut self, name: &str, all: &[T]) -> Result<()> {
        if all.is_empty() { Ok(()) } else { self.put_one(name, &all) }
    }
    fn link(&mut self, name: &str, path: String) {
        self.links.insert(name.into(), json!({ "href": self.base.link(path).href }));
    }
}

pub fn render(nfvo: &Nfvo, s: &Subscription, e: &Event) -> Result<Rendered> {
    let mut b = Body { members: Map::new(), links: Map::new(), base: Base(s.base.clone()) };
    b.put("id", id(e).to_string());
    // What is told of a job or a threshold names that instead; PM's first majors tell subscriptions.
    let of_subscription = s.source.is_first() || !matches!(e.news, News::Performance(_) | News::Capacity(_));
    if of_subscription {
        b.put("subscriptionId", s.id.to_string());
    }
    // SOL005's nslcm writes it in small letters, the others do not.
    let stamp = if s.source.second() == Source::NsLcm { "timestamp" } else { "timeStamp" };
    b.put(stamp, time(e.at.unwrap_or_default()).to_string());
    match &e.news {
        News::Op(o) => op_occ(nfvo, s, o, &mut b)?,
        News::VnfMade(id) | News::VnfGone(id) => {
            let made = matches!(e.news, News::VnfMade(_));
            b.put("notificationType", if made { "VnfIdentifierCreationNotification" } else { "VnfIdentifierDeletionNotification" });
            b.put("vnfInstanceId", id.to_string());
            b.link("vnfInstance", format!("/vnflcm/v2/vnf_instances/{id}"));
        }
        News::NsMade(id) | News::NsGone(id) => {
            let made = matches!(e.news, News::NsMade(_));
            b.put("notificationType", if made { "NsIdentifierCreationNotification" } else { "NsIdentifierDeletionNotification" });
            b.put("nsInstanceId", id.to_string());
            b.link("nsInstance", format!("/nslcm/v2/ns_instances/{id}"));
        }
        News::Part(p) => part(p, &mut b)?,
        News::Package(id, change) => {
            package(e, &id.to_string(), change, &mut b);
            if s.source == Source::Sol003VnfPkgm {
                b.link("vnfPackageByVnfdId", format!("/vnfpkgm/v2/onboarded_vnf_packages/{}", e.about.descriptor));
            }
        }
        News::Nsd(id, change) => nsd(e, &id.to_string(), change, &mut b)?,
        News::Pnfd(id, change) => pnfd(e, &id.to_string(), change, &mut b)?,
        News::AlarmRaised(a) => {
            b.put("notificationType", "AlarmNotification");
            // Whoever manages elements knows guests by their ids.
            let of_element = nfvo.vnfm().store().get::<ElementListener>(&s.id)?.is_some();
            let shown = serde_json::to_value(if of_element { to_element(a, &b.base) } else { alarm(a, &b.base) });
            b.put("alarm", shown.map_err(|e| Fault::bug("a notification cannot be written as JSON").with_source(e))?);
        }
        News::AlarmCleared(a) => {
            b.put("notificationType", "AlarmClearedNotification");
            b.put("alarmId", a.id.to_string());
            b.put("alarmClearedTime", time(a.cleared.unwrap_or_default()).to_string());
            b.link("alarm", format!("{}/{}", alarms_of(a.object), a.id));
        }
        News::Performance(news) => performance(news, &mut b),
        News::Capacity(news) => capacity(news, &mut b)?,
        News::Indicator(news) => indicator(news, &mut b),
        // SOL003 11.5.2.4; ETSI's file has no type for it.
        News::Room { .. } => {
            b.put("notificationType", "VrQuotaAvailNotification");
            b.put("resourceGroupId", e.about.descriptor.as_str());
            b.put("resourceProviderId", VIM);
        }
        News::AlarmsRebuilt => {
            b.put("notificationType", "AlarmListRebuiltNotification");
            b.link("alarms", if s.source == Source::NsFm { "/nsfm/v1/alarms" } else { "/vnffm/v1/alarms" }.into());
        }
    }
    if of_subscription {
        b.link("subscription", format!("{}/{}", collection(s.source), s.id));
    }
    let Body { mut members, links, .. } = b;
    members.insert("_links".into(), Value::Object(links));
    let mut members = Value::Object(members);
    if let Some(first) = older::of(collection(s.source)) {
        first.reply(&mut members);
    }
    let body = serde_json::to_vec(&members).map_err(|e| Fault::bug("a notification cannot be written as JSON").with_source(e))?;
    Ok(Rendered { version: api(s.source).text(), body })
}

/// SOL003 6.5.2.2 and 6.5.2.5, SOL005 7.5.2.4 and 7.5.2.5.
fn performance(news: &PmNews, b: &mut Body) {
    let (of, object) = match news {
        PmNews::Ready { job, report, object_type, object } => {
            b.put("notificationType", "PerformanceInformationAvailableNotification");
            b.put("pmJobId", job.to_string());
            let at = format!("{}/{job}", collection(job_source(*object_type)));
            b.link("performanceReport", format!("{at}/reports/{report}"));
            b.link("pmJob", at);
            (*object_type, object)
        }
        PmNews::Crossed { threshold, object_type, object, metric, crossing } => {
            b.put("notificationType", "ThresholdCrossedNotification");
            b.put("thresholdId", threshold.to_string());
            b.put("crossingDirection", way(crossing.direction));
            b.put("performanceMetric", metric.as_str());
            b.put("performanceValue", crossing.value.value());
            if let Some(part) = &crossing.part {
                b.put("subObjectInstanceId", part.as_str());
            }
            b.link("threshold", format!("{}/{threshold}", collection(threshold_source(*object_type))));
            (*object_type, object)
        }
    };
    b.put("objectType", of.word());
    b.put("objectInstanceId", object.to_string());
    b.link("objectInstance", object_path(of, object));
}

/// SOL005 10.5.2.10.
fn capacity(news: &CapacityNews, b: &mut Body) -> Result<()> {
    let c = &news.crossing;
    b.put("notificationType", "CapacityShortageNotification");
    b.put("thresholdId", news.threshold.to_string());
    b.put("objectInstanceId", VIM);
    b.put("subObjectInstanceId", c.zone.as_str());
    b.put("direction", way(c.direction));
    let figures = serde_json::to_value(measurement(&c.figures));
    b.put("capacityInformation", figures.map_err(|e| Fault::bug("a notification cannot be written as JSON").with_source(e))?);
    b.link("objectInstance", capacity_path());
    b.link("threshold", format!("{}/{}", collection(Source::NfviThreshold), news.threshold));
    Ok(())
}

fn way(d: Direction) -> &'static str {
    match d {
        Direction::Up => "UP",
        Direction::Down => "DOWN",
    }
}

/// SOL003 8.5.2.5 and 8.5.2.6.
fn indicator(news: &IndicatorNews, b: &mut Body) {
    let vnf = match news {
        IndicatorNews::Value { vnf, id, values, .. } => {
            b.put("notificationType", "VnfIndicatorValueChangeNotification");
            b.put("vnfIndicatorId", id.as_str());
            b.put("value", value(values));
            vnf
        }
        IndicatorNews::Supported { vnf, ids, .. } => {
            b.put("notificationType", "SupportedIndicatorsChangeNotification");
            let all: Vec<Value> = ids.iter().map(|id| json!({ "vnfIndicatorId": id.as_str() })).collect();
            b.put("supportedIndicators", all);
            vnf
        }
    };
    b.put("vnfInstanceId", vnf.to_string());
    b.link("vnfInstance", format!("/vnflcm/v2/vnf_instances/{vnf}"));
}

fn op_occ(nfvo: &Nfvo, s: &Subscription, o: &OpNews, b: &mut Body) -> Result<()> {
    b.put(
        "notificationStatus",
        match o.status() {
            Status::Start => "START",
            Status::Result => "RESULT",
        },
    );
    b.put("operationState", o.state.name());
    b.put("operation", operation(o.target, o.kind));
    b.put("isAutomaticInvocation", o.automatic);
    b.put("verbosity", if s.short { "SHORT" } else { "FULL" });
    // The operation as it was when this happened; what it plans does not change.
    let told = (o.status() == Status::Result && !s.short)
        .then(|| -> Result<_> {
            let mut op = find_operation(nfvo.vnfm().store(), o.op)?;
            op.state = o.state;
            op.error.clone_from(&o.error);
            let around: Around = ops::around(nfvo, &op)?;
            Ok((op, around))
        })
        .transpose()?;
    match o.target {
        Target::Vnf(vnf) => {
            b.put("notificationType", "VnfLcmOperationOccurrenceNotification");
            b.put("vnfInstanceId", vnf.to_string());
            b.put("vnfLcmOpOccId", o.op.to_string());
            b.link("vnfInstance", format!("/vnflcm/v2/vnf_instances/{vnf}"));
            b.link("vnfLcmOpOcc", format!("/vnflcm/v2/vnf_lcm_op_occs/{}", o.op));
            if let Some((op, around)) = told {
                let shown = opocc::vnf(&op, &around, &b.base)?;
                b.put_all("changedExtConnectivity", &shown.changed_ext_connectivity)?;
                if let Some(c) = shown.resource_changes {
                    b.put_all("affectedVnfcs", &c.affected_vnfcs)?;
                    b.put_all("affectedVirtualLinks", &c.affected_virtual_links)?;
                    b.put_all("affectedExtLinkPorts", &c.affected_ext_link_ports)?;
                    b.put_all("affectedVirtualStorages", &c.affected_virtual_storages)?;
                }
                if let Some(c) = &shown.changed_info {
                    b.put_one("changedInfo", c)?;
                }
                if let Some(m) = &shown.modifications_triggered_by_vnf_pkg_change {
                    b.put_one("modificationsTriggeredByVnfPkgChange", m)?;
                }
            }
        }
        // No API has such a notification, so no subscription wants it.
        Target::Pf(_) => {}
        Target::Ns(ns) => {
            b.put("notificationType", "NsLcmOperationOccurrenceNotification");
            b.put("nsInstanceId", ns.to_string());
            b.put("nsLcmOpOccId", o.op.to_string());
            b.link("nsInstance", format!("/nslcm/v2/ns_instances/{ns}"));
            // As SOL005 spells it.
            b.link("nslcmOpOcc", format!("/nslcm/v2/ns_lcm_op_occs/{}", o.op));
            if let Some((op, around)) = told
                && let Some(c) = opocc::ns(&op, &around, &b.base)?.resource_changes
            {
                b.put_all("affectedVnf", &c.affected_vnfs)?;
                b.put_all("affectedPnf", &c.affected_pnfs)?;
                b.put_all("affectedVl", &c.affected_vls)?;
                b.put_all("affectedVnffg", &c.affected_vnffgs)?;
                b.put_all("affectedSap", &c.affected_saps)?;
            }
        }
    }
    if let (Some(why), Status::Result) = (&o.error, o.status()) {
        b.put_one("error", &problem(why))?;
    }
    Ok(())
}

/// SOL005 6.5.2.9.
fn part(p: &PartNews, b: &mut Body) -> Result<()> {
    b.put("notificationType", "NsChangeNotification");
    b.put("nsInstanceId", p.ns.to_string());
    b.put("nsComponentType", PartNews::KIND);
    b.put("nsComponentId", p.vnf.to_string());
    b.put("lcmOpOccIdImpactingNsComponent", p.op.to_string());
    b.put("lcmOpNameImpactingNsComponent", p.operation().as_str());
    b.put("lcmOpOccStatusImpactingNsComponent", p.status());
    if let (Some(why), VnfOpState::Failed) = (&p.error, p.state) {
        b.put_one("error", &problem(why))?;
    }
    b.link("nsInstance", format!("/nslcm/v2/ns_instances/{}", p.ns));
    Ok(())
}

fn package(e: &Event, id: &str, change: &CatalogueNews, b: &mut Body) {
    b.put("vnfPkgId", id);
    b.put("vnfdId", e.about.descriptor.as_str());
    b.link("vnfPackage", format!("/vnfpkgm/v2/vnf_packages/{id}"));
    let (kind, changed) = match change {
        CatalogueNews::Onboarded | CatalogueNews::Failed(_) => ("VnfPackageOnboardingNotification", None),
        CatalogueNews::Operational(_) => ("VnfPackageChangeNotification", Some("OP_STATE_CHANGE")),
        CatalogueNews::Gone => ("VnfPackageChangeNotification", Some("PKG_DELETE")),
    };
    b.put("notificationType", kind);
    match changed {
        None => b.put("vnfmInfo", e.about.managers.iter().map(|v| Value::from(v.as_str())).collect::<Vec<_>>()),
        Some(changed) => b.put("changeType", changed),
    }
    if let CatalogueNews::Operational(to) = change {
        b.put("operationalState", operational(*to));
    }
}

fn nsd(e: &Event, id: &str, change: &CatalogueNews, b: &mut Body) -> Result<()> {
    b.put("nsdInfoId", id);
    if !e.about.descriptor.is_empty() {
        b.put("nsdId", e.about.descriptor.as_str());
    }
    b.link("nsdInfo", format!("/nsd/v2/ns_descriptors/{id}"));
    b.put(
        "notificationType",
        match change {
            CatalogueNews::Onboarded => "NsdOnBoardingNotification",
            CatalogueNews::Failed(_) => "NsdOnboardingFailureNotification",
            CatalogueNews::Operational(_) => "NsdChangeNotification",
            CatalogueNews::Gone => "NsdDeletionNotification",
        },
    );
    match change {
        CatalogueNews::Failed(why) => {
            let why =
                serde_json::to_value(problem(why)).map_err(|e| Fault::bug("a notification cannot be written as JSON").with_source(e))?;
            b.put("onboardingFailureDetails", why);
        }
        CatalogueNews::Operational(to) => b.put("nsdOperationalState", operational(*to)),
        CatalogueNews::Onboarded | CatalogueNews::Gone => {}
    }
    Ok(())
}

/// SOL005 5.5.2.13 to 5.5.2.15.
fn pnfd(e: &Event, id: &str, change: &CatalogueNews, b: &mut Body) -> Result<()> {
    b.put("pnfdInfoId", id);
    if !e.about.descriptor.is_empty() {
        b.put("pnfdId", e.about.descriptor.as_str());
    }
    b.link("pnfdInfo", format!("/nsd/v2/pnf_descriptors/{id}"));
    let kind = match change {
        CatalogueNews::Onboarded => "PnfdOnboardingNotification",
        CatalogueNews::Failed(why) => {
            let why =
                serde_json::to_value(problem(why)).map_err(|e| Fault::bug("a notification cannot be written as JSON").with_source(e))?;
            b.put("onboardingFailureDetails", why);
            "PnfdOnboardingFailureNotification"
        }
        CatalogueNews::Gone => "PnfdDeletionNotification",
        // No PNFD is ever enabled or disabled.
        CatalogueNews::Operational(_) => return Err(Fault::bug("a PNFD has no operational state")),
    };
    b.put("notificationType", kind);
    Ok(())
}

fn operational(o: Operational) -> &'static str {
    match o {
        Operational::Enabled => "ENABLED",
        Operational::Disabled => "DISABLED",
    }
}
