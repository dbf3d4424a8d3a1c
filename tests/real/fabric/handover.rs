//! Functions that know connections come into a running chain and leave it: those that were there keep their
//! way, new ones take the new way.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bothy::{
    model::chain::{Classifier, HopKind, IpProto, Ports},
    sdn::{
        chain::{Hop, SwitchChain},
        handover::TwoWays,
        link::SwitchLink,
        port::Fabric,
    },
};

use super::{function::*, lab::*};
use crate::kit::{eventually, sh};

const CONNECTIONS: usize = 40;

/// The chain by new functions, while connections that are there stay by `old`.
fn between(old: &SwitchChain, new: &SwitchChain, mark: u32, noting: bool) -> SwitchChain {
    let handover = TwoWays { classifiers: old.classifiers.clone(), hops: old.hops.clone(), mark, noting };
    let way = if noting { old } else { new };
    SwitchChain { handover: Some(handover), ..way.clone() }
}
fn by(hops: &[&Hop], classifiers: &[Classifier]) -> SwitchChain {
    SwitchChain { classifiers: classifiers.to_vec(), ..chain(1, tcp(80), hops.iter().map(|h| (*h).clone()).collect()) }
}

/// Connections that talk for as long as they live.
struct Load {
    over: Arc<AtomicBool>,
    echoes: Arc<AtomicU64>,
    ports: BTreeSet<u16>,
    talking: Vec<std::thread::JoinHandle<bool>>,
}

impl Load {
    fn start(client: &Guest, web: &Guest) -> Load {
        let (over, echoes_made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let all: Vec<TcpStream> = (0..CONNECTIONS).map(|_| dial_now(client, web, 80).expect("a connection")).collect();
        let ports = all.iter().map(|s| s.local_addr().expect("address").port()).collect();
        let talk = |mut s: TcpStream| {
            let (over, made) = (over.clone(), echoes_made.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    if !echoes(&mut s) {
                        return false;
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                }
                echoes(&mut s)
            })
        };
        let talking = all.into_iter().map(talk).collect();
        Load { over, echoes: echoes_made, ports, talking }
    }
    /// All of them have said something since.
    fn goes_on(&self) {
        let before = self.echoes.load(Ordering::SeqCst);
        eventually("the load goes on", || self.echoes.load(Ordering::SeqCst) > before + 3 * CONNECTIONS as u64);
    }
    /// How many live.
    fn end(self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        self.talking.into_iter().map(|t| t.join().expect("a connection's thread")).filter(|alive| *alive).count()
    }
}

/// Answers as `serve` does, and writes down which address each connection is from.
fn serve_noting(at: &Guest, port: u16) -> Arc<Mutex<Vec<IpAddr>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let listener = at.peer.run(|| TcpListener::bind(("0.0.0.0", port)).expect("listen"));
    let to = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut s) = stream else { return };
            to.lock().expect("lock").push(s.peer_addr().expect("address").ip());
            std::thread::spawn(move || {
                use std::io::{Read, Write};
                let mut buf = [0u8; 2048];
                while let Ok(n @ 1..) = s.read(&mut buf) {
                    if s.write_all(&buf[..n]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    seen
}

/// A router that puts its own address in place of the sender's.
fn nat(lab: &Lab, port: u128, vlan: u16) -> Function {
    let f = Function::router(lab, port, vlan);
    f.peer.run(|| {
        sh(&["nft", "add", "table", "ip", "n"]);
        sh(&["nft", "add", "chain", "ip", "n", "p", "{ type nat hook postrouting priority 100 ; }"]);
        sh(&["nft", "add rule ip n p ip saddr 10.0.0.0/8 masquerade"]);
    });
    f
}

fn with_router(router: u128) -> SwitchLink {
    let mut l = link_with_wires(1, 7, &[1, 2], &[11, 12, 13, 14]);
    l.ports.extend(link(1, 7, &[router]).ports);
    l
}

/// The ports of connections that passed a function since `note`, both ways.
fn passed(f: &Function) -> BTreeSet<u16> {
    let [there, back] = f.noted();
    there.union(&back).copied().collect()
}

#[test]
fn a_stateful_function_comes_under_load_and_sees_no_connection_from_its_middle() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12, 13, 14])).expect("link");
    let (plain, fw) = (Function::wire(&lab, 11, 12, 7), Function::wire(&lab, 13, 14, 7));
    serve(&web, &[80]);
    let [a, s] = [hop("a", HopKind::Transparent, &[(11, 12)]), hop("s", HopKind::Stateful, &[(13, 14)])];
    let traffic = [tcp(80), ping(bothy::model::chain::Family::Ipv4)];
    let (without, with) = (by(&[&a], &traffic), by(&[&s, &a], &traffic));
    lab.fabric.ensure_chain(&without).expect("chain");
    plain.watch("tcp dport 80");
    assert!(soon(true, || connects(&client, &web, 80) && plain.seen() > 0));
    client.settle();
    let one_way = lab.flows();
    assert!(one_way.iter().all(|f| !f.contains("ct(")), "nothing is tracked while there is one way");

    let load = Load::start(&client, &web);
    let mut later = Vec::new();
    let (sent, lost, gap) = stream_while(&client, &web, || {
        lab.fabric.ensure_chain(&between(&without, &with, 10, true)).expect("noting");
        std::thread::sleep(Duration::from_millis(1500));
        fw.note(80);
        lab.fabric.ensure_chain(&between(&without, &with, 10, false)).expect("draining");
        client.settle();
        load.goes_on();
        later.extend((0..10).map(|_| dial_now(&client, &web, 80).expect("a new connection")));
        assert!(later.iter_mut().all(echoes), "new ones live");
        load.goes_on();
        let new: BTreeSet<u16> = later.iter().map(|s| s.local_addr().expect("address").port()).collect();
        assert_eq!(passed(&fw), new, "new connections pass it, there and back, and none that was there does");
        let kept = || lab.fabric.chain_state(with.id).expect("state").kept.packets;
        eventually("what keeps its way is counted", || kept() > 2 * CONNECTIONS as u64);

        // Another bothy finds it so and changes nothing.
        let flows = lab.flows();
        let next = another(&lab.ovs, &[]);
        next.ensure_ready().expect("ready");
        next.ensure_chain(&between(&without, &with, 10, false)).expect("the same");
        assert_eq!(lab.flows(), flows);
        drop(next);
        load.goes_on();

        // Their time is up: what knows nothing of them lets them pass here.
        lab.fabric.ensure_chain(&with).expect("one way");
        client.settle();
        load.goes_on();
        assert!(load.ports.is_subset(&passed(&fw)), "all pass it now");
        assert!(lab.flows().iter().all(|f| !f.contains("ct(") && !f.contains("ct_")), "and nothing is tracked any more");
    });
    assert!(later.iter_mut().all(echoes));
    let living = load.end();
    eprintln!(
        "a stateful function put in under load: {living} of {CONNECTIONS} connections live, {lost} of {sent} packets lost, at most {} ms of silence",
        gap.as_millis()
    );
    assert_eq!(living, CONNECTIONS);
}

#[test]
fn a_nat_comes_into_a_chain_and_leaves_it_and_every_connection_lives_on() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&with_router(21)).expect("link");
    let (fw, router) = (Function::wire(&lab, 11, 12, 7), nat(&lab, 21, 7));
    // The router is met behind it and before it at one time (`nfvo::way` warns of that).
    fw.forgets();
    let seen = serve_noting(&web, 80);
    let [f, n] = [hop("fw", HopKind::Stateful, &[(11, 12)]), hop("nat", HopKind::Routed, &[(21, 21)])];
    let from = |who: &str| who.parse::<IpAddr>().expect("address");
    let mut now = by(&[&f], &[tcp(80)]);
    lab.fabric.ensure_chain(&now).expect("chain");
    assert!(soon(true, || connects(&client, &web, 80)));
    client.settle();
    let mut loads = Vec::new();
    for (n, (what, hops, who)) in [
        ("NAT put in", vec![&f, &n], "10.0.7.21"),
        ("NAT first", vec![&n, &f], "10.0.7.21"),
        ("NAT alone", vec![&n], "10.0.7.21"),
        ("NAT taken out", vec![&f], "10.0.7.1"),
        ("nothing", vec![], "10.0.7.1"),
        ("NAT again", vec![&n], "10.0.7.21"),
    ]
    .into_iter()
    .enumerate()
    {
        let load = Load::start(&client, &web);
        let (old_ports, next) = (load.ports.clone(), by(&hops, &[tcp(80)]));
        next.check().expect("a chain");
        [&fw, &router].iter().for_each(|f| f.note(80));
        load.goes_on();
        client.settle();
        let before = [&fw, &router].map(passed);
        lab.fabric.ensure_chain(&between(&now, &next, 10 + 2 * n as u32, false)).expect("between");
        client.settle();
        [&fw, &router].iter().for_each(|f| f.note(80));
        load.goes_on();
        seen.lock().expect("lock").clear();
        let mut later: Vec<TcpStream> = (0..10).map(|_| dial_now(&client, &web, 80).expect("a new connection")).collect();
        assert!(later.iter_mut().all(echoes), "{what}: new ones live");
        load.goes_on();
        assert_eq!(
            seen.lock().expect("lock").iter().collect::<BTreeSet<_>>(),
            BTreeSet::from([&from(who)]),
            "{what}: new ones by the new way"
        );
        let old_by = |all: &BTreeSet<u16>| all.intersection(&old_ports).count();
        let after = [&fw, &router].map(passed);
        // The port that a NAT gives is its own: those by it are told by what it sees of the client.
        assert_eq!(before.each_ref().map(old_by), after.each_ref().map(old_by), "{what}: those that were there are where they were");
        let living = load.end();
        eprintln!("{what}: {living} of {CONNECTIONS} old connections live");
        assert_eq!(living, CONNECTIONS, "{what}");
        loads.push(later);
        now = next;
        lab.fabric.ensure_chain(&now).expect("one way");
        client.settle();
    }
}

#[test]
fn what_is_not_tcp_keeps_its_way_where_it_was_heard_while_noted() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&with_router(21)).expect("link");
    let _router = nat(&lab, 21, 7);
    let n = hop("nat", HopKind::Routed, &[(21, 21)]);
    let udp = Classifier { id: "udp".into(), proto: Some(IpProto::UDP), dst_ports: Some(Ports::one(5000)), ..Classifier::default() };
    let (without, with) = (by(&[], std::slice::from_ref(&udp)), by(&[&n], std::slice::from_ref(&udp)));
    lab.fabric.ensure_chain(&without).expect("chain");
    assert!(client.reaches(&web));
    // Tells each sender its own address.
    let server = web.peer.run(|| UdpSocket::bind("0.0.0.0:5000").expect("bind"));
    std::thread::spawn(move || {
        let mut buf = [0u8; 64];
        while let Ok((_, from)) = server.recv_from(&mut buf) {
            let _ = server.send_to(from.ip().to_string().as_bytes(), from);
        }
    });
    let socket = || {
        let s = client.peer.run(|| UdpSocket::bind("0.0.0.0:0").expect("bind"));
        s.set_read_timeout(Some(Duration::from_secs(1))).expect("limit");
        s
    };
    let to: SocketAddr = format!("{}:5000", web.v4).parse().expect("address");
    let seen_as = |s: &UdpSocket| -> String {
        let mut buf = [0u8; 64];
        for _ in 0..3 {
            s.send_to(b"who", to).expect("sent");
            if let Ok((n, _)) = s.recv_from(&mut buf) {
                return String::from_utf8_lossy(&buf[..n]).into_owned();
            }
        }
        "nobody".into()
    };
    let (heard, silent) = (socket(), socket());
    assert_eq!([seen_as(&heard), seen_as(&silent)], ["10.0.7.1", "10.0.7.1"]);
    lab.fabric.ensure_chain(&between(&without, &with, 40, true)).expect("noting");
    client.settle();
    assert_eq!(seen_as(&heard), "10.0.7.1");
    lab.fabric.ensure_chain(&between(&without, &with, 40, false)).expect("draining");
    client.settle();
    let new = socket();
    for _ in 0..2 {
        assert_eq!([seen_as(&heard), seen_as(&silent), seen_as(&new)], ["10.0.7.1", "10.0.7.21", "10.0.7.21"]);
    }
    lab.fabric.ensure_chain(&with).expect("one way");
    client.settle();
    assert_eq!([seen_as(&heard), seen_as(&new)], ["10.0.7.21", "10.0.7.21"]);
    // What was known then is not taken for new the next time.
    lab.fabric.ensure_chain(&between(&with, &without, 50, true)).expect("noting");
    client.settle();
    assert_eq!(seen_as(&new), "10.0.7.21");
    lab.fabric.ensure_chain(&between(&with, &without, 50, false)).expect("draining");
    client.settle();
    assert_eq!([seen_as(&new), seen_as(&socket())], ["10.0.7.21", "10.0.7.1"]);
}
