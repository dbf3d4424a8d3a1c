//! SR-IOV on a real PF: VFs made, given their settings, handed to vfio-pci and back.
//!
//! Needs a PF that nobody else uses, named by BOTHY_LAB_PF (its interface); the lab's box has one. Never
//! runs by itself: on a host with NICs in use it would take their VFs away.

use bothy::{
    host::{LinuxHardware, hardware::Settings},
    model::{
        error::Kind,
        host::{DriverName, HostFacts, HostSetting, Mbps, Pf, PfName, VfConf, VfSetting},
        hw::PciAddr,
        net::{MacAddr, VlanId},
    },
    vim::port::Hardware,
};

use crate::kit::sh;

const LAB_PF: &str = "BOTHY_LAB_PF";

fn pf_of(f: &HostFacts) -> (PciAddr, Pf) {
    let (d, pf) = f.pfs().find(|(_, pf)| pf.physical.as_deref() == Some("lab")).expect("the PF is there");
    (d.addr, pf.clone())
}

#[test]
fn a_vf_gets_its_settings_and_driver_and_goes_back() {
    let Ok(name) = std::env::var(LAB_PF) else {
        eprintln!("SKIP: needs {LAB_PF}, which the lab sets");
        return;
    };
    let physical = vec![(PfName::Interface(name.parse().expect("an interface")), "lab".into())];
    let h = LinuxHardware::new(Settings { root: "/".into(), physical, environment: None });
    let (pf, was) = pf_of(&h.facts().expect("facts"));
    let count = 4.min(was.total_vfs);
    for n in [count, count, count - 1, count] {
        h.set(&HostSetting::Vfs { pf, count: n }).expect("made");
        assert_eq!(pf_of(&h.facts().expect("facts")).1.vfs.len(), usize::from(n));
    }

    let vf = pf_of(&h.facts().expect("facts")).1.vfs[0].addr;
    let now = || h.facts().expect("facts").vf_setting(vf).expect("a VF");
    let before = now();
    assert!(before.driver.is_some(), "the host drives its VFs: {before:?}");
    let conf = VfConf { mac: Some(MacAddr::planned(0x42)), vlan: VlanId::try_from(42).ok(), ..before.conf.clone() };
    let want = VfSetting { conf, driver: Some(DriverName::VFIO), ..before.clone() };
    for _ in 0..2 {
        h.ensure_vf(&want).expect("set");
        assert_eq!(now(), want);
    }
    // The other side's word.
    let said = sh(&["ip", "link", "show", &name]);
    let line = said.lines().find(|l| l.trim_start().starts_with("vf 0 ")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("52:54:00:00:00:42") && line.contains("vlan 42"), "{line}");
    assert_eq!(h.set(&HostSetting::Vfs { pf, count: 1 }).expect_err("a guest has one").kind(), Kind::Conflict);

    // Trust, spoof check and rate, each by itself: a guest's settings change while it has the VF.
    for conf in [
        VfConf { trust: true, ..want.conf.clone() },
        VfConf { spoof_check: false, ..want.conf.clone() },
        VfConf { max_rate: Mbps(100), ..want.conf.clone() },
        want.conf.clone(),
    ] {
        let one = VfSetting { conf, ..want.clone() };
        match h.ensure_vf(&one) {
            Ok(()) => assert_eq!(now(), one),
            // A rate needs a link partner with some drivers; what is refused is named, and stays as it was.
            Err(e) => {
                println!("{e}");
                assert!(e.text().contains("rates of") || e.text().contains("trust"), "{e}");
            }
        }
    }
    h.ensure_vf(&want).expect("as planned");

    for _ in 0..2 {
        h.release_vf(&before).expect("released");
        let mut now = now();
        if before.conf.mac.is_none() {
            // The host's driver gives it one of its own.
            assert_ne!(now.conf.mac, want.conf.mac);
            now.conf.mac = None;
        }
        assert_eq!(now, before);
    }
    h.set(&HostSetting::Vfs { pf, count: was.vfs.len() as u16 }).expect("as it was");
    h.release_vf(&before).expect("a VF that is gone is released");
}
