//! Projects: what each owns is apart from the others', and its quota limits what it takes of the box.

use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    access::manage::ProjectChange,
    api::{
        Ctx, Services,
        convert::time,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery, created},
    },
    model::{
        access::{Project, Quota},
        id::ProjectId,
        size::MiB,
    },
    vim::quota::Use,
};

/// `null` or absent is no limit.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    vnfs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vcpus: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vfs: Option<u32>,
}

impl From<Limits> for Quota {
    fn from(l: Limits) -> Quota {
        Quota { vnfs: l.vnfs, vcpus: l.vcpus, memory: l.memory_mib.map(MiB), disk: l.disk_mib.map(MiB), vfs: l.vfs }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    id: String,
    name: String,
    description: String,
    quota: Limits,
    used: Used,
    created: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    vnfs: u64,
    vcpus: u64,
    memory_mib: u64,
    disk_mib: u64,
    vfs: u64,
}

fn shown(p: &Project, u: Use) -> Shown {
    let q = &p.quota;
    Shown {
        id: p.id.to_string(),
        name: p.name.to_string(),
        description: p.description.clone(),
        quota: Limits { vnfs: q.vnfs, vcpus: q.vcpus, memory_mib: q.memory.map(|m| m.0), disk_mib: q.disk.map(|m| m.0), vfs: q.vfs },
        used: Used { vnfs: u.vnfs, vcpus: u.vcpus, memory_mib: u.memory, disk_mib: u.disk, vfs: u.vfs },
        created: time(p.created).to_string(),
    }
}

async fn used(s: &Services, ids: Vec<ProjectId>) -> Answer<Vec<Use>> {
    s.domain(move |n| n.vnfm().used_by(&ids)).await
}

pub async fn all(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    let all = s.identity(|a, by| Ok(a.projects(by))).await?;
    let used = used(&s, all.iter().map(|p| p.id).collect()).await?;
    Ok(Json(all.iter().zip(used).map(|(p, u)| shown(p, u)).collect()))
}

async fn with_use(s: &Services, p: Project) -> Answer<Shown> {
    let used = used(s, vec![p.id]).await?;
    Ok(shown(&p, used.first().copied().unwrap_or_default()))
}

pub async fn one(State(s): Ctx, Id(named): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    let p = s.identity(move |a, by| a.project(by, &named)).await?;
    Ok(Json(with_use(&s, p).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    name: SmolStr,
    #[serde(default)]
    description: String,
    quota: Option<Limits>,
}

pub async fn create(State(s): Ctx, _: NoQuery, extract::Json(n): extract::Json<New>) -> Answer<Response> {
    let quota = n.quota.map(Quota::from).unwrap_or_default();
    let p = s.identity(move |a, _| a.create_project(n.name, n.description, quota)).await?;
    created(&format!("/bothy/v1/projects/{}", p.id), p.revision, &with_use(&s, p).await?)
}

/// What is absent stays as it is; a quota is replaced whole.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    name: Option<SmolStr>,
    description: Option<String>,
    quota: Option<Limits>,
}

pub async fn change(State(s): Ctx, Id(named): Id<SmolStr>, _: NoQuery, extract::Json(c): extract::Json<Change>) -> Answer<Json<Shown>> {
    let change = ProjectChange { name: c.name, description: c.description, quota: c.quota.map(Quota::from) };
    let p = s.identity(move |a, by| a.change_project(by, &named, change)).await?;
    Ok(Json(with_use(&s, p).await?))
}

pub async fn delete(State(s): Ctx, Id(named): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, by| a.delete_project(by, &named)).await?;
    Ok(StatusCode::NO_CONTENT)
}
