//! A thousand VNFs in one service: it works, and what it costs.

use std::time::Instant;

use crate::{
    model::{id::NsId, vnf::Stopping},
    node::kit::{Shape, TestBox, nsd, vnfd},
};

fn service(members: usize) -> (TestBox, NsId) {
    let b = TestBox::new();
    b.onboard(vnfd("vnf", &Shape::small()));
    let names: Vec<String> = (0..members).map(|n| format!("m{n}")).collect();
    let of: Vec<(&str, &str, &[&str])> = names.iter().map(|n| (n.as_str(), "vnf", &[] as &[&str])).collect();
    b.onboard_nsd(nsd("ns", &of));
    let id = b.create_ns("ns");
    (b, id)
}

/// Up and down again; prints what both took.
fn cycle(members: usize) {
    let (b, id) = service(members);
    let t = Instant::now();
    let op = b.instantiate_ns(id);
    let accepted = t.elapsed();
    b.assert_state(op, "COMPLETED");
    let up = t.elapsed();
    assert_eq!(b.ns(id).members.len(), members);
    b.assert_ns_up(id);
    let t = Instant::now();
    let op = b.core().nfvo.terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id;
    b.assert_state(op, "COMPLETED");
    let down = t.elapsed();
    b.assert_nothing_left();
    println!("{members:5} VNFs: accepted after {accepted:?}, up after {up:?} ({:?} each), down after {down:?}", up / members as u32);
}

/// What a member moves on by goes along with the end of one or the other; each used to be a
/// transaction of its own.
#[test]
fn a_member_costs_fewer_than_two_transactions() {
    const MEMBERS: usize = 60;
    let (b, id) = service(MEMBERS);
    let count = || b.store().stats().expect("stats").live.transactions;
    let before = count();
    let op = b.instantiate_ns(id);
    b.assert_state(op, "COMPLETED");
    let took = count() - before;
    assert!(took < 2 * MEMBERS as u64, "{took} transactions for {MEMBERS} members");
}

#[test]
fn a_service_of_hundreds_of_vnfs_comes_and_goes() {
    cycle(200);
}
