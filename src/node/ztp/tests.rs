//! The whole way with real keys: a factory's stick makes a box somebody's, and what was tampered with does not.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    CONVEYED, OWNER, Place, Run, Sandbox, State, Status, VOUCHER, by_itself, check,
    desk::Desk,
    enrol,
    factory::{Factory, Wish, request},
    is_unproven, keep_claimed, mend, proven, reset,
    run::shortened,
    stick, unfit,
};
use crate::{
    access::{Access, Caller, Settings},
    host::{
        clock::SystemClock,
        openssl::{OpenSsl, block, certificates},
    },
    model::error::{Fault, Kind},
    store::{Options, Store},
    ztp::{
        artefact::{self, Artefacts, Content},
        conveyed::{Conveyed, Handling},
        enrol::Client,
        onboard::Running,
        rpc::{Answer, Ask, Csr},
    },
};

pub(super) struct Bench {
    _dir: tempfile::TempDir,
    root: Utf8PathBuf,
}

impl Bench {
    /// A box of no manufacturer.
    fn bare() -> Bench {
        let dir = tempfile::tempdir().expect("dir");
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("utf-8");
        let b = Bench { _dir: dir, root };
        fs::create_dir_all(b.place().state).expect("state");
        b
    }
    /// What it finds of a run before.
    fn found(&self, status: &str) {
        fs::write(self.place().state.join("status.json"), status).expect("status");
    }
    pub(super) fn new() -> Bench {
        let b = Bench::bare();
        b.factory().init().expect("factory");
        b.factory().device("BX-1", None, &b.place().identity).expect("identity");
        fs::write(b.place().config, "[log]\nlevel = \"debug\"\n").expect("config");
        b
    }
    pub(super) fn factory(&self) -> Factory {
        Factory::open(&self.root.join("factory"))
    }
    pub(super) fn place(&self) -> Place {
        Place {
            identity: self.root.join("identity"),
            state: self.root.join("state"),
            config: self.root.join("bothy.toml"),
            work: self.root.join("work"),
        }
    }
    fn stick(&self, name: &str, wish: Wish) -> Utf8PathBuf {
        let out = self.root.join(name);
        self.factory().stick(&wish, &out).expect("stick");
        out
    }
    fn data(&self, name: &str, wish: Wish) -> Artefacts {
        stick(&self.stick(name, wish)).expect("readable").expect("there")
    }
    fn run(&self, from: &Utf8Path) -> Result<Status, Fault> {
        let place = self.place();
        let running = Running { name: "bothy".into(), version: "1.0".into() };
        Run { place: &place, running, sandbox: Sandbox::None, told: &mut |_| {}, go_on: &|| true }.from_stick(from)?;
        super::status::read(&place.state)
    }
    pub(super) fn config(&self) -> String {
        fs::read_to_string(self.place().config).expect("config")
    }
    pub(super) fn file(&self, path: &str) -> Utf8PathBuf {
        self.root.join(path)
    }
}

pub(super) fn wish() -> Wish {
    Wish { serial_number: "BX-1".into(), configuration: Some((Handling::Merge, b"[limits]\ncalls = 7\n".to_vec())), ..Wish::default() }
}

pub(super) fn words(s: &Status) -> Vec<String> {
    s.reports.iter().map(|r| serde_json::to_value(r.progress).expect("word").as_str().expect("text").to_owned()).collect()
}

pub(super) fn refused(got: Result<impl std::fmt::Debug, Fault>, why: &str) {
    let f = got.expect_err(why);
    let all = format!("{} {}", f.text(), f.reasons().join(" "));
    assert!(all.contains(why), "'{all}' does not say '{why}'");
}

#[test]
fn a_signed_stick_makes_the_box_somebodys_once() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let mark = b.file("mark");
    let script = |text: &str| Some(format!("#!/bin/sh\n{text}\n").into_bytes());
    let from =
        b.stick("stick", Wish { before: script(&format!("echo first >{mark}")), after: script(&format!("cat {mark}; exit 3")), ..wish() });
    let s = b.run(&from).expect("bootstrapped");
    assert_eq!(s.state, State::Bootstrapped);
    assert_eq!(
        words(&s),
        [
            "bootstrap-initiated",
            "parsing-initiated",
            "parsing-complete",
            "pre-script-initiated",
            "pre-script-complete",
            "config-initiated",
            "config-complete",
            "post-script-initiated",
            "post-script-warning",
            "post-script-complete",
            "bootstrap-complete"
        ]
    );
    assert!(s.reports.iter().any(|r| r.message.contains("exit status 3: first")), "{:?}", s.reports);
    // Merged: what was there and is not named stays.
    let c = crate::config::Config::check(&b.config()).expect("sound");
    assert_eq!((c.limits.calls, c.log.level), (7, crate::config::LogLevel::Debug));
    refused(b.run(&from), "has been bootstrapped");
    reset(&b.place()).expect("reset");
    assert_eq!(b.run(&from).expect("again").state, State::Bootstrapped);
}

#[test]
fn what_fails_takes_back_what_was_changed() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let was = b.config();
    let hard = Some(b"#!/bin/sh\necho broken; exit 255\n".to_vec());
    let bringing = |text: &str| Wish { configuration: Some((Handling::Merge, text.into())), ..wish() };
    let client = |name: &str, role: &str| {
        format!("[[bootstrap.client]]\nname = \"{name}\"\nrole = \"{role}\"\nfingerprint = \"{}\"\n", "00".repeat(32))
    };
    for (name, wish, why, last) in [
        ("after", Wish { after: hard.clone(), ..wish() }, "post-configuration script failed: broken", "post-script-error"),
        ("before", Wish { before: hard, ..wish() }, "pre-configuration script failed: broken", "pre-script-error"),
        ("unsound", Wish { configuration: Some((Handling::Replace, b"[limit]\n".to_vec())), ..wish() }, "limits", "config-error"),
        ("role", bringing(&client("hub", "king")), "there is no role 'king'", "config-error"),
        ("user", bringing(&client("admin", "admin")), "the box's own user", "config-error"),
        ("no certificate", bringing("[notify]\nca = \"{files}/operational.pem\"\n"), "no usable certificate", "config-error"),
        ("older", Wish { os_version: Some("0.9".into()), ..wish() }, "0.9 has to run first", "boot-image-mismatch"),
        (
            "away",
            Wish { redirect: vec![("hub.example".into(), 8443)], configuration: None, ..wish() },
            "hub.example:8443",
            "parsing-complete",
        ),
    ] {
        let from = b.stick(name, wish);
        refused(b.run(&from), why);
        let s = super::status::read(&b.place().state).expect("status");
        assert_eq!((s.state, b.config()), (State::Failed, was.clone()), "{name}");
        let words = words(&s);
        assert_eq!(words[words.len() - 2..], [last, "bootstrap-error"], "{name}");
    }
}

/// As after a cut between the configuration and the script that follows it.
fn cut_off(b: &Bench) -> String {
    let (place, was) = (b.place(), b.config());
    fs::create_dir_all(&place.state).expect("state");
    fs::write(place.state.join("before.toml"), &was).expect("kept");
    fs::set_permissions(place.state.join("before.toml"), fs::Permissions::from_mode(0o640)).expect("mode");
    fs::write(place.state.join("status.json"), r#"{"state": "running"}"#).expect("status");
    fs::write(place.config, "[limits]\ncalls = 99\n").expect("half a way");
    was
}

#[test]
fn a_run_that_a_power_cut_ended_is_taken_back_by_whoever_comes_next() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    type Next = fn(&Bench);
    let next: [(&str, Next, State); 3] = [
        ("run", |b| refused(b.run(&b.file("no-stick")), "there is no conveyed-information.cms"), State::Failed),
        ("reset", |b| reset(&b.place()).expect("reset"), State::Factory),
        ("serve", |b| assert!(mend(&b.place()).expect("mended")), State::Failed),
    ];
    for (who, next, state) in next {
        let b = Bench::new();
        let was = cut_off(&b);
        next(&b);
        assert_eq!(b.config(), was, "{who}");
        assert_eq!(fs::metadata(b.place().config).expect("config").permissions().mode() & 0o777, 0o640, "{who}");
        assert_eq!(super::status::read(&b.place().state).expect("status").state, state, "{who}");
        assert!(!mend(&b.place()).expect("once"), "{who}");
    }
}

/// Nothing was changed yet: an operator has written what is there.
#[test]
fn a_round_that_was_cut_off_while_it_asked_leaves_the_configuration_alone() {
    let b = Bench::bare();
    fs::write(b.place().config, "[limits]\ncalls = 9\n").expect("an edit");
    b.found(r#"{"state": "running", "files": "files-1"}"#);
    fs::create_dir_all(b.place().state.join("files-1")).expect("files");
    assert!(mend(&b.place()).expect("mended"));
    assert_eq!(b.config(), "[limits]\ncalls = 9\n");
    assert!(!b.place().state.join("files-1").exists());
}

#[test]
fn a_configuration_stays_once_the_daemon_has_come_up_by_it() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let (place, was) = (b.place(), b.config());
    let text = "[[bootstrap.file]]\nname = \"a.pem\"\ntext = \"PEM\"\n[notify]\nca = \"{files}/a.pem\"\n";
    let from = b.stick("stick", Wish { configuration: Some((Handling::Merge, text.into())), ..wish() });
    let why = Fault::transient("cannot listen");
    assert!(!unfit(&place, &why).expect("nothing was conveyed"));
    let first = b.run(&from).expect("bootstrapped");
    assert!(is_unproven(&place) && place.state.join(&first.files).join("a.pem").exists());
    assert!(unfit(&place, &why).expect("taken back"));
    let s = super::status::read(&place.state).expect("status");
    assert_eq!((s.state, b.config(), s.unproven), (State::Failed, was, false));
    assert!(s.reports.last().expect("report").message.contains("cannot listen"), "{:?}", s.reports);
    assert!(!place.state.join(&first.files).exists());
    assert!(!unfit(&place, &why).expect("once"));

    // The next is sound, and what ends the daemon later is not its fault. Folders that nothing names any more go.
    for old in ["files-old", "files-named"] {
        fs::create_dir_all(place.state.join(old)).expect("old");
    }
    fs::write(&place.config, format!("[hub]\nca = \"{}/ca.pem\"\n", place.state.join("files-named"))).expect("config");
    let second = b.run(&from).expect("again");
    proven(&place).expect("proven");
    let now = b.config();
    assert!(!is_unproven(&place) && !unfit(&place, &why).expect("proven"));
    assert_eq!(b.config(), now);
    let there = |name: &str| place.state.join(name).exists();
    assert!(there(&second.files) && there("files-named") && !there("files-old") && !there("before.toml"));
}

fn access(b: &Bench) -> Access {
    let store = Store::open(b.file("store").as_std_path(), Options { flush_every_ms: 0, ..Options::default() }).expect("store");
    let (access, _) =
        Access::open(store, Arc::new(SystemClock::default()), Box::new(|| Duration::ZERO), Settings::default()).expect("access");
    access.bootstrap().expect("token");
    access
}

#[test]
fn a_client_that_cannot_be_made_keeps_neither_the_daemon_nor_the_others() {
    let b = Bench::bare();
    let (place, access) = (b.place(), access(&b));
    // A later version's word does no harm.
    b.found(r#"{"state": "bootstrapped", "files": "files-1", "later": 1}"#);
    let file = place.state.join("files-1/clients.json");
    fs::create_dir_all(file.parent().expect("folder")).expect("files");
    let client = |name: &str, role: &str| Client { name: name.into(), role: role.into(), fingerprint: [7; 32] };
    let all = [client("admin", "admin"), client("odd", "king"), client("hub", "admin")];
    fs::write(&file, serde_json::to_vec(&all).expect("clients")).expect("written");
    assert!(!access.is_claimed());
    assert!(enrol(&place, &access), "one of them was made");
    assert!(access.is_claimed() && access.account(&Caller::root(), "hub").is_ok());
    let left: Vec<Client> = serde_json::from_slice(&fs::read(&file).expect("kept")).expect("clients");
    assert_eq!(left, all[..2]);
    let trail = access.audit_page(None, 10).expect("the trail");
    let told: Vec<_> = trail.iter().rev().map(|e| (e.who.as_str(), e.path.as_str(), e.status)).collect();
    let of = |name, status| ("zero touch", name, status);
    let paths = ["/bothy/v1/clients/admin", "/bothy/v1/clients/odd", "/bothy/v1/clients/hub"];
    assert_eq!(told, [of(paths[0], 409), of(paths[1], 409), of(paths[2], 201)]);
    assert!(!enrol(&place, &access), "none of these");
    fs::write(&file, "junk").expect("written");
    assert!(!enrol(&place, &access));
    b.found("junk");
    assert!(!enrol(&place, &access));
}

#[test]
fn a_box_that_was_claimed_by_its_first_token_does_not_look_for_an_owner_after_a_restart() {
    let b = Bench::bare();
    let (place, access) = (b.place(), Arc::new(access(&b)));
    let c = crate::config::Ztp { enabled: true, media: Vec::new(), dhcp: false, retry_s: 600, server: Vec::new() };
    let begins = || by_itself(place.clone(), &c, access.clone(), || ()).expect("settings").is_some();
    assert!(begins() && !access.is_claimed());
    keep_claimed(&place).expect("kept");
    assert!(!begins());
}

#[test]
fn a_strangers_words_are_cut_between_letters() {
    for (text, most, want) in [("", 2, ""), ("ab", 2, "ab"), ("abc", 2, "ab..."), ("\u{e9}\u{e9}\u{e9}", 2, "\u{e9}\u{e9}...")] {
        assert_eq!(shortened(text, most), want);
    }
}

#[test]
fn what_an_earlier_run_has_kept_is_not_what_a_later_one_goes_back_to() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    b.run(&b.stick("stick", wish())).expect("bootstrapped");
    let now = b.config();
    reset(&b.place()).expect("reset");
    refused(b.run(&b.file("no-stick")), "there is no conveyed-information.cms");
    assert_eq!(b.config(), now);
    // Where there was none, there is none again.
    fs::remove_file(b.place().config).expect("removed");
    let hard = Some(b"#!/bin/sh\nexit 200\n".to_vec());
    refused(b.run(&b.stick("hard", Wish { after: hard, ..wish() })), "post-configuration script failed");
    assert!(!b.place().config.exists());
}

#[test]
fn two_are_not_at_it_at_once() {
    let b = Bench { _dir: tempfile::tempdir().expect("dir"), root: "/nowhere".into() };
    let b = Bench { root: Utf8PathBuf::from_path_buf(b._dir.path().to_owned()).expect("utf-8"), ..b };
    let _held = super::before::alone(&b.place().state).expect("first");
    refused(b.run(&b.file("stick")), "at work already");
    refused(reset(&b.place()), "at work already");
    fs::write(b.place().state.join("status.json"), r#"{"state": "running"}"#).expect("status");
    assert!(!mend(&b.place()).expect("left alone"));
}

#[test]
fn a_stick_that_leads_elsewhere_is_not_followed() {
    let dir = tempfile::tempdir().expect("dir");
    let folder = Utf8Path::from_path(dir.path()).expect("utf-8");
    let file = folder.join(CONVEYED);
    assert!(stick(folder).expect("empty").is_none());
    std::os::unix::fs::symlink("/dev/zero", &file).expect("link");
    refused(stick(folder), "cannot read");
    fs::remove_file(&file).expect("removed");
    nix::unistd::mkfifo(file.as_std_path(), nix::sys::stat::Mode::S_IRUSR).expect("pipe");
    refused(stick(folder), "is no file");
    fs::remove_file(&file).expect("removed");
    fs::write(&file, vec![0; artefact::LIMIT + 1]).expect("large");
    refused(stick(folder), "are the most");
}

/// Certificates of the owner's domain, made as `openssl` makes them: name, issuer, extensions.
fn certify(b: &Bench, name: &str, issuer: &str, with: &str) -> Utf8PathBuf {
    let at = |end: &str| b.file(&format!("factory/{name}.{end}"));
    let run = |args: &[&str]| {
        let out = std::process::Command::new("openssl").args(args).output().expect("openssl");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    fs::write(at("ext"), with).expect("extensions");
    let (key, csr, pem, ext) = (at("key"), at("csr"), at("pem"), at("ext"));
    run(&[
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-subj",
        &format!("/CN={name}"),
        "-keyout",
        key.as_str(),
        "-out",
        csr.as_str(),
    ]);
    let (ca, ca_key) = (b.file(&format!("factory/{issuer}.pem")), b.file(&format!("factory/{issuer}.key")));
    run(&[
        "x509",
        "-req",
        "-days",
        "30",
        "-in",
        csr.as_str(),
        "-extfile",
        ext.as_str(),
        "-CA",
        ca.as_str(),
        "-CAkey",
        ca_key.as_str(),
        "-CAcreateserial",
        "-out",
        pem.as_str(),
    ]);
    pem
}

#[test]
fn an_owner_certificate_leads_by_those_between_and_is_for_signatures() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let good = b.data("good", wish());
    let words = OpenSsl::new(b.place().work, None);
    let content = br#"{"ietf-sztp-conveyed-info:onboarding-information": {}}"#;
    let pem = |path: &Utf8Path| fs::read_to_string(path).expect("pem");
    let data = |leaf: &Utf8Path, bag: &[&Utf8Path]| {
        let all = certificates(&bag.iter().map(|p| pem(p)).collect::<String>()).expect("certificates");
        Artefacts {
            conveyed: words.sign(content, super::factory::JSON_CONVEYED, (&leaf.with_extension("key"), leaf)).expect("signed"),
            owner_certificate: Some(words.bag(&all).expect("bag")),
            voucher: good.voucher.clone(),
        }
    };
    let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
    let end = |usage: &str| format!("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,{usage}\n");
    let between = certify(&b, "between", "domain", ca);
    let leaf = certify(&b, "leaf", "between", &end("digitalSignature"));
    check(&b.place(), &data(&leaf, &[&leaf, &between])).expect("by the one between");
    check(&b.place(), &data(&leaf, &[&between, &leaf])).expect("in whatever order");
    refused(check(&b.place(), &data(&leaf, &[&leaf])), "not of the owner");
    // One that may not issue has issued.
    let no_ca = certify(&b, "no-ca", "domain", &end("digitalSignature"));
    let under = certify(&b, "under", "no-ca", &end("digitalSignature"));
    refused(check(&b.place(), &data(&under, &[&under, &no_ca])), "not of the owner");
    let for_keys = certify(&b, "for-keys", "domain", &end("keyAgreement"));
    refused(check(&b.place(), &data(&for_keys, &[&for_keys])), "not for signatures");
}

/// Each thing that RFC 8572 has a device look at, and what it says where that is wrong.
#[test]
fn what_does_not_prove_itself_is_refused() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let good = b.data("good", wish());
    let place = b.place();
    check(&place, &good).expect("believed");
    let with = |change: &dyn Fn(&mut Artefacts)| {
        let mut a = good.clone();
        change(&mut a);
        check(&place, &a)
    };
    let flipped = |bytes: &[u8], text: &str| {
        let at = bytes.windows(text.len()).position(|w| w == text.as_bytes()).expect("text");
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    // Another factory: its own keys, the same words.
    let other = Bench::new();
    let foreign = other.data("foreign", wish());

    refused(with(&|a| a.voucher = None), "must come with it");
    refused(with(&|a| a.owner_certificate = None), "must come with it");
    refused(with(&|a| a.conveyed = flipped(&a.conveyed, "configuration-handling")), "has been changed");
    refused(with(&|a| a.voucher = a.voucher.as_deref().map(|v| flipped(v, "serial-number"))), "not the manufacturer's");
    refused(with(&|a| a.voucher = foreign.voucher.clone()), "not the manufacturer's");
    refused(with(&|a| a.conveyed = foreign.conveyed.clone()), "not of the owner that the voucher names");
    refused(
        with(&|a| (a.conveyed, a.owner_certificate) = (foreign.conveyed.clone(), foreign.owner_certificate.clone())),
        "not of the owner",
    );
    refused(with(&|a| a.owner_certificate = a.voucher.clone()), "not of the owner");
    refused(with(&|a| a.owner_certificate = Some(artefact::unsigned(Content::Data, b"x"))), "no signed-data structure");
    refused(with(&|a| a.voucher = Some(artefact::unsigned(Content::JsonVoucher, b"{}"))), "voucher is not signed");
    refused(with(&|a| a.conveyed = b"not CMS at all".to_vec()), "no CMS structure");
    refused(with(&|a| a.conveyed = vec![0; artefact::LIMIT + 1]), "is the most");
    let elsewhere = b.data("elsewhere", Wish { serial_number: "BX-2".into(), ..wish() });
    refused(check(&place, &elsewhere), "for the device 'BX-2', this one is 'BX-1'");
    let ended = b.data("ended", Wish { expires: Some("2026-01-01T00:00:00Z".parse().expect("time")), ..wish() });
    refused(check(&place, &ended), "the voucher has ended");
    let to_come = b.data("to-come", Wish { expires: Some("2099-01-01T00:00:00Z".parse().expect("time")), ..wish() });
    check(&place, &to_come).expect("not yet ended");

    // A box of the same manufacturer has a certificate of its, and is not it.
    let own = (place.identity.join("idevid.key"), place.identity.join("idevid.pem"));
    let words = OpenSsl::new(place.work.clone(), None);
    let anchor = certificates(&fs::read_to_string(b.file("factory/vouchers.pem")).expect("pem")).expect("anchor");
    let by = crate::ztp::port::SignedBy { anchors: &anchor, signer: None, between: &[], at: None };
    let content = crate::ztp::port::Cms::verified(&words, good.voucher.as_deref().expect("voucher"), &by).expect("sound").content;
    let forged = words.sign(&content, super::factory::JSON_VOUCHER, (&own.0, &own.1)).expect("signed");
    refused(with(&|a| a.voucher = Some(forged.clone())), "not the manufacturer's");

    // Signed by nobody: a redirect is followed, and no more.
    let bare = |json: &str| Artefacts { conveyed: artefact::unsigned(Content::JsonConveyed, json.as_bytes()), ..Artefacts::default() };
    refused(check(&place, &bare(r#"{"ietf-sztp-conveyed-info:onboarding-information": {}}"#)), "that nobody has signed");
    let anchored =
        r#"{"ietf-sztp-conveyed-info:redirect-information": {"bootstrap-server": [{"address": "hub", "trust-anchor": "AAAA"}]}}"#;
    let believed = check(&place, &bare(anchored)).expect("followed").believed;
    let Conveyed::Redirect(servers) = believed.info else { panic!("a redirect") };
    assert!(!believed.trusted && servers[0].trust_anchor.is_none(), "whom to trust there is not for a stranger to say");

    // No identity, no zero touch.
    fs::remove_file(place.identity.join("idevid.pem")).expect("removed");
    refused(check(&place, &good), "has no idevid.pem");
}

/// The signature holds, and the signer leads to the pinned certificate: but it is not the owner's certificate.
#[test]
fn another_certificate_of_the_owners_domain_is_not_the_owner() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let good = b.data("good", wish());
    // A second leaf of the same domain.
    let folder = b.file("factory");
    let old = fs::read(folder.join("owner.pem")).expect("owner");
    fs::remove_file(folder.join("owner.pem")).expect("removed");
    b.factory().init().expect("another owner");
    let second = b.data("second", wish());
    let both = format!("{}{}", String::from_utf8(old).expect("pem"), fs::read_to_string(folder.join("owner.pem")).expect("pem"));
    let bag = OpenSsl::new(b.place().work, None).bag(&certificates(&both).expect("two")).expect("bag");
    refused(check(&b.place(), &Artefacts { conveyed: second.conveyed.clone(), ..good.clone() }), "not of the owner");
    refused(check(&b.place(), &Artefacts { conveyed: second.conveyed, owner_certificate: Some(bag), ..good }), "one certificate");
}

#[test]
fn a_sealed_stick_is_read_by_its_box_alone() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let sealed = Wish { sealed_for: Some(b.place().identity.join("idevid.pem")), ..wish() };
    let data = b.data("sealed", sealed);
    assert_eq!(artefact::top("conveyed", &data.conveyed).expect("CMS"), Content::Enveloped);
    check(&b.place(), &data).expect("opened");
    // Another box of the same manufacturer.
    let other = Place { identity: b.file("other"), ..b.place() };
    b.factory().device("BX-3", None, &other.identity).expect("identity");
    refused(check(&other, &data), "not encrypted for this device");
    // What was encrypted must be signed all the same.
    let inside = artefact::unsigned(Content::JsonConveyed, b"{}");
    let envelope = OpenSsl::new(b.place().work, None).seal(&inside, &b.place().identity.join("idevid.pem")).expect("sealed");
    refused(check(&b.place(), &Artefacts { conveyed: envelope, ..data }), "what was encrypted is not signed");
}

#[test]
fn a_boxs_key_stays_on_it_and_its_request_proves_who_asks() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let place = Place { identity: b.file("own"), ..b.place() };
    let csr = b.file("box.csr");
    fs::write(&csr, request("BX-7", &place.identity).expect("request")).expect("csr");
    let key = fs::metadata(place.identity.join("idevid.key")).expect("key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_eq!(request("BX-7", &place.identity).expect_err("again").kind(), Kind::Conflict);
    refused(b.factory().device("BX-8", Some(&csr), &place.identity), "does not name the serial number BX-8");
    // Another word of the same subject says another number: which of them the box would read is not to be guessed.
    let twice = b.file("twice.csr");
    let key = b.file("twice.key");
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/serialNumber=BX-8/serialNumber=BX-1",
        ])
        .args(["-keyout", key.as_str(), "-out", twice.as_str()])
        .output()
        .expect("openssl");
    assert!(made.status.success());
    refused(b.factory().device("BX-8", Some(&twice), &b.file("eight")), "does not name the serial number BX-8");
    b.factory().device("BX-7", Some(&csr), &place.identity).expect("certified");
    refused(b.factory().device("BX-9", None, &place.identity), "is there already");
    assert_eq!(place.device().expect("identity").serial_number, "BX-7");
    check(&place, &b.data("seven", Wish { serial_number: "BX-7".into(), ..wish() })).expect("believed");
    for bad in ["", "a/b", "../x", ".x", "a b", &"x".repeat(65)] {
        refused(request(bad, &b.file("bad")), "1 to 64 letters");
    }
}

#[test]
fn a_hub_hands_out_what_the_owner_has_signed_and_certifies_the_boxs_own_name_alone() {
    if !crate::host::needs(&["openssl"]) {
        return;
    }
    let b = Bench::new();
    let folder = b.file("documents/BX-1");
    fs::create_dir_all(&folder).expect("folder");
    let desk = |owner: Utf8PathBuf| Desk {
        name: "hub.example".into(),
        bootstrap: 8443,
        home: 4336,
        shown: certificates(&fs::read_to_string(b.file("factory/owner.pem")).expect("pem")).expect("certificate"),
        pinned: Box::new(|serial| serial == "BX-3"),
        owner,
        documents: b.file("documents"),
    };
    let (without, desk) = (desk(Utf8PathBuf::new()), desk(b.file("factory")));
    let data = |ask: &Ask| match desk.answer("BX-1", ask).expect("answered") {
        Answer::Data { data, verbose: true } => data,
        other => panic!("{other:?}"),
    };
    refused(desk.answer("BX-2", &Ask::default()), "there is no folder");
    refused(without.answer("BX-1", &Ask::default()), "names no keys to sign with");

    // A stranger is led here again, by a voucher that answers his request and no other.
    let led = data(&Ask { signed_preferred: true, nonce: Some(vec![1; 32]), ..Ask::default() });
    let believed = super::run::judged(&b.place(), &led, false, Some(&[1; 32])).expect("believed").believed;
    let Conveyed::Redirect(servers) = believed.info else { panic!("a redirect") };
    assert_eq!((servers[0].address.as_str(), servers[0].port, servers[0].trust_anchor.is_some()), ("hub.example", 8443, true));
    refused(super::run::judged(&b.place(), &led, false, Some(&[2; 32])), "answers another request");

    let csr = |serial: &str, at: &str| block(&request(serial, &b.file(at)).expect("request"), "CERTIFICATE REQUEST").expect("PEM");
    let made = |der: Vec<u8>| Ask { csr: Csr::Made(der), ..Ask::default() };
    assert_eq!(desk.answer("BX-1", &Ask { csr: Csr::Able, ..Ask::default() }).expect("answered"), Answer::WantsCsr);
    fs::write(folder.join("merge.toml"), "[limits]\ncalls = 7\n").expect("document");
    let own = csr("BX-1", "one");
    let onboarding = check(&b.place(), &data(&made(own.clone()))).expect("believed").believed.info;
    let Conveyed::Onboarding(o) = onboarding else { panic!("onboarding") };
    let text = String::from_utf8(o.configuration.expect("configuration").text).expect("text");
    assert!(text.contains("calls = 7") && text.contains("operational.pem") && text.contains("hub.example:4336"), "{text}");
    let (_, beside) = crate::ztp::enrol::split(&text, Utf8Path::new("/f")).expect("parted");
    let certificate = beside.files.iter().find(|(n, _)| n == "operational.pem").map(|(_, t)| certificates(t).expect("certificate"));
    let named = crate::access::certificate::Certificate::read(&certificate.expect("certificate")[0].0);
    assert_eq!(named.serial.as_deref(), Some("BX-1"));
    refused(desk.answer("BX-1", &made(csr("BX-9", "nine"))), "does not name the serial number BX-1");
    let mut torn = own;
    *torn.last_mut().expect("bytes") ^= 1;
    refused(desk.answer("BX-1", &made(torn)), "its own key has not signed it");
    assert!(!b.file("factory").read_dir_utf8().expect("folder").flatten().any(|f| f.file_name().starts_with("operational-")));

    // Of an enrolled certificate it is the box's own that counts.
    fs::create_dir_all(b.file("documents/BX-3")).expect("folder");
    let able = Ask { csr: Csr::Able, ..Ask::default() };
    assert!(matches!(desk.answer("BX-3", &able).expect("answered"), Answer::Data { .. }), "no request is wanted");
    refused(desk.answer("BX-1", &Ask::default()), "would not let this box in");

    fs::write(folder.join("replace.toml"), "").expect("document");
    refused(desk.answer("BX-1", &Ask::default()), "either merge.toml or replace.toml");
    // What is signed already goes out as it is, without a key.
    b.factory().stick(&wish(), &folder).expect("stick");
    let signed = stick(&folder).expect("readable").expect("there");
    assert_eq!(without.answer("BX-1", &Ask::default()).expect("answered"), Answer::Data { data: signed, verbose: true });
}

#[test]
fn the_names_of_the_files_are_those_of_the_manual() {
    assert_eq!([CONVEYED, OWNER, VOUCHER], ["conveyed-information.cms", "owner-certificate.cms", "ownership-voucher.cms"]);
}
