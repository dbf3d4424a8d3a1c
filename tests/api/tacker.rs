//! OpenStack's command line with python-tackerclient (PyPI, in `build/clients`) drives a VNF's whole life over both majors of SOL003,
//! over the second with subscriptions, a PM job and a threshold of its.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::stage::{Point, Stage, clients, subscriber};

#[test]
fn tackerclient_drives_a_vnfs_whole_life_over_both_majors() {
    std::thread::scope(|s| {
        for major in ["1", "2"] {
            s.spawn(move || whole_life(major));
        }
    });
}

fn whole_life(major: &str) {
    let Some(bin) = clients() else { return };
    let stage = Stage::set();
    let vnfd = stage.onboard_web();
    let client = stage.cli(&["client", "create", "osc", "--role", "operator"]);
    let done = Command::new(bin.join("python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/tacker.py"))
        .arg(format!("https://localhost:{}", stage.port(Point::Sol003Vnfm)))
        .arg(stage.certificate())
        .args(["osc", client["secret"].as_str().expect("a secret"), &vnfd, &subscriber(), major])
        .stdin(Stdio::null())
        .output()
        .expect("python");
    let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{said}\n{why}");
    for command in ["create", "instantiate", "list", "show", "scale", "heal", "update", "op list", "op show", "terminate", "delete"] {
        assert!(said.contains(&format!("$ openstack vnflcm {command} ")), "{command}: {said}");
    }
}
