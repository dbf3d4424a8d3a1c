//! What a configuration file may say, what is refused and with which words, what a reload changes.

use super::*;

fn faults(text: &str) -> Vec<String> {
    Config::check(text).expect_err(text).iter().map(ToString::to_string).collect()
}

#[test]
fn the_documented_file_holds_the_defaults_and_names_every_key_with_when_it_counts() {
    assert_eq!(Config::check(DOCUMENTED).expect("config/bothy.toml"), Config::default());
    assert_eq!(Config::check("").expect("empty"), Config::default());
    let mut section = String::new();
    let mut mark = String::new();
    let mut documented = Vec::new();
    for line in DOCUMENTED.lines() {
        for word in ["live", "restart"] {
            if line.starts_with('#') && line.ends_with(&format!("[{word}]")) {
                mark = word.into();
            }
        }
        let bare = line.strip_prefix('#').unwrap_or(line);
        if let Some(s) = bare.strip_prefix("[[").and_then(|s| s.strip_suffix("]]")) {
            documented.push((s.to_owned(), mark.clone()));
            section = format!("{s}[].");
        } else if let Some(s) = line.strip_prefix('[').and_then(|s| s.strip_suffix(']')) {
            section = format!("{s}.");
        } else if let Some((k, _)) = bare.split_once(" = ").filter(|(k, _)| !k.contains(' ')) {
            documented.push((format!("{section}{k}"), mark.clone()));
        }
    }
    for shown in Config::default().entries() {
        let want = match shown.apply {
            Apply::Live => "live",
            Apply::Restart => "restart",
        };
        let found = documented.iter().find(|(k, _)| k == shown.path);
        assert_eq!(found.map(|f| f.1.as_str()), Some(want), "{} in config/bothy.toml", shown.path);
    }
}

#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_line_and_the_nearest_key() {
    let text = "\
data_dri = \"/x\"
[log]
level = \"loud\"
formt = \"json\"
[limits]
connections = 0
body_kib = \"big\"
[overcommit]
cpu = -1.0
[overcomit]
cpu = 1
[[listen]]
address = \"nine\"
reference_points = [\"sol005\", \"sol009\"]
port = 1
";
    assert_eq!(
        faults(text),
        [
            "line 1: data_dri: no such key; did you mean 'data_dir'?",
            "line 3: log.level: 'loud' is none of error, warn, info, debug, trace",
            "line 4: log.formt: no such key; did you mean 'log.format'?",
            "line 6: limits.connections: 0 is not between 1 and 65536",
            "line 7: limits.body_kib: must be a whole number, 0 or more",
            "line 9: overcommit.cpu: -1 is not between 0.1 and 64",
            "line 10: overcomit: no such key; did you mean 'overcommit.cpu'?",
            "line 13: listen[0].address: must be an address and a port, such as \"0.0.0.0:9443\" or \"[::]:9443\"",
            "line 14: listen[0].reference_points[1]: 'sol009' is none of sol005, sol003-vnfm, sol003-nfvo, sol002, admin, hub",
            "line 15: listen[0].port: no such key; the nearest is 'address'",
        ]
    );
}

#[test]
fn single_faults_say_what_to_write_instead() {
    for (text, want) in [
        ("log = 1", "line 1: log: is a table: write [log]"),
        ("[tls]\nkey = \"/k\"", "line 2: tls.key: tls.certificate and tls.key belong together: give both, or neither to have them made"),
        ("listen = []", "line 1: listen: needs at least one listener; leave the key out for the default"),
        ("data_dir = \"here\"", "line 1: data_dir: 'here' must be an absolute path"),
        ("level = \"info\"", "line 1: level: no such key; did you mean 'log.level'?"),
        (
            "[network]\npool = \"10.0.0.0/30\"",
            "line 2: network.pool: 10.0.0.0/30 has no room for links: an IPv4 network of /24 or shorter is needed",
        ),
        (
            "[[physical_network]]\nname = \"wan\"\nbridge = \"b\"\ninterface = \"eth1\"",
            "line 2: physical_network[0].name: 'wan' needs either a bridge, an interface or interfaces, one of the three",
        ),
        (
            "[[physical_network]]\nname = \"wan\"\ninterface = \"eth1\"\nlacp = \"active\"",
            "line 1: physical_network[0].bond: bond and lacp are for several interfaces: name them as interfaces = [\"eth1\", \"eth2\"]",
        ),
        (
            "[[physical_network]]\nname = \"wan\"\ninterfaces = [\"eth1\"]",
            "line 3: physical_network[0].interfaces: a bond has two interfaces or more: one alone is given as interface",
        ),
        (
            "[[physical_network]]\nname = \"wan\"\ninterfaces = [\"eth1\", \"eth2\"]\nbond = \"802.3ad\"",
            "line 4: physical_network[0].bond: '802.3ad' is none of active-backup, balance-slb, balance-tcp",
        ),
        (
            "[[physical_network]]\nname = \"wan\"\ninterfaces = [\"eth1\", \"eth2\"]\nbond = \"balance-tcp\"",
            "line 4: physical_network[0].bond: balance-tcp needs LACP at both ends: give lacp = \"active\" or \"passive\"",
        ),
        (
            "[[call_home]]\nname = \"a\"\naddress = \"noc\"\nca = \"/c\"\nreference_points = [\"sol005\"]\nclient = \"n\"",
            "line 3: call_home[0].address: must be a host and a port, such as \"noc.example:4336\" or \"[2001:db8::1]:4336\"",
        ),
        (
            "[[call_home]]\nname = \"a\"\naddress = \"noc:1\"\nca = \"/c\"\nkey = \"/k\"\nreference_points = [\"sol005\"]\nclient = \"n\"",
            "line 5: call_home[0].key: certificate and key belong together: give both, or neither for those of [tls]",
        ),
        (
            "[[call_home]]\nname = \"a\"\naddress = \"[::1]:1\"\nca = \"/c\"\nretry_s = 0\nreference_points = [\"sol005\"]\nclient = \"n\"",
            "line 5: call_home[0].retry_s: 0 is not between 1 and 600",
        ),
        (
            "[[call_home]]\nname = \"a\"\naddress = \"noc:1\"\nca = \"/c\"\nclient = \"n\"\nreference_points = [\"hub\"]",
            "line 6: call_home[0].reference_points: no hub is met through another: leave out \"hub\"",
        ),
        (
            "[hub]\nlisten = \"4336\"",
            "line 2: hub.listen: must be an address and a port, such as \"0.0.0.0:4336\" or \"[::]:4336\", or empty",
        ),
        ("[[hub.box]]\nserial = \"a\"", "line 1: hub.box: box 'a' needs a fingerprint, or hub.ca to vouch for it"),
        (
            "[hub]\nlisten = \"0.0.0.0:1\"\nbootstrap = \"0.0.0.0:2\"\nname = \"h\"\ndevices = \"/d\"",
            "line 3: hub.bootstrap: a bootstrap server needs hub.documents",
        ),
        (
            "[hub]\nbootstrap = \"0.0.0.0:2\"\nname = \"h\"\ndevices = \"/d\"\ndocuments = \"/d\"",
            "line 2: hub.bootstrap: boxes that it bootstraps call this hub: hub.listen says where",
        ),
        (
            "[[ztp.server]]\naddress = \"https://hub\"",
            "line 2: ztp.server[0].address: must be a host and a port, such as \"hub.example:8443\" or \"[2001:db8::1]:8443\"",
        ),
        ("[desired]\nurl = \"https://a/b\"", "line 2: desired.url: what comes from there has to be signed: desired.ca says by whom"),
        ("[desired]\nca = \"/ca\"\nurl = \"https://u:secret@a/b\"", "line 3: desired.url: must not carry credentials"),
        ("[desired]\nca = \"/ca\"\nurl = \"http://a/b\"", "line 3: desired.url: must be an https URL (http only with limits.fetch_http)"),
        ("[[ztp.server]]\naddress = \"a:1\"\n[[ztp.server]]\naddress = \"a:1\"", "line 1: ztp.server: a:1 is named twice"),
        (
            "[hub]\nca = \"/c\"\n[[hub.box]]\nserial = \"a/b\"",
            "line 4: hub.box[0].serial: 'a/b' must be 1 to 64 letters, digits, '-', '.' or '_', and begin with one of the first two",
        ),
        (
            "[hub]\nca = \"/c\"\n[[hub.box]]\nserial = \"a\"\ngroup = \"a b\"",
            "line 5: hub.box[0].group: 'a b' must be 1 to 64 letters, digits, '-', '.' or '_', and begin with one of the first two",
        ),
        ("[hub]\nca = \"/c\"\n[[hub.box]]\nserial = \"a\"\n[[hub.box]]\nserial = \"a\"", "line 3: hub.box: box 'a' is enrolled twice"),
        (
            "[[hub.box]]\nserial = \"a\"\nfingerprint = \"AB\"",
            "line 3: hub.box[0].fingerprint: must be a SHA-256, 32 bytes in hexadecimal, as `bothy tls show` has it on the box",
        ),
        ("[[listen]]\naddress = \"[::]:1\"\n", "line 1: listen[0]: 'reference_points' is missing"),
    ] {
        assert_eq!(faults(text), [want], "{text}");
    }
    let syntax = faults("data_dir = \n[log]\nlevel = \"info\n");
    assert!(syntax.len() == 2 && syntax[0].starts_with("line 1: ") && syntax[1].starts_with("line 3: "), "{syntax:?}");
}

#[test]
fn changes_are_sorted_by_when_they_count_and_only_the_live_ones_are_taken_up() {
    let new = Config::check(
        "data_dir = \"/srv/b\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n[overcommit]\ncpu = 2.0\n[[listen]]\naddress = \"[::]:1\"\nreference_points = [\"admin\"]",
    )
    .expect("config");
    let old = Config::default();
    let c = Config::changes(&old, &new);
    assert_eq!(c.live, ["log.level", "overcommit.cpu"]);
    assert_eq!(c.restart, ["data_dir", "listen", "log.format"]);
    let now = old.with_live_of(&new);
    assert_eq!(Config::changes(&old, &now), Changes { live: c.live, restart: vec![] });
    assert_eq!(Config::changes(&now, &new), Changes { live: vec![], restart: c.restart });
}

#[test]
fn every_live_key_is_taken_up_and_no_restart_key_is() {
    let base = Config::default();
    for shown in base.entries() {
        let other = match shown.value.as_str() {
            "\"info\"" => "\"warn\"".to_owned(),
            "\"10.213.0.0/16\"" => "\"10.0.0.0/8\"".to_owned(),
            v if v.parse::<u64>().is_ok_and(|n| n > 0) => (v.parse::<u64>().expect("n") + 1).to_string(),
            v if v.parse::<f64>().is_ok_and(|n| n > 0.5) => "3.5".to_owned(),
            _ => continue,
        };
        let text = match shown.path.split_once('.') {
            Some((s, k)) => format!("[{s}]\n{k} = {other}\n"),
            None => format!("{} = {other}\n", shown.path),
        };
        let new = Config::check(&text).unwrap_or_else(|f| panic!("{text}: {f:?}"));
        let taken = base.with_live_of(&new) == new;
        assert_eq!(taken, shown.apply == Apply::Live, "{}", shown.path);
    }
}

#[test]
fn a_bond_is_read_and_shown_as_it_is() {
    let text = "[[physical_network]]\nname = \"wan\"\ninterfaces = [\"eth1\", \"eth2\"]\n";
    for (more, shown) in [
        ("", r#"{ name = "wan", interfaces = ["eth1", "eth2"], bond = "active-backup", lacp = "off" }"#),
        (
            "bond = \"balance-tcp\"\nlacp = \"active\"",
            r#"{ name = "wan", interfaces = ["eth1", "eth2"], bond = "balance-tcp", lacp = "active" }"#,
        ),
    ] {
        let n = Config::check(&format!("{text}{more}")).expect("sound").physical_network.remove(0);
        assert_eq!(super::keys::Setting::show(&n), shown);
        assert_eq!(Config::check(&format!("physical_network = [{shown}]")).expect("as shown").physical_network, [n]);
    }
    let twice = faults("[[physical_network]]\nname = \"wan\"\ninterfaces = [\"eth1\", \"eth1\", \"eth2\", \"way-too-long-for-linux\"]");
    assert!(twice.iter().any(|f| f.contains("'eth1' is named twice")) && twice.len() == 2, "{twice:?}");
}
