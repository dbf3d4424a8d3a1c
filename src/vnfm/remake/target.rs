//! What a VNF is to come to: which flavour of which package, and with how many guests. Pure.
//!
//! Where the makers say which versions a VNF can come to (SOL001's VnfPackageChange, in either VNFD), those are all, with the
//! flavour that they name. Without a word of theirs it comes to packages of its own product, and keeps its flavour. Owns those
//! refusals. Never: the store, or whether its guests can come along (`check`, `plan`).

use smol_str::SmolStr;

use crate::{
    model::{
        error::{Fault, Result},
        vnf::{Body, Origin, PackageChange, VnfInstance},
        vnfd::{Flavour, VersionPath, Vnfd},
    },
    vnfm::change::{Goal, level_goal, same_goal},
};

/// A flavour of the same package; `level`: its default where none is said.
pub fn flavour<'a>(inst: &VnfInstance, body: &Body, vnfd: &'a Vnfd, id: &str, level: Option<&SmolStr>) -> Result<(&'a Flavour, Goal)> {
    let flavour = vnfd
        .flavour(id)
        .ok_or_else(|| Fault::invalid(format!("VNFD {} has no deployment flavour '{id}'; it has {}", vnfd.id, known(vnfd))))?;
    if flavour.id == body.flavour {
        return Err(Fault::conflict(format!("VNF instance {} is of flavour {id} already: scale_to_level changes its level", inst.id)));
    }
    let wanted = level.unwrap_or(&flavour.default_level);
    let level = flavour.level(wanted).ok_or_else(|| {
        let known: Vec<_> = flavour.levels.iter().map(|l| l.id.as_str()).collect();
        Fault::invalid(format!("flavour {id} has no instantiation level '{wanted}'; it has {}", known.join(", ")))
    })?;
    Ok((flavour, level_goal(level)))
}

/// The flavour of another package that the VNF comes to, with as many guests as its levels mean there.
pub fn package<'a>(inst: &VnfInstance, body: &Body, change: &PackageChange, old: &Vnfd, new: &'a Vnfd) -> Result<(&'a Flavour, Goal)> {
    let (from, to) = (&change.before, &change.after);
    if from.vnfd_id == to.vnfd_id {
        return Err(Fault::conflict(format!("VNF instance {} is of VNFD {} already", inst.id, to.vnfd_id)));
    }
    if let Some(id) = described(body, old, new)? {
        let flavour = new.flavour(&id).ok_or_else(|| {
            Fault::conflict(format!("VNFD {} has no deployment flavour '{id}', which its makers lead to; it has {}", new.id, known(new)))
        })?;
        return Ok((flavour, same_goal(flavour, body)?));
    }
    same_product(from, to)?;
    let flavour = new.flavour(&body.flavour).ok_or_else(|| {
        Fault::conflict(format!(
            "VNFD {} has no deployment flavour '{}', which the VNF is of; it has {}: change_flavour brings it to one that both have",
            new.id,
            body.flavour,
            known(new)
        ))
    })?;
    Ok((flavour, same_goal(flavour, body)?))
}

/// The flavour that the makers lead to from the one that the VNF has; `None` where neither version says a word.
fn described(body: &Body, old: &Vnfd, new: &Vnfd) -> Result<Option<SmolStr>> {
    let said: Vec<&VersionPath> = old.paths.iter().chain(&new.paths).collect();
    if said.is_empty() {
        return Ok(None);
    }
    let fits = |p: &&&VersionPath| (&p.from_vnfd, &p.from_flavour, &p.to_vnfd) == (&old.id, &body.flavour, &new.id);
    let same = said.iter().filter(fits).find(|p| p.to_flavour == body.flavour);
    let Some(path) = same.or_else(|| said.iter().find(fits)) else {
        let all = said.iter().map(|p| format!("{} ({}) to {} ({})", p.from_vnfd, p.from_flavour, p.to_vnfd, p.to_flavour));
        let text = format!("its makers do not describe the way from VNFD {} in flavour {} to VNFD {}", old.id, body.flavour, new.id);
        return Err(Fault::conflict(text).with_reasons(all.map(|p| format!("described is {p}"))));
    };
    if let Some((before, after)) = path.renamed.first() {
        let text = format!("VNFD {} calls '{before}' of VNFD {} '{after}': components under other names are not offered", new.id, old.id);
        return Err(Fault::conflict(text));
    }
    Ok(Some(path.to_flavour.clone()))
}

fn same_product(from: &Origin, to: &Origin) -> Result<()> {
    if (&from.provider, &from.name) == (&to.provider, &to.name) {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "VNFD {} is of another product ({} of {}) than the VNF is ({} of {})",
        to.vnfd_id, to.name, to.provider, from.name, from.provider
    )))
}

fn known(vnfd: &Vnfd) -> String {
    vnfd.flavours.iter().map(|f| f.id.as_str()).collect::<Vec<_>>().join(", ")
}
