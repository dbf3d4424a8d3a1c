//! Subscriptions before alarms: filters without what only those have.

use serde::Deserialize;
use smol_str::SmolStr;
use uuid::Uuid;

use crate::model::{
    id::ProjectId,
    package::Operational,
    subscription::{self, AlarmFilter, Auth, Product, Sort, Source},
    time::Stamp,
};

#[derive(Deserialize)]
pub struct Subscription {
    id: Uuid,
    project: ProjectId,
    every_project: bool,
    source: Source,
    callback: String,
    base: String,
    filter: Filter,
    filter_text: Option<String>,
    short: bool,
    auth: Option<Auth>,
    created: Stamp,
}

#[derive(Deserialize)]
struct Filter {
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

impl From<Subscription> for subscription::Subscription {
    fn from(s: Subscription) -> Self {
        let f = s.filter;
        subscription::Subscription {
            id: s.id,
            project: s.project,
            every_project: s.every_project,
            source: s.source,
            callback: s.callback,
            base: s.base,
            filter: subscription::Filter {
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
            },
            filter_text: s.filter_text,
            short: s.short,
            auth: s.auth,
            created: s.created,
        }
    }
}
