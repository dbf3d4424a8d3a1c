//! Archives that are read at one time and bring one descriptor id: one is onboarded.

use std::sync::Barrier;

use crate::{
    model::{
        error::{Kind, Result},
        id::{NsdInfoId, PnfdInfoId, ProjectId, VnfPkgId},
        package::{NsDescriptor, Onboarding, PnfDescriptor, VnfPackage},
        pnfd::Pnfd,
        time::Stamp,
    },
    node::kit::{Shape, THREE, TestBox, ns_descriptor, nsd, package, vnfd},
    vnfm::rival::Described,
};

/// Two records under way that bring the same, as each was read.
fn rivals<R: Described + Clone>(b: &TestBox, of: [R; 2]) -> [R; 2] {
    for r in &of {
        let id = r.descriptor().expect("a descriptor");
        // When each was read, the other was not onboarded.
        b.core().vnfm().check_new::<R>(&r.key(), ProjectId::DEFAULT, id).expect("new");
        b.put(r);
    }
    of
}

/// Of those that end at once one gets in, and each other one is told by whom it was beaten.
fn one_gets_in<R: Described + Clone + Send + Sync>(b: &TestBox, of: [R; 2], what: &str, end: impl Fn(&R) -> Result<R> + Sync) {
    let of = rivals(b, of);
    let start = Barrier::new(2);
    let ended: Vec<Result<R>> = std::thread::scope(|s| {
        let all: Vec<_> = of
            .iter()
            .map(|r| {
                let (start, end) = (&start, &end);
                s.spawn(move || {
                    start.wait();
                    end(r)
                })
            })
            .collect();
        all.into_iter().map(|t| t.join().expect("ended")).collect()
    });
    let (winner, loser) = if ended[0].is_ok() { (0, 1) } else { (1, 0) };
    let won = ended[winner].as_ref().expect("one gets in");
    assert_eq!(won.onboarding(), Onboarding::Onboarded);
    let fault = ended[loser].as_ref().err().expect("only one gets in");
    assert_eq!(fault.kind(), Kind::Conflict);
    let text = fault.to_string();
    assert!(text.contains(&format!("{what} {}", won.key())) && text.contains("is onboarded already"), "{text}");
    let stored: R = b.store().require(&of[loser].key()).expect("stored");
    assert_eq!(stored.onboarding(), Onboarding::Processing, "its end is written by whoever read it");
    // The same once more is no rival of itself.
    end(&of[winner]).expect("again");
    assert_eq!(end(&of[loser]).err().map(|f| f.kind()), Some(Kind::Conflict));
}

#[test]
fn of_two_that_bring_one_descriptor_at_one_time_one_is_onboarded() {
    for _ in 0..20 {
        let b = TestBox::new();
        let package = |n| VnfPackage {
            id: VnfPkgId(uuid::Uuid::from_u128(n)),
            onboarding: Onboarding::Processing,
            ..package(vnfd("vnf", &Shape::small()))
        };
        one_gets_in(&b, [package(1), package(2)], "by package", |p| b.core().vnfm().end_package(p));
        let nsd = |n| NsDescriptor {
            id: NsdInfoId(uuid::Uuid::from_u128(n)),
            onboarding: Onboarding::Processing,
            ..ns_descriptor(nsd("ns", &THREE))
        };
        one_gets_in(&b, [nsd(3), nsd(4)], "as", |d| b.core().nfvo.end(d));
        let pnfd = Pnfd {
            id: "pnf".into(),
            invariant_id: "i".into(),
            name: "n".into(),
            provider: "p".into(),
            version: "1".into(),
            function: "f".into(),
            location: None,
            ext_cps: Vec::new(),
        };
        let pnfd = |n| PnfDescriptor {
            id: PnfdInfoId(uuid::Uuid::from_u128(n)),
            project: ProjectId::DEFAULT,
            onboarding: Onboarding::Processing,
            pnfd: Some(pnfd.clone()),
            pnfd_path: "pnfd.yaml".into(),
            manifest_path: None,
            archive: None,
            files: Vec::new(),
            failure: None,
            user_data: Vec::new(),
            created: Stamp(1),
            revision: 1,
            users: 0,
        };
        one_gets_in(&b, [pnfd(5), pnfd(6)], "as", |d| b.core().nfvo.end(d));
    }
}

#[test]
fn another_project_may_have_the_same_descriptor() {
    let b = TestBox::new();
    let of = |n, project| VnfPackage {
        id: VnfPkgId(uuid::Uuid::from_u128(n)),
        project: ProjectId(uuid::Uuid::from_u128(project)),
        onboarding: Onboarding::Processing,
        ..package(vnfd("vnf", &Shape::small()))
    };
    for p in [of(1, 7), of(2, 8)] {
        b.put(&p);
        b.core().vnfm().end_package(&p).expect("each in its own");
    }
}
