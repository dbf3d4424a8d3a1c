//! SDN controllers and port maps.

use super::Golden;
use crate::model::{
    net::MacAddr,
    sdn::{Controller, Login, MappedPort, OutsidePort, Pattern, PortMap, Speaks, SwitchAddr, WebAddr},
};

fn port(switch: &str, port: &str) -> OutsidePort {
    OutsidePort { switch: switch.into(), port: port.into() }
}

pub(super) fn check(g: &Golden) {
    let controller = |speaks| Controller {
        name: "tor".into(),
        speaks,
        networks: vec!["wan".into()],
        datapaths: vec!["s1".into(), "s2".into()],
        external: vec![port("s1", "48")],
    };
    let metrics = "127.0.0.1:9302".parse().expect("address");
    let login = Login { user: "look".into(), secret: "faucet".into() };
    let web = |ca: Option<&str>| WebAddr {
        url: "https://c:8443".into(),
        login: ca.map(|_| Login { user: "bothy".into(), secret: "c".into() }),
        ca: ca.map(Into::into),
    };
    for (name, speaks) in [
        ("unix", Speaks::Ovsdb { at: SwitchAddr::Unix("/run/db.sock".into()) }),
        ("tcp", Speaks::Ovsdb { at: SwitchAddr::Tcp("[::1]:6640".parse().expect("address")) }),
        ("faucet", Speaks::Faucet { file: "/f.yaml".into(), pid_file: None, metrics, login: None }),
        ("faucet-login", Speaks::Faucet { file: "/f.yaml".into(), pid_file: Some("/f.pid".into()), metrics, login: Some(login) }),
        ("l2vpn", Speaks::L2vpn(web(None))),
        ("opendaylight", Speaks::OpenDaylight(web(Some("/ca.pem")))),
        ("onos", Speaks::Onos(web(None))),
    ] {
        g.check(format!("controller-{name}"), &controller(speaks));
    }
    let line = |pci: &str, mac| MappedPort { pci: Pattern::of_pci(pci).expect("a pattern"), at: port("s1", "7"), mac };
    let ports = vec![line("3b:10.*", None), line("0000:3b:00.0", Some(MacAddr::planned(7)))];
    g.check("portmap", &PortMap { node: Pattern::of_node("edge-*").expect("a pattern"), ports });
}
