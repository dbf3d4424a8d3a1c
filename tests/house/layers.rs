//! Who may name whom: each arrow in the sources against the table in `rules`.

use super::{
    paths::named,
    rules::{FOREIGN, MAY_NAME, TESTS_MAY_NAME},
    tree::sources,
};

/// `src/vnfm/plan.rs` belongs to `vnfm`, `vnfm/plan.rs` and to the file `src/vnfm.rs`'s room.
fn within(path: &str, row: &str) -> bool {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let rest = path.strip_prefix(row);
    rest.is_some_and(|r| r.is_empty() || r == ".rs" || r.starts_with('/'))
}

fn room(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn covers(entry: &str, named: &[String]) -> bool {
    let entry: Vec<&str> = entry.split("::").collect();
    named.len() >= entry.len() && entry.iter().zip(named).all(|(e, n)| e == n)
}

/// The arrows of one file that the table does not have.
fn broken(path: &str, text: &str) -> Vec<String> {
    let (ours, foreign) = named(path, text);
    let mut faults = Vec::new();
    for n in ours {
        let target = n.path.first().map_or("*", String::as_str);
        let mut allowed = MAY_NAME.iter().filter(|(row, _)| within(path, row)).flat_map(|(_, may)| may.iter());
        let own = target == room(path);
        let by_test = n.test && TESTS_MAY_NAME.contains(&target);
        if !own && !by_test && !allowed.any(|entry| covers(entry, &n.path)) {
            faults.push(format!("{path}:{}: {} must not name {}", n.line, room(path), n.path.join("::")));
        }
    }
    for f in foreign {
        for (name, may, why) in FOREIGN.iter().filter(|(name, ..)| *name == f.name) {
            if !f.test && !may.iter().any(|row| within(path, row)) {
                faults.push(format!("{path}:{}: {} must not name {name}: {why}", f.line, room(path)));
            }
        }
    }
    faults
}

#[test]
fn every_arrow_is_in_the_table() {
    let faults: Vec<String> = sources("src").iter().flat_map(|s| broken(&s.path, &s.text)).collect();
    assert!(faults.is_empty(), "{} arrows break the layers:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_room_has_a_row_and_every_row_a_room() {
    let files = sources("src");
    for s in &files {
        assert!(MAY_NAME.iter().any(|(row, _)| within(&s.path, row)), "{} is in no row of the layer table", s.path);
    }
    let foreign = FOREIGN.iter().flat_map(|(_, may, _)| may.iter().copied());
    for row in MAY_NAME.iter().map(|(row, _)| *row).chain(foreign) {
        assert!(files.iter().any(|s| within(&s.path, row)), "the layer table knows {row}, the sources do not");
    }
}

#[test]
fn exceptions_for_one_file_are_in_use() {
    let files = sources("src");
    for (name, may, _) in FOREIGN {
        for row in may.iter().filter(|row| row.contains('/')) {
            let used = |s: &super::tree::Source| within(&s.path, row) && named(&s.path, &s.text).1.iter().any(|f| f.name == *name);
            assert!(files.iter().any(used), "{row} may name {name} and does not: take the exception out");
        }
    }
}

#[test]
fn a_broken_arrow_is_caught_in_whatever_form() {
    let cases = [
        ("src/model/vnf.rs", "use crate::store::Tx;"),
        ("src/model/vnf.rs", "fn f() { let x: crate::sol::common::Checksum; }"),
        ("src/lcm/engine.rs", "use crate::{model::id::VnfId, vnfm};"),
        ("src/lcm/engine.rs", "use crate::{model::id::VnfId, vim::{self, port::Images}};"),
        ("src/lcm/mod.rs", "use super::nfvo::Nfvo;"),
        ("src/lcm/mod.rs", "use super::*;"),
        ("src/vnfm/plan.rs", "macro_rules! m { () => { $crate::libvirt::Libvirt } }"),
        ("src/vnfm/plan.rs", "use crate::sim::Sim;"),
        ("src/libvirt/guest.rs", "use crate::vim::capacity::Account;"),
        ("src/ovs/plan.rs", "use crate::host::exec;"),
        ("src/cli/vnf.rs", "use crate::store::Store;"),
        ("src/api/routes.rs", "use nix::unistd;"),
        ("src/api/routes.rs", "fn f(d: &::sled::Db) {}"),
        ("src/node/core.rs", "use virt as v;"),
        ("src/nfvo/run.rs", "use {sled::Db, std::fs};"),
        ("src/vim/capacity.rs", "async fn f() { tokio::task::yield_now().await }"),
        ("src/newroom/mod.rs", "use crate::model::id::VnfId;"),
    ];
    for (path, text) in cases {
        assert!(!broken(path, text).is_empty(), "{path}: {text}");
    }
}

#[test]
fn an_arrow_of_the_table_passes() {
    let cases = [
        ("src/vnfm/plan.rs", "use crate::{model::id::VnfId, vim::port::Images, vnfm::run}; use super::day0;"),
        ("src/vnfm/plan.rs", "// crate::nfvo is above us\nconst S: &str = \"crate::nfvo\";"),
        ("src/vnfm/plan.rs", "#[cfg(test)] mod tests { use crate::sim::Sim; use super::*; }"),
        ("src/vnfm/tests/sweep.rs", "use crate::sim::Sim;"),
        ("src/libvirt/guest.rs", "use crate::vim::port::Hypervisor; use virt::domain::Domain;"),
        ("src/cli/store.rs", "use crate::store::Store;"),
        ("src/config.rs", "use crate::model::error::Fault; mod keys; use self::keys::K;"),
        ("src/store/database.rs", "use sled::Db;"),
    ];
    for (path, text) in cases {
        assert!(broken(path, text).is_empty(), "{:?}", broken(path, text));
    }
}
