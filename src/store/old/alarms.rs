//! Subscriptions before filters had what only alarms have, and what only news of a service's parts have.

use serde::Deserialize;
use smol_str::SmolStr;
use uuid::Uuid;

use crate::model::{
    id::ProjectId,
    package::Operational,
    subscription::{self, AlarmFilter, Auth, PartFilter, Product, Sort, Source},
    time::Stamp,
};

#[derive(Deserialize)]
pub struct Subscription<F> {
    id: Uuid,
    project: ProjectId,
    every_project: bool,
    source: Source,
    callback: String,
    base: String,
    filter: F,
    filter_text: Option<String>,
    short: bool,
    auth: Option<Auth>,
    created: Stamp,
}

#[derive(Deserialize)]
pub struct Filter {
    sorts: Vec<Sort>,
    operations: Vec<SmolStr>,
    states: Vec<SmolStr>,
    ids: Vec<Uuid>,
    names: Vec<SmolStr>,
    descriptors: Vec<SmolStr>,
    vnfds: Vec<SmolStr>,
    products: Vec<Product>,
    versions: Vec<SmolStr>,
    designers: Vec<SmolStr>,
    invariants: Vec<SmolStr>,
    vnfm_info: Vec<SmolStr>,
    operational: Vec<Operational>,
    in_use: Vec<bool>,
    never: bool,
}

/// With alarms; their criteria follow the others.
#[derive(Deserialize)]
pub struct WithAlarms {
    first: Filter,
    alarms: AlarmFilter,
}

impl From<Filter> for subscription::Filter {
    fn from(f: Filter) -> Self {
        subscription::Filter {
            sorts: f.sorts,
            operations: f.operations,
            states: f.states,
            ids: f.ids,
            names: f.names,
            descriptors: f.descriptors,
            vnfds: f.vnfds,
            products: f.products,
            versions: f.versions,
            designers: f.designers,
            invariants: f.invariants,
            vnfm_info: f.vnfm_info,
            operational: f.operational,
            in_use: f.in_use,
            never: f.never,
            alarms: AlarmFilter::default(),
            parts: PartFilter::default(),
        }
    }
}

impl From<WithAlarms> for subscription::Filter {
    fn from(f: WithAlarms) -> Self {
        subscription::Filter { alarms: f.alarms, ..f.first.into() }
    }
}

impl<F: Into<subscription::Filter>> From<Subscription<F>> for subscription::Subscription {
    fn from(s: Subscription<F>) -> Self {
        subscription::Subscription {
            id: s.id,
            project: s.project,
            every_project: s.every_project,
            source: s.source,
            callback: s.callback,
            base: s.base,
            filter: s.filter.into(),
            filter_text: s.filter_text,
            short: s.short,
            auth: s.auth,
            created: s.created,
        }
    }
}
