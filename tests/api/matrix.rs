//! The role matrix over HTTP: each route, method and built-in role. Refused with 403 exactly where the permission table says so.

use std::collections::BTreeSet;

use axum::http::Method;
use bothy::{
    access::roles::BUILT_IN,
    api::{
        permit::{Need, need},
        together,
    },
    config::ReferencePoint,
};

use crate::{
    coverage::{FACES, METHODS, nobody, served},
    declared::Face,
    identity::{bare, bearer, user},
    rig::rig,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_refused_exactly_what_the_table_does_not_give_it() {
    let mut rig = rig(16, "").await;
    let mut tokens = Vec::new();
    for role in BUILT_IN {
        tokens.push((role, bearer(&user(&rig, &format!("a-{}", role.name), role.name, "default").await)));
    }
    let mut asked = 0;
    for face in FACES {
        rig.show_face(face);
        let mut routes = served(face);
        if face == Face::Main {
            let own = together(&[ReferencePoint::Admin]);
            let own = own.table().iter().filter(|(path, _)| path.starts_with("/bothy/"));
            routes.extend(own.map(|(path, methods)| (*path, methods.iter().map(ToString::to_string).collect::<BTreeSet<_>>())));
        }
        // Of SOL003 alone, and asked where that is met.
        routes.retain(|path, _| face != Face::Main || !path.starts_with("/vnfpkgm/v2/onboarded_vnf_packages"));
        for (template, here) in routes {
            for method in METHODS.iter().filter(|m| here.contains(**m)) {
                let of: Method = method.parse().expect("a method");
                let Some(Need::Permission(permission)) = need(&of, template) else { panic!("{method} {template} is for nobody") };
                for (role, token) in &tokens {
                    let may = role.permissions().has(permission);
                    // What may be done to the box itself is not done to it here.
                    if may && template.starts_with("/bothy/") && (of != Method::GET || role.name == "admin") {
                        continue;
                    }
                    let line = format!("{method} {}", nobody(template));
                    let r = bare(&rig, &line, &[token], "").await;
                    assert_eq!(r.status == 403, !may, "{} {line} ({permission}): {} {}", role.name, r.status, r.body);
                    if !may {
                        let why = r.problem();
                        assert!(why.contains("this needs the permission") || why.contains("has VNFs in its charge"), "{line}: {why}");
                    }
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 1000, "{asked} cells of the matrix");
}
