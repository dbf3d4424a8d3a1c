//! Where bootstrapping data may come from over the network (RFC 8572 4.3, 4.4, 8): servers that a DHCP server names, and those
//! that the box was told of. Pure.
//!
//! The order of all sources: removable storage, DHCPv4, DHCPv6, the servers of the configuration. What DHCP says is anybody's
//! word: its servers are asked as strangers.

use smol_str::SmolStr;

use super::{conveyed::is_host, walk::At};

/// OPTION_V4_SZTP_REDIRECT
pub const V4: u8 = 143;
/// OPTION_V6_SZTP_REDIRECT
pub const V6: u16 = 136;

/// What a DHCP option holds: servers, and what was not one. An option without any is as none at all (8.1, 8.2).
pub fn listed(option: &[u8]) -> (Vec<At>, Vec<String>) {
    let (mut servers, mut passed, mut rest): (Vec<At>, Vec<String>, _) = (Vec::new(), Vec::new(), option);
    while !rest.is_empty() {
        let entry = rest.split_first_chunk::<2>().and_then(|(n, r)| r.split_at_checked(usize::from(u16::from_be_bytes(*n))));
        let Some((uri, more)) = entry else {
            passed.push(format!("its last {} bytes are no whole entry", rest.len()));
            break;
        };
        rest = more;
        match std::str::from_utf8(uri).map_err(|_| "an entry is no UTF-8".to_owned()).and_then(server) {
            Ok(at) if servers.contains(&at) => {}
            Ok(at) => servers.push(at),
            Err(why) => passed.push(why),
        }
    }
    (servers, passed)
}

/// `https://HOST[:PORT]` and nothing else (8.3).
pub fn server(uri: &str) -> Result<At, String> {
    let shown: String = uri.chars().filter(|c| !c.is_control()).take(80).collect();
    let bad = || format!("'{shown}' is not of the form https://HOST[:PORT]");
    let scheme = uri.get(..8).filter(|s| s.eq_ignore_ascii_case("https://")).ok_or_else(bad)?;
    let (address, port) = place(&uri[scheme.len()..]).ok_or_else(bad)?;
    Ok(At { address, port: port.unwrap_or(443), anchors: Vec::new() })
}

/// `HOST[:PORT]`, an IPv6 address in brackets.
pub fn place(text: &str) -> Option<(SmolStr, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
    };
    let digits = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit());
    let port = match port {
        None => None,
        Some(p) => Some(Some(p).filter(digits)?.parse::<u16>().ok().filter(|p| *p > 0)?),
    };
    is_host(host).then(|| (host.into(), port))
}

/// The same as text, in a URL too.
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn option(all: &[&[u8]]) -> Vec<u8> {
        all.iter().flat_map(|u| [&u16::try_from(u.len()).expect("short").to_be_bytes()[..], *u].concat()).collect()
    }
    fn at(address: &str, port: u16) -> At {
        At { address: address.into(), port, anchors: Vec::new() }
    }

    #[test]
    fn a_dhcp_option_is_its_valid_servers_in_their_order_and_the_rest_is_passed_by() {
        let (servers, passed) = listed(&option(&[
            b"https://hub.example",
            b"http://no.example",
            b"HTTPS://[2001:db8::1]:8443",
            b"https://hub.example",
            b"\xff",
        ]));
        assert_eq!(servers, [at("hub.example", 443), at("2001:db8::1", 8443)]);
        assert_eq!(passed.len(), 2, "{passed:?}");
        // Cut off in the middle of an entry, and in that of its length.
        for cut in [3, 1] {
            let mut bytes = option(&[b"https://a", b"https://b"]);
            bytes.truncate(11 + cut);
            let (servers, passed) = listed(&bytes);
            assert_eq!((servers, passed.len()), (vec![at("a", 443)], 1), "{cut}");
        }
        assert_eq!(listed(b""), (Vec::new(), Vec::new()));
        assert_eq!(listed(&option(&[b""])).0, []);
    }

    #[test]
    fn a_server_of_dhcp_is_a_host_and_a_port_by_https() {
        for (uri, want) in [
            ("https://a", Some(("a", 443))),
            ("https://192.0.2.1:1", Some(("192.0.2.1", 1))),
            ("https://[::1]", Some(("::1", 443))),
            ("https://", None),
            ("https://a/", None),
            ("https://a/restconf", None),
            ("https://a?b", None),
            ("https://u@a", None),
            ("https://a:", None),
            ("https://a:0", None),
            ("https://a:65536", None),
            ("https://a:+1", None),
            ("https://::1", None),
            ("https://[::1", None),
            ("https://[::1]1", None),
            ("https://[a]", None),
            ("https://a b", None),
            ("http://a", None),
            ("a", None),
            ("httpsé//a", None),
        ] {
            assert_eq!(server(uri).ok(), want.map(|(h, p)| at(h, p)), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(junk in prop::collection::vec(any::<u8>(), 0..300)) {
            let (servers, passed) = listed(&junk);
            prop_assert!(servers.len() + passed.len() <= junk.len());
        }
    }
}
