//! Subscriptions between the wire and the model: requests of each API to the one kind of filter, and back.

use serde::Serialize;
use serde_json::Value;
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    Base,
    catalogue::{nsd_operational, package_operational},
    vnf::VIM,
};
use crate::{
    model::{
        error::{Fault, Result},
        subscription::{AlarmFilter, Filter, PartFilter, Product, Sort, Source, Subscription},
    },
    sol::{
        fm::{FmFilter, FmNotificationType},
        grant::VrQuotaFilter,
        nsd::NsdUsageState,
        pkgm::PackageUsageState,
        subscription::{
            AuthType, NsInstanceSubscriptionFilter, NsLcmFilter, NsLcmNotificationType, NsdFilter, NsdNotificationType, PkgmFilter,
            PkgmNotificationType, PmFilter, PmNotificationType, ProductsOfProvider, SubscriptionAuthentication, SubscriptionInfo,
            SubscriptionLinks, Verbosity, VnfInstanceSubscriptionFilter, VnfLcmFilter, VnfLcmNotificationType,
        },
        vnfind::{IndicatorFilter, IndicatorNotificationType},
    },
};

/// A filter of one of the APIs, as all of them are kept.
pub trait IntoFilter: Serialize {
    /// Every fault at once, each with its member.
    fn into_filter(self, faults: &mut Vec<String>) -> Filter;
}

fn names(all: Vec<String>) -> Vec<SmolStr> {
    all.into_iter().map(Into::into).collect()
}

/// An id that cannot be one of ours names nothing: such a criterion is never met, but by others in its list.
fn ids(all: Vec<String>, never: &mut bool) -> Vec<Uuid> {
    let ours: Vec<Uuid> = all.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect();
    *never |= ours.is_empty() && !all.is_empty();
    ours
}

/// The standard's own word for a value.
fn word<T: Serialize>(v: &T) -> SmolStr {
    serde_json::to_value(v).ok().and_then(|v| v.as_str().map(SmolStr::new)).unwrap_or_default()
}

fn products(all: Vec<ProductsOfProvider>) -> Vec<Product> {
    let mut out = Vec::new();
    for p in all {
        let provider = SmolStr::new(&p.vnf_provider);
        let line = |name: Option<&str>, software: Option<&str>, vnfd: &[String]| Product {
            provider: provider.clone(),
            name: name.map(SmolStr::new),
            software_version: software.map(SmolStr::new),
            vnfd_versions: vnfd.iter().map(SmolStr::new).collect(),
        };
        if p.vnf_products.is_empty() {
            out.push(line(None, None, &[]));
        }
        for n in &p.vnf_products {
            if n.versions.is_empty() {
                out.push(line(Some(&n.vnf_product_name), None, &[]));
            }
            out.extend(n.versions.iter().map(|v| line(Some(&n.vnf_product_name), Some(&v.vnf_software_version), &v.vnfd_versions)));
        }
    }
    out
}

/// Members that exclude each other.
fn at_most_one(given: &[(&str, bool)], faults: &mut Vec<String>) {
    let there: Vec<&str> = given.iter().filter(|(_, is)| *is).map(|(n, _)| *n).collect();
    if there.len() > 1 {
        faults.push(format!("filter: {} exclude each other", there.join(" and ")));
    }
}

impl IntoFilter for VnfLcmFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        let sort = |t: &VnfLcmNotificationType| match t {
            VnfLcmNotificationType::VnfLcmOperationOccurrenceNotification => Sort::Operation,
            VnfLcmNotificationType::VnfIdentifierCreationNotification => Sort::Made,
            VnfLcmNotificationType::VnfIdentifierDeletionNotification => Sort::Gone,
        };
        let mut f = Filter {
            sorts: self.notification_types.iter().map(sort).collect(),
            operations: self.operation_types.iter().map(word).collect(),
            states: self.operation_states.iter().map(word).collect(),
            ..Filter::default()
        };
        if let Some(of) = self.vnf_instance_subscription_filter {
            of_vnfs(of, &mut f, faults);
        }
        f
    }
}

fn of_vnfs(of: VnfInstanceSubscriptionFilter, f: &mut Filter, faults: &mut Vec<String>) {
    at_most_one(&[("vnfdIds", !of.vnfd_ids.is_empty()), ("vnfProductsFromProviders", !of.vnf_products_from_providers.is_empty())], faults);
    at_most_one(&[("vnfInstanceIds", !of.vnf_instance_ids.is_empty()), ("vnfInstanceNames", !of.vnf_instance_names.is_empty())], faults);
    f.descriptors = names(of.vnfd_ids);
    f.products = products(of.vnf_products_from_providers);
    f.ids = ids(of.vnf_instance_ids, &mut f.never);
    f.names = names(of.vnf_instance_names);
}

fn of_services(of: NsInstanceSubscriptionFilter, f: &mut Filter, faults: &mut Vec<String>) {
    at_most_one(&[("nsdIds", !of.nsd_ids.is_empty()), ("vnfdIds", !of.vnfd_ids.is_empty()), ("pnfdIds", !of.pnfd_ids.is_empty())], faults);
    at_most_one(&[("nsInstanceIds", !of.ns_instance_ids.is_empty()), ("nsInstanceNames", !of.ns_instance_names.is_empty())], faults);
    f.never = !of.pnfd_ids.is_empty();
    f.descriptors = names(of.nsd_ids);
    f.vnfds = names(of.vnfd_ids);
    f.ids = ids(of.ns_instance_ids, &mut f.never);
    f.names = names(of.ns_instance_names);
}

impl IntoFilter for FmFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        let sort = |t: &FmNotificationType| match t {
            FmNotificationType::AlarmNotification => Sort::Alarm,
            FmNotificationType::AlarmClearedNotification => Sort::AlarmCleared,
            FmNotificationType::AlarmListRebuiltNotification => Sort::AlarmsRebuilt,
        };
        let mut f = Filter {
            sorts: self.notification_types.iter().map(sort).collect(),
            alarms: AlarmFilter {
                resources: self.faulty_resource_types.iter().map(word).collect(),
                severities: self.perceived_severities.iter().map(word).collect(),
                events: self.event_types.iter().map(word).collect(),
                causes: names(self.probable_causes),
            },
            ..Filter::default()
        };
        if let Some(of) = self.vnf_instance_subscription_filter {
            of_vnfs(of, &mut f, faults);
        }
        if let Some(of) = self.ns_instance_subscription_filter {
            of_services(of, &mut f, faults);
        }
        f
    }
}

impl IntoFilter for PmFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        let sort = |t: &PmNotificationType| match t {
            PmNotificationType::PerformanceInformationAvailableNotification => Sort::Performance,
            PmNotificationType::ThresholdCrossedNotification => Sort::ThresholdCrossed,
        };
        let mut f = Filter { sorts: self.notification_types.iter().map(sort).collect(), ..Filter::default() };
        if let Some(of) = self.vnf_instance_subscription_filter {
            of_vnfs(of, &mut f, faults);
        }
        if let Some(of) = self.ns_instance_subscription_filter {
            of_services(of, &mut f, faults);
        }
        f
    }
}

impl IntoFilter for VrQuotaFilter {
    fn into_filter(self, _: &mut Vec<String>) -> Filter {
        // There is one VIM here, which provides all resources; a project is a group of them.
        let elsewhere = |all: &[String]| !all.is_empty() && all.iter().all(|id| id != VIM);
        Filter {
            operations: self.resource_types.iter().map(word).collect(),
            never: elsewhere(&self.vim_ids) || elsewhere(&self.resource_provider_ids),
            descriptors: names(self.resource_group_ids),
            ..Filter::default()
        }
    }
}

impl IntoFilter for IndicatorFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        let sort = |t: &IndicatorNotificationType| match t {
            IndicatorNotificationType::VnfIndicatorValueChangeNotification => Sort::IndicatorValue,
            IndicatorNotificationType::SupportedIndicatorsChangeNotification => Sort::IndicatorsSupported,
        };
        let mut f = Filter {
            sorts: self.notification_types.iter().map(sort).collect(),
            operations: names(self.indicator_ids),
            ..Filter::default()
        };
        if let Some(of) = self.vnf_instance_subscription_filter {
            of_vnfs(of, &mut f, faults);
        }
        f
    }
}

impl IntoFilter for NsLcmFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        let sort = |t: &NsLcmNotificationType| match t {
            NsLcmNotificationType::NsLcmOperationOccurrenceNotification => Sort::Operation,
            NsLcmNotificationType::NsIdentifierCreationNotification => Sort::Made,
            NsLcmNotificationType::NsIdentifierDeletionNotification => Sort::Gone,
            NsLcmNotificationType::NsChangeNotification => Sort::Part,
        };
        let mut f = Filter {
            sorts: self.notification_types.iter().map(sort).collect(),
            operations: self.operation_types.iter().map(word).collect(),
            states: self.operation_states.iter().map(word).collect(),
            parts: PartFilter {
                kinds: names(self.ns_component_types),
                operations: names(self.lcm_op_name_impacting_ns_component),
                states: names(self.lcm_op_occ_status_impacting_ns_component),
            },
            ..Filter::default()
        };
        if let Some(of) = self.ns_instance_subscription_filter {
            of_services(of, &mut f, faults);
        }
        f
    }
}

impl IntoFilter for PkgmFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        at_most_one(
            &[
                ("vnfProductsFromProviders", !self.vnf_products_from_providers.is_empty()),
                ("vnfdId", !self.vnfd_id.is_empty()),
                ("vnfPkgId", !self.vnf_pkg_id.is_empty()),
            ],
            faults,
        );
        let sort = |t: &PkgmNotificationType| match t {
            PkgmNotificationType::VnfPackageOnboardingNotification => Sort::Onboarded,
            PkgmNotificationType::VnfPackageChangeNotification => Sort::Changed,
        };
        let mut never = false;
        Filter {
            sorts: self.notification_types.iter().map(sort).collect(),
            products: products(self.vnf_products_from_providers),
            descriptors: names(self.vnfd_id),
            ids: ids(self.vnf_pkg_id, &mut never),
            operational: self.operational_state.into_iter().map(package_operational).collect(),
            in_use: self.usage_state.iter().map(|u| *u == PackageUsageState::InUse).collect(),
            vnfm_info: names(self.vnfm_info),
            never,
            ..Filter::default()
        }
    }
}

impl IntoFilter for NsdFilter {
    fn into_filter(self, faults: &mut Vec<String>) -> Filter {
        at_most_one(&[("nsdId", !self.nsd_id.is_empty()), ("nsdInfoId", !self.nsd_info_id.is_empty())], faults);
        at_most_one(&[("pnfdId", !self.pnfd_id.is_empty()), ("pnfdInfoIds", !self.pnfd_info_ids.is_empty())], faults);
        at_most_one(&[("vnfPkgIds", !self.vnf_pkg_ids.is_empty()), ("nestedNsdInfoIds", !self.nested_nsd_info_ids.is_empty())], faults);
        if !self.nested_nsd_info_ids.is_empty() {
            faults.push(
                "filter.nestedNsdInfoIds is not offered: no NSD here is made of others; filter by nsdId, nsdInfoId or nsdName".into(),
            );
        }
        let sort = |t: &NsdNotificationType| match t {
            NsdNotificationType::NsdOnBoardingNotification => Sort::Onboarded,
            NsdNotificationType::NsdOnBoardingFailureNotification => Sort::Failed,
            NsdNotificationType::NsdChangeNotification => Sort::Changed,
            NsdNotificationType::NsdDeletionNotification => Sort::Gone,
            NsdNotificationType::PnfdOnBoardingNotification => Sort::PnfdOnboarded,
            NsdNotificationType::PnfdOnBoardingFailureNotification => Sort::PnfdFailed,
            NsdNotificationType::PnfdDeletionNotification => Sort::PnfdGone,
        };
        let of_nsds = [
            &self.nsd_info_id,
            &self.nsd_id,
            &self.nsd_name,
            &self.nsd_version,
            &self.nsd_designer,
            &self.nsd_invariant_id,
            &self.vnf_pkg_ids,
        ];
        let of_nsds = of_nsds.iter().any(|l| !l.is_empty())
            || !(self.nsd_onboarding_state.is_empty() && self.nsd_operational_state.is_empty() && self.nsd_usage_state.is_empty());
        let of_pnfds =
            [&self.pnfd_info_ids, &self.pnfd_id, &self.pnfd_name, &self.pnfd_version, &self.pnfd_provider, &self.pnfd_invariant_id];
        let of_pnfds =
            of_pnfds.iter().any(|l| !l.is_empty()) || !(self.pnfd_onboarding_state.is_empty() && self.pnfd_usage_state.is_empty());
        // Nothing is an NSD and a PNFD; who asks for some of the ones hears nothing of the others.
        let mut never = of_nsds && of_pnfds;
        let mut sorts: Vec<Sort> = self.notification_types.iter().map(sort).collect();
        let (all, kind) = (sorts.is_empty(), [of_nsds, of_pnfds]);
        for (there, of_kind) in kind.into_iter().zip([NSD_SORTS, PNFD_SORTS]) {
            if there && all {
                sorts.extend(of_kind);
            } else if there {
                sorts.retain(|s| of_kind.contains(s));
                never |= sorts.is_empty();
            }
        }
        Filter {
            ids: ids([self.nsd_info_id, self.pnfd_info_ids].concat(), &mut never),
            descriptors: names([self.nsd_id, self.pnfd_id].concat()),
            // An NSD is known by the packages it uses as well.
            vnfds: names(self.vnf_pkg_ids),
            names: names([self.nsd_name, self.pnfd_name].concat()),
            versions: names([self.nsd_version, self.pnfd_version].concat()),
            designers: names([self.nsd_designer, self.pnfd_provider].concat()),
            invariants: names([self.nsd_invariant_id, self.pnfd_invariant_id].concat()),
            states: self.nsd_onboarding_state.iter().chain(&self.pnfd_onboarding_state).map(word).collect(),
            operational: self.nsd_operational_state.into_iter().map(nsd_operational).collect(),
            in_use: self.nsd_usage_state.iter().chain(&self.pnfd_usage_state).map(|u| *u == NsdUsageState::InUse).collect(),
            sorts,
            never,
            ..Filter::default()
        }
    }
}

const NSD_SORTS: &[Sort] = &[Sort::Onboarded, Sort::Failed, Sort::Changed, Sort::Gone];
const PNFD_SORTS: &[Sort] = &[Sort::PnfdOnboarded, Sort::PnfdFailed, Sort::PnfdGone];

/// How Bothy shall show itself: the strongest of what the subscriber accepts.
pub enum Login {
    None,
    Certificate,
    Client { id: String, secret: String, endpoint: String },
    Basic { user: String, password: String },
}

pub fn login(given: Option<SubscriptionAuthentication>, faults: &mut Vec<String>) -> Login {
    let Some(a) = given else { return Login::None };
    if a.auth_type.contains(&AuthType::TlsCert) {
        return Login::Certificate;
    }
    if a.auth_type.contains(&AuthType::Oauth2ClientCredentials) {
        // Without them the standard lets both sides agree by other means; there are none here.
        let p = a.params_oauth2_client_credentials;
        if let Some((id, secret, endpoint)) = p.and_then(|p| Some((p.client_id?, p.client_password?, p.token_endpoint?))) {
            return Login::Client { id, secret, endpoint };
        }
        faults.push("authentication.paramsOauth2ClientCredentials: clientId, clientPassword and tokenEndpoint are needed".into());
        return Login::None;
    }
    if a.auth_type.contains(&AuthType::Basic) {
        if let Some((user, password)) = a.params_basic.and_then(|p| Some((p.user_name?, p.password?))) {
            return Login::Basic { user, password };
        }
        faults.push("authentication.paramsBasic: userName and password are needed".into());
        return Login::None;
    }
    faults.push("authentication.authType: one of BASIC, OAUTH2_CLIENT_CREDENTIALS, TLS_CERT is needed".into());
    Login::None
}

/// Where the subscriptions of an API are.
pub fn collection(source: Source) -> &'static str {
    match source {
        Source::Nsd => "/nsd/v2/subscriptions",
        Source::VnfPkgm | Source::Sol003VnfPkgm => "/vnfpkgm/v2/subscriptions",
        Source::NsLcm => "/nslcm/v2/subscriptions",
        Source::VnfLcm => "/vnflcm/v2/subscriptions",
        Source::VnfLcmFirst => "/vnflcm/v1/subscriptions",
        Source::NsdFirst => "/nsd/v1/subscriptions",
        Source::VnfPkgmFirst | Source::Sol003VnfPkgmFirst => "/vnfpkgm/v1/subscriptions",
        Source::NsLcmFirst => "/nslcm/v1/subscriptions",
        Source::VnfPmFirst => "/vnfpm/v1/subscriptions",
        Source::NsPmFirst => "/nspm/v1/subscriptions",
        Source::VrQuota => "/vrqan/v1/subscriptions",
        Source::VnfFm => "/vnffm/v1/subscriptions",
        Source::NsFm => "/nsfm/v1/subscriptions",
        Source::VnfInd => "/vnfind/v1/subscriptions",
        Source::VnfPmJob => "/vnfpm/v2/pm_jobs",
        Source::VnfThreshold => "/vnfpm/v2/thresholds",
        Source::NsPmJob => "/nspm/v2/pm_jobs",
        Source::NsThreshold => "/nspm/v2/thresholds",
        Source::NfviThreshold => "/nfvici/v1/capacity_thresholds",
    }
}

pub fn info(s: &Subscription, base: &Base) -> Result<SubscriptionInfo> {
    let filter: Option<Value> = s
        .filter_text
        .as_deref()
        .map(serde_json::from_str)
        .transpose()
        .map_err(|e| Fault::bug("a stored filter is no JSON").with_source(e))?;
    Ok(SubscriptionInfo {
        id: s.id.to_string(),
        filter,
        callback_uri: s.callback.clone(),
        verbosity: match s.source {
            Source::NsLcm | Source::VnfLcm => Some(if s.short { Verbosity::Short } else { Verbosity::Full }),
            Source::Nsd | Source::VnfPkgm | Source::Sol003VnfPkgm | Source::VnfFm | Source::NsFm | Source::VnfInd => None,
            Source::VnfLcmFirst | Source::NsdFirst | Source::VnfPkgmFirst | Source::Sol003VnfPkgmFirst | Source::NsLcmFirst => None,
            Source::VnfPmFirst | Source::NsPmFirst | Source::VrQuota => None,
            Source::VnfPmJob | Source::VnfThreshold | Source::NsPmJob | Source::NsThreshold | Source::NfviThreshold => None,
        },
        links: SubscriptionLinks { self_: base.link(format!("{}/{}", collection(s.source), s.id)) },
    })
}
