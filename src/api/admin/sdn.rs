//! Switches outside the box: controllers and port maps as they are told (in OSM's words), links as they are there.

use axum::{extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::{
    api::{
        Ctx,
        extract::{self, Id},
        problem::Answer,
        respond::{Json, NoQuery},
    },
    model::{
        error::{Fault, Result},
        id::{ProjectId, SegmentId},
        sdn::{Controller, ControllerDraft, MappedDraft, MappedPort, OutsidePort, Pattern, PortMap, Wrong},
    },
    sdn::{
        connector,
        underlay::{self, Seen},
    },
    vim::outside::{Origin, Standing},
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    switch_id: SmolStr,
    switch_port: SmolStr,
}

impl From<&OutsidePort> for Port {
    fn from(p: &OutsidePort) -> Port {
        Port { switch_id: p.switch.clone(), switch_port: p.port.clone() }
    }
}

/// OSM's form has what is a controller's own in `config`, and its password beside its user; here each of these may stand in
/// either place, and a password may be the name of a secret. It has no `Debug`, so that no log can hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetController {
    #[serde(default)]
    name: SmolStr,
    r#type: SmolStr,
    url: SmolStr,
    #[serde(default)]
    user: SmolStr,
    #[serde(default)]
    secret: SmolStr,
    password: Option<String>,
    /// For people at OSM; it is not kept.
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default)]
    file: String,
    #[serde(default)]
    pid_file: String,
    #[serde(default)]
    ca: String,
    #[serde(default)]
    networks: Vec<SmolStr>,
    #[serde(default)]
    datapaths: Vec<SmolStr>,
    #[serde(default)]
    external: Vec<Port>,
    #[serde(default)]
    config: Own,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Own {
    file: String,
    pid_file: String,
    ca: String,
    networks: Vec<SmolStr>,
    datapaths: Vec<SmolStr>,
    external: Vec<Port>,
}

impl SetController {
    /// And the password.
    fn read(self, name: SmolStr) -> Result<(ControllerDraft, Option<String>)> {
        let mut wrong: Vec<Wrong> = Vec::new();
        if !self.name.is_empty() && self.name != name {
            wrong.push(("name", format!("'{}' is not the name that the path has", self.name)));
        }
        if self.password.is_some() && !self.secret.is_empty() {
            wrong.push(("password", "is given, and so is secret".into()));
        }
        let secret = if self.password.is_some() { Controller::own_secret(&name) } else { self.secret };
        let own = self.config;
        let ports = |all: Vec<Port>| -> Vec<OutsidePort> {
            all.into_iter().map(|p| OutsidePort { switch: p.switch_id, port: p.switch_port }).collect()
        };
        let draft = ControllerDraft {
            kind: self.r#type,
            url: self.url,
            user: self.user,
            secret,
            file: either("file", self.file, own.file, &mut wrong),
            pid_file: either("pid_file", self.pid_file, own.pid_file, &mut wrong),
            ca: either("ca", self.ca, own.ca, &mut wrong),
            networks: either("networks", self.networks, own.networks, &mut wrong),
            datapaths: either("datapaths", self.datapaths, own.datapaths, &mut wrong),
            external: either("external", ports(self.external), ports(own.external), &mut wrong),
            name,
        };
        if wrong.is_empty() { Ok((draft, self.password)) } else { Err(told(&format!("controller {}", draft.name), wrong)) }
    }
}

fn either<T: Default + PartialEq>(member: &'static str, here: T, in_config: T, wrong: &mut Vec<Wrong>) -> T {
    let nothing = T::default();
    if here != nothing && in_config != nothing {
        wrong.push((member, "is given twice, once in config".into()));
    }
    if here == nothing { in_config } else { here }
}

#[derive(Serialize)]
pub struct Shown {
    name: SmolStr,
    origin: &'static str,
    r#type: SmolStr,
    url: SmolStr,
    #[serde(skip_serializing_if = "String::is_empty")]
    file: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pid_file: String,
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    user: SmolStr,
    #[serde(skip_serializing_if = "SmolStr::is_empty")]
    secret: SmolStr,
    #[serde(skip_serializing_if = "String::is_empty")]
    ca: String,
    networks: Vec<SmolStr>,
    datapaths: Vec<SmolStr>,
    external: Vec<Port>,
}

fn word(origin: Origin) -> &'static str {
    match origin {
        Origin::Config => "CONFIG",
        Origin::Api => "API",
    }
}

fn shown((c, origin): &(Controller, Origin)) -> Shown {
    let d = c.draft();
    Shown {
        name: d.name,
        origin: word(*origin),
        r#type: d.kind,
        url: d.url,
        file: d.file,
        pid_file: d.pid_file,
        user: d.user,
        secret: d.secret,
        ca: d.ca,
        networks: d.networks,
        datapaths: d.datapaths,
        external: d.external.iter().map(Port::from).collect(),
    }
}

/// All that is wrong, at once.
fn told(what: &str, wrong: Vec<Wrong>) -> Fault {
    Fault::invalid(format!("{what} cannot be taken up")).with_reasons(wrong.into_iter().map(|(member, text)| format!("{member}: {text}")))
}

pub async fn controllers(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Shown>>> {
    Ok(Json(s.domain(|n| Ok(n.vnfm().outside()?.controllers()?.iter().map(shown).collect())).await?))
}

pub async fn controller(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<Json<Shown>> {
    Ok(Json(s.domain(move |n| Ok(shown(&n.vnfm().outside()?.controller(&name)?))).await?))
}

pub async fn set_controller(
    State(s): Ctx,
    Id(name): Id<SmolStr>,
    _: NoQuery,
    extract::Json(c): extract::Json<SetController>,
) -> Answer<StatusCode> {
    s.domain(move |n| {
        let (draft, password) = c.read(name)?;
        let name = draft.name.clone();
        let controller = draft.check().map_err(|wrong| told(&format!("controller {name}"), wrong))?;
        let seal = |p: String| n.vnfm().sealed(ProjectId::DEFAULT, Controller::own_secret(&name), &p);
        n.vnfm().outside()?.set_controller(controller, password.map(seal).transpose()?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn delete_controller(State(s): Ctx, Id(name): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().outside()?.delete_controller(&name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    pci: SmolStr,
    switch_id: SmolStr,
    switch_port: SmolStr,
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    switch_mac: SmolStr,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetMap {
    ports: Vec<Line>,
}

#[derive(Serialize)]
pub struct Map {
    compute_node: SmolStr,
    origin: &'static str,
    ports: Vec<Line>,
}

pub async fn maps(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Map>>> {
    let line = |p: &MappedPort| Line {
        pci: p.pci.as_str().into(),
        switch_id: p.at.switch.clone(),
        switch_port: p.at.port.clone(),
        switch_mac: p.mac.map(|m| m.to_string().into()).unwrap_or_default(),
    };
    let map = move |(m, origin): &(PortMap, Origin)| Map {
        compute_node: m.node.as_str().into(),
        origin: word(*origin),
        ports: m.ports.iter().map(line).collect(),
    };
    Ok(Json(s.domain(move |n| Ok(n.vnfm().outside()?.maps()?.iter().map(map).collect())).await?))
}

fn read_map(node: &str, lines: Vec<Line>) -> Result<PortMap> {
    let mut wrong = Vec::new();
    let mut ports = Vec::new();
    for (i, l) in lines.into_iter().enumerate() {
        let draft = MappedDraft { pci: l.pci, switch_id: l.switch_id, switch_port: l.switch_port, switch_mac: l.switch_mac };
        match draft.check() {
            Ok(p) => ports.push(p),
            Err(of_line) => wrong.extend(of_line.into_iter().map(|(member, text)| format!("ports[{i}].{member}: {text}"))),
        }
    }
    let node = Pattern::of_node(node).map_err(|f| wrong.push(f.text().to_owned())).ok();
    let map = node.map(|node| PortMap { node, ports });
    wrong.extend(map.as_ref().and_then(|m| m.check().err()).map(|why| format!("ports: {why}")));
    match map {
        Some(map) if wrong.is_empty() => Ok(map),
        Some(_) | None => Err(Fault::invalid("the port map cannot be taken up").with_reasons(wrong)),
    }
}

pub async fn set_map(State(s): Ctx, Id(node): Id<SmolStr>, _: NoQuery, extract::Json(m): extract::Json<SetMap>) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().outside()?.set_map(read_map(&node, m.ports)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn delete_map(State(s): Ctx, Id(node): Id<SmolStr>, _: NoQuery) -> Answer<StatusCode> {
    s.domain(move |n| n.vnfm().outside()?.delete_map(&node)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize)]
pub struct Service {
    id: String,
    link: SmolStr,
    network: SmolStr,
    controller: SmolStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    why: String,
    ends: Vec<End>,
}

#[derive(Serialize)]
struct End {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pci: Option<String>,
    #[serde(flatten)]
    at: Port,
    tagged: bool,
}

fn service_of(s: &Standing) -> Service {
    let end =
        |e: &underlay::End| End { name: e.name.clone(), pci: e.function.map(|f| f.to_string()), at: Port::from(&e.at), tagged: e.tagged };
    Service {
        id: s.service.id.to_string(),
        link: s.service.link.clone(),
        network: s.service.network.clone(),
        controller: s.service.controller.clone(),
        vlan: s.service.vlan.map(|v| v.get()),
        state: s.state.word(),
        why: s.why.clone(),
        ends: s.service.ends.iter().map(end).collect(),
    }
}

pub async fn services(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Service>>> {
    let all = s.domain(|n| Ok(n.caller().seen(n.vnfm().outside()?.services()?).iter().map(service_of).collect()));
    Ok(Json(all.await?))
}

pub async fn service(State(s): Ctx, Id(id): Id<SegmentId>, _: NoQuery) -> Answer<Json<Service>> {
    let one = s.domain(move |n| {
        let all = n.caller().seen(n.vnfm().outside()?.services()?);
        let found = all.iter().find(|s| s.service.id == id).map(service_of);
        found.ok_or_else(|| Fault::not_found(format!("virtual link {id} is on no switch outside that a controller has")))
    });
    Ok(Json(one.await?))
}

#[derive(Serialize)]
pub struct Differences {
    controller: SmolStr,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    differences: Vec<Difference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    requests: Vec<Request>,
}

/// What would be sent.
#[derive(Serialize)]
struct Request {
    method: &'static str,
    url: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
}

#[derive(Serialize)]
struct Difference {
    #[serde(flatten)]
    at: Port,
    is: String,
    wanted: String,
}

pub async fn plan(State(s): Ctx, _: NoQuery) -> Answer<Json<Vec<Differences>>> {
    let all = s.domain(|n| n.vnfm().outside()?.plan()).await?;
    let of = |(controller, seen): (SmolStr, Seen)| match seen {
        Err(why) => Differences { controller, error: Some(why), differences: Vec::new(), requests: Vec::new() },
        Ok(look) => {
            let one = |d: connector::Difference| Difference { at: Port::from(&d.at), is: d.is, wanted: d.wanted };
            let send = |s: connector::Sending| Request { method: s.method, url: s.url, body: s.body };
            Differences {
                controller,
                error: None,
                differences: look.differs.into_iter().map(one).collect(),
                requests: look.sends.into_iter().map(send).collect(),
            }
        }
    };
    Ok(Json(all.into_iter().map(of).collect()))
}
