//! The bytes of every record and of each variant in it, as they are on disk at customers.
//!
//! `golden.txt` has one line for each, `name hex`. A line is never changed: a shape that changes
//! raises its record's version, and the old line is then read by `upgrade` (`assert_reads`). After
//! adding a value, `BOTHY_GOLDEN=print cargo test golden -- --nocapture` prints the lines that are
//! missing.

mod descriptor;
mod desired;
mod grants;
mod hostnet;
mod instance;
mod notifications;
mod operation;
mod own;
mod pnfds;
mod sdn;
mod variants;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use smol_str::{SmolStr, format_smolstr};
use uuid::Uuid;

use crate::{
    model::{
        chain::*,
        domain::*,
        epa::*,
        error::{FaultRecord, Kind},
        host::{HostSetting, Mbps, NodeId, PfSetting, VfConf, VfSetting},
        hw::{CpuSet, PageSize, PciAddr},
        id::*,
        ns::*,
        nsd::*,
        op::*,
        package::*,
        param::{Param, Params},
        place::{Given, Held, PlacedDevice, Placement},
        secret::Secret,
        segment::*,
        setup::HostRecord,
        size::{Bytes, MiB},
        snapshot::*,
        step::*,
        time::Stamp,
        vnf::*,
        vnfd::*,
    },
    store::{Record, Table, assert_golden, assert_reads},
};

/// Tags that were given before anything was kept under them.
const NO_RECORD: &[Table] = &[Table::Image];

pub(super) struct Golden {
    lines: RefCell<BTreeMap<&'static str, &'static str>>,
    missing: RefCell<Vec<String>>,
    seen: variants::Seen,
    tables: RefCell<BTreeSet<Table>>,
}

impl Golden {
    pub(super) fn check<R: Record + PartialEq + std::fmt::Debug>(&self, name: impl AsRef<str>, value: &R) {
        let name = name.as_ref();
        self.seen.look::<R>(&value.encode().expect("encodes")[1..]);
        self.tables.borrow_mut().insert(R::TABLE);
        let found = self.lines.borrow_mut().remove(name);
        match found {
            // Written by a release before: it reads as the same value, which has a line of its own now.
            Some(hex) if !hex.starts_with(&format!("{:02x}", R::VERSION)) => {
                assert_reads(hex, value);
                let versioned = name.rsplit_once("-v").filter(|(_, v)| v.parse::<u8>().is_ok());
                let name = versioned.map_or(name, |(n, _)| n);
                for version in 2..R::VERSION {
                    if let Some(hex) = self.lines.borrow_mut().remove(format!("{name}-v{version}").as_str()) {
                        assert_reads(hex, value);
                    }
                }
                self.check(format!("{name}-v{}", R::VERSION), value);
            }
            Some(hex) => assert_golden(value, hex),
            None => {
                let hex = data_encoding::HEXLOWER.encode(&value.encode().expect("encodes"));
                self.missing.borrow_mut().push(format!("{name} {hex}"));
            }
        }
    }
}

pub(super) fn id(n: u128) -> Uuid {
    Uuid::from_u128(n << 64 | n)
}
fn fault(kind: Kind) -> FaultRecord {
    FaultRecord { kind, text: "no room".into(), reasons: vec!["memory".into()] }
}
#[test]
fn records_are_on_disk_as_they_always_were() {
    let lines = include_str!("golden.txt").lines().map(|l| l.split_once(' ').expect("name hex"));
    let g =
        Golden { lines: RefCell::new(lines.collect()), missing: RefCell::default(), seen: Default::default(), tables: RefCell::default() };

    descriptor::check(&g);
    instance::check(&g);
    operation::check(&g);
    g.check("facts", &Facts { revision: 300 });
    let name: SmolStr = "password".into();
    g.check("secret", &Secret { name, project: ProjectId::DEFAULT, sealed: vec![1, 2, 3], created: Stamp(12) });
    for (name, before) in [
        ("pages", HostSetting::HugePages { node: NodeId(1), size: PageSize::Huge1G, pages: 300 }),
        ("vfs", HostSetting::Vfs { pf: PciAddr::new(1, 0x3b, 2, 1).expect("address"), count: 7 }),
        ("governor", HostSetting::Governor { name: "powersave".into(), cpus: [0, 300].into_iter().collect() }),
        ("irq", HostSetting::Irq { number: 300, cpus: [2].into_iter().collect() }),
    ] {
        let record = HostRecord { made: vec![before.clone()], before: vec![before], args_before: Some("iommu=pt".into()) };
        g.check(format!("host_{name}"), &record);
    }
    g.check("secret-of-a-project", &Secret { name: "password".into(), project: ProjectId(id(40)), sealed: vec![1], created: Stamp(12) });
    super::golden_access::access(&g);

    grants::check(&g);
    hostnet::check(&g);
    desired::check(&g);
    notifications::check(&g);
    own::check(&g);
    pnfds::check(&g);
    sdn::check(&g);

    assert_eq!(g.seen.missing(), Vec::<String>::new(), "no golden value has these variants: add one, at its record's");
    let tables = g.tables.into_inner();
    let bare: Vec<_> = Table::ALL.iter().filter(|t| !tables.contains(t) && !NO_RECORD.contains(t)).collect();
    assert!(bare.is_empty(), "no golden value is of these tables: {bare:?}");
    let missing = g.missing.into_inner();
    if std::env::var("BOTHY_GOLDEN").is_ok_and(|v| v == "print") {
        missing.iter().for_each(|l| println!("GOLDEN {l}"));
        return;
    }
    assert!(missing.is_empty(), "no golden bytes for: {missing:#?}");
    let unused: Vec<_> = g.lines.into_inner().into_keys().collect();
    assert!(unused.is_empty(), "golden bytes that no value has any more: {unused:?}");
}
