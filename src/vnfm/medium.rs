//! Makes a guest's day-0 medium, or shows what would be on it.
//!
//! Gathers what `day0` may know of the guest from the records, and opens the project's secrets for
//! the moment of rendering. Owns the secrets' records. Never: keeps a secret in the clear.

use std::sync::Arc;

use smol_str::SmolStr;

use super::{
    Vnfm,
    day0::{self, Guest, Nic},
    plan::VnfPlan,
    sample::Sample,
};
use crate::{
    model::{
        domain::MediaSpec,
        error::{Fault, Result},
        id::{ProjectId, VnfId, VnfcId},
        package::{PackageFile, VnfPackage},
        param::Params,
        secret::{Secret, refuse_clear},
        segment::Segment,
        step::{Step, VnfStep},
        vnf::{Body, Port, VnfInstance, Vnfc},
        vnfd::{Day0, Vdu},
    },
    store::Durability,
    vim::{links::Face, port::MediumFile},
};

impl Vnfm {
    pub(super) fn make_medium(&self, spec: &MediaSpec) -> Result<()> {
        let inst = self.as_now(self.store.require(&spec.vnf)?)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let body = planned(&inst)?;
        let (vnfc, vdu, day0) = parts(inst.id, body, &package, spec.vnfc)?;
        let secrets = self.secrets(inst.project)?;
        let faces = self.faces_of(vnfc, &[])?;
        let guest = guest(&inst, body, vnfc, vdu, &faces, &secrets);
        let files = day0::render(day0, &guest, &|path| self.artefact(&package, path))?;
        self.images.ensure_medium(spec.vnfc, spec.medium, day0.bus, spec.label.as_deref(), &files)
    }

    /// What is (or was) on a guest's medium, secrets masked.
    pub fn preview_day0(&self, vnf: VnfId, vnfc: VnfcId) -> Result<Vec<MediumFile>> {
        let inst = self.as_now(self.store.require(&vnf)?)?;
        let package: VnfPackage = self.store.require(&inst.package)?;
        let secrets = self.secrets(inst.project)?;
        self.previewed(&inst, planned(&inst)?, &package, &|path| self.artefact(&package, path), vnfc, &[], &secrets)
    }

    #[allow(clippy::too_many_arguments)]
    fn previewed(
        &self,
        inst: &VnfInstance,
        body: &Body,
        package: &VnfPackage,
        artefact: &dyn Fn(&str) -> Result<Vec<u8>>,
        vnfc: VnfcId,
        fresh: &[Segment],
        secrets: &[(SmolStr, String)],
    ) -> Result<Vec<MediumFile>> {
        let (vnfc, vdu, day0) = parts(inst.id, body, package, vnfc)?;
        let faces = self.faces_of(vnfc, fresh)?;
        day0::preview(day0, &guest(inst, body, vnfc, vdu, &faces, secrets), artefact)
    }

    /// The media that these plans ask for can be made: a variable that nobody gave is told before anything is
    /// accepted, and for all guests at once. `fresh`: segments as planned, which no record has yet;
    /// `samples`: packages that none has.
    pub fn check_media<'a>(
        &self,
        plans: impl IntoIterator<Item = (&'a VnfInstance, &'a VnfPlan)>,
        fresh: &[Segment],
        samples: &[Sample],
    ) -> Result<()> {
        let mut known: Option<(VnfPackage, Vec<(SmolStr, String)>)> = None;
        let mut no = Vec::new();
        for (inst, plan) in plans {
            let sample = samples.iter().find(|s| s.package.id == inst.package);
            for s in &plan.steps {
                let Step::Vnf(VnfStep::Medium(medium) | VnfStep::Rewrite { after: medium, .. }) = &s.step else { continue };
                let (package, secrets) = match &mut known {
                    Some(k) if k.0.id == inst.package => k,
                    other => {
                        let package = sample.map_or_else(|| self.store.require(&inst.package), |s| Ok(s.package.clone()))?;
                        other.insert((package, self.secrets(inst.project)?))
                    }
                };
                let artefact = |path: &str| sample.map_or_else(|| self.artefact(package, path), |s| s.artefact(path));
                match self.previewed(inst, &plan.body, package, &artefact, medium.vnfc, fresh, secrets) {
                    Ok(_) => {}
                    Err(f) if f.is_transient() => return Err(f),
                    Err(f) => no.push(f.context(format!("VNF {}", inst.name)).detail()),
                }
            }
        }
        if no.is_empty() { Ok(()) } else { Err(Fault::invalid("first-boot media cannot be made").with_reasons(no)) }
    }

    fn faces_of(&self, vnfc: &Vnfc, fresh: &[Segment]) -> Result<Vec<Arc<Face>>> {
        let planned = |id| fresh.iter().find(|s| s.id == id).map(|s| Arc::new(Face::of(s)));
        vnfc.ports.iter().map(|p| planned(p.segment).map_or_else(|| self.links.face(p.segment), Ok)).collect()
    }

    fn artefact(&self, package: &VnfPackage, path: &str) -> Result<Vec<u8>> {
        let file: &PackageFile =
            package.files.iter().find(|f| f.path == path).ok_or_else(|| Fault::invalid(format!("file {path} is not in the package")))?;
        let at = self.layout.artifact(&file.sha256);
        std::fs::read(&at).map_err(|e| Fault::transient(format!("file {path} of package {} cannot be read", package.id)).with_source(e))
    }

    fn secrets(&self, project: ProjectId) -> Result<Vec<(SmolStr, String)>> {
        let mut out = Vec::new();
        for s in self.store.list::<Secret>()?.into_iter().filter(|s| s.project == project && !Secret::is_inner(&s.name)) {
            let clear = self.store.sealer().open_sealed(s.key().as_bytes(), &s.sealed)?;
            let text = String::from_utf8(clear).map_err(|_| Fault::bug(format!("secret {} is not text", s.name)))?;
            out.push((s.name, text));
        }
        Ok(out)
    }

    /// Keeps a secret, sealed; templates read it as `secrets.NAME`.
    pub fn set_secret(&self, project: ProjectId, name: SmolStr, value: &str) -> Result<()> {
        let fine = !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !fine {
            return Err(Fault::invalid(format!(
                "'{name}' is not a secret's name: letters, digits and '_', not led by a digit, 64 at most"
            )));
        }
        let record = self.sealed(project, name, value)?;
        self.store.write(Durability::Barrier, |tx| tx.put(&record))
    }

    /// For whoever stores it with what it belongs to.
    pub fn sealed(&self, project: ProjectId, name: SmolStr, value: &str) -> Result<Secret> {
        let sealed = self.store.sealer().seal(Secret::key_of(project, &name).as_bytes(), value.as_bytes())?;
        Ok(Secret { name, project, sealed, created: self.clock.now() })
    }

    /// No parameter holds a secret in the clear, and each that refers to one is right.
    pub fn check_params<'a>(&self, project: ProjectId, all: impl IntoIterator<Item = &'a Params>) -> Result<()> {
        let mut known = None;
        let mut missing = Vec::new();
        for params in all {
            refuse_clear(params)?;
            for (at, value) in params {
                for name in value.secrets() {
                    let known = match &mut known {
                        Some(k) => k,
                        empty @ None => empty.insert(self.secret_names(project)?),
                    };
                    if !known.iter().any(|k| k == name) {
                        missing.push(format!("parameter {at}: there is no secret '{name}'; store it with `bothy secret set {name}`"));
                    }
                }
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Fault::invalid(missing.join("; "))) }
    }

    /// Names only: a value is never read back.
    pub fn secret_names(&self, project: ProjectId) -> Result<Vec<SmolStr>> {
        let all = self.store.list::<Secret>()?.into_iter().filter(|s| s.project == project).map(|s| s.name);
        Ok(all.filter(|name| !Secret::is_inner(name)).collect())
    }

    pub fn delete_secret(&self, project: ProjectId, name: &str) -> Result<()> {
        let key = Secret::key_of(project, name);
        let was = !Secret::is_inner(name) && self.store.write(Durability::Barrier, |tx| tx.delete::<Secret>(&key))?;
        if was { Ok(()) } else { Err(Fault::not_found(format!("there is no secret '{name}'"))) }
    }
}

fn planned(inst: &VnfInstance) -> Result<&Body> {
    inst.body.as_ref().ok_or_else(|| Fault::conflict(format!("VNF instance {} is not instantiated", inst.id)))
}

/// What day-0 templates see of a guest.
fn guest<'a>(
    inst: &'a VnfInstance,
    body: &'a Body,
    vnfc: &'a Vnfc,
    vdu: &'a Vdu,
    faces: &'a [Arc<Face>],
    secrets: &'a [(SmolStr, String)],
) -> Guest<'a> {
    let own_mtu = |cp: &str| vdu.nics.iter().find(|n| n.id == cp).and_then(|n| n.mtu);
    let nic = |(p, face): (&'a Port, &'a Arc<Face>)| match vdu.trunk_of(&p.cp) {
        None => Nic::new(p, &face.link, &face.profile, own_mtu(&p.cp)),
        Some((trunk, sub)) => {
            // What is under a tag is no longer than the NIC's own.
            let of_nic = vnfc.ports.iter().zip(faces).find(|(q, _)| q.cp == trunk.id).and_then(|(_, f)| f.profile.mtu);
            let mtu = [own_mtu(&trunk.id).or(of_nic), face.profile.mtu].into_iter().flatten().min();
            Nic { within: Some((trunk.id.clone(), sub.tag)), ..Nic::new(p, &face.link, &face.profile, mtu) }
        }
    };
    Guest {
        vnf: inst.id,
        vnf_name: &inst.name,
        vdu: &vdu.id,
        vdu_name: &vdu.name,
        vnfc: vnfc.id,
        index: vnfc.index,
        hostname: &vnfc.hostname,
        ports: vnfc.ports.iter().zip(faces).map(nic).collect(),
        params: &body.params,
        ssh_keys: &body.ssh_keys,
        secrets,
    }
}

fn parts<'a>(inst: VnfId, body: &'a Body, package: &'a VnfPackage, id: VnfcId) -> Result<(&'a Vnfc, &'a Vdu, &'a Day0)> {
    let vnfc = body.vnfc(id).ok_or_else(|| Fault::not_found(format!("VNF instance {inst} has no VNFC {id}")))?;
    let vdu = package
        .vnfd
        .as_ref()
        .and_then(|v| v.flavour(&body.flavour))
        .and_then(|f| f.vdu(&vnfc.vdu))
        .ok_or_else(|| Fault::conflict(format!("package {} has no VDU {} any more", package.id, vnfc.vdu)))?;
    let day0 = vdu.day0.as_ref().ok_or_else(|| Fault::not_found(format!("VDU {} has no day-0 data", vdu.id)))?;
    Ok((vnfc, vdu, day0))
}
