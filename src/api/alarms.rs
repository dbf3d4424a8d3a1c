//! Alarms of VNFs (SOL003 7.4.2, 7.4.3), of network services (SOL005 8.4.2, 8.4.3) and of the box
//! (`/bothy/v1/alarms`, since ETSI's interfaces have no object for it): one set of handlers, told apart by
//! whose alarms they are.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use uuid::Uuid;

use super::{
    Ctx,
    conditional::if_match,
    convert::{
        Base,
        alarm::{alarm, proposed, to_element},
    },
    extract::{self, Id},
    list::{Page, Query, list},
    problem::Answer,
    respond::{NoQuery, shown},
    routes::Routes,
    who::caller,
};
use crate::{
    access::manage::Thing,
    model::{
        alarm::{Ack, Alarm, Object},
        error::{Fault, Result},
        id::AlarmId,
    },
    nfvo::Nfvo,
    sol::{
        fm::{self as sol, AckState, AlarmModifications, PerceivedSeverityRequest},
        shape::{ALARM, ELEMENT_ALARM, NS_ALARM, Shape},
    },
};

/// Whose alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    Vnf,
    /// VNFs', as SOL002 shows them to element managers.
    Element,
    Ns,
    Host,
}

pub fn routes(of: Of, all: &'static str, one: &'static str) -> Routes {
    Routes::default()
        .get(all, move |s: Ctx, base: Base, uri: Uri| of.all(s, base, uri))
        .get(one, move |s: Ctx, base: Base, id: Id<AlarmId>, q: NoQuery, h: HeaderMap| of.one(s, base, id, q, h))
        .patch(one, move |s: Ctx, id: Id<AlarmId>, q: NoQuery, h: HeaderMap, r: extract::Json<AlarmModifications>| {
            of.change(s, id, q, h, r)
        })
}

/// SOL002 7.4.4: an element manager knows that it is worse than it looks from here.
pub fn escalation(path: &'static str) -> Routes {
    Routes::default().post(path, escalate)
}

async fn escalate(
    State(s): Ctx,
    Id(id): Id<AlarmId>,
    _: NoQuery,
    extract::Json(r): extract::Json<PerceivedSeverityRequest>,
) -> Answer<StatusCode> {
    let alarms = s.alarms.clone();
    s.domain(move |n| {
        Of::Element.find(n, id)?;
        alarms.escalate(id, proposed(r.proposed_perceived_severity)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Of {
    fn has(self, a: &Alarm) -> bool {
        match a.object {
            Object::Vnf(_) => matches!(self, Of::Vnf | Of::Element),
            Object::Ns(_) => self == Of::Ns,
            Object::Host => self == Of::Host,
        }
    }

    fn shape(self) -> &'static Shape {
        match self {
            Of::Ns => &NS_ALARM,
            Of::Element => &ELEMENT_ALARM,
            Of::Vnf | Of::Host => &ALARM,
        }
    }

    fn show(self, a: &Alarm, base: &Base) -> sol::Alarm {
        match self {
            Of::Element => to_element(a, base),
            Of::Vnf | Of::Ns | Of::Host => alarm(a, base),
        }
    }

    fn find(self, n: &Nfvo, id: AlarmId) -> Result<Alarm> {
        let found = n.vnfm().store().get::<Alarm>(&id)?.filter(|a| self.has(a));
        found.ok_or_else(|| Fault::not_found(format!("there is no alarm {id}")))
    }

    async fn all(self, State(s): Ctx, base: Base, uri: Uri) -> Answer<Response> {
        let query = Query::parse(&uri, self.shape())?;
        let (to, by) = (base.clone(), caller()?);
        let page = move |n: &Nfvo, after: Option<Uuid>, limit| {
            let mut page = Page::of(n.vnfm().store().page::<Alarm>(after.map(AlarmId).as_ref(), limit)?, limit, |a| a.id.0);
            page.entries.retain(|(_, a)| self.has(a) && by.has_as_own(n.vnfm().store(), Thing::Alarm(a.id)));
            if self == Of::Host {
                // The box is no project's: who may look at it sees its alarms.
                page.entries.iter_mut().for_each(|(_, a)| a.project = by.project);
            }
            Ok(page)
        };
        list(&s, &base, query, page, move |_, a: Alarm| Ok(self.show(&a, &to))).await
    }

    async fn one(self, State(s): Ctx, base: Base, Id(id): Id<AlarmId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
        let found = s.look(move |n| self.find(n, id)).await?;
        Ok(shown(&headers, found.revision, &self.show(&found, &base)))
    }

    /// 200 with what was changed, as both standards want it.
    async fn change(
        self,
        State(s): Ctx,
        Id(id): Id<AlarmId>,
        _: NoQuery,
        headers: HeaderMap,
        extract::Json(r): extract::Json<AlarmModifications>,
    ) -> Answer<Response> {
        let to = match r.ack_state {
            AckState::Acknowledged => Ack::Acknowledged,
            AckState::Unacknowledged => Ack::Unacknowledged,
        };
        let alarms = s.alarms.clone();
        let changed = s
            .domain(move |n| {
                self.find(n, id)?;
                alarms.acknowledge(id, to, |a| if_match(&headers, a.revision))
            })
            .await?;
        Ok(shown(&HeaderMap::new(), changed.revision, &r))
    }
}
