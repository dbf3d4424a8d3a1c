//! Forwarding paths of the shipped service, and what is said of wrong ones.

use std::{fs, path::Path};

use super::{Content, copy, read};
use crate::model::{
    chain::HopKind,
    nsd::{ForwardingPath, Nsd},
};

const FILE: &str = "Definitions/vcpe-ns.yaml";

/// The service with some text replaced, or all that is said of it.
fn service(edits: &[(&str, &str)]) -> Result<Nsd, String> {
    let dir = tempfile::tempdir().expect("tempdir");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("descriptors/vcpe/vcpe-ns"), dir.path());
    let (manifest, meta) = (dir.path().join("vcpe-ns.mf"), dir.path().join("TOSCA-Metadata/TOSCA.meta"));
    fs::remove_file(manifest).expect("removed");
    let text = fs::read_to_string(&meta).expect("meta");
    fs::write(&meta, text.lines().filter(|l| !l.starts_with("ETSI-Entry-Manifest")).collect::<Vec<_>>().join("\n") + "\n").expect("write");
    let path = dir.path().join(FILE);
    let mut text = fs::read_to_string(&path).expect("text");
    for (old, new) in edits {
        assert!(text.contains(old), "no {old:?}");
        text = text.replacen(old, new, 1);
    }
    fs::write(&path, text).expect("write");
    match read(dir.path()) {
        Ok(Content::Nsd(c)) => Ok(c.nsd),
        Ok(_) => panic!("a VNFD"),
        Err(d) => Err(d.render()),
    }
}

fn path(edits: &[(&str, &str)]) -> ForwardingPath {
    let mut nsd = service(edits).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(nsd.flavours[0].paths.len(), 1);
    nsd.flavours[0].paths.remove(0)
}

#[test]
fn a_path_is_read_with_its_ends_functions_traffic_and_hints() {
    let p = path(&[]);
    assert_eq!((p.id.as_str(), p.vnffg.as_str(), p.symmetric), ("to_web", "site", true));
    let cp = |c: &crate::model::nsd::MemberCp| format!("{}.{}", c.member, c.cp);
    assert_eq!([cp(&p.from), cp(&p.to)], ["client.lan_link", "web.wan_link"]);
    let [hop] = p.hops.as_slice() else { panic!("{:?}", p.hops) };
    assert_eq!((hop.kind, cp(&hop.entry), cp(&hop.exit)), (HopKind::Routed, "firewall.lan_link".into(), "firewall.wan_link".into()));
    assert_eq!(p.classifiers.iter().map(ToString::to_string).collect::<Vec<_>>(), ["tcp to any port 80"]);
    assert_eq!(p.classifiers[0].id, "pages");

    let all = "protocol: udp\n          vlan_tag: [ \"7\" ]\n          dscp: \"101110\"\n          source_port_range: [ 1000, 2000 ]\n          source_ip_address_prefix: 10.0.0.0/8\n          destination_ip_address_prefix: 10.1.2.0/24";
    let hints =
        "type: tosca.nodes.nfv.NFP\n      metadata: { bothy.symmetric: \"false\", bothy.on_loss: bypass, bothy.drain_timeout: 10 m }";
    let p = path(&[("protocol: tcp", all), ("type: tosca.nodes.nfv.NFP", hints)]);
    assert_eq!(p.classifiers[0].to_string(), "udp from 10.0.0.0/8 port 1000-2000 to 10.1.2.0/24 port 80 dscp 46 vlan 7");
    assert!(!p.symmetric && p.on_loss == crate::model::chain::OnLoss::Bypass && p.drain_s == Some(600));
}

#[test]
fn a_position_that_no_path_lists_is_a_function_in_reserve() {
    assert_eq!(service(&[]).expect("reads").flavours[0].spare, []);
    let left = [("        - nfp_position: at_firewall\n", ""), ("bothy.hop: routed", "bothy.hop: stateful")];
    let nsd = service(&left).expect("reads");
    let f = &nsd.flavours[0];
    assert!(f.paths[0].hops.is_empty());
    let [spare] = f.spare.as_slice() else { panic!("{:?}", f.spare) };
    assert_eq!((spare.kind, spare.entry.cp.as_str(), spare.exit.cp.as_str()), (HopKind::Stateful, "lan_link", "wan_link"));
}

const WEB: &str = "    web:\n      type: bothy.nodes.vcpe.Web";

/// A physical box on the link `wan`, before the web server.
fn press(metadata: &str) -> String {
    format!(
        "    press:\n      type: tosca.nodes.nfv.PNF\n      metadata: {{ {metadata} }}\n      properties: {{ descriptor_id: press-1 }}\n      requirements:\n        - plug: wan\n\n{WEB}"
    )
}

#[test]
fn a_path_ends_at_a_pnf_or_a_sap_and_the_pnf_s_link_has_the_network_it_is_plugged_into() {
    let plugged = press("bothy.physical.plug: plant");
    let nsd = service(&[(WEB, &plugged), ("{ node: web, capability: wan_link }", "press")]).expect("reads");
    let f = &nsd.flavours[0];
    let [pnf] = f.pnfs.as_slice() else { panic!("{:?}", f.pnfs) };
    assert_eq!((pnf.id.as_str(), pnf.pnfd_id.as_str(), pnf.attach[0].ext_cp.as_str()), ("press", "press-1", "plug"));
    assert_eq!(f.links.iter().find(|l| l.id == "wan").and_then(|l| l.profile.physical.as_deref()), Some("plant"));
    assert_eq!((f.paths[0].to.member.as_str(), f.paths[0].to.cp.as_str()), ("press", "plug"));

    let sap = format!(
        "    plant:\n      type: tosca.nodes.nfv.Sap\n      properties: {{ layer_protocols: [ ethernet ] }}\n      requirements:\n        - internal_virtual_link: wan\n\n{WEB}"
    );
    let nsd = service(&[(WEB, &sap), ("{ node: web, capability: wan_link }", "plant")]).expect("reads");
    assert_eq!((nsd.flavours[0].paths[0].to.member.as_str(), nsd.flavours[0].paths[0].to.cp.as_str()), ("plant", ""));

    let function = (
        "        - profile_element: { node: firewall, capability: lan_link }\n        - profile_element: { node: firewall, capability: wan_link }\n",
        "        - profile_element: press\n",
    );
    for (what, edits, said) in [
        ("nowhere", vec![(WEB, press(""))], "reaches no physical network"),
        ("misspelt", vec![(WEB, press("bothy.physical.plug: plant, bothy.physical.plub: plant"))], "did you mean 'plug'"),
        ("a function", vec![(WEB, plugged.clone()), (function.0, function.1.to_owned())], "'press' is no VNF"),
    ] {
        let edits: Vec<(&str, &str)> = edits.iter().map(|(a, b)| (*a, b.as_str())).collect();
        let all = service(&edits).map(drop).expect_err(what);
        assert!(all.contains(said), "{what}: no {said:?} in\n{all}");
    }
}

#[test]
fn wrong_paths_are_refused_each_fault_at_its_place() {
    for (what, edits, said) in [
        ("position", ("- nfp_position: at_web", "- nfp_position: at_wed"), "did you mean 'at_web'"),
        ("short", ("        - nfp_position: at_firewall\n        - nfp_position: at_web\n", ""), "two positions at least"),
        ("element", ("- element: web_wan", "- element: web_won"), "did you mean 'web_wan'"),
        ("VNF", ("{ node: web, capability: wan_link }", "{ node: wed, capability: wan_link }"), "no VNF 'wed'"),
        ("connection point", ("{ node: web, capability: wan_link }", "{ node: web, capability: lan_link }"), "'lan_link'"),
        ("several", ("{ node: web, capability: wan_link }", "web"), "has several connection points"),
        ("two VNFs", ("{ node: firewall, capability: wan_link }", "{ node: web, capability: wan_link }"), "two of one VNF"),
        ("end", ("- element: web_wan", "- element: firewall_sides"), "begins and ends at one"),
        ("target", ("targets: [ to_web ]", "targets: [ to_wed ]"), "did you mean 'to_web'"),
        ("no rule", ("targets: [ to_web ]", "targets: [ ]"), "no NfpRule has it"),
        ("no graph", ("members: [ to_web, ", "members: [ "), "member of no VNFFG"),
        ("member", ("members: [ to_web, ", "members: [ to_web, nobody, "), "'nobody'"),
        ("protocol", ("protocol: tcp", "protocol: tpc"), "no protocol 'tpc'"),
        ("ports", ("[ 80, 80 ]", "[ 80, 79 ]"), "not a range"),
        ("ports of nothing", ("          protocol: tcp\n", ""), "give the protocol"),
        ("MAC", ("protocol: tcp", "protocol: tcp\n          ether_source_address: 52:54:00:00:00:01"), "is not offered"),
        (
            "families",
            ("protocol: tcp", "protocol: tcp\n          ether_type: ipv4\n          source_ip_address_prefix: fd00::/8"),
            "IPv4 and of IPv6",
        ),
        ("DSCP", ("protocol: tcp", "protocol: tcp\n          dscp: \"46\""), "six digits"),
        ("hint", ("bothy.hop: routed", "bothy.hop: router"), "did you mean 'routed'"),
    ] {
        let all = service(&[edits]).map(drop).expect_err(what);
        assert!(all.contains(said) && all.contains(FILE), "{what}: no {said:?} in\n{all}");
    }
    let two = service(&[("protocol: tcp", "protocol: tpc"), ("bothy.hop: routed", "bothy.hop: router")]).map(drop).expect_err("both");
    assert!(two.contains("'tpc'") && two.contains("'routed'"), "all at once: {two}");
}
