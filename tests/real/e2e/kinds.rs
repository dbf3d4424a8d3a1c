//! Each kind of link between real guests, and what a guest that runs finds on another link: lines, trees, trunks, tags of
//! its own, port security, rates, neighbour discovery and multicast, and `change_ext_conn`.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

mod beyond;

use super::Pair;
use crate::kit::{
    self,
    bothy::{NEEDS, PATIENCE, text, within},
    host::{Host, With, tiny_image},
    shell::{Shell, addresses, guests, onboard, package, package_of_service, vnf},
};

const NSD: &str = "e2e00032-0000-4000-8000-000000000001";
const POST: &str = "e2e00021-0000-4000-8000-000000000001";
/// The visitor's NIC comes to a link that carries 1450 bytes, too.
const SMALL_NIC: (&str, &str, &str) = (
    "Definitions/post.yaml",
    "    lan:\n      type: tosca.nodes.nfv.VduCp\n",
    "    lan:\n      type: tosca.nodes.nfv.VduCp\n      metadata: { bothy.mtu: \"1450\" }\n",
);
const NSD_FILE: &str = "Definitions/kinds.yaml";

/// One of the three guests: its shell, and where its connection points are.
struct Guest<'h> {
    shell: Shell<'h>,
    info: Value,
    name: &'static str,
}

impl<'h> Guest<'h> {
    fn of(host: &'h Host, trio: &Value, name: &'static str) -> Guest<'h> {
        let info = guests(trio, name)[0].clone();
        let shell = Shell::at(host, &addresses(&info, &format!("{name}_mgmt"))[0]);
        Guest { shell, info, name }
    }
    /// Its addresses there, IPv4 first.
    fn on(&self, link: &str) -> Vec<String> {
        addresses(&self.info, &format!("{}_{link}", self.name))
    }
}

#[test]
fn guests_reach_each_other_as_the_kinds_of_their_links_say() {
    if kit::lacks(&NEEDS) {
        return;
    }
    let Some(image) = tiny_image() else { return };
    let mut host = Host::start(With::Switch);
    let away = beyond::another_box(&host);
    host.serve_with(beyond::CONFIG);
    host.reconciled();
    onboard(&host, image.as_std_path(), &["trio"], "kinds");
    let (_, visitors) = host.onboard(false, &package(image.as_std_path(), "post", &[SMALL_NIC]));
    assert_eq!(text(&visitors, "onboardingState"), "ONBOARDED", "{visitors:#}");
    a_third_end_of_a_line_is_refused(&host);
    let began = Instant::now();
    let ns = Pair::of(&host, NSD, "kinds");
    let up = ns.instantiate(&host);
    let visitor = Visitor::up(&host);
    host.completed(&up);
    let trio = vnf(&host, "kinds-trio");
    let [a, b, c] = ["a", "b", "c"].map(|n| Guest::of(&host, &trio, n));
    println!("four guests are up after {:.0?}", began.elapsed());

    for (what, part) in [
        ("line", &line as &dyn Fn(&Guest<'_>, &Guest<'_>, &Guest<'_>)),
        ("tree", &tree),
        ("the host", &the_host),
        ("trunk and tags", &tags),
        ("neighbours and groups", &neighbours),
        ("port security", &security),
        ("rates", &rates),
        ("another box", &|_, _, c| beyond::is_one_link(&host, &away, c)),
        ("capture", &|a, b, _| beyond::is_heard(&host, a, b)),
    ] {
        let began = Instant::now();
        part(&a, &b, &c);
        println!("{what}: {:.1?}", began.elapsed());
    }
    let began = Instant::now();
    visitor.goes_round(&host, &a, &b, &c);
    println!("another link for a guest that runs: {:.1?}", began.elapsed());

    let down = ns.terminate(&host);
    visitor.down(&host);
    host.completed(&down);
    host.delete(&ns.path);
    drop(away);
    host.tell("run ovs-vsctl del-br under");
    host.nothing_left();
}

fn a_third_end_of_a_line_is_refused(host: &Host) {
    const OTHER: &str = "e2e00033-0000-4000-8000-000000000001";
    let edits = [(NSD_FILE, NSD, OTHER), (NSD_FILE, "- side_c: side", "- side_c: line")];
    let (_, nsd) = host.onboard(true, &package_of_service("kinds", &edits));
    assert_eq!(text(&nsd, "nsdOnboardingState"), "ONBOARDED", "{nsd:#}");
    let ns = Pair::of(host, OTHER, "three");
    let refused = host.post(&ns.instantiation(), &super::instantiate_request());
    let why = String::from_utf8_lossy(&refused.body).into_owned();
    assert!((400..500).contains(&refused.status) && why.contains("joins exactly two ports, and has 3"), "{} {why}", refused.status);
    host.delete(&ns.path);
}

/// Two ends, each the other's.
fn line(a: &Guest<'_>, b: &Guest<'_>, c: &Guest<'_>) {
    let (at_a, at_b) = (a.on("line"), b.on("line"));
    let [to_a, to_b] = [&at_a, &at_b].map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((to_a.len(), to_b.len()), (2, 2), "IPv4 and IPv6");
    a.shell.reaches(&to_b, &to_b);
    b.shell.reaches(&to_a, &to_a);
    // A third guest takes an address of the line on the link that it is on.
    c.shell.says("ip addr add 10.40.1.99/24 dev eth1");
    c.shell.reaches(&[&at_a[0], &at_b[0]], &[]);
    c.shell.says("ip addr del 10.40.1.99/24 dev eth1");
}

/// Leaves reach their root and not each other, both ways, in unicast and in multicast.
fn tree(a: &Guest<'_>, b: &Guest<'_>, c: &Guest<'_>) {
    let all: Vec<Vec<String>> = [a, b, c].iter().map(|g| g.on("tree")).collect();
    let [root, one, other] = [0, 1, 2].map(|n| all[n].iter().map(String::as_str).collect::<Vec<_>>());
    let leaves = [one.clone(), other.clone()].concat();
    a.shell.reaches(&leaves, &leaves);
    b.shell.reaches(&[root.clone(), other].concat(), &root);
    c.shell.reaches(&[root.clone(), one].concat(), &root);
    let [root, leaf, sister] = [a, b, c].map(|g| g.shell.link_local("eth2"));
    let answer = group(b, "eth2", &[&root]);
    assert!(!answer.contains(&sister), "{answer}");
    group(a, "eth2", &[&leaf, &sister]);
}

/// The host is there where it has an end on the link, and by no guest's own interface besides.
fn the_host(a: &Guest<'_>, _: &Guest<'_>, _: &Guest<'_>) {
    let own = a.shell.says("ip -4 route show dev eth0 | grep -o '^[0-9.]*'");
    let host = format!("{}.1", own.trim().rsplit_once('.').expect("a network").0);
    a.shell.reaches(&[&host], &[&host]);
    for nic in ["eth1", "eth3"] {
        let asked = a.shell.tries(&format!("arping -f -c 2 -w 2 -I {nic} {host}")).1;
        assert!(asked.contains("Received 0 response"), "{nic}: {asked}");
        // What libvirt's end of the NIC would have for an address: its MAC is the guest's, and begins with fe.
        let end = a.shell.link_local(nic).replacen("fe80::50", "fe80::fc", 1);
        assert!(!a.shell.tries(&format!("ping6 -c 2 -W 1 -I {nic} {end}")).0, "{nic}: {end} answers");
    }
}

/// All nodes on a link are asked until these have answered; what was printed then.
fn group(of: &Guest<'_>, nic: &str, those: &[&str]) -> String {
    asked(of, &format!("ping6 -c 3 -W 2 -I {nic} ff02::1"), those)
}
fn asked(of: &Guest<'_>, how: &str, those: &[&str]) -> String {
    within(&format!("{those:?} answer {how}"), Duration::from_secs(40), || {
        let said = of.shell.tries(how).1;
        those.iter().all(|t| said.contains(t)).then_some(said)
    })
}

/// A trunk's tag is a link of its own, tags of a transparent link pass as they are, and a trunk that names some of these
/// carries no others.
fn tags(a: &Guest<'_>, b: &Guest<'_>, c: &Guest<'_>) {
    let voice = a.on("voice");
    for (g, n) in [(a, 1), (b, 2), (c, 3)] {
        // What the descriptor knows of is there from the first boot on.
        let vlan = |tag: u16, at: &str| {
            let add = format!("[ -e /sys/class/net/eth4.{tag} ] || ip link add link eth4 name eth4.{tag} type vlan id {tag}");
            format!("{add}; ip link set eth4.{tag} up && ip addr add {at} dev eth4.{tag}")
        };
        let mut script = vec!["ip link set eth4 up".to_owned(), format!("ip addr add 10.40.7.{n}/24 dev eth4")];
        script.extend([5, 6].map(|tag| vlan(tag, &format!("10.40.{tag}.{n}/24"))));
        // Tag 10 is the link `voice` to one of them, and a tag as any other to the rest.
        script.push(vlan(10, &format!("10.40.8.{n}/24")));
        g.shell.says(&format!("set -e; {}", script.join("; ")));
    }

    let far = b.on("voice");
    let [near, far] = [&voice, &far].map(|all| all.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((near.len(), far.len()), (2, 2), "IPv4 and IPv6");
    a.shell.reaches(&far, &far);
    b.shell.reaches(&near, &near);
    let [untagged, five, six, ten] = ["10.40.7", "10.40.5", "10.40.6", "10.40.8"].map(|net| move |n: u8| format!("{net}.{n}"));
    let of = |n: u8| [untagged(n), five(n), six(n), ten(n)];
    let check = |from: &Guest<'_>, to: u8, wanted: &[String]| {
        let all = of(to);
        let [all, wanted] = [&all[..], wanted].map(|s| s.iter().map(String::as_str).collect::<Vec<_>>());
        from.shell.reaches(&all, &wanted);
    };
    check(a, 2, &[untagged(2), five(2), six(2)]);
    check(b, 1, &[untagged(1), five(1), six(1)]);
    check(a, 3, &[untagged(3), five(3)]);
    check(c, 1, &[untagged(1), five(1)]);
    check(c, 2, &[untagged(2), five(2)]);
}

/// Neighbour discovery from nothing, by planned addresses and by those of the link, and groups of both families.
fn neighbours(a: &Guest<'_>, b: &Guest<'_>, c: &Guest<'_>) {
    for g in [a, b, c] {
        g.shell.says("for f in -4 -6; do ip $f neigh flush dev eth3; done; ip route add 224.0.0.0/4 dev eth3");
    }
    let others = [b.on("lan"), c.on("lan")].concat();
    assert_eq!(others.len(), 4);
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    a.shell.reaches(&others, &others);
    let known = a.shell.says("ip -6 neigh show dev eth3");
    assert!(known.contains(&b.on("lan")[1]) && known.contains(&c.on("lan")[1]), "{known}");
    let [near, far] = [b, c].map(|g| g.shell.link_local("eth3"));
    group(a, "eth3", &[&near, &far]);
    asked(a, "ping -c 3 -W 2 224.0.0.1", &[&b.on("lan")[0], &c.on("lan")[0]]);
}

/// A guest that takes other addresses than its own is not heard, unless port security is off.
fn security(a: &Guest<'_>, b: &Guest<'_>, c: &Guest<'_>) {
    let to = b.on("lan");
    let (four, six) = (to[0].as_str(), to[1].as_str());
    for (g, n, free) in [(a, 98, false), (c, 99, true)] {
        let own = g.on("lan");
        let mac = g.shell.says("cat /sys/class/net/eth3/address").trim().to_owned();
        let heard = |what: &str, from: &str, to: &str, free: bool| {
            let hears = || !g.shell.hears(&[to], Some(from)).is_empty();
            match free {
                true => within(&format!("{}: {what}", g.name), Duration::from_secs(40), || hears().then_some(())),
                false => assert!(!hears(), "{}: {what}", g.name),
            }
        };
        g.shell.says(&format!("ip addr add 10.40.3.{n}/24 dev eth3; ip -6 addr add fd10:40:3::{n}/64 dev eth3"));
        for (own, to) in own.iter().zip([four, six]) {
            heard("as itself", own, to, true);
        }
        heard("another IPv4 address", &format!("10.40.3.{n}"), four, free);
        heard("another IPv6 address", &format!("fd10:40:3::{n}"), six, free);
        // The neighbour must not have learned the way to them either.
        let learned = b.shell.says("ip neigh show dev eth3");
        let of_it = |l: &str| l.starts_with(&format!("10.40.3.{n} ")) && l.contains("lladdr");
        assert_eq!(learned.lines().any(of_it), free, "{learned}");
        g.shell.says("ip link set eth3 down; ip link set eth3 address 52:54:00:aa:bb:cc; ip link set eth3 up");
        b.shell.says(&format!("ip neigh flush dev eth3; ping -c 1 -W 1 {} >/dev/null 2>&1; true", own[0]));
        heard("another MAC address", &own[0], four, free);
        g.shell.says(&format!(
            "ip link set eth3 down; ip link set eth3 address {mac}; ip link set eth3 up; ip addr del 10.40.3.{n}/24 dev eth3"
        ));
        b.shell.says("ip neigh flush dev eth3");
        g.shell.reaches(&[four], &[four]);
    }
}

/// What a guest can send at most, where its connection point or its link says so.
fn rates(a: &Guest<'_>, b: &Guest<'_>, _: &Guest<'_>) {
    const RATE: f64 = 2e6;
    const BYTES: u64 = 512 << 10;
    // Seconds on the sender's clock until the receiver has all of it and has said so.
    let send = |from: &Guest<'_>, to: &Guest<'_>, at: &str| -> f64 {
        to.shell.says("nc -l -p 9 -e sh -c 'cat >/tmp/got' </dev/null >/dev/null 2>&1 & while ! netstat -ltn | grep -q ':9 '; do :; done");
        // What is lost on the way comes again after a while, and on a busy host that may take longer than a script has.
        from.shell.says(&format!(
            "rm -f /tmp/took; (read began _ </proc/uptime; dd if=/dev/zero bs=1024 count={} | nc {at} 9; read ended _ </proc/uptime; \
             echo $began $ended >/tmp/took) </dev/null >/dev/null 2>&1 &",
            BYTES >> 10
        ));
        let took = within("it is sent", PATIENCE, || {
            let (is_there, took) = from.shell.tries("sleep 0.5; cat /tmp/took");
            Some(took).filter(|t| is_there && t.split_whitespace().count() == 2)
        });
        assert_eq!(to.shell.number("wc -c </tmp/got"), BYTES, "all of it");
        let at: Vec<f64> = took.split_whitespace().filter_map(|t| t.parse().ok()).collect();
        at[1] - at[0]
    };
    let bits = (BYTES * 8) as f64;
    let most = |seconds: f64| (RATE * seconds + RATE / 10.0) * 1.1;
    for (what, from, to, at) in [("line", a, b, b.on("line")), ("line, back", b, a, a.on("line")), ("a port of the LAN", a, b, b.on("lan"))]
    {
        let took = send(from, to, &at[0]);
        println!("  {what}: {:.2} Mbit/s of {:.0}", bits / took / 1e6, RATE / 1e6);
        assert!(bits <= most(took), "{what}: {bits} bits in {took} s");
    }
    // A machine that is busy with others is slow by itself, and not each time.
    let free = within("it is faster without a limit", Duration::from_secs(120), || {
        Some(send(b, a, &a.on("lan")[0])).filter(|took| bits > most(*took))
    });
    println!("  without a limit: {:.2} Mbit/s", bits / free / 1e6);
}

/// A VNF of its own, with one NIC that comes to links of the service.
struct Visitor {
    path: String,
}

impl Visitor {
    fn up(host: &Host) -> Visitor {
        let ask = json!({ "vnfdId": POST, "vnfInstanceName": "visitor" });
        let path = format!("/vnflcm/v2/vnf_instances/{}", text(&host.post("/vnflcm/v2/vnf_instances", &ask).expect(201).json(), "id"));
        let op = host.post(&format!("{path}/instantiate"), &json!({ "flavourId": "default" })).expect(202).location.expect("op");
        host.completed(&op);
        Visitor { path }
    }
    fn info(&self, host: &Host) -> Value {
        guests(&host.get(&self.path), "post")[0].clone()
    }

    fn goes_round(&self, host: &Host, a: &Guest<'_>, b: &Guest<'_>, c: &Guest<'_>) {
        let first = self.info(host);
        let shell = Shell::at(host, &addresses(&first, "mgmt")[0]);
        let connect = |link: &str| host.cli(&["vnf", "connect", "visitor", "lan", "--link", link]);
        let lease = || shell.says("udhcpc -n -q -t 10 -T 1 -i eth1 -s /etc/udhcpc.script >/dev/null 2>&1; ip -4 addr show dev eth1");
        let (root, leaf, side) = (a.on("tree")[0].clone(), b.on("tree")[0].clone(), c.on("side")[0].clone());
        let all = [root.as_str(), &leaf, &side, beyond::FAR];
        let boot = shell.says("cat /proc/sys/kernel/random/boot_id");

        shell.reaches(&all, &[]);
        // A part of the link `side` is in another box.
        let on_side = [side.as_str(), beyond::FAR];
        for (link, there) in [("tree", &all[..1]), ("side", &on_side)] {
            connect(link);
            let at = addresses(&self.info(host), "lan")[0].clone();
            within(&format!("{at} is what it is leased"), Duration::from_secs(120), || lease().contains(&format!("{at}/24")).then_some(()));
            shell.reaches(&all, there);
            let [there, elsewhere] = if link == "tree" { [a, c] } else { [c, a] };
            there.shell.reaches(&[&at], &[&at]);
            assert!(elsewhere.shell.hears(&[&at], None).is_empty(), "{link}: {at} is heard by {}", elsewhere.name);
        }
        // No third end of a line, and it stays where it is.
        let (ok, said) = host.try_cli(&["vnf", "connect", "visitor", "lan", "--link", "line"]);
        assert!(!ok && said.contains("joins exactly two ports"), "{said}");
        shell.reaches(&all, &on_side);
        let now = self.info(host);
        assert_eq!((&now["id"], &now["computeResource"]), (&first["id"], &first["computeResource"]), "the same guest");
        assert_eq!(shell.says("cat /proc/sys/kernel/random/boot_id"), boot, "which has run all the while");

        // Its next boot is on that link too.
        host.cli(&["vnf", "reboot", "visitor", "--hard"]);
        within("another boot", Duration::from_secs(120), || {
            let (ok, id) = Shell::at(host, &addresses(&first, "mgmt")[0]).tries("cat /proc/sys/kernel/random/boot_id");
            (ok && id != boot).then_some(())
        });
        lease();
        shell.reaches(&all, &on_side);
        host.cli(&["vnf", "disconnect", "visitor", "lan"]);
        shell.reaches(&all, &[]);
    }

    fn down(&self, host: &Host) {
        let op =
            host.post(&format!("{}/terminate", self.path), &json!({ "terminationType": "FORCEFUL" })).expect(202).location.expect("op");
        host.completed(&op);
        host.delete(&self.path);
    }
}
