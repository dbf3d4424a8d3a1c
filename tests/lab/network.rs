//! The box's own ports by systemd-networkd: a change that cuts the box off heals itself, one that is confirmed outlives a
//! restart. QEMU's network has a DHCP server.

use std::time::Duration;

use crate::kit::{Lab, harness::Test, machine::PF_MACS};

pub const TESTS: &[Test] = tests![a_change_that_cuts_the_box_off_heals_itself, a_confirmed_change_counts_and_is_kept];
/// Whoever stands at the box, by VGA or serial line, sees where it is reached and by which certificate.
pub const FIRST: &[Test] = tests![the_serial_console_shows_the_boxs_page_and_no_login];
pub const AFTER_A_REBOOT: &[Test] = tests![the_kept_network_is_there_from_the_start];

/// What QEMU's DHCP gives.
const LEASE: &str = "10.0.2.15/24";
const VLAN: &str = "198.51.100.7/24";
const SOON: Duration = Duration::from_secs(90);

fn name_of(lab: &mut Lab, mac: &str) -> String {
    lab.sh(&format!(
        "grep -l {mac} /sys/class/net/*/address | while read f; do [ ! -e ${{f%/address}}/device ] || basename ${{f%/address}}; done"
    ))
}

fn addresses(lab: &mut Lab) -> String {
    lab.sh("ip -br -4 addr")
}

fn routes(lab: &mut Lab, port: &str) -> String {
    lab.sh(&format!("ip -4 route show dev {port}"))
}

fn write(lab: &mut Lab, ipv4: &str) {
    let mac = PF_MACS[0];
    lab.sh(&format!(
        r#"echo '{{"interfaces": [{{"device": "{mac}", "mtu": 1400, "ipv4": {ipv4}}}, {{"device": "{mac}", "vlan": 42, "ipv4": {{"method": "STATIC", "addresses": ["{VLAN}"]}}}}]}}' >/run/network.json"#
    ));
}

fn a_change_that_cuts_the_box_off_heals_itself(lab: &mut Lab) {
    let port = name_of(lab, PF_MACS[0]);
    // The network's daemon gives the address first and the route a moment later.
    let both = format!("ip -br -4 addr; ip -4 route show dev {port}");
    let reached = |said: &str| said.lines().any(|l| l.starts_with(&port) && l.contains(LEASE)) && said.contains("10.0.2.0/24");
    lab.eventually("a lease", SOON, &both, reached);
    // Nobody on this wire is there.
    write(lab, r#"{"method": "STATIC", "addresses": ["203.0.113.9/24"], "gateway": "203.0.113.1"}"#);
    lab.sh("bothy host network apply /run/network.json --within 20");
    lab.eventually("the wrong address", Duration::from_secs(15), "ip -br -4 addr", |said| {
        said.lines().any(|l| l.starts_with(&port) && l.contains("203.0.113.9/24") && !l.contains(LEASE))
    });
    assert_eq!(lab.sh(&format!("cat /sys/class/net/{port}/mtu")), "1400");
    let cut = routes(lab, &port);
    assert!(!cut.contains("10.0.2."), "nobody of its network is reached this way: {cut}");
    lab.eventually("healed", SOON, &both, |said| reached(said) && !said.contains("203.0.113.9") && !said.contains(VLAN));
    assert_eq!(lab.sh(&format!("cat /sys/class/net/{port}/mtu")), "1500", "what was before, whole");
    let said = lab.sh("bothy host network --json");
    assert!(said.contains("nobody confirmed it within 20 s") && said.contains("\"SYSTEM\""), "{said}");
}

fn a_confirmed_change_counts_and_is_kept(lab: &mut Lab) {
    write(lab, r#"{"method": "AUTO"}"#);
    lab.sh("bothy host network apply /run/network.json --within 600; bothy host network confirm");
    kept(lab);
}

fn the_kept_network_is_there_from_the_start(lab: &mut Lab) {
    kept(lab);
    // Before bothy said anything: the files were there when the network's daemon began.
    let times = lab.sh("cat /proc/uptime; stat -c %Y /run/systemd/network/20-bothy-*; date -d \"$(systemctl show -p ActiveEnterTimestamp --value systemd-networkd)\" +%s");
    let numbers: Vec<f64> = times.lines().filter_map(|l| l.split(' ').next()?.parse().ok()).collect();
    let (daemon, files) = (numbers[numbers.len() - 1], &numbers[1..numbers.len() - 1]);
    assert!(files.len() == 4 && files.iter().all(|f| *f <= daemon), "{times}");
}

/// The lease, the VLAN, and nothing at all on the port that is not named.
fn kept(lab: &mut Lab) {
    let (port, other) = (name_of(lab, PF_MACS[0]), name_of(lab, PF_MACS[1]));
    lab.eventually("the kept network", SOON, "ip -br -4 addr", |said| {
        said.lines().any(|l| l.starts_with(&format!("{port} ")) && l.contains(LEASE))
            && said.lines().any(|l| l.contains(".42") && l.contains(VLAN))
    });
    let all = addresses(lab);
    assert!(!all.lines().any(|l| l.starts_with(&format!("{other} ")) && l.contains(LEASE)), "{all}");
    let said = lab.sh("bothy host network --json");
    assert!(said.contains("\"KEPT\""), "{said}");
}

fn the_serial_console_shows_the_boxs_page_and_no_login(lab: &mut Lab) {
    let fingerprint = lab.bothy(&["tls", "show"])["fingerprint"].as_str().expect("one").to_owned();
    for _ in 0..60 {
        if lab.console().contains(&fingerprint) {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    let console = lab.console();
    assert!(console.contains(&fingerprint) && console.contains("[n] network"), "its page");
    assert!(!console.contains(" login: "), "nobody is asked for a name");
    assert_eq!(lab.sh("systemctl is-active getty@tty1 serial-getty@ttyS0"), "active\nactive");
}
