//! Interfaces that VNFs serve themselves, and what their operations coordinate, as packages say it.

use super::{Content, read, said, variant};
use crate::model::own::{CoordAsk, Coordinated, Coordination, Door, EndpointKind, OwnApi, OwnApis, Stage};

const FILE: &str = "Definitions/router_df_pair.yaml";

/// A policy of that type, in one line.
fn policy(name: &str, kind: &str, rest: &str) -> String {
    format!("    - {name}: {{ type: tosca.policies.nfv.{kind}, {rest} }}\n")
}

fn action(name: &str, rest: &str) -> String {
    policy(name, "LcmCoordinationAction", &format!("properties: {{ action_name: {name}, action: {{ {rest} }} }}"))
}

fn operation(name: &str, actions: &str) -> String {
    let rest = format!("properties: {{ vnf_lcm_operation: {name}, {actions} }}");
    policy(&format!("at_{name}"), "LcmCoordinationsForLcmOperation", &rest)
}

fn interface(name: &str, targets: &str, details: &str) -> String {
    let rest = format!("targets: [ {targets} ], properties: {{ interface_name: {name}, details: {{ {details} }} }}");
    policy(&format!("serves_{name}"), "SupportedVnfInterface", &rest)
}

fn own(policies: &str) -> Vec<OwnApis> {
    match read(variant("router", &[(FILE, "  policies:\n", &format!("  policies:\n{policies}"))]).path()) {
        Ok(Content::Vnf(c)) => c.vnfd.own,
        Ok(_) => panic!("router is no NSD"),
        Err(d) => panic!("{}", d.render()),
    }
}

fn render(policies: &str) -> String {
    said("router", &[(FILE, "  policies:\n", &format!("  policies:\n{policies}"))])
}

const URI: &str = "uri_components: { scheme: http, authority: { port: 8080 }, path: /own/lcmcoord/v1 }";

#[test]
fn a_flavour_says_where_the_vnf_is_asked_and_for_what() {
    let policies = [
        interface("vnf_lcm_coordination", "lan", &format!("{URI}, interface_specific_data: {{ bothy.user: u, bothy.secret: s }}")),
        interface("vnf_configuration", "lan, outside", ""),
        action("drain", "coordination_stage: start, endpoint_type: vnf, input_parameters: { n: 5, t: '5', on: true, l: [ a ] }"),
        action("register", "coordination_stage: end, endpoint_type: mgmt"),
        operation("terminate", "actions: [ drain ]"),
        operation("instantiate", "actions: [ register ], referenced_coordination_actions: [ other ]"),
    ];
    let door = |api, tls, port, path: &str, cps: &[&str]| Door {
        api,
        tls,
        host: None,
        port,
        path: path.into(),
        cps: cps.iter().map(|c| (*c).into()).collect(),
        login: None,
    };
    let of = |operation, stage, action: &str, endpoint, input: &str| Coordination {
        operation,
        stage,
        ask: CoordAsk { action: action.into(), endpoint, input: input.into() },
    };
    let input = "{\"n\":5,\"t\":\"5\",\"on\":true,\"l\":[\"a\"]}";
    let want = OwnApis {
        flavour: "pair".into(),
        doors: vec![
            Door { login: Some(("u".into(), "s".into())), ..door(OwnApi::Coordination, false, 8080, "/own", &["lan"]) },
            door(OwnApi::Configuration, true, 443, "", &["lan", "outside"]),
        ],
        coordinations: vec![
            of(Coordinated::Terminate, Stage::Start, "drain", Some(EndpointKind::Vnf), input),
            of(Coordinated::Instantiate, Stage::End, "register", Some(EndpointKind::Mgmt), ""),
            of(Coordinated::Instantiate, Stage::End, "other", None, ""),
        ],
    };
    assert_eq!(own(&policies.concat()), [want]);
    assert_eq!(own(""), []);
}

#[test]
fn what_cannot_be_asked_is_told_and_what_makes_no_sense_is_refused() {
    let drain = action("drain", "coordination_stage: start");
    for (policies, refused, says) in [
        (format!("{drain}{}", operation("scale", "actions: [ drain ]")), false, "nobody knows where 'drain' is asked for"),
        (format!("{drain}{}", operation("instantiate", "actions: [ drain ]")), false, "no VNF can be asked for 'drain' before it is there"),
        (format!("{drain}{}", operation("modify_info", "actions: [ drain ]")), false, "is not coordinated"),
        (format!("{drain}{}", operation("scale", "actions: [ drian ]")), true, "there is no LcmCoordinationAction 'drian'"),
        (format!("{drain}{}", operation("reboot", "actions: [ drain ]")), true, "vnf_lcm_operation"),
        (
            format!("{}{}", action("a", ""), operation("scale", "actions: [ a ]")),
            false,
            "'a' has no coordination_stage: it is asked for at the start",
        ),
        (format!("{drain}{drain}"), true, "'drain' is declared twice"),
        (action("a", "coordination_stage: middle"), true, "coordination_stage"),
        (action("a", "input_parameters: [ 1 ]"), true, "is no map"),
        (interface("vnf_config", "lan", ""), true, "interface_name"),
        (interface("vnf_indicator", "", ""), false, "nobody knows where it is"),
        (interface("vnf_indicator", "nowhere", ""), false, "'nowhere' is no connection point"),
        (interface("vnf_indicator", "lan", "uri_components: { scheme: ftp }"), true, "scheme"),
        (
            interface("vnf_indicator", "lan", "uri_components: { scheme: https, authority: { user_info: 'a:b' } }"),
            true,
            "credentials do not belong into a VNFD",
        ),
        (interface("vnf_indicator", "lan", "interface_specific_data: { bothy.user: u }"), true, "bothy.secret is missing"),
    ] {
        let said = render(&policies);
        assert!(said.starts_with(if refused { "refused" } else { "taken" }) && said.contains(says), "{policies}: {said}");
    }
}
