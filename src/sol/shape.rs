//! What a list knows of its entries, and attribute selectors (SOL013 5.3): which members a client
//! wants of each entry.
//!
//! Selectors speak of complex attributes, that is objects and lists: what is simple stays, and so does
//! what the standard requires. Never: which entries (that is `filter`).

use serde_json::Value;

/// The members of a resource, as ETSI's files name them; a test holds them together.
#[derive(Debug)]
pub struct Shape {
    pub members: &'static [&'static str],
    /// Those that a selector cannot take away, also inside others (`a/b`).
    pub required: &'static [&'static str],
    /// Left out of lists unless they are asked for, also inside others.
    pub left_out: &'static [&'static str],
}

pub static NSD_INFO: Shape = Shape {
    members: &[
        "id",
        "nsdId",
        "nsdName",
        "nsdVersion",
        "nsdDesigner",
        "nsdInvariantId",
        "vnfPkgIds",
        "pnfdInfoIds",
        "nestedNsdInfoIds",
        "archiveSecurityOption",
        "signingCertificate",
        "artifacts",
        "nsdOnboardingState",
        "onboardingFailureDetails",
        "nsdOperationalState",
        "nsdUsageState",
        "userDefinedData",
        "_links",
    ],
    required: &["id", "nsdOnboardingState", "nsdOperationalState", "nsdUsageState", "_links"],
    left_out: &["userDefinedData"],
};

pub static PNFD_INFO: Shape = Shape {
    members: &[
        "id",
        "pnfdId",
        "pnfdName",
        "pnfdVersion",
        "pnfdProvider",
        "pnfdInvariantId",
        "archiveSecurityOption",
        "signingCertificate",
        "artifacts",
        "pnfdOnboardingState",
        "onboardingFailureDetails",
        "pnfdUsageState",
        "userDefinedData",
        "_links",
    ],
    required: &["id", "pnfdOnboardingState", "pnfdUsageState", "_links"],
    left_out: &["userDefinedData"],
};

pub static VNF_PKG_INFO: Shape = Shape {
    members: &[
        "id",
        "vnfdId",
        "vnfProvider",
        "vnfProductName",
        "vnfSoftwareVersion",
        "vnfdVersion",
        "compatibleSpecificationVersions",
        "checksum",
        "packageSecurityOption",
        "signingCertificate",
        "softwareImages",
        "additionalArtifacts",
        "onboardingState",
        "operationalState",
        "usageState",
        "vnfmInfo",
        "userDefinedData",
        "onboardingFailureDetails",
        "_links",
    ],
    required: &["id", "onboardingState", "operationalState", "usageState", "_links"],
    left_out: &["softwareImages", "additionalArtifacts", "userDefinedData", "checksum"],
};

macro_rules! alarm {
    ($($own:literal)?) => {
        Shape {
            members: &[
                "id",
                "managedObjectId",
                $($own,)?
                "rootCauseFaultyResource",
                "alarmRaisedTime",
                "alarmChangedTime",
                "alarmClearedTime",
                "alarmAcknowledgedTime",
                "ackState",
                "perceivedSeverity",
                "eventTime",
                "eventType",
                "faultType",
                "probableCause",
                "isRootCause",
                "correlatedAlarmIds",
                "faultDetails",
                "_links",
            ],
            required: ALARM_REQUIRED,
            left_out: &[],
        }
    };
}

/// SOL003 7.4.2.3.2; also of the box's own alarms.
pub static ALARM: Shape = alarm!();

/// SOL002 7.4.2.3.2.
pub static ELEMENT_ALARM: Shape = alarm!("vnfcInstanceIds");

/// SOL003 8.4.2.3.2.
pub static INDICATOR: Shape = Shape {
    members: &["id", "name", "value", "vnfInstanceId", "_links"],
    required: &["id", "value", "vnfInstanceId", "_links"],
    left_out: &[],
};

/// SOL005 8.4.2.3.2.
pub static NS_ALARM: Shape = alarm!("rootCauseFaultyComponent");

/// SOL003 6.4.2.3.2, SOL005 7.4.2.3.2.
pub static PM_JOB: Shape = Shape {
    members: &["id", "objectType", "objectInstanceIds", "subObjectInstanceIds", "criteria", "callbackUri", "reports", "_links"],
    required: &["id", "objectType", "objectInstanceIds", "criteria", "callbackUri", "_links"],
    left_out: &["reports"],
};

pub static THRESHOLD: Shape = Shape {
    members: &["id", "objectType", "objectInstanceId", "subObjectInstanceIds", "criteria", "callbackUri", "_links"],
    required: &["id", "objectType", "objectInstanceId", "criteria", "callbackUri", "_links"],
    left_out: &[],
};

/// SOL005 10.4.2.3.2. It leaves out zones too, which the type requires: they stay.
pub static NFVI_CAPACITY: Shape = Shape {
    members: &["id", "vimId", "capacityInfoPerZone", "totalCapacityInfo", "timeInterval"],
    required: &["id", "vimId", "capacityInfoPerZone"],
    left_out: &["totalCapacityInfo", "timeInterval"],
};

pub static CAPACITY_THRESHOLD: Shape = Shape {
    members: &["id", "objectInstanceId", "subObjectInstanceIds", "criteria", "callbackUri", "_links"],
    required: &["id", "objectInstanceId", "criteria", "callbackUri", "_links"],
    left_out: &[],
};

const ALARM_REQUIRED: &[&str] = &[
    "id",
    "managedObjectId",
    "alarmRaisedTime",
    "ackState",
    "perceivedSeverity",
    "eventTime",
    "eventType",
    "probableCause",
    "isRootCause",
    "_links",
];

pub static NS_INSTANCE: Shape = Shape {
    members: &[
        "id",
        "nsInstanceName",
        "nsInstanceDescription",
        "nsdId",
        "nsdInfoId",
        "flavourId",
        "priority",
        "vnfInstance",
        "pnfInfo",
        "virtualLinkInfo",
        "vnffgInfo",
        "sapInfo",
        "nestedNsInstanceId",
        "vnfSnapshotInfoIds",
        "nsState",
        "monitoringParameter",
        "nsScaleStatus",
        "additionalAffinityOrAntiAffinityRule",
        "wanConnectionInfo",
        "_links",
    ],
    required: &["id", "nsInstanceName", "nsInstanceDescription", "nsdId", "nsdInfoId", "nsState", "_links"],
    left_out: &[
        "vnfInstance",
        "pnfInfo",
        "virtualLinkInfo",
        "vnffgInfo",
        "sapInfo",
        "nsScaleStatus",
        "additionalAffinityOrAntiAffinityRule",
        "wanConnectionInfo",
    ],
};

pub static NS_OP_OCC: Shape = Shape {
    members: &[
        "id",
        "operationState",
        "statusEnteredTime",
        "stateEnteredTime",
        "nsInstanceId",
        "lcmOperationType",
        "startTime",
        "isAutomaticInvocation",
        "operationParams",
        "isCancelPending",
        "cancelMode",
        "error",
        "resourceChanges",
        "lcmCoordinations",
        "rejectedLcmCoordinations",
        "warnings",
        "_links",
    ],
    required: &[
        "id",
        "operationState",
        "statusEnteredTime",
        "nsInstanceId",
        "lcmOperationType",
        "startTime",
        "isAutomaticInvocation",
        "isCancelPending",
        "_links",
    ],
    left_out: &["operationParams", "error", "resourceChanges"],
};

pub static VNF_INSTANCE: Shape = Shape {
    members: &[
        "id",
        "vnfInstanceName",
        "vnfInstanceDescription",
        "vnfdId",
        "vnfProvider",
        "vnfProductName",
        "vnfSoftwareVersion",
        "vnfdVersion",
        "vnfConfigurableProperties",
        "vimConnectionInfo",
        "instantiationState",
        "instantiatedVnfInfo",
        "metadata",
        "extensions",
        "_links",
    ],
    required: &[
        "id",
        "vnfdId",
        "vnfProvider",
        "vnfProductName",
        "vnfSoftwareVersion",
        "vnfdVersion",
        "instantiationState",
        "_links",
        "instantiatedVnfInfo/extCpInfo",
    ],
    left_out: &["vnfConfigurableProperties", "vimConnectionInfo", "instantiatedVnfInfo", "metadata", "extensions"],
};

pub static VNF_OP_OCC: Shape = Shape {
    members: &[
        "id",
        "operationState",
        "stateEnteredTime",
        "startTime",
        "vnfInstanceId",
        "grantId",
        "operation",
        "isAutomaticInvocation",
        "operationParams",
        "isCancelPending",
        "cancelMode",
        "error",
        "resourceChanges",
        "changedInfo",
        "affectedVipCps",
        "changedExtConnectivity",
        "modificationsTriggeredByVnfPkgChange",
        "vnfSnapshotInfoId",
        "lcmCoordinations",
        "rejectedLcmCoordinations",
        "warnings",
        "_links",
    ],
    required: &[
        "id",
        "operationState",
        "stateEnteredTime",
        "startTime",
        "vnfInstanceId",
        "operation",
        "isAutomaticInvocation",
        "isCancelPending",
        "_links",
    ],
    left_out: &["operationParams", "error", "resourceChanges", "changedInfo", "changedExtConnectivity"],
};

/// SOL003 5.4.23.3.2, SOL005 6.4.19.3.2.
pub static VNF_SNAPSHOT: Shape = Shape {
    members: &["id", "vnfSnapshotPkgId", "vnfSnapshot", "_links"],
    required: &["id", "_links"],
    left_out: &["vnfSnapshot/vnfInstance", "vnfSnapshot/vnfcSnapshots"],
};

pub static SUBSCRIPTION: Shape =
    Shape { members: &["id", "filter", "callbackUri", "_links"], required: &["id", "callbackUri", "_links"], left_out: &[] };

pub static SUBSCRIPTION_WITH_VERBOSITY: Shape = Shape {
    members: &["id", "filter", "callbackUri", "verbosity", "_links"],
    required: &["id", "callbackUri", "verbosity", "_links"],
    left_out: &[],
};

/// A path of member names.
type Path = Vec<String>;

/// Which members are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selector {
    /// All but those that lists leave out.
    #[default]
    Usual,
    All,
    /// Of the complex ones only these.
    Only(Vec<Path>),
    Without(Vec<Path>),
    /// As usual, and of those that are left out these.
    UsualAnd(Vec<Path>),
}

impl Selector {
    /// Reads the four parameters; `None` is one that was not given.
    pub fn parse(
        all_fields: bool,
        fields: Option<&str>,
        exclude_fields: Option<&str>,
        exclude_default: bool,
        shape: &Shape,
    ) -> Result<Selector, String> {
        let paths = |text: &str| -> Result<Vec<Path>, String> {
            text.split(',')
                .map(|p| {
                    let path: Path = p.split('/').map(Into::into).collect();
                    let first = path.first().map_or("", String::as_str);
                    if path.iter().any(String::is_empty) {
                        return Err(format!("'{text}' is no list of attributes: a part of it is empty"));
                    }
                    if !shape.members.contains(&first) {
                        return Err(format!("there is no attribute '{first}' here; there are {}", shape.members.join(", ")));
                    }
                    Ok(path)
                })
                .collect()
        };
        match (all_fields, fields, exclude_fields, exclude_default) {
            (false, None, None, _) => Ok(Selector::Usual),
            (true, None, None, false) => Ok(Selector::All),
            (false, Some(f), None, false) => paths(f).map(Selector::Only),
            (false, None, Some(f), false) => paths(f).map(Selector::Without),
            (false, Some(f), None, true) => paths(f).map(Selector::UsualAnd),
            _ => Err("of all_fields, fields, exclude_fields and exclude_default one is given, or fields with exclude_default".into()),
        }
    }

    /// Whether a member (not a part of it) may be in the answer.
    pub fn may_show(&self, member: &str, shape: &Shape) -> bool {
        let named = |all: &[Path]| all.iter().any(|p| p.first().is_some_and(|f| f == member));
        match self {
            Selector::Usual => !shape.left_out.contains(&member),
            Selector::All | Selector::Without(_) => true,
            Selector::Only(f) => named(f),
            Selector::UsualAnd(f) => named(f) || !shape.left_out.contains(&member),
        }
    }

    /// Takes out of an entry what is not wanted.
    pub fn apply(&self, entry: &mut Value, shape: &Shape) {
        let Value::Object(members) = entry else { return };
        match self {
            Selector::All => {}
            Selector::Usual => shape.left_out.iter().for_each(|path| remove(entry, &segments(path))),
            Selector::UsualAnd(wanted) => {
                members.retain(|n, v| {
                    if !shape.left_out.contains(&n.as_str()) {
                        return true;
                    }
                    keep(v, &below(wanted, n), &required_below(shape.required, n))
                });
                let inside = shape.left_out.iter().filter(|p| p.contains('/')).map(|p| segments(p));
                // Named as it is, or all that it is in.
                let named = |p: &Path| wanted.iter().any(|w| p.starts_with(w) || w.starts_with(p));
                inside.filter(|p| !named(p)).for_each(|p| remove(entry, &p));
            }
            Selector::Only(wanted) => {
                let required: Vec<Vec<&str>> = shape.required.iter().map(|r| r.split('/').collect()).collect();
                let wanted: Vec<&[String]> = wanted.iter().map(Vec::as_slice).collect();
                let required: Vec<&[&str]> = required.iter().map(Vec::as_slice).collect();
                prune(members, &wanted, &required);
            }
            Selector::Without(unwanted) => {
                for path in unwanted {
                    if !shape.required.contains(&path.join("/").as_str()) {
                        remove(entry, path);
                    }
                }
            }
        }
    }
}

fn segments(path: &str) -> Path {
    path.split('/').map(Into::into).collect()
}

fn below<'p>(paths: &'p [Path], name: &str) -> Vec<&'p [String]> {
    paths.iter().filter(|p| p.first().is_some_and(|f| f == name)).map(|p| &p[1..]).collect()
}

fn required_below(required: &'static [&'static str], name: &str) -> Vec<Vec<&'static str>> {
    required.iter().filter_map(|r| r.strip_prefix(name)?.strip_prefix('/')).map(|r| r.split('/').collect()).collect()
}

/// Whether a complex value is wanted, and of it only what is: an empty path wants all of it.
fn keep(v: &mut Value, wanted: &[&[String]], required: &[Vec<&str>]) -> bool {
    if wanted.iter().any(|p| p.is_empty()) {
        return true;
    }
    if wanted.is_empty() {
        return false;
    }
    let required: Vec<&[&str]> = required.iter().map(Vec::as_slice).collect();
    narrow(v, wanted, &required);
    true
}

fn narrow(v: &mut Value, wanted: &[&[String]], required: &[&[&str]]) {
    match v {
        Value::Array(all) => all.iter_mut().for_each(|v| narrow(v, wanted, required)),
        Value::Object(members) => prune(members, wanted, required),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn prune(members: &mut serde_json::Map<String, Value>, wanted: &[&[String]], required: &[&[&str]]) {
    members.retain(|name, v| {
        let simple = !(v.is_object() || v.is_array());
        if simple || required.iter().any(|r| *r == [name.as_str()]) {
            return true;
        }
        let of_it: Vec<&[String]> = wanted.iter().filter(|p| p.first() == Some(name)).map(|p| &p[1..]).collect();
        let needs: Vec<Vec<&str>> = required.iter().filter(|r| r.first() == Some(&name.as_str())).map(|r| r[1..].to_vec()).collect();
        keep(v, &of_it, &needs)
    });
}

fn remove(v: &mut Value, path: &[String]) {
    match (v, path) {
        (Value::Array(all), _) => all.iter_mut().for_each(|v| remove(v, path)),
        (Value::Object(members), [name]) => {
            members.shift_remove(name);
        }
        (Value::Object(members), [name, rest @ ..]) => {
            if let Some(v) = members.get_mut(name) {
                remove(v, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sol::schema;

    const SHAPE: Shape = Shape { members: &["id", "a", "b", "c", "_links"], required: &["id", "_links", "c/r"], left_out: &["b", "c"] };

    fn entry() -> Value {
        json!({"id": "1", "a": [{"x": 1, "y": {"z": 1}, "w": {}}], "b": {"k": [1]}, "c": {"r": [1], "s": {}, "t": 2}, "_links": {}})
    }

    #[test]
    fn selectors_keep_what_is_simple_required_or_asked_for() {
        for (all, fields, without, default, want) in [
            (false, None, None, false, json!({"id": "1", "a": [{"x": 1, "y": {"z": 1}, "w": {}}], "_links": {}})),
            (false, None, None, true, json!({"id": "1", "a": [{"x": 1, "y": {"z": 1}, "w": {}}], "_links": {}})),
            (true, None, None, false, entry()),
            (false, Some("b"), None, false, json!({"id": "1", "b": {"k": [1]}, "_links": {}})),
            (false, Some("a/y"), None, false, json!({"id": "1", "a": [{"x": 1, "y": {"z": 1}}], "_links": {}})),
            (false, Some("c/t"), None, false, json!({"id": "1", "c": {"r": [1], "t": 2}, "_links": {}})),
            (
                false,
                Some("c/s"),
                None,
                true,
                json!({"id": "1", "a": [{"x": 1, "y": {"z": 1}, "w": {}}], "c": {"r": [1], "s": {}, "t": 2}, "_links": {}}),
            ),
            (
                false,
                None,
                Some("a/y,b,c/r,_links"),
                false,
                json!({"id": "1", "a": [{"x": 1, "w": {}}], "c": {"r": [1], "s": {}, "t": 2}, "_links": {}}),
            ),
        ] {
            let s = Selector::parse(all, fields, without, default, &SHAPE).expect("selector");
            let mut v = entry();
            s.apply(&mut v, &SHAPE);
            assert_eq!(v, want, "{s:?}");
        }
        for (all, fields, without, default) in [
            (true, Some("a"), None, false),
            (true, None, None, true),
            (false, Some("a"), Some("b"), false),
            (false, None, Some("a"), true),
            (false, Some("nothing"), None, false),
            (false, None, Some("a//b"), false),
            (false, Some(""), None, false),
        ] {
            assert!(Selector::parse(all, fields, without, default, &SHAPE).is_err(), "{all} {fields:?} {without:?} {default}");
        }
    }

    #[test]
    fn shapes_have_the_members_that_etsi_has() {
        for (file, name, shape) in [
            (schema::NSD, "NsdInfo", &NSD_INFO),
            (schema::NSD, "PnfdInfo", &PNFD_INFO),
            (schema::VNFPKGM, "VnfPkgInfo", &VNF_PKG_INFO),
            (schema::NSLCM, "NsInstance", &NS_INSTANCE),
            (schema::NSLCM, "NsLcmOpOcc", &NS_OP_OCC),
            (schema::VNFLCM, "VnfInstance", &VNF_INSTANCE),
            (schema::VNFLCM, "VnfLcmOpOcc", &VNF_OP_OCC),
            (schema::VNFLCM, "VnfSnapshotInfo", &VNF_SNAPSHOT),
            (schema::NSLCM, "VnfSnapshotInfo", &VNF_SNAPSHOT),
            (schema::NSD, "NsdmSubscription", &SUBSCRIPTION),
            (schema::VNFPKGM, "PkgmSubscription", &SUBSCRIPTION),
            (schema::NSLCM, "LccnSubscription", &SUBSCRIPTION_WITH_VERBOSITY),
            (schema::VNFLCM, "LccnSubscription", &SUBSCRIPTION_WITH_VERBOSITY),
            (schema::VNFFM, "Alarm", &ALARM),
            (schema::NSFM, "Alarm", &NS_ALARM),
            (schema::VNFFM_OF_SOL002, "Alarm", &ELEMENT_ALARM),
            (schema::VNFIND, "VnfIndicator", &INDICATOR),
            (schema::VNFIND, "VnfIndicatorSubscription", &SUBSCRIPTION),
            (schema::VNFPM, "PmJob", &PM_JOB),
            (schema::NSPM, "PmJob", &PM_JOB),
            (schema::VNFPM, "Threshold", &THRESHOLD),
            (schema::NSPM, "Threshold", &THRESHOLD),
            (schema::NFVICI, "NfviCapacityInfo", &NFVI_CAPACITY),
            (schema::NFVICI, "CapacityThreshold", &CAPACITY_THRESHOLD),
            (schema::VNFFM, "FmSubscription", &SUBSCRIPTION),
            (schema::NSFM, "FmSubscription", &SUBSCRIPTION),
        ] {
            let known = |m: &str| shape.members.contains(&m.split('/').next().unwrap_or(m));
            assert!(shape.left_out.iter().all(|m| known(m) && !shape.required.contains(m)), "{name}");
            let (Some(full), Some(least)) = (schema::full(file, name, 1).pop(), schema::least(file, name)) else { continue };
            let names = |v: &Value| -> std::collections::BTreeSet<String> { v.as_object().expect("object").keys().cloned().collect() };
            let ours: std::collections::BTreeSet<String> = shape.members.iter().map(|m| (*m).into()).collect();
            assert_eq!(ours, names(&full), "{name}");
            for m in names(&least) {
                assert!(shape.required.contains(&m.as_str()), "{name}.{m} is required");
            }
        }
    }
}
