//! One hop of several instances: which connection passes which of them, and what becomes of it when they
//! come and go.

use std::{collections::BTreeSet, net::TcpStream};

use bothy::{model::chain::HopKind, sdn::port::Fabric};

use super::function::*;
use crate::kit::eventually;

const CONNECTIONS: usize = 40;

/// All connections still live, and each of them passes one function there and the same one back; which of
/// them pass each function.
fn shares(functions: &[&Function], talking: &mut [TcpStream], what: &str) -> Vec<BTreeSet<u16>> {
    functions.iter().for_each(|f| f.note(80));
    for round in 0..3 {
        let living = talking.iter_mut().map(echoes).filter(|alive| *alive).count();
        assert_eq!(living, CONNECTIONS, "{what}, round {round}");
    }
    let all: BTreeSet<u16> = talking.iter().map(|s| s.local_addr().expect("address").port()).collect();
    let each: Vec<[BTreeSet<u16>; 2]> = functions.iter().map(|f| f.noted()).collect();
    for port in &all {
        let passed = |way: usize| -> Vec<bool> { each.iter().map(|f| f[way].contains(port)).collect() };
        assert_eq!(passed(0).iter().filter(|p| **p).count(), 1, "{what}: a connection passes one function, {port}: {:?}", passed(0));
        assert_eq!(passed(0), passed(1), "{what}: and the same one on its way back, {port}");
    }
    each.into_iter().map(|[there, _]| there.intersection(&all).copied().collect()).collect()
}

#[test]
fn connections_are_shared_by_the_instances_of_a_hop_and_each_keeps_its_own_both_ways() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12, 13, 14])).expect("link");
    let (one, two) = (Function::wire(&lab, 11, 12, 7), Function::wire(&lab, 13, 14, 7));
    serve(&web, &[80]);
    let c = chain(1, tcp(80), vec![hop("pair", HopKind::Transparent, &[(11, 12), (13, 14)])]);
    c.check().expect("a chain");
    lab.fabric.ensure_chain(&c).expect("chain");
    assert!(soon(true, || connects(&client, &web, 80)) && client.reaches(&web));
    eventually("both live", || lab.fabric.chain_state(c.id).expect("state").hops[0].live == 2);
    lab.fabric.ensure_chain(&c).expect("with the flows of both");
    let whole = lab.flows().len();
    // The chain's own flows as well: what it says of its instances may be said a moment before.
    let live = |n: usize| {
        eventually("the switch knows who lives", || {
            let state = lab.fabric.chain_state(c.id).expect("state");
            state.hops[0].live == n && (lab.flows().len() == whole) == (n == 2)
        });
    };
    live(2);

    let mut talking: Vec<TcpStream> = (0..CONNECTIONS).map(|_| dial_now(&client, &web, 80).expect("a connection")).collect();
    let first = shares(&[&one, &two], &mut talking, "both");
    eprintln!("{CONNECTIONS} connections by two instances: {} and {}", first[0].len(), first[1].len());
    assert!(first.iter().all(|s| !s.is_empty()), "both have some: {first:?}");
    assert_eq!(shares(&[&one, &two], &mut talking, "both, later"), first, "and each keeps its own");

    for (goes, stays) in [(&two, &one), (&one, &two)] {
        goes.disconnect(&lab);
        live(1);
        // No cached flow leads to the one that went.
        assert!(client.reaches(&web));
        let left = shares(&[stays], &mut talking, "one of them");
        assert_eq!(left[0].len(), CONNECTIONS, "all go on by the one that is there");
        goes.connect(&lab, 7);
        live(2);
        assert!(client.reaches(&web));
        assert_eq!(shares(&[&one, &two], &mut talking, "both again"), first, "as before it went");
    }
}
