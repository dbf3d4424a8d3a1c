//! Subscriptions to notifications: requests, filters and the resources they make, for nsd, vnfpkgm and nslcm of SOL005, and
//! vnflcm and vnfpkgm of SOL003.
//!
//! Owns the shapes. Never judges a filter beyond its shape; never knows how a notification is sent.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    common::{Identifier, Link},
    nsd::{NsdOnboardingState, NsdOperationalState, NsdUsageState},
    nslcm::{NsLcmOpType, NsLcmOperationState},
    pkgm::{PackageOperationalState, PackageUsageState},
    vnflcm::{LcmOperationState, LcmOperationType},
};

/// A request of any of the APIs; `F` is its filter. `verbosity` is known to nslcm and vnflcm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionRequest<F> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<F>,
    pub callback_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<SubscriptionAuthentication>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<Verbosity>,
}

/// The resource: what was asked for without the credentials, which are never read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionInfo {
    pub id: Identifier,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    pub callback_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<Verbosity>,
    #[serde(rename = "_links")]
    pub links: SubscriptionLinks,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionLinks {
    #[serde(rename = "self")]
    pub self_: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verbosity {
    Full,
    Short,
}

/// SOL013 8.3.4. It has no `Debug` of its secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionAuthentication {
    /// What the subscriber is willing to accept.
    pub auth_type: Vec<AuthType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params_basic: Option<ParamsBasic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params_oauth2_client_credentials: Option<ParamsOauth2>,
}

impl std::fmt::Debug for SubscriptionAuthentication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubscriptionAuthentication").field("auth_type", &self.auth_type).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthType {
    #[serde(rename = "BASIC")]
    Basic,
    #[serde(rename = "OAUTH2_CLIENT_CREDENTIALS")]
    Oauth2ClientCredentials,
    #[serde(rename = "TLS_CERT")]
    TlsCert,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParamsBasic {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParamsOauth2 {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
}

/// `vnfProductsFromProviders`: providers, their products, versions of these.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductsOfProvider {
    pub vnf_provider: String,
    /// SOL005's file misspells it as the list around it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", alias = "vnfProductsFromProviders")]
    pub vnf_products: Vec<ProductOfProvider>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductOfProvider {
    pub vnf_product_name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<ProductVersion>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductVersion {
    pub vnf_software_version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfd_versions: Vec<String>,
}

/// SOL003 5.5.3.12.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfLcmFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_subscription_filter: Option<VnfInstanceSubscriptionFilter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notification_types: Vec<VnfLcmNotificationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operation_types: Vec<LcmOperationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operation_states: Vec<LcmOperationState>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VnfInstanceSubscriptionFilter {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfd_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_products_from_providers: Vec<ProductsOfProvider>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_instance_names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VnfLcmNotificationType {
    VnfLcmOperationOccurrenceNotification,
    VnfIdentifierCreationNotification,
    VnfIdentifierDeletionNotification,
}

/// SOL005 6.5.3.8.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsLcmFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_instance_subscription_filter: Option<NsInstanceSubscriptionFilter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notification_types: Vec<NsLcmNotificationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operation_types: Vec<NsLcmOpType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operation_states: Vec<NsLcmOperationState>,
    /// Looks at `NsLcmCapacityShortageNotification` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected_ns_instance_ids: Vec<Identifier>,
    /// These three look at `NsChangeNotification` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_component_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lcm_op_name_impacting_ns_component: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lcm_op_occ_status_impacting_ns_component: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsInstanceSubscriptionFilter {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfd_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_instance_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ns_instance_names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NsLcmNotificationType {
    #[serde(alias = "NsLcmOperationOccurenceNotification")]
    NsLcmOperationOccurrenceNotification,
    NsIdentifierCreationNotification,
    NsIdentifierDeletionNotification,
    NsChangeNotification,
}

/// SOL005 9.5.3.2, SOL003 10.5.3.4.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PkgmFilter {
    /// ETSI's file has one value; the text has a list. Both are understood.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    pub notification_types: Vec<PkgmNotificationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_products_from_providers: Vec<ProductsOfProvider>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfd_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_pkg_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operational_state: Vec<PackageOperationalState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage_state: Vec<PackageUsageState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnfm_info: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PkgmNotificationType {
    VnfPackageOnboardingNotification,
    VnfPackageChangeNotification,
}

/// SOL005 5.5.3.2.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NsdFilter {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notification_types: Vec<NsdNotificationType>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_info_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_name: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_version: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_designer: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_invariant_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vnf_pkg_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_info_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested_nsd_info_ids: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_onboarding_state: Vec<NsdOnboardingState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_operational_state: Vec<NsdOperationalState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nsd_usage_state: Vec<NsdUsageState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_name: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_version: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_provider: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_invariant_id: Vec<Identifier>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_onboarding_state: Vec<NsdOnboardingState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pnfd_usage_state: Vec<NsdUsageState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NsdNotificationType {
    NsdOnBoardingNotification,
    #[serde(alias = "NsdOnboardingFailureNotification")]
    NsdOnBoardingFailureNotification,
    NsdChangeNotification,
    NsdDeletionNotification,
    #[serde(alias = "PnfdOnboardingNotification")]
    PnfdOnBoardingNotification,
    #[serde(alias = "PnfdOnboardingFailureNotification")]
    PnfdOnBoardingFailureNotification,
    PnfdDeletionNotification,
}

/// SOL003 V2.7.1 6.5.3.2, SOL005 V2.7.1 7.5.3.2: each interface has its own instance filter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PmFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnf_instance_subscription_filter: Option<VnfInstanceSubscriptionFilter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_instance_subscription_filter: Option<NsInstanceSubscriptionFilter>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notification_types: Vec<PmNotificationType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PmNotificationType {
    PerformanceInformationAvailableNotification,
    ThresholdCrossedNotification,
}

pub(super) fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        One(T),
        Many(Vec<T>),
    }
    Ok(match Either::deserialize(d)? {
        Either::One(one) => vec![one],
        Either::Many(all) => all,
    })
}
