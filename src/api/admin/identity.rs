//! Users, clients and roles. What is secret is shown once, when it is made, and never again.

use axum::{extract::State, http::StatusCode, response::Response};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    access::{
        Access, Caller,
        digest::Fresh,
        manage::{AccountChange, NewPassword},
        password,
    },
    api::{
        Ctx,
        convert::time,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery, created},
    },
    model::{
        access::{Account, CertificateRule, Credentials, Permission},
        error::{Fault, Result},
        id::ProjectId,
    },
};

/// Which of the two kinds of account a path is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    User,
    Client,
}

impl Kind {
    fn of(a: &Account) -> Kind {
        match a.credentials {
            Credentials::User { .. } => Kind::User,
            Credentials::Client { .. } => Kind::Client,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    name: String,
    roles: Vec<String>,
    project: String,
    enabled: bool,
    created: String,
    /// Of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_password: Option<bool>,
    /// Of a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_secret: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificates: Option<Vec<Certificate>>,
    /// Once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Exactly one member.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Certificate {
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    common_name: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<SmolStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<SmolStr>,
}

impl From<&CertificateRule> for Certificate {
    fn from(r: &CertificateRule) -> Self {
        match r {
            CertificateRule::Fingerprint(f) => {
                let text = f.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":");
                Certificate { fingerprint: Some(text), ..Self::default() }
            }
            CertificateRule::CommonName(n) => Certificate { common_name: Some(n.clone()), ..Self::default() },
            CertificateRule::Dns(n) => Certificate { dns: Some(n.clone()), ..Self::default() },
            CertificateRule::Uri(n) => Certificate { uri: Some(n.clone()), ..Self::default() },
        }
    }
}

fn rules(all: Vec<Certificate>) -> Result<Vec<CertificateRule>> {
    let one = |c: Certificate| {
        let named = |n: SmolStr| if n.is_empty() || n.len() > 256 { None } else { Some(n) };
        match (c.fingerprint, c.common_name, c.dns, c.uri) {
            (Some(f), None, None, None) => {
                let hex: String = f.chars().filter(|c| *c != ':').collect();
                let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok().and_then(|b| b.try_into().ok());
                bytes.map(CertificateRule::Fingerprint)
            }
            (None, Some(n), None, None) => named(n).map(CertificateRule::CommonName),
            (None, None, Some(n), None) => named(n).map(CertificateRule::Dns),
            (None, None, None, Some(n)) => named(n).map(CertificateRule::Uri),
            _ => None,
        }
    };
    if all.len() > 16 {
        return Err(Fault::invalid("certificates: 16 at most"));
    }
    let said = "certificates: each has one of fingerprint (32 bytes in hexadecimal), commonName, dns, uri";
    all.into_iter().map(|c| one(c).ok_or_else(|| Fault::invalid(said))).collect()
}

pub(super) fn shown(a: &Account) -> Shown {
    let mut s = Shown {
        name: a.name.to_string(),
        roles: a.roles.iter().map(ToString::to_string).collect(),
        project: a.project.to_string(),
        enabled: a.enabled,
        created: time(a.created).to_string(),
        has_password: None,
        has_secret: None,
        certificates: None,
        secret: None,
    };
    match &a.credentials {
        Credentials::User { password } => s.has_password = Some(password.is_some()),
        Credentials::Client { secret, certificates } => {
            s.has_secret = Some(secret.is_some());
            s.certificates = Some(certificates.iter().map(Into::into).collect());
        }
    }
    s
}

/// It has no `Debug`, so that no log can hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    name: SmolStr,
    password: Option<String>,
    #[serde(default)]
    roles: Vec<SmolStr>,
    project: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClient {
    name: SmolStr,
    #[serde(default)]
    certificates: Vec<Certificate>,
    /// A client with certificates may do without.
    #[serde(default)]
    secret: Option<bool>,
    #[serde(default)]
    roles: Vec<SmolStr>,
    project: Option<String>,
}

/// What is absent stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    password: Option<String>,
    certificates: Option<Vec<Certificate>>,
    roles: Option<Vec<SmolStr>>,
    project: Option<String>,
    enabled: Option<bool>,
}

fn project(a: &Access, by: &Caller, named: Option<&str>) -> Result<ProjectId> {
    match named {
        None => Ok(by.project),
        Some(n) => {
            a.project_named(n).filter(|id| by.sees(*id)).ok_or_else(|| Fault::invalid(format!("project: there is no project '{n}'")))
        }
    }
}

fn find(a: &Access, by: &Caller, kind: Kind, name: &str) -> Result<Account> {
    let missing = || match kind {
        Kind::User => Fault::not_found(format!("there is no user '{name}'")),
        Kind::Client => Fault::not_found(format!("there is no client '{name}'")),
    };
    a.account(by, name).ok().filter(|a| Kind::of(a) == kind).ok_or_else(missing)
}

async fn list(s: &super::super::Services, kind: Kind) -> Answer<Json<Vec<Shown>>> {
    let all = s.identity(move |a, by| Ok(a.accounts(by))).await?;
    Ok(Json(all.iter().filter(|a| Kind::of(a) == kind).map(shown).collect()))
}

async fn change(s: &super::super::Services, kind: Kind, name: SmolStr, c: Change) -> Answer<Json<Shown>> {
    let changed = s
        .identity(move |a, by| {
            find(a, by, kind, &name)?;
            let change = AccountChange {
                password: c.password.map(NewPassword),
                certificates: c.certificates.map(rules).transpose()?,
                roles: c.roles,
                project: c.project.map(|p| project(a, by, Some(&p))).transpose()?,
                enabled: c.enabled,
            };
            a.change_account(by, &name, change)
        })
        .await?;
    Ok(Json(shown(&changed)))
}

async fn delete(s: &super::super::Services, kind: Kind, name: SmolStr) -> Answer<StatusCode> {
    s.identity(move |a, by| {
        find(a, by, kind, &name)?;
        a.delete_account(by, &name)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn users(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    list(&s, Kind::User).await
}

pub async fn create_user(State(s): Ctx, _: NoQuery, extract::Json(n): extract::Json<NewUser>) -> Answer<Response> {
    let a = s
        .identity(move |a, by| {
            let project = project(a, by, n.project.as_deref())?;
            let password = n.password.as_deref().map(password::hash).transpose()?;
            a.create_account(by, n.name, Credentials::User { password }, n.roles, project)
        })
        .await?;
    created(&format!("/bothy/v1/users/{}", a.name), a.revision, &shown(&a))
}

pub async fn user(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    Ok(Json(shown(&s.identity(move |a, by| find(a, by, Kind::User, &name)).await?)))
}

pub async fn change_user(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(c): extract::Json<Change>) -> Answer<Json<Shown>> {
    change(&s, Kind::User, name, c).await
}

pub async fn delete_user(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    delete(&s, Kind::User, name).await
}

pub async fn clients(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    list(&s, Kind::Client).await
}

pub async fn create_client(State(s): Ctx, _: NoQuery, extract::Json(n): extract::Json<NewClient>) -> Answer<Response> {
    let (a, fresh) = s
        .identity(move |a, by| {
            let project = project(a, by, n.project.as_deref())?;
            let certificates = rules(n.certificates)?;
            let wanted = n.secret.unwrap_or(certificates.is_empty());
            let fresh = wanted.then(Fresh::make).transpose()?;
            let credentials = Credentials::Client { secret: fresh.as_ref().map(Fresh::sha256), certificates };
            Ok((a.create_account(by, n.name, credentials, n.roles, project)?, fresh))
        })
        .await?;
    let body = Shown { secret: fresh.map(|f| f.reveal().to_owned()), ..shown(&a) };
    created(&format!("/bothy/v1/clients/{}", a.name), a.revision, &body)
}

pub async fn client(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    Ok(Json(shown(&s.identity(move |a, by| find(a, by, Kind::Client, &name)).await?)))
}

pub async fn change_client(
    State(s): Ctx,
    Id(name): Id<SmolStr>,
    _: NoQuery,
    extract::Json(c): extract::Json<Change>,
) -> Answer<Json<Shown>> {
    change(&s, Kind::Client, name, c).await
}

pub async fn renew_secret(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    let (a, fresh) = s
        .identity(move |a, by| {
            find(a, by, Kind::Client, &name)?;
            a.renew_secret(by, &name)
        })
        .await?;
    Ok(Json(Shown { secret: Some(fresh.reveal().to_owned()), ..shown(&a) }))
}

pub async fn delete_client(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    delete(&s, Kind::Client, name).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownRole {
    name: String,
    description: String,
    permissions: Vec<String>,
    every_project: bool,
    built_in: bool,
}

pub async fn roles(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<ShownRole>>> {
    let all = s.identity(|a, _| Ok(a.roles())).await?;
    let wire = |r: crate::access::manage::ShownRole| ShownRole {
        name: r.name.into(),
        description: r.description,
        permissions: r.permissions.iter().map(ToString::to_string).collect(),
        every_project: r.every_project,
        built_in: r.built_in,
    };
    Ok(Json(all.into_iter().map(wire).collect()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutRole {
    #[serde(default)]
    description: String,
    permissions: Vec<String>,
    #[serde(default)]
    every_project: bool,
}

pub async fn put_role(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery, extract::Json(r): extract::Json<PutRole>) -> Answer<StatusCode> {
    s.identity(move |a, by| {
        let (fine, wrong): (Vec<_>, Vec<_>) = r.permissions.iter().map(|p| p.parse::<Permission>()).partition(Result::is_ok);
        if !wrong.is_empty() {
            let reasons = wrong.into_iter().filter_map(Result::err).map(|f| f.to_string());
            return Err(Fault::invalid("the role has permissions that are none").with_reasons(reasons));
        }
        a.put_role(by, name, r.description, fine.into_iter().flatten().collect(), r.every_project)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn delete_role(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.identity(move |a, _| a.delete_role(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}
