//! What a VNF is to come to: which flavour of which package, and with how many guests. Pure.
//!
//! Without a word of its makers a VNF comes to packages of its own product only, and to the flavour that it has. Owns those
//! refusals. Never: the store, or whether its guests can come along (`check`, `plan`).

use smol_str::SmolStr;

use crate::{
    model::{
        error::{Fault, Result},
        vnf::{Body, Origin, PackageChange, VnfInstance},
        vnfd::{Flavour, Vnfd},
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

/// The flavour that the VNF has, in another package, with as many guests as its levels mean there.
pub fn package<'a>(inst: &VnfInstance, body: &Body, change: &PackageChange, new: &'a Vnfd) -> Result<(&'a Flavour, Goal)> {
    let (from, to) = (&change.before, &change.after);
    if from.vnfd_id == to.vnfd_id {
        return Err(Fault::conflict(format!("VNF instance {} is of VNFD {} already", inst.id, to.vnfd_id)));
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
