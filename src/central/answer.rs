//! What a grant asks of this box, held against what was asked for and what the box can keep (SOL003 9.5.2.3).
//!
//! The box is one host with one VIM, which makes guests from the package itself. Whatever of a grant it could not
//! keep refuses the operation, each with its reason: nothing is passed over in silence. Links and parameters that it
//! gives are laid on the request. Never: asks, or plans.

use std::collections::BTreeSet;

use serde_json::Value;
use smol_str::SmolStr;

use crate::model::tree::set;
use crate::{
    model::{
        central::GrantAsk,
        error::{Fault, Result},
        grant::Resource,
        op::{OpKind, Operation},
    },
    sol::{
        common::KeyValuePairs,
        cp::VnfExtCpData,
        grant::{Grant, GrantInfo},
        vnflcm::ExtVirtualLinkData,
    },
};

/// The mini-VIM of this box, as its resources name it.
const VIM: &str = "bothy";

/// What a grant means for the operation.
#[derive(Debug)]
pub struct Given {
    pub id: SmolStr,
    pub laid: Option<Laid>,
}

/// The request as the grant has it, where that is another.
#[derive(Debug)]
pub struct Laid {
    pub request: String,
    /// What of it the grant has said, for people.
    pub says: String,
}

/// What it is, or all that speaks against it.
pub fn judge(ask: &GrantAsk, op: &Operation, g: &Grant) -> Result<Given> {
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
    zones(g, &mut wrong);
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
    for l in &g.ext_managed_virtual_links {
        wrong.push(format!("extManagedVirtualLinks: {}: internal links are made by this box", l.id));
    }
    let laid = lay(op, g, &mut wrong);
    if !wrong.is_empty() {
        let what = format!("the grant {} of NFVO {} cannot be kept by this box", g.id, ask.owner);
        return Err(Fault::conflict(what).with_reasons(wrong));
    }
    Ok(Given { id: g.id.chars().take(super::LONGEST).collect(), laid })
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
    let resources = [&g.add_resources, &g.temp_resources, &g.update_resources].into_iter().flatten();
    let assets = g.vim_assets.iter().flat_map(|a| {
        let flavours = a.compute_resource_flavours.iter().map(|f| &f.vim_connection_id);
        flavours.chain(a.software_images.iter().map(|i| &i.vim_connection_id))
    });
    let all = resources
        .map(|r| &r.vim_connection_id)
        .chain(g.zones.iter().map(|z| &z.vim_connection_id))
        .chain(g.ext_virtual_links.iter().map(|l| &l.vim_connection_id))
        .chain(assets);
    let named: BTreeSet<&str> = set(all.filter_map(Option::as_deref));
    if named.len() > 1 {
        let all = named.iter().copied().collect::<Vec<_>>().join(", ");
        wrong.push(format!("VIM connections {all}: this box has its own VIM and no other"));
    }
    for id in named {
        let Some(v) = g.vim_connection_info.get(id) else { continue };
        if v.vim_id.as_deref().is_some_and(|vim| vim != VIM) || !v.interface_info.is_empty() {
            wrong.push(format!("vimConnectionInfo: {id} is a VIM elsewhere: this box has its own and no other"));
        }
    }
}

/// Whatever an NFVO calls the one zone of guests is taken for it. Nodes of the host are zones of capacity, and no place that
/// a grant chooses.
fn zones(g: &Grant, wrong: &mut Vec<String>) {
    let name = |r: &GrantInfo| -> Option<String> {
        let id = r.zone_id.as_ref()?;
        Some(g.zones.iter().find(|z| z.id == *id).map_or(id, |z| &z.zone_id).clone())
    };
    let named: BTreeSet<String> = set(g.add_resources.iter().filter_map(name));
    if let Some(node) = named.iter().find(|z| z.strip_prefix("numa").is_some_and(|n| n.parse::<u32>().is_ok())) {
        wrong.push(format!("addResources: zone {node}: which NUMA node a guest is on is said by its VDU"));
    }
    if named.len() > 1 {
        wrong.push(format!("addResources: zones {}: this box is one", named.into_iter().collect::<Vec<_>>().join(", ")));
    }
}

/// The request with what the grant says laid over it (notes 5 and 8); `None` where it says nothing else.
fn lay(op: &Operation, g: &Grant, wrong: &mut Vec<String>) -> Option<Laid> {
    let before: KeyValuePairs = match serde_json::from_str(&op.request) {
        Ok(Value::Object(o)) => o,
        _ => KeyValuePairs::new(),
    };
    let mut after = before.clone();
    let mut says = Vec::new();
    let asked: Vec<ExtVirtualLinkData> =
        before.get("extVirtualLinks").and_then(|v| serde_json::from_value(v.clone()).ok()).unwrap_or_default();
    let other: Vec<&ExtVirtualLinkData> = g.ext_virtual_links.iter().filter(|l| !asked.contains(l)).collect();
    if !other.is_empty() {
        if takes_links(op.kind) {
            let provider = other.iter().filter(|l| l.resource_provider_id.is_some());
            wrong.extend(provider.map(|l| format!("extVirtualLinks: {} has a resourceProviderId: links are this box's own", l.id)));
            says.push(format!("links of {}", names(other.iter().flat_map(|l| &l.ext_cps).map(|cp| cp.cpd_id.as_str()))));
            let links = over(asked, &other);
            after.insert("extVirtualLinks".into(), serde_json::to_value(links).unwrap_or_default());
        } else {
            wrong.extend(other.iter().map(|l| format!("extVirtualLinks: {}: {} takes no links", l.id, op.kind.name())));
        }
    }
    let mut params: KeyValuePairs = match before.get("additionalParams") {
        Some(Value::Object(o)) => o.clone(),
        _ => KeyValuePairs::new(),
    };
    let other: Vec<&str> =
        g.additional_params.iter().filter(|(name, value)| params.get(*name) != Some(value)).map(|(name, _)| name.as_str()).collect();
    if !other.is_empty() {
        if takes_params(op.kind) {
            says.push(format!("parameters {}", names(other)));
            params.extend(g.additional_params.clone());
            after.insert("additionalParams".into(), Value::Object(params));
        } else {
            wrong.extend(other.iter().map(|name| format!("additionalParams.{name}: {} takes none of a grant", op.kind.name())));
        }
    }
    (!says.is_empty())
        .then(|| Laid { request: Value::Object(after).to_string(), says: format!("the grant {} says {}", g.id, says.join(" and ")) })
}

fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> String {
    set(all).into_iter().collect::<Vec<_>>().join(", ")
}

/// Links of a request without what others say of their connection points, and these.
fn over(mut asked: Vec<ExtVirtualLinkData>, other: &[&ExtVirtualLinkData]) -> Vec<ExtVirtualLinkData> {
    for said in other.iter().flat_map(|l| &l.ext_cps) {
        for cp in asked.iter_mut().flat_map(|l| &mut l.ext_cps).filter(|cp| cp.cpd_id == said.cpd_id) {
            // Of all its instances, or of those that are named.
            cp.cp_config.retain(|instance, _| !said.cp_config.is_empty() && !said.cp_config.contains_key(instance));
        }
        let silent = |cp: &VnfExtCpData| cp.cpd_id == said.cpd_id && cp.cp_config.is_empty();
        asked.iter_mut().for_each(|l| l.ext_cps.retain(|cp| !silent(cp)));
    }
    asked.retain(|l| !l.ext_cps.is_empty());
    asked.extend(other.iter().map(|l| (*l).clone()));
    asked
}

fn takes_links(kind: OpKind) -> bool {
    takes_params(kind) || kind == OpKind::ChangeExtConn
}

/// Of which there are guests that are made by them.
fn takes_params(kind: OpKind) -> bool {
    matches!(kind, OpKind::Instantiate | OpKind::ChangeFlavour | OpKind::ChangePackage)
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
        op::{OpState, PLAN_FORMAT, Target, VnfOpState},
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
            (json!({"zoneId": "3"}), json!({"zoneId": "4"}), json!({}), None),
            (json!({"zoneId": "5"}), json!({}), json!({}), Some("zone numa1: which NUMA node a guest is on is said by its VDU")),
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
                "zones": [{"id": "3", "zoneId": "attic"}, {"id": "4", "zoneId": "attic"}, {"id": "5", "zoneId": "numa1"}],
                "id": "g", "vnfInstanceId": vnf.to_string(), "vnfLcmOpOccId": ask.op.to_string(), "vimConnectionInfo": vims,
                "addResources": [a, b], "_links": {"self": link, "vnfLcmOpOcc": link, "vnfInstance": link},
            });
            let grant: Grant = serde_json::from_value(text.clone()).expect("a grant");
            match (judge(&ask, &op, &grant), says) {
                (Ok(given), None) => assert!(given.id == "g" && given.laid.is_none(), "{given:?}"),
                (Err(f), Some(says)) => assert!(f.detail().contains(says), "{says}: {f}"),
                (got, says) => panic!("{text:#}: {got:?} in place of {says:?}"),
            }
        }
    }

    #[test]
    fn links_of_a_grant_lie_over_those_of_the_request_each_by_its_connection_point() {
        let link = |id: &str, cps: serde_json::Value| json!({"id": id, "resourceId": format!("net-{id}"), "extCps": cps});
        let plain = |cpd: &str| json!({"cpdId": cpd});
        let of = |cpd: &str, instances: &[&str]| {
            let all: serde_json::Map<String, Value> = instances.iter().map(|i| ((*i).to_owned(), Value::Null)).collect();
            json!({"cpdId": cpd, "cpConfig": all})
        };
        for (asked, given, laid) in [
            (json!([]), json!([link("a", json!([plain("wan")]))]), json!([link("a", json!([plain("wan")]))])),
            // What is said of others stays, and a link of which nothing is left goes.
            (
                json!([link("a", json!([plain("wan"), plain("lan")])), link("b", json!([plain("mgmt")]))]),
                json!([link("c", json!([plain("wan"), plain("mgmt")]))]),
                json!([link("a", json!([plain("lan")])), link("c", json!([plain("wan"), plain("mgmt")]))]),
            ),
            // One instance of a connection point, of those that are named.
            (
                json!([link("a", json!([of("wan", &["1", "2"])]))]),
                json!([link("c", json!([of("wan", &["2"])]))]),
                json!([link("a", json!([of("wan", &["1"])])), link("c", json!([of("wan", &["2"])]))]),
            ),
        ] {
            let read = |v: &Value| serde_json::from_value::<Vec<ExtVirtualLinkData>>(v.clone()).expect("links");
            let given = read(&given);
            assert_eq!(over(read(&asked), &given.iter().collect::<Vec<_>>()), read(&laid), "{asked}");
        }
    }
}
