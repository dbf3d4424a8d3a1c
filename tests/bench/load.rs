//! A function put into a running chain and taken out again while traffic passes: how many connections and packets that
//! costs. Guests are namespaces, as in the tests whose kit this is; the switch is the bench's own, on its userspace datapath.

#[allow(dead_code)]
#[path = "../real/fabric/function.rs"]
mod function;
#[allow(dead_code)]
#[path = "../real/fabric/lab.rs"]
mod lab;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bothy::{
    model::chain::{Family, HopKind},
    sdn::{chain::SwitchChain, port::Fabric as _},
};

use crate::{
    kit,
    table::{Goal, Row, long, ms},
};
use function::{Function, chain, dial_now, echoes, hop, link_with_wires, ping, serve, talker, tcp};
use lab::stream_while;

const CONNECTIONS: usize = 40;

pub fn measure() -> Vec<Row> {
    std::thread::scope(|s| s.spawn(insertion).join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
}

/// The load is TCP connections that are asked again and again, and one packet each millisecond beside them.
fn insertion() -> Vec<Row> {
    let Some(lab) = function::lab() else { return Vec::new() };
    let (client, web) = (talker(&lab, 1, 7), talker(&lab, 2, 7));
    lab.fabric.ensure_segment(&link_with_wires(1, 7, &[1, 2], &[11, 12])).expect("link");
    let bump = Function::wire(&lab, 11, 12, 7);
    serve(&web, &[80]);
    let with = |hops| -> SwitchChain {
        let mut c = chain(1, tcp(80), hops);
        c.classifiers.push(ping(Family::Ipv4));
        c
    };
    let (without, inserted) = (with(Vec::new()), with(vec![hop("bump", HopKind::Transparent, &[(11, 12)])]));
    lab.fabric.ensure_chain(&without).expect("chain");
    client.settle();

    let (over, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let changes = if long() { 100 } else { 20 };
    let (living, (sent, lost, silence)) = std::thread::scope(|s| {
        let talk = |_| {
            let mut c = dial_now(&client, &web, 80).expect("a connection");
            let (over, answers) = (&over, &answers);
            s.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    if !echoes(&mut c) {
                        return false;
                    }
                    answers.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                }
                echoes(&mut c)
            })
        };
        let talking: Vec<_> = (0..CONNECTIONS).map(talk).collect();
        let seen = stream_while(&client, &web, || {
            for n in 0..changes {
                let next = if n % 2 == 0 { &inserted } else { &without };
                lab.fabric.ensure_chain(next).expect("changed");
                let before = answers.load(Ordering::SeqCst);
                kit::eventually("the load goes on", || answers.load(Ordering::SeqCst) > before + CONNECTIONS as u64);
            }
        });
        over.store(true, Ordering::SeqCst);
        (talking.into_iter().map(|t| t.join().expect("a connection")).filter(|alive| *alive).count(), seen)
    });
    // It did lead through the function.
    lab.fabric.ensure_chain(&inserted).expect("chain");
    bump.watch("tcp dport 80");
    assert!(function::soon(true, || function::connects(&client, &web, 80) && bump.seen() > 0), "no frame passed the function");
    let what = format!("chain: function in and out under load, {changes} changes");
    vec![
        Row::new(format!("{what}: of {CONNECTIONS} TCP connections lost"), "", (CONNECTIONS - living) as f64, None, Goal::AtMost(0.0)),
        Row::new(format!("{what}: of {sent} packets lost"), "", lost as f64, None, Goal::Shown),
        Row::new(format!("{what}: longest silence"), "ms", ms(silence), None, Goal::Shown),
    ]
}
