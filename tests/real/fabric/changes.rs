//! Functions put into a running chain, taken out and moved, under load.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bothy::{
    model::chain::{Family, HopKind},
    sdn::{
        chain::{Hop, SwitchChain},
        handover::cutover,
        port::Fabric,
    },
};

use super::{function::*, lab::*};
use crate::kit::eventually;

const CONNECTIONS: usize = 40;

#[test]
fn transparent_functions_come_go_and_change_places_and_no_connection_is_lost() {
    let Some(lab) = lab() else { return };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12, 13, 14])).expect("link");
    let functions = [Function::wire(&lab, 11, 12, 7), Function::wire(&lab, 13, 14, 7)];
    serve(&web, &[80]);
    let [a, b] = [hop("a", HopKind::Transparent, &[(11, 12)]), hop("b", HopKind::Transparent, &[(13, 14)])];
    let with = |hops: &[&Hop]| {
        let mut c = chain(1, tcp(80), hops.iter().map(|h| (*h).clone()).collect());
        c.classifiers.push(ping(Family::Ipv4));
        c
    };
    let mut now: SwitchChain = with(&[&a]);
    lab.fabric.ensure_chain(&now).expect("chain");
    functions.iter().for_each(|f| f.watch("tcp dport 80"));
    assert!(soon(true, || connects(&client, &web, 80) && functions[0].seen() > 0));

    let (over, echoes_made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let talking: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut s = dial_now(&client, &web, 80).expect("a connection");
            let (over, made) = (over.clone(), echoes_made.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    if !echoes(&mut s) {
                        return false;
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                }
                echoes(&mut s)
            })
        })
        .collect();
    let changes: [(&str, Vec<&Hop>); 6] = [
        ("b put in", vec![&a, &b]),
        ("b first", vec![&b, &a]),
        ("a taken out", vec![&b]),
        ("none left", vec![]),
        ("both", vec![&a, &b]),
        ("one", vec![&a]),
    ];
    const ROUNDS: usize = 5;
    let (sent, lost, gap) = stream_while(&client, &web, || {
        for (what, hops) in (0..ROUNDS).flat_map(|_| &changes) {
            let next = with(hops);
            let told = cutover(&now, &next, 300);
            assert!(!told.lines.is_empty() && told.noting_s.is_none(), "{what}: {told:?}");
            lab.fabric.ensure_chain(&next).expect("changed");
            now = next;
            // Until then the old way may be taken.
            client.settle();
            let before = echoes_made.load(Ordering::SeqCst);
            functions.iter().for_each(|f| f.watch("tcp dport 80"));
            eventually("the load goes on", || echoes_made.load(Ordering::SeqCst) > before + 2 * CONNECTIONS as u64);
            let (passed, named) = ([0, 1].map(|n| functions[n].seen() > 0), ["a", "b"].map(|n| now.hops.iter().any(|h| h.name == n)));
            assert!(passed.iter().zip(named).all(|(passed, named)| *passed || !named), "{what}: {passed:?}");
        }
    });
    over.store(true, Ordering::SeqCst);
    let living = talking.into_iter().map(|t| t.join().expect("a connection's thread")).filter(|alive| *alive).count();
    eprintln!(
        "{} changes of a running chain: {living} of {CONNECTIONS} connections live, {lost} of {sent} packets lost, at most {} ms of silence, {} echoes",
        ROUNDS * changes.len(),
        gap.as_millis(),
        echoes_made.load(Ordering::SeqCst)
    );
    assert_eq!(living, CONNECTIONS);
}
