//! Mistakes of ETSI's own files in what they say of requests and replies: file, place (RFC 6901), what should stand there
//! (nothing: it goes), and why. Those in types are in `schema::MISTAKES`, those in paths in `declared::SLIPS`.

use crate::schema::{NSLCM as NSLCM_TYPES, VNFLCM as VNFLCM_TYPES, VNFLCM_OF_SOL002 as VNFLCM_TYPES_OF_SOL002};

const VNFPKGM: &str = "nfv-sol005/SOL005/VNFPackageManagement/VNFPackageManagement.yaml";
const VNFLCM: &str = "nfv-sol002-sol003/SOL003/VNFLifecycleManagement/VNFLifecycleManagement.yaml";
const VNFFM: &str = "nfv-sol002-sol003/SOL003/VNFFaultManagement/VNFFaultManagement.yaml";
const VNFLCM_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFLifecycleManagement/VNFLifecycleManagement.yaml";
const VNFFM_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFFaultManagement/VNFFaultManagement.yaml";
const VNFPKGM_OF_SOL003: &str = "nfv-sol002-sol003/SOL003/VNFPackageManagement/VNFPackageManagement.yaml";
const VNFIND: &str = "nfv-sol002-sol003/SOL003/VNFIndicator/VNFIndicator.yaml";
const VNFIND_OF_SOL002: &str = "nfv-sol002-sol003/SOL002/VNFIndicator/VNFIndicator.yaml";
const PARAMS: &str = "nfv-sol002-sol003/components/SOL003_params.yaml";
const PARAMS_OF_SOL002: &str = "nfv-sol002-sol003/components/SOL002_params.yaml";
const HTTP_DATE: &str = "a date as JSON has it; HTTP's is another, and RFC 9110 13.1.4 has what is none passed over";
const A_LIST: &str = "one in the file; the text and the path have a list";
const ONE: &str = "a list in the file; one is made";

#[rustfmt::skip]
pub const SLIPS: &[(&str, &str, Option<&str>, &str)] = &[
    (PARAMS, "/components/parameters/If-Unmodified-Since/schema/format", None, HTTP_DATE),
    (PARAMS_OF_SOL002, "/components/parameters/If-Unmodified-Since/schema/format", None, HTTP_DATE),
    (VNFPKGM, "/components/requestBodies/VnfPackageContentRequest/content", Some(r#"{"application/zip": {"schema": {"type": "string", "format": "binary"}}}"#), "a form of application/binary; its own description and SOL005 9.4.5.3.3 have application/zip"),
    (VNFLCM, "/components/responses/VnfLcmOpOccs.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL003VNFLifecycleManagement_def.yaml#/definitions/VnfLcmOpOcc"}}"##), A_LIST),
    (VNFLCM, "/components/responses/Subscriptions.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL003VNFLifecycleManagement_def.yaml#/definitions/LccnSubscription"}}"##), A_LIST),
    (VNFLCM, "/components/responses/IndividualVnfSnapshot.Get.200/content/application~1json/schema", Some(r##"{"$ref": "./definitions/SOL003VNFLifecycleManagement_def.yaml#/definitions/VnfSnapshotInfo"}"##), "a list in the file; the path names one"),
    (VNFLCM, "/components/responses/IndividualVnfInstance.Patch.202/content", None, "a VNF in the file; SOL003 5.4.3.3.4 has an empty body"),
    (VNFLCM_TYPES, "/definitions/VnfSnapshot/required", Some(r#"["id", "vnfInstanceId", "vnfdId"]"#), "SOL003 5.4.23.3.2 has lists without the rest unless it is asked for"),
    (NSLCM_TYPES, "/definitions/VnfSnapshot/required", Some(r#"["id", "vnfInstanceId", "vnfdId"]"#), "SOL005 6.4.19.3.2 has lists without the rest unless it is asked for"),
    (VNFFM, "/components/responses/Alarms.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL003VNFFaultManagement_def.yaml#/definitions/Alarm"}}"##), A_LIST),
    (VNFFM, "/components/responses/Subscriptions.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL003VNFFaultManagement_def.yaml#/definitions/FmSubscription"}}"##), A_LIST),
    (VNFLCM_OF_SOL002, "/components/responses/VnfLcmOpOccs.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL002VNFLifecycleManagement_def.yaml#/definitions/VnfLcmOpOcc"}}"##), A_LIST),
    (VNFLCM_OF_SOL002, "/components/responses/Subscriptions.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL002VNFLifecycleManagement_def.yaml#/definitions/LccnSubscription"}}"##), A_LIST),
    (VNFLCM_OF_SOL002, "/components/responses/IndividualVnfInstance.Delete.204/content", None, "a notification in the file; a 204 has no body"),
    (VNFLCM_TYPES_OF_SOL002, "/definitions/VnfSnapshot/required", Some(r#"["id", "vnfInstanceId", "vnfdId"]"#), "SOL002 5.4.23.3.2 has lists without the rest unless it is asked for"),
    (VNFFM_OF_SOL002, "/components/responses/Alarms.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL002VNFFaultManagement_def.yaml#/definitions/Alarm"}}"##), A_LIST),
    (VNFFM_OF_SOL002, "/components/responses/Subscriptions.Get.200/content/application~1json/schema", Some(r##"{"type": "array", "items": {"$ref": "./definitions/SOL002VNFFaultManagement_def.yaml#/definitions/FmSubscription"}}"##), A_LIST),
    (VNFPKGM_OF_SOL003, "/components/responses/Subscriptions.Post.201/content/application~1json/schema", Some(r##"{"$ref": "./definitions/SOL003VNFPackageManagement_def.yaml#/definitions/PkgmSubscription"}"##), ONE),
    (VNFIND, "/components/responses/Subscriptions.Post.201/content/application~1json/schema", Some(r##"{"$ref": "./definitions/SOL003VNFIndicator_def.yaml#/definitions/VnfIndicatorSubscription"}"##), ONE),
    (VNFIND_OF_SOL002, "/components/responses/VnfIndicatorSubscription.Post.201/content/application~1json/schema", Some(r##"{"$ref": "./definitions/SOL002VNFIndicator_def.yaml#/definitions/VnfIndicatorSubscription"}"##), ONE),
];
