//! Documents and plans, held without a box.

use serde_json::{Value, json};
use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    Document,
    document::read,
    plan::{Archived, Held, Here, State, Step, There, plan},
};
use crate::{
    model::{
        desired::{ItemKind, Made},
        error::{Fault, Result},
        id::{NsId, OpId},
        op::{OpKind, Phase},
        package::Onboarding,
    },
    nfvo::accept::InstantiateNs,
};

fn ask(request: &str) -> Result<InstantiateNs> {
    match request.contains("wrong") {
        true => Err(Fault::invalid("InstantiateNsRequest").with_reasons(["one".into(), "two".into()])),
        false => Ok(InstantiateNs::default()),
    }
}

fn whole(change: impl Fn(&mut Value)) -> Value {
    let sha = "0".repeat(64);
    let mut v = json!({
        "bothy-desired": 1, "version": 7, "serials": ["BX-1"], "not-after": "2027-01-31T00:00:00Z", "prune": true,
        "packages": [{"id": "web", "sha256": sha, "url": "https://a/web.csar"}],
        "nsds": [{"id": "ns", "sha256": sha}],
        "services": [{"name": "s", "nsdId": "ns", "instantiate": {"nsFlavourId": "df"}}, {"name": "old", "state": "ABSENT"}],
    });
    change(&mut v);
    v
}

fn doc(change: impl Fn(&mut Value)) -> Document {
    read(&whole(change).to_string(), ask).expect("a document")
}

#[test]
fn every_fault_of_a_document_is_told_with_its_place() {
    let d = doc(|_| {});
    assert_eq!((d.version, d.prune, d.services.len(), d.not_after.map(|t| t.0)), (7, true, 2, Some(1_801_353_600_000)));
    type Change = fn(&mut Value);
    let cases: [(Change, &[&str]); 21] = [
        (|v| v["bothy-desired"] = 2.into(), &["bothy-desired: must be 1"]),
        (|v| v["version"] = 0.into(), &["version: must be a number above 0"]),
        (|v| v["version"] = "7".into(), &["version: must be a number above 0"]),
        (|v| v["version"] = ((1u64 << 53) + 1).into(), &["version: must be a number above 0 and up to 9007199254740992"]),
        (|v| v["packages"][0]["url"] = "https://u:p@a/b".into(), &["packages[0].url: must be an https URL"]),
        (|v| v["servces"] = json!([]), &["servces: there is no such member; did you mean 'services'?"]),
        (|v| v["xyz"] = 1.into(), &["xyz: there is no such member; known: bothy-desired, version"]),
        (|v| v["services"][0]["nsd"] = "ns".into(), &["services[0].nsd: there is no such member; did you mean 'nsdId'?"]),
        (|v| v["packages"][0]["sha256"] = "00".into(), &["packages[0].sha256: must be the SHA-256"]),
        (|v| v["packages"][0]["url"] = "file:///etc".into(), &["packages[0].url: must be an https URL"]),
        (|v| v["services"][0]["state"] = "STOPPED".into(), &["services[0].state: must be RUNNING or ABSENT"]),
        (|v| v["services"][1]["name"] = "s".into(), &["services: 's' is named twice"]),
        (|v| v["services"][0]["instantiate"]["wrong"] = 1.into(), &["services[0].instantiate: one", "services[0].instantiate: two"]),
        (|v| v["services"][0]["instantiate"] = 1.into(), &["services[0].instantiate: must be an object"]),
        (|v| v["serials"] = json!([]), &["serials: names no box"]),
        (|v| v["not-after"] = "tomorrow".into(), &["not-after: must be a time"]),
        (|v| v["prune"] = "yes".into(), &["prune: must be true or false"]),
        (|v| v["host"] = json!([]), &["host: must be an object"]),
        (
            |v| {
                let pools = json!([{"node": -1, "size": "4 KiB"}, {"node": 0, "size": "2 MiB", "pages": 1}, {"node": 0, "size": "2 MiB", "pages": 2}]);
                let pfs = json!([{"name": "no such name of a port", "vfs": 70000}]);
                v["host"] =
                    json!({"profile": "fast", "reboot": true, "isolate": "all", "iommu": 1, "hugepages": pools, "pf": pfs, "network": {}});
            },
            &[
                "host.network: there is no such member; known: profile",
                "host.profile: must be none, throughput or realtime",
                "host.reboot: must be allowed or never",
                "host.isolate: ",
                "host.iommu: must be true or false",
                "host.hugepages[0].node: must be a number",
                "host.hugepages[0].pages: must be a number",
                "host.hugepages[0].size: must be \"2 MiB\" or \"1 GiB\"",
                "host.hugepages: ",
                "host.pf[0].vfs: must be a number",
                "host.pf[0].name: ",
            ],
        ),
        (|v| v["host"] = json!({"pf": [{"name": "eth1", "vfs": 2}, {"name": "eth1", "vfs": 3}]}), &["host.pf: 'eth1' is named twice"]),
        (
            |v| {
                v["nsds"] = json!([{"id": " "}, 3]);
                v["services"] = json!({});
            },
            &["nsds[0].id: must be a text", "nsds[0].sha256: must be", "nsds[1]: must be an object", "services: must be a list"],
        ),
    ];
    for (change, words) in cases {
        let f = read(&whole(change).to_string(), ask).expect_err("refused");
        assert_eq!(f.reasons().len(), words.len(), "{f}");
        for (reason, words) in f.reasons().iter().zip(words) {
            assert!(reason.starts_with(words) && !reason.contains("u:p"), "{reason}");
        }
    }
    assert!(read("{", ask).expect_err("refused").text().contains("no JSON"));
}

const ID: Uuid = Uuid::from_u128(9);
const OP: OpId = OpId(Uuid::from_u128(10));

fn made(kind: ItemKind, name: &str) -> Made {
    let digest = match (kind, &doc(|_| {}).services[0].wish) {
        (ItemKind::Service, super::document::Wish::Running(r)) => r.digest,
        _ => [0; 32],
    };
    Made { kind, name: name.into(), id: ID, digest, op: None }
}

fn archived(name: Option<&str>, onboarding: Onboarding) -> Archived {
    Archived {
        id: ID,
        name: name.map(SmolStr::new),
        sha256: Some([0; 32]),
        onboarding,
        enabled: true,
        users: 0,
        failure: None,
        needs: Vec::new(),
    }
}

fn there(name: &str) -> There {
    There { id: NsId(ID), name: name.into(), nsd: "ns".into(), instantiated: true, held: None, ended: None }
}

fn held(kind: OpKind, phase: Phase) -> Option<Held> {
    Some(Held { op: OP, kind, phase, error: Some("no room".into()), asked: false })
}

/// It stopped at something that it had asked of a VNF.
fn asked(kind: OpKind) -> Option<Held> {
    held(kind, Phase::Stuck).map(|h| Held { asked: true, ..h })
}

/// State, word of the step and reason of the one item of that kind and name.
fn of(d: &Document, made: &[Made], here: &Here, kind: ItemKind, name: &str) -> (State, &'static str, String) {
    let all = plan(d, made, here);
    let found: Vec<_> = all.iter().filter(|i| i.kind == kind && i.name == name).collect();
    let [i] = found[..] else { panic!("{all:#?}") };
    let step = match &i.step {
        None => "",
        Some(Step::Fetch { .. }) => "fetch",
        Some(Step::Instantiate { .. }) => "instantiate",
        Some(Step::Retry(_)) => "retry",
        Some(Step::Rollback(_)) => "rollback",
        Some(Step::Terminate(_)) => "terminate",
        Some(Step::DeleteService(_)) => "delete",
        Some(Step::Remove(_)) => "remove",
        Some(Step::Forget) => "forget",
        Some(Step::SetUp { .. }) => "set up",
        Some(Step::Restart { .. }) => "restart",
        Some(Step::UndoSetUp) => "undo",
    };
    (i.state, step, i.reason.clone().unwrap_or_default())
}

fn holds(found: (State, &'static str, String), state: State, step: &str, words: &str) {
    assert_eq!((found.0, found.1), (state, step), "{}", found.2);
    assert!(found.2.contains(words) && (words.is_empty() == found.2.is_empty()), "'{}' is not '{words}'", found.2);
}

#[test]
fn a_package_is_fetched_once_and_what_is_wrong_with_it_is_told() {
    use Onboarding as O;
    let d = doc(|_| {});
    let mine = [made(ItemKind::Package, "web")];
    let other = Archived { sha256: Some([1; 32]), ..archived(Some("web"), O::Onboarded) };
    let off = Archived { enabled: false, ..archived(Some("web"), O::Onboarded) };
    let bad = Archived { failure: Some("no VNFD".into()), ..archived(None, O::Error) };
    for (made, here, state, step, words) in [
        (&[][..], None, State::Pending, "fetch", ""),
        (&[][..], Some(archived(Some("web"), O::Onboarded)), State::InPlace, "", ""),
        (&[][..], Some(other), State::Failed, "", "another archive"),
        (&[][..], Some(off), State::Failed, "", "disabled"),
        // Written down, and not made before the crash; or made, and nothing came.
        (&mine[..], None, State::Pending, "fetch", ""),
        (&mine[..], Some(archived(None, O::Created)), State::Pending, "fetch", ""),
        (&mine[..], Some(archived(None, O::Uploading)), State::Applying, "", ""),
        (&mine[..], Some(archived(None, O::Processing)), State::Applying, "", ""),
        (&mine[..], Some(bad), State::Failed, "fetch", "no VNFD"),
        (&mine[..], Some(archived(Some("fw"), O::Onboarded)), State::Failed, "", "has the id 'fw'"),
    ] {
        let here = Here { packages: here.into_iter().collect(), ..Here::default() };
        holds(of(&d, made, &here, ItemKind::Package, "web"), state, step, words);
    }
    // Without a URL it waits for somebody.
    holds(of(&d, &[], &Here::default(), ItemKind::Nsd, "ns"), State::Pending, "", "names no url");
    let with_url = doc(|v| v["nsds"][0]["url"] = "https://a/ns.csar".into());
    holds(of(&with_url, &[], &Here::default(), ItemKind::Nsd, "ns"), State::Pending, "", "waits for the packages");
    // A package that does not come keeps nobody waiting.
    for (onboarding, state) in [(O::Created, State::Pending), (O::Uploading, State::Applying)] {
        let here = Here { packages: vec![archived(None, onboarding)], vain: vec!["web".into()], ..Here::default() };
        holds(of(&with_url, &mine, &here, ItemKind::Package, "web"), state, if state == State::Pending { "fetch" } else { "" }, "");
        holds(of(&with_url, &mine, &here, ItemKind::Nsd, "ns"), State::Pending, "fetch", "");
    }
    let here = Here { packages: vec![archived(Some("web"), O::Onboarded)], ..Here::default() };
    holds(of(&with_url, &[], &here, ItemKind::Nsd, "ns"), State::Pending, "fetch", "");
}

#[test]
fn a_service_that_shall_run_is_made_once_and_never_mistaken_for_anothers() {
    let d = doc(|_| {});
    let mine = [made(ItemKind::Service, "s")];
    let changed = [Made { digest: [3; 32], ..mine[0].clone() }];
    let idle = There { instantiated: false, ..there("s") };
    let ended = There { ended: Some((OP, "its last operation ended ROLLED_BACK".into())), ..idle.clone() };
    let half = There { ended: Some((OP, "its last operation ended FAILED".into())), ..there("s") };
    let with = |held| There { held, ..idle.clone() };
    for (made, here, state, step, words) in [
        (&[][..], None, State::Pending, "instantiate", ""),
        (&[][..], Some(there("s")), State::Failed, "", "no document made"),
        (&mine[..], None, State::Pending, "instantiate", ""),
        (&mine[..], Some(idle.clone()), State::Pending, "instantiate", ""),
        (&mine[..], Some(with(held(OpKind::Instantiate, Phase::Forward))), State::Applying, "", ""),
        (&mine[..], Some(with(held(OpKind::Instantiate, Phase::Stuck))), State::Failed, "retry", "no room"),
        (&mine[..], Some(with(held(OpKind::Scale, Phase::Stuck))), State::Failed, "", "no room"),
        (&mine[..], Some(ended.clone()), State::Failed, "instantiate", "ROLLED_BACK"),
        (&mine[..], Some(there("s")), State::InPlace, "", ""),
        (&mine[..], Some(half), State::Failed, "", "ended FAILED"),
        (&mine[..], Some(with(asked(OpKind::Instantiate))), State::Failed, "", "by hand"),
        (&changed[..], Some(there("s")), State::Failed, "", "as an earlier document had it"),
        (&changed[..], Some(idle.clone()), State::Pending, "instantiate", ""),
        (&mine[..], Some(There { nsd: "other".into(), ..idle.clone() }), State::Pending, "delete", "of another NSD"),
        (&mine[..], Some(There { nsd: "other".into(), ..there("s") }), State::InPlace, "", ""),
        // What an earlier document had begun stands in nobody's way, also where it asked something of a VNF.
        (&changed[..], Some(with(held(OpKind::Instantiate, Phase::Stuck))), State::Pending, "rollback", "rolled back"),
        (&changed[..], Some(with(asked(OpKind::Instantiate))), State::Pending, "rollback", "rolled back"),
        (&changed[..], Some(with(held(OpKind::Instantiate, Phase::Forward))), State::Applying, "", ""),
        (&changed[..], Some(with(held(OpKind::Scale, Phase::Stuck))), State::Failed, "", "no room"),
        (
            &mine[..],
            Some(There { nsd: "other".into(), ..with(held(OpKind::Instantiate, Phase::Stuck)) }),
            State::Pending,
            "rollback",
            "rolled",
        ),
        (&changed[..], Some(ended.clone()), State::Pending, "instantiate", ""),
    ] {
        let nsds = vec![archived(Some("ns"), Onboarding::Onboarded)];
        let here = Here { services: here.into_iter().collect(), nsds, ..Here::default() };
        holds(of(&d, made, &here, ItemKind::Service, "s"), state, step, words);
    }
    holds(of(&d, &[], &Here::default(), ItemKind::Service, "s"), State::Pending, "", "waits for NSD 'ns'");
}

#[test]
fn nothing_runs_that_is_not_as_it_was_signed() {
    use Onboarding as O;
    let d = doc(|_| {});
    let mine = [made(ItemKind::Service, "s")];
    let other = |name| Archived { sha256: Some([1; 32]), ..archived(Some(name), O::Onboarded) };
    let ns = |of: Archived| Archived { needs: vec!["web".into()], ..of };
    let good = |name| archived(Some(name), O::Onboarded);
    let idle = There { instantiated: false, ..there("s") };
    let with = |kind, phase| There { held: held(kind, phase), ..idle.clone() };
    for (packages, nsd, may) in [
        (vec![good("web")], ns(good("ns")), true),
        (vec![other("web")], ns(good("ns")), false),
        (vec![], ns(good("ns")), false),
        (vec![good("web")], ns(other("ns")), false),
        // It is made of nothing that is not as it should be.
        (vec![other("web")], good("ns"), true),
    ] {
        let failed = There { ended: Some((OP, "its last operation ended ROLLED_BACK".into())), ..idle.clone() };
        for (there, state, step) in [
            (None, State::Pending, "instantiate"),
            (Some(idle.clone()), State::Pending, "instantiate"),
            (Some(failed), State::Failed, "instantiate"),
            (Some(with(OpKind::Instantiate, Phase::Stuck)), State::Failed, "retry"),
        ] {
            let made = if there.is_some() { &mine[..] } else { &[] };
            let here =
                Here { packages: packages.clone(), nsds: vec![nsd.clone()], services: there.into_iter().collect(), ..Here::default() };
            let found = of(&d, made, &here, ItemKind::Service, "s");
            assert_eq!((found.0, found.1), (state, if may { step } else { "" }), "{found:?}");
            assert!(may || found.2.contains("as it was signed"), "{found:?}");
        }
        // What goes may go.
        let here = Here {
            packages,
            nsds: vec![nsd],
            services: vec![There { name: "old".into(), ..with(OpKind::Terminate, Phase::Stuck) }],
            ..Here::default()
        };
        holds(of(&d, &[made(ItemKind::Service, "old")], &here, ItemKind::Service, "old"), State::Failed, "retry", "no room");
    }
}

#[test]
fn only_what_documents_made_goes_and_only_when_one_says_so() {
    let absent = doc(|_| {});
    let mine = [made(ItemKind::Service, "old")];
    let idle = There { instantiated: false, ..there("old") };
    let with = |held| There { held, ..idle.clone() };
    let cases = [
        (Some(there("old")), State::Pending, "terminate", ""),
        (Some(idle.clone()), State::Pending, "delete", ""),
        (None, State::Pending, "forget", "it is gone"),
        (Some(with(held(OpKind::Terminate, Phase::Forward))), State::Applying, "", ""),
        (Some(with(held(OpKind::Terminate, Phase::Stuck))), State::Failed, "retry", "no room"),
        (Some(with(asked(OpKind::Terminate))), State::Failed, "", "by hand"),
        (Some(with(asked(OpKind::Instantiate))), State::Pending, "rollback", "rolled back"),
        (Some(with(held(OpKind::Instantiate, Phase::Stuck))), State::Pending, "rollback", "rolled back"),
        (Some(with(held(OpKind::Heal, Phase::Stuck))), State::Failed, "", "no room"),
    ];
    // By name, and by a document that prunes and does not name it.
    let pruned = doc(|v| v["services"] = json!([]));
    let kept = doc(|v| {
        v["services"] = json!([]);
        v["prune"] = false.into();
    });
    for (here, state, step, words) in cases {
        let here = Here { services: here.into_iter().collect(), ..Here::default() };
        for d in [&absent, &pruned] {
            holds(of(d, &mine, &here, ItemKind::Service, "old"), state, step, words);
        }
        let left = of(&kept, &mine, &here, ItemKind::Service, "old");
        assert!(left.1.is_empty() && left.0 == State::Left || left.1 == "forget", "{left:?}");
    }
    let stranger = Here { services: vec![there("old")], ..Here::default() };
    holds(of(&absent, &[], &stranger, ItemKind::Service, "old"), State::Left, "", "no document made");
    holds(of(&absent, &[], &Here::default(), ItemKind::Service, "old"), State::InPlace, "", "not here");
    // What nobody made is not even looked at.
    assert!(plan(&pruned, &[], &stranger).iter().all(|i| i.kind != ItemKind::Service));
}

#[test]
fn of_the_catalogue_goes_what_nobody_uses_and_packages_go_last() {
    let d = doc(|v| v["services"] = json!([]));
    let made = [made(ItemKind::Package, "was"), Made { id: Uuid::from_u128(11), ..made(ItemKind::Nsd, "gone") }];
    let package = archived(Some("was"), Onboarding::Onboarded);
    let nsd = Archived { id: Uuid::from_u128(11), ..archived(Some("gone"), Onboarding::Onboarded) };
    let both = Here { packages: vec![package.clone()], nsds: vec![nsd.clone()], ..Here::default() };
    holds(of(&d, &made, &both, ItemKind::Nsd, "gone"), State::Pending, "remove", "");
    holds(of(&d, &made, &both, ItemKind::Package, "was"), State::Pending, "", "NSDs go before it");
    let used = Here { packages: vec![Archived { users: 2, ..package.clone() }], ..Here::default() };
    holds(of(&d, &made, &used, ItemKind::Package, "was"), State::Pending, "", "in use by 2");
    let one = Here { packages: vec![package], ..Here::default() };
    holds(of(&d, &made, &one, ItemKind::Package, "was"), State::Pending, "remove", "");
    let kept = doc(|v| v["prune"] = false.into());
    holds(of(&kept, &made, &both, ItemKind::Package, "was"), State::Left, "", "does not name it");
    holds(of(&kept, &made, &Here::default(), ItemKind::Package, "was"), State::Pending, "forget", "gone");
}
