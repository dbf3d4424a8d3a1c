//! What a grant asks of this box, held against what was asked for and what the box can keep (SOL003 9.5.2.3).
//!
//! The box is one host with one VIM, which makes guests from the package itself. Whatever of a grant it could not
//! keep refuses the operation, each with its reason: nothing is passed over in silence. Never: asks.

use std::collections::BTreeSet;

use serde_json::Value;
use smol_str::SmolStr;

use crate::model::tree::set;
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
        ("addResources", &g.add_resources, &ask.resources.add),
        ("tempResources", &g.temp_resources, &Vec::new()),
        ("removeResources", &g.remove_resources, &ask.resources.remove),
        ("updateResources", &g.update_resources, &ask.resources.update),
    ];
    for (name, given, asked) in lists {
        resources(name, given, asked, &mut wrong);
    }
    vims(g, &mut wrong);
    let zones: BTreeSet<&str> = set(g.add_resources.iter().filter_map(|r| r.zone_id.as_deref()));
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
    Ok(g.id.chars().take(super::LONGEST).collect())
}

fn resources(name: &str, given: &[GrantInfo], asked: &[Resource], wrong: &mut Vec<String>) {
    let missing = asked.iter().filter(|a| given.iter().all(|r| r.resource_definition_id != a.id)).count();
    if missing > 0 {
        wrong.push(format!("{name}: {missing} of {} resources are left out", asked.len()));
    }
    for r in given {
        let id = &r.resource_definition_id;
        if asked.iter().all(|a| a.id != *id) {
            wrong.push(format!("{name}: {id} was not asked for"));
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

/// Whatever an NFVO calls the one VIM of this box is taken for it; two, or one that says of itself that it is
/// elsewhere, are not.
fn vims(g: &Grant, wrong: &mut Vec<String>) {
    let named: BTreeSet<&str> = set(g.add_resources.iter().filter_map(|r| r.vim_connection_id.as_deref()));
    if named.len() > 1 {
        let all = named.iter().copied().collect::<Vec<_>>().join(", ");
        wrong.push(format!("addResources: VIM connections {all}: this box has its own VIM and no other"));
    }
    for id in named {
        let Some(v) = g.vim_connection_info.get(id) else { continue };
        if v.vim_id.as_deref().is_some_and(|vim| vim != VIM) || !v.interface_info.is_empty() {
            wrong.push(format!("vimConnectionInfo: {id} is a VIM elsewhere: this box has its own and no other"));
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        central::{Asking, Resources},
        grant::ResourceKind,
        id::{OpId, ProjectId, VnfId},
        op::{OpKind, OpState, PLAN_FORMAT, Target, VnfOpState},
        time::Stamp,
    };

    #[test]
    fn a_grant_for_more_than_one_box_with_one_vim_is_refused_by_name() {
        let (vnf, op) = (VnfId(Uuid::from_u128(1)), OpId(Uuid::from_u128(2)));
        let resource = |id: &str| Resource { id: id.into(), kind: ResourceKind::Compute, vdu: None, template: "t".into() };
        let ask = GrantAsk {
            op,
            vnf,
            owner: "orch".into(),
            base: String::new(),
            vnfd_id: "d".into(),
            dst_vnfd_id: None,
            flavour: None,
            resources: Resources { add: vec![resource("a"), resource("b")], ..Resources::default() },
            within: false,
            state: Asking::Due,
            attempts: 0,
            why: String::new(),
        };
        let op = Operation {
            id: op,
            project: ProjectId::DEFAULT,
            target: Target::Vnf(vnf),
            kind: OpKind::Instantiate,
            state: OpState::Vnf(VnfOpState::Starting),
            created: Stamp(0),
            state_entered: Stamp(0),
            request: "{}".into(),
            error: None,
            warnings: Vec::new(),
            cancel: None,
            parent: None,
            automatic: false,
            plan_format: PLAN_FORMAT,
            steps: 0,
            attempt: 0,
            sequence: 1,
        };
        for (a, b, vims, says) in [
            (json!({}), json!({}), json!({}), None),
            (json!({"zoneId": "1"}), json!({"zoneId": "1"}), json!({}), None),
            (json!({"zoneId": "1"}), json!({"zoneId": "2"}), json!({}), Some("zones 1, 2: this box is one")),
            (json!({"vimConnectionId": "v"}), json!({"vimConnectionId": "v"}), json!({"v": {"vimType": "X"}}), None),
            (json!({"vimConnectionId": "v"}), json!({"vimConnectionId": "w"}), json!({}), Some("VIM connections v, w")),
            (json!({"vimConnectionId": "v"}), json!({}), json!({"v": {"vimType": "X", "vimId": "bothy"}}), None),
            (json!({"vimConnectionId": "v"}), json!({}), json!({"v": {"vimType": "X", "vimId": "far"}}), Some("v is a VIM elsewhere")),
            (
                json!({"vimConnectionId": "v"}),
                json!({}),
                json!({"v": {"vimType": "X", "interfaceInfo": {"endpoint": "https://far"}}}),
                Some("v is a VIM elsewhere"),
            ),
            (json!({"reservationId": "r"}), json!({}), json!({}), Some("a has reservationId r")),
            (json!({}), json!({"resourceGroupId": "g"}), json!({}), Some("b has resourceGroupId g")),
            (json!({}), json!({"resourceProviderId": "p"}), json!({}), Some("b has resourceProviderId p")),
        ] {
            let (mut a, mut b) = (a, b);
            (a["resourceDefinitionId"], b["resourceDefinitionId"]) = ("a".into(), "b".into());
            let link = json!({"href": "https://o"});
            let text = json!({
                "id": "g", "vnfInstanceId": vnf.to_string(), "vnfLcmOpOccId": ask.op.to_string(), "vimConnectionInfo": vims,
                "addResources": [a, b], "_links": {"self": link, "vnfLcmOpOcc": link, "vnfInstance": link},
            });
            let grant: Grant = serde_json::from_value(text.clone()).expect("a grant");
            match (judge(&ask, &op, &grant), says) {
                (Ok(id), None) => assert_eq!(id, "g"),
                (Err(f), Some(says)) => assert!(f.detail().contains(says), "{says}: {f}"),
                (got, says) => panic!("{text:#}: {got:?} in place of {says:?}"),
            }
        }
    }
}
