//! Holds JSON against ETSI's own OpenAPI files.
//!
//! Owns the way from ETSI's multi-file YAML to one JSON schema per type: `$ref`s across files are followed, OpenAPI 3.0 is put in
//! JSON schema's words, objects are closed so that a member ETSI does not know is a fault, and ETSI's own mistakes are mended from
//! one table. Included by `#[path]` from the library's tests and from the API tests. Never skips in silence: without the files it
//! prints `SKIP`, and fails when `BOTHY_REQUIRE=all`.
#![allow(dead_code, reason = "included in more than one test build, and each uses a part")]

use std::{
    collections::{BTreeMap, VecDeque},
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::{Map, Value, json};

/// General types of SOL005: ProblemDetails, ApiVersionInformation, SubscriptionAuthentication.
pub const SOL005: &str = "nfv-sol005/SOL005/definitions/SOL005_def.yaml";
pub const NSD: &str = "nfv-sol005/SOL005/NSDManagement/definitions/SOL005NSDescriptorManagement_def.yaml";
pub const VNFPKGM: &str = "nfv-sol005/SOL005/VNFPackageManagement/definitions/SOL005VNFPackageManagement_def.yaml";
pub const NSLCM: &str = "nfv-sol005/SOL005/NSLifecycleManagement/definitions/SOL005NSLifecycleManagement_def.yaml";
const NSLCM_COORD: &str = "nfv-sol005/SOL005/NSLCMCoordination/definitions/SOL005NSLCMCoordination_def.yaml";
/// General types of SOL003.
pub const SOL003: &str = "nfv-sol002-sol003/SOL003/General_Definitions/SOL003_def.yaml";
pub const VNFLCM: &str = "nfv-sol002-sol003/SOL003/VNFLifecycleManagement/definitions/SOL003VNFLifecycleManagement_def.yaml";

/// What element managers meet.
pub const SOL002: &str = "nfv-sol002-sol003/SOL002/General_Definitions/SOL002_def.yaml";
pub const VNFLCM_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFLifecycleManagement/definitions/SOL002VNFLifecycleManagement_def.yaml";
pub const VNFFM_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFFaultManagement/definitions/SOL002VNFFaultManagement_def.yaml";
pub const VNFPM_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFPerformanceManagement/definitions/SOL002VNFPerformanceManagement_def.yaml";

/// Packages as foreign VNFMs read them.
pub const VNFPKGM_OF_SOL003: &str = "nfv-sol002-sol003/SOL003/VNFPackageManagement/definitions/SOL003VNFPackageManagement_def.yaml";
pub const VNFPKGM_NOTIFICATION_OF_SOL003: &str =
    "nfv-sol002-sol003/SOL003/VNFPackageManagementNotification/definitions/SOL003VNFPackageManagementNotification_def.yaml";
pub const VNFIND: &str = "nfv-sol002-sol003/SOL003/VNFIndicator/definitions/SOL003VNFIndicator_def.yaml";
pub const VNFIND_NOTIFICATION: &str =
    "nfv-sol002-sol003/SOL003/VNFIndicatorNotification/definitions/SOL003VNFIndicatorNotification_def.yaml";
pub const VNFIND_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFIndicator/definitions/SOL002VNFIndicator_def.yaml";
pub const VNFFM_NOTIFICATION_OF_SOL002: &str =
    "nfv-sol002-sol003/SOL002/VNFFaultManagementNotification/definitions/SOL002VNFFaultManagementNotification_def.yaml";
pub const VNFFM: &str = "nfv-sol002-sol003/SOL003/VNFFaultManagement/definitions/SOL003VNFFaultManagement_def.yaml";
pub const NFVICI: &str = "nfv-sol005/SOL005/NFVICapacityInformation/definitions/NFVICapacityInformation_def.yaml";
pub const NFVICI_NOTIFICATION: &str =
    "nfv-sol005/SOL005/NFVICapacityInformationNotification/definitions/SOL005NFVICapacityInformationNotification_def.yaml";
pub const NSFM: &str = "nfv-sol005/SOL005/NSFaultManagement/definitions/SOL005NSFaultManagement_def.yaml";
pub const VNFPM: &str = "nfv-sol002-sol003/SOL003/VNFPerformanceManagement/definitions/SOL003VNFPerformanceManagement_def.yaml";
/// Grants: what this NFVO gives, and what this VNFM asks for.
pub const GRANT: &str = "nfv-sol002-sol003/SOL003/VNFLifecycleOperationGranting/definitions/SOL003VNFLifecycleOperationGranting_def.yaml";
/// What VNFs are asked by this VNFM.
pub const LCMCOORD: &str = "nfv-sol002-sol003/SOL002/VNFLCMCoordination/definitions/SOL002VNFLCMCoordination_def.yaml";
pub const VNFCONFIG: &str = "nfv-sol002-sol003/SOL002/VNFConfiguration/definitions/SOL002VNFConfiguration_def.yaml";
pub const VRQAN: &str = "nfv-sol002-sol003/SOL003/VirtualisedResourcesQuotaAvailableNotification/definitions/SOL003VirtualisedResourcesQuotaAvailableNotification_def.yaml";
pub const NSPM: &str = "nfv-sol005/SOL005/NSPerformanceManagement/definitions/SOL005NSPerformanceManagement_def.yaml";

/// What subscribers are sent.
pub const NSD_NOTIFICATION: &str =
    "nfv-sol005/SOL005/NSDManagementNotification/definitions/SOL005NSDescriptorManagementNotification_def.yaml";
pub const VNFPKGM_NOTIFICATION: &str =
    "nfv-sol005/SOL005/VNFPackageManagementNotification/definitions/SOL005VNFPackageManagementNotification_def.yaml";
pub const NSLCM_NOTIFICATION: &str =
    "nfv-sol005/SOL005/NSLifecycleManagementNotification/definitions/SOL005NSLifecycleManagementNotification_def.yaml";
pub const VNFLCM_NOTIFICATION: &str =
    "nfv-sol002-sol003/SOL003/VNFLifecycleManagementNotification/definitions/SOL003VNFLifecycleManagementNotification_def.yaml";
pub const VNFFM_NOTIFICATION: &str =
    "nfv-sol002-sol003/SOL003/VNFFaultManagementNotification/definitions/SOL003VNFFaultManagementNotification_def.yaml";
pub const NSFM_NOTIFICATION: &str =
    "nfv-sol005/SOL005/NSFaultManagementNotification/definitions/SOL005NSFaultManagementNotification_def.yaml";
pub const VNFPM_NOTIFICATION: &str =
    "nfv-sol002-sol003/SOL003/VNFPerformanceManagementNotification/definitions/SOL003VNFPerformanceManagementNotification_def.yaml";
pub const NSPM_NOTIFICATION: &str =
    "nfv-sol005/SOL005/NSPerformanceManagementNotification/definitions/SOL005NSPerformanceManagementNotification_def.yaml";

/// What is done about a mistake in ETSI's files.
enum Mend {
    /// The rule at this place cannot hold, or is about another place: take it out.
    Drop,
    /// This is what the place should say.
    Put(&'static str),
}
use Mend::{Drop, Put};

const OBJECT: &str = r#"{"type": "object"}"#;
const MISPLACED_ADDRESS: &str = "speaks of members of the entries of ipAddresses";

/// ETSI's mistakes: file, place (JSON pointer below its types), what to do, why.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, Mend, &str)] = &[
    (NSD, "/NsdInfo/anyOf", Drop, "wants vnfPkgIds or nestedNsdInfoIds, which are unknown in state CREATED"),
    (NSD, "/NsdInfoModifications/oneOf", Drop, "the note says at least one, not exactly one"),
    (NSD, "/NsdInfoModifications/properties/userDefinedData", Put(OBJECT), "a list of objects; it patches NsdInfo, which has one object"),
    (NSD, "/PnfdInfo/properties/pnfdVersion", Put(r#"{"type": "string"}"#), "misspelt pnfdersion"),
    (NSD, "/PnfdInfo/properties/pnfdersion", Drop, "misspelt pnfdVersion"),
    (NSD, "/PnfdOnboardingStateType/enum/3", Put(r#""ONBOARDED""#), "misspelt ONBOARDING"),
    (NSLCM, "/NsLcmOpOcc/properties/operationParams", Put(OBJECT), "typed as the operation's name; it is the request object"),
    (NSLCM, "/NsLcmOpOcc/properties/statusEnteredTime", Put(r#"{"type": "string", "format": "date-time"}"#), "v1's name, required but not declared beside stateEnteredTime"),
    (NSLCM, "/LcmOpOccStatusForChangeNotificationType/enum", Put(r#"["START", "COMPLETED", "PARTIALLY_COMPLETED", "FAILED", "ROLLED_BACK"]"#), "the names of operations; SOL005 6.5.4.7 has states"),
    (NSLCM_NOTIFICATION, "/NsChangeNotification/required", Put(r#"["id", "nsInstanceId", "nsComponentType", "nsComponentId", "lcmOpOccIdImpactingNsComponent", "lcmOpNameImpactingNsComponent", "lcmOpOccStatusImpactingNsComponent", "notificationType", "subscriptionId", "timestamp", "_links"]"#), "requires lcmOpOccStatusImpactingNsCompon, which is cut off"),
    (NSLCM_COORD, "/LcmCoordResultType/enum/2", Put(r#""CANCELLED""#), "misspelt CACELLED"),
    (NSLCM, "/TerminateNsRequest/properties/terminateVnfData/items", Put(r##"{"$ref": "#/definitions/TerminateVnfData"}"##), "typed as a list of times"),
    (NSLCM, "/ScaleNsData/properties/additionalParamsForNs", Put(OBJECT), "typed as the parameters of a VNF"),
    (NSLCM, "/UpdateNsRequest/properties/addVnfInstance", Put(r##"{"type": "array", "items": {"$ref": "#/definitions/VnfInstanceData"}}"##), "misspelt addVnfIstance"),
    (NSLCM, "/UpdateNsRequest/properties/addVnfIstance", Drop, "misspelt addVnfInstance"),
    (NSLCM, "/UpdateNsRequest/properties/updateType/enum/8", Put(r#""ADD_SAP""#), "misspelt `ADD SAP`"),
    (NSLCM, "/AffectedVnf/anyOf", Drop, "the rule names members of changedInfo"),
    (NSLCM, "/AffectedVnf/properties/changedInfo/anyOf", Drop, "forgets changedExtConnectivity alone"),
    (NSLCM, "/AffectedVnf/properties/changedInfo/oneOf", Drop, "forgets changedExtConnectivity alone"),
    (NSLCM, "/ExtVirtualLinkInfo/properties/currentVnfExtCpData", Put(r##"{"type": "array", "items": {"$ref": "#/definitions/VnfExtCpData"}}"##), "one object; SOL003 has a list"),
    (NSLCM, "/VnffgInfo/required", Put(r#"["id", "vnffgdId", "vnfInstanceId"]"#), "requires pnfInfoId, which is not a member"),
    (NSLCM, "/VnffgInfo/properties/nsCpHandle", Put(r##"{"type": "array", "items": {"$ref": "#/definitions/NsCpHandle"}}"##), "one object, described as the handles of all CPs"),
    (NSLCM, "/PnfInfo/properties/cpInfo", Put(r##"{"type": "array", "items": {"$ref": "#/definitions/PnfExtCpInfo"}}"##), "one object; a PNF has as many CPs as its PNFD says"),
    (NSLCM, "/VnfSnapshot/required", Put(r#"["id", "vnfInstanceId", "vnfdId", "vnfInstance", "vnfcSnapshots"]"#), "requires triggeredAt and createdAt, which are not members"),
    (NSLCM, "/VnfcSnapshotInfo/required", Put(r#"["id", "vnfcInstanceId"]"#), "requires triggeredAt, createdAt and vnfcInfoId, which are not members"),
    (NSLCM, "/VipCpInfo/properties/metadata", Put(OBJECT), "a list of objects; everywhere else metadata is one object"),
    (NSLCM, "/VnfExtCpInfo/oneOf", Put(r#"[{"required": ["associatedVnfcCpId"]}, {"required": ["associatedVipCpId"]}, {"required": ["associatedVnfVirtualLinkId"]}]"#), "forgets associatedVipCpId"),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/addresses", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/type", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/isDynamic", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/addressRange", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/minAddress", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/maxAddress", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/IpOverEthernetAddressInfo/properties/subnetId", Drop, MISPLACED_ADDRESS),
    (SOL003, "/IpOverEthernetAddressData/oneOf", Drop, MISPLACED_ADDRESS),
    (VNFLCM, "/IpOverEthernetAddressInfo/oneOf", Drop, MISPLACED_ADDRESS),
    (NSLCM, "/LifecycleChangeNotificationsFilter/properties/notificationTypes/items/enum/0", Put(r#""NsLcmOperationOccurrenceNotification""#), "misspelt; the notification itself is not"),
    (VNFPKGM, "/ExternalArtifactsAccessConfig/properties/artifact", Put(r##"{"type": "array", "items": {"type": "object", "required": ["artifactUri"], "properties": {"artifactUri": {"type": "string"}, "overrideUri": {"type": "string"}, "authType": {"type": "string", "enum": ["OAUTH2_CLIENT_CREDENTIALS"]}, "paramsOauth2ClientCredentials": {"type": "object", "required": ["clientId", "clientPassword", "tokenEndpoint"], "properties": {"clientId": {"type": "string"}, "clientPassword": {"type": "string"}, "tokenEndpoint": {"type": "string"}}}}}}"##), "one object; SOL005 9.4.4a.3.2 has a list, empty where nothing was told"),
    (VNFPKGM, "/PkgmNotificationsFilter/oneOf", Drop, "wants one of three alternatives that are all optional"),
    (VNFPKGM, "/PkgmNotificationsFilter/properties/notificationTypes", Put(r#"{"type": "array", "items": {"type": "string", "enum": ["VnfPackageOnboardingNotification", "VnfPackageChangeNotification"]}}"#), "one value; the text has a list"),
    (VNFPKGM, "/PkgmNotificationsFilter/properties/vnfProductsFromProviders/items/properties/vnfProducts", Put(r#"{"type": "array", "items": {"type": "object"}}"#), "misspelt vnfProductsFromProviders, as the list around it"),
    (VNFPKGM, "/PkgmSubscription/properties/id", Put(r#"{"type": "string"}"#), "typed as a URI; everywhere else it is an identifier"),
    (NSD, "/NsdmNotificationsFilter/anyOf", Drop, "wants one of alternatives that are all optional"),
    (SOL005, "/NsInstanceSubscriptionFilter/anyOf", Drop, "wants one of alternatives that are all optional"),
    (SOL003, "/VnfInstanceSubscriptionFilter/anyOf", Drop, "wants one of alternatives that are all optional, and one of them misspelt"),
    (SOL003, "/ScaleInfo/properties", Put(r#"{"aspectId": {"type": "string"}, "vnfdId": {"type": "string"}, "scaleLevel": {"type": "integer"}}"#), "requires scaleLevel, but declares scaleToLevel as an identifier; SOL005 has an integer"),
    (SOL002, "/ScaleInfo/properties", Put(r#"{"aspectId": {"type": "string"}, "vnfdId": {"type": "string"}, "scaleLevel": {"type": "integer"}}"#), "requires scaleLevel, but declares scaleToLevel as an identifier; SOL005 has an integer"),
    (SOL002, "/VnfInstanceSubscriptionFilter/anyOf", Drop, "wants one of alternatives that are all optional, and one of them misspelt"),
    (SOL002, "/IpOverEthernetAddressData/oneOf", Drop, MISPLACED_ADDRESS),
    (VNFLCM_OF_SOL002, "/IpOverEthernetAddressInfo/oneOf", Drop, MISPLACED_ADDRESS),
    (VNFLCM_OF_SOL002, "/VnfLcmOpOcc/oneOf", Drop, "wants changedInfo in operations that change no information"),
    (VNFLCM_OF_SOL002, "/VnfSnapshot/required", Put(r#"["id", "vnfInstanceId", "vnfdId", "vnfInstance", "vnfcSnapshots"]"#), "requires triggeredAt and vnfInfo, which are not members"),
    (VNFLCM_OF_SOL002, "/VnfcSnapshotInfo/properties/vnfcResourceInfoId", Put(r#"{"type": "string"}"#), "typed as the VNFC; it is an identifier"),
    (VNFLCM_OF_SOL002, "/VnfcSnapshotInfo/properties/storageSnapshotResources", Put(r##"{"type": "array", "items": {"type": "object", "required": ["storageResourceId"], "properties": {"storageResourceId": {"type": "string"}, "storageSnapshotResource": {"$ref": "../../General_Definitions/SOL002_def.yaml#/definitions/ResourceHandle"}}}}"##), "one object; SOL003 has a list"),
    (VNFLCM_OF_SOL002, "/CreateVnfSnapshotRequest/required", Put(r#"["vnfSnapshotInfoId"]"#), "requires vnfSnapshotResId, which is not a member"),
    (VNFLCM_OF_SOL002, "/VnfcInfo/properties/vnfcState", Put(r#"{"type": "string", "enum": ["STARTED", "STOPPED"]}"#), "an identifier beside the values of the enumeration"),
    (VNFPM, "/PmJob/properties/reports", Put(r#"{"type": "array", "items": {"type": "object", "required": ["href", "readyTime"], "properties": {"href": {"type": "string"}, "readyTime": {"type": "string", "format": "date-time"}, "expiryTime": {"type": "string", "format": "date-time"}, "fileSize": {"type": "integer"}}}}"#), "one object; a job has as many reports as were made"),
    (VNFPM, "/PerformanceReport/properties/entries/items/required", Put(r#"["objectType", "objectInstanceId", "performanceMetric", "performanceValues"]"#), "requires performanceValue, which is not a member"),
    (VNFPM, "/PerformanceReport/properties/entries/items/properties/performanceValues/items/required", Put(r#"["timeStamp", "value"]"#), "SOL005 requires performanceValue, which is not a member"),
    (VNFPM, "/PerformanceReport/properties/entries/items/properties/performanceValues/items/properties/value", Put(r#"{"type": "number", "minimum": -1e300}"#), "an object; IFA 027's measurements are numbers"),
    (VNFPM, "/PmJobCriteria/properties/collectionPeriod", Put(r#"{"type": "integer"}"#), "the text has no upper bound"),
    (VNFPM, "/PmJobCriteria/properties/reportingPeriod", Put(r#"{"type": "integer"}"#), "the text has no upper bound"),
    (VNFPM, "/ThresholdCriteria/properties/simpleThresholdDetails/properties/thresholdValue", Put(r#"{"type": "number", "minimum": -1e300}"#), "SOL005 has an integer; the text has a floating point number"),
    (VNFPM, "/ThresholdCriteria/properties/simpleThresholdDetails/properties/hysteresis", Put(r#"{"type": "number", "minimum": -1e300}"#), "the text has no upper bound"),
    (VNFPM_OF_SOL002, "/PmJob/properties/reports", Put(r#"{"type": "array", "items": {"type": "object", "required": ["href", "readyTime"], "properties": {"href": {"type": "string"}, "readyTime": {"type": "string", "format": "date-time"}, "expiryTime": {"type": "string", "format": "date-time"}, "fileSize": {"type": "integer"}}}}"#), "one object; a job has as many reports as were made"),
    (VNFPM_OF_SOL002, "/PerformanceReport/properties/entries/items/required", Put(r#"["objectType", "objectInstanceId", "performanceMetric", "performanceValues"]"#), "requires performanceValue, which is not a member"),
    (VNFPM_OF_SOL002, "/PerformanceReport/properties/entries/items/properties/performanceValues/items/required", Put(r#"["timeStamp", "value"]"#), "SOL005 requires performanceValue, which is not a member"),
    (VNFPM_OF_SOL002, "/PerformanceReport/properties/entries/items/properties/performanceValues/items/properties/value", Put(r#"{"type": "number", "minimum": -1e300}"#), "an object; IFA 027's measurements are numbers"),
    (VNFPM_OF_SOL002, "/PmJobCriteria/properties/collectionPeriod", Put(r#"{"type": "integer"}"#), "the text has no upper bound"),
    (VNFPM_OF_SOL002, "/PmJobCriteria/properties/reportingPeriod", Put(r#"{"type": "integer"}"#), "the text has no upper bound"),
    (VNFPM_OF_SOL002, "/ThresholdCriteria/properties/simpleThresholdDetails/properties/thresholdValue", Put(r#"{"type": "number", "minimum": -1e300}"#), "SOL005 has an integer; the text has a floating point number"),
    (VNFPM_OF_SOL002, "/ThresholdCriteria/properties/simpleThresholdDetails/properties/hysteresis", Put(r#"{"type": "number", "minimum": -1e300}"#), "the text has no upper bound"),
    (NSPM, "/PmJob/properties/reports", Put(r#"{"type": "array", "items": {"type": "object", "required": ["href", "readyTime"], "properties": {"href": {"type": "string"}, "readyTime": {"type": "string", "format": "date-time"}, "expiryTime": {"type": "string", "format": "date-time"}, "fileSize": {"type": "integer"}}}}"#), "one object; a job has as many reports as were made"),
    (NSPM, "/PerformanceReport/properties/entries/items/required", Put(r#"["objectType", "objectInstanceId", "performanceMetric", "performanceValues"]"#), "requires performanceValue, which is not a member"),
    (NSPM, "/PerformanceReport/properties/entries/items/properties/performanceValues/items/required", Put(r#"["timeStamp", "value"]"#), "SOL005 requires performanceValue, which is not a member"),
    (NSPM, "/PerformanceReport/properties/entries/items/properties/performanceValues/items/properties/value", Put(r#"{"type": "number", "minimum": -1e300}"#), "an object; IFA 027's measurements are numbers"),
    (NSPM, "/PmJobCriteria/properties/collectionPeriod", Put(r#"{"type": "integer"}"#), "the text has no upper bound"),
    (NSPM, "/PmJobCriteria/properties/reportingPeriod", Put(r#"{"type": "integer"}"#), "the text has no upper bound"),
    (NSPM, "/ThresholdCriteria/properties/simpleThresholdDetails/properties/thresholdValue", Put(r#"{"type": "number", "minimum": -1e300}"#), "SOL005 has an integer; the text has a floating point number"),
    (NSPM, "/ThresholdCriteria/properties/simpleThresholdDetails/properties/hysteresis", Put(r#"{"type": "number", "minimum": -1e300}"#), "the text has no upper bound"),
    (VNFPM_NOTIFICATION, "/ThresholdCrossedNotification/properties/performanceValue", Put(r#"{"type": "number", "minimum": -1e300}"#), "an object; IFA 027's measurements are numbers"),
    (NSPM_NOTIFICATION, "/ThresholdCrossedNotification/properties/performanceValue", Put(r#"{"type": "number", "minimum": -1e300}"#), "an object; IFA 027's measurements are numbers"),
    (NFVICI, "/CapacityThresholdCriteria/properties/simpleThresholdDetails/items/properties/thresholdValue", Put(r#"{"type": "number", "minimum": -1e300}"#), "the text has a floating point number"),
    (NFVICI, "/CapacityThresholdCriteria/properties/simpleThresholdDetails/items/properties/hysteresis", Put(r#"{"type": "number", "minimum": -1e300}"#), "the text has a floating point number"),
    (NSPM, "/Threshold/properties/_links/properties/object", Put(r##"{"$ref": "../../definitions/SOL005_def.yaml#/definitions/Link"}"##), "has a description only"),
    (NSPM, "/Threshold/properties/objectType", Put(r#"{"type": "string"}"#), "has a description only"),
    (NSPM, "/PmJob/required", Put(r#"["id", "objectType", "objectInstanceIds", "criteria", "callbackUri", "_links"]"#), "_links is required of reports instead"),
    (NSPM, "/PmJob/properties/_links", Put(r##"{"type": "object", "required": ["self"], "properties": {"self": {"$ref": "../../definitions/SOL005_def.yaml#/definitions/Link"}, "objects": {"type": "array", "items": {"$ref": "../../definitions/SOL005_def.yaml#/definitions/Link"}}}}"##), "stands inside reports"),
    (NSPM, "/PerformanceReport/properties/entries/items/properties/subObjectInstanceId", Put(r#"{"type": "string"}"#), "a list; SOL003 has one"),
    (NSFM, "/Alarm/properties/_links/properties", Put(r##"{"self": {"$ref": "../../definitions/SOL005_def.yaml#/definitions/Link"}, "objectInstance": {"$ref": "../../definitions/SOL005_def.yaml#/definitions/Link"}}"##), "objectInstance stands inside self"),
    (NSFM, "/FaultyComponentInfo/properties", Put(r#"{"faultyNestedNsInstanceId": {"type": "string"}, "faultyNsVirtualLinkInstanceId": {"type": "string"}, "faultyVnfInstanceId": {"type": "string"}}"#), "each name stands on the description of the one after it"),
    (NSFM_NOTIFICATION, "/AlarmNotification/properties/notificationType/enum/0", Put(r#""AlarmNotification""#), "the name of the other notification"),
    (SOL003, "/Checksum", Put(r#"{"type": "object", "required": ["algorithm", "hash"], "properties": {"algorithm": {"type": "string"}, "hash": {"type": "string"}}}"#), "a text that the file itself calls undefined; SOL005's has both members"),
    (VNFPKGM_OF_SOL003, "/PkgmNotificationsFilter/anyOf", Drop, "wants one of alternatives that are all optional"),
    (VNFIND_NOTIFICATION, "/SupportedIndicatorsChangeNotification/properties/notificationType/enum/0", Put(r#""SupportedIndicatorsChangeNotification""#), "the name of the other notification"),
    (VNFLCM, "/VnfLcmOpOcc/oneOf", Drop, "wants changedInfo in operations that change no information"),
    (VNFLCM, "/VnfSnapshot/required", Put(r#"["id", "vnfInstanceId", "vnfdId", "vnfInstance", "vnfcSnapshots"]"#), "requires triggeredAt and vnfInfo, which are not members"),
    (VNFLCM, "/VnfcSnapshotInfo/required", Put(r#"["id", "vnfcInstanceId"]"#), "requires triggeredAt and vnfcResourceId, which are not members"),
    (VNFLCM, "/CreateVnfSnapshotRequest/required", Put(r#"["vnfSnapshotInfoId"]"#), "requires vnfSnapshotResId, which is not a member"),
    (VNFLCM, "/VnfcResourceInfo/properties/parentCpId", Drop, "stands one level too high"),
    (VNFLCM, "/VnfcResourceInfo/properties/vnfcCpInfo/items/properties/parentCpId", Put(r#"{"type": "string"}"#), "stands one level too high"),
];

/// Where the types of a file stand in it.
fn place_of_types(file: &str) -> &'static str {
    if [NFVICI, NFVICI_NOTIFICATION].contains(&file) { COMPONENTS } else { DEFINITIONS }
}
const DEFINITIONS: &str = "/definitions";
const COMPONENTS: &str = "/components/schemas";

/// The same for other readers of these files: file, place in it, what should stand there (nothing: it goes), why.
pub fn mends() -> impl Iterator<Item = (&'static str, String, Option<Value>, &'static str)> {
    MISTAKES.iter().map(|(file, pointer, mend, why)| {
        let put = match mend {
            Drop => None,
            Put(text) => Some(parse(text).unwrap_or_else(|fault| panic!("{file}{pointer}: {fault}"))),
        };
        (*file, format!("{}{pointer}", place_of_types(file)), put, *why)
    })
}

/// Types whose objects stay open: RFC 7807 allows extension members.
const OPEN: &[&str] = &["ProblemDetails"];

/// Every fault of `value` as ETSI's type `type_name` of `type_file` (one of the constants); empty when it conforms, and when the
/// files are not here.
pub fn check(type_file: &str, type_name: &str, value: &Value) -> Vec<String> {
    let Some(root) = root() else { return Vec::new() };
    let schema = match schema(&root, type_file, type_name) {
        Ok(schema) => schema,
        Err(fault) => return vec![fault],
    };
    match jsonschema::options().should_validate_formats(true).build(&schema) {
        Ok(validator) => validator.iter_errors(value).map(|fault| format!("{type_name}{}: {fault}", fault.instance_path())).collect(),
        Err(fault) => vec![format!("{type_file}: {type_name} is no valid schema: {fault}")],
    }
}

/// `count` values of ETSI's type with every member that the schema knows, whether or not they may stand together; the nth has of
/// every enumeration the value number n, counted round and round. Empty when the files are not here.
pub fn full(type_file: &str, type_name: &str, count: usize) -> Vec<Value> {
    let schema = whole(type_file, type_name);
    schema.iter().flat_map(|schema| (0..count).map(move |nth| fill(schema, schema, Members::All, nth))).collect()
}

/// A value of ETSI's type with the members that the schema requires and no others.
pub fn least(type_file: &str, type_name: &str) -> Option<Value> {
    whole(type_file, type_name).map(|schema| fill(&schema, &schema, Members::Required, 0))
}

#[derive(Clone, Copy, PartialEq)]
enum Members {
    All,
    Required,
}

/// The schema of a type that a test names: a name that is not there is the test's mistake.
pub fn whole(type_file: &str, type_name: &str) -> Option<Value> {
    match schema(&root()?, type_file, type_name) {
        Ok(schema) => Some(schema),
        Err(fault) => panic!("{fault}"),
    }
}

fn fill(schema: &Value, whole: &Value, which: Members, nth: usize) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let key = reference.trim_start_matches("#/$defs/");
        return fill(&whole["$defs"][key], whole, which, nth);
    }
    if let Some(choices) = schema["enum"].as_array() {
        return choices[nth % choices.len()].clone();
    }
    if let Some(members) = schema["properties"].as_object() {
        let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name));
        let wanted = members.iter().filter(|(name, _)| which == Members::All || required(name));
        return wanted.map(|(name, member)| (name.clone(), fill(member, whole, which, nth))).collect();
    }
    if schema["format"] == "date-time" {
        return json!("2026-05-01T12:00:00Z");
    }
    match schema["type"].as_str() {
        Some("array") => json!([fill(&schema["items"], whole, which, nth)]),
        Some("string") => json!("text"),
        // What is measured is bounded here and need not be whole; ETSI also says number of what is.
        Some("number") if schema["minimum"].is_number() => json!(7.5),
        Some("integer" | "number") => json!(7),
        Some("boolean") => json!(nth.is_multiple_of(2)),
        _ if schema["additionalProperties"].is_object() => json!({"one": fill(&schema["additionalProperties"], whole, which, nth)}),
        _ => json!({"zebra": "first", "apple": [1, null, {"deep": true}]}),
    }
}

/// ETSI's folder: `BOTHY_ETSI`, or `shared/etsi` beside the repository or beside the folder of a worktree.
pub fn root() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = env::var_os("BOTHY_ETSI").map(PathBuf::from).into_iter();
    let found = places
        .chain([here.join("../shared/etsi"), here.join("../../shared/etsi")])
        .map(|etsi| etsi.join("openapi"))
        .find(|openapi| openapi.is_dir());
    if found.is_none() {
        println!("SKIP: needs ../shared/etsi");
        assert!(env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "BOTHY_REQUIRE=all: ../shared/etsi is missing");
    }
    found
}

/// One self-contained JSON schema: the type and all it refers to, each under `$defs`.
fn schema(root: &Path, type_file: &str, type_name: &str) -> Result<Value, String> {
    let start = Place { file: type_file.to_owned(), name: type_name.to_owned() };
    let mut defs = Map::new();
    let mut wanted = VecDeque::from([start.clone()]);
    while let Some(place) = wanted.pop_front() {
        if defs.contains_key(&place.key()) {
            continue;
        }
        let types = types(root, &place.file)?;
        let found = types.get(&place.name).ok_or_else(|| format!("{} has no type {}", place.file, place.name))?;
        defs.insert(place.key(), convert(found, &place, !OPEN.contains(&place.name.as_str()), &mut wanted)?);
    }
    Ok(json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": start.reference(), "$defs": defs}))
}

/// Where a type stands: a file under the root, and its name there.
#[derive(Clone)]
struct Place {
    file: String,
    name: String,
}

impl Place {
    fn key(&self) -> String {
        format!("{}:{}", self.file.replace('/', "."), self.name)
    }
    fn reference(&self) -> String {
        format!("#/$defs/{}", self.key())
    }
    /// The place that a `$ref` in this place's file means: `#/definitions/X` or `../../file.yaml#/definitions/X`; some
    /// files have `components/schemas` in place of `definitions`.
    fn follow(&self, reference: &str) -> Result<Place, String> {
        let bad = || format!("{}: cannot follow $ref {reference}", self.file);
        let (file, pointer) = reference.split_once('#').ok_or_else(bad)?;
        let below = [DEFINITIONS, COMPONENTS].iter().find_map(|at| pointer.strip_prefix(at)?.strip_prefix('/'));
        let name = below.ok_or_else(bad)?.to_owned();
        if file.is_empty() {
            return Ok(Place { file: self.file.clone(), name });
        }
        let mut parts: Vec<&str> = self.file.split('/').collect();
        parts.pop();
        for part in file.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop().ok_or_else(bad)?),
                part => parts.push(part),
            }
        }
        Ok(Place { file: parts.join("/"), name })
    }
}

type Types = Arc<Map<String, Value>>;

/// The `definitions` of a file with ETSI's mistakes mended. Read once: the largest file has 6,700 lines.
fn types(root: &Path, file: &str) -> Result<Types, String> {
    static READ: OnceLock<Mutex<BTreeMap<String, Types>>> = OnceLock::new();
    let mut read = READ.get_or_init(Mutex::default).lock().map_err(|_| "another test failed while it read ETSI's files".to_owned())?;
    if let Some(types) = read.get(file) {
        return Ok(types.clone());
    }
    let text = fs::read_to_string(root.join(file)).map_err(|fault| format!("{file}: {fault}"))?;
    // Types that are commented out are more than the reader looks ahead.
    let text: String = text.lines().filter(|l| !l.starts_with('#')).flat_map(|l| [l, "\n"]).collect();
    let mut yaml: Value = serde_saphyr::from_str(&text).map_err(|fault| format!("{file}: {fault}"))?;
    let at = place_of_types(file);
    let mut types = yaml.pointer_mut(at).map(Value::take).ok_or_else(|| format!("{file} has no {at}"))?;
    for (_, pointer, mend, why) in MISTAKES.iter().filter(|mistake| mistake.0 == file) {
        apply(&mut types, pointer, mend).map_err(|fault| format!("{file}{pointer} ({why}): {fault}"))?;
    }
    let Value::Object(types) = types else { return Err(format!("{file} has no definitions")) };
    let types = Types::new(types);
    read.insert(file.to_owned(), types.clone());
    Ok(types)
}

fn apply(types: &mut Value, pointer: &str, mend: &Mend) -> Result<(), String> {
    let (parent, last) = pointer.rsplit_once('/').ok_or("not a pointer")?;
    match (types.pointer_mut(parent).ok_or("nothing there")?, mend) {
        (Value::Object(members), Drop) => drop(members.remove(last).ok_or("nothing to drop")?),
        (Value::Object(members), Put(text)) => drop(members.insert(last.to_owned(), parse(text)?)),
        (Value::Array(entries), Put(text)) => {
            let index: usize = last.parse().map_err(|_| "not an index")?;
            *entries.get_mut(index).ok_or("no such entry")? = parse(text)?;
        }
        _ => return Err("nothing that can be mended".to_owned()),
    }
    Ok(())
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|fault| fault.to_string())
}

/// OpenAPI 3.0 in JSON schema's words. Only what is known is carried over: ETSI's files have stray members beside the schema's.
fn convert(schema: &Value, place: &Place, closed: bool, wanted: &mut VecDeque<Place>) -> Result<Value, String> {
    let Value::Object(schema) = schema else { return Ok(json!(true)) };
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let target = place.follow(reference)?;
        let converted = json!({"$ref": target.reference()});
        wanted.push_back(target);
        return Ok(converted);
    }
    let mut out = Map::new();
    for (word, value) in schema {
        match (word.as_str(), value) {
            ("type" | "enum" | "pattern" | "minItems" | "maxItems" | "minLength" | "maxLength" | "minimum" | "maximum", _) => {
                out.insert(word.clone(), value.clone());
            }
            ("required", Value::Array(_)) => {
                out.insert(word.clone(), value.clone());
            }
            // `IP` and `MAC` are ETSI's own; URIs are checked by the tests of those who make them.
            ("format", Value::String(format)) if format == "date-time" => {
                out.insert(word.clone(), value.clone());
            }
            ("items" | "additionalProperties" | "not", value @ Value::Object(_)) => {
                out.insert(word.clone(), convert(value, place, closed, wanted)?);
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(choices)) => {
                // The choices speak about members of the object around them, so they cannot be closed themselves.
                let choices = choices.iter().map(|choice| convert(choice, place, false, wanted)).collect::<Result<Vec<_>, _>>()?;
                out.insert(word.clone(), Value::Array(choices));
            }
            ("properties", Value::Object(members)) => {
                let members = members.iter().map(|(name, member)| Ok((name.clone(), convert(member, place, closed, wanted)?)));
                out.insert(word.clone(), Value::Object(members.collect::<Result<_, String>>()?));
                if closed && !schema.contains_key("additionalProperties") {
                    out.insert("additionalProperties".to_owned(), json!(false));
                }
            }
            _ => {}
        }
    }
    let nullable = schema.get("nullable") == Some(&json!(true));
    Ok(if nullable { json!({"anyOf": [out, {"type": "null"}]}) } else { Value::Object(out) })
}
