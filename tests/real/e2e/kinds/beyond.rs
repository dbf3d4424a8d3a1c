//! What of a link is not its guests': its part in another box, through a tunnel, and whoever listens to it.

use std::time::Duration;

use super::{Guest, group};
use crate::{
    fabric::tunnel::{Site, under},
    kit::{bothy::within, host::Host, scratch, sh, utf8},
};

pub const CONFIG: &str = "[[tunnel]]\nname = \"hq\"\ntype = \"vxlan\"\nremotes = [\"192.0.2.2\"]\nlocal = \"192.0.2.1\"\n[reserve]\ndisk_mib = 64\nmemory_mib = 64\n";

/// Who is on the link `side` in the other box.
pub const FAR: &str = "10.40.4.102";
const WAIT: Duration = Duration::from_secs(60);

/// It has the VNI of `side`; its switch was set by hand.
pub fn another_box(host: &Host) -> Site {
    let db = format!("--db=unix:{}/ovs/db.sock", host.dir());
    host.inside(|| {
        under(&db, 1);
        let site = Site::start(&db, 2);
        site.leads_to(1, "vxlan", 60_000);
        site.peer.run(|| sh(&["ip", "address", "add", &format!("{FAR}/24"), "dev", "site"]));
        site
    })
}

/// A guest and a station of the other box are on one link, whoever speaks first, in packets as large as come through whole.
pub fn is_one_link(host: &Host, site: &Site, c: &Guest<'_>) {
    let near = c.on("side").remove(0);
    within("the other box reaches the guest", WAIT, || site.reaches(&near).then_some(()));
    c.shell.reaches(&[FAR], &[FAR]);
    assert_eq!(c.shell.number("cat /sys/class/net/eth1/mtu"), 1450, "the guest is told what fits");
    let large = format!("ping -q -c 1 -W 1 -s 1422 {FAR}");
    within("a packet of that size", WAIT, || c.shell.tries(&large).0.then_some(()));
    let said = site.peer.run(|| sh(&["ip", "-6", "-o", "address", "show", "dev", "site", "scope", "link"]));
    let own = said.split_whitespace().find(|w| w.starts_with("fe80:")).and_then(|a| a.split('/').next()).expect("an address");
    group(c, "eth1", &[own]);
    let shown = host.cli(&["net", "show", "side"]);
    assert!(shown.contains("tunnel: vxlan to 192.0.2.2, VNI 60000"), "{shown}");
}

/// What passes the line comes to whoever asks for it, there and back, as a file that Wireshark reads.
pub fn is_heard(host: &Host, a: &Guest<'_>, b: &Guest<'_>) {
    const PACKETS: &str = "8";
    let folder = scratch();
    let file = utf8(folder.path()).join("line.pcap");
    let (from, to) = (a.on("line").remove(0), b.on("line").remove(0));
    std::thread::scope(|s| {
        let args = ["net", "capture", "line", "--seconds", "60", "--packets", PACKETS, "--write", file.as_str()];
        let hearing = s.spawn(move || host.cli(&args));
        while !hearing.is_finished() {
            a.shell.tries(&format!("ping -q -c 4 -i 0.2 -W 1 {to}"));
        }
        hearing.join().expect("heard");
    });
    let all = std::fs::read(&file).expect("a file");
    let address = |text: &str| text.parse::<std::net::Ipv4Addr>().expect("IPv4").octets();
    let (mut rest, mut heard, mut pings) = (all.get(24..).expect("a head"), 0u32, [0u32; 2]);
    while let Some((head, after)) = rest.split_at_checked(16) {
        let kept = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (frame, after) = after.split_at_checked(kept).expect("whole frames");
        let is = |from: &str, to: &str| frame.get(26..34) == Some(&[address(from), address(to)].concat()[..]);
        if frame.get(12..14) == Some(&[8, 0]) && frame.get(23) == Some(&1) {
            pings[0] += u32::from(is(&from, &to));
            pings[1] += u32::from(is(&to, &from));
        }
        (heard, rest) = (heard + 1, after);
    }
    assert_eq!(heard.to_string(), PACKETS);
    assert!(pings.iter().all(|n| *n > 0), "there and back: {pings:?} of {heard}");
}
