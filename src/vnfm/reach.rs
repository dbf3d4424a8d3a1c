//! Where a VNF's own interfaces are, and its element manager's: as somebody told, else as its VNFD says (SOL001's
//! SupportedVnfInterface). Owns the record of what was told. Never: HTTP, what is asked there.

use smol_str::SmolStr;
use uuid::Uuid;

use super::{Vnfm, accept::vnfd_of};
use crate::{
    model::{
        error::{Fault, Result},
        id::{ProjectId, VnfId},
        own::{Door, Endpoint, EndpointKind, OwnApi, OwnApis, OwnEndpoints},
        package::VnfPackage,
        param::Params,
        secret::Secret,
        subscription::Auth,
        vnf::{Body, Port, VnfInstance, own_properties},
    },
    store::Durability,
    vim::port::GuestState,
};

/// Where an interface of a VNF is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub kind: EndpointKind,
    /// What stands before `/lcmcoord/v1`.
    pub root: String,
    pub login: Login,
    /// Somebody who may has told it; else it is as the VNFD says.
    pub told: bool,
}

impl Call {
    /// Secrets go by this way only.
    pub fn is_sealed(&self) -> bool {
        self.root.starts_with("https://")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    None,
    /// Its secret is sealed under this.
    Sealed(Uuid, Auth),
    /// Its secret is at hand.
    Clear(Auth),
}

/// Whom to ask.
pub enum Whom {
    Call(Call),
    /// None of its guests that could answer runs; why.
    Off(String),
    /// Nobody has said where it is.
    Nowhere(String),
}

impl Vnfm {
    /// VNFs that are there and serve what they tell of themselves.
    pub fn who_tell(&self) -> Result<Vec<VnfId>> {
        let tells = |o: &OwnApis| o.doors.iter().any(|d| d.api == OwnApi::Indicator);
        let mut packages = self.store.list::<VnfPackage>()?;
        packages.retain(|p| p.vnfd.as_ref().is_some_and(|v| v.own.iter().any(tells)));
        if packages.is_empty() {
            return Ok(Vec::new());
        }
        let told = |v: &VnfInstance| {
            let body = v.body.as_ref().filter(|_| v.instantiated)?;
            let vnfd = packages.iter().find(|p| p.id == v.package)?.vnfd.as_ref()?;
            vnfd.own(&body.flavour).filter(|o| tells(o)).map(|_| v.id)
        };
        Ok(self.store.list::<VnfInstance>()?.iter().filter_map(told).collect())
    }

    /// What was told of a VNF instance's endpoints.
    pub fn endpoints(&self, vnf: VnfId) -> Result<Option<OwnEndpoints>> {
        self.store.get(&vnf)
    }

    pub fn set_endpoints(&self, told: OwnEndpoints) -> Result<OwnEndpoints> {
        let now = self.store.write(Durability::Barrier, |tx| {
            tx.require::<VnfInstance>(&told.vnf)?;
            let before: Option<OwnEndpoints> = tx.get(&told.vnf)?;
            let now = OwnEndpoints { revision: before.map_or(1, |b| b.revision + 1), ..told.clone() };
            tx.put(&now)?;
            Ok(now)
        })?;
        self.poke();
        Ok(now)
    }

    pub fn forget_endpoints(&self, vnf: VnfId) -> Result<()> {
        self.store.write(Durability::Barrier, |tx| tx.delete::<OwnEndpoints>(&vnf).map(|_| ()))
    }

    /// Which endpoint serves an interface of a VNF.
    pub fn whom(&self, vnf: VnfId, api: OwnApi, wanted: Option<EndpointKind>) -> Result<Whom> {
        let Some(inst) = self.store.get::<VnfInstance>(&vnf)? else { return Ok(Whom::Nowhere("the VNF instance is gone".into())) };
        let told = self.store.get::<OwnEndpoints>(&vnf)?;
        let mgmt = told.as_ref().and_then(|t| t.mgmt.as_ref());
        let kind = wanted.unwrap_or(if mgmt.is_some() { EndpointKind::Mgmt } else { EndpointKind::Vnf });
        if kind == EndpointKind::Mgmt {
            return Ok(match mgmt.and_then(|e| Some((e, e.api_root.clone()?))) {
                Some((e, root)) => Whom::Call(Call { kind, root, login: sealed(e), told: true }),
                None => Whom::Nowhere(format!("nobody has said where its element manager is: `bothy vnf endpoint set {vnf} --mgmt`")),
            });
        }
        let own = told.as_ref().and_then(|t| t.own.as_ref());
        // Of before both were wanted: where the VNFD says may be somebody else's place, once the package is another one.
        if own.is_some_and(|e| e.auth.is_some() && e.api_root.is_none()) {
            let why = format!("a login was told, and not where it is for: tell both (`bothy vnf endpoint set {vnf} --api-root`)");
            return Ok(Whom::Nowhere(why));
        }
        let package: Option<VnfPackage> = self.store.get(&inst.package)?;
        let body = inst.body.as_ref();
        let of_flavour = package.as_ref().and_then(|p| vnfd_of(p).ok()).zip(body).and_then(|(v, b)| v.own(&b.flavour));
        let door = of_flavour.and_then(|o| o.doors.iter().find(|d| d.api == api));
        let told_root = own.and_then(|e| e.api_root.clone());
        // The VNFD's own login is for where the VNFD says alone.
        let by_vnfd = door.filter(|_| told_root.is_none()).and_then(|d| d.login.as_ref());
        let login = match (own.filter(|e| e.auth.is_some()), by_vnfd) {
            (Some(e), _) => sealed(e),
            (None, Some((user, secret))) => {
                Login::Clear(Auth::Basic { user: user.to_string(), sealed: self.open_secret(inst.project, secret)? })
            }
            (None, None) => Login::None,
        };
        let told = told_root.is_some();
        let root = match (told_root, door) {
            (Some(root), _) => match body.map_or(Ok(None), |b| self.port_that_runs(b, |_| true))? {
                Some(_) => root,
                None => return Ok(Whom::Off("none of its guests runs".into())),
            },
            (None, Some(door)) => match self.root_of(door, body)? {
                Ok(root) => root,
                Err(off) => return Ok(Whom::Off(off)),
            },
            (None, None) => {
                return Ok(Whom::Nowhere(format!(
                    "the VNFD does not say where the VNF serves {} (SupportedVnfInterface), and nobody else has: `bothy vnf endpoint set {vnf}`",
                    api.name()
                )));
            }
        };
        Ok(Whom::Call(Call { kind, root, login, told }))
    }

    /// As the VNFD says: at its host, or at the first of its connection points whose guest runs.
    fn root_of(&self, door: &Door, body: Option<&Body>) -> Result<Result<String, String>> {
        let scheme = if door.tls { "https" } else { "http" };
        if door.host.iter().chain([&door.path]).any(|part| part.contains(['?', '#', '@'])) {
            return Err(Fault::conflict(format!(
                "the VNFD names no host and path alone for {}: no '?', '#' or '@' is in them",
                door.api.name()
            )));
        }
        let Some(body) = body else { return Ok(Err("it is not there yet".into())) };
        let host = match &door.host {
            Some(host) => self.port_that_runs(body, |_| true)?.map(|_| host.to_string()),
            None => self.port_that_runs(body, |p| !p.addresses.is_empty() && is_at(p, door, body))?.map(|p| {
                let address = p.addresses.iter().find(|a| a.is_ipv4()).or(p.addresses.first());
                address.map(|a| if a.is_ipv6() { format!("[{a}]") } else { a.to_string() }).unwrap_or_default()
            }),
        };
        Ok(match host {
            Some(host) => Ok(format!("{scheme}://{host}:{}{}", door.port, door.path)),
            None if door.host.is_some() => Err("none of its guests runs".into()),
            None => Err(format!("no guest with {} runs, or none has an address there", door.cps.join(", "))),
        })
    }

    /// The first port like this of a guest that runs.
    fn port_that_runs<'b>(&self, body: &'b Body, like: impl Fn(&Port) -> bool) -> Result<Option<&'b Port>> {
        for c in &body.vnfcs {
            let Some(port) = c.ports.iter().find(|p| like(p)) else { continue };
            match self.hypervisor.state(c.id)? {
                Some(GuestState::Running) => return Ok(Some(port)),
                Some(GuestState::Off | GuestState::Crashed | GuestState::Paused | GuestState::PausedIo | GuestState::Stopping) | None => {}
            }
        }
        Ok(None)
    }

    fn open_secret(&self, project: ProjectId, name: &str) -> Result<Vec<u8>> {
        let key = Secret::key_of(project, name);
        let found = self.store.get::<Secret>(&key)?;
        let secret = found.ok_or_else(|| Fault::conflict(format!("there is no secret '{name}': `bothy secret set {name}`")))?;
        self.store.sealer().open_sealed(key.as_bytes(), &secret.sealed)
    }

    /// The properties in a VNF's record that are its own: what it is configured by.
    pub fn own_properties(&self, vnf: VnfId) -> Result<Params> {
        Ok(self.store.get::<VnfInstance>(&vnf)?.map(|v| own_properties(&v.configurable)).unwrap_or_default())
    }

    /// All of a project's secrets with their values: what others say is not to show them.
    pub fn secret_texts(&self, project: ProjectId) -> Result<Vec<(SmolStr, String)>> {
        let mut all = Vec::new();
        for s in self.store.list::<Secret>()?.into_iter().filter(|s| s.project == project) {
            let clear = self.store.sealer().open_sealed(s.key().as_bytes(), &s.sealed)?;
            all.extend(String::from_utf8(clear).ok().map(|text| (s.name, text)));
        }
        Ok(all)
    }

    /// The value of one of a project's secrets, for the moment in which it is sent.
    pub fn secret_text(&self, project: ProjectId, name: &str) -> Result<String> {
        let clear = self.open_secret(project, name)?;
        String::from_utf8(clear).map_err(|_| Fault::bug(format!("secret {name} is not text")))
    }
}

fn sealed(e: &Endpoint) -> Login {
    e.auth.clone().map_or(Login::None, |auth| Login::Sealed(e.id, auth))
}

/// The port is at one of the connection points.
fn is_at(p: &Port, door: &Door, body: &Body) -> bool {
    let exposed = |cp: &SmolStr| body.ext_cps.iter().any(|e| e.cpd == *cp && e.ports.contains(&p.id));
    door.cps.iter().any(|cp| p.cp == *cp || p.ext_cp.as_ref() == Some(cp) || exposed(cp))
}
