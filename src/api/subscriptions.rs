//! Subscriptions of every API that has them (SOL005 5.4.8, 6.4.16, 8.4.4, 9.4.8; SOL003 5.4.18, 7.4.4, 10.4.7): one
//! set of handlers, told apart by the API and its filter.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header::LOCATION},
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    Ctx, Services,
    conditional::if_match,
    convert::{
        Base,
        subscription::{IntoFilter, Login, collection, info, login},
    },
    extract::{self, Id},
    list::{Page, Query, list},
    problem::Answer,
    respond::{NoQuery, created, shown},
    routes::Routes,
    who::{View, caller},
};
use crate::{
    access::manage::Thing,
    model::{
        access::{Action, Permission, Resource},
        error::{Fault, Result},
        id::VnfId,
        subscription::{Auth, Filter, Source, Subscription},
        vnf::ELEMENT_MANAGER,
    },
    nfvo::Nfvo,
    notify::Notifier,
    sol::{
        shape::{SUBSCRIPTION, SUBSCRIPTION_WITH_VERBOSITY, Shape},
        subscription::{SubscriptionAuthentication, SubscriptionRequest, Verbosity},
    },
};

/// Version of the resource: it never changes.
const ONLY: u64 = 1;

/// The routes of one API's subscriptions; `F` is its filter.
pub fn routes<F: IntoFilter + DeserializeOwned + Send + 'static>(source: Source, all: &'static str, one: &'static str) -> Routes {
    let of = Of { source };
    let make = move |State(s): Ctx, base: Base, _: NoQuery, extract::Json(r): extract::Json<SubscriptionRequest<F>>| async move {
        let (notify, at) = (s.notify.clone(), base.0.clone());
        let asked = s.domain(move |n| ask(&notify, r, n, source, at)).await?;
        of.create(&s, &base, asked).await
    };
    of.routes(all, one).post(all, make)
}

/// What is the same whatever a filter looks like is there once.
#[derive(Clone, Copy)]
struct Of {
    source: Source,
}

impl Of {
    fn routes(self, all: &'static str, one: &'static str) -> Routes {
        let of = self;
        Routes::default()
            .get(all, move |s: Ctx, base: Base, uri: Uri| of.all(s, base, uri))
            .get(one, move |s: Ctx, base: Base, id: Id<Uuid>, q: NoQuery, h: HeaderMap| of.one(s, base, id, q, h))
            .delete(one, move |s: Ctx, id: Id<Uuid>, q: NoQuery, h: HeaderMap| of.delete(s, id, q, h))
    }

    fn shape(self) -> &'static Shape {
        match self.source {
            Source::NsLcm | Source::VnfLcm => &SUBSCRIPTION_WITH_VERBOSITY,
            Source::Nsd | Source::VnfPkgm | Source::Sol003VnfPkgm | Source::VnfFm | Source::NsFm | Source::VnfInd => &SUBSCRIPTION,
            Source::VnfLcmFirst | Source::NsdFirst | Source::VnfPkgmFirst | Source::Sol003VnfPkgmFirst | Source::NsLcmFirst => {
                &SUBSCRIPTION
            }
            Source::VnfPmFirst | Source::NsPmFirst | Source::VrQuota => &SUBSCRIPTION,
            // They are shown as jobs and thresholds.
            Source::VnfPmJob | Source::VnfThreshold | Source::NsPmJob | Source::NsThreshold | Source::NfviThreshold => &SUBSCRIPTION,
        }
    }

    async fn all(self, State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
        let query = Query::parse(&uri, self.shape())?;
        let (notify, to) = (s.notify.clone(), base.clone());
        let by = caller()?;
        let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
            let mut page = Page::of(notify.page(after, limit)?, limit, |s| s.id);
            page.entries.retain(|(_, s)| s.source == self.source && by.has_as_own(n.vnfm().store(), Thing::Subscription(s.id)));
            Ok(page)
        };
        list(&s, &base, query, page, move |_, s| info(&s, &to)).await
    }

    async fn create(self, s: &Services, base: &Base, asked: Subscription) -> Answer<Response> {
        let (notify, like) = (s.notify.clone(), asked.clone());
        if let Some(same) = s.domain(move |n| notify.same(&like, &n.caller().eyes())).await? {
            let mut r = StatusCode::SEE_OTHER.into_response();
            // Whole: clients that follow it do so by this alone.
            let at = HeaderValue::try_from(format!("{}{}/{}", base.0, collection(same.source), same.id))
                .map_err(|e| Fault::bug("a path cannot be a header").with_source(e))?;
            r.headers_mut().insert(LOCATION, at);
            return Ok(r);
        }
        s.notify.probe(&asked).await?;
        let (notify, made) = (s.notify.clone(), asked.clone());
        s.domain(move |n| notify.subscribe(made, n.caller().eyes())).await?;
        created(&format!("{}/{}", collection(self.source), asked.id), ONLY, &info(&asked, base)?)
    }

    async fn one(self, State(s): Ctx, base: Base, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
        let notify = s.notify.clone();
        let found = s.domain(move |_| notify.get(self.source, id)).await?;
        Ok(shown(&headers, ONLY, &info(&found, &base)?))
    }

    async fn delete(self, State(s): Ctx, Id(id): Id<Uuid>, _: NoQuery, headers: HeaderMap) -> Answer<StatusCode> {
        let notify = s.notify.clone();
        s.domain(move |_| notify.get(self.source, id)).await?;
        if_match(&headers, ONLY)?;
        let notify = s.notify.clone();
        s.domain(move |_| notify.unsubscribe(self.source, id)).await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

/// What notifications of an API tell of: nobody hears of what he may not read.
fn told_of(source: Source) -> Resource {
    match source {
        Source::Nsd | Source::NsdFirst => Resource::NsDescriptor,
        Source::VnfPkgm | Source::Sol003VnfPkgm | Source::VnfPkgmFirst | Source::Sol003VnfPkgmFirst => Resource::VnfPackage,
        Source::NsLcm | Source::NsLcmFirst => Resource::Ns,
        Source::VnfLcm | Source::VnfLcmFirst => Resource::Vnf,
        Source::VnfFm | Source::NsFm => Resource::Alarm,
        Source::VnfPmJob | Source::VnfThreshold | Source::NsPmJob | Source::NsThreshold => Resource::Performance,
        Source::VnfPmFirst | Source::NsPmFirst => Resource::Performance,
        Source::VnfInd => Resource::Indicator,
        Source::VrQuota => Resource::Grant,
        Source::NfviThreshold => Resource::Host,
    }
}

/// Credentials towards a subscriber, its secret sealed under the subscription's id.
pub fn auth_of(notify: &Notifier, id: Uuid, given: Option<SubscriptionAuthentication>, faults: &mut Vec<String>) -> Result<Option<Auth>> {
    Ok(match login(given, faults) {
        Login::None => None,
        Login::Certificate => Some(Auth::Certificate),
        Login::Basic { user, password } => Some(Auth::Basic { user, sealed: notify.seal(id, &password)? }),
        Login::Client { id: client, secret, endpoint } => {
            Some(Auth::ClientCredentials { client, sealed: notify.seal(id, &secret)?, endpoint })
        }
    })
}

/// An element manager hears of the VNFs in his charge: of those he names, or else of all that are now.
fn in_charge(n: &View, mut filter: Filter, faults: &mut Vec<String>) -> Result<Filter> {
    let his = n.caller().charges(n.vnfm().store())?;
    let others = filter.ids.iter().filter(|id| !his.contains(&VnfId(**id)));
    faults.extend(others.map(|id| format!("filter: there is no VNF instance {id}")));
    if his.is_empty() {
        faults.push(format!("no VNF names '{}' as its element manager (metadata {ELEMENT_MANAGER})", n.caller().name));
    }
    if filter.ids.is_empty() {
        filter.ids = his.iter().map(|id| id.0).collect();
    }
    Ok(filter)
}

fn ask<F: IntoFilter>(notify: &Notifier, r: SubscriptionRequest<F>, n: &View, source: Source, base: String) -> Result<Subscription> {
    let needs = Permission { resource: told_of(source), action: Action::Read };
    if !n.caller().permissions.has(needs) {
        return Err(Fault::forbidden(format!("to hear of these needs the permission {needs}, which no role of {} gives", n.caller().name)));
    }
    let mut faults = Vec::new();
    let id = Uuid::new_v4();
    let filter_text = r.filter.as_ref().and_then(|f| serde_json::to_string(f).ok());
    let filter = r.filter.map(|f| f.into_filter(&mut faults)).unwrap_or_default();
    let mut filter = if n.caller().element { in_charge(n, filter, &mut faults)? } else { filter };
    // A VNFM hears of what it was refused itself.
    if source == Source::VrQuota && !n.caller().every_project {
        filter.names = vec![n.caller().name.clone()];
    }
    let auth = auth_of(notify, id, r.authentication, &mut faults)?;
    if !faults.is_empty() {
        return Err(Fault::invalid("the subscription cannot be made").with_reasons(faults));
    }
    let short = r.verbosity == Some(Verbosity::Short);
    Ok(Subscription {
        id,
        project: n.project(),
        every_project: n.caller().every_project,
        source,
        callback: r.callback_uri,
        base,
        filter,
        filter_text,
        short,
        auth,
        created: n.vnfm().clock().now(),
    })
}
