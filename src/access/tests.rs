//! `Access` as a whole, over a store on disk, with a clock that is handed in.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    Access, Caller, Settings,
    admit::Denied,
    audit::{Told, verify},
    certificate::Certificate,
    digest::Fresh,
    manage::{AccountChange, NewPassword, OAUTH2, ProjectChange, token_id},
    password,
    rate::Limits,
};
use crate::{
    model::{
        access::{AuditEnds, AuditEntry, CertificateRule, Credentials, Quota, Role},
        error::Kind,
        id::ProjectId,
        time::{Clock, Stamp},
    },
    store::{Durability, Options, Store},
};

#[derive(Default)]
struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> Stamp {
        Stamp(1_000_000 + self.0.load(Relaxed))
    }
}

struct Rig {
    access: Access,
    hands: Arc<Hands>,
    store: Store,
    dir: tempfile::TempDir,
}

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const WORD: &str = "correct horse battery";

fn open(store: &Store, hands: &Arc<Hands>) -> (Access, bool) {
    let mono = hands.clone();
    let settings = Settings { limits: Limits { failures: 3, ..Limits::default() }, ..Settings::default() };
    let monotonic = Box::new(move || Duration::from_millis(mono.0.load(Relaxed)));
    Access::open(store.clone(), hands.clone(), monotonic, settings).expect("access")
}

fn rig() -> Rig {
    let dir = tempfile::tempdir().expect("dir");
    let store = Store::open(dir.path(), Options { flush_every_ms: 0, ..Options::default() }).expect("store");
    let hands = Arc::new(Hands::default());
    let (access, provisioned) = open(&store, &hands);
    assert!(!provisioned);
    Rig { access, hands, store, dir }
}

impl Rig {
    fn pass(&self, seconds: u64) {
        self.hands.0.fetch_add(seconds * 1000, Relaxed);
    }
    fn user(&self, name: &str, roles: &[&str], project: ProjectId) -> Caller {
        let credentials = Credentials::User { password: Some(password::hash(WORD).expect("hash")) };
        let roles = roles.iter().map(|r| (*r).into()).collect();
        self.access.create_account(&Caller::root(), name.into(), credentials, roles, project).expect("created");
        self.access.directory().caller(&self.access.account(&Caller::root(), name).expect("account")).expect("caller")
    }
    fn tell(&self, n: usize) {
        for i in 0..n {
            let told = Told { who: Some("eve".into()), method: "POST".into(), path: format!("/p/{i}"), status: 201, ..Told::default() };
            self.access.tell(told).expect("told");
        }
    }
}

#[test]
fn the_first_token_opens_the_box_outlives_a_restart_and_is_nowhere_on_disk() {
    let r = rig();
    let token = r.access.bootstrap().expect("token").reveal().to_owned();
    let c = r.access.by_token(&token).expect("let in");
    assert!(c.every_project && c.name == "admin");
    let (again, provisioned) = open(&r.store, &r.hands);
    assert!(provisioned && again.by_token(&token) == Some(c));
    assert!(again.by_token(&format!("{token}x")).is_none() && again.by_token("").is_none());
    assert!(matches!(again.by_password_at_once(HERE, "admin", &token), Ok(Some(_))), "Basic with the token for a password");
    assert!(matches!(again.by_password_at_once(HERE, "eve", &token), Ok(None)), "and only for its own name");
    r.store.settle().expect("on disk");
    for f in walk(r.dir.path()) {
        let bytes = std::fs::read(&f).expect("file");
        assert!(!bytes.windows(token.len()).any(|w| w == token.as_bytes()), "{}", f.display());
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).expect("dir").flatten().map(|e| e.path());
    entries.flat_map(|p| if p.is_dir() { walk(&p) } else { vec![p] }).collect()
}

#[test]
fn a_password_is_cached_a_minute_and_void_with_the_next_change() {
    let r = rig();
    r.user("eve", &["viewer"], ProjectId::DEFAULT);
    assert!(matches!(r.access.by_password_at_once(HERE, "eve", WORD), Ok(None)), "nothing is known of it yet");
    assert!(r.access.by_password(HERE, "eve", WORD).is_ok());
    assert!(matches!(r.access.by_password_at_once(HERE, "eve", WORD), Ok(Some(_))));
    r.pass(61);
    assert!(matches!(r.access.by_password_at_once(HERE, "eve", WORD), Ok(None)));
    assert!(r.access.by_password(HERE, "eve", WORD).is_ok());
    let change = AccountChange { password: Some(NewPassword("another password".into())), ..AccountChange::default() };
    r.access.change_account(&Caller::root(), "eve", change).expect("changed");
    assert!(matches!(r.access.by_password(HERE, "eve", WORD), Err(Denied::Unknown)));
    assert!(r.access.by_password(HERE, "eve", "another password").is_ok());
    let off = AccountChange { enabled: Some(false), ..AccountChange::default() };
    r.access.change_account(&Caller::root(), "eve", off).expect("changed");
    assert!(matches!(r.access.by_password(HERE, "eve", "another password"), Err(Denied::Unknown)));
}

#[test]
fn wrong_passwords_lock_the_guesser_and_not_the_user() {
    let r = rig();
    r.user("eve", &["viewer"], ProjectId::DEFAULT);
    let (token, _) = r.access.issue("eve", "t".into(), None, Durability::Lazy).expect("token");
    for name in ["eve", "nobody"] {
        for _ in 0..3 {
            assert!(matches!(r.access.by_password(THERE, name, "wrong password"), Err(Denied::Unknown)), "{name}");
        }
        assert!(matches!(r.access.by_password(THERE, name, WORD), Err(Denied::Wait { after, .. }) if after == Duration::from_secs(10)));
    }
    assert!(r.access.by_password(HERE, "eve", WORD).is_ok(), "she herself comes from elsewhere");
    assert!(r.access.by_token(token.reveal()).is_some(), "tokens go on");
    assert!(matches!(r.access.by_password_at_once(THERE, "eve", token.reveal()), Ok(Some(_))), "also as a password");
    r.pass(10);
    assert!(r.access.by_password(THERE, "eve", WORD).is_ok());
}

#[test]
fn a_third_check_at_one_time_is_put_off() {
    let r = rig();
    r.user("eve", &["viewer"], ProjectId::DEFAULT);
    let (_a, _b) = (r.access.checks.enter(), r.access.checks.enter());
    assert!(matches!(r.access.by_password(HERE, "eve", WORD), Err(Denied::Wait { after, .. }) if after == Duration::from_secs(1)));
}

#[test]
fn tokens_end_by_time_by_word_and_with_their_account() {
    let r = rig();
    let root = Caller::root();
    let eve = r.user("eve", &["viewer"], ProjectId::DEFAULT);
    let give = |life| r.access.issue_by(&eve, false, "eve", "ci".into(), life).expect("token");
    let (short, _) = give(Some(Duration::from_secs(60)));
    let (long, t) = give(None);
    r.pass(59);
    assert!(r.access.by_token(short.reveal()).is_some());
    r.pass(1);
    assert!(r.access.by_token(short.reveal()).is_none() && r.access.by_token(long.reveal()).is_some());
    assert_eq!(r.access.tokens(&eve, false).len(), 1, "what is over is not shown");
    let bob = r.user("bob", &["viewer"], ProjectId::DEFAULT);
    assert_eq!(r.access.revoke(&bob, false, &token_id(&t)).expect_err("not his").kind(), Kind::NotFound);
    r.access.revoke(&eve, false, &token_id(&t)).expect("revoked");
    assert!(r.access.by_token(long.reveal()).is_none());
    let (last, _) = give(None);
    r.access.delete_account(&root, "eve").expect("deleted");
    assert!(r.access.by_token(last.reveal()).is_none());
    r.user("eve", &["admin"], ProjectId::DEFAULT);
    assert!(r.access.by_token(last.reveal()).is_none(), "an account of the same name is another");
}

#[test]
fn the_token_endpoint_cannot_fill_the_memory() {
    let r = rig();
    r.user("eve", &["viewer"], ProjectId::DEFAULT);
    let kept = r.access.issue("eve", "mine".into(), None, Durability::Lazy).expect("token").0;
    let mut last = None;
    for _ in 0..100 {
        r.pass(1);
        last = Some(r.access.issue_for_a_while("eve", OAUTH2).expect("token"));
    }
    let d = r.access.directory();
    assert_eq!(d.tokens.len(), 64);
    assert!(d.tokens.contains_key(&kept.sha256()) && d.tokens.contains_key(&last.expect("last").sha256()));
}

#[test]
fn nobody_gives_away_more_than_he_has_nor_reaches_into_other_projects() {
    let r = rig();
    let root = Caller::root();
    let lab = r.access.create_project("lab".into(), String::new(), Quota::default()).expect("project").id;
    let permissions = ["identity:read", "identity:create", "identity:change", "identity:delete", "vnf:read", "own:read", "about:read"];
    let permissions: Vec<_> = permissions.iter().map(|p| p.parse().expect("permission")).collect();
    r.access.put_role(&root, "hr".into(), String::new(), permissions.clone(), false).expect("role");
    let boss = r.user("boss", &["hr"], lab);
    r.user("other", &["viewer"], ProjectId::DEFAULT);
    r.user("above", &["operator"], lab);
    let none = || Credentials::User { password: None };
    let make = |roles: &[&str], project| {
        let roles = roles.iter().map(|r| (*r).into()).collect();
        r.access.create_account(&boss, "new".into(), none(), roles, project)
    };
    assert_eq!(make(&["admin"], lab).expect_err("more").kind(), Kind::Forbidden);
    assert_eq!(make(&["viewer"], lab).expect_err("more").kind(), Kind::Forbidden);
    assert_eq!(make(&["hr"], ProjectId::DEFAULT).expect_err("elsewhere").kind(), Kind::Invalid);
    assert_eq!(make(&["nosuch"], lab).expect_err("unknown").kind(), Kind::Invalid);
    assert!(make(&["hr"], lab).is_ok());
    let word = || AccountChange { password: Some(NewPassword(WORD.into())), ..AccountChange::default() };
    assert_eq!(r.access.change_account(&boss, "other", word()).expect_err("elsewhere").kind(), Kind::NotFound);
    assert_eq!(r.access.change_account(&boss, "above", word()).expect_err("a way up").kind(), Kind::Forbidden);
    assert_eq!(r.access.issue_by(&boss, true, "above", "t".into(), None).err().map(|f| f.kind()), Some(Kind::Forbidden));
    assert_eq!(r.access.delete_account(&boss, "above").expect_err("a way up").kind(), Kind::Forbidden);
    assert_eq!(r.access.put_role(&boss, "x".into(), String::new(), permissions, false).expect_err("for all").kind(), Kind::Forbidden);
    assert!(r.access.accounts(&boss).iter().all(|a| a.project == lab));
    let names: Vec<_> = r.access.projects(&boss).into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["lab"]);
    assert_eq!(r.access.project(&boss, "default").expect_err("not his").kind(), Kind::NotFound);
}

#[test]
fn a_certificate_speaks_for_one_client_or_for_none() {
    let r = rig();
    let root = Caller::root();
    let client = |name: &str, rule: CertificateRule| {
        let credentials = Credentials::Client { secret: None, certificates: vec![rule] };
        r.access.create_account(&root, name.into(), credentials, vec!["nfvo".into()], ProjectId::DEFAULT).expect("client");
    };
    client("central", CertificateRule::CommonName("nfvo-1".into()));
    let cert = |name: &str, dns: &str| Certificate { common_name: Some(name.into()), dns: vec![dns.into()], ..Certificate::default() };
    assert_eq!(r.access.by_certificate(&cert("nfvo-1", "a")).map(|c| c.name), Some("central".into()));
    assert!(r.access.by_certificate(&cert("nfvo-2", "a")).is_none());
    client("rival", CertificateRule::Dns("a".into()));
    assert!(r.access.by_certificate(&cert("nfvo-1", "a")).is_none(), "two claim it");
    assert!(r.access.by_certificate(&cert("nfvo-1", "b")).is_some());
    let fresh = r.access.renew_secret(&root, "central").expect("secret").1;
    assert!(matches!(r.access.by_password_at_once(HERE, "central", fresh.reveal()), Ok(Some(_))));
    let other = Fresh::make().expect("secret");
    assert!(matches!(r.access.by_password(HERE, "central", other.reveal()), Err(Denied::Unknown)));
}

#[test]
fn whoever_changes_his_password_waits_for_a_place_as_at_a_login() {
    let r = rig();
    let eve = r.user("eve", &[], ProjectId::DEFAULT);
    r.access.by_password(HERE, "eve", WORD).expect("known from here on, without argon2");
    let places = (r.access.checks.enter(), r.access.checks.enter());
    assert!(places.1.is_some());
    let change = || r.access.change_own_password(HERE, &eve, WORD, "a second password");
    assert!(matches!(change(), Err(Denied::Wait { .. })), "a hash costs what a check does");
    drop(places);
    change().expect("changed");
    assert!(matches!(r.access.by_password(HERE, "eve", WORD), Err(Denied::Unknown)));
    assert!(r.access.by_password(HERE, "eve", "a second password").is_ok());
}

#[test]
fn what_somebody_else_has_made_of_an_account_meanwhile_stays() {
    let r = rig();
    let eve = r.user("eve", &[], ProjectId::DEFAULT);
    let had = r.access.own_password(&eve).expect("a user");
    let reset = AccountChange { password: Some(NewPassword("set by the admin".into())), ..AccountChange::default() };
    r.access.change_account(&Caller::root(), "eve", reset).expect("changed");
    let late = r.access.exchange(&eve, &had, password::hash("of a thief").expect("hash")).expect_err("too late");
    assert_eq!(late.kind(), Kind::Conflict);
    assert!(r.access.by_password(HERE, "eve", "set by the admin").is_ok());
}

#[test]
fn a_project_goes_only_when_it_owns_nothing() {
    let r = rig();
    let root = Caller::root();
    let lab = r.access.create_project("lab".into(), String::new(), Quota::default()).expect("project").id;
    assert_eq!(r.access.create_project("lab".into(), String::new(), Quota::default()).expect_err("twice").kind(), Kind::Conflict);
    r.user("eve", &["viewer"], lab);
    let e = r.access.delete_project(&root, "lab").expect_err("owns").to_string();
    assert_eq!(e, "project 'lab' still owns 1 accounts");
    r.access.delete_account(&root, "eve").expect("deleted");
    let rename = ProjectChange { name: Some("yard".into()), ..ProjectChange::default() };
    assert_eq!(r.access.change_project(&root, &lab.to_string(), rename).expect("changed").name, "yard");
    r.access.delete_project(&root, "yard").expect("deleted");
    assert_eq!(r.access.delete_project(&root, "default").expect_err("stays").kind(), Kind::Conflict);
    let role =
        Role { name: "r".into(), description: String::new(), permissions: vec![], every_project: false, created: Stamp(0), revision: 1 };
    r.access.put_role(&root, role.name, role.description, role.permissions, false).expect("role");
    r.user("bob", &["r"], ProjectId::DEFAULT);
    assert_eq!(r.access.delete_role("r").expect_err("held").kind(), Kind::Conflict);
    assert_eq!(r.access.delete_role("admin").expect_err("built in").kind(), Kind::Conflict);
}

#[test]
fn the_audit_trail_is_whole_over_a_restart() {
    let r = rig();
    r.tell(5);
    let (again, _) = open(&r.store, &r.hands);
    again.tell(Told { who: Some("bob".into()), ..Told::default() }).expect("told");
    let v = again.verify_audit().expect("verified");
    assert_eq!((v.entries, v.first, v.last, v.fault), (6, 1, 6, None));
    let page: Vec<u64> = again.audit_page(None, 4).expect("page").iter().map(|e| e.sequence).collect();
    assert_eq!(page, [6, 5, 4, 3]);
    let page: Vec<u64> = again.audit_page(Some(3), 4).expect("page").iter().map(|e| e.sequence).collect();
    assert_eq!(page, [2, 1]);
}

/// Each field of each entry, and each entry as a whole.
#[test]
fn the_chain_misses_a_changed_field_and_an_entry_that_is_gone() {
    type Bend = fn(&mut AuditEntry);
    let bends: [Bend; 10] = [
        |e| e.at.0 ^= 1,
        |e| e.who = "mallory".into(),
        |e| e.source = "elsewhere".into(),
        |e| e.project = Some(ProjectId::DEFAULT),
        |e| e.method = "GET".into(),
        |e| e.path.push('x'),
        |e| e.status ^= 1,
        |e| e.op = Some(crate::model::id::OpId(uuid::Uuid::from_u128(1))),
        |e| e.why = "because".into(),
        |e| e.hash[7] ^= 1,
    ];
    for bend in bends {
        for at in 1..=4u64 {
            let r = rig();
            r.tell(4);
            r.store
                .write_history(Durability::Lazy, |tx| {
                    tx.update::<AuditEntry>(&at, |e| {
                        bend(e);
                        Ok(())
                    })
                })
                .expect("bent");
            assert!(verify(&r.store).expect("verify").fault.is_some(), "entry {at}");
        }
    }
    for at in 1..=4u64 {
        let r = rig();
        r.tell(4);
        r.store.write_history(Durability::Lazy, |tx| tx.delete::<AuditEntry>(&at)).expect("gone");
        let v = verify(&r.store).expect("verify");
        assert!(v.fault.as_ref().is_some_and(|f| f.contains("missing")), "{at}: {v:?}");
    }
    // Whoever mends the chain behind his change still misses the end.
    let r = rig();
    r.tell(4);
    r.store
        .write_history(Durability::Lazy, |tx| {
            tx.update::<AuditEntry>(&4, |e| {
                e.status = 200;
                e.hash = super::audit::hash_of(e);
                Ok(())
            })
        })
        .expect("bent");
    assert!(verify(&r.store).expect("verify").fault.is_some_and(|f| f.contains("written last")));
}

#[test]
fn the_oldest_entries_go_and_the_rest_is_still_whole() {
    let r = rig();
    r.access.set_settings(Settings { audit_keep: 10, ..Settings::default() });
    r.tell(300);
    let v = r.access.verify_audit().expect("verified");
    assert_eq!((v.last, v.fault.clone()), (300, None));
    assert!((10..=10 + 64).contains(&v.entries) && v.first == 301 - v.entries, "{v:?}");
    let ends: AuditEnds = r.store.get_history(&"audit.ends").expect("read").expect("ends");
    r.store.write_history(Durability::Lazy, |tx| tx.delete::<AuditEntry>(&ends.first)).expect("gone");
    assert!(r.access.verify_audit().expect("verified").fault.is_some(), "the oldest one kept is missed too");
}

#[test]
fn refusals_of_strangers_cannot_push_changes_out() {
    let r = rig();
    r.tell(1);
    for _ in 0..1000 {
        r.access.tell(Told { status: 401, ..Told::default() }).expect("told");
    }
    r.tell(1);
    let v = r.access.verify_audit().expect("verified");
    assert_eq!((v.entries, v.fault), (102, None));
    let last = &r.access.audit_page(None, 1).expect("page")[0];
    assert!(last.why.contains("900 refusals of unknown callers"), "{}", last.why);
}
