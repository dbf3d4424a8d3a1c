//! What a grant asks of this box, held against what was asked for and what the box can keep (SOL003 9.5.2.3).
//!
//! The box is one host with one VIM, which makes guests from the package itself. Whatever of a grant it could not
//! keep refuses the operation, each with its reason: nothing is passed over in silence. Never: asks.

use std::collections::BTreeSet;

use serde_json::Value;
use smol_str::SmolStr;

use crate::{
    model::{
        central::GrantAsk,
        error::{Fault, Result},
        grant::Resource,
        op::Operation,
    },
    sol::{
        common::KeyValuePairs,
        grant::{Grant, GrantInfo},
        vnflcm::ExtVirtualLinkData,
    },
};

/// The mini-VIM of this box, as its resources name it.
const VIM: &str = "bothy";

/// The grant's id, or all that speaks against it.
pub fn judge(ask: &GrantAsk, op: &Operation, g: &Grant) -> Result<SmolStr> {
    let mut wrong = Vec::new();
    if g.vnf_instance_id != ask.vnf.to_string() || g.vnf_lcm_op_occ_id != ask.op.to_string() {
        wrong.push(format!("it is for operation {} of VNF instance {}", g.vnf_lcm_op_occ_id, g.vnf_instance_id));
    }
    let lists = [
        ("addResources", &g.add_resources, &ask.resources.add, true),
        ("tempResources", &g.temp_resources, &Vec::new(), true),
        ("removeResources", &g.remove_resources, &ask.resources.remove, false),
        ("updateResources", &g.update_resources, &ask.resources.update, false),
    ];
    for (name, given, asked, new) in lists {
        resources(name, given, asked, new, g, &mut wrong);
    }
    let zones: BTreeSet<&str> = g.add_resources.iter().filter_map(|r| r.zone_id.as_deref()).collect();
    if zones.len() > 1 {
        wrong.push(format!("addResources: zones {}: this box is one", zones.into_iter().collect::<Vec<_>>().join(", ")));
    }
    if let Some(a) = &g.vim_assets {
        for f in a.compute_resource_flavours.iter().filter(|f| f.vim_flavour_id != f.vnfd_virtual_compute_desc_id) {
            wrong.push(format!(
                "vimAssets: flavour {} for {}: guests are made as their VDU says",
                f.vim_flavour_id, f.vnfd_virtual_compute_desc_id
            ));
        }
        for i in a.software_images.iter().filter(|i| i.vim_software_image_id != i.vnfd_software_image_id) {
            wrong.push(format!(
                "vimAssets: image {} for {}: images come from the package",
                i.vim_software_image_id, i.vnfd_software_image_id
            ));
        }
        if !a.snapshot_resources.is_empty() {
            wrong.push("vimAssets.snapshotResources: snapshots are this box's own".into());
        }
    }
    let request: KeyValuePairs = match serde_json::from_str(&op.request) {
        Ok(Value::Object(o)) => o,
        _ => KeyValuePairs::new(),
    };
    links(&request, g, &mut wrong);
    let given: KeyValuePairs = match request.get("additionalParams") {
        Some(Value::Object(o)) => o.clone(),
        _ => KeyValuePairs::new(),
    };
    for (name, value) in &g.additional_params {
        if given.get(name) != Some(value) {
            wrong.push(format!("additionalParams.{name}: the request did not say so, and the operation is planned by it"));
        }
    }
    if !wrong.is_empty() {
        let what = format!("the grant {} of NFVO {} cannot be kept by this box", g.id, ask.owner);
        return Err(Fault::conflict(what).with_reasons(wrong));
    }
    Ok(SmolStr::new(&g.id))
}

fn resources(name: &str, given: &[GrantInfo], asked: &[Resource], new: bool, g: &Grant, wrong: &mut Vec<String>) {
    let missing = asked.iter().filter(|a| given.iter().all(|r| r.resource_definition_id != a.id)).count();
    if missing > 0 {
        wrong.push(format!("{name}: {missing} of {} resources are left out", asked.len()));
    }
    for r in given {
        let id = &r.resource_definition_id;
        if asked.iter().all(|a| a.id != *id) {
            wrong.push(format!("{name}: {id} was not asked for"));
        }
        if let Some(vim) = r.vim_connection_id.as_ref().filter(|_| new) {
            let ours = g.vim_connection_info.get(vim).is_none_or(|v| v.vim_id.as_deref().is_none_or(|id| id == VIM));
            if vim != VIM && !(ours && g.vim_connection_info.len() < 2) {
                wrong.push(format!("{name}: {id} on VIM connection {vim}: this box has its own VIM and no other"));
            }
        }
        let never = [
            ("reservationId", &r.reservation_id, "there are no reservations of that name here"),
            ("resourceProviderId", &r.resource_provider_id, "resources are managed by this VNFM itself"),
            ("resourceGroupId", &r.resource_group_id, "this box has no resource groups"),
        ];
        for (member, value, why) in never {
            if let Some(value) = value {
                wrong.push(format!("{name}: {id} has {member} {value}: {why}"));
            }
        }
    }
}

/// Links that a grant gives lay over those of the request (note 5). What is planned is what the request says.
fn links(request: &KeyValuePairs, g: &Grant, wrong: &mut Vec<String>) {
    let asked: Vec<ExtVirtualLinkData> =
        request.get("extVirtualLinks").and_then(|v| serde_json::from_value(v.clone()).ok()).unwrap_or_default();
    for l in g.ext_virtual_links.iter().filter(|l| !asked.contains(l)) {
        wrong.push(format!("extVirtualLinks: {} is not as the request has it: give links in the request", l.id));
    }
    for l in &g.ext_managed_virtual_links {
        wrong.push(format!("extManagedVirtualLinks: {}: internal links are made by this box", l.id));
    }
}
