//! Statistics of a real guest: CPU that it used, and bytes that were sent to it, from libvirt to the report.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    time::Duration,
};

use serde_json::{Value, json};

use crate::kit::{
    self,
    bothy::{NEEDS, shipped, text},
    host::{Host, With, tiny_image},
};

/// Answers 204 to each request, on the host's own loopback; what was POSTed.
fn listener(host: &Host) -> (String, mpsc::Receiver<Value>) {
    let listener = host.inside(|| TcpListener::bind("127.0.0.1:0").expect("bound"));
    let uri = format!("http://{}/pm", listener.local_addr().expect("address"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut s) = stream else { return };
            let tell = tell.clone();
            std::thread::spawn(move || {
                let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
                // One request after the other on a connection that is kept.
                while let Ok(n @ 1..) = s.read(&mut buffer) {
                    all.extend_from_slice(&buffer[..n]);
                    let text = String::from_utf8_lossy(&all).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
                    if body.len() < length.unwrap_or(0) {
                        continue;
                    }
                    if head.starts_with("POST") {
                        let _ = tell.send(serde_json::from_str(body).unwrap_or(Value::Null));
                    }
                    all.clear();
                    let _ = s.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                }
            });
        }
    });
    (uri, told)
}

/// Sum of a metric over a report.
fn sum(report: &Value, metric: &str) -> f64 {
    let of_it = report["entries"].as_array().into_iter().flatten().filter(|e| e["performanceMetric"] == metric);
    of_it.flat_map(|e| e["performanceValues"].as_array().into_iter().flatten()).filter_map(|v| v["value"].as_f64()).sum()
}

#[test]
fn what_a_guest_uses_and_is_sent_is_in_its_reports() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let images = image.parent().expect("a folder").as_str();
    let folder = shipped("descriptors/vcpe").display().to_string();
    let mut host = Host::start(With::Switch);
    host.serve();
    host.reconciled();
    host.cli(&["up", &folder, "--images", images, "--name", "home", "--timeout", "300"]);
    let all = host.get("/vnflcm/v2/vnf_instances");
    let web = all.as_array().expect("a list").iter().find(|v| text(v, "vnfInstanceName").contains("web")).expect("the web server");
    let (uri, told) = listener(&host);
    let (collection, reporting) = (4, 4);
    let ask = json!({
        "objectType": "Vnf", "objectInstanceIds": [web["id"]], "callbackUri": uri,
        "criteria": {
            "performanceMetric": ["VcpuUsageMeanVnf", "VmemoryUsageMeanVnf", "VdiskUsageMeanVnf", "ByteIncomingVnfExtCp", "PacketIncomingVnfExtCp"],
            "collectionPeriod": collection, "reportingPeriod": reporting
        }
    });
    let job = host.post("/vnfpm/v2/pm_jobs", &ask).expect(201).location.expect("a place");
    let next = |host: &Host| -> Value {
        let n = told.recv_timeout(Duration::from_secs(60)).expect("told");
        assert_eq!(text(&n, "notificationType"), "PerformanceInformationAvailableNotification");
        let href = n["_links"]["performanceReport"]["href"].as_str().expect("a link");
        host.get(&href[href.find("/vnfpm").expect("its path")..])
    };
    // The first reading is over with the first report: what is sent now is in the next ones.
    let before = next(&host);
    let (packets, size) = (200u64, 1000u64);
    host.inside(move || {
        let s = UdpSocket::bind("0.0.0.0:0").expect("bound");
        for _ in 0..packets {
            s.send_to(&vec![7; size as usize], "10.10.0.12:9").expect("sent");
            // Slower than the link's rate and the guest, which is emulated.
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let reports = [next(&host), next(&host)];
    let over = |metric: &str| reports.iter().map(|r| sum(r, metric)).sum::<f64>();
    let on_the_wire = (packets * (size + 8 + 20 + 14)) as f64;
    let (bytes, frames) = (over("ByteIncomingVnfExtCp"), over("PacketIncomingVnfExtCp"));
    println!("sent {packets} packets, {on_the_wire} bytes; reported {frames} packets, {bytes} bytes; idle before: {before}");
    // Besides them there are a few of ARP and IPv6's own.
    assert!(frames >= packets as f64 && frames < packets as f64 + 100.0, "{reports:?}");
    assert!(bytes >= on_the_wire && bytes < on_the_wire + 20_000.0, "{reports:?}");
    for r in &reports {
        let (cpu, memory) = (sum(r, "VcpuUsageMeanVnf"), sum(r, "VmemoryUsageMeanVnf"));
        println!("CPU {cpu} %, memory {memory} %, disk {} %", sum(r, "VdiskUsageMeanVnf"));
        assert!(cpu > 0.0 && cpu <= 100.0 && memory > 0.0 && memory <= 100.0, "{r}");
    }
    host.delete(&job);
    assert_eq!(host.get("/vnfpm/v2/pm_jobs"), json!([]));
    host.cli(&["down", "home", "--purge", "--timeout", "300"]);
    host.nothing_left();
}
