//! What RFC 8572 and RFC 8366 ask for, held without keys: forms, dates, nonces, redirects, scripts.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{
    Der, Device, Now,
    conveyed::{Conveyed, Handling, Server},
    merge::merged,
    onboard::{Do, Running, ScriptEnd, script_end, steps},
    voucher::Voucher,
    walk::{At, DEEPEST, Walk},
};
use crate::model::{error::Fault, time::Stamp};

fn told(f: &Fault) -> String {
    format!("{} {}", f.text(), f.reasons().join("; "))
}

fn voucher(change: impl Fn(&mut Value)) -> Value {
    let mut v = json!({
        "created-on": "2026-01-01T00:00:00Z",
        "assertion": "verified",
        "serial-number": "BX-1",
        "pinned-domain-cert": BASE64.encode(b"certificate"),
    });
    change(&mut v);
    json!({"ietf-voucher:voucher": v})
}

fn read(v: &Value) -> Result<Voucher, Fault> {
    Voucher::read(v.to_string().as_bytes())
}

#[test]
fn a_voucher_that_is_not_of_rfc_8366_is_refused_with_all_faults() {
    read(&voucher(|_| {})).expect("sound");
    for (change, why) in [
        (json!({"serial-number": null}), "invalid type: null, expected a string"),
        (json!({"assertion": "guessed"}), "guessed"),
        (json!({"created-on": "yesterday"}), "created-on: 'yesterday'"),
        (json!({"pinned-domain-cert": "%"}), "pinned-domain-cert: this is not base64"),
        (json!({"serial-number": ""}), "serial-number is empty"),
        (json!({"surprise": 1}), "surprise"),
        (json!({"expires-on": "2027-01-01T00:00:00Z", "nonce": BASE64.encode(b"12345678")}), "expires-on and nonce"),
        (json!({"last-renewal-date": "2027-01-01T00:00:00Z"}), "last-renewal-date needs expires-on"),
        (json!({"domain-cert-revocation-checks": true}), "domain-cert-revocation-checks needs expires-on"),
        (json!({"nonce": BASE64.encode(b"short")}), "8 to 32 bytes"),
    ] {
        let v = voucher(|v| change.as_object().expect("object").iter().for_each(|(k, x)| v[k] = x.clone()));
        let f = read(&v).expect_err(why);
        assert!(told(&f).contains(why) || format!("{f:?}").contains(why), "{} does not say {why}", told(&f));
    }
    let two = read(&voucher(|v| (v["created-on"], v["expires-on"]) = ("x".into(), "y".into()))).expect_err("two faults");
    assert_eq!(two.reasons().len(), 2, "{:?}", two.reasons());
}

#[test]
fn a_voucher_holds_for_its_device_its_time_and_its_request() {
    let device = Device { serial_number: "BX-1".into(), issuer_key: Some(vec![1, 2, 3]), voucher_anchors: Vec::new() };
    let at =
        |text: &str| Now::Sound(Stamp(u64::try_from(text.parse::<jiff::Timestamp>().expect("time").as_millisecond()).expect("after 1970")));
    let (before, within, after) = (at("2025-12-31T00:00:00Z"), at("2026-06-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let ends = |v: &mut Value| v["expires-on"] = "2027-01-01T00:00:00Z".into();
    let nonced = |v: &mut Value| v["nonce"] = BASE64.encode(b"12345678").into();
    let issuer = |bytes: &'static [u8]| move |v: &mut Value| v["idevid-issuer"] = BASE64.encode(bytes).into();
    let nothing = |_: &mut Value| {};
    let revoked = |v: &mut Value| (v["expires-on"], v["domain-cert-revocation-checks"]) = ("2027-01-01T00:00:00Z".into(), true.into());
    type Case<'a> = (&'a dyn Fn(&mut Value), Now, Option<&'a [u8]>, Option<&'a str>);
    let cases: [Case<'_>; 17] = [
        (&nothing, within, None, None),
        (&nothing, within, Some(b"12345678"), None),
        (&nothing, before, None, Some("of a time to come")),
        (&ends, within, None, None),
        (&ends, after, None, Some("has ended")),
        // A clock that cannot be believed ends nothing (RFC 8572 9.1).
        (&ends, Now::Unknown, None, None),
        (&nonced, within, Some(b"12345678"), None),
        (&nonced, within, Some(b"87654321"), Some("answers another request")),
        (&nonced, within, None, Some("this device has sent none")),
        (&issuer(&[1, 2, 3]), within, None, None),
        // The whole extension: SEQUENCE { [0] key identifier }.
        (&issuer(&[0x30, 5, 0x80, 3, 1, 2, 3]), within, None, None),
        (&issuer(&[1, 2, 4]), within, None, Some("another issuer")),
        (&issuer(&[0x30, 5, 0x80, 3, 1, 2, 4]), within, None, Some("another issuer")),
        (&issuer(&[]), within, None, Some("another issuer")),
        (&revoked, within, None, Some("revocation lists")),
        (&revoked, Now::Unknown, None, None),
        (&|v: &mut Value| v["serial-number"] = "BX-2".into(), within, None, Some("for the device 'BX-2'")),
    ];
    for (i, (change, now, nonce, why)) in cases.into_iter().enumerate() {
        let got = read(&voucher(change)).expect("form").refusals(&device, now, nonce).join("; ");
        match why {
            None => assert_eq!(got, "", "case {i}"),
            Some(w) => assert!(got.contains(w), "case {i}: '{got}' does not say '{w}'"),
        }
    }
}

#[test]
fn a_clock_from_before_its_software_is_no_clock() {
    assert_eq!(Now::of(Stamp(5), Stamp(6)), Now::Unknown);
    assert_eq!(Now::of(Stamp(6), Stamp(6)), Now::Sound(Stamp(6)));
}

#[test]
fn conveyed_information_is_read_strictly() {
    let onboarding = |o: Value| json!({"ietf-sztp-conveyed-info:onboarding-information": o});
    let redirect = |o: Value| json!({"ietf-sztp-conveyed-info:redirect-information": o});
    let servers = |s: Value| redirect(json!({"bootstrap-server": s}));
    for (document, why) in [
        (json!({}), "either redirect-information or onboarding-information"),
        (
            json!({"ietf-sztp-conveyed-info:onboarding-information": {}, "ietf-sztp-conveyed-info:redirect-information": {"bootstrap-server": []}}),
            "either",
        ),
        (json!({"redirect-information": {}}), "redirect-information"),
        (servers(json!([])), "at least one"),
        (servers(json!([{"address": "a b"}])), "neither a host name nor an IP address"),
        (servers(json!([{"address": "-a"}])), "neither"),
        (servers(json!(vec![json!({"address": "a b"}); 101])), "101 of them, and 100 are the most"),
        (servers(json!([{"address": "hub"}, {"address": "hub", "port": 1}])), "there twice"),
        (servers(json!([{"address": "hub", "port": 0}])), "1 to 65535"),
        (servers(json!([{"address": "hub", "trust-anchor": "%"}])), "trust-anchor: this is not base64"),
        (onboarding(json!({"configuration": "AAAA"})), "merge or replace must be said"),
        (onboarding(json!({"configuration": "AAAA", "configuration-handling": "mix"})), "mix"),
        (onboarding(json!({"pre-configuration-script": "%"})), "pre-configuration-script: this is not base64"),
        (onboarding(json!({"boot-image": {"download-uri": ["https://h/x"]}})), "image-verification"),
        (
            onboarding(
                json!({"boot-image": {"download-uri": ["ftp://h/x"], "image-verification": [{"hash-algorithm": "md5", "hash-value": "00"}]}}),
            ),
            "'md5' is not known",
        ),
        (
            onboarding(
                json!({"boot-image": {"image-verification": [{"hash-algorithm": "ietf-sztp-conveyed-info:sha-256", "hash-value": "00:11"}]}}),
            ),
            "32 bytes",
        ),
        (onboarding(json!({"scripts": 1})), "scripts"),
    ] {
        let f = Conveyed::read(document.to_string().as_bytes()).expect_err(why);
        assert!(told(&f).contains(why), "{} does not say {why}", told(&f));
    }
    let two = onboarding(json!({"pre-configuration-script": "%", "post-configuration-script": "%"}));
    assert_eq!(Conveyed::read(two.to_string().as_bytes()).expect_err("two").reasons().len(), 2);
    let full = servers(json!([{"address": "2001:db8::1"}, {"address": "hub.example", "port": 8443, "trust-anchor": "AAAA"}]));
    let want = vec![
        Server { address: "2001:db8::1".into(), port: 443, trust_anchor: None },
        Server { address: "hub.example".into(), port: 8443, trust_anchor: Some(vec![0, 0, 0]) },
    ];
    assert_eq!(Conveyed::read(full.to_string().as_bytes()).expect("sound"), Conveyed::Redirect(want));
}

#[test]
fn onboarding_is_image_script_configuration_script() {
    let document = json!({"ietf-sztp-conveyed-info:onboarding-information": {
        "boot-image": {"os-name": "bothy", "os-version": "2.0"},
        "pre-configuration-script": "AAAA", "post-configuration-script": "BBBB",
        "configuration": "CCCC", "configuration-handling": "replace",
    }});
    let Conveyed::Onboarding(o) = Conveyed::read(document.to_string().as_bytes()).expect("sound") else { panic!("onboarding") };
    let of = |version: &str| steps((*o).clone(), &Running { name: "bothy".into(), version: version.into() });
    let kinds = |all: &[Do]| {
        all.iter()
            .map(|d| match d {
                Do::BootImage(_) => 'i',
                Do::PreScript(_) => 'b',
                Do::Configure(_) => 'c',
                Do::PostScript(_) => 'a',
            })
            .collect::<String>()
    };
    assert_eq!((kinds(&of("1.0")), kinds(&of("2.0"))), ("ibca".into(), "bca".into()));
}

#[test]
fn exit_statuses_are_read_as_signed_bytes() {
    for (code, end) in [
        (Some(0), ScriptEnd::Done),
        (Some(1), ScriptEnd::Soft(1)),
        (Some(127), ScriptEnd::Soft(127)),
        (Some(128), ScriptEnd::Hard),
        (Some(255), ScriptEnd::Hard),
        (None, ScriptEnd::Hard),
    ] {
        assert_eq!(script_end(code), end, "{code:?}");
    }
}

fn at(address: &str, trusted: bool) -> At {
    At { address: address.into(), port: 443, anchors: if trusted { vec![Der(vec![1])] } else { Vec::new() } }
}
fn server(address: &str, anchor: Option<&[u8]>) -> Server {
    Server { address: address.into(), port: 443, trust_anchor: anchor.map(<[u8]>::to_vec) }
}
fn anchors(bytes: &[u8]) -> Result<Vec<Der>, String> {
    match bytes {
        b"bad" => Err("broken".into()),
        b"none" => Ok(Vec::new()),
        some => Ok(vec![Der(some.to_vec())]),
    }
}

#[test]
fn redirects_are_followed_before_the_rest_of_their_list() {
    let mut w = Walk::new([at("a", true), at("b", false)]);
    assert_eq!(w.next_server(), Some(at("a", true)));
    w.redirected(
        &[server("c", Some(b"x")), server("d", Some(b"bad")), server("e", Some(b"none")), server("a", Some(b"x")), server("a", None)],
        anchors,
    );
    let asked: Vec<(String, bool)> = std::iter::from_fn(|| w.next_server()).map(|s| (s.address.to_string(), s.trusted())).collect();
    // `a` was asked as one that is trusted; as a stranger it is another.
    assert_eq!(asked, [("c".into(), true), ("a".into(), false), ("b".into(), false)]);
    let passed = w.passed.join("; ");
    for why in ["d:443: its trust-anchor cannot be read: broken", "e:443: its trust-anchor holds no certificate", "a:443 was asked already"]
    {
        assert!(passed.contains(why), "{passed} does not say {why}");
    }
}

#[test]
fn redirects_come_to_an_end() {
    // Each leads to another one.
    let mut w = Walk::new([at("s0", false)]);
    let mut asked = 0;
    while w.next_server().is_some() {
        asked += 1;
        w.redirected(&[server(&format!("s{asked}"), None)], anchors);
    }
    assert_eq!(asked, DEEPEST + 1);
    assert!(w.passed.join(" ").contains("10 redirects in a row"), "{:?}", w.passed);
    // Each leads to two others.
    let mut w = Walk::new([at("s", false)]);
    let mut asked = 0;
    while w.next_server().is_some() {
        asked += 1;
        w.redirected(&[server(&format!("a{asked}"), None), server(&format!("b{asked}"), None)], anchors);
        assert!(asked < 1000, "no end");
    }
    assert_eq!(asked, 100);
}

#[test]
fn a_merge_lays_keys_over_keys_and_lists_over_lists() {
    let there = "a = 1\nlist = [1, 2]\n[t]\nx = 1\ny = 1\n[[listen]]\naddress = \"a\"\n";
    let over = "list = [3]\n[t]\ny = 2\n[[listen]]\naddress = \"b\"\n";
    let got: toml::Table = merged(there, over, Handling::Merge).expect("merged").parse().expect("TOML");
    let want: toml::Table = "a = 1\nlist = [3]\n[t]\nx = 1\ny = 2\n[[listen]]\naddress = \"b\"\n".parse().expect("TOML");
    assert_eq!(got, want);
    assert_eq!(merged(there, over, Handling::Replace).expect("replaced"), over);
    assert!(told(&merged(there, "a =", Handling::Merge).expect_err("no TOML")).contains("the conveyed configuration is no TOML"));
}
