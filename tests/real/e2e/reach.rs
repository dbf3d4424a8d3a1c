//! Whom a guest reaches and who reaches it: a lease, a line of two addresses, an address of its own, the uplink
//! and a port of the host; its first-boot data on a free ISO 9660 image as a cdrom, and on a FAT disk.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::kit::{
    self, Need,
    bothy::{NEEDS, build_edited, shipped, within},
    host::{Host, With, tiny_image},
    netns::Peer,
    scratch, sh,
};

/// Neither seed says anything of the first NIC, so the guest asks for a lease there.
const USER_DATA: &str = r#"#!/bin/sh
nic() {
    for dev in /sys/class/net/*; do
        [ "$(cat "$dev/address")" = "$1" ] && echo "${dev##*/}"
    done
}
take() {
    ip link set "$1" up
    ip address add "$2" dev "$1"
}
take "$(nic "{{ ports.lan.mac }}")" "{{ ports.lan.cidr }}"
take "$(nic "{{ ports.own.mac }}")" "{{ ports.own.cidr }}"
mkdir -p /var/www/cgi-bin
cat >/var/www/cgi-bin/tell <<'TELL'
#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n'
echo "I am $(hostname)"
ip -o -4 address
ping -c 1 -W 5 {{ params.neighbour }} >/dev/null && echo "neighbour answers"
echo "outside sees $(wget -q -T 5 -O - http://192.0.2.1/)"
TELL
chmod +x /var/www/cgi-bin/tell
httpd -h /var/www -p 80
"#;

/// The station with the tiny image and another kind of medium.
fn station(image: &std::path::Path, id: &str, medium: &str, neighbour: &str, own: Option<&str>) -> Vec<u8> {
    let file = "Definitions/station.yaml";
    let metadata = format!("{medium}\n        bothy.readiness: \"serial:bothy-tiny ready\"\n        bothy.readiness_timeout: \"180\"");
    let data = "        bothy.day0.medium: nocloud\n        bothy.day0.bus: disk";
    let seeds = format!(
        "            - source_path: ../Files/day0/user-data\n              destination_path: user-data\n              data: {{ neighbour: \"{neighbour}\" }}\n            - {{ content: \"local-hostname: {{{{ hostname }}}}\", destination_path: meta-data }}"
    );
    let old_seeds =
        "            source_path: ../Files/day0/user-data\n            destination_path: user-data\n            data: { greeting: hello }";
    let mut edits = vec![
        (file, LEFT, id),
        ("station.mf", LEFT, id),
        (file, data, metadata.as_str()),
        (file, old_seeds, seeds.as_str()),
        (file, "64 MiB", "128 MiB"),
        (file, "size_of_storage: 8 MiB", "size_of_storage: 32 MiB"),
        (file, "sector.img", "tiny.qcow2"),
        (file, "disk_format: raw", "disk_format: qcow2"),
        (file, "[ ethernet ], order: 1", "[ ethernet, ipv4 ], order: 1"),
        (file, "root: 1000000 }", "root: 1000000000 }"),
        ("Files/day0/user-data", "#!/bin/sh\necho {{ params.greeting }}\n", USER_DATA),
    ];
    let alone = own.map(|cidr| {
        format!(
            "          min_bitrate_requirements: {{ root: 0 }}\n          virtual_link_protocol_data:\n            - {{ associated_layer_protocol: ipv4, l3_protocol_data: {{ ip_version: ipv4, cidr: {cidr} }} }}"
        )
    });
    if let Some(l3) = &alone {
        edits.push((file, "          min_bitrate_requirements: { root: 0 }", l3));
        edits.push((
            file,
            "      metadata:\n        bothy.management: \"true\"\n      properties:\n        connectivity_type",
            "      properties:\n        connectivity_type",
        ));
    }
    build_edited(&shipped("tests/fixtures/packages/station"), &[("Files/images/tiny.qcow2", image)], &edits)
}

const LEFT: &str = "e2e00001-0000-4000-8000-000000000001";
const RIGHT: &str = "e2e00002-0000-4000-8000-000000000001";

/// The pair, of two kinds of station and with a network of two addresses between them.
fn service() -> Vec<u8> {
    let file = "Definitions/pair.yaml";
    let old = "connectivity_type: { layer_protocols: [ ethernet ] }\n        vl_profile:\n          max_bitrate_requirements: { root: 1000000 }\n          min_bitrate_requirements: { root: 0 }";
    let line = "connectivity_type: { layer_protocols: [ ethernet, ipv4 ] }\n        vl_profile:\n          max_bitrate_requirements: { root: 1000000000 }\n          min_bitrate_requirements: { root: 0 }\n          virtual_link_protocol_data:\n            - associated_layer_protocol: ipv4\n              l3_protocol_data: { ip_version: ipv4, cidr: 10.20.1.0/31 }";
    let right = format!(
        "    right:\n      type: example.nodes.Station\n      metadata:\n        bothy.address.lan_link: \"10.20.1.1\"\n      properties:\n        <<: *station\n        descriptor_id: {RIGHT}\n"
    );
    let edits = [
        (file, old, line),
        (file, "root: 1000000 }", "root: 1000000000 }"),
        (
            file,
            "        bothy.address.mgmt_link: \"10.20.0.10\"\n",
            "        bothy.address.mgmt_link: \"10.20.0.10\"\n        bothy.address.lan_link: \"10.20.1.0\"\n",
        ),
        (file, "    right:\n      type: example.nodes.Station\n      properties: *station\n", right.as_str()),
    ];
    build_edited(&shipped("tests/fixtures/packages/pair"), &[], &edits)
}

#[test]
fn guests_take_leases_and_reach_each_other_the_uplink_and_whoever_comes_by_the_hosts_port() {
    if kit::lacks(&NEEDS) || kit::lacks(&[Need::Program("busybox")]) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    // Somebody outside who knows no way back to the guests, and tells who came.
    let outside = Peer::new();
    host.inside(|| {
        outside.connect("up0", "eth0", None, &["192.0.2.1/24"]);
        sh(&["ip", "address", "add", "192.0.2.2/24", "dev", "up0"]);
    });
    let door = outside.run(|| TcpListener::bind("192.0.2.1:80").expect("bind"));
    std::thread::spawn(move || {
        for mut guest in door.incoming().flatten() {
            let from = guest.peer_addr().map(|a| a.ip().to_string()).unwrap_or_default();
            let _ = guest.read(&mut [0; 1024]);
            let _ = write!(guest, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{from}", from.len());
        }
    });

    let folder = scratch();
    let iso = "        bothy.day0.medium: iso\n        bothy.day0.bus: cdrom\n        bothy.day0.label: cidata";
    let fat = "        bothy.day0.medium: fat\n        bothy.day0.bus: disk\n        bothy.day0.label: CIDATA";
    for (name, archive) in [
        ("left.csar", station(image.as_std_path(), LEFT, iso, "10.20.1.1", Some("10.30.0.9/32"))),
        ("right.csar", station(image.as_std_path(), RIGHT, fat, "10.20.1.0", None)),
        ("pair.csar", service()),
    ] {
        std::fs::write(folder.path().join(name), archive).expect("written");
    }
    host.serve();
    host.reconciled();
    let folder = folder.path().display().to_string();
    host.cli(&["up", &folder, "--name", "reach", "--timeout", "400"]);

    let ns: serde_json::Value = serde_json::from_str(&host.cli(&["--json", "ns", "show", "reach"])).expect("JSON");
    let leases: Vec<String> = ns["vnfInstance"]
        .as_array()
        .expect("VNFs")
        .iter()
        .map(|v| {
            let guest = &v["instantiatedVnfInfo"]["vnfcResourceInfo"][0]["vnfcCpInfo"][0]["cpProtocolInfo"][0]["ipOverEthernet"];
            guest["ipAddresses"][0]["addresses"][0].as_str().unwrap_or_else(|| panic!("no address in {v:#}")).to_owned()
        })
        .collect();
    assert_eq!(leases.len(), 2, "{ns:#}");
    // Served at the planned address: the guest has no other word of it than its lease.
    for (lease, line) in leases.iter().zip(["10.20.1.0/31", "10.20.1.1/31"]) {
        let told = within("the guest tells what it has", Duration::from_secs(120), || {
            host.fetch(&format!("{lease}:80"), "/cgi-bin/tell").filter(|t| t.contains("neighbour answers"))
        });
        for want in [format!("inet {lease}/24"), format!("inet {line}"), "outside sees 192.0.2.2".to_owned()] {
            assert!(told.contains(&want), "{want} is missing in\n{told}");
        }
        assert_eq!(told.contains("inet 10.30.0.9/32"), line == "10.20.1.0/31", "{told}");
    }
    let came = outside.run(|| {
        let mut s = TcpStream::connect_timeout(&"192.0.2.2:8080".parse().expect("address"), Duration::from_secs(10)).expect("forwarded");
        s.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
        s.write_all(b"GET /cgi-bin/tell HTTP/1.0\r\n\r\n").expect("asked");
        let mut all = String::new();
        s.read_to_string(&mut all).expect("answered");
        all
    });
    assert!(came.contains("inet 10.20.0.10/24"), "{came}");

    host.cli(&["down", "reach", "--force", "--purge"]);
    host.inside(|| sh(&["ip", "link", "del", "up0"]));
    host.nothing_left();
}
