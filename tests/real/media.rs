//! Day-0 media as real guests read them: each kind on each bus, every byte of every file.

use std::{collections::BTreeMap, fs, time::Duration};

use bothy::{
    host::media,
    model::{
        domain::DomainMedium,
        vnfd::{MediaBus, Medium},
    },
    vim::port::{Hypervisor as _, MediumFile},
};
use sha2::{Digest as _, Sha256};

use crate::kit::host::{Host, With, tiny_guest, tiny_image};

/// The guest finds its seed, takes this from it, and reads the whole medium once more, as Linux mounts it.
const READ: &str = r#"#!/bin/sh
exec >/dev/ttyS0
echo
echo "name $(hostname)"
for d in /dev/vdb /dev/sr0; do
  [ -e $d ] || continue
  mount -o ro $d /mnt || continue
  grep " /mnt " /proc/mounts | while read -r dev at kind rest; do echo "mounted $kind"; done
  (cd /mnt && find . -type f -exec sha256sum {} +) | while read -r sum path; do echo "file $sum ${path#./}"; done
done
echo "read all"
"#;

struct Case {
    medium: Medium,
    bus: MediaBus,
    label: Option<&'static str>,
    /// Where this kind of medium has its user data, and what names the guest.
    user_data: &'static str,
    meta: (&'static str, &'static str),
    kind: &'static str,
}

const CLOUD: (&str, &str) = ("meta-data", "instance-id: i-1\nlocal-hostname: seeded\n");
const STACK: (&str, &str) = ("openstack/latest/meta_data.json", "{\n  \"uuid\": \"i-1\",\n  \"hostname\": \"seeded\"\n}\n");
const STACK_DATA: &str = "openstack/latest/user_data";

/// What commercial VNFs bring: long names, upper and lower case, folders in folders, empty and large files.
fn others() -> Vec<(String, Vec<u8>)> {
    let large: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        ("config/license/A long name, with Signs (v1.2).license".into(), b"license\n".to_vec()),
        ("config/Empty".into(), vec![]),
        ("large.bin".into(), large),
        ("one/two/three/four/five.xml".into(), b"<five/>".to_vec()),
    ]
}

#[test]
fn every_kind_of_medium_is_read_by_a_real_guest_to_the_last_byte() {
    needs!(Root, Program("libvirtd"), Program("virtlogd"), Program("qemu-system-x86_64"), Program("qemu-img"), Program("unshare"));
    needs!(Program("xorriso"));
    let Some(image) = tiny_image() else { return };
    let case = |medium, bus, label, user_data, meta, kind| Case { medium, bus, label, user_data, meta, kind };
    let cases = [
        case(Medium::NoCloud, MediaBus::Cdrom, None, "user-data", CLOUD, "iso9660"),
        case(Medium::ConfigDrive, MediaBus::Cdrom, None, STACK_DATA, STACK, "iso9660"),
        case(Medium::ConfigDrive, MediaBus::Disk, None, STACK_DATA, STACK, "iso9660"),
        case(Medium::Fat, MediaBus::Disk, Some("CIDATA"), "user-data", CLOUD, "vfat"),
        case(Medium::Iso, MediaBus::Disk, Some("cidata"), "user-data", CLOUD, "iso9660"),
    ];
    let host = Host::start(With::NoSwitch);
    let (hv, _events) = host.open();
    let running: Vec<_> = cases
        .iter()
        .map(|c| {
            let mut spec = tiny_guest(&host.layout(), &image, "");
            spec.medium = Some(DomainMedium { bus: c.bus });
            let own = [(c.user_data, READ), c.meta].map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
            let files: BTreeMap<String, Vec<u8>> = own.into_iter().chain(others()).collect();
            let given: Vec<MediumFile> =
                files.iter().map(|(path, content)| MediumFile { path: path.clone(), content: content.clone(), secret: false }).collect();
            fs::write(host.layout().medium(spec.id), media::make(c.medium, c.label, &given).expect("a medium")).expect("written");
            hv.define(&spec).expect("defined");
            hv.start(spec.id).expect("started");
            (c, spec.id, files)
        })
        .collect();
    for (c, id, files) in running {
        let what = format!("{:?} on {:?}", c.medium, c.bus);
        let log = host.layout().serial_log(id);
        let read = || fs::read_to_string(&log).unwrap_or_default().replace('\r', "");
        let tries = (0..3000).find(|_| {
            read().contains("read all") || {
                std::thread::sleep(Duration::from_millis(200));
                false
            }
        });
        assert!(tries.is_some(), "{what}: the guest never read its medium: {}", read());
        let said = read();
        let lines = |word: &str| said.lines().filter_map(|l| l.strip_prefix(word)).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!((lines("name "), lines("mounted ")), (vec!["seeded".to_owned()], vec![c.kind.to_owned()]), "{what}: {said}");
        let got: BTreeMap<String, String> =
            lines("file ").iter().filter_map(|l| l.split_once(' ')).map(|(sum, path)| (path.to_owned(), sum.to_owned())).collect();
        let want: BTreeMap<String, String> =
            files.iter().map(|(path, content)| (path.clone(), data_encoding::HEXLOWER.encode(&Sha256::digest(content)))).collect();
        assert_eq!(got, want, "{what}");
        hv.remove(id).expect("removed");
    }
}
