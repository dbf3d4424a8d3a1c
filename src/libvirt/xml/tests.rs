//! Domains as snapshots, the rules behind them as tests, and libvirt's own schema where it is at hand.

mod platform;

use super::*;
use crate::{
    libvirt::console,
    model::{
        domain::{DomainDisk, DomainMedium, DomainNic, Owner},
        epa::{Epa, NicWish},
        id::{DiskId, IfKind, NsId, OpId, PortId, ProjectId, VnfId, VnfcId, if_name},
        net::{MacAddr, VlanId},
        size::MiB,
        vnfd::{DiskBus, MediaBus, NicModel},
    },
};
use std::{collections::HashSet, process::Command};
use uuid::Uuid;

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(0x1000_0000_0000_4000_8000_0000_0000_0000 + n)
}

pub fn nic(n: u128, model: NicModel) -> DomainNic {
    let port = PortId(uuid(0x100 + n));
    // The name is made from the first bits of an id, where test ids do not differ.
    let ifname = if_name(IfKind::Guest, &Uuid::from_u128(n << 120 | 0x77));
    let vlan = VlanId::try_from(100 + n as u16).expect("vlan");
    DomainNic { port, ifname, mac: MacAddr::planned(n as u32 + 1), vlan, model, mtu: None, wish: NicWish::default() }
}

pub fn disk(n: u128, bus: DiskBus) -> DomainDisk {
    DomainDisk { id: DiskId(uuid(0x200 + n)), bus, serial: ["root", "data/very-long-storage-name", "x"][n as usize % 3].into() }
}

/// A firewall with two NICs, a system disk and a CD-ROM.
pub fn spec() -> DomainSpec {
    DomainSpec {
        id: VnfcId(uuid(1)),
        owner: Owner {
            project: ProjectId::DEFAULT,
            ns: Some(NsId(uuid(2))),
            vnf: VnfId(uuid(3)),
            op: OpId(uuid(4)),
            generation: 1,
            vnf_name: "fw <1>".into(),
            vdu: "firewall".into(),
            index: 0,
        },
        vcpus: 2,
        memory: MiB(512),
        firmware: Firmware::Bios,
        disks: vec![disk(0, DiskBus::Virtio)],
        medium: Some(DomainMedium { bus: MediaBus::Cdrom }),
        nics: vec![nic(0, NicModel::Virtio), nic(1, NicModel::Virtio)],
        epa: Epa::default(),
        placed: None,
    }
}

fn made(spec: &DomainSpec, accel: Accel, offloads_off: bool) -> Written {
    floating(spec, accel, offloads_off, None)
}

#[test]
fn shares_are_the_weight_that_the_kernel_of_this_host_means() {
    // Version 1 of cgroups has 1024 as the usual, version 2 has 100.
    for (shares, weight) in [(2, 1), (512, 50), (1024, 100), (10_000, 977)] {
        let mut s = spec();
        s.epa.quotas.cpu.shares = Some(shares);
        for (weights, wanted) in [(false, shares), (true, weight)] {
            let xml = on(&s, Accel::Kvm, false, None, weights).xml;
            assert!(xml.contains(&format!("<shares>{wanted}</shares>")), "{xml}");
        }
    }
}

/// Guests without a place float over these CPUs.
fn floating(spec: &DomainSpec, accel: Accel, offloads_off: bool, float: Option<&CpuSet>) -> Written {
    on(spec, accel, offloads_off, float, false)
}

fn on(spec: &DomainSpec, accel: Accel, offloads_off: bool, float: Option<&CpuSet>, weights: bool) -> Written {
    let layout = Layout::new("/var/lib/bothy");
    let console = console::socket(Utf8Path::new("/run/bothy"), spec.id).expect("short");
    let uefi = (Utf8Path::new("/usr/share/OVMF/OVMF_CODE_4M.fd"), Utf8Path::new("/usr/share/OVMF/OVMF_VARS_4M.fd"));
    let vhost = Utf8Path::new("/run/bothy/vhost");
    let host =
        Host { accel, bridge: "bothy0", offloads_off, layout: &layout, console: &console, mhz: Some(2000), weights, float, vhost, uefi };
    domain(spec, &host).expect("written")
}

fn shapes() -> Vec<(&'static str, DomainSpec, Accel, bool)> {
    let bios = spec();
    let mut uefi = spec();
    uefi.firmware = Firmware::Uefi;
    uefi.owner.ns = None;
    let mut many = spec();
    many.nics = [NicModel::Virtio, NicModel::E1000, NicModel::E1000e, NicModel::Rtl8139, NicModel::Pcnet]
        .into_iter()
        .cycle()
        .take(20)
        .enumerate()
        .map(|(i, m)| nic(i as u128, m))
        .collect();
    many.nics[0].mtu = Some(9000);
    let mut disks = spec();
    disks.disks = [DiskBus::Virtio, DiskBus::Scsi, DiskBus::Sata, DiskBus::Virtio, DiskBus::Scsi]
        .into_iter()
        .enumerate()
        .map(|(i, b)| disk(i as u128, b))
        .collect();
    disks.medium = Some(DomainMedium { bus: MediaBus::Disk });
    let mut bare = spec();
    (bare.disks, bare.medium, bare.nics) = (vec![], None, vec![]);
    vec![
        ("bios_tcg", bios.clone(), Accel::Tcg, false),
        ("bios_kvm", bios.clone(), Accel::Kvm, false),
        ("bios_tcg_netdev", bios, Accel::Tcg, true),
        ("uefi_kvm", uefi, Accel::Kvm, false),
        ("many_nics", many, Accel::Kvm, true),
        ("all_disks", disks, Accel::Kvm, false),
        ("bare", bare, Accel::Tcg, false),
        ("epa_sriov", platform::sriov(), Accel::Kvm, false),
        ("epa_numa", platform::numa(), Accel::Kvm, false),
        ("epa_numa_tcg", platform::numa(), Accel::Tcg, true),
        ("epa_mixed_nics", platform::mixed(), Accel::Kvm, false),
        ("epa_shared", platform::shared(), Accel::Kvm, true),
        ("epa_vhost_cells", platform::vhost_cells(), Accel::Kvm, false),
        ("epa_vhost_large", platform::vhost_large(), Accel::Kvm, false),
        ("epa_preferred", platform::preferred(), Accel::Kvm, false),
    ]
}

#[test]
fn domains_look_as_reviewed() {
    for (name, spec, accel, off) in shapes() {
        insta::assert_snapshot!(name, made(&spec, accel, off).xml);
    }
}

#[test]
fn a_guest_without_a_place_is_defined_where_guests_float_and_one_with_a_place_where_it_is() {
    let float: CpuSet = "2-3,6".parse().expect("CPUs");
    let mut sparse = spec();
    sparse.epa.io_threads = 1;
    let xml = floating(&sparse, Accel::Kvm, false, Some(&float)).xml;
    insta::assert_snapshot!("floating", xml);
    let on = |xml: &str| pins(xml).expect("read").into_iter().map(|(t, on)| format!("{t}: {on}")).collect::<Vec<_>>();
    assert_eq!(on(&xml), ["vCPU 0: 2-3,6", "vCPU 1: 2-3,6", "the emulator: 2-3,6", "I/O thread 1: 2-3,6"]);
    for placed in [platform::sriov(), platform::numa(), platform::preferred()] {
        let with = |float| floating(&placed, Accel::Kvm, false, float).xml;
        assert_eq!(with(Some(&float)), with(None));
    }
}

#[test]
fn libvirt_finds_every_domain_valid() {
    if Command::new("virt-xml-validate").arg("--version").output().is_err() {
        assert!(std::env::var("BOTHY_REQUIRE").as_deref() != Ok("all"), "needs virt-xml-validate");
        eprintln!("SKIP: needs virt-xml-validate");
        return;
    }
    let dir = tempfile::tempdir().expect("dir");
    let float = "2-3,6".parse().expect("CPUs");
    for (name, spec, accel, off) in shapes() {
        let file = dir.path().join(name);
        std::fs::write(&file, floating(&spec, accel, off, Some(&float)).xml).expect("written");
        let out = Command::new("virt-xml-validate").arg(&file).arg("domain").output().expect("ran");
        assert!(out.status.success(), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// Values of an attribute in order of appearance, for elements that follow `<element`.
fn attrs(xml: &str, element: &str, attr: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let mut out = Vec::new();
    loop {
        match reader.read_event().expect("xml") {
            Event::Start(e) | Event::Empty(e) if e.local_name().as_ref() == element => {
                if let Some(a) = e.try_get_attribute(attr).expect("attribute") {
                    out.push(a.normalized_value(XmlVersion::Implicit1_0).expect("value").into_owned());
                }
            }
            Event::Eof => return out,
            _ => {}
        }
    }
}

/// (slot, function) in the guest of the devices of one kind that have a PCI address.
fn places(xml: &str, element: &str) -> Vec<(u32, u32)> {
    let mut reader = Reader::from_str(xml);
    let (mut inside, mut of_host, mut out) = (false, false, Vec::new());
    loop {
        match reader.read_event().expect("xml") {
            Event::Start(e) if e.local_name().as_ref() == element => inside = true,
            Event::End(e) if e.local_name().as_ref() == element => inside = false,
            Event::Start(e) if e.local_name().as_ref() == "source" => of_host = true,
            Event::End(e) if e.local_name().as_ref() == "source" => of_host = false,
            Event::Empty(e) if inside && !of_host && e.local_name().as_ref() == "address" => {
                let get = |name: &str| {
                    let a = e.try_get_attribute(name).expect("attribute")?;
                    u32::from_str_radix(a.normalized_value(XmlVersion::Implicit1_0).expect("value").trim_start_matches("0x"), 16).ok()
                };
                out.extend(get("slot").zip(get("function")));
            }
            Event::Eof => return out,
            _ => {}
        }
    }
}

#[test]
fn guests_see_nics_and_disks_in_order_however_many() {
    for n in [1, 2, 16, 17, 33, 128] {
        let mut s = spec();
        s.nics = (0..n).map(|i| nic(i, NicModel::Virtio)).collect();
        s.disks = (0..n.min(60)).map(|i| disk(i, DiskBus::Virtio)).collect();
        let xml = made(&s, Accel::Kvm, false).xml;
        let nics = places(&xml, "interface");
        assert_eq!(nics.len() as u128, n);
        assert!(nics.is_sorted(), "{nics:?}");
        let disks = places(&xml, "disk");
        assert!(disks.is_sorted());
        let macs = attrs(&xml, "mac", "address");
        assert_eq!(macs, s.nics.iter().map(|n| n.mac.to_string()).collect::<Vec<_>>());
        let mut all: Vec<_> =
            ["interface", "disk", "controller", "video", "rng", "memballoon"].iter().flat_map(|e| places(&xml, e)).collect();
        assert!(all.iter().all(|(slot, function)| (1..0x1e).contains(slot) && *function < 8));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count, "two devices at one place");
        let devs = attrs(&xml, "target", "dev");
        assert_eq!(devs.iter().collect::<HashSet<_>>().len(), devs.len(), "two disks of one name");
    }
}

#[test]
fn the_same_guest_is_the_same_form_and_an_owner_is_no_part_of_it() {
    let a = made(&spec(), Accel::Tcg, false);
    let mut other = spec();
    other.owner.generation = 9;
    let b = made(&other, Accel::Tcg, false);
    assert_eq!(a.meta.form, b.meta.form);
    assert_ne!(a.xml, b.xml);
    assert_ne!(a.meta.form, made(&spec(), Accel::Kvm, false).meta.form);
    assert_ne!(a.meta.form, made(&spec(), Accel::Tcg, true).meta.form);
    assert_eq!(a.meta.spec, made(&spec(), Accel::Kvm, true).meta.spec);
}

#[test]
fn a_domain_made_for_another_accelerator_becomes_what_it_would_have_been_under_this_one() {
    // Its form is that of its making, and the white space is of no account.
    let plain = |xml: &str| {
        let lines = xml.lines().map(str::trim).collect::<String>();
        let (a, rest) = lines.split_once("form=\"").expect("a form");
        format!("{a}{}", rest.split_once('"').expect("its end").1)
    };
    for (name, spec, _, off) in shapes() {
        let [kvm, tcg] = [Accel::Kvm, Accel::Tcg].map(|a| made(&spec, a, off).xml);
        assert_eq!(under(&kvm, Accel::Kvm).expect(name), None);
        assert_eq!(under(&tcg, Accel::Tcg).expect(name), None);
        assert_eq!(plain(&under(&tcg, Accel::Kvm).expect(name).expect("changed")), plain(&kvm), "{name}");
        assert_eq!(plain(&under(&kvm, Accel::Tcg).expect(name).expect("changed")), plain(&tcg), "{name}");
    }
    let live = "<domain type='kvm' id='7' xmlns:a='b'><name>x</name><devices><emulator>/usr/bin/kvm</emulator><x/></devices></domain>";
    assert_eq!(
        under(live, Accel::Tcg).expect("read").as_deref(),
        Some("<domain xmlns:a=\"b\" type=\"qemu\"><name>x</name><devices><x/></devices></domain>")
    );
    assert!(under("<domain type='kvm'><name>", Accel::Tcg).is_err());
}

#[test]
fn what_cannot_be_a_guest_is_refused_with_all_reasons() {
    let mut s = spec();
    s.vcpus = 0;
    s.disks = (0..6).map(|i| disk(i, DiskBus::Sata)).collect();
    s.nics = (0..129).map(|i| nic(i, NicModel::Virtio)).collect();
    let layout = Layout::new("/x");
    let p = Utf8Path::new("/x");
    let host = Host {
        accel: Accel::Tcg,
        bridge: "b",
        offloads_off: false,
        layout: &layout,
        console: p,
        mhz: None,
        weights: false,
        float: None,
        vhost: p,
        uefi: (p, p),
    };
    let e = domain(&s, &host).expect_err("refused");
    assert_eq!(e.reasons().len(), 3, "{e}");
    assert!(e.detail().contains("129 NICs") && e.detail().contains("7 SATA disks") && e.detail().contains("no vCPU"), "{e}");
}

#[test]
fn the_vnc_socket_is_found_in_live_xml() {
    let live = "<domain><devices><graphics type='spice'><listen type='socket' socket='/no'/></graphics>\
                <graphics type='vnc' socket='/run/x'><listen type='socket' socket='/run/x'/></graphics></devices></domain>";
    assert_eq!(vnc_socket(live).as_deref(), Some(Utf8Path::new("/run/x")));
    for none in ["<domain/>", "<graphics type='vnc' port='-1'><listen type='socket'/></graphics>", "<broken"] {
        assert_eq!(vnc_socket(none), None, "{none}");
    }
}
